#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::dockerfile::{Dockerfile, Instruction, Keyword, Operation, ShellCommand, Word};
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts};
use crate::source::Span;

static METADATA: Metadata = Metadata {
    number: 7,
    id: "build-without-sudo",
    title: "Run build commands as root without sudo",
    why: "Where the build is root already, sudo does nothing but start the command. Once privileges may not be gained, it would not even do that.",
    readme: include_str!("README.md"),
};

/// Takes sudo away from build commands that root runs.
pub(super) struct BuildWithoutSudo;

/// Programs of the system. sudo starts each with a short list of variables and its own search path, of which these make nothing.
const PROGRAMS: [&str; 27] = [
    "apt",
    "apt-get",
    "apk",
    "yum",
    "dnf",
    "microdnf",
    "dpkg",
    "rpm",
    "mkdir",
    "chown",
    "chgrp",
    "chmod",
    "rm",
    "cp",
    "mv",
    "ln",
    "install",
    "touch",
    "tee",
    "useradd",
    "adduser",
    "groupadd",
    "addgroup",
    "usermod",
    "ldconfig",
    "update-ca-certificates",
    "locale-gen",
];

impl Transform for BuildWithoutSudo {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        let Some(image) = &application.image else { return Vec::new() };
        let chain = image.dockerfile.effective(image.stage);
        chain
            .into_iter()
            .filter(|index| image.stage.instructions.contains(index))
            .filter_map(|index| plan_run(image, index))
            .collect()
    }
}

fn plan_run(image: &ImageFacts<'_>, index: usize) -> Option<Proposal> {
    let dockerfile = image.dockerfile;
    let instruction = &dockerfile.instructions()[index];
    let commands = (instruction.keyword == Keyword::Run).then(|| dockerfile.shell_commands(instruction)).flatten()?;
    let with_sudo: Vec<&ShellCommand> = commands.iter().filter(|command| command.name() == Some("sudo")).collect();
    let first = with_sudo.first()?;
    let subject = Subject { file: image.file, offset: first.span.start, label: "sudo".to_owned() };
    let declined = |detail: String| Some(Proposal::declined(subject.clone(), SkipReason::UnaccountedCommand, detail));
    if !is_root_at(image, index) {
        return declined("the build is not known to be root here".to_owned());
    }
    if let Some((place, name)) = sets_variable(image, index) {
        return declined(format!("{place} sets {name}, which sudo does not hand on"));
    }
    if let Some(text) = commands.iter().find_map(changes_surroundings) {
        return declined(format!("`{}` changes what a command without sudo would find", text.escape_debug()));
    }
    let mut change = Change::default();
    for command in with_sudo {
        let Some(span) = to_remove(dockerfile, instruction, command) else {
            let text = command.span.of(dockerfile.text()).lines().next().unwrap_or_default();
            return declined(format!("what sudo does to `{}` is not known", text.escape_debug()));
        };
        change.dockerfile(image.file, [Operation::Replace { span, text: String::new() }]);
    }
    Some(Proposal::change(subject, change, &[], "the build is root here"))
}

/// `sudo` and the blanks behind it, where a program of the system follows on the same line.
fn to_remove(dockerfile: &Dockerfile, instruction: &Instruction, command: &ShellCommand) -> Option<Span> {
    let [sudo, program, ..] = command.words.as_slice() else { return None };
    let known = program.literal.as_deref().is_some_and(|name| PROGRAMS.contains(&name));
    let span = Span::new(sudo.span.start, program.span.start);
    let is_plain = span
        .of(dockerfile.text())
        .strip_prefix("sudo")
        .is_some_and(|blanks| blanks.trim_matches([' ', '\t']).is_empty());
    (known && is_plain && command.assignments.is_empty() && instruction.heredocs.is_empty()).then_some(span)
}

/// Whether the build is root at an instruction, by the last USER above it or by the base.
fn is_root_at(image: &ImageFacts<'_>, index: usize) -> bool {
    let dockerfile = image.dockerfile;
    let is_user = |other: &usize| *other < index && dockerfile.instructions()[*other].keyword == Keyword::User;
    let user = dockerfile.effective(image.stage).into_iter().rfind(is_user);
    match user {
        Some(user) => {
            let written = dockerfile.arguments(&dockerfile.instructions()[user]);
            matches!(written.split(':').next().map(str::trim), Some("root" | "0"))
        }
        None => image.known_base.is_some_and(|base| base.user.is_none()),
    }
}

/// Whether a program of the system, its loader or its interpreter reads a variable that sudo takes out or replaces
/// (<https://www.sudo.ws/docs/man/sudoers.man/#Command_environment>).
fn is_read(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    name == "PATH" || ["LD_", "PERL", "PYTHON"].iter().any(|start| name.starts_with(start)) || upper.ends_with("_PROXY")
}

/// An ENV or ARG above that sets such a variable, and its name.
fn sets_variable(image: &ImageFacts<'_>, index: usize) -> Option<(String, String)> {
    let dockerfile = image.dockerfile;
    let above = dockerfile.effective(image.stage).into_iter().filter(|other| *other < index);
    above.into_iter().find_map(|other| {
        let instruction = &dockerfile.instructions()[other];
        let is_setting = matches!(instruction.keyword, Keyword::Env | Keyword::Arg);
        let pair = dockerfile.pairs(instruction).into_iter().filter(|_| is_setting).find(|pair| is_read(&pair.key))?;
        Some((image.place(other).to_string(), pair.key.escape_debug().to_string()))
    })
}

/// What a command does to those behind it: a variable of that kind, a mask (sudo has one of its own), another meaning of words.
fn changes_surroundings(command: &ShellCommand) -> Option<String> {
    let sets = |word: &Word| word.written.split_once('=').is_some_and(|(name, _)| is_read(name));
    let variables = match command.name() {
        None if command.words.is_empty() => &command.assignments,
        Some("export" | "declare" | "typeset" | "readonly") => &command.words,
        Some("umask" | "ulimit" | "alias" | "source" | "." | "eval") => {
            return command.words.first().map(|word| word.written.clone());
        }
        _ => return None,
    };
    variables.iter().find(|word| sets(word)).and_then(|word| word.written.split('=').next().map(str::to_owned))
}
