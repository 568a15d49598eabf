//! What an image or container starts, and whether that can be started by anybody.

use super::directories::is_within;
use super::obstacles::{Obstacle, hard, soft};
use super::ports::{low_port, low_port_argument};
use super::{Application, ImageFacts, Stack, data, identity::printable, needs, start};
use crate::dockerfile::Keyword;
use crate::error::SkipReason;
use regex::Regex;
use std::fmt::Display;
use std::sync::LazyLock;

/// Programs that need root, or change the user themselves, when they are what a container starts.
const NEEDS_ROOT: [&str; 24] = [
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
];

/// Programs that work on the node: its network, its kernel, its mounts, its other processes. Privileges and host namespaces are given for them.
const NODE_TOOLS: [&str; 31] = [
    "nsenter",
    "unshare",
    "modprobe",
    "insmod",
    "rmmod",
    "sysctl",
    "mount",
    "umount",
    "fusermount",
    "losetup",
    "iptables",
    "ip6tables",
    "iptables-restore",
    "nft",
    "ipvsadm",
    "wg-quick",
    "openvpn",
    "tcpdump",
    "dockerd",
    "dockerd-entrypoint.sh",
    "buildkitd",
    "crictl",
    "s3fs",
    "sshfs",
    "gcsfuse",
    "keepalived",
    "hostapd",
    "strace",
    "ltrace",
    "perf",
    "bpftrace",
];

/// Words that begin a script of several commands and start no program of the image's own.
const SHELL_WORDS: [&str; 12] = ["[", "{", "case", "for", "if", "mkdir", "rm", "set", "test", "trap", "until", "while"];

/// Packages that bring such programs.
const NODE_PACKAGES: [&str; 23] = [
    "iptables",
    "nftables",
    "ipset",
    "ipvsadm",
    "kmod",
    "nfs-kernel-server",
    "nfs-utils",
    "fuse",
    "fuse3",
    "openvpn",
    "wireguard-tools",
    "tcpdump",
    "docker.io",
    "docker-ce",
    "podman",
    "buildah",
    "s3fs",
    "sshfs",
    "gcsfuse",
    "davfs2",
    "cifs-utils",
    "nfs-common",
    "keepalived",
];

/// Commands of a script that change the system: packages, accounts, and writing below its directories. A template that is rendered at the start is the
/// usual one.
static SYSTEM_CHANGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const SYSTEM: &str = r#"["']?/(?:etc|usr|var|run|bin|sbin|lib|opt|srv|root|data|logs?|db|cache|mnt)\b"#;
    let writes = r"\b(?:cp|mv|mkdir|touch|tee|ln|install|chmod|rm)\b[^|;&]*\s";
    Regex::new(&format!(
        r"\bapk(?:\s+-\S+)*\s+(?:add|del|fix|update|upgrade)\b|\b(?:apt-get|yum|dnf|useradd|adduser|groupadd|addgroup|usermod|setcap|update-ca-certificates|update-ca-trust|locale-gen|crontab|docker-php-ext-\w+|pecl|phpenmod|a2(?:en|dis)\w+)\b|\bkeytool\b[^|;&]*(?:-cacerts|/cacerts|JAVA_HOME)|\bnpm\s+(?:install|i)\s+(?:-g|--global)\b|>>?\s*{SYSTEM}|{writes}{SYSTEM}|\bsed\s+(?:-\S+\s+)*-i[^|;&]*\s{SYSTEM}"
    ))
    .ok()
});

/// A service that is only configured starts as its base does, and a tool that steps down is installed to be used.
pub(super) fn of_base(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    if let Some(base) = image.known_base
        && (base.service.is_some() || base.root_only.is_some() || !base.ports.is_empty())
        && base.user.is_none()
        && image.served_by().is_none()
    {
        // A program of which nobody says that it needs root may start as any user; that it does, nobody says either.
        let is_open = base.service.is_none()
            && base.root_only.is_none()
            && base.needs.is_empty()
            && !needs_root(crate::discover::file_name(&base.name));
        let starts = format!("{} starts what its base {} starts, as root", image.path, base.name);
        match base.low_port() {
            _ if base.steps_down_alone() => found.extend(data::of_service_image(application, image, base)),
            None if image.hosted_by().is_some() => {}
            // A runtime that is told by its base where to listen; what else tells it is judged with the ports.
            Some(_) if base.service.is_none() && needs::told_where_to_listen(application, image) => {}
            Some(port) if is_open => {
                found.push(low_port(
                    application,
                    format!(
                        "programs on the base {} listen on {port} unless told otherwise ({})",
                        base.name, image.path
                    ),
                ));
                if image.argv().is_empty() {
                    found.push(soft(SkipReason::UnknownUser, format!("{starts}, and no other user is known to work")));
                }
            }
            None if is_open => {
                found.push(soft(SkipReason::UnknownUser, format!("{starts}, and no other user is known to work")));
            }
            _ => found.push(hard(SkipReason::NeedsRoot, starts)),
        }
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

/// Whether a program of this name needs root when a container starts it, or changes the user itself.
pub(super) fn needs_root(name: &str) -> bool {
    NEEDS_ROOT.contains(&name) || name == "openresty"
}

/// The words of a command line, and of the lines that it hands to a shell.
fn command_words(argv: &[String]) -> impl Iterator<Item = &str> {
    argv.iter().flat_map(|word| word.split([' ', '\t', '\n', ';', '&', '|', '(', ')', '"', '\'']))
}

/// The first program of a command line that gives its caller the rights of another user, which `allowPrivilegeEscalation: false` prevents.
pub(super) fn gains_privileges(argv: &[String]) -> Option<&'static str> {
    const PROGRAMS: [&str; 4] = ["sudo", "su", "doas", "pkexec"];
    command_words(argv)
        .map(crate::discover::file_name)
        .find_map(|word| PROGRAMS.into_iter().find(|program| word == *program))
}

/// The first program of a command line that makes the rest of it another user than the one that it is started as. `/init` is that of s6-overlay.
pub(super) fn steps_down(argv: &[String]) -> Option<&'static str> {
    const PROGRAMS: [&str; 13] = [
        "gosu",
        "su-exec",
        "setpriv",
        "runuser",
        "su",
        "sudo",
        "doas",
        "chpst",
        "setuidgid",
        "s6-setuidgid",
        "s6-applyuidgid",
        "setuser",
        "capsh",
    ];
    if argv.first().is_some_and(|program| program == "/init") {
        return Some("/init");
    }
    command_words(argv)
        .map(crate::discover::file_name)
        .find_map(|word| PROGRAMS.into_iter().find(|program| word == *program))
}

/// The first program of a command line that works on the node.
pub(super) fn node_tool(argv: &[String]) -> Option<&str> {
    command_words(argv).map(crate::discover::file_name).find(|program| NODE_TOOLS.contains(program))
}

/// The first program or path of a command line that needs root; what lies below the `writable` directories does not.
pub(super) fn of_command(argv: &[String], place: &dyn Display, writable: &[String], found: &mut Vec<Obstacle>) {
    of_words(argv, place, writable, found);
    if let Some(word) = command_words(argv).find(|word| asks_for_io_uring(word)) {
        let detail = format!("{place} says {}, and the runtime's seccomp profile blocks io_uring", printable(word));
        found.push(hard(SkipReason::NeedsRoot, detail));
    }
    if let Some(program) = installs_packages(argv) {
        let detail = format!("{place} installs packages with {program} when it starts, where only root may");
        found.push(soft(SkipReason::SystemDirectory, detail));
    }
    let is_writable = |path: &str| writable.iter().any(|directory| is_within(path, directory));
    if let Some(change) = argv.iter().find_map(|line| system_change(line, &is_writable)) {
        let detail = format!("{place} changes the system ({}), which only root may", printable(&change));
        found.push(hard(SkipReason::SystemDirectory, detail));
    }
}

/// The program by which a command line installs packages beside those of the image. Others than root get them into a home, if they have one.
pub(super) fn installs_packages(argv: &[String]) -> Option<&'static str> {
    let words: Vec<&str> =
        command_words(argv).map(crate::discover::file_name).filter(|word| !word.is_empty()).collect();
    words.windows(2).find_map(|pair| match pair {
        ["pip" | "pip3", "install"] => Some("pip"),
        ["gem", "install"] => Some("gem"),
        _ => None,
    })
}

/// Whether a word of a command line turns on io_uring, which `RuntimeDefault` blocks since containerd 2.0 and Docker 25
/// (<https://github.com/containerd/containerd/pull/9320>).
fn asks_for_io_uring(word: &str) -> bool {
    const REFUSALS: [&str; 5] = ["no-", "no_", "disable", "=0", "=false"];
    word.contains("io_uring") && !REFUSALS.iter().any(|refusal| word.contains(refusal))
}

fn of_words(argv: &[String], place: &dyn Display, writable: &[String], found: &mut Vec<Obstacle>) {
    let is_writable = |path: &str| writable.iter().any(|directory| is_within(path, directory));
    let needs_root = |program: &&str| NEEDS_ROOT.contains(program) || NODE_TOOLS.contains(program);
    // A program may be called `service`; that of the system is told what to start.
    let is_own = |word: &&str| {
        let mut rest = command_words(argv).skip_while(|other| other != word).skip(1).filter(|word| !word.is_empty());
        let told = |next: &str| !next.starts_with('-');
        word.ends_with("service") && (word.contains("./") || !rest.next().is_some_and(told))
    };
    // Before any path: that one may be the user's own does not make up for such a program behind it.
    let words = command_words(argv).filter(|word| !is_own(word));
    if let Some(program) = words.map(crate::discover::file_name).find(needs_root) {
        found.push(hard(
            SkipReason::NeedsRoot,
            format!("{place} starts {program}, which needs root or changes the user itself"),
        ));
        return;
    }
    for word in command_words(argv) {
        let kept =
            ["/var/run/", "/run/", "/var/log/", "/var/lib/", "/root/", "/logs/"].iter().any(|path| word.contains(path));
        let path = word.find('/').and_then(|at| word.get(at..)).unwrap_or_default();
        if kept && !word.contains("run/secrets") && !is_writable(path) {
            found.push(soft(
                SkipReason::SystemDirectory,
                format!("{place} passes {}, which only root may write", printable(word)),
            ));
            return;
        }
    }
}

/// What a line of a shell script changes of the system, and not below a directory that is writable.
pub(super) fn system_change(line: &str, is_writable: &dyn Fn(&str) -> bool) -> Option<String> {
    static AT_THE_TOP: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(?:>>?|\b(?:touch|tee|mkdir)\b[^|;&>]*\s)\s*["']?(/[\w.-]+)(?:["'\s;&|]|$)"#).ok()
    });
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '&' | '|' | ')');
    let changes = SYSTEM_CHANGE.as_ref()?.find_iter(line).find(|change| {
        let start = change.as_str().rfind('/').map(|at| change.start() + at);
        let rest = start.and_then(|start| line.get(start..)).unwrap_or_default();
        let path = rest.split(ends).next();
        !path.is_some_and(is_writable) && !is_copied_from(change.as_str(), rest)
    });
    let changes = changes.map(|change| change.as_str().trim().to_owned());
    changes.or_else(|| {
        let mut files = AT_THE_TOP.as_ref()?.captures_iter(line).filter_map(|found| found.get(1));
        let file = files.find(|file| !is_writable(file.as_str()) && file.as_str() != "/tmp")?;
        Some(file.as_str().to_owned())
    })
}

/// Whether a path that `cp` is given, from which the rest of the line starts, is followed by another to copy to.
fn is_copied_from(change: &str, rest: &str) -> bool {
    let command = rest.split(['|', ';', '&', '\n']).next().unwrap_or_default();
    let paths = command.split_whitespace().filter(|word| !word.contains(['<', '>']));
    change.starts_with("cp ") && !change.contains(" -t") && !change.contains("--target") && paths.count() > 1
}

/// Where an image installs a program that works on the node.
pub(super) fn node_package(image: &ImageFacts<'_>) -> Option<String> {
    let text = image.dockerfile.text();
    image.dockerfile.effective(image.stage).into_iter().find_map(|index| {
        let instruction = &image.dockerfile.instructions()[index];
        if instruction.keyword != Keyword::Run {
            return None;
        }
        let mut words = instruction.span.of(text).split(|c: char| c.is_whitespace() || "=;&|\"',[]".contains(c));
        let package = words.find(|word| NODE_PACKAGES.contains(word))?;
        Some(format!("{} installs {package}, which works on the node", image.place(index)))
    })
}

/// An image that starts nothing is a base or a toolbox, and a program that is not its language's may need anything.
pub(super) fn of_image(application: &Application<'_>, image: &ImageFacts<'_>, found: &mut Vec<Obstacle>) {
    const KNOWN: [&str; 59] = [
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
        "java",
        "jetty.sh",
        "catalina.sh",
        "dotnet",
        "php",
        "ruby",
        "rails",
        "rake",
        "bundle",
        "puma",
        "rackup",
        "unicorn",
        "sidekiq",
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
        if !commanded && image.served_by().is_none() && image.hosted_by().is_none() {
            found.push(soft(
                SkipReason::UnaccountedCommand,
                format!("{} starts nothing of its own; it may be a base or a toolbox", image.path),
            ));
        }
        return;
    };
    if image.served_by().is_some() {
        return;
    }
    let interpreted = image.stack.is_some_and(|stack| !stack.is_compiled());
    let line = match first.as_str() {
        "/bin/sh" | "sh" | "/bin/bash" | "bash" => argv.get(2).unwrap_or(first),
        _ => first,
    };
    let word = line.split_whitespace().find(|word| !word.contains('=')).unwrap_or(first);
    let program = crate::discover::file_name(word);
    let known = KNOWN.contains(&program)
        || program.starts_with("python3.")
        || program.ends_with(".py")
        || program.ends_with(".js")
        || program.ends_with(".jar")
        // A published program starts itself.
        || image.stack == Some(Stack::DotNet) && word.contains('/');
    // Scripts are read by `entrypoint_script`.
    let script = program.ends_with(".sh") || program.contains("entrypoint");
    if interpreted && !known && !script {
        let detail = if SHELL_WORDS.contains(&program) {
            format!("{} starts several commands of a shell, which are not known", image.path)
        } else {
            format!("{} starts {}, which is not known", image.path, printable(word))
        };
        found.push(soft(SkipReason::UnaccountedCommand, detail));
    }
}

/// A script that the image starts is read from the tree; one that is not there may do anything.
pub(super) fn of_script(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    writable: &[String],
    found: &mut Vec<Obstacle>,
) {
    if let Some(line) = start::package_script(application.around.repository.tree(), image, &image.argv()) {
        let place = format!("package.json beside {}", image.path);
        of_command(std::slice::from_ref(&line), &place, writable, found);
        if let Some(port) = low_port_argument(&[line]) {
            found.push(low_port(application, format!("{place} listens on {port}; listen on a port above 1023")));
        }
    }
    let tree = application.around.repository.tree();
    let argv = image.argv();
    // `tini -- ./start.sh` and `sh start.sh` start the script, not their first word.
    for word in argv.iter().flat_map(|word| word.split_whitespace()) {
        let name = crate::discover::file_name(word);
        let is_named = name.ends_with(".sh") || name.contains("entrypoint");
        // `bin/start` may be a script as well: its first line tells.
        let is_like = |path: &str| {
            crate::discover::file_name(path) == name && (is_named || path.ends_with(word.trim_start_matches("./")))
        };
        let here = tree.below(image.directory()).find(|path| is_like(path)).filter(|_| is_named || word.contains('/'));
        let read = here.and_then(|path| Some((path, tree.read(path)?)));
        let read = read.filter(|(_, text)| is_named || is_shell_script(text));
        if read.is_none() && !is_named {
            continue;
        }
        match read {
            Some((path, text)) => {
                let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
                for (number, line) in lines {
                    let mut words = Vec::new();
                    of_words(&[line.to_owned()], &format!("{path}:{}", number + 1), writable, &mut words);
                    if let Some(port) = low_port_argument(&[line.to_owned()]) {
                        let detail = format!("{path}:{} listens on {port}; listen on a port above 1023", number + 1);
                        words.push(low_port(application, detail));
                    }
                    if let Some(change) = SYSTEM_CHANGE.as_ref().and_then(|regex| regex.find(line)) {
                        let change = printable(change.as_str().trim());
                        let detail = format!("{path}:{} changes the system ({change})", number + 1);
                        words.push(hard(SkipReason::NeedsRoot, detail));
                    }
                    if let Some(first) = words.into_iter().next() {
                        found.push(first);
                        return;
                    }
                }
            }
            // Those are the servers of their bases.
            None if matches!(name, "catalina.sh" | "jetty.sh") => {}
            None => {
                found.push(soft(
                    SkipReason::UnaccountedCommand,
                    format!("{} is started and is not beside {}", printable(word), image.path),
                ));
            }
        }
    }
}

/// Whether the first line of a file names a shell.
fn is_shell_script(text: &str) -> bool {
    let first = text.lines().next().and_then(|line| line.strip_prefix("#!"));
    first
        .and_then(|line| line.split_whitespace().last())
        .is_some_and(|program| matches!(crate::discover::file_name(program), "sh" | "bash" | "ash" | "dash"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn programs_that_need_root_are_found_behind_a_shell() {
        let mut found = Vec::new();
        of_command(
            &["/bin/sh".into(), "-c".into(), "chown -R app /data && exec node x.js".into()],
            &"Dockerfile",
            &[],
            &mut found,
        );
        assert_eq!(found[0].reason, SkipReason::NeedsRoot);
        found.clear();
        of_command(&argv("node server.js --root /srv"), &"Dockerfile", &[], &mut found);
        of_command(&argv("/app/service --port 8080"), &"Dockerfile", &[], &mut found);
        assert!(found.is_empty());
        of_command(&argv("sh -c service cron start && node x.js"), &"Dockerfile", &[], &mut found);
        assert_eq!(found[0].reason, SkipReason::NeedsRoot);
    }

    #[test]
    fn commands_that_change_the_system_are_found() {
        let change = |line: &str| system_change(line, &|path| is_within(path, "/data"));
        for line in [
            "cp /conf/sentinel.conf /etc/sentinel.conf && redis-sentinel /etc/sentinel.conf",
            "mysqldump --all-databases > /dump.sql",
            "pg_dump app > /data/app.sql && apt-get update",
        ] {
            assert!(change(line).is_some(), "{line}");
        }
        assert!(change("cp /conf/app.ini /etc/app.ini 2>/dev/null").is_some());
        assert!(change("cp /usr/share/a /etc/a").is_some());
        assert_eq!(change("cp -r /usr/share/site/. /shared/ 2>/dev/null && echo copied"), None, "only read");
        for line in ["pg_dump app > /data/app.sql", "cp /conf/x /data/x", "node server.js > /dev/null", "echo a >&2"] {
            assert_eq!(change(line), None, "{line}");
        }
    }

    #[test]
    fn scripts_that_write_below_the_system_are_found() {
        let changes = |line: &str| SYSTEM_CHANGE.as_ref().unwrap().is_match(line);
        for line in [
            "envsubst < /app/config.tpl > /etc/app/config.json",
            "echo x >>/var/log/start.log",
            "sed -i \"s/a/b/\" /usr/share/nginx/html/index.html",
            "mkdir -p /run/app",
            "cp /app/default.conf /etc/app/",
            "apk add curl",
            "apk --no-cache add curl",
            "keytool -importcert -noprompt -cacerts -file /certs/ca.crt",
            "docker-php-ext-enable xdebug",
        ] {
            assert!(changes(line), "{line}");
        }
        for line in [
            "exec node server.js",
            "cat /etc/hostname",
            "python manage.py migrate > /app/log.txt",
            "cp a b",
            "apk info -v",
            "rm -f /tmp/pid",
        ] {
            assert!(!changes(line), "{line}");
        }
    }
}
