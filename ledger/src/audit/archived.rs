//! Bodies that are in an archive: whether somebody has ordered that, and, where the archive can be
//! read, whether it holds what was recorded.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use uuid::Uuid;

use crate::archive::{ArchiveEvent, Ordered, archive_of, marker};
use crate::event::{AnyEvent, Recorded};
use crate::fact::EventType;
use crate::store::{LogRow, Store, StoreError};
use crate::words::WorkspaceId;

/// A range of which bodies are in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArchivedRange {
    /// The archive.
    pub archive: Uuid,
    /// Its first position.
    pub from: u64,
    /// The position after its last one.
    pub to: u64,
    /// Where it was put.
    pub place: String,
    /// SHA-256 of its manifest, in hexadecimal.
    pub digest: String,
    /// How many bodies are in it and not in the database.
    pub bodies: u64,
    /// How many of them were read there, and are what was recorded.
    pub verified: u64,
    /// Why the others were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What was found of the markers of a page.
pub(super) type Markers = HashMap<u64, Marked>;

/// What was found of a marker.
#[derive(Debug)]
pub(super) struct Marked {
    archive: Uuid,
    /// Whether it is written as the marker of this row is.
    pub(super) exact: bool,
    /// Why its body could not be read; none if the row has it now.
    pub(super) why: Option<String>,
    /// Whether the archive was found, and holds something else.
    pub(super) altered: bool,
}

/// Gives rows whose bodies are in archives these bodies, where they can be read.
pub(super) async fn bring_back(
    store: &Store,
    workspace: WorkspaceId,
    rows: &mut [LogRow],
) -> Result<Markers, StoreError> {
    let mut markers = Markers::new();
    for row in rows {
        let Some(archive) = archive_of(&row.body) else { continue };
        let kind = EventType::from_number(row.event_type).map_or("", EventType::as_str);
        let exact = row.body == marker(row.aggregate_id, archive, kind);
        let mut altered = false;
        let why = match store.ordered(workspace, archive, row.position).await {
            Ok(ordered) => {
                let archives = store.archives();
                match archives.body(archive, &ordered, row.position, &row.leaf_hash).await {
                    Ok(body) => {
                        row.body = body;
                        None
                    }
                    Err(archived) => {
                        altered = archived.altered;
                        Some(archived.why)
                    }
                }
            }
            Err(StoreError::Corrupt(why)) => Some(why),
            Err(error) => return Err(error),
        };
        markers.insert(row.position, Marked { archive, exact, why, altered });
    }
    Ok(markers)
}

/// What a log says of its archives, gathered event by event.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    ordered: HashMap<Uuid, Ordered>,
    seen: BTreeMap<Uuid, Seen>,
}

#[derive(Debug)]
struct Seen {
    first: u64,
    last: u64,
    bodies: u64,
    verified: u64,
    why: Option<String>,
}

impl Gathered {
    /// Takes an event whose bytes are those of its hash.
    pub(super) fn intact(&mut self, event: &Recorded) {
        if let AnyEvent::Archive(ArchiveEvent::Ordered(ordered)) = &event.fact.event {
            self.ordered.entry(event.stream.id).or_insert_with(|| ordered.clone());
        }
    }

    /// Takes a marker. Whether somebody has ordered it is judged at the end, because an order comes
    /// after what it is about.
    pub(super) fn marked(&mut self, position: u64, marked: &Marked) {
        let seen = self.seen.entry(marked.archive).or_insert(Seen {
            first: position,
            last: position,
            bodies: 0,
            verified: 0,
            why: None,
        });
        seen.last = position;
        seen.bodies += 1;
        match &marked.why {
            None => seen.verified += 1,
            Some(why) => seen.why = seen.why.take().or_else(|| Some(why.clone())),
        }
    }

    /// The ranges that are in archives, and positions whose markers nobody has ordered.
    pub(super) fn settle(self) -> (Vec<ArchivedRange>, Vec<u64>) {
        let (mut ranges, mut unexplained) = (Vec::new(), Vec::new());
        for (archive, seen) in self.seen {
            let Some(Ordered { from, to, place, digest, .. }) = self.ordered.get(&archive) else {
                unexplained.push(seen.first);
                continue;
            };
            unexplained.extend((seen.first < *from).then_some(seen.first));
            unexplained.extend((seen.last >= *to).then_some(seen.last));
            ranges.push(ArchivedRange {
                archive,
                from: *from,
                to: *to,
                place: place.to_string(),
                digest: digest.clone(),
                bodies: seen.bodies,
                verified: seen.verified,
                why: seen.why,
            });
        }
        ranges.sort_by_key(|range| range.from);
        (ranges, unexplained)
    }
}
