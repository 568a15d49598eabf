//! The real binary, started apart from the settings of whoever runs the tests.

use assert_cmd::Command;
use std::ffi::OsStr;
use std::path::Path;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `unroot` with these arguments in `directory` and without any environment but a home that does not exist and an empty cache.
#[track_caller]
pub(crate) fn unroot(directory: &Path, arguments: &[&str]) -> Ended {
    unroot_with(directory, arguments, &[])
}

/// The same with these variables.
#[track_caller]
pub(crate) fn unroot_with(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    run(tempfile::tempdir().unwrap().path(), directory, arguments, variables)
}

/// The same with a cache that other runs may have filled.
#[track_caller]
pub(crate) fn unroot_with_cache(cache: &Path, directory: &Path, arguments: &[impl AsRef<OsStr>]) -> Ended {
    run(cache, directory, arguments, &[])
}

#[track_caller]
fn run(cache: &Path, directory: &Path, arguments: &[impl AsRef<OsStr>], variables: &[(&str, &str)]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_unroot"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory.join("no-such-home"))
        .env("XDG_CACHE_HOME", cache)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}"));
    Ended { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}
