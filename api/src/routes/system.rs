//! The server itself: is it there, is it ready, what does it count, what are its routes.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::{Nothing, Query};
use crate::metrics;
use crate::problem::{ApiError, ApiResult, Problems};

/// How long the database may take to answer before the server is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the server can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether everything below is well.
    ready: bool,
    /// Whether the database answers.
    database: bool,
}

/// Is the process there?
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "system",
    security(()),
    responses((status = 200, description = "It is.", body = String, content_type = "text/plain"))
)]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Can the server do its work?
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "system",
    security(()),
    responses(
        (status = 200, description = "It can.", body = Readiness),
        (status = 503, description = "Not now.", body = Readiness),
    )
)]
pub async fn readyz(State(app): State<App>) -> Response {
    let asked = tokio::time::timeout(PATIENCE, app.ledger().store().listened_at()).await;
    let database = matches!(asked, Ok(Ok(_)));
    let status = if database { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(Readiness { ready: database, database })).into_response()
}

/// What the server counts of itself, as OpenMetrics text.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "system",
    responses(
        (status = 200, description = "The metrics.", body = String, content_type = metrics::MEDIA_TYPE),
        Problems,
    )
)]
pub async fn get_metrics(State(app): State<App>, _: Query<Nothing>) -> ApiResult<Response> {
    let text = app.metrics().encode().map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], text).into_response())
}
