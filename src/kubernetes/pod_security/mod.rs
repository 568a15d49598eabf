//! The Pod Security Standards, judged as the API server's admission plugin judges them.
//!
//! Source: `k8s.io/pod-security-admission` at Kubernetes 1.37, folder `policy/`: one file for each check, `registry.go` for how versions
//! and levels choose among them. The rules are the plugin's, not those of the page that describes them, and so are the names of the checks
//! and the words of the messages. The table `CHECKS` is the whole of it.
//!
//! A manifest is judged before the API server has filled in its defaults. Of these only one matters here: a volume without a source is an
//! `emptyDir`. Null counts as absent. What the API server would refuse to decode (`privileged: "no"`, `runAsUser: root`) satisfies no check
//! that reads it; a scalar or a list where a mapping belongs has no fields.

mod baseline;
mod forbidden;
mod policy;
mod restricted;
mod subject;

pub use policy::{InvalidPolicy, Level, Policy, Version};

use super::Workload;
use crate::source::{Span, printable};
use crate::yaml::{Node, Route, Stream};
use forbidden::Forbidden;
use subject::Pod;

type Rule = for<'a> fn(&Pod<'a>) -> Option<Forbidden<'a>>;

/// One revision of a check: it holds from its version on, until the next revision of the same name.
struct Check {
    id: &'static str,
    level: Level,
    /// Minor version.
    since: u32,
    /// The weaker check whose place this one takes.
    overrides: Option<&'static str>,
    rule: Rule,
}

/// All checks in the order in which the API server reports them: by level, name and version.
static CHECKS: [Check; 31] = {
    use Level::{Baseline, Restricted};
    const fn check(level: Level, id: &'static str, since: u32, overrides: Option<&'static str>, rule: Rule) -> Check {
        Check { id, level, since, overrides, rule }
    }
    [
        check(Baseline, "appArmorProfile", 0, None, baseline::app_armor_profile),
        check(Baseline, "capabilities_baseline", 0, None, baseline::capabilities),
        check(Baseline, "hostNamespaces", 0, None, baseline::host_namespaces),
        check(Baseline, "hostPathVolumes", 0, None, baseline::host_path_volumes),
        check(Baseline, "hostPorts", 0, None, baseline::host_ports),
        check(Baseline, "hostProbesAndHostLifecycle", 34, None, baseline::host_probes_and_host_lifecycle),
        check(Baseline, "privileged", 0, None, baseline::privileged),
        check(Baseline, "procMount", 0, None, baseline::proc_mount),
        check(Baseline, "procMount", 35, None, |pod| unless_user_namespace(pod, baseline::proc_mount)),
        check(Baseline, "seLinuxOptions", 0, None, |pod| baseline::selinux_options(pod, 0)),
        check(Baseline, "seLinuxOptions", 31, None, |pod| baseline::selinux_options(pod, 31)),
        check(Baseline, "seccompProfile_baseline", 0, None, baseline::seccomp_annotations),
        check(Baseline, "seccompProfile_baseline", 19, None, baseline::seccomp_profile),
        check(Baseline, "sysctls", 0, None, |pod| baseline::sysctls(pod, 0)),
        check(Baseline, "sysctls", 27, None, |pod| baseline::sysctls(pod, 27)),
        check(Baseline, "sysctls", 29, None, |pod| baseline::sysctls(pod, 29)),
        check(Baseline, "sysctls", 32, None, |pod| baseline::sysctls(pod, 32)),
        check(Baseline, "sysctls", 37, None, |pod| baseline::sysctls(pod, 37)),
        check(Baseline, "windowsHostProcess", 0, None, baseline::windows_host_process),
        check(Restricted, "allowPrivilegeEscalation", 8, None, restricted::allow_privilege_escalation),
        check(Restricted, "allowPrivilegeEscalation", 25, None, |pod| {
            unless_windows(pod, restricted::allow_privilege_escalation)
        }),
        check(Restricted, "capabilities_restricted", 22, Some("capabilities_baseline"), restricted::capabilities),
        check(Restricted, "capabilities_restricted", 25, Some("capabilities_baseline"), |pod| {
            unless_windows(pod, restricted::capabilities)
        }),
        check(Restricted, "procMount_restricted", 35, Some("procMount"), baseline::proc_mount),
        check(Restricted, "restrictedVolumes", 0, Some("hostPathVolumes"), restricted::volumes),
        check(Restricted, "runAsNonRoot", 0, None, restricted::run_as_non_root),
        check(Restricted, "runAsNonRoot", 35, None, |pod| unless_user_namespace(pod, restricted::run_as_non_root)),
        check(Restricted, "runAsUser", 23, None, restricted::run_as_user),
        check(Restricted, "runAsUser", 35, None, |pod| unless_user_namespace(pod, restricted::run_as_user)),
        check(
            Restricted,
            "seccompProfile_restricted",
            19,
            Some("seccompProfile_baseline"),
            restricted::seccomp_profile,
        ),
        check(Restricted, "seccompProfile_restricted", 25, Some("seccompProfile_baseline"), |pod| {
            unless_windows(pod, restricted::seccomp_profile)
        }),
    ]
};

/// One check that a pod does not satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The name of the check, such as `runAsNonRoot` or `capabilities_restricted`.
    pub check: &'static str,
    /// The weakest level that forbids it.
    pub level: Level,
    /// What the API server says: reason, and in parentheses who does what. One line, fit to be printed.
    pub message: String,
    /// Where, in the order of the check; at least one.
    pub places: Vec<Place>,
}

/// A node of the document that holds the pod spec: a value that is forbidden, or the nearest node to one that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it is in words. Of what comes through an alias or a merge, where it is written.
    pub route: Route,
    /// Where it is in bytes.
    pub span: Span,
}

/// What of a policy a pod does not satisfy, in the order in which the API server reports it; empty when it satisfies all.
///
/// `template_metadata` is the metadata of the pod or of the pod template, whose annotations matter.
pub fn evaluate(template_metadata: Option<Node<'_>>, pod_spec: Node<'_>, policy: Policy) -> Vec<Violation> {
    judge(&Pod::new(template_metadata, pod_spec), policy)
}

fn judge(pod: &Pod<'_>, policy: Policy) -> Vec<Violation> {
    let checks: Vec<&Check> = in_force(policy.version).filter(|check| check.level <= policy.level).collect();
    let overridden = |id| checks.iter().any(|check| check.overrides == Some(id));
    let mut violations = Vec::new();
    for check in checks.iter().filter(|check| !overridden(check.id)) {
        let Some(forbidden) = (check.rule)(pod) else { continue };
        let weaker = checks.iter().find(|weaker| check.overrides == Some(weaker.id));
        let weaker = weaker.filter(|weaker| (weaker.rule)(pod).is_some());
        violations.push(Violation {
            check: check.id,
            level: weaker.map_or(check.level, |weaker| weaker.level),
            message: printable(&format!("{} ({})", forbidden.reason, forbidden.detail)),
            places: forbidden.nodes.iter().map(|node| Place { route: node.route(), span: node.span() }).collect(),
        });
    }
    violations
}

/// The strictest level that a pod satisfies. Each level is judged by itself, as a namespace that enforces it would: of a Windows pod
/// *restricted* asks less than *baseline* where fields are concerned that the API server refuses in it anyway.
pub fn level(template_metadata: Option<Node<'_>>, pod_spec: Node<'_>, version: Version) -> Level {
    level_of(&Pod::new(template_metadata, pod_spec), version)
}

fn level_of(pod: &Pod<'_>, version: Version) -> Level {
    let satisfied = |level: &Level| judge(pod, Policy { level: *level, version }).is_empty();
    Level::ALL.into_iter().rev().find(satisfied).unwrap_or(Level::Privileged)
}

impl Workload {
    /// What of a policy the pods of this workload do not satisfy; see [`evaluate`].
    pub fn violations(&self, stream: &Stream, policy: Policy) -> Vec<Violation> {
        self.pod(stream).map(|pod| judge(&pod, policy)).unwrap_or_default()
    }

    /// The strictest level that the pods of this workload satisfy; see [`level`].
    pub fn level(&self, stream: &Stream, version: Version) -> Level {
        self.pod(stream).map_or(Level::Privileged, |pod| level_of(&pod, version))
    }

    fn pod<'a>(&self, stream: &'a Stream) -> Option<Pod<'a>> {
        match &self.assembly {
            Some(assembly) => Pod::assembled(self, assembly, stream),
            None => Some(Pod::new(self.pod_metadata(stream), self.pod_node(stream)?)),
        }
    }
}

/// Of each check the revision that holds in a version, if there is one.
fn in_force(version: Version) -> impl Iterator<Item = &'static Check> {
    let minor = version.known_minor();
    let holds = move |check: &Check| check.since <= minor;
    let next = CHECKS.iter().skip(1).map(Some).chain([None]);
    let checks = CHECKS.iter().zip(next);
    checks
        .filter(move |(check, next)| holds(check) && !next.is_some_and(|next| next.id == check.id && holds(next)))
        .map(|(check, _)| check)
}

/// From 1.25 on: what the API server refuses in Windows pods is not asked of them.
fn unless_windows<'a>(pod: &Pod<'a>, rule: Rule) -> Option<Forbidden<'a>> {
    if pod.is_windows() { None } else { rule(pod) }
}

/// From 1.35 on: root in a user namespace is no root of the host.
fn unless_user_namespace<'a>(pod: &Pod<'a>, rule: Rule) -> Option<Forbidden<'a>> {
    if pod.has_user_namespace() { None } else { rule(pod) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_in_order() {
        assert!(CHECKS.is_sorted_by_key(|check| (check.level, check.id, check.since)));
        assert_eq!(CHECKS.iter().map(|check| check.since).max(), Some(Version::LATEST.known_minor()));
        let baseline: Vec<&str> =
            CHECKS.iter().filter(|check| check.level == Level::Baseline).map(|check| check.id).collect();
        assert!(CHECKS.iter().filter_map(|check| check.overrides).all(|id| baseline.contains(&id)));
    }

    #[test]
    fn one_revision_of_each_check_is_in_force() {
        let ids = |minor| -> Vec<(&str, u32)> {
            in_force(Version::minor(minor)).map(|check| (check.id, check.since)).collect()
        };
        assert_eq!(ids(0).len(), 11 + 2);
        assert_eq!(ids(37).len(), 12 + 7);
        assert!(ids(31).contains(&("sysctls", 29)) && ids(32).contains(&("sysctls", 32)));
        assert_eq!(ids(37), ids(99));
    }
}
