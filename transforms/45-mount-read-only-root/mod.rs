#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::error::SkipReason;
use crate::facts::{Application, Arranged, ContainerFacts, Obstacle};
use crate::image::Reference;
use crate::kubernetes::{self, ContainerKind};
use crate::yaml::{Node, Value};
use std::collections::BTreeSet;

static METADATA: Metadata = Metadata {
    number: 45,
    id: "mount-read-only-root",
    title: "Make the root read-only, and mount volumes to write to",
    why: "Whoever breaks into a container whose root is read-only cannot change its programs. What the program itself writes goes to empty volumes, which \
          are as short-lived as the root was. No Pod Security Standard asks for this: it goes beyond restricted.",
    readme: include_str!("README.md"),
};

/// The longest name that a volume may have: a DNS label (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>).
const LONGEST_NAME: usize = 63;

/// Sets `readOnlyRootFilesystem` for containers of which it is known what they write.
pub(super) struct MountReadOnlyRoot;

impl Transform for MountReadOnlyRoot {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn configs(&self, application: &Application<'_>) -> Vec<Reference> {
        application.untold_references()
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        application.containers.iter().filter_map(|container| plan_container(application, container)).collect()
    }
}

fn plan_container(application: &Application<'_>, container: &ContainerFacts<'_>) -> Option<Proposal> {
    const KEY: &str = "readOnlyRootFilesystem";
    if container.container.image.is_empty() || container.container.kind == ContainerKind::Ephemeral {
        return None;
    }
    let subject = Subject::container(container);
    if container.pod.is_windows() {
        let detail = "a Windows pod: this field is for Linux";
        return Some(Proposal::declined(subject, SkipReason::WindowsPod, detail));
    }
    if container.view.security(KEY).and_then(Node::as_bool) == Some(true) {
        return Some(Proposal::already(subject, "the root is read-only"));
    }
    // Sources are searched only for images that are known not to be root any more.
    if application.image.is_some()
        && let Err((reason, _)) = application.settled_user(container, Arranged::default())
    {
        return Some(stays_root(subject, reason));
    }
    let root = application.read_only_root(container);
    let directories = root.as_ref().map(|root| root.directories.as_slice()).unwrap_or_default();
    let settled = application.settled_user(container, Arranged { directories, ..Arranged::default() });
    let (root, settled) = match (root, settled) {
        (Ok(root), Ok(settled)) => (root, settled),
        // A directory that only root may write is for want of the volumes that are declined.
        (Err((reason, detail)), Ok(_) | Err((SkipReason::SystemDirectory, _))) => {
            return Some(Proposal::declined(subject, reason, detail));
        }
        (_, Err((reason, _))) => return Some(stays_root(subject, reason)),
    };
    let volumes = named(container, &root.directories);
    let mut change = Change::default();
    let mounts = kubernetes::mount_empty(container.pod, container.view, &volumes);
    change.manifest(container.id.file, mounts);
    let entry = vec![(KEY.to_owned(), Value::Bool(true))];
    change.manifest(container.id.file, kubernetes::complete(container.view.node(), entry));
    let places = match root.directories.as_slice() {
        [] => "no volume is missing".to_owned(),
        directories => format!("emptyDir at {}", directories.join(", ")),
    };
    let obstacles: Vec<Obstacle> = settled.obstacles.into_iter().chain(root.doubts).collect();
    let detail = format!("read-only root for uid {}, {places} ({})", settled.identity.uid, root.how);
    Some(Proposal::change(subject, change, &obstacles, detail))
}

fn stays_root(subject: Subject, reason: SkipReason) -> Proposal {
    let detail = format!("no user other than root is settled ({reason}); inject-security-context says why");
    Proposal::declined(subject, SkipReason::DependsOnSkipped, detail)
}

/// A name for the volume of each directory. Other containers of the pod are given theirs at the same time and do not see these, so where there are others
/// the container's own name is part of it.
fn named(container: &ContainerFacts<'_>, directories: &[String]) -> Vec<(String, String)> {
    let volumes = container.pod.volumes().into_iter().map(|volume| volume.name());
    let mut taken: BTreeSet<String> =
        volumes.chain(container.workload.claim_templates(&container.manifest.stream)).collect();
    // A step of Argo has no name of its own beside its sidecars, and is called `main` when it runs.
    let own = match container.container.name.as_str() {
        "" => "main",
        name => name,
    };
    let names = container.workload.containers.iter().map(|other| other.name.as_str());
    let others = names.filter(|other| *other != container.container.name);
    let starts = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with('-'));
    // Of `a` and `a-b`, the volume of one at /b/tmp and that of the other at /tmp would be called the same.
    let alike = others.clone().any(|other| starts(other, own) || starts(own, other));
    let is_alone = others.count() == 0;
    let mut found = Vec::new();
    for directory in directories {
        let place = of_path(directory);
        let stem = if is_alone { place } else { format!("{own}-{place}") };
        let end = if alike { format!("-{}", container.id.container) } else { String::new() };
        let numbers = (2..).map(|number| format!("-{number}"));
        let name = std::iter::once(String::new())
            .chain(numbers)
            .map(|number| label(&format!("{stem}{number}{end}")))
            .find(|name| !taken.contains(name));
        if let Some(name) = name {
            taken.insert(name.clone());
            found.push((name, directory.clone()));
        }
    }
    found
}

/// What a directory is called: its last two parts, without `/var`.
fn of_path(directory: &str) -> String {
    let parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty() && *part != "var").collect();
    let last = parts.get(parts.len().saturating_sub(2)..).unwrap_or_default().join("-");
    let dns = |character: char| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' };
    let name: String = last.chars().map(dns).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "files".to_owned() } else { name.to_owned() }
}

/// A name as it may be: what is too long ends in a number made of all of it.
fn label(name: &str) -> String {
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    // FNV-1a: short, and the same on every machine.
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let start: String = name.chars().take(LONGEST_NAME - 9).collect();
    format!("{}-{hash:08x}", start.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_called_after_their_place() {
        for (path, name) in [
            ("/tmp", "tmp"),
            ("/var/run", "run"),
            ("/var/cache/nginx", "cache-nginx"),
            ("/var/run/mysqld", "run-mysqld"),
            ("/usr/local/apache2/logs", "apache2-logs"),
            ("/home/App_1/.cache", "app-1--cache"),
            ("/", "files"),
        ] {
            assert_eq!(of_path(path), name);
        }
    }

    #[test]
    fn a_long_name_becomes_one_that_is_allowed() {
        let (one, other) = (label(&format!("{}-a", "x".repeat(70))), label(&format!("{}-b", "x".repeat(70))));
        assert!(one.len() <= LONGEST_NAME && other.len() <= LONGEST_NAME);
        assert_ne!(one, other);
    }
}
