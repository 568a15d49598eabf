//! What is claimed about an application, put to the test: it starts as found, it answers the same once hardened, and the
//! hardenings that only look right do not.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::application::{Application, Naive};
use crate::build::Images;
use crate::judge::{Trial, Verdict};
use crate::kubelet::ImageVolumes;
use crate::lab::{Lab, Result};
use crate::manifest;
use crate::say;
use crate::table::Row;

/// Runs every tree of one application; the rows of the table, in order.
pub(crate) fn run(lab: &Lab, images: &Images<'_>, application: &Application) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut add = |what: &str, outcome: String, right: bool| {
        say(&format!("{}: {what}: {outcome}", application.name));
        rows.push(Row { application: application.name.clone(), what: what.to_owned(), outcome, right });
    };
    let tree = application.tree();
    let documents = manifest::documents(&tree, &application.manifests)?;
    let judge = |tree: &Path, documents: &[Value], image_volumes: ImageVolumes| {
        let claims = lab.scratch("claims")?;
        Trial { lab, images, application, tree, documents, image_volumes, claims: &claims }.run()
    };

    let found = match judge(&tree, &documents, ImageVolumes::Writable)? {
        Verdict::Answers { bodies, settings } => {
            add("as found", format!("answers {}", bodies.len()), true);
            for (container, settings) in settings {
                add(&format!("  {container}"), settings, true);
            }
            bodies
        }
        Verdict::Fails(reason) => {
            add("as found", format!("void, it does not run: {reason}"), false);
            return Ok(rows);
        }
    };
    for naive in &application.naive {
        let (outcome, right) = match judge(&tree, &naively(&documents, naive), ImageVolumes::Writable)? {
            Verdict::Fails(reason) if reason.contains(&naive.fails) => (format!("fails: {}", naive.fails), true),
            Verdict::Fails(reason) => (format!("fails otherwise: {reason}"), false),
            Verdict::Answers { .. } => ("answers, and must not".to_owned(), false),
        };
        add(&naive.name, outcome, right);
    }
    Ok(rows)
}

/// The documents with the naive settings merged in.
fn naively(documents: &[Value], naive: &Naive) -> Vec<Value> {
    let mut documents = documents.to_vec();
    for document in &mut documents {
        let Some(spec) = manifest::pod_template(document).and_then(|template| template.get_mut("spec")) else {
            continue;
        };
        let mut touched = false;
        for container in spec.get_mut("containers").and_then(Value::as_array_mut).into_iter().flatten() {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
            if naive.containers.is_empty() || naive.containers.iter().any(|wanted| wanted == name) {
                merge(container, &naive.container);
                touched = true;
            }
        }
        if touched {
            merge(spec, &naive.pod);
        }
    }
    documents
}

fn merge(owner: &mut Value, settings: &Map<String, Value>) {
    let Some(owner) = owner.as_object_mut() else { return };
    let context = owner.entry("securityContext").or_insert_with(|| json!({}));
    if let Some(context) = context.as_object_mut() {
        context.extend(settings.clone());
    }
}
