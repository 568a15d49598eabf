//! Operations: what is to change, in words, and the edits that carry it out.

use super::Dockerfile;
use super::layout::{Kind, Layout};
use super::line::LogicalLine;
use crate::edit::Edit;
use crate::source::{Newline, Span};

/// One intended change, in words.
///
/// New lines are given without line ends. A line feed within one continues an instruction on the next line: the escape character of the
/// file is put before it, unless it already stands there or the line is a comment. A heredoc is given as several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Whole new lines directly above an instruction (above the comment lines that stand directly above it, when `above_comments`, but
    /// never above a parser directive).
    InsertBefore {
        /// Index of the instruction.
        instruction: usize,
        /// Whether the comment lines directly above stay with the instruction.
        above_comments: bool,
        /// The lines.
        lines: Vec<String>,
    },
    /// Whole new lines directly below an instruction and its heredocs.
    InsertAfter {
        /// Index of the instruction.
        instruction: usize,
        /// The lines.
        lines: Vec<String>,
    },
    /// Whole new lines at the end of the file. Where it has no final line end, blank lines at the very end are left out.
    Append {
        /// The lines.
        lines: Vec<String>,
    },
    /// Replaces bytes within one instruction. Line feeds become line ends of the file; nothing is put before them.
    Replace {
        /// The bytes.
        span: Span,
        /// What stands there afterwards.
        text: String,
    },
    /// Gives a parser directive another value. Not for `escape`, which decides how everything below it reads.
    SetDirective {
        /// Index of the directive.
        directive: usize,
        /// The value.
        value: String,
    },
    /// Removes an instruction with its lines; with the comment lines directly above it when `with_comments`.
    ///
    /// Where blank lines, or the top of the file, stand above what is removed, the blank lines below it go, too; at the end of the file
    /// the blank lines above it go. So no gap grows. Where new lines take the place of what is removed, blank lines stay.
    Remove {
        /// Index of the instruction.
        instruction: usize,
        /// Whether the comment lines directly above go, too.
        with_comments: bool,
    },
}

impl Dockerfile {
    /// The edits that carry out `operations`. New lines take the line end of their neighbours; a missing final line end stays missing.
    ///
    /// New lines at one place stand in this order: those after the instruction above, those above the comments of the instruction below,
    /// those right before it, those at the end of the file; and in the order of `operations` otherwise. Operations on instructions or bytes that do not exist give no edit,
    /// which [`super::verify`] reports.
    pub fn plan(&self, operations: &[Operation]) -> Vec<Edit> {
        let layout = Layout::of(self);
        let mut blocks = self.blocks(&layout, operations);
        let mut removed = vec![false; layout.lines.len()];
        for operation in operations {
            if let Operation::Remove { instruction, with_comments } = operation
                && let (Some(start), Some(end)) = (layout.start(*instruction, *with_comments), layout.end(*instruction))
            {
                removed[start..end].fill(true);
            }
        }
        close_gaps(&layout, &mut removed, &blocks);

        let mut edits = Vec::new();
        if !self.text.ends_with('\n') {
            edits.extend(self.tail(&layout, &mut removed, &mut blocks));
        }
        for (line, _) in layout.lines.iter().zip(&removed).filter(|(_, removed)| **removed).map(|(line, _)| line) {
            edits.push(Edit::delete(Span::new(line.content.start, line.end)));
        }
        for block in blocks {
            let newline = block.newline.as_str();
            let text: String = block.lines.iter().flat_map(|line| [line.as_str(), newline]).collect();
            if !text.is_empty() {
                edits.push(Edit::insert(layout.offset(block.line), text));
            }
        }
        edits.extend(self.closed_continuations(operations));
        edits.extend(operations.iter().filter_map(|operation| self.replacement(operation)));
        // A stable sort: insertions at one offset stay in order.
        edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
        merge_deletions(edits)
    }

    /// The new lines, ordered by place.
    fn blocks(&self, layout: &Layout, operations: &[Operation]) -> Vec<Block> {
        let mut blocks: Vec<Block> = operations
            .iter()
            .filter_map(|operation| {
                let (line, rank, neighbour, lines) = match operation {
                    Operation::InsertAfter { instruction, lines } => {
                        let line = layout.end(*instruction)?;
                        (line, 0, line.saturating_sub(1), lines)
                    }
                    Operation::InsertBefore { instruction, above_comments, lines } => {
                        let line = layout.start(*instruction, *above_comments)?;
                        (line, if *above_comments { 1 } else { 2 }, line, lines)
                    }
                    Operation::Append { lines } => {
                        let line = layout.lines.len();
                        (line, 3, line.saturating_sub(1), lines)
                    }
                    Operation::Replace { .. } | Operation::SetDirective { .. } | Operation::Remove { .. } => {
                        return None;
                    }
                };
                if lines.is_empty() {
                    return None;
                }
                let newline = layout.newline(&self.text, neighbour);
                let lines = lines.iter().map(|line| self.with_line_ends(line, newline)).collect();
                Some(Block { line, rank, newline, lines })
            })
            .collect();
        blocks.sort_by_key(|block| (block.line, block.rank));
        blocks
    }

    /// One entry of new lines as it is written.
    pub(super) fn with_line_ends(&self, entry: &str, newline: Newline) -> String {
        let mut written = String::with_capacity(entry.len());
        let mut pieces = entry.split('\n').peekable();
        while let Some(piece) = pieces.next() {
            let piece = piece.trim_end_matches('\r');
            written.push_str(piece);
            if pieces.peek().is_none() {
                break;
            }
            let bare = piece.trim();
            if !bare.is_empty() && !bare.starts_with('#') && !bare.ends_with(self.escape) {
                written.push(' ');
                written.push(self.escape);
            }
            written.push_str(newline.as_str());
        }
        written
    }

    /// What happens at the end of a file that has no final line end: everything behind the last line that stays, as one edit. Takes the
    /// blocks and removed lines that it covers.
    fn tail(&self, layout: &Layout, removed: &mut [bool], blocks: &mut Vec<Block>) -> Option<Edit> {
        let mut kept = removed.iter().rposition(|removed| !removed).map_or(0, |last| last + 1);
        removed[kept..].fill(false);
        let (newline, mut lines) = loop {
            let behind = blocks.split_off(blocks.partition_point(|block| block.line < kept));
            let newline = behind.first().map_or(Newline::Lf, |block| block.newline);
            let mut lines: Vec<String> = behind.into_iter().flat_map(|block| block.lines).collect();
            // A blank line at the very end would be a final line end.
            while lines.last().is_some_and(String::is_empty) {
                lines.pop();
            }
            let ends_blank = kept < layout.lines.len() && kept > 0 && layout.lines[kept - 1].0.content.is_empty();
            if !lines.is_empty() || !ends_blank {
                break (newline, lines);
            }
            kept -= 1;
            kept = removed[..kept].iter().rposition(|removed| !removed).map_or(0, |last| last + 1);
            removed[kept..].fill(false);
        };
        let end = self.text.len();
        let mut start = layout.offset(kept);
        if kept == layout.lines.len() {
            if lines.is_empty() {
                return None;
            }
            // The last line gets the line end that it lacks.
            lines.insert(0, String::new());
        } else if lines.is_empty() && kept > 0 {
            start = layout.lines[kept - 1].0.content.end;
        }
        Some(Edit::replace(Span::new(start, end), lines.join(newline.as_str())))
    }

    /// A last instruction that ends with an escape character would swallow the lines that follow it: that character goes.
    pub(super) fn closed_continuations(&self, operations: &[Operation]) -> Vec<Edit> {
        let Some(last) = self.instructions.len().checked_sub(1) else { return Vec::new() };
        let follows = operations.iter().any(|operation| match operation {
            Operation::InsertAfter { instruction, lines } => *instruction == last && !lines.is_empty(),
            Operation::Append { lines } => !lines.is_empty(),
            _ => false,
        });
        let removed =
            |operation: &Operation| matches!(operation, Operation::Remove { instruction, .. } if *instruction == last);
        if !follows || operations.iter().any(removed) {
            return Vec::new();
        }
        let line = LogicalLine::of_instruction(&self.text, self.instructions[last].span, self.escape);
        line.into_iter().flat_map(|line| line.dangling).map(Edit::delete).collect()
    }

    fn replacement(&self, operation: &Operation) -> Option<Edit> {
        let (span, text) = match operation {
            Operation::Replace { span, text } => (span, text),
            Operation::SetDirective { directive, value } => {
                let directive = self.directives.get(*directive).filter(|directive| directive.name != "escape")?;
                return Some(Edit::replace(directive.value_span, value.as_str()));
            }
            _ => return None,
        };
        self.text.get(span.start..span.end)?;
        let newline = match Newline::around(&self.text, span.start) {
            Newline::CrLf => "\r\n",
            Newline::Lf | Newline::Cr => "\n",
        };
        Some(Edit::replace(*span, text.replace("\r\n", "\n").replace('\n', newline)))
    }
}

/// New lines and their place.
struct Block {
    /// They stand above the line with this index.
    line: usize,
    /// Their order among the blocks of one place.
    rank: usize,
    newline: Newline,
    lines: Vec<String>,
}

/// Extends what is removed over blank lines, as [`Operation::Remove`] says.
fn close_gaps(layout: &Layout, removed: &mut [bool], blocks: &[Block]) {
    let blank = |line: usize| layout.lines[line].1 == Kind::Blank;
    let has_block = |line: usize| {
        let first = blocks.partition_point(|block| block.line < line);
        blocks.get(first).is_some_and(|block| block.line == line)
    };
    let count = removed.len();
    let mut line = 0;
    while line < count {
        if !removed[line] {
            line += 1;
            continue;
        }
        let mut start = line;
        let mut replaced = has_block(start);
        loop {
            while line < count && removed[line] {
                line += 1;
                replaced |= has_block(line);
            }
            let gap_above = start == 0 || blank(start - 1);
            if replaced || !gap_above || line == count || !blank(line) {
                break;
            }
            while line < count && blank(line) && !removed[line] && !has_block(line) {
                removed[line] = true;
                line += 1;
            }
            replaced |= has_block(line);
        }
        while line == count && !replaced && start > 0 && blank(start - 1) && !has_block(start - 1) {
            start -= 1;
            removed[start] = true;
        }
    }
}

/// Deletions that touch become one; everything else stays as it is.
fn merge_deletions(edits: Vec<Edit>) -> Vec<Edit> {
    let mut merged: Vec<Edit> = Vec::with_capacity(edits.len());
    for edit in edits {
        let is_deletion = |edit: &Edit| edit.text.is_empty() && !edit.span.is_empty();
        match merged.last_mut() {
            Some(last) if is_deletion(last) && is_deletion(&edit) && last.span.end == edit.span.start => {
                last.span.end = edit.span.end;
            }
            _ => merged.push(edit),
        }
    }
    merged
}
