//! Several workspaces at a time, and more than can be written soon.

use futures::future::join_all;
use runledger_ledger::ledger::SubmitError;

use crate::audit::{audit, every_event_has_one_receipt};
use crate::bed::{Bed, FIRST, create_workspace, on_every_store, tell, words};
use crate::reports::{dispatch, started, succeeded, too_large};

on_every_store!(
    a_long_request_beside_another_workspace_is_answered_whole_and_in_order,
    an_atomic_request_is_one_however_long_it_is,
    what_is_overloaded_was_not_recorded_and_what_was_taken_is,
);

async fn a_long_request_beside_another_workspace_is_answered_whole_and_in_order(bed: Bed) {
    let other = create_workspace(&bed.ledger, "other").await;
    tell(&bed.ledger, other, dispatch(bed.new_run())).await;
    assert!(bed.ledger.is_shared(bed.workspace));
    let runs: Vec<_> = (0..200).map(|_| bed.new_run()).collect();
    let all = runs.iter().flat_map(|run| [dispatch(*run), started(*run), succeeded(*run)]);
    let (answers, short) =
        tokio::join!(bed.submit(all.collect()), bed.submit(vec![dispatch(bed.new_run())]));
    let expected: Vec<String> = (FIRST..FIRST + 600).map(|at| at.to_string()).collect();
    assert_eq!(words(&answers), expected);
    let rows = audit(bed.store(), bed.workspace).await;
    every_event_has_one_receipt(&rows, FIRST, &[answers, short].concat());
}

async fn an_atomic_request_is_one_however_long_it_is(bed: Bed) {
    let other = create_workspace(&bed.ledger, "other").await;
    tell(&bed.ledger, other, dispatch(bed.new_run())).await;
    let mut all: Vec<_> = (0..300).map(|_| dispatch(bed.new_run())).collect();
    all.push(too_large(bed.new_run()));
    let answers = bed.atomic(all).await;
    assert_eq!(words(&answers)[..2], ["atomic_request_refused", "atomic_request_refused"]);
    assert_eq!(bed.size().await, FIRST);
}

async fn what_is_overloaded_was_not_recorded_and_what_was_taken_is(bed: Bed) {
    // Each holds its room from its first moment on, and they all begin before any of them is over:
    // their tasks are this one.
    let request = || (0..5_000).map(|_| started(bed.new_run())).collect::<Vec<_>>();
    let requests: Vec<_> = (0..5).map(|_| request()).collect();
    let submit = |submissions| bed.ledger.submit(bed.workspace, submissions, false);
    let answered = join_all(requests.into_iter().map(submit)).await;
    let (taken, refused): (Vec<_>, Vec<_>) = answered.into_iter().partition(Result::is_ok);
    assert!(matches!(refused[..], [Err(SubmitError::Overloaded)]), "{refused:?}");
    for answers in taken {
        let answers = answers.unwrap();
        assert_eq!(answers.len(), 5_000);
        assert!(words(&answers).iter().all(|word| word == "unknown_run"));
    }
    // There is room again.
    bed.record(dispatch(bed.new_run())).await;
    assert_eq!(bed.size().await, FIRST + 1);
}
