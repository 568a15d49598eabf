//! What a container wrote to the root of its image, as the engine compares them.

use super::node::EngineNode;
use super::pods::Container;
use super::tar::{self, Attributes};
use crate::prove::Result;
use crate::prove::kubelet::ContainerConfig;
use std::collections::BTreeSet;
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

/// The folders in which something was made, changed or removed.
pub(super) fn folders(node: &EngineNode, container: &Container, config: &ContainerConfig) -> Result<BTreeSet<String>> {
    let listed = node.engine.call("diff").arg(container.name()).text()?;
    let mut written = BTreeSet::new();
    let mut original = None;
    for (kind, path) in ends(&listed, config) {
        // A folder is listed also where what was made in it is gone again.
        let mut same = false;
        if kind == "C"
            && let Some(now) = attributes(node, container.name(), path)?.filter(|now| now.folder)
        {
            let original = match &original {
                Some(original) => original,
                None => original.insert(node.created(container.image())?),
            };
            same = attributes(node, original.name(), path)? == Some(now);
        }
        if let Some(parent) = path.parent().filter(|_| !same) {
            written.insert(parent.display().to_string());
        }
    }
    Ok(written)
}

/// Owner and mode of a file in a container; `None` where it is not there.
fn attributes(node: &EngineNode, container: &str, path: &Path) -> Result<Option<Attributes>> {
    let place = format!("{container}:{}", path.display());
    Ok(tar::first_attributes(&node.engine.call("cp").args([&place, "-"]).beginning(HEAD)?))
}

/// What changed and is not listed only because something in it changed: a letter (A, C or D) and a path each.
fn ends<'a>(listed: &'a str, config: &ContainerConfig) -> Vec<(&'a str, &'a Path)> {
    let mounts = config.mounts.iter().map(|mount| mount.destination.trim_end_matches('/'));
    let mounts: Vec<&Path> = OF_THE_ENGINE.into_iter().chain(mounts).map(Path::new).collect();
    let start = Path::new(&config.working_dir);
    let changes: Vec<(&str, &Path)> = listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(kind, path)| (kind, Path::new(path)))
        .filter(|(_, path)| !mounts.iter().any(|mount| path.starts_with(mount)))
        .collect();
    // The runtime makes the places of mounts, and the folder in which the program starts.
    let places = |path: &Path| mounts.iter().chain([&start]).any(|place| place.starts_with(path));
    let added: BTreeSet<&Path> =
        changes.iter().filter(|(kind, path)| *kind == "A" && !places(path)).map(|(_, path)| *path).collect();
    let end = |(kind, path): &&(&str, &Path)| {
        // What is in a new folder may have another name in every run.
        let in_new = path.ancestors().skip(1).any(|folder| added.contains(folder));
        let inner = *kind == "C" && changes.iter().any(|(_, other)| other != path && other.starts_with(path));
        !in_new && !inner && !places(path)
    };
    changes.iter().filter(end).copied().collect()
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
            ends(listed, &config).into_iter().map(|(kind, path)| format!("{kind} {}", path.display())).collect();
        assert_eq!(told, ["A /data/out", "A /srv/app/log", "A /a", "C /run/x", "D /tmp/y", "C /bin"]);
    }
}
