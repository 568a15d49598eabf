//! Building an application's own images from its Dockerfiles, as they stand.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::Value;

use unroot::prove::kubelet::{Accounts, ImageConfig};

use crate::application;
use crate::lab::{Lab, Result, run};

/// What the names of applications' images begin with.
const BUILT: &str = "localhost/unroot-lab/built-";

/// Builds one image of the application in `tree`; the local name of the result. A build that fails is the application's failure.
pub(crate) fn build(lab: &Lab, tree: &Path, image: &application::Image) -> Result<String> {
    let context = tree.join(&image.context);
    let dockerfile = tree.join(&image.dockerfile);
    let mut hasher = DefaultHasher::new();
    // What an image is built upon is a part of it.
    for stamp in files(&lab.path("stamps"))? {
        fs::read(stamp)?.hash(&mut hasher);
    }
    image.name.hash(&mut hasher);
    fs::read(&dockerfile)?.hash(&mut hasher);
    for file in files(&context)? {
        file.strip_prefix(&context)?.hash(&mut hasher);
        fs::read(file)?.hash(&mut hasher);
    }
    let name = format!("{BUILT}{:016x}", hasher.finish());
    if run(&mut lab.buildah(["inspect", "--type", "image", &name])).is_err() {
        let log = lab.path("log").join(format!("build-{}.log", image.name.replace(['/', ':'], "-")));
        lab.build(&dockerfile, &context, &name, &["--pull"], &log)?;
    }
    Ok(name)
}

/// Images as folders: each is pulled and mounted once in a run.
pub(crate) struct Images<'a> {
    lab: &'a Lab,
    mounted: Mutex<BTreeMap<String, Image>>,
}

/// An image that containers can be started from.
#[derive(Clone)]
pub(crate) struct Image {
    /// Its files; nothing may be written there.
    pub(crate) root: PathBuf,
    /// Its user, command and so on.
    pub(crate) config: ImageConfig,
    /// Its accounts.
    pub(crate) accounts: Accounts,
}

impl<'a> Images<'a> {
    /// No image yet.
    pub(crate) fn new(lab: &'a Lab) -> Self {
        Self { lab, mounted: Mutex::default() }
    }

    /// The image of that name, from the store if it was built here, else from the registry on loopback.
    pub(crate) fn open(&self, name: &str) -> Result<Image> {
        // Held to the end, so that nothing is pulled twice.
        let mut mounted = self.mounted.lock().map_err(|_| "another trial broke off")?;
        if let Some(image) = mounted.get(name) {
            return Ok(image.clone());
        }
        let pull = if name.starts_with("localhost/") { "--pull-never" } else { "--pull-always" };
        let container = run(&mut self.lab.buildah(["from", "--quiet", pull, &untagged(name)]))?;
        let root = run(&mut self.lab.buildah(["mount", &container]))?;
        let told = run(&mut self.lab.buildah(["inspect", "--type", "container", &container]))?;
        let told: Value = serde_json::from_str(&told)?;
        let config = told.pointer("/Docker/config").ok_or("buildah tells nothing of the image")?;
        let root = PathBuf::from(root);
        let table = |name: &str| String::from_utf8_lossy(&fs::read(root.join(name)).unwrap_or_default()).into_owned();
        let accounts = Accounts { passwd: table("etc/passwd"), group: table("etc/group") };
        let image = Image { config: ImageConfig::deserialize(config)?, accounts, root };
        mounted.insert(name.to_owned(), image.clone());
        Ok(image)
    }

    /// Ends the use of every image. `complete` says that all applications were built, so what was not used is of no use.
    pub(crate) fn close(self, complete: bool) -> Result<()> {
        run(&mut self.lab.buildah(["rm", "--all"]))?;
        if complete {
            let used = self.mounted.into_inner().map_err(|_| "a trial broke off")?;
            let names = run(&mut self.lab.buildah(["images", "--format", "{{.Name}}", "--filter", "dangling=false"]))?;
            let stale = names.lines().filter(|name| name.starts_with(BUILT) && !used.contains_key(*name));
            for name in stale {
                run(&mut self.lab.buildah(["rmi", name]))?;
            }
            run(&mut self.lab.buildah(["rmi", "--prune"]))?;
        }
        Ok(())
    }
}

/// A reference with a tag and a digest means the digest; buildah takes only one of the two.
fn untagged(name: &str) -> String {
    let Some((tagged, digest)) = name.split_once('@') else { return name.to_owned() };
    let repository = match tagged.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => tagged,
    };
    format!("{repository}@{digest}")
}

/// Every file below a folder, in a fixed order; links are not followed.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
