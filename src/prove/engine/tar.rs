//! The little of tar archives that engines hand out and take (POSIX.1-2017, pax, "ustar Interchange Format").

use std::collections::BTreeSet;

/// Bytes of a header, and of every block after it.
const BLOCK: usize = 512;

/// The owner and mode that an archive's first entry has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) folder: bool,
    pub(super) mode: u64,
    pub(super) uid: u64,
    pub(super) gid: u64,
}

/// The content of the first regular file; `None` where there is none.
pub(super) fn first_file(archive: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        let header = archive.get(at..at + BLOCK)?;
        let size = usize::try_from(octal(header.get(124..136)?)?).ok()?;
        let content = at + BLOCK;
        if matches!(header.get(156)?, b'0' | 0) && header.first() != Some(&0) {
            return archive.get(content..content.checked_add(size)?);
        }
        if header.first() == Some(&0) {
            return None;
        }
        at = content.checked_add(size.div_ceil(BLOCK) * BLOCK)?;
    }
}

/// The attributes of the first folder or file, from the beginning of an archive.
pub(super) fn first_attributes(archive: &[u8]) -> Option<Attributes> {
    let mut at = 0;
    loop {
        let header = archive.get(at..at + BLOCK)?;
        // Extended headers (x and g) and long names (L) go before the entry that they are about.
        if !matches!(header.get(156)?, b'x' | b'g' | b'L' | b'K') {
            let field = |range| octal(header.get(range)?);
            let folder = *header.get(156)? == b'5';
            return Some(Attributes {
                folder,
                mode: field(100..108)? & 0o7777,
                uid: field(108..116)?,
                gid: field(116..124)?,
            });
        }
        let size = usize::try_from(octal(header.get(124..136)?)?).ok()?;
        at = (at + BLOCK).checked_add(size.div_ceil(BLOCK) * BLOCK)?;
    }
}

/// The names of what is in the folder that an archive is of; `None` where the archive is cut off.
pub(super) fn names(archive: &[u8]) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut at = 0;
    loop {
        let header = archive.get(at..at + BLOCK)?;
        if header.first() == Some(&0) {
            return Some(names);
        }
        let field = header.get(..100)?;
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        let path = String::from_utf8_lossy(field.get(..end)?).into_owned();
        let entry = matches!(header.get(156)?, b'0'..=b'7' | 0);
        if let Some(name) = path.trim_start_matches('/').split('/').nth(1).filter(|name| entry && !name.is_empty()) {
            names.insert(name.to_owned());
        }
        let size = usize::try_from(octal(header.get(124..136)?)?).ok()?;
        at = (at + BLOCK).checked_add(size.div_ceil(BLOCK) * BLOCK)?;
    }
}

/// An archive of folders, each one root's with mode 0755, outer ones first. `None` where a name is longer than the format's 100 bytes.
pub(super) fn folders(path: &str) -> Option<Vec<u8>> {
    let mut archive = Vec::new();
    let mut name = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        name.push_str(part);
        name.push('/');
        let mut header = [0u8; BLOCK];
        let mut put = |at: usize, text: &str| -> Option<()> {
            header.get_mut(at..at + text.len())?.copy_from_slice(text.as_bytes());
            Some(())
        };
        if name.len() > 99 {
            return None;
        }
        put(0, &name)?;
        for (at, field) in [(100, "0000755\0"), (108, "0000000\0"), (116, "0000000\0")] {
            put(at, field)?;
        }
        put(124, "00000000000\0")?;
        put(136, "00000000000\0")?;
        // The sum is taken with its own field full of spaces.
        put(148, "        ")?;
        put(156, "5")?;
        put(257, "ustar\u{0}00")?;
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header.get_mut(148..156)?.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend_from_slice(&header);
    }
    archive.extend_from_slice(&[0; 2 * BLOCK]);
    Some(archive)
}

/// A number in octal digits, or, where it would not fit, in binary after a byte with the highest bit set.
fn octal(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        let skip = field.len().checked_sub(8)?;
        return Some(u64::from_be_bytes(field.get(skip..)?.try_into().ok()?));
    }
    let text = std::str::from_utf8(field).ok()?;
    let digits = text.trim_matches(|letter| letter == ' ' || letter == '\0');
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

#[cfg(test)]
mod tests {
    use super::{Attributes, first_attributes, first_file, folders, names};

    #[test]
    fn folders_are_read_back() {
        let archive = folders("/a/b c").unwrap();
        assert_eq!(archive.len(), 4 * 512);
        assert_eq!(first_attributes(&archive), Some(Attributes { folder: true, mode: 0o755, uid: 0, gid: 0 }));
        assert_eq!(first_file(&archive), None);
        assert_eq!(names(&archive), Some(["b c".to_owned()].into()));
        assert_eq!(names(archive.get(..600).unwrap_or_default()), None);
        assert_eq!(folders(&"x".repeat(100)), None);
        assert_eq!(first_attributes(b"short"), None);
    }
}
