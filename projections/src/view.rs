//! A view: the read models of one workspace, as of one moment. Every read begins with one.

use std::sync::Arc;
use std::time::Duration;

use runledger_ledger::run::Run;
use runledger_ledger::store::{Store, StoreError};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{RunId, WorkspaceId};
use tempfile::TempDir;

use crate::as_of::{AsOf, Replayed};
use crate::db::on_store;
use crate::projections::Projections;
use crate::projector::{Checkpoint, ProjectionError};
use crate::tables::RunRow;

/// How long a question about a moment of just now waits for the live read models, which are
/// usually milliseconds behind, before the past is replayed for it.
const ABOUT_TO: Duration = Duration::from_millis(500);

/// The read models of a workspace as of a moment: live ones now, or replayed ones.
#[derive(Clone, Debug)]
pub struct View {
    pub(crate) store: Store,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) at: Moment,
    _scratch: Option<Arc<TempDir>>,
}

/// Why there is no view.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// There is no such workspace.
    #[error("there is no such workspace")]
    NoWorkspace,
    /// A time that has not come, or a position that the log has not reached.
    #[error("{asked} is in the future; the log has {size} events and the time is {now}")]
    Future {
        /// What was asked for.
        asked: String,
        /// Events in the log.
        size: u64,
        /// The ledger's clock.
        now: Moment,
    },
    /// The past is being replayed; ask again shortly.
    #[error("the state after {size} events is being replayed; ask again shortly")]
    Preparing {
        /// Events up to the moment asked about.
        size: u64,
    },
    /// The read models could not be read.
    #[error("the read models could not be read")]
    Projection(#[from] ProjectionError),
}

impl From<StoreError> for ViewError {
    fn from(error: StoreError) -> Self {
        ViewError::Projection(error.into())
    }
}

impl From<sqlx::Error> for ViewError {
    fn from(error: sqlx::Error) -> Self {
        ViewError::Projection(error.into())
    }
}

impl Projections {
    /// The read models of `workspace` as of a moment.
    pub async fn view(&self, workspace: WorkspaceId, as_of: AsOf) -> Result<View, ViewError> {
        let store = self.store();
        let now = self.inner.ledger.now();
        let live = self.inner.live(workspace).await?;
        let head = store.head(workspace).await?.ok_or(ViewError::NoWorkspace)?;
        let future = |asked: String| ViewError::Future { asked, size: head.size(), now };
        let (size, at) = match as_of {
            AsOf::Now => {
                let live = match live {
                    Some(live) => live,
                    None => Checkpoint::nothing(workspace),
                };
                // The ledger's time never runs backwards, whatever the machine's clock does.
                let at = now.max(live.recorded_at);
                return Ok(View::live(store, live, at));
            }
            AsOf::Position(position) => {
                let recorded_at = store.recorded_at(workspace, position).await?;
                let at = recorded_at.ok_or_else(|| future(format!("position {position}")))?;
                (position + 1, at)
            }
            AsOf::Moment(moment) if moment > now.max(head.last_recorded_at) => {
                return Err(future(moment.to_string()));
            }
            AsOf::Moment(moment) => (store.size_at(workspace, moment).await?, moment),
        };
        let live = match live {
            // A moment of just now: the live read models are about to be there.
            Some(live) if live.position < size => {
                self.wait(workspace, size - 1, ABOUT_TO).await?;
                self.inner.live(workspace).await?
            }
            live => live,
        };
        if let Some(live) = live.filter(|live| live.position == size) {
            return Ok(View::live(store, live, at));
        }
        let replayed = self.inner.past.at(store, workspace, size).await?;
        let replayed = replayed.ok_or(ViewError::Preparing { size })?;
        let Replayed { store, checkpoint, file } = replayed;
        Ok(View { store, checkpoint, at, _scratch: file })
    }
}

impl View {
    fn live(store: &Store, checkpoint: Checkpoint, at: Moment) -> View {
        View { store: store.clone(), checkpoint, at, _scratch: None }
    }

    /// The moment it is of.
    pub const fn at(&self) -> Moment {
        self.at
    }

    /// How many events it is derived from.
    pub const fn position(&self) -> u64 {
        self.checkpoint.position
    }

    /// What is recorded of a run up to this moment.
    pub async fn recorded(&self, id: RunId) -> Result<Option<Run>, ViewError> {
        const RUN: &str =
            "SELECT * FROM runs WHERE workspace_id = $1 AND generation = $2 AND run_id = $3";
        let model = self.checkpoint.model;
        let row: Option<RunRow> = on_store!(&self.store, |pool| {
            sqlx::query_as(RUN)
                .bind(model.workspace.0)
                .bind(model.generation)
                .bind(id.0)
                .fetch_optional(pool)
                .await?
        });
        Ok(row.map(|row| row.run()).transpose()?)
    }

    /// The workspace.
    pub const fn workspace(&self) -> WorkspaceId {
        self.checkpoint.model.workspace
    }
}
