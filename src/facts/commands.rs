//! What command lines of manifests do, as far as their words tell: those of probes and hooks, and those that replace an image's own.

use crate::discover::file_name;

/// Programs that ask, wait or print. What they write goes to their output, or to a file that an option or a redirection names.
const HARMLESS: [&str; 76] = [
    ":",
    "[",
    "[[",
    "awk",
    "basename",
    "break",
    "cat",
    "cd",
    "continue",
    "curl",
    "cut",
    "date",
    "dig",
    "dirname",
    "echo",
    "egrep",
    "exit",
    "export",
    "expr",
    "false",
    "fgrep",
    "find",
    "for",
    "getent",
    "grep",
    "grpc_health_probe",
    "head",
    "healthcheck.sh",
    "hostname",
    "id",
    "in",
    "jq",
    "kill",
    "local",
    "ls",
    "mariadb",
    "mariadb-admin",
    "mongo",
    "mongosh",
    "mysql",
    "mysqladmin",
    "nc",
    "nginx",
    "nslookup",
    "pg_isready",
    "pgrep",
    "pidof",
    "pkill",
    "printenv",
    "printf",
    "ps",
    "psql",
    "rabbitmq-diagnostics",
    "rabbitmqctl",
    "read",
    "redis-cli",
    "return",
    "sed",
    "seq",
    "set",
    "shift",
    "sleep",
    "sort",
    "stat",
    "tail",
    "test",
    "tr",
    "trap",
    "true",
    "uname",
    "uniq",
    "unset",
    "wait",
    "wc",
    "wget",
    "whoami",
];

/// Words of a shell script that stand before a command.
const BEFORE: [&str; 17] = [
    "!", "do", "done", "elif", "else", "esac", "exec", "fi", "if", "nohup", "sudo", "then", "time", "until", "while",
    "{", "}",
];

/// Where redirections lead that are about no file.
const NO_FILES: [&str; 9] =
    ["2>&1", "1>&2", ">&2", ">&1", "2>/dev/null", "2> /dev/null", "&>/dev/null", ">/dev/null", "> /dev/null"];

/// Whether a command, as a probe or hook runs it, is seen to change files.
pub(super) fn changes_files(command: &[String]) -> bool {
    const PROGRAMS: [&str; 18] = [
        "chmod", "cp", "dd", "install", "ln", "mkdir", "mkfifo", "mktemp", "mv", "rm", "rmdir", "rsync", "tar", "tee",
        "touch", "truncate", "unlink", "unzip",
    ];
    let line = without_redirections(&command.join(" "));
    let mut words = line.split(|c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '"' | '\'' | '(' | ')'));
    line.contains('>')
        || line.contains("sed -i")
        || saves_a_page(&line)
        || words.any(|word| PROGRAMS.contains(&file_name(word)))
}

/// The first program of a command that is not known to leave files alone; `None` where all of them are. `own` are the programs of the image.
pub(super) fn unknown_program(command: &[String], own: &dyn Fn(&str) -> bool) -> Option<String> {
    let known = |program: &str| HARMLESS.contains(&program) || own(program);
    let Some(script) = script_of(command) else {
        let program = file_name(command.first()?);
        return (!known(program)).then(|| program.to_owned());
    };
    let line = without_redirections(script);
    line.split(['\n', ';', '&', '|', '(', ')', '`']).find_map(|part| {
        let is_before = |word: &&str| BEFORE.contains(word) || word.contains('=');
        let program = file_name(part.split_whitespace().find(|word| !is_before(word))?);
        let is_text = program.starts_with(['$', '"', '\'', '#']) || program.ends_with(['"', '\'', ']']);
        (!known(program) && !is_text).then(|| program.to_owned())
    })
}

/// What a shell is told to run.
fn script_of(command: &[String]) -> Option<&str> {
    let [shell, flags, script, ..] = command else { return None };
    let is_shell = matches!(file_name(shell), "sh" | "bash" | "ash" | "dash");
    (is_shell && flags.starts_with('-') && flags.ends_with('c')).then_some(script)
}

fn without_redirections(line: &str) -> String {
    NO_FILES.iter().fold(line.to_owned(), |line, redirection| line.replace(redirection, " "))
}

/// Whether a page is fetched into a file: `wget` does so unless told otherwise, `curl` where it is told.
fn saves_a_page(line: &str) -> bool {
    let mut words = line.split_whitespace();
    if words.any(|word| file_name(word) == "wget") {
        let stays = ["--spider", "-O-", "-qO-", "-O -", "-O /dev/null", "-O/dev/null", "/dev/stdout"];
        return !stays.iter().any(|option| line.contains(option));
    }
    let saves = ["-o", "-O", "--output", "--remote-name"];
    line.contains("curl") && !line.contains("/dev/null") && line.split_whitespace().any(|word| saves.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[test]
    fn commands_that_change_files_are_seen() {
        for script in [
            "echo ok | dd of=/www/index.html",
            "date > /tmp/x",
            "sed -i s/a/b/ x",
            "wget http://x/y",
            "curl -o x http://x",
            "/bin/touch x",
        ] {
            assert!(changes_files(&shell(script)), "{script}");
        }
        for script in [
            "nginx -s quit; sleep 5",
            "wget -q --spider localhost",
            "wget -qO- localhost 2>&1",
            "curl -fs localhost -o /dev/null",
            "cat /tmp/x",
        ] {
            assert!(!changes_files(&shell(script)), "{script}");
        }
    }

    #[test]
    fn a_program_that_is_not_known_is_named() {
        let unknown = |command: &[String]| unknown_program(command, &|program| program == "redis-server");
        assert_eq!(unknown(&words("redis-server --appendonly yes")), None);
        assert_eq!(unknown(&shell("exec redis-server --requirepass \"$PASS\"")), None);
        assert_eq!(unknown(&shell("until pg_isready -h db; do echo waiting; sleep 2; done")), None);
        assert_eq!(unknown(&shell("if [ -f /x ]; then redis-cli ping | grep PONG; fi")), None);
        assert_eq!(unknown(&words("/setup.sh")), Some("setup.sh".to_owned()));
        assert_eq!(unknown(&shell("pg_isready && apt-get update")), Some("apt-get".to_owned()));
        assert_eq!(unknown(&shell("A=1 make install")), Some("make".to_owned()));
    }
}
