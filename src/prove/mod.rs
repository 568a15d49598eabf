//! Proof by running: a tree's images are built and started under the settings of its manifests, before and after.
//!
//! The order of the data: [`objects`] is what manifests declare, [`network`] the addresses that it gets, [`kubelet`] and [`volumes`] what it means on a
//! node, [`node`] what is asked of a machine that runs containers, [`probe`] how one asks what runs, and [`judge`] all of it for one cluster. The lab
//! of the tests is one such machine, made of runc and namespaces; the user's container engine is the other. What comes of it is a [`proof`], which has
//! [`totals`] and leaves a [`record`].

pub mod builds;
pub mod changes;
pub mod diagnosis;
pub mod engine;
pub mod field;
pub mod groups;
pub mod inside;
pub mod interrupt;
pub mod judge;
pub mod kubelet;
pub mod learn;
pub mod needs;
pub mod network;
pub mod node;
pub mod objects;
pub mod probe;
pub mod proof;
pub mod record;
pub mod run;
pub mod totals;
pub mod volumes;

/// What a machine could not do, in one line. What an application does wrong is a verdict and no failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    message: String,
}

impl Failure {
    /// A failure in these words.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<Box<dyn std::error::Error + Send + Sync>> for Failure {
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self::new(error.to_string())
    }
}

/// What works, or why not.
pub type Result<T, E = Failure> = std::result::Result<T, E>;
