//! Sixty-eight shapes of input, each with an operation and the exact bytes, or the refusal, that it must end with.

use super::*;

struct Case {
    number: &'static str,
    text: String,
    operations: Vec<Operation>,
    ending: Ending,
}

fn case(number: &'static str, text: impl Into<String>, operation: Operation, ending: Ending) -> Case {
    Case { number, text: text.into(), operations: vec![operation], ending }
}

#[test]
fn every_case_ends_as_it_must() {
    let all: Vec<Case> =
        layout_cases().into_iter().chain(structure_cases()).chain(text_cases()).chain(kubectl_cases()).collect();
    let mut numbers: Vec<&str> = all.iter().map(|case| case.number).collect();
    for case in &all {
        check(case.number, &case.text, &case.operations, &case.ending);
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert!(numbers.len() >= 68, "only {} cases were collected", numbers.len());
}

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      containers:
      - name: web
        image: nginx:1.27 # pinned
        ports:
        - containerPort: 80
      # the sidecar
      - name: log
        image: fluentd
";

const DEPLOYMENT_AFTER: &str = "\
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      containers:
      - name: web
        image: nginx:1.27 # pinned
        ports:
        - containerPort: 80
        securityContext:
          runAsNonRoot: true
      # the sidecar
      - name: log
        image: fluentd
";

fn deployment(number: &'static str, change: fn(&str) -> String) -> Case {
    let operation = insert("spec.template.spec.containers[0]", "securityContext", non_root());
    case(number, change(DEPLOYMENT), operation, becomes(change(DEPLOYMENT_AFTER)))
}

/// Lines, ends, marks, tabs and comments.
fn layout_cases() -> Vec<Case> {
    let wide = "x".repeat(200_000);
    let quoted = "y z ".repeat(37_500);
    vec![
        deployment("01", str::to_owned),
        deployment("02", |text| text.replace('\n', "\r\n")),
        deployment("03", |text| format!("\u{FEFF}{text}")),
        deployment("04", |text| format!("\u{FEFF}{}", text.replace('\n', "\r\n"))),
        case(
            "05",
            "a:   \n  b: 1  \t# one\ttab \nc: 2\n",
            insert("a", "d", Value::Int(3)),
            becomes("a:   \n  b: 1  \t# one\ttab \n  d: 3\nc: 2\n"),
        ),
        case("05b", "a:\n  b: 1\n\t\nc: 2\n", insert("a", "d", Value::Int(3)), refused(Code::KubectlWouldReject)),
        case("05c", "a:\n  b: \"1\"\n  \t\nc: 2\n", insert("a", "d", Value::Int(3)), refused(Code::KubectlWouldReject)),
        case(
            "06",
            "a: \"grün\"\nb: |\n  Prüfung – 試験\n# käse\nc:\n  d: é\ne: 1\n",
            insert("c", "f", string("ok")),
            becomes("a: \"grün\"\nb: |\n  Prüfung – 試験\n# käse\nc:\n  d: é\n  f: ok\ne: 1\n"),
        ),
        case(
            "07",
            "größe:\n  ä: 1\nb: 2\n",
            insert("größe", "ö", Value::Int(2)),
            becomes("größe:\n  ä: 1\n  \"ö\": 2\nb: 2\n"),
        ),
        case(
            "10",
            "a:\n  # before\n  b: 1\n  # between\n  c: 2\n  # after\n\n# far below\nd: 3\n",
            insert("a", "e", Value::Bool(false)),
            becomes("a:\n  # before\n  b: 1\n  # between\n  c: 2\n  e: false\n  # after\n\n# far below\nd: 3\n"),
        ),
        case("11", "a: 1\n# the end\n", insert("", "b", Value::Int(2)), becomes("a: 1\nb: 2\n# the end\n")),
        case(
            "12",
            "a: 1\n---\nb: 1\n---\nc: 1\n",
            in_document(1, insert("", "d", Value::Int(2))),
            becomes("a: 1\n---\nb: 1\nd: 2\n---\nc: 1\n"),
        ),
        case(
            "13",
            "a: 1\n...\n---\nb: 1\n...\n",
            in_document(1, insert("", "c", Value::Int(2))),
            becomes("a: 1\n...\n---\nb: 1\nc: 2\n...\n"),
        ),
        case("14", "%YAML 1.1\n---\na: 1\n", insert("", "b", Value::Int(2)), refused(Code::KubectlWouldReject)),
        case(
            "15",
            "# only this\n---\n---\n# and this\n---\na: 1\n",
            in_document(2, insert("", "b", Value::Int(2))),
            becomes("# only this\n---\n---\n# and this\n---\na: 1\nb: 2\n"),
        ),
        case("28", "a: 1\nb:", insert("b", "c", Value::Int(2)), becomes("a: 1\nb:\n  c: 2")),
        case(
            "33",
            format!("a: {wide}\nb: \"{quoted}\"\n"),
            insert("", "c", Value::Int(1)),
            becomes(format!("a: {wide}\nb: \"{quoted}\"\nc: 1\n")),
        ),
        case(
            "34",
            "a:\r\n  b: 1\nc:\n  d: 2\r\n",
            insert("a", "e", Value::Int(3)),
            becomes("a:\r\n  b: 1\n  e: 3\nc:\n  d: 2\r\n"),
        ),
        case("35", "a: 1\r\nb: 2", insert("", "c", Value::Int(3)), becomes("a: 1\r\nb: 2\r\nc: 3")),
        case("36", "# nothing\n# here\n", insert("", "a", Value::Int(1)), refused(Code::NotFound)),
        case("48", "a:\tb\nc: 1\n", insert("", "d", Value::Int(2)), becomes("a:\tb\nc: 1\nd: 2\n")),
        case("49", "- a: 1\n- b: 2", insert("[1]", "c", Value::Int(3)), becomes("- a: 1\n- b: 2\n  c: 3")),
        case(
            "52",
            "a: \"x\u{85}y\"\nb: \"p\u{2028}q\"\nc: 1\n",
            insert("", "d", Value::Int(2)),
            becomes("a: \"x\u{85}y\"\nb: \"p\u{2028}q\"\nc: 1\nd: 2\n"),
        ),
        case(
            "54",
            "a: 1\rb:\r  c: 2\rd: 3\r",
            insert("b", "e", Value::Int(4)),
            becomes("a: 1\rb:\r  c: 2\r  e: 4\rd: 3\r"),
        ),
        case("64", "a: 1\n# no line end", insert("", "b", Value::Int(2)), becomes("a: 1\nb: 2\n# no line end")),
    ]
}

/// Maps, lists, flow, anchors, merges.
fn structure_cases() -> Vec<Case> {
    vec![
        case(
            "08",
            "spec:\n  containers:\n    - name: a\n      image: b\n    - name: c\n",
            insert("spec.containers[0]", "args", Value::Seq(vec![string("x")])),
            becomes("spec:\n  containers:\n    - name: a\n      image: b\n      args:\n        - x\n    - name: c\n"),
        ),
        case(
            "09",
            "- a: 1\n  b: 2\n- a: 3\n",
            insert("[0]", "c", Value::Int(4)),
            becomes("- a: 1\n  b: 2\n  c: 4\n- a: 3\n"),
        ),
        case("16", "a: &x\n  b: 1\nc: *x\n", insert("a", "d", Value::Int(2)), refused(Code::Alias)),
        case("17", "a: &x\n  b:\n    c: 1\nd: *x\n", insert("d.b", "e", Value::Int(2)), refused(Code::Alias)),
        case(
            "18",
            "base: &base\n  a: 1\nuse:\n  <<: *base\n",
            insert("use", "b", Value::Int(2)),
            becomes("base: &base\n  a: 1\nuse:\n  <<: *base\n  b: 2\n"),
        ),
        case(
            "19",
            "a: {b: 1, c: 2} # x\nd: 3\n",
            insert("a", "e", string("f")),
            becomes("a: {b: 1, c: 2, e: f} # x\nd: 3\n"),
        ),
        case(
            "20",
            "a: {\n  b: 1, # one\n  c: 2, # two\n  # last\n}\n",
            insert("a", "d", Value::Int(3)),
            becomes("a: {\n  b: 1, # one\n  c: 2, # two\n  d: 3,\n  # last\n}\n"),
        ),
        case("21", "a: [x, y]\n", append("a", string("z")), becomes("a: [x, y, z]\n")),
        case(
            "22",
            "a: [\n    x, # one\n    y # two\n  ]\nb: 1\n",
            append("a", string("z")),
            becomes("a: [\n    x, # one\n    y, # two\n    z\n  ]\nb: 1\n"),
        ),
        case("23", "a: {}\nb: 1\n", insert("a", "c", non_root()), becomes("a: {c: {runAsNonRoot: true}}\nb: 1\n")),
        case("24", "a: []\nb: 1\n", append("a", string("ALL")), becomes("a: [ALL]\nb: 1\n")),
        case("25", "\"a\":\n  'b': 1\n", insert("a", "c", Value::Int(2)), becomes("\"a\":\n  'b': 1\n  c: 2\n")),
        case("26", "a:\n  b: 1\n  b: 2\n", insert("a", "c", Value::Int(3)), refused(Code::DuplicateKey)),
        case("27", "a: # c\nb: 1\n", insert("a", "d", Value::Int(2)), becomes("a: # c\n  d: 2\nb: 1\n")),
        case("37", "? a\n: b: 1\n? c\n: 2\n", insert("", "d", Value::Int(3)), becomes("? a\n: b: 1\n? c\n: 2\nd: 3\n")),
        case(
            "39",
            "{\n\t\"a\": {\n\t\t\"b\": 1\n\t},\n\t\"c\": [\n\t\t\"d\"\n\t]\n}\n",
            insert("a", "e", string("f")),
            becomes("{\n\t\"a\": {\n\t\t\"b\": 1,\n\t\t\"e\": \"f\"\n\t},\n\t\"c\": [\n\t\t\"d\"\n\t]\n}\n"),
        ),
        case(
            "40",
            "{\"a\":{\"b\":1},\"c\":[\"d\"]}",
            insert("a", "e", map(&[("f", Value::Seq(vec![string("g"), string("h")]))])),
            becomes("{\"a\":{\"b\":1,\"e\":{\"f\":[\"g\",\"h\"]}},\"c\":[\"d\"]}"),
        ),
        case(
            "41",
            "kind: List\nitems:\n- kind: Pod\n  spec:\n    containers:\n    - name: a\n- kind: Service\n",
            insert("items[0].spec", "securityContext", non_root()),
            becomes(
                "kind: List\nitems:\n- kind: Pod\n  spec:\n    containers:\n    - name: a\n    securityContext:\n      runAsNonRoot: true\n- kind: Service\n",
            ),
        ),
        case(
            "46",
            "a:\n- x\n- y\n\n# about b\nb: 1\n",
            append("a", string("z")),
            becomes("a:\n- x\n- y\n- z\n\n# about b\nb: 1\n"),
        ),
        case("47", "- - a\n  - b\n- - c\n", append("[0]", string("d")), becomes("- - a\n  - b\n  - d\n- - c\n")),
        case(
            "55",
            "spec:\n    list:\n    -   name: a\n        image: b\n",
            append("spec.list", map(&[("name", string("c")), ("env", non_root())])),
            becomes(
                "spec:\n    list:\n    -   name: a\n        image: b\n    -   name: c\n        env:\n            runAsNonRoot: true\n",
            ),
        ),
        case("56", "a : 1\nb :\n  c : 2\n", insert("b", "d", Value::Int(3)), becomes("a : 1\nb :\n  c : 2\n  d: 3\n")),
        case(
            "57",
            "a:\n  # about\n  b\nc: 1\n",
            insert("", "d", Value::Int(2)),
            becomes("a:\n  # about\n  b\nc: 1\nd: 2\n"),
        ),
        case(
            "59",
            "- &x\n  a: 1\n- !!map\n  b: 2\n",
            insert("[1]", "c", Value::Int(3)),
            becomes("- &x\n  a: 1\n- !!map\n  b: 2\n  c: 3\n"),
        ),
        case("60", "a:\n- b: 1\n", append("a", map(&[("b", string("y"))])), becomes("a:\n- b: 1\n- b: \"y\"\n")),
        case("62", "a: {\"b\":1, c: 2}\n", insert("a", "d", Value::Int(3)), becomes("a: {\"b\":1, c: 2, d: 3}\n")),
        case("65", "a: ~\nb: null\n", insert("b", "c", Value::Int(1)), refused(Code::ExplicitNull)),
    ]
}

/// Block scalars and replacements.
fn text_cases() -> Vec<Case> {
    vec![
        case(
            "29",
            "a:\n  b: |\n    x\n    y\n\n\nc: 1\n",
            insert("a", "d", Value::Int(2)),
            becomes("a:\n  b: |\n    x\n    y\n  d: 2\n\n\nc: 1\n"),
        ),
        case(
            "30",
            "a:\n  b: |+\n    x\n\n\nc: 1\n",
            insert("a", "d", Value::Int(2)),
            becomes("a:\n  b: |+\n    x\n\n\n  d: 2\nc: 1\n"),
        ),
        case(
            "31",
            "a:\n  b: |2-\n      x\n    y\n  c: >-\n    p\n    q\n\nd: 1\n",
            insert("a", "e", Value::Int(2)),
            becomes("a:\n  b: |2-\n      x\n    y\n  c: >-\n    p\n    q\n  e: 2\n\nd: 1\n"),
        ),
        case("32", "a: 1\nb: |\n  x", insert("", "c", Value::Int(2)), becomes("a: 1\nc: 2\nb: |\n  x")),
        case("42", "a: old # why\nb: 1\n", replace("a", string("new")), becomes("a: new # why\nb: 1\n")),
        case(
            "43",
            "a: \"old\" # why\n",
            replace("a", string("new \"one\"")),
            becomes("a: \"new \\\"one\\\"\" # why\n"),
        ),
        case(
            "44",
            "a: one\n  two\n  three # why\nb: 1\n",
            replace("a", string("four")),
            becomes("a: four # why\nb: 1\n"),
        ),
        case("45", "a: &x !!str old\nb: *x\n", replace("a", string("new")), refused(Code::Alias)),
        case("50", "a: b#c:d\ne: x:y#z # real\n", replace("e", string("f")), becomes("a: b#c:d\ne: f # real\n")),
        case(
            "51",
            "a: yes\nb: on\nc: off\n",
            insert("", "d", map(&[("e", string("yes")), ("f", string("No")), ("g", string("~"))])),
            becomes("a: yes\nb: on\nc: off\nd:\n  e: \"yes\"\n  f: \"No\"\n  g: \"~\"\n"),
        ),
        case(
            "58",
            "a: \"one\n  two\\\n  three\"\nb: 1\n",
            insert("", "c", Value::Int(2)),
            becomes("a: \"one\n  two\\\n  three\"\nb: 1\nc: 2\n"),
        ),
        case(
            "61",
            "a: |+ # script\n  one\n  two\n\n# next\nb: 1\n",
            replace("a", string("short")),
            becomes("a: short # script\n\n# next\nb: 1\n"),
        ),
        case(
            "61",
            "a: | # script\n  one\n  two  \nb: 1\n",
            replace("a", string("short")),
            becomes("a: short # script\nb: 1\n"),
        ),
    ]
}

/// What kubectl, or a template engine, makes of a file.
fn kubectl_cases() -> Vec<Case> {
    vec![
        case("38", "a: {{ .Values.a }}\nb: 1\n", insert("", "c", Value::Int(2)), refused(Code::Template)),
        case("53", "a: \0\n", insert("", "b", Value::Int(1)), refused(Code::Parse)),
        case("63", "--- {a: 1}\n", insert("", "b", Value::Int(2)), refused(Code::KubectlWouldReject)),
        case("63", "--- # c\na: 1\n", insert("", "b", Value::Int(2)), becomes("--- # c\na: 1\nb: 2\n")),
        case("66", "a: &x !!null\nb: 1\n", insert("", "c", Value::Int(2)), refused(Code::KubectlWouldReject)),
    ]
}
