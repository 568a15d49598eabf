//! YAML that is edited without being rewritten.
//!
//! The way of a text through this module:
//!
//! 1. [`parse`]: yaml-rust2 says what the structure is (`events`, and `repair` where it stops too early), the token cover
//!    says where every piece of it stands (`cover`), and both in lock step give the node tree (`build`, `tree`). What does
//!    not fit together is refused as a whole.
//! 2. Reading: [`Document`] and [`Node`] are views; [`Node::scalar`] judges types as kubectl does (`scalar`).
//! 3. [`Stream::plan`]: [`Operation`]s in words become splices in bytes (`plan` for blocks, `flow` for flow, `delete` for what
//!    goes), in the style of what stands around (`layout`, `write`).
//! 4. [`verify`]: the result is proved to be what was meant, with a second reader that shares nothing with the first
//!    (`second_opinion`).
//!
//! Nothing here reads or writes files, and nothing but `source` and `edit` of this crate is used.

mod build;
mod cover;
mod delete;
mod edit;
mod events;
mod flow;
mod layout;
mod long;
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
