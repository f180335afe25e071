//! PostgreSQL's own statements: one round trip a batch, by compare-and-set on the head row.

use std::str::FromStr;
use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::migrate::{Migration, Migrator};
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection, Postgres, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{
    Appended, Batch, Begin, Identity, KnownId, Scope, StoreError, StoredEvent, correlations,
    evidence, protection, scope, signed, unsigned,
};
use crate::archive::Archives;
use crate::event::{AggregateType, Stream};
use crate::merkle::Hash;
use crate::run::ReservationKey;
use crate::time::Moment;
use crate::words::{Name, RunId, WorkspaceId};

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/postgres");

/// Pools of connections to one PostgreSQL database.
#[derive(Clone, Debug)]
pub struct PgStore {
    /// What reads: for readers one pool, and the writers' own for them.
    pool: PgPool,
    writers: PgPool,
    readers: PgPool,
    turns: Arc<Semaphore>,
    archives: Archives,
}

/// How long the reason why nobody answers is waited for.
const ONCE_MORE: std::time::Duration = std::time::Duration::from_secs(2);
/// For so long a connection that was just used is not asked whether it is still there: that would be
/// a round trip before each statement.
const TRUSTED: std::time::Duration = std::time::Duration::from_millis(50);
/// Connections of a server for readers.
const READERS: u32 = 10;
/// Connections of a server for lanes, followers, marks and leases. No reader takes them: however
/// many read, what is reported is written.
const WRITERS: u32 = 8;
/// Turns that one server holds at a time. Who has a turn needs a second connection to read, so
/// turns must never take all.
const TURNS: usize = WRITERS as usize / 2;

type PgTransaction = Transaction<'static, Postgres>;

/// A transaction that holds the lock of a head row.
#[derive(Debug)]
pub(super) struct PgTurn {
    transaction: PgTransaction,
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
/// What PostgreSQL only remarks (what a migration drops may not be there) is for nobody's log.
const SESSION: &str = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off; \
     SET client_min_messages = warning";

/// The append, see [`super::functions`]: in one round trip without a transaction of its own, because
/// it names its workspace itself.
const APPEND: &str = "SELECT append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
     $14, $15, $16, $17, $18, $19)";
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
const LOAD_STREAMS: &str = "SELECT * FROM events_of_streams($1, $2, $3)";
const LAST_SEQUENCES: &str = "SELECT * FROM last_sequences($1, $2, $3)";
const KNOWN_IDS: &str = "SELECT * FROM events_by_ids($1, $2, $3)";
const RESERVATIONS: &str = "SELECT * FROM held_reservations($1, $2)";
const CREATE_WORKSPACE: &str = "\
WITH made AS (
    INSERT INTO workspaces (workspace_id, name, created_at) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING workspace_id
)
INSERT INTO heads (workspace_id, size, last_recorded_at, frontier)
SELECT workspace_id, 0, 0, ''::bytea FROM made";

/// Looks whether a database holds the tables of this version, and says what to do where it does not.
async fn is_of_this_version(
    connection: &mut PgConnection,
    otherwise: &str,
) -> Result<(), StoreError> {
    let there: bool = sqlx::query_scalar(IS_SET_UP).fetch_one(&mut *connection).await?;
    if !there {
        let nothing = format!("it holds no ledger that this user may read; {otherwise}");
        return Err(StoreError::Unsafe(nothing));
    }
    let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(APPLIED).fetch_all(&mut *connection).await?;
    match not_applied(&MIGRATIONS, &applied) {
        None => Ok(()),
        Some(version) => Err(StoreError::Unsafe(format!(
            "its tables are not those of this version (migration {version:04} is not applied as it is \
             here); {otherwise}"
        ))),
    }
}

/// The first migration that is not applied as it is here.
pub(super) fn not_applied(made: &Migrator, applied: &[(i64, Vec<u8>)]) -> Option<i64> {
    let is_applied = |made: &&Migration| {
        applied.iter().any(|(version, sum)| *version == made.version && *sum == *made.checksum)
    };
    made.iter().find(|made| !is_applied(made)).map(|made| made.version)
}

impl PgStore {
    /// Connects and migrates, where it may.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let store = PgStore::connect(url).await?;
        store.bring_up_to_date().await?;
        Ok(store)
    }

    /// Connects to a ledger as it is: nothing is made, and nothing put right.
    pub(super) async fn open_as_it_is(url: &str) -> Result<Self, StoreError> {
        let store = PgStore::connect(url).await?;
        let mut connection = store.writers.acquire().await?;
        let way = "start a server of this version over it first, run `runledger database setup`, or \
                   use the version of the program that made it";
        is_of_this_version(&mut connection, way).await?;
        drop(connection);
        Ok(store)
    }

    async fn connect(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("runledger")
            .statement_cache_capacity(256);
        let pool = |connections| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(std::time::Duration::from_secs(5))
                .test_before_acquire(false)
                .before_acquire(|connection, known| {
                    Box::pin(async move {
                        if known.idle_for > TRUSTED {
                            connection.ping().await?;
                        }
                        Ok(true)
                    })
                })
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
        let archives = Archives::default();
        Ok(PgStore { pool: readers.clone(), writers, readers, turns, archives })
    }

    /// Migrates, where this is the one user of the database. A service that owns nothing cannot, and
    /// only looks whether the tables are of its version.
    async fn bring_up_to_date(&self) -> Result<(), StoreError> {
        let mut connection = self.writers.acquire().await?;
        if sqlx::query_scalar(OWNS).fetch_one(&mut *connection).await? {
            MIGRATIONS.run(&self.writers).await.map_err(StoreError::Migration)?;
            return protection::protect(&mut connection, last_migration()).await;
        }
        let set_up = "this user may not change them; run `runledger database setup --admin-url URL` as \
                      an administrator";
        is_of_this_version(&mut connection, set_up).await
    }

    pub(super) const fn archives(&self) -> &Archives {
        &self.archives
    }

    pub(super) fn with_archives(self, archives: Archives) -> Self {
        PgStore { archives, ..self }
    }

    /// The pool that reads.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(super) const fn writers(&self) -> &PgPool {
        &self.writers
    }

    /// Begins to read what `scope` shows, on a connection that reads.
    pub(super) async fn begin_reading(&self, scope: Scope) -> Result<PgTransaction, sqlx::Error> {
        scope::begin(&self.pool, Begin::Reading, scope).await
    }

    /// Begins to write in `scope`: what is committed is durable.
    pub(super) async fn begin_writing(&self, scope: Scope) -> Result<PgTransaction, sqlx::Error> {
        scope::begin(&self.writers, Begin::Durable, scope).await
    }

    /// Begins a transaction that sees `scope` and nothing else, on a connection that reads.
    ///
    /// # Errors
    /// When there is no connection to be had.
    pub async fn begin_in(&self, how: Begin, scope: Scope) -> Result<PgTransaction, StoreError> {
        Ok(scope::begin(&self.pool, how, scope).await?)
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
        let mut transaction = self.begin_writing(workspace.into()).await?;
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
                return appended(insert(batch).fetch_one(&self.writers).await?, batch);
            }
            turn => self.begin(batch.workspace, turn).await?,
        };
        let done = appended(insert(batch).fetch_one(&mut *transaction).await?, batch)?;
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
        workspace: WorkspaceId,
        turn: Option<PgTurn>,
    ) -> Result<(PgTransaction, Option<OwnedSemaphorePermit>), sqlx::Error> {
        match turn {
            Some(turn) => Ok((turn.transaction, Some(turn.room))),
            None => Ok((self.begin_writing(workspace.into()).await?, None)),
        }
    }

    pub(super) async fn create_workspace(
        &self,
        id: WorkspaceId,
        name: &Name,
        at: Moment,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin_writing(id.into()).await?;
        let made = sqlx::query(CREATE_WORKSPACE)
            .bind(id.0)
            .bind(name.as_str())
            .bind(at.micros())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
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
) -> sqlx::query::QueryScalar<'q, sqlx::Postgres, i64, sqlx::postgres::PgArguments> {
    let rows = batch.rows;
    let identity = |row: &'q super::NewRow| row.identity.as_ref();
    let source = |identity: &'q Identity| identity.source.as_str();
    let id = |identity: &'q Identity| identity.id.as_str();
    let content = |identity: &'q Identity| &identity.content[..];
    let (keys, runs) = correlations::columns(batch.claimed);
    let (levels, places, hashes) = evidence::columns(batch.tiles);
    sqlx::query_scalar(APPEND)
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
        .bind(rows.iter().map(|row| identity(row).map(content)).collect::<Vec<_>>())
        .bind(keys)
        .bind(runs)
        .bind(levels)
        .bind(places)
        .bind(hashes)
}

fn appended(rows: i64, batch: &Batch<'_>) -> Result<Appended, StoreError> {
    match rows {
        0 => Ok(Appended::HeadMoved),
        rows if rows == signed(batch.rows.len() as u64) => Ok(Appended::Done),
        rows => Err(StoreError::Corrupt(format!(
            "an append of {} events added {rows} rows",
            batch.rows.len()
        ))),
    }
}

pub(super) fn known_id(
    row: (String, String, i64, Vec<u8>, i16, Uuid),
) -> Result<KnownId, StoreError> {
    let (source, id, position, content, kind, aggregate) = row;
    let content: Hash = super::hash(&content)?;
    let run = (kind == AggregateType::Run.number()).then_some(RunId(aggregate));
    Ok(KnownId { source, id, position: unsigned(position)?, content, run })
}
