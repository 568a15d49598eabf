//! Where a service of the table keeps its data, and what a mount there means for its own user.

use super::configuration::{config_map, is_configuration};
use super::directories::is_within;
use super::identity::printable;
use super::obstacles::{Obstacle, hard, soft};
use super::{Application, ContainerFacts, ImageFacts, MountedVolume};
use crate::discover::file_name;
use crate::error::SkipReason;
use crate::image::{Claim, KnownImage};
use crate::kubernetes::VolumeSource;
use crate::link::Link;
use crate::yaml::Node;

/// What speaks against starting an image as the user whom its base, a service, steps down to. As root its entrypoint takes over what is mounted for data,
/// wherever that comes from.
pub(super) fn of_service_image(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    base: &KnownImage,
) -> Option<Obstacle> {
    let uid = base.service?.uid;
    if image.service().is_none() {
        let argv = image.argv();
        let is_another = image.entrypoint().is_empty()
            && argv.first().is_some_and(|first| !first.starts_with('-') && !base.starts_as(file_name(first)));
        if is_another {
            let detail = format!("{} starts another program than its base {}, as root", image.path, base.name);
            return Some(soft(SkipReason::UnknownUser, detail));
        }
        let detail = format!("{} starts what its base {} starts, as root", image.path, base.name);
        return Some(hard(SkipReason::NeedsRoot, detail));
    }
    let passing = |path: &&String| ["/tmp", "/run"].iter().any(|directory| is_within(path, directory));
    let named = base.volumes.iter().chain(base.writable.iter().flatten()).chain(&base.workdir);
    let directories: Vec<&String> = named.filter(|path| !passing(path)).collect();
    let around = application.around;
    for container in around.links.service_containers(image.file).filter_map(|id| ContainerFacts::new(around, id)) {
        if container.security("runAsUser").and_then(Node::as_i64) == Some(0) {
            return Some(hard(SkipReason::AuthorChoice, format!("{} says runAsUser: 0", container.place())));
        }
        let moved = base.data_variable.as_deref().and_then(|name| container.view.env(name));
        let is_data = |path: &str| {
            let names = directories.iter().map(|directory| directory.as_str()).chain(moved.as_deref());
            names.into_iter().any(|directory| is_within(directory, path) || is_within(path, directory))
        };
        if let Some(mount) = container.mounts().into_iter().find(|mount| is_data(&mount.path)) {
            let (place, path) = (container.place(), printable(&mount.path));
            let detail = format!("{place} mounts {path}, which {} takes over as root before it steps down", base.name);
            return Some(hard(SkipReason::VolumeOwnership, detail));
        }
    }
    let detail = format!("{} takes over what is mounted for its data as root before it steps down to {uid}", base.name);
    Some(soft(SkipReason::VolumeOwnership, detail))
}

impl ContainerFacts<'_> {
    /// Where the program of an image of the table keeps its data: where the variable for it points, else the VOLUME paths.
    pub(super) fn data_directories(&self) -> Vec<String> {
        let Some(known) = self.known else { return Vec::new() };
        match known.data_variable.as_deref().and_then(|name| self.view.env(name)) {
            Some(data) => vec![data],
            None => known.volumes.clone(),
        }
    }

    /// The mount that takes the place of the data directory, of a program that must own that directory: a mount belongs to root, whatever `fsGroup` says.
    /// A folder below a mount is the program's own.
    fn mount_for_data(&self) -> Option<MountedVolume> {
        let known = self.known.filter(|known| known.claim != Some(Claim::Group))?;
        let moved = known.data_variable.as_deref().and_then(|name| self.view.env(name));
        let data = self.data_directories();
        self.mounts().into_iter().find(|mount| {
            let holds = match &moved {
                Some(data) => is_within(&mount.path, data),
                None => {
                    // Without a place for data, a claim may be meant for it.
                    data.is_empty() && (mount.source == VolumeSource::Claim || known.claim == Some(Claim::Never))
                        || data.iter().any(|data| is_within(data, &mount.path) || is_within(&mount.path, data))
                }
            };
            matches!(mount.source, VolumeSource::Claim | VolumeSource::EmptyDir) && holds
        })
    }
}

impl Application<'_> {
    /// Whether an image that nothing is known of listens where a service of the table does, is given a volume where one keeps its data, or told by
    /// its variable where to: such a program may insist on its own user.
    pub(super) fn looks_like_service(&self, container: &ContainerFacts<'_>) -> bool {
        let mounts: Vec<String> = container.mounts().into_iter().map(|mount| mount.path).collect();
        self.is_like_service(&container.view.ports(), &mounts, &|variable| container.view.env(variable).is_some())
    }

    /// The same of ports, directories and variables that somebody names.
    pub(super) fn is_like_service(&self, ports: &[i64], directories: &[String], is_set: &dyn Fn(&str) -> bool) -> bool {
        self.around.config.images.services().any(|service| {
            // Its first port is its own; that of an admin console, such as 8080, is anybody's, and so is a volume at /data.
            let listens = service.ports.first().is_some_and(|port| ports.contains(&i64::from(*port)));
            let keeps = |path: &String| {
                path.matches('/').count() > 1 && directories.iter().any(|directory| is_within(directory, path))
            };
            let is_told = service.data_variable.as_deref().is_some_and(is_set);
            listens || is_told || service.volumes.iter().any(keeps)
        })
    }

    /// A mount that the image's own user cannot use as its data directory, and no folder of it either without moving the data.
    pub fn unfit_mount(&self, container: &ContainerFacts<'_>) -> Option<String> {
        let known = container.known?;
        let mount = container.mount_for_data().filter(|_| self.data_folder(container).is_none())?;
        let advice = match &known.data_variable {
            Some(name) => {
                format!("; point {name} to a folder below {} and move the data there", printable(&mount.path))
            }
            None => String::new(),
        };
        Some(format!("{} must own the directory it keeps data in, and a mount belongs to root{advice}", known.name))
    }

    /// The variable and a folder below the mount for it, where the data directory is an `emptyDir` of this container alone: that is empty whenever the pod
    /// starts, so no data has to move.
    pub fn data_folder(&self, container: &ContainerFacts<'_>) -> Option<(String, String)> {
        let mount = container.mount_for_data().filter(|mount| mount.source == VolumeSource::EmptyDir)?;
        let variable = container.known?.data_variable.clone()?;
        let [data] = container.data_directories().try_into().ok()?;
        let pod = self.around.pods.of(container.id);
        let all = pod.containers(self.around, container).iter().flat_map(|other| &other.mounted);
        let mounted = all.filter(|name| **name == mount.name).take(2).count();
        let names_data = |words: &[String]| words.iter().any(|word| word.contains(&data));
        let says_so =
            container.view.exec_commands().iter().chain(&container.view.args()).any(|words| names_data(words));
        (data == mount.path
            && mounted == 1
            && !says_so
            && !self.may_name(container, &data)
            && self.lacks_variable(container, &variable))
        .then(|| (variable, format!("{data}/data")))
    }

    /// Whether files that the container is given name the directory, or are not seen.
    fn may_name(&self, container: &ContainerFacts<'_>, directory: &str) -> bool {
        let mounts = container.mounts();
        let mut given = mounts.iter().filter(|mount| is_configuration(mount));
        let mounted = given.any(|mount| {
            self.texts(container, mount).is_none_or(|texts| texts.iter().any(|(_, text)| text.contains(directory)))
        });
        let added = match container.link {
            Link::Service { dockerfile, .. } => {
                let repository = self.around.repository;
                let folder = crate::discover::directory(&repository.file(*dockerfile).path);
                let is_read = |path: &&str| [".sh", ".sql", ".conf"].iter().any(|ending| path.ends_with(ending));
                let files = repository.tree().below(folder).filter(is_read);
                files.filter_map(|path| repository.tree().read(path)).any(|text| text.contains(directory))
            }
            Link::Linked { .. } | Link::Ambiguous(_) | Link::External => false,
        };
        mounted || added
    }

    /// Whether nothing gives the container the variable: neither its own entries nor those of ConfigMaps, all of which are seen.
    fn lacks_variable(&self, container: &ContainerFacts<'_>, variable: &str) -> bool {
        let entries = |key: &str| container.view.node().get(key).map(Node::resolved);
        let own = entries("env").into_iter().flat_map(Node::items).map(Node::resolved);
        let named = own.filter_map(|entry| entry.get("name")?.resolved().as_str().map(|name| name.into_owned()));
        let maps = container.view.env_config_maps();
        let sources = entries("envFrom").map_or(0, |sources| sources.items().count());
        let lacks = |name: &String| {
            let entries = config_map(self, name);
            entries.is_some_and(|entries| entries.iter().all(|(key, _)| !variable.ends_with(key.as_str())))
        };
        named.into_iter().all(|name| name != variable) && maps.len() == sources && maps.iter().all(lacks)
    }
}
