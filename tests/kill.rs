//! A run may be killed at any moment: what it leaves is whole, old or new, and the next run ends as if nothing had happened.
#![allow(clippy::unwrap_used, reason = "here a failed step should end the test")]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

mod support;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use support::http::{Response, Server};
use support::program::unroot_with_cache;
use support::registry::{OCI_MANIFEST, sha256};
use support::workspace::Workspace;
use unroot::registry::lock::Lock;

/// Images, each run by a pod in a file of its own.
const IMAGES: usize = 40;

/// How often a run is killed in each test.
const KILLS: u32 = 12;

/// A registry on loopback that takes its time for each answer.
fn slow_registry(pause: Duration) -> Server {
    let mut answers: BTreeMap<String, Response> = BTreeMap::new();
    for image in 0..IMAGES {
        let config = format!(r#"{{"architecture":"amd64","os":"linux","config":{{"User":"{}"}}}}"#, 1000 + image);
        let digest = sha256(config.as_bytes());
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","size":{},"digest":"{digest}"}},"layers":[]}}"#,
            config.len()
        );
        let of_manifest = sha256(manifest.as_bytes());
        let headers = [("Content-Type", OCI_MANIFEST), ("Docker-Content-Digest", of_manifest.as_str())];
        for version in ["1", &of_manifest] {
            let target = format!("/v2/app{image}/manifests/{version}");
            answers.insert(target, Response::new(200, &headers, &manifest));
        }
        answers.insert(format!("/v2/app{image}/blobs/{digest}"), Response::new(200, &[], &config));
    }
    answers.insert("/v2/".to_owned(), Response::new(200, &[], "{}"));
    Server::start(move |request, _| {
        sleep(pause);
        answers.get(&request.target).cloned().unwrap_or_else(|| Response::new(404, &[], ""))
    })
}

fn repository(server: &Server) -> Workspace {
    let workspace = Workspace::new();
    for image in 0..IMAGES {
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: app{image}\nspec:\n  containers:\n  - name: app\n    image: {}/app{image}:1\n",
            server.address
        );
        workspace.write(&format!("{}/{image}.yaml", image % 5), &pod);
    }
    workspace.write("unroot.toml", &format!("[registry.\"{}\"]\nplain_http = true\n", server.address));
    workspace
}

/// Path and text of every file, the times in the lock made equal.
fn files(workspace: &Workspace) -> BTreeMap<String, String> {
    let entries = workspace.entries().into_iter().filter(|entry| workspace.path(entry).is_file());
    let text = |entry: &String| {
        // What is staged may be gone by now.
        let text = std::fs::read_to_string(workspace.path(entry)).ok();
        let text = text.as_deref();
        text.into_iter()
            .flat_map(str::lines)
            .filter(|line| !line.starts_with("resolved = "))
            .map(|line| format!("{line}\n"))
            .collect()
    };
    entries.map(|entry| (entry.clone(), text(&entry))).collect()
}

/// Starts a run, and kills it once its time has come.
fn killed(workspace: &Workspace, cache: &Workspace, its_time_has_come: impl Fn() -> bool) {
    let mut run = Command::new(env!("CARGO_BIN_EXE_unroot"))
        .args(["--lock", "--write"])
        .current_dir(workspace.root())
        .env_clear()
        .env("HOME", workspace.path("no-such-home"))
        .env("XDG_CACHE_HOME", cache.root())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It may come to its end before.
    while !its_time_has_come() && run.try_wait().unwrap().is_none() {
        sleep(Duration::from_micros(200));
    }
    let _ = run.kill();
    run.wait().unwrap();
}

#[track_caller]
fn whole(workspace: &Workspace, cache: &Workspace, arguments: &[&str]) -> Duration {
    let started = Instant::now();
    let ended = unroot_with_cache(cache.root(), workspace.root(), arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}\n{}", ended.stdout);
    started.elapsed()
}

/// Each file is as it was or as it is to be, and the lock can be read.
#[track_caller]
fn assert_whole(workspace: &Workspace, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    for (path, text) in files(workspace) {
        if path == "unroot.lock" {
            Lock::parse(&workspace.read(&path)).unwrap();
        }
        let is_staged = path.rsplit('/').next().is_some_and(|name| name.starts_with(".unroot-"));
        let known = [before.get(&path), after.get(&path)].into_iter().flatten().any(|known| *known == text);
        assert!(is_staged || known, "{path} is neither old nor new:\n{text}");
    }
}

/// All is as if no run had been killed, and nothing that one staged is left.
#[track_caller]
fn assert_same(workspace: &Workspace, expected: &BTreeMap<String, String>, kill: u32) {
    let files = files(workspace);
    let paths = files.keys().chain(expected.keys());
    let other = paths.into_iter().find(|path| files.get(*path) != expected.get(*path));
    assert_eq!(other, None, "after kill {kill}: {:?}", other.map(|path| files.get(path)));
}

#[test]
fn while_it_asks() {
    let server = slow_registry(Duration::from_millis(4));
    let (reference, fresh) = (repository(&server), Workspace::new());
    let before = files(&reference);
    let takes = whole(&reference, &fresh, &["--lock", "--write"]);
    let after = files(&reference);
    let cache = Workspace::new();
    for kill in 0..KILLS {
        let workspace = repository(&server);
        if kill % 4 == 0 {
            std::fs::remove_dir_all(cache.path("unroot")).ok();
        }
        let started = Instant::now();
        killed(&workspace, &cache, || started.elapsed() > takes * kill / KILLS);
        assert_whole(&workspace, &before, &after);
        whole(&workspace, &cache, &["--lock", "--write"]);
        assert_same(&workspace, &after, kill);
    }
    let asked = server.requests().len();
    whole(&repository(&server), &cache, &["--lock", "--write"]);
    assert_eq!(server.requests().len(), asked, "what was kept on the way is whole");
}

#[test]
fn while_it_writes() {
    let server = slow_registry(Duration::ZERO);
    let (reference, cache) = (repository(&server), Workspace::new());
    let before = files(&reference);
    whole(&reference, &cache, &["--lock", "--write"]);
    let after = files(&reference);
    let mut caught = 0;
    for kill in 0..KILLS {
        let workspace = repository(&server);
        // Files are staged before any is put into its place.
        let moved_on = |files: BTreeMap<String, String>| match kill < KILLS / 2 {
            true => files.len() > before.len() + 8 * kill as usize,
            false => {
                before.iter().filter(|(path, text)| files.get(*path) != Some(text)).count()
                    > 6 * (kill - KILLS / 2) as usize
            }
        };
        killed(&workspace, &cache, || moved_on(files(&workspace)));
        assert_whole(&workspace, &before, &after);
        let left = files(&workspace);
        caught += usize::from(left != before && left != after);
        whole(&workspace, &cache, &["--lock", "--write"]);
        assert_same(&workspace, &after, kill);
    }
    assert!(caught > 0, "no run was killed while it wrote");
}
