//! The Pod Security Standards: each check with what it forbids and what it allows, on both sides of each version that changed it.
//!
//! `UNROOT_POD_SECURITY=<directory>` judges a collection of pods as well: `<level>/v1.N/pass/*.yaml` must satisfy the level in that version, and
//! `<level>/v1.N/fail/*.yaml` must not. That is the layout of `test/testdata` in `k8s.io/pod-security-admission`.
#![allow(clippy::unwrap_used, reason = "here a failed step should end the test")]
#![allow(clippy::disallowed_methods, reason = "tests look at directories they are given")]

use proptest::prelude::*;
use std::path::{Path, PathBuf};
use unroot::kubernetes::pod_security::{Level, Policy, Version, Violation, evaluate, level};
use unroot::kubernetes::workloads;
use unroot::yaml;

/// What a policy has to say of a bare Pod, given as `metadata` and `spec`.
fn judge(policy: &str, pod: &str) -> Vec<Violation> {
    let policy: Policy = policy.parse().unwrap();
    let stream = yaml::parse(pod).unwrap_or_else(|refusal| panic!("{pod}: {refusal}"));
    let root = stream.document(0).unwrap().root().unwrap();
    let (metadata, spec) = (root.get("metadata"), root.get("spec").unwrap());
    let violations = evaluate(metadata, spec, policy);
    for violation in &violations {
        assert!(!violation.places.is_empty() && violation.level <= policy.level, "{violation:?}");
        assert!(!violation.message.contains('\n'), "{violation:?}");
    }
    violations
}

/// The message of one check, or an empty string.
fn said(policy: &str, check: &str, pod: &str) -> String {
    let found = judge(policy, pod).into_iter().find(|violation| violation.check == check);
    found.map(|violation| violation.message).unwrap_or_default()
}

/// A check, a pod spec without braces, and what the newest baseline says of it.
const BASELINE: [(&str, &str, &str); 48] = [
    ("hostNamespaces", "hostNetwork: true", "host namespaces (hostNetwork)"),
    (
        "hostNamespaces",
        "hostPID: true, hostNetwork: yes, hostIPC: on",
        "host namespaces (hostIPC, hostNetwork, hostPID)",
    ),
    ("hostNamespaces", "hostNetwork: false, hostPID: null, hostIPC: ", ""),
    ("hostNamespaces", "hostPID: 'false'", "host namespaces (hostPID)"),
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
    ("hostNamespaces", "hostPID: true", "host namespaces (hostPID)"),
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

/// Level, check, the first minor version of a change, a pod spec, and whether it is forbidden before and from then on.
const CHANGES: [(&str, &str, u32, &str, bool, bool); 32] = [
    ("restricted", "allowPrivilegeEscalation", 8, "containers: [{name: a}]", false, true),
    ("restricted", "allowPrivilegeEscalation", 25, "os: {name: windows}, containers: [{name: a}]", true, false),
    ("restricted", "allowPrivilegeEscalation", 25, "os: {name: linux}, containers: [{name: a}]", true, true),
    ("baseline", "seccompProfile_baseline", 19, "securityContext: {seccompProfile: {type: Unconfined}}", false, true),
    (
        "restricted",
        "seccompProfile_baseline",
        19,
        "securityContext: {seccompProfile: {type: Unconfined}}",
        false,
        false,
    ),
    ("restricted", "seccompProfile_restricted", 19, "containers: [{name: a}]", false, true),
    ("restricted", "seccompProfile_restricted", 25, "os: {name: windows}, containers: [{name: a}]", true, false),
    ("restricted", "seccompProfile_restricted", 25, "os: {name: Windows}, containers: [{name: a}]", true, true),
    ("restricted", "capabilities_restricted", 22, "containers: [{name: a}]", false, true),
    ("restricted", "capabilities_restricted", 25, "os: {name: windows}, containers: [{name: a}]", true, false),
    (
        "restricted",
        "capabilities_baseline",
        22,
        "containers: [{name: a, securityContext: {capabilities: {add: [BPF]}}}]",
        true,
        false,
    ),
    (
        "baseline",
        "capabilities_baseline",
        22,
        "containers: [{name: a, securityContext: {capabilities: {add: [BPF]}}}]",
        true,
        true,
    ),
    ("restricted", "runAsUser", 23, "securityContext: {runAsUser: 0}", false, true),
    ("restricted", "runAsUser", 35, "hostUsers: false, securityContext: {runAsUser: 0}", true, false),
    ("restricted", "runAsUser", 35, "hostUsers: true, securityContext: {runAsUser: 0}", true, true),
    ("restricted", "runAsNonRoot", 35, "hostUsers: false, containers: [{name: a}]", true, false),
    ("restricted", "runAsNonRoot", 35, "hostUsers: true, containers: [{name: a}]", true, true),
    (
        "baseline",
        "procMount",
        35,
        "hostUsers: false, containers: [{name: a, securityContext: {procMount: Unmasked}}]",
        true,
        false,
    ),
    ("baseline", "procMount", 35, "containers: [{name: a, securityContext: {procMount: Unmasked}}]", true, true),
    ("restricted", "procMount", 35, "containers: [{name: a, securityContext: {procMount: Unmasked}}]", true, false),
    (
        "restricted",
        "procMount_restricted",
        35,
        "hostUsers: false, containers: [{name: a, securityContext: {procMount: Unmasked}}]",
        false,
        true,
    ),
    (
        "baseline",
        "hostProbesAndHostLifecycle",
        34,
        "containers: [{name: a, livenessProbe: {httpGet: {host: h}}}]",
        false,
        true,
    ),
    (
        "restricted",
        "hostProbesAndHostLifecycle",
        34,
        "containers: [{name: a, lifecycle: {postStart: {httpGet: {host: h}}}}]",
        false,
        true,
    ),
    ("baseline", "seLinuxOptions", 31, "securityContext: {seLinuxOptions: {type: container_engine_t}}", true, false),
    ("baseline", "seLinuxOptions", 31, "securityContext: {seLinuxOptions: {type: spc_t}}", true, true),
    ("baseline", "sysctls", 27, "securityContext: {sysctls: [{name: net.ipv4.ip_local_reserved_ports}]}", true, false),
    (
        "baseline",
        "sysctls",
        29,
        "securityContext: {sysctls: [{name: net.ipv4.tcp_keepalive_time}, {name: net.ipv4.tcp_fin_timeout}]}",
        true,
        false,
    ),
    (
        "baseline",
        "sysctls",
        29,
        "securityContext: {sysctls: [{name: net.ipv4.tcp_keepalive_intvl}, {name: net.ipv4.tcp_keepalive_probes}]}",
        true,
        false,
    ),
    (
        "baseline",
        "sysctls",
        32,
        "securityContext: {sysctls: [{name: net.ipv4.tcp_rmem}, {name: net.ipv4.tcp_wmem}]}",
        true,
        false,
    ),
    (
        "baseline",
        "sysctls",
        37,
        "securityContext: {sysctls: [{name: net.ipv4.tcp_slow_start_after_idle}]}",
        true,
        false,
    ),
    ("baseline", "sysctls", 37, "securityContext: {sysctls: [{name: net.ipv4.tcp_notsent_lowat}]}", true, false),
    ("baseline", "sysctls", 37, "securityContext: {sysctls: [{name: net.ipv4.tcp_mem}]}", true, true),
];

#[test]
fn checks_change_at_their_versions() {
    for (level, check, since, spec, before, after) in CHANGES {
        let pod = format!("spec: {{{spec}}}");
        let forbidden = |minor: u32| !said(&format!("{level}@1.{minor}"), check, &pod).is_empty();
        assert_eq!((forbidden(since - 1), forbidden(since)), (before, after), "{level} {check} at 1.{since}: {spec}");
    }
}

/// What holds from the first version to the last, among it what was added to a check without a new version.
#[test]
fn some_rules_hold_in_every_version() {
    for minor in 0..=38 {
        let baseline = format!("baseline@1.{minor}");
        let restricted = format!("restricted@1.{minor}");
        let pod = "spec: {volumes: [{name: v, image: {reference: r}}, {name: w}]}";
        assert_eq!(said(&restricted, "restrictedVolumes", pod), "", "{minor}");
        let pod = "spec: {volumes: [{name: v, hostPath: {path: /}}]}";
        assert_eq!(said(&restricted, "hostPathVolumes", pod), "", "restrictedVolumes says it, {minor}");
        assert!(
            !said(&restricted, "restrictedVolumes", pod).is_empty()
                && !said(&baseline, "hostPathVolumes", pod).is_empty()
        );
        let pod = "spec: {securityContext: {appArmorProfile: {type: Unconfined}}}";
        assert!(!said(&baseline, "appArmorProfile", pod).is_empty(), "{minor}");
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

/// The least that satisfies restricted in each version, as it grew.
#[test]
fn the_strictest_level_depends_on_the_version() {
    let levels = |pod: &str| -> Vec<(u32, Level)> {
        let stream = yaml::parse(pod).unwrap();
        let spec = stream.document(0).unwrap().root().unwrap().get("spec").unwrap();
        let mut changes: Vec<(u32, Level)> = Vec::new();
        for minor in 0..=40 {
            let strictest = level(None, spec, Version::minor(minor));
            if changes.last().is_none_or(|(_, last)| *last != strictest) {
                changes.push((minor, strictest));
            }
        }
        changes
    };
    use Level::{Baseline, Privileged, Restricted};
    let non_root = "spec: {securityContext: {runAsNonRoot: true}, containers: [{name: a}]}";
    assert_eq!(levels(non_root), [(0, Restricted), (8, Baseline)]);
    let escalation = non_root.replace("{name: a}", "{name: a, securityContext: {allowPrivilegeEscalation: false}}");
    assert_eq!(levels(&escalation), [(0, Restricted), (19, Baseline)]);
    let seccomp =
        escalation.replace("runAsNonRoot: true", "runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}");
    assert_eq!(levels(&seccomp), [(0, Restricted), (22, Baseline)]);
    let dropped = seccomp
        .replace("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}");
    assert_eq!(levels(&dropped), [(0, Restricted)]);
    assert_eq!(
        levels(&dropped.replace("runAsNonRoot: true", "runAsNonRoot: true, runAsUser: 0")),
        [(0, Restricted), (23, Baseline)]
    );
    assert_eq!(
        levels(&non_root.replace("spec: {", "spec: {os: {name: windows}, ")),
        [(0, Restricted), (8, Baseline), (25, Restricted)]
    );
    let unmasked = "spec: {hostUsers: false, containers: [{name: a, securityContext: {procMount: Unmasked}}]}";
    assert_eq!(levels(unmasked), [(0, Privileged), (35, Baseline)]);
    assert_eq!(levels("spec: {hostNetwork: true}"), [(0, Privileged)]);
}

#[test]
fn a_violation_names_the_weakest_level_that_forbids_it() {
    let found = judge(
        "restricted",
        "spec: {volumes: [{name: v, nfs: {}}], containers: [{name: a, securityContext: {capabilities: {add: [BPF]}, seccompProfile: {type: Unconfined}}}]}",
    );
    let found: Vec<(&str, Level)> = found.iter().map(|violation| (violation.check, violation.level)).collect();
    use Level::{Baseline, Restricted};
    assert_eq!(
        found,
        [
            ("allowPrivilegeEscalation", Restricted),
            ("capabilities_restricted", Baseline),
            ("restrictedVolumes", Restricted),
            ("runAsNonRoot", Restricted),
            ("seccompProfile_restricted", Baseline),
        ]
    );
    assert!(judge("privileged", "spec: {hostNetwork: true}").is_empty());
}

#[test]
fn places_are_where_a_reader_should_look() {
    let text = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {container.apparmor.security.beta.kubernetes.io/app: unconfined}
spec:
  template:
    metadata:
      annotations: {container.apparmor.security.beta.kubernetes.io/side: unconfined}
    spec:
      hostPID: true
      containers:
      - name: app
        image: i
        securityContext:
          privileged: true
          capabilities: {drop: [NET_RAW]}
      - name: side
        image: i
";
    let stream = yaml::parse(text).unwrap();
    let workload = &workloads(&stream)[0];
    let places: Vec<String> = workload
        .violations(&stream, "restricted".parse().unwrap())
        .iter()
        .flat_map(|violation| violation.places.iter().map(move |place| (violation.check, place)))
        .map(|(check, place)| {
            let route = place.route.to_string().replace("spec.template.", "");
            let line = place.span.of(text).lines().next().unwrap_or_default();
            format!("{check}: {} = {line}", route.replace("container.apparmor.security.beta.kubernetes.io/", "…/"))
        })
        .collect();
    assert_eq!(
        places,
        [
            "appArmorProfile: metadata.annotations.…/side = unconfined",
            "hostNamespaces: spec.hostPID = true",
            "privileged: spec.containers[0].securityContext.privileged = true",
            "allowPrivilegeEscalation: spec.containers[0].securityContext = privileged: true",
            "allowPrivilegeEscalation: spec.containers[1] = name: side",
            "capabilities_restricted: spec.containers[0].securityContext.capabilities.drop = [NET_RAW]",
            "capabilities_restricted: spec.containers[1] = name: side",
            "runAsNonRoot: spec.containers[0].securityContext = privileged: true",
            "runAsNonRoot: spec.containers[1] = name: side",
            "seccompProfile_restricted: spec.containers[0].securityContext = privileged: true",
            "seccompProfile_restricted: spec.containers[1] = name: side",
        ]
    );
}

#[test]
fn a_bare_pod_has_its_own_annotations() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {annotations: {container.apparmor.security.beta.kubernetes.io/a: unconfined}}\nspec: {containers: [{name: a, image: i}]}\n";
    let stream = yaml::parse(text).unwrap();
    let found = workloads(&stream)[0].violations(&stream, "baseline".parse().unwrap());
    assert_eq!(found.iter().map(|violation| violation.check).collect::<Vec<_>>(), ["appArmorProfile"]);
}

#[test]
fn aliases_and_merges_are_followed() {
    let pod = "\
common: &context {allowPrivilegeEscalation: false, runAsNonRoot: true, privileged: true}
more: &more {capabilities: {drop: [&all ALL]}, seccompProfile: {type: Localhost}}
spec:
  containers:
  - {name: a, securityContext: {<<: [*context, *more], privileged: false}}
  - {name: b, securityContext: {<<: *context, <<: *more}}
  - name: c
    securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, seccompProfile: {type: Localhost}, capabilities: {drop: [*all]}}
";
    let one = pod.replace("{<<: *context, <<: *more}", "{<<: [*context, *more]}");
    let found = judge("restricted", &one);
    let found: Vec<&str> = found.iter().map(|violation| violation.message.as_str()).collect();
    assert_eq!(found, ["privileged (container \"b\" must not set securityContext.privileged=true)"]);
}

/// A value of any shape where the checks read.
fn any_value() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(vec![
        "",
        "~",
        "true",
        "false",
        "'true'",
        "0",
        "-1",
        "1e3",
        ".nan",
        "0x0",
        "99999999999999999999",
        "ALL",
        "Default",
        "windows",
        "RuntimeDefault",
        "localhost/x",
        "\"a\\nb\\e[2J\"",
        "!!int x",
        "é",
    ]);
    let keys = prop::sample::select(vec![
        "name",
        "type",
        "add",
        "drop",
        "user",
        "host",
        "hostPort",
        "httpGet",
        "lifecycle",
        "preStop",
        "capabilities",
        "seccompProfile",
        "securityContext",
        "seLinuxOptions",
        "windowsOptions",
        "hostProcess",
        "procMount",
        "runAsUser",
        "runAsNonRoot",
        "hostPath",
        "nfs",
        "sysctls",
        "ports",
        "<<",
        "1",
    ]);
    scalar.prop_map(str::to_owned).prop_recursive(4, 24, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::btree_map(keys.clone(), inner, 0..3).prop_map(|entries| {
                let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: prop::test_runner::RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_shape_of_a_pod_stops_the_evaluation(
        metadata in any_value(), context in any_value(), container in any_value(), own in any_value(), volumes in any_value(), minor in 0..40u32,
    ) {
        let pod = format!(
            "metadata: {{annotations: {metadata}}}\nspec: {{securityContext: {context}, volumes: {volumes}, initContainers: {container}, containers: [{container}, {{name: a, securityContext: {own}, livenessProbe: {own}, ports: [{own}]}}], os: {context}, hostUsers: {own}}}\n"
        );
        if let Ok(stream) = yaml::parse(pod) {
            let root = stream.document(0).unwrap().root().unwrap();
            for level in Level::ALL {
                let policy = Policy { level, version: Version::minor(minor) };
                for violation in evaluate(root.get("metadata"), root.get("spec").unwrap(), policy) {
                    prop_assert!(!violation.places.is_empty() && !violation.message.chars().any(char::is_control), "{:?}", violation);
                }
            }
        }
    }
}

#[test]
fn odd_shapes_are_judged() {
    for (pod, expected) in [
        ("spec: ~", 0),
        ("spec: []", 0),
        ("spec: text", 0),
        ("spec: {containers: x}", 4),
        ("spec: {containers: [[], 1, {}]}", 4),
        ("metadata: x\nspec: {containers: {name: a}}", 4),
        ("metadata: {annotations: [x]}\nspec: {volumes: {a: b}, containers: []}", 1),
        ("spec: {securityContext: text, containers: [{name: a, securityContext: text, ports: 1, lifecycle: [x]}]}", 4),
    ] {
        assert_eq!(judge("restricted", pod).len(), expected, "{pod}");
    }
}

/// See the documentation of this file. Without the variable there is nothing to judge.
#[test]
fn given_pods_are_judged_as_their_folders_say() {
    let Some(directory) = std::env::var_os("UNROOT_POD_SECURITY") else { return };
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries
    };
    let (mut judged, mut wrong) = (0, Vec::new());
    for folder in
        entries(Path::new(&directory)).iter().filter(|folder| folder.is_dir()).flat_map(|level| entries(level))
    {
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let policy = format!("{}@{}", name(folder.parent().unwrap()), name(&folder));
        let files = ["pass", "fail"]
            .into_iter()
            .flat_map(|expected| entries(&folder.join(expected)).into_iter().map(move |file| (expected, file)));
        for (expected, file) in files.filter(|(_, file)| file.extension().is_some_and(|extension| extension == "yaml"))
        {
            let found = judge(&policy, &std::fs::read_to_string(&file).unwrap());
            judged += 1;
            if found.is_empty() != (expected == "pass") {
                wrong.push(format!("{}: {found:?}", file.display()));
            }
        }
    }
    println!("{judged} pods, {} wrong", wrong.len());
    assert!(judged > 0 && wrong.is_empty(), "{judged} pods, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
