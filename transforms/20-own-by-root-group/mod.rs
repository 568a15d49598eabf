#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::dockerfile::Operation;
use crate::error::SkipReason;
use crate::facts::{Application, OwnedDirectory, User};
use crate::image::Family;

static METADATA: Metadata = Metadata {
    number: 20,
    id: "own-by-root-group",
    title: "Give group 0 the application's files",
    why: "The application's directories become usable by any user in group 0, so that a user other than root can read what was copied in and write \
          beside it. It happens while the build is still root, and changes nothing for root.",
    readme: include_str!("README.md"),
};

/// Shares the application's directories with group 0.
pub(super) struct OwnByRootGroup;

impl Transform for OwnByRootGroup {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        let Some(image) = &application.image else { return Vec::new() };
        let subject = Subject::image(image);
        match &image.user {
            User::Root => {}
            User::Numeric { .. } | User::Named { .. } => {
                return vec![Proposal::already(
                    subject,
                    format!("{}: its author arranged the files for it", image.user_how()),
                )];
            }
            User::Unknown { how } => return vec![Proposal::declined(subject, SkipReason::UnknownUser, how.clone())],
        }
        if image.family.is_some_and(|family| family == Family::Distroless) {
            let detail = "the image has no shell; files copied into it can be read by everybody";
            return vec![Proposal::already(subject, detail)];
        }
        let directories = image.owned_directories();
        if directories.is_empty() {
            // An obstacle says so where it matters; a program that only needs reading does not care.
            return vec![Proposal::already(subject, "the application has no directory of its own")];
        }
        let command = command(&directories);
        if written(application, &command) {
            return vec![Proposal::already(subject, "group 0 already owns the application's directories")];
        }
        let mut change = Change::default();
        let line = format!("RUN {command}");
        change
            .dockerfile(image.file, [Operation::InsertAfter { instruction: image.root_position(), lines: vec![line] }]);
        let paths: Vec<&str> = directories.iter().map(|directory| directory.path.as_str()).collect();
        let detail = format!("group 0 may use {} as its owner does", paths.join(", "));
        vec![Proposal::change(subject, change, &application.obstacles_as_started(), detail)]
    }
}

/// `g=u` gives the group what the owner has, so nothing becomes executable or writable that was not. What may not exist is made, or the build would fail.
fn command(directories: &[OwnedDirectory]) -> String {
    let quoted = |wanted: &dyn Fn(&OwnedDirectory) -> bool| -> String {
        let paths: Vec<String> =
            directories.iter().filter(|directory| wanted(directory)).map(|directory| quoted(&directory.path)).collect();
        paths.join(" ")
    };
    let all = quoted(&|_| true);
    let unsure = quoted(&|directory| !directory.exists);
    let make = if unsure.is_empty() { String::new() } else { format!("mkdir -p {unsure} && ") };
    format!("{make}chgrp -R 0 {all} && chmod -R g=u {all}")
}

fn quoted(path: &str) -> String {
    let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    if plain { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

fn written(application: &Application<'_>, command: &str) -> bool {
    application.image.as_ref().is_some_and(|image| image.dockerfile.text().contains(command))
}
