//! What is known of images: their references, and a table of well-known ones.

mod known;
mod reference;
mod versions;

pub use known::{Account, Claim, Family, Ids, KnownImage, KnownImages, is_public};
pub use reference::{DEFAULT_REGISTRY, InvalidReference, Reference};
pub use versions::Versions;
