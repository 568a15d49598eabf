//! Which addresses pods and Services have, and where each Service leads.

use super::objects::{Container, Objects, Port};
use std::collections::BTreeMap;

/// The addresses of a cluster. They follow the order of the manifests, so that two runs have the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The address of the node.
    pub node: String,
    /// The address of each workload's pod.
    pub pods: Vec<String>,
    /// The Services that lead somewhere and have an address of their own.
    pub services: Vec<Route>,
    /// Where each Service is reached, by name; headless ones at their pod.
    pub service_addresses: BTreeMap<String, String>,
    /// Every name of a Service, with its address.
    names: Vec<(String, String)>,
}

/// A Service with an address of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name.
    pub service: String,
    /// Its address.
    pub address: String,
    /// The address of the pod behind it.
    pub pod: String,
    /// Its ports, each with that of the pod.
    pub ports: Vec<(u16, u16)>,
}

impl Plan {
    /// Gives addresses. `pod` and `service` make one of a number from 0.
    pub fn new(
        objects: &Objects,
        node: &str,
        pod: impl Fn(usize) -> String,
        service: impl Fn(usize) -> String,
    ) -> Self {
        let pods: Vec<String> = (0..objects.workloads.len()).map(pod).collect();
        let mut plan = Self { node: node.to_owned(), pods, ..Self::default() };
        for (number, asked) in objects.services.iter().enumerate() {
            let behind = objects.workloads.iter().zip(&plan.pods).find(|(workload, _)| {
                !asked.selector.is_empty()
                    && asked.selector.iter().all(|(key, value)| workload.labels.get(key) == Some(value))
            });
            let Some((workload, pod)) = behind else { continue };
            let address = if asked.headless { pod.clone() } else { service(number) };
            plan.names.extend(asked.names().map(|name| (name, address.clone())));
            if asked.headless {
                plan.service_addresses.insert(asked.name.clone(), pod.clone());
                continue;
            }
            // A Service whose target port has no such name leads nowhere, in a cluster as here.
            let ports = asked.ports.iter().filter_map(|port| {
                let target = match &port.target_port {
                    None => Some(port.port),
                    Some(target) => resolve(target, &workload.pod.containers),
                };
                Some((port.port, target?))
            });
            plan.service_addresses.insert(asked.name.clone(), address.clone());
            plan.services.push(Route {
                service: asked.name.clone(),
                address,
                pod: pod.clone(),
                ports: ports.collect(),
            });
        }
        plan
    }

    /// Every name by which something is reached, with its address.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().map(|(name, address)| (name.as_str(), address.as_str()))
    }
}

/// The number of a port that is given by number or by a container's name for it.
pub fn resolve(port: &Port, containers: &[Container]) -> Option<u16> {
    match port {
        Port::Number(number) => Some(*number),
        Port::Name(name) => containers
            .iter()
            .flat_map(|container| &container.ports)
            .find(|port| port.name == *name)
            .map(|port| port.container_port),
    }
}
