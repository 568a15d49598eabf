//! An image and the containers that run it name the same user, or neither of them is touched.
//!
//! That must hold whichever of the files are there. So each case and each application of the corpus is run once more in other
//! company: without its manifests and compose files, and with a Deployment for each Dockerfile whose image nothing runs,
//! which asks for a user or does not.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "here a failed step should end the test")]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

mod support;

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use support::trees::{applications, cases, copy_tree, each_image, run};
use unroot::config::Config;
use unroot::discover::{Class, Tree, directory, file_name};
use unroot::dockerfile;
use unroot::facts::{ContainerFacts, User};
use unroot::image::{ImageConfig, Reference};
use unroot::kubernetes::Settings;
use unroot::registry::Recorded;
use unroot::yaml::{self, Node};

#[test]
fn image_and_manifest_agree() {
    let trees = each_tree("as it is", |_| true);
    assert!(trees > 300, "only {trees} trees were found");
}

#[test]
fn image_and_manifest_agree_without_the_manifest() {
    let trees = each_tree("without manifests", |root| {
        let tree = discover(root);
        let others: Vec<_> = tree.candidates().iter().filter(|other| other.class != Class::Dockerfile).collect();
        for other in &others {
            fs::remove_file(root.join(&other.path)).unwrap();
        }
        !others.is_empty()
    });
    assert!(trees > 100, "only {trees} trees have manifests");
}

#[test]
fn image_and_manifest_agree_with_a_manifest_more() {
    let trees = each_tree("with a Deployment more", |root| deploy(root, ""));
    assert!(trees > 100, "only {trees} trees have a Dockerfile that no container runs");
}

#[test]
fn image_and_manifest_agree_with_a_manifest_that_names_a_user() {
    let asks = "        securityContext:\n          runAsUser: 20000\n";
    let trees = each_tree("with a Deployment that asks for a user", |root| deploy(root, asks));
    assert!(trees > 100, "only {trees} trees have a Dockerfile that no container runs");
}

/// A Dockerfile's user and the containers that run its image.
#[derive(Debug, PartialEq)]
struct Image {
    user: User,
    /// A USER of the file says so, and not its base.
    is_written: bool,
    /// By place in the manifests, which a run keeps in order.
    containers: Vec<Container>,
}

#[derive(Debug, PartialEq)]
struct Container {
    /// File, workload and name.
    place: String,
    run_as_user: Option<i64>,
    run_as_non_root: Option<bool>,
    /// The platform chooses its user.
    assigned: bool,
}

/// Runs each tree that `arrange` makes something of, in both modes, and says how many there were.
fn each_tree(company: &str, arrange: impl Fn(&Path) -> bool) -> usize {
    let mut trees = 0;
    for (root, resolver) in samples() {
        let workspace = tempfile::tempdir().unwrap();
        // The folder's name is the image's.
        let copy = workspace.path().join("app");
        fs::create_dir(&copy).unwrap();
        copy_tree(&root, &copy);
        if discover(&copy).candidates().iter().all(|candidate| candidate.class != Class::Dockerfile) || !arrange(&copy)
        {
            continue;
        }
        trees += 1;
        let changed = workspace.path().join("changed");
        for allow_unsafe in [false, true] {
            let changed = changed.join(if allow_unsafe { "unsafe" } else { "safe" }).join("app");
            fs::create_dir_all(&changed).unwrap();
            copy_tree(&copy, &changed);
            if let Err(message) = holds(&changed, allow_unsafe, &resolver) {
                panic!("{} {company}, unsafe {allow_unsafe}: {message}", root.display());
            }
        }
    }
    println!("{trees} trees {company}");
    trees
}

/// What a run makes of a tree, and the files as they would be written.
fn holds(root: &Path, allow_unsafe: bool, resolver: &Recorded) -> Result<(), String> {
    let before = state(root);
    let first = run(root, allow_unsafe, resolver);
    if first.has_internal_failures() {
        return Err(format!("a change did not prove to be what was planned: {:#?}", first.findings));
    }
    for file in &first.files {
        fs::write(root.join(&file.path), file.after.as_bytes()).unwrap();
        let is_read = match file.path.ends_with("ml") || file.path.ends_with(".json") {
            true => yaml::parse(file.after.clone()).is_ok(),
            false => dockerfile::parse(file.after.clone()).is_ok(),
        };
        if !is_read {
            return Err(format!("{} cannot be read any more", file.path));
        }
    }
    for (path, after) in &state(root) {
        agree(&before[path], after).map_err(|message| format!("{path}: {message}"))?;
    }
    match run(root, allow_unsafe, resolver).files.first() {
        Some(file) => Err(format!("a second run changes {}", file.path)),
        None => Ok(()),
    }
}

/// The identity contract: a container that is told to be somebody has an image that ends with the number, and an image whose
/// user changes has containers that are told.
fn agree(before: &Image, after: &Image) -> Result<(), String> {
    // A variable of the base (`USER $APP_UID`) is a number once it is built.
    let uid = match after.user {
        User::Numeric { uid, .. } if after.is_written => Some(i64::from(uid)),
        _ => None,
    };
    for (was, is) in before.containers.iter().zip(&after.containers) {
        // Who it is was its author's choice, where a number stood there before.
        let is_chosen = was.run_as_user.is_some_and(|uid| uid != 0) && is.run_as_user == was.run_as_user;
        let told = is.run_as_user.is_some_and(|uid| uid != 0) || is.run_as_non_root == Some(true);
        let agrees = uid.is_some() && is.run_as_user.is_none_or(|told| Some(told) == uid);
        if told && is != was && !is_chosen && !agrees {
            return Err(format!("{is:?}, but the image ends as {:?}", after.user));
        }
        let follows = is.run_as_user == uid || is.assigned && is.run_as_user.is_none();
        if uid.is_some() && after.user != before.user && !follows {
            return Err(format!("the image becomes {:?}, but {is:?}", after.user));
        }
    }
    Ok(())
}

#[test]
fn disagreement_is_noticed() {
    let numeric = |uid| User::Numeric { uid, gid: None };
    let named = User::Named { name: "node".to_owned(), ids: None };
    let image = |user: User, run_as_user: Option<i64>, run_as_non_root: Option<bool>| Image {
        user,
        is_written: true,
        containers: vec![Container { place: "web".to_owned(), run_as_user, run_as_non_root, assigned: false }],
    };
    let root = image(User::Root, None, None);
    assert_eq!(agree(&root, &root), Ok(()));
    assert_eq!(agree(&root, &image(numeric(1000), Some(1000), Some(true))), Ok(()));
    assert!(agree(&root, &image(numeric(1000), None, None)).is_err(), "the container is not told");
    assert!(agree(&root, &image(numeric(1000), Some(1001), None)).is_err(), "it is told otherwise");
    assert!(agree(&root, &image(User::Root, Some(1000), None)).is_err(), "the image stays root");
    assert!(agree(&root, &image(named, None, Some(true))).is_err(), "Kubernetes cannot tell who a name is");
}

fn state(root: &Path) -> BTreeMap<String, Image> {
    let mut images = BTreeMap::new();
    each_image(root, |application| {
        let image = application.image.as_ref().unwrap();
        let containers = application.containers.iter().map(container).collect();
        let is_written = image.user_instruction.is_some();
        // A Dockerfile may build several images.
        let mut name = image.path.to_owned();
        while images.contains_key(&name) {
            name.push('+');
        }
        images.insert(name, Image { user: image.user.clone(), is_written, containers });
    });
    images
}

fn container(facts: &ContainerFacts<'_>) -> Container {
    Container {
        place: format!("{} {} {}", facts.path, facts.workload.name, facts.container.name),
        run_as_user: facts.security("runAsUser").and_then(Node::as_i64),
        run_as_non_root: facts.security("runAsNonRoot").and_then(Node::as_bool),
        assigned: facts.settings() == Settings::UserAssigned,
    }
}

/// Adds a Deployment for each Dockerfile whose image nothing runs, and says whether names link one of them.
fn deploy(root: &Path, settings: &str) -> bool {
    let before = state(root);
    let unlinked: Vec<&String> =
        before.iter().filter(|(_, image)| image.containers.is_empty()).map(|(path, _)| path).collect();
    for (number, path) in unlinked.iter().enumerate() {
        fs::write(root.join(format!("deployment-{number}.yaml")), deployment(root, path, settings)).unwrap();
    }
    let after = state(root);
    unlinked.iter().any(|path| !after[*path].containers.is_empty())
}

/// A Deployment that runs the image of a Dockerfile, as names tell it.
fn deployment(root: &Path, path: &str, settings: &str) -> String {
    let folder = file_name(directory(path));
    let folder = if folder.is_empty() { file_name(root.to_str().unwrap()) } else { folder };
    let own = file_name(path).to_lowercase();
    let own = own.trim_start_matches("dockerfile").trim_end_matches("dockerfile").trim_matches('.');
    let name = if own.is_empty() { folder.to_lowercase() } else { own.to_owned() };
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  selector:\n    matchLabels: {{app: {name}}}\n  template:\n    \
         metadata:\n      labels: {{app: {name}}}\n    spec:\n      containers:\n      - name: {name}\n        image: registry.example/{name}:1\n{settings}"
    )
}

fn discover(root: &Path) -> Tree {
    let config = Config::load(root).unwrap();
    Tree::discover(&[root.to_path_buf()], &config.exclude).unwrap()
}

/// What the registries of a case say of images.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Expect {
    configs: BTreeMap<String, ImageConfig>,
}

/// The applications, and what the cases start from.
fn samples() -> Vec<(PathBuf, Recorded)> {
    let applications = applications().into_iter().map(|root| (root, Recorded::new()));
    let cases = cases().into_iter().map(|case| {
        let text = fs::read_to_string(case.join("expect.toml")).unwrap_or_default();
        let expect: Expect = toml::from_str(&text).unwrap();
        let mut recorded = Recorded::new();
        for (image, config) in expect.configs {
            recorded.record_config(&Reference::parse(&image).unwrap(), Ok(config));
        }
        (case.join("before"), recorded)
    });
    applications.chain(cases).collect()
}
