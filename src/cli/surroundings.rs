//! What a run takes from the machine it runs on, all of it here: the clock. Nothing that is decided depends on it.
#![allow(
    clippy::disallowed_methods,
    reason = "a time is written down beside what a registry answered, and nothing is decided by it"
)]

use crate::registry::lock::Moment;
use std::time::SystemTime;

/// The time.
pub(super) fn now() -> Moment {
    Moment::from(SystemTime::now())
}
