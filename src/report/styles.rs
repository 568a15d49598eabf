//! The few styles of the terminal output. Colour says the same as the words beside it, never more.

use anstyle::{AnsiColor, Style};

/// Something is wrong.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Only a person can settle it.
pub const PERSON: Style = AnsiColor::Yellow.on_default();
/// Changed.
pub const FIXED: Style = AnsiColor::Green.on_default();
/// Left alone.
pub const QUIET: Style = Style::new().dimmed();
/// A heading.
pub const HEADING: Style = Style::new().bold();
