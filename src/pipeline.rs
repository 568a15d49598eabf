//! placeholder: the result of a run, which every report and the writer share
use crate::error::Finding;
use crate::source::Position;
use std::sync::Arc;

/// What a run found and planned. The diff a reviewer sees is what gets written.
#[derive(Debug)]
pub struct Run {
    /// Files that change, in path order.
    pub files: Vec<FileChange>,
    /// One per transform that changed something, in pipeline order.
    pub steps: Vec<Step>,
    /// Every finding, in path, position and pipeline order.
    pub findings: Vec<Finding>,
    /// Files that look like ours but could not be read or understood, in path order.
    pub unread: Vec<Unread>,
    /// Counts for the closing line.
    pub dockerfiles: usize,
    /// Manifest files (not documents) that hold at least one Kubernetes object.
    pub manifests: usize,
}

/// One file before and after.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// Relative to the root, with `/`.
    pub path: String,
    /// The text that was read.
    pub before: Arc<str>,
    /// The text that would be written.
    pub after: Arc<str>,
}

/// What one transform changed.
#[derive(Clone, Debug)]
pub struct Step {
    /// The transform's number in the pipeline (10, 20, ...).
    pub number: u16,
    /// The transform's id.
    pub id: &'static str,
    /// The transform's title: one line, no full stop.
    pub title: &'static str,
    /// Why, in paragraphs of one line each; becomes the header of the patch.
    pub why: Vec<String>,
    /// The files it changed, in path order; `before` is the text after the previous step.
    pub files: Vec<FileChange>,
}

/// A file that was left alone as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Relative to the root, with `/`.
    pub path: String,
    /// Where, when it is known.
    pub position: Option<Position>,
    /// Stable code: `not-utf8`, `too-large`, `template`, `parse`, ...
    pub code: String,
    /// One line.
    pub message: String,
}
