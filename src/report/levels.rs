//! The Pod Security levels of a run's workloads, and totals that add up.

use super::styles::{FIXED, HEADING, PERSON, QUIET};
use crate::kubernetes::pod_security::{Level, Policy};
use crate::levels::WorkloadLevel;
use crate::source::printable;
use std::fmt::Write;

/// One line for each workload, below it what keeps it from `target`, and a table of how many were and are at which level.
pub fn table(workloads: &[WorkloadLevel], target: Policy) -> String {
    let mut text = format!("{HEADING}Pod Security levels, and what is missing for {target}{HEADING:#}\n");
    let mut path = "";
    for workload in workloads {
        if workload.path != path {
            path = &workload.path;
            let _ = writeln!(text, "{HEADING}{}{HEADING:#}", printable(path));
        }
        let (place, label) = (workload.position.to_string(), printable(&workload.label));
        let levels = match (workload.before, workload.after) {
            (before, after) if before == after => format!("{QUIET}{before}{QUIET:#}"),
            (before, after) => format!("{before} -> {FIXED}{after}{FIXED:#}"),
        };
        let _ = writeln!(text, "  {place:>7}  {label}: {levels}");
        for violation in &workload.missing {
            let _ =
                writeln!(text, "           {PERSON}{}{PERSON:#}: {}", violation.check, printable(&violation.message));
        }
    }
    text.push('\n');
    let _ = writeln!(text, "{:<12}{:>8}{:>8}", "workloads", "before", "after");
    for level in Level::ALL {
        let count = |of: fn(&WorkloadLevel) -> Level| workloads.iter().filter(|workload| of(workload) == level).count();
        let (before, after) = (count(|workload| workload.before), count(|workload| workload.after));
        let _ = writeln!(text, "{level:<12}{before:>8}{after:>8}");
    }
    let _ = writeln!(text, "{:<12}{:>8}{:>8}\n", "all", workloads.len(), workloads.len());
    text
}
