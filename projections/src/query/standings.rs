//! Standings of a page of runs: the rows, and the truth of every queue that they name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use runledger_ledger::store::StoreError;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, RunId};
use uuid::Uuid;

use super::queues::QueueTruths;
use super::statement::Statement;
use crate::fold::QueueKey;
use crate::rules::actionability::{Evidence, Observation, Proof};
use crate::rules::standing::{Parts, Standing};
use crate::tables::RunRow;
use crate::view::{Reading, View, ViewError};
use runledger_ledger::subject::SubjectState;

/// Most runs in one statement.
const RUNS: usize = 512;

impl View {
    /// The standing of a run; none if nothing is recorded of it.
    pub async fn run(&self, id: RunId) -> Result<Option<Standing>, ViewError> {
        Ok(self.standings(&[id]).await?.pop())
    }

    /// The standings of these runs, in this order; one of which nothing is recorded is left out.
    pub async fn standings(&self, ids: &[RunId]) -> Result<Vec<Standing>, ViewError> {
        let mut reading = self.read().await?;
        let wanted: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let mut standings = Vec::with_capacity(ids.len());
        for wanted in wanted.chunks(RUNS) {
            let rows = reading.rows(wanted).await?;
            standings.extend(reading.standings(&rows).await?);
        }
        Ok(standings)
    }
}

impl View {
    /// Which of these runs are there. One statement; none if nothing is asked.
    pub async fn there(&self, ids: &[RunId]) -> Result<BTreeSet<RunId>, ViewError> {
        if ids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut reading = self.read().await?;
        let ids: Vec<Uuid> = ids.iter().take(RUNS).map(|id| id.0).collect();
        Ok(reading.there(&ids).await?)
    }
}

impl View {
    /// Of these runs, `RUNS` at most, those that are there, and when each settled. One statement,
    /// whatever is asked: a page costs the same whatever is on it.
    pub async fn ends(&self, ids: &[RunId]) -> Result<BTreeMap<RunId, Option<Moment>>, ViewError> {
        let mut reading = self.read().await?;
        let mut ids: Vec<Uuid> = ids.iter().take(RUNS).map(|id| id.0).collect();
        if ids.is_empty() {
            ids.push(Uuid::nil());
        }
        let mut statement = Statement::select(ENDS, reading.model());
        statement.push(" AND run_id IN ").list(&ids).seen("environment", &reading.sight);
        let rows: Vec<(Uuid, Option<i64>)> = statement.fetch(&mut reading.tx).await?;
        let end = |(id, at): (Uuid, Option<i64>)| (RunId(id), at.map(Moment::from_micros));
        Ok(rows.into_iter().map(end).collect())
    }

    /// The environment of each of these runs that are there, `RUNS` at most; the empty name is the
    /// workspace's own. One statement; none if nothing is asked.
    pub async fn environments_of(
        &self,
        ids: &[RunId],
    ) -> Result<BTreeMap<RunId, String>, ViewError> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut reading = self.read().await?;
        let ids: Vec<Uuid> = ids.iter().take(RUNS).map(|id| id.0).collect();
        let mut statement = Statement::select(ENVIRONMENTS, reading.model());
        statement.push(" AND run_id IN ").list(&ids).seen("environment", &reading.sight);
        let rows: Vec<(Uuid, String)> = statement.fetch(&mut reading.tx).await?;
        Ok(rows.into_iter().map(|(id, environment)| (RunId(id), environment)).collect())
    }
}

const ENDS: &str = "SELECT run_id, settled_at FROM runs";
const ENVIRONMENTS: &str = "SELECT run_id, environment FROM runs";

const LEAVINGS: &str = "SELECT run_id, left_at FROM runs";

impl View {
    /// When each of these runs, `RUNS` at most, left the list of what needs a person; those that are
    /// on it, or never were, are not told. One statement, whatever is asked.
    pub async fn leavings(&self, ids: &[RunId]) -> Result<BTreeMap<RunId, Moment>, ViewError> {
        let mut reading = self.read().await?;
        let mut ids: Vec<Uuid> = ids.iter().take(RUNS).map(|id| id.0).collect();
        if ids.is_empty() {
            ids.push(Uuid::nil());
        }
        let mut statement = Statement::select(LEAVINGS, reading.model());
        statement.push(" AND left_at IS NOT NULL AND run_id IN ").list(&ids);
        statement.seen("environment", &reading.sight);
        let rows: Vec<(Uuid, i64)> = statement.fetch(&mut reading.tx).await?;
        Ok(rows.into_iter().map(|(id, at)| (RunId(id), Moment::from_micros(at))).collect())
    }
}

impl Reading {
    /// The rows of these runs, those that there are, in this order: the pages of a list, or [`RUNS`]
    /// of them.
    pub(crate) async fn rows(&mut self, ids: &[Uuid]) -> Result<Vec<RunRow>, StoreError> {
        let mut statement = Statement::select("SELECT * FROM runs", self.model());
        statement.push(" AND run_id IN ").list(ids).seen("environment", &self.sight);
        let mut rows: Vec<RunRow> = statement.fetch(&mut self.tx).await?;
        let mut places = HashMap::with_capacity(ids.len());
        for (place, id) in ids.iter().enumerate() {
            places.entry(*id).or_insert(place);
        }
        rows.sort_by_key(|row| places.get(&row.run_id).copied());
        Ok(rows)
    }

    /// The standings of these rows, in their order. Two statements, however many there are, and none if
    /// the truth of every queue is known already.
    pub(crate) async fn standings(&mut self, rows: &[RunRow]) -> Result<Vec<Standing>, ViewError> {
        let truths = match &self.queues {
            Some(all) => Arc::clone(all),
            None => {
                let queues: Vec<QueueKey> = rows.iter().filter_map(queue_key).collect();
                Arc::new(QueueTruths::of(self, &queues).await?)
            }
        };
        let standings = rows.iter().map(|row| self.standing(row, &truths));
        let mut standings = standings.collect::<Result<Vec<_>, StoreError>>()?;
        self.hide_unseen(&mut standings).await?;
        Ok(standings)
    }

    /// Takes out what leads to runs that the reader does not see, or that are not there: nobody is told
    /// which. One more statement a page, and only for who is held to environments.
    async fn hide_unseen(&mut self, standings: &mut [Standing]) -> Result<(), StoreError> {
        if !self.sight.is_narrowed() {
            return Ok(());
        }
        let leads = standings.iter().flat_map(|standing| standing.recorded.leads());
        let ids: Vec<Uuid> = leads.map(|run| run.0).collect::<BTreeSet<_>>().into_iter().collect();
        let mut seen = BTreeSet::new();
        for ids in ids.chunks(RUNS) {
            seen.extend(self.there(ids).await?);
        }
        for standing in standings {
            standing.recorded.keep_leads(|run| seen.contains(&run));
        }
        Ok(())
    }

    /// Which of these runs, `RUNS` at most, are there and seen.
    async fn there(&mut self, ids: &[Uuid]) -> Result<BTreeSet<RunId>, StoreError> {
        let mut statement = Statement::select("SELECT run_id FROM runs", self.model());
        statement.push(" AND run_id IN ").list(ids).seen("environment", &self.sight);
        let rows: Vec<(Uuid,)> = statement.fetch(&mut self.tx).await?;
        Ok(rows.into_iter().map(|(id,)| RunId(id)).collect())
    }

    fn standing(&self, row: &RunRow, queues: &QueueTruths) -> Result<Standing, StoreError> {
        let run = row.run()?;
        let name = run.operation.as_ref().map_or("", Name::as_str);
        let operation = self.checkpoint.catalog.operation(name);
        let parts = Parts {
            run_id: row.id(),
            run: &run,
            operation: &operation,
            blind: &self.checkpoint.blind,
            queue: queue_key(row).map(|key| queues.truth(&key)),
            evidence: &evidence(row)?,
            has_adapter: operation.adapter.is_some() || self.owners.contains_key(operation.name),
            at: self.at,
        };
        Ok(self.sight.of(Standing::assemble(&parts, self.texts)))
    }
}

fn queue_key(row: &RunRow) -> Option<QueueKey> {
    (!row.queue.is_empty()).then(|| (row.connection.clone(), row.queue.clone()))
}

/// The evidence that a row's verdict rests on. The projector has weighed all there was; what made
/// no difference then makes none now.
fn evidence(row: &RunRow) -> Result<Evidence, StoreError> {
    let proof: Option<Proof> =
        row.proof.as_deref().map(serde_json::from_str).transpose().map_err(|error| {
            StoreError::Corrupt(format!("the proof of run {} cannot be read: {error}", row.run_id))
        })?;
    let observation = match proof {
        Some(Proof::Observation { position, verified_at }) => {
            Some(Observation { state: SubjectState::Healthy, verified_at, position })
        }
        _ => None,
    };
    Ok(Evidence { superseding: row.superseding(), observation })
}
