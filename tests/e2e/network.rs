//! A small cluster network: each pod in a network namespace of its own, joined by a bridge in the node's, and Services as relays.
//!
//! The node's namespace is not the host's, so nothing here can be reached from outside or stand in anybody's way. Names are
//! answered by /etc/hosts and not by DNS; only TCP is carried.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::lab::{Result, run};
use crate::manifest::{Container, Manifests, Port};

/// The namespaces of one pod (or of the node), alive as long as this value.
pub(crate) struct Sandbox {
    holder: Child,
    pub(crate) address: String,
}

/// The node, its pods' addresses, and the relays that stand for Services.
pub(crate) struct Network {
    node: Sandbox,
    relays: Vec<Child>,
    /// Where each Service is reached, by name. Addresses follow the order of the manifests.
    pub(crate) service_addresses: BTreeMap<String, String>,
}

impl Network {
    /// Brings up the node and a relay for each Service port whose pod exists. Pod `n` of the manifests gets address `n`.
    pub(crate) fn open(manifests: &Manifests) -> Result<Self> {
        let node = Sandbox::open("10.88.0.1".to_owned())?;
        node.within(&[
            "ip link set lo up",
            "ip link add bridge0 type bridge",
            "ip addr add 10.88.0.1/24 dev bridge0",
            "ip link set bridge0 up",
        ])?;
        let mut network = Self { node, relays: Vec::new(), service_addresses: BTreeMap::new() };
        for (number, service) in manifests.services.iter().enumerate() {
            let backend = manifests.workloads.iter().position(|workload| {
                !service.selector.is_empty()
                    && service.selector.iter().all(|(key, value)| workload.labels.get(key) == Some(value))
            });
            let Some((index, workload)) = backend.and_then(|index| Some((index, manifests.workloads.get(index)?)))
            else {
                continue;
            };
            if service.headless {
                network.service_addresses.insert(service.name.clone(), pod_address(index));
                continue;
            }
            let address = format!("10.96.0.{}", number + 1);
            network.node.within(&[&format!("ip addr add {address}/32 dev lo")])?;
            for port in &service.ports {
                let target = match &port.target_port {
                    None => Some(port.port),
                    Some(target) => resolve(target, &workload.pod.containers),
                };
                // A Service whose target port has no such name leads nowhere, in a cluster as here.
                let Some(target) = target else { continue };
                network.relay(&format!("{address}:{}", port.port), &format!("{}:{target}", pod_address(index)))?;
            }
            network.service_addresses.insert(service.name.clone(), address);
        }
        Ok(network)
    }

    /// A pod's namespaces, joined to the node's bridge.
    pub(crate) fn pod(&self, index: usize, name: &str, sysctls: &[(String, String)]) -> Result<Sandbox> {
        let sandbox = Sandbox::open(pod_address(index))?;
        let pid = sandbox.pid();
        self.node.within(&[
            &format!("ip link add pod{index} type veth peer name eth0 netns {pid}"),
            &format!("ip link set pod{index} master bridge0 up"),
        ])?;
        sandbox.within(&[
            "ip link set lo up",
            &format!("ip addr add {}/24 dev eth0", sandbox.address),
            "ip link set eth0 up",
            "ip route add default via 10.88.0.1",
        ])?;
        for (key, value) in [("kernel.hostname".to_owned(), name.to_owned())].iter().chain(sysctls) {
            let assignment = format!("{key}={value}");
            run(sandbox.command("sysctl").args(["--quiet", "--write", &assignment]))
                .map_err(|error| format!("sandbox: {error}"))?;
        }
        Ok(sandbox)
    }

    /// The lines of /etc/hosts by which a pod finds itself and every Service.
    pub(crate) fn hosts(&self, pod: &Sandbox, name: &str) -> String {
        let mut hosts = format!("127.0.0.1\tlocalhost\n::1\tlocalhost\n{}\t{name}\n", pod.address);
        for (service, address) in &self.service_addresses {
            let full = format!("{service}.default.svc");
            hosts.push_str(&format!("{address}\t{service} {service}.default {full} {full}.cluster.local\n"));
        }
        hosts
    }

    /// A command in the node's network.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.node.command(program)
    }

    fn relay(&mut self, listen: &str, target: &str) -> Result<()> {
        let mut command = self.node.command(std::env::current_exe()?);
        self.relays.push(command.args(["lab:relay", listen, target]).stdin(Stdio::null()).spawn()?);
        Ok(())
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

/// The number of a port that is given by number or by a container's name for it.
pub(crate) fn resolve(port: &Port, containers: &[Container]) -> Option<u16> {
    match port {
        Port::Number(number) => Some(*number),
        Port::Name(name) => containers
            .iter()
            .flat_map(|container| &container.ports)
            .find(|port| port.name == *name)
            .map(|port| port.container_port),
    }
}

/// `lab:relay LISTEN TARGET`: carries every connection on, in a process of its own because it runs in the node's namespace.
pub(crate) fn relay(arguments: &[String]) -> Result<()> {
    let [listen, target] = arguments else { return Err("lab:relay LISTEN TARGET".into()) };
    for client in TcpListener::bind(listen)?.incoming() {
        let (client, target) = (client?, target.clone());
        thread::spawn(move || {
            let _ = carry(&client, &target);
            let _ = client.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

fn carry(client: &TcpStream, target: &str) -> io::Result<()> {
    let server = TcpStream::connect(target)?;
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let upwards = thread::spawn(move || pump(from, to));
    let done = pump(server, client.try_clone()?);
    let _ = upwards.join();
    done
}

fn pump(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return to.shutdown(Shutdown::Write);
        }
        to.write_all(buffer.get(..count).unwrap_or_default())?;
    }
}

fn pod_address(index: usize) -> String {
    format!("10.88.0.{}", index + 2)
}
