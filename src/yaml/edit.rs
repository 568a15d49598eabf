//! From operations in words to splices in bytes, and the proof that the result is what was meant.
#![allow(clippy::todo, missing_docs, unused_variables)]

use super::{Refusal, Route, Stream};
use crate::edit::Edit;

/// A value to be written. Strings are quoted where kubectl would read a bare word as something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Bool(bool),
    Int(i64),
    Str(String),
    Map(Vec<(String, Value)>),
    Seq(Vec<Value>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Adds an entry at the end of the mapping at the route (or in an empty value: `key:`).
    Insert { key: String, value: Value },
    /// Adds an item at the end of the sequence at the route.
    Append { value: Value },
    /// Replaces the scalar at the route.
    Replace { value: Value },
}

/// One intended change, in words: it names a node by its route, not by offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Index of the document in the stream, from 0.
    pub document: usize,
    pub route: Route,
    pub action: Action,
}

impl Stream {
    /// The splices that carry out `operations`, all planned on this text. Inserting several keys into one mapping keeps their order.
    ///
    /// # Errors
    /// The first [`Refusal`]; then nothing is planned.
    pub fn plan(&self, operations: &[Operation]) -> Result<Vec<Edit>, Refusal> {
        todo!()
    }
}

/// Proves that `after` is `before` with exactly `operations` carried out, and returns the parsed result.
///
/// # Errors
/// A [`Refusal`] with [`Code::Verify`](super::Code::Verify) or [`Code::KubectlWouldReject`](super::Code::KubectlWouldReject).
pub fn verify(before: &Stream, operations: &[Operation], edits: &[Edit], after: &str) -> Result<Stream, Refusal> {
    todo!()
}
