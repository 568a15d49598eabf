//! A proof for programs. The README documents the form; a change that could break a reader raises its version.

use crate::prove::field::FieldPath;
use crate::prove::judge::Demand;
use crate::prove::proof::{Built, Cause, ContainerProof, Diagnosis, OldDisks, Outcome, Proof, WorkloadProof};
use crate::prove::totals::{Conclusion, Totals};
use crate::source::{Position, reorders_text};
use serde::Serialize;
use std::fmt::Write;

/// The version of the form.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    engine: &'a str,
    conclusion: Conclusion,
    totals: Totals,
    images: Vec<Image<'a>>,
    workloads: Vec<Workload<'a>>,
}

#[derive(Serialize)]
struct Image<'a> {
    image: &'a str,
    dockerfile: &'a str,
    before: Build<'a>,
    after: Option<Build<'a>>,
}

#[derive(Serialize)]
struct Build<'a> {
    builds: bool,
    error: Option<&'a str>,
    place: Option<Place<'a>>,
}

#[derive(Serialize)]
struct Workload<'a> {
    workload: &'a str,
    place: Place<'a>,
    outcome: &'static str,
    reason: Option<&'a str>,
    diagnosis: Option<Reason<'a>>,
    old_disks: Option<&'a OldDisks>,
    missing: &'a [String],
    before: &'a [ContainerProof],
    after: &'a [ContainerProof],
}

#[derive(Serialize)]
struct Reason<'a> {
    container: Option<&'a str>,
    cause: Cause,
    failure: &'a str,
    remedy: &'a str,
    field: Option<&'a FieldPath>,
    unwritable: &'a [String],
    place: Option<Place<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    path: &'a str,
    #[serde(flatten)]
    position: Position,
}

/// The proof as one JSON object over several lines. Characters that a terminal would act on are escaped.
pub fn json(proof: &Proof) -> String {
    let document = Document {
        version: VERSION,
        engine: &proof.engine,
        conclusion: Conclusion::of(proof),
        totals: Totals::of(proof),
        images: proof
            .builds
            .iter()
            .map(|build| Image {
                image: &build.image,
                dockerfile: &build.dockerfile,
                before: built(&build.before),
                after: build.after.as_ref().map(built),
            })
            .collect(),
        workloads: proof.workloads.iter().map(workload).collect(),
    };
    // Nothing in it can fail to be JSON: no key that is no text, and no number that is none.
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    let mut shown = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        if character != '\n' && character.is_control() || reorders_text(character) {
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    shown.push('\n');
    shown
}

fn built(built: &Built) -> Build<'_> {
    match built {
        Built::Yes => Build { builds: true, error: None, place: None },
        Built::No(unbuilt) => {
            Build { builds: false, error: Some(&unbuilt.words), place: unbuilt.place.as_ref().map(place) }
        }
    }
}

fn workload(proof: &WorkloadProof) -> Workload<'_> {
    let (outcome, reason, diagnosis) = match &proof.outcome {
        Outcome::Holds { demand: Demand::Answers, because } => ("answers", because.as_deref(), None),
        Outcome::Holds { demand: Demand::StaysUp, because } => ("stays-up", because.as_deref(), None),
        Outcome::Breaks(diagnosis) => ("breaks", None, Some(self::diagnosis(diagnosis))),
        Outcome::Void { reason } => ("fails-as-found", Some(reason.as_str()), None),
        Outcome::NotRun { reason } => ("not-run", Some(reason.as_str()), None),
    };
    Workload {
        workload: &proof.workload,
        place: Place { path: &proof.path, position: proof.position },
        outcome,
        reason,
        diagnosis,
        old_disks: proof.old_disks.as_ref(),
        missing: &proof.missing,
        before: &proof.before,
        after: &proof.after,
    }
}

fn diagnosis(diagnosis: &Diagnosis) -> Reason<'_> {
    Reason {
        container: diagnosis.container.as_deref(),
        cause: diagnosis.cause,
        failure: &diagnosis.failure,
        remedy: &diagnosis.remedy,
        field: diagnosis.field.as_ref(),
        unwritable: &diagnosis.unwritable,
        place: diagnosis.place.as_ref().map(place),
    }
}

fn place((path, position): &(String, Position)) -> Place<'_> {
    Place { path, position: *position }
}
