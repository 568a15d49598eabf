//! What the tests share. Every test binary uses a part of it, so the rest is dead code there.
#![allow(dead_code)]
// Clippy knows `#[test]` functions only; here, too, a failed step should end the test.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

pub(crate) mod access_log;
pub(crate) mod api_types;
pub(crate) mod engine;
pub(crate) mod http;
pub(crate) mod marks;
pub(crate) mod nginx;
pub(crate) mod openssl;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod registry;
pub(crate) mod restricted;
pub(crate) mod second_parser;
pub(crate) mod snapshots;
pub(crate) mod trees;
pub(crate) mod workspace;
