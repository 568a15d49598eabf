//! One tree, run whole: every workload under its settings, every question asked, every probe of the manifests' own put.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::application::{Application, Probe};
use crate::build::{self, Images};
use crate::kubelet::{self, ContainerConfig, ImageVolumes, Surroundings};
use crate::lab::{Lab, Result};
use crate::manifest::{Container, ContainerProbe, Manifests, Workload};
use crate::network::{self, Network, Sandbox};
use crate::probe::{self, Reply, Request};
use crate::runtime::{self, Running};
use crate::volumes;

/// How long an application may take until it answers: a database makes its files in that time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often a container may end and be started again, with growing pauses, before it counts as broken.
const RESTARTS: u32 = 3;

/// What a tree did.
pub(crate) enum Verdict {
    /// It started and answered everything: the bodies in order, and under which settings each container ran.
    Answers { bodies: Vec<String>, settings: Vec<Settings> },
    /// It did not, how far it came, and why: the node's refusal, or what was wrong and what the containers printed.
    Fails { reached: Reached, reason: String },
}

/// How far an application came before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reached {
    /// An image could not be built.
    Nothing,
    /// A container was refused, ended, or does not listen.
    Built,
    /// It answers, and not as it must.
    Started,
}

/// What one container ran under.
pub(crate) struct Settings {
    /// Workload and container, `web/app`.
    pub(crate) container: String,
    /// Its image, as the manifest names it.
    pub(crate) image: String,
    /// The settings in words.
    pub(crate) words: String,
    /// Whether they are those of the Pod Security Standard "restricted".
    pub(crate) restricted: bool,
    /// Whether it could write to mounts only.
    pub(crate) read_only_root: bool,
    /// The folders of its image, outside of every mount, in which it made, changed or removed something.
    pub(crate) writes: BTreeSet<String>,
}

impl Settings {
    /// All of it, for the table.
    pub(crate) fn in_words(&self) -> String {
        if self.writes.is_empty() {
            return self.words.clone();
        }
        let folders: Vec<&str> = self.writes.iter().map(String::as_str).collect();
        format!("{}; writes {}", self.words, folders.join(" "))
    }
}

/// The question of one run.
pub(crate) struct Trial<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) images: &'a Images<'a>,
    pub(crate) application: &'a Application,
    /// What is asked; the application's own list, or a part of it.
    pub(crate) probes: &'a [Probe],
    /// The files that the application's images are built from.
    pub(crate) tree: &'a Path,
    /// The documents of its manifests.
    pub(crate) documents: &'a [Value],
    pub(crate) image_volumes: ImageVolumes,
    /// The folder that stands for the cluster's disks.
    pub(crate) claims: &'a Path,
}

/// A pod that was started. Containers go before the namespaces that they are in.
struct Pod<'a> {
    workload: &'a Workload,
    containers: Vec<Started<'a>>,
    sandbox: Sandbox,
}

struct Started<'a> {
    container: &'a Container,
    config: ContainerConfig,
    running: Running,
    /// When to start it again, while it is down.
    due: Option<Instant>,
}

/// Ends a run early with a verdict, or the lab with an error.
enum Stop {
    Verdict(Reached, String),
    Lab(Box<dyn std::error::Error + Send + Sync>),
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Lab(error.into())
    }
}

type Step<T> = std::result::Result<T, Stop>;

impl Trial<'_> {
    /// Builds, starts, asks, and takes everything down again.
    pub(crate) fn run(&self) -> Result<Verdict> {
        match self.attempt() {
            Ok(verdict) => Ok(verdict),
            Err(Stop::Verdict(reached, reason)) => Ok(Verdict::Fails { reached, reason }),
            Err(Stop::Lab(error)) => Err(error),
        }
    }

    fn attempt(&self) -> Step<Verdict> {
        let mut built = BTreeMap::new();
        for image in &self.application.images {
            let name = build::build(self.lab, self.tree, image)
                .map_err(|error| Stop::Verdict(Reached::Nothing, error.to_string()))?;
            built.insert(image.name.as_str(), name);
        }
        let manifests = Manifests::read(self.documents)?;
        let network = Network::open(&manifests)?;
        let mut pods = Vec::new();
        for (index, workload) in manifests.workloads.iter().enumerate().filter(|(_, workload)| !workload.ends()) {
            pods.push(self.start(index, workload, &manifests, &network, &built)?);
        }
        let deadline = Instant::now() + PATIENCE;
        let mut bodies = Vec::new();
        for probe in self.probes {
            bodies.push(self.question(probe, &network, &mut pods, deadline)?);
        }
        for index in 0..pods.len() {
            own_probes(index, &network, &mut pods, deadline)?;
        }
        for (index, workload) in manifests.workloads.iter().enumerate().filter(|(_, workload)| workload.ends()) {
            let mut pod = self.start(index, workload, &manifests, &network, &built)?;
            complete(&mut pod)?;
            pods.push(pod);
        }
        let mut settings = Vec::new();
        for pod in &pods {
            for started in &pod.containers {
                settings.push(settings_in_force(started, pod.workload)?);
            }
        }
        Ok(Verdict::Answers { bodies, settings })
    }

    /// Makes a workload's pod: namespaces, volumes, init containers one after the other, then the containers together.
    fn start<'a>(
        &self,
        index: usize,
        workload: &'a Workload,
        manifests: &Manifests,
        network: &Network,
        built: &BTreeMap<&str, String>,
    ) -> Step<Pod<'a>> {
        let sysctls = &workload.pod.security_context.sysctls;
        let sysctls: Vec<_> = sysctls.iter().map(|sysctl| (sysctl.name.clone(), sysctl.value.clone())).collect();
        let sandbox = network.pod(index, &workload.name, &sysctls)?;
        let scratch = self.lab.scratch(&self.application.name, &format!("pod-{index}"))?;
        fs::write(scratch.join("hosts"), network.hosts(&sandbox, &workload.name))?;
        fs::write(scratch.join("hostname"), format!("{}\n", workload.name))?;
        fs::write(scratch.join("resolv.conf"), "")?;
        let volumes = volumes::prepare(workload, &manifests.data, &scratch, self.claims)?;
        let mut pod = Pod { workload, containers: Vec::new(), sandbox };
        let waits = |container: &&Container| container.restart_policy.as_deref() != Some("Always");
        let init = workload.pod.init_containers.iter().map(|container| (container, waits(&container)));
        for (container, waits) in init.chain(workload.pod.containers.iter().map(|container| (container, false))) {
            let name = built.get(container.image.as_str()).unwrap_or(&container.image);
            let image = self
                .images
                .open(name)
                .map_err(|error| Stop::Verdict(Reached::Built, format!("ErrImagePull: {error}")))?;
            let own = scratch.join(&container.name);
            fs::create_dir_all(&own)?;
            let around = Surroundings {
                manifests,
                pod: &workload.pod,
                pod_name: &workload.name,
                pod_address: &pod.sandbox.address,
                service_addresses: &network.service_addresses,
                volumes: &volumes,
                scratch: &own,
                image_volumes: self.image_volumes,
            };
            let config = kubelet::configure(&around, container, &image.config, &image.root)?
                .map_err(|refusal| Stop::Verdict(Reached::Built, format!("{}: {refusal}", workload.name)))?;
            let id = format!("{}-{index}-{}", self.application.name, container.name);
            let bundle = own.join("bundle");
            let running = runtime::start(self.lab, &id, &config, &bundle, &pod.sandbox, &scratch, &image.root)?;
            let mut started = Started { container, config, running, due: None };
            if waits {
                finish(&mut started, "init container")?;
            } else {
                pod.containers.push(started);
            }
        }
        Ok(pod)
    }

    /// Asks until somebody answers; a wrong answer is an answer.
    fn question(&self, probe: &Probe, network: &Network, pods: &mut [Pod<'_>], deadline: Instant) -> Step<String> {
        let asked = format!("{} {}", probe.method, probe.path);
        let (service, port) = probe.service.split_once(':').ok_or("a probe's service is NAME:PORT")?;
        let address = network.service_addresses.get(service);
        let address = address
            .ok_or_else(|| Stop::Verdict(Reached::Built, format!("no workload is behind the service {service}")))?;
        let request = Request {
            address: format!("{address}:{port}"),
            host: probe.service.clone(),
            method: probe.method.clone(),
            path: probe.path.clone(),
            headers: probe.headers.clone(),
            body: probe.body.clone(),
        };
        match patiently(&request, network, pods, deadline)? {
            Reply::Answer { status, body } if status == probe.status && body.contains(&probe.contains) => Ok(body),
            Reply::Answer { status, body } => {
                Err(Stop::Verdict(Reached::Started, format!("{asked}: {status} {}\n{}", body.trim(), all_said(pods))))
            }
            Reply::Silence(reason) => {
                Err(Stop::Verdict(Reached::Built, format!("{asked}: {reason}\n{}", all_said(pods))))
            }
        }
    }
}

/// Repeats a question while nobody is there and time is left, and keeps the containers going meanwhile.
fn patiently(request: &Request, network: &Network, pods: &mut [Pod<'_>], deadline: Instant) -> Step<Reply> {
    loop {
        supervise(pods)?;
        let reply = probe::ask(network, request)?;
        if !reply.not_yet() || Instant::now() > deadline {
            return Ok(reply);
        }
        sleep(Duration::from_millis(200));
    }
}

/// Starts ended containers again after 1, 2, 4... seconds, as a node does, and gives up on those that keep ending.
fn supervise(pods: &mut [Pod<'_>]) -> Step<()> {
    for pod in pods {
        for started in &mut pod.containers {
            let Some(code) = started.running.ended()? else { continue };
            let restarts = started.running.restarts;
            if restarts >= RESTARTS {
                let said = started.running.said(16);
                let name = &started.container.name;
                return Err(Stop::Verdict(
                    Reached::Built,
                    format!("{}/{name}: CrashLoopBackOff, exit {code}\n{said}", pod.workload.name),
                ));
            }
            match started.due {
                Some(due) if due <= Instant::now() => {
                    started.running.restart()?;
                    started.due = None;
                }
                Some(_) => {}
                None => started.due = Some(Instant::now() + Duration::from_secs(1 << restarts)),
            }
        }
    }
    Ok(())
}

/// The startup, readiness and liveness probes that the manifests themselves declare must pass too.
fn own_probes(index: usize, network: &Network, pods: &mut [Pod<'_>], deadline: Instant) -> Step<()> {
    let Some(pod) = pods.get(index) else { return Ok(()) };
    let (name, address) = (pod.workload.name.clone(), pod.sandbox.address.clone());
    let containers = &pod.workload.pod.containers;
    let all: Vec<(usize, ContainerProbe)> = containers
        .iter()
        .enumerate()
        .flat_map(|(number, container)| {
            [&container.startup_probe, &container.readiness_probe, &container.liveness_probe]
                .into_iter()
                .flatten()
                .map(move |probe| (number, probe.clone()))
        })
        .collect();
    for (number, probe) in all {
        let refused = |reason: String| {
            Stop::Verdict(Reached::Started, format!("{name}: a probe of the manifest fails: {reason}"))
        };
        if let Some(exec) = &probe.exec {
            let started = pods.get(index).and_then(|pod| pod.containers.get(number)).ok_or("the container is gone")?;
            if !started.running.exec(&exec.command)? {
                return Err(refused(exec.command.join(" ")));
            }
            continue;
        }
        let http = probe.http_get.as_ref().map(|get| (&get.port, "GET", get.path.as_str()));
        let Some((port, method, path)) = http.or(probe.tcp_socket.as_ref().map(|tcp| (&tcp.port, "", ""))) else {
            continue;
        };
        let containers = pods.get(index).map(|pod| pod.workload.pod.containers.as_slice()).unwrap_or_default();
        let port = network::resolve(port, containers).ok_or_else(|| refused("no port has that name".to_owned()))?;
        let request = Request {
            address: format!("{address}:{port}"),
            host: address.clone(),
            method: method.to_owned(),
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            ..Request::default()
        };
        match patiently(&request, network, pods, deadline)? {
            Reply::Answer { status: 200..=399, .. } => {}
            Reply::Answer { status, .. } => return Err(refused(format!("{path}: {status}"))),
            Reply::Silence(reason) => return Err(refused(format!("port {port}: {reason}"))),
        }
    }
    Ok(())
}

/// Waits for every container of a job; each must end well.
fn complete(pod: &mut Pod<'_>) -> Step<()> {
    pod.containers.iter_mut().try_for_each(|started| finish(started, "job"))
}

fn finish(started: &mut Started<'_>, what: &str) -> Step<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match started.running.ended()? {
            Some(0) => return Ok(()),
            Some(code) => {
                let said = started.running.said(12);
                return Err(Stop::Verdict(
                    Reached::Built,
                    format!("{what} {}: exit {code}\n{said}", started.container.name),
                ));
            }
            None if Instant::now() > deadline => {
                return Err(Stop::Verdict(Reached::Built, format!("{what} {} does not end", started.container.name)));
            }
            None => sleep(Duration::from_millis(50)),
        }
    }
}

fn all_said(pods: &[Pod<'_>]) -> String {
    let containers = pods.iter().flat_map(|pod| &pod.containers);
    containers.map(|started| started.running.said(8)).collect::<Vec<_>>().join("\n")
}

/// The settings, after a look at the running process: the lab must have done what it was told.
fn settings_in_force(started: &Started<'_>, workload: &Workload) -> Result<Settings> {
    let config = &started.config;
    if !workload.ends() {
        let check = |field: &str, expected: &str| match started.running.status(field) {
            Some(found) if found == expected => Ok(()),
            found => Err(format!("{}: {field} is {found:?} and not {expected}", started.container.name)),
        };
        check("NoNewPrivs", if config.no_new_privileges { "1" } else { "0" })?;
        check("Seccomp", if config.seccomp { "2" } else { "0" })?;
        check("CapAmb", "0000000000000000")?;
        let bounding = started.running.status("CapBnd").unwrap_or_default();
        let bounding = u64::from_str_radix(&bounding, 16)?.count_ones() as usize;
        if bounding != config.capabilities.len() {
            return Err(format!("{}: {bounding} capabilities are in reach", started.container.name).into());
        }
    }
    let identity = &config.identity;
    let groups: Vec<String> = identity.groups.iter().map(u32::to_string).collect();
    let mut words = vec![format!("{}:{}", identity.uid, identity.gid)];
    if !groups.is_empty() {
        words.push(format!("groups {}", groups.join(" ")));
    }
    let names: Vec<&str> = config.capabilities.iter().map(String::as_str).collect();
    words.push(match names.len() {
        0 => "no capabilities".to_owned(),
        1..=3 => names.join(" "),
        count => format!("{count} capabilities"),
    });
    for (holds, word) in [
        (config.no_new_privileges, "no new privileges"),
        (config.seccomp, "seccomp"),
        (config.read_only_root, "read-only root"),
    ] {
        if holds {
            words.push(word.to_owned());
        }
    }
    let restricted = identity.uid != 0
        && names.iter().all(|name| *name == "NET_BIND_SERVICE")
        && config.no_new_privileges
        && config.seccomp;
    let container = format!("{}/{}", workload.name, started.container.name);
    let writes = started.running.writes(config)?;
    let image = started.container.image.clone();
    Ok(Settings {
        container,
        image,
        words: words.join(", "),
        restricted,
        read_only_root: config.read_only_root,
        writes,
    })
}
