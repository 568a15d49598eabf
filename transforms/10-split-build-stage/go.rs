//! Go: compile without C, run on an image that holds certificates, time zones and nothing else.

use super::survey::{self, Survey};
use super::{Refusal, Split, binary, final_base};
use crate::config::FinalBase;
use crate::discover::join;
use crate::dockerfile::{Operation, ShellCommand};
use crate::error::SkipReason;
use crate::facts::{Application, GoSources, Identity, ImageFacts, Obstacle, finds_text};

/// The final base: no shell, no package manager, user 65532 (<https://github.com/GoogleContainerTools/distroless>).
const BASE: &str = "gcr.io/distroless/static-debian13:nonroot";

pub(super) fn split(application: &Application<'_>, image: &ImageFacts<'_>, survey: &Survey) -> Result<Split, Refusal> {
    let builds: Vec<&(usize, ShellCommand)> = survey
        .commands
        .iter()
        .filter(|(_, command)| matches!(survey::words(command).as_slice(), ["go", "build", ..]))
        .collect();
    let [(index, build)] = builds.as_slice() else {
        let detail = format!("{} holds {} go build commands; exactly one is understood", image.path, builds.len());
        return Err((SkipReason::NoBuildStep, detail));
    };
    survey.unaccounted(image, |words| {
        survey::installs_build_packages(words)
            || matches!(
                words,
                ["go", "build" | "get" | "vet" | "version" | "env", ..]
                    | ["go", "mod", "download" | "tidy" | "verify", ..]
            )
    })?;
    let sources = GoSources::read(application.around.repository, image.directory())
        .ok_or_else(|| (SkipReason::UnaccountedCommand, format!("no go.mod with sources beside {}", image.path)))?;
    if let Some(reason) = &sources.needs_c {
        return Err((SkipReason::RunTimeInputs, format!("the program needs C libraries: {reason}")));
    }
    if let Some(place) = &sources.inputs {
        return Err((SkipReason::RunTimeInputs, format!("{place}, which may need files or programs of the image")));
    }
    if let Some(path) = survey.copied_of(image, image.directory(), &sources.other_files) {
        let detail = format!("{path} may be read at run time, and the final image would not hold it");
        return Err((SkipReason::RunTimeInputs, detail));
    }
    let binary = binary(image, *index, build, &sources)?;
    let command = binary::command(image, survey, &binary, "/go/bin")?;
    binary::overrides(application, image, &binary)?;
    let mut operations = Vec::new();
    if !compiles_without_c(image, build)? {
        let offset = build.words.first().map_or(build.span.start, |word| word.span.start);
        operations
            .push(Operation::Replace { span: crate::source::Span::at(offset), text: "CGO_ENABLED=0 ".to_owned() });
    }
    let mut lines = Vec::new();
    if let Some(workdir) = image.workdir().filter(|workdir| workdir != "/") {
        lines.push(format!("WORKDIR {workdir}"));
    }
    lines.push(format!("COPY --from={} {binary} {binary}", survey.names.build));
    let on_scratch = final_base::wished(application) == Some(FinalBase::Scratch);
    let base = if on_scratch { "scratch" } else { BASE };
    let mut obstacles = binary::against_user_of(base, application)?;
    if on_scratch {
        obstacles.extend(missing_on_scratch(application, image)?);
        lines.insert(0, format!("COPY --from={} {CERTIFICATES} {CERTIFICATES}", survey.names.build));
        // Where containers ask for another, the step that gives the image a user takes theirs.
        let usual = Identity { uid: 65532, gid: Some(65532), how: "the user of distroless images".to_owned() };
        if application.contradiction(&usual).is_none() {
            lines.push(format!("USER {}", usual.user_argument()));
        }
    }
    let detail = format!("the final image holds {binary} on {base}, without a shell, a compiler or packages");
    Ok(Split { builder: None, build: operations, base: base.to_owned(), lines, command, detail, obstacles })
}

/// Where the official images for Go keep the certificates of authorities, and where Go looks for them first
/// (<https://pkg.go.dev/crypto/x509#SystemCertPool>).
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What the distroless image holds beside certificates, and `scratch` does not: time zones and a directory for temporary files.
fn missing_on_scratch(application: &Application<'_>, image: &ImageFacts<'_>) -> Result<Option<Obstacle>, Refusal> {
    let declined = |detail: String| Err((SkipReason::FinalBase, detail));
    if image.known_base.is_none_or(|known| known.name != "golang") {
        return declined(format!("{} is not known to hold the certificates that scratch needs", image.base_text));
    }
    let tree = application.around.repository.tree();
    let zones =
        ["time.LoadLocation", "os.TempDir", "ParseMultipartForm", ".FormFile(", ".MultipartForm(", "multipart."];
    if let Some(place) = finds_text(tree, image.directory(), &zones) {
        return declined(format!(
            "{place} may need time zones or a directory for temporary files, which scratch lacks"
        ));
    }
    let sets_zone = |env: &[(String, String)]| env.iter().any(|(name, _)| name == "TZ");
    if sets_zone(&image.dockerfile.env(image.stage)) {
        return declined(format!("{} sets TZ, and scratch holds no time zones", image.path));
    }
    if let Some(container) = application.containers.iter().find(|container| sets_zone(&container.view.env_values())) {
        return declined(format!("{} sets TZ, and scratch holds no time zones", container.place()));
    }
    let modules = join(image.directory(), "go.mod").and_then(|path| tree.read(&path)).unwrap_or_default();
    let detail = "modules of others may need time zones or a directory for temporary files, which scratch lacks";
    let requires = modules.lines().any(|line| line.trim_start().starts_with("require"));
    Ok(requires.then(|| Obstacle::doubt(SkipReason::RunTimeInputs, detail.to_owned())))
}

/// Flags of `go build` that change what the binary needs or where it goes in ways that are not followed.
fn unknown_flag(word: &str) -> bool {
    let name = word.trim_start_matches('-').split('=').next().unwrap_or_default();
    word.starts_with('-')
        && !matches!(
            name,
            "o" | "v" | "a" | "x" | "p" | "ldflags" | "gcflags" | "trimpath" | "mod" | "buildvcs" | "installsuffix"
        )
}

/// The absolute path of the binary.
fn binary(image: &ImageFacts<'_>, index: usize, build: &ShellCommand, sources: &GoSources) -> Result<String, Refusal> {
    let words = survey::words(build);
    let place = image.place(index);
    let external =
        build.words.iter().any(|word| word.written.contains("linkmode") && word.written.contains("external"));
    if external {
        return Err((SkipReason::RunTimeInputs, format!("{place}: the binary is linked with C")));
    }
    let unclear = || (SkipReason::UnaccountedCommand, format!("{place}: the name of the binary cannot be told"));
    let mut output = None;
    let mut packages = Vec::new();
    let mut rest = words.iter().skip(2);
    while let Some(word) = rest.next() {
        match *word {
            "-o" => output = Some(rest.next().copied().filter(|word| !word.is_empty()).ok_or_else(unclear)?.to_owned()),
            "-ldflags" | "-gcflags" | "-mod" | "-p" | "-installsuffix" => {
                rest.next();
            }
            word if word.starts_with("-o=") => output = Some(word[3..].to_owned()),
            word if unknown_flag(word) => {
                let detail = format!("{place}: go build {} may need more than the binary", word.escape_debug());
                return Err((SkipReason::RunTimeInputs, detail));
            }
            word if word.starts_with('-') => {}
            "" => return Err(unclear()),
            word => packages.push(word),
        }
    }
    let workdir = match image.dockerfile.workdir_at(image.stage, index) {
        Some(Ok(path)) if path.starts_with('/') => path,
        None => image.workdir().ok_or_else(unclear)?,
        Some(_) => return Err(unclear()),
    };
    let name = match (output, packages.as_slice()) {
        (Some(output), _) if output.ends_with('/') => return Err(unclear()),
        (Some(output), _) => output,
        // Without -o the binary is called like the last part of the package's path.
        (None, [] | ["."]) => {
            sources.module.rsplit('/').find(|part| !is_major_version(part)).ok_or_else(unclear)?.to_owned()
        }
        (None, [package]) if !package.ends_with(".go") && !package.contains("...") => {
            package.trim_end_matches('/').rsplit('/').next().filter(|name| *name != ".").ok_or_else(unclear)?.to_owned()
        }
        (None, _) => return Err(unclear()),
    };
    Ok(binary::absolute(&workdir, &name))
}

fn is_major_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether the build is told to do without C already; refuses one that is told to use it.
fn compiles_without_c(image: &ImageFacts<'_>, build: &ShellCommand) -> Result<bool, Refusal> {
    let env = image.dockerfile.env(image.stage);
    let by_env = env.iter().rfind(|(name, _)| name == "CGO_ENABLED").map(|(_, value)| value.as_str());
    let by_word = build.assignments.iter().rev().find_map(|word| word.written.strip_prefix("CGO_ENABLED="));
    match by_word.or(by_env) {
        Some("0") => Ok(true),
        Some(_) => Err((SkipReason::RunTimeInputs, "CGO_ENABLED is set: the program is meant to use C".to_owned())),
        None => Ok(false),
    }
}
