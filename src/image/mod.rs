//! What is known of images: their references, and a table of well-known ones.

mod known;
mod reference;

pub use known::{Account, Claim, Family, Ids, KnownImage, is_well_known, known_image};
pub use reference::{DEFAULT_REGISTRY, InvalidReference, Reference};
