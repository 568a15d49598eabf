//! The Pod Security level of a tree, as the files say: that of its weakest workload.

use std::fs;
use std::path::Path;

use unroot::kubernetes::{self, Kinds, pod_security::Level, pod_security::Version};
use unroot::yaml;

use crate::application::Application;
use crate::lab::Result;
use crate::manifest;

/// The strictest level that every workload of the application's manifests in `tree` satisfies, in the newest version of Kubernetes.
pub(crate) fn of(application: &Application, tree: &Path) -> Result<Level> {
    let mut weakest = Level::Restricted;
    for file in manifest::files(tree, &application.manifests)? {
        let stream =
            yaml::parse(fs::read_to_string(&file)?).map_err(|refusal| format!("{}: {refusal}", file.display()))?;
        for workload in kubernetes::workloads(&stream, &Kinds::default()) {
            weakest = weakest.min(workload.level(&stream, Version::LATEST));
        }
    }
    Ok(weakest)
}
