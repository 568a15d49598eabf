//! Images that the values of a Helm chart name in parts: `repository`, `tag`, `digest`, and maybe `registry`.
//!
//! What a chart makes of its values stands in its templates. A digest is written only where there is a key for it, and where the templates are seen to
//! read such a key.

use super::super::Subject;
use super::overrides::Overrides;
use super::place::{Declined, Form, Named, Place, Site, built_here};
use crate::discover::{Tree, directory};
use crate::error::SkipReason;
use crate::facts::Surroundings;
use crate::image::Reference;
use crate::repository::{FileId, Manifest};
use crate::yaml::{self, Node};
use std::cell::OnceCell;
use std::sync::Arc;

/// Keys that may stand beside the parts of a name without being part of it. Another one may choose a variant of the image.
const BESIDE: [&str; 9] = [
    "registry",
    "repository",
    "tag",
    "digest",
    "pullPolicy",
    "imagePullPolicy",
    "pullSecrets",
    "imagePullSecrets",
    "debug",
];

/// Every mapping with `repository` and `tag`.
pub(super) fn places(around: Surroundings<'_>, file: FileId, manifest: &Manifest) -> Vec<Place> {
    let chart = Chart::of(around, file, manifest);
    let mut found = Vec::new();
    for root in manifest.stream.documents().filter_map(|document| document.root()) {
        collect(root, &mut found);
    }
    found
        .into_iter()
        .map(|mapping| {
            let text = |key: &str| mapping.get(key).map(Node::text).unwrap_or_default();
            let label =
                format!("{} {}:{}", mapping.route(), text("repository").escape_debug(), text("tag").escape_debug());
            let subject = Subject { file, offset: mapping.span().start, label };
            let named = chart.image(mapping).and_then(|(reference, digest)| {
                match built_here(around, &around.links.builder(around.repository, file, reference.name())) {
                    Some(declined) => Err(declined),
                    None => Ok(Named::new(reference, Site::of(digest), Form::Digest)),
                }
            });
            Place { subject, named }
        })
        .collect()
}

fn collect<'a>(node: Node<'a>, found: &mut Vec<Node<'a>>) {
    if node.get("repository").is_some() && node.get("tag").is_some() {
        found.push(node);
    }
    for (_, value) in node.entries() {
        collect(value, found);
    }
    for item in node.items() {
        collect(item, found);
    }
}

/// What is seen of the chart.
struct Chart<'a> {
    /// Why none of its images can be pinned in its values.
    refusal: Option<&'static str>,
    /// The charts that it is made of; what stands under their names is for them.
    dependencies: Vec<String>,
    tree: &'a Tree,
    path: &'a str,
    /// Read when there is an image to be pinned.
    overrides: OnceCell<Overrides>,
    /// The values as they are written.
    text: Arc<str>,
}

impl<'a> Chart<'a> {
    fn of(around: Surroundings<'a>, file: FileId, manifest: &Manifest) -> Self {
        let tree = around.repository.tree();
        let folder = directory(&around.repository.file(file).path);
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let chart = tree.read(&format!("{prefix}Chart.yaml")).and_then(|text| yaml::parse(text).ok());
        let root = chart.as_ref().and_then(|chart| chart.documents().find_map(|document| document.root()));
        let dependencies = root.and_then(|root| root.get("dependencies")).into_iter().flat_map(Node::items);
        let names = dependencies.flat_map(|entry| ["name", "alias"].map(|key| entry.get(key).and_then(Node::as_str)));
        let registry = manifest.stream.documents().find_map(|document| {
            let registry = document.root()?.get("global")?.get("imageRegistry")?;
            (!registry.text().is_empty()).then_some(registry)
        });
        let templates: Vec<String> =
            tree.below(&format!("{prefix}templates")).filter_map(|path| tree.read(path)).collect();
        let says = |words: &[&str]| templates.iter().any(|text| words.iter().any(|word| text.contains(word)));
        let refusal = if registry.is_some() {
            Some("global.imageRegistry takes the place of the registry")
        } else if says(&["sha256:{{", "@sha256:%s"]) {
            Some("its templates write sha256: before the digest on their own")
        } else if !says(&[".digest", "\"digest\"", "common.images.image"]) {
            Some("no template of the chart is seen to use a digest")
        } else {
            None
        };
        let path = &around.repository.file(file).path;
        let dependencies = names.flatten().map(|name| name.into_owned()).collect();
        Self { refusal, dependencies, tree, path, overrides: OnceCell::new(), text: manifest.stream.text().clone() }
    }

    fn overrides(&self) -> &Overrides {
        self.overrides.get_or_init(|| Overrides::of(self.tree, self.path))
    }

    /// The image that a mapping names, and where its digest stands.
    fn image<'n>(&self, mapping: Node<'n>) -> Result<(Reference, Node<'n>), Declined> {
        let declined = |detail: &str| (SkipReason::ChartValues, detail.to_owned());
        let digest = mapping.get("digest").ok_or_else(|| declined("there is no key `digest` to write it to"))?;
        if let Some(refusal) = self.refusal {
            return Err(declined(refusal));
        }
        if let Some(yaml::Step::Key(first)) = mapping.route().0.first()
            && self.dependencies.contains(first)
        {
            return Err(declined("the chart that it is for is not seen"));
        }
        let keys = mapping.entries().map(|(key, _)| key.text());
        if let Some(key) = keys.into_iter().find(|key| !BESIDE.contains(&key.as_ref())) {
            return Err(declined(&format!("`{}` may choose a variant of the image", key.escape_debug())));
        }
        // Flux writes to the lines that it is told to (<https://fluxcd.io/flux/guides/image-update/>).
        let is_marked = |key: &str| {
            let end = mapping.get(key).map(|value| value.span().end);
            let rest = end.and_then(|end| self.text.get(end..)?.lines().next());
            rest.is_some_and(|rest| rest.contains("$imagepolicy"))
        };
        if is_marked("tag") && !is_marked("digest") {
            return Err(declined("Flux moves the tag on, and would still run the image of this digest"));
        }
        let part = |key: &str| match mapping.get(key) {
            None => Ok(String::new()),
            Some(node) if node.is_null() => Ok(String::new()),
            Some(node) => match node.as_str() {
                Some(text) => Ok(text.into_owned()),
                None => Err(declined(&format!("`{key}` is no string"))),
            },
        };
        let (registry, repository, tag, pinned) =
            (part("registry")?, part("repository")?, part("tag")?, part("digest")?);
        if tag.is_empty() {
            return Err(declined("the chart chooses the tag"));
        }
        let registry = if registry.is_empty() { registry } else { format!("{registry}/") };
        let behind = if pinned.is_empty() { pinned } else { format!("@{pinned}") };
        let reference = Reference::parse(&format!("{registry}{repository}:{tag}{behind}"))
            .map_err(|error| (SkipReason::InvalidReference, error.to_string()))?;
        if let Some(path) = self.overrides().of_image(&mapping.route()) {
            let path = path.escape_debug();
            return Err(declined(&format!("{path} sets a part of its name, and would run the image of this digest")));
        }
        Ok((reference, digest))
    }
}
