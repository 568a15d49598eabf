//! What kubectl makes of a scalar.
//!
//! kubectl reads YAML through sigs.k8s.io/yaml, which resolves scalars as go-yaml v2 does (`resolve.go` of v2.4): YAML 1.1
//! words, octal with a leading zero, underscores in numbers. No YAML 1.2 reader agrees with it, so the table is ours.

use super::tree::{Scalar, Style};
use std::borrow::Cow;

/// Resolves the decoded `text` of a scalar. Quoted and block scalars are strings, unless a tag says otherwise.
pub(super) fn resolve<'a>(style: Style, tag: Option<&str>, text: Cow<'a, str>) -> Scalar<'a> {
    let plain = matches!(style, Style::Plain | Style::Empty);
    match tag.map(core_tag) {
        None if plain => resolve_plain(text),
        Some(Some("null" | "bool" | "int" | "float")) => resolve_plain(text),
        _ => Scalar::Str(text),
    }
}

/// The whole number that `value` is, if it is one and every digit of it is certain.
pub(super) fn whole(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    // Within this range every whole number has a float of its own, so the cast loses nothing.
    #[allow(clippy::cast_possible_truncation)]
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i64)
}

/// The name of a tag of YAML's own (`!!str`, `!<tag:yaml.org,2002:str>`), else `None`.
pub(super) fn core_tag(tag: &str) -> Option<&str> {
    let verbatim = || tag.strip_prefix("!<tag:yaml.org,2002:")?.strip_suffix('>');
    tag.strip_prefix("!!").or_else(verbatim)
}

fn resolve_plain(text: Cow<'_, str>) -> Scalar<'_> {
    if let Some(word) = resolve_word(&text) {
        return word;
    }
    match text.as_bytes().first() {
        Some(b'0'..=b'9' | b'+' | b'-') => resolve_number(&text.replace('_', "")),
        Some(b'.') => float(&text),
        _ => None,
    }
    .unwrap_or(Scalar::Str(text))
}

fn resolve_word(text: &str) -> Option<Scalar<'static>> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Scalar::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

/// `digits` has no underscores left.
fn resolve_number(digits: &str) -> Option<Scalar<'static>> {
    let (sign, magnitude) = match digits.as_bytes().first()? {
        b'+' => ("", &digits[1..]),
        b'-' => ("-", &digits[1..]),
        _ => ("", digits),
    };
    let (radix, body) = radix(magnitude);
    if body.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        if let Ok(value) = i64::from_str_radix(&format!("{sign}{body}"), radix) {
            return Some(Scalar::Int(value));
        }
        // Beyond 64 bits signed, go-yaml still takes what 64 bits unsigned can hold.
        if sign.is_empty()
            && let Ok(value) = u64::from_str_radix(body, radix)
        {
            #[allow(clippy::cast_precision_loss)]
            return Some(Scalar::Float(value as f64));
        }
    }
    float(digits)
}

/// The base that a prefix selects, as Go's `strconv.ParseInt` does with base 0, and the digits behind it.
fn radix(magnitude: &str) -> (u32, &str) {
    match magnitude.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &magnitude[2..]),
        [b'0', b'o' | b'O', ..] => (8, &magnitude[2..]),
        [b'0', b'b' | b'B', ..] => (2, &magnitude[2..]),
        [b'0', _, ..] => (8, &magnitude[1..]),
        _ => (10, magnitude),
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`, go-yaml's `yamlStyleFloat`.
fn float(text: &str) -> Option<Scalar<'static>> {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (body, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let shaped = digits(whole) && digits(fraction) && digits(exponent) && !exponent.is_empty();
    if !shaped || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite()).map(Scalar::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Scalar<'_> {
        resolve(Style::Plain, None, Cow::Borrowed(text))
    }

    fn string(text: &str) -> Scalar<'_> {
        Scalar::Str(Cow::Borrowed(text))
    }

    #[test]
    fn the_words_of_yaml_1_1_are_booleans() {
        for word in ["yes", "on", "y", "Y", "YES", "On", "True"] {
            assert_eq!(plain(word), Scalar::Bool(true), "{word}");
        }
        for word in ["no", "off", "n", "N", "NO", "Off", "FALSE"] {
            assert_eq!(plain(word), Scalar::Bool(false), "{word}");
        }
        for word in ["yEs", "oN", "tRUE", "nULL", "none", "t", "f"] {
            assert_eq!(plain(word), string(word));
        }
    }

    #[test]
    fn null_has_four_words_and_none() {
        for word in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(plain(word), Scalar::Null, "{word:?}");
        }
    }

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        let whole = [
            ("0777", 511),
            ("0644", 420),
            ("0o17", 15),
            ("0x1F", 31),
            ("1_000", 1000),
            ("0b11", 3),
            ("-0b11", -3),
            ("+5", 5),
            ("-7", -7),
            ("0", 0),
            ("9223372036854775807", i64::MAX),
        ];
        for (text, value) in whole {
            assert_eq!(plain(text), Scalar::Int(value), "{text}");
        }
        for (text, value) in [("08", 8.0), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0), ("1.5e-3", 0.0015)] {
            assert_eq!(plain(text), Scalar::Float(value), "{text}");
        }
        assert_eq!(plain("18446744073709551615"), Scalar::Float(u64::MAX as f64));
    }

    #[test]
    fn what_only_looks_like_a_number_is_a_string() {
        for text in [
            "12:30:45",
            "1.2.3",
            "2001-01-01",
            "-",
            "+",
            ".",
            "-_7x",
            "0x",
            "0xG",
            "1e",
            "e3",
            "_7",
            "10Mi",
            "1 000",
            "--5",
            "+-5",
            ".e3",
            "._5",
        ] {
            assert_eq!(plain(text), string(text));
        }
    }

    #[test]
    fn infinities_and_nan_have_their_own_words() {
        assert_eq!(plain(".inf"), Scalar::Float(f64::INFINITY));
        assert_eq!(plain("-.INF"), Scalar::Float(f64::NEG_INFINITY));
        assert!(matches!(plain(".nan"), Scalar::Float(value) if value.is_nan()));
        for text in ["inf", "nan", "NaN", ".iNF", "infinity"] {
            assert_eq!(plain(text), string(text));
        }
    }

    #[test]
    fn quotes_make_strings() {
        for style in [Style::SingleQuoted, Style::DoubleQuoted, Style::Literal, Style::Folded] {
            assert_eq!(resolve(style, None, Cow::Borrowed("0644")), string("0644"));
            assert_eq!(resolve(style, None, Cow::Borrowed("")), string(""));
        }
    }

    #[test]
    fn tags_are_respected() {
        let tagged = |tag, text| resolve(Style::Plain, Some(tag), Cow::Borrowed(text));
        assert_eq!(tagged("!!str", "123"), string("123"));
        assert_eq!(tagged("!<tag:yaml.org,2002:str>", "yes"), string("yes"));
        assert_eq!(tagged("!", "123"), string("123"));
        assert_eq!(tagged("!secret", "123"), string("123"));
        assert_eq!(tagged("!!int", "123"), Scalar::Int(123));
        assert_eq!(resolve(Style::DoubleQuoted, Some("!!int"), Cow::Borrowed("7")), Scalar::Int(7));
        assert_eq!(resolve(Style::Empty, Some("!!str"), Cow::Borrowed("")), string(""));
    }

    #[test]
    fn floats_that_are_whole_numbers_say_so() {
        assert_eq!(whole(1000.0), Some(1000));
        assert_eq!(whole(0.5), None);
        assert_eq!(whole(f64::NAN), None);
        assert_eq!(whole(1e300), None);
    }
}
