//! What a manifest's settings mean for one container: the kubelet's rules, and those of the runtime that it calls.
//!
//! The names in parentheses are the functions of Kubernetes and containerd that each rule is taken from.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::objects::{Capabilities, Container, Objects, PodSpec, SecurityContext, Service, Workload};

/// The capabilities of a container that asks for none and drops none: containerd's default set.
pub const DEFAULT_CAPABILITIES: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Where a service account's files are (<https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/>).
pub const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The configuration that an image brings along, in the names of the OCI image specification
/// (<https://github.com/opencontainers/image-spec/blob/main/config.md>).
#[derive(Deserialize, Serialize, Default, Clone, Debug)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    /// The user, by name or number, with or without a group.
    pub user: String,
    /// `NAME=value`.
    pub env: Option<Vec<String>>,
    /// ENTRYPOINT
    pub entrypoint: Option<Vec<String>>,
    /// CMD
    pub cmd: Option<Vec<String>>,
    /// WORKDIR
    pub working_dir: String,
    /// VOLUME: the folders are the keys.
    pub volumes: Option<BTreeMap<String, serde_json::Value>>,
}

/// The accounts of an image: its `/etc/passwd` and `/etc/group`, empty where it has none.
#[derive(Default, Clone, Debug)]
pub struct Accounts {
    /// `/etc/passwd`
    pub passwd: String,
    /// `/etc/group`
    pub group: String,
}

/// What becomes of an image's `VOLUME` folders that no mount covers; both happen in clusters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageVolumes {
    /// A writable folder of the container's own, filled from the image (containerd, Docker).
    Writable,
    /// A part of the root, writable only if that is (CRI-O with `image_volumes = "ignore"`).
    PartOfRoot,
}

/// Who a process is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Further groups.
    pub groups: BTreeSet<u32>,
}

/// What is mounted into a container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A volume of the pod, or a folder or file below it.
    Volume {
        /// The volume's name.
        name: String,
        /// Where below it; empty for all of it.
        sub_path: String,
    },
    /// The files of the service account.
    ServiceAccount,
    /// A folder of the container's own, filled with what the image has at this path.
    Image(String),
}

/// A folder or file at a place in the container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount {
    /// What.
    pub source: Source,
    /// Where.
    pub destination: String,
    /// Whether nobody may write to it.
    pub read_only: bool,
}

/// Everything that the runtime is told about one container.
#[derive(Clone, Debug)]
pub struct ContainerConfig {
    /// The program and its arguments.
    pub arguments: Vec<String>,
    /// `NAME=value`. Values may be secrets.
    pub env: Vec<String>,
    /// Where the program starts.
    pub working_dir: String,
    /// As whom.
    pub identity: Identity,
    /// The bounding set; root has them all, anybody else none. Names without `CAP_`.
    pub capabilities: BTreeSet<String>,
    /// allowPrivilegeEscalation: false
    pub no_new_privileges: bool,
    /// Whether the runtime's default seccomp profile is on.
    pub seccomp: bool,
    /// readOnlyRootFilesystem
    pub read_only_root: bool,
    /// Outer folders before inner ones.
    pub mounts: Vec<Mount>,
}

/// What surrounds a container: its pod, and where the pod stands.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The cluster's objects.
    pub objects: &'a Objects,
    /// The pod that the container is in.
    pub workload: &'a Workload,
    /// The pod's own address.
    pub pod_address: &'a str,
    /// The addresses of Services, by name.
    pub service_addresses: &'a BTreeMap<String, String>,
    /// What becomes of the image's own volumes.
    pub image_volumes: ImageVolumes,
}

/// Why a container is not started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// A node would say so.
    Node(String),
    /// A node would start it, and nobody wants that for a trial.
    NotHere(String),
}

/// Applies the manifest's settings.
///
/// # Errors
/// The message with which a node refuses the container, or why it is not run here.
pub fn configure(
    around: Surroundings<'_>,
    container: &Container,
    image: &ImageConfig,
    accounts: &Accounts,
) -> Result<ContainerConfig, Refusal> {
    let pod = &around.workload.pod;
    let refuse = |kind: &str, reason: String| Refusal::Node(format!("{kind}: {reason}"));
    let security = effective(pod, &container.security_context);
    if security.privileged || pod.host_network || pod.host_pid || pod.host_ipc {
        return Err(Refusal::NotHere("privileged containers and the host's namespaces are not run here".to_owned()));
    }
    if let Some(reason) = refusal(&security, &image.user) {
        return Err(refuse("CreateContainerConfigError", reason));
    }
    let declared = environment(around, container).map_err(|reason| refuse("CreateContainerConfigError", reason))?;
    let arguments = arguments(container, image, &declared)
        .ok_or_else(|| refuse("CreateContainerError", "no command specified".to_owned()))?;
    let identity =
        identity(pod, &security, &image.user, accounts).map_err(|reason| refuse("CreateContainerError", reason))?;
    let seccomp = security.seccomp_profile.as_ref().is_some_and(|profile| profile.kind == "RuntimeDefault");
    let working_dir = [container.working_dir.as_deref().unwrap_or_default(), image.working_dir.as_str(), "/"]
        .into_iter()
        .find(|folder| !folder.is_empty())
        .unwrap_or("/");
    Ok(ContainerConfig {
        arguments,
        env: merge(image.env.as_deref().unwrap_or_default(), &declared, &around.workload.name),
        working_dir: working_dir.to_owned(),
        identity,
        capabilities: capabilities(&security.capabilities),
        no_new_privileges: security.allow_privilege_escalation == Some(false),
        seccomp,
        read_only_root: security.read_only_root_filesystem,
        mounts: mounts(around, container, image)?,
    })
}

/// The container's settings over the pod's (DetermineEffectiveSecurityContext).
fn effective(pod: &PodSpec, container: &SecurityContext) -> SecurityContext {
    let pod = &pod.security_context;
    let mut security = container.clone();
    security.run_as_user = security.run_as_user.or(pod.run_as_user);
    security.run_as_group = security.run_as_group.or(pod.run_as_group);
    security.run_as_non_root = security.run_as_non_root.or(pod.run_as_non_root);
    security.seccomp_profile = security.seccomp_profile.or_else(|| pod.seccomp_profile.clone());
    security
}

/// verifyRunAsNonRoot, with getImageUser: an image without a user runs as root, and a name cannot be judged.
fn refusal(security: &SecurityContext, image_user: &str) -> Option<String> {
    if security.run_as_non_root != Some(true) {
        return None;
    }
    if let Some(user) = security.run_as_user {
        return (user == 0).then(|| "container's runAsUser breaks non-root policy".to_owned());
    }
    let user = image_user.split(':').next().unwrap_or_default();
    match user.parse::<i64>() {
        _ if user.is_empty() => Some("container has runAsNonRoot and image will run as root".to_owned()),
        Ok(0) => Some("container has runAsNonRoot and image will run as root".to_owned()),
        Ok(_) => None,
        Err(_) => Some(format!(
            "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root"
        )),
    }
}

/// containerd's WithUser and WithAdditionalGIDs. The kubelet hands on the image's user and not its group, so a group comes from
/// runAsGroup or from the image's passwd, and is 0 without either.
fn identity(
    pod: &PodSpec,
    security: &SecurityContext,
    image_user: &str,
    accounts: &Accounts,
) -> Result<Identity, String> {
    let passwd = table(&accounts.passwd);
    let user = match security.run_as_user {
        Some(user) => user.to_string(),
        None => image_user.split(':').next().unwrap_or_default().to_owned(),
    };
    let user = if user.is_empty() { "0".to_owned() } else { user };
    let number = user.parse::<u32>().ok();
    let account = passwd.iter().find(|fields| match number {
        Some(number) => fields.get(2).and_then(|field| field.parse().ok()) == Some(number),
        None => fields.first() == Some(&user),
    });
    let field = |index: usize| account.and_then(|fields| fields.get(index)).and_then(|field| field.parse().ok());
    let Some(uid) = number.or_else(|| field(2)) else {
        return Err(format!("unable to find user {user}: no matching entries in passwd file"));
    };
    let mut groups: BTreeSet<u32> = pod.security_context.supplemental_groups.iter().copied().collect();
    groups.extend(pod.security_context.fs_group);
    if let Some(name) = account.and_then(|fields| fields.first()) {
        for group in table(&accounts.group) {
            let member = group.get(3).is_some_and(|members| members.split(',').any(|member| member == name));
            let member = member && group.first() != Some(name);
            if let Some(gid) = group.get(2).and_then(|gid| gid.parse().ok()).filter(|_| member) {
                groups.insert(gid);
            }
        }
    }
    Ok(Identity { uid, gid: security.run_as_group.or_else(|| field(3)).unwrap_or(0), groups })
}

fn table(text: &str) -> Vec<Vec<String>> {
    text.lines().map(|line| line.split(':').map(str::to_owned).collect()).collect()
}

/// Drops before adds, except that adding ALL comes first (containerd's WithDroppedCapabilities and WithAddedCapabilities).
fn capabilities(asked: &Capabilities) -> BTreeSet<String> {
    let name = |text: &String| text.to_uppercase().trim_start_matches("CAP_").to_owned();
    let mut set: BTreeSet<String> = DEFAULT_CAPABILITIES.map(str::to_owned).into();
    for dropped in asked.drop.iter().map(name) {
        if dropped == "ALL" {
            set.clear();
        }
        set.remove(&dropped);
    }
    set.extend(asked.add.iter().map(name).filter(|added| added != "ALL"));
    set
}

/// The container's own variables in order (makeEnvironmentVariables): Services, then envFrom, then env, each over the last.
fn environment(around: Surroundings<'_>, container: &Container) -> Result<BTreeMap<String, String>, String> {
    let mut env = BTreeMap::new();
    if around.workload.pod.enable_service_links != Some(false) {
        for service in around.objects.services.iter().filter(|service| !service.headless) {
            if let Some(address) = around.service_addresses.get(&service.name) {
                env.extend(service_links(service, address));
            }
        }
    }
    let data = |kind: &str, name: &str, optional: bool| {
        let found = around.objects.data.get(&(kind.to_owned(), name.to_owned()));
        if found.is_none() && !optional {
            return Err(format!("{} \"{name}\" not found", kind.to_lowercase()));
        }
        Ok(found.cloned().unwrap_or_default())
    };
    for source in &container.env_from {
        for (kind, reference) in [("ConfigMap", &source.config_map_ref), ("Secret", &source.secret_ref)] {
            let Some(reference) = reference else { continue };
            for (key, value) in data(kind, &reference.name, reference.optional)? {
                env.insert(format!("{}{key}", source.prefix), String::from_utf8_lossy(&value).into_owned());
            }
        }
    }
    for variable in &container.env {
        let Some(source) = &variable.value_from else {
            env.insert(variable.name.clone(), expand(&variable.value, &env));
            continue;
        };
        for (kind, reference) in [("ConfigMap", &source.config_map_key_ref), ("Secret", &source.secret_key_ref)] {
            let Some(reference) = reference else { continue };
            match data(kind, &reference.name, reference.optional)?.get(&reference.key) {
                Some(value) => {
                    env.insert(variable.name.clone(), String::from_utf8_lossy(value).into_owned());
                }
                None if reference.optional => {}
                None => return Err(format!("couldn't find key {} in {kind} {}", reference.key, reference.name)),
            }
        }
        if let Some(field) = &source.field_ref {
            let value = match field.field_path.as_str() {
                "metadata.name" => around.workload.name.as_str(),
                "metadata.namespace" => "default",
                "status.podIP" => around.pod_address,
                _ => "",
            };
            env.insert(variable.name.clone(), value.to_owned());
        }
    }
    Ok(env)
}

/// The variables that stand for a Service (FromServices), which an application may stumble over: `REDIS_PORT=tcp://...`.
fn service_links(service: &Service, address: &str) -> BTreeMap<String, String> {
    let name = service.name.to_uppercase().replace('-', "_");
    let mut env = BTreeMap::from([(format!("{name}_SERVICE_HOST"), address.to_owned())]);
    for (index, port) in service.ports.iter().enumerate() {
        let number = port.port;
        let url = format!("tcp://{address}:{number}");
        if index == 0 {
            env.insert(format!("{name}_SERVICE_PORT"), number.to_string());
            env.insert(format!("{name}_PORT"), url.clone());
        }
        if !port.name.is_empty() {
            let port_name = port.name.to_uppercase().replace('-', "_");
            env.insert(format!("{name}_SERVICE_PORT_{port_name}"), number.to_string());
        }
        let prefix = format!("{name}_PORT_{number}_TCP");
        env.insert(prefix.clone(), url);
        env.insert(format!("{prefix}_PROTO"), "tcp".to_owned());
        env.insert(format!("{prefix}_PORT"), number.to_string());
        env.insert(format!("{prefix}_ADDR"), address.to_owned());
    }
    env
}

/// `command` stands for ENTRYPOINT and `args` for CMD; a `command` alone drops the image's CMD.
fn arguments(container: &Container, image: &ImageConfig, env: &BTreeMap<String, String>) -> Option<Vec<String>> {
    let expanded = |words: &Vec<String>| words.iter().map(|word| expand(word, env)).collect::<Vec<_>>();
    let command = container.command.as_ref().filter(|command| !command.is_empty()).map(expanded);
    let args = container.args.as_ref().filter(|args| !args.is_empty()).map(expanded);
    let whole = match (command, args) {
        (Some(command), args) => [command, args.unwrap_or_default()].concat(),
        (None, args) => {
            let args = args.or_else(|| image.cmd.clone()).unwrap_or_default();
            [image.entrypoint.clone().unwrap_or_default(), args].concat()
        }
    };
    (!whole.is_empty()).then_some(whole)
}

/// `$(NAME)` is replaced where the name is known, `$$` is one dollar (expansion.Expand).
fn expand(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        let (before, after) = rest.split_at(start);
        expanded.push_str(before);
        let after = after.get(1..).unwrap_or_default();
        let reference = after.strip_prefix('(').and_then(|inside| inside.split_once(')'));
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = reference {
            match env.get(name) {
                Some(value) => expanded.push_str(value),
                None => expanded.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    expanded
}

fn merge(image: &[String], declared: &BTreeMap<String, String>, pod_name: &str) -> Vec<String> {
    let mut env = BTreeMap::from([
        ("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("HOSTNAME".to_owned(), pod_name.to_owned()),
    ]);
    env.extend(
        image.iter().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    env.extend(declared.clone());
    env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// The pod's volumes, the service account's files, and the image's own volumes; outer folders come before inner ones.
fn mounts(around: Surroundings<'_>, container: &Container, image: &ImageConfig) -> Result<Vec<Mount>, Refusal> {
    let pod = &around.workload.pod;
    let templates = around.workload.claim_templates.iter();
    let volumes: BTreeSet<&String> = pod.volumes.iter().map(|volume| &volume.name).chain(templates).collect();
    let mut mounts = Vec::new();
    for mount in &container.volume_mounts {
        if !volumes.contains(&mount.name) {
            let reason = format!("container {}: no volume is named {}", container.name, mount.name);
            return Err(Refusal::Node(reason));
        }
        let read_only_kind = pod.volumes.iter().any(|volume| volume.name == mount.name && volume.is_read_only());
        mounts.push(Mount {
            source: Source::Volume { name: mount.name.clone(), sub_path: mount.sub_path.clone() },
            destination: mount.mount_path.clone(),
            read_only: read_only_kind || mount.read_only,
        });
    }
    if pod.automount_service_account_token != Some(false) {
        let destination = SERVICE_ACCOUNT.to_owned();
        mounts.push(Mount { source: Source::ServiceAccount, destination, read_only: true });
    }
    for volume in image.volumes.iter().flat_map(BTreeMap::keys) {
        let covered =
            mounts.iter().any(|mount| mount.destination.trim_end_matches('/') == volume.trim_end_matches('/'));
        if around.image_volumes == ImageVolumes::Writable && !covered {
            let source = Source::Image(volume.clone());
            mounts.push(Mount { source, destination: volume.clone(), read_only: false });
        }
    }
    mounts.sort_by(|one, other| one.destination.cmp(&other.destination));
    Ok(mounts)
}
