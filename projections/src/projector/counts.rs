//! Counters and follow-up items: kept by differences, so that no read has to count the history.

use std::collections::{BTreeMap, HashMap};

use runledger_ledger::store::StoreError;
use sqlx::QueryBuilder;

use crate::db::{Keys as _, Rows, Sought, Tx, on_tx};
use crate::fold::End;
use crate::tables::{Model, RunRow};

/// Which count a run is in: environment, operation, family, status, outcome, actionability.
type Kind = (String, String, String, i16, i16, i16);

/// How rows changed since they were last counted.
#[derive(Default)]
pub(super) struct Changes {
    kinds: BTreeMap<Kind, i64>,
    items: BTreeMap<Vec<u8>, ItemChange>,
}

struct ItemChange {
    occurrences: i64,
    /// A run of the item, by which it is described: the last that joined, or else one that left.
    like: RunRow,
}

impl ItemChange {
    fn like(row: &RunRow) -> Self {
        ItemChange { occurrences: 0, like: row.clone() }
    }
}

impl Changes {
    /// Notes that a row was `before` and is `now`. Each change is noted once.
    pub(super) fn note(&mut self, before: Option<&RunRow>, now: &RunRow) {
        if let Some(before) = before {
            *self.kinds.entry(kind(before)).or_default() -= 1;
        }
        *self.kinds.entry(kind(now)).or_default() += 1;
        let same = before.is_some_and(|before| item(before) == item(now));
        if same {
            return;
        }
        for (row, difference) in before.map(|row| (row, -1)).into_iter().chain([(now, 1)]) {
            let Some(key) = row.item_key.clone() else { continue };
            let change = self.items.entry(key).or_insert_with(|| ItemChange::like(row));
            change.occurrences += difference;
            if difference > 0 {
                change.like = row.clone();
            }
        }
    }

    /// Writes the differences; the rows themselves must be written before.
    pub(super) async fn write(self, tx: &mut Tx, model: Model) -> Result<(), StoreError> {
        let kinds: Vec<(Kind, i64)> =
            self.kinds.into_iter().filter(|(_, difference)| *difference != 0).collect();
        write_kinds(tx, model, &kinds).await?;
        let items: Vec<(Vec<u8>, ItemChange)> = self.items.into_iter().collect();
        for piece in tx.pieces(&items) {
            write_items(tx, model, piece).await?;
        }
        Ok(())
    }
}

fn kind(row: &RunRow) -> Kind {
    let RunRow { environment, operation, family, .. } = row;
    let names = (environment.clone(), operation.clone(), family.clone());
    (names.0, names.1, names.2, row.status, row.outcome, row.actionability)
}

/// What of a row its item shows.
fn item(row: &RunRow) -> (&Option<Vec<u8>>, i16, Option<i64>, &str, &str, &str) {
    let RunRow { family, environment, subject, .. } = row;
    (&row.item_key, row.actionability, row.settled_at, family, environment, subject)
}

async fn write_kinds(tx: &mut Tx, model: Model, kinds: &[(Kind, i64)]) -> Result<(), StoreError> {
    const ADD: &str = " ON CONFLICT (workspace_id, generation, environment, operation, family, \
         status, outcome, actionability) DO UPDATE SET runs = run_counts.runs + excluded.runs";
    Rows::of("run_counts", model)
        .with("environment", kinds.iter().map(|(kind, _)| kind.0.as_str()))
        .with("operation", kinds.iter().map(|(kind, _)| kind.1.as_str()))
        .with("family", kinds.iter().map(|(kind, _)| kind.2.as_str()))
        .with("status", kinds.iter().map(|(kind, _)| kind.3))
        .with("outcome", kinds.iter().map(|(kind, _)| kind.4))
        .with("actionability", kinds.iter().map(|(kind, _)| kind.5))
        .with("runs", kinds.iter().map(|(_, difference)| *difference))
        .write(tx, ADD)
        .await
}

/// The oldest and the latest run of each item, and what the latest acted on, follow from the rows
/// of `runs`, whatever the order in which they came.
const REFRESH_ITEMS: &str = "\
UPDATE follow_up_items SET
    first_settled_at = coalesce((SELECT f.settled_at FROM runs AS f
        WHERE f.workspace_id = follow_up_items.workspace_id
          AND f.generation = follow_up_items.generation
          AND f.item_key = follow_up_items.item_key AND f.follow_up
        ORDER BY f.settled_at, f.run_id LIMIT 1), first_settled_at),
    last_settled_at = coalesce((SELECT f.settled_at FROM runs AS f
        WHERE f.workspace_id = follow_up_items.workspace_id
          AND f.generation = follow_up_items.generation
          AND f.item_key = follow_up_items.item_key AND f.follow_up
        ORDER BY f.settled_at DESC, f.run_id DESC LIMIT 1), last_settled_at),
    subject = coalesce((SELECT f.subject FROM runs AS f
        WHERE f.workspace_id = follow_up_items.workspace_id
          AND f.generation = follow_up_items.generation
          AND f.item_key = follow_up_items.item_key AND f.follow_up
        ORDER BY f.settled_at DESC, f.run_id DESC LIMIT 1), subject),
    latest_run_id = coalesce((SELECT f.run_id FROM runs AS f
        WHERE f.workspace_id = follow_up_items.workspace_id
          AND f.generation = follow_up_items.generation
          AND f.item_key = follow_up_items.item_key AND f.follow_up
        ORDER BY f.settled_at DESC, f.run_id DESC LIMIT 1), latest_run_id)";
const UPSERT_ITEM: &str = " ON CONFLICT (workspace_id, generation, item_key) DO UPDATE SET \
     actionability = excluded.actionability, operation = excluded.operation, \
     family = excluded.family, environment = excluded.environment, subject = excluded.subject, \
     occurrences = follow_up_items.occurrences + excluded.occurrences";

async fn write_items(
    tx: &mut Tx,
    model: Model,
    items: &[(Vec<u8>, ItemChange)],
) -> Result<(), StoreError> {
    let keys: Vec<Vec<u8>> = items.iter().map(|(key, _)| key.clone()).collect();
    let before = item_kinds(tx, model, &keys).await?;
    let settled_at = |change: &ItemChange| change.like.settled_at.unwrap_or_default();
    Rows::of("follow_up_items", model)
        .with("item_key", items.iter().map(|(key, _)| key.as_slice()))
        .with("actionability", items.iter().map(|(_, item)| item.like.actionability))
        .with("operation", items.iter().map(|(_, item)| item.like.operation.as_str()))
        .with("family", items.iter().map(|(_, item)| item.like.family.as_str()))
        .with("environment", items.iter().map(|(_, item)| item.like.environment.as_str()))
        .with("subject", items.iter().map(|(_, item)| item.like.subject.as_str()))
        .with("occurrences", items.iter().map(|(_, item)| item.occurrences))
        .with("first_settled_at", items.iter().map(|(_, item)| settled_at(item)))
        .with("last_settled_at", items.iter().map(|(_, item)| settled_at(item)))
        .with("latest_run_id", items.iter().map(|(_, item)| item.like.run_id))
        .write(tx, UPSERT_ITEM)
        .await?;
    on_tx!(&mut *tx, |connection| {
        let mut query = QueryBuilder::<Db>::new("DELETE FROM follow_up_items");
        let gone = Sought { only: " AND occurrences <= 0", ..items_of(model) };
        Db::push_where(&mut query, gone, &keys, |_| {});
        query.build().execute(&mut *connection).await?;
        let mut query = QueryBuilder::<Db>::new(REFRESH_ITEMS);
        Db::push_where(&mut query, items_of(model), &keys, |_| {});
        query.build().execute(connection).await?;
    });
    let after = item_kinds(tx, model, &keys).await?;
    write_item_counts(tx, model, &before, &after).await
}

const fn items_of(model: Model) -> Sought {
    Sought { table: "follow_up_items", column: "item_key", model, only: "" }
}

/// Environment and actionability of each item that there is.
async fn item_kinds(
    tx: &mut Tx,
    model: Model,
    keys: &[Vec<u8>],
) -> Result<Vec<(String, i16)>, StoreError> {
    Ok(on_tx!(tx, |connection| {
        let mut query =
            QueryBuilder::<Db>::new("SELECT environment, actionability FROM follow_up_items");
        Db::push_where(&mut query, items_of(model), keys, |_| {});
        query.build_query_as().fetch_all(connection).await?
    }))
}

async fn write_item_counts(
    tx: &mut Tx,
    model: Model,
    before: &[(String, i16)],
    after: &[(String, i16)],
) -> Result<(), StoreError> {
    let mut differences: HashMap<&(String, i16), i64> = HashMap::new();
    for kind in before {
        *differences.entry(kind).or_default() -= 1;
    }
    for kind in after {
        *differences.entry(kind).or_default() += 1;
    }
    let differences: Vec<(&(String, i16), i64)> =
        differences.into_iter().filter(|(_, difference)| *difference != 0).collect();
    const ADD: &str = " ON CONFLICT (workspace_id, generation, environment, actionability) \
         DO UPDATE SET items = item_counts.items + excluded.items";
    Rows::of("item_counts", model)
        .with("environment", differences.iter().map(|(kind, _)| kind.0.as_str()))
        .with("actionability", differences.iter().map(|(kind, _)| kind.1))
        .with("items", differences.iter().map(|(_, difference)| *difference))
        .write(tx, ADD)
        .await
}

/// How many of the last outcomes of an operation are kept.
const OUTCOMES: usize = 10;

/// Keeps the last outcomes of each operation in each environment, the oldest first.
pub(super) async fn write_outcomes(
    tx: &mut Tx,
    model: Model,
    ends: &BTreeMap<(String, String), Vec<End>>,
) -> Result<(), StoreError> {
    const KEEP: &str = " ON CONFLICT (workspace_id, generation, operation, environment) \
         DO UPDATE SET recent = excluded.recent";
    let mut operations: Vec<String> = ends.keys().map(|(operation, _)| operation.clone()).collect();
    operations.dedup();
    let mut known: HashMap<(String, String), String> = HashMap::new();
    for piece in tx.pieces(&operations) {
        let found: Vec<(String, String, String)> = on_tx!(&mut *tx, |connection| {
            let mut query = QueryBuilder::<Db>::new(
                "SELECT operation, environment, recent FROM operation_outcomes",
            );
            let (table, column) = ("operation_outcomes", "operation");
            let sought = Sought { table, column, model, only: "" };
            Db::push_where(&mut query, sought, piece, |_| {});
            query.build_query_as().fetch_all(connection).await?
        });
        known.extend(
            found
                .into_iter()
                .map(|(operation, environment, recent)| ((operation, environment), recent)),
        );
    }
    let mut kept = Vec::with_capacity(ends.len());
    for (key, ends) in ends {
        let before = known.get(key).map_or("[]", String::as_str);
        let mut recent: Vec<End> = serde_json::from_str(before).unwrap_or_default();
        recent.extend(ends);
        let first = recent.len().saturating_sub(OUTCOMES);
        let recent = serde_json::to_string(&recent[first..])
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        kept.push((key, recent));
    }
    Rows::of("operation_outcomes", model)
        .with("operation", kept.iter().map(|((operation, _), _)| operation.as_str()))
        .with("environment", kept.iter().map(|((_, environment), _)| environment.as_str()))
        .with("recent", kept.iter().map(|(_, recent)| recent.as_str()))
        .write(tx, KEEP)
        .await
}
