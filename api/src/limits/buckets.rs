//! Token buckets in a memory that has an end, however many come.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use runledger_ledger::time::Moment;

/// For how many seconds of its rate a bucket holds: who was quiet may send that much at once.
const SECONDS: i64 = 10;
const SECOND: i64 = 1_000_000_000;
const WINDOW: i64 = SECONDS * SECOND;
/// Most a second.
const MOST: u32 = 1_000_000;
/// Buckets in each of the two halves of what is remembered.
const HALF: usize = 32_768;

/// So many a second, and ten times as many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(NonZeroU32);

impl Rate {
    /// So many a second, a million at most.
    pub fn new(per_second: NonZeroU32) -> Option<Self> {
        (per_second.get() <= MOST).then_some(Rate(per_second))
    }

    /// How many a second.
    pub const fn per_second(self) -> u32 {
        self.0.get()
    }

    /// Nanoseconds that one takes.
    fn each(self) -> i64 {
        SECOND / i64::from(self.per_second())
    }
}

/// How long to wait for room, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait(i64);

impl Wait {
    /// Whole seconds, at least one.
    pub(super) fn seconds(self) -> u64 {
        u64::try_from((self.0 + SECOND - 1) / SECOND).unwrap_or_default().max(1)
    }
}

/// A bucket for each of those who come. What one holds is told by one number: when it is full again.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    rate: Option<Rate>,
    full_at: Mutex<Remembered<K>>,
}

impl<K: Eq + Hash + Clone> Buckets<K> {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Buckets { rate, full_at: Mutex::new(Remembered::default()) }
    }

    /// Takes one out of the bucket of `key`, or says how long to wait.
    pub(super) fn take(&self, key: K, at: Moment) -> Result<(), Wait> {
        let Some(rate) = self.rate else { return Ok(()) };
        let now = nanos(at);
        self.with(key, |full_at| {
            *full_at = at_hand(*full_at, now);
            let taken = *full_at + rate.each();
            if taken - now > WINDOW {
                return Err(Wait(taken - now - WINDOW));
            }
            *full_at = taken;
            Ok(())
        })
    }

    /// Takes `count` out of the bucket of `key`, also if it does not hold so many.
    pub(super) fn charge(&self, key: K, count: usize, at: Moment) {
        let Some(rate) = self.rate else { return };
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let now = nanos(at);
        self.with(key, |full_at| {
            let taken = at_hand(*full_at, now).saturating_add(rate.each().saturating_mul(count));
            // A debt has an end, so that nobody waits for longer than a bucket takes to fill.
            *full_at = taken.min(now + 2 * WINDOW);
        });
    }

    /// Whether there is anything in the bucket of `key`; if not, how long to wait.
    pub(super) fn look(&self, key: &K, at: Moment) -> Result<(), Wait> {
        if self.rate.is_none() {
            return Ok(());
        }
        let now = nanos(at);
        let mut remembered = self.lock();
        let missing = remembered.get(key).map_or(0, |full_at| {
            *full_at = at_hand(*full_at, now);
            *full_at - now
        });
        if missing > WINDOW { Err(Wait(missing - WINDOW)) } else { Ok(()) }
    }

    fn with<T>(&self, key: K, change: impl FnOnce(&mut i64) -> T) -> T {
        change(self.lock().entry(key))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Remembered<K>> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a bucket is full again, as far as that counts now: it was full before, and when the clock
/// was set back nobody waits for the time that it was.
fn at_hand(full_at: i64, now: i64) -> i64 {
    full_at.clamp(now, now + 2 * WINDOW)
}

fn nanos(at: Moment) -> i64 {
    at.micros().saturating_mul(1_000).min(i64::MAX - 4 * WINDOW)
}

/// What came lately, in two halves: when the young one is full, it becomes the old one, and what was
/// old and did not come again is forgotten. To be forgotten is to have a full bucket: whoever comes
/// from more addresses than are remembered is not held by them, and shuts nobody out either.
#[derive(Debug)]
struct Remembered<K> {
    young: HashMap<K, i64>,
    old: HashMap<K, i64>,
}

impl<K> Default for Remembered<K> {
    fn default() -> Self {
        Remembered { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<K: Eq + Hash + Clone> Remembered<K> {
    fn get(&mut self, key: &K) -> Option<&mut i64> {
        self.young.get_mut(key).or_else(|| self.old.get_mut(key))
    }

    fn entry(&mut self, key: K) -> &mut i64 {
        if !self.young.contains_key(&key) && self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        let old = &mut self.old;
        self.young.entry(key.clone()).or_insert_with(|| old.remove(&key).unwrap_or(i64::MIN))
    }
}

#[cfg(test)]
mod tests {
    use runledger_ledger::time::Span;

    use super::*;

    fn buckets(per_second: u32) -> Buckets<u32> {
        Buckets::new(NonZeroU32::new(per_second).and_then(Rate::new))
    }

    fn at(seconds: i64) -> Moment {
        Moment::from_micros(1_000_000_000_000).plus(Span::from_secs(seconds))
    }

    /// How many of 1,000 are let through at once.
    fn let_through(buckets: &Buckets<u32>, key: u32, at: Moment) -> usize {
        (0..1_000).filter(|_| buckets.take(key, at).is_ok()).count()
    }

    #[test]
    fn ten_seconds_of_the_rate_come_at_once_and_then_the_rate() {
        let buckets = buckets(5);
        assert_eq!(let_through(&buckets, 1, at(0)), 50);
        assert_eq!(buckets.take(1, at(0)).unwrap_err().seconds(), 1);
        assert_eq!(let_through(&buckets, 1, at(2)), 10);
        assert_eq!(let_through(&buckets, 1, at(1_000)), 50);
        assert_eq!(let_through(&buckets, 2, at(0)), 50, "another has a bucket of its own");
    }

    #[test]
    fn what_is_charged_later_is_waited_for_and_never_longer_than_a_bucket_takes() {
        let buckets = buckets(10);
        assert!(buckets.look(&1, at(0)).is_ok());
        buckets.charge(1, 100, at(0));
        assert!(buckets.look(&1, at(0)).is_ok(), "it held that many");
        buckets.charge(1, 30, at(0));
        assert_eq!(buckets.look(&1, at(0)).unwrap_err().seconds(), 3);
        assert!(buckets.look(&1, at(3)).is_ok());
        buckets.charge(1, 1_000_000, at(3));
        assert_eq!(buckets.look(&1, at(3)).unwrap_err().seconds(), 10);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_for_it() {
        let buckets = buckets(5);
        let_through(&buckets, 1, at(100_000));
        assert!(buckets.take(1, at(0)).unwrap_err().seconds() <= 11);
        assert_eq!(let_through(&buckets, 1, at(30)), 50);
    }

    #[test]
    fn memory_has_an_end_and_who_goes_on_is_remembered() {
        let buckets = buckets(1);
        let_through(&buckets, 0, at(0));
        for other in 1..200_000 {
            assert!(buckets.take(other, at(0)).is_ok());
            if other % 10_000 == 0 {
                assert!(buckets.take(0, at(0)).is_err(), "forgotten after {other}");
            }
        }
        let remembered = buckets.lock();
        assert!(remembered.young.len() + remembered.old.len() <= 2 * HALF);
    }

    #[test]
    fn without_a_rate_nothing_is_counted() {
        let buckets: Buckets<u32> = Buckets::new(None);
        assert_eq!(let_through(&buckets, 1, at(0)), 1_000);
        assert!(buckets.lock().young.is_empty());
    }
}
