//! Runs: lists of them, all that is true of one, what is recorded of it, and a person's word on it.

mod query;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use runledger_ledger::event::{Recorded, Stream};
use runledger_ledger::run::{FollowUpAction, FollowUpCommand};
use runledger_ledger::store::{Kept, StoreError, StoredEvent};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, Note, RunId};
use runledger_projections::rules::standing::Standing;
use runledger_projections::{AsOf, Page};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::access::Access;
use crate::answer::ItemResult;
use crate::app::App;
use crate::archived::ArchivedView;
use crate::extract::{Json, Nothing, Path, Query, Workspace};
use crate::following_up::{self, Said};
use crate::problem::{ApiError, ApiResult, Problems};
use crate::question::{Answer, Limit, LogQuestion, Question, When};
use crate::schema::answers::{RunEventsShape, RunShape, RunsShape};
use crate::unseen::without_unseen;

pub use query::RunQuery;
pub(super) use query::actionability;

/// The run that the path names.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct RunPath {
    run: RunId,
}

impl RunPath {
    /// The run.
    pub const fn run(self) -> RunId {
        self.run
    }
}

/// Which events of a run.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventPage {
    /// At most so many.
    #[param(value_type = Option<u32>, default = 100, minimum = 1, maximum = 1000)]
    limit: Option<Limit<1_000>>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Events of a run, in their order.
#[derive(Debug, Serialize)]
pub struct RunEvents {
    items: Vec<RunEventView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A recorded event.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunEventView {
    /// Its place in the workspace's log.
    position: u64,
    /// Its place in the run's stream, from 1.
    sequence: u64,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: String,
    /// When its source says that it happened, in RFC 3339. Left out where `event` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
    /// When it was recorded, in RFC 3339.
    #[schema(format = DateTime)]
    recorded_at: String,
    /// The RFC 6962 leaf hash of the bytes of `event`, in hexadecimal.
    leaf_hash: String,
    /// The event as it is stored, byte for byte. Who is held to environments is given it without what
    /// leads to runs that they do not see; then it does not have this hash. Left out where it is in an
    /// archive that cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    event: Option<Box<RawValue>>,
    /// Which archive it is in, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    archived: Option<ArchivedView>,
}

/// A person's word on a run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FollowUpRequest {
    /// `resolve` or `reopen`.
    #[schema(value_type = String, pattern = "^(resolve|reopen)$")]
    action: FollowUpAction,
    /// Who says it; the token's owner if left out, and nobody else but for the administrator of the
    /// server.
    #[schema(value_type = Option<String>)]
    by: Option<Name>,
    /// More, for people.
    #[schema(value_type = Option<String>)]
    note: Option<Note>,
    /// Why, in a word.
    #[serde(deserialize_with = "crate::reason::word")]
    #[schema(value_type = String)]
    reason: Name,
}

/// The runs of a workspace, the newest dispatch first.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/runs",
    tag = "runs",
    params(("workspace" = String, Path, description = "The name of the workspace."), RunQuery, When),
    responses((status = 200, description = "A page of the list.", body = RunsShape), Problems)
)]
pub async fn list_runs(question: Question<RunQuery>) -> ApiResult<Answer<Page<Standing>>> {
    let (filter, page) = question.asked.clone().into_parts()?;
    let runs = question.view.runs(&filter, &page).await?;
    Ok(question.answer(runs))
}

/// Everything that is true of a run, and what proves it.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/runs/{run}",
    tag = "runs",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("run" = uuid::Uuid, Path, description = "The run."),
        When,
    ),
    responses((status = 200, description = "Its standing.", body = RunShape), Problems)
)]
pub async fn read_run(
    Path(RunPath { run }): Path<RunPath>,
    question: Question<Nothing>,
) -> ApiResult<Answer<Standing>> {
    let standing = question.view.run(run).await?.ok_or_else(|| unknown_run(run))?;
    Ok(question.answer_at(standing.now.at, standing))
}

/// The recorded events of a run.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/runs/{run}/events",
    tag = "runs",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("run" = uuid::Uuid, Path, description = "The run."),
        EventPage,
        When,
    ),
    responses((status = 200, description = "In their order.", body = RunEventsShape), Problems)
)]
pub async fn run_events(
    State(app): State<App>,
    Path(RunPath { run }): Path<RunPath>,
    question: LogQuestion<EventPage>,
) -> ApiResult<Answer<RunEvents>> {
    let LogQuestion { workspace, size, asked: page, access, .. } = &question;
    if !access.sees_run(&app, *workspace, run).await? {
        return Err(unknown_run(run));
    }
    // A cursor of this list is the place in the run's stream that the page before ended at.
    let after: u64 = match &page.cursor {
        Some(cursor) => cursor.parse().map_err(|_| wrong_cursor())?,
        None => 0,
    };
    let limit = page.limit.and_then(|limit| limit.get().try_into().ok()).unwrap_or(100);
    let store = app.ledger().store();
    let stream = Stream::run(run);
    let mut items = Vec::new();
    let kept = store.stream_as_kept(*workspace, stream, after, limit).await?;
    let kept = store.told(*workspace, kept).await?.into_iter();
    let (mut events, archived): (Vec<_>, Vec<_>) =
        kept.map(|Kept { event, archived }| (event, archived)).unzip();
    if access.sight().is_narrowed() {
        let view = app.projections().view(*workspace, AsOf::Now).await?;
        events = without_unseen(&view.seen_with(access.sight().clone()), events).await?;
    }
    for ((stored, archived), sequence) in events.into_iter().zip(archived).zip(after + 1..) {
        if stored.position >= *size {
            break;
        }
        items.push(RunEventView::of(stored, sequence, archived.map(Into::into))?);
    }
    if items.is_empty() && after == 0 {
        return Err(unknown_run(run));
    }
    let full = items.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let next = items.last().filter(|_| full).map(|event| event.sequence.to_string());
    Ok(question.answer(RunEvents { items, next }))
}

/// Resolve a follow-up of a run, or reopen it.
///
/// What `actions` of the run does not offer is refused (409), with the reason as the `code`:
/// `already_resolved`, `not_resolved`, `made_good`, `nothing_to_do` or `not_terminal`.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/runs/{run}/follow-up",
    tag = "runs",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("run" = uuid::Uuid, Path, description = "The run."),
    ),
    request_body = FollowUpRequest,
    responses(
        (status = 201, description = "It is recorded.", body = ItemResult),
        (status = 200, description = "The same person said the same before.", body = ItemResult),
        Problems,
    )
)]
pub async fn follow_up(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    Path(RunPath { run }): Path<RunPath>,
    _: Query<Nothing>,
    Json(word): Json<FollowUpRequest>,
) -> ApiResult<Response> {
    let FollowUpRequest { action, by, note, reason } = word;
    let own = &access.actor().id;
    if by.as_ref().is_some_and(|by| by != own) && !access.principal().is_administrator() {
        let detail = "`by`: only the administrator of the server speaks for others; leave it out";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    let by = by.unwrap_or_else(|| own.clone());
    let word = FollowUpCommand { action, by, note, reason, unless_resolved: true };
    let result = match following_up::say(&app, &access, workspace, run, word).await? {
        Said::NotOffered(reason) => return Err(following_up::not_offered(reason)),
        Said::Decided(result) => *result,
    };
    if result.problem.as_ref().is_some_and(|problem| problem.code == "unknown_run") {
        return Err(unknown_run(run));
    }
    Ok(result.into_response())
}

fn wrong_cursor() -> ApiError {
    let detail = "the cursor is not one that a page has answered with; begin again without one";
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_cursor", detail)
}

/// The one answer for a run that is not there and for one of another workspace.
pub(super) fn unknown_run(run: RunId) -> ApiError {
    ApiError::not_found("unknown_run", format!("no run {run} is known here"))
}

fn decode(stored: &StoredEvent) -> ApiResult<Recorded> {
    Recorded::decode(&stored.body).map_err(ApiError::internal)
}

impl RunEventView {
    /// The event at `sequence` of its stream.
    fn of(stored: StoredEvent, sequence: u64, archived: Option<ArchivedView>) -> ApiResult<Self> {
        use runledger_ledger::fact::EventKind;
        let unread = archived.as_ref().is_some_and(|archived| !archived.readable);
        let recorded = if unread { None } else { Some(decode(&stored)?) };
        let kind = match &recorded {
            Some(recorded) => recorded.fact.event.event_type().to_string(),
            None => crate::archived::kind(&stored)?,
        };
        Ok(RunEventView {
            position: stored.position,
            sequence,
            kind,
            occurred_at: recorded.as_ref().map(|recorded| recorded.fact.occurred_at.to_string()),
            recorded_at: Moment::from_micros(stored.recorded_at).to_string(),
            leaf_hash: hex::encode(&stored.leaf_hash),
            event: if unread { None } else { Some(raw(stored)?) },
            archived,
        })
    }
}

/// The stored bytes as they are: they are JSON.
pub(super) fn raw(stored: StoredEvent) -> ApiResult<Box<RawValue>> {
    let position = stored.position;
    let text = String::from_utf8(stored.body).map_err(|error| damaged(position, &error))?;
    RawValue::from_string(text).map_err(|error| damaged(position, &error))
}

fn damaged(position: u64, error: &dyn std::error::Error) -> ApiError {
    StoreError::Corrupt(format!("the event at position {position} is not JSON: {error}")).into()
}
