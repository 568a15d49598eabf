//! `unroot.lock` of a run: read before it, and one of its files after it.

use super::arguments::Arguments;
use crate::discover::SIZE_LIMIT;
use crate::error::Error;
use crate::image::Platform;
use crate::pipeline::{FileChange, Run, Step};
use crate::registry::Resolver;
use crate::registry::lock::{FILE_NAME, Lock, Locked, Moment, Rule};
use crate::source::Position;
use std::io;
use std::path::{Path, PathBuf};

/// The place of the patch in the series: behind those of all transforms.
const PATCH_NUMBER: u16 = 99;

/// A lock, and what its file holds.
pub(super) struct LockFile {
    lock: Lock,
    text: Option<String>,
}

impl LockFile {
    /// Reads the lock below `root`. `None` where there is none, and none is asked for.
    ///
    /// # Errors
    /// [`Error::Lock`] for a file that is no lock or cannot be read, and [`Error::Usage`] where one is asked for and there is none.
    pub(super) fn load(root: &Path, arguments: &Arguments) -> Result<Option<Self>, Error> {
        let network = &arguments.network;
        let path = root.join(FILE_NAME);
        let wrong = |position, message| Error::Lock { path: path.clone(), position, message };
        let text = read(root, &path).map_err(|message| wrong(Position { line: 1, column: 1 }, message))?;
        match &text {
            Some(text) => {
                let lock = Lock::parse(text).map_err(|error| wrong(error.position, error.message))?;
                Ok(Some(Self { lock, text: Some(text.clone()) }))
            }
            None if network.locked => {
                Err(Error::Usage(format!("there is no {FILE_NAME} below {}; --lock makes it", root.display())))
            }
            None if network.lock => Ok(Some(Self { lock: Lock::default(), text: None })),
            None => Ok(None),
        }
    }

    /// The resolver that answers from the lock first.
    pub(super) fn before<R: Resolver>(&self, arguments: &Arguments, platform: Option<Platform>, inner: R) -> Locked<R> {
        let rule = match (arguments.network.locked, arguments.selection.update) {
            (true, _) => Rule::Only,
            (false, true) => Rule::Update,
            (false, false) => Rule::Fill,
        };
        Locked::new(self.lock.clone(), rule, platform, inner)
    }

    /// Makes the lock one of the files that `run` changes, or under `--locked` tells why it would have to be.
    pub(super) fn add_to<R: Resolver>(
        self,
        run: &mut Run,
        locked: &Locked<R>,
        arguments: &Arguments,
        whole: bool,
        now: Moment,
    ) {
        if arguments.network.locked {
            run.not_locked = locked.out_of_date(&run.named, whole);
            return;
        }
        let lock = locked.brought_up_to_date(&run.named, whole, now);
        if self.text.is_some() && lock == self.lock {
            return;
        }
        let before = self.text.as_deref();
        let crlf = before.is_some_and(|text| text.contains("\r\n"));
        let after = if crlf { lock.to_string().replace('\n', "\r\n") } else { lock.to_string() };
        let change = FileChange { path: FILE_NAME.to_owned(), before: before.map(Into::into), after: after.into() };
        run.files.push(change.clone());
        run.steps.push(Step {
            number: PATCH_NUMBER,
            id: "lock",
            title: "Write down what registries answered",
            why: vec![
                "Every run that finds an image here takes the answer from here: it asks no registry, and says the same wherever it runs.".to_owned(),
            ],
            files: vec![change],
        });
    }
}

/// # Errors
/// One line: it is no file of the repository's own, too large, no text, or cannot be read.
fn read(root: &Path, path: &Path) -> Result<Option<String>, String> {
    let whole: PathBuf = match path.canonicalize() {
        Ok(whole) => whole,
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    if !whole.starts_with(&root) {
        return Err(format!("it leads out of {}", root.display()));
    }
    let metadata = whole.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if metadata.len() > SIZE_LIMIT {
        return Err(format!("{} MiB; files above {} MiB are not read", metadata.len() >> 20, SIZE_LIMIT >> 20));
    }
    let bytes = std::fs::read(&whole).map_err(|error| error.to_string())?;
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|error| format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()))
}
