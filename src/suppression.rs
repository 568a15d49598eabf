//! Comments by which an author asks to be left alone.
//!
//! `# unroot: skip[switch-user]  reason` stands on a line of its own above the instruction, container or key; several ids are separated by commas.

/// Why the thing at `offset` is to be left alone by transform `id`: the author's reason, from the comment lines directly above it.
pub fn find(text: &str, offset: usize, id: &str) -> Option<String> {
    let line_start = text.get(..offset)?.rfind(['\n', '\r']).map_or(0, |at| at + 1);
    for line in text[..line_start].lines().rev() {
        let comment = line.trim_start_matches([' ', '\t', '-', '\u{feff}']).strip_prefix('#')?;
        if let Some(reason) = reason(comment, id) {
            return Some(reason);
        }
    }
    None
}

fn reason(comment: &str, id: &str) -> Option<String> {
    let rest = comment.trim_start().strip_prefix("unroot:")?.trim_start().strip_prefix("skip[")?;
    let (ids, reason) = rest.split_once(']')?;
    let named = ids.split(',').any(|named| named.trim() == id);
    let reason = reason.trim();
    named
        .then(|| if reason.is_empty() { "a comment asks for it".to_owned() } else { reason.escape_debug().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "FROM a\n# unroot: skip[switch-user, pin-digest]  runs cron\n# more\nCMD x\n\nCMD y\n";

    #[test]
    fn comments_directly_above_count() {
        let at = TEXT.find("CMD x").unwrap();
        assert_eq!(find(TEXT, at, "switch-user").as_deref(), Some("runs cron"));
        assert_eq!(find(TEXT, at + 2, "pin-digest").as_deref(), Some("runs cron"));
    }

    #[test]
    fn other_ids_and_other_lines_do_not() {
        assert_eq!(find(TEXT, TEXT.find("CMD x").unwrap(), "split-build-stage"), None);
        assert_eq!(find(TEXT, TEXT.find("CMD y").unwrap(), "switch-user"), None);
        assert_eq!(find(TEXT, 0, "switch-user"), None);
    }
}
