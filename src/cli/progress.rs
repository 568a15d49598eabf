//! A sign of life while registries are asked: the one thing a run waits for.

use crate::image::{ImageConfig, Reference, Resolved};
use crate::registry::{Online, Progress, ResolveError, Resolver};
use indicatif::ProgressBar;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Shows on standard error how far the questions are, and whom they wait for. Nothing is shown where standard error is no terminal.
pub(super) struct WithProgress {
    online: Online,
    /// The line of the questions that are under way.
    line: Arc<Mutex<Option<ProgressBar>>>,
}

impl WithProgress {
    pub(super) fn new(online: Online) -> Self {
        let line = Arc::<Mutex<Option<ProgressBar>>>::default();
        let shown = line.clone();
        let online = online.watched(move |progress| {
            if let Some(line) = &*shown.lock().unwrap_or_else(PoisonError::into_inner) {
                line.set_message(match progress {
                    Progress::Answered { answered, of } => format!("asking registries: {answered} of {of} images"),
                    Progress::Waiting { host, pause } => {
                        format!("asking registries: {host} again in {:.1} s", pause.as_secs_f64())
                    }
                });
            }
        });
        Self { online, line }
    }

    fn while_shown<T>(&self, references: &[Reference], work: impl FnOnce(&Online) -> T) -> T {
        let images = if references.len() == 1 { "image" } else { "images" };
        let line = ProgressBar::new_spinner().with_message(format!("asking registries: {} {images}", references.len()));
        line.enable_steady_tick(Duration::from_millis(120));
        let show = |line| *self.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
        show(Some(line.clone()));
        let answers = work(&self.online);
        show(None);
        line.finish_and_clear();
        answers
    }
}

impl Resolver for WithProgress {
    fn resolve(&self, references: &[Reference]) -> BTreeMap<Reference, Result<Resolved, ResolveError>> {
        self.while_shown(references, |online| online.resolve(references))
    }

    fn configs(&self, references: &[Reference]) -> BTreeMap<Reference, Result<ImageConfig, ResolveError>> {
        self.while_shown(references, |online| online.configs(references))
    }
}
