//! Images that add content or configuration to a web server and start it as their base does.

use super::configuration::configuration_doubt;
use super::directories::is_within;
use super::identity::printable;
use super::obstacles::{Obstacle, hard, soft};
use super::ports::low_port;
use super::{Application, ImageFacts, php};
use crate::discover::{file_name, join};
use crate::dockerfile::{Keyword, ShellCommand};
use crate::error::SkipReason;
use crate::image::KnownImage;
use regex::Regex;
use std::sync::LazyLock;

/// Where nginx looks for its configuration, as its own images build it.
const CONFIGURATION: &str = "/etc/nginx";

/// OpenResty's nginx, and where that looks: below its prefix, from which it also reads paths that start nowhere
/// (<https://github.com/openresty/docker-openresty>).
const OPENRESTY: &str = "openresty/openresty";
const OPENRESTY_CONFIGURATION: &str = "/usr/local/openresty/nginx/conf";

/// The folders in which a base's nginx looks for its configuration.
fn configuration_folders(base: &KnownImage) -> &'static [&'static str] {
    if base.name == OPENRESTY { &[OPENRESTY_CONFIGURATION, CONFIGURATION] } else { &[CONFIGURATION] }
}

/// What a RUN does that writes a configuration; to remove one is harmless.
const WRITING: [&str; 6] = [">", "sed ", "tee ", "mv ", "cp ", "envsubst"];

/// Directives of nginx that name what it writes (<https://nginx.org/en/docs/dirindex.html>).
static WRITES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?m)(?:^|[;{])[ \t]*((?:error|access)_log|pid|lock_file|(?:client_body|proxy|fastcgi|uwsgi|scgi)_temp_path|(?:proxy|fastcgi|uwsgi|scgi)_cache_path|dav_methods|upload_store)[ \t]+([^\s;]+)").ok()
});

/// What else decides what nginx writes: configuration read from elsewhere, and sockets that it makes.
static READS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?m)(?:^|[;{])[ \t]*(include|listen|load_module)[ \t]+([^\s;]+)").ok());

impl<'a> ImageFacts<'a> {
    /// The base, where it is a server without data of its own that the table knows to run as another user as well, and where the image starts what the
    /// base starts.
    pub fn served_by(&self) -> Option<&'a KnownImage> {
        let base = self.known_base?;
        let is_server =
            base.service.is_some() && base.user.is_none() && base.claim.is_none() && base.volumes.is_empty();
        let argv = self.argv();
        let php = ["docker-php-entrypoint", "apache2-foreground", "php-fpm"];
        let starts_base = match base.name.as_str() {
            "nginx" | OPENRESTY => argv.first().is_none_or(|first| matches!(file_name(first), "nginx" | "openresty")),
            "php" => argv.iter().all(|word| php.contains(&file_name(word)) || word.starts_with('-')),
            _ => false,
        };
        (is_server && starts_base).then_some(base)
    }
}

/// What speaks against starting the server as its own user: its port, scripts that run before it, and configuration that makes it write elsewhere.
pub(super) fn of_server(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    base: &KnownImage,
    found: &mut Vec<Obstacle>,
) {
    // Its own site is part of the file that a copied one replaces, or not.
    let listens = configured_ports(application, image).filter(|_| base.name != OPENRESTY);
    if let Some((place, port)) = listens.iter().flatten().find(|(_, port)| *port < 1024) {
        let detail =
            format!("{} listens on {port}, as {place} says; a process without root cannot rely on it", base.name);
        found.push(low_port(application, detail));
    } else if let Some(port) = base.low_port().filter(|_| listens.is_none()) {
        let detail = format!(
            "{} starts {}, which listens on {port}; a process without root cannot rely on it",
            image.path, base.name
        );
        found.push(low_port(application, detail));
    }
    found.extend(told_by_arguments(image, base));
    if base.name == "php" {
        for container in &application.containers {
            let mounts = container.mounts();
            let configures = |path: &str| php::CONFIGURATION.iter().any(|folder| is_within(path, folder));
            let mount = mounts.iter().find(|mount| configures(&mount.path));
            found.extend(mount.map(|mount| configuration_doubt(container, base, mount)));
        }
        found.extend(php::of_master(application, image, base));
        return;
    }
    for container in &application.containers {
        let mounts = container.mounts();
        let at = |folder: &str| mounts.iter().find(|mount| is_within(&mount.path, folder));
        if let Some(mount) = at("/etc/nginx/templates").or_else(|| at("/docker-entrypoint.d")) {
            let path = printable(&mount.path);
            let detail =
                format!("{} mounts at {path} what the entrypoint of {} works on as root", container.place(), base.name);
            found.push(hard(SkipReason::NeedsRoot, detail));
        } else if let Some(mount) = configuration_folders(base).iter().find_map(|folder| at(folder)) {
            found.push(configuration_doubt(container, base, mount));
        }
    }
    for index in image.dockerfile.effective(image.stage) {
        let instruction = &image.dockerfile.instructions()[index];
        let text = instruction.span.of(image.dockerfile.text());
        let place = image.place(index);
        if ["docker-entrypoint.d", "nginx/templates"].iter().any(|name| text.contains(name)) {
            let detail = format!("{place} adds what the entrypoint of {} does as root before it starts", base.name);
            found.push(hard(SkipReason::NeedsRoot, detail));
            return;
        }
        if instruction.keyword == Keyword::Run
            && (text.contains("nginx") || text.contains("openresty"))
            && WRITING.iter().any(|word| text.contains(word))
        {
            found.push(unseen(&place, base));
        }
    }
    for copied in copied_configurations(application, image, configuration_folders(base)) {
        match copied {
            Copied::Unseen(place) => found.push(unseen(&place, base)),
            Copied::Text { path, text } => {
                if text.lines().any(|line| line.split_whitespace().collect::<String>() == "userroot;") {
                    let detail = format!("{path} has the workers of {} run as root", base.name);
                    found.push(soft(SkipReason::NeedsRoot, detail));
                }
                if let Some(detail) = written_elsewhere(base, &path, &text) {
                    found.push(hard(SkipReason::SystemDirectory, detail));
                    return;
                }
            }
        }
    }
}

fn unseen(place: &str, base: &KnownImage) -> Obstacle {
    soft(
        SkipReason::RunTimeWrites,
        format!("{place} configures {}, and what that makes it write is not seen", base.name),
    )
}

/// What a COPY or ADD puts where a server looks for its configuration.
pub(super) enum Copied {
    /// It cannot be looked at; the place of the instruction.
    Unseen(String),
    /// A file of the tree.
    Text {
        /// Its path.
        path: String,
        /// What it says.
        text: String,
    },
}

/// The configurations that an image brings, in the order of the file; `folders` are those in which its server looks for them.
pub(super) fn copied_configurations(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    folders: &[&str],
) -> Vec<Copied> {
    let tree = application.around.repository.tree();
    let mut found = Vec::new();
    for index in image.dockerfile.effective(image.stage) {
        let instruction = &image.dockerfile.instructions()[index];
        if !matches!(instruction.keyword, Keyword::Copy | Keyword::Add) {
            continue;
        }
        let Some((sources, _)) = image.dockerfile.copy_words(instruction) else { continue };
        let whole = match image.copied_directory(index) {
            Some(to) if folders.iter().any(|folder| is_within(&to, folder)) => false,
            // A tree that is laid over the system's may hold a configuration, and so may what is copied to an unknown place.
            Some(to) if !folders.iter().any(|folder| is_within(folder, &to)) => continue,
            _ => true,
        };
        let place = image.place(index);
        if whole || instruction.flag("from").is_some() {
            found.push(Copied::Unseen(place));
            continue;
        }
        for source in sources {
            // The folder of the Dockerfile is what is built in most often, and the top of the repository next.
            let paths = [image.directory(), ""].into_iter().filter_map(|folder| join(folder, &source));
            let files = |path: String| -> Vec<String> {
                if tree.has(&path) { vec![path] } else { tree.below(&path).map(str::to_owned).collect() }
            };
            let files = paths.map(files).find(|files| !files.is_empty()).unwrap_or_default();
            let mut texts = Vec::new();
            for path in files.iter() {
                texts.extend(tree.read(path).map(|text| Copied::Text { path: path.clone(), text }));
            }
            if texts.is_empty() || texts.len() < files.len() {
                found.push(Copied::Unseen(place.clone()));
            } else {
                found.extend(texts);
            }
        }
    }
    found
}

/// What the command tells the server beside staying in the foreground: another configuration, or directives of its own.
fn told_by_arguments(image: &ImageFacts<'_>, base: &KnownImage) -> Option<Obstacle> {
    let argv = image.argv();
    let plain = |word: &String| match word.trim_end_matches(';').trim() {
        "-g" | "daemon off" => base.name != "php",
        "-F" | "--nodaemonize" => base.name == "php",
        _ => false,
    };
    let told = argv.iter().skip(1).find(|word| !plain(word) && (base.name != "php" || word.starts_with('-')))?;
    let detail = format!(
        "{} starts {} with {}, and what that makes it write is not seen",
        image.path,
        base.name,
        printable(told)
    );
    Some(soft(SkipReason::RunTimeWrites, detail))
}

/// The ports of a configuration that the image puts in place of its base's, with the place of each. `None` where the base's may be in force, or one of
/// several files is not seen, or a server has no `listen` and so has the port of the base.
fn configured_ports(application: &Application<'_>, image: &ImageFacts<'_>) -> Option<Vec<(String, u16)>> {
    let dockerfile = image.dockerfile;
    let mut ports = Vec::new();
    let mut is_replaced = false;
    for index in dockerfile.effective(image.stage) {
        let instruction = &dockerfile.instructions()[index];
        let text = instruction.span.of(dockerfile.text());
        let configures = ["/etc/nginx", "conf.d", "nginx.conf", "default.conf"].iter().any(|name| text.contains(name));
        if matches!(instruction.keyword, Keyword::Run | Keyword::Workdir) && configures {
            let commands = dockerfile.shell_commands(instruction).filter(|_| instruction.keyword == Keyword::Run)?;
            if !commands.iter().all(removes_default) {
                return None;
            }
            is_replaced = true;
        }
        if !matches!(instruction.keyword, Keyword::Copy | Keyword::Add) {
            continue;
        }
        let to = image.copied_directory(index)?;
        if !is_within(&to, CONFIGURATION) {
            // A tree laid over the system's may hold a configuration.
            if is_within(CONFIGURATION, &to) {
                return None;
            }
            continue;
        }
        let (sources, written) = dockerfile.copy_words(instruction)?;
        let [source] = sources.as_slice() else { return None };
        if instruction.flag("from").is_some() {
            return None;
        }
        let tree = application.around.repository.tree();
        let found = [image.directory(), ""].into_iter().filter_map(|folder| join(folder, source));
        let path = found.into_iter().find(|path| tree.has(path))?;
        let text = tree.read(&path)?;
        let name = if written.ends_with('/') || to == written { file_name(&path) } else { file_name(&written) };
        is_replaced |= to == format!("{CONFIGURATION}/conf.d") && name == "default.conf"
            || to == CONFIGURATION && name == "nginx.conf" && !text.contains("include /etc/nginx/conf.d");
        ports.extend(listened(&path, &text)?);
    }
    (is_replaced && !ports.is_empty()).then_some(ports)
}

/// Whether a command removes the site that the base serves.
fn removes_default(command: &ShellCommand) -> bool {
    let words: Vec<&str> = command.words.iter().map(|word| word.written.as_str()).collect();
    matches!(
        words.as_slice(),
        ["rm", "/etc/nginx/conf.d/default.conf"]
            | ["rm", "-f" | "-rf" | "-v", "/etc/nginx/conf.d/default.conf" | "/etc/nginx/conf.d/*"]
    )
}

/// What the servers of a configuration listen on; `None` where one of them names no number, or no `listen` at all.
/// <https://nginx.org/en/docs/http/ngx_http_core_module.html#listen>
fn listened(path: &str, text: &str) -> Option<Vec<(String, u16)>> {
    let plain: Vec<&str> = text.lines().map(|line| line.split('#').next().unwrap_or_default()).collect();
    let mut ports = Vec::new();
    let (mut servers, mut listening) = (0, 0);
    for (line, code) in plain.iter().enumerate() {
        for statement in code.split([';', '{', '}']) {
            let mut words = statement.split_whitespace();
            match words.next() {
                Some("server") if words.next().is_none() => {
                    servers += 1;
                    listening += 1;
                }
                // A server with several counts once.
                Some("listen") => {
                    let address = words.next()?;
                    let port = address.rsplit(':').next()?.parse().ok()?;
                    ports.push((format!("{path}:{}", line + 1), port));
                    listening = 0;
                }
                Some("include") if words.next().is_some_and(|file| !file.ends_with("mime.types")) => return None,
                _ => {}
            }
            if listening > 1 {
                return None;
            }
        }
    }
    (servers > 0 && listening == 0).then_some(ports)
}

/// What a configuration makes nginx write where only root may: anything but its cache, the directory of its pid file, /tmp, and the logs, which the image
/// links to standard output.
fn written_elsewhere(base: &KnownImage, path: &str, text: &str) -> Option<String> {
    let logs = ["/var/log/nginx/access.log", "/var/log/nginx/error.log"];
    let known = base.root_owned.iter().map(String::as_str).chain(["/run", "/tmp", "/dev"]);
    let known: Vec<&str> = known.collect();
    let elsewhere = |directive: &str, value: &str| match directive {
        "include" | "load_module" => {
            value.starts_with('/') && !configuration_folders(base).iter().any(|folder| is_within(value, folder))
        }
        _ => value
            .strip_prefix("unix:")
            .is_some_and(|socket| !known.iter().any(|directory| is_within(socket, directory))),
    };
    let read = READS.as_ref()?.captures_iter(text).find_map(|found| {
        let (directive, value) = (found.get(1)?.as_str(), found.get(2)?.as_str().trim_matches(['"', '\'']));
        let line = crate::source::Position::of(text, found.get(1)?.start()).line;
        let what = format!("{path}:{line} says {directive} {}, which may need root", printable(value));
        elsewhere(directive, value).then_some(what)
    });
    if read.is_some() {
        return read;
    }
    WRITES.as_ref()?.captures_iter(text).find_map(|found| {
        let (directive, value) = (found.get(1)?.as_str(), found.get(2)?.as_str());
        let value = value.trim_matches(['"', '\'']);
        // A path that starts nowhere starts at the prefix of the build.
        let is_own = base.name == OPENRESTY && !value.starts_with('/');
        let harmless = is_own
            || ["off", "stderr"].contains(&value)
            || value.starts_with("syslog:")
            || logs.contains(&value)
            || known.iter().any(|directory| is_within(value, directory));
        let line = crate::source::Position::of(text, found.get(1)?.start()).line;
        (!harmless).then(|| format!("{path}:{line} says {directive} {}, which only root may write", printable(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{KnownImages, Reference};

    #[test]
    fn a_port_is_known_where_each_server_names_one() {
        let ports = |text: &str| {
            listened("site.conf", text).map(|ports| ports.into_iter().map(|(_, port)| port).collect::<Vec<_>>())
        };
        assert_eq!(ports("server {\n  listen 8080;\n  listen [::]:8080 default_server;\n}"), Some(vec![8080, 8080]));
        assert_eq!(ports("server { listen 127.0.0.1:81; }\nserver { listen 3000 ssl; }"), Some(vec![81, 3000]));
        assert_eq!(ports("# listen 80;\nserver\n{\n listen 8443 ssl;\n}"), Some(vec![8443]));
        for unclear in [
            "server { root /srv; }",
            "server { root /srv; }\nserver { listen 8080; }",
            "server { listen 8080; }\nserver { root /srv; }",
            "server { listen unix:/run/a.sock; }",
            "server { listen $PORT; }",
            "server { listen localhost; }",
            "server { listen 8080; include sites/*; }",
            "gzip on;",
        ] {
            assert_eq!(ports(unclear), None, "{unclear}");
        }
    }

    #[test]
    fn only_what_nginx_writes_elsewhere_speaks_against_it() {
        let images = KnownImages::default();
        let base = images.find(&Reference::parse("nginx:1.27").unwrap()).unwrap();
        let judged = |text: &str| written_elsewhere(base, "nginx.conf", text);
        for harmless in [
            "server { listen 80; root /usr/share/nginx/html; }",
            "pid /var/run/nginx.pid;\nerror_log /dev/stderr warn;\naccess_log off;",
            "access_log /var/log/nginx/access.log main;\n  proxy_cache_path /var/cache/nginx/a levels=1:2;",
            "client_body_temp_path /tmp/body;\n# pid /srv/nginx.pid;",
        ] {
            assert_eq!(judged(harmless), None, "{harmless}");
        }
        assert_eq!(
            judged("events {}\naccess_log /var/log/nginx/site.log;").unwrap(),
            "nginx.conf:2 says access_log /var/log/nginx/site.log, which only root may write"
        );
        assert!(judged("  proxy_cache_path /data/cache;").is_some());
        assert!(judged("pid logs/nginx.pid;").is_some());
        assert!(judged("server { listen 80; access_log /srv/access.log; }").is_some());
        assert!(judged("http { include /srv/conf/*.conf; }").is_some());
        assert!(judged("server { listen unix:/srv/web.sock; }").is_some());
        assert_eq!(judged("include mime.types;\ninclude /etc/nginx/conf.d/*.conf;\nlisten unix:/run/web.sock;"), None);
    }
}
