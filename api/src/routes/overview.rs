//! A workspace at a glance: its counts, environments, queues and operations.

use runledger_projections::{EnvironmentStanding, OperationStanding, Overview, QueueStanding};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::extract::Nothing;
use crate::problem::{ApiResult, Problems};
use crate::question::{Answer, Items, NameOrNone, Question, When};
use crate::schema::answers::{EnvironmentsShape, OperationsShape, OverviewShape, QueuesShape};

/// Which part of a workspace.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PartQuery {
    /// One environment; the empty text is the workspace's own runs. Left out, all of them.
    #[param(value_type = Option<String>)]
    environment: Option<NameOrNone>,
}

impl PartQuery {
    fn environment(&self) -> Option<&str> {
        self.environment.as_ref().map(|name| name.0.as_str())
    }
}

/// How many runs and things to do there are.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/overview",
    tag = "overview",
    params(("workspace" = String, Path, description = "The name of the workspace."), PartQuery, When),
    responses((status = 200, description = "The counts.", body = OverviewShape), Problems)
)]
pub async fn overview(question: Question<PartQuery>) -> ApiResult<Answer<Overview>> {
    let overview = question.view.overview(question.asked.environment()).await?;
    Ok(question.dated_answer(overview))
}

/// Every environment in which something ran, with its counts.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/environments",
    tag = "overview",
    params(("workspace" = String, Path, description = "The name of the workspace."), When),
    responses((status = 200, description = "By name.", body = EnvironmentsShape), Problems)
)]
pub async fn environments(
    question: Question<Nothing>,
) -> ApiResult<Answer<Items<EnvironmentStanding>>> {
    let items = question.view.environments().await?;
    Ok(question.answer(Items { items }))
}

/// Every queue that a run or a worker has named, and whether anything picks up what waits in it.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/queues",
    tag = "queues",
    params(("workspace" = String, Path, description = "The name of the workspace."), When),
    responses(
        (status = 200, description = "By connection and name.", body = QueuesShape),
        Problems,
    )
)]
pub async fn queues(question: Question<Nothing>) -> ApiResult<Answer<Items<QueueStanding>>> {
    let items = question.view.queues().await?;
    Ok(question.answer(Items { items }))
}

/// Every operation type, with its policy and how its runs went.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/operations",
    tag = "overview",
    params(("workspace" = String, Path, description = "The name of the workspace."), PartQuery, When),
    responses(
        (status = 200, description = "Those of the catalog, then others by name.",
            body = OperationsShape),
        Problems,
    )
)]
pub async fn operations(
    question: Question<PartQuery>,
) -> ApiResult<Answer<Items<OperationStanding>>> {
    let items = question.view.operations(question.asked.environment()).await?;
    Ok(question.answer(Items { items }))
}
