//! Blind time (DESIGN section 5): while the ledger could not listen, silence means nothing.

use runledger_ledger::time::{Moment, Span};

/// The intervals in which the ledger was blind, as far as they were recorded at the moment asked
/// about. Intervals that overlap or touch are merged, so that no time counts twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlindTime {
    /// Sorted, apart from each other, none empty.
    intervals: Vec<(Moment, Moment)>,
}

impl BlindTime {
    /// Blind from each first moment until just before its second one, in any order.
    pub fn new(intervals: impl IntoIterator<Item = (Moment, Moment)>) -> Self {
        let mut blind = BlindTime::default();
        for (from, to) in intervals {
            blind.add(from, to);
        }
        blind
    }

    /// Adds one interval. One that ends before or when it begins holds no time and is ignored.
    pub fn add(&mut self, from: Moment, to: Moment) {
        if from >= to {
            return;
        }
        let first = self.intervals.partition_point(|interval| interval.1 < from);
        let last = self.intervals.partition_point(|interval| interval.0 <= to);
        let met = &self.intervals[first..last];
        let from = met.first().map_or(from, |interval| interval.0.min(from));
        let to = met.last().map_or(to, |interval| interval.1.max(to));
        self.intervals.splice(first..last, [(from, to)]);
    }

    /// Whether the ledger was never blind.
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// The merged intervals, earliest first.
    pub fn intervals(&self) -> impl Iterator<Item = (Moment, Moment)> {
        self.intervals.iter().copied()
    }

    /// The first moment at which `window` of *seeing* time has passed since `start`: the window is
    /// longer by the blind time that falls into it, and what it grows into counts as well.
    pub fn extend(&self, start: Moment, window: Span) -> Moment {
        let mut seen_until = start;
        let mut left = window;
        let next = self.intervals.partition_point(|interval| interval.1 <= start);
        for &(from, to) in &self.intervals[next..] {
            let seeing = from.since(seen_until);
            if left <= seeing {
                break;
            }
            left = left.minus(seeing);
            seen_until = to;
        }
        seen_until.plus(left)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn minute(minute: i64) -> Moment {
        Moment::EPOCH.plus(minutes(minute))
    }

    fn minutes(minutes: i64) -> Span {
        Span::from_secs(minutes * 60)
    }

    fn blind(intervals: &[(i64, i64)]) -> BlindTime {
        BlindTime::new(intervals.iter().map(|&(from, to)| (minute(from), minute(to))))
    }

    #[test]
    fn a_window_grows_by_the_blind_time_in_it_and_by_what_it_grows_into() {
        assert_eq!(blind(&[]).extend(minute(5), minutes(10)), minute(15));
        assert_eq!(blind(&[(3, 63)]).extend(minute(1), minutes(30)), minute(91));
        assert_eq!(blind(&[(3, 63), (70, 80)]).extend(minute(0), minutes(10)), minute(70));
        assert_eq!(blind(&[(3, 63), (69, 80)]).extend(minute(0), minutes(10)), minute(81));
    }

    #[test]
    fn blind_time_before_the_start_or_from_the_end_on_adds_nothing() {
        assert_eq!(blind(&[(0, 5)]).extend(minute(5), minutes(10)), minute(15));
        assert_eq!(blind(&[(15, 20)]).extend(minute(5), minutes(10)), minute(15));
        assert_eq!(blind(&[(0, 9)]).extend(minute(5), minutes(10)), minute(19));
    }

    #[test]
    fn no_window_at_all_ends_where_it_begins_even_in_blind_time() {
        assert_eq!(blind(&[(0, 9)]).extend(minute(5), Span::ZERO), minute(5));
    }

    #[test]
    fn overlapping_and_touching_intervals_are_one() {
        let merged = blind(&[(10, 20), (30, 40), (20, 25), (35, 50), (12, 13), (60, 60), (9, 8)]);
        assert_eq!(merged, blind(&[(10, 25), (30, 50)]));
        assert_eq!(merged.intervals().count(), 2);
        assert_eq!(blind(&[(10, 20), (30, 40), (0, 100)]), blind(&[(0, 100)]));
    }

    /// Walks minute by minute and counts those in which the ledger could see.
    fn walked(intervals: &[(i64, i64)], start: i64, window: i64) -> i64 {
        let (mut now, mut seen) = (start, 0);
        while seen < window {
            let is_blind = intervals.iter().any(|&(from, to)| from <= now && now < to);
            seen += i64::from(!is_blind);
            now += 1;
        }
        now
    }

    proptest! {
        #[test]
        fn extending_is_what_a_walk_minute_by_minute_finds(
            intervals in prop::collection::vec((0i64..200, 0i64..200), 0..12),
            start in 0i64..150,
            window in 0i64..80,
        ) {
            let found = blind(&intervals).extend(minute(start), minutes(window));
            prop_assert_eq!(found, minute(walked(&intervals, start, window)));
        }

        #[test]
        fn the_order_in_which_intervals_come_makes_no_difference(
            intervals in prop::collection::vec((0i64..200, 0i64..200), 0..12),
        ) {
            let backwards: Vec<_> = intervals.iter().rev().copied().collect();
            prop_assert_eq!(blind(&intervals), blind(&backwards));
        }

        #[test]
        fn a_later_start_or_a_longer_window_never_ends_earlier(
            intervals in prop::collection::vec((0i64..200, 0i64..200), 0..12),
            start in 0i64..150,
            window in 1i64..80,
        ) {
            let blind = blind(&intervals);
            let end = blind.extend(minute(start), minutes(window));
            prop_assert!(end <= blind.extend(minute(start + 1), minutes(window)));
            prop_assert!(end < blind.extend(minute(start), minutes(window + 1)));
        }
    }
}
