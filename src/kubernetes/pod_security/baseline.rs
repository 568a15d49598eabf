//! The checks of the level *baseline*. Each is named as upstream's file `policy/check_*.go`; the table of checks says from which version on
//! it holds.

use super::forbidden::{Forbidden, Offenders, plural, quoted};
use super::subject::{Pod, field, is_one_of, items, shown, unless_bool, unless_string};
use crate::yaml::{Kind, Node};
use std::collections::BTreeSet;

/// The capabilities that container runtimes give by default, without `NET_RAW`.
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Allowed SELinux types, and the minor version that allowed them.
const SELINUX_TYPES: [(&str, u32); 5] =
    [("", 0), ("container_t", 0), ("container_init_t", 0), ("container_kvm_t", 0), ("container_engine_t", 31)];

/// Allowed sysctls, and the minor version that allowed them.
const SYSCTLS: [(&str, u32); 14] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
    ("net.ipv4.tcp_notsent_lowat", 37),
    ("net.ipv4.tcp_slow_start_after_idle", 37),
];

/// `check_appArmorProfile.go`, 1.0: the profile is `RuntimeDefault` or `Localhost`, in the field as in the annotation that came before it.
/// The field was added to the check in place and so holds for every version.
pub(super) fn app_armor_profile<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
    let allowed = |value: &str| value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
    let fields = Offenders::in_contexts(pod, |context| profile(context, "appArmorProfile").into_iter().collect());
    let annotations: Vec<(String, Node<'a>)> = pod
        .annotations()
        .into_iter()
        .filter(|(key, value, node)| key.starts_with(ANNOTATION) && !(allowed(value) && is_text(*node)))
        .map(|(key, value, node)| (format!("{key}={value:?}"), node))
        .collect();

    let mut setters = Vec::new();
    if !fields.is_empty() {
        setters.push(fields.setters());
    }
    if !annotations.is_empty() {
        setters.push(plural("annotation", "annotations", annotations.len()).to_owned());
    }
    if setters.is_empty() {
        return None;
    }
    let annotated: BTreeSet<&String> = annotations.iter().map(|(text, _)| text).collect();
    let values: Vec<String> = fields.values().into_iter().chain(annotated.into_iter().cloned()).collect();
    let reason = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.len());
    let detail = format!("{} must not set AppArmor profile type to {}", setters.join(" and "), quoted(values));
    let nodes = fields.nodes.into_iter().chain(annotations.into_iter().map(|(_, node)| node));
    Some(Forbidden::new(reason, detail, nodes.collect()))
}

/// `check_capabilities_baseline.go`, 1.0: only capabilities that runtimes give by default may be added.
pub(super) fn capabilities<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    let offenders = Offenders::in_containers(pod, |context| added_capabilities(context, &CAPABILITIES));
    (!offenders.is_empty()).then(|| {
        let (who, what) = (offenders.containers(), quoted(offenders.values()));
        let detail = format!("{who} must not include {what} in securityContext.capabilities.add");
        Forbidden::new("non-default capabilities", detail, offenders.nodes)
    })
}

/// `check_hostNamespaces.go`, 1.0: no namespace is shared with the host.
pub(super) fn host_namespaces<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    let shared = ["hostIPC", "hostNetwork", "hostPID"].map(|key| {
        let value = pod.field(key).filter(|value| value.as_bool() != Some(false))?;
        Some((key, value))
    });
    let (keys, nodes): (Vec<&str>, Vec<Node<'a>>) = shared.into_iter().flatten().unzip();
    let detail = keys.iter().map(|key| format!("{key}=true")).collect::<Vec<_>>().join(", ");
    (!keys.is_empty()).then(|| Forbidden::new("host namespaces", detail, nodes))
}

/// `check_hostPathVolumes.go`, 1.0: no volume is a path of the host.
pub(super) fn host_path_volumes<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    let volumes = pod.volumes().iter().copied();
    let (names, nodes): (Vec<String>, Vec<Node<'a>>) =
        volumes.filter_map(|volume| Some((name_of(volume), field(volume, "hostPath")?))).unzip();
    (!nodes.is_empty()).then(|| {
        let detail = format!("{} {}", plural("volume", "volumes", names.len()), quoted(&names));
        Forbidden::new("hostPath volumes", detail, nodes)
    })
}

/// `check_hostPorts.go`, 1.0: no port of the host is taken. Zero is none. That `hostNetwork` makes every container port a port of the host
/// is left out: it is forbidden by itself.
pub(super) fn host_ports<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    let offenders = Offenders::among(pod, |container| {
        let ports = items(container.node, "ports").into_iter();
        ports.filter_map(|port| field(port, "hostPort")).filter(|port| port.as_i64() != Some(0)).collect()
    });
    (!offenders.is_empty()).then(|| {
        let uses = plural("uses", "use", offenders.containers.len());
        let ports: Vec<String> = offenders.values().into_iter().collect();
        let word = plural("hostPort", "hostPorts", ports.len());
        let detail = format!("{} {uses} {word} {}", offenders.containers(), ports.join(", "));
        Forbidden::new("hostPort", detail, offenders.nodes)
    })
}

/// `check_hostProbesAndhostLifecycle.go`, 1.34: probes and lifecycle hooks of the kubelet go to the container and to no other host.
pub(super) fn host_probes_and_host_lifecycle<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    let offenders = Offenders::among(pod, |container| {
        let probes = ["livenessProbe", "readinessProbe", "startupProbe"].map(|key| field(container.node, key));
        let hooks = ["postStart", "preStop"].map(|key| field(field(container.node, "lifecycle")?, key));
        let handlers = probes.into_iter().chain(hooks).flatten();
        let actions = handlers.flat_map(|handler| ["httpGet", "tcpSocket"].map(|key| field(handler, key)));
        actions.flatten().filter_map(|action| unless_string(action, "host", &[""])).collect()
    });
    (!offenders.is_empty()).then(|| {
        let hosts = offenders.values();
        // Upstream collects these names in a set.
        let names: BTreeSet<&String> = offenders.containers.iter().collect();
        let detail = format!(
            "{} {} {} {} {}",
            plural("container", "containers", names.len()),
            quoted(&names),
            plural("uses", "use", names.len()),
            plural("probe or lifecycle host", "probe or lifecycle hosts", hosts.len()),
            quoted(&hosts),
        );
        Forbidden::new("probe or lifecycle host", detail, offenders.nodes)
    })
}

/// `check_privileged.go`, 1.0: no container is privileged.
pub(super) fn privileged<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    let offenders =
        Offenders::in_containers(pod, |context| unless_bool(context, "privileged", false).into_iter().collect());
    (!offenders.is_empty()).then(|| {
        let detail = format!("{} must not set securityContext.privileged=true", offenders.containers());
        Forbidden::new("privileged", detail, offenders.nodes)
    })
}

/// `check_procMount_baseline.go`, 1.0: `/proc` stays masked. From 1.35 on not asked of a pod with a user namespace of its own.
pub(super) fn proc_mount<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    let offenders = Offenders::in_containers(pod, |context| {
        unless_string(context, "procMount", &["Default"]).into_iter().collect()
    });
    (!offenders.is_empty()).then(|| {
        let (who, what) = (offenders.containers(), quoted(offenders.values()));
        Forbidden::new("procMount", format!("{who} must not set securityContext.procMount to {what}"), offenders.nodes)
    })
}

/// `check_seLinuxOptions.go`, 1.0 and 1.31: only types for containers, and no user or role.
pub(super) fn selinux_options<'a>(pod: &Pod<'a>, minor: u32) -> Option<Forbidden<'a>> {
    let types = allowed_in(&SELINUX_TYPES, minor);
    let forbidden_type = |options: Node<'a>| match options.kind() {
        Kind::Mapping => unless_string(options, "type", &types),
        _ => Some(options),
    };
    let identity = |options: Node<'a>, key| unless_string(options, key, &[""]);
    let offenders = |find: &dyn Fn(Node<'a>) -> Vec<Node<'a>>| {
        Offenders::in_contexts(pod, |context| field(context, "seLinuxOptions").map(find).unwrap_or_default())
    };
    let all = offenders(&|options| {
        [forbidden_type(options), identity(options, "user"), identity(options, "role")].into_iter().flatten().collect()
    });
    if all.is_empty() {
        return None;
    }
    let mut what = Vec::new();
    let values = offenders(&|options| forbidden_type(options).into_iter().collect()).values();
    if !values.is_empty() {
        what.push(format!("{} {}", plural("type", "types", values.len()), quoted(values)));
    }
    for key in ["user", "role"] {
        if !offenders(&|options| identity(options, key).into_iter().collect()).is_empty() {
            what.push(format!("{key} may not be set"));
        }
    }
    let detail = format!("{} set forbidden securityContext.seLinuxOptions: {}", all.setters(), what.join("; "));
    Some(Forbidden::new("seLinuxOptions", detail, all.nodes))
}

/// `check_seccompProfile_baseline.go`, 1.0 to 1.18: the annotations that came before the field, of the pod and of its containers.
pub(super) fn seccomp_annotations<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    const POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
    const CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
    let allowed =
        |value: &str| matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/");
    let concerns = |key: &str| {
        let container = key.strip_prefix(CONTAINER);
        key == POD || container.is_some_and(|name| pod.containers.iter().any(|container| container.name == name))
    };
    let annotations = pod.annotations().into_iter();
    let (texts, nodes): (BTreeSet<String>, Vec<Node<'a>>) = annotations
        .filter(|(key, value, node)| concerns(key) && !(allowed(value) && is_text(*node)))
        .map(|(key, value, node)| (format!("{key}={value:?}"), node))
        .unzip();
    (!texts.is_empty()).then(|| {
        let texts: Vec<String> = texts.into_iter().collect();
        let detail = format!("forbidden {} {}", plural("annotation", "annotations", texts.len()), texts.join(", "));
        Forbidden::new("seccompProfile", detail, nodes)
    })
}

/// `check_seccompProfile_baseline.go`, 1.19: a profile that is set is `RuntimeDefault` or `Localhost`.
pub(super) fn seccomp_profile<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    let offenders = Offenders::in_contexts(pod, |context| profile(context, "seccompProfile").into_iter().collect());
    (!offenders.is_empty()).then(|| {
        let (who, what) = (offenders.setters(), quoted(offenders.values()));
        let detail = format!("{who} must not set securityContext.seccompProfile.type to {what}");
        Forbidden::new("seccompProfile", detail, offenders.nodes)
    })
}

/// `check_sysctls.go`, 1.0, 1.27, 1.29, 1.32 and 1.37: only sysctls that reach no further than the pod.
pub(super) fn sysctls<'a>(pod: &Pod<'a>, minor: u32) -> Option<Forbidden<'a>> {
    let allowed = allowed_in(&SYSCTLS, minor);
    let entries = pod.context().map(|context| items(context, "sysctls")).unwrap_or_default().into_iter();
    let names = entries.map(|entry| field(entry, "name").unwrap_or(entry));
    let nodes: Vec<Node<'a>> = names.filter(|name| !is_one_of(*name, &allowed)).collect();
    (!nodes.is_empty()).then(|| {
        let names: Vec<String> = nodes.iter().map(|name| shown(*name)).collect();
        Forbidden::new("forbidden sysctls", names.join(", "), nodes)
    })
}

/// `check_windowsHostProcess.go`, 1.0: no process of the Windows host.
pub(super) fn windows_host_process<'a>(pod: &Pod<'a>) -> Option<Forbidden<'a>> {
    let offenders = Offenders::in_contexts(pod, |context| {
        let options = field(context, "windowsOptions");
        options.and_then(|options| unless_bool(options, "hostProcess", false)).into_iter().collect()
    });
    (!offenders.is_empty()).then(|| {
        let detail = format!("{} must not set securityContext.windowsOptions.hostProcess=true", offenders.setters());
        Forbidden::new("hostProcess", detail, offenders.nodes)
    })
}

/// The profile under `key` when it is set to something that is neither `RuntimeDefault` nor `Localhost`: its type, or itself without one.
pub(super) fn profile<'a>(context: Node<'a>, key: &str) -> Option<Node<'a>> {
    let profile = field(context, key)?;
    match field(profile, "type") {
        Some(_) => unless_string(profile, "type", &["RuntimeDefault", "Localhost"]),
        None => Some(profile),
    }
}

/// The items of `capabilities.add` that are not in `allowed`.
pub(super) fn added_capabilities<'a>(context: Node<'a>, allowed: &[&str]) -> Vec<Node<'a>> {
    let added = field(context, "capabilities").map(|capabilities| items(capabilities, "add")).unwrap_or_default();
    added.into_iter().filter(|name| !is_one_of(*name, allowed)).collect()
}

/// The name of a volume.
pub(super) fn name_of(volume: Node<'_>) -> String {
    field(volume, "name").map(shown).unwrap_or_default()
}

/// What a table that says since when allows in a version.
fn allowed_in(table: &[(&'static str, u32)], minor: u32) -> Vec<&'static str> {
    table.iter().filter(|(_, since)| *since <= minor).map(|(value, _)| *value).collect()
}

/// Whether the API server takes a node for the value of an annotation. Numbers and booleans it refuses.
fn is_text(node: Node<'_>) -> bool {
    node.is_null() || node.as_str().is_some()
}
