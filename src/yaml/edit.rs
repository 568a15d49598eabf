//! What can be asked for: operations in words.

use super::Route;

/// A value to be written. Strings are quoted where kubectl would read a bare word as something else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A string.
    Str(String),
    /// A mapping, its entries in order; keys must not repeat.
    Map(Vec<(String, Value)>),
    /// A list.
    Seq(Vec<Value>),
}

/// What to do with the node at a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Adds an entry at the end of the mapping at the route (or in an empty value: `key:`).
    Insert {
        /// The new key; it must not be in the mapping yet, neither as written nor through a merge.
        key: String,
        /// Its value.
        value: Value,
    },
    /// Adds an item at the end of the sequence at the route (or in an empty value: `key:`).
    Append {
        /// The new item.
        value: Value,
    },
    /// Replaces the scalar at the route by another scalar.
    Replace {
        /// The new scalar; not a mapping or list.
        value: Value,
    },
    /// Removes the entry, key and value, or the item at the route, with the comments that stand on its own lines, and in a block
    /// collection with those directly above it in its own column, which are about it. Other comment lines and blank lines above
    /// and below stay. The collection must not become empty.
    Delete,
}

/// One intended change, in words: it names a node by its route, not by offsets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    /// Index of the document in the stream, from 0.
    pub document: usize,
    /// The node to act on.
    pub route: Route,
    /// What to do with it.
    pub action: Action,
}
