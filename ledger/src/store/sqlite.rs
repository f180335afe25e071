//! SQLite's own statements: one writer, a pool of readers, many rows a statement.

pub(super) mod wal;

use std::path::Path;
use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteError, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, Transaction};
use uuid::Uuid;

use super::{
    Appended, Batch, KnownId, NewRow, StoreError, StoredEvent, correlations, evidence, pieces,
    postgres::not_applied, signed, trust, trust::sqlite::Schema, unsigned,
};
use crate::archive::Archives;
use crate::event::{AggregateType, Stream};
use crate::run::ReservationKey;
use crate::time::Moment;
use crate::words::{Name, RunId, WorkspaceId};

pub(super) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/sqlite");

/// Most rows a statement: sqlx sends single rows slowly, and long statements are slow to prepare.
const ROWS_PER_STATEMENT: usize = 64;
/// Most ids a statement.
const IDS_PER_STATEMENT: usize = 512;
/// How a durable transaction begins. Read models are written without waiting for the disk, on the
/// same connection (see [`SqliteStore::begin_relaxed`]), so what must be durable says so.
const BEGIN_DURABLE: &str = "PRAGMA synchronous = FULL; BEGIN IMMEDIATE";
const BEGIN_RELAXED: &str = "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE";
const BEGIN_SCRATCH: &str = "BEGIN IMMEDIATE";

/// Memory for pages of each connection, in KiB and with a minus sign, as SQLite wants it.
const CACHE: &str = "-16000";

/// A writer and readers of one SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Reads for lanes and followers, which no reader takes.
    writers_readers: SqlitePool,
    durable: bool,
    /// Looks after the write-ahead log of a file.
    keeper: Option<wal::Keeper>,
    path: Option<Arc<Path>>,
    archives: Archives,
}

const ADVANCE_HEAD: &str = "UPDATE heads SET size = $3, last_recorded_at = $4, frontier = $5 \
     WHERE workspace_id = $1 AND size = $2";
const TAKE_RESERVATION: &str = "INSERT INTO reservations (workspace_id, key, run_id) \
     VALUES ($1, $2, $3) ON CONFLICT (workspace_id, key) DO UPDATE SET run_id = excluded.run_id";
const FREE_RESERVATION: &str = "DELETE FROM reservations WHERE workspace_id = $1 AND key = $2";
const CREATE_WORKSPACE: &str = "INSERT INTO workspaces (workspace_id, name, created_at) \
     VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations WHERE success";
const CREATE_HEAD: &str = "INSERT INTO heads (workspace_id, size, last_recorded_at, frontier) \
     VALUES ($1, 0, 0, x'')";

impl SqliteStore {
    /// Opens the file (or memory), with the settings that make a commit durable where it must be,
    /// and migrates.
    pub async fn open(path: Option<&Path>, durable: bool) -> Result<Self, StoreError> {
        let migrate =
            async |writer: &SqlitePool| MIGRATIONS.run(writer).await.map_err(StoreError::Migration);
        SqliteStore::opened(path, durable, migrate).await
    }

    /// Opens a ledger's file as it is: nothing is made, and nothing put right.
    pub(super) async fn open_as_it_is(path: &Path) -> Result<Self, StoreError> {
        let look = async |writer: &SqlitePool| {
            let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(APPLIED).fetch_all(writer).await?;
            match not_applied(&MIGRATIONS, &applied) {
                None => Ok(()),
                Some(version) => Err(StoreError::Unsafe(format!(
                    "its tables are not those of this version (migration {version:04} is not applied \
                     as it is here); start a server of this version over it first, or use the version \
                     of the program that made it"
                ))),
            }
        };
        SqliteStore::opened(Some(path), true, look).await
    }

    async fn opened(
        path: Option<&Path>,
        durable: bool,
        prepare: impl AsyncFnOnce(&SqlitePool) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        if let Some(path) = path {
            make_private(path);
        }
        let options = match path {
            Some(path) => SqliteConnectOptions::new().filename(path).create_if_missing(true),
            None => SqliteConnectOptions::new().in_memory(true),
        };
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(if durable { SqliteSynchronous::Full } else { SqliteSynchronous::Off })
            .foreign_keys(true)
            .statement_cache_capacity(256)
            .pragma("cache_size", CACHE)
            .pragma("wal_autocheckpoint", if durable { wal::AT_LAST } else { wal::BY_ITSELF })
            .busy_timeout(std::time::Duration::from_secs(5));
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await?;
        prepare(&writer).await?;
        // Memory belongs to one connection: there the writer reads as well.
        let (readers, writers_readers) = match path {
            None => (writer.clone(), writer.clone()),
            Some(_) => {
                let options = options.clone().read_only(true).create_if_missing(false);
                let pool = |connections| SqlitePoolOptions::new().max_connections(connections);
                let readers = pool(4).connect_with(options.clone()).await?;
                (readers, pool(2).connect_lazy_with(options))
            }
        };
        // What is made to be lost waits for no disk, and is gone before anybody could look after it.
        let keeper = path.filter(|_| durable).map(|_| wal::Keeper::start(options, writer.clone()));
        let path = path.map(Arc::from);
        let archives = Archives::default();
        Ok(SqliteStore { writer, readers, writers_readers, durable, keeper, path, archives })
    }

    /// Whether what is committed must survive: a ledger, and nothing that is made to be lost.
    pub(super) const fn is_durable(&self) -> bool {
        self.durable
    }

    pub(super) const fn archives(&self) -> &Archives {
        &self.archives
    }

    pub(super) fn with_archives(self, archives: Archives) -> Self {
        SqliteStore { archives, ..self }
    }

    /// The file, if it is one.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The triggers that the migrations make, and the tables of the log with their indexes.
    pub(super) async fn made_schema() -> Result<Schema, StoreError> {
        let memory = SqliteConnectOptions::new().in_memory(true);
        let made = SqlitePoolOptions::new().max_connections(1).connect_with(memory).await?;
        MIGRATIONS.run(&made).await.map_err(StoreError::Migration)?;
        let schema = trust::sqlite::schema(&made).await?;
        made.close().await;
        Ok(schema)
    }

    /// The one connection that writes.
    pub const fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    pub(super) fn writing(&self) -> Self {
        SqliteStore { readers: self.writers_readers.clone(), ..self.clone() }
    }

    pub(super) async fn close(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.close().await;
        }
        self.readers.close().await;
        self.writers_readers.close().await;
        self.writer.close().await;
    }

    pub(super) async fn begin_durable(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.begin(if self.durable { BEGIN_DURABLE } else { BEGIN_SCRATCH }).await
    }

    /// Begins to write what can be derived again. It is committed in order with all else, but
    /// nobody waits for the disk: a crash loses the last such transactions at most, each whole.
    pub async fn begin_relaxed(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.begin(if self.durable { BEGIN_RELAXED } else { BEGIN_SCRATCH }).await?)
    }

    async fn begin(&self, how: &'static str) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        if let Some(keeper) = &self.keeper {
            keeper.note();
        }
        self.writer.begin_with(how).await
    }

    /// The connections that read.
    pub const fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    pub(super) async fn append(&self, batch: &Batch<'_>) -> Result<Appended, StoreError> {
        let mut transaction = self.begin_durable().await?;
        let advanced = sqlx::query(ADVANCE_HEAD)
            .bind(batch.workspace.0)
            .bind(signed(batch.expected_size))
            .bind(signed(batch.head.size()))
            .bind(batch.head.last_recorded_at.micros())
            .bind(batch.head.frontier.to_bytes())
            .execute(&mut *transaction)
            .await?;
        if advanced.rows_affected() == 0 {
            return Ok(Appended::HeadMoved);
        }
        let mut position = batch.expected_size;
        for rows in pieces(batch.rows, ROWS_PER_STATEMENT) {
            insert(&mut transaction, batch, position, rows).await?;
            position += rows.len() as u64;
        }
        evidence::on_sqlite(&mut transaction, batch.workspace, batch.tiles).await?;
        let (claimed, dropped) = (batch.claimed, batch.dropped);
        correlations::write_on_sqlite(&mut transaction, batch.workspace, claimed, dropped).await?;
        for (key, run) in batch.taken {
            sqlx::query(TAKE_RESERVATION)
                .bind(batch.workspace.0)
                .bind(&key.0[..])
                .bind(run.0)
                .execute(&mut *transaction)
                .await?;
        }
        for key in batch.freed {
            sqlx::query(FREE_RESERVATION)
                .bind(batch.workspace.0)
                .bind(&key.0[..])
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(Appended::Done)
    }

    pub(super) async fn create_workspace(
        &self,
        id: WorkspaceId,
        name: &Name,
        at: Moment,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin_durable().await?;
        let made = sqlx::query(CREATE_WORKSPACE)
            .bind(id.0)
            .bind(name.as_str())
            .bind(at.micros())
            .execute(&mut *transaction)
            .await?;
        if made.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(CREATE_HEAD).bind(id.0).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(true)
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
            for ids in pieces(&ids, IDS_PER_STATEMENT) {
                let mut query = QueryBuilder::<Sqlite>::new(
                    "SELECT position, body, leaf_hash, recorded_at FROM events WHERE workspace_id = ",
                );
                query.push_bind(workspace.0).push(" AND aggregate_type = ");
                query.push_bind(kind.number()).push(" AND aggregate_id IN (");
                let mut list = query.separated(", ");
                for id in ids {
                    list.push_bind(*id);
                }
                query.push(") ORDER BY aggregate_id, sequence");
                let found: Vec<StoredEvent> =
                    query.build_query_as().fetch_all(&self.readers).await?;
                events.extend(found);
            }
        }
        Ok(events)
    }

    pub(super) async fn last_sequences(
        &self,
        workspace: WorkspaceId,
        streams: &[Stream],
    ) -> Result<Vec<(Stream, u64)>, StoreError> {
        let mut counts = Vec::with_capacity(streams.len());
        for streams in pieces(streams, IDS_PER_STATEMENT) {
            let mut query = QueryBuilder::<Sqlite>::new("WITH asked (kind, id) AS (");
            query.push_values(streams, |mut values, stream| {
                values.push_bind(stream.kind.number()).push_bind(stream.id);
            });
            query
                .push(") SELECT kind, id, (SELECT max(sequence) FROM events WHERE workspace_id = ");
            query.push_bind(workspace.0);
            query.push(" AND aggregate_type = kind AND aggregate_id = id) FROM asked");
            let rows: Vec<(i16, Uuid, Option<i64>)> =
                query.build_query_as().fetch_all(&self.readers).await?;
            for row in rows {
                counts.push(super::counted(row)?);
            }
        }
        Ok(counts)
    }

    pub(super) async fn known_ids(
        &self,
        workspace: WorkspaceId,
        ids: &[(Name, Name)],
    ) -> Result<Vec<KnownId>, StoreError> {
        let mut known = Vec::new();
        for ids in pieces(ids, IDS_PER_STATEMENT) {
            let mut query =
                QueryBuilder::<Sqlite>::new("WITH asked (source, event_id) AS (VALUES ");
            let mut list = query.separated(", ");
            for (source, id) in ids {
                list.push("(").push_bind_unseparated(source.as_str());
                list.push_unseparated(", ").push_bind_unseparated(id.as_str());
                list.push_unseparated(")");
            }
            query.push(
                ") SELECT event.source, event.event_id, position, content_hash, aggregate_type, \
                 aggregate_id FROM asked CROSS JOIN events AS event \
                 ON event.source = asked.source AND event.event_id = asked.event_id \
                 AND event.event_id IS NOT NULL AND event.workspace_id = ",
            );
            query.push_bind(workspace.0);
            let rows: Vec<(String, String, i64, Vec<u8>, i16, Uuid)> =
                query.build_query_as().fetch_all(&self.readers).await?;
            for (source, id, position, content, kind, aggregate) in rows {
                known.push(KnownId {
                    source,
                    id,
                    position: unsigned(position)?,
                    content: super::hash(&content)?,
                    run: (kind == AggregateType::Run.number()).then_some(RunId(aggregate)),
                });
            }
        }
        Ok(known)
    }

    pub(super) async fn reservations(
        &self,
        workspace: WorkspaceId,
        keys: &[ReservationKey],
    ) -> Result<Vec<(ReservationKey, RunId)>, StoreError> {
        let mut found = Vec::new();
        for keys in pieces(keys, IDS_PER_STATEMENT) {
            let mut query = QueryBuilder::<Sqlite>::new(
                "SELECT key, run_id FROM reservations WHERE workspace_id = ",
            );
            query.push_bind(workspace.0).push(" AND key IN (");
            let mut list = query.separated(", ");
            for key in keys {
                list.push_bind(&key.0[..]);
            }
            query.push(")");
            let rows: Vec<(Vec<u8>, Uuid)> =
                query.build_query_as().fetch_all(&self.readers).await?;
            for (key, run) in rows {
                found.push((ReservationKey(super::hash(&key)?), RunId(run)));
            }
        }
        Ok(found)
    }
}

/// Makes the file, if it is not there, so that only its owner can read it. SQLite gives the files
/// beside it the same rights. Why a file cannot be made, SQLite says better.
fn make_private(path: &Path) {
    let mut file = std::fs::OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    drop(file.open(path));
}

/// Whether the same statement may succeed later: busy, locked, out of memory, full, I/O error.
pub(super) fn is_passing(error: &dyn DatabaseError) -> bool {
    matches!(result_code(error).map(|code| code & 0xff), Some(5 | 6 | 7 | 10 | 13))
}

/// Whether a trigger refused it. Of what the appender does, one can: the place of an event is
/// taken.
pub(super) fn is_taken(error: &dyn DatabaseError) -> bool {
    const SQLITE_CONSTRAINT_TRIGGER: u32 = 1811;
    result_code(error) == Some(SQLITE_CONSTRAINT_TRIGGER)
}

/// The extended result code.
fn result_code(error: &dyn DatabaseError) -> Option<u32> {
    error.try_downcast_ref::<SqliteError>()?.code()?.parse().ok()
}

async fn insert(
    connection: &mut SqliteConnection,
    batch: &Batch<'_>,
    first_position: u64,
    rows: &[NewRow],
) -> Result<(), StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO events (workspace_id, position, aggregate_type, aggregate_id, sequence, \
         event_type, recorded_at, body, leaf_hash, source, event_id, content_hash) ",
    );
    query.push_values(rows.iter().zip(first_position..), |mut values, (row, position)| {
        let identity = row.identity.as_ref();
        values
            .push_bind(batch.workspace.0)
            .push_bind(signed(position))
            .push_bind(row.stream.kind.number())
            .push_bind(row.stream.id)
            .push_bind(signed(row.sequence))
            .push_bind(row.event_type.number())
            .push_bind(batch.head.last_recorded_at.micros())
            .push_bind(&row.body[..])
            .push_bind(&row.leaf_hash[..])
            .push_bind(identity.map(|identity| identity.source.as_str()))
            .push_bind(identity.map(|identity| identity.id.as_str()))
            .push_bind(identity.map(|identity| &identity.content[..]));
    });
    query.build().execute(connection).await?;
    Ok(())
}
