//! What `unroot prove --learn` wrote down: where containers write, and which ports they listen on.

use serde::Deserialize;

/// One `[[observed]]` table. Its keys mean what they mean in the rows of known images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObservedEntry {
    /// The image as manifests name it; a tag or digest is not compared unless it is written here.
    pub image: String,
    /// Workload and container, `web/app`; without it the entry is about every container of the image.
    pub container: Option<String>,
    /// The directories that it writes to, outside of every mount, all of them. An empty list says that there are none; without the key it is not known.
    pub writable: Option<Vec<String>>,
    /// Those of them that hold files of the image, which a volume mounted there would hide.
    #[serde(default)]
    pub filled: Vec<String>,
    /// The TCP ports that it listens on; none where that was not looked at.
    #[serde(default)]
    pub ports: Vec<u16>,
}

impl ObservedEntry {
    /// Whether it is about a container, named `workload/container`, of an image as its manifest names it.
    pub fn is_about(&self, image: &str, container: &str) -> bool {
        let rest = image.strip_prefix(&self.image);
        let is_image = rest.is_some_and(|rest| {
            rest.is_empty() || rest.starts_with('@') || rest.starts_with(':') && !rest.contains('/')
        });
        is_image && self.container.as_deref().is_none_or(|own| own == container)
    }

    /// What must hold of what is written there.
    pub(super) fn check(&self) -> Result<(), String> {
        let image = &self.image;
        if image.is_empty() || self.container.as_deref().is_some_and(|name| name.split('/').count() != 2) {
            return Err(format!("the [[observed]] of {image:?} names an image and, where it must, WORKLOAD/CONTAINER"));
        }
        let is_plain = |path: &str| {
            path == "/"
                || path
                    .strip_prefix('/')
                    .is_some_and(|rest| !rest.split('/').any(|part| matches!(part, "" | "." | "..")))
        };
        match self.writable.iter().flatten().chain(&self.filled).find(|path| !is_plain(path)) {
            Some(path) => {
                Err(format!("the [[observed]] of {image:?}: {path:?} is not an absolute path in its plain form"))
            }
            None if self.ports.contains(&0) => Err(format!("the [[observed]] of {image:?}: 0 is no port")),
            None => Ok(()),
        }
    }
}

impl super::Config {
    /// All that was observed of a container, named `workload/container`, of an image as its manifest names it; `None` where nothing was.
    pub fn observed(&self, image: &str, container: &str) -> Option<ObservedEntry> {
        let entries = self.observed.iter().filter(|entry| entry.is_about(image, container));
        entries.cloned().reduce(|mut all, entry| {
            if let Some(writable) = entry.writable {
                all.writable.get_or_insert_default().extend(writable);
            }
            all.filled.extend(entry.filled);
            all.ports.extend(entry.ports);
            all
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(&format!("[[observed]]\n{text}\n"))
    }

    #[test]
    fn an_entry_is_about_an_image_and_perhaps_one_container() {
        let config = parse("image = 'shop/web'\nwritable = ['/var/cache/web']\n[[observed]]\nimage = 'shop/web'\ncontainer = 'web/app'\nwritable = ['/tmp']\nports = [8080]").unwrap();
        let writable = |image: &str, container: &str| config.observed(image, container)?.writable;
        assert_eq!(writable("shop/web:2", "web/app").unwrap(), ["/var/cache/web", "/tmp"]);
        assert_eq!(writable("shop/web@sha256:0", "job/app").unwrap(), ["/var/cache/web"]);
        assert_eq!(writable("shop/webshop", "web/app"), None);
        assert_eq!(writable("registry.example/shop/web", "web/app"), None);
        assert_eq!(config.observed("shop/web", "web/app").unwrap().ports, [8080]);
    }

    #[test]
    fn an_empty_list_is_not_the_same_as_none() {
        assert_eq!(parse("image = 'a'").unwrap().observed("a", "a/a").unwrap().writable, None);
        assert_eq!(
            parse("image = 'a'\nwritable = []").unwrap().observed("a", "a/a").unwrap().writable,
            Some(Vec::new())
        );
    }

    #[test]
    fn what_has_no_meaning_is_an_error_that_names_the_image() {
        for wrong in [
            "image = ''",
            "image = 'web'\ncontainer = 'app'",
            "image = 'web'\nwritable = ['tmp']",
            "image = 'web'\nwritable = ['/tmp/']",
            "image = 'web'\nwritable = ['/a/../etc']",
            "image = 'web'\nports = [0]",
        ] {
            assert!(parse(wrong).unwrap_err().contains("[[observed]]"), "{wrong}");
        }
        assert!(parse("image = 'web'\nwrites = ['/tmp']").unwrap_err().contains("writes"));
        assert!(parse("image = 'web'\nwritable = ['/', '/app']").is_ok());
    }
}
