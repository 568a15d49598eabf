//! Python: install into a virtual environment where compilers are, copy it to the same path on the same base.

use super::python_packages::{self, Environment};
use super::survey::{self, Survey};
use super::{Refusal, Split, final_base, launch, packages, python_files};
use crate::discover::{file_name, join};
use crate::dockerfile::{Keyword, Operation};
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts, Obstacle};
use crate::image::Family;

/// Packages that use the compiler's OpenMP library and do not bring it.
const OPENMP: [&str; 5] = ["lightgbm", "xgboost", "hdbscan", "implicit", "faiss"];

/// The virtual environment: scripts in it hold this path, so it is the same in both stages.
const VENV: &str = "/opt/venv";

pub(super) fn split(application: &Application<'_>, image: &ImageFacts<'_>, survey: &Survey) -> Result<Split, Refusal> {
    if image.known_base.is_none_or(|known| known.name != "python") {
        return Err((SkipReason::NoBuildStep, "the interpreter does not come from the base python".to_owned()));
    }
    let tag = image.base.as_ref().and_then(|base| base.tag()).unwrap_or_default();
    if tag.split(['.', '-']).next() == Some("2") {
        return Err((SkipReason::NoBuildStep, "Python 2 makes no virtual environments by itself".to_owned()));
    }
    let workdir = survey.single_workdir(image)?;
    survey.copies_into_but(image, &workdir, |index| python_packages::brings_uv(image, index))?;
    survey.unaccounted(image, |words| packages::installs(words) || python_packages::accounts(words))?;
    if !packages::leaves_any(image, survey) {
        return Err((SkipReason::NoBuildStep, "no compiler to leave behind".to_owned()));
    }
    let environment = python_packages::environment(application, image, survey, &workdir)?;
    starts_from_path(application, image)?;
    python_files::stay(application, image, survey, &environment)?;
    let lists = ["requirements.txt", "pyproject.toml", "poetry.lock", "uv.lock"];
    let lists = lists.into_iter().filter_map(|name| join(image.directory(), name));
    let lists: String = lists.filter_map(|path| application.around.repository.tree().read(&path)).collect();
    let text = format!("{lists}{}", image.dockerfile.text()).to_ascii_lowercase();
    if let Some(package) = OPENMP.iter().find(|package| text.contains(**package)) {
        return Err((
            SkipReason::RunTimeInputs,
            format!("{package} needs libgomp at run time, which the compiler brought"),
        ));
    }
    let mut lines: Vec<String> = packages::line(image, survey).into_iter().collect();
    lines.push(format!("WORKDIR {workdir}"));
    let mut build = Vec::new();
    let detail = match environment {
        Environment::New { first, activates } => {
            let text = image.dockerfile.text();
            let names_base =
                |index: usize| image.dockerfile.instructions()[index].arguments.of(text).contains("/usr/local/bin");
            if survey.copied.iter().any(|index| sets_path(image, *index))
                || survey.moved.iter().any(|index| sets_path(image, *index) && names_base(*index))
            {
                let detail = "PATH is set, and the virtual environment must stand first in it".to_owned();
                return Err((SkipReason::AuthorChoice, detail));
            }
            let path = format!("ENV PATH={VENV}/bin:$PATH");
            let mut made = vec![format!("RUN python -m venv {VENV}"), path.clone()];
            made.extend(activates.then(|| format!("ENV VIRTUAL_ENV={VENV}")));
            build.push(Operation::InsertBefore { instruction: first, above_comments: true, lines: made });
            build.extend(python_packages::into_environment(survey, VENV));
            lines.extend([path, format!("COPY --from={} {VENV} {VENV}", survey.names.build)]);
            "packages are in a virtual environment at the same path"
        }
        Environment::OfProject => "packages are in the virtual environment of the project, at the same path",
    };
    lines.push(format!("COPY --from={} {workdir} {workdir}", survey.names.build));
    let detail = format!("compilers stay in the build stage; {detail}");
    let mut obstacles = cxx(image, survey);
    let (base, missing) = final_base::same_or_slim(application, image)?;
    obstacles.extend(missing);
    Ok(Split { builder: None, build, base, lines, command: None, detail, obstacles })
}

/// On Alpine the C++ library comes with the compiler; what was compiled with it needs it at run time.
pub(super) fn cxx(image: &ImageFacts<'_>, survey: &Survey) -> Vec<Obstacle> {
    let installs = survey.commands.iter().any(|(_, command)| {
        let words = survey::words(command);
        packages::installs(&words) && words.iter().any(|word| matches!(*word, "g++" | "build-base"))
    });
    if !installs || image.family != Some(Family::Alpine) {
        return Vec::new();
    }
    let detail = "packages compiled with C++ need libstdc++ at run time, which the compiler brought".to_owned();
    vec![Obstacle { reason: SkipReason::RunTimeInputs, detail, hard: false, by_setting: false }]
}

fn sets_path(image: &ImageFacts<'_>, index: usize) -> bool {
    let instruction = &image.dockerfile.instructions()[index];
    instruction.keyword == Keyword::Env
        && instruction.arguments.of(image.dockerfile.text()).split_whitespace().any(|word| word.starts_with("PATH"))
}

pub(super) fn is_tool(word: &str) -> bool {
    matches!(word, "poetry" | "uv" | "uvx" | "pipenv" | "pdm" | "hatch" | "rye")
}

/// An interpreter or program named by its absolute path would not see the virtual environment.
fn starts_from_path(application: &Application<'_>, image: &ImageFacts<'_>) -> Result<(), Refusal> {
    for (place, argv) in launch::all(application, image) {
        if let Some(tool) = argv.iter().flat_map(|word| word.split_whitespace()).find(|word| is_tool(word)) {
            let detail = format!("{place} starts {tool}, which looks for an environment of its own");
            return Err((SkipReason::RunTimeInputs, detail));
        }
        if let [shell, flag, ..] = argv.as_slice()
            && matches!(file_name(shell), "sh" | "bash" | "ash")
            && (flag == "--login" || flag.starts_with('-') && !flag.starts_with("--") && flag.contains('l'))
        {
            let detail = format!("{place} starts a login shell, which sets PATH anew");
            return Err((SkipReason::RunTimeInputs, detail));
        }
        let words = argv.iter().flat_map(|word| word.split_whitespace());
        if let Some(word) = words.into_iter().find(|word| word.starts_with("/usr/") && !word.ends_with("/env")) {
            let detail = format!("{place} starts {}, which would not see the virtual environment", word.escape_debug());
            return Err((SkipReason::RunTimeInputs, detail));
        }
    }
    Ok(())
}
