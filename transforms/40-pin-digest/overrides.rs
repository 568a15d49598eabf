//! What takes the place of a chart's values: other files of values, objects that hold some, and commands that set one.
//!
//! A tag that is set there would meet a digest that is written here, and the digest counts.

use crate::discover::{Tree, directory, file_name, join};
use crate::link::is_script;
use crate::yaml::{self, Node, Route, Stream};

/// Where objects hold values for charts: Flux's HelmRelease and Argo CD's Application.
const VALUES_IN_OBJECTS: [&[&str]; 2] = [&["spec", "values"], &["spec", "source", "helm", "valuesObject"]];

/// What names an image beside the digest.
const PARTS: [&str; 3] = ["registry", "repository", "tag"];

/// What may take the place of the values in one file.
pub(super) struct Overrides {
    /// The name under which a chart that takes this one in holds values for it.
    chart: String,
    files: Vec<File>,
    scripts: Vec<(String, String)>,
}

struct File {
    path: String,
    text: String,
    stream: Stream,
    /// Whether its values may be for this chart, and not only what stands under its name.
    is_own: bool,
}

impl Overrides {
    /// What stands in `tree` beside the values at `path`.
    pub(super) fn of(tree: &Tree, path: &str) -> Self {
        let chart = directory(path);
        let (mut files, mut scripts) = (Vec::new(), Vec::new());
        for other in tree.below("").filter(|other| *other != path) {
            let is_yaml = other.ends_with(".yaml") || other.ends_with(".yml");
            let is_template = other.starts_with("templates/") || other.contains("/templates/");
            let is_read = is_yaml && !is_template || is_script(other) && !other.ends_with(".md");
            let of = if is_read { chart_of(tree, other) } else { None };
            // What belongs to another chart is for this one where that takes it in.
            let is_elsewhere = |of: &str| {
                of != chart && !of.is_empty() && !chart.strip_prefix(of).is_some_and(|rest| rest.starts_with('/'))
            };
            let is_read = is_read && !of.is_some_and(is_elsewhere);
            let Some(text) = Some(other).filter(|_| is_read).and_then(|other| tree.read(other)) else { continue };
            if !PARTS.iter().any(|part| text.contains(part)) {
                continue;
            }
            match Some(&text).filter(|_| is_yaml).and_then(|text| yaml::parse(text.as_str()).ok()) {
                Some(stream) => {
                    // What a chart's own `values.yaml` says is what every other file takes the place of.
                    let is_default = file_name(other) == "values.yaml";
                    let is_own = of.is_none_or(|of| of == chart && !is_default);
                    files.push(File { path: other.to_owned(), text, stream, is_own });
                }
                None => scripts.push((other.to_owned(), text)),
            }
        }
        Self { chart: file_name(chart).to_owned(), files, scripts }
    }

    /// Who sets a part of the name of the image at `route` and not its digest.
    pub(super) fn of_image(&self, route: &Route) -> Option<&str> {
        let sets = |text: &str| {
            PARTS.iter().any(|part| {
                let key = format!("{route}.{part}");
                text.contains(&format!("{key}=")) || names(text, &key)
            })
        };
        let file = self.files.iter().find(|file| {
            let roots = file.stream.documents().filter_map(|document| document.root());
            roots.into_iter().any(|root| self.sets(file, root, route)) || sets(&file.text)
        });
        let script = || self.scripts.iter().find(|(_, text)| sets(text)).map(|(path, _)| path.as_str());
        file.map(|file| file.path.as_str()).or_else(script)
    }

    fn sets(&self, file: &File, root: Node<'_>, route: &Route) -> bool {
        let held = VALUES_IN_OBJECTS.iter().filter_map(|keys| keys.iter().try_fold(root, |node, key| node.get(key)));
        let own = Some(root).filter(|_| file.is_own);
        let values = own.into_iter().chain(root.get(&self.chart)).chain(held);
        values
            .filter_map(|values| below(values, route))
            .any(|image| image.get("digest").is_none() && PARTS.iter().any(|part| image.get(part).is_some()))
    }
}

fn below<'a>(values: Node<'a>, route: &Route) -> Option<Node<'a>> {
    route.0.iter().try_fold(values, |node, step| match step {
        yaml::Step::Key(key) => node.get(key),
        yaml::Step::Index(index) => node.item(*index),
    })
}

/// Whether a line names this value, as the parameters of Argo CD do (`- name: image.tag`) and the annotations of its image updater.
fn names(text: &str, key: &str) -> bool {
    let value =
        |line: &str| line.split_once(": ").is_some_and(|(_, value)| value.trim().trim_matches(['"', '\'']) == key);
    text.lines().any(value)
}

/// The folder of the chart that a file belongs to.
fn chart_of<'a>(tree: &Tree, path: &'a str) -> Option<&'a str> {
    let mut folder = directory(path);
    loop {
        if join(folder, "Chart.yaml").is_some_and(|chart| tree.has(&chart)) {
            return Some(folder);
        }
        if folder.is_empty() {
            return None;
        }
        folder = directory(folder);
    }
}
