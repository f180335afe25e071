//! The log as it lies there, the newest event first; narrowed where that is asked for.

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use runledger_ledger::event::{AggregateType, Recorded, Stream};
use runledger_ledger::fact::{EventKind as _, EventType};
use runledger_ledger::store::{Kept, Store, StoredEvent, Whereabouts};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, RunId, WorkspaceId};
use serde::Deserialize;

use super::fault::{Page, html};
use super::shell::{Asked, Shell};
use super::signed::Signed;
use super::words;
use crate::app::App;
use crate::archived;
use crate::problem::{ApiError, ApiResult};
use crate::question::NameOrNone;

/// Events on a page.
const PAGE: usize = 30;
/// Events that are looked at for a page that is narrowed. One statement reads them.
const LOOK: u32 = 2_000;
/// Most events of one run that are looked at.
const OF_RUN: u32 = 10_000;

/// Which part of the log.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogQuery {
    /// Events before this position; the newest if it is left out.
    before: Option<u64>,
    /// Events of this type.
    #[serde(rename = "type")]
    kind: Option<EventType>,
    /// Events of this run.
    run: Option<RunId>,
    /// Events that this actor was behind.
    actor: Option<Name>,
    /// Events that this source reported.
    source: Option<Name>,
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
    /// None of one that is in an archive which cannot be read.
    pub(super) occurred_at: Option<Moment>,
    pub(super) recorded_at: Moment,
    pub(super) actor: Option<String>,
    pub(super) source: Option<String>,
    pub(super) leaf_hash: String,
    /// Whether its words were erased, and a tombstone is left.
    pub(super) erased: bool,
    /// Whether its body is in an archive, be it read from there or not.
    pub(super) archived: bool,
    /// What is stored, laid out for reading; or where it is.
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
    /// Whether something is left out that does not fit.
    pub(super) narrowed: bool,
    /// Whether events come as they are recorded: on the newest page, now.
    pub(super) moves: bool,
    pub(super) signed: Option<Signed>,
}

pub(super) async fn page(
    State(app): State<App>,
    Asked { shell, asked, workspace, .. }: Asked<LogQuery>,
) -> Page<Html<String>> {
    let store = app.ledger().store();
    let head = store.head(workspace).await.map_err(ApiError::from)?;
    let size = match shell.as_of {
        Some(_) => shell.position,
        None => head.as_ref().map_or(0, runledger_ledger::store::Head::size),
    };
    let signed = match shell.as_of {
        Some(_) => None,
        None => Some(Signed::read(&app, workspace, head.as_ref()).await?),
    };
    let to = asked.before.unwrap_or(size).min(size);
    let (stored, older) = asked.find(store, workspace, to).await?;
    let events = stored.iter().map(EventView::of).collect::<ApiResult<Vec<_>>>()?;
    let (narrowed, moves) = (asked.narrows(), asked.before.is_none() && shell.as_of.is_none());
    html(&LogPage { shell, events, size, older, narrowed, moves, signed })
}

impl LogQuery {
    fn narrows(&self) -> bool {
        let LogQuery { kind, run, actor, source, .. } = self;
        kind.is_some() || run.is_some() || actor.is_some() || source.is_some()
    }

    /// The newest events before `to` that fit, and where to look on.
    async fn find(
        &self,
        store: &Store,
        workspace: WorkspaceId,
        to: u64,
    ) -> ApiResult<(Vec<Kept>, Option<u64>)> {
        let (mut stored, from) = if let Some(run) = self.run {
            let stored = store.stream_as_kept(workspace, Stream::run(run), 0, OF_RUN).await?;
            (stored.into_iter().filter(|one| one.position < to).collect::<Vec<_>>(), 0)
        } else {
            let look = if self.narrows() { LOOK } else { u32::try_from(PAGE).unwrap_or(LOOK) };
            let from = to.saturating_sub(look.into());
            (store.log_as_kept(workspace, from, to, look).await?, from)
        };
        stored.reverse();
        let stored = store.told(workspace, stored).await?;
        let mut found = Vec::with_capacity(PAGE);
        for event in stored {
            if self.narrows() && !self.fits(&event)? {
                continue;
            }
            if found.len() == PAGE {
                let last: Option<&Kept> = found.last();
                let older = last.map(|kept| kept.event.position);
                return Ok((found, older));
            }
            found.push(event);
        }
        Ok((found, Some(from).filter(|from| *from > 0)))
    }

    fn fits(&self, kept: &Kept) -> ApiResult<bool> {
        if kept.archived.as_ref().is_some_and(|archived| archived.why.is_some()) {
            // Who did it cannot be told: it is left out where that is asked for.
            let kind = archived::kind(&kept.event)?;
            return Ok(self.kind.is_none_or(|wanted| wanted.as_str() == kind)
                && self.actor.is_none()
                && self.source.is_none());
        }
        let event = Recorded::decode(&kept.event.body).map_err(ApiError::internal)?;
        let kind = event.fact.event.event_type();
        let actor = event.actor.map(|actor| actor.id);
        Ok(self.kind.is_none_or(|wanted| wanted == kind)
            && self.actor.as_ref().is_none_or(|wanted| actor.as_ref() == Some(wanted))
            && self.source.as_ref().is_none_or(|wanted| event.source.as_ref() == Some(wanted)))
    }
}

impl EventView {
    /// Reads a stored event.
    pub(super) fn of(kept: &Kept) -> ApiResult<EventView> {
        let Kept { event: stored, archived } = kept;
        if let Some(Whereabouts { archive, digest, place, why: Some(why) }) = archived {
            let said = format!(
                "archived: {archive}\n  place: {place}\n  sha256: {digest}\n  not readable: {why}"
            );
            return EventView::elsewhere(stored, said);
        }
        let recorded = Recorded::decode(&stored.body).map_err(ApiError::internal)?;
        let value: serde_json::Value =
            serde_json::from_slice(&stored.body).map_err(ApiError::internal)?;
        let of_run = recorded.stream.kind == AggregateType::Run;
        Ok(EventView {
            position: recorded.position,
            kind: recorded.fact.event.event_type().as_str(),
            run: of_run.then(|| recorded.stream.id.to_string()),
            occurred_at: Some(recorded.fact.occurred_at),
            recorded_at: recorded.fact.recorded_at,
            actor: recorded.actor.map(|actor| actor.id.to_string()),
            source: recorded.source.map(|source| source.to_string()),
            leaf_hash: hex::encode(&stored.leaf_hash),
            erased: value.get("erased").is_some(),
            archived: archived.is_some(),
            body: serde_json::to_string_pretty(&value).map_err(ApiError::internal)?,
        })
    }

    /// An event whose body is in an archive that cannot be read: what its row and its marker say.
    fn elsewhere(marker: &StoredEvent, said: String) -> ApiResult<EventView> {
        let value: serde_json::Value =
            serde_json::from_slice(&marker.body).map_err(ApiError::internal)?;
        let kind: EventType = archived::kind(marker)?.parse().map_err(ApiError::internal)?;
        let of_run = kind.as_str().starts_with("run.");
        Ok(EventView {
            position: marker.position,
            kind: kind.as_str(),
            run: value["aggregate_id"].as_str().filter(|_| of_run).map(str::to_owned),
            occurred_at: None,
            recorded_at: Moment::from_micros(marker.recorded_at),
            actor: None,
            source: None,
            leaf_hash: hex::encode(&marker.leaf_hash),
            erased: false,
            archived: true,
            body: said,
        })
    }

    /// The message that says what happened.
    pub(super) fn what(&self) -> &'static str {
        what(self.kind)
    }
}

/// The message that says what an event of this type tells.
pub(super) fn what(kind: &str) -> &'static str {
    match kind {
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
        "token.created" => "event-token-created",
        "token.revoked" => "event-token-revoked",
        "member.granted" => "event-member-granted",
        "member.removed" => "event-member-removed",
        "person.changed" => "event-person-changed",
        "audit_pack.read" => "event-audit-pack-read",
        "key.rotated" => "event-key-rotated",
        "erasure.requested" => "event-erasure-requested",
        "erasure.approved" => "event-erasure-approved",
        "erasure.executed" => "event-erasure-executed",
        "erasure.completed" => "event-erasure-completed",
        "archive.ordered" => "event-archive-ordered",
        "archive.dropped" => "event-archive-dropped",
        "archive.restored" => "event-archive-restored",
        _ => "event-other",
    }
}
