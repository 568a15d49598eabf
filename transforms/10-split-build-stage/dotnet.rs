//! .NET: publish with the SDK, run on the runtime that the image of the SDK is built from.

use super::survey::{self, Survey};
use super::{Refusal, Split, binary, final_base, launch};
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts, RunTimeInputs, Stack};
use crate::image::Reference;

/// Versions whose SDK is built from the image of ASP.NET Core of the same variant, with nothing between them but tools and variables for building
/// (<https://github.com/dotnet/dotnet-docker/tree/main/src/sdk>). Before 8.0 the port differs. Alpine differs in ICU.
const VARIANTS: [(&str, &[&str]); 3] = [
    ("8.0", &["", "bookworm-slim", "jammy", "noble"]),
    ("9.0", &["", "bookworm-slim", "noble"]),
    ("10.0", &["", "noble"]),
];

/// Packages that programs without a web server may refer to; others may ask for ASP.NET Core.
const WITHOUT_WEB: [&str; 4] = ["Microsoft.Extensions.", "System.", "Serilog", "Newtonsoft.Json"];

pub(super) fn split(application: &Application<'_>, image: &ImageFacts<'_>, survey: &Survey) -> Result<Split, Refusal> {
    let (version, variant) = sdk(image)?;
    let folder = survey::project(application.around.repository.tree(), image.directory(), &[".sln", ".slnx"]);
    let projects = Projects::read(application, image, folder, &version)?;
    survey.unaccounted(image, |words| {
        matches!(words, ["dotnet", "restore" | "build" | "publish" | "test" | "clean" | "--version" | "--info", ..])
            || survey::installs_packages(words, &["curl", "git", "wget"])
    })?;
    survey.brings_from_elsewhere(image)?;
    let unknown = || (SkipReason::UnaccountedCommand, format!("no .NET sources beside {}", image.path));
    let inputs = RunTimeInputs::read(application.around.repository, folder, Stack::DotNet).ok_or_else(unknown)?;
    if let Some(place) = inputs.programs.or(inputs.files) {
        return Err((SkipReason::RunTimeInputs, format!("{place}, which may need more than what is published")));
    }
    let (program, paths) = launch::paths(application, image, launch)?;
    let workdir = image.workdir().ok_or_else(|| {
        (SkipReason::UnaccountedCommand, format!("where {} starts its program cannot be told", image.path))
    })?;
    let program = binary::absolute(&workdir, &program);
    let published = published(image, survey, &program)?;
    let mut lines = if workdir == "/" { Vec::new() } else { vec![format!("WORKDIR {workdir}")] };
    // The program reads its settings from the directory that it is started in.
    let is_below = |path: &str, folder: &str| path == folder || path.starts_with(&format!("{folder}/"));
    let mut kept = vec![published.clone()];
    if workdir != published {
        let workdir = survey.single_workdir(image)?;
        survey.copies_into(image, &workdir)?;
        kept.insert(0, workdir.clone());
        if is_below(&published, &workdir) {
            kept.truncate(1);
        }
    }
    if let Some(path) = paths.iter().find(|path| path.starts_with('/') && !kept.iter().any(|kept| is_below(path, kept)))
    {
        let detail =
            format!("{} starts with {}, which the final image would not hold", image.path, path.escape_debug());
        return Err((SkipReason::RunTimeInputs, detail));
    }
    // Without this the program would take watches of the node, which has few.
    lines.push("# watch files as in the image of the SDK".to_owned());
    lines.push("ENV DOTNET_USE_POLLING_FILE_WATCHER=true".to_owned());
    lines.extend(kept.iter().map(|path| format!("COPY --from={} {path} {path}", survey.names.build)));
    let base =
        format!("mcr.microsoft.com/dotnet/{}:{version}{variant}", if projects.web { "aspnet" } else { "runtime" });
    let detail = format!("the final image holds {} on {base}, without the SDK", kept.join(" and "));
    Ok(Split { builder: None, build: Vec::new(), base, lines, command: None, detail, obstacles: Vec::new() })
}

/// Version and variant (with its dash) of the SDK that the image starts from.
fn sdk(image: &ImageFacts<'_>) -> Result<(String, String), Refusal> {
    final_base::is_literal(image)?;
    let unknown = || {
        let base = image.base_text.escape_debug();
        (SkipReason::NoBuildStep, format!("no runtime image is known to be {base} without the SDK"))
    };
    let is_sdk = |base: &&Reference| base.registry() == "mcr.microsoft.com" && base.repository() == "dotnet/sdk";
    let base = image.base.as_ref().filter(is_sdk).ok_or_else(unknown)?;
    if base.digest().is_some() {
        let detail = "the base is pinned, and which runtime belongs to it is not known".to_owned();
        return Err((SkipReason::AuthorChoice, detail));
    }
    let tag = base.tag().unwrap_or_default();
    if tag.contains("alpine") {
        let detail = "the runtime on Alpine has no data of languages and time zones, which the SDK has".to_owned();
        return Err((SkipReason::RunTimeInputs, detail));
    }
    let (version, variant) = tag.split_once('-').unwrap_or((tag, ""));
    let known = VARIANTS.iter().any(|(known, variants)| *known == version && variants.contains(&variant));
    if !known {
        return Err(unknown());
    }
    let variant = if variant.is_empty() { String::new() } else { format!("-{variant}") };
    Ok((version.to_owned(), variant))
}

/// What the project files of the context say.
struct Projects {
    /// Whether ASP.NET Core may be needed.
    web: bool,
}

impl Projects {
    fn read(
        application: &Application<'_>,
        image: &ImageFacts<'_>,
        folder: &str,
        version: &str,
    ) -> Result<Self, Refusal> {
        let tree = application.around.repository.tree();
        let is_project = |path: &&str| [".csproj", ".fsproj", ".vbproj"].iter().any(|ending| path.ends_with(ending));
        let is_shared =
            |path: &&str| path.ends_with("Directory.Build.props") || path.ends_with("Directory.Packages.props");
        let mut web = false;
        let mut targets = Vec::new();
        let mut any = false;
        for path in tree.below(folder).filter(|path| is_project(path) || is_shared(path)) {
            any |= is_project(&path);
            let text = tree.read(path).unwrap_or_default();
            if text.contains("<SelfContained>true") || text.contains("<PublishAot>true") {
                return Err((
                    SkipReason::RunTimeInputs,
                    format!("{path} publishes a program that is not started by dotnet"),
                ));
            }
            let references = text
                .split("<PackageReference")
                .skip(1)
                .filter_map(|rest| rest.split_once("Include=\"")?.1.split('"').next());
            web |= text.contains("AspNetCore")
                || text.contains("Microsoft.NET.Sdk.Web")
                || references.into_iter().any(|name| !WITHOUT_WEB.iter().any(|known| name.starts_with(known)));
            for tag in ["<TargetFramework>", "<TargetFrameworks>"] {
                let values = text.split(tag).skip(1).filter_map(|rest| rest.split('<').next());
                targets.extend(
                    values.flat_map(|value| value.split(';')).map(|value| (path.to_owned(), value.trim().to_owned())),
                );
            }
        }
        if !any {
            return Err((SkipReason::UnaccountedCommand, format!("no project beside {}", image.path)));
        }
        let wanted = format!("net{version}");
        // A library may be for every version.
        let fits = |target: &str| target == wanted || target.starts_with("netstandard");
        if let Some((path, target)) = targets.iter().find(|(_, target)| !fits(target)) {
            let detail = format!("{path} is for {}, and the final image would hold {wanted}", target.escape_debug());
            return Err((SkipReason::RunTimeInputs, detail));
        }
        if !targets.iter().any(|(_, target)| *target == wanted) {
            return Err((
                SkipReason::RunTimeInputs,
                format!("no project beside {} says that it is for {wanted}", image.path),
            ));
        }
        Ok(Self { web })
    }
}

/// The directory of the program, which a `dotnet publish` fills.
fn published(image: &ImageFacts<'_>, survey: &Survey, program: &str) -> Result<String, Refusal> {
    let mut publishes = survey
        .commands
        .iter()
        .filter(|(_, command)| matches!(survey::words(command).as_slice(), ["dotnet", "publish", ..]))
        .peekable();
    if publishes.peek().is_none() {
        return Err((SkipReason::NoBuildStep, format!("{} publishes nothing", image.path)));
    }
    let unclear = || {
        let detail = format!("{}: that {} is published there cannot be told", image.path, program.escape_debug());
        (SkipReason::UnaccountedCommand, detail)
    };
    let folder =
        program.rsplit_once('/').map(|(folder, _)| folder).filter(|folder| !folder.is_empty()).ok_or_else(unclear)?;
    let fills = |index: usize, words: &[&str]| {
        let at = words.iter().position(|word| matches!(*word, "-o" | "--output"));
        let output = match at {
            Some(at) => words.get(at + 1).copied(),
            None => words.iter().find_map(|word| word.strip_prefix("--output=").or(word.strip_prefix("-o="))),
        };
        let Some(output) = output else { return folder.ends_with("/publish") && folder.contains("/bin/") };
        let here = match image.dockerfile.workdir_at(image.stage, index) {
            Some(Ok(path)) if path.starts_with('/') => path,
            None => "/".to_owned(),
            Some(_) => return false,
        };
        binary::absolute(&here, output).trim_end_matches('/') == folder
    };
    publishes
        .any(|(index, command)| fills(*index, &survey::words(command)))
        .then(|| folder.to_owned())
        .ok_or_else(unclear)
}

/// Reads a command line of `dotnet`: the assembly, and other words that name files. What is not known is the error.
fn launch(words: &[&str]) -> Result<(String, Vec<String>), String> {
    match words {
        ["dotnet" | "/usr/bin/dotnet" | "/usr/share/dotnet/dotnet", program, rest @ ..]
            if program.ends_with(".dll") && !program.contains(['$', '*']) =>
        {
            let values = rest.iter().map(|word| word.split_once('=').map_or(*word, |(_, value)| value));
            Ok(((*program).to_owned(), values.filter(|value| launch::is_file(value)).map(str::to_owned).collect()))
        }
        _ => Err(words.iter().take(2).copied().collect::<Vec<_>>().join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_assembly_is_started_without_the_sdk() {
        let started = |paths: &[&str]| Ok(("a.dll".to_owned(), paths.iter().map(|path| (*path).to_owned()).collect()));
        assert_eq!(launch(&["dotnet", "a.dll"]), started(&[]));
        assert_eq!(launch(&["dotnet", "a.dll", "--urls", "http://0.0.0.0:$PORT"]), started(&[]));
        assert_eq!(launch(&["dotnet", "a.dll", "--config", "/etc/a.json"]), started(&["/etc/a.json"]));
        for words in
            [&["dotnet", "run"][..], &["dotnet", "watch", "run"], &["./a"], &["dotnet"], &["dotnet", "$APP.dll"]]
        {
            assert!(launch(words).is_err(), "{words:?}");
        }
    }
}
