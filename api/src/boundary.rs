//! What happens to every request before and after its handler.
//!
//! Here a failure is logged, once; here every answer that says "no" becomes a problem; here a
//! panic ends. A token is looked at and never logged.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use crate::access::{Access, Principal};
use crate::app::App;
use crate::limits;
use crate::policy;
use crate::problem::{self, ApiError, ApiResult, Failure};
use crate::routes::lineage;
use crate::web::Reader;

/// The route of a request that no route is for.
const UNMATCHED: &str = "none";

/// Lets a request through if whoever has its token may do what its route does. What was decided goes
/// along with the request.
pub(crate) async fn authorize(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match decide(&app, &mut parts).await {
        Ok(access) => {
            parts.extensions.insert(access);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(error) => error.into_response(),
    }
}

async fn decide(app: &App, parts: &mut Parts) -> ApiResult<Access> {
    let principal = authenticate(app, &parts.headers).await?;
    limits::by_token(app, &principal, parts.uri.path())?;
    let route = parts.extensions.get::<MatchedPath>().map_or(UNMATCHED, MatchedPath::as_str);
    let action = policy::of_route(parts.method.as_str(), route);
    let Some(action) = action else { return Err(no_rule(&parts.method, route)) };
    let workspace = named_workspace(app, parts).await;
    Access::decide(principal, action, workspace.as_deref())
}

/// Nothing is said of a route: its path takes other methods, or it was forgotten. Then it answers
/// nobody.
pub(crate) fn no_rule(method: &Method, path: &str) -> ApiError {
    match policy::methods(path) {
        Some(methods) => ApiError::of_status(StatusCode::METHOD_NOT_ALLOWED).allowing(methods),
        None => ApiError::internal(format!("{method} {path} is not in the policy")),
    }
}

/// The workspace that a request is about: its path says so, or, of the way in for OpenLineage, its
/// query.
async fn named_workspace(app: &App, parts: &mut Parts) -> Option<String> {
    if parts.uri.path().starts_with(lineage::PATH) {
        return Some(lineage::target(app, &parts.uri));
    }
    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    let found = params.iter().find(|(name, _)| *name == "workspace");
    found.map(|(_, value)| value.to_owned())
}

/// Who sends a request.
async fn authenticate(app: &App, headers: &HeaderMap) -> ApiResult<Arc<Principal>> {
    let Some(token) = bearer(headers) else {
        return Err(refused(
            "send a token as `Authorization: Bearer …`; the administrator's is in the data \
             directory, in the file admin-token",
        ));
    };
    if app.administrator().matches(token) {
        return Ok(Arc::clone(app.owner()));
    }
    let holder = app.directory().holder(token, app.ledger().now()).await?;
    holder.ok_or_else(|| {
        refused(
            "the bearer token is none that is taken here: it was mistyped, revoked or has ended; \
             the administrator's is in the data directory, in the file admin-token",
        )
    })
}

fn refused(detail: &'static str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Answers whatever happens behind it, and counts the answer.
pub(crate) async fn answer(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = tokio::time::Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    let reader = Reader::of(&request);
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    // The panic's message is on standard error already.
    let response = answered.unwrap_or_else(|_| ApiError::internal("a panic").into_response());
    let response = finish(&app, &format!("{method} {route}"), response);
    let response = reader.answer(response);
    let took = started.elapsed();
    app.metrics().answered(&method, route, response.status(), took);
    tracing::debug!(%method, route, status = response.status().as_u16(), ?took, "answered");
    response
}

/// Logs what the server itself failed at, and makes a problem of every refusal that is none yet.
fn finish(app: &App, what: &str, mut response: Response) -> Response {
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        let id = app.failure_id().map(|id| id.to_string()).unwrap_or_default();
        let cause = chain(&*failure.cause);
        tracing::error!(failure = id, request = what, cause, "a request failed");
        return failure.response_as(&id, response);
    }
    let status = response.status();
    let said = says_json(response.headers()) || is_page(response.headers());
    if !(status.is_client_error() || status.is_server_error()) || said {
        return response;
    }
    let allow = response.headers_mut().remove(header::ALLOW);
    let mut response = ApiError::of_status(status).into_response();
    if let Some(allow) = allow {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// An error with everything that it comes from.
fn chain(error: &(dyn std::error::Error + Send + Sync)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Whether it is a page for people, which says in its own way what is wrong.
fn is_page(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type.is_some_and(|media_type| media_type.starts_with("text/html"))
}

fn says_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    matches!(media_type, Some(problem::MEDIA_TYPE | "application/json"))
}
