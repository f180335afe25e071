//! Following the log for those who judge, and the rounds that find what no event told of.

use std::collections::HashMap;

use runledger_ledger::event::{AggregateType, AnyEvent, Recorded};
use runledger_ledger::run::RunEvent;
use runledger_ledger::store::{StoreError, StoredEvent};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{RunId, WorkspaceId};
use uuid::Uuid;

use super::{Candidate, CandidateRow, Selection};
use crate::db::Tx;
use crate::projections::Projections;
use crate::projector::{ProjectionError, signed};
use crate::query::Statement;

/// How far a log has been followed, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Events looked at so far: the next position.
    pub position: u64,
    /// The operation types whose events were looked at.
    pub watched: Vec<String>,
    /// The round over what is active.
    pub round: Round,
}

/// How far a round over the active runs has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// When the last piece was looked through; none before the first one.
    pub swept_at: Option<Moment>,
    /// Where the next piece begins: after this dispatch and run; none at the beginning.
    pub after: Option<(Moment, RunId)>,
}

/// What the log says of runs of some operation types, and these runs as they are now. An event may
/// not be the last one of its run.
#[derive(Clone, Debug, Default)]
pub struct RunNews {
    /// The events, in order.
    pub events: Vec<(RunId, RunEvent)>,
    /// Their runs.
    pub runs: HashMap<RunId, Candidate>,
}

/// Active runs past their deadline that nobody looks at, in one piece of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// The runs, each with its operation type.
    pub runs: Vec<(RunId, String)>,
    /// Where the next piece begins; none if the round is over.
    pub after: Option<(Moment, RunId)>,
}

const NEWS: &str = "SELECT e.position AS event_position, e.body AS event_body, \
     e.leaf_hash AS event_leaf, r.*, w.due_at AS wake_due_at, w.attempt AS wake_attempt, \
     w.looks AS wake_looks FROM events AS e \
     JOIN runs AS r ON r.workspace_id = e.workspace_id AND r.run_id = e.aggregate_id \
     LEFT JOIN reconciler_wakes AS w ON w.workspace_id = r.workspace_id AND w.run_id = r.run_id";
const PIECE: &str = "SELECT r.dispatched_at, r.run_id, r.operation, (r.deadline IS NOT NULL \
     AND NOT EXISTS (SELECT 1 FROM reconciler_wakes AS w \
     WHERE w.workspace_id = r.workspace_id AND w.run_id = r.run_id)";

#[derive(sqlx::FromRow)]
struct NewsRow {
    event_position: i64,
    event_body: Vec<u8>,
    event_leaf: Vec<u8>,
    #[sqlx(flatten)]
    candidate: CandidateRow,
}

impl Projections {
    /// What the log says from position `from` up to, not including, `to` of runs of these operation
    /// types. The read models must have folded all of it.
    pub async fn run_news(
        &self,
        workspace: WorkspaceId,
        operations: &[String],
        from: u64,
        to: u64,
    ) -> Result<RunNews, ProjectionError> {
        let Some(model) = self.model(workspace).await? else { return Ok(RunNews::default()) };
        let mut statement = Statement::new(NEWS);
        statement.scope("r.", model);
        statement.push(" AND e.workspace_id = ").bind(workspace.0);
        statement.push(" AND e.aggregate_type = ").bind(AggregateType::Run.number());
        statement.push(" AND e.position >= ").bind(signed(from));
        statement.push(" AND e.position < ").bind(signed(to));
        Selection::These(operations).push(&mut statement);
        statement.push(" ORDER BY e.position");
        let rows: Vec<NewsRow> =
            statement.fetch(&mut Tx::read(self.store(), workspace).await?).await?;
        let mut news = RunNews::default();
        for NewsRow { event_position, event_body, event_leaf, candidate } in rows {
            let position = u64::try_from(event_position).unwrap_or_default();
            let (body, leaf_hash) = (event_body, event_leaf);
            let event = StoredEvent { position, body, leaf_hash, recorded_at: 0 };
            let events = self.store().bring_back(workspace, vec![event]).await?;
            let Some(event) = events.into_iter().next() else { continue };
            let recorded = Recorded::decode(&event.body)
                .map_err(|error| StoreError::Corrupt(format!("an event: {error}")))?;
            let AnyEvent::Run(event) = recorded.fact.event else { continue };
            let run = candidate.run.id();
            news.events.push((run, event));
            if let std::collections::hash_map::Entry::Vacant(place) = news.runs.entry(run) {
                place.insert(candidate.candidate()?);
            }
        }
        Ok(news)
    }

    /// One piece of a round over the active runs: those of these operation types that are past
    /// their deadline at `at` and have no wake. `window` runs are looked at, wherever they stand.
    pub async fn forgotten(
        &self,
        workspace: WorkspaceId,
        operations: &[String],
        at: Moment,
        after: Option<(Moment, RunId)>,
        window: u32,
    ) -> Result<Forgotten, ProjectionError> {
        let Some(model) = self.model(workspace).await? else { return Ok(Forgotten::default()) };
        let mut statement = Statement::new(PIECE);
        statement.push(" AND r.deadline <= ").bind(at.micros());
        Selection::These(operations).push(&mut statement);
        statement.push(") AS forgotten FROM runs AS r").scope("r.", model);
        statement.push(" AND r.status < 2");
        if let Some((dispatched_at, run)) = after {
            statement.push(" AND (r.dispatched_at, r.run_id) > (").bind(dispatched_at.micros());
            statement.push(", ").bind(run.0).push(")");
        }
        statement.push(" ORDER BY r.dispatched_at, r.run_id LIMIT ").bind(i64::from(window));
        let rows: Vec<(i64, Uuid, String, bool)> =
            statement.fetch(&mut Tx::read(self.store(), workspace).await?).await?;
        let full = rows.len() == usize::try_from(window).unwrap_or(usize::MAX);
        let place = |row: &(i64, Uuid, String, bool)| (Moment::from_micros(row.0), RunId(row.1));
        let after = rows.last().filter(|_| full).map(place);
        let forgotten = rows.into_iter().filter(|row| row.3);
        Ok(Forgotten { runs: forgotten.map(|row| (RunId(row.1), row.2)).collect(), after })
    }
}

pub(super) fn watched(stored: Option<&str>) -> Result<Vec<String>, StoreError> {
    stored.map_or(Ok(Vec::new()), serde_json::from_str).map_err(|error| {
        StoreError::Corrupt(format!("the operation types that were followed: {error}"))
    })
}
