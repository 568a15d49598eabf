//! Why a stream, a document or an edit is left alone.

use super::Route;

/// A stable code per reason; prints in kebab case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The text is not a YAML stream.
    Parse,
    /// libyaml, the ancestor of what kubectl uses, rejects the text.
    KubectlWouldReject,
    /// The parser's events and the bytes could not be brought together.
    Cover,
    /// A key occurs twice in one mapping: readers disagree on which one wins.
    DuplicateKey,
    /// The edit would pass through an alias, or change an anchored node that others use.
    Alias,
    /// The key is present only through a merge (`<<`).
    MergeOnly,
    /// The value to insert into is written as `null` or `~`.
    ExplicitNull,
    /// The text holds template actions.
    Template,
    /// A block scalar ends at the end of the file without a line end, in a place where nothing can follow it.
    EofBlockScalar,
    /// The keys of the mapping do not share one column.
    Misaligned,
    /// The deletion would leave an empty collection, which means something else than none.
    LastEntry,
    /// What is to be deleted stands so close to what stays that taking it out would move, lose or change the latter.
    Inseparable,
    /// Nested deeper than the limit.
    Depth,
    /// The route leads nowhere, or to a node of another kind.
    NotFound,
    /// The result did not prove to be what was planned. Always a defect of this program.
    Verify,
}

/// Why, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The stable reason.
    pub code: Code,
    /// Index of the document in its stream, from 0, where the refusal concerns one.
    pub document: Option<usize>,
    /// The node concerned.
    pub route: Option<Route>,
    /// The byte concerned.
    pub offset: Option<usize>,
    /// One line for a person: what was seen. Holds no control characters.
    pub message: String,
}

impl Code {
    /// The code in kebab case, as reports print it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::KubectlWouldReject => "kubectl-would-reject",
            Self::Cover => "cover",
            Self::DuplicateKey => "duplicate-key",
            Self::Alias => "alias",
            Self::MergeOnly => "merge-only",
            Self::ExplicitNull => "explicit-null",
            Self::Template => "template",
            Self::EofBlockScalar => "eof-block-scalar",
            Self::Misaligned => "misaligned",
            Self::LastEntry => "last-entry",
            Self::Inseparable => "inseparable",
            Self::Depth => "depth",
            Self::NotFound => "not-found",
            Self::Verify => "verify",
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
