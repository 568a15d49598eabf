//! The pod specs of a stream: in objects of the kinds that hold some, and in lists of them.
//!
//! An object is judged by `apiVersion` and `kind` together, so that a Service is told from Knative's, and a CRD's schema is never taken for a
//! workload. An object without any image is a patch that some other file completes, and no workload.

use super::{Kinds, Settings};
use crate::yaml::{Document, Kind, Node, Route, Step, Stream};
use std::collections::BTreeSet;

/// How deep `List` objects are looked into; nesting them has no use.
const LIST_DEPTH: usize = 4;

/// A pod spec, in the object that starts pods from it. An object may hold several.
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
    /// Which of the object's pod specs this is (`workerGroupSpecs[0]`); empty for kinds that hold one.
    pub part: String,
    /// The pod spec.
    pub pod_spec: Route,
    /// Init containers, containers, ephemeral containers, in this order.
    pub containers: Vec<Container>,
    /// What becomes of the security settings in it.
    pub settings: Settings,
    /// Programs that the object's operator starts in the containers, whatever the image's command is.
    pub starts: Option<String>,
    /// What the object's operator does in the containers that takes root, to be read after the place of a container.
    pub needs_root: Option<String>,
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

    /// `metadata.namespace`, where the file says it.
    pub fn namespace(&self, stream: &Stream) -> Option<String> {
        let object = stream.document(self.document)?.at(&self.route)?;
        text(object.get("metadata")?, "namespace")
    }

    /// The labels of its pods, which Services select by.
    pub fn labels(&self, stream: &Stream) -> Vec<(String, String)> {
        pairs(self.pod_metadata(stream).and_then(|metadata| metadata.get("labels")))
    }

    /// Byte offset of the object in the stream that it was found in.
    pub fn offset(&self, stream: &Stream) -> usize {
        let object = stream.document(self.document).and_then(|document| document.at(&self.route));
        object.map_or(0, |object| object.span().start)
    }

    /// How reports name it: `Deployment/web`, `RayCluster/ml workerGroupSpecs[0]`.
    pub fn label(&self) -> String {
        let Self { kind, name, part, .. } = self;
        if part.is_empty() { format!("{kind}/{name}") } else { format!("{kind}/{name} {part}") }
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

/// The workloads of a stream: objects in file order, and within an object by the paths of its kind.
pub fn workloads(stream: &Stream, kinds: &Kinds) -> Vec<Workload> {
    let mut found = Vec::new();
    for document in stream.documents() {
        if let Some(root) = document.root() {
            collect(document, kinds, root, &Route::root(), LIST_DEPTH, &mut found);
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
pub fn patched_workloads<'a>(stream: &'a Stream, kinds: &Kinds) -> Vec<Patched> {
    let roots = stream.documents().filter_map(Document::root);
    roots
        .filter_map(|object| {
            let (api_version, kind) = (text(object, "apiVersion")?, text(object, "kind")?);
            let name = text(object.get("metadata")?, "name")?;
            let pods = kinds.find(&api_version, &kind)?.pod_specs(object, &Route::root());
            let containers = |pod: Node<'a>| ContainerKind::ALL.iter().filter_map(move |kind| pod.get(kind.key()));
            let entries = pods
                .into_iter()
                .flat_map(|(pod, _)| containers(pod).flat_map(Node::items).chain([pod]))
                .flat_map(Node::entries);
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

fn collect(
    document: Document<'_>,
    kinds: &Kinds,
    object: Node<'_>,
    route: &Route,
    depth: usize,
    found: &mut Vec<Workload>,
) {
    let (Some(api_version), Some(kind)) = (text(object, "apiVersion"), text(object, "kind")) else { return };
    let Some(row) = kinds.find(&api_version, &kind) else {
        if kind.ends_with("List") && depth > 0 {
            let items = object.get("items").into_iter().flat_map(Node::items);
            for (index, item) in items.enumerate() {
                collect(document, kinds, item, &route.key("items").index(index), depth - 1, found);
            }
        }
        return;
    };
    let metadata = object.get("metadata");
    let named = |key| metadata.and_then(|metadata| text(metadata, key));
    for (node, pod_spec) in row.pod_specs(object, route) {
        let containers = containers(node, &pod_spec);
        if containers.iter().all(|container| container.image.is_empty()) || is_patch(node) {
            continue;
        }
        found.push(Workload {
            document: document.index(),
            route: route.clone(),
            kind: kind.clone(),
            name: named("name").or_else(|| named("generateName")).unwrap_or_default(),
            part: if row.holds_several() { part(route, &pod_spec) } else { String::new() },
            pod_spec,
            containers,
            settings: row.settings,
            starts: row.starts.clone(),
            needs_root: row.needs_root(object).map(str::to_owned),
        });
    }
}

/// What tells pod specs of one object apart: the route from the object, without the `spec` before and the `template.spec` behind that all have.
fn part(object: &Route, pod_spec: &Route) -> String {
    let is = |step: &Step, names: &[&str]| matches!(step, Step::Key(key) if names.contains(&key.as_str()));
    let mut steps = pod_spec.0.get(object.0.len()..).unwrap_or_default();
    if let [first, rest @ ..] = steps
        && is(first, &["spec"])
    {
        steps = rest;
    }
    while let [rest @ .., last] = steps
        && is(last, &["spec", "template"])
    {
        steps = rest;
    }
    Route(steps.to_vec()).to_string()
}

/// Whether a directive of a strategic merge patch stands in the pod spec or above it
/// (<https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md#basic-patch-format>).
fn is_patch(pod_spec: Node<'_>) -> bool {
    let above = std::iter::successors(Some(pod_spec), |node| node.parent());
    let items = ContainerKind::ALL.iter().filter_map(|kind| pod_spec.get(kind.key())).flat_map(Node::items);
    above.chain(items).any(|node| node.has("$patch"))
}

fn containers(pod_spec: Node<'_>, route: &Route) -> Vec<Container> {
    let mut containers = Vec::new();
    for kind in ContainerKind::ALL {
        let Some(list) = pod_spec.get(kind.key()) else { continue };
        for (index, item) in list.items().enumerate() {
            if item.resolved().kind() == Kind::Mapping {
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
    node.lookup(key)?.as_str().map(|text| text.into_owned())
}
