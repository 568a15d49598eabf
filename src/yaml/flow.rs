//! Splices in flow collections: `{a: 1}`, `[a, b]`, JSON.

use super::cover::after_line_end;
use super::delete::{self, Deletions, inseparable};
use super::layout::{self, Line, Member};
use super::write::Flow;
use super::{Action, Kind, Node, Refusal, Style};
use crate::edit::Edit;
use crate::source::Span;

/// Plans what goes from the flow collection `node`, and its new elements.
pub(super) fn plan(
    node: Node<'_>,
    actions: &[&Action],
    deletions: &Deletions<'_>,
    edits: &mut Vec<Edit>,
) -> Result<(), Refusal> {
    let style = style(node);
    let new: Vec<String> = actions.iter().filter_map(|action| element(&style, action)).collect();
    let elements = Member::all(node);
    let staying = elements.iter().rposition(|element| !deletions.holds(element.value)).map_or(0, |last| last + 1);
    let (kept, tail) = elements.split_at(staying);
    let cuts = Cuts { node, elements: &elements, deletions };
    match (tail, new.is_empty()) {
        (_, true) => cuts.plan(elements.len(), edits),
        ([], false) => {
            cuts.plan(kept.len(), edits)?;
            add(node, elements.last(), &style, &new, edits);
            Ok(())
        }
        (tail, false) => {
            // The new elements stand where the last ones stood, between the same commas.
            edits.push(cuts.in_place_of(tail, &new, &style)?);
            cuts.plan(kept.len(), edits)
        }
    }
}

/// Plans the `new` elements behind the `last` one of `node`, which stays.
fn add(node: Node<'_>, last: Option<&Member<'_>>, style: &Flow, new: &[String], edits: &mut Vec<Edit>) {
    let text = node.source();
    let Some(last) = last else {
        // `{ }` becomes `{ a: 1 }`: the space stands on both sides.
        let inside = node.span().start + 1;
        let space = if text.as_bytes().get(inside) == Some(&b' ') { " " } else { "" };
        edits.push(Edit::insert(inside, format!("{space}{}", new.join(style.comma))));
        return;
    };
    let prefix = &text[layout::line_start(text, last.start)..last.start];
    let own_line = starts_line(node, last.start);
    let bracket = node.span().end - 1;
    let comma = find_comma(text, last.end, bracket);
    let end = comma.map_or(last.end, |comma| comma + 1);
    let line = Line::ending(text, end);
    let newline = line.newline();
    let stop = layout::line_stop(text, end);
    // After `a:` a comma would become part of what precedes it for some readers.
    let pad = if last.is_open() && comma.is_none() { " " } else { "" };
    match (own_line, stop <= bracket, comma.is_some()) {
        (false, _, false) => {
            edits.push(Edit::insert(end, format!("{pad}{}", join(new, style.comma, "", ""))));
        }
        (false, _, true) => {
            let space = &style.comma[1..];
            edits.push(Edit::insert(end, join(new, space, "", ",")));
        }
        (true, false, true) => edits.push(Edit::insert(end, join(new, newline, prefix, ","))),
        (true, false, false) => {
            edits.push(Edit::insert(end, format!("{pad}{}", join(new, &format!(",{newline}"), prefix, ""))));
        }
        (true, true, true) => {
            edits.push(Edit::insert(after_line_end(text.as_bytes(), stop), lines(new, prefix, newline, ",")));
        }
        (true, true, false) => {
            edits.push(Edit::insert(end, format!("{pad},")));
            edits.push(Edit::insert(after_line_end(text.as_bytes(), stop), lines(new, prefix, newline, "")));
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
        Action::Replace { .. } | Action::Delete => None,
    }
}

/// What is cut out of one flow collection.
struct Cuts<'a, 'c> {
    node: Node<'a>,
    elements: &'c [Member<'a>],
    deletions: &'c Deletions<'a>,
}

impl<'a> Cuts<'a, '_> {
    /// Cuts what goes of the first `count` elements; those behind them, if any, are taken care of.
    fn plan(&self, count: usize, edits: &mut Vec<Edit>) -> Result<(), Refusal> {
        let text = self.node.source();
        let elements = &self.elements[..count];
        for element in elements.iter().filter(|element| self.deletions.holds(element.value)) {
            delete::check_simple(*element)?;
        }
        let mut past = count;
        if let Some(last) = elements.last()
            && self.goes(count - 1)
            && find_comma(text, last.end, self.bracket()).is_none()
        {
            past = self.cut_tail(edits)?;
        }
        while past > 0 {
            if !self.goes(past - 1) {
                past -= 1;
                continue;
            }
            let from = self.line_mates(past);
            let (first, last, next) = (self.elements[from], self.elements[past - 1], self.elements.get(past));
            let limit = next.map_or(self.bracket(), |next| next.start);
            let comma = find_comma(text, last.end, limit)
                .ok_or_else(|| inseparable(last.value, "no comma stands behind it"))?;
            edits.push(Edit::delete(self.with_comma(first, last, comma, next)?));
            past = from;
        }
        Ok(())
    }

    fn goes(&self, index: usize) -> bool {
        self.deletions.holds(self.elements[index].value)
    }

    fn bracket(&self) -> usize {
        self.node.span().end - 1
    }

    /// The first of the elements that go together with the one before `past`: those without a line end between them.
    fn line_mates(&self, past: usize) -> usize {
        let text = self.node.source();
        let mut from = past - 1;
        while from > 0
            && self.goes(from - 1)
            && !text[self.elements[from - 1].end..self.elements[from].start].contains(['\n', '\r'])
        {
            from -= 1;
        }
        from
    }

    /// From `first` to `last`, with the `comma` behind them.
    fn with_comma(
        &self,
        first: Member<'a>,
        last: Member<'a>,
        comma: usize,
        next: Option<&Member<'a>>,
    ) -> Result<Span, Refusal> {
        let text = self.node.source();
        if !is_blank(&text[last.end..comma]) {
            return Err(inseparable(last.value, "its comma stands on another line"));
        }
        let rest = Line::ending(text, comma + 1);
        let (ends_line, is_free) = (is_blank(&text[comma + 1..layout::line_stop(text, comma)]), rest.is_free());
        if is_free && starts_line(self.node, first.start) {
            return Ok(Span::new(layout::line_start(text, first.start), rest.next()));
        }
        if is_free && !ends_line {
            return Err(inseparable(last.value, "a comment follows on a line that it shares"));
        }
        match next.filter(|_| !ends_line) {
            Some(next) => Ok(Span::new(first.start, next.start)),
            None => Ok(Span::new(text[..first.start].trim_end_matches([' ', '\t']).len(), comma + 1)),
        }
    }

    /// Cuts the last elements, behind which no comma stands: the one before them goes. Returns up to where elements are left
    /// to be cut.
    fn cut_tail(&self, edits: &mut Vec<Edit>) -> Result<usize, Refusal> {
        let text = self.node.source();
        let count = self.elements.len();
        let last = self.elements[count - 1];
        let staying = (0..count).rev().find(|index| !self.goes(*index));
        let comma = staying.and_then(|staying| {
            find_comma(text, self.elements[staying].end, self.elements[staying + 1].start).map(|comma| (staying, comma))
        });
        let (staying, comma) = comma.ok_or_else(|| inseparable(last.value, "no comma stands before it"))?;
        let from = self.line_mates(count);
        let rest = Line::ending(text, last.end);
        if starts_line(self.node, self.elements[from].start) && rest.next() <= self.bracket() && rest.is_free() {
            edits.push(Edit::delete(Span::new(comma, comma + 1)));
            edits.push(Edit::delete(Span::new(layout::line_start(text, self.elements[from].start), rest.next())));
            return Ok(from);
        }
        for pair in self.elements[staying..].windows(2) {
            if text[pair[0].end..pair[1].start].contains('#') {
                return Err(inseparable(pair[1].value, "a comment stands before it"));
            }
        }
        self.check_no_comment_behind(last)?;
        // After `a:` a bracket would become part of what precedes it for some readers.
        let kept = self.elements[staying];
        let (start, pad) = match kept.is_open() {
            true if comma == kept.end => (comma, " "),
            true => (comma, ""),
            false => (kept.end, ""),
        };
        edits.push(Edit::replace(Span::new(start, last.end), pad));
        Ok(staying + 1)
    }

    /// The `new` elements in the place of `tail`, the last ones.
    fn in_place_of(&self, tail: &[Member<'a>], new: &[String], style: &Flow) -> Result<Edit, Refusal> {
        let text = self.node.source();
        let (first, last) = (tail[0], tail[tail.len() - 1]);
        for (at, element) in tail.iter().enumerate() {
            delete::check_simple(*element)?;
            let next = tail.get(at + 1).map_or(element.end, |next| next.start);
            if text[element.end..next].contains('#') {
                return Err(inseparable(element.value, "a comment stands behind it"));
            }
        }
        self.check_no_comment_behind(last)?;
        let new = if starts_line(self.node, first.start) {
            let prefix = &text[layout::line_start(text, first.start)..first.start];
            new.join(&format!(",{}{prefix}", Line::ending(text, last.end).newline()))
        } else {
            new.join(style.comma)
        };
        Ok(Edit::replace(Span::new(first.start, last.end), new))
    }

    /// A comment behind `last`, before or after its comma, would be taken for one about something else.
    fn check_no_comment_behind(&self, last: Member<'a>) -> Result<(), Refusal> {
        let text = self.node.source();
        let stop = layout::line_stop(text, last.end).min(self.node.span().end);
        if text[last.end..stop].contains('#') {
            return Err(inseparable(last.value, "a comment follows on a line that it shares"));
        }
        Ok(())
    }
}

/// Whether only blanks stand before `offset` on its line, and the bracket of `node` on an earlier one.
fn starts_line(node: Node<'_>, offset: usize) -> bool {
    let line_start = layout::line_start(node.source(), offset);
    node.span().start < line_start && is_blank(&node.source()[line_start..offset])
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t'))
}

/// The offset of the comma between an element that ends at `from` and what stands at `limit`, the next one or the bracket.
fn find_comma(text: &str, from: usize, limit: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < limit {
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
