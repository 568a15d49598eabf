//! The Pod Security level of every workload, before a run and after it.

use crate::kubernetes::pod_security::{Level, Policy, Violation};
use crate::repository::{FileId, Repository};
use crate::source::Position;
use rayon::prelude::*;

/// One workload of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadLevel {
    /// The file, relative to the root, with `/`.
    pub path: String,
    /// Where in the file as it was before the run.
    pub position: Position,
    /// `Deployment/web`
    pub label: String,
    /// The strictest level that it satisfied.
    pub before: Level,
    /// The strictest level that it satisfies now.
    pub after: Level,
    /// What of the policy that was asked for it still does not satisfy.
    pub missing: Vec<Violation>,
}

/// The levels of a repository at one moment, held against one policy.
#[derive(Debug)]
pub struct Levels {
    policy: Policy,
    measured: Vec<Measured>,
}

#[derive(Debug)]
struct Measured {
    file: FileId,
    /// Index into the file's workloads.
    workload: usize,
    position: Position,
    level: Level,
}

impl Levels {
    /// Judges every workload as it is now, by the version of `policy`.
    pub fn measure(repository: &Repository, policy: Policy) -> Self {
        let manifests: Vec<_> = repository.manifests().collect();
        let measured = manifests.par_iter().flat_map_iter(|(file, manifest)| {
            let text = manifest.stream.text();
            let offsets: Vec<usize> =
                manifest.workloads.iter().map(|workload| workload.offset(&manifest.stream)).collect();
            let positions = Position::of_each(text, &offsets);
            manifest.workloads.iter().enumerate().zip(positions).map(|((index, workload), position)| Measured {
                file: *file,
                workload: index,
                position,
                level: workload.level(&manifest.stream, policy.version),
            })
        });
        Self { policy, measured: measured.collect() }
    }

    /// The same workloads after the run, in path and file order. No step adds or removes one.
    pub fn compare(&self, repository: &Repository) -> Vec<WorkloadLevel> {
        let compared = self.measured.par_iter().filter_map(|measured| {
            let file = repository.file(measured.file);
            let manifest = file.manifest()?;
            let workload = manifest.workloads.get(measured.workload)?;
            Some(WorkloadLevel {
                path: file.path.clone(),
                position: measured.position,
                label: workload.label(),
                before: measured.level,
                after: workload.level(&manifest.stream, self.policy.version),
                missing: workload.violations(&manifest.stream, self.policy),
            })
        });
        compared.collect()
    }
}
