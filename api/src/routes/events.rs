//! Events in: one, an array, or one a line.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use runledger_ledger::run::RunCommand;
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::words::{Name, RunId, WorkspaceId};
use runledger_projections::Sight;
use runledger_projections::rules::standing::Standing;
use runledger_projections::texts::Language;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::access::Access;
use crate::answer::{ItemResult, ItemStatus, Summary};
use crate::app::App;
use crate::extract::{Path, Payload, Query, Workspace};
use crate::ingest::ItemError;
use crate::ingest::native::{self, Parsed};
use crate::language;
use crate::limits;
use crate::policy::Action;
use crate::problem::{ApiError, ApiResult, Problems};
use crate::unless_proven::{self, Place};
use crate::when;

/// How the events of a request are taken.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Modes {
    /// Record all events of the request or none.
    #[param(default = false)]
    atomic: bool,
    /// Refuse what the ledger would otherwise take leniently: an unknown run, anything but a
    /// follow-up or a duplicate on a completed run, a heartbeat on a queued run.
    #[param(default = false)]
    strict: bool,
}

/// The workspace that the path names, as it stands there.
#[derive(Debug, Deserialize)]
pub struct EventsPath {
    workspace: String,
}

/// What became of the events of a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Results {
    /// One result an event, in the order of the events.
    pub results: Vec<ItemResult>,
    /// How many there are of each status.
    pub summary: Summary,
}

/// The results of a list, or the one of an event that was sent alone.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it only describes what is answered")]
enum OneOrMany {
    Many(Results),
    One(Box<ItemResult>),
}

/// One event, or a list of events. One event a line is another media type.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it only describes what may be sent")]
enum OneEventOrMany {
    One(Box<native::EventRequest<'static>>),
    Many(Vec<native::EventRequest<'static>>),
}

/// Record events.
///
/// The body is one event, a JSON array of events, or one event a line (NDJSON); it may be
/// compressed with gzip. A list is answered with 200 and a result for each event, whatever they
/// say: a bad event never harms a good one, unless the request is atomic. An answer means that
/// what is `recorded` is durable.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/events",
    tag = "events",
    params(("workspace" = String, Path, description = "The name of the workspace."), Modes),
    request_body(content(
        (OneEventOrMany = "application/json"),
        (String = "application/x-ndjson"),
        (String = "application/ndjson"),
        (String = "application/jsonl"),
    )),
    responses(
        (status = 201, description = "One event was sent, and it is recorded.", body = ItemResult),
        (status = 200, description = "A list was sent, or one event that says nothing new.",
            body = OneOrMany),
        Problems,
    )
)]
pub async fn post_events(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    Path(EventsPath { workspace: name }): Path<EventsPath>,
    Query(modes): Query<Modes>,
    headers: HeaderMap,
    payload: Payload,
) -> ApiResult<Response> {
    let content_type = payload.content_type.as_deref();
    let alone = native::is_one(&payload.bytes, content_type);
    let mut new_run_id = || app.ledger().new_run_id();
    let items = {
        let _turn = payload.turn_to_read(&app, &access, workspace).await;
        native::parse_body(&payload.bytes, content_type, access.caller(), &mut new_run_id)?
    };
    limits::events(&app, access.principal(), items.len());
    let items = items.into_iter().map(|item| allowed(&access, item?)).collect();
    let name = Name::new(&name).map_err(ApiError::internal)?;
    let place = Place { workspace, name: &name };
    let mut results = record(&app, place, items, modes, payload.room).await?;
    if access.may(Action::ReadVerdicts) {
        let sight = access.sight().clone();
        show_holders(&app, workspace, language::preferred(&headers), sight, &mut results).await;
    }
    let summary = Summary::of(&results);
    app.count(&summary);
    if alone && let Some(result) = results.pop() {
        return Ok(result.into_response());
    }
    if modes.atomic && results.iter().any(ItemResult::is_at_fault) {
        return Err(refused_together(&Results { results, summary }));
    }
    Ok(axum::Json(Results { results, summary }).into_response())
}

/// What whoever asks may report of what they sent: a person's word on a follow-up is more than a
/// report.
fn allowed(access: &Access, mut parsed: Parsed) -> native::Item {
    let word = matches!(&parsed.submission.command, Command::Run(_, RunCommand::FollowUp(_)));
    let word = word
        || matches!(&parsed.submission.command,
            Command::Correlated(correlated) if matches!(correlated.command(), RunCommand::FollowUp(_)));
    if word && !access.may(Action::FollowUp) {
        let detail = "your role reports events; what needs nobody any more is for others to say";
        return Err(ItemError {
            code: "forbidden",
            detail: detail.to_owned(),
            pointer: Some("/type".to_owned()),
        });
    }
    parsed.submission = held(access, parsed.submission)?;
    Ok(parsed)
}

/// The report as it counts of whoever sends it.
pub(super) fn held(access: &Access, submission: Submission) -> Result<Submission, ItemError> {
    access.held(submission).map_err(|error| ItemError {
        code: "invalid_event",
        detail: format!("`/source`: with the name of who reports before it, {error}"),
        pointer: Some("/source".to_owned()),
    })
}

/// Hands what could be read to the ledger, and answers each item in its place.
async fn record(
    app: &App,
    place: Place<'_>,
    items: Vec<Result<Parsed, ItemError>>,
    modes: Modes,
    room: Vec<OwnedSemaphorePermit>,
) -> ApiResult<Vec<ItemResult>> {
    let (mut runs, mut submissions, mut asking) = (Vec::new(), Vec::new(), Vec::new());
    let mut results: Vec<Option<ItemResult>> = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        results.push(match item {
            Ok(Parsed { submission, unless_proven, .. }) => {
                if unless_proven {
                    asking.push(submissions.len());
                }
                let run = submission.command.run_id().map(|run| run.0);
                runs.push((index, run));
                submissions.push(Submission { strict: modes.strict, ..submission });
                None
            }
            Err(error) => Some(ItemResult::unreadable(index, error)),
        });
    }
    if modes.atomic && runs.len() < results.len() {
        fill(&mut results, runs.iter().map(|(index, run)| ItemResult::not_alone(*index, *run)));
    } else {
        if !asking.is_empty() {
            unless_proven::look(app, place, &mut submissions, &asking).await?;
        }
        let (ledger, workspace) = (app.ledger(), place.workspace);
        let answers = ledger.submit_holding(workspace, submissions, modes.atomic, room).await?;
        let answered = |((index, run), answer): ((usize, Option<Uuid>), _)| {
            ItemResult::answered(index, run, answer)
        };
        fill(&mut results, runs.into_iter().zip(answers).map(answered));
    }
    Ok(results.into_iter().flatten().collect())
}

/// Shows of each run that holds a key what is true of it: a caller must see when it is stale. What
/// is recorded is answered for, whatever happens here.
async fn show_holders(
    app: &App,
    workspace: WorkspaceId,
    language: Language,
    sight: Sight,
    results: &mut [ItemResult],
) {
    let holders = results.iter_mut().filter(|result| result.status == ItemStatus::Existing);
    let mut holders: Vec<&mut ItemResult> = holders.collect();
    if holders.is_empty() {
        return;
    }
    let ids: Vec<RunId> = holders.iter().filter_map(|result| result.run_id).map(RunId).collect();
    let standings = async {
        let view = when::latest(app, workspace).await?.in_language(language).seen_with(sight);
        view.standings(&ids).await.map_err(ApiError::from)
    };
    match standings.await {
        Ok(standings) => {
            for holder in &mut holders {
                let of = |standing: &&Standing| Some(standing.run_id.0) == holder.run_id;
                holder.standing = standings.iter().find(of).cloned().map(Box::new);
            }
        }
        Err(error) => tracing::warn!(?error, "the standings of runs that hold a key are left out"),
    }
}

fn fill(results: &mut [Option<ItemResult>], found: impl Iterator<Item = ItemResult>) {
    for result in found {
        let index = result.index;
        results[index] = Some(result);
    }
}

/// The problem of an all-or-nothing request: 409 if every event at fault contradicts what is
/// recorded, so that the same request may succeed later, and 422 otherwise.
fn refused_together(results: &Results) -> ApiError {
    let mut faults = results.results.iter().filter(|result| result.is_at_fault());
    let conflict = faults.all(|result| {
        result.problem.as_ref().is_some_and(|problem| problem.status == StatusCode::CONFLICT)
    });
    let status = if conflict { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY };
    let detail = "nothing was recorded, because not every event can be; `results` says which";
    ApiError::new(status, "atomic_request_refused", detail)
        .with("results", json!(results.results))
        .with("summary", json!(results.summary))
}
