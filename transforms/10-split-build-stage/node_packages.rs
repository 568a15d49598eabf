//! npm, Yarn and pnpm: which of them a Dockerfile installs with, and how development dependencies are left behind.
//!
//! npm takes them away in place. The others install once more, from nothing and without them: Yarn has no command that takes them away, and that of pnpm
//! asks questions and does not know of every setting (<https://classic.yarnpkg.com/lang/en/docs/cli/prune>, <https://pnpm.io/cli/prune>).

use super::Refusal;
use super::survey::{self, Survey};
use crate::discover::join;
use crate::dockerfile::ShellCommand;
use crate::error::SkipReason;
use crate::facts::{
    Application, ImageFacts, Obstacle, PackageJson, PackageLock, finds_in_program, loads_package, loads_undeclared,
    names_package,
};

/// A package manager of Node.js.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodePackages {
    Npm,
    /// Version 1.
    Yarn,
    Pnpm,
}

impl NodePackages {
    /// The one whose lock file lies beside the Dockerfile and whose command installs.
    pub(super) fn of(application: &Application<'_>, image: &ImageFacts<'_>, survey: &Survey) -> Result<Self, Refusal> {
        let unaccounted = |detail: String| Err((SkipReason::UnaccountedCommand, detail));
        let tree = application.around.repository.tree();
        let file = |name: &str| join(image.directory(), name);
        let has = |name: &str| file(name).is_some_and(|path| tree.has(&path));
        let runs =
            |program: &str| survey.commands.iter().any(|(_, command)| survey::words(command).first() == Some(&program));
        let all = [
            (Self::Npm, ["package-lock.json", "npm-shrinkwrap.json"].as_slice()),
            (Self::Yarn, &["yarn.lock"]),
            (Self::Pnpm, &["pnpm-lock.yaml"]),
        ];
        let locked: Vec<Self> = all
            .into_iter()
            .filter(|(_, names)| names.iter().any(|name| has(name)))
            .map(|(manager, _)| manager)
            .collect();
        // Of several lock files the one counts whose program is run.
        let manager = match locked.as_slice() {
            [only] => *only,
            [] if has("bun.lock") || has("bun.lockb") => {
                return unaccounted("bun: no command is known that takes development dependencies away".to_owned());
            }
            // npm writes a lock file while it installs.
            [] if runs("npm") && !runs("yarn") && !runs("pnpm") => Self::Npm,
            [] => return unaccounted("no lock file: which packages are for production cannot be told".to_owned()),
            several => match several.iter().filter(|manager| runs(manager.program())).collect::<Vec<_>>().as_slice() {
                [only] => **only,
                _ => return unaccounted("lock files of several package managers".to_owned()),
            },
        };
        let lock = file(manager.lock()).and_then(|path| tree.read(&path));
        if manager == Self::Yarn && !lock.is_some_and(|lock| lock.contains("# yarn lockfile v1")) {
            return unaccounted("yarn.lock is not of Yarn 1, and where others put packages is not followed".to_owned());
        }
        if manager == Self::Yarn {
            let settings = file(".yarnrc").and_then(|path| tree.read(&path)).unwrap_or_default();
            if let Some(word) = ["modules-folder", "cwd"].iter().find(|word| settings.contains(**word)) {
                return unaccounted(format!("yarn is told where packages lie ({word} in .yarnrc)"));
            }
        }
        if manager == Self::Pnpm {
            let settings = [".npmrc", "pnpm-workspace.yaml"].iter().filter_map(|name| tree.read(&file(name)?));
            let settings: String = settings.collect();
            let moves = [
                "irtual-store",
                "irtualStore",
                "modules-dir",
                "modulesDir",
                "pnp",
                "packages:",
                "node-linker",
                "nodeLinker",
                "hoist",
            ];
            if let Some(word) = moves.iter().find(|word| settings.contains(**word)) {
                return unaccounted(format!("pnpm is told where packages lie ({word})"));
            }
        }
        Ok(manager)
    }

    fn program(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Yarn => "yarn",
            Self::Pnpm => "pnpm",
        }
    }

    /// Whether a command installs packages, runs the build, or prepares or cleans up after that.
    pub(super) fn accounts(self, words: &[&str]) -> bool {
        self.installs(words)
            || is_build(words)
            || match self {
                Self::Npm => matches!(words, ["npm", "cache", ..] | ["npm", "prune", ..]),
                Self::Yarn => {
                    matches!(words, ["yarn", "cache", "clean", ..] | ["yarn", "--version"]) || self.arrives(words)
                }
                Self::Pnpm => {
                    matches!(words, ["pnpm", "store", "prune", ..] | ["pnpm", "--version"]) || self.arrives(words)
                }
            }
    }

    /// Whether a command brings the package manager itself.
    fn arrives(self, words: &[&str]) -> bool {
        let is_it = |word: &str| word.split('@').next() == Some(self.program()) || word == "corepack@latest";
        match words {
            ["corepack", "enable" | "prepare" | "install" | "use", ..] => true,
            ["npm", "install" | "i" | "add", rest @ ..] => {
                let (flags, packages): (Vec<&str>, Vec<&str>) = rest.iter().partition(|word| word.starts_with('-'));
                let known = |flag: &&str| matches!(*flag, "-g" | "--global" | "--force" | "-f" | "--silent");
                flags.iter().any(|flag| matches!(*flag, "-g" | "--global"))
                    && flags.iter().all(known)
                    && !packages.is_empty()
                    && packages.into_iter().all(is_it)
            }
            _ => false,
        }
    }

    /// Whether the base does not have the package manager, so that only the build does.
    pub(super) fn is_brought(self, survey: &Survey) -> bool {
        self != Self::Npm && survey.commands.iter().any(|(_, command)| self.arrives(&survey::words(command)))
    }

    /// Whether a command installs what the lock file names, in the working directory.
    fn installs(self, words: &[&str]) -> bool {
        let rest = match (self, words) {
            (Self::Npm, ["npm", "install" | "ci" | "i", rest @ ..]) => {
                let is_global = words.iter().any(|word| *word == "-g" || *word == "--global");
                return !is_global
                    && (matches!(rest, [] | ["-" | "", ..]) || rest.iter().all(|word| word.starts_with('-')));
            }
            (Self::Yarn, ["yarn", "install", rest @ ..] | ["yarn", rest @ ..]) => rest,
            (Self::Pnpm, ["pnpm", "install" | "i", rest @ ..]) => rest,
            _ => return false,
        };
        const FLAGS: [&str; 27] = [
            "--frozen-lockfile",
            "--pure-lockfile",
            "--no-lockfile-update",
            "--production",
            "--production=true",
            "--prod",
            "-P",
            "--silent",
            "-s",
            "--non-interactive",
            "--prefer-offline",
            "--ignore-engines",
            "--ignore-scripts",
            "--ignore-optional",
            "--no-optional",
            "--no-progress",
            "--check-files",
            "--force",
            "--verbose",
            "--no-cache",
            "--network-timeout",
            "--network-concurrency",
            "--no-frozen-lockfile",
            "--prefer-frozen-lockfile",
            "--reporter",
            "--loglevel",
            "--strict-peer-dependencies",
        ];
        let is_value = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit()) && !word.is_empty();
        rest.iter().all(|word| {
            FLAGS.contains(word) || FLAGS.contains(&word.split('=').next().unwrap_or_default()) || is_value(word)
        })
    }

    /// Whether a command installs for production alone.
    pub(super) fn leaves_out_development(self, survey: &Survey) -> bool {
        let says_so = |word: &str| {
            matches!(
                word,
                "--production" | "--production=true" | "--omit=dev" | "--only=production" | "--only=prod" | "--prod"
            ) || self == Self::Pnpm && word == "-P"
        };
        survey.commands.iter().any(|(_, command)| survey::words(command).into_iter().any(says_so))
    }

    /// The line at the end of the build that leaves production dependencies alone, and what speaks against it.
    pub(super) fn leave_development(
        self,
        application: &Application<'_>,
        image: &ImageFacts<'_>,
        survey: &Survey,
        package: &PackageJson,
    ) -> Result<(String, Vec<Obstacle>), Refusal> {
        let tree = application.around.repository.tree();
        if let Some((index, word)) = removed(survey) {
            let place = image.place(index);
            let detail = format!("{place} removes {}, which it takes to leave packages behind", word.escape_debug());
            return Err((SkipReason::UnaccountedCommand, detail));
        }
        let needed = |place: String| {
            let detail =
                format!("{place} is loaded by the program and is there only because of development dependencies");
            Err((SkipReason::RunTimeInputs, detail))
        };
        let folder = image.directory();
        match self {
            Self::Npm => {
                let lock = PackageLock::read(tree, folder);
                let loaded = match &lock {
                    Some(lock) => loads_package(tree, folder, &lock.development),
                    None => loads_undeclared(tree, folder, package, None),
                };
                if let Some(place) = loaded {
                    return needed(place);
                }
                let mut doubts: Vec<Obstacle> = lock.iter().filter_map(optional_peer).collect();
                let detail = "the client that Prisma generates among the packages may not outlast their pruning";
                let doubt = Obstacle::doubt(SkipReason::RunTimeInputs, detail.to_owned());
                doubts.extend(package.depends_on("@prisma/client").then_some(doubt));
                Ok((prune(image, survey), doubts))
            }
            Self::Yarn => {
                // What is not asked for may have come with anything.
                let lock = join(folder, self.lock()).and_then(|path| tree.read(&path)).unwrap_or_default();
                if let Some(place) = loads_undeclared(tree, folder, package, Some(&lock)) {
                    return needed(place);
                }
                let tool = package.dev_dependencies().iter().find(|name| !is_tool(name));
                let doubt = tool.map(|name| {
                    let detail = format!("{name} is for development, and a package may need it as its peer, which yarn.lock does not tell");
                    Obstacle::doubt(SkipReason::RunTimeInputs, detail)
                });
                Ok((self.install_again(application, image, survey, package)?, doubt.into_iter().collect()))
            }
            Self::Pnpm => Ok((self.install_again(application, image, survey, package)?, Vec::new())),
        }
    }

    /// The author's own command once more, from nothing and for production.
    fn install_again(
        self,
        application: &Application<'_>,
        image: &ImageFacts<'_>,
        survey: &Survey,
        package: &PackageJson,
    ) -> Result<String, Refusal> {
        let unaccounted = |detail: String| Err((SkipReason::UnaccountedCommand, detail));
        let program = self.program();
        let installs: Vec<&(usize, ShellCommand)> =
            survey.commands.iter().filter(|(_, command)| self.installs(&survey::words(command))).collect();
        let [(index, install)] = installs.as_slice() else {
            return unaccounted(format!(
                "{} holds {} commands that install with {program}",
                image.path,
                installs.len()
            ));
        };
        let words = survey::words(install);
        let workdir = image.workdir();
        let is_there = image.dockerfile.workdir_at(image.stage, *index).and_then(Result::ok) == workdir;
        let moves = survey.commands.iter().any(|(_, command)| survey::words(command).first() == Some(&"cd"));
        if !is_there || moves || words.contains(&"") {
            return unaccounted(format!("{}: where {program} installs cannot be told", image.place(*index)));
        }
        let tree = application.around.repository.tree();
        let lock = join(image.directory(), self.lock()).into_iter().collect::<Vec<_>>();
        let ignored = join(image.directory(), ".dockerignore").and_then(|path| tree.read(&path)).unwrap_or_default();
        if survey.copied_of(image, image.directory(), &lock).is_none() || ignored.contains(self.lock()) {
            return unaccounted(format!("{} is not seen to be in the image", self.lock()));
        }
        // These run again, and what they start may be for development.
        const SCRIPTS: [&str; 7] =
            ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"];
        let runs_scripts = !words.contains(&"--ignore-scripts");
        if let Some(script) = SCRIPTS.iter().find(|script| runs_scripts && package.script(script).is_some()) {
            let detail = format!("package.json has a script {script}, which may need development dependencies");
            return Err((SkipReason::RunTimeInputs, detail));
        }
        // What the build writes among the packages would be gone.
        let writes = |line: &str| ["node_modules", "prisma", "patch-package"].iter().any(|word| line.contains(word));
        let builds = package.reached(&["prebuild", "build", "postbuild"]);
        if builds.into_iter().any(writes) || package.depends_on("@prisma/client") {
            let detail = "the build writes among the packages, which are installed once more".to_owned();
            return Err((SkipReason::RunTimeInputs, detail));
        }
        let text = image.dockerfile.text();
        let run = &image.dockerfile.instructions()[*index];
        let flags: String = run.flags.iter().map(|flag| format!("{} ", flag.span.of(text))).collect();
        if flags.contains("node_modules") {
            return unaccounted(format!("{} mounts something among the packages", image.place(*index)));
        }
        // `--production=false` would win over what is added.
        let takes_all = |word: &&str| word.starts_with("--prod") && word.ends_with("=false");
        let written = install.assignments.iter().chain(&install.words).map(|word| word.written.as_str());
        let written: Vec<&str> = written.filter(|word| !takes_all(word)).collect();
        let production = if self == Self::Yarn { "--production" } else { "--prod" };
        // A bare `yarn` installs as well.
        let verb = if words.len() == 1 { " install" } else { "" };
        Ok(format!("RUN {flags}rm -rf node_modules && {}{verb} {production}", written.join(" ")))
    }

    fn lock(self) -> &'static str {
        match self {
            Self::Npm => "package-lock.json",
            Self::Yarn => "yarn.lock",
            Self::Pnpm => "pnpm-lock.yaml",
        }
    }
}

/// Whether a command runs the script that builds.
pub(super) fn is_build(words: &[&str]) -> bool {
    matches!(words, ["npm" | "yarn" | "pnpm", "run", "build"] | ["yarn" | "pnpm", "build"])
}

/// Packages that developers start, or that only a compiler reads, so that no package loads them when the program runs.
fn is_tool(name: &str) -> bool {
    const NAMES: [&str; 22] = [
        "c8",
        "chai",
        "concurrently",
        "cross-env",
        "husky",
        "jest",
        "lint-staged",
        "mocha",
        "nodemon",
        "npm-run-all",
        "nyc",
        "prettier",
        "rimraf",
        "sinon",
        "standard",
        "supertest",
        "ts-jest",
        "ts-node",
        "ts-node-dev",
        "tsx",
        "typescript",
        "vitest",
    ];
    NAMES.contains(&name)
        || ["@types/", "eslint", "@eslint/", "@typescript-eslint/"].iter().any(|start| name.starts_with(start))
}

/// A file that installing or pruning reads, which a command removes.
fn removed(survey: &Survey) -> Option<(usize, String)> {
    let is_read = |word: &str| {
        let name = word.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let start = ["package", "npm-shrinkwrap", ".npmrc", ".yarnrc", "yarn", "pnpm", "node_modules", "patches", "*"];
        word.is_empty() || matches!(word, "." | "./" | "..") || start.iter().any(|start| name.starts_with(start))
    };
    let is_aside = |word: &str| ["/var/", "/tmp/", "/root/", "~/", "/usr/"].iter().any(|start| word.starts_with(start));
    survey.commands.iter().find_map(|(index, command)| {
        let words = survey::words(command);
        let ["rm", rest @ ..] = words.as_slice() else { return None };
        let written = command.words.iter().skip(1).map(|word| word.written.as_str());
        let word = rest
            .iter()
            .zip(written)
            .find(|(word, written)| !word.starts_with('-') && is_read(word) && !is_aside(written));
        word.map(|(_, written)| (*index, written.to_owned()))
    })
}

/// A package for development that one for production uses where it is there, such as the driver of a database.
fn optional_peer(lock: &PackageLock) -> Option<Obstacle> {
    let is_left = |peer: &&String| lock.development.contains(peer) && !is_tool(peer);
    let (package, peer) =
        lock.production.iter().find_map(|package| Some((&package.name, package.peers.iter().find(is_left)?)))?;
    let detail = format!("{package} uses {peer} where it is there, and it is there only for development");
    Some(Obstacle::doubt(SkipReason::RunTimeInputs, detail))
}

/// Where the program reaches for packages for development by other ways than loading them: by a name that a framework loads, or by the folder of all.
pub(super) fn reaches_for_development(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    package: &PackageJson,
) -> Option<String> {
    let tree = application.around.repository.tree();
    let others: Vec<&str> =
        package.dev_dependencies().iter().map(String::as_str).filter(|name| !is_tool(name)).collect();
    let folder = |text: &str| text.find("node_modules").map(|at| (at, "node_modules".to_owned()));
    if others.is_empty() {
        return None;
    }
    let of_image = image.dockerfile.env(image.stage).into_iter();
    let of_containers = application.containers.iter().flat_map(|container| container.view.env_values());
    let mut variables = of_image.chain(of_containers);
    let names = |value: &str| {
        let is_path_in = |word: &str, name: &str| word.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
        let mut words = value.split(|c: char| c.is_whitespace() || "=,\"'".contains(c));
        words.any(|word| others.iter().any(|name| word == *name || is_path_in(word, name)))
    };
    if let Some((name, _)) = variables.find(|(_, value)| names(value)) {
        return Some(name);
    }
    names_package(tree, image.directory(), &others).or_else(|| finds_in_program(tree, image.directory(), folder))
}

/// npm 6, which came with Node.js up to 14, knows another name for the same. What makes npm accept packages that do not fit each other is repeated: it
/// looks at them again.
fn prune(image: &ImageFacts<'_>, survey: &Survey) -> String {
    let tag = image.base.as_ref().and_then(|base| base.tag()).unwrap_or_default();
    let major: Option<u32> = tag.split(['.', '-']).next().and_then(|major| major.parse().ok());
    let flag = if major.is_some_and(|major| major < 15) { "--production" } else { "--omit=dev" };
    let mut line = format!("RUN npm prune {flag}");
    for lenient in ["--legacy-peer-deps", "--force"] {
        let is_given = |words: Vec<&str>| words.first() == Some(&"npm") && words.contains(&lenient);
        if survey.commands.iter().any(|(_, command)| is_given(survey::words(command))) {
            line.push(' ');
            line.push_str(lenient);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&str> {
        line.split(' ').collect()
    }

    #[test]
    fn commands_that_install_are_told_from_others() {
        for line in ["yarn", "yarn install", "yarn --frozen-lockfile", "yarn install --network-timeout 100000"] {
            assert!(NodePackages::Yarn.installs(&words(line)), "{line}");
        }
        for line in ["yarn build", "yarn add left-pad", "yarn install --modules-folder /x", "yarn --cwd web"] {
            assert!(!NodePackages::Yarn.installs(&words(line)), "{line}");
        }
        for line in ["pnpm install --frozen-lockfile", "pnpm i", "pnpm i --reporter=silent"] {
            assert!(NodePackages::Pnpm.installs(&words(line)), "{line}");
        }
        for line in ["pnpm fetch", "pnpm install --shamefully-hoist", "pnpm -r install", "pnpm add x"] {
            assert!(!NodePackages::Pnpm.installs(&words(line)), "{line}");
        }
        for line in ["npm ci", "npm install --omit=dev"] {
            assert!(NodePackages::Npm.installs(&words(line)), "{line}");
        }
        for line in ["npm install -g pnpm", "npm install left-pad"] {
            assert!(!NodePackages::Npm.installs(&words(line)), "{line}");
        }
    }

    #[test]
    fn a_node_packages_may_be_brought() {
        for line in ["corepack enable", "npm install -g pnpm@9", "npm i --global pnpm"] {
            assert!(NodePackages::Pnpm.arrives(&words(line)), "{line}");
        }
        for line in ["npm install pnpm", "npm install -g pnpm typescript", "npm install -g"] {
            assert!(!NodePackages::Pnpm.arrives(&words(line)), "{line}");
        }
    }
}
