//! The part of the Kubernetes API that a proof runs, read from objects. Defaults are the API server's.
#![allow(missing_docs, reason = "fields are those of the Kubernetes API, which documents them")]

use super::{Failure, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// ConfigMaps and Secrets by kind and name: key and decoded content.
pub type Data = BTreeMap<(String, String), BTreeMap<String, Vec<u8>>>;

/// Everything that the manifests of one cluster declare.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// What runs, in the order of the files.
    pub workloads: Vec<Workload>,
    /// The names under which workloads are reached.
    pub services: Vec<Service>,
    /// ConfigMaps and Secrets.
    pub data: Data,
}

/// One workload, with the pod that it makes. Replicas are not run: one pod stands for all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Workload {
    /// Deployment, StatefulSet, Job...
    pub kind: String,
    /// metadata.name
    pub name: String,
    /// The pod template's labels.
    pub labels: BTreeMap<String, String>,
    /// The pod template's spec.
    pub pod: PodSpec,
    /// The names of a StatefulSet's volumeClaimTemplates.
    pub claim_templates: Vec<String>,
}

impl Service {
    /// The names by which other pods reach it, shortest first. Where its manifest names no namespace, it is `default`.
    pub fn names(&self) -> [String; 4] {
        let namespace = if self.namespace.is_empty() { "default" } else { &self.namespace };
        let Self { name, .. } = self;
        let within = format!("{name}.{namespace}");
        [name.clone(), within.clone(), format!("{within}.svc"), format!("{within}.svc.cluster.local")]
    }
}

impl Workload {
    /// Every container of its pod, those that come first first.
    pub fn all_containers(&mut self) -> impl Iterator<Item = &mut Container> {
        self.pod.init_containers.iter_mut().chain(&mut self.pod.containers)
    }

    /// The names of the volumes that outlive its pod.
    pub fn disks(&self) -> impl Iterator<Item = &str> {
        let lasts = |volume: &&Volume| volume.persistent_volume_claim.is_some() || volume.host_path.is_some();
        let volumes = self.pod.volumes.iter().filter(lasts).map(|volume| &volume.name);
        volumes.chain(&self.claim_templates).map(String::as_str)
    }

    /// Whether its pod is meant to end.
    pub fn ends(&self) -> bool {
        matches!(self.kind.as_str(), "Job" | "CronJob")
    }
}

/// A Service: a name and ports in front of the pods that its selector finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    /// metadata.namespace; empty where none is written.
    pub namespace: String,
    pub selector: BTreeMap<String, String>,
    pub ports: Vec<ServicePort>,
    /// clusterIP: None; the name stands for the pod itself.
    pub headless: bool,
}

#[derive(Deserialize, Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    #[serde(default)]
    pub name: String,
    pub port: u16,
    pub target_port: Option<Port>,
}

/// A port by number, or by the name that a container gives it.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(untagged)]
pub enum Port {
    Number(u16),
    Name(String),
}

#[derive(Deserialize, Serialize, Default, Clone, Debug)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    pub containers: Vec<Container>,
    pub init_containers: Vec<Container>,
    pub volumes: Vec<Volume>,
    pub security_context: PodSecurityContext,
    pub automount_service_account_token: Option<bool>,
    pub enable_service_links: Option<bool>,
    pub host_network: bool,
    #[serde(rename = "hostPID")]
    pub host_pid: bool,
    #[serde(rename = "hostIPC")]
    pub host_ipc: bool,
    pub restart_policy: Option<String>,
}

#[derive(Deserialize, Serialize, Default, Clone, Debug)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSecurityContext {
    pub run_as_user: Option<u32>,
    pub run_as_group: Option<u32>,
    pub run_as_non_root: Option<bool>,
    pub seccomp_profile: Option<SeccompProfile>,
    pub fs_group: Option<u32>,
    pub fs_group_change_policy: Option<String>,
    pub supplemental_groups: Vec<u32>,
    pub sysctls: Vec<NameValue>,
}

#[derive(Deserialize, Serialize, Default, Clone, Debug)]
#[serde(rename_all = "camelCase", default)]
pub struct SecurityContext {
    pub run_as_user: Option<u32>,
    pub run_as_group: Option<u32>,
    pub run_as_non_root: Option<bool>,
    pub seccomp_profile: Option<SeccompProfile>,
    pub allow_privilege_escalation: Option<bool>,
    pub read_only_root_filesystem: bool,
    pub privileged: bool,
    pub capabilities: Capabilities,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
pub struct SeccompProfile {
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Deserialize, Serialize, Default, Clone, Debug)]
#[serde(default)]
pub struct Capabilities {
    pub add: Vec<String>,
    pub drop: Vec<String>,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
pub struct NameValue {
    pub name: String,
    pub value: String,
}

#[derive(Deserialize, Serialize, Default, Clone, Debug)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    pub name: String,
    pub image: String,
    /// What runs in the place of `image`: the node's name for what was built from a Dockerfile of the tree.
    #[serde(skip)]
    pub built: Option<String>,
    pub command: Option<Vec<String>>,
    pub args: Option<Vec<String>>,
    pub working_dir: Option<String>,
    pub env: Vec<EnvVar>,
    pub env_from: Vec<EnvFrom>,
    pub ports: Vec<ContainerPort>,
    pub volume_mounts: Vec<VolumeMount>,
    pub security_context: SecurityContext,
    pub readiness_probe: Option<ContainerProbe>,
    pub liveness_probe: Option<ContainerProbe>,
    pub startup_probe: Option<ContainerProbe>,
    pub lifecycle: Lifecycle,
    pub restart_policy: Option<String>,
}

#[derive(Deserialize, Serialize, Default, Clone, Debug)]
#[serde(rename_all = "camelCase", default)]
pub struct Lifecycle {
    pub post_start: Option<Hook>,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
pub struct Hook {
    pub exec: Option<Exec>,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPort {
    #[serde(default)]
    pub name: String,
    pub container_port: u16,
    #[serde(default)]
    pub protocol: String,
}

impl ContainerPort {
    /// Whether connections can be made to it, which is so where nothing else is said.
    pub fn is_tcp(&self) -> bool {
        self.protocol.is_empty() || self.protocol == "TCP"
    }
}

#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct ContainerProbe {
    pub http_get: Option<HttpGet>,
    pub tcp_socket: Option<TcpSocket>,
    pub grpc: Option<Grpc>,
    pub exec: Option<Exec>,
    pub initial_delay_seconds: Option<u64>,
    pub period_seconds: Option<u64>,
    pub failure_threshold: Option<u64>,
}

impl ContainerProbe {
    /// The port that it asks; a command asks none.
    pub fn port(&self) -> Option<Port> {
        let http = self.http_get.as_ref().map(|get| get.port.clone());
        let tcp = || self.tcp_socket.as_ref().map(|tcp| tcp.port.clone());
        http.or_else(tcp).or_else(|| self.grpc.as_ref().map(|grpc| Port::Number(grpc.port)))
    }

    /// How long a kubelet lets it fail, with its defaults, and no less than those come to: half a minute.
    pub fn allowance(&self) -> Duration {
        let failures = self.failure_threshold.unwrap_or(3).saturating_mul(self.period_seconds.unwrap_or(10));
        Duration::from_secs(self.initial_delay_seconds.unwrap_or(0).saturating_add(failures).clamp(30, 3600))
    }
}

#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct HttpGet {
    #[serde(default)]
    pub path: String,
    pub port: Port,
    #[serde(default)]
    pub scheme: String,
    #[serde(default)]
    pub http_headers: Vec<NameValue>,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
pub struct Grpc {
    pub port: u16,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
pub struct TcpSocket {
    pub port: Port,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
pub struct Exec {
    pub command: Vec<String>,
}

impl Exec {
    /// The program, and `-c` or a word behind it. What follows may be a password.
    pub(super) fn in_short(&self) -> String {
        let known = self.command.iter().take_while(|word| !word.starts_with('-') || *word == "-c").take(2);
        known.filter(|word| !word.contains('=')).map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct EnvVar {
    pub name: String,
    #[serde(default)]
    pub value: String,
    pub value_from: Option<EnvSource>,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct EnvSource {
    pub config_map_key_ref: Option<KeyRef>,
    pub secret_key_ref: Option<KeyRef>,
    pub field_ref: Option<FieldRef>,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
pub struct KeyRef {
    pub name: String,
    pub key: String,
    #[serde(default)]
    pub optional: bool,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct FieldRef {
    pub field_path: String,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct EnvFrom {
    #[serde(default)]
    pub prefix: String,
    pub config_map_ref: Option<MapRef>,
    pub secret_ref: Option<MapRef>,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
pub struct MapRef {
    pub name: String,
    #[serde(default)]
    pub optional: bool,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMount {
    pub name: String,
    pub mount_path: String,
    #[serde(default)]
    pub sub_path: String,
    #[serde(default)]
    pub read_only: bool,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    pub name: String,
    pub empty_dir: Option<EmptyDir>,
    pub persistent_volume_claim: Option<Claim>,
    pub config_map: Option<MapVolume>,
    pub secret: Option<MapVolume>,
    pub host_path: Option<HostPath>,
}

impl Volume {
    /// Whether it is of a kind that a proof makes.
    pub fn is_made_here(&self) -> bool {
        let maps = self.config_map.is_some() || self.secret.is_some();
        maps || self.empty_dir.is_some() || self.persistent_volume_claim.is_some() || self.host_path.is_some()
    }

    /// Whether nothing can be written to it, whatever the mount says: ConfigMaps and Secrets.
    pub fn is_read_only(&self) -> bool {
        self.config_map.is_some() || self.secret.is_some()
    }
}

#[derive(Deserialize, Serialize, Default, Clone, Debug)]
#[serde(rename_all = "camelCase", default)]
pub struct EmptyDir {
    pub medium: String,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    pub claim_name: String,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
pub struct HostPath {
    pub path: String,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct MapVolume {
    #[serde(alias = "secretName")]
    pub name: String,
    #[serde(default)]
    pub items: Vec<KeyToPath>,
    pub default_mode: Option<u32>,
    #[serde(default)]
    pub optional: bool,
}

#[derive(Deserialize, Serialize, Clone, Debug)]
pub struct KeyToPath {
    pub key: String,
    pub path: String,
}

/// The pod template of a document, if it is a workload: the object that has `metadata` and `spec`.
pub fn pod_template(document: &mut Value) -> Option<&mut Value> {
    match document.get("kind")?.as_str()? {
        "Pod" => Some(document),
        "CronJob" => document.pointer_mut("/spec/jobTemplate/spec/template"),
        // Rollouts and others that have their pods where a Deployment has them.
        _ => {
            document.pointer("/spec/template/spec/containers")?.as_array()?;
            document.pointer_mut("/spec/template")
        }
    }
}

impl Objects {
    /// Reads the documents, in order; kinds that say nothing about how containers run are passed over.
    pub fn read(documents: &[Value]) -> Result<Self> {
        let mut objects = Self { workloads: Vec::new(), services: Vec::new(), data: BTreeMap::new() };
        for document in documents {
            let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (kind, name) = (text("/kind"), text("/metadata/name"));
            match kind.as_str() {
                "Service" => objects.services.push(Service {
                    name,
                    namespace: text("/metadata/namespace"),
                    selector: read(document.pointer("/spec/selector"))?,
                    ports: read(document.pointer("/spec/ports"))?,
                    headless: text("/spec/clusterIP") == "None",
                }),
                "ConfigMap" | "Secret" => {
                    let content = content(document, kind == "Secret")?;
                    objects.data.insert((kind, name), content);
                }
                _ => {
                    let mut document = document.clone();
                    let claims: Vec<Value> = read(document.pointer("/spec/volumeClaimTemplates"))?;
                    let Some(template) = pod_template(&mut document) else { continue };
                    let claim = |value: &Value| value.pointer("/metadata/name")?.as_str().map(str::to_owned);
                    objects.workloads.push(Workload {
                        labels: read(template.pointer("/metadata/labels"))?,
                        pod: read(template.get("spec"))
                            .map_err(|error| Failure::new(format!("{kind} {name}: {error}")))?,
                        claim_templates: claims.iter().filter_map(claim).collect(),
                        kind,
                        name,
                    });
                }
            }
        }
        Ok(objects)
    }
}

fn read<T: for<'a> Deserialize<'a> + Default>(value: Option<&Value>) -> Result<T> {
    Ok(value.map(T::deserialize).transpose()?.unwrap_or_default())
}

fn content(document: &Value, secret: bool) -> Result<BTreeMap<String, Vec<u8>>> {
    let plain: BTreeMap<String, String> = read(document.get(if secret { "stringData" } else { "data" }))?;
    let mut content: BTreeMap<String, Vec<u8>> =
        plain.into_iter().map(|(key, value)| (key, value.into_bytes())).collect();
    if secret {
        let encoded: BTreeMap<String, String> = read(document.get("data"))?;
        for (key, value) in encoded {
            let decoded = base64(&value).ok_or_else(|| Failure::new(format!("key {key} of a Secret is not base64")))?;
            content.entry(key).or_insert(decoded);
        }
    }
    Ok(content)
}

/// Takes out every null: for the API it is as good as absent.
pub fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

/// Standard base64 with padding, RFC 4648 section 4; line breaks are allowed, as they are in a Secret.
fn base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut decoded = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let value = ALPHABET.iter().position(|letter| *letter == byte)?;
        bits = (bits << 6) | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(decoded)
}
