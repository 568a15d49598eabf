//! The marks `proved = true` of the image table, set line by line: everything else in its files stays as a person wrote it.

use unroot::image::{KnownImage, Versions};

/// The files of the table, relative to the root.
pub(crate) const TABLES: [&str; 4] =
    ["src/image/bases.toml", "src/image/databases.toml", "src/image/known.toml", "src/image/tools.toml"];

/// The line itself. It stands above the line that begins with `ABOVE`, the last of a row.
const MARK: &str = "proved = true\n";
const ABOVE: &str = "source = ";

/// The text of a file of the table with the mark on the rows in `proved` and on no other, and each row for which that is a change.
///
/// # Errors
/// The text is not TOML, or a row is not of the table's form.
pub(crate) fn remarked(text: &str, proved: &[KnownImage]) -> Result<(String, Vec<String>), String> {
    let mut remarked = String::new();
    let mut changes = Vec::new();
    for piece in pieces(text) {
        let Some(row) = row_of(piece)? else {
            remarked.push_str(piece);
            continue;
        };
        let is_proved = proved.iter().any(|known| row.is(known));
        if is_proved == row.marked {
            remarked.push_str(piece);
            continue;
        }
        let instead = if is_proved { format!("{MARK}{ABOVE}") } else { ABOVE.to_owned() };
        remarked.push_str(&piece.replace(MARK, "").replacen(ABOVE, &instead, 1));
        changes.push(format!(
            "{}: {}",
            row.described(),
            if is_proved { "proved, not marked" } else { "marked, not proved" }
        ));
    }
    Ok((remarked, changes))
}

/// What tells a row from the others, and its mark.
struct Row {
    names: Vec<String>,
    tag: Option<String>,
    versions: Option<Versions>,
    marked: bool,
}

impl Row {
    /// Whether it is this row of the program's table, where each name has one of its own.
    fn is(&self, known: &KnownImage) -> bool {
        self.names.contains(&known.name) && self.tag == known.tag && self.versions == known.versions
    }

    fn described(&self) -> String {
        let name = self.names.first().map_or("", String::as_str);
        let tag = self.tag.as_deref().map(|tag| format!(", tag {tag}")).unwrap_or_default();
        let versions = self.versions.as_ref().map(|versions| format!(", {versions:?}")).unwrap_or_default();
        format!("{name}{tag}{versions}")
    }
}

/// The text cut above each row; in front, what stands above the first.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("\n[[image]]\n") {
        let (piece, after) = rest.split_at(at + 1);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// The row that a piece holds, if it holds one.
fn row_of(piece: &str) -> Result<Option<Row>, String> {
    let table: toml::Table = toml::from_str(piece).map_err(|error| error.to_string())?;
    let Some(row) = table.get("image").and_then(|rows| rows.get(0)) else { return Ok(None) };
    let text = |value: &toml::Value| value.as_str().map(str::to_owned);
    let also = row.get("also").and_then(toml::Value::as_array).into_iter().flatten();
    Ok(Some(Row {
        names: row.get("name").into_iter().chain(also).filter_map(text).collect(),
        tag: row.get("tag").and_then(text),
        versions: row.get("versions").and_then(text).map(Versions::try_from).transpose()?,
        marked: row.get("proved").and_then(toml::Value::as_bool) == Some(true),
    }))
}
