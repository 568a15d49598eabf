//! `unroot.lock`: what registries answered, written down in the repository, so that every run and every person gets the same answers.
//!
//! A row answers one question: what a tag stands for, or what a digest names. Its digest is taken at its word, for whoever may change the file may
//! change the Dockerfile beside it. What facts use of the image's configuration stands there too, without anything that looks like a secret.

mod locked;
mod text;

pub use locked::{Locked, Rule};
pub use text::{LockError, Moment};

use super::DEFAULT_TAG;
use crate::image::{ImageConfig, Platform, Reference, Resolved};
use std::collections::BTreeMap;

/// The file's name, looked for in the root only.
pub const FILE_NAME: &str = "unroot.lock";

/// The rows by the question that they answer, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    rows: BTreeMap<Question, Row>,
}

/// What was asked: `docker.io/library/node:20`, however its author wrote it, or the same with `@` and a digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Question(String);

impl Question {
    /// As registries are asked: by the digest where one is written, else by the tag.
    fn of(reference: &Reference) -> Self {
        match reference.digest() {
            Some(digest) => Self(format!("{}@{digest}", repository(reference))),
            None => Self::of_tag(reference),
        }
    }

    fn of_tag(reference: &Reference) -> Self {
        Self(format!("{}:{}", repository(reference), reference.tag().unwrap_or(DEFAULT_TAG)))
    }

    fn repository(&self) -> &str {
        let name = self.0.split('@').next().unwrap_or_default();
        match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => name,
        }
    }

    /// The digest that was asked for, if it was not a tag.
    fn digest(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, digest)| digest)
    }
}

fn repository(reference: &Reference) -> String {
    format!("{}/{}", reference.registry(), reference.repository())
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    answer: Resolved,
    /// The platform whose image was asked for; without one, all of them.
    platform: Option<Platform>,
    /// When this answer was written down for the first time.
    resolved: Moment,
    config: Option<ImageConfig>,
}

impl Row {
    /// The digest whose configuration a row of this question holds: the one that was asked for, else the answer.
    fn subject<'a>(&'a self, question: &'a Question) -> &'a str {
        question.digest().unwrap_or(self.answer.digest.as_str())
    }
}

impl Lock {
    /// How many questions it answers.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it answers none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The configuration of the image with this digest.
    fn config(&self, digest: &str) -> Option<&ImageConfig> {
        let mut rows = self.rows.iter();
        rows.find_map(|(question, row)| row.config.as_ref().filter(|_| row.subject(question) == digest))
    }
}
