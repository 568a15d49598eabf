//! What must hold for any text and any operation.

use crate::parsing::prove_tiling;
use proptest::prelude::*;
use proptest::sample::select;
use unroot::dockerfile::{Dockerfile, Operation, parse, verify};
use unroot::edit::EditSet;
use unroot::source::Span;

/// Pieces of Dockerfiles whose mixture reaches the corners of the grammar.
const PIECES: &[&str] = &[
    "FROM a\n",
    "FROM a AS b\n",
    "ARG V=1\n",
    "RUN x && y\n",
    "RUN a \\\n",
    "  # c\n",
    "# c\n",
    "\n",
    "\\\n",
    "\\",
    "`",
    "RUN <<EOF\n",
    "EOF\n",
    "<<-'E F' ",
    "E F\n",
    "COPY --from=b /x /y\n",
    "COPY [\"a\", \"b\"]\n",
    "ENV A=$A$A B=\"c d\"\n",
    "ENV A b\n",
    "USER ${V:-1}\n",
    "WORKDIR $A/../x\n",
    "EXPOSE 1-65535 80/udp $V\n",
    "CMD [\"x\"]\n",
    "ENTRYPOINT y $(z) `w`\n",
    "HEALTHCHECK --timeout=1s CMD c\n",
    "ONBUILD RUN x\n",
    "SHELL [\"bash\", \"-c\"]\n",
    "# escape=`\n",
    "# syntax=x\n",
    "LABEL a=b\n",
    "VOLUME /v\n",
    "\u{feff}",
    "é",
    "\u{a0}",
    "\r\n",
    "\r",
    "\t",
    " ",
    "'",
    "\"",
    "$",
    "${",
    "}",
    "$(",
    ")",
    "((",
    "case x in a) b;; esac\n",
    "if a; then b; fi\n",
    "--",
    "=",
    "<<",
    "#",
    "0",
];

fn pieces() -> impl Strategy<Value = String> {
    prop::collection::vec(select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

/// Shell lines, most of them well formed.
fn scripts() -> impl Strategy<Value = String> {
    let pieces = select(
        &[
            "a b",
            "B=1 c",
            "'d e' \"f $g\"",
            "h $(i j)",
            "`k`",
            "! l",
            "m > n 2>&1",
            "(o; p)",
            "{ q; }",
            "if r; then s; fi",
            "case t in u) v;; esac",
            "for w in x y; do z; done",
            "[[ a ]]",
            "${b:-$(c)}",
            "d \\\n  e",
            "f \\\n# g\n  h",
            "#i",
            "\\$j",
            "k=\"l\"m n",
        ][..],
    );
    let joints = select(&[" && ", "; ", " || ", " | ", " \\\n  && ", "&", " \\\n# c\n\n  && "][..]);
    (pieces.clone(), prop::collection::vec((joints, pieces), 0..6)).prop_map(|(first, rest)| {
        rest.into_iter().fold(first.to_owned(), |script, (joint, piece)| script + joint + piece)
    })
}

/// Files that parse, in every style of line ends.
fn files() -> impl Strategy<Value = String> {
    let whole = select(
        &[
            "RUN x \\\n  # c\n\n  && y\n",
            "# c\n",
            "# c\n# d\n",
            "\n",
            "\n\n",
            "RUN <<EOF\nUSER 1\n# no\n\nEOF\n",
            "RUN <<A cat <<B\nx\nA\ny\nB\n",
            "USER 1\n",
            "  USER 2  \n",
            "COPY --chown=1:2 a b\n",
            "ENV A=1 \\\n    B=2\n",
            "FROM b AS c\n",
            "CMD [\"x\"]\n",
            "ONBUILD RUN <<E\n1\nE\n",
            "\\\nUSER 3\n",
        ][..],
    );
    let ends = select(
        &["", "# end", "RUN x \\\n", "RUN x \\", "RUN x \\\n \\\n# c\n", "USER 9", "\n", "   ", "RUN <<E\nE"][..],
    );
    let starts = select(
        &["", "\u{feff}", "# syntax=x\n", "# c\n", "# check=skip=all\n\n", "\u{feff}# syntax=x\n# c\n", "ARG A=1\n"][..],
    );
    (starts, prop::collection::vec(whole, 0..10), ends, any::<bool>()).prop_map(|(start, whole, end, windows)| {
        let text = format!("{start}FROM a\n{}{end}", whole.concat());
        if windows { text.replace('\n', "\r\n") } else { text }
    })
}

/// What an operation is made of before the file is known.
type Draw = (u8, prop::sample::Index, bool, Vec<&'static str>);

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let lines = prop::collection::vec(select(&["USER 1", "# why", "RUN a &&\n  b", "ENV A=b", ""][..]), 0..3);
    prop::collection::vec((0..5_u8, any::<prop::sample::Index>(), any::<bool>(), lines), 0..5)
}

/// Operations on the file that do not contradict each other: an instruction is replaced or removed at most once, and the first `FROM` and
/// what must stand before it stay.
fn operations(dockerfile: &Dockerfile, draws: Vec<Draw>) -> Vec<Operation> {
    let first_from = dockerfile.stages()[0].from;
    let mut touched = Vec::new();
    let mut operations = Vec::new();
    for (kind, index, flag, lines) in draws {
        let instruction = index.index(dockerfile.instructions().len());
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let after_from = instruction > first_from;
        operations.push(match kind {
            0 if after_from => Operation::InsertBefore { instruction, above_comments: flag, lines },
            1 if instruction >= first_from => Operation::InsertAfter { instruction, lines },
            2 => Operation::Append { lines },
            3 if after_from && !touched.contains(&instruction) => {
                touched.push(instruction);
                let keyword = dockerfile.instructions()[instruction].keyword_span;
                Operation::Replace { span: keyword, text: keyword.of(dockerfile.text()).to_lowercase() }
            }
            4 if after_from && !touched.contains(&instruction) => {
                touched.push(instruction);
                Operation::Remove { instruction, with_comments: flag }
            }
            _ => continue,
        });
    }
    operations
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in prop_oneof![any::<String>(), pieces(), pieces().prop_map(|text| format!("FROM a\n{text}"))]) {
        match parse(text.as_str()) {
            Ok(dockerfile) => {
                prop_assert_eq!(dockerfile.text().as_ref(), text.as_str());
                prove_tiling(&dockerfile);
                look_at_everything(&dockerfile);
            }
            Err(error) => {
                prop_assert!(text.get(error.offset..).is_some(), "{} is within a character", error.offset);
                prop_assert!(!error.message.contains(char::is_control), "{:?}", error.message);
            }
        }
    }

    #[test]
    fn an_assignment_before_any_command_is_seen_as_one(script in scripts(), index in any::<prop::sample::Index>()) {
        let text = format!("FROM a\nRUN {script}\nUSER 1\n");
        let Ok(dockerfile) = parse(text.as_str()) else { return Ok(()) };
        let commands = dockerfile.shell_commands(&dockerfile.instructions()[1]).unwrap_or_default();
        // After an assignment `[[` is no reserved word any more, and a redirection alone has no first word.
        let candidates: Vec<usize> =
            (0..commands.len()).filter(|at| commands[*at].words.first().is_some_and(|word| word.written != "[[")).collect();
        if candidates.is_empty() {
            return Ok(());
        }
        let chosen = candidates[index.index(candidates.len())];
        let operations = [Operation::Replace { span: Span::at(commands[chosen].span.start), text: "Z=1 ".to_owned() }];
        let edits = dockerfile.plan(&operations);
        let after = EditSet::new(edits.clone()).map(|edits| edits.apply(&text)).unwrap_or_default();
        match verify(&dockerfile, &operations, &edits, &after) {
            Err(error) => panic!("{text:?} became {after:?}: {error}"),
            Ok(again) => {
                let now = again.shell_commands(&again.instructions()[1]).unwrap_or_default();
                prop_assert_eq!(now.len(), commands.len(), "{:?} {:?}", text, after);
                for (at, (now, before)) in now.iter().zip(&commands).enumerate() {
                    let mut assignments: Vec<_> = before.assignments.iter().map(|word| word.written.clone()).collect();
                    if at == chosen {
                        assignments.insert(0, "Z=1".to_owned());
                    }
                    prop_assert_eq!(now.assignments.iter().map(|word| word.written.clone()).collect::<Vec<_>>(), assignments);
                    prop_assert_eq!(now.words.len(), before.words.len());
                }
            }
        }
    }

    #[test]
    fn operations_are_carried_out_to_the_byte(text in files(), draws in draws()) {
        let dockerfile = match parse(text.as_str()) {
            Ok(dockerfile) => dockerfile,
            Err(error) => panic!("{text:?}: {error}"),
        };
        let operations = operations(&dockerfile, draws);
        let edits = dockerfile.plan(&operations);
        let after = match EditSet::new(edits.clone()) {
            Ok(edits) => edits.apply(&text),
            Err(overlap) => panic!("{text:?} {operations:?}: {overlap}"),
        };
        match verify(&dockerfile, &operations, &edits, &after) {
            Ok(again) => {
                prove_tiling(&again);
                // Nothing to do is nothing done.
                prop_assert!(again.plan(&[]).is_empty());
            }
            Err(error) => panic!("{text:?} {operations:?} became {after:?}: {error}"),
        }
    }

    #[test]
    fn any_operation_is_planned_or_refused(text in files(), start in 0..200_usize, length in 0..20_usize, new in pieces(), instruction in 0..12_usize) {
        let dockerfile = match parse(text.as_str()) {
            Ok(dockerfile) => dockerfile,
            Err(error) => panic!("{text:?}: {error}"),
        };
        let lines = vec![new.clone()];
        for operation in [
            Operation::Replace { span: Span::new(start, start + length), text: new },
            Operation::InsertBefore { instruction, above_comments: true, lines: lines.clone() },
            Operation::InsertAfter { instruction, lines: lines.clone() },
            Operation::Append { lines },
            Operation::Remove { instruction, with_comments: true },
        ] {
            let operations = [operation];
            let edits = dockerfile.plan(&operations);
            if let Ok(set) = EditSet::new(edits.clone()) {
                let after = set.apply(&text);
                if let Ok(again) = verify(&dockerfile, &operations, &edits, &after) {
                    prop_assert_eq!(again.text().as_ref(), after.as_str());
                }
            }
        }
    }
}

/// Inputs that would keep a parser busy for minutes if anything were quadratic.
#[test]
fn hostile_inputs_are_read_in_linear_time() {
    let many = |piece: &str| piece.repeat(60_000 / piece.len());
    let texts = [
        format!("FROM a\nRUN {}", many("x \\\n")),
        format!("FROM a\nRUN x \\\n{}", many("# c\n")),
        format!("FROM a\n{}", many("\n")),
        format!("FROM a AS s\n{}", many("FROM s AS s\n")),
        format!("FROM a\nENV A=xxxxxxxx\n{}", many("ENV A=$A$A\n")),
        format!("FROM a\n{}", many("EXPOSE 1-65535\n")),
        format!("FROM a\n{}", many("RUN [\"a\",\n")),
        format!("FROM a\n{}", many("RUN <<E\nx\nE\n")),
        format!("FROM a\nRUN {}\n{}", many("<<a \\\n"), "a\n".repeat(10_000)),
        format!("FROM a\nRUN {}\n{}", "<< a ".repeat(10_000), many("# x\n")),
        format!("FROM a\nRUN {}", many("$( \\\n")),
        format!("FROM a\nRUN {}", many("( \\\n")),
        format!("FROM a\nRUN {}", many("`a` \\\n")),
        format!("FROM a\nRUN {}", many("$((1)) \\\n")),
        format!("FROM a\nRUN {}", many("{a, \\\n")),
        format!("FROM a\nRUN {}", many("--mount=from=a \\\n")),
        format!("FROM a\nRUN <<E\n{}E", many("case a in\n")),
        format!("FROM a\nRUN <<E\n{}E", many("cat <<X\na\nX\n")),
        format!("FROM a\nRUN {}", "${a:-".repeat(10_000)),
        format!("FROM a\nRUN {}", "[".repeat(60_000)),
    ];
    for text in texts {
        let Ok(dockerfile) = parse(text.as_str()) else { continue };
        if let Some(stage) = dockerfile.stages().last() {
            let _ = (
                dockerfile.user(stage),
                dockerfile.workdir(stage),
                dockerfile.env(stage),
                dockerfile.ports(stage).len(),
            );
        }
        for instruction in dockerfile.instructions() {
            let _ = (dockerfile.shell_commands(instruction), dockerfile.copy_sources(instruction));
        }
        let operations = [Operation::Append { lines: vec!["USER 1".to_owned()] }];
        let edits = dockerfile.plan(&operations);
        let after = EditSet::new(edits.clone()).map(|edits| edits.apply(&text));
        if let Ok(after) = after {
            assert!(verify(&dockerfile, &operations, &edits, &after).is_ok());
        }
    }
}

/// Every view of every stage and instruction.
fn look_at_everything(dockerfile: &Dockerfile) {
    for stage in dockerfile.stages() {
        let _ =
            (dockerfile.user(stage), dockerfile.workdir(stage), dockerfile.env(stage), dockerfile.ports(stage).len());
        let _ = (
            dockerfile.cmd(stage),
            dockerfile.entrypoint(stage),
            dockerfile.effective(stage),
            dockerfile.chain(stage).len(),
        );
    }
    for (index, instruction) in dockerfile.instructions().iter().enumerate() {
        let carried = instruction.onbuild.as_deref();
        for instruction in [Some(instruction), carried].into_iter().flatten() {
            let _ = (
                dockerfile.command(instruction),
                dockerfile.copy_words(instruction),
                dockerfile.copy_sources(instruction),
            );
            for command in dockerfile.shell_commands(instruction).into_iter().flatten() {
                let words = command.assignments.iter().chain(&command.words);
                for word in words.chain(command.redirections.iter().map(|redirection| &redirection.target)) {
                    assert!(instruction.span.start <= word.span.start && word.span.end <= instruction.span.end);
                    assert!(dockerfile.text().get(word.span.start..word.span.end).is_some(), "{word:?}");
                }
            }
        }
        if let Some(stage) = dockerfile.stage_of(index) {
            let arguments = dockerfile.arguments(instruction);
            let _ = (
                dockerfile.expand(stage, index, &arguments),
                dockerfile.workdir_at(stage, index),
                dockerfile.shell(index),
            );
        }
    }
}
