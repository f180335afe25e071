//! The rows of the table `runs`, read and written in bulk. Statements of the other tables stand
//! beside what they are for; the tables themselves are explained in the migrations.

use runledger_ledger::run::Run;
use runledger_ledger::store::StoreError;
use runledger_ledger::words::{RunId, WorkspaceId};
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Tx, on_tx, pieces, push_list};

/// Which read models of which workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) workspace: WorkspaceId,
    pub(crate) generation: i64,
}

/// The place of `word` in its list: how words are stored in the read models.
pub(crate) fn code<T: PartialEq>(all: &[T], word: &T) -> i16 {
    let place = all.iter().position(|known| known == word).unwrap_or_default();
    i16::try_from(place).unwrap_or_default()
}

/// One row of `runs`; what each column means stands in the migration.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub(crate) struct RunRow {
    pub(crate) run_id: Uuid,
    pub(crate) state: String,
    pub(crate) first_position: i64,
    pub(crate) last_position: i64,
    pub(crate) operation: String,
    pub(crate) family: String,
    pub(crate) environment: String,
    pub(crate) subject: String,
    pub(crate) subject_key: Option<Vec<u8>>,
    pub(crate) connection: String,
    pub(crate) queue: String,
    pub(crate) status: i16,
    pub(crate) outcome: i16,
    pub(crate) reconciled: bool,
    pub(crate) dispatched_at: i64,
    pub(crate) waiting_since: i64,
    pub(crate) queue_window: Option<i64>,
    pub(crate) settled_at: Option<i64>,
    pub(crate) deadline: Option<i64>,
    pub(crate) abandon_at: Option<i64>,
    pub(crate) success: bool,
    pub(crate) open: bool,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) superseded_by: Option<Uuid>,
    pub(crate) superseded_at: Option<i64>,
    pub(crate) actionability: i16,
    pub(crate) reason: Option<String>,
    pub(crate) proof: Option<String>,
    pub(crate) follow_up: bool,
    pub(crate) item_key: Option<Vec<u8>>,
    pub(crate) search: String,
}

impl RunRow {
    /// The run's recorded truth.
    pub(crate) fn run(&self) -> Result<Run, StoreError> {
        serde_json::from_str(&self.state).map_err(|error| {
            StoreError::Corrupt(format!("the state of run {} cannot be read: {error}", self.run_id))
        })
    }

    pub(crate) fn id(&self) -> RunId {
        RunId(self.run_id)
    }
}

/// The columns of [`RunRow`], in the order in which [`upsert_runs`] binds them.
pub(crate) const RUN_COLUMNS: &str = "run_id, state, first_position, last_position, operation, \
     family, environment, subject, subject_key, connection, queue, status, outcome, reconciled, \
     dispatched_at, waiting_since, queue_window, settled_at, deadline, abandon_at, success, open, key, \
     superseded_by, superseded_at, actionability, reason, proof, follow_up, item_key, \
     search";

const UPDATE_RUN: &str = " ON CONFLICT (workspace_id, generation, run_id) DO UPDATE SET \
     state = excluded.state, last_position = excluded.last_position, \
     operation = excluded.operation, family = excluded.family, \
     environment = excluded.environment, subject = excluded.subject, \
     subject_key = excluded.subject_key, connection = excluded.connection, \
     queue = excluded.queue, status = excluded.status, outcome = excluded.outcome, \
     reconciled = excluded.reconciled, \
     dispatched_at = excluded.dispatched_at, waiting_since = excluded.waiting_since, \
     queue_window = excluded.queue_window, settled_at = excluded.settled_at, \
     deadline = excluded.deadline, abandon_at = excluded.abandon_at, success = excluded.success, \
     open = excluded.open, key = excluded.key, superseded_by = excluded.superseded_by, \
     superseded_at = excluded.superseded_at, actionability = excluded.actionability, \
     reason = excluded.reason, proof = excluded.proof, follow_up = excluded.follow_up, \
     item_key = excluded.item_key, search = excluded.search";

/// Writes rows, new and changed alike.
pub(crate) async fn upsert_runs(
    tx: &mut Tx,
    model: Model,
    rows: &[RunRow],
) -> Result<(), StoreError> {
    for piece in pieces(rows) {
        on_tx!(tx, |connection| {
            let mut query = QueryBuilder::<Db>::new("INSERT INTO runs (workspace_id, generation, ");
            query.push(RUN_COLUMNS).push(") ");
            query.push_values(piece, |mut values, row| {
                values
                    .push_bind(model.workspace.0)
                    .push_bind(model.generation)
                    .push_bind(row.run_id)
                    .push_bind(row.state.as_str())
                    .push_bind(row.first_position)
                    .push_bind(row.last_position)
                    .push_bind(row.operation.as_str())
                    .push_bind(row.family.as_str())
                    .push_bind(row.environment.as_str())
                    .push_bind(row.subject.as_str())
                    .push_bind(row.subject_key.as_deref())
                    .push_bind(row.connection.as_str())
                    .push_bind(row.queue.as_str())
                    .push_bind(row.status)
                    .push_bind(row.outcome)
                    .push_bind(row.reconciled)
                    .push_bind(row.dispatched_at)
                    .push_bind(row.waiting_since)
                    .push_bind(row.queue_window)
                    .push_bind(row.settled_at)
                    .push_bind(row.deadline)
                    .push_bind(row.abandon_at)
                    .push_bind(row.success)
                    .push_bind(row.open)
                    .push_bind(row.key.as_deref())
                    .push_bind(row.superseded_by)
                    .push_bind(row.superseded_at)
                    .push_bind(row.actionability)
                    .push_bind(row.reason.as_deref())
                    .push_bind(row.proof.as_deref())
                    .push_bind(row.follow_up)
                    .push_bind(row.item_key.as_deref())
                    .push_bind(row.search.as_str());
            });
            query.push(UPDATE_RUN);
            query.build().execute(connection).await?;
        });
    }
    Ok(())
}

/// The rows of these runs, those that there are.
pub(crate) async fn load_runs(
    tx: &mut Tx,
    model: Model,
    ids: &[Uuid],
) -> Result<Vec<RunRow>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for piece in pieces(ids) {
        let rows: Vec<RunRow> = on_tx!(tx, |connection| {
            let mut query = select::<Db>(model);
            query.push(" AND run_id IN ");
            push_list!(query, piece);
            query.build_query_as().fetch_all(connection).await?
        });
        found.extend(rows);
    }
    Ok(found)
}

/// A page of rows, by run id, after `after` or from the first one; only active or open ones where
/// asked.
pub(crate) async fn page_of_runs(
    tx: &mut Tx,
    model: Model,
    which: Which,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<RunRow>, StoreError> {
    Ok(on_tx!(tx, |connection| {
        let mut query = select::<Db>(model);
        query.push(match which {
            Which::All => "",
            Which::Active => " AND status < 2",
            Which::Open => " AND open",
        });
        if let Some(after) = after {
            query.push(" AND run_id > ").push_bind(after);
        }
        query.push(" ORDER BY run_id LIMIT ").push_bind(limit);
        query.build_query_as().fetch_all(connection).await?
    }))
}

/// Which rows of `runs` a page is of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    /// All of them.
    All,
    /// Queued and running ones.
    Active,
    /// Those whose verdict depends on other runs or on their subject.
    Open,
}

pub(crate) fn select<Db: sqlx::Database>(model: Model) -> QueryBuilder<Db>
where
    Uuid: sqlx::Encode<'static, Db> + sqlx::Type<Db>,
    i64: sqlx::Encode<'static, Db> + sqlx::Type<Db>,
{
    let mut query = QueryBuilder::<Db>::new("SELECT ");
    query.push(RUN_COLUMNS).push(" FROM runs WHERE workspace_id = ");
    query.push_bind(model.workspace.0).push(" AND generation = ").push_bind(model.generation);
    query
}
