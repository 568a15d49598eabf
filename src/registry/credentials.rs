//! Logins, from where Docker keeps them.

use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_distribution::secrets::RegistryAuth;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// The host that answers for docker.io.
pub(super) const DOCKER_HUB_HOST: &str = "index.docker.io";

/// Docker files its login for docker.io under this address; helpers look for nothing else.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// A login for one host. Not `Debug`: it must not be possible to print it by accident.
pub(super) struct Login {
    pub(super) auth: RegistryAuth,
    /// For messages: how the question was asked, without user and password.
    pub(super) description: &'static str,
}

/// The login Docker would use for `host`. Everything that goes wrong means asking anonymously, because most images are public
/// and a stale helper must not stand between a user and `node:20`; the description says so should the registry then refuse.
///
/// May run a credential helper, and blocks while it does.
pub(super) fn login_for(host: &str, docker_config: Option<&Path>) -> Login {
    let hub_keys = [DOCKER_HUB_KEY, DOCKER_HUB_HOST, "docker.io"];
    let own_key = [host];
    let keys: &[&str] = if host == DOCKER_HUB_HOST { &hub_keys } else { &own_key };
    let mut description = "asked without a login";
    for key in keys {
        match credential(key, docker_config) {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                return Login { auth: RegistryAuth::Basic(user, password), description: "asked with Docker's login" };
            }
            // Trading it for a token is a flow of its own that the client does not speak.
            Ok(DockerCredential::IdentityToken(_)) => {
                description = "asked without a login, since Docker's is an identity token";
            }
            Err(CredentialRetrievalError::HelperCommunicationError) => {
                description = "asked without a login, since the credential helper did not start";
            }
            Err(
                CredentialRetrievalError::CredentialDecodingError
                | CredentialRetrievalError::CredentialMismatchError
                | CredentialRetrievalError::MalformedHelperResponse,
            ) => description = "asked without a login, since Docker's is not readable",
            // A helper reports "no such login" as a failure too, so it says nothing.
            Err(_) => {}
        }
    }
    Login { auth: RegistryAuth::Anonymous, description }
}

fn credential(key: &str, docker_config: Option<&Path>) -> Result<DockerCredential, CredentialRetrievalError> {
    match docker_config {
        Some(directory) => {
            let file =
                File::open(directory.join("config.json")).map_err(|_| CredentialRetrievalError::ConfigReadError)?;
            docker_credential::get_credential_from_reader(BufReader::new(file), key)
        }
        None => docker_credential::get_credential(key),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests write configurations to read")]
mod tests {
    use super::*;

    fn login(config: &str, host: &str) -> Login {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), config).unwrap();
        login_for(host, Some(directory.path()))
    }

    fn basic(user: &str, password: &str) -> RegistryAuth {
        RegistryAuth::Basic(user.to_owned(), password.to_owned())
    }

    #[test]
    fn logins_are_found_under_every_name_of_docker_hub() {
        // `bGFiOnNlY3JldA==` is `lab:secret`.
        for key in ["https://index.docker.io/v1/", "index.docker.io", "docker.io"] {
            let config = format!(r#"{{"auths":{{"{key}":{{"auth":"bGFiOnNlY3JldA=="}}}}}}"#);
            assert!(login(&config, DOCKER_HUB_HOST).auth == basic("lab", "secret"), "{key}");
            assert!(login(&config, "ghcr.io").auth == RegistryAuth::Anonymous, "{key}");
        }
        let config = r#"{"auths":{"127.0.0.1:5000":{"auth":"bGFiOnNlY3JldA=="}}}"#;
        assert!(login(config, "127.0.0.1:5000").auth == basic("lab", "secret"));
        assert!(login(config, "127.0.0.1:5001").auth == RegistryAuth::Anonymous);
    }

    #[test]
    fn what_cannot_be_used_means_anonymous() {
        for (config, description) in [
            ("", "asked without a login"),
            ("{", "asked without a login"),
            ("{}", "asked without a login"),
            (
                r#"{"credsStore":"no-such-helper-anywhere"}"#,
                "asked without a login, since the credential helper did not start",
            ),
            (
                r#"{"credHelpers":{"ghcr.io":"no-such-helper-anywhere"}}"#,
                "asked without a login, since the credential helper did not start",
            ),
            (r#"{"auths":{"ghcr.io":{"auth":"%%%"}}}"#, "asked without a login, since Docker's is not readable"),
            (
                r#"{"auths":{"ghcr.io":{"identitytoken":"t"}}}"#,
                "asked without a login, since Docker's is an identity token",
            ),
        ] {
            let login = login(config, "ghcr.io");
            assert!(login.auth == RegistryAuth::Anonymous, "{config}");
            assert_eq!(login.description, description, "{config}");
        }
        assert!(login_for("ghcr.io", Some(Path::new("/nonexistent"))).auth == RegistryAuth::Anonymous);
    }
}
