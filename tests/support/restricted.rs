//! The Pod Security Standard *restricted*, judged a second time and independently: over plain YAML values, without any code of the program.
//!
//! Source: the checks of `pod-security-admission` at 1.37 (`policy/check_*.go`), baseline and restricted. Relaxations for user namespaces and Windows
//! are left out, so what needs them fails here; so are the annotations that named AppArmor profiles before there was a field.

use serde_yaml::Value;

const VOLUMES: [&str; 9] = [
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

const SYSCTLS: [&str; 14] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

const SELINUX_TYPES: [&str; 4] = ["container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/// What of a pod spec violates the standard; empty when nothing does.
pub(crate) fn violations(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        refuse(&mut found, truthy(&pod[key]), || format!("{key} is set"));
    }
    for volume in items(&pod["volumes"]) {
        let allowed = VOLUMES.iter().any(|kind| !volume[*kind].is_null());
        refuse(&mut found, !allowed, || format!("volume {:?} is of a kind that is not allowed", volume["name"]));
    }
    let context = &pod["securityContext"];
    for sysctl in items(&context["sysctls"]) {
        let allowed = sysctl["name"].as_str().is_some_and(|name| SYSCTLS.contains(&name));
        refuse(&mut found, !allowed, || format!("sysctl {:?}", sysctl["name"]));
    }
    refuse(&mut found, context["runAsNonRoot"] == Value::Bool(false), || "the pod's runAsNonRoot is false".to_owned());
    either(&mut found, "the pod", context);
    let containers =
        ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|key| items(&pod[key]));
    for container in containers {
        for violation in container_violations(context, container) {
            found.push(format!("container {}: {violation}", container["name"].as_str().unwrap_or("?")));
        }
    }
    found
}

fn container_violations(pod: &Value, container: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let own = &container["securityContext"];
    let inherited = |key: &str| if own[key].is_null() { &pod[key] } else { &own[key] };
    refuse(&mut found, truthy(&own["privileged"]), || "privileged".to_owned());
    refuse(&mut found, own["allowPrivilegeEscalation"] != Value::Bool(false), || {
        "allowPrivilegeEscalation is not false".to_owned()
    });
    refuse(&mut found, inherited("runAsNonRoot") != &Value::Bool(true), || "runAsNonRoot is not true".to_owned());
    let profile = &inherited("seccompProfile")["type"];
    let profiled = matches!(profile.as_str(), Some("RuntimeDefault" | "Localhost"));
    refuse(&mut found, !profiled, || format!("the seccomp profile is {profile:?}"));
    let capabilities = &own["capabilities"];
    let drops_all = items(&capabilities["drop"]).any(|name| name.as_str() == Some("ALL"));
    refuse(&mut found, !drops_all, || "capabilities.drop does not hold ALL".to_owned());
    for added in items(&capabilities["add"]) {
        refuse(&mut found, added.as_str() != Some("NET_BIND_SERVICE"), || format!("capability {added:?} is added"));
    }
    let proc_mount = &own["procMount"];
    refuse(&mut found, !proc_mount.is_null() && proc_mount.as_str() != Some("Default"), || {
        format!("procMount is {proc_mount:?}")
    });
    for port in items(&container["ports"]) {
        refuse(&mut found, port["hostPort"].as_i64().is_some_and(|number| number != 0), || "a host port".to_owned());
    }
    let probes = ["livenessProbe", "readinessProbe", "startupProbe"].map(|probe| &container[probe]);
    let hooks = ["postStart", "preStop"].map(|hook| &container["lifecycle"][hook]);
    for action in probes.into_iter().chain(hooks) {
        for kind in ["httpGet", "tcpSocket"] {
            let host = &action[kind]["host"];
            refuse(&mut found, host.as_str().is_some_and(|host| !host.is_empty()), || {
                format!("a probe or hook names host {host:?}")
            });
        }
    }
    either(&mut found, "its securityContext", own);
    found
}

/// What is forbidden at the pod as well as at the container.
fn either(found: &mut Vec<String>, whose: &str, context: &Value) {
    refuse(found, context["runAsUser"].as_i64() == Some(0), || format!("{whose} has runAsUser 0"));
    let app_armor = &context["appArmorProfile"]["type"];
    let allowed = app_armor.is_null() || matches!(app_armor.as_str(), Some("RuntimeDefault" | "Localhost"));
    refuse(found, !allowed, || format!("{whose} has AppArmor profile {app_armor:?}"));
    let seccomp = &context["seccompProfile"]["type"];
    let allowed = seccomp.is_null() || matches!(seccomp.as_str(), Some("RuntimeDefault" | "Localhost"));
    refuse(found, !allowed, || format!("{whose} has seccomp profile {seccomp:?}"));
    refuse(found, truthy(&context["windowsOptions"]["hostProcess"]), || format!("{whose} is a host process"));
    let selinux = &context["seLinuxOptions"];
    let kind = selinux["type"].as_str().unwrap_or_default();
    refuse(found, !kind.is_empty() && !SELINUX_TYPES.contains(&kind), || format!("{whose} has SELinux type {kind}"));
    for key in ["user", "role"] {
        refuse(found, selinux[key].as_str().is_some_and(|value| !value.is_empty()), || {
            format!("{whose} has SELinux {key}")
        });
    }
}

fn refuse(found: &mut Vec<String>, violated: bool, message: impl FnOnce() -> String) {
    if violated {
        found.push(message());
    }
}

fn truthy(value: &Value) -> bool {
    value == &Value::Bool(true)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_sequence().into_iter().flatten()
}
