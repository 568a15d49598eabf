//! Workloads in a stream of Kubernetes objects, views of their pod specs, and the standards these are held to.

mod account;
mod forbidden_settings;
mod kinds;
mod kustomize;
mod pod;
pub mod pod_security;
mod security_context;
mod volumes;
mod workload;

pub use account::{api_call, default_account_use, withhold_token};
pub use forbidden_settings::ForbiddenSetting;
pub use kinds::{Assembled, Kind, Kinds, NeedsRoot, Settings};
pub use kustomize::{ImageOverride, Kustomization, image_overrides};
pub use pod::{ContainerView, Mount, PodView, UNPRIVILEGED_PORT_START, Volume, VolumeSource};
pub use security_context::{allow_low_ports, complete, drop_all, give_resources, remove, replace, set, share_claims};
pub use volumes::{mount_empty, set_variable};
pub use workload::{
    Assembly, Container, ContainerKind, Parameters, Patched, PodPatch, Service, Workload, has_objects, objects,
    patched_workloads, services, workloads,
};
