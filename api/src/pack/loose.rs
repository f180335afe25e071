//! Packs that somebody has packed again: no audit packs any more, but what is in them can still be
//! compared with what was signed, so that it can be told what was altered.

use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::DeflateDecoder;

const END: [u8; 4] = 0x0605_4b50_u32.to_le_bytes();
const CENTRAL: [u8; 4] = 0x0201_4b50_u32.to_le_bytes();
/// A comment at the end is no longer than that.
const MOST_COMMENT: usize = 65_535;
/// Most bytes of all files together, for each byte of the archive, and beside that. What is packed
/// tighter was packed to fill a memory.
const TIGHTEST: u64 = 200;
const SLACK: u64 = 1 << 20;

/// The files of a zip archive, in whatever form: stored or deflated. None if it cannot be read, or if
/// two have the same name.
pub fn read(archive: &[u8]) -> Option<BTreeMap<String, Vec<u8>>> {
    let from = archive.len().saturating_sub(22 + MOST_COMMENT);
    let tail = archive.get(from..)?;
    let end = tail.windows(4).rposition(|bytes| bytes == END)? + from;
    archive.get(end..end.checked_add(22)?)?;
    let count = short(archive, end + 10)?;
    let mut at = usize::try_from(long(archive, end + 16)?).ok()?;
    let mut room = (archive.len() as u64).saturating_mul(TIGHTEST).saturating_add(SLACK);
    let mut files = BTreeMap::new();
    for _ in 0..count {
        if archive.get(at..at + 4)? != CENTRAL {
            return None;
        }
        let (method, packed) = (short(archive, at + 10)?, long(archive, at + 20)?);
        let name = usize::from(short(archive, at + 28)?);
        let extra = usize::from(short(archive, at + 30)?);
        let comment = usize::from(short(archive, at + 32)?);
        let local = usize::try_from(long(archive, at + 42)?).ok()?;
        let text = std::str::from_utf8(archive.get(at + 46..at + 46 + name)?).ok()?;
        at += 46 + name + extra + comment;
        if text.ends_with('/') {
            continue;
        }
        let bytes = content(archive, local, (method, packed), room)?;
        room = room.checked_sub(bytes.len() as u64)?;
        if files.insert(text.to_owned(), bytes).is_some() {
            return None;
        }
    }
    Some(files)
}

fn content(
    archive: &[u8],
    local: usize,
    (method, packed): (u16, u32),
    room: u64,
) -> Option<Vec<u8>> {
    let name = usize::from(short(archive, local + 26)?);
    let extra = usize::from(short(archive, local + 28)?);
    let start = local.checked_add(30 + name + extra)?;
    let packed = archive.get(start..start.checked_add(usize::try_from(packed).ok()?)?)?;
    match method {
        0 => Some(packed.to_vec()),
        8 => {
            let mut bytes = Vec::new();
            let mut unpacked = DeflateDecoder::new(packed).take(room + 1);
            unpacked.read_to_end(&mut bytes).ok()?;
            Some(bytes)
        }
        _ => None,
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use runledger_proof::zip::ZipWriter;

    use super::*;

    #[test]
    fn what_is_packed_is_read_and_no_bytes_are_too_strange() {
        let mut zip = ZipWriter::new(Vec::new());
        zip.add("a/b", b"first").unwrap();
        zip.add("c", b"").unwrap();
        let whole = zip.finish().unwrap();
        let files = read(&whole).unwrap();
        assert_eq!(files["a/b"], b"first");
        assert_eq!(files.len(), 2);
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length}");
        }
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut other = whole.clone();
                other[place] ^= 1 << bit;
                drop(read(&other));
            }
        }
    }
}
