//! The account that a uid has in the image, so that its process has a name and a home.

use crate::dockerfile::{Keyword, Operation};
use crate::error::SkipReason;
use crate::facts::{Application, Identity, ImageFacts, Obstacle};
use crate::image::Family;
use crate::kubernetes::VolumeSource;
use crate::source::Span;

/// What an account is called that is made here: the first of these names that the build gives to no other.
const ACCOUNTS: [&str; 3] = ["app", "application", "runtime"];

/// A command that makes the account, where the image has a shell and does not know the uid.
pub(super) fn creation(image: &ImageFacts<'_>, identity: &Identity) -> Option<String> {
    let base = image.known_base;
    let account = base.and_then(|base| base.account.as_ref());
    let known = account.is_some_and(|account| account.uid == identity.uid);
    let uid = identity.uid;
    let name = name(image);
    let made = name.is_none() || image.makes_account(&uid.to_string());
    let name = name.unwrap_or_default();
    // Ubuntu has an account 1000 since 23.04, and below 1000 are the system's: making one of the same number would fail the build.
    let taken = uid < 1000 || uid == 65534 || uid == 1000 && base.is_none_or(|base| base.name == "ubuntu");
    if known || made || taken {
        return None;
    }
    let keeps_home = image.keeps_roots_home();
    match image.family? {
        Family::Debian if keeps_home => Some(format!(
            "RUN useradd --no-log-init --no-create-home --home-dir {ROOTS_HOME} --uid {uid} --gid 0 {name}"
        )),
        Family::Alpine if uid <= 256_000 && keeps_home => {
            Some(format!("RUN adduser -D -H -h {ROOTS_HOME} -u {uid} -G root {name}"))
        }
        Family::Alpine | Family::Other if keeps_home => {
            let entry = format!("{name}:x:{uid}:0::{ROOTS_HOME}:/sbin/nologin");
            Some(format!("RUN echo '{entry}' >> /etc/passwd"))
        }
        Family::Debian => Some(format!("RUN useradd --no-log-init --create-home --uid {uid} --gid 0 {name}")),
        // BusyBox, as Alpine builds it, makes no account above this.
        Family::Alpine if uid <= 256_000 => Some(format!("RUN adduser -D -u {uid} -G root {name}")),
        // Small images of other distributions have no tools for accounts; the list of accounts is a file.
        Family::Alpine | Family::Other => {
            let home = created_home(name);
            let entry = format!("{name}:x:{uid}:0::{home}:/sbin/nologin");
            Some(format!("RUN echo '{entry}' >> /etc/passwd && mkdir -p {home} && chmod g=u {home}"))
        }
        Family::Distroless => None,
    }
}

/// The home that the other user is given where the image's files are kept in it.
const ROOTS_HOME: &str = "/root";

fn created_home(name: &str) -> String {
    format!("/home/{name}")
}

/// What the account is called; `None` where all names are taken.
fn name(image: &ImageFacts<'_>) -> Option<&'static str> {
    ACCOUNTS.into_iter().find(|name| !image.makes_account(name))
}

/// A HOME that the user can write to, where the file names root's, or root's own where it is kept: the runtime asks the list of accounts, which the number
/// may have another home in.
pub(super) fn home(image: &ImageFacts<'_>, identity: &Identity) -> Option<String> {
    let set = image.dockerfile.env(image.stage).into_iter().rev().find(|(name, _)| name == "HOME");
    if image.keeps_roots_home() {
        return set.is_none().then(|| format!("ENV HOME={ROOTS_HOME}"));
    }
    let (_, value) = set?;
    if !matches!(value.trim_end_matches('/'), "" | "/root") {
        return None;
    }
    let account = image.known_base.and_then(|base| base.account.as_ref()).filter(|account| account.uid == identity.uid);
    let home = match account {
        Some(account) => format!("/home/{}", account.name),
        None if creation(image, identity).is_some() => created_home(name(image).unwrap_or_default()),
        None => "/tmp".to_owned(),
    };
    Some(format!("ENV HOME={home}"))
}

/// Writes a number into the command that makes an account, with what speaks against it: files that have the account's old number already.
pub(super) fn number(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    name: &str,
    uid: u32,
) -> Option<(Operation, Vec<Obstacle>)> {
    let account = image.unnumbered_account(name)?;
    let text = image.dockerfile.text();
    let taken = uid < 1000 || uid == 65534 || uid > 256_000 || text.contains(&uid.to_string());
    if taken {
        return None;
    }
    let span = account.program;
    let end = Span::new(span.end, span.end);
    let operation = Operation::Replace { span: end, text: format!(" {} {uid}", account.option) };
    let mut obstacles = Vec::new();
    let mut doubt = |detail: String| {
        obstacles.push(Obstacle { reason: SkipReason::VolumeOwnership, detail, hard: false, by_setting: false });
    };
    if let Some(volume) = image.dockerfile.volumes(image.stage).first() {
        doubt(format!("what is kept in {} may belong to the number that user {name} had", volume.escape_debug()));
    }
    for container in &application.containers {
        let kept = |source: VolumeSource| !matches!(source, VolumeSource::EmptyDir | VolumeSource::Other);
        if let Some(mount) = container.mounts().into_iter().find(|mount| !mount.read_only && kept(mount.source)) {
            let place = container.place();
            doubt(format!("{place} mounts {}, where files may belong to the old number", mount.path.escape_debug()));
        }
    }
    let by_number = image.dockerfile.effective(image.stage).into_iter().find(|index| {
        let instruction = &image.dockerfile.instructions()[*index];
        let written = instruction.span.of(text);
        let after =
            |word: &str| written.split(word).nth(1).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        match instruction.keyword {
            Keyword::Run => ["chown ", "chown -R "].into_iter().any(after),
            Keyword::Copy | Keyword::Add => after("--chown="),
            _ => false,
        }
    });
    if let Some(index) = by_number {
        doubt(format!("{} gives files to a number, which may be that of user {name}", image.place(index)));
    }
    Some((operation, obstacles))
}
