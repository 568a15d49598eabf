//! Where pod specs are found, and where something only looks like one.
#![allow(clippy::unwrap_used)]

use unroot::config::{Config, KindEntry};
use unroot::kubernetes::pod_security::{Level, Policy, Version};
use unroot::kubernetes::{Kinds, PodView, Settings, VolumeSource, Workload, services, workloads};
use unroot::yaml;

/// `kind/name container,container` of each workload.
fn found(text: &str) -> Vec<String> {
    found_as(&Kinds::default(), text)
}

fn found_as(kinds: &Kinds, text: &str) -> Vec<String> {
    let stream = yaml::parse(text).unwrap();
    let names = |workload: &Workload| {
        let names: Vec<&str> = workload.containers.iter().map(|container| container.name.as_str()).collect();
        format!("{} {}", workload.label(), names.join(","))
    };
    workloads(&stream, kinds).iter().map(names).collect()
}

/// An object with containers at `path`; below `*`, in the second of two items, of which the first is something else.
fn object(api_version: &str, kind: &str, path: &str) -> String {
    let mut text = format!("apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: one\n");
    let mut indent = String::new();
    let steps: Vec<&str> = path.split('.').collect();
    for (at, step) in steps.iter().copied().enumerate() {
        if step == "*" && steps.get(at + 1) == Some(&"*") {
            text.push_str(&format!("{indent}- []\n{indent}-\n"));
        } else if step == "*" {
            text.push_str(&format!("{indent}- other: 1\n{indent}- name: second\n"));
        } else {
            text.push_str(&format!("{indent}{step}:\n"));
        }
        indent.push_str("  ");
    }
    text.push_str(&format!("{indent}containers:\n{indent}- name: c\n{indent}  image: i\n"));
    text
}

const TEMPLATE: &str = "spec.template.spec";

#[test]
fn every_built_in_kind() {
    for (api_version, kind, path) in [
        ("v1", "Pod", "spec"),
        ("v1", "PodTemplate", "template.spec"),
        ("v1", "ReplicationController", TEMPLATE),
        ("apps/v1", "Deployment", TEMPLATE),
        ("apps/v1", "ReplicaSet", TEMPLATE),
        ("apps/v1", "DaemonSet", TEMPLATE),
        ("apps/v1", "StatefulSet", TEMPLATE),
        ("extensions/v1beta1", "Deployment", TEMPLATE),
        ("extensions/v1beta1", "DaemonSet", TEMPLATE),
        ("apps/v1beta1", "StatefulSet", TEMPLATE),
        ("apps/v1beta2", "Deployment", TEMPLATE),
        ("batch/v1", "Job", TEMPLATE),
        ("batch/v1", "CronJob", "spec.jobTemplate.spec.template.spec"),
        ("batch/v1beta1", "CronJob", "spec.jobTemplate.spec.template.spec"),
    ] {
        assert_eq!(found(&object(api_version, kind, path)), [format!("{kind}/one c")], "{api_version} {kind}");
    }
}

#[test]
fn kinds_of_operators() {
    for (api_version, kind, path, label) in [
        ("argoproj.io/v1alpha1", "Rollout", TEMPLATE, "Rollout/one"),
        ("argoproj.io/v1alpha1", "Experiment", "spec.templates.*.template.spec", "Experiment/one templates[1]"),
        ("serving.knative.dev/v1", "Service", TEMPLATE, "Service/one"),
        ("serving.knative.dev/v1", "Configuration", TEMPLATE, "Configuration/one"),
        ("serving.knative.dev/v1", "Revision", "spec", "Revision/one"),
        ("apps.openshift.io/v1", "DeploymentConfig", TEMPLATE, "DeploymentConfig/one"),
        ("v1", "DeploymentConfig", TEMPLATE, "DeploymentConfig/one"),
        (
            "jobset.x-k8s.io/v1alpha2",
            "JobSet",
            "spec.replicatedJobs.*.template.spec.template.spec",
            "JobSet/one replicatedJobs[1]",
        ),
        (
            "leaderworkerset.x-k8s.io/v1",
            "LeaderWorkerSet",
            "spec.leaderWorkerTemplate.leaderTemplate.spec",
            "LeaderWorkerSet/one leaderWorkerTemplate.leaderTemplate",
        ),
        (
            "leaderworkerset.x-k8s.io/v1",
            "LeaderWorkerSet",
            "spec.leaderWorkerTemplate.workerTemplate.spec",
            "LeaderWorkerSet/one leaderWorkerTemplate.workerTemplate",
        ),
        ("ray.io/v1", "RayCluster", "spec.headGroupSpec.template.spec", "RayCluster/one headGroupSpec"),
        (
            "ray.io/v1alpha1",
            "RayCluster",
            "spec.workerGroupSpecs.*.template.spec",
            "RayCluster/one workerGroupSpecs[1]",
        ),
        (
            "ray.io/v1",
            "RayJob",
            "spec.rayClusterSpec.workerGroupSpecs.*.template.spec",
            "RayJob/one rayClusterSpec.workerGroupSpecs[1]",
        ),
        ("ray.io/v1", "RayJob", "spec.submitterPodTemplate.spec", "RayJob/one submitterPodTemplate"),
        (
            "ray.io/v1",
            "RayService",
            "spec.rayClusterConfig.headGroupSpec.template.spec",
            "RayService/one rayClusterConfig.headGroupSpec",
        ),
        (
            "kubeflow.org/v2beta1",
            "MPIJob",
            "spec.mpiReplicaSpecs.Worker.template.spec",
            "MPIJob/one mpiReplicaSpecs.Worker",
        ),
        (
            "kubeflow.org/v1",
            "PyTorchJob",
            "spec.pytorchReplicaSpecs.Master.template.spec",
            "PyTorchJob/one pytorchReplicaSpecs.Master",
        ),
        ("kubeflow.org/v1", "TFJob", "spec.tfReplicaSpecs.PS.template.spec", "TFJob/one tfReplicaSpecs.PS"),
        ("batch.volcano.sh/v1alpha1", "Job", "spec.tasks.*.template.spec", "Job/one tasks[1]"),
        (
            "operators.coreos.com/v1alpha1",
            "ClusterServiceVersion",
            "spec.install.spec.deployments.*.spec.template.spec",
            "ClusterServiceVersion/one install.spec.deployments[1]",
        ),
        ("sources.knative.dev/v1", "ContainerSource", TEMPLATE, "ContainerSource/one"),
        ("agents.x-k8s.io/v1beta1", "Sandbox", "spec.podTemplate.spec", "Sandbox/one"),
        ("keda.sh/v1alpha1", "ScaledJob", "spec.jobTargetRef.template.spec", "ScaledJob/one"),
        ("apps.kruise.io/v1alpha1", "CloneSet", TEMPLATE, "CloneSet/one"),
        ("apps.kruise.io/v1beta1", "StatefulSet", TEMPLATE, "StatefulSet/one"),
        ("apps.kruise.io/v1alpha1", "DaemonSet", TEMPLATE, "DaemonSet/one"),
        ("agones.dev/v1", "Fleet", "spec.template.spec.template.spec", "Fleet/one"),
    ] {
        assert_eq!(found(&object(api_version, kind, path)), [format!("{label} c")], "{api_version} {kind} {path}");
    }
}

#[test]
fn every_row_of_the_table_finds_its_own_group_only() {
    for row in Kinds::default().iter() {
        let version = if row.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", row.group) };
        for path in &row.pod_specs {
            // What is assembled takes no `containers` of its own.
            let path = if row.assembled.is_some() { format!("{path}.containerSet") } else { path.clone() };
            assert_eq!(found(&object(&version, &row.kind, &path)).len(), 1, "{version} {} {path}", row.kind);
            assert_eq!(found(&object("example.com/v1", &row.kind, &path)).len(), 0, "another group's {}", row.kind);
            let patch = object(&version, &row.kind, &path).replace("image: i", "resources: {}");
            assert_eq!(found(&patch).len(), 0, "a patch of {version} {} names no image", row.kind);
        }
    }
}

#[test]
fn an_object_with_several_pod_specs_has_a_workload_for_each() {
    let cluster = "apiVersion: ray.io/v1\nkind: RayCluster\nmetadata: {name: ml}\nspec:\n  headGroupSpec:\n    template:\n      metadata: {labels: {group: head}}\n      spec:\n        containers: [{name: head, image: ray}]\n  workerGroupSpecs:\n  - groupName: small\n    template:\n      metadata: {labels: {group: small}}\n      spec:\n        initContainers: [{name: i, image: x}]\n        containers: [{name: worker, image: ray}]\n  - groupName: large\n    template:\n      spec:\n        containers: [{name: worker, image: ray}]\n";
    assert_eq!(
        found(cluster),
        [
            "RayCluster/ml headGroupSpec head",
            "RayCluster/ml workerGroupSpecs[0] i,worker",
            "RayCluster/ml workerGroupSpecs[1] worker"
        ]
    );
    let stream = yaml::parse(cluster).unwrap();
    let small = &workloads(&stream, &Kinds::default())[1];
    assert_eq!(small.labels(&stream), [("group".to_owned(), "small".to_owned())]);
    assert_eq!(small.container_label(1), "RayCluster/ml workerGroupSpecs[0] container worker");
    let job = "apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nmetadata: {name: fit}\nspec:\n  pytorchReplicaSpecs:\n    Master: {template: {spec: {containers: [{name: pytorch, image: fit}]}}}\n    Worker: {template: {spec: {containers: [{name: pytorch, image: fit}]}}}\n";
    assert_eq!(
        found(job),
        ["PyTorchJob/fit pytorchReplicaSpecs.Master pytorch", "PyTorchJob/fit pytorchReplicaSpecs.Worker pytorch"]
    );
}

#[test]
fn the_configuration_adds_kinds() {
    let app = object("example.com/v1beta1", "App", "spec.parts.*.pod");
    assert_eq!(found(&app).len(), 0);
    let entry =
        KindEntry { group: "example.com".to_owned(), kind: "App".to_owned(), pod_spec: "spec.parts.*.pod".to_owned() };
    let kinds = Kinds::new(&Config { kinds: vec![entry], ..Config::default() });
    assert_eq!(found_as(&kinds, &app), ["App/one parts[1].pod c"]);
    assert_eq!(found_as(&kinds, &object("example.org/v1", "App", "spec.parts.*.pod")).len(), 0);
    assert_eq!(found_as(&kinds, &object("apps/v1", "Deployment", TEMPLATE)).len(), 1, "those of the table stay");
}

#[test]
fn what_an_operator_does_with_the_settings_is_known() {
    let of = |text: &str| {
        let stream = yaml::parse(text).unwrap();
        let workload = workloads(&stream, &Kinds::default()).remove(0);
        (workload.settings, workload.needs_root.is_some())
    };
    assert_eq!(of(&object("apps/v1", "Deployment", TEMPLATE)), (Settings::AsWritten, false));
    assert_eq!(of(&object("serving.knative.dev/v1", "Service", TEMPLATE)), (Settings::ContainersOnly, false));
    assert_eq!(of(&object("apps.openshift.io/v1", "DeploymentConfig", TEMPLATE)), (Settings::UserAssigned, false));
    let volcano = object("batch.volcano.sh/v1alpha1", "Job", "spec.tasks.*.template.spec");
    assert_eq!(of(&volcano), (Settings::AsWritten, false));
    assert_eq!(
        of(&volcano.replace("spec:\n  tasks", "spec:\n  plugins: {ssh: []}\n  tasks")),
        (Settings::AsWritten, true)
    );
}

#[test]
fn objects_hold_objects() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: i}]}}";
    for (api_version, kind, rest, settings) in [
        ("hive.openshift.io/v1", "SelectorSyncSet", format!("resources: [{pod}]"), Settings::UserAssigned),
        (
            "work.open-cluster-management.io/v1",
            "ManifestWork",
            format!("workload: {{manifests: [{pod}]}}"),
            Settings::AsWritten,
        ),
        (
            "workload.codeflare.dev/v1beta2",
            "AppWrapper",
            format!("components: [{{template: {pod}}}]"),
            Settings::AsWritten,
        ),
    ] {
        let text = format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: h}}\nspec: {{{rest}}}\n");
        let stream = yaml::parse(text.as_str()).unwrap();
        let workloads = workloads(&stream, &Kinds::default());
        assert_eq!(workloads.len(), 1, "{kind}");
        assert_eq!((workloads[0].label(), workloads[0].settings), ("Pod/p".to_owned(), settings));
        assert_eq!(workloads[0].assigned, settings == Settings::UserAssigned);
    }
    let template = format!(
        "apiVersion: v1\nkind: Template\nparameters: [{{name: A}}]\nobjects:\n- apiVersion: hive.openshift.io/v1\n  kind: SelectorSyncSet\n  spec: {{resources: [{pod}]}}\n"
    );
    let stream = yaml::parse(template.as_str()).unwrap();
    let workload = workloads(&stream, &Kinds::default()).remove(0);
    assert_eq!(workload.parameters.first_in("x-${A}"), Some("${A}"), "what the Template says holds further in");
}

const WORKFLOW: &str = "apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: ci-}
spec:
  hostNetwork: true
  securityContext: {runAsUser: 2000}
  volumes:
  - {name: code, emptyDir: {}}
  - {name: disk, hostPath: {path: /srv}}
  templates:
  - name: all
    dag:
      tasks:
      - {name: a, template: build}
      - name: b
        inline: {container: {image: b}}
  - name: build
    securityContext: {runAsUser: 3000}
    inputs: {artifacts: [{name: src, path: /src}]}
    outputs: {parameters: [{name: v, valueFrom: {path: /out/v}}]}
    initContainers: [{name: first, image: i, mirrorVolumeMounts: true}]
    container: {image: x, volumeMounts: [{name: code, mountPath: /code}]}
    sidecars: [{name: db, image: y}]
  - name: script
    script: {image: z, command: [sh], source: 'echo {{inputs.parameters.who}}'}
  - name: set
    containerSet:
      volumeMounts: [{name: disk, mountPath: /disk}]
      containers: [{name: one, image: a}, {name: two, image: b}]
  - name: deploy
    resource: {action: apply, manifest: 'kind: Pod'}
";

#[test]
fn each_template_of_a_workflow_is_a_pod() {
    assert_eq!(
        found(WORKFLOW),
        [
            "Workflow/ci- templates[1] first,,db",
            "Workflow/ci- templates[2] ",
            "Workflow/ci- templates[3] one,two",
            "Workflow/ci- templates[0].dag.tasks[1].inline ",
        ]
    );
    let cron = WORKFLOW.replace("kind: Workflow", "kind: CronWorkflow").replace("spec:\n", "spec:\n workflowSpec:\n");
    assert_eq!(found(&cron)[0], "CronWorkflow/ci- workflowSpec.templates[1] first,,db");
    assert_eq!(found(&WORKFLOW.replace("argoproj.io", "example.com")).len(), 0);
}

#[test]
fn a_pod_of_a_workflow_has_what_is_said_for_all() {
    let stream = yaml::parse(WORKFLOW).unwrap();
    let workloads = workloads(&stream, &Kinds::default());
    let pods: Vec<PodView<'_>> = workloads.iter().map(|workload| PodView::new(workload, &stream).unwrap()).collect();
    let users: Vec<i64> = pods.iter().map(|pod| pod.security("runAsUser").unwrap().as_i64().unwrap()).collect();
    assert_eq!(users, [3000, 2000, 2000, 2000]);
    assert!(pods.iter().all(|pod| pod.is_on_host_network() && pod.settings() == Settings::ContainersOnly));
    let volumes = |pod: &PodView<'_>| pod.volumes().iter().map(|volume| volume.name()).collect::<Vec<_>>();
    assert_eq!(pods.iter().map(volumes).collect::<Vec<_>>(), [vec!["code"], vec![], vec!["disk"], vec![]]);
    let build = &workloads[0];
    assert_eq!(build.container_view(&stream, 0).unwrap().mounts()[0].path, "/code", "a mirrored mount");
    let assembly = build.assembly.as_ref().unwrap();
    assert_eq!((assembly.given.clone(), assembly.taken.clone()), (vec!["/src".into()], vec!["/out/v".into()]));
    let script = workloads[1].container_view(&stream, 0).unwrap();
    assert_eq!(script.args().unwrap(), ["-c", "echo {{inputs.parameters.who}}"]);
    assert_eq!(workloads[1].parameters.first_in(&script.args().unwrap()[1]), Some("{{inputs.parameters.who}}"));
    let set = workloads[2].container_view(&stream, 1).unwrap();
    assert_eq!(set.mounts()[0].path, "/disk", "a mount of the whole set");
}

#[test]
fn a_pod_of_a_workflow_is_judged_as_it_is_assembled() {
    let stream = yaml::parse(WORKFLOW).unwrap();
    let workloads = workloads(&stream, &Kinds::default());
    let policy = Policy { level: Level::Baseline, version: Version::LATEST };
    let checks = |workload: &Workload| -> Vec<&str> {
        workload.violations(&stream, policy).iter().map(|violation| violation.check).collect()
    };
    assert_eq!(checks(&workloads[0]), ["hostNamespaces"]);
    assert_eq!(checks(&workloads[2]), ["hostNamespaces", "hostPathVolumes"]);
    let policy = Policy { level: Level::Restricted, version: Version::LATEST };
    let violations = workloads[1].violations(&stream, policy);
    let missing = violations.iter().find(|violation| violation.check == "runAsNonRoot").unwrap();
    assert!(
        missing.message.contains("container \\\"main\\\"") || missing.message.contains("container \"main\""),
        "{}",
        missing.message
    );
    assert!(workloads[0].forbidden_settings(&stream).is_empty(), "what holds for all pods is not one's own");
}

#[test]
fn a_template_of_openshift_holds_workloads() {
    for api_version in ["v1", "template.openshift.io/v1"] {
        let template = format!(
            "apiVersion: {api_version}\nkind: Template\nmetadata: {{name: t}}\nparameters:\n- {{name: IMAGE}}\nobjects:\n- {{apiVersion: v1, kind: Service, metadata: {{name: s}}, spec: {{}}}}\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {{name: d}}\n  spec:\n    replicas: ${{{{REPLICAS}}}}\n    template:\n      spec:\n        containers:\n        - name: c\n          image: ${{IMAGE}}\n"
        );
        assert_eq!(found(&template), ["Deployment/d c"]);
        let stream = yaml::parse(template.as_str()).unwrap();
        let workload = workloads(&stream, &Kinds::default()).remove(0);
        assert_eq!((workload.settings, workload.assigned), (Settings::UserAssigned, true));
        let first = |text: &'static str| workload.parameters.first_in(text);
        assert_eq!(first("a/${IMAGE}:1"), Some("${IMAGE}"));
        assert_eq!(first("${{IMAGE}}"), Some("${{IMAGE}}"));
        assert_eq!(first("echo ${HOME} $(IMAGE)"), None, "nothing that the Template does not declare");
        assert_eq!(services(&stream)[0].name, "s");
        assert_eq!(
            found(&template.replace(&format!("{api_version}\nkind: Template"), "example.com/v1\nkind: Template")).len(),
            0
        );
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
    assert_eq!(found(&object("v1", "Service", TEMPLATE)), none, "Knative's kind in the core group");
    assert_eq!(found(&object("batch/v1", "Job", "spec.tasks.*.template.spec")), none, "Volcano's path in another Job");
    assert_eq!(found(&object("example.com/v1", "Deployment", TEMPLATE)), none, "another API's Deployment");
    let deployment = object("apps/v1", "Deployment", TEMPLATE);
    assert_eq!(found(&deployment.replace("image: i", "resources: {}")), none, "a patch names no image");
    for (at, patch) in [
        ("      containers:\n", "      $patch: replace\n      containers:\n"),
        ("      - name: c\n", "      - $patch: replace\n      - name: c\n"),
        ("spec:\n  template", "spec:\n  $patch: replace\n  template"),
    ] {
        assert_eq!(found(&deployment.replacen(at, patch, 1)), none, "a directive of a patch: {patch}");
    }
    let reference = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r}\nspec:\n  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n";
    assert_eq!(found(reference), none, "a Rollout of another object's pods");
    let values = "image: i\ncontainers:\n- name: c\n  image: i\nspec:\n  containers:\n  - {name: c, image: i}\n";
    assert_eq!(found(values), none, "values of a chart");
    for (api_version, kind, path) in [
        ("tekton.dev/v1", "Task", "spec.steps.*"),
        ("monitoring.coreos.com/v1", "Prometheus", "spec"),
        ("elasticsearch.k8s.elastic.co/v1", "Elasticsearch", "spec.nodeSets.*.podTemplate.spec"),
        ("sparkoperator.k8s.io/v1beta2", "SparkApplication", "spec.driver.template.spec"),
    ] {
        assert_eq!(found(&object(api_version, kind, path)), none, "{kind} is merged by its operator, or no pod spec");
    }
    let schema = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec:\n  template:\n    spec:\n      containers:\n      - name: c\n        image: i\n";
    assert_eq!(found(schema), none, "a schema");
    let schema = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec:\n  names: {kind: Rollout}\n  versions:\n  - schema:\n      openAPIV3Schema:\n        properties:\n          spec:\n            properties:\n              template:\n                properties:\n                  spec:\n                    properties:\n                      containers:\n                        type: array\n                        items: {properties: {image: {type: string}}}\n";
    assert_eq!(found(schema), none, "the schema of a kind that holds pod specs");
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  pod.yaml: |\n    apiVersion: v1\n    kind: Pod\n    spec:\n      containers:\n      - name: c\n        image: i\n";
    assert_eq!(found(text), none, "a pod in a string");
    assert_eq!(found("services:\n  web:\n    image: i\n"), none, "a compose file");
}

#[test]
fn every_document_of_a_stream() {
    let pod = object("v1", "Pod", "spec");
    assert_eq!(
        found(&format!("# licence\n---\n{pod}---\n{}---\n# end\n", pod.replace("name: one", "name: two"))),
        ["Pod/one c", "Pod/two c"]
    );
}

#[test]
fn views_read_through_aliases_and_know_windows() {
    let text = "apiVersion: v1\nkind: Pod\nspec:\n  nodeSelector: {kubernetes.io/os: windows}\n  securityContext: &s {runAsNonRoot: yes}\n  volumes:\n  - name: a\n    hostPath: {path: /x}\n  - name: b\n    emptyDir: {}\n  - name: c\n    secret: {secretName: s, defaultMode: 0400}\n  containers:\n  - name: c\n    image: i\n    securityContext: *s\n    livenessProbe: {exec: {command: [sh, -c, x]}}\n";
    let stream = yaml::parse(text).unwrap();
    let workload = &workloads(&stream, &Kinds::default())[0];
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
