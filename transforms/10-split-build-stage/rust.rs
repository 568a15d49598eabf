//! Rust: compile, run the binary on the Debian release that it was linked on.

use super::survey::{self, Survey};
use super::{Refusal, Split, binary, final_base};
use crate::config::FinalBase;
use crate::discover::join;
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts, Obstacle, RunTimeInputs, Stack, finds_text};

/// Where `cargo install` puts programs, and the official images look for them.
const CARGO_BIN: &str = "/usr/local/cargo/bin";

/// Crates whose names say that they bind a library, and which bring it along, bind the system's own, or belong to another system.
const SELF_CONTAINED: [&str; 22] = [
    "android_log-sys",
    "aws-lc-fips-sys",
    "aws-lc-sys",
    "core-foundation-sys",
    "coreaudio-sys",
    "dirs-sys",
    "dirs-sys-next",
    "fsevent-sys",
    "inotify-sys",
    "io-kit-sys",
    "jemalloc-sys",
    "jni-sys",
    "js-sys",
    "kqueue-sys",
    "libmimalloc-sys",
    "linux-raw-sys",
    "security-framework-sys",
    "system-configuration-sys",
    "tikv-jemalloc-sys",
    "web-sys",
    "windows-sys",
    "zstd-sys",
];

/// Crates that bind libraries which the shell-less base of Debian 13 holds as well
/// (<https://github.com/GoogleContainerTools/distroless/blob/11eeda55665c49dfc0918ad4ab9f1cf0b4b3a698/cc/config.bzl>).
const HELD: [&str; 2] = ["openssl-sys", "libz-sys"];

pub(super) fn split(application: &Application<'_>, image: &ImageFacts<'_>, survey: &Survey) -> Result<Split, Refusal> {
    let is_build = |words: &[&str]| matches!(words, ["cargo", "build" | "install", ..]);
    survey.unaccounted_but(image, accounts, |target| !target.starts_with(['/', '~', '$']))?;
    if !survey.commands.iter().any(|(_, command)| is_build(&survey::words(command))) {
        return Err((SkipReason::NoBuildStep, format!("{} compiles nothing with cargo", image.path)));
    }
    survey.brings_from_elsewhere(image)?;
    let builder = Builder::of(image, survey)?;
    links_as_usual(application, image, survey)?;
    let ending = Ending::of(builder.release, final_base::wished(application))?;
    let held: &[&str] = if ending.is_distroless && builder.release == Release::Trixie { &HELD } else { &[] };
    let folder = survey::project(application.around.repository.tree(), image.directory(), &["Cargo.toml"]);
    libraries(application, image, folder, held)?;
    let unknown = || (SkipReason::UnaccountedCommand, format!("no Rust sources beside {}", image.path));
    let inputs = RunTimeInputs::read(application.around.repository, folder, Stack::Rust).ok_or_else(unknown)?;
    if let Some(place) = inputs.programs.or(inputs.files) {
        return Err((SkipReason::RunTimeInputs, format!("{place}, which may need files or programs of the image")));
    }
    let is_release = |words: &[&str]| match words {
        ["cargo", "install", ..] => !words.contains(&"--debug"),
        words => words.iter().any(|word| matches!(*word, "--release" | "-r" | "--profile=release")),
    };
    let mut builds = survey.commands.iter().map(|(_, command)| survey::words(command)).filter(|words| is_build(words));
    if let Some(place) = inputs.embedded_in_releases.filter(|_| !builds.all(|words| is_release(&words))) {
        let detail = format!("{place} embeds a folder in releases alone, and another build reads it when it runs");
        return Err((SkipReason::RunTimeInputs, detail));
    }
    if let Some(path) = survey.copied_of(image, folder, &inputs.other_files) {
        let detail = format!("{path} may be read at run time, and the final image would not hold it");
        return Err((SkipReason::RunTimeInputs, detail));
    }
    let by_cargo = run_by_cargo(application, image, survey)?;
    // Cargo keeps packages in the home of who builds; the program that it starts has no use of them.
    let needs_home = by_cargo.is_none();
    let (binary, command) = match by_cargo {
        Some((binary, command)) => (binary, Some(command)),
        None => {
            let binary = program(image, survey)?;
            let command = binary::command(image, survey, &binary, CARGO_BIN)?;
            (binary, command)
        }
    };
    binary::overrides(application, image, &binary)?;
    let mut lines = Vec::new();
    lines.extend(image.workdir().filter(|workdir| workdir != "/").map(|workdir| format!("WORKDIR {workdir}")));
    let mut obstacles = Vec::new();
    let base = ending.base;
    if ending.is_distroless {
        let against = binary::against_user_of(base, application)?.into_iter();
        obstacles.extend(against.filter(|found| needs_home || found.hard || found.reason != SkipReason::RootHome));
        obstacles.extend(inputs.low_port.map(|detail| Obstacle::doubt(SkipReason::LowPort, detail)));
    } else {
        lines.push(format!("COPY --from={} {CERTIFICATES} {CERTIFICATES}", survey.names.build));
    }
    lines.push(format!("COPY --from={} {binary} {binary}", survey.names.build));
    let detail = format!("the final image holds {binary} on {base}, without a compiler");
    Ok(Split { builder: builder.pinned, build: Vec::new(), base: base.to_owned(), lines, command, detail, obstacles })
}

/// The certificates of the official images, where every library for TLS looks for them on Debian.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What a binary is linked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Release {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
    /// Nothing: musl is linked into the binary.
    Musl,
}

/// What the final stage is started from.
struct Ending {
    base: &'static str,
    /// Whether it runs as a user of its own, and holds certificates and the libraries of [`HELD`].
    is_distroless: bool,
}

impl Ending {
    /// An image of the release that the binary was linked on. The shell-less one of Debian 12 is no longer maintained.
    fn of(release: Release, wish: Option<FinalBase>) -> Result<Self, Refusal> {
        let slim = wish == Some(FinalBase::Slim);
        let (base, is_distroless) = match release {
            Release::Bookworm if wish == Some(FinalBase::Distroless) => {
                let detail = "the image without a shell of Debian 12 is no longer maintained".to_owned();
                return Err((SkipReason::FinalBase, detail));
            }
            Release::Bookworm => ("debian:bookworm-slim", false),
            Release::Trixie if slim => ("debian:trixie-slim", false),
            Release::Trixie => ("gcr.io/distroless/cc-debian13:nonroot", true),
            Release::Musl if slim => {
                return Err((
                    SkipReason::FinalBase,
                    "a program that needs no libc has no use of a slim base".to_owned(),
                ));
            }
            Release::Musl => ("gcr.io/distroless/static-debian13:nonroot", true),
        };
        Ok(Self { base, is_distroless })
    }
}

/// The image that compiles.
#[derive(Debug, PartialEq, Eq)]
struct Builder {
    release: Release,
    /// The base with its Debian release in the tag, where the tag floats between releases.
    pinned: Option<String>,
}

impl Builder {
    fn of(image: &ImageFacts<'_>, survey: &Survey) -> Result<Self, Refusal> {
        let unknown = || {
            let base = image.base_text.escape_debug();
            (
                SkipReason::RunTimeInputs,
                format!("which Debian release {base} is of, and so what the binary needs, is not known"),
            )
        };
        final_base::is_literal(image)?;
        let base = image.base.as_ref().ok_or_else(unknown)?;
        if !matches!(
            base.name(),
            "rust"
                | "docker.io/rust"
                | "docker.io/library/rust"
                | "library/rust"
                | "public.ecr.aws/docker/library/rust"
        ) {
            return Err(unknown());
        }
        let (release, tag) = release_of(base.tag().unwrap_or("latest")).ok_or_else(unknown)?;
        if tag.is_some() && base.digest().is_some() {
            return Err(unknown());
        }
        let targets: Vec<&str> =
            survey.commands.iter().filter_map(|(_, command)| target(&survey::words(command))).collect();
        let release = match targets.as_slice() {
            [] => release,
            // Every program of this target is linked statically.
            all if all.iter().all(|target| target.ends_with("-musl")) => Release::Musl,
            _ => return Err((SkipReason::RunTimeInputs, "the program is compiled for another target".to_owned())),
        };
        let pinned = tag.filter(|_| release != Release::Musl).map(|tag| format!("{}:{tag}", base.name()));
        Ok(Self { release, pinned })
    }
}

/// The target of a `cargo build`, taken as unknown where it cannot be read.
fn target<'w>(words: &[&'w str]) -> Option<&'w str> {
    let at = words.iter().position(|word| *word == "--target" || word.starts_with("--target="))?;
    let target = words.get(at)?.split_once('=').map(|(_, target)| target);
    matches!(words, ["cargo", ..]).then(|| target.or(words.get(at + 1).copied()).unwrap_or_default())
}

/// The release behind a tag of the official image, and the tag that says so where this one does not. The default of tags without a release became Debian 13
/// between 1.89 and 1.90 (<https://github.com/rust-lang/docker-rust/pull/246>); a version is not built again after the next one.
fn release_of(tag: &str) -> Option<(Release, Option<String>)> {
    let mut words: Vec<&str> = tag.split('-').collect();
    let version = match words.first() {
        Some(first) if first.starts_with(|c: char| c.is_ascii_digit()) => Some(words.remove(0)),
        Some(&"latest") => {
            words.remove(0);
            None
        }
        _ => None,
    };
    let slim = words.first() == Some(&"slim");
    if slim {
        words.remove(0);
    }
    match words.as_slice() {
        ["bookworm"] => return Some((Release::Bookworm, None)),
        ["trixie"] => return Some((Release::Trixie, None)),
        [alpine] if alpine.starts_with("alpine") && !slim => return Some((Release::Musl, None)),
        [] => {}
        _ => return None,
    }
    let numbers: Vec<u32> = version.unwrap_or("1").split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (release, name) = match numbers.as_slice() {
        [1] | [1, 90..=u32::MAX, ..] => (Release::Trixie, "trixie"),
        [1, 75..=88, ..] => (Release::Bookworm, "bookworm"),
        _ => return None,
    };
    let version = version.unwrap_or("1");
    let slim = if slim { "-slim" } else { "" };
    Some((release, Some(format!("{version}{slim}-{name}"))))
}

/// Refuses flags that decide what is linked into the binary.
fn links_as_usual(application: &Application<'_>, image: &ImageFacts<'_>, survey: &Survey) -> Result<(), Refusal> {
    const DECIDE: [&str; 4] = ["crt-static", "prefer-dynamic", "link-arg", "linker"];
    let tree = application.around.repository.tree();
    let configuration = [".cargo/config.toml", ".cargo/config"].into_iter().find(|name| {
        let text = join(image.directory(), name).and_then(|path| tree.read(&path)).unwrap_or_default();
        DECIDE.iter().any(|word| text.contains(word))
    });
    let by_variable = image.dockerfile.env(image.stage).into_iter().any(|(name, _)| name == "RUSTFLAGS");
    let by_word = survey.commands.iter().flat_map(|(_, command)| &command.assignments);
    let by_word = by_word.into_iter().any(|word| word.written.starts_with("RUSTFLAGS="));
    match configuration.or((by_variable || by_word).then_some("RUSTFLAGS")) {
        Some(place) => {
            let detail = format!("{place} decides what is linked, and so what the binary needs");
            Err((SkipReason::RunTimeInputs, detail))
        }
        None => Ok(()),
    }
}

/// Refuses crates that bind libraries which the final image does not hold.
fn libraries(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    folder: &str,
    held: &[&str],
) -> Result<(), Refusal> {
    let tree = application.around.repository.tree();
    let locks = [image.directory(), folder].map(|folder| join(folder, "Cargo.lock").and_then(|path| tree.read(&path)));
    let lock: String = locks.into_iter().flatten().collect();
    if lock.is_empty() {
        let detail = "no Cargo.lock: which libraries the program needs cannot be told".to_owned();
        return Err((SkipReason::UnaccountedCommand, detail));
    }
    let names = lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let binds = |name: &&str| name.ends_with("-sys") && !SELF_CONTAINED.contains(name) && !held.contains(name);
    match names.into_iter().find(binds) {
        Some(name) => Err((
            SkipReason::RunTimeInputs,
            format!("Cargo.lock names {name}, whose library the final image may not hold"),
        )),
        None => Ok(()),
    }
}

/// Packages that compile, and whose libraries are linked in or bound by a crate that [`libraries`] knows.
const BUILD_PACKAGES: [&str; 16] = [
    "musl-tools",
    "clang",
    "lld",
    "mold",
    "llvm",
    "libclang-dev",
    "protobuf-compiler",
    "protoc",
    "libprotobuf-dev",
    "protobuf-dev",
    "perl",
    "git",
    "curl",
    "libssl-dev",
    "openssl-dev",
    "zlib1g-dev",
];

/// Commands that leave nothing behind but the program.
fn accounts(words: &[&str]) -> bool {
    survey::installs_packages(words, &BUILD_PACKAGES)
        || matches!(
            words,
            [
                "cargo",
                "build"
                    | "fetch"
                    | "test"
                    | "check"
                    | "clippy"
                    | "fmt"
                    | "clean"
                    | "init"
                    | "new"
                    | "vendor"
                    | "update"
                    | "--version",
                ..
            ]
        )
        || matches!(words, ["cargo", "install", rest @ ..] if rest.contains(&"--path"))
        || matches!(words, ["rustup", "target" | "component" | "default" | "update" | "--version", ..] | ["rustc", ..])
        || matches!(words, ["cp" | "mv" | "strip" | "touch" | "chmod" | "mkdir" | "cat" | "ls", ..])
}

/// For a command that is `cargo run`: the binary that it would start, which a build of the same profile left, and the command that starts that. Refused where
/// `cargo run` does more.
fn run_by_cargo(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    survey: &Survey,
) -> Result<Option<(String, String)>, Refusal> {
    let words = match survey.command {
        Some(index) => survey::plain_words(image, index).unwrap_or_default(),
        None => image.argv(),
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let argv = image.argv();
    let names_it =
        argv.iter().any(|word| word.split_whitespace().any(|word| word == "cargo" || word.ends_with("/cargo")));
    let refused = || (SkipReason::NoBuildStep, format!("{} compiles when it starts", image.path));
    let ["cargo", "run" | "r", rest @ ..] = words.as_slice() else {
        return if names_it { Err(refused()) } else { Ok(None) };
    };
    let split = rest.iter().position(|word| *word == "--").unwrap_or(rest.len());
    let (flags, given) = rest.split_at(split);
    let quiet =
        |flag: &&str| matches!(*flag, "-q" | "--quiet" | "-v" | "--verbose" | "--locked" | "--offline" | "--frozen");
    let release = |flag: &&str| matches!(*flag, "--release" | "-r");
    let index = survey.command.filter(|_| flags.iter().all(|flag| quiet(flag) || release(flag))).ok_or_else(refused)?;
    // The last build decides what is there: one for the same profile, of the only program, in the directory of the command.
    let builds =
        survey.commands.iter().rev().find(|(_, command)| survey::words(command).starts_with(&["cargo", "build"]));
    let (at, build) = builds.ok_or_else(refused)?;
    let build = survey::words(build);
    let flags_of_build = build.get(2..).unwrap_or_default();
    let same = flags_of_build.iter().any(release) == flags.iter().any(release);
    let workdir = image.workdir().ok_or_else(refused)?;
    let here = image.dockerfile.workdir_at(image.stage, *at).unwrap_or_else(|| Ok("/".to_owned()));
    if !same || !flags_of_build.iter().all(|flag| quiet(flag) || release(flag)) || here.as_ref() != Ok(&workdir) {
        return Err(refused());
    }
    let name = only_program(application, image).ok_or_else(refused)?;
    let profile = if flags.iter().any(release) { "release" } else { "debug" };
    let binary = format!("{}/target/{profile}/{name}", workdir.trim_end_matches('/'));
    let command: Vec<&str> = [binary.as_str()].into_iter().chain(given.iter().skip(1).copied()).collect();
    let keyword = image.dockerfile.instructions()[index].keyword_span.of(image.dockerfile.text());
    let command = survey::exec_form(keyword, &command)?;
    Ok(Some((binary, command)))
}

/// The name of the program of a package that has one only: that of the package.
fn only_program(application: &Application<'_>, image: &ImageFacts<'_>) -> Option<String> {
    let tree = application.around.repository.tree();
    let file = |name: &str| join(image.directory(), name);
    let manifest: toml::Table = tree.read(&file("Cargo.toml")?)?.parse().ok()?;
    let others = ["workspace", "bin"].iter().any(|key| manifest.contains_key(*key));
    let package = manifest.get("package")?;
    let renames = ["default-run", "autobins", "build-target"].iter().any(|key| package.get(key).is_some());
    let folder = file("src/bin")?;
    let more = tree.below(&folder).next().is_some();
    let configured =
        [".cargo/config.toml", ".cargo/config"].iter().any(|name| file(name).is_some_and(|path| tree.has(&path)));
    let has_main = tree.has(&file("src/main.rs")?);
    // Cargo sets these for the program as well.
    let reads_variables = finds_text(tree, image.directory(), &["var(\"CARGO_"]).is_some();
    let sets_target = image.dockerfile.env(image.stage).iter().any(|(name, _)| name.starts_with("CARGO_"));
    let plain = has_main && !reads_variables && !others && !renames && !more && !configured && !sets_target;
    package.get("name")?.as_str().filter(|_| plain).map(str::to_owned)
}

/// The absolute path of the program that the image starts, where a build leaves it.
fn program(image: &ImageFacts<'_>, survey: &Survey) -> Result<String, Refusal> {
    let unclear =
        || (SkipReason::UnaccountedCommand, format!("where {} builds what it starts cannot be told", image.path));
    let workdir = image.workdir().ok_or_else(unclear)?;
    let argv = image.argv();
    let first = match argv.as_slice() {
        [shell, flag, line] if shell.ends_with("sh") && flag == "-c" => {
            line.split_whitespace().next().unwrap_or_default()
        }
        argv => argv.first().map(String::as_str).unwrap_or_default(),
    };
    if first.is_empty() || first.contains(['$', '"', '\'']) {
        return Err(unclear());
    }
    // Folders that hold nothing but programs of the build, and files that are one.
    let mut folders = Vec::new();
    let mut files_made = Vec::new();
    for (index, command) in &survey.commands {
        let words = survey::words(command);
        let here = match image.dockerfile.workdir_at(image.stage, *index) {
            Some(Ok(path)) if path.starts_with('/') => path,
            None => "/".to_owned(),
            Some(_) => return Err(unclear()),
        };
        let files: Vec<&str> = words.iter().skip(1).copied().filter(|word| !word.starts_with('-')).collect();
        match (words.as_slice(), files.as_slice()) {
            (["cargo", "install", rest @ ..], _) => {
                let root = rest.iter().position(|word| *word == "--root").and_then(|at| rest.get(at + 1));
                folders
                    .push(root.map_or(CARGO_BIN.to_owned(), |root| format!("{}/bin", binary::absolute(&here, root))));
            }
            (["cargo", "build", ..], _) => folders.push(format!("{}/target", here.trim_end_matches('/'))),
            (["cp" | "mv", ..], [from, to]) if from.contains("target/") && !from.contains('*') => {
                let name = from.rsplit('/').next().unwrap_or_default();
                let to = binary::absolute(&here, to);
                files_made.push(format!("{}/{name}", to.trim_end_matches('/')));
                files_made.push(to);
            }
            _ => {}
        }
    }
    let is_made = |path: &String| {
        files_made.contains(path) || folders.iter().any(|folder| path.starts_with(&format!("{folder}/")))
    };
    if first.contains('/') {
        return Some(binary::absolute(&workdir, first)).filter(is_made).ok_or_else(unclear);
    }
    let searched = binary::PATH.iter().copied().chain([CARGO_BIN]);
    searched.map(|folder| format!("{folder}/{first}")).find(is_made).ok_or_else(unclear)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_behind_a_tag_is_pinned_where_the_tag_does_not_say_it() {
        for (tag, release, pinned) in [
            ("1.80-bookworm", Release::Bookworm, None),
            ("slim-trixie", Release::Trixie, None),
            ("1.80", Release::Bookworm, Some("1.80-bookworm")),
            ("1.80.1-slim", Release::Bookworm, Some("1.80.1-slim-bookworm")),
            ("1", Release::Trixie, Some("1-trixie")),
            ("latest", Release::Trixie, Some("1-trixie")),
            ("slim", Release::Trixie, Some("1-slim-trixie")),
            ("1.92", Release::Trixie, Some("1.92-trixie")),
            ("1.84-alpine3.20", Release::Musl, None),
            ("alpine", Release::Musl, None),
        ] {
            assert_eq!(release_of(tag), Some((release, pinned.map(str::to_owned))), "{tag}");
        }
        for tag in ["1.89", "1.60", "1.80-bullseye", "buster", "nightly", "1.x", "2"] {
            assert_eq!(release_of(tag), None, "{tag}");
        }
    }

    #[test]
    fn the_target_is_that_of_cargo() {
        assert_eq!(
            target(&["cargo", "build", "--target", "x86_64-unknown-linux-musl"]),
            Some("x86_64-unknown-linux-musl")
        );
        assert_eq!(target(&["cargo", "build", "--target=a-musl"]), Some("a-musl"));
        assert_eq!(target(&["cargo", "build"]), None);
    }
}
