//! Freshness (DESIGN section 5): is this active run still inside its lifecycle window?
//!
//! Deadlines come from recorded times only; the state comes from comparing them with the moment
//! asked about. So no timer has to fire for the answer to be right.

use runledger_ledger::run::Run;
use runledger_ledger::time::Moment;
use runledger_ledger::words;
use runledger_ledger::words::Status;

use super::blind::BlindTime;

words! {
    /// Whether a run is inside its window, past it, or ended.
    Freshness {
        /// Active, and no window is known: nothing can be said.
        Unknown = "unknown",
        /// Waiting, inside its queue window.
        FreshQueued = "fresh_queued",
        /// Waiting, past its queue window.
        StaleQueued = "stale_queued",
        /// Running, inside its run window.
        FreshRunning = "fresh_running",
        /// Running, past its run window.
        StaleRunning = "stale_running",
        /// Completed by a reconciliation.
        ReconciledTerminal = "reconciled_terminal",
        /// Completed by a signal.
        Terminal = "terminal",
    }
}

impl Freshness {
    /// Whether an active run is past its window.
    pub const fn is_stale(self) -> bool {
        matches!(self, Freshness::StaleQueued | Freshness::StaleRunning)
    }

    /// Whether an active run is known to be inside its window.
    pub const fn is_fresh(self) -> bool {
        matches!(self, Freshness::FreshQueued | Freshness::FreshRunning)
    }
}

/// When the run becomes stale if nothing more is recorded of it. None once it has completed, and
/// where its dispatch knew no window. An unknown run has none.
pub fn deadline(run: &Run, blind: &BlindTime) -> Option<Moment> {
    let (since, window) = match run.status {
        Status::Queued => (run.dispatch_recorded_at, run.lifecycle.queue_window?),
        Status::Running => (run.last_sign_of_life?, run.lifecycle.run_window?),
        Status::Completed => return None,
    };
    Some(blind.extend(since, window))
}

/// The run's freshness at `at`. `deadline` is its [`deadline`], stored or derived.
pub fn freshness(run: &Run, deadline: Option<Moment>, at: Moment) -> Freshness {
    let stale = deadline.map(|deadline| at >= deadline);
    match (run.status, stale) {
        (Status::Completed, _) if run.is_reconciled() => Freshness::ReconciledTerminal,
        (Status::Completed, _) => Freshness::Terminal,
        (_, None) => Freshness::Unknown,
        (Status::Queued, Some(false)) => Freshness::FreshQueued,
        (Status::Queued, Some(true)) => Freshness::StaleQueued,
        (Status::Running, Some(false)) => Freshness::FreshRunning,
        (Status::Running, Some(true)) => Freshness::StaleRunning,
    }
}

/// When the built-in `lifecycle` adapter gives the run up if nothing more is recorded of it:
/// `abandon_after` counts from the missed deadline. None where either is not known.
pub fn abandon_at(run: &Run, blind: &BlindTime) -> Option<Moment> {
    Some(blind.extend(deadline(run, blind)?, run.lifecycle.abandon_after?))
}

#[cfg(test)]
mod tests {
    use runledger_ledger::run::AdapterDecision;
    use runledger_ledger::words::Outcome;

    use super::*;
    use crate::rules::story::{Story, minute};

    fn at(story: &Story, now: i64) -> Freshness {
        let blind = BlindTime::default();
        freshness(&story.run, deadline(&story.run, &blind), minute(now))
    }

    #[test]
    fn a_waiting_run_is_stale_from_the_very_moment_of_its_deadline() {
        let waiting = Story::dispatched("inventory.sync", 0);
        assert_eq!(at(&waiting, 9), Freshness::FreshQueued);
        assert_eq!(at(&waiting, 10), Freshness::StaleQueued);
    }

    #[test]
    fn a_running_run_counts_from_its_last_sign_of_life() {
        let started = Story::dispatched("inventory.sync", 0).started(5);
        assert_eq!(at(&started, 34), Freshness::FreshRunning);
        assert_eq!(at(&started, 35), Freshness::StaleRunning);
        let alive = started.heartbeat(20);
        assert_eq!(at(&alive, 49), Freshness::FreshRunning);
        assert_eq!(at(&alive, 50), Freshness::StaleRunning);
    }

    #[test]
    fn without_a_window_nothing_is_concluded() {
        let waiting = Story::dispatched("acme.custom.thing", 0);
        assert_eq!(at(&waiting, 90_000), Freshness::Unknown);
        assert_eq!(at(&waiting.started(1), 90_000), Freshness::Unknown);
    }

    #[test]
    fn a_completed_run_says_who_completed_it() {
        let failed = Story::dispatched("inventory.sync", 0).ended_as(2, Outcome::Failed);
        assert_eq!(at(&failed, 3), Freshness::Terminal);
        assert_eq!(deadline(&failed.run, &BlindTime::default()), None);
        // A later proof does not change who completed it.
        let proven = failed.reconciled(4, AdapterDecision::Succeeded);
        assert_eq!(at(&proven, 5), Freshness::Terminal);
        let given_up =
            Story::dispatched("inventory.sync", 0).reconciled(60, AdapterDecision::Unknown);
        assert_eq!(at(&given_up, 61), Freshness::ReconciledTerminal);
    }

    #[test]
    fn an_adapter_that_asks_for_attention_leaves_a_run_stale() {
        let story = Story::dispatched("inventory.sync", 0)
            .started(1)
            .reconciled(40, AdapterDecision::NeedsAttention);
        assert_eq!(at(&story, 41), Freshness::StaleRunning);
    }

    #[test]
    fn blind_time_moves_the_deadline_and_the_giving_up() {
        let blind = BlindTime::new([(minute(3), minute(63))]);
        let waiting = Story::dispatched("inventory.sync", 0);
        assert_eq!(deadline(&waiting.run, &blind), Some(minute(70)));
        assert_eq!(abandon_at(&waiting.run, &blind), Some(minute(70 + 24 * 60)));
        let running = waiting.started(1);
        assert_eq!(deadline(&running.run, &blind), Some(minute(91)));
    }

    #[test]
    fn blind_time_after_the_deadline_moves_only_the_giving_up() {
        let blind = BlindTime::new([(minute(10), minute(20))]);
        let waiting = Story::dispatched("inventory.sync", 0);
        assert_eq!(deadline(&waiting.run, &blind), Some(minute(10)));
        assert_eq!(abandon_at(&waiting.run, &blind), Some(minute(20 + 24 * 60)));
    }

    #[test]
    fn high_risk_and_unclassified_runs_are_never_given_up() {
        let blind = BlindTime::default();
        for operation in ["restore.execute", "acme.custom.thing"] {
            let run = Story::dispatched(operation, 0).started(1).run;
            assert_eq!(abandon_at(&run, &blind), None, "{operation}");
        }
    }

    #[test]
    fn a_source_with_a_wrong_clock_makes_no_run_stale() {
        let story = Story::claimed("inventory.sync", -600, 0);
        assert_eq!(at(&story, 9), Freshness::FreshQueued);
    }
}
