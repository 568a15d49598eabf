//! Operations that complete a `securityContext`, or `resources`. They add what is absent and keep what an author meant.

use crate::yaml::{Action, Node, Operation, Value};

/// Adds `entries` to the `securityContext` of `owner`, a container or a pod spec: into the block that is there, or as a new one. Nothing for no entries.
pub fn complete(owner: Node<'_>, entries: Vec<(String, Value)>) -> Vec<Operation> {
    complete_block(owner, "securityContext", entries)
}

/// Adds `entries` to the `resources` of a container, in the same way.
pub fn give_resources(container: super::ContainerView<'_>, entries: Vec<(String, Value)>) -> Vec<Operation> {
    complete_block(container.node(), "resources", entries)
}

fn complete_block(owner: Node<'_>, block: &str, entries: Vec<(String, Value)>) -> Vec<Operation> {
    if entries.is_empty() {
        return Vec::new();
    }
    let document = owner.document().index();
    let route = owner.route();
    if owner.get(block).is_none() {
        let action = Action::Insert { key: block.to_owned(), value: Value::Map(entries) };
        return vec![Operation { document, route, action }];
    }
    let route = route.key(block);
    let insert = |(key, value)| Operation { document, route: route.clone(), action: Action::Insert { key, value } };
    entries.into_iter().map(insert).collect()
}

/// Adds the group that claims of the pod get, and the policy that spares a large volume a walk over all its files at every start
/// (<https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods>).
/// Nothing when the pod names a group already, or its kind takes none from it.
pub fn share_claims(pod: super::PodView<'_>, gid: u32) -> Vec<Operation> {
    if pod.security("fsGroup").is_some() || pod.settings() != super::Settings::AsWritten {
        return Vec::new();
    }
    let mut entries = vec![("fsGroup".to_owned(), Value::Int(i64::from(gid)))];
    if pod.security("fsGroupChangePolicy").is_none() {
        entries.push(("fsGroupChangePolicy".to_owned(), Value::Str("OnRootMismatch".to_owned())));
    }
    complete(pod.node(), entries)
}

/// Lets every user of the pod's network listen on every port.
pub fn allow_low_ports(pod: super::PodView<'_>) -> Vec<Operation> {
    let text = |text: &str| Value::Str(text.to_owned());
    let sysctl =
        Value::Map(vec![("name".to_owned(), text(super::UNPRIVILEGED_PORT_START)), ("value".to_owned(), text("0"))]);
    match pod.security("sysctls") {
        Some(sysctls) => {
            let (document, route) = (sysctls.document().index(), sysctls.route());
            vec![Operation { document, route, action: Action::Append { value: sysctl } }]
        }
        None => complete(pod.node(), vec![("sysctls".to_owned(), Value::Seq(vec![sysctl]))]),
    }
}

/// Adds `ALL` to `capabilities.drop` of a container. `Err` holds the entry for [`complete`] when there are no `capabilities` yet; `Ok` the operations
/// on the block that is there, none when it drops all already.
pub fn drop_all(container: super::ContainerView<'_>) -> Result<Vec<Operation>, (String, Value)> {
    let all = || Value::Str("ALL".to_owned());
    let Some(capabilities) = container.security("capabilities") else {
        let drop = Value::Map(vec![("drop".to_owned(), Value::Seq(vec![all()]))]);
        return Err(("capabilities".to_owned(), drop));
    };
    if container.capabilities("drop").iter().any(|name| name == "ALL") {
        return Ok(Vec::new());
    }
    let document = capabilities.document().index();
    let route = capabilities.route();
    let dropped = capabilities.get("drop");
    // Runtimes fold the case, the Pod Security Standard does not.
    let folded = dropped
        .into_iter()
        .flat_map(Node::items)
        .find(|item| item.as_str().is_some_and(|name| name.eq_ignore_ascii_case("ALL")));
    let operation = match (folded, dropped) {
        (Some(item), _) => Operation { document, route: item.route(), action: Action::Replace { value: all() } },
        (None, Some(_)) => Operation { document, route: route.key("drop"), action: Action::Append { value: all() } },
        (None, None) => Operation {
            document,
            route,
            action: Action::Insert { key: "drop".to_owned(), value: Value::Seq(vec![all()]) },
        },
    };
    Ok(vec![operation])
}

/// Writes another scalar in the place of the one at `node`.
pub fn replace(node: Node<'_>, value: Value) -> Operation {
    Operation { document: node.document().index(), route: node.route(), action: Action::Replace { value } }
}

/// Adds an entry to the mapping at `node`, which does not have it.
pub fn set(node: Node<'_>, key: &str, value: Value) -> Operation {
    let action = Action::Insert { key: key.to_owned(), value };
    Operation { document: node.document().index(), route: node.route(), action }
}

/// Deletes entries and items, given by their values, and what would be left empty without them: `add: []` and `securityContext: {}` say nothing.
/// `growing` is a mapping to which something is added at the same time.
pub fn remove(nodes: Vec<Node<'_>>, growing: Option<Node<'_>>) -> Vec<Operation> {
    let mut gone = nodes;
    let emptied = |gone: &[Node<'_>], holder: Node<'_>| {
        let mut members = holder.entries().map(|(_, value)| value).chain(holder.items());
        growing != Some(holder) && members.all(|member| gone.contains(&member))
    };
    while let Some(holder) = gone.iter().filter_map(|node| node.parent()).find(|holder| emptied(&gone, *holder)) {
        gone.retain(|node| node.parent() != Some(holder));
        gone.push(holder);
    }
    let operation =
        |node: Node<'_>| Operation { document: node.document().index(), route: node.route(), action: Action::Delete };
    gone.into_iter().map(operation).collect()
}
