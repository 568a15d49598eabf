//! The lab as a machine that runs the pods of one application.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use unroot::prove::changes::FolderChange;
use unroot::prove::kubelet::{ContainerConfig, Mount, Source};
use unroot::prove::network::Plan;
use unroot::prove::node::{Disks, Image, Node, Seen};
use unroot::prove::objects::{Data, Objects, Workload};
use unroot::prove::probe::{self, Reply, Request};
use unroot::prove::{self, volumes};

use crate::build::Images;
use crate::lab::{Lab, Result, run};
use crate::network::{self, Network, Sandbox};
use crate::runtime::{self, Bind, Bundle, Running};

/// One application's place in the lab.
pub(crate) struct LabNode<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) images: &'a Images<'a>,
    /// The application's name.
    pub(crate) name: &'a str,
    /// The folder that stands for the cluster's disks.
    pub(crate) claims: &'a Path,
}

/// The namespaces and volumes of one pod.
pub(crate) struct Pod {
    id: String,
    sandbox: Sandbox,
    folder: PathBuf,
    volumes: BTreeMap<String, PathBuf>,
}

impl Node for LabNode<'_> {
    type Network = Network;
    type Pod = Pod;
    type Container = Running;

    fn image(&self, name: &str) -> prove::Result<Image> {
        let image = self.images.open(name)?;
        Ok(Image { id: name.to_owned(), config: image.config, accounts: image.accounts, absent: BTreeSet::new() })
    }

    fn plan(&self, objects: &Objects) -> prove::Result<Plan> {
        Ok(network::plan(objects))
    }

    /// Which disks there are says `claims`.
    fn network(&self, plan: &Plan, _disks: Disks) -> prove::Result<Network> {
        Ok(Network::open(plan)?)
    }

    fn pod(
        &self,
        network: &Network,
        plan: &Plan,
        index: usize,
        workload: &Workload,
        data: &Data,
    ) -> prove::Result<Pod> {
        let sandbox = network.pod(plan, index, &workload.name, &workload.pod.security_context.sysctls)?;
        let folder = self.lab.scratch(self.name, &format!("pod-{index}"))?;
        fs::write(folder.join("hosts"), network::hosts(plan, &sandbox, &workload.name))?;
        fs::write(folder.join("hostname"), format!("{}\n", workload.name))?;
        fs::write(folder.join("resolv.conf"), "")?;
        let volumes = volumes::prepare(workload, data, &folder, self.claims)?;
        Ok(Pod { id: format!("{}-{index}", self.name), sandbox, folder, volumes })
    }

    fn start(&self, pod: &Pod, name: &str, image: &Image, config: &ContainerConfig) -> prove::Result<Running> {
        let own = pod.folder.join(name);
        fs::create_dir_all(&own)?;
        let root = self.images.open(&image.id)?.root;
        let binds = config.mounts.iter().map(|mount| bind(pod, &own, &root, mount)).collect::<Result<Vec<_>>>()?;
        let id = format!("{}-{name}", pod.id);
        let bundle = Bundle { folder: &own.join("bundle"), image_root: &root, config, binds: &binds };
        Ok(runtime::start(self.lab, &id, &bundle, &pod.sandbox, &pod.folder)?)
    }

    fn ended(&self, container: &mut Running) -> prove::Result<Option<i32>> {
        Ok(container.ended()?)
    }

    fn restart(
        &self,
        _pod: &Pod,
        _name: &str,
        _image: &Image,
        _config: &ContainerConfig,
        container: &mut Running,
    ) -> prove::Result<()> {
        Ok(container.restart()?)
    }

    fn said(&self, container: &Running, lines: usize) -> String {
        container.said(lines)
    }

    fn exec(&self, container: &Running, command: &[String]) -> prove::Result<bool> {
        Ok(container.exec(command)?)
    }

    fn ask(&self, network: &Network, request: &Request) -> prove::Result<Reply> {
        Ok(network.ask(request)?)
    }

    fn seen(&self, container: &Running) -> Option<Seen> {
        container.seen()
    }

    fn writes(&self, container: &Running, config: &ContainerConfig) -> prove::Result<BTreeSet<String>> {
        Ok(container.writes(config)?)
    }

    fn changes(&self, container: &Running, config: &ContainerConfig) -> prove::Result<BTreeMap<String, FolderChange>> {
        Ok(container.changes(config)?)
    }

    fn listens(&self, container: &Running) -> BTreeSet<u16> {
        container.listens()
    }
}

/// Where on the node the files of a mount are; what is not there yet is made.
fn bind(pod: &Pod, own: &Path, root: &Path, mount: &Mount) -> Result<Bind> {
    let source = match &mount.source {
        Source::Volume { name, sub_path } => {
            let folder = pod.volumes.get(name).ok_or_else(|| format!("no volume is named {name}"))?;
            if sub_path.is_empty() { folder.clone() } else { volumes::sub_path(folder, sub_path)? }
        }
        Source::ServiceAccount => volumes::service_account(own)?,
        Source::Image(path) => {
            let copy = own.join("image-volumes").join(path.replace('/', "_"));
            copy_archive(&root.join(path.trim_start_matches('/')), &copy)?;
            copy
        }
    };
    Ok(Bind { source, destination: mount.destination.clone(), read_only: mount.read_only })
}

fn copy_archive(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    if !from.exists() {
        return Ok(fs::create_dir_all(to)?);
    }
    run(Command::new("cp").arg("--archive").arg(from).arg(to)).map(|_| ())
}

/// `lab:probe`: reads a question, prints the reply. A process of its own puts each, because only a whole process can change its network
/// namespace without unsafe code.
pub(crate) fn answer_from_stdin() -> Result<()> {
    let request: Request = serde_json::from_reader(std::io::stdin().lock())?;
    serde_json::to_writer(std::io::stdout().lock(), &probe::ask(&request))?;
    Ok(())
}
