//! What the configuration of an image tells, as far as facts use it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// Longest `User`, in bytes: user and group names have 32 each on Linux, and a message has to hold it.
const USER_LENGTH_MAX: usize = 128;

/// Longest path, in bytes: `PATH_MAX` of Linux, its final NUL left out.
const PATH_LENGTH_MAX: usize = 4095;

/// Most entries of any list. Real images have a few dozen.
const ENTRIES_MAX: usize = 4096;

const NO_CONFIG: &str = "its configuration is not that of an image";
const TOO_LARGE: &str = "its configuration holds more than any image needs";
const CONTROL: &str = "its configuration holds control characters";
const NO_PATH: &str = "its configuration names a working directory that is not an absolute path";

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
    /// The absolute paths of `Volumes`. Kubernetes gives them nothing of their own, as Docker does.
    pub volumes: Vec<String>,
    /// `WorkingDir`, absolute; `None` is `/`.
    pub workdir: Option<String>,
    /// Names and values of `Env`.
    pub env: Vec<(String, String)>,
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
    /// It is not one, is that of an image for another system than Linux, or holds what no container could be made of; one line without anything the
    /// text says.
    pub fn parse(json: &[u8]) -> Result<Self, &'static str> {
        let document: Document = serde_json::from_slice(json).map_err(|_| NO_CONFIG)?;
        if document.os.is_some_and(|os| os != "linux") {
            return Err("it holds no image for Linux");
        }
        let config = document.config.unwrap_or_default();
        let user = config.user.unwrap_or_default();
        let ports: Vec<String> = config.exposed_ports.unwrap_or_default().into_keys().collect();
        let volumes: Vec<String> = config.volumes.unwrap_or_default().into_keys().collect();
        let workdir = config.working_dir.filter(|path| !path.is_empty());
        let (entrypoint, cmd) = (config.entrypoint.unwrap_or_default(), config.cmd.unwrap_or_default());
        let env = config.env.unwrap_or_default();

        if ports.len() > ENTRIES_MAX || env.len() > ENTRIES_MAX {
            return Err(TOO_LARGE);
        }
        if ports.iter().any(|port| port.contains(char::is_control)) {
            return Err(CONTROL);
        }
        let first_port = |port: &String| port.split(['/', '-']).next().and_then(|port| port.parse().ok());
        let ports = ports.iter().filter_map(first_port).filter(|port| *port > 0).collect();
        let pair = |entry: String| entry.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let env = env.into_iter().filter_map(pair).collect();
        let mut config = Self { user, ports, entrypoint, cmd, volumes, workdir, env };
        config.check()?;
        // What a VOLUME in the wrong brackets leaves behind is a path of no file.
        config.volumes.retain(|path| path.starts_with('/') && !path.trim_matches('/').is_empty());
        Ok(config)
    }

    /// # Errors
    /// It holds what no container could be made of; one line without anything the configuration says.
    pub fn check(&self) -> Result<(), &'static str> {
        let Self { user, ports, entrypoint, cmd, volumes, workdir, env } = self;
        let lengths = [ports.len(), volumes.len(), entrypoint.len(), cmd.len(), env.len()];
        let paths = || volumes.iter().chain(workdir);
        if lengths.into_iter().any(|length| length > ENTRIES_MAX)
            || user.len() > USER_LENGTH_MAX
            || paths().any(|path| path.len() > PATH_LENGTH_MAX)
        {
            return Err(TOO_LARGE);
        }
        // A script among the words of a command may have several lines; a NUL ends a word for the kernel.
        let has_nul = |text: &String| text.contains('\0');
        let pairs = || env.iter().flat_map(|(name, value)| [name, value]);
        if paths().chain([user]).any(|text| text.contains(char::is_control))
            || entrypoint.iter().chain(cmd).chain(pairs()).any(has_nul)
        {
            return Err(CONTROL);
        }
        if workdir.iter().any(|path| !path.starts_with('/')) {
            return Err(NO_PATH);
        }
        Ok(())
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
    volumes: Option<BTreeMap<String, IgnoredAny>>,
    working_dir: Option<String>,
    env: Option<Vec<String>>,
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
            "9000-9002/tcp":{},"x":{},"0/tcp":{}},"Entrypoint":["/app"],"Cmd":null,"Env":["A=b=c","B"],"WorkingDir":"/srv",
            "Volumes":{"/data":{},"/":{},"[/logs":{}}},"rootfs":{"type":"layers"}}"#;
        let config = ImageConfig::parse(text).unwrap();
        assert_eq!(config.user, "1000");
        assert_eq!(config.ports, [53, 8080, 9000]);
        assert_eq!((config.entrypoint, config.cmd), (vec!["/app".to_owned()], vec![]));
        assert_eq!((config.volumes, config.workdir), (vec!["/data".to_owned()], Some("/srv".to_owned())));
        assert_eq!(config.env, [("A".to_owned(), "b=c".to_owned())]);
        for empty in [
            &b"{}"[..],
            br#"{"os":"linux"}"#,
            br#"{"config":null}"#,
            br#"{"config":{"User":null}}"#,
            br#"{"config":{"Volumes":null,"WorkingDir":"","Env":null}}"#,
        ] {
            assert_eq!(ImageConfig::parse(empty), Ok(ImageConfig::default()));
        }
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        let deep = format!("{{\"config\":{}", "[".repeat(100_000));
        let of = |field: &str| format!(r#"{{"config":{{{field}}}}}"#);
        let types =
            [r#""User":5"#, r#""Volumes":["/data"]"#, r#""WorkingDir":{}"#, r#""Env":{"A":"b"}"#, r#""Env":[1]"#];
        let types = types.map(of);
        let none = ["", "null", "[", "<html>", r#"{"config":[]}"#, &deep];
        for text in none.into_iter().chain(types.iter().map(String::as_str)) {
            assert_eq!(ImageConfig::parse(text.as_bytes()), Err(NO_CONFIG), "{text:.80}");
        }
        let many = |entry: fn(usize) -> String| (0..=ENTRIES_MAX).map(entry).collect::<Vec<_>>().join(",");
        for field in [
            format!(r#""User":"{}""#, "a".repeat(USER_LENGTH_MAX + 1)),
            format!(r#""WorkingDir":"/{}""#, "a".repeat(PATH_LENGTH_MAX)),
            format!(r#""Volumes":{{"/{}":{{}}}}"#, "a".repeat(PATH_LENGTH_MAX)),
            format!(r#""Volumes":{{{}}}"#, many(|number| format!(r#""/{number}":{{}}"#))),
            format!(r#""ExposedPorts":{{{}}}"#, many(|number| format!(r#""{number}/tcp":{{}}"#))),
            format!(r#""Env":[{}]"#, many(|number| format!(r#""A{number}=b""#))),
            format!(r#""Cmd":[{}]"#, many(|number| format!(r#""{number}""#))),
        ] {
            assert_eq!(ImageConfig::parse(of(&field).as_bytes()), Err(TOO_LARGE), "{field:.80}");
        }
        for field in [
            r#""User":"10\u001b[2J""#,
            r#""Volumes":{"/data\n/etc":{}}"#,
            r#""WorkingDir":"/srv\u0000""#,
            r#""ExposedPorts":{"80\r":{}}"#,
            r#""Entrypoint":["/a\u0000b"]"#,
            r#""Env":["A=\u0000"]"#,
        ] {
            assert_eq!(ImageConfig::parse(of(field).as_bytes()), Err(CONTROL), "{field}");
        }
        assert!(ImageConfig::parse(of(r#""Cmd":["sh","-c","a\n\tb"]"#).as_bytes()).is_ok(), "a script has lines");
        assert_eq!(ImageConfig::parse(of(r#""WorkingDir":"srv""#).as_bytes()), Err(NO_PATH));
        let twice = br#"{"config":{"User":"1000","User":"0"}}"#;
        assert!(ImageConfig::parse(twice).is_err(), "readers differ on which of two holds");
        assert_eq!(ImageConfig::parse(br#"{"os":"windows"}"#), Err("it holds no image for Linux"));
    }
}
