//! Pins over time: written, outdated, of one platform alone, replaced on request; and what each of it asks of a registry.

use super::support::program::unroot;
use super::*;

const PIN: [&str; 2] = ["--only", "pin-digest"];

/// An index of two images whose bytes differ by `content`: its digest, and that of the image for amd64.
fn push(registry: &Registry, repository: &str, tag: &str, content: &str) -> (String, String) {
    let config =
        |architecture: &str| format!(r#"{{"architecture":"{architecture}","os":"linux","author":"{content}"}}"#);
    let images = ["amd64", "arm64"].map(|architecture| (architecture, config(architecture)));
    let (index, children) = registry.push_index_with(&format!("docker.io/{repository}"), tag, OCI_INDEX, &images);
    (sha256(index.as_bytes()), children[0].clone())
}

fn unroot_toml(registry: &Registry) -> String {
    format!("[registry.\"docker.io\"]\nmirror = \"{}/docker.io\"\nplain_http = true\n", registry.address)
}

fn run(workspace: &Workspace, more: &[&str]) -> support::program::Ended {
    let ended = unroot(workspace.root(), &[&PIN[..], more].concat());
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    ended
}

#[test]
fn every_place_is_pinned_by_one_request_per_image() {
    let Some(registry) = Registry::start() else { return };
    let (base, _) = push(&registry, "library/node", "22", "base");
    let (tools, _) = push(&registry, "me/tools", "1", "tools");
    let (frontend, _) = push(&registry, "docker/dockerfile", "1", "frontend");
    let dockerfile = |[frontend, base, tools]: [&str; 3]| {
        format!(
            "# syntax=docker/dockerfile:1{frontend}\nARG IMAGE=node:22{base}\nFROM ${{IMAGE}} AS build\n\
             COPY --from=me/tools:1{tools} /a /a\nFROM node:22{base}\n\
             RUN --mount=from=me/tools:1{tools},target=/t --mount=from=build,target=/b true\n"
        )
    };
    let kustomization =
        |tools: &str| format!("images:\n- name: tools\n  newName: docker.io/me/tools\n  newTag: \"1{tools}\"\n");
    let workspace = Workspace::with(&[
        ("unroot.toml", &unroot_toml(&registry)),
        ("Dockerfile", &dockerfile([""; 3])),
        ("k8s/kustomization.yaml", &kustomization("")),
    ]);
    run(&workspace, &["--write"]);
    let [base, tools, frontend] = [base, tools, frontend].map(|digest| format!("@{digest}"));
    assert_eq!(workspace.read("Dockerfile"), dockerfile([&frontend, &base, &tools]));
    assert_eq!(workspace.read("k8s/kustomization.yaml"), kustomization(&tools));
    let heads = registry.logged("\"HEAD /v2/docker.io/", 3);
    assert_eq!(heads.len(), 3, "{heads:#?}");
}

#[test]
fn pins_are_replaced_on_request_alone() {
    let Some(registry) = Registry::start() else { return };
    let (first, of_amd64) = push(&registry, "me/app", "1", "first");
    let dockerfile = |app: &str, other: &str| format!("FROM me/app:1@{app} AS a\nFROM me/app:1@{other}\n");
    let workspace =
        Workspace::with(&[("unroot.toml", &unroot_toml(&registry)), ("Dockerfile", &dockerfile(&first, &of_amd64))]);
    let (second, _) = push(&registry, "me/app", "1", "second");
    assert_ne!(first, second);

    let ended = run(&workspace, &["--check"]);
    let told: Vec<&str> = ended.stdout.lines().filter(|line| line.contains("[platform-digest]")).collect();
    assert_eq!(told.len(), 1, "{}", ended.stdout);
    assert!(told[0].contains(&of_amd64) && told[0].contains(&second), "{}", told[0]);

    run(&workspace, &["--write", "--update"]);
    assert_eq!(workspace.read("Dockerfile"), dockerfile(&second, &second));
    let ended = run(&workspace, &["--check", "--update"]);
    assert!(!ended.stdout.contains("[platform-digest]"), "{}", ended.stdout);
}

#[test]
fn a_platform_is_pinned_by_choice() {
    let Some(registry) = Registry::start() else { return };
    let (index, of_amd64) = push(&registry, "me/app", "1", "app");
    push(&registry, "docker/dockerfile", "1", "frontend");
    let dockerfile = |app: &str| format!("# syntax=docker/dockerfile:1\nFROM me/app:1{app}\n");
    let workspace = Workspace::with(&[
        ("unroot.toml", &unroot_toml(&registry)),
        ("Dockerfile", &dockerfile("")),
        ("other/Dockerfile", &dockerfile(&format!("@{index}"))),
    ]);
    let ended = run(&workspace, &["--write", "--platform", "linux/amd64"]);
    assert!(ended.stdout.contains("[other-platform]"), "{}", ended.stdout);
    assert_eq!(workspace.read("Dockerfile"), dockerfile(&format!("@{of_amd64}")));
    assert_eq!(workspace.read("other/Dockerfile"), dockerfile(&format!("@{index}")), "what is pinned stays");
    run(&workspace, &["--write", "--platform", "linux/amd64", "--update"]);
    assert_eq!(workspace.read("other/Dockerfile"), dockerfile(&format!("@{of_amd64}")));
    let ended = unroot(workspace.root(), &["--check", "--platform", "linux/riscv64", "--update"]);
    assert_eq!(ended.code, 2, "{}", ended.stdout);
    assert!(ended.stdout.contains("no image for linux/riscv64"), "{}", ended.stdout);
}
