//! What recorded events say of runs that whoever asks may not see (specs/0018).

use runledger_ledger::store::StoredEvent;
use runledger_ledger::words::RunId;
use runledger_projections::View;
use serde_json::Value;

use crate::problem::{ApiError, ApiResult};

/// The members of an event that lead to another run.
const LEADS: [&str; 2] = ["parent_run_id", "retry_of"];

/// The events without what leads to runs that the view does not show: whether there is such a run, or
/// whether it is hidden, nobody is told. Only who is held to environments is given anything else than
/// the stored bytes.
pub(crate) async fn without_unseen(
    view: &View,
    events: Vec<StoredEvent>,
) -> ApiResult<Vec<StoredEvent>> {
    if !view.sight().is_narrowed() {
        return Ok(events);
    }
    let mut read: Vec<(StoredEvent, Value)> = Vec::with_capacity(events.len());
    let mut named = Vec::new();
    for event in events {
        let value: Value = serde_json::from_slice(&event.body).map_err(ApiError::internal)?;
        named.extend(LEADS.iter().filter_map(|lead| leads_to(&value, lead)));
        read.push((event, value));
    }
    named.sort_unstable();
    named.dedup();
    let seen = view.there(&named).await?;
    let blanked = read.into_iter().map(|(event, mut value)| {
        let hidden = |lead: &&str| leads_to(&value, lead).is_some_and(|run| !seen.contains(&run));
        let hidden: Vec<&str> = LEADS.into_iter().filter(|lead| hidden(lead)).collect();
        if hidden.is_empty() {
            return Ok(event);
        }
        if let Some(data) = value.get_mut("data").and_then(Value::as_object_mut) {
            hidden.into_iter().for_each(|lead| drop(data.remove(lead)));
        }
        let body = serde_json::to_vec(&value).map_err(ApiError::internal)?;
        Ok(StoredEvent { body, ..event })
    });
    blanked.collect()
}

fn leads_to(event: &Value, lead: &str) -> Option<RunId> {
    event.get("data")?.get(lead)?.as_str()?.parse().ok().map(RunId)
}
