//! The directory of an archive, as it lies on a disk.

use std::io;
use std::path::{Path, PathBuf};

use runledger_proof::archive::{self, ArchiveError, Verified};
use runledger_proof::policy::Policy;
use runledger_proof::tile::{self, BundleError, Of, Tile, WIDTH};

/// Most bytes of one file: of a full bundle whose entries are as long as entries can be.
const MOST_BYTES: u64 = WIDTH * (2 + tile::MOST_ENTRY_BYTES as u64);

/// Verifies the archive in a directory: by a policy, or against itself alone.
///
/// # Errors
/// If nothing can be said of it.
pub fn verify(directory: &Path, policy: Option<&Policy>) -> Result<Verified, ArchiveError> {
    archive::verify(&|name| read(directory, name), policy)
}

/// A file of an archive.
pub(super) fn read(directory: &Path, name: &str) -> io::Result<Vec<u8>> {
    let path = path(directory, name);
    if std::fs::metadata(&path)?.len() > MOST_BYTES.max(manifest_bytes(name)) {
        return Err(io::Error::other("it is longer than any file of an archive"));
    }
    std::fs::read(path)
}

/// The manifest names each file, so it grows with them.
fn manifest_bytes(name: &str) -> u64 {
    if name == archive::MANIFEST { 1 << 30 } else { 0 }
}

pub(super) fn path(directory: &Path, name: &str) -> PathBuf {
    name.split('/').fold(directory.to_owned(), |path, part| path.join(part))
}

/// The bundle that holds a position.
pub(super) const fn bundle_of(position: u64) -> Tile {
    Tile { of: Of::Entries, index: position / WIDTH, width: WIDTH }
}

/// The entries of a bundle.
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<Vec<u8>>, BundleError> {
    Ok(tile::entries(bytes, WIDTH)?.into_iter().map(<[u8]>::to_vec).collect())
}
