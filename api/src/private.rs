//! Files that are for their owner alone: what holds a secret, or what the log tells who reads it.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file for writing, empty. A new one is for its owner alone (0600).
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes a directory, and lets nobody but its owner into it (0700), also if it was there.
pub(crate) fn directory(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Whether anybody but its owner may read, write or run a file.
#[cfg(unix)]
pub(crate) fn others_may_read(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

/// The same where files have no such bits.
#[cfg(not(unix))]
pub(crate) fn others_may_read(_path: &Path) -> io::Result<bool> {
    Ok(false)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_directory_and_its_files_are_for_their_owner_alone_also_where_it_was_there() {
        use std::os::unix::fs::PermissionsExt;
        let there = tempfile::tempdir().unwrap();
        let packs = there.path().join("packs");
        std::fs::create_dir(&packs).unwrap();
        std::fs::set_permissions(&packs, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(others_may_read(&packs).unwrap());
        directory(&packs).unwrap();
        let file = packs.join("one.zip");
        drop(create(&file).unwrap());
        assert!(!others_may_read(&packs).unwrap() && !others_may_read(&file).unwrap());
    }
}
