//! Dockerfiles whose image is run as the service that it starts from: a database with its first tables, a cache with a configuration.
//!
//! The entrypoint of such a service prepares its data directory as root, steps down, and does everything else as the service's user. What a Dockerfile adds
//! is read by that user already, so a manifest may ask for that user as it may for the service itself.

use crate::dockerfile::{Base, CommandForm, Dockerfile, Instruction, Keyword};
use crate::image::{KnownImage, KnownImages, Reference};
use crate::repository::{FileId, Repository};
use std::collections::BTreeMap;

/// The services behind Dockerfiles, as those name them.
pub(super) fn bases(repository: &Repository, images: &KnownImages) -> BTreeMap<FileId, String> {
    repository.dockerfiles().filter_map(|(id, dockerfile)| Some((id, base(dockerfile, images)?))).collect()
}

fn base(dockerfile: &Dockerfile, images: &KnownImages) -> Option<String> {
    let [stage] = dockerfile.stages() else { return None };
    let Base::Image { reference, .. } = &stage.base else { return None };
    let known = images.find(&Reference::parse(reference).ok()?)?;
    if !known.steps_down_alone() {
        return None;
    }
    dockerfile
        .instructions()
        .iter()
        .all(|instruction| {
            let text = instruction.span.of(dockerfile.text());
            let names = |words: &[&str]| words.iter().any(|word| text.contains(word));
            match instruction.keyword {
                Keyword::From | Keyword::Label | Keyword::Maintainer | Keyword::Expose | Keyword::Arg => true,
                // Where the data lies decides who may write it, and whose home it is; the entrypoint may make any directory that it is told of.
                Keyword::Env => {
                    !known.data_variable.as_deref().is_some_and(|name| text.contains(name))
                        && !names(&["HOME", "USER", "=/", "=\"/", " /"])
                }
                Keyword::Copy | Keyword::Add => is_only_read(dockerfile, instruction, known),
                Keyword::Run => {
                    const STARTS: [&str; 9] = [
                        "entrypoint",
                        "gosu",
                        "su-exec",
                        "usermod",
                        "userdel",
                        "groupmod",
                        "deluser",
                        "passwd",
                        "setcap",
                    ];
                    let text = text.replace("docker-entrypoint-initdb.d", "");
                    !STARTS.iter().any(|word| text.contains(word))
                        && !kept(known).chain(kept_while_running(known)).any(|directory| text.contains(directory))
                }
                Keyword::Cmd => match dockerfile.command(instruction) {
                    Some(CommandForm::Exec(argv)) => {
                        argv.first().is_some_and(|first| first.starts_with('-') || known.starts_as(first))
                    }
                    _ => false,
                },
                _ => false,
            }
        })
        .then(|| reference.clone())
}

/// Where the service keeps what the entrypoint, as root, gives to it.
fn kept(known: &KnownImage) -> impl Iterator<Item = &str> {
    known.volumes.iter().chain(&known.workdir).map(String::as_str)
}

/// Where it keeps a socket and the like: the entrypoint gives that to it as well.
fn kept_while_running(known: &KnownImage) -> impl Iterator<Item = &str> {
    known.writable.iter().flatten().map(String::as_str).filter(|path| path.contains("/run/"))
}

/// Whether the service only reads what is added, as its own user does already. Its directories, and with a row that does not tell what else is written
/// any other, are given to that user when the container starts.
fn is_only_read(dockerfile: &Dockerfile, instruction: &Instruction, known: &KnownImage) -> bool {
    const STATEMENTS: &str = "/docker-entrypoint-initdb.d";
    let Some((sources, to)) = dockerfile.copy_words(instruction) else { return false };
    if to == STATEMENTS || to.starts_with(&format!("{STATEMENTS}/")) {
        return true;
    }
    // A path that starts nowhere starts in the working directory.
    let is_elsewhere = to.starts_with('/')
        && !to.trim_end_matches('/').is_empty()
        && !kept(known).any(|directory| to == directory || to.starts_with(&format!("{directory}/")));
    is_elsewhere
        && known.writable.is_some()
        && !known.prepares_its_configuration()
        && !sources.iter().chain([&to]).any(|path| path.contains("entrypoint"))
}
