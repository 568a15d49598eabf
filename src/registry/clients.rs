//! The HTTP clients: proxies by the standard variables, certificates of the system and of the configuration, redirects that
//! give nothing away.

use super::failure::{Failure, causes};
use crate::source::printable;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder};
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

const USER_AGENT: &str = concat!("unroot/", env!("CARGO_PKG_VERSION"));

/// How often one request may be sent on.
const REDIRECTS_MAX: usize = 10;

/// Makes one client for all hosts, because loading the system's certificates is slow, and one for each that has certificates of its own:
/// those vouch for no other host.
pub(super) struct Clients {
    timeout: Duration,
    shared: OnceLock<Result<Client, Failure>>,
    without_tls: OnceLock<Result<Client, Failure>>,
}

impl Clients {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, shared: OnceLock::new(), without_tls: OnceLock::new() }
    }

    /// The client for a host, which may have a file of certificates of its own. Must be called inside of a runtime, which the
    /// clients' connectors look for.
    ///
    /// # Errors
    /// The certificates cannot be read.
    pub(super) fn client(&self, plain_http: bool, ca: Option<&Path>) -> Result<Client, Failure> {
        if let Some(path) = ca {
            let certificates = certificates(path)?;
            let unusable = |_| Failure::refused("the certificates of its `ca` are not usable");
            return self.builder().tls_certs_merge(certificates).build().map_err(unusable);
        }
        let shared = self.shared.get_or_init(|| {
            self.builder().build().map_err(|_| {
                Failure::refused("no certificates are found on this system to know it by, see SSL_CERT_FILE")
            })
        });
        match shared {
            // A minimal container has no certificates, and for HTTP alone it needs none.
            Err(_) if plain_http => {
                let unusable = |_| Failure::refused("the network cannot be used");
                let bare = || self.builder().tls_certs_only([]).build().map_err(unusable);
                self.without_tls.get_or_init(bare).clone()
            }
            shared => shared.clone(),
        }
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder().timeout(self.timeout).user_agent(USER_AGENT).redirect(redirects())
    }
}

/// # Errors
/// The file cannot be read, or holds no certificate in the PEM form.
fn certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let shown = printable(&path.display().to_string());
    let failed = |why: &str| Failure::refused(format!("its `ca`, {shown}, {why}"));
    let text = std::fs::read(path).map_err(|error| failed(&format!("cannot be read: {}", error.kind())))?;
    match Certificate::from_pem_bundle(&text) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(failed("holds no certificate in the PEM form")),
    }
}

/// The HTTP library leaves a login behind where the next host or port is another one.
fn redirects() -> Policy {
    Policy::custom(|attempt| {
        if attempt.previous().len() > REDIRECTS_MAX {
            attempt.error(Redirected::TooOften)
        } else if attempt.url().scheme() != "https" && attempt.previous().iter().any(|url| url.scheme() == "https") {
            attempt.error(Redirected::OutOfTls)
        } else {
            attempt.follow()
        }
    })
}

/// Why a request was not sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Redirected {
    TooOften,
    /// Anybody on the way could answer in the registry's place.
    OutOfTls,
}

impl Redirected {
    /// Finds it in the error that the HTTP library makes of it.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        causes(error).find_map(|error| error.downcast_ref().copied())
    }
}

impl fmt::Display for Redirected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooOften => "it redirects without end",
            Self::OutOfTls => "it redirects to an address without TLS",
        })
    }
}

impl Error for Redirected {}
