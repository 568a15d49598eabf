//! The part of the Kubernetes API that the lab runs, read from manifests. Defaults are the API server's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::build;
use crate::lab::Result;

/// Everything that one tree's manifests declare.
pub(crate) struct Manifests {
    /// What runs, in the order of the files.
    pub(crate) workloads: Vec<Workload>,
    /// The names under which workloads are reached.
    pub(crate) services: Vec<Service>,
    /// ConfigMaps and Secrets by kind and name: key and decoded content.
    pub(crate) data: BTreeMap<(String, String), BTreeMap<String, Vec<u8>>>,
}

/// One workload, with the pod that it makes. Replicas are not run: one pod stands for all.
pub(crate) struct Workload {
    /// Deployment, StatefulSet, Job...
    pub(crate) kind: String,
    /// metadata.name
    pub(crate) name: String,
    /// The pod template's labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// The pod template's spec.
    pub(crate) pod: PodSpec,
    /// The names of a StatefulSet's volumeClaimTemplates.
    pub(crate) claim_templates: Vec<String>,
}

impl Workload {
    /// Whether its pod is meant to end.
    pub(crate) fn ends(&self) -> bool {
        matches!(self.kind.as_str(), "Job" | "CronJob")
    }
}

/// A Service: a name and ports in front of the pods that its selector finds.
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) selector: BTreeMap<String, String>,
    pub(crate) ports: Vec<ServicePort>,
    /// clusterIP: None; the name stands for the pod itself.
    pub(crate) headless: bool,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServicePort {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) target_port: Option<Port>,
}

/// A port by number, or by the name that a container gives it.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
pub(crate) enum Port {
    Number(u16),
    Name(String),
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodSpec {
    pub(crate) containers: Vec<Container>,
    pub(crate) init_containers: Vec<Container>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) security_context: PodSecurityContext,
    pub(crate) automount_service_account_token: Option<bool>,
    pub(crate) enable_service_links: Option<bool>,
    pub(crate) host_network: bool,
    #[serde(rename = "hostPID")]
    pub(crate) host_pid: bool,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodSecurityContext {
    pub(crate) run_as_user: Option<u32>,
    pub(crate) run_as_group: Option<u32>,
    pub(crate) run_as_non_root: Option<bool>,
    pub(crate) seccomp_profile: Option<SeccompProfile>,
    pub(crate) fs_group: Option<u32>,
    pub(crate) fs_group_change_policy: Option<String>,
    pub(crate) supplemental_groups: Vec<u32>,
    pub(crate) sysctls: Vec<NameValue>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SecurityContext {
    pub(crate) run_as_user: Option<u32>,
    pub(crate) run_as_group: Option<u32>,
    pub(crate) run_as_non_root: Option<bool>,
    pub(crate) seccomp_profile: Option<SeccompProfile>,
    pub(crate) allow_privilege_escalation: Option<bool>,
    pub(crate) read_only_root_filesystem: bool,
    pub(crate) privileged: bool,
    pub(crate) capabilities: Capabilities,
}

#[derive(Deserialize, Clone)]
pub(crate) struct SeccompProfile {
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(crate) struct Capabilities {
    pub(crate) add: Vec<String>,
    pub(crate) drop: Vec<String>,
}

#[derive(Deserialize, Clone)]
pub(crate) struct NameValue {
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) args: Option<Vec<String>>,
    pub(crate) working_dir: Option<String>,
    pub(crate) env: Vec<EnvVar>,
    pub(crate) env_from: Vec<EnvFrom>,
    pub(crate) ports: Vec<ContainerPort>,
    pub(crate) volume_mounts: Vec<VolumeMount>,
    pub(crate) security_context: SecurityContext,
    pub(crate) readiness_probe: Option<ContainerProbe>,
    pub(crate) liveness_probe: Option<ContainerProbe>,
    pub(crate) startup_probe: Option<ContainerProbe>,
    pub(crate) restart_policy: Option<String>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerPort {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) container_port: u16,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerProbe {
    pub(crate) http_get: Option<HttpGet>,
    pub(crate) tcp_socket: Option<TcpSocket>,
    pub(crate) exec: Option<Exec>,
}

#[derive(Deserialize, Clone)]
pub(crate) struct HttpGet {
    #[serde(default)]
    pub(crate) path: String,
    pub(crate) port: Port,
}

#[derive(Deserialize, Clone)]
pub(crate) struct TcpSocket {
    pub(crate) port: Port,
}

#[derive(Deserialize, Clone)]
pub(crate) struct Exec {
    pub(crate) command: Vec<String>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnvVar {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) value: String,
    pub(crate) value_from: Option<EnvSource>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnvSource {
    pub(crate) config_map_key_ref: Option<KeyRef>,
    pub(crate) secret_key_ref: Option<KeyRef>,
    pub(crate) field_ref: Option<FieldRef>,
}

#[derive(Deserialize, Clone)]
pub(crate) struct KeyRef {
    pub(crate) name: String,
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) optional: bool,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FieldRef {
    pub(crate) field_path: String,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnvFrom {
    #[serde(default)]
    pub(crate) prefix: String,
    pub(crate) config_map_ref: Option<MapRef>,
    pub(crate) secret_ref: Option<MapRef>,
}

#[derive(Deserialize, Clone)]
pub(crate) struct MapRef {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) optional: bool,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VolumeMount {
    pub(crate) name: String,
    pub(crate) mount_path: String,
    #[serde(default)]
    pub(crate) sub_path: String,
    #[serde(default)]
    pub(crate) read_only: bool,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) empty_dir: Option<EmptyDir>,
    pub(crate) persistent_volume_claim: Option<Claim>,
    pub(crate) config_map: Option<MapVolume>,
    pub(crate) secret: Option<MapVolume>,
    pub(crate) host_path: Option<HostPath>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct EmptyDir {
    pub(crate) medium: String,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Claim {
    pub(crate) claim_name: String,
}

#[derive(Deserialize, Clone)]
pub(crate) struct HostPath {
    pub(crate) path: String,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MapVolume {
    #[serde(alias = "secretName")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) items: Vec<KeyToPath>,
    pub(crate) default_mode: Option<u32>,
    #[serde(default)]
    pub(crate) optional: bool,
}

#[derive(Deserialize, Clone)]
pub(crate) struct KeyToPath {
    pub(crate) key: String,
    pub(crate) path: String,
}

/// The YAML files below `tree` that `paths`, folders and files, name.
pub(crate) fn files(tree: &Path, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let path = tree.join(path);
        found.extend(if path.is_dir() { build::files(&path)? } else { vec![path] });
    }
    found.retain(|file| file.extension().is_some_and(|end| end == "yaml" || end == "yml"));
    Ok(found)
}

/// Every document of the manifests below `tree`, in order; Lists are taken apart, and nulls are as good as absent.
pub(crate) fn documents(tree: &Path, paths: &[PathBuf]) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for file in files(tree, paths)? {
        let text = fs::read_to_string(&file)?;
        for document in serde_yaml::Deserializer::from_str(&text) {
            let mut value = Value::deserialize(document).map_err(|error| format!("{}: {error}", file.display()))?;
            strip_nulls(&mut value);
            if let Some(Value::Array(items)) = value.get_mut("items") {
                found.append(items);
            } else if value.is_object() {
                found.push(value);
            }
        }
    }
    Ok(found)
}

/// The pod template of a document, if it is a workload: the object that has `metadata` and `spec`.
pub(crate) fn pod_template(document: &mut Value) -> Option<&mut Value> {
    match document.get("kind")?.as_str()? {
        "Pod" => Some(document),
        "CronJob" => document.pointer_mut("/spec/jobTemplate/spec/template"),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => document.pointer_mut("/spec/template"),
        _ => None,
    }
}

impl Manifests {
    /// Reads the documents; kinds that say nothing about how containers run are passed over.
    pub(crate) fn read(documents: &[Value]) -> Result<Self> {
        let mut manifests = Self { workloads: Vec::new(), services: Vec::new(), data: BTreeMap::new() };
        for document in documents {
            let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (kind, name) = (text("/kind"), text("/metadata/name"));
            match kind.as_str() {
                "Service" => manifests.services.push(Service {
                    name,
                    selector: read(document.pointer("/spec/selector"))?,
                    ports: read(document.pointer("/spec/ports"))?,
                    headless: text("/spec/clusterIP") == "None",
                }),
                "ConfigMap" | "Secret" => {
                    let content = content(document, kind == "Secret")?;
                    manifests.data.insert((kind, name), content);
                }
                _ => {
                    let mut document = document.clone();
                    let claims: Vec<Value> = read(document.pointer("/spec/volumeClaimTemplates"))?;
                    let Some(template) = pod_template(&mut document) else { continue };
                    let claim = |value: &Value| value.pointer("/metadata/name")?.as_str().map(str::to_owned);
                    manifests.workloads.push(Workload {
                        labels: read(template.pointer("/metadata/labels"))?,
                        pod: read(template.get("spec")).map_err(|error| format!("{kind} {name}: {error}"))?,
                        claim_templates: claims.iter().filter_map(claim).collect(),
                        kind,
                        name,
                    });
                }
            }
        }
        Ok(manifests)
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
            let decoded = base64(&value).ok_or_else(|| format!("secret key {key} is not base64"))?;
            content.entry(key).or_insert(decoded);
        }
    }
    Ok(content)
}

fn strip_nulls(value: &mut Value) {
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
