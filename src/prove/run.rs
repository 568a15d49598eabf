//! The proof itself: each group of workloads as found, then hardened, and what is to blame where only the first holds.

use super::builds::{self, Planned};
use super::diagnosis::{self, Case};
use super::engine::Side;
use super::field::FieldPath;
use super::groups::{Group, Placed, Unrunnable};
use super::judge::{Breakdown, Demand, Settings, Trial, Trouble, Verdict};
use super::kubelet::ImageVolumes;
use super::node::{Disks, Node};
use super::objects::{Objects, Workload};
use super::proof::{Build, Built, Cause, ContainerProof, Diagnosis, OldDisks, Outcome, Unbuilt, WorkloadProof};
use super::{Result, needs};
use crate::config::ProbeEntry;
use crate::source::Position;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Builds one side of an image: the node's name for it, or why there is none.
pub type Builder<'a> = dyn Fn(&Planned, Side) -> Result<Result<String, Unbuilt>> + 'a;

/// What is going on, for whoever watches.
pub type Told<'a> = dyn Fn(&str) + 'a;

/// Takes what a workload printed when it failed: a name for the log, and the text.
pub type Logs<'a> = dyn Fn(&str, &str) -> Result<()> + 'a;

/// Proves groups, one after the other.
pub struct Prover<'a, N> {
    /// Where things run.
    pub node: &'a N,
    /// How images are built.
    pub build: &'a Builder<'a>,
    /// The Dockerfiles and manifests as they lie on disk, by path: where a place in one is told, it is in these.
    pub on_disk: &'a BTreeMap<String, String>,
    /// What is asked beside the probes of the manifests.
    pub probes: &'a [ProbeEntry],
    /// How long each workload may take until it answers, counted from when the last of its group was started.
    pub patience: Duration,
    /// How long what cannot be asked must stay up.
    pub stay: Duration,
    /// Whoever watches.
    pub told: &'a Told<'a>,
    /// Where logs go.
    pub logs: &'a Logs<'a>,
}

/// What came of one workload, with what its containers ran under.
pub struct Judged {
    /// What is reported.
    pub proof: WorkloadProof,
    /// The containers as found.
    pub before: Vec<Settings>,
    /// The containers hardened.
    pub after: Vec<Settings>,
}

/// What came of everything.
#[derive(Default)]
pub struct Results {
    /// The images.
    pub builds: Vec<Build>,
    /// The workloads, in the order of their files.
    pub workloads: Vec<Judged>,
}

/// One group under way.
struct Bench<'a> {
    places: &'a [Placed],
    before: Objects,
    after: Objects,
    /// By the number of a workload.
    ended: BTreeMap<usize, Outcome>,
    left_out: BTreeSet<usize>,
    /// Those that are only watched, and why.
    watched: BTreeMap<usize, String>,
    /// Those that answered hardened.
    asked: BTreeSet<usize>,
    missing: Vec<Vec<String>>,
    ran_before: Vec<Settings>,
    ran_after: Vec<Settings>,
    /// By the number of a workload.
    old_disks: BTreeMap<usize, OldDisks>,
}

/// Workloads hardened and as found, side by side.
#[derive(Clone)]
struct Round {
    objects: Objects,
    /// The numbers of those that are hardened.
    open: BTreeSet<usize>,
    disks: Disks,
    /// Whether questions are put beside the probes of the manifests.
    asks: bool,
}

impl<N: Node> Prover<'_, N> {
    /// Proves all groups. Those of both sides belong together where they hold the same workloads.
    ///
    /// # Errors
    /// What the machine could not do, and that somebody wants the proof to end.
    pub fn all(&self, before: &[Group], after: &[Group], unrunnable: &[Unrunnable]) -> Result<Results> {
        let mut results = Results::default();
        let mut built = BTreeMap::new();
        let labels = |group: &Group| group.places.iter().map(|place| place.label.clone()).collect::<Vec<_>>();
        for hardened in after {
            // Of several groups that look alike, the one of the same files.
            let alike = before.iter().filter(|found| labels(found) == labels(hardened));
            let same = |found: &&Group| {
                found.places.iter().map(|place| &place.path).eq(hardened.places.iter().map(|place| &place.path))
            };
            match alike.clone().find(same).or_else(|| alike.clone().next()) {
                Some(found) => results.workloads.extend(self.group(found, hardened, &mut built)?),
                None => results.workloads.extend(hardened.places.iter().map(|place| {
                    let reason = "the tree as it was has not the same workloads beside it".to_owned();
                    Judged::without_a_run(place, Outcome::NotRun { reason })
                })),
            }
        }
        for Unrunnable { placed, reason } in unrunnable {
            let outcome = Outcome::NotRun { reason: reason.clone() };
            results.workloads.push(Judged::without_a_run(placed, outcome));
        }
        results.workloads.sort_by(|one, other| {
            let key = |judged: &Judged| (judged.proof.path.clone(), judged.proof.position);
            let ((path, position), (other_path, other_position)) = (key(one), key(other));
            path.cmp(&other_path).then(position.line.cmp(&other_position.line))
        });
        results.builds = all_builds(&built);
        Ok(results)
    }

    fn group(&self, found: &Group, hardened: &Group, built: &mut Images) -> Result<Vec<Judged>> {
        let mut bench = Bench {
            places: &hardened.places,
            before: found.objects.clone(),
            after: hardened.objects.clone(),
            ended: BTreeMap::new(),
            left_out: BTreeSet::new(),
            watched: BTreeMap::new(),
            asked: BTreeSet::new(),
            missing: found.objects.workloads.iter().map(|workload| needs::missing(workload, &found.objects)).collect(),
            ran_before: Vec::new(),
            ran_after: Vec::new(),
            old_disks: BTreeMap::new(),
        };
        self.images(&mut bench, found, hardened, built)?;
        self.as_found(&mut bench)?;
        self.hardened(&mut bench)?;
        Ok(bench.judged())
    }

    /// Builds what the group's containers run.
    fn images(&self, bench: &mut Bench<'_>, found: &Group, hardened: &Group, built: &mut Images) -> Result<()> {
        for (side, places) in [(Side::Before, &found.places), (Side::After, &hardened.places)] {
            for (index, place) in places.iter().enumerate() {
                if bench.ended.contains_key(&index) {
                    continue;
                }
                for (name, planned) in &place.builds {
                    let image = match &planned.obstacle {
                        Some(obstacle) => {
                            let reason = format!("{} is not built here: {obstacle}", planned.dockerfile);
                            bench.end(index, Outcome::NotRun { reason });
                            break;
                        }
                        None => self.image(planned, side, built)?,
                    };
                    let objects = if side == Side::Before { &mut bench.before } else { &mut bench.after };
                    let workload = objects.workloads.get_mut(index);
                    let container =
                        workload.and_then(|workload| workload.all_containers().find(|other| other.name == *name));
                    let Some(container) = container else { continue };
                    built.entry((container.image.clone(), planned.clone())).or_default().insert(side, image.clone());
                    match image {
                        Ok(image) => container.built = Some(image),
                        Err(unbuilt) => {
                            let name = name.clone();
                            bench.end(index, self.unbuilt(side, planned, name, &unbuilt));
                            break;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn unbuilt(&self, side: Side, planned: &Planned, container: String, unbuilt: &Unbuilt) -> Outcome {
        // What the builder said is told once, with the image.
        match side {
            Side::Before => Outcome::Void { reason: format!("{} does not build", planned.dockerfile) },
            Side::After => {
                let diagnosis = diagnosis::of_build(&unbuilt.words);
                // A step that lacks rights is what has to move; else the base or the user is what was changed.
                let step = unbuilt.place.clone().filter(|_| diagnosis.cause == Cause::Ownership);
                Outcome::Breaks(Diagnosis {
                    container: Some(container),
                    failure: format!("{}: {}", planned.dockerfile, diagnosis.failure),
                    place: Some(step.unwrap_or_else(|| self.place_of_image(planned))),
                    ..diagnosis
                })
            }
        }
    }

    fn image(&self, planned: &Planned, side: Side, built: &Images) -> Result<Result<String, Unbuilt>> {
        let known = built.iter().find(|((_, other), sides)| other == planned && sides.contains_key(&side));
        if let Some(image) = known.and_then(|(_, sides)| sides.get(&side)) {
            return Ok(image.clone());
        }
        let state = if side == Side::Before { "as found" } else { "hardened" };
        (self.told)(&format!("building {} {state}", planned.dockerfile));
        (self.build)(planned, side)
    }

    /// Runs the group as found until what is left of it holds. A workload that nobody can answer for is watched; one that does not start is left out.
    fn as_found(&self, bench: &mut Bench<'_>) -> Result<()> {
        while bench.left_out.len() < bench.places.len() {
            (self.told)(&format!("running {} as found", bench.words()));
            let disks = if bench.has_disks() { Disks::Kept } else { Disks::New };
            let round = Round { objects: bench.before.clone(), open: BTreeSet::new(), disks, asks: true };
            let breakdown = match self.trial(&round, bench)? {
                Verdict::Holds { settings, asked, .. } => {
                    bench.ran_before = settings;
                    bench.asked = asked;
                    return Ok(());
                }
                Verdict::Fails(breakdown) => breakdown,
            };
            let Some(index) = breakdown.workload.filter(|index| !bench.left_out.contains(index)) else {
                let reason = diagnosis::headline(&breakdown);
                bench.end_all(&Outcome::Void { reason });
                return Ok(());
            };
            self.log(bench, index, "before", &breakdown)?;
            let missing = bench.missing.get(index).cloned().unwrap_or_default();
            let is_asked = matches!(breakdown.trouble, Trouble::Silent { .. } | Trouble::Probe | Trouble::Answer);
            // A job that only starts does nothing that it is for.
            let ends = bench.before.workloads.get(index).is_some_and(Workload::ends);
            if bench.watched.contains_key(&index) || ends || !is_asked && missing.is_empty() {
                let mut reason = diagnosis::headline(&breakdown);
                if ends && !missing.is_empty() {
                    reason = format!("the tree does not have {}; {reason}", missing.join(", "));
                }
                bench.end(
                    index,
                    match breakdown.trouble {
                        Trouble::NotRunHere => Outcome::NotRun { reason },
                        _ => Outcome::Void { reason },
                    },
                );
                continue;
            }
            let because = if missing.is_empty() {
                format!("it does not answer as found either: {}", diagnosis::headline(&breakdown))
            } else {
                format!("it needs what the tree does not have: {}", diagnosis::headline(&breakdown))
            };
            bench.watched.insert(index, because);
            bench.do_without(index);
        }
        Ok(())
    }

    /// Runs the group hardened, on new disks and then on those that the version as found wrote. What breaks is explained, and is as found in the next
    /// round, so that the others are judged too.
    fn hardened(&self, bench: &mut Bench<'_>) -> Result<()> {
        let mut round = Round {
            objects: bench.after.clone(),
            open: (0..bench.places.len()).filter(|index| !bench.left_out.contains(index)).collect(),
            disks: Disks::New,
            asks: true,
        };
        if bench.is_unchanged() {
            bench.ran_after.clone_from(&bench.ran_before);
            round.open.iter().for_each(|index| bench.hold(*index));
            return Ok(());
        }
        while !round.open.is_empty() {
            let place = if round.disks == Disks::Old { " on its old disks" } else { "" };
            (self.told)(&format!("running {} hardened{place}", bench.words()));
            match self.trial(&round, bench)? {
                Verdict::Holds { settings, asked, .. } if round.disks == Disks::New => {
                    // Of what broke, the rounds that follow run what was found.
                    let open = &round.open;
                    bench.ran_after.retain(|settings| !open.contains(&settings.workload));
                    bench.ran_after.extend(settings.into_iter().filter(|settings| open.contains(&settings.workload)));
                    bench.asked = asked;
                    open.iter().for_each(|index| bench.hold(*index));
                    if !bench.has_disks() {
                        return Ok(());
                    }
                    round.disks = Disks::Old;
                }
                Verdict::Holds { .. } => {
                    let asked_all = round.asks || self.probes.is_empty();
                    let outcome = if asked_all { OldDisks::Holds } else { OldDisks::Starts };
                    round.open.iter().for_each(|index| bench.tried_on_old_disks(*index, &outcome));
                    return Ok(());
                }
                Verdict::Fails(breakdown) => {
                    let control = if round.disks == Disks::Old { self.as_found_again(bench, &round)? } else { None };
                    match control {
                        None => self.take_out(bench, &mut round, &breakdown)?,
                        Some(_) if round.asks && !self.probes.is_empty() => round.asks = false,
                        Some(control) => {
                            let void = OldDisks::Void { reason: diagnosis::headline(&control) };
                            round.open.iter().for_each(|index| bench.tried_on_old_disks(*index, &void));
                            return Ok(());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// How the version as found fails on the disks that it wrote itself.
    fn as_found_again(&self, bench: &Bench<'_>, round: &Round) -> Result<Option<Box<Breakdown>>> {
        Ok(match self.trial(&Round { objects: bench.before.clone(), ..round.clone() }, bench)? {
            Verdict::Holds { .. } => None,
            Verdict::Fails(breakdown) => Some(breakdown),
        })
    }

    /// Finds what breaks the round, explains it, and goes on with what was found in its place.
    fn take_out(&self, bench: &mut Bench<'_>, round: &mut Round, breakdown: &Breakdown) -> Result<()> {
        let Some((index, breakdown, alone)) = self.culprit(bench, round, breakdown)? else {
            // Each by itself holds, and together they do not.
            let all = std::mem::take(&mut round.open);
            return all.into_iter().try_for_each(|index| self.breaks(bench, round, index, breakdown));
        };
        self.breaks(bench, &alone, index, &breakdown)?;
        round.open.remove(&index);
        round.put_back(index, &bench.before);
        Ok(())
    }

    /// The first workload that breaks the group when of those that are open it alone is hardened, how it does, and the group of then. The one that shows the failure comes first;
    /// another one that it needs may be the one to blame.
    fn culprit(
        &self,
        bench: &Bench<'_>,
        round: &Round,
        breakdown: &Breakdown,
    ) -> Result<Option<(usize, Breakdown, Round)>> {
        let open = &round.open;
        if open.len() == 1 {
            return Ok(open.first().map(|index| (*index, breakdown.clone(), round.clone())));
        }
        let blamed = breakdown.workload.filter(|index| open.contains(index));
        for index in blamed.iter().chain(open.iter().filter(|index| Some(**index) != blamed)) {
            let mut alone = round.clone();
            open.iter().filter(|other| *other != index).for_each(|other| alone.put_back(*other, &bench.before));
            if let Verdict::Fails(breakdown) = self.trial(&alone, bench)? {
                return Ok(Some((*index, *breakdown, alone)));
            }
        }
        Ok(None)
    }

    fn breaks(&self, bench: &mut Bench<'_>, round: &Round, index: usize, breakdown: &Breakdown) -> Result<()> {
        self.log(bench, index, "after", breakdown)?;
        // That it is not run here says nothing about a cluster.
        if matches!(breakdown.trouble, Trouble::NotRunHere | Trouble::Image) {
            bench.ended.insert(index, Outcome::NotRun { reason: diagnosis::headline(breakdown) });
            return Ok(());
        }
        let (Some(workload), Some(former)) = (round.objects.workloads.get(index), bench.before.workloads.get(index))
        else {
            return Ok(());
        };
        let original: Vec<Settings> =
            bench.ran_before.iter().filter(|settings| settings.workload == index).cloned().collect();
        (self.told)(&format!("looking for what breaks {}", workload.name));
        let case = Case { breakdown, workload, former, original: &original };
        let mut holds_with = |tried: &Workload| {
            let mut round = round.clone();
            if let Some(place) = round.objects.workloads.get_mut(index) {
                place.clone_from(tried);
            }
            Ok(matches!(self.trial(&round, bench)?, Verdict::Holds { .. }))
        };
        let mut diagnosis = diagnosis::diagnose(&case, &mut holds_with)?;
        if round.disks == Disks::Old {
            diagnosis.failure = format!("on the disks that it wrote as found: {}", diagnosis.failure);
        }
        diagnosis.place = bench.places.get(index).map(|place| self.place(place, workload, &diagnosis));
        bench.ran_after.retain(|settings| settings.workload != index);
        let ran = breakdown.settings.iter().filter(|settings| settings.workload == index).cloned();
        bench.ran_after.extend(ran);
        bench.ended.insert(index, Outcome::Breaks(diagnosis));
        Ok(())
    }

    /// The file to change, and the place in it.
    fn place(&self, placed: &Placed, workload: &Workload, diagnosis: &Diagnosis) -> (String, Position) {
        let of_image = ["in the Dockerfile", "change the Dockerfile"];
        let planned = diagnosis.container.as_ref().and_then(|container| placed.builds.get(container));
        match planned.filter(|_| of_image.iter().any(|beginning| diagnosis.remedy.starts_with(beginning))) {
            Some(planned) => self.place_of_image(planned),
            None => {
                let container = diagnosis.container.as_ref().map(|name| FieldPath::container(workload, name));
                let text = self.on_disk.get(&placed.path).map_or("", String::as_str);
                let field = diagnosis.field.as_ref().or(container.as_ref());
                let position = field.and_then(|field| field.position(text, placed.position));
                (placed.path.clone(), position.unwrap_or(placed.position))
            }
        }
    }

    fn place_of_image(&self, planned: &Planned) -> (String, Position) {
        let text = self.on_disk.get(&planned.dockerfile).map_or("", String::as_str);
        (planned.dockerfile.clone(), builds::user_place(text, planned.target.as_deref()))
    }

    fn trial(&self, round: &Round, bench: &Bench<'_>) -> Result<Verdict> {
        let Round { objects, disks, asks, .. } = round;
        let watched = bench.watched.keys().copied().collect();
        let here = |probe: &&ProbeEntry| {
            let service = probe.place().ok().map(|(service, _)| service);
            objects.services.iter().any(|other| Some(other.name.as_str()) == service)
        };
        let questions: Vec<ProbeEntry> = self.probes.iter().filter(|_| *asks).filter(here).cloned().collect();
        let trial = Trial {
            node: self.node,
            objects,
            questions: &questions,
            left_out: &bench.left_out,
            watched: &watched,
            asks_ports: true,
            image_volumes: ImageVolumes::Writable,
            disks: *disks,
            patience: self.patience,
            stay: self.stay,
        };
        trial.run()
    }

    fn log(&self, bench: &Bench<'_>, index: usize, side: &str, breakdown: &Breakdown) -> Result<()> {
        let Some(place) = bench.places.get(index) else { return Ok(()) };
        let name = format!("{}-{}-{side}", place.path, place.label);
        let text = format!("{}\n{}", breakdown.reason, breakdown.log);
        (self.logs)(&name, &needs::without_secrets(&text, &[&bench.before, &bench.after]))
    }
}

/// What was built, by the image's name and its build.
type Images = BTreeMap<(String, Planned), BTreeMap<Side, Result<String, Unbuilt>>>;

fn all_builds(built: &Images) -> Vec<Build> {
    let of = |image: &Result<String, Unbuilt>| match image {
        Ok(_) => Built::Yes,
        Err(unbuilt) => Built::No(unbuilt.clone()),
    };
    built
        .iter()
        .filter_map(|((image, planned), sides)| {
            let (before, after) = (sides.get(&Side::Before)?, sides.get(&Side::After));
            // The same name is the same image: nothing was built anew.
            let after = after.filter(|after| *after != before).map(of);
            Some(Build { image: image.clone(), dockerfile: planned.dockerfile.clone(), before: of(before), after })
        })
        .collect()
}

impl Round {
    /// Goes on with what was found in the place of a workload.
    fn put_back(&mut self, index: usize, before: &Objects) {
        if let (Some(place), Some(former)) = (self.objects.workloads.get_mut(index), before.workloads.get(index)) {
            place.clone_from(former);
        }
    }
}

impl Bench<'_> {
    /// The group by the names of its workloads.
    fn words(&self) -> String {
        let open: Vec<&str> = self
            .places
            .iter()
            .enumerate()
            .filter(|(index, _)| !self.left_out.contains(index))
            .map(|(_, place)| place.label.as_str())
            .collect();
        match open.as_slice() {
            [one, two, three, rest @ ..] if !rest.is_empty() => {
                format!("{one}, {two}, {three} and {} more", rest.len())
            }
            few => few.join(", "),
        }
    }

    fn end(&mut self, index: usize, outcome: Outcome) {
        self.ended.entry(index).or_insert(outcome);
        self.left_out.insert(index);
    }

    fn end_all(&mut self, outcome: &Outcome) {
        for index in 0..self.places.len() {
            if !self.left_out.contains(&index) {
                self.end(index, outcome.clone());
            }
        }
    }

    fn hold(&mut self, index: usize) {
        let because = self.watched.get(&index).cloned();
        let (demand, because) = match because {
            Some(because) => (Demand::StaysUp, Some(because)),
            None if self.asked.contains(&index) => (Demand::Answers, None),
            None => (Demand::StaysUp, Some("it declares no probe and no port".to_owned())),
        };
        self.ended.entry(index).or_insert(Outcome::Holds { demand, because });
    }

    /// Whether anything that is run keeps something on a disk.
    fn has_disks(&self) -> bool {
        let mut running = self.before.workloads.iter().enumerate().filter(|(index, _)| !self.left_out.contains(index));
        running.any(|(_, workload)| workload.disks().next().is_some())
    }

    fn tried_on_old_disks(&mut self, index: usize, outcome: &OldDisks) {
        if self.after.workloads.get(index).is_some_and(|workload| workload.disks().next().is_some()) {
            self.old_disks.insert(index, outcome.clone());
        }
    }

    fn do_without(&mut self, index: usize) {
        for objects in [&mut self.before, &mut self.after] {
            let all = objects.clone();
            if let Some(workload) = objects.workloads.get_mut(index) {
                needs::do_without(workload, &all);
            }
        }
    }

    /// Whether both sides are the same, so that one run tells all.
    fn is_unchanged(&self) -> bool {
        let told = |objects: &Objects| -> Vec<(Value, Vec<Option<String>>)> {
            let of = |workload: &Workload| {
                let built = workload.clone().all_containers().map(|container| container.built.clone()).collect();
                (serde_json::to_value(workload).unwrap_or_default(), built)
            };
            objects.workloads.iter().map(of).collect()
        };
        told(&self.before) == told(&self.after)
            && self.before.data == self.after.data
            && self.before.services == self.after.services
    }

    fn judged(mut self) -> Vec<Judged> {
        let mut judged = Vec::new();
        for (index, place) in self.places.iter().enumerate() {
            let reason = "the proof ended before it".to_owned();
            let outcome = self.ended.remove(&index).unwrap_or(Outcome::NotRun { reason });
            let of = |all: &[Settings]| -> Vec<Settings> {
                all.iter().filter(|settings| settings.workload == index).cloned().collect()
            };
            let (before, after) = (of(&self.ran_before), of(&self.ran_after));
            let mut one = Judged::without_a_run(place, outcome);
            one.proof.before = before.iter().map(ContainerProof::of).collect();
            one.proof.after = after.iter().map(ContainerProof::of).collect();
            one.proof.old_disks = self.old_disks.remove(&index);
            one.proof.missing = self.missing.get(index).cloned().unwrap_or_default();
            judged.push(Judged { before, after, ..one });
        }
        judged
    }
}

impl Judged {
    fn without_a_run(place: &Placed, outcome: Outcome) -> Self {
        let proof = WorkloadProof {
            workload: place.label.clone(),
            path: place.path.clone(),
            position: place.position,
            outcome,
            before: Vec::new(),
            after: Vec::new(),
            old_disks: None,
            missing: Vec::new(),
        };
        Self { proof, before: Vec::new(), after: Vec::new() }
    }
}
