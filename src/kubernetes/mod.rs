//! Workloads in a stream of Kubernetes objects, and views of their pod specs.

mod pod;
mod workload;

pub use pod::{ContainerView, Mount, PodView, Volume, VolumeSource};
pub use workload::{Container, ContainerKind, Workload, has_objects, objects, workloads};
