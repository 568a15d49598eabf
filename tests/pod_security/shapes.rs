//! Pods of shapes that the API server would refuse: they are judged, and nothing stops.

use super::judge;
use proptest::prelude::*;
use unroot::kubernetes::pod_security::{Level, Policy, Version, evaluate};
use unroot::yaml;

#[test]
fn odd_shapes_are_judged() {
    for (pod, expected) in [
        ("spec: ~", 0),
        ("spec: []", 0),
        ("spec: text", 0),
        ("spec: {containers: x}", 4),
        ("spec: {containers: [[], 1, {}]}", 4),
        ("metadata: x\nspec: {containers: {name: a}}", 4),
        ("metadata: {annotations: [x]}\nspec: {volumes: {a: b}, containers: []}", 1),
        ("spec: {securityContext: text, containers: [{name: a, securityContext: text, ports: 1, lifecycle: [x]}]}", 4),
    ] {
        assert_eq!(judge("restricted", pod).len(), expected, "{pod}");
    }
}

/// A value of any shape where the checks read.
fn any_value() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(vec![
        "",
        "~",
        "true",
        "false",
        "'true'",
        "0",
        "-1",
        "1e3",
        ".nan",
        "0x0",
        "99999999999999999999",
        "ALL",
        "Default",
        "windows",
        "RuntimeDefault",
        "localhost/x",
        "\"a\\nb\\e[2J\"",
        "!!int x",
        "é",
    ]);
    let keys = prop::sample::select(vec![
        "name",
        "type",
        "add",
        "drop",
        "user",
        "host",
        "hostPort",
        "httpGet",
        "lifecycle",
        "preStop",
        "capabilities",
        "seccompProfile",
        "securityContext",
        "seLinuxOptions",
        "windowsOptions",
        "hostProcess",
        "procMount",
        "runAsUser",
        "runAsNonRoot",
        "hostPath",
        "nfs",
        "sysctls",
        "ports",
        "<<",
        "1",
    ]);
    scalar.prop_map(str::to_owned).prop_recursive(4, 24, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::btree_map(keys.clone(), inner, 0..3).prop_map(|entries| {
                let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_shape_of_a_pod_stops_the_evaluation(
        metadata in any_value(), context in any_value(), container in any_value(), own in any_value(), volumes in any_value(), minor in 0..40u32,
    ) {
        let pod = format!(
            "metadata: {{annotations: {metadata}}}\nspec: {{securityContext: {context}, volumes: {volumes}, initContainers: {container}, containers: [{container}, {{name: a, securityContext: {own}, livenessProbe: {own}, ports: [{own}]}}], os: {context}, hostUsers: {own}}}\n"
        );
        if let Ok(stream) = yaml::parse(pod) {
            let root = stream.document(0).unwrap().root().unwrap();
            for level in Level::ALL {
                let policy = Policy { level, version: Version::minor(minor) };
                for violation in evaluate(root.get("metadata"), root.get("spec").unwrap(), policy) {
                    prop_assert!(!violation.places.is_empty() && !violation.message.chars().any(char::is_control), "{:?}", violation);
                }
            }
        }
    }
}
