//! What a run asks registries, and what it makes of the answers.

use crate::config::Config;
use crate::error::SkipReason;
use crate::facts::{Application, Configs, Digests, Key, Pods, Surroundings, kept};
use crate::image::Reference;
use crate::link::Links;
use crate::registry::{ResolveError, Resolver};
use crate::repository::Repository;
use crate::transforms::{ALL, Transform};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What registries were asked, and what they said.
#[derive(Default)]
pub(super) struct Lookups {
    pub(super) digests: Digests,
    pub(super) configs: Configs,
    /// One line per reference that could not be looked up.
    pub(super) failures: BTreeSet<String>,
    /// What would have been one for references that nothing depends on.
    unneeded: BTreeMap<Reference, String>,
    /// Whether pins are to be replaced by what their tags stand for now.
    update: bool,
}

impl Lookups {
    /// `update` says whether pins are to be replaced by what their tags stand for now.
    pub(super) fn new(update: bool) -> Self {
        Self { update, ..Self::default() }
    }

    /// Asks the resolver for everything that `transforms` will want to know about these applications and that it was not asked before: in one go for
    /// digests and one for configurations, and again as long as answers about pins raise questions about them.
    pub(super) fn ask(
        &mut self,
        repository: &Repository,
        links: &Links,
        config: &Config,
        keys: &[Key],
        transforms: &[&dyn Transform],
        resolver: &dyn Resolver,
    ) {
        loop {
            let (digests, configs, pods) = (&self.digests, &self.configs, &Pods::default());
            let update = self.update;
            let around = Surroundings { repository, links, config, digests, configs, update, pods };
            let wanted: Vec<Wanted> = keys
                .par_iter()
                .filter_map(|key| Application::new(around, *key))
                .flat_map_iter(|application| {
                    let wanted = |transform: &&dyn Transform| {
                        let digests = transform.references(&application).into_iter().map(Wanted::Digest);
                        let pins = transform.pins(&application).into_iter().map(Wanted::Pin);
                        let configs = transform.configs(&application).into_iter().map(Wanted::Config);
                        digests.chain(pins).chain(configs).collect::<Vec<_>>()
                    };
                    transforms.iter().flat_map(wanted).collect::<Vec<_>>()
                })
                .collect();
            let (mut needed, mut pins, mut images) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            for wanted in wanted {
                match wanted {
                    Wanted::Digest(reference) => {
                        // That it could not be had matters from now on.
                        self.failures.extend(self.unneeded.remove(&reference));
                        needed.insert(reference);
                    }
                    Wanted::Pin(reference) => {
                        pins.insert(reference);
                    }
                    Wanted::Config(reference) => {
                        images.insert(reference);
                    }
                }
            }
            pins.retain(|reference| !needed.contains(reference) && !self.digests.contains_key(reference));
            needed.retain(|reference| !self.digests.contains_key(reference));
            images.retain(|reference| !self.configs.contains_key(reference));
            self.ask_digests(&needed, &pins, resolver);
            self.ask_configs(images, resolver);
            if !pins.iter().any(|reference| matches!(self.digests.get(reference), Some(Ok(_)))) {
                return;
            }
        }
    }

    /// Every image that files name and any transform could ask about, whether it runs or not; of a pinned one also the tag, if that was asked about.
    pub(super) fn named(
        &self,
        repository: &Repository,
        links: &Links,
        config: &Config,
        keys: &[Key],
    ) -> BTreeSet<Reference> {
        let (digests, configs, pods) = (&self.digests, &self.configs, &Pods::default());
        let around = Surroundings { repository, links, config, digests, configs, update: false, pods };
        let applications = keys.par_iter().filter_map(|key| Application::new(around, *key));
        let mut named: BTreeSet<Reference> = applications
            .flat_map_iter(|application| {
                let names = |transform: &&dyn Transform| {
                    let digests = [transform.references(&application), transform.names(&application)].concat();
                    [digests, transform.configs(&application)].concat()
                };
                ALL.iter().flat_map(names).collect::<Vec<_>>()
            })
            .collect();
        let tagged = named.iter().filter(|named| named.digest().is_some()).filter_map(Reference::without_digest);
        let tagged: Vec<Reference> = tagged.filter(|tagged| self.digests.contains_key(tagged)).collect();
        named.extend(tagged);
        named
    }

    fn ask_digests(&mut self, needed: &BTreeSet<Reference>, pins: &BTreeSet<Reference>, resolver: &dyn Resolver) {
        let references: Vec<Reference> = needed.union(pins).cloned().collect();
        if references.is_empty() {
            return;
        }
        for (reference, result) in resolver.resolve(&references) {
            if let Err(error) = &result
                && !matches!(error, ResolveError::Offline | ResolveError::NotLocked(_))
            {
                let message = error.to_string();
                if needed.contains(&reference) {
                    self.failures.insert(message);
                } else {
                    self.unneeded.insert(reference.clone(), message);
                }
            }
            self.digests.insert(reference, result.map_err(declined));
        }
    }

    /// An image whose digest could not be had is not asked about again, and one whose digest is known is asked about by it, so that both answers are of one
    /// image. A registry that does not tell costs a fact and no more; one that does not answer is a failure here as it is for digests.
    fn ask_configs(&mut self, references: BTreeSet<Reference>, resolver: &dyn Resolver) {
        let mut asked: BTreeMap<Reference, Vec<Reference>> = BTreeMap::new();
        for reference in references {
            let of_tag = self.digests.get(&reference).filter(|_| reference.digest().is_none());
            let pinned = match of_tag {
                Some(Err(why)) => {
                    self.configs.insert(reference, Err(why.clone()));
                    continue;
                }
                Some(Ok(resolved)) => Reference::parse(&reference.with_digest(resolved.digest.as_str())).ok(),
                None => None,
            };
            asked.entry(pinned.unwrap_or_else(|| reference.clone())).or_default().push(reference);
        }
        if asked.is_empty() {
            return;
        }
        for (reference, result) in resolver.configs(&asked.keys().cloned().collect::<Vec<_>>()) {
            let result = result.map(|config| kept(&config)).map_err(|error| {
                if let ResolveError::Unreachable(message) = &error {
                    self.failures.insert(message.clone());
                }
                declined(error)
            });
            for written in asked.remove(&reference).unwrap_or_default() {
                self.configs.insert(written, result.clone());
            }
            // As pinning writes it down.
            self.configs.insert(reference, result);
        }
    }
}

/// A reference, and what a transform wants to know of it.
enum Wanted {
    Digest(Reference),
    /// Something about a digest that is written already.
    Pin(Reference),
    Config(Reference),
}

fn declined(error: ResolveError) -> (SkipReason, String) {
    match error {
        ResolveError::Offline => (SkipReason::Offline, "--offline was given".to_owned()),
        ResolveError::NotLocked(message) => (SkipReason::NotLocked, message),
        ResolveError::Unreachable(message) => (SkipReason::RegistryUnreachable, message),
        ResolveError::Refused(message) => (SkipReason::RegistryRefused, message),
    }
}
