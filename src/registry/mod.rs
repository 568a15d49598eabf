//! From a tag to the digest behind it. The only code that talks to a network, and the only asynchronous code.
#![allow(clippy::todo, missing_docs, unused_variables)]

use crate::image::Reference;
use std::collections::BTreeMap;
use std::time::Duration;

/// `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("offline")]
    Offline,
    /// No answer: name resolution, connection, TLS, time-out.
    #[error("{0}")]
    Unreachable(String),
    /// An answer without a digest: not found, not allowed, rate limit, not a registry.
    #[error("{0}")]
    Refused(String),
}

/// Where digests come from.
pub trait Resolver: Sync {
    /// The index digest of each reference (the manifest's where there is no index). One request per distinct reference; the result holds each.
    fn resolve(&self, references: &[Reference]) -> BTreeMap<Reference, Result<Digest, ResolveError>>;
}

/// Settings of one registry, by its host (`docker.io`, `ghcr.io`, `localhost:5000`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Ask this host (and optional path prefix) instead: `127.0.0.1:5000/docker.io`.
    pub mirror: Option<String>,
    /// Speak HTTP without TLS to the host that is asked.
    pub plain_http: bool,
}

/// How the registry is asked.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    pub registries: BTreeMap<String, RegistrySettings>,
    /// For one request, connecting included.
    pub timeout: Duration,
}

/// Answers [`ResolveError::Offline`] to everything.
pub struct Offline;

/// Asks registries over the network.
pub struct Online {
    settings: NetworkSettings,
}

impl Online {
    pub fn new(settings: NetworkSettings) -> Self {
        Self { settings }
    }
}
