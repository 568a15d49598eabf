//! The run as a series of patches, one per transform, in the shape of `git format-patch`.
//!
//! `git apply` and `git am` take them in order. The text holds no clock and no host, so a run that found the same writes the same.
//! `git am` drops the carriage returns of every mail unless it is told `--keep-cr`, which a series over CRLF files needs.

use super::diff;
use crate::pipeline::{Run, Step};
use crate::source::printable;

/// Widest line of the explanation, in characters: git's custom.
const WIDTH: usize = 72;

/// The first line by which git recognises its own patches. The date is git's own magic value, not a time.
const MAIL_LINE: &str = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001";

const AUTHOR: &str = "unroot <unroot@unroot.invalid>";

const DATE: &str = "Mon, 17 Sep 2001 00:00:00 +0000";

/// The beginnings that make `git am` end the message, begin another one, or read a line as a header.
const MEANINGFUL_BEGINNINGS: [&str; 9] =
    ["---", "diff -", "Index:", "From ", ">From ", "From:", "Date:", "Subject:", "-- >8 --"];

/// Name and text of each patch, in order: `0010-split-build-stage.patch`. A step that leaves every file as it was has none.
///
/// `below` is the directory of the git repository that the run's paths are told from, `""` for its top: git reads those of a patch from there,
/// wherever it is called. `proof` is a git trailer that tells of the proof of the whole: the last patch has it, for what stands between was not proved.
pub fn series(run: &Run, below: &str, proof: Option<&str>) -> Vec<(String, String)> {
    let differences: Vec<(&Step, String)> = run
        .steps
        .iter()
        .map(|step| (step, difference(step, below)))
        .filter(|(_, difference)| !difference.is_empty())
        .collect();
    let total = differences.len();
    let patches = differences.iter().enumerate();
    let patch = |(index, (step, difference)): (usize, &(&Step, String))| {
        let proof = proof.filter(|_| index + 1 == total);
        (name(step), patch(step, difference, (index + 1, total), proof))
    };
    patches.map(patch).collect()
}

fn name(step: &Step) -> String {
    format!("{:04}-{}.patch", step.number, step.id)
}

fn difference(step: &Step, below: &str) -> String {
    let differences = step.files.iter().map(|file| {
        let path = if below.is_empty() { file.path.clone() } else { format!("{below}/{}", file.path) };
        diff::unified(&path, file.before.as_deref(), &file.after)
    });
    differences.collect()
}

fn patch(step: &Step, difference: &str, (index, total): (usize, usize), proof: Option<&str>) -> String {
    let message: String = step.why.iter().map(|paragraph| format!("{}\n", wrapped(paragraph))).collect();
    // A paragraph of its own, or git takes it for text. Never wrapped, since a trailer is a line.
    let trailer = proof.map(|proof| format!("\n{}\n", printable(proof))).unwrap_or_default();
    let title = step.title;
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{MAIL_LINE}\nFrom: {AUTHOR}\nDate: {DATE}\nSubject: [PATCH {index}/{total}] {title}\n\
         MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n\
         {message}{trailer}---\n{difference}-- \nunroot {version}\n"
    )
}

/// One paragraph in lines of at most [`WIDTH`] characters, a longer word on a line of its own. Control characters are escaped,
/// for a commit message is read on terminals.
fn wrapped(paragraph: &str) -> String {
    let mut text = String::new();
    let mut line = String::new();
    let mut width = 0;
    for word in paragraph.split_whitespace() {
        let word = printable(word);
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            push_line(&mut text, &line);
            line.clear();
            width = 0;
        }
        if width > 0 {
            line.push(' ');
            width += 1;
        }
        line.push_str(&word);
        width += length;
    }
    push_line(&mut text, &line);
    text
}

fn push_line(text: &mut String, line: &str) {
    if MEANINGFUL_BEGINNINGS.iter().any(|beginning| line.starts_with(beginning)) {
        text.push(' ');
    }
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_wrapped_at_words() {
        assert_eq!(wrapped("a  short\tone"), "a short one\n");
        let lines = wrapped(&"word ".repeat(40));
        assert!(lines.lines().all(|line| line.chars().count() <= WIDTH), "{lines}");
        assert_eq!(lines.split_whitespace().count(), 40);
        let long = "x".repeat(100);
        assert_eq!(wrapped(&format!("a {long} b")), format!("a\n{long}\nb\n"));
        assert_eq!(wrapped(&"é".repeat(72)), format!("{}\n", "é".repeat(72)));
    }

    #[test]
    fn a_line_cannot_end_the_message() {
        for line in ["--- a/x", "diff --git a b", "Index: x", "From me Mon Sep 17 00:00:00 2001", "Subject: x"] {
            assert_eq!(wrapped(line), format!(" {line}\n"));
        }
        assert_eq!(wrapped("\u{1b}[2J"), "\\u{1b}[2J\n");
    }
}
