//! How often somebody may guess (specs/0022).
//!
//! What is counted is who guesses, and at whom: never a name alone, so that nobody can keep somebody
//! else out. A try counts when it begins, so that many at once are many.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use runledger_ledger::time::{Moment, Span};
use sha2::{Digest, Sha256};

/// Tries at a name from one address before somebody has to wait.
const OF_A_NAME: u32 = 5;
/// Tries from one address, whatever the names.
const OF_AN_ADDRESS: u32 = 30;
/// The first wait; each further one is twice as long.
const SHORTEST: Span = Span::from_secs(2);
/// The longest wait.
const LONGEST: Span = Span::from_secs(15 * 60);
/// After how long without a try nothing is known any more.
const FORGOTTEN: Span = Span::from_secs(60 * 60);
/// Most counts that are kept.
const KEPT: usize = 10_000;

/// The tries of a while.
#[derive(Debug, Default)]
pub struct Throttle {
    counts: Mutex<HashMap<Key, Count>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    /// An address from which people come back from a provider of identities. What goes wrong there is
    /// nobody's guess of a password.
    Provider(IpAddr),
    Name([u8; 32], IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Count {
    tries: u32,
    last: Moment,
    until: Moment,
}

/// A try that may be made. It has failed until it is said that it has not.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Try {
    name: Option<Key>,
    address: Key,
}

impl Throttle {
    /// Whether somebody may try a name from an address now. One that may not counts nowhere.
    pub fn begin(&self, name: &str, address: IpAddr, now: Moment) -> Option<Try> {
        let address = network(address);
        let name = Key::Name(Sha256::digest(name).into(), address);
        let address = Key::Address(address);
        let mut counts = self.lock();
        let waits = |key: &Key| counts.get(key).is_some_and(|count| now < count.until);
        if waits(&name) || waits(&address) {
            return None;
        }
        note(&mut counts, name, OF_A_NAME, now);
        note(&mut counts, address, OF_AN_ADDRESS, now);
        Some(Try { name: Some(name), address })
    }

    /// The same where no name is tried: whether somebody may come back from a provider of identities
    /// from this address now (specs/0026).
    pub fn begin_from(&self, address: IpAddr, now: Moment) -> Option<Try> {
        let address = Key::Provider(network(address));
        let mut counts = self.lock();
        if counts.get(&address).is_some_and(|count| now < count.until) {
            return None;
        }
        note(&mut counts, address, OF_AN_ADDRESS, now);
        Some(Try { name: None, address })
    }

    /// The try was none at all, or has succeeded: nothing of it counts, and of a success nothing that
    /// failed at the name before.
    pub fn forgive(&self, of: Try, succeeded: bool) {
        let mut counts = self.lock();
        let name = of.name.map(|name| (name, succeeded));
        for (key, all) in name.into_iter().chain([(of.address, false)]) {
            let Some(count) = counts.get_mut(&key) else { continue };
            count.tries = if all { 0 } else { count.tries.saturating_sub(1) };
            count.until = count.last;
            if count.tries == 0 {
                counts.remove(&key);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note(counts: &mut HashMap<Key, Count>, key: Key, free: u32, now: Moment) {
    if counts.len() >= KEPT && !counts.contains_key(&key) {
        make_room(counts, now);
    }
    let count = counts.entry(key).or_insert(Count { tries: 0, last: now, until: now });
    if is_forgotten(count, now) {
        count.tries = 0;
    }
    count.tries = count.tries.saturating_add(1);
    count.last = now;
    count.until = now.plus(wait(count.tries, free));
}

fn is_forgotten(count: &Count, now: Moment) -> bool {
    now.since(count.last) >= FORGOTTEN
}

/// How long the next try has to wait after so many.
fn wait(tries: u32, free: u32) -> Span {
    let Some(doublings) = tries.checked_sub(free) else { return Span::from_secs(0) };
    let longer = SHORTEST.micros().checked_shl(doublings.min(20));
    Span::from_micros(longer.map_or(LONGEST.micros(), |longer| longer.min(LONGEST.micros())))
}

/// What nobody knows any more goes first, then what was tried longest ago.
fn make_room(counts: &mut HashMap<Key, Count>, now: Moment) {
    counts.retain(|_, count| !is_forgotten(count, now));
    if counts.len() < KEPT {
        return;
    }
    let oldest = counts.iter().min_by_key(|(_, count)| count.last).map(|(key, _)| *key);
    if let Some(oldest) = oldest {
        counts.remove(&oldest);
    }
}

/// What is counted as one address: of IPv6 the first 64 bits, since one host has all the others.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_micros(1_767_225_600_000_000);

    fn at(seconds: i64) -> Moment {
        NOW.plus(Span::from_secs(seconds))
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    /// Whether a try may be made; it fails then.
    fn fails(throttle: &Throttle, name: &str, last: u8, seconds: i64) -> bool {
        throttle.begin(name, address(last), at(seconds)).is_some()
    }

    #[test]
    fn after_five_failures_each_wait_is_twice_as_long_up_to_a_quarter_of_an_hour() {
        let throttle = Throttle::default();
        for _ in 0..5 {
            assert!(fails(&throttle, "ada", 1, 0));
        }
        let mut now = 0;
        for wait in [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            assert!(!fails(&throttle, "ada", 1, now + wait - 1), "{wait}");
            now += wait;
            assert!(fails(&throttle, "ada", 1, now), "{wait}");
        }
        assert!(fails(&throttle, "ada", 1, now + 3_600), "an hour later nothing is known");
        assert!(fails(&throttle, "ada", 1, now + 3_600));
    }

    #[test]
    fn a_storm_at_a_name_keeps_nobody_out_from_elsewhere_nor_other_names() {
        let throttle = Throttle::default();
        while fails(&throttle, "ada", 1, 0) {}
        assert!(fails(&throttle, "ada", 2, 0));
        assert!(fails(&throttle, "bob", 1, 0));
    }

    #[test]
    fn who_tries_many_names_from_one_address_waits_as_well() {
        let throttle = Throttle::default();
        let tried = (0..100).take_while(|name| fails(&throttle, &name.to_string(), 1, 0)).count();
        assert_eq!(tried, 30);
        assert!(fails(&throttle, "0", 2, 0));
    }

    #[test]
    fn many_tries_at_once_are_many_and_one_that_succeeds_counts_not() {
        let throttle = Throttle::default();
        let tries: Vec<Try> =
            std::iter::from_fn(|| throttle.begin("ada", address(1), NOW)).collect();
        assert_eq!(tries.len(), 5);
        throttle.forgive(tries[4], true);
        assert!(fails(&throttle, "ada", 1, 0), "who was right begins anew");
        // An account of one's own makes nothing good that failed at others.
        let throttle = Throttle::default();
        for name in 0..29 {
            assert!(fails(&throttle, &name.to_string(), 1, 0));
        }
        for _ in 0..9 {
            throttle.forgive(throttle.begin("own", address(1), NOW).unwrap(), true);
        }
        assert!(fails(&throttle, "x", 1, 0));
        assert!(!fails(&throttle, "y", 1, 0));
    }

    #[test]
    fn what_was_none_is_taken_back_and_nothing_else() {
        let throttle = Throttle::default();
        for _ in 0..4 {
            assert!(fails(&throttle, "ada", 1, 0));
        }
        for _ in 0..9 {
            throttle.forgive(throttle.begin("ada", address(1), NOW).unwrap(), false);
        }
        assert!(fails(&throttle, "ada", 1, 0));
        assert!(!fails(&throttle, "ada", 1, 0));
    }

    #[test]
    fn the_addresses_of_one_host_are_one() {
        let throttle = Throttle::default();
        let host = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 7, 0, 0, 0, last]);
        let tried = (0..99).take_while(|last| throttle.begin("ada", host(*last), NOW).is_some());
        assert_eq!(tried.count(), 5);
        assert!(
            throttle.begin("ada", IpAddr::from([0x2001, 0xdb8, 0, 8, 0, 0, 0, 1]), NOW).is_some()
        );
    }

    #[test]
    fn what_is_kept_has_an_end_and_the_oldest_makes_room() {
        let throttle = Throttle::default();
        while fails(&throttle, "ada", 1, 0) {}
        for number in 0..20_000_u32 {
            let from = IpAddr::from((number | 0x0a00_0000).to_be_bytes());
            let _tried = throttle.begin("bob", from, at(1 + i64::from(number) / 10_000));
            assert!(throttle.lock().len() <= KEPT);
        }
        let last = IpAddr::from((19_999_u32 | 0x0a00_0000).to_be_bytes());
        assert!(throttle.lock().contains_key(&Key::Address(last)));
        assert!(fails(&throttle, "ada", 1, 3), "it was the oldest");
    }
}
