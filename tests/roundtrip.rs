//! Whatever can be read is read without losing a byte, and what a run makes of it holds.
//!
//! The files are those of the cases and the corpus. `UNROOT_CORPUS=<directory>` adds each folder in that directory as a repository, so that a large
//! collection can be looked at by hand: `UNROOT_CORPUS=… cargo test --release --test roundtrip -- --show-output`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "here a failed step should end the test")]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

mod support;

use serde_yaml::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use support::trees::{self, copy_tree, each_image, other_roots, own_roots, roots, run};
use support::{api_types, second_parser};
use unroot::discover::{Candidate, Class, Tree};
use unroot::dockerfile::{self, Dockerfile};
use unroot::error::{Finding, Outcome};
use unroot::facts::User;
use unroot::kubernetes::pod_security::Level;
use unroot::levels::WorkloadLevel;
use unroot::pipeline::FileChange;
use unroot::registry::Offline;
use unroot::yaml::{self, Kind, Node, Scalar, Stream, Style};

#[test]
fn dockerfiles_are_read_without_losing_a_byte() {
    let mut counts = Counts::default();
    each_candidate(|name, candidate| {
        if candidate.class != Class::Dockerfile {
            return;
        }
        match dockerfile::parse(candidate.text.clone()) {
            Ok(dockerfile) => {
                counts.read += 1;
                assert_eq!(print_dockerfile(&dockerfile), *candidate.text, "{name}");
            }
            Err(error) => {
                counts.refuse("parse");
                assert!(
                    error.offset <= candidate.text.len() && !error.message.contains(char::is_control),
                    "{name}: {error:?}"
                );
            }
        }
    });
    counts.report("Dockerfiles");
}

#[test]
fn yaml_is_read_without_losing_a_byte() {
    let mut counts = Counts::default();
    each_candidate(|name, candidate| {
        if candidate.class == Class::Dockerfile {
            return;
        }
        match yaml::parse(candidate.text.clone()) {
            Ok(stream) => {
                counts.read += 1;
                assert_eq!(print_yaml(&stream), *candidate.text, "{name}");
                if let Err(difference) = compare(&stream) {
                    panic!("{name}: {difference}");
                }
            }
            Err(refusal) => {
                counts.refuse(&refusal.code.to_string());
                assert!(
                    !refusal.message.contains(char::is_control) && !refusal.message.is_empty(),
                    "{name}: {refusal:?}"
                );
            }
        }
    });
    counts.report("YAML files");
}

#[test]
fn a_second_run_changes_nothing_and_the_second_parser_agrees() {
    let mut counts = Counts::default();
    for root in roots() {
        for allow_unsafe in [false, true] {
            let workspace = tempfile::tempdir().unwrap();
            let copy = workspace.path().join("app");
            fs::create_dir(&copy).unwrap();
            copy_tree(&root, &copy);
            let run = run(&copy, allow_unsafe, &Offline);
            assert!(!run.has_internal_failures(), "{}: {:#?}", root.display(), run.findings);
            for file in &run.files {
                counts.read += 1;
                fs::write(copy.join(&file.path), file.after.as_bytes()).unwrap();
                if dockerfile_name(&file.path) {
                    let after = dockerfile::parse(file.after.clone()).unwrap();
                    assert_eq!(print_dockerfile(&after), *file.after, "{}", file.path);
                    others_read(file);
                } else {
                    let after = yaml::parse(file.after.clone()).unwrap();
                    assert_eq!(print_yaml(&after), *file.after, "{}", file.path);
                    if let Err(difference) = compare(&after) {
                        panic!("{}: {difference}", file.path);
                    }
                    let known = api_types::unknown(file.before.as_deref().unwrap_or_default());
                    let new: Vec<String> = api_types::unknown(&file.after)
                        .into_iter()
                        .filter(|unknown| !known.contains(unknown))
                        .collect();
                    assert!(new.is_empty(), "{}: the API server knows no {new:?}", file.path);
                }
            }
            let again = trees::run(&copy, allow_unsafe, &Offline);
            let planned: Vec<&str> = again.files.iter().map(|file| file.path.as_str()).collect();
            assert!(planned.is_empty(), "{}, unsafe {allow_unsafe}: a second run changes {planned:?}", root.display());
        }
    }
    counts.report("changed files");
}

/// What another parser and bash read before they read after, and every comment is still there.
fn others_read(file: &FileChange) {
    let (before, after) = (file.before.as_deref().unwrap_or_default(), &*file.after);
    if let Some(refusal) = second_parser::refusal(after) {
        assert!(second_parser::refusal(before).is_some(), "{}: {refusal}", file.path);
    }
    let known = second_parser::unreadable_scripts(before);
    let new: Vec<String> =
        second_parser::unreadable_scripts(after).into_iter().filter(|script| !known.contains(script)).collect();
    assert!(new.is_empty(), "{}: bash cannot read {new:?}", file.path);
    let mut left = second_parser::comments(after);
    for comment in second_parser::comments(before) {
        let place = left.iter().position(|other| *other == comment);
        left.remove(place.unwrap_or_else(|| panic!("{}: {comment} is lost", file.path)));
    }
}

/// Prints, for each repository, its workloads by level (privileged, baseline, restricted), and the checks that the rest does not satisfy.
#[test]
fn no_workload_comes_out_at_a_weaker_level() {
    let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
    for root in roots() {
        let runs = [false, true].map(|allow_unsafe| run(&root, allow_unsafe, &Offline).levels);
        for workload in runs.iter().flatten() {
            assert!(workload.after >= workload.before, "{}: {workload:?}", root.display());
        }
        for violation in runs[1].iter().flat_map(|workload| &workload.missing) {
            *missing.entry(violation.check).or_default() += 1;
        }
        let count = |levels: &[WorkloadLevel], of: fn(&WorkloadLevel) -> Level| {
            Level::ALL.map(|level| levels.iter().filter(|workload| of(workload) == level).count())
        };
        let [safe, risky] = &runs;
        let before = count(safe, |workload| workload.before);
        let after = [safe, risky].map(|levels| count(levels, |workload| workload.after));
        let name = root.file_name().unwrap().display();
        println!("{name}: {before:?} before, {:?} after, {:?} after --unsafe", after[0], after[1]);
    }
    println!("missing after --unsafe, in workloads: {missing:?}");
}

/// Prints, apart for our own files and for those that are asked for beside, and for each language: how many Dockerfiles there are, how many have one stage
/// and what became of that, and how many end with a numeric user other than root.
#[test]
fn no_dockerfile_loses_its_user() {
    for (collection, roots) in [("cases and corpus", own_roots()), ("UNROOT_CORPUS", other_roots())] {
        let stacks = fates(&roots);
        for (allow, index) in [("", 0), (" with --unsafe", 1)] {
            let mut total = Fates::new();
            for (stack, fates) in &stacks {
                println!("{collection}{allow}, {stack}: {}", told(&fates[index]));
                fates[index].iter().for_each(|(what, count)| *total.entry(what.clone()).or_default() += count);
            }
            println!("{collection}{allow}, total: {}", told(&total));
        }
    }
}

/// How many Dockerfiles something holds for.
type Fates = BTreeMap<String, usize>;

/// A line of counts, with the share of those that end with a numeric user in front.
fn told(fates: &Fates) -> String {
    let count = |what: &str| fates.get(what).copied().unwrap_or(0);
    let share = |part: usize, whole: usize| (part * 100).checked_div(whole).unwrap_or(0);
    let numeric = count("numeric user after");
    let split = share(count("split"), count("single-stage"));
    format!("{}% numeric, {split}% of single stages split, {fates:?}", share(numeric, count("files")))
}

/// What became of the Dockerfiles of each language, without and with `--unsafe`.
fn fates(roots: &[PathBuf]) -> BTreeMap<String, [Fates; 2]> {
    let mut stacks: BTreeMap<String, [Fates; 2]> = BTreeMap::new();
    for root in roots {
        let runs = [false, true].map(|allow_unsafe| run(root, allow_unsafe, &Offline));
        each_image(root, |application| {
            let image = application.image.as_ref().unwrap();
            let stack = image.stack.map_or("unknown".to_owned(), |stack| stack.to_string());
            let counts = stacks.entry(stack).or_default();
            let was_numeric = matches!(image.user, User::Numeric { .. });
            for (run, counts) in runs.iter().zip(counts) {
                let mut count = |what: &str| *counts.entry(what.to_owned()).or_default() += 1;
                count("files");
                let ended = |transform: &str| {
                    // A file of several stages may build several images.
                    let is_its = |finding: &&Finding| {
                        let is_single = image.dockerfile.stages().len() == 1;
                        finding.transform == transform
                            && finding.path == image.path
                            && (is_single || finding.subject == image.label())
                    };
                    let finding = run.findings.iter().find(is_its)?;
                    Some(match &finding.outcome {
                        Outcome::Fixed { .. } | Outcome::AlreadyRight { .. } => None,
                        Outcome::Skipped { reason, .. } | Outcome::NeedsPerson { reason, .. } => Some(reason.code()),
                    })
                };
                if image.dockerfile.stages().len() == 1 {
                    count("single-stage");
                    let is_hardened = ended("switch-user") == Some(None);
                    match ended("split-build-stage") {
                        Some(Some(code)) => {
                            count(&format!("not split: {code}"));
                            if is_hardened {
                                count("hardened in place");
                            }
                        }
                        Some(None) => count("split"),
                        None => {}
                    }
                }
                let fate = ended("switch-user");
                if was_numeric {
                    count("numeric user before");
                    assert_eq!(fate, Some(None), "{}: {} loses its user", root.display(), image.path);
                }
                match fate {
                    Some(None) => count("numeric user after"),
                    Some(Some(code)) => count(&format!("no numeric user: {code}")),
                    None => {}
                }
            }
        });
    }
    stacks
}

#[test]
fn a_field_that_the_api_server_does_not_know_is_noticed() {
    let pod = |context: &str| {
        format!("apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: a\n    securityContext: {{{context}}}\n")
    };
    let unknown = |context: &str| Vec::from_iter(api_types::unknown(&pod(context)));
    assert_eq!(unknown("runAsNonRoot: true, capabilities: {drop: [ALL]}"), [""; 0]);
    let misspelt = "document 0.spec.containers[0].securityContext.runAsNotRoot: unknown field";
    assert_eq!(unknown("runAsNotRoot: true"), [misspelt]);
    assert_eq!(unknown("runAsUser: root").len(), 1, "a name is no number");
}

/// A Dockerfile put together again from its instructions and what stands between them, which is white space, comments and the line ends.
fn print_dockerfile(dockerfile: &Dockerfile) -> String {
    let text = dockerfile.text();
    let mut printed = String::new();
    let mut at = 0;
    for instruction in dockerfile.instructions() {
        let between = &text[at..instruction.span.start];
        for line in between.trim_start_matches('\u{feff}').lines().map(str::trim) {
            assert!(line.is_empty() || line.starts_with('#'), "{line:?} belongs to no instruction");
        }
        printed.push_str(between);
        printed.push_str(instruction.span.of(text));
        at = instruction.span.end;
    }
    printed.push_str(&text[at..]);
    printed
}

/// A stream put together again from its scalars and what stands between them, which is structure, comments and properties.
fn print_yaml(stream: &Stream) -> String {
    let text = stream.text();
    let mut pieces: Vec<(usize, usize)> = Vec::new();
    for document in stream.documents() {
        let mut pending: Vec<Node<'_>> = document.root().into_iter().collect();
        while let Some(node) = pending.pop() {
            match node.kind() {
                Kind::Mapping => pending.extend(node.entries().flat_map(|(key, value)| [key, value])),
                Kind::Sequence => pending.extend(node.items()),
                Kind::Scalar | Kind::Alias => pieces.push((node.span().start, node.span().end)),
            }
            if let (Kind::Scalar, Style::Plain, false) = (node.kind(), node.style(), node.raw().contains('\n')) {
                assert_eq!(node.text(), node.raw(), "a plain scalar is what it says");
            }
        }
    }
    pieces.extend(stream.comments().map(|comment| (comment.start, comment.end)));
    pieces.sort_unstable();
    let mut printed = String::new();
    let mut at = 0;
    for (start, end) in pieces {
        assert!(start >= at, "two nodes share the bytes {start}..{at}");
        let between = &text[at..start];
        assert!(is_structure(between), "{between:?} belongs to no node");
        printed.push_str(between);
        printed.push_str(&text[start..end]);
        at = end;
    }
    assert!(is_structure(&text[at..]), "{:?} belongs to no node", &text[at..]);
    printed.push_str(&text[at..]);
    printed
}

/// Indicators, white space, tags and anchors, directives and document marks.
fn is_structure(text: &str) -> bool {
    text.split(|character: char| character.is_whitespace() || "[]{},\u{feff}".contains(character)).all(|word| {
        let mark = matches!(word, "" | "-" | "?" | ":" | "---" | "...");
        mark || word.starts_with(['&', '!', '%'])
            || word.chars().all(|character| character == ':' || character == '-')
            || word.parse::<f32>().is_ok()
    })
}

/// What our tree says and what libyaml's descendant says, document by document.
fn compare(stream: &Stream) -> Result<(), String> {
    let mut theirs = Vec::new();
    for document in serde_yaml::Deserializer::from_str(stream.text()) {
        match <Value as serde::Deserialize>::deserialize(document) {
            Ok(value) => theirs.push(value),
            // It reads less than we do (a duplicate key, for one); then nothing is edited, and there is nothing to compare.
            Err(_) => return Ok(()),
        }
    }
    let ours: Vec<Option<Node<'_>>> = stream.documents().map(|document| document.root()).collect();
    if ours.len() != theirs.len() && !(ours.is_empty() && theirs == [Value::Null]) {
        return Err(format!("{} documents, but {} for the second parser", ours.len(), theirs.len()));
    }
    for (node, value) in ours.into_iter().zip(&theirs) {
        match node {
            Some(node) => compare_node(node, value).map_err(|message| format!("at {}: {message}", node.route()))?,
            None if value.is_null() => {}
            None => return Err(format!("nothing, but {value:?} for the second parser")),
        }
    }
    Ok(())
}

fn compare_node(node: Node<'_>, value: &Value) -> Result<(), String> {
    let node = node.resolved();
    let value = match value {
        Value::Tagged(tagged) => &tagged.value,
        value => value,
    };
    let differs =
        || Err(format!("{} is {node:?} with {:?}, but {value:?} for the second parser", node.route(), node.scalar()));
    match (node.kind(), value) {
        (Kind::Mapping, Value::Mapping(mapping)) => {
            let entries: Vec<_> = node.entries().collect();
            if entries.len() != mapping.len() {
                return differs();
            }
            for ((key, entry), (their_key, their_entry)) in entries.into_iter().zip(mapping) {
                compare_node(key, their_key)?;
                compare_node(entry, their_entry)?;
            }
            Ok(())
        }
        (Kind::Sequence, Value::Sequence(sequence)) => {
            let items: Vec<_> = node.items().collect();
            if items.len() != sequence.len() {
                return differs();
            }
            items.into_iter().zip(sequence).try_for_each(|(item, value)| compare_node(item, value))
        }
        // kubectl reads YAML 1.1, so `yes` is a boolean for us and a string here; what is written is the same.
        (Kind::Scalar, Value::String(text)) if node.text() == text.as_str() => Ok(()),
        // A block scalar that ends with the file and without a line end: the parsers disagree on whether its text has one.
        (Kind::Scalar, Value::String(text))
            if matches!(node.style(), Style::Literal | Style::Folded)
                && node.text().strip_suffix('\n') == Some(text) =>
        {
            Ok(())
        }
        (Kind::Scalar, Value::Null) if node.is_null() => Ok(()),
        (Kind::Scalar, Value::Bool(_)) if matches!(node.scalar(), Some(Scalar::Bool(_))) => Ok(()),
        // Octal numbers of 1.1 have another value in 1.2, and `1_000` is a number in one of them only.
        (Kind::Scalar, Value::Number(_)) if node.style() == Style::Plain => Ok(()),
        _ => differs(),
    }
}

#[derive(Default)]
struct Counts {
    read: usize,
    refused: BTreeMap<String, usize>,
}

impl Counts {
    fn refuse(&mut self, code: &str) {
        *self.refused.entry(code.to_owned()).or_default() += 1;
    }

    fn report(&self, what: &str) {
        println!("{} {what}, refused: {:?}", self.read, self.refused);
        assert!(self.read > 10, "only {} {what} were found", self.read);
    }
}

fn each_candidate(mut look: impl FnMut(&str, Candidate)) {
    for root in roots() {
        let mut tree = Tree::discover(std::slice::from_ref(&root), &[]).unwrap();
        for candidate in tree.take_candidates() {
            look(&root.join(&candidate.path).display().to_string(), candidate);
        }
    }
}

fn dockerfile_name(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    name.contains("dockerfile") || name.contains("containerfile")
}
