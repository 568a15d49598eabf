//! What a Dockerfile is made of: instructions, their flags and their heredocs.

use crate::source::Span;
use std::fmt;

/// The instructions that BuildKit knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is named as it is written")]
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

impl Keyword {
    /// Every keyword, in alphabetical order.
    pub const ALL: [Self; 18] = [
        Self::Add,
        Self::Arg,
        Self::Cmd,
        Self::Copy,
        Self::Entrypoint,
        Self::Env,
        Self::Expose,
        Self::From,
        Self::Healthcheck,
        Self::Label,
        Self::Maintainer,
        Self::Onbuild,
        Self::Run,
        Self::Shell,
        Self::Stopsignal,
        Self::User,
        Self::Volume,
        Self::Workdir,
    ];

    /// The keyword that `word` spells, in any case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keyword| keyword.as_str().eq_ignore_ascii_case(word))
    }

    /// The keyword in capitals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Arg => "ARG",
            Self::Cmd => "CMD",
            Self::Copy => "COPY",
            Self::Entrypoint => "ENTRYPOINT",
            Self::Env => "ENV",
            Self::Expose => "EXPOSE",
            Self::From => "FROM",
            Self::Healthcheck => "HEALTHCHECK",
            Self::Label => "LABEL",
            Self::Maintainer => "MAINTAINER",
            Self::Onbuild => "ONBUILD",
            Self::Run => "RUN",
            Self::Shell => "SHELL",
            Self::Stopsignal => "STOPSIGNAL",
            Self::User => "USER",
            Self::Volume => "VOLUME",
            Self::Workdir => "WORKDIR",
        }
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One instruction. Spans never include the line end that closes it.
#[derive(Clone, Debug)]
pub struct Instruction {
    /// What it is.
    pub keyword: Keyword,
    /// The bytes of the keyword as written, in any case.
    pub keyword_span: Span,
    /// From the keyword to the last byte, over continuation lines, comments between them, and heredoc bodies.
    pub span: Span,
    /// What stands after keyword and flags, white space around it left out; may cover continuations. Empty when nothing does.
    /// Heredoc bodies are not part of it.
    pub arguments: Span,
    /// The flags, in order.
    pub flags: Vec<Flag>,
    /// The heredocs that it opens, in order; for `ONBUILD`, those of the instruction it carries.
    pub heredocs: Vec<Heredoc>,
    /// The instruction that `ONBUILD` carries; `None` when BuildKit would only find out at the trigger that there is no such one.
    pub onbuild: Option<Box<Instruction>>,
}

impl Instruction {
    /// The first flag with this name.
    pub fn flag(&self, name: &str) -> Option<&Flag> {
        self.flags.iter().find(|flag| flag.name == name)
    }
}

/// `--name=value` or `--name`, before the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The flag as written, with its dashes.
    pub span: Span,
    /// The name without dashes.
    pub name: String,
    /// What stands after the `=`, quotes and escape characters removed.
    pub value: Option<String>,
}

/// A document within the Dockerfile, opened by `<<EOF`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter without quotes.
    pub delimiter: String,
    /// `<<-`: leading tabs are stripped.
    pub dashed: bool,
    /// An unquoted delimiter: variables in the body are expanded.
    pub expands: bool,
    /// The `<<EOF` word, with the digits of a file descriptor before it.
    pub opener: Span,
    /// The lines before the terminator, with their line ends.
    pub body: Span,
    /// The line that closes it, without its line end.
    pub terminator: Span,
}
