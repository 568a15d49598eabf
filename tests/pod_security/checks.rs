//! Each check: what it forbids, and in which words, and what it allows.

use super::said;

/// A check, a pod spec without braces, and what the newest baseline says of it.
const BASELINE: [(&str, &str, &str); 48] = [
    ("hostNamespaces", "hostNetwork: true", "host namespaces (hostNetwork=true)"),
    (
        "hostNamespaces",
        "hostPID: true, hostNetwork: yes, hostIPC: on",
        "host namespaces (hostIPC=true, hostNetwork=true, hostPID=true)",
    ),
    ("hostNamespaces", "hostNetwork: false, hostPID: null, hostIPC: ", ""),
    ("hostNamespaces", "hostPID: 'false'", "host namespaces (hostPID=true)"),
    (
        "privileged",
        "containers: [{name: a, securityContext: {privileged: false}}, {name: b, securityContext: {}}, {name: c}]",
        "",
    ),
    (
        "privileged",
        "initContainers: [{name: a, securityContext: {privileged: true}}], ephemeralContainers: [{name: b, securityContext: {privileged: true}}]",
        "privileged (containers \"a\", \"b\" must not set securityContext.privileged=true)",
    ),
    (
        "capabilities_baseline",
        "containers: [{name: a, securityContext: {capabilities: {add: [CHOWN, NET_BIND_SERVICE, SYS_CHROOT]}}}]",
        "",
    ),
    ("capabilities_baseline", "containers: [{name: a, securityContext: {capabilities: {add: null, drop: [ALL]}}}]", ""),
    (
        "capabilities_baseline",
        "containers: [{name: a, securityContext: {capabilities: {add: [NET_RAW, CAP_CHOWN, NET_RAW]}}}]",
        "non-default capabilities (container \"a\" must not include \"CAP_CHOWN\", \"NET_RAW\" in securityContext.capabilities.add)",
    ),
    (
        "capabilities_baseline",
        "hostUsers: false, containers: [{name: a, securityContext: {capabilities: {add: [chown]}}}]",
        "non-default capabilities (container \"a\" must not include \"chown\" in securityContext.capabilities.add)",
    ),
    ("hostPathVolumes", "volumes: [{name: v, emptyDir: {}}, {name: w, hostPath: null}, {name: n, nfs: {}}]", ""),
    (
        "hostPathVolumes",
        "volumes: [{name: v, hostPath: {path: /}}, {name: w, hostPath: {}}]",
        "hostPath volumes (volumes \"v\", \"w\")",
    ),
    ("hostPorts", "containers: [{name: a, ports: [{containerPort: 80}, {containerPort: 81, hostPort: 0}]}]", ""),
    (
        "hostPorts",
        "containers: [{name: a, ports: [{hostPort: 9}, {hostPort: 0x50}]}, {name: b, ports: [{hostPort: 80}]}]",
        "hostPort (containers \"a\", \"b\" use hostPorts 80, 9)",
    ),
    ("hostPorts", "containers: [{name: a, ports: [{hostPort: '0'}]}]", "hostPort (container \"a\" uses hostPort 0)"),
    (
        "hostProbesAndHostLifecycle",
        "containers: [{name: a, livenessProbe: {httpGet: {host: '', port: 80}}, lifecycle: {preStop: {exec: {}}}}]",
        "",
    ),
    (
        "hostProbesAndHostLifecycle",
        "containers: [{name: b, livenessProbe: {httpGet: {host: 127.0.0.1}}}, {name: a, lifecycle: {preStop: {tcpSocket: {host: localhost}}}}]",
        "probe or lifecycle host (containers \"a\", \"b\" use probe or lifecycle hosts \"127.0.0.1\", \"localhost\")",
    ),
    (
        "hostProbesAndHostLifecycle",
        "initContainers: [{name: a, startupProbe: {tcpSocket: {host: h}}, readinessProbe: {httpGet: {host: h}}}]",
        "probe or lifecycle host (container \"a\" uses probe or lifecycle host \"h\")",
    ),
    ("appArmorProfile", "securityContext: {appArmorProfile: {type: Localhost, localhostProfile: p}}", ""),
    (
        "appArmorProfile",
        "securityContext: {appArmorProfile: null}, containers: [{name: a, securityContext: {appArmorProfile: {type: RuntimeDefault}}}]",
        "",
    ),
    (
        "appArmorProfile",
        "securityContext: {appArmorProfile: {type: Unconfined}}, containers: [{name: a, securityContext: {appArmorProfile: {}}}]",
        "forbidden AppArmor profiles (pod and container \"a\" must not set AppArmor profile type to \"\", \"Unconfined\")",
    ),
    (
        "appArmorProfile",
        "containers: [{name: a, securityContext: {appArmorProfile: {type: Unconfined}}}]",
        "forbidden AppArmor profile (container \"a\" must not set AppArmor profile type to \"Unconfined\")",
    ),
    (
        "seLinuxOptions",
        "securityContext: {seLinuxOptions: {type: container_t, level: 's0:c1,c2', user: '', role: null}}",
        "",
    ),
    (
        "seLinuxOptions",
        "securityContext: {seLinuxOptions: {type: ''}}, containers: [{name: a, securityContext: {seLinuxOptions: {}}}]",
        "",
    ),
    (
        "seLinuxOptions",
        "securityContext: {seLinuxOptions: {type: foo, user: u}}, containers: [{name: a, securityContext: {seLinuxOptions: {type: bar, role: r}}}]",
        "seLinuxOptions (pod and container \"a\" set forbidden securityContext.seLinuxOptions: types \"bar\", \"foo\"; user may not be set; role may not be set)",
    ),
    (
        "seLinuxOptions",
        "containers: [{name: a, securityContext: {seLinuxOptions: {role: r}}}]",
        "seLinuxOptions (container \"a\" set forbidden securityContext.seLinuxOptions: role may not be set)",
    ),
    (
        "seLinuxOptions",
        "securityContext: {seLinuxOptions: x}",
        "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type \"x\")",
    ),
    (
        "procMount",
        "containers: [{name: a, securityContext: {procMount: Default}}, {name: b, securityContext: {procMount: null}}]",
        "",
    ),
    (
        "procMount",
        "hostUsers: true, containers: [{name: a, securityContext: {procMount: Unmasked}}, {name: b, securityContext: {procMount: ''}}]",
        "procMount (containers \"a\", \"b\" must not set securityContext.procMount to \"\", \"Unmasked\")",
    ),
    (
        "procMount",
        "hostUsers: null, containers: [{name: a, securityContext: {procMount: default}}]",
        "procMount (container \"a\" must not set securityContext.procMount to \"default\")",
    ),
    ("seccompProfile_baseline", "containers: [{name: a}]", ""),
    (
        "seccompProfile_baseline",
        "securityContext: {seccompProfile: {type: Localhost}}, containers: [{name: a, securityContext: {seccompProfile: {type: RuntimeDefault}}}]",
        "",
    ),
    (
        "seccompProfile_baseline",
        "securityContext: {seccompProfile: {type: Unconfined}}",
        "seccompProfile (pod must not set securityContext.seccompProfile.type to \"Unconfined\")",
    ),
    (
        "seccompProfile_baseline",
        "securityContext: {seccompProfile: {type: RuntimeDefault}}, containers: [{name: a, securityContext: {seccompProfile: {type: null}}}]",
        "seccompProfile (container \"a\" must not set securityContext.seccompProfile.type to \"\")",
    ),
    (
        "sysctls",
        "securityContext: {sysctls: [{name: kernel.shm_rmid_forced, value: '1'}, {name: net.ipv4.tcp_notsent_lowat, value: '1'}]}",
        "",
    ),
    ("sysctls", "securityContext: {sysctls: []}", ""),
    (
        "sysctls",
        "securityContext: {sysctls: [{name: kernel.msgmax}, {name: net.ipv4.tcp_syncookies}, {name: a}, {name: kernel.msgmax}]}",
        "forbidden sysctls (kernel.msgmax, a, kernel.msgmax)",
    ),
    ("sysctls", "securityContext: {sysctls: [{value: '1'}]}", "forbidden sysctls ()"),
    (
        "sysctls",
        "securityContext: {sysctls: [{name: net/ipv4/tcp_syncookies}]}",
        "forbidden sysctls (net/ipv4/tcp_syncookies)",
    ),
    ("windowsHostProcess", "securityContext: {windowsOptions: {hostProcess: false}}", ""),
    (
        "windowsHostProcess",
        "securityContext: {windowsOptions: {}}, containers: [{name: a, securityContext: {windowsOptions: null}}]",
        "",
    ),
    (
        "windowsHostProcess",
        "securityContext: {windowsOptions: {hostProcess: true}}",
        "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
    ),
    (
        "windowsHostProcess",
        "os: {name: windows}, securityContext: {windowsOptions: {hostProcess: true}}, containers: [{name: a, securityContext: {windowsOptions: {hostProcess: true}}}]",
        "hostProcess (pod and container \"a\" must not set securityContext.windowsOptions.hostProcess=true)",
    ),
    // What the API server would refuse to decode.
    (
        "privileged",
        "containers: [{name: a, securityContext: {privileged: 'no'}}]",
        "privileged (container \"a\" must not set securityContext.privileged=true)",
    ),
    (
        "hostPorts",
        "containers: [{name: a, ports: [{hostPort: http}]}]",
        "hostPort (container \"a\" uses hostPort http)",
    ),
    (
        "capabilities_baseline",
        "containers: [{name: a, securityContext: {capabilities: {add: SYS_ADMIN}}}]",
        "non-default capabilities (container \"a\" must not include \"SYS_ADMIN\" in securityContext.capabilities.add)",
    ),
    (
        "seccompProfile_baseline",
        "securityContext: {seccompProfile: RuntimeDefault}",
        "seccompProfile (pod must not set securityContext.seccompProfile.type to \"RuntimeDefault\")",
    ),
    (
        "appArmorProfile",
        "securityContext: {appArmorProfile: {type: 1}}",
        "forbidden AppArmor profile (pod must not set AppArmor profile type to \"1\")",
    ),
];

#[test]
fn baseline_forbids_known_ways_to_more_privilege() {
    for (check, spec, message) in BASELINE {
        assert_eq!(said("baseline", check, &format!("spec: {{{spec}}}")), message, "{spec}");
    }
}

/// A check, a pod spec without braces, and what the newest restricted level says of it.
const RESTRICTED: [(&str, &str, &str); 40] = [
    ("allowPrivilegeEscalation", "containers: [{name: a, securityContext: {allowPrivilegeEscalation: false}}]", ""),
    (
        "allowPrivilegeEscalation",
        "containers: [{name: a}, {name: b, securityContext: {allowPrivilegeEscalation: null}}], initContainers: [{name: i, securityContext: {allowPrivilegeEscalation: true}}]",
        "allowPrivilegeEscalation != false (containers \"i\", \"a\", \"b\" must set securityContext.allowPrivilegeEscalation=false)",
    ),
    (
        "allowPrivilegeEscalation",
        "containers: [{name: a, securityContext: {allowPrivilegeEscalation: 'false'}}]",
        "allowPrivilegeEscalation != false (container \"a\" must set securityContext.allowPrivilegeEscalation=false)",
    ),
    (
        "allowPrivilegeEscalation",
        "hostUsers: false, os: {name: linux}, nodeSelector: {kubernetes.io/os: windows}, containers: [{name: a}]",
        "allowPrivilegeEscalation != false (container \"a\" must set securityContext.allowPrivilegeEscalation=false)",
    ),
    (
        "capabilities_restricted",
        "containers: [{name: a, securityContext: {capabilities: {drop: [CHOWN, ALL], add: [NET_BIND_SERVICE]}}}]",
        "",
    ),
    (
        "capabilities_restricted",
        "containers: [{name: a}, {name: b, securityContext: {capabilities: {drop: [all]}}}, {name: c, securityContext: {capabilities: {drop: ALL}}}]",
        "unrestricted capabilities (containers \"a\", \"b\", \"c\" must set securityContext.capabilities.drop=[\"ALL\"])",
    ),
    (
        "capabilities_restricted",
        "containers: [{name: a, securityContext: {capabilities: {add: [CHOWN, NET_BIND_SERVICE, SYS_ADMIN]}}}]",
        "unrestricted capabilities (container \"a\" must set securityContext.capabilities.drop=[\"ALL\"]; container \"a\" must not include \"CHOWN\", \"SYS_ADMIN\" in securityContext.capabilities.add)",
    ),
    (
        "capabilities_restricted",
        "hostUsers: false, containers: [{name: a, securityContext: {capabilities: {drop: [ALL], add: ['']}}}]",
        "unrestricted capabilities (container \"a\" must not include \"\" in securityContext.capabilities.add)",
    ),
    ("procMount_restricted", "containers: [{name: a, securityContext: {procMount: Default}}]", ""),
    (
        "procMount_restricted",
        "hostUsers: false, containers: [{name: a, securityContext: {procMount: Unmasked}}]",
        "procMount (container \"a\" must not set securityContext.procMount to \"Unmasked\")",
    ),
    (
        "restrictedVolumes",
        "volumes: [{name: a, configMap: {}}, {name: b, csi: {}}, {name: c, downwardAPI: {}}, {name: d, emptyDir: {}}, {name: e, ephemeral: {}}, {name: f, image: {}}]",
        "",
    ),
    (
        "restrictedVolumes",
        "volumes: [{name: a, persistentVolumeClaim: {}}, {name: b, projected: {}}, {name: c, secret: {}}]",
        "",
    ),
    ("restrictedVolumes", "volumes: [{name: a}, {name: b, emptyDir: null}, {name: c, hostPath: null}]", ""),
    (
        "restrictedVolumes",
        "volumes: [{name: a, hostPath: {path: /}}]",
        "restricted volume types (volume \"a\" uses restricted volume type \"hostPath\")",
    ),
    (
        "restrictedVolumes",
        "volumes: [{name: a, nfs: {}}, {name: b, gitRepo: {}}, {name: c, emptyDir: {}}, {name: d, floppyDisk: {}}, {name: e, nfs: {}}]",
        "restricted volume types (volumes \"a\", \"b\", \"d\", \"e\" use restricted volume types \"gitRepo\", \"nfs\", \"unknown\")",
    ),
    (
        "restrictedVolumes",
        "volumes: [{name: a, emptyDir: {}, iscsi: {}}, b]",
        "restricted volume types (volumes \"a\", \"\" use restricted volume types \"iscsi\", \"unknown\")",
    ),
    (
        "restrictedVolumes",
        "volumes: [{name: a, photonPersistentDisk: {}}]",
        "restricted volume types (volume \"a\" uses restricted volume type \"photonPersistentDisk\")",
    ),
    (
        "runAsNonRoot",
        "securityContext: {runAsNonRoot: true}, containers: [{name: a}, {name: b, securityContext: {runAsNonRoot: null}}]",
        "",
    ),
    (
        "runAsNonRoot",
        "containers: [{name: a, securityContext: {runAsNonRoot: true}}, {name: b, securityContext: {runAsNonRoot: yes}}]",
        "",
    ),
    (
        "runAsNonRoot",
        "containers: [{name: a}], initContainers: [{name: i, securityContext: {runAsNonRoot: true}}], ephemeralContainers: [{name: e}]",
        "runAsNonRoot != true (pod or containers \"a\", \"e\" must set securityContext.runAsNonRoot=true)",
    ),
    (
        "runAsNonRoot",
        "securityContext: {runAsNonRoot: false}, containers: [{name: a, securityContext: {runAsNonRoot: true}}]",
        "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)",
    ),
    (
        "runAsNonRoot",
        "securityContext: {runAsNonRoot: true}, containers: [{name: a, securityContext: {runAsNonRoot: false}}, {name: b}]",
        "runAsNonRoot != true (container \"a\" must not set securityContext.runAsNonRoot=false)",
    ),
    (
        "runAsNonRoot",
        "securityContext: {runAsNonRoot: 'true'}, containers: [{name: a, securityContext: {runAsNonRoot: 1}}]",
        "runAsNonRoot != true (pod and container \"a\" must not set securityContext.runAsNonRoot=false)",
    ),
    (
        "runAsNonRoot",
        "securityContext: {runAsUser: 1000}, containers: [{name: a}]",
        "runAsNonRoot != true (pod or container \"a\" must set securityContext.runAsNonRoot=true)",
    ),
    (
        "runAsNonRoot",
        "containers: [~]",
        "runAsNonRoot != true (pod or container \"\" must set securityContext.runAsNonRoot=true)",
    ),
    ("runAsNonRoot", "hostUsers: false, securityContext: {runAsNonRoot: false}, containers: [{name: a}]", ""),
    (
        "runAsNonRoot",
        "hostUsers: 'false', containers: [{name: a}]",
        "runAsNonRoot != true (pod or container \"a\" must set securityContext.runAsNonRoot=true)",
    ),
    (
        "runAsNonRoot",
        "os: {name: windows}, containers: [{name: a}]",
        "runAsNonRoot != true (pod or container \"a\" must set securityContext.runAsNonRoot=true)",
    ),
    (
        "runAsUser",
        "securityContext: {runAsUser: 1}, containers: [{name: a, securityContext: {runAsUser: null}}, {name: b}]",
        "",
    ),
    (
        "runAsUser",
        "securityContext: {runAsUser: 0}, containers: [{name: a, securityContext: {runAsUser: 1}}]",
        "runAsUser=0 (pod must not set runAsUser=0)",
    ),
    (
        "runAsUser",
        "securityContext: {runAsUser: 0x0}, containers: [{name: a, securityContext: {runAsUser: 0.0}}, {name: b, securityContext: {runAsUser: root}}]",
        "runAsUser=0 (pod and containers \"a\", \"b\" must not set runAsUser=0)",
    ),
    ("runAsUser", "hostUsers: false, securityContext: {runAsUser: 0}", ""),
    (
        "seccompProfile_restricted",
        "securityContext: {seccompProfile: {type: Localhost}}, containers: [{name: a}, {name: b, securityContext: {seccompProfile: null}}]",
        "",
    ),
    (
        "seccompProfile_restricted",
        "containers: [{name: a, securityContext: {seccompProfile: {type: RuntimeDefault}}}]",
        "",
    ),
    (
        "seccompProfile_restricted",
        "containers: [{name: a}, {name: b, securityContext: {seccompProfile: {type: RuntimeDefault}}}, {name: c, securityContext: {}}]",
        "seccompProfile (pod or containers \"a\", \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
    ),
    (
        "seccompProfile_restricted",
        "securityContext: {seccompProfile: {type: Unconfined}}, containers: [{name: a, securityContext: {seccompProfile: {type: Localhost}}}]",
        "seccompProfile (pod must not set securityContext.seccompProfile.type to \"Unconfined\")",
    ),
    (
        "seccompProfile_restricted",
        "securityContext: {seccompProfile: {type: Localhost}}, containers: [{name: a, securityContext: {seccompProfile: {}}}]",
        "seccompProfile (container \"a\" must not set securityContext.seccompProfile.type to \"\")",
    ),
    (
        "seccompProfile_restricted",
        "hostUsers: false, containers: [{name: a}]",
        "seccompProfile (pod or container \"a\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
    ),
    ("hostNamespaces", "hostPID: true", "host namespaces (hostPID=true)"),
    (
        "windowsHostProcess",
        "securityContext: {windowsOptions: {hostProcess: true}}",
        "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
    ),
];

#[test]
fn restricted_asks_for_what_is_hardened() {
    for (check, spec, message) in RESTRICTED {
        assert_eq!(said("restricted", check, &format!("spec: {{{spec}}}")), message, "{spec}");
    }
}

#[test]
fn annotations_name_profiles_too() {
    const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io";
    let said = |policy: &str, check: &str, annotations: &str| {
        let pod =
            format!("metadata: {{annotations: {{{annotations}}}}}\nspec: {{containers: [{{name: a}}, {{name: b}}]}}");
        said(policy, check, &pod)
    };
    for annotations in [
        String::new(),
        format!("{APP_ARMOR}/a: runtime/default, {APP_ARMOR}/b: localhost/"),
        format!("{APP_ARMOR}/a: '', {APP_ARMOR}/b: null, {APP_ARMOR}.example/a: unconfined"),
    ] {
        assert_eq!(said("baseline", "appArmorProfile", &annotations), "", "{annotations}");
    }
    assert_eq!(
        said("baseline", "appArmorProfile", &format!("{APP_ARMOR}/nobody: unconfined, {APP_ARMOR}/a: Localhost/x")),
        format!(
            "forbidden AppArmor profiles (annotations must not set AppArmor profile type to \"{APP_ARMOR}/a=\"Localhost/x\"\", \"{APP_ARMOR}/nobody=\"unconfined\"\")"
        )
    );
    assert_eq!(
        said("restricted@1.0", "appArmorProfile", &format!("{APP_ARMOR}/a: false")),
        format!(
            "forbidden AppArmor profile (annotation must not set AppArmor profile type to \"{APP_ARMOR}/a=\"false\"\")"
        )
    );

    // Seccomp profiles were named so up to 1.18, for the pod and for containers that exist.
    const POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
    const CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io";
    let check = "seccompProfile_baseline";
    for allowed in ["runtime/default", "docker/default", "localhost/x"] {
        assert_eq!(said("baseline@1.18", check, &format!("{POD}: {allowed}, {CONTAINER}/a: {allowed}")), "");
    }
    assert_eq!(said("baseline@1.18", check, &format!("{CONTAINER}/nobody: unconfined")), "");
    let annotations = format!("{POD}: unconfined, {CONTAINER}/b: '', {CONTAINER}/a: null");
    for policy in ["baseline@1.0", "baseline@1.18", "restricted@1.18"] {
        assert_eq!(
            said(policy, check, &annotations),
            format!(
                "seccompProfile (forbidden annotations {CONTAINER}/a=\"\", {CONTAINER}/b=\"\", {POD}=\"unconfined\")"
            )
        );
    }
    assert_eq!(said("baseline@1.19", check, &annotations), "");
}
