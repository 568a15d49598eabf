//! Running one container with runc, from a configuration that says exactly what the kubelet's runtime would.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use unroot::prove::changes::{FolderChange, listening};
use unroot::prove::kubelet::ContainerConfig;
use unroot::prove::node::Seen;

use crate::lab::{Lab, Result, run, tail};
use crate::network::Sandbox;

/// The default profile of the distribution's container packages; what RuntimeDefault stands for.
pub(crate) const SECCOMP_PROFILE: &str = "/usr/share/containers/seccomp.json";

/// Something that a container changed.
struct Change {
    path: PathBuf,
    kind: Kind,
}

/// What it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A folder that was not there.
    New,
    /// A folder with another mode or owner.
    Mode,
    /// Anything else.
    Other,
}

/// A folder or file of the node, at a place in the container.
pub(crate) struct Bind {
    pub(crate) source: PathBuf,
    pub(crate) destination: String,
    pub(crate) read_only: bool,
}

/// What a container is started from.
pub(crate) struct Bundle<'a> {
    /// A folder of its own, for its writable layer.
    pub(crate) folder: &'a Path,
    pub(crate) image_root: &'a Path,
    pub(crate) config: &'a ContainerConfig,
    pub(crate) binds: &'a [Bind],
}

/// A started container; dropping it ends it.
pub(crate) struct Running {
    id: String,
    state: PathBuf,
    bundle: PathBuf,
    image_root: PathBuf,
    child: Child,
}

/// Writes the bundle (a writable layer over the image's root, and the configuration) and starts it. `hosts` is the folder of the pod's own files in /etc.
pub(crate) fn start(lab: &Lab, id: &str, bundle: &Bundle<'_>, sandbox: &Sandbox, hosts: &Path) -> Result<Running> {
    let Bundle { folder, image_root, config, binds } = *bundle;
    for name in ["upper", "work", "rootfs"] {
        fs::create_dir_all(folder.join(name))?;
    }
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        image_root.display(),
        folder.join("upper").display(),
        folder.join("work").display()
    );
    run(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(folder.join("rootfs")))?;
    let cgroup = format!("/{}/{id}", lab.control_group());
    let specification = specification(config, binds, sandbox, hosts, &cgroup)?;
    fs::write(folder.join("config.json"), serde_json::to_vec(&specification)?)?;
    let state = lab.path("tmp/runc");
    let child = spawn(&state, folder, id)?;
    Ok(Running { id: id.to_owned(), state, bundle: folder.to_owned(), image_root: image_root.to_owned(), child })
}

impl Running {
    /// The exit code, once it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<i32>> {
        Ok(self.child.try_wait()?.map(|status| status.code().unwrap_or(-1)))
    }

    /// Starts an ended container again, on the same volumes and a root as it left it.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let _ = self.delete();
        self.child = spawn(&self.state, &self.bundle, &self.id)?;
        Ok(())
    }

    /// What it printed last.
    pub(crate) fn said(&self, lines: usize) -> String {
        tail(&String::from_utf8_lossy(&fs::read(self.bundle.join("log")).unwrap_or_default()), lines)
    }

    /// What the main process is.
    pub(crate) fn seen(&self) -> Option<Seen> {
        Seen::from_status(&self.proc("status")?)
    }

    /// The TCP ports that somebody listens on in its network namespace.
    pub(crate) fn listens(&self) -> BTreeSet<u16> {
        ["net/tcp", "net/tcp6"].iter().filter_map(|file| self.proc(file)).flat_map(|table| listening(&table)).collect()
    }

    /// What the kernel says of its main process.
    fn proc(&self, file: &str) -> Option<String> {
        let output = self.runc().args(["state", &self.id]).output().ok()?;
        let state: Value = serde_json::from_slice(&output.stdout).ok()?;
        fs::read_to_string(format!("/proc/{}/{file}", state.get("pid")?)).ok()
    }

    /// Runs a command inside, as an exec probe does; whether it ended with 0.
    pub(crate) fn exec(&self, command: &[String]) -> Result<bool> {
        let output = self.runc().args(["exec", &self.id]).args(command).stdin(Stdio::null()).output()?;
        Ok(output.status.success())
    }

    /// The folders of the image, outside of every mount, in which something was made, changed or removed so far. What is in a
    /// new folder is not told apart: its name may be another one in every run.
    pub(crate) fn writes(&self, config: &ContainerConfig) -> Result<BTreeSet<String>> {
        let folder = |change: &Change| change.path.parent().unwrap_or(&change.path).display().to_string();
        Ok(self.changed(config)?.iter().map(folder).collect())
    }

    /// What was done there, and what the image has there. That a folder was given away or opened is a change of the folder itself.
    pub(crate) fn changes(&self, config: &ContainerConfig) -> Result<BTreeMap<String, FolderChange>> {
        let mut folders: BTreeMap<String, FolderChange> = BTreeMap::new();
        for Change { path, kind } in self.changed(config)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let place = if kind == Kind::Mode { path.as_path() } else { path.parent().unwrap_or(&path) };
            let folder = folders.entry(place.display().to_string()).or_default();
            if kind == Kind::New {
                folder.made.insert(name);
            } else {
                folder.changed = true;
            }
            let held = fs::read_dir(self.image_root.join(place.strip_prefix("/")?));
            let names =
                held.into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
            folder.holds = Some(names.collect());
        }
        Ok(folders)
    }

    /// The changes outside of every mount, as the overlay filesystem kept them; of a new folder none of what it holds.
    fn changed(&self, config: &ContainerConfig) -> Result<Vec<Change>> {
        // The runtime itself makes the places of mounts; the service account's lies behind the link /var/run.
        let fixed =
            ["/proc", "/dev", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/secrets/kubernetes.io"];
        let mounts = config.mounts.iter().map(|mount| mount.destination.trim_end_matches('/'));
        let mounts: Vec<PathBuf> = fixed.into_iter().chain(mounts).map(PathBuf::from).collect();
        let upper = self.bundle.join("upper");
        let mut changes = Vec::new();
        let mut open = vec![upper.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let inside = Path::new("/").join(path.strip_prefix(&upper)?);
                let below = self.image_root.join(path.strip_prefix(&upper)?);
                let (now, before) = (fs::symlink_metadata(&path)?, fs::symlink_metadata(&below).ok());
                let leads_to_mount = mounts.iter().any(|mount| mount.starts_with(&inside));
                if mounts.contains(&inside) || leads_to_mount && before.is_none() {
                    continue;
                }
                let of = |data: &fs::Metadata| (data.mode(), data.uid(), data.gid());
                let kind = match before {
                    // Going in, the overlay copies folders as they are.
                    Some(before) if now.is_dir() && before.is_dir() && of(&now) == of(&before) => {
                        open.push(path);
                        continue;
                    }
                    Some(before) if now.is_dir() && before.is_dir() => {
                        open.push(path);
                        Kind::Mode
                    }
                    None if now.is_dir() => Kind::New,
                    _ => Kind::Other,
                };
                changes.push(Change { path: inside, kind });
            }
        }
        Ok(changes)
    }

    fn runc(&self) -> Command {
        let mut command = Command::new("runc");
        command.arg("--root").arg(&self.state);
        command
    }

    fn delete(&mut self) -> Result<()> {
        let _ = self.runc().args(["delete", "--force", &self.id]).stdin(Stdio::null()).output()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.delete();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = Command::new("umount").arg("--lazy").arg(self.bundle.join("rootfs")).output();
        let _ = fs::remove_dir_all(&self.bundle);
    }
}

fn spawn(state: &Path, bundle: &Path, id: &str) -> Result<Child> {
    let log = File::options().create(true).append(true).open(bundle.join("log"))?;
    let mut command = Command::new("runc");
    command.arg("--root").arg(state).args(["run", "--bundle"]).arg(bundle).arg(id).stdin(Stdio::null());
    Ok(command.stdout(log.try_clone()?).stderr(log).spawn()?)
}

/// The OCI runtime specification, as containerd fills it in for the CRI.
fn specification(
    config: &ContainerConfig,
    binds: &[Bind],
    sandbox: &Sandbox,
    hosts: &Path,
    cgroup: &str,
) -> Result<Value> {
    let capabilities: Vec<String> = config.capabilities.iter().map(|name| format!("CAP_{name}")).collect();
    let namespace = |name: &str| format!("/proc/{}/ns/{name}", sandbox.pid());
    let mut specification = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": config.identity.uid, "gid": config.identity.gid, "additionalGids": config.identity.groups},
            "args": config.arguments,
            "env": config.env,
            "cwd": config.working_dir,
            // Nothing ambient, nothing inherited: a capability that is added for a process other than root's is gone after
            // its first exec, as it is in Kubernetes.
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
                "inheritable": [], "ambient": [],
            },
            "noNewPrivileges": config.no_new_privileges,
        },
        "root": {"path": "rootfs", "readonly": config.read_only_root},
        "mounts": mounts(config, binds, hosts),
        "linux": {
            "cgroupsPath": cgroup,
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
            "namespaces": [
                {"type": "pid"}, {"type": "mount"},
                {"type": "network", "path": namespace("net")},
                {"type": "uts", "path": namespace("uts")},
                {"type": "ipc", "path": namespace("ipc")},
            ],
        },
    });
    if config.seccomp
        && let Some(linux) = specification.get_mut("linux").and_then(Value::as_object_mut)
    {
        linux.insert("seccomp".to_owned(), seccomp(&config.capabilities)?);
    }
    Ok(specification)
}

fn mounts(config: &ContainerConfig, binds: &[Bind], hosts: &Path) -> Vec<Value> {
    let system = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    let mut mounts = vec![
        system("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        system("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        system("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        system("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        system("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        system("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ];
    let bind = |source: &Path, destination: &str, read_only: bool| {
        let options = ["rbind", "rprivate", if read_only { "ro" } else { "rw" }];
        json!({"destination": destination, "type": "bind", "source": source, "options": options})
    };
    for (name, destination) in
        [("hosts", "/etc/hosts"), ("hostname", "/etc/hostname"), ("resolv.conf", "/etc/resolv.conf")]
    {
        mounts.push(bind(&hosts.join(name), destination, config.read_only_root));
    }
    mounts.extend(binds.iter().map(|mount| bind(&mount.source, &mount.destination, mount.read_only)));
    mounts
}

/// The distribution's profile in the form of the runtime specification: rules for other machines, and for capabilities
/// that the container lacks, are left out.
fn seccomp(capabilities: &BTreeSet<String>) -> Result<Value> {
    let profile: Value = serde_json::from_slice(&fs::read(SECCOMP_PROFILE)?)?;
    let list = |rule: &Value, pointer: &str| -> Vec<String> {
        let items = rule.pointer(pointer).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let held = |name: &String| capabilities.contains(name.trim_start_matches("CAP_"));
    let applies = |rule: &&Value| {
        let machines = list(rule, "/includes/arches");
        (machines.is_empty() || machines.iter().any(|machine| machine == "amd64"))
            && list(rule, "/includes/caps").iter().all(held)
            && !list(rule, "/excludes/caps").iter().any(held)
    };
    let rules = profile.get("syscalls").and_then(Value::as_array).ok_or("the seccomp profile has no rules")?;
    let rules: Vec<Value> = rules
        .iter()
        .filter(applies)
        .map(|rule| {
            let mut kept = json!({"names": rule.get("names"), "action": rule.get("action")});
            if let Some(kept) = kept.as_object_mut() {
                for (key, value) in [("args", rule.get("args")), ("errnoRet", rule.get("errnoRet"))] {
                    if let Some(value) = value.filter(|value| !value.is_null()) {
                        kept.insert(key.to_owned(), value.clone());
                    }
                }
            }
            kept
        })
        .collect();
    Ok(json!({
        "defaultAction": profile.get("defaultAction"),
        "defaultErrnoRet": profile.get("defaultErrnoRet"),
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    }))
}
