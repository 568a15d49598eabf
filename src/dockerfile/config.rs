//! What the instructions of a stage add up to: the configuration of the image it builds, as far as this file says.

use super::Dockerfile;
use super::arguments::{self, Json};
use super::instruction::{Instruction, Keyword};
use super::line::LogicalLine;
use super::parse::logical_arguments;
use super::scope::Scope;
use super::stage::{Base, Stage};
use std::borrow::Cow;
use std::collections::HashSet;

/// More ports than exist in one protocol are not listed.
const MOST_PORTS: usize = 1 << 16;

/// How `CMD`, `ENTRYPOINT` and `RUN` are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandForm {
    /// A JSON array.
    Exec(Vec<String>),
    /// A command line for the shell, continuations joined, comments removed.
    Shell(String),
}

impl Dockerfile {
    /// The argument of the last `USER` in force, variables expanded where their value is known, and the index of its instruction.
    /// Where one is not known the argument stays as written.
    pub fn user(&self, stage: &Stage) -> Option<(Cow<'_, str>, usize)> {
        let index = self.last(stage, Keyword::User)?;
        let written = self.arguments(&self.instructions[index]);
        match self.expand(stage, index, &written) {
            Some(expanded) => Some((Cow::Owned(expanded), index)),
            None => Some((written, index)),
        }
    }

    /// The working directory at the end of the stage as far as this file says: absolute, or relative to the base's. `None` when nothing
    /// sets it, `Err` with the text as written when a variable in it is unknown.
    pub fn workdir(&self, stage: &Stage) -> Option<Result<String, String>> {
        self.workdir_at(stage, usize::MAX)
    }

    /// The working directory in force at an instruction of the stage, likewise.
    pub fn workdir_at(&self, stage: &Stage, instruction: usize) -> Option<Result<String, String>> {
        let scratch = self.chain(stage).last().is_some_and(|root| root.base == Base::Scratch);
        let mut scope = Scope::new(self, stage);
        let mut workdir: Option<Result<String, String>> = None;
        for index in self.effective(stage).into_iter().take_while(|index| *index != instruction) {
            let entered = &self.instructions[index];
            scope.enter(entered);
            if entered.keyword != Keyword::Workdir {
                continue;
            }
            let written = self.arguments(entered);
            workdir = Some(match (scope.expand(&written), workdir) {
                (None, _) => Err(written.into_owned()),
                (Some(path), _) if is_absolute(&path) => Ok(cleaned(&path)),
                (Some(_), Some(Err(unknown))) => Err(format!("{unknown}/{written}")),
                (Some(path), Some(Ok(before))) => Ok(cleaned(&format!("{before}/{path}"))),
                (Some(path), None) if scratch => Ok(cleaned(&format!("/{path}"))),
                (Some(path), None) => Ok(cleaned(&path)),
            });
        }
        workdir
    }

    /// Ports of EXPOSE in force: number and protocol (`tcp` when none is written), ranges spelled out, none twice. Variables are expanded
    /// where known; unknown ones are left out.
    pub fn ports(&self, stage: &Stage) -> Vec<(u16, String)> {
        let mut scope = Scope::new(self, stage);
        let mut ports = Vec::new();
        let mut seen = HashSet::new();
        for index in self.effective(stage) {
            let entered = &self.instructions[index];
            scope.enter(entered);
            if entered.keyword != Keyword::Expose {
                continue;
            }
            let written = self.arguments(entered);
            for word in arguments::whitespace_separated(&written) {
                let Some(expanded) = scope.expand(&written[word]) else { continue };
                for (first, last, protocol) in expanded.split_whitespace().filter_map(port_range) {
                    if !seen.insert((first, last, protocol.clone())) {
                        continue;
                    }
                    for port in first..=last {
                        if ports.len() < MOST_PORTS && (first == last || seen.insert((port, port, protocol.clone()))) {
                            ports.push((port, protocol.clone()));
                        }
                    }
                }
            }
        }
        ports
    }

    /// `CMD` in force, with the index of its instruction. An ENTRYPOINT set later in the chain than CMD's stage resets an inherited CMD.
    pub fn cmd(&self, stage: &Stage) -> Option<(CommandForm, usize)> {
        let mut cmd = None;
        for stage in self.chain(stage).into_iter().rev() {
            let mut own = false;
            for index in stage.instructions.clone() {
                match self.instructions[index].keyword {
                    Keyword::Cmd => {
                        cmd = Some(index);
                        own = true;
                    }
                    Keyword::Entrypoint if !own => cmd = None,
                    _ => {}
                }
            }
        }
        let index = cmd?;
        Some((self.certain_command(&self.instructions[index]), index))
    }

    /// `ENTRYPOINT` in force, with the index of its instruction.
    pub fn entrypoint(&self, stage: &Stage) -> Option<(CommandForm, usize)> {
        let index = self.last(stage, Keyword::Entrypoint)?;
        Some((self.certain_command(&self.instructions[index]), index))
    }

    /// The command of an instruction that has one; as newer versions of BuildKit read it where versions differ.
    fn certain_command(&self, instruction: &Instruction) -> CommandForm {
        self.command(instruction).unwrap_or_else(|| CommandForm::Shell(self.arguments(instruction).into_owned()))
    }

    /// The `SHELL` in force at an instruction; `None` is the default of the platform, `/bin/sh -c`, or what the base image sets.
    pub fn shell(&self, instruction: usize) -> Option<Vec<String>> {
        let index = self.shells.get(instruction).copied().flatten()?;
        match self.command(&self.instructions[index]) {
            Some(CommandForm::Exec(words)) => Some(words),
            _ => None,
        }
    }

    /// The paths of `VOLUME` in force, in order, none twice; variables are expanded where known, others stay as written.
    pub fn volumes(&self, stage: &Stage) -> Vec<String> {
        self.declared_volumes(stage).into_iter().map(|(_, path)| path).collect()
    }

    /// The same, each with the index of the instruction that declares it first.
    pub fn declared_volumes(&self, stage: &Stage) -> Vec<(usize, String)> {
        let mut scope = Scope::new(self, stage);
        let mut volumes = Vec::new();
        let mut seen = HashSet::new();
        for index in self.effective(stage) {
            let entered = &self.instructions[index];
            scope.enter(entered);
            if entered.keyword != Keyword::Volume {
                continue;
            }
            let written = self.arguments(entered);
            let words: Vec<String> = match arguments::json(&written) {
                Json::Strings(words) => words,
                _ => {
                    arguments::whitespace_separated(&written).into_iter().map(|word| written[word].to_owned()).collect()
                }
            };
            for word in words {
                let path = scope.expand(&word).unwrap_or(word);
                if seen.insert(path.clone()) {
                    volumes.push((index, path));
                }
            }
        }
        volumes
    }

    /// The index of the `HEALTHCHECK` in force.
    pub fn healthcheck(&self, stage: &Stage) -> Option<usize> {
        self.last(stage, Keyword::Healthcheck)
    }

    /// Form and content of a CMD, ENTRYPOINT, RUN or SHELL (or the CMD part of HEALTHCHECK). `None` for other instructions, and for a JSON
    /// array with something behind it, which is exec form to some versions of BuildKit and shell form to others.
    pub fn command(&self, instruction: &Instruction) -> Option<CommandForm> {
        let written = self.arguments(instruction);
        let command = match instruction.keyword {
            Keyword::Cmd | Keyword::Entrypoint | Keyword::Run | Keyword::Shell => &*written,
            Keyword::Healthcheck => {
                let (kind, start) = arguments::healthcheck(&written);
                kind.eq_ignore_ascii_case("CMD").then(|| &written[start..])?
            }
            _ => return None,
        };
        Some(match arguments::json(command) {
            Json::Strings(words) => CommandForm::Exec(words),
            Json::OtherThanStrings | Json::No => CommandForm::Shell(command.to_owned()),
            Json::Followed => return None,
        })
    }

    /// The arguments of an instruction on one line: continuations joined, comments between them left out.
    pub fn arguments(&self, instruction: &Instruction) -> Cow<'_, str> {
        let Some(line) = LogicalLine::of_instruction(&self.text, instruction.span, self.escape) else {
            return Cow::Borrowed("");
        };
        let range = logical_arguments(&line, instruction);
        match line.text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
            Cow::Owned(text) => Cow::Owned(text[range].to_owned()),
        }
    }

    fn last(&self, stage: &Stage, keyword: Keyword) -> Option<usize> {
        self.effective(stage).into_iter().rfind(|index| self.instructions[*index].keyword == keyword)
    }
}

fn is_absolute(path: &str) -> bool {
    let mut characters = path.chars();
    let drive = characters.next().is_some_and(|letter| letter.is_ascii_alphabetic()) && characters.next() == Some(':');
    path.starts_with(['/', '\\']) || drive
}

/// The path without empty parts, `.`, and `..` that can be resolved.
fn cleaned(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// First and last port and the protocol of one word of `EXPOSE`: `8080`, `53/udp`, `8000-8010`. A host address or port before it, which
/// Docker reads and drops, is dropped.
fn port_range(word: &str) -> Option<(u16, u16, String)> {
    let (ports, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = if protocol.is_empty() { "tcp" } else { protocol };
    let ports = ports.rsplit(':').next().unwrap_or(ports);
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then(|| (first, last, protocol.to_ascii_lowercase()))
}
