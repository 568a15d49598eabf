//! One call of the engine's program.
#![allow(clippy::disallowed_methods, reason = "the engine is a program of the user's, which a proof calls")]

use super::Engine;
use crate::prove::{Failure, Result};
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// A call that is put together. Arguments may be seen by everybody on the machine, so values of variables go in by [`Call::variable`] or
/// by a file, never by an argument.
#[derive(Debug)]
pub struct Call {
    program: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(String, String)>,
    input: Vec<u8>,
}

/// What a call that ended left.
#[derive(Debug)]
pub struct Output {
    /// Whether it ended with 0.
    pub success: bool,
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it said beside that.
    pub stderr: Vec<u8>,
}

impl Call {
    pub(super) fn new(engine: &Engine, command: &str) -> Self {
        let arguments = vec![command.into()];
        Self { program: engine.program.clone().into(), arguments, variables: Vec::new(), input: Vec::new() }
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

    /// What it reads from its standard input; nothing, where this is not said.
    pub fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    /// The call as a command, for what is not waited for.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Makes the call and waits for its end.
    ///
    /// # Errors
    /// Where the program cannot be started at all.
    pub fn output(self) -> Result<Output> {
        let shown = self.program.display().to_string();
        let cannot = |error: std::io::Error| Failure::new(format!("cannot run {shown}: {error}"));
        let mut command = self.command();
        let stdin = if self.input.is_empty() { Stdio::null() } else { Stdio::piped() };
        let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(cannot)?;
        let writer = child.stdin.take().map(|mut stdin| {
            let input = self.input;
            // An engine that does not read to the end says why by its exit code.
            std::thread::spawn(move || drop(stdin.write_all(&input)))
        });
        let output = child.wait_with_output().map_err(cannot)?;
        drop(writer.map(std::thread::JoinHandle::join));
        Ok(Output {
            success: output.status.success(),
            code: output.status.code(),
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }

    /// Makes the call and ends it once it has printed that many bytes; those, or fewer where it printed fewer.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(super) fn beginning(self, bytes: u64) -> Result<Vec<u8>> {
        let mut command = self.command();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut read = Vec::new();
        let result = child.stdout.take().map(|output| output.take(bytes).read_to_end(&mut read));
        drop(child.kill());
        drop(child.wait());
        result.transpose()?;
        Ok(read)
    }

    /// Makes the call; what it printed, without the space around it.
    ///
    /// # Errors
    /// Where it cannot be started, or ends with another code than 0: the last line that it said.
    pub fn text(self) -> Result<String> {
        let what = format!(
            "{} {}",
            self.program.display(),
            self.arguments.first().map(|word| word.display().to_string()).unwrap_or_default()
        );
        let output = self.output()?;
        if output.success {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim();
        Err(Failure::new(format!("{what} failed: {last}")))
    }
}
