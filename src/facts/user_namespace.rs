//! Whether the users of a pod can be the pod's own: what of it would not work in a user namespace.
//!
//! Source of the rules: <https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/>.

use super::identity::printable;
use super::volumes::unowned_volume;
use super::{Application, ContainerFacts, EffectiveUser};
use crate::error::SkipReason;
use crate::kubernetes::pod_security::{Level, Policy, Version};
use crate::kubernetes::{Settings, VolumeSource};
use crate::yaml::Node;

/// The highest id that exists in the user namespace of a pod, unless its node is configured otherwise.
const HIGHEST_ID: i64 = 65_535;

/// What belongs to the user namespace of the node, by the check of the Pod Security Standard that forbids it: with a namespace of their own pods are
/// refused, or hold less power than they ask for.
const OF_THE_NODE: [&str; 3] = ["hostNamespaces", "privileged", "capabilities_baseline"];

type Refusal = (SkipReason, String);

impl<'a> Application<'a> {
    /// The claims of a container's pod about whose filesystems nothing is known, where nothing else speaks against a user namespace for it.
    ///
    /// # Errors
    /// The code and one line, where the pod would be refused, would not start, or does its work on the node.
    pub fn user_namespace(&self, container: &ContainerFacts<'a>) -> Result<Vec<String>, Refusal> {
        if let Some(why) = self.works_on_node(container).or_else(|| self.node_tool(container)) {
            return Err((SkipReason::WorksOnNode, why));
        }
        let refuse = |detail: String| Err((SkipReason::UserNamespace, detail));
        let kind = &container.workload.kind;
        match container.settings() {
            Settings::AsWritten => {}
            Settings::ContainersOnly => return refuse(format!("a {kind} takes no hostUsers for its pod")),
            Settings::UserAssigned => return refuse(format!("the platform decides on the users of a {kind}")),
        }
        let policy = Policy { level: Level::Baseline, version: Version::LATEST };
        let violations = container.workload.violations(&container.manifest.stream, policy);
        if let Some(violation) = violations.into_iter().find(|violation| OF_THE_NODE.contains(&violation.check)) {
            return refuse(format!("{}, which takes the users of the node", violation.message));
        }
        for neighbour in self.containers_of_pod(container) {
            if neighbour.view.has_volume_devices() {
                return refuse(format!(
                    "{} has a raw block volume, which belongs to the node's users",
                    neighbour.place()
                ));
            }
            if let Some(id) = id_beyond_the_namespace(self, &neighbour) {
                return refuse(format!(
                    "{} is run with id {id}, and there is none above {HIGHEST_ID}",
                    neighbour.place()
                ));
            }
        }
        self.unmapped_volumes(container)
    }

    fn unmapped_volumes(&self, container: &ContainerFacts<'a>) -> Result<Vec<String>, Refusal> {
        let mut unknown = container.workload.claim_templates(&container.manifest.stream);
        for volume in container.pod.volumes() {
            let name = printable(&volume.name());
            let refusal = match volume.source {
                VolumeSource::Projection => None,
                VolumeSource::EmptyDir => volume
                    .medium()
                    .filter(|medium| !matches!(medium.as_str(), "" | "Memory"))
                    .map(|medium| format!("volume {name} is of {}", printable(&medium))),
                VolumeSource::HostPath => Some(format!("volume {name} is a directory of the node")),
                VolumeSource::Other => Some(format!("volume {name} is of a kind that may not map users")),
                VolumeSource::Claim => {
                    let claim = volume.claim().unwrap_or_else(|| volume.name());
                    let shared = self.around.repository.claim(&claim).is_some_and(is_shared_by_nodes);
                    let refusal = unowned_volume(self, &claim).map(|what| format!("volume {name}: {what}"));
                    let refusal = refusal.or_else(|| {
                        shared.then(|| format!("claim {} is shared by nodes, as by NFS", printable(&claim)))
                    });
                    unknown.push(claim);
                    refusal
                }
            };
            if let Some(detail) = refusal {
                let detail = format!("{detail}, where the users of a namespace may not be mapped to files");
                return Err((SkipReason::UserNamespace, detail));
            }
        }
        Ok(unknown.iter().map(|claim| printable(claim)).collect())
    }
}

/// Whether a claim asks for a volume that several nodes mount, which network filesystems are for.
fn is_shared_by_nodes(claim: Node<'_>) -> bool {
    let modes = claim.get("spec").and_then(|spec| spec.get("accessModes")).into_iter().flat_map(Node::items);
    modes.into_iter().any(|mode| mode.text().ends_with("Many"))
}

/// An id that the container is run with, by the manifest or by its image, and that its pod's user namespace would not have.
fn id_beyond_the_namespace<'a>(application: &Application<'a>, container: &ContainerFacts<'a>) -> Option<i64> {
    let groups = container.pod.security("supplementalGroups").into_iter().flat_map(Node::items);
    let asked = ["runAsUser", "runAsGroup", "fsGroup"].into_iter().filter_map(|key| container.security(key));
    let of_image = match Application::of_container(application.around, container.id)?.effective_user(container) {
        EffectiveUser::Known(identity) | EffectiveUser::StepsDown(identity) => Some(i64::from(identity.uid)),
        EffectiveUser::Root { .. } | EffectiveUser::Unknown { .. } => None,
    };
    asked.chain(groups).filter_map(Node::as_i64).chain(of_image).find(|id| *id > HIGHEST_ID)
}
