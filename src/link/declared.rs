//! What people wrote down about builds: the configuration, compose files, skaffold, and build commands in scripts.

use super::{Declaration, How, Service, ServiceMount, without_tag};
use crate::config::Config;
use crate::discover::{directory, file_name, join};
use crate::repository::{Content, Repository};
use crate::yaml::{self, Node, Stream};
use regex::Regex;
use std::sync::LazyLock;

/// Every declaration, the configuration's first, and the services of compose files.
pub(super) fn declarations(repository: &Repository, config: &Config) -> (Vec<Declaration>, Vec<Service>) {
    let mut found = Vec::new();
    let mut services = Vec::new();
    for entry in &config.links {
        if let Some(dockerfile) = repository.find(&entry.dockerfile) {
            found.push(Declaration {
                image: Some(entry.image.clone()),
                dockerfile,
                target: entry.target.clone(),
                how: How::Configured,
            });
        }
    }
    for (_, file) in repository.files() {
        if let Content::Compose(stream) = &file.content {
            compose(repository, &file.path, stream, &mut found, &mut services);
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
        }
    }
    found.sort();
    found.dedup();
    (found, services)
}

fn compose(
    repository: &Repository,
    path: &str,
    stream: &Stream,
    found: &mut Vec<Declaration>,
    services: &mut Vec<Service>,
) {
    for document in stream.documents() {
        let Some(all) = document.root().and_then(|root| root.get("services")) else { continue };
        for (name, service) in all.entries() {
            let service = service.resolved();
            let Some(build) = service.get("build").map(Node::resolved) else { continue };
            let context = build.as_str().or_else(|| build.get("context")?.as_str()).unwrap_or_else(|| ".".into());
            let dockerfile = build.get("dockerfile").and_then(Node::as_str);
            let Some(dockerfile) = dockerfile_of(repository, directory(path), &context, dockerfile.as_deref()) else {
                continue;
            };
            services.push(Service {
                dockerfile,
                path: path.to_owned(),
                name: name.as_str().unwrap_or_default().into_owned(),
                user: service.get("user").map(|user| user.raw().trim_matches(['"', '\'']).to_owned()),
                asks_privileges: asks_privileges(service),
                starts: starts(service),
                entrypoint: command_line(service, "entrypoint"),
                command: command_line(service, "command"),
                mounts: service.get("volumes").into_iter().flat_map(Node::items).filter_map(mount).collect(),
            });
            let image = service.get("image").and_then(Node::as_str).map(|image| image.into_owned());
            found.push(Declaration {
                image: named(image.as_deref().or(name.as_str().as_deref())),
                dockerfile,
                target: build.get("target").and_then(Node::as_str).map(|target| target.into_owned()),
                how: if image.is_some() { How::Declared(path.to_owned()) } else { How::Service(path.to_owned()) },
            });
        }
    }
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

fn skaffold(repository: &Repository, path: &str, stream: &Stream, found: &mut Vec<Declaration>) {
    for document in stream.documents() {
        let artifacts = document.root().and_then(|root| root.get("build")?.get("artifacts"));
        for artifact in artifacts.into_iter().flat_map(Node::items) {
            let docker = artifact.get("docker");
            let context = artifact.get("context").and_then(Node::as_str).unwrap_or_else(|| ".".into());
            let file = docker.and_then(|docker| docker.get("dockerfile")?.as_str());
            let Some(dockerfile) = dockerfile_of(repository, directory(path), &context, file.as_deref()) else {
                continue;
            };
            found.push(Declaration {
                image: named(artifact.get("image").and_then(Node::as_str).as_deref()),
                dockerfile,
                target: docker.and_then(|docker| docker.get("target")?.as_str()).map(|target| target.into_owned()),
                how: How::Declared(path.to_owned()),
            });
        }
    }
}

/// `docker build -t NAME -f FILE CONTEXT` in scripts, makefiles, pipelines and READMEs. The context is read from the script's folder, then from the root.
fn script(repository: &Repository, path: &str, text: &str, found: &mut Vec<Declaration>) {
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
        let Some(command) = BuildCommand::parse(&command[1]) else { continue };
        let from_script = dockerfile_of(repository, directory(path), &command.context, command.file.as_deref());
        let dockerfile =
            from_script.or_else(|| dockerfile_of(repository, "", &command.context, command.file.as_deref()));
        let Some(dockerfile) = dockerfile else { continue };
        let images: Vec<Option<String>> = command.tags.iter().map(|tag| named(Some(tag))).collect();
        let images = if images.is_empty() { vec![None] } else { images };
        for image in images {
            found.push(Declaration {
                image,
                dockerfile,
                target: command.target.clone(),
                how: How::Declared(path.to_owned()),
            });
        }
    }
}

struct BuildCommand {
    tags: Vec<String>,
    file: Option<String>,
    target: Option<String>,
    context: String,
}

impl BuildCommand {
    fn parse(arguments: &str) -> Option<Self> {
        let mut command = Self { tags: Vec::new(), file: None, target: None, context: String::new() };
        let mut words = arguments.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
        while let Some(word) = words.next() {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value)),
                _ => (word, None),
            };
            match flag {
                "-t" | "--tag" => command.tags.extend(value.or_else(|| words.next()).map(str::to_owned)),
                "-f" | "--file" => command.file = value.or_else(|| words.next()).map(str::to_owned),
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
        (!command.context.is_empty() && !command.context.contains(['$', '{'])).then_some(command)
    }
}

/// The image's name without tag, when the name itself holds no variable (a registry or tag that is one does not matter).
fn named(image: Option<&str>) -> Option<String> {
    let name = without_tag(image?);
    let last = name.rsplit('/').next()?;
    (!last.is_empty() && !last.contains(['$', '{', '<', '('])).then(|| name.to_owned())
}

fn dockerfile_of(
    repository: &Repository,
    folder: &str,
    context: &str,
    file: Option<&str>,
) -> Option<crate::repository::FileId> {
    let context = join(folder, context)?;
    let candidates = match file {
        // `-f` is relative to the working directory for docker, and to the context for compose and skaffold.
        Some(file) => vec![join(&context, file), join(folder, file)],
        None => vec![join(&context, "Dockerfile"), join(&context, "Containerfile")],
    };
    candidates.into_iter().flatten().find_map(|path| {
        let id = repository.find(&path)?;
        repository.file(id).dockerfile().map(|_| id)
    })
}

fn is_yaml(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

fn is_script(path: &str) -> bool {
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
            "--build-arg A=1 --platform=linux/amd64 -t \"shop/web:v1\" --no-cache -f web/Dockerfile.prod web",
        )
        .unwrap();
        assert_eq!(command.tags, ["shop/web:v1"]);
        assert_eq!(command.file.as_deref(), Some("web/Dockerfile.prod"));
        assert_eq!(command.context, "web");
    }

    #[test]
    fn a_context_that_is_a_variable_says_nothing() {
        assert!(BuildCommand::parse("-t web $(DIR)").is_none());
        assert_eq!(named(Some("$(REGISTRY)/web:$(TAG)")).as_deref(), Some("$(REGISTRY)/web"));
        assert_eq!(named(Some("shop/$(NAME)")), None);
    }
}
