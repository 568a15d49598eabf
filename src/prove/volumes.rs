//! Volumes as the kubelet makes them on a node: who owns them, with which mode, and what `fsGroup` changes.
//!
//! Ownership can be given by root only, so this runs where root is: on a node of the lab, or in a container.
#![allow(clippy::disallowed_methods, reason = "volumes are made in a folder that lives as long as a proof")]

use super::objects::{Data, MapVolume, PodSecurityContext, Volume, Workload};
use super::{Failure, Result};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

/// Makes every volume of the workload's pod; the folder of each by its name. `own` is the pod's own folder; `claims` is shared by all pods of a
/// cluster, as disks are.
///
/// # Errors
/// A kind of volume that is not made here, data that no manifest has, and what the system says.
pub fn prepare(workload: &Workload, data: &Data, own: &Path, claims: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let security = &workload.pod.security_context;
    let mut prepared = BTreeMap::new();
    for volume in &workload.pod.volumes {
        prepared.insert(volume.name.clone(), one(volume, data, security, own, claims)?);
    }
    for template in &workload.claim_templates {
        let folder = disk(claims, &format!("{template}-{}-0", workload.name))?;
        share(&folder, security, false)?;
        prepared.insert(template.clone(), folder);
    }
    Ok(prepared)
}

/// The place of a `subPath` below a volume. One that is missing is made as root, with the mode of the volume (SafeMakeDir).
///
/// # Errors
/// What the system says, and a path that leads out of the volume.
pub fn sub_path(volume: &Path, sub_path: &str) -> Result<PathBuf> {
    if Path::new(sub_path).components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
        return Err(Failure::new(format!("subPath {sub_path} leads out of its volume")));
    }
    let place = volume.join(sub_path);
    if !place.exists() {
        fs::create_dir_all(&place)?;
        let mode = fs::metadata(volume)?.permissions().mode();
        fs::set_permissions(&place, fs::Permissions::from_mode(mode & 0o777))?;
    }
    Ok(place)
}

/// The files of a service account, of which none opens anything.
///
/// # Errors
/// What the system says.
pub fn service_account(own: &Path) -> Result<PathBuf> {
    let folder = own.join("serviceaccount");
    fs::create_dir_all(&folder)?;
    for (name, content) in [("token", "not-a-token"), ("ca.crt", ""), ("namespace", "default")] {
        fs::write(folder.join(name), content)?;
    }
    Ok(folder)
}

fn one(volume: &Volume, data: &Data, security: &PodSecurityContext, own: &Path, claims: &Path) -> Result<PathBuf> {
    let folder = own.join("volumes").join(&volume.name);
    if let Some(claim) = &volume.persistent_volume_claim {
        let folder = disk(claims, &claim.claim_name)?;
        share(&folder, security, false)?;
        return Ok(folder);
    }
    if let Some(host) = &volume.host_path {
        // A folder in the place of the node's own: made as DirectoryOrCreate makes it, and fsGroup does not touch it.
        return disk(claims, &host.path.replace('/', "_"));
    }
    fs::create_dir_all(&folder)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
    if let Some(map) = volume.config_map.as_ref() {
        write(&folder, map, data, "ConfigMap")?;
        share(&folder, security, true)?;
        return Ok(folder);
    }
    if let Some(map) = volume.secret.as_ref() {
        write(&folder, map, data, "Secret")?;
        share(&folder, security, true)?;
        return Ok(folder);
    }
    if volume.empty_dir.is_none() {
        return Err(Failure::new(format!("volume {}: a kind that is not made here", volume.name)));
    }
    share(&folder, security, false)?;
    Ok(folder)
}

/// The folder behind a claim: root's, mode 0755, like a new disk; it is made once and kept.
fn disk(claims: &Path, name: &str) -> Result<PathBuf> {
    let folder = claims.join(name);
    if !folder.exists() {
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    }
    Ok(folder)
}

/// Copies disks with their owners and modes. Sockets and pipes stay behind: nobody is at their other end any more.
///
/// # Errors
/// What the system says.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut open = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = open.pop() {
        let Ok(metadata) = fs::symlink_metadata(&from) else { continue };
        if metadata.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
        } else if metadata.is_dir() {
            fs::create_dir_all(&to)?;
            for entry in fs::read_dir(&from)? {
                let entry = entry?;
                open.push((entry.path(), to.join(entry.file_name())));
            }
        } else if metadata.is_file() {
            copy_data(&from, &to, metadata.len())?;
        } else {
            continue;
        }
        lchown(&to, Some(metadata.uid()), Some(metadata.gid()))?;
        if !metadata.is_symlink() {
            // A change of the owner takes the bits beside read, write and execute away.
            fs::set_permissions(&to, metadata.permissions())?;
        }
    }
    Ok(())
}

/// Copies what a file of this length holds, and leaves its holes out: databases have files that are far longer than any disk.
fn copy_data(from: &Path, to: &Path, length: u64) -> Result<()> {
    let (mut source, mut target) = (File::open(from)?, File::create(to)?);
    let mut at = 0;
    while at < length {
        let start = match seek(&source, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(error) => return Err(io::Error::from(error).into()),
        };
        let end = seek(&source, SeekFrom::Hole(start)).map_err(io::Error::from)?;
        source.seek(io::SeekFrom::Start(start))?;
        target.seek(io::SeekFrom::Start(start))?;
        io::copy(&mut (&source).take(end - start), &mut target)?;
        at = end;
    }
    Ok(target.set_len(length)?)
}

fn write(folder: &Path, map: &MapVolume, data: &Data, kind: &str) -> Result<()> {
    let Some(content) = data.get(&(kind.to_owned(), map.name.clone())) else {
        return if map.optional {
            Ok(())
        } else {
            Err(Failure::new(format!("{kind} {} is not in the manifests", map.name)))
        };
    };
    let all: Vec<(&str, &str)> = if map.items.is_empty() {
        content.keys().map(|key| (key.as_str(), key.as_str())).collect()
    } else {
        map.items.iter().map(|item| (item.key.as_str(), item.path.as_str())).collect()
    };
    for (key, path) in all {
        let Some(bytes) = content.get(key) else {
            return Err(Failure::new(format!("{kind} {} has no key {key}", map.name)));
        };
        let file = folder.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, bytes)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(map.default_mode.unwrap_or(0o644)))?;
    }
    Ok(())
}

/// `SetVolumeOwnership` of the kubelet's pkg/volume: the group of everything becomes `fsGroup`, which may read and write (only
/// read, where the volume is read-only), and folders hand their group on. `OnRootMismatch` looks at the top folder alone.
fn share(folder: &Path, security: &PodSecurityContext, read_only: bool) -> Result<()> {
    const SETGID: u32 = 0o2000;
    let Some(group) = security.fs_group else { return Ok(()) };
    let file_bits = if read_only { 0o440 } else { 0o660 };
    let folder_bits = file_bits | 0o110 | SETGID;
    let top = fs::metadata(folder)?;
    let matches = top.gid() == group && top.mode() & folder_bits == folder_bits;
    if matches && security.fs_group_change_policy.as_deref() == Some("OnRootMismatch") {
        return Ok(());
    }
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path)?;
        lchown(&path, None, Some(group))?;
        if metadata.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        }
        if !metadata.is_symlink() {
            let bits = if metadata.is_dir() { folder_bits } else { file_bits };
            fs::set_permissions(&path, fs::Permissions::from_mode(metadata.mode() | bits))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::copy;
    use std::fs::{self, File};
    use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    #[test]
    fn disks_are_copied_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("data/empty")).unwrap();
        fs::write(from.join("data/file"), "text").unwrap();
        fs::set_permissions(from.join("data/file"), fs::Permissions::from_mode(0o4640)).unwrap();
        for (folder, mode) in [("data/empty", 0o700), ("data", 0o2750)] {
            fs::set_permissions(from.join(folder), fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("/nowhere", from.join("link")).unwrap();
        let _socket = UnixListener::bind(from.join("socket")).unwrap();
        // A terabyte, of which there is one page in the middle.
        let sparse = File::create(from.join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        sparse.write_all_at(b"here", 1 << 30).unwrap();

        copy(&from, &to).unwrap();
        let mode = |place: &str| fs::symlink_metadata(to.join(place)).unwrap().mode() & 0o7777;
        assert_eq!((mode("data"), mode("data/file"), mode("data/empty")), (0o2750, 0o4640, 0o700));
        assert_eq!(fs::read_to_string(to.join("data/file")).unwrap(), "text");
        assert_eq!(fs::read_link(to.join("link")).unwrap().to_str(), Some("/nowhere"));
        assert!(!to.join("socket").exists());
        let copied = File::open(to.join("sparse")).unwrap();
        let mut bytes = [0; 6];
        copied.read_exact_at(&mut bytes, (1 << 30) - 1).unwrap();
        assert_eq!((&bytes, copied.metadata().unwrap().len()), (b"\0here\0", 1 << 40));
        assert!(copied.metadata().unwrap().blocks() < 10_000);

        copy(&folder.path().join("none"), &folder.path().join("nothing")).unwrap();
        assert!(!folder.path().join("nothing").exists());
    }
}
