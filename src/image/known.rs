//! The table of well-known images, `known.toml`, and how an image finds its row.

use super::Reference;
use serde::Deserialize;
use std::sync::LazyLock;

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownImage {
    /// The repository; official images of docker.io by their short name.
    pub name: String,
    /// The row holds only for tags that contain this word.
    pub tag: Option<String>,
    /// What it is made of.
    pub family: Family,
    /// The image's own USER, where it is not root.
    pub user: Option<Ids>,
    /// A non-root account the image brings for applications.
    pub account: Option<Account>,
    /// What the entrypoint steps down to from root, and runs as when started as that user.
    pub service: Option<Ids>,
    /// Ports of the default command.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// How a claim may be mounted for the service's user.
    pub claim: Option<Claim>,
    /// The variable that names the data directory, for programs that must own it: set to a folder below the mount, a claim is fine.
    pub data_variable: Option<String>,
    /// Where all that is written.
    pub source: String,
}

/// A numeric user and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ids {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A named account of an image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name in `/etc/passwd`.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Id of its primary group.
    pub gid: u32,
}

/// What an image is made of, as far as commands in it are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Debian or Ubuntu: `useradd`, `apt-get`.
    Debian,
    /// Alpine: `adduser` of BusyBox, `apk`, musl.
    Alpine,
    /// No shell and no commands.
    Distroless,
    /// A shell, but of another distribution.
    Other,
}

impl Family {
    /// Whether a shell-form RUN can work.
    pub fn has_shell(self) -> bool {
        self != Self::Distroless
    }
}

/// How a claim may be mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// `fsGroup` is enough.
    Group,
    /// The program refuses files that a group may write, or must own the mount itself.
    Never,
}

/// The row of an image, or `None` when nothing is known: no row, or a reference by digest alone, whose variant cannot be told.
pub fn known_image(reference: &Reference) -> Option<&'static KnownImage> {
    if reference.tag().is_none() && reference.digest().is_some() {
        return None;
    }
    let tag = reference.tag().unwrap_or("latest");
    row(&name_of(reference)).find(|row| row.tag.as_deref().is_none_or(|word| tag.contains(word)))
}

/// Whether the table holds an image of this name (no tag), as written in a reference.
pub fn is_well_known(name: &str) -> bool {
    Reference::parse(name).is_ok_and(|reference| row(&name_of(&reference)).next().is_some())
}

fn row(name: &str) -> impl Iterator<Item = &'static KnownImage> {
    TABLE.iter().filter(move |row| row.name == name)
}

/// The short name of an official image, also when it comes through one of the public copies; else the whole repository.
fn name_of(reference: &Reference) -> String {
    let (registry, repository) = (reference.registry(), reference.repository());
    let official = match registry {
        "docker.io" | "mirror.gcr.io" => repository.strip_prefix("library/"),
        "public.ecr.aws" => repository.strip_prefix("docker/library/"),
        _ => None,
    };
    match official {
        Some(name) => name.to_owned(),
        None if registry == "docker.io" => repository.to_owned(),
        None => format!("{registry}/{repository}"),
    }
}

static TABLE: LazyLock<Vec<KnownImage>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Table {
        image: Vec<KnownImage>,
    }
    // The text is part of the program; a test parses it.
    toml::from_str::<Table>(include_str!("known.toml")).map(|table| table.image).unwrap_or_default()
});

#[cfg(test)]
mod tests {
    use super::*;

    fn known(reference: &str) -> Option<&'static KnownImage> {
        known_image(&Reference::parse(reference).unwrap())
    }

    #[test]
    fn the_table_parses_and_each_row_can_be_reached() {
        assert!(TABLE.len() > 20);
        for (index, row) in TABLE.iter().enumerate() {
            let hidden = TABLE[..index]
                .iter()
                .any(|earlier| earlier.name == row.name && (earlier.tag.is_none() || earlier.tag == row.tag));
            assert!(!hidden, "an earlier row hides {} {:?}", row.name, row.tag);
            assert!(row.source.starts_with("https://"), "{}", row.name);
        }
    }

    #[test]
    fn variants_have_rows_of_their_own() {
        assert_eq!(known("redis:7").unwrap().service, Some(Ids { uid: 999, gid: 999 }));
        assert_eq!(known("docker.io/library/redis:7-alpine").unwrap().service, Some(Ids { uid: 999, gid: 1000 }));
        assert_eq!(
            known("gcr.io/distroless/static-debian13:nonroot").unwrap().user,
            Some(Ids { uid: 65532, gid: 65532 })
        );
        assert_eq!(known("gcr.io/distroless/static-debian13").unwrap().user, None);
    }

    #[test]
    fn what_cannot_be_told_is_not_known() {
        assert_eq!(known("registry.example/redis:7"), None);
        assert_eq!(known(&format!("redis@sha256:{}", "0".repeat(64))), None);
        assert!(is_well_known("mysql"));
        assert!(!is_well_known("shop/mysql"));
    }
}
