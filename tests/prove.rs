//! `unroot prove`, with the container engines of the user.
#![allow(clippy::unwrap_used, reason = "here a failed step should end the test")]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

#[path = "prove/adversary.rs"]
mod adversary;
#[path = "prove/builds.rs"]
mod builds;
#[path = "prove/clearing.rs"]
mod clearing;
#[path = "prove/command.rs"]
mod command;
#[path = "prove/node.rs"]
mod node;
mod support;
