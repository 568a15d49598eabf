//! What is in force in a stage.

use unroot::dockerfile::{Base, CommandForm, Dockerfile, Origin, Stage, parse};

fn last(dockerfile: &Dockerfile) -> &Stage {
    &dockerfile.stages()[dockerfile.stages().len() - 1]
}

fn image(reference: &str, literal: bool) -> Base {
    Base::Image { reference: reference.to_owned(), literal }
}

#[test]
fn bases_are_images_stages_or_nothing() {
    let text = "ARG V=1\nARG NONE\nFROM golang:$V AS Build\nFROM build AS test\nFROM scratch\nFROM 0\nFROM x:${NONE:-2}\nFROM y:$NONE\nFROM --platform=$TARGETPLATFORM z:$TARGETARCH\nFROM ${MISSING:-w}";
    let dockerfile = parse(text).unwrap();
    let bases: Vec<_> = dockerfile.stages().iter().map(|stage| stage.base.clone()).collect();
    assert_eq!(
        bases,
        [
            image("golang:1", false),
            Base::Stage(0),
            Base::Scratch,
            image("0", true),
            image("x:2", false),
            Base::Unknown { written: "y:$NONE".to_owned() },
            Base::Unknown { written: "z:$TARGETARCH".to_owned() },
            image("w", false),
        ]
    );
    assert_eq!(dockerfile.stages()[0].base_span.of(text), "golang:$V");
    assert_eq!(dockerfile.stages()[0].name.as_deref(), Some("build"));
    assert_eq!(dockerfile.stages()[0].name_span.map(|span| span.of(text)), Some("Build"));
    assert_eq!(dockerfile.stage("BUILD").map(|stage| stage.index), Some(0));
    assert_eq!(dockerfile.stage("2").map(|stage| stage.index), Some(2));
    assert_eq!(dockerfile.stage("99").map(|stage| stage.index), None);
    assert_eq!(dockerfile.stage("").map(|stage| stage.index), None);
    let chain: Vec<_> = dockerfile.chain(&dockerfile.stages()[1]).iter().map(|stage| stage.index).collect();
    assert_eq!(chain, [1, 0]);
}

#[test]
fn a_name_used_twice_means_the_one_before() {
    let dockerfile = parse("FROM a AS x\nFROM x AS x\nFROM x").unwrap();
    assert_eq!(dockerfile.stages()[1].base, Base::Stage(0));
    assert_eq!(dockerfile.stages()[2].base, Base::Stage(1));
}

#[test]
fn the_user_in_force() {
    let user = |text: &str| {
        let dockerfile = parse(text).unwrap();
        dockerfile.user(last(&dockerfile)).map(|(user, index)| (user.into_owned(), index))
    };
    assert_eq!(user("FROM a\nUSER 1\nUSER app:app"), Some(("app:app".to_owned(), 2)));
    assert_eq!(user("FROM a AS b\nUSER 1\nFROM b\nRUN x"), Some(("1".to_owned(), 1)));
    assert_eq!(user("FROM a AS b\nUSER 1\nFROM c"), None);
    assert_eq!(user("FROM a\nARG U=5\nUSER ${U}"), Some(("5".to_owned(), 2)));
    assert_eq!(user("FROM a\nARG U\nUSER ${U:-7}"), Some(("7".to_owned(), 2)));
    assert_eq!(user("ARG U=5\nFROM a\nUSER $U"), Some(("$U".to_owned(), 2)));
    assert_eq!(user("ARG U=5\nFROM a\nARG U\nUSER $U"), Some(("5".to_owned(), 3)));
    assert_eq!(user("FROM a\nARG U=5\nENV U=6\nUSER $U"), Some(("6".to_owned(), 3)));
    assert_eq!(user("FROM a AS b\nARG U=5\nFROM b\nARG U\nUSER $U"), Some(("5".to_owned(), 4)));
    assert_eq!(user("FROM a\nARG U=5\nARG U=6\nUSER $U"), Some(("$U".to_owned(), 3)));
    assert_eq!(user("FROM a\nARG TARGETARCH\nUSER $TARGETARCH"), Some(("$TARGETARCH".to_owned(), 2)));
    assert_eq!(user("FROM a\nUSER \"app\""), Some(("app".to_owned(), 1)));
    assert_eq!(user("FROM a\nRUN <<E\nUSER 5\nE"), None);
}

#[test]
fn the_working_directory() {
    let workdir = |text: &str| {
        let dockerfile = parse(text).unwrap();
        dockerfile.workdir(last(&dockerfile))
    };
    assert_eq!(workdir("FROM a"), None);
    assert_eq!(workdir("FROM a\nWORKDIR /a/\nWORKDIR b/../c"), Some(Ok("/a/c".to_owned())));
    assert_eq!(workdir("FROM a\nWORKDIR app"), Some(Ok("app".to_owned())));
    assert_eq!(workdir("FROM scratch\nWORKDIR app"), Some(Ok("/app".to_owned())));
    assert_eq!(workdir("FROM a\nENV H=/h\nWORKDIR $H/x"), Some(Ok("/h/x".to_owned())));
    assert_eq!(workdir("FROM a\nWORKDIR $HOME/x"), Some(Err("$HOME/x".to_owned())));
    assert_eq!(workdir("FROM a\nWORKDIR $HOME\nWORKDIR x"), Some(Err("$HOME/x".to_owned())));
    assert_eq!(workdir("FROM a\nWORKDIR $HOME\nWORKDIR /x"), Some(Ok("/x".to_owned())));
    assert_eq!(workdir("FROM a AS b\nWORKDIR /b\nFROM b\nWORKDIR c"), Some(Ok("/b/c".to_owned())));
    let dockerfile = parse("FROM a\nWORKDIR /a\nRUN x\nWORKDIR /b").unwrap();
    assert_eq!(dockerfile.workdir_at(last(&dockerfile), 2), Some(Ok("/a".to_owned())));
}

#[test]
fn variables_in_force() {
    let env = |text: &str| {
        let dockerfile = parse(text).unwrap();
        let env = dockerfile.env(last(&dockerfile));
        env.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(env("FROM a\nENV A=1 B=\"x y\"\nENV C d e\nENV A=2"), ["A=2", "B=x y", "C=d e"]);
    assert_eq!(env("FROM a\nENV A=1\nENV A=2 B=$A"), ["A=2", "B=1"]);
    assert_eq!(env("FROM a\nENV PATH=/x:$PATH B=1"), ["B=1"]);
    assert_eq!(env("FROM a\nARG X=1\nENV A=$X"), ["A=1"]);
    assert_eq!(env("FROM a AS b\nENV A=1\nFROM b\nENV B=$A"), ["A=1", "B=1"]);
    assert_eq!(env("FROM a\nENV A=b\\ c D='$A'"), ["A=b c", "D=$A"]);
}

#[test]
fn ports_in_force() {
    let ports = |text: &str| {
        let dockerfile = parse(text).unwrap();
        let ports = dockerfile.ports(last(&dockerfile));
        ports.into_iter().map(|(port, protocol)| format!("{port}/{protocol}")).collect::<Vec<_>>()
    };
    assert_eq!(
        ports("FROM a\nEXPOSE 80 53/UDP\nEXPOSE 8000-8002/tcp 80"),
        ["80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp"]
    );
    assert_eq!(ports("FROM a\nENV P=\"1 2\"\nEXPOSE $P $Q 3"), ["1/tcp", "2/tcp", "3/tcp"]);
    assert_eq!(ports("FROM a\nEXPOSE 99999 x 9-8"), [""; 0]);
    assert_eq!(ports(&format!("FROM a\n{}", "EXPOSE 1-65535 2-65535\n".repeat(500))).len(), 65535);
}

#[test]
fn commands_in_force() {
    let commands = |text: &str| {
        let dockerfile = parse(text).unwrap();
        let stage = last(&dockerfile);
        (dockerfile.entrypoint(stage).map(|(_, index)| index), dockerfile.cmd(stage).map(|(_, index)| index))
    };
    assert_eq!(commands("FROM a\nCMD x\nENTRYPOINT y"), (Some(2), Some(1)));
    assert_eq!(commands("FROM a AS b\nCMD x\nFROM b\nENTRYPOINT y"), (Some(3), None));
    assert_eq!(commands("FROM a AS b\nCMD x\nFROM b\nCMD z\nENTRYPOINT y"), (Some(4), Some(3)));
    assert_eq!(commands("FROM a AS b\nENTRYPOINT x\nFROM b\nCMD z"), (Some(1), Some(3)));
    assert_eq!(commands("FROM a"), (None, None));
    let dockerfile =
        parse("FROM a\nCMD [\"a\", \"b\"]\nENTRYPOINT exec \\\n # c\n x\nHEALTHCHECK --timeout=3s CMD [\"h\"]\nUSER 1")
            .unwrap();
    let forms: Vec<_> = dockerfile.instructions().iter().map(|instruction| dockerfile.command(instruction)).collect();
    assert_eq!(
        forms,
        [
            None,
            Some(CommandForm::Exec(vec!["a".to_owned(), "b".to_owned()])),
            Some(CommandForm::Shell("exec  x".to_owned())),
            Some(CommandForm::Exec(vec!["h".to_owned()])),
            None,
        ]
    );
}

#[test]
fn an_array_with_something_behind_it_is_read_in_two_ways() {
    let dockerfile = parse("FROM a\nCOPY [\"a\", \"b\"] c\nCMD [\"x\"] # start\nHEALTHCHECK CMD [\"x\"]]").unwrap();
    let instructions = dockerfile.instructions();
    assert_eq!(dockerfile.copy_words(&instructions[1]), None);
    assert_eq!(dockerfile.command(&instructions[2]), None);
    assert_eq!(dockerfile.command(&instructions[3]), None);
    assert_eq!(dockerfile.shell_commands(&instructions[2]), None);
    // Something is in force all the same, so that nobody takes the base's command for it.
    assert_eq!(dockerfile.cmd(last(&dockerfile)), Some((CommandForm::Shell("[\"x\"] # start".to_owned()), 2)));
}

#[test]
fn a_mounts_source_is_found_behind_quotes() {
    for (flag, found) in [
        ("--mount=type=bind,from=\"a/b:1\",target=/x", "a/b:1"),
        ("--mount=\"type=bind,From=a/b:1\"", "a/b:1"),
        ("--mount=target=/a/b:1,from='a/b:1'", "a/b:1"),
        ("--from=a\\/b:1", "--from=a\\/b:1"),
    ] {
        let keyword = if flag.starts_with("--from") { "COPY" } else { "RUN" };
        let text = format!("FROM x\n{keyword} {flag} y z");
        let dockerfile = parse(text.as_str()).unwrap();
        let sources = dockerfile.copy_sources(&dockerfile.instructions()[1]);
        assert_eq!(sources[0].origin, Origin::Image("a/b:1".to_owned()), "{flag}");
        assert_eq!(sources[0].span.of(&text), found, "{flag}");
    }
}

#[test]
fn what_is_copied_from_where() {
    let text = "FROM a AS Build\nFROM b\nCOPY --from=build /x \"/y\" ./\nCOPY --from=0 a b\nCOPY --from=nginx:1 a b\nCOPY [\"a b\", \"c\"]\nCOPY <<E x /d\nE\nRUN --mount=type=bind,from=build,target=/x --mount=from=0 y\nRUN --mount=type=cache z";
    let dockerfile = parse(text).unwrap();
    let words: Vec<_> =
        dockerfile.instructions()[2..7].iter().map(|instruction| dockerfile.copy_words(instruction)).collect();
    let pair = |sources: &[&str], destination: &str| {
        Some((sources.iter().map(ToString::to_string).collect::<Vec<_>>(), destination.to_owned()))
    };
    assert_eq!(
        words,
        [pair(&["/x", "/y"], "./"), pair(&["a"], "b"), pair(&["a"], "b"), pair(&["a b"], "c"), pair(&["x"], "/d")]
    );
    let sources: Vec<_> = dockerfile
        .instructions()
        .iter()
        .flat_map(|instruction| dockerfile.copy_sources(instruction))
        .map(|source| (source.origin, source.span.of(text)))
        .collect();
    let image = |name: &str| Origin::Image(name.to_owned());
    assert_eq!(
        sources,
        [
            (Origin::Stage(0), "build"),
            (Origin::Stage(0), "0"),
            (image("nginx:1"), "nginx:1"),
            (Origin::Stage(0), "build"),
            (image("0"), "0"),
        ]
    );
}

#[test]
fn the_shell_in_force() {
    let dockerfile = parse("FROM a\nRUN x\nSHELL [\"bash\", \"-c\"]\nRUN y").unwrap();
    assert_eq!(dockerfile.shell(1), None);
    assert_eq!(dockerfile.shell(3), Some(vec!["bash".to_owned(), "-c".to_owned()]));
    let dockerfile = parse("FROM a AS b\nSHELL [\"bash\"]\nFROM c\nRUN x\nFROM b\nRUN y").unwrap();
    assert_eq!((dockerfile.shell(3), dockerfile.shell(5)), (None, Some(vec!["bash".to_owned()])));
}

#[test]
fn volumes_and_healthchecks_in_force() {
    let dockerfile =
        parse("FROM a AS b\nVOLUME /x $Y\nHEALTHCHECK NONE\nFROM b\nENV D=/d\nVOLUME [\"$D\", \"/x\"]").unwrap();
    assert_eq!(dockerfile.volumes(last(&dockerfile)), ["/x", "$Y", "/d"]);
    assert_eq!(dockerfile.healthcheck(last(&dockerfile)), Some(2));
}

#[test]
fn pairs_know_their_bytes() {
    let text = "ARG IMAGE=\"golang:1\" V\nFROM a\nENV A=1 \\\n  # c\n  B='x y'\nENV C d  e\nLABEL \"k k\"=v\nUSER 1";
    let dockerfile = parse(text).unwrap();
    let pairs: Vec<_> = dockerfile
        .instructions()
        .iter()
        .flat_map(|instruction| dockerfile.pairs(instruction))
        .map(|pair| (pair.key, pair.key_span.of(text), pair.value, pair.value_span.map(|span| span.of(text))))
        .collect();
    let pair = |key: &str, key_written, value: &str, value_written| {
        (key.to_owned(), key_written, Some(value.to_owned()), Some(value_written))
    };
    assert_eq!(
        pairs,
        [
            pair("IMAGE", "IMAGE", "golang:1", "\"golang:1\""),
            ("V".to_owned(), "V", None, None),
            pair("A", "A", "1", "1"),
            pair("B", "B", "x y", "'x y'"),
            pair("C", "C", "d  e", "d  e"),
            pair("k k", "\"k k\"", "v", "v"),
        ]
    );
}

#[test]
fn comments_above_an_instruction() {
    let text = "\u{feff}# syntax=x\n# a\n#b\r\nFROM c\n# d\n\n  # e\n# f\nRUN g\nUSER 1";
    let dockerfile = parse(text).unwrap();
    let comments = |index| dockerfile.comments_above(index).iter().map(|span| span.of(text)).collect::<Vec<_>>();
    assert_eq!(comments(0), ["# a", "#b"]);
    assert_eq!(comments(1), ["  # e", "# f"]);
    assert_eq!(comments(2), [""; 0]);
    assert_eq!(comments(9), [""; 0]);
    let dockerfile = parse("\u{feff}# a\nFROM c").unwrap();
    assert_eq!(dockerfile.comments_above(0).iter().map(|span| span.of(dockerfile.text())).collect::<Vec<_>>(), ["# a"]);
}
