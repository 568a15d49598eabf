//! A small cluster network: each pod in a network namespace of its own, joined by a bridge in the node's, and Services as relays.
//!
//! The node's namespace is not the host's, so nothing here can be reached from outside or stand in anybody's way. Names are
//! answered by /etc/hosts and not by DNS; only TCP is carried.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use unroot::prove::network::Plan;
use unroot::prove::objects::{NameValue, Objects};
use unroot::prove::probe::{Reply, Request};

use crate::lab::{Result, run};

/// The namespaces of one pod (or of the node), alive as long as this value.
pub(crate) struct Sandbox {
    holder: Child,
    pub(crate) address: String,
}

/// The node and the relays that stand for Services.
pub(crate) struct Network {
    node: Sandbox,
    relays: Vec<Child>,
}

/// The addresses that the lab gives.
pub(crate) fn plan(objects: &Objects) -> Plan {
    Plan::new(objects, "10.88.0.1", |pod| format!("10.88.0.{}", pod + 2), |service| format!("10.96.0.{}", service + 1))
}

impl Network {
    /// Brings up the node and a relay for each Service that leads to a pod.
    pub(crate) fn open(plan: &Plan) -> Result<Self> {
        let node = Sandbox::open(plan.node.clone())?;
        node.within(&[
            "ip link set lo up",
            "ip link add bridge0 type bridge",
            &format!("ip addr add {}/24 dev bridge0", plan.node),
            "ip link set bridge0 up",
        ])?;
        let mut network = Self { node, relays: Vec::new() };
        for route in &plan.services {
            network.node.within(&[&format!("ip addr add {}/32 dev lo", route.address)])?;
            let routes =
                route.ports.iter().map(|(port, target)| format!("{}:{port}={}:{target}", route.address, route.pod));
            let mut relay = network.node.command(std::env::current_exe()?);
            network.relays.push(relay.arg("lab:relay").args(routes).stdin(Stdio::null()).spawn()?);
        }
        Ok(network)
    }

    /// A pod's namespaces, joined to the node's bridge.
    pub(crate) fn pod(&self, plan: &Plan, index: usize, name: &str, sysctls: &[NameValue]) -> Result<Sandbox> {
        let sandbox = Sandbox::open(plan.pods.get(index).cloned().unwrap_or_default())?;
        let pid = sandbox.pid();
        self.node.within(&[
            &format!("ip link add pod{index} type veth peer name eth0 netns {pid}"),
            &format!("ip link set pod{index} master bridge0 up"),
        ])?;
        sandbox.within(&[
            "ip link set lo up",
            &format!("ip addr add {}/24 dev eth0", sandbox.address),
            "ip link set eth0 up",
            &format!("ip route add default via {}", plan.node),
        ])?;
        let hostname = format!("kernel.hostname={name}");
        for assignment in sysctls.iter().map(|sysctl| format!("{}={}", sysctl.name, sysctl.value)).chain([hostname]) {
            run(sandbox.command("sysctl").args(["--quiet", "--write", &assignment]))
                .map_err(|error| format!("sandbox: {error}"))?;
        }
        Ok(sandbox)
    }

    /// Puts a question from the node's namespace.
    pub(crate) fn ask(&self, request: &Request) -> Result<Reply> {
        let mut command = self.node.command(std::env::current_exe()?);
        let mut child = command.arg("lab:probe").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&serde_json::to_vec(request)?)?;
        }
        Ok(serde_json::from_slice(&child.wait_with_output()?.stdout)?)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for relay in &mut self.relays {
            let _ = relay.kill();
            let _ = relay.wait();
        }
    }
}

impl Sandbox {
    fn open(address: String) -> Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--net", "--uts", "--ipc", "sleep", "infinity"]).stdin(Stdio::null());
        let holder = command.spawn()?;
        let sandbox = Self { holder, address };
        let own = fs::read_link("/proc/self/ns/ipc")?;
        let deadline = Instant::now() + Duration::from_secs(10);
        // The last of the three namespaces to be entered tells that all are there.
        while fs::read_link(format!("/proc/{}/ns/ipc", sandbox.pid())).is_ok_and(|found| found == own)
            || fs::read(format!("/proc/{}/comm", sandbox.pid()))? != b"sleep\n"
        {
            if Instant::now() > deadline {
                return Err("a pod's namespaces do not come up".into());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(sandbox)
    }

    /// The process that holds the namespaces.
    pub(crate) fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// A command in these namespaces, with the files of the host.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid().to_string(), "--net", "--uts", "--ipc", "--"]).arg(program);
        command
    }

    fn within(&self, lines: &[&str]) -> Result<()> {
        run(self.command("sh").args(["-ec", &lines.join("\n")])).map(|_| ())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// The lines of /etc/hosts by which a pod finds itself and every Service.
pub(crate) fn hosts(plan: &Plan, pod: &Sandbox, name: &str) -> String {
    let mut hosts = format!("127.0.0.1\tlocalhost\n::1\tlocalhost\n{}\t{name}\n", pod.address);
    for (name, address) in plan.hosts() {
        hosts.push_str(&format!("{address}\t{name}\n"));
    }
    hosts
}
