//! Configurations of images: from the reference registry server, from servers that lie, and what a whole run makes of them.

use super::support::program::unroot;
use super::*;
use unroot::image::ImageConfig;

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

fn with_user(user: &str) -> String {
    format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"User":"{user}","ExposedPorts":{{"8080/tcp":{{}}}}}}}}"#
    )
}

/// Asks for the configuration of one reference and returns what it is told.
fn config_of(network: NetworkSettings, written: &str) -> Result<ImageConfig, ResolveError> {
    let reference = reference(written);
    let mut answers = Online::new(network).configs(std::slice::from_ref(&reference));
    assert_eq!(answers.len(), 1);
    answers.remove(&reference).unwrap()
}

fn user_of(network: NetworkSettings, written: &str) -> String {
    config_of(network, written).unwrap().user
}

#[test]
fn one_image_of_an_index_speaks_for_all() {
    let Some(registry) = Registry::start() else { return };
    let host = registry.address;
    let configs = |names: [&'static str; 3]| names.map(|name| (name, with_user(name)));
    let (index, _) = registry.push_index_with("oci", "1", OCI_INDEX, &configs(["arm64", "amd64", "unknown"]));
    registry.push_index_with("docker", "latest", DOCKER_LIST, &configs(["unknown", "riscv64", "arm64"]));
    let (image, _) = registry.push_image_with("single", Some("1"), OCI_MANIFEST, "x", &with_user("1000"));
    registry.push_image_with("single", Some("2"), DOCKER_MANIFEST, "y", &with_user("2000:3000"));

    let index = sha256(index.as_bytes());
    for (written, user) in [
        ("oci:1".to_owned(), "amd64"),
        (format!("oci@{index}"), "amd64"),
        // The digest counts; the tag beside it may have moved on, or never existed.
        (format!("oci:gone@{index}"), "amd64"),
        ("docker".to_owned(), "riscv64"),
        ("single:1".to_owned(), "1000"),
        (format!("single:2@{image}"), "1000"),
        ("single:2".to_owned(), "2000:3000"),
    ] {
        let config = config_of(plain(host), &format!("{host}/{written}")).unwrap();
        assert_eq!((config.user.as_str(), config.ports.as_slice()), (user, &[8080][..]), "{written}");
    }
    let unknown = format!("{host}/oci@{}", sha256(b"nobody pushed this"));
    assert_eq!(
        refusal(config_of(plain(host), &unknown)),
        format!("{host} gave no configuration for {unknown} (not found)")
    );
}

#[test]
fn each_distinct_image_is_asked_about_once() {
    let Some(registry) = Registry::start() else { return };
    registry.push_image_with("docker.io/library/web", Some("1"), OCI_MANIFEST, "x", &with_user("1000"));
    registry.push_index("docker.io/me/app", "latest", OCI_INDEX);
    let mirror = format!("{}/docker.io", registry.address);
    let online = Online::new(settings("docker.io", Some(mirror), Path::new(NO_DOCKER_CONFIG)));
    let written =
        ["web:1", "docker.io/library/web:1", "index.docker.io/web:1", "me/app", "me/app:latest"].map(reference);
    let answers = online.configs(&written);
    assert_eq!(answers.len(), 5);
    assert!(answers.values().all(Result::is_ok), "{answers:?}");
    let gets = registry.logged("\"GET /v2/docker.io/", 5);
    let of = |repository: &str| gets.iter().filter(|line| line.contains(repository)).count();
    assert_eq!((of("/library/web/"), of("/me/app/"), gets.len()), (2, 3, 5), "{gets:#?}");
    assert!(registry.logged("\"HEAD /v2/", 0).is_empty());
}

#[test]
fn logins_are_used_for_manifests_and_blobs() {
    let Some(registry) = Registry::with_login() else { return };
    let host = registry.address.to_string();
    registry.push_image_with("private/app", Some("1"), OCI_MANIFEST, "x", &with_user("1000"));
    let written = format!("{host}/private/app:1");
    let (user, password) = LOGIN;
    let config = docker_config(&host, user, password);
    assert_eq!(user_of(settings(&host, None, config.path()), &written), "1000");
    let wrong = docker_config(&host, user, "wr0ng-word");
    let message = refusal(config_of(settings(&host, None, wrong.path()), &written));
    assert_eq!(message, format!("{host} gave no configuration for {written} (not allowed, asked with Docker's login)"));
}

/// What a server answers about `app`; each test spoils one part of it.
#[derive(Clone)]
struct Image {
    manifest_type: &'static str,
    manifest: String,
    /// Sent with the manifest.
    digest: Option<String>,
    /// By digest: further manifests, and blobs.
    stored: BTreeMap<String, Response>,
}

/// A body, stored under `digest`.
fn stored(digest: &str, media_type: &str, body: &str) -> (String, Response) {
    (digest.to_owned(), Response::new(200, &[("Content-Type", media_type)], body))
}

fn manifest_of(config_type: &str, config: &str) -> String {
    let config = format!(r#"{{"mediaType":"{config_type}","size":1,"digest":"{}"}}"#, sha256(config.as_bytes()));
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{config},"layers":[]}}"#)
}

fn index_of(child_type: &str, child: &str, platform: &str) -> String {
    let child = format!(r#"{{"mediaType":"{child_type}","size":1,"digest":"{child}","platform":{platform}}}"#);
    format!(r#"{{"schemaVersion":2,"manifests":[{child}]}}"#)
}

fn image(config: &str) -> Image {
    let manifest = manifest_of(OCI_CONFIG, config);
    Image {
        manifest_type: OCI_MANIFEST,
        digest: Some(sha256(manifest.as_bytes())),
        manifest,
        stored: BTreeMap::from([stored(&sha256(config.as_bytes()), "application/octet-stream", config)]),
    }
}

/// The same image as the one for Linux on amd64 of an index.
fn indexed(image: &Image) -> Image {
    const PLATFORM: &str = r#"{"architecture":"amd64","os":"linux"}"#;
    let child = sha256(image.manifest.as_bytes());
    let index = index_of(OCI_MANIFEST, &child, PLATFORM);
    let mut all = image.stored.clone();
    all.extend([stored(&child, OCI_MANIFEST, &image.manifest)]);
    Image { manifest_type: OCI_INDEX, digest: Some(sha256(index.as_bytes())), manifest: index, stored: all }
}

impl Image {
    fn answer(&self, request: &Request) -> Response {
        let version = request.target.rsplit('/').next().unwrap_or_default();
        if let Some(response) = self.stored.get(version) {
            return response.clone();
        }
        let digest = self.digest.as_ref().map(|digest| ("Docker-Content-Digest", digest.as_str()));
        let headers: Vec<_> = [("Content-Type", self.manifest_type)].into_iter().chain(digest).collect();
        Response::new(200, &headers, &self.manifest)
    }

    fn served(self) -> Server {
        registry_that_answers(move |request| self.answer(request))
    }

    fn told(self) -> Result<ImageConfig, ResolveError> {
        let server = self.served();
        config_of(plain(server.address), &format!("{}/app:1", server.address))
    }

    /// The one stored body, replaced.
    fn storing(mut self, response: Response) -> Self {
        for body in self.stored.values_mut() {
            *body = response.clone();
        }
        self
    }
}

#[test]
fn an_honest_server_is_believed() {
    let image = image(&with_user("1000"));
    assert_eq!(image.clone().told().unwrap().user, "1000");
    assert_eq!(indexed(&image).told().unwrap().user, "1000");
    assert_eq!(Image { digest: None, ..image }.told().unwrap().user, "1000", "a tag need not come with a digest");
}

#[test]
fn each_lie_is_refused_with_one_line() {
    const NOT_ITS_DIGEST: &str = "what it sent is not what its digest names";
    const NO_REGISTRY: &str = "the answer is not that of a registry";
    const NO_MANIFEST: &str = "its manifest is not a manifest";
    const NO_CONFIG: &str = "its configuration is not that of an image";
    const BYTES: (&str, &str) = ("Content-Type", "application/octet-stream");
    let honest = image(&with_user("1000"));
    let spoilt = |manifest: &str| Image { manifest: manifest.to_owned(), digest: None, ..honest.clone() };
    let indexed_as =
        |index: String| Image { manifest_type: OCI_INDEX, digest: None, manifest: index, ..honest.clone() };
    let child = sha256(honest.manifest.as_bytes());
    let linux = r#"{"architecture":"amd64","os":"linux"}"#;
    let nested = {
        let inner = index_of(OCI_MANIFEST, &child, linux);
        let mut all = honest.stored.clone();
        all.extend([stored(&sha256(inner.as_bytes()), OCI_INDEX, &inner)]);
        Image { stored: all, ..indexed_as(index_of(OCI_MANIFEST, &sha256(inner.as_bytes()), linux)) }
    };
    let both = honest.manifest.replace(r#""layers""#, r#""manifests":[],"layers""#);
    let lies = [
        ("another manifest", Image { digest: Some(sha256(b"else")), ..honest.clone() }, NOT_ITS_DIGEST),
        (
            "no digest",
            Image { digest: Some("sha256:abc".to_owned()), ..honest.clone() },
            "a digest on the way to it is not a SHA-256 digest",
        ),
        (
            "another configuration",
            honest.clone().storing(Response::new(200, &[BYTES], &with_user("0"))),
            NOT_ITS_DIGEST,
        ),
        (
            "a page for a configuration",
            honest.clone().storing(Response::new(200, &[("Content-Type", "text/html")], "<html>")),
            NOT_ITS_DIGEST,
        ),
        (
            "a page for a manifest",
            Image { manifest_type: "text/html", ..spoilt("<html>Sign in, please</html>") },
            NO_REGISTRY,
        ),
        ("a page as a manifest", spoilt("<html>Sign in, please</html>"), NO_MANIFEST),
        ("an empty manifest", spoilt(""), NO_MANIFEST),
        ("a manifest of nothing", spoilt("{}"), NO_MANIFEST),
        ("nesting without end", spoilt(&"[".repeat(1 << 20)), NO_MANIFEST),
        ("two kinds at once", spoilt(&both), NO_MANIFEST),
        ("an index as an image", spoilt(&index_of(OCI_MANIFEST, &child, linux)), NO_MANIFEST),
        (
            "another type",
            Image { manifest_type: DOCKER_MANIFEST, ..honest.clone() },
            "its manifest says to be of another type than the registry does",
        ),
        (
            "no container",
            spoilt(&manifest_of("application/vnd.cncf.helm.config.v1+json", "{}")),
            "it is not the image of a container",
        ),
        ("an index of nothing", indexed_as(r#"{"manifests":[]}"#.to_owned()), "it holds no image for Linux"),
        (
            "an index of attestations",
            indexed_as(index_of(OCI_MANIFEST, &child, r#"{"architecture":"unknown","os":"unknown"}"#)),
            "it holds no image for Linux",
        ),
        ("an index in an index", nested, "its index holds another index"),
        (
            "a child elsewhere",
            indexed_as(index_of(OCI_MANIFEST, "../../other/manifests/1", linux)),
            "a digest on the way to it is not a SHA-256 digest",
        ),
        ("a configuration that is none", image("<html>"), NO_CONFIG),
        ("a user of another type", image(r#"{"config":{"User":["1000"]}}"#), NO_CONFIG),
        (
            "a user as long as a book",
            image(&with_user(&"a".repeat(1 << 20))),
            "its configuration holds more than any image needs",
        ),
        (
            "a directory of two lines",
            image(r#"{"config":{"Volumes":{"/data\n/etc":{}}}}"#),
            "its configuration holds control characters",
        ),
        (
            "no directory",
            image(r#"{"config":{"WorkingDir":"../.."}}"#),
            "its configuration names a working directory that is not an absolute path",
        ),
        ("an image for Windows", image(r#"{"os":"windows"}"#), "it holds no image for Linux"),
        ("a huge manifest", spoilt(&" ".repeat((4 << 20) + 1)), "its answer is longer than 4 MiB"),
        ("a huge configuration", image(&" ".repeat((8 << 20) + 1)), "its answer is longer than 8 MiB"),
        (
            "a configuration that is gone",
            honest.clone().storing(Response::new(404, &[], "\u{1b}[2J page")),
            "not found",
        ),
        (
            "a configuration for others",
            honest.clone().storing(Response::new(403, &[], "s3cret")),
            "not allowed, asked without a login",
        ),
    ];
    let (told, images): (Vec<_>, Vec<_>) = lies.into_iter().map(|(what, image, words)| ((what, words), image)).unzip();
    let server = registry_that_answers(move |request| {
        let repository = request.target.split('/').nth(2).unwrap();
        images[repository.parse::<usize>().unwrap()].answer(request)
    });
    let written: Vec<Reference> =
        (0..told.len()).map(|index| reference(&format!("{}/{index}:1", server.address))).collect();
    let mut answers = Online::new(plain(server.address)).configs(&written);
    for ((what, words), reference) in told.into_iter().zip(&written) {
        let message = refusal(answers.remove(reference).unwrap());
        let expected = format!("{} gave no configuration for {reference} ({words})", server.address);
        assert_eq!(message, expected, "{what}");
    }
}

#[test]
fn a_digest_that_cannot_be_checked_is_not_asked_for() {
    let server = image(&with_user("1000")).served();
    let written = format!("{}/app@sha512:{}", server.address, "a".repeat(128));
    let message = refusal(config_of(plain(server.address), &written));
    assert!(message.ends_with("(a digest on the way to it is not a SHA-256 digest)"), "{message}");
    assert!(server.requests().iter().all(|request| request.target == "/v2/"), "{:#?}", server.requests());
}

#[test]
fn a_blob_may_lie_elsewhere_and_no_login_goes_there() {
    let config = with_user("1000");
    let body = config.clone();
    let elsewhere =
        Server::start(move |_, _| Response::new(200, &[("Content-Type", "application/octet-stream")], &body));
    let target = format!("http://{}/signed?for=a-while", elsewhere.address);
    let server = image(&config).storing(Response::new(307, &[("Location", &target)], "")).served();
    let host = server.address.to_string();
    let login = docker_config(&host, "lab", "s3cret-word");
    assert_eq!(user_of(settings(&host, None, login.path()), &format!("{host}/app:1")), "1000");
    let asked = server.requests();
    let blob = asked.iter().find(|request| request.target.contains("/blobs/")).unwrap();
    assert!(blob.header("authorization").is_some(), "{asked:#?}");
    let followed = elsewhere.requests();
    assert_eq!(followed.len(), 1, "{followed:#?}");
    assert_eq!((followed[0].header("authorization"), followed[0].header("cookie")), (None, None));
}

#[test]
fn a_blob_that_is_always_elsewhere_is_refused() {
    let honest = image(&with_user("1000"));
    let server = registry_that_answers(move |request| match request.target.contains("/blobs/") {
        true => Response::new(307, &[("Location", &request.target)], ""),
        false => Response::new(200, &[("Content-Type", OCI_MANIFEST)], &honest.manifest),
    });
    let message = refusal(config_of(plain(server.address), &format!("{}/app:1", server.address)));
    assert!(message.ends_with("(it redirects without end)"), "{message}");
    assert!(server.requests().len() < 50, "{}", server.requests().len());
}

#[test]
fn a_body_that_drips_costs_one_timeout() {
    let mut drops = Response::new(200, &[("Content-Type", "application/octet-stream")], &" ".repeat(1000));
    drops.drip = Some(Duration::from_millis(20));
    let server = image(&with_user("1000")).storing(drops).served();
    let written: Vec<Reference> = (0..3).map(|n| reference(&format!("{}/app{n}:1", server.address))).collect();
    let timeout = Duration::from_millis(400);
    let answers = Online::new(NetworkSettings { timeout, ..plain(server.address) }).configs(&written);
    assert_eq!(answers.len(), 3);
    for answer in answers.into_values() {
        let message = outage(&answer);
        assert!(message.ends_with("(no answer within 400ms, see --timeout)"), "{message}");
    }
    let blobs = server.requests().iter().filter(|request| request.target.contains("/blobs/")).count();
    assert_eq!(blobs, 1, "{:#?}", server.requests());
}

#[test]
fn a_host_that_did_not_answer_is_not_asked_something_else() {
    let server = Server::silent();
    let written = [reference(&format!("{}/app:1", server.address)), reference(&format!("{}/tool:1", server.address))];
    let timeout = Duration::from_millis(400);
    let online = Online::new(NetworkSettings { timeout, ..plain(server.address) });
    outage(&online.resolve(&written[..1])[&written[0]]);
    let answers = online.configs(&written);
    assert_eq!(answers.values().map(outage).count(), 2);
    assert_eq!(server.connections(), 1);
}

fn pod(name: &str, image: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  containers:\n  - name: app\n    image: {image}\n{more}"
    )
}

fn unroot_toml(address: SocketAddr, prefix: &str) -> String {
    format!("[registry.\"docker.io\"]\nmirror = \"{address}{prefix}\"\nplain_http = true\n")
}

/// The whole way: a third-party image that no table knows gets the settings of *restricted*, for as many requests as that takes.
#[test]
fn a_run_asks_for_what_its_facts_need_and_no_more() {
    let Some(registry) = Registry::start() else { return };
    for repository in ["library/redis", "me/given", "me/base"] {
        registry.push_image(&format!("docker.io/{repository}"), Some("7"), OCI_MANIFEST, repository);
    }
    let (web, _) = registry.push_image_with("docker.io/me/web", Some("1"), OCI_MANIFEST, "web", &with_user("1000"));
    let both = ["arm64", "amd64"].map(|architecture| (architecture, with_user("2000:3000")));
    let (index, _) = registry.push_index_with("docker.io/me/index", "1", OCI_INDEX, &both);
    let index = sha256(index.as_bytes());

    let workspace = Workspace::with(&[
        ("unroot.toml", &unroot_toml(registry.address, "/docker.io")),
        ("web.yaml", &pod("web", "me/web:1", "")),
        ("again.yaml", &pod("again", "docker.io/me/web:1", "")),
        ("index.yaml", &pod("index", "me/index:1", "")),
        ("pinned.yaml", &pod("pinned", &format!("me/index:1@{index}"), "")),
        ("known.yaml", &pod("known", "redis:7", "")),
        ("given.yaml", &pod("given", "me/given:7", "    securityContext:\n      runAsUser: 5000\n")),
        ("app/Dockerfile", "FROM me/base:7\nCMD [\"app\"]\n"),
    ]);
    let ended = unroot(workspace.root(), &["--write"]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    let context = |user: &str| {
        format!(
            "    securityContext:\n      runAsNonRoot: true\n{user}      allowPrivilegeEscalation: false\n      capabilities:\n        \
             drop:\n        - ALL\n      seccompProfile:\n        type: RuntimeDefault\n"
        )
    };
    let expected = pod("web", &format!("me/web:1@{web}"), &context("      runAsUser: 1000\n"));
    assert_eq!(workspace.read("web.yaml"), expected);
    let group = context("      runAsUser: 2000\n      runAsGroup: 3000\n");
    assert_eq!(workspace.read("index.yaml"), pod("index", &format!("me/index:1@{index}"), &group));
    assert_eq!(workspace.read("pinned.yaml"), pod("pinned", &format!("me/index:1@{index}"), &group));

    // One HEAD per image and tag: web, index, redis, given, base; and one for the pin.
    let heads = registry.logged("\"HEAD /v2/docker.io/", 6);
    assert_eq!(heads.len(), 6, "{heads:#?}");
    let gets = registry.logged("\"GET /v2/docker.io/", 5);
    let of = |repository: &str| gets.iter().filter(|line| line.contains(repository)).count();
    assert_eq!((of("/me/web/"), of("/me/index/"), gets.len()), (2, 3, 5), "{gets:#?}");

    let ended = unroot(workspace.root(), &["--check"]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    // Each pin is looked at, and those of one image also at what their tag stands for: web, redis, given, base.
    let heads = registry.logged("\"HEAD /v2/docker.io/", 15);
    assert_eq!(heads.len(), 15, "{heads:#?}");
    assert_eq!(registry.logged("\"GET /v2/docker.io/", 5).len(), 5, "every user is written down");
}

#[test]
fn a_run_without_an_answer_leaves_the_container_and_says_why() {
    let server = image(&with_user("1000")).storing(Response::new(200, &[], &with_user("0"))).served();
    let before = pod("web", "me/app:1", "");
    let workspace = Workspace::with(&[("unroot.toml", &unroot_toml(server.address, "")), ("web.yaml", &before)]);
    let arguments = ["--write", "--skip", "pin-digest"];
    let refused = unroot(workspace.root(), &arguments);
    assert_eq!((refused.code, workspace.read("web.yaml")), (0, before.clone()), "{}", refused.stdout);
    let said = "gave no configuration at";
    assert_eq!(refused.stdout.matches(said).count(), 1, "{}", refused.stdout);
    assert!(
        refused.stdout.contains("(what it sent is not what its digest names); set runAsUser"),
        "{}",
        refused.stdout
    );

    workspace.write("unroot.toml", &unroot_toml(free_address(), ""));
    let unreachable = unroot(workspace.root(), &arguments);
    assert_eq!((unreachable.code, workspace.read("web.yaml")), (2, before.clone()), "{}", unreachable.stdout);
    let named = unreachable.stdout.lines().filter(|line| line.starts_with("not looked up: docker.io did not answer"));
    assert_eq!(named.count(), 1, "{}", unreachable.stdout);

    let offline = unroot(workspace.root(), &["--write", "--offline"]);
    assert_eq!((offline.code, workspace.read("web.yaml")), (0, before), "{}", offline.stdout);
    assert!(offline.stdout.contains("its registry was not asked (--offline); set runAsUser"), "{}", offline.stdout);
}
