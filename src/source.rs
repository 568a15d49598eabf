//! The vocabulary of text: byte spans, line ends, and positions a person can find.

use std::fmt;

/// A half-open range of bytes, `start..end`, in one text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset one past the last byte.
    pub end: usize,
}

impl Span {
    /// The span `start..end`. `start` must not be greater than `end`.
    pub fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end, "span {start}..{end} is reversed");
        Self { start, end }
    }

    /// The empty span at `offset`.
    pub fn at(offset: usize) -> Self {
        Self::new(offset, offset)
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether the span covers no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `offset` is one of the bytes covered.
    pub fn contains(self, offset: usize) -> bool {
        self.start <= offset && offset < self.end
    }

    /// The bytes of `text` that the span covers.
    ///
    /// # Panics
    /// When the span lies outside `text` or cuts a character.
    pub fn of(self, text: &str) -> &str {
        &text[self.start..self.end]
    }
}

/// How a line ends. Kubernetes and BuildKit both read all three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Newline {
    /// `\n`
    #[default]
    Lf,
    /// `\r\n`
    CrLf,
    /// A lone `\r`
    Cr,
}

impl Newline {
    /// The bytes of this line end.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
            Self::Cr => "\r",
        }
    }

    /// The line end that closes the line holding `offset`, or, on a last line without one, the line end
    /// before it; [`Newline::Lf`] in a text of a single line.
    pub fn around(text: &str, offset: usize) -> Self {
        Self::first_in(&text.as_bytes()[offset..])
            .or_else(|| Self::last_in(&text.as_bytes()[..offset]))
            .unwrap_or_default()
    }

    fn first_in(bytes: &[u8]) -> Option<Self> {
        let at = memchr::memchr2(b'\n', b'\r', bytes)?;
        Some(match (bytes[at], bytes.get(at + 1)) {
            (b'\n', _) => Self::Lf,
            (_, Some(b'\n')) => Self::CrLf,
            _ => Self::Cr,
        })
    }

    fn last_in(bytes: &[u8]) -> Option<Self> {
        let at = memchr::memrchr2(b'\n', b'\r', bytes)?;
        Some(match (bytes[at], at.checked_sub(1).map(|before| bytes[before])) {
            (b'\n', Some(b'\r')) => Self::CrLf,
            (b'\n', _) => Self::Lf,
            _ => Self::Cr,
        })
    }
}

/// A place in a file as editors show it: line and column both start at 1, columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The position of byte `offset` in `text`. An offset past the end is the end; one inside a character is that character.
    pub fn of(text: &str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let mut line = 1;
        let mut line_start = 0;
        let bytes = before.as_bytes();
        for at in memchr::memchr2_iter(b'\n', b'\r', bytes) {
            // The `\r` of a `\r\n` ends no line of its own.
            if bytes[at] == b'\r' && text.as_bytes().get(at + 1) == Some(&b'\n') {
                continue;
            }
            line += 1;
            line_start = at + 1;
        }
        Self { line, column: before[line_start..].chars().count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_all_three_line_ends() {
        let text = "a\r\nbé\rc\n\u{1F980}d";
        assert_eq!(Position::of(text, 0).to_string(), "1:1");
        assert_eq!(Position::of(text, 3).to_string(), "2:1");
        assert_eq!(Position::of(text, 6).to_string(), "2:3");
        assert_eq!(Position::of(text, 7).to_string(), "3:1");
        assert_eq!(Position::of(text, text.len() - 1).to_string(), "4:2");
        assert_eq!(Position::of(text, 999).to_string(), "4:3");
    }

    #[test]
    fn the_line_end_is_that_of_the_line_or_the_one_before() {
        assert_eq!(Newline::around("a\r\nb\nc", 0), Newline::CrLf);
        assert_eq!(Newline::around("a\r\nb\nc", 3), Newline::Lf);
        assert_eq!(Newline::around("a\r\nb", 4), Newline::CrLf);
        assert_eq!(Newline::around("a\rb", 2), Newline::Cr);
        assert_eq!(Newline::around("a", 1), Newline::Lf);
    }
}
