//! The table of well-known images, `known.toml` and the files beside it, the rows that `unroot.toml` adds to it, and how an image finds its row.

use super::Reference;
use super::versions::{Fit, Versions};
use serde::Deserialize;
use std::sync::LazyLock;

/// A row of the table. What each field means to a person is told in the head of `known.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownImage {
    /// The repository; official images of docker.io by their short name.
    pub name: String,
    /// Other repositories that the same is true of; empty once the table is read, where each has a row of its own.
    #[serde(default)]
    also: Vec<String>,
    /// The row holds only for tags that contain this word.
    pub tag: Option<String>,
    /// The row holds only for these versions.
    pub versions: Option<Versions>,
    /// What it is made of.
    pub family: Family,
    /// The image's own USER, where it is not root.
    pub user: Option<Ids>,
    /// A non-root account the image brings for applications.
    pub account: Option<Account>,
    /// What the entrypoint or the program's workers step down to from root; the image also starts as this user, wherever `ports` and `root_owned` let it.
    pub service: Option<Ids>,
    /// Capabilities, without `CAP_`, that the image uses as it is; started as `service` it needs none.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Why the program does its work as root only.
    pub root_only: Option<String>,
    /// Ports of the default command.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// The working directory, where it is not `/`.
    pub workdir: Option<String>,
    /// The VOLUME paths. Kubernetes gives them nothing of their own, as Docker does.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Other directories that the default command writes while it starts or serves, all of them; `None` when nobody wrote down which.
    pub writable: Option<Vec<String>>,
    /// Those of both that only root may write in the image: as `service` it starts only with a volume over each.
    #[serde(default)]
    pub root_owned: Vec<String>,
    /// Those of both that hold files of the image, which a volume would hide.
    #[serde(default)]
    pub filled: Vec<String>,
    /// A folder of templates that the entrypoint renders into another one.
    pub renders: Option<Renders>,
    /// How a claim may be mounted for the service's user.
    pub claim: Option<Claim>,
    /// The variable that names the data directory, for programs that must own it: set to a folder below the mount, a claim is fine.
    pub data_variable: Option<String>,
    /// Whether its program talks to the Kubernetes API; `None` where that depends on what it is given to do.
    pub api: Option<bool>,
    /// The end-to-end tests start a look-alike of the image under the settings that follow from the row.
    #[serde(default)]
    pub proved: bool,
    /// Where all that is written. Rows of `unroot.toml` may do without.
    pub source: Option<String>,
}

/// The table as one run sees it: the rows of `unroot.toml`, and below them those of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<KnownImage>")]
pub struct KnownImages {
    own: Vec<KnownImage>,
}

impl KnownImages {
    /// The row of an image. The first row whose word the tag contains tells the variant; of the rows of that variant, the first whose versions hold the
    /// tag's counts. `None` when nothing is known: no row, a tag that does not tell on which side of a bound it is, or a reference by digest alone, unless
    /// it is one of the distroless images, which are alike in all that a row tells.
    pub fn find(&self, reference: &Reference) -> Option<&KnownImage> {
        let name = name_of(reference);
        let is_distroless = name.starts_with(DISTROLESS);
        if reference.tag().is_none() && reference.digest().is_some() && !is_distroless {
            return None;
        }
        let tag = reference.tag().unwrap_or("latest");
        // The rows are about the images for Linux that these names hold as well.
        if ["windowsservercore", "nanoserver"].iter().any(|word| tag.contains(word)) {
            return None;
        }
        // Those that are not listed have the accounts of those that are.
        let has_row = [&self.own, &*TABLE].into_iter().flatten().any(|row| row.name == name);
        let name = if is_distroless && !has_row { format!("{DISTROLESS}static") } else { name };
        for rows in [self.own.as_slice(), TABLE.as_slice()] {
            let mut named = rows.iter().filter(|row| row.name == name);
            let Some(variant) = named.clone().find(|row| row.tag.as_deref().is_none_or(|word| tag.contains(word)))
            else {
                continue;
            };
            let found = named.find_map(|row| {
                let fit = row.versions.as_ref().map_or(Fit::Inside, |versions| versions.fit(tag));
                (row.tag == variant.tag && fit != Fit::Outside).then_some((row, fit))
            });
            if let Some((row, fit)) = found {
                return (fit == Fit::Inside).then_some(row);
            }
        }
        None
    }

    /// The services that keep data as a user of their own and step down to it.
    pub fn services(&self) -> impl Iterator<Item = &KnownImage> {
        self.own.iter().chain(TABLE.iter()).filter(|row| row.steps_down_alone())
    }

    /// Whether there is a row of this name (no tag), as written in a reference.
    pub fn holds(&self, name: &str) -> bool {
        holds(&self.own, name) || is_public(name)
    }
}

impl TryFrom<Vec<KnownImage>> for KnownImages {
    type Error = String;

    /// Rows as a person wrote them, brought into the table's form.
    fn try_from(rows: Vec<KnownImage>) -> Result<Self, String> {
        let mut own = each_name(rows);
        for row in &mut own {
            row.check().map_err(|message| format!("the image {:?}: {message}", row.name))?;
            let reference = Reference::parse(&row.name).map_err(|error| error.message)?;
            row.name = name_of(&reference);
        }
        Ok(Self { own })
    }
}

impl KnownImage {
    /// A port of the default command that takes root, or a capability, to listen on.
    pub fn low_port(&self) -> Option<u16> {
        self.ports.iter().copied().find(|port| *port < 1024)
    }

    /// Whether the entrypoint needs root for nothing but the data directory, and steps down. Servers whose workers step down, such as nginx, work as root
    /// themselves.
    pub fn steps_down_alone(&self) -> bool {
        self.service.is_some()
            && self.user.is_none()
            && self.claim.is_some()
            && self.root_owned.is_empty()
            && self.low_port().is_none()
    }

    /// Whether a program, by its name, is the image's own: its server, or the entrypoint that steps down.
    pub fn starts_as(&self, program: &str) -> bool {
        let name = self.name.rsplit('/').next().unwrap_or_default();
        ["", "d", "-server"].iter().any(|end| program == format!("{name}{end}"))
            || matches!(program, "docker-entrypoint.sh" | "docker-entrypoint")
            || name == "mysql" && program == "mysqld_safe"
            || name == "mariadb" && program == "mysqld"
    }

    /// Whether the entrypoint, as root, makes the directories that the configuration names
    /// (<https://github.com/docker-library/mysql/blob/master/8.0/docker-entrypoint.sh>, `docker_create_db_directories`).
    pub fn prepares_its_configuration(&self) -> bool {
        matches!(self.name.as_str(), "influxdb" | "mariadb" | "mysql")
    }

    /// What a row must hold to be of use.
    fn check(&self) -> Result<(), String> {
        let reference = Reference::parse(&self.name).map_err(|error| error.message)?;
        if reference.tag().is_some() || reference.digest().is_some() {
            return Err("name is without tag and digest; tag and versions are keys of their own".to_owned());
        }
        let account = self.account.as_ref().map(|account| Ids { uid: account.uid, gid: account.gid });
        for ids in [self.user, self.service, account].into_iter().flatten() {
            if ids.uid == 0 {
                return Err("uid = 0 is root, which needs no row".to_owned());
            }
            if [ids.uid, ids.gid].iter().any(|id| i32::try_from(*id).is_err()) {
                return Err("Kubernetes accepts ids up to 2147483647".to_owned());
            }
        }
        if self.root_only.is_some() && (self.user.is_some() || self.service.is_some()) {
            return Err("root_only contradicts user and service".to_owned());
        }
        let is_capability = |name: &str| {
            !name.starts_with("CAP_") && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        };
        if let Some(name) = self.needs.iter().find(|name| !is_capability(name)) {
            return Err(format!("{name:?} is not a capability as manifests write it, such as NET_BIND_SERVICE"));
        }
        let directories = [&self.volumes, &self.root_owned, &self.filled].into_iter().flatten();
        match directories.chain(self.writable.iter().flatten()).chain(&self.workdir).find(|path| !path.starts_with('/'))
        {
            Some(path) => Err(format!("{path:?} is not an absolute path")),
            None => Ok(()),
        }
    }
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

/// Templates that an entrypoint renders.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renders {
    /// The folder that they lie in.
    pub from: String,
    /// The folder of the result.
    pub into: String,
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

/// The images without a shell that bring an account `nonroot` (<https://github.com/GoogleContainerTools/distroless/blob/main/common/variables.bzl>).
const DISTROLESS: &str = "gcr.io/distroless/";

/// Whether the program's own table has a row of this name (no tag): everybody means the same image by it.
pub fn is_public(name: &str) -> bool {
    holds(&TABLE, name)
}

fn holds(rows: &[KnownImage], name: &str) -> bool {
    Reference::parse(name).is_ok_and(|reference| {
        let name = name_of(&reference);
        rows.iter().any(|row| row.name == name)
    })
}

/// The short name of an official image, also when it comes through one of the public copies; else the whole repository.
pub(super) fn name_of(reference: &Reference) -> String {
    // The mirrors of docker.io and the older name of the registry of Kubernetes serve what the other name serves.
    let registry = match reference.registry() {
        "mirror.gcr.io" => "docker.io",
        "k8s.gcr.io" => "registry.k8s.io",
        registry => registry,
    };
    let repository = reference.repository();
    let official = match registry {
        "docker.io" => repository.strip_prefix("library/"),
        "public.ecr.aws" => repository.strip_prefix("docker/library/"),
        _ => None,
    };
    match official {
        Some(name) => name.to_owned(),
        None if registry == "docker.io" => repository.to_owned(),
        None => format!("{registry}/{repository}"),
    }
}

/// A row for each repository that a row names.
fn each_name(rows: Vec<KnownImage>) -> Vec<KnownImage> {
    let rows = rows.into_iter().flat_map(|mut row| {
        let also = std::mem::take(&mut row.also);
        let others: Vec<KnownImage> = also.into_iter().map(|name| KnownImage { name, ..row.clone() }).collect();
        [row].into_iter().chain(others)
    });
    rows.collect()
}

static TABLE: LazyLock<Vec<KnownImage>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Table {
        image: Vec<KnownImage>,
    }
    // The texts are part of the program; a test parses them.
    let read = |text| toml::from_str::<Table>(text).map(|table| each_name(table.image)).unwrap_or_default();
    let files = [
        include_str!("bases.toml"),
        include_str!("databases.toml"),
        include_str!("known.toml"),
        include_str!("tools.toml"),
    ];
    files.into_iter().flat_map(read).collect()
});

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn known(reference: &str) -> Option<&'static KnownImage> {
        static NO_ROWS_OF_OWN: LazyLock<KnownImages> = LazyLock::new(KnownImages::default);
        NO_ROWS_OF_OWN.find(&Reference::parse(reference).unwrap())
    }

    fn own(text: &str) -> Result<KnownImages, String> {
        #[derive(Deserialize)]
        struct Table {
            image: KnownImages,
        }
        toml::from_str::<Table>(text).map(|table| table.image).map_err(|error| error.to_string())
    }

    #[test]
    fn each_row_of_the_table_can_be_used() {
        assert!(TABLE.len() > 250, "a file of the table does not parse: {} rows", TABLE.len());
        let mut keys = BTreeSet::new();
        for row in TABLE.iter() {
            let name = &row.name;
            assert_eq!(row.check(), Ok(()), "{name}");
            assert_eq!(name_of(&Reference::parse(name).unwrap()), *name, "a name of docker.io is short");
            assert!(row.source.as_ref().is_some_and(|source| source.starts_with("https://")), "{name}");
            assert!(
                keys.insert((name, &row.tag, format!("{:?}", row.versions))),
                "{name} {:?} is there twice",
                row.tag
            );
            let named: Vec<&String> = row.volumes.iter().chain(row.writable.iter().flatten()).collect();
            let directories: BTreeSet<&String> = named.iter().copied().collect();
            assert!(named.len() == directories.len(), "{name} names a directory twice");
            for directory in row.root_owned.iter().chain(&row.filled) {
                assert!(directories.contains(directory), "{name}: {directory} is neither a volume nor written");
            }
            assert!(row.user.is_none() || row.service.is_none(), "{name} starts as somebody or steps down");
            assert!(row.root_owned.is_empty() || row.service.is_some(), "{name}: root_owned is about the service");
        }
    }

    #[test]
    fn no_row_hides_another() {
        for (index, row) in TABLE.iter().enumerate() {
            let before = TABLE[..index].iter().filter(|earlier| earlier.name == row.name);
            let hides = |earlier: &KnownImage| match (&earlier.tag, &row.tag) {
                (earlier_tag, tag) if earlier_tag == tag => earlier.versions.is_none(),
                (None, _) => true,
                (Some(earlier), Some(tag)) => tag.contains(earlier),
                (Some(_), None) => false,
            };
            for earlier in before {
                assert!(!hides(earlier), "{} {:?} hides {:?}", row.name, earlier.tag, row.tag);
            }
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
        let digest = format!("sha256:{}", "5".repeat(64));
        for reference in ["gcr.io/distroless/java:11".to_owned(), format!("gcr.io/distroless/nodejs@{digest}")] {
            let row = known(&reference).unwrap();
            assert_eq!(
                (row.family, row.account.as_ref().map(|account| account.uid)),
                (Family::Distroless, Some(65532))
            );
        }
        assert_eq!(known("gcr.io/distroless/java:nonroot").unwrap().user, Some(Ids { uid: 65532, gid: 65532 }));
        assert_eq!(known(&format!("node@{digest}")), None);
    }

    #[test]
    fn what_is_known_follows_the_version() {
        let ids = |reference: &str| {
            let row = known(reference)?;
            row.user.or(row.service).map(|ids| (ids.uid, ids.gid))
        };
        for (reference, expected) in [
            ("postgres:17", Some((999, 999))),
            ("postgres:17-alpine3.22", Some((70, 70))),
            ("postgres:9.5", Some((999, 999))),
            ("postgres:9.5.10", None),
            ("postgres:9.5-alpine", None),
            ("postgres:9.4", None),
            ("mysql:5.7", Some((999, 999))),
            ("mysql:5.7.29", None),
            ("mysql:latest", Some((999, 999))),
            ("rabbitmq:4.1-management-alpine", Some((100, 101))),
            ("rabbitmq:management", Some((999, 999))),
            ("memcached:1.6.12", None),
            ("nginx:1.29", Some((101, 101))),
            ("nginx:1.13-alpine", Some((100, 101))),
            ("nginx:1.15.12", Some((101, 101))),
            ("nginx:1.12-alpine", None),
            ("php:7.2-fpm-alpine", Some((82, 82))),
            ("php:5.6-fpm", None),
            ("grafana/grafana:7.2.0", Some((472, 472))),
            ("grafana/grafana-oss:12.1.0-ubuntu", Some((472, 0))),
            ("grafana/grafana:5.0.0", None),
            ("quay.io/prometheus/prometheus:v3.1.0", Some((65534, 65534))),
            ("prom/prometheus:v1.4.1", None),
            ("mcr.microsoft.com/dotnet/aspnet:8.0-noble-chiseled", Some((1654, 1654))),
            ("mcr.microsoft.com/dotnet/aspnet:8.0", None),
            ("valkey/valkey:8-alpine", Some((999, 1000))),
            ("mongo:3.4", Some((999, 999))),
            ("mongo:3.2", None),
            ("postgis/postgis:16-3.4-alpine", Some((70, 70))),
            ("pgvector/pgvector:0.8.0-pg17", Some((999, 999))),
            ("zookeeper:3.9", Some((1000, 1000))),
            ("zookeeper:3.4", None),
            ("confluentinc/cp-kafka:7.5.0", Some((1000, 1000))),
            ("confluentinc/cp-kafka:5.5.0", None),
            ("quay.io/oauth2-proxy/oauth2-proxy:v7.6.0", Some((65532, 65532))),
            ("quay.io/oauth2-proxy/oauth2-proxy:v7.6.0-alpine", None),
            ("gcr.io/distroless/nodejs22-debian12:nonroot", Some((65532, 65532))),
            ("gcr.io/distroless/java21-debian12", None),
            ("bitnami/postgresql:15.4.0", Some((1001, 0))),
            ("docker:24-dind-rootless", Some((1000, 1000))),
            ("docker:24-dind", None),
        ] {
            assert_eq!(ids(reference), expected, "{reference}");
        }
        assert_eq!(known("postgres:17").unwrap().volumes, ["/var/lib/postgresql/data"]);
        assert_eq!(known("postgres:18").unwrap().volumes, ["/var/lib/postgresql"]);
        for (reference, port) in [
            ("mcr.microsoft.com/dotnet/aspnet:7.0", Some(80)),
            ("mcr.microsoft.com/dotnet/runtime-deps:6.0-alpine", Some(80)),
            ("mcr.microsoft.com/dotnet/runtime:7.0", None),
            ("mcr.microsoft.com/dotnet/core/aspnet:3.1", Some(80)),
        ] {
            assert_eq!(known(reference).unwrap().low_port(), port, "{reference}");
        }
    }

    #[test]
    fn public_copies_have_the_rows_of_what_they_copy() {
        for (copy, original) in [
            ("mirror.gcr.io/library/redis:7", "redis:7"),
            ("public.ecr.aws/docker/library/redis:7-alpine", "redis:7-alpine"),
            ("index.docker.io/library/redis:7", "redis:7"),
            ("mirror.gcr.io/grafana/grafana:10.4.0", "grafana/grafana:10.4.0"),
            ("k8s.gcr.io/pause:3.9", "registry.k8s.io/pause:3.9"),
        ] {
            assert!(known(copy).is_some(), "{copy}");
            assert_eq!(known(copy), known(original), "{copy}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_not_known() {
        let table = KnownImages::default();
        assert_eq!(known("registry.example/redis:7"), None);
        assert_eq!(known("golang:1.22-nanoserver"), None);
        assert_eq!(known(&format!("redis@sha256:{}", "0".repeat(64))), None);
        assert!(table.holds("mysql"));
        assert!(!table.holds("shop/mysql"));
    }

    #[test]
    fn a_version_outside_a_variants_rows_does_not_get_another_variants_row() {
        assert_eq!(
            known("redis:5.0.9-alpine"),
            None,
            "its alpine variant had other numbers, and the row of debian is not about it"
        );
        assert_eq!(known("redis:5.0.10-alpine").unwrap().service, Some(Ids { uid: 999, gid: 1000 }));
        assert_eq!(known("redis:alpine").unwrap().service, Some(Ids { uid: 999, gid: 1000 }));
        assert_eq!(known("redis:stretch"), None, "a name of Debian says nothing of the version");
    }

    #[test]
    fn rows_of_a_repository_stand_before_the_tables() {
        let table = own("[[image]]\nname = \"docker.io/library/redis\"\nversions = \">=8\"\nfamily = \"other\"\nuser = { uid = 5, gid = 6 }\n").unwrap();
        let find = |text: &str| table.find(&Reference::parse(text).unwrap());
        assert_eq!(find("redis:8.0.1-alpine").unwrap().user, Some(Ids { uid: 5, gid: 6 }));
        assert_eq!(find("redis:7.2").unwrap().service, Some(Ids { uid: 999, gid: 999 }));
        assert_eq!(find("redis:unstable"), None, "either could be meant");
        let table =
            own("[[image]]\nname = \"registry.example/team/app\"\nfamily = \"alpine\"\nuser = { uid = 5, gid = 6 }\n")
                .unwrap();
        assert!(table.holds("registry.example/team/app") && table.holds("redis"));
        assert!(
            is_public("redis") && !is_public("registry.example/team/app"),
            "what builds the latter may stand in the tree"
        );
    }

    #[test]
    fn rows_that_make_no_sense_are_refused() {
        let row = |rest: &str| own(&format!("[[image]]\nname = \"app\"\nfamily = \"other\"\n{rest}\n"));
        assert!(row("").is_ok());
        for (rest, said) in [
            ("user = { uid = 0, gid = 5 }", "root"),
            ("service = { uid = 4000000000, gid = 5 }", "2147483647"),
            ("root_only = \"it loads modules\"\nuser = { uid = 5, gid = 5 }", "contradicts"),
            ("needs = [\"CAP_CHOWN\"]", "capability"),
            ("writable = [\"data\"]", "absolute"),
            ("versions = \"1.2\"", "versions"),
            ("usre = { uid = 5, gid = 5 }", "usre"),
        ] {
            let error = row(rest).unwrap_err();
            assert!(error.contains(said), "{rest}: {error}");
        }
        assert!(own("[[image]]\nname = \"app:1\"\nfamily = \"other\"\n").unwrap_err().contains("tag"));
    }
}
