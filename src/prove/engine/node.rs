//! The user's engine as a [`Node`]: what the kubelet and its runtime would do, in words of the engine's command line.
//!
//! Nothing that runs here has more than a cluster gives by default: no privileged container, no capability beyond the runtime's default set, no
//! way out of the cluster's network. It has less in one respect: the engine's own default seccomp profile stays on also where a manifest asks for none.

use super::held::{Held, Thing};
use super::pods::{Container, Pod};
use super::subnet::Subnet;
use super::talk::Talk;
use super::{Call, Engine, Kind, own_image};
use crate::prove::changes::FolderChange;
use crate::prove::inside::Order;
use crate::prove::kubelet::{ContainerConfig, DEFAULT_CAPABILITIES};
use crate::prove::network::Plan;
use crate::prove::node::{Disks, Image, Node, Seen};
use crate::prove::objects::{Data, Objects, Workload};
use crate::prove::probe::{Reply, Request};
use crate::prove::{Failure, Result, interrupt};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many networks are tried before the engine's own words are believed.
const TRIES: usize = 8;

/// How many seconds a container has to end when it is asked to; a kubelet gives it 30 where nothing else is said.
const GRACE: &str = "10";

/// How long a command in a container may take.
const EXEC_LIMIT: Duration = Duration::from_secs(20);

/// An engine that runs clusters one after the other or at the same time.
#[derive(Debug)]
pub struct EngineNode {
    pub(super) engine: Engine,
    /// The run's throw-away folder on the host.
    pub(super) folder: PathBuf,
    images: Mutex<BTreeMap<String, Image>>,
    numbers: AtomicUsize,
    /// Makes and removes volumes, as root of the engine's containers.
    keeper: Mutex<Talk>,
    /// Goes after the containers that were started from it.
    helper: Held,
}

/// A cluster's network. Helpers go before the network that they are in.
#[derive(Debug)]
pub struct Network {
    /// Asks from inside the network.
    asker: Mutex<Talk>,
    _relays: Vec<Held>,
    pub(super) held: Held,
    /// The cluster's folder: pods, each in one of its own.
    pub(super) folder: PathBuf,
    /// The folder of its disks.
    pub(super) disks: PathBuf,
}

impl EngineNode {
    /// Builds the image of the helper containers from `program`, which is this program, and starts the one that makes volumes. `folder` is a throw-away
    /// folder on the host; whoever made it removes it, after this value has ended.
    ///
    /// # Errors
    /// What the engine says.
    pub fn new(engine: &Engine, folder: &Path, program: &Path) -> Result<Self> {
        let helper = own_image::build(engine, folder, program)?;
        let numbers = AtomicUsize::new(0);
        let name = format!("unroot-{}-keeper", engine.run);
        let label = engine.label();
        let place = bind(folder, &folder.display().to_string(), false);
        let call = engine.call("run").args(["--interactive", "--pull=never", "--name", &name, "--label", &label]);
        let call = call.args(["--network", "none", "--read-only", "--volume", &place]).args([helper.name(), "serve"]);
        let keeper = Talk::start(call, Held::new(engine, Thing::Container, name))?;
        Ok(Self {
            engine: engine.clone(),
            folder: folder.to_owned(),
            images: Mutex::default(),
            numbers,
            keeper: Mutex::new(keeper),
            helper,
        })
    }

    /// A name that nothing else has.
    pub(super) fn name(&self, what: &str) -> String {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
        format!("unroot-{}-{number}-{}", self.engine.run, what.chars().map(plain).collect::<String>())
    }

    /// What everything of this run is known by.
    pub(super) fn labels(&self, name: &str) -> [String; 4] {
        ["--name".to_owned(), name.to_owned(), "--label".to_owned(), self.engine.label()]
    }

    /// A detached or attached start of a helper container.
    pub(super) fn helper_call(&self, mode: &str, name: &str) -> Call {
        let call = self.engine.call("run").args([mode, "--pull=never", "--read-only"]).args(self.labels(name));
        if self.engine.kind == Kind::Podman { call.arg("--no-hosts") } else { call }
    }

    /// The image of the helper containers.
    pub(super) fn helper(&self) -> &str {
        self.helper.name()
    }

    /// Has root's helper carry out an order.
    pub(super) fn keep<T: serde::de::DeserializeOwned>(&self, order: &Order) -> Result<T> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner).order(order)
    }

    /// The folder of a cluster's disks, below its own folder unless they are kept.
    fn make_disks(&self, disks: Disks, cluster: &Path) -> Result<PathBuf> {
        let (kept, own) = (self.folder.join("cluster-kept"), cluster.join("disks"));
        match disks {
            Disks::New => Ok(own),
            Disks::Kept => {
                self.keep::<()>(&Order::Remove(kept.clone()))?;
                Ok(kept)
            }
            Disks::Old => {
                self.keep::<()>(&Order::Copy { from: kept, to: own.clone() })?;
                Ok(own)
            }
        }
    }

    fn create_network(&self, subnet: Subnet) -> Result<Held> {
        let held = Held::new(&self.engine, Thing::Network, self.name("network"));
        let label = self.engine.label();
        let mut call = self.engine.call("network").args(["create", "--subnet", &subnet.text(), "--label", &label]);
        match self.engine.kind {
            Kind::Docker => call = call.arg("--internal"),
            // Names are in /etc/hosts.
            Kind::Podman => call = call.args(["--internal", "--disable-dns"]),
            // It has no networks without a way out.
            Kind::Nerdctl => {}
        }
        call.arg(held.name()).text()?;
        Ok(held)
    }
}

impl Drop for EngineNode {
    fn drop(&mut self) {
        // Files of other users can be removed by root only; the rest is for whoever made the folder.
        for entry in self.folder.read_dir().into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("cluster-") {
                drop(self.keep::<()>(&Order::Remove(entry.path())));
            }
        }
    }
}

/// A folder or file of the host at a place in a container, shared between them where labels of SELinux would keep them apart.
pub(super) fn bind(source: &Path, destination: &str, read_only: bool) -> String {
    let mut options = vec![if read_only { "ro" } else { "rw" }];
    if Path::new("/sys/fs/selinux/enforce").exists() {
        options.push("z");
    }
    format!("{}:{destination}:{}", source.display(), options.join(","))
}

impl Node for EngineNode {
    type Network = Network;
    type Pod = Pod;
    type Container = Container;

    fn image(&self, name: &str) -> Result<Image> {
        let known = self.images.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(image) = known {
            return Ok(image);
        }
        let image = self.find_image(name)?;
        self.images.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), image.clone());
        Ok(image)
    }

    fn plan(&self, objects: &Objects) -> Result<Plan> {
        let pods = objects.workloads.len();
        if pods + objects.services.len() > Subnet::room() {
            return Err(Failure::new(format!("more than {} pods and Services in one network", Subnet::room())));
        }
        let mut tried = 1;
        let subnet = loop {
            let subnet = Subnet::random();
            match self.create_network(subnet) {
                Ok(held) => {
                    drop(held);
                    break subnet;
                }
                Err(failure) if tried >= TRIES => return Err(failure),
                Err(_) => tried += 1,
            }
        };
        Ok(Plan::new(
            objects,
            &subnet.address(2),
            |number| subnet.address(number + 3),
            |number| subnet.address(pods + number + 3),
        ))
    }

    fn network(&self, plan: &Plan, disks: Disks) -> Result<Network> {
        let node = plan.node.parse().map_err(|_| Failure::new(format!("{} is no address", plan.node)))?;
        let held = self.create_network(Subnet::of(node))?;
        let folder = self.folder.join(format!("cluster-{}", self.numbers.fetch_add(1, Ordering::Relaxed)));
        let mut relays = Vec::new();
        for route in &plan.services {
            let relay = Held::new(&self.engine, Thing::Container, self.name(&route.service));
            let routes = route.ports.iter().map(|(port, target)| format!("0.0.0.0:{port}={}:{target}", route.pod));
            let call =
                self.helper_call("--detach", relay.name()).args(["--network", held.name(), "--ip", &route.address]);
            call.args([self.helper(), "relay"]).args(routes).text()?;
            relays.push(relay);
        }
        let asker = Held::new(&self.engine, Thing::Container, self.name("node"));
        let call = self.helper_call("--interactive", asker.name()).args(["--network", held.name(), "--ip", &plan.node]);
        let asker = Talk::start(call.args([self.helper(), "serve"]), asker)?;
        let disks = self.make_disks(disks, &folder)?;
        Ok(Network { asker: Mutex::new(asker), _relays: relays, held, folder, disks })
    }

    fn pod(&self, network: &Network, plan: &Plan, index: usize, workload: &Workload, data: &Data) -> Result<Pod> {
        self.make_pod(network, plan, index, workload, data)
    }

    fn withholds(&self, capability: &str) -> bool {
        !DEFAULT_CAPABILITIES.contains(&capability)
    }

    fn start(&self, pod: &Pod, name: &str, image: &Image, config: &ContainerConfig) -> Result<Container> {
        self.start_container(pod, name, image, config)
    }

    fn ended(&self, container: &mut Container) -> Result<Option<i32>> {
        container.ended(&self.engine)
    }

    fn stop(&self, container: &mut Container) -> Result<()> {
        let stopped = self.engine.call("stop").args(["--time", GRACE]).arg(container.name()).output();
        self.interrupted()?;
        // One that has ended already need not be stopped.
        drop(stopped);
        Ok(())
    }

    fn said(&self, container: &Container, lines: usize) -> String {
        container.said(&self.engine, &self.folder, lines)
    }

    fn exec(&self, container: &Container, command: &[String]) -> Result<bool> {
        let call = self.engine.call("exec").arg(container.name()).args(command).limit(EXEC_LIMIT);
        let ended = call.output();
        self.interrupted()?;
        // A command that does not end in time has failed.
        Ok(ended.is_ok_and(|output| output.success))
    }

    fn ask(&self, network: &Network, request: &Request) -> Result<Reply> {
        network.asker.lock().unwrap_or_else(PoisonError::into_inner).order(&Order::Ask(request.clone()))
    }

    fn seen(&self, container: &Container) -> Option<Seen> {
        container.seen()
    }

    fn listens(&self, container: &Container) -> BTreeSet<u16> {
        container.listens()
    }

    fn interrupted(&self) -> Result<()> {
        interrupt::check()
    }

    fn writes(&self, container: &Container, config: &ContainerConfig) -> Result<BTreeSet<String>> {
        Ok(container.changes(self, config)?.writes)
    }

    fn changes(&self, container: &Container, config: &ContainerConfig) -> Result<BTreeMap<String, FolderChange>> {
        Ok(container.changes(self, config)?.folders)
    }
}
