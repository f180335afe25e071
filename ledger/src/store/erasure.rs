//! The one change that an event may see (specs/0024): its body gives way to a tombstone that the log
//! names. The database refuses every other one, and on PostgreSQL also this one to the service.

use sqlx::Executor as _;
use uuid::Uuid;

use super::{Store, StoreError, signed, sqlite, unsigned};
use crate::event::AggregateType;
use crate::fact::EventType;
use crate::time::Moment;
use crate::words::WorkspaceId;

const PUT: &str = "UPDATE events SET body = $3, source = NULL, event_id = NULL, content_hash = NULL \
     WHERE workspace_id = $1 AND position = $2";
/// The first event of each erasure; their ids are in the order of time.
const ERASURES: &str = "SELECT aggregate_id FROM events \
     WHERE workspace_id = $1 AND aggregate_type = $2 AND sequence = 1 \
     ORDER BY aggregate_id DESC LIMIT $3";
/// The erasures of a workspace are few, and their events stand together in the index of streams.
const LAST_DONE: &str = "SELECT max(recorded_at) FROM events \
     WHERE workspace_id = $1 AND aggregate_type = $2 AND event_type = $3";
const LAST_DONE_BEFORE: &str = "SELECT max(recorded_at) FROM events \
     WHERE workspace_id = $1 AND aggregate_type = $2 AND event_type = $3 AND position < $4";
/// What became of bodies. Erasures and archives are few, and their events stand together in the index of
/// streams.
const OF_BODIES: &str = "SELECT event_type, count(*), max(recorded_at) FROM events \
     WHERE workspace_id = $1 AND aggregate_type IN ($2, $3) AND position < $4 GROUP BY event_type";
const MAY_ERASE: &str = "SELECT has_column_privilege(to_regclass('events'), 'body', 'UPDATE')";
/// What is looked at by itself, with names of subjects. It is found again.
const FORGET_WAKES: &str = "DELETE FROM observer_wakes WHERE workspace_id = $1";

/// What became of the bodies of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bodies {
    /// Erasures that were completed.
    pub erasures: u64,
    /// When the last one was.
    pub last_erased_at: Option<Moment>,
    /// Archives that bodies gave way to.
    pub archived: u64,
    /// When they last did.
    pub last_archived_at: Option<Moment>,
    /// Archives whose bodies were put back.
    pub restored: u64,
}

impl Store {
    /// Whether whoever is connected may put tombstones into the log.
    pub async fn may_erase(&self) -> Result<bool, StoreError> {
        match self {
            Store::Postgres(store) => {
                Ok(sqlx::query_scalar(MAY_ERASE).fetch_one(store.writers()).await?)
            }
            Store::Sqlite(_) => Ok(true),
        }
    }

    /// Puts tombstones in the place of bodies, all of them or none. On `Ok` it is durable.
    ///
    /// # Errors
    /// When the database refuses one, or fails.
    pub async fn put_tombstones(
        &self,
        workspace: WorkspaceId,
        tombstones: &[(u64, Vec<u8>)],
    ) -> Result<(), StoreError> {
        if tombstones.is_empty() {
            return Ok(());
        }
        match self {
            Store::Postgres(store) => {
                let mut transaction = store.begin_writing(workspace.into()).await?;
                for (position, body) in tombstones {
                    let put = sqlx::query(PUT).bind(workspace.0).bind(signed(*position));
                    put.bind(&body[..]).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
            }
            Store::Sqlite(store) => {
                let mut transaction = store.begin_durable().await?;
                for (position, body) in tombstones {
                    let put = sqlx::query(PUT).bind(workspace.0).bind(signed(*position));
                    put.bind(&body[..]).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    /// The erasures of a workspace, the latest first; at most `limit`.
    pub async fn erasures(
        &self,
        workspace: WorkspaceId,
        limit: u32,
    ) -> Result<Vec<Uuid>, StoreError> {
        let rows: Vec<(Uuid,)> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(ERASURES)
                .bind(workspace.0)
                .bind(AggregateType::Erasure.number())
                .bind(i64::from(limit))
                .fetch_all(connection)
                .await?
        });
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// When an erasure was last completed; none if none ever was. What was derived before may still
    /// hold what was erased.
    pub async fn last_erasure(&self, workspace: WorkspaceId) -> Result<Option<Moment>, StoreError> {
        let row: (Option<i64>,) = on_both!(read self, workspace, |connection| {
            sqlx::query_as(LAST_DONE)
                .bind(workspace.0)
                .bind(AggregateType::Erasure.number())
                .bind(EventType::ErasureCompleted.number())
                .fetch_one(connection)
                .await?
        });
        Ok(row.0.map(Moment::from_micros))
    }

    /// The same, of what the first `size` events of the log tell.
    pub async fn last_erasure_before(
        &self,
        workspace: WorkspaceId,
        size: u64,
    ) -> Result<Option<Moment>, StoreError> {
        let row: (Option<i64>,) = on_both!(read self, workspace, |connection| {
            sqlx::query_as(LAST_DONE_BEFORE)
                .bind(workspace.0)
                .bind(AggregateType::Erasure.number())
                .bind(EventType::ErasureCompleted.number())
                .bind(signed(size))
                .fetch_one(connection)
                .await?
        });
        Ok(row.0.map(Moment::from_micros))
    }

    /// What became of bodies, as the first `size` events of the log tell.
    pub async fn bodies_before(
        &self,
        workspace: WorkspaceId,
        size: u64,
    ) -> Result<Bodies, StoreError> {
        let rows: Vec<(i16, i64, i64)> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(OF_BODIES)
                .bind(workspace.0)
                .bind(AggregateType::Erasure.number())
                .bind(AggregateType::Archive.number())
                .bind(signed(size))
                .fetch_all(connection)
                .await?
        });
        let of = |kind: EventType| {
            let row = rows.iter().find(|(number, ..)| *number == kind.number());
            row.map_or(Ok((0, None)), |(_, count, last)| {
                Ok::<_, StoreError>((unsigned(*count)?, Some(Moment::from_micros(*last))))
            })
        };
        let (erasures, last_erased_at) = of(EventType::ErasureCompleted)?;
        let (archived, last_archived_at) = of(EventType::ArchiveDropped)?;
        let (restored, _) = of(EventType::ArchiveRestored)?;
        Ok(Bodies { erasures, last_erased_at, archived, last_archived_at, restored })
    }

    /// Takes away what is left of erased bodies beside the log and the read models. A file is written
    /// anew, because SQLite leaves what was deleted where it was; PostgreSQL's own housekeeping does
    /// that by and by.
    pub async fn sweep_after_erasure(&self, workspace: WorkspaceId) -> Result<(), StoreError> {
        on_both!(write self, workspace, |connection| {
            sqlx::query(FORGET_WAKES).bind(workspace.0).execute(connection).await?;
        });
        if let Store::Sqlite(store) = self {
            store.writer().execute("VACUUM").await?;
            sqlite::wal::empty(store.writer()).await?;
        }
        Ok(())
    }
}
