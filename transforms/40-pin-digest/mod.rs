#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::dockerfile::{Base, Operation};
use crate::error::{Applicability, SkipReason};
use crate::facts::{Application, ContainerFacts, ImageFacts};
use crate::image::{Reference, Resolved};
use crate::link::Link;
use crate::source::Span;
use crate::yaml::{self, Action, Value};

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
        let bases = application.image.iter().flat_map(|image| bases(image)).filter_map(|base| base.reference.ok());
        let containers = application.containers.iter().filter_map(wanted).map(|(reference, _)| reference);
        bases.chain(containers).filter(|reference| reference.digest().is_none()).collect()
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        let mut proposals = Vec::new();
        if let Some(image) = &application.image {
            proposals.extend(bases(image).into_iter().map(|base| plan_base(application, image, base)));
        }
        proposals.extend(application.containers.iter().map(|container| plan_container(application, container)));
        proposals
    }
}

/// The base of a stage that is an image.
struct StageBase {
    span: Span,
    offset: usize,
    written: String,
    reference: Result<Reference, (SkipReason, String)>,
}

fn bases(image: &ImageFacts<'_>) -> Vec<StageBase> {
    let stages = image.dockerfile.stages().iter();
    stages
        .filter_map(|stage| {
            let reference = match &stage.base {
                Base::Scratch | Base::Stage(_) => return None,
                Base::Image { reference, literal: true } => {
                    Reference::parse(reference).map_err(|error| (SkipReason::InvalidReference, error.to_string()))
                }
                Base::Image { .. } | Base::Unknown { .. } => Err((
                    SkipReason::VariableReference,
                    "variables stand in it, and a digest beside them would make them ineffective".to_owned(),
                )),
            };
            let offset = image.dockerfile.instructions()[stage.from].span.start;
            let written = stage.base_span.of(image.dockerfile.text()).escape_debug().to_string();
            Some(StageBase { span: stage.base_span, offset, written, reference })
        })
        .collect()
}

fn plan_base(application: &Application<'_>, image: &ImageFacts<'_>, base: StageBase) -> Proposal {
    let subject = Subject { file: image.file, offset: base.offset, label: format!("FROM {}", base.written) };
    let reference = match base.reference {
        Ok(reference) => reference,
        Err((reason, detail)) => return Proposal::declined(subject, reason, detail),
    };
    pin(application, subject, &reference, |change, text| {
        change.dockerfile(image.file, [Operation::Replace { span: base.span, text }]);
    })
}

/// The reference of a container that a registry can be asked for, and its place.
fn wanted(container: &ContainerFacts<'_>) -> Option<(Reference, yaml::Route)> {
    if !matches!(container.link, Link::External) {
        return None;
    }
    let pull_never =
        container.view.node().get("imagePullPolicy").and_then(|policy| policy.as_str()).as_deref() == Some("Never");
    let reference = container.reference.clone()?;
    (!pull_never).then(|| (reference, container.container.route.key("image")))
}

fn plan_container(application: &Application<'_>, container: &ContainerFacts<'_>) -> Proposal {
    let offset = container.view.node().get("image").map_or(container.offset(), |image| image.span().start);
    let image = container.container.image.escape_debug();
    let subject = Subject { file: container.id.file, offset, label: format!("{} image {image}", container.label()) };
    match container.link {
        Link::Linked { dockerfile, .. } | Link::Service { dockerfile, .. } => {
            let path = &application.around.repository.file(*dockerfile).path;
            return Proposal::declined(subject, SkipReason::LocallyBuilt, format!("built from {path}"));
        }
        Link::Ambiguous(candidates) => {
            let paths: Vec<_> =
                candidates.iter().map(|id| application.around.repository.file(*id).path.as_str()).collect();
            let detail = format!("may be built from {}; say so with a [[link]] in unroot.toml", paths.join(" or "));
            return Proposal::declined(subject, SkipReason::AmbiguousLink, detail);
        }
        Link::External => {}
    }
    let named = container.reference.as_ref().map(Reference::name);
    if let Some(path) = named.and_then(|name| application.around.repository.kustomization_of(name)) {
        return Proposal::declined(subject, SkipReason::KustomizeImages, format!("{path} overrides it; pin it there"));
    }
    if let Err(error) = Reference::parse(&container.container.image) {
        return Proposal::declined(subject, SkipReason::InvalidReference, error.to_string());
    }
    let Some((reference, route)) = wanted(container) else {
        return Proposal::declined(subject, SkipReason::LocallyBuilt, "imagePullPolicy: Never takes it from the node");
    };
    pin(application, subject, &reference, |change, text| {
        let document = container.workload.document;
        change.manifest(
            container.id.file,
            [yaml::Operation { document, route, action: Action::Replace { value: Value::Str(text) } }],
        );
    })
}

fn pin(
    application: &Application<'_>,
    subject: Subject,
    reference: &Reference,
    write: impl FnOnce(&mut Change, String),
) -> Proposal {
    if let Some(digest) = reference.digest() {
        return Proposal::already(subject, format!("pinned to {digest}"));
    }
    match application.around.digests.get(reference) {
        Some(Ok(Resolved { digest, .. })) => {
            let mut change = Change::default();
            write(&mut change, reference.with_digest(digest.as_str()));
            let verdict = super::Verdict::Change {
                change,
                applicability: Applicability::Safe,
                excuse: None,
                detail: digest.to_string(),
            };
            Proposal { subject, verdict }
        }
        Some(Err((reason, detail))) => Proposal::declined(subject, *reason, detail.clone()),
        None => Proposal::declined(subject, SkipReason::Offline, "no registry was asked"),
    }
}
