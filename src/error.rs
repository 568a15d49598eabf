//! How things end: an [`Error`] stops the run; every finding ends in an [`Outcome`]; declining has a [`SkipReason`].

use crate::source::Position;
use regex::Regex;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::sync::LazyLock;

/// The run cannot go on. Printed as one line; the process exits with 2.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path given by the user cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The path as the user gave it.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A configuration file is not what it should be.
    #[error("{}: {message}", path.display())]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// What was seen and what is expected, with line and column.
        message: String,
    },
    /// A lock is not what it should be.
    #[error("{}:{position}: {message}", path.display())]
    Lock {
        /// The lock.
        path: PathBuf,
        /// Where in it.
        position: Position,
        /// What was seen and what is expected.
        message: String,
    },
    /// An argument that only the program can judge, such as an unknown transform id.
    #[error("{0}")]
    Usage(String),
    /// A proof could not be carried out.
    #[error("{0}")]
    Prove(String),
    /// Writing failed; everything already written was put back.
    #[error("{0}")]
    Write(String),
}

/// Licence to apply a change, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applicability {
    /// Shown to a person, never applied.
    DisplayOnly,
    /// Behaviour may change; applied with `--unsafe` only.
    Unsafe,
    /// The facts prove it; applied by default.
    Safe,
}

/// How one finding ended. The four kinds are the four totals of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Changed by this run.
    Fixed {
        /// How sure the facts made us.
        applicability: Applicability,
        /// What was changed and on which facts, one line.
        detail: String,
    },
    /// Nothing to do: it already is as it should be.
    AlreadyRight {
        /// What was seen, one line.
        detail: String,
    },
    /// Left alone.
    Skipped {
        /// The stable code.
        reason: SkipReason,
        /// What was seen and what would help, one line.
        detail: String,
    },
    /// Left alone, and only a person can settle it.
    NeedsPerson {
        /// The stable code.
        reason: SkipReason,
        /// What was seen and what to decide, one line.
        detail: String,
    },
}

/// One thing a transform looked at, and how that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Id of the transform.
    pub transform: &'static str,
    /// The file, relative to the root, with `/`.
    pub path: String,
    /// Where in the file as it was before the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// What was looked at: `stage build`, `Deployment/web container app`, `FROM node:20`.
    pub subject: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

macro_rules! skip_reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $code:literal, $person:literal;)+) => {
        /// Why something was declined. The codes are stable: scripts and suppressions may rely on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum SkipReason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl SkipReason {
            /// All reasons, in the order of their definition.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable code, in kebab case.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            /// Whether only a person can settle it.
            pub fn needs_person(self) -> bool {
                match self { $(Self::$name => $person),+ }
            }

            /// One sentence on what the code means.
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii_start()),+ }
            }
        }
    };
}

skip_reasons! {
    /// Behaviour may change; `--unsafe` applies it.
    Unsafe => "unsafe", false;
    /// A suppression comment or the configuration asks to leave it.
    Suppressed => "suppressed", false;
    /// `--offline` was given.
    Offline => "offline", false;
    /// `--locked` was given, and `unroot.lock` does not have the image.
    NotLocked => "not-locked", false;
    /// The registry could not be asked.
    RegistryUnreachable => "registry-unreachable", false;
    /// The registry answered, but not with a digest.
    RegistryRefused => "registry-refused", false;
    /// The digest is that of one platform's image, while its tag stands for several platforms.
    PlatformDigest => "platform-digest", true;
    /// The image is for another platform than the one that `--platform` names.
    OtherPlatform => "other-platform", false;
    /// A build context of this name takes the image's place.
    NamedContext => "named-context", false;
    /// The image is built from a Dockerfile of this tree, so no registry knows its digest yet.
    LocallyBuilt => "locally-built", false;
    /// Variables stand in the reference; a digest beside them would make them ineffective.
    VariableReference => "variable-reference", false;
    /// The reference is a placeholder or not an image reference.
    InvalidReference => "invalid-reference", false;
    /// A kustomization sets the image's tag or digest, and would override one written here.
    KustomizeImages => "kustomize-images", false;
    /// A chart's values do not name the whole image, or the chart is not seen to use a digest.
    ChartValues => "chart-values", false;
    /// More than one Dockerfile could build the image; name one in `unroot.toml`.
    AmbiguousLink => "ambiguous-link", true;
    /// No numeric user is known for the image.
    UnknownUser => "unknown-user", true;
    /// The language or framework is not one whose needs are known.
    UnknownStack => "unknown-stack", false;
    /// Something in the image or manifest needs root.
    NeedsRoot => "needs-root", true;
    /// The pod does its work on its node, and would lose it.
    WorksOnNode => "works-on-node", true;
    /// A port below 1024 cannot be relied on without root.
    LowPort => "low-port", true;
    /// The author chose a value that contradicts the change.
    AuthorChoice => "author-choice", true;
    /// A volume's ownership is not known to suit the new user.
    VolumeOwnership => "volume-ownership", true;
    /// Files the program needs lie where only root can reach them.
    RootHome => "root-home", true;
    /// A parameter decides what the change depends on, and its value is given elsewhere.
    Parameter => "parameter", true;
    /// A command whose effect is not known stands in the way.
    UnaccountedCommand => "unaccounted-command", false;
    /// The source of an `ADD` is not seen; it may be an archive, which only `ADD` unpacks.
    UnseenSource => "unseen-source", false;
    /// No build step can be separated from what runs.
    NoBuildStep => "no-build-step", false;
    /// Other stages are built from this one and would inherit the change.
    SharedStage => "shared-stage", true;
    /// The base that `final_base` asks for cannot run the program, or no recipe for its language ends on it.
    FinalBase => "final-base", false;
    /// Another server would answer in place of the one that the author chose.
    ServerReplaced => "server-replaced", false;
    /// A server for development is started; what it would serve once built is not known.
    DevelopmentServer => "development-server", true;
    /// The base that the final stage would be started from is no longer maintained.
    RetiredBase => "retired-base", false;
    /// The program may read files or start programs that the smaller image would not hold.
    RunTimeInputs => "run-time-inputs", false;
    /// The manifest starts something that the smaller image would not hold.
    ManifestOverride => "manifest-override", false;
    /// The final image has no shell to run the needed command.
    NoShell => "no-shell", false;
    /// The directory is shared with the system, so its ownership is left alone.
    SystemDirectory => "system-directory", true;
    /// The program writes somewhere in its image while it runs, or nobody can tell that it does not.
    RunTimeWrites => "run-time-writes", false;
    /// A directory that is written holds files of the image, which a volume would hide.
    ImageFills => "image-fills", false;
    /// Another change this one depends on was not made.
    DependsOnSkipped => "depends-on-skipped", false;
    /// The text could not be edited without risk; the message names the engine's code.
    NotEditable => "not-editable", true;
    /// The pod's service account was chosen, or given something, for a purpose.
    AccountInUse => "account-in-use", false;
    /// A program of the pod talks to the Kubernetes API, or may.
    ApiClient => "api-client", false;
    /// Something of the pod does not work in a user namespace, or is not known to.
    UserNamespace => "user-namespace", true;
    /// A variable of the image looks like a secret.
    SecretInImage => "secret-in-image", true;
    /// The pod is a Windows pod, where these fields are rejected.
    WindowsPod => "windows-pod", false;
    /// The change did not prove to be what was planned and was dropped. A defect of this program: please report it.
    Internal => "internal", true;
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for SkipReason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl Outcome {
    /// Its one line.
    pub fn detail(&self) -> &str {
        match self {
            Self::Fixed { detail, .. }
            | Self::AlreadyRight { detail }
            | Self::Skipped { detail, .. }
            | Self::NeedsPerson { detail, .. } => detail,
        }
    }

    /// The same outcome with another line.
    pub(crate) fn with_detail(mut self, new: String) -> Self {
        match &mut self {
            Self::Fixed { detail, .. }
            | Self::AlreadyRight { detail }
            | Self::Skipped { detail, .. }
            | Self::NeedsPerson { detail, .. } => *detail = new,
        }
        self
    }

    /// Declines with `reason`; the reason decides whether a person is needed.
    pub fn declined(reason: SkipReason, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        if reason.needs_person() { Self::NeedsPerson { reason, detail } } else { Self::Skipped { reason, detail } }
    }
}

static USER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"://[^/\s"'`]*@"#).ok());
static QUERY: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(://[^\s"'`?]*\?)[^\s"'`]+"#).ok());

/// A line without what may be secret in its addresses: user and password, and what follows a question mark.
pub(crate) fn without_credentials(line: &str) -> String {
    let (Some(user), Some(query)) = (USER.as_ref(), QUERY.as_ref()) else { return String::new() };
    query.replace_all(&user.replace_all(line, "://…@"), "${1}…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_without_credentials() {
        let told = without_credentials("ADD https://ann:pass@example.com/a.tar?token=abc /srv");
        assert_eq!(told, "ADD https://…@example.com/a.tar?… /srv");
        assert_eq!(without_credentials("`curl http://h/x?a=b&c=d -o x`"), "`curl http://h/x?… -o x`");
        for line in ["ADD a@b:c /d", "https://example.com/a@b", "is it?"] {
            assert_eq!(without_credentials(line), line);
        }
    }
}
