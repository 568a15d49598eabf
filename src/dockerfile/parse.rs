//! From text to instructions.
//!
//! The order of the checks is BuildKit's: first the lines are read (`frontend/dockerfile/parser`), then each instruction is checked for
//! what it needs (`frontend/dockerfile/instructions`). Flags that are not known are accepted: which ones exist depends on the frontend
//! that `# syntax=` names.

use super::arguments::{self, Json};
use super::directive::{self, Directive};
use super::heredoc;
use super::instruction::{Flag, Instruction, Keyword};
use super::line::{LogicalLine, PhysicalLine, too_long};
use super::{Dockerfile, ParseError, stage};
use crate::source::Span;
use std::ops::Range;
use std::sync::Arc;

/// The byte order mark that BuildKit leaves out.
pub(super) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Reads a Dockerfile as BuildKit does.
///
/// # Errors
/// The first thing that BuildKit would refuse, with its place.
pub fn parse(text: impl Into<Arc<str>>) -> Result<Dockerfile, ParseError> {
    let text: Arc<str> = text.into();
    let mut directives: Vec<Directive> = Vec::new();
    let mut escape = '\\';
    let mut at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    while let Some(physical) = PhysicalLine::at(&text, at) {
        if physical.too_long() {
            return Err(too_long(physical));
        }
        let Some(found) = directive::read(&text, physical, &directives)? else { break };
        if let Some(character) = directive::escape_character(&found.value).filter(|_| found.name == "escape") {
            escape = character;
        }
        directives.push(found);
        at = physical.end;
    }
    let instructions = instructions(&text, at, escape)?;
    if instructions.is_empty() {
        return Err(ParseError { offset: 0, message: "file with no instructions".to_owned() });
    }
    let given = Arc::default();
    let stages = stage::stages(&text, &instructions, escape, &given)?;
    let shells = stage::shells(&instructions, &stages);
    Ok(Dockerfile { text, escape, directives, instructions, stages, shells, given })
}

/// The instructions from `at` on, whatever their order.
pub(super) fn instructions(text: &str, mut at: usize, escape: char) -> Result<Vec<Instruction>, ParseError> {
    let mut instructions = Vec::new();
    while let Some(physical) = PhysicalLine::at(text, at) {
        if physical.too_long() {
            return Err(too_long(physical));
        }
        if physical.is_comment(text) || physical.is_blank(text) {
            at = physical.end;
            continue;
        }
        let line = LogicalLine::read(text, physical, escape)?;
        let (instruction, end) = instruction(text, &line, escape)?;
        instructions.push(instruction);
        at = end;
    }
    Ok(instructions)
}

/// The instruction on `line` with its heredocs, and the offset of the line after it.
fn instruction(text: &str, line: &LogicalLine<'_>, escape: char) -> Result<(Instruction, usize), ParseError> {
    let whole = line.text.as_ref();
    let trimmed = whole.trim_end().len();
    let start = whole.len() - whole.trim_start().len();
    let Some(mut instruction) = words(line, start.min(trimmed)..trimmed, escape)? else {
        return Err(unknown_instruction(line, start.min(trimmed)..trimmed));
    };
    // A continuation that starts with nothing puts the keyword on a later line; the lines before it belong to the instruction.
    instruction.span = Span::new(line.start(), line.last.content.end);
    check(line, &instruction, escape)?;
    let mut last = line.last;
    if can_contain_heredocs(line, &instruction) {
        let (heredocs, end) = heredoc::read(text, line)?;
        if let Some(end) = end {
            last = end;
            instruction.span.end = end.content.end;
            if let Some(carried) = &mut instruction.onbuild {
                carried.span.end = end.content.end;
                carried.heredocs.clone_from(&heredocs);
            }
        }
        instruction.heredocs = heredocs;
    }
    Ok((instruction, last.end))
}

/// The instruction in `range` of the logical line: keyword, flags and arguments. `None` when the keyword is not known.
fn words(line: &LogicalLine<'_>, range: Range<usize>, escape: char) -> Result<Option<Instruction>, ParseError> {
    let written = &line.text[range.clone()];
    let keyword_end = range.start + written.find(arguments::is_separator).unwrap_or(written.len());
    let Some(keyword) = Keyword::parse(&line.text[range.start..keyword_end]) else { return Ok(None) };
    let (flags, flags_end) = flags(line, keyword_end..range.end);
    let rest = &line.text[flags_end..range.end];
    // White space beyond ASCII separates no flags, but it is no part of the arguments either.
    let arguments = flags_end + (rest.len() - rest.trim_start().len())..range.end;
    let span = line.span(range.start, range.end);
    let mut instruction = Instruction {
        keyword,
        keyword_span: line.span(range.start, keyword_end),
        span,
        arguments: line.span(arguments.start, arguments.end),
        flags,
        heredocs: Vec::new(),
        onbuild: None,
    };
    check_line(line, keyword, arguments.clone(), escape)?;
    if keyword == Keyword::Onbuild {
        // One level deep and no deeper: what an ONBUILD may carry is checked before what it carries is read.
        let carried = &line.text[arguments.clone()];
        let word = &carried[..carried.find(arguments::is_separator).unwrap_or(carried.len())];
        let refusal = match Keyword::parse(word) {
            _ if carried.is_empty() => Some("ONBUILD requires at least one argument"),
            Some(Keyword::Onbuild) => Some("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
            Some(Keyword::From) => Some("FROM isn't allowed as an ONBUILD trigger"),
            Some(Keyword::Maintainer) => Some("MAINTAINER isn't allowed as an ONBUILD trigger"),
            _ => None,
        };
        if let Some(refusal) = refusal {
            return Err(ParseError { offset: instruction.keyword_span.start, message: refusal.to_owned() });
        }
        instruction.onbuild = words(line, arguments, escape)?.map(|mut carried| {
            carried.span.end = carried.span.end.max(line.last.content.end);
            Box::new(carried)
        });
    }
    Ok(Some(instruction))
}

/// The flags at the start of `range`, and where they end. The escape character in a flag is always the backslash,
/// and only ASCII white space separates flags.
fn flags(line: &LogicalLine<'_>, range: Range<usize>) -> (Vec<Flag>, usize) {
    let is_space = |character: char| character == '\x0b' || character.is_ascii_whitespace();
    let text = &line.text[..range.end];
    let mut flags = Vec::new();
    let mut at = range.start;
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start_matches(is_space).len();
        if !text[at..].starts_with("--") {
            return (flags, at);
        }
        let start = at;
        let mut word = String::new();
        let mut quote = None;
        let mut characters = text[at..].char_indices();
        at = text.len();
        while let Some((offset, character)) = characters.next() {
            match character {
                '\\' => word.extend(characters.next().map(|(_, escaped)| escaped)),
                _ if quote == Some(character) => quote = None,
                _ if quote.is_some() => word.push(character),
                '\'' | '"' => quote = Some(character),
                _ if is_space(character) => {
                    at = start + offset;
                    break;
                }
                _ => word.push(character),
            }
        }
        // `--` alone ends the flags.
        let Some(written) = word.strip_prefix("--").filter(|name| !name.is_empty()) else {
            return (flags, at);
        };
        let (name, value) = match written.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (written.to_owned(), None),
        };
        flags.push(Flag { span: line.span(start, at), name, value });
    }
}

/// What BuildKit's line parsers refuse, even below `ONBUILD`.
fn check_line(line: &LogicalLine<'_>, keyword: Keyword, range: Range<usize>, escape: char) -> Result<(), ParseError> {
    let arguments = &line.text[range.clone()];
    let fail = |message: String| Err(ParseError { offset: line.span(range.start, range.end).start, message });
    match keyword {
        Keyword::Env | Keyword::Label => match arguments::key_values(arguments, keyword.as_str(), escape) {
            Ok(_) => Ok(()),
            Err(message) => fail(message),
        },
        Keyword::Add
        | Keyword::Cmd
        | Keyword::Copy
        | Keyword::Entrypoint
        | Keyword::Run
        | Keyword::Shell
        | Keyword::Volume => not_other_than_strings(arguments).or_else(fail),
        Keyword::Healthcheck => not_other_than_strings(&arguments[arguments::healthcheck(arguments).1..]).or_else(fail),
        _ => Ok(()),
    }
}

fn not_other_than_strings(arguments: &str) -> Result<(), String> {
    match arguments::json(arguments) {
        Json::OtherThanStrings => {
            Err("when using JSON array syntax, arrays must be comprised of strings only".to_owned())
        }
        Json::Strings(_) | Json::Followed | Json::No => Ok(()),
    }
}

/// What BuildKit refuses in an instruction of its own.
fn check(line: &LogicalLine<'_>, instruction: &Instruction, escape: char) -> Result<(), ParseError> {
    let range = logical_arguments(line, instruction);
    let arguments = &line.text[range];
    let keyword = instruction.keyword;
    let message = match keyword {
        Keyword::Env | Keyword::Label => match arguments::key_values(arguments, keyword.as_str(), escape) {
            Ok(pairs) if pairs.is_empty() => Some(format!("{keyword} requires at least one argument")),
            Ok(pairs) if pairs.iter().any(|pair| pair.key.is_empty()) => {
                Some(format!("{keyword} names can not be blank"))
            }
            Ok(_) => None,
            Err(message) => Some(message),
        },
        Keyword::Arg => match arguments::quoted_words(arguments, escape) {
            words if words.is_empty() => Some("ARG requires at least one argument".to_owned()),
            words if words.iter().any(|word| arguments[word.clone()].starts_with('=')) => {
                Some("ARG names can not be blank".to_owned())
            }
            _ => None,
        },
        Keyword::Add | Keyword::Copy => check_copy(keyword, arguments),
        Keyword::Expose if arguments.is_empty() => Some("EXPOSE requires at least one argument".to_owned()),
        Keyword::Volume => match arguments::json(arguments) {
            _ if arguments.is_empty() => Some("VOLUME requires at least one argument".to_owned()),
            Json::Strings(volumes) if volumes.is_empty() => Some("VOLUME requires at least one argument".to_owned()),
            Json::Strings(volumes) if volumes.iter().any(|volume| volume.trim().is_empty()) => {
                Some("VOLUME specified can not be an empty string".to_owned())
            }
            _ => None,
        },
        Keyword::Maintainer | Keyword::Stopsignal | Keyword::User | Keyword::Workdir if arguments.is_empty() => {
            Some(format!("{keyword} requires exactly one argument"))
        }
        Keyword::Shell => match arguments::json(arguments) {
            Json::Strings(words) if !words.is_empty() => None,
            Json::Followed => None,
            Json::No if !arguments.is_empty() => Some("SHELL requires the arguments to be in JSON form".to_owned()),
            _ => Some("SHELL requires at least one argument".to_owned()),
        },
        Keyword::Healthcheck => check_healthcheck(arguments),
        Keyword::From => check_from(arguments),
        _ => None,
    };
    match message {
        Some(message) => Err(ParseError { offset: instruction.keyword_span.start, message }),
        None => Ok(()),
    }
}

fn check_copy(keyword: Keyword, arguments: &str) -> Option<String> {
    let words: Vec<String> = match arguments::json(arguments) {
        Json::Strings(words) => words,
        _ => arguments::whitespace_separated(arguments).into_iter().map(|word| arguments[word].to_owned()).collect(),
    };
    match words.as_slice() {
        [] | [_] => Some(format!(
            "{keyword} requires at least two arguments, but only one was provided. Destination could not be determined"
        )),
        [.., destination] if heredoc::is_opener(destination) => {
            Some(format!("{keyword} cannot accept a heredoc as a destination"))
        }
        _ => None,
    }
}

fn check_healthcheck(arguments: &str) -> Option<String> {
    let (kind, command_start) = arguments::healthcheck(arguments);
    let command = &arguments[command_start..];
    match kind.to_ascii_uppercase().as_str() {
        "" => Some("HEALTHCHECK requires at least one argument".to_owned()),
        "NONE" if command.is_empty() => None,
        "NONE" => Some("HEALTHCHECK NONE takes no arguments".to_owned()),
        "CMD" if command.is_empty() || arguments::json(command) == Json::Strings(Vec::new()) => {
            Some("Missing command after HEALTHCHECK CMD".to_owned())
        }
        "CMD" => None,
        _ => Some(format!("Unknown type \"{}\" in HEALTHCHECK (try CMD)", arguments::shortened(kind))),
    }
}

fn check_from(arguments: &str) -> Option<String> {
    let words: Vec<&str> =
        arguments::whitespace_separated(arguments).into_iter().map(|word| &arguments[word]).collect();
    match words.as_slice() {
        [_] => None,
        [_, as_, name] if as_.eq_ignore_ascii_case("as") => {
            let valid = name.starts_with(|first: char| first.is_ascii_alphabetic())
                && name.chars().all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character));
            (!valid).then(|| {
                let name = arguments::shortened(name);
                format!("invalid name for build stage: \"{name}\", name can't start with a number or contain symbols")
            })
        }
        _ => Some("FROM requires either one or three arguments".to_owned()),
    }
}

/// Whether BuildKit looks for heredocs: in `RUN`, `COPY` and `ADD` that are not in JSON form, also below `ONBUILD`.
fn can_contain_heredocs(line: &LogicalLine<'_>, instruction: &Instruction) -> bool {
    let inner = instruction.onbuild.as_deref().unwrap_or(instruction);
    matches!(inner.keyword, Keyword::Run | Keyword::Copy | Keyword::Add)
        && line.text.contains("<<")
        && !matches!(arguments::json(&line.text[logical_arguments(line, inner)]), Json::Strings(_))
}

/// Where an instruction's arguments stand in its logical line. They end it, so counting from the end finds them.
pub(super) fn logical_arguments(line: &LogicalLine<'_>, instruction: &Instruction) -> Range<usize> {
    let end = line.text.trim_end().len();
    if instruction.arguments.is_empty() {
        return end..end;
    }
    line.logical(instruction.arguments.start).map_or(end..end, |start| start.min(end)..end)
}

fn unknown_instruction(line: &LogicalLine<'_>, range: Range<usize>) -> ParseError {
    let written = &line.text[range.clone()];
    let word = &written[..written.find(arguments::is_separator).unwrap_or(written.len())];
    let shown = arguments::shortened(word);
    let message = match nearest(word) {
        Some(keyword) => format!("unknown instruction `{shown}` (did you mean {keyword}?)"),
        None => format!("unknown instruction `{shown}`"),
    };
    ParseError { offset: line.span(range.start, range.end).start, message }
}

/// The keyword that `word` may have been meant for: at most two letters off.
fn nearest(word: &str) -> Option<Keyword> {
    let word: Vec<char> = word.chars().take(16).map(|character| character.to_ascii_uppercase()).collect();
    let distance = |keyword: &Keyword| {
        let mut row: Vec<usize> = (0..=word.len()).collect();
        for (line, expected) in keyword.as_str().chars().enumerate() {
            let mut diagonal = row[0];
            row[0] = line + 1;
            for (column, actual) in word.iter().enumerate() {
                let substitution = diagonal + usize::from(*actual != expected);
                diagonal = row[column + 1];
                row[column + 1] = substitution.min(row[column] + 1).min(diagonal + 1);
            }
        }
        row.last().copied().unwrap_or(usize::MAX)
    };
    let (distance, keyword) = Keyword::ALL.iter().map(|keyword| (distance(keyword), *keyword)).min()?;
    (distance <= 2 && distance * 2 <= word.len()).then_some(keyword)
}
