//! Logins, from where the tools that use registries keep them.
//!
//! The first of these that knows the host: this program's own variables, `DOCKER_AUTH_CONFIG` (the text of a `config.json`, as
//! GitLab and Docker read it), `REGISTRY_AUTH_FILE` (as podman and skopeo do), Docker's `config.json` with its helpers, and the
//! `containers/auth.json` of podman's family.

use docker_credential::{CredentialRetrievalError, DockerCredential};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// The host that answers for docker.io.
pub(super) const DOCKER_HUB_HOST: &str = "index.docker.io";

/// Docker files its login for docker.io under this address; helpers look for nothing else.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Variables of a login of our own, in sets that share an ending: `UNROOT_REGISTRY_HOSTNAME`, `UNROOT_REGISTRY_HOSTNAME_1`, ...
const HOSTNAME: &str = "UNROOT_REGISTRY_HOSTNAME";
const USERNAME: &str = "UNROOT_REGISTRY_USERNAME";
const PASSWORD: &str = "UNROOT_REGISTRY_PASSWORD";

const ANONYMOUS: &str = "asked without a login";

/// A login for one host. Not `Debug`: it must not be possible to print it by accident.
pub(super) struct Login {
    pub(super) secret: Secret,
    /// For messages: how the question was asked, without user and password.
    pub(super) description: &'static str,
}

/// What a registry is shown.
#[derive(PartialEq, Eq)]
pub(super) enum Secret {
    Nothing,
    Password {
        user: String,
        password: String,
    },
    /// What `docker login` keeps where a registry's login is one of a browser: to be traded for tokens.
    IdentityToken(String),
}

type Variables = BTreeMap<String, String>;

/// The login for `host`: from Docker's configuration in `docker_config` alone, or, without it, from where the environment says.
/// Everything that goes wrong means asking anonymously, because most images are public and a stale helper must not stand
/// between a user and `node:20`; the description says so should the registry then refuse.
///
/// May run a credential helper, and blocks while it does.
pub(super) fn login_for(host: &str, docker_config: Option<&Path>) -> Login {
    match docker_config {
        Some(directory) => search(host, &Variables::new(), vec![Source::docker(directory)]),
        None => {
            let variables = variables();
            let sources = sources(&variables);
            search(host, &variables, sources)
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "secrets belong into the environment, not into files of a repository")]
fn variables() -> Variables {
    // A value that is not text is none of ours.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// A text in the form of Docker's `config.json`.
struct Source {
    text: Text,
    description: &'static str,
    unreadable: &'static str,
}

enum Text {
    Here(String),
    In(PathBuf),
}

impl Source {
    fn docker(directory: &Path) -> Self {
        Self {
            text: Text::In(directory.join("config.json")),
            description: "asked with Docker's login",
            unreadable: "asked without a login, since Docker's is not readable",
        }
    }

    fn credential(&self, key: &str) -> Result<DockerCredential, CredentialRetrievalError> {
        match &self.text {
            Text::Here(text) => docker_credential::get_credential_from_reader(text.as_bytes(), key),
            Text::In(path) => {
                let file = File::open(path).map_err(|_| CredentialRetrievalError::ConfigNotFound)?;
                docker_credential::get_credential_from_reader(BufReader::new(file), key)
            }
        }
    }
}

fn sources(variables: &Variables) -> Vec<Source> {
    let path = |name: &str| variables.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = path("HOME").or_else(|| path("USERPROFILE"));
    let in_home = |rest: &str| home.as_ref().map(|home| home.join(rest));
    let containers = |file: PathBuf| Source {
        text: Text::In(file),
        description: "asked with the login of containers/auth.json",
        unreadable: "asked without a login, since that of containers/auth.json is not readable",
    };
    let text = variables.get("DOCKER_AUTH_CONFIG").map(|text| Source {
        text: Text::Here(text.clone()),
        description: "asked with the login of DOCKER_AUTH_CONFIG",
        unreadable: "asked without a login, since that of DOCKER_AUTH_CONFIG is not readable",
    });
    let file = path("REGISTRY_AUTH_FILE").map(|file| Source {
        text: Text::In(file),
        description: "asked with the login of REGISTRY_AUTH_FILE",
        unreadable: "asked without a login, since that of REGISTRY_AUTH_FILE is not readable",
    });
    let docker = path("DOCKER_CONFIG").or_else(|| in_home(".docker")).map(|directory| Source::docker(&directory));
    let at_run_time = path("XDG_RUNTIME_DIR").map(|directory| containers(directory.join("containers/auth.json")));
    let kept = path("XDG_CONFIG_HOME").or_else(|| in_home(".config"));
    let kept = kept.map(|directory| containers(directory.join("containers/auth.json")));
    [text, file, docker, at_run_time, kept].into_iter().flatten().collect()
}

fn search(host: &str, variables: &Variables, sources: Vec<Source>) -> Login {
    let hub_keys = [DOCKER_HUB_KEY, DOCKER_HUB_HOST, "docker.io"];
    let own_key = [host];
    let keys: &[&str] = if host == DOCKER_HUB_HOST { &hub_keys } else { &own_key };
    if let Some(login) = own_login(variables, keys) {
        return login;
    }
    let mut description = ANONYMOUS;
    for source in sources {
        for key in keys {
            match source.credential(key) {
                Ok(DockerCredential::UsernamePassword(user, password)) => {
                    return Login { secret: Secret::Password { user, password }, description: source.description };
                }
                Ok(DockerCredential::IdentityToken(token)) => {
                    return Login { secret: Secret::IdentityToken(token), description: source.description };
                }
                Err(CredentialRetrievalError::HelperCommunicationError) => {
                    description = "asked without a login, since the credential helper did not start";
                }
                Err(
                    CredentialRetrievalError::CredentialDecodingError
                    | CredentialRetrievalError::CredentialMismatchError
                    | CredentialRetrievalError::MalformedHelperResponse
                    | CredentialRetrievalError::ConfigReadError,
                ) => description = source.unreadable,
                // A helper reports "no such login" as a failure too, so it says nothing.
                Err(_) => {}
            }
        }
    }
    Login { secret: Secret::Nothing, description }
}

fn own_login(variables: &Variables, keys: &[&str]) -> Option<Login> {
    let ending = variables.iter().find_map(|(name, hostname)| {
        let ending = name.strip_prefix(HOSTNAME)?;
        let ours = ending.is_empty() || ending.starts_with('_');
        (ours && keys.contains(&hostname.as_str())).then_some(ending)
    })?;
    let value = |name: &str| variables.get(&format!("{name}{ending}")).filter(|value| !value.is_empty()).cloned();
    Some(match (value(USERNAME), value(PASSWORD)) {
        (Some(user), Some(password)) => Login {
            secret: Secret::Password { user, password },
            description: "asked with the login of UNROOT_REGISTRY_USERNAME",
        },
        _ => Login {
            secret: Secret::Nothing,
            description: "asked without a login, since UNROOT_REGISTRY_USERNAME or UNROOT_REGISTRY_PASSWORD is not set",
        },
    })
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

    fn password(user: &str, password: &str) -> Secret {
        Secret::Password { user: user.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn logins_are_found_under_every_name_of_docker_hub() {
        // `bGFiOnNlY3JldA==` is `lab:secret`.
        for key in ["https://index.docker.io/v1/", "index.docker.io", "docker.io"] {
            let config = format!(r#"{{"auths":{{"{key}":{{"auth":"bGFiOnNlY3JldA=="}}}}}}"#);
            assert!(login(&config, DOCKER_HUB_HOST).secret == password("lab", "secret"), "{key}");
            assert!(login(&config, "ghcr.io").secret == Secret::Nothing, "{key}");
        }
        let config = r#"{"auths":{"127.0.0.1:5000":{"auth":"bGFiOnNlY3JldA=="}}}"#;
        assert!(login(config, "127.0.0.1:5000").secret == password("lab", "secret"));
        assert!(login(config, "127.0.0.1:5001").secret == Secret::Nothing);
    }

    #[test]
    fn an_identity_token_is_a_login() {
        let login = login(r#"{"auths":{"ghcr.io":{"identitytoken":"t"}}}"#, "ghcr.io");
        assert!(login.secret == Secret::IdentityToken("t".to_owned()));
    }

    #[test]
    fn what_cannot_be_used_means_anonymous() {
        let unreadable = "asked without a login, since Docker's is not readable";
        let no_helper = "asked without a login, since the credential helper did not start";
        for (config, description) in [
            ("", unreadable),
            ("{", unreadable),
            ("{}", ANONYMOUS),
            (r#"{"credsStore":"no-such-helper-anywhere"}"#, no_helper),
            (r#"{"credHelpers":{"ghcr.io":"no-such-helper-anywhere"}}"#, no_helper),
            (r#"{"auths":{"ghcr.io":{"auth":"%%%"}}}"#, unreadable),
        ] {
            let login = login(config, "ghcr.io");
            assert!(login.secret == Secret::Nothing, "{config}");
            assert_eq!(login.description, description, "{config}");
        }
        assert!(login_for("ghcr.io", Some(Path::new("/nonexistent"))).secret == Secret::Nothing);
    }

    #[test]
    fn the_environment_is_searched_in_order() {
        let home = tempfile::tempdir().unwrap();
        let config = |user: &str| format!(r#"{{"auths":{{"ghcr.io":{{"username":"{user}","password":"p"}}}}}}"#);
        let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
        for (file, user) in [
            (".docker/config.json", "docker"),
            ("elsewhere/config.json", "moved"),
            ("run/containers/auth.json", "run"),
            (".config/containers/auth.json", "kept"),
            ("auth.json", "file"),
        ] {
            std::fs::create_dir_all(home.path().join(file).parent().unwrap()).unwrap();
            std::fs::write(home.path().join(file), config(user)).unwrap();
        }
        let mut variables = Variables::from([
            ("UNROOT_REGISTRY_HOSTNAME".to_owned(), "quay.io".to_owned()),
            ("UNROOT_REGISTRY_HOSTNAME_CI".to_owned(), "ghcr.io".to_owned()),
            ("UNROOT_REGISTRY_USERNAME_CI".to_owned(), "own".to_owned()),
            ("UNROOT_REGISTRY_PASSWORD_CI".to_owned(), "p".to_owned()),
            ("DOCKER_AUTH_CONFIG".to_owned(), config("text")),
            ("REGISTRY_AUTH_FILE".to_owned(), path("auth.json")),
            ("DOCKER_CONFIG".to_owned(), path("elsewhere")),
            ("HOME".to_owned(), path("")),
            ("XDG_RUNTIME_DIR".to_owned(), path("run")),
        ]);
        for (user, removed) in [
            ("own", "UNROOT_REGISTRY_HOSTNAME_CI"),
            ("text", "DOCKER_AUTH_CONFIG"),
            ("file", "REGISTRY_AUTH_FILE"),
            ("moved", "DOCKER_CONFIG"),
            ("docker", ""),
        ] {
            let login = search("ghcr.io", &variables, sources(&variables));
            assert!(login.secret == password(user, "p"), "{user}: {}", login.description);
            variables.remove(removed);
        }
        std::fs::remove_file(home.path().join(".docker/config.json")).unwrap();
        assert!(search("ghcr.io", &variables, sources(&variables)).secret == password("run", "p"));
        variables.remove("XDG_RUNTIME_DIR");
        assert!(search("ghcr.io", &variables, sources(&variables)).secret == password("kept", "p"));
        let half = search("quay.io", &variables, sources(&variables));
        assert!(half.secret == Secret::Nothing && half.description.contains("is not set"), "{}", half.description);
    }
}
