//! What speaks against running an application as anything but root.
//!
//! Every entry is something that broke real deployments after somebody wrote `USER` or `runAsNonRoot`. A hard obstacle stops `--unsafe` as well.

use super::{Application, ContainerFacts, ImageFacts, Stack, User, sources, stack};
use crate::dockerfile::Keyword;
use crate::error::SkipReason;
use crate::facts::identity::printable;
use crate::image::Family;
use crate::kubernetes::{self, VolumeSource};
use crate::yaml::Node;

/// One reason to stay root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The stable code.
    pub reason: SkipReason,
    /// What was seen, and where.
    pub detail: String,
    /// Not even `--unsafe` goes on.
    pub hard: bool,
}

/// Programs that need root, or change the user themselves, when they are what a container starts.
const NEEDS_ROOT: [&str; 28] = [
    "su",
    "sudo",
    "gosu",
    "su-exec",
    "setpriv",
    "runuser",
    "chroot",
    "chown",
    "chgrp",
    "supervisord",
    "cron",
    "crond",
    "sshd",
    "rsyslogd",
    "syslogd",
    "service",
    "systemctl",
    "init",
    "nginx",
    "apache2",
    "apache2ctl",
    "httpd",
    "php-fpm",
    "haproxy",
    "dockerd",
    "iptables",
    "mount",
    "sysctl",
];

pub(super) fn of(application: &Application<'_>) -> Vec<Obstacle> {
    let mut found = Vec::new();
    if let Some(image) = &application.image {
        of_image(application, image, &mut found);
    }
    for container in &application.containers {
        of_container(application, container, &mut found);
    }
    found
}

fn of_image(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    if let Some(doubt) = &image.stage_doubt {
        found.push(hard(SkipReason::AmbiguousLink, format!("{doubt}; name the target in a [[link]] of unroot.toml")));
    }
    let heirs = image.heirs();
    if let Some(heir) = heirs.first() {
        let name = heir.name.clone().unwrap_or_else(|| heir.index.to_string());
        found.push(hard(
            SkipReason::SharedStage,
            format!("stage {} is built FROM it and would inherit the user", printable(&name)),
        ));
    }
    if let Some(heir) = application.around.links.heirs(image.file).first() {
        let path = &application.around.repository.file(*heir).path;
        found.push(hard(SkipReason::SharedStage, format!("{path} starts from its image and would inherit the user")));
    }
    if let User::Unknown { how } = &image.user {
        found.push(hard(SkipReason::UnknownUser, how.clone()));
    } else if image.family.is_none() {
        found.push(hard(
            SkipReason::UnknownUser,
            format!("nothing is known of the base {}", printable(&image.base_text)),
        ));
    }
    base_command(image, found);
    if image.stack.is_none() {
        found.push(soft(
            SkipReason::UnknownStack,
            "what the program needs at run time is not known for its language".to_owned(),
        ));
    }
    of_command(&image.argv(), image.path, found);
    unknown_program(application, image, found);
    entrypoint_script(application, image, found);
    ports(application, image, found);
    root_home(application, image, found);
    let tree = application.around.repository.tree();
    let owned = image.owned_directories();
    if image.stack.is_some() {
        if let Some(place) = sources::system_path(tree, image.directory(), &owned) {
            found.push(soft(SkipReason::SystemDirectory, format!("{place} may be written, and only root can")));
        }
        let interpreted = image.family.is_some_and(Family::has_shell);
        if interpreted && owned.is_empty() {
            let detail = "the program's files lie in a directory of the system (no WORKDIR); what it writes beside them cannot be allowed";
            found.push(soft(SkipReason::SystemDirectory, detail.to_owned()));
        }
    }
}

/// A service that is only configured starts as its base does, and a tool that steps down is installed to be used.
fn base_command(image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    if let Some(base) = image.known_base
        && (base.service.is_some() || !base.ports.is_empty())
        && base.user.is_none()
    {
        let detail = format!("{} starts what its base {} starts, as root", image.path, base.name);
        found.push(hard(SkipReason::NeedsRoot, detail));
    }
    let text = image.dockerfile.text();
    for index in image.dockerfile.effective(image.stage) {
        let instruction = &image.dockerfile.instructions()[index];
        let names = |tool: &&&str| {
            instruction.span.of(text).split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == **tool)
        };
        let installs = matches!(instruction.keyword, Keyword::Run | Keyword::Copy | Keyword::Add);
        if let Some(tool) = ["gosu", "su-exec"].iter().filter(|_| installs).find(names) {
            found.push(hard(
                SkipReason::NeedsRoot,
                format!("{} installs {tool}: something steps down from root itself", image.place(index)),
            ));
            return;
        }
    }
}

fn of_command(argv: &[String], place: &str, found: &mut Vec<Obstacle>) {
    for word in argv.iter().flat_map(|word| word.split([' ', '\t', '\n', ';', '&', '|', '(', ')', '"', '\''])) {
        let program = word.rsplit('/').next().unwrap_or(word);
        if NEEDS_ROOT.contains(&program) {
            found.push(hard(
                SkipReason::NeedsRoot,
                format!("{place} starts {program}, which needs root or changes the user itself"),
            ));
            return;
        }
        if ["/var/run/", "/run/", "/var/log/"].iter().any(|path| word.contains(path)) {
            found.push(soft(
                SkipReason::SystemDirectory,
                format!("{place} passes {}, which only root may write", printable(word)),
            ));
            return;
        }
    }
}

/// An image that starts nothing is a base or a toolbox, and a program that is not its language's may need anything.
fn unknown_program(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    const KNOWN: [&str; 46] = [
        "node",
        "npm",
        "npx",
        "yarn",
        "yarnpkg",
        "pnpm",
        "nodemon",
        "next",
        "nest",
        "ts-node",
        "tsx",
        "pm2",
        "pm2-runtime",
        "serve",
        "http-server",
        "python",
        "python3",
        "flask",
        "gunicorn",
        "uvicorn",
        "hypercorn",
        "daphne",
        "celery",
        "django-admin",
        "fastapi",
        "streamlit",
        "locust",
        "uv",
        "poetry",
        "pipenv",
        "waitress-serve",
        "go",
        "sh",
        "bash",
        "ash",
        "dash",
        "env",
        "exec",
        "cd",
        "export",
        "tini",
        "dumb-init",
        "sleep",
        "echo",
        "--",
        "-c",
    ];
    let argv = image.argv();
    let Some(first) = argv.first() else {
        let commanded = !application.containers.is_empty()
            && application.containers.iter().all(|container| container.view.command().is_some());
        if !commanded {
            found.push(soft(
                SkipReason::UnaccountedCommand,
                format!("{} starts nothing of its own; it may be a base or a toolbox", image.path),
            ));
        }
        return;
    };
    let interpreted = matches!(image.stack, Some(Stack::Node | Stack::Python));
    let line = match first.as_str() {
        "/bin/sh" | "sh" | "/bin/bash" | "bash" => argv.get(2).unwrap_or(first),
        _ => first,
    };
    let word = line.split_whitespace().find(|word| !word.contains('=')).unwrap_or(first);
    let program = crate::discover::file_name(word);
    let known = KNOWN.contains(&program)
        || program.starts_with("python3.")
        || program.ends_with(".py")
        || program.ends_with(".js");
    // Scripts are read by `entrypoint_script`.
    let script = program.ends_with(".sh") || program.contains("entrypoint");
    if interpreted && !known && !script {
        found.push(soft(
            SkipReason::UnaccountedCommand,
            format!("{} starts {}, which is not known", image.path, printable(word)),
        ));
    }
}

/// A script that the image starts is read from the tree; one that is not there may do anything.
fn entrypoint_script(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    let tree = application.around.repository.tree();
    let argv = image.argv();
    // `tini -- ./start.sh` and `sh start.sh` start the script, not their first word.
    for word in argv.iter().flat_map(|word| word.split_whitespace()) {
        let name = crate::discover::file_name(word);
        if !name.ends_with(".sh") && !name.contains("entrypoint") {
            continue;
        }
        let here = tree.below(image.directory()).find(|path| crate::discover::file_name(path) == name);
        match here.and_then(|path| Some((path, tree.read(path)?))) {
            Some((path, text)) => {
                let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
                for (number, line) in lines {
                    let mut words = Vec::new();
                    of_command(&[line.to_owned()], &format!("{path}:{}", number + 1), &mut words);
                    let installs = ["apt-get ", "apk add", "useradd", "adduser", "setcap"]
                        .iter()
                        .any(|needle| line.contains(needle));
                    if installs {
                        words.push(hard(SkipReason::NeedsRoot, format!("{path}:{} changes the system", number + 1)));
                    }
                    if let Some(first) = words.into_iter().next() {
                        found.push(first);
                        return;
                    }
                }
            }
            None => {
                found.push(soft(
                    SkipReason::UnaccountedCommand,
                    format!("{} is started and is not beside {}", printable(word), image.path),
                ));
            }
        }
    }
}

fn ports(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    let advice = "a process without root cannot rely on it; listen on a port above 1023";
    if let Some((port, _)) = image.dockerfile.ports(image.stage).iter().find(|(port, _)| *port < 1024) {
        found.push(hard(SkipReason::LowPort, format!("EXPOSE {port} in {}: {advice}", image.path)));
        return;
    }
    let env = image.dockerfile.env(image.stage);
    if let Some((name, port)) = env.iter().find_map(|(name, value)| Some((name, low_port_variable(name, value)?))) {
        found.push(hard(SkipReason::LowPort, format!("ENV {}={port} in {}: {advice}", printable(name), image.path)));
        return;
    }
    if let Some(port) = low_port_argument(&image.argv()) {
        found.push(hard(SkipReason::LowPort, format!("the command of {} listens on {port}: {advice}", image.path)));
        return;
    }
    if image.stack.is_some()
        && let Some(place) = sources::low_port(application.around.repository.tree(), image.directory())
    {
        found.push(soft(SkipReason::LowPort, format!("{place}: {advice}")));
    }
}

fn low_port_variable(name: &str, value: &str) -> Option<u16> {
    let port: u16 = value.parse().ok()?;
    (name.to_ascii_uppercase().ends_with("PORT") && port > 0 && port < 1024 && is_listening_name(name)).then_some(port)
}

/// `DB_PORT` and `SMTP_PORT` name the other side's port.
fn is_listening_name(name: &str) -> bool {
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
    ]
    .contains(&name.as_str())
}

/// `:80`, `--port 80`, `--port=80`, `-p 80`.
fn low_port_argument(argv: &[String]) -> Option<u16> {
    let words: Vec<&str> = argv.iter().flat_map(|word| word.split_whitespace()).collect();
    let low = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0 && *port < 1024);
    words.iter().enumerate().find_map(|(at, word)| {
        let named = word
            .split_once('=')
            .filter(|(name, _)| name.trim_start_matches('-').ends_with("port"))
            .and_then(|(_, port)| low(port));
        let next = matches!(*word, "--port" | "-p" | "--http-port")
            .then(|| words.get(at + 1).and_then(|port| low(port)))
            .flatten();
        let bound = word.rsplit_once(':').filter(|(host, _)| !host.contains('/')).and_then(|(_, port)| low(port));
        named.or(next).or(bound)
    })
}

/// Files below root's home cannot be reached by others: the directory has mode 0700.
fn root_home(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    let dockerfile = image.dockerfile;
    let is_home = |path: &str| path == "/root" || path.starts_with("/root/") || path.starts_with('~');
    for index in dockerfile.effective(image.stage) {
        let instruction = &dockerfile.instructions()[index];
        let place = image.place(index);
        match instruction.keyword {
            Keyword::Workdir if is_home(instruction.arguments.of(dockerfile.text()).trim()) => {
                found.push(hard(
                    SkipReason::RootHome,
                    format!("{place} works in root's home, which others cannot enter"),
                ));
                return;
            }
            Keyword::Copy | Keyword::Add if dockerfile.copy_words(instruction).is_some_and(|(_, to)| is_home(&to)) => {
                found.push(soft(
                    SkipReason::RootHome,
                    format!("{place} puts files in root's home, which others cannot enter"),
                ));
                return;
            }
            Keyword::Run => {
                for command in dockerfile.shell_commands(instruction).unwrap_or_default() {
                    if stack::words(&command).first() == Some(&"setcap") {
                        let detail = format!(
                            "{place} gives a program capabilities, and it will not start once they are dropped"
                        );
                        found.push(hard(SkipReason::NeedsRoot, detail));
                        return;
                    }
                    if let Some(what) = installs_into_home(&stack::words(&command), &command, image) {
                        found.push(soft(
                            SkipReason::RootHome,
                            format!("{place}: {what} in root's home, which others cannot enter"),
                        ));
                        return;
                    }
                }
            }
            _ => {}
        }
    }
    let package = super::PackageJson::read(application.around.repository.tree(), image.directory());
    for browser in ["puppeteer", "playwright", "cypress"] {
        if package.as_ref().is_some_and(|package| package.depends_on(browser)) {
            found.push(soft(
                SkipReason::RootHome,
                format!("{browser} keeps its browser in the home of the user that installed it"),
            ));
        }
    }
}

fn installs_into_home(
    words: &[&str],
    command: &crate::dockerfile::ShellCommand,
    image: &ImageFacts<'_>,
) -> Option<&'static str> {
    let has = |word: &str| words.contains(&word);
    match words {
        ["rm" | "echo" | "ls", ..] => return None,
        ["pipenv", "install" | "sync", ..] if !has("--system") => return Some("pipenv installs its environment"),
        ["poetry", "install", ..] => return Some("poetry may keep its environment"),
        ["pip" | "pip3", "install", ..] if has("--user") => return Some("pip installs"),
        ["python" | "python3", "-m", "nltk.downloader" | "spacy" | "playwright", ..] => return Some("data is stored"),
        ["npx", "playwright", ..] | ["playwright", "install", ..] => return Some("playwright keeps its browsers"),
        ["corepack", ..] => return Some("corepack keeps package managers"),
        ["uv", "python" | "tool", ..] | ["rustup", ..] | ["pyenv", ..] | ["nvm", ..] => {
            return Some("tools are installed");
        }
        ["go", "install", ..] if image.known_base.is_none_or(|known| known.name != "golang") => {
            return Some("go installs programs");
        }
        ["sh" | "bash", ..] if words.len() == 1 => return Some("a script from a pipe may install"),
        _ => {}
    }
    let named = command.words.iter().any(|word| {
        let text = word.written.trim_matches(['"', '\'']);
        text.starts_with("~/") || text.contains("/root/") || text.contains("$HOME") || text.contains("${HOME}")
    });
    named.then_some("files are used")
}

fn of_container(application: &Application<'_>, container: &ContainerFacts<'_>, found: &mut Vec<Obstacle>) {
    let place = container.place();
    if container.pod.is_windows() {
        found.push(hard(SkipReason::WindowsPod, format!("{place} runs on Windows")));
        return;
    }
    let is = |key: &str, value: bool| container.security(key).and_then(Node::as_bool) == Some(value);
    if is("privileged", true) {
        found.push(hard(SkipReason::NeedsRoot, format!("{place} is privileged")));
    }
    if container.security("runAsUser").and_then(Node::as_i64) == Some(0) {
        found.push(hard(SkipReason::AuthorChoice, format!("{place} says runAsUser: 0")));
    } else if is("runAsNonRoot", false) {
        found.push(hard(SkipReason::AuthorChoice, format!("{place} says runAsNonRoot: false")));
    }
    let added = container.view.capabilities("add");
    if let Some(capability) = added.iter().find(|name| *name != "NET_BIND_SERVICE") {
        found.push(hard(
            SkipReason::NeedsRoot,
            format!("{place} adds the capability {}, which only root gets", printable(capability)),
        ));
    }
    let mut argv = container.view.command().unwrap_or_default();
    argv.extend(container.view.args().unwrap_or_default());
    of_command(&argv, &place, found);
    if application.image.is_some() || container.known.is_none_or(|known| known.ports.iter().all(|port| *port >= 1024)) {
        let advice = "a process without root cannot rely on it; listen on a port above 1023";
        if let Some(port) = container.view.ports().into_iter().find(|port| *port > 0 && *port < 1024) {
            found.push(hard(SkipReason::LowPort, format!("{place} has containerPort {port}: {advice}")));
        } else if let Some((name, port)) =
            container.view.env_values().iter().find_map(|(name, value)| Some((name, low_port_variable(name, value)?)))
        {
            found.push(hard(SkipReason::LowPort, format!("{place} sets {}={port}: {advice}", printable(name))));
        }
    }
    volumes(application, container, &place, found);
}

fn volumes(application: &Application<'_>, container: &ContainerFacts<'_>, place: &str, found: &mut Vec<Obstacle>) {
    for mount in container.mounts() {
        let name = printable(&mount.name);
        match mount.source {
            VolumeSource::EmptyDir => {}
            VolumeSource::Projection => {
                if mount.mode.is_some_and(|mode| mode & 0o004 == 0) {
                    found.push(hard(
                        SkipReason::VolumeOwnership,
                        format!("{place} mounts {name} with a mode that only root can read"),
                    ));
                }
            }
            VolumeSource::Claim => {
                if let Some(claim) = mount.claim.as_deref().and_then(|claim| unowned_volume(application, claim)) {
                    found.push(hard(
                        SkipReason::VolumeOwnership,
                        format!("{place} mounts {name}, {claim}, where fsGroup has no effect"),
                    ));
                }
            }
            VolumeSource::HostPath if mount.read_only => {}
            VolumeSource::HostPath => {
                found.push(hard(
                    SkipReason::VolumeOwnership,
                    format!("{place} mounts {name} from the host, where fsGroup has no effect"),
                ));
            }
            VolumeSource::Other => {
                found.push(hard(
                    SkipReason::VolumeOwnership,
                    format!("{place} mounts {name}, whose ownership is not known"),
                ));
            }
        }
    }
}

/// A claim of the tree that binds to a volume of the tree on a host path or NFS.
fn unowned_volume(application: &Application<'_>, claim: &str) -> Option<String> {
    let objects = |kind: &'static str| {
        application
            .around
            .repository
            .manifests()
            .flat_map(move |(_, manifest)| kubernetes::objects(&manifest.stream, kind))
    };
    let text =
        |node: Node<'_>, path: [&str; 2]| node.get(path[0])?.get(path[1])?.as_str().map(|text| text.into_owned());
    let class = objects("PersistentVolumeClaim")
        .find(|object| text(*object, ["metadata", "name"]).as_deref() == Some(claim))
        .map(|object| (text(object, ["spec", "storageClassName"]), text(object, ["spec", "volumeName"])));
    let (class, volume_name) = class?;
    objects("PersistentVolume").find_map(|volume| {
        let spec = volume.get("spec")?;
        let source = ["hostPath", "nfs"].into_iter().find(|source| spec.has(source))?;
        let name = text(volume, ["metadata", "name"])?;
        let bound = volume_name.as_ref() == Some(&name)
            || class.is_some() && class == text(volume, ["spec", "storageClassName"])
            || spec.get("claimRef").and_then(|reference| reference.get("name")?.as_str()).as_deref() == Some(claim);
        bound.then(|| format!("a claim on the {source} volume {}", printable(&name)))
    })
}

fn hard(reason: SkipReason, detail: String) -> Obstacle {
    Obstacle { reason, detail, hard: true }
}

fn soft(reason: SkipReason, detail: String) -> Obstacle {
    Obstacle { reason, detail, hard: false }
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
        assert_eq!(low_port_argument(&argv("redis://cache:1")), None);
    }

    #[test]
    fn the_other_sides_port_is_not_ours() {
        assert_eq!(low_port_variable("PORT", "80"), Some(80));
        assert_eq!(low_port_variable("SMTP_PORT", "25"), None);
        assert_eq!(low_port_variable("PORT", "8080"), None);
    }

    #[test]
    fn programs_that_need_root_are_found_behind_a_shell() {
        let mut found = Vec::new();
        of_command(
            &["/bin/sh".into(), "-c".into(), "chown -R app /data && exec node x.js".into()],
            "Dockerfile",
            &mut found,
        );
        assert_eq!(found[0].reason, SkipReason::NeedsRoot);
        found.clear();
        of_command(&argv("node server.js --root /srv"), "Dockerfile", &mut found);
        assert!(found.is_empty());
    }
}
