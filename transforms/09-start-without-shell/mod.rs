#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::discover::{Tree, file_name};
use crate::dockerfile::{CommandForm, Instruction, Keyword, Operation};
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts, finds_text};

static METADATA: Metadata = Metadata {
    number: 9,
    id: "start-without-shell",
    title: "Start the program itself, not a shell that starts it",
    why: "A shell that is process 1 need not pass signals on, and the program is killed without having been told to stop. Where the shell only starts one \
          program, the exec form starts it without one.",
    readme: include_str!("README.md"),
};

/// Writes commands in exec form where the shell does nothing but start one program.
pub(super) struct StartWithoutShell;

/// Why a command stays as it is.
type Refusal = (SkipReason, String);

/// Programs of languages and of their frameworks. Each is a file with an interpreter or a binary, and none is a command of the shell.
const PROGRAMS: [&str; 31] = [
    "node",
    "npm",
    "npx",
    "yarn",
    "pnpm",
    "python",
    "python3",
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "daphne",
    "flask",
    "celery",
    "streamlit",
    "fastapi",
    "waitress-serve",
    "java",
    "catalina.sh",
    "dotnet",
    "php",
    "ruby",
    "rails",
    "bundle",
    "puma",
    "rackup",
    "unicorn",
    "sidekiq",
    "go",
    "tini",
    "dumb-init",
    "sleep",
];

/// Bases whose ENTRYPOINT, if they have one, starts any program that it is given.
const PLAIN_BASES: [&str; 17] = [
    "alpine",
    "amazoncorretto",
    "buildpack-deps",
    "debian",
    "eclipse-temurin",
    "golang",
    "java",
    "maven",
    "node",
    "openjdk",
    "php",
    "python",
    "ruby",
    "rust",
    "tomcat",
    "ubuntu",
    "gradle",
];

impl Transform for StartWithoutShell {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        let Some(image) = &application.image else { return Vec::new() };
        let dockerfile = image.dockerfile;
        let entrypoint = dockerfile.entrypoint(image.stage);
        let cmd = dockerfile.cmd(image.stage);
        let is_shell = |form: &CommandForm| matches!(form, CommandForm::Shell(_));
        // Beside an ENTRYPOINT in shell form, CMD is ignored.
        let wanted = match (&entrypoint, &cmd) {
            (Some((form, index)), _) if is_shell(form) => Some(*index),
            (None, Some((form, index))) if is_shell(form) => Some(*index),
            _ => None,
        };
        let Some(index) = wanted.filter(|index| image.stage.instructions.contains(index)) else { return Vec::new() };
        let instruction = &dockerfile.instructions()[index];
        let keyword = instruction.keyword.as_str();
        let subject = Subject { file: image.file, offset: instruction.span.start, label: keyword.to_owned() };
        let planned = program(image, instruction).and_then(|words| {
            let refusal = match instruction.keyword {
                Keyword::Entrypoint => appended(application, image, cmd.is_some()),
                _ => base(image),
            };
            refusal.or_else(|| relied_on(application.around.repository.tree(), image, &words)).map_or(Ok(words), Err)
        });
        match planned {
            Ok(words) => {
                let list: Vec<String> =
                    words.iter().map(|word| serde_json::Value::from(word.as_str()).to_string()).collect();
                let text = format!("[{}]", list.join(", "));
                let detail = format!(
                    "{keyword} starts {} without a shell",
                    words.first().map_or("", String::as_str).escape_debug()
                );
                let mut change = Change::default();
                change.dockerfile(image.file, [Operation::Replace { span: instruction.arguments, text }]);
                vec![Proposal::change(subject, change, &[], detail)]
            }
            Err((reason, detail)) => vec![Proposal::declined(subject, reason, detail)],
        }
    }
}

/// The words of the one program that the shell starts.
fn program(image: &ImageFacts<'_>, instruction: &Instruction) -> Result<Vec<String>, Refusal> {
    let refused = |detail: &str| (SkipReason::UnaccountedCommand, detail.to_owned());
    let dockerfile = image.dockerfile;
    let written = instruction.arguments.of(dockerfile.text());
    if written.contains('\n') {
        return Err(refused("it stands on several lines, between which comments may stand"));
    }
    let chain = dockerfile.effective(image.stage);
    if chain.iter().any(|index| dockerfile.instructions()[*index].keyword == Keyword::Shell) {
        return Err(refused("SHELL names another shell, which may be needed"));
    }
    let commands = dockerfile.shell_commands(instruction).unwrap_or_default();
    let [command] = commands.as_slice() else {
        return Err(refused("a shell is needed for more than one command, or for what only a shell understands"));
    };
    let is_all = command.span.of(dockerfile.text()) == written.trim();
    if !is_all || !command.assignments.is_empty() || !command.redirections.is_empty() {
        return Err(refused("a shell is needed for an operator, a redirection or a variable"));
    }
    let words: Option<Vec<String>> = command.words.iter().map(|word| word.literal.clone()).collect();
    let mut words = words
        .filter(|words| !words.iter().any(|word| word.starts_with('~')))
        .ok_or_else(|| refused("a shell is needed for a variable, a pattern or a substitution"))?;
    if words.first().is_some_and(|word| word == "exec") {
        words.remove(0);
    }
    let first = words.first().map(String::as_str).unwrap_or_default();
    if !PROGRAMS.contains(&file_name(first)) {
        let first = first.escape_debug();
        return Err((SkipReason::UnaccountedCommand, format!("{first} is not known to start without a shell")));
    }
    Ok(words)
}

/// What only a shell gives the program: a start without a first line that names an interpreter, a search from the working directory, the variable PWD.
fn relied_on(tree: &Tree, image: &ImageFacts<'_>, words: &[String]) -> Option<Refusal> {
    let refused = |detail: String| Some((SkipReason::UnaccountedCommand, detail));
    let first = words.first().filter(|first| first.contains('/'));
    let is_script = |path: &&str| {
        first.is_some_and(|first| file_name(path) == file_name(first))
            && tree.read(path).is_some_and(|text| !text.starts_with("#!"))
    };
    if let Some(path) = tree.below(image.directory()).find(is_script) {
        return refused(format!("{path} may be a script, and its first line names no interpreter"));
    }
    if first.is_none() && searches_here(image) {
        return refused(
            "PATH names a directory by a path from the working directory, where a runtime does not look".to_owned(),
        );
    }
    let place = finds_text(tree, image.directory(), &["env.PWD", "\"PWD\"", "'PWD'"])?;
    refused(format!("{place} is what a shell sets"))
}

/// Whether PATH holds a relative directory. What a runtime finds there it does not start
/// (<https://pkg.go.dev/os/exec#hdr-Executables_in_the_current_directory>).
fn searches_here(image: &ImageFacts<'_>) -> bool {
    let dockerfile = image.dockerfile;
    let known = dockerfile.env(image.stage);
    let is_relative = |part: &str| match part.strip_prefix('$') {
        // A variable whose value is not told is one of the base, such as GOPATH.
        Some(variable) => {
            let name: &str = variable.trim_start_matches('{').split(['}', '/']).next().unwrap_or_default();
            known.iter().any(|(key, value)| key == name && name != "PATH" && !value.starts_with('/'))
        }
        None => !part.starts_with('/'),
    };
    let instructions = dockerfile.effective(image.stage).into_iter().map(|index| &dockerfile.instructions()[index]);
    let variables = instructions.filter(|instruction| instruction.keyword == Keyword::Env);
    let mut paths = variables.flat_map(|variable| dockerfile.pairs(variable)).filter(|pair| pair.key == "PATH");
    paths.any(|pair| pair.value.as_deref().unwrap_or_default().split(':').any(is_relative))
}

/// What would be appended to an ENTRYPOINT that ignores it now.
fn appended(application: &Application<'_>, image: &ImageFacts<'_>, has_cmd: bool) -> Option<Refusal> {
    let overridden = |detail: String| Some((SkipReason::UnaccountedCommand, detail));
    if has_cmd {
        return overridden("CMD is ignored now, and would be appended".to_owned());
    }
    let with_args = application.containers.iter().find(|container| container.view.args().is_some());
    if let Some(container) = with_args {
        return overridden(format!("{} has args, which are ignored now, and would be appended", container.place()));
    }
    let service = application.around.links.services(image.file).next()?;
    overridden(format!("service {} of {} may append a command", service.name.escape_debug(), service.path))
}

/// Why it is not known what the base's ENTRYPOINT makes of a command.
fn base(image: &ImageFacts<'_>) -> Option<Refusal> {
    let is_plain = image.known_base.is_some_and(|base| {
        PLAIN_BASES.contains(&base.name.as_str()) || base.name.starts_with("mcr.microsoft.com/dotnet/")
    });
    let base = image.base_text.escape_debug();
    let detail = format!("what the ENTRYPOINT of {base} makes of a command is not known");
    (!is_plain).then_some((SkipReason::UnaccountedCommand, detail))
}
