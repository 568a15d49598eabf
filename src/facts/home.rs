//! What an image keeps in root's home, which is nobody else's: the directory has mode 0700, and another user has another home.
//!
//! Where the image has a shell, group 0 can be let in, and the other user be given the same home. Nothing then tells the two apart but programs that look at
//! owners and modes, so that this is done on the user's word, and not for files that such programs are known to refuse.

use super::directories::is_within;
use super::identity::printable;
use super::obstacles::{Obstacle, hard, soft};
use super::{ContainerFacts, ImageFacts, PackageJson, Surroundings, User, stack};
use crate::dockerfile::{Keyword, Redirection, ShellCommand};
use crate::error::SkipReason;
use crate::image::Family;
use std::fmt::Display;

/// Whether a path is root's home or lies there.
fn is_roots(path: &str) -> bool {
    is_within(path, "/root")
}

/// Files that their programs refuse unless they belong to who runs them, or are nobody else's to read or write: `libpq`, `netrc` of Python, Erlang, OpenSSH
/// (<https://www.postgresql.org/docs/current/libpq-pgpass.html>, <https://docs.python.org/3/library/netrc.html>,
/// <https://www.erlang.org/doc/system/distributed.html>, <https://man.openbsd.org/ssh_config>), and the keys of GnuPG.
const REFUSED: [&str; 6] = [".pgpass", ".netrc", ".erlang.cookie", ".ssh/config", "authorized_keys", ".gnupg"];

/// What an image and its containers keep in root's home, or look for there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RootsHome {
    of_image: Option<Obstacle>,
    of_containers: Vec<Obstacle>,
    /// Group 0 may be let in, and the home be kept.
    pub(super) is_kept: bool,
}

impl RootsHome {
    pub(super) fn of(around: Surroundings<'_>, image: &ImageFacts<'_>, containers: &[ContainerFacts<'_>]) -> Self {
        let of_image = kept_by_image(around, image);
        let of_containers: Vec<Obstacle> =
            containers.iter().filter_map(|container| of_container(container, &container.place())).collect();
        let mounted = containers.iter().flat_map(ContainerFacts::mounts).map(|mount| mount.path);
        let text = image.dockerfile.text();
        let is_refused = |name: &&str| text.contains(name) || mounted.clone().any(|path| path.contains(name));
        let is_used = of_image.is_some() || !of_containers.is_empty() || image.builds_when_it_starts().is_some();
        let is_kept = is_used
            && image.user == User::Root
            && image.family.is_some_and(Family::has_shell)
            && image.served_by().is_none()
            && !REFUSED.iter().any(is_refused);
        Self { of_image, of_containers, is_kept }
    }

    /// What speaks against another user.
    pub(super) fn obstacles(&self) -> impl Iterator<Item = Obstacle> {
        let all = self.of_image.iter().chain(&self.of_containers);
        all.map(|obstacle| Obstacle { hard: obstacle.hard && !self.is_kept, ..obstacle.clone() })
    }
}

/// Files below root's home cannot be reached by others: the directory has mode 0700.
fn kept_by_image(around: Surroundings<'_>, image: &ImageFacts<'_>) -> Option<Obstacle> {
    let dockerfile = image.dockerfile;
    let is_home = |path: &str| is_roots(path) || path.starts_with('~');
    let mut has_files = false;
    for index in dockerfile.effective(image.stage) {
        let instruction = &dockerfile.instructions()[index];
        let place = image.place(index);
        match instruction.keyword {
            Keyword::Workdir if is_home(instruction.arguments.of(dockerfile.text()).trim()) => {
                let detail = format!("{place} works in root's home, which others cannot enter");
                return Some(hard(SkipReason::RootHome, detail));
            }
            Keyword::Copy | Keyword::Add if dockerfile.copy_words(instruction).is_some_and(|(_, to)| is_home(&to)) => {
                let detail = format!("{place} puts files in root's home, which others cannot enter");
                return Some(hard(SkipReason::RootHome, detail));
            }
            Keyword::Copy | Keyword::Add => has_files = true,
            Keyword::Run => {
                for command in dockerfile.shell_commands(instruction).unwrap_or_default() {
                    let words = stack::words(&command);
                    let what = installs(&words, &command, image).or_else(|| configures(&words, has_files));
                    if let Some(what) = what {
                        let detail = format!("{place}: {what} in root's home, which others cannot enter");
                        return Some(soft(SkipReason::RootHome, detail));
                    }
                }
            }
            _ => {}
        }
    }
    let package = PackageJson::read(around.repository.tree(), image.directory())?;
    let browser = ["puppeteer", "playwright", "cypress"].into_iter().find(|browser| package.depends_on(browser))?;
    let detail = format!("{browser} keeps its browser in the home of the user that installed it");
    Some(soft(SkipReason::RootHome, detail))
}

/// What the manifest has the container reach for there. A volume at root's home itself takes its place.
pub(super) fn of_container(container: &ContainerFacts<'_>, place: &dyn Display) -> Option<Obstacle> {
    let mounts = container.mounts();
    if mounts.iter().any(|mount| mount.path.trim_end_matches('/') == "/root") {
        return None;
    }
    let is_home = |path: &String| is_roots(path);
    let view = container.view;
    let works = || Some(("works in", view.working_dir().filter(is_home)?));
    let mounted = || Some(("mounts a volume at", mounts.iter().map(|mount| mount.path.clone()).find(is_home)?));
    let starts = || Some(("starts", view.command()?.into_iter().next().filter(is_home)?));
    let named = || {
        let (name, value) = view.env_values().into_iter().find(|(_, value)| is_home(value) && !value.contains(':'))?;
        Some(("sets a variable to", format!("{value} ({name})")))
    };
    let (does, path) = works().or_else(mounted).or_else(starts).or_else(named)?;
    let detail = format!("{place} {does} {}, in root's home, which others cannot enter", printable(&path));
    Some(hard(SkipReason::RootHome, detail))
}

/// What a command of the build puts into the home of its user, or uses there.
fn installs(words: &[&str], command: &ShellCommand, image: &ImageFacts<'_>) -> Option<&'static str> {
    let has = |word: &str| words.contains(&word);
    match words {
        // What is printed may be kept there; its words are no files.
        ["echo" | "printf", ..] => {
            let kept = |redirection: &Redirection| names_home(&redirection.target.written);
            return command.redirections.iter().any(kept).then_some("files are kept");
        }
        ["rm" | "ls", ..] => return None,
        ["pipenv", "install" | "sync", ..] if !has("--system") => return Some("pipenv installs its environment"),
        ["poetry", "install", ..] => return Some("poetry may keep its environment"),
        ["pip" | "pip3", "install", ..] if has("--user") => return Some("pip installs"),
        ["python" | "python3", "-m", "nltk.downloader" | "spacy" | "playwright", ..] => return Some("data is stored"),
        ["npx", "playwright", ..] | ["playwright", "install", ..] => return Some("playwright keeps its browsers"),
        ["git", "config", ..]
            if has("--global") && words.iter().any(|word| word.starts_with("user.") || *word == "safe.directory") =>
        {
            return Some("git's settings are kept");
        }
        ["python" | "python3", ..] if words.iter().any(|word| fetches_data(word)) => return Some("data is stored"),
        ["dotnet", "tool", "install", ..] if has("--global") || has("-g") => return Some("dotnet installs a tool"),
        ["composer", "global", ..] => return Some("composer installs"),
        ["gem", "install", ..] if has("--user-install") => return Some("gems are installed"),
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
    let named = command.words.iter().map(|word| &word.written);
    let kept = command.redirections.iter().map(|redirection| &redirection.target.written);
    named.chain(kept).any(|text| names_home(text)).then_some("files are used")
}

/// What a command of the build tells Bundler for all projects of its user: a setting lies in the home where it is asked for, or where no Gemfile has been
/// copied yet (<https://bundler.io/man/bundle-config.1.html>). Without these the program looks for gems that are not installed, or elsewhere.
fn configures(words: &[&str], has_files: bool) -> Option<&'static str> {
    let ["bundle" | "bundler", "config", rest @ ..] = words else { return None };
    let decides = |word: &&str| matches!(*word, "without" | "with" | "only" | "path" | "deployment" | "gemfile");
    let is_local = rest.contains(&"--local") || has_files && !rest.contains(&"--global");
    (rest.iter().any(decides) && !is_local).then_some("Bundler's settings are kept")
}

/// Whether a word of Python makes a library fetch a model or other data, which it keeps in the home of its user.
fn fetches_data(word: &str) -> bool {
    const CALLS: [&str; 7] = [
        "from_pretrained(",
        "pipeline(",
        "snapshot_download(",
        "SentenceTransformer(",
        "nltk.download(",
        "load_model(",
        "torch.hub.",
    ];
    CALLS.iter().any(|call| word.contains(call)) || word.ends_with(".py") && word.contains("download")
}

/// Whether a word of a command names the home of its user.
fn names_home(written: &str) -> bool {
    let text = written.trim_matches(['"', '\'']);
    text.starts_with("~/") || text.contains("/root/") || text.contains("$HOME") || text.contains("${HOME}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_bundler_lie_in_the_home_without_a_gemfile() {
        let lies = |line: &str, has_files: bool| configures(&line.split(' ').collect::<Vec<_>>(), has_files).is_some();
        assert!(lies("bundle config set --global without development", true));
        assert!(lies("bundle config set without development", false));
        assert!(lies("bundle config deployment true", false));
        assert!(!lies("bundle config set without development", true));
        assert!(!lies("bundle config set --local path vendor", false));
        assert!(!lies("bundle config set --global jobs 4", false));
        assert!(!lies("bundle install", false));
    }
}
