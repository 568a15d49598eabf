//! The invariants of a step that belong to no single engine. Each function proves one sentence; a failure is a defect of this program.

use crate::edit::EditSet;
use crate::kubernetes::Workload;

/// Every byte outside a planned edit is identical: taking the insertions out of the result and putting the deletions back gives the text before.
///
/// # Errors
/// Says that it is not so.
pub fn only_planned_bytes_differ(before: &str, edits: &EditSet, after: &str) -> Result<(), String> {
    let mut restored = String::with_capacity(before.len());
    let mut rest = after;
    let mut at = 0;
    for edit in edits.iter() {
        let kept = edit.span.start - at;
        let taken = rest.get(..kept).ok_or("the result is shorter than the plan")?;
        restored.push_str(taken);
        restored.push_str(edit.span.of(before));
        rest = rest[kept..].strip_prefix(edit.text.as_str()).ok_or("an edit is not where it was planned")?;
        at = edit.span.end;
    }
    restored.push_str(rest);
    if restored == before { Ok(()) } else { Err("a byte outside the planned edits differs".to_owned()) }
}

/// The same workloads with the same containers stand in the file, in the same places.
///
/// # Errors
/// Says that it is not so.
pub fn same_workloads(before: &[Workload], after: &[Workload]) -> Result<(), String> {
    let shape = |workloads: &[Workload]| -> Vec<(usize, String, Vec<String>)> {
        let names = |workload: &Workload| workload.containers.iter().map(|container| container.name.clone()).collect();
        workloads.iter().map(|workload| (workload.document, workload.label(), names(workload))).collect()
    };
    if shape(before) == shape(after) { Ok(()) } else { Err("the workloads of the file are not the same".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::Edit;
    use crate::source::Span;

    #[test]
    fn a_stray_byte_is_noticed() {
        let edits = EditSet::new(vec![Edit::insert(1, "X"), Edit::delete(Span::new(2, 3))]).unwrap();
        assert_eq!(edits.apply("abcd"), "aXbd");
        assert_eq!(only_planned_bytes_differ("abcd", &edits, "aXbd"), Ok(()));
        for wrong in ["aXb", "aXbdd", "aYbd", "bXbd", ""] {
            assert!(only_planned_bytes_differ("abcd", &edits, wrong).is_err(), "{wrong}");
        }
    }
}
