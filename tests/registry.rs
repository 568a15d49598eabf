//! Digests and configurations from the reference registry server, and what becomes of answers that no registry should give.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "tests set up and look at their own temporary directories")]

#[path = "registry/configs.rs"]
mod configs;
#[path = "registry/hostile.rs"]
mod hostile;
#[path = "registry/logins.rs"]
mod logins;
#[path = "registry/patience.rs"]
mod patience;
#[path = "registry/pins.rs"]
mod pins;
#[path = "registry/scale.rs"]
mod scale;
mod support;
#[path = "registry/tls.rs"]
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use support::http::{Request, Response, Server};
use support::registry::{
    DOCKER_LIST, DOCKER_MANIFEST, LOGIN, OCI_INDEX, OCI_MANIFEST, Registry, docker_config, free_address, sha256,
};
use support::workspace::Workspace;
use unroot::image::{MediaType, Reference, Resolved};
use unroot::registry::{NetworkSettings, Online, RegistrySettings, ResolveError, Resolver};

type Answers = BTreeMap<Reference, Result<Resolved, ResolveError>>;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Docker's configuration of whoever runs the tests must not matter.
const NO_DOCKER_CONFIG: &str = "/nonexistent";

fn reference(written: &str) -> Reference {
    Reference::parse(written).unwrap()
}

fn resolve(settings: NetworkSettings, written: &[String]) -> Answers {
    let references: Vec<Reference> = written.iter().map(|written| reference(written)).collect();
    Online::new(settings).resolve(&references)
}

/// Everything of `host` goes to `mirror`, without TLS and with little patience.
fn settings(host: &str, mirror: Option<String>, docker_config: &Path) -> NetworkSettings {
    let registry = RegistrySettings { mirror, plain_http: true, ca: None };
    NetworkSettings {
        registries: BTreeMap::from([(host.to_owned(), registry)]),
        timeout: Duration::from_secs(5),
        docker_config: Some(docker_config.to_owned()),
        ..NetworkSettings::default()
    }
}

fn plain(address: SocketAddr) -> NetworkSettings {
    settings(&address.to_string(), None, Path::new(NO_DOCKER_CONFIG))
}

/// Asks a server of ours for one reference and returns what it is told.
fn ask(server: &Server) -> Result<Resolved, ResolveError> {
    let written = format!("{}/app:1", server.address);
    resolve(plain(server.address), std::slice::from_ref(&written)).remove(&reference(&written)).unwrap()
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, ResolveError>) -> String {
    match answer {
        Err(ResolveError::Refused(message)) => {
            assert!(!message.contains(char::is_control), "{message:?}");
            message
        }
        other => panic!("not a refusal: {other:?}"),
    }
}

fn outage<T: std::fmt::Debug>(answer: &Result<T, ResolveError>) -> String {
    match answer {
        Err(ResolveError::Unreachable(message)) => {
            assert!(!message.contains(char::is_control), "{message:?}");
            message.clone()
        }
        other => panic!("not unreachable: {other:?}"),
    }
}

#[test]
fn the_digest_is_that_of_the_index_where_there_is_one() {
    let Some(registry) = Registry::start() else { return };
    let host = registry.address;
    let (oci_index, oci_children) = registry.push_index("multi/oci", "1", OCI_INDEX);
    let (docker_list, docker_children) = registry.push_index("multi/docker", "latest", DOCKER_LIST);
    let (oci_image, _) = registry.push_image("single/oci", Some("1"), OCI_MANIFEST, "riscv64");
    let (docker_image, _) = registry.push_image("single/docker", Some("1"), DOCKER_MANIFEST, "riscv64");

    let asked = ["multi/oci:1", "multi/docker", "single/oci:1", "single/docker:1"].map(|name| format!("{host}/{name}"));
    let answers = resolve(plain(host), &asked);
    let digest = |name: &str| answers[&reference(&format!("{host}/{name}"))].as_ref().unwrap().digest.as_str();
    assert_eq!(digest("multi/oci:1"), sha256(oci_index.as_bytes()));
    assert_eq!(digest("multi/docker"), sha256(docker_list.as_bytes()));
    assert_eq!(digest("single/oci:1"), oci_image);
    assert_eq!(digest("single/docker:1"), docker_image);
    let media_type = |name: &str| answers[&reference(&format!("{host}/{name}"))].as_ref().unwrap().media_type;
    assert_eq!(["multi/oci:1", "multi/docker"].map(media_type), [MediaType::OciIndex, MediaType::DockerManifestList]);
    assert_eq!(
        ["single/oci:1", "single/docker:1"].map(media_type),
        [MediaType::OciManifest, MediaType::DockerManifest]
    );
    for child in oci_children.iter().chain(&docker_children) {
        assert!(answers.values().all(|answer| answer.as_ref().unwrap().digest.as_str() != child));
    }
}

#[test]
fn each_distinct_image_and_tag_is_asked_for_once_and_with_head_only() {
    let Some(registry) = Registry::start() else { return };
    registry.push_image("docker.io/library/node", Some("20"), OCI_MANIFEST, "amd64");
    registry.push_image("docker.io/library/node", Some("latest"), OCI_MANIFEST, "arm64");
    registry.push_image("docker.io/me/app", Some("1"), OCI_MANIFEST, "amd64");

    let mirror = format!("{}/docker.io", registry.address);
    let written = [
        "node:20",
        "library/node:20",
        "docker.io/library/node:20",
        "index.docker.io/node:20",
        "node",
        "node:latest",
        "me/app:1",
        "node:20",
    ];
    let answers =
        resolve(settings("docker.io", Some(mirror), Path::new(NO_DOCKER_CONFIG)), &written.map(str::to_owned));
    assert_eq!(answers.len(), 7, "each spelling has its answer: {answers:?}");
    assert!(answers.values().all(Result::is_ok), "{answers:?}");
    assert_eq!(answers[&reference("node:20")], answers[&reference("index.docker.io/node:20")]);
    assert_ne!(answers[&reference("node:20")], answers[&reference("node")]);

    let heads = registry.logged("\"HEAD /v2/", 3);
    assert_eq!(heads.len(), 3, "{heads:#?}");
    for target in ["library/node/manifests/20", "library/node/manifests/latest", "me/app/manifests/1"] {
        assert!(heads.iter().any(|line| line.contains(&format!("HEAD /v2/docker.io/{target} "))), "{target}");
    }
    let gets = registry.logged("\"GET /v2/docker.io/", 0);
    assert!(gets.is_empty(), "GET counts against rate limits: {gets:#?}");
}

#[test]
fn a_missing_tag_is_refused_without_a_get_and_its_neighbours_are_not() {
    let Some(registry) = Registry::start() else { return };
    let host = registry.address;
    registry.push_image("app", Some("1"), OCI_MANIFEST, "amd64");
    let asked = ["app:2", "app:1", "none:1"].map(|name| format!("{host}/{name}"));
    let mut answers = resolve(plain(host), &asked);
    assert!(answers[&reference(&asked[1])].is_ok(), "{answers:?}");
    assert_eq!(
        refusal(answers.remove(&reference(&asked[0])).unwrap()),
        format!("{host} gave no digest for {host}/app:2 (not found)")
    );
    refusal(answers.remove(&reference(&asked[2])).unwrap());
    assert!(registry.logged("\"GET /v2/app/", 0).is_empty());
}

#[test]
fn docker_logins_are_used() {
    let Some(registry) = Registry::with_login() else { return };
    let host = registry.address.to_string();
    let (image, _) = registry.push_image("private/app", Some("1"), OCI_MANIFEST, "amd64");
    let written = [format!("{host}/private/app:1")];

    let (user, password) = LOGIN;
    let config = docker_config(&host, user, password);
    let answers = resolve(settings(&host, None, config.path()), &written);
    assert_eq!(answers[&reference(&written[0])].as_ref().map(|resolved| resolved.digest.as_str()), Ok(image.as_str()));

    let elsewhere = docker_config("ghcr.io", user, password);
    let mut answers = resolve(settings(&host, None, elsewhere.path()), &written);
    assert_eq!(
        refusal(answers.remove(&reference(&written[0])).unwrap()),
        format!("{host} gave no digest for {host}/private/app:1 (not allowed, asked without a login)")
    );
}

#[test]
fn a_wrong_password_is_refused_and_never_shown() {
    let Some(registry) = Registry::with_login() else { return };
    let host = registry.address.to_string();
    let config = docker_config(&host, "lab", "wr0ng-word");
    let written = [format!("{host}/private/app:1")];
    let mut answers = resolve(settings(&host, None, config.path()), &written);
    let shown = format!("{answers:?}");
    assert!(!shown.contains("wr0ng-word") && !shown.contains("bGFiOndyMG5nLXdvcmQ"), "{shown}");
    assert_eq!(
        refusal(answers.remove(&reference(&written[0])).unwrap()),
        format!("{host} gave no digest for {host}/private/app:1 (not allowed, asked with Docker's login)")
    );
}

/// `DOCKER_CONFIG` and `PATH` belong to the process, so this test runs itself in a process of its own.
#[cfg(unix)]
#[test]
fn docker_environment_and_credential_helpers_are_respected() {
    use std::os::unix::fs::PermissionsExt;
    const ADDRESS: &str = "UNROOT_TEST_ADDRESS";
    const EXPECTED: &str = "UNROOT_TEST_EXPECTED";
    if let (Ok(address), Ok(expected)) = (std::env::var(ADDRESS), std::env::var(EXPECTED)) {
        let network = NetworkSettings { docker_config: None, ..plain(address.parse().unwrap()) };
        let (online, app) = (Online::new(network), [reference(&format!("{address}/app:1"))]);
        let answer = online.resolve(&app).into_values().next().unwrap();
        assert!(online.configs(&app).values().all(Result::is_err), "the server knows digests only");
        assert_eq!(answer.map_or_else(|error| error.to_string(), |resolved| resolved.digest.to_string()), expected);
        return;
    }
    let server = Server::start(|request, _| match request.header("authorization") {
        Some("Basic bGFiOnMzY3JldC13b3Jk") => digest_header(DIGEST),
        _ => Response::new(401, &[("WWW-Authenticate", r#"Basic realm="test""#)], ""),
    });
    let workspace = Workspace::new();
    let address = server.address;
    workspace.write("config.json", &format!(r#"{{"credHelpers":{{"{address}":"unroot-test"}}}}"#));
    let helper = "#!/bin/sh\nread -r host\necho \"$host\" >> \"$DOCKER_CONFIG/calls\"\n\
        [ \"$1 $host\" = \"get $UNROOT_TEST_ADDRESS\" ] && echo '{\"Username\":\"lab\",\"Secret\":\"s3cret-word\"}'\n";
    workspace.write("bin/docker-credential-unroot-test", helper);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(workspace.path("bin/docker-credential-unroot-test"), mode).unwrap();
    let refused = format!(
        "{address} gave no digest for {address}/app:1 \
         (not allowed, asked without a login, since the credential helper did not start)"
    );
    let path = std::env::var("PATH").unwrap();
    let with_helper = format!("{}:{path}", workspace.path("bin").display());
    for (path, expected) in [(with_helper, DIGEST), (path, &refused)] {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "docker_environment_and_credential_helpers_are_respected", "--nocapture"])
            .envs([("PATH", path.as_str()), (ADDRESS, &address.to_string()), (EXPECTED, expected)])
            .env("DOCKER_CONFIG", workspace.root())
            .output()
            .unwrap();
        let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && told.contains("1 passed"), "{told}{said}");
    }
    assert_eq!(
        workspace.read("calls"),
        format!("{address}\n"),
        "a helper is asked once, however much is asked with its login"
    );
}

#[test]
fn a_dead_port_fails_all_references_at_once() {
    let address = free_address();
    let written: Vec<String> = (0..5).map(|n| format!("{address}/app{n}:1")).collect();
    let started = Instant::now();
    let answers = resolve(plain(address), &written);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(answers.len(), 5);
    for (reference, answer) in &answers {
        assert_eq!(outage(answer), format!("{address} did not answer for {reference} (connection refused)"));
    }
}

#[test]
fn a_silent_server_costs_one_timeout_and_one_attempt() {
    let server = Server::silent();
    let written: Vec<String> = (0..5).map(|n| format!("{}/app{n}:1", server.address)).collect();
    let timeout = Duration::from_millis(400);
    let started = Instant::now();
    let answers = resolve(NetworkSettings { timeout, ..plain(server.address) }, &written);
    let elapsed = started.elapsed();
    assert!(elapsed >= timeout && elapsed < timeout * 4, "{elapsed:?}");
    assert_eq!(answers.len(), 5);
    assert!(
        answers.values().all(|answer| outage(answer).ends_with("(no answer within 400ms, see --timeout)")),
        "{answers:?}"
    );
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_dead_host_does_not_keep_others_from_answering() {
    let (dead, alive) = (Server::silent(), registry_that_answers(|_| digest_header(DIGEST)));
    let written = [format!("{}/app:1", dead.address), format!("{}/app:1", alive.address)];
    let mut network = plain(dead.address);
    network.registries.extend(plain(alive.address).registries);
    network.timeout = Duration::from_millis(400);
    let answers = resolve(network, &written);
    outage(&answers[&reference(&written[0])]);
    assert_eq!(answers[&reference(&written[1])].as_ref().map(|resolved| resolved.digest.as_str()), Ok(DIGEST));
}

#[test]
fn plain_http_is_not_spoken_unasked() {
    let server = registry_that_answers(|_| digest_header(DIGEST));
    let written = format!("{}/app:1", server.address);
    let mut network = plain(server.address);
    network.registries.clear();
    let answers = resolve(network, std::slice::from_ref(&written));
    outage(&answers[&reference(&written)]);
    assert!(server.requests().is_empty());
}

#[test]
fn an_html_page_is_not_an_image() {
    let page = |_: &Request, _| Response::new(200, &[("Content-Type", "text/html")], "<html>Sign in, please</html>");
    let server = Server::start(page);
    let message = refusal(ask(&server));
    assert!(message.ends_with("(the answer is not that of a registry)"), "{message}");
}

#[test]
fn a_redirect_loop_ends() {
    let server = Server::start(|request: &Request, _| Response::new(307, &[("Location", &request.target)], ""));
    let message = refusal(ask(&server));
    assert!(message.ends_with("(it redirects without end)"), "{message}");
    assert!(server.requests().len() < 50, "{}", server.requests().len());
}

#[test]
fn statuses_are_put_into_words_and_pages_are_not_repeated() {
    for (status, words) in [
        (401, "not allowed, asked without a login"),
        (403, "not allowed, asked without a login"),
        (404, "not found"),
        (405, "HTTP status 405"),
        (500, "HTTP status 500"),
        (204, "HTTP status 204"),
    ] {
        let server = registry_that_answers(move |_| {
            Response::new(status, &[("Docker-Content-Digest", DIGEST)], "\u{1b}[2J page")
        });
        let message = refusal(ask(&server));
        assert!(message.ends_with(&format!("({words})")), "{status}: {message}");
    }
}

#[test]
fn a_digest_header_must_be_a_digest() {
    for header in ["", "sha256:abc", "sha512:cf83e1357eefb8bd", "e3b0c442", "sha256:\u{e9}"] {
        let server = registry_that_answers(move |_| digest_header(header));
        let message = refusal(ask(&server));
        assert!(message.ends_with("(the digest it sent is not a SHA-256 digest)"), "{header:?}: {message}");
    }
}

#[test]
fn an_answer_that_is_not_http_is_no_answer() {
    let server = registry_that_answers(|_| digest_header("\u{1b}[2J"));
    let message = outage(&ask(&server));
    assert!(message.ends_with("(invalid HTTP header parsed)"), "{message}");
}

#[test]
fn a_mirror_that_is_no_host_is_said_to_be_none() {
    let network = settings("docker.io", Some("my mirror".to_owned()), Path::new(NO_DOCKER_CONFIG));
    let mut answers = resolve(network, &["node:20".to_owned()]);
    let message = outage(&answers.remove(&reference("node:20")).unwrap());
    assert_eq!(message, "docker.io did not answer at my mirror for node:20 (its address is not a valid URL)");
}

#[test]
fn a_login_does_not_follow_a_redirect_to_another_host() {
    let elsewhere = registry_that_answers(|_| digest_header(DIGEST));
    let target = format!("http://{}/v2/app/manifests/1", elsewhere.address);
    let server = registry_that_answers(move |_| Response::new(307, &[("Location", &target)], ""));
    let host = server.address.to_string();
    let config = docker_config(&host, "lab", "s3cret-word");
    let written = format!("{host}/app:1");
    let answers = resolve(settings(&host, None, config.path()), std::slice::from_ref(&written));
    assert!(answers[&reference(&written)].is_ok(), "{answers:?}");
    let asked = server.requests();
    assert!(asked.iter().any(|request| request.header("authorization").is_some()), "{asked:#?}");
    let followed = elsewhere.requests();
    assert_eq!(followed.len(), 1, "{followed:#?}");
    assert_eq!(followed[0].header("authorization"), None);
}

#[test]
fn the_manifest_is_hashed_where_a_registry_sends_no_header() {
    let body = r#"{"schemaVersion":2,"manifests":[]}"#;
    let server = registry_that_answers(move |_| Response::new(200, &[("Content-Type", OCI_INDEX)], body));
    assert_eq!(ask(&server).as_ref().map(|resolved| resolved.digest.as_str()), Ok(sha256(body.as_bytes()).as_str()));
}

#[test]
fn all_four_kinds_of_manifest_are_accepted_and_indices_first() {
    let server = registry_that_answers(|_| digest_header(DIGEST));
    assert!(ask(&server).is_ok());
    let head = server.requests().into_iter().find(|request| request.method == "HEAD").unwrap();
    assert_eq!(head.target, "/v2/app/manifests/1");
    let accept = head.header("accept").unwrap();
    assert_eq!(accept, [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST].join(", "));
}

#[test]
fn an_anonymous_token_is_fetched_once_per_repository() {
    let server = token_registry(r#"{"token":"opaque-token"}"#);
    let written = ["app:1", "app:2", "tool:1"].map(|name| format!("{}/{name}", server.address));
    let answers = resolve(plain(server.address), &written);
    assert!(answers.values().all(Result::is_ok), "{answers:?}");
    let tokens: Vec<Request> =
        server.requests().into_iter().filter(|request| request.target.starts_with("/token")).collect();
    assert_eq!(tokens.len(), 2, "{tokens:#?}");
    assert!(tokens.iter().all(|request| request.header("authorization").is_none()), "{tokens:#?}");
    assert!(tokens[0].target.contains("scope=repository%3Aapp%3Apull"), "{}", tokens[0].target);
    assert!(tokens[0].target.contains("service=test"), "{}", tokens[0].target);
}

#[test]
fn unusable_tokens_are_refused() {
    for body in ["", "{}", "<html>", r#"{"token":"a\nb"}"#, r#"{"token":"\u0000"}"#, r#"{"token":5}"#] {
        let server = token_registry(body);
        let message = refusal(ask(&server));
        assert!(message.contains("(the "), "{body:?}: {message}");
        assert!(server.requests().iter().all(|request| request.method != "HEAD"), "{body:?}");
    }
}

/// A registry that lets everyone in; `answer` is its answer to questions about manifests.
fn registry_that_answers(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Server {
    Server::start(move |request, _| match request.target.as_str() {
        "/v2/" => Response::new(200, &[("Content-Type", "application/json")], "{}"),
        _ => answer(request),
    })
}

fn digest_header(digest: &str) -> Response {
    Response::new(200, &[("Content-Type", OCI_INDEX), ("Docker-Content-Digest", digest)], "")
}

/// A registry that wants a token and issues it itself; `token` is the body of that answer.
fn token_registry(token: &'static str) -> Server {
    Server::start(move |request, address| {
        if request.target.starts_with("/token") {
            return Response::new(200, &[("Content-Type", "application/json")], token);
        }
        if request.header("authorization") == Some("Bearer opaque-token") {
            return digest_header(DIGEST);
        }
        let challenge = format!(r#"Bearer realm="http://{address}/token",service="test""#);
        Response::new(401, &[("WWW-Authenticate", &challenge)], "{}")
    })
}
