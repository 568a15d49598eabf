//! Ranges of versions, and what the tag of an image tells of its version.

use serde::Deserialize;

/// Versions from one release on, below another, or both: `>=1.25, <2`. A bound names a release that exists, because a tag of fewer parts stands for
/// the newest release it covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Versions {
    from: Option<Version>,
    below: Option<Version>,
}

/// Whether the image behind a tag is of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Inside,
    Outside,
    /// The tag may stand for any version.
    Unknown,
}

/// Numbers from the most significant on, without zeros at the end.
type Version = Vec<u64>;

/// Words that docker-library moves with each release, so that a tag made of them is the newest version.
const MOVING: [&str; 9] = ["latest", "stable", "mainline", "lts", "alpine", "slim", "management", "apache", "fpm"];

impl Versions {
    /// Compares with the version at the start of a tag, `v` before it or not. `18` is every 18.x, of which it names the newest. A tag without a version
    /// is the newest release when all its words move; any other could be of any age.
    pub(super) fn fit(&self, tag: &str) -> Fit {
        let Some(after) = above(tag) else {
            return match (&self.from, &self.below) {
                (None, None) => Fit::Inside,
                _ if !tag.split('-').all(|word| MOVING.contains(&word)) => Fit::Unknown,
                (_, None) => Fit::Inside,
                (_, Some(_)) => Fit::Outside,
            };
        };
        let newest_is_from = self.from.as_ref().is_none_or(|from| *from < after);
        let newest_is_below = self.below.as_ref().is_none_or(|below| after <= *below);
        if newest_is_from && newest_is_below { Fit::Inside } else { Fit::Outside }
    }
}

impl TryFrom<String> for Versions {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("versions = {text:?} is not of the form `>=1.25`, `<2` or `>=1.25, <2`");
        let mut versions = Self::default();
        for bound in text.split(',').map(str::trim) {
            let (side, version) = if let Some(version) = bound.strip_prefix(">=") {
                (&mut versions.from, version)
            } else if let Some(version) = bound.strip_prefix('<') {
                (&mut versions.below, version)
            } else {
                return Err(wrong());
            };
            let numbers: Option<Version> = version.trim().split('.').map(|part| part.parse().ok()).collect();
            if side.replace(trimmed(numbers.ok_or_else(wrong)?)).is_some() {
                return Err(wrong());
            }
        }
        Ok(versions)
    }
}

/// The first version that is above all that a tag stands for: 1.26 for `1.25-alpine`. `None` without a version at the start of the tag.
fn above(tag: &str) -> Option<Version> {
    let tag = tag.strip_prefix('v').unwrap_or(tag);
    let end = tag.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(tag.len());
    let numbers = tag.get(..end)?.trim_end_matches('.');
    let mut version: Version = numbers.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let last = version.last_mut()?;
    *last = last.checked_add(1)?;
    Some(trimmed(version))
}

fn trimmed(mut version: Version) -> Version {
    while version.last() == Some(&0) {
        version.pop();
    }
    version
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(range: &str, tag: &str) -> Fit {
        Versions::try_from(range.to_owned()).unwrap().fit(tag)
    }

    #[test]
    fn both_sides_of_each_bound() {
        for (tag, expected) in [
            ("1.24.9", Fit::Outside),
            ("1.25.0", Fit::Inside),
            ("1.25", Fit::Inside),
            ("v1.25.3-alpine", Fit::Inside),
            ("1.99.0", Fit::Inside),
            ("2.0.0", Fit::Outside),
            ("2", Fit::Outside),
            ("10", Fit::Outside),
        ] {
            assert_eq!(fit(">=1.25, <2", tag), expected, "{tag}");
        }
        assert_eq!(fit("<2", "1.9"), Fit::Inside);
        assert_eq!(fit("<2", "2.0"), Fit::Outside);
        assert_eq!(fit(">=5.7.30", "5.7.29"), Fit::Outside);
        assert_eq!(fit(">=5.7.30", "5.7.30-debian"), Fit::Inside);
    }

    #[test]
    fn a_short_tag_is_the_newest_release_it_covers() {
        assert_eq!(fit(">=1.25", "1"), Fit::Inside);
        assert_eq!(fit("<1.25", "1"), Fit::Outside);
        assert_eq!(fit(">=5.7.30", "5.7"), Fit::Inside);
        assert_eq!(fit(">=5.7.30", "5.6"), Fit::Outside);
        assert_eq!(fit(">=2.0.0", "2.0"), Fit::Inside);
    }

    #[test]
    fn a_tag_without_a_version_is_the_newest_only_when_its_words_move() {
        for tag in ["latest", "alpine", "stable-alpine-slim", "management"] {
            assert_eq!(fit(">=6", tag), Fit::Inside, "{tag}");
            assert_eq!(fit("<6", tag), Fit::Outside, "{tag}");
        }
        for tag in ["stretch", "alpine3.10", "nightly", "release-7", "", "v", "99999999999999999999"] {
            assert_eq!(fit(">=6", tag), Fit::Unknown, "{tag}");
            assert_eq!(fit("<6", tag), Fit::Unknown, "{tag}");
        }
    }

    #[test]
    fn anything_else_is_no_range() {
        for text in ["", "1.25", "=1", ">1", "<=2", ">=", ">=1.x", ">=1, >=2", ">=1,", "<2 <3"] {
            assert!(Versions::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
