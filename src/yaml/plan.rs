//! From operations in words to splices in bytes.

use super::cover::after_line_end;
use super::delete::{self, Deletions};
use super::layout::{self, Line};
use super::write::{self, Block};
use super::{Action, Code, Kind, Node, Operation, Refusal, Step, Stream, Style, Value};
use crate::edit::{Edit, EditSet};
use crate::source::{Position, Span};

impl Stream {
    /// The splices that carry out `operations`, all planned on this text, in the order of the text. Inserting several keys
    /// into one mapping keeps their order.
    ///
    /// # Errors
    /// The first [`Refusal`]; then nothing is planned.
    pub fn plan(&self, operations: &[Operation]) -> Result<Vec<Edit>, Refusal> {
        let mut targets: Vec<Target<'_>> = Vec::new();
        let mut members = Vec::new();
        for operation in operations {
            let node = self.locate(operation)?;
            let depth = operation.route.0.len();
            if operation.action == Action::Delete {
                // To the collection that held it, a deletion is a change.
                let member = delete::member(node)?;
                let holder = node.parent().unwrap_or(node);
                Target::of(&mut targets, holder, depth.saturating_sub(1)).shrinks = true;
                members.push(member);
            } else {
                let target = Target::of(&mut targets, node, depth);
                target.check(&operation.action)?;
                target.actions.push(&operation.action);
            }
        }
        let deletions = Deletions::new(members)?;
        for target in &targets {
            deletions.check_stays(target.node)?;
            if target.shrinks {
                deletions.check_not_emptied(target.node, !target.actions.is_empty())?;
            }
        }
        // Where the last entry of a mapping is changed as well, both insert after the same line: the inner lines come first.
        targets.sort_by_key(|target| std::cmp::Reverse(target.depth));
        let mut edits = Vec::new();
        let mut lines = Vec::new();
        for target in &targets {
            target.plan(&deletions, &mut lines, &mut edits)?;
        }
        let is_replaced = |node| targets.iter().any(|target| target.node == node && !target.actions.is_empty());
        delete::Lines::new(self, &deletions, lines).plan(is_replaced, &mut edits)?;
        let set = EditSet::new(edits).map_err(|overlap| Refusal {
            code: Code::Verify,
            document: None,
            route: None,
            offset: Some(overlap.1.start),
            message: overlap.to_string(),
        })?;
        Ok(set.iter().cloned().collect())
    }

    /// The node that `operation` is about, if it may be changed. What is deleted may itself be an alias or have an anchor.
    pub(super) fn locate(&self, operation: &Operation) -> Result<Node<'_>, Refusal> {
        let missing = |message: String| Refusal {
            code: Code::NotFound,
            document: Some(operation.document),
            route: Some(operation.route.clone()),
            offset: None,
            message,
        };
        let document = self
            .document(operation.document)
            .ok_or_else(|| missing(format!("the stream has no document {}", operation.document)))?;
        if let Some(refusal) = document.refusal() {
            return Err(refusal.clone());
        }
        let mut node = document.root().ok_or_else(|| missing("the document is empty".to_owned()))?;
        for step in &operation.route.0 {
            check_shared(node)?;
            node = match step {
                Step::Key(key) => match node.get(key) {
                    Some(value) => value,
                    None if node.has(key) => return Err(merge_only(node, key)),
                    None => return Err(missing(format!("there is no key `{}` at this place", key.escape_debug()))),
                },
                Step::Index(index) => node
                    .items()
                    .nth(*index)
                    .ok_or_else(|| missing(format!("there is no item {index} at this place")))?,
            };
        }
        if operation.action != Action::Delete {
            check_shared(node)?;
        }
        Ok(node)
    }
}

/// A change inside an anchored node, or through an alias, is a change in every place that shares the node.
fn check_shared(node: Node<'_>) -> Result<(), Refusal> {
    if node.kind() == Kind::Alias {
        return Err(refuse(
            node,
            Code::Alias,
            "an alias stands here: an edit would change what it stands for".to_owned(),
        ));
    }
    if node.is_used_by_alias() { Err(used_elsewhere(node)) } else { Ok(()) }
}

pub(super) fn used_elsewhere(node: Node<'_>) -> Refusal {
    let uses: Vec<String> = layout::aliases_of(node)
        .take(5)
        .map(|alias| Position::of(alias.source(), alias.span().start).to_string())
        .collect();
    let message =
        format!("the anchored node is used elsewhere, at {}: an edit would change every use", uses.join(", "));
    refuse(node, Code::Alias, message)
}

pub(super) fn merge_only(node: Node<'_>, key: &str) -> Refusal {
    let message = format!("the key `{}` comes in through a merge (`<<`)", key.escape_debug());
    refuse(node, Code::MergeOnly, message)
}

pub(super) fn refuse(node: Node<'_>, code: Code, message: String) -> Refusal {
    Refusal {
        code,
        document: Some(node.document().index()),
        route: Some(node.route()),
        offset: Some(node.span().start),
        message,
    }
}

/// One node and all that is to be done with it.
struct Target<'a> {
    node: Node<'a>,
    depth: usize,
    /// All but deletions.
    actions: Vec<&'a Action>,
    /// Whether something is deleted from the collection.
    shrinks: bool,
}

impl<'a> Target<'a> {
    /// The target for `node` among `targets`, added if there is none.
    fn of<'t>(targets: &'t mut Vec<Self>, node: Node<'a>, depth: usize) -> &'t mut Self {
        let found = targets.iter().position(|target| target.node == node);
        let at = found.unwrap_or_else(|| {
            targets.push(Target { node, depth, actions: Vec::new(), shrinks: false });
            targets.len() - 1
        });
        &mut targets[at]
    }

    /// Whether `action` can be done with this node, after the actions already taken on.
    fn check(&self, action: &Action) -> Result<(), Refusal> {
        let node = self.node;
        let same_kind = |other: &&Action| std::mem::discriminant(*other) == std::mem::discriminant(action);
        let once = matches!(action, Action::Replace { .. });
        if !self.actions.iter().all(same_kind) || (once && !self.actions.is_empty()) {
            return Err(refuse(node, Code::NotFound, "two operations ask for different things at one node".to_owned()));
        }
        match action {
            Action::Insert { key, .. } => {
                self.check_holder(Kind::Mapping)?;
                let planned = |action: &&Action| matches!(action, Action::Insert { key: other, .. } if other == key);
                if node.get(key).is_some() || self.actions.iter().any(planned) {
                    let message = format!("the key `{}` is already there", key.escape_debug());
                    return Err(refuse(node, Code::DuplicateKey, message));
                }
                if node.has(key) {
                    return Err(merge_only(node, key));
                }
                Ok(())
            }
            Action::Append { .. } => self.check_holder(Kind::Sequence),
            Action::Replace { value } => self.check_replacement(value),
            // Planned by its holder.
            Action::Delete => Ok(()),
        }
    }

    /// Whether the node is a collection of `kind`, or nothing at all that could become one.
    fn check_holder(&self, kind: Kind) -> Result<(), Refusal> {
        let node = self.node;
        let wanted = if kind == Kind::Mapping { "a mapping" } else { "a list" };
        if node.kind() == kind && !node.is_pair() {
            return Ok(());
        }
        if node.kind() == Kind::Scalar && node.is_null() {
            if node.style() == Style::Empty && node.tag().is_none() {
                return Ok(());
            }
            let message = format!("the value is written as `{}`, which is not {wanted}", null_as_written(node));
            return Err(refuse(node, Code::ExplicitNull, message));
        }
        Err(refuse(node, Code::NotFound, format!("what stands here is not {wanted}")))
    }

    fn check_replacement(&self, value: &Value) -> Result<(), Refusal> {
        let node = self.node;
        if node.kind() != Kind::Scalar || matches!(value, Value::Map(_) | Value::Seq(_)) {
            return Err(refuse(node, Code::NotFound, "only a scalar can be replaced, and only by a scalar".to_owned()));
        }
        // Another style of quotes changes what may follow; in a mapping or list nothing can that is not blank or a comment.
        if node.parent().is_none() {
            return Err(refuse(node, Code::NotFound, "a document that is a single scalar is not edited".to_owned()));
        }
        match node.tag() {
            None => Ok(()),
            Some("!!str") if matches!(value, Value::Str(_)) => Ok(()),
            Some(tag) => {
                let message = format!("the tag `{}` fixes the type of the value", tag.escape_debug());
                Err(refuse(node, Code::NotFound, message))
            }
        }
    }

    fn plan(&self, deletions: &Deletions<'a>, lines: &mut Vec<Span>, edits: &mut Vec<Edit>) -> Result<(), Refusal> {
        if let [Action::Replace { value }] = self.actions.as_slice() {
            return self.plan_replacement(value, edits);
        }
        match self.node.style() {
            Style::Flow => return super::flow::plan(self.node, &self.actions, deletions, edits),
            Style::Empty => return self.plan_in_empty(edits),
            _ => {}
        }
        if self.shrinks {
            deletions.plan_in_block(self.node, lines, edits)?;
        }
        if self.actions.is_empty() { Ok(()) } else { self.plan_in_block(deletions, edits) }
    }

    /// New lines after the last line of a block collection.
    fn plan_in_block(&self, deletions: &Deletions<'a>, edits: &mut Vec<Edit>) -> Result<(), Refusal> {
        let node = self.node;
        let columns = layout::child_columns(node);
        let column = columns.first().copied().unwrap_or_default();
        if columns.iter().any(|&other| other != column) {
            return Err(refuse(node, Code::Misaligned, "the entries do not start in one column".to_owned()));
        }
        let mut style = layout::block_style(node);
        if let Some(gap) = layout::item_gap(node) {
            style.gap = gap;
        }
        let lines = self.lines(style, column);
        let line = Line::ending(node.source(), node.span().end);
        if layout::open_block_scalar(node).is_some_and(|last| !deletions.holds(last)) {
            let offset = self.before_last_entry(deletions)?;
            edits.push(Edit::insert(offset, line.whole(&lines)));
            return Ok(());
        }
        if !line.is_free() {
            return Err(refuse(node, Code::Misaligned, "something else stands on the last line".to_owned()));
        }
        edits.push(line.extend(&lines));
        Ok(())
    }

    /// Where to insert when nothing can follow the last entry, because a block scalar ends there without a line end: a line
    /// end after it would become part of its value.
    fn before_last_entry(&self, deletions: &Deletions<'a>) -> Result<usize, Refusal> {
        let node = self.node;
        let text = node.source();
        let entries: Vec<_> = node.entries().collect();
        let refusal = || {
            let message = "a block scalar ends at the end of the file without a line end, so nothing can follow it";
            refuse(node, Code::EofBlockScalar, message.to_owned())
        };
        let (key, _) = entries.last().ok_or_else(refusal)?;
        let line_start = layout::line_start(text, layout::entry_start(*key));
        if !delete::starts_line(text, layout::entry_start(*key)) {
            return Err(refusal());
        }
        // The last entry may be about to move up to the dash of the first one.
        let is_alone = !entries.iter().any(|(key, _)| key != &entries[entries.len() - 1].0 && !deletions.holds(*key));
        if is_alone && entries.first().is_some_and(|(key, _)| !delete::starts_line(text, layout::entry_start(*key))) {
            return Err(refusal());
        }
        // After the entry before it, if there is one: comments above the last entry stay with it.
        match entries.len().checked_sub(2).map(|index| entries[index].1) {
            Some(previous) => {
                let stop = layout::line_stop(text, previous.span().end);
                Ok(after_line_end(text.as_bytes(), stop))
            }
            None => Ok(line_start),
        }
    }

    /// New lines under a key, or dash, that has no value.
    fn plan_in_empty(&self, edits: &mut Vec<Edit>) -> Result<(), Refusal> {
        let node = self.node;
        let refusal = || refuse(node, Code::NotFound, "nothing can be put into this empty value".to_owned());
        let parent = node.parent().ok_or_else(refusal)?;
        if parent.style() == Style::Flow {
            if parent.kind() != Kind::Mapping
                || parent.is_pair()
                || (node.lead().is_none() && !layout::can_take_colon(node))
            {
                return Err(refusal());
            }
            super::flow::plan_in_empty(node, &self.actions, edits);
            return Ok(());
        }
        let text = node.source();
        let style = layout::block_style(node);
        let lead = node.lead().ok_or_else(refusal)?;
        let inserts = matches!(self.actions.first(), Some(Action::Insert { .. }));
        let indent = match parent.kind() {
            Kind::Sequence => layout::column(text, lead) + 1 + style.gap,
            _ => {
                let key = layout::key_of(node).ok_or_else(refusal)?;
                layout::column(text, layout::entry_start(key)) + if inserts { style.step } else { style.list_step }
            }
        };
        let line = Line::ending(text, node.span().end);
        if !line.is_free() {
            return Err(refusal());
        }
        edits.push(line.extend(&self.lines(style, indent)));
        Ok(())
    }

    fn lines(&self, style: Block, column: usize) -> Vec<String> {
        let lines = self.actions.iter().flat_map(|action| match action {
            Action::Insert { key, value } => style.entry(key, value, column),
            Action::Append { value } => style.item(value, column),
            Action::Replace { .. } | Action::Delete => Vec::new(),
        });
        lines.collect()
    }

    fn plan_replacement(&self, value: &Value, edits: &mut Vec<Edit>) -> Result<(), Refusal> {
        let node = self.node;
        let span = node.span();
        let written = self.written(value);
        match node.style() {
            Style::Empty => {
                let in_mapping = node.parent().is_some_and(|parent| parent.kind() == Kind::Mapping);
                let in_flow = node.parent().is_some_and(|parent| parent.style() == Style::Flow);
                let lead = match node.lead() {
                    None if in_mapping && in_flow && layout::can_take_colon(node) => ": ",
                    None if in_mapping => {
                        return Err(refuse(
                            node,
                            Code::NotFound,
                            "the key has no `:` to put a value behind".to_owned(),
                        ));
                    }
                    _ => " ",
                };
                edits.push(Edit::insert(span.end, format!("{lead}{written}")));
            }
            Style::Literal | Style::Folded => {
                // The header goes, its comment stays; the content lines go, blank lines below them stay.
                let text = node.source();
                let raw = node.raw();
                let indicators =
                    raw.bytes().skip(1).take_while(|byte| matches!(byte, b'+' | b'-' | b'0'..=b'9')).count();
                edits.push(Edit::replace(Span::new(span.start, span.start + 1 + indicators), written));
                let header_stop = layout::line_stop(text, span.start);
                let content_end = span.start + raw.trim_end_matches([' ', '\t', '\n', '\r']).len();
                if content_end > header_stop {
                    // White space at the end of the last line is content, too; left, it would stand behind the comment.
                    edits.push(Edit::delete(Span::new(header_stop, layout::line_stop(text, content_end))));
                }
            }
            _ => edits.push(Edit::replace(span, written)),
        }
        Ok(())
    }

    /// `value` in the quotes of the old one, where they can hold it.
    fn written(&self, value: &Value) -> String {
        let parent = self.node.parent();
        match (value, self.node.style()) {
            (Value::Str(text), Style::DoubleQuoted) => write::double_quoted(text),
            (Value::Str(text), Style::SingleQuoted) => {
                write::single_quoted(text).unwrap_or_else(|| write::double_quoted(text))
            }
            _ => match parent.filter(|parent| parent.style() == Style::Flow) {
                Some(parent) => super::flow::style(parent).value(value),
                None => write::scalar(value),
            },
        }
    }
}

fn null_as_written(node: Node<'_>) -> String {
    let tag = node.tag().unwrap_or_default();
    let raw = node.raw();
    let space = if tag.is_empty() || raw.is_empty() { "" } else { " " };
    format!("{tag}{space}{raw}").escape_debug().to_string()
}
