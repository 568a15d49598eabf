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
        Sweep::over(text).to(offset)
    }

    /// The positions of several offsets in `text`, in the order in which they are given. One pass over the text, however many there are.
    pub fn of_each(text: &str, offsets: &[usize]) -> Vec<Self> {
        let mut order: Vec<usize> = (0..offsets.len()).collect();
        order.sort_by_key(|index| offsets[*index]);
        let mut positions = vec![Self { line: 1, column: 1 }; offsets.len()];
        let mut sweep = Sweep::over(text);
        for index in order {
            positions[index] = sweep.to(offsets[index]);
        }
        positions
    }
}

/// A walk through a text that counts lines and characters.
struct Sweep<'a> {
    text: &'a str,
    at: usize,
    position: Position,
}

impl<'a> Sweep<'a> {
    fn over(text: &'a str) -> Self {
        Self { text, at: 0, position: Position { line: 1, column: 1 } }
    }

    /// Walks on to `offset`, which is not before the last one.
    fn to(&mut self, offset: usize) -> Position {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let bytes = self.text.as_bytes();
        let mut counted = self.at;
        for at in memchr::memchr2_iter(b'\n', b'\r', &bytes[self.at..offset]).map(|at| self.at + at) {
            // The `\r` of a `\r\n` ends no line of its own.
            if bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n') {
                continue;
            }
            self.position = Position { line: self.position.line + 1, column: 1 };
            counted = at + 1;
        }
        self.position.column += self.text[counted..offset].chars().count();
        self.at = offset;
        self.position
    }
}

/// Where the lines of a text begin, for asking often which line an offset is in.
#[derive(Clone, Debug)]
pub struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    /// Finds the lines of `text`.
    pub fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let ends = memchr::memchr2_iter(b'\n', b'\r', bytes);
        let ends = ends.filter(|at| bytes[*at] == b'\n' || bytes.get(at + 1) != Some(&b'\n'));
        Self { starts: ends.map(|at| at + 1).collect() }
    }

    /// The line that holds `offset`, from 1.
    pub fn line(&self, offset: usize) -> usize {
        1 + self.starts.partition_point(|start| *start <= offset)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Names and texts of files may hold anything; a terminal must not act on it. Control characters and those that reorder text are escaped.
pub fn printable(text: &str) -> String {
    // Nearly all of it.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len()), |mut shown, character| {
        if character.is_control() || reorders_text(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
        shown
    })
}

/// Marks, embeddings, overrides and isolates of bidirectional text: they make a line read other than it is.
pub(crate) fn reorders_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
        let offsets: Vec<usize> = (0..text.len() + 3).rev().collect();
        let one_by_one: Vec<Position> = offsets.iter().map(|offset| Position::of(text, *offset)).collect();
        assert_eq!(Position::of_each(text, &offsets), one_by_one);
        let lines = Lines::of(text);
        assert!((0..text.len()).all(|offset| lines.line(offset) == Position::of(text, offset).line));
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
