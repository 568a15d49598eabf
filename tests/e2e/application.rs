//! What the lab knows of an application: where its files are, what to build, what to ask, and the hardening that must fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use unroot::config::ProbeEntry;

use crate::lab::Result;

/// One `application.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Application {
    /// The folder's name.
    #[serde(skip)]
    pub(crate) name: String,
    /// The tree to harden, relative to the folder of `application.toml`.
    pub(crate) source: PathBuf,
    /// Folders and files below the tree that hold the manifests, in the order they are read.
    pub(crate) manifests: Vec<PathBuf>,
    /// The images that are built from the tree; every other image comes from the registry.
    #[serde(rename = "image", default)]
    pub(crate) images: Vec<Image>,
    /// The uid, and the group of volumes, that the cluster gives hardened pods, as OpenShift's admission does; pods have none of their own then.
    #[serde(default)]
    pub(crate) cluster_uid: Option<u32>,
    /// What is asked, in order, and what must come back.
    #[serde(rename = "probe")]
    pub(crate) probes: Vec<ProbeEntry>,
    /// What is asked once more of the hardened application on the disks that the run as found left behind.
    #[serde(default)]
    pub(crate) kept: Vec<ProbeEntry>,
    /// The containers (`workload/container`) that must be left as they are, because nobody can know that they would start;
    /// every other one must come out restricted.
    #[serde(default)]
    pub(crate) declined: Vec<String>,
    /// Whether `unroot prove --before` is asked about the first naive hardening, too.
    #[serde(default)]
    pub(crate) proves_naive: bool,
    /// The containers whose root is read-only only after `unroot prove --learn` saw where they write.
    #[serde(default)]
    pub(crate) learns: Vec<String>,
    /// Hardenings that look right and are not.
    #[serde(rename = "naive")]
    pub(crate) naive: Vec<Naive>,
}

/// An image that the manifests name and a Dockerfile of the tree makes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Image {
    /// The name as the manifests have it.
    pub(crate) name: String,
    /// The Dockerfile, relative to the tree.
    pub(crate) dockerfile: PathBuf,
    /// The build context, relative to the tree.
    pub(crate) context: PathBuf,
}

/// Settings that are merged into the manifests as they were found, and how that must go wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Naive {
    /// What it is called in the table.
    pub(crate) name: String,
    /// The containers that get the settings; all where none is named.
    #[serde(default)]
    pub(crate) containers: Vec<String>,
    /// Merged into each container's `securityContext`.
    #[serde(default)]
    pub(crate) container: serde_json::Map<String, serde_json::Value>,
    /// Merged into the `securityContext` of each pod that has one of the containers.
    #[serde(default)]
    pub(crate) pod: serde_json::Map<String, serde_json::Value>,
    /// Merged into the spec itself of each such pod.
    #[serde(default)]
    pub(crate) spec: serde_json::Map<String, serde_json::Value>,
    /// Paths of each container that get an emptyDir.
    #[serde(default)]
    pub(crate) writable: Vec<String>,
    /// Text files that take the place of the tree's: path in the tree, and path beside `application.toml`. In them,
    /// `{digest:NAME@ARCHITECTURE}` stands for the digest of a base's image for one architecture, which nobody knows beforehand.
    #[serde(default)]
    pub(crate) files: BTreeMap<PathBuf, PathBuf>,
    /// A text that the failure must contain.
    pub(crate) fails: String,
    /// A text that what is said about it must contain: what to change.
    pub(crate) remedy: String,
    /// The cause that must be found.
    #[serde(default)]
    pub(crate) cause: Option<String>,
}

impl Application {
    /// The tree as it was found.
    pub(crate) fn tree(&self) -> PathBuf {
        self.beside(&self.source)
    }

    /// A file or folder beside `application.toml`.
    pub(crate) fn beside(&self, path: &Path) -> PathBuf {
        folder().join(&self.name).join(path)
    }
}

/// Every application of the lab, by name.
pub(crate) fn all() -> Result<Vec<Application>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder())? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let mut applications = Vec::new();
    for name in names {
        let file = folder().join(&name).join("application.toml");
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let application = toml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        applications.push(Application { name, ..application });
    }
    Ok(applications)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/applications")
}
