//! What is read: kinds, spans, routes, scalars, and whole texts that are refused.

use super::*;
use unroot::yaml::{Kind, Scalar, Stream, Style};

fn read(text: &str) -> Stream {
    parse(text).unwrap_or_else(|refusal| panic!("{text:?}: {refusal}"))
}

#[track_caller]
fn raw(text: &str, at: &str, expected: &str) {
    let stream = read(text);
    let node = stream.document(0).and_then(|document| document.at(&route(at)));
    let node = node.unwrap_or_else(|| panic!("{text:?} has nothing at {at}"));
    assert_eq!(node.raw(), expected, "{text:?} at {at}");
    assert_eq!(node.route(), route(at));
}

#[test]
fn spans_cover_the_content_and_nothing_else() {
    raw("a: b # c\n", "a", "b");
    raw("a:  'it''s'   # c\n", "a", "'it''s'");
    raw("a: \"x \\\" # y\" # z\n", "a", "\"x \\\" # y\"");
    raw("a: b c\n  d\n\n  e # f\n", "a", "b c\n  d\n\n  e");
    raw("a: &x !!str b\n", "a", "b");
    raw("a: | # c\n  b\n\n  c\n\nd: 0\n", "a", "| # c\n  b\n\n  c");
    raw("a: |+\n  b\n\nd: 0\n", "a", "|+\n  b\n");
    raw("a: >-\n  b\n   \n  c", "a", ">-\n  b\n   \n  c");
    raw("a: |\nb: 0\n", "a", "|");
    raw("a: # c\n  b: 0 # d\n\n  e: # f\n", "a", "b: 0 # d\n\n  e:");
    raw("a:\n- b\n- c: 0\n# x\n", "a", "- b\n- c: 0");
    raw("a: {b: [c, d], e: 0,} # f\n", "a", "{b: [c, d], e: 0,}");
    raw("a: {b: [c, d], e: 0,} # f\n", "a.b[1]", "d");
    raw("a: [b: c, d]\n", "a[0]", "b: c");
    raw("? a\n: b\n", "a", "b");
    raw("a: x#y:z\n", "a", "x#y:z");
    raw("\u{FEFF}a: b\r\n", "", "a: b");
    raw("- - a\n  - b\n", "[0][1]", "b");
    raw("a: \u{1F980}é |\nb: |\n  é\u{1F980}\nc: d\n", "c", "d");
    raw("[ a , \"b\" , 'c' ]\n", "[2]", "'c'");
    raw("{\"a\":b}\n", "a", "b");
    raw("--- # c\n- a\n", "[0]", "a");
}

#[test]
fn empty_values_have_a_place_and_no_bytes() {
    let stream = read("a:\n# c\nb: &x\n");
    let root = stream.document(0).unwrap().root().unwrap();
    for (key, at) in [("a", 2), ("b", 12)] {
        let value = root.get(key).unwrap();
        assert_eq!((value.style(), value.span().start, value.span().end), (Style::Empty, at, at));
        assert!(value.is_null());
    }
    assert_eq!(root.get("b").unwrap().anchor(), Some("x"));
}

#[test]
fn documents_have_roots_spans_and_indices() {
    let stream = read("# first\n---\n# empty\n---\na: 1\n...\n---\n- b\n");
    let roots: Vec<Option<Kind>> = stream.documents().map(|document| document.root().map(|root| root.kind())).collect();
    assert_eq!(roots, [None, Some(Kind::Mapping), Some(Kind::Sequence)]);
    let text = stream.text();
    assert_eq!(stream.document(1).unwrap().span().of(text), "---\na: 1\n...\n");
    let item = stream.document(2).unwrap().at(&route("[0]")).unwrap();
    assert_eq!((item.document().index(), item.raw()), (2, "b"));
    assert!(stream.document(3).is_none());
    let comments: Vec<&str> = stream.comments().map(|span| span.of(text)).collect();
    assert_eq!(comments, ["# first", "# empty"]);
}

#[test]
fn text_without_content_has_no_documents() {
    for text in ["", "\n", "# c", "\u{FEFF}", "...\n", "\t\n"] {
        assert_eq!(read(text).documents().len(), 0, "{text:?}");
    }
}

#[test]
fn scalars_decode() {
    let decoded = |text: &str| read(text).document(0).unwrap().root().unwrap().text().into_owned();
    assert_eq!(decoded("a b\n c\n\n d"), "a b c\nd");
    assert_eq!(decoded("'it''s'"), "it's");
    assert_eq!(decoded("\"\\u00e9\\n\\x41\""), "é\nA");
    assert_eq!(decoded("--- |\n a\n  b\n\n"), "a\n b\n");
    assert_eq!(decoded("--- >-\n a\n b\n"), "a b");
    assert_eq!(decoded("--- |\n a"), "a\n");
    assert_eq!(decoded("--- |\n"), "");
    assert_eq!(decoded("--- >\n\n"), "");
    assert_eq!(decoded("--- |+\n\n\r\n"), "\n\n");
}

#[test]
fn kubectl_decides_what_a_scalar_is() {
    let stream = read("u: yes\nm: 0644\nq: \"0644\"\nt: !!str 123\nn: ~\nf: 1e3\ns: 12:30\nb: |\n  yes\n");
    let root = stream.document(0).unwrap().root().unwrap();
    let get = |key: &str| root.get(key).unwrap();
    assert_eq!(get("u").as_bool(), Some(true));
    assert_eq!((get("m").as_i64(), get("m").as_str()), (Some(420), None));
    assert_eq!((get("q").as_i64(), get("q").as_str().as_deref()), (None, Some("0644")));
    assert_eq!(get("t").as_str().as_deref(), Some("123"));
    assert!(get("n").is_null());
    assert_eq!((get("f").scalar(), get("f").as_i64()), (Some(Scalar::Float(1000.0)), Some(1000)));
    assert_eq!(get("s").as_str().as_deref(), Some("12:30"));
    assert_eq!(get("b").as_bool(), None);
    assert_eq!(root.scalar(), None);
}

#[test]
fn aliases_and_merges_are_seen_but_not_walked_through() {
    let stream = read("a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2\nf: {<<: [{g: 1}, *x]}\n");
    let document = stream.document(0).unwrap();
    let root = document.root().unwrap();
    let alias = root.get("c").unwrap();
    assert_eq!((alias.kind(), alias.resolved().anchor()), (Kind::Alias, Some("x")));
    assert!(document.at(&route("c.b")).is_none());
    let merged = root.get("d").unwrap();
    assert!(merged.get("b").is_none() && merged.has("b") && merged.has("e") && !merged.has("g"));
    assert!(root.get("f").unwrap().has("g") && root.get("f").unwrap().has("b"));
    assert!(root.get("a").unwrap().is_used_by_alias() && !merged.is_used_by_alias());
}

#[test]
fn merges_that_share_their_sources_cost_no_more_than_their_length() {
    let mut text = "m0: &m0 {a: 1}\n".to_owned();
    for level in 1..60 {
        let below = level - 1;
        text.push_str(&format!("m{level}: &m{level} {{<<: [*m{below}, *m{below}, *m{below}]}}\n"));
    }
    let stream = read(&text);
    let top = stream.document(0).unwrap().at(&route("m59")).unwrap();
    assert!(top.has("a") && !top.has("b"));
}

#[test]
fn what_kubectl_reads_and_the_parser_does_not_is_read_all_the_same() {
    for (text, at, expected) in [
        ("a: [\n  \"b\",\n  \"c\"\n]\nd: 0\n", "a", "[\n  \"b\",\n  \"c\"\n]"),
        ("x:\n  a: {\n    b: \"c\"\n  }\n  d: 0\n", "x.a", "{\n    b: \"c\"\n  }"),
        ("a: [\r\n]\r\nb: é\r\n", "a", "[\r\n]"),
        ("- [\r\"é\",\rc, d]\r", "[0]", "[\r\"é\",\rc, d]"),
        ("a: [\n  \"b\"\n]\nc: [\n  'd'\n]\ne: 0\n", "c", "[\n  'd'\n]"),
        ("a:\tb\nc:\t \t1\n", "c", "1"),
        ("\u{FEFF}a: [\n\"b\"\n]\n", "a[0]", "\"b\""),
    ] {
        raw(text, at, expected);
    }
    let many = "- [\n'x'\n]\n".repeat(101);
    assert_eq!(parse(many).map_err(|refusal| refusal.code).err(), Some(Code::Parse));
}

#[test]
fn duplicate_keys_refuse_their_document_alone() {
    let stream = read("a: 1\nb:\n  c: 1\n  \"c\": 2\n---\na: 1\n");
    let refusal = stream.document(0).unwrap().refusal().expect("`c` stands twice");
    assert_eq!((refusal.code, refusal.document, refusal.offset), (Code::DuplicateKey, Some(0), Some(17)));
    assert_eq!(refusal.route, Some(route("b.c")));
    assert!(stream.document(1).unwrap().refusal().is_none());
    let many: String = (0..20).map(|key| format!("k{}: 1\n", key % 19)).collect();
    assert!(read(&many).document(0).unwrap().refusal().is_some());
    for fine in ["a: {b: 1}\nb: 1\n", "- a: 1\n- a: 1\n", "a: 1\nA: 1\n"] {
        assert!(read(fine).document(0).unwrap().refusal().is_none(), "{fine}");
    }
}

#[test]
fn whole_texts_are_refused_with_a_code() {
    let code = |text: &str| parse(text).err().map(|refusal| refusal.code);
    for text in [
        "a: b: c\n",
        "a: [b\n",
        "\"x\n",
        "a: \"\\q\"\n",
        "a: *nowhere\n",
        "a: \0\n",
        "- &x [*x]\n",
        "a: &x 1\n---\nb: *x\n",
        "a: }\n",
    ] {
        assert_eq!(code(text), Some(Code::Parse), "{text:?}");
    }
    for text in ["a: {{ .b }}\n", "{{- if .x }}\na: 1\n{{- end }}\n", "- {{ x }}\n", "a: [{{ x }}]\n", "a: \"{{\n"] {
        assert_eq!(code(text), Some(Code::Template), "{text:?}");
    }
    for text in ["a: \"{{ x }}\"\n", "a: x {{ y }}\n", "# {{ x }}\na: 1\n", "a: |\n  {{ x }}\n", "a: '{{'\n"] {
        assert_eq!(code(text), None, "{text:?}");
    }
    for text in ["a: 1 # x\u{85}b: 2\n", "--- |\na\n", "a: x\u{FEFF}y\n", "a: [{b: c}: d]\n"] {
        assert_eq!(code(text), Some(Code::Cover), "{text:?}");
    }
}

#[test]
fn depth_is_limited_and_costs_no_stack() {
    let code = |text: String| parse(text).err().map(|refusal| refusal.code);
    let block = |depth: usize| format!("{}a\n", "- ".repeat(depth));
    let flow = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let maps = |depth: usize| (0..depth).map(|level| format!("{}a:\n", " ".repeat(level))).collect::<String>();
    for shape in [&block as &dyn Fn(usize) -> String, &flow, &maps] {
        assert_eq!(code(shape(128)), None);
        assert_eq!(code(shape(129)), Some(Code::Depth));
        assert_eq!(code(shape(300)), Some(Code::Depth));
    }
    assert_eq!(code(block(100_000)), Some(Code::Depth));
    assert_eq!(code(flow(100_000)), Some(Code::Depth));
    assert_eq!(code("[".repeat(100_000)), Some(Code::Depth));
    assert_eq!(code("{a: ".repeat(100_000)), Some(Code::Depth));
}

#[test]
fn hostile_sizes_are_read() {
    let wide = "é".repeat(500_000);
    for text in [
        format!("a: {wide}\nb: 1\n"),
        format!("a: [{}]\n", "é, ".repeat(200_000)),
        format!("{{{}}}\n", (0..100_000).map(|key| format!("k{key}: {key}, ")).collect::<String>()),
        "a: 1\n---\n".repeat(89_000),
        format!("a: \"{}\"\n", "\\n".repeat(300_000)),
        format!("a: |\n{}", "  é\n".repeat(200_000)),
        "# c\n".repeat(200_000),
        (0..50_000).map(|key| format!("k{key}:\n")).collect(),
        format!("a: {}\n", "x\n  ".repeat(100_000)),
    ] {
        // Quadratic time would take minutes here; no clock is asked, because a slow machine is no defect.
        read(&text);
    }
}

#[test]
fn messages_hold_no_control_characters() {
    for text in ["a: \u{1b}[31m\u{7}: b: c\n", "\u{1b}: 1\n\u{1b}: 2\n", "a: \"\\\u{7}\"\n", "a: 1 #\u{85}\u{1b}\n"] {
        let message = match parse(text) {
            Err(refusal) => refusal.message,
            Ok(stream) => stream
                .document(0)
                .and_then(|document| document.refusal())
                .map(|refusal| refusal.message.clone())
                .unwrap_or_default(),
        };
        assert!(!message.chars().any(char::is_control), "{text:?}: {message:?}");
    }
}

#[test]
fn streams_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Stream>();
}
