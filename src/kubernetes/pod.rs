//! Reading views of a pod spec and its containers. They answer what the file says, after aliases, and change nothing.

use super::{ContainerKind, Settings, Workload};
use crate::yaml::{Node, Stream};

/// The first port that a process without privileges may listen on; 1024 where nothing is set. A property of the network namespace, and
/// one of the sysctls that the kubelet and every Pod Security level allow
/// (<https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/#safe-and-unsafe-sysctls>).
pub const UNPRIVILEGED_PORT_START: &str = "net.ipv4.ip_unprivileged_port_start";

/// A pod spec, or what is made into one.
#[derive(Clone, Copy)]
pub struct PodView<'a> {
    workload: &'a Workload,
    stream: &'a Stream,
    node: Node<'a>,
}

impl<'a> PodView<'a> {
    /// The pod spec of `workload`, which was found in `stream`.
    pub fn new(workload: &'a Workload, stream: &'a Stream) -> Option<Self> {
        Some(Self { workload, stream, node: workload.pod_node(stream)? })
    }

    /// The node of the pod spec.
    pub fn node(self) -> Node<'a> {
        self.node
    }

    /// What becomes of the security settings in it.
    pub fn settings(self) -> Settings {
        self.workload.settings
    }

    /// What holds for the pod under a key: what it says itself, else what is said for all pods of its object.
    pub(super) fn field(self, key: &str) -> Option<Node<'a>> {
        field(self.node, key).or_else(|| field(self.workload.pod_defaults(self.stream)?, key))
    }

    /// `securityContext`, when it is there and not empty.
    pub fn security_context(self) -> Option<Node<'a>> {
        self.field("securityContext")
    }

    /// A value of the pod's `securityContext`.
    pub fn security(self, key: &str) -> Option<Node<'a>> {
        field(self.security_context()?, key)
    }

    /// Whether the pod says that it runs on Windows, where the Linux fields are rejected.
    pub fn is_windows(self) -> bool {
        let os = self.field("os").and_then(|os| string(os, "name"));
        let selector = |key| self.field("nodeSelector").and_then(|selector| string(selector, key));
        [os, selector("kubernetes.io/os"), selector("beta.kubernetes.io/os")].iter().flatten().any(|os| os == "windows")
    }

    /// Whether the pod states resources for all its containers together.
    pub fn has_resources(self) -> bool {
        self.field("resources").is_some_and(|resources| resources.entries().next().is_some())
    }

    /// Whether the pod shares the node's network.
    pub fn is_on_host_network(self) -> bool {
        self.field("hostNetwork").and_then(Node::as_bool) == Some(true)
    }

    /// `hostUsers`: whether the pod's users are those of its node. Not said means yes.
    pub fn host_users(self) -> Option<bool> {
        field(self.node, "hostUsers").and_then(Node::as_bool)
    }

    /// Whether the pod shares any namespace with the node: network, processes, or System V IPC.
    pub fn shares_a_host_namespace(self) -> bool {
        ["hostNetwork", "hostPID", "hostIPC"].iter().any(|key| self.field(key).and_then(Node::as_bool) == Some(true))
    }

    /// `priorityClassName`
    pub fn priority_class(self) -> Option<String> {
        self.field("priorityClassName")?.as_str().map(|text| text.into_owned())
    }

    /// Whether the pod may stand on nodes that are kept for the cluster itself: it tolerates every taint, or that of the control plane
    /// (<https://kubernetes.io/docs/reference/labels-annotations-taints/#node-role-kubernetes-io-control-plane-taint>).
    pub fn tolerates_the_control_plane(self) -> bool {
        const KEYS: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];
        let tolerations = self.field("tolerations").into_iter().flat_map(Node::items).map(Node::resolved);
        let tolerates = |toleration: Node<'a>| match string(toleration, "key").filter(|key| !key.is_empty()) {
            Some(key) => KEYS.contains(&key.as_str()),
            None => string(toleration, "operator").as_deref() == Some("Exists"),
        };
        tolerations.into_iter().any(tolerates)
    }

    /// The value of a sysctl that the pod sets.
    pub fn sysctl(self, name: &str) -> Option<String> {
        let sysctls = self.security("sysctls")?.items().map(Node::resolved);
        sysctls
            .filter(|sysctl| string(*sysctl, "name").as_deref() == Some(name))
            .find_map(|sysctl| string(sysctl, "value"))
    }

    /// Whether the pod's network lets every user listen on every port.
    pub fn allows_low_ports(self) -> bool {
        !self.is_on_host_network()
            && self
                .sysctl(UNPRIVILEGED_PORT_START)
                .and_then(|start| start.parse::<u16>().ok())
                .is_some_and(|start| start <= 1)
    }

    /// The volumes of the pod.
    pub fn volumes(self) -> Vec<Volume<'a>> {
        self.workload.volume_nodes(self.stream).into_iter().filter_map(Volume::read).collect()
    }
}

/// A container of a pod spec.
#[derive(Clone, Copy)]
pub struct ContainerView<'a> {
    node: Node<'a>,
    script: Option<Node<'a>>,
    /// Lists of mounts that it has beside its own.
    shared_mounts: [Option<Node<'a>>; 2],
}

impl<'a> ContainerView<'a> {
    /// The script that the operator gives the container's command to run.
    pub fn script(self) -> Option<Node<'a>> {
        self.script
    }

    /// The node of the container.
    pub fn node(self) -> Node<'a> {
        self.node
    }

    /// Whether `resources` says anything, through a merge as well.
    pub fn has_resources(self) -> bool {
        self.node.lookup("resources").is_some_and(|resources| resources.resolved().entries().next().is_some())
    }

    /// A value of the container's own `securityContext`.
    pub fn security(self, key: &str) -> Option<Node<'a>> {
        field(field(self.node, "securityContext")?, key)
    }

    /// `command`, which replaces the image's ENTRYPOINT (and CMD).
    pub fn command(self) -> Option<Vec<String>> {
        strings(self.node, "command")
    }

    /// `args`, which replaces the image's CMD. A script is what a shell would be told.
    pub fn args(self) -> Option<Vec<String>> {
        let script = self.script.and_then(Node::as_str).map(|script| vec!["-c".to_owned(), script.into_owned()]);
        script.or_else(|| strings(self.node, "args"))
    }

    /// `workingDir`, which replaces the image's.
    pub fn working_dir(self) -> Option<String> {
        string(self.node, "workingDir")
    }

    /// The numbers of `ports[].containerPort`.
    pub fn ports(self) -> Vec<i64> {
        let Some(ports) = field(self.node, "ports") else { return Vec::new() };
        ports.items().map(Node::resolved).filter_map(|port| field(port, "containerPort")?.as_i64()).collect()
    }

    /// `volumeMounts`.
    pub fn mounts(self) -> Vec<Mount> {
        let own = field(self.node, "volumeMounts");
        let mounts = [own].into_iter().chain(self.shared_mounts).flatten().flat_map(Node::items).map(Node::resolved);
        mounts
            .filter_map(|mount| {
                Some(Mount {
                    volume: string(mount, "name")?,
                    path: string(mount, "mountPath")?,
                    sub_path: string(mount, "subPath").or_else(|| string(mount, "subPathExpr")),
                    read_only: field(mount, "readOnly").and_then(Node::as_bool) == Some(true),
                })
            })
            .collect()
    }

    /// Whether the container is given a block device.
    pub fn has_volume_devices(self) -> bool {
        field(self.node, "volumeDevices").is_some_and(|devices| devices.items().next().is_some())
    }

    /// The literal value of an `env` entry; `None` when it is absent or comes from elsewhere.
    pub fn env(self, name: &str) -> Option<String> {
        let entries = field(self.node, "env")?;
        let entry =
            entries.items().map(Node::resolved).find(|entry| string(*entry, "name").as_deref() == Some(name))?;
        string(entry, "value")
    }

    /// Names and literal values of `env`, those from elsewhere left out.
    pub fn env_values(self) -> Vec<(String, String)> {
        let Some(entries) = field(self.node, "env") else { return Vec::new() };
        let entries = entries.items().map(Node::resolved);
        entries.filter_map(|entry| Some((string(entry, "name")?, string(entry, "value")?))).collect()
    }

    /// The variable that tells the container the address of its node.
    pub fn env_of_the_node(self) -> Option<String> {
        let entries = field(self.node, "env").into_iter().flat_map(Node::items).map(Node::resolved);
        let tells = |entry: &Node<'_>| {
            let source = field(*entry, "valueFrom").and_then(|source| field(source, "fieldRef"));
            source.and_then(|source| string(source, "fieldPath")).is_some_and(|path| path.starts_with("status.hostIP"))
        };
        entries.into_iter().find(tells).and_then(|entry| string(entry, "name"))
    }

    /// The ConfigMaps whose entries become variables.
    pub fn env_config_maps(self) -> Vec<String> {
        let sources = field(self.node, "envFrom").into_iter().flat_map(Node::items).map(Node::resolved);
        sources.filter_map(|source| string(field(source, "configMapRef")?, "name")).collect()
    }

    /// The commands that the kubelet runs inside the container: exec probes and lifecycle hooks.
    pub fn exec_commands(self) -> Vec<Vec<String>> {
        let probes = ["livenessProbe", "readinessProbe", "startupProbe"].map(|probe| field(self.node, probe));
        let hooks = ["postStart", "preStop"].map(|hook| field(field(self.node, "lifecycle")?, hook));
        let handlers = probes.into_iter().chain(hooks).flatten();
        handlers.filter_map(|handler| strings(field(handler, "exec")?, "command")).collect()
    }

    /// Whether mounts made in the container appear on the node, which the API server allows to privileged containers only.
    pub fn mounts_for_the_node(self) -> bool {
        let mounts = field(self.node, "volumeMounts").into_iter().flat_map(Node::items).map(Node::resolved);
        mounts.into_iter().any(|mount| string(mount, "mountPropagation").as_deref() == Some("Bidirectional"))
    }

    /// The numbers of the ports that probes ask.
    pub fn probe_ports(self) -> Vec<i64> {
        let probes =
            ["livenessProbe", "readinessProbe", "startupProbe"].into_iter().filter_map(|probe| field(self.node, probe));
        let handlers = probes
            .flat_map(|probe| ["httpGet", "tcpSocket", "grpc"].into_iter().filter_map(move |kind| field(probe, kind)));
        handlers.filter_map(|handler| field(handler, "port")?.as_i64()).collect()
    }

    /// `capabilities.add` or `capabilities.drop`.
    pub fn capabilities(self, list: &str) -> Vec<String> {
        self.security("capabilities").and_then(|capabilities| strings(capabilities, list)).unwrap_or_default()
    }
}

/// An entry of `volumeMounts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The volume's name.
    pub volume: String,
    /// Where it appears in the container.
    pub path: String,
    /// The part of the volume that appears there.
    pub sub_path: Option<String>,
    /// `readOnly: true`
    pub read_only: bool,
}

/// An entry of the pod's `volumes`.
#[derive(Clone, Copy)]
pub struct Volume<'a> {
    node: Node<'a>,
    /// Its kind.
    pub source: VolumeSource,
}

/// The kinds of volume whose ownership is known, and the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeSource {
    /// Writable by everybody: `emptyDir`.
    EmptyDir,
    /// `configMap`, `secret`, `projected`, `downwardAPI`: read-only files with a mode. `image`, and `csi` where it says `readOnly`: read-only files.
    Projection,
    /// `persistentVolumeClaim` or `ephemeral`: owned by root until `fsGroup` says otherwise.
    Claim,
    /// `hostPath`: `fsGroup` has no effect.
    HostPath,
    /// Anything else.
    Other,
}

impl<'a> Volume<'a> {
    fn read(node: Node<'a>) -> Option<Self> {
        const SOURCES: [(&str, VolumeSource); 9] = [
            ("emptyDir", VolumeSource::EmptyDir),
            ("configMap", VolumeSource::Projection),
            ("secret", VolumeSource::Projection),
            ("projected", VolumeSource::Projection),
            ("downwardAPI", VolumeSource::Projection),
            ("image", VolumeSource::Projection),
            ("persistentVolumeClaim", VolumeSource::Claim),
            ("ephemeral", VolumeSource::Claim),
            ("hostPath", VolumeSource::HostPath),
        ];
        node.get("name")?;
        let is_set = |key: &str| node.lookup(key).is_some_and(|value| !value.is_null());
        let named = SOURCES.iter().find(|(key, _)| is_set(key)).map(|(_, source)| *source);
        // The API server makes a volume without a source an emptyDir.
        let is_bare = node.entries().all(|(key, value)| key.text() == "name" || value.resolved().is_null());
        let reads_driver = field(node, "csi").and_then(|csi| csi.get("readOnly")).and_then(Node::as_bool) == Some(true);
        let named = named.or(reads_driver.then_some(VolumeSource::Projection));
        let source = named.unwrap_or(if is_bare { VolumeSource::EmptyDir } else { VolumeSource::Other });
        Some(Self { node, source })
    }

    /// `name`
    pub fn name(self) -> String {
        string(self.node, "name").unwrap_or_default()
    }

    /// The claim's name.
    pub fn claim(self) -> Option<String> {
        string(field(self.node, "persistentVolumeClaim")?, "claimName")
    }

    /// The names of the ConfigMaps in it.
    pub fn config_maps(self) -> Vec<String> {
        let sources = field(self.node, "projected").and_then(|projected| field(projected, "sources"));
        let parts = sources.into_iter().flat_map(Node::items).map(Node::resolved).chain([self.node]);
        parts.filter_map(|part| string(field(part, "configMap")?, "name")).collect()
    }

    /// The name of the ConfigMap that it projects, when that is all it does.
    pub fn config_map(self) -> Option<String> {
        string(field(self.node, "configMap")?, "name")
    }

    /// The files that a ConfigMap or Secret is asked for by name; empty when it is all of them.
    pub fn item_paths(self) -> Vec<String> {
        let map = field(self.node, "configMap").or_else(|| field(self.node, "secret"));
        let items = map.and_then(|map| field(map, "items")).into_iter().flat_map(Node::items).map(Node::resolved);
        items.filter_map(|item| string(item, "path")).collect()
    }

    /// What an `emptyDir` is kept in, where that is said.
    pub fn medium(self) -> Option<String> {
        string(field(self.node, "emptyDir")?, "medium")
    }

    /// The path on the node.
    pub fn host_path(self) -> Option<String> {
        string(field(self.node, "hostPath")?, "path")
    }

    /// Whether a projection holds programs that root alone may start, going by its `defaultMode`.
    pub fn is_started_by_root_alone(self) -> bool {
        self.default_mode().is_some_and(|mode| mode & 0o100 != 0 && mode & 0o001 == 0)
    }

    /// Whether a projection holds files that not everybody may read: by `defaultMode`, or by the `mode` of an item.
    pub fn is_private(self) -> bool {
        let private = |mode: i64| mode & 0o004 == 0;
        let of_items = |node: Node<'a>| {
            let mut items = field(node, "items").into_iter().flat_map(Node::items).map(Node::resolved);
            items.any(|item| field(item, "mode").and_then(Node::as_i64).is_some_and(private))
        };
        let kinds = ["configMap", "secret", "downwardAPI"];
        let sources = field(self.node, "projected").and_then(|projected| field(projected, "sources"));
        let parts = sources.into_iter().flat_map(Node::items).map(Node::resolved).chain([self.node]);
        self.default_mode().is_some_and(private)
            || parts.flat_map(|part| kinds.iter().filter_map(move |kind| field(part, kind))).any(of_items)
    }

    /// `defaultMode` of a projection. The API server's default is 0644.
    pub fn default_mode(self) -> Option<i64> {
        ["configMap", "secret", "projected", "downwardAPI"]
            .iter()
            .find_map(|key| field(field(self.node, key)?, "defaultMode")?.as_i64())
    }
}

impl Workload {
    /// The view of a container by its place in [`Workload::containers`].
    pub fn container_view<'a>(&self, stream: &'a Stream, index: usize) -> Option<ContainerView<'a>> {
        let route = &self.containers.get(index)?.route;
        let node = stream.document(self.document)?.at(route)?;
        let mut view = ContainerView { node, script: None, shared_mounts: [None, None] };
        if let Some(assembly) = &self.assembly {
            view.script = field(node, &assembly.script);
            view.shared_mounts = [self.mounts_of_set(node), self.mirrored_mounts(stream, node)];
        }
        Some(view)
    }

    /// What all containers of a set mount: the list stands beside theirs
    /// (<https://github.com/argoproj/argo-workflows/blob/main/pkg/apis/workflow/v1alpha1/container_set_template_types.go>).
    fn mounts_of_set<'a>(&self, container: Node<'a>) -> Option<Node<'a>> {
        let set = container.parent()?.parent()?;
        if set.route().0.len() > self.pod_spec.0.len() { field(set, "volumeMounts") } else { None }
    }

    /// What a sidecar or init container of Argo mounts because the main container does.
    fn mirrored_mounts<'a>(&self, stream: &'a Stream, container: Node<'a>) -> Option<Node<'a>> {
        field(container, "mirrorVolumeMounts").and_then(Node::as_bool).filter(|mirrors| *mirrors)?;
        let main = self.containers.iter().find(|container| container.kind == ContainerKind::Regular)?;
        field(stream.document(self.document)?.at(&main.route)?, "volumeMounts")
    }

    /// The names of `volumeClaimTemplates`, which a StatefulSet's containers mount like volumes.
    pub fn claim_templates(&self, stream: &Stream) -> Vec<String> {
        let spec = || field(stream.document(self.document)?.at(&self.route)?, "spec");
        let holder = self.pod_defaults(stream).or_else(spec);
        let Some(templates) = holder.and_then(|holder| field(holder, "volumeClaimTemplates")) else {
            return Vec::new();
        };
        templates.items().filter_map(|template| string(field(template.resolved(), "metadata")?, "name")).collect()
    }

    /// How reports name a container: `Deployment/web container app`.
    pub fn container_label(&self, index: usize) -> String {
        match self.containers.get(index) {
            // Knative lets the name be left out.
            Some(container) if container.name.is_empty() => format!("{} {}", self.label(), container.kind.noun()),
            Some(container) => format!("{} {} {}", self.label(), container.kind.noun(), container.name),
            None => self.label(),
        }
    }
}

/// The value of a key, after aliases and merges; an empty or null value counts as absent, as the API server reads it.
fn field<'a>(node: Node<'a>, key: &str) -> Option<Node<'a>> {
    node.lookup(key).filter(|value| !value.is_null())
}

fn string(node: Node<'_>, key: &str) -> Option<String> {
    field(node, key)?.as_str().map(|text| text.into_owned())
}

/// A list of strings; `None` when the key is absent. Items that are no strings are kept as an empty string, so that positions stay right.
fn strings(node: Node<'_>, key: &str) -> Option<Vec<String>> {
    let list = field(node, key)?;
    Some(list.items().map(|item| item.resolved().as_str().map(|text| text.into_owned()).unwrap_or_default()).collect())
}
