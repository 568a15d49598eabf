//! Front ends: what the build leaves is a folder of files, and a server made for that serves it. The command names the folder and the port, so nothing
//! moves but the server.

use super::survey::{self, Survey};
use super::{Refusal, Split, binary};
use crate::discover::join;
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts, Obstacle, PackageJson};

/// The final base: nginx as user 101, whose configuration that user may write (<https://github.com/nginx/docker-nginx-unprivileged>).
const BASE: &str = "nginxinc/nginx-unprivileged:stable-alpine";

/// Where its configuration is looked for, and what it serves.
const CONFIGURATION: &str = "/etc/nginx/conf.d/default.conf";
const CONTENT: &str = "/usr/share/nginx/html";

/// A server of files, as a command line starts it.
#[derive(Debug, PartialEq, Eq)]
struct Server {
    name: &'static str,
    /// As written.
    folder: String,
    /// Paths without a file lead to `index.html`.
    is_single_page: bool,
    /// `None` where the command does not name it.
    port: Option<u16>,
}

/// The recipe, for a program that serves a folder of files; `None` when something else is started.
pub(super) fn split(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    survey: &Survey,
    package: &PackageJson,
) -> Option<Result<Split, Refusal>> {
    let words = survey.command.and_then(|index| survey::plain_words(image, index))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words = started(&words, package)?;
    if let Some(name) = development_server(&words) {
        let detail = format!(
            "{} starts {name}, which serves sources to developers; build them, and serve the result with serve or nginx",
            image.path
        );
        return Some(Err((SkipReason::DevelopmentServer, detail)));
    }
    let name = ["serve", "http-server"].into_iter().find(|name| words.first() == Some(name))?;
    let server = if name == "serve" { of_serve(&words[1..]) } else { of_http_server(&words[1..]) };
    let unknown = || {
        let line = words.join(" ").escape_debug().to_string();
        (SkipReason::RunTimeInputs, format!("{} starts `{line}`, not all of which is known", image.path))
    };
    Some(server.ok_or_else(unknown).and_then(|server| recipe(application, image, survey, &server)))
}

fn recipe(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    survey: &Survey,
    server: &Server,
) -> Result<Split, Refusal> {
    survey.arguments_stay(image)?;
    let folder = folder(image, server)?;
    let port = port(application, image, server)?;
    is_alone(application, image, server, &folder)?;
    let fallback = match (server.is_single_page, server.name) {
        (true, _) => "location / { try_files $uri /index.html; } ",
        // It finds a page by its name without the ending.
        (false, "serve") => "location / { try_files $uri $uri.html $uri/ =404; } ",
        (false, _) => "",
    };
    let configuration =
        format!("server {{ listen {port}; root {CONTENT}; charset utf-8; absolute_redirect off; {fallback}}}");
    let lines = vec![
        format!("RUN echo '{configuration}' > {CONFIGURATION}"),
        // Whatever the modes are that the build leaves, their owner may read them.
        format!("COPY --from={} --chown=101:0 {folder} {CONTENT}", survey.names.build),
    ];
    let excuse = format!(
        "nginx answers on {port} in place of {}: headers, compression and redirects are not the same",
        server.name
    );
    let mut obstacles = vec![Obstacle::doubt(SkipReason::ServerReplaced, excuse)];
    obstacles.extend(binary::against_user_of(BASE, application)?);
    let command = Some(survey::exec_form("CMD", &["nginx", "-g", "daemon off;"])?);
    let detail = format!("the final image holds {folder} on {BASE}, without Node.js and packages");
    Ok(Split { builder: None, build: Vec::new(), base: BASE.to_owned(), lines, command, detail, obstacles })
}

/// The command line behind scripts of package.json and what only starts another program. `None` where a shell or a hook has a part in it.
fn started<'w>(words: &[&'w str], package: &'w PackageJson) -> Option<Vec<&'w str>> {
    let words = match words {
        ["tini" | "/sbin/tini" | "/usr/bin/tini" | "dumb-init", "--", rest @ ..] => rest,
        all => all,
    };
    let script = match words {
        ["npm" | "yarn" | "pnpm", "start"] => Some("start"),
        ["npm" | "yarn" | "pnpm", "run", script] => Some(*script),
        ["yarn" | "pnpm", script] => package.script(script).map(|_| *script),
        _ => None,
    };
    let words: Vec<&str> = match script {
        Some(script) => {
            let hooked = ["pre", "post"].iter().any(|hook| package.script(&format!("{hook}{script}")).is_some());
            let line = package.script(script).filter(|_| !hooked)?;
            let is_plain = !line.contains(['&', '|', ';', '$', '"', '\'', '`', '\\', '*', '?', '>', '<', '(', '=']);
            line.split_whitespace().filter(|_| is_plain).collect()
        }
        None => words.to_vec(),
    };
    let words = match words.as_slice() {
        ["npx" | "bunx", "-y" | "--yes" | "--no-install", rest @ ..]
        | ["npx" | "bunx", rest @ ..]
        | ["yarn" | "pnpm", "exec" | "dlx", rest @ ..] => rest.to_vec(),
        // A script of the same name comes before a program.
        ["yarn" | "pnpm", program, ..] if package.script(program).is_none() => words.get(1..)?.to_vec(),
        all => all.to_vec(),
    };
    let program = words.first()?.trim_start_matches("./").trim_start_matches("node_modules/.bin/");
    // npx takes a version with the name.
    let program = program.split_once('@').filter(|(name, _)| !name.is_empty()).map_or(program, |(name, _)| name);
    Some([program].into_iter().chain(words.get(1..)?.iter().copied()).collect())
}

/// A server that compiles sources while it serves them.
fn development_server(words: &[&str]) -> Option<&'static str> {
    Some(match words {
        ["react-scripts" | "craco" | "react-app-rewired", "start", ..] => "the server of react-scripts",
        ["vite"] | ["vite", "dev" | "serve" | "preview", ..] => "the server of Vite",
        ["vite", flag, ..] if flag.starts_with('-') => "the server of Vite",
        ["vue-cli-service", "serve", ..] => "the server of Vue CLI",
        ["ng", "serve" | "s", ..] => "the server of Angular",
        ["webpack", "serve", ..] | ["webpack-dev-server", ..] => "the server of webpack",
        ["parcel", ..] => "the server of Parcel",
        ["next" | "nuxt" | "astro" | "gatsby" | "remix", "dev" | "develop", ..] => "a server for development",
        _ => return None,
    })
}

/// Arguments of `serve` (<https://github.com/vercel/serve>); `None` when one of them is of consequence and not followed.
fn of_serve(words: &[&str]) -> Option<Server> {
    let mut server = Server { name: "serve", folder: String::new(), is_single_page: false, port: None };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let (name, value) = word.split_once('=').map_or((*word, None), |(name, value)| (name, Some(value)));
        match name {
            "-s" | "--single" => server.is_single_page = true,
            "-l" | "--listen" | "-p" | "--port" if server.port.is_none() => {
                server.port = Some(listened(value.or_else(|| rest.next().copied())?)?);
            }
            "-n"
            | "--no-clipboard"
            | "-u"
            | "--no-compression"
            | "-d"
            | "--debug"
            | "--no-etag"
            | "-L"
            | "--no-request-logging"
            | "--no-port-switching" => {}
            folder if !folder.starts_with('-') && server.folder.is_empty() => server.folder = (*word).to_owned(),
            _ => return None,
        }
    }
    Some(server)
}

/// Arguments of `http-server` (<https://github.com/http-party/http-server>), likewise.
fn of_http_server(words: &[&str]) -> Option<Server> {
    let mut server = Server { name: "http-server", folder: String::new(), is_single_page: false, port: None };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let (name, value) = word.split_once('=').map_or((*word, None), |(name, value)| (name, Some(value)));
        match name {
            "-p" | "--port" if server.port.is_none() => {
                server.port = Some(value.or_else(|| rest.next().copied())?.parse().ok()?);
            }
            "-a" | "--address" if matches!(value.or_else(|| rest.next().copied())?, "0.0.0.0" | "::") => {}
            "-s" | "--silent" | "-g" | "--gzip" | "-b" | "--brotli" | "-c-1" => {}
            name if name.strip_prefix("-p").is_some_and(|port| port.parse::<u16>().is_ok())
                && server.port.is_none() =>
            {
                server.port = name.get(2..).and_then(|port| port.parse().ok());
            }
            folder if !folder.starts_with('-') && server.folder.is_empty() => server.folder = (*word).to_owned(),
            _ => return None,
        }
    }
    Some(server)
}

/// `3000`, `tcp://0.0.0.0:3000`: the port, where every address of the container is listened on.
fn listened(text: &str) -> Option<u16> {
    let port = text.strip_prefix("tcp://").map_or(Some(text), |rest| {
        rest.strip_prefix("0.0.0.0:").or_else(|| rest.strip_prefix("[::]:")).or_else(|| rest.strip_prefix(":::"))
    });
    port?.trim_end_matches('/').parse().ok()
}

/// The absolute path of what is served: a folder below the working directory, so that no sources are served with it.
fn folder(image: &ImageFacts<'_>, server: &Server) -> Result<String, Refusal> {
    let unclear = || {
        let detail = format!("{} serves no folder of its own, but all that lies beside it", server.name);
        (SkipReason::RunTimeInputs, detail)
    };
    let workdir = image.workdir().filter(|workdir| workdir.len() > 1).ok_or_else(unclear)?;
    let path = server.folder.trim_end_matches('/');
    let path = binary::absolute(&workdir, path.trim_start_matches("./"));
    let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    let below = path.strip_prefix(&format!("{workdir}/")).is_some_and(|rest| !rest.is_empty() && rest != ".");
    if below && is_plain && !path.split('/').any(|part| part == "..") { Ok(path) } else { Err(unclear()) }
}

/// The port that the server listens on, which nginx is to listen on as well.
fn port(application: &Application<'_>, image: &ImageFacts<'_>, server: &Server) -> Result<u16, Refusal> {
    let unclear = |what: String| {
        let detail = format!("the port that {} listens on cannot be told: {what}", server.name);
        (SkipReason::RunTimeInputs, detail)
    };
    let named = server.port;
    let variable =
        |env: &[(String, String)]| env.iter().rev().find(|(name, _)| name == "PORT").map(|(_, value)| value.clone());
    let port = match (named, variable(&image.dockerfile.env(image.stage))) {
        (Some(port), _) => port,
        (None, Some(value)) => value.parse().map_err(|_| unclear("PORT is no number".to_owned()))?,
        (None, None) => {
            // The number it has without being told depends on its version; EXPOSE tells which one its author saw.
            let known: &[u16] = if server.name == "serve" { &[3000, 5000] } else { &[8080] };
            match image.dockerfile.ports(image.stage).as_slice() {
                [(port, _)] if known.contains(port) => *port,
                _ => return Err(unclear(format!("neither its command nor {} names it", image.path))),
            }
        }
    };
    for container in &application.containers {
        let own = variable(&container.view.env_values()).filter(|value| *value != port.to_string());
        if named.is_none() && own.is_some() {
            return Err(unclear(format!("{} sets PORT", container.place())));
        }
    }
    if port < 1024 {
        let detail = format!("{} listens on {port}; a process without root cannot rely on it", server.name);
        return Err((SkipReason::LowPort, detail));
    }
    Ok(port)
}

/// Whether nothing else has a part in what is served: settings of the server, programs that manifests start, files that they mount.
fn is_alone(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    server: &Server,
    folder: &str,
) -> Result<(), Refusal> {
    let tree = application.around.repository.tree();
    let settings = ["serve.json", "public/serve.json", "static/serve.json", "now.json"];
    let settings = settings.iter().filter_map(|name| join(image.directory(), name));
    if let Some(path) = settings.into_iter().find(|path| tree.has(path)).filter(|_| server.name == "serve") {
        return Err((SkipReason::RunTimeInputs, format!("{path} tells serve what nginx would not know")));
    }
    for container in &application.containers {
        if container.argv(Some(image)).is_some() || !container.view.exec_commands().is_empty() {
            let detail = format!("{} starts a program, which the final image may not hold", container.place());
            return Err((SkipReason::ManifestOverride, detail));
        }
        let within = |path: &str, other: &str| path == other || path.starts_with(&format!("{other}/"));
        let workdir = image.workdir().unwrap_or_default();
        let mounts = container.mounts();
        if let Some(mount) = mounts.iter().find(|mount| {
            let path = mount.path.trim_end_matches('/');
            within(path, &workdir) || within(folder, path)
        }) {
            let path = mount.path.escape_debug();
            let detail = format!("{} mounts {path}, which may be part of what is served", container.place());
            return Err((SkipReason::RunTimeInputs, detail));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&str> {
        line.split(' ').collect()
    }

    #[test]
    fn arguments_of_serve() {
        let server = of_serve(&words("-s build -l 3000")).unwrap();
        assert_eq!((server.folder.as_str(), server.is_single_page, server.port), ("build", true, Some(3000)));
        let server = of_serve(&words("--listen=tcp://0.0.0.0:5000 dist")).unwrap();
        assert_eq!((server.folder.as_str(), server.is_single_page, server.port), ("dist", false, Some(5000)));
        for line in ["-s build --cors", "-c serve.json build", "-l tcp://localhost:80 a", "-l 1 -l 2 a", "a b"] {
            assert_eq!(of_serve(&words(line)), None, "{line}");
        }
    }

    #[test]
    fn programs_behind_scripts_and_runners() {
        let package = PackageJson::default();
        let program = |line: &str| started(&words(line), &package).map(|words| words.join(" "));
        for line in [
            "serve -s build",
            "npx serve -s build",
            "npx -y serve@14 -s build",
            "tini -- yarn serve -s build",
            "pnpm exec serve -s build",
        ] {
            assert_eq!(program(line).unwrap(), "serve -s build", "{line}");
        }
        assert_eq!(program("npm start"), None);
        assert_eq!(development_server(&words("vite --host")), Some("the server of Vite"));
        assert_eq!(development_server(&words("vite build")), None);
    }

    #[test]
    fn arguments_of_http_server() {
        assert_eq!(of_http_server(&words("dist -p 8080 -c-1")).unwrap().port, Some(8080));
        assert_eq!(of_http_server(&words("./dist -p9000")).unwrap().port, Some(9000));
        for line in ["dist --proxy http://localhost:8080?", "dist --cors", "-S dist", "-a 127.0.0.1 dist"] {
            assert_eq!(of_http_server(&words(line)), None, "{line}");
        }
    }
}
