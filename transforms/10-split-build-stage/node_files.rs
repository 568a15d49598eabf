//! Node.js: what installing and building leave outside the working directory, and what the program starts besides itself. The final stage has neither.

use super::Refusal;
use crate::discover::{file_name, join};
use crate::error::SkipReason;
use crate::facts::{
    Application, ImageFacts, Obstacle, PackageJson, PackageLock, finds_in_program, starts_in_container,
};
use regex::Regex;
use std::sync::LazyLock;

/// Packages that keep a program in the home of the user that installed them (<https://pptr.dev/guides/configuration>,
/// <https://playwright.dev/docs/browsers>, <https://docs.cypress.io/app/references/advanced-installation>).
const KEEP_IN_HOME: [&str; 6] =
    ["puppeteer", "playwright", "playwright-chromium", "playwright-firefox", "playwright-webkit", "cypress"];

/// Settings of bundlers and compilers that put what is built above their own folder, or at an absolute path.
static PUT_ELSEWHERE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"\b(?:outDir|outputPath|outputDir|distDir|destDir|outFile|buildPath)["']?\s*[:=][^,\n}]{0,60}?["'`](?:\.\./|/)[\w.]"#,
        r#"|\bpath:\s*(?:path\.)?(?:resolve|join)\([^)\n]{0,60}?["'`]\.\./"#,
    ))
    .ok()
});

/// Paths of the system, and the home.
static ELSEWHERE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"["'` =](?:/(?:opt|srv|var|data|root|home|usr/local|usr/share|etc|mnt)/\w|~/)|\bhomedir\(|\bHOME\b"#)
        .ok()
});

/// Programs of packages, and of package managers, that a program starts.
static STARTS_PACKAGES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"["'`](npx|npm|yarn|pnpm|make|gcc|g\+\+)(?:\.cmd)?["'` ]|node_modules/\.bin/"#).ok());

/// Refuses what would be left behind though the program uses it.
pub(super) fn stay(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    package: &PackageJson,
) -> Result<(), Refusal> {
    let tree = application.around.repository.tree();
    let refused = |detail: String| Err((SkipReason::RunTimeInputs, detail));
    let lock = PackageLock::read(tree, image.directory()).unwrap_or_default();
    let is_there =
        |name: &&str| package.depends_on(name) || lock.production.iter().any(|package| package.name == **name);
    if let Some(name) = KEEP_IN_HOME.into_iter().find(|name| is_there(name)) {
        return refused(format!("{name} keeps its browser in the home of the user that installed it"));
    }
    let scripts = ["preinstall", "install", "postinstall", "prepare", "prebuild", "build", "postbuild"];
    if let Some(line) = package.reached(&scripts).into_iter().find(|line| writes_elsewhere(line)) {
        return refused(format!("the script `{}` may write outside the working directory", line.escape_debug()));
    }
    // Scripts that these lines start, by their path.
    let lines = package.reached(&scripts);
    let named = lines.into_iter().flat_map(str::split_whitespace).filter_map(|word| join(image.directory(), word));
    for path in named.filter(|path| tree.has(path)) {
        let text = tree.read(&path).unwrap_or_default();
        if ELSEWHERE.as_ref().is_some_and(|elsewhere| elsewhere.is_match(&text)) {
            return refused(format!("{path} runs in the build and may write outside the working directory"));
        }
    }
    let settings = tree.below(image.directory()).filter(|path| {
        join(image.directory(), file_name(path)).as_deref() == Some(*path) && is_settings_of_a_build(file_name(path))
    });
    for path in settings {
        let text = tree.read(path).unwrap_or_default();
        if PUT_ELSEWHERE.as_ref().is_some_and(|elsewhere| elsewhere.is_match(&text)) {
            return refused(format!("{path} may put what is built outside the working directory"));
        }
    }
    let starts = |text: &str| {
        let starts_programs = ["child_process", "execa", "shelljs", "cross-spawn"].iter().any(|way| text.contains(way));
        let found = STARTS_PACKAGES.as_ref()?.find(text).filter(|_| starts_programs)?;
        Some((found.start(), found.as_str().to_owned()))
    };
    if let Some(place) = finds_in_program(tree, image.directory(), starts) {
        return refused(format!("{place} may start a package for development, a package manager or a compiler"));
    }
    // Where it finds no TypeScript to read its settings with, it installs that as it starts
    // (<https://nextjs.org/docs/app/api-reference/config/typescript>).
    let settings = ["next.config.ts", "next.config.mts"].into_iter().filter_map(|name| join(image.directory(), name));
    let mut settings = settings.filter_map(|path| Some((tree.read(&path)?, path)));
    if package.dev_dependencies().iter().any(|name| name == "typescript")
        && let Some((_, path)) = settings.find(|(text, _)| !text.contains("standalone"))
    {
        return refused(format!(
            "{path} is read with TypeScript as the program starts, which is there for development"
        ));
    }
    Ok(())
}

/// A doubt where a script or a pipeline starts in a container what needs packages for development, such as tests.
pub(super) fn developers_at_work(application: &Application<'_>, package: &PackageJson) -> Option<Obstacle> {
    let tools = ["npm", "npx", "yarn", "pnpm"];
    let programs: Vec<&str> = tools.into_iter().chain(package.dev_dependencies().iter().map(String::as_str)).collect();
    // The official image with the sources mounted is what others use for that.
    let is_other = |word: &str| word == "node" || word.starts_with("node:") || word.contains("/node:");
    let place = starts_in_container(application.around.repository.tree(), &programs, is_other)?;
    let detail = format!("{place} is started in a container, and may need packages for development");
    Some(Obstacle::doubt(SkipReason::RunTimeInputs, detail))
}

/// Whether a line of a script names a path that is not in the working directory.
fn writes_elsewhere(line: &str) -> bool {
    // Where it goes into a folder first, what lies above that may be the working directory.
    let goes = line.split_whitespace().any(|word| matches!(word, "cd" | "pushd"));
    let mut words = line.split(|c: char| c.is_whitespace() || "'\"=&|;()".contains(c));
    let is_elsewhere = |word: &str| {
        let is_absolute = word.starts_with('/') && word.len() > 1 && !word.starts_with("/dev/");
        is_absolute || word.starts_with('~') || word.contains("$HOME") || word.starts_with("../") && !goes
    };
    words.any(is_elsewhere) || line.contains("playwright install") || line.contains("puppeteer browsers")
}

fn is_settings_of_a_build(name: &str) -> bool {
    const STARTS: [&str; 12] = [
        "vite.",
        "webpack",
        "rollup.",
        "vue.config",
        "angular.json",
        "tsconfig",
        "next.config",
        "nuxt.config",
        "esbuild",
        "gulpfile",
        "astro.config",
        "svelte.config",
    ];
    STARTS.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_outside_the_working_directory_are_told() {
        for line in ["vite build --outDir /srv/www", "tsc --outDir=../dist", "playwright install chromium"] {
            assert!(writes_elsewhere(line), "{line}");
        }
        for line in ["tsc -p .", "cd client && vite build --outDir ../public", "tsc > /dev/null", "rm -rf dist"] {
            assert!(!writes_elsewhere(line), "{line}");
        }
    }

    #[test]
    fn settings_that_put_files_elsewhere_are_told() {
        let told = |text: &str| PUT_ELSEWHERE.as_ref().is_some_and(|regex| regex.is_match(text));
        assert!(told("build: { outDir: '../public' }"));
        assert!(told("output: { path: path.resolve(__dirname, '../public') }"));
        assert!(!told("{\"extends\": \"../tsconfig.json\", \"outDir\": \"./dist\"}"));
        assert!(!told("output: { publicPath: '/assets/' }"));
    }
}
