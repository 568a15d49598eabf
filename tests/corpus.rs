//! Whole runs over small applications of the kind found in the wild, compared with the answer an expert would give.
//!
//! What a reviewer would see (differences, ledger, patches) is in `snapshots/corpus/`; what it must amount to is asserted here, with the reason.
#![allow(clippy::unwrap_used, reason = "here a failed step should end the test")]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

mod support;

use serde_yaml::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use support::restricted::violations;
use support::snapshots::{Snapshot, assert_snapshot};
use support::workspace::Workspace;
use unroot::cli::Mode;
use unroot::config::Config;
use unroot::discover::Tree;
use unroot::image::{Digest, ImageConfig, MediaType, Reference, Resolved};
use unroot::pipeline::{self, Options, Run};
use unroot::registry::{Offline, Recorded, ResolveError, Resolver};
use unroot::report::{diff, patches, text};
use unroot::repository::Repository;

type Files = BTreeMap<String, String>;

/// An express application and its database, each started as root.
#[test]
fn node_mysql() {
    let hardened = Hardened::check("node-mysql");
    assert_eq!(hardened.changed, ["backend/Dockerfile", "k8s/backend.yaml", "k8s/mysql.yaml"]);

    // The same base twice: the packages need no compiler, and node_modules built on musl run on musl.
    let dockerfile = hardened.lines("backend/Dockerfile");
    let from: Vec<&str> = dockerfile.iter().copied().filter(|line| line.starts_with("FROM ")).collect();
    assert_eq!(from, ["FROM node:20-alpine AS build", "FROM node:20-alpine"]);
    // nodemon is a development dependency. Pruning comes last in the build stage, after everything that may want it.
    let [build, last] = hardened.stages("backend/Dockerfile");
    assert_eq!(build.last().unwrap(), "RUN npm prune --omit=dev");
    // The base brings user node, 1000. Group 0 is the group that owns what was copied in.
    let user = position(&last, "USER 1000:0");
    assert!(user < position(&last, "CMD [\"npm\", \"start\"]"), "{last:#?}");
    assert!(
        position(&last, "RUN chgrp -R 0 /opt/backend && chmod -R g=u /opt/backend") < user,
        "only root may do this"
    );

    let backend = hardened.pod("k8s/backend.yaml", "Deployment", "backend");
    let container = &backend["containers"][0];
    assert_eq!(ids(container), (Some(1000), Some(0)), "the same numbers as USER");
    // The image is built from this tree: there is nothing to pin.
    assert_eq!(container["image"], Value::from("guestbook-backend:v1"));
    assert_eq!(backend["securityContext"], Value::Null, "what holds for one container is written at that container");

    // The database steps down to 999 when it starts as root; started as 999 it needs a group that reaches into its claim. Without
    // OnRootMismatch every start would walk over the whole database.
    let mysql = hardened.pod("k8s/mysql.yaml", "Deployment", "mysql");
    assert_eq!(ids(&mysql["containers"][0]), (Some(999), Some(999)));
    assert_eq!(mysql["securityContext"]["fsGroup"], Value::from(999));
    assert_eq!(mysql["securityContext"]["fsGroupChangePolicy"], Value::from("OnRootMismatch"));
    hardened.assert_restricted(2);
}

/// A Go program whose image holds the compiler, and a redis with its data on a claim.
#[test]
fn go_redis() {
    let hardened = Hardened::check("go-redis");
    assert_eq!(hardened.changed, ["deploy/redis.yaml", "deploy/web.yaml", "web/Dockerfile"]);

    // Only the standard library, no files, no programs: a static binary needs no system at all. Without CGO_ENABLED=0 the net package
    // would link the C library that distroless static does not have.
    let [build, last] = hardened.stages("web/Dockerfile");
    assert_eq!(build[0], "FROM ubuntu:22.04 AS build");
    assert!(position(&build, "RUN CGO_ENABLED=0 go build -o /usr/local/bin/counter .") > 0);
    assert_eq!(last[0], "FROM gcr.io/distroless/static-debian13:nonroot");
    position(&last, "COPY --from=build /usr/local/bin/counter /usr/local/bin/counter");
    position(&last, "ENV PORT=8080");
    // The base says `nonroot` by number already; Kubernetes reads it in the image.
    let web = hardened.pod("deploy/web.yaml", "Deployment", "web");
    assert_eq!(ids(&web["containers"][0]), (Some(65532), Some(65532)));
    assert_eq!(web["containers"][0]["image"], Value::from("counter-web:latest"));

    let redis = hardened.pod("deploy/redis.yaml", "StatefulSet", "redis");
    assert_eq!(ids(&redis["containers"][0]), (Some(999), Some(999)));
    assert_eq!(redis["securityContext"]["fsGroup"], Value::from(999));
    assert_eq!(redis["securityContext"]["fsGroupChangePolicy"], Value::from("OnRootMismatch"));
    hardened.assert_restricted(2);
}

/// A Flask service and a nightly job from one image; its author began a securityContext and stopped.
#[test]
fn flask_api() {
    let hardened = Hardened::check("flask-api");
    assert_eq!(hardened.changed, ["Dockerfile", "k8s/api.yaml", "k8s/report.yaml"]);

    // gcc is needed to build wheels and for nothing else. A virtual environment can be copied because it stays at its path, on the same base.
    let [build, last] = hardened.stages("Dockerfile");
    assert_eq!(build[0], "FROM python:3.11-alpine AS build");
    assert!(
        build
            .iter()
            .any(|line| line.contains("python -m venv /opt/venv") || line.contains("python3 -m venv /opt/venv")),
        "{build:#?}"
    );
    assert_eq!(last[0], "FROM python:3.11-alpine");
    position(&last, "COPY --from=build /opt/venv /opt/venv");
    assert!(!last.iter().any(|line| line.contains("gcc")), "{last:#?}");
    // The base brings no account; a uid without a name breaks getpass and everything that asks for a home.
    assert!(position(&last, "RUN adduser -D -u 60096 -G root app") < position(&last, "USER 60096:0"));
    assert!(position(&last, "USER 60096:0") < position(&last, "CMD [\"python3\", \"app.py\"]"));

    // One image, two workloads: both follow, or neither would.
    for (path, kind, name) in
        [("k8s/api.yaml", "Deployment", "text-api"), ("k8s/report.yaml", "CronJob", "text-report")]
    {
        assert_eq!(ids(&hardened.pod(path, kind, name)["containers"][0]), (Some(60096), Some(0)), "{path}");
    }
    // What the author wrote stands where it stood, and is not said twice.
    let api = &hardened.after["k8s/api.yaml"];
    assert_eq!(api.matches("allowPrivilegeEscalation").count(), 1);
    assert!(api.contains("securityContext:\n                      allowPrivilegeEscalation: false\n"), "{api}");
    hardened.assert_restricted(2);
}

#[test]
fn the_judge_sees_each_kind_of_violation() {
    let good = "securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
containers: [{name: a, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]
volumes: [{name: v, emptyDir: {}}]";
    let parse = |text: &str| serde_yaml::from_str::<Value>(text).unwrap();
    assert_eq!(violations(&parse(good)), [""; 0]);
    for (from, to) in [
        ("runAsNonRoot: true", "runAsNonRoot: false"),
        ("runAsNonRoot: true", "fsGroup: 1"),
        ("runAsNonRoot: true", "runAsNonRoot: true, runAsUser: 0"),
        ("runAsNonRoot: true", "runAsNonRoot: true, sysctls: [{name: kernel.msgmax}]"),
        ("RuntimeDefault", "Unconfined"),
        ("{type: RuntimeDefault}", "{}"),
        ("allowPrivilegeEscalation: false, ", ""),
        ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"),
        ("[ALL]", "[all]"),
        ("[ALL]", "[ALL], add: [NET_RAW]"),
        ("drop: [ALL]}", "drop: [ALL]}, privileged: true"),
        ("drop: [ALL]}", "drop: [ALL]}, procMount: Unmasked"),
        ("drop: [ALL]}", "drop: [ALL]}, runAsUser: 0"),
        ("drop: [ALL]}", "drop: [ALL]}, runAsNonRoot: false"),
        ("drop: [ALL]}", "drop: [ALL]}, seLinuxOptions: {type: spc_t}"),
        ("{name: a,", "{name: a, ports: [{hostPort: 80}],"),
        ("{name: a,", "{name: a, livenessProbe: {httpGet: {host: 127.0.0.1}},"),
        ("{name: a,", "{name: b}, {name: a,"),
        ("emptyDir: {}", "hostPath: {path: /}"),
        (", emptyDir: {}", ""),
        ("containers:", "hostPID: true\ncontainers:"),
    ] {
        assert!(good.contains(from), "{from}");
        assert!(!violations(&parse(&good.replacen(from, to, 1))).is_empty(), "{from} -> {to}");
    }
}

/// Position of a line in a stage.
#[track_caller]
fn position(stage: &[String], line: &str) -> usize {
    stage.iter().position(|other| other == line).unwrap_or_else(|| panic!("no {line:?} in {stage:#?}"))
}

/// uid and gid that a container asks for.
fn ids(container: &Value) -> (Option<i64>, Option<i64>) {
    let context = &container["securityContext"];
    (context["runAsUser"].as_i64(), context["runAsGroup"].as_i64())
}

/// An application after a run without a registry: what every machine gets.
struct Hardened {
    changed: Vec<String>,
    after: Files,
}

impl Hardened {
    /// Runs over the application and checks everything that holds for any of them.
    #[track_caller]
    fn check(name: &str) -> Self {
        let before = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name));
        let run = |files: &Files, resolver: &dyn Resolver| run(name, files, resolver);
        let offline = run(&before, &Offline);
        let pinned = run(&before, &AnyDigest);
        assert!(!offline.has_internal_failures() && !pinned.has_internal_failures());
        assert!(offline.lookup_failures.is_empty() && pinned.lookup_failures.is_empty());

        let mut snapshot = Snapshot::new();
        let differences =
            pinned.files.iter().map(|file| diff::unified(&file.path, file.before.as_deref(), &file.after));
        snapshot.insert("run.diff".to_owned(), differences.collect());
        snapshot.insert("ledger.txt".to_owned(), ledger(&pinned));
        snapshot.insert("ledger-offline.txt".to_owned(), ledger(&offline));
        let series = patches::series(&pinned, "", None);
        snapshot.extend(series.iter().map(|(name, patch)| (format!("patches/{name}"), patch.clone())));
        assert_snapshot(&format!("corpus/{name}"), &snapshot);

        // Pinning is the only thing that a registry adds.
        let after = applied(&before, &offline);
        let with_digests = applied(&before, &pinned);
        assert_eq!(
            with_digests.iter().map(|(path, text)| (path.clone(), without_digests(text))).collect::<Files>(),
            after
        );
        check_series(&before, &series, &with_digests);
        assert!(run(&after, &Offline).files.is_empty(), "a second run changes something");
        assert!(run(&with_digests, &AnyDigest).files.is_empty(), "a second run changes something");
        Self { changed: offline.files.iter().map(|file| file.path.clone()).collect(), after }
    }

    fn lines(&self, path: &str) -> Vec<&str> {
        self.after[path].lines().collect()
    }

    /// The instructions of the two stages that are expected, without comments and empty lines.
    #[track_caller]
    fn stages(&self, path: &str) -> [Vec<String>; 2] {
        let mut stages: Vec<Vec<String>> = Vec::new();
        for line in self.lines(path).into_iter().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with("FROM ") {
                stages.push(Vec::new());
            }
            stages.last_mut().unwrap().push(line.to_owned());
        }
        stages.try_into().unwrap_or_else(|stages| panic!("not two stages: {stages:#?}"))
    }

    #[track_caller]
    fn pod(&self, path: &str, kind: &str, name: &str) -> Value {
        let documents = documents(&self.after[path]);
        let object = documents.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        pod_spec(object.unwrap_or_else(|| panic!("no {kind}/{name} in {path}"))).unwrap().clone()
    }

    /// Every pod of the application passes the standard, and there are as many as expected.
    #[track_caller]
    fn assert_restricted(&self, pods: usize) {
        let mut seen = 0;
        for (path, text) in self.after.iter().filter(|(path, _)| path.ends_with(".yaml")) {
            let documents = documents(text);
            for pod in documents.iter().filter_map(pod_spec) {
                assert_eq!(violations(pod), [""; 0], "{path}");
                seen += 1;
            }
        }
        assert_eq!(seen, pods);
    }
}

/// The series applies with the real git, in order, and ends in what the run wrote; each step leaves files that can be read.
#[track_caller]
fn check_series(before: &Files, series: &[(String, String)], after: &Files) {
    let workspace = Workspace::new();
    for (path, text) in before {
        workspace.write(&format!("app/{path}"), text);
    }
    for (name, patch) in series {
        workspace.write(name, patch);
        workspace.git_ok(&["apply", "--whitespace=error-all", "--directory=app", name]);
        let repository = Repository::parse(Tree::discover(&[workspace.path("app")], &[]).unwrap(), &Config::default());
        assert!(repository.unread().is_empty(), "after {name}: {:?}", repository.unread());
    }
    assert_eq!(&files(&workspace.path("app")), after);
}

/// A registry that knows every digest, the hash of the image's name, and tells no more of it.
struct AnyDigest;

impl Resolver for AnyDigest {
    fn resolve(&self, references: &[Reference]) -> BTreeMap<Reference, Result<Resolved, ResolveError>> {
        let resolved = |reference: &Reference| {
            let hash: String = Sha256::digest(reference.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
            Resolved { digest: Digest::parse(&format!("sha256:{hash}")).unwrap(), media_type: MediaType::OciIndex }
        };
        references.iter().map(|reference| (reference.clone(), Ok(resolved(reference)))).collect()
    }

    fn configs(&self, references: &[Reference]) -> BTreeMap<Reference, Result<ImageConfig, ResolveError>> {
        Recorded::new().configs(references)
    }
}

/// The folder's name counts: it is what an image built at the top is called.
fn run(name: &str, files: &Files, resolver: &dyn Resolver) -> Run {
    let workspace = Workspace::new();
    for (path, text) in files {
        workspace.write(&format!("{name}/{path}"), text);
    }
    let tree = Tree::discover(&[workspace.path(name)], &[]).unwrap();
    pipeline::run(Repository::parse(tree, &Config::default()), &Config::default(), &Options::default(), resolver)
        .unwrap()
}

fn applied(before: &Files, run: &Run) -> Files {
    let mut after = before.clone();
    after.extend(run.files.iter().map(|file| (file.path.clone(), file.after.to_string())));
    after
}

fn ledger(run: &Run) -> String {
    let mode = Mode { check: false, write: false, patches: None };
    let text = format!("{}{}", text::ledger(run, &mode, true), text::closing(run, &mode));
    anstream::adapter::strip_str(&text).to_string()
}

fn without_digests(text: &str) -> String {
    let mut parts = text.split("@sha256:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.get(64..).unwrap_or_default())
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| serde::Deserialize::deserialize(document).unwrap())
        .collect()
}

fn pod_spec(object: &Value) -> Option<&Value> {
    match object["kind"].as_str()? {
        "Pod" => Some(&object["spec"]),
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => Some(&object["spec"]["template"]["spec"]),
        "CronJob" => Some(&object["spec"]["jobTemplate"]["spec"]["template"]["spec"]),
        _ => None,
    }
}

fn files(root: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(
                    path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(),
                    fs::read_to_string(&path).unwrap(),
                );
            }
        }
    }
    found
}
