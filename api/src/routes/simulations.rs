//! Simulations: what would have been judged differently under another catalog.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use runledger_ledger::catalog::Catalog;
use runledger_ledger::words::WorkspaceId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::access::Access;
use crate::app::App;
use crate::extract::{Nothing, Path, Payload, Query, Workspace};
use crate::problem::{ApiError, ApiResult, Problems};
use crate::simulations::{Simulated, Wanted};
use crate::when;

/// Runs that are listed if nothing is said.
const LISTED: u16 = 100;
/// Runs that are listed at most.
const MOST_LISTED: u16 = 1_000;

/// The simulation that the path names.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct SimulationPath {
    simulation: Uuid,
}

/// How a simulation is asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Judge as of then: a time (RFC 3339), a position of the log, or a checkpoint (`size:EVENTS`,
    /// `root:HEX`); left out, now.
    #[param(value_type = Option<String>)]
    as_of: Option<String>,
    /// List at most so many runs, up to 1,000 [default: 100]. `differing` and `by_field` count all.
    #[param(value_type = Option<u16>)]
    limit: Option<u16>,
}

/// The simulations of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct SimulationList {
    items: Vec<Simulated>,
}

/// Simulate another catalog, in the background.
///
/// The log is replayed from its first event as it was, and as if the other catalog had been in force
/// all the time; then every run is judged by both at one moment. Nothing is changed, and nothing is
/// recorded. One goes on at a time and a few may wait; one that takes longer than 15 minutes is given
/// up. The result stays in the memory of the server that made it, as one of the last 16.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/simulations",
    tag = "evidence",
    params(("workspace" = String, Path, description = "The name of the workspace."), Asked),
    request_body(content = String, content_type = "application/toml"),
    responses((status = 202, description = "It will be made.", body = Simulated), Problems)
)]
pub async fn simulate(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    Query(Asked { as_of, limit }): Query<Asked>,
    payload: Payload,
) -> ApiResult<Response> {
    let limit = limit.unwrap_or(LISTED);
    if limit > MOST_LISTED {
        let detail = format!("`limit` must be {MOST_LISTED} at most");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", detail));
    }
    let text = std::str::from_utf8(&payload.bytes).map_err(|_| {
        let detail = "the body must be a catalog as TOML text, in UTF-8";
        ApiError::new(StatusCode::BAD_REQUEST, "not_text", detail)
    })?;
    let catalog = Arc::new(Catalog::parse(text)?);
    let store = app.ledger().store();
    let as_of = when::moment(store, workspace, when::as_of(as_of.as_deref())?).await?;
    // What cannot be answered is said at once.
    app.projections().moment(workspace, as_of).await?;
    let wanted = Wanted { workspace, as_of, catalog, limit: limit.into() };
    let id = app.ledger().process_id().map_err(ApiError::internal)?;
    let requester = access.actor().id.to_string();
    let begun = app.simulations().ask(&app, id, requester, wanted).map_err(|full| {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_simulations", full.to_string())
    })?;
    Ok((StatusCode::ACCEPTED, axum::Json(begun)).into_response())
}

/// List the simulations that this server still knows, the latest first, without their results.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/simulations",
    tag = "evidence",
    params(("workspace" = String, Path, description = "The name of the workspace.")),
    responses((status = 200, description = "How each stands.", body = SimulationList), Problems)
)]
pub async fn list_simulations(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    _: Query<Nothing>,
) -> ApiResult<axum::Json<SimulationList>> {
    forget(&app, workspace).await?;
    Ok(axum::Json(SimulationList { items: app.simulations().list(workspace) }))
}

/// How a simulation stands, and what came out of it.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/simulations/{simulation}",
    tag = "evidence",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("simulation" = Uuid, Path, description = "The `id` of the simulation."),
    ),
    responses((status = 200, description = "How it stands.", body = Simulated), Problems)
)]
pub async fn read_simulation(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(SimulationPath { simulation }): Path<SimulationPath>,
    _: Query<Nothing>,
) -> ApiResult<axum::Json<Simulated>> {
    forget(&app, workspace).await?;
    let found = app.simulations().find(workspace, simulation).ok_or_else(|| {
        let detail = "no such simulation is known on this server (any more)";
        ApiError::not_found("unknown_simulation", detail)
    })?;
    Ok(axum::Json(found))
}

/// What came out before something was erased is handed out by no server.
async fn forget(app: &App, workspace: WorkspaceId) -> ApiResult<()> {
    if let Some(erased) = app.ledger().store().last_erasure(workspace).await? {
        app.simulations().forget(workspace, erased);
    }
    Ok(())
}
