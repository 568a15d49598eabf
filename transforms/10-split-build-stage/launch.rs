//! What image and manifests start, where the final image is another one with a shell.

use super::Refusal;
use crate::discover::file_name;
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts};
use std::collections::BTreeSet;

/// Every command line that the image is started or asked by, with the place that says so: its own, those of manifests with their probes and hooks, and
/// those of compose services.
pub(super) fn all(application: &Application<'_>, image: &ImageFacts<'_>) -> Vec<(String, Vec<String>)> {
    let mut commands = vec![(image.path.to_owned(), image.argv())];
    for container in &application.containers {
        let own = container.argv(Some(image)).into_iter().chain(container.view.exec_commands());
        commands.extend(own.map(|argv| (container.place().to_string(), argv)));
    }
    for service in application.around.links.services(image.file) {
        let argv: Vec<String> = match (&service.entrypoint, &service.command) {
            (None, None) => continue,
            (Some(entrypoint), command) => entrypoint.iter().chain(command.iter().flatten()).cloned().collect(),
            (None, Some(command)) => image.entrypoint().iter().chain(command).cloned().collect(),
        };
        commands.push((format!("service {} of {}", service.name.escape_debug(), service.path), argv));
    }
    commands
}

/// The files of the context that these command lines name, and the scripts that they name in turn, by their names alone: path and text.
pub(super) fn scripts(application: &Application<'_>, image: &ImageFacts<'_>) -> Vec<(String, String)> {
    let tree = application.around.repository.tree();
    let is_named = |path: &str, text: &str| {
        let separates = |c: char| c.is_whitespace() || "'\"/;|&()$`=,".contains(c);
        text.split(separates).any(|word| word == file_name(path))
    };
    let lines: Vec<String> = all(application, image).into_iter().map(|(_, argv)| argv.join(" ")).collect();
    let mut texts = vec![lines.join("\n")];
    let mut found: Vec<(String, String)> = Vec::new();
    while let Some(text) = texts.pop() {
        for path in tree.below(image.directory()).filter(|path| is_named(path, &text)) {
            if found.iter().any(|(known, _)| known == path) {
                continue;
            }
            let text = tree.read(path).unwrap_or_default();
            // What other files name is not started by that.
            if text.starts_with("#!") || path.ends_with(".sh") {
                texts.push(text.clone());
            }
            found.push((path.to_owned(), text));
        }
    }
    found
}

/// Reads the command line of the image and those of every manifest, and demands that they start the same `program`. Words that name files are gathered, but for
/// those that a volume holds.
pub(super) fn paths<T: PartialEq>(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    read: impl Fn(&[&str]) -> Result<(T, Vec<String>), String>,
) -> Result<(T, BTreeSet<String>), Refusal> {
    let refused = |reason: SkipReason, place: &str, what: &str| {
        (reason, format!("{place} starts {}, and what that needs is not known", what.escape_debug()))
    };
    let of = |argv: &[String]| read(&words(argv)?.iter().map(String::as_str).collect::<Vec<_>>());
    let (program, paths) = of(&image.argv()).map_err(|what| refused(SkipReason::RunTimeInputs, image.path, &what))?;
    let mut all: BTreeSet<String> = paths.into_iter().collect();
    for container in &application.containers {
        let place = container.place().to_string();
        let unknown = |what: &str| refused(SkipReason::ManifestOverride, &place, what);
        if let Some(command) = container.view.exec_commands().iter().find(|command| !is_everywhere(command)) {
            return Err(unknown(command.first().map(String::as_str).unwrap_or_default()));
        }
        // The program may look for its files in the directory that it is started in.
        if let Some(elsewhere) = container.view.working_dir().filter(|path| Some(path) != image.workdir().as_ref()) {
            return Err(unknown(&format!("in {elsewhere}")));
        }
        let mounts = container.mounts();
        let is_mounted = |path: &str| {
            mounts.iter().any(|mount| {
                path.strip_prefix(mount.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        if let Some(argv) = container.argv(Some(image)) {
            let (other, paths) = of(&argv).map_err(|what| unknown(&what))?;
            if other != program {
                return Err(unknown("something else than the image"));
            }
            all.extend(paths.into_iter().filter(|path| !is_mounted(path)));
        }
    }
    Ok((program, all))
}

/// The words of a command line; of a shell form those of its only command. What cannot be told is the error.
fn words(argv: &[String]) -> Result<Vec<String>, String> {
    let line = match argv {
        [shell, flag, line, ..] if is_shell(shell) && flag == "-c" => line,
        argv => return Ok(argv.to_vec()),
    };
    if line.contains([';', '|', '&', '<', '>', '`', '(', '\'', '\\', '\n']) {
        return Err(line.clone());
    }
    // Quotes around a variable change nothing of what is looked at.
    let plain = line.replace('"', " ");
    let plain = plain.trim_start();
    Ok(plain.strip_prefix("exec ").unwrap_or(plain).split_whitespace().map(str::to_owned).collect())
}

fn is_shell(program: &str) -> bool {
    matches!(program, "sh" | "/bin/sh" | "bash" | "/bin/bash")
}

/// Whether a value of a command line may name a file of the image. Devices are in every image, and so is `/tmp`.
pub(super) fn is_file(value: &str) -> bool {
    const ENDINGS: [&str; 10] =
        [".yml", ".yaml", ".properties", ".xml", ".json", ".conf", ".jks", ".p12", ".pfx", ".groovy"];
    let value = value.trim_start_matches("file:");
    let is_url = value.contains("://") && !value.starts_with('/');
    let is_shared = ["/dev/", "/tmp", "//dev/"].iter().any(|start| value.starts_with(start));
    !is_url && !is_shared && (value.contains('/') || ENDINGS.iter().any(|ending| value.ends_with(ending)))
}

/// Commands of probes and hooks that need nothing but what every image with a shell holds.
fn is_everywhere(command: &[String]) -> bool {
    const PROGRAMS: [&str; 9] = ["sleep", "true", "cat", "ls", "test", "echo", "kill", "touch", "rm"];
    let words: Vec<&str> = match command {
        [shell, flag, line] if is_shell(shell) && flag == "-c" => {
            if line.contains(['|', '&', ';', '`', '$', '(']) {
                return false;
            }
            line.split_whitespace().collect()
        }
        words => words.iter().map(String::as_str).collect(),
    };
    words.first().is_some_and(|program| PROGRAMS.contains(&program.trim_start_matches("/bin/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn one_command_of_a_shell_form_is_read_through() {
        let line = owned(&["/bin/sh", "-c", "exec java \"$JAVA_OPTS\" -jar a.jar"]);
        assert_eq!(words(&line), Ok(owned(&["java", "$JAVA_OPTS", "-jar", "a.jar"])));
        assert!(words(&owned(&["sh", "-c", "wait-for db && java -jar a.jar"])).is_err());
        assert_eq!(words(&owned(&["java", "a b"])), Ok(owned(&["java", "a b"])));
    }

    #[test]
    fn paths_are_told_from_other_values() {
        for value in ["config.yml", "/etc/app/", "./x", "file:/etc/x.xml"] {
            assert!(is_file(value), "{value}");
        }
        for value in ["http://0.0.0.0:80", "/dev/urandom", "file:/dev/./urandom", "8080", "prod", "/tmp/x"] {
            assert!(!is_file(value), "{value}");
        }
    }

    #[test]
    fn probes_that_need_programs_of_the_build_image_are_told() {
        for command in [&["sh", "-c", "sleep 10"][..], &["cat", "/tmp/up"], &["/bin/sleep", "5"]] {
            assert!(is_everywhere(&owned(command)), "{command:?}");
        }
        for command in [&["curl", "localhost"][..], &["sh", "-c", "jcmd 1 VM.version"], &["sh", "-c", "ls | wc"]] {
            assert!(!is_everywhere(&owned(command)), "{command:?}");
        }
    }
}
