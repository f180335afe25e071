//! Which subjects adapters look at by themselves, and when.
//!
//! Which subjects these are follows from the runs: those that an open problem acts on, whose verdict
//! an observation may still change. The rows here only say when each is looked at next; all of them
//! may be deleted, and a round finds the subjects again.

use runledger_ledger::event::Stream;
use runledger_ledger::store::{StoreError, pieces};
use runledger_ledger::subject::{SubjectKey, SubjectState};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, WordError, WorkspaceId};
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::adapter_health::{self, HealthNote};
use crate::db::{ROWS, Tx, on_tx};
use crate::projections::Projections;
use crate::projector::ProjectionError;
use crate::query::Statement;

/// How far a round over the open problems has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectRound {
    /// When the last piece was looked through; none before the first one.
    pub swept_at: Option<Moment>,
    /// After which subject the next piece begins; none at the beginning.
    pub after: Option<Vec<u8>>,
}

/// A subject that is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The subject in its scope.
    pub key: SubjectKey,
    /// When it was due.
    pub due_at: Moment,
    /// Looks in a row at which the source gave no answer.
    pub attempt: u32,
    /// What was seen of it last, by whomever, and when that was so.
    pub latest: Option<(SubjectState, Moment)>,
    /// When the last of its open problems settled; none if it has none any more.
    pub settled_at: Option<Moment>,
}

/// What becomes of a subject after a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The subject in its scope.
    pub key: SubjectKey,
    /// When it was due as it was looked at.
    pub before: Moment,
    /// When it is due next, and how many looks in a row gave no answer; none if nobody needs to look.
    pub after: Option<(Moment, u32)>,
}

const PIECE: &str = "SELECT r.subject_key, r.environment, r.subject FROM runs AS r";
/// The predicate of the index `runs_open_subjects`.
const OPEN: &str = " AND r.open AND r.superseded_by IS NULL AND r.subject_key IS NOT NULL";
const ADD: &str = "INSERT INTO observer_wakes \
     (workspace_id, subject_key, adapter, environment, subject, due_at, attempt) ";
/// A subject that another adapter looks at by now is due at once; all others stay as they are.
const KNOWN: &str = " ON CONFLICT (workspace_id, subject_key) DO UPDATE SET \
     adapter = excluded.adapter, due_at = excluded.due_at, attempt = 0 \
     WHERE observer_wakes.adapter <> excluded.adapter";
const SWEPT: &str = "INSERT INTO observer_rounds (workspace_id, swept_at, after_key) \
     VALUES ($1, $2, $3) ON CONFLICT (workspace_id) DO UPDATE SET \
     swept_at = excluded.swept_at, after_key = excluded.after_key";
const DUE: &str = "SELECT w.environment, w.subject, w.due_at, w.attempt, \
     o.state, o.verified_at, (SELECT max(r.settled_at) FROM runs AS r \
      WHERE r.workspace_id = w.workspace_id AND r.subject_key = w.subject_key \
      AND r.open AND r.superseded_by IS NULL AND r.subject_key IS NOT NULL AND r.generation = ";
const DUE_OF: &str = ") FROM observer_wakes AS w LEFT JOIN subjects AS o \
     ON o.workspace_id = w.workspace_id AND o.subject_key = w.subject_key AND o.generation = ";

type DueRow = (String, String, i64, i64, Option<String>, Option<i64>, Option<i64>);

impl Projections {
    /// Looks through a piece of the open problems, `window` rows of them, has their subjects looked at
    /// at `now` if they are of these types (with the adapter of each) and nobody looks at them yet,
    /// and notes how far the round has come.
    pub async fn watch_subjects(
        &self,
        workspace: WorkspaceId,
        types: &[(String, String)],
        round: &SubjectRound,
        now: Moment,
        window: u32,
    ) -> Result<(), ProjectionError> {
        let Some(model) = self.model(workspace).await? else { return Ok(()) };
        let mut statement = Statement::new(PIECE);
        statement.scope("r.", model).push(OPEN);
        if let Some(after) = &round.after {
            statement.push(" AND r.subject_key > ").bind(after.clone());
        }
        statement.push(" ORDER BY r.subject_key LIMIT ").bind(i64::from(window));
        let rows: Vec<(Vec<u8>, String, String)> =
            statement.fetch(&mut Tx::read(self.store(), workspace).await?).await?;
        let full = rows.len() == usize::try_from(window).unwrap_or(usize::MAX);
        let after = rows.last().filter(|_| full).map(|(key, ..)| key.clone());
        let mut found: Vec<New<'_>> = Vec::new();
        for (key, environment, subject) in rows {
            let Ok(read) = subject_key(&environment, &subject) else { continue };
            // A type with a `/` in it reads as another subject.
            let whole = id(&read).as_bytes() == key.as_slice();
            let adapter = types.iter().find(|(kind, _)| kind == read.subject.kind.as_str());
            let Some((_, adapter)) = adapter.filter(|_| whole) else { continue };
            if found.last().is_none_or(|last| last.key != key) {
                found.push(New { key, environment, subject, adapter });
            }
        }
        let mut tx = Tx::begin(self.store(), workspace).await?;
        add(&mut tx, workspace, &found, now).await?;
        on_tx!(&mut tx, |connection| {
            let query = sqlx::query(SWEPT).bind(workspace.0).bind(now.micros());
            let query = query.bind(after.as_deref());
            query.execute(connection).await?;
        });
        Ok(tx.commit().await?)
    }

    /// The subjects that `adapter` is to look at at `at`, the longest due first, at most `limit`.
    pub async fn subjects_due(
        &self,
        workspace: WorkspaceId,
        adapter: &str,
        at: Moment,
        limit: u32,
    ) -> Result<Vec<Due>, ProjectionError> {
        let Some(model) = self.model(workspace).await? else { return Ok(Vec::new()) };
        let mut statement = Statement::new(DUE);
        statement.bind(model.generation).push(DUE_OF).bind(model.generation);
        statement.push(" WHERE w.workspace_id = ").bind(workspace.0);
        statement.push(" AND w.adapter = ").bind(adapter);
        statement.push(" AND w.due_at <= ").bind(at.micros());
        statement.push(" ORDER BY w.due_at, w.subject_key LIMIT ").bind(i64::from(limit));
        let rows: Vec<DueRow> =
            statement.fetch(&mut Tx::read(self.store(), workspace).await?).await?;
        Ok(rows.into_iter().map(due).collect::<Result<_, _>>()?)
    }

    /// Writes what came of looks at subjects, and how the source answered.
    pub async fn looked_at(
        &self,
        workspace: WorkspaceId,
        looked: &[Looked],
        health: &[HealthNote],
    ) -> Result<(), ProjectionError> {
        let mut tx = Tx::begin(self.store(), workspace).await?;
        for Looked { key, before, after } in looked {
            let id = id(key);
            let id = id.as_bytes().as_slice();
            on_tx!(&mut tx, |connection| {
                let query = match after {
                    Some((due_at, attempt)) => sqlx::query(MOVE)
                        .bind(workspace.0)
                        .bind(id)
                        .bind(before.micros())
                        .bind(due_at.micros())
                        .bind(i64::from(*attempt)),
                    None => sqlx::query(FORGET).bind(workspace.0).bind(id).bind(before.micros()),
                };
                query.execute(connection).await?;
            });
        }
        adapter_health::note(&mut tx, workspace, health).await?;
        Ok(tx.commit().await?)
    }
}

const MOVE: &str = "UPDATE observer_wakes SET due_at = $4, attempt = $5 \
     WHERE workspace_id = $1 AND subject_key = $2 AND due_at = $3";
const FORGET: &str = "DELETE FROM observer_wakes \
     WHERE workspace_id = $1 AND subject_key = $2 AND due_at = $3";

/// A subject that nobody looks at yet.
struct New<'a> {
    key: Vec<u8>,
    environment: String,
    subject: String,
    adapter: &'a str,
}

async fn add(
    tx: &mut Tx,
    workspace: WorkspaceId,
    found: &[New<'_>],
    now: Moment,
) -> Result<(), StoreError> {
    for piece in pieces(found, ROWS) {
        on_tx!(&mut *tx, |connection| {
            let mut query = QueryBuilder::<Db>::new(ADD);
            query.push_values(piece, |mut values, new| {
                values
                    .push_bind(workspace.0)
                    .push_bind(new.key.as_slice())
                    .push_bind(new.adapter)
                    .push_bind(new.environment.as_str())
                    .push_bind(new.subject.as_str())
                    .push_bind(now.micros())
                    .push_bind(0_i64);
            });
            query.push(KNOWN).build().execute(connection).await?;
        });
    }
    Ok(())
}

fn due(row: DueRow) -> Result<Due, StoreError> {
    let (environment, subject, due_at, attempt, state, verified_at, settled_at) = row;
    let corrupt = |what: String| StoreError::Corrupt(format!("a subject to look at: {what}"));
    let key = subject_key(&environment, &subject).map_err(|error| corrupt(error.to_string()))?;
    let state = state.map(|state| state.parse::<SubjectState>());
    let state = state.transpose().map_err(|_| corrupt("its state is no word".to_owned()))?;
    Ok(Due {
        key,
        due_at: Moment::from_micros(due_at),
        attempt: u32::try_from(attempt).unwrap_or_default(),
        latest: state.zip(verified_at.map(Moment::from_micros)),
        settled_at: settled_at.map(Moment::from_micros),
    })
}

/// The subject of a row in its scope; an empty environment is the workspace itself.
fn subject_key(environment: &str, subject: &str) -> Result<SubjectKey, WordError> {
    let environment = (!environment.is_empty()).then(|| Name::new(environment)).transpose()?;
    Ok(SubjectKey { environment, subject: subject.parse()? })
}

fn id(key: &SubjectKey) -> Uuid {
    Stream::subject(key).id
}
