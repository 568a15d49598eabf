//! Which engine the user has.

use super::{Call, Engine, Kind};
use crate::prove::{Failure, Result, interrupt};
use std::time::Duration;

/// How long an engine may take to say that it is there.
const LIMIT: Duration = Duration::from_secs(15);

/// How many letters the name of a run has: no two runs of a machine ever draw the same.
const NAME: usize = 12;

/// Why an engine cannot be used.
enum Absence {
    NotInstalled,
    Silent(String),
}

impl Engine {
    /// The engine that is asked for, or else the first of docker, podman and nerdctl that answers, with a new name for the run.
    ///
    /// # Errors
    /// One line: none answers, and why.
    pub fn find(asked: Option<Kind>) -> Result<Self> {
        if let Some(kind) = asked {
            return Self::open(kind)?.map_err(|absence| match absence {
                Absence::NotInstalled => Failure::new(format!("{kind} is not installed")),
                Absence::Silent(reason) => Failure::new(format!("{kind} does not answer: {reason}")),
            });
        }
        let mut reasons = Vec::new();
        for kind in [Kind::Docker, Kind::Podman, Kind::Nerdctl] {
            match Self::open(kind)? {
                Ok(engine) => return Ok(engine),
                Err(Absence::NotInstalled) => reasons.push(format!("{kind} is not installed")),
                Err(Absence::Silent(reason)) => reasons.push(format!("{kind}: {reason}")),
            }
        }
        let reasons = reasons.join("; ");
        Err(Failure::new(format!(
            "no container engine answers ({reasons}); start one, or name the one to ask by --engine"
        )))
    }

    /// # Errors
    /// Somebody wants the proof to end.
    fn open(kind: Kind) -> Result<Result<Self, Absence>> {
        let run = std::iter::repeat_with(fastrand::lowercase).take(NAME).collect();
        let mut engine = Self::new(kind, kind.program(), String::new(), run);
        // What is called docker may be podman, which says so; it is asked for its own name before anything else.
        let named = match engine.answer(engine.call("--version"))? {
            Ok(named) => named,
            Err(absence) => return Ok(Err(absence)),
        };
        if named.to_lowercase().starts_with(Kind::Podman.program()) {
            engine.kind = Kind::Podman;
        }
        // Questions that the engine itself must answer, and not just its command line.
        let question = match engine.kind {
            Kind::Docker => engine.call("version").args(["--format", "{{.Server.Version}}"]),
            Kind::Podman => engine.call("info").args(["--format", "{{.Version.Version}}"]),
            Kind::Nerdctl => engine.call("info").args(["--format", "{{.ServerVersion}}"]),
        };
        Ok(engine.answer(question)?.map(|version| Self { version, ..engine.clone() }))
    }

    fn answer(&self, question: Call) -> Result<Result<String, Absence>> {
        match question.limit(LIMIT).output_if_installed() {
            Ok(None) => Ok(Err(Absence::NotInstalled)),
            Ok(Some(output)) if output.success => Ok(Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())),
            Ok(Some(output)) => Ok(Err(Absence::Silent(output.last_words()))),
            Err(failure) => {
                interrupt::check()?;
                Ok(Err(Absence::Silent(failure.to_string())))
            }
        }
    }
}
