//! Asking over HTTP/1.1 or TCP.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Failure, Result};

/// One question. An empty method only connects.
#[derive(Clone, Serialize, Deserialize, Default)]
pub struct Request {
    /// Where to, `host:port` in numbers.
    pub address: String,
    /// The `Host` header.
    pub host: String,
    /// `GET` and so on.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// What is sent.
    pub body: String,
}

/// What came back: a status and a body, or why nothing did.
#[derive(Serialize, Deserialize)]
pub enum Reply {
    /// Somebody answered.
    Answer {
        /// The status, 200 for a mere connection.
        status: u16,
        /// The body, as text.
        body: String,
    },
    /// Nobody did, and why.
    Silence(String),
}

impl Reply {
    /// Whether asking again makes sense: nobody is there yet, or somebody who says that the one behind is not.
    pub fn not_yet(&self) -> bool {
        matches!(self, Self::Silence(_) | Self::Answer { status: 502..=504, .. })
    }
}

/// Puts a question over a connection of its own, from where this process is.
pub fn ask(request: &Request) -> Reply {
    exchange(request).unwrap_or_else(|error| Reply::Silence(error.to_string()))
}

fn exchange(request: &Request) -> Result<Reply> {
    let patience = Duration::from_secs(10);
    let address: SocketAddr =
        request.address.parse().map_err(|_| Failure::new(format!("{} is no address", request.address)))?;
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
    parse(&bytes).ok_or_else(|| Failure::new("no HTTP answer"))
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
