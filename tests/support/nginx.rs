//! A real proxy in front of a registry: nginx on a loopback port, with its files in a temporary directory.

use super::access_log;
use super::registry::free_address;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running server; it ends with the value.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    process: Child,
    directory: TempDir,
}

impl Nginx {
    /// Listens with `tls` (` ssl` or nothing) and serves as `server` says, in nginx's own words; `http` stands beside it. `None`, with a word on standard
    /// output, where nginx is not installed; in CI that is a failure instead.
    pub(crate) fn start(http: &str, tls: &str, server: &str) -> Option<Self> {
        let (directory, address) = (tempfile::tempdir().unwrap(), free_address());
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {kind};\n"))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log;\nevents {{ worker_connections 256; }}\n\
             http {{\naccess_log access.log;\n{temporary}{http}\nserver {{\nlisten {address}{tls};\n{server}\n}}\n}}\n"
        );
        std::fs::write(directory.path().join("nginx.conf"), config).unwrap();
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let log = std::fs::File::create(directory.path().join("start.log")).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(directory.path()).args(["-c", "nginx.conf", "-e", "error.log"]);
        let process = match command.env("PATH", path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn() {
            Ok(process) => process,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                println!("not run: nginx is not installed");
                assert!(std::env::var_os("CI").is_none(), "nginx is not installed");
                return None;
            }
            Err(error) => panic!("nginx does not start: {error}"),
        };
        let nginx = Self { address, process, directory };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            let log = std::fs::read_to_string(nginx.directory.path().join("start.log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "nginx does not listen: {log}");
            thread::sleep(Duration::from_millis(20));
        }
        Some(nginx)
    }

    /// The lines of the access log that hold `text`.
    pub(crate) fn logged(&self, text: &str, expected: usize) -> Vec<String> {
        access_log::lines(&self.directory.path().join("access.log"), text, expected)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
