//! Guidance (DESIGN section 8): the one thing to tell a person about a run, chosen in one place.

use runledger_ledger::words;
use runledger_ledger::words::Outcome;
use serde::{Deserialize, Serialize};

use super::actionability::Actionability;
use super::freshness::Freshness;
use super::progress::ProgressKind;
use super::queue::QueueVerdict;

words! {
    /// What a person is told about a run.
    GuidanceKey {
        /// It waits, and its queue moves.
        WaitingForWorker = "waiting_for_worker",
        /// It waits; nothing is known of its queue.
        WaitingUnverified = "waiting_unverified",
        /// It waits behind others that wait too long.
        WaitingBehindBacklog = "waiting_behind_backlog",
        /// It waits, and nothing in its queue starts.
        QueueStalled = "queue_stalled",
        /// It waits, and its queue has lost its workers.
        NoWorkerSeen = "no_worker_seen",
        /// It has waited longer than it may.
        QueuedPastWindow = "queued_past_window",
        /// It runs, and tells how far it is.
        Running = "running",
        /// It runs, and has not told how far it is.
        RunningNoProgressYet = "running_no_progress_yet",
        /// It has been silent longer than it may.
        RunningPastWindow = "running_past_window",
        /// It is active; nothing says how long it may be.
        ActiveUnverified = "active_unverified",
        /// A person must do something.
        NeedsAction = "needs_action",
        /// A person must look.
        NeedsReview = "needs_review",
        /// A later run has done the work.
        Superseded = "superseded",
        /// What is true now has made it good.
        ResolvedByState = "resolved_by_state",
        /// A person has closed it.
        ResolvedByOperator = "resolved_by_operator",
        /// It did what it was asked.
        Succeeded = "succeeded",
        /// It did what it was asked, as an adapter found.
        ReconciledSucceeded = "reconciled_succeeded",
        /// It was stopped.
        Cancelled = "cancelled",
        /// It ended with a problem that needs nobody.
        ForInformation = "for_information",
    }
}

words! {
    /// How loud it is.
    Severity {
        /// All is as it should be.
        Calm = "calm",
        /// Worth knowing.
        Notice = "notice",
        /// It will probably not get better by itself.
        Warning = "warning",
        /// A person is needed.
        Attention = "attention",
        /// Nothing is left to do.
        Done = "done",
    }
}

impl GuidanceKey {
    /// How loud this key is, always.
    pub const fn severity(self) -> Severity {
        match self {
            GuidanceKey::WaitingForWorker
            | GuidanceKey::WaitingUnverified
            | GuidanceKey::Running
            | GuidanceKey::RunningNoProgressYet => Severity::Calm,
            GuidanceKey::WaitingBehindBacklog | GuidanceKey::ActiveUnverified => Severity::Notice,
            GuidanceKey::QueueStalled | GuidanceKey::NoWorkerSeen => Severity::Warning,
            GuidanceKey::QueuedPastWindow
            | GuidanceKey::RunningPastWindow
            | GuidanceKey::NeedsAction
            | GuidanceKey::NeedsReview => Severity::Attention,
            GuidanceKey::Superseded
            | GuidanceKey::ResolvedByState
            | GuidanceKey::ResolvedByOperator
            | GuidanceKey::Succeeded
            | GuidanceKey::ReconciledSucceeded
            | GuidanceKey::Cancelled
            | GuidanceKey::ForInformation => Severity::Done,
        }
    }
}

/// The one key, and how loud it is. Its sentence is in [`crate::texts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Guidance {
    /// What to tell.
    pub key: GuidanceKey,
    /// How loud.
    pub severity: Severity,
}

/// The guidance for a standing: the table of section 8.
///
/// `queue` is the verdict on the queue that the run names, `reconciled` whether a reconciliation
/// completed it. It answers combinations that cannot be, too, and then keeps what must never be
/// broken: a stale run is never calm, and a superseded one never calls for attention.
pub fn guidance(
    freshness: Freshness,
    queue: Option<QueueVerdict>,
    progress: ProgressKind,
    actionability: Actionability,
    outcome: Outcome,
    reconciled: bool,
) -> Guidance {
    let key = match actionability {
        Actionability::NotTerminal => active(freshness, queue, progress),
        Actionability::Actionable => GuidanceKey::NeedsAction,
        Actionability::RequiresManualReview => GuidanceKey::NeedsReview,
        Actionability::SupersededByLaterSuccess => GuidanceKey::Superseded,
        Actionability::ResolvedByCurrentState => GuidanceKey::ResolvedByState,
        Actionability::ResolvedByOperator => GuidanceKey::ResolvedByOperator,
        Actionability::InformationalOnly => informational(outcome, reconciled),
    };
    Guidance { key, severity: key.severity() }
}

fn active(
    freshness: Freshness,
    queue: Option<QueueVerdict>,
    progress: ProgressKind,
) -> GuidanceKey {
    match freshness {
        Freshness::FreshQueued => waiting(queue),
        Freshness::StaleQueued => GuidanceKey::QueuedPastWindow,
        Freshness::FreshRunning if progress == ProgressKind::None => {
            GuidanceKey::RunningNoProgressYet
        }
        Freshness::FreshRunning => GuidanceKey::Running,
        Freshness::StaleRunning => GuidanceKey::RunningPastWindow,
        // A completed run is never `not_terminal`; if one were, nothing would be known of it.
        Freshness::Unknown | Freshness::ReconciledTerminal | Freshness::Terminal => {
            GuidanceKey::ActiveUnverified
        }
    }
}

fn waiting(queue: Option<QueueVerdict>) -> GuidanceKey {
    match queue {
        Some(QueueVerdict::Moving) => GuidanceKey::WaitingForWorker,
        Some(QueueVerdict::Slow) => GuidanceKey::WaitingBehindBacklog,
        Some(QueueVerdict::Stalled) => GuidanceKey::QueueStalled,
        Some(QueueVerdict::NoWorker) => GuidanceKey::NoWorkerSeen,
        // A queue in which this run waits is not empty; if it were said to be, nothing is known.
        Some(QueueVerdict::Unknown | QueueVerdict::Empty) | None => GuidanceKey::WaitingUnverified,
    }
}

fn informational(outcome: Outcome, reconciled: bool) -> GuidanceKey {
    match outcome {
        Outcome::Succeeded if reconciled => GuidanceKey::ReconciledSucceeded,
        Outcome::Succeeded => GuidanceKey::Succeeded,
        Outcome::Cancelled => GuidanceKey::Cancelled,
        Outcome::Pending
        | Outcome::PartiallySucceeded
        | Outcome::Blocked
        | Outcome::Failed
        | Outcome::Unknown => GuidanceKey::ForInformation,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;

    use super::*;

    type Standing = (Freshness, Option<QueueVerdict>, ProgressKind, Actionability, Outcome, bool);

    /// Every combination of what guidance is chosen from, those that cannot be as well.
    fn every_standing() -> impl Iterator<Item = Standing> {
        let queues = || QueueVerdict::ALL.iter().copied().map(Some).chain([None]);
        Freshness::ALL.iter().flat_map(move |&freshness| {
            queues().flat_map(move |queue| {
                ProgressKind::ALL.iter().flat_map(move |&progress| {
                    Actionability::ALL.iter().flat_map(move |&actionability| {
                        Outcome::ALL.iter().flat_map(move |&outcome| {
                            [false, true].map(|reconciled| {
                                (freshness, queue, progress, actionability, outcome, reconciled)
                            })
                        })
                    })
                })
            })
        })
    }

    fn guide(standing: Standing) -> Guidance {
        let (freshness, queue, progress, actionability, outcome, reconciled) = standing;
        guidance(freshness, queue, progress, actionability, outcome, reconciled)
    }

    fn is_ended(freshness: Freshness) -> bool {
        matches!(freshness, Freshness::Terminal | Freshness::ReconciledTerminal)
    }

    #[test]
    fn a_stale_run_is_never_described_calmly() {
        for standing in every_standing().filter(|standing| standing.0.is_stale()) {
            let severity = guide(standing).severity;
            assert!(!matches!(severity, Severity::Calm | Severity::Notice), "{standing:?}");
            if standing.3 == Actionability::NotTerminal {
                assert_eq!(severity, Severity::Attention, "{standing:?}");
            }
        }
    }

    #[test]
    fn a_superseded_run_never_calls_for_attention() {
        let superseded = Actionability::SupersededByLaterSuccess;
        for standing in every_standing().filter(|standing| standing.3 == superseded) {
            assert_eq!(guide(standing).severity, Severity::Done, "{standing:?}");
        }
    }

    #[test]
    fn an_ended_run_calls_for_attention_exactly_when_it_is_a_follow_up() {
        let ended = every_standing()
            .filter(|standing| is_ended(standing.0) && standing.3 != Actionability::NotTerminal);
        for standing in ended {
            let expected = if crate::rules::actionability::is_follow_up(standing.3) {
                Severity::Attention
            } else {
                Severity::Done
            };
            assert_eq!(guide(standing).severity, expected, "{standing:?}");
        }
    }

    #[test]
    fn every_key_is_reached() {
        let reached: BTreeSet<_> = every_standing().map(|standing| guide(standing).key).collect();
        assert_eq!(reached, GuidanceKey::ALL.iter().copied().collect());
    }

    /// Only what a row names matters: everything else is tried in every combination.
    #[rstest]
    #[case("waiting_for_worker", "calm", waits(Some(QueueVerdict::Moving)))]
    #[case("waiting_unverified", "calm", waits(Some(QueueVerdict::Unknown)))]
    #[case("waiting_unverified", "calm", waits(Some(QueueVerdict::Empty)))]
    #[case("waiting_unverified", "calm", waits(None))]
    #[case("waiting_behind_backlog", "notice", waits(Some(QueueVerdict::Slow)))]
    #[case("queue_stalled", "warning", waits(Some(QueueVerdict::Stalled)))]
    #[case("no_worker_seen", "warning", waits(Some(QueueVerdict::NoWorker)))]
    #[case("queued_past_window", "attention", is_active(Freshness::StaleQueued))]
    #[case("running", "calm", runs(&[ProgressKind::Phase, ProgressKind::Determinate,
        ProgressKind::Composite]))]
    #[case("running_no_progress_yet", "calm", runs(&[ProgressKind::None]))]
    #[case("running_past_window", "attention", is_active(Freshness::StaleRunning))]
    #[case("active_unverified", "notice", is_active(Freshness::Unknown))]
    #[case("needs_action", "attention", ended(Actionability::Actionable))]
    #[case("needs_review", "attention", ended(Actionability::RequiresManualReview))]
    #[case("superseded", "done", ended(Actionability::SupersededByLaterSuccess))]
    #[case("resolved_by_state", "done", ended(Actionability::ResolvedByCurrentState))]
    #[case("resolved_by_operator", "done", ended(Actionability::ResolvedByOperator))]
    #[case("succeeded", "done", informs(&[Outcome::Succeeded], &[false]))]
    #[case("reconciled_succeeded", "done", informs(&[Outcome::Succeeded], &[true]))]
    #[case("cancelled", "done", informs(&[Outcome::Cancelled], &[false, true]))]
    #[case("for_information", "done", informs(&[Outcome::PartiallySucceeded, Outcome::Blocked,
        Outcome::Failed, Outcome::Unknown], &[false, true]))]
    fn each_row_of_the_table_gives_its_key_and_severity(
        #[case] key: &str,
        #[case] severity: &str,
        #[case] row: impl Fn(&Standing) -> bool,
    ) {
        let mut met = 0;
        for standing in every_standing().filter(|standing| row(standing)) {
            let found = guide(standing);
            assert_eq!((found.key.as_str(), found.severity.as_str()), (key, severity));
            met += 1;
        }
        assert!(met > 0);
    }

    fn is_active(freshness: Freshness) -> impl Fn(&Standing) -> bool {
        move |standing| standing.0 == freshness && standing.3 == Actionability::NotTerminal
    }

    fn waits(queue: Option<QueueVerdict>) -> impl Fn(&Standing) -> bool {
        move |standing| is_active(Freshness::FreshQueued)(standing) && standing.1 == queue
    }

    fn runs(kinds: &[ProgressKind]) -> impl Fn(&Standing) -> bool {
        move |standing| is_active(Freshness::FreshRunning)(standing) && kinds.contains(&standing.2)
    }

    fn ended(actionability: Actionability) -> impl Fn(&Standing) -> bool {
        move |standing| is_ended(standing.0) && standing.3 == actionability
    }

    fn informs(outcomes: &[Outcome], reconciled: &[bool]) -> impl Fn(&Standing) -> bool {
        move |standing| {
            ended(Actionability::InformationalOnly)(standing)
                && outcomes.contains(&standing.4)
                && reconciled.contains(&standing.5)
        }
    }
}
