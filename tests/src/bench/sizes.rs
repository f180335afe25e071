//! How much each measurement does.

use std::time::Duration;

/// The sizes of all measurements.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// How often each is repeated, in turn with the others; the median counts.
    pub repetitions: usize,
    /// How long callers of single events append in one repetition.
    pub time: Duration,
    /// How long the read models are watched under load.
    pub watched: Duration,
    /// Rows of a COPY, and of a load in batches.
    pub rows: usize,
    /// Events of the log that is folded.
    pub folded: usize,
    /// Runs of the small and of the large history that reads are compared over.
    pub runs: [usize; 2],
    /// How often each read is asked.
    pub reads: usize,
    /// Stale runs that are judged.
    pub judged: usize,
    /// Events of the log that is proved and verified.
    pub proved: usize,
}

impl Sizes {
    /// What the figures in the documentation are measured with.
    pub const FULL: Sizes = Sizes {
        repetitions: 5,
        time: Duration::from_secs(4),
        watched: Duration::from_secs(15),
        rows: 60_000,
        folded: 300_000,
        runs: [10_000, 1_000_000],
        reads: 1_000,
        judged: 10_000,
        proved: 1_000_000,
    };
    /// Enough to see that everything runs, in about a minute.
    pub const QUICK: Sizes = Sizes {
        repetitions: 1,
        time: Duration::from_secs(1),
        watched: Duration::from_secs(2),
        rows: 12_000,
        folded: 30_000,
        runs: [1_000, 10_000],
        reads: 100,
        judged: 1_000,
        proved: 20_000,
    };
}
