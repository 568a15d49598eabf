//! Dockerfiles that are edited without being rewritten.
#![allow(clippy::todo, missing_docs, unused_variables)]

use crate::edit::Edit;
use crate::source::Span;
use std::borrow::Cow;
use std::sync::Arc;

/// Why a text is not a Dockerfile that BuildKit would accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    pub offset: usize,
    /// One line, no control characters.
    pub message: String,
}

pub fn parse(text: impl Into<Arc<str>>) -> Result<Dockerfile, ParseError> {
    todo!()
}

#[derive(Debug)]
pub struct Dockerfile {
    text: Arc<str>,
    instructions: Vec<Instruction>,
    stages: Vec<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
}

/// One instruction. Spans never include the line end that closes it.
#[derive(Clone, Debug)]
pub struct Instruction {
    pub keyword: Keyword,
    pub keyword_span: Span,
    /// From the keyword to the last byte, over continuation lines, comments between them, and heredoc bodies.
    pub span: Span,
    /// What stands after keyword and flags; may cover continuations. Empty when nothing does.
    pub arguments: Span,
    pub flags: Vec<Flag>,
    pub heredocs: Vec<Heredoc>,
    /// The instruction that `ONBUILD` carries.
    pub onbuild: Option<Box<Instruction>>,
}

/// `--name=value` or `--name`, before the arguments.
#[derive(Clone, Debug)]
pub struct Flag {
    pub span: Span,
    pub name: String,
    pub value: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Heredoc {
    /// The delimiter without quotes.
    pub delimiter: String,
    /// `<<-`: leading tabs are stripped.
    pub dashed: bool,
    /// An unquoted delimiter: variables in the body are expanded.
    pub expands: bool,
    /// The `<<EOF` word.
    pub opener: Span,
    pub body: Span,
    /// The line that closes it, without its line end.
    pub terminator: Span,
}

/// A build stage: `FROM` and what follows it.
#[derive(Clone, Debug)]
pub struct Stage {
    pub index: usize,
    /// The name given by `AS`, lower-cased as BuildKit compares it.
    pub name: Option<String>,
    pub base: Base,
    /// Index of the `FROM` instruction.
    pub from: usize,
    /// The bytes of the base reference as written.
    pub base_span: Span,
    /// Indices of its instructions, `from` first; half-open.
    pub instructions: std::ops::Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    Scratch,
    /// An earlier stage, by index.
    Stage(usize),
    /// An image: the reference with `ARG` defaults filled in; `literal` when no variable stood in it.
    Image {
        reference: String,
        literal: bool,
    },
    /// Variables without a default stand in it.
    Unknown {
        written: String,
    },
}

/// How `CMD`, `ENTRYPOINT` and `RUN` are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandForm {
    /// A JSON array.
    Exec(Vec<String>),
    /// A command line for the shell, continuations joined, comments removed.
    Shell(String),
}

/// One simple command of a shell line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellCommand {
    /// `NAME=value` words before the command.
    pub assignments: Vec<Word>,
    pub words: Vec<Word>,
    /// Bytes in the Dockerfile from the first word (or assignment) to the last.
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub span: Span,
    /// The word with quotes removed, when it holds no expansion, substitution or glob.
    pub literal: Option<String>,
    /// The word as written.
    pub written: String,
}

impl Dockerfile {
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }
    /// The stage with this name (any case) or number.
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        todo!()
    }
    /// The stage itself, then the stages it is built FROM, nearest first.
    pub fn chain(&self, stage: &Stage) -> Vec<&Stage> {
        todo!()
    }
    /// Instructions in force in a stage: those of its chain, oldest stage first, in file order. Indices into [`Self::instructions`].
    pub fn effective(&self, stage: &Stage) -> Vec<usize> {
        todo!()
    }
    /// The argument of the last `USER` in force, variables expanded where their value is known, and the index of its instruction.
    pub fn user(&self, stage: &Stage) -> Option<(Cow<'_, str>, usize)> {
        todo!()
    }
    /// The working directory at the end of the stage as far as this file says: absolute, or relative to the base's. `None` when nothing sets it,
    /// `Err` with the text as written when a variable in it is unknown.
    pub fn workdir(&self, stage: &Stage) -> Option<Result<String, String>> {
        todo!()
    }
    /// The working directory in force at an instruction of the stage, likewise.
    pub fn workdir_at(&self, stage: &Stage, instruction: usize) -> Option<Result<String, String>> {
        todo!()
    }
    /// Variables (ENV) in force at the end of the stage, in order of definition.
    pub fn env(&self, stage: &Stage) -> Vec<(String, String)> {
        todo!()
    }
    /// Ports of EXPOSE in force: number and protocol (`tcp` when none is written). Variables are expanded where known; unknown ones are left out.
    pub fn ports(&self, stage: &Stage) -> Vec<(u16, String)> {
        todo!()
    }
    /// `CMD` in force, with the index of its instruction. An ENTRYPOINT set later in the chain than CMD's stage resets an inherited CMD.
    pub fn cmd(&self, stage: &Stage) -> Option<(CommandForm, usize)> {
        todo!()
    }
    pub fn entrypoint(&self, stage: &Stage) -> Option<(CommandForm, usize)> {
        todo!()
    }
    /// Form and content of a CMD, ENTRYPOINT, RUN or SHELL (or the CMD part of HEALTHCHECK).
    pub fn command(&self, instruction: &Instruction) -> Option<CommandForm> {
        todo!()
    }
    /// The simple commands of a shell-form RUN (or CMD/ENTRYPOINT), in order, across `&&`, `||`, `;`, `|`, newlines, subshells, and the body of
    /// a heredoc that is a script. `None` when the shell words cannot be told apart with certainty (then treat it as doing anything).
    pub fn shell_commands(&self, instruction: &Instruction) -> Option<Vec<ShellCommand>> {
        todo!()
    }
    /// Sources and destination of COPY or ADD, as written, quotes removed; JSON form understood. Heredoc sources are left out of `sources`.
    pub fn copy_words(&self, instruction: &Instruction) -> Option<(Vec<String>, String)> {
        todo!()
    }
    /// `text` with `$NAME` and `${NAME}`, `${NAME:-x}`, `${NAME:+x}` replaced by what is in force at `instruction`: ENV and ARG of the stage,
    /// ARG before the first FROM where redeclared. `None` when a value is not known.
    pub fn expand(&self, stage: &Stage, instruction: usize, text: &str) -> Option<String> {
        todo!()
    }
}

/// One intended change, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Whole new lines directly above an instruction (above the comment lines that stand directly above it, when `above_comments`).
    InsertBefore { instruction: usize, above_comments: bool, lines: Vec<String> },
    /// Whole new lines directly below an instruction.
    InsertAfter { instruction: usize, lines: Vec<String> },
    /// Whole new lines at the end of the file.
    Append { lines: Vec<String> },
    /// Replaces bytes within one instruction.
    Replace { span: Span, text: String },
    /// Removes an instruction with its lines; with the comment lines directly above it when `with_comments`.
    Remove { instruction: usize, with_comments: bool },
}

impl Dockerfile {
    /// The edits that carry out `operations`. New lines take the line end of their neighbours; a missing final line end stays missing.
    pub fn plan(&self, operations: &[Operation]) -> Vec<Edit> {
        todo!()
    }
}

/// Proves that `after` is `before` with exactly `operations` carried out, and returns the parsed result.
///
/// # Errors
/// What differs from the plan; always a defect of this program.
pub fn verify(
    before: &Dockerfile,
    operations: &[Operation],
    edits: &[Edit],
    after: &str,
) -> Result<Dockerfile, ParseError> {
    todo!()
}
