//! Ending calls of the engine before they come to their end.
//!
//! A build that is ended by a signal to its client leaves things of which nothing tells whose they are. `podman build` leaves working containers, their mounts
//! and the processes of its RUN step; docker without BuildKit leaves the image of a step that its client did not live to hear of. So their RUN step is ended
//! instead, upon which the build fails and clears up by itself. BuildKit cancels what its client no longer waits for. Other calls that change something are
//! short, and are waited for.

#![allow(clippy::disallowed_methods, reason = "what is to end is waited for, which takes a clock")]

use super::{Engine, Kind, steps};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a build may take to fail, once it is to end.
const BUILD_GRACE: Duration = Duration::from_secs(60);

/// How far a client of docker is behind its daemon at most.
const LAG_MAX: Duration = Duration::from_secs(2);

/// How long another call that changes something may take to come to its end.
const CHANGE_GRACE: Duration = Duration::from_secs(10);

/// How long what is asked to end may take for it, before it is killed.
const LAST_GRACE: Duration = Duration::from_secs(3);

/// A call that is to end. It leads a process group of its own.
pub(super) struct Ending<'a> {
    pub(super) engine: &'a Engine,
    /// The word that it begins with.
    pub(super) command: &'a str,
    /// The number of its process.
    pub(super) group: u32,
    /// Where a build prints to; one of these, where it is not known which.
    pub(super) logs: Vec<PathBuf>,
}

impl Ending<'_> {
    /// Ends it. `runs` tells whether it still runs.
    pub(super) fn end(self, mut runs: impl FnMut() -> bool) {
        let mut killed = BTreeSet::new();
        let asked = Instant::now();
        while runs() && self.ends_by_itself(asked.elapsed(), &mut killed) {
            sleep(PAUSE);
        }
        if !runs() {
            return;
        }
        processes::terminate(self.group);
        let asked = Instant::now();
        while runs() && asked.elapsed() < LAST_GRACE {
            sleep(PAUSE);
        }
        // Also where the leader has ended: others of the group may be left.
        processes::kill(self.group);
    }

    /// Whether it is worth waiting for; makes a build end sooner.
    fn ends_by_itself(&self, waited: Duration, killed: &mut BTreeSet<String>) -> bool {
        match (self.engine.kind, self.command) {
            (Kind::Podman, "build") => {
                processes::end_contained(self.group);
                waited < BUILD_GRACE
            }
            (Kind::Docker, "build") => {
                let logs = self.logs.iter().filter_map(|log| fs::read(log).ok());
                let steps: Vec<_> = logs.map(|log| steps::running(&String::from_utf8_lossy(&log))).collect();
                for container in steps.iter().filter_map(|step| step.container.clone()) {
                    if killed.insert(container.clone()) {
                        // It may have ended by now.
                        let _ = self.engine.call("kill").arg(container).clears_up().text();
                    }
                }
                // The daemon is ahead of what its client prints, and a step may have begun that nothing tells of yet.
                waited < if steps.iter().any(|step| step.makes_an_image) { BUILD_GRACE } else { LAG_MAX }
            }
            (_, "create" | "run" | "start" | "rm" | "rmi" | "kill" | "stop" | "network" | "volume" | "tag") => {
                waited < CHANGE_GRACE
            }
            _ => false,
        }
    }
}

pub(super) use processes::{calls_of, is_running};

#[cfg(unix)]
mod processes {
    use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    fn pid(number: u32) -> Option<Pid> {
        // 0 and 1 stand for this group and everybody.
        i32::try_from(number).ok().filter(|number| *number > 1).and_then(Pid::from_raw)
    }

    /// Whether anybody of the group is left.
    pub(in super::super) fn is_running(group: u32) -> bool {
        pid(group).is_some_and(|group| test_kill_process_group(group).is_ok())
    }

    pub(super) fn terminate(group: u32) {
        // It may be gone by now.
        let _ = pid(group).map(|group| kill_process_group(group, Signal::TERM));
    }

    pub(super) fn kill(group: u32) {
        let _ = pid(group).map(|group| kill_process_group(group, Signal::KILL));
    }

    /// Kills the descendants of a call that see another root directory: they are in a container of a build. Nothing where there is no /proc.
    pub(super) fn end_contained(call: u32) {
        let root = |process: &str| fs::metadata(format!("/proc/{process}/root/")).map(|root| (root.dev(), root.ino()));
        let Ok(ours) = root("self") else { return };
        let parents = parents();
        let is_below = |mut process: u32| {
            // No process is its own ancestor, but the table was not read in one moment.
            for _ in 0..64 {
                match parents.get(&process) {
                    Some(parent) if *parent == call => return true,
                    Some(parent) => process = *parent,
                    None => return false,
                }
            }
            false
        };
        for process in parents.keys().copied().filter(|process| is_below(*process)) {
            if root(&process.to_string()).is_ok_and(|root| root != ours) {
                let _ = pid(process).map(|process| kill_process(process, Signal::KILL));
            }
        }
    }

    /// Every process and its parent.
    fn parents() -> BTreeMap<u32, u32> {
        let parent = |process: u32| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            // The name, in parentheses, may hold anything.
            stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
        };
        all().filter_map(|process| Some((process, parent(process)?))).collect()
    }

    fn all() -> impl Iterator<Item = u32> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
    }

    /// The calls of engines that name this run among their arguments: the last one may have been started in the moment in which its caller was killed.
    /// Each with the word that it begins with, as far as that matters.
    pub(in super::super) fn calls_of(run: &str) -> Vec<(u32, &'static str)> {
        let command = |process: u32| {
            let line = fs::read(format!("/proc/{process}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line);
            let (program, words) = line.split_once('\0')?;
            let program = program.rsplit('/').next()?;
            let is_call = ["docker", "podman", "nerdctl"].contains(&program) && words.contains(run);
            is_call.then(|| if words.split('\0').any(|word| word == "build") { "build" } else { "run" })
        };
        all().filter_map(|process| Some((process, command(process)?))).collect()
    }
}

#[cfg(not(unix))]
mod processes {
    pub(in super::super) fn is_running(_group: u32) -> bool {
        false
    }

    pub(super) fn terminate(_group: u32) {}

    pub(super) fn kill(_group: u32) {}

    pub(super) fn end_contained(_call: u32) {}

    pub(in super::super) fn calls_of(_run: &str) -> Vec<(u32, &'static str)> {
        Vec::new()
    }
}
