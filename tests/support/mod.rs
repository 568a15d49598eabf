//! What the tests share. Every test binary uses a part of it, so the rest is dead code there.
#![allow(dead_code)]

pub(crate) mod http;
pub(crate) mod registry;
pub(crate) mod workspace;
