//! Long sequences: finding one item, or the place of one, without walking over all before it.

use super::tree::{Kind, Node, Stream};
use std::collections::BTreeMap;

/// The items of the long sequences of a stream, by the sequence's node.
pub(super) type LongSequences = BTreeMap<u32, Box<[u32]>>;

/// Nodes below a sequence that make it a long one. With fewer, walking costs less than a list of the items.
const NODES_MIN: u32 = 4096;

impl<'a> Node<'a> {
    /// The item of a sequence at `index`, from 0; `None` for other kinds.
    pub fn item(self, index: usize) -> Option<Node<'a>> {
        match self.long_sequence() {
            Some(items) => items.get(index).map(|item| self.stream().node(*item)),
            None => self.items().nth(index),
        }
    }

    /// The index of an item of this sequence, from 0.
    pub fn index_of(self, item: Node<'_>) -> Option<usize> {
        match self.long_sequence() {
            // Nodes are numbered in the order of the text.
            Some(items) => items.binary_search(&item.index).ok(),
            None => self.items().position(|other| other == item),
        }
    }

    fn long_sequence(self) -> Option<&'a [u32]> {
        if !is_long(self) {
            return None;
        }
        let lists = self.stream().long.get_or_init(|| find(self.stream()));
        lists.get(&self.index).map(|items| &**items)
    }
}

fn is_long(node: Node<'_>) -> bool {
    node.kind() == Kind::Sequence && node.past() - node.index > NODES_MIN
}

fn find(stream: &Stream) -> LongSequences {
    let roots = stream.documents().filter_map(|document| document.root());
    let long = roots.flat_map(Node::subtree).filter(|node| is_long(*node));
    long.map(|node| (node.index, node.items().map(|item| item.index).collect())).collect()
}

#[cfg(test)]
mod tests {
    use crate::yaml::parse;

    #[test]
    fn items_of_long_and_short_sequences_are_found() {
        for length in [3, 3000] {
            let text: String = (0..length).map(|number| format!("- a: {number}\n  b: [x, y]\n")).collect();
            let stream = parse(format!("list:\n{text}")).unwrap();
            let list = stream.document(0).unwrap().root().unwrap().get("list").unwrap();
            for (index, item) in list.items().enumerate() {
                assert_eq!(list.item(index), Some(item));
                assert_eq!(list.index_of(item), Some(index));
                assert_eq!(stream.document(0).unwrap().at(&item.route()), Some(item));
                assert_eq!(list.index_of(item.get("a").unwrap()), None);
            }
            assert_eq!(list.item(length), None);
            assert_eq!(list.get("list"), None);
        }
    }
}
