//! The language of an application, by the bases and commands of its Dockerfile.

use super::ImageFacts;
use crate::dockerfile::{Base, Dockerfile, Keyword, ShellCommand, Stage};
use crate::image::{Ids, KnownImages, Reference};
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
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Go => "Go",
            Self::Node => "Node.js",
            Self::Python => "Python",
        })
    }
}

/// The stack of the deployed stage: by its base, else by what its RUN commands install or build, else, on a base without a shell, by the stage
/// its files come from.
pub(super) fn detect(image: &ImageFacts<'_>, images: &KnownImages) -> Option<Stack> {
    if let Some(base) = &image.base {
        let last = base.repository().rsplit('/').next().unwrap_or_default();
        for (prefix, stack) in [("golang", Stack::Go), ("node", Stack::Node), ("python", Stack::Python)] {
            if last.starts_with(prefix) {
                return Some(stack);
            }
        }
    }
    let own: Vec<usize> = image.dockerfile.effective(image.stage);
    if let Some(stack) = by_commands(image.dockerfile, own.into_iter()) {
        return Some(stack);
    }
    // The files of a stage without commands of its own come from the stages it copies from.
    let mut stacks = image.stage.instructions.clone().filter_map(|index| {
        let instruction = &image.dockerfile.instructions()[index];
        let from = instruction.flags.iter().find(|flag| flag.name == "from" && instruction.keyword == Keyword::Copy)?;
        let stage = image.dockerfile.stage(from.value.as_deref()?)?;
        stage_stack(image.dockerfile, stage, images)
    });
    let first = stacks.next()?;
    // Only a compiled language can be told by its builder: a front-end built by Node.js is served by something else.
    (first == Stack::Go && stacks.all(|stack| stack == first)).then_some(first)
}

fn stage_stack(dockerfile: &Dockerfile, stage: &Stage, images: &KnownImages) -> Option<Stack> {
    let first = *dockerfile.chain(stage).last()?;
    if let Base::Image { reference, .. } = &first.base
        && let Ok(reference) = Reference::parse(reference)
        && images.find(&reference).is_some_and(|known| known.name == "golang")
    {
        return Some(Stack::Go);
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

/// The numbers of an account that a RUN of the stage creates with an explicit uid; the group's number only when it is as explicit.
pub(super) fn created_account(image: &ImageFacts<'_>, name: &str) -> Option<Ids> {
    let commands = image.dockerfile.effective(image.stage).into_iter().filter_map(|index| {
        let instruction = &image.dockerfile.instructions()[index];
        (instruction.keyword == Keyword::Run).then(|| image.dockerfile.shell_commands(instruction)).flatten()
    });
    let commands: Vec<ShellCommand> = commands.flatten().collect();
    let mut found = None;
    for command in &commands {
        let words = words(command);
        let program = words.first().copied().unwrap_or_default();
        if !matches!(program, "useradd" | "adduser") || !words.contains(&name) {
            continue;
        }
        let uid: u32 = option(&words, &["-u", "--uid"])?.parse().ok()?;
        let group = option(&words, &["-g", "--gid", "-G", "--ingroup"]);
        let gid = match group {
            Some(group) => group.parse().ok().or_else(|| created_group(&commands, group))?,
            // Debian's useradd and adduser make a group of the user's name, and give it the uid's number only when that is free.
            None => created_group(&commands, name).unwrap_or(uid),
        };
        found = Some(Ids { uid, gid });
    }
    found.filter(|ids| ids.uid != 0)
}

fn created_group(commands: &[ShellCommand], name: &str) -> Option<u32> {
    if name == "root" {
        return Some(0);
    }
    commands.iter().find_map(|command| {
        let words = words(command);
        let creates = matches!(words.first().copied(), Some("groupadd" | "addgroup")) && words.contains(&name);
        creates.then(|| option(&words, &["-g", "--gid"])?.parse().ok()).flatten()
    })
}

/// The value of an option, as `-u 5`, `--uid 5` or `--uid=5`.
pub(super) fn option<'w>(words: &[&'w str], names: &[&str]) -> Option<&'w str> {
    for (at, word) in words.iter().enumerate() {
        if names.contains(word) {
            return words.get(at + 1).copied();
        }
        if let Some((name, value)) = word.split_once('=')
            && names.contains(&name)
        {
            return Some(value);
        }
    }
    None
}
