//! The image of the helper containers: this program, with the loader and libraries that it needs, and nothing else.
#![allow(clippy::disallowed_methods, reason = "the image is put together in the run's throw-away folder")]

use super::failed::last_words;
use super::held::{Held, Thing};
use super::sweep::BUILDS;
use super::{Engine, Kind};
use crate::prove::{Failure, Result};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the program is in the image.
const PROGRAM: &str = "/unroot";

/// Builds the image of a run in its folder.
pub(super) fn build(engine: &Engine, folder: &Path, program: &Path) -> Result<Held> {
    if !cfg!(target_os = "linux") {
        return Err(Failure::new("a proof runs on Linux: its helper containers run this program itself"));
    }
    let context = folder.join("helper");
    let root = context.join("root");
    fs::create_dir_all(&root)?;
    put(program, &root, Path::new(PROGRAM))?;
    let mut places = BTreeSet::new();
    if let Some(loader) = loader(&fs::read(program)?) {
        put(&loader, &root, &loader)?;
        for library in libraries(&loader, program)? {
            put(&library, &root, &library)?;
            places.extend(library.parent().map(|folder| folder.display().to_string()));
        }
    }
    let places: Vec<String> = places.into_iter().collect();
    let lines = [
        "FROM scratch".to_owned(),
        // First, so that the image of every step bears it.
        format!("LABEL {}", engine.label()),
        "COPY root/ /".to_owned(),
        format!("ENV LD_LIBRARY_PATH=\"{}\"", places.join(":")),
        format!("ENTRYPOINT [\"{PROGRAM}\", \"prove:inside\"]"),
    ];
    fs::write(context.join("Dockerfile"), lines.join("\n") + "\n")?;
    let logs = folder.join(BUILDS);
    let log = if logs.is_dir() { logs.join("helper") } else { context.join("log") };
    let held = Held::new(engine, Thing::Image, engine.helper_image());
    let call = || {
        let call = engine.call("build").args(["--tag", held.name()]);
        if engine.kind == Kind::Podman { call.arg("--layers=false") } else { call }
    };
    let mut said = String::new();
    if !engine.attempts(held.name(), call, &context, &log, &mut said)? {
        let said = last_words(&said);
        return Err(Failure::new(format!("the image of the helper containers cannot be built: {said}")));
    }
    fs::remove_dir_all(&context)?;
    Ok(held)
}

/// Puts a file at its place below `root`; what a link leads to, not the link.
fn put(file: &Path, root: &Path, place: &Path) -> Result<()> {
    let place = root.join(place.strip_prefix("/").unwrap_or(place));
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let cannot = |error| Failure::new(format!("cannot copy {}: {error}", file.display()));
    fs::copy(file, &place).map_err(cannot)?;
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The loader that a program of 64 bits names, `None` where it is linked statically (PT_INTERP, elf(5)).
fn loader(program: &[u8]) -> Option<PathBuf> {
    const INTERPRETER: u32 = 3;
    let little = *program.get(5)? == 1;
    let bytes = |at: usize, length: usize| -> Option<u64> {
        let field = program.get(at..at.checked_add(length)?)?.iter();
        let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if little { field.rev().fold(0, join) } else { field.fold(0, join) })
    };
    let number = |at: usize, length: usize| usize::try_from(bytes(at, length)?).ok();
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let header = (0..count)
        .map(|index| table + index * size)
        .find(|header| bytes(*header, 4) == Some(u64::from(INTERPRETER)))?;
    let (start, length) = (number(header + 8, 8)?, number(header + 32, 8)?);
    let name = program.get(start..start.checked_add(length)?)?;
    Some(PathBuf::from(std::str::from_utf8(name).ok()?.trim_end_matches('\0')))
}

/// The libraries that the loader finds for the program, as it lists them: `NAME => PATH (ADDRESS)`, or a path alone.
fn libraries(loader: &Path, program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new(loader).arg("--list").arg(program).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let program = program.display();
        return Err(Failure::new(format!("{} cannot tell the libraries of {program}", loader.display())));
    }
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let path = |line: &str| {
        let place = line.split_once("=>").map_or(line, |(_, place)| place);
        let place = place.rsplit_once(" (").map_or(place, |(place, _)| place).trim();
        place.starts_with('/').then(|| PathBuf::from(place))
    };
    Ok(listed.lines().filter_map(path).filter(|library| library != loader).collect())
}

#[cfg(test)]
mod tests {
    use super::loader;

    #[test]
    fn the_loader_of_this_test_is_there() {
        let program = std::fs::read("/proc/self/exe").unwrap_or_default();
        assert!(loader(&program).is_none_or(|loader| loader.exists()));
        assert_eq!(loader(b"\x7fELF"), None);
        assert_eq!(loader(b""), None);
    }
}
