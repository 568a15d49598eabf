//! What the application's own files say: `package.json`, `go.mod`, and a search through sources for what a smaller or unprivileged image would break.

use super::Stack;
use crate::discover::{Tree, directory, file_name, join};
use crate::repository::Repository;
use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// Sources above this size are generated or bundled and are not searched. 1 MiB.
pub(super) const SOURCE_LIMIT: usize = 1 << 20;

/// The parts of a `package.json` that decide what runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageJson {
    scripts: Vec<(String, String)>,
    dependencies: Vec<String>,
    dev_dependencies: Vec<String>,
    has_workspaces: bool,
}

impl PackageJson {
    /// Reads `package.json` in a folder of the tree; `None` when there is none or it is no JSON object.
    pub fn read(tree: &Tree, folder: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(&tree.read(&join(folder, "package.json")?)?).ok()?;
        let object = |key: &str| value.get(key).and_then(Value::as_object);
        let names =
            |key: &str| -> Vec<String> { object(key).map(|map| map.keys().cloned().collect()).unwrap_or_default() };
        Some(Self {
            scripts: object("scripts")
                .into_iter()
                .flatten()
                .filter_map(|(name, line)| Some((name.clone(), line.as_str()?.to_owned())))
                .collect(),
            dependencies: ["dependencies", "optionalDependencies"].into_iter().flat_map(names).collect(),
            dev_dependencies: names("devDependencies"),
            has_workspaces: value.get("workspaces").is_some(),
        })
    }

    /// The command line of a script.
    pub fn script(&self, name: &str) -> Option<&str> {
        self.scripts.iter().find(|(script, _)| script == name).map(|(_, line)| line.as_str())
    }

    /// The lines of these scripts, and of those that they name in turn.
    pub fn reached(&self, names: &[&str]) -> Vec<&str> {
        let mut reached: Vec<&(String, String)> =
            self.scripts.iter().filter(|(name, _)| names.contains(&name.as_str())).collect();
        let mut next = 0;
        while let Some((_, line)) = reached.get(next) {
            let words: Vec<&str> = line.split(|c: char| c.is_whitespace() || "'\"&|;()".contains(c)).collect();
            let is_named = |name: &str| words.iter().any(|word| word.rsplit("npm:").next() == Some(name));
            let more = self.scripts.iter().filter(|(name, _)| {
                let plain = name.strip_prefix("pre").or(name.strip_prefix("post")).unwrap_or(name);
                is_named(name) || is_named(plain)
            });
            let more: Vec<_> = more.filter(|script| !reached.contains(script)).collect();
            reached.extend(more);
            next += 1;
        }
        reached.into_iter().map(|(_, line)| line.as_str()).collect()
    }

    /// Whether a package is needed at run time.
    pub fn depends_on(&self, package: &str) -> bool {
        self.dependencies.iter().any(|name| name == package)
    }

    /// Whether it is made of several packages.
    pub fn has_workspaces(&self) -> bool {
        self.has_workspaces
    }

    /// Packages that are needed only to build or develop, as the author sees it.
    pub fn dev_dependencies(&self) -> &[String] {
        &self.dev_dependencies
    }
}

/// What the Go sources of a folder say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoSources {
    /// `module` of `go.mod`.
    pub module: String,
    /// Why the program cannot be compiled without C, when something says so.
    pub needs_c: Option<String>,
    /// Where the program may read files or start programs that a smaller image would not hold.
    pub inputs: Option<String>,
    /// Files beside the sources that are neither sources nor embedded nor about building and deploying: the program may read them.
    pub other_files: Vec<String>,
}

impl GoSources {
    /// Reads `go.mod` and the `.go` files of a folder of the tree; `None` without a `go.mod` or without sources.
    pub fn read(repository: &Repository, folder: &str) -> Option<Self> {
        let tree = repository.tree();
        let mut embedded = Vec::new();
        let mod_text = tree.read(&join(folder, "go.mod")?)?;
        let module =
            mod_text.lines().find_map(|line| line.trim().strip_prefix("module "))?.trim().trim_matches('"').to_owned();
        let mut sources = Self { module, ..Self::default() };
        if let Some(name) = C_MODULES.iter().find(|name| mod_text.contains(**name)) {
            sources.needs_c = Some(format!("go.mod requires {name}"));
        }
        let mut any = false;
        for path in tree.below(folder).filter(|path| path.ends_with(".go") && !path.ends_with("_test.go")) {
            any = true;
            let Some(text) = tree.read(path) else { continue };
            if let Some(line) = line_of(&text, IMPORT_C.as_ref()) {
                sources.needs_c.get_or_insert(format!("{path}:{line} uses cgo"));
            }
            for line in text.lines().filter_map(|line| line.strip_prefix("//go:embed ")) {
                let first =
                    |pattern: &str| pattern.trim_start_matches("all:").split(['/', '*']).next().map(str::to_owned);
                let names = line
                    .split_whitespace()
                    .filter_map(|pattern| join(directory(path), &first(pattern.trim_matches('"'))?));
                embedded.extend(names);
            }
            let vendored = path.split('/').any(|part| part == "vendor");
            if !vendored && let Some((line, call)) = find(&text, GO_INPUTS.as_ref()) {
                sources.inputs.get_or_insert(format!("{path}:{line} calls {call}"));
            }
        }
        let is_embedded =
            |path: &str| embedded.iter().any(|name| path == name || path.starts_with(&format!("{name}/")));
        let others = tree.below(folder).filter(|path| !is_embedded(path) && !is_about_the_build(repository, path));
        sources.other_files = others.map(str::to_owned).collect();
        any.then_some(sources)
    }
}

/// Whether a file beside Go sources is one of them, or is about building, testing or deploying them.
pub(super) fn is_about_the_build(repository: &Repository, path: &str) -> bool {
    let name = file_name(path).to_ascii_lowercase();
    let aside = |part: &str| {
        matches!(
            part,
            "vendor" | "testdata" | "docs" | "test" | "tests" | ".github" | ".circleci" | ".vscode" | ".idea"
        )
    };
    let by_extension = matches!(
        name.rsplit_once('.').map(|(_, extension)| extension),
        Some("go" | "mod" | "sum" | "work" | "md" | "mk" | "sh" | "proto")
    );
    let by_name = [
        "dockerfile",
        "makefile",
        "license",
        "readme",
        "notice",
        "jenkinsfile",
        "skaffold",
        "taskfile",
        ".git",
        ".docker",
        ".golangci",
        ".editorconfig",
    ]
    .iter()
    .any(|start| name.starts_with(start));
    // Manifests and compose files are known as such.
    by_extension
        || by_name
        || name == "unroot.toml"
        || directory(path).split('/').any(aside)
        || repository.find(path).is_some()
}

/// Modules that do nothing useful without C.
const C_MODULES: [&str; 8] = [
    "github.com/mattn/go-sqlite3",
    "github.com/confluentinc/confluent-kafka-go",
    "github.com/davidbyttow/govips",
    "github.com/h2non/bimg",
    "gopkg.in/gographics/imagick",
    "github.com/go-gl/",
    "github.com/tensorflow/tensorflow",
    "gocv.io/x/gocv",
];

static IMPORT_C: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?m)^[ \t]*(?:import[ \t]+)?"C"|^[ \t]*import[ \t]+"plugin""#).ok());

/// Calls that open files by path or start programs. `os.Getenv` and friends are not among them; embedded files are no files.
static GO_INPUTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"\b(os\.(?:Open|OpenFile|ReadFile|ReadDir|DirFS|Create|Mkdir|MkdirAll|WriteFile|Chdir|StartProcess|CopyFS|OpenRoot)",
        r"|ioutil\.(?:ReadFile|ReadDir|WriteFile)",
        r"|template\.(?:ParseFiles|ParseGlob|Must\(template\.ParseFiles|Must\(template\.ParseGlob)",
        r"|http\.(?:Dir|ServeFile|FileServer)|filepath\.(?:Walk|WalkDir|Glob)",
        r"|exec\.(?:Command|CommandContext|LookPath)|syscall\.Exec|plugin\.Open|user\.(?:Current|Lookup)",
        r"|tls\.LoadX509KeyPair|autocert\.DirCache|certmagic\.|sql\.Open\(.sqlite3?.)|\.(ParseFiles|ParseGlob|LoadHTMLGlob|LoadHTMLFiles|Static|StaticFile|StaticFS|SetConfigFile|ReadInConfig|ServeFiles)\(",
    ))
    .ok()
});

/// Listeners on the ports of HTTP that name no number: `ListenAndServe` with `":http"` or nothing, and those of ACME clients.
static NAMED_PORT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(ListenAndServe(?:TLS)?\(\s*":?(?:https?)?"|Addr:\s*":https?"|autocert\.NewListener|\.Listener\(\)|certmagic\.HTTPS\()"#).ok()
});

/// Absolute paths that root could write and others cannot. Service account tokens are only read.
static SYSTEM_PATH: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"["'`](?:sqlite:///|unix://|file:(?://)?|jdbc:(?:sqlite|h2:file):)?(/(?:var/(?:log|lib|cache|spool|db|opt|local)|root|data|srv|mnt|opt|logs?)(?:/[^"'`\s]*)?|/(?:var/)?run/[^"'`\s]*)["'`]"#).ok()
});

/// A setting that is called a directory, with its value or the default of that.
static SETTINGS_DIRECTORY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?mi)(?:[.\w-]*(?:dir|directory|folder)|[.\w-]*(?:uploads?|storage|data|logs?|cache|temp|work|output|index|backups?)[-._]?(?:path|location|root))"#,
        r#"["']?[ \t]*[:=][ \t]*["']?(?:\$\{[\w.-]+:)?(?:file:(?://)?)?(/[\w.-]+(?:/[\w.-]+)*)"#,
    ))
    .ok()
});

/// Ports below 1024 given to a listener. Every address of a machine is something to listen on, wherever it stands.
static LOW_PORT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?:\.listen\(\s*|\bport\s*(?:=|:=)\s*["']?|\bPORT\s*(?:=|\|\||\?\?)\s*["']?|["']PORT["']\s*,\s*["']?"#,
        r#"|ListenAndServe(?:TLS)?\(\s*"[^"]*:|Addr:\s*"[^"]*:|Listen(?:Packet)?\(\s*"(?:tcp|udp)[46]?",\s*"[^"]*:|\.(?:Run|Listen|Start|StartTLS)\(\s*"[^"]*:"#,
        r#"|Server\(\s*\(\s*["'][^"']*["']\s*,\s*|\.bind\(\s*\(\s*["'][^"']*["']\s*,\s*|\bbind\s*=\s*["'][^"']*:"#,
        r#"|(?:\b0\.0\.0\.0|\[::\]|//[*+]):|\bIPAddress\.\w+\s*,\s*|\bUNSPECIFIED\)?\s*,\s*|\b0,\s*0,\s*0,\s*0\)?\)\s*,\s*"#,
        r#"|\b(?:ServerSocket|InetSocketAddress|withPort|ListenAnyIP)\(\s*(?:["'][^"']*["']\s*,\s*)?|\bbind\(?\s*\(?["'][^"']*:|\(\[0,\s*0,\s*0,\s*0\]\s*,\s*"#,
        r#"|(?:UseUrls\(\s*|\bUrls?["']?\s*[:=]\s*)"https?://[^":/]*:|\bset\s+:port,\s*|(?m:^)\s*port\s+(?:ENV\.fetch\([^)]*\)\s*\{?\s*)?["']?)(\d{1,3})\b"#,
    ))
    .ok()
});

/// A port of the web that a line names for when a variable does not: `env::var("PORT").unwrap_or(80)`, `getenv("PORT")?.toInt() ?: 80`.
static FALLBACK_PORT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?i)["'](?:\w+_)?port["'][^\n;]{0,120}?(?:\?:|\|\||\?\?|\bunwrap_or\w*\(|\bor_?else\w*\(|\bordefault\(\s*["']\w+["']\s*,|\bor\b)"#,
        r#"\s*(?:\|[_a-z]*\|\s*|\(?\w*\)?\s*->\s*)?["']?(80|81|443)\b"#,
    ))
    .ok()
});

/// Ports below 1024 in the settings of Spring (`server.port`), Quarkus, Micronaut, Ktor, Rocket, Tomcat (`Connector`), and of ASP.NET (`Urls`), where a
/// wildcard without a port means 80.
static SETTINGS_PORT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?m)(?:^\s*(?:server|quarkus\.http|micronaut\.server|management\.server|ktor\.deployment)\.port\s*[=:]\s*"#,
        r#"|^server:[ \t]*\r?\n(?:[ \t]+.*\n|[ \t]*#.*\n)*?[ \t]+port:[ \t]*|^server:[ \t]*\{[^}\n]*\bport:[ \t]*"#,
        r#"|^[ \t]+(?:server|http):[ \t]*\r?\n(?:[ \t]+[\w-]+:[ \t]*\S.*\n){0,3}[ \t]+port:[ \t]*|\bdeployment\s*\{[^}]*\bport\s*=\s*"#,
        r#"|<Connector\b[^>]*?\bport=|^[ \t]*port[ \t]*=[ \t]*|"[Uu]rls?"\s*:\s*"[^"]*https?://[^":/]*:)"#,
        r#"["']?(?:\$\{\w+:)?(\d{1,3})(?:\}|\b)|"[Uu]rls?"\s*:\s*"[^"]*http(://(?:0\.0\.0\.0|\*|\+|\[::\])/?[";])"#,
    ))
    .ok()
});

/// Where the sources of a folder name a path that only root may write to, as `path:line (what)`; paths below `owned` are the application's own.
pub(super) fn system_path(tree: &Tree, folder: &str, owned: &[String]) -> Option<String> {
    let in_text = |text: &str| {
        let regex = SYSTEM_PATH.as_ref()?;
        regex.captures_iter(text).find_map(|found| {
            let path = found.get(1)?;
            let own =
                owned.iter().any(|owned| path.as_str() == owned || path.as_str().starts_with(&format!("{owned}/")));
            let token = path.as_str().contains("run/secrets");
            (!own && !token).then(|| (line_at(text, path.start()), path.as_str().to_owned()))
        })
    };
    search(tree, folder, |_, text| in_text(text)).or_else(|| {
        tree.below(folder).filter(|path| is_log_configuration(path) || is_settings(path)).find_map(|file| {
            let text = tree.read(file)?;
            if let Some(what) = named_directory(&text, owned) {
                return Some(format!("{file} ({})", super::identity::printable(&what)));
            }
            // A value of YAML or of an INI file stands without quotes.
            let plain = text.replace([' ', '\t', '=', '(', ',', '>', ':', '}', ';', '<', '\r', '\n'], "\"");
            let (_, what) = in_text(&format!("{plain}\""))?;
            Some(format!("{file} ({})", super::identity::printable(&what)))
        })
    })
}

/// A directory that settings name, which is neither the application's own nor for everybody nor what is only read.
fn named_directory(text: &str, owned: &[String]) -> Option<String> {
    const OTHERS: [&str; 8] = ["/tmp", "/var/tmp", "/dev", "/proc", "/sys", "/etc", "/usr", "/run/secrets"];
    let mut found = SETTINGS_DIRECTORY.as_ref()?.captures_iter(text).filter_map(|found| found.get(1));
    let is_other = |path: &str| {
        let open = OTHERS.into_iter().chain(owned.iter().map(String::as_str));
        open.into_iter().any(|directory| super::directories::is_within(path, directory))
    };
    found.find(|path| !is_other(path.as_str())).map(|path| path.as_str().to_owned())
}

/// Where the sources of a folder load one of these packages, as `path:line (package)`. Tests and configuration of tools do not count.
pub fn loads_package(tree: &Tree, folder: &str, packages: &[String]) -> Option<String> {
    loads(tree, folder, |name| {
        packages.iter().any(|package| name == package || name.starts_with(&format!("{package}/")))
    })
}

/// Where the sources of a folder load a package that `package.json` does not ask for at run time, likewise: it is there because another one asks for it.
/// With the text of a `yarn.lock`, names count only when it holds them; others are names that a compiler replaces.
pub fn loads_undeclared(tree: &Tree, folder: &str, package: &PackageJson, lock: Option<&str>) -> Option<String> {
    loads(tree, folder, |name| {
        let depth = if name.starts_with('@') { 2 } else { 1 };
        let name = name.split('/').take(depth).collect::<Vec<_>>().join("/");
        let is_locked = |lock: &str| ["\n", "\"", ", "].iter().any(|before| lock.contains(&format!("{before}{name}@")));
        !BUILT_IN.contains(&name.trim_start_matches("node:"))
            && !name.starts_with("node:")
            && !package.depends_on(&name)
            && lock.is_none_or(is_locked)
    })
}

/// Modules of Node.js itself (<https://nodejs.org/api/>).
const BUILT_IN: [&str; 43] = [
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "stream",
    "string_decoder",
    "sys",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
    "test",
];

/// Where the sources of a folder name one of these packages alone between quotes, as `path:line (package)`: a framework may load it by that name, as
/// `app.set("view engine", "pug")` does. Tests and configuration of tools do not count.
pub fn names_package(tree: &Tree, folder: &str, packages: &[&str]) -> Option<String> {
    finds_in_program(tree, folder, |text| {
        packages.iter().find_map(|package| {
            let quoted = ["\"", "'", "`"].map(|quote| format!("{quote}{package}{quote}"));
            let at = quoted.iter().find_map(|quoted| text.find(quoted.as_str()))?;
            Some((at, (*package).to_owned()))
        })
    })
}

/// Where the sources of a folder hold what is looked for, as `path:line (what)`. Tests and configuration of tools do not count.
pub fn finds_in_program(tree: &Tree, folder: &str, find: impl Fn(&str) -> Option<(usize, String)>) -> Option<String> {
    search(tree, folder, |path, text| {
        if configures_a_tool(path) {
            return None;
        }
        find(text).map(|(at, what)| (line_at(text, at), what))
    })
}

/// Whether a source is the configuration of a tool by its name.
fn configures_a_tool(path: &str) -> bool {
    file_name(path).contains(".config.") || file_name(path).starts_with('.')
}

/// Where the sources of a folder load a package that is meant, by what stands between the quotes.
fn loads(tree: &Tree, folder: &str, is_meant: impl Fn(&str) -> bool) -> Option<String> {
    static LOAD: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(?:require\(\s*|\bfrom\s+|\bimport\s+|\bimport\(\s*)["']([^"'./][^"']*)["']"#).ok()
    });
    search(tree, folder, |path, text| {
        if configures_a_tool(path) {
            return None;
        }
        LOAD.as_ref()?.captures_iter(text).find_map(|found| {
            let loaded = found.get(1)?;
            is_meant(loaded.as_str()).then(|| (line_at(text, loaded.start()), loaded.as_str().to_owned()))
        })
    })
}

/// What programs ask for that only root has: raw sockets, other users, package managers.
static ROOT_CALLS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(posix_setuid\(|(?m:^)\s*user\s+["'][\w-]+["']\s*,\s*["'][\w-]+["']|Process::(?:UID|Sys)\b|geteuid\(\)\s*(?:!=|==)\s*0|process\.getuid\(\)\s*!==?\s*0|SOCK_RAW|os\.setuid\(|process\.setuid\(|syscall\.Setuid\(|["'](?:apt-get|apk|sudo|mount|iptables)["']|(?:\b(?:run|call|check_call|check_output|Popen|system|Command|CommandContext|exec|execFile|spawn)(?:Sync)?\(\s*(?:ctx,\s*)?\[?\s*["'`](?:ping6?|traceroute|arping|nmap|tcpdump|sudo|doas)\b)|\b(?:from|import)\s+(?:scapy|icmplib|ping3|pcap|pcapy|pyshark|netfilterqueue)\b|require\(["'](?:raw-socket|net-ping|pcap|cap)["']\)|gopacket/pcap"|"golang\.org/x/net/icmp")"#).ok()
});

/// Where the sources of a folder ask for something that only root has, as `path:line (what)`.
pub(super) fn root_call(tree: &Tree, folder: &str) -> Option<String> {
    search(tree, folder, |_, text| {
        let found = ROOT_CALLS.as_ref()?.find(text)?;
        Some((line_at(text, found.start()), found.as_str().to_owned()))
    })
}

/// Where the sources of a folder listen on a port below 1024, as `path:line (what)`.
pub(super) fn low_port(tree: &Tree, folder: &str) -> Option<String> {
    let settings = tree.below(folder).filter(|path| is_settings(path)).find_map(|path| {
        let text = tree.read(path)?;
        SETTINGS_PORT.as_ref()?.captures_iter(&text).find_map(|found| {
            let port = found.get(1).or_else(|| found.get(2))?;
            let number: u16 = port.as_str().parse().unwrap_or(80);
            (number > 0 && number < 1024).then(|| format!("{path}:{} (port {number})", line_at(&text, port.start())))
        })
    });
    if settings.is_some() {
        return settings;
    }
    search(tree, folder, |_, text| {
        let patterns = [&LOW_PORT, &FALLBACK_PORT].into_iter().filter_map(|pattern| pattern.as_ref());
        patterns
            .flat_map(|pattern| pattern.captures_iter(text))
            .find_map(|found| {
                let port = found.get(1)?;
                let number: u16 = port.as_str().parse().ok()?;
                (number > 0 && number < 1024).then(|| (line_at(text, port.start()), format!("port {number}")))
            })
            .or_else(|| {
                let named = NAMED_PORT.as_ref()?.find(text)?;
                // Other things have a listener as well.
                let serves = !named.as_str().starts_with(".Listener") || text.contains("autocert");
                serves.then(|| (line_at(text, named.start()), named.as_str().to_owned()))
            })
    })
}

/// Whether a program's own sources are among the files of a folder.
pub(super) fn holds_sources(tree: &Tree, folder: &str, stack: Stack) -> bool {
    let ends = |path: &str| path.rsplit_once('.').is_some_and(|(_, ending)| stack.endings().contains(&ending));
    tree.below(folder).any(|path| is_source(path) && ends(path))
}

/// How the files of a folder speak of the Kubernetes API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ApiMention {
    /// As only a client does, as `path:line (what)`.
    Call(String),
    /// By a word that clients, and others, have in their names, as `path:line (what)`.
    Word(String),
}

/// Names of clients, and of frameworks that bring one along.
static API_WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)kube|\bk8s|\bkr8s\b|\bkopf\b|\b(?:apache-)?airflow\b|\bjupyterhub\b|\bdagster\b|\bprefect\b|\bmetaflow\b",
    )
    .ok()
});

/// Where sources, scripts or lists of dependencies below a folder speak of the Kubernetes API. A call counts before a word.
pub(super) fn api_mention(tree: &Tree, folder: &str) -> Option<ApiMention> {
    let mut word = None;
    for path in tree.below(folder) {
        let locked = is_lock_file(path);
        if !(locked || is_source(path) || path.ends_with(".sh") || is_dependency_list(path)) {
            continue;
        }
        let Some(text) = tree.read(path) else { continue };
        if let Some((offset, call)) = crate::kubernetes::api_call(&text) {
            return Some(ApiMention::Call(place(path, &text, offset, &call)));
        }
        // A checksum may hold a short word by chance.
        let found = match locked {
            true => text.find("kubernetes").map(|offset| (offset, "kubernetes")),
            false => API_WORDS.as_ref()?.find(&text).map(|found| (found.start(), found.as_str())),
        };
        if let (Some((offset, what)), None) = (found, &word) {
            word = Some(ApiMention::Word(place(path, &text, offset, what)));
        }
    }
    word
}

/// The first word of a text that clients of the Kubernetes API have in their names.
pub(super) fn api_word(text: &str) -> Option<String> {
    API_WORDS.as_ref()?.find(text).map(|found| found.as_str().to_owned())
}

fn is_lock_file(path: &str) -> bool {
    const NAMES: [&str; 7] = [
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "poetry.lock",
        "uv.lock",
        "Pipfile.lock",
    ];
    NAMES.contains(&file_name(path)) && !directory(path).split('/').any(|part| part == "node_modules")
}

fn is_dependency_list(path: &str) -> bool {
    let name = file_name(path);
    let is_list = matches!(name, "package.json" | "go.mod" | "pyproject.toml" | "setup.cfg" | "Pipfile")
        || name.ends_with(".txt") && name.contains("requirements");
    is_list && !directory(path).split('/').any(|part| part == "node_modules")
}

fn place(path: &str, text: &str, offset: usize, what: &str) -> String {
    format!("{path}:{} ({})", line_at(text, offset), super::identity::printable(what))
}

/// Whether a file holds the settings of a program's framework, where ports and paths are told to it.
/// Those of Ruby's lie in a folder of their own.
pub(super) fn is_settings(path: &str) -> bool {
    let name = file_name(path);
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let of_java = ["application", "bootstrap"].iter().any(|start| stem.starts_with(start))
        && matches!(ending, "properties" | "yml" | "yaml" | "conf");
    let of_ruby = matches!(stem, "database" | "storage" | "cable" | "sidekiq" | "thin" | "unicorn")
        && matches!(ending, "yml" | "yaml")
        && file_name(directory(path)) == "config";
    let tested = directory(path).split('/').any(|part| matches!(part, "test" | "tests"));
    (of_java
        || of_ruby
        || matches!(name, "Rocket.toml" | "server.xml")
        || stem.starts_with("appsettings") && ending == "json")
        && !tested
}

/// Where the sources of a folder hold one of these texts, as `path:line (text)`.
pub fn finds_text(tree: &Tree, folder: &str, wanted: &[&str]) -> Option<String> {
    search(tree, folder, |_, text| {
        wanted.iter().find_map(|wanted| Some((line_at(text, text.find(wanted)?), (*wanted).to_owned())))
    })
}

/// Whether the sources of a folder hold a text.
pub(super) fn mention(tree: &Tree, folder: &str, wanted: &str) -> bool {
    search(tree, folder, |_, text| text.contains(wanted).then(|| (1, wanted.to_owned()))).is_some()
}

fn search(tree: &Tree, folder: &str, find: impl Fn(&str, &str) -> Option<(usize, String)>) -> Option<String> {
    for path in tree.below(folder).filter(|path| is_source(path)) {
        let Some(text) = tree.read(path) else { continue };
        if text.len() <= SOURCE_LIMIT
            && let Some((line, what)) = find(path, &text)
        {
            return Some(format!("{path}:{line} ({})", super::identity::printable(&what)));
        }
    }
    None
}

/// Whether a file tells a program of its tree where to log.
pub(super) fn is_log_configuration(path: &str) -> bool {
    const NAMES: [&str; 7] = ["logging", "logger", "log_config", "logconf", "log4", "logback", "nlog"];
    const ENDINGS: [&str; 10] =
        [".config", ".yaml", ".yml", ".json", ".ini", ".conf", ".cfg", ".toml", ".xml", ".properties"];
    let name = file_name(path).to_ascii_lowercase();
    NAMES.iter().any(|word| name.contains(word)) && ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Whether a file is a program's own source, and not a test or somebody else's.
pub(super) fn is_source(path: &str) -> bool {
    let skipped = |part: &str| {
        matches!(part, "vendor" | "node_modules" | "test" | "tests" | "__tests__" | "dist" | "docs" | "examples")
    };
    let name = file_name(path);
    name.rsplit_once('.').is_some_and(|(_, ending)| Stack::ALL.iter().any(|stack| stack.endings().contains(&ending)))
        && !name.ends_with("_test.go")
        && !name.contains(".test.")
        && !name.contains(".spec.")
        && !name.starts_with("test_")
        && !directory(path).split('/').any(skipped)
}

fn find(text: &str, regex: Option<&Regex>) -> Option<(usize, String)> {
    let found = regex?.captures(text)?;
    let call = found.get(1).or_else(|| found.get(2))?;
    Some((line_at(text, call.start()), call.as_str().to_owned()))
}

fn line_of(text: &str, regex: Option<&Regex>) -> Option<usize> {
    Some(line_at(text, regex?.find(text)?.end()))
}

pub(super) fn line_at(text: &str, offset: usize) -> usize {
    crate::source::Position::of(text, offset).line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_calls_that_need_files_are_found() {
        for call in [
            "data, _ := os.ReadFile(\"x\")",
            "template.Must(template.ParseFiles(\"a\"))",
            "http.FileServer(d)",
            "router.LoadHTMLGlob(\"t/*\")",
        ] {
            assert!(find(call, GO_INPUTS.as_ref()).is_some(), "{call}");
        }
        for call in [
            "os.Getenv(\"A\")",
            "template.New(\"x\").Parse(text)",
            "template.ParseFS(files, \"t/*\")",
            "http.HandleFunc(\"/\", f)",
        ] {
            assert!(find(call, GO_INPUTS.as_ref()).is_none(), "{call}");
        }
    }

    #[test]
    fn cgo_is_found_in_both_import_forms() {
        assert_eq!(line_of("package a\nimport \"C\"\n", IMPORT_C.as_ref()), Some(2));
        assert!(line_of("import (\n\t\"C\"\n)\n", IMPORT_C.as_ref()).is_some());
        assert!(line_of("x := \"C\"\n", IMPORT_C.as_ref()).is_none());
    }

    #[test]
    fn low_ports_are_those_given_to_a_listener() {
        let port =
            |text: &str| LOW_PORT.as_ref().unwrap().captures(text).and_then(|found| found[1].parse::<u16>().ok());
        assert_eq!(port("app.listen(80, () => {})"), Some(80));
        assert_eq!(port("app.run(host='0.0.0.0', port=80)"), Some(80));
        assert_eq!(port("http.ListenAndServe(\":443\", nil)"), Some(443));
        assert_eq!(port("app.listen(8080)"), None);
        assert_eq!(port("app.run(port=5000)"), None);
    }
}
