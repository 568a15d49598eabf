//! How values are replaced.

use super::*;

#[track_caller]
fn replaced(text: &str, value: &Value, after: &str) {
    check(text, text, &[replace("a", value.clone())], &becomes(after));
}

#[test]
fn the_quotes_stay_where_they_can_hold_the_value() {
    replaced("a: 'b' # c\n", &string("it's"), "a: 'it''s' # c\n");
    replaced("a: 'b'\n", &string("x\ny"), "a: \"x\\ny\"\n");
    replaced("a: \"b\"\n", &string("c"), "a: \"c\"\n");
    replaced("a: b\n", &string("yes"), "a: \"yes\"\n");
    replaced("a: b\n", &string("c d"), "a: \"c d\"\n");
}

#[test]
fn numbers_and_booleans_stand_without_quotes() {
    replaced("a: \"0\"\n", &Value::Int(1000), "a: 1000\n");
    replaced("a: 'true'\n", &Value::Bool(false), "a: false\n");
    replaced("a: yes\n", &Value::Bool(false), "a: false\n");
    replaced("a: -1\n", &Value::Int(i64::MIN), "a: -9223372036854775808\n");
}

#[test]
fn values_on_many_lines_are_replaced_as_a_whole() {
    replaced("a: b\n  c\n\n  d # e\nf: 0\n", &string("x"), "a: x # e\nf: 0\n");
    replaced("a: \"b\n\n  c\"\nf: 0\n", &string("x"), "a: \"x\"\nf: 0\n");
    replaced("a:\n  b\nf: 0\n", &string("x"), "a:\n  x\nf: 0\n");
}

#[test]
fn block_scalars_are_replaced_from_the_header_to_the_last_line() {
    replaced("a: |\n  b\n  c\nd: 0\n", &string("x y"), "a: \"x y\"\nd: 0\n");
    replaced("a: >2-\n    b\n\n  c\n\n\nd: 0\n", &string("x"), "a: x\n\n\nd: 0\n");
    replaced("a: | # why\n  b", &string("x"), "a: x # why");
    replaced("a: |\nd: 0\n", &string("x"), "a: x\nd: 0\n");
    replaced("a: |+\r\n  b\r\n\r\nd: 0\r\n", &string("x"), "a: x\r\n\r\nd: 0\r\n");
}

#[test]
fn an_empty_value_is_written_behind_its_colon() {
    replaced("a:\nb: 0\n", &string("x"), "a: x\nb: 0\n");
    replaced("a: # why\n", &string("x"), "a: x # why\n");
    replaced("a:", &string("x"), "a: x");
    replaced("{a}\n", &string("x"), "{a: x}\n");
    replaced("{a: , b: 0}\n", &Value::Int(1), "{a: 1 , b: 0}\n");
}

#[test]
fn anchors_and_tags_stay() {
    replaced("a: &x b\n", &string("c"), "a: &x c\n");
    replaced("a: &x !!str 1\n", &string("2"), "a: &x !!str \"2\"\n");
    check("tag", "a: !!int 1\n", &[replace("a", string("x"))], &refused(Code::NotFound));
    check("tag", "a: !!str 1\n", &[replace("a", Value::Int(2))], &refused(Code::NotFound));
    check("tag", "a: !secret x\n", &[replace("a", string("y"))], &refused(Code::NotFound));
    check("used", "a: &x b\nc: *x\n", &[replace("a", string("y"))], &refused(Code::Alias));
    check("alias", "a: &x b\nc: *x\n", &[replace("c", string("y"))], &refused(Code::Alias));
}

#[test]
fn only_scalars_replace_and_are_replaced() {
    check("mapping", "a: {b: 0}\n", &[replace("a", string("x"))], &refused(Code::NotFound));
    check("list", "a:\n- b\n", &[replace("a", string("x"))], &refused(Code::NotFound));
    check("a key alone", "[? a]\n", &[replace("[0].a", string("x"))], &refused(Code::NotFound));
    check("a document", "b\n\t\n", &[replace("", string("x"))], &refused(Code::NotFound));
    check("with a mapping", "a: b\n", &[replace("a", non_root())], &refused(Code::NotFound));
    check("with a list", "a: b\n", &[replace("a", Value::Seq(vec![]))], &refused(Code::NotFound));
}

#[test]
fn items_are_replaced_in_place() {
    check("block", "- a # x\n- b\n", &[replace("[0]", string("c"))], &becomes("- c # x\n- b\n"));
    check("flow", "[a, b]\n", &[replace("[1]", string("c:d"))], &becomes("[a, \"c:d\"]\n"));
    check("both", "[a, b]\n", &[replace("[1]", string("d")), replace("[0]", string("c"))], &becomes("[c, d]\n"));
}
