//! What an audit reads: whole rows, and whether an event is where its stream says.

use sqlx::{PgConnection, QueryBuilder, Sqlite, SqlitePool};
use uuid::Uuid;

use super::{Store, StoreError, signed};
use crate::audit::Predecessor;
use crate::event::{AggregateType, Stream};
use crate::words::WorkspaceId;

/// A row of `events`, every column that its bytes speak about.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LogRow {
    /// Its place in the log.
    #[sqlx(try_from = "i64")]
    pub position: u64,
    /// The number of the kind of its stream.
    pub aggregate_type: i16,
    /// The id of its stream.
    pub aggregate_id: Uuid,
    /// Its place in its stream, from 1.
    pub sequence: i64,
    /// The number of its type.
    pub event_type: i16,
    /// When it was recorded, in microseconds.
    pub recorded_at: i64,
    /// Its canonical bytes.
    pub body: Vec<u8>,
    /// Their leaf hash, as stored.
    pub leaf_hash: Vec<u8>,
    /// The source that it is remembered under, if it carries an id.
    pub source: Option<String>,
    /// That id.
    pub event_id: Option<String>,
}

const ROWS: &str = "SELECT position, aggregate_type, aggregate_id, sequence, event_type, \
     recorded_at, body, leaf_hash, source, event_id FROM events \
     WHERE workspace_id = $1 AND position >= $2 AND position < $3 ORDER BY position LIMIT $4";
const PREDECESSORS: &str = "\
SELECT kind, id, asked.sequence FROM UNNEST($2::smallint[], $3::uuid[], $4::bigint[])
    AS asked (kind, id, sequence)
WHERE EXISTS (SELECT 1 FROM events AS event WHERE event.workspace_id = $1
    AND event.aggregate_type = kind AND event.aggregate_id = id
    AND event.sequence = asked.sequence AND event.position < $5)";
/// Three values each: what SQLite takes in one statement is far more.
const AT_ONCE: usize = 1_000;

type Found = Vec<(i16, Uuid, i64)>;

impl Store {
    /// Rows of a log from position `from` up to, not including, `to`; at most `limit`.
    pub async fn rows(
        &self,
        workspace: WorkspaceId,
        from: u64,
        to: u64,
        limit: u32,
    ) -> Result<Vec<LogRow>, StoreError> {
        Ok(on_both!(read self, workspace, |connection| {
            sqlx::query_as(ROWS)
                .bind(workspace.0)
                .bind(signed(from))
                .bind(signed(to))
                .bind(i64::from(limit))
                .fetch_all(connection)
                .await?
        }))
    }

    /// Those of `wanted` that are in the log before position `before`.
    pub async fn predecessors(
        &self,
        workspace: WorkspaceId,
        wanted: &[Predecessor],
        before: u64,
    ) -> Result<Vec<Predecessor>, StoreError> {
        let mut known = Vec::with_capacity(wanted.len());
        for wanted in wanted.chunks(AT_ONCE) {
            let found = match self {
                Store::Postgres(store) => {
                    let mut transaction = store.begin_reading(workspace.into()).await?;
                    on_postgres(&mut transaction, workspace, wanted, before).await?
                }
                Store::Sqlite(store) => {
                    on_sqlite(store.readers(), workspace, wanted, before).await?
                }
            };
            known.extend(found.into_iter().filter_map(|(kind, id, sequence)| {
                Some((Stream { kind: AggregateType::from_number(kind)?, id }, sequence))
            }));
        }
        Ok(known)
    }
}

async fn on_postgres(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    wanted: &[Predecessor],
    before: u64,
) -> Result<Found, sqlx::Error> {
    let kinds: Vec<i16> = wanted.iter().map(|(stream, _)| stream.kind.number()).collect();
    let ids: Vec<Uuid> = wanted.iter().map(|(stream, _)| stream.id).collect();
    let sequences: Vec<i64> = wanted.iter().map(|(_, sequence)| *sequence).collect();
    sqlx::query_as(PREDECESSORS)
        .bind(workspace.0)
        .bind(kinds)
        .bind(ids)
        .bind(sequences)
        .bind(signed(before))
        .fetch_all(connection)
        .await
}

async fn on_sqlite(
    pool: &SqlitePool,
    workspace: WorkspaceId,
    wanted: &[Predecessor],
    before: u64,
) -> Result<Found, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Sqlite>::new("WITH asked (kind, id, sequence) AS (");
    query.push_values(wanted, |mut values, (stream, sequence)| {
        values.push_bind(stream.kind.number()).push_bind(stream.id).push_bind(*sequence);
    });
    query.push(
        ") SELECT kind, id, asked.sequence FROM asked WHERE EXISTS (SELECT 1 FROM events AS event \
         WHERE event.aggregate_type = kind AND event.aggregate_id = id \
         AND event.sequence = asked.sequence AND event.position < ",
    );
    query.push_bind(signed(before)).push(" AND event.workspace_id = ");
    query.push_bind(workspace.0).push(")");
    query.build_query_as().fetch_all(pool).await
}
