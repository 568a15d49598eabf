//! Who talks to the Kubernetes API: what speaks against taking a pod's token away.
//!
//! An obstacle is hard where the files show a client, or somebody's intention; it is soft where they do not tell.

use super::obstacles::{Obstacle, hard, soft};
use super::sources::{self, ApiMention};
use super::{Application, ContainerFacts, ImageFacts, identity::printable};
use crate::dockerfile::{Keyword, Origin};
use crate::error::SkipReason;
use crate::image::KnownImage;
use crate::kubernetes;
use crate::link::Link;
use crate::repository::ContainerId;

/// Command-line clients of the API.
const CLIENTS: [&str; 6] = ["kubectl", "helm", "kustomize", "argocd", "flux", "istioctl"];

/// Images that build stages take a tool from, and nothing that runs.
const BUILD_TOOLS: [&str; 1] = ["ghcr.io/astral-sh/uv"];

impl<'a> Application<'a> {
    /// The pods that it answers for, each by its first container: a pod may hold containers of several applications.
    pub fn pods(&self) -> impl Iterator<Item = &ContainerFacts<'a>> {
        self.containers.iter().filter(|container| container.id.container == 0)
    }

    /// What speaks against a pod without the token of its account, which is nobody's in particular. The container stands for the pod.
    pub fn token_obstacles(&self, container: &ContainerFacts<'_>) -> Vec<Obstacle> {
        let mut found = Vec::new();
        of_pod(self, container, &mut found);
        if !found.is_empty() {
            // All of them are hard, and sources take long to read.
            return found;
        }
        for index in 0..container.workload.containers.len() {
            let id = ContainerId { container: index, ..container.id };
            if let Some(container) = ContainerFacts::new(self.around, id) {
                of_container(self, &container, &mut found);
            }
        }
        found
    }

    fn image_api_obstacles(&self, image: &ImageFacts<'_>) -> Vec<Obstacle> {
        let mut found = Vec::new();
        of_image(self, image, &mut found);
        found
    }
}

fn of_pod(application: &Application<'_>, container: &ContainerFacts<'_>, found: &mut Vec<Obstacle>) {
    const ACCOUNT: [&str; 3] = ["serviceAccountName", "serviceAccount", "automountServiceAccountToken"];
    let repository = application.around.repository;
    let workload = container.workload;
    if let Some(path) = repository.patch_of(workload, &ACCOUNT) {
        found.push(hard(SkipReason::AuthorChoice, format!("{path} patches the account of {}", workload.label())));
    }
    if let Some(because) = &workload.needs_token {
        found.push(hard(SkipReason::ApiClient, format!("{}: {because}", workload.label())));
    }
    if let Some(injector) = workload.injector(&container.manifest.stream) {
        let detail = format!("{} asks for a sidecar that needs the token", printable(&injector));
        found.push(hard(SkipReason::AccountInUse, detail));
    }
    if let Some(what) = repository.default_account_use() {
        found.push(hard(SkipReason::AccountInUse, format!("it runs as the account default, and {what}")));
    }
    let maps = container.pod.volumes().into_iter().flat_map(|volume| volume.config_maps());
    if let Some(config) = maps.filter_map(|name| repository.api_config(&name)).next() {
        found.push(hard(SkipReason::ApiClient, format!("{config} is configuration of a client")));
    }
}

fn of_container(application: &Application<'_>, container: &ContainerFacts<'_>, found: &mut Vec<Obstacle>) {
    let place = container.place();
    let name = printable(&container.container.image);
    let view = container.view;
    if let Some((_, call)) = kubernetes::api_call(view.node().raw()) {
        found.push(hard(SkipReason::ApiClient, format!("{place} says {}", printable(&call))));
    }
    let argv: Vec<String> = [view.command(), view.args()].into_iter().flatten().flatten().collect();
    let image = vec![container.container.image.clone()];
    for words in view.exec_commands().iter().chain([&argv, &image]) {
        if let Some(client) = client(words) {
            found.push(hard(SkipReason::ApiClient, format!("{place} starts {client}")));
        }
    }
    match container.link {
        Link::Linked { dockerfile, .. } | Link::Service { dockerfile, .. } => {
            let own = application.image.as_ref().filter(|image| image.file == *dockerfile);
            let obstacles = match own {
                Some(image) => application.api.get_or_init(|| application.image_api_obstacles(image)).clone(),
                None => ImageFacts::new(application.around, *dockerfile)
                    .map(|image| application.image_api_obstacles(&image))
                    .unwrap_or_default(),
            };
            found.extend(obstacles);
        }
        Link::Ambiguous(_) => found.push(unknown(format!("more than one Dockerfile may build {name}"))),
        Link::External => match container.known.map(|known| (known, known.api)) {
            Some((_, Some(false))) => {
                if let Some(script) = argv.iter().flat_map(|word| word.split_whitespace()).find(|word| is_script(word))
                {
                    found.push(unknown(format!("{place} starts {}, which is not seen", printable(script))));
                }
            }
            Some((known, Some(true))) => {
                found.push(hard(SkipReason::ApiClient, format!("{} is a client of the Kubernetes API", known.name)));
            }
            Some((known, None)) => found.push(unknown(format!("{} may be told to", known.name))),
            None => found.push(unknown(format!("nothing is known of {name}"))),
        },
    }
}

fn of_image(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    let dockerfile = image.dockerfile;
    let tree = application.around.repository.tree();
    for (index, instruction) in dockerfile.instructions().iter().enumerate() {
        if matches!(instruction.keyword, Keyword::Label | Keyword::Maintainer) {
            continue;
        }
        let text = instruction.span.of(dockerfile.text());
        let words = [text.to_owned()];
        let named = client(&words).map(str::to_owned).or_else(|| Some(kubernetes::api_call(text)?.1));
        if let Some(what) = named {
            found.push(hard(SkipReason::ApiClient, format!("{} names {}", image.place(index), printable(&what))));
        } else if let Some(word) = sources::api_word(text) {
            found.push(unknown(format!("{} speaks of {}", image.place(index), printable(&word))));
        }
    }
    match sources::api_mention(tree, image.directory()) {
        Some(ApiMention::Call(place)) => {
            found.push(hard(SkipReason::ApiClient, format!("{place} is what a client says")))
        }
        Some(ApiMention::Word(place)) => found.push(unknown(format!("{place} may be about a client"))),
        None => {}
    }
    let known = image.known_base;
    if known.is_none() && image.base_text != "scratch" {
        found.push(unknown(format!("nothing is known of the base {}", printable(&image.base_text))));
    }
    if let Some(path) = copied_from_elsewhere(application, image) {
        found.push(unknown(format!("{path} is copied and is not below the Dockerfile's folder")));
    }
    let own = match image.stack {
        Some(stack) => sources::holds_sources(tree, image.directory(), stack),
        None => known.is_some_and(|known| known.api == Some(false) && starts_what_the_base_is(known, &image.argv())),
    };
    if !own {
        found.push(unknown(format!("the sources of what {} starts are not seen, or not understood", image.path)));
    }
}

/// A web server or a database that is only configured, started as it always is.
fn starts_what_the_base_is(base: &KnownImage, argv: &[String]) -> bool {
    let is_service = base.service.is_some() || base.user.is_some() || !base.ports.is_empty();
    let name = base.name.rsplit('/').next().unwrap_or(&base.name);
    let program = argv.first().map(|word| crate::discover::file_name(word));
    is_service && program.is_none_or(|program| program.starts_with(name) && !is_script(program))
}

/// A file of the build that is not below the Dockerfile's folder, so that nobody has looked at it.
fn copied_from_elsewhere(application: &Application<'_>, image: &ImageFacts<'_>) -> Option<String> {
    let tree = application.around.repository.tree();
    let folder = image.directory();
    let dockerfile = image.dockerfile;
    dockerfile.instructions().iter().find_map(|instruction| {
        let mut origins = dockerfile.copy_sources(instruction).into_iter().map(|source| source.origin);
        if let Some(Origin::Image(image)) = origins.next() {
            return (!BUILD_TOOLS.contains(&crate::link::without_tag(&image))).then(|| printable(&image));
        }
        if instruction.flag("from").is_some() {
            return None;
        }
        let (sources, _) = dockerfile.copy_words(instruction)?;
        sources.into_iter().find(|source| !is_below(tree, folder, source)).map(|source| printable(&source))
    })
}

fn is_below(tree: &crate::discover::Tree, folder: &str, source: &str) -> bool {
    let source = source.trim_start_matches("./").trim_matches('/');
    if source.is_empty() || source == "." {
        return true;
    }
    // Of a pattern, the part that is plain: what it matches is below the same folder.
    let plain = source.split(['*', '?', '[']).next().unwrap_or_default();
    let Some(path) = crate::discover::join(folder, plain) else { return false };
    if plain.len() < source.len() {
        return tree.below(folder).any(|file| file.starts_with(&path));
    }
    tree.has(&path) || tree.below(&path).next().is_some()
}

/// A command-line client among the words of a command, shell scripts taken apart.
fn client(command: &[String]) -> Option<&'static str> {
    let separates = |character: char| !character.is_ascii_alphanumeric() && !matches!(character, '-' | '_' | '.');
    let mut words = command.iter().flat_map(|word| word.split(separates));
    words.find_map(|word| CLIENTS.into_iter().find(|client| word == *client))
}

fn is_script(word: &str) -> bool {
    [".sh", ".py", ".js", ".rb", ".pl", ".lua"].iter().any(|ending| word.ends_with(ending))
}

fn unknown(detail: String) -> Obstacle {
    soft(SkipReason::ApiClient, format!("{detail}; it may talk to the Kubernetes API"))
}
