//! What a program needs at run time, as far as its language tells.

use super::obstacles::{Obstacle, soft};
use super::{Application, ImageFacts, Stack, sources};
use crate::error::SkipReason;

/// Variables that tell a .NET program where to listen
/// (<https://learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel/endpoints>).
pub(super) const LISTENING_URLS: [&str; 3] = ["ASPNETCORE_URLS", "DOTNET_URLS", "URLS"];

/// The same for ports alone.
pub(super) const LISTENING_PORTS: [&str; 2] = ["ASPNETCORE_HTTP_PORTS", "ASPNETCORE_HTTPS_PORTS"];

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
