//! What stands after keyword and flags, split as BuildKit's line parsers split it.

use std::ops::Range;

/// The white space that separates arguments: Go's `[\t\v\f\r ]`.
pub(super) fn is_separator(character: char) -> bool {
    matches!(character, '\t' | '\x0b' | '\x0c' | '\r' | ' ')
}

/// The arguments between white space, as `FROM`, `EXPOSE`, `COPY`, `ADD` and `VOLUME` take them: quotes mean nothing.
pub(super) fn whitespace_separated(arguments: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut word = None;
    for (at, character) in arguments.char_indices() {
        if is_separator(character) {
            words.extend(word.take().map(|start| start..at));
        } else {
            word.get_or_insert(at);
        }
    }
    words.extend(word.map(|start| start..arguments.len()));
    words
}

/// The words of `ENV`, `LABEL` and `ARG`, where quotes and escapes keep white space in a word and stay in its text.
pub(super) fn quoted_words(arguments: &str, escape: char) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut word: Option<usize> = None;
    let mut quote = None;
    let mut end = 0;
    let mut characters = arguments.char_indices();
    while let Some((at, character)) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            words.extend(word.take().map(|start| start..end).filter(|word| !word.is_empty()));
            continue;
        }
        word.get_or_insert(at);
        end = at + character.len_utf8();
        if character == escape && quote != Some('\'') {
            match characters.next() {
                Some((at, escaped)) => end = at + escaped.len_utf8(),
                // An escape character at the very end is not part of the word.
                None => end = at,
            }
        } else if quote == Some(character) {
            quote = None;
        } else if quote.is_none() && matches!(character, '\'' | '"') {
            quote = Some(character);
        }
    }
    words.extend(word.map(|start| start..end).filter(|word| !word.is_empty()));
    words
}

/// One `key=value` of `ENV` or `LABEL`; quotes and escapes still stand in both. Ranges of the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyValue {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
}

/// The pairs of `ENV` and `LABEL`, in the old form (`ENV key value`) and the new one.
///
/// # Errors
/// BuildKit's message about a malformed pair.
pub(super) fn key_values(arguments: &str, keyword: &str, escape: char) -> Result<Vec<KeyValue>, String> {
    let words = quoted_words(arguments, escape);
    let Some(first) = words.first() else { return Ok(Vec::new()) };
    if !arguments[first.clone()].contains('=') {
        let Some(key_end) = arguments.find(is_separator) else {
            return Err(format!("{keyword} must have two arguments"));
        };
        let rest = &arguments[key_end..];
        let value_start = key_end + (rest.len() - rest.trim_start_matches(is_separator).len());
        return Ok(vec![KeyValue { key: 0..key_end, value: value_start..arguments.len() }]);
    }
    let mut pairs = Vec::with_capacity(words.len());
    for word in words {
        let written = &arguments[word.clone()];
        let Some(equals) = written.find('=') else {
            return Err(format!(
                "Syntax error - can't find = in \"{}\". Must be of the form: name=value",
                shortened(written)
            ));
        };
        pairs.push(KeyValue { key: word.start..word.start + equals, value: word.start + equals + 1..word.end });
    }
    Ok(pairs)
}

/// Whether arguments are a JSON array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    /// An array of strings.
    Strings(Vec<String>),
    /// An array that holds something else: BuildKit refuses it.
    OtherThanStrings,
    /// An array of strings with something behind it, as in `CMD ["x"] # start`: older versions of BuildKit drop what is behind it, newer
    /// ones take all of it for plain text.
    Followed,
    /// Anything else: BuildKit takes it for plain text.
    No,
}

/// Reads arguments as BuildKit's `parseJSON` does.
pub(super) fn json(arguments: &str) -> Json {
    let arguments = arguments.trim_start();
    if !arguments.starts_with('[') {
        return Json::No;
    }
    if let Ok(strings) = serde_json::from_str::<Vec<String>>(arguments) {
        return Json::Strings(strings);
    }
    match serde_json::from_str::<Vec<serde_json::Value>>(arguments) {
        Ok(_) => Json::OtherThanStrings,
        Err(_) => match serde_json::Deserializer::from_str(arguments).into_iter::<Vec<String>>().next() {
            Some(Ok(_)) => Json::Followed,
            _ => Json::No,
        },
    }
}

/// The first word of `HEALTHCHECK`'s arguments and where the command after it starts.
pub(super) fn healthcheck(arguments: &str) -> (&str, usize) {
    let end = arguments.find(char::is_whitespace).unwrap_or(arguments.len());
    let rest = &arguments[end..];
    (&arguments[..end], end + (rest.len() - rest.trim_start().len()))
}

/// A word for a message: one line, no control characters, not longer than a person reads.
pub(super) fn shortened(word: &str) -> String {
    const LONGEST: usize = 40;
    let mut short: String = word.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if word.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(arguments: &str) -> Vec<&str> {
        quoted_words(arguments, '\\').into_iter().map(|word| &arguments[word]).collect()
    }

    #[test]
    fn quotes_and_escapes_keep_a_word_together() {
        assert_eq!(words(r#"a="b c" d=e\ f  g='h "i'"#), [r#"a="b c""#, r"d=e\ f", r#"g='h "i'"#]);
        assert_eq!(words(r#"a="b \" c" d"#), [r#"a="b \" c""#, "d"]);
        assert_eq!(words(r"a='\' b"), [r"a='\'", "b"]);
        assert_eq!(words("a=\"b c"), ["a=\"b c"]);
        assert_eq!(words(""), [""; 0]);
    }

    #[test]
    fn the_first_word_decides_the_form() {
        let pairs = |arguments: &str| {
            key_values(arguments, "ENV", '\\').map(|pairs| {
                pairs
                    .into_iter()
                    .map(|pair| (arguments[pair.key].to_owned(), arguments[pair.value].to_owned()))
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(pairs("a  b c=d"), Ok(vec![("a".to_owned(), "b c=d".to_owned())]));
        assert_eq!(pairs("a=b=c d="), Ok(vec![("a".to_owned(), "b=c".to_owned()), ("d".to_owned(), String::new())]));
        assert_eq!(pairs("a"), Err("ENV must have two arguments".to_owned()));
        assert!(pairs("a=b c").unwrap_err().starts_with("Syntax error - can't find = in \"c\""));
    }

    #[test]
    fn json_is_an_array_of_strings() {
        assert_eq!(json(r#"  ["a", "b\n"] "#), Json::Strings(vec!["a".to_owned(), "b\n".to_owned()]));
        assert_eq!(json("[]"), Json::Strings(Vec::new()));
        assert_eq!(json(r#"["a", 1]"#), Json::OtherThanStrings);
        assert_eq!(json("['a']"), Json::No);
        assert_eq!(json(r#"["a",]"#), Json::No);
        assert_eq!(json(r#"["a"] b"#), Json::Followed);
        assert_eq!(json(r#"["a" b] c"#), Json::No);
        assert_eq!(json("[ -f x ]"), Json::No);
        assert_eq!(json(&"[".repeat(100_000)), Json::No);
    }
}
