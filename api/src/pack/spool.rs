//! The files of a pack until all of them are there: on disk, because an archive begins with the one
//! whose name comes first, and a pack may be larger than memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};

use runledger_proof::zip::{Checksum, ZipWriter};
use sha2::{Digest, Sha256};

/// Files by their names.
#[derive(Debug)]
pub(super) struct Spool {
    /// The files that were there at once, one behind the other.
    shared: BufWriter<File>,
    end: u64,
    files: BTreeMap<String, Spooled>,
}

#[derive(Debug)]
struct Spooled {
    size: u64,
    sum: Checksum,
    sha256: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// From this place of the shared file on.
    Shared(u64),
    /// A file of its own.
    Own(File),
}

impl Spool {
    /// No files yet. Its own are gone with the process.
    pub(super) fn new() -> io::Result<Self> {
        let shared = BufWriter::new(tempfile::tempfile()?);
        Ok(Spool { shared, end: 0, files: BTreeMap::new() })
    }

    /// Adds a file.
    pub(super) fn add(&mut self, name: impl Into<String>, bytes: &[u8]) -> io::Result<()> {
        self.shared.write_all(bytes)?;
        let (mut sum, size) = (Checksum::default(), bytes.len() as u64);
        sum.add(bytes);
        let (sha256, place) = (hex::encode(Sha256::digest(bytes)), Place::Shared(self.end));
        self.end += size;
        self.files.insert(name.into(), Spooled { size, sum, sha256, place });
        Ok(())
    }

    /// Adds a file that was written bit by bit.
    pub(super) fn keep(&mut self, name: impl Into<String>, file: Growing) -> io::Result<()> {
        let Growing { out, size, sum, sha256 } = file;
        let own = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let (sha256, place) = (hex::encode(sha256.finalize()), Place::Own(own));
        self.files.insert(name.into(), Spooled { size, sum, sha256, place });
        Ok(())
    }

    /// SHA-256 of every file, in hexadecimal.
    pub(super) fn hashes(&self) -> BTreeMap<String, String> {
        self.files.iter().map(|(name, file)| (name.clone(), file.sha256.clone())).collect()
    }

    /// Puts all files into an archive.
    pub(super) fn into_zip(self, out: impl Write) -> io::Result<()> {
        let Spool { shared, files, .. } = self;
        let mut shared = shared.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut zip = ZipWriter::new(out);
        for (name, Spooled { size, sum, place, .. }) in files {
            match place {
                Place::Shared(start) => {
                    shared.seek(SeekFrom::Start(start))?;
                    zip.add_from(&name, size, sum, Read::take(&mut shared, size))?;
                }
                Place::Own(mut own) => {
                    own.rewind()?;
                    zip.add_from(&name, size, sum, BufReader::new(own))?;
                }
            }
        }
        zip.finish()?.flush()
    }
}

/// A file that is written bit by bit.
#[derive(Debug)]
pub(super) struct Growing {
    out: BufWriter<File>,
    size: u64,
    sum: Checksum,
    sha256: Sha256,
}

impl Growing {
    /// An empty one.
    pub(super) fn new() -> io::Result<Self> {
        let out = BufWriter::new(tempfile::tempfile()?);
        Ok(Growing { out, size: 0, sum: Checksum::default(), sha256: Sha256::new() })
    }

    /// Adds bytes at its end.
    pub(super) fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.size += bytes.len() as u64;
        self.sum.add(bytes);
        self.sha256.update(bytes);
        Ok(())
    }
}
