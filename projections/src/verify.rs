//! Verification (DESIGN section 10): the log is checked event by event, every read model is derived
//! from it anew, and each row that is not what it should be is named.

mod beside;
mod rows;

use std::collections::BTreeMap;
use std::time::Duration;

use runledger_ledger::audit::{self, ArchivedRange, Audit};
use runledger_ledger::correlation::{self, Discrepancy};
use runledger_ledger::store::{Store, StoreError, StoredEvent};
use runledger_ledger::words::WorkspaceId;
use serde::Serialize;

use self::rows::TABLES;
use crate::ahead::Ahead;
use crate::as_of::{self, Replayed};
use crate::db::Tx;
use crate::follower;
use crate::projections::Projections;
use crate::projector::{self, Checkpoint, ProjectionError, Seen, VERSION};
use crate::query::Statement;

/// Most differences that are told one by one.
const MOST: usize = 1_000;
/// How often the live read models are looked at again when they were put in another place.
const ATTEMPTS: usize = 5;
/// How long a catalog may take to come into force until it counts as stuck.
const CATALOG: Duration = Duration::from_secs(60);
/// Events that the live read models are ahead by, folded at a time.
const PAGE: i64 = 1_000;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Events checked.
    pub events: u64,
    /// The root of the tree over them, in hexadecimal.
    pub root: String,
    /// Rows of the live read models that were compared. None where the log itself is damaged, or
    /// the read models are of another version: then nothing can be said of them.
    pub rows: Option<u64>,
    /// What differs: the first thousand.
    pub differences: Vec<Difference>,
    /// How many more there are.
    pub more: u64,
    /// Positions whose bodies two people have had erased, each with its erasure. That is as it
    /// should be.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub erased: BTreeMap<u64, String>,
    /// Ranges of which bodies are in an archive. That is as it should be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub archived: Vec<ArchivedRange>,
    /// Why the read models were not compared although the log is intact: they follow from bodies in
    /// an archive that cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_compared: Option<String>,
}

impl Verification {
    /// Whether all is as it should be.
    pub fn is_intact(&self) -> bool {
        self.differences.is_empty() && (self.rows.is_some() || self.not_compared.is_some())
    }

    fn add(&mut self, difference: Difference) {
        if self.differences.len() < MOST {
            self.differences.push(difference);
        } else {
            self.more += 1;
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "in", rename_all = "snake_case")]
pub enum Difference {
    /// In the log.
    Log {
        /// The event; none if it is the head of the log.
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<u64>,
        /// What is wrong.
        problem: String,
    },
    /// In a row of a read model, or of what the ledger itself derives from the log.
    Row {
        /// The table.
        table: &'static str,
        /// The row, by the columns of its key.
        row: String,
        /// The column; none if the row is there and should not be, or the other way round.
        #[serde(skip_serializing_if = "Option::is_none")]
        column: Option<String>,
        /// What is stored; none if there is no such row.
        #[serde(skip_serializing_if = "Option::is_none")]
        stored: Option<String>,
        /// What follows from the log; none if no such row does.
        #[serde(skip_serializing_if = "Option::is_none")]
        derived: Option<String>,
    },
    /// In the read models as a whole.
    Models {
        /// What is wrong.
        problem: String,
    },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Difference::Log { position: Some(position), problem } => {
                write!(f, "the event at position {position}: {problem}")
            }
            Difference::Log { position: None, problem } => write!(f, "the log: {problem}"),
            Difference::Models { problem } => write!(f, "the read models: {problem}"),
            Difference::Row { table, row, column, stored, derived } => {
                write!(f, "the row {row} of {table}: ")?;
                match (column, stored, derived) {
                    (Some(column), Some(stored), Some(derived)) => {
                        write!(f, "{column} is {stored}, and should be {derived}")
                    }
                    (_, None, _) => write!(f, "it is missing"),
                    _ => write!(f, "it should not be there"),
                }
            }
        }
    }
}

/// How far a verification has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyProgress {
    /// What is being done.
    pub step: VerifyStep,
    /// How much of it is done.
    pub done: u64,
    /// Of how much, as far as is known.
    pub of: u64,
}

/// The steps of a verification, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyStep {
    /// The events of the log are checked.
    Log,
    /// Events are folded into read models of their own.
    Derive,
    /// Rows are compared; of how many is not known before the end.
    Compare,
}

impl Projections {
    /// Checks the log of a workspace, and its live read models against those that follow from the
    /// log, and the keys that active runs hold. Memory is bounded by a page and those keys; what is
    /// derived lies in a scratch database.
    ///
    /// # Errors
    /// [`ProjectionError::NoModel`] if there is no such workspace; what is damaged is no error, but
    /// a difference.
    pub async fn verify(
        &self,
        workspace: WorkspaceId,
        progress: &(dyn Fn(VerifyProgress) + Sync),
    ) -> Result<Verification, ProjectionError> {
        let store = self.store();
        let tell = |done, of| progress(VerifyProgress { step: VerifyStep::Log, done, of });
        let Some(log) = audit::audit(store, workspace, &tell).await? else {
            return Err(ProjectionError::NoModel);
        };
        let mut found = Verification {
            events: log.size,
            root: hex::encode(log.root),
            more: log.more,
            erased: log.erased,
            archived: log.archived,
            ..Verification::default()
        };
        let Audit { flaws, .. } = log;
        for flaw in flaws {
            found.add(Difference::Log {
                position: flaw.position,
                problem: flaw.problem.to_string(),
            });
        }
        let mut tx = Tx::read(store, workspace).await?;
        beside::events(&mut tx, workspace, &mut found).await?;
        // Memory has one connection, and what comes next needs it.
        drop(tx);
        if found.differences.is_empty() {
            match self.derived(workspace, progress, &mut found).await {
                Err(ProjectionError::Store(StoreError::Archived(archived))) => {
                    (found.not_compared, found.rows) = (Some(archived.to_string()), None);
                }
                compared => compared?,
            }
        }
        Ok(found)
    }

    /// Compares all that follows from the log.
    async fn derived(
        &self,
        workspace: WorkspaceId,
        progress: &(dyn Fn(VerifyProgress) + Sync),
        found: &mut Verification,
    ) -> Result<(), ProjectionError> {
        correlations(self.store(), workspace, found).await?;
        compare(self, workspace, progress, found).await
    }
}

/// Compares what external ids name with what the log says.
async fn correlations(
    store: &Store,
    workspace: WorkspaceId,
    found: &mut Verification,
) -> Result<(), StoreError> {
    for Discrepancy { key, run, stored } in correlation::check(store, workspace).await? {
        let claimed = || "claimed".to_owned();
        found.add(Difference::Row {
            table: "correlations",
            row: format!("key={} run_id={run}", hex::encode(key.0)),
            column: None,
            stored: stored.then(claimed),
            derived: (!stored).then(claimed),
        });
    }
    Ok(())
}

/// Derives the read models and compares them with the live ones.
async fn compare(
    projections: &Projections,
    workspace: WorkspaceId,
    progress: &(dyn Fn(VerifyProgress) + Sync),
    found: &mut Verification,
) -> Result<(), ProjectionError> {
    let store = projections.store();
    let mut known = projections.inner.live(workspace).await?.ok_or(ProjectionError::NoModel)?;
    if known.version != VERSION {
        let problem = format!("they are of version {}, not {VERSION}; rebuild them", known.version);
        found.add(Difference::Models { problem });
        return Ok(());
    }
    let mut derived = as_of::begin(workspace).await?;
    let mut ahead = Ahead::new(store, workspace, follower::PAGE);
    while derived.checkpoint.position < known.position {
        let (before, of) = (derived.checkpoint.position, known.position);
        derived.checkpoint =
            follower::advance(&mut ahead, &derived.store, &derived.checkpoint, of).await?;
        let done = derived.checkpoint.position;
        progress(VerifyProgress { step: VerifyStep::Derive, done, of });
        if done == before {
            found.add(ahead_of_log(of, done));
            return Ok(());
        }
    }
    drop(ahead);
    for _ in 0..ATTEMPTS {
        let mut tx = Tx::read(store, workspace).await?;
        let seen = known.seen_in(&mut tx).await?;
        if let Seen::Here(live) = &seen
            && live.is_between_catalogs()
        {
            drop(tx);
            if !another_catalog_is_there(projections, workspace).await? {
                let problem = "a catalog is coming into force and does not go on; start the server, \
                               and verify again";
                found.add(Difference::Models { problem: problem.to_owned() });
                return Ok(());
            }
            known = projections.inner.live(workspace).await?.ok_or(ProjectionError::NoModel)?;
            continue;
        }
        if let Seen::Here(live) = seen
            && live.position >= derived.checkpoint.position
        {
            if !follow_up_to(store, &mut tx, &mut derived, live.position).await? {
                found.add(ahead_of_log(live.position, derived.checkpoint.position));
                return Ok(());
            }
            let mut rows = compare_with(&mut tx, &live, &derived, progress, found).await?;
            // Reservations are written with the events: they are of the end of the log.
            let size = beside::size(&mut tx, workspace).await?;
            match follow_up_to(store, &mut tx, &mut derived, size).await {
                Ok(true) => rows += beside::reservations(store, &mut tx, &derived, found).await?,
                // Said of the live read models already, which stand before that event.
                Ok(false) | Err(ProjectionError::Parked { .. }) => {}
                Err(error) => return Err(error),
            }
            found.rows = Some(rows);
            return Ok(());
        }
        // Memory has one connection, and what comes next needs it.
        drop(tx);
        known = projections.inner.live(workspace).await?.ok_or(ProjectionError::NoModel)?;
    }
    Err(ProjectionError::NotAlone)
}

/// Waits until the catalog is in force that is coming into force. False if it takes too long.
async fn another_catalog_is_there(
    projections: &Projections,
    workspace: WorkspaceId,
) -> Result<bool, ProjectionError> {
    let position = projections.position(workspace).await?;
    projections.wait(workspace, position, CATALOG).await
}

fn ahead_of_log(position: u64, size: u64) -> Difference {
    let problem = format!(
        "the read models hold {position} events, the log {size}: events that were recorded are gone"
    );
    Difference::Models { problem }
}

/// Folds what the live read models got while the others were being derived. It is read in the
/// reader's transaction, so that they do not get ahead again. False if the log ends before.
async fn follow_up_to(
    store: &Store,
    tx: &mut Tx,
    derived: &mut Replayed,
    position: u64,
) -> Result<bool, ProjectionError> {
    while derived.checkpoint.position < position {
        let from = derived.checkpoint.position;
        let mut statement = Statement::new(
            "SELECT position, body, leaf_hash, recorded_at FROM events WHERE workspace_id = ",
        );
        statement.bind(derived.checkpoint.model.workspace.0);
        statement.push(" AND position >= ").bind(projector::signed(from));
        statement.push(" AND position < ").bind(projector::signed(position));
        statement.push(" ORDER BY position LIMIT ").bind(PAGE);
        let events: Vec<StoredEvent> = statement.fetch(tx).await?;
        if events.is_empty() {
            return Ok(false);
        }
        let events = store.bring_back(derived.checkpoint.model.workspace, events).await?;
        let events = projector::decode(from, &events)?;
        derived.checkpoint =
            projector::project(&derived.store, &derived.checkpoint, events).await?;
    }
    Ok(true)
}

async fn compare_with(
    tx: &mut Tx,
    live: &Checkpoint,
    derived: &Replayed,
    progress: &(dyn Fn(VerifyProgress) + Sync),
    found: &mut Verification,
) -> Result<u64, StoreError> {
    if let Some(problem) = &live.failure {
        found.add(Difference::Models { problem: format!("they are parked: {problem}") });
    }
    checkpoints(live, &derived.checkpoint, found);
    let mut compared = 0;
    for table in &TABLES {
        let mut tell = |rows: u64| {
            compared += rows;
            let (step, done) = (VerifyStep::Compare, compared);
            progress(VerifyProgress { step, done, of: done });
        };
        let (model, scratch): (_, &Store) = (live.model, &derived.store);
        table.compare(tx, model, scratch, derived.checkpoint.model, &mut tell, found).await?;
    }
    Ok(compared)
}

/// What the checkpoint itself keeps.
fn checkpoints(live: &Checkpoint, derived: &Checkpoint, found: &mut Verification) {
    let said = |checkpoint: &Checkpoint| {
        let blind: Vec<String> =
            checkpoint.blind.intervals().map(|(from, to)| format!("{from} to {to}")).collect();
        [
            ("recorded_at", checkpoint.recorded_at.to_string()),
            ("catalog_position", format!("{:?}", checkpoint.catalog_position)),
            ("blind", blind.join(", ")),
        ]
    };
    for ((column, stored), (_, derived)) in said(live).into_iter().zip(said(derived)) {
        if stored != derived {
            found.add(Difference::Row {
                table: "projections",
                row: format!("generation={}", live.model.generation),
                column: Some(column.to_owned()),
                stored: Some(stored),
                derived: Some(derived),
            });
        }
    }
}
