#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::error::SkipReason;
use crate::facts::{Application, ContainerFacts, EffectiveUser, Identity, Obstacle};
use crate::image::{Claim, Reference};
use crate::kubernetes::{self, Settings, VolumeSource};
use crate::link::Link;
use crate::yaml::{Node, Value};

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
        let asked = application.containers.iter().filter_map(|container| container.asks_registry(application.around));
        asked.cloned().collect()
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
    let chosen = contradictions(container, &subject);
    let mut proposals = vec![match user(application, container) {
        Ok((identity, obstacles)) => complete(container, subject, &identity, &obstacles),
        Err((reason, detail)) => Proposal::declined(subject, reason, detail),
    }];
    proposals.extend(chosen);
    proposals
}

/// The user to write down, with what speaks against it, or why none can be.
fn user(
    application: &Application<'_>,
    container: &ContainerFacts<'_>,
) -> Result<(Identity, Vec<Obstacle>), (SkipReason, String)> {
    // What breaks a process that is no longer root does not matter to one that never was.
    let of_settings = |obstacle: &&Obstacle| {
        matches!(
            obstacle.reason,
            SkipReason::NeedsRoot | SkipReason::AuthorChoice | SkipReason::LowPort | SkipReason::WindowsPod
        )
    };
    let assigned = container.settings() == Settings::UserAssigned;
    match application.effective_user(container) {
        // Nothing is written down, so where the platform assigns none the image alone must do; a number in its Dockerfile does.
        EffectiveUser::Known(_) | EffectiveUser::StepsDown(_)
            if assigned && application.image.is_none() && container.security("runAsUser").is_none() =>
        {
            let kind = &container.workload.kind;
            Err((SkipReason::UnknownUser, format!("the platform may assign a {kind} another user than the image's")))
        }
        EffectiveUser::Known(identity) => {
            Ok((identity, application.obstacles().iter().filter(of_settings).cloned().collect()))
        }
        EffectiveUser::StepsDown(identity) => {
            if let Some(refusal) = unfit_mount(container) {
                return Err((SkipReason::VolumeOwnership, refusal));
            }
            Ok((identity, application.obstacles().to_vec()))
        }
        EffectiveUser::Root { how } => {
            // Its port is not what keeps an image root of which no other user is known.
            let matters = |obstacle: &&Obstacle| match obstacle.reason {
                SkipReason::UnknownStack => false,
                SkipReason::LowPort => container.config.is_none(),
                _ => true,
            };
            match application.obstacles().iter().find(matters) {
                Some(obstacle) => Err((obstacle.reason, format!("runs as root: {}", obstacle.detail))),
                None if application.image.is_some() => {
                    Err((SkipReason::DependsOnSkipped, format!("runs as root ({how}), and the user was not switched")))
                }
                None => {
                    let unknown = (SkipReason::UnknownUser, "no other user is known to work".to_owned());
                    let (reason, detail) = container.stays_root().unwrap_or(unknown);
                    Err((reason, format!("{how} runs as root and {detail}")))
                }
            }
        }
        EffectiveUser::Unknown { how } => match container.link {
            Link::Ambiguous(candidates) => {
                let paths: Vec<_> =
                    candidates.iter().map(|id| application.around.repository.file(*id).path.as_str()).collect();
                let detail = format!("may be built from {}; say so with a [[link]] in unroot.toml", paths.join(" or "));
                Err((SkipReason::AmbiguousLink, detail))
            }
            Link::Linked { .. } | Link::External => {
                Err((SkipReason::UnknownUser, format!("{how}; set runAsUser, or name the user by number")))
            }
        },
    }
}

/// A mount that the image's own user cannot use, whatever `fsGroup` says.
fn unfit_mount(container: &ContainerFacts<'_>) -> Option<String> {
    let known = container.known?;
    if known.claim == Some(Claim::Group) {
        return None;
    }
    let data = known.data_variable.as_deref().and_then(|name| container.view.env(name));
    let mount = container.mounts().into_iter().find(|mount| {
        let below = data.as_ref().is_some_and(|data| {
            data.len() > mount.path.len() + 1 && data.starts_with(&format!("{}/", mount.path.trim_end_matches('/')))
        });
        matches!(mount.source, VolumeSource::Claim | VolumeSource::EmptyDir) && !below
    })?;
    let advice = match &known.data_variable {
        Some(name) => format!("; point {name} to a folder below {} and move the data there", mount.path.escape_debug()),
        None => String::new(),
    };
    Some(format!("{} must own the directory it keeps data in, and a mount belongs to root{advice}", known.name))
}

fn complete(container: &ContainerFacts<'_>, subject: Subject, identity: &Identity, obstacles: &[Obstacle]) -> Proposal {
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
    // An image with a user of its own had what it needs of its claims already.
    let claims = container.known.is_some_and(|known| known.service.is_some())
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

/// Settings that the author wrote and the standard forbids. They are theirs to change.
fn contradictions(container: &ContainerFacts<'_>, subject: &Subject) -> Vec<Proposal> {
    let mut found = Vec::new();
    let mut report = |node: Node<'_>, what: String| {
        let subject = Subject { offset: node.span().start, ..subject.clone() };
        found.push(Proposal::declined(
            subject,
            SkipReason::AuthorChoice,
            format!("{what}; restricted does not allow it"),
        ));
    };
    if let Some(node) = container.view.security("allowPrivilegeEscalation")
        && node.as_bool() != Some(false)
    {
        report(node, "allowPrivilegeEscalation is not false".to_owned());
    }
    for profile in
        [container.view.security("seccompProfile"), container.pod.security("seccompProfile")].into_iter().flatten()
    {
        let kind = profile.get("type").and_then(Node::as_str);
        if !matches!(kind.as_deref(), Some("RuntimeDefault" | "Localhost")) {
            report(
                profile,
                format!("seccompProfile.type is {}", kind.as_deref().unwrap_or("not written").escape_debug()),
            );
        }
    }
    found
}
