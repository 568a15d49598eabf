//! Registries that are busy, limit requests, or go away for a while: how long they are waited for, and what is said when that was in vain.

use super::support::nginx::Nginx;
use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

fn many(address: SocketAddr, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{address}/app{n}:1")).collect()
}

/// Answers each question about a manifest by its number, from 1.
fn numbered(answer: impl Fn(usize) -> Response + Send + Sync + 'static) -> Server {
    let asked = AtomicUsize::new(0);
    registry_that_answers(move |_| answer(asked.fetch_add(1, Ordering::SeqCst) + 1))
}

fn later(status: u16, headers: &[(&str, &str)]) -> Response {
    Response::new(status, headers, "{\"errors\":[]}")
}

#[test]
fn a_registry_that_asks_for_time_is_given_it() {
    for (status, header) in [(429, "1"), (503, "1"), (429, "Sat, 21 Nov 2026 12:00:01 GMT")] {
        let server = numbered(move |number| match number {
            1 => later(status, &[("Retry-After", header), ("Date", "Sat, 21 Nov 2026 12:00:00 GMT")]),
            _ => digest_header(DIGEST),
        });
        let started = Instant::now();
        assert!(ask(&server).is_ok());
        let elapsed = started.elapsed();
        assert!(
            elapsed >= Duration::from_secs(1) && elapsed < Duration::from_secs(4),
            "{status} {header}: {elapsed:?}"
        );
    }
}

#[test]
fn without_a_time_the_pauses_are_ours() {
    for status in [429, 502, 503, 504] {
        let server = numbered(move |number| if number < 3 { later(status, &[]) } else { digest_header(DIGEST) });
        let started = Instant::now();
        assert!(ask(&server).is_ok(), "{status}");
        let elapsed = started.elapsed();
        assert!(elapsed >= Duration::from_millis(750) && elapsed < Duration::from_secs(4), "{status}: {elapsed:?}");
    }
}

#[test]
fn one_refusal_slows_all_questions_to_the_host() {
    let started = Instant::now();
    let times = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = times.clone();
    let server = numbered(move |number| {
        seen.lock().unwrap().push(started.elapsed());
        if number == 1 { later(429, &[("Retry-After", "1")]) } else { digest_header(DIGEST) }
    });
    let answers = resolve(plain(server.address), &many(server.address, 20));
    assert!(answers.values().all(Result::is_ok), "{answers:?}");
    let times = times.lock().unwrap();
    assert_eq!(times.len(), 21, "one of twenty was asked again");
    assert!(times[1] - times[0] >= Duration::from_secs(1), "{times:?}");
}

#[test]
fn a_limit_of_hours_is_named_and_met_once() {
    let hub = [
        ("Retry-After", "21600"),
        ("RateLimit-Limit", "100;w=21600;comment=s3cret-word"),
        ("RateLimit-Remaining", "0;w=21600"),
    ];
    let server = numbered(move |_| later(429, &hub));
    let started = Instant::now();
    let answers = resolve(plain(server.address), &many(server.address, 50));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(answers.len(), 50);
    for (reference, answer) in answers {
        assert_eq!(
            refusal(answer),
            format!(
                "{0} gave no digest for {reference} (too many requests, limit 100 in 21600 s, 0 left, asked without a login; \
                 it asks to wait for 21600s, beyond the 120s of the run, see --deadline)",
                server.address
            )
        );
    }
    assert_eq!(server.requests().iter().filter(|request| request.method == "HEAD").count(), 1);
}

#[test]
fn the_whole_run_ends_at_its_deadline() {
    // Each answer comes in time, all of them do not.
    let server = registry_that_answers(|_| {
        std::thread::sleep(Duration::from_millis(250));
        digest_header(DIGEST)
    });
    let network = NetworkSettings { deadline: Duration::from_millis(900), ..plain(server.address) };
    let started = Instant::now();
    let answers = resolve(network, &many(server.address, 100));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let (found, late): (Vec<_>, Vec<_>) = answers.into_values().partition(Result::is_ok);
    assert!(!found.is_empty() && !late.is_empty(), "{} and {}", found.len(), late.len());
    for answer in late {
        let message = outage(&answer);
        assert!(message.ends_with("(no answer within the 900ms of the whole run, see --deadline)"), "{message}");
    }
    // Each worker had one request under way when time was up.
    assert!(server.requests().len() < found.len() + 12, "{}", server.requests().len());
}

#[test]
fn patience_with_one_question_ends_and_others_get_their_answers() {
    let server = registry_that_answers(|request| match request.target.contains("/app1/") {
        true => later(503, &[]),
        false => digest_header(DIGEST),
    });
    let network = NetworkSettings { deadline: Duration::from_secs(6), ..plain(server.address) };
    let mut answers = resolve(network, &many(server.address, 10));
    let busy = reference(&format!("{}/app1:1", server.address));
    let message = refusal(answers.remove(&busy).unwrap());
    assert!(message.contains("(HTTP status 503; still so near the end of the 6s of the run"), "{message}");
    assert!(answers.values().all(Result::is_ok), "{answers:?}");
}

#[test]
fn a_limit_of_the_token_service_is_met_as_that_of_the_registry() {
    let tokens = AtomicUsize::new(0);
    let server = Server::start(move |request, address| {
        if request.target.starts_with("/token") {
            return match tokens.fetch_add(1, Ordering::SeqCst) {
                0 => later(429, &[("Retry-After", "1")]),
                _ => Response::new(200, &[], r#"{"token":"t"}"#),
            };
        }
        if request.header("authorization").is_some() {
            return digest_header(DIGEST);
        }
        let challenge = format!(r#"Bearer realm="http://{address}/token""#);
        Response::new(401, &[("WWW-Authenticate", &challenge)], "")
    });
    assert!(ask(&server).is_ok());
}

#[test]
fn a_registry_that_is_started_again_is_waited_for() {
    let Some(mut registry) = Registry::start() else { return };
    let host = registry.address;
    for n in 0..40 {
        registry.push_image(&format!("app{n}"), Some("1"), OCI_MANIFEST, "amd64");
    }
    let asking = std::thread::spawn(move || {
        let online = Online::new(plain(host));
        // One after the other, so that the restart falls between two questions.
        let one = |written: String| online.resolve(&[reference(&written)]).into_values().next().unwrap();
        let mut answers = Vec::new();
        for written in many(host, 40) {
            answers.push(one(written));
            std::thread::sleep(Duration::from_millis(25));
        }
        answers
    });
    std::thread::sleep(Duration::from_millis(300));
    registry.stop();
    std::thread::sleep(Duration::from_millis(700));
    registry.start_again();
    let answers = asking.join().unwrap();
    assert_eq!(answers.len(), 40);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[test]
fn a_registry_that_goes_away_for_good_is_given_up() {
    let Some(mut registry) = Registry::start() else { return };
    let host = registry.address;
    registry.push_image("app0", Some("1"), OCI_MANIFEST, "amd64");
    let network = NetworkSettings { deadline: Duration::from_secs(4), ..plain(host) };
    let online = Online::new(network);
    let written: Vec<Reference> = many(host, 30).iter().map(|written| reference(written)).collect();
    assert!(online.resolve(&written[..1]).values().all(Result::is_ok));
    registry.stop();
    let started = Instant::now();
    let answers = online.resolve(&written[1..]);
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    for answer in answers.values() {
        let message = outage(answer);
        assert!(message.contains("(connection refused; still so "), "{message}");
    }
}

/// 5 requests in a second and 2 at once, as a proxy in front of a registry may have it.
#[test]
fn a_proxy_that_limits_requests_is_kept_to() {
    let Some(registry) = Registry::start() else { return };
    for n in 0..24 {
        registry.push_image(&format!("app{n}"), Some("1"), OCI_MANIFEST, "amd64");
    }
    let nginx = Nginx::start(
        "limit_req_zone $binary_remote_addr zone=all:1m rate=5r/s;",
        "",
        &format!(
            "limit_req zone=all burst=2 nodelay;\nlimit_req_status 429;\nlocation / {{ proxy_pass http://{}; }}",
            registry.address
        ),
    );
    let Some(nginx) = nginx else { return };
    let answers = resolve(plain(nginx.address), &many(nginx.address, 24));
    assert!(answers.len() == 24 && answers.values().all(Result::is_ok), "{answers:?}");
    let answered = nginx.logged("\" 200 ", 24);
    let (answered, refused) =
        (answered.iter().filter(|line| line.contains("\"HEAD ")).count(), nginx.logged("\" 429 ", 1).len());
    assert!(answered == 24 && refused > 0 && refused < 40, "{answered} answers, {refused} refusals");
}

/// Seen by a terminal, which `script` plays.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_shows_how_far_the_questions_are_and_whom_they_wait_for() {
    let asked = AtomicUsize::new(0);
    let server = registry_that_answers(move |_| {
        std::thread::sleep(Duration::from_millis(300));
        match asked.fetch_add(1, Ordering::SeqCst) {
            0 => later(429, &[("Retry-After", "1")]),
            _ => digest_header(DIGEST),
        }
    });
    let host = server.address;
    let workspace = Workspace::new();
    workspace.write("unroot.toml", &format!("[registry.\"{host}\"]\nplain_http = true\n"));
    let stages: String = (0..12).map(|n| format!("FROM {host}/app{n}:1\nUSER 1000\n")).collect();
    workspace.write("Dockerfile", &stages);
    let program = format!("{} --only pin-digest", env!("CARGO_BIN_EXE_unroot"));
    let shown = std::process::Command::new("script")
        .args(["-qec", &program, "/dev/null"])
        .current_dir(workspace.root())
        .env("XDG_CACHE_HOME", workspace.path("cache"))
        .output();
    let Ok(shown) = shown else {
        println!("not run: script is not installed");
        assert!(std::env::var_os("CI").is_none(), "script is not installed");
        return;
    };
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains(&format!("asking registries: {host} again in 1.")), "{shown}");
    assert!(shown.contains(" of 12 images"), "{shown}");
}
