//! What people wrote down about builds: the configuration, compose files, skaffold, and build commands in scripts.

use super::arguments::{self, Build};
use super::{Declaration, How, NamedContext, Service, ServiceMount, without_tag};
use crate::config::Config;
use crate::discover::{directory, file_name, join};
use crate::repository::{Content, FileId, Repository};
use crate::yaml::{self, Node, Stream};
use regex::Regex;
use std::sync::LazyLock;

/// What was found.
#[derive(Default)]
pub(super) struct Declared {
    /// The configuration's first.
    pub(super) declarations: Vec<Declaration>,
    /// Of compose files.
    pub(super) services: Vec<Service>,
    /// Build contexts that have a name.
    pub(super) contexts: Vec<NamedContext>,
    /// What each build gives for arguments.
    pub(super) builds: Vec<Build>,
}

/// Everything that is written down.
pub(super) fn declarations(repository: &Repository, config: &Config) -> Declared {
    let mut found = Declared::default();
    for entry in &config.links {
        if let Some(dockerfile) = repository.find(&entry.dockerfile) {
            found.declarations.push(Declaration {
                image: Some(entry.image.clone()),
                dockerfile,
                target: entry.target.clone(),
                context: entry.context.as_deref().and_then(|context| join("", context)),
                how: How::Configured,
            });
        }
    }
    for (_, file) in repository.files() {
        if let Content::Compose(stream) = &file.content {
            compose(repository, &file.path, stream, &mut found);
        }
    }
    let built = found.services.clone();
    for (_, file) in repository.files() {
        if let Content::Compose(stream) = &file.content {
            let more = services_without_build(&file.path, stream, &built, &found.declarations);
            found.services.extend(more);
        }
    }
    for path in repository.tree().below("") {
        if file_name(path).starts_with("skaffold") && is_yaml(path) {
            if let Some(stream) = repository.tree().read(path).and_then(|text| yaml::parse(text).ok()) {
                skaffold(repository, path, &stream, &mut found);
            }
        } else if is_script(path)
            && let Some(text) = repository.tree().read(path)
        {
            script(repository, path, &text, &mut found);
            found.contexts.extend(contexts_of_a_step(path, &text));
        } else if file_name(path).starts_with("docker-bake")
            && let Some(text) = repository.tree().read(path)
        {
            found.contexts.extend(contexts_of_a_bake_file(path, &text));
        }
    }
    found.declarations.sort();
    found.declarations.dedup();
    found
}

fn compose(repository: &Repository, path: &str, stream: &Stream, found: &mut Declared) {
    for document in stream.documents() {
        let Some(all) = document.root().and_then(|root| root.get("services")) else { continue };
        for (name, service) in all.entries() {
            let service = service.resolved();
            let Some(build) = service.get("build").map(Node::resolved) else { continue };
            let context = build.as_str().or_else(|| build.get("context")?.as_str()).unwrap_or_else(|| ".".into());
            let dockerfile = build.get("dockerfile").and_then(Node::as_str);
            let built = dockerfile_of(repository, directory(path), &context, dockerfile.as_deref());
            let Some((dockerfile, context)) = built else { continue };
            found.contexts.extend(context_names(build).map(|name| NamedContext {
                dockerfile: Some(dockerfile),
                name,
                path: path.to_owned(),
            }));
            found.builds.push((dockerfile, arguments::under(Some(build), "args")));
            // `on` and `1` are names as well.
            found.services.push(service_of(dockerfile, path, &name.text(), service, build_arguments(build)));
            let image = service.get("image").and_then(Node::as_str).map(|image| image.into_owned());
            found.declarations.push(Declaration {
                image: named(Some(image.as_deref().unwrap_or(&name.text()))),
                dockerfile,
                target: build.get("target").and_then(Node::as_str).map(|target| target.into_owned()),
                context: Some(context),
                how: if image.is_some() { How::Declared(path.to_owned()) } else { How::Service(path.to_owned()) },
            });
        }
    }
}

fn service_of(
    dockerfile: FileId,
    path: &str,
    name: &str,
    service: Node<'_>,
    arguments: Vec<(String, Option<String>)>,
) -> Service {
    Service {
        dockerfile,
        path: path.to_owned(),
        name: name.to_owned(),
        user: service.get("user").map(|user| user.raw().trim_matches(['"', '\'']).to_owned()),
        arguments,
        asks_privileges: asks_privileges(service),
        starts: starts(service),
        entrypoint: command_line(service, "entrypoint"),
        command: command_line(service, "command"),
        mounts: service.get("volumes").into_iter().flat_map(Node::items).filter_map(mount).collect(),
    }
}

/// The services of a compose file that say nothing of a build, and run what another one builds: those of the same name in a file that is merged with this
/// one (<https://docs.docker.com/compose/how-tos/multiple-compose-files/merge/>), and those that name the image of one.
fn services_without_build(
    path: &str,
    stream: &Stream,
    built: &[Service],
    declarations: &[Declaration],
) -> Vec<Service> {
    let mut found = Vec::new();
    for document in stream.documents() {
        let Some(all) = document.root().and_then(|root| root.get("services")) else { continue };
        for (name, service) in all.entries() {
            let service = service.resolved();
            if service.has("build") {
                continue;
            }
            let name = name.text();
            let image = service.get("image").and_then(Node::as_str);
            let is_merged = |other: &&Service| {
                other.name == name && other.path != path && directory(&other.path) == directory(path) && image.is_none()
            };
            let same = named(image.as_deref());
            let is_image = |declaration: &&Declaration| {
                same.is_some() && declaration.image == same && matches!(declaration.how, How::Declared(_))
            };
            let merged = built.iter().find(is_merged).map(|other| other.dockerfile);
            let dockerfile = merged.or_else(|| {
                let mut builders = declarations.iter().filter(is_image).map(|declaration| declaration.dockerfile);
                let first = builders.next()?;
                builders.all(|other| other == first).then_some(first)
            });
            found.extend(dockerfile.map(|dockerfile| service_of(dockerfile, path, &name, service, Vec::new())));
        }
    }
    found
}

/// The names under `additional_contexts`, which is a mapping or a list of `name=value`.
fn context_names(build: Node<'_>) -> impl Iterator<Item = String> {
    let contexts = build.get("additional_contexts").map(Node::resolved);
    let keys = contexts.into_iter().flat_map(Node::entries).filter_map(|(key, _)| Some(key.as_str()?.into_owned()));
    let items = contexts.into_iter().flat_map(Node::items).filter_map(Node::as_str);
    keys.chain(items.filter_map(|item| Some(item.split_once('=')?.0.to_owned())))
}

fn starts(service: Node<'_>) -> Option<&'static str> {
    let checks = service.get("healthcheck").is_some_and(|check| check.resolved().has("test"));
    let set = |key: &&str| service.get(key).is_some_and(|value| !value.resolved().is_null());
    if checks { Some("healthcheck") } else { ["command", "entrypoint"].into_iter().find(set) }
}

/// The words of a command line; one that is a text is no shell's, and is cut at white space as far as is looked at here.
fn command_line(service: Node<'_>, key: &str) -> Option<Vec<String>> {
    let value = service.get(key)?.resolved();
    if value.is_null() {
        return None;
    }
    let words = |text: std::borrow::Cow<'_, str>| text.split_whitespace().map(str::to_owned).collect();
    let items = || value.items().filter_map(Node::as_str).map(std::borrow::Cow::into_owned).collect();
    Some(value.as_str().map_or_else(items, words))
}

/// `args` of a build, as a mapping or a list (<https://docs.docker.com/reference/compose-file/build/#args>). Of `${NAME:-x}` the value is `x`.
fn build_arguments(build: Node<'_>) -> Vec<(String, Option<String>)> {
    let Some(arguments) = build.get("args").map(Node::resolved) else { return Vec::new() };
    let plain = |value: &str| {
        let value = value.trim_matches(['"', '\'']);
        let by_default = value.strip_prefix("${").and_then(|inner| inner.strip_suffix('}')?.split_once('-'));
        let value = by_default.map_or(value, |(_, default)| default);
        (!value.is_empty() && !value.contains('$')).then(|| value.to_owned())
    };
    let pairs = arguments
        .entries()
        .filter_map(|(name, value)| Some((name.as_str()?.into_owned(), plain(value.resolved().raw()))));
    let items = arguments.items().filter_map(|item| {
        let text = item.resolved().as_str()?;
        let (name, value) = text.split_once('=').map_or((text.as_ref(), None), |(name, value)| (name, plain(value)));
        Some((name.to_owned(), value))
    });
    pairs.chain(items).collect()
}

fn asks_privileges(service: Node<'_>) -> bool {
    let is_on = |key: &str| service.get(key).and_then(Node::as_bool) == Some(true);
    let mut added = service.get("cap_add").into_iter().flat_map(Node::items).filter_map(Node::as_str);
    let of_host = |key: &str| service.get(key).and_then(Node::as_str).as_deref() == Some("host");
    is_on("privileged")
        || added.any(|capability| !capability.trim_start_matches("CAP_").eq("NET_BIND_SERVICE"))
        || service.has("devices")
        || of_host("pid")
}

/// A volume in the short or the long form; one without a name or a place on the host is made anew with the container.
fn mount(volume: Node<'_>) -> Option<ServiceMount> {
    let volume = volume.resolved();
    if let Some(text) = volume.as_str() {
        let mut parts = text.split(':').skip(1);
        let path = parts.next()?.trim_end_matches('/').to_owned();
        let read_only = parts.next().is_some_and(|mode| mode.split(',').any(|word| word == "ro"));
        return path.starts_with('/').then_some(ServiceMount { path, read_only });
    }
    let is = |wanted: &str| volume.get("type").and_then(Node::as_str).as_deref() == Some(wanted);
    let kept = is("bind") || is("volume") && volume.has("source");
    let path = volume.get("target").and_then(Node::as_str)?.trim_end_matches('/').to_owned();
    let read_only = volume.get("read_only").and_then(Node::as_bool) == Some(true);
    kept.then_some(ServiceMount { path, read_only })
}

fn skaffold(repository: &Repository, path: &str, stream: &Stream, found: &mut Declared) {
    for document in stream.documents() {
        let artifacts = document.root().and_then(|root| root.get("build")?.get("artifacts"));
        for artifact in artifacts.into_iter().flat_map(Node::items) {
            let docker = artifact.get("docker");
            let context = artifact.get("context").and_then(Node::as_str).unwrap_or_else(|| ".".into());
            let file = docker.and_then(|docker| docker.get("dockerfile")?.as_str());
            let built = dockerfile_of(repository, directory(path), &context, file.as_deref());
            let Some((dockerfile, context)) = built else { continue };
            found.builds.push((dockerfile, arguments::under(docker, "buildArgs")));
            found.declarations.push(Declaration {
                image: named(artifact.get("image").and_then(Node::as_str).as_deref()),
                dockerfile,
                target: docker.and_then(|docker| docker.get("target")?.as_str()).map(|target| target.into_owned()),
                context: Some(context),
                how: How::Declared(path.to_owned()),
            });
        }
    }
}

/// `docker build -t NAME -f FILE CONTEXT` in scripts, makefiles, pipelines and READMEs. The context is read from the script's folder, then from the root.
fn script(repository: &Repository, path: &str, text: &str, found: &mut Declared) {
    static BUILD: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"\b(?:docker|podman|nerdctl|buildah)\s+(?:image\s+)?(?:buildx\s+)?(?:build|bud)\s+([^\n;|&`]*)")
            .ok()
    });
    let Some(build) = BUILD.as_ref() else { return };
    if !text.contains("build") {
        return;
    }
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    for command in build.captures_iter(&joined) {
        let command = BuildCommand::parse(&command[1]);
        let built = |folder| dockerfile_of(repository, folder, &command.context, command.file.as_deref());
        let built = if command.is_clear() { built(directory(path)).or_else(|| built("")) } else { None };
        let dockerfile = built.as_ref().map(|(dockerfile, _)| *dockerfile);
        let names = command.contexts.iter().cloned();
        found.contexts.extend(names.map(|name| NamedContext { dockerfile, name, path: path.to_owned() }));
        let Some((dockerfile, context)) = built else { continue };
        let given = command.arguments.iter().map(|word| arguments::of_word(word));
        found.builds.push((dockerfile, given.collect()));
        let images: Vec<Option<String>> = command.tags.iter().map(|tag| named(Some(tag))).collect();
        let images = if images.is_empty() { vec![None] } else { images };
        for image in images {
            found.declarations.push(Declaration {
                image,
                dockerfile,
                target: command.target.clone(),
                context: Some(context.clone()),
                how: How::Declared(path.to_owned()),
            });
        }
    }
}

/// The names that a step of a workflow gives to contexts: `build-contexts:` with lines of `name=value`. Which Dockerfile it builds is not
/// looked for (<https://github.com/docker/build-push-action#inputs>).
fn contexts_of_a_step(path: &str, text: &str) -> Vec<NamedContext> {
    static CONTEXTS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?m)build-contexts:[ \t]*[|>]?[-+]?[ \t]*((?:\s*[^\s=]+=\S+)+)").ok());
    let Some(contexts) = CONTEXTS.as_ref().filter(|_| text.contains("build-contexts:")) else { return Vec::new() };
    let entries = contexts.captures_iter(text).flat_map(|found| {
        let entries: Vec<String> = found[1].split_whitespace().map(str::to_owned).collect();
        entries
    });
    let names = entries.filter_map(|entry| Some(entry.split_once('=')?.0.trim_matches(['"', '\'']).to_owned()));
    names.map(|name| NamedContext { dockerfile: None, name, path: path.to_owned() }).collect()
}

/// The names in `contexts = { name = "…" }` of a bake file, or in its JSON form; of all its targets
/// (<https://docs.docker.com/build/bake/reference/#targetcontexts>).
fn contexts_of_a_bake_file(path: &str, text: &str) -> Vec<NamedContext> {
    static CONTEXTS: LazyLock<Option<[Regex; 2]>> = LazyLock::new(|| {
        Some([
            Regex::new(r#""?contexts"?\s*[=:]\s*\{([^}]*)\}"#).ok()?,
            Regex::new(r#""?([^\s"=:,{]+(?::[^\s"=:,]+)?)"?\s*[=:]\s*""#).ok()?,
        ])
    });
    let Some([contexts, entry]) = CONTEXTS.as_ref() else { return Vec::new() };
    let blocks = contexts.captures_iter(text);
    let names = blocks.flat_map(|block| {
        let names: Vec<String> = entry.captures_iter(&block[1]).map(|found| found[1].to_owned()).collect();
        names
    });
    names.map(|name| NamedContext { dockerfile: None, name, path: path.to_owned() }).collect()
}

#[derive(Default)]
struct BuildCommand {
    tags: Vec<String>,
    file: Option<String>,
    target: Option<String>,
    /// `NAME=value` of `--build-arg`.
    arguments: Vec<String>,
    /// The names of further contexts.
    contexts: Vec<String>,
    context: String,
}

impl BuildCommand {
    fn parse(arguments: &str) -> Self {
        let mut command = Self::default();
        let mut words = arguments.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
        while let Some(word) = words.next() {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value)),
                _ => (word, None),
            };
            match flag {
                "-t" | "--tag" => command.tags.extend(value.or_else(|| words.next()).map(str::to_owned)),
                "-f" | "--file" => command.file = value.or_else(|| words.next()).map(str::to_owned),
                "--build-context" => {
                    let context = value.or_else(|| words.next()).and_then(|context| context.split_once('='));
                    command.contexts.extend(context.map(|(name, _)| name.to_owned()));
                }
                "--build-arg" => command.arguments.extend(value.or_else(|| words.next()).map(str::to_owned)),
                "--target" => command.target = value.or_else(|| words.next()).map(str::to_owned),
                // Flags that take no value; every other one takes the next word.
                "--no-cache" | "--pull" | "--push" | "--load" | "--rm" | "--force-rm" | "--squash" | "-q"
                | "--quiet" | "--compress" | "--layers" => {}
                _ if flag.starts_with('-') => {
                    let _value = value.or_else(|| words.next());
                }
                _ if command.context.is_empty() => command.context = word.to_owned(),
                _ => {}
            }
        }
        command
    }

    /// Whether it says which files are built.
    fn is_clear(&self) -> bool {
        !self.context.is_empty() && !self.context.contains(['$', '{'])
    }
}

/// The image's name without tag, when the name itself holds no variable (a registry or tag that is one does not matter).
fn named(image: Option<&str>) -> Option<String> {
    let name = without_tag(image?);
    let last = name.rsplit('/').next()?;
    (!last.is_empty() && !last.contains(['$', '{', '<', '('])).then(|| name.to_owned())
}

fn dockerfile_of(repository: &Repository, folder: &str, context: &str, file: Option<&str>) -> Option<(FileId, String)> {
    let context = join(folder, context)?;
    let candidates = match file {
        // `-f` is relative to the working directory for docker, and to the context for compose and skaffold.
        Some(file) => vec![join(&context, file), join(folder, file)],
        None => vec![join(&context, "Dockerfile"), join(&context, "Containerfile")],
    };
    candidates.into_iter().flatten().find_map(|path| {
        let id = repository.find(&path)?;
        repository.file(id).dockerfile().map(|_| (id, context.clone()))
    })
}

fn is_yaml(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

/// Whether a file holds commands that people or CI run.
pub(crate) fn is_script(path: &str) -> bool {
    let name = file_name(path).to_ascii_lowercase();
    matches!(
        name.as_str(),
        "makefile"
            | "gnumakefile"
            | "jenkinsfile"
            | "justfile"
            | "readme.md"
            | "package.json"
            | ".gitlab-ci.yml"
            | ".travis.yml"
    ) || name.ends_with(".sh")
        || name.ends_with(".mk")
        || name.starts_with("taskfile.") && is_yaml(&name)
        || name.starts_with("azure-pipelines") && is_yaml(&name)
        || name.starts_with("cloudbuild") && is_yaml(&name)
        || path.starts_with(".github/workflows/")
        || path.starts_with(".circleci/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_commands_are_read_past_their_flags() {
        let command = BuildCommand::parse(
            "--build-arg A=1 --platform=linux/amd64 -t \"shop/web:v1\" --build-context base=docker-image://x --no-cache -f web/Dockerfile.prod web",
        );
        assert!(command.is_clear());
        assert_eq!(command.contexts, ["base"]);
        assert_eq!(command.tags, ["shop/web:v1"]);
        assert_eq!(command.file.as_deref(), Some("web/Dockerfile.prod"));
        assert_eq!(command.context, "web");
        assert_eq!(command.arguments, ["A=1"]);
    }

    #[test]
    fn a_context_that_is_a_variable_says_nothing() {
        assert!(!BuildCommand::parse("-t web $(DIR)").is_clear());
        assert_eq!(named(Some("$(REGISTRY)/web:$(TAG)")).as_deref(), Some("$(REGISTRY)/web"));
        assert_eq!(named(Some("shop/$(NAME)")), None);
    }

    #[test]
    fn contexts_are_named_by_steps_and_bake_files() {
        let names = |found: Vec<NamedContext>| found.into_iter().map(|context| context.name).collect::<Vec<_>>();
        let step = "      with:\n        build-contexts: |\n          alpine=docker-image://alpine:3.20\n          src=./lib\n        push: true\n";
        assert_eq!(names(contexts_of_a_step("ci.yml", step)), ["alpine", "src"]);
        let bake = "target \"app\" {\n  contexts = {\n    alpine = \"docker-image://alpine:3\"\n    \"node:22\" = \"target:base\"\n  }\n}\n";
        assert_eq!(names(contexts_of_a_bake_file("docker-bake.hcl", bake)), ["alpine", "node:22"]);
        let json = r#"{"target": {"app": {"contexts": {"base": "target:base", "src": "./x"}}}}"#;
        assert_eq!(names(contexts_of_a_bake_file("docker-bake.json", json)), ["base", "src"]);
    }
}
