//! Node.js: install and build with everything, run with what production needs, on the same base.

use super::survey::{self, Survey};
use super::{Refusal, Split};
use crate::discover::join;
use crate::dockerfile::Operation;
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts, PackageJson, loads_package};

pub(super) fn split(application: &Application<'_>, image: &ImageFacts<'_>, survey: &Survey) -> Result<Split, Refusal> {
    let tree = application.around.repository.tree();
    let package = PackageJson::read(tree, image.directory())
        .ok_or_else(|| (SkipReason::UnaccountedCommand, format!("no package.json beside {}", image.path)))?;
    if !join(image.directory(), "package-lock.json").is_some_and(|path| tree.has(&path)) {
        return Err((
            SkipReason::UnaccountedCommand,
            "no package-lock.json: which packages are for production cannot be told".to_owned(),
        ));
    }
    let workdir = survey.single_workdir(image)?;
    survey.copies_into(image, &workdir)?;
    survey.unaccounted(image, |words| {
        let global = words.iter().any(|word| *word == "-g" || *word == "--global");
        survey::installs_build_packages(words)
            || !global && matches!(words, ["npm", "install" | "ci" | "i"] | ["npm", "install" | "ci" | "i", "-" | "", ..])
            || !global && matches!(words, ["npm", "install" | "ci" | "i", rest @ ..] if rest.iter().all(|word| word.starts_with('-')))
            || matches!(words, ["npm", "run", "build"] | ["npm", "cache", ..] | ["npm", "prune", ..])
    })?;
    let builds = survey.commands.iter().any(|(_, command)| survey::words(command) == ["npm", "run", "build"]);
    let compiles = survey.commands.iter().any(|(_, command)| survey::installs_build_packages(&survey::words(command)));
    let production_only = survey.commands.iter().any(|(_, command)| {
        survey::words(command).iter().any(|word| matches!(*word, "--production" | "--omit=dev" | "--only=production"))
    });
    let develops = !package.dev_dependencies().is_empty() && !production_only;
    if !builds && !compiles && !develops {
        return Err((
            SkipReason::NoBuildStep,
            "no build script, compiler or development dependency to leave behind".to_owned(),
        ));
    }
    runs_without_development(application, image, &package)?;
    if develops && let Some(place) = loads_package(tree, image.directory(), package.dev_dependencies()) {
        return Err((
            SkipReason::RunTimeInputs,
            format!("{place} is loaded by the program and listed as a development dependency"),
        ));
    }
    let mut build = Vec::new();
    if develops {
        let last = image.last_file_instruction();
        build.push(Operation::InsertAfter { instruction: last, lines: vec![prune(image)] });
    }
    let from = &image.dockerfile.instructions()[image.stage.from];
    let base = from.arguments.of(image.dockerfile.text()).trim().to_owned();
    let lines = vec![format!("WORKDIR {workdir}"), format!("COPY --from={} {workdir} {workdir}", super::BUILD)];
    let left: Vec<&str> = [("the build", builds), ("the compilers", compiles), ("development dependencies", develops)]
        .into_iter()
        .filter_map(|(what, holds)| holds.then_some(what))
        .collect();
    let detail = format!("{} and the package cache stay in the build stage", left.join(", "));
    Ok(Split { builder: None, build, base, lines, command: None, detail, obstacles: Vec::new() })
}

/// npm 6, which came with Node.js up to 14, knows another name for the same.
fn prune(image: &ImageFacts<'_>) -> String {
    let tag = image.base.as_ref().and_then(|base| base.tag()).unwrap_or_default();
    let major: Option<u32> = tag.split(['.', '-']).next().and_then(|major| major.parse().ok());
    let flag = if major.is_some_and(|major| major < 15) { "--production" } else { "--omit=dev" };
    format!("RUN npm prune {flag}")
}

/// Whether everything that is started runs on production dependencies: `node FILE`, or an npm script that is that.
fn runs_without_development(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    package: &PackageJson,
) -> Result<(), Refusal> {
    let mut commands = vec![(image.path.to_owned(), image.argv())];
    for container in &application.containers {
        commands.extend(container.argv(Some(image)).map(|argv| (container.place().to_string(), argv)));
        commands
            .extend(container.view.exec_commands().into_iter().map(|command| (container.place().to_string(), command)));
    }
    for (place, argv) in commands {
        let line = match argv.first().map(String::as_str) {
            Some("/bin/sh" | "sh") if argv.get(1).map(String::as_str) == Some("-c") => {
                argv.get(2).cloned().unwrap_or_default()
            }
            _ => argv.join(" "),
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let words = match words.as_slice() {
            ["tini" | "/sbin/tini" | "/usr/bin/tini" | "dumb-init", "--", rest @ ..] => rest,
            all => all,
        };
        let script = match words {
            // Anything between node and the file may load packages of its own.
            ["node", file, ..] if !file.starts_with('-') => continue,
            ["npm", "start"] => "start",
            ["npm", "run", script] => script,
            _ => {
                let detail = format!("{place} starts {}, whose dependencies are not known", line.escape_debug());
                return Err((SkipReason::RunTimeInputs, detail));
            }
        };
        let hooked = package.script(&format!("pre{script}")).or(package.script(&format!("post{script}")));
        match package.script(script) {
            Some(line) if hooked.is_none() && is_plain_node(line) && !line.contains(['&', '|', ';']) => {}
            Some(line) => {
                let detail =
                    format!("{place} starts `{}`, which may need development dependencies", line.escape_debug());
                return Err((SkipReason::RunTimeInputs, detail));
            }
            None => {
                return Err((
                    SkipReason::RunTimeInputs,
                    format!("{place} starts an npm script that is not in package.json"),
                ));
            }
        }
    }
    Ok(())
}

/// `node FILE …`: no flag before the file, which may load packages of its own.
fn is_plain_node(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next() == Some("node") && words.next().is_some_and(|file| !file.starts_with('-'))
}
