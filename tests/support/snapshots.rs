//! Expected output as raw files below `snapshots/`, one folder per subject.
//!
//! A folder is compared whole: a file that nobody produces is an orphan and fails like a wrong one. `UNROOT_BLESS=1` rewrites the folder; the
//! difference is then to be read, not trusted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// File name, with `/`, and text.
pub(crate) type Snapshot = BTreeMap<String, String>;

/// Compares `actual` with the files of `snapshots/<folder>`.
#[track_caller]
pub(crate) fn assert_snapshot(folder: &str, actual: &Snapshot) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(folder);
    if std::env::var_os("UNROOT_BLESS").is_some() {
        bless(&root, actual);
    }
    let expected = files(&root);
    let mut failures = Vec::new();
    for name in expected.keys().filter(|name| !actual.contains_key(*name)) {
        failures.push(format!("snapshots/{folder}/{name} is an orphan: nothing produces it"));
    }
    for (name, text) in actual {
        match expected.get(name) {
            None => failures.push(format!("snapshots/{folder}/{name} does not exist; this would be in it:\n{text}")),
            Some(expected) if expected == text => {}
            Some(expected) => {
                let difference = unroot::report::diff::unified(name, expected.as_str(), text);
                failures.push(format!("snapshots/{folder}/{name} (expected -, actual +):\n{difference}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}\nUNROOT_BLESS=1 accepts what is there now", failures.join("\n"));
}

fn bless(root: &Path, actual: &Snapshot) {
    if root.exists() {
        fs::remove_dir_all(root).unwrap();
    }
    for (name, text) in actual {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn files(root: &Path) -> Snapshot {
    let mut found = Snapshot::new();
    let mut folders: Vec<PathBuf> = root.is_dir().then(|| root.to_path_buf()).into_iter().collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}
