//! Which objects run together: a cluster for each set of manifests that do not contradict each other.
//!
//! Workloads of a tree are started together, so that they find each other by the names of Services. Where two folders declare the same
//! object (an overlay for each environment, a copy for each example), each is a cluster of its own, and shares what lies above it.

use super::builds::{Linked, Planned};
use super::objects::{Objects, Workload, pod_template, strip_nulls};
use super::{Failure, Result};
use crate::discover::directory;
use crate::source::Position;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One manifest file of one side.
#[derive(Clone, Debug)]
pub struct ManifestText {
    /// Relative to the root.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Where the workloads that were found in it stand, by their labels; those of one label in the order of the text.
    pub positions: BTreeMap<String, Vec<Position>>,
}

/// A workload and where it stands.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The manifest.
    pub path: String,
    /// The object.
    pub position: Position,
    /// `Deployment/web`
    pub label: String,
    /// The builds of its containers, by name.
    pub builds: BTreeMap<String, Planned>,
}

/// What is started together.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The objects.
    pub objects: Objects,
    /// Where each workload of `objects` stands.
    pub places: Vec<Placed>,
}

/// A workload that cannot be run as it is written, and why.
#[derive(Clone, Debug)]
pub struct Unrunnable {
    /// Where.
    pub placed: Placed,
    /// In one line.
    pub reason: String,
}

struct Object {
    path: String,
    value: Value,
    /// Of a workload.
    placed: Option<Placed>,
}

/// Reads the manifests of one side and sorts their objects into groups, in the order of their paths.
pub fn read(manifests: &[ManifestText], linked: &Linked) -> (Vec<Group>, Vec<Unrunnable>) {
    let mut objects = Vec::new();
    let mut unrunnable = Vec::new();
    for manifest in manifests {
        let mut positions = manifest.positions.clone();
        for value in documents(&manifest.text) {
            let placed = is_workload(&value).then(|| {
                let label = label(&value);
                let own = linked.iter().filter(|((path, of, _), _)| *path == manifest.path && *of == label);
                let builds = own.map(|((_, _, name), planned)| (name.clone(), planned.clone())).collect();
                let position = match positions.get_mut(&label) {
                    Some(several) if several.len() > 1 => several.remove(0),
                    last => last.and_then(|last| last.first().copied()).unwrap_or(Position { line: 1, column: 1 }),
                };
                Placed { path: manifest.path.clone(), position, label, builds }
            });
            if let Err(failure) = Objects::read(std::slice::from_ref(&value)) {
                // Without a Secret that no API server takes, what refers to it is told to miss it.
                unrunnable.extend(placed.map(|placed| Unrunnable { placed, reason: failure.to_string() }));
                continue;
            }
            objects.push(Object { path: manifest.path.clone(), value, placed });
        }
    }
    let mut groups = Vec::new();
    sort(&objects.iter().collect::<Vec<_>>(), "", &[], &mut groups);
    (groups, unrunnable)
}

/// Why a text is no YAML, if it is not.
pub fn unreadable(text: &str) -> Option<String> {
    serde_yaml::Deserializer::from_str(text)
        .find_map(|document| document_value(document).err())
        .map(|error| error.to_string())
}

/// Every document of a text; what cannot be read has been told by the run itself.
fn documents(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        // Behind a syntax error the parser finds the same one for ever.
        let Ok(value) = document_value(document) else { break };
        flatten(value, &mut found, 0);
    }
    found
}

fn document_value(document: serde_yaml::Deserializer<'_>) -> Result<Value> {
    let broken = |error: serde_yaml::Error| Failure::new(error.to_string());
    let mut value = serde_yaml::Value::deserialize(document).map_err(broken)?;
    value.apply_merge().map_err(broken)?;
    let mut value = serde_json::to_value(value)?;
    strip_nulls(&mut value);
    Ok(value)
}

/// Takes Lists apart, which may hold others.
fn flatten(mut value: Value, found: &mut Vec<Value>, depth: usize) {
    const DEPTH_MAX: usize = 4;
    match value.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if depth < DEPTH_MAX => {
            items.into_iter().for_each(|item| flatten(item, found, depth + 1));
        }
        _ if value.is_object() => found.push(value),
        _ => {}
    }
}

fn is_workload(value: &Value) -> bool {
    pod_template(&mut value.clone()).is_some_and(|template| template.pointer("/spec/containers").is_some())
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn label(value: &Value) -> String {
    let name = match text(value, "/metadata/name") {
        "" => text(value, "/metadata/generateName"),
        name => name,
    };
    format!("{}/{name}", text(value, "/kind"))
}

/// Sorts the objects below a folder. `above` is what folders further up declare beside workloads.
fn sort(objects: &[&Object], folder: &str, above: &[&Object], groups: &mut Vec<Group>) {
    if objects.iter().all(|object| object.placed.is_none()) {
        return;
    }
    if !contradict(objects) {
        groups.extend(group(objects, above));
        return;
    }
    let (here, below): (Vec<&Object>, Vec<&Object>) =
        objects.iter().partition(|object| directory(&object.path) == folder);
    let shared: Vec<&Object> =
        above.iter().chain(here.iter().filter(|object| object.placed.is_none())).copied().collect();
    if below.is_empty() {
        // Files of one folder that contradict each other: each for itself, with those that have no workload.
        let paths: BTreeSet<&str> =
            here.iter().filter(|object| object.placed.is_some()).map(|object| object.path.as_str()).collect();
        let shared: Vec<&Object> = shared.into_iter().filter(|object| !paths.contains(object.path.as_str())).collect();
        for path in paths {
            let of_file: Vec<&Object> = here.iter().filter(|object| object.path == path).copied().collect();
            if !contradict(&of_file) {
                groups.extend(group(&of_file, &shared));
                continue;
            }
            let namespaces: BTreeSet<&str> = of_file.iter().map(|object| namespace(object)).collect();
            for name in namespaces {
                let of_namespace: Vec<&Object> =
                    of_file.iter().filter(|object| namespace(object) == name).copied().collect();
                groups.extend(group(&of_namespace, &shared));
            }
        }
        return;
    }
    if contradict(&here) {
        sort(&here, folder, above, groups);
    } else if here.iter().any(|object| object.placed.is_some()) {
        groups.extend(group(&here, above));
    }
    let child = |object: &Object| {
        let rest = object.path.get(folder.len()..).unwrap_or_default().trim_start_matches('/');
        let first = rest.split('/').next().unwrap_or_default();
        if folder.is_empty() { first.to_owned() } else { format!("{folder}/{first}") }
    };
    let children: BTreeSet<String> = below.iter().map(|object| child(object)).collect();
    for name in children {
        let of_child: Vec<&Object> = below.iter().filter(|object| child(object) == name).copied().collect();
        sort(&of_child, &name, &shared, groups);
    }
}

/// Whether two of the workloads or Services are the same object to a cluster.
fn contradict(objects: &[&Object]) -> bool {
    let mut seen = BTreeSet::new();
    let named = objects.iter().filter(|object| object.placed.is_some() || text(&object.value, "/kind") == "Service");
    // Names of pods and Services are those of one namespace here.
    named
        .map(|object| (text(&object.value, "/kind"), text(&object.value, "/metadata/name")))
        .any(|key| !seen.insert(key))
}

fn namespace(object: &Object) -> &str {
    text(&object.value, "/metadata/namespace")
}

fn group(objects: &[&Object], above: &[&Object]) -> Option<Group> {
    let name =
        |object: &Object| (text(&object.value, "/kind").to_owned(), text(&object.value, "/metadata/name").to_owned());
    let own: BTreeSet<(String, String)> = objects.iter().map(|object| name(object)).collect();
    // What is nearer stands for what is called the same further up.
    let above = above.iter().filter(|object| !own.contains(&name(object)));
    let values: Vec<Value> = above.chain(objects).map(|object| object.value.clone()).collect();
    if objects.iter().all(|object| object.placed.is_none()) {
        return None;
    }
    let mut read = Objects::read(&values).ok()?;
    read.workloads.iter_mut().for_each(name_unnamed);
    let places = objects.iter().filter_map(|object| object.placed.clone()).collect();
    Some(Group { objects: read, places })
}

/// A pod by generateName has no name before it is there.
fn name_unnamed(workload: &mut Workload) {
    if workload.name.is_empty() {
        workload.name = workload.kind.to_lowercase();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let manifests: Vec<ManifestText> = files
            .iter()
            .map(|(path, text)| ManifestText {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
                positions: BTreeMap::new(),
            })
            .collect();
        let (groups, unrunnable) = super::read(&manifests, &Linked::new());
        assert!(unrunnable.is_empty(), "{unrunnable:?}");
        let names = |group: &Group| {
            assert_eq!(group.places.len(), group.objects.workloads.len());
            let services = group.objects.services.iter().map(|service| format!("Service/{}", service.name));
            group.places.iter().map(|place| format!("{} {}", place.path, place.label)).chain(services).collect()
        };
        groups.iter().map(names).collect()
    }

    const POD: &str = "kind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: app, image: web}]}\n";
    const OTHER: &str = "kind: Pod\nmetadata: {name: db}\nspec: {containers: [{name: db, image: db}]}\n";
    const SERVICE: &str = "kind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n";

    #[test]
    fn objects_of_one_name_have_places_of_their_own() {
        let text = format!("{POD}---\n{POD}");
        let at = |line| Position { line, column: 1 };
        let positions = BTreeMap::from([("Pod/web".to_owned(), vec![at(1), at(5)])]);
        let manifest = ManifestText { path: "pods.yaml".to_owned(), text, positions };
        let (groups, _) = super::read(&[manifest], &Linked::new());
        let places: Vec<Position> = groups.iter().flat_map(|group| &group.places).map(|place| place.position).collect();
        assert_eq!(places, [at(1), at(5)]);
    }

    #[test]
    fn what_does_not_contradict_runs_together() {
        let files = [("db/pod.yaml", OTHER), ("web/pod.yaml", POD), ("web/service.yaml", SERVICE)];
        assert_eq!(read(&files), [["db/pod.yaml Pod/db", "web/pod.yaml Pod/web", "Service/web"]]);
        let item = |text: &str| format!("- {}\n", text.trim_end().replace('\n', "\n  "));
        let list = format!("kind: List\nitems:\n{}{}", item(POD), item(OTHER));
        assert_eq!(read(&[("all.yaml", &list)]), [["all.yaml Pod/web", "all.yaml Pod/db"]]);
    }

    #[test]
    fn the_same_object_in_two_folders_makes_two_clusters() {
        let files =
            [("base/service.yaml", SERVICE), ("dev/pod.yaml", POD), ("prod/db.yaml", OTHER), ("prod/pod.yaml", POD)];
        assert_eq!(read(&files), [vec!["dev/pod.yaml Pod/web"], vec!["prod/db.yaml Pod/db", "prod/pod.yaml Pod/web"]]);
        let files = [("service.yaml", SERVICE), ("dev/pod.yaml", POD), ("prod/pod.yaml", POD)];
        assert_eq!(
            read(&files),
            [["dev/pod.yaml Pod/web", "Service/web"], ["prod/pod.yaml Pod/web", "Service/web"]],
            "what lies above is shared"
        );
        let files = [("a.yaml", POD), ("b.yaml", POD)];
        assert_eq!(read(&files), [["a.yaml Pod/web"], ["b.yaml Pod/web"]]);
    }

    #[test]
    fn namespaces_of_one_file_are_kept_apart() {
        let of = |name: &str, text: &str| text.replace("metadata: {", &format!("metadata: {{namespace: {name}, "));
        let all = [of("a", POD), of("a", SERVICE), of("b", POD), of("b", SERVICE)].join("---\n");
        let group = ["all.yaml Pod/web", "Service/web"];
        assert_eq!(read(&[("all.yaml", &all)]), [group, group]);
    }

    #[test]
    fn what_no_api_server_takes_takes_nothing_else_away() {
        let files = [
            ("pod.yaml", POD),
            ("secret.yaml", "kind: Secret\nmetadata: {name: keys}\ndata: {password: <base64>}\n"),
            ("service.yaml", "kind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 65536}]}\n"),
        ];
        assert_eq!(read(&files), [["pod.yaml Pod/web"]]);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let text = "kind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: app, image: 5}]}\n";
        let manifest = ManifestText { path: "pod.yaml".into(), text: text.into(), positions: BTreeMap::new() };
        let (groups, unrunnable) = super::read(&[manifest], &Linked::new());
        assert!(groups.is_empty());
        assert!(unrunnable[0].reason.contains("web"), "{}", unrunnable[0].reason);
        assert_eq!(
            documents("a: &a {x: 1}\nb: {<<: *a, y: null}\n---\n- 1\n---\n{"),
            [serde_json::json!({"a": {"x": 1}, "b": {"x": 1}})]
        );
    }
}
