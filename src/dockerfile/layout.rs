//! The lines of a file and what stands on each.

use super::Dockerfile;
use super::line::PhysicalLine;
use super::parse::BYTE_ORDER_MARK;
use crate::source::{Newline, Span};

impl Dockerfile {
    /// The comment lines that stand directly above an instruction, first to last, without line ends; no parser directives.
    pub fn comments_above(&self, instruction: usize) -> Vec<Span> {
        let Some(mut start) = self.instructions.get(instruction).map(|instruction| instruction.span.start) else {
            return Vec::new();
        };
        let floor = match instruction.checked_sub(1).and_then(|before| self.instructions.get(before)) {
            Some(before) => before.span.end,
            None => self.directives.last().map_or(0, |directive| directive.span.end),
        };
        let mut comments = Vec::new();
        while let Some(end) = self.text[floor..start].rfind('\n').map(|at| floor + at) {
            let line_start = self.text[floor..end].rfind('\n').map_or(floor, |at| floor + at + 1);
            let line = self.text[line_start..end].trim_start_matches('\u{feff}');
            // What is left of the line of the instruction before is empty.
            if !line.trim_start().starts_with('#') {
                break;
            }
            let content_end = line_start + self.text[line_start..end].trim_end_matches('\r').len();
            comments.push(Span::new(end - line.len(), content_end));
            start = line_start;
        }
        comments.reverse();
        comments
    }
}

/// What stands on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directive,
    Comment,
    Blank,
    /// A line of this instruction: continuations, comments between them and heredocs included.
    Instruction(usize),
}

/// Every line of a Dockerfile, in order; a byte order mark is before the first.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) lines: Vec<(PhysicalLine, Kind)>,
    /// For each instruction, the index of its first line.
    first: Vec<usize>,
    /// For each instruction, the index of the line after its last.
    after: Vec<usize>,
}

impl Layout {
    pub(super) fn of(dockerfile: &Dockerfile) -> Self {
        let text: &str = &dockerfile.text;
        let mut lines = Vec::new();
        let mut first = Vec::with_capacity(dockerfile.instructions.len());
        let mut after = Vec::with_capacity(dockerfile.instructions.len());
        let mut instructions = dockerfile.instructions.iter().enumerate().peekable();
        let mut at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        while let Some(line) = PhysicalLine::at(text, at) {
            at = line.end;
            let kind = match instructions.peek() {
                Some((index, instruction)) if instruction.span.start < line.end => {
                    let index = *index;
                    if first.len() == index {
                        first.push(lines.len());
                    }
                    if instruction.span.end <= line.content.end {
                        after.push(lines.len() + 1);
                        instructions.next();
                    }
                    Kind::Instruction(index)
                }
                _ if line.is_blank(text) => Kind::Blank,
                _ if lines.len() < dockerfile.directives.len() => Kind::Directive,
                _ => Kind::Comment,
            };
            lines.push((line, kind));
        }
        Self { lines, first, after }
    }

    /// Index of the first line of an instruction; with `comments`, of the comment lines that stand directly above it.
    pub(super) fn start(&self, instruction: usize, comments: bool) -> Option<usize> {
        let mut line = *self.first.get(instruction)?;
        while comments && line > 0 && self.lines[line - 1].1 == Kind::Comment {
            line -= 1;
        }
        Some(line)
    }

    /// Index of the line after the last of an instruction.
    pub(super) fn end(&self, instruction: usize) -> Option<usize> {
        self.after.get(instruction).copied()
    }

    /// The offset of line number `line`; the end of the text behind the last.
    pub(super) fn offset(&self, line: usize) -> usize {
        match self.lines.get(line) {
            Some((line, _)) => line.content.start,
            None => self.lines.last().map_or(0, |(line, _)| line.end),
        }
    }

    /// The line end of line number `line`; on a last line without one, that of the line before it.
    pub(super) fn newline(&self, text: &str, line: usize) -> Newline {
        let own = |line: usize| {
            let (line, _) = self.lines.get(line)?;
            match &text[line.content.end..line.end] {
                "" => None,
                "\n" => Some(Newline::Lf),
                _ => Some(Newline::CrLf),
            }
        };
        own(line).or_else(|| own(line.checked_sub(1)?)).unwrap_or_default()
    }
}
