//! A proof for a reader: what fails and what to change, what was seen of the rest, and totals that add up.

mod json;

pub use json::json;

use super::styles::{ERROR, FIXED, HEADING, PERSON, QUIET};
use crate::prove::judge::Demand;
use crate::prove::proof::{
    Build, Built, Cause, ContainerProof, Diagnosis, OldDisks, Outcome, Proof, Unbuilt, WorkloadProof,
};
use crate::prove::totals::{Conclusion, Totals};
use crate::source::printable;
use anstyle::Style;
use std::collections::BTreeSet;
use std::fmt::Write;

/// How many folders are named on the line of a workload.
const FOLDERS: usize = 4;

const NO_CAPABILITIES: &str = "no capabilities";

/// How many lines of a failure are shown, which may quote what an application answered.
const FAILURE_LINES: usize = 6;

/// How many characters of a line that is quoted are shown.
const QUOTED: usize = 200;

/// Where further lines about something begin, in characters: under its name.
const INDENT: usize = 21;

/// Workloads by file, each on a line with what was seen of it; builds where they fail. With `verbose` all builds, and the containers one by one.
pub fn text(proof: &Proof, verbose: bool) -> String {
    let mut text = String::new();
    for build in &proof.builds {
        build_lines(&mut text, build, verbose);
    }
    let mut path = "";
    for workload in &proof.workloads {
        if workload.path != path {
            path = &workload.path;
            heading(&mut text, path);
        }
        workload_lines(&mut text, workload, verbose);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&closing(proof));
    text
}

fn heading(text: &mut String, path: &str) {
    let _ = writeln!(text, "{HEADING}{}{HEADING:#}", printable(path));
}

/// One line that begins with a place, if there is one, and a word in a style.
fn line(text: &mut String, place: &str, style: Style, word: &str, rest: &str) {
    let _ = writeln!(text, "  {place:>7}  {style}{word:<8}{style:#}  {rest}");
}

fn more(text: &mut String, line: &str) {
    let _ = writeln!(text, "{:INDENT$}{}", "", printable(line));
}

fn cut(line: &str) -> String {
    let shown: String = line.chars().take(QUOTED).collect();
    if shown.len() < line.len() { format!("{shown}...") } else { shown }
}

fn build_lines(text: &mut String, build: &Build, verbose: bool) {
    let image = printable(&build.image);
    let (style, rest) = match (&build.before, &build.after) {
        (Built::No(unbuilt), _) => return unbuilt_line(text, &build.dockerfile, "does not build as found", unbuilt),
        (Built::Yes, Some(Built::No(unbuilt))) => {
            return unbuilt_line(text, &build.dockerfile, "builds as found and not hardened", unbuilt);
        }
        (Built::Yes, _) if !verbose => return,
        (Built::Yes, Some(Built::Yes)) => (FIXED, format!("{image}, as found and hardened")),
        (Built::Yes, None) => (QUIET, format!("{image}, which is not changed")),
    };
    heading(text, &build.dockerfile);
    line(text, "", style, "builds", &rest);
}

/// `api/Dockerfile:7:1: does not build as found: RUN npm ci: exit 1: npm error 404 Not Found (full log: --logs DIR)`
fn unbuilt_line(text: &mut String, dockerfile: &str, words: &str, unbuilt: &Unbuilt) {
    let place = match &unbuilt.place {
        Some((path, position)) => format!("{path}:{position}"),
        None => dockerfile.to_owned(),
    };
    // What is run in a build colours its words for terminals.
    let reason = anstream::adapter::strip_str(unbuilt.reason.trim()).to_string();
    let parts: Vec<String> = unbuilt.instruction.iter().cloned().chain([cut(&reason)]).collect();
    let rest = match &unbuilt.log {
        Some(log) => format!("full log: {log}"),
        None => "full log: --logs DIR".to_owned(),
    };
    let line = format!(
        "{HEADING}{}{HEADING:#}: {ERROR}{words}{ERROR:#}: {} ({})\n",
        printable(&place),
        printable(&parts.join(": ")),
        printable(&rest)
    );
    // One Dockerfile may be several images, which fail alike.
    if !text.ends_with(&line) {
        text.push_str(&line);
    }
}

fn workload_lines(text: &mut String, workload: &WorkloadProof, verbose: bool) {
    let place = workload.position.to_string();
    let label = printable(&workload.workload);
    match &workload.outcome {
        Outcome::Holds { demand, because } => {
            let word = match demand {
                Demand::Answers => "answers",
                Demand::StaysUp => "stays up",
            };
            let mut seen = seen(&workload.before, &workload.after);
            match workload.old_disks {
                Some(OldDisks::Holds) => seen.push_str("; on its old disks too"),
                Some(OldDisks::Starts) => seen.push_str("; starts on its old disks too"),
                Some(OldDisks::Void { .. }) | None => {}
            }
            let separator = if seen.is_empty() { "" } else { ": " };
            line(text, &place, FIXED, word, &format!("{label}{separator}{seen}"));
            if let Some(because) = because {
                more(text, &format!("no more was asked: {because}"));
            }
            if let Some(OldDisks::Void { reason }) = &workload.old_disks {
                more(
                    text,
                    &format!("on new disks only; as found it fails already on those that it wrote: {}", cut(reason)),
                );
            }
        }
        Outcome::Breaks(diagnosis) => {
            let container =
                diagnosis.container.as_ref().map(|name| format!("/{}", printable(name))).unwrap_or_default();
            let subject = format!("{label}{container}: [{}]", code(diagnosis.cause));
            failure_lines(text, &place, (ERROR, "breaks"), &subject, &diagnosis.failure);
            diagnosis_lines(text, diagnosis);
        }
        Outcome::Void { reason } => {
            failure_lines(text, &place, (PERSON, "fails"), &format!("{label}: as found already:"), reason);
        }
        Outcome::NotRun { reason } => {
            failure_lines(text, &place, (PERSON, "not run"), &format!("{label}:"), reason);
        }
    }
    if !workload.missing.is_empty() {
        more(text, &format!("not in the tree: {}", workload.missing.join(", ")));
    }
    // What a workload that breaks ran under is what one looks for.
    if verbose || matches!(workload.outcome, Outcome::Breaks(_)) {
        for (state, containers) in [("as found", &workload.before), ("hardened", &workload.after)] {
            containers.iter().for_each(|container| more(text, &format!("{state}: {}", in_full(container, verbose))));
        }
    }
}

/// What went wrong begins behind the subject; further lines of it stand below.
fn failure_lines(text: &mut String, place: &str, (style, word): (Style, &str), subject: &str, failure: &str) {
    let mut lines = failure.lines().map(str::trim).filter(|line| !line.is_empty()).map(cut);
    let first = lines.next().unwrap_or_default();
    line(text, place, style, word, &format!("{subject} {}", printable(&first)));
    lines.by_ref().take(FAILURE_LINES - 1).for_each(|line| more(text, &line));
    if lines.next().is_some() {
        more(text, "...");
    }
}

fn diagnosis_lines(text: &mut String, diagnosis: &Diagnosis) {
    if !diagnosis.unwritable.is_empty() {
        more(text, &format!("could not write: {}", diagnosis.unwritable.join(", ")));
    }
    let place = match &diagnosis.place {
        Some((path, position)) => format!("{path}:{position}: "),
        None => String::new(),
    };
    let _ = writeln!(
        text,
        "{:INDENT$}{PERSON}to change{PERSON:#}: {}",
        "",
        printable(&format!("{place}{}", diagnosis.remedy))
    );
}

/// The code of a cause, as `--json` has it.
fn code(cause: Cause) -> String {
    serde_json::to_value(cause).ok().and_then(|code| code.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What was seen of all containers of a workload, on one line: `0:0 -> 1000:0; 14 capabilities -> none`.
fn seen(before: &[ContainerProof], after: &[ContainerProof]) -> String {
    if after.is_empty() {
        return String::new();
    }
    let users = |containers: &[ContainerProof]| {
        let users: BTreeSet<(u32, u32)> = containers.iter().map(|container| (container.uid, container.gid)).collect();
        users.iter().map(|(uid, gid)| format!("{uid}:{gid}")).collect::<Vec<_>>().join(", ")
    };
    let capabilities = |containers: &[ContainerProof]| {
        let names: BTreeSet<&String> = containers.iter().flat_map(|container| &container.capabilities).collect();
        if containers.is_empty() { String::new() } else { in_short(&names) }
    };
    let change = |of: &dyn Fn(&[ContainerProof]) -> String| match (of(before), of(after)) {
        (before, after) if before == after || before.is_empty() => after,
        (before, after) if after == NO_CAPABILITIES => format!("{before} -> none"),
        (before, after) => format!("{before} -> {after}"),
    };
    let mut parts = vec![change(&users), change(&capabilities)];
    if after.iter().all(|container| container.read_only_root) {
        parts.push("read-only root".to_owned());
    }
    for (containers, words) in [(after, "writes to"), (before, "as found it wrote to")] {
        let folders: BTreeSet<&String> = containers.iter().flat_map(|container| &container.writes).collect();
        if !folders.is_empty() {
            parts.push(format!("{words} {}", listed(&folders)));
        }
    }
    match after.iter().map(|container| container.restarts).sum() {
        0 => {}
        number => parts.push(restarts(number)),
    }
    if !after.iter().all(|container| container.seen) {
        parts.push("as asked for, not seen".to_owned());
    }
    printable(&parts.join("; "))
}

/// Up to three by name.
fn in_short(capabilities: &BTreeSet<&String>) -> String {
    match capabilities.len() {
        0 => NO_CAPABILITIES.to_owned(),
        1..=3 => capabilities.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" "),
        several => format!("{several} capabilities"),
    }
}

fn restarts(number: u32) -> String {
    if number == 1 { "1 restart".to_owned() } else { format!("{number} restarts") }
}

/// The first of them, and how many more there are.
fn listed(folders: &BTreeSet<&String>) -> String {
    let first: Vec<&str> = folders.iter().take(FOLDERS).map(|folder| folder.as_str()).collect();
    match folders.len().saturating_sub(FOLDERS) {
        0 => first.join(", "),
        rest => format!("{} and {rest} more", first.join(", ")),
    }
}

/// What was seen of one container; every capability by its name where `verbose`.
fn in_full(container: &ContainerProof, verbose: bool) -> String {
    let names = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut parts = vec![format!("{}:{}", container.uid, container.gid)];
    if !container.groups.is_empty() {
        let groups: Vec<String> = container.groups.iter().map(u32::to_string).collect();
        parts.push(format!("groups {}", groups.join(" ")));
    }
    parts.push(match container.capabilities.is_empty() {
        false if verbose => names(&container.capabilities).replace(", ", " "),
        _ => in_short(&container.capabilities.iter().collect()),
    });
    if container.read_only_root {
        parts.push("read-only root".to_owned());
    }
    if !container.writes.is_empty() {
        parts.push(format!("wrote to {}", names(&container.writes)));
    }
    if container.restarts > 0 {
        parts.push(restarts(container.restarts));
    }
    if !container.seen {
        parts.push("as asked for, not seen".to_owned());
    }
    format!("{} ({}): {}", container.container, container.image, parts.join("; "))
}

/// The totals, and what they come to.
fn closing(proof: &Proof) -> String {
    let mut text = String::new();
    if !proof.builds.is_empty() {
        let _ = writeln!(text, "{}", images(&proof.builds));
    }
    let _ = writeln!(text, "{}", Totals::of(proof).in_words());
    let engine = printable(&proof.engine);
    let _ = match Conclusion::of(proof) {
        Conclusion::Holds => writeln!(text, "{FIXED}what could be judged holds{FIXED:#} with {engine}"),
        Conclusion::Breaks => writeln!(text, "{ERROR}what works as found breaks{ERROR:#} with {engine}"),
        Conclusion::DoesNotBuild => {
            writeln!(text, "{ERROR}not all could be judged{ERROR:#} with {engine}: something does not build as found")
        }
        Conclusion::NothingProved => writeln!(text, "{PERSON}nothing was proved{PERSON:#} with {engine}"),
    };
    text
}

fn images(builds: &[Build]) -> String {
    let (mut build, mut breaks, mut fails) = (0, 0, 0);
    for built in builds {
        match (&built.before, &built.after) {
            (Built::No(_), _) => fails += 1,
            (Built::Yes, Some(Built::No(_))) => breaks += 1,
            (Built::Yes, _) => build += 1,
        }
    }
    let parts: Vec<String> = [
        (build, "builds", "build"),
        (breaks, "builds as found only", "build as found only"),
        (fails, "does not build as found", "do not build as found"),
    ]
    .into_iter()
    .filter(|(number, ..)| *number > 0)
    .map(|(number, one, several)| format!("{number} {}", if number == 1 { one } else { several }))
    .collect();
    let noun = if builds.len() == 1 { "image" } else { "images" };
    format!("{} {noun}: {}", builds.len(), parts.join(", "))
}
