//! Java: build with the development kit, run on the runtime of the same version and distribution.
//!
//! Of the build, the final stage takes the jar alone where nothing else can be read; else the working directory as a whole, at the same path.

use super::survey::{self, Survey};
use super::{Refusal, Split, binary, final_base, launch};
use crate::discover::join;
use crate::dockerfile::{Keyword, ShellCommand};
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts, Obstacle, RunTimeInputs, Stack};

/// Versions of Java whose runtimes are published and maintained (<https://adoptium.net/support>).
const VERSIONS: [&str; 5] = ["8", "11", "17", "21", "25"];

/// Variants that eclipse-temurin publishes for kit and runtime of each of these (<https://github.com/adoptium/containers>); Ubuntu 20.04 is over.
const VARIANTS: [&str; 4] = ["", "alpine", "jammy", "noble"];

/// What tells Maven and Gradle what to build.
pub(super) const BUILD_FILES: [&str; 3] = ["pom.xml", "build.gradle", "build.gradle.kts"];

/// What programs use of the development kit, by the dependency that says so.
const NEED_THE_KIT: [&str; 16] = [
    "tools.jar",
    "drools",
    "org.kie",
    "openhft",
    "jasperreports",
    "jshell",
    "byteman",
    "blockhound",
    "reactor-tools",
    "runtime-attach",
    "agent-attach",
    "apm-attach",
    "arthas",
    "jolokia-agent",
    "jdk.attach",
    "jdk.compiler",
];

pub(super) fn split(application: &Application<'_>, image: &ImageFacts<'_>, survey: &Survey) -> Result<Split, Refusal> {
    let runtime = Runtime::of(image)?;
    let folder = survey::project(application.around.repository.tree(), image.directory(), &BUILD_FILES);
    let build = BuildFiles::read(application, image, folder)?;
    survey.unaccounted(image, |words| {
        survey::installs_packages(words, &BUILD_PACKAGES) || builds(words) || prepares(words) || places(words)
    })?;
    survey.brings_from_elsewhere(image)?;
    if let Some((name, _)) = image.dockerfile.env(image.stage).iter().find(|(name, _)| is_of_the_kit(name)) {
        let detail = format!("{} sets {name}, and what it names may not be in the final image", image.path);
        return Err((SkipReason::AuthorChoice, detail));
    }
    let unknown = || (SkipReason::UnaccountedCommand, format!("no Java sources beside {}", image.path));
    let inputs = RunTimeInputs::read(application.around.repository, folder, Stack::Java).ok_or_else(unknown)?;
    if let Some(place) = &inputs.programs {
        return Err((SkipReason::RunTimeInputs, format!("{place}, which the smaller image may not hold")));
    }
    let (jar, paths) = launch::paths(application, image, launch)?;
    let workdir = image.workdir().ok_or_else(|| {
        (SkipReason::UnaccountedCommand, format!("where {} starts its program cannot be told", image.path))
    })?;
    let by_shell = image.argv().get(1).is_some_and(|word| word == "-c");
    if let Some(jar) = jar.as_ref().filter(|jar| jar.contains('*') && !by_shell) {
        return Err((
            SkipReason::RunTimeInputs,
            format!("{} starts {jar}, and no shell finds what that is", image.path),
        ));
    }
    let jar = jar.map(|jar| binary::absolute(&workdir, &jar));
    let opens = inputs
        .files
        .or_else(|| survey.copied_of(image, folder, &inputs.other_files).map(|path| format!("{path} may be read")));
    let mut lines = if workdir == "/" { Vec::new() } else { vec![format!("WORKDIR {workdir}")] };
    let stays = match &jar {
        Some(jar) if opens.is_none() && build.packs_everything && paths.is_empty() => {
            // Several files go into a folder, where the same pattern finds the same of them.
            let target = if jar.contains('*') { format!("{}/", parent(jar)) } else { jar.clone() };
            lines.push(format!("COPY --from={} {jar} {target}", survey.names.build));
            format!("the final image holds {jar}")
        }
        _ => {
            let workdir = survey.single_workdir(image)?;
            survey.copies_into(image, &workdir)?;
            lines.push(format!("COPY --from={} {workdir} {workdir}", survey.names.build));
            let is_outside = |path: &&String| path.starts_with('/') && !path.starts_with(&format!("{workdir}/"));
            if let Some(path) = jar.iter().chain(&paths).find(is_outside) {
                let detail =
                    format!("{} starts with {}, which lies outside {workdir}", image.path, path.escape_debug());
                return Err((SkipReason::RunTimeInputs, detail));
            }
            let why = opens.map(|place| format!(" ({place})")).unwrap_or_default();
            format!("the final image holds {workdir}{why}")
        }
    };
    let detail = format!("{stays} on {}, without compiler and build tool", runtime.base);
    let obstacles = runtime.doubt.into_iter().collect();
    Ok(Split { builder: None, build: Vec::new(), base: runtime.base, lines, command: None, detail, obstacles })
}

/// Whether the Dockerfile builds with Maven or Gradle.
pub(super) fn builds_here(image: &ImageFacts<'_>) -> bool {
    let dockerfile = image.dockerfile;
    let mut runs = dockerfile.effective(image.stage).into_iter().map(|index| &dockerfile.instructions()[index]);
    // What cannot be read is taken for a build, and then is refused as such.
    runs.any(|run| {
        run.keyword == Keyword::Run
            && dockerfile.shell_commands(run).is_none_or(|commands| {
                let tool =
                    |command: &ShellCommand| survey::words(command).first().is_some_and(|word| is_build_tool(word));
                commands.iter().any(tool)
            })
    })
}

fn is_build_tool(word: &str) -> bool {
    matches!(word, "mvn" | "./mvnw" | "mvnw" | "gradle" | "./gradlew" | "gradlew")
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

pub(super) fn is_of_the_kit(variable: &str) -> bool {
    matches!(variable, "JAVA_HOME" | "JRE_HOME" | "JDK_HOME" | "PATH" | "LD_LIBRARY_PATH" | "LD_PRELOAD")
}

/// The base of the final stage, and what speaks against it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Runtime {
    pub(super) base: String,
    doubt: Option<Obstacle>,
}

impl Runtime {
    pub(super) fn of(image: &ImageFacts<'_>) -> Result<Self, Refusal> {
        let unknown = || {
            let base = image.base_text.escape_debug();
            (SkipReason::NoBuildStep, format!("no runtime image is known to be {base} without its development kit"))
        };
        final_base::is_literal(image)?;
        let base = image.base.as_ref().ok_or_else(unknown)?;
        if base.digest().is_some() {
            return Err((
                SkipReason::AuthorChoice,
                "the base is pinned, and which runtime belongs to it is not known".to_owned(),
            ));
        }
        let (before, name) = base.name().rsplit_once('/').map_or(("", base.name()), |(before, name)| (before, name));
        // Another registry or namespace may mirror one image and not the other.
        if !matches!(before, "" | "docker.io/library" | "public.ecr.aws/docker/library") {
            return Err(unknown());
        }
        let (tag, is_maintained) = runtime_tag(name, base.tag().unwrap_or("latest")).ok_or_else(unknown)?;
        let slash = if before.is_empty() { "" } else { "/" };
        let base = format!("{before}{slash}eclipse-temurin:{tag}");
        let written = image.base_text.escape_debug();
        let detail = format!("the Java of {written} is no longer maintained, and {base} is another build of it");
        let doubt = (!is_maintained).then(|| Obstacle::doubt(SkipReason::Unsafe, detail));
        Ok(Self { base, doubt })
    }
}

/// The tag of the eclipse-temurin runtime that belongs to a development kit, and whether the kit is of eclipse-temurin itself.
fn runtime_tag(name: &str, tag: &str) -> Option<(String, bool)> {
    let (version, variant, maintained) = match name {
        "eclipse-temurin" => {
            let (version, rest) = release_of(tag)?;
            let variant = if rest == "jdk" { "" } else { rest.strip_prefix("jdk-").unwrap_or(rest) };
            (version, variant, true)
        }
        // maven:3.9-eclipse-temurin-21-alpine
        "maven" => {
            let kits = [("eclipse-temurin-", true), ("openjdk-", false), ("jdk-", false)];
            let (rest, maintained) =
                kits.iter().find_map(|(kit, maintained)| Some((tag.split_once(kit)?.1, *maintained)))?;
            let (version, variant) = rest.split_once('-').unwrap_or((rest, ""));
            (version, variant, maintained)
        }
        // gradle:8.5-jdk21-jammy; before version 7.2 on other kits (<https://github.com/gradle/docker-gradle/pull/195>)
        "gradle" => {
            let (before, rest) = tag.split_once("jdk")?;
            let (version, variant) = rest.split_once('-').unwrap_or((rest, ""));
            let numbers = before.trim_end_matches('-').split('.').map(|number| number.parse::<u32>().ok());
            // 7 alone is the last of them.
            let is_new = match numbers.collect::<Vec<_>>().as_slice() {
                [None] => before.is_empty(),
                [Some(major)] => *major >= 7,
                [Some(major), Some(minor), ..] => (*major, *minor) >= (7, 2),
                _ => false,
            };
            (version, variant, is_new)
        }
        "openjdk" => {
            let (version, rest) = tag.split_once('-').unwrap_or((tag, ""));
            if rest.contains("jre") || rest.contains("windows") || rest.contains("nanoserver") {
                return None;
            }
            let version = version.split(['.', 'u']).next().unwrap_or(version);
            (version, if rest.contains("alpine") { "alpine" } else { "" }, false)
        }
        _ => return None,
    };
    // The distribution of a kit that is no longer maintained has no successor of the same name.
    let variant = if maintained || variant.starts_with("alpine") { variant } else { "" };
    let major = version.split(['.', '_', 'u']).next().unwrap_or_default();
    if !VERSIONS.contains(&major) || !VARIANTS.contains(&variant) {
        return None;
    }
    let variant = if variant.is_empty() { String::new() } else { format!("-{variant}") };
    Some((format!("{version}-jre{variant}"), maintained))
}

/// Splits the tag of a kit after its version: `21`, or one release such as `17.0.8_7`, `21_35` and `8u412-b08`. Runtimes of single releases are published
/// since February 2022.
fn release_of(tag: &str) -> Option<(&str, &str)> {
    let (first, after) = tag.split_once('-').unwrap_or((tag, ""));
    if let Some(update) = first.strip_prefix("8u") {
        let build = after.split('-').next().filter(|build| build.starts_with('b'))?;
        let rest = after.strip_prefix(build)?.trim_start_matches('-');
        return (update.parse::<u32>().ok()? >= 322).then(|| (tag.split_at(first.len() + 1 + build.len()).0, rest));
    }
    let Some((numbers, build)) = first.split_once('_') else { return (!first.contains('.')).then_some((first, after)) };
    build.parse::<u32>().ok()?;
    let numbers: Vec<u32> = numbers.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let published = match numbers.as_slice() {
        [11, 0, update, ..] => *update >= 14,
        [17, 0, update, ..] => *update >= 2,
        [21 | 25] | [21 | 25, 0, ..] => true,
        _ => false,
    };
    published.then_some((first, after))
}

/// What `pom.xml` and Gradle scripts say.
pub(super) struct BuildFiles {
    /// Whether the jar holds its dependencies, as Spring Boot and shading plugins make it.
    packs_everything: bool,
    /// Where a compiler of server pages is asked for.
    pub(super) compiles_pages: Option<String>,
}

impl BuildFiles {
    pub(super) fn read(application: &Application<'_>, image: &ImageFacts<'_>, folder: &str) -> Result<Self, Refusal> {
        const PACKERS: [&str; 7] = [
            "spring-boot-maven-plugin",
            "maven-shade-plugin",
            "jar-with-dependencies",
            "org.springframework.boot",
            "com.github.johnrengelman.shadow",
            "com.gradleup.shadow",
            "io.ktor.plugin",
        ];
        let tree = application.around.repository.tree();
        if !BUILD_FILES.iter().filter_map(|name| join(image.directory(), name)).any(|path| tree.has(&path)) {
            let detail = format!("no pom.xml or build.gradle beside {}", image.path);
            return Err((SkipReason::UnaccountedCommand, detail));
        }
        let is_build_file = |path: &&str| {
            BUILD_FILES.iter().any(|name| path.ends_with(name))
                || path.ends_with(".versions.toml")
                || path.ends_with("settings.gradle.kts")
        };
        let mut packs_everything = false;
        let mut stands_apart = false;
        let mut compiles_pages = None;
        for path in tree.below(folder).filter(is_build_file) {
            let text = tree.read(path).unwrap_or_default();
            if let Some(name) = NEED_THE_KIT.iter().find(|name| text.contains(**name)) {
                let detail = format!("{path} names {name}, which may need the development kit at run time");
                return Err((SkipReason::RunTimeInputs, detail));
            }
            if compiles_pages.is_none() && ["jasper", "-jsp"].iter().any(|word| text.contains(word)) {
                compiles_pages = Some(format!("{path} asks for a compiler of server pages"));
            }
            // A layout of its own looks for jars beside the program.
            let apart = text.contains("<layout>ZIP")
                || text.contains("PropertiesLauncher")
                || text.contains("quarkus")
                || ["addClasspath", "classpathPrefix", "Class-Path", "copy-dependencies"]
                    .iter()
                    .any(|word| text.contains(word));
            stands_apart |= apart;
            packs_everything |= PACKERS.iter().any(|packer| text.contains(packer));
        }
        Ok(Self { packs_everything: packs_everything && !stands_apart, compiles_pages })
    }
}

/// Packages for building. Programs that the application starts are looked for in its sources.
const BUILD_PACKAGES: [&str; 10] =
    ["maven", "gradle", "dos2unix", "git", "curl", "wget", "unzip", "bash", "ca-certificates", "build-essential"];

/// Maven or Gradle, with goals that build and do not run.
fn builds(words: &[&str]) -> bool {
    let is_flag = |word: &&str| word.starts_with('-');
    match words {
        ["mvn" | "./mvnw" | "mvnw", rest @ ..] => {
            let mut goals = Vec::new();
            let mut rest = rest.iter();
            while let Some(word) = rest.next() {
                match *word {
                    // Options that take the next word.
                    "-f"
                    | "--file"
                    | "-pl"
                    | "--projects"
                    | "-P"
                    | "--activate-profiles"
                    | "-s"
                    | "--settings"
                    | "-T"
                    | "--threads"
                    | "-D"
                    | "-rf" => {
                        rest.next();
                    }
                    word if word.starts_with('-') => {}
                    word => goals.push(word),
                }
            }
            let known = |goal: &&str| {
                matches!(*goal, "clean" | "validate" | "compile" | "test" | "package" | "verify" | "install")
                    || goal.starts_with("dependency:")
                    || *goal == "spring-boot:repackage"
            };
            !goals.is_empty() && goals.iter().all(known)
        }
        ["gradle" | "./gradlew" | "gradlew", rest @ ..] => {
            let mut rest = rest.iter();
            let mut any = false;
            while let Some(word) = rest.next() {
                let task = word.rsplit(':').next().unwrap_or(word);
                match *word {
                    "-x" | "--exclude-task" | "-p" | "--project-dir" | "-b" | "-c" | "-g" => {
                        rest.next();
                    }
                    "--version" | "-v" | "--help" => any = true,
                    _ if is_flag(word) => {}
                    _ if matches!(
                        task,
                        "clean"
                            | "build"
                            | "assemble"
                            | "bootJar"
                            | "bootWar"
                            | "jar"
                            | "war"
                            | "shadowJar"
                            | "buildFatJar"
                    ) || matches!(
                        task,
                        "test" | "check" | "classes" | "dependencies" | "resolveDependencies" | "wrapper"
                    ) =>
                    {
                        any = true;
                    }
                    _ => return false,
                }
            }
            any
        }
        _ => false,
    }
}

/// What makes a build tool runnable.
fn prepares(words: &[&str]) -> bool {
    let is_tool = |word: &&str| matches!(word.rsplit('/').next(), Some("mvnw" | "gradlew"));
    match words {
        ["chmod", rest @ ..] | ["dos2unix", rest @ ..] | ["sed", rest @ ..] => rest.last().is_some_and(is_tool),
        ["java" | "mvn" | "gradle", "-version" | "--version"] => true,
        _ => false,
    }
}

/// Puts a jar where it is started from. The jar is copied from there; what else lands outside the working directory must be no file of the context, and
/// that is asked when the working directory is copied.
fn places(words: &[&str]) -> bool {
    let is_jar = |word: &&str| word.is_empty() || word.ends_with(".jar") || word.ends_with(".war");
    match words {
        ["cp" | "mv", rest @ ..] => {
            let rest: Vec<&str> = rest.iter().copied().filter(|word| !word.starts_with('-')).collect();
            matches!(rest.as_slice(), [from, to] if is_jar(from) && (is_jar(to) && !to.is_empty()))
        }
        _ => false,
    }
}

/// Reads a command line of `java`: the jar, or nothing when a class is started, and other words that name files. What is not known is the error.
pub(super) fn launch(words: &[&str]) -> Result<(Option<String>, Vec<String>), String> {
    let Some((program, mut rest)) = words.split_first() else { return Err(String::new()) };
    if !matches!(*program, "java" | "/opt/java/openjdk/bin/java" | "$JAVA_HOME/bin/java" | "${JAVA_HOME}/bin/java") {
        return Err((*program).to_owned());
    }
    let mut jar = None;
    let mut paths: Vec<String> = Vec::new();
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        let value = word.split_once('=').map(|(_, value)| value);
        match *word {
            _ if ["-javaagent", "-agentpath", "loader.path"].iter().any(|other| word.contains(other)) => {
                return Err((*word).to_owned());
            }
            "-jar" => {
                let (archive, after) = rest.split_first().filter(|(jar, _)| is_archive(jar)).ok_or(*word)?;
                jar = Some((*archive).to_owned());
                paths.extend(
                    after
                        .iter()
                        .map(|word| word.split_once('=').map_or(*word, |(_, value)| value))
                        .filter(|value| launch::is_file(value))
                        .map(str::to_owned),
                );
                break;
            }
            "-cp" | "-classpath" | "--class-path" | "-p" | "--module-path" => {
                let (path, after) = rest.split_first().filter(|(path, _)| !path.contains('$')).ok_or(*word)?;
                paths.extend(path.split(':').map(str::to_owned));
                rest = after;
            }
            "--add-opens" | "--add-exports" | "--add-modules" | "--add-reads" => {
                rest = rest.split_first().map_or(rest, |(_, after)| after)
            }
            _ if word.starts_with('@') => return Err((*word).to_owned()),
            _ if word.starts_with('-') => paths.extend(value.filter(|value| launch::is_file(value)).map(str::to_owned)),
            // A class, and what it is given.
            _ => paths.extend(launch::is_file(word).then(|| (*word).to_owned())),
        }
    }
    // A class is found on a class path, which must be seen.
    if jar.is_none() && paths.is_empty() { Err((*program).to_owned()) } else { Ok((jar, paths)) }
}

fn is_archive(word: &str) -> bool {
    (word.ends_with(".jar") || word.ends_with(".war")) && !word.contains(['$', '?', '[', '{'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kit_has_a_runtime_of_its_version_and_variant() {
        for (name, tag, expected) in [
            ("eclipse-temurin", "21", "21-jre"),
            ("eclipse-temurin", "17-jdk", "17-jre"),
            ("eclipse-temurin", "17-alpine", "17-jre-alpine"),
            ("eclipse-temurin", "21-jdk-jammy", "21-jre-jammy"),
            ("eclipse-temurin", "17.0.8_7-jdk", "17.0.8_7-jre"),
            ("eclipse-temurin", "21_35-jdk-alpine", "21_35-jre-alpine"),
            ("eclipse-temurin", "8u412-b08-jdk-jammy", "8u412-b08-jre-jammy"),
            ("maven", "3.9-eclipse-temurin-21", "21-jre"),
            ("maven", "3-eclipse-temurin-17-alpine", "17-jre-alpine"),
            ("gradle", "8.5-jdk21-jammy", "21-jre-jammy"),
            ("gradle", "jdk17", "17-jre"),
            ("gradle", "7-jdk11", "11-jre"),
            ("gradle", "7.2.0-jdk11", "11-jre"),
        ] {
            assert_eq!(runtime_tag(name, tag), Some((expected.to_owned(), true)), "{name}:{tag}");
        }
        for (name, tag, expected) in [
            ("openjdk", "17-jdk-slim", "17-jre"),
            ("openjdk", "8-jdk-alpine", "8-jre-alpine"),
            ("openjdk", "11.0.4-jdk", "11-jre"),
            ("maven", "3.8-openjdk-17-slim", "17-jre"),
            ("maven", "3.3.9-jdk-8-alpine", "8-jre-alpine"),
            ("gradle", "6.9-jdk11", "11-jre"),
            ("gradle", "7.1-jdk11", "11-jre"),
        ] {
            assert_eq!(runtime_tag(name, tag), Some((expected.to_owned(), false)), "{name}:{tag}");
        }
    }

    #[test]
    fn no_tag_is_made_up() {
        for (name, tag) in [
            ("eclipse-temurin", "latest"),
            ("eclipse-temurin", "21-jre"),
            ("eclipse-temurin", "17-jdk-focal"),
            ("eclipse-temurin", "17.0.1_12-jdk"),
            ("eclipse-temurin", "8u312-b07-jdk"),
            ("eclipse-temurin", "17.0-jdk"),
            ("eclipse-temurin", "22-jdk"),
            ("eclipse-temurin", "17-jdk-nanoserver"),
            ("maven", "3.9"),
            ("maven", "3-amazoncorretto-17"),
            ("maven", "3.8-openjdk-16"),
            ("gradle", "8-jdk17-graal"),
            ("openjdk", "11-jre-slim"),
            ("openjdk", "18-jdk"),
            ("amazoncorretto", "17"),
        ] {
            assert_eq!(runtime_tag(name, tag), None, "{name}:{tag}");
        }
    }

    #[test]
    fn jars_and_other_files_of_a_command_are_told_apart() {
        let started = |jar: Option<&str>, paths: &[&str]| {
            Ok((jar.map(str::to_owned), paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>()))
        };
        assert_eq!(launch(&["java", "-Xmx200m", "-jar", "/app.jar"]), started(Some("/app.jar"), &[]));
        assert_eq!(launch(&["java", "$JAVA_OPTS", "-jar", "target/*.jar"]), started(Some("target/*.jar"), &[]));
        assert_eq!(
            launch(&["java", "-Djava.security.egd=file:/dev/./urandom", "-jar", "a.jar"]),
            started(Some("a.jar"), &[])
        );
        assert_eq!(launch(&["java", "-jar", "a.jar", "server", "config.yml"]), started(Some("a.jar"), &["config.yml"]));
        assert_eq!(launch(&["java", "-jar", "a.jar", "--server.port=8080"]), started(Some("a.jar"), &[]));
        assert_eq!(
            launch(&["java", "-Dspring.config.location=/etc/app/", "-jar", "a.jar"]),
            started(Some("a.jar"), &["/etc/app/"])
        );
        assert_eq!(launch(&["java", "-cp", "app:lib/*", "com.example.Main"]), started(None, &["app", "lib/*"]));
    }

    #[test]
    fn what_is_not_java_alone_is_refused() {
        for words in [
            &["mvn", "spring-boot:run"][..],
            &["java", "-javaagent:/agent.jar", "-jar", "a.jar"],
            &["java", "-Dloader.path=lib", "-jar", "a.jar"],
            &["java", "Main"],
            &["java", "-jar", "$JAR"],
            &["java", "@options", "-jar", "a.jar"],
            &["./gradlew", "bootRun"],
        ] {
            assert!(launch(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn goals_that_run_the_program_do_not_build() {
        for words in [
            &["mvn", "-B", "package", "-DskipTests"][..],
            &["./mvnw", "dependency:go-offline"],
            &["gradle", "bootJar", "-x", "test"],
        ] {
            assert!(builds(words), "{words:?}");
        }
        for words in [&["mvn", "spring-boot:run"][..], &["./gradlew", "bootRun"], &["mvn", "exec:java"], &["mvn"]] {
            assert!(!builds(words), "{words:?}");
        }
    }
}
