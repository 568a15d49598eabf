//! What a run looks like to a reader: differences, patches, the ledger, and what a proof found.

pub mod diff;
pub mod levels;
pub mod patches;
pub mod proof;
pub mod styles;
pub mod text;
pub mod transforms;
