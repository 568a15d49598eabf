//! Images that a Dockerfile names: its frontend, the bases of its stages, and what it copies or mounts files from.

use super::super::Subject;
use super::place::{Declined, Form, Named, Place, Site, built_here};
use crate::dockerfile::{Base, Dockerfile, Instruction, Keyword, Origin, Source, Stage};
use crate::error::SkipReason;
use crate::facts::{ImageFacts, Surroundings};
use crate::image::Reference;
use crate::link::{How, Link};
use crate::source::Span;

/// All of them, each once: stages that start from one `ARG` share its default.
pub(super) fn places(around: Surroundings<'_>, image: &ImageFacts<'_>) -> Vec<Place> {
    let file = Names { around, image };
    let dockerfile = image.dockerfile;
    let mut places: Vec<Place> = file.frontend().into_iter().collect();
    let mut written: Vec<Span> = Vec::new();
    for stage in dockerfile.stages() {
        if matches!(stage.base, Base::Image { .. } | Base::Unknown { .. }) {
            places.extend(file.base(stage, &mut written));
        }
    }
    for (index, instruction) in dockerfile.instructions().iter().enumerate() {
        let sources = dockerfile.copy_sources(instruction).into_iter();
        places.extend(sources.filter_map(|source| file.source(index, instruction, &source)));
    }
    places
}

/// A Dockerfile and what is around it.
struct Names<'a> {
    around: Surroundings<'a>,
    image: &'a ImageFacts<'a>,
}

impl Names<'_> {
    fn dockerfile(&self) -> &Dockerfile {
        self.image.dockerfile
    }

    fn subject(&self, offset: usize, label: String) -> Subject {
        Subject { file: self.image.file, offset, label }
    }

    /// `# syntax=`: the image that reads the file, and its arguments (<https://docs.docker.com/build/buildkit/frontend/>).
    fn frontend(&self) -> Option<Place> {
        let mut directives = self.dockerfile().directives().iter().enumerate();
        let (index, directive) = directives.find(|(_, directive)| directive.name == "syntax")?;
        let (written, rest) = match directive.value.split_once(' ') {
            Some((written, rest)) => (written, format!(" {rest}")),
            None => (directive.value.as_str(), String::new()),
        };
        let subject = self.subject(directive.span.start, format!("# syntax={}", written.escape_debug()));
        let named = parsed(written).and_then(|reference| {
            let link = match self.around.links.builder(self.around.repository, self.image.file, written) {
                // A folder that is called like a frontend builds something else, unless somebody says so.
                Link::Linked { how: How::Named, .. } | Link::Ambiguous(_) => Link::External,
                link => link,
            };
            self.is_pulled(&reference, &link)?;
            self.is_for_any_platform("a frontend runs where the build runs")?;
            Ok(Named::new(reference, Site::Directive { directive: index, rest }, Form::Whole))
        });
        Some(Place { subject, named })
    }

    /// The base of a stage; `None` when another stage of the same base told of it.
    fn base(&self, stage: &Stage, written: &mut Vec<Span>) -> Option<Place> {
        let dockerfile = self.dockerfile();
        let instruction = &dockerfile.instructions()[stage.from];
        let in_from = stage.base_span.of(dockerfile.text()).escape_debug();
        let subject = self.subject(instruction.span.start, format!("FROM {in_from}"));
        let found = match dockerfile.named_base(stage) {
            Ok(found) => found,
            Err(why) => {
                let is_literal = matches!(stage.base, Base::Image { literal: true, .. });
                let reason = if is_literal { SkipReason::NotEditable } else { SkipReason::VariableReference };
                return Some(Place::left(subject, reason, why));
            }
        };
        if written.contains(&found.span) {
            return None;
        }
        written.push(found.span);
        let subject = if found.instruction == stage.from {
            subject
        } else {
            let offset = dockerfile.instructions()[found.instruction].span.start;
            self.subject(offset, format!("ARG {} of FROM {in_from}", found.reference.escape_debug()))
        };
        let named = self.named(&found.reference, found.span).and_then(|named| {
            let is_same = |stage: &&Stage| dockerfile.named_base(stage).is_ok_and(|named| named.span == found.span);
            self.are_for_that_platform(dockerfile.stages().iter().filter(is_same))?;
            let given = self.around.links.arguments().get(&self.image.file);
            let is_given = |name: &&String| given.is_some_and(|given| given.contains_key(*name));
            let given = found.argument.as_ref().filter(is_given);
            let note =
                given.map(|name| format!("builds that give {} another value are not pinned", name.escape_debug()));
            Ok(Named { note, ..named })
        });
        Some(Place { subject, named })
    }

    /// With `--platform`, that none of these stages asks for another one. `$TARGETPLATFORM` is what the image is built for.
    fn are_for_that_platform<'s>(&self, mut stages: impl Iterator<Item = &'s Stage>) -> Result<(), Declined> {
        let Some(wanted) = self.around.config.platform.as_ref().map(ToString::to_string) else { return Ok(()) };
        let is_other =
            |platform: &&str| *platform != wanted && !matches!(*platform, "$TARGETPLATFORM" | "${TARGETPLATFORM}");
        let other = stages.find_map(|stage| {
            let flag = self.dockerfile().instructions()[stage.from].flag("platform")?;
            flag.value.as_deref().filter(is_other).map(|platform| platform.escape_debug().to_string())
        });
        other.map_or(Ok(()), |platform| self.is_for_any_platform(&format!("--platform={platform} asks for it")))
    }

    /// What `COPY --from` and `RUN --mount=from` name, where it is no stage. Nothing is taken from `scratch`.
    fn source(&self, index: usize, instruction: &Instruction, source: &Source) -> Option<Place> {
        let Origin::Image(written) = &source.origin else { return None };
        let flag = if instruction.keyword == Keyword::Copy { "COPY --from" } else { "RUN --mount=from" };
        let subject = self.subject(instruction.span.start, format!("{flag}={}", written.escape_debug()));
        let named = if written == "scratch" {
            return None;
        } else if written.contains('$') {
            Err((SkipReason::VariableReference, "variables stand in it".to_owned()))
        } else if written.bytes().all(|byte| byte.is_ascii_digit()) {
            Err((SkipReason::InvalidReference, "there is no stage of this number to take files from".to_owned()))
        } else if source.span.of(self.dockerfile().text()) != written {
            Err((SkipReason::NotEditable, "quotes, escape characters or a line end stand in it".to_owned()))
        } else {
            self.named(written, source.span).and_then(|named| {
                // It is taken for the platform of the stage.
                let stage = self.dockerfile().stage_of(index);
                self.are_for_that_platform(stage.into_iter().flat_map(|stage| self.dockerfile().chain(stage)))?;
                Ok(named)
            })
        };
        Some(Place { subject, named })
    }

    fn named(&self, written: &str, span: Span) -> Result<Named, Declined> {
        let reference = parsed(written)?;
        let link = self.around.links.builder(self.around.repository, self.image.file, written);
        self.is_pulled(&reference, &link)?;
        Ok(Named::new(reference, Site::Instruction { span }, Form::Whole))
    }

    /// Whether it comes from a registry: it is neither built here nor what a build context of this name holds.
    fn is_pulled(&self, reference: &Reference, link: &Link) -> Result<(), Declined> {
        if let Some(declined) = built_here(self.around, link) {
            return Err(declined);
        }
        let contexts = self.around.links.contexts(self.image.file);
        let same = |name: &str| {
            Reference::parse(name).is_ok_and(|named| {
                let place =
                    |reference: &Reference| (reference.registry().to_owned(), reference.repository().to_owned());
                place(&named) == place(reference) && (named.tag().is_none() || named.tag() == reference.tag())
            })
        };
        match contexts.into_iter().find(|context| same(&context.name)) {
            Some(context) => {
                let name = context.name.escape_debug();
                Err((SkipReason::NamedContext, format!("{} gives a build context named {name}", context.path)))
            }
            None => Ok(()),
        }
    }

    /// With `--platform`, what is pinned runs on that platform alone.
    fn is_for_any_platform(&self, why: &str) -> Result<(), Declined> {
        match &self.around.config.platform {
            Some(platform) => Err((SkipReason::OtherPlatform, format!("{why}, whatever {platform} is built for"))),
            None => Ok(()),
        }
    }
}

fn parsed(written: &str) -> Result<Reference, Declined> {
    Reference::parse(written).map_err(|error| (SkipReason::InvalidReference, error.to_string()))
}
