//! The directory in which a proof keeps what programs printed.
#![allow(clippy::disallowed_methods, reason = "the user names the directory for this purpose")]

use super::failed;
use crate::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// A directory for logs. One of an earlier proof with the same name is replaced.
pub struct Logs(PathBuf);

impl Logs {
    /// Makes the directory where it does not exist.
    ///
    /// # Errors
    /// [`Error::Write`] where that cannot be done.
    pub fn below(directory: &Path) -> Result<Self, Error> {
        fs::create_dir_all(directory).map_err(|error| failed("make", &directory.to_string_lossy(), &error))?;
        Ok(Self(directory.to_owned()))
    }

    /// Where the log of this name lies. Whatever the name is, that is a file in the directory itself; of a long one the end counts, which tells most.
    pub fn path(&self, name: &str) -> PathBuf {
        const LENGTH_MAX: usize = 200;
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let name: String = name.chars().map(plain).collect();
        let end = name.get(name.len().saturating_sub(LENGTH_MAX)..).unwrap_or_default();
        self.0.join(format!("{}.log", end.trim_start_matches('.')))
    }

    /// Writes the log of this name.
    ///
    /// # Errors
    /// [`Error::Write`] where that cannot be done.
    pub fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.path(name);
        fs::write(&path, text).map_err(|error| failed("write", &path.to_string_lossy(), &error))
    }
}
