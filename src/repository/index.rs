//! Objects that many containers are held against, found once for all of them.
//!
//! Steps edit workloads and nothing else, so the objects stay what they are, and where they are, for a whole run.

use super::{File, FileId, Role};
use crate::kubernetes::{self, Service};
use crate::yaml::{Node, Route};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Kinds that are looked up by name.
const KINDS: [&str; 3] = ["ConfigMap", "PersistentVolume", "PersistentVolumeClaim"];

/// Where an object stands.
#[derive(Debug)]
struct Place {
    file: FileId,
    document: usize,
    route: Route,
}

/// The objects of a repository, by kind, name and labels.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// In file order.
    objects: BTreeMap<&'static str, Vec<Place>>,
    /// Indices into `objects` of those with a name; of several, the first.
    names: BTreeMap<&'static str, BTreeMap<String, usize>>,
    /// In file order.
    services: Vec<Service>,
    /// Indices into `services` by the first label of the selector, which a pod has if it is selected.
    selected: BTreeMap<(String, String), Vec<usize>>,
    /// The first file that may start containers in a kind that is not known.
    unknown_kind: Option<FileId>,
}

/// What one file adds.
#[derive(Default)]
struct Found {
    objects: Vec<(&'static str, Option<String>, Place)>,
    services: Vec<Service>,
    is_unknown_kind: bool,
}

impl Index {
    /// Looks through all manifests, on all cores.
    pub(super) fn of(files: &[File]) -> Self {
        let found: Vec<Found> =
            files.par_iter().enumerate().map(|(index, file)| look_through(FileId(index), file)).collect();
        let mut all = Self::default();
        for (file, found) in found.into_iter().enumerate() {
            for (kind, name, place) in found.objects {
                let places = all.objects.entry(kind).or_default();
                if let Some(name) = name {
                    all.names.entry(kind).or_default().entry(name).or_insert(places.len());
                }
                places.push(place);
            }
            for service in found.services {
                if let Some(label) = service.selector.first() {
                    all.selected.entry(label.clone()).or_default().push(all.services.len());
                }
                all.services.push(service);
            }
            if found.is_unknown_kind && all.unknown_kind.is_none() {
                all.unknown_kind = Some(FileId(file));
            }
        }
        all
    }

    /// The Services that select pods with these labels, in file order.
    pub(super) fn services(&self, labels: &[(String, String)]) -> impl Iterator<Item = &Service> {
        let mut found: Vec<usize> =
            labels.iter().filter_map(|label| self.selected.get(label)).flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().filter_map(|index| self.services.get(index)).filter(|service| service.selects(labels))
    }

    /// The objects of one kind, in file order.
    pub(super) fn objects<'a>(&'a self, files: &'a [File], kind: &str) -> impl Iterator<Item = Node<'a>> {
        self.objects.get(kind).into_iter().flatten().filter_map(|place| place.node(files))
    }

    /// The first object of this kind and name.
    pub(super) fn object<'a>(&'a self, files: &'a [File], kind: &str, name: &str) -> Option<Node<'a>> {
        let index = *self.names.get(kind)?.get(name)?;
        self.objects.get(kind)?.get(index)?.node(files)
    }

    /// The first file that may start containers in a kind that is not known.
    pub(super) fn unknown_kind(&self) -> Option<FileId> {
        self.unknown_kind
    }
}

impl Place {
    fn node<'a>(&self, files: &'a [File]) -> Option<Node<'a>> {
        files.get(self.file.0)?.manifest()?.stream.document(self.document)?.at(&self.route)
    }
}

fn look_through(id: FileId, file: &File) -> Found {
    let Some(manifest) = file.manifest() else { return Found::default() };
    let (stream, text) = (&manifest.stream, manifest.stream.text());
    let mut found = Found::default();
    for kind in KINDS.into_iter().filter(|kind| text.contains(kind)) {
        for object in kubernetes::objects(stream, kind) {
            let name = object.get("metadata").and_then(|metadata| metadata.get("name")?.as_str());
            let place = Place { file: id, document: object.document().index(), route: object.route() };
            found.objects.push((kind, name.map(|name| name.into_owned()), place));
        }
    }
    if text.contains("Service") {
        found.services = kubernetes::services(stream);
    }
    // A step of Tekton is a container.
    found.is_unknown_kind = manifest.workloads.is_empty()
        && (manifest.role == Role::Objects || kubernetes::has_objects(stream))
        && ["containers:", "container:", "steps:"].iter().any(|key| text.contains(key))
        && text.contains("image:")
        && kubernetes::objects(stream, "CustomResourceDefinition").is_empty();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::kubernetes::Kinds;
    use crate::repository::{Content, Manifest};
    use crate::yaml;

    const OBJECTS: &str = "apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: both}, spec: {selector: {app: web, tier: front}}}
- {apiVersion: v1, kind: Service, metadata: {name: one}, spec: {selector: {tier: front}}}
- {apiVersion: v1, kind: Service, metadata: {name: none}, spec: {}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: web}, data: {a: b}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {generateName: disk-}
";

    fn file(path: &str, text: &str) -> File {
        let manifest = Manifest::new(yaml::parse(text).unwrap(), &Kinds::new(&Config::default()));
        File { path: path.to_owned(), original: text.into(), content: Content::Manifest(manifest) }
    }

    #[test]
    fn services_are_found_by_all_labels_of_their_selector() {
        let files = [file("a.yaml", OBJECTS)];
        let index = Index::of(&files);
        let of = |labels: &[(&str, &str)]| -> Vec<String> {
            let labels: Vec<_> = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let mut names: Vec<String> = index.services(&labels).map(|service| service.name.clone()).collect();
            names.sort();
            names
        };
        assert_eq!(of(&[("tier", "front"), ("app", "web"), ("x", "y")]), ["both", "one"]);
        assert_eq!(of(&[("tier", "front")]), ["one"]);
        assert!(of(&[("app", "web")]).is_empty());
        assert!(of(&[]).is_empty());
    }

    #[test]
    fn objects_are_found_by_name_in_lists_as_well() {
        let other = OBJECTS.replace("a: b", "a: other");
        let files = [file("a.yaml", OBJECTS), file("b.yaml", &other)];
        let index = Index::of(&files);
        let first = index.object(&files, "ConfigMap", "web").unwrap();
        assert_eq!(first.get("data").unwrap().get("a").unwrap().text(), "b");
        assert!(index.object(&files, "ConfigMap", "api").is_none());
        assert_eq!(index.objects(&files, "PersistentVolume").count(), 2);
        assert_eq!(index.unknown_kind(), None);
    }
}
