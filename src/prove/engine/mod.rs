//! The container engine that the user has: docker, podman or nerdctl, called as a program.

mod call;
mod held;
mod helper;
mod images;
mod node;
mod pods;
mod subnet;
mod talk;
mod tar;
mod writes;

pub use call::{Call, Output};
pub use node::{EngineNode, Network};
pub use pods::{Container, Pod};

use std::fmt;
use std::path::PathBuf;

/// The engines that are known, in the order in which they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Docker
    Docker,
    /// Podman
    Podman,
    /// containerd, by its own command line
    Nerdctl,
}

impl Kind {
    /// The name of its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Nerdctl => "nerdctl",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

/// An engine that answers, and the name of one run: everything that is made bears it, and nothing else is ever removed.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Which one.
    pub kind: Kind,
    /// Its program.
    pub program: PathBuf,
    /// What it says of its version.
    pub version: String,
    /// The run: letters and digits, another one each time.
    pub run: String,
}

impl Engine {
    /// A call of the engine's program; not yet made.
    pub fn call(&self, command: &str) -> Call {
        Call::new(self, command)
    }
}
