//! PostgreSQL's own statements: one round trip a batch, by compare-and-set on the head row.

use std::str::FromStr;
use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::migrate::Migration;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection, Postgres, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{
    Appended, Batch, Identity, KnownId, StoreError, StoredEvent, correlations, evidence,
    protection, signed, unsigned,
};
use crate::event::{AggregateType, Stream};
use crate::merkle::Hash;
use crate::run::ReservationKey;
use crate::time::Moment;
use crate::words::{Name, RunId, WorkspaceId};

pub(super) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/postgres");

/// Pools of connections to one PostgreSQL database.
#[derive(Clone, Debug)]
pub struct PgStore {
    /// What reads: for readers one pool, and the writers' own for them.
    pool: PgPool,
    writers: PgPool,
    readers: PgPool,
    turns: Arc<Semaphore>,
}

/// How long the reason why nobody answers is waited for.
const ONCE_MORE: std::time::Duration = std::time::Duration::from_secs(2);
/// Connections of a server for readers.
const READERS: u32 = 10;
/// Connections of a server for lanes, followers, marks and leases. No reader takes them: however
/// many read, what is reported is written.
const WRITERS: u32 = 8;
/// Turns that one server holds at a time. Who has a turn needs a second connection to read, so
/// turns must never take all.
const TURNS: usize = WRITERS as usize / 2;

/// A transaction that holds the lock of a head row.
#[derive(Debug)]
pub(super) struct PgTurn {
    transaction: Transaction<'static, Postgres>,
    room: OwnedSemaphorePermit,
}

/// The version of the last migration.
pub(super) fn last_migration() -> i64 {
    MIGRATIONS.iter().map(|made| made.version).max().unwrap_or_default()
}

/// Whether whoever connects owns the ledger's tables, or may make them where there are none.
const OWNS: &str = "SELECT coalesce(pg_has_role(c.relowner, 'USAGE'), \
     coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)) \
     FROM (VALUES (1)) AS one LEFT JOIN pg_class AS c ON c.oid = to_regclass('_sqlx_migrations')";
const IS_SET_UP: &str = "SELECT coalesce(has_table_privilege(to_regclass('_sqlx_migrations'), \
     'SELECT'), false)";
const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations WHERE success";

/// Every statement of ours is answered from an index, in its order, and the statements are planned
/// while the tables are small or not counted yet: a plan that reads a whole table, or sorts a whole
/// log for a page of it, would be kept when they have long grown. And none runs for so long that
/// compiling it would pay.
const SESSION: &str = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off";

/// Advances the head if it still has the expected size, and only then adds the rows, and whatever
/// `$claims` adds beside them: the whole batch in one statement, without a lock across round trips.
macro_rules! append {
    ($claims:literal, $tiles:literal) => {
        concat!(
            "\
WITH head AS (
    UPDATE heads SET size = $3, last_recorded_at = $4, frontier = $5
    WHERE workspace_id = $1 AND size = $2 RETURNING 1
)",
            $claims,
            $tiles,
            "
INSERT INTO events (workspace_id, position, aggregate_type, aggregate_id, sequence, event_type,
                    recorded_at, body, leaf_hash, source, event_id, content_hash)
SELECT $1, $2 + row.place - 1, row.aggregate_type, row.aggregate_id, row.sequence, row.event_type,
       $4, row.body, row.leaf_hash, row.source, row.event_id, row.content_hash
FROM head, UNNEST($6::smallint[], $7::uuid[], $8::bigint[], $9::smallint[], $10::bytea[],
                  $11::bytea[], $12::text[], $13::text[], $14::bytea[])
     WITH ORDINALITY AS row (aggregate_type, aggregate_id, sequence, event_type, body, leaf_hash,
                             source, event_id, content_hash, place)"
        )
    };
}
const APPEND: &str = append!("", "");
/// With claims of external ids. Only who uses them pays for them.
const APPEND_CLAIMING: &str = append!(
    ", claims AS (
    INSERT INTO correlations (workspace_id, key, run_id)
    SELECT $1, claim.key, claim.run_id
    FROM head, UNNEST($15::bytea[], $16::uuid[]) AS claim (key, run_id)
    ON CONFLICT DO NOTHING
)",
    ""
);
/// With hashes of tiles that the rows complete, and with claims, which may be none: one append in
/// many, so one statement more is enough.
const APPEND_COMPLETING: &str = append!(
    ", claims AS (
    INSERT INTO correlations (workspace_id, key, run_id)
    SELECT $1, claim.key, claim.run_id
    FROM head, UNNEST($15::bytea[], $16::uuid[]) AS claim (key, run_id)
    ON CONFLICT DO NOTHING
)",
    ", tiles AS (
    INSERT INTO tile_hashes (workspace_id, level, place, hash)
    SELECT $1, tile.level, tile.place, tile.hash
    FROM head, UNNEST($17::smallint[], $18::bigint[], $19::bytea[]) AS tile (level, place, hash)
    ON CONFLICT DO NOTHING
)"
);
// A server that is cut off in its turn must not keep the others waiting: the database ends the
// turn of one that says nothing for ten seconds.
const TAKE_TURN: &str = "\
SELECT set_config('idle_in_transaction_session_timeout', '10000', true) FROM heads
WHERE workspace_id = $1 FOR UPDATE";
const TAKE_RESERVATIONS: &str = "\
INSERT INTO reservations (workspace_id, key, run_id)
SELECT $1, key, run_id FROM UNNEST($2::bytea[], $3::uuid[]) AS taken (key, run_id)
ON CONFLICT (workspace_id, key) DO UPDATE SET run_id = excluded.run_id";
const FREE_RESERVATIONS: &str =
    "DELETE FROM reservations WHERE workspace_id = $1 AND key = ANY($2)";
// Each stream and each id is looked up by itself. Every index begins with the workspace, and a
// planner that has not counted the rows, or not those of a new workspace, would take one index for
// as good as the other, and compare each event of the workspace with each key.
const LOAD_STREAMS: &str = "\
SELECT event.position, event.body, event.leaf_hash, event.recorded_at
FROM UNNEST($3::uuid[]) AS asked (id), LATERAL (
    SELECT position, body, leaf_hash, recorded_at, sequence FROM events
    WHERE workspace_id = $1 AND aggregate_type = $2 AND aggregate_id = asked.id
    ORDER BY sequence OFFSET 0
) AS event
ORDER BY asked.id, event.sequence";
const LAST_SEQUENCES: &str = "\
SELECT kind, id, (SELECT max(sequence) FROM events
                  WHERE workspace_id = $1 AND aggregate_type = kind AND aggregate_id = id)
FROM UNNEST($2::smallint[], $3::uuid[]) AS asked (kind, id)";
const KNOWN_IDS: &str = "\
SELECT event.source, event.event_id, position, content_hash, aggregate_type, aggregate_id
FROM UNNEST($2::text[], $3::text[]) AS asked (source, event_id), LATERAL (
    SELECT * FROM events
    WHERE workspace_id = $1 AND source = asked.source AND event_id = asked.event_id
      AND event_id IS NOT NULL
    OFFSET 0
) AS event";
const RESERVATIONS: &str =
    "SELECT key, run_id FROM reservations WHERE workspace_id = $1 AND key = ANY($2)";
const CREATE_WORKSPACE: &str = "\
WITH made AS (
    INSERT INTO workspaces (workspace_id, name, created_at) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING workspace_id
)
INSERT INTO heads (workspace_id, size, last_recorded_at, frontier)
SELECT workspace_id, 0, 0, ''::bytea FROM made";

impl PgStore {
    /// Connects and migrates, where it may.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("runledger")
            .statement_cache_capacity(256);
        let pool = |connections| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(std::time::Duration::from_secs(5))
                .after_connect(|connection, _| {
                    Box::pin(async move { connection.execute(SESSION).await.map(drop) })
                })
        };
        let writers = match pool(WRITERS).connect_with(options.clone()).await {
            // The pool tries again and again, and forgets why: ask once more, for the reason.
            Err(sqlx::Error::PoolTimedOut) => {
                let again = PgConnection::connect_with(&options);
                return Err(match tokio::time::timeout(ONCE_MORE, again).await {
                    Ok(Err(reason)) => reason.into(),
                    _ => StoreError::Unavailable(sqlx::Error::PoolTimedOut),
                });
            }
            writers => writers?,
        };
        let readers = pool(READERS).connect_lazy_with(options);
        let turns = Arc::new(Semaphore::new(TURNS));
        let store = PgStore { pool: readers.clone(), writers, readers, turns };
        store.bring_up_to_date().await?;
        Ok(store)
    }

    /// Migrates, where this is the one user of the database. A service that owns nothing cannot, and
    /// only looks whether the tables are of its version.
    async fn bring_up_to_date(&self) -> Result<(), StoreError> {
        let mut connection = self.writers.acquire().await?;
        if sqlx::query_scalar(OWNS).fetch_one(&mut *connection).await? {
            MIGRATIONS.run(&self.writers).await.map_err(StoreError::Migration)?;
            return protection::protect(&mut connection, last_migration()).await;
        }
        let set_up = "run `runledger database setup --admin-url URL` as an administrator";
        let there: bool = sqlx::query_scalar(IS_SET_UP).fetch_one(&mut *connection).await?;
        if !there {
            let nothing = format!(
                "it holds no ledger that this user may read, and may not be made \
                 one by it; {set_up}"
            );
            return Err(StoreError::Unsafe(nothing));
        }
        let applied: Vec<(i64, Vec<u8>)> =
            sqlx::query_as(APPLIED).fetch_all(&mut *connection).await?;
        let is_applied = |made: &Migration| {
            applied.iter().any(|(version, sum)| *version == made.version && *sum == *made.checksum)
        };
        match MIGRATIONS.iter().find(|made| !is_applied(made)) {
            None => Ok(()),
            Some(made) => Err(StoreError::Unsafe(format!(
                "its tables are not those of this version (migration {:04} is not applied as it is \
                 here), and this user may not change them; {set_up}",
                made.version
            ))),
        }
    }

    /// The pool that reads.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(super) const fn writers(&self) -> &PgPool {
        &self.writers
    }

    pub(super) fn writing(&self) -> Self {
        PgStore { pool: self.writers.clone(), ..self.clone() }
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }

    pub(super) async fn take_turn(&self, workspace: WorkspaceId) -> Result<PgTurn, StoreError> {
        let room = Arc::clone(&self.turns).acquire_owned().await;
        let room = room.map_err(|_| StoreError::Unavailable(sqlx::Error::PoolClosed))?;
        let mut transaction = self.writers.begin().await?;
        sqlx::query(TAKE_TURN).bind(workspace.0).execute(&mut *transaction).await?;
        Ok(PgTurn { transaction, room })
    }

    pub(super) async fn append(
        &self,
        batch: &Batch<'_>,
        turn: Option<PgTurn>,
    ) -> Result<Appended, StoreError> {
        let (mut transaction, _room) = match turn {
            None if batch.taken.is_empty()
                && batch.freed.is_empty()
                && batch.dropped.is_empty() =>
            {
                let rows = insert(batch).execute(&self.writers).await?.rows_affected();
                return appended(rows, batch);
            }
            turn => self.begin(turn).await?,
        };
        let rows = insert(batch).execute(&mut *transaction).await?.rows_affected();
        let done = appended(rows, batch)?;
        if done == Appended::HeadMoved {
            return Ok(done);
        }
        if !batch.taken.is_empty() {
            let (keys, runs): (Vec<&[u8]>, Vec<Uuid>) =
                batch.taken.iter().map(|(key, run)| (&key.0[..], run.0)).unzip();
            sqlx::query(TAKE_RESERVATIONS)
                .bind(batch.workspace.0)
                .bind(keys)
                .bind(runs)
                .execute(&mut *transaction)
                .await?;
        }
        if !batch.freed.is_empty() {
            let freed: Vec<&[u8]> = batch.freed.iter().map(|key| &key.0[..]).collect();
            sqlx::query(FREE_RESERVATIONS)
                .bind(batch.workspace.0)
                .bind(freed)
                .execute(&mut *transaction)
                .await?;
        }
        if !batch.dropped.is_empty() {
            correlations::drop_on_postgres(&mut transaction, batch.workspace, batch.dropped)
                .await?;
        }
        transaction.commit().await?;
        Ok(done)
    }

    /// The transaction of a turn, or another one, and what must be kept for as long as it lasts.
    pub(super) async fn begin(
        &self,
        turn: Option<PgTurn>,
    ) -> Result<(Transaction<'static, Postgres>, Option<OwnedSemaphorePermit>), sqlx::Error> {
        match turn {
            Some(turn) => Ok((turn.transaction, Some(turn.room))),
            None => Ok((self.writers.begin().await?, None)),
        }
    }

    pub(super) async fn create_workspace(
        &self,
        id: WorkspaceId,
        name: &Name,
        at: Moment,
    ) -> Result<bool, StoreError> {
        let made = sqlx::query(CREATE_WORKSPACE)
            .bind(id.0)
            .bind(name.as_str())
            .bind(at.micros())
            .execute(&self.writers)
            .await?;
        Ok(made.rows_affected() > 0)
    }

    pub(super) async fn load_streams(
        &self,
        workspace: WorkspaceId,
        streams: &[Stream],
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut events = Vec::new();
        for kind in AggregateType::ALL {
            let ids: Vec<Uuid> =
                streams.iter().filter(|stream| stream.kind == *kind).map(|s| s.id).collect();
            if ids.is_empty() {
                continue;
            }
            let found: Vec<StoredEvent> = sqlx::query_as(LOAD_STREAMS)
                .bind(workspace.0)
                .bind(kind.number())
                .bind(ids)
                .fetch_all(&self.pool)
                .await?;
            events.extend(found);
        }
        Ok(events)
    }

    pub(super) async fn last_sequences(
        &self,
        workspace: WorkspaceId,
        streams: &[Stream],
    ) -> Result<Vec<(Stream, u64)>, StoreError> {
        let (kinds, ids): (Vec<i16>, Vec<Uuid>) =
            streams.iter().map(|stream| (stream.kind.number(), stream.id)).unzip();
        let rows: Vec<(i16, Uuid, Option<i64>)> = sqlx::query_as(LAST_SEQUENCES)
            .bind(workspace.0)
            .bind(kinds)
            .bind(ids)
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(super::counted).collect()
    }

    pub(super) async fn known_ids(
        &self,
        workspace: WorkspaceId,
        ids: &[(Name, Name)],
    ) -> Result<Vec<KnownId>, StoreError> {
        let (sources, ids): (Vec<&str>, Vec<&str>) =
            ids.iter().map(|(source, id)| (source.as_str(), id.as_str())).unzip();
        let rows: Vec<(String, String, i64, Vec<u8>, i16, Uuid)> = sqlx::query_as(KNOWN_IDS)
            .bind(workspace.0)
            .bind(sources)
            .bind(ids)
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(known_id).collect()
    }

    pub(super) async fn reservations(
        &self,
        workspace: WorkspaceId,
        keys: &[ReservationKey],
    ) -> Result<Vec<(ReservationKey, RunId)>, StoreError> {
        let keys: Vec<&[u8]> = keys.iter().map(|key| &key.0[..]).collect();
        let rows: Vec<(Vec<u8>, Uuid)> =
            sqlx::query_as(RESERVATIONS).bind(workspace.0).bind(keys).fetch_all(&self.pool).await?;
        rows.into_iter()
            .map(|(key, run)| Ok((ReservationKey(super::hash(&key)?), RunId(run))))
            .collect()
    }
}

/// Whether the same statement may succeed later. Of a lost connection, the pool tells.
pub(super) fn is_passing(error: &dyn DatabaseError) -> bool {
    let Some(error) = error.try_downcast_ref::<PgDatabaseError>() else { return false };
    // Classes: connection, no resources (memory, disk, connections), operator (shutdown).
    let class = matches!(error.code().get(..2), Some("08" | "53" | "57"));
    // Serialization failure, deadlock, lock not available, a demoted primary, a transaction that
    // the server ended, an I/O error.
    class || matches!(error.code(), "40001" | "40P01" | "55P03" | "25006" | "25P03" | "58030")
}

fn insert<'q>(
    batch: &'q Batch<'_>,
) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
    let rows = batch.rows;
    let identity = |row: &'q super::NewRow| row.identity.as_ref();
    let source = |identity: &'q Identity| identity.source.as_str();
    let id = |identity: &'q Identity| identity.id.as_str();
    let content = |identity: &'q Identity| &identity.content[..];
    let (claiming, completing) = (!batch.claimed.is_empty(), !batch.tiles.is_empty());
    let statement = match (claiming, completing) {
        (_, true) => APPEND_COMPLETING,
        (true, false) => APPEND_CLAIMING,
        (false, false) => APPEND,
    };
    let query = sqlx::query(statement)
        .bind(batch.workspace.0)
        .bind(signed(batch.expected_size))
        .bind(signed(batch.head.size()))
        .bind(batch.head.last_recorded_at.micros())
        .bind(batch.head.frontier.to_bytes())
        .bind(rows.iter().map(|row| row.stream.kind.number()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.stream.id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| signed(row.sequence)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.event_type.number()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| &row.body[..]).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| &row.leaf_hash[..]).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| identity(row).map(source)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| identity(row).map(id)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| identity(row).map(content)).collect::<Vec<_>>());
    if !claiming && !completing {
        return query;
    }
    let (keys, runs) = correlations::columns(batch.claimed);
    let query = query.bind(keys).bind(runs);
    if !completing {
        return query;
    }
    let (levels, places, hashes) = evidence::columns(batch.tiles);
    query.bind(levels).bind(places).bind(hashes)
}

fn appended(rows: u64, batch: &Batch<'_>) -> Result<Appended, StoreError> {
    match rows {
        0 => Ok(Appended::HeadMoved),
        rows if rows == batch.rows.len() as u64 => Ok(Appended::Done),
        rows => Err(StoreError::Corrupt(format!(
            "an append of {} events added {rows} rows",
            batch.rows.len()
        ))),
    }
}

fn known_id(row: (String, String, i64, Vec<u8>, i16, Uuid)) -> Result<KnownId, StoreError> {
    let (source, id, position, content, kind, aggregate) = row;
    let content: Hash = super::hash(&content)?;
    let run = (kind == AggregateType::Run.number()).then_some(RunId(aggregate));
    Ok(KnownId { source, id, position: unsigned(position)?, content, run })
}
