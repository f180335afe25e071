//! When a run is looked at next. Pure: values in, a wake out.

use runledger_ledger::time::{Moment, Span};
use runledger_projections::Wake;

/// The first wait for a source that gave no answer; each further one is twice as long.
const FIRST_RETRY: Span = Span::from_secs(5);
/// The longest.
const LAST_RETRY: Span = Span::from_secs(600);
/// How often a completed run with a problem is looked at without a proof. Each wait is twice as
/// long as the one before: with a revisit of five minutes, these are three and a half days in all.
const MOST_LOOKS: u32 = 10;

/// What a look at a run found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It moved meanwhile: what was decided was about another run.
    Moved,
    /// There was no decision: the source gave no answer, or the decision may not be recorded.
    NoAnswer,
    /// It is still active, or has just ended.
    Active,
    /// It ended with a problem, and a proof of success would still count.
    Problem,
    /// Nothing more can be proven of it.
    Settled,
}

/// What the next look depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) found: Found,
    pub(super) now: Moment,
    /// The adapter's wait after a look that proved nothing.
    pub(super) revisit: Span,
    /// When the run becomes or became stale.
    pub(super) deadline: Option<Moment>,
    /// The wake that it was looked at by.
    pub(super) wake: Option<Wake>,
}

impl Look {
    /// The next wake; none if nobody needs to look again. `chance` is a number at random.
    pub(super) fn next(self, chance: u64) -> Option<Wake> {
        let Look { found, now, revisit, deadline, wake } = self;
        let (attempt, looks) = wake.map_or((0, 0), |wake| (wake.attempt, wake.looks));
        match found {
            Found::Moved => Some(Wake { due_at: now, attempt, looks }),
            Found::NoAnswer => {
                let due_at = now.plus(retry(attempt, chance));
                Some(Wake { due_at, attempt: attempt.saturating_add(1), looks })
            }
            Found::Active => {
                let again = now.plus(revisit);
                let stale = deadline.filter(|deadline| *deadline > now);
                let due_at = stale.map_or(again, |stale| stale.min(again));
                Some(Wake { due_at, attempt: 0, looks: 0 })
            }
            Found::Problem if looks < MOST_LOOKS => {
                let due_at = now.plus(times_two_to(revisit, looks));
                Some(Wake { due_at, attempt: 0, looks: looks.saturating_add(1) })
            }
            Found::Problem | Found::Settled => None,
        }
    }
}

/// Between a half and the whole of a wait that doubles: so that servers and runs that failed
/// together do not come back together.
pub(super) fn retry(attempt: u32, chance: u64) -> Span {
    let whole = times_two_to(FIRST_RETRY, attempt).micros().min(LAST_RETRY.micros());
    let half = whole / 2;
    let extra = chance % half.unsigned_abs().saturating_add(1);
    Span::from_micros(half.saturating_add(i64::try_from(extra).unwrap_or_default()))
}

fn times_two_to(span: Span, power: u32) -> Span {
    Span::from_micros(span.micros().saturating_mul(1 << power.min(20)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_micros(1_000_000_000);
    const REVISIT: Span = Span::from_secs(300);

    fn look(found: Found, attempt: u32, looks: u32) -> Look {
        let wake = Some(Wake { due_at: NOW, attempt, looks });
        Look { found, now: NOW, revisit: REVISIT, deadline: None, wake }
    }

    fn after(wake: Option<Wake>) -> i64 {
        wake.unwrap().due_at.since(NOW).micros() / 1_000_000
    }

    #[test]
    fn a_run_that_moved_is_judged_again_at_once() {
        assert_eq!(look(Found::Moved, 2, 3).next(7), look(Found::Moved, 2, 3).wake);
    }

    #[test]
    fn a_source_that_gives_no_answer_is_asked_less_and_less_often() {
        let waits: Vec<_> =
            (0..10).map(|attempt| after(look(Found::NoAnswer, attempt, 0).next(0))).collect();
        assert_eq!(waits, [2, 5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(look(Found::NoAnswer, 3, 1).next(0).unwrap().attempt, 4);
        for chance in [0, 1, 77_777_777, u64::MAX] {
            let wait = look(Found::NoAnswer, 0, 0).next(chance).unwrap().due_at.since(NOW);
            assert!(wait >= Span::from_micros(2_500_000) && wait <= FIRST_RETRY, "{wait}");
        }
    }

    #[test]
    fn an_active_run_is_looked_at_again_and_not_later_than_it_becomes_stale() {
        let fresh = |seconds| Look {
            deadline: Some(NOW.plus(Span::from_secs(seconds))),
            ..look(Found::Active, 3, 0)
        };
        assert_eq!(after(look(Found::Active, 3, 0).next(0)), 300);
        assert_eq!(after(fresh(60).next(0)), 60);
        assert_eq!(after(fresh(3_000).next(0)), 300);
        assert_eq!(after(fresh(0).next(0)), 300);
        assert_eq!(fresh(60).next(0).unwrap().attempt, 0);
    }

    #[test]
    fn a_problem_is_looked_at_less_and_less_often_and_then_no_more() {
        let minutes = |looks| after(look(Found::Problem, 0, looks).next(0)) / 60;
        let waits: Vec<_> = (0..10).map(minutes).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560]);
        assert_eq!(look(Found::Problem, 0, 10).next(0), None);
        assert_eq!(look(Found::Settled, 0, 0).next(0), None);
    }
}
