//! The checks that the level *restricted* adds. Each is named as upstream's file `policy/check_*.go`; the table of checks says from which
//! version on it holds.

use super::baseline::{added_capabilities, name_of};
use super::forbidden::{Forbidden, Offenders, plural, quoted};
use super::subject::{Container, Pod, field};
use crate::yaml::{Kind, Node};
use std::collections::BTreeSet;

/// The kinds of volume that are allowed. `image` was added to the check in place and so is allowed in every version.
const ALLOWED_VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// The kinds of volume that are forbidden by name; others are unknown and forbidden as well.
const FORBIDDEN_VOLUMES: [&str; 21] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "iscsi",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];

/// `check_allowPrivilegeEscalation.go`, 1.8: every container says `allowPrivilegeEscalation: false`. From 1.25 on not asked of Windows
/// pods.
pub(super) fn allow_privilege_escalation<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    let offenders = Offenders::among(pod, |container| {
        let value = container.context.and_then(|context| field(context, "allowPrivilegeEscalation"));
        let refused = value.and_then(Node::as_bool) == Some(false);
        if refused { Vec::new() } else { vec![value.unwrap_or(container.nearest())] }
    });
    (!offenders.is_empty()).then(|| {
        let detail = format!("{} must set securityContext.allowPrivilegeEscalation=false", offenders.containers());
        Forbidden::new("allowPrivilegeEscalation != false", detail, offenders.nodes)
    })
}

/// `check_capabilities_restricted.go`, 1.22: every container drops `ALL`, in exactly these letters, and adds `NET_BIND_SERVICE` at most.
/// From 1.25 on not asked of Windows pods.
pub(super) fn capabilities<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    let keeping = Offenders::among(pod, |container| {
        let capabilities = container.context.and_then(|context| field(context, "capabilities"));
        let drop = capabilities.and_then(|capabilities| field(capabilities, "drop"));
        let drops_all = drop.is_some_and(|drop| drop.items().any(|name| is_all(name.resolved())));
        if drops_all { Vec::new() } else { vec![drop.or(capabilities).unwrap_or(container.nearest())] }
    });
    let adding = Offenders::in_containers(pod, |context| added_capabilities(context, &["NET_BIND_SERVICE"]));
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", keeping.containers()));
    }
    if !adding.is_empty() {
        let (who, what) = (adding.containers(), quoted(adding.values()));
        details.push(format!("{who} must not include {what} in securityContext.capabilities.add"));
    }
    let nodes: Vec<Node<'a>> = keeping.nodes.into_iter().chain(adding.nodes).collect();
    (!nodes.is_empty()).then(|| Forbidden::new("unrestricted capabilities", details.join("; "), nodes))
}

/// `check_restrictedVolumes.go`, 1.0: only volumes that reach no further than the cluster's own objects. A volume without a source is an
/// `emptyDir`, which the API server fills in (`pkg/apis/core/v1/defaults.go`, `SetDefaults_Volume`). Of a volume with several sources,
/// which validation refuses, each has to be allowed.
pub(super) fn volumes<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    let mut names = Vec::new();
    let mut kinds = BTreeSet::new();
    let mut nodes = Vec::new();
    for volume in pod.volumes().iter().copied() {
        let sources = forbidden_sources(volume);
        if !sources.is_empty() {
            names.push(name_of(volume));
        }
        for (kind, node) in sources {
            kinds.insert(kind);
            nodes.push(node);
        }
    }
    (!names.is_empty()).then(|| {
        let detail = format!(
            "{} {} {} {} {}",
            plural("volume", "volumes", names.len()),
            quoted(&names),
            plural("uses", "use", names.len()),
            plural("restricted volume type", "restricted volume types", kinds.len()),
            quoted(&kinds),
        );
        Forbidden::new("restricted volume types", detail, nodes)
    })
}

/// `check_runAsNonRoot.go`, 1.0: every container says `runAsNonRoot: true`, or the pod does and the container does not object. What is said
/// otherwise is forbidden even where nothing inherits it. From 1.35 on not asked of a pod with a user namespace of its own.
pub(super) fn run_as_non_root<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    let value = |context: Node<'a>| field(context, "runAsNonRoot");
    let objecting = Offenders::in_contexts(pod, |context| {
        value(context).filter(|value| value.as_bool() != Some(true)).into_iter().collect()
    });
    if !objecting.is_empty() {
        let detail = format!("{} must not set securityContext.runAsNonRoot=false", objecting.setters());
        return Some(Forbidden::new("runAsNonRoot != true", detail, objecting.nodes));
    }
    // What the pod says is true by now.
    let silent = silent_containers(pod, value)?;
    let detail = format!("pod or {} must set securityContext.runAsNonRoot=true", silent.containers());
    Some(Forbidden::new("runAsNonRoot != true", detail, silent.nodes))
}

/// `check_runAsUser.go`, 1.23: neither the pod nor a container says `runAsUser: 0`. From 1.35 on not asked of a pod with a user namespace
/// of its own.
pub(super) fn run_as_user<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    let offenders = Offenders::in_contexts(pod, |context| {
        let uid = field(context, "runAsUser");
        uid.filter(|uid| uid.as_i64().is_none_or(|uid| uid == 0)).into_iter().collect()
    });
    (!offenders.is_empty()).then(|| {
        Forbidden::new("runAsUser=0", format!("{} must not set runAsUser=0", offenders.setters()), offenders.nodes)
    })
}

/// `check_seccompProfile_restricted.go`, 1.19: every container has the profile `RuntimeDefault` or `Localhost`, its own or the pod's. From
/// 1.25 on not asked of Windows pods.
pub(super) fn seccomp_profile<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    if let Some(forbidden) = super::baseline::seccomp_profile(pod) {
        return Some(forbidden);
    }
    // What the pod says is allowed by now.
    let silent = silent_containers(pod, |context| field(context, "seccompProfile"))?;
    let who = silent.containers();
    let detail =
        format!("pod or {who} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"");
    Some(Forbidden::new("seccompProfile", detail, silent.nodes))
}

/// The containers for which neither they nor the pod say anything; `None` when there are none.
fn silent_containers<'a>(pod: &Pod<'a>, value: impl Fn(Node<'a>) -> Option<Node<'a>>) -> Option<Offenders<'a>> {
    if pod.context().and_then(&value).is_some() {
        return None;
    }
    let silent = |container: &Container<'a>| container.context.and_then(&value).is_none();
    let offenders =
        Offenders::among(pod, |container| silent(container).then(|| container.nearest()).into_iter().collect());
    (!offenders.is_empty()).then_some(offenders)
}

/// The sources of a volume that are not allowed, as messages call them.
fn forbidden_sources(volume: Node<'_>) -> Vec<(&'static str, Node<'_>)> {
    if volume.kind() != Kind::Mapping {
        return vec![("unknown", volume)];
    }
    let mut keys = BTreeSet::new();
    for (key, _) in volume.merged().flat_map(Node::entries) {
        let key = key.resolved().text();
        if key != "name" && key != "<<" && !ALLOWED_VOLUMES.contains(&key.as_ref()) {
            keys.insert(key);
        }
    }
    let kind = |key: &str| FORBIDDEN_VOLUMES.into_iter().find(|kind| *kind == key).unwrap_or("unknown");
    keys.iter().filter_map(|key| Some((kind(key), field(volume, key)?))).collect()
}

fn is_all(node: Node<'_>) -> bool {
    node.as_str().is_some_and(|name| name == "ALL")
}
