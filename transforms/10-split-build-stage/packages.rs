//! Packages of the distribution, where the final stage has the same base: those that compile stay in the build, the others are installed again.

use super::survey::{self, Survey};
use crate::facts::ImageFacts;

/// Flags that say nothing of what is installed, or that are repeated with it.
const FLAGS: [&str; 12] = [
    "-y",
    "--yes",
    "--assume-yes",
    "-q",
    "-qq",
    "-qy",
    "-yq",
    "-yqq",
    "--no-install-recommends",
    "--no-cache",
    "--update",
    "-U",
];

/// What is compiled against on Debian, and what of it is needed at run time. Names are those of Debian 11 to 13
/// (<https://packages.debian.org/stable/libdevel/>).
const LIBRARIES: [(&str, &str); 11] = [
    ("libpq-dev", "libpq5"),
    ("default-libmysqlclient-dev", "libmariadb3"),
    ("libmariadb-dev", "libmariadb3"),
    ("libxml2-dev", "libxml2"),
    ("libxslt1-dev", "libxslt1.1"),
    ("libxslt-dev", "libxslt1.1"),
    ("libyaml-dev", "libyaml-0-2"),
    ("libsqlite3-dev", "libsqlite3-0"),
    ("libjpeg-dev", "libjpeg62-turbo"),
    ("libjpeg62-turbo-dev", "libjpeg62-turbo"),
    ("libsasl2-dev", "libsasl2-2"),
];

/// Whether a command installs packages by their names, and nothing else.
pub(super) fn installs(words: &[&str]) -> bool {
    named(words).is_some()
}

/// Whether packages are installed of which something can stay in the build.
pub(super) fn leaves_any(image: &ImageFacts<'_>, survey: &Survey) -> bool {
    let libraries = libraries(image);
    survey.commands.iter().any(|(_, command)| {
        let words = survey::words(command);
        named(&words)
            .is_some_and(|(_, packages)| packages.into_iter().any(|package| kept(package, libraries) != Some(package)))
    })
}

/// The line that installs in the final stage what does not compile; `None` where nothing is left of it. A package of which nothing is known stays whole:
/// one to compile against brings what it is compiled against.
pub(super) fn line(image: &ImageFacts<'_>, survey: &Survey) -> Option<String> {
    let mut flags: Vec<&str> = Vec::new();
    let mut packages: Vec<&str> = Vec::new();
    let commands: Vec<Vec<&str>> = survey.commands.iter().map(|(_, command)| survey::words(command)).collect();
    for (named_flags, named) in commands.iter().filter_map(|words| named(words)) {
        flags.extend(named_flags);
        packages.extend(named.into_iter().filter_map(|package| kept(package, libraries(image))));
    }
    let mut seen = std::collections::BTreeSet::new();
    packages.retain(|package| seen.insert(*package));
    if packages.is_empty() {
        return None;
    }
    let packages = packages.join(" ");
    if image.family == Some(crate::image::Family::Alpine) {
        return Some(format!("RUN apk add --no-cache {packages}"));
    }
    let sparing = if flags.contains(&"--no-install-recommends") { "--no-install-recommends " } else { "" };
    Some(format!(
        "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y {sparing}{packages} && rm -rf /var/lib/apt/lists/*"
    ))
}

/// Flags and packages of a command that installs.
fn named<'w>(words: &[&'w str]) -> Option<(Vec<&'w str>, Vec<&'w str>)> {
    let verb = match words.first()? {
        &"apt-get" | &"apt" => "install",
        &"apk" => "add",
        _ => return None,
    };
    let rest = words.get(1..)?;
    let (before, after) = rest.split_at(rest.iter().position(|word| *word == verb)?);
    let (flags, packages): (Vec<&str>, Vec<&str>) =
        before.iter().chain(after.iter().skip(1)).partition(|word| word.starts_with('-'));
    let is_name = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_alphanumeric())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-=:~_".contains(&byte))
    };
    let is_plain = flags.iter().all(|flag| FLAGS.contains(flag)) && packages.iter().all(is_name);
    (is_plain && !packages.is_empty()).then_some((flags, packages))
}

/// The names that hold for a base.
fn libraries(image: &ImageFacts<'_>) -> &'static [(&'static str, &'static str)] {
    let is_debian =
        image.known_base.is_some_and(|base| ["debian", "node", "python", "ruby"].contains(&base.name.as_str()));
    let tag = image.base.as_ref().and_then(|base| base.tag()).unwrap_or_default();
    let is_old = ["buster", "stretch", "jessie", "wheezy"].iter().any(|release| tag.contains(release));
    if is_debian && !is_old { &LIBRARIES } else { &[] }
}

/// What the final stage needs of a package.
fn kept<'p>(package: &'p str, libraries: &[(&str, &'static str)]) -> Option<&'p str> {
    match libraries.iter().find(|(name, _)| *name == package) {
        Some((_, library)) => Some(library),
        // Certificates are trusted at run time.
        None if package == "ca-certificates" => Some(package),
        None => (!survey::is_build_package(package)).then_some(package),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(line: &str) -> Option<Vec<&str>> {
        let words: Vec<&str> = line.split(' ').collect();
        named(&words)
            .map(|(_, packages)| packages.into_iter().filter_map(|package| kept(package, &LIBRARIES)).collect())
    }

    #[test]
    fn what_compiles_stays_behind() {
        assert_eq!(packages("apt-get install -y gcc libpq-dev curl"), Some(vec!["libpq5", "curl"]));
        assert_eq!(packages("apt-get -y install --no-install-recommends build-essential"), Some(vec![]));
        assert_eq!(packages("apk add --no-cache gcc musl-dev postgresql-dev"), Some(vec!["postgresql-dev"]));
        assert_eq!(
            packages("apt-get install -y ca-certificates libfoo-dev"),
            Some(vec!["ca-certificates", "libfoo-dev"])
        );
        for unclear in [
            "apk add --virtual .build gcc",
            "apt-get install -y -t sid gcc",
            "apt-get install ./a.deb",
            "apt-get update",
            "yum install gcc",
            "apt-get install -y",
        ] {
            assert_eq!(packages(unclear), None, "{unclear}");
        }
    }
}
