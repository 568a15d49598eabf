//! Facts of one container.

use super::directories::is_within;
use super::identity::printable;
use super::{ImageFacts, Surroundings, programs};
use crate::config::Profile;
use crate::error::SkipReason;
use crate::image::{ConfiguredUser, ImageConfig, KnownImage, Reference};
use crate::kubernetes::{Container, ContainerView, PodView, Settings, VolumeSource, Workload};
use crate::link::Link;
use crate::repository::{ContainerId, Manifest};
use crate::yaml::Node;
use std::fmt;

/// One container and the pod it stands in.
pub struct ContainerFacts<'a> {
    /// Its place in the repository.
    pub id: ContainerId,
    /// The manifest's path.
    pub path: &'a str,
    /// The manifest.
    pub manifest: &'a Manifest,
    /// The workload.
    pub workload: &'a Workload,
    /// Its entry in the workload.
    pub container: &'a Container,
    /// What the pod spec says.
    pub pod: PodView<'a>,
    /// What the container says.
    pub view: ContainerView<'a>,
    /// What builds its image.
    pub link: &'a Link,
    /// Who decides which uid it runs as.
    profile: Profile,
    /// The image, when it is a reference.
    pub reference: Option<Reference>,
    /// The image's row in the table, or that of the service it is run as; not for other images that this tree may build.
    pub known: Option<&'a KnownImage>,
    /// What the registry says of the image, where [`Self::asks_registry`].
    pub config: Option<&'a ImageConfig>,
}

/// How a path of the container is backed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountedVolume {
    /// The volume's name.
    pub name: String,
    /// Where it appears.
    pub path: String,
    /// What kind of volume it is.
    pub source: VolumeSource,
    /// The claim behind it, when it names one.
    pub claim: Option<String>,
    /// A projection of files that not everybody may read.
    pub is_private: bool,
    /// Mounted read-only.
    pub read_only: bool,
}

/// What a step is about to arrange for a container, so that it keeps nobody root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arranged<'a> {
    /// Any user of the pod may listen on any port.
    pub low_ports: bool,
    /// These directories get volumes that any user may write to.
    pub directories: &'a [String],
}

/// Where a container stands; prints as `path:line`.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    path: &'a str,
    manifest: &'a Manifest,
    offset: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.manifest.line(self.offset))
    }
}

impl<'a> ContainerFacts<'a> {
    pub(super) fn new(around: Surroundings<'a>, id: ContainerId) -> Option<Self> {
        let file = around.repository.file(id.file);
        let manifest = file.manifest()?;
        let workload = manifest.workloads.get(id.workload)?;
        let container = workload.containers.get(id.container)?;
        let link = around.links.of(id);
        let reference = Reference::parse(&container.image).ok();
        let known = match link {
            Link::External => reference.as_ref().and_then(|reference| around.config.images.find(reference)),
            Link::Service { base, .. } => Reference::parse(base).ok().and_then(|base| around.config.images.find(&base)),
            Link::Linked { .. } | Link::Ambiguous(_) => None,
        };
        let mut facts = Self {
            id,
            path: &file.path,
            manifest,
            workload,
            container,
            pod: PodView::new(workload, &manifest.stream)?,
            view: workload.container_view(&manifest.stream, id.container)?,
            link,
            profile: around.config.profile,
            reference,
            known,
            config: None,
        };
        if let Some(reference) = facts.asks_registry(around) {
            facts.config = around.configs.get(reference).and_then(|answer| answer.as_ref().ok());
        }
        Some(facts)
    }

    /// The reference whose image only a registry tells of, when that is worth a question: nothing in this tree builds it, the table does not know it,
    /// neither the manifest nor the platform settles the user, and it is what a node pulls.
    pub fn asks_registry(&self, around: Surroundings<'_>) -> Option<&Reference> {
        let reference = self.reference.as_ref()?;
        let is_unknown = matches!(self.link, Link::External) && self.known.is_none();
        let has_user = self.security("runAsUser").and_then(Node::as_i64).is_some()
            || self.settings() == Settings::UserAssigned
            || self.pod.is_windows();
        let is_pulled = self.view.node().get("imagePullPolicy").and_then(Node::as_str).as_deref() != Some("Never");
        let is_replaced = around.repository.kustomization_of(reference.name()).is_some();
        (is_unknown && !has_user && is_pulled && !is_replaced).then_some(reference)
    }

    /// Whether the image runs as a user other than root already, as its registry says.
    pub(super) fn is_configured_non_root(&self) -> bool {
        self.config.is_some_and(|config| matches!(config.user(), ConfiguredUser::Numeric { .. }))
    }

    /// The program by which the image, as its registry says, becomes another user after it is started; `None` where the manifest starts something else.
    pub(super) fn image_steps_down(&self) -> Option<&'static str> {
        if self.view.command().is_some() {
            return None;
        }
        programs::steps_down(&self.argv(None)?)
    }

    /// A VOLUME path of an image that starts as root, as its registry says, with nothing mounted over it: it is root's, as far as anybody knows.
    pub(super) fn volume_of_root(&self) -> Option<&str> {
        let config = self.config.filter(|config| config.user() == ConfiguredUser::Root)?;
        let mounts = self.mounts();
        config.volumes.iter().find(|path| !covers(&mounts, path)).map(String::as_str)
    }

    /// What the container starts, where the manifest says anything about it: `command` and `args` replace the image's ENTRYPOINT and CMD as Kubernetes
    /// does it. `None` when the image alone decides and no registry told what it starts.
    pub fn argv(&self, image: Option<&ImageFacts<'_>>) -> Option<Vec<String>> {
        let args = self.view.args();
        match self.view.command() {
            Some(mut argv) => {
                argv.extend(args.unwrap_or_default());
                Some(argv)
            }
            None => {
                let mut argv = match (image, self.config) {
                    (Some(image), _) => image.entrypoint(),
                    (None, Some(config)) => config.entrypoint.clone(),
                    (None, None) => Vec::new(),
                };
                match (args, self.config) {
                    (Some(args), _) => argv.extend(args),
                    (None, Some(config)) => argv.extend(config.cmd.iter().cloned()),
                    (None, None) => return None,
                }
                Some(argv)
            }
        }
    }

    /// Why an image of the table that starts as root stays root, to be read after "runs as root and"; `None` when it can be started as the user that it
    /// steps down to. A port below 1024 takes root, and so does a directory of root's that no volume covers.
    pub fn stays_root(&self, arranged: Arranged<'_>) -> Option<(SkipReason, String)> {
        let known = self.known.filter(|known| known.user.is_none())?;
        if let Some(port) = known.low_port()
            && !arranged.low_ports
            && !self.pod.allows_low_ports()
        {
            let detail = format!("listens on {port}; an unprivileged variant listens higher");
            return Some((SkipReason::LowPort, detail));
        }
        if known.service.is_none() {
            let needs =
                if known.needs.is_empty() { String::new() } else { format!("uses {}, and ", known.needs.join(", ")) };
            return Some((SkipReason::UnknownUser, format!("{needs}no other user is known to work")));
        }
        let mounts = self.mounts();
        let is_covered = |directory: &&String| arranged.directories.contains(directory) || covers(&mounts, directory);
        let directory = printable(known.root_owned.iter().find(|directory| !is_covered(directory))?);
        Some((SkipReason::SystemDirectory, format!("writes {directory}, where only root may; mount an emptyDir there")))
    }

    /// What becomes of the security settings that are written for it: as its kind has it, or as the profile says for all.
    pub fn settings(&self) -> Settings {
        let assigned = self.profile == Profile::ArbitraryUid || self.workload.assigned;
        if assigned { Settings::UserAssigned } else { self.pod.settings() }
    }

    /// How reports name it: `Deployment/web container app`.
    pub fn label(&self) -> String {
        self.workload.container_label(self.id.container)
    }

    /// Byte offset of the container in its file; of one that stands under a key of its own, that of the key.
    pub fn offset(&self) -> usize {
        let node = self.view.node();
        let siblings = node.parent().into_iter().flat_map(Node::entries);
        let key = siblings.filter(|(_, value)| *value == node).map(|(key, _)| key).next();
        key.unwrap_or(node).span().start
    }

    /// `path:line` of the container, for reasons that point at it. The line is counted when it is printed, which most are not.
    pub fn place(&self) -> Place<'a> {
        Place { path: self.path, manifest: self.manifest, offset: self.offset() }
    }

    /// A value of `securityContext` as it holds for the container: its own, else the pod's.
    pub fn security(&self, key: &str) -> Option<Node<'a>> {
        self.view.security(key).or_else(|| self.pod.security(key))
    }

    /// What is mounted, with what backs it.
    pub fn mounts(&self) -> Vec<MountedVolume> {
        let volumes = self.pod.volumes();
        let templates = self.workload.claim_templates(&self.manifest.stream);
        let mounts = self.view.mounts().into_iter();
        mounts
            .map(|mount| {
                let volume = volumes.iter().find(|volume| volume.name() == mount.volume);
                let source = match volume {
                    Some(volume) => volume.source,
                    None if templates.contains(&mount.volume) => VolumeSource::Claim,
                    None => VolumeSource::Other,
                };
                MountedVolume {
                    source,
                    claim: volume.and_then(|volume| volume.claim()),
                    is_private: volume.is_some_and(|volume| volume.is_private()),
                    name: mount.volume,
                    path: mount.path,
                    read_only: mount.read_only,
                }
            })
            .collect()
    }
}

/// Whether a directory lies on a volume that `fsGroup` or everybody may write to.
fn covers(mounts: &[MountedVolume], directory: &str) -> bool {
    let mut writable = mounts
        .iter()
        .filter(|mount| !mount.read_only && matches!(mount.source, VolumeSource::Claim | VolumeSource::EmptyDir));
    writable.any(|mount| is_within(directory, &mount.path))
}
