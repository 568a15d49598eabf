//! From a tag or digest to the configuration of the image: the manifest, of an index the manifest for one platform, the blob.
//!
//! Whoever answers is not trusted. A body is read up to a limit, hashed, and only then parsed; each digest comes from a body
//! that was hashed before it, the first from whoever asks. A tag alone has no digest to compare with but the one that is sent
//! beside the body.

use super::failure::Failure;
use super::session::{Body, MANIFEST_MEDIA_TYPES, Session, is_index, is_manifest};
use crate::image::{Digest, ImageConfig};
use oci_distribution::manifest::{IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE};
use reqwest::header::HeaderValue;
use serde::Deserialize;

/// Largest manifest, in bytes: what the specification asks registries to accept
/// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests>).
const MANIFEST_SIZE_MAX: usize = 4 << 20;

/// Largest configuration, in bytes. Those of real images have a few thousand.
const CONFIG_SIZE_MAX: usize = 8 << 20;

/// The platform whose image speaks for all of an index: who an image runs as does not depend on the processor.
const ARCHITECTURE: &str = "amd64";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    media_type: Option<String>,
    /// Of an image.
    config: Option<Descriptor>,
    /// Of an index.
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

/// The configuration of the image behind `version`, a tag or a digest: two requests, three for an index.
pub(super) async fn config(
    session: &Session,
    repository: &str,
    version: &str,
    authorization: Option<&HeaderValue>,
) -> Result<ImageConfig, Failure> {
    let conversation = Conversation { session, repository, authorization };
    let by_digest = version.contains(':');
    let expected = if by_digest { Some(digest(version)?) } else { None };
    let manifest = match conversation.manifest(version, expected).await? {
        Found::Image(config) => config,
        Found::Index(children) => {
            let child = digest(&for_linux(children)?.digest)?;
            match conversation.manifest(child.as_str(), Some(child.clone())).await? {
                Found::Image(config) => config,
                Found::Index(_) => return Err(Failure::refused("its index holds another index")),
            }
        }
    };
    if ![IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE].contains(&manifest.media_type.as_str()) {
        return Err(Failure::refused("it is not the image of a container"));
    }
    conversation.blob(digest(&manifest.digest)?).await
}

/// What a manifest turned out to be.
enum Found {
    Image(Descriptor),
    Index(Vec<Descriptor>),
}

struct Conversation<'a> {
    session: &'a Session,
    repository: &'a str,
    authorization: Option<&'a HeaderValue>,
}

impl Conversation<'_> {
    async fn manifest(&self, version: &str, expected: Option<Digest>) -> Result<Found, Failure> {
        let path = format!("{}/manifests/{version}", self.repository);
        let accept = MANIFEST_MEDIA_TYPES.join(", ");
        let body = self.session.body(&path, Some(&accept), MANIFEST_SIZE_MAX, self.authorization).await?;
        let Body { media_type: Some(media_type), bytes, .. } = &body else {
            return Err(Failure::refused("the answer is not that of a registry"));
        };
        if !is_index(media_type) && !is_manifest(media_type) {
            return Err(Failure::refused("the answer is not that of a registry"));
        }
        let expected = match (expected, &body.digest) {
            (Some(expected), _) => Some(expected),
            (None, Some(sent)) => Some(digest(sent)?),
            (None, None) => None,
        };
        verify(bytes, expected.as_ref())?;
        let manifest: Manifest =
            serde_json::from_slice(bytes).map_err(|_| Failure::refused("its manifest is not a manifest"))?;
        // One body must not be an index to one reader and an image to another (CVE-2021-41190).
        if manifest.media_type.is_some_and(|own| own != *media_type) {
            return Err(Failure::refused("its manifest says to be of another type than the registry does"));
        }
        match (manifest.manifests, manifest.config) {
            (Some(children), None) if is_index(media_type) => Ok(Found::Index(children)),
            (None, Some(config)) if is_manifest(media_type) => Ok(Found::Image(config)),
            _ => Err(Failure::refused("its manifest is not a manifest")),
        }
    }

    async fn blob(&self, digest: Digest) -> Result<ImageConfig, Failure> {
        let path = format!("{}/blobs/{digest}", self.repository);
        // Registries send blobs as bytes of no type.
        let body = self.session.body(&path, None, CONFIG_SIZE_MAX, self.authorization).await?;
        verify(&body.bytes, Some(&digest))?;
        ImageConfig::parse(&body.bytes).map_err(Failure::refused)
    }
}

/// The image for Linux on [`ARCHITECTURE`], else the first for Linux. Attestations call their platform unknown.
fn for_linux(children: Vec<Descriptor>) -> Result<Descriptor, Failure> {
    let on = |child: &Descriptor, architecture: Option<&str>| {
        let platform = child.platform.as_ref();
        is_manifest(&child.media_type)
            && platform.is_some_and(|platform| {
                platform.os == "linux" && architecture.is_none_or(|wanted| platform.architecture == wanted)
            })
    };
    let first = |architecture| children.iter().position(|child| on(child, architecture));
    let index = first(Some(ARCHITECTURE)).or_else(|| first(None));
    index
        .and_then(|index| children.into_iter().nth(index))
        .ok_or_else(|| Failure::refused("it holds no image for Linux"))
}

fn digest(text: &str) -> Result<Digest, Failure> {
    Digest::parse(text).ok_or_else(|| Failure::refused("a digest on the way to it is not a SHA-256 digest"))
}

fn verify(bytes: &[u8], expected: Option<&Digest>) -> Result<(), Failure> {
    match expected {
        Some(expected) if Digest::of(bytes) != *expected => {
            Err(Failure::refused("what it sent is not what its digest names"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_distribution::manifest::{OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};

    fn child(media_type: &str, os: &str, architecture: &str) -> Descriptor {
        let platform = Platform { architecture: architecture.to_owned(), os: os.to_owned() };
        let digest = format!("{os}/{architecture}");
        Descriptor { media_type: media_type.to_owned(), digest, platform: Some(platform) }
    }

    #[test]
    fn the_image_that_speaks_for_an_index() {
        let image = |os, architecture| child(OCI_IMAGE_MEDIA_TYPE, os, architecture);
        let chosen = |children| for_linux(children).ok().map(|child| child.digest);
        let all = vec![image("windows", "amd64"), image("linux", "arm64"), image("linux", "amd64")];
        assert_eq!(chosen(all).as_deref(), Some("linux/amd64"));
        let some = vec![image("unknown", "unknown"), image("linux", "riscv64"), image("linux", "arm64")];
        assert_eq!(chosen(some).as_deref(), Some("linux/riscv64"));
        let untold = Descriptor { platform: None, ..image("linux", "amd64") };
        for none in [
            vec![],
            vec![untold],
            vec![image("unknown", "unknown")],
            vec![child(OCI_IMAGE_INDEX_MEDIA_TYPE, "linux", "amd64")],
        ] {
            assert_eq!(chosen(none), None);
        }
    }
}
