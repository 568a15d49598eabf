//! What the sources of Java, Rust and .NET programs need of the image that they run in: files that they open, programs that they start, and the files
//! beside them that they may read.

use super::Stack;
use super::sources::{SOURCE_LIMIT, is_about_the_build, line_at};
use crate::discover::{directory, file_name, join};
use crate::repository::Repository;
use regex::Regex;
use std::sync::LazyLock;

/// What the sources below a folder ask of their image at run time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunTimeInputs {
    /// Where a file is opened by its path, as `path:line calls what`.
    pub files: Option<String>,
    /// Where a program is started, or something is used that only the development kit has.
    pub programs: Option<String>,
    /// Where a port below 1024 is listened on. Rust only.
    pub low_port: Option<String>,
    /// Where a folder is compiled into a release, and read from the file system by any other build. Rust only.
    pub embedded_in_releases: Option<String>,
    /// Files that are neither sources, nor compiled in, nor about building, testing and deploying: the program may read them.
    pub other_files: Vec<String>,
}

/// What is looked for in the sources of one language.
struct Calls {
    files: &'static Pattern,
    programs: &'static Pattern,
}

type Pattern = LazyLock<Option<Regex>>;

static JAVA: Calls = Calls { files: &JAVA_FILES, programs: &JAVA_PROGRAMS };
static RUST: Calls = Calls { files: &RUST_FILES, programs: &RUST_PROGRAMS };
static DOT_NET: Calls = Calls { files: &DOT_NET_FILES, programs: &DOT_NET_PROGRAMS };

impl RunTimeInputs {
    /// Reads the sources of `stack` in a folder of the tree; `None` without any, and for other languages.
    pub fn read(repository: &Repository, folder: &str, stack: Stack) -> Option<Self> {
        let calls = match stack {
            Stack::Java => &JAVA,
            Stack::Rust => &RUST,
            Stack::DotNet => &DOT_NET,
            _ => return None,
        };
        let tree = repository.tree();
        let mut inputs = Self::default();
        let mut any = false;
        let mut compiled_in = Vec::new();
        for path in tree.below(folder) {
            let relative = below(path, folder);
            let is_source = path.rsplit_once('.').is_some_and(|(_, ending)| stack.endings().contains(&ending))
                && !is_test(relative)
                && !(stack == Stack::Rust && file_name(relative) == "build.rs");
            if !(is_source || stack == Stack::Java && is_resource(relative)) {
                continue;
            }
            // A source that cannot be read may do anything.
            let Some(text) = tree.read(path).filter(|text| text.len() <= SOURCE_LIMIT) else {
                inputs.programs.get_or_insert(format!("{path} is not read"));
                continue;
            };
            let call = |pattern: &Pattern| found(path, &text, pattern);
            if !is_source {
                inputs.files = inputs.files.or_else(|| call(&RESOURCE_FILES));
                continue;
            }
            any = true;
            inputs.files = inputs.files.or_else(|| call(calls.files));
            inputs.programs = inputs.programs.or_else(|| call(calls.programs));
            if stack == Stack::Rust {
                inputs.low_port = inputs.low_port.or_else(|| low_port(path, &text));
                compiled_in.extend(included(path, &text));
                if let Some(found) = embedded(path, &text) {
                    let place = format!("{path}:{}", found.line);
                    inputs.embedded_in_releases.get_or_insert(place);
                    compiled_in.extend(found.folder);
                }
            }
        }
        if stack == Stack::Rust {
            let manifest = join(folder, "Cargo.toml").and_then(|path| tree.read(&path)).unwrap_or_default();
            // This feature compiles it in always; a release with these assertions is none in its eyes.
            if manifest.contains("debug-embed") {
                inputs.embedded_in_releases = None;
            } else if let Some(place) =
                inputs.embedded_in_releases.as_ref().filter(|_| manifest.contains("debug-assertions"))
            {
                inputs.files.get_or_insert(format!("{place} reads a folder"));
            }
            // Templates of these engines become code.
            if ["askama", "rinja", "sailfish", "maud"].iter().any(|engine| manifest.contains(engine)) {
                compiled_in.extend(join(folder, "templates"));
            }
        }
        let is_compiled_in = |path: &str| {
            compiled_in
                .iter()
                .any(|name| path == name || path.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')))
        };
        let others = tree.below(folder).filter(|path| {
            let relative = below(path, folder);
            !is_compiled_in(path) && !is_part_of(relative, stack) && !is_about_the_build(repository, path)
        });
        inputs.other_files = others.map(str::to_owned).collect();
        any.then_some(inputs)
    }
}

fn below<'p>(path: &'p str, folder: &str) -> &'p str {
    path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/')
}

/// The first call of a pattern, as `path:line calls what`.
fn found(path: &str, text: &str, pattern: &Pattern) -> Option<String> {
    let call = pattern.as_ref()?.find(text)?;
    // A pattern may end within a name.
    let rest = text.get(call.end()..).unwrap_or_default();
    let ends_in_name = call.as_str().ends_with(|c: char| c.is_alphanumeric() || c == ':');
    let name = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let end = call.end() + if ends_in_name { name } else { 0 };
    let what = super::identity::printable(text.get(call.start()..end)?.trim_end_matches('('));
    Some(format!("{path}:{} uses {what}", line_at(text, call.start())))
}

fn low_port(path: &str, text: &str) -> Option<String> {
    let found = LOW_PORT.as_ref()?.captures_iter(text).find_map(|found| {
        let port = found.get(1).or_else(|| found.get(2))?;
        let number: u16 = port.as_str().parse().ok()?;
        (number > 0 && number < 1024).then_some((port.start(), number))
    })?;
    Some(format!("{path}:{} listens on port {}", line_at(text, found.0), found.1))
}

/// Files and folders that macros compile into a Rust program.
fn included(path: &str, text: &str) -> Vec<String> {
    let Some(pattern) = INCLUDED.as_ref() else { return Vec::new() };
    let beside = pattern.captures_iter(text).filter_map(|found| join(directory(path), found.get(1)?.as_str()));
    let mut names: Vec<String> = beside.collect();
    // These take a folder beside Cargo.toml.
    let folders = INCLUDED_FOLDER.as_ref().into_iter().flat_map(|pattern| pattern.captures_iter(text));
    names.extend(folders.filter_map(|found| join(krate(path), found.get(1)?.as_str().trim_end_matches('/'))));
    if text.contains("migrate!(") || text.contains("embed_migrations!(") {
        names.extend(join(krate(path), "migrations"));
    }
    names
}

/// A folder that rust-embed compiles in (<https://docs.rs/rust-embed>).
struct Embedded {
    line: usize,
    /// `None` where its name cannot be told.
    folder: Option<String>,
}

fn embedded(path: &str, text: &str) -> Option<Embedded> {
    let found = EMBEDDED.as_ref()?.captures(text)?;
    let written = found.get(1)?;
    let folder = written.as_str().trim_start_matches("$CARGO_MANIFEST_DIR/").trim_end_matches('/');
    Some(Embedded {
        line: line_at(text, written.start()),
        folder: join(krate(path), folder).filter(|_| !folder.is_empty()),
    })
}

/// The folder of `Cargo.toml`, which stands above `src`.
fn krate(path: &str) -> &str {
    directory(path).split_once("src").map_or("", |(before, _)| before.trim_end_matches('/'))
}

/// Whether a source tests the program or shows its use. What stands below a folder `src` of Rust is the program.
fn is_test(relative: &str) -> bool {
    if relative.contains("src/main/") {
        return false;
    }
    let tests = |part: &str| {
        matches!(part, "test" | "tests" | "benches" | "examples" | "it" | "testFixtures" | "integrationTest")
            || part.ends_with(".Tests")
            || part.ends_with(".Test")
            || part.ends_with("Tests")
    };
    let parts: Vec<&str> = directory(relative).split('/').collect();
    let test = parts.iter().position(|part| tests(part));
    let source = parts.iter().position(|part| *part == "src");
    test.is_some_and(|test| relative.contains("src/test/") || source.is_none_or(|source| test < source))
}

/// Whether a file is configuration that ends up in a jar.
fn is_resource(relative: &str) -> bool {
    let ending = relative.rsplit_once('.').map(|(_, ending)| ending);
    relative.contains("src/main/resources/") && matches!(ending, Some("properties" | "yml" | "yaml" | "xml" | "conf"))
}

/// Whether a file is a source, is compiled or packed into the program, or tells how to build it.
fn is_part_of(relative: &str, stack: Stack) -> bool {
    let name = file_name(relative);
    let ending = relative.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
    let first = relative.split('/').next().unwrap_or_default();
    let within = |folder: &str| relative.starts_with(folder) || relative.contains(&format!("/{folder}"));
    if is_example(name) {
        return true;
    }
    match stack {
        Stack::Java => {
            // Spring Boot serves `src/main/webapp` from the working directory.
            const PACKED: [&str; 10] =
                ["java", "kotlin", "scala", "groovy", "resources", "proto", "avro", "antlr4", "openapi", "graphql"];
            PACKED.iter().any(|folder| within(&format!("src/main/{folder}/")))
                || ["src/test/", "src/it/", "src/integrationTest/", "gradle/", ".mvn/"]
                    .iter()
                    .any(|folder| within(folder))
                || matches!(first, ".gradle" | ".settings" | ".run")
                || ["config/checkstyle/", "config/pmd/", "config/spotbugs/", "config/detekt/"]
                    .iter()
                    .any(|folder| within(folder))
                || matches!(name, "pom.xml" | "gradlew" | "gradlew.bat" | "mvnw" | "mvnw.cmd" | "gradle.properties")
                || matches!(name, "lombok.config" | ".classpath" | ".project" | ".factorypath" | "system.properties")
                || matches!(name, "sonar-project.properties" | ".sdkmanrc" | ".java-version" | ".tool-versions")
                || name.starts_with("build.gradle")
                || name.starts_with("settings.gradle")
                || matches!(ending, "iml" | "ipr")
        }
        Stack::Rust => {
            ending == "rs"
                || matches!(first, ".cargo" | ".sqlx" | "benches" | "examples")
                || matches!(name, "Cargo.toml" | "Cargo.lock" | "rust-toolchain" | "rust-toolchain.toml" | "deny.toml")
                || matches!(name, "rustfmt.toml" | ".rustfmt.toml" | "clippy.toml" | ".clippy.toml" | "Cross.toml")
        }
        _ => false,
    }
}

/// Examples of configuration, and what other tools read.
fn is_example(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "Procfile",
        "app.json",
        "justfile",
        "Tiltfile",
        "Vagrantfile",
        "renovate.json",
        "codecov.yml",
        ".travis.yml",
        "azure-pipelines.yml",
        ".pre-commit-config.yaml",
    ];
    NAMES.contains(&name) || [".env.example", ".env.sample", ".env.template"].contains(&name)
}

fn pattern(written: &str) -> Option<Regex> {
    Regex::new(written).ok()
}

/// Java and Kotlin: `java.io`, `java.nio`, and what frameworks read from the file system.
static JAVA_FILES: Pattern = LazyLock::new(|| {
    pattern(concat!(
        r"\b(?:File|FileReader|FileWriter|FileInputStream|FileOutputStream|RandomAccessFile|FileSystemResource|FileHandler)\s*\(",
        r"|\bPaths\.get\b|\bPath\.of\b|\bFiles\.[a-z]\w*|\bFileSystems\.|\bFileChannel\.open|\.getFile\(\)|\bResourceUtils\.",
        r#"|["']user\.dir["']|["'](?:optional:)?file:|externalLocation|externalStaticFileLocation|StaticHandler\.create|\bDotenv\b"#,
    ))
});

/// Programs, native libraries, and modules that a Java runtime does not have
/// (<https://adoptium.net/temurin/faq>: `jdk.compiler`, `jdk.attach`, `jdk.jdi`, `jdk.jshell`).
static JAVA_PROGRAMS: Pattern = LazyLock::new(|| {
    pattern(concat!(
        r"\bProcessBuilder\b|getRuntime\(\)\s*\.exec|\bDefaultExecutor\b|\bSystem\.load(?:Library)?\s*\(",
        r"|\bToolProvider\b|\bjavax\.tools\.|\bcom\.sun\.(?:tools|jdi|javadoc)\.|\bsun\.tools\.|\bVirtualMachine\.attach|\bjdk\.jshell\b",
        r"|\bReactorDebugAgent\b|\bBlockHound\b|\bByteBuddyAgent\b",
    ))
});

/// Paths in the configuration that is packed into a jar: these keys name files, and `file:` says it.
static RESOURCE_FILES: Pattern = LazyLock::new(|| {
    pattern(
        r#"(?m)\bfile:(?:/|\.|\$)|(?:key-?store|trust-?store|keyStore|trustStore)(?:-?[Ff]ile)?\s*[:=]\s*["']?[^\s"'#:]+\.[a-z0-9]+\s*$|logging\.config|config\.import|<include file="#,
    )
});

/// Rust: the standard library, runtimes, and crates that read files at run time.
static RUST_FILES: Pattern = LazyLock::new(|| {
    pattern(concat!(
        r"\b(?:File|OpenOptions|DirBuilder)::|\bfs::[a-z_]\w*|\bfs::\{|\bNamedFile\b|\bServeDir\b|\bServeFile\b|\bactix_files\b|\bFileServer\b",
        r"|\bTera::new|register_templates?_(?:file|directory)|\bfile_source\b|\bFile::with_name|\bFigment\b|\bdotenvy?\b",
        r"|\blibloading\b|\binit_file\b|\bsqlite:|\brusqlite\b|\bsled::|\brocksdb\b|_pem_file\b|_key_file\b|_chain_file\b|\bcurrent_dir\(",
        r"|\bnotify::|\bwalkdir\b|\bglob::|\bmemmap|\bwarp::fs\b|\btemp_?file\b|\btemp_dir\(",
    ))
});

/// Commands, of the standard library and of runtimes; the builders of command lines have the same name and another path.
static RUST_PROGRAMS: Pattern = LazyLock::new(|| {
    pattern(
        r"\bprocess::Command\b|\bprocess::\{[^}]*\bCommand\b|\bduct::|\bcmd!\s*\(|\bxshell\b|\bexecv[pe]*\(|\bgetpwnam|\bsetuid\(",
    )
});

/// What `include_str!` and its like take in, by the path beside the source.
static INCLUDED: Pattern = LazyLock::new(|| pattern(r#"\binclude(?:_str|_bytes)?!\s*\(\s*"([^"]+)""#));

/// What `include_dir!` takes in (<https://docs.rs/include_dir>).
static INCLUDED_FOLDER: Pattern = LazyLock::new(|| pattern(r#"\binclude_dir!\s*\(\s*"\$CARGO_MANIFEST_DIR/([^"]+)""#));

/// The attribute that names the folder of rust-embed.
static EMBEDDED: Pattern = LazyLock::new(|| pattern(r#"#\[\s*folder\s*=\s*"([^"]+)"\s*\]"#));

/// Listeners of Rust: an address as text, or as an array of bytes with a port.
static LOW_PORT: Pattern = LazyLock::new(|| {
    pattern(
        r#"["'](?:0\.0\.0\.0|127\.0\.0\.1|localhost|\[::1?\]):(\d{1,3})["']|\(\s*(?:\[\s*0\s*,\s*0\s*,\s*0\s*,\s*0\s*\]|"0\.0\.0\.0"|"\[::\]")\s*,\s*(\d{1,3})\s*\)"#,
    )
});

/// .NET: paths above the folder of the program, which is copied as a whole.
static DOT_NET_FILES: Pattern = LazyLock::new(|| pattern(r#""\.\.(?:/|\\\\|")|@"\.\.\\|CallerFilePath"#));

/// .NET: programs, and what only the SDK holds.
static DOT_NET_PROGRAMS: Pattern = LazyLock::new(|| {
    pattern(
        r"\bProcess\.Start\b|\bProcessStartInfo\b|\bMSBuildLocator\b|\bMicrosoft\.Build\b|\bMSBuildWorkspace\b|\[DllImport\(|\bLibraryImport\b|\bNativeLibrary\.",
    )
});

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(pattern: &Pattern, text: &str) -> bool {
        pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
    }

    #[test]
    fn every_pattern_compiles() {
        let all = [&JAVA_FILES, &JAVA_PROGRAMS, &RESOURCE_FILES, &RUST_FILES, &RUST_PROGRAMS, &INCLUDED, &LOW_PORT];
        let others = [&DOT_NET_FILES, &DOT_NET_PROGRAMS, &INCLUDED_FOLDER, &EMBEDDED];
        for pattern in all.into_iter().chain(others) {
            assert!(pattern.is_some());
        }
    }

    #[test]
    fn java_that_opens_files_or_starts_programs_is_found() {
        for text in
            ["new File(\"a\")", "Files.readString(p)", "Paths.get(\"x\")", "val f = File(\"x\")", "\"file:./x\""]
        {
            assert!(uses(&JAVA_FILES, text), "{text}");
        }
        for text in ["MultipartFile file;", "profile(x)", "Path path;", "getFilesystem()"] {
            assert!(!uses(&JAVA_FILES, text), "{text}");
        }
        for text in ["new ProcessBuilder(\"ls\")", "Runtime.getRuntime().exec(x)", "import javax.tools.JavaCompiler;"] {
            assert!(uses(&JAVA_PROGRAMS, text), "{text}");
        }
    }

    #[test]
    fn keys_that_name_files_are_found() {
        for text in
            ["server.ssl.key-store=keystore.p12", "  key-store: keystore.p12", "x=file:./a", "logging.config=a.xml"]
        {
            assert!(uses(&RESOURCE_FILES, text), "{text}");
        }
        for text in ["server.ssl.key-store=classpath:keystore.p12", "spring.datasource.url=jdbc:h2:mem:x", "profile: a"]
        {
            assert!(!uses(&RESOURCE_FILES, text), "{text}");
        }
    }

    #[test]
    fn rust_that_opens_files_or_starts_programs_is_found() {
        for text in ["std::fs::read(\"a\")", "use std::fs::{self}", "File::open(x)", "ServeDir::new(\"static\")"] {
            assert!(uses(&RUST_FILES, text), "{text}");
        }
        for text in ["println!(\"x\")", "profile::new()", "include_str!(\"a\")"] {
            assert!(!uses(&RUST_FILES, text), "{text}");
        }
        assert!(uses(&RUST_PROGRAMS, "use std::process::Command;"));
        assert!(uses(&RUST_PROGRAMS, "use std::process::{Command, Stdio};"));
        assert!(!uses(&RUST_PROGRAMS, "clap::Command::new(\"x\")"));
        assert!(!uses(&RUST_PROGRAMS, "std::process::exit(1)"));
        assert!(low_port("a.rs", "bind(\"0.0.0.0:80\")").is_some());
        assert!(low_port("a.rs", "SocketAddr::from(([0, 0, 0, 0], 443))").is_some());
        assert!(low_port("a.rs", "bind((\"0.0.0.0\", 8080))").is_none());
    }

    #[test]
    fn tests_are_no_part_of_the_program() {
        for path in ["tests/a.rs", "core/src/test/java/A.java", "Api.Tests/A.cs", "benches/b.rs"] {
            assert!(is_test(path), "{path}");
        }
        for path in ["src/main/java/com/example/test/A.java", "src/tests/mod.rs", "src/main.rs"] {
            assert!(!is_test(path), "{path}");
        }
    }
}
