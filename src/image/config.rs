//! What the configuration of an image tells, as far as facts use it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// Longest `User`, in bytes: user and group names have 32 each on Linux, and a message has to hold it.
const USER_LENGTH_MAX: usize = 128;

/// The `config` object of an image configuration, in the words of the OCI image specification
/// (<https://github.com/opencontainers/image-spec/blob/main/config.md>), which Docker's images share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageConfig {
    /// `User` as written: a user, or user and group with `:` between them, by name or number. Empty is root.
    pub user: String,
    /// The port numbers of `ExposedPorts`; of a range its first.
    pub ports: Vec<u16>,
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    pub cmd: Vec<String>,
}

/// Who a configuration says the image runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfiguredUser<'a> {
    /// uid 0.
    Root,
    /// A number above 0.
    Numeric {
        /// User id.
        uid: u32,
        /// Group id, when it is written and a number.
        gid: Option<u32>,
    },
    /// A name, whose number only the image's files tell.
    Named(&'a str),
}

impl ImageConfig {
    /// Reads the JSON of an image configuration.
    ///
    /// # Errors
    /// It is not one, or that of an image for another system than Linux; one line without anything the text says.
    pub fn parse(json: &[u8]) -> Result<Self, &'static str> {
        let document: Document =
            serde_json::from_slice(json).map_err(|_| "its configuration is not that of an image")?;
        if document.os.is_some_and(|os| os != "linux") {
            return Err("it holds no image for Linux");
        }
        let config = document.config.unwrap_or_default();
        let user = config.user.unwrap_or_default();
        if user.len() > USER_LENGTH_MAX {
            return Err("its configuration is not that of an image");
        }
        let first_port = |port: &String| port.split(['/', '-']).next().and_then(|port| port.parse().ok());
        Ok(Self {
            user,
            ports: config.exposed_ports.unwrap_or_default().keys().filter_map(first_port).collect(),
            entrypoint: config.entrypoint.unwrap_or_default(),
            cmd: config.cmd.unwrap_or_default(),
        })
    }

    /// The user as container runtimes read it: digits are a number, and without a user it is root.
    pub fn user(&self) -> ConfiguredUser<'_> {
        let (user, group) = match self.user.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (self.user.as_str(), None),
        };
        match number(user) {
            _ if user.is_empty() || user == "root" => ConfiguredUser::Root,
            Some(0) => ConfiguredUser::Root,
            Some(uid) => ConfiguredUser::Numeric { uid, gid: group.and_then(number) },
            None => ConfiguredUser::Named(user),
        }
    }
}

/// An id that Kubernetes accepts, which takes signed 32-bit values.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && i32::try_from(*id).is_ok())
}

#[derive(Deserialize)]
struct Document {
    os: Option<String>,
    config: Option<Fields>,
}

/// Every field may be missing, and programs written in Go write `null` for an empty one.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fields {
    user: Option<String>,
    exposed_ports: Option<BTreeMap<String, IgnoredAny>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(user: &str) -> ImageConfig {
        ImageConfig { user: user.to_owned(), ..ImageConfig::default() }
    }

    #[test]
    fn users_are_read_as_runtimes_read_them() {
        use ConfiguredUser::{Named, Numeric, Root};
        for (written, expected) in [
            ("", Root),
            ("0", Root),
            ("00", Root),
            ("root", Root),
            ("root:root", Root),
            ("0:1000", Root),
            (":1000", Root),
            ("1000", Numeric { uid: 1000, gid: None }),
            ("1000:0", Numeric { uid: 1000, gid: Some(0) }),
            ("1000:2000", Numeric { uid: 1000, gid: Some(2000) }),
            ("1000:staff", Numeric { uid: 1000, gid: None }),
            ("1000:", Numeric { uid: 1000, gid: None }),
            ("nginx", Named("nginx")),
            ("nginx:101", Named("nginx")),
            ("+1000", Named("+1000")),
            ("-1", Named("-1")),
            ("1000 ", Named("1000 ")),
            ("2147483648", Named("2147483648")),
            ("99999999999", Named("99999999999")),
        ] {
            assert_eq!(user(written).user(), expected, "{written:?}");
        }
    }

    #[test]
    fn configurations_are_read() {
        let text =
            br#"{"architecture":"amd64","os":"linux","config":{"User":"1000","ExposedPorts":{"8080/tcp":{},"53/udp":{},
            "9000-9002/tcp":{},"x":{}},"Entrypoint":["/app"],"Cmd":null,"Env":["A=b"]},"rootfs":{"type":"layers"}}"#;
        let config = ImageConfig::parse(text).unwrap();
        assert_eq!(config.user, "1000");
        assert_eq!(config.ports, [53, 8080, 9000]);
        assert_eq!((config.entrypoint, config.cmd), (vec!["/app".to_owned()], vec![]));
        for empty in [&b"{}"[..], br#"{"os":"linux"}"#, br#"{"config":null}"#, br#"{"config":{"User":null}}"#] {
            assert_eq!(ImageConfig::parse(empty), Ok(ImageConfig::default()));
        }
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        let deep = format!("{{\"config\":{}", "[".repeat(100_000));
        let long = format!(r#"{{"config":{{"User":"{}"}}}}"#, "a".repeat(USER_LENGTH_MAX + 1));
        for text in ["", "null", "[", "<html>", r#"{"config":[]}"#, r#"{"config":{"User":5}}"#, &deep, &long] {
            assert_eq!(ImageConfig::parse(text.as_bytes()), Err("its configuration is not that of an image"));
        }
        let twice = br#"{"config":{"User":"1000","User":"0"}}"#;
        assert!(ImageConfig::parse(twice).is_err(), "readers differ on which of two holds");
        assert_eq!(ImageConfig::parse(br#"{"os":"windows"}"#), Err("it holds no image for Linux"));
    }
}
