//! The images without a name that builders make of single steps, from what they print.

use crate::prove::Result;
use std::fs;
use std::path::Path;

/// The shortest number by which builders name an image, in characters.
const SHORTEST: usize = 11;

/// The numbers, or what they begin with, of images that the builds with these logs made, in their order. What a builder found in its cache is none of
/// them, unless another one of these builds had put it there.
///
/// # Errors
/// What cannot be read.
pub(super) fn made(logs: &Path) -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(logs) else { return Ok(Vec::new()) };
    let mut logs: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    logs.sort();
    let mut made = Vec::new();
    for log in logs {
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
        // `Step 1/3 : FROM x`, `STEP 1/3: FROM x`, or `[1/2] STEP 1/3: FROM x`.
        let step = line.strip_prefix('[').and_then(|line| line.split_once("] ")).map_or(line, |(_, step)| step);
        if step.starts_with("Step ") || step.starts_with("STEP ") {
            was_there = step.split_once(':').is_some_and(|(_, step)| step.trim_start().starts_with("FROM "));
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

#[cfg(test)]
mod tests {
    use super::*;

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
