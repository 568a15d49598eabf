//! Splices in flow collections: `{a: 1}`, `[a, b]`, JSON.

use super::cover::after_line_end;
use super::layout::{self, Line};
use super::write::Flow;
use super::{Action, Kind, Node, Style};
use crate::edit::Edit;

/// Plans the new elements of the flow collection `node`.
pub(super) fn plan(node: Node<'_>, actions: &[&Action], edits: &mut Vec<Edit>) {
    let style = style(node);
    let new: Vec<String> = actions.iter().filter_map(|action| element(&style, action)).collect();
    let text = node.source();
    let Some(last) = last_element(node) else {
        // `{ }` becomes `{ a: 1 }`: the space stands on both sides.
        let inside = node.span().start + 1;
        let space = if text.as_bytes().get(inside) == Some(&b' ') { " " } else { "" };
        edits.push(Edit::insert(inside, format!("{space}{}", new.join(style.comma))));
        return;
    };
    let line_start = layout::line_start(text, last.start);
    let prefix = &text[line_start..last.start];
    let own_line = node.span().start < line_start && prefix.bytes().all(|byte| matches!(byte, b' ' | b'\t'));
    let bracket = node.span().end - 1;
    let comma = trailing_comma(text, last.end, bracket);
    let end = comma.map_or(last.end, |comma| comma + 1);
    let line = Line::ending(text, end);
    let newline = line.newline();
    let stop = layout::line_stop(text, end);
    // After `a:` a comma would become part of what precedes it for some readers.
    let pad = if last.is_open && comma.is_none() { " " } else { "" };
    match (own_line, stop <= bracket, comma.is_some()) {
        (false, _, false) => {
            edits.push(Edit::insert(end, format!("{pad}{}", join(&new, style.comma, "", ""))));
        }
        (false, _, true) => {
            let space = &style.comma[1..];
            edits.push(Edit::insert(end, join(&new, space, "", ",")));
        }
        (true, false, true) => edits.push(Edit::insert(end, join(&new, newline, prefix, ","))),
        (true, false, false) => {
            edits.push(Edit::insert(end, format!("{pad}{}", join(&new, &format!(",{newline}"), prefix, ""))));
        }
        (true, true, true) => {
            edits.push(Edit::insert(after_line_end(text.as_bytes(), stop), lines(&new, prefix, newline, ",")));
        }
        (true, true, false) => {
            edits.push(Edit::insert(end, format!("{pad},")));
            edits.push(Edit::insert(after_line_end(text.as_bytes(), stop), lines(&new, prefix, newline, "")));
        }
    }
}

/// Plans a flow collection in the place of an empty value in a flow mapping: `{a: }`, `{a}`.
pub(super) fn plan_in_empty(node: Node<'_>, actions: &[&Action], edits: &mut Vec<Edit>) {
    let style = node.parent().map(style).unwrap_or_default();
    let new: Vec<String> = actions.iter().filter_map(|action| element(&style, action)).collect();
    let lead = if node.lead().is_some() { " " } else { ": " };
    let inserts = matches!(actions.first(), Some(Action::Insert { .. }));
    let (open, close) = if inserts { ("{", "}") } else { ("[", "]") };
    edits.push(Edit::insert(node.span().end, format!("{lead}{open}{}{close}", new.join(style.comma))));
}

/// How elements of `node` are to be written: as its own, or else as those of the flow collections around it.
pub(super) fn style(node: Node<'_>) -> Flow {
    let mut around = Some(node).filter(|node| node.style() == Style::Flow);
    while let Some(collection) = around {
        if let Some(style) = own_style(collection) {
            return style;
        }
        around = collection.parent().filter(|parent| parent.style() == Style::Flow);
    }
    Flow::default()
}

/// The style that the elements of `node` show, if they show any.
fn own_style(node: Node<'_>) -> Option<Flow> {
    let text = node.source();
    if node.kind() == Kind::Sequence {
        let mut strings = node.items().filter(|item| item.kind() == Kind::Scalar && item.as_str().is_some());
        let first = strings.next()?;
        let json = first.style() == Style::DoubleQuoted && strings.all(|item| item.style() == Style::DoubleQuoted);
        // Strings without quotes rule JSON out; with quotes they do not say how JSON would be spaced.
        let comma =
            if json && node.items().nth(1).is_some_and(|item| touches_comma(text, item.start())) { "," } else { ", " };
        return Some(Flow { json, comma, ..Flow::default() });
    }
    let (_, first) = node.entries().next()?;
    let json = node.entries().all(|(key, _)| key.style() == Style::DoubleQuoted);
    if !json {
        return Some(Flow::default());
    }
    let key = layout::key_of(first)?;
    let colon = &text[key.span().end..first.start()];
    let colon = if colon.contains(['\n', '\r', '#']) || !colon.contains(':') { ": " } else { colon };
    let comma = match node.entries().nth(1) {
        Some((second, _)) if touches_comma(text, second.start()) => ",",
        None if colon == ":" => ",",
        _ => ", ",
    };
    Some(Flow { json, colon: colon.to_owned(), comma })
}

fn touches_comma(text: &str, at: usize) -> bool {
    text[..at].ends_with(',')
}

fn element(style: &Flow, action: &Action) -> Option<String> {
    match action {
        Action::Insert { key, value } => Some(style.entry(key, value)),
        Action::Append { value } => Some(style.value(value)),
        Action::Replace { .. } => None,
    }
}

/// The last entry or item.
struct Last {
    start: usize,
    end: usize,
    /// It ends with the `:` of an empty value, or with the properties of one.
    is_open: bool,
}

fn last_element(node: Node<'_>) -> Option<Last> {
    if node.kind() == Kind::Sequence {
        let item = node.items().last()?;
        // A pair without braces ends as its value does.
        let is_open = item
            .subtree()
            .last()
            .is_some_and(|last| last.style() == Style::Empty && last.span().end == item.span().end);
        return Some(Last { start: item.start(), end: item.span().end, is_open });
    }
    let (key, value) = node.entries().last()?;
    let end = value.span().end.max(key.span().end);
    Some(Last { start: layout::entry_start(key), end, is_open: value.style() == Style::Empty })
}

/// The offset of a comma between the last element and the bracket.
fn trailing_comma(text: &str, from: usize, bracket: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < bracket {
        match bytes[at] {
            b',' => return Some(at),
            b'#' => at = layout::line_stop(text, at),
            _ => at += 1,
        }
    }
    None
}

/// Each of `elements` with `before` and `prefix` in front and `after` behind.
fn join(elements: &[String], before: &str, prefix: &str, after: &str) -> String {
    elements.iter().flat_map(|element| [before, prefix, element, after]).collect()
}

/// Each of `elements` on a line of its own; commas between them, and `last` behind the last.
fn lines(elements: &[String], prefix: &str, newline: &str, last: &str) -> String {
    let count = elements.len();
    let line = |(index, element): (usize, &String)| {
        let comma = if index + 1 < count { "," } else { last };
        format!("{prefix}{element}{comma}{newline}")
    };
    elements.iter().enumerate().map(line).collect()
}
