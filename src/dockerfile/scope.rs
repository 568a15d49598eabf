//! The variables in force at an instruction.

use super::Dockerfile;
use super::arguments;
use super::expand::{self, Lookup, Value};
use super::instruction::{Instruction, Keyword};
use super::line::LogicalLine;
use super::parse::logical_arguments;
use super::stage::{self, Base, Globals, Stage};
use std::collections::HashMap;

/// `ENV` and `ARG` of a stage, up to one of its instructions.
pub(super) struct Scope<'a> {
    dockerfile: &'a Dockerfile,
    globals: Globals,
    /// In order of first definition; `None` is a value that is not known.
    env: Vec<(String, Option<String>)>,
    env_index: HashMap<String, usize>,
    arguments: HashMap<String, Value>,
    /// Whether variables may come from an image that this file does not show.
    open: bool,
}

impl<'a> Scope<'a> {
    /// The scope before the first instruction of the stage's chain.
    pub(super) fn new(dockerfile: &'a Dockerfile, stage: &Stage) -> Self {
        let open = dockerfile.chain(stage).last().is_none_or(|root| root.base != Base::Scratch);
        Self {
            dockerfile,
            globals: Globals::of(dockerfile),
            env: Vec::new(),
            env_index: HashMap::new(),
            arguments: HashMap::new(),
            open,
        }
    }

    /// Takes note of an instruction, which must come after all those before.
    pub(super) fn enter(&mut self, instruction: &Instruction) {
        match instruction.keyword {
            Keyword::Env => self.enter_env(instruction),
            Keyword::Arg => self.enter_arg(instruction),
            _ => {}
        }
    }

    /// `word` without quotes and with variables filled in.
    pub(super) fn expand(&self, word: &str) -> Option<String> {
        expand::expand(word, self.dockerfile.escape, self)
    }

    /// The variables set by `ENV` whose value is known, in order of definition.
    pub(super) fn into_env(self) -> Vec<(String, String)> {
        self.env.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn enter_env(&mut self, instruction: &Instruction) {
        let escape = self.dockerfile.escape;
        let Some(line) = LogicalLine::of_instruction(&self.dockerfile.text, instruction.span, escape) else { return };
        let arguments = &line.text[logical_arguments(&line, instruction)];
        let pairs = arguments::key_values(arguments, "ENV", escape).unwrap_or_default();
        // The pairs of one ENV do not see each other.
        let pairs: Vec<_> = pairs
            .into_iter()
            .filter_map(|pair| Some((self.expand(&arguments[pair.key])?, self.expand(&arguments[pair.value]))))
            .collect();
        for (name, value) in pairs {
            match self.env_index.get(&name) {
                Some(index) => self.env[*index].1 = value,
                None => {
                    self.env_index.insert(name.clone(), self.env.len());
                    self.env.push((name, value));
                }
            }
        }
    }

    fn enter_arg(&mut self, instruction: &Instruction) {
        let escape = self.dockerfile.escape;
        let Some(line) = LogicalLine::of_instruction(&self.dockerfile.text, instruction.span, escape) else { return };
        let arguments = &line.text[logical_arguments(&line, instruction)];
        let declared: Vec<_> = arguments::quoted_words(arguments, escape)
            .into_iter()
            .map(|word| expand::declaration(&arguments[word], escape, self))
            .collect();
        for (name, value) in declared {
            let value = match value {
                Value::Unset if stage::is_platform_argument(&name) => Value::Unknown,
                Value::Unset => self.globals.get(&name).cloned().unwrap_or(Value::Unset),
                value => value,
            };
            let given = self.dockerfile.given.get(&name);
            let value = given.map_or_else(|| value.clone(), |given| given.settle(value.clone()));
            let value = match self.arguments.get(&name) {
                // Declared again without a value, an argument keeps the one it has.
                Some(before) if value == Value::Unset => before.clone(),
                // Which of two values counts is not said anywhere.
                Some(before) if *before != Value::Unset && *before != value => Value::Unknown,
                _ => value,
            };
            self.arguments.insert(name, value);
        }
    }
}

impl Lookup for Scope<'_> {
    fn lookup(&self, name: &str) -> Value {
        if let Some(index) = self.env_index.get(name) {
            return self.env[*index].1.clone().map_or(Value::Unknown, Value::Set);
        }
        match self.arguments.get(name) {
            Some(value) => value.clone(),
            None if self.open => Value::Unknown,
            None => Value::Unset,
        }
    }
}

impl Dockerfile {
    /// `text` with `$NAME` and `${NAME}`, `${NAME:-x}`, `${NAME:+x}` replaced by what is in force at `instruction`: ENV and ARG of the
    /// stage and of the stages it is built from, ARG before the first FROM where redeclared. ENV wins over ARG. Quotes and escape
    /// characters are removed, as BuildKit does in every instruction that expands. `None` when a value is not known.
    pub fn expand(&self, stage: &Stage, instruction: usize, text: &str) -> Option<String> {
        self.scope_at(stage, instruction).expand(text)
    }

    /// Variables (ENV) in force at the end of the stage, in order of definition; those whose value is not known are left out.
    pub fn env(&self, stage: &Stage) -> Vec<(String, String)> {
        self.scope_at(stage, usize::MAX).into_env()
    }

    /// The scope right before `instruction`; after the whole stage when it is not one of the chain.
    pub(super) fn scope_at(&self, stage: &Stage, instruction: usize) -> Scope<'_> {
        let mut scope = Scope::new(self, stage);
        for index in self.effective(stage).into_iter().take_while(|index| *index != instruction) {
            scope.enter(&self.instructions[index]);
        }
        scope
    }
}
