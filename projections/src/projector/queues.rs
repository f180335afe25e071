//! Workers, the queues that they name, and what was seen of each queue.

use std::collections::{BTreeMap, HashMap};

use runledger_ledger::store::{StoreError, pieces};
use runledger_ledger::time::Moment;
use runledger_ledger::words::Name;
use runledger_ledger::worker::WorkerKey;
use sqlx::QueryBuilder;

use crate::db::{ROWS, Rows, Tx, on_tx};
use crate::fold::{QueueKey, QueueNow, WorkerNow};
use crate::rules::blind::BlindTime;
use crate::rules::queue::lease_until;
use crate::tables::Model;

/// How many waits of a queue are kept: those of its last starts.
const WAITS: usize = 100;

const UPSERT_WORKER: &str = " ON CONFLICT (workspace_id, generation, connection, worker) \
     DO UPDATE SET queues = excluded.queues, seen_at = excluded.seen_at, \
     lease_seconds = excluded.lease_seconds, lease_until = excluded.lease_until, \
     stopped = excluded.stopped";
const UPSERT_QUEUE: &str = " ON CONFLICT (workspace_id, generation, connection, queue) \
     DO UPDATE SET ever_named = excluded.ever_named, last_start = excluded.last_start, \
     waits = excluded.waits";

/// Writes each worker's last report, and which queues it names now.
pub(super) async fn write_workers(
    tx: &mut Tx,
    model: Model,
    workers: &BTreeMap<WorkerKey, WorkerNow>,
) -> Result<(), StoreError> {
    let workers: Vec<(&WorkerKey, &WorkerNow)> = workers.iter().collect();
    for piece in pieces(&workers, ROWS) {
        on_tx!(&mut *tx, |connection| {
            let mut query =
                QueryBuilder::<Db>::new("DELETE FROM worker_queues WHERE workspace_id = ");
            query.push_bind(model.workspace.0).push(" AND generation = ");
            query.push_bind(model.generation).push(" AND (connection, worker) IN (VALUES ");
            let mut list = query.separated(", ");
            for (key, _) in piece {
                list.push("(").push_bind_unseparated(connection_of(key));
                list.push_unseparated(", ").push_bind_unseparated(key.worker.to_string());
                list.push_unseparated(")");
            }
            query.push(")");
            query.build().execute(&mut *connection).await?;
            let mut query = QueryBuilder::<Db>::new(
                "INSERT INTO workers (workspace_id, generation, connection, worker, queues, \
                 seen_at, lease_seconds, lease_until, stopped) ",
            );
            query.push_values(piece, |mut values, (key, now)| {
                let queues: Vec<&str> = now.queues.iter().map(Name::as_str).collect();
                values
                    .push_bind(model.workspace.0)
                    .push_bind(model.generation)
                    .push_bind(connection_of(key))
                    .push_bind(key.worker.to_string())
                    .push_bind(serde_json::Value::from(queues).to_string())
                    .push_bind(now.seen_at.micros())
                    .push_bind(i64::from(now.lease_seconds))
                    .push_bind(now.lease_until.micros())
                    .push_bind(now.stopped);
            });
            query.push(UPSERT_WORKER);
            query.build().execute(connection).await?;
        });
    }
    let named: Vec<(&WorkerKey, &Name, Moment)> = workers
        .iter()
        .flat_map(|(key, now)| now.queues.iter().map(|queue| (*key, queue, now.lease_until)))
        .collect();
    for piece in pieces(&named, ROWS) {
        on_tx!(&mut *tx, |connection| {
            let mut query = QueryBuilder::<Db>::new(
                "INSERT INTO worker_queues (workspace_id, generation, connection, queue, worker, \
                 lease_until) ",
            );
            query.push_values(piece, |mut values, (key, queue, lease_until)| {
                values
                    .push_bind(model.workspace.0)
                    .push_bind(model.generation)
                    .push_bind(connection_of(key))
                    .push_bind(queue.to_string())
                    .push_bind(key.worker.to_string())
                    .push_bind(lease_until.micros());
            });
            query.build().execute(connection).await?;
        });
    }
    Ok(())
}

fn connection_of(key: &WorkerKey) -> String {
    key.connection.as_ref().map_or_else(String::new, Name::to_string)
}

/// Adds what a page says of each queue to what is known of it.
pub(super) async fn write_queues(
    tx: &mut Tx,
    model: Model,
    queues: &BTreeMap<QueueKey, QueueNow>,
) -> Result<(), StoreError> {
    let queues: Vec<(&QueueKey, &QueueNow)> = queues.iter().collect();
    for piece in pieces(&queues, ROWS) {
        type Row = (String, String, bool, Option<i64>, String);
        let known: Vec<Row> = on_tx!(&mut *tx, |connection| {
            let mut query = QueryBuilder::<Db>::new(
                "SELECT connection, queue, ever_named, last_start, waits FROM queues \
                 WHERE workspace_id = ",
            );
            query.push_bind(model.workspace.0).push(" AND generation = ");
            query.push_bind(model.generation).push(" AND (connection, queue) IN (VALUES ");
            let mut list = query.separated(", ");
            for ((connection, queue), _) in piece {
                list.push("(").push_bind_unseparated(connection.clone());
                list.push_unseparated(", ").push_bind_unseparated(queue.clone());
                list.push_unseparated(")");
            }
            query.push(")");
            query.build_query_as().fetch_all(connection).await?
        });
        let known: HashMap<QueueKey, (bool, Option<i64>, String)> = known
            .into_iter()
            .map(|(connection, queue, named, last, waits)| {
                ((connection, queue), (named, last, waits))
            })
            .collect();
        on_tx!(&mut *tx, |connection| {
            let mut query = QueryBuilder::<Db>::new(
                "INSERT INTO queues (workspace_id, generation, connection, queue, ever_named, \
                 last_start, waits) ",
            );
            query.push_values(piece, |mut values, (key, now)| {
                let (named, last_start, waits) = match known.get(*key) {
                    Some((named, last, waits)) => (*named, *last, last_waits(waits, &now.waits)),
                    None => (false, None, last_waits("[]", &now.waits)),
                };
                values
                    .push_bind(model.workspace.0)
                    .push_bind(model.generation)
                    .push_bind(key.0.clone())
                    .push_bind(key.1.clone())
                    .push_bind(named || now.named_by_worker)
                    .push_bind(last_start.max(now.last_start.map(Moment::micros)))
                    .push_bind(waits);
            });
            query.push(UPSERT_QUEUE);
            query.build().execute(connection).await?;
        });
    }
    Ok(())
}

fn last_waits(known: &str, new: &[i64]) -> String {
    let mut waits: Vec<i64> = serde_json::from_str(known).unwrap_or_default();
    waits.extend(new);
    let first = waits.len().saturating_sub(WAITS);
    serde_json::Value::from(&waits[first..]).to_string()
}

/// Lengthens the leases that ran when the ledger became blind at `since`.
pub(super) async fn extend_leases(
    tx: &mut Tx,
    model: Model,
    since: Moment,
    blind: &BlindTime,
) -> Result<(), StoreError> {
    const RUNNING: &str = "SELECT connection, worker, queues, seen_at, lease_seconds FROM workers \
         WHERE workspace_id = $1 AND generation = $2 AND lease_until >= $3 AND NOT stopped";
    const EXTEND: &str = " ON CONFLICT (workspace_id, generation, connection, worker) \
         DO UPDATE SET lease_until = excluded.lease_until";
    const EXTEND_QUEUES: &str = " ON CONFLICT (workspace_id, generation, connection, queue, worker) \
         DO UPDATE SET lease_until = excluded.lease_until";
    let running: Vec<(String, String, String, i64, i64)> = on_tx!(&mut *tx, |db| {
        sqlx::query_as(RUNNING)
            .bind(model.workspace.0)
            .bind(model.generation)
            .bind(since.micros())
            .fetch_all(db)
            .await?
    });
    let until = |(_, _, _, seen_at, lease_seconds): &(String, String, String, i64, i64)| {
        let lease = u32::try_from(*lease_seconds).unwrap_or_default();
        lease_until(Moment::from_micros(*seen_at), lease, blind).micros()
    };
    Rows::of("workers", model)
        .with("connection", running.iter().map(|row| row.0.as_str()))
        .with("worker", running.iter().map(|row| row.1.as_str()))
        .with("queues", running.iter().map(|row| row.2.as_str()))
        .with("seen_at", running.iter().map(|row| row.3))
        .with("lease_seconds", running.iter().map(|row| row.4))
        .with("lease_until", running.iter().map(until))
        .with("stopped", running.iter().map(|_| false))
        .write(tx, EXTEND)
        .await?;
    let mut named = Vec::new();
    for row in &running {
        let queues: Vec<String> = serde_json::from_str(&row.2).map_err(|error| {
            StoreError::Corrupt(format!("the queues of worker {} cannot be read: {error}", row.1))
        })?;
        named.extend(queues.into_iter().map(|queue| (row, queue)));
    }
    Rows::of("worker_queues", model)
        .with("connection", named.iter().map(|(row, _)| row.0.as_str()))
        .with("queue", named.iter().map(|(_, queue)| queue.as_str()))
        .with("worker", named.iter().map(|(row, _)| row.1.as_str()))
        .with("lease_until", named.iter().map(|(row, _)| until(row)))
        .write(tx, EXTEND_QUEUES)
        .await
}
