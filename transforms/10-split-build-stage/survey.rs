//! A single-stage file, instruction by instruction: what stays in the build, what is repeated in the final stage, what moves there. A file with anything
//! that cannot be placed is refused.

use super::Refusal;
use crate::discover::Tree;
use crate::dockerfile::{CommandForm, Dockerfile, Keyword, Origin, Redirection, ShellCommand};
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts, User, is_for_developers, names_target};

/// Where each instruction goes.
#[derive(Default)]
pub(super) struct Survey {
    /// The commands of every RUN, in file order, with the index of their instruction.
    pub(super) commands: Vec<(usize, ShellCommand)>,
    /// COPY and ADD.
    pub(super) copies: Vec<usize>,
    /// ENV that the build may read: stays, and is repeated in the final stage.
    pub(super) copied: Vec<usize>,
    /// EXPOSE, LABEL, CMD, HEALTHCHECK, a late ENV and the like: moves to the final stage.
    pub(super) moved: Vec<usize>,
    /// ARG below FROM.
    arguments: Vec<usize>,
    /// The CMD or ENTRYPOINT that moves, when there is exactly one of the two.
    pub(super) command: Option<usize>,
    /// What the two stages are called.
    pub(super) names: Names,
}

/// The names of the two stages.
pub(super) struct Names {
    /// Of the stage that builds: `build`, or the one that the author gave to a stage for building.
    pub(super) build: String,
    /// Of the final stage, where the author gave one: who asks for it gets what runs, as before.
    pub(super) last: Option<String>,
}

impl Default for Names {
    fn default() -> Self {
        Self { build: "build".to_owned(), last: None }
    }
}

impl Names {
    /// Refuses a name that something asks for: it may want what only the build holds.
    fn of(application: &Application<'_>, image: &ImageFacts<'_>) -> Result<Self, Refusal> {
        let unnamed = Self { build: free(image), last: None };
        let (Some(name), Some(span)) = (&image.stage.name, image.stage.name_span) else { return Ok(unnamed) };
        let around = application.around;
        let is_named = |target: &str| target.eq_ignore_ascii_case(name);
        let declared = around.links.declarations(image.file).find_map(|declaration| {
            declaration.target.as_deref().is_some_and(is_named).then(|| declaration.how.to_string())
        });
        if let Some(place) = declared.or_else(|| names_target(around.repository.tree(), name)) {
            let detail = format!("{place} builds the only stage by its name, {}", name.escape_debug());
            return Err((SkipReason::AuthorChoice, detail));
        }
        let written = span.of(image.dockerfile.text()).to_owned();
        Ok(match is_for_developers(image.stage) {
            true => Self { build: written, last: None },
            false => Self { last: Some(written), ..unnamed },
        })
    }
}

/// A name for the stage that builds, which nothing in the file has: files are copied from an image or a build context of that name otherwise.
fn free(image: &ImageFacts<'_>) -> String {
    let dockerfile = image.dockerfile;
    let sources = dockerfile.instructions().iter().flat_map(|instruction| dockerfile.copy_sources(instruction));
    let taken: Vec<String> = sources
        .filter_map(|source| match source.origin {
            Origin::Image(name) => Some(name),
            Origin::Stage(_) => None,
        })
        .chain(image.stage.name.clone())
        .collect();
    let is_free = |name: &&str| !taken.iter().any(|taken| taken.eq_ignore_ascii_case(name));
    ["build", "builder", "build-stage"].into_iter().find(is_free).unwrap_or("unroot-build").to_owned()
}

/// Variables that only builds read.
const BUILD_VARIABLES: [&str; 12] = [
    "DEBIAN_FRONTEND",
    "GOPATH",
    "GOBIN",
    "GOOS",
    "GOARCH",
    "GO111MODULE",
    "GOPROXY",
    "GOFLAGS",
    "GOCACHE",
    "CGO_ENABLED",
    "PIP_NO_CACHE_DIR",
    "PIP_DISABLE_PIP_VERSION_CHECK",
];

/// Places every instruction of the only stage.
pub(super) fn survey(application: &Application<'_>, image: &ImageFacts<'_>) -> Result<Survey, Refusal> {
    let dockerfile = image.dockerfile;
    let mut survey = Survey { names: Names::of(application, image)?, ..Survey::default() };
    if let User::Unknown { how } = &image.user {
        return Err((SkipReason::UnknownUser, how.clone()));
    }
    if image.user != User::Root || image.user_instruction.is_some() {
        return Err((SkipReason::AuthorChoice, format!("{}: who owns what cannot be carried over", image.user_how())));
    }
    let mut starts = Vec::new();
    let last = image.last_file_instruction();
    for index in image.stage.instructions.clone().skip(1) {
        let instruction = &dockerfile.instructions()[index];
        match instruction.keyword {
            Keyword::Run => {
                let commands = dockerfile.shell_commands(instruction).ok_or_else(|| {
                    (
                        SkipReason::UnaccountedCommand,
                        format!("{}: the commands cannot be told apart", image.place(index)),
                    )
                })?;
                survey.commands.extend(commands.into_iter().map(|command| (index, command)));
            }
            Keyword::Copy | Keyword::Add => survey.copies.push(index),
            Keyword::Workdir | Keyword::Shell => {}
            Keyword::Env if build_only(dockerfile, index) => {}
            // After the last command, nothing in the build reads it.
            Keyword::Env if index > last => survey.moved.push(index),
            Keyword::Env => survey.copied.push(index),
            Keyword::Cmd | Keyword::Entrypoint => {
                starts.push(index);
                survey.moved.push(index);
            }
            Keyword::Expose | Keyword::Label | Keyword::Stopsignal | Keyword::Maintainer | Keyword::Healthcheck => {
                survey.moved.push(index)
            }
            Keyword::Arg => survey.arguments.push(index),
            Keyword::Volume | Keyword::Onbuild | Keyword::User | Keyword::From => {
                let name = format!("{:?}", instruction.keyword).to_uppercase();
                return Err((
                    SkipReason::UnaccountedCommand,
                    format!("{}: no rule for {name} in another stage", image.place(index)),
                ));
            }
        }
    }
    let by_shell =
        |index: &usize| matches!(dockerfile.command(&dockerfile.instructions()[*index]), Some(CommandForm::Shell(_)));
    if let Some(index) = starts.iter().find(|index| by_shell(index) && dockerfile.shell(**index).is_some()) {
        let detail = format!("{}: SHELL says what runs it, and the final image may not hold that", image.place(*index));
        return Err((SkipReason::NoShell, detail));
    }
    match starts.as_slice() {
        [] => return Err((SkipReason::UnaccountedCommand, format!("{} starts nothing", image.path))),
        [only] => survey.command = Some(*only),
        _ => {}
    }
    Ok(survey)
}

/// Whether all variables of an ENV are read by builds alone.
fn build_only(dockerfile: &Dockerfile, index: usize) -> bool {
    let text = dockerfile.instructions()[index].arguments.of(dockerfile.text());
    let names = text.split_whitespace().filter_map(|word| word.split_once('=').map(|(name, _)| name));
    let mut any = false;
    for name in names {
        any = true;
        if !BUILD_VARIABLES.contains(&name) {
            return false;
        }
    }
    any || text.split_whitespace().next().is_some_and(|name| BUILD_VARIABLES.contains(&name))
}

impl Survey {
    /// A build argument that does not stay in the build, or the first command that `accounts` does not know.
    pub(super) fn unaccounted(
        &self,
        image: &ImageFacts<'_>,
        accounts: impl Fn(&[&str]) -> bool,
    ) -> Result<(), Refusal> {
        self.unaccounted_but(image, accounts, |_| false)
    }

    /// The same, where output may go to files that `stays` knows to stay in the build.
    pub(super) fn unaccounted_but(
        &self,
        image: &ImageFacts<'_>,
        accounts: impl Fn(&[&str]) -> bool,
        stays: impl Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        self.arguments_stay(image)?;
        for (index, command) in &self.commands {
            let words = words(command);
            let is_known = |redirection: &Redirection| is_discarded(redirection) || stays(&redirection.target.written);
            let writes = !command.redirections.iter().all(is_known);
            if writes || !harmless(&words) && !makes_folders_in(&words, image) && !accounts(&words) {
                let name = words.first().copied().filter(|word| !word.is_empty()).unwrap_or("a command");
                let detail =
                    format!("{}: what {} leaves behind is not accounted for", image.place(*index), name.escape_debug());
                return Err((SkipReason::UnaccountedCommand, detail));
            }
        }
        Ok(())
    }

    /// Whether build arguments stay in the build: what goes to the final stage, and where its files are, holds none.
    pub(super) fn arguments_stay(&self, image: &ImageFacts<'_>) -> Result<(), Refusal> {
        let dockerfile = image.dockerfile;
        let places = image.stage.instructions.clone().filter(|index| {
            matches!(dockerfile.instructions()[*index].keyword, Keyword::Workdir | Keyword::Copy | Keyword::Add)
        });
        let seen: Vec<usize> = self.moved.iter().chain(&self.copied).copied().chain(places).collect();
        let holds = |name: &str| {
            seen.iter().any(|index| {
                let text = dockerfile.instructions()[*index].span.of(dockerfile.text());
                text.contains(&format!("${name}")) || text.contains(&format!("${{{name}"))
            })
        };
        let is_held = |argument: &&usize| {
            let pairs = dockerfile.instructions()[**argument].arguments.of(dockerfile.text());
            pairs.split_whitespace().filter_map(|pair| pair.split('=').next()).any(holds)
        };
        let Some(index) = self.arguments.iter().find(is_held) else { return Ok(()) };
        let detail = format!("{}: build arguments do not reach another stage", image.place(*index));
        Err((SkipReason::UnaccountedCommand, detail))
    }

    /// Whether every COPY and ADD fills the working directory, and only it.
    pub(super) fn copies_into(&self, image: &ImageFacts<'_>, workdir: &str) -> Result<(), Refusal> {
        self.copies_into_but(image, workdir, |_| false)
    }

    /// The same, without those that `stays` knows to stay in the build.
    pub(super) fn copies_into_but(
        &self,
        image: &ImageFacts<'_>,
        workdir: &str,
        stays: impl Fn(usize) -> bool,
    ) -> Result<(), Refusal> {
        for index in self.copies.iter().filter(|index| !stays(**index)) {
            let elsewhere = || {
                (
                    SkipReason::UnaccountedCommand,
                    format!("{}: copies to a place other than {workdir}", image.place(*index)),
                )
            };
            let instruction = &image.dockerfile.instructions()[*index];
            if instruction.flags.iter().any(|flag| flag.name == "from" || flag.name == "chown") {
                return Err((
                    SkipReason::UnaccountedCommand,
                    format!("{}: copies from another image or for another user", image.place(*index)),
                ));
            }
            let (_, to) = image.dockerfile.copy_words(instruction).ok_or_else(elsewhere)?;
            if to.contains('$') {
                return Err(elsewhere());
            }
            let at = match image.dockerfile.workdir_at(image.stage, *index) {
                Some(Ok(path)) => path,
                _ => "/".to_owned(),
            };
            let target = if to.starts_with('/') { to } else { format!("{at}/{to}") };
            let target = target.replace("/./", "/");
            let target = target.trim_end_matches('.').trim_end_matches('/');
            if target != workdir && !target.starts_with(&format!("{workdir}/")) {
                return Err(elsewhere());
            }
        }
        Ok(())
    }

    /// Refuses files that are neither of the build context nor made by the build: the final stage copies what is known of those only.
    pub(super) fn brings_from_elsewhere(&self, image: &ImageFacts<'_>) -> Result<(), Refusal> {
        let dockerfile = image.dockerfile;
        let from_elsewhere = |index: &&usize| {
            let instruction = &dockerfile.instructions()[**index];
            let sources = dockerfile.copy_words(instruction).map(|(sources, _)| sources).unwrap_or_default();
            instruction.flag("from").is_some()
                || !instruction.heredocs.is_empty()
                || sources.iter().any(|source| source.contains("://") || source.contains('$'))
        };
        match self.copies.iter().find(from_elsewhere) {
            Some(index) => {
                let detail =
                    format!("{}: takes files from elsewhere, which may be needed at run time", image.place(*index));
                Err((SkipReason::UnaccountedCommand, detail))
            }
            None => Ok(()),
        }
    }

    /// The first of these files of a folder that some COPY may take: the others are not in the image as it is, either. Where the folder is not that of the
    /// Dockerfile, which files are meant is not known.
    pub(super) fn copied_of<'p>(
        &self,
        image: &ImageFacts<'_>,
        folder: &str,
        paths: &'p [String],
    ) -> Option<&'p String> {
        if folder != image.directory() {
            return paths.first();
        }
        let dockerfile = image.dockerfile;
        let words = |index: &usize| dockerfile.copy_words(&dockerfile.instructions()[*index]);
        // What cannot be read may take everything.
        let sources: Option<Vec<Vec<String>>> = self.copies.iter().map(|index| Some(words(index)?.0)).collect();
        let Some(sources) = sources else { return paths.first() };
        let takes = |source: &String, path: &str| {
            let source = source.trim_start_matches("./").trim_matches('/');
            let known = source.split(['*', '?', '[', '$', '\\']).next().unwrap_or_default();
            matches!(source, "" | ".")
                || source.contains("..")
                || known.len() < source.len() && path.starts_with(known)
                || path.strip_prefix(source).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        paths.iter().find(|path| {
            let relative = path.strip_prefix(image.directory()).unwrap_or(path).trim_start_matches('/');
            sources.iter().flatten().any(|source| takes(source, relative))
        })
    }

    /// Whether the file sets one working directory and no other.
    pub(super) fn single_workdir(&self, image: &ImageFacts<'_>) -> Result<String, Refusal> {
        let count = image
            .stage
            .instructions
            .clone()
            .filter(|index| image.dockerfile.instructions()[*index].keyword == Keyword::Workdir)
            .count();
        match image.workdir() {
            Some(workdir) if count == 1 && workdir.len() > 1 => Ok(workdir),
            _ => {
                Err((SkipReason::UnaccountedCommand, "the program's files are not in one working directory".to_owned()))
            }
        }
    }
}

/// The outermost folder around a Dockerfile that holds one of these files, by name or ending: a build may take it as its context, and then all in it counts.
pub(super) fn project<'p>(tree: &Tree, directory: &'p str, names: &[&str]) -> &'p str {
    let ends = directory.match_indices('/').map(|(at, _)| at);
    let around = [0].into_iter().chain(ends).filter_map(|end| directory.get(..end));
    let holds = |folder: &&str| {
        let beside =
            |path: &str| crate::discover::directory(path) == *folder && names.iter().any(|name| path.ends_with(name));
        tree.below(folder).any(beside)
    };
    around.into_iter().find(holds).unwrap_or(directory)
}

/// The words of a command; one that is no literal is an empty string.
pub(super) fn words(command: &ShellCommand) -> Vec<&str> {
    command.words.iter().map(|word| word.literal.as_deref().unwrap_or_default()).collect()
}

/// The words of a CMD or ENTRYPOINT, where it takes no shell to know them: those of the exec form, and those of a shell form that is one plain command.
pub(super) fn plain_words(image: &ImageFacts<'_>, index: usize) -> Option<Vec<String>> {
    let instruction = &image.dockerfile.instructions()[index];
    let line = match image.dockerfile.command(instruction)? {
        CommandForm::Exec(words) => return Some(words),
        CommandForm::Shell(line) => line,
    };
    let commands = image.dockerfile.shell_commands(instruction)?;
    let [single] = commands.as_slice() else { return None };
    let literals: Option<Vec<String>> = single.words.iter().map(|word| word.literal.clone()).collect();
    // Redirections and the like are no words: every byte of the line must be accounted for by them.
    literals.filter(|words| single.assignments.is_empty() && line.split_whitespace().count() == words.len())
}

/// An instruction in exec form.
pub(super) fn exec_form(keyword: &str, words: &[impl serde::Serialize]) -> Result<String, Refusal> {
    let array = serde_json::to_string(words)
        .map_err(|error| (SkipReason::UnaccountedCommand, format!("the command is no text: {error}")))?;
    Ok(format!("{keyword} {}", array.replace("\",\"", "\", \"")))
}

/// Packages that compile and are not needed by what they compiled.
const BUILD_PACKAGES: [&str; 19] = [
    "build-base",
    "build-essential",
    "ca-certificates",
    "gcc",
    "g++",
    "golang",
    "golang-go",
    "libc-dev",
    "libc6-dev",
    "linux-headers",
    "make",
    "musl-dev",
    "pkg-config",
    "python3-dev",
    "cmake",
    "autoconf",
    "automake",
    "libtool",
    "binutils",
];

/// Whether a command installs build packages and nothing else. Alpine and Debian.
pub(super) fn installs_build_packages(words: &[&str]) -> bool {
    installs_packages(words, &[])
}

/// Whether a command installs build packages, or some of `others`, and nothing else. Alpine and Debian.
pub(super) fn installs_packages(words: &[&str], others: &[&str]) -> bool {
    let packages: Vec<&str> = match words {
        ["apk", rest @ ..] if rest.contains(&"add") => {
            rest.iter().copied().filter(|word| !word.starts_with('-') && *word != "add").collect()
        }
        ["apt-get" | "apt", rest @ ..] if rest.contains(&"install") => {
            rest.iter().copied().filter(|word| !word.starts_with('-') && *word != "install").collect()
        }
        _ => return false,
    };
    !packages.is_empty() && packages.iter().all(|package| is_build_package(package) || others.contains(package))
}

/// Whether a package compiles and is not needed by what it compiled.
pub(super) fn is_build_package(package: &str) -> bool {
    BUILD_PACKAGES.contains(&package) || package.starts_with("golang-1.")
}

/// Commands whose effect stays in the build stage, or in the directory that is copied.
fn harmless(words: &[&str]) -> bool {
    matches!(
        words,
        ["apt-get" | "apt", "update" | "clean" | "autoremove", ..]
            | ["apk", "update", ..]
            | ["rm", ..]
            | ["echo" | "true" | "set" | "cd", ..]
    )
}

/// Output that nobody keeps.
fn is_discarded(redirection: &Redirection) -> bool {
    let written = redirection.target.written.as_str();
    written == "/dev/null" || written == "-" || written.bytes().all(|byte| byte.is_ascii_digit())
}

/// Folders below the working directory are copied with it; folders elsewhere would be missing.
fn makes_folders_in(words: &[&str], image: &ImageFacts<'_>) -> bool {
    let workdir = image.workdir().unwrap_or_default();
    let inside = |word: &&str| {
        let below = word.strip_prefix(workdir.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        word.starts_with('-') || below || !word.is_empty() && !word.starts_with(['/', '.', '~'])
    };
    words.first() == Some(&"mkdir") && words[1..].iter().all(inside)
}

/// The comment lines directly above an instruction, as they are.
pub(super) fn comments_above(dockerfile: &Dockerfile, index: usize) -> Vec<String> {
    let start = dockerfile.instructions()[index].span.start;
    let line_start = dockerfile.text()[..start].rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let mut lines: Vec<String> = Vec::new();
    for line in dockerfile.text()[..line_start].lines().rev() {
        if !line.trim_start().starts_with('#') {
            break;
        }
        lines.push(line.to_owned());
    }
    lines.reverse();
    lines
}
