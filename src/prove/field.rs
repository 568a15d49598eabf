//! The way to a setting in a workload's object, and where it stands in the text of a manifest.

use super::objects::Workload;
use crate::source::Position;
use crate::yaml::{self, Document, Node};
use serde::{Serialize, Serializer};
use std::fmt;

/// How deep lists in lists are looked into.
const LIST_DEPTH: usize = 4;

/// The way from an object to one of its settings. Prints as `spec.template.spec.containers[web].env[PGDATA].value`, and is that text in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The value of this key.
    Key(String),
    /// The item of a list that has this name, or mounts a volume at this path; the first one where nothing is said.
    Item(String),
}

impl FieldPath {
    /// The pod's spec.
    pub fn pod(workload: &Workload) -> Self {
        Self::default().keys(match workload.kind.as_str() {
            "Pod" => "spec",
            "CronJob" => "spec.jobTemplate.spec.template.spec",
            _ => "spec.template.spec",
        })
    }

    /// A container or init container of the pod, by its name.
    pub fn container(workload: &Workload, name: &str) -> Self {
        let is_init = workload.pod.init_containers.iter().any(|init| init.name == name);
        Self::pod(workload).keys(if is_init { "initContainers" } else { "containers" }).item(name)
    }

    /// This path, and then these keys, with dots between them.
    #[must_use]
    pub fn keys(mut self, keys: &str) -> Self {
        self.0.extend(keys.split('.').map(|key| Step::Key(key.to_owned())));
        self
    }

    /// This path, and then the item of this `name`, or with this `mountPath`.
    #[must_use]
    pub fn item(mut self, name: &str) -> Self {
        self.0.push(Step::Item(name.to_owned()));
        self
    }

    /// Where it stands in the text, for the object that stands at `object`: its key, or an item's first byte. Of a setting that is not written there, the
    /// nearest that it would stand in. Through aliases and merges this is where something is written, so the place may be in another object.
    /// `None` where no object stands there.
    pub fn position(&self, text: &str, object: Position) -> Option<Position> {
        let stream = yaml::parse(text).ok()?;
        let mut objects = Vec::new();
        stream.documents().filter_map(Document::root).for_each(|root| collect(root, LIST_DEPTH, &mut objects));
        let starts: Vec<usize> = objects.iter().map(|object| object.span().start).collect();
        let at = Position::of_each(text, &starts).iter().position(|start| *start == object)?;
        Some(Position::of(text, self.nearest(*objects.get(at)?)))
    }

    fn nearest(&self, object: Node<'_>) -> usize {
        let (mut start, mut node) = (object.span().start, object);
        for step in &self.0 {
            let Some((written, value)) = step.below(node) else { break };
            (start, node) = (written.span().start, value.resolved());
        }
        start
    }
}

impl Step {
    /// What is written for it, and its value.
    fn below<'a>(&self, node: Node<'a>) -> Option<(Node<'a>, Node<'a>)> {
        match self {
            Self::Key(key) => node.merged().find_map(|mapping| mapping.entry(key)),
            Self::Item(name) => {
                let plain = |path: &str| path.trim_end_matches('/').to_owned();
                let is_called = |item: &Node<'_>| {
                    let is_called =
                        |key: &&str| item.lookup(key).is_some_and(|value| plain(&value.text()) == plain(name));
                    ["name", "mountPath"].iter().any(is_called)
                };
                let mut items = node.items().map(Node::resolved);
                // Of variables of one name the last one counts.
                let item = if name.is_empty() { items.next() } else { items.filter(is_called).last() }?;
                Some((item, item))
            }
        }
    }
}

/// An object, or those in a list.
fn collect<'a>(object: Node<'a>, depth: usize, found: &mut Vec<Node<'a>>) {
    found.push(object);
    if depth > 0 {
        let items = object.lookup("items").into_iter().flat_map(Node::items).map(Node::resolved);
        items.for_each(|item| collect(item, depth - 1, found));
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(name) => write!(f, "[{name}]")?,
            }
        }
        Ok(())
    }
}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a path stands for the object on this line, first column.
    fn at(text: &str, object: (usize, usize), path: &FieldPath) -> Option<(usize, usize)> {
        let (line, column) = object;
        path.position(text, Position { line, column }).map(|position| (position.line, position.column))
    }

    fn spec(name: &str) -> FieldPath {
        FieldPath::default().keys("spec.containers").item(name)
    }

    const PODS: &str = "\
# two documents
kind: Pod
spec:
  initContainers:
  - name: app
  containers:
  - image: other
    name: other
  - name: app
    env:
    - {name: PGDATA, value: /first}
    - name: PGDATA
      value: /data
    securityContext:
      readOnlyRootFilesystem: true
    volumeMounts: [{name: data, mountPath: /data/, readOnly: true}]
---
kind: Pod
spec: {containers: [{name: app, \"securityContext\": {runAsUser: 0}}]}
";

    #[test]
    fn a_setting_stands_where_its_key_does() {
        let app = || spec("app");
        let first = |path: FieldPath| at(PODS, (2, 1), &path);
        assert_eq!(first(app().keys("securityContext.readOnlyRootFilesystem")), Some((15, 7)));
        assert_eq!(first(app().keys("env").item("PGDATA").keys("value")), Some((13, 7)));
        assert_eq!(first(app().keys("volumeMounts").item("/data").keys("readOnly")), Some((16, 52)));
        assert_eq!(first(app().keys("volumeMounts").item("").keys("name")), Some((16, 21)));
        let init = FieldPath::default().keys("spec.initContainers").item("app");
        assert_eq!(first(init.keys("securityContext.runAsUser")), Some((5, 5)));
        assert_eq!(at(PODS, (18, 1), &app().keys("securityContext.runAsUser")), Some((19, 53)));
    }

    #[test]
    fn what_is_not_written_stands_at_the_nearest_that_is() {
        let first = |path: FieldPath| at(PODS, (2, 1), &path);
        assert_eq!(first(spec("app").keys("securityContext.runAsUser")), Some((14, 5)));
        assert_eq!(first(spec("other").keys("securityContext.runAsUser")), Some((7, 5)));
        assert_eq!(first(spec("none").keys("securityContext.runAsUser")), Some((6, 3)));
        assert_eq!(first(FieldPath::default().keys("spec.securityContext.fsGroup")), Some((3, 1)));
        assert_eq!(first(FieldPath::default().keys("metadata.name")), Some((2, 1)));
        assert_eq!(at(PODS, (3, 1), &spec("app")), None, "no object stands there");
        assert_eq!(at("a: [", (1, 1), &spec("app")), None);
    }

    #[test]
    fn objects_in_lists_are_found() {
        let text = "kind: List\nitems:\n- kind: Pod\n  spec:\n    containers:\n    - name: a\n- kind: List\n  items:\n  - kind: Pod\n    spec:\n      containers:\n      - {name: a, image: x}\n";
        assert_eq!(at(text, (3, 3), &spec("a").keys("image")), Some((6, 7)));
        assert_eq!(at(text, (9, 5), &spec("a").keys("image")), Some((12, 19)));
    }

    #[test]
    fn aliases_and_merges_lead_to_where_something_is_written() {
        let text = "\
kind: Pod
x: &strict
  readOnlyRootFilesystem: true
y: [&small {image: a}, &user 5, &whole {name: whole, image: b}]
spec:
  containers:
  - name: alias
    securityContext: *strict
  - name: merge
    <<: *small
    securityContext:
      <<: *strict
      runAsUser: *user
  - *whole
";
        let place = |path: FieldPath| at(text, (1, 1), &path);
        assert_eq!(place(spec("alias").keys("securityContext.readOnlyRootFilesystem")), Some((3, 3)));
        assert_eq!(place(spec("alias").keys("securityContext.runAsUser")), Some((8, 5)));
        assert_eq!(place(spec("merge").keys("securityContext.readOnlyRootFilesystem")), Some((3, 3)));
        assert_eq!(place(spec("merge").keys("securityContext.runAsUser")), Some((13, 7)));
        assert_eq!(place(spec("merge").keys("image")), Some((4, 13)));
        assert_eq!(place(spec("whole").keys("image")), Some((4, 54)));
    }

    #[test]
    fn line_ends_and_marks_do_not_matter() {
        let path = spec("app").keys("securityContext.readOnlyRootFilesystem");
        let text = format!("\u{feff}{}", PODS.replace('\n', "\r\n"));
        assert_eq!(at(&text, (2, 1), &path), Some((15, 7)));
        let text = "\u{feff}kind: Pod\r\nspec:\r\n  containers: []\r\n";
        let start = Position::of(text, 3);
        assert_eq!(at(text, (start.line, start.column), &path), Some((3, 3)));
    }

    #[test]
    fn a_path_prints_as_people_write_it() {
        let path = spec("web").keys("env").item("PGDATA").keys("value");
        assert_eq!(path.to_string(), "spec.containers[web].env[PGDATA].value");
        assert_eq!(serde_json::to_value(&path).unwrap(), "spec.containers[web].env[PGDATA].value");
    }
}
