//! What was dispatched of late, run by run, for a picture of how it went.

use runledger_ledger::time::Moment;
use runledger_ledger::words::Outcome;

use super::counts::word;
use super::statement::Statement;
use crate::db::Tx;
use crate::rules::actionability::Actionability;
use crate::view::{View, ViewError};

/// The runs that were dispatched since a moment, the newest first, as far as was looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentRuns {
    /// The runs.
    pub runs: Vec<RecentRun>,
    /// If there are more: whatever was dispatched before this has not been looked at.
    pub scanned_to: Option<Moment>,
}

/// How one of them stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentRun {
    /// When it was dispatched.
    pub dispatched_at: Moment,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it needs a person, and if not, why not.
    pub actionability: Actionability,
}

impl RecentRuns {
    /// Most runs that are looked at.
    pub const MOST: usize = 5_000;
}

const RECENT: &str = "SELECT dispatched_at, environment, outcome, actionability FROM runs";

impl View {
    /// The last runs dispatched since `since`, in the workspace or in one environment of it (the
    /// empty name is the workspace's own runs): [`RecentRuns::MOST`] are looked at. One statement.
    pub async fn recent_runs(
        &self,
        environment: Option<&str>,
        since: Moment,
    ) -> Result<RecentRuns, ViewError> {
        let mut reading = self.read().await?;
        let mut statement = Statement::new(RECENT);
        if let Tx::Sqlite(_) = reading.tx {
            // Without statistics it might walk through the index of some other list.
            statement.push(" INDEXED BY runs_by_time");
        }
        statement.scope("", reading.model()).push(" AND dispatched_at >= ").bind(since.micros());
        statement.seen("environment", &reading.sight);
        statement.push(" ORDER BY dispatched_at DESC, run_id DESC LIMIT 5000");
        let rows: Vec<(i64, String, i16, i16)> = statement.fetch(&mut reading.tx).await?;
        let full = rows.len() >= RecentRuns::MOST;
        let oldest = rows.last().map(|row| Moment::from_micros(row.0));
        let mut runs = Vec::with_capacity(rows.len());
        for (dispatched_at, of, outcome, actionability) in rows {
            if environment.is_some_and(|environment| environment != of) {
                continue;
            }
            runs.push(RecentRun {
                dispatched_at: Moment::from_micros(dispatched_at),
                outcome: word(Outcome::ALL, outcome)?,
                actionability: word(Actionability::ALL, actionability)?,
            });
        }
        Ok(RecentRuns { runs, scanned_to: oldest.filter(|_| full) })
    }
}
