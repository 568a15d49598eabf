#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::error::SkipReason;
use crate::facts::{Application, ContainerFacts};
use crate::kubernetes;
use crate::yaml::Node;

static METADATA: Metadata = Metadata {
    number: 60,
    id: "withhold-service-account-token",
    title: "Give no API token to pods that never use one",
    why: "Every pod finds a token for the Kubernetes API in its containers, whether it has a use for it or not; whoever breaks into a container has it too. \
          These pods run as nobody's account in particular, and nothing in them talks to the API. No Pod Security Standard asks for this.",
    readme: include_str!("README.md"),
};

/// Sets `automountServiceAccountToken: false` for pods that have no use for a token.
pub(super) struct WithholdServiceAccountToken;

impl Transform for WithholdServiceAccountToken {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        application.pods().map(|container| plan_pod(application, container)).collect()
    }
}

/// The container stands for its pod.
fn plan_pod(application: &Application<'_>, container: &ContainerFacts<'_>) -> Proposal {
    let pod = container.pod;
    let subject = Subject {
        file: container.id.file,
        offset: pod.automount().unwrap_or(pod.node()).span().start,
        label: format!("{} pod", container.workload.label()),
    };
    match pod.automount().map(Node::as_bool) {
        Some(Some(false)) => return Proposal::already(subject, "automountServiceAccountToken is false"),
        Some(_) => {
            let detail = "automountServiceAccountToken is written, and is not false";
            return Proposal::declined(subject, SkipReason::AuthorChoice, detail);
        }
        None => {}
    }
    if let Some(account) = pod.account() {
        let detail = format!("it runs as the account {}, which exists for something", account.escape_debug());
        return Proposal::declined(subject, SkipReason::AccountInUse, detail);
    }
    let mut change = Change::default();
    change.manifest(container.id.file, [kubernetes::withhold_token(pod)]);
    let detail = "automountServiceAccountToken: false, because nothing in it talks to the Kubernetes API";
    Proposal::change(subject, change, &application.token_obstacles(container), detail)
}
