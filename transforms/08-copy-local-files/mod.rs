#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::discover::{Tree, file_name, join};
use crate::dockerfile::{Instruction, Keyword, Operation};
use crate::error::SkipReason;
use crate::facts::{Application, ImageFacts};
use crate::source::Span;

static METADATA: Metadata = Metadata {
    number: 8,
    id: "copy-local-files",
    title: "Copy local files by COPY",
    why: "ADD unpacks archives and fetches addresses, whatever its source turns out to be. Where it does neither, COPY says so, and does the same.",
    readme: include_str!("README.md"),
};

/// Turns ADD into COPY where both do the same.
pub(super) struct CopyLocalFiles;

/// What ADD does with a source.
enum Source {
    /// As COPY does.
    Copied,
    /// What COPY cannot.
    Special(String),
    /// Nobody can tell.
    Unseen(String),
}

impl Transform for CopyLocalFiles {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        let Some(image) = &application.image else { return Vec::new() };
        let instructions = image.dockerfile.instructions().iter();
        let adds = instructions.filter(|instruction| instruction.keyword == Keyword::Add);
        adds.map(|add| plan_add(application.around.repository.tree(), image, add)).collect()
    }
}

fn plan_add(tree: &Tree, image: &ImageFacts<'_>, add: &Instruction) -> Proposal {
    let text = image.dockerfile.text();
    let arguments = add.arguments.of(text);
    let label = format!("ADD {}", arguments.lines().next().unwrap_or_default().escape_debug());
    let subject = Subject { file: image.file, offset: add.span.start, label };
    const SHARED: [&str; 4] = ["chown", "chmod", "link", "exclude"];
    if let Some(flag) = add.flags.iter().find(|flag| !SHARED.contains(&flag.name.as_str())) {
        return Proposal::already(subject, format!("--{} is not the same to COPY", flag.name.escape_debug()));
    }
    let Some((sources, _)) = image.dockerfile.copy_words(add).filter(|_| add.heredocs.is_empty()) else {
        return Proposal::declined(
            subject,
            SkipReason::UnseenSource,
            "its sources cannot be told from its destination",
        );
    };
    for source in &sources {
        match judge(tree, image.directory(), source) {
            Source::Copied => {}
            Source::Special(what) => return Proposal::already(subject, what),
            Source::Unseen(why) => return Proposal::declined(subject, SkipReason::UnseenSource, why),
        }
    }
    let mut change = Change::default();
    let keyword = Span::new(add.span.start, add.span.start + Keyword::Add.as_str().len());
    let is_lower = keyword.of(text).starts_with(char::is_lowercase);
    let text = if is_lower { "copy" } else { Keyword::Copy.as_str() };
    change.dockerfile(image.file, [Operation::Replace { span: keyword, text: text.to_owned() }]);
    Proposal::change(subject, change, &[], "its sources are files and folders of the build context, and no archives")
}

/// Endings of archives that ADD unpacks
/// (<https://docs.docker.com/reference/dockerfile/#adding-local-tar-archives>).
const ARCHIVES: [&str; 12] = ["tar", "gz", "tgz", "bz2", "tbz", "tbz2", "xz", "txz", "lzma", "zst", "tzst", "z"];

/// Endings of packages and programs, which are no text and no archive that ADD unpacks.
const PACKED: [&str; 8] = ["jar", "war", "ear", "zip", "whl", "dll", "exe", "so"];

/// Endings of texts.
const TEXTS: [&str; 33] = [
    "js",
    "mjs",
    "cjs",
    "ts",
    "json",
    "py",
    "rb",
    "ru",
    "php",
    "go",
    "rs",
    "java",
    "cs",
    "sh",
    "txt",
    "md",
    "yml",
    "yaml",
    "xml",
    "html",
    "css",
    "conf",
    "cfg",
    "ini",
    "properties",
    "toml",
    "lock",
    "sql",
    "env",
    "crt",
    "pem",
    "key",
    "cnf",
];

fn judge(tree: &Tree, folder: &str, source: &str) -> Source {
    let shown = source.escape_debug().to_string();
    if source.contains("://") || source.starts_with("github.com/") || is_repository(source) {
        return Source::Special(format!("{shown} is fetched"));
    }
    if source.contains('$') {
        return Source::Unseen(format!("a variable stands in {shown}"));
    }
    let path = source.trim_end_matches('/');
    if matches!(file_name(path), "." | ".." | "") {
        return Source::Copied;
    }
    let ending = file_name(path).rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    if ARCHIVES.contains(&ending.as_str()) {
        return Source::Special(format!("{shown} is an archive by its name, which only ADD unpacks"));
    }
    let is_packed = PACKED.contains(&ending.as_str());
    // The folder of the Dockerfile is what is built in most often, and the top of the repository next.
    let paths = [folder, ""].into_iter().filter_map(|folder| join(folder, path));
    let mut is_there = false;
    for path in paths {
        if tree.below(&path).next().is_some() {
            return Source::Copied;
        }
        if let Some(text) = tree.read(&path) {
            // What is packed is no text. An archive of texts that is not packed has bytes in its first header that no text has.
            return match text.contains('\0') {
                true => Source::Special(format!("{shown} is an archive, which only ADD unpacks")),
                false => Source::Copied,
            };
        }
        is_there |= tree.has(&path);
    }
    // A slash behind a name says that it is a folder, one that is made before the build.
    let is_named = TEXTS.contains(&ending.as_str()) || source.ends_with('/');
    if is_packed || is_named && !is_there {
        return Source::Copied;
    }
    Source::Unseen(format!(
        "{shown} is not a text beside {}; it may be an archive",
        if folder.is_empty() { "the Dockerfile" } else { folder }
    ))
}

/// `user@host:path`, which git fetches.
fn is_repository(source: &str) -> bool {
    source.split_once('@').is_some_and(|(user, rest)| !user.contains('/') && rest.contains(':'))
}
