//! Audit packs as the log tells of them: which were asked for and made up to a moment, on whichever
//! server. Packs are files of one server, but each is a run of the log as well.

use runledger_ledger::event::{Actor, AnyEvent, Recorded, Stream};
use runledger_ledger::run::{Dispatched, Failed, Fields, RunEvent, Scalar};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, RunId, WorkspaceId};
use runledger_projections::{AsOf, PageRequest, RunFilter};

use super::{Export, KEPT, OPERATION, State, exporter};
use crate::app::App;
use crate::past::Then;
use crate::problem::{ApiError, ApiResult};

/// Most packs that are listed.
const LISTED: u16 = 100;
/// Most events of a pack's run that are read: more than a day of signs of life.
const EVENTS: u32 = 2_000;

/// The packs that were asked for by then, the latest first, and whether there are older ones.
///
/// # Errors
/// If the log or its read models cannot be read.
pub async fn list(app: &App, workspace: WorkspaceId, then: Then) -> ApiResult<(Vec<Export>, bool)> {
    let Some(last) = then.size.checked_sub(1) else { return Ok((Vec::new(), false)) };
    let view = app.projections().view(workspace, AsOf::Position(last)).await?;
    let filter = RunFilter { operation: Some(OPERATION.to_owned()), ..RunFilter::default() };
    let runs = view.runs(&filter, &PageRequest::first(LISTED)).await?;
    let erased = app.ledger().store().last_erasure_before(workspace, then.size).await?;
    let mut found = Vec::new();
    for run in &runs.items {
        found.extend(one(app, workspace, run.run_id, then, erased).await?);
    }
    Ok((found, runs.next.is_some()))
}

/// How a pack stood then; none if none was asked for by that id.
///
/// # Errors
/// If the log cannot be read.
pub async fn find(
    app: &App,
    workspace: WorkspaceId,
    id: RunId,
    then: Then,
) -> ApiResult<Option<Export>> {
    let erased = app.ledger().store().last_erasure_before(workspace, then.size).await?;
    one(app, workspace, id, then, erased).await
}

async fn one(
    app: &App,
    workspace: WorkspaceId,
    id: RunId,
    then: Then,
    erased: Option<Moment>,
) -> ApiResult<Option<Export>> {
    let stream = app.ledger().store().stream(workspace, Stream::run(id), 0, EVENTS).await?;
    let events: Result<Vec<Recorded>, _> =
        stream.iter().map(|stored| Recorded::decode(&stored.body)).collect();
    let events = events.map_err(ApiError::internal)?;
    let exporter = exporter().map_err(ApiError::internal)?;
    Ok(told(workspace, id, &events, &exporter, then, erased))
}

/// Whoever may report can report a run of this operation. Only one that the exporter itself has begun
/// or ended is a pack, and only what the exporter said of it counts.
fn told(
    workspace: WorkspaceId,
    id: RunId,
    events: &[Recorded],
    exporter: &Actor,
    then: Then,
    erased: Option<Moment>,
) -> Option<Export> {
    let by_exporter = |event: &&Recorded| event.actor.as_ref() == Some(exporter);
    events.iter().find(by_exporter)?;
    let mut export: Option<Export> = None;
    for event in events.iter().filter(|event| event.position < then.size) {
        let (at, is_told) = (event.fact.recorded_at, by_exporter(&event));
        match (&event.fact.event, &mut export) {
            (AnyEvent::Run(RunEvent::Dispatched(dispatched)), None) => {
                export = asked(workspace, id, dispatched, event.actor.as_ref(), at);
            }
            (AnyEvent::Run(fact), Some(export)) if is_told => export.take(fact, at),
            _ => {}
        }
    }
    export.map(|export| export.until(then.at, erased))
}

fn asked(
    workspace: WorkspaceId,
    id: RunId,
    dispatched: &Dispatched,
    actor: Option<&Actor>,
    at: Moment,
) -> Option<Export> {
    if dispatched.operation.as_str() != OPERATION {
        return None;
    }
    let asker = dispatched.initiator.as_ref().or(actor.map(|actor| &actor.id));
    let mut scope: std::collections::BTreeMap<String, String> =
        dispatched.labels.iter().map(|(name, word)| (name.to_string(), word.to_string())).collect();
    let size = scope.remove("checkpoint_size")?.parse().ok()?;
    Some(Export {
        id,
        workspace,
        state: State::Waiting,
        requester: asker.map(Name::to_string).unwrap_or_default(),
        scope,
        size,
        asked_at: at.to_string(),
        ended_at: None,
        expires_at: None,
        events: None,
        bytes: None,
        manifest: None,
        problem: None,
    })
}

impl Export {
    fn take(&mut self, fact: &RunEvent, at: Moment) {
        match fact {
            RunEvent::Started(_) if self.state == State::Waiting => self.state = State::Running,
            RunEvent::Succeeded(succeeded) if self.state.is_pending() => {
                self.state = State::Ready;
                self.ended_at = Some(at.to_string());
                self.expires_at = Some(at.plus(KEPT).to_string());
                self.events = number(&succeeded.summary, "events");
                self.manifest = text(&succeeded.summary, "manifest_sha256");
            }
            RunEvent::Failed(Failed { reason_code, message, .. }) if self.state.is_pending() => {
                self.state = match reason_code.as_str() {
                    "interrupted" => State::Interrupted,
                    _ => State::Failed,
                };
                self.ended_at = Some(at.to_string());
                self.problem = message.as_ref().map(|message| message.to_string());
            }
            _ => {}
        }
    }

    /// No server hands out a file whose time is over, or one from before an erasure.
    fn until(mut self, then: Moment, erased: Option<Moment>) -> Self {
        let moment = |text: Option<&String>| text.and_then(|text| text.parse::<Moment>().ok());
        let is_over = moment(self.expires_at.as_ref()).is_some_and(|at| then >= at);
        let is_older = moment(Some(&self.asked_at)).zip(erased).is_some_and(|(at, by)| at <= by);
        if self.state == State::Ready && (is_over || is_older) {
            self.state = State::Expired;
        }
        self
    }
}

fn number(summary: &Fields, name: &str) -> Option<u64> {
    match scalar(summary, name)? {
        Scalar::Number(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn text(summary: &Fields, name: &str) -> Option<String> {
    match scalar(summary, name)? {
        Scalar::Text(text) => Some(text.to_string()),
        _ => None,
    }
}

fn scalar<'a>(summary: &'a Fields, name: &str) -> Option<&'a Scalar> {
    summary.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value)
}
