//! Who asks for a stage of a Dockerfile by its name: `--target` of a build command, `target` of a build definition.

use super::sources::{SOURCE_LIMIT, line_at};
use crate::discover::{Tree, file_name};
use regex::Regex;
use std::sync::LazyLock;

/// Where a file of the tree asks for a stage of this name, as `path:line`. Which Dockerfile it means is not asked: a doubt counts.
pub fn names_target(tree: &Tree, name: &str) -> Option<String> {
    let name = regex::escape(name);
    let pattern = Regex::new(&format!(r#"(?i)target["']?(?:\s*[:=]\s*|\s+)\[?["']?{name}(?:["'\s,;)}}\]]|$)"#)).ok()?;
    tree.below("").filter(|path| may_build(path)).find_map(|path| {
        let text = tree.read(path).filter(|text| text.len() <= SOURCE_LIMIT)?;
        let found = pattern.find(&text)?;
        Some(format!("{path}:{}", line_at(&text, found.start())))
    })
}

/// Where a script, a makefile or a pipeline starts one of these programs in a container, as `path:line (program)`. Which image it means is not asked, but that
/// of another maker, with a tag or digest of its own, is told by `is_other`.
pub fn starts_in_container(tree: &Tree, programs: &[&str], is_other: impl Fn(&str) -> bool) -> Option<String> {
    tree.below("").filter(|path| may_build(path) && !path.ends_with(".md")).find_map(|path| {
        let text = tree.read(path).filter(|text| text.len() <= SOURCE_LIMIT)?;
        let (at, program) = started(&text, programs, &is_other)?;
        Some(format!("{path}:{} ({program})", line_at(&text, at)))
    })
}

/// The same for one text: where its command starts, and the program.
fn started(text: &str, programs: &[&str], is_other: &impl Fn(&str) -> bool) -> Option<(usize, String)> {
    static START: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(concat!(
            r"(?:\b(?:docker|podman|nerdctl)[ \t]+(?:container[ \t]+)?",
            r"|\b(?:docker-compose|(?:docker|podman)[ \t]+compose)\b[^\n;|&]*?[ \t])(?:run|exec)[ \t]+((?:\\\r?\n|[^\n;|&])*)",
        ))
        .ok()
    });
    START.as_ref()?.captures_iter(text).find_map(|found| {
        let line = found.get(1)?;
        let mut words = line.as_str().split(|c: char| c.is_whitespace() || "\"'".contains(c));
        let is_others = line.as_str().split_whitespace().any(is_other);
        let program = words.find(|word| programs.contains(word)).filter(|_| !is_others)?;
        Some((line.start(), program.to_owned()))
    })
}

/// Whether a file may hold a build command or a build definition: scripts, pipelines, makefiles, compose and bake files, and what has no ending.
fn may_build(path: &str) -> bool {
    const ENDINGS: [&str; 18] = [
        "bat", "bash", "bzl", "cmd", "gradle", "groovy", "hcl", "json", "json5", "jsonc", "md", "mk", "ps1", "sh",
        "tf", "toml", "yaml", "yml",
    ];
    let name = file_name(path).to_ascii_lowercase();
    let ending = name.trim_start_matches('.').rsplit_once('.').map(|(_, ending)| ending);
    let is_lock = name.contains("lock.") || name == "tsconfig.json";
    ending.is_none_or(|ending| ENDINGS.contains(&ending)) && !is_lock
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_are_started_in_a_container_are_found() {
        let told = |line: &str| {
            started(&format!("docker build .\n{line}\n"), &["npm", "npx"], &|word: &str| word == "node:22").is_some()
        };
        for line in
            ["docker run --rm app npm test", "docker compose exec -T web npx jest", "docker-compose run web npm t"]
        {
            assert!(told(line), "{line}");
        }
        for line in ["docker run --rm app", "docker run node:22 npm ci", "npm test"] {
            assert!(!told(line), "{line}");
        }
    }

    #[test]
    fn files_that_build_are_told_from_sources() {
        for path in ["Makefile", "ci/build.sh", ".gitlab-ci.yml", "docker-bake.hcl", "Tiltfile", "package.json"] {
            assert!(may_build(path), "{path}");
        }
        for path in ["web/webpack.config.js", "main.go", "tsconfig.json", "package-lock.json", "a.png"] {
            assert!(!may_build(path), "{path}");
        }
    }
}
