//! `unroot.toml`: what a repository tells the program once, so that nobody has to pass it as arguments.

mod observed;
mod probe;
mod resources;

pub use observed::ObservedEntry;
pub use probe::ProbeEntry;
pub use resources::{Amounts, Resources};

use crate::error::Error;
use crate::image::{KnownImages, Platform};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file's name, looked for in the root only.
pub const FILE_NAME: &str = "unroot.toml";

/// The uid written where neither the image nor the author names one: above 10000, so away from the accounts of hosts and distributions.
pub const DEFAULT_UID: u32 = 60096;

/// How old an answer about a tag may be: a day's work sees one, and the next morning asks again.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(12 * 60 * 60);

/// The whole configuration. Unknown keys are errors: a misspelt setting must not be ignored in silence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The uid for images without a known user. Default [`DEFAULT_UID`].
    pub uid: Option<u32>,
    /// Who decides which uid containers run as.
    pub profile: Profile,
    /// What the final stage of a split build is started from. Each recipe has a base of its own where this is not set.
    pub final_base: Option<FinalBase>,
    /// Transforms that are never run, by id.
    pub skip: Vec<String>,
    /// Paths left alone, as patterns of ignore files.
    pub exclude: Vec<String>,
    /// Which Dockerfile builds which image, where names do not tell.
    #[serde(rename = "link")]
    pub links: Vec<LinkEntry>,
    /// Kinds of object that hold pod specs, beside those that are known.
    #[serde(rename = "kind")]
    pub kinds: Vec<KindEntry>,
    /// What is known of images beyond the program's own table, in rows of the same form.
    #[serde(rename = "image")]
    pub images: KnownImages,
    /// What running the containers showed.
    pub observed: Vec<ObservedEntry>,
    /// The platform that images are pinned for, where not for all that their tags stand for.
    #[serde(deserialize_with = "platform")]
    pub platform: Option<Platform>,
    /// Whether the values of Helm charts are pinned, where they have a key for the digest.
    pub pin_helm_values: bool,
    /// What containers are given that say nothing of resources. Without it none is written.
    pub resources: Option<Resources>,
    /// Whether the nodes of the cluster can give pods users of their own (`hostUsers: false`), which no file shows: Kubernetes 1.33, Linux 6.3, and a
    /// runtime and filesystems that map users (<https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/>).
    pub user_namespaces: bool,
    /// How answers are kept between runs.
    pub cache: CacheEntry,
    /// What `unroot prove` asks the applications, beside the probes of their manifests.
    #[serde(rename = "probe")]
    pub probes: Vec<ProbeEntry>,
    /// Settings per registry host (`docker.io`, `ghcr.io`, `localhost:5000`).
    #[serde(rename = "registry")]
    pub registries: BTreeMap<String, RegistryEntry>,
}

/// Who decides which uid containers run as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The manifests: they ask for the uid and gid that the image was made for.
    #[default]
    Owned,
    /// The cluster: it gives each namespace uids of its own, always in group 0, and a fsGroup for its volumes, and refuses what manifests ask for, as
    /// OpenShift does (<https://docs.redhat.com/en/documentation/openshift_container_platform/4.17/html/authentication_and_authorization/managing-pod-security-policies>).
    ArbitraryUid,
}

/// What the final stage of a split build is started from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FinalBase {
    /// Nothing but what is copied into it
    Scratch,
    /// An image of the distroless project: no shell and no package manager
    Distroless,
    /// The `-slim` variant of the image that the file is built on
    Slim,
    /// The image that the file is built on
    Keep,
}

impl FinalBase {
    /// The word for it in `unroot.toml` and arguments.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scratch => "scratch",
            Self::Distroless => "distroless",
            Self::Slim => "slim",
            Self::Keep => "keep",
        }
    }
}

/// One `[[link]]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkEntry {
    /// The image as manifests name it; a tag or digest is not compared unless it is written here.
    pub image: String,
    /// The Dockerfile, relative to the root.
    pub dockerfile: String,
    /// The stage that is built, where it is not the last one.
    pub target: Option<String>,
    /// The build context, relative to the root, where it is not the nearest directory that has what the Dockerfile copies.
    pub context: Option<String>,
}

/// One `[[kind]]` table. A kind with several pod specs has several of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindEntry {
    /// The part of `apiVersion` before the slash.
    pub group: String,
    /// `kind`
    pub kind: String,
    /// The path from the object to its pod spec: keys with dots between them; `*` is every item of a list or every value of a mapping.
    pub pod_spec: String,
}

/// The `[cache]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheEntry {
    /// How old an answer about a tag may be before the registry is asked again. What a digest names never changes.
    #[serde(deserialize_with = "span")]
    pub max_age: Duration,
}

impl Default for CacheEntry {
    fn default() -> Self {
        Self { max_age: DEFAULT_MAX_AGE }
    }
}

/// `30m`, `12h`, `7d`, or `0`.
fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let written = String::deserialize(deserializer)?;
    let digits = written.trim_end_matches(|c: char| !c.is_ascii_digit());
    let seconds = match &written[digits.len()..] {
        "" if digits == "0" => Some(0),
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(60 * 60),
        "d" => Some(24 * 60 * 60),
        _ => None,
    };
    let number = digits.parse::<u32>().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
    let span = number.zip(seconds).map(|(number, seconds)| Duration::from_secs(u64::from(number) * seconds));
    span.ok_or_else(|| D::Error::custom(format!("{written:?} is no time; write it as in \"30m\", \"12h\" or \"7d\"")))
}

/// One `[registry."host"]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryEntry {
    /// Ask this host, with an optional path prefix, instead.
    pub mirror: Option<String>,
    /// Speak HTTP without TLS.
    pub plain_http: bool,
    /// A file of certificates in the PEM form that vouch for the host, relative to the root.
    pub ca: Option<PathBuf>,
}

impl Config {
    /// Reads `unroot.toml` below `root`; the default configuration when there is none.
    ///
    /// # Errors
    /// [`Error::Config`] with line and column when the file cannot be read or says something that has no meaning.
    pub fn load(root: &Path) -> Result<Self, Error> {
        let path = root.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::Config { path, message: error.to_string() }),
        };
        Self::parse(&text).map_err(|message| Error::Config { path, message })
    }

    /// The configuration that a text is.
    ///
    /// # Errors
    /// Line and column, and what has no meaning.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        config.kinds.iter().try_for_each(KindEntry::check)?;
        config.observed.iter().try_for_each(ObservedEntry::check)?;
        config.registries.iter().try_for_each(|(host, entry)| entry.check(host))?;
        config.probes.iter().try_for_each(ProbeEntry::check)?;
        match config.uid {
            Some(0) => Err("uid = 0 is root; choose a uid above 0".to_owned()),
            // Linux keeps the highest value for "no change", and Kubernetes takes signed 32-bit values.
            Some(uid) if uid > i32::MAX as u32 => {
                Err(format!("uid = {uid} is above the highest uid Kubernetes accepts (2147483647)"))
            }
            _ => Ok(config),
        }
    }

    /// The uid for images without a known user.
    pub fn uid(&self) -> u32 {
        self.uid.unwrap_or(DEFAULT_UID)
    }
}

impl RegistryEntry {
    /// A login does not belong into a file that is committed, nor a scheme or a path that leads elsewhere into an address.
    fn check(&self, host: &str) -> Result<(), String> {
        let letters = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let is_host = |text: &str| letters(text, ".-:[]");
        let is_path = |text: &str| text.split('/').all(|part| letters(part, "._-") && !part.starts_with('.'));
        if !is_host(host) {
            return Err(format!("[registry.{host:?}] is not named by a host and, where it needs one, a port"));
        }
        if host.ends_with(".docker.io") {
            return Err(format!(
                "[registry.{host:?}] is of no effect: that registry is called docker.io in references"
            ));
        }
        let Some(mirror) = &self.mirror else { return Ok(()) };
        let trimmed = mirror.trim_end_matches('/');
        let (mirror_host, path) = trimmed.split_once('/').map_or((trimmed, None), |(host, path)| (host, Some(path)));
        if is_host(mirror_host) && path.is_none_or(is_path) {
            return Ok(());
        }
        // What was written may hold a password.
        Err(format!("the mirror of [registry.{host:?}] is not host[:port][/path]: no scheme, no user and no password"))
    }
}

impl KindEntry {
    fn check(&self) -> Result<(), String> {
        let Self { group, kind, pod_spec } = self;
        if group.contains('/') {
            return Err(format!("group = {group:?} holds more than a group; leave the version out"));
        }
        if kind.is_empty() || pod_spec.split('.').any(str::is_empty) {
            return Err(format!(
                "kind = {kind:?}, pod_spec = {pod_spec:?}: name a kind and a path such as spec.template.spec"
            ));
        }
        Ok(())
    }
}

fn platform<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Platform>, D::Error> {
    let written = String::deserialize(deserializer)?;
    written.parse().map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_links_and_registries() {
        let config = Config::parse(
            "uid = 12345\n[[link]]\nimage = \"web\"\ndockerfile = \"app/Dockerfile\"\n[registry.\"docker.io\"]\nmirror = \"127.0.0.1:5000\"\nplain_http = true\n",
        )
        .unwrap();
        assert_eq!(config.uid(), 12345);
        assert_eq!(config.links[0].dockerfile, "app/Dockerfile");
        assert!(config.registries["docker.io"].plain_http);
    }

    #[test]
    fn a_mirror_is_a_host_and_a_path() {
        let parse = |host: &str, mirror: &str| {
            Config::parse(&format!("[registry.{host:?}]\nmirror = {mirror:?}\nca = \"certs/ca.pem\"\n"))
        };
        for mirror in ["cache:80", "cache.example/hub", "[::1]:5000/a/b_c", "127.0.0.1:5000/docker.io/"] {
            assert!(parse("docker.io", mirror).is_ok(), "{mirror}");
        }
        for mirror in [
            "",
            "/",
            "https://cache",
            "lab:s3cret@cache",
            "cache/../x",
            "cache//x",
            "my cache",
            "cache?x",
            "cache/\u{e9}",
        ] {
            let error = parse("docker.io", mirror).unwrap_err();
            assert!(error.contains("docker.io") && !error.contains("s3cret"), "{mirror}: {error}");
        }
        assert!(parse("https://docker.io", "cache").is_err());
        assert!(parse("index.docker.io", "cache").unwrap_err().contains("is called docker.io"));
    }

    #[test]
    fn a_final_base_is_one_of_four_words() {
        for base in [FinalBase::Scratch, FinalBase::Distroless, FinalBase::Slim, FinalBase::Keep] {
            let config = Config::parse(&format!("final_base = {:?}\n", base.as_str())).unwrap();
            assert_eq!(config.final_base, Some(base));
        }
        assert!(Config::parse("final_base = \"alpine\"\n").unwrap_err().contains("distroless"));
    }

    #[test]
    fn a_platform_is_named_as_registries_do() {
        assert_eq!(Config::parse("platform = \"linux/arm/v7\"").unwrap().platform.unwrap().to_string(), "linux/arm/v7");
        assert!(Config::parse("platform = \"arm64\"").unwrap_err().contains("linux/arm64"));
    }

    #[test]
    fn an_age_is_a_number_with_a_unit() {
        let age = |written: &str| {
            Config::parse(&format!("[cache]\nmax_age = {written:?}\n")).map(|config| config.cache.max_age)
        };
        for (written, seconds) in [("0", 0), ("90s", 90), ("30m", 1800), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(age(written), Ok(Duration::from_secs(seconds)), "{written}");
        }
        for wrong in ["", "12", "h", "-1h", "1.5h", "12 h", "12H", "é", "1é", "99999999999d"] {
            let error = age(wrong).unwrap_err();
            assert!(error.contains("line 2") && error.contains("as in"), "{wrong}: {error}");
        }
        assert_eq!(Config::parse("").unwrap().cache.max_age, DEFAULT_MAX_AGE);
    }

    #[test]
    fn a_probe_is_a_request_to_a_service() {
        let parse = |service: &str, path: &str, more: &str| {
            Config::parse(&format!("[[probe]]\nservice = {service:?}\npath = {path:?}\n{more}"))
        };
        let config =
            parse("web:80", "/words?n=1", "method = \"POST\"\nheaders = { Accept = \"text/plain\" }\n").unwrap();
        assert_eq!((config.probes[0].place(), config.probes[0].status), (Ok(("web", 80)), 200));
        for (service, path, more) in [
            ("web", "/", ""),
            ("web:http", "/", ""),
            ("web:80", "healthz", ""),
            ("web:80", "/a b", ""),
            ("web:80", "/", "method = \"GET /\"\n"),
            ("web:80", "/", "headers = { \"X: y\" = \"z\" }\n"),
            ("web:80", "/", "headers = { X = \"y\\r\\nZ: a\" }\n"),
        ] {
            assert!(parse(service, path, more).unwrap_err().contains("[[probe]]"), "{service} {path} {more}");
        }
    }

    #[test]
    fn a_misspelt_key_is_an_error_that_names_it() {
        let error = Config::parse("udi = 5\n").unwrap_err();
        assert!(error.contains("udi") && error.contains("line 1"), "{error}");
    }

    #[test]
    fn a_kind_that_cannot_be_found_is_an_error() {
        let parse = |group: &str, kind: &str, path: &str| {
            Config::parse(&format!("[[kind]]\ngroup = \"{group}\"\nkind = \"{kind}\"\npod_spec = \"{path}\"\n"))
        };
        let config = parse("example.com", "App", "spec.jobs.*.template.spec").unwrap();
        assert_eq!(config.kinds[0].pod_spec, "spec.jobs.*.template.spec");
        assert!(parse("example.com/v1", "App", "spec").unwrap_err().contains("version"));
        for (kind, path) in [("", "spec"), ("App", ""), ("App", "spec..spec"), ("App", ".spec")] {
            assert!(parse("example.com", kind, path).unwrap_err().contains("spec.template.spec"), "{kind} {path}");
        }
    }

    #[test]
    fn an_impossible_amount_is_an_error_that_says_where() {
        let error = Config::parse("uid = 5\n[resources]\nlimits.memory = \"1 GB\"\n").unwrap_err();
        assert!(error.contains("line 2") && error.contains("resources.limits.memory"), "{error}");
    }

    #[test]
    fn root_and_impossible_uids_are_refused() {
        assert!(Config::parse("uid = 0").unwrap_err().contains("root"));
        assert!(Config::parse("uid = 4000000000").unwrap_err().contains("highest"));
    }
}
