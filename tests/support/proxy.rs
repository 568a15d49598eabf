//! A forward proxy on loopback: tunnels for CONNECT, and requests without TLS passed on. It remembers what it was asked for.

use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A running proxy. Its threads end with the process.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let seen = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = seen.clone();
                // Either side may go away at any time, which ends the exchange.
                thread::spawn(move || exchange(stream, &seen));
            }
        });
        Self { address, asked }
    }

    /// The heads of all requests, one text each.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn exchange(stream: TcpStream, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    seen.lock().unwrap().push(head.clone());
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method == "CONNECT" {
        let mut server = TcpStream::connect(target)?;
        writer.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        let (mut back, mut forth) = (server.try_clone()?, reader);
        thread::spawn(move || copy(&mut back, &mut writer));
        copy(&mut forth, &mut server)?;
        return Ok(());
    }
    let rest = target.strip_prefix("http://").unwrap_or(target);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut server = TcpStream::connect(host)?;
    let head = head.replacen(target, &format!("/{path}"), 1);
    let kept = head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("proxy-")).collect::<Vec<_>>();
    // One request per connection, so that the end of the answer is the end of the stream.
    let head = kept.join("\r\n").trim_end().to_owned() + "\r\nConnection: close\r\n\r\n";
    server.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    writer.write_all(&answer)
}
