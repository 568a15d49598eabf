//! One cluster, run whole: every workload under its settings, every question asked, every probe of the manifests' own put.
#![allow(clippy::disallowed_methods, reason = "what runs is waited for, which takes a clock")]

use super::changes::FolderChange;
use super::kubelet::{self, ContainerConfig, ImageVolumes, Mount, Refusal, Source, Surroundings};
use super::network::{self, Plan};
use super::node::{Disks, Image, Node, Seen};
use super::objects::{Container, ContainerProbe, Objects, Workload};
use super::probe::{Reply, Request};
use super::{Failure, Result};
use crate::config::ProbeEntry;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a container may end and be started again, with growing pauses, before it counts as broken.
const RESTARTS: u32 = 3;

/// In how many of its last lines a container tells why it fails.
const LAST_WORDS: usize = 16;

/// How many of its last lines are kept for a log.
const LOGGED: usize = 1000;

/// Between two looks at what is waited for.
const PAUSE: Duration = Duration::from_millis(200);

/// What must hold of what was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// All questions are answered, and the probes of the manifests pass; what has none accepts connections at the ports that it declares.
    Answers,
    /// It starts and stays up: nothing is asked.
    StaysUp,
}

/// What a cluster did.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It did what was demanded: the bodies of the answers in the order of the questions, and under which settings each container ran.
    Holds {
        /// The bodies.
        bodies: Vec<String>,
        /// The containers, in the order of the manifests.
        settings: Vec<Settings>,
        /// The numbers of the workloads that answered, or ended well as they must: by a question, a probe or a port. Of others it is known only that they stay up.
        asked: BTreeSet<usize>,
    },
    /// It did not.
    Fails(Box<Breakdown>),
}

/// How far an application came before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reached {
    /// An image could not be built.
    Nothing,
    /// A container was refused, ended, or does not listen.
    Built,
    /// It answers, and not as it must.
    Started,
}

/// What went wrong first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Trouble {
    /// An image could not be pulled.
    Image,
    /// A node refuses the container, in its words.
    Refused,
    /// What is never run here, such as a privileged container.
    NotRunHere,
    /// The namespaces or volumes of a pod could not be made.
    Pod,
    /// A container ends: one that should run, or one that should end well.
    Ended {
        /// Its exit code.
        code: i32,
    },
    /// One that should end does not.
    Endless,
    /// Nobody listens at a port.
    Silent {
        /// The port of the pod or, for a question, of the Service.
        port: u16,
    },
    /// A probe of the manifest fails.
    Probe,
    /// A question is answered otherwise.
    Answer,
}

/// Where and how a cluster failed.
#[derive(Clone, Debug)]
pub struct Breakdown {
    /// The number of the workload, where one is to blame.
    pub workload: Option<usize>,
    /// The container's name, where one is to blame.
    pub container: Option<String>,
    /// How far it came.
    pub reached: Reached,
    /// What kind of failure it is.
    pub trouble: Trouble,
    /// The failure, in one line or a few.
    pub reason: String,
    /// What the containers printed last. May hold what an application thinks fit to print, so it is never shown unasked.
    pub said: String,
    /// The same, with more of it: for whoever wants to read what happened.
    pub log: String,
    /// The containers that had been started by then.
    pub settings: Vec<Settings>,
}

impl fmt::Display for Breakdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.said.trim();
        if said.is_empty() { f.write_str(&self.reason) } else { write!(f, "{}\n{said}", self.reason) }
    }
}

/// What one container ran under.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The number of the workload.
    pub workload: usize,
    /// Workload and container, `web/app`.
    pub container: String,
    /// Its image, as the manifest names it.
    pub image: String,
    /// What the runtime was told.
    pub config: ContainerConfig,
    /// What its process was seen to be, while it ran.
    pub seen: Option<Seen>,
    /// How often it was started again.
    pub restarts: u32,
    /// The folders of its image, outside of every mount, in which it made, changed or removed something.
    pub writes: BTreeSet<String>,
    /// What it did there, as far as the machine tells.
    pub changes: BTreeMap<String, FolderChange>,
    /// The TCP ports that it listens on; none where that cannot be seen, or others of its pod may be the ones that do.
    pub ports: BTreeSet<u16>,
}

impl Settings {
    /// Whether they are those of the Pod Security Standard "restricted".
    pub fn is_restricted(&self) -> bool {
        let config = &self.config;
        config.identity.uid != 0
            && config.capabilities.iter().all(|name| name == "NET_BIND_SERVICE")
            && config.no_new_privileges
            && config.seccomp
    }

    /// User, groups, capabilities and switches, in words.
    pub fn in_words(&self) -> String {
        let config = &self.config;
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
        words.join(", ")
    }
}

/// One run.
pub struct Trial<'a, N> {
    /// Where.
    pub node: &'a N,
    /// What.
    pub objects: &'a Objects,
    /// What is asked.
    pub questions: &'a [ProbeEntry],
    /// The numbers of workloads that are not started.
    pub left_out: &'a BTreeSet<usize>,
    /// The numbers of workloads of which no more is demanded than to start and to stay up.
    pub watched: &'a BTreeSet<usize>,
    /// Whether workloads that nothing is asked of otherwise must accept connections at the ports that they declare.
    pub asks_ports: bool,
    /// What becomes of the volumes of images.
    pub image_volumes: ImageVolumes,
    /// What is behind claims.
    pub disks: Disks,
    /// How long each workload may take until it answers, counted from when all are started; an init container or a job has as long by itself.
    pub patience: Duration,
    /// How long it must stay up after the last answer, too.
    pub stay: Duration,
}

/// A pod that was started. Containers go before the namespaces that they are in.
struct Pod<'a, N: Node> {
    index: usize,
    workload: &'a Workload,
    containers: Vec<Started<'a, N>>,
    handle: N::Pod,
}

struct Started<'a, N: Node> {
    container: &'a Container,
    image: Image,
    config: ContainerConfig,
    handle: N::Container,
    restarts: u32,
    seen: Option<Seen>,
    /// When to start it again, while it is down.
    due: Option<Instant>,
}

/// Ends a run early: with a verdict, or because the machine failed.
enum Stop {
    Verdict(Box<Breakdown>),
    Machine(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Machine(failure)
    }
}

/// Whether a container is meant to end: not so sidecars, which are init containers that always run.
fn is_waited_for(container: &Container) -> bool {
    container.restart_policy.as_deref() != Some("Always")
}

type Step<T> = std::result::Result<T, Stop>;

/// Whose fault it is: the number of a workload, and a container's name.
type Blame<'a> = (Option<usize>, Option<&'a str>);

fn stop(blame: Blame<'_>, reached: Reached, trouble: Trouble, reason: String) -> Stop {
    let (workload, container) = blame;
    let container = container.map(str::to_owned);
    let (said, log, settings) = (String::new(), String::new(), Vec::new());
    Stop::Verdict(Box::new(Breakdown { workload, container, reached, trouble, reason, said, log, settings }))
}

impl<N: Node> Trial<'_, N> {
    /// Starts everything, asks, and takes everything down again.
    ///
    /// # Errors
    /// What the machine could not do. What an application does wrong is a verdict.
    pub fn run(&self) -> Result<Verdict> {
        let plan = self.node.plan(self.objects)?;
        let network = self.node.network(&plan, self.disks)?;
        let mut run = Run { trial: self, plan, pods: Vec::new(), asked: BTreeSet::new(), network };
        match run.attempt() {
            Ok(bodies) => {
                let settings = run.settings()?;
                if self.disks == Disks::Kept {
                    run.leave_disks()?;
                }
                Ok(Verdict::Holds { bodies, settings, asked: run.asked })
            }
            Err(Stop::Verdict(mut breakdown)) => {
                let said = |lines| run.said(breakdown.workload, breakdown.container.as_deref(), lines);
                (breakdown.said, breakdown.log) = (said(LAST_WORDS), said(LOGGED));
                breakdown.settings = run.settings()?;
                Ok(Verdict::Fails(breakdown))
            }
            Err(Stop::Machine(failure)) => Err(failure),
        }
    }
}

/// What is up. Pods go before the network that they are in.
struct Run<'a, N: Node> {
    trial: &'a Trial<'a, N>,
    plan: Plan,
    pods: Vec<Pod<'a, N>>,
    asked: BTreeSet<usize>,
    network: N::Network,
}

impl<'a, N: Node> Run<'a, N> {
    fn attempt(&mut self) -> Step<Vec<String>> {
        let Trial { objects, left_out, watched, .. } = *self.trial;
        let started = objects.workloads.iter().enumerate().filter(|(index, _)| !left_out.contains(index));
        let (ending, lasting): (Vec<_>, Vec<_>) = started.partition(|(_, workload)| workload.ends());
        // A cluster starts all at once, and an init container often waits for another pod.
        let (waiting, ready): (Vec<_>, Vec<_>) =
            lasting.into_iter().partition(|(_, workload)| workload.pod.init_containers.iter().any(is_waited_for));
        for (index, workload) in ready.into_iter().chain(waiting) {
            self.start(index, workload)?;
        }
        let deadline = Instant::now() + self.trial.patience;
        let mut bodies = Vec::new();
        let mut ready = BTreeSet::new();
        for question in self.trial.questions {
            let behind = question.place().ok().and_then(|(service, _)| self.behind(service));
            if behind.is_some_and(|index| watched.contains(&index) || left_out.contains(&index)) {
                continue;
            }
            let position = self.pods.iter().position(|pod| Some(pod.index) == behind);
            if let Some(position) = position.filter(|_| behind.is_some_and(|index| ready.insert(index))) {
                self.until_ready(position, deadline)?;
            }
            bodies.push(self.question(question, deadline)?);
            self.asked.extend(behind);
        }
        for position in 0..self.pods.len() {
            let Some(index) = self.pods.get(position).map(|pod| pod.index) else { continue };
            if watched.contains(&index) {
                continue;
            }
            let was_asked = self.own_probes(position, deadline)? || self.asked.contains(&index);
            if was_asked || self.trial.asks_ports && self.declared_ports(position, deadline)? {
                self.asked.insert(index);
            }
        }
        // What answers may end a moment later, and so may a container beside it that nobody asks.
        if !self.pods.is_empty() {
            self.stay_up()?;
        }
        for (index, workload) in ending {
            self.start(index, workload)?;
            if !watched.contains(&index) {
                self.complete()?;
                self.asked.insert(index);
            }
        }
        Ok(bodies)
    }

    /// Makes a workload's pod: namespaces, volumes, init containers one after the other, then the containers together.
    fn start(&mut self, index: usize, workload: &'a Workload) -> Step<()> {
        let Trial { node, objects, .. } = *self.trial;
        let plan = self.plan.clone();
        let whole: Blame<'_> = (Some(index), None);
        if let Some(volume) = workload.pod.volumes.iter().find(|volume| !volume.is_made_here()) {
            let reason = format!("volume {} is of a kind that is not made here", volume.name);
            return Err(stop(whole, Reached::Built, Trouble::NotRunHere, reason));
        }
        let handle = node
            .pod(&self.network, &plan, index, workload, &objects.data)
            .map_err(|failure| self.stop_unless_asked(whole, Trouble::Pod, format!("{}: {failure}", workload.name)))?;
        self.pods.push(Pod { index, workload, containers: Vec::new(), handle });
        let init = workload.pod.init_containers.iter().map(|container| (container, is_waited_for(container)));
        for (container, waits) in init.chain(workload.pod.containers.iter().map(|container| (container, false))) {
            node.interrupted()?;
            let blame: Blame<'_> = (Some(index), Some(&container.name));
            let name = container.built.as_ref().unwrap_or(&container.image);
            let image = node
                .image(name)
                .map_err(|error| self.stop_unless_asked(blame, Trouble::Image, format!("ErrImagePull: {error}")))?;
            let around = Surroundings {
                objects,
                workload,
                pod_address: plan.pods.get(index).map(String::as_str).unwrap_or_default(),
                service_addresses: &plan.service_addresses,
                image_volumes: self.trial.image_volumes,
            };
            let mut config = kubelet::configure(around, container, &image.config, &image.accounts).map_err(
                |refusal| match refusal {
                    Refusal::Node(reason) => {
                        let reason = format!("{}: {reason}", workload.name);
                        stop(blame, Reached::Built, Trouble::Refused, reason)
                    }
                    Refusal::NotHere(reason) => stop(blame, Reached::Built, Trouble::NotRunHere, reason),
                },
            )?;
            config.capabilities.retain(|name| !node.withholds(name));
            let Some(pod) = self.pods.last_mut() else { continue };
            let handle = node.start(&pod.handle, &container.name, &image, &config)?;
            pod.containers.push(Started { container, image, config, handle, restarts: 0, seen: None, due: None });
            self.after_start(blame)?;
            if waits {
                self.finish("init container")?;
                // What it wrote is not the pod's own doing later on, and it is not started again.
                if let Some(pod) = self.pods.last_mut() {
                    pod.containers.pop();
                }
            }
        }
        Ok(())
    }

    /// Runs the command that the last container has for the moment after its start. A container whose command fails is ended by the kubelet
    /// (<https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/>).
    fn after_start(&self, blame: Blame<'_>) -> Step<()> {
        let Some((pod, started)) = self.pods.last().and_then(|pod| Some((pod, pod.containers.last()?))) else {
            return Ok(());
        };
        let hook = started.container.lifecycle.post_start.as_ref();
        let Some(exec) = hook.and_then(|hook| hook.exec.as_ref()) else { return Ok(()) };
        if self.trial.node.exec(&started.handle, &exec.command)? {
            return Ok(());
        }
        let (workload, command) = (&pod.workload.name, exec.in_short());
        Err(stop(blame, Reached::Built, Trouble::Probe, format!("{workload}: FailedPostStartHook: {command}")))
    }

    /// A verdict about what failed, unless it failed because somebody wants the proof to end.
    fn stop_unless_asked(&self, blame: Blame<'_>, trouble: Trouble, reason: String) -> Stop {
        let asked = self.trial.node.interrupted().err();
        asked.map_or_else(|| stop(blame, Reached::Built, trouble, reason), Stop::Machine)
    }

    /// Asks until somebody answers; a wrong answer is an answer.
    fn question(&mut self, question: &ProbeEntry, deadline: Instant) -> Step<String> {
        let asked = format!("{} {}", question.method, question.path);
        let (service, number) = question.place().map_err(Failure::new)?;
        let address = self.plan.service_addresses.get(service);
        let blame: Blame<'_> = (self.behind(service), None);
        let address = address.ok_or_else(|| {
            let reason = format!("no workload is behind the service {service}");
            stop(blame, Reached::Built, Trouble::Silent { port: number }, reason)
        })?;
        let request = Request {
            address: format!("{address}:{number}"),
            host: question.service.clone(),
            method: question.method.clone(),
            path: question.path.clone(),
            headers: question.headers.clone(),
            body: question.body.clone(),
        };
        match self.patiently(&request, deadline)? {
            Reply::Answer { status, body } if status == question.status && body.contains(&question.contains) => {
                Ok(body)
            }
            Reply::Answer { status, body } => {
                let reason = format!("{asked}: {status} {}", body.trim());
                Err(stop(blame, Reached::Started, Trouble::Answer, reason))
            }
            Reply::Silence(reason) => {
                Err(stop(blame, Reached::Built, Trouble::Silent { port: number }, format!("{asked}: {reason}")))
            }
        }
    }

    /// The number of the workload behind a Service.
    fn behind(&self, service: &str) -> Option<usize> {
        let address = match self.plan.services.iter().find(|route| route.service == service) {
            Some(route) => &route.pod,
            None => self.plan.service_addresses.get(service)?,
        };
        self.plan.pods.iter().position(|pod| pod == address)
    }

    /// Repeats a question while nobody is there and time is left, and keeps the containers going meanwhile.
    fn patiently(&mut self, request: &Request, deadline: Instant) -> Step<Reply> {
        loop {
            self.supervise()?;
            let reply = self.trial.node.ask(&self.network, request)?;
            if !reply.not_yet() || Instant::now() > deadline {
                return Ok(reply);
            }
            sleep(PAUSE);
        }
    }

    /// Watches for as long as is demanded. A container that ended counts as up when it was started again and stayed.
    fn stay_up(&mut self) -> Step<()> {
        let mut until = Instant::now() + self.trial.stay;
        while Instant::now() < until {
            if self.supervise()? {
                until = Instant::now() + self.trial.stay;
            }
            sleep(PAUSE);
        }
        Ok(())
    }

    /// Starts ended containers again after 1, 2, 4... seconds, as a node does, and gives up on those that keep ending. Whether one is down.
    fn supervise(&mut self) -> Step<bool> {
        let node = self.trial.node;
        node.interrupted()?;
        let mut down = false;
        for pod in &mut self.pods {
            for started in &mut pod.containers {
                let Some(code) = node.ended(&mut started.handle)? else {
                    started.seen = node.seen(&started.handle).or(started.seen.take());
                    continue;
                };
                let name = &started.container.name;
                let policy = pod.workload.pod.restart_policy.as_deref().unwrap_or("Always");
                if code == 0 && policy != "Always" && is_waited_for(started.container) {
                    continue;
                }
                if policy == "Never" && is_waited_for(started.container) {
                    let reason = format!("{}/{name}: exit {code}", pod.workload.name);
                    let blame: Blame<'_> = (Some(pod.index), Some(name));
                    return Err(stop(blame, Reached::Built, Trouble::Ended { code }, reason));
                }
                down = true;
                if started.restarts >= RESTARTS {
                    let reason = format!("{}/{name}: CrashLoopBackOff, exit {code}", pod.workload.name);
                    let blame: Blame<'_> = (Some(pod.index), Some(name));
                    return Err(stop(blame, Reached::Built, Trouble::Ended { code }, reason));
                }
                match started.due {
                    Some(due) if due <= Instant::now() => {
                        node.restart(&pod.handle, name, &started.image, &started.config, &mut started.handle)?;
                        started.restarts += 1;
                        started.due = None;
                    }
                    Some(_) => {}
                    None => started.due = Some(Instant::now() + Duration::from_secs(1 << started.restarts)),
                }
            }
        }
        Ok(down)
    }

    /// What declares ports and no probe accepts connections at each of them. Whether it declares any.
    fn declared_ports(&mut self, position: usize, deadline: Instant) -> Step<bool> {
        let Some(pod) = self.pods.get(position) else { return Ok(false) };
        let (index, workload) = (pod.index, pod.workload);
        let address = self.plan.pods.get(index).cloned().unwrap_or_default();
        let mut any = false;
        for container in &workload.pod.containers {
            for port in container.ports.iter().filter(|port| port.is_tcp()).map(|port| port.container_port) {
                any = true;
                let request =
                    Request { address: format!("{address}:{port}"), host: address.clone(), ..Request::default() };
                if let Reply::Silence(reason) = self.patiently(&request, deadline)? {
                    let reason =
                        format!("{}: nobody listens at port {port}, which it declares: {reason}", workload.name);
                    let blame: Blame<'_> = (Some(index), Some(&container.name));
                    return Err(stop(blame, Reached::Built, Trouble::Silent { port }, reason));
                }
            }
        }
        Ok(any)
    }

    /// The startup, readiness and liveness probes that the manifests themselves declare must pass too. Whether there are any.
    fn own_probes(&mut self, position: usize, deadline: Instant) -> Step<bool> {
        let all = self.probes(position, |container| {
            vec![&container.startup_probe, &container.readiness_probe, &container.liveness_probe]
        });
        let mut any = false;
        for (number, container, probe) in all {
            any |= self.put(position, number, container, probe, deadline)?;
        }
        Ok(any)
    }

    /// Waits until the pod is ready: before that, no Service leads to it
    /// (<https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#types-of-probe>). One that does not become ready is asked all the same, so that
    /// what it answers is told.
    fn until_ready(&mut self, position: usize, deadline: Instant) -> Step<()> {
        for (number, container, probe) in self.probes(position, |container| vec![&container.readiness_probe]) {
            match self.put(position, number, container, probe, deadline) {
                Err(Stop::Verdict(breakdown))
                    if matches!(breakdown.trouble, Trouble::Probe | Trouble::Silent { .. }) => {}
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// The probes of a pod of these kinds, each with its container and that one's number.
    fn probes(
        &self,
        position: usize,
        kinds: impl Fn(&'a Container) -> Vec<&'a Option<ContainerProbe>>,
    ) -> Vec<(usize, &'a Container, &'a ContainerProbe)> {
        let containers = self.pods.get(position).into_iter().flat_map(|pod| &pod.containers);
        let numbered = containers.map(|started| started.container).enumerate();
        numbered
            .flat_map(|(number, container)| {
                kinds(container).into_iter().flatten().map(move |probe| (number, container, probe))
            })
            .collect()
    }

    /// Puts one probe until it passes, as long as a kubelet would. Whether there is anything to put.
    fn put(
        &mut self,
        position: usize,
        number: usize,
        container: &Container,
        probe: &ContainerProbe,
        deadline: Instant,
    ) -> Step<bool> {
        let Some(pod) = self.pods.get(position) else { return Ok(false) };
        let (index, workload) = (pod.index, pod.workload);
        let address = self.plan.pods.get(index).cloned().unwrap_or_default();
        let refused = |trouble: Trouble, reason: String| {
            let reason = format!("{}: a probe of the manifest fails: {reason}", workload.name);
            stop((Some(index), Some(&container.name)), Reached::Started, trouble, reason)
        };
        // What is not ready yet may say so in any way.
        let until = deadline.min(Instant::now() + probe.allowance());
        if let Some(exec) = &probe.exec {
            if !self.exec_patiently(position, number, &exec.command, until)? {
                return Err(refused(Trouble::Probe, exec.in_short()));
            }
            return Ok(true);
        }
        let Some(port) = probe.port() else { return Ok(false) };
        let port = network::resolve(&port, std::slice::from_ref(container))
            .ok_or_else(|| refused(Trouble::Probe, "no port has that name".to_owned()))?;
        let mut request = Request { address: format!("{address}:{port}"), host: address.clone(), ..Request::default() };
        // Of what speaks TLS or gRPC it is asked whether it accepts connections.
        if let Some(get) = probe.http_get.as_ref().filter(|get| !get.scheme.eq_ignore_ascii_case("https")) {
            "GET".clone_into(&mut request.method);
            request.path = if get.path.is_empty() { "/".to_owned() } else { get.path.clone() };
            for header in &get.http_headers {
                match header.name.eq_ignore_ascii_case("host") {
                    true => request.host.clone_from(&header.value),
                    false => drop(request.headers.insert(header.name.clone(), header.value.clone())),
                }
            }
        }
        loop {
            match self.patiently(&request, deadline)? {
                Reply::Answer { status: 200..=399, .. } => return Ok(true),
                Reply::Answer { .. } if Instant::now() < until => sleep(PAUSE),
                Reply::Answer { status, .. } => {
                    return Err(refused(Trouble::Probe, format!("{}: {status}", request.path)));
                }
                Reply::Silence(reason) => {
                    return Err(refused(Trouble::Silent { port }, format!("port {port}: {reason}")));
                }
            }
        }
    }

    /// Repeats a command in a container while it fails and time is left. Whether it succeeded.
    fn exec_patiently(&mut self, position: usize, number: usize, command: &[String], until: Instant) -> Step<bool> {
        loop {
            self.supervise()?;
            let started = self.pods.get(position).and_then(|pod| pod.containers.get(number));
            let started = started.ok_or_else(|| Failure::new("a container is gone"))?;
            let is_up = started.due.is_none();
            if is_up && self.trial.node.exec(&started.handle, command)? {
                return Ok(true);
            }
            if Instant::now() > until {
                return Ok(false);
            }
            sleep(PAUSE);
        }
    }

    /// Waits for every container of the last pod, a job's; each must end well.
    fn complete(&mut self) -> Step<()> {
        self.finish("job")
    }

    /// Waits for the containers of the last pod that are to end, newest first, and for every one of a job.
    fn finish(&mut self, what: &str) -> Step<()> {
        let deadline = Instant::now() + self.trial.patience;
        let node = self.trial.node;
        let Some(pod) = self.pods.last_mut() else { return Ok(()) };
        let only_last = what != "job";
        let skipped = if only_last { pod.containers.len().saturating_sub(1) } else { 0 };
        // Sidecars of a job end when it has.
        for started in pod.containers.iter_mut().skip(skipped).filter(|started| is_waited_for(started.container)) {
            let name = &started.container.name;
            let blame: Blame<'_> = (Some(pod.index), Some(name));
            loop {
                node.interrupted()?;
                match node.ended(&mut started.handle)? {
                    Some(0) => break,
                    Some(code) => {
                        let reason = format!("{what} {name}: exit {code}");
                        return Err(stop(blame, Reached::Built, Trouble::Ended { code }, reason));
                    }
                    None if Instant::now() > deadline => {
                        let reason = format!("{what} {name} does not end");
                        return Err(stop(blame, Reached::Built, Trouble::Endless, reason));
                    }
                    None => {
                        started.seen = node.seen(&started.handle).or(started.seen.take());
                        sleep(PAUSE / 4);
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends what writes to disks in the way that keeps them whole.
    fn leave_disks(&mut self) -> Result<()> {
        for pod in &mut self.pods {
            let disks: BTreeSet<&str> = pod.workload.disks().collect();
            let on_disk =
                |mount: &Mount| matches!(&mount.source, Source::Volume { name, .. } if disks.contains(name.as_str()));
            for started in pod.containers.iter_mut().filter(|started| started.config.mounts.iter().any(on_disk)) {
                self.trial.node.stop(&mut started.handle)?;
            }
        }
        Ok(())
    }

    /// What the one to blame printed last, or everybody where nobody is.
    fn said(&self, workload: Option<usize>, container: Option<&str>, lines: usize) -> String {
        let to_blame = |pod: &&Pod<'_, N>| workload.is_none_or(|index| index == pod.index) || container.is_none();
        let containers = self.pods.iter().filter(to_blame).flat_map(|pod| &pod.containers);
        let containers = containers.filter(|started| container.is_none_or(|name| name == started.container.name));
        containers.map(|started| self.trial.node.said(&started.handle, lines)).collect::<Vec<_>>().join("\n")
    }

    fn settings(&self) -> Result<Vec<Settings>> {
        let mut settings = Vec::new();
        let mut pods: Vec<&Pod<'_, N>> = self.pods.iter().collect();
        pods.sort_by_key(|pod| pod.index);
        for pod in pods {
            for started in &pod.containers {
                let is_alone = pod.containers.len() == 1;
                let ports = if is_alone { self.trial.node.listens(&started.handle) } else { BTreeSet::new() };
                settings.push(Settings {
                    workload: pod.index,
                    container: format!("{}/{}", pod.workload.name, started.container.name),
                    image: started.container.image.clone(),
                    config: started.config.clone(),
                    seen: started.seen.clone(),
                    restarts: started.restarts,
                    writes: self.trial.node.writes(&started.handle, &started.config)?,
                    changes: self.trial.node.changes(&started.handle, &started.config)?,
                    ports,
                });
            }
        }
        Ok(settings)
    }
}
