//! Queue truth (DESIGN section 6): will anything pick this up?

use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words;
use serde::{Deserialize, Serialize};

use super::blind::BlindTime;
use super::{rfc3339, seconds};

words! {
    /// What a queue says of itself.
    QueueVerdict {
        /// Nothing waits.
        Empty = "empty",
        /// Workers have named it, and none that does is there now.
        NoWorker = "no_worker",
        /// A run waits past its deadline, and nothing has started since.
        Stalled = "stalled",
        /// A run waits past its deadline, and others do start.
        Slow = "slow",
        /// A worker is there, or a run started not long ago.
        Moving = "moving",
        /// Nothing speaks for it and nothing against it.
        Unknown = "unknown",
    }
}

/// What is recorded of one queue up to the moment asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueFacts {
    /// Runs that wait in it.
    pub waiting: u64,
    /// When the dispatch of the one that has waited longest was recorded.
    pub oldest_waiting_since: Option<Moment>,
    /// The earliest deadline among the waiting runs that have one, blind time added.
    pub earliest_deadline: Option<Moment>,
    /// The shortest queue window among the waiting runs that have one.
    pub shortest_window: Option<Span>,
    /// Whether some worker has ever named it.
    pub ever_named: bool,
    /// Workers that name it now and whose lease is not over.
    pub live_workers: u32,
    /// When the last start of one of its runs was recorded.
    pub last_start: Option<Moment>,
}

words! {
    /// What decides the verdict on a queue.
    QueueReason {
        /// Nothing waits.
        NothingWaits = "nothing_waits",
        /// Workers have named it, and the lease of every one that does is over.
        NoLiveWorker = "no_live_worker",
        /// A run waits past its deadline, and nothing has started since that.
        NoStartSinceDeadline = "no_start_since_deadline",
        /// A run waits past its deadline; something has started since.
        PastDeadline = "past_deadline",
        /// A worker is there.
        LiveWorker = "live_worker",
        /// A run started less than the shortest queue window ago.
        RecentStart = "recent_start",
        /// No worker was ever seen, and no run started of late.
        NothingKnown = "nothing_known",
    }
}

impl QueueReason {
    /// The verdict that it leads to.
    pub const fn verdict(self) -> QueueVerdict {
        match self {
            QueueReason::NothingWaits => QueueVerdict::Empty,
            QueueReason::NoLiveWorker => QueueVerdict::NoWorker,
            QueueReason::NoStartSinceDeadline => QueueVerdict::Stalled,
            QueueReason::PastDeadline => QueueVerdict::Slow,
            QueueReason::LiveWorker | QueueReason::RecentStart => QueueVerdict::Moving,
            QueueReason::NothingKnown => QueueVerdict::Unknown,
        }
    }
}

/// The verdict on a queue at `at`: the first row of the table in section 6 that holds.
pub fn verdict(facts: &QueueFacts, blind: &BlindTime, at: Moment) -> QueueVerdict {
    reason(facts, blind, at).verdict()
}

/// What decides that verdict.
pub fn reason(facts: &QueueFacts, blind: &BlindTime, at: Moment) -> QueueReason {
    if facts.waiting == 0 {
        return QueueReason::NothingWaits;
    }
    if facts.ever_named && facts.live_workers == 0 {
        return QueueReason::NoLiveWorker;
    }
    // A deadline that has passed is past the earliest one too, so the earliest decides for all.
    if let Some(missed) = facts.earliest_deadline.filter(|deadline| at >= *deadline) {
        let started_since = facts.last_start.is_some_and(|start| start >= missed);
        return if started_since {
            QueueReason::PastDeadline
        } else {
            QueueReason::NoStartSinceDeadline
        };
    }
    if facts.live_workers > 0 {
        return QueueReason::LiveWorker;
    }
    if started_lately(facts, blind, at) {
        return QueueReason::RecentStart;
    }
    QueueReason::NothingKnown
}

fn started_lately(facts: &QueueFacts, blind: &BlindTime, at: Moment) -> bool {
    match (facts.last_start, facts.shortest_window) {
        (Some(start), Some(window)) => at < blind.extend(start, window),
        _ => false,
    }
}

/// When the lease of a worker that was seen at `seen` is over. It is live until just before.
pub fn lease_until(seen: Moment, lease_seconds: u32, blind: &BlindTime) -> Moment {
    blind.extend(seen, Span::from_secs(i64::from(lease_seconds)))
}

/// The median and the 95th percentile of `waits` by nearest rank; none of none.
pub fn percentiles(waits: &[Span]) -> Option<(Span, Span)> {
    let mut sorted = waits.to_vec();
    sorted.sort_unstable();
    let rank = |percent: usize| {
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.checked_sub(1)?).copied()
    };
    rank(50).zip(rank(95))
}

/// All that people and programs see of a queue at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueTruth {
    /// Will anything pick this up?
    pub verdict: QueueVerdict,
    /// Runs that wait in it.
    pub waiting: u64,
    /// Since when the oldest of them waits.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub oldest_waiting_since: Option<Moment>,
    /// Workers that are there for it.
    pub live_workers: u32,
    /// Its last start.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub last_start: Option<Moment>,
    /// Half of its last starts had waited at most this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "wait_p50_seconds", with = "seconds")]
    pub wait_p50: Option<Span>,
    /// 95 in 100 of its last starts had waited at most this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "wait_p95_seconds", with = "seconds")]
    pub wait_p95: Option<Span>,
}

impl QueueTruth {
    /// What decided the verdict. Of what moves it is the worker, if one is there.
    pub const fn reason(&self) -> QueueReason {
        match self.verdict {
            QueueVerdict::Empty => QueueReason::NothingWaits,
            QueueVerdict::NoWorker => QueueReason::NoLiveWorker,
            QueueVerdict::Stalled => QueueReason::NoStartSinceDeadline,
            QueueVerdict::Slow => QueueReason::PastDeadline,
            QueueVerdict::Moving if self.live_workers > 0 => QueueReason::LiveWorker,
            QueueVerdict::Moving => QueueReason::RecentStart,
            QueueVerdict::Unknown => QueueReason::NothingKnown,
        }
    }

    /// What is true of a queue at `at`; `waits` are those of its last 100 starts.
    pub fn of(facts: &QueueFacts, waits: &[Span], blind: &BlindTime, at: Moment) -> Self {
        let (wait_p50, wait_p95) = percentiles(waits).unzip();
        QueueTruth {
            verdict: verdict(facts, blind, at),
            waiting: facts.waiting,
            oldest_waiting_since: facts.oldest_waiting_since,
            live_workers: facts.live_workers,
            last_start: facts.last_start,
            wait_p50,
            wait_p95,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::story::{minute, minutes};

    /// One run waits since minute 0 with a window of 10 minutes; nothing else is known.
    fn one_waits() -> QueueFacts {
        QueueFacts {
            waiting: 1,
            oldest_waiting_since: Some(minute(0)),
            earliest_deadline: Some(minute(10)),
            shortest_window: Some(minutes(10)),
            ..QueueFacts::default()
        }
    }

    fn workers(facts: QueueFacts, live: u32) -> QueueFacts {
        QueueFacts { ever_named: true, live_workers: live, ..facts }
    }

    fn started(facts: QueueFacts, minute_of: i64) -> QueueFacts {
        QueueFacts { last_start: Some(minute(minute_of)), ..facts }
    }

    fn without_window(facts: QueueFacts) -> QueueFacts {
        QueueFacts { earliest_deadline: None, shortest_window: None, ..facts }
    }

    #[rstest]
    // Nothing waits, whatever else is true.
    #[case(workers(QueueFacts::default(), 0), 99, QueueVerdict::Empty)]
    #[case(workers(QueueFacts::default(), 1), 0, QueueVerdict::Empty)]
    // A queue that lost its workers, before and after the deadline, in spite of a fresh start.
    #[case(workers(one_waits(), 0), 1, QueueVerdict::NoWorker)]
    #[case(workers(started(one_waits(), 10), 0), 11, QueueVerdict::NoWorker)]
    // Past the deadline, a live worker or not.
    #[case(one_waits(), 10, QueueVerdict::Stalled)]
    #[case(workers(one_waits(), 3), 10, QueueVerdict::Stalled)]
    #[case(started(one_waits(), 9), 10, QueueVerdict::Stalled)]
    #[case(started(one_waits(), 10), 10, QueueVerdict::Slow)]
    #[case(workers(started(one_waits(), 12), 1), 30, QueueVerdict::Slow)]
    // Inside the window.
    #[case(workers(one_waits(), 1), 9, QueueVerdict::Moving)]
    #[case(started(one_waits(), 0), 9, QueueVerdict::Moving)]
    #[case(one_waits(), 9, QueueVerdict::Unknown)]
    // Without a window nothing is ever past it, and a start says nothing.
    #[case(without_window(one_waits()), 90_000, QueueVerdict::Unknown)]
    #[case(started(without_window(one_waits()), 1), 2, QueueVerdict::Unknown)]
    #[case(workers(without_window(one_waits()), 1), 90_000, QueueVerdict::Moving)]
    fn the_first_row_of_the_table_that_holds_is_the_verdict(
        #[case] facts: QueueFacts,
        #[case] now: i64,
        #[case] expected: QueueVerdict,
    ) {
        assert_eq!(verdict(&facts, &BlindTime::default(), minute(now)), expected);
    }

    #[test]
    fn a_start_speaks_for_its_queue_for_less_than_the_shortest_window() {
        // Dispatched at minute 5, so that the deadline does not decide first.
        let facts = QueueFacts { earliest_deadline: Some(minute(15)), ..started(one_waits(), 2) };
        let blind = BlindTime::default();
        assert_eq!(verdict(&facts, &blind, minute(11)), QueueVerdict::Moving);
        assert_eq!(verdict(&facts, &blind, minute(12)), QueueVerdict::Unknown);
        let blind = BlindTime::new([(minute(3), minute(4))]);
        assert_eq!(verdict(&facts, &blind, minute(12)), QueueVerdict::Moving);
        assert_eq!(verdict(&facts, &blind, minute(13)), QueueVerdict::Unknown);
    }

    #[test]
    fn a_lease_is_over_at_the_instant_it_ends_and_longer_by_blind_time() {
        assert_eq!(lease_until(minute(0), 300, &BlindTime::default()), minute(5));
        let blind = BlindTime::new([(minute(3), minute(63))]);
        assert_eq!(lease_until(minute(0), 300, &blind), minute(65));
        assert_eq!(lease_until(minute(0), 180, &blind), minute(3));
    }

    #[test]
    fn percentiles_are_waits_that_really_occurred() {
        let waits = |of: std::ops::RangeInclusive<i64>| of.map(minutes).collect::<Vec<_>>();
        assert_eq!(percentiles(&[]), None);
        assert_eq!(percentiles(&waits(7..=7)), Some((minutes(7), minutes(7))));
        assert_eq!(percentiles(&waits(1..=2)), Some((minutes(1), minutes(2))));
        assert_eq!(percentiles(&waits(1..=100)), Some((minutes(50), minutes(95))));
        assert_eq!(percentiles(&waits(1..=20)), Some((minutes(10), minutes(19))));
        let mut mixed = waits(1..=21);
        mixed.reverse();
        assert_eq!(percentiles(&mixed), Some((minutes(11), minutes(20))));
    }

    #[test]
    fn a_queue_is_shown_with_times_that_people_can_read() {
        let facts = workers(started(one_waits(), 1), 2);
        let truth = QueueTruth::of(&facts, &[minutes(2)], &BlindTime::default(), minute(3));
        let json = serde_json::to_value(truth).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "verdict": "moving", "waiting": 1, "live_workers": 2,
                "oldest_waiting_since": "2026-01-01T00:00:00Z",
                "last_start": "2026-01-01T00:01:00Z",
                "wait_p50_seconds": 120, "wait_p95_seconds": 120,
            })
        );
        assert_eq!(serde_json::from_value::<QueueTruth>(json).unwrap(), truth);
    }
}
