//! placeholder
pub mod change;
pub mod config;
pub mod discover;
pub mod dockerfile;
pub mod edit;
pub mod error;
pub mod facts;
pub mod image;
pub mod kubernetes;
pub mod link;
pub mod pipeline;
pub mod registry;
pub mod repository;
pub mod source;
pub mod suppression;
pub mod verify;
pub mod yaml;

#[path = "../transforms/mod.rs"]
pub mod transforms;
