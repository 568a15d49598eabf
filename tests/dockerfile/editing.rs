//! Operations, the bytes they make, and the proof.

use unroot::dockerfile::{Operation, parse, verify};
use unroot::edit::{Edit, EditSet};
use unroot::source::Span;

fn insert_before(instruction: usize, lines: &[&str]) -> Operation {
    Operation::InsertBefore { instruction, above_comments: false, lines: owned(lines) }
}

fn insert_above_comments(instruction: usize, lines: &[&str]) -> Operation {
    Operation::InsertBefore { instruction, above_comments: true, lines: owned(lines) }
}

fn insert_after(instruction: usize, lines: &[&str]) -> Operation {
    Operation::InsertAfter { instruction, lines: owned(lines) }
}

fn append(lines: &[&str]) -> Operation {
    Operation::Append { lines: owned(lines) }
}

fn remove(instruction: usize) -> Operation {
    Operation::Remove { instruction, with_comments: false }
}

fn remove_with_comments(instruction: usize) -> Operation {
    Operation::Remove { instruction, with_comments: true }
}

fn replace(text: &str, old: &str, new: &str) -> Operation {
    let start = text.find(old).unwrap_or_else(|| panic!("{old:?} is not in {text:?}"));
    Operation::Replace { span: Span::new(start, start + old.len()), text: new.to_owned() }
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

fn applied(edits: Vec<Edit>, text: &str) -> String {
    EditSet::new(edits).unwrap_or_else(|overlap| panic!("{text:?}: {overlap}")).apply(text)
}

/// What the operations make of the text, proved.
#[track_caller]
fn edited(text: &str, operations: &[Operation]) -> String {
    let dockerfile = parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let edits = dockerfile.plan(operations);
    let after = applied(edits.clone(), text);
    if let Err(error) = verify(&dockerfile, operations, &edits, &after) {
        panic!("{text:?} became {after:?}: {error}");
    }
    after
}

#[test]
fn new_lines_above_and_below() {
    let text = "FROM a\n\n# why\n# it is\nRUN x \\\n  && y\nCMD z\n";
    assert_eq!(
        edited(text, &[insert_before(1, &["USER 1"])]),
        "FROM a\n\n# why\n# it is\nUSER 1\nRUN x \\\n  && y\nCMD z\n"
    );
    assert_eq!(
        edited(text, &[insert_above_comments(1, &["# c", "USER 1", ""])]),
        "FROM a\n\n# c\nUSER 1\n\n# why\n# it is\nRUN x \\\n  && y\nCMD z\n"
    );
    assert_eq!(
        edited(text, &[insert_after(1, &["USER 1"])]),
        "FROM a\n\n# why\n# it is\nRUN x \\\n  && y\nUSER 1\nCMD z\n"
    );
    assert_eq!(edited(text, &[append(&["", "USER 1"])]), format!("{text}\nUSER 1\n"));
    assert_eq!(edited(text, &[]), text);
    assert_eq!(edited(text, &[append(&[])]), text);
}

#[test]
fn line_ends_are_those_of_the_neighbours() {
    let text = "FROM a\r\nRUN x\r\n";
    assert_eq!(edited(text, &[insert_before(1, &["ENV b c"])]), "FROM a\r\nENV b c\r\nRUN x\r\n");
    assert_eq!(edited(text, &[insert_after(1, &["USER 1", "CMD y"])]), "FROM a\r\nRUN x\r\nUSER 1\r\nCMD y\r\n");
    assert_eq!(edited(text, &[insert_after(0, &["RUN a &&\n b"])]), "FROM a\r\nRUN a && \\\r\n b\r\nRUN x\r\n");
    assert_eq!(edited(text, &[replace(text, "x", "x \\\n  y")]), "FROM a\r\nRUN x \\\r\n  y\r\n");
    assert_eq!(edited("FROM a\r\nRUN x", &[append(&["USER 1"])]), "FROM a\r\nRUN x\r\nUSER 1");
    assert_eq!(
        edited("FROM a\nRUN x\r\nRUN y\n", &[insert_after(1, &["USER 1"])]),
        "FROM a\nRUN x\r\nUSER 1\r\nRUN y\n"
    );
}

#[test]
fn a_missing_final_line_end_stays_missing() {
    assert_eq!(edited("FROM a", &[insert_after(0, &["USER 1"])]), "FROM a\nUSER 1");
    assert_eq!(edited("FROM a\nCMD x", &[append(&["USER 1", "CMD y"])]), "FROM a\nCMD x\nUSER 1\nCMD y");
    assert_eq!(edited("FROM a\nCMD x", &[insert_before(1, &["USER 1"])]), "FROM a\nUSER 1\nCMD x");
    assert_eq!(edited("FROM a\nCMD x", &[remove(1)]), "FROM a");
    assert_eq!(edited("FROM a\nUSER 0\nCMD x", &[remove(1), remove(2)]), "FROM a");
    assert_eq!(edited("FROM a\nUSER 0\n\nCMD x", &[remove(2)]), "FROM a\nUSER 0");
    assert_eq!(edited("FROM a\nUSER 0", &[remove(1), append(&["USER 1"])]), "FROM a\nUSER 1");
    assert_eq!(edited("FROM a\nUSER 0", &[remove(1), insert_before(1, &["USER 1"])]), "FROM a\nUSER 1");
    assert_eq!(edited("FROM a\nUSER 0\n# end", &[append(&["USER 1"])]), "FROM a\nUSER 0\n# end\nUSER 1");
    assert_eq!(edited("FROM a\nUSER 0\n# end", &[insert_after(1, &["USER 1"])]), "FROM a\nUSER 0\nUSER 1\n# end");
    assert_eq!(edited("FROM a\nUSER 0\n  ", &[append(&["USER 1"])]), "FROM a\nUSER 0\n  \nUSER 1");
    assert_eq!(edited("FROM a\n# end", &[append(&["", "USER 1", ""])]), "FROM a\n# end\n\nUSER 1");
    assert_eq!(edited("FROM a\nRUN x\n\nUSER 0", &[remove(2), insert_after(2, &[""])]), "FROM a\nRUN x");
    assert_eq!(edited("FROM a\nRUN x\n\nUSER 0", &[remove(1), remove(2), insert_after(2, &[""])]), "FROM a");
    assert_eq!(edited("\u{feff}FROM a", &[append(&["USER 1"])]), "\u{feff}FROM a\nUSER 1");
}

#[test]
fn removal_takes_the_line_and_no_more() {
    let text = "FROM a\n# c\nUSER 0\nCMD x\n";
    assert_eq!(edited(text, &[remove(1)]), "FROM a\n# c\nCMD x\n");
    assert_eq!(edited(text, &[remove_with_comments(1)]), "FROM a\nCMD x\n");
    assert_eq!(edited("FROM a\nRUN x \\\n # c\n y\nCMD z\n", &[remove(1)]), "FROM a\nCMD z\n");
    assert_eq!(edited("FROM a\nRUN <<E\nUSER 1\nE\nCMD z\n", &[remove(1)]), "FROM a\nCMD z\n");
    assert_eq!(edited("FROM a\r\nUSER 0\r\nCMD z\r\n", &[remove(1)]), "FROM a\r\nCMD z\r\n");
}

#[test]
fn removal_leaves_no_wider_gap() {
    assert_eq!(edited("FROM a\n\nUSER 0\n\nCMD x\n", &[remove(1)]), "FROM a\n\nCMD x\n");
    assert_eq!(edited("FROM a\n\nUSER 0\nCMD x\n", &[remove(1)]), "FROM a\n\nCMD x\n");
    assert_eq!(edited("FROM a\nUSER 0\n\nCMD x\n", &[remove(1)]), "FROM a\n\nCMD x\n");
    assert_eq!(edited("FROM a\n\nUSER 0\n\n\nCMD x\n", &[remove(1)]), "FROM a\n\nCMD x\n");
    assert_eq!(edited("FROM a\n\nUSER 0\n", &[remove(1)]), "FROM a\n");
    assert_eq!(edited("ARG A\n\nFROM a\n", &[remove(0)]), "FROM a\n");
    assert_eq!(edited("# syntax=x\nARG A\n\nFROM a\n", &[remove(0)]), "# syntax=x\n\nFROM a\n");
    assert_eq!(edited("FROM a\n\nUSER 0\n\nCMD x\n\nRUN y\n", &[remove(1), remove(2)]), "FROM a\n\nRUN y\n");
    assert_eq!(edited("FROM a\n\nUSER 0\n\nCMD x\n", &[remove(1), remove(2)]), "FROM a\n");
    // New lines take the place of the old ones, so the gaps stay.
    assert_eq!(
        edited("FROM a\n\nUSER 0\n\nCMD x\n", &[remove(1), insert_after(1, &["USER 1"])]),
        "FROM a\n\nUSER 1\n\nCMD x\n"
    );
    assert_eq!(
        edited("FROM a\n\nUSER 0\n\nCMD x\n", &[remove(1), insert_before(1, &["USER 1"])]),
        "FROM a\n\nUSER 1\n\nCMD x\n"
    );
}

#[test]
fn nothing_is_glued_together() {
    assert_eq!(edited("FROM a\nRUN x \\", &[append(&["USER 1"])]), "FROM a\nRUN x \nUSER 1");
    assert_eq!(edited("FROM a\nRUN x \\\n# c\n\n", &[insert_after(1, &["USER 1"])]), "FROM a\nRUN x \n# c\n\nUSER 1\n");
    assert_eq!(edited("FROM a\nRUN x \\\n \\\n", &[insert_after(1, &["USER 1"])]), "FROM a\nRUN x \n \nUSER 1\n");
    assert_eq!(edited("FROM a\nRUN x \\\n", &[insert_before(1, &["USER 1"])]), "FROM a\nUSER 1\nRUN x \\\n");
    assert_eq!(
        edited("FROM a\nRUN <<A <<B\nx\nA\ny\nB", &[insert_after(1, &["USER 1"])]),
        "FROM a\nRUN <<A <<B\nx\nA\ny\nB\nUSER 1"
    );
    let text = "# escape=`\r\nFROM a\r\nCOPY x C:\\\r\nRUN y\r\n";
    assert_eq!(
        edited(text, &[insert_after(1, &["RUN a\n b"])]),
        "# escape=`\r\nFROM a\r\nCOPY x C:\\\r\nRUN a `\r\n b\r\nRUN y\r\n"
    );
}

#[test]
fn directives_stay_on_top() {
    let text = "# syntax=x\n# c\nFROM a\n";
    assert_eq!(edited(text, &[insert_above_comments(0, &["ARG A"])]), "# syntax=x\nARG A\n# c\nFROM a\n");
    assert_eq!(edited("# c\nFROM a\n", &[insert_above_comments(0, &["ARG A"])]), "ARG A\n# c\nFROM a\n");
    assert_eq!(edited("\u{feff}FROM a\n", &[insert_before(0, &["ARG A"])]), "\u{feff}ARG A\nFROM a\n");
}

#[test]
fn a_directive_gets_another_value() {
    let set = |directive: usize| [Operation::SetDirective { directive, value: "a/b:2".to_owned() }];
    let text = "\u{feff}#  Syntax = a/b:1  \r\n# escape=`\r\n\r\n# note\r\nFROM x\r\n";
    assert_eq!(edited(text, &set(0)), text.replace("a/b:1", "a/b:2"));
    // What decides how the rest reads, and what is not there, stays.
    for directive in [1, 2] {
        assert_eq!(parse(text).unwrap().plan(&set(directive)), []);
    }
    let together = [set(0)[0].clone(), insert_above_comments(0, &["ARG A"])];
    assert_eq!(edited("# syntax=a/b:1\nFROM x", &together), "# syntax=a/b:2\nARG A\nFROM x");
    assert_refused(
        "# syntax=a/b:1\nFROM x",
        &[],
        &[Edit::replace(Span::new(9, 14), "a/b:2")],
        "a parser directive has changed",
    );
}

#[test]
fn replacements_stay_within_an_instruction() {
    let text = "FROM golang:1 AS b\nRUN go build\n";
    assert_eq!(
        edited(
            text,
            &[replace(text, "golang:1", "golang:1@sha256:0"), replace(text, "go build", "CGO_ENABLED=0 go build")]
        ),
        "FROM golang:1@sha256:0 AS b\nRUN CGO_ENABLED=0 go build\n"
    );
    let text = "FROM a\nCOPY . .\n";
    assert_eq!(
        edited(
            text,
            &[Operation::Replace { span: Span::at(text.find(". .").unwrap()), text: "--chown=1:1 ".to_owned() }]
        ),
        "FROM a\nCOPY --chown=1:1 . .\n"
    );
}

#[test]
fn operations_at_one_place_keep_their_order() {
    assert_eq!(
        edited(
            "FROM a\nCMD x\n",
            &[append(&["# 4"]), insert_before(1, &["# 2"]), insert_after(0, &["# 1"]), insert_after(1, &["# 3"])]
        ),
        "FROM a\n# 1\n# 2\nCMD x\n# 3\n# 4\n"
    );
    assert_eq!(
        edited("FROM a\nCMD x\n", &[insert_before(1, &["# 2"]), insert_above_comments(1, &["# 1"])]),
        "FROM a\n# 1\n# 2\nCMD x\n"
    );
    assert_eq!(
        edited("FROM a\nRUN x\nRUN y\n", &[remove(1), remove(2), insert_after(1, &["USER 1"])]),
        "FROM a\nUSER 1\n"
    );
}

/// A text that is not what the operations say.
#[track_caller]
fn assert_refused(text: &str, operations: &[Operation], edits: &[Edit], expected: &str) {
    let dockerfile = parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let after = applied(edits.to_vec(), text);
    match verify(&dockerfile, operations, edits, &after) {
        Ok(_) => panic!("{after:?} is accepted"),
        Err(error) => assert_eq!(error.message, expected),
    }
}

#[test]
fn what_the_operations_do_not_say_is_refused() {
    let text = "FROM a\n# c\nRUN x\n";
    assert_refused(text, &[], &[Edit::insert(7, "USER 1\n")], "expected `# c`, found `USER 1`");
    assert_refused(text, &[], &[Edit::delete(Span::new(7, 11))], "expected `# c`, found `RUN x`");
    assert_refused(text, &[], &[Edit::delete(Span::new(16, 17))], "the final line end has changed");
    assert_refused(text, &[], &[Edit::insert(7, "\n")], "a blank line has appeared");
    assert_refused(text, &[], &[Edit::insert(6, "\r")], "a line end of another kind has appeared");
    assert_refused(text, &[], &[Edit::insert(0, "# syntax=x\n")], "a parser directive has changed");
    assert_refused(text, &[], &[Edit::insert(0, "\u{feff}")], "the byte order mark has changed");
    assert_refused(text, &[], &[Edit::insert(6, "b")], "expected `FROM a`, found `FROM ab`");
    assert_refused(text, &[], &[Edit::insert(7, "x\n")], "unknown instruction `x`");
    assert_refused(
        text,
        &[insert_after(1, &["USER 1"])],
        &[Edit::insert(17, "USER 2\n")],
        "expected `USER 1`, found `USER 2`",
    );
    assert_refused(text, &[insert_after(1, &["USER 1"])], &[], "expected `USER 1`, found nothing");
    assert_refused(text, &[remove(9)], &[], "an operation names an instruction that does not exist");
    assert_refused(
        text,
        &[replace(text, "x", "x\nRUN y")],
        &[Edit::replace(Span::new(15, 16), "x\nRUN y")],
        "a replacement makes 2 instructions of one",
    );
    let dockerfile = parse(text).unwrap();
    assert!(verify(&dockerfile, &[], &[], "FROM a\n").is_err());
    assert!(verify(&dockerfile, &[], &[Edit::insert(99, "x")], text).is_err());
}

#[test]
fn lines_that_would_swallow_their_neighbours_are_refused() {
    for (text, operations) in [
        ("FROM a\nRUN x\n", vec![insert_before(1, &["USER 1 \\"])]),
        ("FROM a\nRUN x\n", vec![insert_before(1, &["RUN <<E"])]),
        ("FROM a\nRUN x\n", vec![insert_before(0, &["# syntax=x"])]),
        ("FROM a\nRUN x\n", vec![insert_before(0, &["USER 1"])]),
        ("FROM a\nRUN x\n", vec![remove(0)]),
        ("FROM a\nRUN <<E\nE\n", vec![replace("FROM a\nRUN <<E\nE\n", "<<E", "<<F")]),
    ] {
        let dockerfile = parse(text).unwrap();
        let edits = dockerfile.plan(&operations);
        let after = EditSet::new(edits.clone()).unwrap().apply(text);
        assert!(verify(&dockerfile, &operations, &edits, &after).is_err(), "{after:?}");
    }
}
