//! What BuildKit reads, and what it refuses.

use unroot::dockerfile::{Dockerfile, Instruction, parse};
use unroot::source::Span;

/// One line per instruction: keyword, flags, arguments on one line, and the delimiters of its heredocs.
fn listing(text: &str) -> Vec<String> {
    let dockerfile = parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    prove_tiling(&dockerfile);
    dockerfile.instructions().iter().map(|instruction| describe(&dockerfile, instruction)).collect()
}

fn describe(dockerfile: &Dockerfile, instruction: &Instruction) -> String {
    let mut line = instruction.keyword.to_string();
    for flag in &instruction.flags {
        line.push_str(&format!(" [{}", flag.name));
        if let Some(value) = &flag.value {
            line.push_str(&format!("={value}"));
        }
        line.push(']');
    }
    match &instruction.onbuild {
        Some(carried) => line.push_str(&format!(" ({})", describe(dockerfile, carried))),
        None => line.push_str(&format!(" {}", dockerfile.arguments(instruction))),
    }
    if instruction.onbuild.is_none() {
        for heredoc in &instruction.heredocs {
            let marks = match (heredoc.dashed, heredoc.expands) {
                (false, true) => "",
                (true, true) => "-",
                (false, false) => "'",
                (true, false) => "-'",
            };
            let body = heredoc.body.of(dockerfile.text()).escape_debug();
            line.push_str(&format!(" {{{marks}{}: {body}}}", heredoc.delimiter));
        }
    }
    line
}

/// Instructions and the lines between them tile the file, and an instruction read alone is the same instruction.
pub(crate) fn prove_tiling(dockerfile: &Dockerfile) {
    let text = dockerfile.text();
    let mut at = 0;
    for instruction in dockerfile.instructions() {
        let between = &text[at..instruction.span.start];
        for line in between.trim_start_matches('\u{feff}').split('\n') {
            assert!(line.trim().is_empty() || line.trim_start().starts_with('#'), "{line:?} belongs to nothing");
        }
        assert!(instruction.span.contains(instruction.keyword_span.start));
        assert!(instruction.keyword_span.end <= instruction.arguments.start, "{instruction:?}");
        assert!(instruction.arguments.end <= instruction.span.end);
        at = instruction.span.end;
        let escape = if dockerfile.escape() == '`' { "# escape=`\n" } else { "" };
        let alone = format!("{escape}ARG A\nFROM a\n{}", instruction.span.of(text));
        let again = match parse(alone.as_str()) {
            Ok(again) => again,
            Err(error) => panic!("{alone:?}: {error}"),
        };
        assert_eq!(again.instructions().len(), 3, "{alone:?}");
        assert_eq!(describe(&again, &again.instructions()[2]), describe(dockerfile, instruction));
    }
    let rest = &text[at..];
    for line in rest.split('\n') {
        assert!(line.trim().is_empty() || line.trim_start().starts_with('#'), "{line:?} belongs to nothing");
    }
}

fn refusal(text: &str) -> String {
    match parse(text) {
        Ok(_) => panic!("{text:?} is accepted"),
        Err(error) => format!("{}: {}", error.offset, error.message),
    }
}

#[test]
fn continuations_lose_comments_and_blank_lines() {
    assert_eq!(
        listing("FROM a\nRUN x \\\n  # why\n\n\t&& y \\  \n   && z\n# after\nUSER 1\n"),
        ["FROM a", "RUN x \t&& y    && z", "USER 1"]
    );
}

#[test]
fn comments_in_a_continuation_hold_no_continuation() {
    assert_eq!(listing("FROM a\nRUN x && \\\n# c \\\n y\nUSER 1"), ["FROM a", "RUN x &&  y", "USER 1"]);
}

#[test]
fn an_escaped_escape_does_not_continue() {
    assert_eq!(listing("FROM a\nRUN x \\\\\nUSER 1"), ["FROM a", "RUN x \\\\", "USER 1"]);
}

#[test]
fn heredocs_of_every_form() {
    assert_eq!(
        listing("FROM a\nRUN <<EOF\nFROM users\n# no comment\nEOF\nUSER 1\n"),
        ["FROM a", "RUN <<EOF {EOF: FROM users\\n# no comment\\n}", "USER 1"]
    );
    assert_eq!(
        listing("FROM a\nRUN psql -f - <<-\"E\" && echo done\n\tselect 1 \\\n\t\tE\nUSER 1\n"),
        ["FROM a", "RUN psql -f - <<-\"E\" && echo done {-'E: \\tselect 1 \\\\\\n}", "USER 1"]
    );
    assert_eq!(
        listing("FROM a\nCOPY --chown=1 <<x 3<<'y' /d/\n1\nx\n2\ny\nUSER 1"),
        ["FROM a", "COPY [chown=1] <<x 3<<'y' /d/ {x: 1\\n} {'y: 2\\n}", "USER 1"]
    );
    assert_eq!(
        listing("FROM a\r\nRUN <<EOF\r\nid\r\nEOF\r\nUSER 1\r\n"),
        ["FROM a", "RUN <<EOF {EOF: id\\r\\n}", "USER 1"]
    );
    assert_eq!(
        listing("FROM a\nONBUILD RUN <<EOF\nid\nEOF\nUSER 1"),
        ["FROM a", "ONBUILD (RUN <<EOF {EOF: id\\n})", "USER 1"]
    );
    assert_eq!(listing("FROM a\nADD <<EOF /f\nEOF"), ["FROM a", "ADD <<EOF /f {EOF: }"]);
    assert_eq!(
        listing("FROM a\nRUN cat \\\n  <<EOF \\\n  > /f\nx\nEOF\nUSER 1"),
        ["FROM a", "RUN cat   <<EOF   > /f {EOF: x\\n}", "USER 1"]
    );
}

#[test]
fn white_space_before_a_delimiter_opens_a_heredoc_that_is_closed() {
    assert_eq!(listing("FROM a\nRUN cat << EOF\nx\nEOF\nUSER 1"), ["FROM a", "RUN cat << EOF {EOF: x\\n}", "USER 1"]);
    assert_eq!(listing("FROM a\nRUN echo $((1 << 4)) > x\nUSER 1"), ["FROM a", "RUN echo $((1 << 4)) > x", "USER 1"]);
    assert!(refusal(&format!("FROM a\nRUN {}", " << a".repeat(1000))).contains("unterminated heredoc"));
}

#[test]
fn what_looks_like_a_heredoc() {
    assert_eq!(listing("FROM a\nRUN cat <<<EOF\nUSER 1"), ["FROM a", "RUN cat <<<EOF", "USER 1"]);
    assert_eq!(listing("FROM a\nRUN [\"sh\", \"<<EOF\"]\nUSER 1"), ["FROM a", "RUN [\"sh\", \"<<EOF\"]", "USER 1"]);
    assert_eq!(listing("FROM a\nRUN echo '<<EOF'\nUSER 1"), ["FROM a", "RUN echo '<<EOF'", "USER 1"]);
    assert_eq!(listing("FROM a\nCMD cat <<EOF\nUSER 1"), ["FROM a", "CMD cat <<EOF", "USER 1"]);
    assert_eq!(listing("FROM a\nLABEL a=<<EOF\nUSER 1"), ["FROM a", "LABEL a=<<EOF", "USER 1"]);
}

#[test]
fn what_others_stumble_over() {
    // Words behind the opener that look like comments belong to the command.
    assert_eq!(
        listing("FROM a\nRUN cat <<EOF // x\n1\nEOF\nRUN <<EOF # x\n2\nEOF"),
        ["FROM a", "RUN cat <<EOF // x {EOF: 1\\n}", "RUN <<EOF # x {EOF: 2\\n}"]
    );
    assert_eq!(
        listing("FROM a\r\nCOPY --chmod=0644 <<-'EOF' /etc/x.toml\r\n\ta = 1\r\n\tEOF\r\nCMD x"),
        ["FROM a", "COPY [chmod=0644] <<-'EOF' /etc/x.toml {-'EOF: \\ta = 1\\r\\n}", "CMD x"]
    );
    assert_eq!(
        listing("FROM a\nRUN cat >> /f <<EOF && b <<\"F\"\n1\nEOF\n2\nF\nCMD x"),
        ["FROM a", "RUN cat >> /f <<EOF && b <<\"F\" {EOF: 1\\n} {'F: 2\\n}", "CMD x"]
    );
    // A line that starts with `#` is a comment even within quotes; a heredoc keeps it.
    assert_eq!(listing("FROM a\nRUN echo \"a \\\n# b\n  c\""), ["FROM a", "RUN echo \"a   c\""]);
    // Trailing white space behind the escape character, also with a carriage return.
    assert_eq!(listing("FROM a\r\nRUN x \\  \t\r\n  y\r\nCMD z"), ["FROM a", "RUN x   y", "CMD z"]);
    // The terminator must be the whole line, and the first one counts.
    assert_eq!(listing("FROM a\nRUN <<E\nE \n E\nEE\nE\nCMD x"), ["FROM a", "RUN <<E {E: E \\n E\\nEE\\n}", "CMD x"]);
    assert_eq!(
        listing("FROM a\nENV A==b=c\nRUN $'x\\n' --not-a-flag"),
        ["FROM a", "ENV A==b=c", "RUN $'x\\n' --not-a-flag"]
    );
    assert_eq!(
        listing("FROM a\nRUN --mount=type=secret,id=\"a b\",dst=/x cmd\nRUN [\"a\", \\\n  \"b\"]"),
        ["FROM a", "RUN [mount=type=secret,id=a b,dst=/x] cmd", "RUN [\"a\",   \"b\"]"]
    );
    assert_eq!(
        listing("FROM localhost:5000/x/y:1@sha256:0 AS z\nCOPY --from=ghcr.io/a/b:2 /c /d"),
        ["FROM localhost:5000/x/y:1@sha256:0 AS z", "COPY [from=ghcr.io/a/b:2] /c /d"]
    );
    assert_eq!(listing("FROM a\nUSER \u{a0}5\nRUN \u{a0}--x y"), ["FROM a", "USER 5", "RUN --x y"]);
    // Wrong but known: BuildKit reads flags byte by byte and would end this one within the no-break space.
    assert_eq!(listing("FROM a\nRUN --x=y\u{a0}z w"), ["FROM a", "RUN [x=y\u{a0}z] w"]);
    // A carriage return alone ends no line.
    assert_eq!(listing("FROM a\nRUN x\rCMD y\n"), ["FROM a", "RUN x\rCMD y"]);
}

#[test]
fn directives_stand_at_the_top() {
    let text = "\u{feff}#  Syntax = docker/dockerfile:1  \n# ESCAPE=`\r\n#check=skip=all\nFROM a\nRUN dir C:\\ `\n  && b\nCOPY a C:\\b\\\nUSER 1";
    assert_eq!(listing(text), ["FROM a", "RUN dir C:\\   && b", "COPY a C:\\b\\", "USER 1"]);
    let dockerfile = parse(text).unwrap();
    let directives: Vec<_> = dockerfile
        .directives()
        .iter()
        .map(|directive| (directive.name.as_str(), directive.value_span.of(text)))
        .collect();
    assert_eq!(directives, [("syntax", "docker/dockerfile:1"), ("escape", "`"), ("check", "skip=all")]);
}

#[test]
fn a_comment_ends_the_directives() {
    for text in [
        "# hello\n# escape=`\nFROM a\nRUN b \\\n c",
        "\n# escape=`\nFROM a\nRUN b \\\n c",
        "# foo=bar\n# escape=`\nFROM a\nRUN b \\\n c",
    ] {
        assert_eq!(listing(text), ["FROM a", "RUN b  c"]);
        assert!(parse(text).unwrap().directives().is_empty());
    }
}

#[test]
fn keywords_in_any_case_and_white_space_anywhere() {
    assert_eq!(
        listing("  from  --platform=$BUILDPLATFORM  a:1   as  Base \n\tuser\t1 \nCmd\n"),
        ["FROM [platform=$BUILDPLATFORM] a:1   as  Base", "USER 1", "CMD "]
    );
    assert_eq!(listing("FROM a\nRUN\\\n  x"), ["FROM a", "RUN x"]);
    assert_eq!(listing("FROM a\n\\\nRUN x\nUSER 1"), ["FROM a", "RUN x", "USER 1"]);
}

#[test]
fn flags_before_the_arguments() {
    assert_eq!(
        listing(
            "FROM a\nRUN --mount=type=cache,target=\"/a b\" --network=none \\\n --x -- --y\nCOPY --from=b --link a b"
        ),
        ["FROM a", "RUN [mount=type=cache,target=/a b] [network=none] [x] --y", "COPY [from=b] [link] a b"]
    );
    let text = "FROM a\nCOPY --chown='1:2' --from=b a b";
    let dockerfile = parse(text).unwrap();
    let spans: Vec<_> = dockerfile.instructions()[1].flags.iter().map(|flag| flag.span.of(text)).collect();
    assert_eq!(spans, ["--chown='1:2'", "--from=b"]);
}

#[test]
fn the_other_instructions() {
    assert_eq!(
        listing(
            "ARG A=1 B\nFROM a\nMAINTAINER me <me@x>\nHEALTHCHECK --interval=5s CMD curl x\nHEALTHCHECK none\nSHELL [\"/bin/bash\", \"-c\"]\n\
             ENV k v w\nENV a=b c=\"d e\"\nLABEL x=y\nEXPOSE 80 53/udp\nVOLUME [\"/d\"]\nSTOPSIGNAL 9\nWORKDIR /x y\nONBUILD COPY . ."
        ),
        [
            "ARG A=1 B",
            "FROM a",
            "MAINTAINER me <me@x>",
            "HEALTHCHECK [interval=5s] CMD curl x",
            "HEALTHCHECK none",
            "SHELL [\"/bin/bash\", \"-c\"]",
            "ENV k v w",
            "ENV a=b c=\"d e\"",
            "LABEL x=y",
            "EXPOSE 80 53/udp",
            "VOLUME [\"/d\"]",
            "STOPSIGNAL 9",
            "WORKDIR /x y",
            "ONBUILD (COPY . .)",
        ]
    );
}

#[test]
fn a_continuation_into_the_end_of_the_file() {
    assert_eq!(listing("FROM a\nRUN x \\"), ["FROM a", "RUN x"]);
    assert_eq!(listing("FROM a\nRUN x \\\n# c\n\n"), ["FROM a", "RUN x"]);
}

#[test]
fn spans_cover_the_instruction_and_not_its_line_end() {
    let text = "FROM a\r\n\r\nRUN x \\\r\n # c\r\n y\r\nRUN <<E\r\nz\r\nE\r\n";
    let dockerfile = parse(text).unwrap();
    let of = |span: Span| span.of(text);
    assert_eq!(of(dockerfile.instructions()[1].span), "RUN x \\\r\n # c\r\n y");
    assert_eq!(of(dockerfile.instructions()[1].arguments), "x \\\r\n # c\r\n y");
    let run = &dockerfile.instructions()[2];
    assert_eq!(of(run.span), "RUN <<E\r\nz\r\nE");
    assert_eq!(
        (of(run.heredocs[0].opener), of(run.heredocs[0].body), of(run.heredocs[0].terminator)),
        ("<<E", "z\r\n", "E")
    );
}

#[test]
fn refusals_say_what_and_where() {
    for (text, expected) in [
        ("", "0: file with no instructions"),
        ("# c\n\n", "0: file with no instructions"),
        ("ARG A\n", "6: dockerfile contains no stages to build"),
        ("RUN x\nFROM a", "0: no build stage in current context"),
        ("FRMO a", "0: unknown instruction `FRMO` (did you mean FROM?)"),
        ("FROM a\nRUN<<EOF\nEOF", "7: unknown instruction `RUN<<EOF`"),
        ("FROM a\n{{ x }}", "7: unknown instruction `{{`"),
        ("FROM a\n\u{1b}[31m x", "7: unknown instruction `\\u{1b}[31m`"),
        ("FROM", "0: FROM requires either one or three arguments"),
        ("FROM a b", "0: FROM requires either one or three arguments"),
        ("FROM a IS b", "0: FROM requires either one or three arguments"),
        ("FROM a AS 0b", "0: invalid name for build stage: \"0b\", name can't start with a number or contain symbols"),
        ("FROM a\nRUN <<EOF\nEO", "11: unterminated heredoc"),
        ("FROM a\nRUN <<EOF\n EOF\n", "11: unterminated heredoc"),
        (
            "FROM a\nCOPY x",
            "7: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
        ),
        ("FROM a\nCOPY x <<EOF\nEOF", "7: COPY cannot accept a heredoc as a destination"),
        ("FROM a\nENV x", "11: ENV must have two arguments"),
        ("FROM a\nENV", "7: ENV requires at least one argument"),
        ("FROM a\nENV x=y z", "11: Syntax error - can't find = in \"z\". Must be of the form: name=value"),
        ("FROM a\nENV =y", "7: ENV names can not be blank"),
        ("FROM a\nUSER", "7: USER requires exactly one argument"),
        ("FROM a\nEXPOSE", "7: EXPOSE requires at least one argument"),
        ("FROM a\nSHELL sh -c", "7: SHELL requires the arguments to be in JSON form"),
        ("FROM a\nCMD [\"a\", 1]", "11: when using JSON array syntax, arrays must be comprised of strings only"),
        ("FROM a\nHEALTHCHECK NONE x", "7: HEALTHCHECK NONE takes no arguments"),
        ("FROM a\nHEALTHCHECK curl x", "7: Unknown type \"curl\" in HEALTHCHECK (try CMD)"),
        ("FROM a\nHEALTHCHECK CMD", "7: Missing command after HEALTHCHECK CMD"),
        ("FROM a\nONBUILD", "7: ONBUILD requires at least one argument"),
        ("FROM a\nONBUILD ONBUILD RUN x", "7: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("FROM a\nONBUILD FROM x", "7: FROM isn't allowed as an ONBUILD trigger"),
        ("# escape=x\nFROM a", "9: invalid escape token 'x' does not match ` or \\"),
        ("# escape=`\n# escape=`\nFROM a", "11: only one escape parser directive can be used"),
    ] {
        assert_eq!(refusal(text), expected, "{text:?}");
    }
    assert!(refusal(&format!("FROM a\nRUN {}", "x".repeat(70_000))).contains("greater than max"));
}
