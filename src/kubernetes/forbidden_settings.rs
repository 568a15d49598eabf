//! What a manifest says that the Pod Security Standard forbids. What it does not say, and the standard asks for, is left out.

use super::Workload;
use super::pod_security::{Level, Policy, Version};
use crate::yaml::{Node, Route, Step, Stream};

/// A value that the level *restricted* forbids, in its newest version.
#[derive(Clone, Debug)]
pub struct ForbiddenSetting<'a> {
    /// The check that forbids it, as [`super::pod_security::Violation::check`].
    pub check: &'static str,
    /// The field it stands in: `privileged`, `hostPort`, `add`, `seccompProfile`, ...; of an annotation its key.
    pub field: String,
    /// The value.
    pub node: Node<'a>,
    /// Index of the container that it stands in; `None` for what is the whole pod's, and for what an alias or a merge brings from elsewhere.
    pub container: Option<usize>,
}

impl Workload {
    /// What the workload's pods say and must not, each value once, in the order of the checks. What is said for other pods of the object as well is
    /// left out: these may need it.
    pub fn forbidden_settings<'a>(&self, stream: &'a Stream) -> Vec<ForbiddenSetting<'a>> {
        let policy = Policy { level: Level::Restricted, version: Version::LATEST };
        let mut found: Vec<ForbiddenSetting<'a>> = Vec::new();
        for violation in self.violations(stream, policy) {
            for place in violation.places {
                let node = stream.document(self.document).and_then(|document| document.at(&place.route));
                let field = written(violation.check, &place.route);
                let Some((node, field)) = node.zip(field) else { continue };
                let is_shared = self.assembly.is_some() && !is_below(&place.route, &self.pod_spec);
                if !is_shared && found.iter().all(|other| other.node != node) {
                    let container =
                        self.containers.iter().position(|container| is_below(&place.route, &container.route));
                    found.push(ForbiddenSetting { check: violation.check, field, node, container });
                }
            }
        }
        found
    }
}

/// The field in which the place of a check holds a forbidden value; `None` where the place is only the nearest to a value that is missing.
fn written(check: &str, route: &Route) -> Option<String> {
    let keys: Vec<&str> = route.0.iter().rev().filter_map(key).collect();
    let last = keys.first().copied()?;
    let field = match check {
        "allowPrivilegeEscalation" | "runAsNonRoot" | "runAsUser" => check,
        "capabilities_restricted" | "capabilities_baseline" => "add",
        "seccompProfile_restricted" | "seccompProfile_baseline" => "seccompProfile",
        _ => last,
    };
    // The type of a profile stands below it.
    keys.iter().take(2).any(|key| *key == field).then(|| field.to_owned())
}

fn key(step: &Step) -> Option<&str> {
    match step {
        Step::Key(key) => Some(key),
        Step::Index(_) => None,
    }
}

fn is_below(route: &Route, holder: &Route) -> bool {
    route.0.len() > holder.0.len() && route.0.starts_with(&holder.0)
}
