//! Facts of an image that a Dockerfile of this tree builds.

use super::arguments::BuildArguments;
use super::home::RootsHome;
use super::{Stack, Surroundings, Unnumbered, stack};
use crate::discover::Tree;
use crate::dockerfile::{Base, CommandForm, Dockerfile, Keyword, ShellCommand, Stage};
use crate::image::{ConfiguredUser, Family, Ids, ImageConfig, KnownImage, Reference};
use crate::link::How;
use crate::repository::FileId;
use crate::source::Position;
use std::borrow::Cow;

/// What a Dockerfile says about the image it builds.
pub struct ImageFacts<'a> {
    /// The file.
    pub file: FileId,
    /// Its path.
    pub path: &'a str,
    /// The Dockerfile.
    pub dockerfile: &'a Dockerfile,
    /// The stage that is deployed: the last one, or the one the configuration names.
    pub stage: &'a Stage,
    /// Why it is not certain that this stage is the deployed one.
    pub stage_doubt: Option<Doubt>,
    /// The image that the stage's chain starts from; `None` for `scratch` and for unknown variables.
    pub base: Option<Reference>,
    /// The base as the file writes it, `scratch` included.
    pub base_text: String,
    /// The base's row in the table.
    pub known_base: Option<&'a KnownImage>,
    /// What the registry says of the base, where [`Self::asks_registry`].
    pub base_config: Option<&'a ImageConfig>,
    /// What the base is made of; `scratch` counts as distroless.
    pub family: Option<Family>,
    /// Who the image runs as.
    pub user: User,
    /// Index of the `USER` instruction in force.
    pub user_instruction: Option<usize>,
    /// It only adds to the service that its base is, and is started as that is.
    pub(super) adds_to_service: bool,
    /// The language, when it is one whose needs are known.
    pub stack: Option<Stack>,
    /// What builds are given for its arguments.
    pub(super) build_arguments: BuildArguments,
    /// What is kept in root's home; known of an application's own image.
    pub(super) roots_home: RootsHome,
    /// Directories in which its containers were seen to write.
    pub(super) observed: Vec<String>,
}

/// Why it is not certain which stage is deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What says otherwise.
    pub detail: String,
    /// Whether it says so of what is deployed, and not of what developers build for themselves.
    pub hard: bool,
}

/// Who an image runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    /// uid 0.
    Root,
    /// A number above 0.
    Numeric {
        /// User id.
        uid: u32,
        /// Group id, when the file names it by number.
        gid: Option<u32>,
    },
    /// A name, and its numbers where the base or the file tells them.
    Named {
        /// As written.
        name: String,
        /// What it stands for.
        ids: Option<Ids>,
    },
    /// Neither the file nor the table tells.
    Unknown {
        /// What was looked at.
        how: String,
    },
}

impl<'a> ImageFacts<'a> {
    pub(super) fn new(around: Surroundings<'a>, file: FileId) -> Option<Self> {
        let dockerfile = around.repository.file(file).dockerfile()?;
        let (stage, stage_doubt) = deployed_stage(around, file, dockerfile)?;
        Self::of_stage(around, file, stage, stage_doubt)
    }

    /// The facts of one stage of a file, as the deployed one.
    pub(super) fn of_stage(
        around: Surroundings<'a>,
        file: FileId,
        stage: &'a Stage,
        stage_doubt: Option<Doubt>,
    ) -> Option<Self> {
        let source = around.repository.file(file);
        let dockerfile = source.dockerfile()?;
        let first = *dockerfile.chain(stage).last()?;
        let (base, base_text) = match &first.base {
            Base::Image { reference, .. } => (Reference::parse(reference).ok(), reference.clone()),
            Base::Scratch => (None, "scratch".to_owned()),
            Base::Unknown { written } => (None, written.clone()),
            Base::Stage(_) => (None, String::new()),
        };
        let known_base = base.as_ref().and_then(|base| around.config.images.find(base));
        let family = match known_base {
            _ if first.base == Base::Scratch => Some(Family::Distroless),
            Some(known) => Some(known.family),
            None => super::accounts::family_of_root(dockerfile, stage),
        };
        let mut facts = Self {
            file,
            path: &source.path,
            dockerfile,
            stage,
            stage_doubt,
            base,
            base_text,
            known_base,
            base_config: None,
            family,
            user: User::Root,
            user_instruction: None,
            adds_to_service: around.links.adds_to_service(file),
            stack: None,
            build_arguments: BuildArguments::of(around, file),
            roots_home: RootsHome::default(),
            observed: super::observed::written_in(around, file),
        };
        if let Some(base) = facts.asks_registry(around) {
            facts.base_config = around.configs.get(base).and_then(|answer| answer.as_ref().ok());
        }
        facts.judge_user(around.repository.tree());
        facts.stack = stack::detect(&facts, around.repository.tree());
        Some(facts)
    }

    /// The base of which only a registry tells: the table does not know it, and nothing in this tree builds it.
    pub fn asks_registry(&self, around: Surroundings<'_>) -> Option<&Reference> {
        let is_unknown = self.known_base.is_none() && !around.links.starts_here(self.file);
        self.base.as_ref().filter(|_| is_unknown)
    }

    /// The folder that holds the Dockerfile.
    pub fn directory(&self) -> &'a str {
        crate::discover::directory(self.path)
    }

    /// How reports name the stage: `image of app/Dockerfile`, with the stage where there are several.
    pub fn label(&self) -> String {
        match (&self.stage.name, self.dockerfile.stages().len()) {
            (_, 1) => "image".to_owned(),
            (Some(name), _) => format!("stage {name}"),
            (None, _) => format!("stage {}", self.stage.index),
        }
    }

    /// Byte offset of the stage's FROM.
    pub fn offset(&self) -> usize {
        self.dockerfile.instructions()[self.stage.from].span.start
    }

    /// `path:line` of an instruction.
    pub fn place(&self, instruction: usize) -> String {
        let offset = self.dockerfile.instructions()[instruction].span.start;
        format!("{}:{}", self.path, Position::of(self.dockerfile.text(), offset).line)
    }

    /// How the user is known, to be read after "because of".
    pub fn user_how(&self) -> String {
        match self.user_instruction {
            Some(instruction) => format!("USER at {}", self.place(instruction)),
            None => {
                let base = super::identity::printable(&self.base_text);
                let source = if self.base_config.is_some() { ", as its registry says" } else { "" };
                format!("the base {base} of {}{source}", self.path)
            }
        }
    }

    /// The command line that the image starts: ENTRYPOINT then CMD. A shell form is `["/bin/sh", "-c", line]`, as BuildKit stores it. Empty when the
    /// base alone decides.
    pub fn argv(&self) -> Vec<String> {
        let mut argv = self.entrypoint();
        // A shell-form ENTRYPOINT ignores CMD.
        let ignores_cmd = matches!(self.dockerfile.entrypoint(self.stage), Some((CommandForm::Shell(_), _)));
        if !ignores_cmd && let Some((form, _)) = self.dockerfile.cmd(self.stage) {
            argv.extend(words(form));
        }
        argv
    }

    /// ENTRYPOINT alone, in the same form.
    pub fn entrypoint(&self) -> Vec<String> {
        self.dockerfile.entrypoint(self.stage).map(|(form, _)| words(form)).unwrap_or_default()
    }

    /// Where an instruction may be added that needs root and sees all files: below the last instruction that changes files, or the later USER that makes
    /// the build root again.
    pub fn root_position(&self) -> usize {
        let last = self.last_file_instruction();
        self.user_instruction.filter(|user| self.stage.instructions.contains(user)).map_or(last, |user| user.max(last))
    }

    /// The words of a command at an instruction of a stage, arguments of the build filled in; a word that is not known is empty.
    pub(super) fn expanded_words(&self, stage: &Stage, instruction: usize, command: &ShellCommand) -> Vec<String> {
        let expanded = |written: &str| {
            let given = self.build_arguments.fill(written)?;
            self.dockerfile.expand(stage, instruction, &given)
        };
        let words = command.words.iter();
        words.map(|word| word.literal.clone().or_else(|| expanded(&word.written)).unwrap_or_default()).collect()
    }

    /// The argument of the build that decides about the account of a name: it may be given another value than is assumed.
    pub fn argument_for_account(&self, name: &str) -> Option<String> {
        let written = |index: usize| self.dockerfile.instructions()[index].arguments.of(self.dockerfile.text());
        let by_user = self.user_instruction.filter(|index| written(*index).contains('$'));
        let index = by_user.or_else(|| super::accounts::made_by_argument(self, name))?;
        Some(self.place(index))
    }

    /// Whether a RUN of the stage makes an account of this name or number.
    pub fn makes_account(&self, name_or_number: &str) -> bool {
        super::accounts::makes(self, name_or_number)
    }

    /// The command that makes the account of a name and leaves its number to the system.
    pub fn unnumbered_account(&self, name: &str) -> Option<Unnumbered> {
        super::accounts::unnumbered(self, name)
    }

    /// Whether no file of the image has capabilities of its own: its base is known to have none, nothing gives any, and neither packages nor other images
    /// bring programs that may (`ping` has some on most distributions).
    pub fn has_plain_files(&self) -> bool {
        const PACKAGE_MANAGERS: [&str; 8] = ["apk", "apt", "apt-get", "dnf", "microdnf", "tdnf", "yum", "zypper"];
        let dockerfile = self.dockerfile;
        let brings = |index: usize| {
            let instruction = &dockerfile.instructions()[index];
            let text = instruction.span.of(dockerfile.text());
            let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            match instruction.keyword {
                Keyword::Run => words.any(|word| word == "setcap" || PACKAGE_MANAGERS.contains(&word)),
                Keyword::Copy => instruction.flag("from").is_some(),
                // An archive may hold them.
                Keyword::Add => true,
                _ => false,
            }
        };
        (self.known_base.is_some() || self.base.is_none() && self.family.is_some())
            && self.known_base.is_none_or(|base| base.needs.is_empty())
            && !dockerfile.effective(self.stage).into_iter().any(brings)
    }

    /// Whether the files of the application were given to group 0 already.
    pub fn is_shared(&self) -> bool {
        let text = self.dockerfile.text();
        let runs =
            self.dockerfile.effective(self.stage).into_iter().map(|index| &self.dockerfile.instructions()[index]);
        let runs: Vec<&str> = runs.filter(|run| run.keyword == Keyword::Run).map(|run| run.span.of(text)).collect();
        let shares = |run: &&&str| run.contains("chgrp -R 0") && (run.contains("g=u") || run.contains("g+rwX"));
        self.owned_directories()
            .iter()
            .all(|directory| runs.iter().filter(shares).any(|run| run.contains(&directory.path)))
    }

    /// The working directory in absolute form, when it can be told. An image without one starts in `/`.
    pub fn workdir(&self) -> Option<String> {
        match self.dockerfile.workdir(self.stage) {
            Some(Ok(path)) if path.starts_with('/') => Some(path),
            Some(_) => None,
            None if self.base.is_some() && self.known_base.is_none() && self.base_config.is_none() => None,
            None => Some(self.base_workdir()),
        }
    }

    /// Where the base works; at the root, as far as table and registry tell.
    pub(super) fn base_workdir(&self) -> String {
        let known = self.known_base.and_then(|known| known.workdir.as_ref());
        let workdir = known.or_else(|| self.base_config.and_then(|config| config.workdir.as_ref()));
        workdir.cloned().unwrap_or_else(|| "/".to_owned())
    }

    /// The VOLUME paths of the base.
    pub(super) fn base_volumes(&self) -> &'a [String] {
        match (self.known_base, self.base_config) {
            (Some(known), _) => &known.volumes,
            (None, Some(config)) => &config.volumes,
            (None, None) => &[],
        }
    }

    /// The variables of the image; those of its base as far as its registry told.
    pub(super) fn env(&self) -> Vec<(String, String)> {
        let mut env = self.dockerfile.env(self.stage);
        let of_base = self.base_config.into_iter().flat_map(|config| &config.env);
        let others: Vec<_> = of_base.filter(|(name, _)| env.iter().all(|(own, _)| own != name)).cloned().collect();
        env.extend(others);
        env
    }

    /// What of the base's ENTRYPOINT and CMD is left once the Dockerfile is done with them; empty where no registry told.
    pub(super) fn base_argv(&self) -> Vec<String> {
        let Some(config) = self.base_config.filter(|_| self.dockerfile.entrypoint(self.stage).is_none()) else {
            return Vec::new();
        };
        let cmd = if self.dockerfile.cmd(self.stage).is_none() { config.cmd.as_slice() } else { &[] };
        config.entrypoint.iter().chain(cmd).cloned().collect()
    }

    /// Index of the last instruction of the deployed stage that changes files: RUN, COPY, ADD, WORKDIR, or FROM itself.
    pub fn last_file_instruction(&self) -> usize {
        let mut range = self.stage.instructions.clone();
        range
            .rfind(|index| {
                matches!(
                    self.dockerfile.instructions()[*index].keyword,
                    Keyword::Run | Keyword::Copy | Keyword::Add | Keyword::Workdir | Keyword::From
                )
            })
            .unwrap_or(self.stage.from)
    }

    /// The base, where it is a service that steps down on its own and the image only adds to it: all that is left to do once it starts is done as that
    /// user today.
    pub fn service(&self) -> Option<&'a KnownImage> {
        self.known_base.filter(|_| self.adds_to_service)
    }

    /// Whether another user is given root's home, which its files are kept in: group 0 is let in, and the home stays what it is.
    pub fn keeps_roots_home(&self) -> bool {
        self.roots_home.is_kept
    }

    /// Whether nobody tells who the image runs as, so that another user may be tried: nothing is known of its base, which is not built here, no instruction
    /// names a user, and no other stage inherits it.
    pub fn is_untold(&self, around: Surroundings<'_>) -> bool {
        matches!(self.user, User::Unknown { .. })
            && self.user_instruction.is_none()
            && self.base_config.is_none()
            && self.asks_registry(around).is_some()
            && self.heirs().is_empty()
    }

    /// Whether other stages are built FROM the deployed one, and so inherit its user.
    pub fn heirs(&self) -> Vec<&'a Stage> {
        self.dockerfile.stages().iter().filter(|stage| stage.base == Base::Stage(self.stage.index)).collect()
    }

    fn judge_user(&mut self, tree: &Tree) {
        if let Some((written, instruction)) = self.dockerfile.user(self.stage) {
            self.user_instruction = Some(instruction);
            let text = self.dockerfile.instructions()[instruction].arguments.of(self.dockerfile.text()).trim();
            let given = self.build_arguments.fill(text).filter(|given| given != text);
            let written = given
                .and_then(|given| self.dockerfile.expand(self.stage, instruction, &given))
                .map_or(written, Cow::Owned);
            self.user = self.user_of(tree, &written);
            return;
        }
        self.user = match (self.known_base, &self.base) {
            (Some(known), _) => match known.user {
                Some(ids) => User::Numeric { uid: ids.uid, gid: Some(ids.gid) },
                None => User::Root,
            },
            (None, None) if self.base_text == "scratch" => User::Root,
            _ => self.user_of_unknown_base(),
        };
    }

    fn user_of_unknown_base(&self) -> User {
        let base = super::identity::printable(&self.base_text);
        let unknown = |how: String| User::Unknown { how };
        match self.base_config.map(ImageConfig::user) {
            // Its own commands do what only root can.
            None if self.family.is_some() => User::Root,
            None => unknown(format!("nothing is known of the base {base}")),
            Some(ConfiguredUser::Root) => User::Root,
            Some(ConfiguredUser::Numeric { uid, gid }) => User::Numeric { uid, gid },
            Some(ConfiguredUser::Named(name)) => {
                let name = super::identity::printable(name);
                unknown(format!("user `{name}` of the base {base} is a name without a known number"))
            }
        }
    }

    fn user_of(&self, tree: &Tree, written: &str) -> User {
        // The images of .NET name the number of their account in a variable (https://learn.microsoft.com/dotnet/core/docker/container-images).
        if let ("$APP_UID" | "${APP_UID}", Some(base)) = (written, self.known_base)
            && base.name.contains("/dotnet/")
            && let Some(account) = &base.account
        {
            return User::Numeric { uid: account.uid, gid: Some(account.gid) };
        }
        let (user, group) = written.split_once(':').map_or((written, None), |(user, group)| (user, Some(group)));
        match user.parse::<u32>() {
            Ok(0) => User::Root,
            Ok(uid) => {
                User::Numeric { uid, gid: group.and_then(|group| group.parse().ok()).or_else(|| self.gid_of(uid)) }
            }
            Err(_) if user == "root" => User::Root,
            Err(_) if user.contains('$') => {
                let written = super::identity::printable(written);
                User::Unknown { how: format!("USER {written}: nothing gives the argument a value; give it a default") }
            }
            Err(_) => User::Named { name: user.to_owned(), ids: super::accounts::ids_of(self, tree, user) },
        }
    }

    fn gid_of(&self, uid: u32) -> Option<u32> {
        let account = self.known_base?.account.as_ref()?;
        (account.uid == uid).then_some(account.gid)
    }
}

fn words(form: CommandForm) -> Vec<String> {
    match form {
        CommandForm::Exec(words) => words,
        CommandForm::Shell(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line],
    }
}

/// Whether a stage is called as those are that developers and builds use, and that are not deployed.
pub fn is_for_developers(stage: &Stage) -> bool {
    const NAMES: [&str; 15] = [
        "dev",
        "development",
        "dev-envs",
        "test",
        "tests",
        "testing",
        "debug",
        "debugger",
        "lint",
        "ci",
        "local",
        "devcontainer",
        "builder",
        "build",
        "e2e",
    ];
    stage.name.as_deref().is_some_and(|name| NAMES.contains(&name.to_lowercase().as_str()))
}

/// The last stage, unless the configuration names another. Where the last one is for developers, the one stage that build definitions name is what is
/// deployed; where they name one for developers, that is what these build for themselves.
fn deployed_stage<'a>(
    around: Surroundings<'a>,
    file: FileId,
    dockerfile: &'a Dockerfile,
) -> Option<(&'a Stage, Option<Doubt>)> {
    let last = dockerfile.stages().last()?;
    let mut named: Vec<(&Stage, String)> = Vec::new();
    let mut builds_last = false;
    for declaration in around.links.declarations(file) {
        let stage = declaration.target.as_deref().and_then(|target| dockerfile.stage(target));
        match stage {
            Some(stage) if declaration.how == How::Configured => return Some((stage, None)),
            Some(stage) if stage.index != last.index => {
                let name = super::identity::printable(stage.name.as_deref().unwrap_or_default());
                named.push((stage, format!("{} builds the stage {name} and not the last one", declaration.how)));
            }
            _ => builds_last |= declaration.how != How::Configured,
        }
    }
    let last_for_developers = dockerfile.stages().len() > 1 && is_for_developers(last);
    let doubt = match named.first() {
        Some((stage, _))
            if last_for_developers && !builds_last && named.iter().all(|(other, _)| other.index == stage.index) =>
        {
            return Some((stage, None));
        }
        Some((_, detail)) => {
            let hard = last_for_developers || !named.iter().all(|(stage, _)| is_for_developers(stage));
            Some(Doubt { detail: detail.clone(), hard })
        }
        // A file often ends with what developers build by name; what is deployed then stands above it.
        None => last_for_developers.then(|| Doubt {
            detail: format!("the last stage is called {}", last.name.as_deref().unwrap_or_default()),
            hard: true,
        }),
    };
    Some((last, doubt))
}
