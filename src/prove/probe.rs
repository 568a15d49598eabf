//! Asking over HTTP/1.1 or TCP.
#![allow(clippy::disallowed_methods, reason = "an answer is waited for, which takes a clock")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Failure, Result};

/// How much of an answer is read, in bytes: some never end.
const LENGTH_MAX: usize = 4 << 20;

/// How much is read at a time, in bytes.
const PIECE: usize = 1 << 14;

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
    let bytes = read(&stream, Instant::now() + patience)?;
    parse(&bytes).ok_or_else(|| Failure::new("no HTTP answer"))
}

/// Reads to the end, or as much of an answer without one as is worth it; what its head tells the length of is whole without an end, too.
fn read(stream: &TcpStream, deadline: Instant) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut end = None;
    while bytes.len() < LENGTH_MAX && end.is_none_or(|end| bytes.len() < end) {
        if Instant::now() > deadline {
            return Err(Failure::new("the answer does not come to an end"));
        }
        if read_some(stream, &mut bytes)? == 0 {
            break;
        }
        end = end.or_else(|| whole(&bytes));
    }
    Ok(bytes)
}

fn read_some(mut stream: &TcpStream, bytes: &mut Vec<u8>) -> Result<usize> {
    let mut piece = [0; PIECE];
    let length = stream.read(&mut piece)?;
    bytes.extend_from_slice(piece.get(..length).unwrap_or_default());
    Ok(length)
}

/// How long an answer is that begins so, where its head tells.
fn whole(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(bytes.get(..head)?).to_lowercase();
    let length: usize = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())?;
    (head + 4).checked_add(length)
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
        let end = (line + 2).checked_add(size)?;
        let Some(piece) = rest.get(line + 2..end) else {
            // Of an answer that was cut.
            body.extend_from_slice(rest.get(line + 2..)?);
            return Some(body);
        };
        body.extend_from_slice(piece);
        rest = rest.get(end.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answer(parts: Vec<Vec<u8>>, is_kept_open: bool) -> Reply {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut piece = [0; 1024];
            while !piece.windows(4).any(|window| window == b"\r\n\r\n") {
                assert!(stream.read(&mut piece).unwrap() > 0);
            }
            parts.iter().all(|part| stream.write_all(part).is_ok());
            is_kept_open.then_some(stream)
        });
        let reply = ask(&Request { address, method: "GET".to_owned(), path: "/".to_owned(), ..Request::default() });
        drop(server.join());
        reply
    }

    fn body(reply: Reply) -> String {
        match reply {
            Reply::Answer { status: 200, body } => body,
            Reply::Answer { status, .. } => panic!("{status}"),
            Reply::Silence(reason) => panic!("{reason}"),
        }
    }

    #[test]
    fn answers_of_any_length_come_to_an_end() {
        let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        let endless: Vec<Vec<u8>> = std::iter::once(head).chain((0..1024).map(|_| vec![b'x'; 1 << 14])).collect();
        let length = body(answer(endless, true)).len();
        assert!((LENGTH_MAX - 100..LENGTH_MAX + PIECE).contains(&length), "{length}");
        let kept = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        assert_eq!(body(answer(vec![kept], true)), "ok", "the connection is not closed");
        let chunked =
            |chunks: &str| vec![format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}").into_bytes()];
        assert_eq!(body(answer(chunked("2\r\nok\r\n1\r\n!\r\n0\r\n\r\n"), false)), "ok!");
        assert!(matches!(answer(chunked("ffffffffffffffff\r\nok"), false), Reply::Silence(_)));
    }
}
