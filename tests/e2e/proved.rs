//! `unroot prove`, called as a user calls it: with podman, on the trees whose verdicts the lab knows.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use unroot::config::ProbeEntry;
use unroot::prove::judge::Settings;
use unroot::prove::kubelet::DEFAULT_CAPABILITIES;

use crate::application::Application;
use crate::build;
use crate::lab::{Lab, Result, tail};

/// What the program said of a tree.
#[derive(Deserialize)]
pub(crate) struct Proof {
    pub(crate) conclusion: String,
    pub(crate) workloads: Vec<Workload>,
}

#[derive(Deserialize)]
pub(crate) struct Workload {
    pub(crate) workload: String,
    pub(crate) outcome: String,
    pub(crate) reason: Option<String>,
    pub(crate) diagnosis: Option<Value>,
    old_disks: Option<Value>,
    after: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    container: String,
    uid: u32,
    gid: u32,
    groups: BTreeSet<u32>,
    capabilities: BTreeSet<String>,
    read_only_root: bool,
    writes: BTreeSet<String>,
}

/// Runs `unroot prove` in a tree of the application. `more` are further arguments.
pub(crate) fn prove(lab: &Lab, tree: &Path, more: &[&str]) -> Result<Proof> {
    let binary = env::var_os("UNROOT_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_unroot").into());
    let mut command = Command::new(binary);
    command.current_dir(tree).args(["prove", "--engine", "podman", "--json", "--no-cache", "--time-limit", "90"]);
    for option in lab.build_options() {
        command.arg(format!("--build-option={option}"));
    }
    let output = lab.equip(&mut command).args(more).output()?;
    serde_json::from_slice(&output.stdout).map_err(|error| {
        let said = tail(&String::from_utf8_lossy(&output.stderr), 12);
        format!("unroot prove in {}: {}: {error}: {said}", tree.display(), output.status).into()
    })
}

/// What the application is asked, for the tree's `unroot.toml`, and where its images are built, where no file of the tree says so.
pub(crate) fn configuration(application: &Application) -> Result<String> {
    #[derive(Serialize)]
    struct Questions<'a> {
        probe: &'a [ProbeEntry],
    }
    Ok(toml::to_string(&Questions { probe: &application.probes })?)
}

/// How the workloads did that keep something, on the disks that their versions as found wrote.
pub(crate) fn on_old_disks(proof: &Proof) -> String {
    let outcome = |workload: &Workload| workload.old_disks.as_ref()?.get("outcome")?.as_str().map(str::to_owned);
    let outcomes: BTreeSet<String> = proof.workloads.iter().filter_map(outcome).collect();
    match outcomes.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => String::new(),
        ["holds"] => ", on the old disks too".to_owned(),
        others => format!(", on the old disks {}", others.join(" and ")),
    }
}

/// How a proof differs from what the lab saw of the same tree; nothing where they agree.
pub(crate) fn difference(proof: &Proof, settings: &[Settings]) -> Option<String> {
    if proof.conclusion != "holds" {
        let told = |workload: &Workload| {
            let why = workload.reason.clone().or_else(|| workload.diagnosis.as_ref().map(Value::to_string));
            format!("{} {}: {}", workload.workload, workload.outcome, why.unwrap_or_default())
        };
        let all: Vec<String> =
            proof.workloads.iter().filter(|workload| workload.outcome != "answers").map(told).collect();
        return Some(format!("{}: {}", proof.conclusion, all.join("; ")));
    }
    let seen = |container: &Container| {
        let Container { uid, gid, groups, capabilities, read_only_root, writes, .. } = container;
        (*uid, *gid, groups.clone(), capabilities.clone(), *read_only_root, writes.clone())
    };
    let proved: BTreeMap<String, Told> = proof
        .workloads
        .iter()
        .flat_map(|workload| {
            let name = workload.workload.split('/').nth(1).unwrap_or_default();
            workload.after.iter().map(move |container| (format!("{name}/{}", container.container), seen(container)))
        })
        .collect();
    let known: BTreeMap<String, Told> = settings
        .iter()
        .map(|settings| {
            let config = &settings.config;
            let identity = &config.identity;
            // The process may have stepped down by itself.
            let (uid, gid) = settings.seen.as_ref().map_or((identity.uid, identity.gid), |seen| (seen.uid, seen.gid));
            // No proof gives more than the default set.
            let given = config.capabilities.iter().filter(|name| DEFAULT_CAPABILITIES.contains(&name.as_str()));
            let capabilities = given.cloned().collect();
            let told =
                (uid, gid, identity.groups.clone(), capabilities, config.read_only_root, settings.writes.clone());
            (settings.container.clone(), told)
        })
        .collect();
    (proved != known).then(|| format!("saw {proved:?} and not {known:?}"))
}

/// User, group, further groups, capabilities, whether the root is read-only, and where it wrote.
type Told = (u32, u32, BTreeSet<u32>, BTreeSet<String>, bool, BTreeSet<String>);

/// Writes documents in the place of the manifests that they were read from: all into the first file, the others become empty.
pub(crate) fn write_documents(tree: &Path, manifests: &[PathBuf], documents: &[Value]) -> Result<()> {
    let mut files = Vec::new();
    for path in manifests {
        let path = tree.join(path);
        files.extend(if path.is_dir() { build::files(&path)? } else { vec![path] });
    }
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml" || end == "yml"));
    let texts: Vec<String> = documents.iter().map(serde_yaml::to_string).collect::<std::result::Result<_, _>>()?;
    for (number, file) in files.iter().enumerate() {
        fs::write(file, if number == 0 { texts.join("---\n") } else { String::new() })?;
    }
    Ok(())
}
