//! What a proof says, workload by workload: the value that reports show and `--json` prints.

use super::field::FieldPath;
use super::judge::{Demand, Settings};
use crate::source::Position;
use serde::Serialize;
use std::collections::BTreeSet;

/// The proof of one tree.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    /// The engine and its version, `podman 4.3.1`.
    pub engine: String,
    /// The images that were built, in the order of their names.
    pub builds: Vec<Build>,
    /// The workloads, in the order of their files.
    pub workloads: Vec<WorkloadProof>,
}

/// One image that a Dockerfile of the tree makes.
#[derive(Clone, Debug, Serialize)]
pub struct Build {
    /// The image, as manifests name it.
    pub image: String,
    /// The Dockerfile, relative to the root.
    pub dockerfile: String,
    /// How building it as found ended.
    pub before: Built,
    /// How building what came of it ended. `None` where nothing of it changed.
    pub after: Option<Built>,
}

/// How a build ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Built {
    /// Well.
    Yes,
    /// Not at all.
    No(Unbuilt),
}

/// A build that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unbuilt {
    /// The engine's last words, in one line.
    pub words: String,
    /// Why, in as few words as tell it: `exit 127: make: cc: not found`.
    pub reason: String,
    /// The instruction that failed, where the engine says which: `RUN make`.
    pub instruction: Option<String>,
    /// Where that stands: the file as one can open it, and the place in it.
    pub place: Option<(String, Position)>,
    /// The file that has all that the engine printed, where it is kept.
    pub log: Option<String>,
}

impl From<String> for Unbuilt {
    fn from(words: String) -> Self {
        Self { reason: words.clone(), words, ..Self::default() }
    }
}

/// What came of one workload.
#[derive(Clone, Debug, Serialize)]
pub struct WorkloadProof {
    /// `Deployment/web`
    pub workload: String,
    /// The manifest, relative to the root.
    pub path: String,
    /// Where in it.
    pub position: Position,
    /// How it ended.
    pub outcome: Outcome,
    /// The containers as found, where they ran.
    pub before: Vec<ContainerProof>,
    /// The containers hardened, where they ran.
    pub after: Vec<ContainerProof>,
    /// How it does, hardened, on the disks that the version as found wrote. `None` where it has no disks, or it did not come to that.
    pub old_disks: Option<OldDisks>,
    /// What it needs and the tree does not have: a Secret, the name of a host.
    pub missing: Vec<String>,
}

/// How the proof of one workload ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// Hardened, it does what was demanded.
    Holds {
        /// What.
        demand: Demand,
        /// Why no more was demanded, where it was not.
        because: Option<String>,
    },
    /// As found it does, and hardened it does not.
    Breaks(Diagnosis),
    /// As found it does not do it here either, so nothing can be said.
    Void {
        /// What went wrong.
        reason: String,
    },
    /// It was not run.
    NotRun {
        /// Why.
        reason: String,
    },
}

/// What is known of a workload on the disks that its version as found wrote. Where it breaks on them, that is its [`Outcome`].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum OldDisks {
    /// It does what was demanded on them, too.
    Holds,
    /// It starts on them, and its probes and ports answer. The questions were not asked: the version as found answers them otherwise, once it has data.
    Starts,
    /// The version as found does not come up on them again here either, so nothing can be said.
    Void {
        /// What went wrong.
        reason: String,
    },
}

/// What one container ran under, and did.
#[derive(Clone, Debug, Serialize)]
pub struct ContainerProof {
    /// Its name.
    pub container: String,
    /// Its image, as the manifest names it.
    pub image: String,
    /// The user, seen where that is possible.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Further groups.
    pub groups: BTreeSet<u32>,
    /// The capabilities that its process, or what it starts, can come to have.
    pub capabilities: BTreeSet<String>,
    /// Whether user and capabilities were read from the running process, and not only asked for.
    pub seen: bool,
    /// readOnlyRootFilesystem
    pub read_only_root: bool,
    /// How often it ended and was started again.
    pub restarts: u32,
    /// The folders of its image, outside of every mount, in which it made, changed or removed something.
    pub writes: BTreeSet<String>,
}

impl ContainerProof {
    /// What is told of a container; what its process was seen to be comes before what was asked for.
    pub fn of(settings: &Settings) -> Self {
        let config = &settings.config;
        let container = settings.container.rsplit('/').next().unwrap_or_default().to_owned();
        let (uid, gid) =
            settings.seen.as_ref().map_or((config.identity.uid, config.identity.gid), |seen| (seen.uid, seen.gid));
        Self {
            container,
            image: settings.image.clone(),
            uid,
            gid,
            groups: config.identity.groups.clone(),
            capabilities: config.capabilities.clone(),
            seen: settings.seen.is_some(),
            read_only_root: config.read_only_root,
            restarts: settings.restarts,
            writes: settings.writes.clone(),
        }
    }
}

/// Why a hardened workload fails, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The container to blame, where one is.
    pub container: Option<String>,
    /// What went wrong, in one line.
    pub failure: String,
    /// What causes it.
    pub cause: Cause,
    /// What to change, in one line.
    pub remedy: String,
    /// The setting that the remedy is about, the first of several. `None` where it is about none, or about a Dockerfile.
    pub field: Option<FieldPath>,
    /// What could not be written, where that is the cause: paths in the container.
    pub unwritable: Vec<String>,
    /// The file to change, relative to the root, and the place in it.
    pub place: Option<(String, Position)>,
}

/// What makes a hardened workload fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// runAsNonRoot, with an image that runs as root or as a user by name.
    NonRootUnproved,
    /// The user may not write where it wrote as root.
    Ownership,
    /// The user may not write to a volume of the pod.
    VolumeOwnership,
    /// A read-only root, without a volume where something is written.
    ReadOnlyRoot,
    /// A port below 1024.
    LowPort,
    /// A capability that is dropped.
    Capability,
    /// allowPrivilegeEscalation: false
    NoNewPrivileges,
    /// seccomp
    Seccomp,
    /// The program looks for its user among the accounts, and it is not there.
    Account,
    /// The service account's token.
    Token,
    /// An image of another platform.
    Platform,
    /// The image lacks something that it had: a file, a program, a library.
    Image,
    /// A port or command that fits the image of before.
    Mismatch,
    /// Nothing that could be told.
    Unknown,
}
