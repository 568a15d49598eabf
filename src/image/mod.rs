//! What is known of images: their references, a table of well-known ones, and what the configuration of any other tells.

mod config;
mod known;
mod lifetimes;
mod reference;
mod resolved;
mod versions;

pub use config::{ConfiguredUser, ImageConfig};
pub use known::{Account, Claim, Family, Ids, KnownImage, KnownImages, is_public};
pub use lifetimes::Lifetime;
pub use reference::{DEFAULT_REGISTRY, DEFAULT_TAG, InvalidReference, Reference};
pub use resolved::{Digest, MediaType, Platform, Resolved};
pub use versions::Versions;
