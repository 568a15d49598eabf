//! What the API server would not understand, judged by types generated from its published OpenAPI description.

use k8s_openapi::api::{apps, batch, core};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_yaml::Value;
use std::collections::BTreeSet;

/// The fields of each document that its type does not have, and what cannot be decoded at all. Kinds that are not built in are passed over.
pub(crate) fn unknown(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (index, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
        // What cannot be loaded is not edited either.
        let Ok(value) = Value::deserialize(document) else { return BTreeSet::new() };
        in_object(&value, &format!("document {index}"), &mut found);
    }
    found
}

fn in_object(value: &Value, place: &str, found: &mut BTreeSet<String>) {
    let word = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    if let (true, Some(items)) = (word("kind").ends_with("List"), value.get("items").and_then(Value::as_sequence)) {
        for (index, item) in items.iter().enumerate() {
            in_object(item, &format!("{place}.items[{index}]"), found);
        }
        return;
    }
    let known = match (word("apiVersion"), word("kind")) {
        ("v1", "Pod") => typed::<core::v1::Pod>(value),
        ("v1", "PodTemplate") => typed::<core::v1::PodTemplate>(value),
        ("v1", "ReplicationController") => typed::<core::v1::ReplicationController>(value),
        ("apps/v1", "Deployment") => typed::<apps::v1::Deployment>(value),
        ("apps/v1", "StatefulSet") => typed::<apps::v1::StatefulSet>(value),
        ("apps/v1", "DaemonSet") => typed::<apps::v1::DaemonSet>(value),
        ("apps/v1", "ReplicaSet") => typed::<apps::v1::ReplicaSet>(value),
        ("batch/v1", "Job") => typed::<batch::v1::Job>(value),
        ("batch/v1", "CronJob") => typed::<batch::v1::CronJob>(value),
        _ => return,
    };
    match known {
        Ok(known) => lost(value, &known, place, found),
        Err(message) => {
            found.insert(format!("{place}: {message}"));
        }
    }
}

/// The value as its type holds it: what the type does not have is gone.
fn typed<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Value, String> {
    let typed: T = serde_yaml::from_value(value.clone()).map_err(|error| error.to_string())?;
    serde_yaml::to_value(typed).map_err(|error| error.to_string())
}

fn lost(value: &Value, known: &Value, place: &str, found: &mut BTreeSet<String>) {
    match (value, known) {
        (Value::Mapping(entries), Value::Mapping(kept)) => {
            for (key, value) in entries {
                let name = key.as_str().unwrap_or_default();
                match kept.get(key) {
                    Some(known) => lost(value, known, &format!("{place}.{name}"), found),
                    None if is_empty(value) => {}
                    None => {
                        found.insert(format!("{place}.{name}: unknown field"));
                    }
                }
            }
        }
        (Value::Sequence(items), Value::Sequence(kept)) => {
            for (index, (item, known)) in items.iter().zip(kept).enumerate() {
                lost(item, known, &format!("{place}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// Types leave out what is empty.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Mapping(entries) => entries.is_empty(),
        Value::Sequence(items) => items.is_empty(),
        _ => false,
    }
}
