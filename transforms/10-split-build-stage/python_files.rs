//! Python: files that name a place which the final stage does not have the packages in, and programs that need a compiler while they run.

use super::python::is_tool;
use super::python_packages::Environment;
use super::survey::Survey;
use super::{Refusal, launch};
use crate::discover::file_name;
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts, finds_in_program};
use crate::image::Family;

/// Packages that compile while the program runs (<https://www.pymc.io/projects/docs/en/stable/installation.html>, <https://mc-stan.org/cmdstanpy/>,
/// <https://triton-lang.org>, <https://brian2.readthedocs.io>, <https://github.com/wlav/cppyy>).
const COMPILE: [&str; 14] = [
    "pymc",
    "pytensor",
    "aesara",
    "theano",
    "pystan",
    "httpstan",
    "cmdstanpy",
    "triton",
    "deepspeed",
    "vllm",
    "brian2",
    "cppyy",
    "pyopencl",
    "pycuda",
];

/// What sources hold that compile while they run, or that ask the compiler for something.
const COMPILERS: [&str; 16] = [
    "torch.compile",
    "pyximport",
    "cpp_extension",
    "load_inline",
    "ffi.verify",
    "\"gcc\"",
    "'gcc'",
    "\"g++\"",
    "'g++'",
    "\"make\"",
    "'make'",
    "\"gcc ",
    "'gcc ",
    "\"g++ ",
    "'g++ ",
    "'make ",
];

/// Where the base's own interpreter, and what is installed with it, are.
const OF_THE_BASE: [&str; 2] = ["/usr/local/bin/", "/usr/local/lib/python"];

/// Refuses a split that leaves behind what the program, or a script that starts it, asks for.
pub(super) fn stay(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    survey: &Survey,
    environment: &Environment,
) -> Result<(), Refusal> {
    let tree = application.around.repository.tree();
    let refused = |detail: String| Err((SkipReason::RunTimeInputs, detail));
    let copied: Vec<&str> = tree
        .below(image.directory())
        .filter(|path| !is_aside(path) && application.around.repository.find(path).is_none())
        .filter(|path| survey.copied_of(image, image.directory(), &[(*path).to_owned()]).is_some())
        .collect();
    let names_compiler = |path: &str, text: &str| {
        let line = |line: &str| line.trim().trim_matches(['"', '\'', ',']).to_ascii_lowercase();
        let named = |package: &&str| {
            text.lines().map(line).any(|line| {
                let rest = line.strip_prefix(*package);
                rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || "-_".contains(c)))
            })
        };
        let is_list = file_name(path) == "pyproject.toml" || file_name(path) == "Pipfile" || path.ends_with(".txt");
        COMPILE.into_iter().find(|package| is_list && named(package))
    };
    for path in &copied {
        let Some(text) = tree.read(path) else { continue };
        if let Some(package) = names_compiler(path, &text) {
            return refused(format!("{path} names {package}, which compiles while the program runs"));
        }
        // Scripts in an environment that is made here start its own interpreter; what names that of the base would find no packages.
        let named = OF_THE_BASE.into_iter().find(|place| text.contains(place));
        if let (Environment::New { .. }, Some(place)) = (environment, named) {
            return refused(format!("{path} names a path below {place}, where the packages would no longer be"));
        }
    }
    let find_library = (image.family == Some(Family::Alpine)).then_some("find_library(");
    let compiles = |text: &str| {
        let found = COMPILERS.into_iter().chain(find_library).find_map(|word| Some((text.find(word)?, word)))?;
        Some((found.0, found.1.to_owned()))
    };
    if let Some(place) = finds_in_program(tree, image.directory(), compiles) {
        return refused(format!("{place} may need a compiler while the program runs"));
    }
    let tools = ["\"uv\"", "'uv'", "\"uv ", "'uv ", "\"poetry\"", "'poetry'", "\"poetry ", "'poetry "];
    let starts = |text: &str| {
        let found = tools.into_iter().find_map(|word| Some((text.find(word)?, word)))?;
        text.contains("subprocess").then(|| (found.0, found.1.to_owned()))
    };
    if let Environment::New { .. } = environment {
        let is_of_the_base =
            |value: &str| OF_THE_BASE.into_iter().any(|place| value.contains(place.trim_end_matches('/')));
        let mut of_containers = application.containers.iter().flat_map(|container| container.view.env_values());
        // A manifest's PATH takes the place of the image's.
        let told = of_containers.find(|(name, value)| name == "PATH" || is_of_the_base(value));
        let env = image.dockerfile.env(image.stage);
        let goes_on = |value: &str| ["$PATH", "${PATH"].iter().any(|start| value.starts_with(start));
        let set = env.into_iter().find(|(name, value)| is_of_the_base(value) && (name != "PATH" || !goes_on(value)));
        if let Some((name, _)) = told.or(set) {
            return refused(format!("{} names a place where the packages would no longer be", name.escape_debug()));
        }
        let mut mounts = application.containers.iter().flat_map(|container| container.mounts());
        if let Some(mount) = mounts.find(|mount| is_of_the_base(&mount.path)) {
            return refused(format!(
                "{} is mounted, and the packages would no longer be there",
                mount.path.escape_debug()
            ));
        }
        for (path, text) in launch::scripts(application, image) {
            if let Some(way) =
                ["bash -l", "sh -l", "bash --login", "env -i", "su - "].into_iter().find(|way| text.contains(way))
            {
                return refused(format!("{path} starts something with a PATH of its own ({way})"));
            }
        }
        return Ok(());
    }
    // The tools that make the project's environment stay in the build.
    if let Some(place) = finds_in_program(tree, image.directory(), starts) {
        return refused(format!("{place} starts a tool that stays in the build stage"));
    }
    for (path, text) in launch::scripts(application, image) {
        let mut words = text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(str::split_whitespace);
        if let Some(tool) = words.find(|word| is_tool(word)) {
            return refused(format!("{path} starts {tool}, which stays in the build stage"));
        }
    }
    Ok(())
}

/// Files that no program reads.
fn is_aside(path: &str) -> bool {
    let name = file_name(path).to_ascii_lowercase();
    let folders = [".git", ".github", ".devcontainer", ".vscode", "docs", "tests", "test"];
    [".md", ".rst", ".lock", ".dockerignore"].iter().any(|ending| name.ends_with(ending))
        || name.starts_with("dockerfile")
        || name.ends_with("dockerfile")
        || path.split('/').any(|part| folders.contains(&part))
}
