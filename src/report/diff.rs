//! Unified differences of one file, in git's dialect.
//!
//! The plain form is byte-exact, for `git apply`; the coloured form is for eyes and cannot be applied, because it shows control
//! characters instead of sending them to the terminal.

use crate::source::reorders_text;
use anstyle::{AnsiColor, Style};
use similar::{Algorithm, DiffOp};
use std::fmt::Write;
use std::ops::Range;

/// Lines shown around a change, as in git.
const CONTEXT: usize = 3;

const HEADER: Style = Style::new().bold();
const HUNK: Style = AnsiColor::Cyan.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
const ADDED: Style = AnsiColor::Green.on_default();

/// What git writes below a last line that has no newline.
const NO_NEWLINE: &str = "\\ No newline at end of file";

/// The difference as `git diff` writes it and `git apply` takes it; empty where there is none. `path` is relative to the
/// repository, with `/`; `before` is `None` where the file is a new one.
pub fn unified<'a>(path: &str, before: impl Into<Option<&'a str>>, after: &str) -> String {
    let mut text = String::new();
    each_line(path, before.into(), after, |_, line| {
        text.push_str(line);
        if !line.ends_with('\n') {
            text.push('\n');
        }
    });
    text
}

/// The same for a terminal, with colours. Control characters and those that reorder text are shown escaped, since a file under
/// review must not move the cursor; the carriage returns of a file that ends every line with one are not shown at all.
pub fn coloured<'a>(path: &str, before: impl Into<Option<&'a str>>, after: &str) -> String {
    let before = before.into();
    let crlf = before.is_none_or(ends_every_line_with_crlf) && ends_every_line_with_crlf(after);
    let mut text = String::new();
    each_line(path, before, after, |kind, line| {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = if crlf { line.strip_suffix('\r').unwrap_or(line) } else { line };
        let style = match kind {
            Kind::Header => HEADER,
            Kind::Hunk => HUNK,
            Kind::Context => Style::new(),
            Kind::Removed => REMOVED,
            Kind::Added => ADDED,
        };
        let _ = write!(text, "{style}");
        line.chars().for_each(|c| push_visible(&mut text, c));
        let _ = writeln!(text, "{style:#}");
    });
    text
}

#[derive(Clone, Copy)]
enum Kind {
    Header,
    Hunk,
    Context,
    Removed,
    Added,
}

/// Calls `emit` with each line of the difference, the mark in its first column included.
fn each_line(path: &str, before: Option<&str>, after: &str, mut emit: impl FnMut(Kind, &str)) {
    if before == Some(after) {
        return;
    }
    // By `\n` alone, as git counts lines: a lone carriage return is part of one.
    let old: Vec<&str> = before.unwrap_or_default().split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let (old_path, new_path) = (quoted_path("a/", path), quoted_path("b/", path));
    emit(Kind::Header, &format!("diff --git {old_path} {new_path}"));
    // A tab ends a name with spaces in it, or `patch` takes what follows the space for a date.
    let end = if path.contains(' ') { "\t" } else { "" };
    match before {
        Some(_) => emit(Kind::Header, &format!("--- {old_path}{end}")),
        None => {
            emit(Kind::Header, "new file mode 100644");
            emit(Kind::Header, "--- /dev/null");
        }
    }
    emit(Kind::Header, &format!("+++ {new_path}{end}"));
    let operations = similar::capture_diff_slices(Algorithm::Myers, &old, &new);
    for hunk in similar::group_diff_ops(operations, CONTEXT) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        let old_range = shown_range(first.old_range().start..last.old_range().end);
        let new_range = shown_range(first.new_range().start..last.new_range().end);
        emit(Kind::Hunk, &format!("@@ -{old_range} +{new_range} @@"));
        for operation in &hunk {
            if let DiffOp::Equal { .. } = operation {
                emit_lines(&old[operation.old_range()], ' ', Kind::Context, &mut emit);
            } else {
                emit_lines(&old[operation.old_range()], '-', Kind::Removed, &mut emit);
                emit_lines(&new[operation.new_range()], '+', Kind::Added, &mut emit);
            }
        }
    }
}

fn emit_lines(lines: &[&str], mark: char, kind: Kind, emit: &mut impl FnMut(Kind, &str)) {
    for line in lines {
        emit(kind, &format!("{mark}{line}"));
        if !line.ends_with('\n') {
            emit(Kind::Context, NO_NEWLINE);
        }
    }
}

/// Lines are counted from one; a range of none names the line before it; a count of one is left out.
fn shown_range(range: Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => format!("{}", range.start + 1),
        length => format!("{},{length}", range.start + 1),
    }
}

/// A name as git writes it: in quotes, with octal escapes, once it holds anything but printable ASCII, or a quote or backslash
/// (`quote_c_style` in git, with `core.quotePath` on, which every git reads back).
fn quoted_path(prefix: &str, path: &str) -> String {
    let is_plain = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    if path.bytes().all(is_plain) {
        return format!("{prefix}{path}");
    }
    let mut quoted = format!("\"{prefix}");
    for byte in path.bytes() {
        match byte {
            b'"' => quoted.push_str("\\\""),
            b'\\' => quoted.push_str("\\\\"),
            0x07 => quoted.push_str("\\a"),
            0x08 => quoted.push_str("\\b"),
            b'\t' => quoted.push_str("\\t"),
            b'\n' => quoted.push_str("\\n"),
            0x0b => quoted.push_str("\\v"),
            0x0c => quoted.push_str("\\f"),
            b'\r' => quoted.push_str("\\r"),
            byte if is_plain(byte) => quoted.push(char::from(byte)),
            byte => {
                let _ = write!(quoted, "\\{byte:03o}");
            }
        }
    }
    quoted.push('"');
    quoted
}

fn push_visible(text: &mut String, c: char) {
    match c {
        '\t' => text.push('\t'),
        '\r' => text.push_str("\\r"),
        c if c.is_control() || reorders_text(c) => text.extend(c.escape_unicode()),
        c => text.push(c),
    }
}

fn ends_every_line_with_crlf(text: &str) -> bool {
    text.split_inclusive('\n').all(|line| !line.ends_with('\n') || line.ends_with("\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(unified("Dockerfile", "FROM a\n", "FROM a\n"), "");
        assert_eq!(coloured("Dockerfile", "", ""), "");
    }

    #[test]
    fn the_plain_form_is_gits() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let after = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n";
        assert_eq!(
            unified("k8s/app.yaml", before, after),
            "diff --git a/k8s/app.yaml b/k8s/app.yaml\n--- a/k8s/app.yaml\n+++ b/k8s/app.yaml\n\
             @@ -2,8 +2,9 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n 9\n+10\n"
        );
    }

    #[test]
    fn carriage_returns_and_missing_newlines_are_kept() {
        assert_eq!(
            unified("a", "x\r\ny", "x\r\nz\r\n"),
            "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n x\r\n-y\n\\ No newline at end of file\n+z\r\n"
        );
        // A lone carriage return does not end a line.
        assert_eq!(
            unified("a", "x\ry\n", "x\rz\n"),
            "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\ry\n+x\rz\n"
        );
    }

    #[test]
    fn a_new_file_comes_out_of_nothing() {
        let expected = "diff --git a/a b/a\nnew file mode 100644\n--- /dev/null\n+++ b/a\n@@ -0,0 +1,2 @@\n+1\n+2\n";
        assert_eq!(unified("a", None, "1\n2\n"), expected);
    }

    #[test]
    fn names_are_quoted_as_git_does_it() {
        assert_eq!(quoted_path("a/", "dir/Dockerfile.dev"), "a/dir/Dockerfile.dev");
        assert_eq!(quoted_path("a/", "my app/x"), "a/my app/x");
        assert_eq!(quoted_path("a/", "é"), "\"a/\\303\\251\"");
        assert_eq!(quoted_path("b/", "q\"\\\t\u{1}\u{7f}"), "\"b/q\\\"\\\\\\t\\001\\177\"");
        assert!(unified("my app/x", "1\n", "2\n").contains("--- a/my app/x\t\n+++ b/my app/x\t\n"));
    }

    #[test]
    fn a_terminal_gets_no_control_characters_but_the_colours() {
        let shown = coloured("a", "x\u{1b}[2J\u{202e}\n", "y\ttab\u{7}\u{9b}\n");
        let plain: String = shown.replace("\u{1b}[31m", "").replace("\u{1b}[32m", "").replace("\u{1b}[36m", "");
        let plain = plain.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
        assert!(plain.ends_with("-x\\u{1b}[2J\\u{202e}\n+y\ttab\\u{7}\\u{9b}\n"), "{plain:?}");
        assert!(shown.contains("\u{1b}[31m-x") && shown.contains("\u{1b}[32m+y"), "{shown:?}");
    }

    #[test]
    fn carriage_returns_show_where_they_matter() {
        assert!(!coloured("a", "x\r\ny\r\n", "x\r\nz\r\n").contains("\\r"));
        assert!(coloured("a", "x\r\ny\r\n", "x\r\ny\n").contains("-y\\r"));
    }

    #[test]
    fn many_lines_with_few_changes_are_fast() {
        let before = "same\n".repeat(200_000);
        let after = format!("first\n{before}last\n");
        let difference = unified("a", before.as_str(), &after);
        assert_eq!(difference.lines().filter(|line| line.starts_with('+')).count(), 3);
    }
}
