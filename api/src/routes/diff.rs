//! What changed between two moments.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use runledger_ledger::words::WorkspaceId;
use runledger_projections::texts::Language;
use runledger_projections::{Diff, RunDiff, View, diff, run_diff};
use serde::Deserialize;
use utoipa::IntoParams;

use super::runs::{RunPath, unknown_run};
use crate::access::Access;
use crate::app::App;
use crate::extract::{Path, Query, Workspace};
use crate::language;
use crate::problem::{ApiError, ApiResult, Problems};
use crate::schema::diff::{DiffShape, RunDiffShape};
use crate::when;

/// Between which moments.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Between {
    /// The earlier moment: an RFC 3339 time, a position of the log, or a checkpoint of it (`size:1200`,
    /// `root:…`).
    from: String,
    /// The later moment; left out, it is now.
    to: Option<String>,
    /// The language of sentences for people, `en` or `de`; left out, `Accept-Language` says it.
    #[param(value_type = Option<String>)]
    lang: Option<Language>,
}

/// What changed in a workspace between two moments: how many runs and things to do there were,
/// which things to do appeared, changed or are gone, and what is true now of those that are gone.
/// Each side is what a question as of its moment is answered with.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/diff",
    tag = "overview",
    params(("workspace" = String, Path, description = "The name of the workspace."), Between),
    responses((status = 200, description = "What changed.", body = DiffShape), Problems)
)]
pub async fn read_diff(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    headers: HeaderMap,
    Query(between): Query<Between>,
) -> ApiResult<axum::Json<Diff>> {
    let (from, to) = views(&app, &access, workspace, &headers, &between).await?;
    Ok(axum::Json(diff(&from, &to).await?))
}

/// The standing of a run at two moments, and whether anything of it changed.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/runs/{run}/diff",
    tag = "runs",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("run" = uuid::Uuid, Path, description = "The run."),
        Between,
    ),
    responses((status = 200, description = "It at both.", body = RunDiffShape), Problems)
)]
pub async fn read_run_diff(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    Path(path): Path<RunPath>,
    headers: HeaderMap,
    Query(between): Query<Between>,
) -> ApiResult<axum::Json<RunDiff>> {
    let (from, to) = views(&app, &access, workspace, &headers, &between).await?;
    let changes = run_diff(&from, &to, path.run()).await?;
    if changes.to.is_none() {
        return Err(unknown_run(path.run()));
    }
    Ok(axum::Json(changes))
}

async fn views(
    app: &App,
    access: &Access,
    workspace: WorkspaceId,
    headers: &HeaderMap,
    between: &Between,
) -> ApiResult<(View, View)> {
    let language = between.lang.unwrap_or_else(|| language::preferred(headers));
    let sight = access.sight();
    let from = when::view(app, workspace, sight, Some(&between.from), None).await;
    let from = from.map_err(|error| error.said_of("`as_of`", "`from`"))?;
    let to = when::view(app, workspace, sight, between.to.as_deref(), None).await;
    let to = to.map_err(|error| error.said_of("`as_of`", "`to`"))?;
    if from.at() > to.at() || from.position() > to.position() {
        let detail =
            format!("`from` ({}) is later than `to` ({}); turn them round", from.at(), to.at());
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", detail));
    }
    Ok((from.in_language(language), to.in_language(language)))
}
