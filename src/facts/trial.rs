//! What the files tell of an image that itself is not known, before another user is tried with it.

use super::identity::printable;
use super::obstacles::{Obstacle, hard};
use super::{Application, ContainerFacts, EffectiveUser, Identity, ImageFacts, MountedVolume, programs};
use crate::discover::file_name;
use crate::error::SkipReason;
use crate::kubernetes::VolumeSource;

/// Variables that tell an entrypoint, which starts as root, whom to become.
const STEPS_DOWN_TO: [&str; 12] = [
    "GID",
    "HOST_GID",
    "HOST_UID",
    "LOCAL_USER_ID",
    "NB_GID",
    "NB_UID",
    "PGID",
    "PUID",
    "UID",
    "USERMAP_GID",
    "USERMAP_UID",
    "USER_UID",
];

impl Application<'_> {
    /// What speaks against any other user of an image that nothing is known of.
    pub(super) fn speaks_against_trial(&self, container: &ContainerFacts<'_>) -> Option<Obstacle> {
        let is_known = container.known.is_some_and(|known| known.user.is_some() || known.service.is_some());
        let is_told = self.image.as_ref().is_some_and(|image| !image.is_untold(self.around));
        if is_told || is_known || container.is_configured_non_root() {
            return None;
        }
        let place = container.place();
        let steps_down = container.view.env_values().into_iter().find(|(name, value)| {
            STEPS_DOWN_TO.contains(&name.as_str()) && value.bytes().all(|byte| byte.is_ascii_digit())
        });
        if let Some((name, value)) = steps_down {
            let detail = format!("{place} sets {name} to {value}: something steps down from root itself");
            return Some(hard(SkipReason::NeedsRoot, detail));
        }
        if container.view.ports().contains(&22) {
            let detail = format!("{place} listens on 22, as a server of SSH does, which becomes the users that log in");
            return Some(hard(SkipReason::NeedsRoot, detail));
        }
        if let Some(program) = programs::installs_packages(&argv(container)) {
            let detail = format!("{place} installs packages with {program} when it starts, where only root may");
            return Some(hard(SkipReason::SystemDirectory, detail));
        }
        self.given_away(container, None)
    }

    /// What speaks against any other user of an image whose base nothing is known of: what it adds to may be a server or a database that has a user of its
    /// own, or becomes one.
    pub(super) fn speaks_against_base(&self, image: &ImageFacts<'_>) -> Option<Obstacle> {
        let images = &self.around.config.images;
        let name = file_name(image.base.as_ref()?.repository());
        let base = printable(&image.base_text);
        if programs::needs_root(name) || images.services().any(|service| file_name(&service.name) == name) {
            let detail = format!("the base {base} may be {name}, which starts as root or has a user of its own");
            return Some(hard(SkipReason::NeedsRoot, detail));
        }
        if let Some(place) = self.init_of_root(image, name) {
            let detail = format!("{place}: a supervisor of {base} starts as root and steps down itself");
            return Some(hard(SkipReason::NeedsRoot, detail));
        }
        let ports: Vec<i64> =
            image.dockerfile.ports(image.stage).into_iter().map(|(port, _)| i64::from(port)).collect();
        let keeps = image.dockerfile.volumes(image.stage);
        let env = image.env();
        let is_set = |variable: &str| env.iter().any(|(name, _)| name == variable);
        if ports.contains(&22) || self.is_like_service(&ports, &keeps, &is_set) {
            let detail = format!("the base {base} is not known, and {} adds to it what a service has", image.path);
            return Some(hard(SkipReason::NeedsRoot, detail));
        }
        let container = self.containers.iter().find(|container| self.looks_like_service(container))?;
        let detail =
            format!("{} listens or keeps its data as a service does that has a user of its own", container.place());
        Some(hard(SkipReason::NeedsRoot, detail))
    }

    /// Where files are for s6-overlay or the init of phusion/baseimage, which set a container up as root before they start its services
    /// (<https://github.com/just-containers/s6-overlay>, <https://github.com/phusion/baseimage-docker>).
    fn init_of_root(&self, image: &ImageFacts<'_>, name: &str) -> Option<String> {
        const FOLDERS: [&str; 5] =
            ["etc/services.d/", "etc/cont-init.d/", "etc/s6-overlay/", "etc/my_init.d/", "etc/service/"];
        let is_for_init = |text: &str| FOLDERS.iter().any(|folder| text.contains(folder));
        let files = self.around.repository.tree().below(image.directory());
        let instructions = image.dockerfile.effective(image.stage).into_iter();
        let text = image.dockerfile.text();
        let is_named = |index: &usize| is_for_init(image.dockerfile.instructions()[*index].span.of(text));
        let is_base = name.contains("baseimage") || name.split('-').any(|part| part == "s6");
        let named = instructions.into_iter().find(is_named).map(|index| image.place(index));
        named
            .or_else(|| files.into_iter().find(|path| is_for_init(path)).map(printable))
            .or_else(|| is_base.then(|| image.path.to_owned()))
    }

    /// A volume that another container of the pod gives to somebody else than the container is to be: `user`, where that is known.
    pub(super) fn given_away(&self, container: &ContainerFacts<'_>, user: Option<u32>) -> Option<Obstacle> {
        let shared = shared_volumes(container);
        if shared.is_empty() {
            return None;
        }
        let pod = self.around.pods.of(container.id);
        pod.containers(self.around, container).iter().filter(|other| other.id != container.id).find_map(|other| {
            let owner = other.gives_to.as_deref()?;
            let volume = other.exchanged.iter().find(|name| shared.contains(name))?;
            let number = owner.split(':').next().and_then(|uid| uid.parse::<u32>().ok());
            // Of a name the number is not known, and what is given to root is shared with its group.
            let is_anothers = user.is_none_or(|user| number.is_some_and(|number| number != user && number != 0));
            is_anothers.then(|| {
                let detail = format!("{} gives {} to {}", other.label, printable(volume), printable(owner));
                hard(SkipReason::VolumeOwnership, detail)
            })
        })
    }

    /// The user of the containers that this one exchanges files with, where it is one: others may not write what somebody else left. An image that brings
    /// an account is tried as that in the same step.
    pub(super) fn user_beside(&self, container: &ContainerFacts<'_>) -> Option<Identity> {
        let shared = shared_volumes(container);
        let has_account = account(container).is_some();
        let pod = self.around.pods.of(container.id);
        let mut found: Option<(u32, &str)> = None;
        for other in pod.containers(self.around, container) {
            if other.id == container.id || !other.exchanged.iter().any(|volume| shared.contains(volume)) {
                continue;
            }
            let uid = match other.user(self.around) {
                Some(EffectiveUser::Known(identity) | EffectiveUser::StepsDown(identity)) => Some(identity.uid),
                Some(EffectiveUser::Root { .. }) if !has_account && !other.is_told_user => other.account,
                Some(EffectiveUser::Root { .. } | EffectiveUser::Unknown { .. }) | None => None,
            };
            match (uid, found) {
                (Some(uid), Some((first, _))) if uid != first => return None,
                (Some(uid), None) => found = Some((uid, &other.label)),
                _ => {}
            }
        }
        let (uid, label) = found?;
        Some(Identity { uid, gid: Some(0), how: format!("the user of {label}, on trial") })
    }
}

/// Whom `chown` or `chgrp` in the container's own words gives files to.
pub(super) fn new_owner(container: &ContainerFacts<'_>) -> Option<String> {
    let words = argv(container);
    let at = words.iter().position(|word| matches!(file_name(word), "chown" | "chgrp"))?;
    words.into_iter().skip(at + 1).find(|word| !word.starts_with('-'))
}

/// The uid of the account that the image is known to bring.
pub(super) fn account(container: &ContainerFacts<'_>) -> Option<u32> {
    container.known.and_then(|known| known.account.as_ref()).map(|account| account.uid)
}

/// The words of what the manifest has it start, shell scripts taken apart.
fn argv(container: &ContainerFacts<'_>) -> Vec<String> {
    let words = [container.view.command(), container.view.args()].into_iter().flatten().flatten();
    let parts =
        |word: String| word.split([' ', '\t', '\n', ';', '&', '|', '(', ')']).map(str::to_owned).collect::<Vec<_>>();
    words.flat_map(parts).filter(|word| !word.is_empty()).collect()
}

/// The volumes that are there to exchange or keep files.
pub(super) fn shared_volumes(container: &ContainerFacts<'_>) -> Vec<String> {
    let is_kept = |mount: &MountedVolume| matches!(mount.source, VolumeSource::Claim | VolumeSource::EmptyDir);
    container.mounts().into_iter().filter(is_kept).map(|mount| mount.name).collect()
}
