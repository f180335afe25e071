//! Counters and follow-up items: kept by differences, so that no read has to count the history.

use std::collections::{BTreeMap, HashMap};

use runledger_ledger::store::StoreError;
use sqlx::QueryBuilder;

use crate::db::{Tx, on_tx, pieces, push_list};
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
        for piece in pieces(&items) {
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
    for piece in pieces(kinds) {
        on_tx!(&mut *tx, |connection| {
            let mut query = QueryBuilder::<Db>::new(
                "INSERT INTO run_counts (workspace_id, generation, environment, operation, family, \
                 status, outcome, actionability, runs) ",
            );
            query.push_values(piece, |mut values, (kind, difference)| {
                values
                    .push_bind(model.workspace.0)
                    .push_bind(model.generation)
                    .push_bind(kind.0.clone())
                    .push_bind(kind.1.clone())
                    .push_bind(kind.2.clone())
                    .push_bind(kind.3)
                    .push_bind(kind.4)
                    .push_bind(kind.5)
                    .push_bind(*difference);
            });
            query.push(
                " ON CONFLICT (workspace_id, generation, environment, operation, family, status, \
                 outcome, actionability) DO UPDATE SET runs = run_counts.runs + excluded.runs",
            );
            query.build().execute(connection).await?;
        });
    }
    Ok(())
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
        ORDER BY f.settled_at DESC, f.run_id DESC LIMIT 1), latest_run_id)
WHERE workspace_id = ";
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
    on_tx!(&mut *tx, |connection| {
        let mut query = QueryBuilder::<Db>::new(
            "INSERT INTO follow_up_items (workspace_id, generation, item_key, actionability, \
             operation, family, environment, subject, occurrences, first_settled_at, \
             last_settled_at, latest_run_id) ",
        );
        query.push_values(items, |mut values, (key, ItemChange { occurrences, like })| {
            let settled_at = like.settled_at.unwrap_or_default();
            values
                .push_bind(model.workspace.0)
                .push_bind(model.generation)
                .push_bind(key.clone())
                .push_bind(like.actionability)
                .push_bind(like.operation.clone())
                .push_bind(like.family.clone())
                .push_bind(like.environment.clone())
                .push_bind(like.subject.clone())
                .push_bind(*occurrences)
                .push_bind(settled_at)
                .push_bind(settled_at)
                .push_bind(like.run_id);
        });
        query.push(UPSERT_ITEM);
        query.build().execute(connection).await?;
    });
    on_tx!(&mut *tx, |connection| {
        let mut query =
            QueryBuilder::<Db>::new("DELETE FROM follow_up_items WHERE workspace_id = ");
        query.push_bind(model.workspace.0).push(" AND generation = ").push_bind(model.generation);
        query.push(" AND occurrences <= 0 AND item_key IN ");
        push_list!(query, &keys);
        query.build().execute(&mut *connection).await?;
        let mut query = QueryBuilder::<Db>::new(REFRESH_ITEMS);
        query.push_bind(model.workspace.0).push(" AND generation = ").push_bind(model.generation);
        query.push(" AND item_key IN ");
        push_list!(query, &keys);
        query.build().execute(connection).await?;
    });
    let after = item_kinds(tx, model, &keys).await?;
    write_item_counts(tx, model, &before, &after).await
}

/// Environment and actionability of each item that there is.
async fn item_kinds(
    tx: &mut Tx,
    model: Model,
    keys: &[Vec<u8>],
) -> Result<Vec<(String, i16)>, StoreError> {
    Ok(on_tx!(tx, |connection| {
        let mut query = QueryBuilder::<Db>::new(
            "SELECT environment, actionability FROM follow_up_items WHERE workspace_id = ",
        );
        query.push_bind(model.workspace.0).push(" AND generation = ").push_bind(model.generation);
        query.push(" AND item_key IN ");
        push_list!(query, keys);
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
    for piece in pieces(&differences) {
        on_tx!(&mut *tx, |connection| {
            let mut query = QueryBuilder::<Db>::new(
                "INSERT INTO item_counts (workspace_id, generation, environment, actionability, \
                 items) ",
            );
            query.push_values(piece, |mut values, (kind, difference)| {
                values
                    .push_bind(model.workspace.0)
                    .push_bind(model.generation)
                    .push_bind(kind.0.clone())
                    .push_bind(kind.1)
                    .push_bind(*difference);
            });
            query.push(
                " ON CONFLICT (workspace_id, generation, environment, actionability) \
                 DO UPDATE SET items = item_counts.items + excluded.items",
            );
            query.build().execute(connection).await?;
        });
    }
    Ok(())
}

/// How many of the last outcomes of an operation are kept.
const OUTCOMES: usize = 10;

/// Keeps the last outcomes of each operation in each environment, the oldest first.
pub(super) async fn write_outcomes(
    tx: &mut Tx,
    model: Model,
    ends: &BTreeMap<(String, String), Vec<End>>,
) -> Result<(), StoreError> {
    const KNOWN: &str = "SELECT recent FROM operation_outcomes WHERE workspace_id = $1 \
         AND generation = $2 AND operation = $3 AND environment = $4";
    const KEEP: &str = "INSERT INTO operation_outcomes (workspace_id, generation, operation, \
         environment, recent) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (workspace_id, generation, operation, environment) \
         DO UPDATE SET recent = excluded.recent";
    on_tx!(tx, |connection| {
        for ((operation, environment), ends) in ends {
            let known: Option<(String,)> = sqlx::query_as(KNOWN)
                .bind(model.workspace.0)
                .bind(model.generation)
                .bind(operation.as_str())
                .bind(environment.as_str())
                .fetch_optional(&mut *connection)
                .await?;
            let known = known.map_or_else(|| "[]".to_owned(), |(recent,)| recent);
            let mut recent: Vec<End> = serde_json::from_str(&known).unwrap_or_default();
            recent.extend(ends);
            let first = recent.len().saturating_sub(OUTCOMES);
            let recent = serde_json::to_string(&recent[first..])
                .map_err(|error| StoreError::Corrupt(error.to_string()))?;
            sqlx::query(KEEP)
                .bind(model.workspace.0)
                .bind(model.generation)
                .bind(operation.as_str())
                .bind(environment.as_str())
                .bind(recent)
                .execute(&mut *connection)
                .await?;
        }
    });
    Ok(())
}
