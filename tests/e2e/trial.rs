//! What is claimed about an application, put to the test: it starts as found, it answers the same once hardened and after
//! each step of the hardening, and the hardenings that only look right do not.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};

use unroot::config::ProbeEntry;
use unroot::prove::diagnosis::{self, Case};
use unroot::prove::judge::{Breakdown, Reached, Settings, Trial, Trouble, Verdict};
use unroot::prove::kubelet::ImageVolumes;
use unroot::prove::node::Disks;
use unroot::prove::objects::{self, Objects, Workload};
use unroot::prove::proof::Diagnosis;

use crate::application::{Application, Naive};
use crate::bases;
use crate::build::{self, Images};
use crate::lab::{self, Lab, Result, run, tail};
use crate::level;
use crate::manifest;
use crate::node::LabNode;
use crate::proof;
use crate::proved;
use crate::say;
use crate::table::{Record, Row};

/// How long an application may take until it answers: a database makes its files in that time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// How many applications are on trial at once: most of a trial is waiting for something to start.
const AT_ONCE: usize = 3;

/// Puts every application on trial; what came out, in order.
pub(crate) fn all(lab: &Lab, images: &Images<'_>, applications: &[Application]) -> Result<Vec<Record>> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<_>> {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(application) = applications.get(index) else { return Ok(done) };
            done.push((index, one(lab, images, application)?));
        }
    };
    let mut done = thread::scope(|scope| -> Result<Vec<_>> {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let mut done = Vec::new();
        for worker in workers {
            done.extend(worker.join().map_err(|_| "a trial ended in a panic")??);
        }
        Ok(done)
    })?;
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, record)| record).collect())
}

/// Runs every tree of one application. Where the lab itself fails, that is the last row of this one, and the others go on.
fn one(lab: &Lab, images: &Images<'_>, application: &Application) -> Result<Record> {
    let tree = application.tree();
    let mut bench = Bench {
        lab,
        images,
        application,
        record: Record::new(application, level::of(application, &tree)?),
        found: Vec::new(),
    };
    if let Err(error) = bench.all(&tree) {
        bench.row("the lab", error.to_string(), false);
    }
    Ok(bench.record)
}

struct Bench<'a> {
    lab: &'a Lab,
    images: &'a Images<'a>,
    application: &'a Application,
    record: Record,
    /// The containers as found.
    found: Vec<Settings>,
}

impl Bench<'_> {
    fn all(&mut self, tree: &Path) -> Result<()> {
        let disks = self.lab.scratch(&self.application.name, "disks")?;
        if let Some(answers) = self.as_found(tree, &disks)? {
            self.naively(tree)?;
            let hardened = self.hardened(tree, &disks, &answers)?;
            self.hardened_unsafely(tree, &hardened, &answers)?;
            self.learnt(tree, &answers)?;
        }
        Ok(())
    }

    /// The application as it was found must answer, else nothing can be learnt from it. Its disks are kept.
    fn as_found(&mut self, tree: &Path, disks: &Path) -> Result<Option<Vec<String>>> {
        let documents = self.documents(tree)?;
        match self.judge(tree, &documents, &self.application.probes, ImageVolumes::Writable, disks)? {
            Verdict::Holds { bodies, settings, .. } => {
                self.row("as found", format!("answers {}", bodies.len()), true);
                for settings in &settings {
                    self.row(&format!("  {}", settings.container), in_words(settings), true);
                }
                self.found = settings;
                Ok(Some(bodies))
            }
            Verdict::Fails(breakdown) => {
                self.row("as found", format!("void, it does not run: {breakdown}"), false);
                Ok(None)
            }
        }
    }

    /// Each naive hardening must fail, for its own reason, and what is said about it must be what helps.
    fn naively(&mut self, tree: &Path) -> Result<()> {
        let as_found = self.documents(tree)?;
        let former = self.objects(tree, &as_found)?.map_err(|error| format!("built once, and not again: {error}"))?;
        for naive in &self.application.naive {
            let tree = &self.copy(tree, "naive")?;
            for (file, instead) in &naive.files {
                let file = tree.join(file);
                fs::copy(self.application.beside(instead), &file)?;
                fs::write(&file, bases::pin(self.lab, &fs::read_to_string(&file)?)?)?;
            }
            let documents = merged(&self.documents(tree)?, naive);
            let objects = self.objects(tree, &documents)?;
            let verdict = match &objects {
                Ok(objects) => self.naive_verdict(objects)?,
                Err(error) => Verdict::Fails(Box::new(unbuilt(error.clone()))),
            };
            let (outcome, right) = match verdict {
                Verdict::Fails(breakdown) if breakdown.to_string().contains(&naive.fails) => {
                    let diagnosis = match &objects {
                        Ok(objects) => self.diagnosis(&breakdown, objects, &former)?,
                        Err(error) => diagnosis::of_build(error),
                    };
                    let cause = serde_json::to_value(diagnosis.cause)?;
                    let right = diagnosis.remedy.contains(&naive.remedy)
                        && naive.cause.as_ref().is_none_or(|expected| cause == **expected);
                    let shown = if right { naive.remedy.replace('`', "") } else { format!("{cause}: {diagnosis:?}") };
                    (format!("fails: {} -> {shown}", naive.fails), right)
                }
                Verdict::Fails(breakdown) => (format!("fails otherwise: {breakdown}"), false),
                Verdict::Holds { .. } => ("answers, and must not".to_owned(), false),
            };
            self.row(&format!("naive: {}", naive.name), outcome, right);
        }
        match self.application.naive.first() {
            Some(first) if self.application.proves_naive => self.naively_proved(tree, first),
            _ => Ok(()),
        }
    }

    /// `unroot prove --before` says of the first naive hardening what is said of it here.
    fn naively_proved(&mut self, tree: &Path, naive: &Naive) -> Result<()> {
        let (found, copy) = (self.copy(tree, "as-found")?, self.copy(tree, "naive-proved")?);
        for (file, instead) in &naive.files {
            let file = copy.join(file);
            fs::copy(self.application.beside(instead), &file)?;
            fs::write(&file, bases::pin(self.lab, &fs::read_to_string(&file)?)?)?;
        }
        let documents = merged(&self.documents(&copy)?, naive);
        proved::write_documents(&copy, &self.application.manifests, &documents)?;
        self.configure(&copy)?;
        self.ask_in(&copy)?;
        let found = found.to_str().ok_or("a folder's name is no text")?;
        let proof = proved::prove(self.lab, &copy, &["--before", found])?;
        let remedies: Vec<&str> = proof
            .workloads
            .iter()
            .filter_map(|workload| workload.diagnosis.as_ref()?.get("remedy")?.as_str())
            .collect();
        let right = proof.conclusion == "breaks" && remedies.iter().any(|remedy| remedy.contains(&naive.remedy));
        let outcome = if right {
            "breaks, with the same remedy".to_owned()
        } else {
            format!("{}: {remedies:?}", proof.conclusion)
        };
        self.row("unroot prove --before", outcome, right);
        Ok(())
    }

    /// Runs a naive hardening on new disks.
    fn naive_verdict(&self, objects: &Objects) -> Result<Verdict> {
        let disks = self.lab.scratch(&self.application.name, "new-disks")?;
        self.run(objects, &self.application.probes, ImageVolumes::Writable, &disks)
    }

    /// What is said about a naive hardening.
    fn diagnosis(&self, breakdown: &Breakdown, objects: &Objects, former: &Objects) -> Result<Diagnosis> {
        let index = breakdown.workload.ok_or("nobody is to blame")?;
        let (workload, former) = (objects.workloads.get(index), former.workloads.get(index));
        let (Some(workload), Some(former)) = (workload, former) else { return Err("the workload is gone".into()) };
        let original: Vec<Settings> =
            self.found.iter().filter(|settings| settings.workload == index).cloned().collect();
        let case = Case { breakdown, workload, former, original: &original };
        let mut holds_with = |other: &Workload| {
            let mut objects = objects.clone();
            if let Some(place) = objects.workloads.get_mut(index) {
                *place = other.clone();
            }
            Ok(matches!(self.naive_verdict(&objects)?, Verdict::Holds { .. }))
        };
        Ok(diagnosis::diagnose(&case, &mut holds_with)?)
    }

    /// The hardened application gives the same answers: whole, after each patch, in both kinds of cluster, on old disks. Its tree.
    fn hardened(&mut self, tree: &Path, old_disks: &Path, answers: &[String]) -> Result<PathBuf> {
        let hardened = self.copy(tree, "hardened")?;
        let growing = self.copy(tree, "growing")?;
        for copy in [&hardened, &growing] {
            self.configure(copy)?;
        }
        if !self.unroot(&hardened, &["--write".into()])? {
            return Ok(hardened);
        }
        let patches = self.lab.scratch(&self.application.name, "patches")?;
        if !self.unroot(&growing, &["--patches".into(), patches.clone().into()])? {
            return Ok(hardened);
        }
        let all = build::files(&patches)?;
        for (number, patch) in all.iter().enumerate() {
            run(Command::new("git").current_dir(&growing).arg("apply").arg(patch))?;
            let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if number + 1 < all.len() {
                self.same(&format!("patched up to {name}"), &growing, answers, ImageVolumes::Writable)?;
            }
        }
        if contents(&growing)? != contents(&hardened)? {
            self.row("all patches", "differ from what --write writes".to_owned(), false);
        }
        self.record.after = level::of(self.application, &hardened)?;
        if let Some(settings) = self.same("hardened", &hardened, answers, ImageVolumes::Writable)? {
            self.proved(tree, &hardened, &settings)?;
            for settings in &settings {
                let declined = self.application.declined.contains(&settings.container);
                self.record.writes.extend(settings.writes.iter().cloned());
                self.record.proved.extend(proof::row(self.application, &hardened, settings)?);
                let words = in_words(settings);
                let outcome = if declined { format!("declined: {words}") } else { words };
                self.row(&format!("  {}", settings.container), outcome, settings.is_restricted() != declined);
            }
        }
        self.same("hardened, image volumes read-only", &hardened, answers, ImageVolumes::PartOfRoot)?;
        if !self.application.kept.is_empty() {
            let documents = self.admitted(&hardened)?;
            let kept = &self.application.kept;
            match self.judge(&hardened, &documents, kept, ImageVolumes::Writable, old_disks)? {
                Verdict::Holds { .. } => self.row("hardened, on the old disks", "finds its data".to_owned(), true),
                Verdict::Fails(breakdown) => {
                    self.row("hardened, on the old disks", format!("fails: {breakdown}"), false);
                }
            }
        }
        if self.unroot(&hardened, &["--check".into()])? {
            self.row("hardened again", "nothing to change".to_owned(), true);
        }
        Ok(hardened)
    }

    /// `unroot prove` comes to the same, by an engine of its own: that it holds, as whom each container runs, and where it writes.
    fn proved(&mut self, tree: &Path, hardened: &Path, settings: &[Settings]) -> Result<()> {
        let proof = if self.application.cluster_uid.is_some() {
            // Nobody but the cluster knows the uid that it gives: it is written into what was hardened.
            let (found, copy) = (self.copy(tree, "as-found")?, self.copy(hardened, "proved")?);
            proved::write_documents(&copy, &self.application.manifests, &self.admitted(hardened)?)?;
            self.ask_in(&copy)?;
            proved::prove(self.lab, &copy, &["--before", found.to_str().ok_or("a folder's name is no text")?])?
        } else {
            let copy = self.copy(tree, "proved")?;
            self.configure(&copy)?;
            self.ask_in(&copy)?;
            proved::prove(self.lab, &copy, &[])?
        };
        match proved::difference(&proof, settings) {
            None => self.row("unroot prove", format!("the same verdict{}", proved::on_old_disks(&proof)), true),
            Some(difference) => self.row("unroot prove", difference, false),
        }
        Ok(())
    }

    /// Read-only roots that are declined for want of knowing where a container writes are there once it was watched.
    fn learnt(&mut self, tree: &Path, answers: &[String]) -> Result<()> {
        let learns = self.application.learns.clone();
        if learns.is_empty() {
            return Ok(());
        }
        let copy = self.copy(tree, "learnt")?;
        self.configure(&copy)?;
        self.ask_in(&copy)?;
        let proof = proved::prove(self.lab, &copy, &["--learn"])?;
        if proof.conclusion != "holds" {
            self.row("unroot prove --learn", proof.conclusion, false);
            return Ok(());
        }
        if !self.unroot(&copy, &["--write".into()])? {
            return Ok(());
        }
        for (what, volumes) in [
            ("hardened as learnt", ImageVolumes::Writable),
            ("hardened as learnt, image volumes read-only", ImageVolumes::PartOfRoot),
        ] {
            let Some(settings) = self.same(what, &copy, answers, volumes)? else { continue };
            if volumes == ImageVolumes::PartOfRoot {
                continue;
            }
            for settings in settings.iter().filter(|settings| learns.contains(&settings.container)) {
                let read_only = settings.config.read_only_root;
                self.row(&format!("  {}", settings.container), in_words(settings), read_only);
            }
        }
        let proof = proved::prove(self.lab, &copy, &[])?;
        let holds = proof.conclusion == "holds";
        self.row("unroot prove, as learnt", proof.conclusion, holds);
        Ok(())
    }

    /// Writes the application's questions into the configuration of a tree.
    fn ask_in(&self, tree: &Path) -> Result<()> {
        let file = tree.join("unroot.toml");
        let text = fs::read_to_string(&file).unwrap_or_default();
        Ok(fs::write(file, text + &proved::configuration(self.application)?)?)
    }

    /// What `--unsafe` adds must start and answer as well.
    fn hardened_unsafely(&mut self, tree: &Path, safely: &Path, answers: &[String]) -> Result<()> {
        let hardened = self.copy(tree, "hardened-unsafely")?;
        self.configure(&hardened)?;
        if !self.unroot(&hardened, &["--unsafe".into(), "--write".into()])? {
            return Ok(());
        }
        self.record.after_unsafe = level::of(self.application, &hardened)?;
        if contents(&hardened)? == contents(safely)? {
            self.row("hardened with --unsafe", "the same files".to_owned(), true);
            return Ok(());
        }
        if let Some(settings) = self.same("hardened with --unsafe", &hardened, answers, ImageVolumes::Writable)? {
            for settings in &settings {
                self.row(&format!("  {}", settings.container), in_words(settings), true);
            }
        }
        self.same("hardened with --unsafe, image volumes read-only", &hardened, answers, ImageVolumes::PartOfRoot)?;
        if self.unroot(&hardened, &["--unsafe".into(), "--check".into()])? {
            self.row("hardened again with --unsafe", "nothing to change".to_owned(), true);
        }
        Ok(())
    }

    /// Judges one tree on new disks against the answers as found.
    fn same(
        &mut self,
        what: &str,
        tree: &Path,
        answers: &[String],
        image_volumes: ImageVolumes,
    ) -> Result<Option<Vec<Settings>>> {
        let documents = self.admitted(tree)?;
        let disks = self.lab.scratch(&self.application.name, "new-disks")?;
        let verdict = self.judge(tree, &documents, &self.application.probes, image_volumes, &disks)?;
        self.record.judged(&verdict, answers);
        match verdict {
            Verdict::Holds { bodies, settings, .. } if bodies == answers => {
                self.row(what, format!("the same {} answers", bodies.len()), true);
                Ok(Some(settings))
            }
            Verdict::Holds { bodies, .. } => {
                self.row(what, format!("answers otherwise: {bodies:?} and not {answers:?}"), false);
                Ok(None)
            }
            Verdict::Fails(breakdown) => {
                self.row(what, format!("fails: {breakdown}"), false);
                Ok(None)
            }
        }
    }

    fn judge(
        &self,
        tree: &Path,
        documents: &[Value],
        questions: &[ProbeEntry],
        image_volumes: ImageVolumes,
        claims: &Path,
    ) -> Result<Verdict> {
        let objects = match self.objects(tree, documents)? {
            Ok(objects) => objects,
            Err(error) => return Ok(Verdict::Fails(Box::new(unbuilt(error)))),
        };
        self.run(&objects, questions, image_volumes, claims)
    }

    /// What the documents declare, with the images that were built for it; or why one cannot be built.
    fn objects(&self, tree: &Path, documents: &[Value]) -> Result<std::result::Result<Objects, String>> {
        let mut objects = Objects::read(documents)?;
        for image in &self.application.images {
            let built = match build::build(self.lab, tree, image) {
                Ok(built) => built,
                Err(error) => return Ok(Err(error.to_string())),
            };
            let containers = objects.workloads.iter_mut().flat_map(Workload::all_containers);
            for container in containers.filter(|container| container.image == image.name) {
                container.built = Some(built.clone());
            }
        }
        Ok(Ok(objects))
    }

    fn run(
        &self,
        objects: &Objects,
        questions: &[ProbeEntry],
        image_volumes: ImageVolumes,
        claims: &Path,
    ) -> Result<Verdict> {
        let Self { lab, images, application, .. } = *self;
        let node = LabNode { lab, images, name: &application.name, claims };
        let trial = Trial {
            node: &node,
            objects,
            questions,
            left_out: &BTreeSet::new(),
            watched: &BTreeSet::new(),
            asks_ports: false,
            image_volumes,
            disks: Disks::New,
            patience: PATIENCE,
            stay: Duration::ZERO,
        };
        let verdict = trial.run()?;
        if let Verdict::Holds { settings, .. } = &verdict {
            settings.iter().try_for_each(as_told)?;
        }
        Ok(verdict)
    }

    fn documents(&self, tree: &Path) -> Result<Vec<Value>> {
        manifest::documents(tree, &self.application.manifests)
    }

    /// The documents of a hardened tree as the cluster takes them in.
    fn admitted(&self, tree: &Path) -> Result<Vec<Value>> {
        let mut documents = self.documents(tree)?;
        if let Some(uid) = self.application.cluster_uid {
            let given = Map::from_iter([("runAsUser".to_owned(), json!(uid)), ("fsGroup".to_owned(), json!(uid))]);
            for template in documents.iter_mut().filter_map(objects::pod_template) {
                if let Some(spec) = template.get_mut("spec") {
                    merge(spec, &given);
                }
            }
        }
        Ok(documents)
    }

    /// Runs the program under test in a tree; a row tells what it said when it failed.
    fn unroot(&mut self, tree: &Path, arguments: &[OsString]) -> Result<bool> {
        let binary = env::var_os("UNROOT_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_unroot").into());
        let output = Command::new(binary).current_dir(tree).args(arguments).arg("--no-cache").output()?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            let said = tail(&String::from_utf8_lossy(&said), 12);
            self.row(
                &format!("unroot {}", arguments.join(" ".as_ref()).display()),
                format!("{}: {said}", output.status),
                false,
            );
        }
        Ok(output.status.success())
    }

    /// Digests are asked for where everything is asked for: at the registry on loopback.
    fn configure(&self, tree: &Path) -> Result<()> {
        let file = tree.join("unroot.toml");
        let mut text = fs::read_to_string(&file).unwrap_or_default();
        for host in lab::HOSTS {
            let mirror = format!("{}/{host}", self.lab.registry());
            text.push_str(&format!("[registry.\"{host}\"]\nmirror = \"{mirror}\"\nplain_http = true\n"));
        }
        Ok(fs::write(file, text)?)
    }

    /// A copy below the application's own name: a folder's name tells which image is built there.
    fn copy(&self, tree: &Path, name: &str) -> Result<PathBuf> {
        let copy = self.lab.scratch(&self.application.name, name)?.join(&self.application.name);
        fs::create_dir(&copy)?;
        run(Command::new("cp").arg("--archive").arg(tree.join(".")).arg(&copy))?;
        Ok(copy)
    }

    fn row(&mut self, what: &str, outcome: String, right: bool) {
        say(&format!("{}: {what}: {outcome}", self.application.name));
        self.record.rows.push(Row { what: what.to_owned(), outcome, right });
    }
}

/// A verdict on an application whose image cannot be built.
fn unbuilt(reason: String) -> Breakdown {
    Breakdown {
        workload: None,
        container: None,
        reached: Reached::Nothing,
        trouble: Trouble::Image,
        reason,
        said: String::new(),
        log: String::new(),
        settings: Vec::new(),
    }
}

/// A look at the running process: the lab must have done what it was told.
fn as_told(settings: &Settings) -> Result<()> {
    let Some(seen) = &settings.seen else { return Ok(()) };
    let (config, container) = (&settings.config, &settings.container);
    if (seen.no_new_privileges, seen.seccomp, seen.ambient) != (config.no_new_privileges, config.seccomp, 0) {
        return Err(format!("{container}: {seen:?} is not what was asked for").into());
    }
    if seen.bounding.count_ones() as usize != config.capabilities.len() {
        return Err(format!("{container}: {} capabilities are in reach", seen.bounding.count_ones()).into());
    }
    Ok(())
}

/// Under which settings a container ran and where it wrote, for the table.
fn in_words(settings: &Settings) -> String {
    let words = settings.in_words();
    if settings.writes.is_empty() {
        return words;
    }
    let folders: Vec<&str> = settings.writes.iter().map(String::as_str).collect();
    format!("{words}; writes {}", folders.join(" "))
}

/// Every file of a tree with its bytes.
fn contents(tree: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut contents = Vec::new();
    for file in build::files(tree)? {
        contents.push((file.strip_prefix(tree)?.to_owned(), fs::read(&file)?));
    }
    Ok(contents)
}

/// The documents with the naive settings merged in.
fn merged(documents: &[Value], naive: &Naive) -> Vec<Value> {
    let mut documents = documents.to_vec();
    for document in &mut documents {
        let Some(spec) = objects::pod_template(document).and_then(|template| template.get_mut("spec")) else {
            continue;
        };
        let mut touched = false;
        for container in spec.get_mut("containers").and_then(Value::as_array_mut).into_iter().flatten() {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
            if naive.containers.is_empty() || naive.containers.iter().any(|wanted| wanted == name) {
                merge(container, &naive.container);
                for (number, path) in naive.writable.iter().enumerate() {
                    push(container, "volumeMounts", json!({"name": format!("writable-{number}"), "mountPath": path}));
                }
                touched = true;
            }
        }
        if touched {
            merge(spec, &naive.pod);
            if let Some(spec) = spec.as_object_mut() {
                spec.extend(naive.spec.clone());
            }
            for number in 0..naive.writable.len() {
                push(spec, "volumes", json!({"name": format!("writable-{number}"), "emptyDir": {}}));
            }
        }
    }
    documents
}

fn merge(owner: &mut Value, settings: &Map<String, Value>) {
    let Some(owner) = owner.as_object_mut() else { return };
    let context = owner.entry("securityContext").or_insert_with(|| json!({}));
    if let Some(context) = context.as_object_mut() {
        context.extend(settings.clone());
    }
}

fn push(owner: &mut Value, key: &str, item: Value) {
    let list = owner.as_object_mut().map(|owner| owner.entry(key).or_insert_with(|| json!([])));
    if let Some(list) = list.and_then(Value::as_array_mut) {
        list.push(item);
    }
}
