//! Certificates of a private authority, and proxies: what the registry is known by, and how it is reached.

use super::support::nginx::Nginx;
use super::support::openssl::Authority;
use super::support::program::{Ended, unroot_with};
use super::support::proxy::Proxy;
use super::*;

const BEFORE: &str = "FROM example/app:1\nUSER 1000\nCMD [\"app\"]\n";

/// A repository whose images come from `host`, and what further settings say of that host.
fn repository(host: &str, settings: &str) -> Workspace {
    let dockerfile = BEFORE.replace("example/app", &format!("{host}/app"));
    Workspace::with(&[("unroot.toml", &format!("[registry.\"{host}\"]\n{settings}")), ("Dockerfile", &dockerfile)])
}

/// Runs the program with these variables.
fn pinned(workspace: &Workspace, variables: &[(&str, &str)]) -> Ended {
    unroot_with(workspace.root(), &["--write", "--only", "pin-digest", "--deadline", "20"], variables)
}

/// The reference registry behind TLS, with one image, and what that image's digest is.
fn private() -> Option<(Registry, Authority, String)> {
    let authority = Authority::new()?;
    let mut registry = Registry::start()?;
    let (digest, _) = registry.push_image("app", Some("1"), OCI_MANIFEST, "amd64");
    registry.speak_tls(&authority);
    Some((registry, authority, digest))
}

#[test]
fn a_private_authority_is_believed_where_the_configuration_names_it() {
    let Some((registry, authority, digest)) = private() else { return };
    let host = registry.address.to_string();
    let ca = std::fs::read_to_string(authority.path("ca.pem")).unwrap();
    let workspace = repository(&host, "ca = \"certs/ca.pem\"\n");
    workspace.write("certs/ca.pem", &ca);
    let ended = pinned(&workspace, &[]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    let first = workspace.read("Dockerfile").lines().next().unwrap().to_owned();
    assert_eq!(first, format!("FROM {host}/app:1@{digest}"));

    // For another host it says nothing.
    let elsewhere = format!("localhost:{}", registry.address.port());
    let workspace = repository(&elsewhere, &format!("\n[registry.\"{host}\"]\nca = \"certs/ca.pem\"\n"));
    workspace.write("certs/ca.pem", &ca);
    let ended = pinned(&workspace, &[]);
    assert_eq!(ended.code, 2);
    let unknown = "its certificate is from no authority that is known here, see `ca` in unroot.toml";
    assert!(ended.stdout.contains(unknown), "{}", ended.stdout);
    assert_eq!(workspace.read("Dockerfile"), BEFORE.replace("example/app", &format!("{elsewhere}/app")));
}

#[test]
fn the_standard_variable_names_certificates_as_well() {
    let Some((registry, authority, digest)) = private() else { return };
    let workspace = repository(&registry.address.to_string(), "");
    let ca = authority.path("ca.pem").display().to_string();
    let ended = pinned(&workspace, &[("SSL_CERT_FILE", &ca)]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert!(workspace.read("Dockerfile").contains(&digest));
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let Some((registry, authority, _)) = private() else { return };
    let host = registry.address.to_string();
    let another = Authority::new().unwrap();
    let missing = "its `ca`, PATH, cannot be read: entity not found";
    let none = "its `ca`, PATH, holds no certificate in the PEM form";
    let unknown = "its certificate is from no authority that is known here";
    let key = std::fs::read_to_string(authority.path("server.key")).unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, words) in [
        (None, missing),
        (Some("no certificate\n"), none),
        (Some(key.as_str()), none),
        (Some(broken), "the certificates of its `ca` are not usable"),
        (Some(&std::fs::read_to_string(another.path("ca.pem")).unwrap()), unknown),
    ] {
        let workspace = repository(&host, "ca = \"ca.pem\"\n");
        if let Some(text) = text {
            workspace.write("ca.pem", text);
        }
        let ended = pinned(&workspace, &[]);
        let path = std::fs::canonicalize(workspace.root()).unwrap().join("ca.pem").display().to_string();
        let words = words.replace("PATH", &path);
        assert!(ended.code == 2 && ended.stdout.contains(&words), "{text:?}: {}", ended.stdout);
        assert_eq!(ended.stdout.lines().filter(|line| line.starts_with("not looked up: ")).count(), 1);
        assert_eq!(workspace.read("Dockerfile"), BEFORE.replace("example/app", &format!("{host}/app")));
    }
}

#[test]
fn without_any_certificates_plain_http_still_works() {
    let server = registry_that_answers(|_| digest_header(DIGEST));
    let host = server.address.to_string();
    let none = [("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")];
    let workspace = repository(&host, "plain_http = true\n");
    let ended = pinned(&workspace, &none);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    let workspace = repository(&host, "");
    let ended = pinned(&workspace, &none);
    assert!(ended.stdout.contains("(no certificates are found on this system to know it by, see SSL_CERT_FILE)"));
}

#[test]
fn every_request_goes_through_the_proxy() {
    let Some((registry, authority, digest)) = private() else { return };
    let host = registry.address.to_string();
    let ca = authority.path("ca.pem").display().to_string();
    let proxy = Proxy::start();
    let address = format!("http://lab:pr0xy-word@{}", proxy.address);
    let workspace = repository(&host, &format!("ca = \"{ca}\"\n"));
    let ended = pinned(&workspace, &[("HTTPS_PROXY", &address)]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert!(workspace.read("Dockerfile").contains(&digest));
    let asked = proxy.asked();
    assert!(!asked.is_empty() && asked.iter().all(|head| head.starts_with(&format!("CONNECT {host} "))), "{asked:#?}");
    assert!(asked.iter().all(|head| head.to_lowercase().contains("proxy-authorization: basic ")), "{asked:#?}");

    let workspace = repository(&host, &format!("ca = \"{ca}\"\n"));
    let before = proxy.asked().len();
    let ended = pinned(&workspace, &[("HTTPS_PROXY", &address), ("NO_PROXY", "127.0.0.1")]);
    assert_eq!((ended.code, proxy.asked().len()), (0, before), "{}", ended.stdout);
}

#[test]
fn logins_and_questions_without_tls_go_through_the_proxy_too() {
    let server = token_registry(r#"{"token":"opaque-token"}"#);
    let (host, proxy) = (server.address.to_string(), Proxy::start());
    let workspace = repository(&host, "plain_http = true\n");
    let ended = pinned(&workspace, &[("http_proxy", &format!("http://{}", proxy.address))]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    let asked: Vec<String> = proxy.asked().iter().map(|head| head.lines().next().unwrap().to_owned()).collect();
    assert_eq!(asked.len(), server.requests().len(), "{asked:#?}");
    for (request, target) in
        asked.iter().zip(["GET http://HOST/v2/ ", "GET http://HOST/token?", "HEAD http://HOST/v2/app/"])
    {
        assert!(request.starts_with(&target.replace("HOST", &host)), "{asked:#?}");
    }
}

#[test]
fn a_dead_proxy_is_an_outage_that_names_no_password() {
    let address = format!("http://lab:pr0xy-word@{}", free_address());
    let server = registry_that_answers(|_| digest_header(DIGEST));
    let workspace = repository(&server.address.to_string(), "plain_http = true\n");
    let ended = pinned(&workspace, &[("HTTP_PROXY", &address)]);
    assert!(ended.code == 2 && ended.stdout.contains("(connection refused)"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("pr0xy-word") && !ended.stderr.contains("pr0xy-word"));
    assert!(server.requests().is_empty());
}

#[test]
fn a_redirect_does_not_lead_out_of_tls() {
    let Some(authority) = Authority::new() else { return };
    let answering = registry_that_answers(|_| digest_header(DIGEST));
    let [certificate, key] = ["server.pem", "server.key"].map(|name| authority.path(name).display().to_string());
    let gate = Nginx::start(
        "",
        " ssl",
        &format!(
            "ssl_certificate {certificate};\nssl_certificate_key {key};\nlocation = /v2/ {{ return 200; }}\n\
             location / {{ return 307 http://{}$request_uri; }}",
            answering.address
        ),
    );
    let Some(gate) = gate else { return };
    let host = gate.address.to_string();
    let ca = authority.path("ca.pem").display().to_string();
    let ended = pinned(&repository(&host, &format!("ca = \"{ca}\"\n")), &[]);
    assert!(ended.stdout.contains("(it redirects to an address without TLS)"), "{}", ended.stdout);
    assert!(answering.requests().is_empty());
}
