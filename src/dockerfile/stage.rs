//! Build stages, and what each is built from.

use super::arguments;
use super::expand::{self, Lookup, Value};
use super::given::GivenArguments;
use super::instruction::{Instruction, Keyword};
use super::line::LogicalLine;
use super::parse::logical_arguments;
use super::{Dockerfile, ParseError};
use crate::source::Span;
use std::collections::HashMap;

/// A build stage: `FROM` and what follows it.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its number, from 0.
    pub index: usize,
    /// The name given by `AS`, lower-cased as BuildKit compares it.
    pub name: Option<String>,
    /// What it is built from.
    pub base: Base,
    /// Index of the `FROM` instruction.
    pub from: usize,
    /// The bytes of the base reference as written.
    pub base_span: Span,
    /// The bytes of the name after `AS`.
    pub name_span: Option<Span>,
    /// Indices of its instructions, `from` first; half-open.
    pub instructions: std::ops::Range<usize>,
}

/// What a stage is built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// An earlier stage, by index.
    Stage(usize),
    /// An image.
    Image {
        /// The reference with `ARG` defaults filled in.
        reference: String,
        /// Whether no variable stood in it.
        literal: bool,
    },
    /// Variables without a default stand in it.
    Unknown {
        /// The reference as written.
        written: String,
    },
}

impl Dockerfile {
    /// The stage with this name (any case) or number, as `COPY --from` finds it; of several with one name, the last.
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.stages.get(name.parse::<usize>().ok()?);
        }
        let name = name.to_lowercase();
        self.stages.iter().rev().find(|stage| stage.name.as_ref() == Some(&name))
    }

    /// The stage itself, then the stages it is built FROM, nearest first.
    pub fn chain(&self, stage: &Stage) -> Vec<&Stage> {
        let mut chain = Vec::new();
        let mut next = self.stages.get(stage.index);
        while let Some(stage) = next {
            chain.push(stage);
            next = match stage.base {
                // A stage is built from an earlier one, so the walk ends.
                Base::Stage(base) if base < stage.index => self.stages.get(base),
                _ => None,
            };
        }
        chain
    }

    /// Instructions in force in a stage: those of its chain, oldest stage first, in file order. Indices into
    /// [`Dockerfile::instructions`].
    pub fn effective(&self, stage: &Stage) -> Vec<usize> {
        self.chain(stage).into_iter().rev().flat_map(|stage| stage.instructions.clone()).collect()
    }

    /// The stage that an instruction belongs to; `None` before the first `FROM`.
    pub fn stage_of(&self, instruction: usize) -> Option<&Stage> {
        let at = self.stages.partition_point(|stage| stage.from <= instruction);
        at.checked_sub(1).and_then(|at| self.stages.get(at)).filter(|stage| stage.instructions.contains(&instruction))
    }
}

/// Groups instructions into stages.
///
/// # Errors
/// No stage at all, or an instruction other than `ARG` before the first.
pub(super) fn stages(
    text: &str,
    instructions: &[Instruction],
    escape: char,
    given: &GivenArguments,
) -> Result<Vec<Stage>, ParseError> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut globals = Globals::default();
    for (index, instruction) in instructions.iter().enumerate() {
        if instruction.keyword != Keyword::From {
            match stages.last_mut() {
                Some(stage) => stage.instructions.end = index + 1,
                None if instruction.keyword == Keyword::Arg => globals.declare(text, instruction, escape, given),
                None => {
                    let message = "no build stage in current context".to_owned();
                    return Err(ParseError { offset: instruction.keyword_span.start, message });
                }
            }
            continue;
        }
        let Some(line) = LogicalLine::of_instruction(text, instruction.span, escape) else { continue };
        let range = logical_arguments(&line, instruction);
        let arguments = &line.text[range.clone()];
        let words = arguments::whitespace_separated(arguments);
        let Some(reference) = words.first() else { continue };
        let in_file = |word: &std::ops::Range<usize>| line.span(range.start + word.start, range.start + word.end);
        let base = base(&arguments[reference.clone()], &globals, &names, escape);
        let name = words.get(2).map(|word| arguments[word.clone()].to_lowercase());
        if let Some(name) = &name {
            names.insert(name.clone(), stages.len());
        }
        stages.push(Stage {
            index: stages.len(),
            name,
            base,
            from: index,
            base_span: in_file(reference),
            name_span: words.get(2).map(in_file),
            instructions: index..index + 1,
        });
    }
    if stages.is_empty() {
        return Err(ParseError { offset: text.len(), message: "dockerfile contains no stages to build".to_owned() });
    }
    Ok(stages)
}

/// For each instruction, the index of the `SHELL` in force there: of its stage, or of the stages that one is built from.
pub(super) fn shells(instructions: &[Instruction], stages: &[Stage]) -> Vec<Option<usize>> {
    let mut shells = vec![None; instructions.len()];
    let mut at_end: Vec<Option<usize>> = Vec::with_capacity(stages.len());
    for stage in stages {
        let mut shell = match stage.base {
            Base::Stage(base) => at_end.get(base).copied().flatten(),
            _ => None,
        };
        for index in stage.instructions.clone() {
            shells[index] = shell;
            if instructions[index].keyword == Keyword::Shell {
                shell = Some(index);
            }
        }
        at_end.push(shell);
    }
    shells
}

fn base(written: &str, globals: &Globals, names: &HashMap<String, usize>, escape: char) -> Base {
    let unknown = || Base::Unknown { written: written.to_owned() };
    let Some(reference) = expand::expand(written, escape, globals).filter(|reference| !reference.is_empty()) else {
        return unknown();
    };
    if let Some(stage) = names.get(&reference.to_lowercase()) {
        return Base::Stage(*stage);
    }
    if reference == "scratch" {
        return Base::Scratch;
    }
    Base::Image { literal: !written.contains('$'), reference }
}

/// `ARG`s before the first `FROM`, and the arguments of the platform that BuildKit declares by itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Globals {
    values: HashMap<String, Value>,
}

impl Globals {
    /// The globals of a parsed file.
    pub(super) fn of(dockerfile: &Dockerfile) -> Self {
        let mut globals = Self::default();
        for instruction in dockerfile.instructions.iter().take_while(|instruction| instruction.keyword != Keyword::From)
        {
            globals.declare(&dockerfile.text, instruction, dockerfile.escape, &dockerfile.given);
        }
        globals
    }

    /// The value of an argument that a stage declares again without one.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    fn declare(&mut self, text: &str, instruction: &Instruction, escape: char, given: &GivenArguments) {
        let Some(line) = LogicalLine::of_instruction(text, instruction.span, escape) else { return };
        let arguments = &line.text[logical_arguments(&line, instruction)];
        for word in arguments::quoted_words(arguments, escape) {
            let (name, value) = expand::declaration(&arguments[word], escape, self);
            let value = given.get(&name).map_or_else(|| value.clone(), |given| given.settle(value.clone()));
            self.values.insert(name, value);
        }
    }
}

impl Lookup for Globals {
    fn lookup(&self, name: &str) -> Value {
        match self.values.get(name) {
            Some(value) => value.clone(),
            None if is_platform_argument(name) => Value::Unknown,
            // Nothing but ARG and the platform is in scope here, so a default applies.
            None => Value::Unset,
        }
    }
}

/// Whether BuildKit sets this argument by itself, from the platform of the build: its value differs between builds.
pub fn is_platform_argument(name: &str) -> bool {
    let rest = name.strip_prefix("BUILD").or_else(|| name.strip_prefix("TARGET"));
    matches!(rest, Some("PLATFORM" | "OS" | "ARCH" | "VARIANT"))
}
