//! The program as a person or a gate meets it: modes, exit codes, and one clear line for whatever is wrong.
#![allow(clippy::unwrap_used, reason = "here a failed step should end the test")]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};
use support::program::{Ended, unroot};
use support::snapshots::{Snapshot, assert_snapshot};
use support::workspace::Workspace;
use unroot::transforms::ALL;

const DOCKERFILE: &str = "FROM node:22-alpine\nWORKDIR /app\nCOPY . .\nCMD [\"node\", \"server.js\"]\n";

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: app\nspec:\n  containers:\n  - name: app\n    image: app:v1\n";

const SERVER: &str = "require(\"http\").createServer().listen(3000);\n";

/// One application in need of everything, one that nothing is known about.
fn application() -> Workspace {
    Workspace::with(&[
        ("app/Dockerfile", DOCKERFILE),
        ("app/server.js", SERVER),
        ("k8s/app.yaml", POD),
        ("k8s/other.yaml", &POD.replace("app", "other").replace("other:v1", "registry.example/other:v1")),
    ])
}

#[test]
fn the_default_shows_and_writes_nothing() {
    let workspace = application();
    let before = state(workspace.root());
    let ended = unroot(workspace.root(), &["--offline"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    for part in [
        "--- a/app/Dockerfile\n+++ b/app/Dockerfile\n",
        "\n+USER 1000:0\n",
        "--- a/k8s/app.yaml\n+++ b/k8s/app.yaml\n",
        "\n+      runAsUser: 1000\n",
        "to fix   switch-user: ",
        "\n2 files would change; --write changes them\n",
    ] {
        assert!(ended.stdout.contains(part), "no {part:?} in:\n{}", ended.stdout);
    }
    assert!(!ended.stdout.contains("right    "), "what is right is for --verbose:\n{}", ended.stdout);
    assert_eq!(state(workspace.root()), before);
    assert_eq!(unroot(workspace.root(), &["--offline"]), ended, "two runs differ");
}

#[test]
fn a_check_fails_while_there_is_something_to_change_and_never_writes() {
    let workspace = application();
    let before = state(workspace.root());
    let ended = unroot(workspace.root(), &["--check", "--offline"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (1, ""));
    assert!(ended.stdout.ends_with("\n2 files would change\n"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("--- a/"), "{}", ended.stdout);
    assert_eq!(state(workspace.root()), before);
    // What a run with the same flags would change is what counts.
    let ended = unroot(workspace.root(), &["--check", "--offline", "--only", "pin-digest"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    assert_eq!(state(workspace.root()), before);
}

#[test]
#[cfg(target_os = "linux")]
fn a_check_works_where_nothing_can_be_written() {
    let workspace = application();
    let before = state(workspace.root());
    // A read-only mount in a namespace of its own: even root meets it.
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && cd \"$1\" && ! touch x && exec \"$2\" --check --offline";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(workspace.root())
        .arg(env!("CARGO_BIN_EXE_unroot"))
        .env("LC_ALL", "C")
        .env("XDG_CACHE_HOME", "/nonexistent")
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if stderr.contains("unshare:") || stderr.contains("mount:") {
        println!("not run: no mount namespace here ({})", stderr.trim());
        assert!(std::env::var_os("CI").is_none(), "{stderr}");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    assert!(stderr.contains("Read-only file system"), "the mount is not read-only: {stderr}");
    assert!(stdout.ends_with("\n2 files would change\n"), "{stdout}");
    assert_eq!(state(workspace.root()), before);
}

#[test]
fn after_writing_a_check_passes() {
    let workspace = application();
    let untouched = ["app/server.js", "k8s/other.yaml"].map(|path| workspace.read(path));
    let written = unroot(workspace.root(), &["--write", "--offline"]);
    assert_eq!((written.code, written.stderr.as_str()), (0, ""));
    assert!(written.stdout.ends_with("\n2 files written\n"), "{}", written.stdout);
    assert!(workspace.read("app/Dockerfile").contains("\nUSER 1000:0\n"));
    assert_eq!(["app/server.js", "k8s/other.yaml"].map(|path| workspace.read(path)), untouched);
    let after = state(workspace.root());
    let checked = unroot(workspace.root(), &["--check", "--offline"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{}", checked.stdout);
    let again = unroot(workspace.root(), &["--write", "--offline"]);
    assert!(again.code == 0 && again.stdout.ends_with("\nnothing to change\n"), "{again:?}");
    assert_eq!(state(workspace.root()), after);
}

#[test]
fn patches_applied_by_git_are_what_is_written() {
    let written = application();
    assert_eq!(unroot(written.root(), &["--write", "--offline"]).code, 0);
    let outside = Workspace::new();
    let directory = outside.path("series");
    let directory = directory.to_str().unwrap();

    let applied = application();
    let before = state(applied.root());
    let ended = unroot(applied.root(), &["--patches", directory, "--offline"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(state(applied.root()), before, "patches are written beside the tree, which stays as it is");
    let patches = outside.entries();
    assert!(patches.len() >= 4, "{patches:?}"); // the directory itself, and at least three patches
    for patch in patches.iter().filter(|name| name.ends_with(".patch")) {
        applied.git_ok(&["apply", outside.path(patch).to_str().unwrap()]);
    }
    assert_eq!(contents(applied.root()), contents(written.root()));

    let mailed = application();
    mailed.git_ok(&["init", "--quiet"]);
    mailed.git_ok(&["add", "."]);
    mailed.git_ok(&["commit", "--quiet", "-m", "before"]);
    let paths: Vec<String> = patches
        .iter()
        .filter(|name| name.ends_with(".patch"))
        .map(|name| outside.path(name).to_str().unwrap().to_owned())
        .collect();
    let mut arguments = vec!["am", "--quiet"];
    arguments.extend(paths.iter().map(String::as_str));
    mailed.git_ok(&arguments);
    let log = mailed.git_ok(&["log", "--format=%s"]);
    assert_eq!(String::from_utf8_lossy(&log.stdout).lines().count(), 1 + paths.len());
    let head = mailed.git_ok(&["show", "HEAD:k8s/app.yaml"]);
    assert_eq!(String::from_utf8_lossy(&head.stdout), written.read("k8s/app.yaml"));
}

#[test]
fn patches_name_what_a_cluster_has_to_replace() {
    let template = "spec:\n      containers:\n      - name: a\n        image: redis:7\n";
    let of = |kind: &str, name: &str| {
        format!("apiVersion: batch/v1\nkind: {kind}\nmetadata:\n  name: {name}\nspec:\n  template:\n    {template}")
    };
    let deployment = of("Deployment", "web").replace("batch/v1", "apps/v1");
    let manifest = [of("Job", "migrate"), deployment].join("---\n");
    let workspace = Workspace::with(&[("k8s.yaml", manifest.as_str())]);
    let directory = Workspace::new();
    let path = directory.root().to_str().unwrap();
    let ended = unroot(workspace.root(), &["--patches", path, "--offline", "--only", "inject-security-context"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let patch = fs::read_to_string(directory.path("0050-inject-security-context.patch")).unwrap();
    let message: String = patch.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(message.contains("delete it there first: Job/migrate. --- "), "{patch}");
}

#[test]
fn transforms_can_be_chosen() {
    let workspace = application();
    let stdout = |arguments: &[&str]| {
        let ended = unroot(workspace.root(), &[&["--offline"], arguments].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
        ended.stdout
    };
    let only = stdout(&["--only", "own-by-root-group"]);
    assert!(only.contains("\n+RUN chgrp ") && !only.contains("USER"), "{only}");
    let several = stdout(&["--only", "own-by-root-group,switch-user"]);
    assert!(several.contains("\n+RUN chgrp ") && several.contains("\n+USER "), "{several}");
    assert!(!several.contains("allowPrivilegeEscalation"), "{several}");
    let skip = stdout(&["--skip", "inject-security-context"]);
    assert!(skip.contains("\n+USER ") && !skip.contains("allowPrivilegeEscalation"), "{skip}");
    workspace.write("unroot.toml", "skip = [\"inject-security-context\"]\n");
    assert_eq!(stdout(&[]), skip, "the configuration says the same");
}

#[test]
fn the_base_of_the_final_stage_can_be_chosen() {
    let workspace = Workspace::new();
    workspace.write(
        "Dockerfile",
        "FROM golang:1.24\nWORKDIR /src\nCOPY . .\nRUN go build -o /bin/app .\nCMD [\"/bin/app\"]\n",
    );
    workspace.write("go.mod", "module example.com/app\n\ngo 1.24\n");
    workspace.write("main.go", "package main\n\nfunc main() {}\n");
    let run = |arguments: &[&str]| {
        unroot(workspace.root(), &[&["--offline", "--only", "split-build-stage"], arguments].concat()).stdout
    };
    assert!(run(&[]).contains("\n+FROM gcr.io/distroless/static-debian13:nonroot\n"));
    assert!(run(&["--final-base", "scratch"]).contains("\n+FROM scratch\n"));
    assert!(run(&["--final-base", "keep"]).contains("[final-base]"));
    workspace.write("unroot.toml", "final_base = \"keep\"\n");
    assert!(run(&[]).contains("[final-base]"));
    assert!(run(&["--final-base", "scratch"]).contains("\n+FROM scratch\n"));
}

#[test]
fn what_may_change_behaviour_waits_for_its_flag() {
    // Nothing is known about what a program in an unknown language needs.
    let workspace =
        Workspace::with(&[("Dockerfile", "FROM debian:12\nWORKDIR /app\nCOPY . .\nCMD [\"/app/serve\"]\n")]);
    let safe = unroot(workspace.root(), &["--offline", "--check"]);
    assert_eq!(safe.code, 0, "{}", safe.stdout);
    assert!(safe.stdout.contains("--unsafe"), "{}", safe.stdout);
    let risky = unroot(workspace.root(), &["--offline", "--check", "--unsafe"]);
    assert_eq!(risky.code, 1, "{}", risky.stdout);
    assert!(risky.stdout.contains("; unsafe, "), "{}", risky.stdout);
}

#[test]
fn an_unknown_transform_is_named_beside_those_that_exist() {
    let workspace = application();
    let ids: Vec<&str> = ALL.iter().map(|transform| transform.metadata().id).collect();
    let expected = &format!("error: no transform is called swich-user; there are {}\n", ids.join(", "));
    for arguments in [&["--only", "swich-user"][..], &["--skip", "pin-digest,swich-user"], &["explain", "swich-user"]] {
        let ended = unroot(workspace.root(), arguments);
        assert_eq!((ended.code, ended.stdout.as_str(), &ended.stderr), (2, "", expected), "{arguments:?}");
    }
    workspace.write("unroot.toml", "skip = [\"swich-user\"]\n");
    assert_eq!(&unroot(workspace.root(), &[]).stderr, expected);
}

#[test]
fn a_gate_that_sees_nothing_is_not_green() {
    for files in [&[][..], &[("main.go", "package main\n"), ("values.yaml", "a: b\n")]] {
        let workspace = Workspace::with(files);
        for arguments in [&["--offline"][..], &["--check", "--offline"], &["--write"]] {
            let ended = unroot(workspace.root(), arguments);
            assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{arguments:?}");
            assert!(ended.stderr.starts_with("nothing to look at: "), "{}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1);
        }
    }
}

#[test]
fn modes_exclude_each_other() {
    let workspace = application();
    let ended = unroot(workspace.root(), &["--check", "--write"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(ended.stderr.contains("cannot be used with"), "{}", ended.stderr);
}

/// Whatever stands in the way of reading: the designed code, one clear line, and the application beside it is looked at all the same.
#[test]
fn what_cannot_be_read_is_told_in_one_line() {
    let nested: String = format!("apiVersion: v1\nkind: Pod\nspec: {}{}\n", "[".repeat(300), "]".repeat(300));
    let huge = format!("apiVersion: v1\nkind: Pod\n#{}\n", "x".repeat(50 << 20));
    let bad: [(&str, &str, &[u8]); 9] = [
        ("not-utf8-dockerfile", "Dockerfile.latin1", b"FROM node:22\nLABEL by=Andr\xe9\n"),
        ("not-utf8-manifest", "latin1.yaml", b"apiVersion: v1\nkind: Pod # \xe9\n"),
        ("nested", "nested.yaml", nested.as_bytes()),
        ("huge", "huge.yaml", huge.as_bytes()),
        ("broken-yaml", "broken.yaml", b"apiVersion: v1\nkind: Pod\nspec: {containers: [\n"),
        (
            "helm-template",
            "helm.yaml",
            b"apiVersion: v1\nkind: Pod\nspec:\n  {{- if .Values.x }}\n  a: b\n  {{- end }}\n",
        ),
        ("garbage-dockerfile", "Dockerfile.garbage", b"\x7fELF\x02\x01\x01\n\x03\x00\x3e\n"),
        ("no-from", "Dockerfile.no-from", b"RUN true\n"),
        ("control-characters", "Dockerfile.control", b"FROM a\nBAD\x1b[2J x\n"),
    ];
    let mut snapshot = Snapshot::new();
    for (name, path, bytes) in bad {
        let workspace = application();
        fs::write(workspace.path(path), bytes).unwrap();
        let before = state(workspace.root());
        let beside = unroot(workspace.root(), &["--offline"]);
        assert_eq!((beside.code, beside.stderr.as_str()), (0, ""), "{name}");
        assert!(beside.stdout.contains("\n+USER 1000:0\n"), "{name}:\n{}", beside.stdout);
        assert_eq!(state(workspace.root()), before, "{name}");
        let told: Vec<&str> = beside.stdout.lines().filter(|line| line.starts_with(path)).collect();
        assert_eq!(told.len(), 1, "{name}:\n{}", beside.stdout);
        assert_harmless(&beside);

        let alone = Workspace::new();
        fs::write(alone.path(path), bytes).unwrap();
        snapshot.insert(format!("{name}.txt"), shown(&alone, &unroot(alone.root(), &["--offline"])));
    }
    assert_snapshot("errors", &snapshot);
}

#[test]
fn a_directory_named_dockerfile_is_told() {
    let workspace = application();
    fs::create_dir(workspace.path("web")).unwrap();
    fs::create_dir(workspace.path("web/Dockerfile")).unwrap();
    let ended = unroot(workspace.root(), &["--offline"]);
    assert_eq!(ended.code, 0);
    assert!(ended.stdout.contains("web/Dockerfile: not read [not-a-file] "), "{}", ended.stdout);
}

#[test]
#[cfg(unix)]
fn a_link_that_leads_out_of_the_tree_is_not_followed() {
    let outside = Workspace::with(&[("Dockerfile", DOCKERFILE), ("pods/app.yaml", POD)]);
    let workspace = Workspace::new();
    std::os::unix::fs::symlink(outside.path("Dockerfile"), workspace.path("Dockerfile")).unwrap();
    std::os::unix::fs::symlink(outside.path("pods"), workspace.path("pods")).unwrap();
    let before = state(outside.root());
    let ended = unroot(workspace.root(), &["--write", "--offline"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert_eq!(state(outside.root()), before);
}

/// With colours, because without them every escape sequence is taken out on the way and nothing would be proved.
#[test]
fn names_and_texts_cannot_command_the_terminal() {
    let name = "k8s/\u{1b}[5mred\r\u{7}.yaml";
    let pod = POD
        .replace("name: app\nspec", "name: \"\\e[5mapp\"\nspec")
        .replace("image: app:v1", "image: app:v1 # \u{1b}[5m");
    let dockerfile = DOCKERFILE.replace("COPY . .", "# \u{1b}[5mcareful\u{202e}\nCOPY . .");
    let workspace = Workspace::with(&[("app/Dockerfile", &dockerfile), (name, &pod), ("app/server.js", SERVER)]);
    let colours = ["--offline", "--color", "always"];
    let run = |directory: &Path, arguments: &[&str]| {
        let ended = unroot(directory, &[&colours[..], arguments].concat());
        assert_commands_no_terminal(&ended);
        ended
    };
    for arguments in [&["--verbose"][..], &["--check"], &["--only", "\u{1b}[5mx"], &["no\u{1b}[5m-such-path"]] {
        run(workspace.root(), arguments);
    }
    let ended = run(workspace.root(), &[]);
    assert!(ended.stdout.contains("\\u{1b}[5mred"), "{}", ended.stdout);

    workspace.write("unroot.toml", "\"\u{1b}[5m\" = 1 # \u{1b}[5m\n");
    assert_eq!(run(workspace.root(), &[]).code, 2);

    let nothing = Workspace::with(&[("\u{1b}[5mempty/x.md", "")]);
    assert_eq!(run(&nothing.path("\u{1b}[5mempty"), &[]).code, 3);

    let broken = Workspace::with(&[("a.yaml", "apiVersion: v1\nkind: \u{1b}[5m\n")]);
    run(broken.root(), &["--verbose"]);
    let patched = application();
    let directory = patched.path("\u{1b}[5m");
    let ended = run(patched.root(), &["--patches", directory.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    fs::write(directory.join("0030-switch-user.patch"), "another text").unwrap();
    let ended = run(patched.root(), &["--patches", directory.to_str().unwrap()]);
    assert_eq!(ended.code, 2, "{ended:?}");
}

#[test]
fn a_path_that_does_not_exist_is_an_error() {
    let workspace = application();
    let ended = unroot(workspace.root(), &["k8s", "missing/here"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert_eq!(ended.stderr, "error: cannot read missing/here: No such file or directory (os error 2)\n");
}

#[test]
fn a_configuration_that_cannot_be_used_is_an_error() {
    let mut snapshot = Snapshot::new();
    for (name, bytes) in [
        ("configuration-misspelt.txt", &b"udi = 5\n"[..]),
        ("configuration-not-toml.txt", b"uid: 5\n"),
        ("configuration-not-utf8.txt", b"# \xe9\n"),
        ("configuration-root.txt", b"uid = 0\n"),
        ("configuration-image.txt", b"[[image]]\nname = \"shop/base\"\nfamily = \"debian\"\nversions = \"3\"\n"),
        (
            "configuration-image-root.txt",
            b"[[image]]\nname = \"shop/base\"\nfamily = \"debian\"\nuser = { uid = 0, gid = 0 }\n",
        ),
    ] {
        let workspace = application();
        let before = contents(workspace.root());
        fs::write(workspace.path("unroot.toml"), bytes).unwrap();
        let ended = unroot(workspace.root(), &["--write", "--offline"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{name}");
        assert!(ended.stderr.contains("unroot.toml"), "{}", ended.stderr);
        fs::remove_file(workspace.path("unroot.toml")).unwrap();
        assert_eq!(contents(workspace.root()), before);
        snapshot.insert(name.to_owned(), shown(&workspace, &ended));
    }
    let workspace = application();
    fs::create_dir(workspace.path("unroot.toml")).unwrap();
    snapshot
        .insert("configuration-directory.txt".to_owned(), shown(&workspace, &unroot(workspace.root(), &["--offline"])));
    assert_snapshot("configuration", &snapshot);
}

#[test]
fn an_unreachable_registry_stops_pinning_and_nothing_else() {
    // A port that was free a moment ago: connecting is refused at once.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let workspace = application();
    workspace.write("unroot.toml", &mirror(&["docker.io", "registry.example"], &address.to_string()));
    let ended = unroot(workspace.root(), &["--write"]);
    assert_eq!(ended.code, 2, "{}", ended.stdout);
    assert!(workspace.read("app/Dockerfile").contains("\nUSER 1000:0\n"), "everything else proceeds");
    assert!(workspace.read("k8s/app.yaml").contains("allowPrivilegeEscalation: false"));
    assert!(ended.stdout.contains("[registry-unreachable]"), "{}", ended.stdout);
    let named =
        ended.stdout.lines().filter(|line| line.starts_with("not looked up: ") && line.contains(&address.to_string()));
    assert!(named.count() >= 1, "{}", ended.stdout);
    let offline = unroot(workspace.root(), &["--write", "--offline"]);
    assert_eq!(offline.code, 0, "{}", offline.stdout);
    assert!(offline.stdout.ends_with("\nnothing to change\n"), "{}", offline.stdout);
}

#[test]
fn an_unreachable_registry_matters_to_pins_with_update_alone() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let workspace = Workspace::new();
    let pinned = |digit: &str| format!("FROM node:22@sha256:{}\nUSER 1000:0\n", digit.repeat(64));
    workspace.write("Dockerfile", &pinned("1"));
    workspace.write("unroot.toml", &mirror(&["docker.io"], &address.to_string()));
    let ended = unroot(workspace.root(), &["--check", "--only", "pin-digest", "--verbose"]);
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    assert!(ended.stdout.contains("pinned to sha256:111"), "{}", ended.stdout);
    let ended = unroot(workspace.root(), &["--write", "--only", "pin-digest", "--update"]);
    assert_eq!(ended.code, 2, "{}", ended.stdout);
    assert!(ended.stdout.contains("\nnot looked up: "), "{}", ended.stdout);
    // What an unpinned place needs is a failure, though a pin asked for it first.
    workspace.write("Dockerfile", &format!("{}FROM node:22\n", pinned("1")));
    let ended = unroot(workspace.root(), &["--check", "--only", "pin-digest"]);
    assert_eq!(ended.code, 2, "{}", ended.stdout);
}

#[test]
fn a_name_that_waits_for_a_build_fails_no_run() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let entry = |name: &str| format!("images:\n- name: controller\n  newName: {name}\n  newTag: latest\n");
    let workspace = Workspace::with(&[("config/kustomization.yaml", &entry("controller"))]);
    workspace.write("unroot.toml", &mirror(&["docker.io"], &address.to_string()));
    let ended = unroot(workspace.root(), &["--check"]);
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    assert!(ended.stdout.contains("[registry-unreachable]"), "{}", ended.stdout);
    workspace.write("config/kustomization.yaml", &entry("team/controller"));
    assert_eq!(unroot(workspace.root(), &["--check"]).code, 2);
}

#[test]
fn a_registry_that_never_answers_costs_one_timeout() {
    // Connections are queued by the system and never accepted.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let workspace = application();
    for (index, image) in ["redis:7", "postgres:16", "nginx:1", "node:20", "python:3.13"].iter().enumerate() {
        workspace.write(&format!("k8s/{index}.yaml"), &POD.replace("app:v1", image));
    }
    workspace.write("unroot.toml", &mirror(&["docker.io", "registry.example"], &address.to_string()));
    let start = Instant::now();
    let ended = unroot(workspace.root(), &["--check", "--timeout", "2"]);
    let took = start.elapsed();
    assert_eq!(ended.code, 2, "{}", ended.stdout);
    assert!(
        took >= Duration::from_millis(1900) && took < Duration::from_secs(4),
        "two would take four seconds: {took:?}"
    );
}

#[test]
fn the_totals_are_those_of_the_printed_findings() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut folders: Vec<_> = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    let workspace = application();
    folders.push(workspace.root().to_path_buf());
    for folder in folders {
        for arguments in
            [&["--offline", "--verbose", "--check"][..], &["--offline", "--verbose", "--check", "--unsafe"]]
        {
            let ended = unroot(&folder, arguments);
            let printed = |word: &str| {
                let is_finding = |line: &&str| line.starts_with("  ") && line.split_whitespace().nth(1) == Some(word);
                ended.stdout.lines().filter(is_finding).count()
            };
            let [fixed, right, skipped, person] = ["to", "right", "skipped", "person"].map(printed);
            let all = fixed + right + skipped + person;
            let totals = format!(": {fixed} to fix, {right} already right, {skipped} skipped, {person} for a person");
            let closing = ended.stdout.lines().find(|line| line.contains(" already right, ")).unwrap();
            assert!(closing.ends_with(&totals) && all > 0, "{closing}\n{totals}");
            let noun = if all == 1 { "finding" } else { "findings" };
            assert!(closing.starts_with(&format!("{all} {noun} in ")), "{closing}");
        }
    }
}

/// The example in the README: what is said to come out of its files does.
#[test]
fn the_example_of_the_readme_is_what_happens() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let workspace = Workspace::new();
    let mut expected = None;
    let mut blocks = readme.split("\n```").skip(1).step_by(2);
    for block in &mut blocks {
        let (info, body) = block.split_once('\n').unwrap();
        if let Some(path) = info.split_once("before=").map(|(_, path)| path) {
            workspace.write(path, &format!("{body}\n"));
        } else if info == "diff" {
            expected = Some(body.to_owned());
        }
    }
    let ended = unroot(workspace.root(), &["--offline"]);
    let expected = expected.unwrap();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.starts_with(&format!("{expected}\n\n")), "expected:\n{expected}\n\nactual:\n{}", ended.stdout);
}

fn mirror(registries: &[&str], address: &str) -> String {
    let table = |registry: &&str| format!("[registry.\"{registry}\"]\nmirror = \"{address}\"\nplain_http = true\n");
    registries.iter().map(table).collect()
}

/// What a person sees, without the name of the temporary directory.
fn shown(workspace: &Workspace, ended: &Ended) -> String {
    let root = workspace.root().canonicalize().unwrap();
    let text =
        format!("exit code {}\n--- standard output\n{}--- standard error\n{}", ended.code, ended.stdout, ended.stderr);
    text.replace(root.to_str().unwrap(), "ROOT")
}

/// No control character but the line end, and none that reorders text.
#[track_caller]
fn assert_harmless(ended: &Ended) {
    for text in [&ended.stdout, &ended.stderr] {
        let harmful = text.chars().find(|&character| {
            character != '\n' && (character.is_control() || ('\u{202a}'..='\u{202e}').contains(&character))
        });
        assert_eq!(harmful, None, "{text:?}");
    }
}

/// Sequences of the program's own colours are fine; those of its input are not.
#[track_caller]
fn assert_commands_no_terminal(ended: &Ended) {
    for text in [&ended.stdout, &ended.stderr] {
        for sequence in ["\u{1b}[5m", "\r", "\u{7}", "\u{202e}"] {
            assert!(!text.contains(sequence), "{sequence:?} in {text:?}");
        }
    }
}

/// Everything below a directory: time of the last change, and bytes of files.
fn state(root: &Path) -> BTreeMap<String, (SystemTime, Option<Vec<u8>>)> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let bytes = metadata.is_file().then(|| fs::read(&path).unwrap());
        if metadata.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        found.insert(name, (metadata.modified().unwrap(), bytes));
    }
    found
}

fn contents(root: &Path) -> BTreeMap<String, Vec<u8>> {
    state(root).into_iter().filter_map(|(name, (_, bytes))| Some((name, bytes?))).collect()
}

#[test]
fn the_level_of_every_workload_is_told_before_and_after() {
    let workspace = Workspace::new();
    let pod = |name: &str, spec: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n{spec}  containers:\n  - name: a\n    image: redis:7\n"
        )
    };
    workspace.write("pods.yaml", &format!("{}---\n{}", pod("cache", ""), pod("agent", "  hostPID: true\n")));
    let ended = unroot(workspace.root(), &["--offline", "--level", "--check"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    for line in [
        "Pod Security levels, and what is missing for restricted@1.37",
        "      1:1  Pod/cache: baseline -> restricted",
        "     10:1  Pod/agent: privileged",
        "           hostNamespaces: host namespaces (hostPID=true)",
        "workloads     before   after",
        "privileged         1       1",
        "baseline           1       0",
        "restricted         0       1",
        "all                2       2",
    ] {
        assert!(ended.stdout.lines().any(|printed| printed == line), "{line:?} is not in\n{}", ended.stdout);
    }
    let baseline = unroot(workspace.root(), &["--offline", "--level", "--target", "baseline@1.20", "--check"]);
    assert!(!baseline.stdout.contains("runAsNonRoot: "), "{}", baseline.stdout);
    let wrong = unroot(workspace.root(), &["--level", "--target", "strict"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("\"strict\" is no level of the Pod Security Standards"), "{}", wrong.stderr);
    assert_eq!(unroot(workspace.root(), &["--target", "baseline"]).code, 2, "--target alone has no use");
}
