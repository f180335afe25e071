//! The only place that asks the machine for the time, for ids and for randomness.
//!
//! Everything else takes them as parameters, so that a test, a scenario or a replay can give its
//! own. `clippy.toml` refuses the machine's own functions elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use uuid::Uuid;

use crate::time::{Moment, Span};

/// Where the ledger's time comes from.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    System,
    Manual(AtomicI64),
    /// Microseconds that it is behind the machine's clock; they only become fewer.
    Behind(AtomicI64),
}

impl Clock {
    /// The machine's clock, cut at the microsecond.
    pub fn system() -> Self {
        Clock(Arc::new(Kind::System))
    }

    /// A clock that stands at `start` until [`Clock::set`] moves it.
    pub fn manual(start: Moment) -> Self {
        Clock(Arc::new(Kind::Manual(AtomicI64::new(start.micros()))))
    }

    /// The machine's clock, `by` behind. It runs as the machine's does; [`Clock::advance`] brings it
    /// nearer, and once it is no longer behind it is the machine's clock for good. So a program can
    /// live through a past day quickly, and go on in the present without time ever running back.
    pub fn behind(by: Span) -> Self {
        Clock(Arc::new(Kind::Behind(AtomicI64::new(by.micros()))))
    }

    /// The time now.
    pub fn now(&self) -> Moment {
        match &*self.0 {
            Kind::System => system_now(),
            Kind::Manual(micros) => Moment::from_micros(micros.load(Ordering::SeqCst)),
            Kind::Behind(micros) => {
                Moment::from_micros(system_now().micros() - micros.load(Ordering::SeqCst))
            }
        }
    }

    /// How far it is behind the machine's clock, if it was made so; otherwise not at all.
    pub fn lag(&self) -> Span {
        match &*self.0 {
            Kind::System | Kind::Manual(_) => Span::ZERO,
            Kind::Behind(micros) => Span::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock to `moment`, forwards or backwards; every other stays as it is.
    pub fn set(&self, moment: Moment) {
        if let Kind::Manual(micros) = &*self.0 {
            micros.store(moment.micros(), Ordering::SeqCst);
        }
    }

    /// Moves a manual clock forward by `span`; one that is behind, at most to the machine's time.
    /// The machine's clock stays as it is.
    pub fn advance(&self, span: Span) {
        match &*self.0 {
            Kind::System => {}
            Kind::Manual(micros) => {
                micros.fetch_add(span.micros(), Ordering::SeqCst);
            }
            Kind::Behind(micros) => {
                let nearer = |lag: i64| Some(lag.saturating_sub(span.micros()).max(0));
                // Always changes it: `nearer` is never none.
                let _ = micros.fetch_update(Ordering::SeqCst, Ordering::SeqCst, nearer);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
fn system_now() -> Moment {
    let since_epoch =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Moment::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(Moment::MAX.micros()))
}

/// Where random bytes come from: the operating system, or a seed in tests and scenarios.
#[derive(Clone, Debug)]
pub struct Entropy(Arc<Source>);

#[derive(Debug)]
enum Source {
    System,
    Seeded(AtomicU64),
}

/// The operating system gave no random bytes. Nothing can be recorded without them.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoEntropy;

impl Entropy {
    /// The operating system's generator.
    pub fn system() -> Self {
        Entropy(Arc::new(Source::System))
    }

    /// A generator whose bytes follow from `seed`. Not for anything that must be secret.
    pub fn seeded(seed: u64) -> Self {
        Entropy(Arc::new(Source::Seeded(AtomicU64::new(seed))))
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        match &*self.0 {
            Source::System => getrandom::fill(bytes).map_err(|_| NoEntropy),
            Source::Seeded(state) => {
                for chunk in bytes.chunks_mut(8) {
                    let step = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
                    chunk.copy_from_slice(&splitmix(step).to_le_bytes()[..chunk.len()]);
                }
                Ok(())
            }
        }
    }

    /// A version 7 UUID whose time is `now`, so that ids made one after another are stored side by
    /// side.
    pub fn uuid_v7(&self, now: Moment) -> Result<Uuid, NoEntropy> {
        let mut random = [0; 10];
        self.fill(&mut random)?;
        let millis = u64::try_from(now.micros() / 1_000).unwrap_or_default();
        Ok(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

/// The mixing step of SplitMix64.
fn splitmix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(Moment::from_micros(5));
        let copy = clock.clone();
        clock.advance(Span::from_secs(1));
        assert_eq!(copy.now(), Moment::from_micros(1_000_005));
    }

    #[test]
    fn a_clock_that_is_behind_comes_nearer_and_never_overtakes_the_machine() {
        let clock = Clock::behind(Span::from_secs(100));
        let before = clock.now();
        assert!(before < Clock::system().now());
        clock.advance(Span::from_secs(60));
        assert_eq!(clock.lag(), Span::from_secs(40));
        assert!(clock.now() >= before.plus(Span::from_secs(60)));
        clock.advance(Span::from_secs(60));
        assert_eq!(clock.lag(), Span::ZERO);
        assert!(clock.now() <= Clock::system().now());
    }

    #[test]
    fn ids_of_one_seed_are_the_same_and_all_different() {
        let ids = |entropy: Entropy| {
            (0..100).map(|_| entropy.uuid_v7(Moment::EPOCH).unwrap()).collect::<Vec<_>>()
        };
        let first = ids(Entropy::seeded(1));
        assert_eq!(first, ids(Entropy::seeded(1)));
        assert_eq!(first.iter().collect::<std::collections::HashSet<_>>().len(), 100);
        assert!(first.iter().all(|id| id.get_version_num() == 7));
    }
}
