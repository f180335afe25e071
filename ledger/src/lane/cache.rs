//! The runs that a lane wrote or read lately: small states, bounded in number.

use std::collections::HashMap;

use crate::run::Run;
use crate::words::RunId;

/// Runs of one generation; the cache holds two of them at most.
const GENERATION: usize = 8_192;

/// Two generations: what is used stays in the young one, what is not goes with the old one.
#[derive(Debug, Default)]
pub(super) struct RunCache {
    young: HashMap<RunId, Run>,
    old: HashMap<RunId, Run>,
}

impl RunCache {
    /// Takes a run out, to be put back after it was used.
    pub(super) fn take(&mut self, id: RunId) -> Option<Run> {
        self.young.remove(&id).or_else(|| self.old.remove(&id))
    }

    pub(super) fn put(&mut self, id: RunId, run: Run) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, run);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn it_never_holds_more_than_two_generations() {
        let mut cache = RunCache::default();
        for number in 0..(5 * GENERATION as u128) {
            cache.put(RunId(Uuid::from_u128(number)), Run::default());
            assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION);
        }
        assert!(cache.take(RunId(Uuid::from_u128(5 * GENERATION as u128 - 1))).is_some());
        assert!(cache.take(RunId(Uuid::from_u128(0))).is_none());
    }
}
