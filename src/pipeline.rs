//! The one path of a run: for each transform, plan, apply in memory, parse again, verify, record.
//!
//! Every mode shares the [`Run`] that comes out: the diff a reviewer saw is what gets written.

use crate::change::Change;
use crate::config::Config;
use crate::dockerfile;
use crate::edit::{Edit, EditSet};
use crate::error::{Applicability, Error, Finding, Outcome, SkipReason, without_credentials};
use crate::facts::{Application, Key, Pods, Surroundings};
use crate::image::Reference;
use crate::kubernetes::pod_security::Policy;
use crate::kubernetes::{Container, Workload};
use crate::levels::{Levels, WorkloadLevel};
use crate::link::Links;
use crate::registry::Resolver;
use crate::repository::{Content, FileId, Manifest, Repository};
use crate::source::{Position, Span};
use crate::suppression;
use crate::transforms::{ALL, Proposal, Subject, Transform, Verdict};
use crate::verify;
use crate::yaml::{self, Action, Code, Value};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

mod lookups;

use lookups::Lookups;

pub use crate::repository::Unread;

/// What is asked of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Only these transforms; all when empty.
    pub only: Vec<String>,
    /// Not these transforms.
    pub skip: Vec<String>,
    /// Also changes that may alter behaviour.
    pub allow_unsafe: bool,
    /// Also look up what a second run would, and tell which images are named, so that what was answered can be kept for it.
    pub keeps_lock: bool,
    /// Also replace digests that are already written by what their tags stand for now.
    pub update: bool,
    /// Judge every workload before and after, and say what is missing for this.
    pub target: Option<Policy>,
}

/// What a run found and planned. The diff a reviewer sees is what gets written.
#[derive(Debug)]
pub struct Run {
    /// Files that change, in path order.
    pub files: Vec<FileChange>,
    /// One per transform that changed something, in pipeline order.
    pub steps: Vec<Step>,
    /// Every finding, in path, position and pipeline order.
    pub findings: Vec<Finding>,
    /// Files that look like ours but could not be read or understood, in path order.
    pub unread: Vec<Unread>,
    /// How many Dockerfiles were looked at.
    pub dockerfiles: usize,
    /// How many manifest files (not documents) were looked at.
    pub manifests: usize,
    /// The Pod Security level of every workload, in path and file order; empty unless [`Options::target`] asks.
    pub levels: Vec<WorkloadLevel>,
    /// Registries that did not answer, one line per reference. A run with any has not seen everything.
    pub lookup_failures: Vec<String>,
    /// What `unroot.lock` lacks or has for nothing, one line each, where nothing else was to be used. Such a run has not seen everything either.
    pub not_locked: Vec<String>,
    /// The images that registries could be asked about, as the files name them after the last step; empty unless [`Options::keeps_lock`] asks.
    pub named: BTreeSet<Reference>,
}

/// One file before and after.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// Relative to the root, with `/`.
    pub path: String,
    /// The text that was read; `None` of a file that does not exist yet.
    pub before: Option<Arc<str>>,
    /// The text that would be written.
    pub after: Arc<str>,
}

/// What one transform changed.
#[derive(Clone, Debug)]
pub struct Step {
    /// The transform's number in the pipeline (10, 20, ...).
    pub number: u16,
    /// The transform's id.
    pub id: &'static str,
    /// The transform's title: one line, no full stop.
    pub title: &'static str,
    /// Why, in paragraphs of one line each; becomes the header of the patch.
    pub why: Vec<String>,
    /// The files it changed, in path order; `before` is the text after the previous step.
    pub files: Vec<FileChange>,
}

impl Run {
    /// Whether any change was dropped because it did not prove to be what was planned.
    pub fn has_internal_failures(&self) -> bool {
        let internal = |outcome: &Outcome| matches!(outcome, Outcome::NeedsPerson { reason: SkipReason::Internal, .. });
        self.findings.iter().any(|finding| internal(&finding.outcome))
    }
}

/// Runs the transforms over a repository, in memory.
///
/// # Errors
/// [`Error::Usage`] for a transform id that does not exist.
pub fn run(
    mut repository: Repository,
    config: &Config,
    options: &Options,
    resolver: &dyn Resolver,
) -> Result<Run, Error> {
    let transforms = selected(config, options)?;
    // What is left out by an argument is left out for steps that would rely on it, too.
    let config = &Config { skip: [config.skip.as_slice(), &options.skip].concat(), ..config.clone() };
    let mut links = Links::find(&repository, config);
    if !links.arguments().is_empty() {
        // A base may be another image for what builds give, and with it the links.
        links.arguments().iter().for_each(|(file, given)| repository.give(*file, given));
        links = Links::find(&repository, config);
    }
    let keys = Application::keys(&repository, &links);
    let several: BTreeSet<FileId> = keys.iter().filter_map(|key| key.shared_file()).collect();
    let touched: Vec<BTreeSet<FileId>> = keys.iter().map(|key| key.files(&links)).collect();

    let levels = options.target.map(|policy| Levels::measure(&repository, policy));
    let mut lookups = Lookups::new(options.update);
    if options.keeps_lock {
        resolver.are_named(&lookups.named(&repository, &links, config, &keys));
    }
    lookups.ask(&repository, &links, config, &keys, &transforms, resolver);

    let mut recorder = Recorder::default();
    let mut plans: Vec<Vec<Vec<Proposal>>> = Vec::new();
    let mut stale: Option<BTreeSet<FileId>> = None;
    for (position, transform) in transforms.iter().enumerate() {
        if let Some(changed) = &stale {
            // A step may bring images that nobody has asked about yet.
            let changed = keys.iter().zip(&touched).filter(|(_, files)| !files.is_disjoint(changed));
            let changed: Vec<Key> = changed.map(|(key, _)| *key).collect();
            lookups.ask(&repository, &links, config, &changed, &transforms[position..], resolver);
        }
        let (digests, configs) = (&lookups.digests, &lookups.configs);
        let pods = Pods::default();
        let update = options.update;
        let around =
            Surroundings { repository: &repository, links: &links, config, digests, configs, update, pods: &pods };
        let plan = |key: &Key| -> Vec<Vec<Proposal>> {
            let Some(application) = Application::new(around, *key) else { return Vec::new() };
            transforms[position..].iter().rev().map(|transform| transform.plan(&application)).collect()
        };
        // All steps are planned at once; an application is planned again only after one of its files changed.
        match stale.take() {
            None if position == 0 => plans = keys.par_iter().map(plan).collect(),
            None => {}
            Some(changed) => plans.par_iter_mut().zip(&keys).zip(&touched).for_each(|((plans, key), files)| {
                if !files.is_disjoint(&changed) {
                    *plans = plan(key);
                }
            }),
        }
        let mut proposals: Vec<Proposal> = plans.iter_mut().filter_map(Vec::pop).flatten().collect();
        // The images of several stages share what the file says above them.
        let mut seen = HashSet::new();
        proposals.retain(|proposal| {
            let Subject { file, offset, label } = &proposal.subject;
            !several.contains(file) || seen.insert((*file, *offset, label.clone()))
        });
        let changed = recorder.step(&mut repository, *transform, proposals, options);
        if !changed.is_empty() {
            stale = Some(changed);
        }
    }
    let mut named = BTreeSet::new();
    if options.keeps_lock {
        let changed: BTreeSet<FileId> = recorder.history.keys().copied().collect();
        let changed = keys.iter().zip(&touched).filter(|(_, files)| !files.is_disjoint(&changed));
        let changed: Vec<Key> = changed.map(|(key, _)| *key).collect();
        lookups.ask(&repository, &links, config, &changed, &transforms, resolver);
        named = lookups.named(&repository, &links, config, &keys);
    }
    let levels = levels.map(|levels| levels.compare(&repository)).unwrap_or_default();
    Ok(Run { levels, named, lookup_failures: lookups.failures.into_iter().collect(), ..recorder.finish(&repository) })
}

fn selected(config: &Config, options: &Options) -> Result<Vec<&'static dyn Transform>, Error> {
    let known = |id: &String| ALL.iter().any(|transform| transform.metadata().id == id);
    for id in options.only.iter().chain(&options.skip).chain(&config.skip) {
        if !known(id) {
            let ids: Vec<_> = ALL.iter().map(|transform| transform.metadata().id).collect();
            return Err(Error::Usage(format!(
                "no transform is called {}; there are {}",
                id.escape_debug(),
                ids.join(", ")
            )));
        }
    }
    let wanted = |id: &str| {
        let named = |ids: &[String]| ids.iter().any(|named| named == id);
        (options.only.is_empty() || named(&options.only)) && !named(&options.skip) && !named(&config.skip)
    };
    Ok(ALL.iter().copied().filter(|transform| wanted(transform.metadata().id)).collect())
}

/// What has happened so far.
#[derive(Default)]
struct Recorder {
    steps: Vec<Step>,
    findings: Vec<Finding>,
    /// The place of each finding, in the file as it was read.
    places: Vec<(FileId, usize)>,
    /// The edits of each step by file, so that places can be told in the file as it was read.
    history: BTreeMap<FileId, Vec<EditSet>>,
}

/// A change on its way, and the finding that will tell how it ended.
struct Accepted {
    finding: usize,
    change: Change,
}

/// The planned, verified result for one file.
struct Outgoing {
    file: FileId,
    edits: EditSet,
    content: Content,
}

/// Why a plan was not carried out.
struct Failure {
    reason: SkipReason,
    message: String,
}

impl From<String> for Failure {
    /// Of a proof that failed.
    fn from(message: String) -> Self {
        Self { reason: SkipReason::Internal, message }
    }
}

impl From<yaml::Refusal> for Failure {
    /// What no second parser can vouch for is left alone; that it cannot is no defect.
    fn from(refusal: yaml::Refusal) -> Self {
        let reason = match refusal.code {
            Code::KubectlWouldReject | Code::Cover => SkipReason::NotEditable,
            _ => SkipReason::Internal,
        };
        Self { reason, message: format!("{}: {}", refusal.code, refusal.message) }
    }
}

impl Recorder {
    /// Carries out one transform's proposals and returns the files that changed.
    fn step(
        &mut self,
        repository: &mut Repository,
        transform: &dyn Transform,
        proposals: Vec<Proposal>,
        options: &Options,
    ) -> BTreeSet<FileId> {
        let metadata = transform.metadata();
        let mut accepted = Vec::new();
        for proposal in proposals {
            let (outcome, change) = judge(repository, metadata.id, &proposal.subject, proposal.verdict, options);
            let finding = self.finding(repository, metadata.id, proposal.subject, outcome);
            accepted.extend(change.map(|change| Accepted { finding, change }));
        }
        let outgoing = self.compile(repository, &mut accepted);
        let mut files = Vec::new();
        let mut changed = BTreeSet::new();
        let mut replaced = Vec::new();
        for Outgoing { file, edits, content } in outgoing {
            replaced.extend(to_replace(&repository.file(file).content, &content));
            let before = Some(repository.file(file).text().clone());
            repository.update(file, content);
            let entry = repository.file(file);
            files.push(FileChange { path: entry.path.clone(), before, after: entry.text().clone() });
            self.history.entry(file).or_default().push(edits);
            changed.insert(file);
        }
        if !files.is_empty() {
            let mut why = vec![metadata.why.to_owned()];
            for accepted in &accepted {
                let finding = &self.findings[accepted.finding];
                if let Outcome::Fixed { detail, .. } = &finding.outcome {
                    why.push(format!("{} {}: {detail}", finding.path, finding.subject));
                }
            }
            if !replaced.is_empty() {
                let names = replaced.join(", ");
                why.push(format!(
                    "A cluster refuses this change of what it runs already; delete it there first: {names}."
                ));
            }
            self.steps.push(Step { number: metadata.number, id: metadata.id, title: metadata.title, why, files });
        }
        changed
    }

    fn finding(
        &mut self,
        repository: &Repository,
        transform: &'static str,
        subject: Subject,
        outcome: Outcome,
    ) -> usize {
        let file = repository.file(subject.file);
        let steps = self.history.get(&subject.file).map_or(&[][..], Vec::as_slice);
        let offset = steps.iter().rev().fold(subject.offset, |offset, edits| edits.before(offset));
        self.places.push((subject.file, offset));
        let detail = without_credentials(outcome.detail());
        self.findings.push(Finding {
            transform,
            path: file.path.clone(),
            position: None,
            subject: without_credentials(&subject.label),
            outcome: outcome.with_detail(detail),
        });
        self.findings.len() - 1
    }

    /// Plans and verifies all accepted changes together; those that cannot be are taken out, each whole, and their findings say why.
    fn compile(&mut self, repository: &Repository, accepted: &mut Vec<Accepted>) -> Vec<Outgoing> {
        loop {
            self.part_company(repository, accepted);
            let mut planned = Vec::new();
            let mut refused = BTreeSet::new();
            for (file, plan) in plan_files(repository, accepted.iter().map(|accepted| &accepted.change)) {
                match plan {
                    Ok(plan) => planned.push(plan),
                    Err(_several) => {
                        refused.insert(file);
                    }
                }
            }
            if !refused.is_empty() {
                for file in refused {
                    self.take_out(repository, accepted, file);
                }
                continue;
            }
            let results: Vec<(FileId, Result<Outgoing, Failure>)> =
                planned.into_par_iter().map(|plan| (plan.file, carry_out(repository, plan))).collect();
            let mut outgoing = Vec::new();
            let mut failed = BTreeMap::new();
            for (file, result) in results {
                match result {
                    Ok(result) => outgoing.push(result),
                    Err(failure) => {
                        failed.insert(file, failure);
                    }
                }
            }
            if failed.is_empty() {
                return outgoing;
            }
            accepted.retain(|accepted| {
                let Some(Failure { reason, message }) = accepted.change.files().find_map(|file| failed.get(&file))
                else {
                    return true;
                };
                self.findings[accepted.finding].outcome = Outcome::declined(*reason, message.clone());
                false
            });
        }
    }

    /// Takes out the changes that go with others which are not made, until none is left alone.
    fn part_company(&mut self, repository: &Repository, accepted: &mut Vec<Accepted>) {
        loop {
            let changed: BTreeSet<FileId> =
                accepted.iter().flat_map(|accepted| accepted.change.dockerfiles.keys().copied()).collect();
            let before = accepted.len();
            accepted.retain(|accepted| {
                let missing = accepted.change.together.iter().find(|file| !changed.contains(*file));
                if let Some(file) = missing {
                    let detail = format!("{} is not changed, and goes together with it", repository.file(*file).path);
                    self.findings[accepted.finding].outcome = Outcome::declined(SkipReason::DependsOnSkipped, detail);
                }
                missing.is_none()
            });
            if accepted.len() == before {
                return;
            }
        }
    }

    /// Takes out the changes that keep `file` from being planned: those that do not go alone, and only when none of that kind is left, those that do
    /// not go with the ones before them. Trying each alone first keeps one bad document of many from costing a plan per pair.
    fn take_out(&mut self, repository: &Repository, accepted: &mut Vec<Accepted>, file: FileId) {
        let findings = &mut self.findings;
        let mut decline = |accepted: &Accepted, message| {
            findings[accepted.finding].outcome = Outcome::declined(SkipReason::NotEditable, message);
        };
        let plan = |changes: &[&Change]| plan_file(repository, file, changes).map(|_plan| ());
        let before = accepted.len();
        accepted.retain(|accepted| match plan(&[&accepted.change]) {
            Err(message) if accepted.change.files().any(|touched| touched == file) => {
                decline(accepted, message);
                false
            }
            _ => true,
        });
        if accepted.len() < before {
            return;
        }
        let mut kept: Vec<Accepted> = Vec::new();
        for candidate in std::mem::take(accepted) {
            if candidate.change.files().all(|touched| touched != file) {
                kept.push(candidate);
                continue;
            }
            let beside =
                kept.iter().map(|kept| &kept.change).filter(|change| change.files().any(|touched| touched == file));
            let together: Vec<&Change> = beside.chain([&candidate.change]).collect();
            match plan(&together) {
                Ok(()) => kept.push(candidate),
                Err(message) => decline(&candidate, message),
            }
        }
        *accepted = kept;
    }

    /// Lines and columns of all findings, with one pass over each file.
    fn tell_positions(&mut self, repository: &Repository) {
        let mut by_file: BTreeMap<FileId, Vec<usize>> = BTreeMap::new();
        for (index, (file, _)) in self.places.iter().enumerate() {
            by_file.entry(*file).or_default().push(index);
        }
        for (file, indices) in by_file {
            let text = &repository.file(file).original;
            // What was added at the end of the file is told to stand on its last line; there is no line below it yet.
            let end = text.trim_end().len();
            let told = |offset: usize| if offset >= text.len() { end } else { offset };
            let offsets: Vec<usize> = indices.iter().map(|index| told(self.places[*index].1)).collect();
            let positions = Position::of_each(text, &offsets);
            for (index, position) in indices.into_iter().zip(positions) {
                self.findings[index].position = Some(position);
            }
        }
    }

    fn finish(mut self, repository: &Repository) -> Run {
        self.tell_positions(repository);
        let order = |id: &str| ALL.iter().position(|transform| transform.metadata().id == id);
        self.findings.sort_by(|left, right| {
            let key = |finding: &'_ Finding| (finding.position, order(finding.transform));
            left.path.cmp(&right.path).then_with(|| key(left).cmp(&key(right)))
        });
        let changed = self.history.keys().map(|file| repository.file(*file));
        Run {
            files: changed
                .map(|file| FileChange {
                    path: file.path.clone(),
                    before: Some(file.original.clone()),
                    after: file.text().clone(),
                })
                .collect(),
            steps: self.steps,
            findings: self.findings,
            unread: repository.unread().to_vec(),
            dockerfiles: repository.dockerfiles().count(),
            manifests: repository.manifests().count(),
            levels: Vec::new(),
            lookup_failures: Vec::new(),
            not_locked: Vec::new(),
            named: BTreeSet::new(),
        }
    }
}

/// What a verdict means under the options and the author's comments.
fn judge(
    repository: &Repository,
    id: &str,
    subject: &Subject,
    verdict: Verdict,
    options: &Options,
) -> (Outcome, Option<Change>) {
    match verdict {
        Verdict::AlreadyRight(detail) => (Outcome::AlreadyRight { detail }, None),
        Verdict::Declined(reason, detail) => (Outcome::declined(reason, detail), None),
        Verdict::Change { change, applicability, excuse, detail } => {
            if let Some(why) = suppression::find(repository.file(subject.file).text(), subject.offset, id) {
                return (Outcome::declined(SkipReason::Suppressed, why), None);
            }
            if applicability < Applicability::Safe && !options.allow_unsafe {
                let (reason, excuse) = excuse.unwrap_or((SkipReason::Unsafe, "behaviour may change".to_owned()));
                return (Outcome::declined(reason, format!("{excuse} (--unsafe goes on all the same)")), None);
            }
            let detail = match excuse {
                Some((SkipReason::Unsafe, excuse)) => format!("{detail}; unsafe: {excuse}"),
                Some((reason, excuse)) => format!("{detail}; unsafe, {reason}: {excuse}"),
                None => detail,
            };
            (Outcome::Fixed { applicability, detail }, Some(change))
        }
    }
}

/// The Jobs and Pods that a change cannot reach in a cluster that runs them. Of a Job nothing of the pod template can be changed, of a Pod the images
/// and little else (<https://kubernetes.io/docs/concepts/workloads/pods/#pod-update-and-replacement>).
fn to_replace(before: &Content, after: &Content) -> Vec<String> {
    let (Content::Manifest(before), Content::Manifest(after)) = (before, after) else { return Vec::new() };
    let pairs = before.workloads.iter().zip(&after.workloads);
    let is_fixed = |workload: &Workload| matches!(workload.kind.as_str(), "Job" | "Pod");
    let changed = pairs.filter(|(before_it, after_it)| {
        is_fixed(before_it) && fixed_text(before, before_it) != fixed_text(after, after_it)
    });
    changed.map(|(workload, _)| workload.label()).collect()
}

/// The text of a workload's pod, without that of a Pod's images.
fn fixed_text(manifest: &Manifest, workload: &Workload) -> String {
    let stream = &manifest.stream;
    let Some(pod) = workload.pod_node(stream) else { return String::new() };
    let document = stream.document(workload.document);
    let image = |container: &Container| Some(document?.at(&container.route)?.get("image")?.span());
    let mut images: Vec<Span> = match workload.kind.as_str() {
        "Pod" => workload.containers.iter().filter_map(image).collect(),
        _ => Vec::new(),
    };
    images.sort_by_key(|span| span.start);
    let (whole, mut text) = (pod.span(), String::new());
    let mut from = whole.start;
    for image in images.iter().filter(|image| whole.start <= image.start && image.end <= whole.end) {
        text.push_str(Span::new(from, image.start.max(from)).of(stream.text()));
        from = image.end.max(from);
    }
    text.push_str(Span::new(from, whole.end.max(from)).of(stream.text()));
    text
}

/// All operations on one file, and their edits.
struct FilePlan {
    file: FileId,
    operations: Operations,
    edits: EditSet,
}

enum Operations {
    Dockerfile(Vec<dockerfile::Operation>),
    Manifest(Vec<yaml::Operation>),
}

/// Plans what changes want done, file by file. A file in which nothing is to be done is left out.
fn plan_files<'c>(
    repository: &Repository,
    changes: impl Iterator<Item = &'c Change>,
) -> Vec<(FileId, Result<FilePlan, String>)> {
    let mut by_file: BTreeMap<FileId, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        for file in change.files() {
            by_file.entry(file).or_default().push(change);
        }
    }
    let planned = by_file.into_par_iter().map(|(file, changes)| (file, plan_file(repository, file, &changes)));
    planned.filter_map(|(file, plan)| Some((file, plan.transpose()?))).collect()
}

/// Plans what changes want done in one file; `None` when that is nothing. An operation that several of them want is carried out once.
fn plan_file(repository: &Repository, file: FileId, changes: &[&Change]) -> Result<Option<FilePlan>, String> {
    let entry = repository.file(file);
    let plan = match &entry.content {
        Content::Dockerfile(dockerfile) => {
            let operations = changes.iter().filter_map(|change| change.dockerfiles.get(&file));
            let operations: Vec<dockerfile::Operation> = operations.flatten().cloned().collect();
            let edits = edit_set(dockerfile.plan(&operations))?;
            FilePlan { file, operations: Operations::Dockerfile(operations), edits }
        }
        Content::Manifest(manifest) => {
            let mut seen = HashSet::new();
            let operations = changes.iter().filter_map(|change| change.manifests.get(&file)).flatten();
            let operations: Vec<yaml::Operation> =
                operations.filter(|operation| seen.insert(*operation)).cloned().collect();
            let operations = joined_lists(operations);
            one_value_per_key(&operations)?;
            let edits = manifest
                .stream
                .plan(&operations)
                .map_err(|refusal| format!("{}: {}", refusal.code, refusal.message))?;
            FilePlan { file, operations: Operations::Manifest(operations), edits: edit_set(edits)? }
        }
        Content::Compose(_) => return Ok(None),
    };
    Ok((!plan.edits.is_empty()).then_some(plan))
}

/// Two containers of a pod may both add to a list that it does not have yet: it is inserted once, with the items of both.
fn joined_lists(operations: Vec<yaml::Operation>) -> Vec<yaml::Operation> {
    let mut joined: Vec<yaml::Operation> = Vec::with_capacity(operations.len());
    let mut places = BTreeMap::new();
    for operation in operations {
        let Action::Insert { key, value: Value::Seq(items) } = &operation.action else {
            joined.push(operation);
            continue;
        };
        let place = *places.entry((operation.document, operation.route.key(key))).or_insert(joined.len());
        match joined.get_mut(place).map(|earlier| &mut earlier.action) {
            Some(Action::Insert { value: Value::Seq(list), .. }) => {
                for item in items {
                    if !list.contains(item) {
                        list.push(item.clone());
                    }
                }
            }
            _ => joined.push(operation),
        }
    }
    joined
}

/// Two containers of a pod may both want a group for its volumes; only one can have it.
fn one_value_per_key(operations: &[yaml::Operation]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for operation in operations {
        if let Action::Insert { key, .. } = &operation.action
            && !seen.insert((operation.document, operation.route.key(key)))
        {
            return Err(format!("two changes would write {} with different values", operation.route.key(key)));
        }
    }
    Ok(())
}

fn edit_set(edits: Vec<Edit>) -> Result<EditSet, String> {
    EditSet::new(edits).map_err(|overlap| overlap.to_string())
}

/// Applies a plan in memory, parses the result and proves it.
fn carry_out(repository: &Repository, plan: FilePlan) -> Result<Outgoing, Failure> {
    let entry = repository.file(plan.file);
    let after = plan.edits.apply(entry.text());
    verify::only_planned_bytes_differ(entry.text(), &plan.edits, &after)?;
    let edits: Vec<Edit> = plan.edits.iter().cloned().collect();
    let content = match (&entry.content, plan.operations) {
        (Content::Dockerfile(before), Operations::Dockerfile(operations)) => {
            let after = dockerfile::verify(before, &operations, &edits, &after).map_err(|error| error.message)?;
            Content::Dockerfile(after)
        }
        (Content::Manifest(before), Operations::Manifest(operations)) => {
            let after = yaml::verify(&before.stream, &operations, &edits, &after)?;
            let role = before.role;
            let after = Manifest::new(after, repository.kinds()).with_role(role);
            verify::same_workloads(&before.workloads, &after.workloads)?;
            Content::Manifest(after)
        }
        _ => return Err("operations of one kind of file were planned on another".to_owned().into()),
    };
    Ok(Outgoing { file: plan.file, edits: plan.edits, content })
}
