#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::dockerfile::{Keyword, Operation};
use crate::error::SkipReason;
use crate::facts::{Application, ContainerFacts, Identity, ImageFacts, User};
use crate::image::{Family, Reference};
use crate::kubernetes::{self, Settings, VolumeSource};
use crate::yaml::{self, Value};

static METADATA: Metadata = Metadata {
    number: 30,
    id: "switch-user",
    title: "Run as a numeric user other than root",
    why: "The image ends with a numeric USER and its containers ask for the same uid and gid, so that Kubernetes can verify that the process is not \
          root (it cannot for a name). Claims that are mounted get the group by fsGroup. The manifests \
          expect the image that the new Dockerfile builds: roll both out together.",
    readme: include_str!("README.md"),
};

/// The account made for a uid that the image does not know, so that its process has a name and a home.
const ACCOUNT: &str = "app";

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
            User::Unknown { how } => return vec![Proposal::declined(subject, SkipReason::UnknownUser, how.clone())],
            User::Named { name, ids: None } => {
                let detail =
                    format!("{}: the number of user {} is not known; write it", image.user_how(), name.escape_debug());
                return vec![Proposal::declined(subject, SkipReason::UnknownUser, detail)];
            }
            User::Root | User::Named { .. } | User::Numeric { .. } => {}
        }
        let Some(identity) = identity(application, image) else {
            return vec![Proposal::declined(subject, SkipReason::UnknownUser, "no numeric user is known")];
        };
        let shares = image.family.is_some_and(Family::has_shell) && matches!(image.user, User::Root);
        if shares && !image.is_shared() {
            let detail = "the application's files are root's alone; own-by-root-group shares them first";
            let (reason, detail) = match application.obstacles().first() {
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
        // A name that becomes its number is the same user: nothing else can break.
        let obstacles = match image.user {
            User::Root => {
                change.together.clone_from(application.companions());
                application.obstacles()
            }
            _ => &[],
        };
        vec![Proposal::change(subject, change, obstacles, detail)]
    }
}

fn identity(application: &Application<'_>, image: &ImageFacts<'_>) -> Option<Identity> {
    match &image.user {
        // The base's own user, now written down.
        User::Numeric { uid, gid } => Some(Identity { uid: *uid, gid: *gid, how: image.user_how() }),
        _ => application.intended_identity(),
    }
}

fn image_operations(image: &ImageFacts<'_>, identity: &Identity) -> Vec<Operation> {
    let argument = user_argument(image, identity);
    let line = format!("USER {argument}");
    let dockerfile = image.dockerfile;
    if let Some(instruction) = image.user_instruction
        && image.stage.instructions.contains(&instruction)
        && instruction > image.last_file_instruction()
    {
        let span = dockerfile.instructions()[instruction].arguments;
        return vec![match account(image, identity).filter(|_| image.user == User::Root) {
            // It takes the root of this USER to make the account.
            Some(account) => Operation::InsertAfter { instruction, lines: vec![account, line] },
            None => Operation::Replace { span, text: argument },
        }];
    }
    let mut lines = Vec::new();
    if let Some(account) = account(image, identity) {
        lines.push(account);
    }
    lines.push(line);
    let last = image.last_file_instruction();
    let start = image.stage.instructions.clone().find(|index| {
        *index > last && matches!(dockerfile.instructions()[*index].keyword, Keyword::Cmd | Keyword::Entrypoint)
    });
    vec![match start {
        Some(instruction) => Operation::InsertBefore { instruction, above_comments: true, lines },
        None => Operation::InsertAfter { instruction: last, lines },
    }]
}

/// A command that makes the account, where the image has the tools and does not know the uid.
fn account(image: &ImageFacts<'_>, identity: &Identity) -> Option<String> {
    let known = image.known_base?.account.as_ref().is_some_and(|account| account.uid == identity.uid);
    let mentioned = image.creates_accounts();
    let uid = identity.uid;
    // Ubuntu has an account 1000 since 23.04, and below 1000 are the system's: making one of the same number would fail the build.
    let taken = uid < 1000 || uid == 65534 || uid == 1000 && image.known_base?.name == "ubuntu";
    if known || mentioned || taken {
        return None;
    }
    match image.family? {
        Family::Debian => Some(format!("RUN useradd --no-log-init --create-home --uid {uid} --gid 0 {ACCOUNT}")),
        // BusyBox, as Alpine builds it, makes no account above this.
        Family::Alpine if uid > 256_000 => None,
        Family::Alpine => Some(format!("RUN adduser -D -u {uid} -G root {ACCOUNT}")),
        Family::Distroless | Family::Other => None,
    }
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
