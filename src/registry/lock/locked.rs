//! Answers from the lock, and asks somebody else for what it lacks.

use super::{FILE_NAME, Lock, Moment, Question, Row};
use crate::facts::kept;
use crate::image::{ImageConfig, Platform, Reference, Resolved};
use crate::registry::{ResolveError, Resolver};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

/// What becomes of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// What the lock lacks is asked for.
    Fill,
    /// The same, and what tags stand for is asked for anew.
    Update,
    /// Nothing is asked for.
    Only,
}

/// A lock in front of another resolver. It remembers what was asked and answered, for [`Self::brought_up_to_date`].
pub struct Locked<R> {
    lock: Lock,
    rule: Rule,
    platform: Option<Platform>,
    inner: R,
    seen: Mutex<Seen>,
}

/// What came up in this run.
#[derive(Default)]
struct Seen {
    answers: BTreeMap<Question, Resolved>,
    /// By digest.
    configs: BTreeMap<String, ImageConfig>,
    /// Tags that files want to know the digest of.
    needed: BTreeSet<Question>,
    /// Tags whose row is out of date, with the images that are named by them: files pin them to other digests that the lock does not have, and to that of
    /// the row nowhere, as when another tool moved the pins on.
    moved_on: BTreeMap<Question, Vec<Reference>>,
    lacking: BTreeSet<String>,
}

impl<R: Resolver> Locked<R> {
    /// `platform` is the one whose images `inner` answers with; without one, indices.
    pub fn new(lock: Lock, rule: Rule, platform: Option<Platform>, inner: R) -> Self {
        Self { lock, rule, platform, inner, seen: Mutex::default() }
    }

    /// Why the lock would have to change for a repository that names these images, under [`Rule::Only`]: one line for each row that was looked for and
    /// is not there and, if the `whole` repository was looked at, for each that no file needs.
    pub fn out_of_date(&self, named: &BTreeSet<Reference>, whole: bool) -> Vec<String> {
        // No time of it is told.
        let settled = self.brought_up_to_date(named, whole, Moment::from(UNIX_EPOCH));
        let seen = self.seen();
        let moved_on =
            seen.moved_on.keys().map(|question| format!("{FILE_NAME} does not have {} as it is pinned", question.0));
        let lacking = seen.lacking.iter().map(|what| format!("{FILE_NAME} does not have {what}"));
        let unused = self
            .lock
            .rows
            .keys()
            .filter(|question| !settled.rows.contains_key(*question) && !seen.moved_on.contains_key(*question));
        let unused = unused.map(|question| format!("{FILE_NAME} has {}, which no file needs", question.0));
        moved_on.chain(lacking).chain(unused).collect()
    }

    /// The lock with the answers of this run, for a repository that names these images. A row that no image needs is left out if the `whole` repository
    /// was looked at. A time changes with its answer only.
    pub fn brought_up_to_date(&self, named: &BTreeSet<Reference>, whole: bool, now: Moment) -> Lock {
        let seen = self.seen();
        let needs = Needs::of(named);
        let mut rows = BTreeMap::new();
        for question in self.lock.rows.keys().chain(seen.answers.keys()) {
            let old = self.lock.rows.get(question);
            let answer = seen.answers.get(question).or(old.map(|old| &old.answer));
            let Some(answer) = answer.cloned() else { continue };
            let is_new = seen.answers.contains_key(question);
            let platform = if is_new { self.platform.clone() } else { old.and_then(|old| old.platform.clone()) };
            let same = old.filter(|old| old.answer == answer && old.platform == platform);
            let resolved = same.map_or(now, |old| old.resolved);
            let mut row = Row { answer, platform, resolved, config: None };
            let digest = row.subject(question);
            row.config = seen.configs.get(digest).or_else(|| self.lock.config(digest)).cloned();
            let is_kept = !whole && old.is_some();
            if is_kept || needs.has(question, &row) {
                rows.insert(question.clone(), row);
            }
        }
        // A digest that a tag stands for needs no row of its own.
        let key = |question: &Question, digest: &str, row: &Row| {
            (question.repository().to_owned(), digest.to_owned(), row.platform.clone())
        };
        let of_tags = rows.iter().filter(|(question, _)| question.digest().is_none());
        let told: BTreeSet<_> = of_tags.map(|(question, row)| key(question, row.answer.digest.as_str(), row)).collect();
        rows.retain(|question, row| question.digest().is_none_or(|digest| !told.contains(&key(question, digest, row))));
        Lock { rows }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known without asking.
    fn answer(&self, reference: &Reference) -> Option<Resolved> {
        let question = Question::of(reference);
        let seen = self.seen();
        if let Some(answer) = seen.answers.get(&question) {
            return Some(answer.clone());
        }
        let is_outdated =
            (self.rule == Rule::Update && question.digest().is_none()) || seen.moved_on.contains_key(&question);
        let has_platform = |row: &&Row| row.platform == self.platform;
        let row = self.lock.rows.get(&question).filter(|row| !is_outdated && has_platform(row));
        if let Some(row) = row {
            return Some(row.answer.clone());
        }
        // What a tag stands for is what its digest names.
        let digest = question.digest()?;
        let of_rows =
            self.lock.rows.iter().filter(|(_, row)| has_platform(row)).map(|(other, row)| (other, &row.answer));
        let is_it = |(other, answer): &(&Question, &Resolved)| {
            answer.digest.as_str() == digest && other.repository() == question.repository()
        };
        seen.answers.iter().chain(of_rows).find(is_it).map(|(_, answer)| answer.clone())
    }

    fn config(&self, digest: &str) -> Option<ImageConfig> {
        let known = self.seen().configs.get(digest).cloned();
        known.or_else(|| self.lock.config(digest).cloned())
    }

    /// What is only nice to know of a pin is not lacking.
    fn lacks(&self, reference: &Reference) -> ResolveError {
        let question = Question::of(reference);
        let mut seen = self.seen();
        if seen.needed.contains(&question) {
            seen.lacking.insert(question.0);
        }
        ResolveError::NotLocked(format!("{FILE_NAME} does not have {reference}"))
    }

    fn lacks_config(&self, reference: &Reference) -> ResolveError {
        self.seen().lacking.insert(format!("the configuration of {}", Question::of(reference).0));
        ResolveError::NotLocked(format!("{FILE_NAME} does not have the configuration of {reference}"))
    }
}

/// What a repository needs rows for.
#[derive(Default)]
struct Needs {
    questions: BTreeSet<Question>,
    /// Tags with the digests that they are pinned to.
    pins: BTreeSet<(Question, String)>,
    /// Repositories with digests that are written without a tag, and may be those of any.
    untagged: BTreeSet<(String, String)>,
}

impl Needs {
    fn of(named: &BTreeSet<Reference>) -> Self {
        let mut needs = Self::default();
        for reference in named {
            needs.questions.insert(Question::of(reference));
            match (reference.digest(), reference.tag()) {
                (Some(digest), Some(_)) => {
                    needs.pins.insert((Question::of_tag(reference), digest.to_owned()));
                }
                (Some(digest), None) => {
                    needs.untagged.insert((super::repository(reference), digest.to_owned()));
                }
                (None, _) => {}
            }
        }
        needs
    }

    fn has(&self, question: &Question, row: &Row) -> bool {
        let digest = || row.answer.digest.as_str().to_owned();
        let is_pinned = || {
            self.pins.contains(&(question.clone(), digest()))
                || self.untagged.contains(&(question.repository().to_owned(), digest()))
        };
        self.questions.contains(question) || (question.digest().is_none() && is_pinned())
    }
}

impl<R: Resolver> Resolver for Locked<R> {
    fn are_named(&self, references: &BTreeSet<Reference>) {
        let mut pins: BTreeMap<Question, Vec<Reference>> = BTreeMap::new();
        let mut seen = self.seen();
        for reference in references {
            if reference.digest().is_none() {
                seen.needed.insert(Question::of(reference));
            } else if reference.tag().is_some() {
                pins.entry(Question::of_tag(reference)).or_default().push(reference.clone());
            }
        }
        for (question, pins) in pins {
            let Some(row) = self.lock.rows.get(&question).filter(|_| !seen.needed.contains(&question)) else {
                continue;
            };
            let has = |pin: &Reference| {
                pin.digest() == Some(row.answer.digest.as_str()) || self.lock.rows.contains_key(&Question::of(pin))
            };
            if !pins.iter().any(has) {
                seen.moved_on.insert(question, pins);
            }
        }
    }

    fn resolve(&self, references: &[Reference]) -> BTreeMap<Reference, Result<Resolved, ResolveError>> {
        let mut answers = BTreeMap::new();
        let mut lacking = Vec::new();
        for reference in references {
            match self.answer(reference) {
                Some(resolved) => {
                    self.seen().answers.entry(Question::of(reference)).or_insert_with(|| resolved.clone());
                    answers.insert(reference.clone(), Ok(resolved));
                }
                None if self.rule == Rule::Only => {
                    answers.insert(reference.clone(), Err(self.lacks(reference)));
                }
                None => lacking.push(reference.clone()),
            }
        }
        if lacking.is_empty() {
            return answers;
        }
        let mut others = Vec::new();
        for (reference, answer) in self.inner.resolve(&lacking) {
            if let Ok(resolved) = &answer {
                let mut seen = self.seen();
                let question = Question::of(&reference);
                let pins = seen.moved_on.get(&question).into_iter().flatten();
                others.extend(pins.filter(|pin| pin.digest() != Some(resolved.digest.as_str())).cloned());
                seen.answers.insert(question, resolved.clone());
            }
            answers.insert(reference, answer);
        }
        // The row of a tag that moved further than its pins says nothing of them, and would be out of date again.
        if !others.is_empty() {
            self.resolve(&others);
        }
        answers
    }

    fn configs(&self, references: &[Reference]) -> BTreeMap<Reference, Result<ImageConfig, ResolveError>> {
        // A row has a digest and what it names; whose configuration is asked for gets one.
        let mut resolved = self.resolve(references);
        let mut answers = BTreeMap::new();
        let mut asked: BTreeMap<Reference, Vec<Reference>> = BTreeMap::new();
        for reference in references {
            let answer = match resolved.remove(reference) {
                Some(Ok(answer)) => answer,
                Some(Err(ResolveError::NotLocked(_))) if reference.digest().is_some() => {
                    answers.insert(reference.clone(), Err(self.lacks_config(reference)));
                    continue;
                }
                Some(Err(error)) => {
                    answers.insert(reference.clone(), Err(error));
                    continue;
                }
                None => continue,
            };
            let digest = reference.digest().unwrap_or(answer.digest.as_str()).to_owned();
            if let Some(config) = self.config(&digest) {
                answers.insert(reference.clone(), Ok(config));
            } else if self.rule == Rule::Only {
                answers.insert(reference.clone(), Err(self.lacks_config(reference)));
            } else {
                let pinned = Reference::parse(&reference.with_digest(&digest)).unwrap_or_else(|_| reference.clone());
                asked.entry(pinned).or_default().push(reference.clone());
            }
        }
        if asked.is_empty() {
            return answers;
        }
        for (pinned, answer) in self.inner.configs(&asked.keys().cloned().collect::<Vec<_>>()) {
            let answer = answer.map(|config| kept(&config));
            if let (Ok(config), Some(digest)) = (&answer, pinned.digest()) {
                self.seen().configs.insert(digest.to_owned(), config.clone());
            }
            for reference in asked.remove(&pinned).unwrap_or_default() {
                answers.insert(reference, answer.clone());
            }
        }
        answers
    }
}
