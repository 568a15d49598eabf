//! What a `kustomization.yaml` says about other files: which it takes in, which are patches, and which images it overrides.

use crate::yaml::{Node, Stream};

/// The parts of a kustomization that concern other files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kustomization {
    /// Files that are patches: they complete or change objects that stand elsewhere. Relative to the kustomization's folder.
    pub patches: Vec<String>,
    /// Files and folders that it takes in before it changes anything. Relative to its folder, or addresses.
    pub resources: Vec<String>,
    /// Names of images whose name, tag or digest is set here.
    pub images: Vec<String>,
}

impl Kustomization {
    /// Reads the first document that is one.
    pub fn read(stream: &Stream) -> Self {
        let Some(root) = root(stream) else { return Self::default() };
        let items = |key: &str| root.get(key).into_iter().flat_map(Node::items);
        let text = |node: Node<'_>| node.as_str().map(|text| text.into_owned());
        let paths = items("patches").chain(items("patchesJson6902")).filter_map(|patch| text(patch.get("path")?));
        Self {
            patches: items("patchesStrategicMerge").filter_map(text).chain(paths).collect(),
            resources: ["resources", "bases", "components"].into_iter().flat_map(items).filter_map(text).collect(),
            images: image_overrides(stream).into_iter().filter_map(|image| text(image.name)).collect(),
        }
    }
}

/// One entry of `images`: it changes every image of this name in what is taken in
/// (<https://github.com/kubernetes-sigs/kustomize/blob/master/examples/image.md>).
#[derive(Clone, Copy, Debug)]
pub struct ImageOverride<'a> {
    /// The entry.
    pub node: Node<'a>,
    /// The image as manifests name it, without tag.
    pub name: Node<'a>,
    /// What takes its place.
    pub new_name: Option<Node<'a>>,
    /// What takes the place of its tag and digest.
    pub new_tag: Option<Node<'a>>,
    /// What takes the place of its tag and digest; with `newTag` both do.
    pub digest: Option<Node<'a>>,
    /// What is added to its tag, where none of the others is there.
    pub tag_suffix: Option<Node<'a>>,
}

/// The images that a kustomization overrides, in order. An entry that changes nothing is left out.
pub fn image_overrides(stream: &Stream) -> Vec<ImageOverride<'_>> {
    let entries = root(stream).and_then(|root| root.get("images")).into_iter().flat_map(Node::items);
    entries
        .filter_map(|node| {
            let value = |key: &str| node.get(key).filter(|value| !value.is_null() && !value.raw().is_empty());
            let [new_name, new_tag, digest, tag_suffix] = ["newName", "newTag", "digest", "tagSuffix"].map(value);
            new_name.or(new_tag).or(digest).or(tag_suffix)?;
            Some(ImageOverride { node, name: value("name")?, new_name, new_tag, digest, tag_suffix })
        })
        .collect()
}

fn root(stream: &Stream) -> Option<Node<'_>> {
    stream.documents().find_map(|document| document.root())
}
