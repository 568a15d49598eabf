//! How new values are written: bare, quoted, as blocks, as flow.

use super::Value;

/// What surrounds a value that is written on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    /// JSON: keys and strings are always quoted.
    pub(super) json: bool,
    /// What stands between key and value: `: `, or `:` in compact JSON.
    pub(super) colon: String,
    /// What stands between two elements: `, `, or `,` in compact JSON.
    pub(super) comma: &'static str,
}

impl Default for Flow {
    fn default() -> Self {
        Self { json: false, colon: ": ".to_owned(), comma: ", " }
    }
}

impl Flow {
    /// `key: value` as it stands in a flow mapping.
    pub(super) fn entry(&self, key: &str, value: &Value) -> String {
        format!("{}{}{}", self.string(key), self.colon, self.value(value))
    }

    /// A whole value on one line.
    pub(super) fn value(&self, value: &Value) -> String {
        match value {
            Value::Str(text) => self.string(text),
            Value::Map(entries) => {
                let entries: Vec<String> = entries.iter().map(|(key, value)| self.entry(key, value)).collect();
                format!("{{{}}}", entries.join(self.comma))
            }
            Value::Seq(items) => {
                let items: Vec<String> = items.iter().map(|item| self.value(item)).collect();
                format!("[{}]", items.join(self.comma))
            }
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
        }
    }

    fn string(&self, text: &str) -> String {
        if !self.json && is_bare(text) && !text.contains(':') { text.to_owned() } else { double_quoted(text) }
    }
}

/// How a document indents its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Columns by which a nested mapping stands deeper than its key.
    pub(super) step: usize,
    /// Columns by which the dashes of a list stand deeper than the key of the list: 0 is kubectl's own style.
    pub(super) list_step: usize,
    /// Spaces between a dash and its item.
    pub(super) gap: usize,
}

impl Block {
    /// The lines of `key: value`, without line ends, with the key at column `indent`.
    pub(super) fn entry(&self, key: &str, value: &Value, indent: usize) -> Vec<String> {
        let mut lines = Vec::new();
        self.write_entry(&mut lines, spaces(indent), key, value, indent);
        lines
    }

    /// The lines of `- value`, without line ends, with the dash at column `indent`.
    pub(super) fn item(&self, value: &Value, indent: usize) -> Vec<String> {
        let mut lines = Vec::new();
        self.write_item(&mut lines, &spaces(indent), value, indent);
        lines
    }

    fn write_entry(&self, lines: &mut Vec<String>, prefix: String, key: &str, value: &Value, indent: usize) {
        let head = prefix + &scalar(&Value::Str(key.to_owned())) + ":";
        match value {
            Value::Map(entries) if !entries.is_empty() => {
                lines.push(head);
                let indent = indent + self.step;
                for (key, value) in entries {
                    self.write_entry(lines, spaces(indent), key, value, indent);
                }
            }
            Value::Seq(items) if !items.is_empty() => {
                lines.push(head);
                let indent = indent + self.list_step;
                for item in items {
                    self.write_item(lines, &spaces(indent), item, indent);
                }
            }
            _ => lines.push(head + " " + &scalar(value)),
        }
    }

    fn write_item(&self, lines: &mut Vec<String>, prefix: &str, value: &Value, indent: usize) {
        let head = format!("{prefix}-{}", spaces(self.gap));
        let indent = indent + 1 + self.gap;
        match value {
            Value::Map(entries) if !entries.is_empty() => {
                let mut prefix = head;
                for (key, value) in entries {
                    self.write_entry(lines, prefix, key, value, indent);
                    prefix = spaces(indent);
                }
            }
            Value::Seq(items) if !items.is_empty() => {
                let mut prefix = head;
                for item in items {
                    self.write_item(lines, &prefix, item, indent);
                    prefix = spaces(indent);
                }
            }
            _ => lines.push(head + &scalar(value)),
        }
    }
}

/// A value on one line in block context: bare where that is safe, else double-quoted.
pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::Str(text) if is_bare(text) => text.clone(),
        Value::Str(text) => double_quoted(text),
        other => Flow::default().value(other),
    }
}

/// Single quotes around `text`, if it can be written so on one line.
pub(super) fn single_quoted(text: &str) -> Option<String> {
    let holds = text.chars().all(|character| !needs_escape(character));
    holds.then(|| format!("'{}'", text.replace('\'', "''")))
}

/// Double quotes around `text`, with the escapes that YAML and JSON share.
pub(super) fn double_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ if needs_escape(character) => {
                // All of these lie in the first plane, so four digits hold them.
                quoted.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// What YAML does not take for printable, and what some readers take for a line break or a byte order mark.
fn needs_escape(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
}

/// Whether `text` may stand without quotes: it reads as this string with go-yaml v2 and v3, libyaml and PyYAML. Narrow on
/// purpose: one or two dashes followed by a letter, or a letter, `_` or `/`; then no sign that means anything in YAML. Or digits with
/// a unit, as in `250m` and `64Mi`.
fn is_bare(text: &str) -> bool {
    const UNITS: [&str; 11] = ["m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"];
    let unit = text.trim_start_matches(|character: char| character.is_ascii_digit());
    if unit.len() < text.len() && UNITS.contains(&unit) {
        return true;
    }
    let dashes = text.bytes().take_while(|&byte| byte == b'-').count();
    let mut rest = text.bytes().skip(dashes);
    let starts = match (dashes, rest.next()) {
        (0, Some(byte)) => byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'/'),
        (1 | 2, Some(byte)) => byte.is_ascii_alphabetic(),
        _ => false,
    };
    let signs = b"_./@+=:-";
    starts
        && rest.all(|byte| byte.is_ascii_alphanumeric() || signs.contains(&byte))
        && !text.ends_with(':')
        && !RESERVED.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Words that some reader takes for a boolean, null or a number.
const RESERVED: [&str; 13] =
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "-inf", "-nan"];

pub(super) fn spaces(count: usize) -> String {
    " ".repeat(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_bare_only_where_every_reader_agrees() {
        for text in [
            "nginx",
            "/tmp",
            "_x",
            "--flag=a:b",
            "-v",
            "RuntimeDefault",
            "registry.io/a/b:1.2",
            "a@b",
            "NET_BIND_SERVICE",
            "10Mi",
            "250m",
            "1k",
        ] {
            assert_eq!(scalar(&Value::Str(text.to_owned())), text);
        }
        for text in [
            "", "y", "No", "NULL", "1", "1.5", "1.5Gi", "1e3", "1E", "0x1", "1_0m", "-1", "-_7", "---", "---a", "a b",
            "a:", "a#b", "#a", "*a", "&a", "!a", "a,b", "{}", "[", "~", "é", "=", "<<", ".5", "a\n", "\t", "%a", "@a",
            "`a", "'", "\"", "-.inf", "nan", "-", "?", ":",
        ] {
            assert!(scalar(&Value::Str(text.to_owned())).starts_with('"'), "{text:?}");
        }
    }

    #[test]
    fn in_flow_a_colon_needs_quotes() {
        let flow = Flow::default();
        assert_eq!(flow.value(&Value::Str("a:b".to_owned())), "\"a:b\"");
        assert_eq!(flow.value(&Value::Str("a.b".to_owned())), "a.b");
    }

    #[test]
    fn what_yaml_cannot_print_is_escaped() {
        assert_eq!(
            double_quoted("a\"\\\n\t\r\u{85}\u{2028}\u{FEFF}\u{7f}\u{1}é\u{1F980}"),
            "\"a\\\"\\\\\\n\\t\\r\\u0085\\u2028\\ufeff\\u007f\\u0001é\u{1F980}\""
        );
        assert_eq!(single_quoted("it's"), Some("'it''s'".to_owned()));
        assert_eq!(single_quoted("a\nb"), None);
    }

    #[test]
    fn blocks_follow_the_style() {
        let value = Value::Map(vec![
            ("drop".to_owned(), Value::Seq(vec![Value::Str("ALL".to_owned())])),
            ("add".to_owned(), Value::Seq(vec![])),
        ]);
        let kubectl = Block { step: 2, list_step: 0, gap: 1 };
        assert_eq!(
            kubectl.entry("capabilities", &value, 2),
            ["  capabilities:", "    drop:", "    - ALL", "    add: []"]
        );
        let wide = Block { step: 4, list_step: 4, gap: 3 };
        assert_eq!(wide.entry("c", &value, 0), ["c:", "    drop:", "        -   ALL", "    add: []"]);
        let nested = Value::Seq(vec![Value::Seq(vec![Value::Int(1), Value::Int(2)]), value]);
        assert_eq!(kubectl.entry("l", &nested, 0), ["l:", "- - 1", "  - 2", "- drop:", "  - ALL", "  add: []"]);
    }
}
