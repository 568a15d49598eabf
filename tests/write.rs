//! Writing: what is refused, what is kept, and that nothing is written by halves.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use support::workspace::Workspace;
use unroot::error::Error;
use unroot::pipeline::FileChange;
use unroot::write::{write_all, write_new};

fn change(path: &str, before: &str, after: &str) -> FileChange {
    FileChange { path: path.to_owned(), before: Some(Arc::from(before)), after: Arc::from(after) }
}

#[track_caller]
fn refusal(result: Result<(), Error>) -> String {
    match result {
        Err(Error::Write(message)) => {
            assert!(!message.contains(char::is_control), "one line: {message:?}");
            message
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn all_files_are_written_and_nothing_is_left_over() {
    let workspace = Workspace::with(&[("Dockerfile", "a\n"), ("k8s/app.yaml", "b\r\nc"), ("other", "o\n")]);
    let changes = [change("Dockerfile", "a\n", "A\n"), change("k8s/app.yaml", "b\r\nc", "B\r\nC")];
    write_all(workspace.root(), &changes).unwrap();
    assert_eq!(workspace.read("Dockerfile"), "A\n");
    assert_eq!(workspace.read("k8s/app.yaml"), "B\r\nC");
    assert_eq!(workspace.read("other"), "o\n");
    assert_eq!(workspace.entries(), ["Dockerfile", "k8s", "k8s/app.yaml", "other"]);
}

#[test]
fn more_files_than_a_process_may_open() {
    let names: Vec<String> = (0..1500).map(|n| format!("{n}.yaml")).collect();
    let workspace = Workspace::new();
    names.iter().for_each(|name| workspace.write(name, "a\n"));
    let changes: Vec<FileChange> = names.iter().map(|name| change(name, "a\n", "b\n")).collect();
    write_all(workspace.root(), &changes).unwrap();
    assert!(names.iter().all(|name| workspace.read(name) == "b\n"));
    assert_eq!(workspace.entries().len(), 1500);
}

#[test]
fn a_file_that_does_not_change_is_not_touched() {
    // It does not even exist.
    let workspace = Workspace::with(&[("a", "a\n")]);
    write_all(workspace.root(), &[change("missing", "same\n", "same\n"), change("a", "a\n", "b\n")]).unwrap();
    assert_eq!(workspace.read("a"), "b\n");
    assert_eq!(workspace.entries(), ["a"]);
}

#[test]
fn what_a_killed_run_left_is_removed_and_nothing_else() {
    let kept = [
        ".unroot-abc",
        ".unroot-abcdefg",
        ".unroot-ab_def",
        "unroot-abcdef",
        ".unroot-ABCDEF/x",
        "other/.unroot-abcdef",
    ];
    let workspace = Workspace::with(&[("a", "a\n"), ("k8s/b", "b\n")]);
    for name in kept.iter().chain(&[".unroot-a1B2c3", "k8s/.unroot-zzzzzz"]) {
        workspace.write(name, "left\n");
    }
    write_all(workspace.root(), &[change("a", "a\n", "A\n"), change("k8s/b", "b\n", "B\n")]).unwrap();
    let mut expected: Vec<&str> = kept.into_iter().chain(["a", "k8s", "k8s/b", "other", ".unroot-ABCDEF"]).collect();
    expected.sort_unstable();
    assert_eq!(workspace.entries(), expected);
}

#[test]
fn a_new_file_is_made_with_the_rest_and_taken_back_with_it() {
    let new = |path: &str, after: &str| FileChange { path: path.to_owned(), before: None, after: Arc::from(after) };
    let workspace = Workspace::with(&[("a", "a\n"), ("k8s/b", "b\n")]);
    write_all(workspace.root(), &[new("new.lock", ""), new("k8s/new", "n\n"), change("a", "a\n", "A\n")]).unwrap();
    assert_eq!((workspace.read("new.lock").as_str(), workspace.read("k8s/new").as_str()), ("", "n\n"));
    assert_eq!(workspace.entries(), ["a", "k8s", "k8s/b", "k8s/new", "new.lock"]);
    for (path, expected) in [("new.lock", "new.lock is there already"), ("../x", ".. leads out of ")] {
        assert_refused(&workspace, new(path, "other\n"), expected);
    }
    assert_eq!(workspace.read("new.lock"), "");
}

#[test]
#[cfg(unix)]
fn a_new_file_does_not_take_the_place_of_a_link() {
    let workspace = Workspace::with(&[("a", "a\n")]);
    std::os::unix::fs::symlink("nothing-here", workspace.path("new")).unwrap();
    assert_refused(
        &workspace,
        FileChange { path: "new".to_owned(), before: None, after: Arc::from("n\n") },
        "new is there already",
    );
}

/// Each refusal comes with a first file that could be written, and must not be.
#[track_caller]
fn assert_refused(workspace: &Workspace, refused: FileChange, expected: &str) {
    workspace.write("first", "first\n");
    let entries = workspace.entries();
    let message = refusal(write_all(workspace.root(), &[change("first", "first\n", "written\n"), refused]));
    assert!(message.starts_with(expected), "{message}");
    assert!(!message.contains("put back"), "refused before anything is written: {message}");
    assert_eq!(workspace.read("first"), "first\n");
    assert_eq!(workspace.entries(), entries, "nothing is left over");
}

#[test]
fn a_file_that_changed_since_it_was_read_is_refused() {
    let workspace = Workspace::with(&[("a", "edited\n")]);
    assert_refused(&workspace, change("a", "read\n", "new\n"), "a changed since it was read");
    assert_eq!(workspace.read("a"), "edited\n");
}

#[test]
fn paths_out_of_the_root_are_refused() {
    let outer = Workspace::with(&[("outside", "a\n"), ("root/inside", "a\n")]);
    for path in ["../outside", "/etc/hostname", "inside/../../outside"] {
        let message = refusal(write_all(&outer.path("root"), &[change(path, "a\n", "b\n")]));
        assert!(message.contains("leads out of") || message.contains("cannot read"), "{message}");
    }
    assert_eq!(outer.read("outside"), "a\n");
}

#[test]
fn what_is_missing_or_no_file_is_refused() {
    let workspace = Workspace::with(&[("directory/x", "a\n")]);
    assert_refused(&workspace, change("missing", "a\n", "b\n"), "cannot read missing: ");
    assert_refused(&workspace, change("missing/x", "a\n", "b\n"), "cannot read missing/x: ");
    assert_refused(&workspace, change("directory", "a\n", "b\n"), "directory is not a regular file");
    assert_refused(&workspace, change("", "a\n", "b\n"), " is not a regular file");
}

#[test]
fn a_message_holds_no_control_characters() {
    let workspace = Workspace::with(&[("e\u{1b}[2J\n", "edited\n")]);
    assert_refused(&workspace, change("e\u{1b}[2J\n", "a\n", "b\n"), "e\\u{1b}[2J\\n changed since");
}

#[test]
fn new_files_are_made_with_their_directory() {
    let workspace = Workspace::new();
    let files = [("0010-a.patch".to_owned(), "a\n".to_owned()), ("0020-b.patch".to_owned(), "b\n".to_owned())];
    let directory = workspace.path("out/patches");
    write_new(&directory, &files).unwrap();
    assert_eq!(workspace.read("out/patches/0010-a.patch"), "a\n");
    assert_eq!(workspace.read("out/patches/0020-b.patch"), "b\n");
    // The same again changes nothing, and completes what is incomplete.
    fs::remove_file(workspace.path("out/patches/0010-a.patch")).unwrap();
    write_new(&directory, &files).unwrap();
    assert_eq!(workspace.entries(), ["out", "out/patches", "out/patches/0010-a.patch", "out/patches/0020-b.patch"]);
}

#[test]
fn new_files_replace_nothing() {
    let workspace = Workspace::with(&[("0020-b.patch", "mine\n")]);
    let files = [("0010-a.patch".to_owned(), "a\n".to_owned()), ("0020-b.patch".to_owned(), "b\n".to_owned())];
    let message = refusal(write_new(workspace.root(), &files));
    assert!(message.ends_with("0020-b.patch is there already, with another text; it was left alone"), "{message}");
    assert_eq!(workspace.entries(), ["0020-b.patch"]);
    assert_eq!(workspace.read("0020-b.patch"), "mine\n");
}

#[test]
fn new_files_have_plain_names() {
    let workspace = Workspace::new();
    for name in ["", ".", "..", "a/b", "../a", "/a", "a/"] {
        let message = refusal(write_new(&workspace.path("out"), &[(name.to_owned(), "a\n".to_owned())]));
        assert!(message.ends_with("is not a file name"), "{message}");
    }
    assert!(workspace.entries().is_empty());
}

#[test]
fn a_file_in_place_of_the_directory_is_refused() {
    let workspace = Workspace::with(&[("out", "a file\n")]);
    refusal(write_new(&workspace.path("out"), &[("a.patch".to_owned(), "a\n".to_owned())]));
    assert_eq!(workspace.read("out"), "a file\n");
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    #[test]
    fn mode_and_owner_are_kept() {
        let workspace = Workspace::with(&[("a", "a\n")]);
        let path = workspace.path("a");
        // Only root may give a file away; anyone else sees that their own file stays theirs.
        let given_away = chown(&path, Some(12345), Some(54321)).is_ok();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).unwrap();
        let before = fs::metadata(&path).unwrap();
        write_all(workspace.root(), &[change("a", "a\n", "b\n")]).unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!(workspace.read("a"), "b\n");
        assert_eq!(after.mode() & 0o7777, 0o4751);
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
        assert!(!given_away || after.uid() == 12345);
        assert_ne!(after.ino(), before.ino(), "a new file, so that nobody read half of one");
    }

    #[test]
    fn patches_can_be_read_by_others() {
        let workspace = Workspace::new();
        write_new(workspace.root(), &[("a.patch".to_owned(), "a\n".to_owned())]).unwrap();
        assert_eq!(fs::metadata(workspace.path("a.patch")).unwrap().mode() & 0o777, 0o644);
    }

    #[test]
    fn a_read_only_file_is_refused() {
        let workspace = Workspace::with(&[("a", "a\n")]);
        fs::set_permissions(workspace.path("a"), fs::Permissions::from_mode(0o444)).unwrap();
        assert_refused(&workspace, change("a", "a\n", "b\n"), "a is read-only");
        assert_eq!(workspace.read("a"), "a\n");
    }

    #[test]
    fn a_link_within_the_root_is_written_through() {
        let workspace = Workspace::with(&[("real/Dockerfile", "a\n")]);
        symlink("real/Dockerfile", workspace.path("Dockerfile")).unwrap();
        symlink("real", workspace.path("linked")).unwrap();
        write_all(workspace.root(), &[change("Dockerfile", "a\n", "b\n")]).unwrap();
        assert_eq!(workspace.read("real/Dockerfile"), "b\n");
        write_all(workspace.root(), &[change("linked/Dockerfile", "b\n", "c\n")]).unwrap();
        assert_eq!(workspace.read("real/Dockerfile"), "c\n");
        assert!(workspace.path("Dockerfile").is_symlink() && workspace.path("linked").is_symlink());
        assert_eq!(workspace.entries(), ["Dockerfile", "linked", "real", "real/Dockerfile"]);
    }

    #[test]
    fn a_link_and_its_target_are_one_file() {
        let workspace = Workspace::with(&[("real", "a\n")]);
        symlink("real", workspace.path("link")).unwrap();
        let differently = [change("link", "a\n", "b\n"), change("real", "a\n", "c\n")];
        let message = refusal(write_all(workspace.root(), &differently));
        assert_eq!(message, "link and real are one file, but would be changed differently");
        assert_eq!(workspace.read("real"), "a\n");
        write_all(workspace.root(), &[change("link", "a\n", "b\n"), change("real", "a\n", "b\n")]).unwrap();
        assert_eq!(workspace.read("real"), "b\n");
    }

    #[test]
    fn a_link_out_of_the_root_is_refused() {
        let outside = Workspace::with(&[("Dockerfile", "a\n")]);
        let workspace = Workspace::new();
        symlink(outside.path("Dockerfile"), workspace.path("file")).unwrap();
        symlink(outside.root(), workspace.path("directory")).unwrap();
        symlink("nowhere", workspace.path("dangling")).unwrap();
        symlink("loop", workspace.path("loop")).unwrap();
        assert_refused(&workspace, change("file", "a\n", "b\n"), "file leads out of ");
        assert_refused(&workspace, change("directory/Dockerfile", "a\n", "b\n"), "directory/Dockerfile leads out of ");
        assert_refused(&workspace, change("dangling", "a\n", "b\n"), "cannot read dangling: ");
        assert_refused(&workspace, change("loop", "a\n", "b\n"), "cannot read loop: ");
        assert_eq!(outside.read("Dockerfile"), "a\n");
    }

    #[test]
    fn the_root_itself_may_be_a_link() {
        let workspace = Workspace::with(&[("real/a", "a\n")]);
        symlink("real", workspace.path("root")).unwrap();
        write_all(&workspace.path("root"), &[change("a", "a\n", "b\n")]).unwrap();
        assert_eq!(workspace.read("real/a"), "b\n");
    }
}

/// Faults that take a file system's help. Each runs in a mount namespace of its own, where even root meets a read-only mount.
#[cfg(target_os = "linux")]
mod mounted {
    use super::*;

    /// Set in the process that runs inside the namespace: the root to write below.
    const ROOT: &str = "UNROOT_TEST_ROOT";

    /// Runs `test` of this binary again after `mounts`, a shell command with the workspace as its directory.
    fn in_namespace(test: &str, workspace: &Workspace, mounts: &str) {
        let script = format!("cd \"${ROOT}\" && {mounts} && exec \"$0\" --exact {test} --nocapture");
        let arguments = ["--map-root-user", "--mount", "sh", "-c", &script];
        let output = Command::new("unshare")
            .args(arguments)
            .arg(std::env::current_exe().unwrap())
            .env(ROOT, workspace.root())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("unshare:") || said.contains("mount:") {
            println!("not run: no mount namespace here ({})", said.trim());
            assert!(std::env::var_os("CI").is_none(), "{said}");
            return;
        }
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && told.contains("1 passed"), "{told}{said}");
    }

    fn changes() -> [FileChange; 3] {
        ["first", "sub/second", "third"].map(|path| change(path, "before\n", "after\n"))
    }

    fn workspace() -> Workspace {
        Workspace::with(&[("first", "before\n"), ("sub/second", "before\n"), ("third", "before\n")])
    }

    fn assert_untouched(root: &Path) {
        for change in changes() {
            assert_eq!(fs::read_to_string(root.join(&change.path)).unwrap(), "before\n", "{}", change.path);
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_refused() {
        if let Some(root) = std::env::var_os(ROOT) {
            let message = refusal(write_all(Path::new(&root), &changes()));
            assert!(message.starts_with("cannot write sub/second: Read-only file system"), "{message}");
            assert_untouched(Path::new(&root));
            return;
        }
        let workspace = workspace();
        let test = "mounted::a_directory_that_cannot_be_written_is_refused";
        in_namespace(test, &workspace, "mount --bind sub sub && mount -o remount,ro,bind sub");
        assert_eq!(workspace.entries(), ["first", "sub", "sub/second", "third"]);
    }

    #[test]
    fn a_rename_that_fails_puts_the_first_files_back() {
        if let Some(root) = std::env::var_os(ROOT) {
            // A mount point can be staged beside, but not renamed over.
            let message = refusal(write_all(Path::new(&root), &changes()));
            assert!(message.starts_with("cannot write sub/second: "), "{message}");
            assert!(message.ends_with("; the file already written was put back"), "{message}");
            assert_untouched(Path::new(&root));
            return;
        }
        let workspace = workspace();
        let test = "mounted::a_rename_that_fails_puts_the_first_files_back";
        in_namespace(test, &workspace, "mount --bind sub/second sub/second");
        assert_eq!(workspace.entries(), ["first", "sub", "sub/second", "third"]);
    }

    #[test]
    fn a_full_disk_leaves_everything_as_it_was() {
        if let Some(root) = std::env::var_os(ROOT) {
            let root = Path::new(&root);
            fs::write(root.join("full/small"), "before\n").unwrap();
            let large = "x".repeat(1 << 20);
            let files = [change("first", "before\n", "after\n"), change("full/small", "before\n", &large)];
            let message = refusal(write_all(root, &files));
            assert!(message.starts_with("cannot write full/small: No space left on device"), "{message}");
            assert_eq!(fs::read_to_string(root.join("full/small")).unwrap(), "before\n");
            assert_eq!(fs::read_dir(root.join("full")).unwrap().count(), 1);
            assert_untouched(root);
            return;
        }
        let workspace = workspace();
        fs::create_dir(workspace.path("full")).unwrap();
        let test = "mounted::a_full_disk_leaves_everything_as_it_was";
        in_namespace(test, &workspace, "mount -t tmpfs -o size=64k tmpfs full");
        assert_eq!(workspace.entries(), ["first", "full", "sub", "sub/second", "third"]);
    }

    #[test]
    fn a_place_where_nobody_can_make_files_is_refused() {
        // `comm` is writable, but nothing can be staged beside it, not even by root.
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        let message = refusal(write_all(Path::new("/proc/self"), &[change("comm", &name, "other\n")]));
        assert!(message.starts_with("cannot write comm: "), "{message}");
        assert_eq!(fs::read_to_string("/proc/self/comm").unwrap(), name);
    }
}
