//! The rows of the table `runs`, read and written in bulk. Statements of the other tables stand
//! beside what they are for; the tables themselves are explained in the migrations.

use runledger_ledger::run::Run;
use runledger_ledger::store::StoreError;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{RunId, WorkspaceId};
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Keys as _, Rows, Sought, Tx, on_tx};
use crate::rules::actionability::Superseding;

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
    pub(crate) ended_at: Option<i64>,
    pub(crate) left_at: Option<i64>,
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

    /// The superseding success that it names. It was recorded when this run left the list, or before.
    pub(crate) fn superseding(&self) -> Option<Superseding> {
        self.superseded_by.zip(self.superseded_at).map(|(run, at)| Superseding {
            run_id: RunId(run),
            dispatched_at: Moment::from_micros(at),
            ended_at: Moment::from_micros(self.left_at.unwrap_or(at)),
        })
    }
}

/// The columns of [`RunRow`].
pub(crate) const RUN_COLUMNS: &str = "run_id, state, first_position, last_position, operation, \
     family, environment, subject, subject_key, connection, queue, status, outcome, reconciled, \
     dispatched_at, waiting_since, queue_window, settled_at, ended_at, left_at, deadline, abandon_at, success, open, key, \
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
     ended_at = excluded.ended_at, left_at = excluded.left_at, \
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
    Rows::of("runs", model)
        .with("run_id", rows.iter().map(|row| row.run_id))
        .with("state", rows.iter().map(|row| row.state.as_str()))
        .with("first_position", rows.iter().map(|row| row.first_position))
        .with("last_position", rows.iter().map(|row| row.last_position))
        .with("operation", rows.iter().map(|row| row.operation.as_str()))
        .with("family", rows.iter().map(|row| row.family.as_str()))
        .with("environment", rows.iter().map(|row| row.environment.as_str()))
        .with("subject", rows.iter().map(|row| row.subject.as_str()))
        .with("subject_key", rows.iter().map(|row| row.subject_key.as_deref()))
        .with("connection", rows.iter().map(|row| row.connection.as_str()))
        .with("queue", rows.iter().map(|row| row.queue.as_str()))
        .with("status", rows.iter().map(|row| row.status))
        .with("outcome", rows.iter().map(|row| row.outcome))
        .with("reconciled", rows.iter().map(|row| row.reconciled))
        .with("dispatched_at", rows.iter().map(|row| row.dispatched_at))
        .with("waiting_since", rows.iter().map(|row| row.waiting_since))
        .with("queue_window", rows.iter().map(|row| row.queue_window))
        .with("settled_at", rows.iter().map(|row| row.settled_at))
        .with("ended_at", rows.iter().map(|row| row.ended_at))
        .with("left_at", rows.iter().map(|row| row.left_at))
        .with("deadline", rows.iter().map(|row| row.deadline))
        .with("abandon_at", rows.iter().map(|row| row.abandon_at))
        .with("success", rows.iter().map(|row| row.success))
        .with("open", rows.iter().map(|row| row.open))
        .with("key", rows.iter().map(|row| row.key.as_deref()))
        .with("superseded_by", rows.iter().map(|row| row.superseded_by))
        .with("superseded_at", rows.iter().map(|row| row.superseded_at))
        .with("actionability", rows.iter().map(|row| row.actionability))
        .with("reason", rows.iter().map(|row| row.reason.as_deref()))
        .with("proof", rows.iter().map(|row| row.proof.as_deref()))
        .with("follow_up", rows.iter().map(|row| row.follow_up))
        .with("item_key", rows.iter().map(|row| row.item_key.as_deref()))
        .with("search", rows.iter().map(|row| row.search.as_str()))
        .write(tx, UPDATE_RUN)
        .await
}

/// The rows of these runs, those that there are.
pub(crate) async fn load_runs(
    tx: &mut Tx,
    model: Model,
    ids: &[Uuid],
) -> Result<Vec<RunRow>, StoreError> {
    let sought = Sought { table: "runs", column: "run_id", model, only: "" };
    let mut found = Vec::with_capacity(ids.len());
    for piece in tx.pieces(ids) {
        let rows: Vec<RunRow> = on_tx!(tx, |connection| {
            let mut query = QueryBuilder::<Db>::new("SELECT ");
            query.push(RUN_COLUMNS).push(" FROM runs");
            Db::push_where(&mut query, sought, piece, |_| {});
            query.build_query_as().fetch_all(connection).await?
        });
        found.extend(rows);
    }
    Ok(found)
}

/// A page of rows after `after` or from the first one: active ones in the order of their index, the
/// others by run id.
pub(crate) async fn page_of_runs(
    tx: &mut Tx,
    model: Model,
    which: Which,
    after: Option<(i64, Uuid)>,
    limit: i64,
) -> Result<Vec<RunRow>, StoreError> {
    // SQLite has not counted the rows, and would walk through all of them by the primary key.
    let index = match (&*tx, which) {
        (Tx::Sqlite(_), Which::Active) => " INDEXED BY runs_active",
        _ => "",
    };
    Ok(on_tx!(tx, |connection| {
        let mut query = select::<Db>(model, index);
        match (which, after) {
            (Which::Active, None) => {
                query.push(" AND status < 2");
            }
            (Which::Active, Some((dispatched_at, run_id))) => {
                query.push(" AND status < 2 AND (dispatched_at, run_id) > (");
                query.push_bind(dispatched_at).push(", ").push_bind(run_id).push(")");
            }
            (Which::All | Which::Open, after) => {
                query.push(if let Which::Open = which { " AND open" } else { "" });
                if let Some((_, run_id)) = after {
                    query.push(" AND run_id > ").push_bind(run_id);
                }
            }
        }
        query.push(match which {
            Which::Active => " ORDER BY dispatched_at, run_id LIMIT ",
            Which::All | Which::Open => " ORDER BY run_id LIMIT ",
        });
        query.push_bind(limit);
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

fn select<Db: sqlx::Database>(model: Model, index: &'static str) -> QueryBuilder<Db>
where
    Uuid: sqlx::Encode<'static, Db> + sqlx::Type<Db>,
    i64: sqlx::Encode<'static, Db> + sqlx::Type<Db>,
{
    let mut query = QueryBuilder::<Db>::new("SELECT ");
    query.push(RUN_COLUMNS).push(" FROM runs").push(index).push(" WHERE workspace_id = ");
    query.push_bind(model.workspace.0).push(" AND generation = ").push_bind(model.generation);
    query
}
