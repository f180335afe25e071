//! The audit of a log: whether it is what DESIGN section 2 says of every log. It reads page by
//! page, holds one page at a time, and names the position of each thing that is wrong.

mod archived;
mod rights;
mod signed;

use std::collections::{BTreeMap, HashMap, HashSet};

use runledger_proof::erasure::{Erasures, Settled};
use runledger_proof::tile::{self, HEIGHT, Of, TileHash};
use runledger_proof::witness::Seen;
use serde_json::Value;

use crate::canonical;
use crate::catalog::Catalog;
use crate::event::{AggregateType, AnyEvent, DecodeError, Recorded, Stream};
use crate::fact::EventKind;
use crate::merkle::{Frontier, Hash, leaf_hash};
use crate::store::{LogRow, Store, StoreError};
use crate::submission::UNNAMED_SOURCE;
use crate::time::Moment;
use crate::words::WorkspaceId;
use crate::workspace::{CatalogPublished, WorkspaceEvent};

pub use archived::ArchivedRange;
pub use rights::rights;
pub use signed::compare;

use self::archived::{Gathered, Markers};

/// Events that are looked at in one go.
const PAGE: u32 = 1_000;
/// Most flaws that are told one by one.
const MOST: usize = 1_000;

/// What an audit found.
#[derive(Debug)]
pub struct Audit {
    /// Events in the log.
    pub size: u64,
    /// The root of the tree over their stored hashes.
    pub root: Hash,
    /// What is wrong, in the order of positions: the first thousand.
    pub flaws: Vec<Flaw>,
    /// How many more flaws there are.
    pub more: u64,
    /// Positions whose bodies two people have had erased, each with its erasure. That is no flaw.
    pub erased: BTreeMap<u64, String>,
    /// Ranges of which bodies are in an archive. That is no flaw.
    pub archived: Vec<ArchivedRange>,
}

/// Something that is wrong with a log.
#[derive(Debug)]
pub struct Flaw {
    /// The event; none if it is the head.
    pub position: Option<u64>,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with an event or with the head of its log.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is none, and there are later ones.
    #[error("it is missing, and the log goes on at {0}")]
    Missing(u64),
    /// Its bytes are not those that were hashed.
    #[error("its bytes are not those that were recorded: their hash is {actual}, not {stored}")]
    LeafHash {
        /// The stored hash, in hexadecimal.
        stored: String,
        /// The hash of the stored bytes.
        actual: String,
    },
    /// Its bytes were replaced by a tombstone, and nobody has ordered that.
    #[error(
        "its bytes were replaced by a tombstone that no approved erasure in the log names: it was \
         tampered with"
    )]
    NotOrdered,
    /// Its bytes were replaced by a marker, and nobody has ordered that.
    #[error(
        "its bytes were replaced by the marker of an archive that no order in the log names: it was \
         tampered with"
    )]
    NotArchived,
    /// The archive that its bytes are in holds others.
    #[error(
        "the archive that its bytes are in holds others there: the archive was tampered with, or is \
         damaged; put a whole copy of it in its place"
    )]
    Archive,
    /// Its bytes are not in canonical form.
    #[error("its bytes are not in canonical form")]
    NotCanonical,
    /// Its bytes are no event.
    #[error("its bytes are no event: {0}")]
    NoEvent(DecodeError),
    /// A column of its row says something else than its bytes.
    #[error("the column {column} is {stored}, and the bytes say {said}")]
    Column {
        /// Which column.
        column: &'static str,
        /// What stands in it.
        stored: String,
        /// What the bytes say.
        said: String,
    },
    /// It was recorded before the one before it.
    #[error("it says it was recorded at {0}, before the event before it")]
    TimeRunsBack(Moment),
    /// It does not follow the events of its stream.
    #[error("it is number {sequence} of its stream, and number {} is not before it", sequence - 1)]
    Sequence {
        /// Its place in its stream.
        sequence: i64,
    },
    /// It publishes a catalog that is not sound, or not the one it names.
    #[error("the catalog that it publishes is not sound, or not the one that its hash names")]
    Catalog,
    /// A hash that proofs are made of is not that of the events.
    #[error("hash {place} of level {level} of the tree is {stored}; by the events it is {derived}")]
    TileHash {
        /// Its level: of 256^level events.
        level: u32,
        /// Its place among those of its level.
        place: u64,
        /// What stands there, in hexadecimal.
        stored: String,
        /// What follows from the events.
        derived: String,
    },
    /// A hash stands where no hash of a tile can.
    #[error("a hash stands at place {place} of level {level} of the tree, where there can be none")]
    StrayHash {
        /// The level in its row.
        level: i16,
        /// The place in its row.
        place: i64,
    },
    /// What it says of when a checkpoint was there does not fit.
    #[error("the timestamp that it holds is not one of a checkpoint of this log: {0}")]
    Timestamp(String),
    /// Somebody has a right that the log gives nobody.
    #[error("{0}, and the log does not say so")]
    Right(String),
    /// Its events are not those that were signed.
    #[error("from here up to {} the events are not those of which a checkpoint of {signed} was \
             signed; up to {from} they are as they were signed", signed - 1)]
    NotAsSigned {
        /// The greatest size that is as it was signed.
        from: u64,
        /// The size that is not.
        signed: u64,
    },
    /// A checkpoint in the database is none, or not the one that its row says.
    #[error("the database's checkpoint of {size} events is not what was signed: {why}")]
    Checkpoint {
        /// The size in its row.
        size: u64,
        /// What is wrong with it.
        why: String,
    },
    /// It is shorter than what was signed.
    #[error("the log ends before it, and a checkpoint of {signed} events was signed")]
    EndsBefore {
        /// How many events were signed.
        signed: u64,
    },
    /// The head says something else than the events.
    #[error("the head's {what} is {stored}; by the events it is {derived}")]
    Head {
        /// Which part of it.
        what: &'static str,
        /// What stands there.
        stored: String,
        /// What follows from the events.
        derived: String,
    },
    /// The head cannot be read.
    #[error("the head cannot be read: {0}")]
    NoHead(String),
}

/// Audits the log of `workspace` up to its end as of now. None if there is no such log. `progress`
/// is told how many events of how many have been looked at.
///
/// # Errors
/// When the database fails. What is wrong with the log is no error.
pub async fn audit(
    store: &Store,
    workspace: WorkspaceId,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Option<Audit>, StoreError> {
    let mut walk = Walk::new(workspace);
    let head = match store.head(workspace).await {
        Ok(Some(head)) => Some(head),
        Ok(None) => return Ok(None),
        Err(StoreError::Corrupt(problem)) => {
            walk.flaw(None, Problem::NoHead(problem));
            None
        }
        Err(error) => return Err(error),
    };
    let size = head.as_ref().map_or(i64::MAX.unsigned_abs(), |head| head.size());
    while walk.next < size {
        let mut rows = store.rows(workspace, walk.next, size, PAGE).await?;
        let markers = archived::bring_back(store, workspace, &mut rows).await?;
        if rows.is_empty() {
            break;
        }
        let first = walk.next;
        let unknown = walk.page(&rows, &markers);
        let known = store.predecessors(workspace, &unknown, first).await?;
        walk.sequences(&unknown, &known, &rows);
        walk.tiles(store).await?;
        progress(walk.next, size.max(walk.next));
    }
    walk.tiles_beyond(store).await?;
    for Flaw { position, problem } in compare(store, workspace, &walk.stamped).await? {
        walk.flaw(position, problem);
    }
    if let Some(head) = &head {
        walk.head(head.size(), &head.frontier, head.last_recorded_at);
    }
    Ok(Some(walk.finish()))
}

/// The place of an event before it in its stream: what must be there if the event is.
pub type Predecessor = (Stream, i64);

struct Walk {
    workspace: WorkspaceId,
    /// The next position.
    next: u64,
    last_recorded_at: i64,
    /// Over the hashes as they are stored: a changed byte is told once, where it is.
    frontier: Frontier,
    /// The hashes of tiles that follow, and were not compared yet.
    tiles: Vec<TileHash>,
    erasures: Erasures,
    archives: Gathered,
    /// What authorities said was there.
    stamped: Vec<Seen>,
    flaws: Vec<Flaw>,
    more: u64,
}

impl Walk {
    fn new(workspace: WorkspaceId) -> Walk {
        Walk {
            workspace,
            next: 0,
            last_recorded_at: i64::MIN,
            frontier: Frontier::default(),
            tiles: Vec::new(),
            erasures: Erasures::default(),
            archives: Gathered::default(),
            stamped: Vec::new(),
            flaws: Vec::new(),
            more: 0,
        }
    }

    fn flaw(&mut self, position: Option<u64>, problem: Problem) {
        if self.flaws.len() < MOST {
            self.flaws.push(Flaw { position, problem });
        } else {
            self.more += 1;
        }
    }

    /// Looks at a page, and says which events must be in the log before it.
    fn page(&mut self, rows: &[LogRow], markers: &Markers) -> Vec<Predecessor> {
        let mut streams: HashMap<Stream, i64> = HashMap::new();
        let mut before = Vec::new();
        for row in rows {
            if row.position != self.next {
                self.flaw(Some(self.next), Problem::Missing(row.position));
            }
            self.next = row.position + 1;
            self.event(row, markers);
            let Some(stream) = row.stream() else { continue };
            match streams.insert(stream, row.sequence) {
                Some(last) if last + 1 == row.sequence => {}
                None if row.sequence == 1 => {}
                None => before.push((stream, row.sequence - 1)),
                Some(_) => {
                    let sequence = row.sequence;
                    self.flaw(Some(row.position), Problem::Sequence { sequence });
                }
            }
        }
        before
    }

    fn event(&mut self, row: &LogRow, markers: &Markers) {
        let position = Some(row.position);
        let marked = markers.get(&row.position);
        if let Some(marked) = marked {
            self.archives.marked(row.position, marked);
            if !marked.exact {
                self.flaw(position, Problem::NotArchived);
            }
            if marked.altered {
                self.flaw(position, Problem::Archive);
            }
        }
        let unread = marked.is_some_and(|marked| marked.why.is_some());
        let actual = leaf_hash(&row.body);
        if unread {
            // Its bytes are elsewhere. Of its row, what has nothing to do with them is looked at.
        } else if row.leaf_hash == actual {
            self.erasures.intact(&row.body);
        } else if !self.erasures.changed(row.position, &row.body) {
            let (stored, actual) = (hex::encode(&row.leaf_hash), hex::encode(actual));
            self.flaw(position, Problem::LeafHash { stored, actual });
        }
        let leaf = Hash::try_from(row.leaf_hash.as_slice()).unwrap_or(actual);
        tile::push(&mut self.frontier, leaf, &mut self.tiles);
        if row.recorded_at < self.last_recorded_at {
            let moment = Moment::from_micros(row.recorded_at);
            self.flaw(position, Problem::TimeRunsBack(moment));
        }
        self.last_recorded_at = self.last_recorded_at.max(row.recorded_at);
        if unread {
            return;
        }
        let json: Option<Value> = serde_json::from_slice(&row.body).ok();
        let again = json.as_ref().and_then(|json| canonical::to_bytes(json).ok());
        if again.as_deref() != Some(&row.body) {
            self.flaw(position, Problem::NotCanonical);
        }
        match Recorded::decode(&row.body) {
            Err(error) => self.flaw(position, Problem::NoEvent(error)),
            Ok(event) => {
                let workspace = json.as_ref().and_then(|json| json["workspace"].as_str());
                self.columns(row, &event, workspace.unwrap_or_default());
                if row.leaf_hash == actual {
                    self.archives.intact(&event);
                }
                if let AnyEvent::Workspace(WorkspaceEvent::CatalogPublished(catalog)) =
                    &event.fact.event
                    && !is_sound(catalog)
                {
                    self.flaw(position, Problem::Catalog);
                }
                self.timestamp(&event);
            }
        }
    }

    /// A checkpoint that an authority has seen was there before the event that says so.
    fn timestamp(&mut self, event: &Recorded) {
        let AnyEvent::Workspace(WorkspaceEvent::CheckpointTimestamped(told)) = &event.fact.event
        else {
            return;
        };
        match told.check(self.workspace) {
            Ok(seen) if seen.size <= event.position => self.stamped.push(seen),
            Ok(seen) => {
                let why = format!("a checkpoint of {} events was not there yet", seen.size);
                self.flaw(Some(event.position), Problem::Timestamp(why));
            }
            Err(why) => self.flaw(Some(event.position), Problem::Timestamp(why)),
        }
    }

    /// A row says nothing but what its bytes say.
    fn columns(&mut self, row: &LogRow, event: &Recorded, workspace: &str) {
        let stream = |stream: Option<Stream>| {
            stream.map_or_else(String::new, |stream| format!("{} {}", stream.kind, stream.id))
        };
        let remembered = event.event_id.as_ref().map(|_| {
            event.source.as_ref().map_or(UNNAMED_SOURCE, |source| source.as_str()).to_owned()
        });
        let text = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
        let said: [(&'static str, String, String); 8] = [
            ("workspace_id", self.workspace.to_string(), workspace.to_owned()),
            ("position", row.position.to_string(), event.position.to_string()),
            ("aggregate_id", stream(row.stream()), stream(Some(event.stream))),
            ("sequence", row.sequence.to_string(), event.sequence.to_string()),
            (
                "event_type",
                row.event_type.to_string(),
                event.fact.event.event_type().number().to_string(),
            ),
            (
                "recorded_at",
                row.recorded_at.to_string(),
                event.fact.recorded_at.micros().to_string(),
            ),
            ("source", text(row.source.clone()), text(remembered)),
            (
                "event_id",
                text(row.event_id.clone()),
                text(event.event_id.as_ref().map(ToString::to_string)),
            ),
        ];
        for (column, stored, said) in said {
            if stored != said {
                self.flaw(Some(row.position), Problem::Column { column, stored, said });
            }
        }
    }

    /// Tells the events of a page that `wanted` found nothing before.
    fn sequences(&mut self, wanted: &[Predecessor], known: &[Predecessor], rows: &[LogRow]) {
        let known: HashSet<&Predecessor> = known.iter().collect();
        for missing in wanted.iter().filter(|wanted| !known.contains(wanted)) {
            let sequence = missing.1 + 1;
            let event =
                rows.iter().find(|row| row.sequence == sequence && row.stream() == Some(missing.0));
            self.flaw(event.map(|row| row.position), Problem::Sequence { sequence });
        }
    }

    /// Compares the hashes of tiles that the last events have completed.
    async fn tiles(&mut self, store: &Store) -> Result<(), StoreError> {
        for TileHash { level, index: place, hash } in std::mem::take(&mut self.tiles) {
            let stored = store.hashes(self.workspace, level, place..place + 1).await?;
            let stored = stored.first().map(|(_, hash)| *hash);
            if stored != Some(hash) {
                let stored = stored.map_or_else(|| "missing".to_owned(), hex::encode);
                let derived = hex::encode(hash);
                self.flaw(None, Problem::TileHash { level, place, stored, derived });
            }
        }
        Ok(())
    }

    /// Tells hashes of tiles that no events lead to.
    async fn tiles_beyond(&mut self, store: &Store) -> Result<(), StoreError> {
        for level in 1..HEIGHT {
            let end = Of::Hashes(level).count(self.next);
            if let Some(place) = store.hash_beyond(self.workspace, level, end).await? {
                let (stored, derived) = ("there".to_owned(), "none".to_owned());
                self.flaw(None, Problem::TileHash { level, place, stored, derived });
            }
        }
        if let Some((level, place)) = store.stray_hash(self.workspace, HEIGHT).await? {
            self.flaw(None, Problem::StrayHash { level, place });
        }
        Ok(())
    }

    fn head(&mut self, size: u64, frontier: &Frontier, last_recorded_at: Moment) {
        let mut compared = vec![("size", size.to_string(), self.next.to_string())];
        if size == self.frontier.size() {
            let edge = |frontier: &Frontier| hex::encode(frontier.to_bytes());
            compared.push(("tree", edge(frontier), edge(&self.frontier)));
        }
        let last = if size == 0 { 0 } else { self.last_recorded_at };
        let stored = last_recorded_at.micros().to_string();
        compared.push(("last_recorded_at", stored, last.to_string()));
        for (what, stored, derived) in compared {
            if stored != derived {
                self.flaw(None, Problem::Head { what, stored, derived });
            }
        }
    }

    fn finish(mut self) -> Audit {
        let Settled { erased, unexplained } = std::mem::take(&mut self.erasures).settle();
        for position in unexplained {
            self.flaw(Some(position), Problem::NotOrdered);
        }
        let (archived, unexplained) = std::mem::take(&mut self.archives).settle();
        for position in unexplained {
            self.flaw(Some(position), Problem::NotArchived);
        }
        let Walk { next, frontier, mut flaws, more, .. } = self;
        flaws.sort_by_key(|flaw| flaw.position.unwrap_or(u64::MAX));
        Audit { size: next, root: frontier.root(), flaws, more, erased, archived }
    }
}

fn is_sound(published: &CatalogPublished) -> bool {
    Catalog::parse(&published.content).is_ok_and(|catalog| {
        hex::encode(catalog.sha256()) == published.sha256 && catalog.version() == published.version
    })
}

impl LogRow {
    /// Its stream; none if there is no such kind of stream.
    pub(crate) fn stream(&self) -> Option<Stream> {
        let kind = AggregateType::from_number(self.aggregate_type)?;
        Some(Stream { kind, id: self.aggregate_id })
    }
}
