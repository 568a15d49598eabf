//! The YAML engine against inputs of every shape that manifests take: exact bytes or a coded refusal.
#![allow(clippy::unwrap_used, reason = "here a failed step should end the test")]

#[path = "yaml/cases.rs"]
mod cases;
#[path = "yaml/deletion.rs"]
mod deletion;
#[path = "yaml/insertion.rs"]
mod insertion;
#[path = "yaml/properties.rs"]
mod properties;
#[path = "yaml/reading.rs"]
mod reading;
#[path = "yaml/replacement.rs"]
mod replacement;

use unroot::edit::EditSet;
use unroot::yaml::{Action, Code, Operation, Refusal, Route, Step, Value, parse, verify};

/// What a case ends with.
enum Ending {
    Text(String),
    Refused(Code),
}

fn becomes(text: impl Into<String>) -> Ending {
    Ending::Text(text.into())
}

fn refused(code: Code) -> Ending {
    Ending::Refused(code)
}

/// Parses, plans, applies and verifies, as the pipeline does.
fn run(text: &str, operations: &[Operation]) -> Result<String, Refusal> {
    let before = parse(text)?;
    let edits = before.plan(operations)?;
    let after = EditSet::new(edits.clone()).unwrap_or_else(|overlap| panic!("{overlap}")).apply(text);
    let result = verify(&before, operations, &edits, &after)?;
    assert_eq!(**result.text(), after);
    Ok(after)
}

#[track_caller]
fn check(name: &str, text: &str, operations: &[Operation], ending: &Ending) {
    match (run(text, operations), ending) {
        (Ok(after), Ending::Text(expected)) => assert_eq!(after, *expected, "case {name}"),
        (Err(refusal), Ending::Refused(code)) => assert_eq!(refusal.code, *code, "case {name}: {refusal}"),
        (Ok(after), Ending::Refused(code)) => panic!("case {name}: expected {code:?}, got\n{after}"),
        (Err(refusal), Ending::Text(_)) => panic!("case {name}: refused: {:?} {refusal}", refusal.code),
    }
}

/// `spec.containers[0].image` as a route; no key in these tests holds a dot or a bracket.
fn route(text: &str) -> Route {
    let mut steps = Vec::new();
    for part in text.split('.').filter(|part| !part.is_empty()) {
        let mut pieces = part.split('[');
        let key = pieces.next().unwrap_or_default();
        if !key.is_empty() {
            steps.push(Step::Key(key.to_owned()));
        }
        steps.extend(pieces.map(|index| Step::Index(index.trim_end_matches(']').parse().unwrap_or(usize::MAX))));
    }
    Route(steps)
}

fn operation(at: &str, action: Action) -> Operation {
    Operation { document: 0, route: route(at), action }
}

fn insert(at: &str, key: &str, value: Value) -> Operation {
    operation(at, Action::Insert { key: key.to_owned(), value })
}

fn append(at: &str, value: Value) -> Operation {
    operation(at, Action::Append { value })
}

fn replace(at: &str, value: Value) -> Operation {
    operation(at, Action::Replace { value })
}

fn delete(at: &str) -> Operation {
    operation(at, Action::Delete)
}

fn in_document(document: usize, mut operation: Operation) -> Operation {
    operation.document = document;
    operation
}

fn string(text: &str) -> Value {
    Value::Str(text.to_owned())
}

fn map(entries: &[(&str, Value)]) -> Value {
    Value::Map(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

/// A security context of one entry.
fn non_root() -> Value {
    map(&[("runAsNonRoot", Value::Bool(true))])
}
