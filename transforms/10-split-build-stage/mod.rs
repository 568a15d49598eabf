#![doc = include_str!("README.md")]

mod binary;
mod dotnet;
mod final_base;
mod front_end;
mod go;
mod health;
mod java;
mod launch;
mod node;
mod node_files;
mod node_packages;
mod packages;
mod php;
mod python;
mod python_files;
mod python_packages;
mod ready_jar;
mod ruby;
mod rust;
mod survey;

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::dockerfile::{Dockerfile, Operation};
use crate::edit::EditSet;
use crate::error::SkipReason;
use crate::facts::{Application, ContainerFacts, ImageFacts, Obstacle, Stack};
use crate::kubernetes::Workload;
use survey::Survey;

static METADATA: Metadata = Metadata {
    number: 10,
    id: "split-build-stage",
    title: "Build in one stage, run in another",
    why: "Compilers, package caches and development dependencies stay in the build stage. The final stage holds what the program needs at run time, and \
          each file in it is accounted for.",
    readme: include_str!("README.md"),
};

/// Splits a single-stage build where everything that runs is accounted for.
pub(super) struct SplitBuildStage;

/// Why a recipe does not apply.
type Refusal = (SkipReason, String);

/// How a program of one language is split, or why it cannot be.
type Recipe = fn(&Application<'_>, &ImageFacts<'_>, &Survey) -> Result<Split, Refusal>;

/// The languages that can be split: a line here and a file beside this one add another.
const RECIPES: [(Stack, Recipe); 8] = [
    (Stack::Go, go::split),
    (Stack::Node, node::split),
    (Stack::Python, python::split),
    (Stack::Java, java::split),
    (Stack::Rust, rust::split),
    (Stack::DotNet, dotnet::split),
    (Stack::Php, php::split),
    (Stack::Ruby, ruby::split),
];

/// What a recipe makes of a single-stage file.
struct Split {
    /// The base of the build stage, where its tag must say more than it does.
    builder: Option<String>,
    /// Changes above the final stage: a build flag, a virtual environment, pruning.
    build: Vec<Operation>,
    /// The base of the final stage; the flags of the only FROM are repeated before it.
    base: String,
    /// Lines of the final stage between FROM and the instructions that move into it.
    lines: Vec<String>,
    /// The command as it must be written in the final stage; `None` to move it as it is.
    command: Option<String>,
    /// What is gained, one line.
    detail: String,
    /// What speaks against it.
    obstacles: Vec<Obstacle>,
}

impl Transform for SplitBuildStage {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        let Some(image) = &application.image else { return Vec::new() };
        let proposal = propose(application, image);
        vec![match final_base::note(image) {
            Some(note) => proposal.with_note(&note),
            None => proposal,
        }]
    }
}

/// What becomes of an image.
fn propose(application: &Application<'_>, image: &ImageFacts<'_>) -> Proposal {
    let subject = Subject::image(image);
    if image.dockerfile.stages().len() > 1 {
        return Proposal::already(subject, format!("{} stages", image.dockerfile.stages().len()));
    }
    let Some((_, recipe)) = RECIPES.iter().find(|(stack, _)| image.stack == Some(*stack)) else {
        let detail = match image.stack {
            Some(stack) => format!("no recipe for {stack}"),
            None => "no recipe for its language".to_owned(),
        };
        return Proposal::declined(subject, SkipReason::UnknownStack, detail);
    };
    if let Some(detail) = application.containers.iter().find_map(started_by_operator) {
        return Proposal::declined(subject, SkipReason::ManifestOverride, detail);
    }
    if let Some(heir) = application.around.links.heirs(image.file).first() {
        let path = &application.around.repository.file(*heir).path;
        let detail = format!("{path} may start from this image, and what it needs of it is not seen");
        return Proposal::declined(subject, SkipReason::SharedStage, detail);
    }
    if image.stack == Some(Stack::Java) && !java::builds_here(image) {
        return match ready_jar::replace(application, image) {
            Ok(replacement) => {
                let mut change = Change::default();
                change.dockerfile(image.file, replacement.operations);
                Proposal::change(subject, change, &replacement.obstacles, replacement.detail)
            }
            Err((reason, detail)) => Proposal::declined(subject, reason, detail),
        };
    }
    let split = survey::survey(application, image).and_then(|survey| {
        let mut split = recipe(application, image, &survey)?;
        split.base = final_base::for_containers(application, &split.base)?;
        final_base::judge(application, image, &split.base)?;
        health::judge(image, survey.moved.iter().copied(), &split.base)?;
        health::judge_services(application, image, &split.base)?;
        Ok((split, survey))
    });
    match split {
        Ok((split, survey)) => {
            let mut change = Change::default();
            change.dockerfile(image.file, operations(image, &split, &survey));
            Proposal::change(subject, change, &split.obstacles, split.detail)
        }
        Err((reason, detail)) => Proposal::declined(subject, reason, detail),
    }
}

/// What runs in the container besides what image and manifest name.
fn started_by_operator(container: &ContainerFacts<'_>) -> Option<String> {
    let Workload { kind, starts, .. } = container.workload;
    let starts = starts.as_ref()?;
    Some(format!("{}: the operator of a {kind} starts {starts}, which the final image may not hold", container.place()))
}

fn operations(image: &ImageFacts<'_>, split: &Split, survey: &Survey) -> Vec<Operation> {
    let dockerfile = image.dockerfile;
    let text = dockerfile.text();
    let builder = split.builder.as_deref().unwrap_or(image.stage.base_span.of(text));
    let build = &survey.names.build;
    let replaced = match image.stage.name_span {
        Some(span) => vec![(image.stage.base_span, builder.to_owned()), (span, build.clone())],
        None => vec![(image.stage.base_span, format!("{builder} AS {build}"))],
    };
    let replaced = replaced.into_iter().filter(|(span, new)| span.of(text) != new);
    let mut operations: Vec<Operation> = replaced.map(|(span, text)| Operation::Replace { span, text }).collect();
    operations.extend(split.build.iter().cloned());
    operations.extend(survey.moved.iter().map(|index| Operation::Remove { instruction: *index, with_comments: true }));
    let mut lines = Vec::new();
    if !ends_with_blank_line(dockerfile, &operations) {
        lines.push(String::new());
    }
    let from = &dockerfile.instructions()[image.stage.from];
    let flags: String = from.flags.iter().map(|flag| format!("{} ", flag.span.of(text))).collect();
    let name = survey.names.last.iter().map(|name| format!(" AS {name}")).collect::<String>();
    lines.push(format!("FROM {flags}{}{name}", split.base));
    lines.extend(split.lines.iter().cloned());
    for index in &survey.copied {
        lines.push(dockerfile.instructions()[*index].span.of(text).to_owned());
    }
    for index in &survey.moved {
        lines.extend(survey::comments_above(dockerfile, *index));
        let written = dockerfile.instructions()[*index].span.of(text);
        let is_command = Some(*index) == survey.command;
        lines.push(split.command.clone().filter(|_| is_command).unwrap_or_else(|| written.to_owned()));
    }
    operations.push(Operation::Append { lines });
    operations
}

/// Whether what is left of the build stage ends with a blank line, so that the final stage needs none before it.
fn ends_with_blank_line(dockerfile: &Dockerfile, operations: &[Operation]) -> bool {
    let mut trial = operations.to_vec();
    trial.push(Operation::Append { lines: vec!["FROM scratch".to_owned()] });
    let Ok(edits) = EditSet::new(dockerfile.plan(&trial)) else { return false };
    edits.apply(dockerfile.text()).lines().rev().nth(1).is_some_and(|line| line.trim().is_empty())
}
