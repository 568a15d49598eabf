//! What a run looks like to a reader: differences, patches, and the ledger.

pub mod diff;
pub mod levels;
pub mod patches;
pub mod styles;
pub mod text;
pub mod transforms;
