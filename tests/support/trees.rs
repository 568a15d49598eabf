//! The repositories that tests look at, copies of them, and runs over them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use unroot::config::Config;
use unroot::discover::Tree;
use unroot::facts::{Application, Key, Pods, Surroundings};
use unroot::link::Links;
use unroot::pipeline::{self, Options, Run};
use unroot::registry::Resolver;
use unroot::repository::Repository;

/// Each `before` and `after` of the cases, each application of the corpus, and whatever is asked for beside.
pub(crate) fn roots() -> Vec<PathBuf> {
    let mut roots = own_roots();
    roots.extend(other_roots());
    roots
}

/// Each `before` and `after` of the cases, and each application of the corpus.
pub(crate) fn own_roots() -> Vec<PathBuf> {
    let mut roots = applications();
    roots.extend(cases().iter().flat_map(|case| folders(case)));
    roots
}

/// The folders of the directory that `UNROOT_CORPUS` names.
pub(crate) fn other_roots() -> Vec<PathBuf> {
    std::env::var_os("UNROOT_CORPUS").map(|directory| folders(Path::new(&directory))).unwrap_or_default()
}

/// The applications of the corpus.
pub(crate) fn applications() -> Vec<PathBuf> {
    folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"))
}

/// The cases of all transforms.
pub(crate) fn cases() -> Vec<PathBuf> {
    let transforms = folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("transforms"));
    transforms.iter().flat_map(|transform| folders(&transform.join("cases"))).collect()
}

/// The folders in a folder, by name.
pub(crate) fn folders(parent: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Regular files and folders; links are not followed, as in a run.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            fs::create_dir(&target).unwrap();
            copy_tree(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// Looks at the application of each Dockerfile of a tree, as no registry was asked.
pub(crate) fn each_image(root: &Path, mut look: impl FnMut(&Application<'_>)) {
    let config = Config::load(root).unwrap();
    let tree = Tree::discover(&[root.to_path_buf()], &config.exclude).unwrap();
    let repository = Repository::parse(tree, &config);
    let links = Links::find(&repository, &config);
    let (digests, configs, pods) = (BTreeMap::new(), BTreeMap::new(), Pods::default());
    let around = Surroundings {
        repository: &repository,
        links: &links,
        config: &config,
        digests: &digests,
        update: false,
        configs: &configs,
        pods: &pods,
    };
    for key in Application::keys(&repository, &links) {
        if matches!(key, Key::Dockerfile(_) | Key::Stage(..)) {
            look(&Application::new(around, key).unwrap());
        }
    }
}

/// All transforms over a tree; nothing is written.
pub(crate) fn run(root: &Path, allow_unsafe: bool, resolver: &dyn Resolver) -> Run {
    let target = Some("restricted@1.37".parse().unwrap());
    run_with(root, &Options { allow_unsafe, target, ..Options::default() }, resolver)
}

/// The same with options of one's own.
pub(crate) fn run_with(root: &Path, options: &Options, resolver: &dyn Resolver) -> Run {
    let config = Config::load(root).unwrap();
    let tree = Tree::discover(&[root.to_path_buf()], &config.exclude).unwrap();
    pipeline::run(Repository::parse(tree, &config), &config, options, resolver).unwrap()
}
