//! The ledger: every finding by file, and totals that add up.

use super::styles::{ERROR, FIXED, HEADING, PERSON, QUIET};
use crate::cli::Mode;
use crate::error::{Finding, Outcome};
use crate::pipeline::Run;
use crate::source::printable;
use std::fmt::Write;

/// Findings by file, then the files that were left alone as a whole. What already is right is shown only when `verbose`.
pub fn ledger(run: &Run, mode: &Mode, verbose: bool) -> String {
    let mut text = String::new();
    let mut path = "";
    for finding in &run.findings {
        if !verbose && matches!(finding.outcome, Outcome::AlreadyRight { .. }) {
            continue;
        }
        if finding.path != path {
            path = &finding.path;
            let _ = writeln!(text, "{HEADING}{}{HEADING:#}", printable(path));
        }
        line(&mut text, finding, mode);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&unread(run));
    text
}

/// The files that were left alone as a whole, one line each.
pub fn unread(run: &Run) -> String {
    let mut text = String::new();
    for file in &run.unread {
        let place = file.position.map(|position| format!(":{position}")).unwrap_or_default();
        let (path, message) = (printable(&file.path), printable(&file.message));
        let _ = writeln!(text, "{path}{place}: {PERSON}not read{PERSON:#} [{}] {message}", file.code);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// The totals, and what to do next.
pub fn closing(run: &Run, mode: &Mode) -> String {
    let totals = Totals::of(run);
    let mut text = String::new();
    for failure in &run.lookup_failures {
        let _ = writeln!(text, "{ERROR}not looked up{ERROR:#}: {}", printable(failure));
    }
    if !run.lookup_failures.is_empty() {
        let _ = writeln!(
            text,
            "{QUIET}--offline asks nobody and goes on with what unroot.lock and the cache tell{QUIET:#}\n"
        );
    }
    for line in &run.not_locked {
        let _ = writeln!(text, "{ERROR}not locked{ERROR:#}: {}", printable(line));
    }
    if !run.not_locked.is_empty() {
        let _ = writeln!(text, "{QUIET}a run without --locked brings unroot.lock up to date{QUIET:#}\n");
    }
    let _ = writeln!(
        text,
        "{} in {} and {}: {FIXED}{} {}{FIXED:#}, {} already right, {} skipped, {PERSON}{} for a person{PERSON:#}",
        count(totals.all(), "finding"),
        count(run.dockerfiles, "Dockerfile"),
        count(run.manifests, "manifest"),
        totals.fixed,
        fixed_word(mode),
        totals.already_right,
        totals.skipped,
        totals.needs_person,
    );
    if !run.unread.is_empty() {
        let _ = writeln!(text, "{} not read", count(run.unread.len(), "file"));
    }
    let files = count(run.files.len(), "file");
    let _ = match mode {
        _ if run.files.is_empty() => writeln!(text, "nothing to change"),
        Mode { write: true, .. } => writeln!(text, "{files} written"),
        Mode { check: true, .. } => writeln!(text, "{files} would change"),
        Mode { patches: Some(directory), .. } => {
            writeln!(
                text,
                "{} for {files} in {}",
                count_es(run.steps.len(), "patch"),
                printable(&directory.display().to_string())
            )
        }
        _ => writeln!(text, "{files} would change; --write changes them"),
    };
    text
}

/// Nothing is called fixed that was only shown.
fn fixed_word(mode: &Mode) -> &'static str {
    if mode.write || mode.patches.is_some() { "fixed" } else { "to fix" }
}

/// How many findings ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Changed.
    pub fixed: usize,
    /// Nothing to do.
    pub already_right: usize,
    /// Left alone with a reason.
    pub skipped: usize,
    /// Left to a person.
    pub needs_person: usize,
}

impl Totals {
    /// Counts the findings of a run.
    pub fn of(run: &Run) -> Self {
        let mut totals = Self::default();
        for finding in &run.findings {
            match finding.outcome {
                Outcome::Fixed { .. } => totals.fixed += 1,
                Outcome::AlreadyRight { .. } => totals.already_right += 1,
                Outcome::Skipped { .. } => totals.skipped += 1,
                Outcome::NeedsPerson { .. } => totals.needs_person += 1,
            }
        }
        totals
    }

    /// All findings.
    pub fn all(self) -> usize {
        self.fixed + self.already_right + self.skipped + self.needs_person
    }
}

fn line(text: &mut String, finding: &Finding, mode: &Mode) {
    let place = finding.position.map(|position| position.to_string()).unwrap_or_default();
    let subject = printable(&finding.subject);
    let id = finding.transform;
    let _ = match &finding.outcome {
        Outcome::Fixed { detail, .. } => {
            let fixed = fixed_word(mode);
            writeln!(text, "  {place:>7}  {FIXED}{fixed:<7}{FIXED:#}  {id}: {subject}: {}", printable(detail))
        }
        Outcome::AlreadyRight { detail } => {
            writeln!(text, "  {place:>7}  {QUIET}right    {id}: {subject}: {}{QUIET:#}", printable(detail))
        }
        Outcome::Skipped { reason, detail } => {
            writeln!(text, "  {place:>7}  {QUIET}skipped{QUIET:#}  {id}: {subject}: [{reason}] {}", printable(detail))
        }
        Outcome::NeedsPerson { reason, detail } => {
            writeln!(text, "  {place:>7}  {PERSON}person{PERSON:#}   {id}: {subject}: [{reason}] {}", printable(detail))
        }
    };
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn count_es(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}es") }
}
