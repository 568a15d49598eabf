//! What is known about an application, and how it is known.
//!
//! An application is a Dockerfile with the containers that run its image, or one container whose image comes from elsewhere. Transforms read facts
//! and nothing else; a fact that is missing is a reason to decline. Facts are derived from the files as they are now, so each step sees what the
//! steps before it did.

mod accounts;
mod api;
mod arguments;
mod commands;
mod configuration;
mod container;
mod data;
mod directories;
mod home;
mod identity;
mod image;
mod inputs;
mod kept;
mod lock;
mod needs;
mod node;
mod observed;
mod obstacles;
mod operator;
mod php;
mod pod;
mod ports;
mod programs;
mod read_only;
mod served;
mod sources;
mod stack;
mod start;
mod targets;
mod trial;
mod user_namespace;
mod volumes;
mod writes;

pub use accounts::Unnumbered;
pub use container::{Arranged, ContainerFacts, MountedVolume};
pub use directories::OwnedDirectory;
pub use identity::{EffectiveUser, Identity, SettledUser};
pub use image::{Doubt, ImageFacts, User, is_for_developers};
pub use inputs::RunTimeInputs;
pub use kept::{is_secret, kept};
pub use lock::{LockedPackage, PackageLock};
pub use observed::is_placeholder;
pub use obstacles::Obstacle;
pub use pod::Pods;
pub use read_only::ReadOnlyRoot;
pub use sources::{
    GoSources, PackageJson, finds_in_program, finds_text, loads_package, loads_undeclared, names_package,
};
pub use stack::Stack;
pub use targets::{names_target, starts_in_container};

use crate::config::Config;
use crate::error::SkipReason;
use crate::image::{ImageConfig, Reference, Resolved};
use crate::link::{Link, Links};
use crate::repository::{ContainerId, FileId, Manifest, Repository, Role};
use home::RootsHome;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

/// What registries said references stand for, or why they did not.
pub type Digests = BTreeMap<Reference, Result<Resolved, (SkipReason, String)>>;

/// What registries said about images that nothing else tells of: the configuration, or why it is not known.
pub type Configs = BTreeMap<Reference, Result<ImageConfig, (SkipReason, String)>>;

/// What every application of a run shares.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The parsed files.
    pub repository: &'a Repository,
    /// Which container runs which Dockerfile.
    pub links: &'a Links,
    /// What the repository's owner configured.
    pub config: &'a Config,
    /// What registries said about tags.
    pub digests: &'a Digests,
    /// What registries said about images.
    pub configs: &'a Configs,
    /// Whether digests that are already written give way to what their tags stand for now.
    pub update: bool,
    /// What was found about pods since a file last changed.
    pub pods: &'a Pods,
}

/// A Dockerfile with its containers, or a container whose image comes from elsewhere.
pub struct Application<'a> {
    /// What it shares with the others.
    pub around: Surroundings<'a>,
    /// The Dockerfile; `None` when the image comes from elsewhere.
    pub image: Option<ImageFacts<'a>>,
    /// The containers that run the image, in file order.
    pub containers: Vec<ContainerFacts<'a>>,
    /// A file that names images for manifests that stand elsewhere; then there is neither an image nor a container.
    pub overrides: Option<(FileId, &'a Manifest)>,
    obstacles: OnceCell<(Vec<Obstacle>, BTreeSet<FileId>)>,
    /// What speaks for its image being a client of the Kubernetes API.
    api: OnceCell<Vec<Obstacle>>,
    /// What the image's sources write, once somebody asked.
    survey: OnceCell<Option<writes::Survey>>,
}

/// Names an application of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The one of a Dockerfile.
    Dockerfile(FileId),
    /// The one of a stage, by its index, of a Dockerfile that builds several images.
    Stage(FileId, usize),
    /// The one of a container whose image comes from elsewhere.
    Container(ContainerId),
    /// A kustomization, or the values of a chart.
    Overrides(FileId),
}

impl Surroundings<'_> {
    /// Whether the transform of this id is left out, so that no step may rely on what it would do.
    pub fn leaves_out(&self, id: &str) -> bool {
        self.config.skip.iter().any(|skipped| skipped == id)
    }
}

impl Key {
    /// Those of a Dockerfile: one, or where its containers run the images of several stages, one for each of these.
    fn of_dockerfile(repository: &Repository, links: &Links, file: FileId) -> Vec<Self> {
        let stages: Option<BTreeSet<usize>> =
            links.containers(file).iter().map(|id| stage_of(repository, links, file, *id)).collect();
        match stages {
            Some(stages) if stages.len() > 1 => stages.into_iter().map(|stage| Self::Stage(file, stage)).collect(),
            _ => vec![Self::Dockerfile(file)],
        }
    }

    /// The Dockerfile that it shares with other images.
    pub fn shared_file(self) -> Option<FileId> {
        match self {
            Self::Stage(file, _) => Some(file),
            Self::Dockerfile(_) | Self::Container(_) | Self::Overrides(_) => None,
        }
    }

    /// That of a container.
    fn of_container(repository: &Repository, links: &Links, id: ContainerId) -> Self {
        let Link::Linked { dockerfile, .. } = links.of(id) else { return Self::Container(id) };
        let stage = stage_of(repository, links, *dockerfile, id);
        let keys = Self::of_dockerfile(repository, links, *dockerfile);
        let own = stage.map(|stage| Self::Stage(*dockerfile, stage)).filter(|key| keys.contains(key));
        own.unwrap_or(Self::Dockerfile(*dockerfile))
    }

    /// The files it is made of, those that may build its image included.
    pub fn files(self, links: &Links) -> BTreeSet<FileId> {
        match self {
            Self::Dockerfile(file) | Self::Stage(file, _) => {
                links.containers(file).iter().map(|id| id.file).chain([file]).collect()
            }
            Self::Overrides(file) => BTreeSet::from([file]),
            Self::Container(id) => match links.of(id) {
                Link::Ambiguous(candidates) => candidates.iter().copied().chain([id.file]).collect(),
                Link::Service { dockerfile, .. } => BTreeSet::from([id.file, *dockerfile]),
                Link::Linked { .. } | Link::External => BTreeSet::from([id.file]),
            },
        }
    }
}

/// The index of the stage that every build of a container's image asks for.
fn stage_of(repository: &Repository, links: &Links, file: FileId, container: ContainerId) -> Option<usize> {
    Some(repository.file(file).dockerfile()?.stage(links.target(container)?)?.index)
}

impl<'a> Application<'a> {
    /// The applications of a repository: those with a Dockerfile first, in path order, then the other containers in file order, then what names images
    /// for either.
    pub fn keys(repository: &Repository, links: &Links) -> Vec<Key> {
        let dockerfiles = repository.dockerfiles().flat_map(|(file, _)| Key::of_dockerfile(repository, links, file));
        let others =
            repository.containers().filter(|id| !matches!(links.of(*id), Link::Linked { .. })).map(Key::Container);
        let overrides = repository.manifests().filter(|(_, manifest)| manifest.role != Role::Objects);
        dockerfiles.chain(others).chain(overrides.map(|(file, _)| Key::Overrides(file))).collect()
    }

    /// The application of this name, as the files are now.
    pub fn new(around: Surroundings<'a>, key: Key) -> Option<Self> {
        let mut overrides = None;
        let (image, ids) = match &key {
            Key::Dockerfile(file) => (Some(ImageFacts::new(around, *file)?), around.links.containers(*file).to_vec()),
            Key::Stage(file, index) => {
                let stage = around.repository.file(*file).dockerfile()?.stages().get(*index)?;
                let runs = |id: &ContainerId| stage_of(around.repository, around.links, *file, *id) == Some(*index);
                let ids = around.links.containers(*file).iter().copied().filter(runs).collect();
                (Some(ImageFacts::of_stage(around, *file, stage, None)?), ids)
            }
            Key::Container(id) => (None, vec![*id]),
            Key::Overrides(file) => {
                overrides = Some((*file, around.repository.file(*file).manifest()?));
                (None, Vec::new())
            }
        };
        let containers: Vec<_> = ids.iter().filter_map(|id| ContainerFacts::new(around, *id)).collect();
        let image = image.map(|image| ImageFacts { roots_home: RootsHome::of(around, &image, &containers), ..image });
        Some(Self {
            around,
            image,
            containers,
            overrides,
            obstacles: OnceCell::new(),
            api: OnceCell::new(),
            survey: OnceCell::new(),
        })
    }

    /// The references of images that only a registry tells of: those of its containers, and the base of its own image where a container runs that.
    pub fn untold_references(&self) -> Vec<Reference> {
        let containers = self.containers.iter().filter_map(|container| container.asks_registry(self.around));
        let image = self.image.iter().filter(|_| !self.containers.is_empty());
        containers.chain(image.filter_map(|image| image.asks_registry(self.around))).cloned().collect()
    }

    /// The overlay that patches the workload of a container where it matters, to be read as a reason to leave it.
    pub fn patch_of(&self, container: &ContainerFacts<'_>) -> Option<String> {
        const MATTER: [&str; 6] = ["securityContext", "command", "args", "ports", "volumes", "volumeMounts"];
        let workload = container.workload;
        let path = self.around.repository.patch_of(workload, &MATTER)?;
        Some(format!("{path} patches {} where users, commands or volumes are set", workload.label()))
    }

    /// The name of a Service of the tree that leads to the pod of a container.
    pub fn service_of(&self, container: &ContainerFacts<'_>) -> Option<String> {
        let labels = container.workload.labels(&container.manifest.stream);
        self.around.repository.services(&labels).next().map(|service| service.name.clone())
    }

    /// What speaks against running this application as anything but root; empty when nothing known does.
    pub fn obstacles(&self) -> &[Obstacle] {
        &self.obstacles.get_or_init(|| obstacles::of(self)).0
    }

    /// The Dockerfiles of neighbours in its pods that it shares volumes with, and whose images must become the same user in the same step.
    pub fn companions(&self) -> &BTreeSet<FileId> {
        &self.obstacles.get_or_init(|| obstacles::of(self)).1
    }
}
