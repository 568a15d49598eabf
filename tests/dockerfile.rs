//! The Dockerfile engine, from outside.

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
