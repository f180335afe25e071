//! Adapters: how their sources answer, and asking one about a run.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use runledger_adapters::adapter::Operations;
use runledger_ledger::time::Moment;
use runledger_ledger::words::RunId;
use runledger_projections::AdapterHealth;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::access::Access;
use crate::app::App;
use crate::extract::{Nothing, Path, Query, Workspace};
use crate::problem::{ApiError, ApiResult, Problems};
use crate::reconciler::{AskError, ReconcileError};
use crate::schema::adapters::{AdaptersShape, AskedShape, PreviewShape};

/// The run that the path names, and its workspace.
#[derive(Clone, Debug, Deserialize)]
pub struct RunPath {
    workspace: String,
    run: RunId,
}

/// What is asked of the adapters.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct How {
    /// Show what would be decided now, and why; record nothing.
    #[param(default = false)]
    dry_run: bool,
}

/// How the adapters' sources answer in a workspace.
#[derive(Debug, Serialize)]
struct Found<'a> {
    at: String,
    items: Vec<AdapterStanding<'a>>,
}

#[derive(Debug, Serialize)]
struct AdapterStanding<'a> {
    name: &'a str,
    version: u32,
    operations: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    observes: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reads: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle: Option<&'a str>,
    remote: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastError>,
    consecutive_failures: u64,
    backlog: u64,
}

#[derive(Debug, Serialize)]
struct LastError {
    class: String,
    at: String,
}

/// The adapters, what they handle, and how their sources answer in this workspace.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/adapters",
    tag = "adapters",
    params(("workspace" = String, Path, description = "The name of the workspace.")),
    responses((status = 200, description = "Every adapter of the server.", body = AdaptersShape), Problems)
)]
pub async fn list_adapters(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    _: Query<Nothing>,
) -> ApiResult<Response> {
    let now = app.ledger().now();
    let health = app.projections().adapter_health(workspace, now).await;
    let mut health = health.map_err(ReconcileError::from)?;
    let items = app.reconciler().registry().adapters().iter().map(|adapter| {
        let manifest = &adapter.manifest;
        let AdapterHealth { last_success, last_error, failures, backlog } =
            health.remove(&manifest.name).unwrap_or_default();
        AdapterStanding {
            name: &manifest.name,
            version: manifest.version,
            operations: match &manifest.operations {
                Operations::Named(names) => names.iter().map(String::as_str).collect(),
                Operations::Every => vec!["*"],
            },
            observes: manifest
                .observes
                .iter()
                .flat_map(|observes| observes.subjects.iter().map(String::as_str))
                .collect(),
            reads: manifest.reads.as_deref(),
            idle: adapter.idle(),
            remote: adapter.is_remote(),
            last_success: last_success.map(|at| at.to_string()),
            last_error: last_error
                .map(|(class, at): (String, Moment)| LastError { class, at: at.to_string() }),
            consecutive_failures: failures,
            backlog,
        }
    });
    let found = Found { at: now.to_string(), items: items.collect() };
    Ok(axum::Json(found).into_response())
}

/// Ask the adapters about a run: what would be decided now, or a look at once.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/runs/{run}/reconciliations",
    tag = "adapters",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("run" = uuid::Uuid, Path, description = "The run."),
        How,
    ),
    responses(
        (status = 200, description = "With `dry_run`: what would be decided, and why.", body = PreviewShape),
        (status = 202, description = "It is looked at at once; what comes of it is in its events.", body = AskedShape),
        Problems,
    )
)]
pub async fn reconcile(
    State(app): State<App>,
    access: Access,
    Workspace(id): Workspace,
    Path(RunPath { workspace, run }): Path<RunPath>,
    Query(How { dry_run }): Query<How>,
) -> ApiResult<Response> {
    if !access.sees_run(&app, id, run).await? {
        return Err(AskError::UnknownRun(run).into());
    }
    let reconciler = app.reconciler();
    if dry_run {
        let preview = reconciler.preview(id, &workspace, run).await?;
        return Ok(axum::Json(preview).into_response());
    }
    let asked = reconciler.ask(id, run).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(asked)).into_response())
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        let conflict = |code| ApiError::new(StatusCode::CONFLICT, code, error.to_string());
        match error {
            AskError::UnknownRun(_) => ApiError::not_found("unknown_run", error.to_string()),
            AskError::NoAdapter(_) => conflict("no_adapter"),
            AskError::Idle { .. } => conflict("adapter_idle"),
            AskError::Settled => conflict("nothing_to_prove"),
            AskError::Failed(error) => error.into(),
        }
    }
}
