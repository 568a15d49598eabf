//! What an author gives an image of the table to run: a command, a configuration, hooks. The table's row is about the image as it comes.

use super::commands::{changes_files, unknown_program};
use super::container::MountedVolume;
use super::directories::is_within;
use super::identity::printable;
use super::obstacles::{Obstacle, hard, soft};
use super::programs::system_change;
use super::{Application, ContainerFacts};
use crate::discover::file_name;
use crate::error::SkipReason;
use crate::image::KnownImage;
use crate::kubernetes::VolumeSource;
use crate::yaml::Node;
use regex::Regex;
use std::sync::LazyLock;

impl Application<'_> {
    /// What of the author's was done by root so far, where the image starts as root and steps down: its own entrypoint knows what it needs root for, a
    /// command, a configuration or a hook may ask for other directories and ports.
    pub(super) fn own_configuration(&self, container: &ContainerFacts<'_>) -> Option<Obstacle> {
        let known = container.known?;
        let place = container.place();
        let own = |program: &str| known.starts_as(program);
        let may_change = |command: &[String]| changes_files(command) || unknown_program(command, &own).is_some();
        if let Some(hook) = container.view.exec_commands().iter().find(|command| may_change(command)) {
            let line = printable(&hook.join(" "));
            let detail = format!("{place} runs `{line}` in a probe or hook, which may do what only root can");
            return Some(soft(SkipReason::RunTimeWrites, detail));
        }
        let needs_root = known.low_port().is_some() || !known.root_owned.is_empty();
        if let Some(detail) = self.prepared_by_root(container, known) {
            return Some(hard(SkipReason::SystemDirectory, detail));
        }
        let command = container.view.command();
        // The entrypoint starts another program than its own as it is told: as root.
        let other = container.view.args().filter(|args| {
            args.first()
                .is_some_and(|first| !first.starts_with('-') && !first.ends_with(".conf") && !own(file_name(first)))
        });
        let replaced = match command {
            Some(mut command) => {
                command.extend(container.view.args().unwrap_or_default());
                Some(command)
            }
            None => other,
        };
        if let Some(argv) = &replaced
            && (needs_root || may_change(argv))
        {
            let detail = format!("{place} sets a command, which may do what only root can");
            return Some(soft(SkipReason::RunTimeWrites, detail));
        }
        if !needs_root && replaced.is_none() {
            return None;
        }
        if let Some(detail) = rendered_in_vain(known, container) {
            return Some(hard(SkipReason::RunTimeWrites, detail));
        }
        let mounts = container.mounts();
        let writable = |path: &str| {
            let row = known.volumes.iter().chain(known.writable.iter().flatten()).chain(&known.root_owned);
            mounts.iter().map(|mount| &mount.path).chain(row).any(|directory| is_within(path, directory))
                || is_within(path, "/tmp")
        };
        if let Some(script) = self.configuration_changes(container, &writable) {
            return Some(hard(SkipReason::RunTimeWrites, script));
        }
        if let Some(named) = self.configuration_names(container, &|path| !writable(path)) {
            return Some(hard(SkipReason::RunTimeWrites, format!("{named}, which only root may write")));
        }
        let is_seen = |mount: &&MountedVolume| needs_root || self.texts(container, mount).is_none();
        let mut given = mounts.iter().filter(|mount| is_configuration(mount) || is_program(known, mount));
        given.find(is_seen).map(|mount| configuration_doubt(container, known, mount))
    }

    /// A directory that the entrypoint of a service, as root, makes where it is told to and gives to the service's user, who cannot do either: outside the
    /// volumes and what the image keeps for that.
    fn prepared_by_root(&self, container: &ContainerFacts<'_>, known: &KnownImage) -> Option<String> {
        if !known.steps_down_alone() {
            return None;
        }
        let place = container.place();
        let mounts = container.mounts();
        let kept: Vec<&String> =
            known.volumes.iter().chain(known.writable.iter().flatten()).chain(&known.workdir).collect();
        let is_ready = |path: &str| {
            mounts
                .iter()
                .map(|mount| &mount.path)
                .chain(kept.iter().copied())
                .any(|directory| is_within(path, directory))
                || kept.iter().any(|directory| path.starts_with(&format!("{directory}-")))
                || READ_ONLY.iter().chain(&["/tmp"]).any(|directory| is_within(path, directory))
        };
        let mut variables = container.view.env_values();
        for name in container.view.env_config_maps() {
            variables.extend(config_map(self, &name).unwrap_or_default());
        }
        for (name, path) in variables {
            // The mount itself belongs to root, and this folder's mode is changed.
            let is_a_mount = name == "POSTGRES_INITDB_WALDIR" && mounts.iter().any(|mount| mount.path == path);
            if path.starts_with('/')
                && !path.contains(':')
                && !name.ends_with("_FILE")
                && (!is_ready(&path) || is_a_mount)
            {
                let (name, path) = (printable(&name), printable(&path));
                return Some(format!("{place} sets {name} to {path}, which {} prepares as root", known.name));
            }
        }
        if !known.prepares_its_configuration() {
            return None;
        }
        let args: Vec<String> =
            [container.view.command(), container.view.args()].into_iter().flatten().flatten().collect();
        let mut values = args.iter().filter_map(|word| word.split_once('=')).map(|(_, value)| value);
        if let Some(path) = values.find(|value| value.starts_with('/') && !is_ready(value)) {
            return Some(format!("{place} passes {}, which {} prepares as root", printable(path), known.name));
        }
        let named = self.configuration_names(container, &|path| !is_ready(path))?;
        Some(format!("{named}, which {} prepares as root", known.name))
    }

    /// A path that a mounted configuration of the tree names, where programs keep what they write, as `file:key names /path`.
    pub(super) fn configuration_names(
        &self,
        container: &ContainerFacts<'_>,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Option<String> {
        container.mounts().iter().filter(|mount| is_configuration(mount)).find_map(|mount| {
            let texts = self.texts(container, mount)?;
            texts.into_iter().find_map(|(key, text)| {
                let path = kept_paths(&text).into_iter().find(|path| wanted(path))?;
                Some(format!("{} of {} names {}", printable(&key), printable(&mount.name), printable(&path)))
            })
        })
    }

    /// What a mounted script of the tree changes of the system, where that is not `writable`.
    pub(super) fn configuration_changes(
        &self,
        container: &ContainerFacts<'_>,
        writable: &dyn Fn(&str) -> bool,
    ) -> Option<String> {
        container.mounts().iter().filter(|mount| is_configuration(mount)).find_map(|mount| {
            let scripts = self.texts(container, mount)?.into_iter().filter(|(key, _)| key.ends_with(".sh"));
            scripts.into_iter().find_map(|(key, text)| {
                let change = text.lines().find_map(|line| system_change(line, writable))?;
                let (key, volume) = (printable(&key), printable(&mount.name));
                Some(format!("{key} of {volume} changes the system ({})", printable(&change)))
            })
        })
    }

    /// The files that a mount shows, where they are entries of a ConfigMap of the tree.
    pub(super) fn texts(&self, container: &ContainerFacts<'_>, mount: &MountedVolume) -> Option<Vec<(String, String)>> {
        let volumes = container.pod.volumes();
        let volume = volumes.iter().find(|volume| volume.name() == mount.name)?;
        let mut entries = config_map(self, &volume.config_map()?)?;
        // A single file is mounted under its own name.
        let name = file_name(&mount.path);
        if entries.iter().any(|(key, _)| key == name) {
            entries.retain(|(key, _)| key == name);
        }
        Some(entries)
    }
}

/// The paths of a configuration below which programs keep logs, sockets and data. Comments and the places of a URL are none.
fn kept_paths(text: &str) -> Vec<String> {
    static PATH: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(concat!(
            r#"(?:^|[\s"'=:(,\[>])(/(?:var/(?:log|run|lib|cache|spool|tmp)|run|tmp|data|srv|logs?|backups?|mnt|cache|home|root)\b"#,
            r#"(?:/[\w.@%+-]+)*)"#,
        ))
        .ok()
    });
    let Some(regex) = PATH.as_ref() else { return Vec::new() };
    let is_about_files = |line: &&str| {
        let line = line.trim_start();
        !["#", ";", "//", "location", "rewrite", "return", "if "].iter().any(|start| line.starts_with(start))
    };
    // nginx may have it all on one line.
    let lines = text.lines().flat_map(|line| match line.contains('{') {
        true => line.split(['{', '}', ';']).collect(),
        false => vec![line],
    });
    let found = lines.filter(is_about_files).flat_map(|line| regex.captures_iter(line));
    let paths = found.filter_map(|found| Some(found.get(1)?.as_str().to_owned()));
    paths.filter(|path| !path.contains("run/secrets") && !PRINTED.contains(&path.as_str())).collect()
}

/// Logs that images of nginx link to standard output.
const PRINTED: [&str; 2] = ["/var/log/nginx/access.log", "/var/log/nginx/error.log"];

/// A folder whose templates the entrypoint renders, and a folder for the result that nothing but root may write: it would say so, and start without them.
pub(super) fn rendered_in_vain(known: &KnownImage, container: &ContainerFacts<'_>) -> Option<String> {
    let renders = known.renders.as_ref()?;
    let mounts = container.mounts();
    let given = mounts.iter().any(|mount| is_within(&mount.path, &renders.from));
    let covered = mounts.iter().any(|mount| {
        matches!(mount.source, VolumeSource::Claim | VolumeSource::EmptyDir) && is_within(&renders.into, &mount.path)
    });
    (given && !covered).then(|| {
        format!(
            "{} renders the templates of {} into {}, which would not be writable",
            known.name,
            printable(&renders.from),
            printable(&renders.into)
        )
    })
}

pub(super) fn configuration_doubt(
    container: &ContainerFacts<'_>,
    known: &KnownImage,
    mount: &MountedVolume,
) -> Obstacle {
    let path = printable(&mount.path);
    let detail =
        format!("{} mounts a configuration of {} at {path}, which may write elsewhere", container.place(), known.name);
    soft(SkipReason::RunTimeWrites, detail)
}

/// Where an image keeps programs and settings, and no data.
const READ_ONLY: [&str; 10] =
    ["/bin", "/dev", "/docker-entrypoint-initdb.d", "/etc", "/lib", "/opt", "/proc", "/sbin", "/sys", "/usr"];

/// Where httpd looks for a site: below its working directory, and no program.
const HTDOCS: &str = "/usr/local/apache2/htdocs";

/// Whether something is mounted where the image works, which then runs the author's program: the row knows nothing of what that writes.
pub(super) fn is_program(known: &KnownImage, mount: &MountedVolume) -> bool {
    let keeps_data = |directory: &str| {
        known.volumes.iter().chain(known.writable.iter().flatten()).any(|path| is_within(directory, path))
    };
    let below = |directory: &String| is_within(&mount.path, directory) && !is_within(&mount.path, HTDOCS);
    known.workdir.as_ref().is_some_and(below) && !keeps_data(&mount.path)
}

/// Whether a projection is mounted where programs look for their configuration. Sites and keys are read and name nothing.
pub(super) fn is_configuration(mount: &MountedVolume) -> bool {
    const CONTENT: [&str; 3] = ["/usr/share", HTDOCS, "/run/secrets"];
    const KEYS: [&str; 7] = ["secret", "tls", "ssl", "cert", "credential", "password", "/ca"];
    let content = CONTENT.iter().any(|directory| is_within(&mount.path, directory));
    let keys = KEYS.iter().any(|word| mount.path.to_ascii_lowercase().contains(word));
    mount.source == VolumeSource::Projection && !content && !keys
}

/// Whether a projection holds statements for a new database and nothing else: a script beside them may do anything.
pub(super) fn is_data_only(
    application: &Application<'_>,
    container: &ContainerFacts<'_>,
    mount: &MountedVolume,
) -> bool {
    let is_statements =
        |name: &String| [".sql", ".sql.gz", ".sql.xz", ".sql.zst"].iter().any(|end| name.ends_with(end));
    if is_statements(&mount.path) {
        return true;
    }
    let volumes = container.pod.volumes();
    let Some(volume) = volumes.iter().find(|volume| volume.name() == mount.name) else { return false };
    let mut files = volume.item_paths();
    if files.is_empty()
        && let Some(name) = volume.config_map()
    {
        files = config_map(application, &name).unwrap_or_default().into_iter().map(|(key, _)| key).collect();
    }
    is_within(&mount.path, "/docker-entrypoint-initdb.d") && !files.is_empty() && files.iter().all(is_statements)
}

/// The entries of a ConfigMap of the tree; `None` when it is not there.
pub(super) fn config_map(application: &Application<'_>, name: &str) -> Option<Vec<(String, String)>> {
    let data = application.around.repository.config_map(name)?.get("data")?;
    let text = |node: Node<'_>| node.resolved().as_str().map(|text| text.into_owned());
    Some(data.entries().filter_map(|(key, value)| Some((text(key)?, text(value)?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_a_configuration_keeps_things_at() {
        for (text, path) in [
            ("access_log /var/log/nginx/site.log;", "/var/log/nginx/site.log"),
            ("http { server { listen 80; pid /run/a.pid; } }", "/run/a.pid"),
            ("log-error=/var/log/mysqld.log", "/var/log/mysqld.log"),
            ("  path: \"/var/log/mongodb/mongod.log\"", "/var/log/mongodb/mongod.log"),
            ("log_directory = '/var/log/postgresql'", "/var/log/postgresql"),
            ("pg_dump x >/backup/x.sql", "/backup/x.sql"),
        ] {
            assert_eq!(kept_paths(text), [path], "{text}");
        }
        for text in [
            "# pid /run/a.pid",
            "error_log /var/log/nginx/error.log warn;",
            "location /data { proxy_pass http://api/data; }",
            "server { location = /logs { root /usr/share/nginx/html; } }",
            "proxy_pass http://api:3000/cache;",
            "ca /var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
            "include /etc/nginx/conf.d/*.conf;",
        ] {
            assert!(kept_paths(text).is_empty(), "{text}");
        }
    }
}
