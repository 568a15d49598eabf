//! What speaks against running an application as anything but root.
//!
//! Every entry is something that broke real deployments after somebody wrote `USER` or `runAsNonRoot`. An obstacle is hard, and stops `--unsafe` as well,
//! where the files say that the change breaks the program; it is soft where they leave it open.

use super::directories::is_below;
use super::start::Started;
use super::writes::Site;
use super::{
    Application, ContainerFacts, EffectiveUser, GoSources, ImageFacts, Stack, User, home, needs, operator, ports,
    programs, served, sources, stack, start, volumes,
};
use crate::discover::{file_name, join};
use crate::dockerfile::{Keyword, ShellCommand};
use crate::error::SkipReason;
use crate::facts::identity::printable;
use crate::image::{Family, KnownImage};
use crate::link::Link;
use crate::repository::{ContainerId, FileId};
use crate::yaml::Node;
use std::collections::BTreeSet;

/// One reason to stay root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The stable code.
    pub reason: SkipReason,
    /// What was seen, and where.
    pub detail: String,
    /// Not even `--unsafe` goes on.
    pub hard: bool,
    /// A setting of the manifest says it, and nothing else: without the setting it is gone.
    pub by_setting: bool,
}

impl Obstacle {
    /// Something that the files leave open: `--unsafe` goes on all the same.
    pub fn doubt(reason: SkipReason, detail: String) -> Self {
        Self { reason, detail, hard: false, by_setting: false }
    }
}

/// What speaks against it, and the Dockerfiles whose images must leave root together with it.
pub(super) fn of(application: &Application<'_>) -> (Vec<Obstacle>, BTreeSet<FileId>) {
    let own: BTreeSet<FileId> = application.image.iter().map(|image| image.file).collect();
    let mut company = own.clone();
    let found = survey(application, &mut company);
    (found, company.difference(&own).copied().collect())
}

/// The company holds Dockerfiles whose images leave root together, as far as is assumed, and takes in others.
pub(super) fn survey(application: &Application<'_>, company: &mut BTreeSet<FileId>) -> Vec<Obstacle> {
    let mut found = Vec::new();
    if let Some(image) = &application.image {
        of_image(application, image, &mut found);
    }
    for container in &application.containers {
        of_container(application, container, company, &mut found);
    }
    let is_high = |container: &ContainerFacts<'_>| {
        application.observed_ports(container).is_some_and(|ports| ports.iter().all(|port| *port >= 1024))
    };
    if !application.containers.is_empty() && application.containers.iter().all(is_high) {
        // What files merely leave open was seen.
        found.retain(|obstacle| obstacle.hard || obstacle.reason != SkipReason::LowPort);
    }
    let allowed = |container: &ContainerFacts<'_>| container.pod.allows_low_ports();
    if !application.containers.is_empty() && application.containers.iter().all(allowed) {
        found.retain(|obstacle| obstacle.reason != SkipReason::LowPort);
    }
    found
}

fn of_image(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    if let Some(doubt) = &image.stage_doubt {
        let detail = format!("{}; name the target in a [[link]] of unroot.toml", doubt.detail);
        found.push(Obstacle { reason: SkipReason::AmbiguousLink, detail, hard: doubt.hard, by_setting: false });
    }
    if let Some(heir) = application.around.links.heirs(image.file).first() {
        let path = &application.around.repository.file(*heir).path;
        found.push(hard(SkipReason::SharedStage, format!("{path} starts from its image and would inherit the user")));
    }
    found.extend(on_build(image));
    if let User::Unknown { how } = &image.user {
        if image.is_untold(application.around) {
            found.extend(application.speaks_against_base(image));
            found.push(soft(SkipReason::UnknownUser, how.clone()));
        } else {
            found.push(hard(SkipReason::UnknownUser, how.clone()));
        }
    } else if image.family.is_none() {
        let base = printable(&image.base_text);
        let detail = match image.base_config {
            Some(_) => format!("what the base {base} is made of is not known"),
            None => format!("nothing is known of the base {base}"),
        };
        found.push(hard(SkipReason::UnknownUser, detail));
    }
    if image.known_base.is_none() && image.family.is_some() && image.base_text != "scratch" {
        let base = printable(&image.base_text);
        found.push(soft(
            SkipReason::UnknownUser,
            format!("little is known of the base {base}: its commands run as root"),
        ));
    }
    programs::of_base(application, image, found);
    if matches!(image.user, User::Numeric { .. }) {
        of_configured_base(image, found);
    }
    let server = image.served_by();
    if let Some(base) = server {
        served::of_server(application, image, base, found);
    } else {
        needs::of_stack(application, image, found);
    }
    let owned: Vec<String> = image.owned_directories().into_iter().map(|directory| directory.path).collect();
    // What is mounted is not the image's, and whether a volume can be written is told of the volume.
    let mounted = mounted_everywhere(application);
    let has_shell = image.family.is_some_and(Family::has_shell);
    // Without a shell the files of the image stay root's.
    let can_arrange = has_shell || image.user != User::Root;
    let writable: Vec<String> = owned.iter().filter(|_| can_arrange).cloned().chain(mounted.iter().cloned()).collect();
    found.extend(lost_in_volume(image, &owned, &mounted));
    if server.is_none() && image.hosted_by().is_none() {
        let words = started_words(image);
        let told = if starts_as_its_base(image, &words) { words.get(1..).unwrap_or_default() } else { &image.argv() };
        programs::of_command(told, &image.path, &writable, found);
    }
    programs::of_image(application, image, found);
    programs::of_script(application, image, &writable, found);
    ports::of_image(application, image, found);
    file_capabilities(image, found);
    found.extend(image.roots_home.obstacles());
    browser_sandbox(application, image, found);
    let tree = application.around.repository.tree();
    paths_in_variables(application, image, &writable, found);
    needs::of_options(application, image, &writable, found);
    unseen_containers(application, image, found);
    services(application, image, found);
    private_files(image, &owned, found);
    // The pages of a server are run by its workers, who were never root.
    if image.stack.is_some() && server.is_none_or(|base| base.name != "php") {
        let started = if image.user == User::Root { start::files(application, image) } else { Vec::new() };
        if let Some(place) = started.iter().find_map(Started::root_call) {
            let detail = format!("{place} is run when the program starts, and takes root");
            found.push(hard(SkipReason::NeedsRoot, detail));
        } else if let Some(place) = sources::root_call(tree, image.directory()) {
            found.push(soft(SkipReason::NeedsRoot, format!("{place} asks for what only root has")));
        }
        if image.stack == Some(Stack::Go)
            && image.family == Some(Family::Distroless)
            && let Some(place) =
                GoSources::read(application.around.repository, image.directory()).and_then(|sources| sources.inputs)
        {
            let detail = format!(
                "{place}, which may write or look for its user, and an image without a shell cannot be arranged for that"
            );
            found.push(soft(SkipReason::SystemDirectory, detail));
        }
        let outside = written_outside(application, &writable);
        if let Some(site) = written_at_once(application, image, &started, &writable) {
            let detail = format!("{} when the program starts, and only root can", told(site));
            found.push(hard(SkipReason::SystemDirectory, detail));
        } else if let Some(place) = sources::system_path(tree, image.directory(), &writable) {
            found.push(soft(SkipReason::SystemDirectory, format!("{place} may be written, and only root can")));
        } else if let Some(site) = outside.first() {
            found.push(soft(SkipReason::SystemDirectory, format!("{}, and only root can", told(site))));
        }
        if has_shell && owned.is_empty() && needs::writes_beside_itself(application, image) {
            let detail = format!(
                "the program works in {}, a directory of the system; what it writes there cannot be allowed",
                image.workdir().unwrap_or_else(|| "/".to_owned())
            );
            found.push(soft(SkipReason::SystemDirectory, detail));
        } else if !can_arrange && let Some(site) = needs::written_beside(application, image, &mounted) {
            let detail = format!("{site}, which an image without a shell cannot be arranged for");
            found.push(soft(SkipReason::SystemDirectory, detail));
        }
    }
}

/// An image with ONBUILD is one that others start from, and what they are told to run is run as its user.
fn on_build(image: &ImageFacts<'_>) -> Option<Obstacle> {
    const INSTALLERS: [&str; 7] = ["apt-get", "apt", "apk", "dnf", "microdnf", "yum", "zypper"];
    let dockerfile = image.dockerfile;
    let instructions = dockerfile.instructions();
    let mut triggers =
        dockerfile.effective(image.stage).into_iter().filter(|index| instructions[*index].keyword == Keyword::Onbuild);
    let first = triggers.next().filter(|_| image.user == User::Root)?;
    let told = |index: usize| dockerfile.arguments(&instructions[index]).to_ascii_lowercase();
    if told(first).starts_with("user") {
        return None;
    }
    let installs = |index: &usize| told(*index).split([' ', '\t', ';', '&']).any(|word| INSTALLERS.contains(&word));
    let installing = std::iter::once(first).chain(triggers).find(installs);
    let place = image.place(installing.unwrap_or(first));
    let detail = format!("{place} is for images that start from this one, which would inherit the user");
    Some(Obstacle { hard: installing.is_some(), ..soft(SkipReason::SharedStage, detail) })
}

/// What the registry says of the base speaks against taking privileges from an image that is not root already.
fn of_configured_base(image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    let Some(config) = image.base_config else { return };
    let base = printable(&image.base_text);
    if let Some(program) = programs::gains_privileges(&image.base_argv()) {
        let detail = format!("the base {base} starts {program}, which works only while privileges may be gained");
        found.push(hard(SkipReason::NeedsRoot, detail));
    }
    if let Some(port) = ports::exposed_low(config, &image.dockerfile.env(image.stage)) {
        let detail = format!("the base {base} exposes port {port}, and its program may have a capability of its own");
        found.push(hard(SkipReason::NeedsRoot, detail));
    }
}

/// What the image starts, a single command of a shell by its words.
fn started_words(image: &ImageFacts<'_>) -> Vec<String> {
    let argv = image.argv();
    match argv.as_slice() {
        [shell, flag, line] if shell == "/bin/sh" && flag == "-c" && !line.contains(['|', '&', '$', '`', '>']) => {
            line.split_whitespace().map(|word| word.replace(['"', '\''], "")).collect()
        }
        _ => argv,
    }
}

/// Whether the image starts the program that its base is made for, and as the user that the base starts it as.
fn starts_as_its_base(image: &ImageFacts<'_>, words: &[String]) -> bool {
    let program = words.first().map(|first| file_name(first)).unwrap_or_default();
    let is_user = |base: &KnownImage| match &image.user {
        User::Numeric { uid, .. } => base.user.is_some_and(|user| user.uid == *uid),
        _ => false,
    };
    image.known_base.is_some_and(|base| is_user(base) && file_name(&base.name).split('-').any(|word| word == program))
}

/// The calls of the sources that write to a path which is written out, and is neither the application's own nor for everybody.
fn written_outside<'a>(application: &'a Application<'_>, writable: &[String]) -> Vec<&'a Site> {
    let is_outside =
        |site: &&Site| site.target.as_deref().is_some_and(|path| path.starts_with('/') && !is_open(path, writable));
    application.survey().into_iter().flat_map(|survey| &survey.sites).filter(is_outside).collect()
}

/// A call that writes to such a path as soon as the program starts, also by a path from the directory that it works in.
fn written_at_once<'a>(
    application: &'a Application<'_>,
    image: &ImageFacts<'_>,
    started: &[Started],
    writable: &[String],
) -> Option<&'a Site> {
    let is_moved = |container: &ContainerFacts<'_>| container.view.working_dir().is_some();
    let workdir = image.workdir().filter(|_| !application.containers.iter().any(is_moved));
    let mounted = |path: &str| {
        let mut mounts = application.containers.iter().flat_map(ContainerFacts::mounts);
        mounts.any(|mount| super::directories::is_within(path, &mount.path))
    };
    let fails = |site: &&Site| {
        let path = site.target.as_deref().and_then(|path| match path.strip_prefix('/') {
            Some(_) => Some(path.to_owned()),
            None => Some(format!("/{}", join(workdir.as_deref()?.trim_start_matches('/'), path)?)),
        });
        path.is_some_and(|path| !is_open(&path, writable) && !mounted(&path))
            && started.iter().any(|started| started.writes(site))
    };
    application.survey()?.sites.iter().find(fails)
}

fn is_open(path: &str, writable: &[String]) -> bool {
    let open = ["/tmp", "/var/tmp", "/dev"].into_iter().chain(writable.iter().map(String::as_str));
    open.into_iter().any(|directory| super::directories::is_within(path, directory))
}

/// A call that writes, and what.
fn told(site: &Site) -> String {
    format!(
        "{} ({}) writes {}",
        site.place,
        printable(&site.call),
        printable(site.target.as_deref().unwrap_or("a file"))
    )
}

/// A program whose file has capabilities does not start where they are dropped: `execve` refuses what it could not give
/// (<https://man7.org/linux/man-pages/man7/capabilities.7.html>, "Safety checking for capability-dumb binaries"). A file copied from another stage
/// keeps its own. `setcap -r` is the remedy.
fn file_capabilities(image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    let dockerfile = image.dockerfile;
    let deployed = dockerfile.effective(image.stage);
    let copies = deployed.iter().any(|index| dockerfile.instructions()[*index].flag("from").is_some());
    let gives = |command: &ShellCommand| {
        let words = stack::words(command);
        words.first() == Some(&"setcap") && !words.contains(&"-r")
    };
    let place = dockerfile.instructions().iter().enumerate().find_map(|(index, instruction)| {
        let concerned = instruction.keyword == Keyword::Run && (copies || deployed.contains(&index));
        let commands = dockerfile.shell_commands(instruction).filter(|_| concerned)?;
        commands.iter().any(gives).then(|| image.place(index))
    });
    found.extend(place.map(|place| {
        let detail = format!("{place} gives a program capabilities, and it will not start once they are dropped");
        hard(SkipReason::NeedsRoot, detail)
    }));
}

/// A browser builds its sandbox from user namespaces, which the runtime's seccomp profile takes away. Root has to go without a sandbox anyhow
/// (<https://github.com/puppeteer/puppeteer/blob/main/docs/troubleshooting.md#setting-up-chrome-linux-sandbox>).
fn browser_sandbox(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    let tree = application.around.repository.tree();
    if image.user == User::Root || sources::mention(tree, image.directory(), "no-sandbox") {
        return;
    }
    let package = super::PackageJson::read(tree, image.directory());
    let depends = |name: &str| package.as_ref().is_some_and(|package| package.depends_on(name));
    if let Some(browser) = ["puppeteer", "playwright"].into_iter().find(|name| depends(name)) {
        let detail = format!(
            "{browser} starts a browser, whose sandbox the runtime's seccomp profile blocks; nothing says --no-sandbox"
        );
        found.push(soft(SkipReason::NeedsRoot, detail));
    }
}

/// Without a container to look at, what runs the image may stand in a file that is not read, or under a name that does not tell.
fn unseen_containers(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    if !application.containers.is_empty() {
        return;
    }
    let repository = application.around.repository;
    let advice = "say which with a [[link]] in unroot.toml";
    // With one Dockerfile in the tree, an image that nobody knows may well be the one it builds.
    let is_alone = repository.dockerfiles().nth(1).is_none();
    let may_run = |id: ContainerId| {
        let link = application.around.links.of(id);
        let is_candidate = matches!(link, Link::Ambiguous(candidates) if candidates.contains(&image.file));
        if !(is_candidate || is_alone && matches!(link, Link::External)) {
            return None;
        }
        let file = repository.file(id.file);
        let container = &file.manifest()?.workloads.get(id.workload)?.containers.get(id.container)?;
        let name = printable(&container.image);
        if is_candidate {
            Some(format!("{} may run its image as {name}; {advice}", file.path))
        } else {
            let is_known = application.around.config.images.holds(crate::link::without_tag(&container.image));
            (!is_known).then(|| format!("{} runs {name}, which may be its image; {advice}", file.path))
        }
    };
    // Where it does, what stands in the way there stands in the way here; a port is arranged for.
    let refusal = |id: ContainerId| {
        let theirs = Application::of_container(application.around, id)?;
        let container = theirs.containers.iter().find(|container| container.id == id)?;
        let is_told = container.security("runAsUser").is_some();
        // Who is not root today, as a registry says, is not kept from it.
        let is_another = || matches!(theirs.effective_user(container), EffectiveUser::Known(_));
        let stands = |obstacle: &&Obstacle| obstacle.hard && obstacle.reason != SkipReason::LowPort;
        theirs.obstacles().iter().find(stands).filter(|_| !is_told && !is_another()).cloned()
    };
    let mut doubt = None;
    for (id, detail) in repository.containers().filter_map(|id| Some((id, may_run(id)?))) {
        if let Some(obstacle) = refusal(id) {
            let because = obstacle.detail;
            found.push(Obstacle { detail: format!("{detail}, and {because}"), ..obstacle });
            return;
        }
        doubt.get_or_insert(detail);
    }
    let template = || {
        let unread = repository.unread().iter().find(|file| file.code == "template" && file.path.ends_with("ml"))?;
        Some(format!("{} may run its image and is a template, which is not read", unread.path))
    };
    let unknown_kind = || {
        let file = repository.unknown_kind()?;
        Some(format!("{} may run its image in a kind that is not known", repository.file(file).path))
    };
    if let Some(detail) = doubt.or_else(template).or_else(unknown_kind) {
        found.push(soft(SkipReason::AmbiguousLink, detail));
    }
}

/// A directory whose owner a later step would change in vain: what is changed below a `VOLUME` after it was declared is kept by BuildKit, and dropped
/// by other builders (<https://docs.docker.com/reference/dockerfile/#notes-about-specifying-volumes>).
fn lost_in_volume(image: &ImageFacts<'_>, owned: &[String], mounted: &BTreeSet<String>) -> Option<Obstacle> {
    use super::directories::is_within;
    if image.user != User::Root {
        return None;
    }
    let here = image.dockerfile.declared_volumes(image.stage);
    let here = here.into_iter().filter(|(index, _)| *index < image.root_position());
    let here = here.map(|(index, path)| (image.place(index), path));
    let of_base =
        image.base_volumes().iter().map(|path| (format!("the base {}", printable(&image.base_text)), path.clone()));
    let covered = |path: &str| mounted.iter().any(|mount| is_within(path, mount));
    here.chain(of_base).filter(|(_, volume)| !covered(volume)).find_map(|(place, volume)| {
        let directory = owned.iter().find(|path| is_within(path, &volume) || is_within(&volume, path))?;
        let (volume, directory) = (printable(&volume), printable(directory));
        let detail = format!(
            "{place} declares the volume {volume} before the files of {directory} can be shared; some builders drop what is changed there later"
        );
        Some(soft(SkipReason::VolumeOwnership, detail))
    })
}

/// What a compose file asks of a container of the image, which root alone is sure to give.
fn services(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    let workdir = image.workdir();
    for service in application.around.links.services(image.file) {
        let place = format!("service {} of {}", printable(&service.name), service.path);
        if service.asks_privileges {
            found.push(soft(SkipReason::NeedsRoot, format!("{place} asks for privileges")));
        }
        if service.user.as_deref().is_some_and(|user| matches!(user.split(':').next(), Some("0" | "root"))) {
            found.push(soft(SkipReason::AuthorChoice, format!("{place} says user: root")));
        }
        for mount in service.mounts.iter().filter(|mount| !mount.read_only) {
            // Sources that a developer mounts over the image's are read, and packages beside them.
            let is_code = workdir.as_ref().is_some_and(|workdir| super::directories::is_within(workdir, &mount.path))
                || mount.path.ends_with("/node_modules");
            if !is_code {
                let path = printable(&mount.path);
                let detail = format!("{place} keeps {path} on a volume or the host, where files belong to root");
                found.push(soft(SkipReason::VolumeOwnership, detail));
            }
        }
    }
}

/// The paths at which every container of the image has a volume.
fn mounted_everywhere(application: &Application<'_>) -> BTreeSet<String> {
    let paths = |container: &ContainerFacts<'_>| -> BTreeSet<String> {
        container.mounts().into_iter().map(|mount| mount.path.trim_end_matches('/').to_owned()).collect()
    };
    let all = application.containers.iter().map(paths).reduce(|common, paths| &common & &paths);
    all.unwrap_or_default()
}

/// Where a container may write, as far as paths are concerned: its mounts, and what its image keeps for that.
fn writable_of(application: &Application<'_>, container: &ContainerFacts<'_>) -> Vec<String> {
    let mounts = container.mounts().into_iter().map(|mount| mount.path);
    let owned = application.image.iter().flat_map(|image| image.owned_directories()).map(|directory| directory.path);
    let known = container.known.into_iter().flat_map(|known| {
        let own = |path: &&String| !known.root_owned.contains(path);
        known.volumes.iter().chain(known.writable.iter().flatten()).filter(own).cloned().collect::<Vec<_>>()
    });
    mounts.chain(owned).chain(known).collect()
}

/// Whether a mode in digits leaves others without anything.
fn is_private(mode: &str) -> bool {
    (3..=4).contains(&mode.len()) && mode.bytes().all(|byte| byte.is_ascii_digit()) && mode.ends_with('0')
}

/// The private key that a command makes, which gets the mode 0600.
fn new_key<'a>(words: &[&'a str]) -> Option<&'a str> {
    let after =
        |flag: &str| words.windows(2).find_map(|pair| (pair.first() == Some(&flag)).then(|| pair.get(1).copied())?);
    match words {
        ["openssl", "req", ..] => after("-keyout"),
        ["openssl", "genrsa" | "genpkey" | "ecparam", ..] => after("-out"),
        ["ssh-keygen", ..] => after("-f"),
        _ => None,
    }
}

/// Whether one of the commands lets others have a file.
fn is_opened(file: &str, commands: &[Vec<&str>]) -> bool {
    commands.iter().any(|words| match words.as_slice() {
        ["chmod", mode, paths @ ..] => !is_private(mode) && paths.contains(&file),
        _ => false,
    })
}

/// Files that only root may read, outside the directories that are shared with the group.
fn private_files(image: &ImageFacts<'_>, owned: &[String], found: &mut Vec<Obstacle>) {
    let dockerfile = image.dockerfile;
    let is_owned = |path: &str| {
        !path.starts_with('/') || owned.iter().any(|directory| path == directory || is_below(path, directory))
    };
    for index in dockerfile.effective(image.stage) {
        let instruction = &dockerfile.instructions()[index];
        let private = match instruction.keyword {
            Keyword::Copy | Keyword::Add => dockerfile.copy_words(instruction).is_some_and(|(sources, to)| {
                let by_mode = instruction.flag("chmod").and_then(|flag| flag.value.as_deref()).is_some_and(is_private);
                // BuildKit gives what it downloads the mode 0600.
                let downloaded =
                    instruction.flag("chmod").is_none() && sources.iter().any(|source| source.contains("://"));
                (by_mode || downloaded) && !is_owned(&to)
            }),
            Keyword::Run => {
                let commands = dockerfile.shell_commands(instruction).unwrap_or_default();
                let commands: Vec<Vec<&str>> = commands.iter().map(stack::words).collect();
                commands.iter().any(|words| match words.as_slice() {
                    ["chmod", mode, paths @ ..] => is_private(mode) && paths.iter().any(|path| !is_owned(path)),
                    ["umask", mode] => mode.ends_with('7'),
                    words => new_key(words).is_some_and(|key| !is_owned(key) && !is_opened(key, &commands)),
                })
            }
            _ => false,
        };
        if private {
            let detail = format!("{} makes files that only root may read", image.place(index));
            found.push(hard(SkipReason::SystemDirectory, detail));
            return;
        }
    }
}

/// A variable that names a path of the system is where something is kept: a log, a socket, a database.
fn paths_in_variables(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    writable: &[String],
    found: &mut Vec<Obstacle>,
) {
    const KEPT: [&str; 10] = ["/var", "/run", "/data", "/srv", "/mnt", "/opt", "/root", "/logs", "/log", "/home"];
    // A home of root's is replaced together with the user.
    let mut variables: Vec<(String, String, String)> = image
        .dockerfile
        .env(image.stage)
        .into_iter()
        .filter(|(name, value)| !(name == "HOME" && value.trim_end_matches('/') == "/root"))
        .map(|(name, value)| (image.path.to_owned(), name, value))
        .collect();
    for container in &application.containers {
        variables.extend(
            container.view.env_values().into_iter().map(|(name, value)| (container.place().to_string(), name, value)),
        );
    }
    for (place, name, value) in variables {
        let value = super::read_only::database_file(&value).map(str::to_owned).unwrap_or(value);
        let within = |directory: &str| value == directory || is_below(&value, directory);
        // PATH and its like list programs and libraries, which are read.
        let tools = name.ends_with("_HOME") && !within("/root") && !within("/var");
        let lists = name.ends_with("PATH") || tools || value.contains(':');
        let kept = KEPT.iter().any(|directory| within(directory)) && !value.contains("run/secrets");
        if kept && !lists && !writable.iter().any(|directory| within(directory)) {
            let detail =
                format!("{place} sets {} to {}, which only root may write", printable(&name), printable(&value));
            found.push(hard(SkipReason::SystemDirectory, detail));
            return;
        }
    }
}

fn of_container(
    application: &Application<'_>,
    container: &ContainerFacts<'_>,
    company: &mut BTreeSet<FileId>,
    found: &mut Vec<Obstacle>,
) {
    let place = container.place();
    if container.pod.is_windows() {
        found.push(hard(SkipReason::WindowsPod, format!("{place} runs on Windows")));
        return;
    }
    let is = |key: &str, value: bool| container.security(key).and_then(Node::as_bool) == Some(value);
    if is("privileged", true) {
        found.push(by_setting(SkipReason::NeedsRoot, format!("{place} is privileged")));
    }
    if container.security("runAsUser").and_then(Node::as_i64) == Some(0) {
        found.push(by_setting(SkipReason::AuthorChoice, format!("{place} says runAsUser: 0")));
    } else if is("runAsNonRoot", false) {
        found.push(by_setting(SkipReason::AuthorChoice, format!("{place} says runAsNonRoot: false")));
    }
    if let Some(because) = &container.workload.needs_root {
        found.push(hard(SkipReason::NeedsRoot, format!("{place}: {because}")));
    }
    if let Some(known) = container.known {
        if let Some(why) = &known.root_only {
            found.push(hard(SkipReason::NeedsRoot, format!("{} works as root only: {}", known.name, printable(why))));
        }
        if known.user.is_some() && !known.needs.is_empty() {
            let detail = format!("the program of {} needs the capability {}", known.name, known.needs.join(", "));
            found.push(hard(SkipReason::NeedsRoot, detail));
        }
    }
    if container.is_configured_non_root()
        && let Some(program) = container.argv(None).as_deref().and_then(programs::gains_privileges)
    {
        let detail = format!("{place} starts {program}, which works only while privileges may be gained");
        found.push(hard(SkipReason::NeedsRoot, detail));
    }
    let added = container.view.capabilities("add");
    if let Some(capability) = added.iter().find(|name| *name != "NET_BIND_SERVICE") {
        found.push(by_setting(
            SkipReason::NeedsRoot,
            format!("{place} adds the capability {}, which only root gets", printable(capability)),
        ));
    }
    let mut argv = container.view.command().unwrap_or_default();
    argv.extend(container.view.args().unwrap_or_default());
    let writable = writable_of(application, container);
    programs::of_command(&argv, &place, &writable, found);
    for command in container.view.exec_commands() {
        programs::of_command(&command, &format!("{place}, in a probe or hook,"), &writable, found);
    }
    let group = container.security("runAsGroup").and_then(Node::as_i64).filter(|group| *group != 0);
    if let Some(group) = group
        && application
            .image
            .as_ref()
            .is_some_and(|image| image.user == User::Root && image.family.is_some_and(Family::has_shell))
        && container.security("runAsUser").is_none()
    {
        let detail = format!("{place} says runAsGroup: {group}, and the files are shared with group 0");
        found.push(soft(SkipReason::AuthorChoice, detail));
    }
    let volumes_of_pod = container.pod.volumes();
    let started = container.view.exec_commands().into_iter().chain([argv]).filter_map(|argv| argv.into_iter().next());
    for program in started {
        let mounts = container.mounts();
        let Some(mount) = mounts.iter().find(|mount| super::directories::is_within(&program, &mount.path)) else {
            continue;
        };
        if volumes_of_pod.iter().any(|volume| volume.name() == mount.name && volume.is_started_by_root_alone()) {
            let (program, volume) = (printable(&program), printable(&mount.name));
            let detail = format!("{place} starts {program} of {volume}, whose mode lets only root start it");
            found.push(hard(SkipReason::VolumeOwnership, detail));
            break;
        }
    }
    patches(application, container, found);
    operator::of_container(container, &place, &writable, found);
    if application.image.is_none() {
        found.extend(home::of_container(container, &place));
    }
    if container.view.has_volume_devices() {
        let detail = format!("{place} is given a block device, which only root may open");
        found.push(hard(SkipReason::VolumeOwnership, detail));
    }
    found.extend(application.speaks_against_trial(container));
    let service = container.known.and_then(|known| known.service).map(|ids| ids.uid);
    if let Some(uid) = service.or_else(|| application.intended_identity().map(|identity| identity.uid)) {
        found.extend(application.given_away(container, Some(uid)));
    }
    if application.image.is_some()
        && let Some(path) = container.view.working_dir()
        && !writable.iter().any(|directory| super::directories::is_within(&path, directory))
    {
        let detail = format!("{place} works in {}, where only root may write", printable(&path));
        found.push(soft(SkipReason::SystemDirectory, detail));
    }
    ports::of_container(application, container, &place, found);
    volumes::of_container(application, container, &place, company, found);
}

/// A kustomize patch of the same workload may undo what is written here, or add what needs root.
fn patches(application: &Application<'_>, container: &ContainerFacts<'_>, found: &mut Vec<Obstacle>) {
    found.extend(application.patch_of(container).map(|detail| hard(SkipReason::AuthorChoice, detail)));
}

pub(super) fn hard(reason: SkipReason, detail: String) -> Obstacle {
    Obstacle { reason, detail, hard: true, by_setting: false }
}

pub(super) fn soft(reason: SkipReason, detail: String) -> Obstacle {
    Obstacle { reason, detail, hard: false, by_setting: false }
}

fn by_setting(reason: SkipReason, detail: String) -> Obstacle {
    Obstacle { reason, detail, hard: true, by_setting: true }
}
