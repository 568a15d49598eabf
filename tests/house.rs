//! The house itself: its rooms, their order, and that what is written about them is true.
#![allow(clippy::unwrap_used, reason = "here a failed step should end the test")]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use support::marks::{TABLES, remarked};
use support::program::unroot;
use support::snapshots::{Snapshot, assert_snapshot};
use unroot::error::SkipReason;
use unroot::image::{KnownImage, Lifetime, Reference};
use unroot::transforms::ALL;

/// Everything that may stand at the top, apart from what git ignores.
const TOP_LEVEL: [&str; 16] = [
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".gitattributes",
    ".github",
    ".gitignore",
    ".pre-commit-hooks.yaml",
    ".rustfmt.toml",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "snapshots",
    "src",
    "tests",
    "transforms",
];

/// The rooms in the order in which data flows through them. Each uses only what stands before it.
const ROOMS: [&str; 22] = [
    "source",
    "edit",
    "error",
    "image",
    "config",
    "discover",
    "dockerfile",
    "yaml",
    "kubernetes",
    "repository",
    "levels",
    "link",
    "facts",
    "registry",
    "change",
    "suppression",
    "transforms",
    "verify",
    "pipeline",
    "prove",
    "report",
    "write",
];

/// Longest source file, in lines. Above it, a room wants a wall.
const LONGEST_FILE: usize = 800;

#[test]
fn the_top_level_holds_the_agreed_names() {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: BTreeSet<&str> = ignored.lines().map(|line| line.trim_matches('/')).chain([".git"]).collect();
    let names = names_in(&root());
    let found: Vec<&str> = names.iter().map(String::as_str).filter(|name| !ignored.contains(name)).collect();
    assert_eq!(found, TOP_LEVEL);
}

#[test]
fn the_folders_of_transforms_are_the_pipeline() {
    let folders: Vec<String> =
        names_in(&root().join("transforms")).into_iter().filter(|name| name != "mod.rs").collect();
    let listed: Vec<String> =
        ALL.iter().map(|transform| format!("{:02}-{}", transform.metadata().number, transform.metadata().id)).collect();
    assert_eq!(folders, listed, "transforms/ in listing order, and transforms::ALL");
    let numbers: Vec<u16> = ALL.iter().map(|transform| transform.metadata().number).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    for (folder, transform) in folders.iter().zip(ALL) {
        let metadata = transform.metadata();
        let folder = root().join("transforms").join(folder);
        assert!(is_kebab_case(metadata.id), "{}", metadata.id);
        assert!(folder.join("mod.rs").is_file() && folder.join("cases").is_dir(), "{}", folder.display());
        assert_eq!(fs::read_to_string(folder.join("README.md")).unwrap(), metadata.readme, "{}", metadata.id);
        assert!(!metadata.title.ends_with('.') && metadata.title.len() <= 60, "a subject line: {}", metadata.title);
        assert!(metadata.why.ends_with('.'), "a paragraph: {}", metadata.why);
        for case in names_in(&folder.join("cases")) {
            assert!(is_kebab_case(&case), "{case}");
        }
    }
}

#[test]
fn the_readme_lists_the_transforms() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let found: Vec<&str> = readme.lines().filter(|line| line.contains("](transforms/")).collect();
    let expected: Vec<String> = ALL
        .iter()
        .map(|transform| {
            let metadata = transform.metadata();
            let (number, id) = (metadata.number, metadata.id);
            format!("| {number} | [{id}](transforms/{number:02}-{id}/README.md) | {} |", metadata.title)
        })
        .collect();
    assert_eq!(found, expected);
}

/// The table is made by the lab, from real runs.
#[test]
fn the_readme_shows_what_the_lab_found() {
    let found = fs::read_to_string(root().join("snapshots/e2e.md")).unwrap();
    let table: String = found.lines().take_while(|line| line.starts_with('|')).flat_map(|line| [line, "\n"]).collect();
    assert!(table.lines().count() > 10, "{table}");
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains(&format!("\n\n{table}\n")), "README.md lacks this table:\n{table}");
}

/// A transform's README explains the codes of its own; the README lists the others.
#[test]
fn each_reason_to_decline_is_named_and_explained() {
    let readmes: String = ALL.iter().map(|transform| transform.metadata().readme).collect();
    let code_of_rooms: String = sources(&["src", "transforms"]).into_values().collect();
    let mut codes = BTreeSet::new();
    let mut expected = Vec::new();
    for reason in SkipReason::ALL {
        let (code, explanation) = (reason.code(), reason.explanation());
        assert!(codes.insert(code), "{code} is used twice");
        assert!(is_kebab_case(code), "{code}");
        assert!(code_of_rooms.contains(&format!("SkipReason::{reason:?}")), "{code} never arises");
        assert!(explanation.ends_with('.') && !explanation.starts_with(char::is_lowercase), "{code}: {explanation:?}");
        if !readmes.contains(&format!("`{code}`")) {
            expected.push(format!("| `{code}` | {explanation} |"));
        }
    }
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let table = readme.split("\n| code | |\n|---|---|\n").nth(1).unwrap();
    let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows, expected);
}

#[test]
fn each_source_file_begins_with_what_it_is() {
    for (path, text) in sources(&["src", "transforms", "tests"]) {
        let documented = text.starts_with("//! ") || text.starts_with("#![doc = include_str!(\"README.md\")]\n");
        assert!(documented, "{path} does not begin with its documentation");
        let lines = text.lines().count();
        assert!(lines <= LONGEST_FILE, "{path} has {lines} lines");
    }
}

/// Of what a recipe may start a final stage from: what its sources name, and what its cases end in.
#[test]
fn each_base_of_a_final_stage_is_maintained() {
    let folder = "transforms/10-split-build-stage";
    let mut bases = BTreeSet::new();
    for (path, text) in sources(&[folder]) {
        let code = text.split("#[cfg(test)]").next().unwrap();
        let words = code.split(|c: char| c == '"' || c.is_whitespace()).filter(|word| !word.contains('{'));
        let is_base = |word: &&str| {
            let name = word.split(':').next().unwrap();
            word.contains(':')
                && (name.starts_with("gcr.io/") || ["debian", "nginxinc/nginx-unprivileged"].contains(&name))
        };
        bases.extend(words.filter(is_base).map(|base| (path.clone(), base.to_owned())));
    }
    for path in files_below(&root().join(folder).join("cases")) {
        if !path.ends_with("after/Dockerfile") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let from = text.lines().filter(|line| line.starts_with("FROM "));
        let froms: Vec<&str> =
            from.map(|line| line.split(" AS ").next().unwrap().rsplit(' ').next().unwrap()).collect();
        let (last, others) = froms.split_last().unwrap();
        // The author's own is not the program's to judge.
        if *last != "scratch" && !others.contains(last) {
            bases.insert((path.display().to_string(), (*last).to_owned()));
        }
    }
    assert!(bases.len() >= 5, "{bases:?}");
    for (path, base) in bases {
        let lifetime = Lifetime::of(&Reference::parse(&base).unwrap());
        // The version of a language is the author's as well.
        let is_kept = matches!(lifetime, Lifetime::Maintained | Lifetime::EndedVersion(_));
        assert!(is_kept, "{path}: {base}");
    }
}

#[test]
fn no_name_says_nothing() {
    for (path, _) in sources(&["src", "transforms", "tests"]) {
        let names = path.trim_end_matches(".rs").split(['/', '_', '-']);
        let vague = |name: &&str| ["util", "utils", "helper", "helpers", "manager", "common", "misc"].contains(name);
        assert_eq!(names.into_iter().find(vague), None, "{path}");
    }
}

#[test]
fn a_room_uses_only_what_stands_before_it() {
    for (path, text) in sources(&["src", "transforms"]) {
        let room = room_of(&path);
        if ["main", "lib", "cli"].contains(&room) {
            continue;
        }
        let at = ROOMS.iter().position(|other| *other == room).unwrap_or_else(|| panic!("{path}: {room} has no place"));
        for used in uses(&text) {
            // The mode decides the last line of the report, and arguments are where modes are named.
            if path == "src/report/text.rs" && used == "cli" {
                continue;
            }
            let place = ROOMS.iter().position(|other| *other == used);
            assert!(place.is_some_and(|place| place <= at), "{path} uses {used}, which comes later");
        }
    }
}

#[test]
fn the_two_engines_stand_alone() {
    for (path, text) in sources(&["src/yaml", "src/dockerfile"]) {
        let room = room_of(&path);
        for used in uses(&text) {
            assert!([room, "source", "edit"].contains(&used.as_str()), "{path} uses {used}");
        }
    }
}

#[test]
fn transforms_reach_nothing_outside_their_arguments() {
    for (path, text) in sources(&["transforms"]) {
        for room in ["registry", "report", "write", "pipeline", "cli"] {
            assert!(!uses(&text).contains(room), "{path} uses {room}");
        }
        for outside in
            ["std::fs", "std::net", "std::env", "std::process", "std::time", "std::thread", "tokio", "reqwest"]
        {
            assert!(!text.contains(outside), "{path} names {outside}");
        }
    }
}

/// Clippy forbids the methods that write; this keeps the list of those who are excused from it.
#[test]
fn one_room_writes() {
    let excused: Vec<String> = sources(&["src", "transforms"])
        .into_iter()
        .filter(|(_, text)| code(text).contains("clippy::disallowed_methods"))
        .map(|(path, _)| path)
        // A proof starts programs, waits for them, and keeps what they mount in a folder of its own. It never touches the tree.
        .filter(|path| !path.starts_with("src/prove/"))
        .collect();
    // Two of them read what is no part of a repository: the clock, and the variables that hold logins.
    let readers = ["src/cli/surroundings.rs", "src/registry/credentials.rs"];
    assert_eq!(excused, [&readers[..], &["src/write/cache.rs", "src/write/logs.rs", "src/write/mod.rs"]].concat());
    let writing =
        ["fs::write", "File::create", "OpenOptions", "File::options", "rename", "remove_", "create_dir", "copy("];
    for (path, text) in sources(&["src"]).into_iter().filter(|(path, _)| readers.contains(&path.as_str())) {
        assert_eq!(writing.iter().find(|writing| code(&text).contains(**writing)), None, "{path}");
    }
    for (path, text) in sources(&["src", "transforms"]) {
        assert!(
            path.starts_with("src/write/") || path.starts_with("src/prove/") || !code(&text).contains("tempfile"),
            "{path} makes temporary files"
        );
    }
}

#[test]
fn data_files_can_be_read() {
    let mut found = 0;
    let folders = ["src", "transforms", "tests", ".cargo"].map(|folder| root().join(folder));
    let files = folders
        .iter()
        .flat_map(|folder| files_below(folder))
        .chain(["Cargo.toml", ".clippy.toml"].map(|name| root().join(name)));
    for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")) {
        let text = fs::read_to_string(&path).unwrap();
        if let Err(error) = toml::from_str::<toml::Table>(&text) {
            panic!("{}: {error}", path.display());
        }
        found += 1;
    }
    assert!(found > 10, "only {found} were found");
}

#[test]
fn help_and_list_read_as_they_did() {
    let here = root();
    let mut snapshot = Snapshot::new();
    for (name, arguments) in [
        ("help.txt", &["--help"][..]),
        ("usage.txt", &["-h"]),
        ("prove.txt", &["prove", "--help"]),
        ("list.txt", &["list"]),
    ] {
        let ended = unroot(&here, arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
        snapshot.insert(name.to_owned(), ended.stdout);
    }
    assert_snapshot("cli", &snapshot);
}

#[test]
fn explaining_a_transform_prints_its_readme() {
    for transform in ALL {
        let metadata = transform.metadata();
        let ended = unroot(&root(), &["explain", metadata.id]);
        assert_eq!((ended.code, ended.stdout.as_str()), (0, metadata.readme), "{}", metadata.id);
    }
}

/// The end-to-end tests decide which rows are marked as proved; here the marks are taken away and set again, and nothing else moves.
#[test]
fn marks_of_the_image_table_are_set_without_touching_the_rest() {
    #[derive(serde::Deserialize)]
    struct Table {
        image: Vec<KnownImage>,
    }
    for table in TABLES {
        let text = fs::read_to_string(root().join(table)).unwrap();
        let mut rows = toml::from_str::<Table>(&text).unwrap().image;
        let all = rows.len();
        rows.retain(|row| row.proved);
        assert!(rows.len() < all, "{table}");
        assert_eq!(remarked(&text, &rows), Ok((text.clone(), Vec::new())), "{table}");
        let (without, taken) = remarked(&text, &[]).unwrap();
        assert!(!without.contains("\nproved = ") && taken.len() == rows.len(), "{table}: {taken:?}");
        let (again, set) = remarked(&without, &rows).unwrap();
        assert_eq!((again, set.len()), (text, rows.len()), "{table}: {set:?}");
    }
}

/// Each folder is compared whole by the test that owns it, so a folder without an owner would be read by nobody.
#[test]
fn each_snapshot_has_a_test_that_asks_for_it() {
    let mut owned: BTreeSet<String> =
        names_in(&root().join("tests/corpus")).iter().map(|name| format!("corpus/{name}")).collect();
    owned.extend(["cli", "configuration", "errors", "proof"].map(str::to_owned));
    let snapshots = root().join("snapshots");
    for file in files_below(&snapshots) {
        let name = file.strip_prefix(&snapshots).unwrap().to_str().unwrap();
        // What the lab found is one file, compared by the lab itself.
        let asked_for = name == "e2e.md" || owned.iter().any(|folder| name.starts_with(&format!("{folder}/")));
        assert!(asked_for, "nobody asks for snapshots/{name}");
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for name in names_in(folder) {
        let path = folder.join(name);
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// The Rust files below these folders: path relative to the root, and text. Those of cases are input.
fn sources(folders: &[&str]) -> BTreeMap<String, String> {
    let files = folders.iter().flat_map(|folder| files_below(&root().join(folder)));
    let is_input = |path: &Path| path.iter().any(|part| part == "cases" || part == "corpus");
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs") && !is_input(path))
        .map(|path| {
            (path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// `src/yaml/tree.rs` is in `yaml`, `src/edit.rs` in `edit`, and everything below `transforms/` in `transforms`.
fn room_of(path: &str) -> &str {
    let mut parts = path.split('/');
    match (parts.next(), parts.next()) {
        (Some("src"), Some(room)) => room.trim_end_matches(".rs"),
        (Some(folder), _) => folder,
        _ => path,
    }
}

/// The rooms that a file's code names: `crate::yaml`, or `yaml` in `crate::{facts, yaml::Node}`.
fn uses(text: &str) -> BTreeSet<String> {
    let text: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect();
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(first_segments(group)),
            None => found.extend(segment(rest)),
        }
    }
    found
}

/// The first name of each path in the text of a use group, up to its closing brace.
fn first_segments(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut begins = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            _ if begins && !character.is_whitespace() => {
                names.extend(segment(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

fn segment(text: &str) -> Option<String> {
    let end = text.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(text.len());
    text[..end].starts_with(char::is_lowercase).then(|| text[..end].to_owned())
}

/// A file's text without its unit tests.
fn code(text: &str) -> &str {
    text.split("\n#[cfg(test)]\n").next().unwrap_or(text)
}

fn is_kebab_case(name: &str) -> bool {
    let plain =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    name.split('-').all(plain)
}

#[test]
fn uses_are_found_in_every_form() {
    let text = "use crate::yaml::{self, Node};\nuse crate::{report, write::now, facts::{a, b}};\n// crate::cli is only spoken of\nfn x() { crate::edit::y(); }";
    let found: Vec<String> = uses(text).into_iter().collect();
    assert_eq!(found, ["edit", "facts", "report", "write", "yaml"]);
}
