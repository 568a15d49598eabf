//! Images that give PHP's Apache or FPM their pages and start it as the official images do.
//!
//! Only the master of those servers is root: its workers, and with them every page, run as www-data
//! (<https://github.com/docker-library/php>). So what the pages may do is the same once the master is www-data as well; what counts is what the master does:
//! it binds the port, opens the logs, writes its pid file, reads keys, and gives its workers their user.

use super::directories::is_within;
use super::identity::printable;
use super::obstacles::{Obstacle, hard, soft};
use super::served::{Copied, copied_configurations};
use super::{Application, ImageFacts, stack};
use crate::config::Profile;
use crate::dockerfile::{Keyword, ShellCommand};
use crate::error::SkipReason;
use crate::image::KnownImage;
use regex::Regex;
use std::sync::LazyLock;

/// Where the servers look for their configuration. That of PHP itself, below /usr/local/etc/php, is for the workers.
pub(super) const CONFIGURATION: [&str; 3] = ["/etc/apache2", "/usr/local/etc/php-fpm.d", "/usr/local/etc/php-fpm.conf"];

/// Directories in which www-data may make files; the images leave them to everybody.
const WRITABLE: [&str; 8] = [
    "/var/log/apache2",
    "/var/run/apache2",
    "/var/lock/apache2",
    "/tmp",
    "/dev",
    "/proc/self/fd",
    "${APACHE_LOG_DIR}",
    "${APACHE_RUN_DIR}",
];

/// Directives of Apache that only its master obeys (<https://httpd.apache.org/docs/2.4/mod/directives.html>), and the first word after them.
static APACHE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?mi)^[ \t]*((?:error|custom|transfer|forensic|global|script)log|pidfile|defaultruntimedir|scoreboardfile|cacheroot|davlockdb",
        r"|sec(?:auditlog|debuglog|datadir)|user|group|assignuserid|suexecusergroup|chrootdir|include(?:optional)?|sslcertificatekeyfile)[ \t]+([^\s=]\S*)",
    ))
    .ok()
});

/// Directives of a pool of FPM that only its master obeys (<https://www.php.net/manual/install.fpm.configuration.php>).
static FPM: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?mi)^[ \t]*(user|group|listen|pid|error_log|access\.log|slowlog|chroot|include)[ \t]*=[ \t]*(\S+)")
        .ok()
});

/// What a command that edits the configuration says when it may concern one of those.
static CONCERNS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)log|user|group|\bpid|lock|ssl|mutex|sock|cache|\bdav|chroot|include|www-data|listen\s*=").ok()
});

/// What speaks against starting the master as www-data.
pub(super) fn of_master(application: &Application<'_>, image: &ImageFacts<'_>, base: &KnownImage) -> Vec<Obstacle> {
    let mut found = Vec::new();
    if application.around.config.profile == Profile::ArbitraryUid {
        let detail = format!("{} has files of www-data, and the platform chooses another user", image.path);
        found.push(hard(SkipReason::NeedsRoot, detail));
    }
    for (name, value) in image.dockerfile.env(image.stage) {
        if matches!(name.as_str(), "APACHE_RUN_USER" | "APACHE_RUN_GROUP") && value != "www-data" {
            let detail = format!("{} has the workers of {} run as {}", image.path, base.name, printable(&value));
            found.push(hard(SkipReason::NeedsRoot, detail));
        }
    }
    for index in image.dockerfile.effective(image.stage) {
        let instruction = &image.dockerfile.instructions()[index];
        if instruction.keyword != Keyword::Run {
            continue;
        }
        let place = image.place(index);
        found.extend(match image.dockerfile.shell_commands(instruction) {
            Some(commands) => commands.iter().find_map(|command| of_command(command, &place, base)),
            None => {
                let text = instruction.span.of(image.dockerfile.text());
                (names_configuration(text) || text.contains("www-data")).then(|| unseen(&place, base))
            }
        });
    }
    for copied in copied_configurations(application, image, &CONFIGURATION) {
        match copied {
            Copied::Unseen(place) => found.push(unseen(&place, base)),
            Copied::Text { path, text } => found.extend(of_configuration(&path, &text)),
        }
    }
    found
}

/// What a command of the build does to the account, or to the configuration.
fn of_command(command: &ShellCommand, place: &str, base: &KnownImage) -> Option<Obstacle> {
    let words = stack::words(command);
    let has = |word: &str| words.contains(&word);
    match words.first().copied()? {
        "usermod" | "groupmod" | "userdel" | "groupdel" | "deluser" | "delgroup" if has("www-data") => {
            return Some(hard(
                SkipReason::NeedsRoot,
                format!("{place} changes the account that {} runs as", base.name),
            ));
        }
        // Its key is for root and a group of its own.
        "a2ensite" if words.iter().any(|word| word.starts_with("default-ssl")) => {
            return Some(hard(SkipReason::NeedsRoot, format!("{place} enables a site whose key only root may read")));
        }
        "a2enmod" if words.iter().any(|word| word.contains("itk") || word.contains("suexec")) => {
            return Some(hard(SkipReason::NeedsRoot, format!("{place} enables a module that changes users")));
        }
        "a2enmod" | "a2dismod" | "a2ensite" | "a2dissite" | "a2enconf" | "a2disconf" | "rm" => return None,
        _ => {}
    }
    let written = command.words.iter().map(|word| word.written.as_str());
    let targets = command.redirections.iter().map(|redirection| redirection.target.written.as_str());
    let text: Vec<&str> = written.chain(targets).collect();
    let text = text.join(" ");
    let concerns = CONCERNS.as_ref().is_none_or(|concerns| concerns.is_match(&text));
    (names_configuration(&text) && concerns).then(|| unseen(place, base))
}

/// Whether a command names a file that the master reads, by its path or below a directory that it changed to.
fn names_configuration(text: &str) -> bool {
    const NAMES: [&str; 8] =
        ["apache2/", "APACHE_", "php-fpm.", "sites-", "conf-available", "conf-enabled", "ports.conf", "envvars"];
    NAMES.iter().any(|name| text.contains(name))
}

fn unseen(place: &str, base: &KnownImage) -> Obstacle {
    let detail = format!("{place} configures {}, and what that makes its master do as root is not seen", base.name);
    soft(SkipReason::RunTimeWrites, detail)
}

/// The first line of a configuration that needs a master who is root, or may.
fn of_configuration(path: &str, text: &str) -> Option<Obstacle> {
    [&APACHE, &FPM].into_iter().filter_map(|pattern| pattern.as_ref()).find_map(|pattern| {
        pattern.captures_iter(text).find_map(|found| {
            let (directive, value) = (found.get(1)?.as_str(), found.get(2)?.as_str().trim_matches(['"', '\'']));
            let line = crate::source::Position::of(text, found.get(1)?.start()).line;
            let says = format!("{path}:{line} says {directive} {}", printable(value));
            of_directive(&directive.to_ascii_lowercase(), value, &says)
        })
    })
}

fn of_directive(directive: &str, value: &str, says: &str) -> Option<Obstacle> {
    let is_writable = || WRITABLE.iter().any(|directory| is_within(value, directory));
    match directive {
        "user" | "group" if ["www-data", "${APACHE_RUN_USER}", "${APACHE_RUN_GROUP}"].contains(&value) => None,
        "user" | "group" | "assignuserid" | "suexecusergroup" | "chrootdir" | "chroot" => {
            Some(hard(SkipReason::NeedsRoot, format!("{says}, which only root can do")))
        }
        "sslcertificatekeyfile" => {
            Some(soft(SkipReason::RunTimeWrites, format!("{says}, which only root may be allowed to read")))
        }
        "include" | "includeoptional" => {
            let is_known = !value.starts_with('/') || CONFIGURATION.iter().any(|folder| is_within(value, folder));
            (!is_known).then(|| soft(SkipReason::RunTimeWrites, format!("{says}, which is not seen")))
        }
        // A port or an address, and a path of a socket.
        "listen" if !value.starts_with('/') => None,
        _ if value.starts_with("syslog") || is_writable() => None,
        _ if value.starts_with('|') => {
            Some(soft(SkipReason::RunTimeWrites, format!("{says}, a program that writes as root so far")))
        }
        _ => Some(hard(SkipReason::SystemDirectory, format!("{says}, which only root may write"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_master_does_as_root_speaks_against_another_user() {
        let judged = |text: &str| of_configuration("site.conf", text).map(|obstacle| (obstacle.hard, obstacle.detail));
        for harmless in [
            "<VirtualHost *:80>\n  DocumentRoot /var/www/html/public\n  ErrorLog ${APACHE_LOG_DIR}/error.log\n  CustomLog /dev/stdout combined\n</VirtualHost>",
            "Listen 8080\nUser ${APACHE_RUN_USER}\nGroup www-data\nIncludeOptional sites-enabled/*.conf",
            "LogFormat \"%h\" combined\nLogLevel warn\n# ErrorLog /srv/error.log",
            "[www]\nuser = www-data\ngroup = www-data\nlisten = 9000\npm = static\naccess.log = /proc/self/fd/2",
            "[www]\nlisten = 127.0.0.1:9000\n;user = app\nphp_admin_value[error_log] = /srv/php.log\nslowlog = /tmp/slow.log",
        ] {
            assert_eq!(judged(harmless), None, "{harmless}");
        }
        assert_eq!(
            judged("ServerName x\n  ErrorLog \"/srv/log/error.log\"").unwrap(),
            (true, "site.conf:2 says ErrorLog /srv/log/error.log, which only root may write".to_owned())
        );
        for hard in [
            "CustomLog logs/access.log combined",
            "User app",
            "[www]\ngroup = app",
            "listen = /run/php-fpm.sock",
            "AssignUserID app app",
        ] {
            assert!(judged(hard).unwrap().0, "{hard}");
        }
        for soft in [
            "SSLCertificateKeyFile /etc/ssl/private/site.key",
            "Include /srv/sites/*.conf",
            "ErrorLog |/usr/bin/rotate",
        ] {
            assert!(!judged(soft).unwrap().0, "{soft}");
        }
    }
}
