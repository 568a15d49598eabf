//! What a program writes outside of its volumes, and so what must stay writable when its root becomes read-only.
//!
//! Of an image of the table its row tells; of an image that is built here the sources tell as far as they can, and of any image what was seen when it
//! ran. What is not known is a reason to decline: a program whose write fails may start and break later.

use super::commands::changes_files;
use super::configuration::{
    config_map, configuration_doubt, is_configuration, is_data_only, is_program, rendered_in_vain,
};
use super::container::MountedVolume;
use super::directories::{is_below, is_within, normal};
use super::identity::printable;
use super::observed::{self, Observed};
use super::obstacles::{Obstacle, soft};
use super::{Application, Arranged, ContainerFacts, EffectiveUser, ImageFacts, Stack, stack, writes};
use crate::dockerfile::Keyword;
use crate::error::SkipReason;
use crate::image::{Claim, KnownImage};
use crate::link::Link;

/// What a read-only root takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOnlyRoot {
    /// Directories that need a volume of their own, because the program writes there and nothing is mounted yet.
    pub directories: Vec<String>,
    /// Why that may not be all; empty when it is.
    pub doubts: Vec<Obstacle>,
    /// How that is known, one line.
    pub how: String,
}

type Refusal = (SkipReason, String);

impl Application<'_> {
    /// What the sources beside the Dockerfile tell about writing, where their language is understood and they are there.
    pub(super) fn survey(&self) -> Option<&writes::Survey> {
        let image = self.image.as_ref()?;
        let survey = || writes::survey(self.around.repository, image, image.stack?);
        self.survey.get_or_init(survey).as_ref()
    }

    /// What steps arrange of what a container of this kind needs: volumes at `directories`, and its port.
    pub fn arrangeable<'d>(&self, directories: &'d [String]) -> Arranged<'d> {
        let directories = if self.around.leaves_out("mount-read-only-root") { &[] } else { directories };
        Arranged { low_ports: !self.around.leaves_out("allow-low-ports"), directories }
    }

    /// What it takes to make the root of a container read-only.
    ///
    /// # Errors
    /// The code and one line, where the program would break, or where nothing tells what it writes.
    pub fn read_only_root(&self, container: &ContainerFacts<'_>) -> Result<ReadOnlyRoot, Refusal> {
        let place = container.place();
        if let Some(value) = container.view.security("readOnlyRootFilesystem") {
            let value = value.as_bool().map_or("no boolean".to_owned(), |value| value.to_string());
            return Err((SkipReason::AuthorChoice, format!("{place} says readOnlyRootFilesystem: {value}")));
        }
        if let Some(command) = container.view.exec_commands().iter().find(|command| changes_files(command)) {
            let line = printable(&command.join(" "));
            return Err(unknown(format!("{place} runs `{line}` in a probe or hook, which writes")));
        }
        let left = container.workload.assembly.iter().flat_map(|assembly| &assembly.taken).next();
        if let Some(path) = left {
            return Err(unknown(format!(
                "{place} leaves {} behind, and how it is written is not seen",
                printable(path)
            )));
        }
        let observed = self.observed_writing(container);
        match (&self.image, container.known, observed) {
            (Some(image), _, observed) => match (of_image(self, image, container), observed) {
                (Ok(root), Some(observed)) if root.doubts.is_empty() => with_observed(self, root, container, &observed),
                (_, Some(observed)) => of_observed(self, container, &observed),
                (told, None) => told,
            },
            (None, Some(known), observed) => of_known(self, known, container, observed.as_ref()),
            (None, None, Some(observed)) => of_observed(self, container, &observed),
            (None, None, None) => Err(unknown(of_registry(container))),
        }
    }

    /// What is not sure about a container whose image starts as root and steps down, when it is started as that user once any user may listen on low
    /// ports and its directories have volumes; `None` where that would not do.
    pub fn steps_down_once_arranged(&self, container: &ContainerFacts<'_>) -> Option<Vec<Obstacle>> {
        let root = self.read_only_root(container).ok()?;
        let arranged = self.arrangeable(&root.directories);
        let mut obstacles = self.settled_user(container, arranged).ok()?.obstacles;
        obstacles.extend(root.doubts);
        matches!(self.effective_user(container), EffectiveUser::Root { .. }).then_some(obstacles)
    }
}

/// What is not known of an image that at most its registry tells of: not what it writes, only what it declares for that.
fn of_registry(container: &ContainerFacts<'_>) -> String {
    let image = printable(&container.container.image);
    let Some(config) = container.config else { return format!("nothing is known of the image {image}") };
    let volumes: Vec<String> = config.volumes.iter().map(|path| printable(path)).collect();
    match volumes.as_slice() {
        [] => format!("the registry does not tell what the image {image} writes"),
        volumes => format!("the image {image} writes to {}, and the registry tells nothing else", volumes.join(", ")),
    }
}

fn unknown(detail: String) -> Refusal {
    (SkipReason::RunTimeWrites, detail)
}

/// An image of the table: its row tells what the default command writes.
fn of_known(
    application: &Application<'_>,
    known: &KnownImage,
    container: &ContainerFacts<'_>,
    observed: Option<&Observed>,
) -> Result<ReadOnlyRoot, Refusal> {
    let place = container.place();
    if let Link::Service { dockerfile, .. } = container.link
        && observed.is_none()
    {
        let path = &application.around.repository.file(*dockerfile).path;
        return Err(unknown(format!("what {} is made to write by what {path} adds is not known", known.name)));
    }
    if known.writable.is_none() && observed.is_none() {
        return Err(unknown(format!("what {} writes while it runs is not known", known.name)));
    }
    if container.view.command().is_some() && observed.is_none() {
        return Err(unknown(format!("{place} sets a command, and what that writes is not known")));
    }
    let mounts = container.mounts();
    let data = container.data_directories();
    let moved = data != known.volumes;
    let writable = known.writable.iter().flatten();
    let mut needed: Vec<String> = data.iter().chain(writable).chain(&known.root_owned).cloned().collect();
    if !known.proved {
        // The end-to-end tests have not shown that it can do without, and an empty folder there hurts nobody.
        needed.push("/tmp".to_owned());
    }
    let is_covered = |path: &str| mounts.iter().any(|mount| is_within(path, &mount.path));
    if application.configuration_names(container, &|path| is_within(path, "/tmp")).is_some() {
        needed.push("/tmp".to_owned());
    }
    if let Some(observed) = observed {
        let is_told = |path: &str| is_covered(path) || needed.iter().any(|directory| is_within(path, directory));
        let seen = observed.directories(application, &is_told)?;
        needed.extend(seen);
    }
    let is_writable = |path: &str| is_covered(path) || needed.iter().any(|directory| is_within(path, directory));
    if let Some(detail) = rendered_in_vain(known, container) {
        return Err(unknown(detail));
    }
    if let Some(script) = application.configuration_changes(container, &is_writable) {
        return Err(unknown(script));
    }
    if let Some(named) = application.configuration_names(container, &|path| !is_writable(path)) {
        return Err(unknown(format!("{named}, which {} may write and no volume covers", known.name)));
    }
    if observed.is_none()
        && let Some(argument) = strange_argument(container, known, &is_writable)
    {
        let argument = printable(&argument);
        return Err(unknown(format!("{place} passes {argument}, and what {} writes then is not known", known.name)));
    }
    let mut directories: Vec<String> = needed.iter().filter(|path| !is_covered(path)).cloned().collect();
    directories.sort();
    directories.dedup();
    for directory in &directories {
        let path = printable(directory);
        if known.filled.contains(directory) {
            let detail =
                format!("{} writes {path}, where its image holds files that an empty volume would hide", known.name);
            return Err((SkipReason::ImageFills, detail));
        }
        if data.contains(directory) && (known.claim == Some(Claim::Never) || moved) {
            let detail = format!(
                "{} must own {path}, where it keeps data, and an emptyDir belongs to root; mount a claim above a folder of its own",
                known.name
            );
            return Err((SkipReason::VolumeOwnership, detail));
        }
    }
    let mut doubts = Vec::new();
    let may_write = |mount: &&MountedVolume| {
        is_program(known, mount) || is_configuration(mount) && !is_data_only(application, container, mount)
    };
    if let Some(mount) = mounts.iter().find(may_write) {
        doubts.push(configuration_doubt(container, known, mount));
    }
    if let Some(path) = container.view.working_dir().filter(|_| observed.is_none()) {
        let detail = format!("{place} works in {}, and not where {} does", printable(&path), known.name);
        doubts.push(soft(SkipReason::RunTimeWrites, detail));
    }
    let mut variables = container.view.env_values();
    for name in container.view.env_config_maps() {
        match config_map(application, &name) {
            Some(entries) => variables.extend(entries),
            None if observed.is_some() => {}
            None => {
                let detail = format!("{place} takes variables from {}, which is not seen", printable(&name));
                doubts.push(soft(SkipReason::RunTimeWrites, detail));
            }
        }
    }
    if let Some((name, value)) = variables.iter().find(|(_, value)| names_a_path(value) && !is_writable(value)) {
        let detail = format!("{place} sets {} to {}, which may be written", printable(name), printable(value));
        if is_kept(name) {
            return Err(unknown(detail));
        }
        doubts.push(soft(SkipReason::RunTimeWrites, detail));
    }
    let how = match observed {
        Some(_) => observed::HOW.to_owned(),
        None => format!("as {} is known to write", known.name),
    };
    Ok(ReadOnlyRoot { directories, doubts, how })
}

/// An argument with which the program is another one, or may write elsewhere: the first is an option or the program's own name, and each path is one
/// that is writable.
fn strange_argument(
    container: &ContainerFacts<'_>,
    known: &KnownImage,
    is_writable: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let args = container.view.args()?;
    let name = known.name.rsplit('/').next().unwrap_or_default();
    let first = args.first()?;
    let same = first.starts_with('-') || ["", "d", "-server"].iter().any(|end| *first == format!("{name}{end}"));
    if !same {
        return Some(first.clone());
    }
    let strange = |argument: &&String| {
        let path = argument.find('/').and_then(|at| argument.get(at..));
        path.is_some_and(|path| !argument.contains("://") && !is_writable(path))
    };
    args.iter().find(strange).cloned()
}

/// Whether a variable is called after something that is written, and not only read.
fn is_kept(name: &str) -> bool {
    const KEPT: [&str; 10] = ["CACHE", "DATA", "LOG", "OUTPUT", "PID", "PLUGIN", "SOCK", "STORAGE", "TMP", "UPLOAD"];
    KEPT.iter().any(|word| name.to_ascii_uppercase().contains(word))
}

/// The file of a database that a URL names, as SQLAlchemy writes it: three slashes before a relative path, four before an absolute one.
pub(super) fn database_file(value: &str) -> Option<&str> {
    let (scheme, path) = value.split_once(":///")?;
    let is_file = scheme.starts_with("sqlite") && !path.is_empty() && !path.contains(":memory:");
    is_file.then(|| path.split('?').next().unwrap_or(path))
}

pub(super) fn names_a_path(value: &str) -> bool {
    value.starts_with('/') && !value.contains(':') && !value.contains("run/secrets")
}

/// An image that is built here: its sources tell, as far as they can.
fn of_image(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    container: &ContainerFacts<'_>,
) -> Result<ReadOnlyRoot, Refusal> {
    let Some(stack) = image.stack.filter(|stack| matches!(stack, Stack::Go | Stack::Node | Stack::Python)) else {
        return Err(unknown("what the program writes is not known for its language".to_owned()));
    };
    let argv = container.argv(Some(image)).unwrap_or_else(|| image.argv());
    if let Some(why) = writes::by_program(image, stack, &argv) {
        return Err(unknown(why));
    }
    let mounts = container.mounts();
    let is_covered = |path: &str| mounts.iter().any(|mount| is_within(path, &mount.path));
    let (mut directories, mut doubts) = of_volumes(image, &is_covered)?;
    let survey =
        application.survey().ok_or_else(|| unknown(format!("the sources of {} are not beside it", image.path)))?;
    // Libraries leave temporary files where their language has them.
    let mut temporary = stack != Stack::Go || survey.temporary || survey.doubt.is_some();
    let workdir = container.view.working_dir().or_else(|| image.workdir());
    for site in &survey.sites {
        let target = site.target.as_deref().and_then(|target| match target.starts_with('/') {
            true => normal(target),
            false => normal(&format!("{}/{target}", workdir.as_deref()?)),
        });
        match target {
            Some(target) if is_covered(&target) || directories.iter().any(|path| is_within(&target, path)) => {}
            Some(target) if is_below(&target, "/tmp") => temporary = true,
            _ => return Err(unknown(format!("{} ({})", site.place, printable(&site.call)))),
        }
    }
    let all: Vec<(String, String)> = image.env().into_iter().chain(container.view.env_values()).collect();
    let is_writable = |path: &str| is_covered(path) || directories.iter().any(|directory| is_within(path, directory));
    for (name, value) in &all {
        let read = name.ends_with("PATH") || name.ends_with("_HOME");
        let database = database_file(value).and_then(|path| match path.starts_with('/') {
            true => normal(path),
            false => normal(&format!("{}/{path}", workdir.as_deref()?)),
        });
        let named = names_a_path(value) && !read || database_file(value).is_some();
        let path = database.as_deref().unwrap_or(value);
        if named && !is_below(path, "/tmp") && !is_writable(path) {
            let detail = format!("the variable {} is {}, which may be written", printable(name), printable(value));
            return Err(unknown(detail));
        }
    }
    if let Some(word) = argv.iter().flat_map(|word| word.split_whitespace()).find(|word| {
        const KEPT: [&str; 7] = ["/var/log", "/var/run", "/run", "/var/lib", "/var/cache", "/var/spool", "/logs"];
        let path = word.find('/').and_then(|at| word.get(at..)).unwrap_or_default();
        KEPT.iter().any(|directory| is_below(path, directory)) && !is_writable(path)
    }) {
        return Err(unknown(format!("it is started with {}, which may be written", printable(word))));
    }
    if let Some(why) = &survey.doubt {
        doubts.push(soft(SkipReason::RunTimeWrites, why.clone()));
    }
    let of_start = |obstacle: &&Obstacle| {
        matches!(obstacle.reason, SkipReason::UnknownStack | SkipReason::UnaccountedCommand | SkipReason::NeedsRoot)
    };
    doubts.extend(application.obstacles().iter().filter(of_start).cloned());
    if let Some(word) = argv.iter().skip(1).find(|word| word.starts_with('-') && word.contains("=/")) {
        let detail = format!("it is started with {}, which may be written", printable(word));
        doubts.push(soft(SkipReason::RunTimeWrites, detail));
    }
    if temporary && !is_covered("/tmp") {
        if let Some(place) = put_in_tmp(image) {
            let detail = format!("{place} puts files into /tmp, which an empty volume would hide");
            return Err((SkipReason::ImageFills, detail));
        }
        directories.push("/tmp".to_owned());
    }
    directories.sort();
    directories.dedup();
    let places = if directories.is_empty() { "nowhere" } else { "nowhere else" };
    let how = format!("the sources beside {} write {places}", image.path);
    Ok(ReadOnlyRoot { directories, doubts, how })
}

/// What the files prove, and volumes where the container was seen to write besides.
fn with_observed(
    application: &Application<'_>,
    root: ReadOnlyRoot,
    container: &ContainerFacts<'_>,
    observed: &Observed,
) -> Result<ReadOnlyRoot, Refusal> {
    let mounts = container.mounts();
    let is_covered = |path: &str| {
        mounts.iter().any(|mount| is_within(path, &mount.path))
            || root.directories.iter().any(|directory| is_within(path, directory))
    };
    let seen = observed.directories(application, &is_covered)?;
    if seen.is_empty() {
        return Ok(root);
    }
    let mut directories: Vec<String> = root.directories.into_iter().chain(seen).collect();
    directories.sort();
    Ok(ReadOnlyRoot { directories, doubts: root.doubts, how: observed::HOW.to_owned() })
}

/// What was seen of a container of which the files do not tell enough. Places that they name and that were not seen to be written are doubts.
fn of_observed(
    application: &Application<'_>,
    container: &ContainerFacts<'_>,
    observed: &Observed,
) -> Result<ReadOnlyRoot, Refusal> {
    let image = application.image.as_ref();
    let place = container.place();
    let mounts = container.mounts();
    let is_covered = |path: &str| mounts.iter().any(|mount| is_within(path, &mount.path));
    let (mut directories, mut doubts) = match image {
        Some(image) => of_volumes(image, &is_covered)?,
        None => Default::default(),
    };
    let volumes: Vec<&String> = container.config.iter().flat_map(|config| &config.volumes).collect();
    for volume in volumes.into_iter().filter(|path| !is_covered(path)) {
        let volume_text = printable(volume);
        let detail = format!("the image may have files in its volume {volume_text}, which an empty one would hide");
        doubts.push(soft(SkipReason::ImageFills, detail));
        directories.push(volume.clone());
    }
    let is_root_home = |path: &str| is_within(path, "/root") && !image.is_some_and(ImageFacts::keeps_roots_home);
    let is_told = |path: &str| {
        is_covered(path) || is_root_home(path) || directories.iter().any(|directory| is_within(path, directory))
    };
    let seen = observed.directories(application, &is_told)?;
    if let Some(path) = observed.writable.iter().find(|path| is_root_home(path) && !is_covered(path)) {
        let path = printable(path);
        let detail = format!(
            "as root it writes to {path} ({}), and where another user has its home was not seen",
            observed::HOW
        );
        doubts.push(soft(SkipReason::RunTimeWrites, detail));
    }
    directories.extend(seen);
    let is_kept_anywhere = !directories.is_empty() || mounts.iter().any(|mount| !mount.read_only);
    let survey = application.survey();
    let is_lean = image.is_none_or(|image| matches!(image.stack, Some(Stack::Go | Stack::Rust)));
    let is_open = is_covered("/tmp") || directories.iter().any(|directory| is_within("/tmp", directory));
    let temporary = !is_lean || survey.is_some_and(|survey| survey.temporary);
    // Libraries leave temporary files where their language has them, also where none was seen.
    if temporary && !is_open && image.is_none_or(|image| put_in_tmp(image).is_none()) {
        directories.push("/tmp".to_owned());
    }
    directories.sort();
    directories.dedup();
    let is_writable = |path: &str| {
        is_below(path, "/tmp") || is_covered(path) || directories.iter().any(|directory| is_within(path, directory))
    };
    let workdir = container.view.working_dir().or_else(|| image?.workdir());
    let absolute = |path: &str| match path.starts_with('/') {
        true => normal(path),
        false => normal(&format!("{}/{path}", workdir.as_deref()?)),
    };
    let mut doubt = |detail: String| doubts.push(soft(SkipReason::RunTimeWrites, detail));
    let unseen = |site: &&writes::Site| match site.target.as_deref().and_then(absolute) {
        Some(target) => !is_writable(&target),
        None => !is_kept_anywhere,
    };
    if let Some(site) = survey.into_iter().flat_map(|survey| &survey.sites).find(unseen) {
        doubt(format!(
            "{} ({}) was not seen to write; what it writes to belongs to `writable`",
            site.place,
            printable(&site.call)
        ));
    }
    let mut variables = container.view.env_values();
    variables.extend(image.map(ImageFacts::env).unwrap_or_default());
    for (name, value) in &variables {
        let file = database_file(value);
        let path = file.and_then(absolute).unwrap_or_else(|| value.clone());
        if (names_a_path(value) && is_kept(name) || file.is_some()) && !is_writable(&path) {
            let (name, value) = (printable(name), printable(value));
            doubt(format!("{place}: the variable {name} is {value}, where nothing was seen to be written"));
        }
    }
    Ok(ReadOnlyRoot { directories, doubts, how: observed::HOW.to_owned() })
}

/// The VOLUME paths that nothing covers, and what is not sure about them.
fn of_volumes(
    image: &ImageFacts<'_>,
    is_covered: &dyn Fn(&str) -> bool,
) -> Result<(Vec<String>, Vec<Obstacle>), Refusal> {
    let mut directories = Vec::new();
    let mut doubts: Vec<Obstacle> = Vec::new();
    for volume in volumes(image) {
        if is_covered(&volume) {
            continue;
        }
        if let Some(place) = filled_at(image, &volume) {
            let volume = printable(&volume);
            let detail = format!("{place} may put files into the volume {volume}, which an empty one would hide");
            return Err((SkipReason::ImageFills, detail));
        }
        if image.known_base.is_none() && image.base_volumes().iter().any(|path| normal(path).as_ref() == Some(&volume))
        {
            let (base, volume) = (printable(&image.base_text), printable(&volume));
            let detail =
                format!("the base {base} may have files in its volume {volume}, which an empty one would hide");
            doubts.push(soft(SkipReason::ImageFills, detail));
        }
        directories.push(volume);
    }
    Ok((directories, doubts))
}

/// The VOLUME paths of the file and of its base.
fn volumes(image: &ImageFacts<'_>) -> Vec<String> {
    let own = image.dockerfile.volumes(image.stage);
    let of_base = image.base_volumes().iter().cloned();
    let mut volumes: Vec<String> = own.into_iter().chain(of_base).filter_map(|path| normal(&path)).collect();
    volumes.sort();
    volumes.dedup();
    volumes
}

/// Where the build puts files into `/tmp` that the program may need.
fn put_in_tmp(image: &ImageFacts<'_>) -> Option<String> {
    let within = |path: &str| is_within(path, "/tmp");
    let place = image.dockerfile.effective(image.stage).into_iter().find(|index| {
        let keyword = image.dockerfile.instructions()[*index].keyword;
        matches!(keyword, Keyword::Copy | Keyword::Add)
            && image.copied_directory(*index).is_none_or(|path| within(&path))
    });
    let works_there = image.workdir().is_none_or(|path| within(&path));
    place.map(|index| image.place(index)).or_else(|| works_there.then(|| image.path.to_owned()))
}

/// Where the build may put files into a directory; making it and giving it away does not.
fn filled_at(image: &ImageFacts<'_>, directory: &str) -> Option<String> {
    let dockerfile = image.dockerfile;
    let touches = |path: &str| is_within(path, directory) || is_within(directory, path);
    let filling = dockerfile.effective(image.stage).into_iter().find(|index| {
        let instruction = &dockerfile.instructions()[*index];
        match instruction.keyword {
            Keyword::Copy | Keyword::Add => {
                image.copied_directory(*index).is_none_or(|path| path == "/" || touches(&path))
            }
            Keyword::Run => {
                let mentions = instruction.span.of(dockerfile.text()).contains(directory);
                let prepares = |command: &crate::dockerfile::ShellCommand| {
                    let words = stack::words(command);
                    let first = words.first().copied().unwrap_or_default();
                    matches!(first, "mkdir" | "chown" | "chgrp" | "chmod")
                        || !words.iter().any(|word| word.contains(directory))
                };
                mentions
                    && !dockerfile.shell_commands(instruction).is_some_and(|commands| commands.iter().all(prepares))
            }
            _ => false,
        }
    })?;
    Some(image.place(filling))
}
