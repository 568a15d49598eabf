//! Where the sources of a program write files, and which ways of starting one do.

use super::sources::{self, SOURCE_LIMIT, is_source, line_at};
use super::{ImageFacts, Stack};
use crate::discover::{file_name, join};
use crate::dockerfile::{Instruction, Keyword};
use crate::image::Family;
use crate::repository::Repository;
use regex::Regex;
use std::sync::LazyLock;

/// What the sources beside a Dockerfile tell about writing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Every call that writes, or may.
    pub(super) sites: Vec<Site>,
    /// Temporary files are made, by the program or by what it calls.
    pub(super) temporary: bool,
    /// Why more may be written than was seen; `None` when that was all of the program.
    pub(super) doubt: Option<String>,
}

/// A call that writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// `path:line`
    pub(super) place: String,
    /// The call.
    pub(super) call: String,
    /// The path, when it is written out.
    pub(super) target: Option<String>,
}

type Pattern = LazyLock<Option<Regex>>;

/// Calls of Go's standard library that change files, and of packages that keep a database or a log in one. Group 1 is the call, 2 its first argument.
static GO: Pattern = LazyLock::new(|| {
    Regex::new(concat!(
        r"\b((?:os|ioutil)\.(?:Create|OpenFile|WriteFile|Mkdir|MkdirAll|Rename|Remove|RemoveAll|Symlink|Link|Chmod|Chown|Chtimes|Truncate|CopyFS|OpenRoot)\b",
        r#"|(?:bolt|bbolt|badger|leveldb|pebble)\.Open\w*|sql\.Open\(\s*"sqlite\w*"|lumberjack\.Logger|\w+\.SaveUploadedFile|net\.Listen\(\s*(?:"unix\w*"|[^"\s)])|ListenUnix\w*)"#,
        r"(?:\s*[({,]\s*([^,)\n}]*))?",
    ))
    .ok()
});

/// Calls of `node:fs` that change files, destructured or not, and of packages that do.
static NODE: Pattern = LazyLock::new(|| {
    Regex::new(concat!(
        r"\b((?:writeFile|appendFile|copyFile|rename|unlink|rmdir|rm|symlink|link|truncate|mkdir|chmod|utimes)(?:Sync)|(?:writeFile|appendFile|copyFile)",
        r"|createWriteStream|mkdirp?|(?:fs|fsp|fsPromises|promises|fse)\s*\.\s*(?:rename|unlink|rmdir|rm|symlink|truncate|mkdir|cp|open|openSync|cpSync)",
        r"|(?:ensure|output|write|move|copy|remove)(?:Dir|File|Json|JSON)(?:Sync)?|multer|transports\.File|pino\.destination|new\s+(?:sqlite3\.)?Database)",
        r#"\s*\(\s*([^,)\n]*)|\b((?:writeFile|appendFile|copyFile|createWriteStream|mkdir|rename|unlink|rm)(?:Sync)?\s+as\s+\w+|listen\s*\(\s*["'`]/[^"'`]*)"#,
    ))
    .ok()
});

/// Calls of Python's standard library that change files, and of well-known packages.
static PYTHON: Pattern = LazyLock::new(|| {
    Regex::new(concat!(
        r"(\bos\.(?:open|makedirs|mkdir|rename|replace|remove|unlink|rmdir|symlink|chmod|mkfifo)|\bshutil\.(?:copy\w*|move|rmtree|make_archive|unpack_archive)",
        r"|\bsqlite3\.connect|\bshelve\.open|\bdbm(?:\.\w+)?\.open|\b\w*FileHandler|\.to_(?:csv|excel|parquet|pickle|feather|hdf)|\.savefig|\.extractall",
        r"|\.(?:write_text|write_bytes|mkdir|touch|unlink|rmdir|symlink_to)|\bjoblib\.dump|\btorch\.save|\bnp\.save\w*|\bTinyDB|\burlretrieve)",
        r"\s*\(\s*([^,)\n]*)",
    ))
    .ok()
});

/// A mode of Python's `open` that writes.
const PYTHON_MODE: &str = r#"(?:mode\s*=\s*)?["'][rbtU]*[wax+][rwbtaxU+]*["']"#;

/// `open` with a mode that writes, or one that is not written out.
static PYTHON_OPEN: Pattern = LazyLock::new(|| {
    Regex::new(&format!(r#"(\bopen)\s*\(\s*(?:(["'][^"'\n]*["'])\s*,|[^\n]*?,)\s*(?:{PYTHON_MODE}|[a-z_]\w*\s*[,)])"#))
        .ok()
});

/// The method of a path, whose first argument is the mode.
static PYTHON_OPEN_PATH: Pattern =
    LazyLock::new(|| Regex::new(&format!(r#"(\.open)\s*\(\s*{PYTHON_MODE}\s*[,)]"#)).ok());

/// Calls of Java's library that change files, in the languages of its virtual machine.
static JAVA: Pattern = LazyLock::new(|| {
    Regex::new(concat!(
        r"\b(Files\.(?:write\w*|newBufferedWriter|newOutputStream|create(?:Directory|Directories|File)|copy|move|delete\w*)",
        r"|(?:File(?:Writer|OutputStream|Handler)|RandomAccessFile|PrintWriter|ApplicationPidFileWriter|FSDirectory\.open|getConnection)",
        r"|mkdirs?|createNewFile|transferTo)\s*\(\s*([^,)\n]*)",
    ))
    .ok()
});

/// Calls of Rust's standard library that change files, and of crates that keep a database or a log in one.
static RUST: Pattern = LazyLock::new(|| {
    Regex::new(concat!(
        r"\b((?:fs::(?:write|create_dir\w*|rename|remove_\w+|copy)|File::create\w*|OpenOptions::new|Connection::open|UnixListener::bind",
        r"|sled::(?:open|Config::\w+)|DB::open\w*|SqliteConnectOptions::\w+|SqliteConnection::establish|Sqlite::create_database|rolling::\w+|FileAppender::builder",
        r"|log_file|create_in_dir|Index::open_or_create|Database::(?:create|builder)))\s*\(\s*([^,)\n]*)",
        r#"|(["`]sqlite:(?:///?)?[^":`?])"#,
    ))
    .ok()
});

/// Calls of .NET's library that change files.
static DOTNET: Pattern = LazyLock::new(|| {
    Regex::new(r"\b((?:File\.(?:Write\w*|Append\w*|Create\w*|OpenWrite|Move|Copy|Delete)|Directory\.(?:CreateDirectory|Move|Delete)|new\s+(?:StreamWriter|FileStream)|UseSqlite|PersistKeysToFileSystem|WriteTo\.File|AddFile))\s*\(\s*([^,)\n]*)").ok()
});

/// Calls of PHP's library that change files.
static PHP: Pattern = LazyLock::new(|| {
    Regex::new(r#"\b((?:file_put_contents|mkdir|touch|rename|unlink|copy|move_uploaded_file|session_save_path|error_log)|fopen|new\s+SplFileObject)\s*\(\s*([^,)\n]*)"#).ok()
});

/// Calls of Ruby's library that change files.
static RUBY: Pattern = LazyLock::new(|| {
    Regex::new(r"\b((?:File\.(?:write|open|new|rename|delete|unlink)|IO\.write|FileUtils\.\w+|Dir\.mkdir|Logger\.new|PStore\.new|SQLite3::Database\.new))\s*\(?\s*([^,)\n]*)").ok()
});

/// Databases and logs in files, as the settings of Java and .NET name them.
static STORED: Pattern = LazyLock::new(|| {
    Regex::new(concat!(
        r#"jdbc:(?:h2:(?:file|~|\.|/)|hsqldb:file|derby|sqlite)|[Dd]ata [Ss]ource\s*=\s*[^;"]*\.(?:db|sqlite)"#,
        r#"|tomcat\.basedir|\bbasedir:|accesslog|multipart\.location|\bappend-to-file|log\.file\.enable|hibernate\.search\.backend\.directory"#,
        r#"|logging\.file|(?m:^)logging:[ \t]*\r?\n(?:[ \t]+.*\n)*?[ \t]+file:|"path"\s*:\s*"[^"]*\.(?:log|txt)""#,
    ))
    .ok()
});

/// Settings that name a file which is written: a database, a log, a place for uploads.
static SETTINGS: Pattern = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(sqlite:///[^"'`\s:]|django\.db\.backends\.sqlite3|UPLOAD_FOLDER|\bfilename\s*=\s*["'][^"']+\.log|dialect:\s*["'`]sqlite"#,
        r#"|\b(?:accesslog|errorlog|logfile|pidfile)\s*=\s*["'][^-"']|basicConfig\([^)]*filename\s*=|MEDIA_ROOT|FileSystemStorage|AF_UNIX"#,
        r#"|\.save\(\s*(?:f?["']|os\.path|\w*(?:path|file|dir|name)\b)|\bopen\([^\n)]*,\s*["'][wax]\+?["'])"#,
    ))
    .ok()
});

/// Calls that make temporary files, or leave large requests in some.
static TEMPORARY: Pattern = LazyLock::new(|| {
    Regex::new(r"\b(CreateTemp|MkdirTemp|TempDir|TempFile|FormValue|FormFile|(?:Parse)?MultipartForm|ReadForm|PostFormValue|temp_?file|tmpdir|mkdtemp)").ok()
});

/// What starts other programs or goes round the library, or calls it by another name: its writing is not seen.
static ELSEWHERE: Pattern = LazyLock::new(|| {
    Regex::new(r#"(?m)(\bexec\.Command|\bos\.StartProcess|"syscall"|"unsafe"|"plugin"|^\s*(?:import\s+)?"C"|^\s*(?:import\s+)?[\w.]+\s+"(?:os|io/ioutil|net)")"#).ok()
});

/// Packages that keep files beside the program or in its user's home.
const KEEPERS: [&str; 50] = [
    "rusqlite",
    "libsqlite3-sys",
    "rocksdb",
    "sled",
    "redb",
    "tantivy",
    "log4rs",
    "flexi-logger",
    "tracing-appender",
    "derby",
    "mapdb",
    "rocksdbjni",
    "lucene-core",
    "spring-shell-starter",
    "transactions-jta",
    "spring-boot-starter-jta-atomikos",
    "activemq-broker",
    "artemis-jms-server",
    "quarkus-narayana-jta",
    "sqlite3",
    "better-sqlite3",
    "lowdb",
    "nedb",
    "level",
    "lmdb",
    "multer",
    "formidable",
    "express-fileupload",
    "winston-daily-rotate-file",
    "rotating-file-stream",
    "node-persist",
    "configstore",
    "session-file-store",
    "next",
    "nuxt",
    "puppeteer",
    "flask-session",
    "diskcache",
    "tinydb",
    "nltk",
    "transformers",
    "huggingface-hub",
    "streamlit",
    "celery",
    "jupyter",
    "go.etcd.io/bbolt",
    "github.com/boltdb/bolt",
    "github.com/dgraph-io/badger",
    "gopkg.in/natefinch/lumberjack.v2",
    "github.com/syndtr/goleveldb",
];

/// What the sources below the Dockerfile's folder tell; `None` when there are none of the stack's language.
pub(super) fn survey(repository: &Repository, image: &ImageFacts<'_>, stack: Stack) -> Option<Survey> {
    let (tree, folder) = (repository.tree(), image.directory());
    let mut survey = Survey::default();
    let mut any = false;
    let mut elsewhere = None;
    // A package of Go may be called as folders are that hold no program elsewhere.
    let is_package = |path: &str| {
        stack == Stack::Go
            && path.ends_with(".go")
            && !path.ends_with("_test.go")
            && !path.split('/').any(|part| matches!(part, "vendor" | "testdata"))
    };
    // What a build script of Rust writes is part of the build.
    let is_part = |path: &str| (is_source(path) || is_package(path)) && file_name(path) != "build.rs";
    for path in tree.below(folder).filter(|path| is_part(path)) {
        let extension = path.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
        any |= stack.endings().contains(&extension);
        let Some(text) = tree.read(path).filter(|text| text.len() <= SOURCE_LIMIT) else {
            elsewhere.get_or_insert(format!("{path} could not be searched"));
            continue;
        };
        let calls: &[&Pattern] = match extension {
            "go" => &[&GO],
            "py" => &[&PYTHON, &PYTHON_OPEN, &PYTHON_OPEN_PATH, &SETTINGS],
            "java" | "kt" | "scala" | "groovy" => &[&JAVA],
            "rs" => &[&RUST],
            "cs" | "fs" | "vb" => &[&DOTNET],
            "php" => &[&PHP],
            "rb" | "ru" => &[&RUBY],
            _ => &[&NODE, &SETTINGS],
        };
        survey.sites.extend(calls.iter().flat_map(|pattern| sites(path, &text, pattern)));
        if matches(&STORED, &text) {
            survey.sites.push(Site { place: path.to_owned(), call: "a database in a file".to_owned(), target: None });
        }
        survey.temporary |= matches(&TEMPORARY, &text);
        if extension == "go" && matches(&ELSEWHERE, &text) {
            elsewhere.get_or_insert(format!("{path} starts other programs or calls the system itself"));
        }
    }
    if !any {
        return None;
    }
    for path in tree.below(folder).filter(|path| sources::is_log_configuration(path)) {
        if tree.read(path).is_some_and(|text| text.contains("FileHandler") || text.contains("FileAppender")) {
            survey.sites.push(Site { place: path.to_owned(), call: "a log file".to_owned(), target: None });
        }
    }
    for path in tree.below(folder).filter(|path| sources::is_settings(path)) {
        if tree.read(path).is_some_and(|text| matches(&STORED, &text)) {
            survey.sites.push(Site {
                place: path.to_owned(),
                call: "a database or a log in a file".to_owned(),
                target: None,
            });
        }
    }
    let mut depends = false;
    for name in [
        "pom.xml",
        "build.gradle",
        "build.gradle.kts",
        "package.json",
        "requirements.txt",
        "pyproject.toml",
        "Pipfile",
        "setup.py",
        "go.mod",
        "Cargo.toml",
    ] {
        let Some(text) = join(folder, name).and_then(|path| tree.read(&path)) else { continue };
        depends |= name != "go.mod" || text.contains("require");
        if let Some(keeper) = KEEPERS.iter().find(|keeper| names_package(&text, keeper)) {
            let place = join(folder, name).unwrap_or_default();
            survey.sites.push(Site { place, call: (*keeper).to_owned(), target: None });
        }
    }
    survey.doubt = elsewhere.or_else(|| match stack {
        Stack::Go if depends => Some("go.mod requires packages whose writing is not seen".to_owned()),
        Stack::Go if built_elsewhere(image) => {
            Some("it is not seen that the program is built from the sources beside the Dockerfile".to_owned())
        }
        Stack::Go if join(folder, "go.work").is_some_and(|path| tree.has(&path)) => {
            Some("a workspace has other modules whose writing is not seen".to_owned())
        }
        Stack::Go if join(folder, "go.mod").is_none_or(|path| !tree.has(&path)) => {
            Some("without a go.mod beside the Dockerfile it is not known what the program is made of".to_owned())
        }
        Stack::Go => None,
        _ => Some("libraries may write, and are not read".to_owned()),
    });
    Some(survey)
}

/// Whether the program may be another one than `go build` makes of the sources beside the Dockerfile: it is fetched, or has a name of its own.
fn built_elsewhere(image: &ImageFacts<'_>) -> bool {
    let text = image.dockerfile.text();
    let fetches = ["go install", "go get", "git clone", "curl", "wget", "://"];
    let instructions = image.dockerfile.instructions();
    let argv = image.argv();
    let program =
        argv.iter().find(|word| !word.ends_with("/sh") && *word != "-c").map(String::as_str).unwrap_or_default();
    let program = program.split_whitespace().find(|word| *word != "exec").unwrap_or_default();
    let name = file_name(program);
    let builds = |instruction: &&Instruction| {
        instruction.keyword == Keyword::Run && instruction.span.of(text).contains("go build")
    };
    let built = instructions.iter().filter(builds).any(|run| {
        run.span
            .of(text)
            .split(|c: char| c.is_whitespace() || matches!(c, '/' | '=' | ';' | '&'))
            .any(|word| word == name)
    });
    let copied = instructions.iter().any(|copy| {
        copy.keyword == Keyword::Copy
            && copy
                .flag("from")
                .and_then(|flag| flag.value.as_deref())
                .is_some_and(|from| image.dockerfile.stage(from).is_some())
            && image.dockerfile.copy_words(copy).is_some_and(|(_, to)| file_name(&to) == name)
    });
    let fetched =
        instructions.iter().any(|instruction| fetches.iter().any(|word| instruction.span.of(text).contains(word)));
    name.is_empty() || fetched || !(built || copied && instructions.iter().any(|instruction| builds(&instruction)))
}

/// Whether a list of dependencies names a package, as a word of its own.
fn names_package(text: &str, package: &str) -> bool {
    let text = text.to_ascii_lowercase().replace('_', "-");
    let is_part = |character: char| character.is_alphanumeric() || matches!(character, '-' | '/' | '@' | '.');
    text.match_indices(package).any(|(at, found)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(|character| is_part(character) && !matches!(character, '/'))
    })
}

fn matches(pattern: &Pattern, text: &str) -> bool {
    pattern.as_ref().is_none_or(|regex| regex.is_match(text))
}

fn sites(path: &str, text: &str, pattern: &Pattern) -> Vec<Site> {
    let Some(regex) = pattern.as_ref() else {
        return vec![Site { place: path.to_owned(), call: "cannot be searched".to_owned(), target: None }];
    };
    let found = regex.captures_iter(text).filter_map(|found| {
        let call = found.get(1).or_else(|| found.get(3))?;
        let argument = found.get(2).map(|argument| argument.as_str().trim()).unwrap_or_default();
        let place = format!("{path}:{}", line_at(text, call.start()));
        Some(Site { place, call: call.as_str().to_owned(), target: literal(argument) })
    });
    // A database in memory is no file.
    found.filter(|site| site.target.as_deref() != Some(":memory:")).collect()
}

/// The text of a string that is written out whole, also where it is what a path is made of.
fn literal(argument: &str) -> Option<String> {
    static PATH: Pattern = LazyLock::new(|| {
        Regex::new(r#"\b(?:DirectoryInfo|FileInfo|File|Path|Paths\.get|Path\.of|[Jj]oin|Path\.Combine|PathBuf::from|Path::new)\(\s*["'](/[^"'{}$\\%]+)["']"#).ok()
    });
    if let Some(path) = PATH.as_ref().and_then(|path| path.captures(argument)).and_then(|found| found.get(1)) {
        return Some(path.as_str().to_owned());
    }
    let quote = argument.chars().next().filter(|quote| matches!(quote, '"' | '\'' | '`'))?;
    let inner = argument.strip_prefix(quote)?.strip_suffix(quote)?;
    let whole = !inner.is_empty() && !inner.contains([quote, '$', '{', '\\', '%']);
    whole.then(|| inner.to_owned())
}

/// Why the program that a command line starts is known to write, or cannot be told; `None` for a program whose sources tell.
pub(super) fn by_program(image: &ImageFacts<'_>, stack: Stack, argv: &[String]) -> Option<String> {
    let line;
    let words: Vec<&str> = match argv {
        [shell, flag, script, ..] if shell.ends_with("/sh") && flag == "-c" => {
            line = script.clone();
            if line.contains([';', '&', '|', '<', '>', '`', '(', '\n']) {
                return Some(format!("`{}` is more than one program", line.escape_debug()));
            }
            line.split_whitespace().skip_while(|word| *word == "exec").collect()
        }
        argv => argv.iter().map(String::as_str).collect(),
    };
    // An init process starts the program and does nothing else.
    let started = words.iter().skip_while(|word| {
        matches!(word.rsplit('/').next(), Some("tini" | "dumb-init" | "catatonit")) || word.starts_with('-')
    });
    let Some(first) = started.copied().next() else { return Some("the image names no command".to_owned()) };
    let program = file_name(first);
    let told = match stack {
        // A distroless image starts its interpreter, and the command is what that is given.
        Stack::Node => program == "node" || image.family == Some(Family::Distroless) && first.ends_with("js"),
        Stack::Python => {
            matches!(program, "python" | "python3" | "gunicorn" | "uvicorn" | "hypercorn" | "flask" | "waitress-serve")
                || image.family == Some(Family::Distroless) && first.ends_with(".py")
        }
        // A script arranges things before the program starts.
        Stack::Java | Stack::Rust | Stack::DotNet | Stack::Php | Stack::Ruby => false,
        Stack::Go => {
            !matches!(program, "go" | "air" | "sh" | "bash" | "ash" | "make" | "start" | "run" | "init")
                && !program.contains('.')
                && !program.contains("entrypoint")
        }
    };
    (!told)
        .then(|| format!("{} may write files of its own: caches, logs, or what a script makes", program.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(pattern: &Pattern, text: &str) -> Vec<(String, Option<String>)> {
        sites("a", text, pattern).into_iter().map(|site| (site.call, site.target)).collect()
    }

    #[test]
    fn calls_that_write_are_found_with_their_target() {
        let target = |pattern: &Pattern, text: &str| calls(pattern, text).first().map(|(_, target)| target.clone());
        let known = |path: &str| Some(Some(path.to_owned()));
        assert_eq!(target(&GO, r#"f, err := os.Create("/data/x")"#), known("/data/x"));
        assert_eq!(target(&GO, "os.WriteFile(name, data, 0o644)"), Some(None));
        assert_eq!(target(&GO, r#"net.Listen("unix", path)"#), Some(None));
        assert_eq!(target(&NODE, "fs.writeFileSync(`${dir}/x`, a)"), Some(None));
        assert_eq!(target(&NODE, "const log = createWriteStream('/var/log/a.log')"), known("/var/log/a.log"));
        assert_eq!(target(&GO, "create := os.Create\n"), Some(None));
        assert_eq!(target(&GO, r#"os.MkdirAll(filepath.Join("/uploads", id), 0o755)"#), known("/uploads"));
        assert_eq!(target(&DOTNET, r#".PersistKeysToFileSystem(new DirectoryInfo("/keys"));"#), known("/keys"));
        assert_eq!(target(&JAVA, r#"Files.createDirectories(Paths.get("/uploads"));"#), known("/uploads"));
        assert_eq!(target(&RUST, r#"SqliteConnectOptions::from_str("sqlite://notes.db")"#), known("sqlite://notes.db"));
        assert_eq!(target(&RUST, r#"tracing_appender::rolling::daily("logs", "app.log")"#), known("logs"));
        assert_eq!(target(&RUST, r#"SqlitePool::connect("sqlite::memory:")"#), None);
        assert_eq!(target(&SETTINGS, "await open(path, 'w')"), Some(None));
        assert_eq!(target(&SETTINGS, "image.save(os.path.join(a, b))"), Some(None));
        assert_eq!(target(&SETTINGS, "logging.basicConfig(level=INFO, filename=LOG)"), Some(None));
        assert_eq!(target(&NODE, "await fs.mkdir('uploads')"), known("uploads"));
        assert_eq!(target(&PYTHON, "os.makedirs(\"/cache\")"), known("/cache"));
        assert_eq!(target(&PYTHON, "sqlite3.connect(PATH)"), Some(None));
        assert_eq!(target(&PYTHON_OPEN, "with open('/data/log', 'a') as f:"), known("/data/log"));
        assert_eq!(target(&PYTHON_OPEN, "open(os.path.join(a, b), \"wb\")"), Some(None));
        assert_eq!(target(&PYTHON_OPEN_PATH, "LINES.open(\"a\")"), Some(None));
        assert_eq!(target(&PYTHON_OPEN, "open(path, mode)"), Some(None));
        assert_eq!(target(&PYTHON_OPEN, "open(f(g(path), h()), 'w')"), Some(None));
        assert_eq!(target(&PYTHON_OPEN, "open(\n    path,\n    'w',\n)"), Some(None));
        assert_eq!(target(&PYTHON_OPEN, "open('a' + b, 'w')"), Some(None));
        assert_eq!(target(&PYTHON_OPEN, "open(path, mode='x')"), Some(None));
        assert_eq!(target(&SETTINGS, "URI = 'sqlite:///notes.db'"), Some(None));
    }

    #[test]
    fn reading_is_no_writing() {
        for (pattern, text) in [
            (&GO, "os.ReadFile(\"x\")"),
            (&GO, "os.Open(name)"),
            (&GO, "os.CreateTemp(\"\", \"a\")"),
            (&SETTINGS, "serializer.save()"),
            (&SETTINGS, "user.save(update_fields=['a'])"),
            (&GO, "net.Listen(\"tcp\", \":80\")"),
            (&NODE, "fs.readFileSync('a', 'utf8')"),
            (&NODE, "fs.createReadStream(a)"),
            (&NODE, "app.listen(80)"),
            (&PYTHON_OPEN, "open('a')"),
            (&PYTHON_OPEN, "with open(path) as file:"),
            (&PYTHON_OPEN, "open(path, 'rb')"),
            (&PYTHON_OPEN, "open(path, encoding='utf-8')"),
            (&PYTHON, "sqlite3.connect(\":memory:\")"),
            (&SETTINGS, "sqlite:///:memory:"),
        ] {
            assert_eq!(calls(pattern, text), [], "{text}");
        }
    }

    #[test]
    fn packages_are_words_of_a_list() {
        assert!(names_package("{\"dependencies\": {\"multer\": \"1\"}}", "multer"));
        assert!(names_package("Flask_Session==0.5", "flask-session"));
        assert!(names_package("require github.com/dgraph-io/badger/v4 v4.0.0", "github.com/dgraph-io/badger"));
        assert!(!names_package("{\"next-tick\": \"1\", \"loglevel\": \"1\"}", "next"));
        assert!(!names_package("{\"loglevel\": \"1\"}", "level"));
    }

    #[test]
    fn probes_that_write_are_told_apart() {
        let command =
            |line: &str| super::super::commands::changes_files(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(command("sh -c echo ok > /tmp/ready"));
        assert!(command("touch /tmp/ready"));
        assert!(!command("pg_isready -U postgres"));
        assert!(!command("sh -c nc -z localhost 80 > /dev/null 2>&1"));
    }
}
