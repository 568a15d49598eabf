//! What a container did to the folders of its image, told so that one can say which volumes it needs.

use std::collections::{BTreeMap, BTreeSet};

/// What a container did to one folder of its image, outside of every mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderChange {
    /// The names of folders that it made there.
    pub made: BTreeSet<String>,
    /// Whether it made, changed or removed anything else there, or gave the folder itself another mode or owner.
    pub changed: bool,
    /// The names that the image has there; `None` where that was not looked at.
    pub holds: Option<BTreeSet<String>>,
}

/// The changes of a container as `docker diff`, `podman diff` and `nerdctl diff` list them: `A`, `C` or `D`, a space, and a path in each line
/// (<https://docs.docker.com/reference/cli/docker/container/diff/>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    entries: BTreeMap<String, char>,
}

impl Diff {
    /// Reads the list. Lines of another form are left out.
    pub fn parse(text: &str) -> Self {
        let entry = |line: &str| {
            let (kind, path) = line.split_once(' ')?;
            let kind = kind.chars().next().filter(|_| matches!(kind, "A" | "C" | "D"))?;
            path.starts_with('/').then(|| (path.to_owned(), kind))
        };
        Self { entries: text.lines().filter_map(entry).collect() }
    }

    /// The folders in which something was done. New files and empty new folders look alike, and count as files. What lies at or below one of the `mounts`, and the folders that lead to one, are the runtime's own.
    pub fn folders(&self, mounts: &[String]) -> BTreeMap<String, FolderChange> {
        let mut folders: BTreeMap<String, FolderChange> = BTreeMap::new();
        let is_runtimes = |path: &str| {
            mounts.iter().any(|mount| {
                mount == path || is_below(path, mount) || is_below(mount, path) && !self.is_written(path, mount)
            })
        };
        for (path, kind) in &self.entries {
            let Some((parent, name)) = path.rsplit_once('/') else { continue };
            let parent = if parent.is_empty() { "/" } else { parent };
            let is_in_new = self.entries.get(parent) == Some(&'A');
            let has_more = self.below(path).next().is_some();
            if is_in_new || is_runtimes(path) || *kind == 'C' && has_more {
                continue;
            }
            let folder = folders.entry(parent.to_owned()).or_default();
            if *kind == 'A' && has_more {
                folder.made.insert(name.to_owned());
            } else {
                folder.changed = true;
            }
        }
        folders
    }

    /// Of the names that a folder of the container holds now, and of those removed from it, those that the image has there.
    pub fn held(&self, folder: &str, now: impl IntoIterator<Item = String>) -> BTreeSet<String> {
        let path = |name: &str| format!("{}/{name}", folder.trim_end_matches('/'));
        let mut held: BTreeSet<String> =
            now.into_iter().filter(|name| self.entries.get(&path(name)) != Some(&'A')).collect();
        let removed = self.below(folder).filter(|(_, kind)| **kind == 'D');
        held.extend(removed.filter_map(|(path, _)| {
            let rest = path.strip_prefix(folder)?.trim_start_matches('/');
            Some(rest.split('/').next().unwrap_or(rest).to_owned())
        }));
        held
    }

    /// Whether a folder above a mount has other changes than that the mount's place was made.
    fn is_written(&self, folder: &str, mount: &str) -> bool {
        self.below(folder).any(|(path, _)| path != mount && !is_below(path, mount) && !is_below(mount, path))
    }

    fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a String, &'a char)> {
        let prefix = format!("{}/", folder.trim_end_matches('/'));
        let from = self.entries.range(prefix.clone()..);
        from.take_while(move |(path, _)| path.starts_with(&prefix))
    }
}

/// Whether `path` lies strictly below `folder`.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder.trim_end_matches('/')).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
}

/// The TCP ports that somebody listens on, of a table as `/proc/net/tcp` and `/proc/net/tcp6` are (proc_net(5): `local_address` and `st` are the second
/// and fourth column, in hexadecimal digits; 0A is TCP_LISTEN).
pub fn listening(table: &str) -> BTreeSet<u16> {
    let port = |line: &str| {
        let mut columns = line.split_whitespace().skip(1);
        let (address, state) = (columns.next()?, columns.nth(1)?);
        let port = u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok()?;
        (state == "0A").then_some(port)
    };
    table.lines().filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn new_folders_are_told_from_other_changes() {
        let diff = Diff::parse(
            "C /app\nA /app/cache\nA /app/cache/a\nA /app/note.txt\nC /run\nC /run/web\nA /run/web/web.pid\nC /var\nC /var/lib\nA /var/lib/new\nA /var/lib/new/x\nA /var/lib/new/x/y\nD /etc/motd\nC /etc\nC /tmp\nA /tmp/x\nnonsense\n",
        );
        let folders = diff.folders(&[]);
        let change = |made: &[&str], changed: bool| FolderChange { made: names(made), changed, holds: None };
        let expected = [
            ("/app", change(&["cache"], true)),
            ("/etc", change(&[], true)),
            ("/run/web", change(&[], true)),
            ("/tmp", change(&[], true)),
            ("/var/lib", change(&["new"], false)),
        ];
        assert_eq!(folders, expected.map(|(folder, change)| (folder.to_owned(), change)).into());
    }

    #[test]
    fn what_the_runtime_makes_for_mounts_is_left_out() {
        let diff = Diff::parse(
            "C /etc\nA /etc/hosts\nC /var\nA /var/data\nA /var/data/deep\nC /run\nA /run/secrets\nA /run/a.pid\n",
        );
        let mounts = ["/etc/hosts", "/var/data/deep", "/run/secrets"].map(str::to_owned);
        let folders = diff.folders(&mounts);
        assert_eq!(folders.keys().collect::<Vec<_>>(), ["/run"]);
    }

    #[test]
    fn what_the_image_has_is_what_was_not_added() {
        let diff = Diff::parse("C /app\nA /app/new\nD /app/old\nC /app/kept\n");
        let now = names(&["new", "kept", "code.py"]);
        assert_eq!(diff.held("/app", now), names(&["code.py", "kept", "old"]));
    }

    #[test]
    fn ports_are_read_from_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue\n   0: 00000000:1F90 00000000:0000 0A 00000000:00000000\n   1: 0100007F:0050 0100007F:9C40 01 0\n   2: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0\n";
        assert_eq!(listening(table), [80, 8080].into());
    }
}
