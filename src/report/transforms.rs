//! The list of transforms.

use crate::transforms::ALL;
use std::fmt::Write;

/// One line per transform, in order: number, id, title.
pub fn list() -> String {
    let width = ALL.iter().map(|transform| transform.metadata().id.len()).max().unwrap_or(0);
    let mut text = String::new();
    for transform in ALL {
        let metadata = transform.metadata();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}  {:width$}  {}", metadata.number, metadata.id, metadata.title);
    }
    text
}
