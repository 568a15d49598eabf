//! What is kept of answers between runs: that nobody is asked twice, and that nothing there is believed without a look.
#![allow(clippy::unwrap_used, reason = "here a failed step should end the test")]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use support::http::{Response, Server};
use support::program::{Ended, unroot_with_cache};
use support::registry::{DOCKER_LIST, LOGIN, OCI_INDEX, OCI_MANIFEST, Registry};
use support::workspace::Workspace;

fn pod(name: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  containers:\n  - name: {name}\n    image: {image}\n"
    )
}

fn config(user: &str) -> String {
    format!(r#"{{"architecture":"amd64","os":"linux","config":{{"User":"{user}"}}}}"#)
}

/// Two images, one of them for several platforms, in a registry; a repository that names them; and a cache.
struct Lab {
    registry: Registry,
    workspace: Workspace,
    cache: Workspace,
}

impl Lab {
    fn new() -> Option<Self> {
        let registry = Registry::start()?;
        registry.push_index_with("a/app", "1", OCI_INDEX, &[("arm64", config("1000")), ("amd64", config("2000"))]);
        registry.push_image_with("a/tool", Some("1"), OCI_MANIFEST, "x", &config("3000"));
        let workspace = Workspace::with(&[
            ("app.yaml", &pod("app", "example.com/app:1")),
            ("tool.yaml", &pod("tool", "example.com/tool:1")),
        ]);
        let lab = Self { registry, workspace, cache: Workspace::new() };
        lab.ask_at("a", "");
        Some(lab)
    }

    /// Makes this path of the registry the place where the images are.
    fn ask_at(&self, path: &str, more: &str) {
        let address = self.registry.address;
        let table = format!("[registry.\"example.com\"]\nmirror = \"{address}/{path}\"\nplain_http = true\n{more}");
        self.workspace.write("unroot.toml", &table);
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Ended {
        let ended = unroot_with_cache(self.cache.root(), self.workspace.root(), arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}\n{}", ended.stdout);
        ended
    }

    /// Runs, and returns how many requests of each method that took.
    #[track_caller]
    fn requests(&self, arguments: &[&str]) -> (usize, usize) {
        let before = self.asked();
        self.run(arguments);
        let after = self.asked();
        (after.0 - before.0, after.1 - before.1)
    }

    /// How often images were asked about by HEAD and by GET; whether there is a registry at all is no question about them.
    fn asked(&self) -> (usize, usize) {
        let of = |method: &str| {
            let lines = self.registry.logged(&format!("\"{method} /v2/"), 0);
            lines.iter().filter(|line| !line.contains(" /v2/ ")).count()
        };
        (of("HEAD"), of("GET"))
    }

    fn entries(&self, folder: &str) -> Vec<PathBuf> {
        let prefix = format!("unroot/{folder}");
        let entries = self
            .cache
            .entries()
            .into_iter()
            .filter(|entry| entry.starts_with(&prefix) && *entry != prefix.trim_end_matches('/'));
        entries.map(|entry| self.cache.path(&entry)).filter(|path| path.is_file()).collect()
    }
}

#[test]
fn nobody_is_asked_twice() {
    let Some(lab) = Lab::new() else { return };
    let first = lab.run(&[]);
    // A manifest and a configuration for each, and the index.
    assert_eq!(lab.asked(), (2, 5), "{}", first.stdout);
    assert!(first.stdout.contains("+      runAsUser: 2000\n"), "{}", first.stdout);
    let second = lab.run(&[]);
    assert_eq!((lab.asked(), &second), ((2, 5), &first));
    assert_eq!(lab.run(&["--offline"]), first);
    let unknown = lab.run(&["--offline", "--no-cache"]);
    assert!(unknown.stdout.contains("[offline]"), "{}", unknown.stdout);
    assert_eq!(lab.requests(&["--skip", "pin-digest"]), (0, 0), "the tag is known, and so is what it stands for");
    assert_eq!(lab.requests(&["--lock"]), (0, 0), "what a digest names is known from its body");
    assert_eq!(lab.requests(&["--update"]), (2, 0), "of what was read, nothing is read again");
    assert_eq!(lab.requests(&["--no-cache"]), (2, 5));
    assert_eq!(lab.requests(&["--platform", "linux/amd64"]), (0, 2), "which image of the index it is was never asked");
    assert_eq!(lab.requests(&["--platform", "linux/amd64"]), (0, 0));
    assert_eq!(lab.requests(&[]), (0, 0), "and the answer for all platforms is still there");
}

#[test]
fn what_was_pinned_just_now_is_not_asked_about() {
    let Some(lab) = Lab::new() else { return };
    assert_eq!(lab.requests(&["--only", "pin-digest", "--write"]), (2, 0));
    assert_eq!(lab.requests(&["--only", "pin-digest", "--check"]), (0, 0));
}

#[test]
fn tags_are_asked_about_again_when_their_time_is_over() {
    let Some(lab) = Lab::new() else { return };
    let first = lab.run(&[]);
    lab.registry.push_image_with("a/tool", Some("1"), OCI_MANIFEST, "y", &config("4000"));
    assert_eq!(lab.run(&[]), first);
    lab.ask_at("a", "[cache]\nmax_age = \"0\"\n");
    assert_eq!(lab.requests(&[]), (2, 2), "one of them is another image now");
    lab.ask_at("a", "[cache]\nmax_age = \"1h\"\n");
    let now = lab.run(&[]);
    assert!(now.stdout.contains("+      runAsUser: 4000\n"), "{}", now.stdout);
    assert_eq!(lab.requests(&[]), (0, 0));
}

#[test]
fn what_one_host_says_is_not_anothers_answer() {
    let Some(lab) = Lab::new() else { return };
    lab.run(&[]);
    lab.registry.push_index_with("b/app", "1", DOCKER_LIST, &[("amd64", config("2000"))]);
    lab.registry.push_image_with("b/tool", Some("1"), OCI_MANIFEST, "z", &config("5000"));
    lab.ask_at("b", "");
    let other = lab.run(&[]);
    assert!(other.stdout.contains("+      runAsUser: 5000\n"), "{}", other.stdout);
    lab.ask_at("a", "");
    assert_eq!(lab.requests(&[]), (0, 0));
}

#[test]
fn what_was_tampered_with_is_not_believed_and_replaced() {
    let Some(lab) = Lab::new() else { return };
    let first = lab.run(&[]);
    let spoil = |folder: &str, spoil: &dyn Fn(&str) -> String| {
        let entries = lab.entries(folder);
        assert!(entries.len() >= 2, "{folder}: {entries:?}");
        for path in entries {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, spoil(&text)).unwrap();
        }
    };
    let nothing = |_: &str| String::new();
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let zeros = |text: &str| {
        let at = text.find("sha256:").map_or(0, |at| at + 7);
        text.replace(&text[at..at + 64], &"0".repeat(64))
    };
    spoil("configs/", &|text| text.replace("000", "001"));
    assert_eq!(lab.run(&[]), first);
    assert_eq!(lab.requests(&[]), (0, 0), "what was asked again is kept");
    for spoiling in [&nothing as &dyn Fn(&str) -> String, &half, &zeros] {
        spoil("manifests/", spoiling);
        assert_eq!(lab.run(&[]), first);
        spoil("configs/", &nothing);
        assert_eq!(lab.run(&[]), first);
        assert_eq!(lab.requests(&[]), (0, 0));
    }
    for spoiling in [
        &nothing as &dyn Fn(&str) -> String,
        &half,
        &|text| text.replace("example", "x").replace("sha256:", "sha512:"),
        &|text| text.replace("\"version\":\"1\"", "\"version\":\"2\""),
        &|text| text.replace("\"time\":", "\"time\":9"),
        &|text| text.replace("{", "{\"more\":1,"),
    ] {
        spoil("tags-", spoiling);
        assert_eq!(lab.requests(&[]).0, 2);
        assert_eq!(lab.run(&[]), first);
        assert_eq!(lab.requests(&[]), (0, 0));
    }
    // Something else where a file should be costs that entry.
    let path = &lab.entries("configs/")[0];
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
    let ended = unroot_with_cache(lab.cache.root(), lab.workspace.root(), &[] as &[&str]);
    assert_eq!((ended.code, &ended.stdout), (0, &first.stdout));
    assert!(ended.stderr.starts_with("note: no answer is kept for the next run: cannot write "), "{}", ended.stderr);
}

#[test]
#[cfg(unix)]
fn it_is_for_its_owners_eyes_only() {
    use std::os::unix::fs::PermissionsExt;
    let Some(lab) = Lab::new() else { return };
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let open = fs::Permissions::from_mode(0o777);
    fs::create_dir(lab.cache.path("unroot")).unwrap();
    fs::set_permissions(lab.cache.path("unroot"), open.clone()).unwrap();
    lab.run(&[]);
    for entry in lab.cache.entries() {
        let path = lab.cache.path(&entry);
        assert_eq!(mode(&path) & 0o077, if entry == "unroot/swept" { mode(&path) & 0o077 } else { 0 }, "{entry}");
    }
    assert_eq!(mode(&lab.cache.path("unroot")), 0o700);
    // Where others could have put something, nothing is read.
    fs::set_permissions(lab.cache.path("unroot"), open).unwrap();
    let offline = lab.run(&["--offline"]);
    assert!(offline.stdout.contains("[offline]"), "{}", offline.stdout);
}

#[test]
fn where_nothing_can_be_kept_the_run_goes_on() {
    let Some(lab) = Lab::new() else { return };
    let expected = lab.run(&[]);
    lab.cache.write("file", "");
    let ended = unroot_with_cache(&lab.cache.path("file"), lab.workspace.root(), &[] as &[&str]);
    assert_eq!((ended.code, ended.stdout), (0, expected.stdout));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.starts_with("note: no answer is kept for the next run: cannot write "), "{}", ended.stderr);
    // Whoever writes nothing there hears nothing of it.
    let offline = unroot_with_cache(&lab.cache.path("file"), lab.workspace.root(), &["--offline"]);
    assert_eq!((offline.code, offline.stderr.as_str()), (0, ""));
}

#[test]
fn old_answers_and_what_runs_left_behind_are_removed_now_and_then() {
    let Some(lab) = Lab::new() else { return };
    lab.run(&[]);
    let day = Duration::from_secs(24 * 60 * 60);
    let age = |path: &PathBuf, age: Duration| {
        fs::File::options().append(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    };
    let (tags, bodies) = (lab.entries("tags-"), [lab.entries("manifests/"), lab.entries("configs/")].concat());
    let (old, young) = (lab.cache.path("unroot/configs/.unroot-old"), lab.cache.path("unroot/configs/.unroot-young"));
    fs::write(&old, "").unwrap();
    fs::write(&young, "").unwrap();
    tags.iter().chain(&bodies).chain([&old]).for_each(|path| age(path, day * 91));
    let touch = |name: &str| {
        lab.workspace.write("app.yaml", &pod("app", &format!("example.com/{name}")));
        lab.registry.push_image_with(&format!("a/{name}"), Some("latest"), OCI_MANIFEST, name, &config("1"));
        lab.run(&[]);
    };
    touch("one");
    assert!(old.exists() && tags.iter().all(|path| path.exists()), "this was done a moment ago");
    age(&lab.cache.path("unroot/swept"), day * 2);
    touch("two");
    assert!(!old.exists() && young.exists());
    assert!(tags.iter().all(|path| !path.exists()) && bodies.iter().all(|path| path.exists()));
}

#[test]
fn no_login_is_kept() {
    let Some(registry) = Registry::with_login() else { return };
    registry.push_image_with("a/tool", Some("1"), OCI_MANIFEST, "x", &config("3000"));
    let workspace = Workspace::with(&[("tool.yaml", &pod("tool", &format!("{}/a/tool:1", registry.address)))]);
    workspace.write("unroot.toml", &format!("[registry.\"{}\"]\nplain_http = true\n", registry.address));
    let (user, password) = LOGIN;
    let login = format!(r#"{{"auths":{{"{}":{{"username":"{user}","password":"{password}"}}}}}}"#, registry.address);
    workspace.write("no-such-home/.docker/config.json", &login);
    let cache = Workspace::new();
    let ended = unroot_with_cache(cache.root(), workspace.root(), &["--lock", "--write"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    let entries = cache.entries();
    assert!(entries.len() > 5, "{entries:?}");
    let files = entries.iter().map(|entry| cache.path(entry)).filter(|path| path.is_file());
    for path in files.chain([workspace.path("unroot.lock"), workspace.path("tool.yaml")]) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(password) && !text.contains("bGFiOnMzY3JldC13b3Jk"), "{}: {text}", path.display());
    }
}

#[test]
fn several_runs_share_it() {
    let Some(lab) = Lab::new() else { return };
    let expected = unroot_with_cache(Workspace::new().root(), lab.workspace.root(), &[] as &[&str]);
    for _ in 0..3 {
        fs::remove_dir_all(lab.cache.path("unroot")).ok();
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..6).map(|_| scope.spawn(|| lab.run(&[]))).collect();
            runs.into_iter().for_each(|run| assert_eq!(run.join().unwrap(), expected));
        });
        assert_eq!(lab.requests(&[]), (0, 0));
        let left = lab.cache.entries().into_iter().find(|entry| entry.contains(".unroot-"));
        assert_eq!(left, None);
    }
}

#[test]
fn refusals_are_not_kept() {
    let server = Server::start(|request, _| match request.target.as_str() {
        "/v2/" => Response::new(200, &[], "{}"),
        _ => Response::new(404, &[], ""),
    });
    let workspace = Workspace::with(&[("tool.yaml", &pod("tool", &format!("{}/tool:1", server.address)))]);
    workspace.write("unroot.toml", &format!("[registry.\"{}\"]\nplain_http = true\n", server.address));
    let cache = Workspace::new();
    let ask = || {
        let before = server.requests().len();
        let ended = unroot_with_cache(cache.root(), workspace.root(), &["--lock"]);
        assert_eq!(ended.code, 2, "{}", ended.stdout);
        assert!(!ended.stdout.contains("[[image]]"), "{}", ended.stdout);
        server.requests().len() - before
    };
    assert!(ask() > 0 && ask() > 0);
    assert_eq!(cache.entries(), [] as [&str; 0]);
}
