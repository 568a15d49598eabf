//! Where the base of a stage is written as a whole: in `FROM`, or in the default of the one `ARG` that `FROM` names.

use super::arguments;
use super::instruction::{Instruction, Keyword};
use super::line::LogicalLine;
use super::parse::logical_arguments;
use super::stage::{Stage, is_platform_argument};
use super::{Base, Dockerfile};
use crate::source::Span;

/// The bytes that name an image as a whole, and who reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedImage {
    /// The reference as written, nothing around it.
    pub reference: String,
    /// Its bytes.
    pub span: Span,
    /// Index of the instruction that they stand in: a `FROM`, or an `ARG` before the first.
    pub instruction: usize,
    /// The argument whose default they are; a build may give it another value.
    pub argument: Option<String>,
}

/// A variable that is all there is in `FROM`.
struct Variable<'a> {
    name: &'a str,
    /// What stands there where it has no value: the text and its offset in the word.
    default: Option<(&'a str, usize)>,
}

impl Dockerfile {
    /// Where the whole reference of a stage's base is written.
    ///
    /// # Errors
    /// Why nothing can be written there, to be read after what `FROM` says: the reference is put together from several pieces, or what it
    /// consists of is used for something else as well, or names no image.
    pub fn named_base(&self, stage: &Stage) -> Result<NamedImage, String> {
        let written = stage.base_span.of(&self.text);
        if let Base::Image { reference, literal: true } = &stage.base {
            return self
                .narrowed(stage.base_span, reference, stage.from)
                .ok_or_else(|| "quotes or escape characters stand in it".to_owned());
        }
        let composed = || "it is put together from variables, and a digest would make them ineffective".to_owned();
        // What builds give counts before a default, but a default is where an image is named.
        let variable = variable(written).ok_or_else(composed)?;
        let name = variable.name.escape_debug();
        let named = match (self.default_of(variable.name), variable.default) {
            (Declared::Default(named), _) => match self.other_use(variable.name) {
                Some(line) => return Err(format!("{name} is used for something else as well ({line})")),
                None => named,
            },
            (Declared::Nowhere, Some((text, at))) if is_plain(text) => {
                let start = stage.base_span.start + at;
                let span = Span::new(start, start + text.len());
                NamedImage { reference: text.to_owned(), span, instruction: stage.from, argument: None }
            }
            (Declared::Nowhere, None) => return Err(format!("{name} has no default")),
            (Declared::Unclear, _) => {
                return Err(format!("the default of {name} is put together, or given more than once"));
            }
            (Declared::Nowhere, Some(_)) => return Err(composed()),
        };
        let earlier = self.stages.get(..stage.index).unwrap_or_default();
        let is_stage = |stage: &Stage| stage.name.as_deref() == Some(named.reference.to_lowercase().as_str());
        if named.reference == "scratch" || earlier.iter().any(is_stage) {
            return Err(format!("the default of {name} is no image"));
        }
        Ok(NamedImage { argument: Some(variable.name.to_owned()), ..named })
    }

    /// The bytes of `reference` within `span`, where they stand in one piece.
    fn narrowed(&self, span: Span, reference: &str, instruction: usize) -> Option<NamedImage> {
        let at = span.of(&self.text).find(reference)?;
        let span = Span::new(span.start + at, span.start + at + reference.len());
        Some(NamedImage { reference: reference.to_owned(), span, instruction, argument: None })
    }

    /// What the `ARG`s before the first `FROM` say of a variable.
    fn default_of(&self, name: &str) -> Declared {
        let mut found = Declared::Nowhere;
        let mut declared = 0;
        for (index, instruction) in self.global_arguments() {
            let Some(line) = LogicalLine::of_instruction(&self.text, instruction.span, self.escape) else { continue };
            let range = logical_arguments(&line, instruction);
            let arguments = &line.text[range.clone()];
            for word in arguments::quoted_words(arguments, self.escape) {
                let written = &arguments[word.clone()];
                let (own, value) = written.split_once('=').map_or((written, None), |(own, value)| (own, Some(value)));
                if own != name {
                    continue;
                }
                let Some(value) = value else { continue };
                declared += 1;
                let end = range.start + word.end;
                let span = line.span(end - value.len(), end);
                let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
                let bare = quote.and_then(|quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value);
                let is_whole = is_plain(bare) && span.of(&self.text) == value;
                found = match self.narrowed(span, bare, index).filter(|_| is_whole) {
                    Some(named) => Declared::Default(named),
                    None => Declared::Unclear,
                };
            }
        }
        let is_set_elsewhere = is_platform_argument(name);
        if declared > 1 || is_set_elsewhere { Declared::Unclear } else { found }
    }

    /// What a variable does beside naming whole bases, as it is written.
    fn other_use(&self, name: &str) -> Option<String> {
        let shown = |instruction: &Instruction| {
            let text = instruction.span.of(&self.text);
            arguments::shortened(text.lines().next().unwrap_or_default().trim_end_matches(self.escape).trim_end())
        };
        let first = self.stages.first()?.from;
        self.instructions.iter().enumerate().find_map(|(index, instruction)| match instruction.keyword {
            Keyword::From => {
                let stage = self.stages.iter().find(|stage| stage.from == index)?;
                let is_whole = variable(stage.base_span.of(&self.text)).is_some_and(|variable| {
                    variable.name == name && !variable.default.is_some_and(|(text, _)| names(text, name))
                });
                let flags = instruction.flags.iter().filter_map(|flag| flag.value.as_deref());
                let in_base = !is_whole && names(stage.base_span.of(&self.text), name);
                (in_base || flags.into_iter().any(|value| names(value, name))).then(|| shown(instruction))
            }
            Keyword::Arg if index < first => names(instruction.span.of(&self.text), name).then(|| shown(instruction)),
            // Declared again without a value, it is there for every command of the stage.
            Keyword::Arg => {
                let words = self.argument_names(instruction);
                words.iter().any(|(own, has_value)| own == name && !has_value).then(|| shown(instruction))
            }
            _ => None,
        })
    }

    fn global_arguments(&self) -> impl Iterator<Item = (usize, &Instruction)> {
        self.instructions.iter().enumerate().take_while(|(_, instruction)| instruction.keyword != Keyword::From)
    }

    /// The names that an `ARG` declares, and whether each has a value.
    fn argument_names(&self, instruction: &Instruction) -> Vec<(String, bool)> {
        let Some(line) = LogicalLine::of_instruction(&self.text, instruction.span, self.escape) else {
            return Vec::new();
        };
        let arguments = &line.text[logical_arguments(&line, instruction)];
        let words = arguments::quoted_words(arguments, self.escape).into_iter().map(|word| &arguments[word]);
        words
            .map(|word| match word.split_once('=') {
                Some((name, _)) => (name.to_owned(), true),
                None => (word.to_owned(), false),
            })
            .collect()
    }
}

/// What is said of a variable before the first stage.
enum Declared {
    /// Nothing that gives it a value.
    Nowhere,
    /// It has this default.
    Default(NamedImage),
    /// It has one that is not written in one piece, or several.
    Unclear,
}

/// The variable that a word consists of: `$NAME`, `${NAME}`, `${NAME:-text}` or `${NAME-text}`, maybe in double quotes.
fn variable(word: &str) -> Option<Variable<'_>> {
    let quote = usize::from(word.len() > 1 && word.starts_with('"') && word.ends_with('"'));
    let inner = word.get(quote..word.len() - quote)?.strip_prefix('$')?;
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let Some(braced) = inner.strip_prefix('{') else {
        return is_name(inner).then_some(Variable { name: inner, default: None });
    };
    let braced = braced.strip_suffix('}')?;
    let end = braced.find([':', '-']).unwrap_or(braced.len());
    let (name, rest) = braced.split_at(end);
    let default = match (rest.strip_prefix(":-"), rest.strip_prefix('-')) {
        (Some(text), _) | (None, Some(text)) => Some(text),
        (None, None) if rest.is_empty() => None,
        _ => return None,
    };
    // `}` closes the word.
    let default = default.map(|text| (text, word.len() - quote - 1 - text.len()));
    is_name(name).then_some(Variable { name, default })
}

/// Text in which nothing is replaced and nothing left out.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(['$', '"', '\'', '\\', '`', '{', '}'])
}

/// Whether `$NAME` or `${NAME` stands in a text.
fn names(text: &str, name: &str) -> bool {
    text.match_indices('$').any(|(at, _)| {
        let rest = text.get(at + 1..).unwrap_or_default();
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        rest.strip_prefix(name)
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Given, GivenArguments, parse};
    use super::*;

    /// What is written in place of the base of the last stage, or why not.
    fn replaced(text: &str) -> Result<String, String> {
        let dockerfile = parse(text).unwrap();
        let named = dockerfile.named_base(dockerfile.stages().last().unwrap())?;
        assert_eq!(named.span.of(text), named.reference);
        Ok(format!("{}X{}", &text[..named.span.start], &text[named.span.end..]))
    }

    #[test]
    fn a_base_is_written_in_one_place() {
        for (text, expected) in [
            ("FROM node:22 AS x", "FROM X AS x"),
            ("FROM \"node:22\"", "FROM \"X\""),
            ("ARG I=node:22\nFROM $I", "ARG I=X\nFROM $I"),
            ("ARG I=\"node:22\"\nFROM \"${I}\"", "ARG I=\"X\"\nFROM \"${I}\""),
            ("ARG V=1 \\\n    I='node:22'\r\nFROM ${I}", "ARG V=1 \\\n    I='X'\r\nFROM ${I}"),
            ("FROM ${I:-node:22}", "FROM ${I:-X}"),
            ("ARG I\nFROM \"${I-node:22}\"", "ARG I\nFROM \"${I-X}\""),
            ("ARG I=node:22\nFROM ${I:-busybox}", "ARG I=X\nFROM ${I:-busybox}"),
            // A value of its own, and a variable of the shell.
            ("ARG I=node:22\nFROM $I\nARG I=x\nRUN echo $I", "ARG I=X\nFROM $I\nARG I=x\nRUN echo $I"),
            ("ARG I=node:22\nFROM $I\nRUN I=1; echo $I", "ARG I=X\nFROM $I\nRUN I=1; echo $I"),
        ] {
            assert_eq!(replaced(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_written_in_pieces_or_used_twice_is_left() {
        for (text, why) in [
            ("ARG V=22\nFROM node:$V", "put together"),
            ("ARG R=docker.io\nARG I=$R/node\nFROM $I", "the default of I"),
            ("ARG I=node\nARG I=node:22\nFROM $I", "the default of I"),
            ("ARG I\nFROM $I", "I has no default"),
            ("ARG I=base\nFROM x AS Base\nFROM $I", "no image"),
            ("ARG I=scratch\nFROM $I", "no image"),
            ("ARG TARGETOS=node\nFROM $TARGETOS", "the default of TARGETOS"),
            ("ARG I=node\nFROM $I\nFROM $I-slim\nFROM $I", "(FROM $I-slim)"),
            ("ARG I=node\nARG T=$I-x\nFROM $I", "(ARG T=$I-x)"),
            ("ARG I=node\nFROM $I\nARG I\nRUN echo $I", "(ARG I)"),
            ("ARG I=no\\de\nFROM $I", "the default of I"),
            ("FROM no\\de", "quotes or escape"),
            ("ARG I=node\nFROM ${I:+busybox}", "put together"),
        ] {
            let why_not = replaced(text).unwrap_err();
            assert!(why_not.contains(why), "{text}: {why_not}");
        }
    }

    #[test]
    fn what_builds_give_leaves_the_default_where_it_is() {
        let given = |given: Given| std::sync::Arc::new(GivenArguments::from([("I".to_owned(), given)]));
        let sometimes = Given::Sometimes([None].into());
        for given in [given(sometimes), given(Given::Always("busybox".to_owned()))] {
            let dockerfile = parse("ARG I=node:22\nFROM $I").unwrap().with_arguments(given).unwrap();
            let named = dockerfile.named_base(&dockerfile.stages()[0]).unwrap();
            assert_eq!((named.reference.as_str(), named.argument.as_deref()), ("node:22", Some("I")));
        }
    }

    #[test]
    fn variables_are_read_as_words() {
        assert!(names("a-${I}", "I") && names("$I/x", "I") && !names("$IMAGE ${I_}", "I"));
    }
}
