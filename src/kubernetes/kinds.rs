//! Which kinds hold pod specs, and where: the table `kinds.toml`, and what a repository adds to it.

use super::ContainerKind;
use crate::config::{Config, KindEntry};
use crate::yaml::{self, Node, Route};
use serde::Deserialize;
use std::sync::LazyLock;

/// The kinds that a run looks into.
#[derive(Clone, Debug)]
pub struct Kinds {
    kinds: Vec<Kind>,
}

/// A kind of object that holds whole objects.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Holder {
    /// The part of `apiVersion` before the slash; empty for the core group.
    pub(super) group: String,
    /// `kind`
    pub(super) kind: String,
    /// The path to the objects.
    pub(super) objects: String,
    /// The path to the names of parameters that the objects hold.
    pub(super) parameters: Option<String>,
    /// What becomes of the security settings in the objects.
    #[serde(default)]
    pub(super) settings: Settings,
    /// Where the paths are defined.
    pub(super) source: String,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// The part of `apiVersion` before the slash; empty for the core group. A group stands for all its versions.
    pub group: String,
    /// `kind`
    pub kind: String,
    /// Paths from the object to its pod specs: keys with dots between them; `*` is every item of a list or every value of a mapping.
    pub pod_specs: Vec<String>,
    /// What becomes of security settings.
    #[serde(default)]
    pub settings: Settings,
    /// Programs that its operator starts in the containers, whatever the image's command is.
    pub starts: Option<String>,
    /// When its operator does things in the containers that take root.
    pub needs_root: Option<NeedsRoot>,
    /// Why its pods need the token of their account, whatever stands in them.
    pub needs_token: Option<String>,
    /// How its operator makes a pod spec of what the paths lead to, where that is none.
    pub assembled: Option<Assembled>,
    /// Where the paths are defined.
    pub source: String,
}

/// What becomes of the security settings that an object is written with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settings {
    /// They reach the pod as they are.
    #[default]
    AsWritten,
    /// Those of containers are written, and none for the pod: an object that has some is refused, or they hold for other pods as well.
    ContainersOnly,
    /// The platform chooses the user and the volumes' group, and may refuse an object that names its own.
    UserAssigned,
}

/// What an operator does that takes root, and when.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeedsRoot {
    /// Paths from the object; one that leads somewhere suffices.
    pub with: Vec<String>,
    /// What it does, to be read after the place of a container.
    pub because: String,
}

/// Something that is not a pod spec and becomes one. Paths lead there from it, unless they are said to start at the object; one that ends at a list
/// stands for its items.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assembled {
    /// Paths to containers.
    pub containers: Vec<String>,
    /// Paths to init containers.
    pub init_containers: Vec<String>,
    /// What a container is called that has no name.
    pub name: String,
    /// The key under which a container holds a script that its command is to run.
    pub script: String,
    /// Paths to places in the containers where the operator puts files for them.
    pub given: Vec<String>,
    /// Paths to places in the containers from where the operator takes files.
    pub taken: Vec<String>,
    /// The path from the object to what holds for each of its pods that does not say otherwise.
    pub defaults: String,
    /// Paths from the object to what is merged into its pods.
    pub patches: Vec<String>,
}

impl Default for Kinds {
    fn default() -> Self {
        Self { kinds: TABLE.kind.clone() }
    }
}

impl Kinds {
    /// The table with the configuration's additions. A path that is added to a kind of the table is looked at as well.
    pub fn new(config: &Config) -> Self {
        let mut kinds = Self::default();
        for entry in &config.kinds {
            kinds.add(entry);
        }
        kinds
    }

    fn add(&mut self, entry: &KindEntry) {
        let same = |row: &&mut Kind| row.group == entry.group && row.kind == entry.kind;
        match self.kinds.iter_mut().find(same) {
            Some(row) if row.pod_specs.contains(&entry.pod_spec) => {}
            Some(row) => row.pod_specs.push(entry.pod_spec.clone()),
            None => self.kinds.push(Kind {
                group: entry.group.clone(),
                kind: entry.kind.clone(),
                pod_specs: vec![entry.pod_spec.clone()],
                settings: Settings::AsWritten,
                starts: None,
                needs_root: None,
                needs_token: None,
                assembled: None,
                source: crate::config::FILE_NAME.to_owned(),
            }),
        }
    }

    /// All of them, those of the table first.
    pub fn iter(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.iter()
    }

    /// The row of an object.
    pub fn find(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        self.kinds.iter().find(|row| row.kind == kind && row.group == group_of(api_version))
    }
}

impl Holder {
    /// The row of an object that holds others and is no list.
    pub(super) fn find(api_version: &str, kind: &str) -> Option<&'static Self> {
        TABLE.holder.iter().find(|row| row.kind == kind && row.group == group_of(api_version))
    }
}

fn group_of(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or("", |(group, _)| group)
}

impl Kind {
    /// What stands at its paths in `object`, with the routes to there. `route` leads to the object.
    pub(super) fn pod_specs<'a>(&self, object: Node<'a>, route: &Route) -> Places<'a> {
        self.pod_specs.iter().flat_map(|path| follow(object, route, path)).collect()
    }

    /// The containers of one of its pods, which stands at `route`: init containers first, as the kubelet starts them.
    pub(super) fn containers<'a>(&self, pod: Node<'a>, route: &Route) -> Vec<(ContainerKind, Node<'a>, Route)> {
        let paths: Vec<(ContainerKind, &str)> = match &self.assembled {
            None => ContainerKind::ALL.into_iter().map(|kind| (kind, kind.key())).collect(),
            Some(Assembled { containers, init_containers, .. }) => {
                let init = init_containers.iter().map(|path| (ContainerKind::Init, path.as_str()));
                init.chain(containers.iter().map(|path| (ContainerKind::Regular, path.as_str()))).collect()
            }
        };
        let mut found = Vec::new();
        for (kind, path) in paths {
            for (node, route) in follow(pod, route, path) {
                match node.kind() {
                    yaml::Kind::Sequence => {
                        found.extend(children(node, &route, "*").into_iter().map(|(item, route)| (kind, item, route)))
                    }
                    _ => found.push((kind, node, route)),
                }
            }
        }
        found.retain(|(_, node, _)| node.resolved().kind() == yaml::Kind::Mapping);
        found
    }

    /// Whether an object of this kind may hold more than one pod spec.
    pub(super) fn holds_several(&self) -> bool {
        self.pod_specs.len() > 1 || self.pod_specs.iter().any(|path| path.contains('*'))
    }

    /// What the operator does in the containers of `object` that takes root.
    pub(super) fn needs_root(&self, object: Node<'_>) -> Option<&str> {
        let needs = self.needs_root.as_ref()?;
        let applies = |path: &String| !follow(object, &Route::root(), path).is_empty();
        needs.with.iter().any(applies).then_some(needs.because.as_str())
    }
}

/// Nodes, with the routes to them.
pub(super) type Places<'a> = Vec<(Node<'a>, Route)>;

/// Where a path leads, with the routes to there.
pub(super) fn follow<'a>(object: Node<'a>, route: &Route, path: &str) -> Places<'a> {
    let mut found = vec![(object, route.clone())];
    for step in path.split('.') {
        found = found.into_iter().flat_map(|(node, route)| children(node, &route, step)).collect();
    }
    found
}

fn children<'a>(node: Node<'a>, route: &Route, step: &str) -> Places<'a> {
    if step != "*" {
        return node.get(step).map(|value| (value, route.key(step))).into_iter().collect();
    }
    match node.kind() {
        yaml::Kind::Sequence => node.items().enumerate().map(|(index, item)| (item, route.index(index))).collect(),
        yaml::Kind::Mapping => {
            node.entries().filter_map(|(key, value)| Some((value, route.key(&key.as_str()?)))).collect()
        }
        yaml::Kind::Scalar | yaml::Kind::Alias => Vec::new(),
    }
}

/// The text is part of the program; a test parses it.
static TABLE: LazyLock<Table> = LazyLock::new(|| toml::from_str(include_str!("kinds.toml")).unwrap_or_default());

#[derive(Default, Deserialize)]
struct Table {
    holder: Vec<Holder>,
    kind: Vec<Kind>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_parses_and_no_row_hides_another() {
        let kinds = Kinds::default();
        assert!(kinds.kinds.len() > 40);
        for row in &TABLE.holder {
            assert_eq!(Holder::find(&format!("{}/v1", row.group), &row.kind), Some(row));
            assert!(row.source.starts_with("https://"), "{}", row.kind);
        }
        for (index, row) in kinds.iter().enumerate() {
            let same = |other: &&Kind| other.group == row.group && other.kind == row.kind;
            assert_eq!(kinds.kinds[..index].iter().find(same), None);
            assert!(row.source.starts_with("https://"), "{}", row.kind);
            assert!(!row.pod_specs.is_empty(), "{}", row.kind);
            for path in &row.pod_specs {
                assert!(path.split('.').all(|step| !step.is_empty()), "{path}");
                assert!(path.ends_with("spec") || row.assembled.is_some(), "{path}");
            }
        }
    }

    #[test]
    fn what_is_configured_is_added_once() {
        let entry = |group: &str, kind: &str, pod_spec: &str| KindEntry {
            group: group.to_owned(),
            kind: kind.to_owned(),
            pod_spec: pod_spec.to_owned(),
        };
        let mut config = Config::default();
        config.kinds.push(entry("example.com", "App", "spec.template.spec"));
        config.kinds.push(entry("example.com", "App", "spec.jobs.*.spec"));
        config.kinds.push(entry("apps", "Deployment", "spec.template.spec"));
        let kinds = Kinds::new(&config);
        assert_eq!(kinds.find("example.com/v1", "App").unwrap().pod_specs, ["spec.template.spec", "spec.jobs.*.spec"]);
        assert_eq!(kinds.find("apps/v1", "Deployment").unwrap().pod_specs, ["spec.template.spec"]);
        assert_eq!(kinds.find("example.com/v1", "Deployment"), None);
        assert_eq!(kinds.find("v1", "App"), None);
    }
}
