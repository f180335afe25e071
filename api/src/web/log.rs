//! The log as it lies there, the newest event first; narrowed where that is asked for.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use runledger_ledger::event::{AggregateType, Recorded, Stream};
use runledger_ledger::fact::{EventKind as _, EventType};
use runledger_ledger::store::{Kept, Store, StoredEvent, Whereabouts};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, RunId, WorkspaceId};
use runledger_projections::{PageRequest, RunFilter, View};
use serde::{Deserialize, Serialize as _};

use super::fault::{Page, html};
use super::shell::{Asked, Shell};
use super::signed::Signed;
use super::words;
use crate::app::App;
use crate::archived;
use crate::problem::{ApiError, ApiResult, Parameter, Takes};
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
    /// Events of this run: its id, or a part of it that no other has.
    run: Option<Name>,
    /// Events that this actor was behind.
    actor: Option<Name>,
    /// Events that this source reported.
    source: Option<Name>,
    /// Events that were recorded at this moment or later.
    since: Option<String>,
    /// Events that were recorded before this moment.
    until: Option<String>,
    /// Events of runs of this environment.
    environment: Option<NameOrNone>,
}

/// What is looked for, and where.
struct Search {
    asked: LogQuery,
    run: Option<RunId>,
    /// Events from this position on.
    least: u64,
    /// Events before this one.
    to: u64,
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
    /// The position that was asked for, if the log ends before it.
    pub(super) beyond: Option<u64>,
    /// Whether events come as they are recorded: on the newest page, now.
    pub(super) moves: bool,
    pub(super) signed: Option<Signed>,
}

pub(super) async fn page(
    State(app): State<App>,
    Asked { shell, view, asked, workspace }: Asked<LogQuery>,
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
    let (narrowed, newest) = (asked.narrows(), asked.before.is_none() && asked.until.is_none());
    let moves = newest && shell.as_of.is_none();
    let beyond = asked.before.filter(|before| *before > size);
    let search = Search::of(asked, &view, store, size).await?;
    let (stored, older) = search.find(&view, store).await?;
    let events = stored.iter().map(EventView::of).collect::<ApiResult<Vec<_>>>()?;
    html(&LogPage { shell, events, size, older, narrowed, beyond, moves, signed })
}

impl LogQuery {
    fn narrows(&self) -> bool {
        let LogQuery { before: _, kind, run, actor, source, since, until, environment } = self;
        let named = [run, actor, source].iter().any(|one| one.is_some());
        named || kind.is_some() || since.is_some() || until.is_some() || environment.is_some()
    }

    /// Whether the events have to be looked into.
    fn looks(&self) -> bool {
        let LogQuery { kind, actor, source, environment, .. } = self;
        kind.is_some() || actor.is_some() || source.is_some() || environment.is_some()
    }

    /// The run that is meant. A part of an id is looked for.
    async fn run(&self, view: &View) -> ApiResult<Option<RunId>> {
        let Some(text) = &self.run else { return Ok(None) };
        if let Ok(run) = text.as_str().parse() {
            return Ok(Some(run));
        }
        let filter = RunFilter { text: Some(text.to_string()), ..RunFilter::default() };
        let found = view.runs(&filter, &PageRequest::first(50)).await?;
        let part = text.as_str().to_lowercase();
        let ids = found.items.iter().map(|run| run.run_id);
        let ids: Vec<RunId> = ids.filter(|id| fits(*id, &part)).collect();
        meant(text, &ids, found.next.is_some()).map(Some)
    }
}

/// Whether a part of an id, with its hyphens or without, is one of this.
fn fits(id: RunId, part: &str) -> bool {
    id.to_string().contains(part) || id.0.as_simple().to_string().contains(&part.replace('-', ""))
}

/// The one run that a part of an id means. `cut` says that not all runs were looked through.
fn meant(text: &Name, ids: &[RunId], cut: bool) -> ApiResult<RunId> {
    match ids {
        [one] => Ok(*one),
        [] if cut => {
            let detail = format!(
                "no run among the newest has {text} in its id, and not all were looked through; \
                 give the last 12 digits of it, or the whole id"
            );
            Err(ApiError::not_found("run_out_of_reach", detail))
        }
        [] => Err(ApiError::not_found("unknown_run", format!("no run {text} is known here"))),
        _ => {
            let detail = format!("`run`: more than one run has {text} in its id");
            Err(ApiError::new(StatusCode::BAD_REQUEST, "ambiguous_run", detail))
        }
    }
}

/// A moment that is asked about.
fn moment(name: &'static str, text: Option<&String>) -> ApiResult<Option<Moment>> {
    let read = text.map(|text| text.replace(' ', "+").parse::<Moment>()).transpose();
    read.map_err(|error| {
        let (name, given) = (name.to_owned(), text.cloned());
        let detail = format!("`{name}` must be a time: {error}");
        Parameter { name, given, takes: Takes::Moment }.refuse(detail)
    })
}

/// How many events had been recorded just before a moment.
async fn size_before(
    store: &Store,
    workspace: WorkspaceId,
    moment: Option<Moment>,
) -> ApiResult<Option<u64>> {
    let Some(moment) = moment else { return Ok(None) };
    let before = Moment::from_micros(moment.micros() - 1);
    Ok(Some(store.size_at(workspace, before).await?))
}

impl Search {
    async fn of(asked: LogQuery, view: &View, store: &Store, size: u64) -> ApiResult<Search> {
        let workspace = view.workspace();
        let since = moment("since", asked.since.as_ref())?;
        let until = moment("until", asked.until.as_ref())?;
        Parameter::in_order(since, until)?;
        let run = asked.run(view).await?;
        let least = size_before(store, workspace, since).await?;
        let until = size_before(store, workspace, until).await?;
        let to = asked.before.unwrap_or(size).min(size).min(until.unwrap_or(size));
        Ok(Search { asked, run, least: least.unwrap_or(0), to })
    }

    /// The newest events that fit, and where to look on.
    async fn find(&self, view: &View, store: &Store) -> ApiResult<(Vec<Kept>, Option<u64>)> {
        let (workspace, to, least) = (view.workspace(), self.to, self.least.min(self.to));
        let (mut stored, from) = if let Some(run) = self.run {
            let stored = store.stream_as_kept(workspace, Stream::run(run), 0, OF_RUN).await?;
            let fits = |one: &StoredEvent| (least..to).contains(&one.position);
            (stored.into_iter().filter(fits).collect::<Vec<_>>(), least)
        } else {
            let look = if self.asked.looks() { LOOK } else { u32::try_from(PAGE).unwrap_or(LOOK) };
            let from = to.saturating_sub(look.into()).max(least);
            (store.log_as_kept(workspace, from, to, look).await?, from)
        };
        stored.reverse();
        let stored = store.told(workspace, stored).await?;
        let environments = self.environments(view, &stored).await?;
        let mut found = Vec::with_capacity(PAGE);
        for event in stored {
            if self.asked.looks() && !self.fits(&event, &environments)? {
                continue;
            }
            if found.len() == PAGE {
                let last: Option<&Kept> = found.last();
                let older = last.map(|kept| kept.event.position);
                return Ok((found, older));
            }
            found.push(event);
        }
        Ok((found, Some(from).filter(|from| *from > least)))
    }

    /// The environments of the runs that these events are of, if one is asked for.
    async fn environments(
        &self,
        view: &View,
        stored: &[Kept],
    ) -> ApiResult<BTreeMap<RunId, String>> {
        let mut environments = BTreeMap::new();
        if self.asked.environment.is_none() {
            return Ok(environments);
        }
        let mut runs = BTreeSet::new();
        for Kept { event, archived } in stored {
            if archived.as_ref().is_some_and(|archived| archived.why.is_some()) {
                continue;
            }
            let event = Recorded::decode(&event.body).map_err(ApiError::internal)?;
            runs.extend(event.stream.run_id());
        }
        let runs: Vec<RunId> = runs.into_iter().collect();
        // At most a few statements: no more events than that are looked at.
        for runs in runs.chunks(500) {
            environments.extend(view.environments_of(runs).await?);
        }
        Ok(environments)
    }

    fn fits(&self, kept: &Kept, environments: &BTreeMap<RunId, String>) -> ApiResult<bool> {
        let LogQuery { kind: of_kind, actor: by, source, environment, .. } = &self.asked;
        if kept.archived.as_ref().is_some_and(|archived| archived.why.is_some()) {
            // Who did it, and where, cannot be told: it is left out where that is asked for.
            let kind = archived::kind(&kept.event)?;
            return Ok(of_kind.is_none_or(|wanted| wanted.as_str() == kind)
                && by.is_none()
                && source.is_none()
                && environment.is_none());
        }
        let event = Recorded::decode(&kept.event.body).map_err(ApiError::internal)?;
        let kind = event.fact.event.event_type();
        let within = environment.as_ref().is_none_or(|wanted| {
            let of = event.stream.run_id().and_then(|run| environments.get(&run));
            of == Some(&wanted.0)
        });
        let actor = event.actor.map(|actor| actor.id);
        Ok(within
            && of_kind.is_none_or(|wanted| wanted == kind)
            && by.as_ref().is_none_or(|wanted| actor.as_ref() == Some(wanted))
            && source.as_ref().is_none_or(|wanted| event.source.as_ref() == Some(wanted)))
    }
}

/// Text between two tags, where quotes need no escape: they are half of what is stored.
pub(super) struct Plain<'a>(&'a str);

impl std::fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in self.0.split_inclusive(['&', '<', '>']) {
            let (text, escaped) = match part.as_bytes().last() {
                Some(b'&') => (&part[..part.len() - 1], "&amp;"),
                Some(b'<') => (&part[..part.len() - 1], "&lt;"),
                Some(b'>') => (&part[..part.len() - 1], "&gt;"),
                _ => (part, ""),
            };
            f.write_str(text)?;
            f.write_str(escaped)?;
        }
        Ok(())
    }
}

impl askama::filters::HtmlSafe for Plain<'_> {}

impl EventView {
    /// What is stored, as text between two tags.
    pub(super) fn text(&self) -> Plain<'_> {
        Plain(&self.body)
    }

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
            body: laid_out(&value)?,
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

/// A value laid out for reading.
fn laid_out(value: &serde_json::Value) -> ApiResult<String> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    value.serialize(&mut serializer).map_err(ApiError::internal)?;
    String::from_utf8(text).map_err(ApiError::internal)
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
        "view.removed" => "event-view-removed",
        "key.rotated" => "event-key-rotated",
        "checkpoint.accepted" => "event-checkpoint-accepted",
        "checkpoint.timestamped" => "event-checkpoint-timestamped",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_an_id_means_one_run_or_it_is_said_why_not() {
        let run = |number: u128| RunId(uuid::Uuid::from_u128(number));
        let text = Name::new("7").unwrap();
        let code = |ids: &[RunId], cut| meant(&text, ids, cut).map_err(|error| error.code());
        assert_eq!(code(&[run(7)], true), Ok(run(7)));
        assert_eq!(code(&[], false), Err("unknown_run"));
        assert_eq!(code(&[], true), Err("run_out_of_reach"));
        assert_eq!(code(&[run(7), run(17)], false), Err("ambiguous_run"));
        assert!(fits(run(0xabc), "0abc") && fits(run(0xabc), "0000-00000") && !fits(run(1), "2"));
    }

    #[test]
    fn what_is_stored_is_text_and_no_markup() {
        let text = Plain("{\"a\": \"<b>&amp;</b>\"}").to_string();
        assert_eq!(text, "{\"a\": \"&lt;b&gt;&amp;amp;&lt;/b&gt;\"}");
    }
}
