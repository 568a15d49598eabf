//! What builds give for the arguments of a Dockerfile: compose files, skaffold and build commands, each of which is one build.

use crate::dockerfile::{Given, GivenArguments};
use crate::repository::FileId;
use crate::yaml::Node;
use std::collections::{BTreeMap, BTreeSet};

/// One build of a Dockerfile: what it gives, `None` where the value is not known.
pub(super) type Build = (FileId, BTreeMap<String, Option<String>>);

/// What all known builds of each Dockerfile have in common.
pub(super) fn of(builds: &[Build]) -> BTreeMap<FileId, GivenArguments> {
    let files: BTreeSet<FileId> = builds.iter().filter(|(_, given)| !given.is_empty()).map(|(file, _)| *file).collect();
    let of_file = |file: FileId| {
        let all: Vec<_> = builds.iter().filter(|(other, _)| *other == file).map(|(_, given)| given).collect();
        let names: BTreeSet<&String> = all.iter().flat_map(|given| given.keys()).collect();
        let given = names.into_iter().map(|name| {
            let values: BTreeSet<Option<String>> = all.iter().filter_map(|given| given.get(name)).cloned().collect();
            let always = all.iter().all(|given| given.contains_key(name));
            let only = values.first().cloned().flatten().filter(|_| always && values.len() == 1);
            (name.clone(), only.map_or(Given::Sometimes(values), Given::Always))
        });
        (file, given.collect())
    };
    files.into_iter().map(of_file).collect()
}

/// Arguments under a key, as a mapping or a list of `NAME=value`.
pub(super) fn under(build: Option<Node<'_>>, key: &str) -> BTreeMap<String, Option<String>> {
    let Some(arguments) = build.and_then(|build| build.get(key)).map(Node::resolved) else { return BTreeMap::new() };
    let of_mapping = arguments.entries().filter_map(|(name, value)| {
        let value = value.resolved();
        let text =
            (!value.is_null()).then(|| value.as_str().map_or_else(|| value.raw().to_owned(), |text| text.into_owned()));
        Some((name.as_str()?.into_owned(), text.filter(|text| is_known(text))))
    });
    let of_list = arguments.items().filter_map(Node::as_str).map(|word| of_word(&word));
    of_mapping.chain(of_list).collect()
}

/// `NAME=value`, or the name alone where the environment has the value.
pub(super) fn of_word(word: &str) -> (String, Option<String>) {
    match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned()).filter(|value| is_known(value))),
        None => (word.to_owned(), None),
    }
}

/// Whether nothing stands in a value that something else fills in.
fn is_known(value: &str) -> bool {
    !value.contains(['$', '`']) && !value.contains("{{")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    #[test]
    fn arguments_of_a_service_in_both_forms() {
        let read = |text: &str| {
            let stream = yaml::parse(text.to_owned()).unwrap();
            under(stream.documents().next().unwrap().root(), "args")
        };
        let pair = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let mapping = read("args:\n  A: one\n  B: 22\n  C: ${C}\n  D:\n");
        assert_eq!(mapping, [pair("A", Some("one")), pair("B", Some("22")), pair("C", None), pair("D", None)].into());
        let list = read("args:\n- A=one\n- B\n- C=$C\n");
        assert_eq!(list, [pair("A", Some("one")), pair("B", None), pair("C", None)].into());
    }
}
