//! Which rows of the image table the lab proves: those whose images, or what was built upon them, ran hardened and answered. The marks
//! `proved` in the table are those rows, no more and no fewer.

use std::env;
use std::fs;
use std::path::Path;

use unroot::dockerfile::{self, Base};
use unroot::image::{KnownImage, KnownImages, Reference};
use unroot::prove::judge::Settings;

use crate::application::Application;
use crate::lab::Result;
use crate::marks::{TABLES, remarked};
use crate::say;
use crate::table::Record;

/// The row that a container proves by running under these settings: that of its image or, where the tree builds the image, of what that is built upon.
pub(crate) fn row(application: &Application, tree: &Path, settings: &Settings) -> Result<Option<KnownImage>> {
    if !settings.is_restricted() {
        return Ok(None);
    }
    let built = application.images.iter().find(|image| image.name == settings.image);
    let image = match built {
        Some(image) => base(&fs::read_to_string(tree.join(&image.dockerfile))?)?,
        None => Some(settings.image.clone()),
    };
    let Some(image) = image else { return Ok(None) };
    let reference = Reference::parse(&image).map_err(|error| error.message)?;
    let row = KnownImages::default().find(&reference).cloned();
    // What the image writes is proved by a root that it cannot write.
    Ok(row.filter(|row| row.writable.is_none() || settings.config.read_only_root))
}

/// The image that the last stage of a Dockerfile is built upon.
fn base(text: &str) -> Result<Option<String>> {
    let dockerfile = dockerfile::parse(text).map_err(|error| error.message)?;
    let oldest = dockerfile.stages().last().and_then(|stage| dockerfile.chain(stage).pop());
    Ok(oldest.and_then(|stage| match &stage.base {
        Base::Image { reference, .. } => Some(reference.clone()),
        _ => None,
    }))
}

/// Whether the table's marks are the rows that a complete run proved; with `UNROOT_BLESS=1` they are made so.
pub(crate) fn finish(records: &[Record]) -> Result<bool> {
    let proved: Vec<KnownImage> = records.iter().flat_map(|record| record.proved.iter().cloned()).collect();
    let bless = env::var_os("UNROOT_BLESS").is_some_and(|value| value == "1");
    let mut right = true;
    for table in TABLES {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(table);
        let (text, changes) = remarked(&fs::read_to_string(&file)?, &proved)?;
        for change in &changes {
            say(&format!("{table}: {change}"));
        }
        if bless && !changes.is_empty() {
            fs::write(&file, text)?;
            say(&format!("{table} is marked anew; a mark alters what is written, so run the lab again"));
        }
        right &= bless || changes.is_empty();
    }
    if !right {
        say("the marks `proved` of the image table are not what this run proved; UNROOT_BLESS=1 sets them");
    }
    Ok(right)
}
