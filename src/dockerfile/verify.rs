//! The proof that an edited text is the old one with the operations carried out, and nothing else.

use super::edit::Operation;
use super::{Dockerfile, ParseError};
use crate::edit::Edit;

/// Proves that `after` is `before` with exactly `operations` carried out, and returns the parsed result.
///
/// # Errors
/// What differs from the plan; always a defect of this program.
#[allow(clippy::todo)]
pub fn verify(
    before: &Dockerfile,
    operations: &[Operation],
    edits: &[Edit],
    after: &str,
) -> Result<Dockerfile, ParseError> {
    let _ = (before, operations, edits, after);
    todo!()
}
