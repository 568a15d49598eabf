//! Which container runs an image of which Dockerfile.
//!
//! What a person declared (configuration, compose, skaffold, build commands) comes before what names suggest; within one level the Dockerfile
//! nearest to the manifest wins; whatever then is still in doubt is [`Link::Ambiguous`] and nobody's to edit.

mod arguments;
mod declared;
mod service;

pub(crate) use declared::is_script;

use crate::config::Config;
use crate::discover::{directory, file_name};
use crate::dockerfile::{Base, GivenArguments};
use crate::image::{KnownImages, is_public};
use crate::repository::{ContainerId, FileId, Repository};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is known of the image that a container runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Built from this Dockerfile.
    Linked {
        /// The Dockerfile.
        dockerfile: FileId,
        /// How that is known.
        how: How,
    },
    /// Built from this Dockerfile, which adds to a service that steps down on its own and is started as that service is.
    Service {
        /// The Dockerfile.
        dockerfile: FileId,
        /// The service's image, as the Dockerfile names it.
        base: String,
    },
    /// Any of these could build it, or one of them might.
    Ambiguous(Vec<FileId>),
    /// Built elsewhere.
    External,
}

/// How a link is known, from the strongest to the weakest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// By `[[link]]` in `unroot.toml`.
    Configured,
    /// By a build definition in this file.
    Declared(String),
    /// By the name of a service in this compose file, whose image has none: Compose calls it `project-service`, and a deployment is free to follow.
    Service(String),
    /// By the name of the folder or Dockerfile.
    Named,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured => f.write_str("unroot.toml"),
            Self::Declared(path) | Self::Service(path) => f.write_str(path),
            Self::Named => f.write_str("its name"),
        }
    }
}

/// A statement that a Dockerfile builds an image, or just that a stage of it is built.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declaration {
    /// The image's name without tag; `None` when only the target is told.
    pub image: Option<String>,
    /// The Dockerfile.
    pub dockerfile: FileId,
    /// The stage that is built.
    pub target: Option<String>,
    /// The build context, a directory relative to the root.
    pub context: Option<String>,
    /// Who says so.
    pub how: How,
}

/// A service of a compose file whose image is built here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The Dockerfile.
    pub dockerfile: FileId,
    /// The compose file.
    pub path: String,
    /// Its name.
    pub name: String,
    /// `user`, as written.
    pub user: Option<String>,
    /// What its build is given for arguments; no value where that is not written, or a variable decides it.
    pub arguments: Vec<(String, Option<String>)>,
    /// It is privileged, adds capabilities, or uses devices or processes of the host.
    pub asks_privileges: bool,
    /// Named volumes and folders of the host.
    pub mounts: Vec<ServiceMount>,
    /// The first of its keys that names a program of the image: `healthcheck`, `command` or `entrypoint`.
    pub starts: Option<&'static str>,
    /// `entrypoint`, word by word.
    pub entrypoint: Option<Vec<String>>,
    /// `command`, word by word.
    pub command: Option<Vec<String>>,
}

/// A volume of a service that outlives its container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceMount {
    /// Where it is mounted.
    pub path: String,
    /// It cannot be written to.
    pub read_only: bool,
}

impl Service {
    /// The number of its user, where it is one other than root's.
    pub fn uid(&self) -> Option<u32> {
        let user = self.user.as_deref()?.split(':').next()?;
        user.parse().ok().filter(|uid| *uid != 0)
    }
}

/// A build context that has a name: what a Dockerfile names so is not asked of a registry
/// (<https://docs.docker.com/reference/cli/docker/buildx/build/#build-context>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedContext {
    /// The Dockerfile that is built with it; `None` where that is not told, and it may be any.
    pub dockerfile: Option<FileId>,
    /// Its name.
    pub name: String,
    /// The file that gives it.
    pub path: String,
}

/// The links of a repository.
#[derive(Debug, Default)]
pub struct Links {
    containers: BTreeMap<ContainerId, Link>,
    linked: BTreeMap<FileId, Vec<ContainerId>>,
    heirs: BTreeMap<FileId, Vec<FileId>>,
    declarations: Vec<Declaration>,
    /// Indices into `declarations` by the last component of the image's name.
    by_name: BTreeMap<String, Vec<usize>>,
    services: Vec<Service>,
    contexts: Vec<NamedContext>,
    arguments: BTreeMap<FileId, GivenArguments>,
    targets: BTreeMap<ContainerId, String>,
    names: Names,
    /// What Dockerfiles add to and are started as, of services that step down on their own.
    bases: BTreeMap<FileId, String>,
}

impl Links {
    /// Joins containers and Dockerfiles.
    pub fn find(repository: &Repository, config: &Config) -> Self {
        let mut links = Self::default();
        if repository.dockerfiles().next().is_some() {
            let declared = declared::declarations(repository, config);
            links.declarations = declared.declarations;
            for (index, declaration) in links.declarations.iter().enumerate() {
                if let Some(image) = &declaration.image {
                    let last = last_component(without_tag(image)).to_owned();
                    links.by_name.entry(last).or_default().push(index);
                }
            }
            links.services = declared.services;
            links.contexts = declared.contexts;
            links.arguments = arguments::of(&declared.builds);
        }
        // Most manifests of a tree name few distinct images from few folders.
        let mut known: BTreeMap<(&str, Wanted<'_>), Link> = BTreeMap::new();
        let services = service::bases(repository, &config.images);
        let names = Names::of(repository, &config.images);
        for id in repository.containers() {
            let file = repository.file(id.file);
            let Some(manifest) = file.manifest() else { continue };
            let workload = &manifest.workloads[id.workload];
            let container = &workload.containers[id.container];
            let view = workload.container_view(&manifest.stream, id.container);
            let policy = view.and_then(|view| view.node().get("imagePullPolicy")?.as_str());
            let wanted = Wanted {
                image: &container.image,
                workload: &workload.name,
                container: &container.name,
                is_never_pulled: policy.as_deref() == Some("Never"),
            };
            let folder = directory(&file.path);
            let link = known
                .entry((folder, wanted))
                .or_insert_with(|| match links.judge(repository, &names, folder, wanted) {
                    Link::Linked { dockerfile, how } => match services.get(&dockerfile) {
                        Some(base) => Link::Service { dockerfile, base: base.clone() },
                        None => Link::Linked { dockerfile, how },
                    },
                    link => link,
                })
                .clone();
            if let Link::Linked { dockerfile, .. } = link {
                links.linked.entry(dockerfile).or_default().push(id);
                let target = links.target_of(dockerfile, &container.image).map(str::to_owned);
                links.targets.extend(target.map(|target| (id, target)));
            }
            links.containers.insert(id, link);
        }
        links.find_heirs(repository, &names);
        links.bases = services;
        links.names = names;
        links
    }

    /// Joins Dockerfiles to those whose image they start from. Here a doubt counts as a link: it only makes a change less likely.
    fn find_heirs(&mut self, repository: &Repository, names: &Names) {
        for (heir, dockerfile) in repository.dockerfiles() {
            let folder = directory(&repository.file(heir).path);
            for stage in dockerfile.stages() {
                let Base::Image { reference, .. } = &stage.base else { continue };
                let wanted = Wanted { image: reference, workload: "", container: "", is_never_pulled: false };
                let builders = match self.judge(repository, names, folder, wanted) {
                    Link::Linked { dockerfile, .. } => vec![dockerfile],
                    // An official image is what it is called, also beside a folder of that name.
                    Link::Ambiguous(candidates) if !is_public(without_tag(reference)) => candidates,
                    Link::Ambiguous(_) | Link::External | Link::Service { .. } => continue,
                };
                for builder in builders.into_iter().filter(|builder| *builder != heir) {
                    self.heirs.entry(builder).or_default().push(heir);
                }
            }
        }
    }

    /// The Dockerfiles that start, or may start, from the image of this one.
    pub fn heirs(&self, dockerfile: FileId) -> &[FileId] {
        self.heirs.get(&dockerfile).map_or(&[], Vec::as_slice)
    }

    /// Whether the image of this Dockerfile starts, or may start, from one that another Dockerfile of the tree builds.
    pub fn starts_here(&self, dockerfile: FileId) -> bool {
        self.heirs.values().any(|heirs| heirs.contains(&dockerfile))
    }

    /// What is known of a container's image.
    pub fn of(&self, container: ContainerId) -> &Link {
        self.containers.get(&container).unwrap_or(&Link::External)
    }

    /// The containers that run an image of this Dockerfile.
    pub fn containers(&self, dockerfile: FileId) -> &[ContainerId] {
        self.linked.get(&dockerfile).map_or(&[], Vec::as_slice)
    }

    /// The stage that every build of a container's image asks for by its name.
    pub fn target(&self, container: ContainerId) -> Option<&str> {
        self.targets.get(&container).map(String::as_str)
    }

    fn target_of<'d>(&'d self, dockerfile: FileId, image: &'d str) -> Option<&'d str> {
        let declared: Vec<&Declaration> = self.declared(image).filter(|found| found.dockerfile == dockerfile).collect();
        let is_configured = |found: &&&Declaration| found.how == How::Configured;
        let counts: Vec<&Declaration> = match declared.iter().copied().find(|found| is_configured(&found)) {
            Some(configured) => vec![configured],
            None => declared,
        };
        let first = counts.first()?.target.as_deref()?;
        counts.iter().all(|found| found.target.as_deref() == Some(first)).then_some(first)
    }

    /// What people said about the image of this name.
    fn declared<'d>(&'d self, image: &'d str) -> impl Iterator<Item = &'d Declaration> {
        let name = without_tag(image);
        let of_name = self.by_name.get(last_component(name)).into_iter().flatten();
        of_name.filter_map(|index| self.declarations.get(*index)).filter(move |declaration| {
            declaration.image.as_deref().is_some_and(|declared| {
                // The registry in front differs between a build and a deployment; the configuration means what it says.
                declaration.how != How::Configured || declared == name || declared == image
            })
        })
    }

    /// What the builds of the tree give for arguments, by the Dockerfile; those that give none are left out.
    pub fn arguments(&self) -> &BTreeMap<FileId, GivenArguments> {
        &self.arguments
    }

    /// The services of compose files that are built from this Dockerfile.
    pub fn services(&self, dockerfile: FileId) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(move |service| service.dockerfile == dockerfile)
    }

    /// Whether the image of this Dockerfile is started as the service is that it adds to, which steps down on its own.
    pub fn adds_to_service(&self, dockerfile: FileId) -> bool {
        self.bases.contains_key(&dockerfile)
    }

    /// The containers that run such an image.
    pub fn service_containers(&self, file: FileId) -> impl Iterator<Item = ContainerId> {
        let is_of = move |link: &Link| matches!(link, Link::Service { dockerfile, .. } if *dockerfile == file);
        self.containers.iter().filter(move |(_, link)| is_of(link)).map(|(id, _)| *id)
    }

    /// What people said about this Dockerfile.
    pub fn declarations(&self, dockerfile: FileId) -> impl Iterator<Item = &Declaration> {
        self.declarations.iter().filter(move |declaration| declaration.dockerfile == dockerfile)
    }

    /// The directory that people name as the build context of a Dockerfile, relative to the root; the configuration's before any other.
    pub fn context(&self, dockerfile: FileId) -> Option<&str> {
        let mut named: Vec<&Declaration> =
            self.declarations(dockerfile).filter(|declaration| declaration.context.is_some()).collect();
        named.sort_by_key(|declaration| declaration.how.clone());
        named.first()?.context.as_deref()
    }

    /// The named contexts that a Dockerfile is, or may be, built with.
    pub fn contexts(&self, dockerfile: FileId) -> impl Iterator<Item = &NamedContext> {
        self.contexts.iter().filter(move |context| context.dockerfile.is_none_or(|of| of == dockerfile))
    }

    /// What builds an image that a file names elsewhere than in a container: as the base of a stage, in an override, as a volume. Nothing is
    /// built from itself, and a well-known image is what it is called.
    pub fn builder(&self, repository: &Repository, file: FileId, image: &str) -> Link {
        let wanted = Wanted { image, workload: "", container: "", is_never_pulled: false };
        match self.judge(repository, &self.names, directory(&repository.file(file).path), wanted) {
            Link::Linked { dockerfile, .. } if dockerfile == file => Link::External,
            Link::Ambiguous(_) if is_public(without_tag(image)) => Link::External,
            Link::Ambiguous(candidates) => {
                let others: Vec<FileId> = candidates.into_iter().filter(|candidate| *candidate != file).collect();
                if others.is_empty() { Link::External } else { Link::Ambiguous(others) }
            }
            link => link,
        }
    }

    fn judge(&self, repository: &Repository, names: &Names, from: &str, wanted: Wanted<'_>) -> Link {
        let image = wanted.image;
        let name = without_tag(image);
        let last = last_component(name);
        if last.is_empty() {
            return Link::External;
        }
        let mut declared: Vec<&Declaration> = self.declared(image).collect();
        declared.sort_by_key(|declaration| declaration.how != How::Configured);
        if let Some(first) = declared.first() {
            let configured = first.how == How::Configured;
            let candidates: BTreeSet<FileId> = declared
                .iter()
                .filter(|declaration| !configured || declaration.how == How::Configured)
                .map(|declaration| declaration.dockerfile)
                .collect();
            // A service may be called what everybody calls another image: `nginx` is that, unless somebody says that it is built.
            let is_told = !is_public(name) || declared.iter().any(|found| !matches!(found.how, How::Service(_)));
            return match nearest(repository, from, &candidates) {
                Ok(dockerfile) if !is_told => Link::Ambiguous(vec![dockerfile]),
                Ok(dockerfile) => {
                    let how = declared
                        .iter()
                        .find(|found| found.dockerfile == dockerfile)
                        .map_or(How::Named, |found| found.how.clone());
                    Link::Linked { dockerfile, how }
                }
                Err(candidates) => Link::Ambiguous(candidates),
            };
        }
        let same = names.same(last);
        if !same.is_empty() {
            // `redis` beside a folder `redis/` may be the official image or the one built there.
            let official = is_public(name);
            return match nearest(repository, from, &same) {
                Ok(dockerfile) if !official => Link::Linked { dockerfile, how: How::Named },
                Ok(dockerfile) => Link::Ambiguous(vec![dockerfile]),
                Err(candidates) => Link::Ambiguous(candidates),
            };
        }
        if names.images.holds(name) {
            return Link::External;
        }
        let similar = names.similar(last);
        // `shop-web` and a folder `web` are a guess; a container or workload that is called `web` as well makes it two signs. So does an image that is
        // never pulled, and was built on the node, where one Dockerfile alone builds any.
        let called: BTreeSet<FileId> =
            names.same(wanted.container).union(&names.same(wanted.workload)).copied().collect();
        let is_built_here = wanted.is_never_pulled && repository.dockerfiles().nth(1).is_none();
        let agreed: BTreeSet<FileId> =
            similar.iter().filter(|file| is_built_here || called.contains(file)).copied().collect();
        match nearest(repository, from, &agreed) {
            Ok(dockerfile) => Link::Linked { dockerfile, how: How::Named },
            Err(_) if similar.is_empty() => Link::External,
            Err(_) => Link::Ambiguous(similar.into_iter().collect()),
        }
    }
}

/// What a container says about its image.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted<'a> {
    image: &'a str,
    workload: &'a str,
    container: &'a str,
    is_never_pulled: bool,
}

/// The names that Dockerfiles go by.
#[derive(Debug, Default)]
struct Names {
    /// Images that are what they are called, also beside a folder of a similar name.
    images: KnownImages,
    names: BTreeMap<String, BTreeSet<FileId>>,
    /// The same Dockerfiles by what their names begin or end with.
    ends: BTreeMap<String, BTreeSet<FileId>>,
}

impl Names {
    fn of(repository: &Repository, images: &KnownImages) -> Self {
        let mut names: BTreeMap<String, BTreeSet<FileId>> = BTreeMap::new();
        let mut ends: BTreeMap<String, BTreeSet<FileId>> = BTreeMap::new();
        let root = repository.tree().root().file_name().and_then(|name| name.to_str()).unwrap_or_default();
        for (id, _) in repository.dockerfiles() {
            for name in names_of(&repository.file(id).path, root) {
                for end in ends_of(&name) {
                    ends.entry(end.to_owned()).or_default().insert(id);
                }
                names.entry(name).or_default().insert(id);
            }
        }
        Self { images: images.clone(), names, ends }
    }

    fn same(&self, image: &str) -> BTreeSet<FileId> {
        self.names.get(&folded(image)).cloned().unwrap_or_default()
    }

    /// Names of which one is the other with more words at an end: `node-app-insecure` and `node-app`.
    fn similar(&self, image: &str) -> BTreeSet<FileId> {
        let image = folded(image);
        let longer = self.ends.get(&image);
        let shorter = ends_of(&image).filter_map(|end| self.names.get(end));
        longer.into_iter().chain(shorter).flatten().copied().collect()
    }
}

/// What a name begins or ends with, cut at its dashes. Less than three letters are no sign of anything.
fn ends_of(name: &str) -> impl Iterator<Item = &str> {
    let cuts = name.match_indices('-').flat_map(|(at, _)| [&name[..at], &name[at + 1..]]);
    cuts.filter(|end| end.len() >= 3)
}

/// The folder's name (the folder above it when it merely says that things are built here), and what a Dockerfile's own name adds.
fn names_of(path: &str, root: &str) -> Vec<String> {
    const NOT_A_NAME: [&str; 6] = ["docker", "build", "src", "deploy", "container", "image"];
    let mut folders: Vec<&str> = directory(path).split('/').filter(|part| !part.is_empty()).collect();
    while folders.last().is_some_and(|last| NOT_A_NAME.contains(last)) {
        folders.pop();
    }
    let folder = folders.last().copied().unwrap_or(root);
    let file = file_name(path);
    let lower = file.to_ascii_lowercase();
    let own = ["dockerfile", "containerfile"].iter().find_map(|base| {
        let prefixed = lower.strip_prefix(base).and_then(|rest| rest.strip_prefix(['.', '-', '_']));
        prefixed.or_else(|| lower.strip_suffix(base).and_then(|rest| rest.strip_suffix('.')))
    });
    match own {
        Some(own) => vec![folded(own), format!("{}-{}", folded(folder), folded(own))],
        None => vec![folded(folder)],
    }
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.', ' '], "-")
}

/// A reference without tag and digest.
pub(crate) fn without_tag(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rfind(':') {
        Some(colon) if !image[colon..].contains('/') => &image[..colon],
        _ => image,
    }
}

fn last_component(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The candidate that shares most leading folders with the manifest's; all of them when several do.
fn nearest(repository: &Repository, from: &str, candidates: &BTreeSet<FileId>) -> Result<FileId, Vec<FileId>> {
    let shared = |id: &FileId| {
        let folder = directory(&repository.file(*id).path);
        folder.split('/').zip(from.split('/')).take_while(|(left, right)| left == right && !left.is_empty()).count()
    };
    let most = candidates.iter().map(shared).max().unwrap_or(0);
    let best: Vec<FileId> = candidates.iter().copied().filter(|id| shared(id) == most).collect();
    match best.as_slice() {
        [only] => Ok(*only),
        _ => Err(best),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_ports_are_told_apart() {
        assert_eq!(without_tag("web:v1"), "web");
        assert_eq!(without_tag("localhost:5000/web"), "localhost:5000/web");
        assert_eq!(without_tag("localhost:5000/web:v1@sha256:0"), "localhost:5000/web");
    }

    #[test]
    fn a_dockerfile_goes_by_its_folder_or_its_own_name() {
        assert_eq!(names_of("services/Cart_API/Dockerfile", "shop"), ["cart-api"]);
        assert_eq!(names_of("services/cart/docker/Dockerfile", "shop"), ["cart"]);
        assert_eq!(names_of("Dockerfile", "shop"), ["shop"]);
        assert_eq!(names_of("docker/Dockerfile.worker", "shop"), ["worker", "shop-worker"]);
        assert_eq!(names_of("web.Dockerfile", "shop"), ["web", "shop-web"]);
    }

    #[test]
    fn a_longer_name_is_similar_at_its_ends_only() {
        let ends: Vec<&str> = ends_of("my-node-app").collect();
        assert_eq!(ends, ["node-app", "my-node", "app"]);
        assert_eq!(ends_of("web").count(), 0);
    }
}
