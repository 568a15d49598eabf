//! One place where an image is named, and what becomes of it.

use super::super::{Proposal, Subject, Verdict};
use crate::change::Change;
use crate::dockerfile::Operation;
use crate::error::{Applicability, SkipReason};
use crate::facts::Surroundings;
use crate::image::Reference;
use crate::link::Link;
use crate::repository::FileId;
use crate::source::Span;
use crate::suppression;
use crate::yaml::{self, Action, Node, Route, Value};

/// Why a place is left alone.
pub(super) type Declined = (SkipReason, String);

/// A place where an image is named.
pub(super) struct Place {
    /// How reports name it.
    pub(super) subject: Subject,
    /// The image, or why it is left alone.
    pub(super) named: Result<Named, Declined>,
}

/// An image that a registry can be asked for.
pub(super) struct Named {
    /// What is pulled.
    pub(super) reference: Reference,
    /// Where it is written.
    pub(super) site: Site,
    /// How much of the reference stands there.
    pub(super) form: Form,
    /// What else there is to say where it is pinned.
    pub(super) note: Option<String>,
    /// Whether it may well be in no registry: then it is no failure when none tells of it.
    pub(super) is_doubtful: bool,
}

/// Where something is written.
pub(super) enum Site {
    /// Bytes of an instruction.
    Instruction { span: Span },
    /// The value of a parser directive, of which the reference is the first word.
    Directive { directive: usize, rest: String },
    /// A scalar.
    Scalar { document: usize, route: Route },
}

/// How much of a reference stands at its place.
pub(super) enum Form {
    /// All of it.
    Whole,
    /// The tag, and behind it the digest.
    Tag,
    /// The digest alone.
    Digest,
}

impl Site {
    pub(super) fn of(node: Node<'_>) -> Self {
        Self::Scalar { document: node.document().index(), route: node.route() }
    }
}

impl Place {
    pub(super) fn left(subject: Subject, reason: SkipReason, detail: impl Into<String>) -> Self {
        Self { subject, named: Err((reason, detail.into())) }
    }

    /// Leaves what would change if the author did not ask to leave it, so that no registry is asked about it either.
    pub(super) fn heed_suppression(&mut self, around: Surroundings<'_>) {
        let would_change = |named: &Named| named.reference.digest().is_none() || around.update;
        let text = around.repository.file(self.subject.file).text();
        if self.named.as_ref().is_ok_and(would_change)
            && let Some(why) = suppression::find(text, self.subject.offset, super::METADATA.id)
        {
            self.named = Err((SkipReason::Suppressed, why));
        }
    }

    /// What a registry has to be asked so that this place can be pinned, or its pin be replaced.
    pub(super) fn asks(&self, around: Surroundings<'_>) -> Option<Reference> {
        let Named { reference, is_doubtful, .. } = self.named.as_ref().ok()?;
        match reference.digest() {
            None => (!is_doubtful).then(|| reference.clone()),
            Some(_) => reference.without_digest().filter(|_| around.update),
        }
    }

    /// What a doubtful name stands for; and what there is to know of a pin that stays: whether it is of one platform alone, which never changes, and if
    /// so, whether its tag stands for more. Where one platform is what was asked for, that is no question.
    pub(super) fn asks_in_passing(&self, around: Surroundings<'_>) -> Option<Reference> {
        let Named { reference, is_doubtful, .. } = self.named.as_ref().ok()?;
        if reference.digest().is_none() {
            return (*is_doubtful && !around.digests.contains_key(reference)).then(|| reference.clone());
        }
        if around.update || around.config.platform.is_some() {
            return None;
        }
        match around.digests.get(reference) {
            None => Some(reference.clone()),
            Some(Ok(pinned)) if !pinned.media_type.is_index() => {
                reference.without_digest().filter(|tagged| !around.digests.contains_key(tagged))
            }
            Some(_) => None,
        }
    }

    pub(super) fn plan(self, around: Surroundings<'_>) -> Proposal {
        let Self { subject, named } = self;
        let named = match named {
            Ok(named) => named,
            Err((reason, detail)) => return Proposal::declined(subject, reason, detail),
        };
        if let Some(digest) = named.reference.digest().map(str::to_owned) {
            return named.keep_or_update(around, subject, &digest);
        }
        match around.digests.get(&named.reference) {
            Some(Ok(found)) => {
                let digest = found.digest.as_str();
                let detail = match &around.config.platform {
                    Some(platform) => format!("{digest}, for {platform}"),
                    None => digest.to_owned(),
                };
                named.pin(subject, digest, detail)
            }
            Some(Err((reason, detail))) => Proposal::declined(subject, *reason, detail.clone()),
            None => Proposal::declined(subject, SkipReason::Offline, "no registry was asked"),
        }
    }
}

impl Named {
    pub(super) fn new(reference: Reference, site: Site, form: Form) -> Self {
        Self { reference, site, form, note: None, is_doubtful: false }
    }

    /// What becomes of a pin.
    fn keep_or_update(&self, around: Surroundings<'_>, subject: Subject, digest: &str) -> Proposal {
        let of_one_platform =
            || matches!(around.digests.get(&self.reference), Some(Ok(pinned)) if !pinned.media_type.is_index());
        let Some(tagged) = self.reference.without_digest() else {
            let detail = match (of_one_platform(), around.update) {
                (_, true) => "there is no tag to update it from",
                (true, false) => "an image for one platform",
                (false, false) => return Proposal::already(subject, format!("pinned to {digest}")),
            };
            return Proposal::already(subject, format!("pinned to {digest}; {detail}"));
        };
        match around.digests.get(&tagged) {
            Some(Ok(now)) if now.digest.as_str() == digest => {
                Proposal::already(subject, format!("pinned to {digest}, as the tag stands for"))
            }
            Some(Ok(now)) if around.update => {
                let detail = format!("{} in place of {digest}", now.digest);
                self.pin(subject, now.digest.as_str(), detail)
            }
            Some(Ok(now)) if now.media_type.is_index() && of_one_platform() => {
                let detail = format!(
                    "{digest} is of one platform, while the tag stands for several ({}); --update writes that",
                    now.digest
                );
                Proposal::declined(subject, SkipReason::PlatformDigest, detail)
            }
            Some(Ok(now)) => {
                Proposal::already(subject, format!("pinned to {digest}; the tag stands for {} now", now.digest))
            }
            Some(Err((reason, detail))) if around.update => Proposal::declined(subject, *reason, detail.clone()),
            Some(Err(_)) | None => Proposal::already(subject, format!("pinned to {digest}")),
        }
    }

    fn pin(&self, subject: Subject, digest: &str, detail: String) -> Proposal {
        let text = match self.form {
            Form::Whole => self.reference.with_digest(digest),
            Form::Tag => format!("{}@{digest}", self.reference.tag().unwrap_or_default()),
            Form::Digest => digest.to_owned(),
        };
        let mut change = Change::default();
        match &self.site {
            Site::Instruction { span } => {
                change.dockerfile(subject.file, [Operation::Replace { span: *span, text }]);
            }
            Site::Directive { directive, rest } => {
                let value = format!("{text}{rest}");
                change.dockerfile(subject.file, [Operation::SetDirective { directive: *directive, value }]);
            }
            Site::Scalar { document, route } => {
                let action = Action::Replace { value: Value::Str(text) };
                change.manifest(subject.file, [yaml::Operation { document: *document, route: route.clone(), action }]);
            }
        }
        let detail = self.note.as_ref().map_or_else(|| detail.clone(), |note| format!("{detail}; {note}"));
        let verdict = Verdict::Change { change, applicability: Applicability::Safe, excuse: None, detail };
        Proposal { subject, verdict }
    }
}

/// Why an image is not a registry's to tell of: it is built here, or may be.
pub(super) fn built_here(around: Surroundings<'_>, link: &Link) -> Option<Declined> {
    let path = |file: FileId| around.repository.file(file).path.as_str();
    match link {
        Link::Linked { dockerfile, .. } | Link::Service { dockerfile, .. } => {
            Some((SkipReason::LocallyBuilt, format!("built from {}", path(*dockerfile))))
        }
        Link::Ambiguous(candidates) => {
            let paths: Vec<&str> = candidates.iter().map(|candidate| path(*candidate)).collect();
            let detail = format!("may be built from {}; say so with a [[link]] in unroot.toml", paths.join(" or "));
            Some((SkipReason::AmbiguousLink, detail))
        }
        Link::External => None,
    }
}
