//! The identity contract: one numeric uid and gid for everything that must agree.

use super::obstacles::soft;
use super::{Application, Arranged, ContainerFacts, ImageFacts, Obstacle, User};
use crate::error::SkipReason;
use crate::image::{ConfiguredUser, Family};
use crate::kubernetes::Settings;
use crate::link::Link;
use crate::repository::FileId;
use std::collections::BTreeSet;

/// A numeric user, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User id, never 0.
    pub uid: u32,
    /// Group id; `None` when only the user is known.
    pub gid: Option<u32>,
    /// How that is known, to be read after "uid N".
    pub how: String,
}

/// Who a container's process is, as far as the files tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EffectiveUser {
    /// Not root.
    Known(Identity),
    /// Root.
    Root {
        /// Who says so.
        how: String,
    },
    /// Started as root by the image, which steps down to this user on its own.
    StepsDown(Identity),
    /// Nothing tells.
    Unknown {
        /// What was looked at.
        how: String,
    },
}

/// The user that a manifest may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledUser {
    /// Who it is.
    pub identity: Identity,
    /// What speaks against it.
    pub obstacles: Vec<Obstacle>,
    /// Nobody says that the image works as this user; the first obstacle tells what is known instead.
    pub is_assumed: bool,
}

impl Identity {
    /// `1000:1000`, or `1000` without a known group: what `USER` takes.
    pub fn user_argument(&self) -> String {
        match self.gid {
            Some(gid) => format!("{}:{gid}", self.uid),
            None => self.uid.to_string(),
        }
    }
}

impl Application<'_> {
    /// The identity that the image is to run as, now that it runs as root or as a name: what all its containers already ask for, else the account
    /// the base brings, else the configured uid. Files are shared through group 0 wherever the image has a shell to arrange that.
    pub fn intended_identity(&self) -> Option<Identity> {
        let image = self.image.as_ref()?;
        if let User::Named { name, ids } = &image.user {
            let ids = (*ids)?;
            return Some(Identity { uid: ids.uid, gid: Some(ids.gid), how: format!("the number of user {name}") });
        }
        let has_shell = image.family.is_some_and(Family::has_shell);
        let asked: BTreeSet<u32> =
            self.containers.iter().filter_map(|container| asked_uid(container, "runAsUser")).collect();
        if let Some(uid) = asked.first()
            && asked.len() == 1
            && *uid != 0
        {
            // A group that every container asks for is kept; one that only some ask for leaves the others without the files of group 0.
            let gids: BTreeSet<Option<u32>> =
                self.containers.iter().map(|container| asked_uid(container, "runAsGroup")).collect();
            let agreed = gids.first().copied().flatten().filter(|_| gids.len() == 1);
            return Some(Identity {
                uid: *uid,
                gid: agreed.or(Some(0)),
                how: "runAsUser of its containers".to_owned(),
            });
        }
        let asked: BTreeSet<u32> = self.around.links.services(image.file).filter_map(|service| service.uid()).collect();
        if let (Some(uid), 1) = (asked.first(), asked.len()) {
            return Some(Identity { uid: *uid, gid: Some(0), how: "the user of its compose service".to_owned() });
        }
        if let Some((base, ids)) = image.served_by().and_then(|base| Some((base, base.service?))) {
            let how = format!("what the base {} steps down to", base.name);
            // Group 0 is given the directories that only root may write; where there are none, files may be meant for the server's own group.
            let gid = if base.root_owned.is_empty() { ids.gid } else { 0 };
            return Some(Identity { uid: ids.uid, gid: Some(gid), how });
        }
        if let Some(base) = image.known_base.filter(|base| base.steps_down_alone())
            && let Some(ids) = base.service
        {
            let how = format!("what the base {} steps down to", base.name);
            // Something else than the service is given the application's files through group 0.
            let gid = if image.service().is_some() { ids.gid } else { 0 };
            return Some(Identity { uid: ids.uid, gid: Some(gid), how });
        }
        if let Some(account) = image.known_base.and_then(|base| base.account.as_ref()) {
            // An account of a base with a shell keeps its uid and home; group 0 is what gives it the application's files.
            let gid = if has_shell { 0 } else { account.gid };
            return Some(Identity {
                uid: account.uid,
                gid: Some(gid),
                how: format!("user {} of {}", account.name, image.base_text),
            });
        }
        Some(Identity { uid: self.around.config.uid(), gid: Some(0), how: "the configured uid".to_owned() })
    }

    /// A container that asks for another user than the image would end with: one of the two would be wrong, and only its author knows which.
    pub fn contradiction(&self, identity: &Identity) -> Option<String> {
        self.containers.iter().find_map(|container| {
            let asked = asked_uid(container, "runAsUser").filter(|uid| *uid != 0 && *uid != identity.uid)?;
            let Identity { uid, how, .. } = identity;
            Some(format!("{} says runAsUser: {asked}, and the image would say {uid} ({how})", container.place()))
        })
    }

    /// The user that a manifest may ask for, with what speaks against it, or why none is settled; judged as if `arranged` were done already.
    ///
    /// # Errors
    /// The code and one line, where the process is or may be root.
    pub fn settled_user(
        &self,
        container: &ContainerFacts<'_>,
        arranged: Arranged<'_>,
    ) -> Result<SettledUser, (SkipReason, String)> {
        // What breaks a process that is no longer root does not matter to one that never was.
        let of_settings = |obstacle: &&Obstacle| {
            matches!(
                obstacle.reason,
                SkipReason::NeedsRoot | SkipReason::AuthorChoice | SkipReason::LowPort | SkipReason::WindowsPod
            )
        };
        let mut obstacles: Vec<Obstacle> = self.obstacles().to_vec();
        obstacles.retain(|obstacle| obstacle.reason != SkipReason::LowPort || !arranged.low_ports);
        let assigned = container.settings() == Settings::UserAssigned;
        let settled = |identity, obstacles| SettledUser { identity, obstacles, is_assumed: false };
        let user = self.user_once(container, arranged);
        if let Some((identity, doubt)) = self.assumed_user(container, &user) {
            if obstacles.iter().any(|obstacle| obstacle.reason == SkipReason::LowPort) {
                let other = |obstacle: &Obstacle| obstacle.hard && obstacle.reason != SkipReason::LowPort;
                let told = obstacles.into_iter().find(other).unwrap_or(doubt);
                return Err((told.reason, told.detail));
            }
            obstacles.insert(0, doubt);
            return Ok(SettledUser { identity, obstacles, is_assumed: true });
        }
        match user {
            // Nothing is written down, so where the platform assigns none the image alone must do; a number in its Dockerfile does.
            EffectiveUser::Known(_) | EffectiveUser::StepsDown(_)
                if assigned && self.image.is_none() && container.security("runAsUser").is_none() =>
            {
                let kind = &container.workload.kind;
                Err((
                    SkipReason::UnknownUser,
                    format!("the platform may assign a {kind} another user than the image's"),
                ))
            }
            EffectiveUser::Known(identity) => {
                Ok(settled(identity, obstacles.iter().filter(of_settings).cloned().collect()))
            }
            EffectiveUser::StepsDown(identity) => {
                if let Some(refusal) = self.unfit_mount(container) {
                    return Err((SkipReason::VolumeOwnership, refusal));
                }
                obstacles.extend(self.own_configuration(container));
                Ok(settled(identity, obstacles))
            }
            EffectiveUser::Root { how } => {
                // Its port and directories could be arranged for, and this not.
                let own = container
                    .known
                    .filter(|known| known.service.is_some() && container.security("runAsUser").is_none());
                if let Some(obstacle) =
                    own.and_then(|_| self.own_configuration(container)).filter(|obstacle| obstacle.hard)
                {
                    return Err((obstacle.reason, format!("runs as root: {}", obstacle.detail)));
                }
                // Its port is not what keeps an image root of which no other user is known.
                let matters = |obstacle: &Obstacle| match obstacle.reason {
                    SkipReason::UnknownStack => false,
                    SkipReason::LowPort => container.config.is_none(),
                    _ => true,
                };
                // Nor is it told of where something else is in the way, for then a step arranges for the port in vain.
                let is_low_port = |obstacle: &Obstacle| obstacle.reason == SkipReason::LowPort;
                let (ports, others): (Vec<Obstacle>, Vec<Obstacle>) =
                    obstacles.into_iter().filter(matters).partition(is_low_port);
                match others.into_iter().chain(ports).next() {
                    Some(obstacle) => Err((obstacle.reason, format!("runs as root: {}", obstacle.detail))),
                    None if self.image.is_some() => Err((
                        SkipReason::DependsOnSkipped,
                        format!("runs as root ({how}), and the user was not switched"),
                    )),
                    None => {
                        let unknown = (SkipReason::UnknownUser, "no other user is known to work".to_owned());
                        let (reason, detail) = container.stays_root(arranged).unwrap_or(unknown);
                        Err((reason, format!("{how} runs as root and {detail}")))
                    }
                }
            }
            EffectiveUser::Unknown { how } => Err(self.unknown_user(container, &how)),
        }
    }

    /// Who is tried on the user's word where nothing tells of somebody who works, `user` being who it is today; and that this is so. Nobody is where the
    /// image is known to need root, has a user of its own that is only a name, keeps data where only root may write, or gets one from the platform.
    pub fn assumed_user(&self, container: &ContainerFacts<'_>, user: &EffectiveUser) -> Option<(Identity, Obstacle)> {
        let is_asked_for = container.security("runAsUser").is_some();
        let works_on_node = || self.works_on_node(container).is_some();
        if self.image.is_some()
            || is_asked_for
            || container.settings() == Settings::UserAssigned
            || container.container.image.is_empty()
            || works_on_node()
        {
            return None;
        }
        let uid = self.around.config.uid();
        let mut identity = Identity { uid, gid: Some(0), how: "the configured uid, on trial".to_owned() };
        let (reason, detail) = match user {
            EffectiveUser::Unknown { how } => {
                if self.looks_like_service(container) {
                    return None;
                }
                if let Link::Ambiguous(candidates) = container.link {
                    // Before the images have their users nobody can say whether it needs its privileges.
                    if !container.manifest.forbidden_settings(container.id.workload, container.id.container).is_empty()
                    {
                        return None;
                    }
                    identity = self.common_user(candidates)?;
                } else if container.config.is_some() {
                    return None;
                } else if let Some(user) = self.user_beside(container) {
                    identity = user;
                }
                self.unknown_user(container, how)
            }
            EffectiveUser::Root { how } => {
                if container.known.is_some_and(|known| known.service.is_some() || !known.needs.is_empty())
                    || container.volume_of_root().is_some()
                {
                    return None;
                }
                if let Some(user) = self.user_beside(container) {
                    identity = user;
                } else if let Some(account) = container.known.and_then(|known| known.account.as_ref()) {
                    identity =
                        Identity { uid: account.uid, how: format!("user {}, on trial", account.name), ..identity };
                }
                (SkipReason::UnknownUser, format!("{how} runs as root and no other user is known to work"))
            }
            EffectiveUser::Known(_) | EffectiveUser::StepsDown(_) => return None,
        };
        Some((identity, soft(reason, detail)))
    }

    /// The user of all these Dockerfiles' images, where it is one.
    fn common_user(&self, dockerfiles: &[FileId]) -> Option<Identity> {
        let numeric = |file: &FileId| match ImageFacts::new(self.around, *file)?.user {
            User::Numeric { uid, gid } => Some((uid, gid)),
            User::Root | User::Named { .. } | User::Unknown { .. } => None,
        };
        let users: Option<BTreeSet<(u32, Option<u32>)>> = dockerfiles.iter().map(numeric).collect();
        let users = users?;
        let (uid, gid) = users.first().copied().filter(|_| users.len() == 1)?;
        Some(Identity { uid, gid, how: "the user of every image that it may run".to_owned() })
    }

    /// Why nobody can say who the process is, and what a person could do about it. `how` is what was looked at.
    pub fn unknown_user(&self, container: &ContainerFacts<'_>, how: &str) -> (SkipReason, String) {
        match container.link {
            Link::Ambiguous(candidates) => {
                let paths: Vec<_> =
                    candidates.iter().map(|id| self.around.repository.file(*id).path.as_str()).collect();
                let detail = format!("may be built from {}; say so with a [[link]] in unroot.toml", paths.join(" or "));
                (SkipReason::AmbiguousLink, detail)
            }
            Link::Linked { .. } | Link::Service { .. } | Link::External => {
                (SkipReason::UnknownUser, format!("{how}; set runAsUser, or name the user by number"))
            }
        }
    }

    /// Who the process of one of the containers is.
    pub fn effective_user(&self, container: &ContainerFacts<'_>) -> EffectiveUser {
        self.user_once(container, Arranged::default())
    }

    /// Who it is once `arranged` is done.
    fn user_once(&self, container: &ContainerFacts<'_>, arranged: Arranged<'_>) -> EffectiveUser {
        let gid = asked_uid(container, "runAsGroup");
        match asked_uid(container, "runAsUser") {
            Some(0) => EffectiveUser::Root { how: format!("runAsUser: 0 at {}", container.place()) },
            Some(uid) => {
                let from_image = match self.image.as_ref().map(|image| &image.user) {
                    Some(User::Numeric { uid: image_uid, gid }) if *image_uid == uid => *gid,
                    _ => known_ids(container).filter(|ids| ids.uid == uid).map(|ids| ids.gid),
                };
                EffectiveUser::Known(Identity {
                    uid,
                    gid: gid.or(from_image),
                    how: format!("runAsUser at {}", container.place()),
                })
            }
            None => self.user_of_image(container, gid, arranged),
        }
    }

    /// Who it would be, once `arranged` is done, if the manifest asked for no user.
    pub fn user_without_settings(&self, container: &ContainerFacts<'_>, arranged: Arranged<'_>) -> EffectiveUser {
        self.user_of_image(container, asked_uid(container, "runAsGroup"), arranged)
    }

    fn user_of_image(&self, container: &ContainerFacts<'_>, gid: Option<u32>, arranged: Arranged<'_>) -> EffectiveUser {
        match &self.image {
            Some(image) => match &image.user {
                User::Numeric { uid, gid: image_gid } => {
                    EffectiveUser::Known(Identity { uid: *uid, gid: gid.or(*image_gid), how: image.user_how() })
                }
                User::Root => EffectiveUser::Root { how: image.user_how() },
                User::Named { name, .. } => {
                    EffectiveUser::Unknown { how: format!("{}, a name without a number: {name}", image.user_how()) }
                }
                User::Unknown { how } => EffectiveUser::Unknown { how: how.clone() },
            },
            None => match container.known {
                Some(known) => {
                    if let Some(ids) = known.user {
                        EffectiveUser::Known(Identity {
                            uid: ids.uid,
                            gid: gid.or(Some(ids.gid)),
                            how: format!("the image {}", known.name),
                        })
                    } else if let Some(ids) = known.service
                        && container.stays_root(arranged).is_none()
                    {
                        EffectiveUser::StepsDown(Identity {
                            uid: ids.uid,
                            gid: gid.or(Some(ids.gid)),
                            how: format!("what the image {} steps down to", known.name),
                        })
                    } else {
                        EffectiveUser::Root { how: format!("the image {}", known.name) }
                    }
                }
                None => self.configured_user(container, gid),
            },
        }
    }

    /// Who the registry says an image runs as that nothing else tells of. The kubelet reads the user of an image in the same way, but drops its group.
    fn configured_user(&self, container: &ContainerFacts<'_>, gid: Option<u32>) -> EffectiveUser {
        let image = printable(&container.container.image);
        let Some(config) = container.config else {
            let answer = container.asks_registry(self.around).and_then(|reference| self.around.configs.get(reference));
            let why = match answer {
                Some(Err((SkipReason::Offline, _))) => ", and its registry was not asked (--offline)".to_owned(),
                Some(Err((_, message))) => format!(": {message}"),
                Some(Ok(_)) | None => String::new(),
            };
            return EffectiveUser::Unknown { how: format!("nothing is known of the image {image}{why}") };
        };
        match config.user() {
            ConfiguredUser::Root => match container.image_steps_down() {
                Some(program) => EffectiveUser::Unknown {
                    how: format!(
                        "as its registry says, the image {image} starts as root, and {program} makes it another user"
                    ),
                },
                None => EffectiveUser::Root { how: format!("as its registry says, the image {image}") },
            },
            ConfiguredUser::Numeric { uid, gid: image_gid } => EffectiveUser::Known(Identity {
                uid,
                gid: gid.or(image_gid),
                how: format!("the user of the image {image}, as its registry says"),
            }),
            ConfiguredUser::Named(name) => EffectiveUser::Unknown {
                how: format!("user `{}` of the image {image} is a name without a known number", printable(name)),
            },
        }
    }
}

fn known_ids(container: &ContainerFacts<'_>) -> Option<crate::image::Ids> {
    container.known.and_then(|known| known.user.or(known.service))
}

fn asked_uid(container: &ContainerFacts<'_>, key: &str) -> Option<u32> {
    container.security(key)?.as_i64().and_then(|value| u32::try_from(value).ok())
}

/// Text of a file on its way into a message.
pub(crate) fn printable(text: &str) -> String {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\'' | b'\\');
    if text.bytes().all(is_plain) { text.to_owned() } else { text.escape_debug().to_string() }
}
