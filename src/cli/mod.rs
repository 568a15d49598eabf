//! The command line: arguments, modes and exit codes.

mod arguments;
mod lock;
mod progress;
mod prove;
mod surroundings;

pub use arguments::{Arguments, Colour, Command, Mode, ProveArguments};

use crate::config::Config;
use crate::discover::Tree;
use crate::error::Error;
use crate::pipeline::{self, Options, Run};
use crate::prove::{inside, record};
use crate::registry::{Age, Cached, NetworkSettings, Offline, Online, RegistrySettings, Resolver};
use crate::repository::Repository;
use crate::source::printable;
use crate::transforms::ALL;
use crate::write::Cache;
use crate::{registry, report, write};
use anstream::{eprintln, print, println};
use clap::Parser;
use lock::LockFile;
use progress::WithProgress;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nothing to do, or all done.
const DONE: u8 = 0;
/// `--check` found something that a run with the same flags would change, or `--locked` that the lock would.
const WOULD_CHANGE: u8 = 1;
/// Wrong usage, a file or registry that could not be read, or a defect of this program.
const FAILED: u8 = 2;
/// There was nothing to look at: a gate that sees nothing must not be green.
const NOTHING_SEEN: u8 = 3;

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let colour = match &arguments.command {
        Some(Command::Prove(prove)) => prove.color,
        _ => arguments.output.color,
    };
    match colour {
        Colour::Auto => {}
        Colour::Always => anstream::ColorChoice::Always.write_global(),
        Colour::Never => anstream::ColorChoice::Never.write_global(),
    }
    match run(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            report_error(&error);
            ExitCode::from(FAILED)
        }
    }
}

#[allow(clippy::print_stderr, reason = "this is the program's one place to speak of errors")]
fn report_error(error: &Error) {
    let style = report::styles::ERROR;
    // Several lines only where a configuration is quoted.
    let lines: Vec<String> = error.to_string().lines().map(printable).collect();
    eprintln!("{style}error{style:#}: {}", lines.join("\n"));
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line is what prints")]
fn run(arguments: &Arguments) -> Result<u8, Error> {
    match &arguments.command {
        Some(Command::List) => {
            print!("{}", report::transforms::list());
            return Ok(DONE);
        }
        Some(Command::Explain { id }) => {
            let transform = ALL.iter().find(|transform| transform.metadata().id == id).ok_or_else(|| {
                let ids: Vec<_> = ALL.iter().map(|transform| transform.metadata().id).collect();
                Error::Usage(format!("no transform is called {}; there are {}", id.escape_debug(), ids.join(", ")))
            })?;
            print!("{}", transform.metadata().readme);
            return Ok(DONE);
        }
        Some(Command::Inside { words }) => {
            return match inside::main(words) {
                Ok(()) => Ok(DONE),
                Err(failure) => Err(Error::Usage(failure.to_string())),
            };
        }
        Some(Command::Prove(arguments)) => return prove::prove(arguments),
        Some(Command::ProveWatch(arguments)) => {
            // Nobody sees what it says.
            return Ok(if crate::prove::engine::watch::watch(arguments).is_ok() { DONE } else { FAILED });
        }
        None => {}
    }
    let Planned { root, options, run, cache } = planned(arguments)?;
    if run.dockerfiles + run.manifests == 0 {
        print!("{}", report::text::unread(&run));
        let root = printable(&root.display().to_string());
        eprintln!("nothing to look at: no Dockerfile and no Kubernetes manifest below {root}");
        return Ok(if run.unread.is_empty() { NOTHING_SEEN } else { FAILED });
    }
    // Nothing is written that rests on answers which the lock does not have.
    let asked = &arguments.mode;
    let unwritten = Mode { check: asked.check || asked.write || asked.patches.is_some(), ..Mode::default() };
    let mode = if run.not_locked.is_empty() { asked } else { &unwritten };
    let mut proof = None;
    if mode.write {
        // The lock goes first: should the machine stop in between, it answers for what is new and for what is old.
        let mut files = run.files.clone();
        files.sort_by_key(|file| file.path != registry::lock::FILE_NAME);
        write::write_all(&root, &files)?;
    } else if let Some(directory) = &mode.patches {
        proof = cache.and_then(|cache| record::trailer(cache.as_ref(), &root, &run.files));
        let below = crate::discover::place_in_repository(&root);
        write::write_new(directory, &report::patches::series(&run, &below, proof.as_deref()))?;
    } else if !mode.check {
        for file in &run.files {
            print!("{}", report::diff::coloured(&file.path, file.before.as_deref(), &file.after));
        }
        if !run.files.is_empty() {
            println!();
        }
    }
    print!("{}", report::text::ledger(&run, mode, arguments.output.verbose));
    if let Some(target) = options.target {
        print!("{}", report::levels::table(&run.levels, target));
    }
    print!("{}", report::text::closing(&run, mode));
    if proof.is_some() && !run.files.is_empty() {
        println!("the last patch tells of the proof");
    }
    Ok(exit_code(&run, arguments.mode.check))
}

/// A run, not yet written or shown.
struct Planned {
    root: PathBuf,
    options: Options,
    run: Run,
    cache: Option<Arc<Cache>>,
}

/// Reads the files and runs the transforms over them, in memory.
#[allow(clippy::print_stderr, reason = "the command line is what prints")]
fn planned(arguments: &Arguments) -> Result<Planned, Error> {
    let (tree, config) = discover(arguments)?;
    let root = tree.root().to_path_buf();
    let repository = Repository::parse(tree, &config);
    let lock = LockFile::load(&root, arguments)?;
    let options = Options {
        keeps_lock: lock.is_some(),
        only: arguments.selection.only.clone(),
        skip: arguments.selection.skip.clone(),
        allow_unsafe: arguments.selection.allow_unsafe,
        update: arguments.selection.update,
        target: arguments.output.level.then_some(arguments.output.target),
    };
    let now = surroundings::now();
    let cache = cache(arguments);
    let resolver = resolver(arguments, &config, &root, cache.clone(), now);
    let run = match lock {
        Some(lock) => {
            let locked = lock.before(arguments, config.platform.clone(), resolver);
            let mut run = pipeline::run(repository, &config, &options, &locked)?;
            lock.add_to(&mut run, &locked, arguments, arguments.looks_at(&root), now.into());
            run
        }
        None => pipeline::run(repository, &config, &options, resolver.as_ref())?,
    };
    if let Some(trouble) = cache.as_ref().and_then(|cache| cache.trouble()) {
        eprintln!("note: no answer is kept for the next run: {}", printable(&trouble));
    }
    Ok(Planned { root, options, run, cache })
}

/// What is kept between runs, unless nothing is to be.
fn cache(arguments: &Arguments) -> Option<Arc<Cache>> {
    let folder = if arguments.network.no_cache { None } else { surroundings::cache_directory() };
    folder.map(|folder| Arc::new(Cache::new(folder, surroundings::now())))
}

fn exit_code(run: &Run, check: bool) -> u8 {
    if run.has_internal_failures() || !run.lookup_failures.is_empty() {
        FAILED
    } else if !run.not_locked.is_empty() || check && !run.files.is_empty() {
        WOULD_CHANGE
    } else {
        DONE
    }
}

impl Arguments {
    /// What is looked at.
    fn inputs(&self) -> Vec<PathBuf> {
        if self.paths.is_empty() { vec![PathBuf::from(".")] } else { self.paths.clone() }
    }

    /// Whether nothing below `root` is left out.
    fn looks_at(&self, root: &Path) -> bool {
        self.inputs().iter().any(|input| input.canonicalize().is_ok_and(|input| input == root))
    }
}

/// The files, and the configuration at their root.
fn discover(arguments: &Arguments) -> Result<(Tree, Config), Error> {
    let paths = arguments.inputs();
    let root = crate::discover::root_of(&paths)?;
    let mut config = Config::load(&root)?;
    config.final_base = arguments.selection.final_base.or(config.final_base);
    config.platform = arguments.network.platform.clone().or(config.platform);
    Ok((Tree::discover(&paths, &config.exclude)?, config))
}

/// Who answers what the lock does not: the cache, and registries for the rest.
fn resolver(
    arguments: &Arguments,
    config: &Config,
    root: &Path,
    cache: Option<Arc<Cache>>,
    now: SystemTime,
) -> Box<dyn Resolver> {
    let registries = config.registries.iter().map(|(host, entry)| {
        let ca = entry.ca.as_ref().map(|ca| root.join(ca));
        let settings = RegistrySettings { mirror: entry.mirror.clone(), plain_http: entry.plain_http, ca };
        (host.clone(), settings)
    });
    let settings = NetworkSettings {
        registries: registries.collect(),
        timeout: Duration::from_secs(arguments.network.timeout),
        platform: config.platform.clone(),
        deadline: Duration::from_secs(arguments.network.deadline),
        ..NetworkSettings::default()
    };
    let offline = arguments.network.offline;
    let Some(cache) = cache else {
        return match offline {
            true => Box::new(Offline),
            false => Box::new(WithProgress::new(Online::new(settings))),
        };
    };
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if offline {
        return Box::new(Cached::new(cache, settings, Age::Any, seconds, Offline));
    }
    let age = if arguments.selection.update { Age::None } else { Age::Below(config.cache.max_age) };
    let online = WithProgress::new(Online::new(settings.clone()).keeping(cache.clone()));
    Box::new(Cached::new(cache, settings, age, seconds, online))
}
