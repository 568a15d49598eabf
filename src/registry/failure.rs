//! What went wrong with a request, in words of our own.
//!
//! Nothing a server says is repeated: an error page may be of any length, hold escape sequences, or echo the password it was
//! sent. Only status codes, the numbers of a limit and the system's own messages pass.

use super::ResolveError;
use super::clients::Redirected;
use crate::image::Reference;
use std::error::Error;
use std::time::Duration;

/// Longest piece of a system message that is shown, in characters.
const REASON_LENGTH_MAX: usize = 120;

/// A question without an answer, not yet tied to a spelling of the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Whether nobody answered, so that asking the same host again is pointless.
    pub(super) unreachable: bool,
    /// Whether a connection was refused or broken off, as while a server is started again.
    broken: bool,
    reason: String,
}

impl Failure {
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self { unreachable: false, broken: false, reason: reason.into() }
    }

    pub(super) fn unreachable(reason: impl Into<String>) -> Self {
        Self { unreachable: true, broken: false, reason: reason.into() }
    }

    pub(super) fn timed_out(timeout: Duration) -> Self {
        Self::unreachable(format!("no answer within {timeout:?}, see --timeout"))
    }

    /// The failure of an HTTP status other than 200. `limit` is what the host says of its limits, `login` with which login the
    /// question was asked.
    pub(super) fn of_status(status: u16, limit: &str, login: &str) -> Self {
        Self::refused(match status {
            401 | 403 => format!("not allowed, {login}"),
            404 => "not found".to_owned(),
            429 => format!("too many requests{limit}, {login}"),
            other => format!("HTTP status {other}{limit}"),
        })
    }

    /// The failure of one HTTP request.
    pub(super) fn of_transport(error: &reqwest::Error, timeout: Duration) -> Self {
        if let Some(redirected) = Redirected::of(error) {
            Self::refused(redirected.to_string())
        } else if error.is_timeout() {
            Self::timed_out(timeout)
        } else if error.is_builder() {
            Self::unreachable("its address is not a valid URL")
        } else {
            match broken_connection(error) {
                Some(how) => Self { broken: true, ..Self::unreachable(how) },
                None => Self::unreachable(system_reason(error)),
            }
        }
    }

    /// Whether a connection was refused or broken off.
    pub(super) fn is_of_connection(&self) -> bool {
        self.broken
    }

    /// The same, and where it happened.
    pub(super) fn at(self, place: &str) -> Self {
        Self { reason: format!("{place}: {}", self.reason), ..self }
    }

    /// The same, and why nothing more was done about it.
    pub(super) fn because(self, why: &str) -> Self {
        Self { reason: format!("{}; {why}", self.reason), ..self }
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

/// An error and what caused it, innermost last.
pub(super) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// How a connection ended that was refused or broken off.
fn broken_connection(error: &(dyn Error + 'static)) -> Option<&'static str> {
    causes(error).find_map(|error| match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::ConnectionRefused) => Some("connection refused"),
        Some(std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe) => Some("connection reset"),
        Some(std::io::ErrorKind::UnexpectedEof) => Some("connection closed"),
        Some(_) => None,
        // The HTTP library's own words for it.
        None => error.to_string().contains("connection closed before message completed").then_some("connection closed"),
    })
}

/// The innermost message of an error chain: the outer ones only repeat that a request failed, and for which URL.
fn system_reason(error: &(dyn Error + 'static)) -> String {
    let message = causes(error).last().map(ToString::to_string).unwrap_or_default();
    let certificate = |words: &str| format!("its certificate {words}");
    match message {
        _ if message.contains("InvalidContentType") => "it does not speak TLS".to_owned(),
        _ if message.contains("UnknownIssuer") || message.contains("BadSignature") => {
            certificate("is from no authority that is known here, see `ca` in unroot.toml")
        }
        _ if message.contains("certificate not valid for name") || message.contains("NotValidForName") => {
            certificate("is for another name")
        }
        _ if message.contains("certificate expired") || message.contains("Expired") => certificate("has expired"),
        _ => message.chars().take(REASON_LENGTH_MAX).flat_map(char::escape_debug).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let missing = Failure::of_status(404, "", "asked without a login");
        assert_eq!(message(&missing, "docker.io"), "docker.io gave no digest for node:20 (not found)");
        assert_eq!(Failure::timed_out(TIMEOUT).reason, "no answer within 1.5s, see --timeout");
        let limited = Failure::of_status(429, ", limit 100, 0 left", "asked without a login").because("still so");
        assert_eq!(limited.reason, "too many requests, limit 100, 0 left, asked without a login; still so");
    }
}
