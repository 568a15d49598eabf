//! What an operator does around a container, and what is left to a parameter: of both, the file tells only that something is there.

use super::ContainerFacts;
use super::directories::is_within;
use super::identity::printable;
use super::obstacles::{Obstacle, hard, soft};
use crate::discover::file_name;
use crate::error::SkipReason;
use crate::kubernetes::{Assembly, ContainerKind};
use crate::yaml::{Kind, Node};
use std::fmt::Display;

/// Directories that every user may write to.
const OPEN: [&str; 3] = ["/tmp", "/var/tmp", "/dev"];

/// Programs that read a script as `sh` does.
const SHELLS: [&str; 5] = ["sh", "bash", "ash", "dash", "busybox"];

/// What speaks against another user of a container whose pod is assembled, or whose file holds parameters. `writable` are the container's directories.
pub(super) fn of_container(
    container: &ContainerFacts<'_>,
    place: &dyn Display,
    writable: &[String],
    found: &mut Vec<Obstacle>,
) {
    parameters(container, place, found);
    let Some(assembly) = &container.workload.assembly else { return };
    script(container, place, found);
    // The operator exchanges files with what does the work, not with what prepares it.
    if container.container.kind == ContainerKind::Regular {
        exchanged(assembly, place, writable, found);
    }
}

/// Files that the operator puts into the container or takes from it. It writes them as a user of its own, and reads what the container could write.
fn exchanged(assembly: &Assembly, place: &dyn Display, writable: &[String], found: &mut Vec<Obstacle>) {
    if let Some(path) = assembly.given.first() {
        let detail = format!("{place} is given {}, which belongs to another user", printable(path));
        found.push(soft(SkipReason::VolumeOwnership, detail));
    }
    let is_open = |path: &str| {
        OPEN.into_iter().chain(writable.iter().map(String::as_str)).any(|directory| is_within(path, directory))
    };
    if let Some(path) = assembly.taken.iter().find(|path| !is_open(path)) {
        let detail = format!("{place} leaves {} behind, where only root may be able to write", printable(path));
        found.push(soft(SkipReason::SystemDirectory, detail));
    }
}

/// A script for anything but a shell may write anywhere.
fn script(container: &ContainerFacts<'_>, place: &dyn Display, found: &mut Vec<Obstacle>) {
    if container.view.script().is_none() {
        return;
    }
    let command = container.view.command().unwrap_or_default();
    let program = command.first().map(|word| file_name(word)).unwrap_or_default();
    if !SHELLS.contains(&program) {
        let name = if program.is_empty() { "its image" } else { program };
        let detail = format!("{place} holds a script for {}, which is not understood", printable(name));
        found.push(soft(SkipReason::UnaccountedCommand, detail));
    }
}

/// Values that decide about users, commands, ports and paths, and are not known before a parameter is given.
fn parameters(container: &ContainerFacts<'_>, place: &dyn Display, found: &mut Vec<Obstacle>) {
    let parameters = &container.workload.parameters;
    let in_text = |text: &str| parameters.first_in(text).map(str::to_owned);
    let first_in = |node: Option<Node<'_>>| node.and_then(|node| first_scalar(node, &in_text));
    let own = container.view.node();
    let settings = [own.lookup("securityContext"), container.pod.security_context()];
    if let Some(written) = settings.into_iter().find_map(first_in) {
        let detail = format!("{place} has {} in its securityContext", printable(&written));
        found.push(hard(SkipReason::AuthorChoice, detail));
    }
    const DECIDING: [&str; 9] = [
        "command",
        "args",
        "source",
        "workingDir",
        "ports",
        "volumeMounts",
        "livenessProbe",
        "readinessProbe",
        "lifecycle",
    ];
    let deciding = DECIDING.into_iter().find_map(|key| Some((key.to_owned(), first_in(own.lookup(key))?)));
    let variable = || {
        let mut values = container.view.env_values().into_iter().filter(|(name, _)| names_a_place(name));
        values.find_map(|(name, value)| Some((name, in_text(&value)?)))
    };
    if let Some((key, written)) = deciding.or_else(variable) {
        let detail = format!("{place} has {} in {}, whose value is not known", printable(&written), printable(&key));
        found.push(soft(SkipReason::Parameter, detail));
    }
}

/// Whether a variable tells a program where to listen or to write.
fn names_a_place(name: &str) -> bool {
    const WORDS: [&str; 10] =
        ["DATA", "DIR", "DIRECTORY", "FILE", "FOLDER", "HOME", "LOG", "PATH", "SOCKET", "STORAGE"];
    let name = name.to_ascii_uppercase();
    super::ports::is_listening_name(&name) || name.split('_').any(|word| WORDS.contains(&word))
}

fn first_scalar(node: Node<'_>, in_text: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let node = node.resolved();
    match node.kind() {
        Kind::Scalar => in_text(&node.text()),
        Kind::Sequence => node.items().find_map(|item| first_scalar(item, in_text)),
        Kind::Mapping => node.entries().find_map(|(_, value)| first_scalar(value, in_text)),
        Kind::Alias => None,
    }
}
