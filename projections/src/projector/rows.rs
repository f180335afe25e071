//! The rows of a page of runs: those of a large page are built on another thread while the ones
//! before them are being written.

use std::sync::Arc;

use runledger_ledger::catalog::Catalog;
use runledger_ledger::store::StoreError;
use runledger_ledger::words::RunId;
use tokio::sync::mpsc;

use super::counts::Changes;
use super::{Checkpoint, evidence_before};
use crate::db::Tx;
use crate::fold::{Page, row};
use crate::rules::blind::BlindTime;
use crate::tables::{RunRow, upsert_runs};

/// Rows that are written at a time.
const PIECE: usize = 1_000;

/// Writes the rows of all runs that `page` touched, in the order of their index, into which both
/// databases insert faster so. Returns them, and what they change.
pub(super) async fn write_runs(
    tx: &mut Tx,
    now: &Checkpoint,
    page: &Arc<Page>,
) -> Result<(Vec<RunRow>, Changes), StoreError> {
    let mut ids: Vec<RunId> = page.runs.keys().copied().collect();
    ids.sort_unstable();
    let mut builder = Builder {
        page: Arc::clone(page),
        catalog: Arc::clone(&now.catalog),
        blind: now.blind.clone(),
        changes: Changes::default(),
    };
    if ids.len() <= PIECE {
        let rows = builder.build(&ids)?;
        upsert_runs(tx, now.model, &rows).await?;
        return Ok((rows, builder.changes));
    }
    let mut rows = Vec::with_capacity(ids.len());
    let (send, mut built) = mpsc::channel(1);
    let building = tokio::task::spawn_blocking(move || {
        for ids in ids.chunks(PIECE) {
            // Nobody takes the rows of a page that could not be written.
            if send.blocking_send(builder.build(ids)).is_err() {
                break;
            }
        }
        builder.changes
    });
    while let Some(piece) = built.recv().await {
        let piece = piece?;
        upsert_runs(tx, now.model, &piece).await?;
        rows.extend(piece);
    }
    let failed = |error| StoreError::Corrupt(format!("the rows of a page were not built: {error}"));
    Ok((rows, building.await.map_err(failed)?))
}

struct Builder {
    page: Arc<Page>,
    catalog: Arc<Catalog>,
    blind: BlindTime,
    changes: Changes,
}

impl Builder {
    fn build(&mut self, ids: &[RunId]) -> Result<Vec<RunRow>, StoreError> {
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(tracked) = self.page.runs.get(id) else { continue };
            let evidence = evidence_before(tracked);
            let row = row(*id, tracked, &self.catalog, &self.blind, &evidence)?;
            self.changes.note(tracked.before.as_ref(), &row);
            rows.push(row);
        }
        Ok(rows)
    }
}
