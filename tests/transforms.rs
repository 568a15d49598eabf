//! Every transform against its cases and the example in its README, and what each such run must hold besides.
//!
//! A case is a folder `cases/<claim>/`: `before/` is a tiny repository, `after/` what this transform alone makes of it; without `after/` nothing may
//! change. `expect.toml` names findings, options and recorded digests. `UNROOT_BLESS=1` rewrites the `after/` folders that exist; read the difference.

#![allow(clippy::unwrap_used, reason = "here a failed step should end the test")]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

mod support;

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use support::workspace::Workspace;
use unroot::config::Config;
use unroot::discover::Tree;
use unroot::error::{Finding, Outcome};
use unroot::image::{Digest, ImageConfig, MediaType, Reference, Resolved};
use unroot::pipeline::{self, Options, Run};
use unroot::registry::Recorded;
use unroot::repository::Repository;
use unroot::transforms::ALL;

/// What a case expects besides its files.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Expect {
    /// Run with `--unsafe`.
    r#unsafe: bool,
    /// Also run the transforms before this one.
    with_earlier: bool,
    /// It has nothing to say: no finding at all.
    silent: bool,
    /// Run with `--update`.
    update: bool,
    /// Run with `--platform`.
    platform: Option<String>,
    /// What registries say that references stand for: an index.
    digests: BTreeMap<String, String>,
    /// The same, of one platform's image.
    images: BTreeMap<String, String>,
    /// What registries say of images.
    configs: BTreeMap<String, ImageConfig>,
    finding: Vec<ExpectedFinding>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedFinding {
    /// Part of the finding's subject.
    subject: String,
    /// `fixed`, `already-right`, `skipped` or `needs-person`.
    outcome: String,
    /// The code, for the last two.
    reason: Option<String>,
    /// Part of its one line.
    detail: Option<String>,
}

type Files = BTreeMap<String, Vec<u8>>;

#[test]
fn isolate_from_host() {
    check("isolate-from-host");
}

#[test]
fn drop_privileges() {
    check("drop-privileges");
}

#[test]
fn allow_low_ports() {
    check("allow-low-ports");
}

#[test]
fn build_without_sudo() {
    check("build-without-sudo");
}

#[test]
fn copy_local_files() {
    check("copy-local-files");
}

#[test]
fn start_without_shell() {
    check("start-without-shell");
}

#[test]
fn split_build_stage() {
    check("split-build-stage");
}

#[test]
fn own_by_root_group() {
    check("own-by-root-group");
}

#[test]
fn switch_user() {
    check("switch-user");
}

#[test]
fn pin_digest() {
    check("pin-digest");
}

#[test]
fn mount_read_only_root() {
    check("mount-read-only-root");
}

#[test]
fn inject_security_context() {
    check("inject-security-context");
}

#[test]
fn isolate_users() {
    check("isolate-users");
}

#[test]
fn withhold_service_account_token() {
    check("withhold-service-account-token");
}

#[test]
fn limit_resources() {
    check("limit-resources");
}

#[test]
fn report_secrets() {
    check_reports("report-secrets");
}

fn check(id: &str) {
    let (changing, declining) = check_cases(id);
    if let Err(message) = check_readme(id, &folder(id), false) {
        panic!("{id}/README.md: {message}");
    }
    assert!(changing >= 3, "{id} has {changing} changing cases");
    assert!(declining >= changing, "{id} declines in {declining} cases and changes in {changing}");
}

/// A transform that only tells of something.
fn check_reports(id: &str) {
    let (changing, reporting) = check_cases(id);
    if let Err(message) = check_readme(id, &folder(id), true) {
        panic!("{id}/README.md: {message}");
    }
    assert!(changing == 0 && reporting >= 2, "{id} changes in {changing} cases and reports in {reporting}");
}

/// How many cases change something, and how many do not.
fn check_cases(id: &str) -> (usize, usize) {
    let folder = folder(id);
    let mut changing = 0;
    let mut declining = 0;
    let mut failures = Vec::new();
    let mut cases: Vec<PathBuf> =
        fs::read_dir(folder.join("cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    for case in &cases {
        let name = case.file_name().unwrap().to_str().unwrap();
        let changes = case.join("after").is_dir();
        if changes {
            changing += 1
        } else {
            declining += 1
        }
        if let Err(message) = check_case(id, case, changes) {
            failures.push(format!("{id}/{name}: {message}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    (changing, declining)
}

fn check_case(id: &str, case: &Path, changes: bool) -> Result<(), String> {
    let expect = match fs::read_to_string(case.join("expect.toml")) {
        Ok(text) => toml::from_str(&text).map_err(|error| format!("expect.toml: {error}"))?,
        Err(_) => Expect::default(),
    };
    if !changes && expect.finding.is_empty() != expect.silent {
        return Err("a case without after/ must name the findings it expects, or be silent".to_owned());
    }
    let before = files(&case.join("before"));
    let (after, run) = transform(id, &before, &expect);
    if let (true, Some(finding)) = (expect.silent, run.findings.first()) {
        return Err(format!("it says {finding:?}"));
    }
    if changes {
        bless(&case.join("after"), &after);
        same(&files(&case.join("after")), &after)?;
        if after == before {
            return Err("after/ is what before/ is: nothing changes".to_owned());
        }
    } else {
        same(&before, &after)?;
    }
    expected_findings(&expect, &run)?;
    invariants(id, &after, &expect, &run)
}

/// What must hold for every case without its author asking.
fn invariants(id: &str, after: &Files, expect: &Expect, run: &Run) -> Result<(), String> {
    if run.has_internal_failures() {
        return Err(format!("a change did not prove to be what was planned: {:#?}", run.findings));
    }
    for finding in &run.findings {
        let detail = finding.outcome.detail();
        if detail.is_empty() || detail.contains('\n') || detail.ends_with('.') {
            return Err(format!("a finding's detail is one line without a full stop: {detail:?}"));
        }
    }
    let (again, second) = transform(id, after, expect);
    same(after, &again).map_err(|message| format!("a second run changes something: {message}"))?;
    match second.files.first() {
        Some(file) => Err(format!("a second run plans a change of {}", file.path)),
        None => Ok(()),
    }
}

fn expected_findings(expect: &Expect, run: &Run) -> Result<(), String> {
    for wanted in &expect.finding {
        let matches = |finding: &&Finding| {
            let (outcome, reason, detail) = match &finding.outcome {
                Outcome::Fixed { detail, .. } => ("fixed", None, detail),
                Outcome::AlreadyRight { detail } => ("already-right", None, detail),
                Outcome::Skipped { reason, detail } => ("skipped", Some(reason.code()), detail),
                Outcome::NeedsPerson { reason, detail } => ("needs-person", Some(reason.code()), detail),
            };
            finding.subject.contains(&wanted.subject)
                && outcome == wanted.outcome
                && reason == wanted.reason.as_deref()
                && wanted.detail.as_ref().is_none_or(|part| detail.contains(part))
        };
        if !run.findings.iter().any(|finding| matches(&finding)) {
            return Err(format!("no finding is {wanted:#?}; there are {:#?}", run.findings));
        }
    }
    Ok(())
}

/// The example of a README: fenced blocks marked `before=PATH` and `after=PATH`.
fn check_readme(id: &str, folder: &Path, reports: bool) -> Result<(), String> {
    let text = fs::read_to_string(folder.join("README.md")).map_err(|error| error.to_string())?;
    if !text.starts_with(&format!("# {id}\n")) {
        return Err(format!("the title is not `# {id}`"));
    }
    for section in ["## What changes", "## Why", "## Example", "## When it declines", "## Safety", "## Order"] {
        if !text.lines().any(|line| line == section) {
            return Err(format!("there is no section `{section}`"));
        }
    }
    let example = examples(&text);
    let mut before = example.get("before").cloned().unwrap_or_default();
    let mut expected = before.clone();
    expected.extend(example.get("after").cloned().unwrap_or_default());
    if before.is_empty() || (expected == before) != reports {
        return Err("the example needs blocks marked before=PATH and after=PATH that differ".to_owned());
    }
    before.extend(example.get("beside").cloned().unwrap_or_default());
    expected.extend(example.get("beside").cloned().unwrap_or_default());
    let digest = format!("sha256:{}", "5".repeat(64));
    let images = ["node:22-alpine", "redis:7", "python:3.13-alpine", "golang:1.24"];
    let digests = images.map(|image| (image.to_owned(), digest.clone()));
    // A block that is marked `unsafe` shows what `--unsafe` does.
    let r#unsafe = text.lines().any(|line| line.starts_with("```") && line.ends_with(" unsafe"));
    let expect = Expect { digests: BTreeMap::from(digests), r#unsafe, ..Expect::default() };
    let (after, run) = transform(id, &before, &expect);
    if let (true, Some(finding)) = (expect.silent, run.findings.first()) {
        return Err(format!("it says {finding:?}"));
    }
    same(&expected, &after)?;
    invariants(id, &after, &expect, &run)
}

fn examples(text: &str) -> BTreeMap<String, Files> {
    let mut found: BTreeMap<String, Files> = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((role, path)) =
            line.strip_prefix("```").and_then(|info| info.split_whitespace().find_map(|word| word.split_once('=')))
        else {
            continue;
        };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        found
            .entry(role.to_owned())
            .or_default()
            .insert(path.to_owned(), format!("{}\n", body.join("\n")).into_bytes());
    }
    found
}

/// Runs one transform over files and returns the files as they would be written.
fn transform(id: &str, before: &Files, expect: &Expect) -> (Files, Run) {
    let workspace = Workspace::new();
    let root = workspace.path("app");
    for (path, bytes) in before {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let mut config = Config::load(&root).unwrap();
    config.platform = expect.platform.as_ref().map(|platform| platform.parse().unwrap()).or(config.platform);
    let tree = Tree::discover(&[root], &config.exclude).unwrap();
    let mut recorded = Recorded::new();
    for (media_type, digests) in [(MediaType::OciIndex, &expect.digests), (MediaType::OciManifest, &expect.images)] {
        for (reference, digest) in digests {
            let resolved = Resolved { digest: Digest::parse(digest).unwrap(), media_type };
            recorded.record(&Reference::parse(reference).unwrap(), Ok(resolved));
        }
    }
    for (reference, config) in &expect.configs {
        recorded.record_config(&Reference::parse(reference).unwrap(), Ok(config.clone()));
    }
    let ids = ALL.iter().map(|transform| transform.metadata().id);
    let only = match expect.with_earlier {
        true => ids.take_while(|earlier| *earlier != id).chain([id]).map(str::to_owned).collect(),
        false => vec![id.to_owned()],
    };
    let options = Options { only, allow_unsafe: expect.r#unsafe, update: expect.update, ..Options::default() };
    let run = pipeline::run(Repository::parse(tree, &config), &config, &options, &recorded).unwrap();
    let mut after = before.clone();
    for file in &run.files {
        after.insert(file.path.clone(), file.after.as_bytes().to_vec());
    }
    (after, run)
}

fn folder(id: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("transforms");
    let number = ALL.iter().find(|transform| transform.metadata().id == id).unwrap().metadata().number;
    root.join(format!("{number:02}-{id}"))
}

fn files(root: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(relative, fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn bless(folder: &Path, after: &Files) {
    if std::env::var_os("UNROOT_BLESS").is_none() {
        return;
    }
    fs::remove_dir_all(folder).unwrap();
    for (path, bytes) in after {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn same(expected: &Files, actual: &Files) -> Result<(), String> {
    let names = |files: &Files| files.keys().cloned().collect::<BTreeSet<_>>();
    if names(expected) != names(actual) {
        return Err(format!("files {:?} instead of {:?}", names(actual), names(expected)));
    }
    for (path, bytes) in expected {
        if bytes != &actual[path] {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let difference = unroot::report::diff::unified(path, text(bytes).as_str(), &text(&actual[path]));
            return Err(format!("{path} is not as expected (expected -, actual +):\n{difference}"));
        }
    }
    Ok(())
}
