//! How much is done in one turn while other workspaces have work as well, and how long is rested
//! after it (specs/0023).
//!
//! A turn is short, so that nobody waits long for its end, and after a full one there is a rest, so
//! that what the others have is not always behind something. Whoever has more to do than all others
//! together rests after every turn. Whoever has little to do has no full turns, and never rests.

use std::time::Duration;

/// How long a turn is to take.
const TURN: Duration = Duration::from_millis(5);
/// The longest rest. With it the longest request is over long before its caller gives up, also where
/// a turn takes what it takes, as on a slow disk.
const LONGEST: Duration = Duration::from_millis(50);
/// How many times as long as its turn a rest is on one processor. On two it is half of that, and
/// whoever rests has a fifth of the time.
const RESTS: u32 = 8;
/// Fewest and most that a turn takes on. A write has a price that fewer events do not lower.
const LEAST: usize = 64;
const MOST: usize = 1_024;
/// What a turn takes on before anything is known.
const FIRST: usize = 128;

/// The pace of one who takes turns.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    most: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { most: FIRST }
    }
}

impl Pace {
    /// How much the next turn takes on at most.
    pub const fn most(&self) -> usize {
        self.most
    }

    /// Learns from a turn that took on `count` and was over after `took`, and says how long to rest.
    /// Whoever is `loud` always rests.
    pub fn learn(&mut self, count: usize, took: Duration, loud: bool) -> Duration {
        if count < self.most {
            return if loud { rest(took) } else { Duration::ZERO };
        }
        if took > TURN {
            self.most = (self.most / 2).max(LEAST);
        } else if took < TURN / 2 {
            self.most = (self.most * 2).min(MOST);
        }
        rest(took)
    }
}

/// How long to rest after what took so long: the longer, the fewer the processors are that the
/// others could have instead.
pub fn rest(took: Duration) -> Duration {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let processors = u32::try_from(processors).unwrap_or(u32::MAX);
    (took * RESTS / processors).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_become_as_long_as_they_should_be_and_full_ones_are_rested_after() {
        let mut pace = Pace::default();
        assert_eq!(pace.learn(pace.most() - 1, TURN * 9, false), Duration::ZERO);
        assert!(pace.learn(1, TURN, true) > Duration::ZERO);
        assert_eq!(pace.most(), FIRST);
        for _ in 0..20 {
            assert!(pace.learn(pace.most(), TURN * 2, false) > Duration::ZERO);
        }
        assert_eq!(pace.most(), LEAST);
        pace.learn(LEAST, TURN, false);
        assert_eq!(pace.most(), LEAST);
        for _ in 0..20 {
            pace.learn(pace.most(), TURN / 10, false);
        }
        assert_eq!(pace.most(), MOST);
        assert!(pace.learn(MOST, TURN * 1_000, false) <= LONGEST);
    }
}
