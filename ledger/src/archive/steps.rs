//! The steps that bodies take out of the database, and back into it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runledger_proof::archive::{self, Manifest, Verified};
use runledger_proof::erasure;
use runledger_proof::tile::WIDTH;
use uuid::Uuid;

use super::{
    Archive, ArchiveEvent, ArchiveState, Archived, Dropped, Ordered, Restored, archive_of,
    directory, marker,
};
use crate::clock::NoEntropy;
use crate::event::{Actor, AggregateType, Stream};
use crate::fact::EventType;
use crate::lane::{decode, fold_runs};
use crate::ledger::{Ledger, SubmitError};
use crate::merkle::leaf_hash;
use crate::process::{self, NotNoted};
use crate::store::{LogRow, Store, StoreError};
use crate::submission::Refusal;
use crate::tree;
use crate::words::{Note, RunId, Status, WorkspaceId};

/// Why an archive was not written, or nothing was dropped or put back.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// There is nothing to archive.
    #[error(
        "there is no whole tile of {WIDTH} events from position {from} on among the first {wanted} \
         events, so there is nothing to archive yet"
    )]
    NothingWhole {
        /// Where the last archive ends.
        from: u64,
        /// Events that were asked for.
        wanted: u64,
    },
    /// There is no such position.
    #[error("the log has {size} events, and none at position {position}")]
    NoEvent {
        /// What was asked for.
        position: u64,
        /// Events in the log.
        size: u64,
    },
    /// No checkpoint covers it.
    #[error(
        "the range ends before position {to}, and the last checkpoint is of {signed} events; only \
         what is signed is archived: wait for the next checkpoint, which a running server signs \
         within 10 seconds, or ask for less"
    )]
    NotSigned {
        /// Where the range ends.
        to: u64,
        /// Events that were signed.
        signed: u64,
    },
    /// Something else is there.
    #[error("{} is there already, and is not this archive; it is left as it is", .0.display())]
    Exists(PathBuf),
    /// It can be no directory.
    #[error("{} has no name to write an archive under", .0.display())]
    NoName(PathBuf),
    /// The disk fails.
    #[error("{} cannot be written or read", .0.display())]
    Io(PathBuf, #[source] std::io::Error),
    /// The log itself is not what it was.
    #[error(
        "the event at position {0} is not what was recorded, or missing; nothing was archived: run \
         `runledger verify database`"
    )]
    Damaged(u64),
    /// Nothing can be said of it.
    #[error("the archive cannot be verified")]
    Unusable(#[from] archive::ArchiveError),
    /// It is not what was signed.
    #[error("the archive is not intact: {0}; nothing was changed in the database")]
    NotIntact(String),
    /// It is of another log.
    #[error("the archive is of the workspace {0}, and not of this one")]
    OtherLog(String),
    /// Its checkpoint is not of this history.
    #[error(
        "the checkpoint of the archive, of {0} events, is none of this database; nothing was changed"
    )]
    OtherHistory(u64),
    /// Its entry is not what the database has.
    #[error(
        "the entry at position {0} of the archive is not what the database has there; nothing was \
         dropped: export the range again, into another directory"
    )]
    OtherEntry(u64),
    /// It was erased since.
    #[error(
        "the event at position {0} was erased after the archive was written, and the archive still \
         holds it; nothing was dropped: destroy the archive, and export the range again"
    )]
    Erased(u64),
    /// Another archive holds a part of the range.
    #[error("the archive {0} holds a part of the range already")]
    Overlaps(Uuid),
    /// There is no such archive.
    #[error("no bodies were dropped for this archive, so there is nothing to put back")]
    Unknown,
    /// Whoever is connected may not.
    #[error(
        "the service's database role may not take bodies out of events, nor put them back; name one \
         that is a member of runledger_eraser with --eraser-url"
    )]
    NotHere,
    /// Somebody else took the same step.
    #[error("somebody else is at it; look at `runledger archive list`, and go on from there")]
    Moved,
    /// A body is read from another archive, which is not there.
    #[error(transparent)]
    Archived(Arc<Archived>),
    /// The ledger refused.
    #[error("the ledger refused to record it")]
    Refused(#[source] Box<Refusal>),
    /// The ledger failed.
    #[error("it was not recorded")]
    Submit(#[from] SubmitError),
    /// The database failed.
    #[error("the database failed")]
    Store(#[source] StoreError),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

impl From<NotNoted> for ArchiveError {
    fn from(error: NotNoted) -> Self {
        match error {
            NotNoted::Moved => ArchiveError::Moved,
            NotNoted::Refused(refusal) => ArchiveError::Refused(refusal),
            NotNoted::Submit(error) => error.into(),
        }
    }
}

impl From<StoreError> for ArchiveError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Archived(archived) => ArchiveError::Archived(Arc::new(*archived)),
            error => ArchiveError::Store(error),
        }
    }
}

impl ArchiveError {
    /// What is wrong with an archive that is not intact.
    pub(super) fn of(verified: &Verified) -> ArchiveError {
        let first = verified.differences.first().cloned();
        let missing = || verified.missing.first().map(|name| format!("the file {name} is missing"));
        ArchiveError::NotIntact(first.or_else(missing).unwrap_or_default())
    }
}

/// The archives of a workspace, in the order in which they were made.
///
/// # Errors
/// When the database fails.
pub async fn list(store: &Store, workspace: WorkspaceId) -> Result<Vec<Archive>, ArchiveError> {
    let mut archives = Vec::new();
    for id in store.archives_of(workspace).await? {
        archives.extend(load(store, workspace, id).await?);
    }
    Ok(archives)
}

/// What the log says of an archive; none if it says nothing.
///
/// # Errors
/// When the database fails.
pub async fn load(
    store: &Store,
    workspace: WorkspaceId,
    id: Uuid,
) -> Result<Option<Archive>, ArchiveError> {
    // Its stream is ordered, dropped and restored: three events at most.
    let stored = store.stream(workspace, Stream::archive(id), 0, 10).await?;
    let events = stored.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    Ok(Archive::fold(id, &events))
}

/// The archive that is written in a directory, if bodies were ordered to give way to it and were not
/// put back.
///
/// # Errors
/// When the database fails.
pub async fn find(
    store: &Store,
    workspace: WorkspaceId,
    digest: &str,
) -> Result<Option<Archive>, ArchiveError> {
    let archives = list(store, workspace).await?.into_iter();
    let mut held = archives.filter(|archive| archive.state() != ArchiveState::Restored);
    Ok(held.find(|archive| archive.ordered.digest == digest))
}

/// An archive that holds a part of the range from `from` up to `to`.
pub fn overlapping(archives: &[Archive], from: u64, to: u64) -> Option<&Archive> {
    archives.iter().find(|archive| {
        archive.state() != ArchiveState::Restored
            && archive.ordered.from < to
            && from < archive.ordered.to
    })
}

/// Has the log say that the bodies of a range give way to the archive in `directory`, once all of it
/// was compared with what the database has. What was ordered before is gone on with.
///
/// # Errors
/// If the archive is not intact, or not of this log.
pub async fn order(
    ledger: &Ledger,
    workspace: WorkspaceId,
    directory: &Path,
    reason: Note,
    actor: &Actor,
) -> Result<Archive, ArchiveError> {
    let store = ledger.store();
    let io = |error| ArchiveError::Io(directory.to_owned(), error);
    let place = directory.canonicalize().map_err(io)?;
    let verified = looked_at(store, workspace, &place).await?;
    let Manifest { from, to, size, root, .. } = &verified.manifest;
    if let Some(there) = find(store, workspace, &verified.digest).await? {
        return Ok(there);
    }
    if let Some(other) = overlapping(&list(store, workspace).await?, *from, *to) {
        return Err(ArchiveError::Overlaps(other.id));
    }
    for index in from / WIDTH..to / WIDTH {
        entries(store, workspace, &place, index).await?;
    }
    let no_name = |_| ArchiveError::NoName(place.clone());
    let ordered = Ordered {
        digest: verified.digest.clone(),
        from: *from,
        place: Note::new(place.display().to_string()).map_err(no_name)?,
        reason,
        root: root.clone(),
        size: *size,
        to: *to,
    };
    let id = ledger.process_id()?;
    note(ledger, workspace, (id, 0), ArchiveEvent::Ordered(ordered), actor).await?;
    load(store, workspace, id).await?.ok_or(ArchiveError::Unknown)
}

/// Lets the bodies of an archive's range give way, a tile at a time, each compared once more with
/// the directory. `store` reads, and `may` is connected as somebody who may change bodies. Bodies of runs that are still active stay,
/// and so do tombstones and whatever is no body of a run, a subject or a worker. `progress` is told
/// how many of how many events were looked at.
///
/// # Errors
/// [`ArchiveError::NotHere`] if this user may not; if the directory does not hold what it must.
pub async fn drop_bodies(
    (store, may): (&Store, &Store),
    workspace: WorkspaceId,
    archive: &Archive,
    directory: &Path,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<(), ArchiveError> {
    if !may.may_erase().await? {
        return Err(ArchiveError::NotHere);
    }
    let Ordered { from, to, .. } = archive.ordered;
    for index in from / WIDTH..to / WIDTH {
        let rows = entries(store, workspace, directory, index).await?;
        let active = active(store, workspace, rows.iter().map(|(row, _)| row)).await?;
        let mut instead = Vec::new();
        for (row, _) in &rows {
            let of_run = row.stream().and_then(Stream::run_id);
            let stays = of_run.is_some_and(|run| active.contains(&run))
                || archive_of(&row.body).is_some()
                || erasure::mark(&row.body).is_some()
                || !is_dropped(row.aggregate_type);
            if let (false, Some(kind)) = (stays, EventType::from_number(row.event_type)) {
                let marker = marker(row.aggregate_id, archive.id, kind.as_str());
                instead.push((row.position, marker));
            }
        }
        may.put_markers(workspace, &instead).await?;
        progress((index + 1) * WIDTH - from, to - from);
    }
    Ok(())
}

/// Says that the bodies have given way.
///
/// # Errors
/// When the database fails.
pub async fn complete(
    ledger: &Ledger,
    workspace: WorkspaceId,
    archive: &Archive,
    actor: &Actor,
) -> Result<Archive, ArchiveError> {
    if archive.dropped.is_none() {
        let bodies = count(ledger.store(), workspace, archive).await?;
        let dropped = ArchiveEvent::Dropped(Dropped { bodies });
        note(ledger, workspace, (archive.id, archive.events), dropped, actor).await?;
    }
    load(ledger.store(), workspace, archive.id).await?.ok_or(ArchiveError::Unknown)
}

/// Puts bodies of an archive back from a directory, a tile at a time: what has the hash that the log
/// has, and nothing else. Says how many.
///
/// # Errors
/// [`ArchiveError::NotHere`] if this user may not; if the directory does not hold what it must.
pub async fn restore(
    may: &Store,
    workspace: WorkspaceId,
    archive: &Archive,
    directory: &Path,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<u64, ArchiveError> {
    if !may.may_erase().await? {
        return Err(ArchiveError::NotHere);
    }
    let Ordered { from, to, .. } = archive.ordered;
    let mut bodies = 0;
    for index in from / WIDTH..to / WIDTH {
        let (rows, held) = tile(may, workspace, directory, index).await?;
        let mut back = Vec::new();
        for (row, body) in rows.iter().zip(held) {
            if archive_of(&row.body) != Some(archive.id) {
                continue;
            }
            if leaf_hash(&body) != *row.leaf_hash {
                return Err(ArchiveError::OtherEntry(row.position));
            }
            back.push((row.position, body));
        }
        bodies += back.len() as u64;
        may.put_markers(workspace, &back).await?;
        progress((index + 1) * WIDTH - from, to - from);
    }
    Ok(bodies)
}

/// Says that the bodies were put back.
///
/// # Errors
/// When the database fails.
pub async fn restored(
    ledger: &Ledger,
    workspace: WorkspaceId,
    archive: &Archive,
    (bodies, reason): (u64, Note),
    actor: &Actor,
) -> Result<Archive, ArchiveError> {
    let restored = ArchiveEvent::Restored(Restored { bodies, reason });
    note(ledger, workspace, (archive.id, archive.events), restored, actor).await?;
    load(ledger.store(), workspace, archive.id).await?.ok_or(ArchiveError::Unknown)
}

/// How many bodies have given way to an archive.
///
/// # Errors
/// When the database fails.
pub async fn count(
    store: &Store,
    workspace: WorkspaceId,
    archive: &Archive,
) -> Result<u64, ArchiveError> {
    let Ordered { from, to, .. } = archive.ordered;
    let mut bodies = 0;
    for start in (from / WIDTH..to / WIDTH).map(|index| index * WIDTH) {
        let limit = u32::try_from(WIDTH).unwrap_or(u32::MAX);
        let rows = store.rows(workspace, start, start + WIDTH, limit).await?;
        let gone = rows.iter().filter(|row| archive_of(&row.body) == Some(archive.id));
        bodies += gone.count() as u64;
    }
    Ok(bodies)
}

/// The archive in a directory, if it is intact and of this log, and its checkpoint is one of ours.
async fn looked_at(
    store: &Store,
    workspace: WorkspaceId,
    directory: &Path,
) -> Result<Verified, ArchiveError> {
    let verified = directory::verify(directory, None)?;
    if !verified.is_intact() {
        return Err(ArchiveError::of(&verified));
    }
    if verified.manifest.workspace != workspace.to_string() {
        return Err(ArchiveError::OtherLog(verified.manifest.workspace_name));
    }
    let (size, root) = (verified.checkpoint.size, verified.checkpoint.root);
    let head = store.head(workspace).await?.map_or(0, |head| head.size());
    let signed = store.checkpoint_at(workspace, size).await?;
    let ours = signed.is_some_and(|signed| signed.root == root) && size <= head;
    if !ours || tree::root(store, workspace, size).await? != root {
        return Err(ArchiveError::OtherHistory(size));
    }
    Ok(verified)
}

/// The rows of a tile, each with what the directory holds for it.
async fn tile(
    store: &Store,
    workspace: WorkspaceId,
    directory: &Path,
    index: u64,
) -> Result<(Vec<LogRow>, Vec<Vec<u8>>), ArchiveError> {
    let bundle = directory::bundle_of(index * WIDTH);
    let (name, path) = (bundle.to_string(), directory.to_owned());
    let bytes = directory::read(directory, &name).map_err(|error| ArchiveError::Io(path, error))?;
    let held = directory::entries(&bytes)
        .map_err(|error| ArchiveError::NotIntact(format!("{name}: {error}")))?;
    let limit = u32::try_from(WIDTH).unwrap_or(u32::MAX);
    let rows = store.rows(workspace, index * WIDTH, (index + 1) * WIDTH, limit).await?;
    match rows.len() == held.len() {
        true => Ok((rows, held)),
        false => Err(ArchiveError::Damaged(index * WIDTH + rows.len() as u64)),
    }
}

/// The same, where the directory holds what the database has: by its leaf hash, or the same
/// tombstone.
async fn entries(
    store: &Store,
    workspace: WorkspaceId,
    directory: &Path,
    index: u64,
) -> Result<Vec<(LogRow, Vec<u8>)>, ArchiveError> {
    let (rows, held) = tile(store, workspace, directory, index).await?;
    for (row, held) in rows.iter().zip(&held) {
        let erased = erasure::mark(&row.body).is_some();
        match (leaf_hash(held) == *row.leaf_hash, erased) {
            (true, false) => {}
            (true, true) => return Err(ArchiveError::Erased(row.position)),
            (false, true) if *held == row.body => {}
            (false, _) => return Err(ArchiveError::OtherEntry(row.position)),
        }
        // What is dropped must be what was recorded, and not what somebody put there since.
        let intact = erased || archive_of(&row.body).is_some() || *held == row.body;
        if !intact {
            return Err(ArchiveError::Damaged(row.position));
        }
    }
    Ok(rows.into_iter().zip(held).collect())
}

/// Whether bodies of this kind of stream are dropped. The log is read and checked by the others.
const fn is_dropped(kind: i16) -> bool {
    kind == AggregateType::Run.number()
        || kind == AggregateType::Subject.number()
        || kind == AggregateType::Worker.number()
}

/// The runs of these rows that have not ended: more will come of them.
async fn active(
    store: &Store,
    workspace: WorkspaceId,
    rows: impl Iterator<Item = &LogRow>,
) -> Result<BTreeSet<RunId>, ArchiveError> {
    let streams: BTreeSet<Stream> = rows
        .filter(|row| row.aggregate_type == AggregateType::Run.number())
        .filter_map(LogRow::stream)
        .collect();
    let streams: Vec<Stream> = streams.into_iter().collect();
    let events = store.load_streams(workspace, &streams).await?;
    let runs = fold_runs(&events)?.into_iter();
    Ok(runs.filter(|(_, run)| run.status != Status::Completed).map(|(id, _)| id).collect())
}

/// Records the next event of an archive, which has `events` of them.
async fn note(
    ledger: &Ledger,
    workspace: WorkspaceId,
    (id, events): (Uuid, u64),
    event: ArchiveEvent,
    actor: &Actor,
) -> Result<(), ArchiveError> {
    let next = (Stream::archive(id), events);
    Ok(process::note(ledger, workspace, next, event, actor).await?)
}
