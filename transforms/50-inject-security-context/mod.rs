#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::error::SkipReason;
use crate::facts::{Application, Arranged, ContainerFacts, SettledUser};
use crate::image::Reference;
use crate::kubernetes::{self, Settings, VolumeSource};
use crate::yaml::Value;

static METADATA: Metadata = Metadata {
    number: 50,
    id: "inject-security-context",
    title: "Ask Kubernetes to hold containers to what they need",
    why: "The containers get the settings of the Pod Security Standard restricted: no root, no privilege escalation, no capabilities, the runtime's \
          seccomp profile. They are written only where the user is known, because dropping capabilities from root breaks what root does.",
    readme: include_str!("README.md"),
};

/// Completes the security context of containers whose user is known.
pub(super) struct InjectSecurityContext;

impl Transform for InjectSecurityContext {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn configs(&self, application: &Application<'_>) -> Vec<Reference> {
        application.untold_references()
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        application.containers.iter().flat_map(|container| plan_container(application, container)).collect()
    }
}

fn plan_container(application: &Application<'_>, container: &ContainerFacts<'_>) -> Vec<Proposal> {
    let subject = Subject::container(container);
    if container.container.image.is_empty() {
        return Vec::new();
    }
    if container.pod.is_windows() {
        let detail = "a Windows pod: these fields are for Linux";
        return vec![Proposal::declined(subject, SkipReason::WindowsPod, detail)];
    }
    vec![match application.settled_user(container, Arranged::default()) {
        Ok(settled) => complete(application, container, subject, &settled),
        Err((reason, detail)) => Proposal::declined(subject, reason, detail),
    }]
}

fn complete(
    application: &Application<'_>,
    container: &ContainerFacts<'_>,
    subject: Subject,
    settled: &SettledUser,
) -> Proposal {
    let SettledUser { identity, obstacles, is_assumed } = settled;
    let absent = |key: &str| container.security(key).is_none();
    let mut entries: Vec<(String, Value)> = Vec::new();
    let mut push = |key: &str, value: Value| entries.push((key.to_owned(), value));
    if absent("runAsNonRoot") {
        push("runAsNonRoot", Value::Bool(true));
    }
    let assigned = container.settings() == Settings::UserAssigned;
    if absent("runAsUser") && !assigned {
        push("runAsUser", Value::Int(i64::from(identity.uid)));
    }
    if let Some(gid) = identity.gid
        && absent("runAsGroup")
        && !assigned
    {
        push("runAsGroup", Value::Int(i64::from(gid)));
    }
    // These two are the container's alone; the pod has no such field.
    if container.view.security("allowPrivilegeEscalation").is_none() {
        push("allowPrivilegeEscalation", Value::Bool(false));
    }
    let dropping = kubernetes::drop_all(container.view);
    if let Err((key, value)) = &dropping {
        push(key, value.clone());
    }
    if absent("seccompProfile") {
        push("seccompProfile", Value::Map(vec![("type".to_owned(), Value::Str("RuntimeDefault".to_owned()))]));
    }
    let mut names: Vec<String> = entries.iter().map(|(key, _)| key.clone()).collect();
    let mut operations = kubernetes::complete(container.view.node(), entries);
    let dropped = dropping.unwrap_or_default();
    if !dropped.is_empty() {
        names.push("capabilities.drop".to_owned());
        operations.extend(dropped);
    }
    if absent("runAsUser")
        && let Some((name, folder)) = application.data_folder(container)
    {
        names.push(name.clone());
        operations.extend(kubernetes::set_variable(container.view, name, folder));
    }
    // An image with a user of its own had what it needs of its claims already.
    let claims = (*is_assumed || container.known.is_some_and(|known| known.service.is_some()))
        && container.mounts().iter().any(|mount| mount.source == VolumeSource::Claim && !mount.read_only);
    if let Some(gid) = identity.gid
        && claims
        && !assigned
    {
        let shared = kubernetes::share_claims(container.pod, gid);
        if !shared.is_empty() {
            names.push("fsGroup".to_owned());
        }
        operations.extend(shared);
    }
    if operations.is_empty() {
        return Proposal::already(subject, format!("uid {} ({}), and nothing is missing", identity.uid, identity.how));
    }
    let mut change = Change::default();
    change.manifest(container.id.file, operations);
    Proposal::change(
        subject,
        change,
        obstacles,
        format!("{} for uid {} ({})", names.join(", "), identity.uid, identity.how),
    )
}
