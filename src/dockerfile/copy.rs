//! Where `COPY`, `ADD` and the mounts of `RUN` take files from.

use super::Dockerfile;
use super::arguments::{self, Json};
use super::expand;
use super::heredoc;
use super::instruction::{Flag, Instruction, Keyword};
use crate::source::Span;

/// A stage or an image that an instruction takes files from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What it names.
    pub origin: Origin,
    /// The bytes of the name; the whole flag when quotes, escape characters or a continuation stand within it.
    pub span: Span,
}

/// What `--from=` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A stage of this file, by index.
    Stage(usize),
    /// Anything else: an image, or a named build context. BuildKit expands no variables in it.
    Image(String),
}

impl Dockerfile {
    /// Sources and destination of COPY or ADD, as written, quotes removed; JSON form understood. Heredoc sources are left out of
    /// `sources`. `None` for any other instruction, and for a JSON array with something behind it, which versions of BuildKit read in two
    /// ways.
    pub fn copy_words(&self, instruction: &Instruction) -> Option<(Vec<String>, String)> {
        if !matches!(instruction.keyword, Keyword::Copy | Keyword::Add) {
            return None;
        }
        let written = self.arguments(instruction);
        let mut words = match arguments::json(&written) {
            Json::Strings(words) => words,
            Json::Followed => return None,
            Json::OtherThanStrings | Json::No => arguments::whitespace_separated(&written)
                .into_iter()
                .map(|word| &written[word])
                .filter(|word| instruction.heredocs.is_empty() || !heredoc::is_opener(word))
                .map(|word| expand::unquoted(word, self.escape))
                .collect(),
        };
        let destination = words.pop()?;
        Some((words, destination))
    }

    /// What the `--from` of COPY and the `from` of `RUN --mount` name. A number is a stage for COPY, but not for a mount.
    pub fn copy_sources(&self, instruction: &Instruction) -> Vec<Source> {
        let flags = instruction.flags.iter();
        match instruction.keyword {
            Keyword::Copy => flags.filter(|flag| flag.name == "from").filter_map(|flag| self.copy_from(flag)).collect(),
            Keyword::Run => {
                flags.filter(|flag| flag.name == "mount").filter_map(|flag| self.mount_from(flag)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn copy_from(&self, flag: &Flag) -> Option<Source> {
        let value = flag.value.as_deref().filter(|value| !value.is_empty())?;
        let origin = match self.stage(value) {
            Some(stage) => Origin::Stage(stage.index),
            None => Origin::Image(value.to_owned()),
        };
        Some(Source { origin, span: self.within(flag, value, "=") })
    }

    fn mount_from(&self, flag: &Flag) -> Option<Source> {
        let value = flag.value.as_deref()?.split(',').find_map(|field| {
            let (name, value) = field.split_once('=')?;
            name.trim().eq_ignore_ascii_case("from").then_some(value).filter(|value| !value.is_empty())
        })?;
        let named = self.stage(value).filter(|_| !value.bytes().all(|byte| byte.is_ascii_digit()));
        let origin = match named {
            Some(stage) => Origin::Stage(stage.index),
            None => Origin::Image(value.to_owned()),
        };
        Some(Source { origin, span: self.within(flag, value, "from=") })
    }

    /// Where `value` stands in the flag, right behind `before` in any case, or behind a quote that follows it.
    fn within(&self, flag: &Flag, value: &str, before: &str) -> Span {
        let written = flag.span.of(&self.text);
        let follows = |at: &usize| {
            let ahead = written.get(..*at).unwrap_or_default();
            let ahead = ahead.strip_suffix(['"', '\'']).unwrap_or(ahead);
            let start = ahead.len().saturating_sub(before.len());
            ahead.get(start..).is_some_and(|ahead| ahead.eq_ignore_ascii_case(before))
        };
        match written.match_indices(value).map(|(at, _)| at).find(follows) {
            Some(at) => Span::new(flag.span.start + at, flag.span.start + at + value.len()),
            None => flag.span,
        }
    }
}
