//! Variables in words, as BuildKit's `shell.Lex` expands them: quotes and escapes are removed, `$` substitutions are filled in.

use std::iter::Peekable;
use std::str::Chars;

/// Substitutions nested deeper than this are given up.
const DEEPEST: usize = 64;

/// Words longer than this are given up: values that double at every line would otherwise fill the memory.
const LONGEST: usize = 8 * 1024;

/// What is known of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// It has this value, unless the build is given another.
    Set(String),
    /// It has none, unless the build gives it one: the default in `${X:-default}` applies.
    Unset,
    /// It may have any.
    Unknown,
}

/// Where the values of variables come from.
pub(super) trait Lookup {
    /// What is known of the variable `name`.
    fn lookup(&self, name: &str) -> Value;
}

/// `word` without quotes and with its variables filled in; `None` when a value is not known, a quote is not closed, or a substitution is
/// of a kind that is not computed here (`${X#pattern}`, `${X/a/b}`).
pub(super) fn expand(word: &str, escape: char, variables: &dyn Lookup) -> Option<String> {
    let mut expansion = Expansion { characters: word.chars().peekable(), escape, variables, length: 0 };
    expansion.until(None, 0)
}

/// Name and value of one `ARG` word.
pub(super) fn declaration(word: &str, escape: char, variables: &dyn Lookup) -> (String, Value) {
    let expand = |text| expand(text, escape, variables);
    match word.split_once('=') {
        Some((name, value)) => {
            (expand(name).unwrap_or_else(|| name.to_owned()), expand(value).map_or(Value::Unknown, Value::Set))
        }
        None => (expand(word).unwrap_or_else(|| word.to_owned()), Value::Unset),
    }
}

/// `word` without quotes; variables stay as written. A quote that is not closed ends with the word.
pub(super) fn unquoted(word: &str, escape: char) -> String {
    let mut text = String::with_capacity(word.len());
    let mut quote = None;
    let mut characters = word.chars().peekable();
    while let Some(character) = characters.next() {
        if character == escape && quote != Some('\'') {
            match characters.peek() {
                Some(next) if quote.is_some() && !(matches!(next, '"' | '$') || *next == escape) => {
                    text.push(character)
                }
                _ => text.extend(characters.next()),
            }
        } else if quote == Some(character) {
            quote = None;
        } else if quote.is_none() && matches!(character, '\'' | '"') {
            quote = Some(character);
        } else {
            text.push(character);
        }
    }
    text
}

struct Expansion<'a> {
    characters: Peekable<Chars<'a>>,
    escape: char,
    variables: &'a dyn Lookup,
    /// Bytes produced so far, over all levels.
    length: usize,
}

impl Expansion<'_> {
    fn until(&mut self, stop: Option<char>, depth: usize) -> Option<String> {
        let mut result = String::new();
        loop {
            let Some(character) = self.characters.next() else {
                return stop.is_none().then_some(result);
            };
            match character {
                _ if Some(character) == stop => return Some(result),
                '\'' => loop {
                    match self.characters.next()? {
                        '\'' => break,
                        quoted => result.push(quoted),
                    }
                },
                '"' => self.double_quotes(&mut result, depth)?,
                '$' => self.dollar(&mut result, depth)?,
                _ if character == self.escape => result.extend(self.characters.next()),
                _ => result.push(character),
            }
        }
    }

    fn double_quotes(&mut self, result: &mut String, depth: usize) -> Option<()> {
        loop {
            match self.characters.next()? {
                '"' => return Some(()),
                '$' => self.dollar(result, depth)?,
                character if character == self.escape => match self.characters.peek() {
                    Some(next) if matches!(next, '"' | '$') || *next == self.escape => {
                        result.extend(self.characters.next());
                    }
                    _ => result.push(character),
                },
                character => result.push(character),
            }
        }
    }

    fn dollar(&mut self, result: &mut String, depth: usize) -> Option<()> {
        if depth >= DEEPEST {
            return None;
        }
        if self.characters.next_if_eq(&'{').is_none() {
            let name = self.name();
            if name.is_empty() {
                // Special parameters have no meaning here, and BuildKit leaves a lone dollar alone.
                let special = self.characters.peek().is_some_and(|next| "@*#?-$!0123456789".contains(*next));
                result.push('$');
                return (!special).then_some(());
            }
            let value = self.variables.lookup(&name);
            return self.push(result, &known(value)?);
        }
        let name = self.name();
        if name.is_empty() {
            return None;
        }
        let mut modifier = self.characters.next()?;
        let colon = modifier == ':';
        if colon {
            modifier = self.characters.next()?;
        }
        if !colon && modifier == '}' {
            let value = self.variables.lookup(&name);
            return self.push(result, &known(value)?);
        }
        if !matches!(modifier, '-' | '+' | '?') {
            return None;
        }
        // The word is computed only when it is needed, but it must be read in any case.
        let word = self.until(Some('}'), depth + 1);
        let present = match self.variables.lookup(&name) {
            Value::Set(value) if !(colon && value.is_empty()) => Some(value),
            Value::Set(_) | Value::Unset => None,
            Value::Unknown => return None,
        };
        match (modifier, present) {
            ('-', None) | ('+', Some(_)) => self.push(result, &word?),
            ('+', None) => word.map(|_| ()),
            ('?', None) => None,
            (_, Some(value)) => {
                word?;
                self.push(result, &value)
            }
            (_, None) => None,
        }
    }

    fn push(&mut self, result: &mut String, text: &str) -> Option<()> {
        self.length += text.len();
        if self.length > LONGEST {
            return None;
        }
        result.push_str(text);
        Some(())
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(character) = self
            .characters
            .next_if(|next| *next == '_' || next.is_alphabetic() || next.is_numeric() && !name.is_empty())
        {
            name.push(character);
        }
        name
    }
}

fn known(value: Value) -> Option<String> {
    match value {
        Value::Set(value) => Some(value),
        Value::Unset | Value::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Lookup for Fixed {
        fn lookup(&self, name: &str) -> Value {
            match name {
                "A" => Value::Set("a".to_owned()),
                "EMPTY" => Value::Set(String::new()),
                "NONE" => Value::Unset,
                _ => Value::Unknown,
            }
        }
    }

    fn expanded(word: &str) -> Option<String> {
        expand(word, '\\', &Fixed)
    }

    #[test]
    fn known_variables_are_filled_in() {
        for (word, expected) in [
            ("$A", "a"),
            ("x${A}y$A-", "xaya-"),
            ("${A:-d}${A-d}", "aa"),
            ("${EMPTY:-d}${EMPTY-d}|", "d|"),
            ("${NONE:-d}${NONE-$A}", "da"),
            ("${NONE:-${NONE:-e}}", "e"),
            ("${A:+x}${A+y}${EMPTY:+x}${EMPTY+y}${NONE:+x}", "xyy"),
            ("${A:?no}", "a"),
            ("'$A' \"$A\" \\$A", "$A a $A"),
            ("\"\\\"\\n\\\\\"", "\"\\n\\"),
            ("100$", "100$"),
            ("a$/b", "a$/b"),
        ] {
            assert_eq!(expanded(word).as_deref(), Some(expected), "{word}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for word in [
            "$B", "$NONE", "${NONE}", "${B:-d}", "${B:+d}", "${A#x}", "${A%x}", "${A/x/y}", "${A", "'$A", "\"a", "$1",
            "$@", "${}",
        ] {
            assert_eq!(expanded(word), None, "{word}");
        }
    }

    #[test]
    fn nesting_and_length_are_bounded() {
        assert_eq!(expanded(&"${NONE:-".repeat(100_000)), None);
        assert_eq!(expanded(&"$A".repeat(20_000)), None);
    }
}
