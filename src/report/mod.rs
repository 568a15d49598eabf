//! What a run looks like to a reader: differences and patches.

pub mod diff;
pub mod patches;
