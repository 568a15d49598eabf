//! Image references: `registry/repository:tag@digest`, as Docker and Kubernetes read them.
#![allow(clippy::todo, missing_docs, unused_variables)]

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidReference {
    pub message: String,
}

/// A reference as its author wrote it, and the parts that registries understand. Names are never expanded in print.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    written: String,
}

impl Reference {
    pub fn parse(written: &str) -> Result<Self, InvalidReference> {
        todo!()
    }
    /// The host, `docker.io` when none is written (`index.docker.io` is the same registry).
    pub fn registry(&self) -> &str {
        todo!()
    }
    /// The repository within the registry, `library/` filled in for official images of docker.io.
    pub fn repository(&self) -> &str {
        todo!()
    }
    /// The name as written, without tag and digest.
    pub fn name(&self) -> &str {
        todo!()
    }
    pub fn tag(&self) -> Option<&str> {
        todo!()
    }
    /// `sha256:…`
    pub fn digest(&self) -> Option<&str> {
        todo!()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}
