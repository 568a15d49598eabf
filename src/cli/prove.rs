//! `unroot prove`: builds and starts what a run would make of the files, and tells what came of it.

use super::arguments::{Arguments, Mode, Network, Output, ProveArguments, Selection};
use super::{DONE, FAILED, NOTHING_SEEN, WOULD_CHANGE, discover, surroundings};
use crate::config::{Config, FILE_NAME};
use crate::error::Error;
use crate::link::{Link, Links};
use crate::pipeline::FileChange;
use crate::prove::builds::{self, Linked, Planned};
use crate::prove::engine::{BuildSpec, Engine, EngineNode, Side, Throwaway};
use crate::prove::groups::{self, Group, ManifestText, Unrunnable};
use crate::prove::judge::Demand;
use crate::prove::learn::{Observation, learned};
use crate::prove::proof::{Outcome, Proof, Unbuilt};
use crate::prove::record::{self, Basis};
use crate::prove::run::{Prover, Results};
use crate::prove::totals::Conclusion;
use crate::prove::{Failure, interrupt};
use crate::report;
use crate::repository::{Repository, Role};
use crate::source::{Position, printable};
use crate::write::{self, Logs};
use anstream::{eprintln, print, println};
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long what cannot be asked must stay up.
const STAY: Duration = Duration::from_secs(5);

/// How long one build may take.
const BUILD_LIMIT: Duration = Duration::from_secs(60 * 60);

/// The files of a tree as they are before or after: what is built from them, and what is started.
struct Tree {
    root: PathBuf,
    manifests: Vec<ManifestText>,
    linked: Linked,
    dockerfiles: BTreeMap<String, String>,
}

impl Tree {
    fn read(root: &Path, repository: &Repository, config: &Config) -> Self {
        let links = Links::find(repository, config);
        let manifests = repository.manifests().filter(|(_, manifest)| manifest.role == Role::Objects);
        let manifests = manifests.map(|(id, manifest)| {
            let mut positions: BTreeMap<String, Vec<Position>> = BTreeMap::new();
            for workload in &manifest.workloads {
                let position = Position::of(manifest.stream.text(), workload.offset(&manifest.stream));
                positions.entry(workload.label()).or_default().push(position);
            }
            let file = repository.file(id);
            ManifestText { path: file.path.clone(), text: file.original.to_string(), positions }
        });
        let dockerfiles = repository.dockerfiles().map(|(id, _)| {
            let file = repository.file(id);
            (file.path.clone(), file.original.to_string())
        });
        Self {
            root: root.to_owned(),
            manifests: manifests.collect(),
            linked: builds::linked(repository, &links),
            dockerfiles: dockerfiles.collect(),
        }
    }

    /// The same with these changes.
    fn with(&self, changes: &[FileChange]) -> Self {
        let after: BTreeMap<&str, &FileChange> = changes.iter().map(|change| (change.path.as_str(), change)).collect();
        let text = |path: &str, text: &str| after.get(path).map_or(text, |change| &change.after).to_owned();
        let manifests = self.manifests.iter().map(|manifest| {
            let text = text(&manifest.path, &manifest.text);
            ManifestText { text, ..manifest.clone() }
        });
        let dockerfiles = self.dockerfiles.iter().map(|(path, written)| (path.clone(), text(path, written)));
        Self {
            root: self.root.clone(),
            manifests: manifests.collect(),
            linked: self.linked.clone(),
            dockerfiles: dockerfiles.collect(),
        }
    }

    /// Whether a question to `place`, `web:80`, can be put.
    fn has_service(&self, place: &str, further: &[ManifestText]) -> bool {
        let name = place.split(':').next().unwrap_or_default();
        let groups = self.groups(further).0;
        groups.iter().flat_map(|group| &group.objects.services).any(|service| service.name == name)
    }

    /// The texts of its files, by path.
    fn texts(&self) -> BTreeMap<String, String> {
        let manifests = self.manifests.iter().map(|manifest| (manifest.path.clone(), manifest.text.clone()));
        self.dockerfiles.clone().into_iter().chain(manifests).collect()
    }

    fn groups(&self, further: &[ManifestText]) -> (Vec<Group>, Vec<Unrunnable>) {
        groups::read(&[further, &self.manifests].concat(), &self.linked)
    }
}

/// Proves, and says so.
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line is what prints")]
pub(super) fn prove(arguments: &ProveArguments) -> Result<u8, Error> {
    let of_run = arguments.as_run();
    let (tree, _) = discover(&of_run)?;
    let root = tree.root().to_path_buf();
    // Before anything is read for good, so that what changes meanwhile is noticed.
    let cache = super::cache(&of_run);
    let basis = cache.as_ref().and_then(|_| Basis::of(&root, &arguments.with).ok());
    let (tree, config) = discover(&of_run)?;
    let repository = Repository::parse(tree, &config);
    if let Some(reason) = nothing(&repository, &config) {
        eprintln!("nothing to prove: {}", printable(&reason));
        return Ok(NOTHING_SEEN);
    }
    let further = further(&arguments.with)?;
    let engine = Engine::find(arguments.engine).map_err(cannot)?;
    let name = engine.to_string();
    let here = Tree::read(&root, &repository, &config);
    let (before, after, changes) = match &arguments.before {
        Some(directory) => (read_other(directory)?, here, Vec::new()),
        None => {
            let changes = super::planned(&of_run)?.run.files;
            let after = here.with(&changes);
            (here, after, changes)
        }
    };
    for probe in config.probes.iter().filter(|probe| !before.has_service(&probe.service, &further)) {
        let service = printable(&probe.service);
        eprintln!("not asked: no manifest has the Service of the [[probe]] of {service} in {FILE_NAME}");
    }
    interrupt::listen(|| eprintln!("removing what was made; this takes a moment")).map_err(cannot)?;
    let results = run(arguments, &config, engine, &[&before, &after], &further)?;
    let observations: Vec<Observation> = results.workloads.iter().flat_map(observations).collect();
    let workloads = results.workloads.into_iter().map(|judged| judged.proof).collect();
    let proof = Proof { engine: name, builds: results.builds, workloads };
    match arguments.json {
        true => println!("{}", report::proof::json(&proof)),
        false => print!("{}", report::proof::text(&proof, arguments.verbose)),
    }
    if arguments.learn {
        learn(&root, &observations, arguments.json)?;
    }
    if let (Some(cache), Some(basis)) = (&cache, &basis)
        && arguments.before.is_none()
    {
        record::keep(cache.as_ref(), &root, &changes, basis, &proof);
    }
    Ok(match Conclusion::of(&proof) {
        Conclusion::Holds => DONE,
        Conclusion::Breaks => WOULD_CHANGE,
        Conclusion::DoesNotBuild => FAILED,
        Conclusion::NothingProved => NOTHING_SEEN,
    })
}

fn cannot(failure: Failure) -> Error {
    Error::Prove(failure.to_string())
}

/// Why there is nothing to prove, if there is not.
fn nothing(repository: &Repository, config: &Config) -> Option<String> {
    let mut containers = repository.containers().peekable();
    if containers.peek().is_none() {
        return Some(format!("no workload below {}", repository.tree().root().display()));
    }
    let links = Links::find(repository, config);
    let is_built = |link: &Link| matches!(link, Link::Linked { .. } | Link::Service { .. });
    let dockerfile = repository.dockerfiles().next()?.0;
    if containers.any(|id| is_built(links.of(id))) {
        return None;
    }
    let images: BTreeSet<&str> = repository
        .containers()
        .filter_map(|id| {
            let workload = repository.file(id.file).manifest()?.workloads.get(id.workload)?;
            Some(workload.containers.get(id.container)?.image.as_str())
        })
        .collect();
    let first = images.first().copied().unwrap_or_default();
    let more = if images.len() > 1 { format!(" and {} more", images.len() - 1) } else { String::new() };
    Some(format!(
        "no Dockerfile is known to build what the containers run ({first}{more}); say which one does by [[link]] in {FILE_NAME}, as in image = {first:?}, \
         dockerfile = {:?}",
        repository.file(dockerfile).path
    ))
}

/// The tree as it was, with its own configuration.
fn read_other(directory: &Path) -> Result<Tree, Error> {
    let config = Config::load(directory)?;
    let tree = crate::discover::Tree::of(directory, &config.exclude)?;
    let root = tree.root().to_path_buf();
    Ok(Tree::read(&root, &Repository::parse(tree, &config), &config))
}

/// The manifests of `--with`.
fn further(paths: &[PathBuf]) -> Result<Vec<ManifestText>, Error> {
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.clone(), source })?;
        if let Some(reason) = groups::unreadable(&text) {
            return Err(Error::Prove(format!("{}: {reason}", printable(&path.display().to_string()))));
        }
        // It lies above all folders of the tree, so that all share it.
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(ManifestText { path: name, text, positions: BTreeMap::new() })
    };
    paths.iter().map(read).collect()
}

/// Builds and runs both sides; nothing of it is left afterwards.
fn run(
    arguments: &ProveArguments,
    config: &Config,
    engine: Engine,
    sides: &[&Tree; 2],
    further: &[ManifestText],
) -> Result<Results, Error> {
    let program = surroundings::program()?;
    let throwaway = Throwaway::open(engine, &program).map_err(cannot)?;
    let line = ProgressBar::new_spinner().with_message("starting");
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>3} {msg}") {
        line.set_style(style);
    }
    line.enable_steady_tick(Duration::from_millis(120));
    let result = prove_in(&throwaway, arguments, config, sides, further, &line, &program);
    line.set_message("removing what was made");
    let closed = throwaway.close();
    line.finish_and_clear();
    let results = result.map_err(cannot)?;
    closed.map_err(cannot)?;
    Ok(results)
}

fn prove_in(
    throwaway: &Throwaway,
    arguments: &ProveArguments,
    config: &Config,
    sides: &[&Tree; 2],
    further: &[ManifestText],
    line: &ProgressBar,
    program: &Path,
) -> crate::prove::Result<Results> {
    let [before, after] = sides;
    // Without --before the later side is held in memory.
    let on_disk = if arguments.before.is_some() { after.texts() } else { before.texts() };
    let node = EngineNode::new(throwaway.engine(), throwaway.folder(), program)?;
    let logs = arguments.logs.as_deref().map(Logs::below).transpose().map_err(of_logs)?;
    let number = Cell::new(0);
    let build = |planned: &Planned, side: Side| {
        let tree = if side == Side::Before { before } else { after };
        let Some(text) = tree.dockerfiles.get(&planned.dockerfile) else {
            return Ok(Err(format!("there is no {}", planned.dockerfile).into()));
        };
        number.set(number.get() + 1);
        let spec = BuildSpec {
            number: number.get(),
            side,
            text: text.clone().into_bytes(),
            dockerfile: tree.root.join(&planned.dockerfile),
            context: tree.root.join(&planned.context),
            target: planned.target.clone(),
            arguments: planned.arguments.clone(),
            contexts: Vec::new(),
            options: arguments.build_option.clone(),
            limit: BUILD_LIMIT,
        };
        let log = logs.as_ref().map(|logs| logs.path(&build_name(planned, side)));
        let mut built = throwaway.engine().build(&spec, throwaway.folder(), log.as_deref())?;
        if let Err(Unbuilt { place, .. }) = &mut built {
            let path = planned.dockerfile.clone();
            *place = place.take().and_then(|(_, position)| match (&arguments.before, side) {
                (None, Side::Before) | (Some(_), Side::After) => Some((path, position)),
                (Some(directory), Side::Before) => Some((directory.join(path).display().to_string(), position)),
                // This text is not on disk, but mostly the line is.
                (None, Side::After) => {
                    let position = same_line(text, position, before.dockerfiles.get(&path)?)?;
                    Some((path, position))
                }
            });
        }
        Ok(built)
    };
    let keep = |name: &str, text: &str| match &logs {
        Some(logs) => logs.write(name, text).map_err(of_logs),
        None => Ok(()),
    };
    let prover = Prover {
        node: &node,
        build: &build,
        on_disk: &on_disk,
        probes: &config.probes,
        patience: Duration::from_secs(arguments.time_limit),
        stay: STAY,
        told: &|words| line.set_message(printable(words)),
        logs: &keep,
    };
    let (found, unrunnable_before) = before.groups(further);
    let (hardened, unrunnable) = after.groups(further);
    // What can be read only as it was is told by its own reason, too.
    let unrunnable = if unrunnable.is_empty() { unrunnable_before } else { unrunnable };
    prover.all(&found, &hardened, &unrunnable)
}

/// The place in another text whose line is the same, where that is one line only.
fn same_line(text: &str, position: Position, other: &str) -> Option<Position> {
    let line = text.lines().nth(position.line.checked_sub(1)?)?;
    let mut same = other.lines().zip(1..).filter(|(other, _)| *other == line);
    let (_, number) = same.next()?;
    same.next().is_none().then_some(Position { line: number, column: position.column })
}

fn build_name(planned: &Planned, side: Side) -> String {
    let target = planned.target.as_ref().map(|target| format!("-{target}")).unwrap_or_default();
    format!("build-{}{target}-{side}", planned.dockerfile)
}

fn of_logs(error: Error) -> Failure {
    Failure::new(error.to_string())
}

fn observations(judged: &crate::prove::run::Judged) -> Vec<Observation> {
    judged
        .before
        .iter()
        .filter_map(|before| {
            let after = judged.after.iter().find(|after| after.container == before.container);
            // What waits for something that is not there has not come to do all that it does.
            let is_at_work = |demand: &Demand| *demand == Demand::Answers || judged.proof.missing.is_empty();
            let holds = match &judged.proof.outcome {
                Outcome::Holds { demand, .. } if !is_at_work(demand) => return None,
                Outcome::Holds { .. } => true,
                _ => false,
            };
            Observation::of(Some(before), after.filter(|_| holds))
        })
        .collect()
}

/// Adds what was seen to the configuration, and shows it before that.
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line is what prints")]
fn learn(root: &Path, observations: &[Observation], is_quiet: bool) -> Result<(), Error> {
    let path = root.join(FILE_NAME);
    let text = match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(Error::Read { path, source }),
    };
    let before = text.clone().unwrap_or_default();
    let after = learned(&before, observations).map_err(cannot)?;
    if after == before {
        eprintln!("nothing new to learn");
        return Ok(());
    }
    if !is_quiet {
        print!("\n{}", report::diff::coloured(FILE_NAME, text.as_deref(), &after));
    }
    eprintln!(
        "learnt is what these runs did; what an application writes seldom was not seen, so read it before you rely on it"
    );
    let change = FileChange { path: FILE_NAME.to_owned(), before: text.map(Into::into), after: after.into() };
    write::write_all(root, &[change])
}

impl ProveArguments {
    /// The run whose changes are proved.
    fn as_run(&self) -> Arguments {
        Arguments {
            command: None,
            paths: self.paths.clone(),
            mode: Mode::default(),
            selection: Selection::clone(&self.selection),
            output: Output::default(),
            network: Network::clone(&self.network),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_where_there_is_one_like_it() {
        let hardened = "FROM a\nUSER 1000\n  RUN x\nRUN y\nRUN y\n";
        let place = |line| same_line(hardened, Position { line, column: 3 }, "FROM a\n  RUN x\nRUN y\nRUN y\n");
        assert_eq!(place(3), Some(Position { line: 2, column: 3 }));
        assert_eq!((place(2), place(4), place(9)), (None, None, None));
    }
}
