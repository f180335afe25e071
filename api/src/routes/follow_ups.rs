//! Follow-ups: what still needs a person, as things to do with their occurrences.

use runledger_ledger::words::Name;
use runledger_projections::rules::actionability::{Actionability, ItemKey};
use runledger_projections::rules::standing::Standing;
use runledger_projections::{FollowUpFilter, FollowUpItem, ItemOrder, Page};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::extract::Path;
use crate::problem::{ApiError, ApiResult, Problems};
use crate::question::{self, Answer, NameOrNone, PageLimit, Question, When};
use crate::routes::runs::actionability;
use crate::schema;
use crate::schema::answers::{FollowUpsShape, OccurrencesShape};

/// Which things to do: those for which everything that is given is true.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FollowUpQuery {
    /// Environment; the empty text is the workspace's own runs.
    #[param(value_type = Option<String>)]
    environment: Option<NameOrNone>,
    /// Operation type, or an alias of one in the catalog in force.
    #[param(value_type = Option<String>)]
    operation: Option<Name>,
    /// Family, by the catalog in force.
    #[param(value_type = Option<String>)]
    family: Option<Name>,
    /// To be done or to be looked at; nothing is on the list under any other verdict.
    #[param(schema_with = actionability)]
    actionability: Option<Actionability>,
    /// Which comes first: the one with the latest settled run (`newest`), or the one whose oldest run
    /// that still asks for a person settled first (`oldest`).
    #[param(schema_with = sort)]
    sort: Option<ItemOrder>,
    /// At most so many.
    #[param(value_type = Option<u16>, default = 50, minimum = 1, maximum = 500)]
    limit: Option<PageLimit>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// The thing to do that the path names.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ItemPath {
    item: ItemKey,
}

/// Which runs of a thing to do.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OccurrenceQuery {
    /// At most so many.
    #[param(value_type = Option<u16>, default = 50, minimum = 1, maximum = 500)]
    limit: Option<PageLimit>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// A thing to do, with a page of its runs.
#[derive(Debug, Serialize)]
pub struct Occurrences {
    item: FollowUpItem,
    #[serde(flatten)]
    runs: Page<Standing>,
}

/// What still needs a person, the item with the latest settled run first unless `sort` says otherwise.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/follow-ups",
    tag = "follow-ups",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        FollowUpQuery,
        When,
    ),
    responses((status = 200, description = "A page of the list.", body = FollowUpsShape), Problems)
)]
pub async fn list_follow_ups(
    question: Question<FollowUpQuery>,
) -> ApiResult<Answer<Page<FollowUpItem>>> {
    let asked = question.asked.clone();
    let filter = FollowUpFilter {
        environment: asked.environment.map(|name| name.0),
        operation: asked.operation.map(|name| name.to_string()),
        family: asked.family.map(|name| name.to_string()),
        actionability: asked.actionability,
        sort: asked.sort,
    };
    let page = question::page(asked.limit, asked.cursor);
    let items = question.view.follow_ups(&filter, &page).await?;
    Ok(question.answer(items))
}

/// A thing to do, and all of its runs that still need a person, the last settled first.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/follow-ups/{item}",
    tag = "follow-ups",
    params(
        ("workspace" = String, Path, description = "The name of the workspace."),
        ("item" = String, Path, description = "The `key` of the thing to do."),
        OccurrenceQuery,
        When,
    ),
    responses((status = 200, description = "A page of its runs.", body = OccurrencesShape), Problems)
)]
pub async fn read_follow_up(
    Path(ItemPath { item: key }): Path<ItemPath>,
    question: Question<OccurrenceQuery>,
) -> ApiResult<Answer<Occurrences>> {
    let OccurrenceQuery { limit, cursor } = question.asked.clone();
    let page = question::page(limit, cursor);
    let item = question.view.follow_up(key).await?.ok_or_else(|| {
        let detail = format!("no follow-up {key} is known here, or it needs nobody any more");
        ApiError::not_found("unknown_follow_up", detail)
    })?;
    let runs = question.view.occurrences(key, &page).await?;
    Ok(question.answer(Occurrences { item, runs }))
}

type Schema = utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>;

fn sort() -> Schema {
    schema::word!(ItemOrder)
}
