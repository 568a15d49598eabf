//! From a tag to the digest behind it, and to the configuration of the image. The only code that talks to a network, and the
//! only asynchronous code.
//!
//! [`Online`] asks registries, [`Recorded`] answers from what it was told, [`Offline`] answers nothing. All three speak of
//! references, never of hosts: which host is asked in whose place is a matter of [`NetworkSettings`].

mod chain;
mod credentials;
mod failure;
pub mod lock;
mod online;
mod recorded;
mod session;

pub use online::Online;
pub use recorded::Recorded;

use crate::image::{ImageConfig, Platform, Reference, Resolved};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// The tag that is meant where none is written.
const DEFAULT_TAG: &str = "latest";

/// How long one request may take where nothing else is configured.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no answer. The messages are one line, name the reference as written, and hold neither credentials nor
/// anything a server said in its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The run was told not to use the network.
    #[error("offline")]
    Offline,
    /// The run was told to use nothing but the lock, which does not have the answer.
    #[error("{0}")]
    NotLocked(String),
    /// No answer: name resolution, connection, TLS, time-out.
    #[error("{0}")]
    Unreachable(String),
    /// An answer, but not to the question: not found, not allowed, rate limit, not a registry, not what its digest names.
    #[error("{0}")]
    Refused(String),
}

/// Where digests and configurations come from.
pub trait Resolver: Sync {
    /// Tells which images the files name, before anything is asked.
    fn are_named(&self, _references: &BTreeSet<Reference>) {}

    /// What each reference names: by its digest where one is written, else by its tag. To ask what a tag stands for now, leave
    /// the digest out ([`Reference::without_digest`]). One request per distinct image and tag or digest, however often and in
    /// whatever spelling it is written; the result holds each reference that was given.
    fn resolve(&self, references: &[Reference]) -> BTreeMap<Reference, Result<Resolved, ResolveError>>;

    /// The configuration of the image that each reference names: by its digest where one is written, else by its tag. Of an
    /// index, the image for Linux on amd64 speaks, else the first for Linux. Two or three requests per distinct image; the
    /// result holds each reference that was given.
    fn configs(&self, references: &[Reference]) -> BTreeMap<Reference, Result<ImageConfig, ResolveError>>;
}

impl<R: Resolver + ?Sized> Resolver for Box<R> {
    fn are_named(&self, references: &BTreeSet<Reference>) {
        (**self).are_named(references);
    }

    fn resolve(&self, references: &[Reference]) -> BTreeMap<Reference, Result<Resolved, ResolveError>> {
        (**self).resolve(references)
    }

    fn configs(&self, references: &[Reference]) -> BTreeMap<Reference, Result<ImageConfig, ResolveError>> {
        (**self).configs(references)
    }
}

/// Settings of one registry, by its host (`docker.io`, `ghcr.io`, `localhost:5000`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Ask this host (and optional path prefix) instead: `127.0.0.1:5000/docker.io`. Without a scheme.
    pub mirror: Option<String>,
    /// Speak HTTP without TLS to the host that is asked.
    pub plain_http: bool,
}

/// How registries are asked.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// Settings by the registry's host as [`Reference::registry`] gives it; a registry that is missing has the defaults.
    pub registries: BTreeMap<String, RegistrySettings>,
    /// For one step, connecting and reading included: logging in is one step, each request another. A registry that never
    /// answers therefore costs this much once.
    pub timeout: Duration,
    /// Of an index, answer with the image for this platform instead.
    pub platform: Option<Platform>,
    /// The directory of Docker's `config.json`. Without it `DOCKER_CONFIG` decides, then `~/.docker`, as Docker does it.
    pub docker_config: Option<PathBuf>,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self { registries: BTreeMap::new(), timeout: DEFAULT_TIMEOUT, platform: None, docker_config: None }
    }
}

/// Answers [`ResolveError::Offline`] to everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offline;

impl Resolver for Offline {
    fn resolve(&self, references: &[Reference]) -> BTreeMap<Reference, Result<Resolved, ResolveError>> {
        references.iter().map(|reference| (reference.clone(), Err(ResolveError::Offline))).collect()
    }

    fn configs(&self, references: &[Reference]) -> BTreeMap<Reference, Result<ImageConfig, ResolveError>> {
        references.iter().map(|reference| (reference.clone(), Err(ResolveError::Offline))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offline_answers_each_reference() {
        let references = ["node:20", "nginx"].map(|written| Reference::parse(written).unwrap());
        let answers = Offline.resolve(&references);
        assert_eq!(answers.len(), 2);
        assert!(answers.values().all(|answer| answer == &Err(ResolveError::Offline)));
        let answers = Offline.configs(&references);
        assert!(answers.len() == 2 && answers.values().all(|answer| answer == &Err(ResolveError::Offline)));
    }
}
