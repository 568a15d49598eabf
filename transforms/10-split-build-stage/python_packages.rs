//! pip, Poetry and uv: which commands of a Dockerfile install packages for Python, and where they put them.
//!
//! pip puts them where its interpreter stands, Poetry into the activated environment where there is one
//! (<https://python-poetry.org/docs/basic-usage/#using-your-virtual-environment>), `uv pip install` where it is told to
//! (<https://docs.astral.sh/uv/pip/environments/>), `uv sync` into `.venv` beside the project
//! (<https://docs.astral.sh/uv/concepts/projects/layout/#the-project-environment>). pipenv looks for an interpreter in ways that differ between its versions.

use super::Refusal;
use super::survey::{self, Survey};
use crate::discover::join;
use crate::dockerfile::{Operation, ShellCommand};
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts};

/// Where the packages are.
pub(super) enum Environment {
    /// In one that the split makes.
    New {
        /// The first instruction that installs into it.
        first: usize,
        /// Whether a variable must name it.
        activates: bool,
    },
    /// In `.venv` of the working directory, which the build makes already.
    OfProject,
}

/// Whether a command installs packages in a way that is followed.
pub(super) fn accounts(words: &[&str]) -> bool {
    is_pip(words) || is_uv_pip(words) || is_uv_sync(words) || is_poetry(words) || is_setting_of_poetry(words)
}

/// Whether a COPY brings the program uv from its own image, which then stays in the build.
pub(super) fn brings_uv(image: &ImageFacts<'_>, index: usize) -> bool {
    let instruction = &image.dockerfile.instructions()[index];
    let from = instruction.flag("from").and_then(|flag| flag.value.as_deref()).unwrap_or_default();
    let is_uv = from.split([':', '@']).next() == Some("ghcr.io/astral-sh/uv");
    let to = image.dockerfile.copy_words(instruction).map(|(_, to)| to).unwrap_or_default();
    is_uv && ["/bin", "/usr/bin", "/usr/local/bin"].iter().any(|folder| to.starts_with(folder))
}

/// Where the commands of a file put packages.
pub(super) fn environment(
    application: &Application<'_>,
    image: &ImageFacts<'_>,
    survey: &Survey,
    workdir: &str,
) -> Result<Environment, Refusal> {
    let all: Vec<(usize, Vec<&str>)> =
        survey.commands.iter().map(|(index, command)| (*index, survey::words(command))).collect();
    let runs = |wanted: fn(&[&str]) -> bool| all.iter().any(|(_, words)| wanted(words));
    let env = image.dockerfile.env(image.stage);
    let is_on = |name: &str, values: &[&str]| {
        env.iter().any(|(key, value)| key == name && values.contains(&value.to_ascii_lowercase().as_str()))
    };
    let sets =
        |key: &str, value: &str| all.iter().any(|(_, words)| words.as_slice() == ["poetry", "config", key, value]);
    let poetry = runs(is_poetry);
    let in_project = sets("virtualenvs.in-project", "true") || is_on("POETRY_VIRTUALENVS_IN_PROJECT", &["true", "1"]);
    let without = sets("virtualenvs.create", "false") || is_on("POETRY_VIRTUALENVS_CREATE", &["false", "0"]);
    let declined = |detail: String| Err((SkipReason::UnaccountedCommand, detail));
    if let Some((name, _)) = env.iter().find(|(name, _)| moves_packages(name)) {
        return declined(format!("{} sets {name}, which tells where packages go", image.path));
    }
    if runs(is_uv_sync) || poetry && in_project && !without {
        let others = |words: &[&str]| is_uv_pip(words) || is_pip(words) && !installs_tools(words);
        if let Some((index, _)) = all.iter().find(|(_, words)| others(words)) {
            return declined(format!("{}: installs packages beside those of the project", image.place(*index)));
        }
        if runs(is_uv_sync) {
            suits_interpreter(application, image)?;
        }
        starts_from_project(image, workdir)?;
        return Ok(Environment::OfProject);
    }
    if poetry && !without {
        return declined("poetry puts packages into an environment whose place it makes up".to_owned());
    }
    let installs = |words: &[&str]| is_pip(words) || is_uv_pip(words) || is_poetry(words);
    match all.iter().find(|(_, words)| installs(words)) {
        Some((first, _)) => Ok(Environment::New { first: *first, activates: poetry }),
        None => Err((SkipReason::NoBuildStep, "nothing is installed with pip".to_owned())),
    }
}

/// What sends `uv pip install --system` into an environment.
pub(super) fn into_environment(survey: &Survey, path: &str) -> Vec<Operation> {
    let system =
        |command: &ShellCommand| command.words.iter().find(|word| word.written == "--system").map(|word| word.span);
    let installs = survey.commands.iter().filter(|(_, command)| is_uv_pip(&survey::words(command)));
    let spans = installs.filter_map(|(_, command)| system(command));
    spans.map(|span| Operation::Replace { span, text: format!("--python {path}/bin/python") }).collect()
}

fn is_pip(words: &[&str]) -> bool {
    matches!(words, ["pip" | "pip3", "install", ..] | ["python" | "python3", "-m", "pip", "install", ..])
        && !is_placed(words)
        && !words.contains(&"")
}

/// Whether all that pip installs are tools that install.
fn installs_tools(words: &[&str]) -> bool {
    let packages = words.iter().skip_while(|word| **word != "install").skip(1).filter(|word| !word.starts_with('-'));
    let name = |word: &str| word.split(['=', '<', '>', '~', '[', '!']).next().unwrap_or_default().to_owned();
    packages.map(|word| name(word)).all(|name| ["pip", "poetry", "uv", "setuptools", "wheel"].contains(&name.as_str()))
}

fn is_uv_pip(words: &[&str]) -> bool {
    matches!(words, ["uv", "pip", "install", rest @ ..] if rest.contains(&"--system"))
        && !is_placed(words)
        && !words.contains(&"")
}

fn is_uv_sync(words: &[&str]) -> bool {
    const FLAGS: [&str; 14] = [
        "--frozen",
        "--locked",
        "--no-dev",
        "--no-install-project",
        "--no-editable",
        "--no-default-groups",
        "--compile-bytecode",
        "--no-cache",
        "--all-extras",
        "--quiet",
        "-q",
        "--no-progress",
        "--extra",
        "--group",
    ];
    matches!(words, ["uv", "sync", rest @ ..] if follows(rest, &FLAGS, &["--extra", "--group"]))
}

fn is_poetry(words: &[&str]) -> bool {
    const FLAGS: [&str; 17] = [
        "--no-root",
        "--no-interaction",
        "-n",
        "--no-ansi",
        "--no-dev",
        "--only",
        "--without",
        "--with",
        "--no-cache",
        "--no-directory",
        "--quiet",
        "-q",
        "-v",
        "-vvv",
        "--extras",
        "-E",
        "--all-extras",
    ];
    matches!(words, ["poetry", "install", rest @ ..] if follows(rest, &FLAGS, &["--only", "--without", "--with", "--extras", "-E"]))
}

fn is_setting_of_poetry(words: &[&str]) -> bool {
    matches!(
        words,
        ["poetry", "config", "virtualenvs.create", "false"]
            | ["poetry", "config", "virtualenvs.in-project", "true"]
            | ["poetry", "--version"]
            | ["poetry", "cache", ..]
    )
}

/// Whether words are flags that are known, some of which take the next word.
fn follows(words: &[&str], known: &[&str], take_a_word: &[&str]) -> bool {
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let (name, value) = word.split_once('=').map_or((*word, None), |(name, value)| (name, Some(value)));
        if !known.contains(&name) || take_a_word.contains(&name) && value.is_none() && rest.next().is_none() {
            return false;
        }
    }
    true
}

/// Whether a command tells where packages go.
fn is_placed(words: &[&str]) -> bool {
    const FLAGS: [&str; 10] = [
        "--user",
        "--target",
        "-t",
        "--prefix",
        "--root",
        "-e",
        "--editable",
        "--break-system-packages",
        "--python",
        "-p",
    ];
    words.iter().any(|word| FLAGS.contains(&word.split('=').next().unwrap_or_default()))
}

fn moves_packages(variable: &str) -> bool {
    matches!(
        variable,
        "VIRTUAL_ENV"
            | "UV_PROJECT_ENVIRONMENT"
            | "UV_SYSTEM_PYTHON"
            | "UV_PYTHON"
            | "UV_PYTHON_PREFERENCE"
            | "UV_MANAGED_PYTHON"
            | "UV_PYTHON_INSTALL_DIR"
            | "UV_PROJECT"
            | "UV_WORKING_DIRECTORY"
            | "UV_CONFIG_FILE"
            | "UV_LINK_MODE"
            | "UV_TARGET"
            | "PYTHONUSERBASE"
            | "PYTHONHOME"
            | "PIP_TARGET"
            | "PIP_PREFIX"
            | "PIP_USER"
            | "POETRY_VIRTUALENVS_PATH"
    )
}

/// uv takes the base's interpreter only where that is of the version that the project asks for; else it fetches another one, outside of the project.
fn suits_interpreter(application: &Application<'_>, image: &ImageFacts<'_>) -> Result<(), Refusal> {
    let tree = application.around.repository.tree();
    let read = |name: &str| join(image.directory(), name).and_then(|path| tree.read(&path));
    let version = |text: &str| -> Option<(u32, u32)> {
        let (major, minor) = text.trim().split_once('.')?;
        let end = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
        Some((major.parse().ok()?, minor.get(..end)?.parse().ok()?))
    };
    let tag = image.base.as_ref().and_then(|base| base.tag()).unwrap_or_default();
    let unclear = |what: &str| {
        let detail =
            format!("{what}, and uv may fetch another interpreter than that of {}", image.base_text.escape_debug());
        Err((SkipReason::RunTimeInputs, detail))
    };
    let Some(own) = version(tag) else { return unclear("the base does not name its version") };
    // Of several versions the first counts.
    for name in [".python-version", ".python-versions"] {
        if read(name).is_some_and(|pinned| version(&pinned) != Some(own)) {
            return unclear(&format!("{name} names another one"));
        }
    }
    let settings: String = ["uv.toml", "pyproject.toml"].into_iter().filter_map(read).collect();
    if let Some(key) = ["python-preference", "managed-python"].into_iter().find(|key| settings.contains(key)) {
        return unclear(&format!("the project sets {key}"));
    }
    let project: Option<toml::Table> = read("pyproject.toml").and_then(|text| text.parse().ok());
    let wanted = project.as_ref().and_then(|project| project.get("project")?.get("requires-python")?.as_str());
    let suits = |bound: &str| {
        let bound = bound.trim();
        match bound.strip_prefix(">=") {
            Some(least) => version(least).is_some_and(|least| least <= own),
            None => bound
                .strip_prefix('<')
                .filter(|most| !most.starts_with('='))
                .and_then(version)
                .is_some_and(|most| own < most),
        }
    };
    match wanted {
        Some(wanted) if wanted.split(',').all(suits) => Ok(()),
        _ => unclear("requires-python does not tell"),
    }
}

/// What is started must come from the project's environment, by its path or because that stands in PATH.
fn starts_from_project(image: &ImageFacts<'_>, workdir: &str) -> Result<(), Refusal> {
    let folder = format!("{workdir}/.venv/bin");
    let on_path = image.dockerfile.instructions()[image.stage.instructions.clone()].iter().any(|instruction| {
        let text = instruction.span.of(image.dockerfile.text());
        instruction.keyword == crate::dockerfile::Keyword::Env && text.contains("PATH=") && text.contains(&folder)
    });
    let argv = image.argv();
    let first = argv.first().map(String::as_str).unwrap_or_default();
    let by_path = first.starts_with(&folder) || first.trim_start_matches("./").starts_with(".venv/bin/");
    if on_path || by_path {
        return Ok(());
    }
    let detail = format!("{} does not start from {folder}", image.path);
    Err((SkipReason::RunTimeInputs, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&str> {
        line.split(' ').collect()
    }

    #[test]
    fn commands_that_install_are_told_from_others() {
        for line in [
            "pip install -r requirements.txt",
            "uv pip install --system -r requirements.txt",
            "uv sync --frozen --no-dev --extra web",
            "poetry install --only main --no-root -n",
            "poetry config virtualenvs.create false",
        ] {
            assert!(accounts(&words(line)), "{line}");
        }
        for line in [
            "pip install --user flask",
            "uv pip install -r requirements.txt",
            "uv sync --python 3.13",
            "uv tool install ruff",
            "poetry install --sync",
            "poetry install --only",
            "pipenv install --system --deploy",
        ] {
            assert!(!accounts(&words(line)), "{line}");
        }
        assert!(installs_tools(&words("pip install --no-cache-dir poetry==1.8.3")));
        assert!(!installs_tools(&words("pip install uv gunicorn")));
    }
}
