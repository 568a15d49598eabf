//! What a check says of a pod that it forbids: the API server's words, and the nodes they are about.

use super::subject::{Container, Pod, shown};
use crate::yaml::Node;
use std::collections::BTreeSet;

/// Why a check forbids a pod.
pub(super) struct Forbidden<'a> {
    /// In a few words, `privileged`.
    pub(super) reason: &'static str,
    /// Who does what, `container "web" must not set securityContext.privileged=true`.
    pub(super) detail: String,
    /// What the check is about, in the order of the visit: values that are forbidden, and the nearest nodes to those that are missing.
    pub(super) nodes: Vec<Node<'a>>,
}

impl<'a> Forbidden<'a> {
    pub(super) fn new(reason: &'static str, detail: String, nodes: Vec<Node<'a>>) -> Self {
        Self { reason, detail, nodes }
    }
}

/// The pod and the containers that break a rule, with the nodes that do.
#[derive(Default)]
pub(super) struct Offenders<'a> {
    /// Whether the pod's own `securityContext` is one of them.
    pub(super) pod: bool,
    /// The names of the containers, each as often as there are containers of that name.
    pub(super) containers: Vec<String>,
    /// What they do.
    pub(super) nodes: Vec<Node<'a>>,
}

impl<'a> Offenders<'a> {
    /// The containers for which `find` finds something.
    pub(super) fn among(pod: &Pod<'a>, find: impl Fn(&Container<'a>) -> Vec<Node<'a>>) -> Self {
        let mut offenders = Self::default();
        for container in &pod.containers {
            let nodes = find(container);
            if !nodes.is_empty() {
                offenders.containers.push(container.name.clone());
                offenders.nodes.extend(nodes);
            }
        }
        offenders
    }

    /// The containers in whose `securityContext` `find` finds something.
    pub(super) fn in_containers(pod: &Pod<'a>, find: impl Fn(Node<'a>) -> Vec<Node<'a>>) -> Self {
        Self::among(pod, |container| container.context.map(&find).unwrap_or_default())
    }

    /// The pod, and the containers, in whose `securityContext` `find` finds something.
    pub(super) fn in_contexts(pod: &Pod<'a>, find: impl Fn(Node<'a>) -> Vec<Node<'a>>) -> Self {
        let mut nodes = pod.context().map(&find).unwrap_or_default();
        let of_containers = Self::in_containers(pod, find);
        let pod = !nodes.is_empty();
        nodes.extend(of_containers.nodes);
        Self { pod, containers: of_containers.containers, nodes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// `container "a"`, `containers "a", "b"`
    pub(super) fn containers(&self) -> String {
        let count = self.containers.len();
        format!("{} {}", plural("container", "containers", count), quoted(&self.containers))
    }

    /// `pod`, `container "a"`, `pod and containers "a", "b"`
    pub(super) fn setters(&self) -> String {
        match (self.pod, self.containers.is_empty()) {
            (true, true) => "pod".to_owned(),
            (true, false) => format!("pod and {}", self.containers()),
            (false, _) => self.containers(),
        }
    }

    /// The values of the nodes, each once and in order.
    pub(super) fn values(&self) -> BTreeSet<String> {
        self.nodes.iter().map(|node| shown(*node)).collect()
    }
}

/// `"a", "b"`. Quotes inside are left as they are, as the API server does.
pub(super) fn quoted<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| format!("\"{}\"", text.as_ref())).collect();
    texts.join(", ")
}

/// The word for so many.
pub(super) fn plural<'w>(one: &'w str, many: &'w str, count: usize) -> &'w str {
    if count == 1 { one } else { many }
}
