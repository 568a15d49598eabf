//! What the final stage is started from: which bases the recipes offer, which one the author asks for, and whether it is still maintained.

use super::Refusal;
use crate::config::FinalBase;
use crate::dockerfile::Base;
use crate::error::SkipReason;
use crate::facts::{Application, Identity, ImageFacts, Obstacle};
use crate::image::{Lifetime, Reference};

/// The base that the author asks for.
pub(super) fn wished(application: &Application<'_>) -> Option<FinalBase> {
    application.around.config.final_base
}

/// Whether the base that a recipe ends on may be written into the file: it is what the author asks for, where anything is asked for, and it is the author's
/// own or the table knows that it is maintained.
pub(super) fn judge(application: &Application<'_>, image: &ImageFacts<'_>, base: &str) -> Result<(), Refusal> {
    let is_own = base == image.stage.base_span.of(image.dockerfile.text());
    let suits = |wish: FinalBase| match wish {
        FinalBase::Scratch => base == "scratch",
        FinalBase::Distroless => base.starts_with("gcr.io/distroless/"),
        FinalBase::Slim => base.rsplit(':').next().is_some_and(|tag| tag.contains("slim")),
        FinalBase::Keep => is_own,
    };
    if let Some(wish) = wished(application).filter(|wish| !suits(*wish)) {
        let detail = format!("the program would be put on {base}, and not on {}", wish.as_str());
        return Err((SkipReason::FinalBase, detail));
    }
    if base == "scratch" || is_own {
        return Ok(());
    }
    let state = Reference::parse(base).map_or(Lifetime::Unknown, |reference| Lifetime::of(&reference));
    let detail = match state {
        // The recipes keep the author's version.
        Lifetime::Maintained | Lifetime::EndedVersion(_) => return Ok(()),
        Lifetime::Ended(day) => format!("{base} is not maintained since {day}"),
        Lifetime::Unknown => format!("nothing is known of how long {base} is maintained"),
    };
    Err((SkipReason::RetiredBase, detail))
}

/// The base without its user, where that would be another than the containers of the image ask for.
///
/// # Errors
/// The base has no variant that starts as root, to which another user could be given.
pub(super) fn for_containers(application: &Application<'_>, base: &str) -> Result<String, Refusal> {
    let known = Reference::parse(base).ok().and_then(|reference| application.around.config.images.find(&reference));
    let Some(user) = known.and_then(|known| known.user) else { return Ok(base.to_owned()) };
    let identity = Identity { uid: user.uid, gid: Some(user.gid), how: format!("the user of {base}") };
    match (application.contradiction(&identity), base.strip_suffix(":nonroot")) {
        (None, _) => Ok(base.to_owned()),
        (Some(_), Some(name)) => Ok(format!("{name}:latest")),
        (Some(detail), None) => Err((SkipReason::AuthorChoice, detail)),
    }
}

/// Refuses a base that a build argument has a part in, where the final base follows from it: a build may set another value.
pub(super) fn is_literal(image: &ImageFacts<'_>) -> Result<(), Refusal> {
    let root = image.dockerfile.chain(image.stage).last().map(|stage| &stage.base);
    if !matches!(root, Some(Base::Image { literal: false, .. })) {
        return Ok(());
    }
    let written = image.stage.base_span.of(image.dockerfile.text()).escape_debug();
    Err((
        SkipReason::Parameter,
        format!("a build argument decides what {written} is, and the final base follows from that"),
    ))
}

/// What the ledger tells of the author's own base where that, or its version, is no longer maintained: nothing here moves it.
pub(super) fn note(image: &ImageFacts<'_>) -> Option<String> {
    match Lifetime::of(image.base.as_ref()?) {
        Lifetime::Ended(day) | Lifetime::EndedVersion(day) => Some(format!(
            "{} is not maintained since {day}, and is the author's to replace",
            image.base_text.escape_debug()
        )),
        Lifetime::Maintained | Lifetime::Unknown => None,
    }
}

/// The image that the file is built on, or its slim variant where the author asks for that, and then what speaks against it: what packages were compiled
/// for may be missing.
pub(super) fn same_or_slim(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
) -> Result<(String, Option<Obstacle>), Refusal> {
    let written = image.stage.base_span.of(image.dockerfile.text()).to_owned();
    if wished(application) != Some(FinalBase::Slim) {
        return Ok((written, None));
    }
    let base = slim(image)?;
    let detail = format!("packages may need libraries of {written} that {base} does not hold");
    let missing = (base != written).then(|| Obstacle::doubt(SkipReason::RunTimeInputs, detail));
    Ok((base, missing))
}

/// The `-slim` variant of the image that a file is built on: the same version on the same release of Debian.
/// <https://hub.docker.com/_/node>, <https://hub.docker.com/_/python>, <https://hub.docker.com/_/ruby>
pub(super) fn slim(image: &ImageFacts<'_>) -> Result<String, Refusal> {
    is_literal(image)?;
    let declined = |detail: String| Err((SkipReason::FinalBase, detail));
    let (Some(base), Some(known)) = (&image.base, image.known_base) else {
        return declined(format!("nothing is known of a slim variant of {}", image.base_text));
    };
    let tag = base.tag().unwrap_or("latest");
    if tag.contains("slim") {
        return Ok(image.stage.base_span.of(image.dockerfile.text()).to_owned());
    }
    if base.digest().is_some() {
        return declined(format!("{} names a digest, and that of its slim variant is not known", image.base_text));
    }
    if tag.contains("alpine") {
        return declined(format!("{} has no slim variant, and needs none", image.base_text));
    }
    let is_release = |word: &str| ["trixie", "bookworm", "bullseye", "buster", "stretch"].contains(&word);
    let slim = match (tag, known.name.as_str()) {
        ("latest", _) => "slim".to_owned(),
        // Of these the word stands before that of the release.
        (tag, "python" | "ruby") => match tag.rsplit_once('-') {
            Some((version, release)) if is_release(release) => format!("{version}-slim-{release}"),
            None if is_release(tag) => format!("slim-{tag}"),
            _ => format!("{tag}-slim"),
        },
        (tag, _) => format!("{tag}-slim"),
    };
    Ok(format!("{}:{slim}", base.name()))
}
