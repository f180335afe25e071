//! The server itself: is it there, is it ready, what does it count, what are its routes.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use runledger_ledger::time::{Moment, Span};
use runledger_projections::Lag;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;

use crate::app::App;
use crate::extract::{Nothing, Query};
use crate::metrics;
use crate::problem::{ApiError, ApiResult, Problems};

/// How long the database may take to answer before the server is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it counts what was found of the database itself.
const LOOKED_AT: Span = Span::from_secs(30);

/// How long what was found counts as what is.
const STAYS_TRUE: Span = Span::from_secs(1);

/// Whether the server can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether it can take events and answer questions: whether the database answers, and is safe.
    ready: bool,
    /// Whether the database answers.
    database: bool,
    /// Where the read models stand. They never make a server unready: what is recorded while they
    /// are behind is safe, and what is not taken may be lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    read_models: Option<ReadModels>,
    /// Whether the database is not safe for a ledger any more. Why not, the server's log says, and
    /// `runledger database check`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    database_unsafe: bool,
    /// Logs that take no events here any more, because they are not what was signed of them. They make
    /// no server unready: other logs go on, and these can be read. An operator has to look.
    #[serde(skip_serializing_if = "is_none_at_all")]
    stopped_logs: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_none_at_all(count: &usize) -> bool {
    *count == 0
}

/// Where the read models of all workspaces stand.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct ReadModels {
    /// Events that those furthest behind have not seen.
    behind: u64,
    /// How many are parked at an event that they cannot take, and need an operator.
    parked: usize,
}

impl ReadModels {
    fn of(lags: &[Lag]) -> Self {
        let behind = lags.iter().map(|lag| lag.size.saturating_sub(lag.position)).max();
        let parked = lags.iter().filter(|lag| lag.failure.is_some()).count();
        ReadModels { behind: behind.unwrap_or_default(), parked }
    }
}

/// When it was last looked where the read models stand, and what was found; and when at the database
/// itself, and whether it was safe for a ledger.
#[derive(Debug, Default)]
pub(crate) struct LastLook {
    models: Mutex<Option<(Moment, Option<ReadModels>)>>,
    database: Mutex<Option<(Moment, bool)>>,
}

/// Where the read models stand, or stood less than a second ago: anybody may ask, and a look joins
/// all workspaces. Who asks meanwhile waits for the look that is on its way.
async fn read_models(app: &App) -> Option<ReadModels> {
    let mut last = app.readiness().models.lock().await;
    let now = app.ledger().now();
    let fresh = |at: Moment| now >= at && now.since(at) < STAYS_TRUE;
    if let Some((_, found)) = (*last).filter(|(at, _)| fresh(*at)) {
        return found;
    }
    let found = look(app).await;
    *last = Some((now, found));
    found
}

/// Where the read models stand; none if the database does not say so in time.
async fn look(app: &App) -> Option<ReadModels> {
    let lags = tokio::time::timeout(PATIENCE, app.projections().lags()).await;
    lags.ok()?.ok().map(|lags| ReadModels::of(&lags))
}

/// Whether the database is safe for a ledger, or was less than half a minute ago; as it was, while
/// it does not say so in time. What has changed is logged.
async fn is_safe(app: &App) -> bool {
    let Some(waived) = app.waived() else { return true };
    let mut last = app.readiness().database.lock().await;
    let now = app.ledger().now();
    let fresh = |at: Moment| now >= at && now.since(at) < LOOKED_AT;
    if let Some((_, safe)) = (*last).filter(|(at, _)| fresh(*at)) {
        return safe;
    }
    let looked = tokio::time::timeout(PATIENCE, app.ledger().writing_store().trust()).await;
    let was = last.is_none_or(|(_, safe)| safe);
    let Ok(Ok(trust)) = looked else { return was };
    let faults = trust.faults.into_iter().filter(|fault| !waived.contains(&fault.danger));
    let sentences: Vec<String> = faults.map(|fault| fault.sentence).collect();
    let safe = sentences.is_empty();
    *last = Some((now, safe));
    if was && !safe {
        let why = sentences.join("; ");
        tracing::error!(why, "the database is not safe for a ledger any more");
    } else if safe && !was {
        tracing::info!("the database is safe for a ledger again");
    }
    safe
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
    let read_models = read_models(&app).await;
    let database = read_models.is_some();
    let database_unsafe = database && !is_safe(&app).await;
    let ready = database && !database_unsafe;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let stopped_logs = app.ledger().halted_logs();
    let body = Readiness { ready, database, read_models, database_unsafe, stopped_logs };
    (status, axum::Json(body)).into_response()
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
    if let Some(ReadModels { behind, parked }) = read_models(&app).await {
        app.metrics().lag(behind, parked);
    }
    app.metrics().stopped(app.ledger().halted_logs());
    adapters(&app).await;
    let text = app.metrics().encode().map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], text).into_response())
}

/// Notes how the adapters' sources answer, as far as the database says so in time.
async fn adapters(app: &App) {
    let totals = app.projections().adapter_totals(app.ledger().now());
    let Ok(Ok(totals)) = tokio::time::timeout(PATIENCE, totals).await else { return };
    for adapter in app.reconciler().registry().adapters() {
        let name = adapter.manifest.name.as_str();
        let (failures, backlog) = totals.get(name).copied().unwrap_or_default();
        app.metrics().adapter(name, failures, backlog);
    }
}

/// The description of all routes.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "system",
    responses((status = 200, description = "An OpenAPI 3.1 document.", body = Object), Problems)
)]
pub async fn openapi(
    Extension(api): Extension<Arc<OpenApi>>,
    _: Query<Nothing>,
) -> axum::Json<Arc<OpenApi>> {
    axum::Json(api)
}
