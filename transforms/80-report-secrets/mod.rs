#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::dockerfile::Keyword;
use crate::error::SkipReason;
use crate::facts::{Application, is_secret};

static METADATA: Metadata = Metadata {
    number: 80,
    id: "report-secrets",
    title: "Tell of variables that look like secrets",
    why: "What ARG and ENV hold can be read from the image by everybody who can pull it.",
    readme: include_str!("README.md"),
};

/// Names variables that look like secrets, and changes nothing.
pub(super) struct ReportSecrets;

impl Transform for ReportSecrets {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        let Some(image) = &application.image else { return Vec::new() };
        let dockerfile = image.dockerfile;
        let mut found = Vec::new();
        for index in dockerfile.effective(image.stage) {
            let instruction = &dockerfile.instructions()[index];
            if !matches!(instruction.keyword, Keyword::Arg | Keyword::Env) {
                continue;
            }
            let keyword = instruction.keyword.as_str();
            for pair in dockerfile.pairs(instruction).into_iter().filter(|pair| is_secret(&pair.key)) {
                // Empty, it is a place for what is given when the container starts.
                if instruction.keyword == Keyword::Env && pair.value.as_deref().is_none_or(str::is_empty) {
                    continue;
                }
                let label = format!("{keyword} {}", pair.key.escape_debug());
                let subject = Subject { file: image.file, offset: pair.key_span.start, label };
                let detail = match instruction.keyword {
                    Keyword::Arg => {
                        "looks like a secret, and stays in the history of the image; RUN --mount=type=secret does not"
                    }
                    _ => "looks like a secret, and is written into the image; give it to the container instead",
                };
                found.push(Proposal::declined(subject, SkipReason::SecretInImage, detail));
            }
        }
        found
    }
}
