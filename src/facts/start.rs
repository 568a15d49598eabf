//! What a program does as soon as it is started, as far as the file that is started tells.
//!
//! Statements that are not indented run when an interpreter reads the file, before anybody asks the program for anything. What fails there
//! fails in every container.

use super::directories::is_within;
use super::sources::{PackageJson, line_at};
use super::writes::Site;
use super::{Application, ImageFacts};
use crate::discover::{Tree, join};
use regex::Regex;
use std::sync::LazyLock;

/// The file that a command line starts.
pub(super) struct Started {
    path: String,
    text: String,
    /// For each line, whether it runs at once.
    at_once: Vec<bool>,
}

/// Calls that end the program, or start one that fails, where it is not root.
static ROOT_CALLS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(geteuid\(\)\s*!=\s*0|process\.getuid\(\)\s*!==?\s*0)[^\n]*\n?(?:[^\n]*\n){0,2}?[^\n]*\b(?:exit|raise|throw|abort)\b",
        r"|((?:\bos|process)\.sete?uid\()",
        r#"|(\b(?:run|call|check_call|check_output|Popen|system|exec|spawn|execFile)(?:Sync)?\(\s*\[?\s*["'`](?:sudo|doas|apt-get|apk|mount|iptables)\b)"#,
    ))
    .ok()
});

/// Calls that fail at once where they may not write. Others may find that there is nothing to do.
static WRITES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:^|\.)open$|(?:write|append)FileSync$|createWriteStream$|write_(?:text|bytes)$|FileHandler$|touch$|mkdir(?:Sync|s)?$|makedirs$").ok()
});

/// The files that the containers of an image start, or the image itself where no container is seen; none where that cannot be told.
pub(super) fn files(application: &Application<'_>, image: &ImageFacts<'_>) -> Vec<Started> {
    let tree = application.around.repository.tree();
    let own = |argv: Option<Vec<String>>| argv.unwrap_or_else(|| image.argv());
    let told = application.containers.iter().map(|container| own(container.argv(Some(image))));
    let lines: Vec<Vec<String>> = if application.containers.is_empty() { vec![image.argv()] } else { told.collect() };
    lines.iter().filter_map(|argv| Started::by(tree, image, argv)).collect()
}

impl Started {
    fn by(tree: &Tree, image: &ImageFacts<'_>, argv: &[String]) -> Option<Self> {
        let line = package_script(tree, image, argv);
        let argv = line.as_ref().map_or(argv, std::slice::from_ref);
        let words: Vec<&str> = argv.iter().flat_map(|word| word.split_whitespace()).collect();
        // Of more than one command the first may go elsewhere, or take care.
        if words.iter().any(|word| word.contains(['&', '|', ';', '<', '>', '$', '`'])) {
            return None;
        }
        let workdir = image.workdir().unwrap_or_default();
        let (path, is_main) = words.iter().enumerate().find_map(|(index, word)| {
            let module = |name: &str| name.replace('.', "/");
            if index > 0 && words.get(index - 1) == Some(&"-m") {
                let file = found(tree, image.directory(), &format!("{}.py", module(word)))
                    .or_else(|| found(tree, image.directory(), &format!("{}/__main__.py", module(word))))?;
                return Some((file, true));
            }
            if let Some((name, _)) = word.split_once(':').filter(|(name, _)| is_module(name)) {
                return Some((found(tree, image.directory(), &format!("{}.py", module(name)))?, false));
            }
            let is_source = [".py", ".js", ".mjs", ".cjs", ".rb"].iter().any(|ending| word.ends_with(ending));
            let relative = word.strip_prefix(workdir.trim_end_matches('/')).unwrap_or(word);
            let relative = relative.trim_start_matches("./").trim_start_matches('/');
            Some((found(tree, image.directory(), relative).filter(|_| is_source)?, true))
        })?;
        let text = tree.read(&path)?;
        let at_once = lines_at_once(&text, is_main);
        Some(Self { path, text, at_once })
    }

    /// The first call that takes root as soon as the program is started, as `path:line (call)`.
    pub(super) fn root_call(&self) -> Option<String> {
        let calls = ROOT_CALLS.as_ref()?.captures_iter(&self.text);
        calls.into_iter().find_map(|found| {
            let call = found.get(1).or_else(|| found.get(2)).or_else(|| found.get(3))?;
            let line = line_at(&self.text, call.start());
            let call = super::identity::printable(call.as_str());
            self.is_at_once(line).then(|| format!("{}:{line} ({call})", self.path))
        })
    }

    /// Whether a call writes as soon as the program is started, to a path that is written out, and fails where it may not.
    pub(super) fn writes(&self, site: &Site) -> bool {
        let certain = WRITES.as_ref().is_some_and(|calls| calls.is_match(&site.call));
        let line = site.place.strip_prefix(&self.path).and_then(|rest| rest.strip_prefix(':')?.parse().ok());
        let makes_folder = site.call.to_ascii_lowercase().contains("mkdir") || site.call.contains("makedirs");
        // A folder beside the program may have come with it.
        let is_new = |target: &str| !makes_folder || target.starts_with('/') && !is_of_the_system(target);
        certain && site.target.as_deref().is_some_and(is_new) && line.is_some_and(|line| self.is_at_once(line))
    }

    fn is_at_once(&self, line: usize) -> bool {
        line.checked_sub(1).and_then(|index| self.at_once.get(index)).copied().unwrap_or_default()
    }
}

/// A folder that every system has; making it again does nothing.
fn is_of_the_system(path: &str) -> bool {
    let depth = path.split('/').filter(|part| !part.is_empty()).count();
    let is_top = ["/bin", "/dev", "/etc", "/home", "/lib", "/mnt", "/opt", "/root", "/run", "/sbin", "/srv", "/tmp"];
    depth <= 1 && is_top.iter().any(|top| is_within(path, top))
        || depth <= 2 && ["/usr", "/var"].iter().any(|top| is_within(path, top))
}

/// What npm or yarn is told to start is a line of package.json.
pub(super) fn package_script(tree: &Tree, image: &ImageFacts<'_>, argv: &[String]) -> Option<String> {
    let words: Vec<&str> =
        argv.iter().flat_map(|word| word.split_whitespace()).filter(|word| !word.starts_with('-')).collect();
    let at = words.iter().position(|word| matches!(*word, "npm" | "yarn" | "pnpm"))?;
    let name = match words.get(at + 1..)? {
        ["run" | "run-script", name, ..] => name,
        [name, ..] => name,
        [] => "start",
    };
    PackageJson::read(tree, image.directory())?.script(name).map(str::to_owned)
}

fn is_module(name: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    name.split('.').all(is_part)
}

/// The file of this relative path below a folder; in a folder further down only where one alone is called so.
fn found(tree: &Tree, folder: &str, relative: &str) -> Option<String> {
    let here = join(folder, relative)?;
    if tree.has(&here) {
        return Some(here);
    }
    let ending = format!("/{relative}");
    let mut below = tree.below(folder).filter(|path| path.ends_with(&ending));
    let only = below.next()?.to_owned();
    below.next().is_none().then_some(only)
}

/// For each line, whether it runs when the file is read: it is not indented, and neither a comment nor the start of a function. With `is_main`, what
/// Python runs only in the file that it is given counts as well.
fn lines_at_once(text: &str, is_main: bool) -> Vec<bool> {
    const LATER: [&str; 6] = ["=>", "function", "def ", "lambda", "class ", "async "];
    let mut main_indent: Option<Option<usize>> = None;
    text.lines()
        .map(|line| {
            let statement = line.trim_start();
            let indent = line.len() - statement.len();
            if statement.is_empty() || ["#", "//", "/*", "*"].iter().any(|mark| statement.starts_with(mark)) {
                return false;
            }
            if indent == 0 {
                main_indent = (is_main && statement.starts_with("if __name__")).then_some(None);
            } else if main_indent == Some(None) {
                main_indent = Some(Some(indent));
            }
            let is_outer = indent == 0 || main_indent == Some(Some(indent));
            is_outer && !LATER.iter().any(|word| statement.contains(word))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_once(text: &str, is_main: bool) -> Vec<usize> {
        let lines = lines_at_once(text, is_main);
        lines.iter().enumerate().filter(|(_, at_once)| **at_once).map(|(index, _)| index + 1).collect()
    }

    #[test]
    fn what_is_not_indented_runs_at_once() {
        let text = "import os\n# open('a', 'w')\ndef main():\n    open('b', 'w')\nlog = open('c', 'w')\n";
        assert_eq!(at_once(text, true), [1, 5]);
        assert_eq!(at_once("app.get('/', () => write())\nwrite()\n", true), [2]);
    }

    #[test]
    fn the_main_part_runs_in_the_started_file_alone() {
        let text = "def main():\n    pass\nif __name__ == '__main__':\n  check()\n  if bad:\n    stop()\nend()\n";
        assert_eq!(at_once(text, true), [3, 4, 5, 7]);
        assert_eq!(at_once(text, false), [3, 7]);
    }

    #[test]
    fn folders_of_the_system_are_there() {
        for path in ["/etc", "/var/log", "/usr/share", "/srv"] {
            assert!(is_of_the_system(path), "{path}");
        }
        for path in ["/data", "/var/log/shop", "/etc/shop", "uploads"] {
            assert!(!is_of_the_system(path), "{path}");
        }
    }
}
