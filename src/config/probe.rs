//! `[[probe]]`: what `unroot prove` asks applications, beside the probes of their manifests.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One `[[probe]]` table: an HTTP request to a Service of the manifests, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeEntry {
    /// Service name and port, `web:80`.
    pub service: String,
    /// GET where nothing is said.
    #[serde(default = "get")]
    pub method: String,
    /// The path that is asked for, with its query.
    pub path: String,
    /// Header lines by name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What is sent.
    #[serde(default)]
    pub body: String,
    /// The status that must come back; 200 where nothing is said.
    #[serde(default = "ok")]
    pub status: u16,
    /// A text that the answer must contain.
    #[serde(default)]
    pub contains: String,
}

fn get() -> String {
    "GET".to_owned()
}

fn ok() -> u16 {
    200
}

impl ProbeEntry {
    /// The Service and its port.
    ///
    /// # Errors
    /// What it should look like.
    pub fn place(&self) -> Result<(&str, u16), String> {
        let parts = self.service.split_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
        parts.ok_or_else(|| format!("service = {:?} of a [[probe]] is not NAME:PORT, as in \"web:80\"", self.service))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let token = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != ':');
        self.place()?;
        if !self.path.starts_with('/') || self.path.chars().any(|c| c.is_control() || c == ' ') {
            return Err(format!("path = {:?} of a [[probe]] is no path, as in \"/healthz\"", self.path));
        }
        if !token(&self.method)
            || !self.headers.iter().all(|(name, value)| token(name) && !value.contains(['\r', '\n']))
        {
            return Err(format!("the method or a header of the [[probe]] at {} is not one of HTTP", self.path));
        }
        Ok(())
    }
}
