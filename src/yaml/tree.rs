//! The node tree over a stream, and how to walk it.
#![allow(clippy::todo, missing_docs, unused_variables)]

use super::{Refusal, Route};
use crate::source::Span;
use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

/// Parses a whole stream.
///
/// # Errors
/// A [`Refusal`] that concerns the whole text.
pub fn parse(text: impl Into<Arc<str>>) -> Result<Stream, Refusal> {
    todo!()
}

#[derive(Debug)]
pub struct Stream {
    text: Arc<str>,
}

impl Stream {
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }
    pub fn documents(&self) -> impl ExactSizeIterator<Item = Document<'_>> {
        std::iter::empty()
    }
    pub fn document(&self, index: usize) -> Option<Document<'_>> {
        todo!()
    }
}

#[derive(Clone, Copy)]
pub struct Document<'a> {
    stream: &'a Stream,
    index: usize,
}

impl<'a> Document<'a> {
    pub fn index(self) -> usize {
        self.index
    }
    /// The root node; `None` for an empty or comment-only document.
    pub fn root(self) -> Option<Node<'a>> {
        todo!()
    }
    /// Why nothing in this document may be edited (duplicate keys), though it can be read.
    pub fn refusal(self) -> Option<&'a Refusal> {
        todo!()
    }
    /// The node at `route`; does not look through aliases or merges.
    pub fn at(self, route: &Route) -> Option<Node<'a>> {
        todo!()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Mapping,
    Sequence,
    Scalar,
    Alias,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Nothing written at all: `key:`.
    Empty,
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
    Folded,
    /// A block mapping or block sequence.
    Block,
    /// A flow mapping or flow sequence.
    Flow,
}

/// What kubectl makes of a scalar (go-yaml v2's table).
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Cow<'a, str>),
}

#[derive(Clone, Copy)]
pub struct Node<'a> {
    stream: PhantomData<&'a Stream>,
}

impl<'a> Node<'a> {
    pub fn kind(self) -> Kind {
        todo!()
    }
    pub fn style(self) -> Style {
        todo!()
    }
    /// The bytes of the node's content, without anchor, tag and comments; empty for an empty value.
    pub fn span(self) -> Span {
        todo!()
    }
    pub fn document(self) -> Document<'a> {
        todo!()
    }
    pub fn route(self) -> Route {
        todo!()
    }
    /// The value of `key` in this mapping, as written here: not through aliases or merges. `None` for other kinds.
    pub fn get(self, key: &str) -> Option<Node<'a>> {
        todo!()
    }
    /// Whether `key` is in this mapping, here or through a merge.
    pub fn has(self, key: &str) -> bool {
        todo!()
    }
    /// Entries of a mapping in order; empty for other kinds.
    pub fn entries(self) -> impl Iterator<Item = (Node<'a>, Node<'a>)> {
        std::iter::empty()
    }
    /// Items of a sequence in order; empty for other kinds.
    pub fn items(self) -> impl Iterator<Item = Node<'a>> {
        std::iter::empty()
    }
    /// The node an alias stands for; itself for other kinds.
    pub fn resolved(self) -> Node<'a> {
        todo!()
    }
    /// What kubectl makes of this scalar; `None` for collections and aliases.
    pub fn scalar(self) -> Option<Scalar<'a>> {
        todo!()
    }
    /// The decoded text if kubectl would load a string, else `None`.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        todo!()
    }
    pub fn as_bool(self) -> Option<bool> {
        todo!()
    }
    pub fn as_i64(self) -> Option<i64> {
        todo!()
    }
    /// Whether kubectl would load null: nothing written, `~`, `null`.
    pub fn is_null(self) -> bool {
        todo!()
    }
    pub fn anchor(self) -> Option<&'a str> {
        todo!()
    }
}
