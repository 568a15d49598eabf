//! Look-alike base images, made from distribution packages and served under their real names. See `bases/README.md`.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde::Deserialize;
use serde_json::Value;

use crate::lab::{Lab, Result, run};
use crate::say;

/// The seconds since 1970 that every file and image is dated, so that the same packages give the same digests.
const EPOCH: &str = "1700000000";

#[derive(Deserialize)]
struct Bases {
    base: Vec<Base>,
    missing: Vec<Missing>,
}

/// A stack that nothing is run of, because no base can be made for it.
#[derive(Deserialize)]
pub(crate) struct Missing {
    /// Its name.
    pub(crate) stack: String,
    /// Why there is no base.
    pub(crate) reason: String,
}

#[derive(Deserialize)]
struct Base {
    folder: String,
    target: Option<String>,
    #[serde(default)]
    names: Vec<String>,
}

/// Makes and publishes every base that is not there yet, or whose files changed since.
pub(crate) fn publish(lab: &Lab) -> Result<()> {
    let folder = folder();
    let bases = listed()?;
    let mut keys = BTreeMap::from([("debian".to_owned(), "1".to_owned())]);
    make(lab, "debian", "1", || debian(lab))?;
    for base in &bases.base {
        let key = key(&folder.join(&base.folder), base, &keys)?;
        make(lab, &base.image(), &key, || base.build(lab, &folder.join(&base.folder)))?;
        keys.insert(base.image(), key);
    }
    Ok(())
}

/// The stacks without a base, as listed.
pub(crate) fn missing() -> Result<Vec<Missing>> {
    Ok(listed()?.missing)
}

/// The text with every `{digest:NAME@ARCHITECTURE}` replaced by the digest of one image of the index published as `NAME`.
pub(crate) fn pin(lab: &Lab, text: &str) -> Result<String> {
    let mut pinned = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{digest:") {
        let (asked, after) = after.split_once('}').ok_or("a digest is asked for as {digest:NAME@ARCHITECTURE}")?;
        let (name, architecture) = asked.split_once('@').ok_or("a digest is asked for by NAME@ARCHITECTURE")?;
        let address = format!("docker://{}/{name}", lab.registry());
        let index = run(Command::new("skopeo").args(["inspect", "--raw", "--tls-verify=false", &address]))?;
        let index: Value = serde_json::from_str(&index)?;
        let mut images = index.pointer("/manifests").and_then(Value::as_array).into_iter().flatten();
        let image = images.find(|image| image.pointer("/platform/architecture") == Some(&architecture.into()));
        let digest = image.and_then(|image| image.get("digest")?.as_str());
        pinned.push_str(before);
        pinned.push_str(digest.ok_or_else(|| format!("{name} has no image for {architecture}"))?);
        rest = after;
    }
    pinned.push_str(rest);
    Ok(pinned)
}

impl Base {
    fn image(&self) -> String {
        match &self.target {
            Some(target) => format!("{}-{target}", self.folder),
            None => self.folder.clone(),
        }
    }

    fn build(&self, lab: &Lab, context: &Path) -> Result<()> {
        let image = local(&self.image());
        let mut options = vec!["--pull=never", "--timestamp", EPOCH];
        if let Some(target) = &self.target {
            options.extend(["--target", target.as_str()]);
        }
        let log = lab.path("log").join(format!("base-{}.log", self.image()));
        lab.build(&context.join("Containerfile"), context, &image, &options, &log)?;
        match self.names.split_first() {
            Some((first, others)) => index(lab, &self.image(), first, others),
            None => Ok(()),
        }
    }
}

fn listed() -> Result<Bases> {
    Ok(toml::from_str(&fs::read_to_string(folder().join("bases.toml"))?)?)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/bases")
}

/// A local name must not end in the short name that a FROM line asks for: it would be taken instead of the published one.
fn local(name: &str) -> String {
    format!("localhost/unroot-lab/base-{name}")
}

/// Runs `work` unless it ran before for the same key.
fn make(lab: &Lab, name: &str, key: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = lab.path("stamps").join(name);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == key) {
        return Ok(());
    }
    let start = Instant::now();
    work()?;
    fs::write(stamp, key)?;
    say(&format!("base {name}: {} s", start.elapsed().as_secs()));
    Ok(())
}

/// What a base is made of: its entry, its files, and the bases that it stands on.
fn key(folder: &Path, base: &Base, keys: &BTreeMap<String, String>) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    (&base.target, &base.names).hash(&mut hasher);
    let containerfile = fs::read_to_string(folder.join("Containerfile"))?;
    for (name, key) in keys {
        if containerfile.contains(&local(name)) {
            key.hash(&mut hasher);
        }
    }
    for file in crate::build::files(folder)? {
        file.strip_prefix(folder)?.hash(&mut hasher);
        fs::read(file)?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// The root of all the others: a minimal Debian, as a tree of packages.
fn debian(lab: &Lab) -> Result<()> {
    let tar = lab.path("tmp/debian.tar");
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--quiet", "--mode=root", "--variant=minbase", "--include=ca-certificates", "--format=tar"])
        .args(["--skip=output/dev", "--customize-hook=rm -f \"$1\"/etc/resolv.conf \"$1\"/etc/hostname"])
        .args(["doc", "man", "locale"].map(|name| format!("--dpkgopt=path-exclude=/usr/share/{name}/*")))
        .arg("bookworm")
        .arg(&tar)
        .env("SOURCE_DATE_EPOCH", EPOCH);
    run(&mut command)?;
    let container = run(&mut lab.buildah(["from", "scratch"]))?;
    run(lab.buildah(["add", "--quiet", &container]).arg(&tar).arg("/"))?;
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    run(&mut lab.buildah(["config", "--env", path, "--cmd", "[\"bash\"]", &container]))?;
    let commit =
        ["commit", "--quiet", "--rm", "--format", "docker", "--timestamp", EPOCH, &container, &local("debian")];
    run(&mut lab.buildah(commit))?;
    fs::remove_file(tar)?;
    Ok(())
}

/// Publishes an index of two platforms under the first name, and the same index under the others.
fn index(lab: &Lab, image: &str, first: &str, others: &[String]) -> Result<()> {
    let list = format!("localhost/unroot-lab/index-{image}");
    let _ = lab.buildah(["manifest", "rm", &list]).output()?;
    run(&mut lab.buildah(["manifest", "create", &list]))?;
    let storage = |name: &str| format!("containers-storage:{}:latest", local(name));
    run(&mut lab.buildah(["manifest", "add", &list, &storage(image)]))?;
    let arm64 = ["manifest", "add", "--arch", "arm64", "--variant", "v8", &list, &storage("arm64")];
    run(&mut lab.buildah(arm64))?;
    let address = |name: &str| format!("docker://{}/{name}", lab.registry());
    let push =
        ["manifest", "push", "--quiet", "--all", "--tls-verify=false", "--format", "v2s2", &list, &address(first)];
    run(&mut lab.buildah(push))?;
    for name in others {
        let mut command = Command::new("skopeo");
        command.args(["copy", "--quiet", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"]);
        run(command.arg(address(first)).arg(address(name)))?;
    }
    Ok(())
}
