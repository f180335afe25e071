//! What each workspace may take of what all of them share (specs/0023).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Bytes of bodies of one workspace that are worked on at a time: half of what there may be of all.
const BODY_BYTES: usize = 16 * 1024 * 1024;

/// The shares of the workspaces that have requests in flight, and of no other.
#[derive(Debug, Default)]
pub(crate) struct Shares(Mutex<HashMap<Arc<str>, Arc<Share>>>);

/// What one workspace may take.
#[derive(Debug)]
pub(crate) struct Share {
    bodies: Arc<Semaphore>,
    reading: Arc<Semaphore>,
}

impl Shares {
    /// The share of the workspace of this name. It is the same one for as long as anybody has it.
    pub(crate) fn of(&self, workspace: &Arc<str>) -> Arc<Share> {
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(workspace) {
            return Arc::clone(share);
        }
        // Only where one is made anyway are those looked for that nobody has any more.
        shares.retain(|_, share| share.is_in_use());
        let share = Arc::new(Share::new());
        shares.insert(Arc::clone(workspace), Arc::clone(&share));
        share
    }
}

impl Share {
    fn new() -> Self {
        let (bodies, reading) = (Semaphore::new(BODY_BYTES), Semaphore::new(1));
        Share { bodies: Arc::new(bodies), reading: Arc::new(reading) }
    }

    fn is_in_use(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
            || self.bodies.available_permits() < BODY_BYTES
            || self.reading.available_permits() == 0
    }

    /// Room for so many bytes of a body; none if the workspace has as many as it may have.
    pub(crate) fn room(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.bodies).try_acquire_many_owned(bytes).ok()
    }

    /// Waits until no other large body of the workspace is being read: one at a time leaves the rest
    /// of the machine to the others.
    pub(crate) async fn turn_to_read(&self, rests: bool) -> Option<Turn> {
        // It is never closed.
        let permit = Arc::clone(&self.reading).acquire_owned().await.ok();
        Some(Turn { permit, rests, begun: Instant::now() })
    }
}

/// The turn of a large body to be read. While other workspaces have work as well, the next one
/// waits for as long as there is to be a rest after it.
#[derive(Debug)]
pub(crate) struct Turn {
    permit: Option<OwnedSemaphorePermit>,
    rests: bool,
    begun: Instant,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take().filter(|_| self.rests) {
            let rest = runledger_ledger::pace::rest(self.begun.elapsed());
            tokio::spawn(async move {
                tokio::time::sleep(rest).await;
                drop(permit);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_takes_half_and_leaves_the_other() {
        let shares = Shares::default();
        let [noisy, quiet] = ["noisy", "quiet"].map(Arc::<str>::from);
        let half = u32::try_from(BODY_BYTES).unwrap();
        let held = shares.of(&noisy).room(half).unwrap();
        assert!(shares.of(&noisy).room(1).is_none());
        assert!(shares.of(&quiet).room(half).is_some());
        assert!(shares.of(&noisy).room(1).is_none(), "what is held is not forgotten");
        drop(held);
        assert!(shares.of(&noisy).room(half).is_some());
        assert!(shares.0.lock().unwrap().len() <= 2);
    }
}
