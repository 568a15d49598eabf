//! The node tree over a stream, and how to walk it.

use super::long::LongSequences;
use super::scalar;
use super::{Refusal, Route, Step};
use crate::source::Span;
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Parses a whole stream. A byte order mark at the start is part of the text and of no node.
///
/// # Errors
/// A [`Refusal`] that concerns the whole text: [`Code::Parse`](super::Code::Parse), [`Code::Template`](super::Code::Template),
/// [`Code::Cover`](super::Code::Cover) or [`Code::Depth`](super::Code::Depth).
pub fn parse(text: impl Into<Arc<str>>) -> Result<Stream, Refusal> {
    super::build::build(text.into())
}

/// A parsed text: its documents, and every node with the bytes it stands on.
pub struct Stream {
    pub(super) text: Arc<str>,
    /// All nodes of all documents in the order of the text; the nodes of a subtree follow its root without a gap.
    pub(super) nodes: Box<[NodeData]>,
    pub(super) documents: Box<[DocumentData]>,
    /// Decoded scalars whose text differs from the bytes between their quotes.
    pub(super) decoded: Box<[Box<str>]>,
    /// Sorted by node.
    pub(super) properties: Box<[PropertyData]>,
    pub(super) comments: Box<[(u32, u32)]>,
    pub(super) directives: Box<[(u32, u32)]>,
    /// Listed when somebody looks for an item of one.
    pub(super) long: OnceLock<LongSequences>,
}

/// One node in the arena. Offsets are `u32` and there is no child list, so that thousands of files stay small in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeData {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Offset of the indicator that introduces the node: `-`, `?` or `:`; [`NONE`] without one.
    pub(super) lead: u32,
    pub(super) parent: u32,
    /// Collections: index one past the subtree. Scalars: index into `decoded`, or [`NONE`]. Aliases: the node they stand for.
    pub(super) extra: u32,
    pub(super) kind: Kind,
    pub(super) style: Style,
    pub(super) flags: u8,
}

/// No offset, no node.
pub(super) const NONE: u32 = u32::MAX;
/// The node has an entry in `properties`.
pub(super) const HAS_PROPERTIES: u8 = 1;
/// An alias stands for this node.
pub(super) const IS_USED: u8 = 2;
/// The mapping is a single pair in a flow sequence, without braces: `[a: b]`.
pub(super) const IS_PAIR: u8 = 4;

#[derive(Clone, Debug)]
pub(super) struct DocumentData {
    /// Index of the root, or [`NONE`].
    pub(super) root: u32,
    /// Where the document starts: its `---`, or its first byte.
    pub(super) start: u32,
    pub(super) refusal: Option<Box<Refusal>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PropertyData {
    pub(super) node: u32,
    pub(super) start: u32,
    /// `&name`
    pub(super) anchor: Option<(u32, u32)>,
    /// `!tag`
    pub(super) tag: Option<(u32, u32)>,
}

impl Stream {
    /// The text that was parsed.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The documents in order. A stream of comments alone has none.
    pub fn documents(&self) -> impl ExactSizeIterator<Item = Document<'_>> {
        (0..self.documents.len()).map(move |index| Document { stream: self, index })
    }

    /// The document at `index`, from 0.
    pub fn document(&self, index: usize) -> Option<Document<'_>> {
        (index < self.documents.len()).then_some(Document { stream: self, index })
    }

    /// The comments in order, each from its `#` to before its line end.
    pub fn comments(&self) -> impl ExactSizeIterator<Item = Span> + '_ {
        self.comments.iter().map(|&pair| span(pair))
    }

    pub(super) fn node(&self, index: u32) -> Node<'_> {
        Node { stream: self, index }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("bytes", &self.text.len())
            .field("documents", &self.documents.len())
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

/// One document of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    stream: &'a Stream,
    index: usize,
}

impl<'a> Document<'a> {
    /// Its place in the stream, from 0.
    pub fn index(self) -> usize {
        self.index
    }

    /// The root node; `None` for an empty or comment-only document.
    pub fn root(self) -> Option<Node<'a>> {
        let root = self.data().root;
        (root != NONE).then(|| self.stream.node(root))
    }

    /// Why nothing in this document may be edited (duplicate keys), though it can be read.
    pub fn refusal(self) -> Option<&'a Refusal> {
        self.data().refusal.as_deref()
    }

    /// The bytes of the document: from its `---`, or its first byte, up to the next document.
    pub fn span(self) -> Span {
        let end = self.stream.documents.get(self.index + 1).map_or(self.stream.text.len(), |next| next.start as usize);
        Span::new(self.data().start as usize, end)
    }

    /// The node at `route`; does not look through aliases or merges.
    pub fn at(self, route: &Route) -> Option<Node<'a>> {
        let mut node = self.root()?;
        for step in &route.0 {
            node = match step {
                Step::Key(key) => node.get(key)?,
                Step::Index(index) => node.item(*index)?,
            };
        }
        Some(node)
    }

    fn data(self) -> &'a DocumentData {
        &self.stream.documents[self.index]
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keys and values.
    Mapping,
    /// A list.
    Sequence,
    /// A single value, written or not.
    Scalar,
    /// `*name`
    Alias,
}

/// How a node is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Nothing written at all: `key:`.
    Empty,
    /// Without quotes; also the style of aliases.
    Plain,
    /// `'…'`
    SingleQuoted,
    /// `"…"`
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
    /// A block mapping or block sequence.
    Block,
    /// A flow mapping or flow sequence.
    Flow,
}

/// What kubectl makes of a scalar: YAML 1.1 words and numbers, as go-yaml v2 resolves them (its `resolve.go`).
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Nothing written, `~`, `null`, `Null`, `NULL`.
    Null,
    /// `true`, `yes`, `on`, `y` and their opposites.
    Bool(bool),
    /// Decimal, `0x`, `0b`, `0o` and, with a leading zero, octal.
    Int(i64),
    /// All other numbers, among them whole numbers beyond 64 bits.
    Float(f64),
    /// All else.
    Str(Cow<'a, str>),
}

/// One node of a document: a view, cheap to copy. Two views are equal when they show the same node of the same stream.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    stream: &'a Stream,
    pub(super) index: u32,
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.stream, other.stream) && self.index == other.index
    }
}

impl Eq for Node<'_> {}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} at {:?}", self.style(), self.kind(), self.span())
    }
}

impl<'a> Node<'a> {
    /// What it is.
    pub fn kind(self) -> Kind {
        self.data().kind
    }

    /// How it is written.
    pub fn style(self) -> Style {
        self.data().style
    }

    /// The bytes of the node's content, without anchor, tag and comments; empty for an empty value. A block collection
    /// spans from its first key or dash to the end of its last value; a block scalar from its header to its last line.
    pub fn span(self) -> Span {
        Span::new(self.data().start as usize, self.data().end as usize)
    }

    /// The bytes of [`span`](Self::span).
    pub fn raw(self) -> &'a str {
        self.span().of(&self.stream.text)
    }

    /// The document that holds the node.
    pub fn document(self) -> Document<'a> {
        // An empty document has no node; for the search it counts as standing before the next root.
        let documents = &self.stream.documents;
        let after = documents.partition_point(|document| (document.start as usize) <= self.span().start);
        Document { stream: self.stream, index: after.saturating_sub(1) }
    }

    /// The mapping or sequence that holds the node; `None` for the root.
    pub fn parent(self) -> Option<Node<'a>> {
        let parent = self.data().parent;
        (parent != NONE).then(|| self.stream.node(parent))
    }

    /// The way from the root to this node. The route of a key is that of its value.
    pub fn route(self) -> Route {
        let mut steps = Vec::new();
        let mut node = self;
        while let Some(parent) = node.parent() {
            let step = if parent.kind() == Kind::Sequence {
                Step::Index(parent.index_of(node).unwrap_or_default())
            } else {
                let entry = parent.entries().find(|&(key, value)| key == node || value == node);
                Step::Key(entry.map(|(key, _)| key.text().into_owned()).unwrap_or_default())
            };
            steps.push(step);
            node = parent;
        }
        steps.reverse();
        Route(steps)
    }

    /// The value of `key` in this mapping, as written here: not through aliases or merges. `None` for other kinds.
    pub fn get(self, key: &str) -> Option<Node<'a>> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Key and value of `key` in this mapping, as written here. `None` for other kinds.
    pub fn entry(self, key: &str) -> Option<(Node<'a>, Node<'a>)> {
        self.entries().find(|(name, _)| name.is_called(key))
    }

    fn is_called(self, name: &str) -> bool {
        self.kind() == Kind::Scalar && self.text() == name
    }

    /// Whether `key` is in this mapping, here or through a merge.
    pub fn has(self, key: &str) -> bool {
        self.lookup(key).is_some()
    }

    /// Whether `key` comes into this mapping through a merge, be it here as well or not.
    pub(super) fn has_merged(self, key: &str) -> bool {
        self.merged().skip(1).any(|node| node.get(key).is_some())
    }

    /// What a loader finds under `key`: the value here, else that of the first merge that has one; an alias is what it stands for.
    pub fn lookup(self, key: &str) -> Option<Node<'a>> {
        // Most mappings merge nothing, and most keys that are asked for are not there: one walk tells both.
        let mut is_merged = false;
        for (name, value) in self.resolved().entries() {
            if name.is_called(key) {
                return Some(value.resolved());
            }
            is_merged |= name.is_merge();
        }
        let found = is_merged.then(|| self.merged().find_map(|node| node.get(key)))?;
        found.map(Node::resolved)
    }

    /// This mapping, then the mappings that are merged into it; what comes first wins.
    pub fn merged(self) -> impl Iterator<Item = Node<'a>> {
        // Merges may share targets; each is looked at once, so that no nesting of merges takes more than linear steps.
        let mut pending = vec![self];
        let mut seen = std::collections::BTreeSet::new();
        std::iter::from_fn(move || {
            loop {
                let node = pending.pop()?.resolved();
                if !seen.insert(node.index) {
                    continue;
                }
                let merges = node.entries().filter(|(name, _)| name.is_merge());
                let sources = merges.map(|(_, source)| source.resolved());
                let rest = pending.len();
                pending.extend(sources.flat_map(|source| std::iter::once(source).chain(source.items())));
                if let Some(sources) = pending.get_mut(rest..) {
                    sources.reverse();
                }
                return Some(node);
            }
        })
    }

    /// Whether this is the key of a merge: a plain `<<`.
    pub(super) fn is_merge(self) -> bool {
        self.style() == Style::Plain && self.kind() == Kind::Scalar && self.raw() == "<<"
    }

    /// Entries of a mapping in order; empty for other kinds.
    pub fn entries(self) -> impl Iterator<Item = (Node<'a>, Node<'a>)> {
        let mut children = self.children(Kind::Mapping);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// Items of a sequence in order; empty for other kinds.
    pub fn items(self) -> impl Iterator<Item = Node<'a>> {
        self.children(Kind::Sequence)
    }

    fn children(self, kind: Kind) -> Children<'a> {
        let next = self.index + 1;
        let end = if self.kind() == kind { self.data().extra } else { next };
        Children { stream: self.stream, next, end }
    }

    /// The node an alias stands for; itself for other kinds.
    pub fn resolved(self) -> Node<'a> {
        if self.kind() == Kind::Alias { self.stream.node(self.data().extra) } else { self }
    }

    /// What kubectl makes of this scalar; `None` for collections and aliases.
    pub fn scalar(self) -> Option<Scalar<'a>> {
        (self.kind() == Kind::Scalar).then(|| scalar::resolve(self.style(), self.tag(), self.text()))
    }

    /// The decoded text of a scalar, whatever its type; empty for other kinds.
    pub fn text(self) -> Cow<'a, str> {
        let data = self.data();
        if data.kind != Kind::Scalar {
            return Cow::Borrowed("");
        }
        if data.extra != NONE {
            return Cow::Borrowed(&self.stream.decoded[data.extra as usize]);
        }
        let quotes = usize::from(matches!(data.style, Style::SingleQuoted | Style::DoubleQuoted));
        let raw = self.raw();
        Cow::Borrowed(&raw[quotes..raw.len() - quotes])
    }

    /// The decoded text if kubectl would load a string, else `None`.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        match self.scalar()? {
            Scalar::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean that kubectl would load, else `None`.
    pub fn as_bool(self) -> Option<bool> {
        match self.scalar()? {
            Scalar::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The whole number that kubectl would load, else `None`. `1e3` is one: on its way to JSON it becomes 1000.
    pub fn as_i64(self) -> Option<i64> {
        match self.scalar()? {
            Scalar::Int(value) => Some(value),
            Scalar::Float(value) => scalar::whole(value),
            _ => None,
        }
    }

    /// Whether kubectl would load null: nothing written, `~`, `null`.
    pub fn is_null(self) -> bool {
        self.scalar() == Some(Scalar::Null)
    }

    /// The name of its anchor, without `&`.
    pub fn anchor(self) -> Option<&'a str> {
        self.properties()?.anchor.map(|anchor| &span(anchor).of(&self.stream.text)[1..])
    }

    /// Its tag as written, with `!`.
    pub fn tag(self) -> Option<&'a str> {
        self.properties()?.tag.map(|tag| span(tag).of(&self.stream.text))
    }

    /// Whether an alias stands for this node.
    pub fn is_used_by_alias(self) -> bool {
        self.data().flags & IS_USED != 0
    }

    /// Offset of the indicator that introduces the node (`-`, `?`, `:`), if it has one.
    pub(super) fn lead(self) -> Option<usize> {
        let lead = self.data().lead;
        (lead != NONE).then_some(lead as usize)
    }

    /// Offset of its first byte, with anchor and tag.
    pub(super) fn start(self) -> usize {
        self.properties().map_or(self.data().start, |properties| properties.start) as usize
    }

    pub(super) fn properties(self) -> Option<&'a PropertyData> {
        if self.data().flags & HAS_PROPERTIES == 0 {
            return None;
        }
        let properties = &self.stream.properties;
        let found = properties.binary_search_by_key(&self.index, |property| property.node).ok()?;
        properties.get(found)
    }

    /// The node that stands before this one in the text, its parent if there is none between.
    pub(super) fn before(self) -> Option<Node<'a>> {
        self.index.checked_sub(1).map(|index| self.stream.node(index))
    }

    /// This node and all below it, in the order of the text.
    pub(super) fn subtree(self) -> impl Iterator<Item = Node<'a>> {
        let stream = self.stream;
        (self.index..self.past()).map(move |index| stream.node(index))
    }

    /// The index one past the last node below this one.
    pub(super) fn past(self) -> u32 {
        match self.kind() {
            Kind::Mapping | Kind::Sequence => self.data().extra,
            Kind::Scalar | Kind::Alias => self.index + 1,
        }
    }

    pub(super) fn is_pair(self) -> bool {
        self.data().flags & IS_PAIR != 0
    }

    pub(super) fn stream(self) -> &'a Stream {
        self.stream
    }

    pub(super) fn data(self) -> &'a NodeData {
        &self.stream.nodes[self.index as usize]
    }

    /// The text that holds the node.
    /// Whether a comment of the stream starts at this byte.
    pub(super) fn has_comment_at(self, offset: usize) -> bool {
        self.stream.comments.binary_search_by_key(&offset, |comment| comment.0 as usize).is_ok()
    }

    pub(super) fn source(self) -> &'a str {
        &self.stream.text
    }
}

/// Walks over the children of one collection.
struct Children<'a> {
    stream: &'a Stream,
    next: u32,
    end: u32,
}

impl<'a> Iterator for Children<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        if self.next >= self.end {
            return None;
        }
        let node = self.stream.node(self.next);
        self.next = match node.kind() {
            Kind::Mapping | Kind::Sequence => node.data().extra,
            Kind::Scalar | Kind::Alias => self.next + 1,
        };
        Some(node)
    }
}

pub(super) fn span((start, end): (u32, u32)) -> Span {
    Span::new(start as usize, end as usize)
}
