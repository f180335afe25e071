//! Follow-ups (DESIGN section 7): what still needs a person, as things to do with their
//! occurrences.

use std::collections::HashMap;

use runledger_ledger::store::StoreError;
use runledger_ledger::time::Moment;
use runledger_ledger::words;
use runledger_ledger::words::Subject;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::counts::{Counts, count, word};
use super::page::{ListHash, Page, PageRequest};
use super::scan::{Condition, Order, Placed, Scan};
use super::statement::Statement;
use crate::rules::actionability::{Actionability, ItemKey};
use crate::rules::rfc3339;
use crate::rules::standing::{GuidanceText, Standing};
use crate::tables::{RunRow, code};
use crate::view::{Reading, View, ViewError};

words! {
    /// Which of the things to do comes first.
    ItemOrder {
        /// The one with the latest settled run.
        Newest = "newest",
        /// The one whose oldest run that still asks for a person settled first.
        Oldest = "oldest",
    }
}

/// Which things to do a list holds: those for which everything that is given here is true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FollowUpFilter {
    /// Environment; the empty name is the workspace's own runs.
    pub environment: Option<String>,
    /// Operation type, or an alias of one in the catalog in force.
    pub operation: Option<String>,
    /// Family, by the catalog in force.
    pub family: Option<String>,
    /// To be done or to be looked at; nothing is on the list under any other verdict.
    pub actionability: Option<Actionability>,
    /// Which of them comes first; left out, the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<ItemOrder>,
}

/// A thing to do: follow-ups with the same key, seen as often as they occurred.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FollowUpItem {
    /// What it is known by for as long as it is there.
    pub key: ItemKey,
    /// The operation type of its runs.
    pub operation: String,
    /// Their family, by the catalog in force.
    pub family: String,
    /// Their environment; none is the workspace's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// What the latest of them acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// Whether it is to be done or to be looked at.
    pub actionability: Actionability,
    /// Why, of the latest occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a person is told, of the latest occurrence.
    pub guidance: GuidanceText,
    /// When the oldest of its runs that still ask for a person settled.
    #[serde(with = "rfc3339")]
    pub first_settled_at: Moment,
    /// When the latest did.
    #[serde(with = "rfc3339")]
    pub last_settled_at: Moment,
    /// How many runs it is.
    pub occurrences: u64,
    /// The latest of them, the last settled first: at most [`FollowUpItem::LATEST`].
    pub latest: Vec<Standing>,
}

impl FollowUpItem {
    /// Most runs that an item comes with; [`View::occurrences`] lists them all.
    pub const LATEST: usize = 3;
}

/// The oldest things to do of an environment or of all, at most `limit` under each verdict, in the
/// order of [`Counts::follow_ups`].
pub(super) async fn oldest(
    reading: &mut Reading,
    environment: Option<&str>,
    limit: u16,
) -> Result<[Vec<FollowUpItem>; 2], ViewError> {
    let verdicts = Counts::default().follow_ups().map(|(verdict, _)| verdict);
    let mut all = Vec::new();
    for verdict in verdicts {
        let filter = FollowUpFilter {
            environment: environment.map(str::to_owned),
            actionability: Some(verdict),
            sort: Some(ItemOrder::Oldest),
            ..FollowUpFilter::default()
        };
        let list = ListHash::new(reading.model().workspace, "follow-ups", &filter);
        all.extend(rows(reading, &filter, &list, &PageRequest::first(limit)).await?.items);
    }
    let all = items(reading, all).await?;
    let of = |verdict| all.iter().filter(move |item| item.actionability == verdict).cloned();
    Ok(verdicts.map(|verdict| of(verdict).collect()))
}

impl View {
    /// A page of what needs a person, the item with the latest settled run first, of equals the
    /// one with the greater key; or the other way round, by the oldest of its runs. Five statements,
    /// however many items.
    pub async fn follow_ups(
        &self,
        filter: &FollowUpFilter,
        request: &PageRequest,
    ) -> Result<Page<FollowUpItem>, ViewError> {
        request.checked_limit()?;
        let mut reading = self.read().await?;
        let list = ListHash::new(self.workspace(), "follow-ups", filter);
        let Page { items: rows, next, scanned_to } =
            rows(&mut reading, filter, &list, request).await?;
        Ok(Page { items: items(&mut reading, rows).await?, next, scanned_to })
    }

    /// One thing to do; none if no follow-up has this key, or none any more.
    pub async fn follow_up(&self, key: ItemKey) -> Result<Option<FollowUpItem>, ViewError> {
        let mut reading = self.read().await?;
        let mut statement = Statement::select(ITEMS, reading.model());
        statement.push(" AND item_key = ").bind(key.0.to_vec());
        statement.seen("environment", &reading.sight);
        let rows: Vec<ItemRow> = statement.fetch(&mut reading.tx).await?;
        Ok(items(&mut reading, rows).await?.pop())
    }

    /// A page of the runs of a thing to do, the last settled first, of equals the greater id. None
    /// if no follow-up has this key. Four statements.
    pub async fn occurrences(
        &self,
        key: ItemKey,
        request: &PageRequest,
    ) -> Result<Page<Standing>, ViewError> {
        request.checked_limit()?;
        let mut reading = self.read().await?;
        let list = ListHash::new(self.workspace(), "occurrences", &key);
        let scan = Scan {
            select: "SELECT * FROM runs",
            select_place: "SELECT settled_at, run_id FROM runs",
            index: "runs_follow_ups",
            order: Order {
                time: "settled_at",
                pair: "(settled_at, run_id)",
                by: "settled_at DESC, run_id DESC",
                ascending: false,
            },
            driving: vec![
                Condition::literal("follow_up"),
                Condition::with("item_key = ", key.0.to_vec()),
            ],
            residual: Vec::new(),
            since: None,
            until: None,
        };
        let page: Page<Occurrence> = scan.page(&mut reading, &list, request).await?;
        let rows: Vec<RunRow> = page.items.into_iter().map(|occurrence| occurrence.row).collect();
        let items = reading.standings(&rows).await?;
        Ok(Page { items, next: page.next, scanned_to: page.scanned_to })
    }
}

/// Items with the ids of their latest runs. The latest is kept with the item; those before it are
/// the next entries of one index.
const ITEMS: &str = "\
SELECT item_key, actionability, operation, family, environment, subject, occurrences,
       first_settled_at, last_settled_at, latest_run_id,
       (SELECT r.run_id FROM runs AS r
        WHERE r.workspace_id = follow_up_items.workspace_id
          AND r.generation = follow_up_items.generation
          AND r.item_key = follow_up_items.item_key AND r.follow_up
        ORDER BY r.settled_at DESC, r.run_id DESC LIMIT 1 OFFSET 1) AS second_run_id,
       (SELECT r.run_id FROM runs AS r
        WHERE r.workspace_id = follow_up_items.workspace_id
          AND r.generation = follow_up_items.generation
          AND r.item_key = follow_up_items.item_key AND r.follow_up
        ORDER BY r.settled_at DESC, r.run_id DESC LIMIT 1 OFFSET 2) AS third_run_id
FROM follow_up_items";

#[derive(Debug, sqlx::FromRow)]
struct ItemRow {
    item_key: Vec<u8>,
    actionability: i16,
    operation: String,
    family: String,
    environment: String,
    subject: String,
    occurrences: i64,
    first_settled_at: i64,
    last_settled_at: i64,
    latest_run_id: Uuid,
    second_run_id: Option<Uuid>,
    third_run_id: Option<Uuid>,
}

impl ItemRow {
    /// Its latest runs, the last settled first.
    fn latest(&self) -> impl Iterator<Item = Uuid> {
        let latest: [_; FollowUpItem::LATEST] =
            [Some(self.latest_run_id), self.second_run_id, self.third_run_id];
        latest.into_iter().flatten()
    }
}

impl Placed for ItemRow {
    type Id = Vec<u8>;

    fn place(&self) -> (i64, Vec<u8>) {
        (self.last_settled_at, self.item_key.clone())
    }
}

/// The same row in the order of its oldest run.
#[derive(Debug, sqlx::FromRow)]
struct Aged {
    #[sqlx(flatten)]
    row: ItemRow,
}

impl Placed for Aged {
    type Id = Vec<u8>;

    fn place(&self) -> (i64, Vec<u8>) {
        (self.row.first_settled_at, self.row.item_key.clone())
    }
}

/// A run in the list of its item.
#[derive(Debug, sqlx::FromRow)]
struct Occurrence {
    #[sqlx(flatten)]
    row: RunRow,
}

impl Placed for Occurrence {
    type Id = Uuid;

    fn place(&self) -> (i64, Uuid) {
        (self.row.settled_at.unwrap_or_default(), self.row.run_id)
    }
}

const NEWEST: Order = Order {
    time: "last_settled_at",
    pair: "(last_settled_at, item_key)",
    by: "last_settled_at DESC, item_key DESC",
    ascending: false,
};

const OLDEST: Order = Order {
    time: "first_settled_at",
    pair: "(first_settled_at, item_key)",
    by: "first_settled_at, item_key",
    ascending: true,
};

/// A page of rows in the order that is asked for.
async fn rows(
    reading: &mut Reading,
    filter: &FollowUpFilter,
    list: &ListHash,
    request: &PageRequest,
) -> Result<Page<ItemRow>, ViewError> {
    let scan = scan(reading, filter);
    if filter.sort != Some(ItemOrder::Oldest) {
        return scan.page(reading, list, request).await;
    }
    let Page { items, next, scanned_to }: Page<Aged> = scan.page(reading, list, request).await?;
    Ok(Page { items: items.into_iter().map(|aged| aged.row).collect(), next, scanned_to })
}

fn scan(reading: &Reading, filter: &FollowUpFilter) -> Scan {
    let verdict = filter.actionability.map(|verdict| code(Actionability::ALL, &verdict));
    let mut residual = Vec::new();
    if let Some(environment) = filter.environment.as_deref() {
        residual.push(Condition::with("environment = ", environment));
    }
    if let Some(operation) = filter.operation.as_deref() {
        let canonical = reading.checkpoint.catalog.canonical(operation);
        residual.push(Condition::with("operation = ", canonical));
    }
    if let Some(family) = filter.family.as_deref() {
        residual.push(Condition::with("family = ", family));
    }
    let oldest = filter.sort == Some(ItemOrder::Oldest);
    Scan {
        select: ITEMS,
        select_place: match oldest {
            true => "SELECT first_settled_at, item_key FROM follow_up_items",
            false => "SELECT last_settled_at, item_key FROM follow_up_items",
        },
        index: match (verdict, oldest) {
            (Some(_), false) => "follow_up_items_by_verdict",
            (None, false) => "follow_up_items_by_time",
            (Some(_), true) => "follow_up_items_by_verdict_age",
            (None, true) => "follow_up_items_by_age",
        },
        order: if oldest { OLDEST } else { NEWEST },
        driving: verdict
            .map(|code| Condition::with("actionability = ", code))
            .into_iter()
            .collect(),
        residual,
        since: None,
        until: None,
    }
}

/// Items with the standings of their latest runs. Three statements, however many items.
async fn items(reading: &mut Reading, rows: Vec<ItemRow>) -> Result<Vec<FollowUpItem>, ViewError> {
    let ids: Vec<Uuid> = rows.iter().flat_map(ItemRow::latest).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let runs = reading.rows(&ids).await?;
    let standings = reading.standings(&runs).await?;
    let mut standings: HashMap<Uuid, Standing> =
        standings.into_iter().map(|standing| (standing.run_id.0, standing)).collect();
    let items = rows.into_iter().map(|row| {
        let latest: Vec<Standing> = row.latest().filter_map(|id| standings.remove(&id)).collect();
        item(row, latest)
    });
    Ok(items.collect::<Result<_, StoreError>>()?)
}

fn item(row: ItemRow, latest: Vec<Standing>) -> Result<FollowUpItem, StoreError> {
    let corrupt = |what: &str| {
        StoreError::Corrupt(format!("follow-up item {} {what}", hex::encode(&row.item_key)))
    };
    let key = row.item_key.as_slice().try_into().map_err(|_| corrupt("has no proper key"))?;
    let now = &latest.first().ok_or_else(|| corrupt("names a run that is not there"))?.now;
    let subject = Some(row.subject.as_str()).filter(|subject| !subject.is_empty());
    let subject: Option<Subject> =
        subject.map(str::parse).transpose().map_err(|_| corrupt("names a subject that is none"))?;
    Ok(FollowUpItem {
        key: ItemKey(key),
        subject,
        actionability: word(Actionability::ALL, row.actionability)?,
        reason: now.actionability.reason.clone(),
        guidance: now.guidance.clone(),
        first_settled_at: Moment::from_micros(row.first_settled_at),
        last_settled_at: Moment::from_micros(row.last_settled_at),
        occurrences: count(row.occurrences),
        operation: row.operation,
        family: row.family,
        environment: Some(row.environment).filter(|environment| !environment.is_empty()),
        latest,
    })
}
