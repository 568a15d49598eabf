//! Java, where the jar is built elsewhere: no stage to split off, but the development kit of the base may give way to its runtime.

use super::java::{self, BuildFiles, Runtime};
use super::{Refusal, final_base, health, launch, survey};
use crate::dockerfile::{Keyword, Operation};
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts, Obstacle, RunTimeInputs, Stack};

/// Programs that a development kit has and its runtime has not (<https://docs.oracle.com/en/java/javase/21/docs/specs/man/index.html>,
/// <https://adoptium.net/temurin/faq>).
const TOOLS_OF_THE_KIT: [&str; 25] = [
    "jar",
    "jarsigner",
    "javac",
    "javadoc",
    "javap",
    "jcmd",
    "jconsole",
    "jdb",
    "jdeprscan",
    "jdeps",
    "jfr",
    "jhsdb",
    "jimage",
    "jinfo",
    "jlink",
    "jmap",
    "jmod",
    "jpackage",
    "jps",
    "jshell",
    "jstack",
    "jstat",
    "jstatd",
    "jwebserver",
    "serialver",
];

/// What takes the place of the base.
pub(super) struct Replacement {
    pub(super) operations: Vec<Operation>,
    pub(super) obstacles: Vec<Obstacle>,
    pub(super) detail: String,
}

/// The base's own runtime in place of its development kit.
pub(super) fn replace(application: &Application<'_>, image: &ImageFacts<'_>) -> Result<Replacement, Refusal> {
    let none = |detail: String| Err((SkipReason::NoBuildStep, detail));
    let runtime = Runtime::of(image)?;
    let written = image.stage.base_span.of(image.dockerfile.text());
    if image.known_base.is_none_or(|known| known.name != "eclipse-temurin") {
        return none(format!(
            "{} builds with neither Maven nor Gradle, and {written} has no runtime of its own",
            image.path
        ));
    }
    let needs = |what: String| Err((SkipReason::RunTimeInputs, what));
    if let Some(folder) = folder_of_the_kit(application, image) {
        return needs(format!("{folder} is a folder of the development kit"));
    }
    if let Some((place, tool)) = tool_of_the_kit(image) {
        return needs(format!("{place}: {tool} is of the development kit, or may need it"));
    }
    if let Some((name, _)) = image.dockerfile.env(image.stage).iter().find(|(name, _)| java::is_of_the_kit(name)) {
        let detail = format!("{} sets {name}, and what it names may not be in the final image", image.path);
        return Err((SkipReason::AuthorChoice, detail));
    }
    launch::paths(application, image, java::launch)?;
    let debugs = |text: &str| ["-agentlib", "jdwp", "-javaagent", ".java"].iter().any(|word| text.contains(word));
    let started: Vec<String> = launch::all(application, image).into_iter().flat_map(|(_, argv)| argv).collect();
    let settings = application.containers.iter().flat_map(|container| container.view.env_values());
    let settings = settings.chain(image.dockerfile.env(image.stage)).map(|(_, value)| value);
    if let Some(text) = started.into_iter().chain(settings).find(|text| debugs(text)) {
        return needs(format!("`{}` may need the development kit", text.escape_debug()));
    }
    let obstacles = needs_of_the_jar(application, image)?.into_iter().collect();
    health::judge(image, image.stage.instructions.clone(), &runtime.base)?;
    health::judge_services(application, image, &runtime.base)?;
    final_base::judge(application, image, &runtime.base)?;
    let detail = format!(
        "{} in place of {written}: the jar is built elsewhere, and nothing needs the development kit",
        runtime.base
    );
    let operations = vec![Operation::Replace { span: image.stage.base_span, text: runtime.base }];
    Ok(Replacement { operations, obstacles, detail })
}

/// A folder that a kit has and its runtime has not, which the file, a command of a manifest or a mount names: the runtime inside the kit of Java 8, modules to
/// link, headers, and its sources.
fn folder_of_the_kit(application: &Application<'_>, image: &ImageFacts<'_>) -> Option<String> {
    const FOLDERS: [&str; 6] =
        ["openjdk/jre", "JAVA_HOME/jre", "JAVA_HOME}/jre", "/jmods", "/lib/src.zip", "/include/jni"];
    let text = image.dockerfile.text();
    let instructions = image.stage.instructions.clone();
    let of_file = instructions.map(|index| image.dockerfile.instructions()[index].span.of(text).to_owned());
    let of_containers = application.containers.iter().flat_map(|container| {
        let values = container.view.env_values().into_iter().map(|(_, value)| value);
        let mounts = container.mounts().into_iter().map(|mount| mount.path);
        values.chain(mounts).collect::<Vec<_>>()
    });
    let commands = launch::all(application, image).into_iter().map(|(_, argv)| argv.join(" "));
    let all: Vec<String> = of_file.chain(of_containers).chain(commands).collect();
    let folder = FOLDERS.into_iter().find(|folder| all.iter().any(|text| text.contains(folder)))?;
    Some(folder.to_owned())
}

/// A RUN, a health check or a command that names a tool of the kit, or starts a script that may.
fn tool_of_the_kit(image: &ImageFacts<'_>) -> Option<(String, String)> {
    let text = image.dockerfile.text();
    image.stage.instructions.clone().find_map(|index| {
        let instruction = &image.dockerfile.instructions()[index];
        let starts = [Keyword::Run, Keyword::Cmd, Keyword::Entrypoint, Keyword::Healthcheck];
        if !starts.contains(&instruction.keyword) {
            return None;
        }
        let separates = |c: char| c.is_whitespace() || ";|&()\"'[],`".contains(c);
        let mut words = instruction.span.of(text).split(separates);
        let names_tool = |word: &&str| {
            let name = word.rsplit('/').next().unwrap_or(word);
            TOOLS_OF_THE_KIT.contains(&name) || name.ends_with(".sh")
        };
        let tool = words.find(names_tool)?;
        Some((image.place(index), tool.escape_debug().to_string()))
    })
}

/// What sources and build files beside the Dockerfile say; where there are none, what is in the jar is not seen.
fn needs_of_the_jar(application: &Application<'_>, image: &ImageFacts<'_>) -> Result<Option<Obstacle>, Refusal> {
    let tree = application.around.repository.tree();
    let folder = survey::project(tree, image.directory(), &java::BUILD_FILES);
    let inputs = RunTimeInputs::read(application.around.repository, folder, Stack::Java);
    let (Ok(build), Some(inputs)) = (BuildFiles::read(application, image, folder), inputs) else {
        let build = BuildFiles::read(application, image, folder);
        if let Err((SkipReason::RunTimeInputs, detail)) = build {
            return Err((SkipReason::RunTimeInputs, detail));
        }
        let detail = format!(
            "what the program of {} is built from is not seen, and it may need the development kit",
            image.path
        );
        return Ok(Some(Obstacle::doubt(SkipReason::RunTimeInputs, detail)));
    };
    if let Some(place) = inputs.programs.or(build.compiles_pages) {
        return Err((SkipReason::RunTimeInputs, format!("{place}, which may need the development kit")));
    }
    Ok(None)
}
