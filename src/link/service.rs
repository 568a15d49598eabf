//! Dockerfiles whose image is run as the service that it starts from: a database with its first tables, a cache with a configuration.
//!
//! The entrypoint of such a service prepares its data directory as root, steps down, and does everything else as the service's user. What a Dockerfile adds
//! is read by that user already, so a manifest may ask for that user as it may for the service itself.

use crate::dockerfile::{Base, CommandForm, Dockerfile, Keyword};
use crate::image::{KnownImages, Reference};
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
                // Where the data lies decides who may write it, and whose home it is.
                Keyword::Env => {
                    !known.data_variable.as_deref().is_some_and(|name| text.contains(name)) && !names(&["HOME", "USER"])
                }
                Keyword::Copy | Keyword::Add => !text.replace("docker-entrypoint-initdb.d", "").contains("entrypoint"),
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
                    !STARTS.iter().any(|word| text.replace("docker-entrypoint-initdb.d", "").contains(word))
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
