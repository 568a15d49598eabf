//! Which directories are the application's own.

use super::{ImageFacts, stack};
use crate::dockerfile::Keyword;

/// A directory of the application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnedDirectory {
    /// Its absolute path.
    pub path: String,
    /// Whether the image surely holds it; a volume is named without being made, and what a command makes another may remove.
    pub exists: bool,
}

impl ImageFacts<'_> {
    /// The directories that are the application's own: where it works, what is copied in, volumes, directories that a RUN makes, those in which it was seen to
    /// write, and root's home where it is kept. Directories of the system are left out, and so are those whose programs PATH finds, and what lies below another entry.
    pub fn owned_directories(&self) -> Vec<OwnedDirectory> {
        if self.service().is_some() {
            // They belong to its user, who reads what is added already.
            return Vec::new();
        }
        let mut made: Vec<String> = self.workdir().map(|path| application_root(&path)).into_iter().collect();
        let mut named: Vec<String> = self.dockerfile.volumes(self.stage);
        named.extend(self.observed.iter().cloned());
        for index in self.dockerfile.effective(self.stage) {
            let instruction = &self.dockerfile.instructions()[index];
            match instruction.keyword {
                Keyword::Copy | Keyword::Add => made.extend(self.copied_directory(index)),
                Keyword::Run => {
                    for command in self.dockerfile.shell_commands(instruction).unwrap_or_default() {
                        let words = stack::words(&command);
                        if words.first() == Some(&"mkdir") {
                            named.extend(
                                words[1..]
                                    .iter()
                                    .filter(|word| !word.contains(['{', '*']))
                                    .map(|word| (*word).to_owned()),
                            );
                        }
                    }
                }
                _ => {}
            }
        }
        let programs = self.program_directories();
        let with = |paths: Vec<String>, exists: bool| {
            let paths = paths.into_iter().filter_map(|path| normal(&path));
            paths.map(move |path| OwnedDirectory { path, exists }).collect::<Vec<_>>()
        };
        let mut found = with(made, true);
        found.extend(with(named, false));
        let workdir = self.workdir();
        // These hold nothing but what a site puts there; an application that works in one is all of it.
        let is_site = |path: &str| workdir.as_deref() == Some(path) && ["/srv", "/var/www"].contains(&path);
        found.retain(|directory| {
            (!is_system_directory(&directory.path) || is_site(&directory.path)) && !programs.contains(&directory.path)
        });
        // One that exists comes before the same one that may not.
        found.sort_by(|left, right| left.path.cmp(&right.path).then(right.exists.cmp(&left.exists)));
        found.dedup_by(|later, earlier| later.path == earlier.path);
        if let Some(base) = self.served_by() {
            // Its content is only read; what it writes is told by the table. /var/run is a link.
            let named =
                |path: &String| path.strip_prefix("/var/run").map_or(path.clone(), |rest| format!("/run{rest}"));
            found = with(base.root_owned.iter().map(named).collect(), true);
        }
        if self.keeps_roots_home() {
            found.push(OwnedDirectory { path: "/root".to_owned(), exists: true });
            found.sort_by(|left, right| left.path.cmp(&right.path));
        }
        let all = found.clone();
        found.retain(|directory| !all.iter().any(|other| is_below(&directory.path, &other.path)));
        found
    }

    /// The directories on PATH, and those that hold a `bin` on PATH: a virtual environment, a tool's prefix. Programs are read, not written.
    fn program_directories(&self) -> Vec<String> {
        // As written: `$PATH` itself belongs to the base and has no value here.
        let text = self.dockerfile.text();
        let envs =
            self.dockerfile.effective(self.stage).into_iter().map(|index| &self.dockerfile.instructions()[index]);
        let paths = envs
            .filter(|env| env.keyword == Keyword::Env)
            .map(|env| env.arguments.of(text))
            .filter(|env| env.contains("PATH"));
        let workdir = self.workdir().unwrap_or_default();
        paths
            .flat_map(|env| env.split([' ', '=', ':', '"', '\'', '\n']))
            .filter(|entry| entry.starts_with('/'))
            .flat_map(|entry| [Some(entry), entry.strip_suffix("/bin")])
            .flatten()
            .filter(|entry| *entry != workdir)
            .map(str::to_owned)
            .collect()
    }

    /// The directory that a COPY or ADD fills: its destination when that is one, else the destination's folder.
    pub(super) fn copied_directory(&self, index: usize) -> Option<String> {
        let instruction = &self.dockerfile.instructions()[index];
        let (sources, to) = self.dockerfile.copy_words(instruction)?;
        let stage = self.dockerfile.stages().iter().rfind(|stage| stage.from <= index)?;
        let to = self.dockerfile.expand(stage, index, &to)?;
        let absolute = if to.starts_with('/') {
            to
        } else {
            let base = match self.dockerfile.workdir_at(stage, index) {
                Some(Ok(path)) if path.starts_with('/') => path,
                Some(_) => return None,
                None => self.base_workdir(),
            };
            format!("{base}/{to}")
        };
        let path = normal(&absolute)?;
        let is_directory = absolute.ends_with(['/', '.'])
            || sources.len() > 1
            || sources.iter().any(|source| is_directory_source(source));
        if is_directory { Some(path) } else { path.rfind('/').map(|at| path[..at].to_owned()) }
    }
}

/// Whether `path` lies strictly below `directory`.
pub(super) fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether `path` is `directory` or lies below it. `/var/run` is a link to `/run` in every distribution, and `/var/lock` one to `/run/lock`.
pub(super) fn is_within(path: &str, directory: &str) -> bool {
    let (path, directory) = (resolved(path), resolved(directory));
    path == directory || directory.is_empty() || is_below(&path, &directory)
}

/// A path without links and without the slash at its end; `/` is empty.
fn resolved(path: &str) -> String {
    let path = path.trim_end_matches('/');
    for (link, target) in [("/var/run", "/run"), ("/var/lock", "/run/lock")] {
        if path == link || is_below(path, link) {
            return format!("{target}{}", path.strip_prefix(link).unwrap_or_default());
        }
    }
    path.to_owned()
}

/// The highest directory above a working directory that is not the system's: programs look for their data beside their code and above it.
fn application_root(workdir: &str) -> String {
    let ends = workdir.char_indices().filter(|(at, character)| *at > 0 && *character == '/').map(|(at, _)| at);
    let parents = ends.map(|end| &workdir[..end]);
    parents.into_iter().find(|parent| !is_system_directory(parent)).unwrap_or(workdir).to_owned()
}

/// A source that names a directory: `.`, `./`, `src/`, or a last part without an extension.
fn is_directory_source(source: &str) -> bool {
    source.ends_with(['/', '.']) || !crate::discover::file_name(source).contains(['.', '*'])
}

/// An absolute path without `.`, `..` and doubled slashes; `None` for a relative one.
pub(super) fn normal(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

/// Whether a directory belongs to the system: it is shared by programs, so its ownership is nobody's to change.
pub(super) fn is_system_directory(path: &str) -> bool {
    const SHARED: [&str; 24] = [
        "/",
        "/usr",
        "/usr/local",
        "/usr/src",
        "/usr/share",
        "/var",
        "/var/lib",
        "/var/log",
        "/var/cache",
        "/var/run",
        "/var/spool",
        "/var/www",
        "/tmp",
        "/var/tmp",
        "/root",
        "/home",
        "/opt",
        "/srv",
        "/mnt",
        "/media",
        "/run",
        "/go",
        "/go/src",
        "/go/bin",
    ];
    const WITH_ALL_BELOW: [&str; 14] = [
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/lib",
        "/lib64",
        "/proc",
        "/root",
        "/sbin",
        "/sys",
        "/usr/bin",
        "/usr/lib",
        "/usr/sbin",
        "/usr/local/bin",
    ];
    const LIBRARIES: [&str; 5] =
        ["/usr/local/lib", "/usr/local/sbin", "/usr/include", "/usr/local/include", "/usr/local/share"];
    SHARED.contains(&path)
        || WITH_ALL_BELOW
            .iter()
            .chain(&LIBRARIES)
            .any(|system| path == *system || path.starts_with(&format!("{system}/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_the_system_are_not_the_applications() {
        for path in ["/", "/usr/local/bin", "/etc/app", "/usr/local/lib/python3.11/site-packages", "/root/app", "/tmp"]
        {
            assert!(is_system_directory(path), "{path}");
        }
        for path in ["/app", "/usr/src/app", "/opt/backend", "/home/app", "/srv/api", "/var/www/html", "/data"] {
            assert!(!is_system_directory(path), "{path}");
        }
    }

    #[test]
    fn paths_are_brought_into_one_form() {
        assert_eq!(normal("/app/./x/../y/").as_deref(), Some("/app/y"));
        assert_eq!(normal("/..").as_deref(), Some("/"));
        assert_eq!(normal("app"), None);
    }

    #[test]
    fn the_links_of_every_distribution_are_followed() {
        assert!(is_within("/var/run/mysqld", "/run"));
        assert!(is_within("/run/lock/apache2/", "/var/lock"));
        assert!(is_within("/data", "/"));
        assert!(!is_within("/var/runner", "/run"));
    }

    #[test]
    fn the_application_is_what_stands_below_the_system() {
        assert_eq!(application_root("/app/src"), "/app");
        assert_eq!(application_root("/usr/src/app"), "/usr/src/app");
        assert_eq!(application_root("/opt/shop/api"), "/opt/shop");
        assert_eq!(application_root("/app"), "/app");
        assert_eq!(application_root("/"), "/");
    }
}
