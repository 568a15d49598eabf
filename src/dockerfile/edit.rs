//! Operations: what is to change, in words, and the edits that carry it out.

use super::Dockerfile;
use crate::edit::Edit;
use crate::source::Span;

/// One intended change, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Whole new lines directly above an instruction (above the comment lines that stand directly above it, when `above_comments`).
    InsertBefore {
        /// Index of the instruction.
        instruction: usize,
        /// Whether the comment lines directly above stay with the instruction.
        above_comments: bool,
        /// The lines, without line ends.
        lines: Vec<String>,
    },
    /// Whole new lines directly below an instruction.
    InsertAfter {
        /// Index of the instruction.
        instruction: usize,
        /// The lines, without line ends.
        lines: Vec<String>,
    },
    /// Whole new lines at the end of the file.
    Append {
        /// The lines, without line ends.
        lines: Vec<String>,
    },
    /// Replaces bytes within one instruction.
    Replace {
        /// The bytes.
        span: Span,
        /// What stands there afterwards.
        text: String,
    },
    /// Removes an instruction with its lines; with the comment lines directly above it when `with_comments`.
    Remove {
        /// Index of the instruction.
        instruction: usize,
        /// Whether the comment lines directly above go, too.
        with_comments: bool,
    },
}

impl Dockerfile {
    /// The edits that carry out `operations`. New lines take the line end of their neighbours; a missing final line end stays missing.
    #[allow(clippy::todo)]
    pub fn plan(&self, operations: &[Operation]) -> Vec<Edit> {
        let _ = operations;
        todo!()
    }
}
