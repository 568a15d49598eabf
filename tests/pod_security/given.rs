//! `UNROOT_POD_SECURITY=<directory>` judges a collection of pods: `<level>/v1.N/pass/*.yaml` must satisfy the level in that version, and
//! `<level>/v1.N/fail/*.yaml` must not. That is the layout of `test/testdata` in `k8s.io/pod-security-admission`.

use super::judge;
use std::path::{Path, PathBuf};

/// Without the variable there is nothing to judge.
#[test]
fn given_pods_are_judged_as_their_folders_say() {
    let Some(directory) = std::env::var_os("UNROOT_POD_SECURITY") else { return };
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries
    };
    let (mut judged, mut wrong) = (0, Vec::new());
    for folder in
        entries(Path::new(&directory)).iter().filter(|folder| folder.is_dir()).flat_map(|level| entries(level))
    {
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let policy = format!("{}@{}", name(folder.parent().unwrap()), name(&folder));
        let files = ["pass", "fail"]
            .into_iter()
            .flat_map(|expected| entries(&folder.join(expected)).into_iter().map(move |file| (expected, file)));
        for (expected, file) in files.filter(|(_, file)| file.extension().is_some_and(|extension| extension == "yaml"))
        {
            let found = judge(&policy, &std::fs::read_to_string(&file).unwrap());
            judged += 1;
            if found.is_empty() != (expected == "pass") {
                wrong.push(format!("{}: {found:?}", file.display()));
            }
        }
    }
    println!("{judged} pods, {} wrong", wrong.len());
    assert!(judged > 0 && wrong.is_empty(), "{judged} pods, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
