//! YAML that is edited without being rewritten.

mod build;
mod cover;
mod edit;
mod events;
mod refusal;
mod route;
mod scalar;
mod tree;

pub use edit::{Action, Operation, Value, verify};
pub use refusal::{Code, Refusal};
pub use route::{Route, Step};
pub use tree::{Document, Kind, Node, Scalar, Stream, Style, parse};
