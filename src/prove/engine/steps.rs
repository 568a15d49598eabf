//! The steps of a build, from what builders print that make an image without a name of each.

use crate::prove::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// The shortest number by which builders name an image, in characters.
const SHORTEST: usize = 11;

/// The logs in a folder.
pub(super) fn logs(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut logs: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    logs.sort();
    logs
}

/// The numbers, or what they begin with, of images that the builds with these logs made, in their order. What a builder found in its cache is none of
/// them, unless another one of these builds had put it there.
///
/// # Errors
/// What cannot be read.
pub(super) fn made(logs: &Path) -> Result<Vec<String>> {
    let mut made = Vec::new();
    for log in self::logs(logs) {
        let text = fs::read(log)?;
        for number in made_by(&String::from_utf8_lossy(&text)) {
            if !made.contains(&number) {
                made.push(number);
            }
        }
    }
    Ok(made)
}

/// docker without BuildKit: ` ---> 5ea8295345df`, after ` ---> Using cache` or the line of a FROM for what was there. podman: `--> cb3cd01ba6b`, after
/// `--> Using cache cb3cd01ba6b63f…`.
fn made_by(log: &str) -> Vec<String> {
    let mut made = Vec::new();
    let mut was_there = false;
    for line in log.lines().map(str::trim) {
        if let Some(step) = step(line) {
            was_there = step.starts_with("FROM ");
        }
        let Some(said) = line.strip_prefix("---> ").or_else(|| line.strip_prefix("--> ")) else { continue };
        if said.starts_with("Using cache") {
            was_there = true;
        } else if said.len() >= SHORTEST && said.bytes().all(|byte| byte.is_ascii_hexdigit()) && !was_there {
            made.push(said.to_owned());
        }
    }
    made
}

/// `Step 1/3 : FROM x`, `STEP 1/3: FROM x`, or `[1/2] STEP 1/3: FROM x`: the instruction.
fn step(line: &str) -> Option<&str> {
    numbered(line).map(|(_, step)| step)
}

/// The number of a step, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// Docker counts the instructions of the file.
    OfFile(usize),
    /// Podman counts the stages, and the instructions of each.
    OfStage(usize, usize),
}

/// The number and the instruction of a step that begins with this line.
pub(super) fn numbered(line: &str) -> Option<(Number, &str)> {
    let (stage, line) = match line.strip_prefix('[').and_then(|line| line.split_once("] ")) {
        Some((stage, line)) => (first(stage)?, line),
        None => (1, line),
    };
    let (is_docker, rest) = match line.strip_prefix("Step ") {
        Some(rest) => (true, rest),
        None => (false, line.strip_prefix("STEP ")?),
    };
    let (number, step) = rest.split_once(':')?;
    let number = first(number)?;
    let number = if is_docker { Number::OfFile(number) } else { Number::OfStage(stage, number) };
    Some((number, step.trim_start()))
}

/// The number before the slash.
fn first(fraction: &str) -> Option<usize> {
    fraction.split_once('/')?.0.parse().ok()
}

/// What a build does at the end of its log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Running {
    /// Its step ends with an image.
    pub(super) makes_an_image: bool,
    /// The container of docker in which its step runs.
    pub(super) container: Option<String>,
}

/// The last step of docker's builder without BuildKit; nothing for a build that has ended, or of another builder.
pub(super) fn running(log: &str) -> Running {
    let mut running = Running::default();
    for line in log.lines().map(str::trim) {
        if let Some(step) = step(line) {
            running = Running { makes_an_image: !step.starts_with("FROM "), container: None };
        } else if let Some(container) = line.strip_prefix("---> Running in ") {
            let is_number = container.len() >= SHORTEST && container.bytes().all(|byte| byte.is_ascii_hexdigit());
            running.container = is_number.then(|| container.to_owned());
        } else if line.starts_with("Successfully built ") || line.starts_with("The command '") {
            running = Running::default();
        }
    }
    running
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_is_what_runs() {
        let from = "Sending build context to Docker daemon\nStep 1/2 : FROM busybox\n";
        assert_eq!(running(from), Running::default());
        let copy = format!("{from} ---> 111111111111\nStep 2/2 : COPY a b\n");
        assert_eq!(running(&copy), Running { makes_an_image: true, container: None });
        let run = format!("{copy}Step 3/3 : RUN a\n ---> Running in 333333333333\nhello\n");
        assert_eq!(running(&run), Running { makes_an_image: true, container: Some("333333333333".to_owned()) });
        assert_eq!(running(&format!("{run}Successfully built 444444444444\n")), Running::default());
        assert_eq!(running("#5 [2/2] RUN make\n"), Running::default());
    }

    #[test]
    fn docker_says_what_it_made() {
        let log = "Step 1/3 : FROM busybox\n ---> 111111111111\nStep 2/3 : RUN a\n ---> Using cache\n ---> 222222222222\nStep 3/3 : RUN b\n ---> Running in 333333333333\nRemoving intermediate container 333333333333\n ---> 444444444444\nSuccessfully built 444444444444\n";
        assert_eq!(made_by(log), ["444444444444"]);
    }

    #[test]
    fn podman_says_what_it_made() {
        let log = "[1/2] STEP 1/2: FROM scratch AS build\n[1/2] STEP 2/2: COPY a b\n--> Using cache cb3cd01ba6b63f0a\n--> cb3cd01ba6b\n[2/2] STEP 2/2: RUN x\n--> 110372e03b4\n";
        assert_eq!(made_by(log), ["110372e03b4"]);
    }
}
