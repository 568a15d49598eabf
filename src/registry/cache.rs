//! What registries answered before, kept on the disk between runs.
//!
//! Two kinds of entries. Bodies (indices, manifests, configurations) are named by their digest and count for ever, since they are hashed each time they are
//! read. What a tag stands for is kept with the host that said so and the time, and counts for as long as the user thinks it does. Nothing of a login is
//! kept.

use super::{NetworkSettings, ResolveError, Resolver, chain, online};
use crate::image::{Digest, ImageConfig, MediaType, Reference, Resolved};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Longest body that is kept, in bytes. Those of real images have a few thousand.
const BODY_SIZE_MAX: usize = 1 << 20;

/// The version of what is written, in the names of tag entries: another one does not see them.
const VERSION: u32 = 1;

/// Where entries are kept. Failing to read or write one costs that one and nothing else.
pub trait Storage: Send + Sync {
    /// The entry of this name: words in lower case with `/` between them.
    fn read(&self, name: &str) -> Option<Vec<u8>>;

    /// Keeps an entry, all of it or nothing, in the place of an earlier one.
    fn write(&self, name: &str, bytes: &[u8]);
}

/// Which answers about tags count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Those that are no older than this.
    Below(Duration),
    /// All.
    Any,
    /// None; what is answered now is kept all the same.
    None,
}

/// A cache in front of another resolver.
pub struct Cached<R> {
    storage: Arc<dyn Storage>,
    settings: NetworkSettings,
    age: Age,
    /// Seconds since 1970.
    now: u64,
    inner: R,
}

/// What a tag entry says, and of what.
#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    question: Question,
    digest: String,
    media_type: String,
    /// Seconds since 1970.
    time: u64,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    /// With `http://` before it where anybody on the way could have answered.
    host: String,
    repository: String,
    /// A tag or a digest.
    version: String,
    platform: Option<String>,
}

impl Question {
    fn name(&self) -> String {
        let parts = [&self.host, &self.repository, &self.version, self.platform.as_deref().unwrap_or_default()];
        format!("tags-{VERSION}/{}", hex(&Digest::of(parts.join("\n").as_bytes())))
    }
}

impl<R: Resolver> Cached<R> {
    /// `settings` are those of `inner`, and `now` is in seconds since 1970.
    pub fn new(storage: Arc<dyn Storage>, settings: NetworkSettings, age: Age, now: u64, inner: R) -> Self {
        Self { storage, settings, age, now, inner }
    }

    fn question(&self, reference: &Reference) -> Question {
        let (host, repository) = online::asked(&self.settings, reference);
        let plain = self.settings.registries.get(reference.registry()).is_some_and(|settings| settings.plain_http);
        let host = if plain { format!("http://{host}") } else { host };
        Question {
            host,
            repository,
            version: online::version(reference).to_owned(),
            platform: self.settings.platform.as_ref().map(ToString::to_string),
        }
    }

    /// A digest names the same for ever, and its body tells what that is.
    fn answer(&self, reference: &Reference) -> Option<Resolved> {
        if let (Some(digest), None) = (reference.digest().and_then(Digest::parse), &self.settings.platform)
            && let Some(media_type) = chain::stored_type(self.storage.as_ref(), &digest)
        {
            return Some(Resolved { digest, media_type });
        }
        let question = self.question(reference);
        let entry: Entry = serde_json::from_slice(&self.storage.read(&question.name())?).ok()?;
        let counts = match self.age {
            _ if reference.digest().is_some() => true,
            Age::Any => true,
            // A time to come is that of another clock.
            Age::Below(age) => self.now.checked_sub(entry.time).is_some_and(|old| old < age.as_secs()),
            Age::None => false,
        };
        let digest = Digest::parse(&entry.digest).filter(|_| counts && entry.question == question)?;
        let media_type = MediaType::parse(&entry.media_type)?;
        let is_it = self.settings.platform.is_some() || reference.digest().is_none_or(|asked| asked == digest.as_str());
        is_it.then_some(Resolved { digest, media_type })
    }

    /// What a tag stands for tells what its digest names, too: nobody needs to be asked for that once it is pinned.
    fn keep(&self, reference: &Reference, resolved: &Resolved) {
        self.keep_one(reference, resolved);
        if reference.digest().is_none()
            && self.settings.platform.is_none()
            && let Ok(pinned) = Reference::parse(&reference.with_digest(resolved.digest.as_str()))
        {
            self.keep_one(&pinned, resolved);
        }
    }

    fn keep_one(&self, reference: &Reference, resolved: &Resolved) {
        let question = self.question(reference);
        let name = question.name();
        let (digest, media_type) = (resolved.digest.as_str().to_owned(), resolved.media_type.as_str().to_owned());
        if let Ok(text) = serde_json::to_vec(&Entry { question, digest, media_type, time: self.now }) {
            self.storage.write(&name, &text);
        }
    }
}

impl<R: Resolver> Resolver for Cached<R> {
    fn are_named(&self, references: &BTreeSet<Reference>) {
        self.inner.are_named(references);
    }

    fn resolve(&self, references: &[Reference]) -> BTreeMap<Reference, Result<Resolved, ResolveError>> {
        let mut answers = BTreeMap::new();
        let mut lacking = Vec::new();
        for reference in references {
            match self.answer(reference) {
                Some(resolved) => {
                    answers.insert(reference.clone(), Ok(resolved));
                }
                None => lacking.push(reference.clone()),
            }
        }
        if lacking.is_empty() {
            return answers;
        }
        for (reference, answer) in self.inner.resolve(&lacking) {
            if let Ok(resolved) = &answer {
                self.keep(&reference, resolved);
            }
            answers.insert(reference, answer);
        }
        answers
    }

    fn configs(&self, references: &[Reference]) -> BTreeMap<Reference, Result<ImageConfig, ResolveError>> {
        let tagged: Vec<Reference> = references.iter().filter(|named| named.digest().is_none()).cloned().collect();
        let mut digests = self.resolve(&tagged);
        let mut answers = BTreeMap::new();
        let mut asked: BTreeMap<Reference, Vec<Reference>> = BTreeMap::new();
        for reference in references {
            let pinned = match digests.remove(reference) {
                None => reference.clone(),
                Some(Ok(resolved)) => match Reference::parse(&reference.with_digest(resolved.digest.as_str())) {
                    Ok(pinned) => pinned,
                    Err(_) => continue,
                },
                Some(Err(error)) => {
                    answers.insert(reference.clone(), Err(error));
                    continue;
                }
            };
            match pinned
                .digest()
                .and_then(|digest| chain::stored_config(self.storage.as_ref(), &Digest::parse(digest)?))
            {
                Some(config) => {
                    answers.insert(reference.clone(), Ok(config));
                }
                None => asked.entry(pinned).or_default().push(reference.clone()),
            }
        }
        if asked.is_empty() {
            return answers;
        }
        for (pinned, answer) in self.inner.configs(&asked.keys().cloned().collect::<Vec<_>>()) {
            for reference in asked.remove(&pinned).unwrap_or_default() {
                answers.insert(reference, answer.clone());
            }
        }
        answers
    }
}

/// What bodies are of, which is where they lie: one that was read as a configuration is never read as a manifest.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    Manifest,
    Config,
}

impl Body {
    /// The body with this digest. One that has another digest by now is none.
    pub(super) fn read(self, storage: &dyn Storage, digest: &Digest) -> Option<Vec<u8>> {
        storage.read(&self.name(digest)).filter(|bytes| Digest::of(bytes) == *digest)
    }

    /// Keeps a body that has this digest.
    pub(super) fn keep(self, storage: &dyn Storage, digest: &Digest, bytes: &[u8]) {
        if bytes.len() <= BODY_SIZE_MAX {
            storage.write(&self.name(digest), bytes);
        }
    }

    fn name(self, digest: &Digest) -> String {
        let folder = match self {
            Self::Manifest => "manifests",
            Self::Config => "configs",
        };
        format!("{folder}/{}", hex(digest))
    }
}

fn hex(digest: &Digest) -> &str {
    digest.as_str().trim_start_matches("sha256:")
}
