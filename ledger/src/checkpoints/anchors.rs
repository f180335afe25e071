//! What was signed last, outside of the database: one file for each log, to which lines are added.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use runledger_proof::witness::Seen;

use crate::time::Moment;
use crate::words::WorkspaceId;

/// The end of a file that is read: some dozens of lines.
const TAIL: u64 = 8 * 1024;

/// A directory with what was signed.
#[derive(Clone, Debug)]
pub struct Anchors {
    directory: PathBuf,
}

/// What was signed cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("what was signed last, in {}, cannot be read or written", .path.display())]
pub struct AnchorError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl Anchors {
    /// Those in `directory`, which is made when it is needed.
    pub const fn new(directory: PathBuf) -> Self {
        Anchors { directory }
    }

    /// The file of a log.
    pub fn file(&self, workspace: WorkspaceId) -> PathBuf {
        self.directory.join(format!("{workspace}.signed"))
    }

    /// What was signed last of a log; none if nothing was.
    ///
    /// # Errors
    /// If the file cannot be read, or holds something else.
    pub async fn last(&self, workspace: WorkspaceId) -> Result<Option<Seen>, AnchorError> {
        self.with_file(workspace, read).await
    }

    /// The logs of which something was signed.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub async fn logs(&self) -> Result<Vec<WorkspaceId>, AnchorError> {
        let path = self.directory.clone();
        let at = path.clone();
        let done = tokio::task::spawn_blocking(move || list(&at)).await;
        done.unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|source| AnchorError { path, source })
    }

    /// Adds what is signed. On `Ok` it is on disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn add(
        &self,
        workspace: WorkspaceId,
        seen: Seen,
        at: Moment,
    ) -> Result<(), AnchorError> {
        let line = format!("{} {} {at}\n", seen.size, hex::encode(seen.root));
        self.with_file(workspace, move |path| write(path, &line)).await
    }

    async fn with_file<T: Send + 'static>(
        &self,
        workspace: WorkspaceId,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, AnchorError> {
        let path = self.file(workspace);
        let at = path.clone();
        let done = tokio::task::spawn_blocking(move || work(&at)).await;
        done.unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|source| AnchorError { path, source })
    }
}

fn list(directory: &Path) -> io::Result<Vec<WorkspaceId>> {
    let files = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?,
    };
    let mut logs = Vec::new();
    for file in files {
        let name = file?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".signed")?.parse().ok());
        logs.extend(id.map(WorkspaceId));
    }
    logs.sort_unstable();
    Ok(logs)
}

fn read(path: &Path) -> io::Result<Option<Seen>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = String::new();
    file.read_to_string(&mut tail)?;
    // A line without an end is one that a crash has cut off: nothing was published of it.
    let whole = tail.rfind('\n').map_or("", |end| &tail[..end]);
    let last = whole.lines().rev().find_map(seen);
    match last {
        None if !whole.is_empty() || !may_be_begun(&tail) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "its last lines say nothing"))
        }
        last => Ok(last),
    }
}

/// Whether a first line was cut off as it was written. Anything else was put there by somebody else,
/// and what was there before is not to be taken for nothing.
fn may_be_begun(text: &str) -> bool {
    let of_a_line = |byte: u8| byte.is_ascii_hexdigit() || b" T:.Z-".contains(&byte);
    text.len() < 128 && text.bytes().all(of_a_line)
}

fn seen(line: &str) -> Option<Seen> {
    let mut words = line.split(' ');
    let size = words.next()?.parse().ok()?;
    let root = hex::decode(words.next()?).ok()?.try_into().ok()?;
    words.next().map(|_| Seen { size, root })
}

fn write(path: &Path, line: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        private_directory(directory)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    if length > 0 {
        let mut last = [0];
        file.seek(SeekFrom::Start(length - 1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_whole_line_counts() {
        let directory = tempfile::tempdir().unwrap();
        let anchors = Anchors::new(directory.path().join("signed"));
        let workspace = WorkspaceId(uuid::Uuid::nil());
        assert_eq!(anchors.last(workspace).await.unwrap(), None);
        let at = Moment::from_micros(1);
        for size in 1..=500 {
            let seen = Seen { size, root: [7; 32] };
            anchors.add(workspace, seen, at).await.unwrap();
            assert_eq!(anchors.last(workspace).await.unwrap(), Some(seen));
        }
        // What a crash leaves of a line counts for nothing, and harms nothing that follows.
        let path = anchors.file(workspace);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"501 0707").unwrap();
        assert_eq!(anchors.last(workspace).await.unwrap().unwrap().size, 500);
        let seen = Seen { size: 502, root: [8; 32] };
        anchors.add(workspace, seen, at).await.unwrap();
        assert_eq!(anchors.last(workspace).await.unwrap(), Some(seen));
        assert_eq!(anchors.logs().await.unwrap(), [workspace]);
        for wrong in ["nothing of the kind\n", "x", "\n"] {
            std::fs::write(&path, wrong).unwrap();
            assert!(anchors.last(workspace).await.is_err(), "{wrong:?}");
        }
        for nothing in ["", "12 0707"] {
            std::fs::write(&path, nothing).unwrap();
            assert_eq!(anchors.last(workspace).await.unwrap(), None);
        }
    }
}
