//! Digests and configurations that are known beforehand, for tests and for runs that must not depend on the day they are made.

use super::{DEFAULT_TAG, ResolveError, Resolver};
use crate::image::{Digest, ImageConfig, MediaType, Reference, Resolved};
use std::collections::BTreeMap;

/// Answers from a list. As with a registry, `node` and `docker.io/library/node:latest` are the same question.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    resolved: BTreeMap<(String, String, String), Result<Resolved, ResolveError>>,
    configs: BTreeMap<(String, String, String), Result<ImageConfig, ResolveError>>,
}

impl Recorded {
    /// An empty list: everything is refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records the answer to one reference; a later record of the same image and tag or digest replaces an earlier one.
    pub fn record(&mut self, reference: &Reference, answer: Result<Resolved, ResolveError>) {
        self.resolved.insert(question(reference), answer);
    }

    /// Records the configuration of an image. A reference without a tag is told apart by its digest.
    pub fn record_config(&mut self, reference: &Reference, answer: Result<ImageConfig, ResolveError>) {
        self.configs.insert(image(reference), answer);
    }
}

impl FromIterator<(Reference, Digest)> for Recorded {
    fn from_iter<I: IntoIterator<Item = (Reference, Digest)>>(records: I) -> Self {
        let mut recorded = Self::new();
        for (reference, digest) in records {
            recorded.record(&reference, Ok(Resolved { digest, media_type: MediaType::OciIndex }));
        }
        recorded
    }
}

impl Resolver for Recorded {
    fn resolve(&self, references: &[Reference]) -> BTreeMap<Reference, Result<Resolved, ResolveError>> {
        let answer = |reference: &Reference| match self.resolved.get(&question(reference)) {
            Some(answer) => answer.clone(),
            None => Err(ResolveError::Refused(format!("no digest is recorded for {reference}"))),
        };
        references.iter().map(|reference| (reference.clone(), answer(reference))).collect()
    }

    fn configs(&self, references: &[Reference]) -> BTreeMap<Reference, Result<ImageConfig, ResolveError>> {
        let answer = |reference: &Reference| match self.configs.get(&image(reference)) {
            Some(answer) => answer.clone(),
            None => Err(ResolveError::Refused(format!("no configuration is recorded for {reference}"))),
        };
        references.iter().map(|reference| (reference.clone(), answer(reference))).collect()
    }
}

/// As a registry is asked: by the digest where there is one.
fn question(reference: &Reference) -> (String, String, String) {
    under(reference, reference.digest().or(reference.tag()))
}

/// A digest beside a tag is what the tag stood for when it was written; alone it is all there is.
fn image(reference: &Reference) -> (String, String, String) {
    under(reference, reference.tag().or(reference.digest()))
}

fn under(reference: &Reference, version: Option<&str>) -> (String, String, String) {
    let version = version.unwrap_or(DEFAULT_TAG);
    (reference.registry().to_owned(), reference.repository().to_owned(), version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_told_apart_by_tag_and_else_by_digest() {
        let parse = |written: &str| Reference::parse(written).unwrap();
        let digest = format!("sha256:{}", "a".repeat(64));
        let alone = parse(&format!("app@{digest}"));
        let config = |user: &str| Ok(ImageConfig { user: user.to_owned(), ..ImageConfig::default() });
        let mut recorded = Recorded::new();
        recorded.record_config(&parse("app:1"), config("1000"));
        recorded.record_config(&alone, config("2000"));
        let pinned = parse(&format!("app:1@{digest}"));
        let answers = recorded.configs(&[pinned.clone(), alone.clone(), parse("app")]);
        assert_eq!((&answers[&pinned], &answers[&alone]), (&config("1000"), &config("2000")));
        let refused = ResolveError::Refused("no configuration is recorded for app".to_owned());
        assert_eq!(answers[&parse("app")], Err(refused));
    }

    #[test]
    fn spellings_of_one_image_share_a_record_and_others_are_refused() {
        let parse = |written: &str| Reference::parse(written).unwrap();
        let digest = Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap();
        let recorded = Recorded::from_iter([(parse("node"), digest.clone())]);
        let answers = recorded.resolve(&[parse("index.docker.io/library/node:latest"), parse("node:20")]);
        let resolved = Resolved { digest, media_type: MediaType::OciIndex };
        assert_eq!(answers[&parse("index.docker.io/library/node:latest")], Ok(resolved));
        assert_eq!(
            answers[&parse("node:20")],
            Err(ResolveError::Refused("no digest is recorded for node:20".to_owned()))
        );
    }
}
