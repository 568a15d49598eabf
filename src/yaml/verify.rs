//! The proof that a result is what was planned: seven checks, none of which trusts the planner.

use super::cover::BYTE_ORDER_MARK;
use super::layout::{self, Member};
use super::second_opinion::{self, Loaded};
use super::tree::span;
use super::{Action, Code, Kind, Node, Operation, Refusal, Route, Step, Stream, Value, parse};
use crate::edit::{Edit, EditSet};
use crate::source::Span;
use serde::Deserialize as _;
use std::collections::BTreeMap;

/// Proves that `after` is `before` with exactly `operations` carried out, and returns the parsed result.
///
/// 1. `after` is `before` with `edits`, and undoing them gives `before` again;
/// 2. `after` parses and is covered;
/// 3. its node tree is the old one with the operations, compared by raw text and style;
/// 4. comments, directives, anchors, aliases and tags are the same in the same order, but for those that were deleted with
///    the nodes they belong to;
/// 5. libyaml loads every document, framed as kubectl frames them, as the old value with the operations;
/// 6. byte order mark, final line end and kinds of line end are those of `before`;
/// 7. asking for the same insertions again finds them there, and asking for the same keys to be deleted does not find them.
///
/// # Errors
/// A [`Refusal`] with [`Code::KubectlWouldReject`] where already `before` is not what kubectl
/// would load, with [`Code::Cover`] where only libyaml can follow the result, else with [`Code::Verify`].
pub fn verify(before: &Stream, operations: &[Operation], edits: &[Edit], after: &str) -> Result<Stream, Refusal> {
    check_splices(before.text(), edits, after)?;
    check_line_ends(before.text(), edits, after)?;
    let result = parse(after).map_err(|refusal| unparsed(after, &refusal))?;
    check_tree(before, operations, &result)?;
    check_trivia(before, operations, &result)?;
    check_values(before, operations, &result)?;
    check_idempotence(operations, &result)?;
    Ok(result)
}

fn failed(message: impl Into<String>) -> Refusal {
    Refusal { code: Code::Verify, document: None, route: None, offset: None, message: message.into() }
}

/// The parser takes some multi-line scalars in flow collections or not by what stands before them. Where libyaml reads the result, the text is one that
/// the parser cannot follow, and no defect of the edit; it is left alone all the same.
fn unparsed(after: &str, refusal: &Refusal) -> Refusal {
    let message = format!("the result does not parse: {refusal}");
    let mut documents = serde_yaml::Deserializer::from_str(after.trim_start_matches('\u{FEFF}'));
    let readable = documents.all(|document| serde_yaml::Value::deserialize(document).is_ok());
    if readable { Refusal { code: Code::Cover, ..failed(message) } } else { failed(message) }
}

fn check_splices(before: &str, edits: &[Edit], after: &str) -> Result<(), Refusal> {
    let set = EditSet::new(edits.to_vec()).map_err(|overlap| failed(overlap.to_string()))?;
    let fits = set.iter().all(|edit| before.get(edit.span.start..edit.span.end).is_some());
    if !fits || set.apply(before) != after {
        return Err(failed("the result is not the text with the edits"));
    }
    let mut undone = String::with_capacity(before.len());
    let (mut copied, mut at) = (0, 0);
    for edit in set.iter() {
        let kept = edit.span.start - copied;
        let inserted = at + kept;
        let same = after.get(inserted..inserted + edit.text.len()) == Some(edit.text.as_str());
        let (Some(kept), true) = (after.get(at..inserted), same) else {
            return Err(failed("an edit is not where it was planned"));
        };
        undone.push_str(kept);
        undone.push_str(edit.span.of(before));
        at = inserted + edit.text.len();
        copied = edit.span.end;
    }
    undone.push_str(after.get(at..).unwrap_or_default());
    if undone == before { Ok(()) } else { Err(failed("undoing the edits does not give the text again")) }
}

fn check_line_ends(before: &str, edits: &[Edit], after: &str) -> Result<(), Refusal> {
    let closed = |text: &str| text.ends_with(['\n', '\r']);
    if before.starts_with(BYTE_ORDER_MARK) != after.starts_with(BYTE_ORDER_MARK) {
        return Err(failed("the byte order mark changed"));
    }
    if closed(before) != closed(after) {
        return Err(failed("the end of the last line changed"));
    }
    let known = LineEnds::of(before);
    let added = edits.iter().fold(LineEnds::default(), |seen, edit| seen.and(LineEnds::of(&edit.text)));
    let lf_by_default = known == LineEnds::default();
    if added.lf && !known.lf && !lf_by_default || added.crlf && !known.crlf || added.cr && !known.cr {
        return Err(failed("a new kind of line end came in"));
    }
    Ok(())
}

/// Which kinds of line end occur.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct LineEnds {
    lf: bool,
    crlf: bool,
    cr: bool,
}

impl LineEnds {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut seen = Self::default();
        for at in memchr::memchr2_iter(b'\n', b'\r', bytes) {
            match bytes[at] {
                b'\r' if bytes.get(at + 1) == Some(&b'\n') => seen.crlf = true,
                b'\r' => seen.cr = true,
                _ => seen.lf |= at == 0 || bytes[at - 1] != b'\r',
            }
        }
        seen
    }

    fn and(self, other: Self) -> Self {
        Self { lf: self.lf || other.lf, crlf: self.crlf || other.crlf, cr: self.cr || other.cr }
    }
}

/// The actions on each node of the text before, by the index of the node.
type Planned<'a> = BTreeMap<u32, Vec<&'a Action>>;

fn planned<'a>(before: &Stream, operations: &'a [Operation]) -> Result<Planned<'a>, Refusal> {
    let mut planned = Planned::new();
    for operation in operations {
        planned.entry(before.locate(operation)?.index).or_default().push(&operation.action);
    }
    Ok(planned)
}

fn check_tree(before: &Stream, operations: &[Operation], after: &Stream) -> Result<(), Refusal> {
    let planned = planned(before, operations)?;
    if before.documents().len() != after.documents().len() {
        return Err(failed("the number of documents changed"));
    }
    for (old, new) in before.documents().zip(after.documents()) {
        let same = match (old.root(), new.root()) {
            (Some(old), Some(new)) => is_planned(old, new, &planned),
            (None, None) => true,
            _ => false,
        };
        if !same || old.refusal().map(|refusal| refusal.code) != new.refusal().map(|refusal| refusal.code) {
            return Err(failed(format!("document {} is not the old one with the operations", old.index())));
        }
    }
    Ok(())
}

/// Whether `new` is `old` with what is planned in it. Recursion ends at the depth limit of the parser.
fn is_planned(old: Node<'_>, new: Node<'_>, planned: &Planned<'_>) -> bool {
    let actions = planned.get(&old.index).map(Vec::as_slice).unwrap_or_default();
    if old.anchor() != new.anchor() || old.tag() != new.tag() {
        return false;
    }
    if let [Action::Replace { value }] = actions {
        return new.kind() == Kind::Scalar && holds(new, value);
    }
    let grown = !actions.is_empty() && old.kind() == Kind::Scalar;
    if !grown && (old.kind() != new.kind() || old.style() != new.style()) {
        return false;
    }
    let stays = |node: &Node<'_>| !matches!(planned.get(&node.index).map(Vec::as_slice), Some([Action::Delete]));
    let mut inserts = actions.iter().filter_map(|action| match action {
        Action::Insert { key, value } => Some((key, value)),
        _ => None,
    });
    let mut appends = actions.iter().filter_map(|action| match action {
        Action::Append { value } => Some(value),
        _ => None,
    });
    match new.kind() {
        Kind::Scalar | Kind::Alias => actions.is_empty() && old.raw() == new.raw() && old.text() == new.text(),
        Kind::Mapping => {
            let mut entries = old.entries().filter(|(_, value)| stays(value)).peekable();
            let mut insert = inserts.next();
            let matched = new.entries().all(|(key, value)| match (entries.peek().copied(), insert) {
                // The key is new, so where it stands is not an old entry.
                (_, Some((name, wanted))) if key.text() == *name && key.kind() == Kind::Scalar => {
                    insert = inserts.next();
                    holds(value, wanted)
                }
                (Some((old_key, old_value)), _) => {
                    entries.next();
                    is_planned(old_key, key, planned) && is_planned(old_value, value, planned)
                }
                _ => false,
            });
            matched && insert.is_none() && entries.next().is_none()
        }
        Kind::Sequence => {
            let mut items = old.items().filter(stays);
            let matched = new.items().all(|item| match items.next() {
                Some(old_item) => is_planned(old_item, item, planned),
                None => appends.next().is_some_and(|wanted| holds(item, wanted)),
            });
            matched && appends.next().is_none() && items.next().is_none()
        }
    }
}

/// Whether kubectl would load `value` from `node`.
fn holds(node: Node<'_>, value: &Value) -> bool {
    match value {
        Value::Bool(wanted) => node.as_bool() == Some(*wanted),
        Value::Int(wanted) => node.as_i64() == Some(*wanted),
        Value::Str(wanted) => node.as_str().is_some_and(|text| text == *wanted),
        Value::Map(wanted) => {
            let mut entries = node.entries();
            let all = wanted.iter().all(|(name, wanted)| {
                entries
                    .next()
                    .is_some_and(|(key, value)| key.as_str().is_some_and(|text| text == *name) && holds(value, wanted))
            });
            node.kind() == Kind::Mapping && all && entries.next().is_none()
        }
        Value::Seq(wanted) => {
            let mut items = node.items();
            let all = wanted.iter().all(|wanted| items.next().is_some_and(|item| holds(item, wanted)));
            node.kind() == Kind::Sequence && all && items.next().is_none()
        }
    }
}

fn check_trivia(before: &Stream, operations: &[Operation], after: &Stream) -> Result<(), Refusal> {
    fn texts<'a>(stream: &'a Stream, pairs: &'a [(u32, u32)]) -> impl Iterator<Item = &'a str> {
        pairs.iter().map(|&pair| span(pair).of(&stream.text))
    }
    let deleted = Deleted::by(before, operations)?;
    let comments = before.comments().filter(|comment| !deleted.takes(before, *comment));
    if !comments.map(|comment| comment.of(&before.text)).eq(texts(after, &after.comments)) {
        return Err(failed("a comment changed"));
    }
    if !texts(before, &before.directives).eq(texts(after, &after.directives)) {
        return Err(failed("a directive changed"));
    }
    let none = Deleted::default();
    let aliases = |stream: &Stream, deleted: &Deleted<'_>| -> Vec<String> {
        let nodes = stream.documents().filter_map(|document| document.root()).flat_map(Node::subtree);
        let aliases = nodes.filter(|node| node.kind() == Kind::Alias && !deleted.holds(*node));
        aliases.map(|node| node.raw().to_owned()).collect()
    };
    let kept = before.properties.iter().filter(|property| !deleted.holds(before.node(property.node))).count();
    if kept != after.properties.len() || aliases(before, &deleted) != aliases(after, &none) {
        return Err(failed("an anchor, tag or alias changed"));
    }
    Ok(())
}

/// What the deletions among the operations take with them.
#[derive(Default)]
struct Deleted<'a> {
    members: Vec<Member<'a>>,
}

impl<'a> Deleted<'a> {
    fn by(before: &'a Stream, operations: &[Operation]) -> Result<Self, Refusal> {
        let deletions = operations.iter().filter(|operation| operation.action == Action::Delete);
        let members = deletions.filter_map(|operation| before.locate(operation).map(Member::of).transpose());
        let mut members = members.collect::<Result<Vec<_>, _>>()?;
        members.sort_by_key(|member| member.start);
        Ok(Self { members })
    }

    /// The members that start at or before `offset`, the last one first.
    fn before(&self, offset: usize) -> impl Iterator<Item = &Member<'a>> {
        let following = self.members.partition_point(|member| member.start <= offset);
        self.members.iter().take(following).rev()
    }

    fn holds(&self, node: Node<'_>) -> bool {
        self.before(node.span().start).next().is_some_and(|member| member.holds(node))
    }

    /// Whether `comment` stands in something deleted, behind it on a line on which nothing else stands, or on a line directly above.
    fn takes(&self, before: &Stream, comment: Span) -> bool {
        let following = self.members.partition_point(|member| member.start <= comment.start);
        if self.members.get(following).is_some_and(|member| is_above(comment, *member)) {
            return true;
        }
        let is_separator = |text: &str| text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b','));
        let text = &before.text;
        let line = layout::line_start(text, comment.start);
        let mut at = comment.start;
        for member in self.before(comment.start).take_while(|member| member.end > line) {
            if member.end > comment.start {
                return true;
            }
            if !is_separator(&text[member.end..at]) {
                return false;
            }
            at = member.start;
        }
        at < comment.start && (at < line || is_separator(&text[line..at]))
    }
}

/// Whether a comment stands on the lines above a member of a block collection that are about it.
fn is_above(comment: Span, member: Member<'_>) -> bool {
    let in_block = member.value.parent().is_some_and(|holder| holder.style() != super::Style::Flow);
    in_block && super::delete::starts_line(member.value.source(), member.start) && comment.start >= member.first_line()
}

fn check_values(before: &Stream, operations: &[Operation], after: &Stream) -> Result<(), Refusal> {
    let rejected = |message: String| Refusal {
        code: Code::KubectlWouldReject,
        document: None,
        route: None,
        offset: None,
        message: format!("kubectl would not load the file as it is: {message}"),
    };
    let mut old = second_opinion::load(before).map_err(rejected)?;
    agrees(before, &old).map_err(rejected)?;
    let new = second_opinion::load(after)
        .map_err(|message| failed(format!("kubectl would not load the result: {message}")))?;
    agrees(after, &new).map_err(failed)?;
    let mut deleted = Vec::new();
    for operation in operations {
        let node = before.locate(operation)?;
        if operation.action == Action::Delete {
            deleted.push((node, operation.document));
            continue;
        }
        let value = old.get_mut(operation.document).and_then(Option::as_mut);
        if !value.is_some_and(|value| second_opinion::carry_out(value, node, &operation.action)) {
            return Err(failed("an operation has no place in what kubectl would load"));
        }
    }
    deleted.sort_by_key(|(node, _)| std::cmp::Reverse(node.index));
    for (node, document) in deleted {
        let value = old.get_mut(document).and_then(Option::as_mut);
        if !value.is_some_and(|value| second_opinion::delete(value, node)) {
            return Err(failed("a deletion has no place in what kubectl would load"));
        }
    }
    if old == new { Ok(()) } else { Err(failed("kubectl would load something else than was planned")) }
}

/// Whether both readers see the same shape and the same strings in `stream`.
fn agrees(stream: &Stream, loaded: &Loaded) -> Result<(), String> {
    for (document, value) in stream.documents().zip(loaded) {
        if let (Some(root), Some(value)) = (document.root(), value)
            && !second_opinion::agrees(root, value)
        {
            return Err(format!("two readers do not agree on document {}", document.index()));
        }
    }
    Ok(())
}

fn check_idempotence(operations: &[Operation], after: &Stream) -> Result<(), Refusal> {
    let mut deleted_items: DeletedItems<'_> = BTreeMap::new();
    for operation in operations.iter().filter(|operation| operation.action == Action::Delete) {
        if let Some((Step::Index(index), holder)) = operation.route.0.split_last() {
            deleted_items.entry((operation.document, holder)).or_default().push(*index);
        }
    }
    for operation in operations {
        let expected = match (&operation.action, operation.route.0.last()) {
            (Action::Insert { .. }, _) => Code::DuplicateKey,
            // Another item may stand in the place of a deleted one; the comparison of the trees has seen that it is another.
            (Action::Delete, Some(Step::Key(_))) => Code::NotFound,
            _ => continue,
        };
        let again = Operation { route: moved(operation, &deleted_items), ..operation.clone() };
        match after.plan(&[again]) {
            Err(refusal) if refusal.code == expected => {}
            _ if expected == Code::NotFound => return Err(failed("planning again finds the deleted key")),
            _ => return Err(failed("planning again does not find the new key")),
        }
    }
    Ok(())
}

/// The indices of deleted items, by document and route of their sequence.
type DeletedItems<'a> = BTreeMap<(usize, &'a [Step]), Vec<usize>>;

/// The route of `operation` after the deletion of the items before those that it names.
fn moved(operation: &Operation, deleted: &DeletedItems<'_>) -> Route {
    let steps = &operation.route.0;
    let step = |(at, step): (usize, &Step)| match step {
        Step::Index(index) => {
            let gone = deleted.get(&(operation.document, &steps[..at])).map(Vec::as_slice).unwrap_or_default();
            Step::Index(index - gone.iter().filter(|other| *other < index).count())
        }
        Step::Key(_) => step.clone(),
    };
    Route(steps.iter().enumerate().map(step).collect())
}
