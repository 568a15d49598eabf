//! The parsed files of a run. Each is parsed once, and again only after an edit.

mod index;

use crate::config::Config;
use crate::discover::{Candidate, Class, KUSTOMIZATION_NAMES, Tree, directory, join};
use crate::dockerfile::{self, Dockerfile, GivenArguments};
use crate::kubernetes::{self, ForbiddenSetting, Kinds, Kustomization, Patched, Service, Workload};
use crate::source::{Lines, Position, printable};
use crate::yaml::{self, Code, Node, Route, Stream};
use index::Index;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// A file of the repository; the order of ids is the order of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(usize);

/// A container, by its place in the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId {
    /// The manifest file.
    pub file: FileId,
    /// Index into [`Manifest::workloads`].
    pub workload: usize,
    /// Index into [`Workload::containers`].
    pub container: usize,
}

/// One parsed file.
#[derive(Debug)]
pub struct File {
    /// Relative to the root, with `/`.
    pub path: String,
    /// The text that was read, before any step.
    pub original: Arc<str>,
    /// The parsed text as it is now.
    pub content: Content,
}

/// What a file holds.
#[derive(Debug)]
pub enum Content {
    /// A Dockerfile.
    Dockerfile(Dockerfile),
    /// Kubernetes objects.
    Manifest(Manifest),
    /// A compose file, read for links.
    Compose(Stream),
}

/// What the YAML of a [`Manifest`] is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It holds objects.
    #[default]
    Objects,
    /// It says what is to become of the objects of other files.
    Kustomization,
    /// It holds the values of a chart.
    Values,
}

/// A stream of Kubernetes objects, or what is told to the tools that make some.
#[derive(Debug)]
pub struct Manifest {
    /// The YAML.
    pub stream: Stream,
    /// What it is for.
    pub role: Role,
    /// The workloads in it, in file order.
    pub workloads: Vec<Workload>,
    lines: OnceLock<Lines>,
    /// By workload; found when somebody asks.
    forbidden: Vec<OnceLock<Vec<Forbidden>>>,
}

/// A forbidden setting, by its place.
#[derive(Debug)]
struct Forbidden {
    check: &'static str,
    field: String,
    route: Route,
    container: Option<usize>,
}

impl Manifest {
    /// Finds the workloads of `stream`.
    pub fn new(stream: Stream, kinds: &Kinds) -> Self {
        let workloads = kubernetes::workloads(&stream, kinds);
        let forbidden = workloads.iter().map(|_| OnceLock::new()).collect();
        Self { stream, role: Role::default(), workloads, lines: OnceLock::new(), forbidden }
    }

    /// The same in another role.
    #[must_use]
    pub fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// [`Workload::forbidden_settings`] that concern a container, both by their index: of the first container all of the pod, of another its own. They
    /// are judged once for all containers.
    pub fn forbidden_settings(&self, workload: usize, container: usize) -> Vec<ForbiddenSetting<'_>> {
        let Some((found, known)) = self.workloads.get(workload).zip(self.forbidden.get(workload)) else {
            return Vec::new();
        };
        let judge = || {
            let settings = found.forbidden_settings(&self.stream).into_iter();
            settings
                .map(|ForbiddenSetting { check, field, node, container }| {
                    let route = node.route();
                    Forbidden { check, field, route, container }
                })
                .collect()
        };
        let document = self.stream.document(found.document);
        let concerns = |setting: &&Forbidden| container == 0 || setting.container == Some(container);
        let settings = known.get_or_init(judge).iter().filter(concerns);
        settings
            .filter_map(|Forbidden { check, field, route, container }| {
                let node = document?.at(route)?;
                Some(ForbiddenSetting { check, field: field.clone(), node, container: *container })
            })
            .collect()
    }

    /// The line of a byte offset, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.lines.get_or_init(|| Lines::of(self.stream.text())).line(offset)
    }
}

/// A file that looks like ours but is left alone as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Relative to the root, with `/`.
    pub path: String,
    /// Where, when it is known.
    pub position: Option<Position>,
    /// Stable code: `not-utf8`, `too-large`, `template`, `parse`, ...
    pub code: String,
    /// One line.
    pub message: String,
}

/// The files of one tree.
#[derive(Debug)]
pub struct Repository {
    tree: Tree,
    kinds: Kinds,
    files: Vec<File>,
    unread: Vec<Unread>,
    /// The kustomizations by path.
    kustomizations: BTreeMap<String, Kustomization>,
    /// Names of images that kustomizations override, and their paths.
    kustomized: BTreeMap<String, Vec<String>>,
    /// What patches change, and their paths.
    patched: Vec<(Patched, String)>,
    /// What is arranged for the account that pods get without asking, where and what.
    default_account: Option<String>,
    /// Where a LimitRange stands.
    limit_range: Option<String>,
    /// Names of ConfigMaps that tell a program to talk to the Kubernetes API, where and how.
    api_configs: BTreeMap<String, String>,
    index: Index,
}

impl Repository {
    /// Parses what `tree` found, on all cores. The configuration may name kinds of workload.
    pub fn parse(mut tree: Tree, config: &Config) -> Self {
        let kinds = Kinds::new(config);
        let parsed: Vec<_> =
            tree.take_candidates().into_par_iter().filter_map(|candidate| parse(candidate, &kinds, config)).collect();
        let mut unread: Vec<Unread> = tree
            .unreadable()
            .iter()
            .map(|file| Unread {
                path: file.path.clone(),
                position: None,
                code: file.code.to_owned(),
                message: file.message.clone(),
            })
            .collect();
        let mut files = Vec::new();
        for result in parsed {
            match result {
                Ok(file) => files.push(file),
                Err(file) => unread.push(file),
            }
        }
        let mut kustomized: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut patched = Vec::new();
        files.sort_by(|left, right| left.path.cmp(&right.path));
        // Patches say what holds as well as others do.
        let default_account = files.iter().find_map(default_account).or_else(|| unread_binding(&tree, &unread));
        let limit_range = files.iter().find_map(limit_range);
        let api_configs = files.iter().flat_map(api_configs).collect();
        let kustomizations: BTreeMap<String, Kustomization> = files.iter().filter_map(kustomization).collect();
        for (path, kustomization) in &kustomizations {
            let patches: Vec<String> =
                kustomization.patches.iter().filter_map(|patch| join(directory(path), patch)).collect();
            let is_patch = |file: &File| patches.contains(&file.path);
            unread.extend(files.iter().filter(|file| is_patch(file)).map(|file| Unread {
                path: file.path.clone(),
                position: None,
                code: "kustomize-patch".to_owned(),
                message: format!("a patch that {path} applies to another manifest"),
            }));
            for file in files.iter().filter(|file| is_patch(file)) {
                let targets = |manifest: &Manifest| kubernetes::patched_workloads(&manifest.stream, &kinds);
                for target in file.manifest().into_iter().flat_map(targets) {
                    patched.push((target, file.path.clone()));
                }
            }
            files.retain(|file| !is_patch(file));
            for image in &kustomization.images {
                kustomized.entry(image.clone()).or_default().push(path.clone());
            }
        }
        unread.sort_by(|left, right| left.path.cmp(&right.path));
        let index = Index::of(&files);
        Self {
            tree,
            kinds,
            files,
            unread,
            kustomizations,
            kustomized,
            patched,
            default_account,
            limit_range,
            api_configs,
            index,
        }
    }

    /// The tree behind it: other files that facts may ask for.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The kinds of object that are looked into for workloads.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// Files that are left alone as a whole, in path order.
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    /// The kustomization that sets tag or digest of an image of this name (without tag).
    pub fn kustomization_of(&self, image: &str) -> Option<&str> {
        self.kustomized.get(image)?.last().map(String::as_str)
    }

    /// The kustomization that overrides an image of this name after the one at `path` did, because it takes that one in.
    pub fn overridden_again(&self, path: &str, image: &str) -> Option<&str> {
        let others = self.kustomized.get(image)?.iter().filter(|other| *other != path);
        others.map(String::as_str).find(|other| self.takes_in(other, path))
    }

    /// Whether one kustomization takes in another, maybe by way of others.
    fn takes_in(&self, overlay: &str, path: &str) -> bool {
        let mut queue = vec![overlay.to_owned()];
        let mut seen = BTreeSet::new();
        while let Some(next) = queue.pop() {
            let Some(kustomization) = self.kustomizations.get(&next).filter(|_| seen.insert(next.clone())) else {
                continue;
            };
            let folders = kustomization.resources.iter().filter_map(|resource| join(directory(&next), resource));
            for folder in folders {
                let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
                queue.extend(KUSTOMIZATION_NAMES.iter().map(|name| format!("{prefix}{name}")));
            }
            if next != overlay && next == path {
                return true;
            }
        }
        false
    }

    /// The patch that sets one of these keys in the pod spec of a workload, or in its containers: another file's path, or a key of the object itself.
    pub fn patch_of<'a>(&'a self, workload: &'a Workload, keys: &[&str]) -> Option<&'a str> {
        let own = workload.assembly.iter().flat_map(|assembly| &assembly.patches).find(|patch| patch.may_set(keys));
        if let Some(patch) = own {
            return Some(&patch.key);
        }
        let concerns = |patched: &Patched| patched.kind == workload.kind && patched.name == workload.name;
        let sets = |patched: &Patched| keys.iter().any(|key| patched.keys.contains(*key));
        self.patched.iter().find(|(patched, _)| concerns(patched) && sets(patched)).map(|(_, path)| path.as_str())
    }

    /// What the tree arranges for the service account `default`, whose token pods get without asking.
    pub fn default_account_use(&self) -> Option<&str> {
        self.default_account.as_deref()
    }

    /// Where a LimitRange stands, which gives containers of its namespace what they do not state, and bounds what they may.
    pub fn limit_range(&self) -> Option<&str> {
        self.limit_range.as_deref()
    }

    /// Where a ConfigMap of this name tells a program to talk to the Kubernetes API.
    pub fn api_config(&self, name: &str) -> Option<&str> {
        self.api_configs.get(name).map(String::as_str)
    }

    /// The Services that lead to pods with these labels, in file order.
    pub fn services(&self, labels: &[(String, String)]) -> impl Iterator<Item = &Service> {
        self.index.services(labels)
    }

    /// The ConfigMap of this name.
    pub fn config_map(&self, name: &str) -> Option<Node<'_>> {
        self.index.object(&self.files, "ConfigMap", name)
    }

    /// The PersistentVolumeClaim of this name.
    pub fn claim(&self, name: &str) -> Option<Node<'_>> {
        self.index.object(&self.files, "PersistentVolumeClaim", name)
    }

    /// The PersistentVolumes, in file order.
    pub fn volumes(&self) -> impl Iterator<Item = Node<'_>> {
        self.index.objects(&self.files, "PersistentVolume")
    }

    /// The first manifest that may start containers in a kind that is not known.
    pub fn unknown_kind(&self) -> Option<FileId> {
        self.index.unknown_kind()
    }

    /// All files with their ids, in path order.
    pub fn files(&self) -> impl Iterator<Item = (FileId, &File)> {
        self.files.iter().enumerate().map(|(index, file)| (FileId(index), file))
    }

    /// One file.
    pub fn file(&self, id: FileId) -> &File {
        &self.files[id.0]
    }

    /// The file at this path.
    pub fn find(&self, path: &str) -> Option<FileId> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok().map(FileId)
    }

    /// Replaces what a file holds, after an edit was verified.
    pub fn update(&mut self, id: FileId, content: Content) {
        self.files[id.0].content = content;
    }

    /// Lets builds give arguments to a Dockerfile, in place of their defaults.
    pub fn give(&mut self, id: FileId, given: &GivenArguments) {
        if let Content::Dockerfile(dockerfile) = &self.files[id.0].content
            && let Ok(dockerfile) = dockerfile.clone().with_arguments(Arc::new(given.clone()))
        {
            self.update(id, Content::Dockerfile(dockerfile));
        }
    }

    /// The Dockerfiles.
    pub fn dockerfiles(&self) -> impl Iterator<Item = (FileId, &Dockerfile)> {
        self.files().filter_map(|(id, file)| Some((id, file.dockerfile()?)))
    }

    /// The manifests.
    pub fn manifests(&self) -> impl Iterator<Item = (FileId, &Manifest)> {
        self.files().filter_map(|(id, file)| Some((id, file.manifest()?)))
    }

    /// Every container, in file order.
    pub fn containers(&self) -> impl Iterator<Item = ContainerId> {
        self.manifests().flat_map(|(file, manifest)| {
            manifest.workloads.iter().enumerate().flat_map(move |(workload, found)| {
                (0..found.containers.len()).map(move |container| ContainerId { file, workload, container })
            })
        })
    }
}

impl File {
    /// The text as it is now.
    pub fn text(&self) -> &Arc<str> {
        match &self.content {
            Content::Dockerfile(dockerfile) => dockerfile.text(),
            Content::Manifest(manifest) => manifest.stream.text(),
            Content::Compose(stream) => stream.text(),
        }
    }

    /// The Dockerfile in it.
    pub fn dockerfile(&self) -> Option<&Dockerfile> {
        match &self.content {
            Content::Dockerfile(dockerfile) => Some(dockerfile),
            _ => None,
        }
    }

    /// The manifest in it.
    pub fn manifest(&self) -> Option<&Manifest> {
        match &self.content {
            Content::Manifest(manifest) => Some(manifest),
            _ => None,
        }
    }
}

fn default_account(file: &File) -> Option<String> {
    let manifest = file.manifest()?;
    let text = manifest.stream.text();
    let mentions = ["RoleBinding", "ServiceAccount", "Namespace"].iter().any(|kind| text.contains(kind));
    let (offset, what) = mentions.then(|| kubernetes::default_account_use(&manifest.stream)).flatten()?;
    Some(format!("{}:{} {}", file.path, manifest.line(offset), printable(&what)))
}

fn limit_range(file: &File) -> Option<String> {
    let manifest = file.manifest()?;
    let found =
        manifest.stream.text().contains("LimitRange").then(|| kubernetes::objects(&manifest.stream, "LimitRange"));
    let offset = found?.first()?.span().start;
    Some(format!("{}:{}", file.path, manifest.line(offset)))
}

/// A template is not read; one that binds the account may be among them.
fn unread_binding(tree: &Tree, unread: &[Unread]) -> Option<String> {
    unread.par_iter().find_map_first(|file| {
        let text = tree.read(&file.path)?;
        let binds = text.contains("RoleBinding")
            && ["name: default", "name: \"default\"", "system:serviceaccounts"].iter().any(|name| text.contains(name));
        binds.then(|| format!("{} may give it rights, and is not read", file.path))
    })
}

fn api_configs(file: &File) -> Vec<(String, String)> {
    let Some(manifest) = file.manifest() else { return Vec::new() };
    let text = manifest.stream.text();
    if !text.contains("ConfigMap") || kubernetes::api_call(text).is_none() {
        return Vec::new();
    }
    let maps = kubernetes::objects(&manifest.stream, "ConfigMap").into_iter();
    maps.filter_map(|map| {
        let name = map.get("metadata")?.get("name")?.as_str()?.into_owned();
        let (offset, call) = kubernetes::api_call(map.span().of(text))?;
        let line = manifest.line(map.span().start + offset);
        Some((name, format!("{}:{line} ({})", file.path, printable(&call))))
    })
    .collect()
}

fn kustomization(file: &File) -> Option<(String, Kustomization)> {
    let manifest = file.manifest().filter(|manifest| manifest.role == Role::Kustomization)?;
    Some((file.path.clone(), Kustomization::read(&manifest.stream)))
}

/// `None` for a stream without a Kubernetes object and for a compose file that does not parse: neither is ours to judge.
fn parse(candidate: Candidate, kinds: &Kinds, config: &Config) -> Option<Result<File, Unread>> {
    let Candidate { path, class, text } = candidate;
    let content = match class {
        Class::Dockerfile => match dockerfile::parse(text.clone()) {
            Ok(dockerfile) => Content::Dockerfile(dockerfile),
            Err(error) => {
                let position = Some(Position::of(&text, error.offset));
                return Some(Err(Unread { path, position, code: "parse".to_owned(), message: error.message }));
            }
        },
        Class::Values if !config.pin_helm_values => return None,
        Class::Manifest | Class::Kustomization | Class::Values => match yaml::parse(text.clone()) {
            Ok(stream) if class == Class::Values => {
                Content::Manifest(Manifest::new(stream, kinds).with_role(Role::Values))
            }
            Ok(stream) if class == Class::Kustomization => {
                Content::Manifest(Manifest::new(stream, kinds).with_role(Role::Kustomization))
            }
            Ok(stream) if kubernetes::has_objects(&stream) => Content::Manifest(Manifest::new(stream, kinds)),
            Ok(_) => return None,
            // A JSON file that merely mentions both words and is no JSON is nobody's manifest.
            Err(refusal) if refusal.code == Code::Parse && path.ends_with(".json") => return None,
            Err(refusal) => {
                let position = refusal.offset.map(|offset| Position::of(&text, offset));
                let code = refusal.code.to_string();
                return Some(Err(Unread { path, position, code, message: refusal.message }));
            }
        },
        Class::Compose => Content::Compose(yaml::parse(text.clone()).ok()?),
    };
    Some(Ok(File { path, original: text, content }))
}
