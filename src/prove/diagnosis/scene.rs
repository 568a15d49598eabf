//! The container that fails, seen from all sides: its settings as found and hardened, and its manifest.

use super::Case;
use crate::prove::field::FieldPath;
use crate::prove::judge::{Settings, Trouble};
use crate::prove::kubelet::{ContainerConfig, Mount, Source};
use crate::prove::objects::{Container, Volume};
use std::collections::{BTreeMap, BTreeSet};

/// Where everybody may write, in an image that is like others.
const FOR_ALL: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run/lock"];

/// Marks of what interpreters and package managers write down for later, and do without.
const CACHES: [&str; 7] = ["__pycache__", "/lib/python", "/.npm", "/.cache", "/.m2", "/.config", "hsperfdata_"];

/// What holds a volume of the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A disk that was claimed.
    Claim,
    /// A folder that comes and goes with the pod.
    EmptyDir,
    /// A folder of the node.
    HostPath,
    /// A ConfigMap or Secret.
    Data,
    /// Another one.
    Other,
}

/// One container that fails.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) case: &'a Case<'a>,
    /// As hardened.
    pub(super) container: &'a Container,
    /// As found.
    pub(super) former: Option<&'a Container>,
    /// What it ran under as found.
    pub(super) before: Option<&'a Settings>,
    /// What it ran under now, if it came to that.
    pub(super) after: Option<&'a Settings>,
}

impl<'a> Scene<'a> {
    /// The containers that may be to blame, the likeliest first: the one that the judge names, or those that differ from before.
    pub(super) fn all(case: &'a Case<'a>) -> Vec<Self> {
        let containers = || case.workload.pod.containers.iter().chain(&case.workload.pod.init_containers);
        let mut scenes: Vec<Self> = containers()
            .filter(|container| case.breakdown.container.as_ref().is_none_or(|name| *name == container.name))
            .map(|container| Self::new(case, container))
            .collect();
        scenes.sort_by_key(|scene| !scene.differs());
        scenes
    }

    fn new(case: &'a Case<'a>, container: &'a Container) -> Self {
        let former = case.former.pod.containers.iter().chain(&case.former.pod.init_containers);
        let name = format!("{}/{}", case.workload.name, container.name);
        let now = case.breakdown.settings.iter();
        Self {
            case,
            container,
            former: former.into_iter().find(|former| former.name == container.name),
            before: case.original.iter().find(|settings| settings.container == name),
            after: now
                .filter(|settings| case.breakdown.workload.is_none_or(|index| index == settings.workload))
                .find(|settings| settings.container == name),
        }
    }

    fn differs(&self) -> bool {
        let text = |container: &Container| serde_json::to_string(container).ok();
        self.image_changed() || self.former.and_then(text) != text(self.container)
    }

    /// Whether it runs another image than before.
    pub(super) fn image_changed(&self) -> bool {
        self.former.is_some_and(|former| former.built != self.container.built || former.image != self.container.image)
    }

    /// Whether its image comes from a Dockerfile of the tree.
    pub(super) fn is_built(&self) -> bool {
        self.container.built.is_some()
    }

    /// Whether it is one of those that come first.
    pub(super) fn is_init(&self) -> bool {
        self.case.workload.pod.init_containers.iter().any(|init| init.name == self.container.name)
    }

    pub(super) fn config(&self) -> Option<&'a ContainerConfig> {
        self.after.map(|settings| &settings.config)
    }

    /// The user now, and the one as found: the one that it came to be, where it stepped down from root.
    pub(super) fn users(&self) -> (Option<u32>, Option<u32>) {
        let former = self.before.map(|before| match &before.seen {
            Some(seen) if before.config.identity.uid == 0 => seen.uid,
            _ => before.config.identity.uid,
        });
        (self.config().map(|config| config.identity.uid), former)
    }

    /// The user that it ran as before, where that is another one and not root.
    pub(super) fn user_of_its_own(&self) -> Option<u32> {
        let (now, former) = self.users();
        former.filter(|former| *former != 0 && Some(*former) != now)
    }

    /// The group that may be given a volume: its own, or that with the user's number where its own is root's.
    pub(super) fn group(&self) -> u32 {
        match self.config().map(|config| &config.identity) {
            Some(identity) if identity.gid != 0 => identity.gid,
            Some(identity) => identity.uid,
            None => 0,
        }
    }

    /// A path as the program sees it.
    pub(super) fn absolute(&self, path: &str) -> String {
        let folder = self.config().map_or("/", |config| config.working_dir.as_str());
        let whole = if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") };
        let mut parts: Vec<&str> = Vec::new();
        for part in whole.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }

    /// The innermost mount that a path lies in.
    pub(super) fn mount(&self, path: &str) -> Option<&'a Mount> {
        let mounts = self.config()?.mounts.iter().filter(|mount| is_below(path, &mount.destination));
        mounts.max_by_key(|mount| mount.destination.len())
    }

    /// The same as found.
    pub(super) fn former_mount(&self, path: &str) -> Option<&'a Mount> {
        self.before?.config.mounts.iter().find(|mount| is_below(path, &mount.destination))
    }

    /// What holds the volume of this name.
    pub(super) fn holder(&self, name: &str) -> Holder {
        let holder = |volume: &Volume| match volume {
            Volume { persistent_volume_claim: Some(_), .. } => Holder::Claim,
            Volume { empty_dir: Some(_), .. } => Holder::EmptyDir,
            Volume { host_path: Some(_), .. } => Holder::HostPath,
            volume if volume.is_read_only() => Holder::Data,
            _ => Holder::Other,
        };
        match self.case.workload.pod.volumes.iter().find(|volume| volume.name == name) {
            Some(volume) => holder(volume),
            None => Holder::Claim,
        }
    }

    /// Its writable mounts of claims.
    pub(super) fn claims(&self) -> impl Iterator<Item = &'a Mount> {
        let mounts = self.config().into_iter().flat_map(|config| &config.mounts);
        let scene = *self;
        mounts.filter(move |mount| match &mount.source {
            Source::Volume { name, .. } => !mount.read_only && scene.holder(name) == Holder::Claim,
            _ => false,
        })
    }

    /// The folders of the image in which it wrote as found and does not now, without what it can do without. `by_all` takes away those where
    /// every user may write.
    pub(super) fn lost(&self, by_all: bool) -> Vec<String> {
        let none = BTreeSet::new();
        let now = self.after.map_or(&none, |after| &after.writes);
        let writes = self.before.iter().flat_map(|before| &before.writes).filter(|folder| {
            let cached = CACHES.iter().any(|mark| folder.contains(mark));
            let open = by_all && FOR_ALL.iter().any(|open| is_below(folder, open));
            !cached && !open && self.mount(folder).is_none() && (!by_all || !now.contains(*folder))
        });
        outermost(writes)
    }

    /// Whether an empty volume at this place would hide the program or its configuration: by what was seen to lie there, or by its name.
    pub(super) fn hides(&self, folder: &str) -> bool {
        let Some(config) = self.config() else { return false };
        let seen = self.before.and_then(|before| before.changes.get(folder)?.holds.as_ref());
        let bare = ["/run", "/var/run", "/tmp", "/var/tmp", "/var/cache", "/var/log"].contains(&folder);
        if let Some(held) = seen.filter(|_| !bare) {
            return !held.is_empty();
        }
        let system = ["/", "/app", "/bin", "/etc", "/lib", "/opt", "/root", "/sbin", "/srv", "/usr", "/var"];
        system.contains(&folder)
            || ["/etc", "/usr", "/bin", "/lib"].iter().any(|place| is_below(folder, place))
            || is_below(&config.working_dir, folder) && config.working_dir != "/"
            || config.arguments.iter().any(|word| word.starts_with('/') && is_below(word, folder))
    }

    /// The ports below 1024 that it names, or that somebody asked for.
    pub(super) fn low_port(&self) -> Option<u16> {
        let declared = self.container.ports.iter().map(|port| port.container_port);
        let asked = match self.case.breakdown.trouble {
            Trouble::Silent { port } => Some(port),
            _ => None,
        };
        declared.chain(asked).find(|port| *port < 1024)
    }

    /// Names of the image's variables that have another value than before, or none.
    pub(super) fn changed_variables(&self) -> Vec<String> {
        let (Some(before), Some(after)) = (self.before, self.after) else { return Vec::new() };
        let table = |settings: &'a Settings| -> BTreeMap<&'a str, &'a str> {
            settings.config.env.iter().filter_map(|line| line.split_once('=')).collect()
        };
        let now = table(after);
        let changed = table(before).into_iter().filter(|(name, value)| now.get(name) != Some(value));
        // The addresses of Services are others in every run.
        let is_link = |name: &str| {
            name.ends_with("_SERVICE_HOST")
                || name.ends_with("_PORT")
                || name.contains("_PORT_")
                || name.contains("_SERVICE_PORT")
        };
        let is_own = |name: &&str| *name != "HOSTNAME" && *name != "HOME" && !is_link(name);
        changed.map(|(name, _)| name).filter(is_own).map(str::to_owned).collect()
    }

    /// A setting of the pod's spec.
    pub(super) fn pod_field(&self, keys: &str) -> FieldPath {
        FieldPath::pod(self.case.workload).keys(keys)
    }

    /// A setting of the container.
    pub(super) fn field(&self, keys: &str) -> FieldPath {
        FieldPath::container(self.case.workload, &self.container.name).keys(keys)
    }

    /// runAsUser, which stands for the container or for its pod: where it is written now, or else at the container.
    pub(super) fn run_as_user(&self) -> FieldPath {
        let pod = &self.case.workload.pod;
        let of_pod = pod.security_context.run_as_user.or(pod.security_context.run_as_group).is_some();
        let of_container = self.container.security_context.run_as_user.is_some();
        let is_alone = pod.containers.len() + pod.init_containers.len() == 1;
        match of_pod && !of_container && is_alone {
            true => self.pod_field("securityContext.runAsUser"),
            false => self.field("securityContext.runAsUser"),
        }
    }
}

/// Whether a path is this folder or lies below it.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    let same = |path: &str, folder: &str| {
        path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // In every base that is in use, one is a link to the other.
    let plain = |path: &str| match path.strip_prefix("/var/run") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("/run{rest}"),
        _ => path.to_owned(),
    };
    same(&plain(path), &plain(folder))
}

/// Without what lies below another.
pub(super) fn outermost<'s>(folders: impl Iterator<Item = &'s String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for folder in folders {
        if !kept.iter().any(|outer| is_below(folder, outer)) {
            kept.retain(|inner| !is_below(inner, folder));
            kept.push(folder.clone());
        }
    }
    kept
}
