//! What compiled languages share: of the build, the final image holds one binary, on a base without a shell and with a user of its own.

use super::Refusal;
use super::survey::{self, Survey};
use crate::dockerfile::CommandForm;
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts, Obstacle};

/// Where the final base looks a bare name up; so do the official build images, which add the folder of their toolchain
/// (<https://github.com/GoogleContainerTools/distroless/blob/11eeda55665c49dfc0918ad4ab9f1cf0b4b3a698/static/static.bzl>).
pub(super) const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// A path in absolute form, as a command that runs in `workdir` means it.
pub(super) fn absolute(workdir: &str, path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", workdir.trim_end_matches('/')) }
}

fn is_on_path(program: &str, binary: &str) -> bool {
    PATH.iter().any(|folder| format!("{folder}/{program}") == binary)
}

/// How the final stage must write the command: as it is, or, for a shell form that needs no shell and a name that only the build image finds, as a JSON
/// array with the path. `toolchain` is the folder that the build image adds to PATH.
pub(super) fn command(
    image: &ImageFacts<'_>,
    survey: &Survey,
    binary: &str,
    toolchain: &str,
) -> Result<Option<String>, Refusal> {
    let workdir = image.workdir().unwrap_or_else(|| "/".to_owned());
    let is_bare = |program: &str| !program.contains('/');
    let starts = |program: &str| match is_bare(program) {
        true => is_on_path(program, binary) || format!("{toolchain}/{program}") == binary,
        false => absolute(&workdir, program) == binary,
    };
    let other = |what: &str| {
        (
            SkipReason::NoShell,
            format!("{} starts {}, and the final image would hold {binary} only", image.path, what.escape_debug()),
        )
    };
    let form = survey
        .command
        .and_then(|index| Some((index, image.dockerfile.command(&image.dockerfile.instructions()[index])?)));
    let words = match &form {
        Some((index, CommandForm::Shell(line))) => {
            let words = survey::plain_words(image, *index);
            words.filter(|words| words.first().is_some_and(|word| starts(word))).ok_or_else(|| other(line))?
        }
        _ => {
            let argv = image.argv();
            let program = argv.first().map(String::as_str).unwrap_or_default();
            if !starts(program) {
                return Err(other(program));
            }
            if !is_bare(program) || is_on_path(program, binary) {
                return Ok(None);
            }
            argv
        }
    };
    let Some((index, _)) = form else { return Err(other(words.first().map(String::as_str).unwrap_or_default())) };
    let keyword = image.dockerfile.instructions()[index].keyword_span.of(image.dockerfile.text());
    let words: Vec<&str> = [binary].into_iter().chain(words.iter().skip(1).map(String::as_str)).collect();
    survey::exec_form(keyword, &words).map(Some)
}

/// What manifests start or probe must be the binary too. `args` alone follow the image's ENTRYPOINT, which [`command`] judged.
pub(super) fn overrides(application: &Application<'_>, image: &ImageFacts<'_>, binary: &str) -> Result<(), Refusal> {
    let finds = |program: &str| program == binary || is_on_path(program, binary);
    for container in &application.containers {
        let follows_entrypoint = container.view.command().is_none() && !image.entrypoint().is_empty();
        let command = container.argv(Some(image)).filter(|_| !follows_entrypoint);
        for command in container.view.exec_commands().into_iter().chain(command) {
            if !command.first().is_some_and(|program| finds(program)) {
                let program = command.first().map(String::as_str).unwrap_or_default().escape_debug().to_string();
                return Err((
                    SkipReason::ManifestOverride,
                    format!("{} starts {program}, which the final image would not hold", container.place()),
                ));
            }
        }
    }
    Ok(())
}

/// What speaks against a final base that runs as a user of its own at once: whatever speaks against any user other than root.
pub(super) fn against_user_of(base: &str, application: &Application<'_>) -> Result<Vec<Obstacle>, Refusal> {
    if let Some(file) = application.companions().first() {
        let path = &application.around.repository.file(*file).path;
        let detail = format!("{base} has a user of its own, and the image of {path} writes to the same volume");
        return Err((SkipReason::VolumeOwnership, detail));
    }
    Ok(application.obstacles().to_vec())
}
