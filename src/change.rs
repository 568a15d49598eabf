//! A change: what one proposal wants done to the files of a pair, in words that the engines turn into bytes.
//!
//! A change spans files and is taken whole or not at all, and together with those that it names.

use crate::repository::FileId;
use crate::{dockerfile, yaml};
use std::collections::{BTreeMap, BTreeSet};

/// Operations by file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// On Dockerfiles.
    pub dockerfiles: BTreeMap<FileId, Vec<dockerfile::Operation>>,
    /// On manifests.
    pub manifests: BTreeMap<FileId, Vec<yaml::Operation>>,
    /// Other Dockerfiles that the same step must change as well.
    pub together: BTreeSet<FileId>,
}

impl Change {
    /// Adds operations on a Dockerfile.
    pub fn dockerfile(&mut self, file: FileId, operations: impl IntoIterator<Item = dockerfile::Operation>) {
        self.dockerfiles.entry(file).or_default().extend(operations);
    }

    /// Adds operations on a manifest. Containers of one pod may want the same of it; that is carried out once.
    pub fn manifest(&mut self, file: FileId, operations: impl IntoIterator<Item = yaml::Operation>) {
        self.manifests.entry(file).or_default().extend(operations);
    }

    /// Whether nothing would be done.
    pub fn is_empty(&self) -> bool {
        self.dockerfiles.values().all(Vec::is_empty) && self.manifests.values().all(Vec::is_empty)
    }

    /// The files it touches.
    pub fn files(&self) -> impl Iterator<Item = FileId> {
        self.dockerfiles.keys().chain(self.manifests.keys()).copied()
    }
}
