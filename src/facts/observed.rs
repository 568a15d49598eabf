//! What `unroot prove` saw containers do, as `unroot.toml` keeps it: which volumes that asks for, and where the files say otherwise.

use super::directories::{is_below, is_within, normal};
use super::identity::printable;
use super::{Application, ContainerFacts, ImageFacts, Surroundings};
use crate::config::ObservedEntry;
use crate::dockerfile::Keyword;
use crate::error::SkipReason;
use crate::repository::{ContainerId, FileId};

/// How it is known, in details.
pub(super) const HOW: &str = "observed by unroot prove";

/// Files that only keep a folder in a repository or image, or that `useradd` puts into every home: a volume may hide them.
const PLACEHOLDERS: [&str; 6] = [".bash_logout", ".bashrc", ".gitignore", ".gitkeep", ".keep", ".profile"];

/// Whether a file is in a folder for no program's sake.
pub fn is_placeholder(name: &str) -> bool {
    PLACEHOLDERS.contains(&name)
}

/// Where a container was seen to write, or to need no volume.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    /// All of it, in normal form.
    pub(super) writable: Vec<String>,
    filled: Vec<String>,
}

impl Application<'_> {
    /// What was observed of a container's writing; `None` where nobody looked.
    pub(super) fn observed_writing(&self, container: &ContainerFacts<'_>) -> Option<Observed> {
        let ObservedEntry { writable, filled, .. } = self.observed(container)?;
        let plain = |paths: Vec<String>| paths.iter().filter_map(|path| normal(path)).collect();
        Some(Observed { writable: plain(writable?), filled: plain(filled) })
    }

    /// The ports that a container was seen to listen on; `None` where nobody looked.
    pub(super) fn observed_ports(&self, container: &ContainerFacts<'_>) -> Option<Vec<u16>> {
        self.observed(container).map(|entry| entry.ports).filter(|ports| !ports.is_empty())
    }

    fn observed(&self, container: &ContainerFacts<'_>) -> Option<ObservedEntry> {
        entry(self.around, container.id)
    }
}

fn entry(around: Surroundings<'_>, id: ContainerId) -> Option<ObservedEntry> {
    let workload = around.repository.file(id.file).manifest()?.workloads.get(id.workload)?;
    let container = workload.containers.get(id.container)?;
    around.config.observed(&container.image, &format!("{}/{}", workload.name, container.name))
}

/// Where the containers that run the image of a Dockerfile were seen to write.
pub(super) fn written_in(around: Surroundings<'_>, file: FileId) -> Vec<String> {
    let entries = around.links.containers(file).iter().filter_map(|id| entry(around, *id));
    entries.filter_map(|entry| entry.writable).flatten().collect()
}

impl Observed {
    /// The directories that need volumes: those that nothing covers. Temporary files have theirs in common.
    ///
    /// # Errors
    /// The code and one line, where a volume would hide files of the image.
    pub(super) fn directories(
        &self,
        application: &Application<'_>,
        is_covered: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<String>, (SkipReason, String)> {
        let mut directories: Vec<String> = Vec::new();
        for written in self.writable.iter().filter(|path| !is_covered(path)) {
            let directory = if is_below(written, "/tmp") { "/tmp" } else { written };
            let path = printable(directory);
            if directory == "/" || self.filled.iter().any(|filled| is_within(filled, directory)) {
                let detail =
                    format!("it writes to {path}, where its image holds files that a volume would hide ({HOW})");
                return Err((SkipReason::ImageFills, detail));
            }
            if let Some(place) = application.image.as_ref().and_then(|image| filled_at(application, image, directory)) {
                let detail =
                    format!("it writes to {path} ({HOW}), and {place} puts files there that a volume would hide");
                return Err((SkipReason::ImageFills, detail));
            }
            directories.push(directory.to_owned());
        }
        directories.sort();
        directories.dedup();
        // A volume holds what is below it.
        let all = directories.clone();
        directories.retain(|path| !all.iter().any(|other| is_below(path, other)));
        Ok(directories)
    }
}

/// Where the build surely puts files into a directory. What commands do was seen when the directory was observed.
fn filled_at(application: &Application<'_>, image: &ImageFacts<'_>, directory: &str) -> Option<String> {
    let dockerfile = image.dockerfile;
    let fills = |index: &usize| {
        let instruction = &dockerfile.instructions()[*index];
        if !matches!(instruction.keyword, Keyword::Copy | Keyword::Add) {
            return false;
        }
        let Some(to) = image.copied_directory(*index) else { return false };
        if is_within(&to, directory) {
            return true;
        }
        let below = directory.strip_prefix(to.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
        let (Some(below), None) = (below, instruction.flag("from")) else { return false };
        let (sources, _) = dockerfile.copy_words(instruction).unwrap_or_default();
        sources.iter().any(|source| holds_files(application, image, source, below))
    };
    let index = dockerfile.effective(image.stage).into_iter().find(fills)?;
    Some(image.place(index))
}

/// Whether the tree has files in a folder of what is copied.
fn holds_files(application: &Application<'_>, image: &ImageFacts<'_>, source: &str, below: &str) -> bool {
    let relative = format!("{}/{below}", source.trim_matches('/'));
    let Some(folder) = crate::discover::join(image.directory(), relative.trim_start_matches('/')) else { return false };
    let mut files = application.around.repository.tree().below(&folder);
    files.any(|path| !is_placeholder(crate::discover::file_name(path)))
}
