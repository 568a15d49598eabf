//! Images that a kustomization names for manifests that stand elsewhere.

use super::super::Subject;
use super::place::{Declined, Form, Named, Place, Site, built_here};
use crate::error::SkipReason;
use crate::facts::Surroundings;
use crate::image::{Reference, is_public};
use crate::kubernetes::{ImageOverride, image_overrides};
use crate::repository::{FileId, Manifest};
use crate::yaml::Node;

/// The entries of `images`.
pub(super) fn places(around: Surroundings<'_>, file: FileId, manifest: &Manifest) -> Vec<Place> {
    let images = image_overrides(&manifest.stream);
    let places = images.iter().enumerate();
    places.map(|(index, image)| place(around, file, image, images.get(index + 1..).unwrap_or_default())).collect()
}

/// `later` are the entries behind it, which are applied to what it makes.
fn place(around: Surroundings<'_>, file: FileId, image: &ImageOverride<'_>, later: &[ImageOverride<'_>]) -> Place {
    let shown = [("name", Some(image.name)), ("newName", image.new_name), ("newTag", image.new_tag)];
    let shown = shown.iter().filter_map(|(key, node)| Some(format!("{key} {}", node.as_ref()?.text().escape_debug())));
    let label = format!("images entry {}", shown.collect::<Vec<_>>().join(", "));
    let subject = Subject { file, offset: image.node.span().start, label };
    let named = name_of(image).and_then(|(reference, site, form)| {
        // Older versions of kustomize do not find a name again that has both a tag and a digest, and oldest ones apply the first entry alone.
        if later.iter().any(|later| later.name.text() == reference.name()) {
            let detail = "an entry further down overrides it once more; pin it there";
            return Err((SkipReason::KustomizeImages, detail.to_owned()));
        }
        let path = around.repository.file(file).path.as_str();
        if let Some(again) = around.repository.overridden_again(path, reference.name()) {
            return Err((SkipReason::KustomizeImages, format!("{again} overrides it once more; pin it there")));
        }
        let (old, new) = (image.name.text(), reference.name());
        let names = if is_public(new) { vec![new] } else { vec![new, old.as_ref()] };
        let built = |name: &&str| built_here(around, &around.links.builder(around.repository, file, name));
        match names.iter().find_map(built) {
            Some(declined) => Err(declined),
            None => {
                // As `controller:latest`, which stands there until a build sets the image.
                let is_doubtful = !new.contains('/') && !is_public(new);
                Ok(Named { is_doubtful, ..Named::new(reference.clone(), Site::of(site), form) })
            }
        }
    });
    Place { subject, named }
}

/// What manifests say after an entry was applied, and where a digest belongs: behind `newTag`, because a `digest` beside it makes versions of kustomize
/// drop the tag and Renovate leave the entry (<https://docs.renovatebot.com/modules/manager/kustomize/>).
fn name_of<'a>(image: &ImageOverride<'a>) -> Result<(Reference, Node<'a>, Form), Declined> {
    let text = |node: Node<'_>| {
        let text = node.as_str().map(|text| text.into_owned());
        text.ok_or_else(|| (SkipReason::InvalidReference, format!("`{}` is no string", node.raw().escape_debug())))
    };
    let parse =
        |written: String| Reference::parse(&written).map_err(|error| (SkipReason::InvalidReference, error.to_string()));
    let name = text(image.new_name.unwrap_or(image.name))?;
    match (image.new_tag, image.digest) {
        (Some(tag), Some(digest)) => {
            Ok((parse(format!("{name}:{}@{}", text(tag)?, text(digest)?))?, digest, Form::Digest))
        }
        (None, Some(digest)) => Ok((parse(format!("{name}@{}", text(digest)?))?, digest, Form::Digest)),
        (Some(tag), None) => Ok((parse(format!("{name}:{}", text(tag)?))?, tag, Form::Tag)),
        (None, None) => {
            let reference = parse(name)?;
            let detail = "the manifests say which tag, and a digest here would take its place";
            match image.new_name.filter(|_| image.tag_suffix.is_none()) {
                Some(new) if reference.tag().is_some() || reference.digest().is_some() => {
                    Ok((reference, new, Form::Whole))
                }
                _ => Err((SkipReason::KustomizeImages, detail.to_owned())),
            }
        }
    }
}
