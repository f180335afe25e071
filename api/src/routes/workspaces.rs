//! Workspaces: making them, listing them, and putting catalogs into force in them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use runledger_ledger::catalog::Catalog;
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::words::Note;
use runledger_ledger::workspace::WorkspaceCommand;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::Access;
use crate::answer::ItemResult;
use crate::app::App;
use crate::extract::{Json, Nothing, Payload, Query, Workspace};
use crate::problem::{ApiError, ApiResult, Problems};
use crate::reason::Because;
use crate::workspaces::WorkspaceName;

/// A workspace to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWorkspace {
    /// Its name, as it stands in URLs. It cannot be changed.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,62}$", example = "main")]
    name: String,
    /// The catalog to begin with, as TOML; that of the server if left out (`--catalog`).
    catalog: Option<String>,
    /// Why it is made, for its log.
    #[serde(deserialize_with = "crate::reason::said")]
    #[schema(value_type = String)]
    reason: Note,
}

/// A workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceView {
    /// Its id, which its events carry.
    id: Uuid,
    /// Its name, as it stands in URLs.
    name: String,
}

/// All workspaces.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceList {
    /// By name.
    items: Vec<WorkspaceView>,
}

/// Make a workspace.
#[utoipa::path(
    post,
    path = "/v1/workspaces",
    tag = "workspaces",
    request_body = NewWorkspace,
    responses((status = 201, description = "It is made.", body = WorkspaceView), Problems)
)]
pub async fn create_workspace(
    State(app): State<App>,
    access: Access,
    _: Query<Nothing>,
    Json(new): Json<NewWorkspace>,
) -> ApiResult<Response> {
    let name: WorkspaceName = new.name.parse().map_err(|error| {
        let detail = format!("`name`: {error}");
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail)
    })?;
    let catalog = match new.catalog {
        Some(text) => Catalog::parse(&text)?.into(),
        None => app.catalog(),
    };
    app.reconciler().registry().check(&catalog)?;
    let because = Some((access.actor().clone(), new.reason));
    let id = app.ledger().create_workspace_for(name.name(), &catalog, because).await?;
    let view = WorkspaceView { id: id.0, name: new.name };
    Ok((StatusCode::CREATED, axum::Json(view)).into_response())
}

/// List all workspaces.
#[utoipa::path(
    get,
    path = "/v1/workspaces",
    tag = "workspaces",
    responses((status = 200, description = "By name.", body = WorkspaceList), Problems)
)]
pub async fn list_workspaces(
    State(app): State<App>,
    access: Access,
    _: Query<Nothing>,
) -> ApiResult<axum::Json<WorkspaceList>> {
    let all = access.principal().among(app.ledger().store().workspaces().await?);
    let view =
        |(id, name): (runledger_ledger::words::WorkspaceId, _)| WorkspaceView { id: id.0, name };
    Ok(axum::Json(WorkspaceList { items: all.into_iter().map(view).collect() }))
}

/// Put a catalog into force.
///
/// It counts from this event on: the windows of runs that were dispatched before stay theirs. The
/// catalog in force, sent again, is a duplicate.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/catalog",
    tag = "workspaces",
    params(("workspace" = String, Path, description = "The name of the workspace."), Because),
    request_body(content = String, content_type = "application/toml"),
    responses(
        (status = 201, description = "It is in force.", body = ItemResult),
        (status = 200, description = "It was in force already.", body = ItemResult),
        Problems,
    )
)]
pub async fn publish_catalog(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    Query(Because { reason }): Query<Because>,
    payload: Payload,
) -> ApiResult<Response> {
    let text = String::from_utf8(payload.bytes.to_vec()).map_err(|_| {
        let detail = "the body must be a catalog as TOML text, in UTF-8";
        ApiError::new(StatusCode::BAD_REQUEST, "not_text", detail)
    })?;
    // Read here as well, so that all that is wrong with it can be told one by one.
    let catalog = Catalog::parse(&text)?;
    app.reconciler().registry().check(&catalog)?;
    let reason = Some(reason);
    let command = Command::Workspace(WorkspaceCommand::PublishCatalog { text, reason });
    let submission = Submission::new(command).by(access.actor().clone());
    Ok(app.submit_one(workspace, submission).await?.into_response())
}
