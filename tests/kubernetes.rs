//! Where pod specs are found, and where something only looks like one.
#![allow(clippy::unwrap_used)]

use unroot::kubernetes::{PodView, VolumeSource, workloads};
use unroot::yaml;

/// `kind/name container,container` of each workload.
fn found(text: &str) -> Vec<String> {
    let stream = yaml::parse(text).unwrap();
    let names = |workload: &unroot::kubernetes::Workload| {
        let names: Vec<&str> = workload.containers.iter().map(|container| container.name.as_str()).collect();
        format!("{} {}", workload.label(), names.join(","))
    };
    workloads(&stream).iter().map(names).collect()
}

fn object(api_version: &str, kind: &str, path: &[&str]) -> String {
    let mut text = format!("apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: one\n");
    for (depth, key) in path.iter().enumerate() {
        text.push_str(&format!("{}{key}:\n", "  ".repeat(depth)));
    }
    let indent = "  ".repeat(path.len());
    text.push_str(&format!("{indent}containers:\n{indent}- name: c\n{indent}  image: i\n"));
    text
}

#[test]
fn every_built_in_kind() {
    let template: &[&str] = &["spec", "template", "spec"];
    for (api_version, kind, path) in [
        ("v1", "Pod", &["spec"][..]),
        ("v1", "PodTemplate", &["template", "spec"]),
        ("v1", "ReplicationController", template),
        ("apps/v1", "Deployment", template),
        ("apps/v1", "ReplicaSet", template),
        ("apps/v1", "DaemonSet", template),
        ("apps/v1", "StatefulSet", template),
        ("extensions/v1beta1", "Deployment", template),
        ("apps/v1beta2", "Deployment", template),
        ("batch/v1", "Job", template),
        ("batch/v1", "CronJob", &["spec", "jobTemplate", "spec", "template", "spec"]),
    ] {
        assert_eq!(found(&object(api_version, kind, path)), [format!("{kind}/one c")], "{api_version} {kind}");
    }
}

#[test]
fn lists_hold_workloads() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: s}\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: p}\n  spec:\n    initContainers:\n    - {name: i, image: x}\n    containers:\n    - {name: c, image: x}\n";
    assert_eq!(found(list), ["Pod/p i,c"]);
    let json = r#"{"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}]}"#;
    assert_eq!(found(json), ["Pod/p c"]);
}

#[test]
fn look_alikes_are_not_workloads() {
    let none: [String; 0] = [];
    assert_eq!(
        found(&object("serving.knative.dev/v1", "Service", &["spec", "template", "spec"])),
        none,
        "another API's kind"
    );
    assert_eq!(
        found(&object("example.com/v1", "Deployment", &["spec", "template", "spec"])),
        none,
        "another API's Deployment"
    );
    assert_eq!(
        found(&object("apps/v1", "Deployment", &["spec", "template", "spec"]).replace("image: i", "resources: {}")),
        none,
        "a patch names no image"
    );
    let schema = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec:\n  template:\n    spec:\n      containers:\n      - name: c\n        image: i\n";
    assert_eq!(found(schema), none, "a schema");
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  pod.yaml: |\n    apiVersion: v1\n    kind: Pod\n    spec:\n      containers:\n      - name: c\n        image: i\n";
    assert_eq!(found(text), none, "a pod in a string");
    assert_eq!(found("services:\n  web:\n    image: i\n"), none, "a compose file");
}

#[test]
fn every_document_of_a_stream() {
    let pod = object("v1", "Pod", &["spec"]);
    assert_eq!(
        found(&format!("# licence\n---\n{pod}---\n{}---\n# end\n", pod.replace("name: one", "name: two"))),
        ["Pod/one c", "Pod/two c"]
    );
}

#[test]
fn views_read_through_aliases_and_know_windows() {
    let text = "apiVersion: v1\nkind: Pod\nspec:\n  nodeSelector: {kubernetes.io/os: windows}\n  securityContext: &s {runAsNonRoot: yes}\n  volumes:\n  - name: a\n    hostPath: {path: /x}\n  - name: b\n    emptyDir: {}\n  - name: c\n    secret: {secretName: s, defaultMode: 0400}\n  containers:\n  - name: c\n    image: i\n    securityContext: *s\n    livenessProbe: {exec: {command: [sh, -c, x]}}\n";
    let stream = yaml::parse(text).unwrap();
    let workload = &workloads(&stream)[0];
    let pod = PodView::new(workload, &stream).unwrap();
    assert!(pod.is_windows());
    assert_eq!(pod.security("runAsNonRoot").unwrap().as_bool(), Some(true), "yes is a boolean for kubectl");
    let sources: Vec<VolumeSource> = pod.volumes().iter().map(|volume| volume.source).collect();
    assert_eq!(sources, [VolumeSource::HostPath, VolumeSource::EmptyDir, VolumeSource::Projection]);
    assert_eq!(pod.volumes()[2].default_mode(), Some(0o400), "0400 is octal for kubectl");
    let container = workload.container_view(&stream, 0).unwrap();
    assert_eq!(container.security("runAsNonRoot").unwrap().as_bool(), Some(true));
    assert_eq!(container.exec_commands(), [["sh", "-c", "x"]]);
}
