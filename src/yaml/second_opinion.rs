//! The second reader: libyaml, the ancestor of what kubectl uses, through `serde_yaml`.

use super::cover::{BYTE_ORDER_MARK, holds_unicode_break};
use super::{Action, Kind, Node, Stream, Style, Value};
use serde::Deserialize;
use serde_yaml::Value as Loose;
use std::ops::Range;

/// What was loaded for each document of the stream; `None` where null is loaded, and where the document is refused for its
/// duplicate keys, which this reader rejects.
pub(super) type Loaded = Vec<Option<Loose>>;

/// Loads every document, framed as kubectl frames them.
pub(super) fn load(stream: &Stream) -> Result<Loaded, String> {
    let text = stream.text();
    let mut loaded: Loaded = vec![None; stream.documents().len()];
    let mut documents = stream.documents().peekable();
    for frame in frames(text)? {
        let mut expected = Vec::new();
        let mut refused = false;
        while let Some(document) = documents.next_if(|document| document.span().start < frame.end) {
            refused |= document.refusal().is_some();
            if document.root().is_some_and(|root| !root.is_null()) {
                expected.push(document.index());
            }
        }
        if refused {
            if expected.len() > 1 {
                return Err("documents with duplicate keys and without stand between two separators".to_owned());
            }
            continue;
        }
        let values = load_frame(&text[frame])?;
        if values.len() != expected.len() {
            return Err("it finds another number of documents".to_owned());
        }
        for (index, value) in expected.into_iter().zip(values) {
            loaded[index] = Some(value);
        }
    }
    Ok(loaded)
}

/// Cuts a text where kubectl does (`YAMLReader` of k8s.io/apimachinery): at lines that start with `---`, whatever stands
/// before them, and behind which only a comment may stand. Each frame starts with its separator.
fn frames(text: &str) -> Result<Vec<Range<usize>>, String> {
    let mut frames = Vec::new();
    let mut start = 0;
    let mut line = 0;
    while line < text.len() {
        let next = memchr::memchr(b'\n', &text.as_bytes()[line..]).map_or(text.len(), |length| line + length + 1);
        if let Some(rest) = text[line..next].strip_prefix("---") {
            // Without line feeds the whole text is one line to kubectl, and then its separators are YAML's.
            let rest = rest.split('\r').next().unwrap_or_default().trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                return Err("only a comment may follow `---` on its line".to_owned());
            }
            frames.push(start..line);
            start = line;
        }
        line = next;
    }
    frames.push(start..text.len());
    Ok(frames)
}

/// All values of one frame that are not null. A byte order mark is taken away: this reader counts it as a column, go-yaml
/// does not.
fn load_frame(text: &str) -> Result<Vec<Loose>, String> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    // kubectl ends every line that it reads.
    let closed = if text.ends_with('\n') { text.into() } else { std::borrow::Cow::from(format!("{text}\n")) };
    let mut values = Vec::new();
    for document in serde_yaml::Deserializer::from_str(&closed) {
        let value = Loose::deserialize(document).map_err(|error| error.to_string().escape_debug().to_string())?;
        if !value.is_null() {
            values.push(value);
        }
    }
    Ok(values)
}

/// Whether `value` has the shape and the strings of `node`. The types of plain scalars are not compared: the two readers
/// follow different tables, and neither is kubectl's.
pub(super) fn agrees(node: Node<'_>, value: &Loose) -> bool {
    let node = node.resolved();
    match (node.kind(), value) {
        (_, Loose::Tagged(tagged)) => agrees(node, &tagged.value),
        (Kind::Mapping, Loose::Mapping(mapping)) => {
            let mut entries = node.entries();
            let all = mapping.iter().all(|(key, value)| {
                entries.next().is_some_and(|(old_key, old_value)| agrees(old_key, key) && agrees(old_value, value))
            });
            all && entries.next().is_none()
        }
        (Kind::Sequence, Loose::Sequence(sequence)) => {
            let mut items = node.items();
            let all = sequence.iter().all(|value| items.next().is_some_and(|item| agrees(item, value)));
            all && items.next().is_none()
        }
        // By the rules of YAML 1.1 libyaml breaks lines where YAML 1.2 does not, and so folds what stands around.
        (Kind::Scalar, Loose::String(text)) => node.text() == *text || holds_unicode_break(node.raw()),
        (Kind::Scalar, Loose::Null | Loose::Bool(_) | Loose::Number(_)) => {
            matches!(node.style(), Style::Plain | Style::Empty) || node.tag().is_some()
        }
        _ => false,
    }
}

/// Carries out `action`, which is no deletion, on `root`, the value of the document that holds `node`. `false` if the value
/// has no such place.
pub(super) fn carry_out(root: &mut Loose, node: Node<'_>, action: &Action) -> bool {
    let Some(place) = descend(root, node) else { return false };
    match action {
        Action::Replace { value } => *place = loose(value),
        Action::Insert { key, value } => {
            if place.is_null() {
                *place = Loose::Mapping(serde_yaml::Mapping::new());
            }
            let Loose::Mapping(mapping) = place else { return false };
            mapping.insert(Loose::String(key.clone()), loose(value));
        }
        Action::Append { value } => {
            if place.is_null() {
                *place = Loose::Sequence(Vec::new());
            }
            let Loose::Sequence(sequence) = place else { return false };
            sequence.push(loose(value));
        }
        Action::Delete => return false,
    }
    true
}

/// Deletes what stands where `node` stands from `root`. Of several the last one in the text must be deleted first, after
/// all that [`carry_out`] does: places are found by counting.
pub(super) fn delete(root: &mut Loose, node: Node<'_>) -> bool {
    let Some(parent) = node.parent() else { return false };
    match (parent.kind(), descend(root, parent)) {
        (Kind::Mapping, Some(Loose::Mapping(mapping))) => {
            let Some(position) = parent.entries().position(|(_, value)| value == node) else { return false };
            let entries = std::mem::take(mapping).into_iter().enumerate();
            *mapping = entries.filter(|(at, _)| *at != position).map(|(_, entry)| entry).collect();
            true
        }
        (Kind::Sequence, Some(Loose::Sequence(sequence))) => {
            let position = parent.index_of(node).filter(|at| *at < sequence.len());
            position.map(|at| sequence.remove(at)).is_some()
        }
        _ => false,
    }
}

/// The value that stands where `node` stands: found by position, because the two readers may give keys different types.
fn descend<'v>(root: &'v mut Loose, node: Node<'_>) -> Option<&'v mut Loose> {
    let value = match node.parent() {
        None => root,
        Some(parent) => {
            let above = descend(root, parent)?;
            match above {
                Loose::Mapping(mapping) => {
                    let position = parent.entries().position(|(_, value)| value == node)?;
                    mapping.values_mut().nth(position)?
                }
                Loose::Sequence(sequence) => sequence.get_mut(parent.index_of(node)?)?,
                _ => return None,
            }
        }
    };
    Some(untagged(value))
}

fn untagged(mut value: &mut Loose) -> &mut Loose {
    while let Loose::Tagged(tagged) = value {
        value = &mut tagged.value;
    }
    value
}

fn loose(value: &Value) -> Loose {
    match value {
        Value::Bool(value) => Loose::Bool(*value),
        Value::Int(value) => Loose::Number((*value).into()),
        Value::Str(text) => Loose::String(text.clone()),
        Value::Map(entries) => {
            Loose::Mapping(entries.iter().map(|(key, value)| (Loose::String(key.clone()), loose(value))).collect())
        }
        Value::Seq(items) => Loose::Sequence(items.iter().map(loose).collect()),
    }
}
