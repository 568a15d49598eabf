//! Which images the Dockerfiles of a tree make, and from where each is built.

use crate::discover::{Tree, directory, join};
use crate::dockerfile::{self, Dockerfile, Given, Keyword};
use crate::link::{Link, Links};
use crate::repository::{ContainerId, FileId, Repository};
use crate::source::Position;
use std::collections::BTreeMap;

/// One build of a Dockerfile of the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planned {
    /// The Dockerfile, relative to the root.
    pub dockerfile: String,
    /// The stage that is built, where it is not the last one.
    pub target: Option<String>,
    /// The build context, a directory relative to the root.
    pub context: String,
    /// What the builds of the tree give for arguments. Values may be secrets.
    pub arguments: Vec<(String, String)>,
    /// Why it is not built here, where it is not.
    pub obstacle: Option<String>,
}

/// What each container of the tree runs that a Dockerfile of the tree builds: by the manifest's path, the workload in it (`Deployment/web`), and
/// the container's name.
pub type Linked = BTreeMap<(String, String, String), Planned>;

/// Finds the builds.
pub fn linked(repository: &Repository, links: &Links) -> Linked {
    let mut found = Linked::new();
    for id in repository.containers() {
        let (Link::Linked { dockerfile, .. } | Link::Service { dockerfile, .. }) = links.of(id) else { continue };
        if let Some(key) = key(repository, id) {
            found.insert(key, planned(repository, links, *dockerfile, links.target(id)));
        }
    }
    found
}

fn key(repository: &Repository, id: ContainerId) -> Option<(String, String, String)> {
    let file = repository.file(id.file);
    let workload = file.manifest()?.workloads.get(id.workload)?;
    Some((file.path.clone(), workload.label(), workload.containers.get(id.container)?.name.clone()))
}

fn planned(repository: &Repository, links: &Links, file: FileId, target: Option<&str>) -> Planned {
    let path = &repository.file(file).path;
    let dockerfile = repository.file(file).dockerfile();
    let nearest = || dockerfile.map_or_else(String::new, |dockerfile| nearest(repository.tree(), path, dockerfile));
    let given = links.arguments().get(&file).into_iter().flatten();
    let mut obstacle = None;
    if links.starts_here(file) {
        obstacle = Some("it starts from an image that another Dockerfile of the tree builds".to_owned());
    } else if let Some(context) = links.contexts(file).find(|context| context.dockerfile == Some(file)) {
        obstacle = Some(format!("{} builds it with a further context, {}", context.path, context.name));
    }
    Planned {
        dockerfile: path.clone(),
        target: target.map(str::to_owned),
        context: links.context(file).map_or_else(nearest, str::to_owned),
        arguments: given.filter_map(|(name, given)| Some((name.clone(), value(given)?.to_owned()))).collect(),
        obstacle,
    }
}

/// Where a Dockerfile sets the user of what is built: the last `USER` of the stage and of those that it starts from, or else the `FROM` of the stage.
pub fn user_place(text: &str, target: Option<&str>) -> Position {
    let place = || {
        let dockerfile = dockerfile::parse(text).ok()?;
        let stage = target.and_then(|name| dockerfile.stage(name)).or_else(|| dockerfile.stages().last())?;
        let in_force = dockerfile.effective(stage);
        let is_user =
            |index: &&usize| dockerfile.instructions().get(**index).is_some_and(|one| one.keyword == Keyword::User);
        let index = in_force.iter().rev().find(is_user).copied().unwrap_or(stage.from);
        Some(Position::of(text, dockerfile.instructions().get(index)?.span.start))
    };
    place().unwrap_or(Position { line: 1, column: 1 })
}

/// A value that a build gives: the one of all, or the first that is known.
fn value(given: &Given) -> Option<&str> {
    match given {
        Given::Always(value) => Some(value),
        Given::Sometimes(values) => values.iter().flatten().next().map(String::as_str),
    }
}

/// The nearest directory, from that of the Dockerfile upwards, that has everything it copies; its own where none has.
fn nearest(tree: &Tree, path: &str, dockerfile: &Dockerfile) -> String {
    let own = directory(path);
    let copies = dockerfile.stages().iter().flat_map(|stage| &dockerfile.instructions()[stage.instructions.clone()]);
    let sources: Vec<String> = copies
        .filter(|instruction| matches!(instruction.keyword, Keyword::Copy | Keyword::Add))
        .filter(|instruction| instruction.flags.iter().all(|flag| flag.name != "from"))
        .filter_map(|instruction| dockerfile.copy_words(instruction))
        .flat_map(|(sources, _)| sources)
        .filter(|source| !source.contains('$') && !source.contains("://") && !source.starts_with("git@"))
        .collect();
    let has_all = |folder: &str| sources.iter().all(|source| has(tree, folder, source));
    let mut folder = own;
    loop {
        if has_all(folder) {
            return folder.to_owned();
        }
        if folder.is_empty() {
            return own.to_owned();
        }
        folder = directory(folder);
    }
}

/// Whether a directory of the tree has what COPY names. Of a pattern the part before its first wildcard counts.
fn has(tree: &Tree, folder: &str, source: &str) -> bool {
    let relative = source.trim_start_matches('/');
    let plain = relative.find(['*', '?', '[']).map_or(relative, |at| directory(&relative[..at]));
    let Some(path) = join(folder, plain) else { return false };
    path.is_empty() || tree.has(&path) || tree.below(&path).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_place() {
        let text = "FROM a AS first\n USER 5\nFROM first\nRUN x\nFROM b AS other\nRUN y\n";
        let place = |target| {
            let Position { line, column } = user_place(text, target);
            (line, column)
        };
        assert_eq!((place(None), place(Some("first")), place(Some("1"))), ((5, 1), (2, 2), (2, 2)));
        assert_eq!(user_place("NONSENSE", None), Position { line: 1, column: 1 });
    }
}
