//! What a `package-lock.json` says of the packages that a Node.js program runs with.

use crate::discover::{Tree, join};
use serde_json::Value;

/// The packages of a lock file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageLock {
    /// Those that are not for development alone.
    pub production: Vec<LockedPackage>,
    /// Names of those that are for development alone.
    pub development: Vec<String>,
}

/// One package of a lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// It runs a script when it is installed, which may compile or fetch a program.
    pub has_install_script: bool,
    /// It is made for a system, a processor or a C library.
    pub is_for_a_platform: bool,
    /// Packages that it uses where they are there: its peers, required or not.
    pub peers: Vec<String>,
}

impl PackageLock {
    /// Reads the lock file of a folder. `None` when there is none, or it is of a form that does not tell what is for development (before npm 7).
    /// <https://docs.npmjs.com/cli/v11/configuring-npm/package-lock-json#packages>
    pub fn read(tree: &Tree, folder: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(&tree.read(&join(folder, "package-lock.json")?)?).ok()?;
        let packages = value.get("packages")?.as_object()?;
        let is = |package: &Value, key: &str| package.get(key).and_then(Value::as_bool) == Some(true);
        let all = packages.iter().filter(|(path, _)| !path.is_empty());
        let (development, production): (Vec<_>, Vec<_>) = all.partition(|(_, package)| is(package, "dev"));
        // Only what lies at the top is found by the program itself.
        let at_top = development.into_iter().filter_map(|(path, _)| path.strip_prefix("node_modules/"));
        let development = at_top.filter(|name| !name.contains("node_modules/")).map(str::to_owned).collect();
        let production = production.into_iter().map(|(path, package)| LockedPackage {
            name: path.rsplit("node_modules/").next().unwrap_or_default().to_owned(),
            has_install_script: is(package, "hasInstallScript"),
            is_for_a_platform: ["os", "cpu", "libc"].iter().any(|key| package.get(key).is_some()),
            peers: ["peerDependencies", "peerDependenciesMeta"]
                .iter()
                .filter_map(|key| package.get(key)?.as_object())
                .flat_map(|peers| peers.keys().cloned())
                .collect(),
        });
        Some(Self { production: production.collect(), development })
    }
}
