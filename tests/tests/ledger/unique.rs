//! One active run per key.

use runledger_ledger::submission::Answer;
use runledger_ledger::time::Span;
use runledger_ledger::words::UniqueMode::{Fingerprint, Subject};

use crate::audit::{audit, every_event_has_one_receipt};
use crate::bed::{Bed, FIRST, on_every_store, submit, tell, words};
use crate::reports::{dispatch, failed, opening, started, succeeded, unique, with_id};

on_every_store!(
    a_second_dispatch_lands_on_the_run_that_holds_the_key,
    the_key_is_free_once_its_run_completed,
    the_two_modes_and_other_values_do_not_meet,
    a_stale_run_holds_its_key,
    an_ordinary_dispatch_holds_no_key_and_asks_for_none,
    a_key_may_change_hands_within_one_request,
    an_id_that_landed_on_another_run_is_not_remembered,
    a_key_is_held_for_every_ledger_over_the_database,
    an_inferred_run_holds_no_key,
    dispatches_at_once_make_exactly_one_run,
);

async fn a_second_dispatch_lands_on_the_run_that_holds_the_key(bed: Bed) {
    let (first, second) = (bed.new_run(), bed.new_run());
    bed.record(unique(first, Subject, "x")).await;
    assert_eq!(bed.tell(unique(second, Subject, "x")).await, Answer::Existing(first));
    bed.record(started(first)).await;
    assert_eq!(bed.tell(unique(second, Subject, "x")).await, Answer::Existing(first));
    // It is the run itself that is told of again.
    assert_eq!(words(&[bed.tell(unique(first, Subject, "x")).await]), ["duplicate"]);
    assert_eq!(audit(bed.store(), bed.workspace).await.len(), 4);
}

async fn the_key_is_free_once_its_run_completed(bed: Bed) {
    for end in [succeeded, failed] {
        let (first, second) = (bed.new_run(), bed.new_run());
        bed.record(unique(first, Subject, "x")).await;
        bed.record(end(first)).await;
        bed.record(unique(second, Subject, "x")).await;
        assert_eq!(bed.tell(unique(bed.new_run(), Subject, "x")).await, Answer::Existing(second));
        bed.record(end(second)).await;
    }
    audit(bed.store(), bed.workspace).await;
}

async fn the_two_modes_and_other_values_do_not_meet(bed: Bed) {
    let reports = [(Subject, "x"), (Fingerprint, "x"), (Subject, "y"), (Fingerprint, "y")]
        .map(|(mode, value)| unique(bed.new_run(), mode, value));
    assert_eq!(words(&bed.submit(reports.into()).await), ["2", "3", "4", "5"]);
    audit(bed.store(), bed.workspace).await;
}

async fn a_stale_run_holds_its_key(bed: Bed) {
    let first = bed.new_run();
    bed.record(unique(first, Subject, "x")).await;
    bed.clock.advance(Span::from_secs(40 * 86_400));
    assert_eq!(bed.tell(unique(bed.new_run(), Subject, "x")).await, Answer::Existing(first));
}

async fn an_ordinary_dispatch_holds_no_key_and_asks_for_none(bed: Bed) {
    let runs = [bed.new_run(), bed.new_run(), bed.new_run()];
    let reports = vec![dispatch(runs[0]), unique(runs[1], Subject, "x"), dispatch(runs[2])];
    assert_eq!(words(&bed.submit(reports).await), ["2", "3", "4"]);
    audit(bed.store(), bed.workspace).await;
}

async fn a_key_may_change_hands_within_one_request(bed: Bed) {
    let (first, second, third) = (bed.new_run(), bed.new_run(), bed.new_run());
    let answers = bed
        .submit(vec![
            unique(first, Subject, "x"),
            unique(second, Subject, "x"),
            succeeded(first),
            unique(second, Subject, "x"),
            unique(third, Subject, "x"),
            succeeded(second),
        ])
        .await;
    assert_eq!(words(&answers), ["2", "existing", "3", "4", "existing", "5"]);
    bed.record(unique(third, Subject, "x")).await;
    audit(bed.store(), bed.workspace).await;
}

async fn an_id_that_landed_on_another_run_is_not_remembered(bed: Bed) {
    let (first, second) = (bed.new_run(), bed.new_run());
    bed.record(unique(first, Subject, "x")).await;
    let again = || with_id(unique(second, Subject, "x"), "a", "1");
    assert_eq!(bed.tell(again()).await, Answer::Existing(first));
    bed.record(succeeded(first)).await;
    bed.record(again()).await;
}

async fn a_key_is_held_for_every_ledger_over_the_database(bed: Bed) {
    let Some(other) = bed.another().await else { return };
    let (first, second) = (bed.new_run(), bed.new_run());
    bed.record(unique(first, Subject, "x")).await;
    let answer = tell(&other, bed.workspace, unique(second, Subject, "x")).await;
    assert_eq!(answer, Answer::Existing(first));
    // Freed by one, taken by the other, seen by the first, each with what it remembers.
    let answers = vec![succeeded(first), unique(second, Subject, "x")];
    assert_eq!(words(&submit(&other, bed.workspace, answers).await), ["3", "4"]);
    assert_eq!(bed.tell(unique(bed.new_run(), Subject, "x")).await, Answer::Existing(second));
    audit(bed.store(), bed.workspace).await;
}

async fn an_inferred_run_holds_no_key(bed: Bed) {
    let run = bed.new_run();
    let started = runledger_ledger::run::Report::Started { attempt: None, worker: None };
    bed.record(opening(run, started)).await;
    // Its true dispatch makes no reservation.
    let mut late = unique(run, Subject, "x");
    late.strict = true;
    bed.record(late).await;
    bed.record(unique(bed.new_run(), Subject, "x")).await;
    audit(bed.store(), bed.workspace).await;
}

async fn dispatches_at_once_make_exactly_one_run(bed: Bed) {
    let other = bed.another().await;
    for round in 0..5 {
        let value = format!("x{round}");
        let writers = (0..32).map(|number| {
            let ledger = other.as_ref().filter(|_| number % 2 == 1).unwrap_or(&bed.ledger);
            submit(ledger, bed.workspace, vec![unique(bed.new_run(), Subject, &value)])
        });
        let answers = futures::future::join_all(writers).await.concat();
        let rows = audit(bed.store(), bed.workspace).await;
        every_event_has_one_receipt(&rows, FIRST + round, &answers);
        assert_eq!(rows.len() as u64, FIRST + round + 1);
        let winner = rows.last().unwrap().event().stream.run_id().unwrap();
        let existing = answers.iter().filter(|answer| **answer == Answer::Existing(winner));
        assert_eq!(existing.count(), 31);
    }
}
