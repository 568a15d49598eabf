//! What builds are given for the arguments of a Dockerfile.

use super::Surroundings;
use crate::repository::FileId;
use std::collections::BTreeMap;

/// The arguments that compose services give to the build, with the value where it is one and known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BuildArguments(BTreeMap<String, Option<String>>);

impl BuildArguments {
    pub(super) fn of(around: Surroundings<'_>, file: FileId) -> Self {
        let mut given: BTreeMap<String, Option<String>> = BTreeMap::new();
        for (name, value) in around.links.services(file).flat_map(|service| &service.arguments) {
            let agreed = given.entry(name.clone()).or_insert_with(|| value.clone());
            if agreed != value {
                *agreed = None;
            }
        }
        Self(given)
    }

    /// `text` with `$NAME` and `${NAME}` of these arguments filled in; `None` where the value of one is not known.
    pub(super) fn fill(&self, text: &str) -> Option<String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            filled.push_str(before);
            let (name, end) = variable(after);
            match self.0.get(name) {
                Some(value) => filled.push_str(value.as_deref()?),
                None => {
                    filled.push('$');
                    filled.push_str(&after[..end]);
                }
            }
            rest = &after[end..];
        }
        filled.push_str(rest);
        Some(filled)
    }
}

/// The name of the variable that stands behind a `$`, and where it ends; empty where it is none, or is changed on the way (`${NAME:-x}`).
fn variable(text: &str) -> (&str, usize) {
    let end_of = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    match text.strip_prefix('{') {
        Some(inner) => {
            let end = end_of(inner);
            if inner[end..].starts_with('}') { (&inner[..end], end + 2) } else { ("", 0) }
        }
        None => (&text[..end_of(text)], end_of(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_the_build_are_filled_in() {
        let value = |text: &str| Some(text.to_owned());
        let arguments = BuildArguments(BTreeMap::from([
            ("user".to_owned(), value("www")),
            ("uid".to_owned(), value("1000")),
            ("other".to_owned(), None),
        ]));
        for (text, filled) in [
            ("$user", value("www")),
            ("${uid}:${gid}", value("1000:${gid}")),
            ("/home/$user", value("/home/www")),
            ("$username", value("$username")),
            ("${user:-x}", value("${user:-x}")),
            ("$", value("$")),
            ("$other", None),
            ("plain", value("plain")),
        ] {
            assert_eq!(arguments.fill(text), filled, "{text}");
        }
    }
}
