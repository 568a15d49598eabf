//! What is known of images: their references, and a table of well-known ones.

mod reference;

pub use reference::{DEFAULT_REGISTRY, InvalidReference, Reference};
