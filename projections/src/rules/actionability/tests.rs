//! The rules of section 7, row by row, and the table as a whole.

mod keys;
mod table;

use rstest::rstest;
use runledger_ledger::run::AdapterDecision;

use super::*;
use crate::rules::story::{Story, minute, name, operation, run_id};

const SYNC: &str = "inventory.sync";
const CHECK: &str = "provider.connection.check";
const RESTORE: &str = "restore.execute";
const REVIEW: &str = "environment.review.compose";

fn judged(story: &Story, evidence: &Evidence) -> Verdict {
    let name = story.run.operation.clone().unwrap();
    actionability(&story.run, &operation(name.as_str()), evidence)
}

/// Status and reason without any evidence.
fn found(story: &Story) -> (Actionability, Option<String>) {
    let verdict = judged(story, &Evidence::default());
    (verdict.status, verdict.reason)
}

fn because(status: Actionability, reason: &str) -> (Actionability, Option<String>) {
    (status, Some(reason.to_owned()))
}

fn failed(operation: &str) -> Story {
    Story::dispatched(operation, 0).ended_as(10, Outcome::Failed)
}

fn failed_check() -> Story {
    Story::about(CHECK, 0, "provider_connection/7").ended_as(10, Outcome::Failed)
}

fn later_success(at: i64) -> Evidence {
    let success =
        Superseding { run_id: run_id(9), dispatched_at: minute(at), ended_at: minute(at) };
    Evidence { superseding: Some(success), observation: None }
}

fn seen(state: SubjectState, at: i64) -> Evidence {
    let observation = Observation { state, verified_at: minute(at), position: 77 };
    Evidence { superseding: None, observation: Some(observation) }
}

#[test]
fn a_run_that_has_not_ended_is_not_terminal_even_when_it_is_stale() {
    let waiting = Story::dispatched(SYNC, 0);
    assert_eq!(found(&waiting), (Actionability::NotTerminal, None));
    assert_eq!(found(&waiting.started(1)), (Actionability::NotTerminal, None));
    let asks = Story::dispatched(RESTORE, 0).reconciled(60, AdapterDecision::NeedsAttention);
    assert_eq!(found(&asks), (Actionability::NotTerminal, None));
}

#[rstest]
#[case(Story::dispatched(SYNC, 0).ended_as(1, Outcome::Succeeded))]
#[case(Story::dispatched(SYNC, 0).ended_as(1, Outcome::Cancelled))]
#[case(Story::dispatched(RESTORE, 0).ended_as(1, Outcome::Succeeded))]
#[case(Story::dispatched(REVIEW, 0).reconciled(1, AdapterDecision::Succeeded))]
fn what_is_no_problem_is_for_information(#[case] story: Story) {
    assert_eq!(found(&story), because(Actionability::InformationalOnly, "no_problem"));
}

#[test]
fn an_informational_family_never_asks_for_a_person() {
    let expected = because(Actionability::InformationalOnly, "informational_family");
    let story = failed("notification.send");
    assert_eq!(found(&story), expected);
    assert_eq!(found(&story.ended_as(11, Outcome::Succeeded)), expected, "contradicted");
}

#[test]
fn a_person_resolves_for_a_reason_of_their_own_and_may_take_it_back() {
    let story = failed(RESTORE).resolved(11);
    let verdict = judged(&story, &later_success(20));
    assert_eq!(verdict.status, Actionability::ResolvedByOperator);
    assert_eq!(verdict.reason.as_deref(), Some("fixed_by_hand"));
    let by = name("ops@example.test");
    let proof = Proof::Operator { by, note: None, recorded_at: minute(11) };
    assert_eq!(verdict.proof, Some(proof));
    let expected = because(Actionability::RequiresManualReview, "high_risk");
    assert_eq!(found(&story.reopened(12)), expected);
}

#[test]
fn a_late_word_that_disagrees_voids_the_resolution_before_it() {
    let story = failed(SYNC).resolved(11).ended_as(12, Outcome::Cancelled);
    assert_eq!(found(&story), because(Actionability::RequiresManualReview, "contradicted"));
    let again = story.resolved(13);
    assert_eq!(found(&again), because(Actionability::ResolvedByOperator, "fixed_by_hand"));
}

#[test]
fn a_high_risk_change_is_closed_by_a_person_and_by_nothing_else() {
    let expected = because(Actionability::RequiresManualReview, "high_risk");
    let story = failed(RESTORE).reconciled(12, AdapterDecision::Succeeded);
    let mut evidence = later_success(20);
    evidence.observation = seen(SubjectState::Healthy, 20).observation;
    let verdict = judged(&story, &evidence);
    assert_eq!((verdict.status, verdict.reason), expected);
    // Not even its own late success.
    let late = Story::dispatched(RESTORE, 0)
        .reconciled(60, AdapterDecision::Unknown)
        .ended_as(61, Outcome::Succeeded);
    assert_eq!(found(&late), expected);
}

#[rstest]
// A source that did not say how, and one that was given up: silence is contradicted by no word.
#[case(Story::dispatched(SYNC, 0).ended_as(1, Outcome::Unknown).ended_as(2, Outcome::Succeeded))]
#[case(Story::dispatched(SYNC, 0).reconciled(1, AdapterDecision::Unknown)
    .ended_as(2, Outcome::Succeeded))]
// An adapter was wrong about a problem; and it makes no difference that `ended` agrees with it.
#[case(Story::dispatched(SYNC, 0).reconciled(1, AdapterDecision::Failed)
    .ended_as(2, Outcome::Succeeded))]
#[case(Story::dispatched(SYNC, 0).reconciled(1, AdapterDecision::Failed)
    .ended_as(2, Outcome::Failed).ended_as(3, Outcome::Succeeded))]
#[case(Story::dispatched(SYNC, 0).reconciled(1, AdapterDecision::Unknown)
    .ended_as(2, Outcome::Unknown).ended_as(3, Outcome::Succeeded))]
fn a_late_success_makes_good_what_only_silence_or_an_adapter_called_a_problem(
    #[case] story: Story,
) {
    assert_eq!(found(&story), because(Actionability::ResolvedByCurrentState, "late_success"));
    assert_eq!(judged(&story, &later_success(99)).proof, Some(Proof::LateSignal));
}

#[rstest]
// The worker itself said that it failed.
#[case(failed(SYNC).ended_as(11, Outcome::Succeeded), Actionability::RequiresManualReview)]
// Two late words that differ from each other.
#[case(Story::dispatched(SYNC, 0).ended_as(1, Outcome::Unknown)
    .ended_as(2, Outcome::Succeeded).ended_as(3, Outcome::Failed), Actionability::Actionable)]
#[case(Story::dispatched(SYNC, 0).reconciled(1, AdapterDecision::Failed)
    .ended_as(2, Outcome::Succeeded).ended_as(3, Outcome::Cancelled),
    Actionability::RequiresManualReview)]
// The only late word is a failure.
#[case(Story::dispatched(SYNC, 0).ended_as(1, Outcome::Unknown).ended_as(2, Outcome::Failed),
    Actionability::Actionable)]
// Cancelling what an adapter found failed does not make it good.
#[case(Story::dispatched(SYNC, 0).reconciled(1, AdapterDecision::Failed)
    .ended_as(2, Outcome::Cancelled), Actionability::RequiresManualReview)]
fn a_late_word_proves_nothing_against_a_word_of_the_source(
    #[case] story: Story,
    #[case] expected: Actionability,
) {
    assert_eq!(found(&story).0, expected);
}

#[test]
fn a_run_that_turns_out_to_have_been_cancelled_needs_nobody() {
    let expected = because(Actionability::ResolvedByCurrentState, "late_cancellation");
    let ended = Story::dispatched(SYNC, 0).ended_as(1, Outcome::Unknown);
    assert_eq!(found(&ended.ended_as(2, Outcome::Cancelled)), expected);
    let given_up = Story::dispatched(SYNC, 0).reconciled(1, AdapterDecision::Unknown);
    assert_eq!(found(&given_up.ended_as(2, Outcome::Cancelled)), expected);
}

#[test]
fn an_adapters_proof_makes_a_problem_good_and_says_what_it_relates_to() {
    let story = failed(REVIEW).reconciled(12, AdapterDecision::Succeeded);
    let verdict = judged(&story, &Evidence::default());
    assert_eq!(verdict.status, Actionability::ResolvedByCurrentState);
    assert_eq!(verdict.reason.as_deref(), Some("reconciliation_proof"));
    let proof = Proof::Reconciliation {
        adapter: name("prober"),
        recorded_at: minute(12),
        related: Some("review/7".parse().unwrap()),
    };
    assert_eq!(verdict.proof, Some(proof));
    // The run's own late success then only agrees.
    assert_eq!(judged(&story.ended_as(13, Outcome::Succeeded), &Evidence::default()), verdict);
}

#[test]
fn a_later_success_supersedes_and_is_named() {
    let verdict = judged(&failed(SYNC), &later_success(11));
    assert_eq!(verdict.status, Actionability::SupersededByLaterSuccess);
    assert_eq!(verdict.reason.as_deref(), Some("later_success"));
    assert_eq!(verdict.proof, Some(Proof::Run(run_id(9))));
}

#[test]
fn a_success_dispatched_when_the_problem_settled_or_before_proves_nothing() {
    for at in [9, 10] {
        let verdict = judged(&failed(SYNC), &later_success(at));
        assert_eq!(verdict.status, Actionability::Actionable, "dispatched at {at}");
    }
    // A late word that disagrees settles the run anew.
    let unsettled = failed(SYNC).ended_as(20, Outcome::Cancelled);
    let verdict = judged(&unsettled, &later_success(20));
    assert_eq!(verdict.reason.as_deref(), Some("contradicted"));
    let verdict = judged(&unsettled, &later_success(21));
    assert_eq!(verdict.status, Actionability::SupersededByLaterSuccess);
}

#[test]
fn a_contradicted_success_is_made_good_by_a_later_one() {
    let story =
        Story::dispatched(SYNC, 0).ended_as(1, Outcome::Succeeded).ended_as(2, Outcome::Failed);
    assert_eq!(found(&story), because(Actionability::RequiresManualReview, "contradicted"));
    let verdict = judged(&story, &later_success(3));
    assert_eq!(verdict.status, Actionability::SupersededByLaterSuccess);
}

#[test]
fn a_healthy_subject_resolves_only_when_it_was_seen_after_the_problem_settled() {
    let verdict = judged(&failed_check(), &seen(SubjectState::Healthy, 11));
    assert_eq!(verdict.status, Actionability::ResolvedByCurrentState);
    assert_eq!(verdict.reason.as_deref(), Some("healthy_subject"));
    let proof = Proof::Observation { position: 77, verified_at: minute(11) };
    assert_eq!(verdict.proof, Some(proof));
    for evidence in [
        seen(SubjectState::Healthy, 10),
        seen(SubjectState::Unhealthy, 11),
        seen(SubjectState::Absent, 11),
    ] {
        assert_eq!(judged(&failed_check(), &evidence).status, Actionability::Actionable);
    }
}

#[test]
fn the_state_of_a_subject_speaks_only_where_the_family_says_so_and_the_run_has_one() {
    let healthy = seen(SubjectState::Healthy, 11);
    let backup = Story::about("backup.set.create", 0, "set/1").ended_as(10, Outcome::Failed);
    assert_eq!(judged(&backup, &healthy).status, Actionability::Actionable);
    let verdict = judged(&failed(CHECK), &healthy);
    assert_eq!(verdict.reason.as_deref(), Some("insufficient_correlation"));
}

#[test]
fn a_problem_that_no_success_could_be_matched_to_stays_with_a_person() {
    let expected = because(Actionability::RequiresManualReview, "insufficient_correlation");
    assert_eq!(found(&failed(CHECK)), expected);
    assert_eq!(found(&failed(REVIEW)), expected);
    // Not even a success that somebody hands in.
    let verdict = judged(&failed(CHECK), &later_success(11));
    assert_eq!((verdict.status, verdict.reason), expected);
    assert_eq!(found(&failed(SYNC)), because(Actionability::Actionable, "problem"));
}

#[test]
fn what_nobody_has_classified_is_never_guessed_at() {
    let expected = because(Actionability::Actionable, "unclassified_operation");
    let story = failed("acme.custom.thing");
    assert_eq!(found(&story), expected);
    let verdict = judged(&story, &later_success(11));
    assert_eq!((verdict.status, verdict.reason), expected);
}

#[test]
fn a_verdict_is_read_as_it_is_written() {
    let proofs = [
        judged(&failed(SYNC), &later_success(11)),
        judged(&failed_check(), &seen(SubjectState::Healthy, 11)),
        judged(&failed(REVIEW).reconciled(12, AdapterDecision::Succeeded), &Evidence::default()),
        judged(&failed(SYNC).resolved(11), &Evidence::default()),
        judged(
            &Story::dispatched(SYNC, 0)
                .ended_as(1, Outcome::Unknown)
                .ended_as(2, Outcome::Cancelled),
            &Evidence::default(),
        ),
    ];
    for verdict in &proofs {
        let json = serde_json::to_value(verdict).unwrap();
        assert_eq!(serde_json::from_value::<Verdict>(json).unwrap(), *verdict);
    }
    let json = serde_json::to_value(&proofs[0]).unwrap();
    let run = run_id(9).to_string();
    assert_eq!(json["proof"], serde_json::json!({ "type": "run", "run_id": run }));
    let json = serde_json::to_value(&proofs[1]).unwrap();
    let proof = serde_json::json!({
        "type": "observation", "position": 77, "verified_at": "2026-01-01T00:11:00Z",
    });
    assert_eq!(json["proof"], proof);
}
