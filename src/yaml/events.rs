//! The one door to yaml-rust2: its events, reduced to what the token cover needs.
//!
//! Only the structure of the stream and the decoded text of scalars are taken from the parser. Its positions serve as a
//! cross-check by line and column; its character index is never used, because it drifts after a block scalar that holds
//! anything but ASCII.

use super::repair::{Repairs, Shown};
use super::tree::Style;
use std::str::Chars;
use yaml_rust2::parser::{Event as Raw, Parser, Tag};
use yaml_rust2::scanner::{Marker, TScalarStyle};

/// What the parser saw next.
#[derive(Debug)]
pub(super) enum Event {
    DocumentStart,
    DocumentEnd,
    StreamEnd,
    Alias {
        /// Number of the anchor, from 1, counted over the whole stream.
        anchor: usize,
    },
    Scalar {
        /// The decoded text.
        value: String,
        style: Style,
        properties: Properties,
    },
    Start {
        mapping: bool,
        properties: Properties,
    },
    End,
}

/// The anchor and tag that the parser attached to a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Properties {
    pub(super) anchor: bool,
    pub(super) tag: bool,
}

/// Where the parser was: lines from 1, columns in characters from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// The parser gave up.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) mark: Mark,
    /// In its own words, which may quote the text.
    pub(super) message: String,
}

impl Fault {
    /// Whether it gave up for depth alone: it stops at 255 nested flow collections.
    pub(super) fn is_too_deep(&self) -> bool {
        self.message == "recursion limit exceeded"
    }
}

/// Pulls events one by one, so that nesting costs no stack.
pub(super) struct Events<'t> {
    parser: Reader<'t>,
    repairs: &'t Repairs,
}

/// Nearly every text is read as it is, and then no character should pass through more hands than it must.
enum Reader<'t> {
    Plain(Parser<Chars<'t>>),
    Repaired(Parser<Shown<'t>>),
}

impl<'t> Events<'t> {
    /// Events of `text`, a byte order mark taken away, as `repairs` show it.
    pub(super) fn new(text: &'t str, repairs: &'t Repairs) -> Self {
        let parser = if repairs.is_empty() {
            Reader::Plain(Parser::new_from_str(text))
        } else {
            Reader::Repaired(Parser::new(repairs.show(text)))
        };
        Self { parser, repairs }
    }

    /// The next event and the parser's position at it.
    pub(super) fn pull(&mut self) -> Result<(Event, Mark), Fault> {
        loop {
            let (raw, marker) = match &mut self.parser {
                Reader::Plain(parser) => parser.next_token(),
                Reader::Repaired(parser) => parser.next_token(),
            }
            .map_err(|error| Fault {
                mark: self.repairs.unshift(Mark::from(error.marker())),
                message: error.info().to_owned(),
            })?;
            let event = match raw {
                Raw::Nothing | Raw::StreamStart => continue,
                Raw::StreamEnd => Event::StreamEnd,
                Raw::DocumentStart => Event::DocumentStart,
                Raw::DocumentEnd => Event::DocumentEnd,
                Raw::Alias(anchor) => Event::Alias { anchor },
                Raw::Scalar(value, style, anchor, tag) => {
                    // A plain scalar holds at least one character; without any it stands for a value that is not written.
                    let style = match style {
                        TScalarStyle::Plain if value.is_empty() => Style::Empty,
                        TScalarStyle::Plain => Style::Plain,
                        TScalarStyle::SingleQuoted => Style::SingleQuoted,
                        TScalarStyle::DoubleQuoted => Style::DoubleQuoted,
                        TScalarStyle::Literal => Style::Literal,
                        TScalarStyle::Folded => Style::Folded,
                    };
                    Event::Scalar { value, style, properties: properties(anchor, tag.as_ref()) }
                }
                Raw::SequenceStart(anchor, tag) => {
                    Event::Start { mapping: false, properties: properties(anchor, tag.as_ref()) }
                }
                Raw::MappingStart(anchor, tag) => {
                    Event::Start { mapping: true, properties: properties(anchor, tag.as_ref()) }
                }
                Raw::SequenceEnd | Raw::MappingEnd => Event::End,
            };
            return Ok((event, self.repairs.unshift(Mark::from(&marker))));
        }
    }
}

fn properties(anchor: usize, tag: Option<&Tag>) -> Properties {
    Properties { anchor: anchor > 0, tag: tag.is_some() }
}

impl From<&Marker> for Mark {
    fn from(marker: &Marker) -> Self {
        Self { line: marker.line(), column: marker.col() }
    }
}
