//! What a container wrote to the root of its image, as the engine compares them.

use super::node::EngineNode;
use super::pods::Container;
use super::tar;
use crate::prove::changes::FolderChange;
use crate::prove::kubelet::ContainerConfig;
use crate::prove::{Failure, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::Path;

/// How many bytes of an archive hold its first entry, whatever headers go before it.
const HEAD: u64 = 4096;

/// What engines and the runtime put into a root themselves.
const OF_THE_ENGINE: [&str; 11] = [
    "/proc",
    "/dev",
    "/sys",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/mtab",
    "/run/secrets/kubernetes.io",
    "/run/secrets",
    "/run/.containerenv",
    "/.dockerenv",
];

/// How many files and folders are looked at; of more it is believed that they are no folders, or folders in which something changed.
const LOOKS: usize = 32;

/// How much of a folder of the image is read, in bytes of its archive, to see what the image has there.
const CONTENT: u64 = 32 << 20;

/// What a container did to the root of its image.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// The folders in which something was made, changed or removed.
    pub(super) writes: BTreeSet<String>,
    /// What was done there; that a folder was given away or opened is a change of the folder itself.
    pub(super) folders: BTreeMap<String, FolderChange>,
}

/// Compares a container with its image.
pub(super) fn changes(node: &EngineNode, container: &Container, config: &ContainerConfig) -> Result<Changes> {
    let listed = node.engine.call("diff").arg(container.name()).text()?;
    let ends = ends(&listed, config);
    let mut changes = Changes::default();
    if ends.is_empty() {
        return Ok(changes);
    }
    let original = node.created(container.image())?;
    let look = |container: &str, path: &Path| {
        let place = format!("{container}:{}", path.display());
        Ok::<_, Failure>(tar::first_attributes(&node.engine.call("cp").args([&place, "-"]).beginning(HEAD)?))
    };
    let mut looks = 0;
    for End { kind, path, more } in ends {
        let parent = path.parent().unwrap_or(path);
        let is_new_tree = more && kind == "A";
        let now = if is_new_tree || kind == "D" || looks == LOOKS {
            None
        } else {
            looks += 1;
            look(container.name(), path)?.filter(|now| now.folder)
        };
        let is_mode = kind == "C" && now.is_some();
        if is_mode && look(original.name(), path)? == now || more && !is_new_tree && !is_mode {
            // It is listed because of what was made in it, which is told by itself or gone again.
            continue;
        }
        changes.writes.insert(parent.display().to_string());
        let place = if is_mode { path } else { parent };
        let folder = changes.folders.entry(place.display().to_string()).or_default();
        if kind == "A" && (more || now.is_some()) {
            folder.made.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        } else {
            folder.changed = true;
        }
    }
    for (folder, change) in changes.folders.iter_mut().filter(|(folder, _)| *folder != "/") {
        let archive =
            node.engine.call("cp").args([&format!("{}:{folder}", original.name()), "-"]).beginning(CONTENT)?;
        change.holds = tar::names(&archive);
    }
    Ok(changes)
}

/// Something that changed; of a folder in which something did, nobody knows yet whether it did by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End<'a> {
    /// A, C or D: added, changed, deleted.
    kind: &'a str,
    path: &'a Path,
    /// Whether it is a folder in which something is new or changed.
    more: bool,
}

/// Reads the engine's list: a letter and a path in each line.
fn ends<'a>(listed: &'a str, config: &ContainerConfig) -> Vec<End<'a>> {
    let mounts = config.mounts.iter().map(|mount| mount.destination.trim_end_matches('/'));
    let mounts: Vec<&Path> = OF_THE_ENGINE.into_iter().chain(mounts).map(Path::new).collect();
    let start = Path::new(&config.working_dir);
    // In this order what is in a folder comes right after it.
    let changes: BTreeMap<&Path, &str> = listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(kind, path)| (Path::new(path), kind))
        .filter(|(path, _)| !mounts.iter().any(|mount| path.starts_with(mount)))
        .collect();
    // The runtime makes the places of mounts, and the folder in which the program starts.
    let places = |path: &Path| mounts.iter().chain([&start]).any(|place| place.starts_with(path));
    let added: BTreeSet<&Path> =
        changes.iter().filter(|(path, kind)| **kind == "A" && !places(path)).map(|(path, _)| *path).collect();
    let end = |(path, kind): (&&'a Path, &&'a str)| {
        let (path, kind) = (*path, *kind);
        // What is in a new folder may have another name in every run.
        let in_new = path.ancestors().skip(1).any(|folder| added.contains(folder));
        let next = changes.range::<Path, _>((Bound::Excluded(path), Bound::Unbounded)).next();
        let more = next.is_some_and(|(next, _)| next.starts_with(path));
        let is_end = !(in_new || places(path));
        is_end.then_some(End { kind, path, more })
    };
    changes.iter().filter_map(end).collect()
}

#[cfg(test)]
mod tests {
    use super::ends;
    use crate::prove::kubelet::{ContainerConfig, Identity, Mount, Source};

    #[test]
    fn only_what_the_program_did_is_told() {
        let config = ContainerConfig {
            arguments: Vec::new(),
            env: Vec::new(),
            working_dir: "/srv/app".to_owned(),
            identity: Identity { uid: 0, gid: 0, groups: [].into() },
            capabilities: [].into(),
            no_new_privileges: false,
            seccomp: false,
            read_only_root: false,
            mounts: vec![Mount {
                source: Source::ServiceAccount,
                destination: "/data/in/".to_owned(),
                read_only: true,
            }],
        };
        let listed = "C /etc\nA /data\nA /data/in\nA /data/out\nA /srv\nA /srv/app\nA /srv/app/log\nA /a\nA /a/b\nC /run\nC /run/x\nD /tmp/y\nC /tmp\nC /bin";
        let told: Vec<String> =
            ends(listed, &config).into_iter().map(|end| format!("{} {}", end.kind, end.path.display())).collect();
        assert_eq!(told, ["A /a", "C /bin", "A /data/out", "C /run/x", "A /srv/app/log", "C /tmp", "D /tmp/y"]);
    }
}
