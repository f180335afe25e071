//! Audit packs, made in the background.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use runledger_ledger::access::{AccessChange, AuditPackRead};
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Note, RunId, WorkspaceId};
use runledger_ledger::workspace::WorkspaceCommand;
use runledger_projections::AsOf;
use serde::{Deserialize, Serialize};
use tokio_util::io::ReaderStream;
use utoipa::ToSchema;

use crate::access::Access;
use crate::app::App;
use crate::exports::{Export, Exports, NoExport, State as Stand, past};
use crate::extract::{Json, Nothing, Path, Query, Workspace};
use crate::pack::{Order, Scope, unknown_operation};
use crate::past::AsOfThen;
use crate::problem::{ApiError, ApiResult, Problems};
use crate::reason::Because;

/// The pack that the path names.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct PackPath {
    pack: RunId,
}

/// What a pack is to hold. Nothing said is the whole log.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewPack {
    /// The log as it was with so many events, of which a checkpoint was signed; left out, the last one.
    size: Option<u64>,
    /// Only the events of this run.
    #[schema(value_type = Option<Uuid>)]
    run: Option<RunId>,
    /// Only the events of runs of this operation, by its canonical name or by an alias of it in the catalog
    /// that was in force.
    operation: Option<String>,
    /// Only the events of runs of this environment, and of subjects in it.
    environment: Option<String>,
    /// Only what was recorded then or later (RFC 3339).
    from: Option<String>,
    /// Only what was recorded before (RFC 3339).
    to: Option<String>,
    /// Who asks for it, as the pack says; left out, whose token it is.
    requester: Option<String>,
}

/// The exports of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct Packs {
    items: Vec<Export>,
    /// Whether there are older ones that are not listed. Of now, all of this server are.
    more: bool,
}

/// Make an audit pack, in the background.
///
/// It is a run in the workspace's own log, of the operation `runledger.audit_pack.export`. One is
/// made at a time, and a few may wait. The file stays on the server that made it for a day.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/audit-packs",
    tag = "evidence",
    params(("workspace" = String, Path, description = "The name of the workspace.")),
    request_body = NewPack,
    responses((status = 202, description = "It will be made.", body = Export), Problems)
)]
pub async fn make_pack(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    _: Query<Nothing>,
    Json(new): Json<NewPack>,
) -> ApiResult<Response> {
    let exports = exports(&app)?;
    let size = checkpoint(&app, workspace, new.size).await?;
    let all = app.ledger().store().workspaces().await?;
    let name = all.into_iter().find(|(id, _)| *id == workspace).map(|(_, name)| name);
    let actor = access.actor().clone();
    let scope = Scope {
        run: new.run,
        operation: new.operation,
        environment: new.environment,
        from: moment(new.from, "from")?,
        to: moment(new.to, "to")?,
    };
    scope.check().map_err(invalid)?;
    if let Some(operation) = &scope.operation {
        let view = app.projections().view(workspace, AsOf::Now).await?;
        let known = view.operations(None).await?;
        let catalog = app.ledger().catalog(workspace).await?;
        let names = [operation.as_str(), catalog.canonical(operation)];
        if !known.iter().any(|one| names.contains(&one.operation.as_str())) {
            let why = unknown_operation(operation);
            return Err(invalid(format!("`operation`: {why}")));
        }
    }
    let own = actor.id.to_string();
    let other = new.requester.as_ref().is_some_and(|requester| *requester != own);
    if other && !access.principal().is_administrator() {
        let detail =
            "`requester`: only the administrator of the server asks for others; leave it out";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    let requester = new.requester.unwrap_or(own);
    if requester.len() > 255 || requester.chars().any(char::is_control) {
        return Err(invalid("`requester` must be a name of 255 bytes at most".to_owned()));
    }
    let name = name.unwrap_or_default();
    let witnesses = app.cosigners().map(|cosigners| cosigners.policy().clone());
    let order = Order { workspace, name, requester, size: Some(size), scope, witnesses };
    let export = exports.ask(&app, order, actor).await.map_err(|error| match error {
        NoExport::Full => {
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_exports", error.to_string())
        }
        NoExport::Failed(cause) => ApiError::internal(cause),
    })?;
    Ok((StatusCode::ACCEPTED, axum::Json(export)).into_response())
}

/// List the audit packs that were asked for on this server, the latest first.
///
/// As of a moment, they are those that the log tells of, on whichever server they were made: the latest
/// 100, as they stood then. How many bytes a file had is not in the log.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/audit-packs",
    tag = "evidence",
    params(("workspace" = String, Path, description = "The name of the workspace."), AsOfThen),
    responses((status = 200, description = "How each stands.", body = Packs), Problems)
)]
pub async fn list_packs(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(asked): Query<AsOfThen>,
) -> ApiResult<axum::Json<Packs>> {
    if let Some(then) = asked.then(&app, workspace).await? {
        let (items, more) = past::list(&app, workspace, then).await?;
        return Ok(axum::Json(Packs { items, more }));
    }
    forget(&app, workspace).await?;
    let items = exports(&app)?.list(workspace, app.ledger().now());
    Ok(axum::Json(Packs { items, more: false }))
}

/// How an audit pack stands.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/audit-packs/{pack}",
    tag = "evidence",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("pack" = Uuid, Path, description = "The `id` of the pack."),
        AsOfThen,
    ),
    responses((status = 200, description = "How it stands.", body = Export), Problems)
)]
pub async fn read_pack(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(PackPath { pack }): Path<PackPath>,
    Query(asked): Query<AsOfThen>,
) -> ApiResult<axum::Json<Export>> {
    if let Some(then) = asked.then(&app, workspace).await? {
        let found = past::find(&app, workspace, pack, then).await?;
        let detail = "no such audit pack was asked for by then";
        return found.map(axum::Json).ok_or_else(|| ApiError::not_found("unknown_pack", detail));
    }
    Ok(axum::Json(find(&app, workspace, pack).await?))
}

/// Download an audit pack that is ready. The log of the workspace says who read it, and why.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/audit-packs/{pack}/file",
    tag = "evidence",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("pack" = Uuid, Path, description = "The `id` of the pack."),
        Because,
    ),
    responses(
        (status = 200, description = "A zip file.", body = Vec<u8>, content_type = "application/zip"),
        Problems,
    )
)]
pub async fn download_pack(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    Path(PackPath { pack }): Path<PackPath>,
    Query(Because { reason }): Query<Because>,
) -> ApiResult<Response> {
    let export = find(&app, workspace, pack).await?;
    if export.state != Stand::Ready {
        let detail = "the pack is not ready, or was removed; its `state` says which";
        return Err(ApiError::new(StatusCode::CONFLICT, "pack_not_ready", detail));
    }
    let file = tokio::fs::File::open(exports(&app)?.file(pack)).await;
    let file = file.map_err(ApiError::internal)?;
    // Before it is: a pack that nobody knows to be read is read by nobody.
    note_read(&app, &access, workspace, pack, reason).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (header::CONTENT_LENGTH, HeaderValue::from(export.bytes.unwrap_or_default())),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}

async fn note_read(
    app: &App,
    access: &Access,
    workspace: WorkspaceId,
    pack: RunId,
    reason: Note,
) -> ApiResult<()> {
    let read = AccessChange::AuditPackRead(AuditPackRead { manifest: None, pack: pack.0, reason });
    let command = Command::Workspace(WorkspaceCommand::NoteAccess(read));
    let submission = Submission::new(command).by(access.actor().clone());
    match app.submit_one(workspace, submission).await?.problem {
        Some(problem) => Err(ApiError::new(problem.status, problem.code, problem.detail)),
        None => Ok(()),
    }
}

fn exports(app: &App) -> ApiResult<&Exports> {
    app.exports().ok_or_else(|| {
        let detail = "this server makes no audit packs";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_audit_packs", detail)
    })
}

/// Packs that hold what was erased since are handed out by no server.
async fn forget(app: &App, workspace: WorkspaceId) -> ApiResult<()> {
    if let Some(erased) = app.ledger().store().last_erasure(workspace).await? {
        exports(app)?.forget(workspace, erased);
    }
    Ok(())
}

async fn find(app: &App, workspace: WorkspaceId, id: RunId) -> ApiResult<Export> {
    forget(app, workspace).await?;
    exports(app)?.find(workspace, id, app.ledger().now()).ok_or_else(|| {
        let detail = "no such audit pack was asked for on this server";
        ApiError::not_found("unknown_pack", detail)
    })
}

/// The size of the checkpoint that is meant.
async fn checkpoint(app: &App, workspace: WorkspaceId, size: Option<u64>) -> ApiResult<u64> {
    let store = app.ledger().store();
    let found = match size {
        Some(size) => store.checkpoint_at(workspace, size).await?,
        None => store.last_checkpoint(workspace).await?,
    };
    found.map(|found| found.size).ok_or_else(|| {
        ApiError::not_found("no_checkpoint", "no such checkpoint of the log was signed yet")
    })
}

fn moment(text: Option<String>, name: &str) -> ApiResult<Option<Moment>> {
    let read = |text: String| text.parse::<Moment>();
    text.map(read).transpose().map_err(|error| invalid(format!("`{name}`: {error}")))
}

fn invalid(detail: String) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail)
}
