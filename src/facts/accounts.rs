//! The accounts of an image: those that its base brings, and those that its build makes.

use super::ImageFacts;
use super::stack::words;
use crate::discover::{Tree, file_name, join};
use crate::dockerfile::{Dockerfile, Keyword, Stage};
use crate::image::{Family, Ids};
use crate::source::Span;
use std::collections::BTreeSet;

/// The command that makes an account and leaves its number to the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unnumbered {
    /// Index of the RUN.
    pub instruction: usize,
    /// The command's name, behind which a number may be written.
    pub program: Span,
    /// The option that takes the number.
    pub option: &'static str,
}

/// Accounts that every image of a family has
/// (<https://salsa.debian.org/debian/base-passwd/-/blob/master/passwd.master>, <https://git.alpinelinux.org/aports/tree/main/alpine-baselayout>).
const OF_FAMILY: [(Family, &str, Ids); 9] = [
    (Family::Debian, "nobody", Ids { uid: 65534, gid: 65534 }),
    (Family::Debian, "www-data", Ids { uid: 33, gid: 33 }),
    (Family::Debian, "daemon", Ids { uid: 1, gid: 1 }),
    (Family::Debian, "games", Ids { uid: 5, gid: 60 }),
    (Family::Alpine, "nobody", Ids { uid: 65534, gid: 65534 }),
    (Family::Alpine, "guest", Ids { uid: 405, gid: 100 }),
    (Family::Alpine, "daemon", Ids { uid: 2, gid: 2 }),
    (Family::Distroless, "nobody", Ids { uid: 65534, gid: 65534 }),
    (Family::Distroless, "nonroot", Ids { uid: 65532, gid: 65532 }),
];

/// What the images call the account that they step down to, where it is not the name of the image.
const OF_SERVICES: [(&str, &str); 5] =
    [("mariadb", "mysql"), ("mongo", "mongodb"), ("php", "www-data"), ("httpd", "www-data"), ("memcached", "memcache")];

/// The numbers of an account: those that the build makes or changes it with, those that a file of the tree lists, or the base's. `None` when nothing
/// tells, or a command may have changed it.
pub(super) fn ids_of(image: &ImageFacts<'_>, tree: &Tree, name: &str) -> Option<Ids> {
    let (made, base) = match passwd_file(image) {
        Some(Passwd::File(path)) => return listed(&tree.read(&path)?, name),
        Some(Passwd::Stage(stage)) => (made(image, stage, name)?, None),
        None => (made(image, image.stage, name)?, of_base(image, name)),
    };
    let uid = made.uid.or(base.map(|ids| ids.uid)).filter(|uid| *uid != 0)?;
    Some(Ids { uid, gid: made.gid.or(base.map(|ids| ids.gid))? })
}

/// The numbers of an account that the base brings.
fn of_base(image: &ImageFacts<'_>, name: &str) -> Option<Ids> {
    let base = image.known_base?;
    if let Some(account) = base.account.as_ref().filter(|account| account.name == name) {
        return Some(Ids { uid: account.uid, gid: account.gid });
    }
    let program = file_name(&base.name);
    let service = OF_SERVICES.iter().find(|(image, _)| *image == program).map_or(program, |(_, account)| account);
    let of_family = || OF_FAMILY.iter().find(|(family, account, _)| *family == base.family && *account == name);
    base.service.filter(|_| service == name).or_else(|| of_family().map(|(_, _, ids)| *ids))
}

/// The one command that makes the account of a name without saying a number, in the stage whose accounts the image has.
pub(super) fn unnumbered(image: &ImageFacts<'_>, name: &str) -> Option<Unnumbered> {
    let dockerfile = image.dockerfile;
    let stage = match passwd_file(image) {
        Some(Passwd::Stage(stage)) => stage,
        Some(Passwd::File(_)) => return None,
        None if of_base(image, name).is_some() => return None,
        None => image.stage,
    };
    let mut found = None;
    for index in dockerfile.effective(stage) {
        let run = &dockerfile.instructions()[index];
        if run.keyword != Keyword::Run {
            continue;
        }
        for command in dockerfile.shell_commands(run)? {
            let expanded = image.expanded_words(stage, index, &command);
            let words: Vec<&str> = expanded.iter().map(String::as_str).collect();
            let Some(program) = account_program(&words).filter(|_| words.contains(&name)) else { continue };
            if option(&words, &UID).is_some() || program == "usermod" || found.is_some() {
                return None;
            }
            let span = command.words.first()?.span;
            // The two programs of this name, Debian's and BusyBox's, agree on no short and on no long option.
            let option = match (program, image_family(image, stage)?) {
                ("useradd", _) | ("adduser", Family::Alpine) => "-u",
                ("adduser", Family::Debian) => "--uid",
                _ => return None,
            };
            found = Some(Unnumbered { instruction: index, program: span, option });
        }
    }
    found
}

/// Whether a RUN of the stage makes an account of this name or number.
pub(super) fn makes(image: &ImageFacts<'_>, name_or_number: &str) -> bool {
    run_commands(image, image.stage).iter().any(|(_, command)| {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        account_program(&words).is_some() && words.contains(&name_or_number)
    })
}

/// The RUN that makes the account of a name, or gives it another number, as an argument of the build says.
pub(super) fn made_by_argument(image: &ImageFacts<'_>, name: &str) -> Option<usize> {
    let is_about = |words: &[String]| words.iter().any(|word| word == name);
    let commands = run_commands(image, image.stage);
    let about: BTreeSet<usize> =
        commands.into_iter().filter(|(_, words)| is_about(words)).map(|(index, _)| index).collect();
    about.into_iter().find(|index| {
        let instruction = &image.dockerfile.instructions()[*index];
        let commands = image.dockerfile.shell_commands(instruction).unwrap_or_default();
        commands.iter().any(|command| {
            let written: Vec<&str> = command.words.iter().map(|word| word.written.as_str()).collect();
            account_program(&written).is_some() && option(&written, &UID).is_some_and(|uid| uid.contains('$'))
        })
    })
}

/// What the base of a stage is made of, where the commands of the stage tell, and that they are run by root: package managers and the tools for accounts
/// work for nobody else. `None` when there are none, or a USER stands before them.
pub(super) fn family_of_root(dockerfile: &Dockerfile, stage: &Stage) -> Option<Family> {
    for index in dockerfile.effective(stage) {
        let instruction = &dockerfile.instructions()[index];
        match instruction.keyword {
            Keyword::User => return None,
            Keyword::Run => {
                let commands = dockerfile.shell_commands(instruction).unwrap_or_default();
                let told = commands.iter().find_map(|command| match *words(command).as_slice() {
                    ["apt-get" | "apt", ref rest @ ..] if rest.contains(&"install") => Some(Family::Debian),
                    ["apk", ref rest @ ..] if rest.contains(&"add") => Some(Family::Alpine),
                    ["yum" | "dnf" | "microdnf" | "tdnf" | "zypper", ref rest @ ..] if rest.contains(&"install") => {
                        Some(Family::Other)
                    }
                    ["useradd" | "groupadd", ..] => Some(Family::Other),
                    _ => None,
                });
                if told.is_some() {
                    return told;
                }
            }
            _ => {}
        }
    }
    None
}

const UID: [&str; 2] = ["-u", "--uid"];
const GID: [&str; 2] = ["-g", "--gid"];

/// The family of the image that a stage starts from: that of the deployed stage is known.
fn image_family(image: &ImageFacts<'_>, stage: &Stage) -> Option<Family> {
    if stage.index == image.stage.index {
        return image.family;
    }
    let text =
        image.dockerfile.instructions()[image.dockerfile.chain(stage).last()?.from].span.of(image.dockerfile.text());
    Some(if text.contains("alpine") { Family::Alpine } else { Family::Debian })
}

fn account_program<'w>(words: &[&'w str]) -> Option<&'w str> {
    let program = words.first().copied().map(file_name)?;
    matches!(program, "useradd" | "adduser" | "usermod").then_some(program)
}

/// The words of the commands that a stage runs, each with the index of its RUN.
fn run_commands(image: &ImageFacts<'_>, stage: &Stage) -> Vec<(usize, Vec<String>)> {
    let dockerfile = image.dockerfile;
    let runs = dockerfile.effective(stage).into_iter();
    let runs = runs.filter(|index| dockerfile.instructions()[*index].keyword == Keyword::Run);
    let commands = runs.flat_map(|index| {
        let commands = dockerfile.shell_commands(&dockerfile.instructions()[index]).unwrap_or_default();
        commands.into_iter().map(move |command| (index, command))
    });
    commands.map(|(index, command)| (index, image.expanded_words(stage, index, &command))).collect()
}

/// Where an image without tools gets its accounts from.
enum Passwd<'a> {
    Stage(&'a Stage),
    File(String),
}

/// The last COPY that lays its own list of accounts over the image's.
fn passwd_file<'a>(image: &ImageFacts<'a>) -> Option<Passwd<'a>> {
    let dockerfile = image.dockerfile;
    image.stage.instructions.clone().rev().find_map(|index| {
        let copy = &dockerfile.instructions()[index];
        if copy.keyword != Keyword::Copy {
            return None;
        }
        let (sources, to) = dockerfile.copy_words(copy)?;
        let source = sources.iter().find(|source| file_name(source) == "passwd")?;
        if !matches!(to.trim_end_matches('/'), "/etc" | "/etc/passwd") {
            return None;
        }
        match copy.flag("from") {
            Some(flag) => dockerfile.stage(flag.value.as_deref()?).map(Passwd::Stage),
            None => join(image.directory(), source).map(Passwd::File),
        }
    })
}

/// The numbers in a line of `passwd(5)`.
fn listed(passwd: &str, name: &str) -> Option<Ids> {
    let line = passwd.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let mut fields = line.split(':').skip(1);
    Some(Ids { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? }).filter(|ids| ids.uid != 0)
}

/// What the commands of a stage say about the numbers of an account.
#[derive(Clone, Copy, Debug, Default)]
struct Made {
    uid: Option<u32>,
    gid: Option<u32>,
}

/// The numbers that the RUN instructions of a stage give an account; `None` when one may give it others that it does not say.
fn made(image: &ImageFacts<'_>, stage: &Stage, name: &str) -> Option<Made> {
    let commands: Vec<Vec<String>> = run_commands(image, stage).into_iter().map(|(_, words)| words).collect();
    let mut made = Made::default();
    for command in &commands {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let Some(program) = words.first().copied().map(file_name).filter(|_| words.contains(&name)) else { continue };
        let number = |names: &[&str]| -> Option<u32> { option(&words, names)?.parse().ok() };
        match program {
            "deluser" | "userdel" | "delgroup" | "groupdel" => return None,
            "groupmod" => made.gid = Some(number(&GID)?),
            "usermod" => {
                if option(&words, &UID).is_some() {
                    made.uid = Some(number(&UID)?);
                }
                if option(&words, &GID).is_some() {
                    made.gid = Some(number(&GID)?);
                }
            }
            // `adduser NAME GROUP` only adds to a group.
            "adduser" if words.len() == 3 && words.iter().all(|word| !word.starts_with('-')) => {}
            "useradd" | "adduser" => {
                let uid = number(&UID)?;
                // `-G` is the account's group to BusyBox, and further groups to useradd.
                let group: &[&str] = if program == "useradd" { &GID } else { &["-g", "--gid", "-G", "--ingroup"] };
                let gid = match option(&words, group) {
                    Some(group) => group.parse().ok().or_else(|| created_group(&commands, group))?,
                    // Debian's useradd and adduser make a group of the user's name, and give it the uid's number only when that is free.
                    None => created_group(&commands, name).unwrap_or(uid),
                };
                made = Made { uid: Some(uid), gid: Some(gid) };
            }
            _ => {}
        }
    }
    Some(made)
}

fn created_group(commands: &[Vec<String>], name: &str) -> Option<u32> {
    if name == "root" {
        return Some(0);
    }
    commands.iter().find_map(|command| {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let creates = matches!(words.first().copied(), Some("groupadd" | "addgroup")) && words.contains(&name);
        creates.then(|| option(&words, &GID)?.parse().ok()).flatten()
    })
}

/// The value of an option, as `-u 5`, `--uid 5` or `--uid=5`.
fn option<'w>(words: &[&'w str], names: &[&str]) -> Option<&'w str> {
    for (at, word) in words.iter().enumerate() {
        if names.contains(word) {
            return words.get(at + 1).copied();
        }
        if let Some((name, value)) = word.split_once('=')
            && names.contains(&name)
        {
            return Some(value);
        }
    }
    None
}
