//! The container engine that the user has: docker, podman or nerdctl, called as a program.

mod build;
mod call;
mod ending;
mod failed;
mod find;
mod held;

mod images;
mod node;
mod own_image;
mod pods;
mod steps;
mod subnet;
mod sweep;
mod talk;
mod tar;
pub mod watch;
mod writes;

pub use build::{BuildSpec, Side};
pub use call::{Call, Output};
pub use node::{EngineNode, Network};
pub use pods::{Container, Pod};
pub use sweep::Throwaway;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// What it says of its version, `4.3.1`.
    pub version: String,
    /// The run: letters, others each time.
    pub run: String,
    /// Who clears up if this process is killed.
    watcher: Option<Arc<watch::Watcher>>,
}

impl Engine {
    /// An engine that was found, for a run of this name.
    pub fn new(kind: Kind, program: impl Into<PathBuf>, version: String, run: String) -> Self {
        Self { kind, program: program.into(), version, run, watcher: None }
    }

    /// A call of the engine's program; not yet made.
    pub fn call(&self, command: &str) -> Call {
        Call::new(self, command)
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.version)
    }
}
