//! Which bases a final stage may still be started from: the table `lifetimes.toml`.

use super::Reference;
use super::known::name_of;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What is known of how long a base is maintained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It is built and updated.
    Maintained,
    /// It was given up on this day, `YYYY-MM-DD`.
    Ended(&'static str),
    /// Its version, which is for the author to move, was given up on this day.
    EndedVersion(&'static str),
    /// Nothing.
    Unknown,
}

impl Lifetime {
    /// Of a base, by its repository and tag.
    pub fn of(reference: &Reference) -> Self {
        let name = name_of(reference);
        let tag = reference.tag().unwrap_or("latest");
        let fits = |row: &&Row| row.name == name && row.tag.as_deref().is_none_or(|word| tag.contains(word));
        // Dates of this form compare as text.
        let is_over = |day: &&str| *day <= TABLE.as_of.as_str();
        let Some(row) = TABLE.base.iter().find(fits) else { return Self::Unknown };
        if let Some(day) = row.ends.as_deref().filter(is_over) {
            return Self::Ended(day);
        }
        let version = row.versions.iter().find(|(version, _)| is_of(tag, version));
        version.map(|(_, day)| day.as_str()).filter(is_over).map_or(Self::Maintained, Self::EndedVersion)
    }
}

/// Whether a tag is of a version or one of its releases: `18`, `18.19.0-alpine` and `18-slim` are of 18, `8u412` is of 8.
fn is_of(tag: &str, version: &str) -> bool {
    tag.strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_', 'u']))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    tag: Option<String>,
    ends: Option<String>,
    #[serde(default)]
    versions: BTreeMap<String, String>,
    #[allow(dead_code, reason = "for people who doubt the row")]
    source: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    as_of: String,
    base: Vec<Row>,
}

// The text is part of the program; a test parses it.
static TABLE: LazyLock<Table> = LazyLock::new(|| toml::from_str(include_str!("lifetimes.toml")).unwrap_or_default());

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn of(reference: &str) -> Lifetime {
        Lifetime::of(&Reference::parse(reference).unwrap())
    }

    #[test]
    fn the_table_is_sound() {
        let table: Table = toml::from_str(include_str!("lifetimes.toml")).unwrap();
        let is_day = |text: &str| {
            let parts: Vec<&str> = text.split('-').collect();
            parts.iter().map(|part| part.len()).eq([4, 2, 2]) && parts.iter().all(|part| part.parse::<u16>().is_ok())
        };
        assert!(is_day(&table.as_of));
        let mut seen = BTreeSet::new();
        for row in &table.base {
            let mut days = row.ends.iter().chain(row.versions.values());
            assert!(days.all(|day| is_day(day)), "{}", row.name);
            assert!(row.source.starts_with("https://"), "{}", row.name);
            assert_eq!(name_of(&Reference::parse(&row.name).unwrap()), row.name);
            let shadowed = seen.contains(&(&row.name, &None));
            assert!(!shadowed && seen.insert((&row.name, &row.tag)), "{} is never reached", row.name);
        }
    }

    #[test]
    fn what_was_given_up_is_not_maintained() {
        assert_eq!(of("gcr.io/distroless/static-debian13:nonroot"), Lifetime::Maintained);
        assert_eq!(of("gcr.io/distroless/nodejs22-debian13"), Lifetime::Maintained);
        assert_eq!(of("gcr.io/distroless/python3-debian12:nonroot"), Lifetime::Ended("2026-05-31"));
        assert_eq!(of("gcr.io/distroless/java11-debian12"), Lifetime::Ended("2026-02-28"));
        assert_eq!(of("debian:bookworm-slim"), Lifetime::Maintained);
        assert_eq!(of("debian:buster"), Lifetime::Ended("2024-06-30"));
        assert_eq!(of("debian:latest"), Lifetime::Unknown);
        assert_eq!(of("gcr.io/distroless/nodejs28-debian13"), Lifetime::Unknown);
        assert_eq!(of("public.ecr.aws/docker/library/node:22-slim"), Lifetime::Maintained);
    }

    #[test]
    fn the_version_of_a_language_is_that_of_its_tag() {
        assert_eq!(of("node:18.19.0-alpine"), Lifetime::EndedVersion("2025-04-30"));
        assert_eq!(of("python:3.9-slim"), Lifetime::EndedVersion("2025-10-31"));
        assert_eq!(of("mcr.microsoft.com/dotnet/sdk:8.0"), Lifetime::EndedVersion("2026-11-10"));
        for reference in ["node:1", "node:lts", "node:22", "python:3", "python:3.99", "eclipse-temurin:17-jre"] {
            assert_eq!(of(reference), Lifetime::Maintained, "{reference}");
        }
    }
}
