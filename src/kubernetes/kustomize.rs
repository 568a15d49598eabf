//! What a `kustomization.yaml` says about other files: which are patches, and which images it overrides.

use crate::yaml::{Node, Stream};

/// The names a kustomization goes by (<https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/>).
pub const KUSTOMIZATION_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The parts of a kustomization that concern other files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kustomization {
    /// Files that are patches: they complete or change objects that stand elsewhere. Relative to the kustomization's folder.
    pub patches: Vec<String>,
    /// Names of images whose tag or digest is set here.
    pub images: Vec<String>,
}

impl Kustomization {
    /// Reads the first document that is one.
    pub fn read(stream: &Stream) -> Self {
        let Some(root) = stream.documents().find_map(|document| document.root()) else { return Self::default() };
        let items = |key: &str| root.get(key).into_iter().flat_map(Node::items);
        let text = |node: Node<'_>| node.as_str().map(|text| text.into_owned());
        let paths = items("patches").chain(items("patchesJson6902")).filter_map(|patch| text(patch.get("path")?));
        Self {
            patches: items("patchesStrategicMerge").filter_map(text).chain(paths).collect(),
            images: items("images").filter_map(|image| text(image.get("name")?)).collect(),
        }
    }
}
