//! What a run makes bears its name, and goes with it.
//!
//! What stays is the engine's own: images that it pulled because a Dockerfile or a manifest names them, and the build cache of BuildKit. The builder of
//! podman, and docker's without BuildKit, keep the result of every step as an image without a name; those that a build of the run made are removed as
//! well, so that the list of images is what it was.
#![allow(clippy::disallowed_methods, reason = "the folder of a run is made, and removed, here")]

use super::watch::Watcher;
use super::{Engine, Kind, steps};
use crate::prove::{Failure, Result, interrupt};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

/// How often what cannot be removed is tried again: what depends on something goes first, and engines take their time to see that a client has gone.
const ROUNDS: usize = 5;

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(300);

/// Where logs of builds are kept as they come, below the folder of the run.
pub(super) const BUILDS: &str = "builds";

/// A file below the folder of the run that is as old as the run.
const BEGAN: &str = "began";

/// What is made for one run: a folder on this machine, and all in the engine that bears its name. Dropping it removes it all; so does a second process
/// when this one is killed.
#[derive(Debug)]
pub struct Throwaway {
    engine: Engine,
    folder: PathBuf,
    watcher: Option<Arc<Watcher>>,
}

impl Throwaway {
    /// Makes the folder, and starts the second process by `program`: this one's own file.
    ///
    /// # Errors
    /// What cannot be made or started.
    pub fn open(mut engine: Engine, program: &Path) -> Result<Self> {
        let folder = place().join(format!("unroot-{}", engine.run));
        make_private(&folder).map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))?;
        let watcher = match Watcher::start(program, &engine, &folder) {
            Ok(watcher) => Arc::new(watcher),
            Err(failure) => {
                // Nothing is in it yet.
                let _ = fs::remove_dir_all(&folder);
                return Err(failure);
            }
        };
        engine.watcher = Some(watcher.clone());
        let throwaway = Self { engine, folder, watcher: Some(watcher) };
        fs::create_dir(throwaway.folder.join(BUILDS))?;
        fs::write(throwaway.folder.join(BEGAN), "")?;
        Ok(throwaway)
    }

    /// The engine, every call of which ends with the run.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The folder, which only the user may open.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes everything.
    ///
    /// # Errors
    /// What is left, and how it is called.
    pub fn close(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let Some(watcher) = self.watcher.take() else { return Ok(()) };
        let swept = sweep(&self.engine, &self.folder, interrupt::is_asked());
        watcher.done();
        swept
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        // Who wants to know calls `close`.
        let _ = self.end();
    }
}

/// Where big and short-lived files go: the user's TMPDIR, or /var/tmp, since /tmp may be a part of the memory.
fn place() -> PathBuf {
    let place = std::env::temp_dir();
    let disk = Path::new("/var/tmp");
    let place = if place == Path::new("/tmp") && disk.is_dir() { disk.to_owned() } else { place };
    // Engines do not follow links of the host in the paths that they mount.
    place.canonicalize().unwrap_or(place)
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Removes everything that bears the name of the engine's run, and its folder. Where calls were `cut_off`, an engine may still be about to make what they
/// asked for, so there is a second look.
///
/// # Errors
/// What is left.
pub(super) fn sweep(engine: &Engine, folder: &Path, cut_off: bool) -> Result<()> {
    let mut left = Vec::new();
    for round in 0..ROUNDS {
        if round > 0 {
            sleep(PAUSE);
        }
        left = engine.remove_all(folder);
        if left.is_empty() && (round > 0 || !cut_off) {
            break;
        }
    }
    left.extend(engine.remove_folder(folder).err());
    if left.is_empty() {
        return Ok(());
    }
    let left: BTreeSet<String> = left.iter().map(Failure::to_string).collect();
    let left: Vec<String> = left.into_iter().collect();
    Err(Failure::new(format!("not everything of the run {} could be removed: {}", engine.run, left.join("; "))))
}

impl Engine {
    /// The name of the image whose containers carry out what a proof needs of root: its program, `prove:inside`, is this one.
    pub fn helper_image(&self) -> String {
        format!("unroot-{}-helper", self.run)
    }

    /// The label that everything bears.
    pub fn label(&self) -> String {
        format!("unroot.run={}", self.run)
    }

    /// One round; what failed.
    fn remove_all(&self, folder: &Path) -> Vec<Failure> {
        let filter = format!("label={}", self.label());
        let mut failed = Vec::new();
        let mut remove_listed = |list: &[&str], removal: &[&str]| match self.list(list) {
            Ok(listed) if listed.is_empty() => {}
            Ok(listed) => failed.extend(self.clear(removal, &listed).err()),
            Err(failure) => failed.push(failure),
        };
        let containers = ["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter];
        if self.kind == Kind::Podman {
            // It gives each ten seconds to end otherwise. What does not run cannot be killed.
            remove_listed(&["ps", "--quiet", "--no-trunc", "--filter", &filter], &["kill"]);
        }
        remove_listed(&containers, &["rm", "--force", "--volumes"]);
        self.remove_files(folder);
        remove_listed(&["network", "ls", "--quiet", "--filter", &filter], &["network", "rm"]);
        remove_listed(&["volume", "ls", "--quiet", "--filter", &filter], &["volume", "rm"]);
        let tags = ["images", "--filter", &filter, "--format", "{{.Repository}}:{{.Tag}}"];
        let ids = ["images", "--all", "--quiet", "--no-trunc", "--filter", &filter];
        let removal: &[&str] = match self.kind {
            // Images without a name below it may be the user's.
            Kind::Docker | Kind::Podman => &["rmi", "--no-prune"],
            Kind::Nerdctl => &["rmi"],
        };
        remove_listed(&tags, removal);
        remove_listed(&ids, removal);
        failed.extend(self.remove_steps(folder, removal).err());
        failed
    }

    /// Removes the images without a name that builds of the run left.
    fn remove_steps(&self, folder: &Path, removal: &[&str]) -> Result<()> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Inspected {
            id: String,
            #[serde(default)]
            repo_tags: Option<Vec<String>>,
            created: String,
        }
        let made = steps::made(&folder.join(BUILDS))?;
        if made.is_empty() {
            return Ok(());
        }
        // A build can print what it likes: what is older than the run was not made by it.
        let began = DateTime::<Utc>::from(fs::metadata(folder.join(BEGAN))?.modified()?);
        let plain = |id: &str| id.trim_start_matches("sha256:").to_owned();
        // One by one, and not out of a list of all: one image of the user's that is damaged keeps podman from listing any.
        let ours = |made: &String| {
            let inspected = self.call("image").args(["inspect", made.as_str()]).clears_up().text().ok()?;
            let inspected: Vec<Inspected> = serde_json::from_str(&inspected).ok()?;
            let image = inspected.into_iter().find(|image| plain(&image.id).starts_with(made.as_str()))?;
            let created = DateTime::parse_from_rfc3339(&image.created);
            let is_unnamed = image.repo_tags.iter().flatten().next().is_none();
            (is_unnamed && created.is_ok_and(|created| created >= began)).then_some(image.id)
        };
        // What builds upon an image goes before it.
        let ours: Vec<String> = made.iter().rev().filter_map(ours).collect();
        if ours.is_empty() { Ok(()) } else { self.clear(removal, &ours) }
    }

    /// Removes what containers wrote in the folder. Files of other users, which only root of the engine's containers may remove, are left to the helper image,
    /// as long as that is there.
    fn remove_files(&self, folder: &Path) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let kept = |path: &Path| path.file_name().is_some_and(|name| name == BUILDS || name == BEGAN);
        for path in entries.map(|entry| entry.path()).filter(|path| !kept(path)) {
            if remove(&path).is_ok() {
                continue;
            }
            let mut mount = format!("{0}:{0}", folder.display());
            if Path::new("/sys/fs/selinux/enforce").exists() {
                mount.push_str(":z");
            }
            let call = self.call("run").args(["--rm", "--pull=never", "--network", "none", "--label", &self.label()]);
            let call = call.args(["--volume", &mount, &self.helper_image(), "remove"]).arg(&path);
            // Whether it is gone is seen when the folder itself is removed.
            let _ = call.clears_up().text();
        }
    }

    fn list(&self, words: &[&str]) -> Result<Vec<String>> {
        let listed = self.words(words).text()?;
        let mut lines: Vec<String> = Vec::new();
        for line in listed.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains("<none>")) {
            // An image is listed once for each of its names.
            if !lines.iter().any(|other| other == line) {
                lines.push(line.to_owned());
            }
        }
        Ok(lines)
    }

    fn clear(&self, words: &[&str], what: &[String]) -> Result<()> {
        self.words(words).args(what).text().map(drop)
    }

    fn words(&self, words: &[&str]) -> super::Call {
        let (first, rest) = words.split_first().map_or(("", words), |(first, rest)| (*first, rest));
        self.call(first).args(rest).clears_up()
    }

    fn remove_folder(&self, folder: &Path) -> Result<()> {
        // Nothing but what `Throwaway::open` made.
        if folder.file_name().is_none_or(|name| *name != *format!("unroot-{}", self.run)) {
            return Ok(());
        }
        remove(folder).map_err(|error| Failure::new(format!("{}: {error}", folder.display())))
    }
}

/// Removes a file, or a folder with all that is in it. What is not there is no error.
fn remove(path: &Path) -> std::io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
