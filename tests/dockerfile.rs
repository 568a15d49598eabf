//! The Dockerfile engine, from outside.
#![allow(clippy::expect_used, reason = "here a failed step should end the test")]

#[path = "dockerfile/editing.rs"]
mod editing;
#[path = "dockerfile/parsing.rs"]
mod parsing;
#[path = "dockerfile/properties.rs"]
mod properties;
#[path = "dockerfile/shell.rs"]
mod shell;
#[path = "dockerfile/views.rs"]
mod views;
