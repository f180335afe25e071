//! The life of a run: what was recorded of it, and what was true of it from when to when.

use axum::extract::State;
use runledger_projections::Timeline;

use super::runs::{RunPath, unknown_run};
use crate::app::App;
use crate::extract::{Nothing, Path};
use crate::problem::{ApiResult, Problems};
use crate::question::{Answer, LogQuestion, When};
use crate::schema::timeline::TimelineShape;

/// Both truths of a run over time: each event that was recorded of it, each freshness and verdict that
/// it had, from when to when, with what changed it, and the verdicts on the queue that it waited in,
/// as long as it waited. What it says of a moment is what a
/// question as of that moment is answered with.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/runs/{run}/timeline",
    tag = "runs",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("run" = uuid::Uuid, Path, description = "The run."),
        When,
    ),
    responses((status = 200, description = "Its life so far.", body = TimelineShape), Problems)
)]
pub async fn read_timeline(
    State(app): State<App>,
    Path(path): Path<RunPath>,
    question: LogQuestion<Nothing>,
) -> ApiResult<Answer<Timeline>> {
    let LogQuestion { workspace, size, at, .. } = question;
    let run = path.run();
    if !question.access.sees_run(&app, workspace, run).await? {
        return Err(unknown_run(run));
    }
    let sight = question.access.sight();
    let told = app.projections().whole_timeline(workspace, run, (size, at), sight).await?;
    let told = told.ok_or_else(|| unknown_run(run))?;
    Ok(question.answer(told))
}
