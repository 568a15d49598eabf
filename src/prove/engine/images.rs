//! What images say of themselves: configuration and accounts.

use super::Kind;
use super::held::{Held, Thing};
use super::node::EngineNode;
use super::tar;
use crate::image::Reference;
use crate::prove::kubelet::{Accounts, ImageConfig};
use crate::prove::node::Image;
use crate::prove::objects::strip_nulls;
use crate::prove::{Failure, Result};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// What engines say of an image; all three agree on these names.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    config: ImageConfig,
}

impl EngineNode {
    /// Finds an image that is there, or pulls it; a cluster's pull policy does not matter, because nothing is asked of an old one.
    pub(super) fn find_image(&self, name: &str) -> Result<Image> {
        // Engines complete short names in ways of their own; clusters know one.
        let qualified = Reference::parse(name).ok().map(|reference| qualified(&reference));
        let mut found = None;
        for name in qualified.as_deref().into_iter().chain([name]) {
            found = match found {
                None => self.inspect_image(name)?,
                some => some,
            };
        }
        let inspected = match found {
            Some(inspected) => inspected,
            None => {
                let name = qualified.as_deref().unwrap_or(name);
                self.engine.call("pull").args(["--quiet", name]).text()?;
                self.inspect_image(name)?.ok_or_else(|| Failure::new(format!("{name} was pulled and is not there")))?
            }
        };
        let accounts = self.accounts(&inspected.id)?;
        let absent = match self.engine.kind {
            Kind::Podman => self.absent(&inspected)?,
            Kind::Docker | Kind::Nerdctl => BTreeSet::new(),
        };
        Ok(Image { id: inspected.id, config: inspected.config, accounts, absent })
    }

    /// The volumes of the image whose folders it does not have. Podman would give such a one to the user of the container, and a cluster gives it to root.
    fn absent(&self, image: &Inspected) -> Result<BTreeSet<String>> {
        let mut absent = BTreeSet::new();
        let Some(volumes) = image.config.volumes.as_ref().filter(|volumes| !volumes.is_empty()) else {
            return Ok(absent);
        };
        let container = self.created(&image.id)?;
        for path in volumes.keys() {
            let place = format!("{}:{path}", container.name());
            if self.engine.call("cp").args([&place, "-"]).beginning(1)?.is_empty() {
                absent.insert(path.clone());
            }
        }
        Ok(absent)
    }

    fn inspect_image(&self, name: &str) -> Result<Option<Inspected>> {
        let output = self.engine.call("image").args(["inspect", name]).output()?;
        if !output.success {
            return Ok(None);
        }
        let mut value: Value = serde_json::from_slice(&output.stdout)?;
        strip_nulls(&mut value);
        // A list, because several names may be asked for.
        Ok(value.get(0).map(Inspected::deserialize).transpose()?)
    }

    /// A container of the image that is never started.
    pub(super) fn created(&self, id: &str) -> Result<Held> {
        let container = Held::new(&self.engine, Thing::Container, self.name("image"));
        let call = self.engine.call("create").args(self.labels(container.name()));
        let call = if self.engine.kind == Kind::Podman { call.arg("--image-volume=ignore") } else { call };
        call.args(["--pull=never", "--network", "none", "--entrypoint", "", id, "none"]).text()?;
        Ok(container)
    }

    /// The image's accounts, without starting anything.
    fn accounts(&self, id: &str) -> Result<Accounts> {
        let container = self.created(id)?;
        let file = |path: &str| -> Result<String> {
            let mut call = self.engine.call("cp");
            if self.engine.kind == Kind::Docker {
                call = call.arg("--follow-link");
            }
            let output = call.args([&format!("{}:{path}", container.name()), "-"]).output()?;
            // An image without accounts is no rarity.
            let content = if output.success { tar::first_file(&output.stdout) } else { None };
            Ok(String::from_utf8_lossy(content.unwrap_or_default()).into_owned())
        };
        Ok(Accounts { passwd: file("/etc/passwd")?, group: file("/etc/group")? })
    }
}

/// The whole name. Where a digest is given, the tag says nothing more, and some engines refuse both together.
fn qualified(reference: &Reference) -> String {
    let end = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => format!("@{digest}"),
        (None, tag) => format!(":{}", tag.unwrap_or("latest")),
    };
    format!("{}/{}{end}", reference.registry(), reference.repository())
}
