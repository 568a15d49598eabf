//! placeholder
pub mod dockerfile;
pub mod edit;
pub mod error;
pub mod image;
pub mod pipeline;
pub mod registry;
pub mod report;
pub mod source;
pub mod write;
pub mod yaml;
