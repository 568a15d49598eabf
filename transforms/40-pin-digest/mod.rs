#![doc = include_str!("README.md")]

mod dockerfile;
mod kustomization;
mod manifest;
mod overrides;
mod place;
mod values;

use super::{Metadata, Proposal, Transform};
use crate::facts::Application;
use crate::image::Reference;
use crate::repository::Role;
use place::Place;

static METADATA: Metadata = Metadata {
    number: 40,
    id: "pin-digest",
    title: "Pin images to the digest behind their tag",
    why: "A tag can be moved; a digest cannot. The tag stays beside it for people and for tools that keep pins up to date. The digest is the \
          multi-platform index's, so every platform keeps working.",
    readme: include_str!("README.md"),
};

/// Adds the digest to image references.
pub(super) struct PinDigest;

impl Transform for PinDigest {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn references(&self, application: &Application<'_>) -> Vec<Reference> {
        places(application).iter().filter_map(|place| place.asks(application.around)).collect()
    }

    fn pins(&self, application: &Application<'_>) -> Vec<Reference> {
        places(application).iter().filter_map(|place| place.asks_in_passing(application.around)).collect()
    }

    fn names(&self, application: &Application<'_>) -> Vec<Reference> {
        all_places(application).into_iter().filter_map(|place| Some(place.named.ok()?.reference)).collect()
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        places(application).into_iter().map(|place| place.plan(application.around)).collect()
    }
}

/// Every place of an application where an image is named; those that an author wants to be left are.
fn places(application: &Application<'_>) -> Vec<Place> {
    let mut places = all_places(application);
    for place in &mut places {
        place.heed_suppression(application.around);
    }
    places
}

/// Every place of an application where an image is named.
fn all_places(application: &Application<'_>) -> Vec<Place> {
    let mut places = Vec::new();
    if let Some(image) = &application.image {
        places.extend(dockerfile::places(application.around, image));
    }
    for container in &application.containers {
        places.extend(manifest::places(application.around, container));
    }
    if let Some((file, manifest)) = application.overrides {
        places.extend(match manifest.role {
            Role::Objects => Vec::new(),
            Role::Kustomization => kustomization::places(application.around, file, manifest),
            Role::Values => values::places(application.around, file, manifest),
        });
    }
    places
}
