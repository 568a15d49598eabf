//! The arguments, grouped as the help shows them.

use crate::config::FinalBase;
use crate::image::Platform;
use crate::kubernetes::pod_security::Policy;
use crate::prove::engine::Kind as Engine;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Rewrites Dockerfiles and Kubernetes manifests together until the containers no longer run as root, and still start.
///
/// Without a mode it prints what it would change as a diff, and a ledger of everything it looked at; nothing is written.
#[derive(Debug, Parser)]
#[command(name = "unroot", version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
pub struct Arguments {
    /// What to do instead of a run.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Files or directories to look at [default: the current directory]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// What to do with the result.
    #[command(flatten)]
    pub mode: Mode,

    /// What to change.
    #[command(flatten)]
    pub selection: Selection,

    /// What to show.
    #[command(flatten)]
    pub output: Output,

    /// How to ask registries.
    #[command(flatten)]
    pub network: Network,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  nothing to do, or everything written
  1  --check found something to change, or --locked that unroot.lock would
  2  wrong usage, something could not be read, written or looked up, or a defect of this program
  3  no Dockerfile and no manifest was found";

/// What to do instead of a run.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the transforms in the order in which they run
    List,
    /// Explain a transform: what it changes, why, and when it declines
    Explain {
        /// The transform, as `unroot list` shows it
        id: String,
    },
    /// What runs in the helper containers of a proof
    #[command(name = "prove:inside", hide = true)]
    Inside {
        /// What it does there.
        words: Vec<String>,
    },
    /// Build and start what a run would make of the files, with your container engine, and tell what still works
    Prove(Box<ProveArguments>),
    /// Clear up after a proof that is killed; started by the proof itself
    #[command(name = crate::prove::engine::watch::COMMAND, hide = true)]
    ProveWatch(crate::prove::engine::watch::Arguments),
}

/// What to do with the result.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Mode")]
#[group(multiple = false)]
pub struct Mode {
    /// Write nothing; fail if a run with the same flags would change something
    #[arg(long)]
    pub check: bool,

    /// Write the changes: all files or none
    #[arg(long)]
    pub write: bool,

    /// Write one patch per transform into this directory, to be applied in order with `git apply` or `git am`
    #[arg(long, value_name = "DIR")]
    pub patches: Option<PathBuf>,
}

/// Builds the images as found and hardened, starts them under the settings of their manifests, and asks their probes.
///
/// Nothing is written but what you ask for, nothing is pushed, and nothing of it stays in your engine.
#[derive(Debug, Args)]
#[command(after_help = PROVE_EXIT_CODES)]
pub struct ProveArguments {
    /// Files or directories to look at [default: the current directory]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// The container engine [default: the first of docker, podman and nerdctl that answers]
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub engine: Option<Engine>,

    /// PATH holds the hardened files, and DIR the tree as it was: prove the difference, and change nothing
    #[arg(long, value_name = "DIR", conflicts_with_all = ["only", "skip", "allow_unsafe", "update", "final_base"])]
    pub before: Option<PathBuf>,

    /// Further manifests, for the proof only: Secrets that are not committed, databases
    #[arg(long, value_name = "FILE")]
    pub with: Vec<PathBuf>,

    /// Seconds that each workload may take until it answers
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub time_limit: u64,

    /// A word for the engine's `build`, as in --build-option=--network=host (repeat)
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    pub build_option: Vec<String>,

    /// Add where containers were seen to write and to listen to unroot.toml, so that the next run knows
    #[arg(long)]
    pub learn: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,

    /// Write what builds and failing workloads printed into this directory
    #[arg(long, value_name = "DIR")]
    pub logs: Option<PathBuf>,

    /// Also tell of each container
    #[arg(long, short)]
    pub verbose: bool,

    /// When to use colours
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: Colour,

    /// What to change.
    #[command(flatten)]
    pub selection: Selection,

    /// How to ask registries.
    #[command(flatten)]
    pub network: Network,
}

const PROVE_EXIT_CODES: &str = "\
Exit codes:
  0  all that was run still works
  1  something breaks that works as found
  2  wrong usage, no engine, a build that fails as found, or a failure of this machine
  3  nothing to prove: no workload, no Dockerfile known to build an image, or nothing works as found";

/// What to change.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Selection")]
pub struct Selection {
    /// Run only these transforms (repeat, or separate by commas)
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Do not run these transforms
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub skip: Vec<String>,

    /// Also make changes that may alter behaviour; the ledger says why for each
    #[arg(long = "unsafe")]
    pub allow_unsafe: bool,

    /// Also replace digests that are already written by what their tags stand for now
    #[arg(long)]
    pub update: bool,

    /// Start the final stage of a split build from this, or leave the build in one stage [default: what suits the language]
    #[arg(long, value_enum, value_name = "BASE")]
    pub final_base: Option<FinalBase>,
}

/// What to show.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// Also list what already is as it should be
    #[arg(long, short)]
    pub verbose: bool,

    /// Also list the Pod Security level of every workload, before and after, and what is missing for the target
    #[arg(long)]
    pub level: bool,

    /// The level and version of the Pod Security Standards that --level holds workloads against
    #[arg(long, value_name = "LEVEL@VERSION", default_value = "restricted@1.37", requires = "level")]
    pub target: Policy,

    /// When to use colours
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: Colour,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    #[default]
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How to ask registries.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Network")]
pub struct Network {
    /// Ask no registry; what neither unroot.lock nor the cache tells is not pinned, and stays unknown
    #[arg(long)]
    pub offline: bool,

    /// Write down what registries answer in unroot.lock; one that is there is kept up to date without this
    #[arg(long, conflicts_with = "locked")]
    pub lock: bool,

    /// Take answers from unroot.lock alone, and fail if it would change
    #[arg(long, conflicts_with = "update")]
    pub locked: bool,

    /// Neither read nor write what is kept of answers between runs
    #[arg(long)]
    pub no_cache: bool,

    /// Pin images to what they are for this platform, as in linux/arm64 [default: to the index of all platforms]
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<Platform>,

    /// Seconds to wait for one answer of a registry
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,

    /// Seconds to wait for registries in all, pauses that they ask for included
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub deadline: u64,
}
