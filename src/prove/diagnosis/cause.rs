//! From a symptom, or from what was found by trying, to the cause and to what must change.

use super::experiment::Factor;
use super::scene::{Holder, Scene, is_below, outermost};
use super::words::{Missing, Privileged, Symptom};
use super::{Finding, Result};
use crate::kubernetes::UNPRIVILEGED_PORT_START;
use crate::prove::field::FieldPath;
use crate::prove::judge::Trouble;
use crate::prove::kubelet::{Mount, Source};
use crate::prove::objects::{NameValue, Workload};
use crate::prove::proof::Cause;

/// Runs the cluster with another workload, and tells whether it holds.
type Holds<'h> = &'h mut dyn FnMut(&Workload) -> Result<bool>;

/// A node's refusal.
pub(super) fn refused(scene: &Scene<'_>) -> Option<Finding> {
    let reason = &scene.case.breakdown.reason;
    let user = scene.run_as_user();
    let own = scene.user_of_its_own();
    let words = scene.container.command.iter().chain(&scene.container.args).flatten();
    let gives_away = words.into_iter().any(|word| word.contains("chown") || word.contains("chmod"));
    if gives_away && scene.is_init() && !reason.contains("non-numeric user") {
        let field = scene.field("securityContext.runAsNonRoot");
        let group = scene.pod_field("securityContext.fsGroup");
        let remedy = format!(
            "set `{field}` to false, because only root can do what it does, or leave it out and set `{group}`, which gives the volumes to a group"
        );
        return Some(Finding::new(Cause::NonRootUnproved, "", remedy).at(field));
    }
    let finding = |cause: Cause, remedy: String| Some(Finding::new(cause, "", remedy).at(user.clone()));
    if reason.contains("non-numeric user") {
        let remedy = match own {
            Some(uid) => {
                format!("set `{user}` to {uid}, the number of the image's user, or write that number at `USER`")
            }
            None => format!("set `{user}` to the number of the image's user, or write that number at `USER`"),
        };
        return finding(Cause::NonRootUnproved, remedy);
    }
    if reason.contains("will run as root") || reason.contains("breaks non-root policy") {
        let remedy = match own {
            Some(uid) => format!("set `{user}` to {uid}, the user that it steps down to"),
            None if scene.is_built() => {
                format!("set `{user}` to a number other than 0, or end the image's Dockerfile on `USER` with one")
            }
            None => format!("set `{user}` to a number other than 0 that the image is made for"),
        };
        return finding(Cause::NonRootUnproved, remedy);
    }
    if reason.contains("no matching entries in passwd") {
        let remedy = format!("set `{user}` to a number, or add the account in the image's Dockerfile");
        return finding(Cause::Account, remedy);
    }
    None
}

/// What a symptom means under the container's settings; nothing where these do not explain it.
pub(super) fn of_symptom(scene: &Scene<'_>, symptom: &Symptom, holds: Holds<'_>) -> Result<Option<Finding>> {
    let Some(config) = scene.config() else { return Ok(None) };
    let root = config.identity.uid == 0;
    Ok(match symptom {
        Symptom::Platform => Some(platform(scene)),
        Symptom::Account => Some(account(scene, "the program looks for its user among the accounts, in vain")),
        Symptom::Token => token(scene),
        Symptom::NoNewPrivileges => config.no_new_privileges.then(|| no_new_privileges(scene)),
        Symptom::Bind(port) if !root || !config.capabilities.contains("NET_BIND_SERVICE") => {
            Some(low_port(scene, port.or_else(|| scene.low_port())))
        }
        Symptom::Bind(_) => None,
        Symptom::ReadOnly(path) => read_only(scene, path.as_deref()),
        Symptom::Denied(Some(path)) => denied(scene, path, holds)?,
        Symptom::Denied(None) | Symptom::Unwritable => nameless(scene, holds)?,
        Symptom::NotPermitted { .. } if root => capabilities(scene, symptom, holds)?,
        Symptom::NotPermitted { call, path, .. } => not_permitted(scene, *call, path.as_deref()),
        Symptom::Missing(kind, name) => missing(scene, *kind, name),
    })
}

fn platform(scene: &Scene<'_>) -> Finding {
    let finding = |remedy: String| Finding::new(Cause::Platform, "the program is one of another platform", remedy);
    if scene.is_built() {
        let from =
            "in the Dockerfile, pin `FROM` to the digest of the image's index, or to that of the node's platform";
        return finding(from.to_owned());
    }
    let image = scene.field("image");
    finding(format!("pin `{image}` to the digest of its index, or to that of the node's platform")).at(image)
}

fn account(scene: &Scene<'_>, failure: &str) -> Finding {
    let user = scene.run_as_user();
    let finding = |remedy: String| Finding::new(Cause::Account, failure, remedy);
    match scene.user_of_its_own() {
        Some(uid) => finding(format!("set `{user}` to {uid}, the user that the image is made for")).at(user),
        None if scene.is_built() => {
            let uid = scene.users().0.unwrap_or_default();
            finding(format!(
                "in the Dockerfile, add an account with the number {uid}, such as by `RUN useradd --uid {uid} app`"
            ))
        }
        None => finding(format!("set `{user}` to a number of the image's /etc/passwd")).at(user),
    }
}

fn token(scene: &Scene<'_>) -> Option<Finding> {
    let withheld = scene.case.workload.pod.automount_service_account_token == Some(false);
    let field = scene.pod_field("automountServiceAccountToken");
    let remedy = format!("set `{field}` to true: it uses the token");
    withheld.then(|| Finding::new(Cause::Token, "the service account's token is not there", remedy).at(field))
}

fn no_new_privileges(scene: &Scene<'_>) -> Finding {
    let field = scene.field("securityContext.allowPrivilegeEscalation");
    let remedy = format!("start without sudo, su and the like, or set `{field}` to true");
    Finding::new(Cause::NoNewPrivileges, "a program may not gain the privileges that it is to gain", remedy).at(field)
}

fn low_port(scene: &Scene<'_>, port: Option<u16>) -> Finding {
    let failure = match port {
        Some(port) => format!("port {port} is below 1024"),
        None => "it listens at a port below 1024".to_owned(),
    };
    let config = scene.config();
    let sysctls = scene.pod_field("securityContext.sysctls");
    let mut remedy = format!(
        "add `{{name: {UNPRIVILEGED_PORT_START}, value: \"0\"}}` to `{sysctls}`, or let it listen at 1024 or above"
    );
    let asked = scene.container.security_context.capabilities.add.iter().any(|name| name.contains("NET_BIND_SERVICE"));
    if asked && config.is_some_and(|config| config.identity.uid != 0) {
        remedy.push_str(" (NET_BIND_SERVICE is of use to root alone)");
    }
    Finding::new(Cause::LowPort, failure, remedy).at(sysctls)
}

fn read_only(scene: &Scene<'_>, path: Option<&str>) -> Option<Finding> {
    let config = scene.config()?;
    let path = path.map(|path| scene.absolute(path) + if path.ends_with('/') { "/" } else { "" });
    if let Some((path, mount)) = path.as_ref().and_then(|path| Some((path, scene.mount(path)?))) {
        let was = scene.former_mount(path).is_some_and(|former| former.read_only);
        let field = scene.field("volumeMounts").item(&mount.destination).keys("readOnly");
        let remedy = format!("set `{field}` to false: it writes there");
        return (mount.read_only && !was).then(|| {
            let failure = format!("{path} cannot be written, its volume is read-only");
            Finding::new(Cause::ReadOnlyRoot, failure, remedy).unwritable([mount.destination.clone()]).at(field)
        });
    }
    if !config.read_only_root {
        return None;
    }
    let failure = match &path {
        Some(path) => format!("{} cannot be written, the root is read-only", path.trim_end_matches('/')),
        None => "it writes, and the root is read-only".to_owned(),
    };
    let lost = scene.lost(false);
    let Some(first) = path.map(|path| parent(&path)) else { return Some(volumes_for(scene, failure, &lost)) };
    // A volume at the folder itself hides less than one further out.
    let others = lost.into_iter().filter(|folder| !is_below(&first, folder) && !is_below(folder, &first));
    let folders: Vec<String> = [first.clone()].into_iter().chain(others).collect();
    Some(volumes_for(scene, failure, &folders))
}

/// Volumes for what is written, where they hide nothing.
fn volumes_for(scene: &Scene<'_>, failure: String, folders: &[String]) -> Finding {
    let folders = outermost_first(folders);
    let switch = scene.field("securityContext.readOnlyRootFilesystem");
    let (hidden, free): (Vec<String>, Vec<String>) = folders.iter().cloned().partition(|folder| scene.hides(folder));
    // What an entrypoint wants to change in its configuration, it mostly does without.
    let hidden: Vec<String> = match folders.first() {
        Some(first) => hidden.into_iter().filter(|folder| folder == first || !folder.starts_with("/etc")).collect(),
        None => hidden,
    };
    let mounts = scene.field("volumeMounts");
    let remedy = match (free.as_slice(), hidden.as_slice()) {
        ([], []) => format!("set `{switch}` to false: where it writes was not seen"),
        (free, []) => format!("mount an emptyDir at {} (`{mounts}`)", and(free)),
        ([], hidden) => {
            format!(
                "set `{switch}` to false, or let it write elsewhere than to {} and mount a volume there: here it would hide what the image has",
                and(hidden)
            )
        }
        (free, hidden) => format!(
            "mount an emptyDir at {} (`{mounts}`) and let it write elsewhere than to {}, where one would hide what the image has; or set `{switch}` to false",
            and(free),
            and(hidden)
        ),
    };
    let field = if free.is_empty() { switch } else { mounts };
    Finding::new(Cause::ReadOnlyRoot, failure, remedy).unwritable(folders).at(field)
}

/// A file that the user may not write, or not even read.
fn denied(scene: &Scene<'_>, path: &str, holds: Holds<'_>) -> Result<Option<Finding>> {
    let root = scene.config().is_none_or(|config| config.identity.uid == 0);
    if root {
        let symptom = Symptom::Denied(Some(path.to_owned()));
        return capabilities(scene, &symptom, holds);
    }
    let absolute = scene.absolute(path);
    let failure = format!("no permission at {absolute}");
    Ok(match scene.mount(&absolute) {
        Some(Mount { source: Source::Volume { name, .. }, destination, .. }) => {
            Some(volume(scene, name, destination, failure))
        }
        Some(Mount { source: Source::Image(folder), .. }) => {
            Some(ownership(scene, failure, std::slice::from_ref(folder)))
        }
        Some(Mount { source: Source::ServiceAccount, .. }) => token(scene),
        None => {
            let mut folders = vec![owned_folder(scene, &absolute)];
            // A relative path may be relative to another folder than the one where the program starts.
            let elsewhere = !path.starts_with('/') && !scene.lost(true).iter().any(|lost| is_below(&absolute, lost));
            let claim = scene.claims().next().filter(|_| elsewhere);
            if let Some(Mount { source: Source::Volume { name, .. }, destination, .. }) = claim {
                return Ok(Some(volume(scene, name, destination, format!("no permission at {path}"))));
            }
            // What an entrypoint wants to change in its configuration, it mostly does without.
            folders.extend(scene.lost(true).into_iter().filter(|folder| !folder.starts_with("/etc")));
            Some(ownership(scene, failure, &folders))
        }
    })
}

/// Folders of the whole system. Nobody hands these over: with them go programs, keys, and what others may not write.
const SHARED: [&str; 15] = [
    "/",
    "/bin",
    "/boot",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/opt",
    "/sbin",
    "/srv",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/var",
];

/// The folder to hand over so that this path can be written: the one that was written as found, or the one that the path is in.
fn owned_folder(scene: &Scene<'_>, path: &str) -> String {
    let folder = parent(path);
    if SHARED.contains(&folder.as_str()) {
        return path.to_owned();
    }
    scene.lost(true).into_iter().find(|lost| is_below(&folder, lost)).unwrap_or(folder)
}

fn ownership(scene: &Scene<'_>, failure: String, folders: &[String]) -> Finding {
    let (shared, own): (Vec<String>, Vec<String>) =
        folders.iter().cloned().partition(|folder| SHARED.contains(&folder.as_str()));
    if own.is_empty() && scene.user_of_its_own().is_none() {
        let remedy = format!("have it write to a folder of its own, and not right below {}", and(&shared));
        return Finding::new(Cause::Ownership, failure, remedy).unwritable(shared);
    }
    let folders = outermost_first(&own);
    let places = folders.join(" ");
    let identity = scene.config().map(|config| &config.identity);
    let user = scene.run_as_user();
    let (remedy, field) = if let Some(uid) = scene.user_of_its_own() {
        (format!("set `{user}` to {uid}, the user that the image is made for"), Some(user))
    } else if scene.is_built() {
        let declared = |mount: &Mount| matches!(&mount.source, Source::Image(folder) if folders.contains(folder));
        let declared = scene.config().is_some_and(|config| config.mounts.iter().any(declared));
        let place = if declared { "above `VOLUME` and `USER`" } else { "above `USER`" };
        let hand_over = match identity {
            Some(identity) if identity.gid != 0 && !identity.groups.contains(&0) => {
                format!("chown -R {}:{} {places}", identity.uid, identity.gid)
            }
            _ => format!("chgrp -R 0 {places} && chmod -R g=u {places}"),
        };
        (format!("in the Dockerfile, {place}: `RUN mkdir -p {places} && {hand_over}`"), None)
    } else {
        let free: Vec<String> = folders.iter().filter(|folder| !scene.hides(folder)).cloned().collect();
        if free.is_empty() {
            let remedy = format!(
                "set `{user}` to the user that the image is made for, or build an image of its own that gives {} to this one",
                and(&folders)
            );
            (remedy, Some(user))
        } else {
            let mounts = scene.field("volumeMounts");
            (format!("mount an emptyDir at {} (`{mounts}`)", and(&free)), Some(mounts))
        }
    };
    Finding { field, ..Finding::new(Cause::Ownership, failure, remedy).unwritable(folders) }
}

/// A volume that the user may not write to.
fn volume(scene: &Scene<'_>, name: &str, destination: &str, failure: String) -> Finding {
    let pod = &scene.case.workload.pod;
    let group = scene.group();
    let field = scene.pod_field("securityContext.fsGroup");
    let user = scene.run_as_user();
    let finding = |remedy: String| {
        Finding::new(Cause::VolumeOwnership, failure.clone(), remedy).unwritable([destination.to_owned()])
    };
    if let Some(uid) = scene.user_of_its_own() {
        let was_root = scene.before.is_some_and(|before| before.config.identity.uid == 0);
        let remedy = match pod.security_context.fs_group {
            None if was_root => {
                format!("set `{user}` to {uid}, the user that the image is made for, and `{field}` to {uid}")
            }
            _ => format!("set `{user}` to {uid}, the user that owns the volume {name}"),
        };
        return finding(remedy).at(user);
    }
    let to_group = format!("set `{field}` to {group}, so that the volume {name} belongs to that group");
    match scene.holder(name) {
        Holder::EmptyDir => match sharer(scene, name) {
            Some((other, uid)) => finding(format!(
                "run all who share the volume {name} as one user: set `{other}`, which is {uid} now, to that of `{user}`"
            ))
            .at(other),
            None => finding(to_group).at(field),
        },
        Holder::HostPath => finding(format!(
            "give the folder of the node behind the volume {name} to the user, or put a claim in its place: fsGroup does not reach it"
        ))
        .at(scene.pod_field("volumes").item(name)),
        Holder::Data => finding(format!(
            "give the volume {name} a `defaultMode` that lets the user read, and have nothing written there"
        ))
        .at(scene.pod_field("volumes").item(name)),
        Holder::Claim | Holder::Other if pod.security_context.fs_group.is_none() => finding(to_group).at(field),
        // The kubelet looks at the top of the volume alone.
        Holder::Claim | Holder::Other
            if pod.security_context.fs_group_change_policy.as_deref() == Some("OnRootMismatch") =>
        {
            let policy = scene.pod_field("securityContext.fsGroupChangePolicy");
            finding(format!("set `{policy}` to Always, so that all that is in the volume {name} gets the group")).at(policy)
        }
        Holder::Claim | Holder::Other => finding(format!(
            "set `{user}` to the owner of what is in the volume {name}: the group that `{field}` gives it has no permission there"
        ))
        .at(user),
    }
}

/// Another container of the pod that has the volume and runs as somebody else: its field, and who.
fn sharer(scene: &Scene<'_>, name: &str) -> Option<(FieldPath, u32)> {
    let workload = scene.case.workload;
    let own = scene.config()?.identity.uid;
    let others = workload.pod.containers.iter().filter(|other| other.name != scene.container.name);
    let mut sharing = others.filter(|other| other.volume_mounts.iter().any(|mount| mount.name == name));
    sharing.find_map(|other| {
        let label = format!("{}/{}", workload.name, other.name);
        let settings = scene.case.breakdown.settings.iter().find(|settings| settings.container == label)?;
        let uid = settings.config.identity.uid;
        (uid != own).then(|| (FieldPath::container(workload, &other.name).keys("securityContext.runAsUser"), uid))
    })
}

/// Something could not be written, and no words say what or why.
fn nameless(scene: &Scene<'_>, holds: Holds<'_>) -> Result<Option<Finding>> {
    let Some(config) = scene.config() else { return Ok(None) };
    let failure = "a file cannot be written".to_owned();
    let (now, former) = scene.users();
    let user_changed = now != former;
    if config.read_only_root && user_changed {
        // Which of the two it is, is tried out.
        return Ok(None);
    }
    if config.read_only_root {
        return Ok(Some(volumes_for(scene, failure, &scene.lost(false))));
    }
    if config.identity.uid == 0 {
        return capabilities(scene, &Symptom::Denied(None), holds);
    }
    let lost = scene.lost(true);
    if user_changed && lost.is_empty() {
        return Ok(scene.claims().next().and_then(|claim| match &claim.source {
            Source::Volume { name, .. } => Some(volume(scene, name, &claim.destination, failure)),
            _ => None,
        }));
    }
    Ok(user_changed.then(|| ownership(scene, failure, &lost)))
}

/// A privileged call of one that is not root.
fn not_permitted(scene: &Scene<'_>, call: Privileged, path: Option<&str>) -> Option<Finding> {
    let absolute = path.map(|path| scene.absolute(path));
    let mount = absolute.as_ref().and_then(|path| Some((path, scene.mount(path)?)));
    let was_root = scene.before.is_none_or(|before| before.config.identity.uid == 0);
    match (call, mount) {
        (Privileged::ChangeMode, Some((path, mount))) => {
            let place = &mount.destination;
            let moved = match &mount.source {
                Source::Volume { name, .. } if scene.holder(name) == Holder::EmptyDir => "",
                _ => " (data that is there has to be moved)",
            };
            let (remedy, field) = if scene.container.image.contains("postgres") || place.contains("postgresql") {
                let field = scene.field("env").item("PGDATA").keys("value");
                let remedy = format!(
                    "set `{field}` to {place}/pgdata: the database must own its folder, and the mount stays root's{moved}"
                );
                (remedy, field)
            } else {
                let remedy = format!(
                    "let it use a folder below {place}, which it makes itself: it must own what it changes, and the mount stays root's"
                );
                (remedy, scene.field("volumeMounts").item(place))
            };
            let failure = format!("the mode of {path} cannot be changed by one who does not own it");
            Some(Finding::new(Cause::VolumeOwnership, failure, remedy).unwritable([place.clone()]).at(field))
        }
        (Privileged::ChangeMode, None) => {
            let path = absolute?;
            Some(ownership(scene, format!("the mode of {path} cannot be changed by one who does not own it"), &[path]))
        }
        (Privileged::ChangeOwner, mount) if was_root => {
            let user = scene.field("securityContext.runAsUser");
            let instead = if mount.is_some() {
                format!(
                    ", or leave the step out and set `{}`, which gives the volume to a group",
                    scene.pod_field("securityContext.fsGroup")
                )
            } else {
                String::new()
            };
            let failure = match absolute {
                Some(path) => format!("only root can give {path} to somebody"),
                None => "only root can give files to somebody".to_owned(),
            };
            let remedy = format!("set `{user}` to 0 for this container alone{instead}");
            Some(Finding::new(Cause::Capability, failure, remedy).at(user))
        }
        (Privileged::ChangeUser, _) if was_root => {
            let user = scene.run_as_user();
            let remedy = match scene.user_of_its_own() {
                Some(uid) => format!("set `{user}` to {uid}, the user that it changes to, so that it need not change"),
                None => format!(
                    "start the program itself as the user of `{user}`, without what changes the user, or set that to 0"
                ),
            };
            Some(Finding::new(Cause::Capability, "only root can change to another user", remedy).at(user))
        }
        _ => None,
    }
}

/// Root without the capabilities that it uses. First the way without root, where a user to step down to is known; each way is tried.
fn capabilities(scene: &Scene<'_>, symptom: &Symptom, holds: Holds<'_>) -> Result<Option<Finding>> {
    let failure = match symptom {
        Symptom::NotPermitted { call: Privileged::ChangeOwner, .. } => {
            "root without capabilities cannot give files to somebody"
        }
        Symptom::NotPermitted { call: Privileged::ChangeUser, .. } => {
            "root without capabilities cannot change to another user"
        }
        Symptom::Denied(_) => "root without capabilities cannot use the files of others",
        _ => "root without capabilities cannot do what it does",
    };
    let Some(config) = scene.config() else { return Ok(None) };
    let former = scene.before.map(|before| &before.config.capabilities);
    if former.is_none_or(|former| *former == config.capabilities) {
        return Ok(None);
    }
    let add = scene.field("securityContext.capabilities.add");
    let finding =
        |remedy: String, field: FieldPath| Ok(Some(Finding::new(Cause::Capability, failure, remedy).at(field)));
    if let Some(uid) = scene.user_of_its_own() {
        let mut workload = scene.case.workload.clone();
        let group =
            (scene.claims().next().is_some() && workload.pod.security_context.fs_group.is_none()).then_some(uid);
        workload.pod.security_context.fs_group = workload.pod.security_context.fs_group.or(group);
        with(&mut workload, scene, |security| {
            security.run_as_user = Some(uid);
        });
        if holds(&workload)? {
            let user = scene.run_as_user();
            let group = group.map(|group| format!(", and `{}` to {group}", scene.pod_field("securityContext.fsGroup")));
            let group = group.unwrap_or_default();
            let remedy =
                format!("set `{user}` to {uid}, the user that it steps down to{group}: then it needs no capability");
            return finding(remedy, user);
        }
    }
    let sets: [&[&str]; 4] = [
        &["CHOWN", "SETGID", "SETUID"],
        &["CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID"],
        &["CHOWN", "DAC_OVERRIDE", "NET_BIND_SERVICE", "SETGID", "SETUID"],
        &["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"],
    ];
    let adds = &scene.container.security_context.capabilities.add;
    let low = scene.container.ports.iter().any(|port| port.container_port < 1024) || !adds.is_empty();
    for set in sets.into_iter().skip(usize::from(low)) {
        let names: Vec<String> = set.iter().map(|name| (*name).to_owned()).collect();
        let mut workload = scene.case.workload.clone();
        with(&mut workload, scene, |security| security.capabilities.add.clone_from(&names));
        if holds(&workload)? {
            let names = names.join(", ");
            let remedy = format!("set `{add}` to [{names}], which it uses as root, or run it as another user");
            return finding(remedy, add);
        }
    }
    let drop = scene.field("securityContext.capabilities.drop");
    finding(format!("take back what `{drop}` takes away: it runs as root"), drop)
}

/// Changes the security context of the scene's container.
fn with(workload: &mut Workload, scene: &Scene<'_>, change: impl FnOnce(&mut crate::prove::objects::SecurityContext)) {
    if let Some(container) = workload.all_containers().find(|container| container.name == scene.container.name) {
        change(&mut container.security_context);
    }
}

/// Something that the image had and has no more, or that a volume hides.
fn missing(scene: &Scene<'_>, kind: Missing, name: &str) -> Option<Finding> {
    if scene.case.answers_otherwise() {
        // A server that looks for a page in vain says so, and goes on.
        return None;
    }
    let absolute = scene.absolute(name);
    let failure = match kind {
        Missing::Library => format!("the library {name} is not there"),
        Missing::Module => format!("the module {name} is not there"),
        Missing::Program => format!("the program {name}, or what it is started by, is not there"),
        Missing::File => format!("{absolute} is not there"),
    };
    let hiding = scene.mount(&absolute).filter(|_| kind == Missing::File && scene.former_mount(&absolute).is_none());
    if let Some(mount) = hiding {
        return Some(hidden(scene, failure, &mount.destination));
    }
    if !scene.image_changed() {
        return None;
    }
    let path = scene.changed_variables().iter().any(|name| name == "PATH");
    let remedy = match kind {
        Missing::Library => format!(
            "in the Dockerfile's last stage, install the package that has {name}, or end on the base that it had"
        ),
        Missing::Module if name.starts_with('/') && scene.container.command.is_none() && !name.contains('.') => {
            format!(
                "change the Dockerfile's `CMD`: the new base starts it by another program than before, which takes {name} for a file"
            )
        }
        Missing::Module if path => format!(
            "in the Dockerfile's last stage, set `PATH` as it was, or install {name} where its interpreter looks"
        ),
        Missing::Module => format!("in the Dockerfile's last stage, copy {name} to where it was, with what it needs"),
        Missing::Program if name.starts_with('/') => {
            format!(
                "in the Dockerfile, end on a base that has the loader and libraries of {name}, as the former had, or link it statically"
            )
        }
        Missing::Program => format!(
            "in the Dockerfile's last stage, install {name} as before, or change the command so that it is not needed"
        ),
        Missing::File => format!(
            "in the Dockerfile, copy {absolute} into the last stage, where it is looked for, or change the command that names it"
        ),
    };
    Some(Finding::new(Cause::Image, failure, remedy))
}

fn hidden(scene: &Scene<'_>, failure: String, place: &str) -> Finding {
    let field = scene.field("volumeMounts").item(place);
    let remedy = format!("take `{field}` away, or mount the volume beside it: it hides what the image has there");
    Finding::new(Cause::Image, failure, remedy).at(field)
}

/// What the settings mean whose return makes it hold.
pub(super) fn of_factors(scene: &Scene<'_>, factors: &[Factor], holds: Holds<'_>) -> Result<Option<Finding>> {
    let mut whole: Option<Finding> = None;
    for factor in factors {
        let finding = of_factor(scene, *factor, holds)?;
        whole = Some(match whole {
            None => finding,
            Some(mut first) => {
                first.remedy = format!("{}; and {}", first.remedy, finding.remedy);
                first.unwritable.extend(finding.unwritable);
                first
            }
        });
    }
    Ok(whole)
}

fn of_factor(scene: &Scene<'_>, factor: Factor, holds: Holds<'_>) -> Result<Finding> {
    let unset =
        |cause: Cause, field: FieldPath| Finding::new(cause, "", format!("leave `{field}` as it was")).at(field);
    Ok(match factor {
        Factor::ReadOnlyRoot => volumes_for(scene, "with a writable root it holds".to_owned(), &scene.lost(false)),
        Factor::User => user(scene, holds)?,
        Factor::Groups => unset(Cause::VolumeOwnership, scene.pod_field("securityContext.fsGroup")),
        Factor::Sysctls => unset(Cause::LowPort, scene.pod_field("securityContext.sysctls")),
        Factor::Capabilities => match capabilities(scene, &Symptom::Denied(None), holds)? {
            Some(finding) => finding,
            None => unset(Cause::Capability, scene.field("securityContext.capabilities")),
        },
        Factor::Token => {
            let field = scene.pod_field("automountServiceAccountToken");
            let remedy = format!("set `{field}` to true");
            Finding::new(Cause::Token, "with the service account's token it holds", remedy).at(field)
        }
        Factor::NoNewPrivileges => no_new_privileges(scene),
        Factor::Seccomp => {
            let field = scene.field("securityContext.seccompProfile");
            let remedy = format!("set `{field}` to a Localhost profile that allows its calls, or to Unconfined");
            Finding::new(Cause::Seccomp, "without a seccomp profile it holds", remedy).at(field)
        }
        Factor::Mounts => {
            let new = scene.container.volume_mounts.iter().find(|mount| {
                let former = scene.former.into_iter().flat_map(|former| &former.volume_mounts);
                former.into_iter().all(|former| former.mount_path != mount.mount_path)
            });
            let place = new.map_or("", |mount| mount.mount_path.as_str());
            hidden(scene, "without the volumes that were added it holds".to_owned(), place)
        }
        Factor::Image => image(scene),
        Factor::Command => {
            let field = scene.field("command");
            let remedy = format!("set `{field}`, ports and variables to what fits the image");
            Finding::new(Cause::Mismatch, "with the command, ports and variables of before it holds", remedy).at(field)
        }
    })
}

/// Another user makes it fail, and nothing says how.
fn user(scene: &Scene<'_>, holds: Holds<'_>) -> Result<Finding> {
    let security = &scene.case.workload.pod.security_context;
    if security.sysctls.is_empty() && scene.case.breakdown.trouble != Trouble::Answer {
        let mut workload = scene.case.workload.clone();
        let sysctl = NameValue { name: UNPRIVILEGED_PORT_START.to_owned(), value: "0".to_owned() };
        workload.pod.security_context.sysctls.push(sysctl);
        if holds(&workload)? {
            return Ok(low_port(scene, scene.low_port()));
        }
    }
    let claim = scene.claims().next();
    if let Some(Mount { source: Source::Volume { name, .. }, destination, .. }) =
        claim.filter(|_| security.fs_group.is_none())
    {
        let mut workload = scene.case.workload.clone();
        workload.pod.security_context.fs_group = Some(scene.group());
        if holds(&workload)? {
            return Ok(volume(scene, name, destination, format!("{destination} cannot be written")));
        }
    }
    let lost = scene.lost(true);
    if scene.user_of_its_own().is_none() && !lost.is_empty() {
        return Ok(ownership(scene, format!("it writes to {}", and(&lost)), &lost));
    }
    let failure = "as the user of before it holds";
    Ok(match scene.users().1 {
        Some(uid) if scene.user_of_its_own().is_none() => {
            let field = scene.run_as_user();
            Finding::new(Cause::Account, failure, format!("set `{field}` to {uid}, as it was")).at(field)
        }
        _ => account(scene, failure),
    })
}

fn image(scene: &Scene<'_>) -> Finding {
    let changed: Vec<String> =
        scene.changed_variables().into_iter().filter(|name| !name.ends_with("_VERSION")).collect();
    let variables =
        if changed.is_empty() { String::new() } else { format!(" (these variables changed: {})", changed.join(", ")) };
    match scene.case.breakdown.trouble {
        Trouble::Silent { port } => {
            let field = scene.field("ports").item("").keys("containerPort");
            let remedy = format!(
                "let `{field}`, the probes and the Service's `targetPort` name the port that the image of the changed Dockerfile listens at, or let it listen where the former did"
            );
            let failure = format!("nobody listens behind port {port}, as the former image did");
            Finding::new(Cause::Mismatch, failure, remedy).at(field)
        }
        Trouble::Probe => {
            let probes =
                [&scene.container.readiness_probe, &scene.container.startup_probe, &scene.container.liveness_probe];
            let program = probes.into_iter().flatten().find_map(|probe| probe.exec.as_ref()?.command.first());
            let remedy = match program {
                Some(program) => format!(
                    "in the Dockerfile, end on a base that has {program}, which the probe runs, or ask by httpGet or tcpSocket in `{}`",
                    scene.field("readinessProbe")
                ),
                None => format!(
                    "in the Dockerfile, take back what changes the image: the former passes the probe{variables}"
                ),
            };
            Finding::new(Cause::Image, "with the image of before the probe passes", remedy)
        }
        _ => {
            let remedy = format!(
                "in the Dockerfile, take back what changes what the last stage has or starts: the image as found does under the same settings what is asked{variables}"
            );
            Finding::new(Cause::Image, "with the image of before it holds", remedy)
        }
    }
}

fn parent(path: &str) -> String {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/".to_owned(),
        Some((folder, _)) => folder.to_owned(),
    }
}

/// The first stays the first: it is the one that was seen.
fn outermost_first(folders: &[String]) -> Vec<String> {
    let mut kept = outermost(folders.iter());
    if let Some(first) = folders.first() {
        kept.sort_by_key(|folder| !is_below(first, folder));
    }
    kept
}

fn and(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
