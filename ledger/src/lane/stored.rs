//! Stored events, read again.

use std::collections::BTreeSet;

use crate::archive::{Archived, archive_of, stream_of_marker};
use crate::event::{AnyEvent, Recorded, Stream};
use crate::fact::Fact;
use crate::run::Run;
use crate::store::{Store, StoreError, StoredEvent};
use crate::words::{RunId, WorkspaceId};

/// Reads a stored event; one that cannot be read is corruption.
pub(crate) fn decode(event: &StoredEvent) -> Result<Recorded, StoreError> {
    Recorded::decode(&event.body).map_err(|error| {
        StoreError::Corrupt(format!("the event at position {}: {error}", event.position))
    })
}

/// Runs as they stand, and those of whom a body is in an archive that cannot be read.
type Loaded = (Vec<(RunId, Run)>, Vec<(RunId, Archived)>);

/// The runs of these events, which come stream by stream. One of whom a body cannot be brought back
/// is no hindrance to the others, and only such runs are asked for once more.
pub(super) async fn read_runs(
    store: &Store,
    workspace: WorkspaceId,
    mut events: Vec<StoredEvent>,
) -> Result<Loaded, StoreError> {
    let marked: BTreeSet<RunId> =
        events.iter().filter_map(|event| stream_of_marker(&event.body)).map(RunId).collect();
    if marked.is_empty() {
        return Ok((fold_runs(&events)?, Vec::new()));
    }
    match store.bring_back(workspace, events.clone()).await {
        Ok(events) => return Ok((fold_runs(&events)?, Vec::new())),
        Err(StoreError::Archived(_)) => {}
        Err(error) => return Err(error),
    }
    events.retain(|event| archive_of(&event.body).is_none());
    let mut runs = fold_runs(&events)?;
    runs.retain(|(id, _)| !marked.contains(id));
    let mut unreadable = Vec::new();
    for id in marked {
        match store.load_streams(workspace, &[Stream::run(id)]).await {
            Ok(events) => runs.extend(fold_runs(&events)?),
            Err(StoreError::Archived(archived)) => unreadable.push((id, *archived)),
            Err(error) => return Err(error),
        }
    }
    Ok((runs, unreadable))
}

/// The runs of these events, which come stream by stream.
pub(crate) fn fold_runs(events: &[StoredEvent]) -> Result<Vec<(RunId, Run)>, StoreError> {
    let mut runs: Vec<(RunId, Run)> = Vec::new();
    for event in events {
        let recorded = decode(event)?;
        let Some(id) = recorded.stream.run_id() else { continue };
        let AnyEvent::Run(event) = recorded.fact.event else { continue };
        let fact = Fact {
            occurred_at: recorded.fact.occurred_at,
            recorded_at: recorded.fact.recorded_at,
            event,
        };
        match runs.last_mut() {
            Some((last, run)) if *last == id => run.apply(&fact),
            _ => {
                let mut run = Run::default();
                run.apply(&fact);
                runs.push((id, run));
            }
        }
    }
    Ok(runs)
}
