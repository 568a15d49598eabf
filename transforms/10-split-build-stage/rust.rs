//! Rust: compile, run the binary on the Debian release that it was linked on.

use super::survey::{self, Survey};
use super::{Refusal, Split, binary};
use crate::discover::join;
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts, Obstacle, RunTimeInputs, Stack};

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
    libraries(application, image, builder.release)?;
    let unknown = || (SkipReason::UnaccountedCommand, format!("no Rust sources beside {}", image.path));
    let inputs =
        RunTimeInputs::read(application.around.repository, image.directory(), Stack::Rust).ok_or_else(unknown)?;
    if let Some(place) = inputs.programs.or(inputs.files) {
        return Err((SkipReason::RunTimeInputs, format!("{place}, which may need files or programs of the image")));
    }
    if let Some(path) = inputs.other_files.first() {
        let detail = format!("{path} may be read at run time, and the final image would not hold it");
        return Err((SkipReason::RunTimeInputs, detail));
    }
    let binary = program(image, survey)?;
    let command = binary::command(image, survey, &binary, CARGO_BIN)?;
    binary::overrides(application, image, &binary)?;
    let mut lines = Vec::new();
    lines.extend(image.workdir().filter(|workdir| workdir != "/").map(|workdir| format!("WORKDIR {workdir}")));
    let mut obstacles = Vec::new();
    match builder.release {
        // This base has no certificates, and a shell that `switch-user` works with.
        Release::Bookworm => lines.push(format!("COPY --from={} {CERTIFICATES} {CERTIFICATES}", super::BUILD)),
        Release::Trixie | Release::Musl => {
            obstacles.extend(binary::against_user_of(builder.release.base(), application)?);
            obstacles.extend(inputs.low_port.map(|detail| Obstacle {
                reason: SkipReason::LowPort,
                detail,
                hard: false,
                by_setting: false,
            }));
        }
    }
    lines.push(format!("COPY --from={} {binary} {binary}", super::BUILD));
    let base = builder.release.base();
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

impl Release {
    /// An image of the same release; the shell-less one of Debian 12 went out of support in September 2026.
    const fn base(self) -> &'static str {
        match self {
            Self::Bookworm => "debian:bookworm-slim",
            Self::Trixie => "gcr.io/distroless/cc-debian13:nonroot",
            Self::Musl => "gcr.io/distroless/static-debian13:nonroot",
        }
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
fn libraries(application: &Application<'_>, image: &ImageFacts<'_>, release: Release) -> Result<(), Refusal> {
    let path = join(image.directory(), "Cargo.lock");
    let Some(lock) = path.and_then(|path| application.around.repository.tree().read(&path)) else {
        let detail = "no Cargo.lock: which libraries the program needs cannot be told".to_owned();
        return Err((SkipReason::UnaccountedCommand, detail));
    };
    let names = lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let binds = |name: &&str| {
        let held = release == Release::Trixie && HELD.contains(name);
        name.ends_with("-sys") && !SELF_CONTAINED.contains(name) && !held
    };
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
    if ["cargo", "rustc", "rustup"].contains(&first) {
        return Err((SkipReason::NoBuildStep, format!("{} compiles when it starts", image.path)));
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
