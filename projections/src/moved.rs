//! Waiting for the read models: all who wait for a workspace share one look into the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runledger_ledger::words::WorkspaceId;
use tokio::sync::watch;

use crate::projector::ProjectionError;

/// How often one of those who wait looks into the database: another server may be the follower.
const LOOK: Duration = Duration::from_millis(25);

/// How far the live read models of each workspace are known to have come.
#[derive(Debug, Default)]
pub(crate) struct Moved(Mutex<HashMap<WorkspaceId, Arc<Known>>>);

#[derive(Debug, Default)]
struct Known {
    position: watch::Sender<u64>,
    /// Held by the one who looks for all.
    turn: tokio::sync::Mutex<()>,
}

impl Moved {
    /// The live read models of `workspace` hold `position` events.
    pub(crate) fn note(&self, workspace: WorkspaceId, position: u64) {
        self.of(workspace).note(position);
    }

    /// Waits until the live read models of `workspace` hold more than `position` events. `look`
    /// says how many they hold.
    pub(crate) async fn wait<F: Future<Output = Result<u64, ProjectionError>>>(
        &self,
        workspace: WorkspaceId,
        position: u64,
        look: impl Fn() -> F,
    ) -> Result<(), ProjectionError> {
        let known = self.of(workspace);
        let mut moved = known.position.subscribe();
        let there = async {
            // The sender lives as long as `known`.
            let _ = moved.wait_for(|folded| *folded > position).await;
        };
        tokio::select! {
            biased;
            () = there => Ok(()),
            looked = known.look_until(position, look) => looked,
        }
    }

    fn of(&self, workspace: WorkspaceId) -> Arc<Known> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(workspace).or_default())
    }
}

impl Known {
    fn note(&self, position: u64) {
        self.position.send_if_modified(|known| {
            let further = position > *known;
            *known = position.max(*known);
            further
        });
    }

    async fn look_until<F: Future<Output = Result<u64, ProjectionError>>>(
        &self,
        position: u64,
        look: impl Fn() -> F,
    ) -> Result<(), ProjectionError> {
        // Who leaves gives the turn to the next one.
        let _turn = self.turn.lock().await;
        loop {
            let folded = look().await?;
            self.note(folded);
            if folded > position {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn those_who_wait_for_a_workspace_share_one_look() {
        let (moved, looks) = (Moved::default(), AtomicUsize::new(0));
        let (here, elsewhere) =
            (WorkspaceId(uuid::Uuid::from_u128(1)), WorkspaceId(uuid::Uuid::from_u128(2)));
        let wait = async || {
            let look = || async { Ok(u64::from(looks.fetch_add(1, Ordering::SeqCst) >= 3)) };
            moved.wait(here, 0, look).await
        };
        let others = async {
            for position in 1..=1_000 {
                moved.note(elsewhere, position);
                tokio::task::yield_now().await;
            }
        };
        let waiting = futures::future::join_all((0..100).map(|_| wait()));
        let (waited, ()) = tokio::join!(waiting, others);
        assert!(waited.iter().all(Result::is_ok));
        assert_eq!(looks.into_inner(), 4);
    }

    #[tokio::test]
    async fn what_is_known_is_not_looked_up() {
        let (moved, workspace) = (Moved::default(), WorkspaceId(uuid::Uuid::from_u128(1)));
        moved.note(workspace, 5);
        moved.note(workspace, 3);
        let look = || async { panic!("nobody has to look") };
        assert!(moved.wait(workspace, 4, look).await.is_ok());
    }
}
