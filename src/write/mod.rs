//! The only code that writes.
//!
//! A run is written whole or not at all. Every file is first staged beside its target, on the same file system, so that what can
//! fail (space, rights, a changed file) fails before anything moved; then all are renamed into place. Should a rename fail
//! nevertheless, the files already renamed are put back. Reading never sees half a file.
//!
//! A run that is killed may leave staged files behind; the next one that writes there removes them.
//!
//! A rename makes a new file of the old name: mode and owner are carried over, a second hard link keeps the old text.
#![allow(clippy::disallowed_methods, reason = "this is the one place that writes")]

mod cache;
mod logs;

pub use cache::Cache;
pub use logs::Logs;

use crate::error::Error;
use crate::pipeline::FileChange;
use crate::source::printable;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use tempfile::TempPath;

/// Temporary files are hidden and say whose they are, in case the machine stops between two steps.
const TEMPORARY_PREFIX: &str = ".unroot-";

/// What is drawn for the rest of a temporary file's name, in characters.
const TEMPORARY_SUFFIX: usize = 6;

/// Writes `after` of each file below `root`; a file whose text does not change is not touched, and one without a `before` is made.
/// They are put into their places in the order in which they are given.
///
/// A symlink that stays below the root is written through and remains a symlink.
///
/// # Errors
/// [`Error::Write`] with one line, and every file as it was: a path or symlink leads out of the root, a file is not a regular
/// one, is read-only, or changed since it was read, a new file is there already, a directory is not writable, an owner cannot be kept, a disk is full.
pub fn write_all(root: &Path, files: &[FileChange]) -> Result<(), Error> {
    let root = root.canonicalize().map_err(|error| failed("open", &root.to_string_lossy(), &error))?;
    let claim = Claim::on(&root);
    let mut targets: Vec<Target<'_>> = Vec::new();
    let mut seen: BTreeMap<PathBuf, &FileChange> = BTreeMap::new();
    for file in files.iter().filter(|file| file.before.as_ref() != Some(&file.after)) {
        let target = Target::find(&root, file)?;
        match seen.insert(target.path.clone(), file) {
            None => targets.push(target),
            // A link and its target are one file: the same change twice is that change.
            Some(earlier) if earlier.after == file.after => {}
            Some(earlier) => {
                let (one, other) = (printable(&earlier.path), printable(&file.path));
                return Err(Error::Write(format!("{one} and {other} are one file, but would be changed differently")));
            }
        }
    }
    claim.clean(targets.iter().map(|target| target.directory.as_path()));
    commit(targets.into_iter().map(Target::stage).collect::<Result<_, _>>()?)
}

/// Writes new files, given as name and text, into `directory`, which is made if it does not exist. A file that is there already
/// with the same text is left alone.
///
/// # Errors
/// [`Error::Write`] with one line, and no new file: a file is there already with another text, a name is not a plain file name,
/// or the directory cannot be made or written.
pub fn write_new(directory: &Path, files: &[(String, String)]) -> Result<(), Error> {
    let directory_shown = directory.to_string_lossy().into_owned();
    let mut missing = Vec::new();
    for (name, text) in files {
        if !is_file_name(name) {
            return Err(Error::Write(format!("{} is not a file name", printable(name))));
        }
        let path = directory.join(name);
        match fs::read(&path) {
            Ok(there) if there == text.as_bytes() => {}
            Ok(_) => {
                let path = printable(&path.to_string_lossy());
                return Err(Error::Write(format!("{path} is there already, with another text; it was left alone")));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push((path, text)),
            Err(error) => return Err(failed("read", &path.to_string_lossy(), &error)),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(|error| failed("make", &directory_shown, &error))?;
    let claim = Claim::on(directory);
    claim.clean([directory]);
    let mut staged = Vec::new();
    for (path, text) in missing {
        let temporary = stage_beside(directory, text.as_bytes(), new_file_mode)
            .map_err(|error| failed("write in", &directory_shown, &error))?;
        staged.push((path, temporary));
    }
    let mut written: Vec<PathBuf> = Vec::new();
    for (path, temporary) in staged {
        if let Err(error) = temporary.persist_noclobber(&path) {
            for path in &written {
                // Made a moment ago by this very loop; when removing fails as well, the first failure is the one to tell.
                let _ = fs::remove_file(path);
            }
            return Err(failed("write", &path.to_string_lossy(), &error.error));
        }
        written.push(path);
    }
    settle(directory);
    Ok(())
}

/// Keeps other runs from writing below a directory meanwhile. The system gives it up when the process ends, however that ends. Where it cannot be had (some
/// file systems have no locks, some systems none of directories), runs go on without.
struct Claim(Option<File>);

impl Claim {
    /// Waits until no other run has it.
    fn on(directory: &Path) -> Self {
        Self(File::open(directory).ok().filter(|directory| directory.lock().is_ok()))
    }

    /// Removes what runs that were killed left in these directories. Without the claim it could be another run's, which is about to need it.
    fn clean<'d>(&self, directories: impl IntoIterator<Item = &'d Path>) {
        let directories: BTreeSet<&Path> = directories.into_iter().filter(|_| self.0.is_some()).collect();
        let entries = directories.into_iter().flat_map(|directory| fs::read_dir(directory).into_iter().flatten());
        for entry in entries.flatten().filter(|entry| is_temporary(&entry.file_name().to_string_lossy())) {
            if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                // Left over once more, it is in nobody's way.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn is_temporary(name: &str) -> bool {
    let drawn = name.strip_prefix(TEMPORARY_PREFIX);
    drawn.is_some_and(|drawn| drawn.len() == TEMPORARY_SUFFIX && drawn.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// A file that exists and may be replaced, or one that is to come.
struct Target<'a> {
    /// As the run names it.
    shown: String,
    /// Where it really is, all symlinks followed.
    path: PathBuf,
    directory: PathBuf,
    /// Of the file that is replaced.
    metadata: Option<Metadata>,
    change: &'a FileChange,
}

impl<'a> Target<'a> {
    fn find(root: &Path, change: &'a FileChange) -> Result<Self, Error> {
        let shown = printable(&change.path);
        if change.before.is_none() {
            let (parent, name) = change.path.rsplit_once('/').unwrap_or(("", &change.path));
            let directory = resolve(root, parent)?;
            let target = Self { shown, path: directory.join(name), directory, metadata: None, change };
            target.check_unchanged()?;
            return Ok(target);
        }
        let path = resolve(root, &change.path)?;
        let metadata = fs::metadata(&path).map_err(|error| failed("read", &change.path, &error))?;
        if !metadata.is_file() {
            return Err(Error::Write(format!("{shown} is not a regular file")));
        }
        if metadata.permissions().readonly() {
            return Err(Error::Write(format!("{shown} is read-only")));
        }
        let directory = path.parent().unwrap_or(root).to_owned();
        let target = Self { shown, path, directory, metadata: Some(metadata), change };
        target.check_unchanged()?;
        Ok(target)
    }

    fn check_unchanged(&self) -> Result<(), Error> {
        let Some(before) = &self.change.before else {
            // A link to nothing is there as well.
            return match fs::symlink_metadata(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(failed("write", &self.change.path, &error)),
                Ok(_) => Err(Error::Write(format!("{} is there already", self.shown))),
            };
        };
        let current = fs::read(&self.path).map_err(|error| failed("read", &self.change.path, &error))?;
        if current == before.as_bytes() {
            Ok(())
        } else {
            Err(Error::Write(format!("{} changed since it was read", self.shown)))
        }
    }

    fn stage(self) -> Result<Staged<'a>, Error> {
        let temporary = self.beside(&self.change.after).map_err(|error| failed("write", &self.change.path, &error))?;
        Ok(Staged { target: self, temporary })
    }

    fn beside(&self, text: &str) -> io::Result<TempPath> {
        stage_beside(&self.directory, text.as_bytes(), |file| match &self.metadata {
            Some(metadata) => keep_owner_and_mode(file, metadata),
            None => new_file_mode(file),
        })
    }

    fn place(&self, temporary: TempPath) -> io::Result<()> {
        let placed = match self.metadata {
            Some(_) => temporary.persist(&self.path),
            None => temporary.persist_noclobber(&self.path),
        };
        placed.map_err(|error| error.error)
    }

    /// Puts the old text back, which by then only memory holds.
    fn restore(&self) -> io::Result<()> {
        match &self.change.before {
            Some(before) => self.beside(before)?.persist(&self.path).map_err(|error| error.error),
            None => fs::remove_file(&self.path),
        }
    }
}

/// A target and the new text beside it. Dropping it removes the temporary file.
struct Staged<'a> {
    target: Target<'a>,
    temporary: TempPath,
}

/// Renames all into place, or none.
fn commit(staged: Vec<Staged<'_>>) -> Result<(), Error> {
    let mut renamed: Vec<Target<'_>> = Vec::new();
    for Staged { target, temporary } in staged {
        // Staging many files takes its time, and an editor may have saved one of them meanwhile.
        let placed = target
            .check_unchanged()
            .and_then(|()| target.place(temporary).map_err(|error| failed("write", &target.change.path, &error)));
        match placed {
            Ok(()) => renamed.push(target),
            Err(error) => return Err(put_back(&renamed, error)),
        }
    }
    let mut directories: Vec<&Path> = renamed.iter().map(|target| target.directory.as_path()).collect();
    directories.sort_unstable();
    directories.dedup();
    directories.into_iter().for_each(settle);
    Ok(())
}

/// The error to report after a failed rename: the first one, and what could not be undone, if anything.
fn put_back(renamed: &[Target<'_>], error: Error) -> Error {
    let lost: Vec<String> = renamed
        .iter()
        .filter_map(|target| target.restore().err().map(|error| format!("{} ({error})", target.shown)))
        .collect();
    match (renamed.len(), lost.is_empty()) {
        (0, _) => error,
        (1, true) => Error::Write(format!("{error}; the file already written was put back")),
        (count, true) => Error::Write(format!("{error}; the {count} files already written were put back")),
        (_, false) => Error::Write(format!("{error}; still changed, could not be put back: {}", lost.join(", "))),
    }
}

/// Where `path` really is, provided that no step on the way leaves the root.
fn resolve(root: &Path, path: &str) -> Result<PathBuf, Error> {
    let outside = || Error::Write(format!("{} leads out of {}", printable(path), printable(&root.to_string_lossy())));
    let mut place = root.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => {
                place.push(name);
                place = place.canonicalize().map_err(|error| failed("read", path, &error))?;
                if !place.starts_with(root) {
                    return Err(outside());
                }
            }
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(outside()),
        }
    }
    Ok(place)
}

/// Writes `bytes` to a temporary file in `directory` and makes it durable. `finish` sets owner and mode.
fn stage_beside(directory: &Path, bytes: &[u8], finish: impl FnOnce(&File) -> io::Result<()>) -> io::Result<TempPath> {
    let mut file =
        tempfile::Builder::new().prefix(TEMPORARY_PREFIX).rand_bytes(TEMPORARY_SUFFIX).tempfile_in(directory)?;
    file.write_all(bytes)?;
    finish(file.as_file())?;
    file.as_file().sync_all()?;
    // The path alone: a run may stage more files than a process may hold open.
    Ok(file.into_temp_path())
}

#[cfg(unix)]
fn keep_owner_and_mode(file: &File, original: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let new = file.metadata()?;
    let uid = (new.uid() != original.uid()).then(|| original.uid());
    let gid = (new.gid() != original.gid()).then(|| original.gid());
    if uid.is_some() || gid.is_some() {
        fchown(file, uid, gid)?;
    }
    // After the owner: changing that clears the set-user-id bit.
    file.set_permissions(original.permissions())
}

#[cfg(not(unix))]
fn keep_owner_and_mode(file: &File, original: &Metadata) -> io::Result<()> {
    file.set_permissions(original.permissions())
}

/// Temporary files are for their owner's eyes only; a patch is not. What the umask would have said cannot be asked without
/// changing it, so this is the mode that `git format-patch` ends up with under the usual one.
#[cfg(unix)]
fn new_file_mode(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn new_file_mode(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Makes renames in `directory` durable. Some file systems cannot, and by now every file is whole under its name, so a failure
/// changes nothing that a person could act on.
fn settle(directory: &Path) {
    if cfg!(unix) {
        let _ = File::open(directory).and_then(|directory| directory.sync_all());
    }
}

fn is_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
}

fn failed(verb: &str, path: &str, error: &io::Error) -> Error {
    Error::Write(format!("cannot {verb} {}: {error}", printable(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str) -> FileChange {
        FileChange { path: path.to_owned(), before: Some("before\n".into()), after: "after\n".into() }
    }

    fn workspace(paths: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for path in paths {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "before\n").unwrap();
        }
        directory
    }

    fn stage_all<'a>(root: &Path, changes: &'a [FileChange]) -> Vec<Staged<'a>> {
        let root = root.canonicalize().unwrap();
        changes.iter().map(|change| Target::find(&root, change).unwrap().stage().unwrap()).collect()
    }

    fn temporaries(directory: &Path) -> usize {
        let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(TEMPORARY_PREFIX)).count()
    }

    #[test]
    fn a_directory_that_vanishes_after_staging_puts_the_first_files_back() {
        let directory = workspace(&["a", "b", "sub/c", "d"]);
        let changes = ["a", "b", "sub/c", "d"].map(change);
        let staged = stage_all(directory.path(), &changes);
        assert_eq!(temporaries(directory.path()), 3);
        fs::remove_dir_all(directory.path().join("sub")).unwrap();
        let error = commit(staged).unwrap_err().to_string();
        assert!(error.starts_with("cannot read sub/c: "), "{error}");
        assert!(error.ends_with("; the 2 files already written were put back"), "{error}");
        for path in ["a", "b", "d"] {
            assert_eq!(fs::read_to_string(directory.path().join(path)).unwrap(), "before\n", "{path}");
        }
        assert_eq!(temporaries(directory.path()), 0);
    }

    #[test]
    fn a_file_saved_after_staging_is_not_overwritten() {
        let directory = workspace(&["a", "b"]);
        let changes = ["a", "b"].map(change);
        let staged = stage_all(directory.path(), &changes);
        fs::write(directory.path().join("b"), "saved by an editor\n").unwrap();
        let error = commit(staged).unwrap_err().to_string();
        assert_eq!(error, "b changed since it was read; the file already written was put back");
        assert_eq!(fs::read_to_string(directory.path().join("a")).unwrap(), "before\n");
        assert_eq!(fs::read_to_string(directory.path().join("b")).unwrap(), "saved by an editor\n");
        assert_eq!(temporaries(directory.path()), 0);
    }

    #[test]
    fn what_cannot_be_put_back_is_named() {
        let directory = workspace(&["sub/a", "b"]);
        let changes = ["sub/a", "b"].map(change);
        let root = directory.path().canonicalize().unwrap();
        let first = Target::find(&root, &changes[0]).unwrap();
        fs::remove_dir_all(directory.path().join("sub")).unwrap();
        let error = put_back(&[first], Error::Write("cannot write b: no space".to_owned())).to_string();
        assert!(
            error.starts_with("cannot write b: no space; still changed, could not be put back: sub/a ("),
            "{error}"
        );
    }
}
