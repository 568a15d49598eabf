//! Where new entries and items go.

use super::*;

#[track_caller]
fn inserted(text: &str, operations: &[Operation], after: &str) {
    check(text, text, operations, &becomes(after));
}

#[track_caller]
fn declined(text: &str, operations: &[Operation], code: Code) {
    check(text, text, operations, &refused(code));
}

fn one() -> Value {
    Value::Int(1)
}

#[test]
fn several_entries_of_one_mapping_keep_their_order() {
    inserted("a: 0\n", &[insert("", "c", one()), insert("", "b", one())], "a: 0\nc: 1\nb: 1\n");
    inserted("a: 0", &[insert("", "c", one()), insert("", "b", one())], "a: 0\nc: 1\nb: 1");
    inserted("a: {}\n", &[insert("a", "c", one()), insert("a", "b", one())], "a: {c: 1, b: 1}\n");
    inserted("a: {x: 0,}\n", &[insert("a", "c", one()), insert("a", "b", one())], "a: {x: 0, c: 1, b: 1,}\n");
    inserted(
        "a: {\n  x: 0\n}\n",
        &[insert("a", "c", one()), insert("a", "b", one())],
        "a: {\n  x: 0,\n  c: 1,\n  b: 1\n}\n",
    );
    inserted("a:\nb: 0\n", &[insert("a", "d", one()), insert("a", "c", one())], "a:\n  d: 1\n  c: 1\nb: 0\n");
}

#[test]
fn a_mapping_and_its_parent_can_grow_at_once_in_either_order() {
    let inner = insert("a", "c", one());
    let outer = insert("", "d", one());
    for text in ["a:\n  b: 0\n", "a:\n  b: 0"] {
        let after = format!("a:\n  b: 0\n  c: 1\nd: 1{}", if text.ends_with('\n') { "\n" } else { "" });
        inserted(text, &[inner.clone(), outer.clone()], &after);
        inserted(text, &[outer.clone(), inner.clone()], &after);
    }
    inserted("a:\n", &[outer.clone(), inner.clone()], "a:\n  c: 1\nd: 1\n");
    inserted("{a: {b: 0}}\n", &[outer, inner], "{a: {b: 0, c: 1}, d: 1}\n");
}

#[test]
fn a_replaced_value_and_a_new_neighbour_do_not_collide() {
    inserted("a:\n  b: 0\n", &[insert("a", "c", one()), replace("a.b", string("x"))], "a:\n  b: x\n  c: 1\n");
    inserted("a: {b: 0}\n", &[insert("a", "c", one()), replace("a.b", string("x"))], "a: {b: x, c: 1}\n");
    inserted(
        "a: {\n  b: \n}\n",
        &[insert("a", "c", one()), replace("a.b", string("x"))],
        "a: {\n  b: x , \n  c: 1\n}\n",
    );
}

#[test]
fn keys_that_are_there_are_not_added_again() {
    declined("a: 0\n", &[insert("", "a", one())], Code::DuplicateKey);
    declined("\"a\": 0\n", &[insert("", "a", one())], Code::DuplicateKey);
    declined("b: {a: 0}\n", &[insert("b", "a", one())], Code::DuplicateKey);
    declined("b: 0\n", &[insert("", "a", one()), insert("", "a", one())], Code::DuplicateKey);
}

#[test]
fn keys_that_come_in_through_a_merge_are_reported() {
    let text = "x: &x {a: 0}\ny: &y {b: 0}\nz:\n  <<: [*x, *y]\n  c: 0\n";
    declined(text, &[insert("z", "a", one())], Code::MergeOnly);
    declined(text, &[insert("z", "b", one())], Code::MergeOnly);
    declined(text, &[replace("z.a", one())], Code::MergeOnly);
    inserted(text, &[insert("z", "d", one())], &format!("{text}  d: 1\n"));
}

#[test]
fn anchored_nodes_change_only_while_nobody_uses_them() {
    inserted("a: &x\n  b: 0\n", &[insert("a", "c", one())], "a: &x\n  b: 0\n  c: 1\n");
    inserted("a: &x\nb: 0\n", &[insert("a", "c", one())], "a: &x\n  c: 1\nb: 0\n");
    declined("a: &x\n  b:\n    c: 0\nd: *x\n", &[insert("a.b", "e", one())], Code::Alias);
    declined("a: &x {b: 0}\nd: *x\n", &[insert("d", "e", one())], Code::Alias);
    // The other document has an anchor of the same name, and no use of it.
    let text = "a: &x {b: 0}\nd: *x\n---\na: &x {b: 0}\n";
    inserted(text, &[in_document(1, insert("a", "c", one()))], "a: &x {b: 0}\nd: *x\n---\na: &x {b: 0, c: 1}\n");
}

#[test]
fn a_refusal_about_an_alias_lists_the_uses() {
    let refusal = run("a: &x {b: 0}\nc: *x\nd: [*x]\n", &[insert("a", "e", one())]).unwrap_err();
    assert!(refusal.message.contains("2:4, 3:5"), "{refusal}");
    assert_eq!(refusal.route, Some(route("a")));
}

#[test]
fn values_written_as_null_are_left_alone() {
    for null in ["null", "~", "Null", "!!null"] {
        declined(&format!("a: {null}\nb: 0\n"), &[insert("a", "c", one())], Code::ExplicitNull);
        declined(&format!("a: {null}\nb: 0\n"), &[append("a", one())], Code::ExplicitNull);
    }
}

#[test]
fn a_route_must_lead_to_a_node_of_the_right_kind() {
    for operation in [
        insert("x", "c", one()),
        insert("a.x", "c", one()),
        insert("l[1]", "c", one()),
        insert("l[0]", "c", one()),
        insert("l", "c", one()),
        append("", one()),
        append("a", one()),
        replace("l", one()),
        replace("", one()),
        in_document(1, insert("", "c", one())),
    ] {
        declined("a: text\nl:\n- 0\n", &[operation], Code::NotFound);
    }
    declined("l: [a: 0]\n", &[insert("l[0]", "c", one())], Code::NotFound);
    declined("a: 0\n", &[replace("a", one()), replace("a", one())], Code::NotFound);
}

#[test]
fn an_empty_value_takes_entries_or_items() {
    inserted("a:\n  b:\n  c: 0\n", &[insert("a.b", "d", one())], "a:\n  b:\n    d: 1\n  c: 0\n");
    inserted("a:\n  b: # c\n  c: 0\n", &[append("a.b", one())], "a:\n  b: # c\n  - 1\n  c: 0\n");
    inserted("a:\n    b: 0\nc:", &[insert("c", "d", one())], "a:\n    b: 0\nc:\n    d: 1");
    inserted("l:\n  - x\nc:\n", &[append("c", one())], "l:\n  - x\nc:\n  - 1\n");
    inserted("-\n- b\n", &[insert("[0]", "c", one())], "-\n  c: 1\n- b\n");
    inserted("a:\n? # c\n  b: 0\n", &[insert("a", "d", one())], "a:\n  d: 1\n? # c\n  b: 0\n");
    inserted("a: {b: , c}\n", &[insert("a.b", "d", one())], "a: {b: {d: 1} , c}\n");
    inserted("a: {b: , c}\n", &[append("a.c", one())], "a: {b: , c: [1]}\n");
    inserted("a: {b}\n", &[insert("a", "c", one())], "a: {b , c: 1}\n");
    declined("{a\n b}\n", &[insert("a b", "c", one())], Code::NotFound);
    declined("{a\n b}\n", &[replace("a b", one())], Code::NotFound);
    declined("? a\n? b\n", &[insert("a", "c", one())], Code::NotFound);
}

#[test]
fn new_blocks_follow_the_habits_around_them() {
    let context = map(&[("capabilities", map(&[("drop", Value::Seq(vec![string("ALL")]))]))]);
    inserted(
        "a:\n  b:\n  - c: 0\n",
        &[insert("a.b[0]", "securityContext", context.clone())],
        "a:\n  b:\n  - c: 0\n    securityContext:\n      capabilities:\n        drop:\n        - ALL\n",
    );
    inserted(
        "a:\n    b:\n        - c: 0\n",
        &[insert("a.b[0]", "s", context.clone())],
        "a:\n    b:\n        - c: 0\n          s:\n              capabilities:\n                  drop:\n                      - ALL\n",
    );
    // The nearest habit wins over the most frequent one.
    inserted(
        "a:\n    x:\n        y: 0\nb:\n  c:\n    d: 0\n",
        &[insert("b.c", "e", map(&[("f", one())]))],
        "a:\n    x:\n        y: 0\nb:\n  c:\n    d: 0\n    e:\n      f: 1\n",
    );
    inserted("a: 0\n", &[insert("", "s", context)], "a: 0\ns:\n  capabilities:\n    drop:\n    - ALL\n");
}

#[test]
fn items_copy_the_dash_and_the_gap_of_their_siblings() {
    inserted("a:\n  - x\n  - y # c\n  # d\n", &[append("a", string("z"))], "a:\n  - x\n  - y # c\n  - z\n  # d\n");
    inserted("a:\n-   x\n", &[append("a", map(&[("b", one()), ("c", one())]))], "a:\n-   x\n-   b: 1\n    c: 1\n");
    inserted("- - a\n", &[append("[0]", one()), append("", one())], "- - a\n  - 1\n- 1\n");
    inserted("- a", &[append("", one()), append("", Value::Int(2))], "- a\n- 1\n- 2");
    inserted("a:\n- b: 0\n  c:\n  - d\n", &[append("a[0].c", string("e"))], "a:\n- b: 0\n  c:\n  - d\n  - e\n");
}

#[test]
fn flow_collections_grow_as_they_are_written() {
    inserted("a: { }\n", &[insert("a", "b", one())], "a: { b: 1 }\n");
    inserted("a: [ ]\n", &[append("a", one())], "a: [ 1 ]\n");
    inserted("a: { b: 0 }\n", &[insert("a", "c", one())], "a: { b: 0, c: 1 }\n");
    inserted("a: [x, y,]\n", &[append("a", string("z"))], "a: [x, y, z,]\n");
    inserted("a: [x,\n  y]\n", &[append("a", string("z"))], "a: [x,\n  y,\n  z]\n");
    inserted("a: [\n  x,\n  y,\n]\n", &[append("a", string("z"))], "a: [\n  x,\n  y,\n  z,\n]\n");
    inserted("a: [\n  x,\n  y, ]\n", &[append("a", string("z"))], "a: [\n  x,\n  y,\n  z, ]\n");
    inserted("a: {\r\n  b: 0\r\n}\r\n", &[insert("a", "c", one())], "a: {\r\n  b: 0,\r\n  c: 1\r\n}\r\n");
    inserted("a: [\n  \"x\"\n]\n", &[append("a", string("z"))], "a: [\n  \"x\",\n  \"z\"\n]\n");
    inserted("a: [b, c: ]\n", &[append("a", one())], "a: [b, c: , 1 ]\n");
    inserted("a: [{b: 0}, {b: 1}]\n", &[insert("a[0]", "c", string("d:e"))], "a: [{b: 0, c: \"d:e\"}, {b: 1}]\n");
    inserted("a: ['x', \"y\"]\n", &[append("a", string("z"))], "a: ['x', \"y\", z]\n");
    inserted("a: [\"x\", \"y\"]\n", &[append("a", string("z"))], "a: [\"x\", \"y\", \"z\"]\n");
    inserted("a: {b: &x 0, c: *x }\n", &[insert("a", "d", one())], "a: {b: &x 0, c: *x, d: 1 }\n");
}

#[test]
fn json_stays_json() {
    let context = map(&[("user", one()), ("drop", Value::Seq(vec![string("ALL")]))]);
    inserted(
        "{\n  \"a\": {},\n  \"b\": [\"x\"]\n}\n",
        &[insert("", "c", context.clone()), insert("a", "d", string("e")), append("b", string("y"))],
        "{\n  \"a\": {\"d\": \"e\"},\n  \"b\": [\"x\", \"y\"],\n  \"c\": {\"user\": 1, \"drop\": [\"ALL\"]}\n}\n",
    );
    inserted("{\"a\":1}\n", &[insert("", "c", context)], "{\"a\":1,\"c\":{\"user\":1,\"drop\":[\"ALL\"]}}\n");
    inserted("{\"a\" : 1, \"b\" : 2}\n", &[insert("", "c", one())], "{\"a\" : 1, \"b\" : 2, \"c\" : 1}\n");
    let after = "{\"a\": \"x\"}\n";
    inserted("{\"a\": 1}\n", &[replace("a", string("x"))], after);
    assert!(serde_json::from_str::<serde_json::Value>(after).is_ok());
}

#[test]
fn nothing_follows_a_block_scalar_that_the_end_of_the_file_cuts_off() {
    inserted(
        "a:\n  b: 0\n  # script\n  c: |\n    x",
        &[insert("a", "d", one())],
        "a:\n  b: 0\n  d: 1\n  # script\n  c: |\n    x",
    );
    inserted("a: >+\n  x", &[insert("", "b", one())], "b: 1\na: >+\n  x");
    declined("- a: |\n    x", &[insert("[0]", "b", one())], Code::EofBlockScalar);
    declined("- |\n  x", &[append("", one())], Code::EofBlockScalar);
    // Where the line end is stripped, or is there, nothing is in the way.
    inserted("a: |-\n  x", &[insert("", "b", one())], "a: |-\n  x\nb: 1");
    inserted("a: |\n  x\n", &[insert("", "b", one())], "a: |\n  x\nb: 1\n");
}

#[test]
fn a_document_refused_for_its_duplicate_keys_does_not_stop_the_others() {
    let text = "a: 0\na: 1\n---\nb: 0\n";
    inserted(text, &[in_document(1, insert("", "c", one()))], "a: 0\na: 1\n---\nb: 0\nc: 1\n");
    declined(text, &[insert("", "c", one())], Code::DuplicateKey);
}

#[test]
fn the_second_reader_has_the_last_word() {
    // Structure that only one of the two readers accepts.
    for text in ["a: 1\n...\n%YAML 1.2\n---\nb: 0\n", "[a]: 0\n? {b: c}\n: d\n&k:x e: 0\n", "a: x\u{85}b\nc: 1\n"] {
        match run(text, &[insert("", "zz", one())]) {
            Err(refusal) => assert_eq!(refusal.code, Code::KubectlWouldReject, "{text:?}: {refusal}"),
            Ok(after) => panic!("{text:?} became {after:?}"),
        }
    }
}

#[test]
fn a_wrong_result_is_not_proved() {
    let text = "a: 0\nb: 1\n";
    let before = parse(text).unwrap();
    let operations = [insert("", "c", one())];
    let edits = before.plan(&operations).unwrap();
    let code = |edits: &[unroot::edit::Edit], after: &str| verify(&before, &operations, edits, after).unwrap_err().code;
    assert_eq!(code(&edits, "a: 0\nb: 1\nc: 2\n"), Code::Verify);
    let wrong = |at: usize, new: &str| {
        let edits = vec![unroot::edit::Edit::insert(at, new)];
        let after = EditSet::new(edits.clone()).unwrap().apply(text);
        code(&edits, &after)
    };
    for new in
        ["c: 2\n", "c: \"1\"\n", "d: 1\n", "c: 1 # new\n", "c: &x 1\n", "c: 1\r\n", "c: 1", "c: 1\nd: 1\n", "- 1\n", ""]
    {
        assert_eq!(wrong(10, new), Code::Verify, "{new:?}");
    }
    assert!(verify(&before, &operations, &edits, "a: 0\nb: 1\nc: 1\n").is_ok());
}
