//! Which files there are, and which of them are worth a parse.
//!
//! Ignore files are honoured, links are not followed, `.git` and `node_modules` are never entered. A file is a manifest
//! candidate only when its bytes name an `apiVersion` and a `kind`, so that most of a repository costs no parse at all; kustomizations and the values of
//! charts go by their names.

use crate::error::Error;
use ignore::WalkBuilder;
use ignore::overrides::OverrideBuilder;
use memchr::memmem;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Files above this size are listed, not read: no hand-written Dockerfile or manifest comes near it. 16 MiB.
pub const SIZE_LIMIT: u64 = 16 << 20;

/// What a file is, by its name and a look at its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A Dockerfile.
    Dockerfile,
    /// YAML or JSON that names an `apiVersion` and a `kind`.
    Manifest,
    /// A compose file: read for links, never edited.
    Compose,
    /// A kustomization, which need not say what it is.
    Kustomization,
    /// The values of a Helm chart: `values*.yaml` beside its `Chart.yaml`.
    Values,
}

/// The names a kustomization goes by (<https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/>).
pub const KUSTOMIZATION_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Relative to the root, with `/`.
    pub path: String,
    /// What it is.
    pub class: Class,
    /// Its text.
    pub text: Arc<str>,
}

/// A file that looks like ours and could not be read as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Relative to the root, with `/`.
    pub path: String,
    /// `not-utf8`, `too-large`, `template`, `not-a-file` or `io`.
    pub code: &'static str,
    /// One line.
    pub message: String,
}

/// The files below a root.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    paths: BTreeSet<String>,
    candidates: Vec<Candidate>,
    unreadable: Vec<Unreadable>,
}

impl Tree {
    /// Walks `inputs` (files or directories) and reads what is worth a parse. `exclude` holds ignore-file patterns.
    ///
    /// # Errors
    /// [`Error::Read`] when an input does not exist or cannot be read; [`Error::Usage`] for a pattern that is none.
    pub fn discover(inputs: &[PathBuf], exclude: &[String]) -> Result<Self, Error> {
        Self::walk(root_of(inputs)?, inputs, exclude)
    }

    /// Walks a directory, and tells paths from it wherever the program was started.
    ///
    /// # Errors
    /// As [`Tree::discover`].
    pub fn of(directory: &Path, exclude: &[String]) -> Result<Self, Error> {
        let root = directory.canonicalize();
        let root = root.map_err(|source| Error::Read { path: directory.to_path_buf(), source })?;
        Self::walk(root, &[directory.to_path_buf()], exclude)
    }

    fn walk(root: PathBuf, inputs: &[PathBuf], exclude: &[String]) -> Result<Self, Error> {
        let mut paths = BTreeSet::new();
        let mut unreadable = Vec::new();
        for input in inputs {
            walk(&root, input, exclude, &mut paths, &mut unreadable)?;
        }
        let mut tree = Self { root, paths, candidates: Vec::new(), unreadable };
        let looked_at: Vec<_> = tree.paths.par_iter().filter_map(|path| tree.look_at(path)).collect();
        for look in looked_at {
            match look {
                Ok(candidate) => tree.candidates.push(candidate),
                Err(unreadable) => tree.unreadable.push(unreadable),
            }
        }
        Ok(tree)
    }

    /// The directory that all paths are relative to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was read, in path order.
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// What could not be read.
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }

    /// Takes the candidates out, so that their texts are not held twice.
    pub fn take_candidates(&mut self) -> Vec<Candidate> {
        std::mem::take(&mut self.candidates)
    }

    /// Whether the tree holds this file.
    pub fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// Every file below `directory` (`""` is the root), in path order.
    pub fn below<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = &'a str> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        self.paths.range(prefix.clone()..).map(String::as_str).take_while(move |path| path.starts_with(&prefix))
    }

    /// The text of a file of the tree that is no candidate: `package.json`, `go.mod`, sources. `None` when there is no such file, or it is no text.
    pub fn read(&self, path: &str) -> Option<String> {
        if !self.has(path) {
            return None;
        }
        let full = self.root.join(path);
        if std::fs::symlink_metadata(&full).ok()?.len() > SIZE_LIMIT {
            return None;
        }
        std::fs::read_to_string(full).ok()
    }

    /// `None` when the file is of no interest.
    fn look_at(&self, path: &str) -> Option<Result<Candidate, Unreadable>> {
        let named = class_by_name(path)?;
        if let Named::Template = named {
            return Some(Err(unreadable(
                path,
                "template",
                "a template of a Dockerfile; the rendered file is what gets built",
            )));
        }
        let full = self.root.join(path);
        let bytes = match std::fs::symlink_metadata(&full) {
            Ok(metadata) if metadata.len() > SIZE_LIMIT => {
                let message =
                    format!("{} MiB; files above {} MiB are not read", metadata.len() >> 20, SIZE_LIMIT >> 20);
                return Some(Err(unreadable(path, "too-large", &message)));
            }
            Ok(_) => std::fs::read(&full),
            Err(error) => Err(error),
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => return Some(Err(unreadable(path, "io", &error.to_string()))),
        };
        let class = match named {
            Named::Dockerfile => Class::Dockerfile,
            Named::Compose => Class::Compose,
            Named::Kustomization => Class::Kustomization,
            Named::Data if self.is_chart_values(path) => Class::Values,
            Named::Data if is_manifest(&bytes) => Class::Manifest,
            Named::Data | Named::Template => return None,
        };
        if class == Class::Manifest && self.is_chart_template(path) {
            return Some(Err(unreadable(
                path,
                "template",
                "a Helm template; edit the chart's values or its rendered output",
            )));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Some(Ok(Candidate { path: path.to_owned(), class, text: text.into() })),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                Some(Err(unreadable(path, "not-utf8", &format!("byte {valid} is not UTF-8"))))
            }
        }
    }

    fn is_chart_values(&self, path: &str) -> bool {
        let name = file_name(path);
        let folder = path.strip_suffix(name).unwrap_or_default();
        name.starts_with("values") && !name.ends_with(".json") && self.has(&format!("{folder}Chart.yaml"))
    }

    /// Below a `templates/` folder that stands beside a `Chart.yaml`.
    fn is_chart_template(&self, path: &str) -> bool {
        path.match_indices("templates/").any(|(at, _)| {
            (at == 0 || path.as_bytes()[at - 1] == b'/') && self.has(&format!("{}Chart.yaml", &path[..at]))
        })
    }
}

/// The directory part of a path relative to the root; empty for the root.
pub fn directory(path: &str) -> &str {
    path.rfind('/').map_or("", |at| &path[..at])
}

/// The last part of a path.
pub fn file_name(path: &str) -> &str {
    path.rfind('/').map_or(path, |at| &path[at + 1..])
}

/// Joins a relative path to a directory of the tree, resolving `.` and `..`. `None` when it leads out of the root or is absolute.
pub fn join(directory: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    if relative.starts_with('/') {
        return None;
    }
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

enum Named {
    Dockerfile,
    Compose,
    Kustomization,
    Data,
    Template,
}

fn class_by_name(path: &str) -> Option<Named> {
    if KUSTOMIZATION_NAMES.contains(&file_name(path)) {
        return Some(Named::Kustomization);
    }
    let name = file_name(path).to_ascii_lowercase();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    if is_dockerfile_name(&name) {
        return match extension {
            "dockerignore" | "md" | "txt" | "orig" | "rej" | "bak" | "swp" => None,
            "j2" | "jinja" | "jinja2" | "tmpl" | "tpl" | "erb" | "template" | "in" | "mustache" => {
                Some(Named::Template)
            }
            _ => Some(Named::Dockerfile),
        };
    }
    match extension {
        "yaml" | "yml" if name.starts_with("docker-compose") || name.starts_with("compose") => Some(Named::Compose),
        "yaml" | "yml" | "json" => Some(Named::Data),
        _ => None,
    }
}

fn is_dockerfile_name(name: &str) -> bool {
    ["dockerfile", "containerfile"].iter().any(|base| {
        name == *base
            || name.strip_prefix(base).is_some_and(|rest| rest.starts_with(['.', '-', '_']))
            || name.strip_suffix(base).is_some_and(|rest| rest.ends_with('.'))
    })
}

fn is_manifest(bytes: &[u8]) -> bool {
    memmem::find(bytes, b"apiVersion").is_some() && memmem::find(bytes, b"kind").is_some()
}

fn unreadable(path: &str, code: &'static str, message: &str) -> Unreadable {
    Unreadable { path: path.to_owned(), code, message: message.to_owned() }
}

/// The directory that paths are told from: the current one when all inputs lie in it, so that paths read as the user would type them; else the inputs'
/// deepest common directory.
///
/// # Errors
/// [`Error::Read`] when an input does not exist.
pub fn root_of(inputs: &[PathBuf]) -> Result<PathBuf, Error> {
    let mut directories = Vec::new();
    for input in inputs {
        let read = |source| Error::Read { path: input.clone(), source };
        let full = input.canonicalize().map_err(read)?;
        let is_directory = full.metadata().map_err(read)?.is_dir();
        directories.push(if is_directory { full } else { full.parent().map(Path::to_path_buf).unwrap_or(full) });
    }
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    if let Ok(here) = here
        && directories.iter().all(|directory| directory.starts_with(&here))
    {
        return Ok(here);
    }
    let mut common: Vec<Component<'_>> =
        directories.first().map(|first| first.components().collect()).unwrap_or_default();
    for directory in &directories {
        let shared = common.iter().zip(directory.components()).take_while(|(left, right)| **left == *right).count();
        common.truncate(shared);
    }
    Ok(common.iter().collect())
}

/// Where a directory lies in the git repository that holds it, `/` between the parts; empty for its top, and outside of any.
pub fn place_in_repository(directory: &Path) -> String {
    let top = directory.ancestors().find(|above| above.join(".git").exists());
    let place = top.and_then(|top| directory.strip_prefix(top).ok());
    let parts: Option<Vec<&str>> =
        place.map(|place| place.iter().map(|part| part.to_str()).collect()).unwrap_or_default();
    parts.unwrap_or_default().join("/")
}

fn walk(
    root: &Path,
    input: &Path,
    exclude: &[String],
    paths: &mut BTreeSet<String>,
    unreadable_files: &mut Vec<Unreadable>,
) -> Result<(), Error> {
    let full = input.canonicalize().map_err(|source| Error::Read { path: input.to_path_buf(), source })?;
    let mut overrides = OverrideBuilder::new(root);
    for pattern in exclude {
        overrides.add(&format!("!{pattern}")).map_err(|error| Error::Usage(format!("exclude: {error}")))?;
    }
    let overrides = overrides.build().map_err(|error| Error::Usage(format!("exclude: {error}")))?;
    let walker = WalkBuilder::new(&full)
        .hidden(false)
        .require_git(false)
        .follow_links(false)
        .overrides(overrides)
        .filter_entry(|entry| !matches!(entry.file_name().to_str(), Some(".git" | "node_modules")))
        .build();
    for entry in walker {
        // A folder that cannot be entered is somebody else's; its files cannot be judged, and nothing is written there.
        let Ok(entry) = entry else { continue };
        let Ok(relative) = entry.path().strip_prefix(root) else { continue };
        let Some(path) = relative.to_str().map(str::to_owned) else { continue };
        match entry.file_type() {
            Some(kind) if kind.is_file() => {
                paths.insert(path);
            }
            Some(kind)
                if kind.is_dir() && entry.depth() > 0 && matches!(file_name(&path), "Dockerfile" | "Containerfile") =>
            {
                unreadable_files.push(unreadable(&path, "not-a-file", "a directory with the name of a Dockerfile"));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_dockerfiles() {
        for name in
            ["Dockerfile", "dockerfile", "Dockerfile.prod", "web.Dockerfile", "Containerfile", "a/b/Dockerfile-alpine"]
        {
            assert!(matches!(class_by_name(name), Some(Named::Dockerfile)), "{name}");
        }
        for name in ["Dockerfile.dockerignore", "Dockerfile.md", "dockerfiles", "Dockerfiles/x", "MyDockerfile"] {
            assert!(class_by_name(name).is_none(), "{name}");
        }
        assert!(matches!(class_by_name("Dockerfile.j2"), Some(Named::Template)));
    }

    #[test]
    fn joining_never_leaves_the_root() {
        assert_eq!(join("a/b", "../c").as_deref(), Some("a/c"));
        assert_eq!(join("a", "./").as_deref(), Some("a"));
        assert_eq!(join("", ".").as_deref(), Some(""));
        assert_eq!(join("a", "../../c"), None);
        assert_eq!(join("a", "/c"), None);
    }
}
