//! The keys and values of `ARG`, `ENV` and `LABEL`.

use super::Dockerfile;
use super::arguments;
use super::expand;
use super::instruction::{Instruction, Keyword};
use super::line::LogicalLine;
use super::parse::logical_arguments;
use crate::source::Span;
use std::ops::Range;

/// One key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The key, quotes removed, variables as written.
    pub key: String,
    /// The bytes of the key, quotes included.
    pub key_span: Span,
    /// The value, likewise; `None` for an `ARG` without a default.
    pub value: Option<String>,
    /// The bytes of the value, quotes included.
    pub value_span: Option<Span>,
}

impl Dockerfile {
    /// The pairs of an `ARG`, `ENV` or `LABEL`, in order; of any other instruction none.
    pub fn pairs(&self, instruction: &Instruction) -> Vec<Pair> {
        let Some(line) = LogicalLine::of_instruction(&self.text, instruction.span, self.escape) else {
            return Vec::new();
        };
        let range = logical_arguments(&line, instruction);
        let written = &line.text[range.clone()];
        let text = |part: Range<usize>| expand::unquoted(&written[part], self.escape);
        let span = |part: Range<usize>| line.span(range.start + part.start, range.start + part.end);
        match instruction.keyword {
            Keyword::Arg => arguments::quoted_words(written, self.escape)
                .into_iter()
                .map(|word| match written[word.clone()].find('=') {
                    Some(equals) => (word.start..word.start + equals, Some(word.start + equals + 1..word.end)),
                    None => (word, None),
                })
                .map(|(key, value)| Pair {
                    key: text(key.clone()),
                    key_span: span(key),
                    value: value.clone().map(text),
                    value_span: value.map(span),
                })
                .collect(),
            Keyword::Env | Keyword::Label => arguments::key_values(written, instruction.keyword.as_str(), self.escape)
                .unwrap_or_default()
                .into_iter()
                .map(|pair| Pair {
                    key: text(pair.key.clone()),
                    key_span: span(pair.key),
                    value: Some(text(pair.value.clone())),
                    value_span: Some(span(pair.value)),
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}
