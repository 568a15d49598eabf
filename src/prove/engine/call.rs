//! One call of the engine's program.
#![allow(
    clippy::disallowed_methods,
    reason = "the engine is a program of the user's, which a proof calls, and its calls are timed"
)]

use super::Engine;
use super::ending::Ending;
use crate::prove::{Failure, Result, interrupt};
use crate::source::printable;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks whether somebody wants the proof to end.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a call may take, where nothing is said.
const LIMIT: Duration = Duration::from_secs(120);

/// How much of what a call prints is kept, in bytes.
const MOST_OUTPUT: usize = 64 << 20;

/// A call that is put together. Arguments may be seen by everybody on the machine, so values of variables go in by [`Call::variable`] or
/// by a file, never by an argument.
///
/// It runs in a process group of its own, so that Ctrl-C on a terminal comes to this program alone, which then ends its calls.
#[derive(Debug)]
pub struct Call {
    engine: Engine,
    arguments: Vec<OsString>,
    variables: Vec<(String, String)>,
    absent: Vec<&'static str>,
    input: Vec<u8>,
    log: Option<PathBuf>,
    limit: Duration,
    clears_up: bool,
}

/// What a call that ended left.
#[derive(Debug)]
pub struct Output {
    /// Whether it ended with 0.
    pub success: bool,
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed, up to 64 MiB.
    pub stdout: Vec<u8>,
    /// What it said beside that, up to 64 MiB.
    pub stderr: Vec<u8>,
}

impl Call {
    pub(super) fn new(engine: &Engine, command: &str) -> Self {
        Self {
            engine: engine.clone(),
            arguments: vec![command.into()],
            variables: Vec::new(),
            absent: Vec::new(),
            input: Vec::new(),
            log: None,
            limit: LIMIT,
            clears_up: false,
        }
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// More arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// A variable of the call's own environment.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes a variable that this program was started with out of the call's own environment.
    pub(super) fn without(mut self, name: &'static str) -> Self {
        self.absent.push(name);
        self
    }

    /// What it reads from its standard input; nothing, where this is not said.
    pub fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    /// The file to which everything is added that it prints; nothing of it is in [`Output`] then.
    pub fn log(mut self, log: &Path) -> Self {
        self.log = Some(log.to_owned());
        self
    }

    /// How long it may take; two minutes, where this is not said.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// It removes what was made, so it is made, and comes to its end, also when somebody wants the proof to end.
    pub fn clears_up(mut self) -> Self {
        self.clears_up = true;
        self
    }

    /// Makes the call and waits for its end.
    ///
    /// # Errors
    /// Where the program cannot be started at all, takes too long, or somebody wants the proof to end.
    pub fn output(self) -> Result<Output> {
        let program = printable(&self.engine.program.display().to_string());
        self.output_if_installed()?.ok_or_else(|| Failure::new(format!("{program} is not installed")))
    }

    /// The same; `None` where there is no such program.
    pub(super) fn output_if_installed(mut self) -> Result<Option<Output>> {
        if !self.clears_up {
            interrupt::check()?;
        }
        let what = self.shown();
        let cannot = |error: io::Error| Failure::new(format!("cannot run {what}: {error}"));
        let mut child = match self.command().and_then(|mut command| command.spawn()) {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot(error)),
        };
        let group = child.id();
        let _running = self.engine.watcher.as_ref().map(|watcher| watcher.running(group, self.command_word()));
        if let Some(mut stdin) = child.stdin.take() {
            let input = std::mem::take(&mut self.input);
            // An engine that does not read to the end says why by its exit code.
            thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let (ended, readers_end) = mpsc::channel();
        let stdout = child.stdout.take().map(|stdout| collect(stdout, ended.clone()));
        let stderr = child.stderr.take().map(|stderr| collect(stderr, ended));
        let began = Instant::now();
        let status = loop {
            // Both ends of output mean, as good as always, that the call has ended; until then the channel is what is waited at.
            match readers_end.recv_timeout(PAUSE) {
                Err(mpsc::RecvTimeoutError::Disconnected) if self.log.is_none() => thread::sleep(PAUSE / 50),
                Err(mpsc::RecvTimeoutError::Disconnected) => thread::sleep(PAUSE),
                Ok(()) | Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            if let Some(status) = child.try_wait().map_err(cannot)? {
                break status;
            }
            let stopped = match interrupt::check() {
                Err(interrupted) if !self.clears_up => Some(interrupted),
                _ if began.elapsed() > self.limit => {
                    Some(Failure::new(format!("{what} did not end within {} seconds", self.limit.as_secs())))
                }
                _ => None,
            };
            if let Some(failure) = stopped {
                self.end(&mut child);
                return Err(failure);
            }
        };
        // Who else holds the other ends is not waited for long.
        let patience = Instant::now() + Duration::from_secs(1);
        while Instant::now() < patience && readers_end.recv_timeout(PAUSE) != Err(mpsc::RecvTimeoutError::Disconnected)
        {
        }
        Ok(Some(Output {
            success: status.success(),
            code: status.code(),
            stdout: stdout.map(|stdout| taken(&stdout)).unwrap_or_default(),
            stderr: stderr.map(|stderr| taken(&stderr)).unwrap_or_default(),
        }))
    }

    /// Makes the call and ends it once it has printed that many bytes; those, or fewer where it printed fewer.
    ///
    /// # Errors
    /// Where it cannot be started, or somebody wants the proof to end.
    pub(super) fn beginning(mut self, bytes: u64) -> Result<Vec<u8>> {
        interrupt::check()?;
        let mut child = self.command()?.stderr(Stdio::null()).spawn()?;
        let mut read = Vec::new();
        let result = child.stdout.take().map(|output| output.take(bytes).read_to_end(&mut read));
        let _ = child.kill();
        let _ = child.wait();
        result.transpose()?;
        Ok(read)
    }

    /// Makes the call and leaves it running, to be talked with. It ends at the latest when its input does.
    ///
    /// # Errors
    /// Where it cannot be started, or somebody wants the proof to end.
    pub(super) fn attached(mut self) -> Result<Child> {
        interrupt::check()?;
        Ok(self.command()?.stdin(Stdio::piped()).spawn()?)
    }

    /// Makes the call; what it printed, without the space around it.
    ///
    /// # Errors
    /// Those of [`Call::output`], and where it ends with another code than 0: the last line that it said.
    pub fn text(self) -> Result<String> {
        let what = self.shown();
        let output = self.output()?;
        if output.success {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(Failure::new(format!("{what} failed: {}", output.last_words())))
    }

    /// Program and command, `docker create`: arguments may hold what is nobody's business.
    fn shown(&self) -> String {
        format!("{} {}", self.engine.kind, self.command_word())
    }

    fn command_word(&self) -> &str {
        self.arguments.first().and_then(|word| word.to_str()).unwrap_or_default()
    }

    fn command(&mut self) -> io::Result<Command> {
        let mut command = Command::new(&self.engine.program);
        command.args(&self.arguments);
        for name in &self.absent {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() });
        match &self.log {
            Some(log) => {
                let log = File::options().create(true).append(true).open(log)?;
                command.stdout(log.try_clone()?).stderr(log)
            }
            None => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
        };
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Ok(command)
    }

    fn end(&self, child: &mut Child) {
        let Self { engine, log, .. } = self;
        let logs = log.iter().cloned().collect();
        let ending = Ending { engine, command: self.command_word(), group: child.id(), logs };
        ending.end(|| child.try_wait().is_ok_and(|status| status.is_none()));
        // Where there are no process groups, this is what ends it.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Output {
    /// The last line that it said, fit for a terminal.
    pub(super) fn last_words(&self) -> String {
        let said = String::from_utf8_lossy(&self.stderr);
        let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
        printable(last.unwrap_or("it says nothing"))
    }
}

type Collected = Arc<Mutex<Vec<u8>>>;

/// Reads in a thread of its own to the end, and says then that it is there.
fn collect(mut from: impl Read + Send + 'static, ended: mpsc::Sender<()>) -> Collected {
    let collected = Collected::default();
    let into = collected.clone();
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
            if into.len() < MOST_OUTPUT {
                into.extend(buffer.iter().take(read));
            }
        }
        // Nobody may wait for it any more.
        let _ = ended.send(());
    });
    collected
}

fn taken(collected: &Collected) -> Vec<u8> {
    std::mem::take(&mut *collected.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether a variable of this name could change what the engine's own program does: whom it asks, what it loads, where it writes. What a build or a
/// container is to have under such a name must never come to be one of the program's own variables.
pub(super) fn means_something_to_engines(name: &str) -> bool {
    const BEGINNINGS: [&str; 16] = [
        "LD_",
        "DYLD_",
        "DOCKER_",
        "BUILDKIT_",
        "BUILDX_",
        "BUILDAH_",
        "CONTAINERS_",
        "CONTAINER_",
        "_CONTAINERS_",
        "NERDCTL_",
        "PODMAN_",
        "XDG_",
        "OTEL_",
        "NETAVARK_",
        "BASH",
        "LC_",
    ];
    const WHOLE: [&str; 33] = [
        "PATH",
        "HOME",
        "TMPDIR",
        "USER",
        "SHELL",
        "SHELLOPTS",
        "IFS",
        "ENV",
        "PS4",
        "CDPATH",
        "PWD",
        "LANG",
        "TZ",
        "GLIBC_TUNABLES",
        "GCONV_PATH",
        "LOCPATH",
        "LOCALDOMAIN",
        "RES_OPTIONS",
        "HOSTALIASES",
        "GODEBUG",
        "GOGC",
        "GOMAXPROCS",
        "GOMEMLIMIT",
        "GOTRACEBACK",
        "GOCOVERDIR",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "SSH_AUTH_SOCK",
        "SSH_ASKPASS",
        "REGISTRY_AUTH_FILE",
        "STORAGE_DRIVER",
        "STORAGE_OPTS",
        "CNI_PATH",
    ];
    let upper = name.to_ascii_uppercase();
    WHOLE.contains(&upper.as_str())
        || upper.ends_with("_PROXY")
        || BEGINNINGS.iter().any(|beginning| upper.starts_with(beginning))
}
