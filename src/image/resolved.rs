//! What a reference stands for in its registry.

use oci_distribution::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// Reads a digest. `None` for anything but `sha256:` and 64 lower-case hexadecimal digits: other algorithms are legal
    /// in the image specification, but no registry computes them of its own accord.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (hex.len() == 64 && hex.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("sha256:{hex}"))
    }

    /// The digest as it stands behind `@`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a digest names, by its media type. A registry that serves any other serves no container image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaType {
    /// Images by platform, of the OCI image specification.
    OciIndex,
    /// The same by the older name that Docker gave it.
    DockerManifestList,
    /// One image, for one platform.
    OciManifest,
    /// The same by the older name that Docker gave it.
    DockerManifest,
}

impl MediaType {
    /// All of them; indices stand first.
    pub const ALL: [Self; 4] = [Self::OciIndex, Self::DockerManifestList, Self::OciManifest, Self::DockerManifest];

    /// Reads a media type without parameters. `None` for any that is not one of an image's manifests.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|media_type| media_type.as_str() == text)
    }

    /// The type as registries write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OciIndex => OCI_IMAGE_INDEX_MEDIA_TYPE,
            Self::DockerManifestList => IMAGE_MANIFEST_LIST_MEDIA_TYPE,
            Self::OciManifest => OCI_IMAGE_MEDIA_TYPE,
            Self::DockerManifest => IMAGE_MANIFEST_MEDIA_TYPE,
        }
    }

    /// Whether it stands for images by platform, and not for one of them.
    pub fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerManifestList)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a registry says a reference stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resolved {
    /// The digest of what the registry answered with.
    pub digest: Digest,
    /// What it is.
    pub media_type: MediaType,
}

/// A platform as registries name it: `linux/arm64`, `linux/arm/v7`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// The operating system in Go's spelling, `linux`.
    pub os: String,
    /// The processor in Go's spelling, `amd64`.
    pub architecture: String,
    /// The variant of the processor, `v7`. Without one any variant will do.
    pub variant: Option<String>,
}

impl std::str::FromStr for Platform {
    type Err = String;

    /// # Errors
    /// Anything but `os/architecture` or `os/architecture/variant` in lower-case letters and digits (and, after the first, `.`, `_`
    /// and `-`); one line.
    fn from_str(written: &str) -> Result<Self, String> {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let part = |part: &str| {
            part.bytes().next().is_some_and(letter) && part.bytes().all(|b| letter(b) || b"._-".contains(&b))
        };
        let parts: Vec<&str> = written.split('/').collect();
        match parts[..] {
            [os, architecture] if part(os) && part(architecture) => {
                Ok(Self { os: os.to_owned(), architecture: architecture.to_owned(), variant: None })
            }
            [os, architecture, variant] if part(os) && part(architecture) && part(variant) => {
                Ok(Self { os: os.to_owned(), architecture: architecture.to_owned(), variant: Some(variant.to_owned()) })
            }
            _ => Err("a platform is os/architecture or os/architecture/variant, as in linux/arm64".to_owned()),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_lower_case_sha256_is_a_digest() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let whole = format!("sha256:{hex}");
        assert_eq!(Digest::parse(&whole).unwrap().as_str(), whole);
        for wrong in [
            String::new(),
            hex.to_owned(),
            format!("sha512:{hex}"),
            format!("sha256:{}", &hex[1..]),
            format!("sha256:{hex}0"),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:{hex}\n"),
            format!(" sha256:{hex}"),
        ] {
            assert_eq!(Digest::parse(&wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_digest_of_nothing_is_the_well_known_one() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").as_str(), empty);
    }

    #[test]
    fn platforms_read_back_as_they_were_written() {
        for written in ["linux/amd64", "linux/arm/v7", "windows/amd64"] {
            assert_eq!(written.parse::<Platform>().unwrap().to_string(), written);
        }
        for wrong in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "Linux/amd64", "linux/amd64\n", "linux/../x"] {
            assert!(wrong.parse::<Platform>().is_err(), "{wrong:?}");
        }
    }
}
