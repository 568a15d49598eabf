//! The pod specs of a stream: in objects of the kinds that hold some, in lists of them, and in objects that hold others.
//!
//! An object is judged by `apiVersion` and `kind` together, so that a Service is told from Knative's, and a CRD's schema is never taken for a
//! workload. An object without any image is a patch that some other file completes, and no workload.

use super::kinds::{Assembled, Holder, Kind as KindRow, Places, follow};
use super::{Kinds, Settings};
use crate::yaml::{Document, Node, Route, Step, Stream};
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
    /// Whether the platform chooses the user, whatever its kind does with settings.
    pub assigned: bool,
    /// Programs that the object's operator starts in the containers, whatever the image's command is.
    pub starts: Option<String>,
    /// What the object's operator does in the containers that takes root, to be read after the place of a container.
    pub needs_root: Option<String>,
    /// Why its pods need the token of their account, whatever stands in them.
    pub needs_token: Option<String>,
    /// Where something else than a pod spec is what its pods are made of.
    pub assembly: Option<Assembly>,
    /// How values are written that are not known before somebody gives them.
    pub parameters: Parameters,
}

/// What its operator knows of a pod beside what stands at [`Workload::pod_spec`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembly {
    /// What holds for each pod of the object that does not say otherwise.
    pub defaults: Option<Route>,
    /// What a container is called that has no name.
    pub name: String,
    /// The key under which a container holds a script that its command is to run.
    pub script: String,
    /// Places in the containers where the operator puts files for them.
    pub given: Vec<String>,
    /// Places in the containers from where the operator takes files.
    pub taken: Vec<String>,
    /// What is merged into the pod in the end.
    pub patches: Vec<PodPatch>,
}

/// Something that an operator merges into a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPatch {
    /// The key that it stands under.
    pub key: String,
    text: String,
}

impl PodPatch {
    /// Whether it may set one of these keys.
    pub fn may_set(&self, keys: &[&str]) -> bool {
        let text =
            self.text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '|' | '>' | '-' | '"' | '\''));
        text.starts_with("{{") || keys.iter().any(|key| self.text.contains(key))
    }
}

/// How values are written that are not known before somebody gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Parameters {
    /// All values are what they are.
    #[default]
    None,
    /// `${NAME}` and `${{NAME}}`, for these names
    /// (<https://docs.redhat.com/en/documentation/openshift_container_platform/4.17/html/images/using-templates>).
    Named(BTreeSet<String>),
    /// `{{anything}}` (<https://argo-workflows.readthedocs.io/en/latest/variables/>).
    Braces,
}

impl Parameters {
    /// The first of them in a text, as it is written.
    pub fn first_in<'a>(&self, text: &'a str) -> Option<&'a str> {
        let (start, end) = match self {
            Self::None => return None,
            Self::Named(_) => ("${", "}"),
            Self::Braces => ("{{", "}}"),
        };
        text.match_indices(start).find_map(|(at, _)| {
            let rest = text.get(at..)?;
            let written = rest.get(..rest.find(end)? + end.len())?;
            match self {
                Self::Named(names) => {
                    let name = written.trim_start_matches(['$', '{']).trim_end_matches('}');
                    // `${{NAME}}` ends in two.
                    let written = if written.starts_with("${{") { rest.get(..written.len() + 1)? } else { written };
                    names.contains(name).then_some(written)
                }
                Self::None | Self::Braces => Some(written),
            }
        })
    }
}

impl Workload {
    /// The pod spec's node, in the stream that the workload was found in.
    pub fn pod_node<'a>(&self, stream: &'a Stream) -> Option<Node<'a>> {
        stream.document(self.document)?.at(&self.pod_spec)
    }

    /// What holds for its pods where [`Self::pod_node`] is silent.
    pub fn pod_defaults<'a>(&self, stream: &'a Stream) -> Option<Node<'a>> {
        stream.document(self.document)?.at(self.assembly.as_ref()?.defaults.as_ref()?)
    }

    /// The entries of `volumes`. Of those that all pods of the object share, a pod gets what its containers mount.
    pub fn volume_nodes<'a>(&self, stream: &'a Stream) -> Vec<Node<'a>> {
        let listed = |pod: Option<Node<'a>>| -> Vec<Node<'a>> {
            let volumes = pod.and_then(|pod| pod.lookup("volumes")).map(Node::resolved);
            volumes.into_iter().flat_map(Node::items).map(Node::resolved).collect()
        };
        let mut volumes = listed(self.pod_node(stream));
        let shared = listed(self.pod_defaults(stream));
        if !shared.is_empty() {
            let views = (0..self.containers.len()).filter_map(|index| self.container_view(stream, index));
            let mounted: BTreeSet<String> = views.flat_map(|view| view.mounts()).map(|mount| mount.volume).collect();
            let own: Vec<String> = volumes.iter().filter_map(|volume| text(*volume, "name")).collect();
            let is_used = |name: String| mounted.contains(&name) && !own.contains(&name);
            volumes.extend(shared.into_iter().filter(|volume| text(*volume, "name").is_some_and(is_used)));
        }
        volumes
    }

    /// The metadata of its pods, which stands beside the pod spec; that of a bare Pod is the object's own.
    pub fn pod_metadata<'a>(&self, stream: &'a Stream) -> Option<Node<'a>> {
        if self.assembly.is_some() {
            return self.pod_node(stream)?.lookup("metadata");
        }
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
            let surroundings = Surroundings {
                document,
                kinds,
                depth: LIST_DEPTH,
                settings: Settings::AsWritten,
                parameters: Parameters::None,
            };
            collect(&surroundings, root, &Route::root(), &mut found);
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
pub fn patched_workloads(stream: &Stream, kinds: &Kinds) -> Vec<Patched> {
    let roots = stream.documents().filter_map(Document::root);
    roots
        .filter_map(|object| {
            let (api_version, kind) = (text(object, "apiVersion")?, text(object, "kind")?);
            let name = text(object.get("metadata")?, "name")?;
            let row = kinds.find(&api_version, &kind)?;
            let pods = row.pod_specs(object, &Route::root()).into_iter();
            let holders = pods.flat_map(|(pod, route)| {
                row.containers(pod, &route).into_iter().map(|(_, container, _)| container).chain([pod])
            });
            let entries = holders.flat_map(Node::entries);
            Some(Patched {
                kind,
                name,
                keys: entries.filter_map(|(key, _)| Some(key.as_str()?.into_owned())).collect(),
            })
        })
        .collect()
}

/// The objects of one kind, those in lists and in other objects included.
pub fn objects<'a>(stream: &'a Stream, kind: &str) -> Vec<Node<'a>> {
    let mut found = Vec::new();
    let mut queue: Vec<(Node<'a>, usize)> =
        stream.documents().filter_map(Document::root).map(|root| (root, LIST_DEPTH)).collect();
    while let Some((object, depth)) = queue.pop() {
        if text(object, "kind").as_deref() == Some(kind) {
            found.push(object);
        } else if let Some((members, _)) = members(object, &Route::root()).filter(|_| depth > 0) {
            queue.extend(members.into_iter().map(|(member, _)| (member, depth - 1)));
        }
    }
    found
}

/// What is known of an object before it is looked at.
struct Surroundings<'a> {
    document: Document<'a>,
    kinds: &'a Kinds,
    /// How many more objects may hold it.
    depth: usize,
    /// What becomes of the security settings in it, where that is not for its kind to say.
    settings: Settings,
    parameters: Parameters,
}

/// The objects that a list or another object holds; `None` where it holds none.
fn members<'a>(object: Node<'a>, route: &Route) -> Option<(Places<'a>, Option<&'static Holder>)> {
    let (api_version, kind) = (text(object, "apiVersion").unwrap_or_default(), text(object, "kind")?);
    if kind.ends_with("List") {
        return Some((follow(object, route, "items.*"), None));
    }
    let holder = Holder::find(&api_version, &kind)?;
    Some((follow(object, route, &holder.objects), Some(holder)))
}

fn collect<'a>(surroundings: &Surroundings<'a>, object: Node<'a>, route: &Route, found: &mut Vec<Workload>) {
    let (Some(api_version), Some(kind)) = (text(object, "apiVersion"), text(object, "kind")) else { return };
    let Some(row) = surroundings.kinds.find(&api_version, &kind) else {
        let Some((members, holder)) = members(object, route).filter(|_| surroundings.depth > 0) else { return };
        let names = |path: &String| {
            let names = follow(object, &Route::root(), path).into_iter();
            Parameters::Named(names.filter_map(|(name, _)| Some(name.as_str()?.into_owned())).collect())
        };
        let settings = holder.map(|holder| holder.settings).filter(|settings| *settings != Settings::AsWritten);
        let parameters = holder.and_then(|holder| holder.parameters.as_ref()).map(names);
        let surroundings = Surroundings {
            document: surroundings.document,
            kinds: surroundings.kinds,
            depth: surroundings.depth - 1,
            settings: settings.unwrap_or(surroundings.settings),
            parameters: parameters.unwrap_or_else(|| surroundings.parameters.clone()),
        };
        for (member, route) in members {
            collect(&surroundings, member, &route, found);
        }
        return;
    };
    let metadata = object.get("metadata");
    let named = |key| metadata.and_then(|metadata| text(metadata, key));
    for (node, pod_spec) in row.pod_specs(object, route) {
        let containers = containers(row, node, &pod_spec);
        if containers.iter().all(|container| container.image.is_empty()) || is_patch(row, node) {
            continue;
        }
        let assembly = row.assembled.as_ref().map(|assembled| assembly(assembled, object, route, node));
        let parameters = match (&surroundings.parameters, &assembly) {
            (Parameters::None, Some(_)) => Parameters::Braces,
            (parameters, _) => parameters.clone(),
        };
        let settings = match row.settings {
            Settings::AsWritten => surroundings.settings,
            settings => settings,
        };
        found.push(Workload {
            document: surroundings.document.index(),
            route: route.clone(),
            kind: kind.clone(),
            name: named("name").or_else(|| named("generateName")).unwrap_or_default(),
            part: if row.holds_several() { part(route, &pod_spec) } else { String::new() },
            pod_spec,
            containers,
            settings,
            assigned: settings == Settings::UserAssigned || surroundings.settings == Settings::UserAssigned,
            starts: row.starts.clone(),
            needs_root: row.needs_root(object).map(str::to_owned),
            needs_token: row.needs_token.clone(),
            assembly,
            parameters,
        });
    }
}

fn assembly(assembled: &Assembled, object: Node<'_>, route: &Route, pod: Node<'_>) -> Assembly {
    let texts = |paths: &[String]| -> Vec<String> {
        let found = paths.iter().flat_map(|path| follow(pod, &Route::root(), path));
        found.filter_map(|(node, _)| Some(node.as_str()?.into_owned())).collect()
    };
    let patch = |(node, route): (Node<'_>, Route)| {
        let Some(Step::Key(key)) = route.0.last() else { return None };
        Some(PodPatch { key: key.clone(), text: node.raw().to_owned() })
    };
    Assembly {
        defaults: follow(object, route, &assembled.defaults).into_iter().map(|(_, route)| route).next(),
        name: assembled.name.clone(),
        script: assembled.script.clone(),
        given: texts(&assembled.given),
        taken: texts(&assembled.taken),
        patches: assembled.patches.iter().flat_map(|path| follow(object, route, path)).filter_map(patch).collect(),
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
fn is_patch(row: &KindRow, pod_spec: Node<'_>) -> bool {
    let above = std::iter::successors(Some(pod_spec), |node| node.parent());
    let items = row.containers(pod_spec, &Route::root()).into_iter().map(|(_, container, _)| container);
    above.chain(items).any(|node| node.has("$patch"))
}

fn containers(row: &KindRow, pod_spec: Node<'_>, route: &Route) -> Vec<Container> {
    let found = row.containers(pod_spec, route).into_iter();
    let container = |(kind, node, route)| Container {
        kind,
        name: text(node, "name").unwrap_or_default(),
        image: text(node, "image").unwrap_or_default(),
        route,
    };
    found.map(container).collect()
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
