//! What a proof saw becomes part of `unroot.toml`: where containers write, and where they listen.

use super::changes::{FolderChange, is_below};
use super::judge::Settings;
use super::{Failure, Result};
use crate::config::Config;
use crate::facts::is_placeholder;
use crate::link::without_tag;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use toml::Spanned;

/// The changes of one run, folder by folder.
pub type Changes = BTreeMap<String, FolderChange>;

/// What was seen of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Its image, as the manifest names it.
    pub image: String,
    /// Workload and container, `web/app`.
    pub container: String,
    /// What it changed as found; `None` where it did not run.
    pub before: Option<Changes>,
    /// What it changed hardened.
    pub after: Option<Changes>,
    /// The TCP ports that it listened on; empty where that was not looked at.
    pub ports: BTreeSet<u16>,
}

impl Observation {
    /// What runs as found and hardened tell of a container, each where it did what was demanded of it; `None` where its root is read-only already, so that nothing is to be learnt.
    pub fn of(before: Option<&Settings>, after: Option<&Settings>, ports: BTreeSet<u16>) -> Option<Self> {
        let of = after.or(before).filter(|settings| !settings.config.read_only_root)?;
        let changes = |settings: &Settings| settings.changes.clone();
        let before = before.filter(|settings| !settings.config.read_only_root).map(changes);
        let (image, container) = (of.image.clone(), of.container.clone());
        Some(Self { image, container, before, after: after.map(changes), ports })
    }

    /// The directories that it writes to, and those of them that hold files of the image. How it writes hardened counts, where it ran so: what only root
    /// may write is not written any more.
    fn writing(&self) -> Option<(BTreeSet<String>, BTreeSet<String>)> {
        let (run, other) = match (&self.after, &self.before) {
            (Some(after), before) => (after, before.as_ref()),
            (None, Some(before)) => (before, None),
            (None, None) => return None,
        };
        let (mut writable, mut filled) = (BTreeSet::new(), BTreeSet::new());
        for (folder, change) in run.iter().filter(|(folder, _)| !folder.split('/').any(is_dispensable)) {
            if folder == "/tmp" || is_below(folder, "/tmp") {
                writable.insert("/tmp".to_owned());
                continue;
            }
            let made: BTreeSet<&String> = change.made.iter().filter(|name| !is_dispensable(name)).collect();
            // A folder that is called the same in both runs is called so in every one; of a single run digits are a sign of a name made up.
            let is_lasting = |name: &&String| match other {
                Some(other) => other.get(folder).is_some_and(|change| change.made.contains(name.as_str())),
                None => !name.contains(|character: char| character.is_ascii_digit()),
            };
            let is_changed = change.changed || !made.iter().all(is_lasting);
            if !is_changed && made.is_empty() {
                continue;
            }
            let is_filled = folder == "/" || holds_files(folder, change.holds.as_ref());
            if is_changed || !is_filled {
                writable.insert(folder.clone());
            }
            match (is_filled, is_changed) {
                (true, true) => drop(filled.insert(folder.clone())),
                (true, false) => {
                    writable.extend(made.iter().map(|name| format!("{}/{name}", folder.trim_end_matches('/'))))
                }
                (false, _) => {}
            }
        }
        Some((writable, filled))
    }
}

/// Whether a folder is one that its program can do without where it may not be written: Python compiles anew
/// (<https://peps.python.org/pep-3147/>).
fn is_dispensable(name: &str) -> bool {
    name == "__pycache__"
}

/// Whether an image has something in a folder that an empty volume would hide, or that is not known.
fn holds_files(folder: &str, held: Option<&BTreeSet<String>>) -> bool {
    let is_run = matches!(folder, "/run" | "/var/run");
    // Distributions have /run/lock in their images, for programs that start when a machine does.
    let is_nothing = |name: &String| is_placeholder(name) || is_run && name == "lock";
    held.is_none_or(|names| !names.iter().all(is_nothing))
}

/// The text of `unroot.toml` with what was observed: every byte stays, and entries are added in the order of images and containers. The same text where
/// all is there.
///
/// # Errors
/// What is wrong with the text, or that it has `observed` in a form that cannot be added to.
pub fn learned(text: &str, observations: &[Observation]) -> Result<String> {
    let mut news: BTreeMap<(&str, &str), News> = BTreeMap::new();
    let config = Config::parse(text).map_err(Failure::new)?;
    for observation in observations {
        let of_container = news.entry((without_tag(&observation.image), &observation.container)).or_default();
        of_container.add(observation);
        of_container.leave_out(&config, &observation.image, &observation.container);
    }
    let entries = toml::from_str::<Written>(text).map_err(|error| Failure::new(error.to_string()))?.observed;
    let end_of_line = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut insertions: BTreeMap<usize, String> = BTreeMap::new();
    let mut added = String::new();
    for ((image, container), news) in news {
        let is_its =
            |entry: &&WrittenEntry| *entry.image.get_ref() == image && entry.container.as_deref() == Some(container);
        let entry = entries.iter().find(is_its);
        let lists = entry.map(WrittenEntry::lists).unwrap_or_default();
        let mut lines = String::new();
        for ((key, values), list) in news.keys().into_iter().zip(lists) {
            match (values, list) {
                (None, _) => {}
                (Some(values), Some(list)) => list.insert(text, values, &mut insertions),
                (Some(values), None) => {
                    let values: Vec<String> = values.iter().map(Value::written).collect();
                    lines.push_str(&format!("{key} = [{}]{end_of_line}", values.join(", ")));
                }
            }
        }
        match entry {
            _ if lines.is_empty() => {}
            Some(entry) => {
                let after = entry.image.span().end;
                let rest = text.get(after..).unwrap_or_default();
                match rest.find('\n') {
                    Some(at) => insertions.entry(after + at + 1).or_default().push_str(&lines),
                    None => insertions.entry(text.len()).or_default().push_str(&format!("{end_of_line}{lines}")),
                }
            }
            None => {
                let (image, container) = (quoted(image), quoted(container));
                let head = format!("image = {image}{end_of_line}container = {container}{end_of_line}");
                added.push_str(&format!("{end_of_line}[[observed]]{end_of_line}{head}{lines}"));
            }
        }
    }
    let mut result = text.to_owned();
    for (at, insertion) in insertions.into_iter().rev() {
        result.insert_str(at, &insertion);
    }
    if !added.is_empty() {
        if !result.is_empty() && !result.ends_with('\n') {
            result.push_str(end_of_line);
        }
        result.push_str(if result.is_empty() { added.trim_start() } else { &added });
    }
    match Config::parse(&result) {
        Ok(config) if observations.iter().all(|observation| is_known(&config, observation)) => Ok(result),
        _ => Err(Failure::new("unroot.toml has `observed` in a form that is not added to; write [[observed]] tables")),
    }
}

fn is_known(config: &Config, observation: &Observation) -> bool {
    let mut news = News::default();
    news.add(observation);
    news.leave_out(config, &observation.image, &observation.container);
    news.keys().iter().all(|(_, values)| values.is_none())
}

/// What is new about a container.
#[derive(Default)]
struct News {
    writable: Option<BTreeSet<Value>>,
    filled: BTreeSet<Value>,
    ports: BTreeSet<Value>,
}

/// What stands in an array.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Path(String),
    Port(u16),
}

impl Value {
    /// As TOML writes it.
    fn written(&self) -> String {
        match self {
            Self::Path(path) => quoted(path),
            Self::Port(port) => port.to_string(),
        }
    }
}

impl News {
    fn add(&mut self, observation: &Observation) {
        if let Some((writable, filled)) = observation.writing() {
            self.writable.get_or_insert_default().extend(writable.into_iter().map(Value::Path));
            self.filled.extend(filled.into_iter().map(Value::Path));
        }
        self.ports.extend(observation.ports.iter().copied().map(Value::Port));
    }

    /// What the configuration says already is no news.
    fn leave_out(&mut self, config: &Config, image: &str, container: &str) {
        let Some(known) = config.observed(image, container) else { return };
        let is_known = |value: &Value, paths: &[String]| match value {
            Value::Path(path) => paths.contains(path),
            Value::Port(port) => known.ports.contains(port),
        };
        if let (Some(news), Some(paths)) = (&mut self.writable, &known.writable) {
            news.retain(|value| !is_known(value, paths));
        }
        if known.writable.is_some() && self.writable.as_ref().is_some_and(BTreeSet::is_empty) {
            self.writable = None;
        }
        self.filled.retain(|value| !is_known(value, &known.filled));
        self.ports.retain(|value| !is_known(value, &[]));
    }

    /// What is new under each key, in the order of [`WrittenEntry::lists`].
    fn keys(&self) -> [(&'static str, Option<&BTreeSet<Value>>); 3] {
        let some = |values| Some(values).filter(|values: &&BTreeSet<Value>| !values.is_empty());
        [("writable", self.writable.as_ref()), ("filled", some(&self.filled)), ("ports", some(&self.ports))]
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The file, with where things stand in it.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    observed: Vec<WrittenEntry>,
}

#[derive(Deserialize)]
struct WrittenEntry {
    image: Spanned<String>,
    container: Option<String>,
    writable: Option<Spanned<Vec<Spanned<String>>>>,
    filled: Option<Spanned<Vec<Spanned<String>>>>,
    ports: Option<Spanned<Vec<Spanned<u16>>>>,
}

impl WrittenEntry {
    fn lists(&self) -> [Option<List>; 3] {
        let paths = |list: &Spanned<Vec<Spanned<String>>>| List::of(list, |path| Value::Path(path.clone()));
        [
            self.writable.as_ref().map(paths),
            self.filled.as_ref().map(paths),
            self.ports.as_ref().map(|list| List::of(list, |port| Value::Port(*port))),
        ]
    }
}

/// An array of the file: where it begins, and what stands where in it.
struct List {
    start: usize,
    values: Vec<(Range<usize>, Value)>,
}

impl List {
    fn of<T>(list: &Spanned<Vec<Spanned<T>>>, value: impl Fn(&T) -> Value) -> Self {
        let values = list.get_ref().iter().map(|item| (item.span(), value(item.get_ref())));
        Self { start: list.span().start, values: values.collect() }
    }

    /// Puts each value before the first one that is greater, in the layout that is there.
    fn insert(&self, text: &str, new: &BTreeSet<Value>, insertions: &mut BTreeMap<usize, String>) {
        let lead = self.values.first().and_then(|(first, _)| text.get(self.start + 1..first.start));
        let between = lead.filter(|lead| lead.contains('\n') && lead.trim().is_empty()).unwrap_or(" ");
        for value in new {
            let written = value.written();
            let next = self.values.iter().find(|(_, other)| other > value);
            let (at, insertion) = match (next, self.values.last()) {
                (Some((next, _)), _) => (next.start, format!("{written},{between}")),
                (None, Some((last, _))) => (last.end, format!(",{between}{written}")),
                (None, None) => {
                    let is_first = !insertions.contains_key(&(self.start + 1));
                    (self.start + 1, if is_first { written } else { format!(", {written}") })
                }
            };
            insertions.entry(at).or_default().push_str(&insertion);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// `made` new folders and, where `changed`, more, in a folder of which the image has `holds`.
    fn change(folder: &str, made: &[&str], changed: bool, holds: &[&str]) -> (String, FolderChange) {
        (folder.to_owned(), FolderChange { made: names(made), changed, holds: Some(names(holds)) })
    }

    fn observation(before: Vec<(String, FolderChange)>, after: Vec<(String, FolderChange)>) -> Observation {
        Observation {
            image: "shop/web:1.4".to_owned(),
            container: "web/app".to_owned(),
            before: Some(before.into_iter().collect()),
            after: Some(after.into_iter().collect()),
            ports: [8080].into(),
        }
    }

    fn writing(before: Vec<(String, FolderChange)>, after: Vec<(String, FolderChange)>) -> (Vec<String>, Vec<String>) {
        let (writable, filled) = observation(before, after).writing().unwrap();
        (writable.into_iter().collect(), filled.into_iter().collect())
    }

    fn seen(folders: &[&str]) -> Observation {
        observation(Vec::new(), folders.iter().map(|folder| change(folder, &[], true, &[])).collect())
    }

    #[test]
    fn how_it_writes_hardened_counts() {
        let before = vec![
            change("/usr/local/lib/python3.11/http/__pycache__", &[], true, &["a.pyc"]),
            change("/root/.npm", &[], true, &[]),
            change("/tmp/hsperfdata_root", &[], true, &[]),
        ];
        let after = vec![
            change("/home/node", &[".npm"], false, &[".bashrc"]),
            change("/tmp", &["hsperfdata_1"], false, &["x"]),
        ];
        assert_eq!(writing(before.clone(), after), (vec!["/home/node".to_owned(), "/tmp".to_owned()], Vec::new()));
        let alone = Observation { after: None, ..observation(before, Vec::new()) };
        assert_eq!(alone.writing().unwrap().0, names(&["/root/.npm", "/tmp"]));
    }

    #[test]
    fn a_new_folder_beside_code_is_told_where_it_is_called_the_same_each_time() {
        let run = |made: &[&str], changed: bool| vec![change("/app", made, changed, &["app.py"])];
        let told = |before, after| writing(before, after);
        let state = vec!["/app/state".to_owned()];
        let app = vec!["/app".to_owned()];
        assert_eq!(told(run(&["state"], false), run(&["state"], false)), (state, Vec::new()));
        assert_eq!(told(run(&["a17"], false), run(&["b42"], false)), (app.clone(), app.clone()));
        assert_eq!(told(run(&["state"], false), run(&["state"], true)), (app.clone(), app.clone()));
        assert_eq!(told(run(&["__pycache__"], false), run(&["__pycache__"], false)), (Vec::new(), Vec::new()));
        let unseen = |mut run: Vec<(String, FolderChange)>| {
            run.iter_mut().for_each(|(_, change)| change.holds = None);
            run
        };
        assert_eq!(told(unseen(run(&[], true)), unseen(run(&[], true))), (app.clone(), app));
    }

    #[test]
    fn an_entry_is_made_where_there_is_none() {
        let text = "uid = 2000\n\n[[link]]\nimage = \"shop/web\"\ndockerfile = \"Dockerfile\" # as built";
        let result = learned(text, &[seen(&["/var/cache/web", "/tmp"])]).unwrap();
        let entry = "[[observed]]\nimage = \"shop/web\"\ncontainer = \"web/app\"\nwritable = [\"/tmp\", \"/var/cache/web\"]\nports = [8080]\n";
        assert_eq!(result, format!("{text}\n\n{entry}"));
        assert_eq!(learned("", &[seen(&["/var/cache/web", "/tmp"])]).unwrap(), entry);
        assert_eq!(learned(&result, &[seen(&["/tmp"])]).unwrap(), result, "what is there is not added again");
        let nothing = learned("", &[seen(&[])]).unwrap();
        assert!(nothing.contains("writable = []\n"), "that nothing is written was seen too");
        assert_eq!(learned(&nothing, &[seen(&[])]).unwrap(), nothing);
    }

    #[test]
    fn an_entry_that_is_there_is_added_to_in_its_own_layout() {
        let text = "# ours\n[[observed]]\nimage = 'shop/web' # the shop\ncontainer = 'web/app'\nwritable = [\n  \"/data\", # kept\n  '/tmp',\n]\n\n[cache]\nmax_age = \"0\"\n";
        let result = learned(text, &[seen(&["/a", "/b", "/data", "/zoo"])]).unwrap();
        let expected = text
            .replace("  \"/data\"", "  \"/a\",\n  \"/b\",\n  \"/data\"")
            .replace("'/tmp'", "'/tmp',\n  \"/zoo\"")
            .replace("# the shop\n", "# the shop\nports = [8080]\n");
        assert_eq!(result, expected);
        assert_eq!(learned(&result, &[seen(&["/a"])]).unwrap(), result);
    }

    #[test]
    fn lists_of_any_form_are_added_to() {
        let with = |list: &str| {
            format!(
                "[[observed]]\r\nimage = 'shop/web'\r\ncontainer = 'web/app'\r\nports = [80, 9000]\r\nwritable = {list}\r\n"
            )
        };
        for (list, expected) in [
            ("[]", "[\"/b\", \"/d\"]"),
            ("[ ]", "[\"/b\", \"/d\" ]"),
            ("['/c']", "[\"/b\", '/c', \"/d\"]"),
            ("[ '/a', '/e', ]", "[ '/a', \"/b\", \"/d\", '/e', ]"),
        ] {
            let expected = with(expected).replace("80, 9000", "80, 8080, 9000");
            assert_eq!(learned(&with(list), &[seen(&["/b", "/d"])]).unwrap(), expected, "{list}");
        }
    }

    #[test]
    fn what_is_known_of_every_container_is_not_said_again() {
        let text = "[[observed]]\nimage = 'shop/web'\nwritable = ['/tmp']\nports = [8080]\n";
        assert_eq!(learned(text, &[seen(&["/tmp"])]).unwrap(), text);
        let result = learned(text, &[seen(&["/tmp", "/logs"])]).unwrap();
        assert!(result.ends_with("container = \"web/app\"\nwritable = [\"/logs\"]\n"), "{result}");
    }

    #[test]
    fn what_cannot_be_added_to_is_an_error() {
        assert!(learned("observed = [{ image = 'other' }]\n", &[seen(&["/tmp"])]).is_err());
        assert!(learned("udi = 5\n", &[seen(&["/tmp"])]).unwrap_err().to_string().contains("udi"));
        assert_eq!(learned("uid = 5\n", &[]).unwrap(), "uid = 5\n");
    }
}
