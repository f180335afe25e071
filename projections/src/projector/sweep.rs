//! Deriving rows anew from their runs, though nothing happened to them: by another catalog, or with
//! more blind time.
//!
//! A catalog concerns every run of a workspace, and a transaction over all of them would hold up
//! whoever else writes for as long as they are many. So it comes into force piece by piece, and the
//! checkpoint says how far. While that goes on the event counts as not folded: a reader who waits
//! for it waits until every verdict is by it, one who asks for the past gets a replay, and one who
//! asks for now gets some runs judged by the catalog to come.

use runledger_ledger::store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::counts::Changes;
use super::{Checkpoint, ProjectionError, evidence_before, verdicts};
use crate::db::Tx;
use crate::fold::{Page, row};
use crate::tables::{RunRow, Which, page_of_runs, upsert_runs};

/// Rows that are read at a time, and written in a transaction where there may be several.
const PIECE: usize = 1_000;

/// How far a catalog has come into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sweep {
    /// The position of the catalog.
    catalog: u64,
    /// Whether all rows are done, and those whose verdict depends on others are judged.
    open: bool,
    /// The last run that is done.
    after: Option<Uuid>,
}

impl Sweep {
    const fn new(catalog: u64) -> Self {
        Sweep { catalog, open: false, after: None }
    }

    /// How far it has come at a checkpoint, if it has begun there.
    pub(super) fn of(checkpoint: &Checkpoint) -> Option<Sweep> {
        serde_json::from_str(checkpoint.sweep.as_deref()?).ok()
    }

    /// Whether it is of the catalog at this position. Another one has been left by a program that
    /// does not know of sweeps.
    pub(super) const fn is_of(&self, position: u64) -> bool {
        self.catalog == position
    }

    /// Goes on by one piece. Returns how many rows it was of, and where the next one begins.
    async fn piece(
        self,
        tx: &mut Tx,
        next: &Checkpoint,
    ) -> Result<(usize, Option<Sweep>), StoreError> {
        let after = self.after.map(|run| (0, run));
        let Sweep { open, .. } = self;
        let (rows, last) = match open {
            false => derive(tx, next, Which::All, after).await?,
            true => judge(tx, next, after).await?,
        };
        let goes_on = match last {
            Some((_, run)) if rows == PIECE => Some(Sweep { after: Some(run), ..self }),
            _ if !open => Some(Sweep { open: true, after: None, ..self }),
            _ => None,
        };
        Ok((rows, goes_on))
    }
}

/// Puts the catalog that `next` has and `checkpoint` has not into force, in as many transactions as
/// it takes. Whoever finds it begun goes on where it stands.
pub(super) async fn put_into_force(
    target: &Store,
    mut checkpoint: Checkpoint,
    next: Checkpoint,
) -> Result<Checkpoint, ProjectionError> {
    let begun = Sweep::of(&checkpoint).filter(|sweep| sweep.is_of(checkpoint.position));
    let mut sweep = begun.unwrap_or(Sweep::new(checkpoint.position));
    loop {
        let mut tx = Tx::begin(target, checkpoint.model.workspace).await?;
        checkpoint.hold(&mut tx, checkpoint.sweep.as_deref()).await?;
        let Some(goes_on) = some(&mut tx, &next, sweep).await? else {
            checkpoint.advance(&mut tx, &next).await?;
            tx.commit().await?;
            return Ok(next);
        };
        let text = serde_json::to_string(&goes_on);
        let text = text.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        checkpoint.hold(&mut tx, Some(&text)).await?;
        tx.commit().await?;
        checkpoint.sweep = Some(text);
        sweep = goes_on;
    }
}

/// As much as belongs into one transaction. None: there is no more.
async fn some(
    tx: &mut Tx,
    next: &Checkpoint,
    mut sweep: Sweep,
) -> Result<Option<Sweep>, StoreError> {
    let mut done = 0;
    while done < PIECE {
        let (rows, goes_on) = sweep.piece(tx, next).await?;
        let Some(goes_on) = goes_on else { return Ok(None) };
        (done, sweep) = (done + rows, goes_on);
    }
    Ok(Some(sweep))
}

/// All of it, as a part of what a transaction does.
pub(super) async fn all(tx: &mut Tx, next: &Checkpoint) -> Result<(), StoreError> {
    let mut sweep = Some(Sweep::new(next.position));
    while let Some(at) = sweep {
        sweep = at.piece(tx, next).await?.1;
    }
    Ok(())
}

/// Derives the rows of all active runs anew, with the blind time of now.
pub(super) async fn active(tx: &mut Tx, now: &Checkpoint) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let (rows, last) = derive(tx, now, Which::Active, after).await?;
        if rows < PIECE {
            return Ok(());
        }
        after = last;
    }
}

/// Where a piece ended, in the order of the pages of runs.
type Last = Option<(i64, Uuid)>;

/// Derives a piece of rows anew, by the evidence that they name. Returns how many there were.
async fn derive(
    tx: &mut Tx,
    now: &Checkpoint,
    which: Which,
    after: Last,
) -> Result<(usize, Last), StoreError> {
    let before = page_of_runs(tx, now.model, which, after, limit()).await?;
    let (found, last) = (before.len(), before.last().map(|row| (row.dispatched_at, row.run_id)));
    let mut changes = Changes::default();
    let mut rows: Vec<RunRow> = Vec::with_capacity(found);
    let mut page = Page::default();
    before.into_iter().try_for_each(|row| page.give(row))?;
    for (id, tracked) in &page.runs {
        let row = row(*id, tracked, &now.catalog, &now.blind, &evidence_before(tracked))?;
        changes.note(tracked.before.as_ref(), &row);
        if tracked.before.as_ref() != Some(&row) {
            rows.push(row);
        }
    }
    upsert_runs(tx, now.model, &rows).await?;
    changes.write(tx, now.model).await?;
    Ok((found, last))
}

/// Judges a piece of the runs whose verdict depends on others. Returns how many there were.
async fn judge(tx: &mut Tx, now: &Checkpoint, after: Last) -> Result<(usize, Last), StoreError> {
    let open = page_of_runs(tx, now.model, Which::Open, after, limit()).await?;
    let last = open.last().map(|row| (row.dispatched_at, row.run_id));
    let ids: Vec<Uuid> = open.iter().map(|row| row.run_id).collect();
    let mut changes = Changes::default();
    verdicts::judge(tx, now, &ids, &mut changes).await?;
    changes.write(tx, now.model).await?;
    Ok((ids.len(), last))
}

fn limit() -> i64 {
    i64::try_from(PIECE).unwrap_or(i64::MAX)
}
