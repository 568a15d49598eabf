//! Asking over HTTP/1.1 from inside the node's network. Each question is put by a process of its own, because only a whole
//! process can change its network namespace without unsafe code.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::lab::Result;
use crate::network::Network;

/// One question. An empty method only connects.
#[derive(Serialize, Deserialize, Default)]
pub(crate) struct Request {
    pub(crate) address: String,
    pub(crate) host: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// What came back: a status and a body, or why nothing did.
#[derive(Serialize, Deserialize)]
pub(crate) enum Reply {
    Answer { status: u16, body: String },
    Silence(String),
}

impl Reply {
    /// Whether asking again makes sense: nobody is there yet, or somebody who says that the one behind is not.
    pub(crate) fn not_yet(&self) -> bool {
        matches!(self, Self::Silence(_) | Self::Answer { status: 502..=504, .. })
    }
}

/// Puts a question.
pub(crate) fn ask(network: &Network, request: &Request) -> Result<Reply> {
    let mut command = network.command(std::env::current_exe()?);
    let mut child = command.arg("lab:probe").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&serde_json::to_vec(request)?)?;
    }
    Ok(serde_json::from_slice(&child.wait_with_output()?.stdout)?)
}

/// `lab:probe`: reads a question, prints the reply.
pub(crate) fn answer_from_stdin() -> Result<()> {
    let request: Request = serde_json::from_reader(io::stdin().lock())?;
    let reply = match exchange(&request) {
        Ok(reply) => reply,
        Err(error) => Reply::Silence(error.to_string()),
    };
    io::stdout().lock().write_all(&serde_json::to_vec(&reply)?)?;
    Ok(())
}

fn exchange(request: &Request) -> Result<Reply> {
    let patience = Duration::from_secs(10);
    let address: SocketAddr = request.address.parse()?;
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    if request.method.is_empty() {
        return Ok(Reply::Answer { status: 200, body: String::new() });
    }
    stream.set_read_timeout(Some(patience))?;
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", request.method, request.path, request.host);
    head.push_str(&format!("Connection: close\r\nContent-Length: {}\r\n", request.body.len()));
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{}", request.body).as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&bytes).ok_or_else(|| "no HTTP answer".into())
}

fn parse(bytes: &[u8]) -> Option<Reply> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..end)?).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let rest = bytes.get(end + 4..)?;
    let body = if head.contains("transfer-encoding: chunked") { unchunk(rest)? } else { rest.to_vec() };
    Some(Reply::Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(rest.get(..line)?).ok()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(line + 2..line + 2 + size)?);
        rest = rest.get(line + 2 + size + 2..)?;
    }
}
