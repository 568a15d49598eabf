//! The series against the git that readers of it have: applied in order, it must end in the very bytes that would be written.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

mod support;

use std::sync::Arc;
use support::program::unroot;
use support::workspace::Workspace;
use unroot::pipeline::{FileChange, Run, Step};
use unroot::report::{diff, patches};

/// A path and its text before the first step and after each.
type History<'a> = (&'a str, &'a [&'a str]);

const TITLES: [(u16, &str, &str); 3] = [
    (10, "split-build-stage", "Split the build stage"),
    (20, "minimal-base", "Use a minimal base image"),
    (30, "run-as-user", "Run as a user"),
];

fn change(path: &str, before: &str, after: &str) -> FileChange {
    FileChange { path: path.to_owned(), before: Some(Arc::from(before)), after: Arc::from(after) }
}

/// The run whose steps take each file through its history.
fn run(histories: &[History<'_>]) -> Run {
    let steps = histories.iter().map(|(_, texts)| texts.len()).max().unwrap_or(1) - 1;
    let step = |index: usize| {
        let (number, id, title) = TITLES[index];
        let files = histories.iter().filter(|(_, texts)| texts.len() > index + 1);
        let files = files.map(|(path, texts)| change(path, texts[index], texts[index + 1])).collect();
        let why = vec![
            "The build tools are not needed at run time, and what is not there cannot be misused by whoever gets in."
                .to_owned(),
            "--- neither this nor\nFrom that may end the message: diff --git a/x b/x".to_owned(),
        ];
        Step { number, id, title, why, files }
    };
    Run {
        files: histories.iter().map(|(path, texts)| change(path, texts[0], texts[texts.len() - 1])).collect(),
        steps: (0..steps).map(step).collect(),
        findings: Vec::new(),
        unread: Vec::new(),
        dockerfiles: 0,
        manifests: 0,
        levels: Vec::new(),
        lookup_failures: Vec::new(),
        not_locked: Vec::new(),
        named: Default::default(),
    }
}

/// A repository with every file as it was, committed, and the series beside it.
fn repository(histories: &[History<'_>]) -> (Workspace, Workspace, Vec<String>) {
    let repository = Workspace::new();
    for (path, texts) in histories {
        repository.write(path, texts[0]);
    }
    repository.git_ok(&["init", "--quiet", "--initial-branch=main"]);
    repository.git_ok(&["add", "--all"]);
    repository.git_ok(&["commit", "--quiet", "--message=before"]);
    let directory = Workspace::new();
    let series = patches::series(&run(histories), "", None);
    unroot::write::write_new(directory.root(), &series).unwrap();
    let names = series.iter().map(|(name, _)| directory.path(name).to_string_lossy().into_owned()).collect();
    (repository, directory, names)
}

#[track_caller]
fn assert_step(repository: &Workspace, histories: &[History<'_>], step: usize, how: &str) {
    for (path, texts) in histories {
        let expected = texts[step.min(texts.len() - 1)];
        assert_eq!(repository.read(path), expected, "{path} after patch {step} with {how}");
    }
}

/// Applies the series with `git apply` and with `git am`, and compares after each patch.
#[track_caller]
fn assert_applies(histories: &[History<'_>], am: &[&str]) {
    let (applied, _patches, names) = repository(histories);
    for (index, name) in names.iter().enumerate() {
        applied.git_ok(&["apply", "--whitespace=nowarn", name]);
        assert_step(&applied, histories, index + 1, "git apply");
    }
    let (mailed, _patches, names) = repository(histories);
    let mut arguments = vec!["am", "--quiet"];
    arguments.extend_from_slice(am);
    for (index, name) in names.iter().enumerate() {
        arguments.push(name);
        mailed.git_ok(&arguments);
        arguments.pop();
        assert_step(&mailed, histories, index + 1, "git am");
    }
    assert_eq!(String::from_utf8(mailed.git_ok(&["status", "--porcelain"]).stdout).unwrap(), "");
}

#[test]
fn several_files_in_several_steps() {
    let histories: &[History<'_>] = &[
        (
            "Dockerfile",
            &[
                "FROM node:20\nWORKDIR /app\nCOPY . .\nRUN npm ci\nCMD [\"node\", \"a.js\"]\n",
                "FROM node:20 AS build\nWORKDIR /app\nCOPY . .\nRUN npm ci\n\nFROM node:20\nCMD [\"node\", \"a.js\"]\n",
                "FROM node:20 AS build\nWORKDIR /app\nCOPY . .\nRUN npm ci\n\nFROM node:20-slim\nUSER 1000\nCMD [\"node\", \"a.js\"]\n",
            ],
        ),
        (
            "k8s/app.yaml",
            &[
                "spec:\n  containers:\n  - name: app\n",
                "spec:\n  containers:\n  - name: app\n",
                "spec:\n  securityContext: {}\n  containers:\n  - name: app\n",
            ],
        ),
        ("untouched.txt", &["x\n"]),
    ];
    assert_applies(histories, &[]);
}

#[test]
fn carriage_returns_survive() {
    let histories: &[History<'_>] = &[
        ("Dockerfile", &["FROM a\r\nRUN b\r\nCMD c\r\n", "FROM a\r\nUSER 1\r\nRUN b\r\nCMD c\r\n"]),
        ("mixed", &["one\r\ntwo\nthree\rfour\n", "one\r\ntwo\nthree\rfive\r\n"]),
    ];
    assert_applies(histories, &["--keep-cr"]);
}

/// Known, and git's own doing: a mail loses its carriage returns unless git is told to keep them. Nothing is applied by halves.
#[test]
fn carriage_returns_need_keep_cr_with_git_am() {
    let histories: &[History<'_>] = &[("Dockerfile", &["FROM a\r\nRUN b\r\n", "FROM a\r\nUSER 1\r\nRUN b\r\n"])];
    let (repository, _patches, names) = repository(histories);
    assert!(!repository.git(&["am", "--quiet", &names[0]]).status.success());
    assert_step(&repository, histories, 0, "git am");
}

#[test]
fn missing_final_newlines_come_and_go() {
    let histories: &[History<'_>] = &[
        ("kept", &["a\nb", "a\nc"]),
        ("gained", &["a\nb", "a\nb\n"]),
        ("lost", &["a\nb\n", "a\nb"]),
        ("only", &["a", "b"]),
        ("above", &["a\nb\nlast", "A\nb\nlast"]),
    ];
    assert_applies(histories, &[]);
}

#[test]
fn files_become_empty_and_come_from_empty() {
    assert_applies(&[("emptied", &["a\nb\n", ""]), ("filled", &["", "a\n"])], &[]);
    assert_applies(&[("emptied", &["a", ""]), ("filled", &["", "a"])], &[]);
}

#[test]
fn odd_names_and_texts_that_look_like_patches() {
    let histories: &[History<'_>] = &[
        ("my app/Dockerfile", &["a\n", "b\n"]),
        ("größe/日本.yaml", &["ä\n", "ö\n"]),
        ("quo\"te\\back.yaml", &["a\n", "b\n"]),
        ("tab\there", &["a\n", "b\n"]),
        ("new\nline", &["a\n", "b\n"]),
        ("trailing ", &["a\n", "b\n"]),
        (
            "looks-like",
            &[
                "-- a/x\n++ b/x\n@@ -1 +1 @@\ndiff --git a/x b/x\n-- \n",
                "-- a/y\n++ b/x\n@@ -1 +2 @@\nFrom me Mon Sep 17 00:00:00 2001\n-- \n",
            ],
        ),
        ("control", &["\u{1b}[2J\u{feff}x\n\u{c}\n", "\u{1b}[2J\u{feff}y\n\u{c}\n"]),
    ];
    assert_applies(histories, &[]);
}

#[test]
fn the_message_is_what_git_records() {
    let histories: &[History<'_>] = &[("Dockerfile", &["a\n", "b\n", "c\n"])];
    let (repository, _patches, names) = repository(histories);
    let mut arguments = vec!["am", "--quiet"];
    arguments.extend(names.iter().map(String::as_str));
    repository.git_ok(&arguments);
    let log = repository.git_ok(&["log", "-2", "--reverse", "--format=%s|%an|%at|%b"]);
    let body = "The build tools are not needed at run time, and what is not there cannot\n\
                be misused by whoever gets in.\n\n --- neither this nor From that may end the message: diff --git a/x b/x\n";
    let entry = |title: &str| format!("{title}|unroot|1000684800|{body}\n");
    assert_eq!(
        String::from_utf8(log.stdout).unwrap(),
        format!("{}{}", entry("Split the build stage"), entry("Use a minimal base image"))
    );
}

#[test]
fn steps_without_a_difference_have_no_patch_and_are_not_counted() {
    let series = patches::series(&run(&[("Dockerfile", &["a\n", "a\n", "b\n", "c\n"])]), "", None);
    let names: Vec<&str> = series.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["0020-minimal-base.patch", "0030-run-as-user.patch"]);
    assert!(series[0].1.contains("\nSubject: [PATCH 1/2] Use a minimal base image\n"), "{}", series[0].1);
    assert!(series[1].1.contains("\nSubject: [PATCH 2/2] Run as a user\n"), "{}", series[1].1);
    assert!(patches::series(&run(&[("Dockerfile", &["a\n", "a\n"])]), "", None).is_empty());
}

#[test]
fn a_difference_is_the_one_git_writes() {
    let histories: &[(&str, &str, &str)] = &[
        ("plain", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n", "1\n2\n3\nfour\n5\n6\n7\n8\n9\n10\n11\n12\n13\n"),
        ("crlf", "a\r\nb\r\n", "a\r\nc\r\n"),
        ("no newline", "a\nb", "a\nc"),
        ("é \"q\"", "a\n", "b\n"),
        ("empty", "", "a\n"),
    ];
    for (path, before, after) in histories {
        let workspace = Workspace::with(&[(path, before)]);
        workspace.git_ok(&["init", "--quiet"]);
        workspace.git_ok(&["add", "--all"]);
        workspace.write(path, after);
        let theirs = workspace.git_ok(&["diff", "--no-color", "--no-ext-diff"]).stdout;
        let theirs = String::from_utf8(theirs).unwrap();
        // Object names and the heading behind `@@` are git's own and optional.
        let lines = theirs.split_inclusive('\n').filter(|line| !line.starts_with("index "));
        let theirs: String = lines
            .map(|line| match line.strip_prefix("@@ ").and_then(|rest| rest.split_once(" @@")) {
                Some((ranges, _)) => format!("@@ {ranges} @@\n"),
                None => line.to_owned(),
            })
            .collect();
        assert_eq!(diff::unified(path, *before, after), theirs);
    }
}

/// Whatever the two texts are, git turns the one into the other.
#[test]
fn any_difference_applies() {
    use proptest::strategy::{Strategy, ValueTree};
    let line =
        proptest::sample::select(vec!["\n", "a\n", "b\n", "\r\n", "c\r\n", "- d\n", "+e\n", "@@ -1 +1 @@\n", "\\ x\n"]);
    let lines = proptest::collection::vec(line, 0..14);
    let text = (lines, proptest::sample::select(vec!["", "last", "\r", "-- "]))
        .prop_map(|(lines, last)| lines.concat() + last);
    let workspace = Workspace::new();
    workspace.git_ok(&["init", "--quiet"]);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..100 {
        let pair = (&text, &text).new_tree(&mut runner).unwrap();
        let (before, after) = pair.current();
        if before == after {
            continue;
        }
        workspace.write("file", &before);
        workspace.write("patch", &diff::unified("file", before.as_str(), &after));
        workspace.git_ok(&["apply", "--whitespace=nowarn", "patch"]);
        assert_eq!(workspace.read("file"), after, "from {before:?}");
    }
}

/// git reads the paths of a patch from the top of its repository, wherever it is called.
#[test]
fn a_series_for_a_folder_applies_from_everywhere() {
    let dockerfile = "FROM node:22-alpine\nWORKDIR /app\nADD server.js ./\nCMD [\"node\", \"server.js\"]\n";
    let workspace = Workspace::with(&[
        ("services/web/server.js", ""),
        ("services/web/Dockerfile", dockerfile),
        ("Dockerfile", dockerfile),
    ]);
    workspace.git_ok(&["init", "--quiet"]);
    let directory = Workspace::new();
    let ended = unroot(
        &workspace.path("services/web"),
        &["--offline", "--only", "copy-local-files", "--patches", directory.root().to_str().unwrap()],
    );
    assert_eq!(ended.code, 0, "{ended:?}");
    let name = directory.entries().pop().unwrap();
    workspace.git_ok(&["apply", directory.path(&name).to_str().unwrap()]);
    assert_eq!(workspace.read("Dockerfile"), dockerfile);
    assert!(workspace.read("services/web/Dockerfile").contains("\nCOPY server.js"), "{name}");
}
