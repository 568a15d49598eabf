//! What others make of a Dockerfile: another parser, and bash for what RUN holds.

use parse_dockerfile::{Command as Form, Instruction};
use std::collections::BTreeSet;
use std::process::Command;

/// What the other parser says of a Dockerfile that it does not accept.
pub(crate) fn refusal(text: &str) -> Option<String> {
    parse_dockerfile::parse(text).err().map(|error| error.to_string())
}

/// The scripts of RUN that bash cannot read. Those of other shells and here-documents are left out.
pub(crate) fn unreadable_scripts(text: &str) -> BTreeSet<String> {
    let Ok(dockerfile) = parse_dockerfile::parse(text) else { return BTreeSet::new() };
    if dockerfile.instructions.iter().any(|instruction| matches!(instruction, Instruction::Shell(_))) {
        return BTreeSet::new();
    }
    let scripts = dockerfile.instructions.iter().filter_map(|instruction| match instruction {
        Instruction::Run(run) if run.here_docs.is_empty() => match &run.arguments {
            Form::Shell(script) => Some(joined(script.value)),
            _ => None,
        },
        _ => None,
    });
    scripts.filter(|script| !bash_reads(script)).collect()
}

/// The lines that are comments, in order.
pub(crate) fn comments(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| line.starts_with('#')).collect()
}

/// One line, as BuildKit hands it to the shell: without comments and what continues a line.
fn joined(script: &str) -> String {
    let lines = script.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    lines.map(|line| line.trim_end().strip_suffix('\\').unwrap_or(line)).collect()
}

fn bash_reads(script: &str) -> bool {
    let checked = Command::new("bash").args(["-n", "-c", script]).output().unwrap();
    checked.status.success()
}
