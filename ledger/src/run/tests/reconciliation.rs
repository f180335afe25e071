//! What an adapter's decision does to a run (DESIGN sections 3 and 9).

use rstest::rstest;

use super::*;
use AdapterDecision as Found;

fn running() -> Story {
    Story::given([(0, sync()), (1, told(started()))])
}

#[rstest]
#[case(Found::Succeeded, "completed succeeded")]
#[case(Found::PartiallySucceeded, "completed partially_succeeded")]
#[case(Found::Failed, "completed failed")]
#[case(Found::Blocked, "completed blocked")]
#[case(Found::Unknown, "completed unknown")]
fn a_decision_on_an_active_run_completes_it(#[case] found: Found, #[case] truth: &str) {
    for mut story in [Story::given([(0, sync())]), running()] {
        let status = story.run.status;
        assert_eq!(story.when_at(10, 3, reconcile(found)), "run.reconciled");
        assert_eq!(story.truth(), truth);
        assert!(story.run.is_reconciled());
        assert_eq!(
            story.run.settled_at,
            Some(secs(10)),
            "its effective time is when it is recorded"
        );
        let previous = story.run.reconciliation.as_ref().unwrap().previous;
        assert_eq!((previous.status, previous.outcome), (status, Outcome::Pending));
    }
}

#[test]
fn needs_attention_completes_nothing_and_is_kept_with_the_run() {
    let mut story = running();
    assert_eq!(story.when(10, reconcile(Found::NeedsAttention)), "run.reconciled");
    assert_eq!(story.truth(), "running pending");
    assert!(story.run.reconciliation.is_some());
    assert_eq!(story.when(11, told(ends(Outcome::Succeeded))), "run.succeeded");
}

#[test]
fn no_change_is_never_an_event() {
    let completed = Story::given([(0, sync()), (1, told(ends(Outcome::Failed)))]);
    for mut story in [running(), completed] {
        assert_eq!(story.when(10, reconcile(Found::NoChange)), "no_change");
    }
}

#[test]
fn the_same_decision_again_is_no_event() {
    let mut story = running();
    let say =
        |adapter, reason, related| reconcile_by(adapter, Found::NeedsAttention, reason, related);
    assert_eq!(story.when(10, say("a", "r", None)), "run.reconciled");
    assert_eq!(story.when(11, say("a", "r", None)), "no_change");
    assert_eq!(story.when(12, say("a", "r", Some("review/1"))), "run.reconciled");
    assert_eq!(story.when(13, say("a", "other", Some("review/1"))), "run.reconciled");
    assert_eq!(story.when(14, say("b", "other", Some("review/1"))), "run.reconciled");
    assert_eq!(story.when(15, say("b", "other", Some("review/1"))), "no_change");
    // Compared with the last recorded one only.
    assert_eq!(story.when(16, say("a", "r", None)), "run.reconciled");
}

#[rstest]
#[case(Outcome::Failed)]
#[case(Outcome::PartiallySucceeded)]
#[case(Outcome::Blocked)]
#[case(Outcome::Unknown)]
fn a_proof_of_success_on_a_problem_is_recorded_and_touches_no_history(#[case] outcome: Outcome) {
    let mut story = Story::given([(0, sync()), (10, told(ends(outcome)))]);
    assert_eq!(story.when(20, reconcile(Found::Succeeded)), "run.reconciled");
    assert_eq!(story.truth(), format!("completed {outcome}"));
    assert_eq!(story.run.settled_at, Some(secs(10)));
    assert!(story.run.proof.is_some() && !story.run.is_reconciled());
}

#[test]
fn every_other_decision_on_a_completed_run_is_no_event() {
    for outcome in [Outcome::Failed, Outcome::Succeeded, Outcome::Cancelled, Outcome::Unknown] {
        for found in Found::ALL {
            if *found == Found::Succeeded && outcome.is_problem() {
                continue;
            }
            let mut story = Story::given([(0, sync()), (10, told(ends(outcome)))]);
            assert_eq!(story.when(20, reconcile(*found)), "no_change", "{found} on {outcome}");
        }
    }
}

#[rstest]
#[case(Found::Succeeded, Outcome::Succeeded)]
#[case(Found::Failed, Outcome::Failed)]
#[case(Found::Blocked, Outcome::Blocked)]
#[case(Found::Unknown, Outcome::Unknown)]
fn a_signal_with_the_outcome_that_a_reconciliation_gave_agrees_once(
    #[case] found: Found,
    #[case] outcome: Outcome,
) {
    let mut story = running();
    story.given_at(10, 10, reconcile(found));
    assert_eq!(story.when(20, told(ends(outcome))), "run.late_signal");
    assert!(story.run.late[0].agrees);
    assert!(!story.run.is_contradicted());
    assert_eq!(story.run.settled_at, Some(secs(10)));
    assert_eq!(story.when(30, told(ends(outcome))), "duplicate");
}

#[test]
fn a_signal_with_another_outcome_contradicts_a_reconciliation() {
    let mut story = running();
    story.given_at(10, 10, reconcile(Found::Failed));
    assert_eq!(story.when(20, told(ends(Outcome::Succeeded))), "run.late_signal");
    assert!(story.run.is_contradicted());
    assert_eq!(story.truth(), "completed failed");
}

#[test]
fn ended_on_a_run_that_a_reconciliation_completed_otherwise_is_a_duplicate() {
    let mut story = running();
    story.given_at(10, 10, reconcile(Found::Succeeded));
    assert_eq!(story.when(20, told(ends(Outcome::Unknown))), "duplicate");
}

#[test]
fn success_after_an_adapter_has_proved_it_agrees_once() {
    let mut story = Story::given([(0, sync()), (10, told(ends(Outcome::Failed)))]);
    story.given_at(20, 20, reconcile(Found::Succeeded));
    assert_eq!(story.when(30, told(ends(Outcome::Succeeded))), "run.late_signal");
    assert!(story.run.late[0].agrees && !story.run.is_contradicted());
    assert_eq!(story.when(40, told(ends(Outcome::Succeeded))), "duplicate");
    assert_eq!(story.when(50, told(ends(Outcome::Cancelled))), "run.late_signal");
    assert!(story.run.is_contradicted());
}

#[test]
fn a_decision_on_a_run_that_has_moved_since_it_was_judged_is_refused() {
    let judged_at = |events| {
        let RunCommand::Reconcile(mut decision) = reconcile(Found::Succeeded) else {
            unreachable!()
        };
        decision.expected_events = Some(events);
        RunCommand::Reconcile(decision)
    };
    let mut story = running();
    assert_eq!(story.when(10, judged_at(1)), "run_moved");
    assert_eq!(story.truth(), "running pending");
    assert_eq!(story.when(11, judged_at(2)), "run.reconciled");
}
