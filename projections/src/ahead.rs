//! Reading ahead: while one page of a log is folded, the next one is read and decoded.

use runledger_ledger::event::Recorded;
use runledger_ledger::store::{LOG, Store, StoreError, StoredEvent};
use runledger_ledger::words::WorkspaceId;
use tokio::task::JoinHandle;

use crate::db::{Tx, on_tx};
use crate::projector::{ProjectionError, decode, signed};

/// The pages of one log, each of `page` events at most, for one who takes them in order.
pub(crate) struct Ahead {
    source: Store,
    pub(crate) workspace: WorkspaceId,
    page: u32,
    next: Option<(u64, u64, Reading)>,
}

type Reading = JoinHandle<Result<Vec<Recorded>, ProjectionError>>;

impl Ahead {
    pub(crate) fn new(source: &Store, workspace: WorkspaceId, page: u32) -> Self {
        Ahead { source: source.clone(), workspace, page, next: None }
    }

    /// From now on pages have at most this many events.
    pub(crate) const fn set_page(&mut self, page: u32) {
        self.page = page;
    }

    /// The page that begins at `from` and ends before `to`. Empty at the end of the log.
    pub(crate) async fn page(
        &mut self,
        from: u64,
        to: u64,
    ) -> Result<Vec<Recorded>, ProjectionError> {
        let to = to.min(i64::MAX.unsigned_abs());
        let events = match self.next.take() {
            Some((begin, end, reading)) if (begin, end) == (from, to) => {
                let failed = |error| StoreError::Corrupt(format!("a page was not read: {error}"));
                reading.await.map_err(failed)??
            }
            _ => read(self.source.clone(), self.workspace, from, to, self.page).await?,
        };
        let after = from + events.len() as u64;
        // A full page: there is probably more.
        if events.len() as u64 >= u64::from(self.page) && after < to {
            let (source, workspace, page) = (self.source.clone(), self.workspace, self.page);
            let reading = tokio::spawn(read(source, workspace, after, to, page));
            self.next = Some((after, to, reading));
        }
        Ok(events)
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some((_, _, reading)) = &self.next {
            reading.abort();
        }
    }
}

/// The events from position `from` to before `to`, all of them, as a transaction sees them.
pub(crate) async fn read_in(
    source: &Store,
    tx: &mut Tx,
    workspace: WorkspaceId,
    from: u64,
    to: u64,
) -> Result<Vec<Recorded>, ProjectionError> {
    let events: Vec<StoredEvent> = on_tx!(tx, |connection| {
        sqlx::query_as(LOG)
            .bind(workspace.0)
            .bind(signed(from))
            .bind(signed(to))
            .bind(signed(to - from))
            .fetch_all(connection)
            .await?
    });
    let events = source.bring_back(workspace, events).await?;
    decode(from, &events)
}

async fn read(
    source: Store,
    workspace: WorkspaceId,
    from: u64,
    to: u64,
    page: u32,
) -> Result<Vec<Recorded>, ProjectionError> {
    let events = source.log(workspace, from, to, page).await?;
    decode(from, &events)
}
