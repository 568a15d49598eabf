//! What a run takes from the machine it runs on: the time, where the user's caches lie, and where this program is. Nothing that it decides depends on
//! these but for how old an answer may be.
#![allow(clippy::disallowed_methods, reason = "a time is written down beside what a registry answered")]

use crate::error::Error;
use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};
use std::path::PathBuf;
use std::time::SystemTime;

/// The time.
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

/// The directory for what is kept between runs: `unroot` in `XDG_CACHE_HOME`, which is `~/.cache` where it is not set, or where the system has it
/// otherwise. `None` for a user without a home.
pub(super) fn cache_directory() -> Option<PathBuf> {
    choose_native_strategy().ok().map(|strategy| strategy.cache_dir().join("unroot"))
}

/// The file of this program.
///
/// # Errors
/// [`Error::Prove`] where the system does not tell.
pub(super) fn program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|error| Error::Prove(format!("cannot find this program: {error}")))
}
