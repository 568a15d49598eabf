//! What is known about an application, and how it is known.
//!
//! An application is a Dockerfile with the containers that run its image, or one container whose image comes from elsewhere. Transforms read facts
//! and nothing else; a fact that is missing is a reason to decline. Facts are derived from the files as they are now, so each step sees what the
//! steps before it did.

mod container;
mod identity;
mod image;
mod obstacles;
mod sources;
mod stack;

pub use container::ContainerFacts;
pub use identity::{EffectiveUser, Identity};
pub use image::{ImageFacts, User};
pub use obstacles::Obstacle;
pub use sources::{GoSources, PackageJson};
pub use stack::Stack;

use crate::config::Config;
use crate::error::SkipReason;
use crate::image::Reference;
use crate::link::{Link, Links};
use crate::repository::{FileId, Repository};
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// What registries said about references: a digest, or why there is none.
pub type Digests = BTreeMap<Reference, Result<String, (SkipReason, String)>>;

/// What every application of a run shares.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The parsed files.
    pub repository: &'a Repository,
    /// Which container runs which Dockerfile.
    pub links: &'a Links,
    /// What the repository's owner configured.
    pub config: &'a Config,
    /// What registries said.
    pub digests: &'a Digests,
}

/// A Dockerfile with its containers, or a container whose image comes from elsewhere.
pub struct Application<'a> {
    /// What it shares with the others.
    pub around: Surroundings<'a>,
    /// The Dockerfile; `None` when the image comes from elsewhere.
    pub image: Option<ImageFacts<'a>>,
    /// The containers that run the image, in file order.
    pub containers: Vec<ContainerFacts<'a>>,
    obstacles: OnceCell<Vec<Obstacle>>,
}

impl<'a> Application<'a> {
    /// All applications of a repository: those with a Dockerfile first, in path order, then the other containers in file order.
    pub fn all(around: Surroundings<'a>) -> Vec<Self> {
        let mut applications = Vec::new();
        for (file, _) in around.repository.dockerfiles() {
            applications.extend(Self::of_dockerfile(around, file));
        }
        for id in around.repository.containers() {
            if !matches!(around.links.of(id), Link::Linked { .. })
                && let Some(container) = ContainerFacts::new(around, id)
            {
                applications.push(Self {
                    around,
                    image: None,
                    containers: vec![container],
                    obstacles: OnceCell::new(),
                });
            }
        }
        applications
    }

    fn of_dockerfile(around: Surroundings<'a>, file: FileId) -> Option<Self> {
        let image = ImageFacts::new(around, file)?;
        let containers =
            around.links.containers(file).iter().filter_map(|id| ContainerFacts::new(around, *id)).collect();
        Some(Self { around, image: Some(image), containers, obstacles: OnceCell::new() })
    }

    /// What speaks against running this application as anything but root; empty when nothing known does.
    pub fn obstacles(&self) -> &[Obstacle] {
        self.obstacles.get_or_init(|| obstacles::of(self))
    }
}
