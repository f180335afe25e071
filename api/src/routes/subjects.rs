//! Subjects: what somebody has seen of one.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use runledger_ledger::clock::NoEntropy;
use runledger_ledger::words::RunId;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::events::held;
use crate::access::Access;
use crate::answer::ItemResult;
use crate::app::App;
use crate::extract::{Json, Nothing, Path, Query, Workspace};
use crate::ingest::ItemError;
use crate::ingest::native::{self, Parsed};
use crate::limits;
use crate::problem::{ApiError, ApiResult, Problems};

/// The subject that the path names.
#[derive(Clone, Debug, Deserialize)]
pub struct SubjectPath {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

/// What was seen of a subject: the data of a `subject.observed`, but for its `subject`.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it is read as the event that it stands for; this describes it")]
pub struct Observation {
    /// The environment that it was seen in; left out, the workspace itself.
    environment: Option<String>,
    /// What the verdict rests on: identifiers, states, counts, times; flat, at most 32. A value
    /// that looks like a secret, a URL or a payload is refused.
    #[schema(value_type = Object)]
    evidence: Option<Value>,
    /// `healthy`, `unhealthy` or `absent`.
    #[schema(pattern = "^(healthy|unhealthy|absent)$")]
    state: String,
    /// When it was seen, in RFC 3339; left out, now.
    #[schema(format = DateTime)]
    verified_at: Option<String>,
    /// Who or what looked.
    verifier: Option<String>,
}

/// Record what was seen of a subject.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/subjects/{type}/{id}/observations",
    tag = "subjects",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("type" = String, Path, description = "The type of the subject."),
        ("id" = String, Path, description = "Its id; escape a `/` in it as %2F."),
    ),
    request_body = Observation,
    responses((status = 201, description = "It is recorded.", body = ItemResult), Problems)
)]
pub async fn observe(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    Path(subject): Path<SubjectPath>,
    _: Query<Nothing>,
    Json(data): Json<Map<String, Value>>,
) -> ApiResult<Response> {
    let Parsed { submission, .. } = read(&access, subject, data)?;
    let submission = held(&access, submission)?;
    limits::events(&app, access.principal(), 1);
    Ok(app.submit_one(workspace, submission).await?.into_response())
}

/// Reads an observation as the native event that it stands for, so that it is checked alike.
fn read(access: &Access, subject: SubjectPath, mut data: Map<String, Value>) -> ApiResult<Parsed> {
    if data.contains_key("subject") {
        let error = ItemError {
            code: "invalid_event",
            detail: "`/subject`: the path names the subject; leave it out".to_owned(),
            pointer: Some("/subject".to_owned()),
        };
        return Err(error.into());
    }
    data.insert("subject".to_owned(), json!({"type": subject.kind, "id": subject.id}));
    let event = json!({"type": "subject.observed", "data": data}).to_string();
    let caller = access.caller();
    let mut no_run = || Err::<RunId, _>(NoEntropy);
    let items = native::parse_body(event.as_bytes(), None, caller, &mut no_run)?;
    let item = items.into_iter().next().ok_or_else(|| ApiError::internal("nothing was read"))?;
    item.map_err(|error| as_sent(error).into())
}

/// The error as one of what was sent, which was the data alone.
fn as_sent(error: ItemError) -> ItemError {
    let pointer = error.pointer.map(|pointer| match pointer.strip_prefix("/data") {
        Some(rest) => rest.to_owned(),
        None => pointer,
    });
    let detail = match error.detail.strip_prefix("`/data`: ") {
        Some(of_all) => of_all.to_owned(),
        None => error.detail.replacen("`/data/", "`/", 1),
    };
    ItemError { pointer, detail, ..error }
}
