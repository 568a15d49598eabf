//! Pods and containers: the namespaces that a helper holds, and what runs in them under a manifest's settings.
#![allow(
    clippy::disallowed_methods,
    reason = "values of variables go to the engine in a file that only its owner reads, and that is removed at once"
)]

use super::call::means_something_to_engines;
use super::held::{Held, Thing};
use super::node::{EngineNode, Network, bind};
use super::writes::{self, Changes};
use super::{Call, Engine, Kind, tar};
use crate::prove::changes::listening;
use crate::prove::inside::{Order, Preparation, Prepared};
use crate::prove::kubelet::{ContainerConfig, DEFAULT_CAPABILITIES, Mount, Source};
use crate::prove::network::Plan;
use crate::prove::node::{Image, Seen};
use crate::prove::objects::{Data, Workload};
use crate::prove::{Failure, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The exit code that a kubelet gives a container whose program cannot be started.
const START_ERROR: i32 = 128;

/// The lowest port that anybody may listen at, where a pod does not say otherwise. It is the kernel's own value; some engines set 0.
const UNPRIVILEGED: (&str, &str) = ("net.ipv4.ip_unprivileged_port_start", "1024");

/// The files that a node mounts into every container.
const FILES: [(&str, &str); 2] = [("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")];

/// What Docker's `config.json` sets in every container, unless the client is told of the variable and has none itself. No way leads to a proxy, and
/// Services are not behind one.
const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// How much of what a container printed is looked at, in bytes from its end.
const MOST_SAID: u64 = 1 << 20;

/// A pod: its namespaces, which a helper holds, and its volumes.
#[derive(Debug)]
pub struct Pod {
    sandbox: Held,
    folder: PathBuf,
    prepared: Prepared,
}

/// A started container.
#[derive(Debug)]
pub struct Container {
    held: Held,
    /// The engine's number for it.
    id: String,
    image: String,
    /// Its main process as the host numbers it, once the engine has told it.
    process: Option<u32>,
    /// Why its program could not be started.
    refused: Option<String>,
    /// What it did to the root of its image, once that was asked.
    changes: Mutex<Option<Changes>>,
}

impl EngineNode {
    pub(super) fn make_pod(
        &self,
        network: &Network,
        plan: &Plan,
        index: usize,
        workload: &Workload,
        data: &Data,
    ) -> Result<Pod> {
        let address = plan.pods.get(index).ok_or_else(|| Failure::new("a pod has no address"))?;
        let sandbox = Held::new(&self.engine, Thing::Container, self.name(&workload.name));
        let folder = network.folder.join(format!("pod-{index}"));
        let preparation = Preparation {
            workload: workload.clone(),
            data: data.iter().map(|((kind, name), content)| (kind.clone(), name.clone(), content.clone())).collect(),
            own: folder.clone(),
            claims: network.disks.clone(),
            files: BTreeMap::from([
                ("hosts".to_owned(), hosts(plan, address, &workload.name)),
                // A cluster's DNS knows Services, which are in the other file, and nobody else here.
                ("resolv.conf".to_owned(), String::new()),
            ]),
        };
        let prepared = self.keep(&Order::Prepare(Box::new(preparation)))?;

        // The kubelet cuts names that are longer than the kernel's.
        let hostname: String = workload.name.chars().take(63).collect();
        let call = self.helper_call("--detach", sandbox.name());
        let mut call = call.args(["--network", network.held.name(), "--ip", address, "--ipc", "shareable"]);
        call = call.args(["--hostname", hostname.trim_end_matches(['-', '.'])]);
        call = call.args(["--user", "65535:65535", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]);
        let asked: Vec<(&str, &str)> = workload
            .pod
            .security_context
            .sysctls
            .iter()
            .map(|sysctl| (sysctl.name.as_str(), sysctl.value.as_str()))
            .collect();
        let usual = [UNPRIVILEGED].into_iter().filter(|(usual, _)| asked.iter().all(|(name, _)| name != usual));
        for (name, value) in usual.chain(asked.iter().copied()) {
            call = call.args(["--sysctl", &format!("{name}={value}")]);
        }
        call.args([self.helper(), "pause"]).text()?;
        Ok(Pod { sandbox, folder, prepared })
    }

    pub(super) fn start_container(
        &self,
        pod: &Pod,
        name: &str,
        image: &Image,
        config: &ContainerConfig,
    ) -> Result<Container> {
        let podman = self.engine.kind == Kind::Podman;
        let held = Held::new(&self.engine, Thing::Container, self.name(name));
        let mut call = self.engine.call("run").args(["--detach", "--pull=never"]).args(self.labels(held.name()));
        let sandbox = format!("container:{}", pod.sandbox.name());
        call = call.args(["--network", &sandbox, "--ipc", &sandbox]);
        call = call.args(["--log-driver", if podman { "k8s-file" } else { "json-file" }]);
        let identity = &config.identity;
        call = call.args(["--user", &format!("{}:{}", identity.uid, identity.gid)]);
        for group in &identity.groups {
            call = call.args(["--group-add", &group.to_string()]);
        }
        call = call.args(capabilities(config));
        if config.no_new_privileges {
            call = call.args(["--security-opt", "no-new-privileges"]);
        }
        if config.read_only_root {
            call = call.arg("--read-only");
        }
        let set = |name: &str| config.env.iter().any(|line| line.split_once('=').is_some_and(|(set, _)| set == name));
        if podman {
            // What it adds by itself: accounts, variables, names of hosts, folders in memory, and volumes even where a node would have none.
            call = call.args(["--uts", &sandbox, "--passwd=false", "--no-hosts", "--http-proxy=false"]);
            for name in ["container", "TERM"].into_iter().filter(|name| !set(name)) {
                call = call.args(["--unsetenv", name]);
            }
            if config.read_only_root {
                call = call.arg("--read-only-tmpfs=false");
            }
            if !config.mounts.iter().any(|mount| matches!(mount.source, Source::Image(_))) {
                call = call.arg("--image-volume=ignore");
            }
        }
        if self.engine.kind != Kind::Nerdctl {
            call = call.arg("--no-healthcheck");
        }
        if self.engine.kind == Kind::Docker {
            for name in PROXIES.into_iter().filter(|name| !set(name)) {
                call = call.without(name).args(["--env", name]);
            }
        }
        // Podman makes the folder that the image names, and no other.
        if config.working_dir != image.config.working_dir {
            call = call.args(["--workdir", &config.working_dir]);
        }
        for (file, place) in FILES {
            if config.mounts.iter().all(|mount| mount.destination.trim_end_matches('/') != place) {
                call = call.args(["--volume", &bind(&pod.folder.join(file), place, config.read_only_root)]);
            }
        }
        for mount in &config.mounts {
            if let Some(source) = self.source(pod, held.name(), image, mount)? {
                let destination = format!("/{}", mount.destination.trim_start_matches('/'));
                call = call.args(["--volume", &bind(&source, &destination, mount.read_only)]);
            }
        }
        let variables = self.folder.join(format!("{}.variables", held.name()));
        let (call, file) = environment(call, &config.env)?;
        let file = if file.is_empty() { None } else { Some((write_private(&variables, &file)?, variables)) };
        let call = match &file {
            Some((_, path)) => call.arg("--env-file").arg(path),
            None => call,
        };
        let output = call.args(["--entrypoint", "", &image.id]).args(&config.arguments).output();
        if let Some((_, path)) = &file {
            fs::remove_file(path)?;
        }
        let output = output?;
        let mut container = Container {
            id: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            held,
            image: image.id.clone(),
            process: None,
            refused: None,
            changes: Mutex::default(),
        };
        if output.success {
            return Ok(container);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if podman
            && said.contains("workdir")
            && said.contains("does not exist")
            && let Some(archive) = tar::folders(&config.working_dir)
        {
            let place = format!("{}:/", container.name());
            self.engine.call("cp").args(["--archive=false", "-", &place]).input(archive).text()?;
            container.restart(&self.engine)?;
            return Ok(container);
        }
        container.refuse(output.code, &said)?;
        Ok(container)
    }

    /// Where on the host the files of a mount are. `None` for what the engine takes from the image by itself.
    fn source(&self, pod: &Pod, container: &str, image: &Image, mount: &Mount) -> Result<Option<PathBuf>> {
        Ok(match &mount.source {
            Source::Volume { name, sub_path } => {
                let volume = pod.prepared.volumes.get(name);
                let volume = volume.ok_or_else(|| Failure::new(format!("no volume is named {name}")))?.clone();
                let sub_path = sub_path.clone();
                let whole = sub_path.is_empty();
                Some(if whole { volume } else { self.keep(&Order::SubPath { volume, sub_path })? })
            }
            Source::ServiceAccount => Some(pod.prepared.service_account.clone()),
            Source::Image(path) if image.absent.contains(path) => {
                let volume = pod.prepared.service_account.parent().map(Path::to_path_buf).unwrap_or_default();
                let sub_path = format!("image-volumes/{container}{}", path.replace('/', "_"));
                Some(self.keep(&Order::SubPath { volume, sub_path })?)
            }
            Source::Image(_) => None,
        })
    }
}

impl Container {
    pub(super) fn name(&self) -> &str {
        self.held.name()
    }

    /// The image that it was made of.
    pub(super) fn image(&self) -> &str {
        &self.image
    }

    /// What it did to the root of its image. Engines take their time to tell, so that is asked once, when all is over.
    pub(super) fn changes(&self, node: &EngineNode, config: &ContainerConfig) -> Result<Changes> {
        let mut known = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = Some(writes::changes(node, self, config)?);
        }
        Ok(known.clone().unwrap_or_default())
    }

    /// Keeps what the runtime said where it could not start the program, as a kubelet does; anything else is the machine's failure.
    fn refuse(&mut self, code: Option<i32>, said: &str) -> Result<()> {
        let last = said.lines().rev().find(|line| !line.trim().is_empty() && !line.contains("--help"));
        let last = last.unwrap_or("it says nothing").trim().to_owned();
        let runtime = ["OCI runtime", "runc", "crun"].iter().any(|word| said.contains(word));
        if !runtime && !matches!(code, Some(126 | 127)) {
            return Err(Failure::new(format!("a container cannot be started: {last}")));
        }
        self.refused = Some(said.lines().find(|line| line.contains("rror")).unwrap_or(&last).trim().to_owned());
        Ok(())
    }

    pub(super) fn ended(&mut self, engine: &Engine) -> Result<Option<i32>> {
        if self.refused.is_some() {
            return Ok(Some(START_ERROR));
        }
        if self.process.is_some_and(|process| self.owns(process)) {
            return Ok(None);
        }
        self.process = None;
        let format = "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}} {{.Id}}";
        let state = engine.call("container").args(["inspect", "--format", format, self.name()]).text()?;
        let unknown = || Failure::new(format!("{} tells no state of a container: {state}", engine.kind));
        let words: Vec<&str> = state.split_whitespace().collect();
        let [status, code, process, id] = words.as_slice() else { return Err(unknown()) };
        if ["exited", "stopped", "dead"].contains(status) {
            return Ok(Some(code.parse().map_err(|_| unknown())?));
        }
        (*id).clone_into(&mut self.id);
        self.process = process.parse().ok().filter(|process| *process != 0 && self.owns(*process));
        Ok(None)
    }

    /// Whether a process of this host is the container's: an engine may be on another machine, or its numbers those of another namespace.
    fn owns(&self, process: u32) -> bool {
        !self.id.is_empty()
            && fs::read_to_string(format!("/proc/{process}/cgroup")).is_ok_and(|groups| groups.contains(&self.id))
    }

    pub(super) fn restart(&mut self, engine: &Engine) -> Result<()> {
        self.process = None;
        self.refused = None;
        let output = engine.call("start").arg(self.name()).output()?;
        if output.success { Ok(()) } else { self.refuse(output.code, &String::from_utf8_lossy(&output.stderr)) }
    }

    /// The last lines of both outputs, in the order in which they were printed. `folder` is for a file that is gone afterwards: in one file, what the engine
    /// prints keeps its order.
    pub(super) fn said(&self, engine: &Engine, folder: &Path, lines: usize) -> String {
        if let Some(refused) = &self.refused {
            return refused.clone();
        }
        let file = folder.join(format!("said-{}", self.name()));
        let call = engine.call("logs");
        // With it, podman leaves out the beginnings of lines that were written in several pieces.
        let call = if engine.kind == Kind::Podman { call } else { call.args(["--tail", &lines.to_string()]) };
        drop(call.arg(self.name()).log(&file).output());
        let text = ending(&file).unwrap_or_default();
        let _ = fs::remove_file(&file);
        let all: Vec<&str> = text.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
    }

    pub(super) fn seen(&self) -> Option<Seen> {
        let process = self.process.filter(|process| self.owns(*process))?;
        let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).ok();
        let mut seen = Seen::from_status(&read("status")?)?;
        seen.uid = inside(&read("uid_map")?, seen.uid)?;
        seen.gid = inside(&read("gid_map")?, seen.gid)?;
        Some(seen)
    }

    /// The TCP ports that somebody in its pod listens on.
    pub(super) fn listens(&self) -> BTreeSet<u16> {
        let process = self.process.filter(|process| self.owns(*process));
        let tables =
            process.into_iter().flat_map(|process| ["tcp", "tcp6"].map(|name| format!("/proc/{process}/net/{name}")));
        tables.filter_map(|table| fs::read_to_string(table).ok()).flat_map(|table| listening(&table)).collect()
    }
}

/// The number inside of a user namespace of one outside (user_namespaces(7): inside, outside, how many).
fn inside(map: &str, number: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let fields: Vec<u32> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        let [inside, outside, count] = fields.as_slice() else { return None };
        let distance = number.checked_sub(*outside).filter(|distance| distance < count)?;
        inside.checked_add(distance)
    })
}

/// Root gets what is named and nothing else. Anybody else has no capabilities, and of the bounding set is only taken away: podman would make what
/// it is told to add ambient, which a cluster does not.
fn capabilities(config: &ContainerConfig) -> Vec<String> {
    let option = |option: &str, name: &str| [option.to_owned(), name.to_owned()];
    if config.capabilities.is_empty() || config.identity.uid == 0 {
        let adds = config.capabilities.iter().flat_map(|name| option("--cap-add", name));
        return option("--cap-drop", "ALL").into_iter().chain(adds).collect();
    }
    let dropped = DEFAULT_CAPABILITIES.iter().filter(|name| !config.capabilities.contains(**name));
    dropped.flat_map(|name| option("--cap-drop", name)).collect()
}

/// Lines for a file of variables, and for those that do not fit in a line the call's own environment.
fn environment(mut call: Call, env: &[String]) -> Result<(Call, String)> {
    let mut file = String::new();
    for line in env {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let plain = !name.starts_with('#') && !name.contains(char::is_whitespace);
        // Engines differ in what they make of quotes at the beginning of a value, and of very long lines.
        if plain && !value.contains(['\n', '\r', '\0']) && !value.starts_with(['"', '\'']) && line.len() < 60_000 {
            file.push_str(&format!("{line}\n"));
        } else if means_something_to_engines(name) {
            return Err(Failure::new(format!("the variable {name} has a value that engines cannot be given")));
        } else {
            call = call.args(["--env", name]).variable(name, value);
        }
    }
    Ok((call, file))
}

/// The last part of a file, as text.
fn ending(file: &Path) -> io::Result<String> {
    let mut file = File::open(file)?;
    let from = file.metadata()?.len().saturating_sub(MOST_SAID);
    file.seek(io::SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(MOST_SAID).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn write_private(path: &PathBuf, content: &str) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(content.as_bytes())?)
}

/// The names by which a pod finds itself and every Service.
fn hosts(plan: &Plan, address: &str, name: &str) -> String {
    let mut hosts = format!("127.0.0.1\tlocalhost\n::1\tlocalhost\n{address}\t{name}\n");
    for (name, address) in plan.hosts() {
        hosts.push_str(&format!("{address}\t{name}\n"));
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::inside;
    use crate::prove::engine::call::means_something_to_engines;

    #[test]
    fn numbers_of_user_namespaces_are_mapped() {
        let map = "         0       1000          1\n         1     100000      65536\n";
        assert_eq!((inside(map, 1000), inside(map, 100_000), inside(map, 100_998)), (Some(0), Some(1), Some(999)));
        assert_eq!(inside(map, 5), None);
        assert_eq!(inside("         0          0 4294967295\n", 1000), Some(1000));
    }

    #[test]
    fn what_the_client_reads_is_not_set_for_it() {
        assert!(["PATH", "http_proxy", "DOCKER_HOST", "LD_PRELOAD"].into_iter().all(means_something_to_engines));
        assert!(!["PASSWORD", "KEY", "HOMEPAGE"].into_iter().any(means_something_to_engines));
    }
}
