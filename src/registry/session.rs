//! The conversation with one host: log in once per repository, then one HEAD per tag, and GET for what is worth reading.
//!
//! The login is oci-client's. The question is our own request, because oci-client's `fetch_manifest_digest` answers whatever
//! it is sent when the digest header is missing: it hashes the body of a second GET, so a captive portal's HTML page would be
//! pinned as an image. It also asks GET after every refused HEAD, and GET is what Docker Hub counts against its limit. It
//! remains the way to ask registries that know manifests but not the header.

use super::NetworkSettings;
use super::credentials::Login;
use super::failure::Failure;
use super::online::Host;
use crate::image::{Digest, Kind, Resolved};
use oci_distribution::client::{ClientConfig, ClientProtocol};
use oci_distribution::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
};
use oci_distribution::secrets::RegistryAuth;
use oci_distribution::{Client, RegistryOperation};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

/// Indices stand first: a registry that converts must not hand out one platform's manifest instead.
pub(super) const MANIFEST_MEDIA_TYPES: [&str; 4] =
    [OCI_IMAGE_INDEX_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE];

const DIGEST_HEADER: &str = "docker-content-digest";

const USER_AGENT: &str = concat!("unroot/", env!("CARGO_PKG_VERSION"));

/// The HTTP clients that all hosts share: loading the system's certificates is slow enough to do once.
#[derive(Clone)]
pub(super) struct Clients {
    registry: Client,
    http: reqwest::Client,
    timeout: Duration,
}

impl Clients {
    /// # Errors
    /// The system's certificates cannot be loaded.
    pub(super) fn new(settings: &NetworkSettings, plain_hosts: Vec<String>) -> Result<Self, Failure> {
        let timeout = settings.timeout;
        let config = ClientConfig {
            protocol: ClientProtocol::HttpsExcept(plain_hosts),
            read_timeout: Some(timeout),
            connect_timeout: Some(timeout),
            user_agent: USER_AGENT,
            ..ClientConfig::default()
        };
        let login = "asked without a login";
        let registry = Client::try_from(config).map_err(|error| Failure::of_client(&error, timeout, login))?;
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| Failure::of_transport(&error, timeout))?;
        Ok(Self { registry, http, timeout })
    }
}

/// One host and the login for it.
pub(super) struct Session {
    clients: Clients,
    host: Host,
    login: Arc<Login>,
}

/// What came back for a GET.
pub(super) struct Body {
    /// `Content-Type` without parameters.
    pub(super) media_type: Option<String>,
    /// The digest that the registry says the body has.
    pub(super) digest: Option<String>,
    pub(super) bytes: Vec<u8>,
}

impl Session {
    pub(super) fn new(clients: Clients, host: Host, login: Arc<Login>) -> Self {
        Self { clients, host, login }
    }

    /// What to send with each question about `repository`: a token, user and password, or nothing.
    pub(super) async fn authorize(&self, repository: &str) -> Result<Option<HeaderValue>, Failure> {
        let reference = self.reference(repository, super::DEFAULT_TAG);
        let granted = self.clients.registry.auth(&reference, &self.login.auth, RegistryOperation::Pull);
        let token = match tokio::time::timeout(self.clients.timeout, granted).await {
            Err(_) => return Err(Failure::timed_out(self.clients.timeout)),
            Ok(Err(error)) => return Err(Failure::of_client(&error, self.clients.timeout, self.login.description)),
            Ok(Ok(token)) => token,
        };
        match (token, &self.login.auth) {
            (Some(token), _) => {
                let unreadable = |_| Failure::refused("the token it issued is not readable");
                secret_header(&format!("Bearer {token}")).map(Some).map_err(unreadable)
            }
            (None, RegistryAuth::Basic(user, password)) => {
                // The request builder knows how to encode the pair, and marks it as a secret.
                let request = self.clients.http.head(self.manifest_url(repository, super::DEFAULT_TAG));
                let request = request.basic_auth(user, Some(password)).build();
                Ok(request.ok().and_then(|request| request.headers().get(AUTHORIZATION).cloned()))
            }
            (None, _) => Ok(None),
        }
    }

    /// What `version`, a tag or a digest, names.
    pub(super) async fn resolve(
        &self,
        repository: &str,
        version: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Resolved, Failure> {
        let timeout = self.clients.timeout;
        let mut request = self.clients.http.head(self.manifest_url(repository, version));
        request = request.header(ACCEPT, MANIFEST_MEDIA_TYPES.join(", "));
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let response = request.send().await.map_err(|error| Failure::of_transport(&error, timeout))?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(Failure::of_status(response.status().as_u16(), self.login.description));
        }
        let kind = match media_type(response.headers()) {
            Some(media_type) if is_index(&media_type) => Kind::Index,
            Some(media_type) if is_manifest(&media_type) => Kind::Image,
            _ => return Err(Failure::refused("the answer is not that of a registry")),
        };
        let digest = match response.headers().get(DIGEST_HEADER) {
            Some(digest) => digest
                .to_str()
                .ok()
                .and_then(Digest::parse)
                .ok_or_else(|| Failure::refused("the digest it sent is not a SHA-256 digest"))?,
            None => self.computed_digest(repository, version).await?,
        };
        if version.contains(':') && version != digest.as_str() {
            return Err(Failure::refused("it answers with another digest than it was asked for"));
        }
        Ok(Resolved { digest, kind })
    }

    /// Reads what stands at `path`, which starts with a repository. A registry may send the question on to another host, as
    /// many do for blobs; the HTTP client then leaves `authorization` behind. The time-out holds for the whole body.
    pub(super) async fn body(
        &self,
        path: &str,
        accept: Option<&str>,
        size_max: usize,
        authorization: Option<&HeaderValue>,
    ) -> Result<Body, Failure> {
        let failed = |error: reqwest::Error| Failure::of_transport(&error, self.clients.timeout);
        let mut request = self.clients.http.get(self.url(path));
        if let Some(accept) = accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let mut response = request.send().await.map_err(failed)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(Failure::of_status(response.status().as_u16(), self.login.description));
        }
        let mut bytes = Vec::new();
        // The length that a server announces is not what it has to send.
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > size_max {
                return Err(Failure::refused(format!("its answer is longer than {} MiB", size_max >> 20)));
            }
            bytes.extend_from_slice(&chunk);
        }
        // A header that is no text is no digest either.
        let sent = response.headers().get(DIGEST_HEADER);
        let digest = sent.map(|digest| digest.to_str().unwrap_or_default().to_owned());
        Ok(Body { media_type: media_type(response.headers()), digest, bytes })
    }

    /// Fetches the manifest and hashes it, for registries that do not send the header.
    async fn computed_digest(&self, repository: &str, tag: &str) -> Result<Digest, Failure> {
        let timeout = self.clients.timeout;
        let reference = self.reference(repository, tag);
        let digest = self.clients.registry.fetch_manifest_digest(&reference, &self.login.auth);
        match tokio::time::timeout(timeout, digest).await {
            Err(_) => Err(Failure::timed_out(timeout)),
            Ok(Err(error)) => Err(Failure::of_client(&error, timeout, self.login.description)),
            Ok(Ok(digest)) => {
                Digest::parse(&digest).ok_or_else(|| Failure::refused("the digest it sent is not a SHA-256 digest"))
            }
        }
    }

    fn reference(&self, repository: &str, tag: &str) -> oci_distribution::Reference {
        let host = self.host.address.clone();
        oci_distribution::Reference::with_tag(host, repository.to_owned(), tag.to_owned())
    }

    fn manifest_url(&self, repository: &str, tag: &str) -> String {
        self.url(&format!("{repository}/manifests/{tag}"))
    }

    fn url(&self, path: &str) -> String {
        let scheme = if self.host.plain_http { "http" } else { "https" };
        format!("{scheme}://{}/v2/{path}", self.host.address)
    }
}

/// # Errors
/// The value holds what a header may not.
fn secret_header(value: &str) -> Result<HeaderValue, reqwest::header::InvalidHeaderValue> {
    let mut header = HeaderValue::from_str(value)?;
    header.set_sensitive(true);
    Ok(header)
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let essence = headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').next()?;
    Some(essence.trim().to_owned())
}

pub(super) fn is_index(media_type: &str) -> bool {
    [OCI_IMAGE_INDEX_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE].contains(&media_type)
}

pub(super) fn is_manifest(media_type: &str) -> bool {
    [OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE].contains(&media_type)
}
