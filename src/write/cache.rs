//! The cache: a directory of the user's own, with a file for each entry.
//!
//! Several runs may use it at once. Each file is written beside its place and renamed into it, so that whoever reads sees all of it or none; what is lost
//! or damaged nevertheless is as if it had never been there.
#![allow(clippy::disallowed_methods, reason = "what is kept for the next run is written in this room too")]

use super::TEMPORARY_PREFIX;
use crate::registry::Storage;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

/// Largest file that is read, in bytes; none that is written is larger.
const SIZE_MAX: u64 = 8 << 20;

/// A file of this name was touched when the directory was last swept.
const SWEPT: &str = "swept";

const SWEEP_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Answers about tags and records of proofs that were not written anew for so long are removed. Bodies stay: they are small, and never out of date.
const ENTRY_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A temporary file that is this old was left by a run that ended before its time.
const TEMPORARY_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// A directory of entries.
pub struct Cache {
    root: PathBuf,
    now: SystemTime,
    prepared: OnceLock<bool>,
    trusted: OnceLock<bool>,
    /// Why nothing is kept.
    trouble: Mutex<Option<String>>,
}

impl Cache {
    /// The cache in this directory, which is made when the first entry is kept.
    pub fn new(root: PathBuf, now: SystemTime) -> Self {
        Self { root, now, prepared: OnceLock::new(), trusted: OnceLock::new(), trouble: Mutex::default() }
    }

    /// Why an entry could not be kept, if one could not: one line.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, error: &io::Error) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.get_or_insert_with(|| format!("cannot write {}: {error}", self.root.display()));
    }

    /// Whether the directory can be used. The first entry of a day sweeps it.
    fn is_prepared(&self) -> bool {
        *self.prepared.get_or_init(|| {
            let prepared = make_private(&self.root).and_then(|()| {
                let swept = self.root.join(SWEPT);
                if self.is_older(&swept, SWEEP_INTERVAL).unwrap_or(true) {
                    fs::write(&swept, "")?;
                    self.sweep();
                }
                Ok(())
            });
            prepared.inspect_err(|error| self.note(error)).is_ok()
        })
    }

    /// Removes what nobody will miss. A file that cannot be removed is tried again the next day.
    fn sweep(&self) {
        for folder in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let folder_name = folder.file_name();
            let ages = ["tags-", "proofs-"].iter().any(|kind| folder_name.to_string_lossy().starts_with(kind));
            for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let is_temporary = file.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX);
                let lifetime = match (is_temporary, ages) {
                    (true, _) => TEMPORARY_LIFETIME,
                    (false, true) => ENTRY_LIFETIME,
                    (false, false) => continue,
                };
                if self.is_older(&file.path(), lifetime).unwrap_or(false) {
                    let _ = fs::remove_file(file.path());
                }
            }
        }
    }

    fn is_older(&self, path: &Path, age: Duration) -> io::Result<bool> {
        let changed = fs::symlink_metadata(path)?.modified()?;
        Ok(self.now.duration_since(changed).is_ok_and(|old| old > age))
    }

    fn place(&self, name: &str) -> PathBuf {
        name.split('/').fold(self.root.clone(), |path, part| path.join(part))
    }

    fn try_to_write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.place(name);
        let folder = path.parent().unwrap_or(&self.root);
        make_private(folder)?;
        let mut file = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(folder)?;
        file.write_all(bytes)?;
        // Not made durable: what a machine loses that stops is asked for again.
        file.persist(&path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Storage for Cache {
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        if !*self.trusted.get_or_init(|| is_written_by_owner(&self.root)) {
            return None;
        }
        let path = self.place(name);
        let metadata = fs::symlink_metadata(&path).ok()?;
        (metadata.is_file() && metadata.len() <= SIZE_MAX).then(|| fs::read(&path).ok())?
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        if self.is_prepared()
            && let Err(error) = self.try_to_write(name, bytes)
        {
            self.note(&error);
        }
    }
}

/// Makes a directory, and those above it, for its owner's eyes only: configurations of private images lie in it.
#[cfg(unix)]
fn make_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut permissions = fs::metadata(directory)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        // Refused where it is somebody else's, who could put there what he likes.
        permissions.set_mode(0o700);
        fs::set_permissions(directory, permissions)?;
    }
    Ok(())
}

/// Whether nobody but its owner can put anything into a directory, and that is who runs this (or root).
#[cfg(unix)]
fn is_written_by_owner(directory: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let Ok(metadata) = fs::metadata(directory) else { return false };
    let permissions = metadata.permissions();
    // Permissions may be set by the owner alone, even to what they are.
    permissions.mode() & 0o022 == 0
        && fs::set_permissions(directory, permissions)
            .err()
            .is_none_or(|error| error.kind() != io::ErrorKind::PermissionDenied)
}

#[cfg(not(unix))]
fn is_written_by_owner(_directory: &Path) -> bool {
    true
}

#[cfg(not(unix))]
fn make_private(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn a_directory_of_somebody_else_is_not_believed() {
        let own = tempfile::tempdir().unwrap();
        assert!(is_written_by_owner(own.path()));
        let is_root = fs::metadata(own.path()).unwrap().uid() == 0;
        assert_eq!(is_written_by_owner(Path::new("/")), is_root, "it is root's");
        fs::set_permissions(own.path(), fs::Permissions::from_mode(0o770)).unwrap();
        assert!(!is_written_by_owner(own.path()));
        assert!(!is_written_by_owner(&own.path().join("nowhere")));
    }
}
