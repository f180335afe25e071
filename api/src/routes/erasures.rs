//! Erasures: one person asks, another approves, and then it is carried out (specs/0024).

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use runledger_ledger::erasure::{self, Erasure, ErasureError, ErasureState, What};
use runledger_ledger::event::{Actor, Stream};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Note, RunId, Subject, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::Access;
use crate::app::App;
use crate::erasing::Stand;
use crate::extract::{Json, Nothing, Path, Query, Workspace};
use crate::past::{self, AsOfThen, Then};
use crate::problem::{ApiError, ApiResult, Problems};

/// Most erasures that are listed.
const LISTED: u32 = 500;

/// The erasure that the path names.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ErasurePath {
    erasure: Uuid,
}

/// What is to be forgotten: `positions`, `run` or `subject`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewErasure {
    /// Single events, by their positions; 500 at most.
    #[serde(default)]
    positions: Option<BTreeSet<u64>>,
    /// Everything that is said of this run.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    run: Option<RunId>,
    /// Everything that is said of this subject (`type/id`) and of its runs, and its own id. The log
    /// names the runs, and never the subject.
    #[serde(default)]
    subject: Option<String>,
    /// Why.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "crate::reason::said")]
    reason: Note,
    /// By what right or duty, such as an article of a law. It stays in the log for ever.
    #[schema(value_type = String)]
    legal_basis: Note,
}

/// An approval.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Why. It stays in the log for ever.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "crate::reason::said")]
    reason: Note,
}

/// An erasure, as it stands.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ErasureView {
    /// Its id.
    pub id: Uuid,
    /// `requested`, `approved`, `executing`, `completed` or `expired`.
    pub state: String,
    /// Why.
    pub reason: String,
    /// By what right or duty.
    pub legal_basis: String,
    /// Events that it was about when it was asked for.
    pub events: u64,
    /// Bodies that the log names by now.
    pub bodies: u64,
    /// Single events that it names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positions: Vec<u64>,
    /// Whole streams that it names, such as `run 018f…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<String>,
    /// Whether a stand-in takes the place of the subject.
    pub subject: bool,
    /// Who asked for it.
    pub requested_by: String,
    /// When (RFC 3339).
    pub requested_at: String,
    /// When it may not be approved or begun any more (RFC 3339).
    pub expires_at: String,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// When (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<String>,
    /// When it was done (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    /// Whether this server is carrying it out.
    pub running: bool,
    /// Why this server stopped, in a stable word: `erased_elsewhere` waits for somebody who may
    /// change the database (`runledger erase run --eraser-url`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The erasures of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct Erasures {
    items: Vec<ErasureView>,
}

/// Ask for an erasure.
///
/// Nothing is erased yet: somebody else has to approve it within seven days, and then it is carried
/// out. Bodies go, and everything that was derived from them; leaf hashes and proofs stay.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/erasures",
    tag = "erasure",
    params(("workspace" = String, Path, description = "The name of the workspace.")),
    request_body = NewErasure,
    responses((status = 201, description = "It waits for somebody else.", body = ErasureView), Problems)
)]
pub async fn request_erasure(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    _: Query<Nothing>,
    Json(new): Json<NewErasure>,
) -> ApiResult<Response> {
    let what = match (new.positions, new.run, new.subject) {
        (Some(positions), None, None) => What::Positions(positions),
        (None, Some(run), None) => What::Run(run),
        (None, None, Some(subject)) => {
            let subject = subject.parse::<Subject>();
            What::Subject(subject.map_err(|error| invalid(format!("`subject`: {error}")))?)
        }
        _ => return Err(invalid("name one of `positions`, `run` and `subject`".to_owned())),
    };
    let why = (new.reason, new.legal_basis);
    let asked = erasure::request(app.ledger(), workspace, &what, why, access.actor()).await?;
    let view = view(&app, &asked, Stand::default());
    Ok((StatusCode::CREATED, axum::Json(view)).into_response())
}

/// List the erasures of a workspace, the latest first.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/erasures",
    tag = "erasure",
    params(("workspace" = String, Path, description = "The name of the workspace."), AsOfThen),
    responses((status = 200, description = "How each stands.", body = Erasures), Problems)
)]
pub async fn list_erasures(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(asked): Query<AsOfThen>,
) -> ApiResult<axum::Json<Erasures>> {
    let store = app.ledger().store();
    let mut items = Vec::new();
    if let Some(then) = asked.then(&app, workspace).await? {
        for id in store.erasures(workspace, LISTED).await? {
            items.extend(view_then(&app, workspace, id, then).await?);
        }
        return Ok(axum::Json(Erasures { items }));
    }
    for id in store.erasures(workspace, LISTED).await? {
        let stand = app.erasing().stand(id);
        items.push(view(&app, &erasure::load(store, workspace, id).await?, stand));
    }
    Ok(axum::Json(Erasures { items }))
}

/// How an erasure stands.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/erasures/{erasure}",
    tag = "erasure",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("erasure" = Uuid, Path, description = "The `id` of the erasure."),
        AsOfThen,
    ),
    responses((status = 200, description = "How it stands.", body = ErasureView), Problems)
)]
pub async fn read_erasure(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(ErasurePath { erasure }): Path<ErasurePath>,
    Query(asked): Query<AsOfThen>,
) -> ApiResult<axum::Json<ErasureView>> {
    if let Some(then) = asked.then(&app, workspace).await? {
        let found = view_then(&app, workspace, erasure, then).await?;
        return Ok(axum::Json(found.ok_or(ErasureError::Unknown(erasure))?));
    }
    // First how it goes here: what has ended by then, the log says.
    let stand = app.erasing().stand(erasure);
    let found = erasure::load(app.ledger().store(), workspace, erasure).await?;
    Ok(axum::Json(view(&app, &found, stand)))
}

/// Approve an erasure that somebody else has asked for.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/erasures/{erasure}/approve",
    tag = "erasure",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("erasure" = Uuid, Path, description = "The `id` of the erasure."),
    ),
    request_body = Approval,
    responses((status = 200, description = "It may be carried out.", body = ErasureView), Problems)
)]
pub async fn approve_erasure(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    Path(ErasurePath { erasure }): Path<ErasurePath>,
    _: Query<Nothing>,
    Json(approval): Json<Approval>,
) -> ApiResult<axum::Json<ErasureView>> {
    let (ledger, actor) = (app.ledger(), access.actor());
    let approved = erasure::approve(ledger, workspace, erasure, approval.reason, actor).await?;
    Ok(axum::Json(view(&app, &approved, Stand::default())))
}

/// Carry an approved erasure out, in the background, or go on with it.
///
/// Where the service's database role may not erase, the log orders what is to go, and the erasure
/// waits (`erased_elsewhere`) for `runledger erase run --eraser-url`.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/erasures/{erasure}/run",
    tag = "erasure",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("erasure" = Uuid, Path, description = "The `id` of the erasure."),
    ),
    responses((status = 202, description = "It is being carried out.", body = ErasureView), Problems)
)]
pub async fn run_erasure(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    Path(ErasurePath { erasure }): Path<ErasurePath>,
    _: Query<Nothing>,
) -> ApiResult<Response> {
    let found = erasure::load(app.ledger().store(), workspace, erasure).await?;
    match found.state(app.ledger().now()) {
        ErasureState::Requested => return Err(ErasureError::NotApproved.into()),
        ErasureState::Expired => return Err(ErasureError::Expired.into()),
        ErasureState::Completed => {}
        ErasureState::Approved | ErasureState::Executing => {
            app.erasing().begin(&app, workspace, erasure, access.actor().clone());
        }
    }
    let stand = app.erasing().stand(erasure);
    Ok((StatusCode::ACCEPTED, axum::Json(view(&app, &found, stand))).into_response())
}

/// An erasure as the log told of it then; none if it did not.
async fn view_then(
    app: &App,
    workspace: WorkspaceId,
    id: Uuid,
    then: Then,
) -> ApiResult<Option<ErasureView>> {
    let events = past::told(app, workspace, Stream::erasure(id), then.size).await?;
    let found = Erasure::fold(id, &events);
    Ok(found.map(|erasure| view_at(&erasure, Stand::default(), then.at)))
}

/// `stand` is from before the erasure was read.
fn view(app: &App, erasure: &Erasure, stand: Stand) -> ErasureView {
    view_at(erasure, stand, app.ledger().now())
}

fn view_at(erasure: &Erasure, stand: Stand, now: Moment) -> ErasureView {
    let who = |actor: Option<&Actor>| {
        actor.map_or_else(|| "nobody".to_owned(), |actor| format!("{} {}", actor.kind, actor.id))
    };
    let (problem, detail) = stand.problem.map(|(code, words)| (code.to_owned(), words)).unzip();
    let asked = &erasure.requested;
    let approved = erasure.approved.as_ref();
    ErasureView {
        id: erasure.id,
        state: erasure.state(now).to_string(),
        reason: asked.reason.to_string(),
        legal_basis: asked.legal_basis.to_string(),
        events: asked.events,
        bodies: erasure.bodies(),
        positions: asked.positions.clone(),
        streams: asked.streams.iter().map(|named| format!("{} {}", named.kind, named.id)).collect(),
        subject: asked.subject,
        requested_by: who(erasure.requested_by.as_ref()),
        requested_at: erasure.requested_at.to_string(),
        expires_at: asked.expires_at.to_string(),
        approved_by: approved.map(|(actor, _)| who(actor.as_ref())),
        approved_at: approved.map(|(_, at)| at.to_string()),
        completed_at: erasure.completed_at.map(|at| at.to_string()),
        running: stand.running,
        problem,
        detail,
    }
}

fn invalid(detail: String) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail)
}

impl From<ErasureError> for ApiError {
    fn from(error: ErasureError) -> Self {
        let status = match &error {
            ErasureError::NoEvent(_)
            | ErasureError::NoRun(_)
            | ErasureError::NoSubject(_)
            | ErasureError::Unknown(_) => StatusCode::NOT_FOUND,
            ErasureError::Nothing | ErasureError::TooMany(_) | ErasureError::Kept(..) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            _ => StatusCode::CONFLICT,
        };
        match (error.code(), error) {
            (Some(code), error) => ApiError::new(status, code, error.to_string()),
            (None, ErasureError::Submit(error)) => error.into(),
            (None, error) => ApiError::internal(error),
        }
    }
}
