//! The simple commands of a shell line.

mod script;
mod word;

use super::Dockerfile;
use super::arguments::{self, Json};
use super::instruction::{Heredoc, Instruction, Keyword};
use super::line::LogicalLine;
use super::parse::logical_arguments;
use crate::source::Span;
use script::{Dialect, Script};

/// One simple command of a shell line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellCommand {
    /// `NAME=value` words before the command.
    pub assignments: Vec<Word>,
    /// The command's name and its arguments; redirections are left out. Empty when the command only assigns or redirects.
    pub words: Vec<Word>,
    /// Where its input comes from and its output goes.
    pub redirections: Vec<Redirection>,
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

/// One redirection of a shell command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirection {
    /// The operator without a file descriptor before it: `>`, `>>`, `<`, `>&`, `<<`, …
    pub operator: String,
    /// The file, file descriptor or delimiter.
    pub target: Word,
}

impl Dockerfile {
    /// The simple commands of a shell-form RUN (or CMD/ENTRYPOINT), in order, across `&&`, `||`, `;`, `|`, newlines, subshells, and the
    /// body of a heredoc that is a script. The commands of a `$(…)` come before the command that it is a word of. `None` when the shell
    /// words cannot be told apart with certainty (then treat it as doing anything): exec form, a SHELL that is not POSIX, scripts with
    /// the shebang of another language, syntax that shells disagree about.
    pub fn shell_commands(&self, instruction: &Instruction) -> Option<Vec<ShellCommand>> {
        if !matches!(instruction.keyword, Keyword::Run | Keyword::Cmd | Keyword::Entrypoint) {
            return None;
        }
        let line = LogicalLine::of_instruction(&self.text, instruction.span, self.escape)?;
        let range = logical_arguments(&line, instruction);
        let arguments = &line.text[range.clone()];
        if arguments::json(arguments) != Json::No {
            return None;
        }
        let dialect = self.dialect(instruction)?;
        if let [heredoc] = instruction.heredocs.as_slice()
            && heredoc.opener == instruction.arguments
        {
            return self.heredoc_commands(heredoc, dialect);
        }
        let locate = |start: usize, end: usize| line.span(range.start + start, range.start + end);
        let mut script = Script::new(arguments, &locate, dialect, Some(&instruction.heredocs));
        let mut commands = script.commands()?;
        // A heredoc that is fed to a shell is a script, too.
        for index in 0..commands.len() {
            let Some(interpreter) = commands[index].interpreter() else { continue };
            for target in commands[index].heredoc_targets() {
                let at = instruction.heredocs.binary_search_by_key(&target.end, |heredoc| heredoc.opener.end).ok()?;
                let heredoc = &instruction.heredocs[at];
                // What an unquoted delimiter makes of backslashes would have to be undone first; only at line ends it is the same.
                let body = heredoc.body.of(&self.text).replace("\\\n", "");
                if !commands[index].takes_only_options() || heredoc.expands && body.contains('\\') {
                    return None;
                }
                commands.extend(self.script_commands(heredoc.body, interpreter)?);
            }
        }
        Some(commands)
    }

    /// The commands of a heredoc that is the whole argument of RUN: BuildKit hands its body to the shell, or to what its shebang names.
    fn heredoc_commands(&self, heredoc: &Heredoc, dialect: Dialect) -> Option<Vec<ShellCommand>> {
        let body = heredoc.body.of(&self.text);
        let dialect = match body.strip_prefix("#!") {
            Some(shebang) => {
                let interpreter = shebang.lines().next()?;
                let mut words = interpreter.split_whitespace().filter(|word| !word.starts_with('-'));
                let program = words.next()?;
                if program.ends_with("/env") { Dialect::of(words.next()?)? } else { Dialect::of(program)? }
            }
            None => dialect,
        };
        self.script_commands(heredoc.body, dialect)
    }

    fn script_commands(&self, body: Span, dialect: Dialect) -> Option<Vec<ShellCommand>> {
        let locate = |start: usize, end: usize| Span::new(body.start + start, body.start + end);
        let commands = Script::new(body.of(&self.text), &locate, dialect, None).commands()?;
        let feeds_a_shell =
            |command: &ShellCommand| command.interpreter().is_some() && !command.heredoc_targets().is_empty();
        (!commands.iter().any(feeds_a_shell)).then_some(commands)
    }

    /// The shell that runs the instruction; `None` when it is not of the POSIX family.
    fn dialect(&self, instruction: &Instruction) -> Option<Dialect> {
        let index = self.instructions.partition_point(|other| other.span.end < instruction.span.end);
        match self.shell(index) {
            Some(words) => Dialect::of(words.first()?),
            // The backtick is there for Windows paths, where the shell is another one.
            None if self.escape == '`' => None,
            None => Some(Dialect::Posix),
        }
    }
}

impl ShellCommand {
    /// The command's name when it is literal, without the directories before it.
    pub fn name(&self) -> Option<&str> {
        let name = self.words.first()?.literal.as_deref()?;
        Some(name.rsplit('/').next().unwrap_or(name))
    }

    /// The shell that reads its standard input as a script: one that is not given its script by `-c`.
    fn interpreter(&self) -> Option<Dialect> {
        let dialect = Dialect::of(self.words.first()?.literal.as_deref()?)?;
        let given = |word: &Word| {
            word.written.starts_with('-') && !word.written.starts_with("--") && word.written.contains('c')
        };
        (!self.words.iter().any(given)).then_some(dialect)
    }

    /// Whether no word can be the name of a script.
    fn takes_only_options(&self) -> bool {
        self.words
            .iter()
            .skip(1)
            .all(|word| word.literal.as_deref().is_some_and(|word| word.starts_with(['-', '+']) || word == "pipefail"))
    }

    /// The delimiters of its heredocs and the words of its here-strings.
    fn heredoc_targets(&self) -> Vec<Span> {
        let heredocs = self.redirections.iter().filter(|redirection| redirection.operator.starts_with("<<"));
        heredocs.map(|redirection| redirection.target.span).collect()
    }
}
