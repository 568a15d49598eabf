//! `unroot prove`, with the container engines of the user.

#[path = "prove/node.rs"]
mod node;
mod support;
