//! Builds the node tree: events and tokens in lock step.

use super::cover::{BYTE_ORDER_MARK, Gap, Lexer, offset32};
use super::events::{Event, Events, Fault, Mark, Properties};
use super::repair::Repairs;
use super::tree::{DocumentData, HAS_PROPERTIES, IS_PAIR, IS_USED, Kind, NONE, NodeData, PropertyData, Stream, Style};
use super::{Code, Refusal};
use crate::source::{Position, Span};
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

/// Collections in collections, no deeper than this: as deep as the serde reader of the second opinion goes.
const DEPTH_LIMIT: usize = 128;

/// Parses and covers `text`.
pub(super) fn build(text: Arc<str>) -> Result<Stream, Refusal> {
    // Offsets are stored in 32 bits. The parser takes U+0000 for the end of the text; no YAML holds one.
    if u32::try_from(text.len()).is_err() {
        return Err(refusal(Code::Parse, None, "the text is longer than 4 GiB"));
    }
    if let Some(at) = memchr::memchr(0, text.as_bytes()) {
        return Err(refusal(Code::Parse, Some(at), "the text holds the character U+0000"));
    }
    let builder = walk(&text).map_err(|stop| stop.into_refusal(&text))?;
    let Builder { lexer, nodes, documents, decoded, properties, directives, duplicates, .. } = builder;
    let comments = lexer.comments.into_boxed_slice();
    let mut stream = Stream {
        nodes: nodes.into_boxed_slice(),
        documents: documents.into_boxed_slice(),
        decoded: decoded.into_boxed_slice(),
        properties: properties.into_boxed_slice(),
        comments,
        directives: directives.into_boxed_slice(),
        long: OnceLock::new(),
        text,
    };
    for (document, key) in duplicates {
        let refusal = duplicate_key(&stream, document, key);
        stream.documents[document].refusal = Some(Box::new(refusal));
    }
    Ok(stream)
}

/// Walks over all events, again and again while the parser stops at something that a repair can get it past.
fn walk(text: &str) -> Result<Builder<'_>, Stop> {
    let mut repairs = Repairs::default();
    loop {
        let mut builder = Builder::new(text);
        match builder.run(&repairs) {
            Ok(()) => return Ok(builder),
            Err(Stop::Fault(fault)) if repairs.learn(&fault.message, fault.mark) => {}
            Err(stop) => return Err(stop),
        }
    }
}

/// Why the walk ended before the end of the text.
enum Stop {
    Fault(Fault),
    Gap(Gap),
    Depth(usize),
    Template(usize),
    UnknownAnchor(usize),
    InsideItself(usize),
}

impl From<Gap> for Stop {
    fn from(gap: Gap) -> Self {
        Self::Gap(gap)
    }
}

impl Stop {
    fn into_refusal(self, text: &str) -> Refusal {
        let depth = format!("nested deeper than {DEPTH_LIMIT} levels");
        match self {
            Self::Fault(fault) if fault.is_too_deep() => refusal(Code::Depth, Some(offset_of(text, fault.mark)), depth),
            Self::Fault(fault) => {
                // Text with template actions in it fails in many ways, none of which says what is the matter.
                if let Some(at) = memchr::memmem::find(text.as_bytes(), b"{{") {
                    return refusal(
                        Code::Template,
                        Some(at),
                        "the text holds template actions and is not YAML as it stands",
                    );
                }
                refusal(Code::Parse, Some(offset_of(text, fault.mark)), fault.message.escape_debug().to_string())
            }
            Self::Gap(Gap(at)) => {
                let seen = text.get(at..).and_then(|rest| rest.chars().next());
                let seen = seen.map_or("the end of the text".to_owned(), |seen| format!("`{}`", seen.escape_debug()));
                refusal(Code::Cover, Some(at), format!("the parser and the bytes disagree at {seen}"))
            }
            Self::Depth(at) => refusal(Code::Depth, Some(at), depth),
            Self::Template(at) => {
                refusal(Code::Template, Some(at), "a template action stands where a value is expected")
            }
            Self::UnknownAnchor(at) => {
                refusal(Code::Parse, Some(at), "an alias stands for an anchor that its document does not have")
            }
            Self::InsideItself(at) => {
                refusal(Code::Parse, Some(at), "an alias stands inside the node that it stands for")
            }
        }
    }
}

fn refusal(code: Code, offset: Option<usize>, message: impl Into<String>) -> Refusal {
    Refusal { code, document: None, route: None, offset, message: message.into() }
}

/// The byte at the parser's line and column; used for messages only.
fn offset_of(text: &str, mark: Mark) -> usize {
    let mut rest = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    for _ in 1..mark.line {
        let Some(stop) = rest.find(['\n', '\r']) else { return text.len() };
        let length = if rest[stop..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[stop + length..];
    }
    let column = rest.char_indices().nth(mark.column).map_or(rest.len(), |(at, _)| at);
    text.len() - rest.len() + column
}

fn duplicate_key(stream: &Stream, document: usize, key: u32) -> Refusal {
    let key = stream.node(key);
    let at = key.span().start;
    let message = format!(
        "the key `{}` at {} stands in its mapping already",
        key.text().escape_debug(),
        Position::of(&stream.text, at)
    );
    let route = Some(key.route());
    Refusal { code: Code::DuplicateKey, document: Some(document), route, offset: Some(at), message }
}

/// A collection that is still open.
struct Frame {
    node: u32,
    shape: Shape,
    /// Whether the next node of a mapping is a value.
    value_next: bool,
    /// Whether a child was placed already.
    started: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    BlockMapping,
    BlockSequence,
    FlowMapping,
    FlowSequence,
    /// One pair in a flow sequence, without braces.
    FlowPair,
}

struct Builder<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
    nodes: Vec<NodeData>,
    frames: Vec<Frame>,
    documents: Vec<DocumentData>,
    decoded: Vec<Box<str>>,
    properties: Vec<PropertyData>,
    directives: Vec<(u32, u32)>,
    /// The node of each anchor of the stream, in the parser's numbering.
    anchors: Vec<u32>,
    /// Number of anchors before the current document: aliases do not reach behind it.
    earlier_anchors: usize,
    /// The first key of each document that stands twice in its mapping.
    duplicates: Vec<(usize, u32)>,
    /// End of the node that was closed last.
    last_end: usize,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            lexer: Lexer::new(text),
            // A manifest has about one node for every 16 bytes; a few more or less cost one copy.
            nodes: Vec::with_capacity(text.len() / 16),
            frames: Vec::new(),
            documents: Vec::new(),
            decoded: Vec::new(),
            properties: Vec::new(),
            directives: Vec::new(),
            anchors: Vec::new(),
            earlier_anchors: 0,
            duplicates: Vec::new(),
            last_end: 0,
        }
    }

    fn run(&mut self, repairs: &Repairs) -> Result<(), Stop> {
        let mut events = Events::new(self.text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(self.text), repairs);
        loop {
            let (event, mark) = events.pull().map_err(Stop::Fault)?;
            match event {
                Event::DocumentStart => self.document_start()?,
                Event::DocumentEnd => {}
                Event::StreamEnd => return self.stream_end(),
                Event::Alias { anchor } => self.alias(anchor, mark)?,
                Event::Scalar { value, style: Style::Empty, properties } => {
                    debug_assert!(value.is_empty(), "an empty scalar has no text");
                    self.empty(properties)?;
                }
                Event::Scalar { value, style, properties } => self.scalar(value, style, properties, mark)?,
                Event::Start { mapping, properties } => self.start(mapping, properties, mark)?,
                Event::End => self.end()?,
            }
        }
    }

    fn document_start(&mut self) -> Result<(), Stop> {
        let mut start = None;
        loop {
            self.lexer.trivia()?;
            let at = self.lexer.at();
            if self.lexer.take_marker("...") {
                continue;
            }
            if let Some(directive) = self.lexer.take_directive() {
                self.directives.push((offset32(directive.start), offset32(directive.end)));
                start.get_or_insert(at);
                continue;
            }
            let start = start.unwrap_or(at);
            self.lexer.take_marker("---");
            self.documents.push(DocumentData { root: NONE, start: offset32(start), refusal: None });
            self.earlier_anchors = self.anchors.len();
            return Ok(());
        }
    }

    fn stream_end(&mut self) -> Result<(), Stop> {
        self.lexer.trivia()?;
        while self.lexer.take_marker("...") {
            self.lexer.trivia()?;
        }
        if self.lexer.peek().is_some() { Err(self.lexer.gap().into()) } else { Ok(()) }
    }

    /// Claims what introduces the next node in its parent: comma, dash, `?`, `:`. Returns the offset of the last three.
    fn lead(&mut self, empty: bool) -> Result<u32, Stop> {
        let Some(frame) = self.frames.last_mut() else {
            return Ok(NONE);
        };
        let (shape, first) = (frame.shape, !frame.started);
        let value = frame.value_next;
        frame.started = true;
        if !matches!(shape, Shape::BlockSequence | Shape::FlowSequence) {
            frame.value_next = !value;
        }
        let before = self.lexer.checkpoint();
        self.lexer.trivia()?;
        let at = self.lexer.at();
        let found = match shape {
            Shape::BlockSequence => self.lexer.take_indicator(b'-'),
            _ if value => self.lexer.take(b':'),
            Shape::BlockMapping | Shape::FlowPair => self.lexer.take_indicator(b'?'),
            Shape::FlowSequence | Shape::FlowMapping => {
                if !first {
                    if !self.lexer.take(b',') {
                        return Err(self.lexer.gap().into());
                    }
                    self.lexer.trivia()?;
                }
                let at = self.lexer.at();
                let explicit = shape == Shape::FlowMapping && self.lexer.take_indicator(b'?');
                return Ok(if explicit { offset32(at) } else { NONE });
            }
        };
        if found {
            return Ok(offset32(at));
        }
        let required = shape == Shape::BlockSequence || (value && !empty);
        if required {
            return Err(self.lexer.gap().into());
        }
        if value {
            // Neither `:` nor value: the value stands, with no bytes, right after its key.
            self.lexer.restore(before);
        }
        Ok(NONE)
    }

    /// Claims anchor and tag, in either order.
    fn properties(&mut self, expected: Properties) -> Result<Option<PropertyData>, Stop> {
        let mut missing = expected;
        let mut found = PropertyData { node: 0, start: NONE, anchor: None, tag: None };
        while missing.anchor || missing.tag {
            self.lexer.trivia()?;
            let sigil = match self.lexer.peek() {
                Some(b'&') if missing.anchor => b'&',
                Some(b'!') if missing.tag => b'!',
                _ => return Err(self.lexer.gap().into()),
            };
            let claimed = self.lexer.take_property(sigil)?;
            let pair = Some((offset32(claimed.start), offset32(claimed.end)));
            found.start = found.start.min(offset32(claimed.start));
            if sigil == b'&' {
                missing.anchor = false;
                found.anchor = pair;
            } else {
                missing.tag = false;
                found.tag = pair;
            }
        }
        Ok((found.start != NONE).then_some(found))
    }

    fn push(&mut self, mut node: NodeData, properties: Option<PropertyData>) -> u32 {
        let index = offset32(self.nodes.len());
        node.parent = self.frames.last().map_or(NONE, |frame| frame.node);
        if let Some(mut properties) = properties {
            node.flags |= HAS_PROPERTIES;
            properties.node = index;
            self.properties.push(properties);
            if properties.anchor.is_some() {
                self.anchors.push(index);
            }
        }
        if node.parent == NONE
            && let Some(document) = self.documents.last_mut()
        {
            document.root = index;
        }
        self.nodes.push(node);
        index
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<(), Stop> {
        let lead = self.lead(false)?;
        self.lexer.trivia()?;
        self.agree(mark)?;
        let at = self.lexer.at();
        let claimed = self.lexer.take_property(b'*')?;
        let known = anchor.checked_sub(1).filter(|&number| number >= self.earlier_anchors);
        let target = known.and_then(|number| self.anchors.get(number)).copied().ok_or(Stop::UnknownAnchor(at))?;
        if self.frames.iter().any(|frame| frame.node == target) {
            return Err(Stop::InsideItself(at));
        }
        if let Some(target) = self.nodes.get_mut(target as usize) {
            target.flags |= IS_USED;
        }
        self.push(leaf(claimed, lead, Kind::Alias, Style::Plain, target), None);
        self.last_end = claimed.end;
        Ok(())
    }

    fn empty(&mut self, properties: Properties) -> Result<(), Stop> {
        if self.frames.is_empty() && !properties.anchor && !properties.tag {
            return Ok(());
        }
        let lead = self.lead(true)?;
        let properties = self.properties(properties)?;
        let at = Span::at(self.lexer.at());
        self.push(leaf(at, lead, Kind::Scalar, Style::Empty, NONE), properties);
        self.last_end = at.end;
        Ok(())
    }

    fn scalar(&mut self, value: String, style: Style, properties: Properties, mark: Mark) -> Result<(), Stop> {
        let lead = self.lead(false)?;
        let properties = self.properties(properties)?;
        self.lexer.trivia()?;
        if !matches!(style, Style::Literal | Style::Folded) {
            self.agree(mark)?;
        }
        let claimed = self.lexer.take_scalar(style, &value, mark.column)?;
        let raw = claimed.of(self.text);
        let value = if is_blank_block(style, &value) { blank_block(raw) } else { value };
        let written = match style {
            Style::SingleQuoted | Style::DoubleQuoted => raw.get(1..raw.len() - 1).unwrap_or_default(),
            _ => raw,
        };
        let mut extra = NONE;
        if written != value {
            let simple = !written.contains(['\n', '\r', '\\', '\'', '|', '>']) && style != Style::Plain;
            if simple {
                return Err(Gap(claimed.start).into());
            }
            extra = offset32(self.decoded.len());
            self.decoded.push(value.into_boxed_str());
        }
        self.push(leaf(claimed, lead, Kind::Scalar, style, extra), properties);
        self.last_end = claimed.end;
        Ok(())
    }

    /// The parser's line and column must be where the cover stands.
    fn agree(&mut self, mark: Mark) -> Result<(), Stop> {
        if self.lexer.mark() == mark { Ok(()) } else { Err(self.lexer.gap().into()) }
    }

    fn start(&mut self, mapping: bool, properties: Properties, mark: Mark) -> Result<(), Stop> {
        let parent = self.frames.last().map(|frame| frame.shape);
        let lead = self.lead(false)?;
        let properties = self.properties(properties)?;
        self.lexer.trivia()?;
        let at = self.lexer.at();
        if self.frames.len() >= DEPTH_LIMIT {
            return Err(Stop::Depth(at));
        }
        let bracket = if mapping { b'{' } else { b'[' };
        // Where a flow collection is itself a key, the event of the mapping around it is marked elsewhere.
        let flow = self.lexer.peek() == Some(bracket) && self.lexer.mark() == mark;
        let mut flags = 0;
        let shape = if flow {
            if mapping && self.lexer.peek_second() == Some(b'{') {
                return Err(Stop::Template(at));
            }
            self.lexer.take(bracket);
            if mapping { Shape::FlowMapping } else { Shape::FlowSequence }
        } else {
            let in_flow = matches!(parent, Some(Shape::FlowMapping | Shape::FlowSequence | Shape::FlowPair));
            match (mapping, in_flow) {
                (true, false) => Shape::BlockMapping,
                (false, false) => Shape::BlockSequence,
                (true, true) if parent == Some(Shape::FlowSequence) => {
                    flags = IS_PAIR;
                    Shape::FlowPair
                }
                _ => return Err(Gap(at).into()),
            }
        };
        let kind = if mapping { Kind::Mapping } else { Kind::Sequence };
        let style = if flow || flags == IS_PAIR { Style::Flow } else { Style::Block };
        let mut node = leaf(Span::at(at), lead, kind, style, NONE);
        node.flags = flags;
        let node = self.push(node, properties);
        self.frames.push(Frame { node, shape, value_next: false, started: false });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stop> {
        let Some(frame) = self.frames.pop() else {
            return Err(self.lexer.gap().into());
        };
        let bracket = match frame.shape {
            Shape::FlowMapping => Some(b'}'),
            Shape::FlowSequence => Some(b']'),
            _ => None,
        };
        if let Some(bracket) = bracket {
            self.lexer.trivia()?;
            if frame.started && self.lexer.take(b',') {
                self.lexer.trivia()?;
            }
            if !self.lexer.take(bracket) {
                return Err(self.lexer.gap().into());
            }
            self.last_end = self.lexer.at();
        }
        let index = frame.node as usize;
        let past = offset32(self.nodes.len());
        let end = offset32(self.last_end);
        if let Some(node) = self.nodes.get_mut(index) {
            node.extra = past;
            node.end = end.max(node.start);
            if node.kind == Kind::Mapping {
                self.find_duplicate(frame.node);
            }
        }
        Ok(())
    }

    /// Notes the first key that stands twice, once per document.
    fn find_duplicate(&mut self, mapping: u32) {
        let document = self.documents.len().saturating_sub(1);
        if self.duplicates.last().is_some_and(|&(noted, _)| noted == document) {
            return;
        }
        let mut keys: Vec<u32> = Vec::new();
        let end = self.nodes[mapping as usize].extra;
        let mut next = mapping + 1;
        let mut is_key = true;
        while next < end {
            let node = &self.nodes[next as usize];
            if is_key && node.kind == Kind::Scalar {
                keys.push(next);
            }
            is_key = !is_key;
            next = if matches!(node.kind, Kind::Mapping | Kind::Sequence) { node.extra } else { next + 1 };
        }
        let twice = if keys.len() <= 8 {
            let mut pairs = keys.iter().enumerate();
            pairs
                .find(|&(at, &key)| keys[..at].iter().any(|&earlier| self.key_text(earlier) == self.key_text(key)))
                .map(|(_, &key)| key)
        } else {
            let mut seen = HashSet::with_capacity(keys.len());
            keys.iter().copied().find(|&key| !seen.insert(self.key_text(key)))
        };
        if let Some(key) = twice {
            self.duplicates.push((document, key));
        }
    }

    fn key_text(&self, key: u32) -> &str {
        let node = &self.nodes[key as usize];
        if node.extra != NONE {
            return &self.decoded[node.extra as usize];
        }
        let quotes = u32::from(matches!(node.style, Style::SingleQuoted | Style::DoubleQuoted));
        &self.text[(node.start + quotes) as usize..(node.end - quotes) as usize]
    }
}

/// Whether this is a block scalar of nothing but blank lines: the parser counts a line end too many in some of them.
fn is_blank_block(style: Style, value: &str) -> bool {
    matches!(style, Style::Literal | Style::Folded) && value.bytes().all(|byte| byte == b'\n')
}

/// What a block scalar of blank lines stands for: nothing, or its line ends where they are kept.
fn blank_block(raw: &str) -> String {
    let keeps = raw.bytes().skip(1).take(2).any(|byte| byte == b'+');
    if keeps { "\n".repeat(raw.replace("\r\n", "\n").matches(['\n', '\r']).count()) } else { String::new() }
}

fn leaf(span: Span, lead: u32, kind: Kind, style: Style, extra: u32) -> NodeData {
    NodeData { start: offset32(span.start), end: offset32(span.end), lead, parent: NONE, extra, kind, style, flags: 0 }
}
