//! Which run another system's id names.

use axum::extract::State;
use runledger_ledger::correlation::{Correlation, Named};
use runledger_ledger::run::ExternalId;
use runledger_ledger::submission::Refusal;
use runledger_ledger::words::Name;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::access::Access;
use crate::app::App;
use crate::extract::{Query, Workspace};
use crate::problem::{ApiError, ApiResult, Problems};

/// The id, and the scope in which it is asked about.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CorrelationQuery {
    /// The system whose id it is.
    #[param(value_type = String)]
    source: Name,
    /// What kind of id it is: `job`, `run`, `delivery`.
    #[param(value_type = String)]
    kind: Name,
    /// The id itself.
    #[param(value_type = String)]
    id: Name,
    /// The environment; left out, the workspace itself, and not any environment.
    #[param(value_type = Option<String>)]
    environment: Option<Name>,
}

/// The run that an external id names.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Correlation)]
pub struct Correlated {
    /// The run.
    run_id: Uuid,
    /// The environment of both; left out if they belong to the workspace itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    environment: Option<Name>,
    /// The system whose id it is.
    #[schema(value_type = String)]
    source: Name,
    /// What kind of id it is.
    #[schema(value_type = String)]
    kind: Name,
    /// The id itself.
    #[schema(value_type = String)]
    id: Name,
}

/// The run that another system's id names.
///
/// It is answered from what is recorded, so an event is never ahead of it. An id that several runs
/// of the scope are known by names none of them (`ambiguous_external_id`); one that is not known in
/// this scope is answered alike, whether or not it is known in another one.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/correlations",
    tag = "runs",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        CorrelationQuery,
    ),
    responses((status = 200, description = "Exactly one run.", body = Correlated), Problems)
)]
pub async fn correlate(
    State(app): State<App>,
    access: Access,
    Workspace(workspace): Workspace,
    Query(CorrelationQuery { source, kind, id, environment }): Query<CorrelationQuery>,
) -> ApiResult<axum::Json<Correlated>> {
    let correlation = Correlation { environment, id: ExternalId { id, kind, source } };
    // What is out of sight is not looked for: it is as unknown as what is not there.
    let named = match access.sees(correlation.environment.as_ref()) {
        true => app.ledger().store().named(workspace, &correlation).await?,
        false => Named::Nothing,
    };
    let refusal = match named {
        Named::Run(run) => {
            let Correlation { environment, id: ExternalId { id, kind, source } } = correlation;
            return Ok(axum::Json(Correlated { run_id: run.0, environment, source, kind, id }));
        }
        Named::Nothing => {
            let detail = format!("no run is known here by {correlation}");
            return Err(ApiError::not_found("unknown_run", detail));
        }
        Named::Ambiguous => Refusal::AmbiguousExternalId(correlation),
    };
    Err(ApiError::not_found(refusal.code(), refusal.to_string()))
}
