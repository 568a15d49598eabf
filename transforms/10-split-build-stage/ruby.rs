//! Ruby: install gems where compilers are, copy them to the same path on the same base.

use super::survey::{self, Survey};
use super::{Refusal, Split, final_base, packages, python};
use crate::discover::join;
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts};

/// Where the official images have gems, their programs and Bundler's settings, by GEM_HOME and BUNDLE_APP_CONFIG
/// (<https://github.com/docker-library/ruby/blob/master/Dockerfile.template>).
const GEMS: &str = "/usr/local/bundle";

/// Gems that use the compiler's OpenMP library and do not bring it.
const OPENMP: [&str; 5] = ["lightgbm", "xgb", "faiss", "numo-", "torch-rb"];

pub(super) fn split(application: &Application<'_>, image: &ImageFacts<'_>, survey: &Survey) -> Result<Split, Refusal> {
    if image.known_base.is_none_or(|known| known.name != "ruby") {
        return Err((SkipReason::NoBuildStep, "the interpreter does not come from the base ruby".to_owned()));
    }
    let workdir = survey.single_workdir(image)?;
    survey.copies_into(image, &workdir)?;
    survey.unaccounted(image, |words| packages::installs(words) || installs_gems(words) || compiles_assets(words))?;
    let runs = |wanted: fn(&[&str]) -> bool| survey.commands.iter().any(|(_, command)| wanted(&survey::words(command)));
    if !packages::leaves_any(image, survey) {
        return Err((SkipReason::NoBuildStep, "no compiler to leave behind".to_owned()));
    }
    if !runs(installs_gems) {
        return Err((SkipReason::NoBuildStep, "no gems are installed".to_owned()));
    }
    let moves_gems = |(name, _): &(String, String)| {
        matches!(name.as_str(), "GEM_HOME" | "GEM_PATH" | "BUNDLE_PATH" | "BUNDLE_APP_CONFIG" | "BUNDLE_BIN")
    };
    if let Some((name, _)) = image.dockerfile.env(image.stage).iter().find(|variable| moves_gems(variable)) {
        let detail = format!("{} sets {name}, and gems are not where the base has them", image.path);
        return Err((SkipReason::AuthorChoice, detail));
    }
    let tree = application.around.repository.tree();
    let locked = ["Gemfile.lock", "Gemfile"].iter().filter_map(|name| tree.read(&join(image.directory(), name)?));
    let locked: String = locked.chain([image.dockerfile.text().to_string()]).collect();
    if let Some(gem) = OPENMP.iter().find(|gem| locked.contains(**gem)) {
        let detail = format!("{gem} needs libgomp at run time, which the compiler brought");
        return Err((SkipReason::RunTimeInputs, detail));
    }
    let (base, missing) = final_base::same_or_slim(application, image)?;
    let mut lines: Vec<String> = packages::line(image, survey).into_iter().collect();
    lines.extend([
        format!("WORKDIR {workdir}"),
        format!("COPY --from={} {GEMS} {GEMS}", survey.names.build),
        format!("COPY --from={} {workdir} {workdir}", survey.names.build),
    ]);
    let obstacles = python::cxx(image, survey).into_iter().chain(missing).collect();
    let detail = "compilers stay in the build stage; gems are at the same path".to_owned();
    Ok(Split { builder: None, build: Vec::new(), base, lines, command: None, detail, obstacles })
}

/// Whether a command installs gems where the base has them, or in the working directory.
fn installs_gems(words: &[&str]) -> bool {
    match words {
        // What follows `bundle config` is a setting, which lies beside the gems unless it is for all of a user's projects.
        ["bundle", "config", rest @ ..] => !rest.iter().any(|word| {
            word.is_empty()
                || matches!(*word, "--global" | "system" | "--system")
                || word.contains("path")
                || word.contains("bin")
        }),
        ["bundle"] => true,
        ["bundle", "install", rest @ ..] => {
            let known = |word: &&str| {
                !word.is_empty()
                    && !word.starts_with("--path")
                    && !word.starts_with("--binstubs")
                    && !word.starts_with("--system")
                    && !word.starts_with("--gemfile")
            };
            rest.iter().all(known)
        }
        ["gem", "install", rest @ ..] => {
            let known = |word: &&str| {
                !word.is_empty()
                    && (!word.starts_with('-')
                        || matches!(
                            word.split('=').next(),
                            Some(
                                "-v" | "--version"
                                    | "-N"
                                    | "--no-document"
                                    | "--no-ri"
                                    | "--no-rdoc"
                                    | "--conservative"
                            )
                        ))
            };
            rest.iter().all(known)
        }
        _ => false,
    }
}

/// Whether a command writes what the program serves into the working directory.
fn compiles_assets(words: &[&str]) -> bool {
    let words = match words {
        ["bundle", "exec", rest @ ..] => rest,
        all => all,
    };
    matches!(words, ["rake" | "rails" | "bin/rails" | "./bin/rails" | "bin/rake" | "./bin/rake", "assets:precompile"])
}
