//! Logins: where they are found, what they are traded for, and where they never go.

use super::support::http::send;
use super::support::openssl::Authority;
use super::support::program::unroot_with;
use super::*;

/// In whatever form it is sent or kept, and wherever it turns up.
const CANARY: &str = "c4nary-w0rd";
/// `lab:c4nary-w0rd` and a token of that name, as headers and files hold them.
const CANARY_BASIC: &str = "bGFiOmM0bmFyeS13MHJk";

/// A registry that wants a token; `grants` answers requests to its token service.
fn wants_token(grants: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Server {
    Server::start(move |request, address| {
        if request.target.starts_with("/token") {
            return grants(request);
        }
        if request.header("authorization") == Some("Bearer granted") {
            return digest_header(DIGEST);
        }
        let challenge = format!(r#"Bearer realm="http://{address}/token",service="test""#);
        Response::new(401, &[("WWW-Authenticate", &challenge)], "{}")
    })
}

fn granted() -> Response {
    Response::new(200, &[("Content-Type", "application/json")], r#"{"access_token":"granted","expires_in":300}"#)
}

fn config_json(address: SocketAddr, login: &str) -> Workspace {
    Workspace::with(&[("config.json", &format!(r#"{{"auths":{{"{address}":{{{login}}}}}}}"#))])
}

fn ask_with(address: SocketAddr, docker_config: &Path, count: usize) -> Answers {
    let written: Vec<String> = (0..count).map(|n| format!("{address}/app{n}:1")).collect();
    resolve(settings(&address.to_string(), None, docker_config), &written)
}

#[test]
fn a_password_is_traded_for_a_token_and_sent_nowhere_else() {
    let server = wants_token(|request| match request.header("authorization") {
        Some("Basic bGFiOmM0bmFyeS13MHJk") => granted(),
        _ => Response::new(401, &[], CANARY),
    });
    let config = config_json(server.address, &format!(r#""auth":"{CANARY_BASIC}""#));
    let answers = ask_with(server.address, config.root(), 3);
    assert!(answers.values().all(Result::is_ok), "{answers:?}");
    for request in server.requests() {
        let basic = request.header("authorization").is_some_and(|value| value.starts_with("Basic"));
        assert_eq!(basic, request.target.starts_with("/token"), "{request:#?}");
    }
    let doors = server.requests().iter().filter(|request| request.target == "/v2/").count();
    assert_eq!(doors, 1, "how a host lets people in is asked once");
}

#[test]
fn an_identity_token_is_traded_for_one_of_the_registry() {
    let server = wants_token(|request| match request.method.as_str() {
        "POST" => granted(),
        _ => Response::new(401, &[], ""),
    });
    let config = config_json(server.address, &format!(r#""auth":"MDAwMDo=","identitytoken":"{CANARY}""#));
    let answers = ask_with(server.address, config.root(), 1);
    assert!(answers.values().all(Result::is_ok), "{answers:?}");
    let trades: Vec<Request> = server.requests().into_iter().filter(|request| request.method == "POST").collect();
    assert_eq!(trades.len(), 1);
    assert_eq!(trades[0].header("authorization"), None);
    assert_eq!(trades[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(
        String::from_utf8_lossy(&trades[0].body),
        format!(
            "scope=repository%3Aapp0%3Apull&service=test&grant_type=refresh_token&refresh_token={CANARY}&client_id=unroot"
        )
    );
}

#[test]
fn a_wrong_password_is_tried_once() {
    let server = wants_token(|_| Response::new(401, &[], CANARY));
    let config = config_json(server.address, &format!(r#""auth":"{CANARY_BASIC}""#));
    let answers = ask_with(server.address, config.root(), 40);
    assert_eq!(answers.len(), 40);
    for answer in answers.into_values() {
        assert!(refusal(answer).ends_with("(it issued no token, asked with Docker's login)"));
    }
    let tries = server.requests().iter().filter(|request| request.target.starts_with("/token")).count();
    assert_eq!(tries, 1, "each further one counts against the account");

    let server = Server::start(|_, _| Response::new(401, &[("WWW-Authenticate", r#"Basic realm="x""#)], ""));
    let config = config_json(server.address, &format!(r#""auth":"{CANARY_BASIC}""#));
    let answers = ask_with(server.address, config.root(), 40);
    for answer in answers.into_values() {
        assert!(refusal(answer).ends_with("(not allowed, asked with Docker's login)"));
    }
    assert_eq!(server.requests().iter().filter(|request| request.method == "HEAD").count(), 1);
}

#[test]
fn a_token_service_that_is_away_is_named() {
    let dead = free_address();
    let server = Server::start(move |_, _| {
        let challenge = format!(r#"Bearer realm="http://{dead}/token""#);
        Response::new(401, &[("WWW-Authenticate", &challenge)], "")
    });
    let network = NetworkSettings { deadline: Duration::from_secs(2), ..plain(server.address) };
    let written = format!("{}/app:1", server.address);
    let answers = resolve(network, std::slice::from_ref(&written));
    let message = outage(&answers[&reference(&written)]);
    assert!(message.contains("(its token service: connection refused; still so near the end of the 2s"), "{message}");
}

#[test]
fn a_token_that_has_run_out_is_fetched_anew() {
    let server = wants_token(|_| Response::new(200, &[], r#"{"token":"granted","expires_in":0}"#));
    let online = Online::new(plain(server.address));
    for version in ["1", "2"] {
        let answers = online.resolve(&[reference(&format!("{}/app:{version}", server.address))]);
        assert!(answers.values().all(Result::is_ok), "{answers:?}");
    }
    assert_eq!(server.requests().iter().filter(|request| request.target.starts_with("/token")).count(), 2);
}

#[test]
fn a_token_that_is_taken_back_is_fetched_once_more_and_no_oftener() {
    for (error, tokens) in [("invalid_token", 2), ("insufficient_scope", 1)] {
        let server = Server::start(move |request, address| match request.target.as_str() {
            target if target.starts_with("/token") => granted(),
            _ => {
                let challenge = format!(r#"Bearer realm="http://{address}/token",error="{error}""#);
                Response::new(401, &[("WWW-Authenticate", &challenge)], "")
            }
        });
        let message = refusal(ask(&server));
        assert!(message.ends_with("(not allowed, asked without a login)"), "{message}");
        let asked = server.requests();
        let of = |start: &str| asked.iter().filter(|request| request.target.starts_with(start)).count();
        assert_eq!((of("/token"), of("/v2/app/")), (tokens, tokens), "{error}");
    }
}

/// A helper may ask a person who has gone for a walk.
#[cfg(unix)]
#[test]
fn a_helper_that_never_returns_is_not_waited_for() {
    use std::os::unix::fs::PermissionsExt;
    let server = registry_that_answers(|_| digest_header(DIGEST));
    let toml = format!("[registry.\"docker.io\"]\nmirror = \"{}\"\nplain_http = true\n", server.address);
    let workspace = Workspace::with(&[
        ("unroot.toml", toml.as_str()),
        ("Dockerfile", "FROM me/app:1\nUSER 1000\n"),
        ("home/.docker/config.json", r#"{"credsStore":"walks"}"#),
        ("bin/docker-credential-walks", "#!/bin/sh\nexec sleep 20\n"),
    ]);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(workspace.path("bin/docker-credential-walks"), mode).unwrap();
    let started = Instant::now();
    let path = format!("{}:/usr/bin:/bin", workspace.path("bin").display());
    let home = workspace.path("home").display().to_string();
    let ended = unroot_with(workspace.root(), &["--check", "--deadline", "2"], &[("HOME", &home), ("PATH", &path)]);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let said = ended.stdout;
    assert!(said.contains("(no answer within the 2s of the whole run, see --deadline)"), "{said}");
}

#[test]
fn a_registry_that_asks_at_the_repository_only_is_answered_there() {
    for (challenge, login) in [("Bearer realm=\"http://ADDRESS/token\"", "Bearer granted"), ("Basic realm=\"x\"", "")] {
        let server = Server::start(move |request, address| match request.target.as_str() {
            "/v2/" => Response::new(200, &[], "{}"),
            target if target.starts_with("/token") => granted(),
            _ => match request.header("authorization") {
                Some(value) if value == login || login.is_empty() && value.ends_with(CANARY_BASIC) => {
                    digest_header(DIGEST)
                }
                _ => {
                    let challenge = challenge.replace("ADDRESS", &address.to_string());
                    Response::new(401, &[("WWW-Authenticate", &challenge)], "")
                }
            },
        });
        let config = config_json(server.address, &format!(r#""auth":"{CANARY_BASIC}""#));
        let answers = ask_with(server.address, config.root(), 2);
        assert!(answers.values().all(Result::is_ok), "{challenge}: {answers:?}");
    }
}

#[test]
fn no_login_goes_to_a_token_service_that_another_host_names() {
    let thief = Server::start(|_, address| {
        let challenge = format!(r#"Bearer realm="http://{address}/token""#);
        Response::new(401, &[("WWW-Authenticate", &challenge)], "")
    });
    for at_the_door in [true, false] {
        let target = format!("http://{}/v2/", thief.address);
        let server = Server::start(move |request, _| match request.target.as_str() {
            "/v2/" if !at_the_door => Response::new(200, &[], "{}"),
            _ => Response::new(307, &[("Location", &target)], ""),
        });
        let config = config_json(server.address, &format!(r#""auth":"{CANARY_BASIC}""#));
        let answers = ask_with(server.address, config.root(), 1);
        assert!(answers.values().all(Result::is_err), "{answers:?}");
    }
    let seen = thief.requests();
    assert!(!seen.is_empty() && seen.iter().all(|request| request.header("authorization").is_none()), "{seen:#?}");
}

#[test]
fn a_token_service_that_sends_on_does_not_send_the_login_on() {
    for (login, status) in
        ["auth", "identitytoken"].into_iter().flat_map(|login| [301, 302, 303, 307, 308].map(|status| (login, status)))
    {
        let thief = Server::start(|_, _| granted());
        let target = format!("http://{}/token", thief.address);
        let server = wants_token(move |_| Response::new(status, &[("Location", &target)], ""));
        let secret = if login == "auth" { CANARY_BASIC } else { CANARY };
        let config = config_json(server.address, &format!(r#""{login}":"{secret}""#));
        ask_with(server.address, config.root(), 1);
        assert!(server.requests().iter().any(|request| request.target.starts_with("/token")), "{login} {status}");
        for request in thief.requests() {
            let seen = format!("{request:?} {}", String::from_utf8_lossy(&request.body));
            assert!(!seen.contains(secret), "{login} {status}: {seen}");
        }
    }
}

#[test]
fn a_mirror_is_not_shown_the_login_of_what_it_mirrors() {
    let server = registry_that_answers(|_| digest_header(DIGEST));
    let config = Workspace::with(&[(
        "config.json",
        &format!(r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{CANARY_BASIC}"}}}}}}"#),
    )]);
    let network = settings("docker.io", Some(server.address.to_string()), config.root());
    assert!(resolve(network, &["node:20".to_owned()]).values().all(Result::is_ok));
    assert!(server.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[track_caller]
fn no_secret_below(workspace: &Workspace) {
    for entry in workspace.entries() {
        let path = workspace.path(&entry);
        let text = if path.is_file() { std::fs::read(path).unwrap() } else { Vec::new() };
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains(CANARY) && !text.contains(CANARY_BASIC), "{entry}: {text}");
    }
}

#[test]
fn a_secret_is_kept_nowhere() {
    let server = wants_token(|_| Response::new(200, &[], r#"{"token":"granted"}"#));
    let host = server.address.to_string();
    let toml = format!("[registry.\"{host}\"]\nplain_http = true\n");
    let dockerfile = format!("FROM {host}/me/app:1\nUSER 1000\nCMD [\"app\"]\n");
    let workspace = Workspace::with(&[("unroot.toml", toml.as_str()), ("Dockerfile", dockerfile.as_str())]);
    let cache = workspace.path("cache").display().to_string();
    let variables = [
        ("UNROOT_REGISTRY_HOSTNAME", host.as_str()),
        ("UNROOT_REGISTRY_USERNAME", "lab"),
        ("UNROOT_REGISTRY_PASSWORD", CANARY),
        ("XDG_CACHE_HOME", &cache),
    ];
    for arguments in [&["--lock", "--patches", "patches", "--verbose"][..], &["--lock", "--write", "--verbose"]] {
        let ended = unroot_with(workspace.root(), arguments, &variables);
        assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
        assert!(!(ended.stdout + &ended.stderr).contains(CANARY));
    }
    assert!(workspace.read("unroot.lock").contains(DIGEST) && workspace.path("cache/unroot").is_dir());
    assert!(server.requests().iter().any(|request| {
        request.header("authorization").is_some_and(|authorization| authorization.ends_with(CANARY_BASIC))
    }));
    no_secret_below(&workspace);
}

/// Every way in which a question can fail after a secret was sent, through the program itself: nobody is shown the secret.
#[cfg(unix)]
#[test]
fn a_secret_is_never_shown() {
    type Answer = fn(&Request, SocketAddr) -> Response;
    let failures: [(&str, Answer); 7] = [
        ("refused", |request, _| Response::new(403, &[], &format!("{CANARY} {:?}", request.headers))),
        ("limited", |_, _| {
            Response::new(
                429,
                &[("Retry-After", "9999"), ("RateLimit-Limit", CANARY), ("RateLimit-Remaining", CANARY)],
                CANARY,
            )
        }),
        ("no digest", |_, _| digest_header(CANARY)),
        ("no type", |_, _| Response::new(200, &[("Content-Type", CANARY)], CANARY)),
        ("sent on", |_, address| {
            Response::new(307, &[("Location", &format!("http://{CANARY}@{address}/{CANARY}"))], "")
        }),
        ("no manifest", |_, _| Response::new(200, &[("Content-Type", OCI_INDEX)], &format!("{{\"{CANARY}\":"))),
        ("no header", |_, _| digest_header(&format!("{CANARY}\u{1b}"))),
    ];
    let token_failures: [(&str, Answer); 3] = [
        ("token refused", |_, _| Response::new(401, &[], CANARY)),
        ("token unreadable", |_, _| Response::new(200, &[], &format!("{{\"token\":[\"{CANARY}\"]}}"))),
        ("token limited", |_, _| Response::new(429, &[("Retry-After", "9999")], CANARY)),
    ];
    let plain = failures.into_iter().map(|(what, answer)| (what, answer, r#"Basic realm="c4nary-w0rd""#));
    let traded =
        token_failures.into_iter().map(|(what, answer)| (what, answer, r#"Bearer realm="http://ADDRESS/token""#));
    for (what, answer, challenge) in plain.chain(traded) {
        let server =
            Server::start(move |request, address| match (request.target.as_str(), challenge.starts_with("Basic")) {
                (target, _) if target.starts_with("/token") => answer(request, address),
                ("/v2/", _) | (_, false) => {
                    let challenge = challenge.replace("ADDRESS", &address.to_string());
                    Response::new(401, &[("WWW-Authenticate", &challenge)], "{}")
                }
                _ => answer(request, address),
            });
        let before = "FROM me/app:1\nUSER 1000\nCMD [\"app\"]\n";
        let toml = format!("[registry.\"docker.io\"]\nmirror = \"{}\"\nplain_http = true\n", server.address);
        let workspace = Workspace::with(&[("unroot.toml", &toml), ("Dockerfile", before)]);
        for (name, secret) in [
            ("DOCKER_AUTH_CONFIG", format!(r#"{{"auths":{{"{}":{{"auth":"{CANARY_BASIC}"}}}}}}"#, server.address)),
            ("UNROOT_REGISTRY_PASSWORD", CANARY.to_owned()),
        ] {
            let cache = workspace.path("cache").display().to_string();
            let own = if name.starts_with("UNROOT") { server.address.to_string() } else { String::new() };
            let ended = unroot_with(
                workspace.root(),
                &["--patches", "patches", "--verbose", "--deadline", "5"],
                &[
                    ("RUST_LOG", "trace"),
                    ("XDG_CACHE_HOME", &cache),
                    ("UNROOT_REGISTRY_HOSTNAME", &own),
                    ("UNROOT_REGISTRY_USERNAME", "lab"),
                    (name, &secret),
                ],
            );
            let said = ended.stdout + &ended.stderr;
            assert!(
                said.contains("docker.io gave no digest") || said.contains("docker.io did not answer"),
                "{what}: {said}"
            );
            let errors = said.lines().filter(|line| line.starts_with("not looked up: ")).count();
            assert_eq!(errors, 1, "one clear line: {what}: {said}");
            assert!(!said.contains(CANARY) && !said.contains(CANARY_BASIC), "{what}: {said}");
        }
        assert_eq!(workspace.read("Dockerfile"), before, "{what}");
        no_secret_below(&workspace);
        let sent = server.requests().iter().filter(|request| request.header("authorization").is_some()).count();
        assert!(sent >= 2, "{what}: the secret was sent: {sent}");
    }
}

/// The reference server believes no token but one that is signed for exactly what is asked.
#[test]
fn the_reference_registry_accepts_the_tokens_that_are_fetched() {
    let Some(authority) = Authority::new() else { return };
    let signer = authority.signer();
    let tokens = Server::start(move |request, _| match request.header("authorization") {
        Some("Basic bGFiOmM0bmFyeS13MHJk") => {
            let query = request.target.split_once('?').map_or("", |(_, query)| query);
            let scope = query.split('&').find_map(|pair| pair.strip_prefix("scope=")).unwrap_or_default();
            let scope = scope.replace("%3A", ":").replace("%2F", "/");
            Response::new(200, &[], &format!(r#"{{"token":"{}","expires_in":300}}"#, signer.token(&scope)))
        }
        _ => Response::new(401, &[], ""),
    });
    let realm = format!("http://{}/token", tokens.address);
    let Some(mut registry) = Registry::with_tokens(&authority, &realm) else { return };
    let host = registry.address;
    assert_eq!(send(host, "GET", "/v2/", &[], b"").unwrap().status, 401);
    let repositories = ["me/app", "me/tool"];
    let pushed = repositories.map(|repository| {
        registry
            .authorize(format!("Bearer {}", authority.signer().token(&format!("repository:{repository}:pull,push"))));
        registry.push_image(repository, Some("1"), OCI_MANIFEST, "amd64").0
    });
    let config = config_json(host, &format!(r#""auth":"{CANARY_BASIC}""#));
    let written = repositories.map(|repository| format!("{host}/{repository}:1"));
    let answers = resolve(settings(&host.to_string(), None, config.root()), &written);
    for (written, pushed) in written.iter().zip(&pushed) {
        assert_eq!(&answers[&reference(written)].as_ref().unwrap().digest.to_string(), pushed);
    }
    let mut answers = resolve(plain(host), &written);
    let message = refusal(answers.remove(&reference(&written[0])).unwrap());
    assert!(message.ends_with("(it issued no token, asked without a login)"), "{message}");
}
