//! Ctrl-C and its like: the user wants the proof to end, and nothing to be left of it.

use super::{Failure, Result};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How often the user asked. Signals come to a process, not to a value, so this belongs to the process as well.
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// From here on Ctrl-C, a hang-up and a request to terminate end no longer the process, but the proof: [`check`] fails. `again` is called for each
/// further one, to say that what was made is being removed.
///
/// # Errors
/// Where the system does not allow it, or a handler was set before.
pub fn listen(mut again: impl FnMut() + Send + 'static) -> Result<()> {
    let handler = move || {
        if ASKED.fetch_add(1, Ordering::SeqCst) > 0 {
            again();
        }
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::new(format!("cannot wait for Ctrl-C: {error}")))
}

/// Whether somebody asked.
pub fn is_asked() -> bool {
    ASKED.load(Ordering::SeqCst) > 0
}

/// Nothing, unless somebody asked.
///
/// # Errors
/// [`Failure`] that says so.
pub fn check() -> Result<()> {
    if is_asked() { Err(Failure::new("interrupted")) } else { Ok(()) }
}
