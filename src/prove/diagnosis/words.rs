//! What programs print when something is forbidden to them or missing, in the words of their languages and libraries.
//!
//! The numbers behind the words are those of errno(3): 13 EACCES, 30 EROFS, 1 EPERM, 2 ENOENT, 8 ENOEXEC.

use std::sync::LazyLock;

use regex::Regex;

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Symptom {
    /// The program is one of another platform.
    Platform,
    /// The program's user is not among the accounts.
    Account,
    /// The service account's files are not there.
    Token,
    /// A port cannot be bound.
    Bind(Option<u16>),
    /// A file system is read-only.
    ReadOnly(Option<String>),
    /// The user may not do that to a file.
    Denied(Option<String>),
    /// A file cannot be opened or changed, and the message does not say why.
    Unwritable,
    /// A call takes a privilege.
    NotPermitted {
        /// What was to be done.
        call: Privileged,
        /// To which file.
        path: Option<String>,
        /// To which user or group something was to change, by number.
        to: Option<u32>,
    },
    /// Privileges cannot be gained, by sudo and the like.
    NoNewPrivileges,
    /// Something is not there.
    Missing(Missing, String),
}

/// What takes a privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Privileged {
    /// Giving a file to somebody.
    ChangeOwner,
    /// Changing the mode of somebody else's file.
    ChangeMode,
    /// Becoming another user.
    ChangeUser,
    /// Something else.
    Other,
}

/// What is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// A shared library.
    Library,
    /// A module, gem, package or class.
    Module,
    /// A program.
    Program,
    /// A file.
    File,
}

/// The symptoms in a text, each once, the most telling first.
pub(super) fn symptoms(text: &str) -> Vec<Symptom> {
    let mut found: Vec<Symptom> = text.lines().filter_map(|line| symptom(line.trim())).collect();
    // Some print the call and the error on lines of their own.
    let nameless = found.contains(&Symptom::Denied(None));
    if nameless && (SPREAD_BIND.is_match(text)) {
        found.push(Symptom::Bind(port(text)));
    }
    found.sort_by_key(rank);
    found.dedup();
    found
}

fn rank(symptom: &Symptom) -> u8 {
    let absolute = |path: &Option<String>| path.as_ref().is_some_and(|path| path.starts_with('/'));
    match symptom {
        Symptom::Platform => 0,
        Symptom::Account => 1,
        Symptom::Token => 2,
        Symptom::NoNewPrivileges => 3,
        Symptom::Bind(Some(_)) => 4,
        Symptom::Bind(None) => 5,
        Symptom::ReadOnly(path) if absolute(path) => 6,
        Symptom::Denied(path) if absolute(path) => 7,
        Symptom::ReadOnly(Some(_)) => 8,
        Symptom::Denied(Some(_)) => 9,
        Symptom::NotPermitted { call: Privileged::ChangeMode, .. } => 10,
        Symptom::NotPermitted { path: Some(_), .. } => 11,
        Symptom::NotPermitted { .. } => 12,
        Symptom::ReadOnly(None) => 13,
        Symptom::Denied(None) => 14,
        Symptom::Unwritable => 15,
        Symptom::Missing(Missing::Library, _) => 16,
        Symptom::Missing(Missing::Module, _) => 17,
        Symptom::Missing(Missing::Program, _) => 18,
        Symptom::Missing(Missing::File, _) => 19,
    }
}

/// A pattern. That each is one, the tests show.
struct Pattern(LazyLock<Option<Regex>>);

impl Pattern {
    fn is_match(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|pattern| pattern.is_match(text))
    }

    /// Where the first match starts.
    fn find(&self, text: &str) -> Option<usize> {
        Some(self.0.as_ref()?.find(text)?.start())
    }

    /// The group that took part in each match, of those that the pattern has.
    fn all<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let matches = self.0.iter().flat_map(|pattern| pattern.captures_iter(text));
        matches.filter_map(|captures| captures.iter().skip(1).flatten().next().map(|part| part.as_str()))
    }

    fn first<'a>(&'a self, text: &'a str) -> Option<&'a str> {
        self.all(text).next()
    }
}

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: Pattern = Pattern(LazyLock::new(|| Regex::new($text).ok()));
    };
}

pattern!(
    PLATFORM,
    r"(?i)exec format error|no match for platform|does not match the (?:specified|detected host) platform"
);
pattern!(
    ACCOUNT,
    r"(?i)could not look up effective user id|uid not found|no user exists for uid|cannot find name for user id|unknown userid|user: unknown userid|current user could not be determined|no such user id"
);
pattern!(
    TOKEN,
    r"(?i)/run/secrets/kubernetes\.io/serviceaccount|unable to load in-cluster configuration|not running in-cluster"
);
pattern!(
    PRIVILEGES,
    r#"(?i)"?no new privileges"? flag is set|sudo: effective uid is not 0|sudo: .*(?:must be owned by uid 0|nosuid)|su: cannot set groups|must be run from a terminal.*setuid"#
);
// A question mark after it is nginx's entrypoint, which guesses and goes on.
pattern!(
    READ_ONLY,
    r"(?i)read-only file ?system(?:[^?]|$)|\bEROFS\b|ReadOnlyFileSystem\b|attempt to write a readonly database.*EROFS"
);
pattern!(
    DENIED,
    r"(?i)permission denied|\bEACCES\b|AccessDeniedException|UnauthorizedAccessException|access to the path .* is denied|PermissionDenied\b|is not writable"
);
pattern!(UNWRITABLE, r"(?i)unable to open database file|attempt to write a readonly database");
pattern!(TEMPORARY, r"(?i)no usable temporary directory found");
pattern!(
    NOT_PERMITTED,
    r"(?i)operation not permitted|\bEPERM\b|failed switching to|you must be root|must be (?:run|started) as root"
);
pattern!(CHANGE_OWNER, r"(?i)chown|changing ownership|change owner");
pattern!(CHANGE_MODE, r"(?i)chmod|chang(?:e|ing) permissions");
pattern!(
    CHANGE_USER,
    r"(?i)set(?:re|res|e)?[ug]id|setgroups|initgroups|switching to|unable to set (?:user|group) id|set groups"
);
pattern!(
    BIND,
    r"(?i)\bbind\b|\bbinding\b|could not bind|make_sock|\blisten(?:ing)? |\blisten EACCES|cannot open socket"
);
pattern!(
    SPREAD_BIND,
    r"(?i)server_bind|socket\.bind|syscall: 'listen'|syscall: 'bind'|TCPServer|java\.net\.BindException"
);
pattern!(PORT, r"(?i)(?:[\]*]|\.\d{1,3}|^|\s):(\d{1,5})(?:[^\d.]|$)|\bport[:=]? ?(\d{1,5})\b");
pattern!(
    LIBRARY,
    r"(?i)(?:loading shared libraries: |\b)(lib[^\s:'\x22]+?\.so[^\s:'\x22]*): cannot open shared object|(?-i:Error loading shared library )([^\s:]+)"
);
pattern!(
    MODULE,
    r#"(?i)cannot find (?:module|package) ['"]([^'"]+)|no module named ['"]?([\w.]+)|cannot load such file -- (\S+)|could not find or load main class (\S+)|ClassNotFoundException: (\S+)|NoClassDefFoundError: (\S+)|could not find gem ['"]?(\S+)"#
);
pattern!(
    PROGRAM,
    r#"(?i)exec: "([^"]+)": (?:executable file not found|stat)|(?:^|: )(?:line \d+: |\d+: )?([\w./+-]+): (?:command )?not found$|exec (\S+): no such file|command '([^']+)' failed: no such file|env: '?([^':]+)'?: no such file|^([\w./+-]+): not found$"#
);
pattern!(
    FILE,
    r#"(?i)unable to access jarfile (\S+)|(?:NoSuchFileException|FileNotFoundException): ([^\s(]+)|(?:no such file or directory|\bENOENT\b)[^'"]*['"]([^'"]+)['"]|([^\s'"(]+): no such file or directory|['"]([^'"\s]+)['"][^'"]*no such file or directory"#
);
pattern!(TO, r#"(?:, |[Gg]roup |[Uu]ser )(\d+)\b"#);

fn symptom(line: &str) -> Option<Symptom> {
    if PLATFORM.is_match(line) {
        return Some(Symptom::Platform);
    }
    if ACCOUNT.is_match(line) {
        return Some(Symptom::Account);
    }
    if TOKEN.is_match(line) {
        return Some(Symptom::Token);
    }
    if PRIVILEGES.is_match(line) {
        return Some(Symptom::NoNewPrivileges);
    }
    if TEMPORARY.is_match(line) {
        return Some(Symptom::ReadOnly(Some("/tmp/".to_owned())));
    }
    if let Some(at) = READ_ONLY.find(line) {
        return Some(Symptom::ReadOnly(path(line, at)));
    }
    if let Some(at) = DENIED.find(line) {
        if BIND.is_match(line) {
            return Some(Symptom::Bind(port(line)));
        }
        return Some(Symptom::Denied(path(line, at)));
    }
    if let Some(at) = NOT_PERMITTED.find(line) {
        let call = match () {
            () if CHANGE_OWNER.is_match(line) => Privileged::ChangeOwner,
            () if CHANGE_MODE.is_match(line) => Privileged::ChangeMode,
            () if CHANGE_USER.is_match(line) => Privileged::ChangeUser,
            () => Privileged::Other,
        };
        let to = TO.first(line).and_then(|number| number.parse().ok());
        return Some(Symptom::NotPermitted { call, path: path(line, at), to });
    }
    if UNWRITABLE.is_match(line) {
        return Some(Symptom::Unwritable);
    }
    let kinds = [
        (Missing::Library, &LIBRARY),
        (Missing::Module, &MODULE),
        (Missing::Program, &PROGRAM),
        (Missing::File, &FILE),
    ];
    kinds.into_iter().find_map(|(kind, pattern)| Some(Symptom::Missing(kind, pattern.first(line)?.to_owned())))
}

/// A port below 1024.
fn port(text: &str) -> Option<u16> {
    PORT.all(text).filter_map(|digits| digits.parse().ok()).find(|port| (1..1024).contains(port))
}

pattern!(QUOTED, r#"['"‘`]([^'"’`\s]+)['"’`]"#);
pattern!(RUBY, r"@ \w+ - (\S+)");
pattern!(JAVA, r"Exception: ([^\s:(]+)");
pattern!(ARGUMENT, r"\w\((/[^\s),]+)");
pattern!(BEFORE, r"([^\s(\[]+?):? \(?(?:\d+: )?$");
pattern!(OPENER, r"(?i)\b(?:open|opening|create|mkdir|write|rename|remove|unlink|dir|directory|folder|file|log)\b");

/// The file that a message is about; `at` is where it names the error. Languages put it in quotes on either side, in parentheses, or before a colon.
fn path(line: &str, at: usize) -> Option<String> {
    let (before, after) = (line.get(..at).unwrap_or_default(), line.get(at..).unwrap_or_default());
    let is_path = |word: &str| word.contains('/') || word.starts_with('.');
    let looks = |word: &&str| !word.contains(['(', '<', ':', '{', ',']);
    let opens = OPENER.is_match(before);
    let word = RUBY
        .first(after)
        .or_else(|| QUOTED.all(after).find(looks))
        .or_else(|| QUOTED.all(before).filter(looks).find(|word| is_path(word) || opens))
        .or_else(|| ARGUMENT.first(before))
        .or_else(|| JAVA.first(line).filter(looks))
        .or_else(|| {
            BEFORE.first(before).filter(looks).filter(|word| is_path(word) || opens && !OPENER.is_match(word))
        })?;
    Some(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Symptom {
        symptoms(text).into_iter().next().unwrap()
    }

    fn denied(path: &str) -> Symptom {
        Symptom::Denied(Some(path.to_owned()))
    }

    fn read_only(path: &str) -> Symptom {
        Symptom::ReadOnly(Some(path.to_owned()))
    }

    #[test]
    fn what_may_not_be_written_is_named_as_each_language_names_it() {
        for (text, path) in [
            ("POST /: 500 [Errno 13] Permission denied: '/srv/guests/last.txt'", "/srv/guests/last.txt"),
            ("PermissionError: [Errno 13] Permission denied: 'state'", "state"),
            ("GET /: 500 EACCES: permission denied, open '/uploads/file'", "/uploads/file"),
            (
                "./entrypoint.sh: line 3: can't create /etc/greeter/config.json: Permission denied",
                "/etc/greeter/config.json",
            ),
            ("bash: /app/x: Permission denied", "/app/x"),
            ("2026/11/21 23:19:51 open /data/last: permission denied", "/data/last"),
            ("POST /: 500 java.nio.file.AccessDeniedException: note.txt", "note.txt"),
            ("java.io.FileNotFoundException: /app/log/x.log (Permission denied)", "/app/log/x.log"),
            (
                "nginx: [emerg] mkdir() \"/var/cache/nginx/pages\" failed (13: Permission denied)",
                "/var/cache/nginx/pages",
            ),
            (
                "Can't create/write to file './ddl_recovery.log' (Errcode: 13 \"Permission denied\")",
                "./ddl_recovery.log",
            ),
            (
                "Can't create test file '/var/lib/mysql/x.lower-test' (Errcode: 13 \"Permission denied\")",
                "/var/lib/mysql/x.lower-test",
            ),
            (
                "1:M 21 Nov 2026 # Can't open or create append-only dir appendonlydir: Permission denied",
                "appendonlydir",
            ),
            (
                "mkdir: cannot create directory ‘/var/lib/postgresql/data/b’: Permission denied",
                "/var/lib/postgresql/data/b",
            ),
            (
                "<b>Warning</b>:  file_put_contents(/var/cache/pages/49d1): Failed to open stream: Permission denied in <b>/var/www/html/index.php</b> on line <b>5</b><br />",
                "/var/cache/pages/49d1",
            ),
            ("app.rb:5:in `mkdir': Permission denied @ dir_s_mkdir - db (Errno::EACCES)", "db"),
            ("System.UnauthorizedAccessException: Access to the path '/app/keys' is denied.", "/app/keys"),
            ("static/index.html: Permission denied (os error 13)", "static/index.html"),
            (
                "The stream or file \"/app/storage/logs/laravel.log\" could not be opened: Failed to open stream: Permission denied",
                "/app/storage/logs/laravel.log",
            ),
        ] {
            assert_eq!(first(text), denied(path), "{text}");
        }
        for (text, path) in [
            ("OSError: [Errno 30] Read-only file system: '/tmp/upload-54gn6gsy'", "/tmp/upload-54gn6gsy"),
            ("POST /: 500 open /tmp/multipart-1: read-only file system", "/tmp/multipart-1"),
            ("java.nio.file.FileSystemException: /tmp/note1.txt: Read-only file system", "/tmp/note1.txt"),
            ("EROFS: read-only file system, open '/tmp/links.json'", "/tmp/links.json"),
            ("nginx: [emerg] open() \"/var/run/nginx.pid\" failed (30: Read-only file system)", "/var/run/nginx.pid"),
            (
                "mariadbd: Can't create/write to file '/tmp/iby2eWVa' (Errcode: 30 \"Read-only file system\")",
                "/tmp/iby2eWVa",
            ),
            (
                "FATAL:  could not create lock file \"/var/run/postgresql/.s.lock\": Read-only file system",
                "/var/run/postgresql/.s.lock",
            ),
            (
                "FileNotFoundError: [Errno 2] No usable temporary directory found in ['/tmp', '/var/tmp', '/usr/tmp', '/app']",
                "/tmp/",
            ),
            ("touch: cannot touch '/x': Read-only file system", "/x"),
            ("chmod: changing permissions of '/var/run/postgresql': Read-only file system", "/var/run/postgresql"),
        ] {
            assert_eq!(first(text), read_only(path), "{text}");
        }
    }

    #[test]
    fn a_path_that_is_not_named_is_not_invented() {
        for text in [
            "PermissionError: [Errno 13] Permission denied",
            "Error: Os { code: 13, kind: PermissionDenied, message: \"Permission denied\" }",
            "(13)Permission denied: AH00091: the error log",
        ] {
            assert_eq!(first(text), Symptom::Denied(None), "{text}");
        }
        assert_eq!(first("sqlite3.OperationalError: unable to open database file"), Symptom::Unwritable);
    }

    #[test]
    fn ports_are_told_from_files() {
        for (text, port) in [
            ("2026/11/21 23:20:29 [emerg] 1#1: bind() to 0.0.0.0:80 failed (13: Permission denied)", Some(80)),
            ("(13)Permission denied: AH00072: make_sock: could not bind to address [::]:80", Some(80)),
            ("listen tcp :443: bind: permission denied", Some(443)),
            ("Error: listen EACCES: permission denied 0.0.0.0:80", Some(80)),
            (
                "{\n  code: 'EACCES',\n  errno: -13,\n  syscall: 'listen',\n  address: '0.0.0.0',\n  port: 80\n}",
                Some(80),
            ),
            ("    self.socket.bind(self.server_address)\nPermissionError: [Errno 13] Permission denied", None),
        ] {
            assert_eq!(first(text), Symptom::Bind(port), "{text}");
        }
    }

    #[test]
    fn calls_that_take_a_privilege_are_told_apart() {
        let symptom = |call, path: Option<&str>, to| Symptom::NotPermitted { call, path: path.map(str::to_owned), to };
        for (text, expected) in [
            ("chown: /data: Operation not permitted", symptom(Privileged::ChangeOwner, Some("/data"), None)),
            (
                "chown: changing ownership of '.': Operation not permitted",
                symptom(Privileged::ChangeOwner, Some("."), None),
            ),
            (
                "nginx: [emerg] chown(\"/var/cache/nginx/pages\", 101) failed (1: Operation not permitted)",
                symptom(Privileged::ChangeOwner, Some("/var/cache/nginx/pages"), Some(101)),
            ),
            (
                "(1)Operation not permitted: AH02156: setgid: unable to set group id to Group 33",
                symptom(Privileged::ChangeUser, None, Some(33)),
            ),
            (
                "error: failed switching to \"redis\": operation not permitted",
                symptom(Privileged::ChangeUser, None, None),
            ),
            (
                "initdb: error: could not change permissions of directory \"/var/lib/postgresql/data\": Operation not permitted",
                symptom(Privileged::ChangeMode, Some("/var/lib/postgresql/data"), None),
            ),
        ] {
            let found = first(text);
            match (&found, &expected) {
                (Symptom::NotPermitted { call, path, to }, Symptom::NotPermitted { call: c, path: p, to: t }) => {
                    assert_eq!((call, to), (c, t), "{text}");
                    if p.is_some() {
                        assert_eq!(path, p, "{text}");
                    }
                }
                _ => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, kind, name) in [
            (
                "ImportError: libpq.so.5: cannot open shared object file: No such file or directory",
                Missing::Library,
                "libpq.so.5",
            ),
            (
                "/app: error while loading shared libraries: libssl.so.3: cannot open shared object file: No such file",
                Missing::Library,
                "libssl.so.3",
            ),
            ("Error: Cannot find module '/app/npm'", Missing::Module, "/app/npm"),
            ("ModuleNotFoundError: No module named 'wordsum'", Missing::Module, "wordsum"),
            ("sh: cross-env: not found", Missing::Program, "cross-env"),
            ("sh: 1: cross-env: not found", Missing::Program, "cross-env"),
            ("exec /shortener: no such file or directory", Missing::Program, "/shortener"),
            (
                "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
                Missing::Program,
                "x86_64-linux-gnu-gcc",
            ),
            ("exec: \"sh\": executable file not found in $PATH", Missing::Program, "sh"),
            (
                "GET /: 500 static/index.html: No such file or directory (os error 2)",
                Missing::File,
                "static/index.html",
            ),
            (
                "GET /: 500 open templates/greeting.html: no such file or directory",
                Missing::File,
                "templates/greeting.html",
            ),
            ("Error: Unable to access jarfile target/menu-1.0.jar", Missing::File, "target/menu-1.0.jar"),
            ("ENOENT: no such file or directory, open '/app/x.json'", Missing::File, "/app/x.json"),
        ] {
            assert_eq!(first(text), Symptom::Missing(kind, name.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_rest_is_known_by_its_words() {
        assert_eq!(first("exec /bin/sh: exec format error"), Symptom::Platform);
        assert_eq!(
            first(
                "chmod: changing permissions of '/run/x': Operation not permitted\ninitdb: could not look up effective user ID 60096: user does not exist"
            ),
            Symptom::Account
        );
        assert_eq!(first("KeyError: 'getpwuid(): uid not found: 10001'"), Symptom::Account);
        assert_eq!(
            first("[Errno 2] No such file or directory: '/var/run/secrets/kubernetes.io/serviceaccount/token'"),
            Symptom::Token
        );
        assert_eq!(
            first("sudo: The \"no new privileges\" flag is set, which prevents sudo from running as root."),
            Symptom::NoNewPrivileges
        );
        assert!(symptoms("info: can not modify /etc/nginx/conf.d/default.conf (read-only file system?)").is_empty());
        assert!(symptoms("10.88.0.1 - - [21/Nov/2026 23:18:55] \"GET / HTTP/1.1\" 500 -").is_empty());
    }
}
