//! Dockerfiles whose image is run as the service that it starts from: a database with its first tables, a cache with a configuration.
//!
//! The entrypoint of such a service prepares its data directory as root, steps down, and does everything else as the service's user. What a Dockerfile adds
//! is read by that user already, so a manifest may ask for that user as it may for the service itself.

use crate::dockerfile::{Base, CommandForm, Dockerfile, Instruction, Keyword};
use crate::image::{Ids, KnownImage, KnownImages, Reference};
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
    let all =
        dockerfile.instructions().iter().all(|instruction| leaves_the_start_alone(dockerfile, instruction, known));
    all.then(|| reference.clone())
}

/// Whether the entrypoint has nothing more to do as root than it has in the service's own image.
fn leaves_the_start_alone(dockerfile: &Dockerfile, instruction: &Instruction, known: &KnownImage) -> bool {
    let text = instruction.span.of(dockerfile.text());
    match instruction.keyword {
        Keyword::From | Keyword::Label | Keyword::Maintainer | Keyword::Expose | Keyword::Arg => true,
        // Whom it steps down to it may be from the start.
        Keyword::User => {
            let user = instruction.arguments.of(dockerfile.text()).trim();
            let is_services = |ids: Ids| user == ids.uid.to_string() || user == format!("{}:{}", ids.uid, ids.gid);
            known.service.is_some_and(is_services)
        }
        // Where the data lies decides who may write it, and whose home it is; the entrypoint may make any directory that it is told of.
        Keyword::Env => {
            let moves_data = known.data_variable.as_deref().is_some_and(|name| text.contains(name));
            !moves_data && !["HOME", "USER", "=/", "=\"/", " /"].iter().any(|word| text.contains(word))
        }
        Keyword::Copy | Keyword::Add => is_only_read(dockerfile, instruction, known),
        Keyword::Run => {
            let text = text.replace(STATEMENTS, "");
            let directories = || kept(known).chain(kept_while_running(known));
            !CHANGE_THE_START.iter().any(|word| text.contains(word)) && !directories().any(|path| text.contains(path))
        }
        Keyword::Cmd => match dockerfile.command(instruction) {
            Some(CommandForm::Exec(argv)) => {
                argv.first().is_some_and(|first| first.starts_with('-') || known.starts_as(first))
            }
            _ => false,
        },
        _ => false,
    }
}

/// Where a service finds the statements for a new database.
const STATEMENTS: &str = "/docker-entrypoint-initdb.d";

/// What a command names that changes who the service starts as, or how.
const CHANGE_THE_START: [&str; 9] =
    ["entrypoint", "gosu", "su-exec", "usermod", "userdel", "groupmod", "deluser", "passwd", "setcap"];

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
