//! What containers are to be given that say nothing of it: `[resources]` of `unroot.toml`.

use serde::Deserialize;

/// Requests and limits, as a person stated them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Table")]
pub struct Resources {
    /// What a container is given at least; the scheduler goes by it.
    pub requests: Amounts,
    /// What it is given at most: beyond its memory it is killed, beyond its CPU it waits.
    pub limits: Amounts,
}

/// An amount of each resource, in the notation of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Amounts {
    /// In cores: `250m`, `1.5`.
    pub cpu: Option<String>,
    /// In bytes: `128Mi`.
    pub memory: Option<String>,
    /// In bytes: what logs and the container's own files may take.
    pub ephemeral_storage: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    requests: Amounts,
    limits: Amounts,
}

impl Amounts {
    /// The amounts that are stated, by the names that Kubernetes has for them.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [("cpu", &self.cpu), ("memory", &self.memory), ("ephemeral-storage", &self.ephemeral_storage)];
        all.into_iter().filter_map(|(name, amount)| Some((name, amount.as_deref()?)))
    }
}

impl TryFrom<Table> for Resources {
    type Error = String;

    /// Holds the amounts to what the API server accepts, so that nothing is written that it would refuse.
    fn try_from(table: Table) -> Result<Self, String> {
        let Table { requests, limits } = table;
        if requests.entries().chain(limits.entries()).next().is_none() {
            return Err("[resources] states neither requests nor limits".to_owned());
        }
        for (list, amounts) in [("requests", &requests), ("limits", &limits)] {
            for (name, amount) in amounts.entries() {
                check(name, amount).map_err(|why| format!("resources.{list}.{name} = {amount:?} {why}"))?;
            }
        }
        for (name, limit) in limits.entries() {
            let request = requests.entries().find(|(other, _)| *other == name).map(|(_, request)| request);
            if let Some(request) = request
                && quantity(request) > quantity(limit)
            {
                return Err(format!("resources.requests.{name} = {request:?} is above the limit {limit:?}"));
            }
        }
        Ok(Self { requests, limits })
    }
}

fn check(name: &str, amount: &str) -> Result<(), String> {
    let Some(value) = quantity(amount) else {
        return Err("is not a quantity as Kubernetes writes it, such as 250m or 128Mi".to_owned());
    };
    // Further than f64 can tell apart, nobody states a share of a core.
    let thousandths = value * 1000.0;
    if value <= 0.0 {
        return Err("is nothing; leave it out".to_owned());
    }
    if name == "cpu" && (thousandths - thousandths.round()).abs() > 1e-6 {
        return Err("is finer than 1m, a thousandth of a core".to_owned());
    }
    if name != "cpu" && value < 1.0 {
        return Err("is less than one byte: m stands for thousandths, M or Mi for millions".to_owned());
    }
    Ok(())
}

/// The number behind a quantity, in cores or bytes; signs, which make no sense here, are not taken
/// (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>).
fn quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 16] = [
        ("", 1.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
    ];
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    if let Some((_, factor)) = SUFFIXES.iter().find(|(known, _)| *known == suffix) {
        return Some(number * factor);
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    (exponent.abs() <= 18).then(|| number * 10f64.powi(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_does() {
        for (text, value) in [
            ("1", 1.0),
            ("0.5", 0.5),
            (".5", 0.5),
            ("250m", 0.25),
            ("128Mi", 134_217_728.0),
            ("1k", 1000.0),
            ("1e3", 1000.0),
            ("1E3", 1000.0),
            ("2E", 2e18),
        ] {
            assert_eq!(quantity(text), Some(value), "{text}");
        }
        for text in ["", "m", ".", "1.2.3", "1 Gi", "1gb", "128MB", "1K", "-1", "+1", "1e", "1e99"] {
            assert_eq!(quantity(text), None, "{text:?}");
        }
    }

    fn read(text: &str) -> Result<Resources, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_api_server_would_refuse_is_an_error_that_says_where() {
        for (text, why) in [
            ("requests.memory = \"128m\"", "resources.requests.memory = \"128m\" is less than one byte"),
            ("limits.cpu = \"0.0001\"", "finer than 1m"),
            ("limits.cpu = \"0\"", "is nothing"),
            ("limits.memory = \"1GB\"", "is not a quantity"),
            ("requests.cpu = \"2\"\nlimits.cpu = \"1500m\"", "is above the limit"),
            ("requests.gpu = \"1\"", "gpu"),
            ("requests = {}", "neither"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let resources = read("requests = { memory = \"64Mi\", cpu = \"10m\" }\nlimits.memory = \"0.5Gi\"").unwrap();
        assert_eq!(resources.requests.entries().collect::<Vec<_>>(), [("cpu", "10m"), ("memory", "64Mi")]);
    }
}
