//! Finding engines, and building with them.

use crate::support::engine::{ENGINES, PrivateEngine, write_program};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use unroot::prove::engine::{BuildSpec, Engine, Kind, Side};

/// A context with a static busybox; what more it holds is given by name and text.
pub(crate) fn context(engine: &PrivateEngine, files: &[(&str, &str)]) -> PathBuf {
    let folder = engine.scratch().join("context");
    if !folder.exists() {
        fs::create_dir(&folder).unwrap();
    }
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

pub(crate) fn spec(context: &Path, text: &str) -> BuildSpec {
    BuildSpec {
        number: 1,
        side: Side::Before,
        text: text.into(),
        dockerfile: context.join("Dockerfile"),
        context: context.to_owned(),
        target: None,
        arguments: Vec::new(),
        contexts: Vec::new(),
        options: Vec::new(),
        limit: Duration::from_secs(60),
    }
}

/// Runs what is to be looked at in each engine, with the value of the library and a folder of its own.
fn in_each(look: impl Fn(&PrivateEngine, &Engine, &Path)) {
    for kind in ENGINES {
        let Some(private) = PrivateEngine::start(kind) else { continue };
        private.busybox("tools", "");
        let folder = private.scratch().join("unroot-abc");
        fs::create_dir_all(folder.join("builds")).unwrap();
        look(&private, &private.engine("abc"), &folder);
        if kind == Kind::Docker {
            private.use_buildkit();
            look(&private, &private.engine("abc"), &folder);
        }
    }
}

#[test]
fn an_image_is_built_from_a_text_and_an_untouched_context() {
    in_each(|private, engine, folder| {
        let context =
            context(private, &[("Dockerfile", "FROM nobody-builds-this\n"), ("page", "hello\n"), ("other", "no\n")]);
        fs::write(context.join(".dockerignore"), "other\n").unwrap();
        let before: Vec<_> = fs::read_dir(&context).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let text = "FROM tools AS base\nARG GREETING\nRUN echo $GREETING > /greeting\nCOPY . /all/\nFROM base AS other\nRUN false\n";
        let mut spec = spec(&context, text);
        spec.target = Some("base".to_owned());
        spec.arguments = vec![("GREETING".to_owned(), "good morning".to_owned())];
        let tag = engine.build(&spec, folder, None).unwrap().unwrap();
        assert_eq!(tag, "unroot-abc-1:before");
        let run = |command: &str| private.text(["run", "--rm", "--network", "none", &tag, "sh", "-c", command]);
        assert_eq!(run("cat /greeting; ls /all"), "good morning\nDockerfile\npage");
        let after: Vec<_> = fs::read_dir(&context).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(after, before);
        let label = private.text(["image", "inspect", "--format", "{{index .Config.Labels \"unroot.run\"}}", &tag]);
        assert_eq!(label, "abc");
    });
}

#[test]
fn the_last_words_of_a_build_name_what_failed() {
    in_each(|private, engine, folder| {
        let context = context(private, &[]);
        let number = Cell::new(0);
        let words = |text: &str| {
            number.set(number.get() + 1);
            let spec = BuildSpec { number: number.get(), ..spec(&context, text) };
            engine.build(&spec, folder, None).unwrap().unwrap_err().words
        };
        let said = words("FROM tools\nRUN echo one; echo 'the \u{1b}[31mlibrary is missing' >&2; exit 3\n");
        assert!(said.contains("library is missing") && !said.contains('\u{1b}') && !said.contains('\n'), "{said}");
        let said = words("FROM tools\nCOPY nothing /\n");
        assert!(said.contains("nothing"), "{said}");
        let said = words("FROM tools\nNONSENSE\n");
        assert!(said.to_lowercase().contains("nonsense"), "{said}");
        let mut slow = spec(&context, "FROM tools\nRUN sleep 100\n");
        slow.number = 0;
        slow.limit = Duration::from_secs(2);
        let said = engine.build(&slow, folder, None).unwrap().unwrap_err().words;
        assert!(said.contains("did not end within 2 seconds"), "{said}");
    });
}

#[test]
fn values_of_arguments_are_seen_by_nobody() {
    in_each(|private, engine, folder| {
        let context = context(private, &[]);
        let mut spec = spec(&context, "FROM tools\nARG TOKEN\nRUN echo it is $TOKEN; sleep 1; false\n");
        spec.arguments = vec![("TOKEN".to_owned(), "s3cr3t-value".to_owned())];
        let log = folder.join("log");
        assert!(!format!("{spec:?}").contains("s3cr3t"));
        let seen = std::thread::scope(|scope| {
            let build = scope.spawn(|| engine.build(&spec, folder, Some(&log)).unwrap().unwrap_err());
            let mut seen = Vec::new();
            while !build.is_finished() {
                seen.extend(
                    command_lines().into_iter().filter(|line| line.contains("s3cr3t") && line.contains("build")),
                );
                std::thread::sleep(Duration::from_millis(20));
            }
            let said = build.join().unwrap();
            assert!(!format!("{said:?}").contains("s3cr3t"), "{said:?}");
            seen
        });
        assert_eq!(seen, Vec::<String>::new());
        let log = fs::read_to_string(log).unwrap();
        assert!(log.contains("it is ${TOKEN}") && !log.contains("s3cr3t"), "{log}");
    });
}

/// An argument comes from the tree, and a variable of this name would make the engine's program load it, or ask somebody else.
#[test]
fn arguments_never_become_settings_of_the_engine() {
    in_each(|private, engine, folder| {
        let context = context(private, &[]);
        let mut spec = spec(
            &context,
            "FROM tools\nARG DOCKER_HOST\nARG LD_PRELOAD\nARG CONTAINERS_CONF\nRUN test $DOCKER_HOST = tcp://192.0.2.1:1\n",
        );
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        spec.arguments = vec![pair("DOCKER_HOST", "tcp://192.0.2.1:1"), pair("CONTAINERS_CONF", "/nowhere")];
        engine.build(&spec, folder, None).unwrap().unwrap();
    });
}

fn command_lines() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

/// A folder for a PATH with programs of these names and lines of a shell.
fn programs(programs: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, lines) in programs {
        write_program(&folder.path().join(name), lines);
    }
    folder
}

/// What finding an engine says with this PATH: in a process of its own, because a process has but one.
fn found(path: &Path, asked: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "builds::say_what_is_found", "--nocapture"])
        .env(ASKED, asked)
        .env("PATH", path)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().find_map(|line| line.strip_prefix("found: ")).unwrap_or_else(|| panic!("{said}")).to_owned()
}

const ASKED: &str = "UNROOT_TEST_ENGINE";

/// No test of its own: where the variable is set this process looks for an engine, and says what it finds.
#[test]
fn say_what_is_found() {
    let Some(asked) = std::env::var_os(ASKED) else { return };
    let asked = match asked.to_str().unwrap() {
        "podman" => Some(Kind::Podman),
        "nerdctl" => Some(Kind::Nerdctl),
        _ => None,
    };
    match Engine::find(asked) {
        Ok(engine) => println!("\nfound: {engine} by {}", engine.program.display()),
        Err(failure) => println!("\nfound: {failure}"),
    }
}

#[test]
fn the_first_engine_that_answers_is_taken() {
    let silent = "case $1 in --version) echo Docker version 28.2.2, build e6534b4;; *) echo a warning >&2; echo Cannot connect to the Docker daemon at unix:///var/run/docker.sock. >&2; exit 1;; esac";
    let podman = "case $1 in --version) echo podman version 4.3.1;; info) echo 4.3.1;; *) exit 1;; esac";
    let folder = programs(&[("docker", silent), ("podman", podman)]);
    assert_eq!(found(folder.path(), ""), "podman 4.3.1 by podman");
    assert_eq!(found(folder.path(), "nerdctl"), "nerdctl is not installed");
    let both = "docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock.; podman is not installed; nerdctl is not installed";
    let folder = programs(&[("docker", silent)]);
    let none = format!("no container engine answers ({both}); start one, or name the one to ask by --engine");
    assert_eq!(found(folder.path(), ""), none);
    // The package podman-docker gives it this name.
    let folder = programs(&[("docker", podman)]);
    assert_eq!(found(folder.path(), ""), "podman 4.3.1 by docker");
    let folder =
        programs(&[("podman", "case $1 in --version) echo podman version 4.3.1;; *) exec /bin/sleep 100;; esac")]);
    assert_eq!(found(folder.path(), "podman"), "podman does not answer: podman info did not end within 15 seconds");
}

#[test]
fn each_real_engine_is_found() {
    for kind in ENGINES {
        let Some(private) = PrivateEngine::start(kind) else { continue };
        let path = format!("{}:/usr/bin:/bin", private.path_entry().display());
        let found = found(Path::new(&path), &kind.to_string());
        assert!(found.starts_with(&format!("{kind} ")) && found.ends_with(&format!(" by {kind}")), "{found}");
    }
}
