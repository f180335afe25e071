//! Positions, times, bytes and hashes.

use runledger_ledger::run::Report;
use runledger_ledger::time::{Moment, Span};

use crate::audit::{audit, every_event_has_one_receipt, rows};
use crate::bed::{Bed, FIRST, NOON, on_every_store, receipt, submit, tell, words};
use crate::reports::{
    dispatch, failed, observed, opening, progress, resolve, seen, started, succeeded, with_id,
};

on_every_store!(
    a_run_is_recorded_and_what_repeats_it_is_not,
    every_kind_of_event_is_what_its_row_says,
    positions_have_no_gap_whatever_is_refused,
    recorded_at_never_decreases_when_the_clock_steps_back,
    a_reopened_ledger_goes_on_where_the_log_ends,
    an_event_that_was_inferred_has_the_receipt_of_the_one_reported,
    many_callers_at_once_are_all_answered_with_their_own_events,
    a_request_of_five_thousand_is_taken_and_a_longer_one_is_not,
);

async fn a_run_is_recorded_and_what_repeats_it_is_not(bed: Bed) {
    let run = bed.new_run();
    let unknown = bed.new_run();
    let answers = bed
        .submit(vec![
            dispatch(run),
            dispatch(run),
            started(run),
            started(run),
            progress(run, 1),
            progress(run, 1),
            succeeded(run),
            succeeded(run),
            succeeded(unknown),
        ])
        .await;
    let said = ["2", "duplicate", "3", "duplicate", "4", "coalesced", "5", "duplicate"];
    assert_eq!(words(&answers)[..8], said);
    assert_eq!(words(&answers)[8], "unknown_run");
    audit(bed.store(), bed.workspace).await;
}

async fn every_kind_of_event_is_what_its_row_says(bed: Bed) {
    let run = bed.new_run();
    let mut submissions = vec![
        with_id(dispatch(run), "with \"quotes\", ü and \u{1F600}", "something"),
        started(run),
        progress(run, 3),
        failed(run),
        succeeded(run),
        resolve(run),
        observed("1"),
        observed("1"),
        seen("w1"),
        seen("w1"),
        opening(bed.new_run(), Report::Ended { reason: None }),
    ];
    submissions[3].actor = Some(runledger_ledger::event::Actor {
        id: crate::reports::name("ops@example.test"),
        kind: crate::reports::name("user"),
    });
    let answers = bed.submit(submissions).await;
    let rows = audit(bed.store(), bed.workspace).await;
    every_event_has_one_receipt(&rows, FIRST, &answers);
    assert_eq!(rows.len(), 2 + 12);
    assert_eq!(rows[5].event().actor.unwrap().id.as_str(), "ops@example.test");
}

async fn positions_have_no_gap_whatever_is_refused(bed: Bed) {
    let mut answers = Vec::new();
    for _ in 0..10 {
        let (run, unknown) = (bed.new_run(), bed.new_run());
        answers.extend(
            bed.submit(vec![
                started(unknown),
                dispatch(run),
                crate::reports::too_large(unknown),
                crate::reports::not_canonical(run),
                started(run),
            ])
            .await,
        );
        let refused = bed.atomic(vec![failed(run), started(unknown)]).await;
        assert_eq!(words(&refused), ["atomic_request_refused", "unknown_run"]);
    }
    let rows = audit(bed.store(), bed.workspace).await;
    every_event_has_one_receipt(&rows, FIRST, &answers);
    assert_eq!(rows.len(), 2 + 20);
}

async fn recorded_at_never_decreases_when_the_clock_steps_back(bed: Bed) {
    let run = bed.new_run();
    bed.record(dispatch(run)).await;
    bed.clock.set(Moment::EPOCH.plus(Span::from_secs(60)));
    let stepped_back = bed.record(started(run)).await;
    assert_eq!(stepped_back.recorded_at, NOON);
    // Nor for a ledger that has never seen the later time itself.
    if let Some(other) = bed.another().await {
        let answer = tell(&other, bed.workspace, progress(run, 1)).await;
        assert_eq!(receipt(answer).recorded_at, NOON);
    }
    bed.clock.set(NOON.plus(Span::from_secs(1)));
    let later = bed.record(succeeded(run)).await;
    assert_eq!(later.recorded_at, NOON.plus(Span::from_secs(1)));
    audit(bed.store(), bed.workspace).await;
}

async fn a_reopened_ledger_goes_on_where_the_log_ends(bed: Bed) {
    let Some(other) = bed.another().await else { return };
    let run = bed.new_run();
    bed.submit(vec![dispatch(run), started(run)]).await;
    let again = vec![dispatch(run), started(run), failed(run)];
    let answers = submit(&other, bed.workspace, again).await;
    assert_eq!(words(&answers), ["duplicate", "duplicate", "4"]);
    audit(other.store(), bed.workspace).await;
}

async fn an_event_that_was_inferred_has_the_receipt_of_the_one_reported(bed: Bed) {
    let run = bed.new_run();
    let beat = Report::Heartbeat { progress: None };
    let receipt = bed.record(with_id(opening(run, beat), "a", "beat")).await;
    assert_eq!((receipt.first_position, receipt.position), (2, 4));
    assert_eq!(receipt.event_type.as_str(), "run.heartbeat");
    let rows = rows(bed.store(), bed.workspace).await;
    let ids: Vec<_> = rows.iter().map(|row| row.event_id.as_deref()).collect();
    assert_eq!(ids, [None, None, None, None, Some("a")]);
}

async fn many_callers_at_once_are_all_answered_with_their_own_events(bed: Bed) {
    let callers = (0..64).map(|_| {
        let run = bed.new_run();
        let bed = &bed;
        async move {
            let mut answers = Vec::new();
            for report in [dispatch(run), started(run), progress(run, 1), succeeded(run)] {
                answers.push(bed.tell(report).await);
            }
            answers
        }
    });
    let answers = futures::future::join_all(callers).await.concat();
    let rows = audit(bed.store(), bed.workspace).await;
    every_event_has_one_receipt(&rows, FIRST, &answers);
    assert_eq!(rows.len(), 2 + 4 * 64);
}

async fn a_request_of_five_thousand_is_taken_and_a_longer_one_is_not(bed: Bed) {
    let runs: Vec<_> = (0..5_001).map(|_| bed.new_run()).collect();
    let too_many = runs.iter().map(|run| dispatch(*run)).collect();
    let error = bed.ledger.submit(bed.workspace, too_many, false).await.unwrap_err();
    assert!(matches!(error, runledger_ledger::ledger::SubmitError::TooMany), "{error}");
    let enough = runs[1..].iter().map(|run| dispatch(*run)).collect();
    let answers = bed.submit(enough).await;
    let rows = audit(bed.store(), bed.workspace).await;
    every_event_has_one_receipt(&rows, FIRST, &answers);
    assert_eq!(rows.len(), 2 + 5_000);
}
