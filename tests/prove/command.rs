//! `unroot prove` as a user meets it: small repositories, real engines, and what is printed and left.
//!
//! The base image bears the name of one that `unroot` knows. Its `node` runs the script `start.sh` of the application, whatever it is told to run.

use crate::support::engine::{ENGINES, PrivateEngine, write_program};
use crate::support::program::Ended;
use crate::support::workspace::Workspace;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use unroot::prove::engine::Kind;

const BASE: &str = "docker.io/library/node:22-alpine";

const DOCKERFILE: &str =
    "FROM docker.io/library/node:22-alpine\nWORKDIR /app\nCOPY . .\nEXPOSE 8080\nCMD [\"node\", \"server.js\"]\n";

const SERVER: &str = "const http = require(\"http\");\nhttp.createServer((request, response) => response.end(\"hello\\n\")).listen(8080);\n";

const SERVE: &str = "exec httpd -f -p 8080 -h /app\n";

/// What it prints and writes beside serving.
const WRITES: &str =
    "seq 100\nmkdir -p /var/cache/web && echo $$ > /var/cache/web/pid || exit 1\nexec httpd -f -p 8080 -h /app\n";

/// An engine, and what is kept between runs.
struct Bench {
    engine: PrivateEngine,
    cache: TempDir,
}

impl Bench {
    fn start(kind: Kind) -> Option<Self> {
        let engine = PrivateEngine::start(kind)?;
        let more = "RUN mkdir -m 1777 /tmp && mkdir -p -m 777 /var/cache && \
                    printf '#!/bin/sh\\nexec sh ./start.sh\\n' > /bin/node && chmod +x /bin/node";
        engine.busybox(BASE, more);
        // The other builder is looked at beside.
        if kind == Kind::Docker {
            engine.use_buildkit();
        }
        Some(Self { engine, cache: tempfile::tempdir().unwrap() })
    }

    fn command(&self, directory: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unroot"));
        command
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.engine.path_entry().display()))
            .env("HOME", "/no-such-home")
            .env("XDG_CACHE_HOME", self.cache.path())
            .env("TMPDIR", self.engine.scratch())
            .stdin(Stdio::null());
        command
    }

    /// Any run of the program.
    #[track_caller]
    fn run(&self, tree: &Workspace, arguments: &[&str]) -> Ended {
        ended(self.command(tree.root(), arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// A proof, after which the engine, the temporary directory and the tree are as they were.
    #[track_caller]
    fn prove(&self, tree: &Workspace, arguments: &[&str]) -> Ended {
        let before = self.state();
        let files = tree.entries();
        let ended = self.run(tree, &self.arguments(arguments));
        assert_eq!(self.state(), before, "{ended:?}");
        let made: Vec<String> = tree.entries().into_iter().filter(|entry| !files.contains(entry)).collect();
        assert!(made.iter().all(|entry| entry == "unroot.toml" || entry.starts_with("logs")), "{made:?}");
        ended
    }

    fn arguments<'a>(&self, further: &[&'a str]) -> Vec<&'a str> {
        let engine = if self.engine.kind == Kind::Docker { "docker" } else { "podman" };
        [&["prove", "--offline", "--engine", engine], further].concat()
    }

    /// What the engine holds, and what lies in the directory for temporary files.
    fn state(&self) -> (Vec<String>, BTreeSet<PathBuf>) {
        let files = fs::read_dir(self.engine.scratch()).unwrap().map(|entry| entry.unwrap().path());
        (self.engine.inventory(), files.collect())
    }
}

#[track_caller]
fn ended(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}"));
    Ended { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn in_each(look: impl Fn(&Bench) + Sync) {
    thread::scope(|scope| {
        for kind in ENGINES {
            let look = &look;
            scope.spawn(move || {
                if let Some(bench) = Bench::start(kind) {
                    look(&bench);
                }
            });
        }
    });
}

/// An application in a folder of its name, and its Deployment and Service.
fn application(tree: &Workspace, name: &str, start: &str) {
    tree.write(&format!("{name}/Dockerfile"), DOCKERFILE);
    tree.write(&format!("{name}/server.js"), SERVER);
    tree.write(&format!("{name}/package.json"), "{\"dependencies\": {\"express\": \"4\"}}\n");
    tree.write(&format!("{name}/index.html"), "hello\n");
    tree.write(&format!("{name}/start.sh"), start);
    tree.write(&format!("{name}.yaml"), &manifest(name, ""));
}

/// A Deployment and its Service. `more` are further lines of the container.
fn manifest(name: &str, more: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  selector:\n    matchLabels: {{app: {name}}}\n  template:\n    metadata:\n      labels: {{app: {name}}}\n    spec:\n      containers:\n      - name: app\n        image: example.com/{name}:1\n        ports:\n        - containerPort: 8080\n{more}---\napiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  selector: {{app: {name}}}\n  ports:\n  - port: 80\n    targetPort: 8080\n"
    )
}

fn web(start: &str) -> Workspace {
    let tree = Workspace::new();
    application(&tree, "web", start);
    tree
}

#[track_caller]
fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// Command lines of everything that runs.
fn command_lines() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let line = |path: PathBuf| fs::read(path.join("cmdline")).ok();
    entries
        .filter_map(|entry| line(entry.path()))
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

#[test]
fn what_holds_is_told_and_leaves_a_line_in_the_patches() {
    in_each(|bench| {
        let tree = web(SERVE);
        let ended = bench.prove(&tree, &[]);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
        assert!(ended.stdout.contains("answers   Deployment/web: 0:0 -> 1000:0; 14 capabilities -> none"), "{ended:?}");
        assert!(ended.stdout.contains("\n1 image: 1 builds\n1 workload: 1 answers\n"), "{ended:?}");

        let patches = tempfile::tempdir().unwrap();
        let at = |name: &str| patches.path().join(name).display().to_string();
        let series = |name: &str| {
            let ended = bench.run(&tree, &["--offline", "--patches", &at(name)]);
            assert_eq!(ended.code, 0, "{ended:?}");
            let mut files: Vec<_> = fs::read_dir(at(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.sort();
            files.iter().map(|file| fs::read_to_string(file).unwrap().contains("Proved-by: ")).collect::<Vec<_>>()
        };
        let first = series("first");
        assert!(
            first.len() > 1 && first.iter().filter(|has| **has).count() == 1 && first[first.len() - 1],
            "{first:?}"
        );
        tree.write("web/start.sh", &format!("# a word\n{SERVE}"));
        assert!(!series("second").contains(&true));

        let ended = bench.prove(&tree, &["--json"]);
        let proof = json(&ended);
        assert_eq!((ended.code, &proof["version"], &proof["conclusion"]), (0, &1.into(), &"holds".into()), "{proof:#}");
        let workload = &proof["workloads"][0];
        assert_eq!(workload["outcome"], "answers", "{proof:#}");
        let (before, after) = (&workload["before"][0], &workload["after"][0]);
        assert_eq!((&before["uid"], &after["uid"], &after["gid"]), (&0.into(), &1000.into(), &0.into()), "{proof:#}");
        assert_eq!(after["capabilities"], Value::Array(Vec::new()), "{proof:#}");
        assert_eq!(
            proof["images"][0]["after"],
            serde_json::json!({"builds": true, "error": null, "place": null}),
            "{proof:#}"
        );
    });
}

#[test]
fn what_breaks_comes_with_the_file_to_change() {
    in_each(|bench| {
        let (tree, before) = (web(WRITES), web(WRITES));
        let mounts = "        volumeMounts:\n        - {name: other, mountPath: /other}\n      volumes:\n      - {name: other, emptyDir: {}}\n";
        let settings = format!("        securityContext:\n          readOnlyRootFilesystem: true\n{mounts}");
        tree.write("web.yaml", &manifest("web", &settings));
        before.write("web.yaml", &manifest("web", mounts));
        let at = before.root().display().to_string();
        let logs = bench.cache.path().join("logs").display().to_string();
        let ended = bench.prove(&tree, &["--before", &at, "--logs", &logs]);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stdout.contains("breaks    Deployment/web/app: [read-only-root]"), "{ended:?}");
        assert!(ended.stdout.contains("to change: web.yaml:19:9: mount an emptyDir at "), "{ended:?}");
        assert!(ended.stdout.contains("what works as found breaks with "), "{ended:?}");
        let log = fs::read_to_string(Path::new(&logs).join("web.yaml-Deployment-web-after.log")).unwrap();
        assert!(log.to_lowercase().contains("read-only file system") && log.contains("\n1\n2\n3\n"), "{log}");

        // Another user, whose folders the Dockerfile has to give.
        tree.write("web.yaml", &manifest("web", "        securityContext:\n          runAsUser: 1000\n"));
        for tree in [&tree, &before] {
            tree.write("web/start.sh", "echo x > /app/file || exit 1\nexec httpd -f -p 8080 -h /app\n");
        }
        let ended = bench.prove(&tree, &["--before", &at, "--json"]);
        let diagnosis = &json(&ended)["workloads"][0]["diagnosis"];
        assert_eq!((ended.code, &diagnosis["cause"]), (1, &"ownership".into()), "{diagnosis:#}");
        let place = serde_json::json!({"path": "web/Dockerfile", "line": 1, "column": 1});
        assert_eq!(diagnosis["place"], place, "{diagnosis:#}");
    });
}

#[test]
fn what_stops_a_proof_is_one_line() {
    let Some(bench) = Bench::start(Kind::Podman) else { return };
    let bench = &bench;
    let line = |tree: &Workspace, code: i32, words: &[&str]| {
        let ended = bench.prove(tree, &[]);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(words.iter().all(|word| said.contains(word)), "{ended:?}");
        ended
    };
    let tree = web(SERVE);
    tree.write("web.yaml", &manifest("web", "").replace("example.com/web", "example.com/other"));
    let ended = line(&tree, 3, &["no Dockerfile is known to build what the containers run (example.com/other:1)"]);
    assert_eq!((ended.stdout.as_str(), ended.stderr.lines().count()), ("", 1), "{ended:?}");

    let tree = Workspace::with(&[("Dockerfile", DOCKERFILE)]);
    let ended = line(&tree, 3, &["nothing to prove: no workload below "]);
    assert_eq!((ended.stdout.as_str(), ended.stderr.lines().count()), ("", 1), "{ended:?}");

    let tree = web("echo broken; exit 3\n");
    let ended = line(&tree, 3, &["fails     Deployment/web: as found already: web/app: CrashLoopBackOff, exit 3"]);
    assert!(ended.stdout.contains("1 workload: 1 fails as found\nnothing was proved with "), "{ended:?}");
}

#[test]
fn a_build_that_fails_as_found_is_one_line() {
    in_each(|bench| {
        let tree = web(SERVE);
        let fails = DOCKERFILE.replace("EXPOSE 8080", "RUN echo the library \\\n  is missing; exit 7");
        tree.write("web/Dockerfile", &format!("ARG BUILT\n{fails}"));
        let ended = bench.prove(&tree, &[]);
        let line =
            "web/Dockerfile:5:1: does not build as found: RUN echo the library ...: exit 7: the library is missing";
        let lines: Vec<&str> = ended.stdout.lines().collect();
        let workload = "      1:1  fails     Deployment/web: as found already: web/Dockerfile does not build";
        assert_eq!(lines[..3], [&format!("{line} (full log: --logs DIR)"), "web.yaml", workload], "{ended:?}");
        assert_eq!((ended.code, ended.stderr.as_str()), (2, ""), "{ended:?}");

        let logs = bench.cache.path().join("logs").display().to_string();
        let ended = bench.prove(&tree, &["--logs", &logs]);
        let log = format!("{logs}/build-web-Dockerfile-before.log");
        assert_eq!(ended.stdout.lines().next(), Some(format!("{line} (full log: {log})").as_str()), "{ended:?}");
        assert!(fs::read_to_string(log).unwrap().contains("the library is missing"));

        // As found lies elsewhere, and one can open it there.
        let before = tempfile::tempdir().unwrap();
        crate::support::trees::copy_tree(tree.root(), before.path());
        let at = before.path().display().to_string();
        let ended = bench.prove(&tree, &["--before", &at, "--json"]);
        let build = &json(&ended)["images"][0]["before"];
        let place = serde_json::json!({"path": format!("{at}/web/Dockerfile"), "line": 5, "column": 1});
        assert_eq!((ended.code, &build["place"]), (2, &place), "{build:#}");
        assert!(
            build["error"].as_str().is_some_and(|words| words.starts_with("the library is missing; ")),
            "{build:#}"
        );
    });
}

#[test]
fn without_an_engine_one_line_says_so() {
    let programs = tempfile::tempdir().unwrap();
    let tree = web(SERVE);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unroot"));
        command.args(["prove", "--offline", "--no-cache"]).args(arguments).current_dir(tree.root());
        command.env_clear().env("PATH", programs.path()).stdin(Stdio::null());
        ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    };
    let none = run(&[]);
    assert_eq!((none.code, none.stdout.as_str(), none.stderr.lines().count()), (2, "", 1), "{none:?}");
    assert!(none.stderr.starts_with("error: no container engine answers (docker is not installed; "), "{none:?}");
    let lines = "case $1 in --version) echo Docker version 28.2.2, build 1;; *) echo Cannot connect to the Docker daemon >&2; exit 1;; esac";
    write_program(&programs.path().join("docker"), lines);
    let silent = run(&["--engine", "docker"]);
    let said = "error: docker does not answer: Cannot connect to the Docker daemon\n";
    assert_eq!((silent.code, silent.stdout.as_str(), silent.stderr.as_str()), (2, "", said));
}

#[test]
fn values_are_seen_by_nobody() {
    in_each(|bench| {
        // It shows all that it has, fails without the Secret, and hardened for want of a folder.
        let start = "env; cat /run/keys/key; test -n \"$TOKEN\" || exit 1\n";
        let tree = web(&format!("{start}{WRITES}"));
        let more = "        env:\n        - name: WORD\n          value: hush4711-word\n        - name: TOKEN\n          valueFrom:\n            secretKeyRef: {name: keys, key: token}\n        volumeMounts:\n        - {name: keys, mountPath: /run/keys}\n      volumes:\n      - name: keys\n        secret: {secretName: keys}\n";
        tree.write("web.yaml", &manifest("web", more));
        tree.write("web/Dockerfile", &format!("ARG BUILT\n{DOCKERFILE}ARG BUILT\nRUN echo it is $BUILT; sleep 1\n"));
        tree.write("build.sh", "docker build --build-arg BUILT=hush4711-built -t example.com/web:1 web\n");
        let secret = tempfile::tempdir().unwrap();
        let file = secret.path().join("secret.yaml");
        fs::write(&file, "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {token: hush4711-token, key: hush4711-key}\n").unwrap();
        let with = file.display().to_string();

        // What is not there is not asked for, and as found it does not start without.
        let alone = bench.prove(&tree, &[]);
        assert!(alone.stdout.contains("not in the tree: Secret keys"), "{alone:?}");
        assert_eq!(alone.code, 3, "{alone:?}");

        let logs = bench.cache.path().join("logs");
        let before = tempfile::tempdir().unwrap();
        crate::support::trees::copy_tree(tree.root(), before.path());
        tree.write(
            "web.yaml",
            &manifest("web", more)
                .replace("        env:", "        securityContext: {readOnlyRootFilesystem: true}\n        env:"),
        );
        let at = before.path().display().to_string();
        let run =
            ["--with", &with, "--before", &at, "--verbose", "--logs", &logs.display().to_string()].map(str::to_owned);
        let run: Vec<&str> = run.iter().map(String::as_str).collect();
        let (ended, seen) = thread::scope(|scope| {
            let run = scope.spawn(|| bench.prove(&tree, &run));
            let mut seen = Vec::new();
            while !run.is_finished() {
                seen.extend(command_lines().into_iter().filter(|line| line.contains("hush4711")));
                sleep(Duration::from_millis(20));
            }
            (run.join().unwrap(), seen)
        });
        // The step itself has the value in its line, as the builder expands it.
        let seen: Vec<&String> = seen.iter().filter(|line| !line.contains("echo it is")).collect();
        assert_eq!(seen, Vec::<&String>::new());
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(!format!("{ended:?}").contains("hush4711"), "{ended:?}");
        let mut logged = String::new();
        for entry in fs::read_dir(&logs).unwrap() {
            logged.push_str(&fs::read_to_string(entry.unwrap().path()).unwrap());
        }
        assert!(logged.contains("TOKEN=${keys.token}") && logged.contains("it is ${BUILT}"), "{logged}");
        assert!(!logged.contains("hush4711"), "{logged}");
    });
}

/// Only who made the file can read it, and a volume whose top is as it must be is not looked through.
const KEEPS: &str = "[ -e /data/state ] || (umask 077; echo state > /data/state)\ncat /data/state || exit 1\nexec httpd -f -p 8080 -h /app\n";

#[test]
fn what_an_application_kept_is_there_hardened() {
    in_each(|bench| {
        let (tree, before) = (web(KEEPS), web(KEEPS));
        let mount = "        volumeMounts: [{name: data, mountPath: /data}]\n";
        let pod = "      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]\n      securityContext: {fsGroup: 2000, fsGroupChangePolicy: POLICY}\n";
        let user = "        securityContext: {runAsUser: 1000}\n";
        let at = before.root().display().to_string();
        let mut ended = Vec::new();
        for policy in ["OnRootMismatch", "Always"] {
            let pod = pod.replace("POLICY", policy);
            before.write("web.yaml", &manifest("web", &format!("{mount}{pod}")));
            tree.write("web.yaml", &manifest("web", &format!("{mount}{user}{pod}")));
            ended.push(bench.prove(&tree, &["--before", &at]));
        }
        assert_eq!(ended[0].code, 1, "{ended:?}");
        assert!(ended[0].stdout.contains("on the disks that it wrote as found: "), "{ended:?}");
        assert!(ended[0].stdout.contains("[volume-ownership]"), "{ended:?}");
        assert!(ended[0].stdout.contains("fsGroupChangePolicy"), "{ended:?}");
        assert_eq!(ended[1].code, 0, "{ended:?}");
        assert!(ended[1].stdout.contains("; on its old disks too\n"), "{ended:?}");
    });
}

#[test]
fn what_is_not_in_the_tree_can_be_brought() {
    let Some(bench) = Bench::start(Kind::Podman) else { return };
    let tree = web(SERVE);
    let more = "        envFrom:\n        - secretRef: {name: keys}\n";
    tree.write("web.yaml", &manifest("web", more));
    let ended = bench.prove(&tree, &[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("stays up  Deployment/web"), "{ended:?}");
    assert!(ended.stdout.contains("not in the tree: Secret keys\n"), "{ended:?}");
    let secret = bench.cache.path().join("secret.yaml");
    fs::write(&secret, "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {token: word}\n").unwrap();
    let ended = bench.prove(&tree, &["--with", &secret.display().to_string()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("answers   Deployment/web"), "{ended:?}");
    assert!(!ended.stdout.contains("not in the tree"), "{ended:?}");
}

#[test]
fn workloads_reach_each_other_and_some_are_not_run() {
    in_each(|bench| {
        let asks = |other: &str| {
            format!(
                "(until wget -q -O /tmp/other http://{other}/index.html; do sleep 0.2; done; mv /tmp/other /tmp/there) &\n{SERVE}"
            )
        };
        let tree = Workspace::new();
        application(&tree, "front", &asks("back"));
        application(&tree, "back", &asks("front"));
        let probe = "        readinessProbe:\n          exec:\n            command: [sh, -c, \"for i in 1 2 3 4 5 6 7 8 9; do test -f /tmp/there && exit 0; sleep 1; done; exit 1\"]\n";
        for name in ["front", "back"] {
            tree.write(&format!("{name}.yaml"), &manifest(name, probe));
        }
        for (name, pod, container) in
            [("host", "hostNetwork: true, ", ""), ("all", "", ", securityContext: {privileged: true}")]
        {
            tree.write(
                &format!("{name}.yaml"),
                &format!("kind: Pod\napiVersion: v1\nmetadata: {{name: {name}}}\nspec: {{{pod}containers: [{{name: app, image: \"example.com/front:1\"{container}}}]}}\n"),
            );
        }
        let ended = bench.prove(&tree, &["--skip", "isolate-from-host,drop-privileges"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.stdout.contains("\n4 workloads: 2 answer, 2 not run\n"), "{ended:?}");
        assert!(ended.stdout.contains("not run   Pod/all: "), "{ended:?}");
        assert!(ended.stdout.contains("not run   Pod/host: "), "{ended:?}");
    });
}

#[test]
fn what_is_learnt_makes_a_root_read_only() {
    in_each(|bench| {
        let tree = web(WRITES);
        let plan = bench.run(&tree, &["--offline"]);
        assert!(!plan.stdout.contains("readOnlyRootFilesystem: true"), "{plan:?}");
        let ended = bench.prove(&tree, &["--learn"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.stdout.contains("as found it wrote to /var/cache"), "{ended:?}");
        assert!(ended.stdout.contains("+++ b/unroot.toml") && ended.stdout.contains("+[[observed]]"), "{ended:?}");
        let text = tree.read("unroot.toml");
        assert!(text.contains("example.com/web") && text.contains("/var/cache"), "{text}");
        let plan = bench.run(&tree, &["--offline"]);
        assert!(plan.stdout.contains("+          readOnlyRootFilesystem: true"), "{text}\n{plan:?}");
        let ended = bench.prove(&tree, &["--learn"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(
            ended.stdout.contains("answers   Deployment/web") && ended.stdout.contains("read-only root"),
            "{ended:?}"
        );
        assert_eq!((ended.stderr.as_str(), tree.read("unroot.toml")), ("nothing new to learn\n", text), "{ended:?}");
    });
}

#[test]
fn unsafe_changes_are_proved_when_asked_for() {
    let Some(bench) = Bench::start(Kind::Podman) else { return };
    let tree = web(SERVE);
    let ended = bench.prove(&tree, &["--unsafe", "--verbose"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("read-only root"), "{ended:?}");
}

#[test]
fn ctrl_c_ends_a_proof_and_leaves_nothing() {
    in_each(|bench| {
        // In the middle of a build, and while it waits for an answer.
        for (number, is_build) in [(1, true), (2, false)] {
            // No other process of this machine does the same.
            let sleeps = format!("sleep 1000.{}{number}{}", std::process::id(), bench.engine.kind as u8);
            let tree = web(&format!("exec {sleeps}\n"));
            if is_build {
                tree.write("web/Dockerfile", &DOCKERFILE.replace("EXPOSE 8080", &format!("RUN {sleeps}")));
            }
            let before = bench.state();
            let mut command = bench.command(tree.root(), &bench.arguments(&[]));
            let child = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let deadline = Instant::now() + Duration::from_secs(120);
            let is_there = || command_lines().iter().any(|line| line.trim_end().ends_with(&sleeps));
            while !is_there() && Instant::now() < deadline {
                sleep(Duration::from_millis(100));
            }
            sleep(Duration::from_millis(500));
            let asked = Instant::now();
            let group = format!("-{}", child.id());
            assert!(Command::new("kill").args(["-s", "INT", "--", &group]).status().unwrap().success());
            let ended = ended(child);
            assert!([2, 130].contains(&ended.code), "{ended:?}");
            assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", "error: interrupted\n"));
            assert!(asked.elapsed() < Duration::from_secs(60), "{:?}", asked.elapsed());
            assert_eq!(bench.state(), before, "{:?}", bench.engine.kind);
        }
    });
}

#[test]
fn two_proofs_at_a_time_are_two_proofs() {
    let Some(bench) = Bench::start(Kind::Podman) else { return };
    let before = bench.state();
    let trees = [web(SERVE), web(SERVE)];
    let run = |tree: &Workspace| {
        let mut command = bench.command(tree.root(), &bench.arguments(&[]));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let runs: Vec<Child> = trees.iter().map(run).collect();
    for run in runs {
        let ended = ended(run);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.stdout.contains("1 workload: 1 answers"), "{ended:?}");
    }
    assert_eq!(bench.state(), before);
}
