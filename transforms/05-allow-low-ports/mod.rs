#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::error::SkipReason;
use crate::facts::{Application, ContainerFacts, EffectiveUser, Obstacle, User};
use crate::image::Reference;
use crate::kubernetes::{self, Settings};
use crate::link::Link;

static METADATA: Metadata = Metadata {
    number: 5,
    id: "allow-low-ports",
    title: "Let any user listen on ports below 1024",
    why: "The pods get the sysctl net.ipv4.ip_unprivileged_port_start: 0, which holds for their own network namespace alone. So a process that is not \
          root keeps its port, and Services, probes and network policies stay as they are.",
    readme: include_str!("README.md"),
};

/// Sets the sysctl for pods whose low port is all that keeps them root.
pub(super) struct AllowLowPorts;

impl Transform for AllowLowPorts {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn configs(&self, application: &Application<'_>) -> Vec<Reference> {
        application.untold_references()
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        let (low, others): (Vec<&Obstacle>, Vec<&Obstacle>) =
            application.obstacles().iter().partition(|obstacle| obstacle.reason == SkipReason::LowPort);
        let Some(first) = application.containers.first() else { return Vec::new() };
        let subject = Subject::container(first);
        let Some(low) = low.first() else {
            let set = application.containers.iter().any(|container| container.pod.allows_low_ports());
            return Vec::from_iter(
                set.then(|| Proposal::already(subject, "any user of the pod may listen on any port")),
            );
        };
        let mut others: Vec<Obstacle> = others.into_iter().cloned().collect();
        let mut wanted = false;
        for container in &application.containers {
            if let Some(doubts) = wants(application, container) {
                wanted = true;
                others.extend(doubts);
            }
        }
        // What else keeps it root is told by the steps about its user.
        if !wanted || others.iter().any(|obstacle| obstacle.hard) {
            return Vec::new();
        }
        let mut change = Change::default();
        for container in application.containers.iter().filter(|container| !container.pod.allows_low_ports()) {
            let pod = container.pod;
            if pod.settings() == Settings::ContainersOnly {
                let detail = format!("{}; the pods of a {} are given no sysctl", low.detail, container.workload.kind);
                return vec![Proposal::declined(subject, SkipReason::LowPort, detail)];
            }
            if pod.is_on_host_network() {
                let detail =
                    format!("{}; the pod shares the node's network, whose sysctls are not the pod's", low.detail);
                return vec![Proposal::declined(subject, SkipReason::LowPort, detail)];
            }
            if let Some(start) = pod.sysctl(kubernetes::UNPRIVILEGED_PORT_START) {
                let detail = format!("{} is {}", kubernetes::UNPRIVILEGED_PORT_START, start.escape_debug());
                return vec![Proposal::declined(subject, SkipReason::AuthorChoice, detail)];
            }
            change.manifest(container.id.file, kubernetes::allow_low_ports(pod));
        }
        let seen = low.detail.split(": a process").next().unwrap_or_default();
        vec![Proposal::change(subject, change, &others, format!("sysctl for the pod, because {seen}"))]
    }
}

/// What is not sure about the container once it is run by a user other than root, as it will be or is; `None` where it stays root.
fn wants(application: &Application<'_>, container: &ContainerFacts<'_>) -> Option<Vec<Obstacle>> {
    let left_out = |id: &str| application.around.leaves_out(id);
    if matches!(container.link, Link::Ambiguous(_)) {
        // Who it is hangs on which image it runs, and that on steps that come later.
        return None;
    }
    let user = application.effective_user(container);
    if let Some((_, doubt)) = application.assumed_user(container, &user) {
        return (!left_out("inject-security-context")).then_some(vec![doubt]);
    }
    match user {
        EffectiveUser::Known(_) => Some(Vec::new()),
        EffectiveUser::StepsDown(_) => (!left_out("inject-security-context")).then(Vec::new),
        EffectiveUser::Root { .. } => match &application.image {
            Some(image) => (image.user == User::Root && !left_out("switch-user")).then(Vec::new),
            None if left_out("inject-security-context") => None,
            None => application.steps_down_once_arranged(container),
        },
        EffectiveUser::Unknown { .. } => None,
    }
}
