//! The Pod Security Standards, from outside.
#![allow(clippy::unwrap_used, reason = "here a failed step should end the test")]
#![allow(clippy::disallowed_methods, reason = "tests look at directories they are given")]

#[path = "pod_security/checks.rs"]
mod checks;
#[path = "pod_security/given.rs"]
mod given;
#[path = "pod_security/places.rs"]
mod places;
#[path = "pod_security/shapes.rs"]
mod shapes;
#[path = "pod_security/versions.rs"]
mod versions;

use unroot::kubernetes::pod_security::{Policy, Violation, evaluate};
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
