//! What the judge needs of a machine that runs containers.

use super::changes::FolderChange;
use super::kubelet::{Accounts, ContainerConfig, ImageConfig};
use super::network::Plan;
use super::objects::{Data, Objects, Workload};
use super::probe::{Reply, Request};
use super::{Failure, Result};
use std::collections::{BTreeMap, BTreeSet};

/// An image that containers can be started from.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// By which name or number the node finds it.
    pub id: String,
    /// Its user, command and so on.
    pub config: ImageConfig,
    /// Its accounts.
    pub accounts: Accounts,
    /// Those of its volumes whose folders it does not have, where the machine would give them to somebody else than root.
    pub absent: BTreeSet<String>,
}

/// What a process is seen to be, in the words of `/proc/PID/status`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Seen {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its effective capabilities, a bit for each.
    pub effective: u64,
    /// Those that it, or what it starts, can come to have.
    pub bounding: u64,
    /// Those that outlive an exec without being root.
    pub ambient: u64,
    /// Whether it can gain no privileges.
    pub no_new_privileges: bool,
    /// Whether calls are filtered.
    pub seccomp: bool,
}

impl Seen {
    /// Reads `/proc/PID/status` (<https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>). `None` while it is still the runtime's own
    /// process, which has its privileges until it becomes the program.
    pub fn from_status(status: &str) -> Option<Self> {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        if field("Name")?.trim().starts_with("runc:[") {
            return None;
        }
        // Real, effective, saved and of the filesystem.
        let effective = |name: &str| field(name)?.split_whitespace().nth(1)?.parse().ok();
        let bits = |name: &str| u64::from_str_radix(field(name)?.trim(), 16).ok();
        Some(Self {
            uid: effective("Uid")?,
            gid: effective("Gid")?,
            effective: bits("CapEff")?,
            bounding: bits("CapBnd")?,
            ambient: bits("CapAmb")?,
            no_new_privileges: field("NoNewPrivs")?.trim() == "1",
            seccomp: field("Seccomp")?.trim() == "2",
        })
    }
}

/// What is behind the claims of a cluster, and the folders of its node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disks {
    /// Empty disks, which end with the cluster.
    #[default]
    New,
    /// Empty disks, which are kept when the cluster ends. Those that were kept before are gone.
    Kept,
    /// A copy of those that were kept last.
    Old,
}

/// A machine that runs the pods of a cluster. Networks, pods and containers end when they are dropped.
pub trait Node: Sync {
    /// What pods are in: addresses, and what leads from Services to pods.
    type Network: Send;
    /// The namespaces and volumes of one pod.
    type Pod: Send;
    /// A started container.
    type Container: Send;

    /// Finds or pulls an image.
    ///
    /// # Errors
    /// Why it cannot be had, as a node would say it after `ErrImagePull: `.
    fn image(&self, name: &str) -> Result<Image>;

    /// Gives a cluster addresses.
    ///
    /// # Errors
    /// Where none are free.
    fn plan(&self, objects: &Objects) -> Result<Plan>;

    /// Makes the network of a cluster, and its disks.
    ///
    /// # Errors
    /// What the machine says.
    fn network(&self, plan: &Plan, disks: Disks) -> Result<Self::Network>;

    /// Makes a pod's namespaces and its volumes: those of the workload with this number.
    ///
    /// # Errors
    /// What the machine says.
    fn pod(
        &self,
        network: &Self::Network,
        plan: &Plan,
        index: usize,
        workload: &Workload,
        data: &Data,
    ) -> Result<Self::Pod>;

    /// Whether this machine gives no container this capability, whatever its manifest asks for.
    fn withholds(&self, _capability: &str) -> bool {
        false
    }

    /// Starts a container of the pod.
    ///
    /// # Errors
    /// What the runtime says when it cannot; a program that ends is no error.
    fn start(&self, pod: &Self::Pod, name: &str, image: &Image, config: &ContainerConfig) -> Result<Self::Container>;

    /// The exit code, once the container has ended.
    ///
    /// # Errors
    /// What the machine says.
    fn ended(&self, container: &mut Self::Container) -> Result<Option<i32>>;

    /// Starts an ended container of the pod again, on the same volumes. A kubelet makes a new one of the image, so that nothing is left of what it wrote to
    /// its root.
    ///
    /// # Errors
    /// What the runtime says.
    fn restart(
        &self,
        pod: &Self::Pod,
        name: &str,
        image: &Image,
        config: &ContainerConfig,
        container: &mut Self::Container,
    ) -> Result<()> {
        *container = self.start(pod, name, image, config)?;
        Ok(())
    }

    /// Asks a container to end, as a kubelet does when a new version comes, and waits a while for it.
    ///
    /// # Errors
    /// What the machine says; that it does not listen is no error.
    fn stop(&self, _container: &mut Self::Container) -> Result<()> {
        Ok(())
    }

    /// What it printed last.
    fn said(&self, container: &Self::Container, lines: usize) -> String;

    /// Runs a command inside, as an exec probe does; whether it ended with 0, and soon.
    ///
    /// # Errors
    /// What the machine says.
    fn exec(&self, container: &Self::Container, command: &[String]) -> Result<bool>;

    /// Puts a question from inside the cluster's network.
    ///
    /// # Errors
    /// What the machine says; that nobody answers is a reply.
    fn ask(&self, network: &Self::Network, request: &Request) -> Result<Reply>;

    /// What its main process is, where that can be seen.
    fn seen(&self, container: &Self::Container) -> Option<Seen>;

    /// The folders of the image, outside of every mount, in which something was made, changed or removed so far. What is in a new
    /// folder is not told apart: its name may be another one in every run.
    ///
    /// # Errors
    /// What the machine says.
    fn writes(&self, container: &Self::Container, config: &ContainerConfig) -> Result<BTreeSet<String>>;

    /// What the container did to these folders, and what its image has there; here only that it did something.
    ///
    /// # Errors
    /// What the machine says.
    fn changes(&self, container: &Self::Container, config: &ContainerConfig) -> Result<BTreeMap<String, FolderChange>> {
        let change = FolderChange { changed: true, ..FolderChange::default() };
        Ok(self.writes(container, config)?.into_iter().map(|folder| (folder, change.clone())).collect())
    }

    /// The TCP ports that somebody listens on in the container's pod; none where that cannot be seen.
    fn listens(&self, _container: &Self::Container) -> BTreeSet<u16> {
        BTreeSet::new()
    }

    /// Whether somebody wants the proof to end now: the judge asks between any two waits.
    ///
    /// # Errors
    /// [`Failure`] that says so.
    fn interrupted(&self) -> Result<(), Failure> {
        Ok(())
    }
}
