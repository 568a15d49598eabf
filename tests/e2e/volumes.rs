//! Volumes as the kubelet makes them on a node: who owns them, with which mode, and what `fsGroup` changes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab::{Result, run};
use crate::manifest::{MapVolume, PodSecurityContext, Volume, Workload};

type Data = BTreeMap<(String, String), BTreeMap<String, Vec<u8>>>;

/// A volume that is ready to be mounted into containers.
pub(crate) struct Prepared {
    /// Its folder on the node.
    pub(crate) folder: PathBuf,
    /// ConfigMaps and Secrets cannot be written to, whatever the mount says.
    pub(crate) read_only: bool,
}

/// Makes every volume of the workload's pod. `scratch` is the pod's own; `claims` is shared by all pods of a tree, as disks are.
pub(crate) fn prepare(
    workload: &Workload,
    data: &Data,
    scratch: &Path,
    claims: &Path,
) -> Result<BTreeMap<String, Prepared>> {
    let security = &workload.pod.security_context;
    let mut prepared = BTreeMap::new();
    for volume in &workload.pod.volumes {
        prepared.insert(volume.name.clone(), one(volume, data, security, scratch, claims)?);
    }
    for template in &workload.claim_templates {
        let folder = disk(claims, &format!("{template}-{}-0", workload.name))?;
        share(&folder, security, false)?;
        prepared.insert(template.clone(), Prepared { folder, read_only: false });
    }
    Ok(prepared)
}

fn one(volume: &Volume, data: &Data, security: &PodSecurityContext, scratch: &Path, claims: &Path) -> Result<Prepared> {
    let folder = scratch.join("volumes").join(&volume.name);
    if let Some(claim) = &volume.persistent_volume_claim {
        let folder = disk(claims, &claim.claim_name)?;
        share(&folder, security, false)?;
        return Ok(Prepared { folder, read_only: false });
    }
    if let Some(host) = &volume.host_path {
        // A folder in the place of the node's own: made as DirectoryOrCreate makes it, and fsGroup does not touch it.
        return Ok(Prepared { folder: disk(claims, &host.path.replace('/', "_"))?, read_only: false });
    }
    fs::create_dir_all(&folder)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
    if let Some(map) = volume.config_map.as_ref() {
        write(&folder, map, data, "ConfigMap")?;
        share(&folder, security, true)?;
        return Ok(Prepared { folder, read_only: true });
    }
    if let Some(map) = volume.secret.as_ref() {
        write(&folder, map, data, "Secret")?;
        share(&folder, security, true)?;
        return Ok(Prepared { folder, read_only: true });
    }
    let Some(empty) = &volume.empty_dir else {
        return Err(format!("volume {}: a kind that the lab does not have", volume.name).into());
    };
    if empty.medium == "Memory" {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=1777,size=64m", "tmpfs"]).arg(&folder))?;
    }
    share(&folder, security, false)?;
    Ok(Prepared { folder, read_only: false })
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

fn write(folder: &Path, map: &MapVolume, data: &Data, kind: &str) -> Result<()> {
    let Some(content) = data.get(&(kind.to_owned(), map.name.clone())) else {
        return if map.optional { Ok(()) } else { Err(format!("{kind} {} is not in the manifests", map.name).into()) };
    };
    let all: Vec<(&str, &str)> = if map.items.is_empty() {
        content.keys().map(|key| (key.as_str(), key.as_str())).collect()
    } else {
        map.items.iter().map(|item| (item.key.as_str(), item.path.as_str())).collect()
    };
    for (key, path) in all {
        let Some(bytes) = content.get(key) else {
            return Err(format!("{kind} {} has no key {key}", map.name).into());
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
