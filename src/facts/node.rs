//! Signs that a pod does its work on the node that it runs on, or for the cluster itself. What it may do there is what it is for.

use super::identity::printable;
use super::pod::containers_of_pod;
use super::{Application, ContainerFacts, Key, programs};
use crate::kubernetes::VolumeSource;
use crate::link::Link;
use crate::repository::ContainerId;
use crate::yaml::Node;

/// Directories of a node that hold its system, its containers and what these log. What lies below them is no application's data.
const SYSTEM: [&str; 20] = [
    "/boot",
    "/dev",
    "/etc/cni",
    "/etc/containerd",
    "/etc/docker",
    "/etc/kubernetes",
    "/lib/modules",
    "/opt/cni",
    "/proc",
    "/run",
    "/sys",
    "/usr",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/kubelet",
    "/var/lib/rancher",
    "/var/log",
    "/var/run",
];

/// Directories above those.
const ABOVE_SYSTEM: [&str; 7] = ["", "/etc", "/lib", "/opt", "/root", "/var", "/var/lib"];

impl<'a> Application<'a> {
    /// The application that a container belongs to.
    pub fn of_container(around: super::Surroundings<'a>, id: ContainerId) -> Option<Self> {
        Self::new(around, Key::of_container(around.repository, around.links, id))
    }

    /// Why the pod of a container is taken to work on its node, or for the cluster: it would lose what it is for. `None` when nothing shows that.
    pub fn works_on_node(&self, container: &ContainerFacts<'a>) -> Option<String> {
        let pod = self.around.pods.of(container.id);
        pod.works_on_node.get_or_init(|| self.find_work_on_node(container)).clone()
    }

    fn find_work_on_node(&self, container: &ContainerFacts<'a>) -> Option<String> {
        let workload = container.workload;
        let label = workload.label();
        // The latter is a DaemonSet that ends (https://openkruise.io/docs/user-manuals/broadcastjob/).
        if matches!(workload.kind.as_str(), "DaemonSet" | "BroadcastJob") {
            return Some(format!("{label} runs on every node, to do its work there"));
        }
        if workload.namespace(&container.manifest.stream).as_deref() == Some("kube-system") {
            return Some(format!("{label} stands in kube-system, with the cluster's own parts"));
        }
        let class = container.pod.priority_class().filter(|class| class.starts_with("system-"));
        if let Some(class) = class {
            return Some(format!("{label} has the priority {}, as the cluster's own parts have", printable(&class)));
        }
        if container.pod.tolerates_the_control_plane() {
            return Some(format!("{label} tolerates the taints of the control plane"));
        }
        if let Some(path) = system_path(container) {
            return Some(format!("{label} mounts {} of the node", printable(&path)));
        }
        self.containers_of_pod(container).iter().find_map(works_for_its_node)
    }

    /// A program for work on the node that a container of the pod starts.
    pub fn node_tool(&self, container: &ContainerFacts<'a>) -> Option<String> {
        self.containers_of_pod(container).iter().find_map(|container| {
            let mut argv = container.view.command().unwrap_or_default();
            argv.extend(container.view.args().unwrap_or_default());
            let commands = [argv].into_iter().chain(container.view.exec_commands());
            let tool = commands.into_iter().find_map(|argv| programs::node_tool(&argv).map(str::to_owned))?;
            Some(format!("{} starts {tool}, which works on the node", container.place()))
        })
    }

    /// Where a container of the pod is told of its node's address, or of the loopback address that it shares with it.
    pub fn node_address(&self, container: &ContainerFacts<'a>) -> Option<String> {
        let pod = self.around.pods.of(container.id);
        pod.node_address.get_or_init(|| self.find_node_address(container)).clone()
    }

    fn find_node_address(&self, container: &ContainerFacts<'a>) -> Option<String> {
        const LOOPBACK: [&str; 2] = ["127.0.0.1", "localhost"];
        self.containers_of_pod(container).iter().find_map(|container| {
            let place = container.place();
            if let Some(name) = container.view.env_of_the_node() {
                return Some(format!("{place} is told the address of its node ({})", printable(&name)));
            }
            if !container.pod.is_on_host_network() {
                return None;
            }
            let mut words: Vec<String> = container.view.env_values().into_iter().map(|(_, value)| value).collect();
            words.extend(container.view.command().into_iter().chain(container.view.args()).flatten());
            let address = LOOPBACK.into_iter().find(|address| words.iter().any(|word| word.contains(address)))?;
            Some(format!("{place} names {address}, which is the node's loopback address as well"))
        })
    }

    /// Where the image installs a program for work on the node.
    pub fn node_package(&self) -> Option<String> {
        programs::node_package(self.image.as_ref()?)
    }

    /// The numbers of `ports[].containerPort` of all containers of a pod.
    pub fn ports_of_pod(&self, container: &ContainerFacts<'a>) -> Vec<i64> {
        self.containers_of_pod(container).iter().flat_map(|container| container.view.ports()).collect()
    }

    /// All containers of the pod of one of them, in the order of the workload.
    pub fn containers_of_pod(&self, container: &ContainerFacts<'a>) -> Vec<ContainerFacts<'a>> {
        containers_of_pod(self.around, container)
    }
}

/// A path of the node that belongs to its system.
fn system_path(container: &ContainerFacts<'_>) -> Option<String> {
    let below = |path: &str, directory: &str| path == directory || path.starts_with(&format!("{directory}/"));
    let volumes = container.pod.volumes().into_iter();
    volumes.filter(|volume| volume.source == VolumeSource::HostPath).find_map(|volume| {
        let path = volume.host_path()?;
        let plain = path.trim_end_matches('/');
        let is_system = ABOVE_SYSTEM.contains(&plain) || SYSTEM.iter().any(|directory| below(plain, directory));
        is_system.then_some(path)
    })
}

/// What one container of a pod shows.
fn works_for_its_node(container: &ContainerFacts<'_>) -> Option<String> {
    let place = container.place();
    if let Some((known, why)) = container.known.and_then(|known| Some((known, known.root_only.as_ref()?))) {
        return Some(format!("{place} runs {}: {}", known.name, printable(why)));
    }
    if container.view.mounts_for_the_node() {
        return Some(format!("{place} mounts something for the node to see"));
    }
    // Of a program about which nothing is known, this much privilege tells enough.
    let unknown = container.known.is_none() && !matches!(container.link, Link::Linked { .. });
    let privileged = container.view.security("privileged").and_then(Node::as_bool) == Some(true);
    let capability = container.view.capabilities("add").into_iter().find(|name| name != "NET_BIND_SERVICE");
    if unknown && container.pod.shares_a_host_namespace() && (privileged || capability.is_some()) {
        let what = capability.map_or("is privileged".to_owned(), |name| format!("adds {}", printable(&name)));
        return Some(format!("{place} {what} and shares a namespace with the node"));
    }
    None
}
