//! Ids make a repeated report the duplicate that it is.

use runledger_ledger::submission::{Answer, ReportId, Submission};
use runledger_ledger::words::RunId;
use serde_json::json;

use crate::audit::{audit, rows};
use crate::bed::{Bed, FIRST, on_every_store, submit, words};
use crate::reports::{
    dispatch, dispatch_of, failed, name, not_canonical, observed, progress, started, succeeded,
    too_large, with_id,
};

on_every_store!(
    the_same_content_again_is_a_duplicate_with_the_first_position,
    an_id_is_remembered_by_every_ledger_over_the_database,
    other_content_under_the_same_id_is_a_conflict,
    an_alias_of_the_operation_is_the_same_content,
    each_source_has_ids_of_its_own,
    no_source_may_have_the_name_that_stands_for_none,
    what_was_not_recorded_does_not_remember_its_id,
    one_request_may_repeat_an_id,
    another_run_than_the_ids_is_refused_first,
    a_duplicate_tells_the_run_that_the_id_is_of,
    a_hundred_writers_of_one_id_make_one_event,
    an_event_that_cannot_be_kept_is_refused_alone,
    an_id_whose_content_has_no_canonical_form_is_refused_alone,
);

async fn the_same_content_again_is_a_duplicate_with_the_first_position(bed: Bed) {
    let run = bed.new_run();
    bed.record(dispatch(run)).await;
    let first = bed.record(with_id(progress(run, 1), "a", "1")).await;
    bed.record(progress(run, 2)).await;
    let again = bed.tell(with_id(progress(run, 1), "a", "1")).await;
    assert_eq!(again, Answer::Duplicate { position: Some(first.position), run: Some(run) });
    assert_eq!(audit(bed.store(), bed.workspace).await.len(), 6);
}

async fn an_id_is_remembered_by_every_ledger_over_the_database(bed: Bed) {
    let Some(other) = bed.another().await else { return };
    let first = bed.record(with_id(observed("1"), "a", "1")).await;
    let answers = vec![with_id(observed("1"), "a", "1"), with_id(observed("1"), "a", "2")];
    let answers = submit(&other, bed.workspace, answers).await;
    let position = first.position;
    assert_eq!(
        words(&answers),
        [format!("duplicate of {position}"), format!("conflict with {position}")]
    );
}

async fn other_content_under_the_same_id_is_a_conflict(bed: Bed) {
    let run = bed.new_run();
    let first = bed.record(with_id(dispatch(run), "a", "1")).await;
    let other = bed.tell(with_id(started(run), "a", "2")).await;
    assert_eq!(other, Answer::Conflict { position: first.position });
    let size = bed.size().await;
    assert_eq!(size, FIRST + 1);
}

fn dispatch_with_content(run: RunId, operation: &str) -> Submission {
    let content = json!({"type": "run.dispatched", "data": {"operation": operation, "n": 1}});
    let mut submission = dispatch_of(run, operation);
    submission.id = Some(ReportId { id: name("a"), content });
    submission
}

async fn an_alias_of_the_operation_is_the_same_content(bed: Bed) {
    let run = bed.new_run();
    let answers = bed
        .submit(vec![
            dispatch_with_content(run, "inventory_sync"),
            dispatch_with_content(run, "inventory.sync"),
            dispatch_with_content(run, "inventory_sync"),
        ])
        .await;
    assert_eq!(words(&answers), ["2", "duplicate of 2", "duplicate of 2"]);
    let later = bed.tell(dispatch_with_content(run, "inventory.sync")).await;
    assert_eq!(words(&[later]), ["duplicate of 2"]);
}

async fn each_source_has_ids_of_its_own(bed: Bed) {
    let of = |source: Option<&str>| {
        let mut submission = with_id(observed("1"), "a", "1");
        submission.source = source.map(name);
        submission
    };
    let all = || vec![of(Some("one")), of(Some("two")), of(None)];
    assert_eq!(words(&bed.submit(all()).await), ["2", "3", "4"]);
    let again = bed.submit(all()).await;
    assert_eq!(words(&again), ["duplicate of 2", "duplicate of 3", "duplicate of 4"]);
    audit(bed.store(), bed.workspace).await;
}

async fn what_was_not_recorded_does_not_remember_its_id(bed: Bed) {
    let run = bed.new_run();
    let refused = bed.tell(with_id(started(run), "a", "start")).await;
    assert_eq!(words(&[refused]), ["unknown_run"]);
    bed.submit(vec![dispatch(run), started(run), progress(run, 1)]).await;
    let unheard = vec![
        with_id(started(run), "a", "start"),
        with_id(dispatch(run), "a", "dispatch"),
        with_id(progress(run, 1), "a", "beat"),
    ];
    let answers = bed.submit(unheard).await;
    assert_eq!(words(&answers), ["duplicate", "duplicate", "coalesced"]);
    let taken = bed.tell(with_id(succeeded(run), "a", "end")).await;
    assert_eq!(words(&[taken]), ["5"]);
}

async fn one_request_may_repeat_an_id(bed: Bed) {
    let answers = bed
        .submit(vec![
            with_id(observed("1"), "a", "1"),
            with_id(observed("1"), "a", "1"),
            with_id(observed("1"), "a", "2"),
            with_id(observed("1"), "b", "2"),
        ])
        .await;
    assert_eq!(words(&answers), ["2", "duplicate of 2", "conflict with 2", "3"]);
    audit(bed.store(), bed.workspace).await;
}

async fn another_run_than_the_ids_is_refused_first(bed: Bed) {
    let run = bed.new_run();
    bed.record(with_id(dispatch(run), "a", "1")).await;
    let other = bed.tell(with_id(dispatch_of(run, "policy.sync"), "a", "1")).await;
    assert_eq!(words(&[other]), ["identity_mismatch"]);
}

async fn a_duplicate_tells_the_run_that_the_id_is_of(bed: Bed) {
    // A report without a run gets a fresh one each time; its id knows the first.
    let (first, fresh) = (bed.new_run(), bed.new_run());
    bed.record(with_id(dispatch(first), "a", "1")).await;
    let again = bed.tell(with_id(dispatch(fresh), "a", "1")).await;
    assert_eq!(again, Answer::Duplicate { position: Some(2), run: Some(first) });
    assert_eq!(bed.size().await, FIRST + 1);
}

async fn a_hundred_writers_of_one_id_make_one_event(bed: Bed) {
    let others = bed.another().await;
    let run = bed.new_run();
    let writers = (0..100).map(|number| {
        let ledger = others.as_ref().filter(|_| number % 2 == 1).unwrap_or(&bed.ledger);
        submit(ledger, bed.workspace, vec![with_id(dispatch(run), "a", "1")])
    });
    let answers = futures::future::join_all(writers).await.concat();
    let recorded = answers.iter().filter(|answer| matches!(answer, Answer::Recorded(_))).count();
    let duplicates = answers
        .iter()
        .filter(|answer| **answer == Answer::Duplicate { position: Some(2), run: Some(run) })
        .count();
    assert_eq!((recorded, duplicates), (1, 99));
    assert_eq!(audit(bed.store(), bed.workspace).await.len(), 3);
}

async fn an_event_that_cannot_be_kept_is_refused_alone(bed: Bed) {
    let (run, large) = (bed.new_run(), bed.new_run());
    let answers = bed
        .submit(vec![
            dispatch(run),
            with_id(too_large(large), "a", "large"),
            with_id(not_canonical(run), "b", "number"),
            started(large),
            failed(run),
        ])
        .await;
    assert_eq!(words(&answers), ["2", "event_too_large", "not_canonical", "unknown_run", "3"]);
    // Neither took its id with it.
    let answers = bed
        .submit(vec![
            with_id(dispatch(large), "a", "small"),
            with_id(succeeded(run), "b", "no number"),
        ])
        .await;
    assert_eq!(words(&answers), ["4", "5"]);
    let types: Vec<_> =
        audit(bed.store(), bed.workspace).await.iter().map(|r| r.event_type).collect();
    assert_eq!(types, [40, 42, 1, 5, 1, 9]);
}

async fn an_id_whose_content_has_no_canonical_form_is_refused_alone(bed: Bed) {
    let mut fraction = observed("1");
    fraction.id = Some(ReportId { id: name("a"), content: json!({"data": {"share": 0.5}}) });
    let answers = bed.submit(vec![fraction, observed("1")]).await;
    assert_eq!(words(&answers), ["not_canonical", "2"]);
    assert!(rows(bed.store(), bed.workspace).await.iter().all(|row| row.event_id.is_none()));
}

async fn no_source_may_have_the_name_that_stands_for_none(bed: Bed) {
    let run = bed.new_run();
    let mut submission = with_id(dispatch(run), "1", "x");
    submission.source = Some(name("unnamed"));
    assert_eq!(words(&bed.submit(vec![submission.clone()]).await), ["reserved_source"]);
    submission.source = None;
    bed.record(submission).await;
}
