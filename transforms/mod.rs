//! What the program does to a repository, in order. The folder listing is the pipeline.
//!
//! Each transform is a folder: `README.md` (what, why, an example that is run as a test, when it declines), `mod.rs`, and `cases/`, tiny repositories
//! before and after. The number in the folder's name is its place: first what manifests give away and what they ask of the node, which decides what may
//! follow, then structure, then the files' ownership while the build still is root, then the user, then the bases' digests, then the manifest that
//! describes the result, and last what goes beyond the standard. A step may rely on what an earlier one did, because facts are
//! derived anew after each.
//!
//! The folders stand outside `src/`, so modules name their path. rustfmt sorts neighbouring `mod` lines by name, which is why [`ALL`] is the order
//! that counts; a test keeps it equal to the numbers.
#![allow(rustdoc::invalid_codeblock_attributes, reason = "`before=PATH` in the examples is read by the tests")]

#[path = "02-isolate-from-host/mod.rs"]
mod t02_isolate_from_host;
#[path = "03-drop-privileges/mod.rs"]
mod t03_drop_privileges;
#[path = "05-allow-low-ports/mod.rs"]
mod t05_allow_low_ports;
#[path = "07-build-without-sudo/mod.rs"]
mod t07_build_without_sudo;
#[path = "08-copy-local-files/mod.rs"]
mod t08_copy_local_files;
#[path = "09-start-without-shell/mod.rs"]
mod t09_start_without_shell;
#[path = "10-split-build-stage/mod.rs"]
mod t10_split_build_stage;
#[path = "20-own-by-root-group/mod.rs"]
mod t20_own_by_root_group;
#[path = "30-switch-user/mod.rs"]
mod t30_switch_user;
#[path = "40-pin-digest/mod.rs"]
mod t40_pin_digest;
#[path = "45-mount-read-only-root/mod.rs"]
mod t45_mount_read_only_root;
#[path = "50-inject-security-context/mod.rs"]
mod t50_inject_security_context;
#[path = "55-isolate-users/mod.rs"]
mod t55_isolate_users;
#[path = "60-withhold-service-account-token/mod.rs"]
mod t60_withhold_service_account_token;
#[path = "70-limit-resources/mod.rs"]
mod t70_limit_resources;
#[path = "80-report-secrets/mod.rs"]
mod t80_report_secrets;

use crate::change::Change;
use crate::error::{Applicability, SkipReason};
use crate::facts::{Application, ContainerFacts, ImageFacts, Obstacle};
use crate::image::Reference;
use crate::repository::FileId;

/// Every transform, in the order in which they run.
pub const ALL: [&dyn Transform; 16] = [
    &t02_isolate_from_host::IsolateFromHost,
    &t03_drop_privileges::DropPrivileges,
    &t05_allow_low_ports::AllowLowPorts,
    &t07_build_without_sudo::BuildWithoutSudo,
    &t08_copy_local_files::CopyLocalFiles,
    &t09_start_without_shell::StartWithoutShell,
    &t10_split_build_stage::SplitBuildStage,
    &t20_own_by_root_group::OwnByRootGroup,
    &t30_switch_user::SwitchUser,
    &t40_pin_digest::PinDigest,
    &t45_mount_read_only_root::MountReadOnlyRoot,
    &t50_inject_security_context::InjectSecurityContext,
    &t55_isolate_users::IsolateUsers,
    &t60_withhold_service_account_token::WithholdServiceAccountToken,
    &t70_limit_resources::LimitResources,
    &t80_report_secrets::ReportSecrets,
];

/// One ordered step.
pub trait Transform: Sync {
    /// Who it is.
    fn metadata(&self) -> &'static Metadata;

    /// Looks at one application and says, for each thing that concerns it, what is to be done. Pure: no file, no network, no clock.
    fn plan(&self, application: &Application<'_>) -> Vec<Proposal>;

    /// The references whose digest [`Self::plan`] will ask for. They are looked up once, before any step.
    fn references(&self, _application: &Application<'_>) -> Vec<Reference> {
        Vec::new()
    }

    /// References of which [`Self::plan`] would like to know more, and that it does without where no registry answers: no run fails for them. Each
    /// answer may raise a further question.
    fn pins(&self, _application: &Application<'_>) -> Vec<Reference> {
        Vec::new()
    }

    /// Every image that it finds named and may ever ask about, whether there is anything to ask now or not.
    fn names(&self, _application: &Application<'_>) -> Vec<Reference> {
        Vec::new()
    }

    /// The references whose image [`Self::plan`] needs to know more of than files and the table tell. They are looked up after the digests.
    fn configs(&self, _application: &Application<'_>) -> Vec<Reference> {
        Vec::new()
    }
}

/// What is fixed about a transform.
#[derive(Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Its place in the order; the number of its folder.
    pub number: u16,
    /// Its name in arguments, comments and reports.
    pub id: &'static str,
    /// What it does, as the subject line of a patch.
    pub title: &'static str,
    /// Why, as the body of a patch: one sentence per paragraph.
    pub why: &'static str,
    /// The text of its README.
    pub readme: &'static str,
}

/// One thing a transform looked at, and what it makes of it.
#[derive(Debug)]
pub struct Proposal {
    /// What was looked at.
    pub subject: Subject,
    /// What is to be done.
    pub verdict: Verdict,
}

/// What a proposal is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The file it stands in.
    pub file: FileId,
    /// Byte offset in the file as it is now.
    pub offset: usize,
    /// How reports name it.
    pub label: String,
}

/// What is to be done.
#[derive(Debug)]
pub enum Verdict {
    /// This change, as far as `applicability` allows.
    Change {
        /// What to do.
        change: Change,
        /// [`Applicability::Safe`], or a lower one with its excuse.
        applicability: Applicability,
        /// Why it is not safe: code and one line. `None` when it is.
        excuse: Option<(SkipReason, String)>,
        /// What is done and on which facts, one line.
        detail: String,
    },
    /// Nothing.
    AlreadyRight(String),
    /// Nothing, because.
    Declined(SkipReason, String),
}

impl Proposal {
    fn already(subject: Subject, detail: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::AlreadyRight(detail.into()) }
    }

    fn declined(subject: Subject, reason: SkipReason, detail: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Declined(reason, detail.into()) }
    }

    /// A change that is safe unless an obstacle says otherwise.
    fn change(subject: Subject, change: Change, obstacles: &[Obstacle], detail: impl Into<String>) -> Self {
        if let Some(obstacle) = obstacles.iter().find(|obstacle| obstacle.hard) {
            return Self::declined(subject, obstacle.reason, obstacle.detail.clone());
        }
        let excuse = obstacles.first().map(|obstacle| (obstacle.reason, obstacle.detail.clone()));
        let applicability = if excuse.is_some() { Applicability::Unsafe } else { Applicability::Safe };
        Self { subject, verdict: Verdict::Change { change, applicability, excuse, detail: detail.into() } }
    }

    /// The same, with something more to tell.
    fn with_note(mut self, note: &str) -> Self {
        let (Verdict::Change { detail, .. } | Verdict::AlreadyRight(detail) | Verdict::Declined(_, detail)) =
            &mut self.verdict;
        *detail = format!("{detail}; {note}");
        self
    }
}

impl Proposal {
    /// A change that no file speaks against and that may alter behaviour all the same.
    fn doubtful(subject: Subject, change: Change, detail: impl Into<String>, excuse: impl Into<String>) -> Self {
        let excuse = Some((SkipReason::Unsafe, excuse.into()));
        let verdict = Verdict::Change { change, applicability: Applicability::Unsafe, excuse, detail: detail.into() };
        Self { subject, verdict }
    }
}

impl Subject {
    fn image(image: &ImageFacts<'_>) -> Self {
        Self { file: image.file, offset: image.offset(), label: image.label() }
    }

    fn container(container: &ContainerFacts<'_>) -> Self {
        Self { file: container.id.file, offset: container.offset(), label: container.label() }
    }
}
