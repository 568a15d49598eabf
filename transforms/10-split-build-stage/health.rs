//! A health check moves into the final stage where that holds the programs it asks.

use super::Refusal;
use crate::dockerfile::{CommandForm, Keyword};
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts};

/// What a shell does by itself, and programs that every image with a shell has.
const EVERYWHERE: [&str; 8] = ["exit", "true", "false", "test", "[", "echo", "grep", "cat"];

/// Refuses a final stage on `base` that would not hold what the health check asks.
pub(super) fn judge(
    image: &ImageFacts<'_>,
    instructions: impl Iterator<Item = usize>,
    base: &str,
) -> Result<(), Refusal> {
    let dockerfile = image.dockerfile;
    for index in instructions {
        let instruction = &dockerfile.instructions()[index];
        if instruction.keyword != Keyword::Healthcheck
            || dockerfile.arguments(instruction).trim().eq_ignore_ascii_case("none")
        {
            continue;
        }
        let refused = |what: &str| {
            let place = image.place(index);
            (
                SkipReason::UnaccountedCommand,
                format!("{place}: the final stage may not hold what the health check asks{what}"),
            )
        };
        let programs = match dockerfile.command(instruction) {
            Some(CommandForm::Exec(words)) => words.into_iter().take(1).collect(),
            Some(CommandForm::Shell(line)) if dockerfile.shell(index).is_none() => {
                programs(&line).ok_or_else(|| refused(""))?
            }
            _ => return Err(refused("")),
        };
        if let Some(program) = programs.iter().find(|program| !holds(image, base, program)) {
            return Err(refused(&format!(", {}", program.escape_debug())));
        }
    }
    Ok(())
}

/// Refuses a final stage on another base than the author's where a compose service starts or asks something in it.
pub(super) fn judge_services(application: &Application<'_>, image: &ImageFacts<'_>, base: &str) -> Result<(), Refusal> {
    if base == image.stage.base_span.of(image.dockerfile.text()) {
        return Ok(());
    }
    let mut services = application.around.links.services(image.file);
    let Some((service, key)) = services.find_map(|service| Some((service, service.starts?))) else { return Ok(()) };
    let detail = format!(
        "service {} of {} has a {key}, which may start what {base} does not hold",
        service.name.escape_debug(),
        service.path
    );
    Err((SkipReason::ManifestOverride, detail))
}

/// The programs that a line of shell starts, when it is simple enough to tell.
fn programs(line: &str) -> Option<Vec<String>> {
    if line.contains(['`', '(', '{', '<', '\\', '\'', '"']) {
        return None;
    }
    let commands = line.split(['|', '&', ';', '\n']).filter_map(|command| command.split_whitespace().next());
    Some(commands.map(str::to_owned).collect())
}

/// Whether a stage on `base` holds a program: the author's own base holds what it held, unless a build step brought it; of runtimes for Java it is known.
fn holds(image: &ImageFacts<'_>, base: &str, program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    if EVERYWHERE.contains(&name) {
        return base != "scratch" && !base.starts_with("gcr.io/distroless/");
    }
    let text = image.dockerfile.text();
    if base == image.stage.base_span.of(text) {
        let runs = image.dockerfile.instructions().iter().filter(|instruction| instruction.keyword == Keyword::Run);
        let mut words = runs.flat_map(|run| run.span.of(text).split(|c: char| c.is_whitespace() || c == ';'));
        // By its path an interpreter finds no packages of a virtual environment, and npm and npx may look for some that are left behind.
        return !program.starts_with("/usr/") && !matches!(name, "npm" | "npx") && !words.any(|word| word == name);
    }
    // <https://github.com/adoptium/containers/blob/main/21/jre/ubuntu/noble/Dockerfile>; BusyBox on Alpine
    let tag = base.rsplit_once("eclipse-temurin:").map(|(_, tag)| tag);
    match tag {
        Some(tag) if tag.ends_with("-alpine") => matches!(name, "wget" | "nc"),
        Some(_) => matches!(name, "curl" | "wget"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_of_a_line_is_a_program() {
        let told = |line: &str| programs(line).unwrap_or_default();
        assert_eq!(told("curl -f http://localhost:8080/health || exit 1"), ["curl", "exit"]);
        assert_eq!(told("wget -q -O- localhost | grep UP"), ["wget", "grep"]);
        assert!(programs("test $(curl localhost) = ok").is_none());
    }
}
