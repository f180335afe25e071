//! What was dispatched of late, counted piece of time by piece, for a picture of how it went.

use std::collections::BTreeMap;

use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::Outcome;

use super::counts::{count, word};
use super::statement::Statement;
use crate::db::Tx;
use crate::rules::actionability::Actionability;
use crate::view::{View, ViewError};

/// The runs that were dispatched since a moment, as far as was looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecentRuns {
    /// The runs, by when they were dispatched and how they stand.
    pub runs: Vec<RecentCount>,
    /// If there are more: whatever was dispatched before this has not been looked at.
    pub scanned_to: Option<Moment>,
}

/// How many runs of a piece of time stand in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentCount {
    /// Which piece of time, counted from the moment asked about.
    pub piece: u64,
    /// How they ended.
    pub outcome: Outcome,
    /// Whether they need a person, and if not, why not.
    pub actionability: Actionability,
    /// So many.
    pub runs: u64,
}

impl RecentRuns {
    /// Most runs that are looked at.
    pub const MOST: u64 = 5_000;
}

/// What left the list of what needs a person, by what closed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// How many runs each verdict closed.
    pub runs: BTreeMap<Actionability, u64>,
    /// Whether there are more than were looked at.
    pub more: bool,
}

// Counted where they lie: some rows are read from the database, and not thousands.
const LEFT: &str =
    "SELECT actionability, CAST(count(*) AS bigint) FROM (SELECT actionability FROM runs";
const RECENT: &str = "SELECT CAST((dispatched_at - ";
const KINDS: &str = " AS bigint) AS piece, outcome, actionability, meant, \
     CAST(count(*) AS bigint), min(dispatched_at) \
     FROM (SELECT dispatched_at, outcome, actionability, ";
/// Piece, outcome, actionability, whether its environment is meant, runs, the oldest.
type KindRow = (i64, i16, i16, i64, i64, i64);

impl View {
    /// What has left the list of what needs a person since a moment, in the workspace or in one
    /// environment of it: [`RecentRuns::MOST`] are looked at, those that left last. One statement.
    pub async fn left_since(
        &self,
        environment: Option<&str>,
        since: Moment,
    ) -> Result<Left, ViewError> {
        let mut reading = self.read().await?;
        let mut statement = Statement::new(LEFT);
        if let Tx::Sqlite(_) = reading.tx {
            statement.push(" INDEXED BY runs_by_leaving");
        }
        statement.scope("", reading.model()).push(" AND left_at IS NOT NULL AND left_at >= ");
        statement.bind(since.micros());
        if let Some(environment) = environment {
            statement.push(" AND environment = ").bind(environment);
        }
        statement.seen("environment", &reading.sight);
        statement.push(" ORDER BY left_at DESC, run_id DESC LIMIT 5000) AS latest GROUP BY 1");
        let rows: Vec<(i16, i64)> = statement.fetch(&mut reading.tx).await?;
        let mut left = Left::default();
        for (actionability, runs) in rows {
            left.runs.insert(word(Actionability::ALL, actionability)?, count(runs));
        }
        left.more = left.runs.values().sum::<u64>() >= RecentRuns::MOST;
        Ok(left)
    }

    /// The last runs dispatched since `since`, in pieces of `piece`, in the workspace or in one
    /// environment of it (the empty name is the workspace's own runs): [`RecentRuns::MOST`] are
    /// looked at. One statement.
    pub async fn recent_runs(
        &self,
        environment: Option<&str>,
        since: Moment,
        piece: Span,
    ) -> Result<RecentRuns, ViewError> {
        let mut reading = self.read().await?;
        let mut statement = Statement::new(RECENT);
        statement.bind(since.micros()).push(") / ").bind(piece.micros().max(1)).push(KINDS);
        match environment {
            Some(environment) => {
                statement.push("CAST(CASE WHEN environment = ").bind(environment);
                statement.push(" THEN 1 ELSE 0 END AS bigint) AS meant FROM runs");
            }
            None => {
                statement.push("CAST(1 AS bigint) AS meant FROM runs");
            }
        }
        if let Tx::Sqlite(_) = reading.tx {
            // Without statistics it might walk through the index of some other list.
            statement.push(" INDEXED BY runs_by_time");
        }
        statement.scope("", reading.model()).push(" AND dispatched_at >= ").bind(since.micros());
        statement.seen("environment", &reading.sight);
        statement.push(" ORDER BY dispatched_at DESC, run_id DESC LIMIT 5000) AS latest");
        statement.push(" GROUP BY 1, 2, 3, 4");
        let rows: Vec<KindRow> = statement.fetch(&mut reading.tx).await?;
        let looked: u64 = rows.iter().map(|row| count(row.4)).sum();
        let oldest = rows.iter().map(|row| row.5).min().map(Moment::from_micros);
        let mut runs = Vec::with_capacity(rows.len());
        for (piece, outcome, actionability, meant, of, _) in rows {
            if meant == 1 {
                runs.push(RecentCount {
                    piece: count(piece),
                    outcome: word(Outcome::ALL, outcome)?,
                    actionability: word(Actionability::ALL, actionability)?,
                    runs: count(of),
                });
            }
        }
        Ok(RecentRuns { runs, scanned_to: oldest.filter(|_| looked >= RecentRuns::MOST) })
    }
}
