//! Which words of a line open heredocs, and where their bodies end.
//!
//! BuildKit finds them with its own shell lexer, whatever the shell of the image: a word must start with `<<` or with digits and `<<`, a
//! word that is quoted as a whole is none, and a line whose quotes do not match has none at all. The escape character of this lexer is
//! always the backslash.

use super::ParseError;
use super::instruction::Heredoc;
use super::line::{LogicalLine, PhysicalLine, too_long};
use crate::source::Span;
use std::ops::Range;

/// `${a:-${b:-…}}` deeper than this is given up; it stands in no real file.
const DEEPEST: usize = 64;

/// How many words with white space behind `<<` may turn out to open nothing before the search is given up.
const MOST_SPACED: usize = 8;

/// The heredocs that `line` opens, and the line that closes the last of them.
///
/// White space between `<<` and the delimiter opens a heredoc since BuildKit 0.22 and not before, so `$((1 << 2))` is only taken for one
/// when a line closes it.
///
/// # Errors
/// A heredoc without a terminator.
pub(super) fn read(text: &str, line: &LogicalLine<'_>) -> Result<(Vec<Heredoc>, Option<PhysicalLine>), ParseError> {
    let mut heredocs = Vec::new();
    let mut last = None;
    let mut at = line.last.end;
    let mut spaced = 0;
    'openers: for opener in openers(&line.text) {
        let body_start = at;
        let span = line.span(opener.word.start, opener.word.end);
        let terminator = loop {
            let Some(physical) = PhysicalLine::at(text, at) else {
                spaced += 1;
                if opener.spaced && spaced <= MOST_SPACED {
                    at = body_start;
                    continue 'openers;
                }
                return Err(ParseError { offset: span.start, message: "unterminated heredoc".to_owned() });
            };
            if physical.too_long() {
                return Err(too_long(physical));
            }
            at = physical.end;
            let written = physical.content.of(text);
            let candidate = if opener.dashed { written.trim_start_matches('\t') } else { written };
            if candidate == opener.delimiter {
                break physical;
            }
        };
        last = Some(terminator);
        heredocs.push(Heredoc {
            delimiter: opener.delimiter,
            dashed: opener.dashed,
            expands: opener.expands,
            opener: span,
            body: Span::new(body_start, terminator.content.start),
            terminator: terminator.content,
        });
    }
    Ok((heredocs, last))
}

/// A word that opens a heredoc.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opener {
    /// Its bytes in the logical line.
    pub(super) word: Range<usize>,
    pub(super) delimiter: String,
    pub(super) dashed: bool,
    pub(super) expands: bool,
    /// White space stands between `<<` and the delimiter.
    pub(super) spaced: bool,
}

/// The words of `line` that open heredocs, in order.
pub(super) fn openers(line: &str) -> Vec<Opener> {
    if !line.contains("<<") {
        return Vec::new();
    }
    let mut lexer = Lexer { line, at: 0 };
    // A line that the lexer cannot read has no words, so no heredocs either.
    let words = lexer.words().unwrap_or_default();
    words.into_iter().filter_map(|word| opener(line, word)).collect()
}

/// Whether `word` would open a heredoc.
pub(super) fn is_opener(word: &str) -> bool {
    opener(word, 0..word.len()).is_some()
}

fn opener(line: &str, word: Range<usize>) -> Option<Opener> {
    let written = &line[word.clone()];
    let rest = written.trim_start_matches(|character: char| character.is_ascii_digit()).strip_prefix("<<")?;
    let (dashed, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let tight = rest;
    let rest = rest.trim_start_matches(['\t', '\n', '\x0c', '\r', ' ']);
    let spaced = rest.len() < tight.len();
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let (delimiter, expands) = unquoted(rest)?;
    Some(Opener { word, delimiter, dashed, expands, spaced })
}

/// The delimiter without quotes and escapes, and whether there were no quotes; `None` when it is empty or more than one word.
fn unquoted(word: &str) -> Option<(String, bool)> {
    let mut delimiter = String::new();
    let mut expands = true;
    let mut characters = word.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\'' => {
                expands = false;
                loop {
                    match characters.next()? {
                        '\'' => break,
                        other => delimiter.push(other),
                    }
                }
            }
            '"' => {
                expands = false;
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => match characters.peek() {
                            Some('"' | '$' | '\\') => delimiter.extend(characters.next()),
                            _ => delimiter.push('\\'),
                        },
                        other => delimiter.push(other),
                    }
                }
            }
            '\\' => delimiter.extend(characters.next()),
            space if space.is_whitespace() => return None,
            other => delimiter.push(other),
        }
    }
    (!delimiter.is_empty()).then_some((delimiter, expands))
}

/// BuildKit's `shell.Lex` with raw quotes, raw escapes and unset variables left alone: it moves over the line and keeps every byte.
struct Lexer<'a> {
    line: &'a str,
    at: usize,
}

/// The line cannot be read: a quote or a brace is not closed, or a substitution is malformed.
struct Unreadable;

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        // All the characters that matter are ASCII, and most of the others, too.
        match self.line.as_bytes().get(self.at) {
            Some(byte) if byte.is_ascii() => Some(char::from(*byte)),
            Some(_) => self.line[self.at..].chars().next(),
            None => None,
        }
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }

    /// The words between white space that is neither quoted nor escaped.
    fn words(&mut self) -> Result<Vec<Range<usize>>, Unreadable> {
        let mut words = Vec::new();
        let mut word: Option<usize> = None;
        while let Some(character) = self.peek() {
            let start = self.at;
            match character {
                '\'' => self.single_quotes()?,
                '"' => self.double_quotes(0)?,
                '<' => self.angles(),
                '\\' => {
                    self.next();
                    self.next();
                }
                '$' => {
                    self.dollar(0)?;
                    // What stands in a substitution is split at white space like anything else.
                    for (at, inner) in self.line[start..self.at].char_indices() {
                        separate(&mut words, &mut word, start + at, inner);
                    }
                    continue;
                }
                other => {
                    self.next();
                    separate(&mut words, &mut word, start, other);
                    continue;
                }
            }
            word.get_or_insert(start);
        }
        if let Some(start) = word {
            words.push(start..self.line.len());
        }
        Ok(words)
    }

    /// `<`, or `<<` with the white space behind it, which belongs to the word.
    fn angles(&mut self) {
        self.next();
        if self.peek() == Some('<') {
            self.next();
            while matches!(self.peek(), Some(' ' | '\t' | '\r')) {
                self.next();
            }
        }
    }

    fn single_quotes(&mut self) -> Result<(), Unreadable> {
        self.next();
        while let Some(character) = self.next() {
            if character == '\'' {
                return Ok(());
            }
        }
        Err(Unreadable)
    }

    fn double_quotes(&mut self, depth: usize) -> Result<(), Unreadable> {
        self.next();
        loop {
            match self.peek() {
                None => return Err(Unreadable),
                Some('"') => {
                    self.next();
                    return Ok(());
                }
                Some('$') => self.dollar(depth)?,
                Some('\\') => {
                    self.next();
                    if matches!(self.peek(), Some('"' | '$' | '\\')) {
                        self.next();
                    }
                }
                Some(_) => {
                    self.next();
                }
            }
        }
    }

    fn dollar(&mut self, depth: usize) -> Result<(), Unreadable> {
        self.next();
        if self.peek() != Some('{') {
            self.name();
            return Ok(());
        }
        self.next();
        if matches!(self.peek(), None | Some('{' | '}' | ':')) || depth >= DEEPEST {
            return Err(Unreadable);
        }
        self.name();
        match self.next() {
            Some('}') => Ok(()),
            Some(':') => {
                self.next();
                self.until('}', depth + 1)
            }
            Some('+' | '-' | '?' | '#' | '%') => self.until('}', depth + 1),
            Some('/') => {
                if self.peek() == Some('/') {
                    self.next();
                }
                self.until('/', depth + 1)?;
                self.until('}', depth + 1)
            }
            _ => Err(Unreadable),
        }
    }

    fn until(&mut self, stop: char, depth: usize) -> Result<(), Unreadable> {
        loop {
            match self.peek() {
                None => return Err(Unreadable),
                Some(character) if character == stop => {
                    self.next();
                    return Ok(());
                }
                Some('\'') => self.single_quotes()?,
                Some('"') => self.double_quotes(depth)?,
                Some('$') => self.dollar(depth)?,
                Some('\\') => {
                    self.next();
                    self.next();
                }
                Some(_) => {
                    self.next();
                }
            }
        }
    }

    /// A variable's name, or one of the special parameters.
    fn name(&mut self) {
        match self.peek() {
            Some(first) if first.is_numeric() => {
                while self.peek().is_some_and(char::is_numeric) {
                    self.next();
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => {
                self.next();
            }
            _ => {
                while self.peek().is_some_and(|character| character.is_alphanumeric() || character == '_') {
                    self.next();
                }
            }
        }
    }
}

/// Lets a character that is neither quoted nor escaped end the word or belong to it.
fn separate(words: &mut Vec<Range<usize>>, word: &mut Option<usize>, at: usize, character: char) {
    if character.is_whitespace() {
        words.extend(word.take().map(|start| start..at));
    } else {
        word.get_or_insert(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimiters(line: &str) -> Vec<(String, bool, bool)> {
        openers(line).into_iter().map(|opener| (opener.delimiter, opener.dashed, opener.expands)).collect()
    }

    fn plain(name: &str) -> (String, bool, bool) {
        (name.to_owned(), false, true)
    }

    #[test]
    fn openers_are_words() {
        assert_eq!(delimiters("RUN <<EOF"), [plain("EOF")]);
        assert_eq!(delimiters("RUN cat <<EOF > /f"), [plain("EOF")]);
        assert_eq!(delimiters("COPY <<a 3<<b /"), [plain("a"), plain("b")]);
        assert_eq!(delimiters("RUN <<  EOF"), [plain("EOF")]);
        assert_eq!(delimiters("RUN <<-'E F'"), [("E F".to_owned(), true, false)]);
        assert_eq!(delimiters("RUN <<\"EOF\""), [("EOF".to_owned(), false, false)]);
        assert_eq!(delimiters("RUN <<\\EOF"), [plain("EOF")]);
        assert_eq!(delimiters("RUN <<$EOF"), [plain("$EOF")]);
    }

    #[test]
    fn other_angles_open_nothing() {
        for line in [
            "RUN cat<<EOF",
            "RUN \"<<EOF\"",
            "RUN cat <<<EOF",
            "RUN it's <<EOF",
            "RUN <<",
            "RUN <<''",
            "RUN ${a@Q} <<EOF",
            "RUN a\\ <<EOF",
            "RUN <<- EOF",
        ] {
            assert_eq!(delimiters(line), [], "{line}");
        }
    }
}
