//! Physical lines, and the logical lines that the escape character makes of them.
//!
//! The rules are those of BuildKit's `parser.Parse`: only `\n` ends a line, carriage returns before it belong to the line end, comment
//! lines and blank lines within a continuation vanish, and the white space at the start of a continued line stays.

use super::ParseError;
use crate::source::Span;
use std::borrow::Cow;

/// BuildKit reads lines with a buffer of this many bytes and refuses a longer line.
const LONGEST_LINE: usize = 64 * 1024;

/// One line of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct PhysicalLine {
    /// The bytes without the line end.
    pub(super) content: Span,
    /// Offset one past the line end.
    pub(super) end: usize,
}

impl PhysicalLine {
    /// The line that starts at `start`, or `None` at the end of the text.
    pub(super) fn at(text: &str, start: usize) -> Option<Self> {
        let rest = text.as_bytes().get(start..).filter(|rest| !rest.is_empty())?;
        let (mut length, end) = match memchr::memchr(b'\n', rest) {
            Some(at) => (at, start + at + 1),
            None => (rest.len(), text.len()),
        };
        while length > 0 && rest[length - 1] == b'\r' {
            length -= 1;
        }
        Some(Self { content: Span::new(start, start + length), end })
    }

    /// Whether BuildKit's line buffer would refuse this line.
    pub(super) fn too_long(self) -> bool {
        self.end - self.content.start > LONGEST_LINE
    }

    /// Whether the line holds a comment or directive, and nothing else.
    pub(super) fn is_comment(self, text: &str) -> bool {
        self.content.of(text).trim_start().starts_with('#')
    }

    /// Whether the line holds white space at most.
    pub(super) fn is_blank(self, text: &str) -> bool {
        self.content.of(text).trim_start().is_empty()
    }
}

/// The lines of one instruction joined into one, with the way back to the file.
#[derive(Clone, Debug)]
pub(super) struct LogicalLine<'a> {
    /// What BuildKit sees as one line.
    pub(super) text: Cow<'a, str>,
    /// Runs of bytes that stand side by side in the file, in order; never empty.
    segments: Vec<Segment>,
    /// Contents of the last physical line that belongs to the instruction.
    pub(super) last: PhysicalLine,
    /// The escape characters, each with the white space after it, that continue the last text into nothing, at the end of the file.
    pub(super) dangling: Vec<Span>,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    logical: usize,
    file: usize,
    length: usize,
}

impl<'a> LogicalLine<'a> {
    /// Joins the lines from `first` on. White space before the first byte is left out.
    pub(super) fn read(text: &'a str, first: PhysicalLine, escape: char) -> Result<Self, ParseError> {
        Self::read_until(text, first, escape, text.len())
    }

    /// The same for an instruction that was parsed before and ends at `end`.
    pub(super) fn of_instruction(text: &'a str, span: Span, escape: char) -> Option<Self> {
        let first = PhysicalLine::at(text, span.start)?;
        Self::read_until(text, first, escape, span.end).ok()
    }

    fn read_until(text: &'a str, first: PhysicalLine, escape: char, limit: usize) -> Result<Self, ParseError> {
        let written = first.content.of(text);
        let start = first.content.start + (written.len() - written.trim_start().len());
        let content = Span::new(start, first.content.end);
        let (kept, mut continues) = without_continuation(content.of(text), escape);
        let mut line = Self {
            text: Cow::Borrowed(kept),
            segments: vec![Segment { logical: 0, file: start, length: kept.len() }],
            last: first,
            dangling: Vec::new(),
        };
        // The escape characters since the last line with text on it.
        let mut escapes = vec![Span::new(start + kept.len(), content.end)];
        let mut next = first.end;
        while continues {
            let Some(physical) = PhysicalLine::at(text, next).filter(|_| next < limit) else {
                line.dangling = escapes;
                break;
            };
            if physical.too_long() {
                return Err(too_long(physical));
            }
            line.last = physical;
            next = physical.end;
            if physical.is_comment(text) || physical.is_blank(text) {
                continue;
            }
            let (kept, again) = without_continuation(physical.content.of(text), escape);
            line.push(physical.content.start, kept);
            if !kept.trim().is_empty() {
                escapes.clear();
            }
            escapes.push(Span::new(physical.content.start + kept.len(), physical.content.end));
            continues = again;
        }
        Ok(line)
    }

    fn push(&mut self, file: usize, kept: &str) {
        let text = self.text.to_mut();
        self.segments.push(Segment { logical: text.len(), file, length: kept.len() });
        text.push_str(kept);
    }

    /// The file offset of the first line's first byte that is not white space.
    pub(super) fn start(&self) -> usize {
        self.segments[0].file
    }

    /// The file offset of the byte at `logical`; for the end of the text, one past its last byte.
    pub(super) fn offset(&self, logical: usize) -> usize {
        let at = self.segments.partition_point(|segment| segment.logical <= logical).saturating_sub(1);
        // A segment may be empty; the byte belongs to the last segment that starts at or before it.
        let segment = self.segments[at];
        segment.file + (logical - segment.logical).min(segment.length)
    }

    /// Where the byte at file offset `offset` stands in the logical line; `None` when it vanished.
    pub(super) fn logical(&self, offset: usize) -> Option<usize> {
        let at = self.segments.partition_point(|segment| segment.file <= offset).checked_sub(1)?;
        let segment = self.segments[at];
        (offset - segment.file < segment.length).then(|| segment.logical + (offset - segment.file))
    }

    /// The bytes of the file from the first to the last byte of `start..end`, over whatever lies between them.
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        if start >= end {
            return Span::at(self.end_offset(start));
        }
        Span::new(self.offset(start), self.offset(end - 1) + 1)
    }

    /// The file offset just behind the byte before `logical`.
    fn end_offset(&self, logical: usize) -> usize {
        match logical.checked_sub(1) {
            Some(before) => self.offset(before) + 1,
            None => self.offset(0),
        }
    }
}

/// The refusal of a line that BuildKit cannot read.
pub(super) fn too_long(line: PhysicalLine) -> ParseError {
    ParseError {
        offset: line.content.start,
        message: format!("dockerfile line greater than max allowed size of {}", LONGEST_LINE - 1),
    }
}

/// The line without the escape character that continues it, and whether there was one. An escape character before another one is text.
fn without_continuation(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(kept) if !kept.ends_with(escape) => (kept, true),
        _ => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> LogicalLine<'_> {
        LogicalLine::read(text, PhysicalLine::at(text, 0).unwrap(), '\\').unwrap()
    }

    #[test]
    fn comments_and_blank_lines_within_a_continuation_vanish() {
        let text = "  RUN a \\ \t\r\n# note\r\n\r\n  && b\r\nRUN c\r\n";
        let line = read(text);
        assert_eq!(line.text, "RUN a   && b");
        assert_eq!(line.span(4, 5).of(text), "a");
        assert_eq!(line.span(11, 12).of(text), "b");
        assert_eq!(line.span(4, 12).of(text), "a \\ \t\r\n# note\r\n\r\n  && b");
        assert_eq!(line.last.content.of(text), "  && b");
    }

    #[test]
    fn an_escaped_escape_character_continues_nothing() {
        assert_eq!(read("RUN a \\\\\nb").text, "RUN a \\\\");
        assert_eq!(read("RUN a \\\nb").text, "RUN a b");
        assert_eq!(read("RUN \\\n\\\nb").text, "RUN b");
    }

    #[test]
    fn a_continuation_into_the_end_of_the_file_is_remembered() {
        let text = "RUN a \\ \n# c\n";
        let line = read(text);
        assert_eq!(line.text, "RUN a ");
        let dangling: Vec<_> = line.dangling.iter().map(|span| span.of(text)).collect();
        assert_eq!(dangling, ["\\ "]);
        assert_eq!(line.last.content.of(text), "# c");
    }
}
