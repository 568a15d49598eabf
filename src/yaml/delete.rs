//! What goes: which entries and items, the lines of block collections they stand on, and what these lines must not drag along.
//! (`flow` cuts out what stands in flow collections.)

use super::cover::after_line_end;
use super::layout::{self, Line, Member};
use super::plan::{merge_only, refuse, used_elsewhere};
use super::{Code, Kind, Node, Refusal, Stream, Style};
use crate::edit::Edit;
use crate::source::Span;

/// All that is to be deleted from one text: members of which none stands in another.
pub(super) struct Deletions<'a> {
    /// In the order of the text.
    members: Vec<Member<'a>>,
}

impl<'a> Deletions<'a> {
    /// `members` as given by [`member`], in any order.
    ///
    /// # Errors
    /// [`Code::NotFound`] where one stands in another or twice, [`Code::Alias`] where what stays needs an anchor of theirs.
    pub(super) fn new(mut members: Vec<Member<'a>>) -> Result<Self, Refusal> {
        members.sort_by_key(|member| member.first().index);
        for pair in members.windows(2) {
            if let [outer, inner] = pair
                && outer.holds(inner.value)
            {
                return Err(goes_with_another(inner.value));
            }
        }
        let deletions = Self { members };
        for node in deletions.members.iter().flat_map(|member| member.nodes()) {
            if node.is_used_by_alias() && layout::aliases_of(node).any(|alias| !deletions.holds(alias)) {
                return Err(used_elsewhere(node));
            }
        }
        Ok(deletions)
    }

    /// Whether `node` goes.
    pub(super) fn holds(&self, node: Node<'_>) -> bool {
        let following = self.members.partition_point(|member| member.first().index <= node.index);
        following.checked_sub(1).and_then(|at| self.members.get(at)).is_some_and(|member| member.holds(node))
    }

    /// Refuses to act on `node` if it goes.
    pub(super) fn check_stays(&self, node: Node<'_>) -> Result<(), Refusal> {
        if self.holds(node) { Err(goes_with_another(node)) } else { Ok(()) }
    }

    /// Refuses to leave nothing in `holder`, into which `grows` says whether something new comes.
    pub(super) fn check_not_emptied(&self, holder: Node<'_>, grows: bool) -> Result<(), Refusal> {
        if grows || Member::all(holder).iter().any(|member| !self.holds(member.value)) {
            return Ok(());
        }
        let message = "the collection would be empty; delete the entry that holds it".to_owned();
        Err(refuse(holder, Code::LastEntry, message))
    }

    /// The members of the block collection `holder` that go: whole lines into `lines`, the rest into `edits`.
    pub(super) fn plan_in_block(
        &self,
        holder: Node<'a>,
        lines: &mut Vec<Span>,
        edits: &mut Vec<Edit>,
    ) -> Result<(), Refusal> {
        let text = holder.source();
        let members = Member::all(holder);
        let mut rest = members.as_slice();
        if let Some(first) = members.first()
            && self.holds(first.value)
            && !starts_line(text, first.start)
        {
            let staying = members.iter().position(|member| !self.holds(member.value)).unwrap_or(members.len());
            let (going, staying) = members.split_at(staying);
            edits.push(Edit::delete(move_up(holder, going, staying.first())?));
            rest = staying;
        }
        for member in rest.iter().filter(|member| self.holds(member.value)) {
            check_simple(*member)?;
            let line = Line::ending(text, member.end);
            if !starts_line(text, member.start) || !line.is_free() {
                return Err(inseparable(member.value, "something else stands on its lines"));
            }
            lines.push(Span::new(member.first_line(), line.next()));
        }
        Ok(())
    }
}

/// The entry, or item, whose value is `node`.
///
/// # Errors
/// A [`Refusal`] for a root, and where the key would still be there after the deletion.
pub(super) fn member(node: Node<'_>) -> Result<Member<'_>, Refusal> {
    let root = || refuse(node, Code::NotFound, "the root of a document is not deleted".to_owned());
    let (member, holder) = Member::of(node).zip(node.parent()).ok_or_else(root)?;
    match member.key {
        Some(key) if holder.has_merged(&key.text()) => Err(merge_only(holder, &key.text())),
        _ => Ok(member),
    }
}

/// Refuses keys whose extent is not plain to see.
pub(super) fn check_simple(member: Member<'_>) -> Result<(), Refusal> {
    match member.key {
        Some(key) if key.lead().is_some() || key.style() == Style::Empty => {
            Err(inseparable(member.value, "its key is written with `?`, or not at all"))
        }
        _ => Ok(()),
    }
}

pub(super) fn inseparable(node: Node<'_>, why: &str) -> Refusal {
    refuse(node, Code::Inseparable, alone(why))
}

fn alone(why: &str) -> String {
    format!("it cannot be deleted alone: {why}")
}

fn goes_with_another(node: Node<'_>) -> Refusal {
    let message = "another operation deletes what stands here, or what it stands in".to_owned();
    refuse(node, Code::NotFound, message)
}

pub(super) fn starts_line(text: &str, offset: usize) -> bool {
    text[layout::line_start(text, offset)..offset].bytes().all(|byte| byte == b' ')
}

/// The bytes of the entries `going`, the first ones behind the dash of `holder`, up to the entry that takes their place.
fn move_up(holder: Node<'_>, going: &[Member<'_>], staying: Option<&Member<'_>>) -> Result<Span, Refusal> {
    let text = holder.source();
    let in_sequence = holder.parent().is_some_and(|parent| parent.kind() == Kind::Sequence);
    let (Some(first), Some(staying), Some(dash)) = (going.first(), staying, holder.lead().filter(|_| in_sequence))
    else {
        return Err(inseparable(holder, "nothing could take its place on the line on which the collection starts"));
    };
    let behind_dash = text[dash + 1..first.start].bytes().all(|byte| matches!(byte, b' ' | b'\t'));
    if holder.kind() != Kind::Mapping || !behind_dash {
        return Err(inseparable(first.value, "something else stands before it on its line"));
    }
    let mut following = going.iter().skip(1).chain([staying]);
    for member in going {
        check_simple(*member)?;
        let next = following.next().unwrap_or(staying);
        if !text[member.end..next.start].bytes().all(|byte| byte.is_ascii_whitespace()) {
            return Err(inseparable(member.value, "a comment stands before the entry that would move up to the dash"));
        }
    }
    check_simple(*staying)?;
    if layout::column(text, first.start) != layout::column(text, staying.start) {
        return Err(refuse(holder, Code::Misaligned, "the entries do not start in one column".to_owned()));
    }
    Ok(Span::new(first.start, staying.start))
}

/// Whole lines that go, and what stands around them.
pub(super) struct Lines<'a, 'd> {
    stream: &'a Stream,
    deletions: &'d Deletions<'a>,
    /// Sorted and disjoint.
    lines: Vec<Span>,
}

impl<'a, 'd> Lines<'a, 'd> {
    pub(super) fn new(stream: &'a Stream, deletions: &'d Deletions<'a>, mut lines: Vec<Span>) -> Self {
        lines.sort_unstable();
        Self { stream, deletions, lines }
    }

    /// Adds the deletion of the lines to `edits`, which holds all other edits already. `is_replaced` says which scalars are
    /// written anew.
    ///
    /// # Errors
    /// Where the text above the lines, or its end, would take in what stands below, or change otherwise.
    pub(super) fn plan(mut self, is_replaced: impl Fn(Node<'a>) -> bool, edits: &mut Vec<Edit>) -> Result<(), Refusal> {
        let mut at = 0;
        while at < self.lines.len() {
            let mut past = at + 1;
            while past < self.lines.len() && self.lines[past].start == self.lines[past - 1].end {
                past += 1;
            }
            let run = Span::new(self.lines[at].start, self.lines[past - 1].end);
            let above = self.above(run.start).filter(|above| layout::is_block_scalar(*above) && !is_replaced(*above));
            let text = &self.stream.text;
            let open_end = run.end == text.len() && !text.ends_with(['\n', '\r']);
            if open_end && !take_line_end(run, edits) {
                self.lines[at].start = self.line_end_above(run, above)?;
            }
            if let Some(above) = above.filter(|above| !open_end && !is_parted(above.span().end, run.end, edits)) {
                self.check_not_taken_in(run.end, above)?;
            }
            at = past;
        }
        edits.extend(self.lines.into_iter().map(Edit::delete));
        Ok(())
    }

    /// The last node that stays above `offset`, if only white space and lines that go stand between.
    fn above(&self, offset: usize) -> Option<Node<'a>> {
        let nodes = &self.stream.nodes;
        let mut index = nodes.partition_point(|node| (node.start as usize) < offset);
        let above = loop {
            index = index.checked_sub(1)?;
            let node = self.stream.node(u32::try_from(index).ok()?);
            if !self.deletions.holds(node) {
                break node;
            }
        };
        let text = &self.stream.text;
        let mut from = above.span().end;
        let first = self.lines.partition_point(|line| line.start < from);
        for line in self.lines.iter().skip(first).take_while(|line| line.start < offset) {
            if !text[from..line.start].trim_ascii().is_empty() {
                return None;
            }
            from = line.end;
        }
        text.get(from..offset).filter(|gap| gap.trim_ascii().is_empty()).map(|_| above)
    }

    /// The offset of the line end above `run`, which goes with it because the text ends without one.
    fn line_end_above(&self, run: Span, above: Option<Node<'_>>) -> Result<usize, Refusal> {
        let text = &self.stream.text[..run.start];
        let kept = text.strip_suffix("\r\n").or_else(|| text.strip_suffix(['\n', '\r'])).unwrap_or(text);
        if kept.len() == text.len() || kept.ends_with(['\n', '\r']) {
            let why = "the text ends without a line end, which it could not do after the line above";
            return Err(self.refusal(run.end, Code::Inseparable, why));
        }
        match above {
            Some(above) if !layout::has_indicator(above, b'-') => {
                let why = "a block scalar would come to stand at the end of the text without a line end";
                Err(self.refusal(run.end, Code::EofBlockScalar, why))
            }
            _ => Ok(kept.len()),
        }
    }

    /// Refuses where the block scalar `above` would take in lines that stand at `from`.
    fn check_not_taken_in(&self, from: usize, above: Node<'_>) -> Result<(), Refusal> {
        let text = &self.stream.text;
        let keeps = layout::has_indicator(above, b'+');
        let indent = content_indent(above);
        let mut at = from;
        while at < text.len() {
            if let Ok(index) = self.lines.binary_search_by_key(&at, |line| line.start) {
                at = self.lines[index].end;
                continue;
            }
            let stop = layout::line_stop(text, at);
            let line = &text[at..stop];
            let ink = line.trim_start_matches(' ');
            let is_deep = line.len() - ink.len() >= indent;
            // A tab where the scalar would be indented is an error to libyaml.
            let taken = match ink.bytes().next() {
                None => keeps || is_deep,
                Some(first) => first == b'\t' || (first == b'#' && is_deep),
            };
            if taken {
                let why = "the block scalar above would take in the blank line or comment below";
                return Err(self.refusal(from, Code::Inseparable, why));
            }
            if !ink.is_empty() {
                return Ok(());
            }
            at = after_line_end(text.as_bytes(), stop);
        }
        Ok(())
    }

    /// A refusal about the member whose lines end at `end`.
    fn refusal(&self, end: usize, code: Code, why: &str) -> Refusal {
        let members = &self.deletions.members;
        let last = members.partition_point(|member| member.start < end).checked_sub(1);
        let node = last.and_then(|last| members.get(last)).map(|member| member.value);
        Refusal {
            code,
            document: node.map(|node| node.document().index()),
            route: node.map(Node::route),
            offset: node.map(|node| node.span().start),
            message: alone(why),
        }
    }
}

/// Gives the missing line end of `run`, at the end of the text, to the new lines that stand there. `false` if none do.
fn take_line_end(run: Span, edits: &mut [Edit]) -> bool {
    let strip = |text: &mut String, line_end: usize, at_start: bool| {
        let kept = if at_start { line_end..text.len() } else { 0..text.len() - line_end };
        *text = text.get(kept).unwrap_or_default().to_owned();
    };
    let line_end = |piece: &str| if piece == "\r\n" { 2 } else { 1 };
    if let Some(edit) = edits.iter_mut().find(|edit| edit.span == Span::at(run.end)) {
        let length = line_end(edit.text.get(..2).unwrap_or_default());
        strip(&mut edit.text, length, true);
        return true;
    }
    let within = |edit: &&mut Edit| edit.span.is_empty() && run.start <= edit.span.start;
    // Of several at one offset the last one stays last.
    match edits.iter_mut().filter(within).max_by_key(|edit| edit.span.start) {
        Some(edit) => {
            let length = line_end(edit.text.get(edit.text.len().saturating_sub(2)..).unwrap_or_default());
            strip(&mut edit.text, length, false);
            true
        }
        None => false,
    }
}

/// Whether new lines will stand between `above` and `below`.
fn is_parted(above: usize, below: usize, edits: &[Edit]) -> bool {
    edits.iter().any(|edit| edit.span.is_empty() && above < edit.span.start && edit.span.start <= below)
}

/// The least number of spaces before a line of the block scalar `node`.
fn content_indent(node: Node<'_>) -> usize {
    let mut lines = node.raw().split(['\n', '\r']);
    let header = lines.next().unwrap_or_default();
    let spaces = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let shown = lines.find(|line| spaces(line) < line.len()).map(spaces);
    let is_explicit = header.bytes().skip(1).take(2).any(|byte| byte.is_ascii_digit());
    match shown {
        Some(indent) if !is_explicit => indent,
        _ => Member::of(node).map_or(0, |member| layout::column(node.source(), member.start)) + 1,
    }
}
