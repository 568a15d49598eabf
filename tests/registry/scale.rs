//! Many questions: how few requests and connections they take, and that another client gives the same answers.

use super::support::nginx::Nginx;
use super::support::program::unroot;
use super::*;
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const MANY: usize = 1000;

/// Answers after a while, and counts how many wait at once.
fn slow(pause: Duration) -> (Server, Arc<AtomicUsize>) {
    let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let server = registry_that_answers(move |_| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(pause);
        now.fetch_sub(1, Ordering::SeqCst);
        digest_header(DIGEST)
    });
    (server, most)
}

/// Most memory that the process ever had, in KiB.
#[cfg(target_os = "linux")]
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_references_take_few_connections_and_little_memory() {
    for of_one_repository in [true, false] {
        let (server, most) = slow(Duration::from_millis(20));
        let name = |n: usize| match of_one_repository {
            true => format!("{}/app:{n}", server.address),
            false => format!("{}/app{n}:1", server.address),
        };
        let written: Vec<String> = (0..MANY).map(name).collect();
        let before = memory();
        let answers = resolve(plain(server.address), &written);
        let grown = memory().saturating_sub(before);
        println!("{MANY} references, one repository: {of_one_repository}: {grown} KiB");
        assert!(answers.len() == MANY && answers.values().all(Result::is_ok));
        assert_eq!(server.requests().iter().filter(|request| request.method == "HEAD").count(), MANY);
        assert_eq!(server.requests().len(), MANY + 1, "and one look at the door");
        let at_once = most.load(Ordering::SeqCst);
        assert!((2..=8).contains(&at_once), "{at_once} at once");
        assert!(grown < 64 << 10, "{grown} KiB");
    }
}

#[test]
fn a_dead_registry_costs_one_timeout_however_much_is_asked_of_it() {
    let server = Server::silent();
    let written: Vec<String> = (0..MANY).map(|n| format!("{}/app{n}:1", server.address)).collect();
    let network = NetworkSettings { timeout: Duration::from_millis(500), ..plain(server.address) };
    let started = Instant::now();
    let answers = resolve(network, &written);
    // One for each would be 500 s.
    assert!(started.elapsed() < Duration::from_secs(100), "{:?}", started.elapsed());
    assert!(answers.len() == MANY && answers.values().all(Result::is_err));
    assert_eq!(server.connections(), 1);
}

#[test]
fn connections_are_used_again() {
    let nginx = Nginx::start(
        "log_format connections '$connection $request_method';",
        "",
        &format!(
            "access_log access.log connections;\nlocation = /v2/ {{ return 200; }}\nlocation / {{\ndefault_type {OCI_INDEX};\n\
             add_header Docker-Content-Digest {DIGEST};\nreturn 200;\n}}"
        ),
    );
    let Some(nginx) = nginx else { return };
    let written: Vec<String> = (0..200).map(|n| format!("{}/app{n}:1", nginx.address)).collect();
    let answers = resolve(plain(nginx.address), &written);
    assert!(answers.values().all(Result::is_ok), "{answers:?}");
    let heads = nginx.logged(" HEAD", 200);
    let connections: BTreeSet<&str> = heads.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(heads.len(), 200);
    assert!(connections.len() <= 9, "{connections:?}");
}

#[test]
fn a_cold_run_sends_one_head_for_each_distinct_reference() {
    let Some(registry) = Registry::start() else { return };
    let workspace = Workspace::new();
    let toml = format!("[registry.\"docker.io\"]\nmirror = \"{}\"\nplain_http = true\n", registry.address);
    workspace.write("unroot.toml", &toml);
    let pod = |name: &str, image: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  containers:\n  - name: app\n    image: {image}\n"
        )
    };
    for n in 0..60 {
        registry.push_image("me/app", Some(&format!("{n}")), OCI_MANIFEST, &format!("{n}"));
        for (spelling, image) in [("short", "me/app"), ("long", "docker.io/me/app"), ("old", "index.docker.io/me/app")]
        {
            workspace.write(&format!("{spelling}-{n}.yaml"), &pod(&format!("{spelling}-{n}"), &format!("{image}:{n}")));
        }
    }
    let ended = unroot(workspace.root(), &["--write", "--only", "pin-digest"]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert!((0..60).all(|n| workspace.read(&format!("old-{n}.yaml")).contains("@sha256:")));
    let heads = registry.logged("\"HEAD /v2/", 60);
    assert_eq!(heads.len(), 60, "{heads:#?}");
    assert!(registry.logged("\"GET /v2/me/app/manifests", 0).is_empty());
}

/// skopeo reads the bytes of a manifest; what they hash to is the digest that everybody must agree on.
#[test]
fn an_independent_client_agrees_on_every_digest() {
    let Some(registry) = Registry::start() else { return };
    let host = registry.address;
    registry.push_index("multi/oci", "1", OCI_INDEX);
    registry.push_index("multi/docker", "1", DOCKER_LIST);
    registry.push_image("single/oci", Some("1"), OCI_MANIFEST, "riscv64");
    registry.push_image("single/docker", Some("1"), DOCKER_MANIFEST, "riscv64");
    let written =
        ["multi/oci:1", "multi/docker:1", "single/oci:1", "single/docker:1"].map(|name| format!("{host}/{name}"));
    let answers = resolve(plain(host), &written);
    for written in &written {
        let inspected = Command::new("skopeo")
            .args(["inspect", "--raw", "--tls-verify=false", "--no-creds", &format!("docker://{written}")])
            .output();
        let output = match inspected {
            Ok(output) => output,
            Err(_) => {
                println!("not run: skopeo is not installed");
                assert!(std::env::var_os("CI").is_none(), "skopeo is not installed");
                return;
            }
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let ours = answers[&reference(written)].as_ref().unwrap();
        assert_eq!(ours.digest.as_str(), sha256(&output.stdout), "{written}");
    }
}
