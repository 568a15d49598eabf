//! What a program needs at run time, as far as its language tells.

use super::obstacles::{Obstacle, soft};
use super::{Application, ImageFacts, Stack, sources};
use crate::discover::{file_name, join};
use crate::dockerfile::Keyword;
use crate::error::SkipReason;
use crate::image::KnownImage;
use regex::Regex;
use std::sync::LazyLock;

/// Variables that tell a .NET program where to listen
/// (<https://learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel/endpoints>).
pub(super) const LISTENING_URLS: [&str; 3] = ["ASPNETCORE_URLS", "DOTNET_URLS", "URLS"];

/// The same for ports alone.
pub(super) const LISTENING_PORTS: [&str; 2] = ["ASPNETCORE_HTTP_PORTS", "ASPNETCORE_HTTPS_PORTS"];

/// What a program needs is told by its language and its sources: without both, nothing is known.
pub(super) fn of_stack(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    let tree = application.around.repository.tree();
    let detail = match image.stack {
        // Their commands are known, and what brings them is judged there.
        Some(Stack::Go | Stack::Node | Stack::Python) => return,
        Some(stack) if sources::holds_sources(tree, image.directory(), stack) => return,
        Some(stack) => {
            format!("what the {stack} program needs at run time is not seen: no sources beside {}", image.path)
        }
        None => "what the program needs at run time is not known for its language".to_owned(),
    };
    found.push(soft(SkipReason::UnknownStack, detail));
}

/// Whether a program whose files lie in a directory of the system may write beside them. The interpreted languages keep caches, logs and sessions
/// there; a program that is compiled writes where its sources say.
pub(super) fn writes_beside_itself(application: &Application<'_>, image: &ImageFacts<'_>) -> bool {
    let is_told = image.stack.is_some_and(|stack| stack.is_compiled() || matches!(stack, Stack::Java | Stack::DotNet));
    let writes = |survey: &super::writes::Survey| {
        survey.sites.iter().any(|site| site.target.as_deref().is_none_or(|target| !target.starts_with('/')))
    };
    !is_told || application.survey().is_none_or(writes)
}

/// Whether the image, its command or all its containers say where a .NET program listens.
pub(super) fn told_where_to_listen(application: &Application<'_>, image: &ImageFacts<'_>) -> bool {
    let is_listening = |name: &str| LISTENING_URLS.contains(&name) || LISTENING_PORTS.contains(&name);
    let by_image = image.dockerfile.env(image.stage).iter().any(|(name, _)| is_listening(name))
        || image.argv().iter().any(|word| word.contains("--urls"));
    let by_container = || {
        let mut containers = application.containers.iter();
        !application.containers.is_empty()
            && containers.all(|container| container.view.env_values().iter().any(|(name, _)| is_listening(name)))
    };
    by_image || by_container()
}

impl<'a> ImageFacts<'a> {
    /// The base, where it is a server that the image starts as the base does, with an application of its own in it, and that starts as any user. The
    /// images of PHP and Tomcat make the directories that their servers write to writable for everybody
    /// (<https://github.com/docker-library/php/issues/743>, <https://github.com/docker-library/tomcat/issues/35>).
    pub fn hosted_by(&self) -> Option<&'a KnownImage> {
        let base = self.known_base.filter(|base| base.user.is_none())?;
        let programs: &[&str] = match base.name.as_str() {
            "php" if !base.ports.is_empty() => &["apache2-foreground", "php-fpm"],
            "tomcat" => &["catalina.sh"],
            _ => return None,
        };
        let argv = self.argv();
        let mut words = argv.iter().map(|word| file_name(word)).filter(|word| *word != "docker-php-entrypoint");
        words.next().is_none_or(|word| programs.contains(&word)).then_some(base)
    }
}

/// Directives of Apache and PHP-FPM that name what they write, and FPM's socket.
static SERVER_WRITES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?m)^[ \t]*(ErrorLog|CustomLog|TransferLog|PidFile|error_log|access\.log|slowlog|pid|listen)[ \t]*[= \t][ \t]*"?([^\s"]+)"#)
        .ok()
});

/// What the configuration that an image gives such a server makes it write.
pub(super) fn of_host(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    base: &KnownImage,
    found: &mut Vec<Obstacle>,
) {
    const PLACES: [&str; 4] = ["/etc/apache2", "php-fpm.d", "php-fpm.conf", "sites-available"];
    let tree = application.around.repository.tree();
    for index in image.dockerfile.effective(image.stage) {
        let instruction = &image.dockerfile.instructions()[index];
        let text = instruction.span.of(image.dockerfile.text());
        if !PLACES.iter().any(|place| text.contains(place)) {
            continue;
        }
        let place = image.place(index);
        let unseen = || {
            let detail = format!("{place} configures {}, and what that makes it write is not seen", base.name);
            soft(SkipReason::RunTimeWrites, detail)
        };
        match instruction.keyword {
            // Where its pages are is nothing that it writes.
            Keyword::Run if text.contains("DOCUMENT_ROOT") => {}
            Keyword::Run => found.push(unseen()),
            Keyword::Copy | Keyword::Add => {
                let sources = image.dockerfile.copy_words(instruction).map(|(sources, _)| sources).unwrap_or_default();
                let from_tree = instruction.flag("from").is_none();
                for source in sources {
                    let paths = [image.directory(), ""].into_iter().filter_map(|folder| join(folder, &source));
                    let read = || paths.filter(|_| from_tree).find_map(|path| Some((tree.read(&path)?, path)));
                    match read() {
                        None => found.push(unseen()),
                        Some((text, path)) => found.extend(written_by_server(&text).map(|what| {
                            let detail = format!("{path} says {what}, which only root may write");
                            soft(SkipReason::SystemDirectory, detail)
                        })),
                    }
                }
            }
            _ => {}
        }
    }
}

/// The first directive that names a path which only root may write to.
fn written_by_server(text: &str) -> Option<String> {
    const OPEN: [&str; 8] =
        ["|", "/dev/", "/proc/", "/tmp/", "${APACHE_LOG_DIR}", "/var/log/apache2/", "syslog", "off"];
    SERVER_WRITES.as_ref()?.captures_iter(text).find_map(|found| {
        let (directive, value) = (found.get(1)?.as_str(), found.get(2)?.as_str());
        let is_port = directive == "listen" && !value.starts_with('/');
        let is_open = is_port || OPEN.iter().any(|start| value.starts_with(start));
        (!is_open).then(|| format!("{directive} {}", super::identity::printable(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_server_writes_elsewhere_speaks_against_it() {
        for harmless in [
            "<VirtualHost *:8080>\n  DocumentRoot /srv\n  ErrorLog ${APACHE_LOG_DIR}/error.log\n</VirtualHost>",
            "  CustomLog /dev/stdout combined",
            "[www]\nlisten = 9000\naccess.log = /proc/self/fd/2",
            "listen = 127.0.0.1:9000\nlisten.owner = www-data",
            "listen = [::]:9000",
            "listen = /tmp/php.sock",
        ] {
            assert_eq!(written_by_server(harmless), None, "{harmless}");
        }
        for harmful in [
            "listen = /run/php/fpm.sock",
            "  ErrorLog /srv/logs/error.log",
            "ErrorLog logs/error.log",
            "pid = /run/fpm.pid",
        ] {
            assert!(written_by_server(harmful).is_some(), "{harmful}");
        }
    }
}
