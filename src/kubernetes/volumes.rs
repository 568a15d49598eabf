//! Operations that give a container volumes of its own, and variables that point into them.

use super::{ContainerView, PodView};
use crate::yaml::{Action, Node, Operation, Value};

/// Gives a container an `emptyDir` at each path: name of the volume, and where it is mounted. The names must be new to the pod.
pub fn mount_empty(pod: PodView<'_>, container: ContainerView<'_>, volumes: &[(String, String)]) -> Vec<Operation> {
    let text = |key: &str, value: &String| (key.to_owned(), Value::Str(value.clone()));
    let mounts = volumes.iter().map(|(name, path)| Value::Map(vec![text("name", name), text("mountPath", path)]));
    let empty = || ("emptyDir".to_owned(), Value::Map(Vec::new()));
    let sources = volumes.iter().map(|(name, _)| Value::Map(vec![text("name", name), empty()]));
    let mut operations = add(container.node(), "volumeMounts", mounts.collect());
    operations.extend(add(pod.node(), "volumes", sources.collect()));
    operations
}

/// Gives a container a variable, which must be new to it.
pub fn set_variable(container: ContainerView<'_>, name: String, value: String) -> Vec<Operation> {
    let entry = Value::Map(vec![("name".to_owned(), Value::Str(name)), ("value".to_owned(), Value::Str(value))]);
    add(container.node(), "env", vec![entry])
}

/// Adds items to the list under `key` of `owner`, or the list.
fn add(owner: Node<'_>, key: &str, items: Vec<Value>) -> Vec<Operation> {
    let document = owner.document().index();
    let route = owner.route();
    if items.is_empty() {
        return Vec::new();
    }
    if owner.get(key).is_none() {
        let action = Action::Insert { key: key.to_owned(), value: Value::Seq(items) };
        return vec![Operation { document, route, action }];
    }
    let route = route.key(key);
    let append = |value| Operation { document, route: route.clone(), action: Action::Append { value } };
    items.into_iter().map(append).collect()
}
