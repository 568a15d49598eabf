//! What went wrong with a request, in words of our own.
//!
//! Nothing a server says is repeated: an error page may be of any length, hold escape sequences, or echo the password it was
//! sent. Only status codes, standard error codes and the system's own messages pass.

use super::ResolveError;
use crate::image::Reference;
use oci_distribution::errors::{OciDistributionError, OciErrorCode};
use std::error::Error;
use std::time::Duration;

/// Longest piece of a system message that is shown, in characters.
const REASON_LENGTH_MAX: usize = 120;

/// A question without an answer, not yet tied to a spelling of the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Whether nobody answered, so that asking the same host again is pointless.
    pub(super) unreachable: bool,
    reason: String,
}

impl Failure {
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self { unreachable: false, reason: reason.into() }
    }

    pub(super) fn unreachable(reason: impl Into<String>) -> Self {
        Self { unreachable: true, reason: reason.into() }
    }

    pub(super) fn timed_out(timeout: Duration) -> Self {
        Self::unreachable(format!("no answer within {timeout:?}"))
    }

    /// The failure of an HTTP status other than 200. `login` says with which login the question was asked.
    pub(super) fn of_status(status: u16, login: &str) -> Self {
        Self::refused(match status {
            401 | 403 => format!("not allowed, {login}"),
            404 => "not found".to_owned(),
            429 => format!("too many requests, {login}"),
            other => format!("HTTP status {other}"),
        })
    }

    /// The failure of a login step or of the fallback request.
    pub(super) fn of_client(error: &OciDistributionError, timeout: Duration, login: &str) -> Self {
        match error {
            OciDistributionError::RequestError(error) => Self::of_transport(error, timeout),
            OciDistributionError::IoError(error) => Self::unreachable(system_reason(error)),
            // The token service's status is lost on the way; its words are not for repeating.
            OciDistributionError::AuthenticationFailure(_) => Self::refused(format!("it issued no token, {login}")),
            OciDistributionError::UnauthorizedError { .. } => Self::of_status(401, login),
            OciDistributionError::ServerError { code, .. } => Self::of_status(*code, login),
            OciDistributionError::RegistryError { envelope, .. } => {
                Self::of_status(envelope.errors.first().map_or(400, |error| status_of_code(&error.code)), login)
            }
            _ => Self::refused("the answer is not that of a registry"),
        }
    }

    /// The failure of one HTTP request.
    pub(super) fn of_transport(error: &reqwest::Error, timeout: Duration) -> Self {
        if error.is_timeout() {
            Self::timed_out(timeout)
        } else if error.is_redirect() {
            Self::refused("it redirects without end")
        } else if error.is_builder() {
            Self::unreachable("its address is not a valid URL")
        } else {
            Self::unreachable(system_reason(error))
        }
    }

    /// The message for one reference and what was `wanted`. `asked` is the host that was asked; where a mirror makes it another
    /// one than the reference names, it is named too, because that is where a person has to look.
    pub(super) fn for_reference(&self, wanted: &str, reference: &Reference, asked: &str) -> ResolveError {
        let registry = reference.registry();
        let asked = if asked == registry { String::new() } else { format!(" at {asked}") };
        let reason = &self.reason;
        if self.unreachable {
            ResolveError::Unreachable(format!("{registry} did not answer{asked} for {reference} ({reason})"))
        } else {
            ResolveError::Refused(format!("{registry} gave no {wanted}{asked} for {reference} ({reason})"))
        }
    }
}

fn status_of_code(code: &OciErrorCode) -> u16 {
    match code {
        OciErrorCode::Unauthorized => 401,
        OciErrorCode::Denied => 403,
        OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::NotFound => 404,
        OciErrorCode::Toomanyrequests => 429,
        _ => 400,
    }
}

/// The innermost message of an error chain: the outer ones only repeat that a request failed, and for which URL.
fn system_reason(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    loop {
        if let Some(error) = innermost.downcast_ref::<std::io::Error>() {
            match error.kind() {
                std::io::ErrorKind::ConnectionRefused => return "connection refused".to_owned(),
                std::io::ErrorKind::ConnectionReset => return "connection reset".to_owned(),
                std::io::ErrorKind::UnexpectedEof => return "connection closed".to_owned(),
                _ => {}
            }
        }
        match innermost.source() {
            Some(source) => innermost = source,
            None => break,
        }
    }
    let message = innermost.to_string();
    if message.contains("InvalidContentType") {
        return "it does not speak TLS".to_owned();
    }
    message.chars().take(REASON_LENGTH_MAX).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_distribution::errors::OciEnvelope;

    const TIMEOUT: Duration = Duration::from_millis(1500);

    fn message(failure: &Failure, asked: &str) -> String {
        failure.for_reference("digest", &Reference::parse("node:20").unwrap(), asked).to_string()
    }

    #[test]
    fn messages_name_the_reference_and_the_host_that_was_asked() {
        let refused = Failure::unreachable("connection refused");
        assert_eq!(message(&refused, "docker.io"), "docker.io did not answer for node:20 (connection refused)");
        assert_eq!(
            message(&refused, "127.0.0.1:5000"),
            "docker.io did not answer at 127.0.0.1:5000 for node:20 (connection refused)"
        );
        let missing = Failure::of_status(404, "asked without a login");
        assert_eq!(message(&missing, "docker.io"), "docker.io gave no digest for node:20 (not found)");
        assert_eq!(Failure::timed_out(TIMEOUT).reason, "no answer within 1.5s");
    }

    #[test]
    fn what_a_server_says_is_not_repeated() {
        let said = "s3cret\u{1b}[2J\n".to_owned();
        let envelope: OciEnvelope =
            serde_json::from_str(r#"{"errors":[{"code":"S3CRET\n","message":"s3cret"}]}"#).unwrap();
        for error in [
            OciDistributionError::AuthenticationFailure(said.clone()),
            OciDistributionError::UnauthorizedError { url: said.clone() },
            OciDistributionError::ServerError { code: 503, url: said.clone(), message: said.clone() },
            OciDistributionError::RegistryError { envelope, url: said.clone() },
            OciDistributionError::RegistryTokenDecodeError(said.clone()),
            OciDistributionError::SpecViolationError(said),
        ] {
            let failure = Failure::of_client(&error, TIMEOUT, "asked as lab");
            assert!(!failure.unreachable, "{error:?}");
            assert!(!failure.reason.to_lowercase().contains("s3cret"), "{failure:?}");
            assert!(!failure.reason.contains(char::is_control), "{failure:?}");
        }
    }

    #[test]
    fn standard_codes_are_put_into_words() {
        for (code, reason) in [
            ("MANIFEST_UNKNOWN", "not found"),
            ("NAME_UNKNOWN", "not found"),
            ("DENIED", "not allowed, asked without a login"),
            ("UNAUTHORIZED", "not allowed, asked without a login"),
            ("TOOMANYREQUESTS", "too many requests, asked without a login"),
            ("WHATEVER", "HTTP status 400"),
        ] {
            let envelope = serde_json::from_str(&format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#)).unwrap();
            let error = OciDistributionError::RegistryError { envelope, url: String::new() };
            assert_eq!(Failure::of_client(&error, TIMEOUT, "asked without a login").reason, reason);
        }
    }
}
