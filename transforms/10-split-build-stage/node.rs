//! Node.js: install and build with everything, run with what production needs, on the same base.

use super::node_packages::{self, NodePackages};
use super::survey::{self, Survey};
use super::{Refusal, Split, binary, final_base, front_end, launch, node_files, packages};
use crate::config::FinalBase;
use crate::discover::join;
use crate::dockerfile::Operation;
use crate::error::SkipReason;
use crate::facts::{
    Application, ImageFacts, LockedPackage, Obstacle, PackageJson, PackageLock, finds_text, loads_package,
};
use crate::image::Family;

pub(super) fn split(application: &Application<'_>, image: &ImageFacts<'_>, survey: &Survey) -> Result<Split, Refusal> {
    let tree = application.around.repository.tree();
    let package = PackageJson::read(tree, image.directory())
        .ok_or_else(|| (SkipReason::UnaccountedCommand, format!("no package.json beside {}", image.path)))?;
    if let Some(split) = front_end::split(application, image, survey, &package) {
        return split;
    }
    let manager = NodePackages::of(application, image, survey)?;
    if package.has_workspaces() {
        let detail = "package.json has workspaces, each with dependencies of its own".to_owned();
        return Err((SkipReason::RunTimeInputs, detail));
    }
    let list = join(image.directory(), "package.json").into_iter().collect::<Vec<_>>();
    if survey.copied_of(image, image.directory(), &list).is_none() {
        let detail = format!("the package.json beside {} is not seen to be in the image", image.path);
        return Err((SkipReason::UnaccountedCommand, detail));
    }
    let workdir = survey.single_workdir(image)?;
    survey.copies_into(image, &workdir)?;
    survey.unaccounted(image, |words| packages::installs(words) || manager.accounts(words))?;
    let builds = survey.commands.iter().any(|(_, command)| node_packages::is_build(&survey::words(command)));
    let compiles = packages::leaves_any(image, survey);
    let develops = !package.dev_dependencies().is_empty() && !manager.leaves_out_development(survey);
    if !builds && !compiles && !develops {
        return Err((
            SkipReason::NoBuildStep,
            "no build script, compiler or development dependency to leave behind".to_owned(),
        ));
    }
    let has_yarn = manager == NodePackages::Yarn && !manager.is_brought(survey);
    runs_without_development(application, image, &package, has_yarn)?;
    if develops && let Some(place) = loads_package(tree, image.directory(), package.dev_dependencies()) {
        return Err((
            SkipReason::RunTimeInputs,
            format!("{place} is loaded by the program and listed as a development dependency"),
        ));
    }
    if develops && let Some(place) = node_packages::reaches_for_development(application, image, &package) {
        let detail = format!("{place} may be a package that is listed as a development dependency");
        return Err((SkipReason::RunTimeInputs, detail));
    }
    node_files::stay(application, image, &package)?;
    let mut build = Vec::new();
    let mut obstacles = Vec::new();
    if develops {
        let (line, doubts) = manager.leave_development(application, image, survey, &package)?;
        build.push(Operation::InsertAfter { instruction: image.last_file_instruction(), lines: vec![line] });
        obstacles.extend(doubts);
        obstacles.extend(node_files::developers_at_work(application, &package));
    }
    let mut base = image.stage.base_span.of(image.dockerfile.text()).to_owned();
    let kept = packages::line(image, survey);
    let mut lines: Vec<String> = kept.iter().cloned().collect();
    lines.extend([format!("WORKDIR {workdir}"), format!("COPY --from={} {workdir} {workdir}", survey.names.build)]);
    let mut command = None;
    match final_base::wished(application) {
        Some(FinalBase::Slim) => {
            base = final_base::slim(image)?;
            obstacles.extend(unseen_needs(application, image, &base)?);
        }
        Some(FinalBase::Distroless) => {
            if let Some(line) = &kept {
                let detail = format!("`{line}` takes a package manager, which the final image does not hold");
                return Err((SkipReason::FinalBase, detail));
            }
            base = distroless(image)?;
            command = Some(command_without_node(application, image, survey, &package)?);
            obstacles.extend(binary::against_user_of(&base, application)?);
            obstacles.extend(needs_on_distroless(application, image, &base)?);
            // There is no shell to share the files in later: they are the user's, and group 0 may do what the user may.
            let share = format!("RUN chmod -R g=u {workdir}");
            match build.last_mut() {
                Some(Operation::InsertAfter { lines, .. }) => lines.push(share),
                _ => build
                    .push(Operation::InsertAfter { instruction: image.last_file_instruction(), lines: vec![share] }),
            }
            // WORKDIR would make the directory as root's, and COPY leave it so.
            lines = vec![
                format!("COPY --from={} --chown=65532:0 {workdir} {workdir}", survey.names.build),
                format!("WORKDIR {workdir}"),
            ];
        }
        Some(FinalBase::Keep | FinalBase::Scratch) | None => {}
    }
    let left: Vec<&str> = [("the build", builds), ("the compilers", compiles), ("development dependencies", develops)]
        .into_iter()
        .filter_map(|(what, holds)| holds.then_some(what))
        .collect();
    let detail = format!("{} and the package cache stay in the build stage", left.join(", "));
    Ok(Split { builder: None, build, base, lines, command, detail, obstacles })
}

/// The distroless image for the major version of Node.js that the file builds with. Whether there is one, the table of lifetimes tells.
fn distroless(image: &ImageFacts<'_>) -> Result<String, Refusal> {
    final_base::is_literal(image)?;
    let declined = |detail: String| Err((SkipReason::FinalBase, detail));
    let Some(base) = image.base.as_ref().filter(|_| image.known_base.is_some_and(|known| known.name == "node")) else {
        return declined(format!("{} is not the base node, whose version is known", image.base_text));
    };
    let tag = base.tag().unwrap_or_default();
    match tag.split(['.', '-']).next().and_then(|major| major.parse::<u32>().ok()) {
        Some(major) => Ok(format!("gcr.io/distroless/nodejs{major}-debian13:nonroot")),
        None => declined(format!("{} does not name a major version of Node.js", image.base_text)),
    }
}

/// What starts the program where the base starts `node`, and there is no npm and no shell.
fn command_without_node(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    survey: &Survey,
    package: &PackageJson,
) -> Result<String, Refusal> {
    if let Some(container) = application
        .containers
        .iter()
        .find(|container| container.argv(Some(image)).is_some() || !container.view.exec_commands().is_empty())
    {
        let detail = format!("{} starts a program by its name, which the final image finds none by", container.place());
        return Err((SkipReason::ManifestOverride, detail));
    }
    let words = survey.command.and_then(|index| survey::plain_words(image, index)).unwrap_or_default();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let script = match words.as_slice() {
        ["npm", "start"] => package.script("start"),
        ["npm", "run", script] => package.script(script),
        _ => None,
    };
    if script.is_some()
        && let Some(place) = finds_text(
            application.around.repository.tree(),
            image.directory(),
            &["npm_package_", "npm_lifecycle_", "npm_config_"],
        )
    {
        return Err((SkipReason::FinalBase, format!("{place} is set by npm, which the final image does not hold")));
    }
    let words = script.map_or(words, |line| line.split_whitespace().collect());
    let is_plain = |word: &&str| !word.contains(['$', '"', '\'', '\\', '*', '?', '>', '<', '`', '(', '~']);
    match words.as_slice() {
        ["node", rest @ ..] if !rest.is_empty() && rest.iter().all(is_plain) => survey::exec_form("CMD", rest),
        _ => Err((SkipReason::FinalBase, format!("{} does not start node on a file, with no shell", image.path))),
    }
}

/// What speaks for packages that need more than the slim image holds, or that cannot be told.
fn unseen_needs(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    base: &str,
) -> Result<Option<Obstacle>, Refusal> {
    let tree = application.around.repository.tree();
    let lock = PackageLock::read(tree, image.directory()).ok_or_else(|| {
        let detail = "package-lock.json does not tell what packages do when they are installed, as npm 7 writes it";
        (SkipReason::FinalBase, detail.to_owned())
    })?;
    if let Some(place) = finds_text(tree, image.directory(), &["child_process", "execa", "shelljs"]) {
        return Err((SkipReason::FinalBase, format!("{place} starts programs, which {base} may not hold")));
    }
    let package = lock.production.iter().find(|package| package.has_install_script).or(lock.production.first());
    Ok(package.map(|package| {
        let what = if package.has_install_script { "is compiled or fetched, and" } else { "is of others, and what it" };
        let detail = format!("{} {what} needs of the system is not seen; {base} holds less of it", package.name);
        Obstacle::doubt(SkipReason::RunTimeInputs, detail)
    }))
}

/// The same, where the C library and the release of the distribution may be others than those that packages were installed on.
fn needs_on_distroless(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    base: &str,
) -> Result<Option<Obstacle>, Refusal> {
    let unseen = unseen_needs(application, image, base)?;
    let lock = PackageLock::read(application.around.repository.tree(), image.directory()).unwrap_or_default();
    let on_musl = image.family != Some(Family::Debian);
    let native = |package: &&LockedPackage| package.has_install_script || on_musl && package.is_for_a_platform;
    match lock.production.iter().find(native) {
        Some(package) => {
            let detail = format!("{} is installed for {}, and may not run on {base}", package.name, image.base_text);
            Err((SkipReason::FinalBase, detail))
        }
        None => Ok(unseen),
    }
}

/// Whether everything that is started runs on production dependencies: `node FILE`, or an npm script that is that.
fn runs_without_development(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    package: &PackageJson,
    has_yarn: bool,
) -> Result<(), Refusal> {
    for (place, argv) in launch::all(application, image) {
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
            ["node", file, ..] if !file.starts_with('-') && !line.contains(['&', '|', ';']) => continue,
            ["npm", "start"] => "start",
            ["npm", "run", script] => script,
            ["yarn", "run", script] | ["yarn", script] if has_yarn => script,
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
