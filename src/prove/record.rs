//! What is remembered of a proof, so that a later series of patches can tell of it.
//!
//! A record counts for the very tree that was proved: every file below the root, `.git` apart, the changes of the run, whatever else was read, and the
//! version of this program. Whatever of it became another, there is no record. What tags of images stood for is not part of it, as it is in no file.

use super::proof::Proof;
use super::totals::{Conclusion, Totals};
use crate::pipeline::FileChange;
use crate::registry::{Storage, lock};
use crate::source::printable;
use crate::transforms::ALL;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The version of what is written, in the names of records: another one does not see them.
const VERSION: u32 = 1;

/// How much of a file is in memory at a time, in bytes.
const PIECE: usize = 1 << 16;

/// Longest name of an engine that a patch tells, in characters.
const ENGINE_LENGTH: usize = 60;

type Hash = [u8; 32];

/// What a proof rests on, at one moment. Taken before the files of the tree are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    tree: Hash,
    /// The files beside the tree, by path, each with its hash.
    further: BTreeMap<String, String>,
}

/// What is kept.
#[derive(PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    tree: String,
    further: BTreeMap<String, String>,
    engine: String,
    totals: Totals,
}

impl Basis {
    /// Reads all of it: the files below `root`, and `further` ones that were named for the proof.
    ///
    /// # Errors
    /// What the system says where one cannot be read. A further one that is no file (a pipe can be read once) or whose name is no text is such, too.
    pub fn of(root: &Path, further: &[PathBuf]) -> io::Result<Self> {
        let further = further.iter().map(|path| {
            let path = path.canonicalize()?;
            if !path.is_file() {
                return Err(io::Error::from(io::ErrorKind::InvalidInput));
            }
            let hash = hex(&file_hash(&path, &mut vec![0; PIECE])?);
            let path =
                path.into_os_string().into_string().map_err(|_| io::Error::from(io::ErrorKind::InvalidFilename))?;
            Ok((path, hash))
        });
        let further = further.collect::<io::Result<_>>()?;
        Ok(Self { tree: tree_hash(root)?, further })
    }
}

/// Keeps what came of the proof of these changes, provided that it rests on what it did when it began. Whether there is a record now: one that does not
/// hold takes an earlier one away.
pub fn keep(storage: &dyn Storage, root: &Path, changes: &[FileChange], before: &Basis, proof: &Proof) -> bool {
    let name = name(root, changes);
    if Conclusion::of(proof) != Conclusion::Holds {
        storage.write(&name, b"");
        return false;
    }
    let further: Vec<PathBuf> = before.further.keys().map(PathBuf::from).collect();
    if Basis::of(root, &further).ok().as_ref() != Some(before) {
        return false;
    }
    let record = Record {
        tree: hex(&before.tree),
        further: before.further.clone(),
        engine: proof.engine.clone(),
        totals: Totals::of(proof),
    };
    let Ok(text) = serde_json::to_vec(&record) else { return false };
    storage.write(&name, &text);
    true
}

/// The line for the last patch of a series of these changes, in the form of a git trailer: where all of it was proved as it is now.
///
/// Files are hashed only where there is a record.
pub fn trailer(storage: &dyn Storage, root: &Path, changes: &[FileChange]) -> Option<String> {
    let record: Record = serde_json::from_slice(&storage.read(&name(root, changes))?).ok()?;
    let mut buffer = vec![0; PIECE];
    let is_as_it_was =
        |(path, hash): (&String, &String)| file_hash(Path::new(path), &mut buffer).is_ok_and(|now| hex(&now) == *hash);
    let holds = record.totals.breaks == 0 && record.totals.answers.max(record.totals.stays_up) > 0;
    if !holds || !record.further.iter().all(is_as_it_was) || hex(&tree_hash(root).ok()?) != record.tree {
        return None;
    }
    let engine: String = printable(&record.engine).chars().take(ENGINE_LENGTH).collect();
    Some(format!("Proved-by: unroot prove with {engine}, whole series, {}", record.totals.in_words()))
}

/// Where the record of these changes lies. Cheap, so that a run without a record costs nothing.
fn name(root: &Path, changes: &[FileChange]) -> String {
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(env!("CARGO_PKG_VERSION").as_bytes());
    part(root.as_os_str().as_encoded_bytes());
    // The lock tells times, and what it decides is in the other files.
    for change in changes.iter().filter(|change| change.path != lock::FILE_NAME) {
        part(change.path.as_bytes());
        part(change.before.as_deref().unwrap_or_default().as_bytes());
        part(change.after.as_bytes());
    }
    format!("proofs-{VERSION}/{}", hex(&hasher.finalize().into()))
}

/// A hash of everything below `root` but what is called `.git`: names, permissions, contents, and where links lead, which are not followed. Patches that
/// this program wrote, and a folder that holds nothing else, are taken as not being there: `--patches` may be asked twice.
///
/// # Errors
/// What the system says where something cannot be read.
pub fn tree_hash(root: &Path) -> io::Result<[u8; 32]> {
    let mut entries = Vec::new();
    collect(root, &mut entries)?;
    entries.sort_unstable_by(|(left, _), (right, _)| left.as_os_str().cmp(right.as_os_str()));
    let hashes: io::Result<Vec<Hash>> = entries
        .par_iter()
        .map_init(|| vec![0; PIECE], |buffer, (path, metadata)| entry_hash(root, path, metadata, buffer))
        .collect();
    let mut hasher = Sha256::new();
    hashes?.iter().for_each(|hash| hasher.update(hash));
    Ok(hasher.finalize().into())
}

/// Adds what is below a directory. Whether it holds more than patches; an empty one does.
fn collect(directory: &Path, entries: &mut Vec<(PathBuf, Metadata)>) -> io::Result<bool> {
    let (mut counted, mut left_out) = (false, false);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == ".git" {
            continue;
        }
        // Of a link, the link.
        let metadata = entry.metadata()?;
        let is_left_out = match metadata.is_dir() {
            true => !collect(&entry.path(), entries)?,
            false => name.to_str().is_some_and(is_patch),
        };
        if is_left_out {
            left_out = true;
        } else {
            counted = true;
            entries.push((entry.path(), metadata));
        }
    }
    Ok(counted || !left_out)
}

/// Whether a file has the name of a patch of this program, `0030-switch-user.patch`.
fn is_patch(name: &str) -> bool {
    let parts = name.strip_suffix(".patch").and_then(|name| name.split_once('-'));
    parts.is_some_and(|(number, id)| {
        let is_known = id == "lock" || ALL.iter().any(|transform| transform.metadata().id == id);
        number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()) && is_known
    })
}

fn entry_hash(root: &Path, path: &Path, metadata: &Metadata, buffer: &mut [u8]) -> io::Result<Hash> {
    let kind = metadata.file_type();
    let (letter, content) = if kind.is_file() {
        (b'f', file_hash(path, buffer)?.to_vec())
    } else if kind.is_symlink() {
        (b'l', fs::read_link(path)?.as_os_str().as_encoded_bytes().to_vec())
    } else if kind.is_dir() {
        (b'd', Vec::new())
    } else {
        // A pipe or a device is never opened, and no build sees it.
        (b'o', Vec::new())
    };
    let name = path.strip_prefix(root).unwrap_or(path).as_os_str().as_encoded_bytes();
    let mut hasher = Sha256::new();
    hasher.update([letter]);
    hasher.update(permissions(metadata).to_le_bytes());
    hasher.update((name.len() as u64).to_le_bytes());
    hasher.update(name);
    hasher.update(content);
    Ok(hasher.finalize().into())
}

/// All of them, as images get them by COPY: who may read and write decides what works without root.
#[cfg(unix)]
fn permissions(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    // A link has none that count.
    if metadata.is_symlink() { 0 } else { metadata.permissions().mode() & 0o7777 }
}

#[cfg(not(unix))]
fn permissions(_metadata: &Metadata) -> u32 {
    0
}

fn file_hash(path: &Path, buffer: &mut [u8]) -> io::Result<Hash> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(length) => hasher.update(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prove::judge::Demand;
    use crate::prove::proof::{Cause, Diagnosis, Outcome, WorkloadProof};
    use crate::source::Position;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

    impl Storage for Memory {
        fn read(&self, name: &str) -> Option<Vec<u8>> {
            self.0.lock().unwrap().get(name).cloned()
        }

        fn write(&self, name: &str, bytes: &[u8]) {
            self.0.lock().unwrap().insert(name.to_owned(), bytes.to_vec());
        }
    }

    fn proof(outcome: Outcome) -> Proof {
        let workload = WorkloadProof {
            workload: "Pod/a".to_owned(),
            path: "a.yaml".to_owned(),
            position: Position { line: 1, column: 1 },
            outcome,
            before: Vec::new(),
            after: Vec::new(),
            old_disks: None,
            missing: Vec::new(),
        };
        Proof { engine: "podman 4.3.1".to_owned(), builds: Vec::new(), workloads: vec![workload] }
    }

    fn holds() -> Proof {
        proof(Outcome::Holds { demand: Demand::Answers, because: None })
    }

    fn change(after: &str) -> Vec<FileChange> {
        vec![FileChange { path: "a.yaml".to_owned(), before: Some("a".into()), after: after.into() }]
    }

    /// A storage with the record of a proof of "b", and the tree.
    fn proved() -> (Memory, tempfile::TempDir) {
        let (storage, tree) = (Memory::default(), tempfile::tempdir().unwrap());
        let basis = Basis::of(tree.path(), &[]).unwrap();
        assert!(keep(&storage, tree.path(), &change("b"), &basis, &holds()));
        (storage, tree)
    }

    #[test]
    fn a_record_is_of_one_plan_and_one_root() {
        let (storage, tree) = proved();
        let line = trailer(&storage, tree.path(), &change("b"));
        let expected = "Proved-by: unroot prove with podman 4.3.1, whole series, 1 workload: 1 answers";
        assert_eq!(line.as_deref(), Some(expected));
        assert_eq!(trailer(&storage, tree.path(), &change("c")), None);
        assert_eq!(trailer(&storage, tree.path(), &[]), None);
        let other = tempfile::tempdir().unwrap();
        assert_eq!(trailer(&storage, other.path(), &change("b")), None);
        // The lock has the time of each answer.
        let lock = FileChange { path: lock::FILE_NAME.to_owned(), before: None, after: "now".into() };
        let with_lock = [change("b"), vec![lock]].concat();
        assert_eq!(trailer(&storage, tree.path(), &with_lock), line);
    }

    #[test]
    fn a_later_proof_that_fails_takes_the_record_away() {
        let (storage, tree) = proved();
        let basis = Basis::of(tree.path(), &[]).unwrap();
        let diagnosis = Diagnosis {
            container: None,
            failure: String::new(),
            cause: Cause::Unknown,
            remedy: String::new(),
            field: None,
            unwritable: Vec::new(),
            place: None,
        };
        for failing in [Outcome::Breaks(diagnosis), Outcome::NotRun { reason: String::new() }] {
            assert!(keep(&storage, tree.path(), &change("b"), &basis, &holds()));
            assert!(!keep(&storage, tree.path(), &change("b"), &basis, &proof(failing)));
            assert_eq!(trailer(&storage, tree.path(), &change("b")), None);
        }
    }

    #[test]
    fn a_tree_that_changes_meanwhile_leaves_no_record() {
        let (storage, tree) = (Memory::default(), tempfile::tempdir().unwrap());
        let basis = Basis::of(tree.path(), &[]).unwrap();
        let _empty = tempfile::tempdir_in(tree.path()).unwrap();
        assert!(!keep(&storage, tree.path(), &change("b"), &basis, &holds()));
        assert_eq!(trailer(&storage, tree.path(), &change("b")), None);
    }

    #[test]
    fn further_files_count() {
        let (storage, tree) = (Memory::default(), tempfile::tempdir().unwrap());
        let further = tempfile::NamedTempFile::new().unwrap();
        let basis = Basis::of(tree.path(), &[further.path().to_owned()]).unwrap();
        assert!(keep(&storage, tree.path(), &change("b"), &basis, &holds()));
        assert!(trailer(&storage, tree.path(), &change("b")).is_some());
        io::Write::write_all(&mut further.as_file(), b"x").unwrap();
        assert_eq!(trailer(&storage, tree.path(), &change("b")), None);
        drop(further);
        assert_eq!(trailer(&storage, tree.path(), &change("b")), None);
        assert!(Basis::of(tree.path(), &[PathBuf::from("/dev/null")]).is_err());
    }

    #[test]
    fn a_damaged_record_is_none() {
        let (storage, tree) = proved();
        let name = name(tree.path(), &change("b"));
        let whole = storage.read(&name).unwrap();
        for length in 0..whole.len() {
            storage.write(&name, &whole[..length]);
            assert_eq!(trailer(&storage, tree.path(), &change("b")), None, "{length}");
        }
        let text = String::from_utf8(whole).unwrap();
        let engine = format!("x\\u001b[2J\\n---\\n{}", "y".repeat(1000));
        for (damaged, is_none) in [
            (text.replace("\"breaks\":0", "\"breaks\":1"), true),
            (text.replace("\"answers\":1", "\"answers\":0"), true),
            (text.replace("\"not-run\":0", &format!("\"not-run\":{}", usize::MAX)), false),
            (text.replace("podman 4.3.1", &engine), false),
        ] {
            assert_ne!(damaged, text);
            storage.write(&name, damaged.as_bytes());
            let line = trailer(&storage, tree.path(), &change("b"));
            assert_eq!(line.is_none(), is_none, "{line:?}");
            assert!(line.is_none_or(|line| line.len() < 200 && !line.contains(char::is_control)));
        }
    }

    #[test]
    fn patches_of_this_program_have_its_names() {
        for (name, is_one) in [
            ("0030-switch-user.patch", true),
            ("9999-lock.patch", true),
            ("0030-else.patch", false),
            ("30-switch-user.patch", false),
            ("0030-switch-user", false),
            ("é030-switch-user.patch", false),
        ] {
            assert_eq!(is_patch(name), is_one, "{name}");
        }
    }
}
