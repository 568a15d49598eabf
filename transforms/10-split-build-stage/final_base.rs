//! What the final stage is started from: which bases the recipes offer, which one the author asks for, and whether it is still maintained.

use super::Refusal;
use crate::config::FinalBase;
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts, Obstacle, Stack};
use crate::image::{Lifetime, Reference};

/// The base that the author asks for.
pub(super) fn wished(application: &Application<'_>) -> Option<FinalBase> {
    application.around.config.final_base
}

/// Whether the recipe for a language ends on the base that the author asks for; where none is asked for, each has its own.
pub(super) fn offers(application: &Application<'_>, stack: Stack) -> Result<(), Refusal> {
    let Some(wish) = wished(application) else { return Ok(()) };
    let offered: &[FinalBase] = match stack {
        Stack::Go => &[FinalBase::Distroless, FinalBase::Scratch],
        Stack::Node => &[FinalBase::Keep, FinalBase::Slim, FinalBase::Distroless],
        Stack::Python | Stack::Ruby => &[FinalBase::Keep, FinalBase::Slim],
        Stack::Rust => &[FinalBase::Slim, FinalBase::Distroless],
        Stack::Java | Stack::DotNet | Stack::Php => &[],
    };
    if offered.contains(&wish) {
        return Ok(());
    }
    let names: Vec<&str> = offered.iter().map(|base| base.as_str()).collect();
    let names = if names.is_empty() { "the base of its recipe".to_owned() } else { names.join(" or ") };
    let detail = format!("a program in {stack} can be put on {names}, not on {}", wish.as_str());
    Err((SkipReason::FinalBase, detail))
}

/// Whether a base may be written into a file: it is the author's own, or the table knows that it is maintained.
pub(super) fn is_maintained(image: &ImageFacts<'_>, base: &str) -> Result<(), Refusal> {
    let name = base.split_whitespace().last().unwrap_or_default();
    if name == "scratch" || name == image.stage.base_span.of(image.dockerfile.text()) {
        return Ok(());
    }
    let state = Reference::parse(name).map_or(Lifetime::Unknown, |reference| Lifetime::of(&reference));
    let detail = match state {
        Lifetime::Maintained => return Ok(()),
        Lifetime::Ended(day) => format!("{name} is not maintained since {day}"),
        Lifetime::Unknown => format!("nothing is known of how long {name} is maintained"),
    };
    Err((SkipReason::RetiredBase, detail))
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
