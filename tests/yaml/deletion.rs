//! What goes with a deleted entry or item, and what stays.

use super::*;

#[track_caller]
fn deleted(text: &str, operations: &[Operation], after: &str) {
    check(text, text, operations, &becomes(after));
    let backwards: Vec<Operation> = operations.iter().rev().cloned().collect();
    check(text, text, &backwards, &becomes(after));
}

#[track_caller]
fn declined(text: &str, operations: &[Operation], code: Code) {
    check(text, text, operations, &refused(code));
}

fn one() -> Value {
    Value::Int(1)
}

#[test]
fn an_entry_goes_with_its_lines_and_the_comments_on_them() {
    deleted("a: 0\nb: 1 # why\nc: 2\n", &[delete("b")], "a: 0\nc: 2\n");
    deleted("a: 0\nb: # why\n  # inside\n  c: 1\n\n  d: 2 # too\ne: 3\n", &[delete("b")], "a: 0\ne: 3\n");
    deleted("# head\na: 0\nb: 1\n", &[delete("a")], "# head\nb: 1\n");
    deleted("a: 0\nb:\n", &[delete("b")], "a: 0\n");
    deleted("a: 0\nb: \"x\n  y\" # z\nc: 1\n", &[delete("b")], "a: 0\nc: 1\n");
    deleted("a:\n  b: 0\n  c: 1\nd: 2\n", &[delete("a.b")], "a:\n  c: 1\nd: 2\n");
    deleted("a: &x !!str 0\nb: &y\n  c: 1\nd: 2\n", &[delete("a"), delete("b")], "d: 2\n");
    deleted("a: {b: 0} # c\nd: [\n  1, # e\n] # f\ng: 2\n", &[delete("a"), delete("d")], "g: 2\n");
}

#[test]
fn an_entry_goes_with_the_comments_directly_above_it() {
    deleted("a: 0\n# one\n# two\nb: 1\nc: 2\n", &[delete("b")], "a: 0\nc: 2\n");
    deleted("a:\n  # why\n  b: 0\n  c: 1\n", &[delete("a.b")], "a:\n  c: 1\n");
    deleted("a:\n# one\n- 1\n# two\n- 2\n", &[delete("a[0]")], "a:\n# two\n- 2\n");
    deleted("a:\r\n- 1\r\n# two\r\n- 2\r\n", &[delete("a[1]")], "a:\r\n- 1\r\n");
    deleted("- x: 0\n  # y\n  y: 1\n  # z\n  z: 2", &[delete("[0].y"), delete("[0].z")], "- x: 0");
    // Not about it: apart from it, in another column, beside something else, or part of a value.
    deleted("a: 0\n# apart\n\n# why\nb: 1\n", &[delete("b")], "a: 0\n# apart\n\n");
    deleted("a:\n  b: 0\n  # deeper\nc: 1\nd: 2\n", &[delete("c")], "a:\n  b: 0\n  # deeper\nd: 2\n");
    deleted("a: 0 # beside\nb: 1\n", &[delete("b")], "a: 0 # beside\n");
    deleted("a:\n  b: |\n    x\n    # y\n  c: 1\n  d: 2\n", &[delete("a.c")], "a:\n  b: |\n    x\n    # y\n  d: 2\n");
    deleted("a: |\n  x\n# why\nb: 1\nc: 2\n", &[delete("b")], "a: |\n  x\nc: 2\n");
}

#[test]
fn comment_lines_and_blank_lines_around_stay() {
    let text = "a: 0\n# above\n\nb: 1\n# below\n\nc: 2\n";
    deleted(text, &[delete("b")], "a: 0\n# above\n\n# below\n\nc: 2\n");
    deleted("a: 0\nb:\n  c: 1\n  # deeper\nd: 2\n", &[delete("b")], "a: 0\n  # deeper\nd: 2\n");
    deleted("a: 0\nb: 1\n# the end\n", &[delete("b")], "a: 0\n# the end\n");
    deleted("a: 0\nb:\n# not inside\nc: 1\n", &[delete("b")], "a: 0\n# not inside\nc: 1\n");
}

#[test]
fn the_next_entry_moves_up_to_the_dash() {
    deleted("- hostPort: 80\n  containerPort: 80\n", &[delete("[0].hostPort")], "- containerPort: 80\n");
    deleted("-   a:\n      b: 0\n\n    c: 1\n    d: 2\n", &[delete("[0].a")], "-   c: 1\n    d: 2\n");
    deleted("- a: 0\n  b: 1\n  c: 2\n  d: 3\n", &[delete("[0].a"), delete("[0].b"), delete("[0].d")], "- c: 2\n");
    deleted("- - a: 0\n    b: 1\n", &[delete("[0][0].a")], "- - b: 1\n");
    deleted("- a: |\n    x\n\n  b: 1", &[delete("[0].a")], "- b: 1");
    // An entry that stands on lines of its own needs no dash, though it is the first.
    deleted(
        "- # c\n  a: 0\n  b: 1\n-\n  a: 0\n  b: 1\n",
        &[delete("[0].a"), delete("[1].a")],
        "- # c\n  b: 1\n-\n  b: 1\n",
    );
    declined("- a: 0 # why\n  b: 1\n", &[delete("[0].a")], Code::Inseparable);
    declined("- a: 0\n  # about b\n  b: 1\n", &[delete("[0].a")], Code::Inseparable);
    declined("- a: 0\n  ? b\n  : 1\n", &[delete("[0].a")], Code::Inseparable);
    // Nothing can follow the block scalar, and what would precede it goes with the line.
    declined("- a: 0\n  b: |\n    x", &[delete("[0].a"), insert("[0]", "c", one())], Code::EofBlockScalar);
    declined("- a: 0\n", &[delete("[0].a"), insert("[0]", "b", one())], Code::Inseparable);
}

#[test]
fn items_of_block_sequences_go_with_their_lines() {
    deleted("a:\n- x\n- y # why\n- z\n", &[delete("a[1]")], "a:\n- x\n- z\n");
    deleted("a:\n- x\n- y\n- z\n", &[delete("a[0]"), delete("a[2]")], "a:\n- y\n");
    deleted("- a: 0\n  b: 1\n\n# second\n- c: 2\n", &[delete("[0]")], "\n# second\n- c: 2\n");
    deleted("- - x\n  - y\n- z\n", &[delete("[0]")], "- z\n");
    deleted("- - x\n  - y\n- z\n", &[delete("[0][1]")], "- - x\n- z\n");
    deleted("-\n- # c\n  b\n- d\n", &[delete("[0]"), delete("[1]")], "- d\n");
    declined("- - x\n  - y\n", &[delete("[0][0]")], Code::Inseparable);
    declined("? - x\n  - y\n: 0\n? b\n: c\n", &[delete("b")], Code::Inseparable);
    declined("? a\n: b: 0\n  c: 1\n", &[delete("a.b")], Code::Inseparable);
}

#[test]
fn elements_of_flow_collections_go_with_one_comma() {
    deleted("a: [x, y, z] # c\n", &[delete("a[0]")], "a: [y, z] # c\n");
    deleted("a: [x, y, z]\n", &[delete("a[1]")], "a: [x, z]\n");
    deleted("a: [x, y, z]\n", &[delete("a[2]")], "a: [x, y]\n");
    deleted("a: [ x, y, z ]\n", &[delete("a[0]"), delete("a[2]")], "a: [ y ]\n");
    deleted("a: [x , y , z]\n", &[delete("a[1]"), delete("a[2]")], "a: [x]\n");
    deleted("a: [x, y,]\n", &[delete("a[1]")], "a: [x,]\n");
    deleted("a: [x, y, ]\n", &[delete("a[0]")], "a: [y, ]\n");
    deleted("a: { b: 0, c: {d: 1}, e: 2 }\n", &[delete("a.c")], "a: { b: 0, e: 2 }\n");
    deleted("a: {b: , c: 0}\n", &[delete("a.c")], "a: {b: }\n");
    deleted("a: [0, !, x]\n", &[delete("a[2]")], "a: [0, ! ]\n");
    deleted("a: [b: 0, c, d: 1]\n", &[delete("a[0]"), delete("a[2]")], "a: [c]\n");
    deleted("{\"a\":1,\"b\":2,\"c\":3}", &[delete("a"), delete("c")], "{\"b\":2}");
    declined("a: {? b : 0, c: 1}\n", &[delete("a.b")], Code::Inseparable);
}

#[test]
fn elements_on_lines_of_their_own_go_with_the_lines() {
    deleted("{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}\n", &[delete("b")], "{\n  \"a\": 1,\n  \"c\": 3\n}\n");
    deleted("{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}\n", &[delete("c"), delete("b")], "{\n  \"a\": 1\n}\n");
    deleted("{\n\t\"a\": {\n\t\t\"b\": 1\n\t},\n\t\"c\": 2\n}\n", &[delete("a")], "{\n\t\"c\": 2\n}\n");
    deleted("a: [\n  x, # one\n  y # two\n]\n", &[delete("a[1]")], "a: [\n  x # one\n]\n");
    deleted("a: [\n  x, # one\n  # about y\n  y, # two\n]\n", &[delete("a[0]")], "a: [\n  # about y\n  y, # two\n]\n");
    deleted("a: [\n  v, w, # one\n  x, y\n]\n", &[delete("a[0]"), delete("a[1]")], "a: [\n  x, y\n]\n");
    deleted("a: [v, w,\n  x, y]\n", &[delete("a[1]"), delete("a[2]")], "a: [v,\n  y]\n");
    deleted("a: [v, w,\n  x, y]\n", &[delete("a[0]"), delete("a[3]")], "a: [w,\n  x]\n");
    deleted("a: [v, w,\n  x, y]\n", &[delete("a[1]"), delete("a[2]"), delete("a[3]")], "a: [v]\n");
    deleted("a: [ v,\r\n  w ]\r\n", &[delete("a[0]")], "a: [\r\n  w ]\r\n");
    deleted("a: [v\n  , w\n  , x\n  ]\n", &[delete("a[2]")], "a: [v\n  , w\n  ]\n");
}

#[test]
fn comments_between_elements_are_neither_lost_nor_given_away() {
    declined("a: [x, y, # about both\n  z]\n", &[delete("a[1]")], Code::Inseparable);
    declined("a: [x, # about x\n  y]\n", &[delete("a[1]")], Code::Inseparable);
    declined("a: [x, y # about y\n  ]\n", &[delete("a[1]")], Code::Inseparable);
    declined("a: [v\n  , w\n  , x\n  ]\n", &[delete("a[1]")], Code::Inseparable);
    declined("a: [\n  x # about x\n]\n", &[delete("a[0]"), append("a", one())], Code::Inseparable);
}

#[test]
fn nothing_is_left_empty() {
    for (text, at) in [
        ("a: 0\n", "a"),
        ("a:\n  b: 0\n", "a.b"),
        ("- a: 0\n", "[0].a"),
        ("- x\n", "[0]"),
        ("a: [x]\n", "a[0]"),
        ("a: {b: 0}\n", "a.b"),
        ("a: [b: 0, c]\n", "a[0].b"),
    ] {
        declined(text, &[delete(at)], Code::LastEntry);
    }
    declined("a: [x, y]\n", &[delete("a[0]"), delete("a[1]")], Code::LastEntry);
    declined("a: 0\nb: 1\n", &[delete("b"), delete("a")], Code::LastEntry);
    let refusal = run("a:\n  b: 0\n", &[delete("a.b")]).unwrap_err();
    assert_eq!(refusal.message, "the collection would be empty; delete the entry that holds it");
    assert_eq!(refusal.route, Some(route("a")));
}

#[test]
fn deletions_and_insertions_meet_in_one_collection() {
    deleted("a: 0\nb: 1\n", &[delete("b"), insert("", "c", one())], "a: 0\nc: 1\n");
    deleted("a: 0\nb: 1", &[delete("b"), insert("", "c", one())], "a: 0\nc: 1");
    deleted("a:\n  b: 1\n", &[delete("a.b"), insert("a", "c", one())], "a:\n  c: 1\n");
    deleted("a: 0", &[delete("a"), insert("", "c", one())], "c: 1");
    deleted("a: 0\r\n\r\nb: 1", &[delete("b"), insert("", "c", one())], "a: 0\r\n\r\nc: 1");
    deleted("a:\nb: 1", &[delete("b"), insert("a", "c", one())], "a:\n  c: 1");
    deleted("a: |\n  x\nb: 1", &[delete("b"), insert("", "c", one())], "a: |\n  x\nc: 1");
    deleted("a: 0\nb: |\n  x", &[delete("b"), insert("", "c", one())], "a: 0\nc: 1");
    deleted("- x\n- y\n- z\n", &[delete("[0]"), append("", one()), replace("[1]", string("w"))], "- w\n- z\n- 1\n");
    deleted("- b: 0\n- c: 1\n", &[delete("[0]"), insert("[1]", "d", one())], "- c: 1\n  d: 1\n");
    deleted("- a:\n  - x\n  - y\n- b\n", &[delete("[0].a[1]"), append("[0].a", one())], "- a:\n  - x\n  - 1\n- b\n");
    let inner_and_outer = [delete("a.c"), delete("d"), insert("a", "e", one()), insert("", "f", one())];
    deleted("a:\n  b: 0\n  c: 1\nd: 2\n", &inner_and_outer, "a:\n  b: 0\n  e: 1\nf: 1\n");
    deleted("a:\n  b: 0\n  c: 1\nd: 2", &inner_and_outer, "a:\n  b: 0\n  e: 1\nf: 1");
}

#[test]
fn deletions_and_insertions_meet_in_one_flow_collection() {
    deleted("a: [x, y]\n", &[delete("a[1]"), append("a", one())], "a: [x, 1]\n");
    deleted("a: [x, y]\n", &[delete("a[0]"), append("a", one())], "a: [y, 1]\n");
    deleted("a: {b: 0}\n", &[delete("a.b"), insert("a", "c", one())], "a: {c: 1}\n");
    deleted("a: {b: 0,}\n", &[delete("a.b"), insert("a", "c", one())], "a: {c: 1,}\n");
    deleted(
        "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}\n",
        &[delete("b"), delete("c"), replace("a", string("x"))],
        "{\n  \"a\": \"x\"\n}\n",
    );
    let text = "{\n  \"a\": 1,\n  \"b\": 2\n}\n";
    check(
        text,
        text,
        &[delete("b"), insert("", "c", one()), insert("", "d", one())],
        &becomes("{\n  \"a\": 1,\n  \"c\": 1,\n  \"d\": 1\n}\n"),
    );
}

#[test]
fn what_goes_is_not_acted_on_otherwise() {
    let text = "a:\n  b: 0\nc: 1\n";
    for other in [delete("a"), delete("a.b"), replace("a.b", one()), insert("a", "d", one()), insert("", "a", one())] {
        let code = if other == insert("", "a", one()) { Code::DuplicateKey } else { Code::NotFound };
        declined(text, &[delete("a"), other.clone()], code);
        declined(text, &[other, delete("a")], code);
    }
    declined(text, &[delete("c"), replace("c", one())], Code::NotFound);
    declined(text, &[delete("")], Code::NotFound);
    declined(text, &[delete("d")], Code::NotFound);
    declined("a: 0\na: 1\nb: 2\n", &[delete("b")], Code::DuplicateKey);
}

#[test]
fn anchors_that_are_needed_stay() {
    declined("a: &x 0\nb: *x\n", &[delete("a")], Code::Alias);
    declined("a:\n  b: &x 0\n  c: 1\nd: *x\n", &[delete("a")], Code::Alias);
    declined("&x a: 0\nb: *x\n", &[delete("a")], Code::Alias);
    declined("a: &x {b: 0, c: 1}\nd: *x\n", &[delete("a.b")], Code::Alias);
    declined("a: &x {b: 0, c: 1}\nd: *x\n", &[delete("d.b")], Code::Alias);
    deleted("a: &x 0\nb: *x\n", &[delete("b")], "a: &x 0\n");
    deleted("a: &x 0\nb: [*x]\nc: 1\n", &[delete("a"), delete("b")], "c: 1\n");
    deleted("a:\n  b: &x 0\n  c: *x\nd: 1\n", &[delete("a")], "d: 1\n");
    deleted("a: &x 0\nb: &x 1\nc: *x\n", &[delete("a")], "b: &x 1\nc: *x\n");
}

#[test]
fn merged_keys_are_not_deleted() {
    let text = "x: &x {a: 0}\nz:\n  <<: *x\n  b: 1\n";
    declined(text, &[delete("z.a")], Code::MergeOnly);
    deleted(text, &[delete("z.b")], "x: &x {a: 0}\nz:\n  <<: *x\n");
    deleted(text, &[delete("z.<<")], "x: &x {a: 0}\nz:\n  b: 1\n");
    // Without the entry here the merged one would show.
    declined("x: &x {a: 0}\nz:\n  <<: *x\n  a: 1\n", &[delete("z.a")], Code::MergeOnly);
}

#[test]
fn block_scalars_above_take_nothing_in() {
    declined("a: |+\n  x\nb: 1\n\nc: 2\n", &[delete("b")], Code::Inseparable);
    declined("a: |\n  x\nb: 1\n  # deep\nc: 2\n", &[delete("b")], Code::Inseparable);
    declined("a: |\n  x\nb: 1\n\n  # deep\nc: 2\n", &[delete("b")], Code::Inseparable);
    declined("a: |\n  x\nb: 1\n    \nc: 2\n", &[delete("b")], Code::Inseparable);
    declined("a: |\n  x\nb: 1\n\nc: 2\n  # deep\nd: 3\n", &[delete("b"), delete("c")], Code::Inseparable);
    declined("a: |2\n    x\nb: 1\n  # deep\nc: 2\n", &[delete("b")], Code::Inseparable);
    declined("a: >+\nb: 1\n\nc: 2\n", &[delete("b")], Code::Inseparable);
    deleted("a: |\n  x\nb: 1\n\nc: 2\n", &[delete("b")], "a: |\n  x\n\nc: 2\n");
    deleted("a: |\n  x\nb: 1\n # c\nd: 2\n", &[delete("b")], "a: |\n  x\n # c\nd: 2\n");
    deleted("a:\n  b: |+\n    x\n\n  c: 1\n  # d\n  e: 2\n", &[delete("a.c")], "a:\n  b: |+\n    x\n\n  # d\n  e: 2\n");
    declined("a: |+\n  x\n# c\nb: 1\n\nc: 2\n", &[delete("b")], Code::Inseparable);
    deleted("a: |+\n  x\n# c\n\nb: 1\n\nc: 2\n", &[delete("b")], "a: |+\n  x\n# c\n\n\nc: 2\n");
    deleted("a: |+\n  x\nb: 1\n\nc: 2\n", &[delete("b"), replace("a", one())], "a: 1\n\nc: 2\n");
    deleted(
        "a:\n  b: |+\n    x\nc: 1\n\nd: 2\n",
        &[delete("c"), insert("a", "e", one())],
        "a:\n  b: |+\n    x\n  e: 1\n\nd: 2\n",
    );
    // What a block scalar holds goes with it.
    deleted("a: |+ # c\n  x\n\n\nb: 1\n", &[delete("a")], "b: 1\n");
    deleted("a: |\n  x\n\nb: 1\n", &[delete("a")], "\nb: 1\n");
}

#[test]
fn a_text_without_a_last_line_end_still_has_none() {
    deleted("a: 0\nb: 1", &[delete("b")], "a: 0");
    deleted("a: 0\r\nb: 1 # c", &[delete("b")], "a: 0");
    deleted("a: 0\nb: 1\nc: 2", &[delete("b"), delete("c")], "a: 0");
    deleted("a: 0\n# c\nb: 1", &[delete("b")], "a: 0");
    deleted("a: 0\n  # c\nb: 1", &[delete("b")], "a: 0\n  # c");
    deleted("a: 0\nb: 1\n# c", &[delete("b")], "a: 0\n# c");
    deleted("a: |-\n  x\nb: 1", &[delete("b")], "a: |-\n  x");
    deleted("a: 0\nb: |\n  x", &[delete("b")], "a: 0");
    deleted("a:\nb: 1", &[delete("b"), replace("a", one())], "a: 1");
    deleted("a: |\n  x\nb: 1", &[delete("b"), replace("a", one())], "a: 1");
    declined("a: 0\n\nb: 1", &[delete("b")], Code::Inseparable);
    declined("a: |\n  x\nb: 1", &[delete("b")], Code::EofBlockScalar);
    declined("a: |+\n  x\nb: 1", &[delete("b")], Code::EofBlockScalar);
}

#[test]
fn line_ends_marks_and_other_documents_stay() {
    deleted("a: 0\r\nb: 1\r\nc: 2\r\n", &[delete("b")], "a: 0\r\nc: 2\r\n");
    deleted("a: 0\rb: 1\rc: 2\r", &[delete("b")], "a: 0\rc: 2\r");
    deleted("a: 0\r\nb: 1\nc: 2\r\n", &[delete("a")], "b: 1\nc: 2\r\n");
    deleted("\u{FEFF}a: 0\nb: 1\n", &[delete("a")], "\u{FEFF}b: 1\n");
    deleted("a: 0\t# c\nb:\t1\nc: 2\n", &[delete("a"), delete("b")], "c: 2\n");
    deleted("--- # c\na: 0\nb: 1\n...\n", &[delete("a")], "--- # c\nb: 1\n...\n");
    let text = "a: 0\nb: 1\n---\na: 0\nb: 1\n---\nc: 2\n";
    deleted(text, &[in_document(1, delete("a")), delete("b")], "a: 0\n---\nb: 1\n---\nc: 2\n");
    deleted("größe: é\nä: ü # ö\nb: 1\n", &[delete("ä")], "größe: é\nb: 1\n");
}

#[test]
fn a_result_that_lost_something_else_is_not_proved() {
    let text = "a: 0 # one\n# two\nb: [x, &y z] # three\nc: 2\n";
    let before = parse(text).unwrap();
    let verified = |operations: &[Operation], from: usize, to: usize| {
        let edits = vec![unroot::edit::Edit::delete(unroot::source::Span::new(from, to))];
        let after = EditSet::new(edits.clone()).unwrap().apply(text);
        verify(&before, operations, &edits, &after).map_err(|refusal| refusal.code)
    };
    assert!(verified(&[delete("a")], 0, 11).is_ok());
    for (operation, from, to) in [
        (delete("a"), 0, 17),
        (delete("b"), 0, 11),
        (delete("c"), 11, 17),
        (delete("a"), 0, 5),
        (delete("b"), 17, 31),
        (delete("b[1]"), 22, 29),
        (delete("b[0]"), 24, 30),
    ] {
        assert_eq!(verified(&[operation], from, to).unwrap_err(), Code::Verify, "{from}..{to}");
    }
}
