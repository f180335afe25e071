//! What waits for a lane, gathered into a batch.

use tokio::sync::mpsc;

use super::Job;

/// How often in a row everybody else is let run, and brings nothing, before a batch is complete. A
/// turn of which nobody makes use takes about a microsecond.
const TURNS: u32 = 2;
/// The same, while callers are expected who were just answered. Those who have gone away for good
/// are waited for once.
const PATIENT_TURNS: u32 = 100;

/// Requests that are served together.
#[derive(Default)]
pub(super) struct Jobs {
    jobs: Vec<Job>,
    submissions: usize,
}

impl Jobs {
    pub(super) fn add(&mut self, job: Job) {
        self.submissions += job.submissions.len();
        self.jobs.push(job);
    }

    /// Adds what waits. Callers who have just been answered come with their next request as soon as
    /// they get to run: were they not let run, they would be half of one batch and half of the
    /// next, and every commit would do half of what it could. So as long as fewer have come than
    /// are `expected`, those who were answered last and those who waited then, everybody else gets
    /// many turns to run, and then two. No more is added once there are `most` submissions.
    pub(super) async fn gather(
        &mut self,
        waiting: &mut mpsc::Receiver<Job>,
        expected: usize,
        most: usize,
    ) {
        let mut idle = 0;
        while self.submissions < most {
            let before = self.jobs.len();
            while self.submissions < most
                && let Ok(job) = waiting.try_recv()
            {
                self.add(job);
            }
            idle = if self.jobs.len() == before { idle + 1 } else { 0 };
            if idle >= if self.jobs.len() < expected { PATIENT_TURNS } else { TURNS } {
                break;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn into_inner(self) -> Vec<Job> {
        self.jobs
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Semaphore, oneshot};

    use super::*;

    fn job() -> Job {
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let (answer, _) = oneshot::channel();
        Job { submissions: Vec::new(), atomic: false, answer, _room: room, _held: Vec::new() }
    }

    /// How many are gathered when `expected` are, one waits, and two come after `turns` turns.
    async fn gathered(expected: usize, turns: u32) -> usize {
        let (send, mut waiting) = mpsc::channel(8);
        let mut jobs = Jobs::default();
        jobs.add(job());
        let coming = tokio::spawn(async move {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            for _ in 0..2 {
                assert!(send.send(job()).await.is_ok());
            }
            send
        });
        jobs.gather(&mut waiting, expected, 100).await;
        // It stays open until then.
        drop(coming.await);
        jobs.len()
    }

    #[tokio::test]
    async fn those_who_are_expected_are_waited_for_and_nobody_for_long() {
        assert_eq!(gathered(3, 20).await, 3);
        assert_eq!(gathered(1, 20).await, 1);
        assert_eq!(gathered(1, 0).await, 3);
        assert_eq!(gathered(3, 2 * PATIENT_TURNS).await, 1);
    }
}
