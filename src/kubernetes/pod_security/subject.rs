//! The pod that is judged, read as the API server decodes it: aliases and merges followed, and null as good as absent.

use crate::kubernetes::{Assembly, ContainerKind, Workload};
use crate::yaml::{Kind, Node, Scalar, Stream};

/// A pod: its spec and what its metadata adds.
pub(super) struct Pod<'a> {
    /// The pod spec.
    pub(super) spec: Node<'a>,
    /// Init containers, containers, ephemeral containers: all of them are judged alike (upstream `policy/visitor.go`).
    pub(super) containers: Vec<Container<'a>>,
    /// What holds where the spec is silent.
    defaults: Option<Node<'a>>,
    volumes: Vec<Node<'a>>,
    metadata: Option<Node<'a>>,
}

/// A container of the pod.
#[derive(Clone)]
pub(super) struct Container<'a> {
    /// `name`; empty when there is none.
    pub(super) name: String,
    /// The item of the list. Where it is no mapping, the container has no fields.
    pub(super) node: Node<'a>,
    /// `securityContext`
    pub(super) context: Option<Node<'a>>,
}

impl<'a> Pod<'a> {
    pub(super) fn new(metadata: Option<Node<'a>>, spec: Node<'a>) -> Self {
        let spec = spec.resolved();
        let nodes = ContainerKind::ALL.into_iter().flat_map(|kind| items(spec, kind.key()));
        let containers = nodes.map(|node| Container::new(node, "")).collect();
        Self {
            spec,
            defaults: None,
            containers,
            volumes: items(spec, "volumes"),
            metadata: metadata.map(Node::resolved),
        }
    }

    /// The pods that `workload` is assembled into, as far as its file says; what its operator adds to them is not judged.
    pub(super) fn assembled(workload: &Workload, assembly: &Assembly, stream: &'a Stream) -> Option<Self> {
        let document = stream.document(workload.document)?;
        let containers = workload.containers.iter().filter_map(|container| document.at(&container.route));
        Some(Self {
            spec: workload.pod_node(stream)?.resolved(),
            defaults: workload.pod_defaults(stream).map(Node::resolved),
            containers: containers.map(|node| Container::new(node, &assembly.name)).collect(),
            volumes: workload.volume_nodes(stream),
            metadata: workload.pod_metadata(stream).map(Node::resolved),
        })
    }

    /// A field of the pod.
    pub(super) fn field(&self, key: &str) -> Option<Node<'a>> {
        field(self.spec, key).or_else(|| field(self.defaults?, key))
    }

    /// The pod's own `securityContext`.
    pub(super) fn context(&self) -> Option<Node<'a>> {
        self.field("securityContext")
    }

    /// The entries of the pod's `volumes`.
    pub(super) fn volumes(&self) -> &[Node<'a>] {
        &self.volumes
    }

    /// The annotations: key, value, and the value's node. A null value decodes as an empty string, and so does what the API server would
    /// refuse.
    pub(super) fn annotations(&self) -> Vec<(String, String, Node<'a>)> {
        let Some(annotations) = self.metadata.and_then(|metadata| field(metadata, "annotations")) else {
            return Vec::new();
        };
        let mut found: Vec<(String, String, Node<'a>)> = Vec::new();
        for (key, value) in annotations.merged().flat_map(Node::entries) {
            let key = key.resolved().text();
            if !found.iter().any(|(other, _, _)| *other == key) {
                let value = value.resolved();
                let text = if value.is_null() { String::new() } else { value.text().into_owned() };
                found.push((key.into_owned(), text, value));
            }
        }
        found
    }

    /// Whether the pod says that it is one of Windows. The node selector says nothing about it here.
    pub(super) fn is_windows(&self) -> bool {
        let os = self.field("os").and_then(|os| field(os, "name"));
        os.and_then(Node::as_str).is_some_and(|name| name == "windows")
    }

    /// Whether the pod has a user namespace of its own, in which root is no root of the host (upstream `policy/helpers.go`).
    pub(super) fn has_user_namespace(&self) -> bool {
        self.field("hostUsers").and_then(Node::as_bool) == Some(false)
    }
}

impl<'a> Container<'a> {
    /// `name` is what it is called where it says nothing.
    fn new(node: Node<'a>, name: &str) -> Self {
        let own = field(node, "name").map(shown);
        Self { name: own.unwrap_or_else(|| name.to_owned()), node, context: field(node, "securityContext") }
    }

    /// The node that is nearest to what the `securityContext` lacks.
    pub(super) fn nearest(&self) -> Node<'a> {
        self.context.unwrap_or(self.node)
    }
}

/// The value of a key. Null counts as absent, as it does when the API server decodes an optional field.
pub(super) fn field<'a>(node: Node<'a>, key: &str) -> Option<Node<'a>> {
    node.lookup(key).filter(|value| !value.is_null())
}

/// The items of a list. What is no list stands for its only item, so that a value of the wrong type is judged and not passed over.
pub(super) fn items<'a>(node: Node<'a>, key: &str) -> Vec<Node<'a>> {
    match field(node, key) {
        Some(list) if list.kind() == Kind::Sequence => list.items().map(Node::resolved).collect(),
        Some(value) => vec![value],
        None => Vec::new(),
    }
}

/// The value under `key` when it is neither absent nor the boolean `allowed`.
pub(super) fn unless_bool<'a>(node: Node<'a>, key: &str, allowed: bool) -> Option<Node<'a>> {
    field(node, key).filter(|value| value.as_bool() != Some(allowed))
}

/// The value under `key` when it is neither absent nor one of the strings in `allowed`.
pub(super) fn unless_string<'a>(node: Node<'a>, key: &str, allowed: &[&str]) -> Option<Node<'a>> {
    field(node, key).filter(|value| !is_one_of(*value, allowed))
}

/// Whether a node is one of these strings.
pub(super) fn is_one_of(node: Node<'_>, allowed: &[&str]) -> bool {
    node.as_str().is_some_and(|text| allowed.contains(&text.as_ref()))
}

/// A scalar as messages show it, numbers in the form that the API server prints; empty for null and for collections.
pub(super) fn shown(node: Node<'_>) -> String {
    match node.scalar() {
        Some(Scalar::Int(number)) => number.to_string(),
        Some(Scalar::Null) | None => String::new(),
        Some(_) => node.text().into_owned(),
    }
}
