//! Python: install into a virtual environment where compilers are, copy it to the same path on the same base.

use super::survey::{self, Survey};
use super::{Refusal, Split, final_base, launch, packages};
use crate::discover::join;
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
    let workdir = survey.single_workdir(image)?;
    survey.copies_into(image, &workdir)?;
    let is_pip = |words: &[&str]| {
        matches!(words, ["pip" | "pip3", "install", ..] | ["python" | "python3", "-m", "pip", "install", ..])
    };
    survey.unaccounted(image, |words| {
        let placed = words.iter().any(|word| {
            matches!(
                word.split('=').next(),
                Some(
                    "--user"
                        | "--target"
                        | "-t"
                        | "--prefix"
                        | "--root"
                        | "-e"
                        | "--editable"
                        | "--break-system-packages"
                )
            )
        });
        packages::installs(words) || is_pip(words) && !placed && !words.contains(&"")
    })?;
    if !packages::leaves_any(image, survey) {
        return Err((SkipReason::NoBuildStep, "no compiler to leave behind".to_owned()));
    }
    let first = survey.commands.iter().find(|(_, command)| is_pip(&survey::words(command))).map(|(index, _)| *index);
    let Some(first) = first else {
        return Err((SkipReason::NoBuildStep, "nothing is installed with pip".to_owned()));
    };
    if survey.copied.iter().any(|index| sets_path(image, *index)) {
        return Err((
            SkipReason::AuthorChoice,
            "PATH is set, and the virtual environment must stand first in it".to_owned(),
        ));
    }
    starts_from_path(application, image)?;
    let requirements =
        join(image.directory(), "requirements.txt").and_then(|path| application.around.repository.tree().read(&path));
    let text = format!("{}{}", requirements.unwrap_or_default(), image.dockerfile.text()).to_ascii_lowercase();
    if let Some(package) = OPENMP.iter().find(|package| text.contains(**package)) {
        return Err((
            SkipReason::RunTimeInputs,
            format!("{package} needs libgomp at run time, which the compiler brought"),
        ));
    }
    let path = format!("ENV PATH={VENV}/bin:$PATH");
    let lines = vec![format!("RUN python -m venv {VENV}"), path.clone()];
    let build = vec![Operation::InsertBefore { instruction: first, above_comments: true, lines }];
    let mut lines: Vec<String> = packages::line(image, survey).into_iter().collect();
    lines.extend([
        format!("WORKDIR {workdir}"),
        path,
        format!("COPY --from={} {VENV} {VENV}", survey.names.build),
        format!("COPY --from={} {workdir} {workdir}", survey.names.build),
    ]);
    let detail = "compilers stay in the build stage; packages are in a virtual environment at the same path".to_owned();
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

/// An interpreter or program named by its absolute path would not see the virtual environment.
fn starts_from_path(application: &Application<'_>, image: &ImageFacts<'_>) -> Result<(), Refusal> {
    for (place, argv) in launch::all(application, image) {
        let words = argv.iter().flat_map(|word| word.split_whitespace());
        if let Some(word) = words.into_iter().find(|word| word.starts_with("/usr/") && !word.ends_with("/env")) {
            let detail = format!("{place} starts {}, which would not see the virtual environment", word.escape_debug());
            return Err((SkipReason::RunTimeInputs, detail));
        }
    }
    Ok(())
}
