//! Workspaces: making them, listing them, and putting catalogs into force in them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use runledger_ledger::catalog::Catalog;
use runledger_ledger::event::{AnyEvent, Recorded, Stream};
use runledger_ledger::fact::{EventKind as _, EventType};
use runledger_ledger::store::StoredEvent;
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::words::Note;
use runledger_ledger::workspace::{CatalogPublished, WorkspaceCommand, WorkspaceEvent};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::Access;
use crate::answer::ItemResult;
use crate::app::App;
use crate::extract::{Json, Nothing, Payload, Query, Workspace};
use crate::past::{self, AsOfThen};
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

/// A catalog as it was published.
#[derive(Debug, Serialize, ToSchema)]
pub struct CatalogView {
    /// The whole text, as TOML.
    content: String,
    /// SHA-256 of the text, in hexadecimal.
    sha256: String,
    /// The version of the catalog's form.
    version: u32,
    /// Why it was published; left out where nobody was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The position of the event that put it into force.
    position: u64,
    /// When that was recorded (RFC 3339).
    #[schema(format = DateTime)]
    since: String,
}

/// The catalog in force, or the one that was in force at a moment.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/catalog",
    tag = "workspaces",
    params(("workspace" = String, Path, description = "The name of the workspace."), AsOfThen),
    responses((status = 200, description = "Its text, and since when it counts.", body = CatalogView), Problems)
)]
pub async fn read_catalog(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(asked): Query<AsOfThen>,
) -> ApiResult<axum::Json<CatalogView>> {
    let (store, stream) = (app.ledger().store(), Stream::workspace(workspace));
    let event = match asked.then(&app, workspace).await? {
        None => {
            let last = store.last_of_type(workspace, stream, EventType::CatalogPublished).await?;
            let decode = |last: StoredEvent| Recorded::decode(&last.body);
            last.map(decode).transpose().map_err(ApiError::internal)?
        }
        Some(then) => {
            let told = past::told(&app, workspace, stream, then.size).await?;
            let is_catalog =
                |event: &Recorded| event.fact.event.event_type() == EventType::CatalogPublished;
            told.into_iter().rev().find(is_catalog)
        }
    };
    let none = || ApiError::not_found("no_catalog", "no catalog was in force then");
    let event = event.ok_or_else(none)?;
    let AnyEvent::Workspace(WorkspaceEvent::CatalogPublished(catalog)) = event.fact.event else {
        return Err(none());
    };
    let CatalogPublished { content, sha256, version, reason } = catalog;
    let reason = reason.map(|reason| reason.to_string());
    let (position, since) = (event.position, event.fact.recorded_at.to_string());
    Ok(axum::Json(CatalogView { content, sha256, version, reason, position, since }))
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
