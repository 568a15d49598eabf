//! Ports that an application listens on, as far as files tell; those below 1024 are what root is for.

use super::needs::{LISTENING_PORTS, LISTENING_URLS, holds_options};
use super::observed::HOW;
use super::obstacles::{Obstacle, hard, soft};
use super::{Application, ContainerFacts, ImageFacts, identity::printable, sources};
use crate::error::SkipReason;
use crate::image::ImageConfig;
use crate::link::Link;
use regex::Regex;
use std::fmt::Display;
use std::sync::LazyLock;

/// What to do about any of them.
const ADVICE: &str = "a process without root cannot rely on it; listen on a port above 1023";

/// A port that is listened on: where no container of the tree may run the image, nothing tells whether it runs where anybody may listen on any port, as
/// with Docker.
pub(super) fn low_port(application: &Application<'_>, detail: String) -> Obstacle {
    let around = &application.around;
    let file = application.image.as_ref().map(|image| image.file);
    let may_run = |id| match around.links.of(id) {
        Link::Ambiguous(candidates) => candidates.iter().any(|candidate| Some(*candidate) == file),
        _ => false,
    };
    let is_run = !application.containers.is_empty() || around.repository.containers().any(may_run);
    let weigh = if is_run { hard } else { soft };
    weigh(SkipReason::LowPort, detail)
}

/// Ports that the Dockerfile or the sources name.
pub(super) fn of_image(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    let env = image.dockerfile.env(image.stage);
    let exposed = image.dockerfile.ports(image.stage).into_iter().map(|(port, _)| port).find(|port| *port < 1024);
    let told = || env.iter().find_map(|(name, value)| Some((name, low_port_variable(name, value)?)));
    let seen = if let Some(port) = exposed {
        Some(format!("EXPOSE {port} in {}", image.path))
    } else if let Some((name, port)) = told() {
        Some(format!("ENV {}={port} in {}", printable(name), image.path))
    } else {
        low_port_argument(&image.argv()).map(|port| format!("the command of {} listens on {port}", image.path))
    };
    if let Some(seen) = seen {
        found.push(low_port(application, format!("{seen}: {ADVICE}")));
        return;
    }
    if image.stack.is_some()
        && let Some(place) = sources::low_port(application.around.repository.tree(), image.directory())
    {
        found.push(soft(SkipReason::LowPort, format!("{place}: {ADVICE}")));
    }
}

/// Ports that the manifests name: the container's own, its variables, and those that Services send to.
pub(super) fn of_container(
    application: &Application<'_>,
    container: &ContainerFacts<'_>,
    place: &dyn Display,
    found: &mut Vec<Obstacle>,
) {
    if application.image.is_none()
        && let Some(known) = container.known
        && let Some(port) = known.low_port()
    {
        found.push(hard(SkipReason::LowPort, format!("{place}: {} listens on {port}: {ADVICE}", known.name)));
        return;
    }
    let Some(seen) = low_port_of(application, container, place) else { return };
    if container.is_configured_non_root() {
        // It is not root today: what lets it listen may be a capability of its program's file, and without it the program does not start at all.
        let detail = format!("{seen}, and as its image is not root, its program may have a capability of its own");
        found.push(hard(SkipReason::NeedsRoot, detail));
    } else {
        found.push(hard(SkipReason::LowPort, format!("{seen}: {ADVICE}")));
    }
}

fn low_port_of(application: &Application<'_>, container: &ContainerFacts<'_>, place: &dyn Display) -> Option<String> {
    let own = container.view.ports();
    let argument = || container.argv(None).and_then(|argv| low_port_argument(&argv));
    let set = container.view.env_values();
    let exposed = || exposed_low(container.config?, &set);
    if let Some(port) = own.iter().find(|port| is_low(**port)) {
        Some(format!("{place} has containerPort {port}"))
    } else if let Some((name, port)) =
        set.iter().find_map(|(name, value)| Some((name, low_port_variable(name, value)?)))
    {
        Some(format!("{place} sets {}={port}", printable(name)))
    } else if let Some(port) = argument() {
        Some(format!("{place} listens on {port}"))
    } else if let Some(port) = container.view.probe_ports().into_iter().find(|port| is_low(*port)) {
        Some(format!("{place} is probed on port {port}"))
    } else if own.is_empty()
        && application.image.is_some()
        && let Some((service, port)) = service_port(application, container)
    {
        Some(format!("Service {} sends to port {port} of {place}", printable(&service)))
    } else if let Some(port) = exposed() {
        Some(format!("{place} runs an image that exposes port {port}"))
    } else {
        let seen = application.observed_ports(container)?;
        let low = seen.iter().find(|port| **port < 1024)?;
        Some(format!("{place} listens on {low} ({HOW})"))
    }
}

/// A port below 1024 that the configuration of an image exposes, or names in a variable that is not among `set`.
pub(super) fn exposed_low(config: &ImageConfig, set: &[(String, String)]) -> Option<u16> {
    let mut left = config.env.iter().filter(|(name, _)| set.iter().all(|(other, _)| other != name));
    let named = || left.find_map(|(name, value)| low_port_variable(name, value));
    config.ports.iter().copied().find(|port| *port < 1024).or_else(named)
}

fn is_low(port: i64) -> bool {
    port > 0 && port < 1024
}

/// A Service of the tree that selects the pod and sends to a low port, where the container itself names none.
fn service_port(application: &Application<'_>, container: &ContainerFacts<'_>) -> Option<(String, i64)> {
    let labels = container.workload.labels(&container.manifest.stream);
    application.around.repository.services(&labels).find_map(|service| {
        let port = service.target_ports.iter().copied().find(|port| is_low(*port))?;
        Some((service.name.clone(), port))
    })
}

pub(super) fn low_port_variable(name: &str, value: &str) -> Option<u16> {
    let mut parts = value.split([';', ',']);
    if LISTENING_URLS.contains(&name) {
        return parts.find_map(low_port_of_url);
    }
    if holds_options(name) {
        let (_, port) = value.split_once("server.port=")?;
        let digits = port.split(|c: char| !c.is_ascii_digit()).next()?;
        return digits.parse().ok().filter(|port| *port > 0 && *port < 1024);
    }
    if LISTENING_PORTS.contains(&name) {
        return parts.find_map(|port| port.trim().parse().ok().filter(|port| *port > 0 && *port < 1024));
    }
    if let Some(port) = low_port_of_address(value) {
        return Some(port);
    }
    let port: u16 = value.parse().ok()?;
    (name.to_ascii_uppercase().ends_with("PORT") && port > 0 && port < 1024 && is_listening_name(name)).then_some(port)
}

/// The port of `0.0.0.0:80`, `:80` or `http://*:80`: every address of a machine is something to listen on, whatever the variable is called.
fn low_port_of_address(value: &str) -> Option<u16> {
    let host = value.split_once("://").map_or(value, |(_, host)| host);
    let (address, port) = host.trim_end_matches('/').rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    (matches!(address, "" | "0.0.0.0" | "*" | "+" | "[::]") && port > 0 && port < 1024).then_some(port)
}

/// The port of `http://+:80`, also where it goes without saying.
fn low_port_of_url(url: &str) -> Option<u16> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let written = rest.split(['/', '?']).next()?.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let port = match (written, scheme) {
        (Some(port), _) => port,
        (None, "https") => 443,
        (None, "http") => 80,
        (None, _) => return None,
    };
    (port > 0 && port < 1024).then_some(port)
}

/// `DB_PORT` and `SMTP_PORT` name the other side's port.
pub(super) fn is_listening_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    [
        "PORT",
        "HTTP_PORT",
        "HTTPS_PORT",
        "APP_PORT",
        "SERVER_PORT",
        "LISTEN_PORT",
        "FLASK_RUN_PORT",
        "NODE_PORT",
        "WEB_PORT",
        "ROCKET_PORT",
        "QUARKUS_HTTP_PORT",
        "MICRONAUT_SERVER_PORT",
        "MANAGEMENT_SERVER_PORT",
    ]
    .contains(&name.as_str())
}

/// `:80`, `--port 80`, `--port=80`, `-p 80`, `http://*:80`.
pub(super) fn low_port_argument(argv: &[String]) -> Option<u16> {
    // `${PORT:-80}` is 80 until somebody says otherwise.
    static DEFAULT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\$\{\w+:?-(\d+)\}").ok());
    let line = argv.join(" ");
    let line = DEFAULT.as_ref().map_or(line.as_str().into(), |default| default.replace_all(&line, "$1"));
    let words: Vec<&str> = line.split_whitespace().collect();
    // To these, `-p` is a process or a parent.
    const OTHERS: [&str; 5] = ["strace", "ps", "mkdir", "gdb", "nsenter"];
    if words.first().is_some_and(|word| OTHERS.contains(&crate::discover::file_name(word))) {
        return None;
    }
    let low = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0 && *port < 1024);
    words.iter().enumerate().find_map(|(at, word)| {
        let named = word
            .split_once('=')
            .filter(|(name, _)| name.trim_start_matches('-').ends_with("port"))
            .and_then(|(_, port)| low(port));
        let next = matches!(*word, "--port" | "-p" | "-l" | "--listen" | "--http-port" | "http.server")
            .then(|| words.get(at + 1).and_then(|port| low(port)))
            .flatten();
        let bound = word.rsplit_once(':').filter(|(host, _)| !host.contains('/')).and_then(|(_, port)| low(port));
        // Every address of a machine is no other one's.
        let anywhere = || {
            let is_wildcard = |url: &&str| {
                url.split_once("://")
                    .is_some_and(|(_, host)| ["0.0.0.0", "*", "+", "[::]"].iter().any(|any| host.starts_with(any)))
            };
            word.split(['=', ';', ',', '"', '\'']).filter(is_wildcard).find_map(low_port_of_url)
        };
        named.or(next).or(bound).or_else(anywhere)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn low_ports_in_arguments() {
        assert_eq!(low_port_argument(&argv("gunicorn app:app -b 0.0.0.0:80")), Some(80));
        assert_eq!(low_port_argument(&argv("uvicorn main:app --port=443")), Some(443));
        assert_eq!(low_port_argument(&argv("flask run -p 80")), Some(80));
        assert_eq!(low_port_argument(&argv("uvicorn main:app --port 8000 --workers 4")), None);
        assert_eq!(low_port_argument(&argv("rails s -b 0.0.0.0 -p ${PORT:-80}")), Some(80));
        assert_eq!(low_port_argument(&argv("gunicorn app:app -b 0.0.0.0:${PORT:-8000}")), None);
        assert_eq!(low_port_argument(&argv("redis://cache:1")), None);
        assert_eq!(low_port_argument(&argv("dotnet a.dll --urls http://0.0.0.0:80")), Some(80));
        assert_eq!(low_port_argument(&argv("dotnet a.dll --urls=http://*:8080;https://*:443")), Some(443));
        assert_eq!(low_port_argument(&argv("puma -b tcp://0.0.0.0:9292")), None);
        assert_eq!(low_port_argument(&argv("app --upstream http://api:80")), None);
        assert_eq!(low_port_argument(&argv("-Dserver.port=80 -Xmx1g")), Some(80));
        assert_eq!(low_port_argument(&argv("puma -b tcp://0.0.0.0:80")), Some(80));
        assert_eq!(low_port_argument(&argv("puma -b unix:///tmp/puma.sock")), None);
        assert_eq!(low_port_argument(&argv("dotnet Shop.dll --urls http://*")), Some(80));
        assert_eq!(low_port_argument(&argv("dotnet Shop.dll --urls=http://+:8080;http://+:81")), Some(81));
        assert_eq!(low_port_argument(&argv("java -Dserver.port=80 -jar shop.jar")), Some(80));
    }

    #[test]
    fn the_other_sides_port_is_not_ours() {
        assert_eq!(low_port_variable("PORT", "80"), Some(80));
        assert_eq!(low_port_variable("SMTP_PORT", "25"), None);
        assert_eq!(low_port_variable("PORT", "8080"), None);
        assert_eq!(low_port_variable("Kestrel__Endpoints__Http__Url", "http://*:80"), Some(80));
        assert_eq!(low_port_variable("LISTEN_ADDR", ":443"), Some(443));
        assert_eq!(low_port_variable("BIND", "0.0.0.0:8080"), None);
        assert_eq!(low_port_variable("API", "http://api:80"), None);
        assert_eq!(low_port_variable("JAVA_OPTS", "-Xmx1g -Dserver.port=81 -Dhttp.proxyPort=80"), Some(81));
        assert_eq!(low_port_variable("JAVA_OPTS", "-Dserver.port=8080"), None);
        assert_eq!(low_port_variable("ASPNETCORE_URLS", "http://+:8080;https://+"), Some(443));
        assert_eq!(low_port_variable("ASPNETCORE_HTTP_PORTS", "8080"), None);
    }
}
