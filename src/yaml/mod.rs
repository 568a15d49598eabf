//! YAML that is edited without being rewritten.

mod build;
mod cover;
mod edit;
mod events;
mod flow;
mod layout;
mod plan;
mod refusal;
mod repair;
mod route;
mod scalar;
mod second_opinion;
mod tree;
mod verify;
mod write;

pub use edit::{Action, Operation, Value};
pub use refusal::{Code, Refusal};
pub use route::{Route, Step};
pub use tree::{Document, Kind, Node, Scalar, Stream, Style, parse};
pub use verify::verify;
