//! The documents of an application's manifests.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use unroot::prove::objects::strip_nulls;

use crate::build;
use crate::lab::Result;

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
