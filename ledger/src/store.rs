//! Where the log lies: SQLite, embedded, or PostgreSQL. Both keep the same tables under the same
//! numbers of migrations and pass the same suite.
//!
//! Statements that both databases take are written once, here; where speed or dialect needs its
//! own, the two stand under the same name in `store/postgres.rs` and `store/sqlite.rs`. The rules
//! know nothing of all this.

mod error;
mod functions;
mod needs;
mod pieces;
mod postgres;
pub mod protection;
mod scope;
mod scratch;
mod setup;
mod sqlite;
pub mod trust;
mod url;
mod values;

use runledger_proof::tile::TileHash;
use sqlx::{PgPool, SqlitePool};
use uuid::Uuid;

use crate::event::Stream;
use crate::fact::EventType;
use crate::merkle::{Frontier, Hash};
use crate::run::ReservationKey;
use crate::time::Moment;
use crate::words::{Name, RunId, WorkspaceId};

pub use access::{Grant, Member, NewToken, Principal, SecretHash, TokenHolder, TokenRow};
pub use archive::{Kept, Whereabouts};
pub use audit::LogRow;
pub use correlations::Claim;
pub use erasure::Bodies;
pub use error::StoreError;
pub use evidence::SignedCheckpoint;
pub use integrity::Integrity;
pub(crate) use needs::Needs;
pub use people::{Credential, Person};
pub use pieces::pieces;
pub use postgres::PgStore;
pub use scope::{Begin, Scope};
pub use scratch::{Scratch, ScratchError};
pub use sessions::{Proof, WebSession};
pub use setup::{SetUp, SetUpError, set_up};
pub use sqlite::SqliteStore;
pub use url::StoreUrl;
use values::{counted, hash};
pub(crate) use values::{signed, unsigned};

/// A database that holds logs and read models. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Store {
    /// Production: several servers over one database.
    Postgres(PgStore),
    /// The embedded default: one file, one server.
    Sqlite(SqliteStore),
}

/// The end of a log: where the next event goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The right edge of the tree; its size is the next position.
    pub frontier: Frontier,
    /// The `recorded_at` of the last event; zero of an empty log.
    pub last_recorded_at: Moment,
}

impl Head {
    /// How many events the log holds.
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }
}

/// One event as it goes into the log.
#[derive(Clone, Debug)]
pub struct NewRow {
    /// Its stream.
    pub stream: Stream,
    /// Its place in that stream, from 1.
    pub sequence: u64,
    /// Its type.
    pub event_type: EventType,
    /// Its canonical bytes.
    pub body: Vec<u8>,
    /// Their leaf hash.
    pub leaf_hash: Hash,
    /// The id by which a repeated report is known.
    pub identity: Option<Identity>,
}

/// What a report is known by when it comes again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Who reported.
    pub source: Name,
    /// The id that the source gave it.
    pub id: Name,
    /// What it said.
    pub content: Hash,
}

/// Events that go into one log together or not at all.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Whose log it is.
    pub workspace: WorkspaceId,
    /// The size that the log must have.
    pub expected_size: u64,
    /// The head that it has afterwards.
    pub head: &'a Head,
    /// The events, in order, from position `expected_size`.
    pub rows: &'a [NewRow],
    /// The hashes of tiles that they complete.
    pub tiles: &'a [TileHash],
    /// Keys that a run holds from now on.
    pub taken: &'a [(ReservationKey, RunId)],
    /// Keys that nobody holds any more.
    pub freed: &'a [ReservationKey],
    /// External ids that runs claim from now on.
    pub claimed: &'a [Claim],
    /// Those that they do not claim any more.
    pub dropped: &'a [Claim],
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is durable.
    Done,
    /// The log has another size: somebody else wrote. Nothing was recorded.
    HeadMoved,
}

/// The right to be the next to append to one log. It is used by [`Store::append`], or given back
/// by dropping it.
#[derive(Debug)]
pub struct Turn(Option<postgres::PgTurn>);

/// One event as it lies in the log.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct StoredEvent {
    /// Its place in the log.
    #[sqlx(try_from = "i64")]
    pub position: u64,
    /// Its canonical bytes.
    pub body: Vec<u8>,
    /// Their leaf hash, as stored.
    pub leaf_hash: Vec<u8>,
    /// When it was recorded, in microseconds.
    pub recorded_at: i64,
}

/// An event that a source's id is remembered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownId {
    /// The source that reported it.
    pub source: String,
    /// Its id.
    pub id: String,
    /// Its place in the log.
    pub position: u64,
    /// What it said.
    pub content: Hash,
    /// The run it is of, if it is of one.
    pub run: Option<RunId>,
}

impl Store {
    /// Connects, and brings the tables up to date where this user may. Whether the database can be
    /// trusted with a ledger, [`Store::trust`] tells.
    pub async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        match url {
            StoreUrl::Postgres(url) => PgStore::open(url).await.map(Store::Postgres),
            StoreUrl::SqliteFile(path) => {
                SqliteStore::open(Some(path), true).await.map(Store::Sqlite)
            }
            StoreUrl::SqliteScratch(path) => {
                SqliteStore::open(Some(path), false).await.map(Store::Sqlite)
            }
            StoreUrl::SqliteMemory => SqliteStore::open(None, false).await.map(Store::Sqlite),
        }
    }

    /// Opens a ledger as it is, to look at it: it is not brought to this version, and nothing that is
    /// missing is made. What is made to be lost cannot be opened so.
    ///
    /// # Errors
    /// [`StoreError::Unsafe`] if its tables are not those of this version.
    pub async fn open_as_it_is(url: &StoreUrl) -> Result<Self, StoreError> {
        match url {
            StoreUrl::Postgres(url) => PgStore::open_as_it_is(url).await.map(Store::Postgres),
            StoreUrl::SqliteFile(path) => SqliteStore::open_as_it_is(path).await.map(Store::Sqlite),
            StoreUrl::SqliteScratch(_) | StoreUrl::SqliteMemory => Store::open(url).await,
        }
    }

    /// The same store over the few connections that no reader takes: for lanes and followers.
    #[must_use]
    pub fn writing(&self) -> Self {
        match self {
            Store::Postgres(store) => Store::Postgres(store.writing()),
            Store::Sqlite(store) => Store::Sqlite(store.writing()),
        }
    }

    /// The PostgreSQL pool, if it is one.
    pub fn postgres(&self) -> Option<&PgPool> {
        match self {
            Store::Postgres(store) => Some(store.pool()),
            Store::Sqlite(_) => None,
        }
    }

    /// SQLite's pools, first the one writer, then the readers, if it is one.
    pub fn sqlite(&self) -> Option<(&SqlitePool, &SqlitePool)> {
        match self {
            Store::Postgres(_) => None,
            Store::Sqlite(store) => Some((store.writer(), store.readers())),
        }
    }

    /// Closes all connections; what runs is finished first.
    pub async fn close(&self) {
        match self {
            Store::Postgres(store) => store.close().await,
            Store::Sqlite(store) => store.close().await,
        }
    }

    /// Waits until nobody else appends, and keeps them waiting. SQLite has one writer anyway.
    pub async fn take_turn(&self, workspace: WorkspaceId) -> Result<Turn, StoreError> {
        match self {
            Store::Postgres(store) => Ok(Turn(Some(store.take_turn(workspace).await?))),
            Store::Sqlite(_) => Ok(Turn(None)),
        }
    }

    /// Appends a batch, if the log still has the expected size. On `Ok(Done)` it is durable.
    pub async fn append(
        &self,
        batch: &Batch<'_>,
        turn: Option<Turn>,
    ) -> Result<Appended, StoreError> {
        match self {
            Store::Postgres(store) => store.append(batch, turn.and_then(|turn| turn.0)).await,
            Store::Sqlite(store) => store.append(batch).await,
        }
    }

    /// Registers a workspace and an empty log for it. False if the name or the id is taken.
    pub async fn create_workspace(
        &self,
        id: WorkspaceId,
        name: &Name,
        at: Moment,
    ) -> Result<bool, StoreError> {
        match self {
            Store::Postgres(store) => store.create_workspace(id, name, at).await,
            Store::Sqlite(store) => store.create_workspace(id, name, at).await,
        }
    }
}

/// Runs statements that both databases take, with `$connection` bound to one in whose transaction, on
/// PostgreSQL, `$scope` is seen and nothing else.
macro_rules! on_both {
    (read $store:expr, $scope:expr, |$connection:ident| $body:expr) => {
        match $store {
            Store::Postgres(store) => {
                let mut transaction = store.begin_reading($scope.into()).await?;
                let $connection = &mut *transaction;
                $body
            }
            Store::Sqlite(store) => {
                let mut connection = store.readers().acquire().await?;
                let $connection = &mut *connection;
                $body
            }
        }
    };
    (write $store:expr, $scope:expr, |$connection:ident| $body:expr) => {
        match $store {
            Store::Postgres(store) => {
                let mut transaction = store.begin_writing($scope.into()).await?;
                let $connection = &mut *transaction;
                let done = $body;
                transaction.commit().await?;
                done
            }
            Store::Sqlite(store) => {
                let mut connection = store.writer().acquire().await?;
                let $connection = &mut *connection;
                $body
            }
        }
    };
}

// Below the macro that they use.
mod access;
mod archive;
mod audit;
mod background;
mod correlations;
mod erasure;
mod evidence;
mod integrity;
mod people;
mod sessions;

const HEAD: &str = "SELECT size, last_recorded_at, frontier FROM heads WHERE workspace_id = $1";
/// The statement behind [`Store::log`], for one who reads in a transaction of their own: workspace,
/// first position, position after the last, most events.
pub const LOG: &str = "SELECT position, body, leaf_hash, recorded_at FROM events \
     WHERE workspace_id = $1 AND position >= $2 AND position < $3 ORDER BY position LIMIT $4";
const STREAM_PAGE: &str = "SELECT position, body, leaf_hash, recorded_at FROM events \
     WHERE workspace_id = $1 AND aggregate_type = $2 AND aggregate_id = $3 AND sequence > $4 \
     ORDER BY sequence LIMIT $5";
const LAST_OF_TYPE: &str = "SELECT position, body, leaf_hash, recorded_at FROM events \
     WHERE workspace_id = $1 AND aggregate_type = $2 AND aggregate_id = $3 AND event_type = $4 \
     ORDER BY sequence DESC LIMIT 1";
const SIZE_AT: &str = "SELECT position + 1 FROM events \
     WHERE workspace_id = $1 AND recorded_at <= $2 ORDER BY recorded_at DESC, position DESC LIMIT 1";
const RECORDED_AT: &str =
    "SELECT recorded_at FROM events WHERE workspace_id = $1 AND position = $2";
// With an empty log it is still being made: nobody finds it, and the next maker finishes it.
const WORKSPACE_BY_NAME: &str = "SELECT w.workspace_id FROM workspaces AS w \
     JOIN heads AS h ON h.workspace_id = w.workspace_id WHERE w.name = $1 AND h.size > 0";
const UNFINISHED: &str = "SELECT w.workspace_id FROM workspaces AS w \
     JOIN heads AS h ON h.workspace_id = w.workspace_id WHERE w.name = $1 AND h.size = 0";
const WORKSPACES: &str = "SELECT w.workspace_id, w.name FROM workspaces AS w \
     JOIN heads AS h ON h.workspace_id = w.workspace_id WHERE h.size > 0 ORDER BY w.name";

impl Store {
    /// The head of a log; none if there is no such log.
    pub async fn head(&self, workspace: WorkspaceId) -> Result<Option<Head>, StoreError> {
        let row: Option<(i64, i64, Vec<u8>)> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(HEAD).bind(workspace.0).fetch_optional(connection).await?
        });
        let Some((size, last_recorded_at, frontier)) = row else {
            return Ok(None);
        };
        let frontier = Frontier::from_bytes(unsigned(size)?, &frontier)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(Some(Head { frontier, last_recorded_at: Moment::from_micros(last_recorded_at) }))
    }

    /// Events of a log from position `from` up to, not including, `to`; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Archived`] if a body is in an archive that cannot be read; when the database
    /// fails.
    pub async fn log(
        &self,
        workspace: WorkspaceId,
        from: u64,
        to: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.bring_back(workspace, self.log_as_kept(workspace, from, to, limit).await?).await
    }

    /// The same, with markers where bodies are in archives.
    pub async fn log_as_kept(
        &self,
        workspace: WorkspaceId,
        from: u64,
        to: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        // Positions have no gaps: no plan, however bad, reads more than the page.
        let to = to.min(from.saturating_add(limit.into()));
        Ok(on_both!(read self, workspace, |connection| {
            sqlx::query_as(LOG)
                .bind(workspace.0)
                .bind(signed(from))
                .bind(signed(to))
                .bind(i64::from(limit))
                .fetch_all(connection)
                .await?
        }))
    }

    /// Events of one stream after sequence `after`; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Archived`] if a body is in an archive that cannot be read; when the database
    /// fails.
    pub async fn stream(
        &self,
        workspace: WorkspaceId,
        stream: Stream,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let events = self.stream_as_kept(workspace, stream, after, limit).await?;
        self.bring_back(workspace, events).await
    }

    /// The same, with markers where bodies are in archives.
    pub async fn stream_as_kept(
        &self,
        workspace: WorkspaceId,
        stream: Stream,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        Ok(on_both!(read self, workspace, |connection| {
            sqlx::query_as(STREAM_PAGE)
                .bind(workspace.0)
                .bind(stream.kind.number())
                .bind(stream.id)
                .bind(signed(after))
                .bind(i64::from(limit))
                .fetch_all(connection)
                .await?
        }))
    }

    /// The last event of one type in a stream.
    pub async fn last_of_type(
        &self,
        workspace: WorkspaceId,
        stream: Stream,
        event_type: EventType,
    ) -> Result<Option<StoredEvent>, StoreError> {
        Ok(on_both!(read self, workspace, |connection| {
            sqlx::query_as(LAST_OF_TYPE)
                .bind(workspace.0)
                .bind(stream.kind.number())
                .bind(stream.id)
                .bind(event_type.number())
                .fetch_optional(connection)
                .await?
        }))
    }

    /// How many events a log held at `moment`: those recorded then or before.
    pub async fn size_at(&self, workspace: WorkspaceId, moment: Moment) -> Result<u64, StoreError> {
        let row: Option<(i64,)> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(SIZE_AT)
                .bind(workspace.0)
                .bind(moment.micros())
                .fetch_optional(connection)
                .await?
        });
        unsigned(row.map_or(0, |(size,)| size))
    }

    /// When the event at `position` was recorded; none if there is no such event.
    pub async fn recorded_at(
        &self,
        workspace: WorkspaceId,
        position: u64,
    ) -> Result<Option<Moment>, StoreError> {
        let row: Option<(i64,)> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(RECORDED_AT)
                .bind(workspace.0)
                .bind(signed(position))
                .fetch_optional(connection)
                .await?
        });
        Ok(row.map(|(micros,)| Moment::from_micros(micros)))
    }

    /// The workspace of a name, once its log has begun.
    pub async fn workspace_by_name(&self, name: &str) -> Result<Option<WorkspaceId>, StoreError> {
        let row: Option<(Uuid,)> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(WORKSPACE_BY_NAME).bind(name).fetch_optional(connection).await?
        });
        Ok(row.map(|(id,)| WorkspaceId(id)))
    }

    /// A name that is taken by a workspace whose log has not begun.
    pub(crate) async fn unfinished_workspace(
        &self,
        name: &Name,
    ) -> Result<Option<WorkspaceId>, StoreError> {
        let row: Option<(Uuid,)> = on_both!(write self, Scope::Service, |connection| {
            sqlx::query_as(UNFINISHED).bind(name.as_str()).fetch_optional(connection).await?
        });
        Ok(row.map(|(id,)| WorkspaceId(id)))
    }

    /// All workspaces whose logs have begun, by name.
    pub async fn workspaces(&self) -> Result<Vec<(WorkspaceId, String)>, StoreError> {
        let rows: Vec<(Uuid, String)> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(WORKSPACES).fetch_all(connection).await?
        });
        Ok(rows.into_iter().map(|(id, name)| (WorkspaceId(id), name)).collect())
    }
}
