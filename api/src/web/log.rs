//! The log as it lies there, the newest event first.

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use runledger_ledger::event::{AggregateType, Recorded};
use runledger_ledger::fact::EventKind;
use runledger_ledger::store::StoredEvent;
use runledger_ledger::time::Moment;
use serde::Deserialize;

use super::fault::{Page, html};
use super::shell::{Asked, Shell};
use super::words;
use crate::app::App;
use crate::problem::{ApiError, ApiResult};
use crate::question::NameOrNone;

/// Events on a page.
const PAGE: u64 = 100;

/// Which part of the log.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogQuery {
    /// Events before this position; the newest if it is left out.
    before: Option<u64>,
    /// A log spans environments: this only goes along to other pages.
    #[serde(rename = "environment")]
    _environment: Option<NameOrNone>,
}

/// An event as people see it.
pub(super) struct EventView {
    pub(super) position: u64,
    /// Its type, as it is stored.
    pub(super) kind: &'static str,
    /// The run that it is of.
    pub(super) run: Option<String>,
    pub(super) occurred_at: Moment,
    pub(super) recorded_at: Moment,
    pub(super) actor: Option<String>,
    pub(super) source: Option<String>,
    pub(super) leaf_hash: String,
    /// What is stored, laid out for reading.
    pub(super) body: String,
}

#[derive(Template)]
#[template(path = "log.html")]
pub(super) struct LogPage {
    pub(super) shell: Shell,
    pub(super) events: Vec<EventView>,
    pub(super) size: u64,
    /// Where older events go on.
    pub(super) older: Option<u64>,
}

pub(super) async fn page(
    State(app): State<App>,
    Asked { shell, asked, workspace, .. }: Asked<LogQuery>,
) -> Page<Html<String>> {
    let store = app.ledger().store();
    let size = match shell.as_of {
        Some(_) => shell.position,
        None => store.head(workspace).await.map_err(ApiError::from)?.map_or(0, |head| head.size()),
    };
    let to = asked.before.unwrap_or(size).min(size);
    let from = to.saturating_sub(PAGE);
    let stored = store.log(workspace, from, to, 100).await.map_err(ApiError::from)?;
    let mut events = stored.iter().map(EventView::of).collect::<ApiResult<Vec<_>>>()?;
    events.reverse();
    html(&LogPage { shell, events, size, older: Some(from).filter(|from| *from > 0) })
}

impl EventView {
    /// Reads a stored event.
    pub(super) fn of(stored: &StoredEvent) -> ApiResult<EventView> {
        let recorded = Recorded::decode(&stored.body).map_err(ApiError::internal)?;
        let value: serde_json::Value =
            serde_json::from_slice(&stored.body).map_err(ApiError::internal)?;
        let of_run = recorded.stream.kind == AggregateType::Run;
        Ok(EventView {
            position: recorded.position,
            kind: recorded.fact.event.event_type().as_str(),
            run: of_run.then(|| recorded.stream.id.to_string()),
            occurred_at: recorded.fact.occurred_at,
            recorded_at: recorded.fact.recorded_at,
            actor: recorded.actor.map(|actor| actor.id.to_string()),
            source: recorded.source.map(|source| source.to_string()),
            leaf_hash: hex::encode(&stored.leaf_hash),
            body: serde_json::to_string_pretty(&value).map_err(ApiError::internal)?,
        })
    }

    /// The message that says what happened.
    pub(super) fn what(&self) -> &'static str {
        match self.kind {
            "run.dispatched" => "event-run-dispatched",
            "run.started" => "event-run-started",
            "run.heartbeat" => "event-run-heartbeat",
            "run.succeeded" => "event-run-succeeded",
            "run.failed" => "event-run-failed",
            "run.cancelled" => "event-run-cancelled",
            "run.ended" => "event-run-ended",
            "run.reconciled" => "event-run-reconciled",
            "run.late_signal" => "event-run-late-signal",
            "run.follow_up_resolved" => "event-run-follow-up-resolved",
            "run.follow_up_reopened" => "event-run-follow-up-reopened",
            "subject.observed" => "event-subject-observed",
            "worker.seen" => "event-worker-seen",
            "worker.stopped" => "event-worker-stopped",
            "workspace.created" => "event-workspace-created",
            "workspace.ledger_blind" => "event-workspace-ledger-blind",
            "catalog.published" => "event-catalog-published",
            _ => "event-other",
        }
    }
}
