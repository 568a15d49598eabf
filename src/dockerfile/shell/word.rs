//! Words of a shell script: quotes, expansions and substitutions.

use super::Word;
use super::script::Script;

/// What is known of a word while it is read.
#[derive(Default)]
struct Reading {
    /// The text without quotes.
    text: String,
    /// Something in it is only known when it runs.
    open: bool,
    /// A `[` that is not quoted, which a `]` makes a glob.
    bracket: bool,
    /// A `{` that is not quoted, and a `,` or `..` behind it, which a `}` makes a brace expansion.
    brace: bool,
    list: bool,
}

impl Script<'_> {
    /// The word that starts here. The caller has made sure that one does.
    pub(super) fn word(&mut self) -> Option<Word> {
        let start = self.at;
        let mut word = Reading::default();
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => break,
                // A carriage return would be part of the word, which nobody meant.
                b'\r' => return None,
                b'\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'\n') => self.at += 1,
                        Some(_) => self.take_character(&mut word.text),
                        None => word.text.push('\\'),
                    }
                }
                b'\'' => self.single_quotes(&mut word)?,
                b'"' => self.double_quotes(&mut word)?,
                b'`' => {
                    word.open = true;
                    self.backticks()?;
                }
                b'$' => self.dollar(&mut word, false)?,
                _ => {
                    word.note(byte, self.at == start);
                    self.take_character(&mut word.text);
                }
            }
        }
        if self.at == start {
            return None;
        }
        let written = self.text[start..self.at].to_owned();
        Some(Word { span: self.span(start, self.at), literal: (!word.open).then_some(word.text), written })
    }

    fn take_character(&mut self, into: &mut String) {
        if let Some(character) = self.text[self.at..].chars().next() {
            into.push(character);
            self.at += character.len_utf8();
        }
    }

    fn single_quotes(&mut self, word: &mut Reading) -> Option<()> {
        let inner = &self.text[self.at + 1..self.end];
        let length = inner.find('\'')?;
        word.text.push_str(&inner[..length]);
        self.at += length + 2;
        Some(())
    }

    fn double_quotes(&mut self, word: &mut Reading) -> Option<()> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'\n' => self.at += 1,
                        b'$' | b'`' | b'"' | b'\\' => self.take_character(&mut word.text),
                        _ => word.text.push('\\'),
                    }
                }
                b'`' => {
                    word.open = true;
                    self.backticks()?;
                }
                b'$' => self.dollar(word, true)?,
                _ => self.take_character(&mut word.text),
            }
        }
    }

    /// Anything that a dollar starts.
    fn dollar(&mut self, word: &mut Reading, quoted: bool) -> Option<()> {
        self.at += 1;
        match self.peek() {
            Some(b'(') if self.text[self.at..self.end].starts_with("((") => self.arithmetic()?,
            Some(b'(') => {
                self.at += 1;
                self.nested(|script| script.list(true))?;
            }
            Some(b'{') => {
                self.at += 1;
                self.nested(Self::parameter)?;
            }
            // `$'…'` is one thing to bash and another to dash; they agree on where it ends when no backslash stands in it.
            Some(b'\'') if !quoted => {
                let mut inner = Reading::default();
                self.single_quotes(&mut inner)?;
                if inner.text.contains('\\') {
                    return None;
                }
            }
            Some(b'"') if !quoted => {}
            Some(byte) if byte.is_ascii_alphanumeric() || byte == b'_' => {
                let name = &self.text[self.at..self.end];
                let length = name.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
                self.at += if byte.is_ascii_digit() { 1 } else { length };
            }
            Some(b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!') => self.at += 1,
            // `$[…]` is old arithmetic to bash and a dollar to others.
            Some(b'[') => return None,
            // A dollar that starts nothing is a dollar.
            _ => {
                word.text.push('$');
                return Some(());
            }
        }
        word.open = true;
        Some(())
    }

    /// `$((…))`. With quotes or substitutions in it, or when it ends like a subshell within a substitution, nobody can be sure.
    fn arithmetic(&mut self) -> Option<()> {
        self.at += 2;
        let mut depth = 2_usize;
        loop {
            match self.peek()? {
                b'(' => depth += 1,
                b')' if depth == 2 => {
                    let closed = self.text[self.at..self.end].starts_with("))");
                    self.at += 2;
                    return closed.then_some(());
                }
                b')' => depth -= 1,
                b'\'' | b'"' | b'`' | b'\\' | b'\n' => return None,
                b'$' if self.text[self.at + 1..self.end].starts_with('(') => return None,
                _ => {}
            }
            self.at += 1;
        }
    }

    /// What stands in `${…}`, up to and with the brace that closes it.
    fn parameter(&mut self) -> Option<()> {
        let mut inner = Reading::default();
        loop {
            match self.peek()? {
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => {
                    self.at += 1;
                    self.peek()?;
                    self.take_character(&mut inner.text);
                }
                b'\'' => self.single_quotes(&mut inner)?,
                b'"' => self.double_quotes(&mut inner)?,
                b'`' => self.backticks()?,
                b'$' => self.dollar(&mut inner, false)?,
                _ => self.take_character(&mut inner.text),
            }
        }
    }

    /// `` `…` ``. A backslash in it would have to be undone before the commands can be read.
    fn backticks(&mut self) -> Option<()> {
        self.at += 1;
        let inner = &self.text[self.at..self.end];
        let length = inner.find('`')?;
        if inner[..length].contains('\\') {
            return None;
        }
        let outer = std::mem::replace(&mut self.end, self.at + length);
        self.nested(|script| script.list(false))?;
        self.end = outer;
        self.at += 1;
        Some(())
    }
}

impl Reading {
    /// Takes note of a character that is not quoted.
    fn note(&mut self, byte: u8, first: bool) {
        match byte {
            b'*' | b'?' => self.open = true,
            b'[' => self.bracket = true,
            b']' if self.bracket => self.open = true,
            b'~' if first || self.text.ends_with(['=', ':']) => self.open = true,
            b'{' => self.brace = true,
            b',' if self.brace => self.list = true,
            b'.' if self.brace && self.text.ends_with('.') => self.list = true,
            b'}' if self.list => self.open = true,
            _ => {}
        }
    }
}
