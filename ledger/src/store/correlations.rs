//! Claims of external ids (see [`crate::correlation`]): read for many keys at a time, written with
//! the events that they follow from.

use futures::TryStreamExt as _;
use sqlx::{PgConnection, QueryBuilder, Sqlite, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::{Appended, Store, StoreError, Turn, pieces, signed};
use crate::correlation::{CLAIMS, CorrelationKey};
use crate::words::{RunId, WorkspaceId};

/// A key, and a run that claims it.
pub type Claim = (CorrelationKey, RunId);

/// However many runs claim a key, only so many of them are read.
const CLAIMS_OF: &str = "SELECT * FROM claims_of_keys($1, $2, $3)";
const DROP: &str = "\
DELETE FROM correlations AS claim USING UNNEST($2::bytea[], $3::uuid[]) AS gone (key, run_id)
WHERE claim.workspace_id = $1 AND claim.key = gone.key AND claim.run_id = gone.run_id";
const DROP_ONE: &str =
    "DELETE FROM correlations WHERE workspace_id = $1 AND key = $2 AND run_id = $3";
const HELD: &str = "\
SELECT claim.key, claim.run_id FROM UNNEST($2::bytea[], $3::uuid[]) AS asked (key, run_id)
JOIN correlations AS claim ON claim.workspace_id = $1 AND claim.key = asked.key
     AND claim.run_id = asked.run_id";
const AFTER: &str = "SELECT key, run_id FROM correlations \
     WHERE workspace_id = $1 AND (key, run_id) > ($2, $3) ORDER BY key, run_id LIMIT $4";
/// One statement, so that the size of the log and the claims are of one moment.
const EACH: &str = "SELECT head.size, claim.key, claim.run_id FROM heads AS head \
     LEFT JOIN correlations AS claim ON claim.workspace_id = head.workspace_id \
     WHERE head.workspace_id = $1";
const ADD: &str = "\
INSERT INTO correlations (workspace_id, key, run_id)
SELECT $1, key, run_id FROM UNNEST($2::bytea[], $3::uuid[]) AS claim (key, run_id)
ON CONFLICT DO NOTHING";
const LOCK_HEAD: &str = "SELECT size FROM heads WHERE workspace_id = $1 FOR UPDATE";
const HEAD: &str = "SELECT size FROM heads WHERE workspace_id = $1";
/// SQLite takes 500 parts of a UNION at most, and is slow with many.
const KEYS_PER_STATEMENT: usize = 64;
const CLAIMS_PER_STATEMENT: usize = 64;

impl Store {
    /// The runs that claim each of `keys`, the first few of each.
    pub(crate) async fn claims(
        &self,
        workspace: WorkspaceId,
        keys: &[CorrelationKey],
    ) -> Result<Vec<Claim>, StoreError> {
        let rows: Vec<(Vec<u8>, Uuid)> = match self {
            Store::Postgres(store) => {
                let keys: Vec<&[u8]> = keys.iter().map(|key| &key.0[..]).collect();
                let query = sqlx::query_as(CLAIMS_OF).bind(workspace.0).bind(keys).bind(most());
                query.fetch_all(store.pool()).await?
            }
            Store::Sqlite(store) => claims_on_sqlite(store.readers(), workspace, keys).await?,
        };
        read(rows)
    }

    /// Those of `claims` that are stored.
    pub(crate) async fn held_claims(
        &self,
        workspace: WorkspaceId,
        claims: &[Claim],
    ) -> Result<Vec<Claim>, StoreError> {
        let rows: Vec<(Vec<u8>, Uuid)> = match self {
            Store::Postgres(store) => {
                let (keys, runs) = columns(claims);
                let query = sqlx::query_as(HELD).bind(workspace.0).bind(keys).bind(runs);
                let mut transaction = store.begin_reading(workspace.into()).await?;
                query.fetch_all(&mut *transaction).await?
            }
            Store::Sqlite(store) => held_on_sqlite(store.readers(), workspace, claims).await?,
        };
        read(rows)
    }

    /// Stored claims behind `after`, in their order; at most `limit`.
    pub(crate) async fn claims_after(
        &self,
        workspace: WorkspaceId,
        after: Option<Claim>,
        limit: u32,
    ) -> Result<Vec<Claim>, StoreError> {
        let (key, run) = after.unwrap_or((CorrelationKey([0; 32]), RunId(Uuid::nil())));
        let rows: Vec<(Vec<u8>, Uuid)> = on_both!(read self, workspace, |connection| {
            sqlx::query_as(AFTER)
                .bind(workspace.0)
                .bind(&key.0[..])
                .bind(run.0)
                .bind(i64::from(limit))
                .fetch_all(connection)
                .await?
        });
        read(rows)
    }

    /// Calls `take` with every stored claim, in any order, and returns how many events the log held
    /// then. They are taken as they come, however many there are.
    pub(crate) async fn each_claim(
        &self,
        workspace: WorkspaceId,
        take: &mut (dyn FnMut(Claim) + Send),
    ) -> Result<u64, StoreError> {
        let mut size = 0;
        on_both!(read self, workspace, |connection| {
            let mut rows = sqlx::query_as(EACH).bind(workspace.0).fetch(connection);
            while let Some(row) = rows.try_next().await? {
                let (at, key, run): (i64, Option<Vec<u8>>, Option<Uuid>) = row;
                size = super::unsigned(at)?;
                if let (Some(key), Some(run)) = (key, run) {
                    take((CorrelationKey(super::hash(&key)?), RunId(run)));
                }
            }
        });
        Ok(size)
    }

    /// Adds and removes claims, if the log still has the expected size. Only for what follows from
    /// it and is not stored so; what an append brings is written with its events.
    pub(crate) async fn write_claims(
        &self,
        workspace: WorkspaceId,
        expected_size: u64,
        (claimed, dropped): (&[Claim], &[Claim]),
        turn: Option<Turn>,
    ) -> Result<Appended, StoreError> {
        let here = |size: Option<(i64,)>| size.is_some_and(|row| row.0 == signed(expected_size));
        match self {
            Store::Postgres(store) => {
                let (mut transaction, _room) =
                    store.begin(workspace, turn.and_then(|turn| turn.0)).await?;
                let head = sqlx::query_as(LOCK_HEAD).bind(workspace.0);
                if !here(head.fetch_optional(&mut *transaction).await?) {
                    return Ok(Appended::HeadMoved);
                }
                let (keys, runs) = columns(claimed);
                let add = sqlx::query(ADD).bind(workspace.0).bind(keys).bind(runs);
                add.execute(&mut *transaction).await?;
                drop_on_postgres(&mut transaction, workspace, dropped).await?;
                transaction.commit().await?;
            }
            Store::Sqlite(store) => {
                let mut transaction = store.begin_durable().await?;
                let head = sqlx::query_as(HEAD).bind(workspace.0);
                if !here(head.fetch_optional(&mut *transaction).await?) {
                    return Ok(Appended::HeadMoved);
                }
                write_on_sqlite(&mut transaction, workspace, claimed, dropped).await?;
                transaction.commit().await?;
            }
        }
        Ok(Appended::Done)
    }
}

fn read(rows: Vec<(Vec<u8>, Uuid)>) -> Result<Vec<Claim>, StoreError> {
    let claim = |(key, run): (Vec<u8>, Uuid)| Ok((CorrelationKey(super::hash(&key)?), RunId(run)));
    rows.into_iter().map(claim).collect()
}

async fn held_on_sqlite(
    pool: &SqlitePool,
    workspace: WorkspaceId,
    claims: &[Claim],
) -> Result<Vec<(Vec<u8>, Uuid)>, sqlx::Error> {
    let mut found = Vec::new();
    for claims in pieces(claims, CLAIMS_PER_STATEMENT) {
        let mut query = QueryBuilder::<Sqlite>::new("WITH asked (key, run_id) AS (");
        query.push_values(claims, |mut values, (key, run)| {
            values.push_bind(&key.0[..]).push_bind(run.0);
        });
        query.push(
            ") SELECT claim.key, claim.run_id FROM asked CROSS JOIN correlations AS claim \
             ON claim.key = asked.key AND claim.run_id = asked.run_id AND claim.workspace_id = ",
        );
        query.push_bind(workspace.0);
        let rows: Vec<(Vec<u8>, Uuid)> = query.build_query_as().fetch_all(pool).await?;
        found.extend(rows);
    }
    Ok(found)
}

pub(super) fn most() -> i64 {
    i64::try_from(CLAIMS).unwrap_or(i64::MAX)
}

async fn claims_on_sqlite(
    pool: &SqlitePool,
    workspace: WorkspaceId,
    keys: &[CorrelationKey],
) -> Result<Vec<(Vec<u8>, Uuid)>, sqlx::Error> {
    let mut found = Vec::new();
    for keys in pieces(keys, KEYS_PER_STATEMENT) {
        let mut query = QueryBuilder::<Sqlite>::new("");
        for (index, key) in keys.iter().enumerate() {
            query.push(if index == 0 { "" } else { " UNION ALL " });
            query.push("SELECT * FROM (SELECT key, run_id FROM correlations WHERE workspace_id = ");
            query.push_bind(workspace.0).push(" AND key = ").push_bind(&key.0[..]);
            query.push(" ORDER BY run_id LIMIT ").push_bind(most()).push(")");
        }
        let rows: Vec<(Vec<u8>, Uuid)> = query.build_query_as().fetch_all(pool).await?;
        found.extend(rows);
    }
    Ok(found)
}

/// Removes claims, within the transaction of an append.
pub(super) async fn drop_on_postgres(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    dropped: &[Claim],
) -> Result<(), sqlx::Error> {
    let (keys, runs) = columns(dropped);
    let statement = sqlx::query(DROP).bind(workspace.0).bind(keys).bind(runs);
    statement.execute(connection).await.map(drop)
}

/// Claims as PostgreSQL takes many rows at once.
pub(super) fn columns(claims: &[Claim]) -> (Vec<&[u8]>, Vec<Uuid>) {
    claims.iter().map(|(key, run)| (&key.0[..], run.0)).unzip()
}

/// Adds and removes claims, within the transaction of an append.
pub(super) async fn write_on_sqlite(
    connection: &mut SqliteConnection,
    workspace: WorkspaceId,
    claimed: &[Claim],
    dropped: &[Claim],
) -> Result<(), sqlx::Error> {
    for claims in pieces(claimed, CLAIMS_PER_STATEMENT) {
        let mut query =
            QueryBuilder::<Sqlite>::new("INSERT INTO correlations (workspace_id, key, run_id) ");
        query.push_values(claims, |mut values, (key, run)| {
            values.push_bind(workspace.0).push_bind(&key.0[..]).push_bind(run.0);
        });
        query.push(" ON CONFLICT DO NOTHING");
        query.build().execute(&mut *connection).await?;
    }
    for (key, run) in dropped {
        let statement = sqlx::query(DROP_ONE).bind(workspace.0).bind(&key.0[..]).bind(run.0);
        statement.execute(&mut *connection).await?;
    }
    Ok(())
}
