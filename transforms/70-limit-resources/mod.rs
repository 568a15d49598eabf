#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::config::{Amounts, Resources};
use crate::error::SkipReason;
use crate::facts::{Application, ContainerFacts};
use crate::kubernetes::{self, ContainerKind};
use crate::yaml::Value;

static METADATA: Metadata = Metadata {
    number: 70,
    id: "limit-resources",
    title: "Give containers the resources that unroot.toml states",
    why: "A container without limits can take all of a node's memory, and one without requests is the first to suffer when somebody does. \
          The amounts are those of unroot.toml; none is made up. No Pod Security Standard asks for them.",
    readme: include_str!("README.md"),
};

/// Writes the configured resources into containers that state none.
pub(super) struct LimitResources;

impl Transform for LimitResources {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        let Some(resources) = &application.around.config.resources else { return Vec::new() };
        // The API server refuses resources of ephemeral containers.
        let may_have_them = |container: &&ContainerFacts<'_>| {
            container.container.kind != ContainerKind::Ephemeral && !container.container.image.is_empty()
        };
        let containers = application.containers.iter().filter(may_have_them);
        containers.map(|container| plan_container(application, container, resources)).collect()
    }
}

fn plan_container(application: &Application<'_>, container: &ContainerFacts<'_>, resources: &Resources) -> Proposal {
    let subject = Subject::container(container);
    let repository = application.around.repository;
    if container.view.has_resources() {
        return Proposal::already(subject, "states resources of its own");
    }
    if container.pod.has_resources() {
        return Proposal::already(subject, "the pod states resources for all its containers");
    }
    if let Some(path) = repository.patch_of(container.workload, &["resources"]) {
        let detail = format!("{path} patches resources of {}", container.workload.label());
        return Proposal::declined(subject, SkipReason::AuthorChoice, detail);
    }
    if let Some(place) = repository.limit_range() {
        let detail = format!("the LimitRange at {place} gives containers what they do not state");
        return Proposal::declined(subject, SkipReason::AuthorChoice, detail);
    }
    let lists = [("requests", &resources.requests), ("limits", &resources.limits)];
    let stated = lists.into_iter().filter(|(_, amounts)| amounts.entries().next().is_some());
    let entries: Vec<(String, Value)> = stated.clone().map(|(list, amounts)| (list.to_owned(), map(amounts))).collect();
    let words: Vec<String> = stated.map(|(list, amounts)| format!("{list} {}", words(amounts))).collect();
    let mut change = Change::default();
    change.manifest(container.id.file, kubernetes::give_resources(container.view, entries));
    Proposal::change(subject, change, &[], format!("{}, as unroot.toml states", words.join("; ")))
}

fn map(amounts: &Amounts) -> Value {
    Value::Map(amounts.entries().map(|(name, amount)| (name.to_owned(), Value::Str(amount.to_owned()))).collect())
}

fn words(amounts: &Amounts) -> String {
    amounts.entries().map(|(name, amount)| format!("{name} {amount}")).collect::<Vec<_>>().join(", ")
}
