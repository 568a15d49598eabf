//! The token cover: every byte of the text is claimed by a token, or the text is refused.
//!
//! The [`Lexer`] stands at one byte and moves only over bytes that it recognises as the token that the builder asks for.
//! Whatever the parser claims about positions, a span can therefore not be wrong: either the bytes are there, or the
//! claim of the next token fails.

use super::events::Mark;
use super::tree::Style;
use crate::source::Span;

/// The byte at which no token fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap(pub(super) usize);

/// A place in the text to return to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checkpoint {
    at: usize,
    line: usize,
    column: (usize, usize),
    comments: usize,
}

/// Walks over the text token by token.
pub(super) struct Lexer<'t> {
    text: &'t str,
    bytes: &'t [u8],
    /// Offset of the next byte to claim.
    at: usize,
    /// Line of `at`, from 1.
    line: usize,
    /// A known offset on the current line and its column in characters: so that columns cost linear time even where a
    /// megabyte stands on one line.
    column: (usize, usize),
    pub(super) comments: Vec<(u32, u32)>,
}

impl<'t> Lexer<'t> {
    /// A lexer at the start of `text`, after its byte order mark if it has one.
    pub(super) fn new(text: &'t str) -> Self {
        let at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        Self { text, bytes: text.as_bytes(), at, line: 1, column: (at, 0), comments: Vec::new() }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The byte after the next one.
    pub(super) fn peek_second(&self) -> Option<u8> {
        self.bytes.get(self.at + 1).copied()
    }

    pub(super) fn gap(&self) -> Gap {
        Gap(self.at)
    }

    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint { at: self.at, line: self.line, column: self.column, comments: self.comments.len() }
    }

    pub(super) fn restore(&mut self, checkpoint: Checkpoint) {
        self.at = checkpoint.at;
        self.line = checkpoint.line;
        self.column = checkpoint.column;
        self.comments.truncate(checkpoint.comments);
    }

    /// The position in the terms of the parser.
    pub(super) fn mark(&mut self) -> Mark {
        let (offset, column) = self.column;
        let column = column + characters(&self.bytes[offset..self.at]);
        self.column = (self.at, column);
        Mark { line: self.line, column }
    }

    /// Claims spaces, tabs, line ends and comments.
    pub(super) fn trivia(&mut self) -> Result<(), Gap> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\n' | b'\r') => self.line_end(),
                Some(b'#') => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    /// Claims one line end, if one stands here.
    fn line_end(&mut self) {
        self.at += match (self.peek(), self.peek_second()) {
            (Some(b'\r'), Some(b'\n')) => 2,
            (Some(b'\r' | b'\n'), _) => 1,
            _ => return,
        };
        self.line += 1;
        self.column = (self.at, 0);
    }

    fn comment(&mut self) -> Result<(), Gap> {
        let separated = match self.at.checked_sub(1).map(|before| self.bytes[before]) {
            None | Some(b' ' | b'\t' | b'\n' | b'\r') => true,
            Some(_) => self.at == BYTE_ORDER_MARK.len_utf8() && self.text.starts_with(BYTE_ORDER_MARK),
        };
        let end = self.line_stop(self.at);
        // libyaml ends a comment at these characters; the parser used here does not. What follows would be content.
        if !separated || holds_unicode_break(&self.text[self.at..end]) {
            return Err(self.gap());
        }
        self.comments.push((offset32(self.at), offset32(end)));
        self.at = end;
        Ok(())
    }

    /// The offset of the line end at or after `from`, or the end of the text.
    fn line_stop(&self, from: usize) -> usize {
        memchr::memchr2(b'\n', b'\r', &self.bytes[from..]).map_or(self.bytes.len(), |length| from + length)
    }

    /// Claims `byte` if it stands here.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Claims `byte` if it stands here and a space, a tab, a line end or the end of the text follows.
    pub(super) fn take_indicator(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte) && is_separator(self.peek_second());
        self.at += usize::from(there);
        there
    }

    /// Claims `---` or `...` at the start of a line.
    pub(super) fn take_marker(&mut self, marker: &str) -> bool {
        let there = self.at_line_start()
            && self.text[self.at..].starts_with(marker)
            && is_separator(self.bytes.get(self.at + marker.len()).copied());
        self.at += if there { marker.len() } else { 0 };
        there
    }

    /// Claims a `%` line, without its line end.
    pub(super) fn take_directive(&mut self) -> Option<Span> {
        if self.peek() != Some(b'%') || !self.at_line_start() {
            return None;
        }
        let start = self.at;
        self.at = self.line_stop(start);
        Some(Span::new(start, self.at))
    }

    fn at_line_start(&self) -> bool {
        match self.at.checked_sub(1) {
            None => true,
            Some(before) => {
                matches!(self.bytes[before], b'\n' | b'\r')
                    || (self.at == BYTE_ORDER_MARK.len_utf8() && self.text.starts_with(BYTE_ORDER_MARK))
            }
        }
    }

    /// Claims `&name`, `*name` or a tag, whose first byte is `sigil`, and returns its span.
    pub(super) fn take_property(&mut self, sigil: u8) -> Result<Span, Gap> {
        if self.peek() != Some(sigil) {
            return Err(self.gap());
        }
        let start = self.at;
        if sigil == b'!' && self.peek_second() == Some(b'<') {
            let length = memchr::memchr(b'>', &self.bytes[start..]).ok_or(Gap(start))?;
            self.at += length + 1;
        } else {
            let rest = &self.bytes[start..];
            self.at += rest.iter().position(|&byte| is_blank_or_break(byte) || is_flow(byte)).unwrap_or(rest.len());
        }
        let span = Span::new(start, self.at);
        if span.of(self.text).contains(['\n', '\r', BYTE_ORDER_MARK]) { Err(Gap(start)) } else { Ok(span) }
    }

    /// Claims the scalar that decodes to `value`, and returns its span. `column` is the parser's: for a block scalar
    /// that has content it is the indent of that content.
    pub(super) fn take_scalar(&mut self, style: Style, value: &str, column: usize) -> Result<Span, Gap> {
        let start = self.at;
        match style {
            Style::Plain => self.plain(value)?,
            Style::SingleQuoted => self.quoted(b'\'')?,
            Style::DoubleQuoted => self.quoted(b'"')?,
            Style::Literal | Style::Folded => self.block(style, value, column)?,
            Style::Empty | Style::Block | Style::Flow => {}
        }
        Ok(Span::new(start, self.at))
    }

    /// A plain scalar ends where its decoded text is used up: line breaks fold to spaces, all else stands as written.
    fn plain(&mut self, value: &str) -> Result<(), Gap> {
        if value.contains(BYTE_ORDER_MARK) {
            return Err(self.gap());
        }
        if self.text[self.at..].starts_with(value) && !value.contains('\n') {
            self.at += value.len();
            return Ok(());
        }
        let mut rest = value;
        while !rest.is_empty() {
            let word = rest.find([' ', '\t', '\n']).unwrap_or(rest.len());
            if !self.text[self.at..].starts_with(&rest[..word]) {
                return Err(self.gap());
            }
            self.at += word;
            rest = &rest[word..];
            if rest.is_empty() {
                break;
            }
            let (blank, breaks) = self.white();
            let folded = match breaks {
                0 => rest.strip_prefix(blank),
                1 => rest.strip_prefix(' '),
                _ => strip_breaks(rest, breaks - 1),
            };
            rest = folded.filter(|_| !blank.is_empty()).ok_or(self.gap())?;
        }
        Ok(())
    }

    /// Claims blanks and line ends; returns them and the number of line ends.
    fn white(&mut self) -> (&'t str, usize) {
        let (start, line) = (self.at, self.line);
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\n' | b'\r') => self.line_end(),
                _ => return (&self.text[start..self.at], self.line - line),
            }
        }
    }

    fn quoted(&mut self, quote: u8) -> Result<(), Gap> {
        let start = self.at;
        if !self.take(quote) {
            return Err(Gap(start));
        }
        loop {
            let rest = &self.bytes[self.at..];
            let found = if quote == b'"' { memchr::memchr2(b'"', b'\\', rest) } else { memchr::memchr(b'\'', rest) };
            self.at += found.ok_or(Gap(start))?;
            let escapes = self.bytes[self.at] == b'\\' || (quote == b'\'' && self.peek_second() == Some(b'\''));
            if !escapes {
                self.at += 1;
                break;
            }
            if self.at + 2 > self.bytes.len() {
                return Err(Gap(start));
            }
            // What is escaped may be a character of several bytes: only its first is skipped, no other can be a quote.
            self.at += 2;
        }
        self.count_lines(start);
        Ok(())
    }

    /// Brings line and column up to date after `start..at` was claimed at once.
    fn count_lines(&mut self, start: usize) {
        for end in memchr::memchr2_iter(b'\n', b'\r', &self.bytes[start..self.at]).map(|found| start + found) {
            if self.bytes[end] == b'\r' && self.bytes.get(end + 1) == Some(&b'\n') {
                continue;
            }
            self.line += 1;
            self.column = (end + 1, 0);
        }
    }

    /// A block scalar: the header, then all lines indented at least as far as the content. The claim ends after the last
    /// line that belongs to the value, before its line end; blank lines below belong to it only where they are kept.
    fn block(&mut self, style: Style, value: &str, indent: usize) -> Result<(), Gap> {
        let start = self.at;
        let header = if style == Style::Literal { b'|' } else { b'>' };
        if !self.take(header) {
            return Err(Gap(start));
        }
        let mut keep = false;
        while let Some(byte @ (b'+' | b'-' | b'1'..=b'9')) = self.peek() {
            keep |= byte == b'+';
            self.at += 1;
        }
        let indicators = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        match self.peek() {
            Some(b'#') => self.comment()?,
            Some(b'\n' | b'\r') | None => self.at = indicators,
            Some(_) => return Err(self.gap()),
        }
        let header_end = self.at;
        let has_content = value.bytes().any(|byte| byte != b'\n');
        // The content of a root scalar may stand at column 0, where the two parsers disagree on what ends it.
        if has_content && indent == 0 {
            return Err(Gap(start));
        }
        let content = self.line_stop(header_end);
        let mut end = header_end;
        let mut next = after_line_end(self.bytes, content);
        while next < self.bytes.len() {
            let stop = self.line_stop(next);
            let spaces = self.bytes[next..stop].iter().take_while(|&&byte| byte == b' ').count();
            let blank = next + spaces == stop;
            if has_content && spaces >= indent && (next + indent < stop) {
                end = stop;
            } else if !blank {
                break;
            } else if keep {
                end = stop;
            }
            let following = after_line_end(self.bytes, stop);
            if following == stop {
                break;
            }
            next = following;
        }
        if !same_ink(&self.text[content.min(end)..end], value) {
            return Err(Gap(start));
        }
        self.at = end;
        self.count_lines(start);
        Ok(())
    }
}

/// U+FEFF.
pub(super) const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// An offset as it is stored. Texts longer than `u32` can count are refused before anything is stored.
pub(super) fn offset32(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// Whether `text` holds a character that YAML 1.1 takes for a line break and YAML 1.2 does not.
pub(super) fn holds_unicode_break(text: &str) -> bool {
    !text.is_ascii() && text.contains(['\u{85}', '\u{2028}', '\u{2029}'])
}

fn is_blank_or_break(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_separator(byte: Option<u8>) -> bool {
    byte.is_none_or(is_blank_or_break)
}

fn is_flow(byte: u8) -> bool {
    matches!(byte, b',' | b'[' | b']' | b'{' | b'}')
}

/// The offset after the line end that stands at `at`, or `at` where none stands.
pub(super) fn after_line_end(bytes: &[u8], at: usize) -> usize {
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(b'\r'), Some(b'\n')) => at + 2,
        (Some(b'\r' | b'\n'), _) => at + 1,
        _ => at,
    }
}

/// Number of characters that start in `bytes`.
pub(super) fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}

fn strip_breaks(text: &str, count: usize) -> Option<&str> {
    text.bytes().take(count).eq(std::iter::repeat_n(b'\n', count)).then(|| &text[count..])
}

/// Whether two texts are the same but for spaces and line ends.
fn same_ink(raw: &str, value: &str) -> bool {
    fn ink(text: &str) -> impl Iterator<Item = u8> + '_ {
        text.bytes().filter(|byte| !matches!(byte, b' ' | b'\n' | b'\r'))
    }
    ink(raw).eq(ink(value))
}
