//! Edits: what a transform wants changed, as spans of the text it looked at, and the one function that applies them.

use crate::source::Span;

/// Replaces the bytes of `span` by `text`. An empty span inserts, an empty text deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where, in bytes of the text before any edit.
    pub span: Span,
    /// What stands there afterwards.
    pub text: String,
}

impl Edit {
    /// Puts `text` before the byte at `offset`.
    pub fn insert(offset: usize, text: impl Into<String>) -> Self {
        Self { span: Span::at(offset), text: text.into() }
    }

    /// Puts `text` in the place of `span`.
    pub fn replace(span: Span, text: impl Into<String>) -> Self {
        Self { span, text: text.into() }
    }

    /// Removes `span`.
    pub fn delete(span: Span) -> Self {
        Self { span, text: String::new() }
    }
}

/// Edits of one text: ordered, and no two touch the same byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditSet {
    /// Invariant: sorted by start; each span ends at or before the next one starts. Insertions at one offset
    /// stay in the order in which they were added, and come before a replacement that starts there.
    edits: Vec<Edit>,
    /// Where each edit's text begins in the text after all of them.
    begins: Vec<usize>,
}

/// Two edits of one set touch the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two edits overlap: bytes {}..{} and {}..{}", .0.start, .0.end, .1.start, .1.end)]
pub struct Overlap(pub Span, pub Span);

impl EditSet {
    /// Sorts `edits` and checks that they are disjoint.
    ///
    /// # Errors
    /// [`Overlap`] names the first two edits that touch the same bytes.
    pub fn new(mut edits: Vec<Edit>) -> Result<Self, Overlap> {
        // A stable sort keeps the order of insertions at one offset; an insertion sorts before a replacement there.
        edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
        for pair in edits.windows(2) {
            if pair[0].span.end > pair[1].span.start {
                return Err(Overlap(pair[0].span, pair[1].span));
            }
        }
        let mut grown = 0;
        let mut shrunk = 0;
        let begins = edits.iter().map(|edit| {
            let begin = edit.span.start + grown - shrunk;
            grown += edit.text.len();
            shrunk += edit.span.len();
            begin
        });
        let begins = begins.collect();
        Ok(Self { edits, begins })
    }

    /// The edits in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Edit> {
        self.edits.iter()
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Where the byte at `offset` of the text after the edits stood before them; for an inserted byte, where it was inserted.
    pub fn before(&self, offset: usize) -> usize {
        let following = self.begins.partition_point(|begin| *begin <= offset);
        let Some(index) = following.checked_sub(1) else { return offset };
        let (edit, into) = (&self.edits[index], offset - self.begins[index]);
        match into.checked_sub(edit.text.len()) {
            None => edit.span.start,
            Some(behind) => edit.span.end + behind,
        }
    }

    /// The text after all edits.
    ///
    /// # Panics
    /// When an edit lies outside `text` or cuts a character: the edits were made for another text.
    pub fn apply(&self, text: &str) -> String {
        let added: usize = self.edits.iter().map(|edit| edit.text.len()).sum();
        let mut after = String::with_capacity(text.len() + added);
        let mut copied = 0;
        for edit in &self.edits {
            after.push_str(&text[copied..edit.span.start]);
            after.push_str(&edit.text);
            copied = edit.span.end;
        }
        after.push_str(&text[copied..]);
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insertions_at_one_offset_keep_their_order_and_precede_a_replacement() {
        let edits = vec![
            Edit::replace(Span::new(1, 2), "B"),
            Edit::insert(1, "x"),
            Edit::insert(1, "y"),
            Edit::delete(Span::new(2, 3)),
        ];
        assert_eq!(EditSet::new(edits).unwrap().apply("abcd"), "axyBd");
    }

    #[test]
    fn places_after_the_edits_are_found_before_them() {
        let edits = EditSet::new(vec![Edit::insert(1, "xx"), Edit::delete(Span::new(2, 3))]).unwrap();
        assert_eq!(edits.apply("abcd"), "axxbd");
        assert_eq!([0, 1, 2, 3, 4, 5].map(|offset| edits.before(offset)), [0, 1, 1, 1, 3, 4]);
    }

    #[test]
    fn overlapping_edits_are_refused() {
        let edits = vec![Edit::delete(Span::new(0, 2)), Edit::insert(1, "x")];
        assert_eq!(EditSet::new(edits), Err(Overlap(Span::new(0, 2), Span::at(1))));
    }
}
