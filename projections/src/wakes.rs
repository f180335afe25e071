//! Which runs the reconciler looks at, and when: the table of wakes beside the runs themselves.
//!
//! A wake is only a wake. What a run is, and whether there is anything to decide of it, its row
//! says; all wakes may be deleted, and [`Projections::forgotten`] finds again what is due.

mod keep;
mod log;

use runledger_ledger::run::Run;
use runledger_ledger::store::StoreError;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{RunId, WorkspaceId};
use uuid::Uuid;

use crate::db::Tx;
use crate::observing::SubjectRound;
use crate::projections::Projections;
use crate::projector::ProjectionError;
use crate::query::Statement;
use crate::tables::{Model, RunRow};

pub use keep::Rescheduled;
pub use log::{Followed, Forgotten, Round, RunNews};

/// When a run is looked at, and what came of the last looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// When.
    pub due_at: Moment,
    /// Looks in a row at which the source gave no answer.
    pub attempt: u32,
    /// Looks in a row that proved nothing.
    pub looks: u32,
}

/// A run that may be judged, as the read models know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Which run.
    pub run_id: RunId,
    /// What is recorded of it. Its `events` are what a decision on it must expect.
    pub run: Run,
    /// When it becomes or became stale, blind time included.
    pub deadline: Option<Moment>,
    /// When it is given up, blind time included.
    pub give_up_at: Option<Moment>,
    /// Its wake, if it has one.
    pub wake: Option<Wake>,
}

/// Which operation types.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// These.
    These(&'a [String]),
    /// All but these.
    Others(&'a [String]),
}

/// What a workspace has for the reconciler, in a few numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Agenda {
    /// Which workspace.
    pub workspace: WorkspaceId,
    /// Its name.
    pub name: String,
    /// Events in its log.
    pub size: u64,
    /// How far its log has been followed.
    pub followed: Followed,
    /// When the first run falls due to be given up.
    pub overdue_at: Option<Moment>,
    /// When the first wake of the adapters that were named falls due.
    pub wake_at: Option<Moment>,
    /// When the first subject falls due that one of them looks at by itself.
    pub observe_at: Option<Moment>,
    /// How far the round has come that finds such subjects.
    pub subjects: SubjectRound,
}

const AGENDA: &str = "SELECT p.workspace_id, n.name, h.size, c.position, c.watched, c.swept_at, \
     c.sweep_dispatched, c.sweep_run, s.swept_at AS subjects_swept_at, s.after_key, \
     (SELECT min(r.abandon_at) FROM runs AS r WHERE r.workspace_id = p.workspace_id \
      AND r.generation = p.generation AND r.abandon_at IS NOT NULL) AS overdue_at, \
     (SELECT min(w.due_at) FROM reconciler_wakes AS w WHERE w.workspace_id = p.workspace_id \
      AND w.adapter IN ";
const AND_SUBJECTS: &str = ") AS wake_at, (SELECT min(o.due_at) FROM observer_wakes AS o \
     WHERE o.workspace_id = p.workspace_id AND o.adapter IN ";
const AGENDA_OF: &str = ") AS observe_at FROM projections AS p \
     JOIN heads AS h ON h.workspace_id = p.workspace_id \
     JOIN workspaces AS n ON n.workspace_id = p.workspace_id \
     LEFT JOIN reconciler_cursors AS c ON c.workspace_id = p.workspace_id \
     LEFT JOIN observer_rounds AS s ON s.workspace_id = p.workspace_id \
     WHERE p.live AND p.workspace_id = ";
const OF_WAKES: &str = "SELECT r.*, w.due_at AS wake_due_at, w.attempt AS wake_attempt, \
     w.looks AS wake_looks FROM reconciler_wakes AS w JOIN runs AS r \
     ON r.workspace_id = w.workspace_id AND r.run_id = w.run_id";
const OF_RUNS: &str = "SELECT r.*, w.due_at AS wake_due_at, w.attempt AS wake_attempt, \
     w.looks AS wake_looks FROM runs AS r LEFT JOIN reconciler_wakes AS w \
     ON w.workspace_id = r.workspace_id AND w.run_id = r.run_id";
const UNCLAIMED: &str = " AND NOT EXISTS (SELECT 1 FROM remote_claims AS c \
     WHERE c.workspace_id = w.workspace_id AND c.run_id = w.run_id AND c.leased_until > ";

#[derive(sqlx::FromRow)]
struct AgendaRow {
    workspace_id: Uuid,
    name: String,
    size: i64,
    position: Option<i64>,
    watched: Option<String>,
    swept_at: Option<i64>,
    sweep_dispatched: Option<i64>,
    sweep_run: Option<Uuid>,
    subjects_swept_at: Option<i64>,
    after_key: Option<Vec<u8>>,
    overdue_at: Option<i64>,
    wake_at: Option<i64>,
    observe_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct CandidateRow {
    #[sqlx(flatten)]
    run: RunRow,
    wake_due_at: Option<i64>,
    wake_attempt: Option<i64>,
    wake_looks: Option<i64>,
}

impl Projections {
    /// What there is for the reconciler in every workspace, a query for each: none sees the runs of
    /// two. `adapters` are those whose wakes count, `observers` those whose subjects do.
    pub async fn agenda(
        &self,
        adapters: &[String],
        observers: &[String],
    ) -> Result<Vec<Agenda>, ProjectionError> {
        let mut all = Vec::new();
        for (workspace, _) in self.store().workspaces().await? {
            let mut statement = Statement::new(AGENDA);
            statement.list(adapters).push(AND_SUBJECTS).list(observers);
            statement.push(AGENDA_OF).bind(workspace.0);
            let mut tx = Tx::read(self.store(), workspace).await?;
            let rows: Vec<AgendaRow> = statement.fetch(&mut tx).await?;
            for row in rows {
                all.push(agenda(row)?);
            }
        }
        Ok(all)
    }

    /// The runs that wake `adapter` at `at`, the longest due first, at most `limit`.
    pub async fn due(
        &self,
        workspace: WorkspaceId,
        adapter: &str,
        at: Moment,
        limit: u32,
    ) -> Result<Vec<Candidate>, ProjectionError> {
        self.woken(workspace, adapter, at, limit, "").await
    }

    /// The same, but for the runs on which a claim stands.
    pub async fn unclaimed(
        &self,
        workspace: WorkspaceId,
        adapter: &str,
        at: Moment,
        limit: u32,
    ) -> Result<Vec<Candidate>, ProjectionError> {
        self.woken(workspace, adapter, at, limit, UNCLAIMED).await
    }

    async fn woken(
        &self,
        workspace: WorkspaceId,
        adapter: &str,
        at: Moment,
        limit: u32,
        unless: &'static str,
    ) -> Result<Vec<Candidate>, ProjectionError> {
        let Some(Model { generation, .. }) = self.model(workspace).await? else {
            return Ok(Vec::new());
        };
        let mut statement = Statement::new(OF_WAKES);
        statement.push(" AND r.generation = ").bind(generation);
        statement.push(" WHERE w.workspace_id = ").bind(workspace.0);
        statement.push(" AND w.due_at <= ").bind(at.micros());
        statement.push(" AND w.adapter = ").bind(adapter);
        if !unless.is_empty() {
            statement.push(unless).bind(at.micros()).push(")");
        }
        statement.push(" ORDER BY w.due_at, w.run_id LIMIT ").bind(i64::from(limit));
        self.candidates(workspace, statement).await
    }

    /// The runs of these operation types that are to be given up at `at`, the longest due first, at
    /// most `limit`.
    pub async fn to_give_up(
        &self,
        workspace: WorkspaceId,
        operations: Selection<'_>,
        at: Moment,
        limit: u32,
    ) -> Result<Vec<Candidate>, ProjectionError> {
        let Some(model) = self.model(workspace).await? else { return Ok(Vec::new()) };
        let mut statement = Statement::new(OF_RUNS);
        statement.scope("r.", model);
        statement.push(" AND r.abandon_at IS NOT NULL AND r.abandon_at <= ").bind(at.micros());
        operations.push(&mut statement);
        statement.push(" ORDER BY r.abandon_at LIMIT ").bind(i64::from(limit));
        self.candidates(workspace, statement).await
    }

    /// One run, whether it is due or not; none if nothing is recorded of it.
    pub async fn candidate(
        &self,
        workspace: WorkspaceId,
        run: RunId,
    ) -> Result<Option<Candidate>, ProjectionError> {
        let Some(model) = self.model(workspace).await? else { return Ok(None) };
        let mut statement = Statement::new(OF_RUNS);
        statement.scope("r.", model).push(" AND r.run_id = ").bind(run.0);
        Ok(self.candidates(workspace, statement).await?.pop())
    }

    async fn candidates(
        &self,
        workspace: WorkspaceId,
        statement: Statement,
    ) -> Result<Vec<Candidate>, ProjectionError> {
        let mut tx = Tx::read(self.store(), workspace).await?;
        let rows: Vec<CandidateRow> = statement.fetch(&mut tx).await?;
        Ok(rows.into_iter().map(CandidateRow::candidate).collect::<Result<_, _>>()?)
    }
}

impl Selection<'_> {
    /// ` AND r.operation …`, where it leaves anything out.
    fn push(self, statement: &mut Statement) {
        match self {
            Selection::These(names) => {
                statement.push(" AND r.operation IN ").list(names);
            }
            Selection::Others([]) => {}
            Selection::Others(names) => {
                statement.push(" AND r.operation NOT IN ").list(names);
            }
        }
    }
}

impl CandidateRow {
    fn candidate(self) -> Result<Candidate, StoreError> {
        let wake = self.wake_due_at.map(|due_at| Wake {
            due_at: Moment::from_micros(due_at),
            attempt: small(self.wake_attempt),
            looks: small(self.wake_looks),
        });
        Ok(Candidate {
            run_id: self.run.id(),
            run: self.run.run()?,
            deadline: self.run.deadline.map(Moment::from_micros),
            give_up_at: self.run.abandon_at.map(Moment::from_micros),
            wake,
        })
    }
}

fn agenda(row: AgendaRow) -> Result<Agenda, StoreError> {
    let round = row.sweep_dispatched.zip(row.sweep_run);
    Ok(Agenda {
        workspace: WorkspaceId(row.workspace_id),
        name: row.name,
        size: u64::try_from(row.size).unwrap_or_default(),
        followed: Followed {
            position: row.position.and_then(|at| u64::try_from(at).ok()).unwrap_or_default(),
            watched: log::watched(row.watched.as_deref())?,
            round: Round {
                swept_at: row.swept_at.map(Moment::from_micros),
                after: round.map(|(at, run)| (Moment::from_micros(at), RunId(run))),
            },
        },
        overdue_at: row.overdue_at.map(Moment::from_micros),
        wake_at: row.wake_at.map(Moment::from_micros),
        observe_at: row.observe_at.map(Moment::from_micros),
        subjects: SubjectRound {
            swept_at: row.subjects_swept_at.map(Moment::from_micros),
            after: row.after_key,
        },
    })
}

fn small(count: Option<i64>) -> u32 {
    count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default()
}
