//! Real container engines, each with everything of its own: storage, socket, network namespace and mounts.
//!
//! What a test starts can be seen by no other engine and leaves nothing on the host: when the value ends, so do its processes, and
//! with them the namespaces that hold bridges, packet filters and mounts.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use unroot::prove::engine::{Engine, Kind};

/// The engines that the tests can start.
pub(crate) const ENGINES: [Kind; 2] = [Kind::Podman, Kind::Docker];

/// Where administrators' programs are, which is on no other user's path.
const MORE_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// A private engine. Its program is a script, so that it is the same engine whoever calls it and by whichever environment.
pub(crate) struct PrivateEngine {
    pub(crate) kind: Kind,
    folder: TempDir,
    /// Holds the namespaces; for docker it is the daemon itself.
    holder: Child,
}

impl PrivateEngine {
    /// `None`, with a word on standard output, where that cannot be done; in CI that is a failure instead.
    pub(crate) fn start(kind: Kind) -> Option<Self> {
        if let Some(obstacle) = obstacle(kind) {
            println!("not run: {obstacle}");
            assert!(std::env::var_os("CI").is_none(), "{obstacle}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "tmp", "network", "config"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let holder = match kind {
            Kind::Docker => docker(folder.path()),
            _ => podman(folder.path()),
        };
        let engine = Self { kind, folder, holder };
        engine.wait();
        Some(engine)
    }

    /// Has docker build with BuildKit, as it does since version 23, and no more with the builder before it.
    pub(crate) fn use_buildkit(&self) {
        assert_eq!(self.kind, Kind::Docker);
        let builds = |client: &PathBuf| {
            let help = Command::new(client).args(["build", "--help"]).env("DOCKER_BUILDKIT", "1").output();
            help.is_ok_and(|output| output.status.success())
        };
        let client =
            all_on_path("docker").find(builds).unwrap_or_else(|| panic!("no docker here builds with BuildKit"));
        docker_client(self.folder.path(), &client, "DOCKER_BUILDKIT=1");
    }

    /// The engine's program.
    pub(crate) fn program(&self) -> PathBuf {
        self.path_entry().join(self.kind.program())
    }

    /// A folder for a PATH, in which the engine's program is under its usual name, and nothing else.
    pub(crate) fn path_entry(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    /// A folder on the host that ends with the engine.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// The value of the library, for a run of this name.
    pub(crate) fn engine(&self, run: &str) -> Engine {
        let version = format!("{} {}", self.kind, self.text(["--version"]));
        Engine::new(self.kind, self.program(), version, run.to_owned())
    }

    /// One call of the engine.
    pub(crate) fn call<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        Command::new(self.program()).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// What a call that must succeed prints.
    pub(crate) fn text<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> String {
        let output = self.call(arguments);
        assert!(output.status.success(), "{}: {}", self.kind, String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Everything that the engine holds: containers, images, networks and volumes, one in a line.
    pub(crate) fn inventory(&self) -> Vec<String> {
        let lists: [&[&str]; 4] = [
            &["ps", "--all", "--no-trunc", "--format", "container {{.ID}} {{.Names}}"],
            &["images", "--all", "--no-trunc", "--format", "image {{.ID}} {{.Repository}}:{{.Tag}}"],
            &["network", "ls", "--format", "network {{.Name}}"],
            &["volume", "ls", "--format", "volume {{.Name}}"],
        ];
        let mut lines: Vec<String> =
            lists.iter().flat_map(|list| self.text(*list).lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        lines.sort();
        lines
    }

    /// Builds an image of a static busybox, its applets in /bin, and further lines of a Dockerfile.
    pub(crate) fn busybox(&self, name: &str, more: &str) {
        let context = tempfile::tempdir_in(self.scratch()).unwrap();
        fs::copy(on_path("busybox").unwrap(), context.path().join("busybox")).unwrap();
        let lines =
            "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";
        fs::write(context.path().join("Dockerfile"), format!("{lines}{more}\n")).unwrap();
        self.text([OsStr::new("build"), "--tag".as_ref(), name.as_ref(), context.path().as_os_str()]);
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.call(["ps"]).status.success() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{} does not come up: {log}", self.kind);
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        // Dependent containers cannot be removed before those that they depend on, in an order that one call does not always find.
        for _ in 0..3 {
            let listed = self.call(["ps", "--all", "--quiet"]);
            let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
            if listed.trim().is_empty() {
                break;
            }
            self.call(["rm", "--force", "--volumes"].into_iter().chain(listed.split_whitespace()));
        }
        // A daemon ends what it has started, when it is asked to end; podman has none.
        if self.kind == Kind::Docker {
            let _ = Command::new("kill").arg(self.holder.id().to_string()).status();
            let deadline = Instant::now() + Duration::from_secs(20);
            while self.holder.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(50));
            }
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// The reason why such an engine cannot run on this machine, if there is one.
fn obstacle(kind: Kind) -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("private engines need Linux".to_owned());
    }
    let needs: &[(&str, &str)] = match kind {
        Kind::Docker => &[("docker", "docker.io"), ("dockerd", "docker.io"), ("containerd", "containerd")],
        Kind::Podman => &[("podman", "podman"), ("conmon", "conmon"), ("/usr/lib/podman/netavark", "netavark")],
        Kind::Nerdctl => return Some("nerdctl is in no package of Debian".to_owned()),
    };
    let also = [("runc", "runc"), ("busybox", "busybox-static"), ("iptables", "iptables"), ("nsenter", "util-linux")];
    let missing = needs.iter().chain(&also).find(|(program, _)| on_path(program).is_none());
    if let Some((program, package)) = missing {
        return Some(format!("{program} is not installed (package {package})"));
    }
    let trial = Command::new("unshare").args(["--net", "--mount", "true"]).output();
    let allowed = trial.is_ok_and(|output| output.status.success());
    (!allowed).then(|| "private engines need root, to make namespaces".to_owned())
}

fn on_path(program: &str) -> Option<PathBuf> {
    all_on_path(program).next()
}

fn all_on_path(program: &str) -> impl Iterator<Item = PathBuf> {
    let path = format!("{}:{MORE_PATH}", std::env::var("PATH").unwrap_or_default());
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.into_iter().map(move |folder| folder.join(program)).filter(|path| path.is_file())
}

/// Runs lines of a shell in namespaces of their own, with a loopback device that is up, and without what engines share there otherwise: locks, names
/// of network namespaces, sockets.
fn hold(folder: &Path, lines: &str) -> Child {
    let log = fs::File::create(folder.join("log")).unwrap();
    let script = format!(
        "PATH=$PATH:{MORE_PATH}\nip link set lo up\nfor shared in /run /dev/shm; do mount -t tmpfs tmpfs $shared; done\n\
                         cd {}\n{lines}",
        folder.display()
    );
    Command::new("unshare")
        .args(["--net", "--mount", "sh", "-ec", &script])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn docker(folder: &Path) -> Child {
    let socket = format!("unix://{}/socket", folder.display());
    docker_client(folder, &on_path("docker").unwrap(), "DOCKER_BUILDKIT=0");
    let at = folder.display();
    hold(
        folder,
        &format!(
            "exec dockerd --host {socket} --data-root {at}/store --exec-root {at}/run --pidfile {at}/pid --log-level warn"
        ),
    )
}

fn docker_client(folder: &Path, client: &Path, builder: &str) {
    let at = folder.display();
    let environment = format!("DOCKER_HOST=unix://{at}/socket DOCKER_CONFIG={at}/config {builder}");
    script(folder, "docker", &format!("export {environment}\nexec {} \"$@\"", client.display()));
}

fn podman(folder: &Path) -> Child {
    let at = folder.display();
    // The limits: raising them, which is the default, needs a capability that root in a virtual machine may not have.
    let containers = format!(
        "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\ndefault_sysctls = []\n\
         [network]\nnetwork_config_dir = \"{at}/network\"\n\
         [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"runc\"\ntmp_dir = \"{at}/run/libpod\"\n"
    );
    fs::write(folder.join("config/containers.conf"), containers).unwrap();
    let storage = format!("[storage]\ndriver = \"overlay\"\ngraphroot = \"{at}/store\"\nrunroot = \"{at}/run\"\n");
    fs::write(folder.join("config/storage.conf"), storage).unwrap();
    fs::write(folder.join("config/registries.conf"), "unqualified-search-registries = []\n").unwrap();
    let holder = hold(folder, "exec sleep infinity");
    let program = on_path("podman").unwrap();
    let environment = format!(
        "CONTAINERS_CONF={at}/config/containers.conf CONTAINERS_STORAGE_CONF={at}/config/storage.conf \
         CONTAINERS_REGISTRIES_CONF={at}/config/registries.conf TMPDIR={at}/tmp"
    );
    // Entering a mount namespace leads to its root.
    let within = format!("nsenter --target {} --net --mount -- sh -c 'cd \"$1\" && shift && exec \"$@\"'", holder.id());
    let line = format!("export {environment}\nexec {within} sh \"$PWD\" {} \"$@\"", program.display());
    script(folder, "podman", &line);
    holder
}

fn script(folder: &Path, name: &str, lines: &str) {
    write_program(&folder.join("bin").join(name), &format!("PATH=$PATH:{MORE_PATH}\n{lines}"));
}

/// Writes a program of a shell. Another process writes it: what this one has open, a fork of another thread has open too for a moment, and nobody can
/// run a file that somebody may write to.
pub(crate) fn write_program(path: &Path, lines: &str) {
    let text = format!("#!/bin/sh\n{lines}\n");
    let written = "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"";
    let status = Command::new("sh").args(["-c", written, "sh", &text]).arg(path).status().unwrap();
    assert!(status.success(), "{}", path.display());
}
