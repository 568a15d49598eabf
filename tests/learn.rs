//! What running the applications of the lab shows, learnt and used: read-only roots that were declined for want of knowing what is written.
//!
//! What each of them writes is what `snapshots/e2e.md` has of it. The lab proves the results by running them.
#![allow(clippy::unwrap_used, reason = "here a failed step should end the test")]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use support::workspace::Workspace;
use unroot::config::Config;
use unroot::discover::Tree;
use unroot::error::Outcome;
use unroot::pipeline::{self, Options};
use unroot::prove::changes::FolderChange;
use unroot::prove::learn::{Changes, Observation, learned};
use unroot::registry::Offline;
use unroot::repository::Repository;

/// Changes of files in a folder, and what its image has there.
fn files(folder: &str, holds: &[&str]) -> (String, FolderChange) {
    let holds = holds.iter().map(|name| (*name).to_owned()).collect();
    (folder.to_owned(), FolderChange { made: BTreeSet::new(), changed: true, holds: Some(holds) })
}

/// A new folder beside what the image has.
fn folder(parent: &str, name: &str, holds: &[&str]) -> (String, FolderChange) {
    let (parent, change) = files(parent, holds);
    (parent, FolderChange { made: [name.to_owned()].into(), changed: false, ..change })
}

/// What becomes of the root of a container: where it is made read-only, or why not.
fn outcome(
    application: &str,
    image: &str,
    container: &str,
    before: &[(String, FolderChange)],
    after: &[(String, FolderChange)],
) -> [String; 2] {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/applications").join(application);
    let about: BTreeMap<String, toml::Value> =
        toml::from_str(&fs::read_to_string(lab.join("application.toml")).unwrap()).unwrap();
    let workspace = Workspace::new();
    // An image that is called like the folder is built there.
    let root = workspace.path(application);
    copy(&lab.join(about["source"].as_str().unwrap()), &root);
    let written = |changes: &[(String, FolderChange)]| -> Option<Changes> { Some(changes.iter().cloned().collect()) };
    let observation = Observation {
        image: image.to_owned(),
        container: container.to_owned(),
        before: written(before),
        after: written(after),
        ports: BTreeSet::new(),
    };
    let file = root.join("unroot.toml");
    let text = fs::read_to_string(&file).unwrap_or_default();
    [text.clone(), learned(&text, &[observation]).unwrap()].map(|text| {
        fs::write(&file, text).unwrap();
        let config = Config::load(&root).unwrap();
        let tree = Tree::discover(std::slice::from_ref(&root), &config.exclude).unwrap();
        let run = pipeline::run(Repository::parse(tree, &config), &config, &Options::default(), &Offline).unwrap();
        let (workload, container) = container.split_once('/').unwrap();
        let mut findings = run.findings.iter().filter(|finding| {
            finding.transform == "mount-read-only-root"
                && finding.subject.ends_with(&format!("/{workload} container {container}"))
        });
        match &findings.next().unwrap().outcome {
            Outcome::Fixed { detail, .. } => detail.split_once(", ").unwrap().1.to_owned(),
            Outcome::Skipped { reason, .. } | Outcome::NeedsPerson { reason, .. } => reason.code().to_owned(),
            Outcome::AlreadyRight { detail } => detail.clone(),
        }
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn declined_roots_become_read_only() {
    let home = [".bash_logout", ".bashrc", ".profile"];
    let root = files("/root/.npm", &[]);
    let hsperf = files("/tmp/hsperfdata_root", &[]);
    let pycache = files("/usr/local/lib/python3.11/http/__pycache__", &["x.pyc"]);
    let state = folder("/app", "state", &["app.py", "native"]);
    let as_root: [&[(String, FolderChange)]; 2] = [std::slice::from_ref(&root), std::slice::from_ref(&hsperf)];
    let npm = [files("/home/node", &home)];
    let tmp = [files("/tmp", &["hsperfdata_root"])];
    for (application, container, before, after, volumes) in [
        ("development-start", "modes/modes", as_root[0], &npm[..], "/home/node, /tmp"),
        (
            "folder-outside-workdir",
            "app/app",
            as_root[0],
            &[npm[0].clone(), files("/uploads", &[])],
            "/home/node, /tmp, /uploads",
        ),
        ("java-formulas", "formulas/formulas", as_root[1], &tmp, "/tmp"),
        ("java-maven", "menu/menu", as_root[1], &tmp, "/tmp"),
        ("named-user", "shortener/shortener", &tmp, &tmp, "/tmp"),
        ("python-wheel", "sums/sums", &[pycache, state.clone()], &[state], "/app/state, /tmp"),
    ] {
        let image = if application == "named-user" { "shortener:dev".to_owned() } else { format!("{application}:1") };
        let expected = ["run-time-writes".to_owned(), format!("emptyDir at {volumes} (observed by unroot prove)")];
        assert_eq!(outcome(application, &image, container, before, after), expected, "{application}");
    }
}

#[test]
fn a_root_beside_whose_code_is_written_stays_writable() {
    let notes = [files("/app", &["notes.jar"])];
    for (application, container) in
        [("java-notes", "notes/notes"), ("npm-start", "cards/cards"), ("ruby-bundle", "poem/poem")]
    {
        let told = outcome(application, &format!("{application}:1"), container, &notes, &notes);
        assert_eq!(told, ["run-time-writes", "image-fills"], "{application}");
    }
}
