//! What runs inside the cluster's network, or as root over the folders of volumes: this program again, in a container of its own.
//!
//! `unroot prove:inside pause` holds the namespaces of a pod, `relay` stands for a Service, and `serve` carries out orders, one in a line of its
//! standard input, and answers each by a line.
#![allow(
    clippy::disallowed_methods,
    reason = "it removes the folders that a proof made, in a container that sees no others"
)]

use super::objects::{Data, Workload};
use super::probe::{self, Request};
use super::{Failure, Result, volumes};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

/// What a helper is asked to do.
#[derive(Serialize, Deserialize)]
pub enum Order {
    /// Puts a question; the answer is a [`probe::Reply`].
    Ask(Request),
    /// Makes the volumes and files of a pod; the answer is [`Prepared`].
    Prepare(Box<Preparation>),
    /// Makes the place of a subPath; the answer is its path.
    SubPath {
        /// The volume's folder.
        volume: PathBuf,
        /// Where below it.
        sub_path: String,
    },
    /// Copies a folder with all that is in it, as far as it is there; the answer is nothing.
    Copy {
        /// Which.
        from: PathBuf,
        /// Where nothing is yet.
        to: PathBuf,
    },
    /// Removes a folder with all that is in it; the answer is nothing.
    Remove(PathBuf),
}

/// Everything that the volumes of one pod are made of.
#[derive(Serialize, Deserialize)]
pub struct Preparation {
    /// Whose pod it is.
    pub workload: Workload,
    /// ConfigMaps and Secrets: kind, name and content.
    pub data: Vec<(String, String, BTreeMap<String, Vec<u8>>)>,
    /// The pod's own folder.
    pub own: PathBuf,
    /// The folder of the cluster's disks.
    pub claims: PathBuf,
    /// Files for the pod's own folder, by name: those that a node mounts over `/etc/hosts` and the like.
    pub files: BTreeMap<String, String>,
}

/// What was made for a pod.
#[derive(Debug, Serialize, Deserialize)]
pub struct Prepared {
    /// The folder of each volume by its name.
    pub volumes: BTreeMap<String, PathBuf>,
    /// The folder of the service account's files.
    pub service_account: PathBuf,
}

/// Does what the words of the command line say.
///
/// # Errors
/// Other words, and what the system says.
pub fn main(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["pause"] => loop {
            thread::park();
        },
        ["relay", routes @ ..] => relay(routes),
        ["serve"] => serve(),
        ["remove", folder] => remove(Path::new(folder)),
        _ => Err(Failure::new("this is for containers that `unroot prove` starts")),
    }
}

/// Carries out orders until the input ends.
fn serve() -> Result<()> {
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let reply: Result<Value, String> =
            serde_json::from_str(&line?).map_err(Failure::from).and_then(obey).map_err(|failure| failure.to_string());
        writeln!(output, "{}", serde_json::to_string(&reply)?)?;
        output.flush()?;
    }
    Ok(())
}

fn obey(order: Order) -> Result<Value> {
    Ok(match order {
        Order::Ask(request) => serde_json::to_value(probe::ask(&request))?,
        Order::Prepare(preparation) => serde_json::to_value(prepare(*preparation)?)?,
        Order::SubPath { volume, sub_path } => serde_json::to_value(volumes::sub_path(&volume, &sub_path)?)?,
        Order::Copy { from, to } => serde_json::to_value(volumes::copy(&from, &to)?)?,
        Order::Remove(folder) => serde_json::to_value(remove(&folder)?)?,
    })
}

fn prepare(preparation: Preparation) -> Result<Prepared> {
    let Preparation { workload, data, own, claims, files } = preparation;
    let data: Data = data.into_iter().map(|(kind, name, content)| ((kind, name), content)).collect();
    fs::create_dir_all(&own)?;
    for (name, content) in files {
        let file = own.join(name);
        fs::write(&file, content)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    }
    Ok(Prepared {
        volumes: volumes::prepare(&workload, &data, &own, &claims)?,
        service_account: volumes::service_account(&own)?,
    })
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Carries connections to each port of a Service on to its pod. A route is `ADDRESS:PORT=ADDRESS:PORT`.
fn relay(routes: &[&str]) -> Result<()> {
    let mut listening = Vec::new();
    for route in routes {
        let address = |text: &str| text.parse::<SocketAddr>().ok();
        let (own, target) = route
            .split_once('=')
            .and_then(|(own, target)| Some((address(own)?, address(target)?)))
            .ok_or_else(|| Failure::new(format!("{route} is no route")))?;
        let listener = TcpListener::bind(own)?;
        listening.push(thread::spawn(move || {
            for client in listener.incoming().flatten() {
                thread::spawn(move || {
                    drop(carry(&client, target));
                    drop(client.shutdown(Shutdown::Both));
                });
            }
        }));
    }
    // A Service without a port that leads somewhere keeps its address all the same.
    loop {
        thread::park();
    }
}

fn carry(client: &TcpStream, target: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(target)?;
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let upwards = thread::spawn(move || pump(from, to));
    let done = pump(server, client.try_clone()?);
    drop(upwards.join());
    done
}

fn pump(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return to.shutdown(Shutdown::Write);
        }
        to.write_all(buffer.get(..count).unwrap_or_default())?;
    }
}
