//! The lab's own ground: which tools it needs, where it keeps its images, how it calls buildah, and the registry on loopback.

use std::error::Error;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, io};

use crate::say;

/// The lab stops at the first thing that it cannot do; what an application does wrong is a verdict and no error.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The programs that the lab calls, each with the Debian package that has it.
pub(crate) const TOOLS: &[(&str, &str)] = &[
    ("buildah", "buildah"),
    ("podman", "podman"),
    ("conmon", "conmon"),
    ("iptables", "iptables"),
    ("skopeo", "skopeo"),
    ("runc", "runc"),
    ("docker-registry", "docker-registry"),
    ("mmdebstrap", "mmdebstrap"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("sysctl", "procps"),
    ("git", "git"),
];

/// Files that the lab reads, each with the Debian package that has it.
const FILES: &[(&str, &str)] = &[
    (crate::runtime::SECCOMP_PROFILE, "golang-github-containers-common"),
    ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"),
    ("/usr/lib/podman/netavark", "netavark"),
];

/// The registries whose names are answered on loopback.
pub(crate) const HOSTS: [&str; 4] = ["docker.io", "gcr.io", "ghcr.io", "quay.io"];

/// Where the distribution keeps the certificates that builds must trust, on the host and in every base.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The reason why nothing can run on this machine, if there is one.
pub(crate) fn obstacle() -> Option<String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Some("the lab's bases are for Linux on x86_64".to_owned());
    }
    let user = Command::new("id").arg("-u").output().ok()?;
    if user.stdout.trim_ascii() != b"0" {
        return Some("the lab needs root, to make namespaces and mounts".to_owned());
    }
    let tools = TOOLS.iter().filter(|(tool, _)| !on_path(tool));
    let files = FILES.iter().filter(|(file, _)| !Path::new(file).exists());
    let missing: Vec<String> =
        tools.chain(files).map(|(name, package)| format!("{name} (package {package})")).collect();
    if !missing.is_empty() {
        return Some(format!("missing {}", missing.join(", ")));
    }
    let trial = Command::new("unshare").args(["--mount", "--pid", "--net", "--fork", "true"]).output();
    if trial.is_ok_and(|output| output.status.success()) {
        None
    } else {
        Some("this machine does not let root make namespaces".to_owned())
    }
}

/// An open lab: configuration written, registry up. Dropping it ends the registry and empties the scratch folder.
pub(crate) struct Lab {
    folder: PathBuf,
    registry: String,
    server: Child,
    /// Held as long as the lab is open: one run at a time in one folder.
    _lock: File,
}

impl Lab {
    /// Opens the lab in `UNROOT_LAB`, or below the target folder. Must be called inside a mount namespace of its own.
    pub(crate) fn open() -> Result<Self> {
        let folder = match env::var_os("UNROOT_LAB") {
            Some(folder) => PathBuf::from(folder),
            None => Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab"),
        };
        for name in ["etc", "store", "run", "registry", "stamps", "log", "tmp"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let folder = folder.canonicalize()?;
        let lock = File::create(folder.join("lock"))?;
        if lock.try_lock().is_err() {
            say("waiting for another run in the same lab");
            lock.lock()?;
        }
        sweep(&folder)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let registry = format!("127.0.0.1:{port}");
        configure(&folder, &registry)?;
        // What the tools remember about mounts is true for this mount namespace only.
        run(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(folder.join("run")))?;
        let server = serve(&folder, &registry)?;
        let lab = Self { folder, registry, server, _lock: lock };
        // A run that was killed leaves its working containers in the store.
        run(&mut lab.buildah(["rm", "--all"]))?;
        Ok(lab)
    }

    /// A folder or file of the lab.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }

    /// A fresh folder of an application's own that lives as long as this run.
    pub(crate) fn scratch(&self, application: &str, name: &str) -> Result<PathBuf> {
        let path = self.path("tmp").join(application).join(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// The control group of this lab's containers.
    pub(crate) fn control_group(&self) -> String {
        control_group(&self.folder)
    }

    /// The address of the loopback registry, `host:port`.
    pub(crate) fn registry(&self) -> &str {
        &self.registry
    }

    /// A buildah call with the lab's own store, registry and defaults; not yet run.
    pub(crate) fn buildah<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("buildah");
        self.equip(command.args(arguments));
        command
    }

    /// Gives a call of a container tool the lab's own store, registry and defaults.
    pub(crate) fn equip<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("CONTAINERS_CONF", self.path("etc/containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", self.path("etc/storage.conf"))
            .env("CONTAINERS_REGISTRIES_CONF", self.path("etc/registries.conf"))
            .env("TMPDIR", self.path("tmp"))
            .env_remove("REGISTRY_AUTH_FILE")
    }

    /// What every build is told. Trust for package downloads comes in by bind mounts, because a variable would stay in the image.
    pub(crate) fn build_options(&self) -> Vec<String> {
        let mut options: Vec<String> =
            ["--isolation=oci", "--network=host", "--format=docker"].map(str::to_owned).into();
        if Path::new(CERTIFICATES).exists() {
            options.push(format!("--volume={CERTIFICATES}:{CERTIFICATES}:ro"));
        }
        for (name, place) in [("npmrc", "/usr/local/etc/npmrc"), ("pip.conf", "/etc/pip.conf")] {
            options.push(format!("--volume={}:{place}:ro", self.path("etc").join(name).display()));
        }
        options
    }

    /// Builds one Containerfile.
    pub(crate) fn build(&self, file: &Path, context: &Path, name: &str, options: &[&str], log: &Path) -> Result<()> {
        let mut command = self.buildah(["build", "--runtime", "runc", "--layers", "--quiet"]);
        command.args(self.build_options());
        command.args(options).arg("--tag").arg(name).arg("--file").arg(file).arg(context);
        // A proof beside it removes its images, and buildah stumbles over them on its way through all of them.
        let mut said;
        let mut attempts = 0;
        loop {
            let output = command.stdin(Stdio::null()).output()?;
            said = [output.stdout, output.stderr].concat();
            fs::write(log, &said)?;
            if output.status.success() {
                return Ok(());
            }
            attempts += 1;
            if attempts == 4 || !String::from_utf8_lossy(&said).contains("layer not known") {
                break;
            }
        }
        Err(format!("building {} failed:\n{}", file.display(), tail(&String::from_utf8_lossy(&said), 12)).into())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = sweep(&self.folder);
    }
}

/// Runs a command to its end; what it printed is returned, and is the error when it failed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}: {}", output.status, tail(&said, 8)).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The last `count` lines of a text.
pub(crate) fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
}

fn on_path(tool: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(tool).is_file()))
}

/// One name for each folder, so that labs in different folders do not meet.
fn control_group(folder: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    format!("unroot-lab-{:08x}", hasher.finish() >> 32)
}

/// Takes away what a run leaves on disk, also one that was killed: containers that the runtime still lists, control groups
/// (which are folders, and stay when the processes are gone), and scratch files.
fn sweep(folder: &Path) -> Result<()> {
    let state = folder.join("tmp/runc");
    if let Ok(entries) = fs::read_dir(&state) {
        for entry in entries.flatten() {
            let mut command = Command::new("runc");
            command.arg("--root").arg(&state).args(["delete", "--force"]).arg(entry.file_name());
            let _ = command.stdin(Stdio::null()).output();
        }
    }
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    for hierarchy in hierarchies.chain(["/sys/fs/cgroup".into()]) {
        let group = hierarchy.join(control_group(folder));
        for inner in fs::read_dir(&group).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
            let _ = fs::remove_dir(inner.path());
        }
        let _ = fs::remove_dir(group);
    }
    // Overlays of this run are still mounted below the folder; their mount points must go before the files do.
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let tmp = folder.join("tmp");
    for mount in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
        if Path::new(mount).starts_with(&tmp) {
            let _ = Command::new("umount").args(["--lazy", mount]).output();
        }
    }
    match fs::remove_dir_all(&tmp) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir_all(&tmp)?,
    }
    Ok(())
}

fn configure(folder: &Path, registry: &str) -> Result<()> {
    let etc = folder.join("etc");
    let at = folder.display();
    // The limits: raising them, which is the default, needs a capability that root in a virtual machine may not have.
    let containers = format!(
        "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\ndefault_sysctls = []\n\
         [network]\nnetwork_config_dir = \"{at}/run/networks\"\n\
         [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"runc\"\ntmp_dir = \"{at}/run/libpod\"\n"
    );
    fs::write(etc.join("containers.conf"), containers)?;
    let storage = format!("[storage]\ndriver = \"overlay\"\ngraphroot = \"{at}/store\"\nrunroot = \"{at}/run\"\n");
    fs::write(etc.join("storage.conf"), storage)?;
    // Every name is answered on loopback, and nothing falls back to the network.
    let mut registries = "unqualified-search-registries = [\"docker.io\"]\nshort-name-mode = \"disabled\"\n".to_owned();
    let hosts = HOSTS.iter().map(|host| (*host, format!("{registry}/{host}")));
    for (prefix, location) in hosts.chain([(registry, registry.to_owned())]) {
        registries
            .push_str(&format!("[[registry]]\nprefix = \"{prefix}\"\nlocation = \"{location}\"\ninsecure = true\n"));
    }
    fs::write(etc.join("registries.conf"), registries)?;
    // npm and pip are told of the host's certificates, and of the index that the host's own pip would ask.
    let mut npm = format!("cafile={CERTIFICATES}\nupdate-notifier=false\nfund=false\naudit=false\n");
    let mut pip =
        format!("[global]\ncert = {CERTIFICATES}\ndisable-pip-version-check = true\nroot-user-action = ignore\n");
    if let Ok(index) = env::var("PIP_INDEX_URL") {
        pip.push_str(&format!("index-url = {index}\n"));
    }
    if let Ok(index) = env::var("NPM_CONFIG_REGISTRY") {
        npm.push_str(&format!("registry={index}\n"));
    }
    fs::write(etc.join("npmrc"), npm)?;
    fs::write(etc.join("pip.conf"), pip)?;
    let server = format!(
        "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: \"{at}/registry\"}}\n  delete: {{enabled: true}}\nhttp: {{addr: \"{registry}\"}}\n"
    );
    fs::write(etc.join("registry.yml"), server)?;
    Ok(())
}

fn serve(folder: &Path, registry: &str) -> Result<Child> {
    let log = File::create(folder.join("log/registry.log"))?;
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(folder.join("etc/registry.yml")).stdin(Stdio::null());
    // The registry takes every REGISTRY_ variable for a setting of its own.
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REGISTRY_")) {
        command.env_remove(name);
    }
    let mut child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(registry).is_err() {
        if let Some(status) = child.try_wait()? {
            return Err(format!("the registry ended at once: {status}").into());
        }
        if Instant::now() > deadline {
            return Err("the registry does not answer".into());
        }
        sleep(Duration::from_millis(50));
    }
    Ok(child)
}
