//! What a proof looks like, and what a series of patches tells of it.
#![allow(clippy::unwrap_used, reason = "here a failed step should end the test")]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use support::program::unroot_with_cache;
use support::snapshots::{Snapshot, assert_snapshot};
use support::workspace::Workspace;
use unroot::config::Config;
use unroot::discover::Tree;
use unroot::pipeline::{FileChange, Options};
use unroot::prove::field::FieldPath;
use unroot::prove::judge::Demand;
use unroot::prove::proof::{
    Build, Built, Cause, ContainerProof, Diagnosis, OldDisks, Outcome, Proof, Unbuilt, WorkloadProof,
};
use unroot::prove::record::{self, Basis};
use unroot::prove::totals::Conclusion;
use unroot::registry::Offline;
use unroot::report;
use unroot::repository::Repository;
use unroot::source::Position;
use unroot::write::Cache;

const ROOT: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

fn container(name: &str, user: (u32, u32), capabilities: &[&str], writes: &[&str]) -> ContainerProof {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    ContainerProof {
        container: name.to_owned(),
        image: format!("registry.example/{name}:1.4"),
        uid: user.0,
        gid: user.1,
        groups: BTreeSet::new(),
        capabilities: owned(capabilities),
        seen: true,
        read_only_root: false,
        restarts: 0,
        writes: owned(writes),
    }
}

fn at(line: usize, column: usize) -> Position {
    Position { line, column }
}

fn workload(workload: &str, path: &str, position: Position, outcome: Outcome) -> WorkloadProof {
    let (workload, path) = (workload.to_owned(), path.to_owned());
    let (before, after, missing) = (Vec::new(), Vec::new(), Vec::new());
    WorkloadProof { workload, path, position, outcome, before, after, old_disks: None, missing }
}

fn build(image: &str, dockerfile: &str, before: Built, after: Option<Built>) -> Build {
    Build { image: image.to_owned(), dockerfile: dockerfile.to_owned(), before, after }
}

/// What is there most often: one image, one workload, and it answers.
fn holding() -> Proof {
    let mut web =
        workload("Deployment/web", "k8s/web.yaml", at(4, 1), Outcome::Holds { demand: Demand::Answers, because: None });
    web.before = vec![container("web", (0, 0), &ROOT, &["/app/cache", "/tmp"])];
    web.after = vec![ContainerProof { read_only_root: true, ..container("web", (1000, 0), &[], &[]) }];
    Proof {
        engine: "podman 4.3.1".to_owned(),
        builds: vec![build("registry.example/web:1.4", "web/Dockerfile", Built::Yes, Some(Built::Yes))],
        workloads: vec![web],
    }
}

/// One of everything.
fn mixed() -> Proof {
    let mut proof = holding();
    proof.builds.push(build("registry.example/worker:2", "worker/Dockerfile", Built::Yes, None));
    let mut worker = workload(
        "Deployment/worker",
        "k8s/web.yaml",
        at(31, 1),
        Outcome::Holds {
            demand: Demand::StaysUp,
            because: Some(
                "it needs what the tree does not have: worker: a probe of the manifest fails: sh -c".to_owned(),
            ),
        },
    );
    worker.before = vec![container("worker", (0, 0), &ROOT, &[])];
    worker.after = vec![container("worker", (1000, 0), &["NET_BIND_SERVICE"], &["/tmp"])];
    worker.missing = vec!["Secret mail".to_owned(), "host smtp.example.com".to_owned()];
    let mut cache = workload(
        "StatefulSet/cache",
        "k8s/cache.yaml",
        at(12, 1),
        Outcome::Breaks(Diagnosis {
            container: Some("cache".to_owned()),
            failure: "cache/cache: CrashLoopBackOff, exit 1: the root is read-only".to_owned(),
            cause: Cause::ReadOnlyRoot,
            remedy:
                "mount an emptyDir at /var/cache/app and /run (`spec.template.spec.containers[cache].volumeMounts`)"
                    .to_owned(),
            field: Some(FieldPath::default().keys("spec.template.spec.containers").item("cache").keys("volumeMounts")),
            unwritable: vec!["/var/cache/app".to_owned(), "/run".to_owned()],
            place: Some(("k8s/cache.yaml".to_owned(), at(27, 9))),
        }),
    );
    cache.before = vec![container("cache", (0, 0), &ROOT, &["/run", "/var/cache/app"])];
    cache.after = vec![ContainerProof { read_only_root: true, restarts: 3, ..container("cache", (1000, 0), &[], &[]) }];
    proof.workloads.extend([
        worker,
        cache,
        workload("Job/import", "k8s/import.yaml", at(4, 1), Outcome::Void { reason: "job import: exit 2".to_owned() }),
        workload(
            "DaemonSet/agent",
            "k8s/agent.yaml",
            at(4, 1),
            Outcome::NotRun { reason: "a privileged container is never run here".to_owned() },
        ),
    ]);
    proof
}

/// Several containers in a pod, all of which have something to say.
fn crowded() -> Proof {
    let mut proof = holding();
    for workload in &mut proof.workloads {
        workload.old_disks =
            Some(OldDisks::Void { reason: "web: nobody listens at port 80, which it declares: refused".to_owned() });
        let folders = ["/a", "/b", "/c", "/d", "/e", "/f"];
        workload.before = vec![container("init", (0, 0), &ROOT[..5], &[]), container("web", (0, 0), &ROOT, &folders)];
        let groups = BTreeSet::from([2000, 3000]);
        workload.after = vec![
            container("init", (1000, 0), &[], &[]),
            ContainerProof {
                groups,
                seen: false,
                restarts: 1,
                read_only_root: true,
                ..container("web", (1001, 0), &["KILL", "NET_BIND_SERVICE"], &["/tmp"])
            },
        ];
    }
    proof
}

/// Images that do not build, and words of an engine that a terminal must not act on.
fn failing() -> Proof {
    let reason = "exit 1: npm error \u{1b}[31m404\u{202e} Not Found\n".to_owned();
    let fails = Unbuilt {
        words: (1..=30).map(|line| format!("#{line} npm ci: \u{1b}[31mE404\u{202e}\n")).collect(),
        reason,
        instruction: Some("RUN npm ci".to_owned()),
        place: Some(("api/Dockerfile".to_owned(), at(7, 1))),
        log: None,
    };
    let log = Some("logs/build-web-Dockerfile-after.log".to_owned());
    let breaks = Unbuilt { log, ..Unbuilt::from("COPY --chown=1000:0: no such user\nbuild failed\n".to_owned()) };
    Proof {
        engine: "docker 28.0.0".to_owned(),
        builds: vec![
            build("api:1", "api/Dockerfile", Built::No(fails.clone()), None),
            build("api:2", "api/Dockerfile", Built::No(fails), None),
            build("web:1", "web/Dockerfile", Built::Yes, Some(Built::No(breaks))),
            build("db:1", "db/Dockerfile", Built::Yes, None),
        ],
        workloads: vec![
            workload(
                "Pod/a\u{1b}[2J",
                "k8s/\n.yaml",
                at(1, 1),
                Outcome::NotRun { reason: "its image does not build as found\r\n".to_owned() },
            ),
            workload(
                "Pod/b",
                "k8s/\n.yaml",
                at(9, 1),
                Outcome::Void {
                    reason: format!("GET /: 500 <html>{}\n{}", "x".repeat(1000), "<p>\u{7}</p>\n\n".repeat(20)),
                },
            ),
        ],
    }
}

#[test]
fn a_proof_reads_as_it_did() {
    let mut snapshot = Snapshot::new();
    let nothing = Proof { builds: Vec::new(), workloads: Vec::new(), ..holding() };
    for (name, proof) in
        [("holds", holding()), ("mixed", mixed()), ("crowded", crowded()), ("fails", failing()), ("nothing", nothing)]
    {
        for (verbose, ending) in [(false, "txt"), (true, "verbose.txt")] {
            let text = anstream::adapter::strip_str(&report::proof::text(&proof, verbose)).to_string();
            assert!(!text.contains(|c: char| c != '\n' && c.is_control()), "{text:?}");
            snapshot.insert(format!("{name}.{ending}"), text);
        }
        let json = report::proof::json(&proof);
        assert!(!json.contains(|c: char| c != '\n' && c.is_control()), "{json:?}");
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["engine"], proof.engine.as_str());
        for (build, image) in proof.builds.iter().zip(read["images"].as_array().unwrap()) {
            if let Built::No(unbuilt) = &build.before {
                assert_eq!(image["before"]["error"], unbuilt.words.as_str(), "what is escaped is still the same");
            }
        }
        snapshot.insert(format!("{name}.json"), json);
    }
    assert_snapshot("proof", &snapshot);
}

/// One line for each Dockerfile, which says where and why, and nothing of a build besides.
#[test]
fn what_does_not_build_is_one_line() {
    let text = anstream::adapter::strip_str(&report::proof::text(&failing(), false)).to_string();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("Dockerfile")).collect();
    assert_eq!(
        lines,
        [
            "api/Dockerfile:7:1: does not build as found: RUN npm ci: exit 1: npm error 404\\u{202e} Not Found (full log: --logs DIR)",
            "web/Dockerfile: builds as found and not hardened: COPY --chown=1000:0: no such user\\nbuild failed (full log: logs/build-web-Dockerfile-after.log)",
        ]
    );
}

#[test]
fn a_proof_comes_to_one_thing() {
    let conclude = |proof: &Proof| Conclusion::of(proof);
    assert_eq!(conclude(&holding()), Conclusion::Holds);
    assert_eq!(conclude(&mixed()), Conclusion::Breaks);
    assert_eq!(conclude(&failing()), Conclusion::DoesNotBuild);
    let mut proof = failing();
    proof.builds.drain(..2);
    assert_eq!(conclude(&proof), Conclusion::Breaks, "it builds as found, and not hardened");
    proof.builds.remove(0);
    assert_eq!(conclude(&proof), Conclusion::NothingProved, "what was not run proves nothing");
}

/// The README has a report as it is, and all that a program may find in one.
#[test]
fn the_readme_tells_what_a_proof_looks_like() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let text = anstream::adapter::strip_str(&report::proof::text(&mixed(), false)).to_string();
    assert!(readme.contains(&format!("```text\n{text}```\n")), "README.md lacks this:\n{text}");
    let documented = readme.split("\n### The report as JSON\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut words = BTreeSet::new();
    for proof in [mixed(), failing(), crowded()] {
        collect(&serde_json::from_str(&report::proof::json(&proof)).unwrap(), &mut words);
    }
    assert!(words.len() > 30, "{words:?}");
    for word in words {
        assert!(documented.contains(&format!("`{word}`")), "README.md does not tell of `{word}`");
    }
}

/// All keys, and what stands at those that hold codes.
fn collect(value: &serde_json::Value, words: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(entries) => entries.iter().for_each(|(key, value)| {
            words.insert(key.clone());
            if ["conclusion", "outcome", "cause"].contains(&key.as_str()) {
                words.insert(value.as_str().unwrap().to_owned());
            }
            collect(value, words);
        }),
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, words)),
        _ => {}
    }
}

const DOCKERFILE: &str = "FROM node:22-alpine\nWORKDIR /app\nCOPY . .\nCMD [\"node\", \"server.js\"]\n";

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: app\nspec:\n  containers:\n  - name: app\n    image: app:v1\n";

/// An application, and the record of its proof in a cache.
struct Proved {
    tree: Workspace,
    cache: Workspace,
}

impl Proved {
    fn new() -> Self {
        let tree = Workspace::with(&[
            ("app/Dockerfile", DOCKERFILE),
            ("app/server.js", "require(\"http\").createServer().listen(3000);\n"),
            ("app/ignored.bin", "\0"),
            ("k8s/app.yaml", POD),
            ("unroot.toml", "uid = 60000\n"),
            (".gitignore", "ignored.bin\n"),
        ]);
        tree.git_ok(&["init", "--quiet"]);
        tree.git_ok(&["add", "."]);
        tree.git_ok(&["commit", "--quiet", "-m", "before"]);
        let proved = Self { tree, cache: Workspace::new() };
        proved.prove();
        proved
    }

    fn prove(&self) {
        let root = self.tree.root().canonicalize().unwrap();
        let storage = Cache::new(self.cache.path("unroot"), SystemTime::now());
        let basis = Basis::of(&root, &[]).unwrap();
        assert!(record::keep(&storage, &root, &changes(&root), &basis, &holding()));
        assert_eq!(storage.trouble(), None);
    }

    /// The lines of a series in a folder outside of the tree that tell of a proof.
    #[track_caller]
    fn told(&self, arguments: &[&str]) -> Vec<String> {
        self.told_in(Workspace::new().root(), arguments).0
    }

    /// The same in this folder, and the paths of the patches.
    #[track_caller]
    fn told_in(&self, series: &Path, arguments: &[&str]) -> (Vec<String>, Vec<PathBuf>) {
        let arguments = [&["--offline", "--patches", series.to_str().unwrap()], arguments].concat();
        let ended = unroot_with_cache(self.cache.root(), self.tree.root(), &arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
        let says_so = ended.stdout.ends_with("\nthe last patch tells of the proof\n");
        let mut patches: Vec<PathBuf> = fs::read_dir(series).unwrap().map(|entry| entry.unwrap().path()).collect();
        patches.sort();
        let texts = patches.iter().map(|patch| fs::read_to_string(patch).unwrap());
        let lines = texts.flat_map(|text| {
            text.lines().filter(|line| line.starts_with("Proved-by:")).map(str::to_owned).collect::<Vec<_>>()
        });
        let lines: Vec<String> = lines.collect();
        assert_eq!(says_so, !lines.is_empty(), "{}", ended.stdout);
        (lines, patches)
    }
}

/// What a run without arguments would change.
fn changes(root: &Path) -> Vec<FileChange> {
    let config = Config::load(root).unwrap();
    let tree = Tree::discover(&[root.to_owned()], &config.exclude).unwrap();
    let repository = Repository::parse(tree, &config);
    unroot::pipeline::run(repository, &config, &Options::default(), &Offline).unwrap().files
}

const LINE: &str = "Proved-by: unroot prove with podman 4.3.1, whole series, 1 workload: 1 answers";

#[test]
fn the_last_patch_of_the_same_tree_tells_of_the_proof() {
    let proved = Proved::new();
    let series = Workspace::new();
    let (lines, patches) = proved.told_in(series.root(), &[]);
    assert_eq!(lines, [LINE]);
    assert!(patches.len() > 1);
    let last = fs::read_to_string(patches.last().unwrap()).unwrap();
    assert!(last.contains(&format!("\n\n{LINE}\n---\n")), "{last}");
    let mut arguments = vec!["am", "--quiet"];
    arguments.extend(patches.iter().map(|patch| patch.to_str().unwrap()));
    proved.tree.git_ok(&arguments);
    proved.tree.git_ok(&["log", "-1", "--format=%B", "--output=message"]);
    let parsed = proved.tree.git_ok(&["interpret-trailers", "--parse", "message"]);
    assert_eq!(String::from_utf8_lossy(&parsed.stdout), format!("{LINE}\n"));
}

#[test]
fn a_series_in_the_tree_may_be_asked_for_twice() {
    let proved = Proved::new();
    let series = proved.tree.path("patches/series");
    let first = proved.told_in(&series, &[]);
    assert_eq!(first.0, [LINE]);
    assert_eq!(proved.told_in(&series, &[]), first);
    proved.prove();
    fs::remove_dir_all(proved.tree.path("patches")).unwrap();
    assert_eq!(proved.told(&[]), [LINE], "with them or without them, it is the same tree");
    proved.tree.write("patches/else", "");
    assert_eq!(proved.told(&[]), [""; 0]);
}

#[test]
fn whatever_becomes_another_ends_what_is_told() {
    let proved = Proved::new();
    let none = [""; 0];
    for path in ["app/server.js", "app/Dockerfile", "app/ignored.bin", "k8s/app.yaml", "unroot.toml", ".gitignore"] {
        let before = proved.tree.read(path);
        proved.tree.write(path, &format!("{before} "));
        assert_eq!(proved.told(&[]), none, "{path}");
        proved.tree.write(path, &before);
        assert_eq!(proved.told(&[]), [LINE], "{path} is as it was");
    }
    for path in ["app/more", "else/where"] {
        proved.tree.write(path, "");
        assert_eq!(proved.told(&[]), none, "{path}");
        fs::remove_file(proved.tree.path(path)).unwrap();
    }
    assert_eq!(proved.told(&[]), none, "COPY takes empty folders, too");
    fs::remove_dir(proved.tree.path("else")).unwrap();
    fs::rename(proved.tree.path("app/server.js"), proved.tree.path("app/server.mjs")).unwrap();
    assert_eq!(proved.told(&[]), none);
    fs::rename(proved.tree.path("app/server.mjs"), proved.tree.path("app/server.js")).unwrap();
    assert_eq!(proved.told(&[]), [LINE]);
    // What git keeps for itself is no part of it.
    proved.tree.git_ok(&["commit", "--quiet", "--allow-empty", "-m", "else"]);
    assert_eq!(proved.told(&[]), [LINE]);
}

#[test]
#[cfg(unix)]
fn permissions_and_links_are_part_of_a_tree() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let proved = Proved::new();
    let file = proved.tree.path("app/server.js");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    fs::set_permissions(&file, PermissionsExt::from_mode(mode | 0o100)).unwrap();
    assert_eq!(proved.told(&[]), [""; 0]);
    fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    assert_eq!(proved.told(&[]), [LINE]);
    // What a link leads to is not looked at: this one leads out of the tree, and round.
    let link = proved.tree.path("app/link");
    symlink("../..", &link).unwrap();
    proved.prove();
    assert_eq!(proved.told(&[]), [LINE]);
    fs::remove_file(&link).unwrap();
    symlink("/nowhere", &link).unwrap();
    assert_eq!(proved.told(&[]), [""; 0]);
}

#[test]
fn other_changes_were_not_proved() {
    let proved = Proved::new();
    for arguments in [&["--skip", "switch-user"][..], &["--only", "switch-user"], &["--no-cache"]] {
        assert_eq!(proved.told(arguments), [""; 0], "{arguments:?}");
    }
    // Another flag with the same result is no other proof.
    assert_eq!(proved.told(&["--skip", "limit-resources"]), [LINE]);
}

#[test]
fn a_damaged_record_is_as_none() {
    let proved = Proved::new();
    let records: Vec<String> =
        proved.cache.entries().into_iter().filter(|path| path.starts_with("unroot/proofs-1/")).collect();
    let [record] = records.as_slice() else { panic!("{records:?}") };
    let whole = proved.cache.read(record);
    for damaged in ["", "{}", &whole[..whole.len() - 1], &whole.replace("podman", "\u{0}")] {
        proved.cache.write(record, damaged);
        assert_eq!(proved.told(&[]), [""; 0], "{damaged:?}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        proved.prove();
        let mode = fs::metadata(proved.cache.path(record)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }
    // It knows of the tree by hashes alone.
    assert!(!whole.contains("server") && !whole.contains(proved.tree.root().to_str().unwrap()), "{whole}");
}
