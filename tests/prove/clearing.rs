//! Nothing of a run is left, however it ends.

use crate::builds::{context, spec};
use crate::support::engine::PrivateEngine;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use unroot::prove::Result;
use unroot::prove::engine::{Engine, EngineNode, Kind, Side, Throwaway};
use unroot::prove::interrupt;

/// What tells the test binary that it is to be a run, which is killed.
const STEPS: &str = "UNROOT_TEST_STEPS";

/// How often a run is killed with each engine.
const KILLS: u32 = 12;

const DOCKERFILE: &str = "FROM tools AS first\nRUN echo 1 > /one; sleep 0.4141\nFROM tools\nCOPY --from=first /one /one\nRUN sleep 0.4141\nRUN echo 2 > /two\n";

/// No test of its own: where the variable is set this process is a run that builds and starts things.
#[test]
fn steps() {
    let Some(given) = std::env::var_os(STEPS) else { return };
    let given = given.into_string().unwrap();
    let [program, kind, context] = given.split(' ').collect::<Vec<_>>()[..] else { panic!("{given}") };
    let kind = if kind == "podman" { Kind::Podman } else { Kind::Docker };
    let run: String = std::iter::repeat_with(fastrand::lowercase).take(12).collect();
    interrupt::listen(|| {}).unwrap();
    let engine = Engine::new(kind, program, String::new(), run);
    let throwaway = Throwaway::open(engine, Path::new(env!("CARGO_BIN_EXE_unroot"))).unwrap();
    let done = build_and_start(&throwaway, Path::new(context));
    throwaway.close().unwrap();
    assert!(done.is_ok() || interrupt::is_asked(), "{done:?}");
}

fn build_and_start(throwaway: &Throwaway, context: &Path) -> Result<()> {
    let engine = throwaway.engine();
    let label = engine.label();
    let _node = EngineNode::new(engine, throwaway.folder(), Path::new(env!("CARGO_BIN_EXE_unroot")))?;
    let name = |what: &str| format!("unroot-{}-{what}", engine.run);
    for side in [Side::Before, Side::After] {
        let mut spec = spec(context, &format!("{DOCKERFILE}RUN echo {side} > /side\n"));
        spec.side = side;
        let built = engine.build(&spec, throwaway.folder(), None)?.unwrap();
        let network = name(&format!("net-{side}"));
        engine.call("network").args(["create", "--label", &label, &network]).text()?;
        let volume = throwaway.folder().join(side.to_string());
        fs::create_dir(&volume)?;
        let mount = format!("{}:/kept", volume.display());
        for pod in ["one", "two"] {
            let name = name(&format!("{pod}-{side}"));
            let call = engine.call("create").args([
                "--name",
                &name,
                "--label",
                &label,
                "--network",
                &network,
                "--volume",
                &mount,
            ]);
            call.args(["--volume", "/anonymous", &built, "sh", "-c", "echo x > /kept/file; sleep 1000.4141"]).text()?;
            engine.call("start").arg(&name).text()?;
        }
        engine.call("exec").args([name(&format!("one-{side}")).as_str(), "sleep", "0.2"]).text()?;
    }
    Ok(())
}

/// The run, as a process of its own in a session of its own.
fn start(engine: &PrivateEngine, context: &Path) -> Child {
    let program = engine.program();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "clearing::steps", "--nocapture"])
        .env(STEPS, format!("{} {} {}", program.display(), engine.kind, context.display()))
        .env("TMPDIR", engine.scratch())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Every process that a run started, or what it started: they have its variable, or do what only it does.
fn processes(engine: &PrivateEngine) -> Vec<String> {
    let scratch = engine.scratch().display().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let read = |name: &str| {
                fs::read(entry.path().join(name)).map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
            };
            let line = read("cmdline").ok()?;
            let environment = read("environ").unwrap_or_default();
            let is_run = environment.contains(STEPS) && environment.contains(&scratch) && !line.is_empty();
            (is_run || line.contains("sleep") && line.contains(".4141") && environment.is_empty()).then_some(line)
        })
        .collect()
}

fn files(engine: &PrivateEngine) -> BTreeSet<PathBuf> {
    fs::read_dir(engine.scratch()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_run_on_podman_that_is_ended_at_any_moment_leaves_nothing() {
    leaves_nothing(Kind::Podman);
}

#[test]
fn a_run_on_docker_that_is_ended_at_any_moment_leaves_nothing() {
    leaves_nothing(Kind::Docker);
}

fn leaves_nothing(kind: Kind) {
    let Some(engine) = PrivateEngine::start(kind) else { return };
    engine.busybox("tools", "");
    // What somebody else made stays, also where it bears a name that is nearly the same.
    engine.text(["network", "create", "--label", "unroot.run=other", "unroot-other-net"]);
    engine.text([
        "create",
        "--name",
        "unroot-other-pod",
        "--label",
        "unroot.run=other",
        "--network",
        "none",
        "tools",
        "sleep",
        "1",
    ]);
    engine.text(["volume", "create", "--label", "unroot.run=other", "unroot-other-volume"]);
    engine.text(["tag", "tools", "unroot-other-1:before"]);
    let context = context(&engine, &[("page", "hello\n")]);
    // Steps that a build of the user left in the cache are the user's.
    let dockerfile = engine.scratch().join("users");
    fs::write(&dockerfile, "FROM tools AS first\nRUN echo 1 > /one; sleep 0.4141\n").unwrap();
    engine.text(["build".as_ref(), "--file".as_ref(), dockerfile.as_os_str(), context.as_os_str()]);
    let (inventory, before) = (engine.inventory(), files(&engine));
    let began = Instant::now();
    let whole = start(&engine, &context).wait_with_output().unwrap();
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
    let takes = began.elapsed();
    assert_eq!(engine.inventory(), inventory, "after a run that came to its end");
    assert_eq!(files(&engine), before);
    for kill in 0..KILLS {
        let signal = ["KILL", "INT", "TERM"][kill as usize % 3];
        let moment = takes.mul_f64(fastrand::f64());
        let mut run = start(&engine, &context);
        sleep(moment);
        let killed = Command::new("kill").args(["-s", signal, &run.id().to_string()]).status().unwrap();
        let asked = Instant::now();
        let ended = run.wait().unwrap();
        while !processes(&engine).is_empty() && asked.elapsed() < Duration::from_secs(60) {
            sleep(Duration::from_millis(50));
        }
        let what = format!(
            "{kind}: {signal} after {moment:?} of {takes:?} ({killed}, {ended}), looked at {:?} later",
            asked.elapsed()
        );
        assert_eq!(processes(&engine), Vec::<String>::new(), "{what}");
        assert_eq!(engine.inventory(), inventory, "{what}");
        assert_eq!(files(&engine), before, "{what}");
    }
}
