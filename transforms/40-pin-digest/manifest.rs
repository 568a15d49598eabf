//! Images that the containers and volumes of pods name.

use super::super::Subject;
use super::place::{Declined, Form, Named, Place, Site, built_here};
use crate::error::SkipReason;
use crate::facts::{ContainerFacts, Surroundings};
use crate::image::Reference;
use crate::link::Link;
use crate::yaml::{Node, Route};

/// The image of a container, and with the first of a pod the images that its volumes are made of.
pub(super) fn places(around: Surroundings<'_>, container: &ContainerFacts<'_>) -> Vec<Place> {
    let mut places = vec![image(around, container)];
    if container.id.container == 0 {
        places.extend(volumes(around, container));
    }
    places
}

fn image(around: Surroundings<'_>, container: &ContainerFacts<'_>) -> Place {
    let offset = container.view.node().get("image").map_or(container.offset(), |image| image.span().start);
    let written = container.container.image.escape_debug();
    let subject = Subject { file: container.id.file, offset, label: format!("{} image {written}", container.label()) };
    let route = container.container.route.key("image");
    let found = Image { written: &container.container.image, holder: container.view.node(), policy: "imagePullPolicy" };
    Place { subject, named: found.named(around, container.link, container.workload.document, route) }
}

/// Volumes that hold what an image holds (<https://kubernetes.io/docs/concepts/storage/volumes/#image>).
fn volumes(around: Surroundings<'_>, container: &ContainerFacts<'_>) -> Vec<Place> {
    let workload = container.workload;
    let stream = &container.manifest.stream;
    let earlier = container.manifest.workloads.iter().take(container.id.workload);
    // What all pods of an object share belongs to the first.
    let told: Vec<Route> = earlier
        .filter(|earlier| (earlier.document, &earlier.route) == (workload.document, &workload.route))
        .flat_map(|earlier| earlier.volume_nodes(stream))
        .map(Node::route)
        .collect();
    let volumes = workload.volume_nodes(stream).into_iter().filter(|volume| !told.contains(&volume.route()));
    volumes
        .filter_map(|volume| {
            let image = volume.get("image")?;
            let reference = image.get("reference")?;
            let written = reference.as_str()?.into_owned();
            let name = volume.get("name").and_then(Node::as_str).unwrap_or_default();
            let label = format!("{} volume {} image {}", workload.label(), name.escape_debug(), written.escape_debug());
            let subject = Subject { file: container.id.file, offset: reference.span().start, label };
            let link = around.links.builder(around.repository, container.id.file, &written);
            let found = Image { written: &written, holder: image, policy: "pullPolicy" };
            Some(Place { subject, named: found.named(around, &link, workload.document, reference.route()) })
        })
        .collect()
}

/// An image as a pod names it.
struct Image<'a> {
    written: &'a str,
    /// The mapping that names it.
    holder: Node<'a>,
    /// The key that tells whether it is pulled.
    policy: &'static str,
}

impl Image<'_> {
    fn named(&self, around: Surroundings<'_>, link: &Link, document: usize, route: Route) -> Result<Named, Declined> {
        if let Some(declined) = built_here(around, link) {
            return Err(declined);
        }
        let reference = Reference::parse(self.written);
        let overridden = reference.as_ref().ok().and_then(|image| around.repository.kustomization_of(image.name()));
        if let Some(path) = overridden {
            return Err((SkipReason::KustomizeImages, format!("{path} overrides it; pin it there")));
        }
        let reference = reference.map_err(|error| (SkipReason::InvalidReference, error.to_string()))?;
        if self.holder.get(self.policy).and_then(Node::as_str).as_deref() == Some("Never") {
            return Err((SkipReason::LocallyBuilt, format!("{}: Never takes it from the node", self.policy)));
        }
        Ok(Named::new(reference, Site::Scalar { document, route }, Form::Whole))
    }
}
