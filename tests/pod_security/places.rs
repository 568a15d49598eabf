//! Where violations are, and which metadata belongs to a pod.

use super::judge;
use unroot::kubernetes::{Kinds, workloads};
use unroot::yaml;

#[test]
fn places_are_where_a_reader_should_look() {
    let text = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {container.apparmor.security.beta.kubernetes.io/app: unconfined}
spec:
  template:
    metadata:
      annotations: {container.apparmor.security.beta.kubernetes.io/side: unconfined}
    spec:
      hostPID: true
      containers:
      - name: app
        image: i
        securityContext:
          privileged: true
          capabilities: {drop: [NET_RAW]}
      - name: side
        image: i
";
    let stream = yaml::parse(text).unwrap();
    let workload = &workloads(&stream, &Kinds::default())[0];
    let places: Vec<String> = workload
        .violations(&stream, "restricted".parse().unwrap())
        .iter()
        .flat_map(|violation| violation.places.iter().map(move |place| (violation.check, place)))
        .map(|(check, place)| {
            let route = place.route.to_string().replace("spec.template.", "");
            let line = place.span.of(text).lines().next().unwrap_or_default();
            format!("{check}: {} = {line}", route.replace("container.apparmor.security.beta.kubernetes.io/", "…/"))
        })
        .collect();
    assert_eq!(
        places,
        [
            "appArmorProfile: metadata.annotations.…/side = unconfined",
            "hostNamespaces: spec.hostPID = true",
            "privileged: spec.containers[0].securityContext.privileged = true",
            "allowPrivilegeEscalation: spec.containers[0].securityContext = privileged: true",
            "allowPrivilegeEscalation: spec.containers[1] = name: side",
            "capabilities_restricted: spec.containers[0].securityContext.capabilities.drop = [NET_RAW]",
            "capabilities_restricted: spec.containers[1] = name: side",
            "runAsNonRoot: spec.containers[0].securityContext = privileged: true",
            "runAsNonRoot: spec.containers[1] = name: side",
            "seccompProfile_restricted: spec.containers[0].securityContext = privileged: true",
            "seccompProfile_restricted: spec.containers[1] = name: side",
        ]
    );
}

#[test]
fn a_bare_pod_has_its_own_annotations() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {annotations: {container.apparmor.security.beta.kubernetes.io/a: unconfined}}\nspec: {containers: [{name: a, image: i}]}\n";
    let stream = yaml::parse(text).unwrap();
    let found = workloads(&stream, &Kinds::default())[0].violations(&stream, "baseline".parse().unwrap());
    assert_eq!(found.iter().map(|violation| violation.check).collect::<Vec<_>>(), ["appArmorProfile"]);
}

#[test]
fn aliases_and_merges_are_followed() {
    let pod = "\
common: &context {allowPrivilegeEscalation: false, runAsNonRoot: true, privileged: true}
more: &more {capabilities: {drop: [&all ALL]}, seccompProfile: {type: Localhost}}
spec:
  containers:
  - {name: a, securityContext: {<<: [*context, *more], privileged: false}}
  - {name: b, securityContext: {<<: [*context, *more]}}
  - name: c
    securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, seccompProfile: {type: Localhost}, capabilities: {drop: [*all]}}
";
    let found = judge("restricted", pod);
    let found: Vec<&str> = found.iter().map(|violation| violation.message.as_str()).collect();
    assert_eq!(found, ["privileged (container \"b\" must not set securityContext.privileged=true)"]);
}
