//! From a tag to the digest behind it, and to the configuration of the image. The only code that talks to a network, and the
//! only asynchronous code.
//!
//! [`Online`] asks registries, [`Recorded`] answers from what it was told, [`Offline`] answers nothing. In front of them
//! stand what was kept of earlier answers, [`Cached`], and what the repository has written down of them, [`lock::Locked`]. All
//! speak of references, never of hosts: which host is asked in whose place is a matter of [`NetworkSettings`].

mod cache;
mod chain;
mod challenge;
mod clients;
mod credentials;
mod failure;
pub mod lock;
mod online;
mod patience;
mod recorded;
mod session;

pub use cache::{Age, Cached, Storage};
pub use online::Online;
pub use recorded::Recorded;

use crate::image::{DEFAULT_TAG, ImageConfig, Platform, Reference, Resolved};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long one request may take where nothing else is configured.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a run may wait for registries where nothing else is configured.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(120);

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

impl<R: Resolver + ?Sized> Resolver for &R {
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
    /// A file of certificates in the PEM form. Whom they vouch for is believed to be this registry (or its mirror), and no
    /// other; the system's certificates go on to count.
    pub ca: Option<PathBuf>,
}

/// How far [`Online`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// So many of the distinct questions have an answer, failures included.
    Answered {
        /// How many.
        answered: usize,
        /// Of how many.
        of: usize,
    },
    /// A host limits requests, or is not up to them at the moment.
    Waiting {
        /// The host that is asked.
        host: &'a str,
        /// How long it is left alone.
        pause: Duration,
    },
}

/// Who is told of progress.
type Watch = Arc<dyn Fn(Progress<'_>) + Send + Sync>;

/// How registries are asked.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// Settings by the registry's host as [`Reference::registry`] gives it; a registry that is missing has the defaults.
    pub registries: BTreeMap<String, RegistrySettings>,
    /// For one step, connecting and reading included: logging in is one step, each request another. A registry that never
    /// answers therefore costs this much once.
    pub timeout: Duration,
    /// For all of it, from the first question on: pauses that registries ask for, and whatever else a run waits for them. What
    /// has no answer by then fails as if nobody answered.
    pub deadline: Duration,
    /// Of an index, answer with the image for this platform instead.
    pub platform: Option<Platform>,
    /// The directory of Docker's `config.json`, which is then the only place where logins are looked for. Without it the
    /// environment decides: the variables `UNROOT_REGISTRY_HOSTNAME`, `_USERNAME` and `_PASSWORD` (and further sets with a
    /// common ending, `UNROOT_REGISTRY_HOSTNAME_1`), `DOCKER_AUTH_CONFIG`, `REGISTRY_AUTH_FILE`, `DOCKER_CONFIG` or
    /// `~/.docker`, and `containers/auth.json` where podman keeps it.
    pub docker_config: Option<PathBuf>,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            registries: BTreeMap::new(),
            timeout: DEFAULT_TIMEOUT,
            deadline: DEFAULT_DEADLINE,
            platform: None,
            docker_config: None,
        }
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
