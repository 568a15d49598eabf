//! The proof that an edited text is the old one with the operations carried out, and nothing else.

use super::edit::Operation;
use super::layout::{Kind, Layout};
use super::parse::{self, BYTE_ORDER_MARK};
use super::{Dockerfile, ParseError};
use crate::edit::{Edit, EditSet};
use crate::source::{Newline, Span};

/// Proves that `after` is `before` with exactly `operations` carried out, and returns the parsed result.
///
/// The text must be what the edits make of the old one, and it must parse. Then the operations are carried out a second time, on the
/// list of instructions and comments instead of on bytes, and both must agree: every instruction byte for byte, every comment between
/// them, in order. Other parser directives, the byte order mark, the kind of line ends and the presence of a final one must be as before, and
/// there must be no more blank lines than before.
///
/// # Errors
/// What differs from the plan; always a defect of this program.
pub fn verify(
    before: &Dockerfile,
    operations: &[Operation],
    edits: &[Edit],
    after: &str,
) -> Result<Dockerfile, ParseError> {
    let defect = |message: String| ParseError { offset: 0, message };
    let in_bounds = |edit: &Edit| before.text.get(edit.span.start..edit.span.end).is_some();
    if !edits.iter().all(in_bounds) {
        return Err(defect("an edit lies outside the text".to_owned()));
    }
    let edits = EditSet::new(edits.to_vec()).map_err(|overlap| defect(overlap.to_string()))?;
    if edits.apply(&before.text) != after {
        return Err(defect("the text is not what the edits make of the old one".to_owned()));
    }
    let parsed = parse::parse(after)?.with_arguments(before.given.clone())?;

    let expected = carried_out(before, operations)?;
    let actual = items(&parsed);
    let differs = |at: &usize| expected.get(*at).map(|item| &item.text) != actual.get(*at).map(|item| &item.text);
    if let Some(at) = (0..expected.len().max(actual.len())).find(differs) {
        let shown = |item: Option<&Item>| item.map_or("nothing".to_owned(), Item::shown);
        let message = format!("expected {}, found {}", shown(expected.get(at)), shown(actual.get(at)));
        return Err(ParseError { offset: actual.get(at).map_or(after.len(), |item| item.offset), message });
    }
    if directives(before, operations) != directives(&parsed, &[]) {
        return Err(defect("a parser directive has changed".to_owned()));
    }
    if before.text.starts_with(BYTE_ORDER_MARK) != after.starts_with(BYTE_ORDER_MARK) {
        return Err(defect("the byte order mark has changed".to_owned()));
    }
    if before.text.ends_with('\n') != after.ends_with('\n') {
        return Err(defect("the final line end has changed".to_owned()));
    }
    let (old, new) = (LineEnds::of(&before.text), LineEnds::of(after));
    if old.plain == 0 && old.carriage_return > 0 && new.plain > 0 || old.carriage_return == 0 && new.carriage_return > 0
    {
        return Err(defect("a line end of another kind has appeared".to_owned()));
    }
    let asked: usize = operations.iter().map(blank_lines_asked).sum();
    if blank_lines(after) > blank_lines(&before.text) + asked + before.closed_continuations(operations).len() {
        return Err(defect("a blank line has appeared".to_owned()));
    }
    Ok(parsed)
}

/// An instruction or a comment between instructions.
struct Item {
    /// Its bytes, every line end as a line feed.
    text: String,
    /// Where it stands, for messages.
    offset: usize,
    /// Which instruction it is.
    instruction: Option<usize>,
}

impl Item {
    fn new(text: &str, span: Span, instruction: Option<usize>) -> Self {
        Self { text: span.of(text).replace("\r\n", "\n"), offset: span.start, instruction }
    }

    fn shown(&self) -> String {
        const LONGEST: usize = 60;
        format!("`{}`", self.text.chars().take(LONGEST).flat_map(char::escape_debug).collect::<String>())
    }
}

/// The instructions and comments of a file, in order, without its directives.
fn items(dockerfile: &Dockerfile) -> Vec<Item> {
    let text = &dockerfile.text;
    let mut items = Vec::new();
    let mut next = 0;
    for (line, kind) in &Layout::of(dockerfile).lines {
        match kind {
            Kind::Comment => items.push(Item::new(text, line.content, None)),
            Kind::Instruction(index) if *index == next => {
                items.push(Item::new(text, dockerfile.instructions[*index].span, Some(*index)));
                next += 1;
            }
            _ => {}
        }
    }
    items
}

/// The items of lines that are no whole file.
fn items_of_lines(text: &str, escape: char) -> Result<Vec<Item>, ParseError> {
    let instructions = parse::instructions(text, 0, escape)?;
    let (directives, stages, shells, given) = (Vec::new(), Vec::new(), Vec::new(), Default::default());
    let part = Dockerfile { text: text.into(), escape, directives, instructions, stages, shells, given };
    Ok(items(&part))
}

/// What becomes of one instruction.
#[derive(Default)]
struct Fate {
    above_comments: Vec<String>,
    before: Vec<String>,
    after: Vec<String>,
    replaced: Vec<Edit>,
    removed: bool,
    without_comments: bool,
}

/// The items that the operations make of `before`, found without looking at the edits.
fn carried_out(before: &Dockerfile, operations: &[Operation]) -> Result<Vec<Item>, ParseError> {
    let (mut fates, appended) = fates(before, operations)?;
    if let Some(last) = fates.last_mut() {
        last.replaced.extend(before.closed_continuations(operations));
    }
    let layout = Layout::of(before);
    let lines = |entries: &[String]| {
        let entries: Vec<String> = entries.iter().map(|entry| before.with_line_ends(entry, Newline::Lf)).collect();
        items_of_lines(&entries.join("\n"), before.escape)
    };
    let mut expected: Vec<Item> = Vec::new();
    for item in items(before) {
        let Some((index, fate)) = item.instruction.and_then(|index| Some((index, fates.get(index)?))) else {
            expected.push(item);
            continue;
        };
        // The comment lines directly above were the last items.
        let own = match (layout.start(index, true), layout.start(index, false)) {
            (Some(with), Some(without)) => without - with,
            _ => 0,
        };
        let comments = expected.split_off(expected.len().saturating_sub(own));
        expected.extend(lines(&fate.above_comments)?);
        if !fate.without_comments {
            expected.extend(comments);
        }
        expected.extend(lines(&fate.before)?);
        if !fate.removed {
            expected.extend(edited(before, index, &fate.replaced, item)?);
        }
        expected.extend(lines(&fate.after)?);
    }
    expected.extend(lines(&appended)?);
    Ok(expected)
}

/// The operations by instruction, and the lines that are appended.
fn fates(before: &Dockerfile, operations: &[Operation]) -> Result<(Vec<Fate>, Vec<String>), ParseError> {
    let mut fates: Vec<Fate> = before.instructions.iter().map(|_| Fate::default()).collect();
    let mut appended = Vec::new();
    let missing =
        || ParseError { offset: 0, message: "an operation names an instruction that does not exist".to_owned() };
    for operation in operations {
        match operation {
            Operation::InsertBefore { instruction, above_comments, lines } => {
                let fate = fates.get_mut(*instruction).ok_or_else(missing)?;
                let place = if *above_comments { &mut fate.above_comments } else { &mut fate.before };
                place.extend_from_slice(lines);
            }
            Operation::InsertAfter { instruction, lines } => {
                fates.get_mut(*instruction).ok_or_else(missing)?.after.extend_from_slice(lines);
            }
            Operation::Append { lines } => appended.extend_from_slice(lines),
            Operation::Replace { span, text } => {
                let holder = before.instructions.partition_point(|instruction| instruction.span.end < span.end);
                let within = before.instructions.get(holder).is_some_and(|holder| holder.span.start <= span.start);
                let cuts = before.text.get(span.start..span.end).is_none();
                let fate = fates.get_mut(holder).filter(|_| within && !cuts).ok_or_else(missing)?;
                fate.replaced.push(Edit::replace(*span, text.as_str()));
            }
            Operation::Remove { instruction, with_comments } => {
                let fate = fates.get_mut(*instruction).ok_or_else(missing)?;
                fate.removed = true;
                fate.without_comments |= *with_comments;
            }
            // Directives are compared apart from what stands below them.
            Operation::SetDirective { .. } => {}
        }
    }
    Ok((fates, appended))
}

/// An instruction after its replacements. When a continuation into nothing is closed, comments may follow it.
fn edited(before: &Dockerfile, index: usize, replaced: &[Edit], item: Item) -> Result<Vec<Item>, ParseError> {
    if replaced.is_empty() {
        return Ok(vec![item]);
    }
    let start = before.instructions[index].span.start;
    let moved = replaced
        .iter()
        .map(|edit| Edit::replace(Span::new(edit.span.start - start, edit.span.end - start), edit.text.as_str()));
    let defect = |message: String| ParseError { offset: start, message };
    let edits = EditSet::new(moved.collect()).map_err(|overlap| defect(overlap.to_string()))?;
    let text = edits.apply(before.instructions[index].span.of(&before.text));
    let items = items_of_lines(&text, before.escape)?;
    match items.iter().filter(|item| item.instruction.is_some()).count() {
        1 => Ok(items),
        count => Err(defect(format!("a replacement makes {count} instructions of one"))),
    }
}

/// The directives as they are written, and as the operations make them.
fn directives(dockerfile: &Dockerfile, operations: &[Operation]) -> Vec<String> {
    let written = dockerfile.directives.iter().enumerate().map(|(index, directive)| {
        let text = directive.span.of(&dockerfile.text);
        let set = operations.iter().find_map(|operation| match operation {
            Operation::SetDirective { directive, value } if *directive == index => Some(value.as_str()),
            _ => None,
        });
        let Some(value) = set.filter(|_| directive.name != "escape") else { return text.to_owned() };
        let start = directive.value_span.start - directive.span.start;
        let end = directive.value_span.end - directive.span.start;
        format!("{}{value}{}", text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default())
    });
    written.collect()
}

/// How many lines end in which way.
struct LineEnds {
    plain: usize,
    carriage_return: usize,
}

impl LineEnds {
    fn of(text: &str) -> Self {
        let carriage_return = text.matches("\r\n").count();
        Self { plain: text.matches('\n').count() - carriage_return, carriage_return }
    }
}

fn blank_lines(text: &str) -> usize {
    text.lines().filter(|line| line.trim().is_empty()).count()
}

/// How many blank lines an operation brings with it.
fn blank_lines_asked(operation: &Operation) -> usize {
    match operation {
        Operation::InsertBefore { lines, .. } | Operation::InsertAfter { lines, .. } | Operation::Append { lines } => {
            lines.iter().flat_map(|entry| entry.split('\n')).filter(|line| line.trim().is_empty()).count()
        }
        Operation::Replace { text, .. } => text.split('\n').filter(|line| line.trim().is_empty()).count(),
        Operation::SetDirective { .. } | Operation::Remove { .. } => 0,
    }
}
