//! The aggregate `archive` (specs/0025): bodies of a closed range leave the database for a directory
//! of tiles and entries, and their hashes stay.
//!
//! A directory is written and verified first ([`export`]). Then a person orders that the bodies give
//! way to it ([`order`]), which the log tells, and only then they do ([`drop_bodies`]). Whoever reads
//! them afterwards reads the directory, and believes of it what has the hash that the log has; where
//! it cannot be read, the reader is told which archive is missing, and where it was put. They can be
//! put back ([`restore`]).

mod directory;
mod export;
mod marker;
mod shelf;
mod steps;

pub use directory::{unlisted, verify};
pub use export::{Exported, Order, Until, export, last_due};
pub(crate) use marker::stream_of_marker;
pub use marker::{archive_of, marker};
pub use shelf::{Archived, Archives};
pub use steps::{
    ArchiveError, complete, count, drop_bodies, find, list, load, order, overlapping, restore,
    restored,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{Actor, AnyEvent, Recorded};
use crate::fact::{EventKind, EventType, Fact};
use crate::time::Moment;
use crate::words::Note;

/// One immutable fact of an archive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum ArchiveEvent {
    /// Somebody ordered that bodies give way to it.
    #[serde(rename = "archive.ordered")]
    Ordered(Ordered),
    /// They have.
    #[serde(rename = "archive.dropped")]
    Dropped(Dropped),
    /// They were put back.
    #[serde(rename = "archive.restored")]
    Restored(Restored),
}

impl EventKind for ArchiveEvent {
    fn event_type(&self) -> EventType {
        match self {
            ArchiveEvent::Ordered(_) => EventType::ArchiveOrdered,
            ArchiveEvent::Dropped(_) => EventType::ArchiveDropped,
            ArchiveEvent::Restored(_) => EventType::ArchiveRestored,
        }
    }
}

/// Somebody ordered that the bodies of a range give way to a directory that holds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// SHA-256 of the directory's manifest, in hexadecimal: it names every byte of it.
    pub digest: String,
    /// The first position.
    pub from: u64,
    /// Where the directory is.
    pub place: Note,
    /// Why.
    pub reason: Note,
    /// The root of the checkpoint that it was verified by, in hexadecimal.
    pub root: String,
    /// Events that the checkpoint is of.
    pub size: u64,
    /// The position after the last one.
    pub to: u64,
}

/// They have given way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// How many bodies.
    pub bodies: u64,
}

/// They were put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// How many bodies.
    pub bodies: u64,
    /// Why.
    pub reason: Note,
}

crate::words::words! {
    /// How far an archive is.
    ArchiveState {
        /// The log names it; not all bodies have given way yet.
        Ordered = "ordered",
        /// Bodies of its range are read from it.
        Dropped = "archived",
        /// They were put back.
        Restored = "restored",
    }
}

/// What the stream of an archive says.
#[derive(Clone, Debug, PartialEq)]
pub struct Archive {
    /// Its id.
    pub id: Uuid,
    /// What was ordered.
    pub ordered: Ordered,
    /// Who ordered it.
    pub ordered_by: Option<Actor>,
    /// When.
    pub ordered_at: Moment,
    /// How many bodies gave way, and when that was done.
    pub dropped: Option<(u64, Moment)>,
    /// Who put them back, and when.
    pub restored: Option<(Option<Actor>, Moment)>,
    /// Events of its stream.
    pub events: u64,
}

impl Archive {
    /// What `events`, its stream, say; none if there are none.
    pub fn fold(id: Uuid, events: &[Recorded]) -> Option<Archive> {
        let mut archive: Option<Archive> = None;
        for event in events {
            let Fact { recorded_at, event: AnyEvent::Archive(fact), .. } = &event.fact else {
                continue;
            };
            match (fact, &mut archive) {
                (ArchiveEvent::Ordered(ordered), None) => {
                    archive = Some(Archive {
                        id,
                        ordered: ordered.clone(),
                        ordered_by: event.actor.clone(),
                        ordered_at: *recorded_at,
                        dropped: None,
                        restored: None,
                        events: 0,
                    });
                }
                (ArchiveEvent::Dropped(dropped), Some(archive)) => {
                    archive.dropped = Some((dropped.bodies, *recorded_at));
                }
                (ArchiveEvent::Restored(_), Some(archive)) => {
                    archive.restored = Some((event.actor.clone(), *recorded_at));
                }
                _ => {}
            }
            if let Some(archive) = &mut archive {
                archive.events += 1;
            }
        }
        archive
    }

    /// How far it is.
    pub const fn state(&self) -> ArchiveState {
        match self {
            Archive { restored: Some(_), .. } => ArchiveState::Restored,
            Archive { dropped: Some(_), .. } => ArchiveState::Dropped,
            Archive { .. } => ArchiveState::Ordered,
        }
    }

    /// Whether a position is in its range.
    pub const fn holds(&self, position: u64) -> bool {
        self.ordered.from <= position && position < self.ordered.to
    }
}
