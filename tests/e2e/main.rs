//! The lab: real containers, under the settings that the manifests ask for.
//!
//! An application is built as it was found, started, and asked every question in its list; then it is hardened by `unroot`,
//! built and started under the new settings, and must give the same answers. A hardening that only looks right (each
//! application has one) must fail, so that a question which nothing can fail is noticed.
//!
//! The order of the data: [`lab`] (folders, configuration, a registry on loopback), [`bases`] (look-alike images under their real
//! names), [`application`] (what to build and what to ask), [`build`], [`manifest`] (what is read), [`network`] and [`runtime`] (what
//! is run), [`node`] (all of it, as a machine for the judge that `unroot prove` uses as well), [`trial`] (every tree of an
//! application), [`proved`] (what `unroot prove` says of them), [`table`] and [`proof`] (what came of it).
//!
//! It needs root on Linux and the tools of [`lab::TOOLS`], and says "not run" without them; with `CI` set that is a failure.
//! Everything runs in namespaces of its own which the kernel takes down with this process, so nothing is left behind.

#![allow(
    clippy::disallowed_methods,
    reason = "the lab writes in its own folder and starts other programs: that is what it is for"
)]

mod application;
mod bases;
mod build;
mod lab;
mod level;
mod manifest;
#[path = "../support/marks.rs"]
mod marks;
mod network;
mod node;
mod proof;
mod proved;
mod runtime;
mod table;
mod trial;

use std::env;
use std::io::{self, Write};
use std::process::{Command, ExitCode};

use unroot::prove::inside;

use crate::build::Images;
use crate::lab::{Lab, Result};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (first, rest) = arguments.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let result = match first {
        "lab:inside" => inside(rest),
        // In a process of its own, because it runs in the node's namespace.
        "lab:relay" => inside::main(&[&["relay".to_owned()], rest].concat()).map(|()| true).map_err(Into::into),
        "lab:probe" => node::answer_from_stdin().map(|()| true),
        _ => outside(&arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("the lab failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes one line for the person who watches; a closed pipe is no reason to stop.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Starts this program again in namespaces of its own: when the outer process dies, however it dies, the kernel ends
/// every process and removes every mount and network interface inside.
fn outside(arguments: &[String]) -> Result<bool> {
    if arguments.iter().any(|argument| argument == "--list") {
        return Ok(true);
    }
    if env::var_os("UNROOT_LAB").is_some_and(|value| value == "off") {
        say("the lab is switched off: UNROOT_LAB=off");
        return Ok(true);
    }
    if let Some(reason) = lab::obstacle() {
        say(&format!("not run: {reason}"));
        return Ok(env::var_os("CI").is_none());
    }
    let filters = arguments.iter().filter(|argument| !argument.starts_with('-'));
    let status = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"])
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(env::current_exe()?)
        .arg("lab:inside")
        .args(filters)
        .status()?;
    Ok(status.success())
}

fn inside(filters: &[String]) -> Result<bool> {
    let lab = Lab::open()?;
    bases::publish(&lab)?;
    let images = Images::new(&lab);
    let mut applications = application::all()?;
    applications.retain(|application| {
        filters.is_empty() || filters.iter().any(|filter| application.name.contains(filter.as_str()))
    });
    let records = trial::all(&lab, &images, &applications)?;
    let complete = filters.is_empty();
    images.close(complete)?;
    Ok(table::finish(&records, complete)? && (!complete || proof::finish(&records)?))
}
