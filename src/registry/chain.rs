//! From a tag or digest to what stands behind it: the manifest, of an index the manifest for one platform, the configuration.
//!
//! Whoever answers is not trusted. A body is read up to a limit, hashed, and only then parsed; each digest comes from a body
//! that was hashed before it, the first from whoever asks. A tag alone has no digest to compare with but the one that is sent
//! beside the body.
//!
//! Nothing here asks who made an image. Whoever verifies signatures does it where [`Found`] is made: there the digest is known
//! to be that of the bytes, and nothing has been concluded from them yet.

use super::cache::{self, Storage};
use super::failure::Failure;
use super::session::{Body, Session, accepted, is_untold};
use crate::image::{Digest, ImageConfig, MediaType, Platform, Resolved};
use oci_distribution::manifest::{IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE};
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
    platform: Option<Named>,
}

/// A platform in the words of whoever built the image.
#[derive(Deserialize)]
struct Named {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// What `version`, a tag or a digest, names, and with a platform the image for it: one HEAD where the registry tells the digest
/// by that, else GET and a hash.
pub(super) async fn resolve(
    session: &Session,
    repository: &str,
    version: &str,
    platform: Option<&Platform>,
) -> Result<Resolved, Failure> {
    let conversation = Conversation { session, repository };
    let Some(platform) = platform else {
        return match session.head(repository, version).await? {
            Some(resolved) => Ok(resolved),
            None => {
                let found = conversation.manifest(version).await?;
                Ok(Resolved { digest: found.digest, media_type: found.media_type })
            }
        };
    };
    let found = conversation.manifest(version).await?;
    match found.what {
        What::Index(children) => {
            let child = children.iter().find(|child| child.is_for(platform));
            let child = child.ok_or_else(|| Failure::refused(format!("it holds no image for {platform}")))?;
            let media_type = MediaType::parse(&child.media_type).unwrap_or(MediaType::OciManifest);
            Ok(Resolved { digest: digest(&child.digest)?, media_type })
        }
        What::Image(config) => {
            let bytes = conversation.blob(&config).await?;
            let named: Named = serde_json::from_slice(&bytes)
                .map_err(|_| Failure::refused("its configuration is not that of an image"))?;
            if !named.is(platform) {
                return Err(Failure::refused(match named.shown() {
                    Some(other) => format!("it is one image, for {other} and not for {platform}"),
                    None => format!("it is one image, and not for {platform}"),
                }));
            }
            Ok(Resolved { digest: found.digest, media_type: found.media_type })
        }
    }
}

/// The configuration of the image behind `version`, a tag or a digest: two requests, three for an index.
pub(super) async fn config(session: &Session, repository: &str, version: &str) -> Result<ImageConfig, Failure> {
    let conversation = Conversation { session, repository };
    let config = match conversation.manifest(version).await?.what {
        What::Image(config) => config,
        What::Index(children) => {
            let child = digest(&for_linux(children)?.digest)?;
            match conversation.manifest(child.as_str()).await?.what {
                What::Image(config) => config,
                What::Index(_) => return Err(Failure::refused("its index holds another index")),
            }
        }
    };
    ImageConfig::parse(&conversation.blob(&config).await?).map_err(Failure::refused)
}

/// A manifest, and the digest that its bytes have.
struct Found {
    digest: Digest,
    media_type: MediaType,
    what: What,
}

/// What a manifest turned out to be.
enum What {
    Image(Descriptor),
    Index(Vec<Descriptor>),
}

struct Conversation<'a> {
    session: &'a Session,
    repository: &'a str,
}

impl Conversation<'_> {
    async fn manifest(&self, version: &str) -> Result<Found, Failure> {
        let expected = if version.contains(':') { Some(digest(version)?) } else { None };
        let storage = self.session.storage.as_deref();
        if let (Some(storage), Some(digest)) = (storage, &expected)
            && let Some((media_type, what)) = stored_manifest(storage, digest)
        {
            return Ok(Found { digest: digest.clone(), media_type, what });
        }
        let (path, accept) = (format!("manifests/{version}"), accepted());
        let body = self.session.body(self.repository, &path, Some(&accept), MANIFEST_SIZE_MAX).await?;
        let Body { media_type, bytes, .. } = &body;
        let told = media_type.as_deref().and_then(MediaType::parse);
        let untold = media_type.as_deref().is_none_or(is_untold);
        if told.is_none() && !untold {
            return Err(Failure::refused("the answer is not that of a registry"));
        }
        let expected = match (expected, &body.digest) {
            (Some(expected), _) => Some(expected),
            (None, Some(sent)) => Some(digest(sent)?),
            (None, None) => None,
        };
        let digest = verified(bytes, expected.as_ref())?;
        let manifest: Manifest =
            serde_json::from_slice(bytes).map_err(|_| Failure::refused("its manifest is not a manifest"))?;
        let own = manifest.media_type.as_deref().and_then(MediaType::parse);
        let media_type = match (told, own) {
            // One body must not be an index to one reader and an image to another (CVE-2021-41190).
            (Some(told), Some(own)) if told != own => {
                return Err(Failure::refused("its manifest says to be of another type than the registry does"));
            }
            (Some(told), _) => told,
            (None, Some(own)) => own,
            (None, None) => return Err(Failure::refused("the answer is not that of a registry")),
        };
        let what = match (manifest.manifests, manifest.config) {
            (Some(children), None) if media_type.is_index() => What::Index(children),
            (None, Some(config)) if !media_type.is_index() => What::Image(config),
            _ => return Err(Failure::refused("its manifest is not a manifest")),
        };
        if let Some(storage) = storage {
            cache::Body::Manifest.keep(storage, &digest, bytes);
        }
        Ok(Found { digest, media_type, what })
    }

    /// The bytes of a configuration.
    async fn blob(&self, config: &Descriptor) -> Result<Vec<u8>, Failure> {
        if !config.is_of_container() {
            return Err(Failure::refused("it is not the image of a container"));
        }
        let digest = digest(&config.digest)?;
        let storage = self.session.storage.as_deref();
        if let Some(bytes) = storage.and_then(|storage| cache::Body::Config.read(storage, &digest)) {
            return Ok(bytes);
        }
        // Registries send blobs as bytes of no type.
        let body = self.session.body(self.repository, &format!("blobs/{digest}"), None, CONFIG_SIZE_MAX).await?;
        verified(&body.bytes, Some(&digest))?;
        if let Some(storage) = storage {
            cache::Body::Config.keep(storage, &digest, &body.bytes);
        }
        Ok(body.bytes)
    }
}

/// Whether a media type is that of one image.
fn is_image(media_type: &str) -> bool {
    MediaType::parse(media_type).is_some_and(|media_type| !media_type.is_index())
}

/// What a manifest is that was kept, and whose type was told then.
///
/// Where the body does not say its own type, which only those of the OCI specification may leave out, it is that.
fn stored_manifest(storage: &dyn Storage, digest: &Digest) -> Option<(MediaType, What)> {
    let manifest: Manifest = serde_json::from_slice(&cache::Body::Manifest.read(storage, digest)?).ok()?;
    let own = manifest.media_type.as_deref().and_then(MediaType::parse);
    match (manifest.manifests, manifest.config) {
        (Some(children), None) => Some((own.unwrap_or(MediaType::OciIndex), What::Index(children))),
        (None, Some(config)) => Some((own.unwrap_or(MediaType::OciManifest), What::Image(config))),
        _ => None,
    }
}

/// What a digest names, as far as that was kept.
pub(super) fn stored_type(storage: &dyn Storage, digest: &Digest) -> Option<MediaType> {
    stored_manifest(storage, digest).map(|(media_type, _)| media_type)
}

/// The configuration that [`config`] would come to, where all of the way to it was kept.
pub(super) fn stored_config(storage: &dyn Storage, of: &Digest) -> Option<ImageConfig> {
    let stored = |digest: &Digest| stored_manifest(storage, digest).map(|(_, what)| what);
    let config = match stored(of)? {
        What::Image(config) => config,
        What::Index(children) => match stored(&Digest::parse(&for_linux(children).ok()?.digest)?)? {
            What::Image(config) => config,
            What::Index(_) => return None,
        },
    };
    let bytes = cache::Body::Config.read(storage, &Digest::parse(&config.digest)?)?;
    ImageConfig::parse(&bytes).ok().filter(|_| config.is_of_container())
}

impl Descriptor {
    fn is_of_container(&self) -> bool {
        [IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE].contains(&self.media_type.as_str())
    }

    fn is_for(&self, platform: &Platform) -> bool {
        is_image(&self.media_type) && self.platform.as_ref().is_some_and(|named| named.is(platform))
    }
}

impl Named {
    fn is(&self, platform: &Platform) -> bool {
        let variant = |written: Option<&str>| {
            let written = written.filter(|variant| !variant.is_empty());
            written.or_else(|| usual_variant(&platform.architecture)).map(str::to_owned)
        };
        let same_variant =
            platform.variant.is_none() || variant(self.variant.as_deref()) == variant(platform.variant.as_deref());
        self.os == platform.os && self.architecture == platform.architecture && same_variant
    }

    /// `None` where it is nothing to show.
    fn shown(&self) -> Option<Platform> {
        format!("{}/{}", self.os, self.architecture).parse().ok()
    }
}

/// The variant that is meant where none is written, as containerd has it
/// (<https://github.com/containerd/platforms/blob/main/database.go>).
fn usual_variant(architecture: &str) -> Option<&'static str> {
    match architecture {
        "arm64" => Some("v8"),
        "arm" => Some("v7"),
        "amd64" => Some("v1"),
        _ => None,
    }
}

/// The image for Linux on [`ARCHITECTURE`], else the first for Linux. Attestations call their platform unknown.
fn for_linux(children: Vec<Descriptor>) -> Result<Descriptor, Failure> {
    let on = |child: &Descriptor, architecture: Option<&str>| {
        let platform = child.platform.as_ref();
        is_image(&child.media_type)
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

/// The digest that the bytes have, which must be the one that was expected.
fn verified(bytes: &[u8], expected: Option<&Digest>) -> Result<Digest, Failure> {
    let digest = Digest::of(bytes);
    match expected {
        Some(expected) if digest != *expected => Err(Failure::refused("what it sent is not what its digest names")),
        _ => Ok(digest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_distribution::manifest::{OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};

    fn child(media_type: &str, os: &str, architecture: &str) -> Descriptor {
        let platform = Named { architecture: architecture.to_owned(), os: os.to_owned(), variant: None };
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

    #[test]
    fn a_platform_without_a_variant_is_of_the_usual_one() {
        let named = |architecture: &str, variant: Option<&str>| Named {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        };
        for (architecture, variant, wanted, fits) in [
            ("arm64", None, "linux/arm64", true),
            ("arm64", None, "linux/arm64/v8", true),
            ("arm64", Some("v8"), "linux/arm64", true),
            ("arm64", Some("v9"), "linux/arm64/v8", false),
            ("arm", Some("v6"), "linux/arm/v7", false),
            ("arm", Some(""), "linux/arm/v7", true),
            ("arm", Some("v6"), "linux/arm", true),
            ("amd64", Some("v1"), "linux/amd64", true),
            ("amd64", None, "windows/amd64", false),
            ("riscv64", None, "linux/amd64", false),
        ] {
            assert_eq!(named(architecture, variant).is(&wanted.parse().unwrap()), fits, "{architecture} {wanted}");
        }
    }
}
