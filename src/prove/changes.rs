//! What a container was seen to do: to the folders of its image, told so that one can say which volumes it needs, and where it listened.

use std::collections::BTreeSet;

/// What a container did to one folder of its image, outside of every mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderChange {
    /// The names of folders that it made there.
    pub made: BTreeSet<String>,
    /// Whether it made, changed or removed anything else there, or gave the folder itself another mode or owner.
    pub changed: bool,
    /// The names that the image has there; `None` where that was not looked at.
    pub holds: Option<BTreeSet<String>>,
}

/// Whether `path` lies strictly below `folder`.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder.trim_end_matches('/')).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
}

/// The TCP ports that somebody listens on, of a table as `/proc/net/tcp` and `/proc/net/tcp6` are (proc_net(5): `local_address` and `st` are the second
/// and fourth column, in hexadecimal digits; 0A is TCP_LISTEN).
pub fn listening(table: &str) -> BTreeSet<u16> {
    let port = |line: &str| {
        let mut columns = line.split_whitespace().skip(1);
        let (address, state) = (columns.next()?, columns.nth(1)?);
        let port = u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok()?;
        (state == "0A").then_some(port)
    };
    table.lines().filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue\n   0: 00000000:1F90 00000000:0000 0A 00000000:00000000\n   1: 0100007F:0050 0100007F:9C40 01 0\n   2: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0\n";
        assert_eq!(listening(table), [80, 8080].into());
    }
}
