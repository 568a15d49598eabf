//! Which setting is to blame, where no words tell: the workload runs again with one thing put back as it was.

use super::Case;
use crate::prove::Result;
use crate::prove::judge::Trouble;
use crate::prove::objects::{Container, SecurityContext, Workload};

/// One thing that hardening changes. What is put back is put back for all containers of the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Factor {
    ReadOnlyRoot,
    User,
    Groups,
    Sysctls,
    Capabilities,
    Token,
    NoNewPrivileges,
    Seccomp,
    Mounts,
    Image,
    Command,
}

/// In the order in which they are to blame most often.
const ALL: [Factor; 11] = [
    Factor::ReadOnlyRoot,
    Factor::User,
    Factor::Groups,
    Factor::Sysctls,
    Factor::Capabilities,
    Factor::Token,
    Factor::NoNewPrivileges,
    Factor::Seccomp,
    Factor::Mounts,
    Factor::Image,
    Factor::Command,
];

impl Factor {
    /// Puts it back, as far as it differs. A user is put back by number, because the image may name another one now.
    pub(super) fn put_back(self, workload: &mut Workload, case: &Case<'_>) {
        let former = case.former;
        let names_user = names_user(workload);
        let (pod, was) = (&mut workload.pod, &former.pod);
        match self {
            Self::User => {
                pod.security_context.run_as_user = was.security_context.run_as_user;
                pod.security_context.run_as_group = was.security_context.run_as_group;
                pod.security_context.run_as_non_root = was.security_context.run_as_non_root;
            }
            Self::Groups => {
                pod.security_context.fs_group = was.security_context.fs_group;
                pod.security_context.supplemental_groups.clone_from(&was.security_context.supplemental_groups);
            }
            Self::Sysctls => pod.security_context.sysctls.clone_from(&was.security_context.sysctls),
            Self::Seccomp => pod.security_context.seccomp_profile.clone_from(&was.security_context.seccomp_profile),
            Self::Token => pod.automount_service_account_token = was.automount_service_account_token,
            Self::Mounts => pod.volumes.clone_from(&was.volumes),
            // The image of before comes with the user of before, which a node might refuse.
            Self::Image if !names_user => {
                pod.security_context.run_as_non_root = was.security_context.run_as_non_root;
            }
            _ => {}
        }
        let name = workload.name.clone();
        for container in workload.all_containers() {
            let mut formers = former.pod.containers.iter().chain(&former.pod.init_containers);
            let Some(was) = formers.find(|was| was.name == container.name) else { continue };
            let (own, owned) = (&mut container.security_context, &was.security_context);
            match self {
                Self::ReadOnlyRoot => own.read_only_root_filesystem = owned.read_only_root_filesystem,
                Self::User => {
                    *own = SecurityContext {
                        run_as_user: owned.run_as_user,
                        run_as_group: owned.run_as_group,
                        run_as_non_root: owned.run_as_non_root,
                        ..own.clone()
                    };
                    if was.built != container.built || was.image != container.image {
                        let label = format!("{name}/{}", container.name);
                        let before = case.original.iter().find(|settings| settings.container == label);
                        let identity = before.map(|settings| &settings.config.identity);
                        own.run_as_user = own.run_as_user.or(identity.map(|identity| identity.uid));
                        own.run_as_group = own.run_as_group.or(identity.map(|identity| identity.gid));
                    }
                }
                Self::Capabilities => {
                    own.capabilities.clone_from(&owned.capabilities);
                    own.privileged = owned.privileged;
                }
                Self::NoNewPrivileges => own.allow_privilege_escalation = owned.allow_privilege_escalation,
                Self::Seccomp => own.seccomp_profile.clone_from(&owned.seccomp_profile),
                Self::Mounts => container.volume_mounts.clone_from(&was.volume_mounts),
                Self::Image => {
                    container.image.clone_from(&was.image);
                    container.built.clone_from(&was.built);
                    if !names_user {
                        own.run_as_non_root = owned.run_as_non_root;
                    }
                }
                Self::Command => {
                    *container = Container {
                        image: container.image.clone(),
                        built: container.built.clone(),
                        volume_mounts: container.volume_mounts.clone(),
                        security_context: container.security_context.clone(),
                        ..was.clone()
                    };
                }
                Self::Groups | Self::Sysctls | Self::Token => {}
            }
        }
    }

    fn differs(self, case: &Case<'_>) -> bool {
        let mut other = case.workload.clone();
        self.put_back(&mut other, case);
        let text = |workload: &Workload| serde_json::to_string(workload).ok();
        // What was built is not written out.
        let built =
            |workload: &mut Workload| workload.all_containers().map(|one| one.built.clone()).collect::<Vec<_>>();
        text(&other) != text(case.workload) || built(&mut other) != built(&mut case.workload.clone())
    }
}

/// The factors whose return makes it hold: one, or as few as are found by leaving one after the other. None where nothing differs.
///
/// # Errors
/// What the machine could not do.
pub(super) fn find(case: &Case<'_>, holds_with: &mut dyn FnMut(&Workload) -> Result<bool>) -> Result<Vec<Factor>> {
    let mut differing: Vec<Factor> = ALL.into_iter().filter(|factor| factor.differs(case)).collect();
    // A wrong answer, and silence, come from what is in the image more often than from what is forbidden to it.
    if case.answers_otherwise() || matches!(case.breakdown.trouble, Trouble::Probe | Trouble::Silent { .. }) {
        let apart = names_user(case.workload);
        differing.sort_by_key(|factor| match factor {
            Factor::User if !apart => 0,
            Factor::Image | Factor::Command => 1,
            _ => 2,
        });
    }
    if differing.len() < 2 {
        return Ok(differing);
    }
    let mut holds = |factors: &[Factor]| {
        let mut workload = case.workload.clone();
        for factor in factors {
            factor.put_back(&mut workload, case);
        }
        holds_with(&workload)
    };
    for factor in &differing {
        if holds(&[*factor])? {
            return Ok(vec![*factor]);
        }
    }
    let mut kept = differing.clone();
    for factor in differing.iter().rev() {
        let without: Vec<Factor> = kept.iter().copied().filter(|other| other != factor).collect();
        // One alone was tried.
        if without.len() > 1 && holds(&without)? {
            kept = without;
        }
    }
    Ok(kept)
}

/// Whether the manifest says who its containers run as, and not their images.
fn names_user(workload: &Workload) -> bool {
    let containers = workload.pod.containers.iter().chain(&workload.pod.init_containers);
    workload.pod.security_context.run_as_user.is_some()
        || containers.into_iter().any(|container| container.security_context.run_as_user.is_some())
}
