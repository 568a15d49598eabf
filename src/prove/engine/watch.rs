//! Whoever clears up after a run that cannot do so itself, because it was killed.
//!
//! A second process of this program waits at a pipe for the end of the first. It is in a session of its own, so that neither Ctrl-C nor the closing of a
//! terminal reaches it, and ignores requests to terminate as long as there is something to wait for. When the pipe closes without the word that all is
//! done, it ends the calls of the engine that still run, removes what bears the name of the run, and ends.
#![allow(clippy::disallowed_methods, reason = "the program starts itself again, to clear up after itself")]

use super::ending::{Ending, calls_of, is_running};
use super::sweep::{BUILDS, sweep};
use super::{Engine, Kind, steps};
use crate::prove::{Failure, Result, interrupt};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// What the first process says when it has cleared up itself.
const DONE: &str = "done";

/// What the second process says when signals do not end it any more.
const READY: &str = "ready";

/// The command that makes this program the second process.
pub const COMMAND: &str = "prove:watch";

/// What the second process has to know.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The engine
    #[arg(long, value_enum)]
    engine: Kind,
    /// Its program
    #[arg(long)]
    program: PathBuf,
    /// The name of the run
    #[arg(long)]
    run: String,
    /// The folder of the run
    #[arg(long)]
    folder: PathBuf,
}

/// The second process, as the first one sees it.
#[derive(Debug)]
pub(super) struct Watcher {
    pipe: Mutex<Option<ChildStdin>>,
    process: Mutex<Child>,
}

impl Watcher {
    /// Starts it by `program`, which is this one, and waits until it is ready.
    pub(super) fn start(program: &Path, engine: &Engine, folder: &Path) -> Result<Self> {
        let cannot = |error: std::io::Error| Failure::new(format!("cannot start {}: {error}", program.display()));
        let kind = engine.kind.to_string();
        let mut process = Command::new(program)
            .args([COMMAND, "--engine", &kind, "--run", &engine.run, "--program"])
            .arg(&engine.program)
            .arg("--folder")
            .arg(folder)
            // Nobody's folder is kept busy by it.
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(cannot)?;
        let mut said = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut said).map_err(cannot)?;
        }
        if said.trim() != READY {
            return Err(Failure::new(format!("{} {COMMAND} does not start", program.display())));
        }
        let pipe = process.stdin.take();
        Ok(Self { pipe: Mutex::new(pipe), process: Mutex::new(process) })
    }

    /// Says that a call runs, as long as the value lives.
    pub(super) fn running(&self, group: u32, command: &str) -> Running<'_> {
        self.say(&format!("+{group} {command}"));
        Running { watcher: self, group }
    }

    /// Says that there is nothing left to clear up, and waits for its end.
    pub(super) fn done(&self) {
        self.say(DONE);
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.process.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }

    fn say(&self, line: &str) {
        if let Some(pipe) = self.pipe.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            // If somebody killed it, then there is nobody to be told.
            let _ = pipe.write_all(format!("{line}\n").as_bytes());
        }
    }
}

/// A call that runs.
pub(super) struct Running<'a> {
    watcher: &'a Watcher,
    group: u32,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.watcher.say(&format!("-{}", self.group));
    }
}

/// What the second process does.
///
/// # Errors
/// What cannot be removed. Nobody is there to be told; the exit code says it.
pub fn watch(arguments: &Arguments) -> Result<()> {
    #[cfg(unix)]
    rustix::process::setsid().map_err(|error| Failure::new(error.to_string()))?;
    interrupt::listen(|| {})?;
    let mut to_the_first = stdout();
    to_the_first.write_all(format!("{READY}\n").as_bytes())?;
    to_the_first.flush()?;
    let mut calls: BTreeMap<u32, String> = BTreeMap::new();
    for line in stdin().lines() {
        let Ok(line) = line else { break };
        if line == DONE {
            return Ok(());
        }
        if let Some((group, command)) = line.strip_prefix('+').and_then(|call| call.split_once(' ')) {
            calls.extend(group.parse().ok().map(|group| (group, command.to_owned())));
        } else if let Some(group) = line.strip_prefix('-').and_then(|group| group.parse().ok()) {
            calls.remove(&group);
        }
    }
    let Arguments { engine: kind, program, run, folder } = arguments;
    // What was started in the very last moment was not told.
    for (call, command) in calls_of(run) {
        calls.entry(call).or_insert_with(|| command.to_owned());
    }
    let engine = Engine::new(*kind, program, String::new(), run.clone());
    let logs = steps::logs(&folder.join(BUILDS));
    thread::scope(|scope| {
        for (group, command) in &calls {
            let ending = Ending { engine: &engine, command, group: *group, logs: logs.clone() };
            scope.spawn(|| ending.end(|| is_running(*group)));
        }
    });
    sweep(&engine, folder, true)
}
