#![doc = include_str!("README.md")]

use super::{Metadata, Proposal, Subject, Transform};
use crate::change::Change;
use crate::error::SkipReason;
use crate::facts::{Application, ContainerFacts};
use crate::kubernetes::{self, ForbiddenSetting};
use crate::source::printable;
use crate::yaml::{Node, Value};

static METADATA: Metadata = Metadata {
    number: 2,
    id: "isolate-from-host",
    title: "Give pods a network and processes of their own",
    why: "The pods no longer share namespaces with their node, nor take its ports, and probes ask the pod and no other host. Who reached them at the \
          node's address has to come through a Service.",
    readme: include_str!("README.md"),
};

/// Ports at which a node meets the world. Who takes them is there to be found at them.
const FRONT_DOORS: [i64; 2] = [80, 443];

/// Ports of DHCP, DHCPv6, SSDP and mDNS, which are asked by broadcast or multicast: those do not reach a pod with a network of its own.
const BROADCAST: [i64; 5] = [67, 68, 547, 1900, 5353];

/// Takes away what a pod shares with its node.
pub(super) struct IsolateFromHost;

impl Transform for IsolateFromHost {
    fn metadata(&self) -> &'static Metadata {
        &METADATA
    }

    fn plan(&self, application: &Application<'_>) -> Vec<Proposal> {
        application.containers.iter().flat_map(|container| plan_container(application, container)).collect()
    }
}

/// What concerns one container; with the first one of a pod also what concerns the pod.
fn plan_container<'a>(application: &Application<'a>, container: &ContainerFacts<'a>) -> Vec<Proposal> {
    if container.pod.is_windows() {
        return Vec::new();
    }
    let settings = container.manifest.forbidden_settings(container.id.workload, container.id.container);
    let of = |check: &str| -> Vec<&ForbiddenSetting<'_>> {
        settings.iter().filter(|setting| setting.check == check).collect()
    };
    let own = |setting: &&ForbiddenSetting<'_>| match setting.container {
        Some(index) => index == container.id.container,
        None => container.id.container == 0,
    };
    let (namespaces, ports, hosts) = (of("hostNamespaces"), of("hostPorts"), of("hostProbesAndHostLifecycle"));
    let (local, foreign): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|host| is_loopback(host.node));
    let on_host = container.pod.is_on_host_network();

    let mut proposals = Vec::new();
    if container.id.container == 0 && !namespaces.is_empty() {
        // The kubelet asks the node's loopback address, where a pod with a network of its own does not answer.
        let probes = if on_host { local.as_slice() } else { &[] };
        proposals.push(leave_namespaces(application, container, &namespaces, probes));
    }
    let ports: Vec<_> = ports.into_iter().filter(own).collect();
    if !ports.is_empty() {
        proposals.push(free_ports(application, container, &ports));
    }
    let local: Vec<_> = local.into_iter().filter(own).filter(|_| !on_host).collect();
    if !local.is_empty() {
        proposals.push(ask_the_pod(application, container, &local));
    }
    for host in foreign.into_iter().filter(own) {
        let subject = Subject { offset: host.node.span().start, ..Subject::container(container) };
        let detail = format!("a probe or hook asks {}, another host than the pod", printable(&host.node.text()));
        proposals.push(Proposal::declined(subject, SkipReason::AuthorChoice, detail));
    }
    proposals
}

fn leave_namespaces<'a>(
    application: &Application<'a>,
    container: &ContainerFacts<'a>,
    namespaces: &[&ForbiddenSetting<'_>],
    probes: &[&ForbiddenSetting<'_>],
) -> Proposal {
    let offset = namespaces.iter().map(|setting| setting.node.span().start).min().unwrap_or_default();
    let subject = Subject { offset, label: container.workload.label(), ..Subject::container(container) };
    if let Some((reason, detail)) = keeps(application, container) {
        return Proposal::declined(subject, reason, detail);
    }
    if let Some(tool) = application.node_tool(container) {
        return Proposal::declined(subject, SkipReason::WorksOnNode, tool);
    }
    if container.pod.is_on_host_network()
        && let Some(detail) = front_door(container, application.ports_of_pod(container))
    {
        return Proposal::declined(subject, SkipReason::WorksOnNode, detail);
    }
    let mut operations: Vec<_> =
        namespaces.iter().map(|setting| kubernetes::replace(setting.node, Value::Bool(false))).collect();
    operations.extend(kubernetes::remove(probes.iter().map(|probe| probe.node).collect(), None));
    let mut change = Change::default();
    change.manifest(container.id.file, operations);
    let names: Vec<&str> = namespaces.iter().map(|setting| setting.field.as_str()).collect();
    let mut detail = format!("{}: false", names.join(", "));
    if !probes.is_empty() {
        detail.push_str(", and probes ask the pod's own address");
    }
    let loss = match container.pod.is_on_host_network() {
        true => "at the node's address it is not found any more, nor does it find what listens on the node alone",
        false => "it no longer sees processes or memory of the node",
    };
    let excuse = format!("without {} {loss}", names.join(", "));
    Proposal::doubtful(subject, change, detail, excuse)
}

fn free_ports<'a>(
    application: &Application<'a>,
    container: &ContainerFacts<'a>,
    ports: &[&ForbiddenSetting<'_>],
) -> Proposal {
    let subject = Subject::container(container);
    if let Some((reason, detail)) = keeps(application, container) {
        return Proposal::declined(subject, reason, detail);
    }
    if let Some(detail) = front_door(container, ports.iter().filter_map(|port| port.node.as_i64())) {
        return Proposal::declined(subject, SkipReason::WorksOnNode, detail);
    }
    let mut nodes: Vec<Node<'_>> = Vec::new();
    for port in ports {
        nodes.push(port.node);
        // The address to listen on belongs to the port of the node.
        nodes.extend(port.node.parent().and_then(|entry| entry.get("hostIP")));
    }
    let mut change = Change::default();
    change.manifest(container.id.file, kubernetes::remove(nodes, None));
    let numbers: Vec<String> = ports.iter().map(|port| printable(&port.node.text())).collect();
    let without = format!("without hostPort {}", numbers.join(", "));
    let excuse = match application.service_of(container) {
        Some(service) => format!("{without} it is found through Service {} alone", printable(&service)),
        None => format!("{without} it is not found at the node's address, and no Service of the tree leads to it"),
    };
    Proposal::doubtful(subject, change, without, excuse)
}

fn ask_the_pod<'a>(
    application: &Application<'a>,
    container: &ContainerFacts<'a>,
    hosts: &[&ForbiddenSetting<'_>],
) -> Proposal {
    let subject = Subject::container(container);
    if let Some((reason, detail)) = keeps(application, container) {
        return Proposal::declined(subject, reason, detail);
    }
    let mut change = Change::default();
    change.manifest(container.id.file, kubernetes::remove(hosts.iter().map(|host| host.node).collect(), None));
    let excuse = "without host probes and hooks ask the pod's address, where the program has to listen; the loopback address is the node's";
    Proposal::doubtful(subject, change, "probes and hooks without host, which ask the pod", excuse)
}

/// What keeps a pod as it is.
fn keeps<'a>(application: &Application<'a>, container: &ContainerFacts<'a>) -> Option<(SkipReason, String)> {
    if let Some(why) = application.works_on_node(container) {
        return Some((SkipReason::WorksOnNode, why));
    }
    if let Some(why) = application.node_address(container) {
        return Some((SkipReason::WorksOnNode, why));
    }
    const CONCERNED: [&str; 8] =
        ["hostIPC", "hostNetwork", "hostPID", "lifecycle", "livenessProbe", "ports", "readinessProbe", "startupProbe"];
    let path = application.around.repository.patch_of(container.workload, &CONCERNED)?;
    let detail = format!("{path} patches {} where it meets its node", container.workload.label());
    Some((SkipReason::AuthorChoice, detail))
}

/// A port among `ports` at which nothing but the node is asked.
fn front_door(container: &ContainerFacts<'_>, ports: impl IntoIterator<Item = i64>) -> Option<String> {
    let port = ports.into_iter().find(|port| FRONT_DOORS.contains(port) || BROADCAST.contains(port))?;
    let label = container.workload.label();
    if BROADCAST.contains(&port) {
        return Some(format!("{label} listens on port {port}, which is asked by broadcast or multicast"));
    }
    Some(format!("{label} takes port {port} of the node, where the world outside asks, as ingress controllers do"))
}

/// Whether a host is the one that asks.
fn is_loopback(host: Node<'_>) -> bool {
    let text = host.text();
    text == "localhost" || text.starts_with("127.") || matches!(text.as_ref(), "::1" | "[::1]" | "0.0.0.0")
}
