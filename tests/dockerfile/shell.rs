//! The commands of shell lines.

use unroot::dockerfile::{ShellCommand, Word, parse};

/// The commands of the instruction after `FROM`: words between bars, assignments marked with `=`, redirections with their operator, and
/// what is not literal in parentheses.
fn commands(text: &str) -> Option<Vec<String>> {
    let text = format!("FROM a\n{text}");
    let dockerfile = parse(text.as_str()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let commands = dockerfile.shell_commands(&dockerfile.instructions()[1])?;
    for command in &commands {
        let words = command.assignments.iter().chain(&command.words);
        for word in words.chain(command.redirections.iter().map(|redirection| &redirection.target)) {
            let span = word.span.of(&text);
            assert!(span == word.written || span.contains('\n'), "{span:?} is not {:?}", word.written);
        }
    }
    Some(commands.iter().map(describe).collect())
}

fn describe(command: &ShellCommand) -> String {
    let word = |word: &Word| match &word.literal {
        Some(literal) => literal.clone(),
        None => format!("({})", word.written),
    };
    let assignments = command.assignments.iter().map(|assignment| format!("={}", word(assignment)));
    let words = command.words.iter().map(word);
    let redirections =
        command.redirections.iter().map(|redirection| format!("{}{}", redirection.operator, word(&redirection.target)));
    assignments.chain(words).chain(redirections).collect::<Vec<_>>().join("|")
}

fn run(script: &str) -> Option<Vec<String>> {
    commands(&format!("RUN {script}"))
}

#[track_caller]
fn assert_run(script: &str, expected: &[&str]) {
    assert_eq!(
        run(script).as_deref(),
        Some(expected.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()),
        "{script}"
    );
}

#[test]
fn lists_are_split_into_commands() {
    assert_run("a b && c || d; e | f & g", &["a|b", "c", "d", "e", "f", "g"]);
    assert_run("a&&b||c;d|e&f", &["a", "b", "c", "d", "e", "f"]);
    assert_run("! a; { b; c; } && (d; (e)) 2>&1", &["a", "b", "c", "d", "e", ">&1"]);
    assert_run("a |& b", &["a", "b"]);
    assert_run("", &[]);
}

#[test]
fn continuations_and_comments_of_the_dockerfile() {
    assert_run("a \\\n # why\n\n  && b \\\n  c", &["a", "b|c"]);
    let text = "FROM a\nRUN set -e; \\\n  # build\n  go build \\\n    -o /x";
    let dockerfile = parse(text).unwrap();
    let commands = dockerfile.shell_commands(&dockerfile.instructions()[1]).unwrap();
    assert_eq!(commands[1].words[0].span.of(text), "go");
    assert_eq!(commands[1].span.of(text), "go build \\\n    -o /x");
    assert_eq!(commands[1].name(), Some("go"));
    // The joined line is one line to the shell, so its comment goes to the end.
    assert_run("a # b \\\n && c", &["a"]);
    assert_run("a#b '#c'", &["a#b|#c"]);
}

#[test]
fn quotes_are_removed_and_expansions_are_not_literal() {
    assert_run(r#"'a b' "c d" e\ f g"h"'i'"#, &["a b|c d|e f|ghi"]);
    assert_run(r#""\$a \"b\" \n" '\n'"#, &[r#"$a "b" \n|\n"#]);
    assert_run(r#"$a "${b}" ${c:-"d }"} $1 $@ 5$ "a$""#, &[r#"($a)|("${b}")|(${c:-"d }"})|($1)|($@)|5$|a$"#]);
    assert_run(
        "*.c a? [ab] [ -f x ] {a,b} {a..c} {} ~/x a~ \\* '*'",
        &["(*.c)|(a?)|([ab])|[|-f|x|]|({a,b})|({a..c})|{}|(~/x)|a~|*|*"],
    );
    assert_run("A=~/x B=1:~ c", &["=(A=~/x)|=(B=1:~)|c"]);
    assert_run("$'a' $\"b\"", &["($'a')|($\"b\")"]);
}

#[test]
fn assignments_stand_before_the_command() {
    assert_run("A=1 B='x y' go build C=2", &["=A=1|=B=x y|go|build|C=2"]);
    assert_run("A=1; A+=2 b", &["=A=1", "=A+=2|b"]);
    assert_run("1A=2 'A'=3", &["1A=2|A=3"]);
}

#[test]
fn redirections_are_no_words() {
    assert_run("a >/dev/null 2>&1 < b >> c x2>d", &["a|x2|>/dev/null|>&1|<b|>>c|>d"]);
    assert_run("> f", &[">f"]);
    assert_run("a &> f; b >&2", &["a|&>f", "b|>&2"]);
    assert_run("cat <<<x", &["cat|<<<x"]);
}

#[test]
fn commands_in_substitutions_come_first() {
    assert_run("a $(b c | d) `e f` \"$(g)\"", &["b|c", "d", "e|f", "g", "a|($(b c | d))|(`e f`)|(\"$(g)\")"]);
    assert_run("a ${b:-$(c)}", &["c", "a|(${b:-$(c)})"]);
    assert_run("A=$(b)", &["b", "=(A=$(b))"]);
    assert_run("a $((1 + (2 * $b)))", &["a|($((1 + (2 * $b))))"]);
}

#[test]
fn compound_commands() {
    assert_run("if a; then b; elif c; then d; else e; fi", &["a", "b", "c", "d", "e"]);
    assert_run("while a; do b; done < c; until d; do e; done", &["a", "b", "<c", "d", "e"]);
    assert_run("for x in a $(b) c; do d $x; done", &["b", "d|($x)"]);
    assert_run("for x; do a; done", &["a"]);
    assert_run("case $x in a|b) c;; (d) e ;; *) f; esac && g", &["c", "e", "f", "g"]);
    assert_run("case x in esac; a", &["a"]);
    assert_run("case x in a) if b; then c; fi;; esac", &["b", "c"]);
    assert_run("f() { a; }; f", &["a", "f"]);
    assert_run("echo if then done }", &["echo|if|then|done|}"]);
    assert_run("'if' a", &["if|a"]);
}

#[test]
fn heredocs() {
    assert_run(
        "<<EOF\nset -e\n# c\napt-get install \\\n  -y x\ncat <<'X' > /f\nno command\nX\ngo build\nEOF",
        &["set|-e", "apt-get|install|-y|x", "cat|<<X|>/f", "go|build"],
    );
    assert_run("<<EOF\n#!/usr/bin/env bash\n[[ a && b < c ]] && d\nEOF", &["[[|a|b|c|]]", "d"]);
    assert_run("<<-EOF\n\tfor x in a\n\tdo b\n\tdone\n\tEOF", &["b"]);
    assert_run("cat <<EOF > /f && b\nc\nEOF", &["cat|<<EOF|>/f", "b"]);
    assert_run("bash -e <<'EOF'\na \\\n b\nEOF", &["bash|-e|<<EOF", "a|b"]);
    assert_run("<<EOF bash\na \\\n b\nEOF", &["bash|<<EOF", "a|b"]);
    assert_run("python3 <<EOF\nimport os; os.x(\"\nEOF", &["python3|<<EOF"]);
    let text = "FROM a\nRUN <<E\nid\n go build\nE";
    let dockerfile = parse(text).unwrap();
    let commands = dockerfile.shell_commands(&dockerfile.instructions()[1]).unwrap();
    assert_eq!(commands[1].span.of(text), "go build");
}

#[test]
fn the_shell_that_is_set() {
    let of_last = |text: &str| {
        let dockerfile = parse(text).unwrap();
        let last = dockerfile.instructions().len() - 1;
        dockerfile.shell_commands(&dockerfile.instructions()[last]).map(|commands| commands.len())
    };
    assert_eq!(of_last("FROM a\nSHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN [[ a && b ]] && c"), Some(2));
    assert_eq!(of_last("FROM a\nRUN [[ a && b ]] && c"), None);
    assert_eq!(of_last("FROM a\nRUN [[ a ]] && c"), Some(2));
    assert_eq!(of_last("FROM a\nSHELL [\"powershell\", \"-command\"]\nRUN a"), None);
    assert_eq!(of_last("FROM a\nSHELL [\"cmd\"]\nSHELL [\"/bin/sh\", \"-c\"]\nRUN a"), Some(1));
    assert_eq!(of_last("# escape=`\nFROM a\nRUN a"), None);
    assert_eq!(of_last("FROM a\nCMD a && b"), Some(2));
    assert_eq!(of_last("FROM a\nONBUILD RUN a && b"), None);
    assert_eq!(of_last("FROM a\nUSER a"), None);
}

#[test]
fn what_is_not_certain_is_not_told() {
    for script in [
        "[\"a\", \"b\"]",
        "a 'b",
        "a \"b",
        "a `b",
        "a $(b",
        "a ${b",
        "(a",
        "a)",
        "{ a",
        "a; }",
        "if a; then b",
        "fi",
        "case a in b) c",
        "for ((i=0;i<3;i++)); do a; done",
        "((i++))",
        "a=(b c)",
        "a <(b)",
        "a `b \\`c\\``",
        "a $((1 + $(b)))",
        "$((a) | (b))",
        "function f { a; }",
        "a $'b\\'c' d",
        "(a) b",
        "a <<EOF; b\nx\nEOF;",
        "cat<<EOF",
        "<<EOF\n#!/usr/bin/env python3\nprint()\nEOF",
        "<<EOF\na 'b\nEOF",
        "<<EOF\ncat <<X\n$(b)\nX\nEOF",
        "<<EOF\ncat <<X\nb\nEOF",
        "<<EOF\nbash <<X\nb\nX\nEOF",
        "<<EOF\r\na\r\nEOF\r\nRUN a",
        "bash x <<EOF\na\nEOF",
        "bash <<EOF\na \\$b\nEOF",
        "sh <<<a",
        "a $[1 + 1]",
        "a |",
        "a && # b",
        "a && ; b",
        "; a",
        "a ;; b",
        "(a && )",
        "if a; then b && fi",
    ] {
        assert_eq!(run(script), None, "{script}");
    }
    assert_eq!(run(&format!("{}a", "$(".repeat(10_000))), None);
    assert_eq!(run(&format!("a {}", "${a:-".repeat(10_000))), None);
    assert_eq!(run(&"(".repeat(10_000)), None);
}
