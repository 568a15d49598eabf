//! Dockerfiles that are edited without being rewritten.
//!
//! [`parse`] reads what BuildKit reads and refuses what BuildKit refuses; every byte of the text stays where it is, and each
//! [`Instruction`] knows its bytes. Views answer what is in force in a stage (user, working directory, variables, ports, commands) and
//! say `None` where this file alone does not tell. An [`Operation`] says in words what is to change, [`Dockerfile::plan`] turns it into
//! edits, and [`verify`] proves that the edited text says what it should and nothing else.
//!
//! ```
//! use unroot::dockerfile::{Operation, parse, verify};
//! use unroot::edit::EditSet;
//!
//! let dockerfile = parse("FROM node:22\nCMD [\"node\", \"x.js\"]")?;
//! let operations = [Operation::InsertBefore { instruction: 1, above_comments: true, lines: vec!["USER 1000".into()] }];
//! let edits = dockerfile.plan(&operations);
//! let after = EditSet::new(edits.clone())?.apply(dockerfile.text());
//! let hardened = verify(&dockerfile, &operations, &edits, &after)?;
//! assert_eq!(hardened.text().as_ref(), "FROM node:22\nUSER 1000\nCMD [\"node\", \"x.js\"]");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arguments;
mod config;
mod copy;
mod directive;
mod edit;
mod expand;
mod given;
mod heredoc;
mod instruction;
mod layout;
mod line;
mod named;
mod pairs;
mod parse;
mod scope;
mod shell;
mod stage;
mod verify;

pub use config::CommandForm;
pub use copy::{Origin, Source};
pub use directive::Directive;
pub use edit::Operation;
pub use given::{Given, GivenArguments};
pub use instruction::{Flag, Heredoc, Instruction, Keyword};
pub use named::NamedImage;
pub use pairs::Pair;
pub use parse::parse;
pub use shell::{Redirection, ShellCommand, Word};
pub use stage::{Base, Stage, is_platform_argument};
pub use verify::verify;

use std::sync::Arc;

/// Why a text is not a Dockerfile that BuildKit would accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// Where, in bytes.
    pub offset: usize,
    /// One line, no control characters.
    pub message: String,
}

/// A parsed Dockerfile.
#[derive(Clone, Debug)]
pub struct Dockerfile {
    text: Arc<str>,
    escape: char,
    directives: Vec<Directive>,
    instructions: Vec<Instruction>,
    stages: Vec<Stage>,
    /// For each instruction, the index of the `SHELL` in force there.
    shells: Vec<Option<usize>>,
    /// What builds give for its arguments.
    given: Arc<GivenArguments>,
}

impl Dockerfile {
    /// The text, byte for byte.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The escape character: a backslash, or the backtick that `# escape=` sets.
    pub fn escape(&self) -> char {
        self.escape
    }

    /// The parser directives, in order.
    pub fn directives(&self) -> &[Directive] {
        &self.directives
    }

    /// The instructions, in file order.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The build stages, in file order; never empty.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }
}
