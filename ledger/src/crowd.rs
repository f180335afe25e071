//! Which workspaces have work at the moment, and how much of it (specs/0023).
//!
//! A workspace that is alone takes what it can get. As soon as another one reports as well, each
//! takes turns that are short: what one waits for is at most a turn of each of the others. The one
//! that has more than all others together rests after each of its turns.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::time::{Moment, Span};
use crate::words::WorkspaceId;

/// For how long a workspace that has had work counts as one that has.
const LATELY: Span = Span::from_secs(2);
/// Events lately that are no burden to anybody, whoever else there is.
const LITTLE: u64 = 400;

/// What each workspace has had to do lately.
#[derive(Debug, Default)]
pub(crate) struct Crowd(Mutex<HashMap<WorkspaceId, Had>>);

/// Events of a workspace in the span of [`LATELY`] that began last, and in the one before it.
#[derive(Clone, Copy, Debug)]
struct Had {
    since: Moment,
    events: u64,
    before: u64,
    last: Moment,
}

impl Crowd {
    /// Notes that a workspace has so many events to write.
    pub(crate) fn note(&self, workspace: WorkspaceId, events: usize, at: Moment) {
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(&workspace) {
            // Only where one is added anyway are those looked for that have nothing any more.
            all.retain(|_, had| had.is_lately(at));
        }
        let new = Had { since: at, events: 0, before: 0, last: at };
        let had = all.entry(workspace).or_insert(new);
        *had = had.as_of(at);
        had.events = had.events.saturating_add(events);
        had.last = at;
    }

    /// Whether another workspace has had work lately.
    pub(crate) fn is_beside(&self, workspace: WorkspaceId, now: Moment) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|(of, had)| *of != workspace && had.is_lately(now))
    }

    /// Whether a workspace has lately had more than all others together, and more than little.
    pub(crate) fn is_loud(&self, workspace: WorkspaceId, now: Moment) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut own, mut others) = (0_u64, 0_u64);
        for (of, had) in all.iter().filter(|(_, had)| had.is_lately(now)) {
            let sum = if *of == workspace { &mut own } else { &mut others };
            *sum = sum.saturating_add(had.as_of(now).sum());
        }
        own > LITTLE && own > others
    }
}

impl Had {
    fn is_lately(&self, now: Moment) -> bool {
        (now.micros() - self.last.micros()).abs() < LATELY.micros()
    }

    /// The same at a later moment, when a span may have ended.
    fn as_of(self, now: Moment) -> Self {
        let ago = now.micros() - self.since.micros();
        if ago < LATELY.micros() {
            return self;
        }
        let before = if ago < 2 * LATELY.micros() { self.events } else { 0 };
        Had { since: now, events: 0, before, ..self }
    }

    fn sum(self) -> u64 {
        self.events.saturating_add(self.before)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn workspace(number: u128) -> WorkspaceId {
        WorkspaceId(Uuid::from_u128(number))
    }

    fn at(seconds: i64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_workspace_is_alone_until_another_one_has_work() {
        let [a, b] = [1, 2].map(workspace);
        let crowd = Crowd::default();
        assert!(!crowd.is_beside(a, at(0)));
        crowd.note(a, 1, at(0));
        crowd.note(a, 1, at(1));
        assert!(!crowd.is_beside(a, at(1)));
        assert!(crowd.is_beside(b, at(1)));
        crowd.note(b, 1, at(1));
        crowd.note(a, 1, at(2));
        assert!(crowd.is_beside(a, at(2)) && crowd.is_beside(b, at(2)));
        assert!(!crowd.is_beside(a, at(3)), "what was long ago does not count");
        assert!(crowd.is_beside(b, at(3)));
    }

    #[test]
    fn only_one_that_has_more_than_all_others_is_loud_and_not_for_long() {
        let [a, b, c] = [1, 2, 3].map(workspace);
        let crowd = Crowd::default();
        crowd.note(a, 400, at(0));
        assert!(!crowd.is_loud(a, at(0)), "little is never loud");
        crowd.note(a, 600, at(1));
        crowd.note(b, 700, at(1));
        assert!(crowd.is_loud(a, at(1)) && !crowd.is_loud(b, at(1)));
        crowd.note(c, 500, at(1));
        assert!([a, b, c].iter().all(|one| !crowd.is_loud(*one, at(1))));
        crowd.note(a, 1, at(3));
        assert!(crowd.is_loud(a, at(3)), "what was before the last span counts");
        crowd.note(a, 1, at(5));
        assert!(!crowd.is_loud(a, at(5)));
    }

    #[test]
    fn who_has_nothing_any_more_is_forgotten() {
        let crowd = Crowd::default();
        for number in 0..100 {
            crowd.note(workspace(number), 1, at(i64::try_from(number).unwrap()));
        }
        assert!(crowd.0.lock().unwrap().len() <= 3);
    }
}
