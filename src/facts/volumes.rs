//! What volumes mean for a user other than root: who owns them, who shares them, and what `fsGroup` does about it.

use super::identity::printable;
use super::obstacles::{Obstacle, hard, soft, survey};
use super::pod::Neighbour;
use super::{Application, ContainerFacts, EffectiveUser, Identity, Key, User};
use crate::config::Profile;
use crate::error::SkipReason;
use crate::kubernetes::{Settings, VolumeSource};
use crate::repository::FileId;
use crate::yaml::Node;
use std::collections::BTreeSet;
use std::fmt::Display;

/// What speaks against another user among the volumes of a container.
pub(super) fn of_container(
    application: &Application<'_>,
    container: &ContainerFacts<'_>,
    place: &dyn Display,
    company: &mut BTreeSet<FileId>,
    found: &mut Vec<Obstacle>,
) {
    for mount in container.mounts() {
        let name = printable(&mount.name);
        match mount.source {
            VolumeSource::EmptyDir => {
                if let Some(other) = neighbour_as_another(application, container, &mount.name, company) {
                    let detail = format!("{place} shares {name} with {other}, whose files may be its user's alone");
                    found.push(soft(SkipReason::VolumeOwnership, detail));
                }
            }
            VolumeSource::Projection => {
                if mount.is_private {
                    found.push(hard(
                        SkipReason::VolumeOwnership,
                        format!("{place} mounts {name} with a mode that only root can read"),
                    ));
                }
            }
            VolumeSource::Claim => {
                if let Some(claim) = mount.claim.as_deref().and_then(|claim| unowned_volume(application, claim)) {
                    let detail = format!("{place} mounts {name}, {claim}, where fsGroup has no effect");
                    // What an image that steps down kept there belongs to that user already, and an empty folder may not.
                    let steps_down = container.known.is_some_and(|known| known.service.is_some());
                    let say = if steps_down { soft } else { hard };
                    found.push(say(SkipReason::VolumeOwnership, detail));
                }
                if !mount.read_only {
                    found.extend(shared_claim(application, container, company, &format!("{place} mounts {name}")));
                }
            }
            VolumeSource::HostPath if mount.read_only => {}
            VolumeSource::HostPath => {
                found.push(hard(
                    SkipReason::VolumeOwnership,
                    format!("{place} mounts {name} from the host, where fsGroup has no effect"),
                ));
            }
            VolumeSource::Other => {
                found.push(hard(
                    SkipReason::VolumeOwnership,
                    format!("{place} mounts {name}, whose ownership is not known"),
                ));
            }
        }
    }
}

/// What speaks against giving the pod's claims a group, which a user other than root needs.
fn shared_claim(
    application: &Application<'_>,
    container: &ContainerFacts<'_>,
    company: &mut BTreeSet<FileId>,
    seen: &str,
) -> Option<Obstacle> {
    if container.pod.security("fsGroup").is_some() {
        // The author chose one, and nothing is added.
        return None;
    }
    let kind = &container.workload.kind;
    match container.settings() {
        // The cluster that the profile describes gives every pod a group of its own.
        Settings::UserAssigned if application.around.config.profile == Profile::ArbitraryUid => None,
        Settings::AsWritten => {
            let other = neighbour_with_a_claim(application, container, company)?;
            let detail = format!("{seen}; fsGroup would hold for the claim of {other} as well");
            Some(soft(SkipReason::VolumeOwnership, detail))
        }
        Settings::ContainersOnly => {
            Some(hard(SkipReason::VolumeOwnership, format!("{seen}, and the pods of a {kind} are given no fsGroup")))
        }
        Settings::UserAssigned => {
            Some(soft(SkipReason::VolumeOwnership, format!("{seen}, and the platform may give a {kind} no fsGroup")))
        }
    }
}

/// Another container of the pod that writes to a claim, and is not known to work with a group's: `fsGroup` is the whole pod's.
fn neighbour_with_a_claim(
    application: &Application<'_>,
    container: &ContainerFacts<'_>,
    company: &mut BTreeSet<FileId>,
) -> Option<String> {
    find_neighbour(application, container, |neighbour| {
        neighbour.has_claim && !neighbour.shares_claims && !goes_along(application, neighbour, company)
    })
}

/// Another container of the pod that writes to the volume, and is or may be somebody else than our image is to be.
fn neighbour_as_another(
    application: &Application<'_>,
    container: &ContainerFacts<'_>,
    volume: &str,
    company: &mut BTreeSet<FileId>,
) -> Option<String> {
    let ours = application.intended_identity();
    find_neighbour(application, container, |neighbour| {
        neighbour.volumes.iter().any(|written| written == volume)
            && !is_the_same(application, ours.as_ref(), neighbour, company)
    })
}

/// The label of the first container of the pod that is another application's and as wanted.
fn find_neighbour(
    application: &Application<'_>,
    container: &ContainerFacts<'_>,
    mut is_wanted: impl FnMut(&Neighbour) -> bool,
) -> Option<String> {
    if container.workload.containers.len() == 1 {
        return None;
    }
    let is_ours = |neighbour: &Neighbour| {
        neighbour.id == container.id || application.containers.iter().any(|own| own.id == neighbour.id)
    };
    let pod = application.around.pods.of(container.id);
    let neighbours = pod.containers(application.around, container).iter();
    neighbours
        .filter(|neighbour| !is_ours(neighbour))
        .find(|neighbour| is_wanted(neighbour))
        .map(|found| found.label.clone())
}

/// Whether the neighbour's files are within reach of the user that our image is to run as: it is that user, or becomes it in the same step. An image
/// that only comes to say what it does already is judged by whether the neighbour is root.
fn is_the_same(
    application: &Application<'_>,
    ours: Option<&Identity>,
    neighbour: &Neighbour,
    company: &mut BTreeSet<FileId>,
) -> bool {
    match (neighbour.user(application.around), ours) {
        (None, _) => false,
        (Some(EffectiveUser::Known(theirs)), Some(ours)) => theirs.uid == ours.uid,
        (Some(EffectiveUser::Known(_) | EffectiveUser::StepsDown(_)), None) => true,
        _ => goes_along(application, neighbour, company),
    }
}

/// Whether the neighbour's image is built here too, is root as ours is, and nothing but our own image keeps it from becoming the same user.
fn goes_along(application: &Application<'_>, neighbour: &Neighbour, company: &mut BTreeSet<FileId>) -> bool {
    let Some(dockerfile) = neighbour.dockerfile else { return false };
    if company.contains(&dockerfile) {
        return true;
    }
    let Some(theirs) = Application::new(application.around, Key::Dockerfile(dockerfile)) else { return false };
    let is_root =
        |application: &Application<'_>| application.image.as_ref().is_some_and(|image| image.user == User::Root);
    let ids =
        |application: &Application<'_>| application.intended_identity().map(|identity| (identity.uid, identity.gid));
    if !is_root(application) || !is_root(&theirs) || ids(application) != ids(&theirs) {
        return false;
    }
    let mut larger = company.clone();
    larger.insert(dockerfile);
    let alone = survey(&theirs, &mut larger).is_empty();
    if alone {
        *company = larger;
    }
    alone
}

/// A claim of the tree that binds to a volume of the tree on a host path or NFS.
pub(super) fn unowned_volume(application: &Application<'_>, claim: &str) -> Option<String> {
    let repository = application.around.repository;
    let text =
        |node: Node<'_>, path: [&str; 2]| node.get(path[0])?.get(path[1])?.as_str().map(|text| text.into_owned());
    let claimed = repository.claim(claim)?;
    let class = text(claimed, ["spec", "storageClassName"]);
    let volume_name = text(claimed, ["spec", "volumeName"]);
    repository.volumes().find_map(|volume| {
        let spec = volume.get("spec")?;
        let source = ["hostPath", "nfs"].into_iter().find(|source| spec.has(source))?;
        let name = text(volume, ["metadata", "name"])?;
        let bound = volume_name.as_ref() == Some(&name)
            || class.is_some() && class == text(volume, ["spec", "storageClassName"])
            || spec.get("claimRef").and_then(|reference| reference.get("name")?.as_str()).as_deref() == Some(claim);
        bound.then(|| format!("a claim on the {source} volume {}", printable(&name)))
    })
}
