//! The way in for OpenLineage clients: a status code alone tells them what to do.
//!
//! 201 is "it is durable", also for an event that was sent before; 400 and 422 are "never send it
//! again"; 503 with `Retry-After` is "send it again". They know no other.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use runledger_ledger::submission::{Answer, Submission};
use runledger_ledger::words::WorkspaceId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::events::held;
use crate::access::Access;
use crate::answer::{ItemResult, ItemStatus, Summary};
use crate::app::App;
use crate::extract::{Payload, Query, workspace};
use crate::ingest::openlineage::{self, BatchResponse, Failure, Mapped};
use crate::limits;
use crate::problem::{ApiError, ApiResult, Problems};

/// Whose log the events go into.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Target {
    /// The workspace; the server's default workspace if left out.
    workspace: Option<String>,
}

/// What the paths of this way in begin with.
pub(crate) const PATH: &str = "/api/v1/lineage";

/// The workspace that a request of this way in is about. A query that cannot be read is refused by
/// its handler.
pub(crate) fn target(app: &App, uri: &Uri) -> String {
    let target: Target = Query::read(uri).unwrap_or_default();
    target.workspace.unwrap_or_else(|| app.default_workspace().to_string())
}

impl Target {
    async fn find(&self, app: &App) -> ApiResult<WorkspaceId> {
        let name = self.workspace.as_deref().unwrap_or(app.default_workspace().as_str());
        workspace(app, name).await
    }
}

/// Take one OpenLineage event.
///
/// An event of a run becomes a signal of it. Other events, and `OTHER`, are taken and not recorded.
#[utoipa::path(
    post,
    path = "/api/v1/lineage",
    tag = "openlineage",
    params(Target),
    request_body(content = Object, description = "An OpenLineage event (spec 2-0-2)."),
    responses((status = 201, description = "It is taken, now or before."), Problems)
)]
pub async fn lineage(
    State(app): State<App>,
    access: Access,
    Query(target): Query<Target>,
    payload: Payload,
) -> ApiResult<Response> {
    let workspace = target.find(&app).await?;
    limits::events(&app, access.principal(), 1);
    let submission = match openlineage::parse(&payload.bytes, Some(access.actor()))? {
        Mapped::Signal(submission) => held(&access, *submission)?,
        Mapped::Unrecorded(unrecorded) => {
            tracing::debug!(?unrecorded, "an event that says nothing of a run's life");
            return Ok(StatusCode::CREATED.into_response());
        }
    };
    let result = app.submit_one(workspace, submission).await?;
    Ok(match result.status {
        ItemStatus::Refused | ItemStatus::Conflict => refused(result),
        _ => StatusCode::CREATED.into_response(),
    })
}

/// A problem that tells a client not to send the event again: 422, whatever the ledger's reason.
fn refused(result: ItemResult) -> Response {
    match result.problem {
        Some(problem) => {
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, problem.code, problem.detail)
                .into_response()
        }
        None => StatusCode::CREATED.into_response(),
    }
}

/// Take a batch of OpenLineage events.
#[utoipa::path(
    post,
    path = "/api/v1/lineage/batch",
    tag = "openlineage",
    params(Target),
    request_body(content = Vec<Object>, description = "OpenLineage events (spec 2-0-2)."),
    responses(
        (status = 200, description = "What could be taken is.", body = BatchResponse),
        Problems,
    )
)]
pub async fn lineage_batch(
    State(app): State<App>,
    access: Access,
    Query(target): Query<Target>,
    payload: Payload,
) -> ApiResult<axum::Json<BatchResponse>> {
    let workspace = target.find(&app).await?;
    let items = {
        let _turn = payload.turn_to_read(&app, &access, workspace).await;
        openlineage::parse_batch(&payload.bytes, Some(access.actor()))?
    };
    limits::events(&app, access.principal(), items.len());
    // A place for each event: what cannot be read has its answer already, and what is not to be
    // recorded as well.
    let mut submissions: Vec<Submission> = Vec::new();
    let read: Vec<Result<bool, Failure>> = items
        .into_iter()
        .map(|item| match item {
            Ok(Mapped::Signal(submission)) => match held(&access, *submission) {
                Ok(submission) => {
                    submissions.push(submission);
                    Ok(true)
                }
                Err(error) => Err(Failure::from(&error)),
            },
            Ok(Mapped::Unrecorded(_)) => Ok(false),
            Err(error) => Err(Failure::from(&error)),
        })
        .collect();
    let answers = app.ledger().submit_holding(workspace, submissions, false, payload.room).await?;
    let mut answers = answers.into_iter().map(|answer| ItemResult::answered(0, None, answer));
    let mut recorded = Vec::new();
    let results: Vec<Result<(), Failure>> = read
        .into_iter()
        .map(|read| {
            if !read? {
                return Ok(());
            }
            let missing = || ItemResult::answered(0, None, Answer::Coalesced { run: None });
            let result = answers.next().unwrap_or_else(missing);
            let taken = taken(&result);
            recorded.push(result);
            taken
        })
        .collect();
    app.count(&Summary::of(&recorded));
    Ok(axum::Json(BatchResponse::of(results)))
}

fn taken(result: &ItemResult) -> Result<(), Failure> {
    match &result.problem {
        None => Ok(()),
        Some(problem) => Err(Failure { reason: problem.detail.clone(), retriable: false }),
    }
}
