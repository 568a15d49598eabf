//! What came out: one table with a line for each application, which README shows, and below it every run of each. Both are
//! kept in `snapshots/e2e.md`, so that a change of any verdict is seen in review.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use unroot::image::KnownImage;
use unroot::kubernetes::pod_security::Level;
use unroot::prove::judge::{Reached, Verdict};

use crate::application::Application;
use crate::bases::{self, Missing};
use crate::lab::Result;
use crate::say;

/// What came out of one application's trial.
pub(crate) struct Record {
    application: String,
    /// How many questions it is asked.
    questions: usize,
    /// The level of its weakest workload as it was found.
    before: Level,
    /// The same, hardened.
    pub(crate) after: Level,
    /// The same, hardened with `--unsafe`.
    pub(crate) after_unsafe: Level,
    /// The least that any hardened tree reached; `None` before the first.
    reached: Option<Reached>,
    /// The fewest right answers that any hardened tree gave.
    answers: usize,
    /// Where hardened containers wrote outside of every mount.
    pub(crate) writes: BTreeSet<String>,
    /// The rows of the image table that its hardened containers proved.
    pub(crate) proved: Vec<KnownImage>,
    /// Every run.
    pub(crate) rows: Vec<Row>,
}

/// One run of an application, or one container of a run.
pub(crate) struct Row {
    /// Which tree, or which container of it.
    pub(crate) what: String,
    /// What happened. Nothing in it may differ from run to run.
    pub(crate) outcome: String,
    /// Whether that is what must happen.
    pub(crate) right: bool,
}

impl Record {
    /// Nothing is hardened yet.
    pub(crate) fn new(application: &Application, before: Level) -> Self {
        Self {
            application: application.name.clone(),
            questions: application.probes.len(),
            before,
            after: before,
            after_unsafe: before,
            reached: None,
            answers: application.probes.len(),
            writes: BTreeSet::new(),
            proved: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Takes in the verdict on a hardened tree that must give these answers.
    pub(crate) fn judged(&mut self, verdict: &Verdict, expected: &[String]) {
        let (reached, answers) = match verdict {
            Verdict::Holds { bodies, .. } => {
                let right = bodies.iter().zip(expected).filter(|(body, expected)| body == expected).count();
                (Reached::Started, right)
            }
            Verdict::Fails(breakdown) => (breakdown.reached, 0),
        };
        self.reached = Some(self.reached.map_or(reached, |before| before.min(reached)));
        self.answers = self.answers.min(answers);
    }

    fn cells(&self) -> [String; 8] {
        let yes = |reached: Reached| if self.reached >= Some(reached) { "yes" } else { "no" }.to_owned();
        let list: Vec<String> = self.writes.iter().map(|folder| format!("`{folder}`")).collect();
        [
            self.application.clone(),
            yes(Reached::Built),
            yes(Reached::Started),
            format!("{} of {}", if self.reached.is_some() { self.answers } else { 0 }, self.questions),
            self.before.to_string(),
            self.after.to_string(),
            self.after_unsafe.to_string(),
            if list.is_empty() { "none".to_owned() } else { list.join(", ") },
        ]
    }
}

/// Prints what is not as it must be. A complete table is compared with the snapshot, or replaces it with `UNROOT_BLESS=1`; any other is printed.
pub(crate) fn finish(records: &[Record], complete: bool) -> Result<bool> {
    let text =
        format!("{}\n```text\n{}```\n", summary(records)?, records.iter().map(runs).collect::<Vec<_>>().join("\n"));
    let mut wrong = 0;
    for record in records {
        for row in record.rows.iter().filter(|row| !row.right) {
            say(&format!("WRONG: {}: {}: {}", record.application, row.what, row.outcome));
            wrong += 1;
        }
    }
    if !complete {
        say(&format!("\n{text}"));
        return Ok(wrong == 0);
    }
    if wrong > 0 {
        return Ok(false);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/e2e.md");
    if std::env::var_os("UNROOT_BLESS").is_some_and(|value| value == "1") {
        fs::create_dir_all(file.parent().unwrap_or(&file))?;
        fs::write(&file, &text)?;
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    if kept != text {
        let difference = similar::TextDiff::from_lines(kept.as_str(), text.as_str());
        say(&difference.unified_diff().header("snapshots/e2e.md", "this run").to_string());
        say("the table differs from snapshots/e2e.md; UNROOT_BLESS=1 keeps this one");
    }
    Ok(kept == text)
}

/// One line for each application, as a table of Markdown, and one for each stack that nothing is run of.
fn summary(records: &[Record]) -> Result<String> {
    let head = [
        "application",
        "builds",
        "starts",
        "answers",
        "level before",
        "after",
        "after `--unsafe`",
        "writes outside mounts",
    ];
    let mut table = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for record in records {
        table.push_str(&format!("| {} |\n", record.cells().join(" | ")));
    }
    for Missing { stack, reason } in bases::missing()? {
        let empty = " |".repeat(head.len() - 2);
        table.push_str(&format!("| {stack} | not run: {reason} |{empty}\n"));
    }
    Ok(table)
}

/// Every run of one application.
fn runs(record: &Record) -> String {
    let width = record.rows.iter().map(|row| row.what.chars().count()).max().unwrap_or(0);
    let mut text = format!("{}\n", record.application);
    for row in &record.rows {
        let mark = if row.right { "" } else { "WRONG: " };
        let outcome = row.outcome.replace('\n', &format!("\n{:width$}      ", ""));
        let line = format!("  {:width$}  {mark}{outcome}", row.what);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
