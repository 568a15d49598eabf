//! A helper container that takes orders for as long as it is needed: asking through a new process each time would take longer than most answers do.

use super::Call;
use super::held::Held;
use crate::prove::inside::Order;
use crate::prove::{Failure, Result};
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};

/// A container that runs `serve`; it ends with the value.
#[derive(Debug)]
pub(super) struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Removed after its program was told to end.
    _container: Held,
}

impl Talk {
    /// Starts it by a call that stays attached to it.
    pub(super) fn start(call: Call, container: Held) -> Result<Self> {
        let mut child = call.attached()?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or_else(|| Failure::new("a helper container has no output"))?;
        Ok(Self { child, input, output: BufReader::new(output), _container: container })
    }

    /// Gives one order and waits for the answer.
    pub(super) fn order<T: DeserializeOwned>(&mut self, order: &Order) -> Result<T> {
        let line = serde_json::to_string(order)?;
        let given = self.input.as_mut().is_some_and(|input| writeln!(input, "{line}").is_ok());
        let mut answer = String::new();
        if !given || self.output.read_line(&mut answer)? == 0 {
            return Err(self.gone());
        }
        let answer: Result<T, String> = serde_json::from_str(&answer)?;
        answer.map_err(Failure::new)
    }

    /// Why nobody answers: the engine's last words.
    fn gone(&mut self) -> Failure {
        self.input = None;
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            drop(stderr.read_to_string(&mut said));
        }
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
        Failure::new(format!("a helper container ended: {}", last.trim()))
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.input = None;
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
