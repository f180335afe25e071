//! What was signed last, outside of the database: one file for each log, to which lines are added.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use runledger_proof::witness::Seen;

use crate::time::Moment;
use crate::words::WorkspaceId;

/// The end of a file that is read: some dozens of lines.
const TAIL: u64 = 8 * 1024;
/// The file that names the logs of which something is written down: so it is seen when the record of
/// one of them is gone.
const INDEX: &str = "logs";
/// What stands at the end of a line that this server signed itself, and of one that it took over from
/// another server. Older lines say nothing.
const SIGNED: &str = "signed";
const TAKEN_OVER: &str = "taken-over";

/// A directory with what was signed.
#[derive(Clone, Debug)]
pub struct Anchors {
    directory: PathBuf,
}

/// A line of what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// How many events, and their root.
    pub seen: Seen,
    /// When it was signed, if this server did it; else when it was taken over.
    pub at: Moment,
    /// Whether this server signed it, and not another one whose checkpoint it took over.
    pub own: bool,
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

    /// The last line of a log; none if there is none, or if an older version wrote it in a way that
    /// does not say when.
    pub(super) async fn last_line(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Option<Anchor>, AnchorError> {
        self.with_file(workspace, |path| Ok(tail(path)?.lines().rev().find_map(anchor))).await
    }

    /// All that was written down of a log, in the order in which it was signed.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn all(&self, workspace: WorkspaceId) -> Result<Vec<Anchor>, AnchorError> {
        self.with_file(workspace, read_all).await
    }

    /// Logs of which something was written down, and whose file is not there any more.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub async fn removed(&self) -> Result<Vec<WorkspaceId>, AnchorError> {
        let there = self.logs().await?;
        let path = self.directory.join(INDEX);
        let mut indexed = self.with_path(path, indexed).await?;
        indexed.retain(|log| !there.contains(log));
        Ok(indexed)
    }

    /// Puts what was written down of a log aside, for good: somebody has said that another history
    /// counts, or that the log is gone. The file stays, under another name, which is the answer.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub async fn set_aside(
        &self,
        workspace: WorkspaceId,
        now: Moment,
    ) -> Result<PathBuf, AnchorError> {
        let aside = self.directory.join(format!("{workspace}.signed.until-{}", now.micros()));
        let index = self.directory.join(INDEX);
        let to = aside.clone();
        self.with_file(workspace, move |path| {
            match std::fs::rename(path, &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut others = indexed(&index)?;
            if !others.contains(&workspace) {
                return Ok(());
            }
            others.retain(|log| *log != workspace);
            let others: String = others.into_iter().map(|log| format!("{log}\n")).collect();
            std::fs::write(&index, others)
        })
        .await?;
        Ok(aside)
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
        self.write(workspace, seen, at, SIGNED).await
    }

    /// Adds what another server has signed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn take_over(
        &self,
        workspace: WorkspaceId,
        seen: Seen,
        at: Moment,
    ) -> Result<(), AnchorError> {
        self.write(workspace, seen, at, TAKEN_OVER).await
    }

    async fn write(
        &self,
        workspace: WorkspaceId,
        seen: Seen,
        at: Moment,
        how: &'static str,
    ) -> Result<(), AnchorError> {
        let line = format!("{} {} {at} {how}\n", seen.size, hex::encode(seen.root));
        let index = self.directory.join(INDEX);
        self.with_file(workspace, move |path| {
            write(path, &line)?;
            if indexed(&index)?.contains(&workspace) {
                return Ok(());
            }
            write(&index, &format!("{workspace}\n"))
        })
        .await
    }

    async fn with_file<T: Send + 'static>(
        &self,
        workspace: WorkspaceId,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, AnchorError> {
        self.with_path(self.file(workspace), work).await
    }

    async fn with_path<T: Send + 'static>(
        &self,
        path: PathBuf,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, AnchorError> {
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

/// The end of a file; empty if there is none.
fn tail(path: &Path) -> io::Result<String> {
    let mut tail = String::new();
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(tail),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    file.read_to_string(&mut tail)?;
    Ok(tail)
}

fn read(path: &Path) -> io::Result<Option<Seen>> {
    let tail = tail(path)?;
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

fn anchor(line: &str) -> Option<Anchor> {
    let seen = seen(line)?;
    let mut words = line.split(' ').skip(2);
    let at = words.next()?.parse().ok()?;
    Some(Anchor { seen, at, own: words.next() == Some(SIGNED) })
}

/// Every line that says something. One that a crash has cut off says nothing.
fn read_all(path: &Path) -> io::Result<Vec<Anchor>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    Ok(whole.lines().filter_map(anchor).collect())
}

/// The logs that the index names. A line without an end, or a shorter one, a crash has cut off.
fn indexed(path: &Path) -> io::Result<Vec<WorkspaceId>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "it does not name logs");
    let log = |line: &str| line.parse().ok().map(WorkspaceId).ok_or_else(wrong);
    whole.lines().filter(|line| line.len() >= 36).map(log).collect()
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
    async fn a_record_that_is_gone_is_missed_until_somebody_has_put_it_aside() {
        let directory = tempfile::tempdir().unwrap();
        let anchors = Anchors::new(directory.path().join("signed"));
        let logs = [1, 2].map(|id| WorkspaceId(uuid::Uuid::from_u128(id)));
        let (first, second) = (Moment::from_micros(5), Moment::from_micros(7));
        for log in logs {
            anchors.add(log, Seen { size: 3, root: [1; 32] }, first).await.unwrap();
            anchors.take_over(log, Seen { size: 4, root: [2; 32] }, second).await.unwrap();
        }
        let all = anchors.all(logs[0]).await.unwrap();
        let all: Vec<_> = all.iter().map(|line| (line.seen.size, line.at, line.own)).collect();
        assert_eq!(all, [(3, first, true), (4, second, false)]);
        assert!(anchors.removed().await.unwrap().is_empty());
        std::fs::remove_file(anchors.file(logs[0])).unwrap();
        assert_eq!(anchors.removed().await.unwrap(), [logs[0]]);
        for log in logs {
            anchors.set_aside(log, second).await.unwrap();
        }
        assert!(anchors.removed().await.unwrap().is_empty());
        assert!(anchors.logs().await.unwrap().is_empty());
        assert_eq!(anchors.last(logs[1]).await.unwrap(), None);
    }

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
        let all = anchors.all(workspace).await.unwrap_or_default();
        assert!(all.is_empty(), "nothing of what is there says anything");
        for nothing in ["", "12 0707"] {
            std::fs::write(&path, nothing).unwrap();
            assert_eq!(anchors.last(workspace).await.unwrap(), None);
        }
    }
}
