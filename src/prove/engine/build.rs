//! Building images from Dockerfiles that need not be on disk.
//!
//! The context is the user's own folder, and stays as it is: the Dockerfile is named by `--file`, and lies in the folder of the run. The build gets what an
//! unprivileged one gets from the user's engine, and nothing besides: no secrets, no agent, no privileges, no network of the host, nothing is pushed.
#![allow(clippy::disallowed_methods, reason = "Dockerfiles and logs of a run lie in its folder")]

use super::call::means_something_to_engines;
use super::failed;
use super::sweep::BUILDS;
use super::{Call, Engine, Kind};
use crate::prove::proof::Unbuilt;
use crate::prove::{Failure, Result, interrupt};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a build is begun that something beside it broke off.
const ATTEMPTS: usize = 4;

/// Which text of a Dockerfile is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// As found.
    Before,
    /// What came of it.
    After,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::After => "after",
        })
    }
}

/// One build.
#[derive(Clone)]
pub struct BuildSpec {
    /// The number of the image in this run.
    pub number: usize,
    /// Which of its two builds this is.
    pub side: Side,
    /// The Dockerfile's text.
    pub text: Vec<u8>,
    /// Where a Dockerfile of this text would lie, or does. What is ignored for it alone is beside it.
    pub dockerfile: PathBuf,
    /// The folder whose files can be copied.
    pub context: PathBuf,
    /// The stage that is built; the last one where none is named.
    pub target: Option<String>,
    /// Build arguments by name. Their values are not shown to anybody.
    pub arguments: Vec<(String, String)>,
    /// Further contexts, name and place.
    pub contexts: Vec<(String, String)>,
    /// What the user wants the engine to be told, word by word.
    pub options: Vec<String>,
    /// How long it may take.
    pub limit: Duration,
}

/// Values of arguments stay out of whatever a failed assertion or a log line shows.
impl fmt::Debug for BuildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arguments: Vec<&String> = self.arguments.iter().map(|(name, _)| name).collect();
        f.debug_struct("BuildSpec")
            .field("number", &self.number)
            .field("side", &self.side)
            .field("dockerfile", &self.dockerfile)
            .field("context", &self.context)
            .field("target", &self.target)
            .field("arguments", &arguments)
            .field("contexts", &self.contexts)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// The name of the image that a build makes.
    pub fn tag(&self, number: usize, side: Side) -> String {
        format!("unroot-{}-{number}:{side}", self.run)
    }

    /// Builds an image below the folder of the run; its name, or why there is none. What the builder prints goes to `log`, where one is given,
    /// without the values of arguments.
    ///
    /// # Errors
    /// What this machine cannot do, or somebody wants the proof to end.
    pub fn build(&self, spec: &BuildSpec, folder: &Path, log: Option<&Path>) -> Result<Result<String, Unbuilt>> {
        let tag = self.tag(spec.number, spec.side);
        let place = folder.join(format!("dockerfile-{}-{}", spec.number, spec.side));
        let dockerfile = lay_out(spec, &place)?;
        let mut said = String::new();
        let log_name = format!("{}-{}", spec.number, spec.side);
        let call = || self.build_call(spec, &tag, &dockerfile);
        let built = self.attempts(&tag, call, &spec.context, &folder.join(BUILDS).join(log_name), &mut said);
        let said = redacted(&said, &spec.arguments);
        if let Some(log) = log {
            fs::write(log, &said)?;
        }
        fs::remove_dir_all(&place)?;
        let ended = match built {
            Ok(true) => return Ok(Ok(tag)),
            Ok(false) => None,
            Err(failure) => {
                interrupt::check()?;
                Some(failure.to_string())
            }
        };
        let mut unbuilt = failed::unbuilt(&said, ended.as_deref(), spec);
        unbuilt.instruction = unbuilt.instruction.map(|instruction| redacted(&instruction, &spec.arguments));
        unbuilt.log = log.map(|log| log.display().to_string());
        Ok(Err(unbuilt))
    }

    /// Builds until the builder has understood what it is asked for; whether it succeeded. Each attempt has a log, whose name begins so; `said` is what the
    /// last one holds.
    pub(super) fn attempts(
        &self,
        tag: &str,
        call: impl Fn() -> Call,
        context: &Path,
        log: &Path,
        said: &mut String,
    ) -> Result<bool> {
        let mut words = if self.kind == Kind::Docker { vec!["--force-rm"] } else { Vec::new() };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let log = log.with_added_extension(format!("{attempt}.log"));
            let ended = call().args(&words).arg(context).log(&log).output();
            *said = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
            let success = ended?.success;
            if !success && words.contains(&"--force-rm") && said.contains("unknown flag: --force-rm") {
                // Only the builder without BuildKit has containers to remove, and it knows the word.
                words.clear();
            } else if success && self.kind == Kind::Docker && !words.contains(&"--load") && !self.has_image(tag)? {
                // A builder in a container of its own keeps what it built, unless it is told otherwise.
                words.push("--load");
            } else if !success && said.contains("layer not known") && attempt < ATTEMPTS {
                // Podman looks through all images for what it has built before, and stumbles over one that somebody removes meanwhile.
            } else {
                return Ok(success);
            }
        }
    }

    fn build_call(&self, spec: &BuildSpec, tag: &str, dockerfile: &Path) -> Call {
        let mut call = self.call("build").limit(spec.limit).args(["--tag", tag, "--label", &self.label()]);
        call = call.arg("--file").arg(dockerfile);
        if let Some(target) = &spec.target {
            call = call.args(["--target", target]);
        }
        for (name, value) in &spec.arguments {
            // The value of such a one is no secret.
            call = match means_something_to_engines(name) {
                true => call.args(["--build-arg", &format!("{name}={value}")]),
                false => call.args(["--build-arg", name]).variable(name, value),
            };
        }
        for (name, place) in &spec.contexts {
            call = call.arg("--build-context").arg(format!("{name}={place}"));
        }
        call = call.variable("BUILDKIT_PROGRESS", "plain").variable("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
        call.args(&spec.options)
    }

    fn has_image(&self, tag: &str) -> Result<bool> {
        Ok(self.call("image").args(["inspect", "--format", "{{.Id}}", tag]).output()?.success)
    }
}

/// Writes the Dockerfile, and beside it what is to be ignored for it: BuildKit and podman look for that there
/// (<https://docs.docker.com/build/concepts/context/#filename-and-location>), other builders read the context's own list.
fn lay_out(spec: &BuildSpec, place: &Path) -> Result<PathBuf> {
    fs::create_dir(place)?;
    let name = spec.dockerfile.file_name().unwrap_or("Dockerfile".as_ref());
    let dockerfile = place.join(name);
    fs::write(&dockerfile, &spec.text)?;
    for ending in [".dockerignore", ".containerignore"] {
        let mut ignored = name.to_owned();
        ignored.push(ending);
        match fs::read(spec.dockerfile.with_file_name(&ignored)) {
            Ok(text) => fs::write(place.join(ignored), text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::new(format!("{}: {error}", ignored.display()))),
        }
    }
    Ok(dockerfile)
}

/// Values that are shorter say nothing, and would be found everywhere.
const SHORTEST_SECRET: usize = 4;

/// A text in which the names of arguments stand for their values.
fn redacted(text: &str, arguments: &[(String, String)]) -> String {
    let mut arguments: Vec<_> = arguments.iter().filter(|(_, value)| value.len() >= SHORTEST_SECRET).collect();
    // One value may be a part of another.
    arguments.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    arguments.iter().fold(text.to_owned(), |text, (name, value)| text.replace(value.as_str(), &format!("${{{name}}}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_give_way_to_names() {
        let arguments = [("A".to_owned(), "secret".to_owned()), ("B".to_owned(), "my secret".to_owned())];
        assert_eq!(redacted("it is my secret, a secret", &arguments), "it is ${B}, a ${A}");
        assert_eq!(redacted("v22", &[("NODE".to_owned(), "22".to_owned())]), "v22");
    }
}
