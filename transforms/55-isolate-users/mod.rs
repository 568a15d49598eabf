#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::error::SkipReason;
use crate::facts::{Application, Arranged, ContainerFacts, EffectiveUser};
use crate::kubernetes;
use crate::yaml::Value;

static METADATA: Metadata = Metadata {
    number: 55,
    id: "isolate-users",
    title: "Give pods in which somebody stays root users of their own",
    why: "What stays root in these pods is an ordinary user outside of them: hostUsers: false maps their users to ones that own nothing on the node. \
          Its nodes have to be able to: Kubernetes 1.33, Linux 6.3, and filesystems that map users, as unroot.toml says they are.",
    readme: include_str!("README.md"),
};

/// Gives pods a user namespace.
pub(super) struct IsolateUsers;

impl Transform for IsolateUsers {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        if !application.around.config.user_namespaces {
            return Vec::new();
        }
        // What concerns the pod is said of its first container.
        let first = application.containers.iter().filter(|container| container.id.container == 0);
        first.filter_map(|container| plan_pod(application, container)).collect()
    }
}

fn plan_pod<'a>(application: &Application<'a>, first: &ContainerFacts<'a>) -> Option<Proposal> {
    const KEY: &str = "hostUsers";
    if first.pod.is_windows() {
        return None;
    }
    let offset = first.pod.node().span().start;
    let subject = Subject { offset, label: first.workload.label(), ..Subject::container(first) };
    if first.pod.host_users() == Some(false) {
        return Some(Proposal::already(subject, "the pod has users of its own"));
    }
    let (label, why) = stays_root(application, first)?;
    if let Some(value) = first.pod.node().lookup(KEY).filter(|value| !value.is_null()) {
        let detail = format!("hostUsers is {}", value.text().escape_debug());
        return Some(Proposal::declined(subject, SkipReason::AuthorChoice, detail));
    }
    const CONCERNED: [&str; 6] = [KEY, "hostNetwork", "hostPID", "hostIPC", "securityContext", "volumes"];
    if let Some(path) = application.around.repository.patch_of(first.workload, &CONCERNED) {
        let detail = format!("{path} patches users, namespaces or volumes of {}", first.workload.label());
        return Some(Proposal::declined(subject, SkipReason::AuthorChoice, detail));
    }
    let claims = match application.user_namespace(first) {
        Ok(claims) => claims,
        Err((reason, detail)) => return Some(Proposal::declined(subject, reason, detail)),
    };
    let mut change = Change::default();
    change.manifest(first.id.file, [kubernetes::set(first.pod.node(), KEY, Value::Bool(false))]);
    let detail = format!("hostUsers: false, because {label} is started as root: {why}");
    let mut excuse = "what only root of the node may do fails in it".to_owned();
    if !claims.is_empty() {
        excuse.push_str(&format!(
            ", and so does the pod where the filesystem of claim {} maps no users",
            claims.join(", ")
        ));
    }
    Some(Proposal::doubtful(subject, change, detail, excuse))
}

/// The first container of the pod that is started as root after all that could be done, and why.
fn stays_root<'a>(application: &Application<'a>, first: &ContainerFacts<'a>) -> Option<(String, String)> {
    application.containers_of_pod(first).into_iter().find_map(|container| {
        let own = Application::of_container(application.around, container.id)?;
        let how = match own.effective_user(&container) {
            EffectiveUser::Root { how } => how,
            EffectiveUser::StepsDown(_) => "its image steps down on its own".to_owned(),
            EffectiveUser::Known(_) | EffectiveUser::Unknown { .. } => return None,
        };
        let why = match own.settled_user(&container, Arranged::default()) {
            Err((_, detail)) => detail,
            Ok(settled) => {
                settled.obstacles.into_iter().find(|obstacle| obstacle.hard).map_or(how, |obstacle| obstacle.detail)
            }
        };
        Some((container.label(), why))
    })
}
