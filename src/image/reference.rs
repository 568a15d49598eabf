//! Image references: `registry/repository:tag@digest`, as Docker and Kubernetes read them.
//!
//! The grammar is that of the `distribution/reference` package, which BuildKit, containerd and the kubelet share: what it
//! refuses they refuse, so nothing here is guessed from the look of a name. A reference prints as it was written; only the
//! registry-facing parts have Docker's defaults filled in.

use std::fmt;

/// The registry that is meant when a reference names none.
pub const DEFAULT_REGISTRY: &str = "docker.io";

/// The tag that is meant when a reference has neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";

/// The older name of [`DEFAULT_REGISTRY`]; both name one registry.
const LEGACY_DEFAULT_REGISTRY: &str = "index.docker.io";

/// Where docker.io keeps its official images: `node` is `library/node` there.
const OFFICIAL_PREFIX: &str = "library/";

/// Longest repository, `library/` included (`RepositoryNameTotalLengthMax`).
const REPOSITORY_LENGTH_MAX: usize = 255;

/// Longest tag.
const TAG_LENGTH_MAX: usize = 128;

/// How much of a wrong reference a message quotes, in characters: a message is one line.
const QUOTED_LENGTH_MAX: usize = 80;

/// The text is not an image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidReference {
    /// One line without control characters: what was read and which rule it breaks.
    pub message: String,
}

/// A reference as its author wrote it, and the parts that registries understand. Names are never expanded in print.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    written: String,
    /// Bytes of `written` before tag and digest.
    name_length: usize,
    /// Start and end in `written`; a pair because `Range` has no order and references are sorted.
    tag: Option<(usize, usize)>,
    digest: Option<(usize, usize)>,
    registry: String,
    repository: String,
}

impl Reference {
    /// Reads a reference.
    ///
    /// # Errors
    /// Anything outside the grammar: variables, templates and placeholders, upper case in a repository, an empty tag, a
    /// shortened digest. A bare string of 64 hexadecimal digits is refused too, because Docker reads it as an image id.
    pub fn parse(written: &str) -> Result<Self, InvalidReference> {
        Self::read(written).map_err(|reason| InvalidReference {
            message: format!("`{}` is not an image reference: {reason}", quoted(written)),
        })
    }

    fn read(written: &str) -> Result<Self, &'static str> {
        check_characters(written)?;
        if written.len() == 64 && written.bytes().all(is_lower_hex) {
            return Err("Docker reads 64 hexadecimal digits as an image id");
        }
        let (before_digest, digest) = match written.find('@') {
            Some(at) => (&written[..at], Some((at + 1, written.len()))),
            None => (written, None),
        };
        // A colon before the last slash belongs to a port; one after it starts the tag.
        let last_component = before_digest.rfind('/').map_or(0, |slash| slash + 1);
        let colon = before_digest[last_component..].find(':').map(|colon| last_component + colon);
        let (name, tag) = match colon {
            Some(colon) => (&before_digest[..colon], Some((colon + 1, before_digest.len()))),
            None => (before_digest, None),
        };
        let (registry, path) = split_registry(name);
        if let Some(registry) = registry {
            check_registry(registry)?;
        }
        check_repository(path)?;
        let registry = match registry {
            None | Some(LEGACY_DEFAULT_REGISTRY) => DEFAULT_REGISTRY,
            Some(other) => other,
        };
        let official = registry == DEFAULT_REGISTRY && !path.contains('/');
        let repository = if official { format!("{OFFICIAL_PREFIX}{path}") } else { path.to_owned() };
        if repository.len() > REPOSITORY_LENGTH_MAX {
            return Err("the repository is longer than 255 characters");
        }
        if let Some((start, end)) = tag {
            check_tag(&written[start..end])?;
        }
        if let Some((start, end)) = digest {
            check_digest(&written[start..end])?;
        }
        Ok(Self {
            written: written.to_owned(),
            name_length: name.len(),
            tag,
            digest,
            registry: registry.to_owned(),
            repository,
        })
    }

    /// The host and port, `docker.io` when none is written (`index.docker.io` is the same registry).
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry, `library/` filled in for official images of docker.io.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The name as written, without tag and digest.
    pub fn name(&self) -> &str {
        &self.written[..self.name_length]
    }

    /// The tag as written; `None` stands for `latest`.
    pub fn tag(&self) -> Option<&str> {
        self.tag.map(|(start, end)| &self.written[start..end])
    }

    /// The digest as written: `sha256:` (or `sha384:`, `sha512:`) and its hexadecimal digits.
    pub fn digest(&self) -> Option<&str> {
        self.digest.map(|(start, end)| &self.written[start..end])
    }

    /// The same image pinned: `name:tag@digest`, the form that Renovate and Dependabot maintain. Name and tag stay as
    /// written; a digest that is already there gives way to `digest`. Where neither stands, the tag that is meant is
    /// written: it tells people and tools what the digest was taken from, and the kubelet pulls as often as before.
    pub fn with_digest(&self, digest: &str) -> String {
        let named = self.tag.map_or(self.name_length, |(_, end)| end);
        let named = &self.written[..named];
        if self.tag.is_none() && self.digest.is_none() {
            return format!("{named}:{DEFAULT_TAG}@{digest}");
        }
        format!("{named}@{digest}")
    }

    /// The same image by its tag alone. `None` where no tag is written beside the digest: then `latest` was not meant.
    pub fn without_digest(&self) -> Option<Self> {
        let (_, end) = self.tag?;
        Some(Self { written: self.written[..end].to_owned(), digest: None, ..self.clone() })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl std::str::FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        Self::parse(written)
    }
}

/// Names the mistakes that occur in real files before the grammar is applied, since the grammar's own complaint
/// ("a path component must…") would not tell an author that a placeholder was left behind.
fn check_characters(written: &str) -> Result<(), &'static str> {
    if written.is_empty() {
        return Err("it is empty");
    }
    if written.contains(['$', '<', '>', '{', '}', '%']) {
        return Err("it is a placeholder or holds a variable");
    }
    if written.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("it holds white space or control characters");
    }
    if written.contains("://") {
        return Err("a reference has no scheme");
    }
    Ok(())
}

/// Docker's rule: what stands before the first slash is a registry only if it could not be a namespace of docker.io, that
/// is when it has a dot or a port, is `localhost`, or holds upper case (which a repository may not).
fn split_registry(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

fn check_registry(registry: &str) -> Result<(), &'static str> {
    const MESSAGE: &str = "the registry is not a host name with an optional port";
    let (host, port) = match registry.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or(MESSAGE)?;
            if address.is_empty() || !address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') {
                return Err(MESSAGE);
            }
            (None, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(MESSAGE)?) })
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(registry), None),
        },
    };
    let host_is_right = host.is_none_or(|host| host.split('.').all(is_host_component));
    let port_is_right = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    if host_is_right && port_is_right { Ok(()) } else { Err(MESSAGE) }
}

fn is_host_component(component: &str) -> bool {
    !component.is_empty()
        && component.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !component.starts_with('-')
        && !component.ends_with('-')
}

fn check_repository(path: &str) -> Result<(), &'static str> {
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("a repository is written in lower case");
    }
    if !path.split('/').all(is_path_component) {
        return Err("the repository is not lower-case words joined by `.`, `_`, `__`, `-` and `/`");
    }
    Ok(())
}

/// `[a-z0-9]+` joined by one dot, one or two underscores, or any number of dashes.
fn is_path_component(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    is_word(*first)
        && is_word(*last)
        && bytes.chunk_by(|a, b| is_word(*a) == is_word(*b)).all(|run| {
            is_word(run[0]) || matches!(run, b"." | b"_" | b"__") || run.iter().all(|separator| *separator == b'-')
        })
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if !tag.bytes().next().is_some_and(is_word) {
        return Err("a tag starts with a letter, a digit or `_`");
    }
    if !tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-') {
        return Err("a tag holds letters, digits, `_`, `.` and `-` only");
    }
    if tag.len() > TAG_LENGTH_MAX {
        return Err("the tag is longer than 128 characters");
    }
    Ok(())
}

/// The algorithms that `opencontainers/go-digest` registers; others make Docker refuse the reference.
fn check_digest(digest: &str) -> Result<(), &'static str> {
    let (algorithm, hex) = digest.split_once(':').ok_or("a digest is an algorithm, `:` and hexadecimal digits")?;
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return Err("the digest's algorithm is none of sha256, sha384 and sha512"),
    };
    if hex.len() != length {
        return Err("the digest is not of its algorithm's length");
    }
    if !hex.bytes().all(is_lower_hex) {
        return Err("a digest is written in lower-case hexadecimal digits");
    }
    Ok(())
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

fn quoted(written: &str) -> String {
    let mut quoted: String = written.chars().take(QUOTED_LENGTH_MAX).flat_map(char::escape_debug).collect();
    if written.chars().nth(QUOTED_LENGTH_MAX).is_some() {
        quoted.push('…');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// Written, registry, repository, name, tag, digest.
    type Parts = (&'static str, &'static str, &'static str, &'static str, Option<&'static str>, Option<&'static str>);

    #[rustfmt::skip]
    const VALID: &[Parts] = &[
        ("node", "docker.io", "library/node", "node", None, None),
        ("node:20", "docker.io", "library/node", "node", Some("20"), None),
        ("library/node:20", "docker.io", "library/node", "library/node", Some("20"), None),
        ("docker.io/node", "docker.io", "library/node", "docker.io/node", None, None),
        ("index.docker.io/node:20", "docker.io", "library/node", "index.docker.io/node", Some("20"), None),
        ("index.docker.io/me/app", "docker.io", "me/app", "index.docker.io/me/app", None, None),
        ("me/app:1.0-rc_1", "docker.io", "me/app", "me/app", Some("1.0-rc_1"), None),
        ("ghcr.io/me/app", "ghcr.io", "me/app", "ghcr.io/me/app", None, None),
        ("localhost/app", "localhost", "app", "localhost/app", None, None),
        // Without a slash there is no registry, so this is a repository with a numeric tag.
        ("localhost:5000", "docker.io", "library/localhost", "localhost", Some("5000"), None),
        ("localhost:5000/app", "localhost:5000", "app", "localhost:5000/app", None, None),
        ("localhost:5000/app:5000", "localhost:5000", "app", "localhost:5000/app", Some("5000"), None),
        ("127.0.0.1:5055/docker.io/library/nginx:1.22", "127.0.0.1:5055", "docker.io/library/nginx",
            "127.0.0.1:5055/docker.io/library/nginx", Some("1.22"), None),
        ("[::1]:5000/app:1", "[::1]:5000", "app", "[::1]:5000/app", Some("1"), None),
        // Upper case cannot be a namespace of docker.io, so Docker takes the first component for a host.
        ("Build/app", "Build", "app", "Build/app", None, None),
        ("x/a.b_c__d---e", "docker.io", "x/a.b_c__d---e", "x/a.b_c__d---e", None, None),
        ("node:20@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "docker.io",
            "library/node", "node", Some("20"), Some(DIGEST)),
        ("node@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "docker.io",
            "library/node", "node", None, Some(DIGEST)),
        ("node:Bookworm", "docker.io", "library/node", "node", Some("Bookworm"), None),
        ("node:_hidden", "docker.io", "library/node", "node", Some("_hidden"), None),
    ];

    #[test]
    fn valid_references_are_read_as_docker_reads_them() {
        for &(written, registry, repository, name, tag, digest) in VALID {
            let read = Reference::parse(written).unwrap();
            assert_eq!(read.registry(), registry, "{written}");
            assert_eq!(read.repository(), repository, "{written}");
            assert_eq!(read.name(), name, "{written}");
            assert_eq!(read.tag(), tag, "{written}");
            assert_eq!(read.digest(), digest, "{written}");
            assert_eq!(read.to_string(), written);
        }
    }

    #[rustfmt::skip]
    const INVALID: &[(&str, &str)] = &[
        ("", "empty"),
        ("<image>", "placeholder"),
        ("me/app:<tag>", "placeholder"),
        ("${IMAGE}", "placeholder"),
        ("$IMAGE", "placeholder"),
        ("node:${VERSION}", "placeholder"),
        ("{{ .Values.image }}", "placeholder"),
        ("%IMAGE%", "placeholder"),
        ("IMAGE_NAME", "lower case"),
        ("Node:20", "lower case"),
        ("me/App", "lower case"),
        ("ghcr.io/Me/app", "lower case"),
        ("IMAGE_NAME/app", "host name"),
        // A repository may hold underscores, a host may not.
        ("a.b__c/app", "host name"),
        (" node", "white space"),
        ("node 20", "white space"),
        ("node\u{1b}[31m", "control"),
        ("https://docker.io/node", "scheme"),
        ("node:", "a tag starts"),
        ("node:-1", "a tag starts"),
        ("node:.1", "a tag starts"),
        ("node:20:1", "a tag holds"),
        ("node:a+b", "a tag holds"),
        ("node:é", "a tag starts"),
        ("/node", "repository"),
        ("node/", "repository"),
        ("me//app", "repository"),
        (":20", "repository"),
        ("-node", "repository"),
        ("node-", "repository"),
        ("no..de", "repository"),
        ("no___de", "repository"),
        ("no._de", "repository"),
        ("nöde", "repository"),
        ("host:/app", "host name"),
        ("host:5a/app", "host name"),
        ("-host.io/app", "host name"),
        ("a..b/app", "host name"),
        ("[::1/app", "host name"),
        ("[]:1/app", "host name"),
        ("[::1]5/app", "host name"),
        ("ghcr.io/", "repository"),
        ("node@", "algorithm"),
        ("node@sha256", "algorithm"),
        ("node@md5:d41d8cd98f00b204e9800998ecf8427e", "sha256"),
        ("node@sha256:e3b0c442", "length"),
        ("node@sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", "lower-case hex"),
        ("node@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855@x", "length"),
        ("@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "repository"),
        ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "image id"),
    ];

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        for &(written, reason) in INVALID {
            let message = Reference::parse(written).expect_err(written).message;
            let said = message.split_once("reference: ").map_or("", |(_, said)| said);
            assert!(said.contains(reason), "{written:?}: {message}");
            assert!(!message.contains(char::is_control), "{message:?}");
        }
    }

    #[test]
    fn lengths_are_limited() {
        let tag = |length| format!("node:{}", "t".repeat(length));
        assert!(Reference::parse(&tag(128)).is_ok());
        assert!(Reference::parse(&tag(129)).unwrap_err().message.ends_with("the tag is longer than 128 characters"));
        // `library/` counts, because the registry sees it.
        assert!(Reference::parse(&"n".repeat(247)).is_ok());
        assert!(Reference::parse(&"n".repeat(248)).is_err());
        assert!(Reference::parse(&format!("ghcr.io/{}", "n".repeat(255))).is_ok());
        assert!(Reference::parse(&format!("ghcr.io/{}", "n".repeat(256))).is_err());
    }

    #[test]
    fn a_message_quotes_a_bounded_piece() {
        let message = Reference::parse(&"A".repeat(1 << 20)).unwrap_err().message;
        assert!(message.chars().count() < 200, "{message}");
        assert!(message.contains('…'));
    }

    #[test]
    fn pinning_keeps_name_and_tag_and_writes_the_tag_that_is_meant() {
        for (written, pinned) in [
            ("node", "node:latest@D"),
            ("node:20", "node:20@D"),
            ("index.docker.io/library/node:20", "index.docker.io/library/node:20@D"),
            ("localhost:5000/app", "localhost:5000/app:latest@D"),
            ("localhost:5000/app:1", "localhost:5000/app:1@D"),
        ] {
            let pinned = pinned.replace('D', DIGEST);
            assert_eq!(Reference::parse(written).unwrap().with_digest(DIGEST), pinned);
            let again = Reference::parse(&pinned).unwrap();
            assert_eq!(again.with_digest(DIGEST), pinned, "pinning twice changes nothing");
        }
        let by_digest = format!("node@{DIGEST}");
        assert_eq!(Reference::parse(&by_digest).unwrap().with_digest(DIGEST), by_digest, "no tag was meant");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(written in "[a-zA-Z0-9./:@_\\-\\[\\]$ é]{0,40}|\\PC{0,40}") {
            if let Ok(read) = Reference::parse(&written) {
                proptest::prop_assert_eq!(read.to_string(), written);
                let pinned = read.with_digest(DIGEST);
                let again = Reference::parse(&pinned).unwrap();
                proptest::prop_assert_eq!(again.name(), read.name());
                let meant = read.tag().or(read.digest().is_none().then_some(DEFAULT_TAG));
                proptest::prop_assert_eq!(again.tag(), meant);
                proptest::prop_assert_eq!(again.digest(), Some(DIGEST));
            }
        }
    }
}
