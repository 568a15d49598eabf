//! A certificate authority of the test's own, made by `openssl`: certificates for servers on loopback, and signatures for tokens.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// Who signs the tokens, and for whom; the registry that believes them is told both.
pub(crate) const ISSUER: &str = "test-issuer";
pub(crate) const SERVICE: &str = "test-service";

/// An authority and one server that it vouches for, called 127.0.0.1 and localhost.
pub(crate) struct Authority {
    directory: TempDir,
}

/// Signs in the name of the authority's server, for as long as the authority's files are there.
pub(crate) struct Signer {
    directory: PathBuf,
}

impl Authority {
    /// `None`, with a word on standard output, where `openssl` is not installed; in CI that is a failure instead.
    pub(crate) fn new() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let names = "subjectAltName=IP:127.0.0.1,DNS:localhost\n";
        std::fs::write(directory.path().join("names"), names).unwrap();
        let steps = [
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-authority",
            "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost",
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names",
        ];
        for step in steps {
            let run = Command::new("openssl").args(step.split(' ')).current_dir(directory.path()).output();
            match run {
                Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
                Err(_) => {
                    println!("not run: openssl is not installed");
                    assert!(std::env::var_os("CI").is_none(), "openssl is not installed");
                    return None;
                }
            }
        }
        Some(Self { directory })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn signer(&self) -> Signer {
        Signer { directory: self.directory.path().to_owned() }
    }
}

impl Signer {
    /// A token that grants `scope` (`repository:me/app:pull`) for five minutes
    /// (<https://distribution.github.io/distribution/spec/auth/jwt/>).
    pub(crate) fn token(&self, scope: &str) -> String {
        let certificate = std::fs::read_to_string(self.directory.join("server.pem")).unwrap();
        let certificate: String = certificate.lines().filter(|line| !line.starts_with("-----")).collect();
        let header = format!(r#"{{"typ":"JWT","alg":"RS256","x5c":["{certificate}"]}}"#);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut parts = scope.split(':');
        let (kind, name, actions) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let actions = actions.replace(',', r#"",""#);
        let access = format!(r#"[{{"type":"{kind}","name":"{name}","actions":["{actions}"]}}]"#);
        let claims = format!(
            r#"{{"iss":"{ISSUER}","sub":"lab","aud":"{SERVICE}","exp":{},"nbf":{},"iat":{now},"jti":"1","access":{access}}}"#,
            now + 300,
            now - 10
        );
        let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
        format!("{signed}.{}", base64url(&self.signature(signed.as_bytes())))
    }

    fn signature(&self, bytes: &[u8]) -> Vec<u8> {
        use std::io::Write;
        let mut signing = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign", "server.key"])
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        signing.stdin.take().unwrap().write_all(bytes).unwrap();
        signing.wait_with_output().unwrap().stdout
    }
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}
