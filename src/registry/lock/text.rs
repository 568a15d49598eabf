//! The lock as a file: TOML, one `[[image]]` per question, sorted, one way to write each thing.

use super::{Lock, Question, Row};
use crate::image::{Digest, ImageConfig, MediaType, Platform, Reference, Resolved};
use crate::source::{Position, reorders_text};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};
use toml::Spanned;
use toml::value::{Date, Datetime, Offset, Time};

/// The version of the format that is read and written.
const VERSION: i64 = 1;

const HEADER: &str = "\
# What registries answered, for every run to get the same answers. Written by unroot; `unroot --update` asks anew.
version = 1
";

/// Widest line that a list is written in, in characters; a longer list has one line for each item.
const WIDTH: usize = 100;

/// The text is not a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockError {
    /// Where.
    pub position: Position,
    /// What was seen and what is expected; one line.
    pub message: String,
}

/// A second of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(Datetime);

impl From<SystemTime> for Moment {
    /// A time before 1970 is that of 1970.
    fn from(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Days since 0000-03-01, so that the day that leap years add is the last of its year
        // (https://howardhinnant.github.io/date_algorithms.html#civil_from_days).
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let small = |number: u64| u8::try_from(number).unwrap_or_default();
        let year = u16::try_from(year_of_era + era * 400 + next_year).unwrap_or(u16::MAX);
        let time = Time {
            hour: small(second / 3600),
            minute: small(second / 60 % 60),
            second: Some(small(second % 60)),
            nanosecond: None,
        };
        let date = Date { year, month: small(month), day: small(day) };
        Self(Datetime { date: Some(date), time: Some(time), offset: Some(Offset::Z) })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What every version has.
#[derive(Deserialize)]
struct Head {
    version: Spanned<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "version")]
    _version: i64,
    #[serde(default)]
    image: Vec<Spanned<Image>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    reference: Spanned<String>,
    digest: Spanned<String>,
    media_type: Spanned<String>,
    platform: Option<Spanned<String>>,
    resolved: Spanned<Datetime>,
    config: Option<Spanned<Config>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Config {
    user: String,
    ports: Vec<u16>,
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    volumes: Vec<String>,
    workdir: Option<String>,
    env: Vec<String>,
}

impl Lock {
    /// Reads a lock.
    ///
    /// # Errors
    /// The text is no TOML, of another version, says something that has no meaning, or answers one question twice.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let at = |offset: usize, message: String| LockError { position: Position::of(text, offset), message };
        let of_toml = |error: toml::de::Error| {
            let message = error.message().lines().collect::<Vec<_>>().join("; ");
            at(error.span().map_or(0, |span| span.start), message)
        };
        if let Some(offset) = conflict_mark(text) {
            let message = "a merge left its marks here; keep either side, and run unroot again";
            return Err(at(offset, message.to_owned()));
        }
        let head: Head = toml::from_str(text).map_err(of_toml)?;
        if *head.version.get_ref() != VERSION {
            let message =
                format!("version {} is not known to this unroot, which reads {VERSION}", head.version.get_ref());
            return Err(at(head.version.span().start, message));
        }
        let document: Document = toml::from_str(text).map_err(of_toml)?;
        let mut rows = BTreeMap::new();
        for image in document.image {
            let start = image.span().start;
            let (question, row) = read(image.into_inner()).map_err(|(offset, message)| at(offset, message))?;
            match rows.entry(question) {
                Entry::Vacant(place) => place.insert(row),
                Entry::Occupied(place) => return Err(at(start, format!("{} stands here twice", place.key().0))),
            };
        }
        Ok(Self { rows })
    }
}

/// Where a line starts that git writes around the sides of a conflict.
fn conflict_mark(text: &str) -> Option<usize> {
    let mut offset = 0;
    text.split_inclusive('\n').find_map(|line| {
        let start = offset;
        offset += line.len();
        ["<<<<<<< ", "||||||| ", ">>>>>>> "].iter().any(|mark| line.starts_with(mark)).then_some(start)
    })
}

type Wrong = (usize, String);

fn read(image: Image) -> Result<(Question, Row), Wrong> {
    let question = read_question(&image.reference)?;
    let platform = image.platform.map(|platform| {
        let start = platform.span().start;
        platform.get_ref().parse::<Platform>().map_err(|message| (start, message))
    });
    let start = image.digest.span().start;
    let Some(digest) = Digest::parse(image.digest.get_ref()) else {
        return Err((start, "a digest is sha256: and 64 lower-case hexadecimal digits".to_owned()));
    };
    if platform.is_none() && question.digest().is_some_and(|asked| asked != digest.as_str()) {
        return Err((start, "it is not the digest of the reference above".to_owned()));
    }
    let Some(media_type) = MediaType::parse(image.media_type.get_ref()) else {
        let all = MediaType::ALL.map(MediaType::as_str).join(", ");
        return Err((image.media_type.span().start, format!("a media type is one of {all}")));
    };
    let answer = Resolved { digest, media_type };
    let resolved = *image.resolved.get_ref();
    if resolved.offset != Some(Offset::Z) || resolved.date.is_none() || resolved.time.is_none() {
        return Err((image.resolved.span().start, "a time is written as in 2026-01-31T12:00:00Z".to_owned()));
    }
    let config = image.config.map(|config| {
        let start = config.span().start;
        read_config(config.into_inner()).map_err(|message| (start, message))
    });
    let row = Row { answer, platform: platform.transpose()?, resolved: Moment(resolved), config: config.transpose()? };
    Ok((question, row))
}

fn read_question(written: &Spanned<String>) -> Result<Question, Wrong> {
    let start = written.span().start;
    let reference = Reference::parse(written.get_ref()).map_err(|error| (start, error.message))?;
    let question = Question::of(&reference);
    if question.0 == *written.get_ref() {
        Ok(question)
    } else {
        Err((start, format!("it is written in full here, as {}", question.0)))
    }
}

fn read_config(config: Config) -> Result<ImageConfig, String> {
    let Config { user, ports, entrypoint, cmd, volumes, workdir, env } = config;
    let pair = |entry: String| entry.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let env = env.into_iter().map(pair).collect::<Option<_>>().ok_or("a variable is written as in NAME=value")?;
    let config = ImageConfig { user, ports, entrypoint, cmd, volumes, workdir, env };
    config.check()?;
    Ok(config)
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEADER)?;
        for (question, row) in &self.rows {
            writeln!(f, "\n[[image]]\nreference = {}", quoted(&question.0))?;
            let Resolved { digest, media_type } = &row.answer;
            writeln!(f, "digest = \"{digest}\"\nmedia_type = \"{media_type}\"")?;
            if let Some(platform) = &row.platform {
                writeln!(f, "platform = \"{platform}\"")?;
            }
            writeln!(f, "resolved = {}", row.resolved)?;
            if let Some(config) = &row.config {
                write_config(f, config)?;
            }
        }
        Ok(())
    }
}

fn write_config(f: &mut fmt::Formatter<'_>, config: &ImageConfig) -> fmt::Result {
    let ImageConfig { user, ports, entrypoint, cmd, volumes, workdir, env } = config;
    let quote = |words: &[String]| words.iter().map(|word| quoted(word)).collect::<Vec<_>>();
    let env: Vec<String> = env.iter().map(|(name, value)| quoted(&format!("{name}={value}"))).collect();
    f.write_str("\n[image.config]\n")?;
    if !user.is_empty() {
        writeln!(f, "user = {}", quoted(user))?;
    }
    write_list(f, "ports", &ports.iter().map(u16::to_string).collect::<Vec<_>>())?;
    write_list(f, "entrypoint", &quote(entrypoint))?;
    write_list(f, "cmd", &quote(cmd))?;
    write_list(f, "volumes", &quote(volumes))?;
    if let Some(workdir) = workdir {
        writeln!(f, "workdir = {}", quoted(workdir))?;
    }
    write_list(f, "env", &env)
}

fn write_list(f: &mut fmt::Formatter<'_>, key: &str, items: &[String]) -> fmt::Result {
    let line = format!("{key} = [{}]", items.join(", "));
    match items {
        [] => Ok(()),
        [_] => writeln!(f, "{line}"),
        _ if line.chars().count() <= WIDTH => writeln!(f, "{line}"),
        _ => writeln!(f, "{key} = [\n    {},\n]", items.join(",\n    ")),
    }
}

/// A basic string in one line: what a terminal would act on is escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || reorders_text(c) => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const TEXT: &str = r#"# What registries answered, for every run to get the same answers. Written by unroot; `unroot --update` asks anew.
version = 1

[[image]]
reference = "docker.io/library/node:20"
digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
media_type = "application/vnd.oci.image.index.v1+json"
resolved = 2026-11-21T19:40:00Z

[image.config]
user = "1000:1000"
ports = [80, 8080]
entrypoint = ["/start"]
cmd = [
    "sh",
    "-c",
    "echo \"a\\b\" \u001B[2J \u202E\n\tserve --with-a-long-line --that-is-longer-than-any-terminal-is-wide",
]
volumes = ["/data"]
workdir = "/srv"
env = ["PORT=80", "DATA=/data"]

[[image]]
reference = "ghcr.io/me/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
media_type = "application/vnd.oci.image.manifest.v1+json"
resolved = 2026-11-21T19:40:00Z

[image.config]

[[image]]
reference = "localhost:5000/app:latest"
digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
media_type = "application/vnd.oci.image.manifest.v1+json"
platform = "linux/arm64"
resolved = 2026-11-21T19:40:00Z
"#;

    #[test]
    fn a_lock_reads_back_as_it_was_written() {
        let lock = Lock::parse(TEXT).unwrap();
        assert_eq!(lock.len(), 3);
        assert_eq!(lock.to_string(), TEXT);
        let empty = Lock::default().to_string();
        assert_eq!((Lock::parse(&empty), empty.as_str()), (Ok(Lock::default()), HEADER));
        let crlf = TEXT.replace('\n', "\r\n");
        assert_eq!(Lock::parse(&crlf).unwrap(), lock, "as a checkout on Windows has it");
        let mut parts: Vec<&str> = TEXT.split("\n[[image]]\n").collect();
        parts.swap(1, 3);
        assert_eq!(Lock::parse(&parts.join("\n\n[[image]]\n")).unwrap(), lock, "as a merge may leave it");
    }

    #[test]
    fn what_is_no_lock_is_refused_where_it_is_wrong() {
        let node = "docker.io/library/node:20";
        let twice = TEXT.replace("localhost:5000/app:latest", node);
        for (text, place, message) in [
            (String::new(), "1:1", "missing field `version`"),
            ("version = 2\nimages = {}\n".to_owned(), "1:11", "version 2 is not known"),
            ("version = \"1\"\n".to_owned(), "1:11", "expected i64"),
            (TEXT.replace("ports = [80", "ports = [80 90"), "12:10", "expected literal string"),
            (TEXT.replacen("media_type = ", "media_types = ", 1), "7:1", "unknown field `media_types`"),
            (TEXT.replacen(".index.", ".list.", 1), "7:14", "a media type is one of"),
            (TEXT.replace(node, "node:20"), "5:13", "written in full here, as docker.io/library/node:20"),
            (TEXT.replace(node, "docker.io/library/node:20 "), "5:13", "white space"),
            (TEXT.replace(node, "docker.io/library/node:20\\u001B[2J"), "5:13", "control characters"),
            (TEXT.replace(node, "../../etc/passwd:1"), "5:13", "is not an image reference"),
            (TEXT.replacen("sha256:e3b0", "sha256:E3B0", 1), "6:10", "64 lower-case hexadecimal digits"),
            (TEXT.replace("me/app@sha256:e3b0", "me/app@sha256:0000"), "25:10", "not the digest of the reference"),
            (
                TEXT.replace("2026-11-21T19:40:00Z\n\n[image.config]\nuser", "2026-11-21\n\n[image.config]\nuser"),
                "8:12",
                "2026-01-31T12",
            ),
            (TEXT.replace("linux/arm64", "../arm64"), "35:12", "a platform is"),
            (TEXT.replace("/srv", "srv"), "10:1", "not an absolute path"),
            (TEXT.replace("\"/data\"]", "\"/data\\u001B[2J\"]"), "10:1", "control characters"),
            (TEXT.replace("PORT=80", "PORT"), "10:1", "NAME=value"),
            (twice, "31:1", "docker.io/library/node:20 stands here twice"),
            (TEXT.replace("\n[[image]]", "\n<<<<<<< HEAD\n[[image]]"), "4:1", "a merge left its marks"),
        ] {
            let error = Lock::parse(&text).expect_err(message);
            let shown = format!("{}: {}", error.position, error.message);
            assert!(shown.starts_with(&format!("{place}: ")) && shown.contains(message), "{message}: {shown}");
            assert!(!error.message.contains(char::is_control), "{shown:?}");
        }
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Moment::from(UNIX_EPOCH + Duration::from_secs(seconds)).to_string(), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}", cut in 0..TEXT.len(), put in "[\\[\\]\"=\\n#a0{}.]{0,4}") {
            let _ = Lock::parse(&text);
            if TEXT.is_char_boundary(cut) {
                let (before, after) = TEXT.split_at(cut);
                let _ = Lock::parse(&format!("{before}{put}{after}"));
                let _ = Lock::parse(before);
            }
        }

        #[test]
        fn any_word_is_quoted_in_one_line(word in proptest::prelude::any::<String>()) {
            let quoted = quoted(&word);
            proptest::prop_assert!(!quoted.contains(char::is_control));
            let table: toml::Table = toml::from_str(&format!("a = {quoted}")).unwrap();
            proptest::prop_assert_eq!(table["a"].as_str(), Some(word.as_str()));
        }
    }
}
