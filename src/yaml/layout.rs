//! Lines and columns of a text, and the habits of its author: what new lines have to look like.

use super::cover::{BYTE_ORDER_MARK, after_line_end, characters};
use super::write::Block;
use super::{Kind, Node, Style};
use crate::edit::Edit;
use crate::source::Newline;

/// The line on which something ends, and what may follow it.
pub(super) struct Line<'t> {
    text: &'t str,
    /// The offset that was asked for.
    from: usize,
    /// Before the line end.
    stop: usize,
    /// After the line end; `stop` on a last line without one.
    next: usize,
}

impl<'t> Line<'t> {
    /// The line of `text` that holds `offset`.
    pub(super) fn ending(text: &'t str, offset: usize) -> Self {
        let stop = line_stop(text, offset);
        Self { text, from: offset, stop, next: after_line_end(text.as_bytes(), stop) }
    }

    /// Whether nothing but blanks and a comment stands on the rest of the line.
    pub(super) fn is_free(&self) -> bool {
        let rest = self.text[self.from..self.stop].trim_start_matches([' ', '\t']);
        rest.is_empty() || rest.starts_with('#')
    }

    /// Adds `lines` below the line. What ended without a line end still does.
    pub(super) fn extend(&self, lines: &[String]) -> Edit {
        if self.next > self.stop {
            return Edit::insert(self.next, self.whole(lines));
        }
        let newline = self.newline();
        Edit::insert(self.stop, lines.iter().flat_map(|line| [newline, line]).collect::<String>())
    }

    /// `lines`, each with its line end.
    pub(super) fn whole(&self, lines: &[String]) -> String {
        let newline = self.newline();
        lines.iter().flat_map(|line| [line.as_str(), newline]).collect()
    }

    /// The offset after the line end; the end of the text on a last line without one.
    pub(super) fn next(&self) -> usize {
        self.next
    }

    /// The line end of this line, or of the line before a last line without one.
    pub(super) fn newline(&self) -> &'static str {
        Newline::around(self.text, self.stop).as_str()
    }
}

/// The offset of the line end at or after `from`, or the end of the text.
pub(super) fn line_stop(text: &str, from: usize) -> usize {
    memchr::memchr2(b'\n', b'\r', &text.as_bytes()[from..]).map_or(text.len(), |length| from + length)
}

/// The offset of the first character of the line that holds `offset`; a byte order mark is not part of the line.
pub(super) fn line_start(text: &str, offset: usize) -> usize {
    let mark = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    memchr::memrchr2(b'\n', b'\r', &text.as_bytes()[..offset]).map_or(mark, |end| end + 1)
}

/// The column of `offset`, in characters from 0.
pub(super) fn column(text: &str, offset: usize) -> usize {
    characters(&text.as_bytes()[line_start(text, offset)..offset])
}

/// The offset at which an entry starts: its `?`, or its key with anchor and tag.
pub(super) fn entry_start(key: Node<'_>) -> usize {
    key.lead().unwrap_or_else(|| key.start())
}

/// The key of a value.
pub(super) fn key_of(value: Node<'_>) -> Option<Node<'_>> {
    value.parent()?.entries().find(|(_, other)| *other == value).map(|(key, _)| key)
}

/// Whether a `:` can be written behind the key of the empty `value`, which has none: a key with `:` stands on one line.
pub(super) fn can_take_colon(value: Node<'_>) -> bool {
    let is_simple = |key: Node<'_>| {
        key.kind() == Kind::Scalar
            && key.style() != Style::Empty
            && key.lead().is_none()
            && !key.raw().contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
    };
    value.parent().is_some_and(|parent| !parent.is_pair()) && key_of(value).is_some_and(is_simple)
}

/// An entry of a mapping, or an item of a sequence.
#[derive(Clone, Copy)]
pub(super) struct Member<'a> {
    /// The key of an entry.
    pub(super) key: Option<Node<'a>>,
    /// The value of an entry, or the item.
    pub(super) value: Node<'a>,
    /// Offset of its dash or `?`, or of its first byte with anchor and tag.
    pub(super) start: usize,
    /// Offset after its last byte; a comma is not part of it.
    pub(super) end: usize,
}

impl<'a> Member<'a> {
    fn entry((key, value): (Node<'a>, Node<'a>)) -> Self {
        Self { key: Some(key), value, start: entry_start(key), end: value.span().end.max(key.span().end) }
    }

    fn item(item: Node<'a>) -> Self {
        Self { key: None, value: item, start: entry_start(item), end: item.span().end }
    }

    /// The member whose value, or item, is `value`; `None` for a root.
    pub(super) fn of(value: Node<'a>) -> Option<Self> {
        let holder = value.parent()?;
        match holder.kind() {
            Kind::Mapping => holder.entries().find(|(_, other)| *other == value).map(Self::entry),
            _ => Some(Self::item(value)),
        }
    }

    /// The members of `holder` in order.
    pub(super) fn all(holder: Node<'a>) -> Vec<Self> {
        match holder.kind() {
            Kind::Mapping => holder.entries().map(Self::entry).collect(),
            _ => holder.items().map(Self::item).collect(),
        }
    }

    /// Where the lines of a member of a block collection begin, with the comment lines directly above it in its own column: those are about it. What
    /// stands above the first entry of a document may be about the document.
    pub(super) fn first_line(self) -> usize {
        let text = self.value.source();
        let mut first = line_start(text, self.start);
        let begins_document = |holder: Node<'a>| {
            holder.parent().is_none() && Self::all(holder).first().is_some_and(|member| member.start == self.start)
        };
        if self.value.parent().is_none_or(begins_document) {
            return first;
        }
        let line_above = |at: usize| {
            let above = &text[..at];
            let line = above.strip_suffix("\r\n").or_else(|| above.strip_suffix(['\n', '\r']))?;
            Some(line_start(text, line.len()))
        };
        while let Some(above) = line_above(first) {
            let comment = above + (self.start - line_start(text, self.start));
            if !self.value.has_comment_at(comment) || !text[above..comment].bytes().all(|byte| byte == b' ') {
                break;
            }
            first = above;
        }
        first
    }

    /// The key, the value and all below them, in the order of the text.
    pub(super) fn nodes(self) -> impl Iterator<Item = Node<'a>> {
        self.key.into_iter().chain([self.value]).flat_map(Node::subtree)
    }

    /// Its first node.
    pub(super) fn first(self) -> Node<'a> {
        self.key.unwrap_or(self.value)
    }

    /// Whether `node` is one of its nodes.
    pub(super) fn holds(self, node: Node<'_>) -> bool {
        (self.first().index..self.value.past()).contains(&node.index)
    }

    /// Whether it ends with the `:` of an empty value, or with the properties of one.
    pub(super) fn is_open(self) -> bool {
        // A pair without braces ends as its value does.
        self.value.subtree().last().is_some_and(|last| last.style() == Style::Empty && last.span().end == self.end)
    }
}

/// The columns in which the entries, or dashes, of a block collection stand.
pub(super) fn child_columns(node: Node<'_>) -> Vec<usize> {
    let text = node.source();
    match node.kind() {
        Kind::Mapping => node.entries().map(|(key, _)| column(text, entry_start(key))).collect(),
        _ => node.items().filter_map(Node::lead).map(|dash| column(text, dash)).collect(),
    }
}

/// The aliases that stand for `node`.
pub(super) fn aliases_of(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    let root = node.document().root();
    root.into_iter().flat_map(descendants).filter(move |other| other.kind() == Kind::Alias && other.resolved() == node)
}

/// The last thing in `node`, if that is a block scalar at the end of the text, without a line end, whose value would take
/// in a line end written after it.
pub(super) fn open_block_scalar(node: Node<'_>) -> Option<Node<'_>> {
    let last = descendants(node).last()?;
    (is_block_scalar(last) && last.span().end == node.source().len() && !has_indicator(last, b'-')).then_some(last)
}

pub(super) fn is_block_scalar(node: Node<'_>) -> bool {
    matches!(node.style(), Style::Literal | Style::Folded)
}

/// Whether the header of the block scalar `node` holds the chomping indicator `indicator`.
pub(super) fn has_indicator(node: Node<'_>, indicator: u8) -> bool {
    node.raw().bytes().skip(1).take(2).any(|byte| byte == indicator)
}

/// How many nodes of a part are looked at. Habits show early, and each insertion looks anew.
const SAMPLE: usize = 1000;

/// How the author indents, as seen in the smallest part of the document around `node` that shows it; two spaces and
/// kubectl's own list style where nothing does.
pub(super) fn block_style(node: Node<'_>) -> Block {
    let mut step = None;
    let mut list_step = None;
    let mut gap = None;
    let mut around = Some(node);
    while let Some(part) = around {
        let mut habits = Habits::default();
        // Once all is known the larger parts need no look.
        if step.is_none() || list_step.is_none() || gap.is_none() {
            descendants(part).take(SAMPLE).for_each(|node| habits.note(node));
        }
        step = step.or_else(|| most_frequent(&habits.steps));
        list_step = list_step.or_else(|| most_frequent(&habits.list_steps));
        gap = gap.or_else(|| most_frequent(&habits.gaps));
        around = part.parent();
    }
    Block { step: step.unwrap_or(2), list_step: list_step.unwrap_or(0), gap: gap.unwrap_or(1) }
}

/// The spaces between dash and item in a block sequence, most frequent first.
pub(super) fn item_gap(sequence: Node<'_>) -> Option<usize> {
    let mut habits = Habits::default();
    habits.note_gaps(sequence);
    most_frequent(&habits.gaps)
}

/// Counted habits: how often each number of columns was seen. No author uses more than a few.
#[derive(Default)]
struct Habits {
    steps: [usize; WIDEST],
    list_steps: [usize; WIDEST],
    gaps: [usize; WIDEST],
}

const WIDEST: usize = 17;

impl Habits {
    fn note(&mut self, node: Node<'_>) {
        if node.style() != Style::Block {
            return;
        }
        let text = node.source();
        if node.kind() == Kind::Sequence {
            self.note_gaps(node);
        }
        if node.parent().is_some_and(|parent| parent.kind() == Kind::Sequence) {
            return;
        }
        // The key stands right before its value in the arena, so no search is needed.
        let Some(key) = previous(node) else { return };
        let first = match node.kind() {
            Kind::Sequence => node.items().next().and_then(Node::lead),
            _ => node.entries().next().map(|(key, _)| entry_start(key)),
        };
        let Some(first) = first else { return };
        let deeper = column(text, first).checked_sub(column(text, entry_start(key)));
        let counts = if node.kind() == Kind::Sequence { &mut self.list_steps } else { &mut self.steps };
        if let Some(count) = deeper.and_then(|deeper| counts.get_mut(deeper)) {
            *count += 1;
        }
    }

    fn note_gaps(&mut self, sequence: Node<'_>) {
        for item in sequence.items().take(SAMPLE) {
            let Some(lead) = item.lead() else { continue };
            let between = &sequence.source()[lead + 1..item.start()];
            let only_spaces = !between.is_empty() && between.bytes().all(|byte| byte == b' ');
            if only_spaces && let Some(count) = self.gaps.get_mut(between.len()) {
                *count += 1;
            }
        }
    }
}

/// The scalar key of the block collection `node`, if it is the value of one.
fn previous(node: Node<'_>) -> Option<Node<'_>> {
    node.parent()?;
    // A collection that is itself a key, behind a `?`, follows the value of the entry above.
    node.lead().filter(|lead| node.source()[*lead..].starts_with(':'))?;
    let key = node.before()?;
    (key.parent() == node.parent() && key.kind() == Kind::Scalar).then_some(key)
}

/// The number counted most often; of several the smallest.
fn most_frequent(counts: &[usize]) -> Option<usize> {
    let most = counts.iter().copied().max().filter(|&most| most > 0)?;
    counts.iter().position(|&count| count == most)
}

/// `node` and all below it, in the order of the text.
fn descendants(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    node.subtree()
}
