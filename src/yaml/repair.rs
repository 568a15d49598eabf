//! Texts that kubectl reads and yaml-rust2 does not: what the parser is shown in their place.
//!
//! Two habits are common enough to matter. A bracket that closes a flow list in the column of its key, and a tab behind a
//! colon. The parser stops at either and says where; it is then shown the same text with that line indented further, or with
//! that tab as a space. Both mean the same to libyaml, lines stay lines, and the token cover holds the outcome against the
//! bytes as they are.

use super::events::Mark;
use std::str::Chars;

/// Columns that a line is moved by: further than blocks nest within the depth limit at two spaces each.
const SHIFT: usize = 256;

/// Each repair costs one more pass over the text, so their number is what keeps hostile input linear.
const LIMIT: usize = 100;

/// What is shown differently; lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repair {
    /// The line belongs to a flow collection and is shown further to the right.
    Indent { line: usize },
    /// Tabs before this column are shown as spaces.
    Blank { line: usize, column: usize },
}

impl Repair {
    fn line(self) -> usize {
        match self {
            Self::Indent { line } | Self::Blank { line, .. } => line,
        }
    }
}

/// The repairs found necessary so far, sorted by line.
#[derive(Clone, Debug, Default)]
pub(super) struct Repairs(Vec<Repair>);

impl Repairs {
    /// Takes in what the parser's `message` at `mark` calls for; `false` if nothing helps.
    pub(super) fn learn(&mut self, message: &str, mark: Mark) -> bool {
        let line = mark.line;
        let repair = match message {
            "invalid indentation" | "invalid indentation in flow construct" => Repair::Indent { line },
            "':' must be followed by a valid YAML whitespace" => Repair::Blank { line, column: mark.column },
            _ => return false,
        };
        if self.0.len() >= LIMIT || self.0.contains(&repair) {
            return false;
        }
        let at = self.0.partition_point(|known| known.line() <= line);
        self.0.insert(at, repair);
        true
    }

    /// Whether the text is shown as it is.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where `mark`, a place in the shown text, is in the text itself.
    pub(super) fn unshift(&self, mark: Mark) -> Mark {
        let moved = self.on(mark.line).any(|repair| matches!(repair, Repair::Indent { .. }));
        Mark { line: mark.line, column: if moved { mark.column.saturating_sub(SHIFT) } else { mark.column } }
    }

    fn on(&self, line: usize) -> impl Iterator<Item = Repair> + '_ {
        let first = self.0.partition_point(|known| known.line() < line);
        self.0[first..].iter().copied().take_while(move |repair| repair.line() == line)
    }

    /// The text as the parser is to see it.
    pub(super) fn show<'t>(&'t self, text: &'t str) -> Shown<'t> {
        Shown { repairs: self, rest: text.chars(), line: 1, column: 0, spaces: 0, blank_before: 0 }
    }
}

/// The characters of a repaired text.
pub(super) struct Shown<'t> {
    repairs: &'t Repairs,
    rest: Chars<'t>,
    line: usize,
    column: usize,
    /// Spaces still to be shown before the line goes on.
    spaces: usize,
    /// Tabs before this column of the current line are spaces.
    blank_before: usize,
}

impl Iterator for Shown<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if self.column == 0 && self.spaces == 0 {
            self.blank_before = 0;
            for repair in self.repairs.on(self.line) {
                match repair {
                    Repair::Indent { .. } => self.spaces = SHIFT + 1,
                    Repair::Blank { column, .. } => self.blank_before = self.blank_before.max(column),
                }
            }
        }
        if self.spaces > 1 {
            self.spaces -= 1;
            return Some(' ');
        }
        self.spaces = 0;
        let character = self.rest.next()?;
        let ends_line = character == '\n' || (character == '\r' && !self.rest.as_str().starts_with('\n'));
        let shown = if character == '\t' && self.column < self.blank_before { ' ' } else { character };
        if ends_line {
            self.line += 1;
            self.column = 0;
        } else {
            self.column += 1;
        }
        Some(shown)
    }
}
