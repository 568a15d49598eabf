//! Which step of a build failed and why, from what builders print.

use super::BuildSpec;
use super::steps::{self, Number};
use crate::dockerfile::{self, Dockerfile, Instruction, Keyword};
use crate::prove::proof::Unbuilt;
use crate::source::{Position, printable};

/// How many of the last lines of a log are looked at.
const LAST: usize = 60;

/// How many characters of an instruction are told.
const TOLD: usize = 80;

/// What a log tells of a build that failed; `ended` is why it came to its end, where its builder does not say that.
pub(super) fn unbuilt(log: &str, ended: Option<&str>, spec: &BuildSpec) -> Unbuilt {
    let log = without_escapes(log);
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = String::from_utf8_lossy(&spec.text);
    let (position, instruction) = step(&lines, &text);
    let (words, reason) = match ended {
        Some(ended) => (ended.to_owned(), ended.to_owned()),
        None => (last_words(&log), reason(&lines)),
    };
    Unbuilt {
        words,
        reason: printable(&reason),
        instruction: instruction.map(|instruction| printable(&instruction)),
        place: position.map(|position| (spec.dockerfile.display().to_string(), position)),
        log: None,
    }
}

/// The step that failed: where it stands in the Dockerfile, and its instruction in one line.
fn step(lines: &[&str], text: &str) -> (Option<Position>, Option<String>) {
    let dockerfile = dockerfile::parse(text).ok();
    let place = |instruction: &Instruction| Position::of(text, instruction.span.start);
    let line = told_line(lines);
    let instruction = dockerfile.as_ref().and_then(|dockerfile| match line {
        Some(line) => dockerfile.instructions().iter().find(|instruction| place(instruction).line == line),
        None => last_step(lines, dockerfile),
    });
    let position = instruction.map(place).or(line.map(|line| Position { line, column: 1 }));
    (
        position,
        dockerfile.as_ref().zip(instruction).map(|(dockerfile, instruction)| in_one_line(dockerfile, instruction)),
    )
}

/// The instruction of the last step that a builder without BuildKit began.
fn last_step<'d>(lines: &[&str], dockerfile: &'d Dockerfile) -> Option<&'d Instruction> {
    let numbered = lines.iter().enumerate().rev().find_map(|(at, line)| Some((at, steps::numbered(line)?)));
    let (at, (number, said)) = numbered?;
    // With all steps done, it is none of them.
    let is_end = |line: &&str| line.starts_with("COMMIT ") || line.starts_with("Successfully built ");
    if lines.get(at..)?.iter().any(is_end) {
        return None;
    }
    let instruction = match number {
        Number::OfFile(number) => dockerfile.instructions().get(number.checked_sub(1)?)?,
        Number::OfStage(stage, number) => {
            let stage = dockerfile.stages().get(stage.checked_sub(1)?)?;
            dockerfile.instructions().get(stage.instructions.clone())?.get(number.checked_sub(1)?)?
        }
    };
    let keyword = said.split_whitespace().next().and_then(Keyword::parse);
    (keyword == Some(instruction.keyword)).then_some(instruction)
}

/// The line of the Dockerfile that the builder names: `dockerfile parse error line 3: …`, or BuildKit's `Dockerfile:7` above the lines that it shows.
fn told_line(lines: &[&str]) -> Option<usize> {
    let parse_error = |line: &str| {
        let (_, rest) = line.split_once("dockerfile parse error ")?;
        rest.trim_start_matches("on ").strip_prefix("line ")?.split(':').next()?.parse().ok()
    };
    let shown = |pair: &[&str]| match pair {
        [place, rule] if is_rule(rule, 20) => place.rsplit_once(':')?.1.parse().ok(),
        _ => None,
    };
    lines.iter().rev().find_map(|line| parse_error(line)).or_else(|| lines.windows(2).rev().find_map(shown))
}

/// The instruction in one line. Values of `ENV`, `ARG` and `LABEL` are not told.
fn in_one_line(dockerfile: &Dockerfile, instruction: &Instruction) -> String {
    if matches!(instruction.keyword, Keyword::Env | Keyword::Arg | Keyword::Label) {
        return instruction.keyword.as_str().to_owned();
    }
    let written = instruction.span.of(dockerfile.text());
    let first = written.lines().next().unwrap_or_default();
    let whole =
        if first == written { first } else { first.trim_end().trim_end_matches(dockerfile.escape()).trim_end() };
    let told: String = whole.chars().take(TOLD).collect();
    if told == written { told } else { format!("{told} ...") }
}

/// Why a build failed, without the name of the step: `exit 1: make: cc: not found`, or what the builder has to say.
fn reason(lines: &[&str]) -> String {
    let (step, verdict) = ending(lines);
    let Some(code) = exit_code(verdict) else { return plain(verdict).to_owned() };
    match said_by(step) {
        Some(said) => format!("exit {code}: {said}"),
        None => format!("exit {code}"),
    }
}

fn exit_code(verdict: &str) -> Option<&str> {
    const BEFORE: [&str; 3] = ["returned a non-zero code: ", "exit status ", "exit code: "];
    let (_, code) = BEFORE.iter().find_map(|before| verdict.rsplit_once(before))?;
    let code = code.trim_end_matches('"');
    code.bytes().all(|byte| byte.is_ascii_digit()).then_some(code)
}

/// What a builder says, without what it says each time.
fn plain(verdict: &str) -> &str {
    // What it begins with, in small letters, and what ends that.
    const BEGINNINGS: [(&str, &str); 9] = [
        ("error: ", ""),
        ("error response from daemon: ", ""),
        ("error building ", ""),
        ("build error: ", ""),
        ("failed to solve: ", ""),
        ("failed to compute cache key: ", ""),
        ("failed to calculate checksum of ref ", ": "),
        ("building at step \"", "\": "),
        ("dockerfile parse error ", ": "),
    ];
    let mut rest = match verdict.split_once(" msg=\"") {
        Some((time, said)) if time.starts_with("time=\"") => said.strip_suffix('"').unwrap_or(said),
        _ => verdict,
    };
    loop {
        let lower = rest.to_ascii_lowercase();
        let found = BEGINNINGS.iter().find_map(|(beginning, end)| {
            let behind = lower.starts_with(beginning).then(|| rest.get(beginning.len()..))??;
            Some(behind.split_once(end)?.1)
        });
        rest = match found {
            Some(found) => found,
            None => return rest,
        };
    }
}

/// The line of a builder's log that tells best why it failed, fit for a terminal: the last one that says what is wrong in the builder's own form, and
/// before it what the failed step said last.
pub(super) fn last_words(log: &str) -> String {
    let log = without_escapes(log);
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let (step, verdict) = ending(&lines);
    match said_by(step) {
        Some(said) => printable(&format!("{said}; {verdict}")),
        None => printable(verdict),
    }
}

/// What the step that failed printed, and what the builder says of it in the end.
fn ending<'a, 'l>(lines: &'a [&'l str]) -> (&'a [&'l str], &'l str) {
    let last = lines.get(lines.len().saturating_sub(LAST)..).unwrap_or_default();
    let Some(end) = last.len().checked_sub(1) else { return (&[], "the builder says nothing") };
    // A warning may come behind it.
    let at = last.iter().rposition(|line| is_verdict(line)).filter(|at| at + 3 > end).unwrap_or(end);
    let verdict = last.get(at).copied().unwrap_or_default();
    // Podman shows the variables of a step that it does not know.
    let verdict = verdict.split(" &imagebuilder.Step{").next().unwrap_or_default();
    let before = last.get(..at).unwrap_or_default();
    // BuildKit repeats what the step printed, between rules, and shows the Dockerfile below.
    let is_shown = before.iter().any(|line| is_rule(line, 20));
    let until = before.iter().rposition(|line| is_rule(line, 6)).filter(|_| is_shown).unwrap_or(at);
    let step = before.get(..until).unwrap_or_default();
    let from = step.iter().rposition(|line| steps::numbered(line).is_some() || is_rule(line, 6)).map_or(0, |at| at + 1);
    (step.get(from..).unwrap_or_default(), verdict)
}

/// The line of a step that tells most: the last one, or npm's first one that is about the matter itself.
fn said_by<'l>(step: &[&'l str]) -> Option<&'l str> {
    let telling = || step.iter().filter(|line| !is_noise(line) && !is_verdict(line)).map(|line| without_time(line));
    let of_npm = |line: &&str| {
        let rest = line.strip_prefix("npm error ").or_else(|| line.strip_prefix("npm ERR! "));
        rest.is_some_and(|rest| !["code ", "errno ", "path ", "syscall "].iter().any(|word| rest.starts_with(word)))
    };
    telling().find(of_npm).or_else(|| telling().next_back())
}

fn is_verdict(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    VERDICTS.iter().any(|beginning| lower.starts_with(beginning))
}

/// What begins the lines in which builders say that they failed, in small letters.
const VERDICTS: [&str; 7] =
    ["error:", "error response", "fatal", "time=\"", "failed to ", "the command '", "unable to prepare context"];

/// What begins the lines that say nothing, in small letters.
const NOISE: [&str; 12] = [
    "sending build context",
    "trying to pull ",
    "npm notice",
    "[notice]",
    "removing intermediate container",
    "deprecated:",
    "install the buildx",
    "https://docs.docker.com/go/",
    "---",
    "--> ",
    "step ",
    "#",
];

fn is_noise(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    NOISE.iter().any(|beginning| lower.starts_with(beginning))
        || line.starts_with("> [") && line.ends_with(':')
        || line.bytes().all(|byte| !byte.is_ascii_alphanumeric())
}

/// A line of exactly so many dashes.
fn is_rule(line: &str, length: usize) -> bool {
    line.len() == length && line.bytes().all(|byte| byte == b'-')
}

/// A line without the seconds that BuildKit puts before it.
fn without_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, said)) if time.contains('.') && time.parse::<f64>().is_ok() => said,
        _ => line,
    }
}

/// A text without the sequences that colour it on a terminal.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.trim_start_matches(|c: char| ('\u{20}'..='\u{3f}').contains(&c));
        let mut after = rest.chars();
        after.next();
        rest = after.as_str();
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prove::engine::Side;
    use std::time::Duration;

    /// What is told of a build of this Dockerfile that ends with this log: `7:1 RUN npm ci: exit 1: ...`.
    fn told(text: &str, log: &str) -> String {
        let spec = BuildSpec {
            number: 1,
            side: Side::Before,
            text: text.into(),
            dockerfile: "Dockerfile".into(),
            context: ".".into(),
            target: None,
            arguments: Vec::new(),
            contexts: Vec::new(),
            options: Vec::new(),
            limit: Duration::ZERO,
        };
        let unbuilt = unbuilt(log, None, &spec);
        let place = unbuilt.place.map_or_else(|| "-".to_owned(), |(_, position)| position.to_string());
        format!("{place} {}: {}", unbuilt.instruction.unwrap_or_default(), unbuilt.reason)
    }

    const STAGES: &str =
        "# x\nARG V=tools\nFROM $V AS one\nENV A=1 \\\n  B=2\nFROM tools\nRUN echo fine\nRUN echo $X \\\n && false\n";

    #[test]
    fn podman_counts_in_each_stage() {
        let log = "[2/2] STEP 1/4: FROM tools\n[2/2] STEP 2/4: RUN echo fine\nfine\n--> 78fd1488288\n[2/2] STEP 3/4: RUN echo $X  && false\n\nError: building at STEP \"RUN echo $X  && false\": while running runtime: exit status 1\n";
        assert_eq!(told(STAGES, log), "8:1 RUN echo $X ...: exit 1");
        let copy = "STEP 1/3: FROM tools AS a\nSTEP 2/3: RUN echo hello\nhello\n--> 539f18538f9\nSTEP 3/3: COPY nothing /\nError: building at STEP \"COPY nothing /\": checking on sources under \"/srv/app\": copier: stat: \"/nothing\": no such file or directory\n";
        assert_eq!(
            told("FROM tools AS a\nRUN echo hello\nCOPY nothing /\nFROM a\n", copy),
            "3:1 COPY nothing /: checking on sources under \"/srv/app\": copier: stat: \"/nothing\": no such file or directory"
        );
        let label = "STEP 1/2: FROM tools\nSTEP 2/2: LABEL \"unroot.run\"=\"abc\"\nError: no space\n";
        assert_eq!(told("FROM tools\n", label), "- : no space");
        let commit = "STEP 1/2: FROM tools\nSTEP 2/2: RUN true\nCOMMIT abc\nError: committing: no space\n";
        assert_eq!(told("FROM tools\nRUN true\n", commit), "- : committing: no space");
    }

    #[test]
    fn docker_counts_in_the_file() {
        let log = "Sending build context to Docker daemon  1.638kB\nStep 1/8 : ARG V=tools\nStep 2/8 : FROM $V AS one\n ---> 8e87cc4f640b\nStep 3/8 : ENV A=1   B=2\n ---> Running in 56fef13131a1\nRemoving intermediate container 56fef13131a1\nStep 4/8 : FROM tools\n ---> 8e87cc4f640b\nStep 5/8 : RUN echo fine\n ---> Running in ad4617975f91\nfine\nRemoving intermediate container ad4617975f91\n ---> 13663ab8581c\nStep 6/8 : RUN echo $X  && false\n ---> Running in d4934dcf67ae\nlost\nRemoving intermediate container d4934dcf67ae\nThe command '/bin/sh -c echo $X  && false' returned a non-zero code: 1\n";
        assert_eq!(told(STAGES, log), "8:1 RUN echo $X ...: exit 1: lost");
        let parsed = "Sending build context to Docker daemon  1.583kB\nError response from daemon: dockerfile parse error line 2: WORKDIR requires exactly one argument\n";
        let told_of = told("FROM tools\nWORKDIR\n", parsed);
        assert!(
            told_of.starts_with("2:1 ") && told_of.ends_with(": WORKDIR requires exactly one argument"),
            "{told_of}"
        );
        let base = "Step 1/3 : FROM localhost:1/x\nGet \"http://localhost:1/v2/\": dial tcp: connection refused\n";
        let reason = "1:1 FROM localhost:1/x: Get \"http://localhost:1/v2/\": dial tcp: connection refused";
        assert_eq!(told("FROM localhost:1/x\n", base), reason);
    }

    /// The place as in <https://github.com/moby/buildkit/blob/master/solver/errdefs/source.go>.
    #[test]
    fn buildkit_names_the_line() {
        let log = "#5 [2/2] RUN make\n#5 0.123 make: cc: not found\n#5 ERROR: process \"/bin/sh -c make\" did not complete successfully: exit code: 127\n------\n > [2/2] RUN make:\n0.123 make: cc: not found\n------\nDockerfile:3\n--------------------\n   1 |     FROM a\n   3 | >>> RUN make\n--------------------\nERROR: failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 127\n";
        assert_eq!(told("FROM a\n\nRUN make\n", log), "3:1 RUN make: exit 127: make: cc: not found");
        let copy = "------\n > [2/2] COPY nothing /:\n------\nDockerfile:2\n--------------------\n   2 | >>> COPY nothing /\n--------------------\nERROR: failed to solve: failed to compute cache key: failed to calculate checksum of ref ab::cd: \"/nothing\": not found\n";
        assert_eq!(told("FROM a\nCOPY nothing /\n", copy), "2:1 COPY nothing /: \"/nothing\": not found");
    }

    #[test]
    fn the_line_that_tells_most_is_told() {
        let log = "STEP 2/2: RUN npm ci\nnpm error code E404\nnpm error 404 Not Found - GET https://npm.example/left\nnpm error A complete log of this run can be found in: /root/x.log\nError: building at STEP \"RUN npm ci\": while running runtime: exit status 1\ntime=\"2026-11-22T03:20:57Z\" level=error msg=\"exit status 1\"\n";
        let told = told("FROM a\nRUN npm ci\n", log);
        assert_eq!(told, "2:1 RUN npm ci: exit 1: npm error 404 Not Found - GET https://npm.example/left");
    }

    /// Podman shows what it has at hand for an instruction that it does not know.
    #[test]
    fn variables_are_not_told() {
        let log = "STEP 2/2: ENV A=hush\nError: building at STEP \"ENV A=hush\": Build error: Unknown instruction: \"X\" &imagebuilder.Step{Env:[]string{\"A=hush\"}}\n";
        assert_eq!(told("FROM a\nENV A=hush\n", log), "2:1 ENV: Unknown instruction: \"X\"");
    }

    #[test]
    fn the_step_and_the_builder_have_the_last_words() {
        let docker = "Step 2/2 : RUN make\n ---> Running in 87bdf823ff47\nmake: cc: \u{1b}[31mnot found\u{1b}[0m\n\u{1b}[0mRemoving intermediate container 87bdf823ff47\nThe command '/bin/sh -c make' returned a non-zero code: 127\n";
        assert_eq!(
            last_words(docker),
            "make: cc: not found; The command '/bin/sh -c make' returned a non-zero code: 127"
        );
        let podman = "STEP 2/2: RUN make\nmake: cc: not found\nError: building at STEP \"RUN make\": while running runtime: exit status 127\n";
        assert_eq!(
            last_words(podman),
            "make: cc: not found; Error: building at STEP \"RUN make\": while running runtime: exit status 127"
        );
        let buildkit = "#5 [2/2] RUN make\n#5 0.123 make: cc: not found\n#5 ERROR: process \"/bin/sh -c make\" did not complete successfully: exit code: 127\n------\n > [2/2] RUN make:\n0.123 make: cc: not found\n------\nDockerfile:2\n--------------------\n   1 |     FROM a\n   2 | >>> RUN make\n   3 |\n--------------------\nERROR: failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 127\n";
        assert_eq!(
            last_words(buildkit),
            "make: cc: not found; ERROR: failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 127"
        );
        assert_eq!(last_words("\n"), "the builder says nothing");
    }
}
