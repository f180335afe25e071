//! What handlers take out of a request. Whatever does not fit is a problem like any other, and
//! what is not known is refused by name.

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use runledger_ledger::words::WorkspaceId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;

use crate::access::Access;
use crate::app::App;
use crate::ingest::native::Object;
use crate::ingest::{self, BodyError, REQUEST_BYTES};
use crate::past;
use crate::problem::{ApiError, unknown_workspace};
use crate::shares::{Share, Turn};

/// The workspace that the path names.
#[derive(Clone, Copy, Debug)]
pub struct Workspace(pub WorkspaceId);

impl FromRequestParts<App> for Workspace {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|error| bad_path(error.to_string()))?;
        let name = params.iter().find(|(name, _)| *name == "workspace").map(|(_, value)| value);
        workspace(app, name.unwrap_or_default()).await.map(Workspace)
    }
}

/// The workspace called `name`.
pub async fn workspace(app: &App, name: &str) -> Result<WorkspaceId, ApiError> {
    let found = app.workspaces().find(app.ledger().store(), name).await?;
    found.ok_or_else(unknown_workspace)
}

/// The parts of the path that a handler names.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, app).await;
        path.map(|path| Path(path.0)).map_err(|error: PathRejection| bad_path(error.body_text()))
    }
}

fn bad_path(problem: String) -> ApiError {
    let problem = ingest::plain(problem.strip_prefix("Invalid URL: ").unwrap_or(&problem));
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_path", problem)
}

/// The query. Give `T` `#[serde(deny_unknown_fields)]`, so that nothing is overlooked.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

/// A query without parameters.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl<T: DeserializeOwned> Query<T> {
    /// Reads the query of `uri`.
    pub fn read(uri: &Uri) -> Result<T, ApiError> {
        axum::extract::Query::<T>::try_from_uri(uri).map(|query| query.0).map_err(|error| {
            let text = error.body_text();
            let problem = text.strip_prefix("Failed to deserialize query string: ");
            let problem = said_of_query(problem.unwrap_or(&text), &[]);
            if text.contains("unknown field `as_of`") {
                let detail = format!("`as_of` is not taken here: {}", past::why_now(uri.path()));
                return ApiError::new(StatusCode::BAD_REQUEST, "no_as_of", detail);
            }
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", problem)
        })
    }

    /// The same of a part of a query, where `others` may stand beside it.
    pub fn read_part(query: &str, others: &[&str]) -> Result<T, ApiError> {
        // A part of a query is a query.
        let uri: Uri = format!("/?{query}").parse().map_err(ApiError::internal)?;
        axum::extract::Query::<T>::try_from_uri(&uri).map(|query| query.0).map_err(|error| {
            let text = error.body_text();
            let problem = text.strip_prefix("Failed to deserialize query string: ");
            let problem = said_of_query(problem.unwrap_or(&text), others);
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", problem)
        })
    }
}

/// What is wrong with a query, in words that say what may come. `others` are parameters that it
/// takes besides.
fn said_of_query(problem: &str, others: &[&str]) -> String {
    let whole = "must be a whole number that is not negative";
    let problem = ingest::plain(problem)
        .replace("invalid digit found in string", whole)
        .replace("cannot parse integer from empty string", whole)
        .replace("number too large to fit in target type", "is too large a number");
    let Some((_, after)) = problem.split_once("unknown field `") else { return problem };
    let mut quoted = after.split('`');
    let unknown = quoted.next().unwrap_or_default();
    let mut known: Vec<&str> = quoted.skip(1).step_by(2).collect();
    for other in others {
        if !known.contains(other) {
            known.push(other);
        }
    }
    let known: Vec<String> = known.into_iter().map(|name| format!("`{name}`")).collect();
    match known.as_slice() {
        [] => format!("there is no parameter `{unknown}` here, nor any other"),
        known => format!("there is no parameter `{unknown}` here; there are {}", known.join(", ")),
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, ApiError> {
        Query::read(&parts.uri).map(Query)
    }
}

/// What a change takes: who makes it, what its path names, and what is sent. It takes no query.
#[derive(Debug)]
pub struct Change<P, B> {
    /// Who makes it.
    pub access: Access,
    /// What its path names.
    pub path: P,
    /// What is sent.
    pub body: B,
}

impl<P: DeserializeOwned + Send, B: DeserializeOwned> FromRequest<App> for Change<P, B> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let access = Access::from_request_parts(&mut parts, app).await?;
        let Path(path) = Path::from_request_parts(&mut parts, app).await?;
        let Nothing {} = Query::read(&parts.uri)?;
        let Json(body) = Json::from_request(Request::from_parts(parts, body), app).await?;
        Ok(Change { access, path, body })
    }
}

/// A JSON body.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let payload = Payload::from_request(request, app).await?;
        read_json(&payload.bytes).map(Json)
    }
}

/// A JSON body of at most [`SMALL_BYTES`], where nothing larger can be meant.
#[derive(Clone, Copy, Debug)]
pub struct SmallJson<T>(pub T);

/// Most bytes of a [`SmallJson`].
pub const SMALL_BYTES: usize = 64 * 1024;

impl<T: DeserializeOwned> FromRequest<App> for SmallJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let payload = Payload::from_request(request, app).await?;
        let length = payload.bytes.len();
        if length > SMALL_BYTES {
            let detail = format!("the body has {length} bytes; here it may have {SMALL_BYTES}");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
        }
        read_json(&payload.bytes).map(SmallJson)
    }
}

/// Reads `bytes` as one JSON value of the form `T`.
fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    ingest::trimmed(bytes, "a JSON object")?;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    // An array is never taken for the members of an object in their order.
    let read = serde_path_to_error::deserialize::<_, Object<T>>(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { String::new() } else { format!("`{path}`: ") };
        (place, error.into_inner())
    });
    let whole = read.and_then(|value| match reader.end() {
        Ok(()) => Ok(value.0),
        Err(error) => Err((String::new(), error)),
    });
    whole.map_err(|(place, problem)| {
        if problem.is_data() {
            let detail = format!("{place}{}", ingest::plain(&problem.to_string()));
            return ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail);
        }
        let detail = format!("the body is not JSON: {}", ingest::not_json(&problem));
        ApiError::new(StatusCode::BAD_REQUEST, "not_json", detail)
    })
}

/// A whole body, inflated, of at most [`REQUEST_BYTES`]. It holds its share of the memory that
/// bodies may take until it is dropped.
#[derive(Debug)]
pub struct Payload {
    /// The body.
    pub bytes: Bytes,
    /// Its media type, as it was sent.
    pub content_type: Option<String>,
    /// Its share. Whoever hands on what is in it hands this on as well.
    pub(crate) room: Vec<OwnedSemaphorePermit>,
}

/// From how many bytes on a body is worth waiting for the others of its workspace.
const LARGE: usize = 16 * 1024;

impl Payload {
    /// Waits, with a large body, until no other of the same workspace is being read.
    pub(crate) async fn turn_to_read(
        &self,
        app: &App,
        access: &Access,
        workspace: WorkspaceId,
    ) -> Option<Turn> {
        let share = access.share(app).filter(|_| self.bytes.len() >= LARGE)?;
        share.turn_to_read(app.ledger().is_shared(workspace)).await
    }
}

impl FromRequest<App> for Payload {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let content_type = content_type(request.headers());
        let access = request.extensions().get::<Access>();
        let share = access.and_then(|access| access.share(app));
        let (bytes, room) = read(request.into_body(), app, share.as_deref()).await?;
        Ok(Payload { bytes, content_type, room })
    }
}

/// How long a body may take. It ends before the patience with the whole request does, so that the
/// answer can say that nothing was done.
const BODY_PATIENCE: Duration = Duration::from_secs(25);

/// Of a body that takes longer, nothing is done, and the memory that it held is free for others.
async fn read(
    body: Body,
    app: &App,
    share: Option<&Share>,
) -> Result<(Bytes, Vec<OwnedSemaphorePermit>), ApiError> {
    let read = tokio::time::timeout(BODY_PATIENCE, read_whole(body, app, share));
    read.await.unwrap_or_else(|_| Err(too_slow()))
}

async fn read_whole(
    body: Body,
    app: &App,
    share: Option<&Share>,
) -> Result<(Bytes, Vec<OwnedSemaphorePermit>), ApiError> {
    let mut stream = body.into_data_stream();
    let mut bytes = BytesMut::new();
    let mut room = Room::default();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(cut_off)?;
        if bytes.len() + chunk.len() > REQUEST_BYTES {
            return Err(BodyError::TooLarge.into());
        }
        room.take(chunk.len(), app, share)?;
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes.freeze(), room.of_all.into_iter().chain(room.of_share).collect()))
}

/// What a body holds of the memory for bodies.
#[derive(Default)]
struct Room {
    of_all: Option<OwnedSemaphorePermit>,
    of_share: Option<OwnedSemaphorePermit>,
}

impl Room {
    fn take(&mut self, bytes: usize, app: &App, share: Option<&Share>) -> Result<(), ApiError> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Some(share) = share {
            merge(&mut self.of_share, share.room(bytes).ok_or_else(busy)?);
        }
        let more = app.body_room().clone().try_acquire_many_owned(bytes).map_err(|_| busy())?;
        merge(&mut self.of_all, more);
        Ok(())
    }
}

fn merge(held: &mut Option<OwnedSemaphorePermit>, more: OwnedSemaphorePermit) {
    match held {
        Some(held) => held.merge(more),
        None => *held = Some(more),
    }
}

fn busy() -> ApiError {
    let detail = "the server is working on as many bytes as it can hold; send the request again";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail)
}

/// 503, as everything that is worth another try: clients give up at other statuses (0006).
fn too_slow() -> ApiError {
    let seconds = BODY_PATIENCE.as_secs();
    let detail = format!(
        "the body did not come within {seconds} seconds, and nothing of it was recorded; send it \
         again, in smaller requests"
    );
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "body_too_slow", detail)
}

fn cut_off(error: axum::Error) -> ApiError {
    let detail = "the body was cut off, or it is not the gzip that it says it is";
    tracing::debug!(%error, "a body could not be read");
    ApiError::new(StatusCode::BAD_REQUEST, "unreadable_body", detail)
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok().map(str::to_owned)
}
