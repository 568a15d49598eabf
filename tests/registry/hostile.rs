//! Servers that answer what no registry should: one clear line, nothing changed, and soon.

use super::support::program::unroot;
use super::*;
use unroot::image::{MediaType, Platform};

const LINUX_ARM64: &str = r#"{"os":"linux","architecture":"arm64"}"#;

fn typed(media_type: &str, body: &str) -> Response {
    Response::new(200, &[("Content-Type", media_type)], body)
}

fn with_digest(media_type: &str, digest: &str, body: &str) -> Response {
    Response::new(200, &[("Content-Type", media_type), ("Docker-Content-Digest", digest)], body)
}

/// An index of one image.
fn index(child: &str, platform: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"{OCI_MANIFEST}","size":1,"digest":"{child}","platform":{platform}}}]}}"#
    )
}

/// The whole way, for every kind of answer: nothing is written, and one line says what was wrong.
#[test]
fn each_hostile_answer_is_one_clear_error_and_changes_nothing() {
    type Answer = fn(&Request, SocketAddr) -> Response;
    let answers: Vec<(&str, Answer, &str)> = vec![
        ("a page", |_, _| typed("text/html", "<html>Sign in</html>"), "the answer is not that of a registry"),
        ("a page as JSON", |_, _| typed("application/json", "<html>"), "its manifest is not a manifest"),
        (
            "an old manifest",
            |_, _| typed("application/vnd.docker.distribution.manifest.v1+json", "{}"),
            "the answer is not that of a registry",
        ),
        ("a huge manifest", |_, _| typed(OCI_INDEX, &" ".repeat((4 << 20) + 1)), "its answer is longer than 4 MiB"),
        (
            "a wrong digest",
            |_, _| with_digest("application/json", DIGEST, &index(DIGEST, "{}")),
            "what it sent is not what its digest names",
        ),
        (
            "no digest",
            |_, _| with_digest(OCI_INDEX, "sha256:../../etc/passwd", ""),
            "the digest it sent is not a SHA-256 digest",
        ),
        (
            "going in circles",
            |request, _| Response::new(302, &[("Location", &request.target)], ""),
            "it redirects without end",
        ),
        ("going nowhere", |_, _| Response::new(302, &[("Location", "file:///etc/passwd")], ""), "HTTP status 302"),
        (
            "going on and on",
            |request, _| Response::new(307, &[("Location", &format!("{}x", request.target))], ""),
            "it redirects without end",
        ),
        ("a teapot", |_, _| Response::new(418, &[], "\u{1b}[2J"), "HTTP status 418"),
        (
            "a drip",
            |_, _| {
                let mut drip = typed(OCI_INDEX, &" ".repeat(100));
                drip.drip = Some(Duration::from_millis(100));
                drip
            },
            "no answer within 1s, see --timeout",
        ),
        (
            "no end of headers",
            |_, _| Response::new(200, &[("X", &"x".repeat(1 << 20))], ""),
            "message head is too large",
        ),
    ];
    for (what, answer, words) in answers {
        let server = Server::start(move |request, address| match request.target.as_str() {
            "/v2/" => Response::new(200, &[], "{}"),
            _ => answer(request, address),
        });
        let toml = format!("[registry.\"docker.io\"]\nmirror = \"{}\"\nplain_http = true\n", server.address);
        let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: web\n    image: me/app:1\n";
        let workspace = Workspace::with(&[("unroot.toml", &toml), ("web.yaml", pod)]);
        let started = Instant::now();
        let ended = unroot(workspace.root(), &["--write", "--only", "pin-digest", "--timeout", "1", "--deadline", "5"]);
        assert!(started.elapsed() < Duration::from_secs(8), "{what}: {:?}", started.elapsed());
        assert_eq!((ended.code, workspace.read("web.yaml").as_str()), (2, pod), "{what}: {}", ended.stdout);
        let errors: Vec<&str> = ended.stdout.lines().filter(|line| line.starts_with("not looked up: ")).collect();
        assert!(errors.len() == 1 && errors[0].contains(&format!("me/app:1 ({words}")), "{what}: {}", ended.stdout);
        assert!(!ended.stdout.contains('\u{1b}') && ended.stderr.is_empty(), "{what}: {}", ended.stderr);
    }
}

#[test]
fn names_with_tricks_are_asked_of_nobody() {
    let server = registry_that_answers(|_| digest_header(DIGEST));
    let toml = format!("[registry.\"docker.io\"]\nmirror = \"{}\"\nplain_http = true\n", server.address);
    let names = [
        "../../etc:1",
        "me/../app:1",
        "me/./app:1",
        "me//app:1",
        "me/app?x=1",
        "me/app#x",
        "me%2fapp:1",
        "me/app:1/../2",
        "/app:1",
        "me/app:..",
        "me\\app:1",
        "lab:word@host/app:1",
        "http://host/app:1",
        "me/app:1@sha256:../../x",
    ];
    for name in names {
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: web\n    image: '{name}'\n"
        );
        let dockerfile = format!("FROM {name}\nUSER 1000\n");
        let workspace = Workspace::with(&[("unroot.toml", &toml), ("web.yaml", &pod), ("Dockerfile", &dockerfile)]);
        let ended = unroot(workspace.root(), &["--write", "--only", "pin-digest"]);
        assert_eq!(
            (workspace.read("web.yaml"), workspace.read("Dockerfile")),
            (pod, dockerfile),
            "{name}: {}",
            ended.stdout
        );
    }
    assert!(server.requests().is_empty(), "{:#?}", server.requests());
}

#[test]
fn what_a_header_leaves_open_the_bytes_decide() {
    let body = index(DIGEST, LINUX_ARM64);
    let other = format!("sha256:{}", "b".repeat(64));
    let right = sha256(body.as_bytes());
    let named: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("no digest", vec![("Content-Type", OCI_INDEX)]),
        ("no type", vec![("Docker-Content-Digest", &right)]),
        ("a type of nothing", vec![("Content-Type", "application/octet-stream"), ("Docker-Content-Digest", &right)]),
        ("a type with parameters", vec![("Content-Type", "application/json; charset=utf-8")]),
        (
            "two digests",
            vec![("Content-Type", OCI_INDEX), ("Docker-Content-Digest", &right), ("Docker-Content-Digest", &other)],
        ),
    ];
    for (what, headers) in named {
        let (body, headers): (_, Vec<(String, String)>) =
            (body.clone(), headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
        let server = registry_that_answers(move |_| {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            Response::new(200, &headers, &body)
        });
        let resolved = ask(&server).unwrap();
        assert_eq!((resolved.digest.as_str(), resolved.media_type), (right.as_str(), MediaType::OciIndex), "{what}");
        let methods: Vec<String> = server.requests().into_iter().map(|request| request.method).collect();
        assert_eq!(methods, ["GET", "HEAD", "GET"], "{what}: the door, the question, the bytes");
    }
    let server = registry_that_answers(move |_| with_digest("application/json", &other, &body));
    assert!(refusal(ask(&server)).ends_with("(what it sent is not what its digest names)"));
}

#[test]
fn a_digest_is_answered_with_itself() {
    let server = registry_that_answers(|_| digest_header(DIGEST));
    let other = format!("{}/app@sha256:{}", server.address, "b".repeat(64));
    let mut answers = resolve(plain(server.address), std::slice::from_ref(&other));
    let message = refusal(answers.remove(&reference(&other)).unwrap());
    assert!(message.ends_with("(it answers with another digest than it was asked for)"), "{message}");
}

fn for_platform(address: SocketAddr, platform: &str, written: &str) -> Result<Resolved, ResolveError> {
    let platform: Platform = platform.parse().unwrap();
    let network = NetworkSettings { platform: Some(platform), ..plain(address) };
    let written = format!("{address}/{written}");
    resolve(network, std::slice::from_ref(&written)).remove(&reference(&written)).unwrap()
}

#[test]
fn with_a_platform_its_image_is_the_answer() {
    let Some(registry) = Registry::start() else { return };
    let host = registry.address;
    let (oci, children) = registry.push_index("multi", "1", OCI_INDEX);
    let (_, docker_children) = registry.push_index("docker", "latest", DOCKER_LIST);
    let (single, _) = registry.push_image("single", Some("1"), OCI_MANIFEST, "riscv64");
    let found = |platform: &str, written: &str| {
        let resolved = for_platform(host, platform, written).unwrap();
        assert!(!resolved.media_type.is_index(), "{written}");
        resolved.digest.to_string()
    };
    assert_eq!(found("linux/amd64", "multi:1"), children[0]);
    assert_eq!(found("linux/arm64/v8", "multi:1"), children[1]);
    assert_eq!(found("linux/arm64", "docker"), docker_children[1]);
    assert_eq!(found("linux/riscv64", "single:1"), single);
    assert_eq!(found("linux/arm64", &format!("multi@{}", sha256(oci.as_bytes()))), children[1]);
    for (platform, written, words) in [
        ("linux/s390x", "multi:1", "it holds no image for linux/s390x"),
        ("windows/amd64", "multi:1", "it holds no image for windows/amd64"),
        ("linux/amd64", "single:1", "it is one image, for linux/riscv64 and not for linux/amd64"),
        ("linux/amd64", "gone:1", "not found"),
    ] {
        let message = refusal(for_platform(host, platform, written));
        assert!(message.ends_with(&format!("({words})")), "{message}");
    }
    assert!(
        registry.logged("\"HEAD /v2/multi", 0).is_empty(),
        "the index has to be read, so it is not asked for twice"
    );
}

#[test]
fn an_index_for_a_platform_is_held_against_its_digest() {
    for (what, headers, body, words) in [
        ("a lie", DIGEST, index(DIGEST, LINUX_ARM64), "what it sent is not what its digest names"),
        ("a child elsewhere", "", index("../../x", LINUX_ARM64), "a digest on the way to it is not a SHA-256 digest"),
        ("no platform", "", index(DIGEST, "null"), "it holds no image for linux/arm64"),
        (
            "a book",
            "",
            index(DIGEST, &format!(r#"{{"os":"linux","architecture":"{}"}}"#, "a".repeat(1 << 20))),
            "it holds no image for linux/arm64",
        ),
    ] {
        let server = registry_that_answers(move |_| match headers {
            "" => typed(OCI_INDEX, &body),
            digest => with_digest(OCI_INDEX, digest, &body),
        });
        let message = refusal(for_platform(server.address, "linux/arm64", "app:1"));
        assert!(message.ends_with(&format!("({words})")), "{what}: {message}");
    }
}
