//! What of an image's configuration facts use, and nothing that looks like a secret: a configuration is kept in a file that others read.
//!
//! Facts see configurations in this form only, wherever they come from, so that a run decides the same with and without that file.

use super::ports::low_port_variable;
use super::read_only::{database_file, names_a_path};
use crate::error::without_credentials;
use crate::image::ImageConfig;
use regex::{Captures, Regex};
use std::sync::LazyLock;

/// Words of a name that make BuildKit take it for a secret, and one that says it is none
/// (<https://docs.docker.com/reference/build-checks/secrets-used-in-arg-or-env/>).
const SECRET: [&str; 10] =
    ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
const PUBLIC: &str = "public";

/// What stands in the place of a secret.
const HIDDEN: &str = "***";

/// What stands in the place of a secret that may be a path: still something that may be written.
const HIDDEN_PATH: &str = "/hidden";

/// Whether a variable or option of this name holds a secret.
pub fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let mut words = lower.split(['_', '-', '.']);
    words.clone().any(|word| SECRET.contains(&word)) && words.all(|word| word != PUBLIC)
}

/// The configuration without what no fact uses: of variables, those that name a low port or a path that may be written. Secrets among the words of a
/// command are hidden.
pub fn kept(config: &ImageConfig) -> ImageConfig {
    let env = config.env.iter().filter_map(|(name, value)| Some((name.clone(), of_variable(name, value)?)));
    ImageConfig {
        env: env.collect(),
        entrypoint: without_secrets(&config.entrypoint),
        cmd: without_secrets(&config.cmd),
        ..config.clone()
    }
}

/// The part of a variable's value that facts use.
fn of_variable(name: &str, value: &str) -> Option<String> {
    if names_a_path(value) {
        return Some(if is_secret(name) && !is_plain_path(value) { HIDDEN_PATH } else { value }.to_owned());
    }
    if database_file(value).is_some() {
        return value.split('?').next().map(str::to_owned);
    }
    let port = low_port_variable(name, value)?;
    // Options may hold anything beside the port.
    let alone = [port.to_string(), format!("http://*:{port}"), format!("server.port={port}")];
    alone.into_iter().find(|alone| low_port_variable(name, alone) == Some(port))
}

/// Names of files are in lower case, by and large; what is drawn by lot is not.
fn is_plain_path(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"/._-".contains(&b))
}

fn without_secrets(words: &[String]) -> Vec<String> {
    let mut option_before = false;
    let mut kept = Vec::with_capacity(words.len());
    for word in words {
        let is_value = option_before && !word.starts_with(['-', '/', '$']);
        kept.push(if is_value { HIDDEN.to_owned() } else { without_secret(word) });
        option_before = word.starts_with('-') && !word.contains('=') && names_a_secret(word);
    }
    kept
}

/// `--requirepass` has no word of its own for what it is.
fn names_a_secret(option: &str) -> bool {
    is_secret(option) || option.to_ascii_lowercase().ends_with("pass")
}

/// `NAME=value` and `--name value` in a script, and what may be one in a URL. A path or a variable is no secret, but where one is.
fn without_secret(word: &str) -> String {
    static GIVEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let value = |first: &str| format!(r#"(["']?)[^\s"'&;,|$/{first}][^\s"'&;,|]*"#);
        Regex::new(&format!(r"([\w.-]+=){}|(-[\w.-]+\s+){}", value(""), value("-"))).ok()
    });
    let Some(given) = GIVEN.as_ref() else { return HIDDEN.to_owned() };
    let hide = |found: &Captures<'_>| {
        let [whole, assigned, quote, option, option_quote] =
            [0, 1, 2, 3, 4].map(|group| found.get(group).map_or("", |group| group.as_str()));
        match names_a_secret(assigned.trim_end_matches('=')) || names_a_secret(option.trim_end()) {
            true => format!("{assigned}{quote}{option}{option_quote}{HIDDEN}"),
            false => whole.to_owned(),
        }
    };
    without_credentials(&given.replace_all(word, hide))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for name in ["DB_PASSWORD", "token", "AWS_SECRET_ACCESS_KEY", "NPM_TOKEN", "ApiKey", "--api-token"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["MONKEY", "PUBLIC_KEY", "TOKENIZERS_PARALLELISM", "PASSWORDLESS", "PORT", "KEYS"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn variables_are_kept_for_what_facts_read_in_them() {
        for (name, value, expected) in [
            ("DATA", "/srv/data", Some("/srv/data")),
            ("KEY_FILE", "/etc/keys/a.pem", Some("/etc/keys/a.pem")),
            ("AWS_SECRET_ACCESS_KEY", "/wJalrXUtnFEMI/K7MDENG", Some("/hidden")),
            ("DATABASE_URL", "sqlite:////data/a.db?key=hunter2", Some("sqlite:////data/a.db")),
            ("DATABASE_URL", "postgres://me:hunter2@db/shop", None),
            ("PASSWORD", "hunter2", None),
            ("PATH", "/usr/bin:/bin", None),
            ("PORT", "80", Some("80")),
            ("PORT", "8080", None),
            ("BIND", "0.0.0.0:80", Some("http://*:80")),
            ("ASPNETCORE_URLS", "http://+:80;https://+:443", Some("http://*:80")),
            ("ASPNETCORE_HTTP_PORTS", "8080;80", Some("80")),
            ("JAVA_OPTS", "-Dserver.port=81 -Dpassword=hunter2", Some("server.port=81")),
            ("LANG", "C.UTF-8", None),
        ] {
            let kept = of_variable(name, value);
            assert_eq!(kept.as_deref(), expected, "{name}={value}");
            let Some(kept) = kept else { continue };
            assert_eq!(of_variable(name, &kept).as_deref(), expected, "kept twice: {name}={value}");
            assert_eq!(low_port_variable(name, &kept), low_port_variable(name, value), "{name}={value}");
        }
    }

    #[test]
    fn secrets_among_the_words_of_a_command_are_hidden() {
        let words = |line: &[&str]| line.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        for (line, expected) in [
            (
                &["redis-server", "--requirepass", "hunter2", "--port", "80"][..],
                &["redis-server", "--requirepass", "***", "--port", "80"][..],
            ),
            (&["app", "--token=hunter2", "--port=80"], &["app", "--token=***", "--port=80"]),
            (&["app", "--token-file", "/run/token"], &["app", "--token-file", "/run/token"]),
            (&["app", "--password", "$PASSWORD"], &["app", "--password", "$PASSWORD"]),
            (
                &["sh", "-c", "DB_PASSWORD=hunter2 app --secret hunter2 -b 0.0.0.0:80"],
                &["sh", "-c", "DB_PASSWORD=*** app --secret *** -b 0.0.0.0:80"],
            ),
            (&["app", "amqp://me:hunter2@queue:5672/"], &["app", "amqp://…@queue:5672/"]),
            (&["gunicorn", "app:app", "-b", "0.0.0.0:80"], &["gunicorn", "app:app", "-b", "0.0.0.0:80"]),
        ] {
            let kept = without_secrets(&words(line));
            assert_eq!(kept, words(expected));
            assert_eq!(without_secrets(&kept), kept, "kept twice");
        }
    }
}
