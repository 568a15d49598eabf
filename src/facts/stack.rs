//! The language of an application, by the base of its image, what that starts, the commands of its Dockerfile, and the files beside it.

use super::ImageFacts;
use crate::discover::{Tree, file_name, join};
use crate::dockerfile::{Base, Dockerfile, Keyword, ShellCommand, Stage};
use crate::image::Reference;
use std::fmt;

/// A language whose needs at run time are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stack {
    /// A compiled Go program.
    Go,
    /// A Node.js program.
    Node,
    /// A Python program.
    Python,
    /// A program for the Java virtual machine.
    Java,
    /// A compiled Rust program.
    Rust,
    /// A .NET program.
    DotNet,
    /// A PHP application.
    Php,
    /// A Ruby program.
    Ruby,
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Go => "Go",
            Self::Node => "Node.js",
            Self::Python => "Python",
            Self::Java => "Java",
            Self::Rust => "Rust",
            Self::DotNet => ".NET",
            Self::Php => "PHP",
            Self::Ruby => "Ruby",
        })
    }
}

impl Stack {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Go, Self::Node, Self::Python, Self::Java, Self::Rust, Self::DotNet, Self::Php, Self::Ruby];

    /// Whether its programs need nothing of the language to run, so that only their builder tells it.
    pub const fn is_compiled(self) -> bool {
        matches!(self, Self::Go | Self::Rust)
    }

    /// How the files of its sources end.
    pub(super) fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Go => &["go"],
            Self::Node => &["js", "mjs", "cjs", "ts"],
            Self::Python => &["py"],
            Self::Java => &["java", "kt", "scala", "groovy"],
            Self::Rust => &["rs"],
            Self::DotNet => &["cs", "fs", "vb"],
            Self::Php => &["php"],
            Self::Ruby => &["rb", "ru"],
        }
    }
}

/// The stack of the deployed stage: by its base, else by the program it starts, else by what its RUN commands install or build. A compiled program is
/// told by the stage it comes from, or by the module beside the Dockerfile when it was built outside.
pub(super) fn detect(image: &ImageFacts<'_>, tree: &Tree) -> Option<Stack> {
    if let Some(stack) = image.base.as_ref().and_then(of_base) {
        return Some(stack);
    }
    if let Some(stack) = by_program(&image.argv()) {
        return Some(stack);
    }
    let dockerfile = image.dockerfile;
    if let Some(stack) = by_commands(dockerfile, dockerfile.effective(image.stage).into_iter()) {
        return Some(stack);
    }
    // A front-end built by Node.js is served by something else: only a compiled language can be told by its builder.
    if let Some(origin) = origin_of_program(image) {
        return match origin {
            Origin::Stage(stage) => stage_stack(dockerfile, stage).filter(|stack| stack.is_compiled()),
            Origin::Context => by_module(tree, image.directory()),
        };
    }
    let mut stacks = image.stage.instructions.clone().filter_map(|index| {
        let instruction = &dockerfile.instructions()[index];
        let from = instruction.flags.iter().find(|flag| flag.name == "from" && instruction.keyword == Keyword::Copy)?;
        stage_stack(dockerfile, dockerfile.stage(from.value.as_deref()?)?)
    });
    let first = stacks.next()?;
    (first.is_compiled() && stacks.all(|stack| stack == first)).then_some(first)
}

/// What an image is made for, by its name; variants have their words behind a dash or a number.
fn of_base(base: &Reference) -> Option<Stack> {
    const NAMES: [(&str, Stack); 27] = [
        ("golang", Stack::Go),
        ("node", Stack::Node),
        ("nodejs", Stack::Node),
        ("python", Stack::Python),
        ("java", Stack::Java),
        ("openjdk", Stack::Java),
        ("jdk", Stack::Java),
        ("jre", Stack::Java),
        ("eclipse-temurin", Stack::Java),
        ("temurin", Stack::Java),
        ("adoptopenjdk", Stack::Java),
        ("amazoncorretto", Stack::Java),
        ("zulu-openjdk", Stack::Java),
        ("liberica-openjdk", Stack::Java),
        ("ibm-semeru-runtimes", Stack::Java),
        ("sapmachine", Stack::Java),
        ("ibmjava", Stack::Java),
        ("maven", Stack::Java),
        ("gradle", Stack::Java),
        ("tomcat", Stack::Java),
        ("jetty", Stack::Java),
        ("rust", Stack::Rust),
        ("php", Stack::Php),
        ("composer", Stack::Php),
        ("ruby", Stack::Ruby),
        ("dotnet", Stack::DotNet),
        ("aspnetcore", Stack::DotNet),
    ];
    if base.repository().starts_with("dotnet/") {
        return Some(Stack::DotNet);
    }
    let last = file_name(base.repository());
    let is_named = |name: &str| {
        let rest = last.strip_prefix(name)?;
        (!rest.starts_with(|c: char| c.is_ascii_alphabetic()) && !rest.contains("exporter")).then_some(())
    };
    NAMES.iter().find(|(name, _)| is_named(name).is_some()).map(|(_, stack)| *stack)
}

/// The first program of a command line, without what only starts another one: a shell, an init process, assignments.
fn program(argv: &[String]) -> Option<&str> {
    let words = argv.iter().flat_map(|word| word.split_whitespace());
    words
        .skip_while(|word| {
            word.starts_with('-')
                || word.contains('=')
                || matches!(
                    file_name(word),
                    "sh" | "bash" | "ash" | "env" | "exec" | "tini" | "dumb-init" | "catatonit" | "gosu"
                )
        })
        .map(file_name)
        .next()
}

fn by_program(argv: &[String]) -> Option<Stack> {
    Some(match program(argv)? {
        "java" | "catalina.sh" => Stack::Java,
        "dotnet" => Stack::DotNet,
        "php" | "php-fpm" => Stack::Php,
        "ruby" | "rails" | "bundle" | "puma" | "rackup" | "unicorn" | "sidekiq" => Stack::Ruby,
        "node" | "npm" | "npx" | "yarn" | "pnpm" => Stack::Node,
        "python" | "python3" | "gunicorn" | "uvicorn" | "hypercorn" | "flask" | "celery" => Stack::Python,
        _ => return None,
    })
}

/// Where a program comes from that is started by its path.
enum Origin<'a> {
    Stage(&'a Stage),
    Context,
}

/// What brings the program that the image starts, where a single COPY does.
fn origin_of_program<'a>(image: &ImageFacts<'a>) -> Option<Origin<'a>> {
    let argv = image.argv();
    let name = program(&argv)?;
    let dockerfile = image.dockerfile;
    let brings = |index: &usize| {
        let instruction = &dockerfile.instructions()[*index];
        instruction.keyword == Keyword::Copy
            && dockerfile.copy_words(instruction).is_some_and(|(sources, to)| {
                sources.iter().map(String::as_str).chain([to.as_str()]).any(|path| file_name(path) == name)
            })
    };
    let mut found = image.stage.instructions.clone().filter(brings);
    let index = found.next().filter(|_| found.next().is_none())?;
    match dockerfile.instructions()[index].flag("from") {
        Some(flag) => dockerfile.stage(flag.value.as_deref()?).map(Origin::Stage),
        None => Some(Origin::Context),
    }
}

/// The one compiled language that the files of a folder belong to.
fn by_module(tree: &Tree, folder: &str) -> Option<Stack> {
    let has = |name: &str| join(folder, name).is_some_and(|path| tree.has(&path));
    match (has("go.mod"), has("Cargo.toml")) {
        (true, false) => Some(Stack::Go),
        (false, true) => Some(Stack::Rust),
        _ => None,
    }
}

fn stage_stack(dockerfile: &Dockerfile, stage: &Stage) -> Option<Stack> {
    let first = *dockerfile.chain(stage).last()?;
    if let Base::Image { reference, .. } = &first.base
        && let Some(stack) = Reference::parse(reference).ok().as_ref().and_then(of_base)
        && stack.is_compiled()
    {
        return Some(stack);
    }
    by_commands(dockerfile, dockerfile.effective(stage).into_iter())
}

fn by_commands(dockerfile: &Dockerfile, instructions: impl Iterator<Item = usize>) -> Option<Stack> {
    let mut found = None;
    for index in instructions {
        for command in dockerfile.shell_commands(&dockerfile.instructions()[index]).unwrap_or_default() {
            let stack = match words(&command).as_slice() {
                ["go", "build" | "install", ..] => Stack::Go,
                ["npm", "install" | "ci" | "i", ..] | ["yarn", ..] | ["pnpm", ..] => Stack::Node,
                ["pip" | "pip3", "install", ..] | ["python" | "python3", "-m", "pip", "install", ..] => Stack::Python,
                ["mvn" | "./mvnw" | "gradle" | "./gradlew" | "javac", ..] => Stack::Java,
                ["cargo", "build" | "install", ..] => Stack::Rust,
                ["dotnet", "publish" | "build", ..] => Stack::DotNet,
                ["composer", "install", ..] | ["docker-php-ext-install", ..] => Stack::Php,
                ["bundle", "install", ..] | ["gem", "install", ..] => Stack::Ruby,
                _ => continue,
            };
            match found {
                Some(other) if other != stack => return None,
                _ => found = Some(stack),
            }
        }
    }
    found
}

/// The words of a command; one that is no literal is an empty string.
pub(super) fn words(command: &ShellCommand) -> Vec<&str> {
    command.words.iter().map(|word| word.literal.as_deref().unwrap_or_default()).collect()
}
