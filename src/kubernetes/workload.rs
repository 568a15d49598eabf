//! Where pod specs live: the built-in kinds, and lists of them.
//!
//! An object is judged by `apiVersion` and `kind` together, so that Knative's `Service` or a CRD's schema is never taken for a workload. An object
//! without any image is a patch that some other file completes, and no workload.

use crate::yaml::{Document, Kind, Node, Route, Stream};
use std::collections::BTreeSet;

/// How deep `List` objects are looked into; nesting them has no use.
const LIST_DEPTH: usize = 4;

/// An object that starts containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Index of the document in the stream.
    pub document: usize,
    /// The object itself; not the root when it stands in a `List`.
    pub route: Route,
    /// `Deployment`, `CronJob`, ...
    pub kind: String,
    /// `metadata.name`, or `metadata.generateName`; empty when there is none.
    pub name: String,
    /// The pod spec.
    pub pod_spec: Route,
    /// Init containers, containers, ephemeral containers, in this order.
    pub containers: Vec<Container>,
}

impl Workload {
    /// The pod spec's node, in the stream that the workload was found in.
    pub fn pod_node<'a>(&self, stream: &'a Stream) -> Option<Node<'a>> {
        stream.document(self.document)?.at(&self.pod_spec)
    }

    /// The metadata of its pods, which stands beside the pod spec; that of a bare Pod is the object's own.
    pub fn pod_metadata<'a>(&self, stream: &'a Stream) -> Option<Node<'a>> {
        let mut template = self.pod_spec.clone();
        template.0.pop();
        stream.document(self.document)?.at(&template)?.lookup("metadata")
    }

    /// The labels of its pods, which Services select by.
    pub fn labels(&self, stream: &Stream) -> Vec<(String, String)> {
        pairs(self.pod_metadata(stream).and_then(|metadata| metadata.get("labels")))
    }

    /// How reports name it: `Deployment/web`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// Which list of the pod spec a container stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerKind {
    /// `initContainers`
    Init,
    /// `containers`
    Regular,
    /// `ephemeralContainers`
    Ephemeral,
}

impl ContainerKind {
    /// In the order in which the kubelet starts them.
    pub const ALL: [Self; 3] = [Self::Init, Self::Regular, Self::Ephemeral];

    /// The key of the list.
    pub fn key(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Regular => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }

    /// What one item of the list is called.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Init => "init container",
            Self::Regular => "container",
            Self::Ephemeral => "ephemeral container",
        }
    }
}

/// One container of a pod spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its list.
    pub kind: ContainerKind,
    /// `name`; empty when there is none.
    pub name: String,
    /// `image` as the file says; empty when there is none.
    pub image: String,
    /// The container's mapping.
    pub route: Route,
}

/// The workloads of a stream, in file order.
pub fn workloads(stream: &Stream) -> Vec<Workload> {
    let mut found = Vec::new();
    for document in stream.documents() {
        if let Some(root) = document.root() {
            collect(document, root, &Route::root(), LIST_DEPTH, &mut found);
        }
    }
    found
}

/// Whether any document of the stream is a Kubernetes object.
pub fn has_objects(stream: &Stream) -> bool {
    stream
        .documents()
        .filter_map(Document::root)
        .any(|root| text(root, "apiVersion").is_some() && text(root, "kind").is_some())
}

/// A workload that a strategic-merge patch changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patched {
    /// `Deployment`, `CronJob`, ...
    pub kind: String,
    /// `metadata.name`
    pub name: String,
    /// The keys that it sets in the pod spec and in containers.
    pub keys: BTreeSet<String>,
}

/// The workloads that a strategic-merge patch changes.
pub fn patched_workloads(stream: &Stream) -> Vec<Patched> {
    let roots = stream.documents().filter_map(Document::root);
    roots
        .filter_map(|object| {
            let (api_version, kind) = (text(object, "apiVersion")?, text(object, "kind")?);
            let name = text(object.get("metadata")?, "name")?;
            let mut pod = object;
            for step in pod_spec_steps(&api_version, &kind)? {
                pod = pod.get(step)?;
            }
            let containers = ContainerKind::ALL.iter().filter_map(|kind| pod.get(kind.key())).flat_map(Node::items);
            let entries = containers.chain([pod]).flat_map(Node::entries);
            Some(Patched {
                kind,
                name,
                keys: entries.filter_map(|(key, _)| Some(key.as_str()?.into_owned())).collect(),
            })
        })
        .collect()
}

/// The objects of one kind, those in lists included.
pub fn objects<'a>(stream: &'a Stream, kind: &str) -> Vec<Node<'a>> {
    let mut found = Vec::new();
    let mut queue: Vec<(Node<'a>, usize)> =
        stream.documents().filter_map(Document::root).map(|root| (root, LIST_DEPTH)).collect();
    while let Some((object, depth)) = queue.pop() {
        match text(object, "kind") {
            Some(this) if this == kind => found.push(object),
            Some(this) if this.ends_with("List") && depth > 0 => {
                queue.extend(object.get("items").into_iter().flat_map(Node::items).map(|item| (item, depth - 1)));
            }
            _ => {}
        }
    }
    found
}

fn collect(document: Document<'_>, object: Node<'_>, route: &Route, depth: usize, found: &mut Vec<Workload>) {
    let (Some(api_version), Some(kind)) = (text(object, "apiVersion"), text(object, "kind")) else { return };
    if kind.ends_with("List") && depth > 0 {
        if let Some(items) = object.get("items") {
            for (index, item) in items.items().enumerate() {
                collect(document, item, &route.key("items").index(index), depth - 1, found);
            }
        }
        return;
    }
    let Some(steps) = pod_spec_steps(&api_version, &kind) else { return };
    let mut pod_spec = route.clone();
    let mut node = object;
    for step in steps {
        pod_spec = pod_spec.key(step);
        match node.get(step) {
            Some(next) => node = next,
            None => return,
        }
    }
    let containers = containers(node, &pod_spec);
    if containers.iter().all(|container| container.image.is_empty()) {
        return;
    }
    let metadata = object.get("metadata");
    let named = |key| metadata.and_then(|metadata| text(metadata, key));
    found.push(Workload {
        document: document.index(),
        route: route.clone(),
        kind,
        name: named("name").or_else(|| named("generateName")).unwrap_or_default(),
        pod_spec,
        containers,
    });
}

/// The keys from a built-in object to its pod spec. The removed groups (`extensions`, `apps/v1beta1`) held the same shapes.
fn pod_spec_steps(api_version: &str, kind: &str) -> Option<&'static [&'static str]> {
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    match (group, kind) {
        ("", "Pod") => Some(&["spec"]),
        ("", "PodTemplate") => Some(&["template", "spec"]),
        ("", "ReplicationController")
        | ("apps" | "extensions", "Deployment" | "ReplicaSet" | "DaemonSet")
        | ("apps", "StatefulSet")
        | ("batch", "Job") => Some(&["spec", "template", "spec"]),
        ("batch", "CronJob") => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
        _ => None,
    }
}

fn containers(pod_spec: Node<'_>, route: &Route) -> Vec<Container> {
    let mut containers = Vec::new();
    for kind in ContainerKind::ALL {
        let Some(list) = pod_spec.get(kind.key()) else { continue };
        for (index, item) in list.items().enumerate() {
            if item.kind() == Kind::Mapping {
                containers.push(Container {
                    kind,
                    name: text(item, "name").unwrap_or_default(),
                    image: text(item, "image").unwrap_or_default(),
                    route: route.key(kind.key()).index(index),
                });
            }
        }
    }
    containers
}

/// A Service, as far as it concerns the pods behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `metadata.name`
    pub name: String,
    /// `spec.selector`
    pub selector: Vec<(String, String)>,
    /// The numbers that it sends to: `targetPort`, or `port` where that is absent. Named ports are left out.
    pub target_ports: Vec<i64>,
}

impl Service {
    /// Whether pods with these labels stand behind it. A Service without a selector selects nothing.
    pub fn selects(&self, labels: &[(String, String)]) -> bool {
        !self.selector.is_empty() && self.selector.iter().all(|pair| labels.contains(pair))
    }
}

/// The Services of a stream.
pub fn services(stream: &Stream) -> Vec<Service> {
    let objects = objects(stream, "Service").into_iter();
    objects
        .filter_map(|object| {
            let spec = object.get("spec")?;
            let ports = spec.get("ports").into_iter().flat_map(Node::items);
            Some(Service {
                name: object.get("metadata").and_then(|metadata| text(metadata, "name")).unwrap_or_default(),
                selector: pairs(spec.get("selector")),
                target_ports: ports
                    .filter_map(|port| port.get("targetPort").or_else(|| port.get("port"))?.as_i64())
                    .collect(),
            })
        })
        .collect()
}

fn pairs(mapping: Option<Node<'_>>) -> Vec<(String, String)> {
    let entries = mapping.into_iter().flat_map(Node::entries);
    entries.filter_map(|(key, value)| Some((key.as_str()?.into_owned(), value.as_str()?.into_owned()))).collect()
}

fn text(node: Node<'_>, key: &str) -> Option<String> {
    node.get(key)?.as_str().map(|text| text.into_owned())
}
