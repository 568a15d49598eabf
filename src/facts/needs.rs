//! What a program needs at run time, as far as its language tells.

use super::directories::is_within;
use super::identity::printable;
use super::obstacles::{Obstacle, hard, soft};
use super::{Application, ImageFacts, Stack, User, sources};
use crate::discover::file_name;
use crate::error::SkipReason;
use crate::image::KnownImage;
use std::collections::BTreeSet;

/// Variables that tell a .NET program where to listen
/// (<https://learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel/endpoints>).
pub(super) const LISTENING_URLS: [&str; 3] = ["ASPNETCORE_URLS", "DOTNET_URLS", "URLS"];

/// The same for ports alone.
pub(super) const LISTENING_PORTS: [&str; 2] = ["ASPNETCORE_HTTP_PORTS", "ASPNETCORE_HTTPS_PORTS"];

/// Whether a variable holds options for a program or its virtual machine: `JAVA_OPTS`, `JAVA_TOOL_OPTIONS`, `CATALINA_OPTS`, `ARGS`.
pub(super) fn holds_options(name: &str) -> bool {
    ["OPTS", "OPTIONS", "ARGS"].iter().any(|end| name.ends_with(end))
}

/// Options that name a file of the system which is written: a log, a dump, a socket.
pub(super) fn of_options(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    writable: &[String],
    found: &mut Vec<Obstacle>,
) {
    const KEPT: [&str; 7] = ["/var/log", "/var/run", "/run", "/var/lib", "/var/cache", "/root", "/logs"];
    let own = image.dockerfile.env(image.stage).into_iter().map(|(name, value)| (image.path.to_owned(), name, value));
    let given = application.containers.iter().flat_map(|container| {
        let place = container.place();
        container.view.env_values().into_iter().map(move |(name, value)| (place.to_string(), name, value))
    });
    for (place, name, value) in own.chain(given).filter(|(_, name, _)| holds_options(name)) {
        let paths = value.split_whitespace().filter_map(|word| word.get(word.find('/')?..));
        let mut kept = paths.filter(|path| KEPT.iter().any(|directory| is_within(path, directory)));
        if let Some(path) = kept.find(|path| !writable.iter().any(|directory| is_within(path, directory))) {
            let (name, path) = (printable(&name), printable(path));
            let detail = format!("{place} names {path} in {name}, which only root may write");
            found.push(soft(SkipReason::SystemDirectory, detail));
            return;
        }
    }
}

/// What a program needs is told by its language and its sources: without both, nothing is known.
pub(super) fn of_stack(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    let tree = application.around.repository.tree();
    let detail = match image.stack {
        // Their commands are known, and what brings them is judged there.
        Some(Stack::Go | Stack::Node | Stack::Python) => return,
        Some(stack) if sources::holds_sources(tree, image.directory(), stack) => return,
        Some(stack) => {
            format!("what the {stack} program needs at run time is not seen: no sources beside {}", image.path)
        }
        None => "what the program needs at run time is not known for its language".to_owned(),
    };
    found.push(soft(SkipReason::UnknownStack, detail));
}

/// Whether a program whose files lie in a directory of the system may write beside them. The interpreted languages keep caches, logs and sessions
/// there; a program that is compiled writes where its sources say.
pub(super) fn writes_beside_itself(application: &Application<'_>, image: &ImageFacts<'_>) -> bool {
    let is_told = image.stack.is_some_and(|stack| stack.is_compiled() || matches!(stack, Stack::Java | Stack::DotNet));
    let writes = |survey: &super::writes::Survey| {
        survey.sites.iter().any(|site| site.target.as_deref().is_none_or(|target| !target.starts_with('/')))
    };
    !is_told || application.survey().is_none_or(writes)
}

/// A call of the sources that writes into the working directory, or may, where the directories of the image are root's: not below a mount.
pub(super) fn written_beside(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    mounted: &BTreeSet<String>,
) -> Option<String> {
    // That of Go is told by what its sources open.
    let survey = application.survey().filter(|_| image.stack != Some(Stack::Go))?;
    let workdir = image.workdir().unwrap_or_default();
    let is_mounted = mounted.iter().any(|directory| is_within(&workdir, directory));
    let concerns = |target: Option<&str>| match target {
        Some(target) => !target.starts_with('/') && !is_mounted,
        // It may be the volume that it writes to.
        None => mounted.is_empty(),
    };
    let site = survey.sites.iter().find(|site| concerns(site.target.as_deref()))?;
    Some(format!("{} ({}) writes beside the program", site.place, printable(&site.call)))
}

/// Whether the image, its command or all its containers say where a .NET program listens.
pub(super) fn told_where_to_listen(application: &Application<'_>, image: &ImageFacts<'_>) -> bool {
    let is_listening = |name: &str| LISTENING_URLS.contains(&name) || LISTENING_PORTS.contains(&name);
    let by_image = image.dockerfile.env(image.stage).iter().any(|(name, _)| is_listening(name))
        || image.argv().iter().any(|word| word.contains("--urls"));
    let by_container = || {
        let mut containers = application.containers.iter();
        !application.containers.is_empty()
            && containers.all(|container| container.view.env_values().iter().any(|(name, _)| is_listening(name)))
    };
    by_image || by_container()
}

impl Application<'_> {
    /// [`Self::obstacles`], and what speaks against another user in the image alone: what it starts now, and containers that ask for others.
    pub fn obstacles_as_started(&self) -> Vec<Obstacle> {
        let tool = self.image.as_ref().and_then(ImageFacts::builds_when_it_starts);
        let tool = tool.map(|detail| soft(SkipReason::RootHome, detail));
        let is_root = self.image.as_ref().is_some_and(|image| image.user == User::Root);
        let identity = self.intended_identity().filter(|_| is_root);
        let contradiction = identity.and_then(|identity| self.contradiction(&identity));
        let contradiction = contradiction.map(|detail| hard(SkipReason::AuthorChoice, detail));
        self.obstacles().iter().cloned().chain(tool).chain(contradiction).collect()
    }
}

impl<'a> ImageFacts<'a> {
    /// A tool that builds what it starts keeps packages in the home of the user that fetched them.
    pub(super) fn builds_when_it_starts(&self) -> Option<String> {
        let argv = self.argv();
        let words: Vec<&str> = argv.iter().flat_map(|word| word.split_whitespace()).map(file_name).collect();
        let tool = words.windows(2).find(|pair| {
            matches!(pair, ["dotnet", "run" | "watch" | "test"] | ["cargo", "run" | "watch"])
                || matches!(pair.first(), Some(&("mvn" | "mvnw" | "gradle" | "gradlew")))
        })?;
        Some(format!(
            "{} starts {}, which keeps packages in the home of the user that built",
            self.path,
            tool.join(" ")
        ))
    }

    /// The base, where it is a server that the image starts as the base does, with an application of its own in it, and that starts as any user. The image
    /// of Tomcat makes the directories that the server writes to writable for everybody (<https://github.com/docker-library/tomcat/issues/35>).
    pub fn hosted_by(&self) -> Option<&'a KnownImage> {
        let base = self.known_base.filter(|base| base.user.is_none() && base.name == "tomcat")?;
        self.argv().first().is_none_or(|first| file_name(first) == "catalina.sh").then_some(base)
    }
}
