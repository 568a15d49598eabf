//! Values that builds give for arguments, in place of their defaults.

use super::expand::Value;
use super::{Dockerfile, ParseError, stage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is known of the builds of a Dockerfile, by the name of the argument.
pub type GivenArguments = BTreeMap<String, Given>;

/// What builds give for one argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Every build that is known gives this value.
    Always(String),
    /// Some give one of these values, others leave the default; `None` is a value that is not known.
    Sometimes(BTreeSet<Option<String>>),
}

impl Given {
    /// What is known of an argument with this default.
    pub(super) fn settle(&self, default: Value) -> Value {
        // With a digest beside its tag, it is the image that it was.
        let bare = |text: &'_ str| text.split("@sha256:").next().unwrap_or_default().to_owned();
        let is_default = |value: &Option<String>| matches!((value, &default), (Some(value), Value::Set(default)) if bare(value) == bare(default));
        match self {
            Self::Always(value) => Value::Set(value.clone()),
            Self::Sometimes(values) if values.iter().all(is_default) => default,
            Self::Sometimes(_) => Value::Unknown,
        }
    }
}

impl Dockerfile {
    /// The same file as these builds see it: what they give for an argument counts before its default.
    ///
    /// # Errors
    /// None that parsing the text did not have; the signature is that of the stages' reader.
    pub fn with_arguments(mut self, given: Arc<GivenArguments>) -> Result<Self, ParseError> {
        self.stages = stage::stages(&self.text, &self.instructions, self.escape, &given)?;
        self.shells = stage::shells(&self.instructions, &self.stages);
        self.given = given;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Base, parse};
    use super::*;

    fn base(text: &str, given: Given) -> Base {
        let given = Arc::new(GivenArguments::from([("BASE".to_owned(), given)]));
        parse(text).unwrap().with_arguments(given).unwrap().stages().last().unwrap().base.clone()
    }

    #[test]
    fn what_builds_give_counts_before_the_default() {
        let text = "ARG BASE=one\nFROM alpine AS one\nFROM node:22 AS two\nFROM $BASE";
        let sometimes = |value: &str| Given::Sometimes(BTreeSet::from([Some(value.to_owned())]));
        assert_eq!(base(text, Given::Always("two".to_owned())), Base::Stage(1));
        let pinned = "ARG BASE=node:22@sha256:0\nFROM $BASE";
        assert!(matches!(base(pinned, Given::Sometimes([Some("node:22".to_owned())].into())), Base::Image { .. }));
        assert_eq!(base(text, sometimes("one")), Base::Stage(0));
        assert_eq!(base(text, sometimes("two")), Base::Unknown { written: "$BASE".to_owned() });
    }

    #[test]
    fn what_the_file_does_not_declare_has_no_effect() {
        let given = Given::Always("node:22".to_owned());
        assert_eq!(base("FROM ${BASE:-alpine}", given), Base::Image { reference: "alpine".to_owned(), literal: false });
    }

    #[test]
    fn arguments_of_a_stage_are_given_as_well() {
        let text = "FROM node:22\nARG FOLDER=/a\nWORKDIR $FOLDER\nUSER 1";
        let given = GivenArguments::from([("FOLDER".to_owned(), Given::Always("/b".to_owned()))]);
        let dockerfile = parse(text).unwrap().with_arguments(Arc::new(given)).unwrap();
        assert_eq!(dockerfile.workdir(&dockerfile.stages()[0]), Some(Ok("/b".to_owned())));
    }
}
