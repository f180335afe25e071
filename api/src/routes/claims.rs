//! The remote protocol: a program of its own claims runs to judge, and posts what it found.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use runledger_adapters::adapter::{Decision, Observation, Related, Value};
use runledger_ledger::catalog::Catalog;
use runledger_ledger::run::AdapterDecision;
use runledger_ledger::subject::SubjectState;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::RunId;
use runledger_projections::rules::standing::Recorded;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::Access;
use crate::app::App;
use crate::extract::{Nothing, Path, Query, SmallJson, Workspace};
use crate::problem::{ApiError, ApiResult, Flaw, Problems};
use crate::reconciler::{Claimed, Posted, RemoteError};
use crate::schema::claims::{ClaimsShape, DecisionShape, LeaseShape, PostedShape};

/// Most runs in one claim.
const MOST_RUNS: u32 = 100;
/// The longest lease, in seconds.
const LONGEST_LEASE: u32 = 3_600;

/// The adapter that the path names, and its workspace.
#[derive(Clone, Debug, Deserialize)]
pub struct AdapterPath {
    workspace: String,
    adapter: String,
}

/// The claim that the path names.
#[derive(Clone, Debug, Deserialize)]
pub struct ClaimPath {
    workspace: String,
    adapter: String,
    claim: Uuid,
}

/// How much is claimed, and for how long.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ClaimRequest)]
pub struct Wanted {
    /// Most runs.
    #[schema(minimum = 1, maximum = 100, default = 10)]
    limit: u32,
    /// How long they are kept from others.
    #[schema(minimum = 1, maximum = 3600, default = 60)]
    lease_seconds: u32,
}

impl Default for Wanted {
    fn default() -> Self {
        Wanted { limit: 10, lease_seconds: 60 }
    }
}

/// How long a claim goes on.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ClaimHeartbeat)]
pub struct Beat {
    /// From now on.
    #[schema(minimum = 1, maximum = 3600, default = 60)]
    lease_seconds: u32,
}

impl Default for Beat {
    fn default() -> Self {
        Beat { lease_seconds: 60 }
    }
}

/// A [`Decision`] as it is sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    decision: AdapterDecision,
    #[serde(default)]
    evidence: BTreeMap<String, Value>,
    observation: Option<Seen>,
    reason_code: String,
    related: Option<Related>,
}

/// An [`Observation`] as it is sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    #[serde(default)]
    evidence: BTreeMap<String, Value>,
    state: SubjectState,
    #[serde(deserialize_with = "rfc3339")]
    verified_at: Moment,
}

#[derive(Debug, Serialize)]
struct Claims<'a> {
    at: String,
    items: Vec<ClaimView<'a>>,
}

#[derive(Debug, Serialize)]
struct ClaimView<'a> {
    claim_id: Uuid,
    leased_until: String,
    run_id: RunId,
    at: String,
    stale: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    give_up_at: Option<String>,
    scope: Scope<'a>,
    recorded: Recorded,
}

/// Proof counts only here.
#[derive(Debug, Serialize)]
struct Scope<'a> {
    workspace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Taken {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Lease {
    claim_id: Uuid,
    leased_until: String,
}

/// Claim runs that wait for a remote adapter. Each is kept from others until its lease ends.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/adapters/{adapter}/claims",
    tag = "adapters",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("adapter" = String, Path, description = "The name of the adapter."),
    ),
    request_body = Wanted,
    responses((status = 200, description = "The runs to judge; none if none waits.", body = ClaimsShape), Problems)
)]
pub async fn claim(
    State(app): State<App>,
    access: Access,
    Workspace(id): Workspace,
    Path(AdapterPath { workspace, adapter }): Path<AdapterPath>,
    _: Query<Nothing>,
    SmallJson(Wanted { limit, lease_seconds }): SmallJson<Wanted>,
) -> ApiResult<Response> {
    own(&access, &adapter)?;
    within("limit", limit, 1..=MOST_RUNS)?;
    let lease = lease(lease_seconds)?;
    let now: Moment = app.ledger().now();
    let claimed = app.reconciler().claim(id, &workspace, &adapter, limit, lease).await?;
    let catalog = app.ledger().catalog(id).await?;
    let items = claimed.iter().map(|one| view(one, &catalog)).collect();
    Ok(axum::Json(Claims { at: now.to_string(), items }).into_response())
}

/// Post what was found of a claimed run. It holds for the run as it was claimed.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/adapters/{adapter}/claims/{claim}/decision",
    tag = "adapters",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("adapter" = String, Path, description = "The name of the adapter."),
        ("claim" = Uuid, Path, description = "The claim."),
    ),
    request_body = DecisionShape,
    responses((status = 200, description = "It is taken, and the claim is over.", body = PostedShape), Problems)
)]
pub async fn decide(
    State(app): State<App>,
    access: Access,
    Workspace(id): Workspace,
    Path(ClaimPath { workspace, adapter, claim }): Path<ClaimPath>,
    _: Query<Nothing>,
    SmallJson(found): SmallJson<Found>,
) -> ApiResult<Response> {
    own(&access, &adapter)?;
    let posted = app.reconciler().post(id, &workspace, &adapter, claim, found.into()).await?;
    let result = match posted {
        Posted::Recorded(position) => Taken { status: "recorded", position: Some(position) },
        Posted::NoEvent => Taken { status: "no_event", position: None },
    };
    Ok(axum::Json(result).into_response())
}

/// Keep a claim for longer.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/adapters/{adapter}/claims/{claim}/heartbeat",
    tag = "adapters",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("adapter" = String, Path, description = "The name of the adapter."),
        ("claim" = Uuid, Path, description = "The claim."),
    ),
    request_body = Beat,
    responses((status = 200, description = "It is kept.", body = LeaseShape), Problems)
)]
pub async fn heartbeat(
    State(app): State<App>,
    access: Access,
    Workspace(id): Workspace,
    Path(ClaimPath { adapter, claim, .. }): Path<ClaimPath>,
    _: Query<Nothing>,
    SmallJson(Beat { lease_seconds }): SmallJson<Beat>,
) -> ApiResult<Response> {
    own(&access, &adapter)?;
    let lease = lease(lease_seconds)?;
    let until = app.reconciler().keep_claim(id, &adapter, claim, lease).await?;
    let lease = Lease { claim_id: claim, leased_until: until.to_string() };
    Ok(axum::Json(lease).into_response())
}

fn view<'a>(claimed: &'a Claimed, catalog: &Catalog) -> ClaimView<'a> {
    let Claimed { claim, case, leased_until } = claimed;
    let environment = case.run.environment.as_ref().map(|name| name.as_str());
    ClaimView {
        claim_id: *claim,
        leased_until: leased_until.to_string(),
        run_id: case.run_id,
        at: case.at.to_string(),
        stale: case.stale,
        give_up_at: case.give_up_at.map(|at| at.to_string()),
        scope: Scope { workspace: case.workspace_name.as_str(), environment },
        recorded: Recorded::of(&case.run, &catalog.operation(case.operation())),
    }
}

fn rfc3339<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// One adapter judges nothing for another one: to it there is no other.
fn own(access: &Access, adapter: &str) -> ApiResult<()> {
    match access.is_adapter(adapter) {
        true => Ok(()),
        false => Err(RemoteError::UnknownAdapter(adapter.to_owned()).into()),
    }
}

fn lease(seconds: u32) -> ApiResult<Span> {
    within("lease_seconds", seconds, 1..=LONGEST_LEASE)?;
    Ok(Span::from_secs(i64::from(seconds)))
}

fn within(member: &str, value: u32, range: RangeInclusive<u32>) -> ApiResult<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let detail = format!("`{member}` must be {} to {}", range.start(), range.end());
    Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail))
}

impl From<Found> for Decision {
    fn from(found: Found) -> Self {
        let Found { decision, evidence, observation, reason_code, related } = found;
        let seen =
            |Seen { evidence, state, verified_at }| Observation { evidence, state, verified_at };
        Decision { decision, evidence, observation: observation.map(seen), reason_code, related }
    }
}

impl From<RemoteError> for ApiError {
    fn from(error: RemoteError) -> Self {
        let detail = error.to_string();
        let conflict = |code| ApiError::new(StatusCode::CONFLICT, code, detail.clone());
        match error {
            RemoteError::UnknownAdapter(_) => ApiError::not_found("unknown_adapter", detail),
            RemoteError::NotRemote(_) => conflict("adapter_not_remote"),
            RemoteError::UnknownClaim(_) => ApiError::not_found("unknown_claim", detail),
            RemoteError::Expired(_) => conflict("claim_expired"),
            RemoteError::Moved(_) => conflict("run_moved"),
            RemoteError::Refused => conflict("decision_refused"),
            RemoteError::Seam(error) => {
                let flaw = Flaw { detail: detail.clone(), pointer: None, line: None };
                let whole = format!("the decision is not recorded: {detail}");
                ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error.code(), whole)
                    .with_errors([flaw])
            }
            RemoteError::Entropy(error) => ApiError::internal(error),
            RemoteError::Failed(error) => error.into(),
        }
    }
}
