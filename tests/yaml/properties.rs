//! What must hold for every input: generated manifests, mutated ones, and noise.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use unroot::yaml::{Kind, Node, Stream, Style};

/// A generated value and how it is written.
#[derive(Clone, Debug)]
enum Tree {
    Scalar(&'static str),
    Text { header: &'static str, lines: Vec<&'static str> },
    Map { flow: bool, entries: Vec<(Tree, Note)> },
    Seq { flow: bool, items: Vec<(Tree, Note)> },
}

/// What stands behind and above an entry.
type Note = (Option<&'static str>, Option<&'static str>);

/// How a generated file is laid out.
#[derive(Clone, Copy, Debug)]
struct Layout {
    step: usize,
    list_step: usize,
    gap: usize,
    newline: &'static str,
    mark: bool,
    closed: bool,
}

const SCALARS: [&str; 20] = [
    "",
    "web",
    "0",
    "0644",
    "yes",
    "~",
    "null",
    "'it''s'",
    "\"a # b\"",
    "\"q\\\"\\u00e9\"",
    "x#y:z",
    "é",
    "nginx:1.27",
    "1e3",
    "!!str 5",
    "\"\"",
    "a b",
    "-x",
    "[]",
    "{}",
];

fn note() -> impl Strategy<Value = Note> {
    (
        select(vec![None, None, Some("# c"), Some("  # é: - {")]),
        select(vec![None, None, None, Some(""), Some("# above: [")]),
    )
}

fn tree() -> impl Strategy<Value = Tree> {
    let text = (select(vec!["|", "|-", "|+", ">", ">-"]), vec(select(vec!["x", "# y", "", "é: ü", "  z"]), 1..4));
    let leaf = prop_oneof![
        6 => select(SCALARS.to_vec()).prop_map(Tree::Scalar),
        1 => text.prop_map(|(header, lines)| Tree::Text { header, lines }),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let children = || vec((inner.clone(), note()), 1..4);
        prop_oneof![
            3 => children().prop_map(|entries| Tree::Map { flow: false, entries }),
            1 => children().prop_map(|entries| Tree::Map { flow: true, entries }),
            2 => children().prop_map(|items| Tree::Seq { flow: false, items }),
            1 => children().prop_map(|items| Tree::Seq { flow: true, items }),
        ]
    })
}

fn layout() -> impl Strategy<Value = Layout> {
    let newline = select(vec!["\n", "\n", "\r\n", "\r"]);
    (select(vec![2, 4, 3]), any::<bool>(), 1..4_usize, newline, any::<bool>(), any::<bool>()).prop_map(
        |(step, indented, gap, newline, mark, closed)| Layout {
            step,
            list_step: if indented { step } else { 0 },
            gap,
            newline,
            mark,
            closed,
        },
    )
}

fn manifest() -> impl Strategy<Value = String> {
    (vec(vec((tree(), note()), 1..4), 1..3), layout()).prop_map(|(documents, layout)| {
        let texts: Vec<String> = documents
            .iter()
            .map(|entries| {
                let mut lines = Vec::new();
                layout.map(&mut lines, entries, String::new(), 0);
                lines.join("\n")
            })
            .collect();
        let mut text = texts.join("\n---\n").replace('\n', layout.newline);
        if layout.closed {
            text.push_str(layout.newline);
        }
        if layout.mark { format!("\u{FEFF}{text}") } else { text }
    })
}

impl Layout {
    fn map(&self, lines: &mut Vec<String>, entries: &[(Tree, Note)], mut first: String, column: usize) {
        for (index, (tree, (behind, above))) in entries.iter().enumerate() {
            // What stands above the first entry would part it from its dash.
            if let Some(above) = above.filter(|_| first.is_empty()) {
                lines.push(if above.is_empty() { String::new() } else { format!("{}{above}", " ".repeat(column)) });
            }
            let indent = if first.is_empty() { " ".repeat(column) } else { std::mem::take(&mut first) };
            self.value(lines, tree, format!("{indent}k{index}:"), *behind, column, false);
        }
    }

    fn seq(&self, lines: &mut Vec<String>, items: &[(Tree, Note)], mut first: String, column: usize) {
        for (tree, (behind, _)) in items {
            let indent = if first.is_empty() { " ".repeat(column) } else { std::mem::take(&mut first) };
            self.value(lines, tree, format!("{indent}-"), *behind, column, true);
        }
    }

    fn value(
        &self,
        lines: &mut Vec<String>,
        tree: &Tree,
        head: String,
        behind: Option<&str>,
        column: usize,
        item: bool,
    ) {
        let behind = behind.map(|behind| format!(" {behind}")).unwrap_or_default();
        match tree {
            Tree::Map { flow: false, entries } if item => {
                let head = format!("{head}{}", " ".repeat(self.gap));
                self.map(lines, entries, head, column + 1 + self.gap);
            }
            Tree::Seq { flow: false, items } if item => {
                let head = format!("{head}{}", " ".repeat(self.gap));
                self.seq(lines, items, head, column + 1 + self.gap);
            }
            Tree::Map { flow: false, entries } => {
                lines.push(head + &behind);
                self.map(lines, entries, String::new(), column + self.step);
            }
            Tree::Seq { flow: false, items } => {
                lines.push(head + &behind);
                self.seq(lines, items, String::new(), column + self.list_step);
            }
            Tree::Text { header, lines: text } => {
                lines.push(format!("{head} {header}{behind}"));
                // The first line shows the indent, so it must not be blank or deeper.
                lines.push(format!("{}start", " ".repeat(column + 5)));
                let line = |line: &&str| if line.is_empty() { String::new() } else { " ".repeat(column + 5) + line };
                lines.extend(text.iter().map(line));
            }
            _ => {
                let written = flow(tree);
                let space = if written.is_empty() { "" } else { " " };
                lines.push(format!("{head}{space}{written}{behind}"));
            }
        }
    }
}

fn flow(tree: &Tree) -> String {
    match tree {
        Tree::Scalar(text) => (*text).to_owned(),
        Tree::Text { .. } => "'text'".to_owned(),
        Tree::Map { entries, .. } => {
            let entries: Vec<String> =
                entries.iter().enumerate().map(|(index, (tree, _))| format!("k{index}: {}", flow(tree))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Tree::Seq { items, .. } => {
            let items: Vec<String> = items
                .iter()
                .map(|(tree, _)| flow(tree))
                .map(|text| if text.is_empty() { "''".to_owned() } else { text })
                .collect();
            format!("[{}]", items.join(", "))
        }
    }
}

fn nodes(stream: &Stream) -> Vec<Node<'_>> {
    let mut found = Vec::new();
    let mut pending: Vec<Node<'_>> = stream.documents().filter_map(|document| document.root()).collect();
    pending.reverse();
    while let Some(node) = pending.pop() {
        found.push(node);
        let mut children: Vec<Node<'_>> =
            node.entries().flat_map(|(key, value)| [key, value]).chain(node.items()).collect();
        children.reverse();
        pending.extend(children);
    }
    found
}

/// All that can be asked for at the nodes of `stream`.
fn operations(stream: &Stream, value: &Value) -> Vec<Operation> {
    let values = nodes(stream)
        .into_iter()
        .filter(|node| node.parent().is_none_or(|parent| !parent.entries().any(|(key, _)| key == *node)));
    let at =
        |node: Node<'_>, action: Action| Operation { document: node.document().index(), route: node.route(), action };
    values
        .flat_map(|node| {
            let insert = Action::Insert { key: "zz".to_owned(), value: value.clone() };
            let append = Action::Append { value: value.clone() };
            let replace = Action::Replace { value: Value::Str("new: value".to_owned()) };
            let mut possible = match (node.kind(), node.style()) {
                (Kind::Mapping, _) => vec![at(node, insert)],
                (Kind::Sequence, _) => vec![at(node, append)],
                (Kind::Scalar, Style::Empty) => vec![at(node, insert), at(node, append), at(node, replace)],
                _ => vec![at(node, replace)],
            };
            possible.push(at(node, Action::Delete));
            possible
        })
        .collect()
}

/// Every byte that no scalar, property or comment claims is punctuation or white space.
fn is_covered(stream: &Stream) -> bool {
    let text = stream.text();
    let mut claimed: Vec<(usize, usize)> = stream.comments().map(|span| (span.start, span.end)).collect();
    for node in nodes(stream) {
        if matches!(node.kind(), Kind::Scalar | Kind::Alias) {
            claimed.push((node.span().start, node.span().end));
        }
    }
    claimed.sort_unstable();
    let mut at = 0;
    let mut gaps = String::new();
    for (start, end) in claimed {
        gaps.push_str(&text[at..start.max(at)]);
        at = at.max(end);
    }
    gaps.push_str(&text[at..]);
    // Properties and directives are the words that may be left.
    let words: Vec<&str> = gaps
        .split(|character: char| character.is_ascii_whitespace() || ",[]{}\u{FEFF}".contains(character))
        .filter(|word| !matches!(*word, "" | "-" | "?" | ":" | "---" | "..."))
        .filter(|word| !word.starts_with(['&', '!', '%', ':', '-', '?']))
        .collect();
    words.is_empty() || text.lines().any(|line| line.starts_with('%'))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_manifests_parse_and_are_covered(text in manifest()) {
        let stream = parse(text.as_str()).map_err(|refusal| TestCaseError::fail(format!("{text:?}: {refusal}")))?;
        prop_assert_eq!(&**stream.text(), &text);
        prop_assert!(is_covered(&stream), "{:?}", text);
        prop_assert!(stream.plan(&[]).is_ok_and(|edits| edits.is_empty()));
        for node in nodes(&stream) {
            let parent = node.parent().map(|parent| parent.span());
            prop_assert!(parent.is_none_or(|parent| parent.start <= node.span().start && node.span().end <= parent.end), "{:?}: {:?}", text, node);
        }
    }

    #[test]
    fn every_edit_is_proved_or_refused_with_a_reason(text in manifest()) {
        let stream = parse(text.as_str()).unwrap();
        let nested = map(&[("a", Value::Seq(vec![string("ALL"), map(&[("b", Value::Bool(true))])])), ("c", string("y"))]);
        for operation in operations(&stream, &nested) {
            match run(&text, std::slice::from_ref(&operation)) {
                Ok(after) => {
                    let again = || run(&after, std::slice::from_ref(&operation)).map_err(|refusal| refusal.code);
                    if let Action::Insert { .. } = operation.action {
                        prop_assert_eq!(again(), Err(Code::DuplicateKey));
                        prop_assert!(is_subsequence(&text, &after), "{:?} became {:?}", text, after);
                    }
                    if operation.action == Action::Delete {
                        if let Some(Step::Key(_)) = operation.route.0.last() {
                            prop_assert_eq!(again(), Err(Code::NotFound));
                        }
                        prop_assert!(is_subsequence(&after, &text), "{:?} became {:?}", text, after);
                    }
                }
                Err(refusal) => {
                    let mut expected = matches!(refusal.code, Code::ExplicitNull | Code::EofBlockScalar | Code::NotFound);
                    expected |= operation.action == Action::Delete && matches!(refusal.code, Code::LastEntry | Code::Inseparable);
                    prop_assert!(expected, "{:?} {:?}: {:?} {}", text, operation, refusal.code, refusal);
                }
            }
        }
    }

    #[test]
    fn edits_at_different_nodes_commute(text in manifest(), picks in (any::<prop::sample::Index>(), any::<prop::sample::Index>())) {
        let stream = parse(text.as_str()).unwrap();
        let all = operations(&stream, &string("v"));
        let (first, second) = (picks.0.get(&all).clone(), picks.1.get(&all).clone());
        if (first.document, &first.route) == (second.document, &second.route) {
            return Ok(());
        }
        let together = run(&text, &[first.clone(), second.clone()]);
        let swapped = run(&text, &[second.clone(), first.clone()]);
        prop_assert_eq!(together.as_deref().ok(), swapped.as_deref().ok());
        // A deletion may move what the other route names.
        if let Ok(together) = together && ![&first, &second].iter().any(|operation| operation.action == Action::Delete) {
            for (one, other) in [(&first, &second), (&second, &first)] {
                let step = run(&text, std::slice::from_ref(one)).map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
                // What the first edit writes may itself be what the second one looks at for style; the values agree still.
                let then = run(&step, std::slice::from_ref(other)).map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
                prop_assert_eq!(values(&then), values(&together), "{:?}", text);
            }
        }
    }

    #[test]
    fn many_edits_at_once_are_proved_or_refused_in_any_order(text in manifest(), picks in vec(any::<prop::sample::Index>(), 2..8)) {
        let stream = parse(text.as_str()).unwrap();
        let chosen = picked(&stream, &picks);
        let backwards: Vec<Operation> = chosen.iter().rev().cloned().collect();
        let (together, swapped) = (run(&text, &chosen), run(&text, &backwards));
        prop_assert_eq!(together.as_deref().ok(), swapped.as_deref().ok(), "{:?}", text);
        match together {
            Ok(after) => prop_assert_eq!(values(&after), expected(&text, &chosen), "{:?}", text),
            Err(refusal) => prop_assert_ne!(refusal.code, Code::Verify, "{:?} {:?}: {}", text, chosen, refusal),
        }
    }

    #[test]
    fn mutated_manifests_are_never_damaged(text in manifest(), picks in vec(any::<prop::sample::Index>(), 2..8), cuts in vec((any::<prop::sample::Index>(), select(vec!["", "\t", ": ", "- ", "#", "\"", "'", "{", "]", "&a ", "*a", "|", "\u{85}", "\u{2028}", "\u{FEFF}", "\r", "\n", "...\n", "---\n", "%", "{{ x }}", "? ", "!!str ", ",", "\0"])), 1..4)) {
        let mut characters: Vec<String> = text.chars().map(String::from).collect();
        for (index, new) in cuts {
            let at = index.index(characters.len());
            characters[at] = new.to_owned();
        }
        let text = characters.concat();
        if let Ok(stream) = parse(text.as_str()) {
            prop_assert!(is_covered(&stream), "{:?}", text);
            let mut all: Vec<Vec<Operation>> = operations(&stream, &Value::Bool(true)).into_iter().map(|operation| vec![operation]).collect();
            if !all.is_empty() {
                all.push(picked(&stream, &picks));
            }
            for operations in all {
                if let Err(refusal) = run(&text, &operations) {
                    prop_assert_ne!(refusal.code, Code::Verify, "{:?} {:?}: {}", text, operations, refusal);
                }
            }
        }
    }

    #[test]
    fn noise_does_not_panic(text in "[\\-?:,\\[\\]{}#&*!|>'\"%@` \n\r\ta-c0\\\\\u{85}\u{FEFF}é~<.]{0,60}") {
        if let Ok(stream) = parse(text.as_str()) {
            prop_assert!(is_covered(&stream), "{:?}", text);
            for operation in operations(&stream, &string("v")) {
                if let Err(refusal) = run(&text, std::slice::from_ref(&operation)) {
                    prop_assert_ne!(refusal.code, Code::Verify, "{:?} {:?}: {}", text, operation, refusal);
                    prop_assert!(!refusal.message.chars().any(char::is_control));
                }
            }
        }
    }

    #[test]
    fn any_bytes_that_are_text_do_not_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = parse(String::from_utf8_lossy(&bytes).as_ref());
    }

    #[test]
    fn strings_that_are_written_load_back(written in prop_oneof![any::<String>(), "[-_/a-zA-Z0-9.:@+=~ ]{0,8}", "(?i)(y|n|yes|no|on|off|true|false|null|nan|[-+.]?inf)"]) {
        for text in ["a: 0\n", "{a: 0}\n", "{\"a\": 0}\n"] {
            let after = run(text, &[insert("", "b", string(&written))]).map_err(|refusal| TestCaseError::fail(format!("{written:?}: {refusal}")))?;
            let stream = parse(after.as_str()).unwrap();
            let node = stream.document(0).and_then(|document| document.at(&route("b"))).unwrap();
            prop_assert!(node.as_str().is_some_and(|text| text == written), "{written:?} in {after:?}");
            let loose: serde_yaml::Value = serde_yaml::from_str(&after).unwrap();
            prop_assert_eq!(loose["b"].as_str(), Some(written.as_str()));
        }
        let after = run("a: 0\n", &[insert("", &format!("{written}b"), string(&written))]);
        prop_assert!(after.is_ok(), "{:?}", after);
    }
}

/// Some of all that can be asked for, twice as many deletions as other things, and no two at one node.
fn picked(stream: &Stream, picks: &[prop::sample::Index]) -> Vec<Operation> {
    let all = operations(stream, &string("v"));
    let deletions: Vec<&Operation> = all.iter().filter(|operation| operation.action == Action::Delete).collect();
    let mut chosen: Vec<Operation> = Vec::new();
    for (at, pick) in picks.iter().enumerate() {
        let operation = if at % 3 == 0 { pick.get(&all) } else { *pick.get(&deletions) };
        let apart = |other: &Operation| {
            let shorter = operation.route.0.len().min(other.route.0.len());
            let nested = operation.route.0[..shorter] == other.route.0[..shorter];
            let deletes = (operation.action == Action::Delete && operation.route.0.len() == shorter)
                || (other.action == Action::Delete && other.route.0.len() == shorter);
            operation.document != other.document || !(nested && deletes || operation.route == other.route)
        };
        if chosen.iter().all(apart) {
            chosen.push(operation.clone());
        }
    }
    chosen
}

/// What `text` must load as after `operations`, by a reader and in a way that share nothing with the engine.
#[allow(clippy::expect_used, reason = "a place that is missing should end the test")]
fn expected(text: &str, operations: &[Operation]) -> Vec<serde_yaml::Value> {
    use serde_yaml::Value as Loose;
    fn at<'v>(value: &'v mut Loose, steps: &[Step]) -> &'v mut Loose {
        steps.iter().fold(value, |value, step| {
            let value = if let Loose::Tagged(tagged) = value { &mut tagged.value } else { value };
            match step {
                Step::Key(key) => value.get_mut(key.as_str()).unwrap(),
                Step::Index(index) => value.get_mut(index).unwrap(),
            }
        })
    }
    let new = |value: &Value| match value {
        Value::Str(text) => Loose::String(text.clone()),
        other => panic!("only strings are written here, not {other:?}"),
    };
    let mut documents = values(text);
    let mut operations = operations.to_vec();
    // Deletions last, and of these the later items first.
    operations
        .sort_by_key(|operation| (operation.action == Action::Delete, std::cmp::Reverse(operation.route.clone())));
    for operation in &operations {
        let root = &mut documents[operation.document];
        match (&operation.action, operation.route.0.split_last()) {
            (Action::Delete, Some((Step::Key(key), holder))) => {
                at(root, holder).as_mapping_mut().unwrap().shift_remove(key.as_str());
            }
            (Action::Delete, Some((Step::Index(index), holder))) => {
                at(root, holder).as_sequence_mut().unwrap().remove(*index);
            }
            (Action::Delete, None) => panic!("no root is deleted"),
            (Action::Insert { key, value }, _) => {
                let place = at(root, &operation.route.0);
                if place.is_null() {
                    *place = Loose::Mapping(serde_yaml::Mapping::new());
                }
                place.as_mapping_mut().unwrap().insert(Loose::String(key.clone()), new(value));
            }
            (Action::Append { value }, _) => {
                let place = at(root, &operation.route.0);
                if place.is_null() {
                    *place = Loose::Sequence(Vec::new());
                }
                place.as_sequence_mut().unwrap().push(new(value));
            }
            (Action::Replace { value }, _) => *at(root, &operation.route.0) = new(value),
        }
    }
    documents
}

fn values(text: &str) -> Vec<serde_yaml::Value> {
    use serde::Deserialize as _;
    let text = text.trim_start_matches('\u{FEFF}');
    serde_yaml::Deserializer::from_str(text)
        .filter_map(|document| serde_yaml::Value::deserialize(document).ok())
        .collect()
}

/// Whether `text` remains when characters are taken out of `after`.
fn is_subsequence(text: &str, after: &str) -> bool {
    let mut after = after.chars();
    text.chars().all(|wanted| after.any(|character| character == wanted))
}
