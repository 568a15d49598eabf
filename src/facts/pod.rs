//! What the containers of one pod show to each other, found once for all of them: a pod may have thousands.

use super::trial::{account, new_owner, shared_volumes};
use super::{Application, ContainerFacts, EffectiveUser, Surroundings};
use crate::image::Claim;
use crate::kubernetes::VolumeSource;
use crate::link::Link;
use crate::repository::{ContainerId, FileId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What was found about pods, by file and workload; good for as long as the files stay as they are.
#[derive(Default)]
pub struct Pods {
    found: Mutex<BTreeMap<(FileId, usize), Arc<PodFacts>>>,
}

/// What was found about one pod so far.
#[derive(Default)]
pub(super) struct PodFacts {
    /// See [`Application::works_on_node`](super::Application::works_on_node).
    pub(super) works_on_node: OnceLock<Option<String>>,
    /// See [`Application::node_address`](super::Application::node_address).
    pub(super) node_address: OnceLock<Option<String>>,
    containers: OnceLock<Vec<Neighbour>>,
}

/// A container, as far as it concerns the others of its pod.
pub(super) struct Neighbour {
    pub(super) id: ContainerId,
    pub(super) label: String,
    /// The Dockerfile of this tree that builds its image.
    pub(super) dockerfile: Option<FileId>,
    /// It writes to a claim.
    pub(super) has_claim: bool,
    /// It is known to work with a claim that `fsGroup` gives a group.
    pub(super) shares_claims: bool,
    /// The volumes that it mounts to write to.
    pub(super) volumes: Vec<String>,
    /// The volumes of all its mounts, one for each.
    pub(super) mounted: Vec<String>,
    /// The volumes by which it exchanges or keeps files.
    pub(super) exchanged: Vec<String>,
    /// Whom it gives files to when it starts, as its words have it.
    pub(super) gives_to: Option<String>,
    /// The uid of the account that its image is known to bring.
    pub(super) account: Option<u32>,
    /// The manifest says who it is.
    pub(super) is_told_user: bool,
    /// Who it is, once somebody asked.
    user: OnceLock<Option<EffectiveUser>>,
}

impl Pods {
    /// The pod that a container stands in.
    pub(super) fn of(&self, id: ContainerId) -> Arc<PodFacts> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.entry((id.file, id.workload)).or_default().clone()
    }
}

impl PodFacts {
    /// The containers of the pod of `container`, which this is.
    pub(super) fn containers(&self, around: Surroundings<'_>, container: &ContainerFacts<'_>) -> &[Neighbour] {
        self.containers.get_or_init(|| containers_of_pod(around, container).iter().map(Neighbour::new).collect())
    }
}

impl Neighbour {
    /// Who it is, as far as the files tell.
    pub(super) fn user(&self, around: Surroundings<'_>) -> Option<&EffectiveUser> {
        let find = || {
            let application = Application::of_container(around, self.id)?;
            let container = application.containers.iter().find(|container| container.id == self.id)?;
            Some(application.effective_user(container))
        };
        self.user.get_or_init(find).as_ref()
    }

    fn new(container: &ContainerFacts<'_>) -> Self {
        let dockerfile = match container.link {
            Link::Linked { dockerfile, .. } => Some(*dockerfile),
            Link::Service { .. } | Link::Ambiguous(_) | Link::External => None,
        };
        let written = || container.mounts().into_iter().filter(|mount| !mount.read_only);
        Self {
            id: container.id,
            label: container.label(),
            dockerfile,
            has_claim: written().any(|mount| mount.source == VolumeSource::Claim),
            shares_claims: container.known.is_some_and(|known| known.claim == Some(Claim::Group)),
            volumes: written().map(|mount| mount.name).collect(),
            mounted: container.mounts().into_iter().map(|mount| mount.name).collect(),
            exchanged: shared_volumes(container),
            gives_to: new_owner(container),
            account: account(container),
            is_told_user: container.security("runAsUser").is_some(),
            user: OnceLock::new(),
        }
    }
}

/// All containers of the pod that a container stands in.
pub(super) fn containers_of_pod<'a>(
    around: Surroundings<'a>,
    container: &ContainerFacts<'_>,
) -> Vec<ContainerFacts<'a>> {
    let ids = (0..container.workload.containers.len()).map(|index| ContainerId { container: index, ..container.id });
    ids.filter_map(|id| ContainerFacts::new(around, id)).collect()
}
