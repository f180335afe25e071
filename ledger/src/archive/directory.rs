//! The directory of an archive, as it lies on a disk.

use std::io;
use std::path::{Path, PathBuf};

use runledger_proof::archive::{self, ArchiveError, Manifest, Verified};
use runledger_proof::policy::Policy;
use runledger_proof::tile::{self, BundleError, Of, Tile, WIDTH};

/// Most bytes of one file: of a full bundle whose entries are as long as entries can be.
const MOST_BYTES: u64 = WIDTH * (2 + tile::MOST_ENTRY_BYTES as u64);

/// Most files that are told of beside those of an archive.
const MOST_UNLISTED: usize = 100;

/// Verifies the archive in a directory: by a policy, or against itself alone.
///
/// # Errors
/// If nothing can be said of it.
pub fn verify(directory: &Path, policy: Option<&Policy>) -> Result<Verified, ArchiveError> {
    archive::verify(&|name| read(directory, name), policy)
}

/// Files in the directory of an archive that its manifest does not name: at most a hundred.
///
/// # Errors
/// If a directory cannot be listed.
pub fn unlisted(directory: &Path, manifest: &Manifest) -> io::Result<Vec<String>> {
    let mut unlisted = Vec::new();
    let mut directories = vec![(directory.to_owned(), String::new())];
    while let Some((directory, above)) = directories.pop() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let name = format!("{above}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                directories.push((entry.path(), format!("{name}/")));
            } else if name != archive::MANIFEST
                && !manifest.files.contains_key(&name)
                && unlisted.len() < MOST_UNLISTED
            {
                unlisted.push(name);
            }
        }
    }
    unlisted.sort();
    Ok(unlisted)
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
