//! The reference registry server (Debian's `docker-registry`) on a loopback port, with its data in a temporary directory.

use super::access_log;
use super::http::{Response, send};
use super::openssl::{Authority, ISSUER, SERVICE};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// User and password of [`Registry::with_login`].
pub(crate) const LOGIN: (&str, &str) = ("lab", "s3cret-word");
/// The same, as `htpasswd -B` writes it.
const HTPASSWD: &str = "lab:$2b$05$abcdefghijklmnopqrstuuEpHRRKIlpAGo.iP7Bpa.htQEJMAAnRe\n";
/// The same, as Docker's `config.json` holds it.
const BASIC: &str = "bGFiOnMzY3JldC13b3Jk";

/// A running server; it ends with the value.
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    process: Child,
    data: TempDir,
    authorization: Option<String>,
}

impl Registry {
    /// `None`, with a word on standard output, where the server is not installed; in CI that is a failure instead.
    pub(crate) fn start() -> Option<Self> {
        Self::launch(None, "")
    }

    /// The same behind a token service at `realm` that signs in the name of `authority`. What is pushed needs [`Registry::authorize`].
    pub(crate) fn with_tokens(authority: &Authority, realm: &str) -> Option<Self> {
        let roots = authority.path("ca.pem").display().to_string();
        let token = format!("realm: \"{realm}\", service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: \"{roots}\"");
        Self::launch(None, &format!("auth: {{token: {{{token}}}}}\n"))
    }

    /// Sends this with everything that is pushed from now on.
    pub(crate) fn authorize(&mut self, authorization: String) {
        self.authorization = Some(authorization);
    }

    /// Starts the server once more, with TLS. Nothing can be pushed after that.
    pub(crate) fn speak_tls(&mut self, authority: &Authority) {
        self.stop();
        let path = self.data.path().join("config.yml");
        let [certificate, key] = ["server.pem", "server.key"].map(|name| authority.path(name).display().to_string());
        let tls = format!("tls: {{certificate: \"{certificate}\", key: \"{key}\"}}");
        let config = std::fs::read_to_string(&path).unwrap().replace("http: {", &format!("http: {{{tls}, "));
        std::fs::write(path, config).unwrap();
        self.process = spawn(self.data.path()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < deadline, "docker-registry does not listen");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The same behind user and password.
    pub(crate) fn with_login() -> Option<Self> {
        Self::launch(Some(format!("Basic {BASIC}")), "")
    }

    fn launch(authorization: Option<String>, more: &str) -> Option<Self> {
        let data = tempfile::tempdir().unwrap();
        let address = free_address();
        let auth = if authorization.is_some() {
            std::fs::write(data.path().join("htpasswd"), HTPASSWD).unwrap();
            format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", data.path().join("htpasswd").display())
        } else {
            String::new()
        };
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n{auth}{more}",
            data.path().join("data").display()
        );
        std::fs::write(data.path().join("config.yml"), config).unwrap();
        let process = spawn(data.path())?;
        let registry = Self { address, process, data, authorization };
        registry.wait();
        Some(registry)
    }

    /// Ends the server; its data stay.
    pub(crate) fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts the server once more, at its old address and with its old data.
    pub(crate) fn start_again(&mut self) {
        self.process = spawn(self.data.path()).unwrap();
        self.wait();
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.send("GET", "/v2/", &[], b"").is_none() {
            let log = std::fs::read_to_string(self.data.path().join("error.log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "docker-registry does not answer: {log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stores an image of one platform; its bytes differ by `content`. Returns its digest and size.
    pub(crate) fn push_image(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        content: &str,
    ) -> (String, usize) {
        let config = format!(r#"{{"architecture":"{content}","os":"linux"}}"#);
        self.push_image_with(repository, tag, media_type, content, &config)
    }

    /// The same with a configuration (JSON) of one's own.
    pub(crate) fn push_image_with(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        content: &str,
        config: &str,
    ) -> (String, usize) {
        let layer = format!("layer of {content}");
        let (config_type, layer_type) = if media_type == OCI_MANIFEST {
            ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar")
        } else {
            ("application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip")
        };
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{},"layers":[{}]}}"#,
            descriptor(config_type, &self.push_blob(repository, config.as_bytes()), config.len(), ""),
            descriptor(layer_type, &self.push_blob(repository, layer.as_bytes()), layer.len(), "")
        );
        let digest = sha256(manifest.as_bytes());
        self.push_manifest(repository, tag.unwrap_or(&digest), media_type, &manifest);
        (digest, manifest.len())
    }

    /// Stores an index (OCI or Docker) of two platforms. Returns the bytes of the index, and the digests of its images.
    pub(crate) fn push_index(&self, repository: &str, tag: &str, media_type: &str) -> (String, Vec<String>) {
        let config = |architecture: &str| format!(r#"{{"architecture":"{architecture}","os":"linux"}}"#);
        self.push_index_with(repository, tag, media_type, &["amd64", "arm64"].map(|name| (name, config(name))))
    }

    /// The same with the architectures and configurations (JSON) of its images.
    pub(crate) fn push_index_with(
        &self,
        repository: &str,
        tag: &str,
        media_type: &str,
        images: &[(&str, String)],
    ) -> (String, Vec<String>) {
        let child_type = if media_type == OCI_INDEX { OCI_MANIFEST } else { DOCKER_MANIFEST };
        let mut children = Vec::new();
        let mut descriptors = Vec::new();
        for (architecture, config) in images {
            let (digest, size) = self.push_image_with(repository, None, child_type, architecture, config);
            // An attestation says so of both.
            let os = if *architecture == "unknown" { "unknown" } else { "linux" };
            let platform = format!(r#","platform":{{"architecture":"{architecture}","os":"{os}"}}"#);
            descriptors.push(descriptor(child_type, &digest, size, &platform));
            children.push(digest);
        }
        let index =
            format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{}]}}"#, descriptors.join(","));
        self.push_manifest(repository, tag, media_type, &index);
        (index, children)
    }

    fn push_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        let started = self.send("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"").unwrap();
        assert_eq!(started.status, 202, "{started:?}");
        let location = started.header("location").unwrap();
        let path = location.strip_prefix(&format!("http://{}", self.address)).unwrap_or(location);
        let target = format!("{path}&digest={digest}");
        let stored = self.send("PUT", &target, &[("Content-Type", "application/octet-stream")], bytes).unwrap();
        assert_eq!(stored.status, 201, "{stored:?}");
        digest
    }

    fn push_manifest(&self, repository: &str, reference: &str, media_type: &str, manifest: &str) {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let stored = self.send("PUT", &target, &[("Content-Type", media_type)], manifest.as_bytes()).unwrap();
        assert_eq!(stored.status, 201, "{stored:?} {}", String::from_utf8_lossy(&stored.body));
    }

    fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Response> {
        let mut headers = headers.to_vec();
        if let Some(authorization) = &self.authorization {
            headers.push(("Authorization", authorization));
        }
        send(self.address, method, target, &headers, body).ok()
    }

    /// The lines of the access log that hold `request`, such as `HEAD /v2/`.
    pub(crate) fn logged(&self, request: &str, expected: usize) -> Vec<String> {
        access_log::lines(&self.data.path().join("access.log"), request, expected)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A directory with Docker's `config.json` that holds one login.
pub(crate) fn docker_config(host: &str, user: &str, password: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let config = format!(r#"{{"auths":{{"{host}":{{"username":"{user}","password":"{password}"}}}}}}"#);
    std::fs::write(directory.path().join("config.json"), config).unwrap();
    directory
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A loopback port that nobody listens on at the moment.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts the server on the configuration in `data`. Its access log goes to standard output.
fn spawn(data: &Path) -> Option<Child> {
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(data.join("config.yml")).stdin(Stdio::null());
    // Variables of this name override the configuration file.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REGISTRY_") {
            command.env_remove(name);
        }
    }
    let log = |name: &str| File::options().create(true).append(true).open(data.join(name)).unwrap();
    match command.stdout(log("access.log")).stderr(log("error.log")).spawn() {
        Ok(process) => Some(process),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("not run: docker-registry is not installed");
            assert!(std::env::var_os("CI").is_none(), "docker-registry is not installed");
            None
        }
        Err(error) => panic!("docker-registry does not start: {error}"),
    }
}

fn descriptor(media_type: &str, digest: &str, size: usize, more: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","size":{size},"digest":"{digest}"{more}}}"#)
}
