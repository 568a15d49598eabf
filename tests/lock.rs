//! `unroot.lock` from end to end: what is asked, what is written down, and what a gate makes of it.
#![allow(clippy::unwrap_used, reason = "here a failed step should end the test")]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Mutex;
use std::time::UNIX_EPOCH;
use support::program::{Ended, unroot};
use support::registry::{OCI_INDEX, OCI_MANIFEST, Registry, sha256};
use support::trees::{applications, cases, copy_tree, other_roots, run_with};
use support::workspace::Workspace;
use unroot::image::{Digest, ImageConfig, MediaType, Reference, Resolved};
use unroot::pipeline::Options;
use unroot::registry::lock::{Lock, Locked, Moment, Rule};
use unroot::registry::{Offline, ResolveError, Resolver};

const LOCK: &str = "unroot.lock";

const DOCKERFILE: &str = "FROM example.com/base:1\nWORKDIR /app\nCOPY . .\nCMD [\"/app/serve\"]\n";

fn pod(name: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  containers:\n  - name: {name}\n    image: {image}\n"
    )
}

fn config(fields: &str) -> String {
    format!(r#"{{"architecture":"amd64","os":"linux","config":{{{fields}}}}}"#)
}

const TOOL: &str = r#""User":"1000","ExposedPorts":{"8080/tcp":{}},"Env":["TOKEN=hunter2","PORT=81","DATA=/data"],
    "Cmd":["tool","--token=hunter2"],"Volumes":{"/data":{}}"#;

/// A Dockerfile, a container of an image that nobody knows, one of an image that everybody knows, and the registry that has them all.
fn repository() -> Option<(Registry, Workspace)> {
    let registry = Registry::start()?;
    registry.push_index_with("example/base", "1", OCI_INDEX, &[("amd64", config(r#""User":"""#))]);
    registry.push_image_with("example/tool", Some("1"), OCI_MANIFEST, "x", &config(TOOL));
    registry.push_index_with("hub/library/redis", "7", OCI_INDEX, &[("amd64", config(""))]);
    let workspace = Workspace::with(&[
        ("app/Dockerfile", DOCKERFILE),
        ("k8s/tool.yaml", &pod("tool", "example.com/tool:1")),
        ("k8s/redis.yaml", &pod("redis", "redis:7")),
        ("k8s/again.yaml", &pod("again", "docker.io/library/redis:7")),
    ]);
    workspace.write("unroot.toml", &mirrors(&registry));
    Some((registry, workspace))
}

fn mirrors(registry: &Registry) -> String {
    let table = |host: &str, path: &str| {
        format!("[registry.\"{host}\"]\nmirror = \"{}/{path}\"\nplain_http = true\n", registry.address)
    };
    table("example.com", "example") + &table("docker.io", "hub")
}

#[track_caller]
fn run(workspace: &Workspace, code: i32, arguments: &[&str]) -> Ended {
    let ended = unroot(workspace.root(), arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (code, ""), "{arguments:?}\n{}", ended.stdout);
    ended
}

/// The lock, its times made equal.
fn lock(workspace: &Workspace) -> String {
    let line = |line: &str| match line.starts_with("resolved = 20") {
        true => "resolved = T\n".to_owned(),
        false => format!("{line}\n"),
    };
    workspace.read(LOCK).lines().map(line).collect()
}

#[test]
fn a_lock_is_made_when_it_is_asked_for_and_then_nobody_is_asked_again() {
    let Some((registry, workspace)) = repository() else { return };
    let plain = run(&workspace, 0, &[]);
    assert!(!plain.stdout.contains(LOCK), "without a lock nothing is seen of it:\n{}", plain.stdout);
    let cold = registry.logged("\"HEAD /v2/", 3);
    assert_eq!(cold.len(), 3, "one for each distinct image: {cold:#?}");

    let shown = run(&workspace, 0, &["--lock"]);
    let heads = registry.logged("\"HEAD /v2/", 6);
    assert_eq!(heads.len(), 6, "as many, with nothing kept of the run before: {heads:#?}");
    let header = "diff --git a/unroot.lock b/unroot.lock\nnew file mode 100644\n--- /dev/null\n+++ b/unroot.lock\n";
    assert!(shown.stdout.contains(header), "{}", shown.stdout);
    assert!(!workspace.path(LOCK).exists());
    let asked = registry.logged("\"HEAD /v2/", 6);
    assert_eq!(asked.len(), 6, "what the new pins name was told with their tags: {asked:#?}");
    run(&workspace, 1, &["--lock", "--check", "--skip", "pin-digest,inject-security-context,switch-user"]);

    let written = run(&workspace, 0, &["--lock", "--write"]);
    assert!(written.stdout.ends_with("\n5 files written\n"), "{}", written.stdout);
    let text = lock(&workspace);
    let references: Vec<&str> = text.lines().filter(|line| line.starts_with("reference = ")).collect();
    assert_eq!(
        references,
        [
            "reference = \"docker.io/library/redis:7\"",
            "reference = \"example.com/base:1\"",
            "reference = \"example.com/tool:1\"",
        ]
    );
    let (_, tool) = text.split_once("reference = \"example.com/tool:1\"\n").unwrap();
    let expected = "media_type = \"application/vnd.oci.image.manifest.v1+json\"\nresolved = T\n\n[image.config]\nuser = \"1000\"\nports = [8080]\n\
        cmd = [\"tool\", \"--token=***\"]\nvolumes = [\"/data\"]\nenv = [\"PORT=81\", \"DATA=/data\"]\n";
    assert_eq!(tool.split_once('\n').unwrap().1, expected);
    assert!(!text.contains("hunter2"), "{text}");

    let before = (workspace.read(LOCK), registry.logged("/v2/", 0).len());
    for arguments in
        [&["--check"][..], &["--check", "--locked"], &["--write"], &["--lock", "--write"], &["--locked", "--write"]]
    {
        let again = run(&workspace, 0, arguments);
        assert!(again.stdout.ends_with("\nnothing to change\n"), "{arguments:?}:\n{}", again.stdout);
    }
    assert_eq!((workspace.read(LOCK), registry.logged("/v2/", 0).len()), before, "nobody is asked, nothing is written");
}

#[test]
fn a_gate_names_what_the_lock_lacks_and_what_it_has_for_nothing() {
    let Some((registry, workspace)) = repository() else { return };
    let missing = unroot(workspace.root(), &["--locked"]);
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(missing.stderr.starts_with("error: there is no unroot.lock below "), "{}", missing.stderr);

    run(&workspace, 0, &["--lock", "--write", "--skip", "pin-digest"]);
    run(&workspace, 0, &["--locked", "--write", "--skip", "pin-digest"]);
    let asked = registry.logged("/v2/", 0).len();
    let before = workspace.read("k8s/redis.yaml");
    fs::remove_file(workspace.path("k8s/tool.yaml")).unwrap();
    workspace.write("k8s/new.yaml", &pod("new", "example.com/new"));
    for arguments in [&["--locked"][..], &["--locked", "--check"], &["--locked", "--write"]] {
        let ended = run(&workspace, 1, arguments);
        let lines: Vec<&str> = ended.stdout.lines().filter(|line| line.starts_with("not locked: ")).collect();
        assert_eq!(
            lines,
            [
                "not locked: unroot.lock does not have docker.io/library/redis:7",
                "not locked: unroot.lock does not have example.com/base:1",
                "not locked: unroot.lock does not have example.com/new:latest",
                "not locked: unroot.lock has example.com/tool:1, which no file needs",
            ],
            "{arguments:?}"
        );
        assert!(ended.stdout.contains("[not-locked]"), "{}", ended.stdout);
    }
    assert_eq!(workspace.read("k8s/redis.yaml"), before, "what rests on a lock that is out of date is not written");
    assert_eq!(registry.logged("/v2/", 0).len(), asked, "and nobody is asked");

    // Who looks at a part cannot say what the rest needs.
    let part = unroot(workspace.root(), &["--locked", "--skip", "pin-digest", "app"]);
    assert_eq!(part.code, 0, "{}", part.stdout);
}

#[test]
fn rows_come_and_go_with_the_images_that_files_name() {
    let Some((registry, workspace)) = repository() else { return };
    run(&workspace, 0, &["--lock", "--write"]);
    let first = workspace.read(LOCK);
    let time = first.lines().find(|line| line.starts_with("resolved = ")).unwrap().to_owned();
    workspace.write(LOCK, &first.replace(&time, "resolved = 2001-01-01T00:00:00Z"));

    // A second name for a tag that is there asks nobody; a tag that moved on stays what it was.
    registry.push_index_with("hub/library/redis", "7", OCI_INDEX, &[("arm64", config(""))]);
    workspace.write("k8s/third.yaml", &pod("third", "redis:7"));
    let asked = registry.logged("/v2/", 0).len();
    run(&workspace, 0, &["--write"]);
    assert_eq!(registry.logged("/v2/", 0).len(), asked);
    assert_eq!(workspace.read("k8s/third.yaml").matches("sha256").count(), 1);
    let digest =
        |path: &str| workspace.read(path).lines().find_map(|line| line.split_once('@').map(|(_, d)| d.to_owned()));
    assert_eq!(digest("k8s/third.yaml"), digest("k8s/redis.yaml"));

    // An update asks anew, and only what it changes gets a new time.
    fs::remove_file(workspace.path("k8s/redis.yaml")).unwrap();
    fs::remove_file(workspace.path("k8s/again.yaml")).unwrap();
    workspace.write("k8s/third.yaml", &pod("third", "redis:7"));
    run(&workspace, 0, &["--write", "--update"]);
    let updated = workspace.read(LOCK);
    let times = updated.lines().filter(|line| *line == "resolved = 2001-01-01T00:00:00Z").count();
    assert_eq!((updated.matches("[[image]]").count(), times), (3, 2), "{updated}");
    assert_ne!(digest("k8s/third.yaml"), None);
    assert!(updated.contains(&digest("k8s/third.yaml").unwrap()), "{updated}");

    // Who looks at a part leaves the rest as it is.
    fs::remove_file(workspace.path("k8s/third.yaml")).unwrap();
    run(&workspace, 0, &["--write", "k8s/tool.yaml"]);
    assert_eq!(workspace.read(LOCK), updated);
    run(&workspace, 0, &["--write"]);
    assert_eq!(workspace.read(LOCK).matches("[[image]]").count(), 2);
}

/// Other tools move pins on; what the lock says of the tag is older then.
#[test]
fn a_pin_that_moved_on_takes_its_row_along() {
    let Some((registry, workspace)) = repository() else { return };
    run(&workspace, 0, &["--lock", "--write"]);
    let push =
        |content: &str| registry.push_image_with("example/tool", Some("1"), OCI_MANIFEST, content, &config(TOOL)).0;
    let pin = |digest: &str| workspace.write("k8s/tool.yaml", &pod("tool", &format!("example.com/tool:1@{digest}")));
    let settled = |expected: &[(&str, &str)]| {
        run(&workspace, 0, &["--write"]);
        let text = lock(&workspace);
        for (reference, digest) in expected {
            let row = format!(
                "reference = \"example.com/{reference}\"\ndigest = \"{digest}\"\nmedia_type = \"application/vnd.oci.image.manifest.v1+json\"\n"
            );
            assert!(text.contains(&row), "{row}\n{text}");
        }
        assert_eq!(text.matches("\"example.com/tool").count(), expected.len(), "{text}");
        let asked = registry.logged("/v2/", 0).len();
        run(&workspace, 0, &["--check"]);
        run(&workspace, 0, &["--check", "--locked"]);
        assert_eq!(registry.logged("/v2/", 0).len(), asked);
    };
    let second = push("y");
    pin(&second);
    let gate = run(&workspace, 1, &["--locked"]);
    assert!(
        gate.stdout.contains("\nnot locked: unroot.lock does not have example.com/tool:1 as it is pinned\n"),
        "{}",
        gate.stdout
    );
    settled(&[("tool:1", &second)]);

    // The tag may have moved further than the pin.
    let (third, fourth) = (push("z"), push("zz"));
    pin(&third);
    settled(&[("tool:1", &fourth), (&format!("tool@{third}"), &third)]);

    // Of an index nothing more is to be known than that it is one, and for that nobody asks about the tag.
    let (index, _) = registry.push_index_with("hub/library/redis", "7", OCI_INDEX, &[("arm64", config(""))]);
    for name in ["redis", "again"] {
        let image = format!("redis:7@{}", sha256(index.as_bytes()));
        workspace.write(&format!("k8s/{name}.yaml"), &pod(name, &image));
    }
    let gate = run(&workspace, 1, &["--locked"]);
    assert!(
        gate.stdout.contains("\nnot locked: unroot.lock does not have docker.io/library/redis:7 as it is pinned\n")
    );
    settled(&[("tool:1", &fourth), (&format!("tool@{third}"), &third)]);
    assert!(workspace.read(LOCK).contains("\"docker.io/library/redis@sha256:"), "{}", workspace.read(LOCK));
}

#[test]
fn the_lock_is_the_last_patch_of_a_series() {
    let Some((_registry, workspace)) = repository() else { return };
    let directory = Workspace::new();
    let series = directory.root().to_str().unwrap();
    run(&workspace, 0, &["--lock", "--patches", series]);
    let mut patches = directory.entries();
    assert_eq!(patches.pop().as_deref(), Some("0099-lock.patch"));
    let written = Workspace::new();
    for path in ["app/Dockerfile", "k8s/tool.yaml", "k8s/redis.yaml", "k8s/again.yaml", "unroot.toml"] {
        written.write(path, &workspace.read(path));
    }
    for name in directory.entries() {
        workspace.git_ok(&["apply", directory.path(&name).to_str().unwrap()]);
    }
    run(&written, 0, &["--lock", "--write"]);
    assert_eq!(lock(&workspace), lock(&written));
    run(&workspace, 0, &["--check", "--locked"]);
}

/// Refused in one line that says where, and nothing is lost.
#[test]
fn a_lock_that_cannot_be_used_is_an_error_and_stays_as_it_is() {
    let row = format!(
        "version = 1\n\n[[image]]\nreference = \"docker.io/library/redis:7\"\ndigest = \"{}\"\nmedia_type = \"application/vnd.oci.image.index.v1+json\"\nresolved = 2026-01-01T00:00:00Z\n",
        sha256(b"")
    );
    let workspace = Workspace::with(&[("k8s/redis.yaml", &pod("redis", "redis:7"))]);
    let crlf = row.replace('\n', "\r\n");
    for (bytes, expected) in [
        (b"".to_vec(), "unroot.lock:1:1: missing field `version`"),
        (b"version = 7\n".to_vec(), "unroot.lock:1:11: version 7 is not known to this unroot, which reads 1"),
        (b"version = 1\n\xe9".to_vec(), "unroot.lock:1:1: byte 12 is not UTF-8"),
        (
            row.replace("redis:7", "redis:7\\u001B[5m").into_bytes(),
            "unroot.lock:4:13: `docker.io/library/redis:7\\u{1b}[5m`",
        ),
        (row.replace("sha256:e3", "sha256:").into_bytes(), "unroot.lock:5:10: a digest is sha256: and"),
        (row.replace("media_type", "media_typ").into_bytes(), "unroot.lock:6:1: unknown field `media_typ`"),
        (
            format!("<<<<<<< ours\n{row}=======\n>>>>>>> theirs\n").into_bytes(),
            "unroot.lock:1:1: a merge left its marks here; keep either side, and run unroot again",
        ),
        (crlf.replace(".index.", ".x.").into_bytes(), "unroot.lock:6:14: a media type is one of"),
    ] {
        fs::write(workspace.path(LOCK), &bytes).unwrap();
        let before = workspace.read("k8s/redis.yaml");
        for mode in ["--check", "--write", "--lock", "--locked"] {
            let ended = unroot(workspace.root(), &[mode, "--offline"]);
            assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{mode}");
            assert!(ended.stderr.contains(expected), "{expected}\n{}", ended.stderr);
            assert!(ended.stderr.starts_with("error: ") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
            assert!(!ended.stderr.contains(|c: char| c.is_control() && c != '\n'), "{:?}", ended.stderr);
        }
        assert_eq!((fs::read(workspace.path(LOCK)).unwrap(), workspace.read("k8s/redis.yaml")), (bytes, before));
    }
    fs::remove_file(workspace.path(LOCK)).unwrap();
    fs::create_dir(workspace.path(LOCK)).unwrap();
    let ended = unroot(workspace.root(), &["--offline"]);
    assert!(ended.code == 2 && ended.stderr.contains("unroot.lock:1:1: it is not a regular file"), "{ended:?}");
}

#[test]
#[cfg(unix)]
fn a_lock_that_leads_out_of_the_tree_is_refused() {
    let outside = Workspace::with(&[("lock", "version = 1\n")]);
    let workspace = Workspace::with(&[("k8s/redis.yaml", &pod("redis", "redis:7")), ("locks/inside", "version = 1\n")]);
    let link = |target: &std::path::Path| {
        let _ = fs::remove_file(workspace.path(LOCK));
        std::os::unix::fs::symlink(target, workspace.path(LOCK)).unwrap();
        unroot(workspace.root(), &["--write", "--lock", "--offline"])
    };
    let ended = link(&outside.path("lock"));
    assert!(ended.code == 2 && ended.stderr.contains("unroot.lock:1:1: it leads out of "), "{ended:?}");
    let ended = link(&outside.path("nothing"));
    assert!(ended.code == 2 && ended.stderr.contains("unroot.lock:1:1: No such file"), "{ended:?}");
    assert_eq!(outside.read("lock"), "version = 1\n");
    assert_eq!(link(std::path::Path::new("locks/inside")).code, 0);
}

#[test]
fn line_ends_and_remarks_stay_while_nothing_changes() {
    let Some((_registry, workspace)) = repository() else { return };
    run(&workspace, 0, &["--lock", "--write"]);
    let text = workspace.read(LOCK);
    let remarked = format!("# reviewed\n{}", text.replace('\n', "\r\n"));
    workspace.write(LOCK, &remarked);
    run(&workspace, 0, &["--check"]);
    run(&workspace, 0, &["--check", "--locked"]);
    fs::remove_file(workspace.path("k8s/tool.yaml")).unwrap();
    run(&workspace, 0, &["--write"]);
    let text = workspace.read(LOCK);
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{text:?}");
    run(&workspace, 0, &["--check", "--locked"]);
}

#[test]
fn what_was_asked_for_one_platform_is_told_apart() {
    let Some((registry, workspace)) = repository() else { return };
    let index = [("arm64", config("")), ("amd64", config(""))];
    let (_, children) = registry.push_index_with("hub/library/redis", "7", OCI_INDEX, &index);
    fs::remove_file(workspace.path("k8s/tool.yaml")).unwrap();
    fs::remove_file(workspace.path("app/Dockerfile")).unwrap();
    let arm = ["--platform", "linux/arm64", "--only", "pin-digest"];
    run(&workspace, 0, &[&["--lock", "--write"], &arm[..]].concat());
    let text = lock(&workspace);
    let row = format!(
        "reference = \"docker.io/library/redis:7\"\ndigest = \"{}\"\nmedia_type = \"application/vnd.oci.image.manifest.v1+json\"\nplatform = \"linux/arm64\"\n",
        children[0]
    );
    assert!(text.contains(&row), "{row}\n{text}");
    assert!(workspace.read("k8s/redis.yaml").contains(&children[0]));
    let asked = registry.logged("/v2/", 0).len();
    run(&workspace, 0, &[&["--check", "--locked"], &arm[..]].concat());
    run(&workspace, 0, &[&["--check"], &arm[..]].concat());
    assert_eq!(registry.logged("/v2/", 0).len(), asked);
    // For all platforms nobody has asked yet.
    workspace.write("k8s/again.yaml", &pod("again", "redis:7"));
    let gate = run(&workspace, 1, &["--check", "--locked", "--only", "pin-digest"]);
    assert!(
        gate.stdout.contains("\nnot locked: unroot.lock does not have docker.io/library/redis:7\n"),
        "{}",
        gate.stdout
    );
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    let workspace = Workspace::with(&[("k8s/redis.yaml", &pod("redis", "redis:7"))]);
    for arguments in [["--lock", "--locked"], ["--locked", "--update"]] {
        let ended = unroot(workspace.root(), &arguments);
        assert!(ended.code == 2 && ended.stderr.contains("cannot be used with"), "{arguments:?}: {}", ended.stderr);
    }
}

/// A registry that has every image, and remembers what it was asked.
#[derive(Default)]
struct Telling {
    asked: Mutex<BTreeSet<Reference>>,
}

impl Resolver for Telling {
    fn resolve(&self, references: &[Reference]) -> BTreeMap<Reference, Result<Resolved, ResolveError>> {
        self.asked.lock().unwrap().extend(references.iter().cloned());
        let answer = |reference: &Reference| {
            let named =
                Digest::of(format!("{}:{}", reference.repository(), reference.tag().unwrap_or("latest")).as_bytes());
            let digest = reference.digest().and_then(Digest::parse).unwrap_or(named);
            let is_index = digest.as_str() < "sha256:8";
            let media_type = if is_index { MediaType::OciIndex } else { MediaType::OciManifest };
            Resolved { digest, media_type }
        };
        references.iter().map(|reference| (reference.clone(), Ok(answer(reference)))).collect()
    }

    fn configs(&self, references: &[Reference]) -> BTreeMap<Reference, Result<ImageConfig, ResolveError>> {
        self.asked.lock().unwrap().extend(references.iter().cloned());
        let answer = |reference: &Reference| {
            let is_root = reference.digest().is_some_and(|digest| digest.ends_with(['0', '1', '2', '3', '4']));
            let user = if is_root { "" } else { "1000:1000" }.to_owned();
            let env = vec![("DATA".to_owned(), "/data".to_owned()), ("API_TOKEN".to_owned(), "hunter2".to_owned())];
            ImageConfig { user, ports: vec![8080], cmd: vec!["serve".to_owned()], env, ..ImageConfig::default() }
        };
        references.iter().map(|reference| (reference.clone(), Ok(answer(reference)))).collect()
    }
}

/// Every case and application: with the lock of a first run the next one knows all that it asks for, and says the same.
#[test]
fn a_lock_serves_the_next_run_whatever_the_repository() {
    let (mut looked_at, mut rows) = (0, 0);
    // What a run leaves of a case is looked at as the second run.
    let cases = cases().into_iter().map(|case| case.join("before")).filter(|before| before.is_dir());
    for root in applications().into_iter().chain(cases).chain(other_roots()) {
        for allow_unsafe in [false, true].into_iter().take(2) {
            let directory = Workspace::new();
            let copy = directory.path("app");
            fs::create_dir(&copy).unwrap();
            copy_tree(&root, &copy);
            let options = Options { allow_unsafe, keeps_lock: true, ..Options::default() };
            let locked = Locked::new(Lock::default(), Rule::Fill, None, Telling::default());
            let first = run_with(&copy, &options, &locked);
            let lock = locked.brought_up_to_date(&first.named, true, Moment::from(UNIX_EPOCH));
            let text = lock.to_string();
            assert!(!text.contains("hunter2"), "{}:\n{text}", root.display());
            assert_eq!(Lock::parse(&text).as_ref(), Ok(&lock), "{}", root.display());

            // Before anything is written: a gate that sees the lock alone comes to the same end.
            let gate = Locked::new(lock.clone(), Rule::Only, None, Offline);
            let again = run_with(&copy, &options, &gate);
            let other = first.findings.iter().zip(&again.findings).find(|(first, again)| first != again);
            assert_eq!(other, None, "{}:\n{text}", root.display());

            for file in &first.files {
                fs::write(copy.join(&file.path), file.after.as_bytes()).unwrap();
            }
            let asked = Telling::default();
            let locked = Locked::new(lock.clone(), Rule::Fill, None, &asked);
            let second = run_with(&copy, &options, &locked);
            let asked = asked.asked.lock().unwrap().clone();
            let place = format!("{}, unsafe {allow_unsafe}", root.display());
            assert!(second.files.is_empty() && asked.is_empty(), "{place}: {:?} {asked:?}", second.files);
            let after = locked.brought_up_to_date(&second.named, true, Moment::from(UNIX_EPOCH));
            assert_eq!(after.to_string(), text, "{place}");
            let gate = Locked::new(lock.clone(), Rule::Only, None, Offline);
            let gated = run_with(&copy, &options, &gate);
            assert_eq!((gated.findings, gate.out_of_date(&gated.named, true)), (second.findings, vec![]), "{place}");
            looked_at += 1;
            rows += lock.len();
        }
    }
    assert!(looked_at > 300 && rows > looked_at / 2, "{rows} rows in {looked_at} locks");
}
