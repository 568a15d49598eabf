//! Who asks for a stage of a Dockerfile by its name: `--target` of a build command, `target` of a build definition.

use super::sources::{SOURCE_LIMIT, line_at};
use crate::discover::{Tree, file_name};
use regex::Regex;

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
    fn files_that_build_are_told_from_sources() {
        for path in ["Makefile", "ci/build.sh", ".gitlab-ci.yml", "docker-bake.hcl", "Tiltfile", "package.json"] {
            assert!(may_build(path), "{path}");
        }
        for path in ["web/webpack.config.js", "main.go", "tsconfig.json", "package-lock.json", "a.png"] {
            assert!(!may_build(path), "{path}");
        }
    }
}
