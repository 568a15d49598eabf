//! What the versions of the standards changed, on both sides of each change.

use super::{judge, said};
use unroot::kubernetes::pod_security::{Level, Version, level};
use unroot::yaml;

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
