//! All or nothing.

use runledger_ledger::catalog::Catalog;
use runledger_ledger::words::UniqueMode;

use crate::audit::{audit, every_event_has_one_receipt};
use crate::bed::{Bed, FIRST, on_every_store, words};
use crate::reports::{
    dispatch, dispatch_of, failed, not_canonical, observed, publish, seen, started, succeeded,
    too_large, unique, with_id,
};

on_every_store!(
    an_atomic_request_without_a_refusal_is_recorded_whole,
    one_refusal_refuses_all_and_says_which_was_at_fault,
    what_has_no_bytes_refuses_all,
    an_id_that_was_used_otherwise_refuses_all,
    what_is_no_refusal_refuses_nothing,
    a_refused_request_leaves_nothing_behind,
    a_refused_request_harms_none_that_came_with_it,
    a_catalog_in_a_refused_request_is_not_in_force,
);

async fn an_atomic_request_without_a_refusal_is_recorded_whole(bed: Bed) {
    let run = bed.new_run();
    let answers = bed.atomic(vec![dispatch(run), started(run), observed("1"), failed(run)]).await;
    assert_eq!(words(&answers), ["2", "3", "4", "5"]);
    let rows = audit(bed.store(), bed.workspace).await;
    every_event_has_one_receipt(&rows, FIRST, &answers);
}

async fn one_refusal_refuses_all_and_says_which_was_at_fault(bed: Bed) {
    let (run, unknown) = (bed.new_run(), bed.new_run());
    let answers = bed.atomic(vec![dispatch(run), started(unknown), started(run)]).await;
    let not_alone = "atomic_request_refused";
    assert_eq!(words(&answers), [not_alone, "unknown_run", not_alone]);
    assert_eq!(bed.size().await, FIRST);
    assert_eq!(words(&bed.submit(vec![started(run)]).await), ["unknown_run"]);
}

async fn what_has_no_bytes_refuses_all(bed: Bed) {
    let (run, large) = (bed.new_run(), bed.new_run());
    let not_alone = "atomic_request_refused";
    let answers = bed.atomic(vec![dispatch(run), too_large(large)]).await;
    assert_eq!(words(&answers), [not_alone, "event_too_large"]);
    let answers = bed.atomic(vec![dispatch(run), not_canonical(run), observed("1")]).await;
    assert_eq!(words(&answers), [not_alone, "not_canonical", not_alone]);
    assert_eq!(bed.size().await, FIRST);
}

async fn an_id_that_was_used_otherwise_refuses_all(bed: Bed) {
    bed.record(with_id(observed("1"), "a", "1")).await;
    let answers = bed.atomic(vec![observed("2"), with_id(observed("1"), "a", "2")]).await;
    assert_eq!(words(&answers), ["atomic_request_refused", "conflict with 2"]);
    assert_eq!(bed.size().await, FIRST + 1);
}

async fn what_is_no_refusal_refuses_nothing(bed: Bed) {
    let (run, other) = (bed.new_run(), bed.new_run());
    bed.record(with_id(unique(run, UniqueMode::Subject, "x"), "a", "1")).await;
    let answers = bed
        .atomic(vec![
            with_id(unique(run, UniqueMode::Subject, "x"), "a", "1"),
            unique(other, UniqueMode::Subject, "x"),
            started(run),
            started(run),
        ])
        .await;
    assert_eq!(words(&answers), ["duplicate of 2", "existing", "3", "duplicate"]);
}

async fn a_refused_request_leaves_nothing_behind(bed: Bed) {
    let (run, other) = (bed.new_run(), bed.new_run());
    bed.record(unique(run, UniqueMode::Subject, "held")).await;
    let answers = bed
        .atomic(vec![
            with_id(unique(other, UniqueMode::Subject, "free"), "a", "1"),
            seen("w"),
            failed(run),
            too_large(bed.new_run()),
        ])
        .await;
    assert_eq!(words(&answers)[3], "event_too_large");
    // The id and the free key are free, the held key is held, the streams go on from 1.
    let third = bed.new_run();
    let answers = bed
        .submit(vec![
            with_id(unique(third, UniqueMode::Subject, "free"), "a", "2"),
            unique(bed.new_run(), UniqueMode::Subject, "held"),
            seen("w"),
            started(other),
            succeeded(run),
        ])
        .await;
    assert_eq!(words(&answers), ["3", "existing", "4", "unknown_run", "5"]);
    audit(bed.store(), bed.workspace).await;
}

async fn a_refused_request_harms_none_that_came_with_it(bed: Bed) {
    // While one batch is written the others gather, so that most of these are decided together.
    let callers = (0..60).map(|number| {
        let bed = &bed;
        let (run, unknown) = (bed.new_run(), bed.new_run());
        let value = format!("{}", number / 3);
        async move {
            let dispatch = unique(run, UniqueMode::Fingerprint, &value);
            let dispatch = with_id(dispatch, &value, &run.to_string());
            match number % 3 {
                0 => bed.atomic(vec![dispatch, seen("w"), started(unknown)]).await,
                1 => bed.atomic(vec![dispatch, too_large(unknown)]).await,
                _ => bed.atomic(vec![dispatch, seen("w"), started(run)]).await,
            }
        }
    });
    let answers = futures::future::join_all(callers).await.concat();
    let rows = audit(bed.store(), bed.workspace).await;
    every_event_has_one_receipt(&rows, FIRST, &answers);
    assert_eq!(rows.len(), 2 + 3 * 20);
}

async fn a_catalog_in_a_refused_request_is_not_in_force(bed: Bed) {
    let text = Catalog::built_in().text().replace("[\"inventory_sync\"]", "[\"stock\"]");
    assert_ne!(text, Catalog::built_in().text());
    let unknown = bed.new_run();
    let answers = bed.atomic(vec![publish(&text), started(unknown)]).await;
    assert_eq!(words(&answers), ["atomic_request_refused", "unknown_run"]);
    let (run, other) = (bed.new_run(), bed.new_run());
    bed.record(dispatch_of(run, "stock")).await;
    assert_eq!(words(&bed.submit(vec![publish(&text)]).await), ["3"]);
    bed.record(dispatch_of(other, "stock")).await;
    let rows = audit(bed.store(), bed.workspace).await;
    let operation = |row: usize| -> serde_json::Value {
        let body: serde_json::Value = serde_json::from_slice(&rows[row].body).unwrap();
        body["data"]["operation"].clone()
    };
    assert_eq!((operation(2), operation(4)), ("stock".into(), "inventory.sync".into()));
}
