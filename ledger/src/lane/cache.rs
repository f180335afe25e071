//! The runs that a lane wrote or read lately, bounded in number and in bytes: labels, summaries and
//! evidence may make one run as large as an event.

use std::collections::HashMap;

use crate::run::{Fields, Run, Scalar};
use crate::words::RunId;

/// Runs of one generation; the cache holds two of them at most.
const GENERATION: usize = 8_192;
/// Bytes of one generation, about: it ends with the run that goes beyond.
const GENERATION_BYTES: usize = 16 * 1024 * 1024;
/// What a text or an entry of a map costs beside its characters, about.
const ENTRY: usize = 64;

/// Two generations: what is used stays in the young one, what is not goes with the old one.
#[derive(Debug, Default)]
pub(super) struct RunCache {
    young: HashMap<RunId, Run>,
    /// Bytes put into the young generation. What is taken out again is still counted.
    bytes: usize,
    old: HashMap<RunId, Run>,
}

impl RunCache {
    /// Takes a run out, to be put back after it was used.
    pub(super) fn take(&mut self, id: RunId) -> Option<Run> {
        self.young.remove(&id).or_else(|| self.old.remove(&id))
    }

    pub(super) fn put(&mut self, id: RunId, run: Run) {
        if self.young.len() >= GENERATION || self.bytes >= GENERATION_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += bytes(&run);
        self.young.insert(id, run);
    }
}

/// How much memory a run takes, about: only what may be long is looked at.
fn bytes(run: &Run) -> usize {
    let labels = run.labels.iter().map(|(key, value)| key.as_str().len() + value.as_str().len());
    let labels: usize = labels.map(|length| length + ENTRY).sum();
    let ids = run.external_ids.len() * 3 * ENTRY;
    let ended = run.completion.as_ref().map_or(0, |end| {
        let message = end.message.as_ref().map_or(0, |message| message.as_str().len());
        message + fields(&end.summary) + end.artifacts.len() * 2 * ENTRY
    });
    let evidence = run.reconciliation.as_ref().map_or(0, |said| ENTRY + fields(&said.evidence));
    let note = run.follow_up.as_ref().and_then(|word| word.note.as_ref());
    let note = note.map_or(0, |note| note.as_str().len());
    size_of::<Run>() + labels + ids + ended + evidence + note
}

fn fields(fields: &Fields) -> usize {
    let text = |value: &Scalar| match value {
        Scalar::Text(text) => text.as_str().len(),
        _ => 0,
    };
    fields.iter().map(|(key, value)| key.as_str().len() + text(value) + ENTRY).sum()
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

    #[test]
    fn large_runs_fill_a_generation_sooner() {
        let note = crate::words::Note::new("x".repeat(1_000)).unwrap();
        let label = |number| (crate::words::Name::new(format!("l{number}")).unwrap(), note.clone());
        let large = Run { labels: (0..50).map(label).collect(), ..Run::default() };
        let mut cache = RunCache::default();
        for number in 0..2_000 {
            cache.put(RunId(Uuid::from_u128(number)), large.clone());
        }
        let held = cache.young.len() + cache.old.len();
        assert!(held * 50_000 <= 2 * GENERATION_BYTES + 100_000, "{held}");
        assert!(cache.take(RunId(Uuid::from_u128(1_999))).is_some());
    }
}
