//! Parser directives: `# syntax=`, `# escape=` and `# check=` at the very top of a Dockerfile.
//!
//! The rules are those of BuildKit's `parser.DirectiveParser`: names in any case, no line of another kind before them, none twice.

use super::ParseError;
use super::line::PhysicalLine;
use crate::source::Span;

/// A parser directive, `# name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// `syntax`, `escape` or `check`.
    pub name: String,
    /// What stands after the `=`, white space around it removed.
    pub value: String,
    /// The line without its line end and without white space before the `#`.
    pub span: Span,
    /// The bytes of the value.
    pub value_span: Span,
}

/// Reads the directive on `line`; `None` ends the run of directives.
pub(super) fn read(text: &str, line: PhysicalLine, seen: &[Directive]) -> Result<Option<Directive>, ParseError> {
    let written = line.content.of(text);
    let trimmed = written.trim_start();
    let start = line.content.start + (written.len() - trimmed.len());
    let Some(rest) = trimmed.strip_prefix('#') else { return Ok(None) };
    let Some((name, value)) = rest.trim_start().split_once('=') else { return Ok(None) };
    let (name, value) = (name.trim_end_matches(is_space), value.trim_matches(is_space));
    let name = name.to_ascii_lowercase();
    if value.is_empty() || !matches!(name.as_str(), "syntax" | "escape" | "check") {
        return Ok(None);
    }
    if seen.iter().any(|directive| directive.name == name) {
        return Err(ParseError { offset: start, message: format!("only one {name} parser directive can be used") });
    }
    // The value ends the line but for white space, so its place follows from the end.
    let behind = written.len() - written.trim_end_matches(is_space).len();
    let end = line.content.end - behind;
    let value_span = Span::new(end - value.len(), end);
    let span = Span::new(start, line.content.end);
    if name == "escape" && escape_character(value).is_none() {
        let message = format!("invalid escape token '{}' does not match ` or \\", value.escape_debug());
        return Err(ParseError { offset: value_span.start, message });
    }
    Ok(Some(Directive { name, value: value.to_owned(), span, value_span }))
}

/// The character that an `escape` directive names, when it is one of the two allowed.
pub(super) fn escape_character(value: &str) -> Option<char> {
    match value {
        "\\" => Some('\\'),
        "`" => Some('`'),
        _ => None,
    }
}

/// The white space of Go's `\s`.
fn is_space(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\x0c' | '\r' | ' ')
}
