//! What a workload needs and the tree does not have.

use super::kubelet::DEFAULT_CAPABILITIES;
use super::objects::{Container, Objects, Service, Workload};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// ConfigMaps and Secrets that no manifest has, hosts that are no Service of the manifests, and what is on nodes only, in words: `Secret db`,
/// `host db.example.com`, `/var/log of the node`.
pub fn missing(workload: &Workload, objects: &Objects) -> Vec<String> {
    let mut workload = workload.clone();
    let mut missing = BTreeSet::new();
    each_reference(&mut workload, objects, &mut |kind, name, _| {
        missing.insert(format!("{kind} {name}"));
    });
    let on_node = workload.pod.volumes.iter().filter_map(|volume| volume.host_path.as_ref());
    missing.extend(on_node.map(|host| format!("{} of the node", host.path)));
    let services: BTreeSet<&str> = objects.services.iter().map(|service| service.name.as_str()).collect();
    let names: BTreeSet<String> = objects.services.iter().flat_map(Service::names).collect();
    let containers: Vec<&Container> = workload.pod.containers.iter().chain(&workload.pod.init_containers).collect();
    for host in containers.iter().flat_map(|container| hosts(container, objects)) {
        let first = host.split('.').next().unwrap_or_default();
        let is_of_cluster = !host.contains('.') || host.ends_with(".svc") || host.ends_with(".cluster.local");
        if !(names.contains(&host) || is_of_cluster && services.contains(first)) {
            missing.insert(format!("host {host}"));
        }
    }
    for name in containers.iter().flat_map(|container| added_capabilities(container)) {
        missing.insert(format!("capability {name}, which no proof gives"));
    }
    missing.into_iter().collect()
}

/// The capabilities beyond the runtime's default set that a container asks for.
fn added_capabilities(container: &Container) -> impl Iterator<Item = &str> {
    let added = container.security_context.capabilities.add.iter().map(|name| name.trim_start_matches("CAP_"));
    added.filter(|name| *name != "ALL" && !DEFAULT_CAPABILITIES.contains(name))
}

/// Lets a workload start without the ConfigMaps and Secrets that no manifest has: what refers to them becomes optional.
pub fn do_without(workload: &mut Workload, objects: &Objects) {
    each_reference(workload, objects, &mut |_, _, optional| *optional = true);
}

/// Values that are shorter say nothing, and would be found everywhere.
const SHORTEST_SECRET: usize = 4;

/// A text in which names stand for the values of Secrets and of variables of the manifests, which programs may print: `${PASSWORD}`.
pub fn without_secrets(text: &str, sides: &[&Objects]) -> String {
    let mut values = BTreeMap::new();
    for objects in sides {
        for ((_, secret), data) in objects.data.iter().filter(|((kind, _), _)| kind == "Secret") {
            for (key, value) in data {
                let value = String::from_utf8_lossy(value);
                // Programs print files line by line.
                for line in value.lines().map(str::trim) {
                    values.insert(line.to_owned(), format!("{secret}.{key}"));
                }
            }
        }
        for mut workload in objects.workloads.iter().cloned() {
            for variable in workload.all_containers().flat_map(|container| &container.env) {
                values.insert(variable.value.clone(), variable.name.clone());
            }
        }
    }
    let mut values: Vec<(String, String)> =
        values.into_iter().filter(|(value, _)| value.len() >= SHORTEST_SECRET).collect();
    // One value may be a part of another.
    values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    values.iter().fold(text.to_owned(), |text, (value, name)| text.replace(value, &format!("${{{name}}}")))
}

/// Calls `found` for each reference that leads nowhere and is not optional: the kind, the name, and its `optional`.
fn each_reference(workload: &mut Workload, objects: &Objects, found: &mut dyn FnMut(&str, &str, &mut bool)) {
    let mut found = |kind: &str, name: &str, optional: &mut bool| {
        if !*optional && !objects.data.contains_key(&(kind.to_owned(), name.to_owned())) {
            found(kind, name, optional);
        }
    };
    for volume in &mut workload.pod.volumes {
        for (kind, map) in [("ConfigMap", &mut volume.config_map), ("Secret", &mut volume.secret)] {
            if let Some(map) = map {
                found(kind, &map.name.clone(), &mut map.optional);
            }
        }
    }
    for container in workload.all_containers() {
        for source in &mut container.env_from {
            for (kind, reference) in [("ConfigMap", &mut source.config_map_ref), ("Secret", &mut source.secret_ref)] {
                if let Some(reference) = reference {
                    found(kind, &reference.name.clone(), &mut reference.optional);
                }
            }
        }
        for source in container.env.iter_mut().filter_map(|variable| variable.value_from.as_mut()) {
            let references = [("ConfigMap", &mut source.config_map_key_ref), ("Secret", &mut source.secret_key_ref)];
            for (kind, reference) in references {
                if let Some(reference) = reference {
                    found(kind, &reference.name.clone(), &mut reference.optional);
                }
            }
        }
    }
}

/// The hosts that the variables of a container name: the authority of URLs, and the whole value of variables that are called `..._HOST`. No other part
/// of a value is kept, since it may be a secret.
fn hosts(container: &Container, objects: &Objects) -> BTreeSet<String> {
    let mut values: Vec<(&str, String)> =
        container.env.iter().map(|variable| (variable.name.as_str(), variable.value.clone())).collect();
    for reference in container.env_from.iter().filter_map(|source| source.config_map_ref.as_ref()) {
        let data: Option<&BTreeMap<String, Vec<u8>>> =
            objects.data.get(&("ConfigMap".to_owned(), reference.name.clone()));
        let pairs = data.into_iter().flatten();
        values.extend(pairs.map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value).into_owned())));
    }
    values.iter().filter_map(|(name, value)| host(name, value)).collect()
}

fn host(name: &str, value: &str) -> Option<String> {
    let authority = match value.split_once("://") {
        Some((_, rest)) => {
            let authority = rest.split(['/', '?', '#']).next()?;
            authority.rsplit_once('@').map_or(authority, |(_, host)| host)
        }
        None if name.to_ascii_uppercase().ends_with("HOST") => value,
        None => return None,
    };
    let host = authority.split_once(':').map_or(authority, |(host, _)| host).to_ascii_lowercase();
    let is_name = host.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
    let starts = host.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok();
    (is_name && starts && !is_here && host.len() <= 253).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn values_give_way_to_names() {
        let pod = json!({"kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [{"name": "app", "image": "web",
            "env": [{"name": "TOKEN", "value": "a long word"}, {"name": "PORT", "value": "80"}]}]}});
        let secret = json!({"kind": "Secret", "metadata": {"name": "db"}, "stringData": {"key": "first line\nword\n"}});
        let objects = objects(&[pod, secret]);
        let text = without_secrets("80: it is a long word, first line", &[&objects]);
        assert_eq!(text, "80: it is ${TOKEN}, ${db.key}");
    }

    fn objects(documents: &[Value]) -> Objects {
        Objects::read(documents).unwrap()
    }

    #[test]
    fn what_is_not_in_the_tree_is_named() {
        let pod = json!({"kind": "Pod", "metadata": {"name": "web"}, "spec": {
            "volumes": [{"name": "a", "secret": {"secretName": "tls"}}, {"name": "b", "configMap": {"name": "here"}},
                {"name": "c", "hostPath": {"path": "/var/log"}}],
            "containers": [{"name": "app", "image": "web",
                "envFrom": [{"secretRef": {"name": "may", "optional": true}}],
                "env": [
                    {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
                    {"name": "DATABASE_URL", "value": "postgres://shop:s3cret@db.example.com:5432/shop?x=y"},
                    {"name": "CACHE_HOST", "value": "cache"},
                    {"name": "MAIL_HOST", "value": "mail.post"},
                    {"name": "QUEUE_URL", "value": "amqp://queue.default.svc:5672"},
                    {"name": "OWN_URL", "value": "http://localhost:80/"},
                    {"name": "NOTE", "value": "words"}]}]}});
        let service = json!({"kind": "Service", "metadata": {"name": "queue"}, "spec": {}});
        let mail = json!({"kind": "Service", "metadata": {"name": "mail", "namespace": "post"}, "spec": {}});
        let here = json!({"kind": "ConfigMap", "metadata": {"name": "here"}, "data": {}});
        let objects = objects(&[pod, service, mail, here]);
        let mut workload = objects.workloads[0].clone();
        assert_eq!(
            missing(&workload, &objects),
            ["/var/log of the node", "Secret db", "Secret tls", "host cache", "host db.example.com"]
        );
        do_without(&mut workload, &objects);
        assert_eq!(missing(&workload, &objects), ["/var/log of the node", "host cache", "host db.example.com"]);
    }
}
