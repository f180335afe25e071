//! What an overview begins with, of one moment and in one reading: each part by itself would begin a
//! transaction, and look for the truth of queues again.

use std::sync::Arc;

use super::counts::{Counts, Health, health};
use super::follow_ups::{FollowUpItem, oldest};
use super::operations::{OperationStanding, operation_standings};
use super::queues::{QueueStanding, QueueTruths};
use super::statement::Statement;
use crate::db::Tx;
use crate::rules::standing::Standing;
use crate::tables::RunRow;
use crate::view::{Reading, View, ViewError};

/// What an overview begins with.
#[derive(Clone, Debug)]
pub struct Front {
    /// The oldest things to do under each verdict, in the order of [`Counts::follow_ups`].
    pub oldest: [Vec<FollowUpItem>; 2],
    /// The runs that have been overdue for longest.
    pub stale: Vec<Standing>,
    /// Every operation type of the catalog in force, in its order, then those that it does not name.
    pub operations: Vec<OperationStanding>,
    /// Every queue that a run or a worker has named, by connection and name.
    pub queues: Vec<QueueStanding>,
    /// Where the read models stand against the log.
    pub health: Health,
}

impl View {
    /// What an overview of an environment or of all begins with: at most `items` things to do under each
    /// verdict, and at most `stale` overdue runs. What `counts` counts none of is not asked. Fourteen
    /// statements at most.
    pub async fn front(
        &self,
        environment: Option<&str>,
        counts: &Counts,
        items: u16,
        stale: u16,
    ) -> Result<Front, ViewError> {
        let mut reading = self.read().await?;
        let truths = QueueTruths::all(&mut reading).await?;
        let queues = truths.standings().collect();
        reading.queues = Some(Arc::new(truths));
        let oldest = match counts.follow_up_items {
            0 => Default::default(),
            _ => oldest(&mut reading, environment, items).await?,
        };
        let stale = match counts.active_stale {
            0 => Vec::new(),
            _ => longest_overdue(&mut reading, environment, stale).await?,
        };
        Ok(Front {
            oldest,
            stale,
            operations: operation_standings(&mut reading, environment).await?,
            queues,
            health: health(&mut reading).await?,
        })
    }
}

/// The runs that have been overdue for longest. What has not ended is little, and stands in an index of
/// its own that holds all that decides here: it is put in order of the deadline when it is asked for.
async fn longest_overdue(
    reading: &mut Reading,
    environment: Option<&str>,
    most: u16,
) -> Result<Vec<Standing>, ViewError> {
    let mut statement = Statement::select("SELECT * FROM runs", reading.model());
    statement.push(match reading.tx {
        Tx::Postgres(_) => " AND run_id IN (SELECT run_id FROM runs",
        Tx::Sqlite(_) => " AND run_id IN (SELECT run_id FROM runs INDEXED BY runs_active",
    });
    statement.scope("", reading.model());
    statement.push(" AND status < 2 AND deadline <= ").bind(reading.at.micros());
    if let Some(environment) = environment {
        statement.push(" AND environment = ").bind(environment);
    }
    statement.seen("environment", &reading.sight);
    statement.push(" ORDER BY deadline, run_id LIMIT ").bind(i64::from(most)).push(")");
    let mut rows: Vec<RunRow> = statement.fetch(&mut reading.tx).await?;
    rows.sort_by_key(|row| (row.deadline, row.run_id));
    reading.standings(&rows).await
}
