//! Which standard a pod is held to: a level, and the version of Kubernetes that defines it.

use std::fmt;
use std::str::FromStr;

/// The newest minor version of Kubernetes 1 whose changes to the standards are known here.
pub(super) const NEWEST: u32 = 37;

/// A level of the Pod Security Standards, from the weakest to the strictest
/// (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Everything is allowed.
    Privileged,
    /// Known ways to more privilege are forbidden.
    Baseline,
    /// Only what is hardened is allowed.
    Restricted,
}

impl Level {
    /// From the weakest to the strictest.
    pub const ALL: [Self; 3] = [Self::Privileged, Self::Baseline, Self::Restricted];

    /// The name that the namespace label `pod-security.kubernetes.io/enforce` uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Level {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        let level = Self::ALL.into_iter().find(|level| level.name() == text);
        level.ok_or_else(|| InvalidPolicy::Level(text.to_owned()))
    }
}

/// The version of Kubernetes whose standards are meant: `1.N`, or the newest that is known. Versions are in order; the latest comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(Minor);

/// The derived order puts the latest behind every number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Minor {
    Number(u32),
    Latest,
}

impl Version {
    /// The newest that is known.
    pub const LATEST: Self = Self(Minor::Latest);

    /// Kubernetes 1.`minor`.
    pub fn minor(minor: u32) -> Self {
        Self(Minor::Number(minor))
    }

    /// The minor version that is judged by. A version newer than all that are known means the newest, as in the API server
    /// (`policy/registry.go`).
    pub(super) fn known_minor(self) -> u32 {
        match self.0 {
            Minor::Number(minor) => minor.min(NEWEST),
            Minor::Latest => NEWEST,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Minor::Number(minor) => write!(f, "1.{minor}"),
            Minor::Latest => f.write_str("latest"),
        }
    }
}

impl FromStr for Version {
    type Err = InvalidPolicy;

    /// Reads `1.37`, `v1.37` and `latest`.
    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        if text == "latest" {
            return Ok(Self::LATEST);
        }
        let minor = text.strip_prefix('v').unwrap_or(text).strip_prefix("1.");
        // As the label `pod-security.kubernetes.io/enforce-version` is read (`api/helpers.go`): no sign and no leading zero.
        let minor = minor.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let minor = minor.filter(|digits| *digits == "0" || !digits.starts_with('0'));
        let minor = minor.and_then(|digits| digits.parse().ok());
        minor.map(Self::minor).ok_or_else(|| InvalidPolicy::Version(text.to_owned()))
    }
}

/// A level of the standards in a version of them. Written `restricted@1.37`; without a version the latest is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The level.
    pub level: Level,
    /// The version.
    pub version: Version,
}

/// Restricted, in the latest version.
impl Default for Policy {
    fn default() -> Self {
        Self { level: Level::Restricted, version: Version::LATEST }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.level, self.version)
    }
}

impl FromStr for Policy {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        let (level, version) = match text.split_once('@') {
            Some((level, version)) => (level, version.parse()?),
            None => (text, Version::LATEST),
        };
        Ok(Self { level: level.parse()?, version })
    }
}

/// A text that names no level or no version of the standards.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// The level.
    #[error("{0:?} is no level of the Pod Security Standards; expected privileged, baseline or restricted")]
    Level(String),
    /// The version.
    #[error("{0:?} is no version of the Pod Security Standards; expected latest or 1.N, such as 1.{NEWEST}")]
    Version(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_printed() {
        for (text, printed) in [
            ("restricted@1.37", "restricted@1.37"),
            ("baseline@v1.0", "baseline@1.0"),
            ("privileged@latest", "privileged@latest"),
            ("restricted", "restricted@latest"),
            ("restricted@1.4294967295", "restricted@1.4294967295"),
        ] {
            assert_eq!(text.parse::<Policy>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn what_is_no_policy_says_what_was_seen() {
        for text in ["", "Restricted", "strict@1.37", " baseline"] {
            let message = text.parse::<Policy>().unwrap_err().to_string();
            let seen = text.split('@').next().unwrap_or_default();
            assert!(message.starts_with(&format!("{seen:?} is no level")), "{message}");
        }
        for version in ["", "1", "1.", "2.0", "1.07", "1.-1", "1.+1", "1.37.0", "vv1.1", "Latest", "1.4294967296"] {
            let message = format!("restricted@{version}").parse::<Policy>().unwrap_err().to_string();
            assert_eq!(
                message,
                format!(
                    "{version:?} is no version of the Pod Security Standards; expected latest or 1.N, such as 1.37"
                )
            );
        }
    }

    #[test]
    fn levels_and_versions_are_in_order() {
        assert!(Level::ALL.is_sorted());
        assert!(Version::minor(9) < Version::minor(10) && Version::minor(u32::MAX) < Version::LATEST);
        assert_eq!(Version::minor(99).known_minor(), Version::LATEST.known_minor());
    }
}
