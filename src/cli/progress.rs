//! A sign of life while registries are asked: the one thing a run waits for.

use crate::image::{ImageConfig, Reference, Resolved};
use crate::registry::{ResolveError, Resolver};
use indicatif::ProgressBar;
use std::collections::BTreeMap;
use std::time::Duration;

/// Turns a spinner on standard error while another resolver works. Nothing is shown where standard error is no terminal.
pub(super) struct WithProgress<R>(pub(super) R);

impl<R: Resolver> Resolver for WithProgress<R> {
    fn resolve(&self, references: &[Reference]) -> BTreeMap<Reference, Result<Resolved, ResolveError>> {
        while_spinning(references, || self.0.resolve(references))
    }

    fn configs(&self, references: &[Reference]) -> BTreeMap<Reference, Result<ImageConfig, ResolveError>> {
        while_spinning(references, || self.0.configs(references))
    }
}

fn while_spinning<T>(references: &[Reference], work: impl FnOnce() -> T) -> T {
    let images = if references.len() == 1 { "image" } else { "images" };
    let spinner =
        ProgressBar::new_spinner().with_message(format!("asking registries about {} {images}", references.len()));
    spinner.enable_steady_tick(Duration::from_millis(120));
    let answers = work();
    spinner.finish_and_clear();
    answers
}
