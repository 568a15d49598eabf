//! What came out, as one table: printed, and kept in `snapshots/e2e.txt` so that a change of any verdict is seen in review.

use std::fs;
use std::path::Path;

use crate::lab::Result;
use crate::say;

/// One line of the table.
pub(crate) struct Row {
    pub(crate) application: String,
    /// Which tree, or which container of it.
    pub(crate) what: String,
    /// What happened. Nothing in it may differ from run to run.
    pub(crate) outcome: String,
    /// Whether that is what must happen.
    pub(crate) right: bool,
}

/// Prints the table; a complete one is compared with the snapshot, or replaces it with `UNROOT_BLESS=1`.
pub(crate) fn finish(rows: &[Row], complete: bool) -> Result<bool> {
    let table = render(rows);
    say(&format!("\n{table}"));
    let wrong = rows.iter().filter(|row| !row.right).count();
    if wrong > 0 {
        say(&format!("{wrong} not as it must be"));
        return Ok(false);
    }
    if !complete {
        return Ok(true);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/e2e.txt");
    if std::env::var_os("UNROOT_BLESS").is_some_and(|value| value == "1") {
        fs::create_dir_all(file.parent().unwrap_or(&file))?;
        fs::write(&file, &table)?;
    }
    let same = fs::read_to_string(&file).is_ok_and(|kept| kept == table);
    if !same {
        say("the table differs from snapshots/e2e.txt; UNROOT_BLESS=1 keeps this one");
    }
    Ok(same)
}

fn render(rows: &[Row]) -> String {
    let width = |text: fn(&Row) -> &str| rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0);
    let (first, second) = (width(|row| &row.application), width(|row| &row.what));
    let mut table = String::new();
    let mut last = "";
    for row in rows {
        if row.application != last && !last.is_empty() {
            table.push('\n');
        }
        let application = if row.application == last { "" } else { &row.application };
        let mark = if row.right { "" } else { "WRONG: " };
        let outcome = row.outcome.replace('\n', &format!("\n{:first$}      ", ""));
        let line = format!("{application:first$}  {:second$}  {mark}{outcome}", row.what);
        table.push_str(line.trim_end());
        table.push('\n');
        last = &row.application;
    }
    table
}
