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

    /// Where the log of this name lies. Whatever the name is, that is a file in the directory itself.
    pub fn path(&self, name: &str) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        self.0.join(format!("{}.log", name.chars().map(plain).collect::<String>()))
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
