//! Archives in one of the many forms that a zip file can have: nothing is compressed, names are in
//! order, and there are no times. The same files give the same bytes, and other bytes are refused.

use std::io::{self, Read, Write};

/// Most files of an archive, and most bytes of it: what the form can tell without its extensions.
const MOST_FILES: usize = 65_535;
const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// Names are UTF-8.
const FLAGS: u16 = 0x0800;
/// The first day that there is.
const DAY: u16 = 0x0021;

/// Bytes that are no such archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZipError {
    /// The bytes are not those of an archive in this form.
    #[error("it is no zip file in the form of audit packs: {0}")]
    Form(&'static str),
    /// A file is not written in the one way in which it would be: by other programs, for example.
    #[error(
        "it is no zip file in the form of audit packs: the file {0} in it is written in another way; \
         whoever packed it again has the original"
    )]
    Written(String),
    /// The end is missing.
    #[error("it is cut off after {0} bytes: the rest of it is missing")]
    Cut(usize),
    /// A file is not what its checksum says.
    #[error("the file {0} in it is damaged")]
    Damaged(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    crc: u32,
    size: u32,
    offset: u32,
}

/// Writes an archive file by file.
#[derive(Debug)]
pub struct ZipWriter<W> {
    out: W,
    offset: u64,
    entries: Vec<Entry>,
}

impl<W: Write> ZipWriter<W> {
    /// An archive that goes to `out`.
    pub const fn new(out: W) -> Self {
        ZipWriter { out, offset: 0, entries: Vec::new() }
    }

    /// Adds a file. Names come in their order, each once.
    ///
    /// # Errors
    /// If it cannot be written, is out of order, or is more than the form can hold.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut sum = Checksum::default();
        sum.add(bytes);
        self.add_from(name, bytes.len() as u64, sum, bytes)
    }

    /// Adds a file that is read from elsewhere; its size and checksum are known already.
    ///
    /// # Errors
    /// The same, or if what is read is not as long.
    pub fn add_from(
        &mut self,
        name: &str,
        size: u64,
        sum: Checksum,
        mut from: impl Read,
    ) -> io::Result<()> {
        let invalid = |why| io::Error::new(io::ErrorKind::InvalidInput, why);
        let ordered = self.entries.last().is_none_or(|last| last.name.as_str() < name);
        if !ordered || !is_path(name) {
            return Err(invalid("the names of an archive come in their order, each once"));
        }
        let large = || invalid("an archive of this form holds no more than 4 GiB");
        let offset = u32::try_from(self.offset).map_err(|_| large())?;
        let short = u32::try_from(size).map_err(|_| large())?;
        if self.entries.len() == MOST_FILES {
            return Err(invalid("an archive of this form holds no more than 65,535 files"));
        }
        let entry = Entry { name: name.to_owned(), crc: sum.get(), size: short, offset };
        let header = entry.local();
        self.out.write_all(&header)?;
        let copied = io::copy(&mut from, &mut self.out)?;
        if copied != size {
            return Err(invalid("a file has changed while it was put into the archive"));
        }
        self.offset += header.len() as u64 + size;
        self.entries.push(entry);
        Ok(())
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// If it cannot be written, or is more than the form can hold.
    pub fn finish(mut self) -> io::Result<W> {
        let start = u32::try_from(self.offset);
        let start = start.map_err(|_| io::Error::other("the archive is larger than 4 GiB"))?;
        self.out.write_all(&directory(&self.entries, start))?;
        Ok(self.out)
    }
}

/// Reads an archive: its files with their names, in their order.
///
/// # Errors
/// If it is written in any other way than [`ZipWriter`] would.
pub fn read(archive: &[u8]) -> Result<Vec<(&str, &[u8])>, ZipError> {
    let form = ZipError::Form;
    // What has its end is not cut off, whatever its files say of their lengths.
    let ended = archive.len().checked_sub(22).is_some_and(|end| {
        archive.get(end..).is_some_and(|end| end.starts_with(&END.to_le_bytes()))
    });
    let cut = |why: &'static str| {
        if ended { form(why) } else { ZipError::Cut(archive.len()) }
    };
    let mut files = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    let mut rest = archive;
    while rest.starts_with(&LOCAL.to_le_bytes()) {
        let offset =
            u32::try_from(archive.len() - rest.len()).map_err(|_| form("it is too large"))?;
        let header =
            rest.get(..30).ok_or_else(|| cut("a file in it is longer than the archive"))?;
        let number = |at: usize| {
            header
                .get(at..at + 4)
                .and_then(|bytes| bytes.try_into().ok())
                .map_or(0, u32::from_le_bytes)
        };
        let (crc, size) = (number(14), number(18));
        let length = usize::from(u16::from_le_bytes([header[26], header[27]]));
        let name = rest
            .get(30..30 + length)
            .ok_or_else(|| cut("a file in it is longer than the archive"))?;
        let name = std::str::from_utf8(name).map_err(|_| form("a name in it is not text"))?;
        let start = 30 + length;
        let entry = Entry { name: name.to_owned(), crc, size, offset };
        let ordered = entries.last().is_none_or(|last| last.name.as_str() < name);
        if !is_path(name) {
            return Err(form("a name in it leads out of it, or is no plain path"));
        }
        if !ordered || entry.local() != rest[..start] {
            return Err(ZipError::Written(name.to_owned()));
        }
        let end = usize::try_from(size).ok().and_then(|size| start.checked_add(size));
        let end = end.ok_or_else(|| cut("a file in it is longer than the archive"))?;
        let bytes =
            rest.get(start..end).ok_or_else(|| cut("a file in it is longer than the archive"))?;
        if crc32(bytes) != crc {
            return Err(ZipError::Damaged(name.to_owned()));
        }
        entries.push(entry);
        files.push((name, bytes));
        if entries.len() > MOST_FILES {
            return Err(form("it has too many files"));
        }
        rest = &rest[end..];
    }
    let start = u32::try_from(archive.len() - rest.len()).map_err(|_| form("it is too large"))?;
    let directory = directory(&entries, start);
    let begins = directory.starts_with(rest) || LOCAL.to_le_bytes().starts_with(rest);
    if begins && rest.len() < directory.len() {
        return Err(ZipError::Cut(archive.len()));
    }
    if rest != directory {
        return Err(form("its directory is not that of its files"));
    }
    Ok(files)
}

/// A path that leads nowhere else when the archive is unpacked.
fn is_path(name: &str) -> bool {
    name.len() <= 200
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
}

impl Entry {
    fn local(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(30 + self.name.len());
        header.extend(LOCAL.to_le_bytes());
        self.common(&mut header);
        header.extend(self.name.as_bytes());
        header
    }

    /// What both headers of a file have: versions, flags, no compression, no time, and sizes.
    fn common(&self, header: &mut Vec<u8>) {
        for short in [20, FLAGS, 0, 0, DAY] {
            header.extend(short.to_le_bytes());
        }
        for long in [self.crc, self.size, self.size] {
            header.extend(long.to_le_bytes());
        }
        // Names are at most 200 bytes long.
        let length = u16::try_from(self.name.len()).unwrap_or(u16::MAX);
        for short in [length, 0] {
            header.extend(short.to_le_bytes());
        }
    }
}

fn directory(entries: &[Entry], start: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        out.extend(CENTRAL.to_le_bytes());
        out.extend(20_u16.to_le_bytes());
        entry.common(&mut out);
        // No comment, no disk, no attributes.
        out.extend([0; 10]);
        out.extend(entry.offset.to_le_bytes());
        out.extend(entry.name.as_bytes());
    }
    let size = u32::try_from(out.len()).unwrap_or(u32::MAX);
    let count = u16::try_from(entries.len()).unwrap_or(u16::MAX);
    out.extend(END.to_le_bytes());
    for short in [0, 0, count, count] {
        out.extend(short.to_le_bytes());
    }
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    out
}

/// The checksum of zip files, of what was added to it so far. It finds accidents; forgeries are
/// found by hashes.
#[derive(Clone, Copy, Debug)]
pub struct Checksum(u32);

impl Default for Checksum {
    fn default() -> Self {
        Checksum(!0)
    }
}

impl Checksum {
    /// Adds bytes, sixteen at a time: byte by byte each would wait for the one before, and packs are
    /// large.
    pub fn add(&mut self, bytes: &[u8]) {
        static TABLES: [[u32; 256]; 16] = tables();
        let (chunks, rest) = bytes.as_chunks::<16>();
        let mut crc = self.0;
        for chunk in chunks {
            let mut chunk = *chunk;
            let begun = crc.to_le_bytes();
            chunk.iter_mut().zip(begun).for_each(|(byte, begun)| *byte ^= begun);
            let parts = chunk.iter().zip(TABLES.iter().rev());
            crc = parts.fold(0, |sum, (byte, table)| sum ^ table[usize::from(*byte)]);
        }
        self.0 = rest.iter().fold(crc, |crc: u32, byte| {
            TABLES[0][usize::from(crc.to_le_bytes()[0] ^ byte)] ^ (crc >> 8)
        });
    }

    const fn get(self) -> u32 {
        !self.0
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = Checksum::default();
    sum.add(bytes);
    sum.get()
}

/// The table of a byte, and those of a byte that so many others follow.
const fn tables() -> [[u32; 256]; 16] {
    let mut tables = [table(); 16];
    let mut after = 1;
    while after < 16 {
        let mut index = 0;
        while index < 256 {
            let before = tables[after - 1][index];
            tables[after][index] = tables[0][(before & 0xff) as usize] ^ (before >> 8);
            index += 1;
        }
        after += 1;
    }
    tables
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "it is less than 256")]
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut zip = ZipWriter::new(Vec::new());
        zip.add("a/b.txt", b"123456789").unwrap();
        zip.add("c", b"").unwrap();
        zip.finish().unwrap()
    }

    #[test]
    fn a_checksum_is_the_same_however_its_bytes_come() {
        // The remainder of the polynomial division, bit by bit.
        let slow = |bytes: &[u8]| {
            !bytes.iter().fold(!0_u32, |crc, byte| {
                (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                    if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
                })
            })
        };
        let bytes: Vec<u8> = (0..200_u32).map(|at| (at * at % 251) as u8).collect();
        for length in 0..bytes.len() {
            let part = &bytes[..length];
            assert_eq!(crc32(part), slow(part), "{length}");
            let mut sum = Checksum::default();
            part.chunks(7).for_each(|piece| sum.add(piece));
            assert_eq!(sum.get(), slow(part), "{length}");
        }
    }

    #[test]
    fn an_archive_is_read_as_it_was_written_and_no_other_is_read() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let bytes = archive();
        assert_eq!(read(&bytes).unwrap(), [("a/b.txt", &b"123456789"[..]), ("c", b"")]);
        for place in 0..bytes.len() {
            let mut other = bytes.clone();
            other[place] ^= 1;
            assert!(read(&other).is_err(), "{place}");
            assert_eq!(read(&bytes[..place]), Err(ZipError::Cut(place)));
        }
        // Packed again by a program that compresses, or keeps times.
        let mut again = bytes.clone();
        again[10] = 7;
        assert_eq!(read(&again), Err(ZipError::Written("a/b.txt".to_owned())));
        // A length that leads beyond the end, of an archive that has its end, is no cut.
        let mut longer = bytes.clone();
        (longer[21], longer[25]) = (0x7f, 0x7f);
        assert!(matches!(read(&longer), Err(ZipError::Form(_))), "{:?}", read(&longer));
        assert!(read(&[&bytes[..], b"x"].concat()).is_err());
        let mut zip = ZipWriter::new(Vec::new());
        zip.add("b", b"").unwrap();
        for name in ["a", "b", "../x", "/x", "x//y", "x/.y", "", "x y"] {
            assert!(zip.add(name, b"").is_err(), "{name}");
        }
    }
}
