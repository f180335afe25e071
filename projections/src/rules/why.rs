//! The why of a standing: which row of a rule decided, from which inputs, and what time alone makes
//! of it next (DESIGN sections 5 to 7). It decides nothing; it tells what was decided from what.

use runledger_ledger::run::Run;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words;
use runledger_ledger::words::Status;

use super::actionability::{Actionability, Reason, Verdict};
use super::blind::BlindTime;
use super::freshness::{Freshness, abandon_at, deadline, freshness};

words! {
    /// Which window decides on the freshness of a run.
    WindowRule {
        /// It waits, and may wait so long.
        QueueWindow = "queue_window",
        /// It runs, and may be silent so long.
        RunWindow = "run_window",
        /// It is active, and no window is known.
        NoWindow = "no_window",
        /// It has ended: no window counts any more.
        Ended = "ended",
    }
}

/// What decides on the freshness of a run, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreshnessWhy {
    /// Which window.
    pub rule: WindowRule,
    /// What it counts from: the dispatch, or the last sign of life, as recorded.
    pub since: Option<Moment>,
    /// How long it is.
    pub window: Option<Span>,
    /// The time in it in which the ledger could not listen, and by which it is longer.
    pub blind: Option<Span>,
    /// When it is over.
    pub deadline: Option<Moment>,
    /// How long a run that is past it is waited for.
    pub abandon_after: Option<Span>,
    /// What time alone makes of it next, and when.
    pub next: Option<(Moment, Becomes)>,
}

/// What time alone makes of an active run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// It is past its window.
    Stale(Freshness),
    /// It is given up: it ends, and how is not known.
    GivenUp,
}

impl FreshnessWhy {
    /// Of a run, at a moment.
    pub fn of(run: &Run, blind: &BlindTime, at: Moment) -> FreshnessWhy {
        let (rule, since, window) = match run.status {
            Status::Completed => (WindowRule::Ended, None, None),
            Status::Queued => {
                let window = run.lifecycle.queue_window;
                (WindowRule::QueueWindow, Some(run.dispatch_recorded_at), window)
            }
            Status::Running => {
                (WindowRule::RunWindow, run.last_sign_of_life, run.lifecycle.run_window)
            }
        };
        let rule = match (rule, window) {
            (WindowRule::QueueWindow | WindowRule::RunWindow, None) => WindowRule::NoWindow,
            (rule, _) => rule,
        };
        let deadline = deadline(run, blind);
        let given_up = abandon_at(run, blind);
        let listened = since.zip(window).map(|(since, window)| since.plus(window));
        let longer = deadline.zip(listened).map(|(deadline, listened)| deadline.since(listened));
        let next = match (freshness(run, deadline, at), deadline, given_up) {
            (Freshness::FreshQueued, Some(deadline), _) => {
                Some((deadline, Becomes::Stale(Freshness::StaleQueued)))
            }
            (Freshness::FreshRunning, Some(deadline), _) => {
                Some((deadline, Becomes::Stale(Freshness::StaleRunning)))
            }
            (now, _, Some(given_up)) if now.is_stale() => Some((given_up, Becomes::GivenUp)),
            _ => None,
        };
        FreshnessWhy {
            rule,
            since,
            window,
            blind: longer.filter(|longer| longer.micros() > 0),
            deadline,
            abandon_after: run.lifecycle.abandon_after.filter(|_| deadline.is_some()),
            next,
        }
    }
}

/// The row of the table of DESIGN section 7 that decided: `8`, `6a`.
pub fn row(verdict: &Verdict) -> &'static str {
    let reason = verdict.reason.as_deref().and_then(|reason| reason.parse().ok());
    match (verdict.status, reason) {
        (Actionability::NotTerminal, _) => "1",
        (Actionability::ResolvedByOperator, _) => "4",
        (_, Some(Reason::NoProblem)) => "2",
        (_, Some(Reason::InformationalFamily)) => "3",
        (_, Some(Reason::HighRisk)) => "5",
        (_, Some(Reason::LateSuccess)) => "6",
        (_, Some(Reason::LateCancellation)) => "6a",
        (_, Some(Reason::ReconciliationProof)) => "7",
        (_, Some(Reason::LaterSuccess)) => "8",
        (_, Some(Reason::HealthySubject)) => "9",
        (_, Some(Reason::Contradicted)) => "10",
        (_, Some(Reason::InsufficientCorrelation)) => "11",
        (_, Some(Reason::UnclassifiedOperation | Reason::Problem) | None) => "12",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::story::{Story, minute, minutes};

    fn why(story: &Story, at: i64) -> FreshnessWhy {
        FreshnessWhy::of(&story.run, &BlindTime::default(), minute(at))
    }

    #[test]
    fn a_waiting_run_is_told_its_window_and_what_comes_at_its_end() {
        let waiting = why(&Story::dispatched("inventory.sync", 0), 3);
        assert_eq!((waiting.rule, waiting.window), (WindowRule::QueueWindow, Some(minutes(10))));
        assert_eq!((waiting.since, waiting.deadline), (Some(minute(0)), Some(minute(10))));
        assert_eq!(waiting.next, Some((minute(10), Becomes::Stale(Freshness::StaleQueued))));
        assert_eq!(waiting.blind, None);
    }

    #[test]
    fn a_running_run_counts_from_its_last_sign_of_life_and_is_longer_by_blind_time() {
        let running = Story::dispatched("inventory.sync", 0).started(5);
        let mut blind = BlindTime::default();
        blind.add(minute(6), minute(10));
        let why = FreshnessWhy::of(&running.run, &blind, minute(12));
        assert_eq!((why.rule, why.since), (WindowRule::RunWindow, Some(minute(5))));
        assert_eq!((why.blind, why.deadline), (Some(minutes(4)), Some(minute(39))));
        assert_eq!(why.next, Some((minute(39), Becomes::Stale(Freshness::StaleRunning))));
    }

    #[test]
    fn a_stale_run_is_given_up_only_where_its_family_says_when() {
        let running = Story::dispatched("inventory.sync", 0).started(5);
        let stale = why(&running, 40);
        let given_up = abandon_at(&running.run, &BlindTime::default());
        assert_eq!(stale.next, given_up.map(|at| (at, Becomes::GivenUp)));
        assert_eq!(stale.abandon_after, running.run.lifecycle.abandon_after);
        let unknown = why(&Story::dispatched("acme.custom.thing", 0), 40);
        assert_eq!((unknown.rule, unknown.next), (WindowRule::NoWindow, None));
    }

    #[test]
    fn every_fixed_reason_has_a_row_of_its_own_or_the_last_one() {
        let of = |status, reason: &str| {
            row(&Verdict { status, reason: Some(reason.to_owned()), proof: None })
        };
        assert_eq!(of(Actionability::SupersededByLaterSuccess, "later_success"), "8");
        assert_eq!(of(Actionability::ResolvedByCurrentState, "late_cancellation"), "6a");
        // The word of a person may be one of the fixed reasons, and is none.
        assert_eq!(of(Actionability::ResolvedByOperator, "later_success"), "4");
        assert_eq!(of(Actionability::Actionable, "problem"), "12");
        let rows = Reason::ALL.iter().map(|one| of(Actionability::Actionable, one.as_str()));
        let rows: std::collections::BTreeSet<&str> = rows.collect();
        assert_eq!(rows.len(), Reason::ALL.len() - 1);
    }
}
