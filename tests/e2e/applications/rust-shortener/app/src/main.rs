//! Gives short names to addresses. Everything is kept in memory.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}"))?;
    println!("shortener listening on port {port}");
    let mut addresses = BTreeMap::new();
    for stream in listener.incoming() {
        if let Err(error) = answer(stream?, &mut addresses) {
            eprintln!("{error}");
        }
    }
    Ok(())
}

fn answer(mut stream: TcpStream, addresses: &mut BTreeMap<String, String>) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, body) = if method == "POST" {
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let address = String::from_utf8_lossy(&body).into_owned();
        addresses.insert(path.to_owned(), address.clone());
        ("201 Created", format!("{path} is {address}\n"))
    } else {
        match addresses.get(path) {
            Some(address) => ("200 OK", format!("{address}\n")),
            None => ("404 Not Found", "nobody asked for that\n".to_owned()),
        }
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}
