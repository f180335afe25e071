//! Read models of events that the caller has in hand, with no ledger behind them: what an audit pack holds,
//! and what its verification derives again.

use runledger_ledger::event::Recorded;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{RunId, WorkspaceId};
use uuid::Uuid;

use crate::as_of::{self, Replayed};
use crate::db::Tx;
use crate::projector::{self, ProjectionError};
use crate::query::{QueueStanding, queue_standings};
use crate::rules::standing::Standing;
use crate::tables::{Which, page_of_runs};
use crate::texts::{Language, Texts};
use crate::view::{Reading, ViewError};

/// Runs of a page.
const PAGE: i64 = 500;

/// Read models in a scratch file, of the events that were handed in so far.
#[derive(Debug)]
pub struct Derivation {
    state: Replayed,
}

impl Derivation {
    /// Read models of nothing yet.
    ///
    /// # Errors
    /// If there is no room for a scratch file.
    pub async fn begin() -> Result<Self, ProjectionError> {
        // What is derived does not depend on which workspace it is.
        Ok(Derivation { state: as_of::begin(WorkspaceId(Uuid::nil())).await? })
    }

    /// Folds the next events of the log; the first ones are at position 0.
    ///
    /// # Errors
    /// If they do not go on where the last ones ended, or cannot be folded.
    pub async fn fold(&mut self, events: Vec<Recorded>) -> Result<(), ProjectionError> {
        let Replayed { store, checkpoint, .. } = &mut self.state;
        for (position, event) in (checkpoint.position..).zip(&events) {
            if event.position != position {
                let problem = format!("the log goes on at position {}", event.position);
                return Err(ProjectionError::Parked { position, problem });
            }
        }
        *checkpoint = projector::project(store, checkpoint, events).await?;
        Ok(())
    }

    /// The standings of the next runs behind `after`, in the order of their ids, with sentences in
    /// English. Empty: there are no more.
    ///
    /// # Errors
    /// If the scratch file cannot be read.
    pub async fn standings(
        &self,
        at: Moment,
        after: Option<RunId>,
    ) -> Result<Vec<Standing>, ViewError> {
        let mut reading = self.read(at).await?;
        let (model, after) = (reading.model(), after.map(|run| (0, run.0)));
        let rows = page_of_runs(&mut reading.tx, model, Which::All, after, PAGE).await?;
        reading.standings(&rows).await
    }

    /// The standings of all queues, by connection and name.
    ///
    /// # Errors
    /// If the scratch file cannot be read.
    pub async fn queues(&self, at: Moment) -> Result<Vec<QueueStanding>, ViewError> {
        queue_standings(&mut self.read(at).await?).await
    }

    async fn read(&self, at: Moment) -> Result<Reading, ViewError> {
        let Replayed { store, checkpoint, file } = &self.state;
        let tx = Tx::read(store, checkpoint.model.workspace).await?;
        let texts = Texts::of(Language::En);
        Ok(Reading::new(tx, checkpoint.clone(), at, texts, file))
    }
}
