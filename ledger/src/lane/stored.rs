//! Stored events, read again.

use crate::event::{AnyEvent, Recorded};
use crate::fact::Fact;
use crate::run::Run;
use crate::store::{StoreError, StoredEvent};
use crate::words::RunId;

/// Reads a stored event; one that cannot be read is corruption.
pub(crate) fn decode(event: &StoredEvent) -> Result<Recorded, StoreError> {
    Recorded::decode(&event.body).map_err(|error| {
        StoreError::Corrupt(format!("the event at position {}: {error}", event.position))
    })
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
