#![doc = include_str!("README.md")]

mod account;

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::dockerfile::{Keyword, Operation};
use crate::error::SkipReason;
use crate::facts::{Application, ContainerFacts, Identity, ImageFacts, Obstacle, User};
use crate::image::{Family, Reference};
use crate::kubernetes::{self, Settings, VolumeSource};
use crate::yaml::{self, Value};
use std::collections::BTreeSet;

static METADATA: Metadata = Metadata {
    number: 30,
    id: "switch-user",
    title: "Run as a numeric user other than root",
    why: "The image ends with a numeric USER and its containers ask for the same uid and gid, so that Kubernetes can verify that the process is not \
          root (it cannot for a name). Claims that are mounted get the group by fsGroup. The manifests \
          expect the image that the new Dockerfile builds: roll both out together.",
    readme: include_str!("README.md"),
};

/// Ends the image with a numeric user, and tells its containers.
pub(super) struct SwitchUser;

impl Transform for SwitchUser {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn configs(&self, application: &Application<'_>) -> Vec<Reference> {
        application.untold_references()
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        let Some(image) = &application.image else { return Vec::new() };
        let subject = Subject::image(image);
        match &image.user {
            User::Numeric { uid, .. } if image.user_instruction.is_some() => {
                return vec![Proposal::already(subject, format!("{} is {uid}", image.user_how()))];
            }
            User::Unknown { how } if !image.is_untold(application.around) => {
                return vec![Proposal::declined(subject, SkipReason::UnknownUser, how.clone())];
            }
            User::Named { name, ids: None } => return vec![numbered(application, image, subject, name)],
            User::Root | User::Named { .. } | User::Numeric { .. } | User::Unknown { .. } => {}
        }
        let Some(identity) = identity(application, image) else {
            return vec![Proposal::declined(subject, SkipReason::UnknownUser, "no numeric user is known")];
        };
        if let Some(detail) = application.contradiction(&identity) {
            return vec![Proposal::declined(subject, SkipReason::AuthorChoice, detail)];
        }
        let shares = image.family.is_some_and(Family::has_shell) && matches!(image.user, User::Root);
        if shares && !image.is_shared() {
            let detail = "the application's files are root's alone; own-by-root-group shares them first";
            let obstacles = application.obstacles_as_started();
            let (reason, detail) = match obstacles.iter().find(|obstacle| obstacle.hard).or(obstacles.first()) {
                Some(obstacle) => (obstacle.reason, obstacle.detail.clone()),
                None => (SkipReason::DependsOnSkipped, detail.to_owned()),
            };
            return vec![Proposal::declined(subject, reason, detail)];
        }
        let mut change = Change::default();
        change.dockerfile(image.file, image_operations(image, &identity));
        for container in &application.containers {
            change.manifest(container.id.file, container_operations(container, &identity));
        }
        let shared = application.containers.iter().any(needs_group);
        let group = identity.gid.filter(|_| shared).map(|gid| format!(", fsGroup {gid}")).unwrap_or_default();
        let detail = format!("USER {}{group} ({})", user_argument(image, &identity), identity.how);
        // A name that becomes its number is the same user: nothing else can break, unless a build is told of another number.
        let obstacles = match &image.user {
            User::Root | User::Unknown { .. } => {
                change.together.clone_from(application.companions());
                application.obstacles_as_started()
            }
            User::Named { name, .. } => {
                let place = image.argument_for_account(name).into_iter();
                let doubt = |place| {
                    format!("{place}: an argument of the build decides about the user, and may be given another value")
                };
                place.map(|place| Obstacle::doubt(SkipReason::Parameter, doubt(place))).collect()
            }
            User::Numeric { .. } => Vec::new(),
        };
        vec![Proposal::change(subject, change, &obstacles, detail)]
    }
}

fn identity(application: &Application<'_>, image: &ImageFacts<'_>) -> Option<Identity> {
    match &image.user {
        // The base's own user, now written down.
        User::Numeric { uid, gid } => Some(Identity { uid: *uid, gid: *gid, how: image.user_how() }),
        _ => application.intended_identity(),
    }
}

/// Gives the account of `USER name` a number where the build makes it, and writes that instead of the name.
fn numbered(application: &Application<'_>, image: &ImageFacts<'_>, subject: Subject, name: &str) -> Proposal {
    let detail = format!("{}: the number of user {} is not known; write it", image.user_how(), name.escape_debug());
    let asked: BTreeSet<u32> = application.containers.iter().filter_map(asked_user).collect();
    let uid = match asked.into_iter().collect::<Vec<_>>().as_slice() {
        [] => application.around.config.uid(),
        [uid] => *uid,
        _ => return Proposal::declined(subject, SkipReason::UnknownUser, detail),
    };
    let Some((operation, obstacles)) = account::number(application, image, name, uid) else {
        return Proposal::declined(subject, SkipReason::UnknownUser, detail);
    };
    let identity = Identity { uid, gid: None, how: format!("a number for the account {name} that the build makes") };
    let mut change = Change::default();
    let mut operations = image_operations(image, &identity);
    operations.push(operation);
    change.dockerfile(image.file, operations);
    for container in &application.containers {
        change.manifest(container.id.file, container_operations(container, &identity));
    }
    Proposal::change(subject, change, &obstacles, format!("USER {uid} ({})", identity.how))
}

fn asked_user(container: &ContainerFacts<'_>) -> Option<u32> {
    let asked = container.security("runAsUser")?.as_i64()?;
    u32::try_from(asked).ok().filter(|uid| *uid != 0)
}

fn image_operations(image: &ImageFacts<'_>, identity: &Identity) -> Vec<Operation> {
    let argument = user_argument(image, identity);
    let line = format!("USER {argument}");
    let dockerfile = image.dockerfile;
    let mut lines = Vec::new();
    if image.user == User::Root {
        lines.extend(account::creation(image, identity));
        lines.extend(account::home(image, identity));
    }
    let in_force = image.user_instruction.filter(|instruction| {
        image.stage.instructions.contains(instruction) && *instruction > image.last_file_instruction()
    });
    let own = match in_force {
        Some(instruction) if lines.is_empty() => {
            Operation::Replace { span: dockerfile.instructions()[instruction].arguments, text: argument }
        }
        // It takes the root of this USER to make the account.
        Some(instruction) => {
            lines.push(line);
            Operation::InsertAfter { instruction, lines }
        }
        None => {
            lines.push(line);
            let last = image.last_file_instruction();
            let start = image.stage.instructions.clone().find(|index| {
                *index > last && matches!(dockerfile.instructions()[*index].keyword, Keyword::Cmd | Keyword::Entrypoint)
            });
            match start {
                Some(instruction) => Operation::InsertBefore { instruction, above_comments: true, lines },
                None => Operation::InsertAfter { instruction: last, lines },
            }
        }
    };
    let mut operations = vec![own];
    operations.extend(heirs_stay_root(image));
    operations
}

/// Stages that are built FROM the deployed one go on as root, as they were written.
fn heirs_stay_root(image: &ImageFacts<'_>) -> Vec<Operation> {
    if image.user != User::Root {
        return Vec::new();
    }
    let instructions = image.dockerfile.instructions();
    let heirs = image.heirs().into_iter();
    // Without a list of accounts root has no name.
    let root = if image.family == Some(Family::Distroless) { "USER 0" } else { "USER root" };
    heirs
        .filter(|heir| {
            let first = heir.instructions.clone().map(|index| instructions[index].keyword);
            first.into_iter().find(|keyword| *keyword != Keyword::Arg && *keyword != Keyword::From)
                != Some(Keyword::User)
        })
        .map(|heir| Operation::InsertAfter { instruction: heir.from, lines: vec![root.to_owned()] })
        .collect()
}

fn container_operations(container: &ContainerFacts<'_>, identity: &Identity) -> Vec<yaml::Operation> {
    if container.settings() == Settings::UserAssigned {
        // Whatever user it gets is in group 0, to which the application's files belong.
        return Vec::new();
    }
    let mut values = Vec::new();
    for (key, id) in [("runAsUser", Some(identity.uid)), ("runAsGroup", identity.gid)] {
        if let Some(id) = id
            && container.security(key).is_none()
        {
            values.push((key.to_owned(), Value::Int(i64::from(id))));
        }
    }
    let mut operations = kubernetes::complete(container.view.node(), values);
    if let Some(gid) = identity.gid
        && needs_group(container)
    {
        operations.extend(kubernetes::share_claims(container.pod, gid));
    }
    operations
}

/// Whether it writes to a claim that has no group unless `fsGroup` gives one.
fn needs_group(container: &ContainerFacts<'_>) -> bool {
    container.settings() == Settings::AsWritten
        && container.mounts().iter().any(|mount| mount.source == VolumeSource::Claim && !mount.read_only)
}

/// What USER takes. For a name that becomes its number the group is left out: written, it would take the account's other groups away.
fn user_argument(image: &ImageFacts<'_>, identity: &Identity) -> String {
    match image.user {
        User::Named { .. } => identity.uid.to_string(),
        _ => identity.user_argument(),
    }
}
