//! A commit whose answer is lost on the way is neither lost nor recorded twice.

use std::time::Duration;

use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::time::Span;

use crate::audit::{audit, every_event_has_one_receipt};
use crate::bed::{Bed, FIRST, NOON, On, submit, tell};
use crate::line::Line;
use crate::reports::{dispatch, progress, started};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_found_in_the_log() {
    let bed = Bed::new(On::Postgres).await;
    let StoreUrl::Postgres(url) = &bed.url else { unreachable!() };
    for closed_for in 0..3 {
        let (line, near) = Line::to(url, Duration::ZERO).await;
        let store = Store::open(&StoreUrl::Postgres(near)).await.unwrap();
        let ledger = Ledger::new(store, Clock::manual(NOON), Entropy::system());
        let run = ledger.new_run_id().unwrap();
        let before = bed.size().await;
        let mut answers = submit(&ledger, bed.workspace, vec![dispatch(run), started(run)]).await;
        line.cut("run.heartbeat", closed_for);
        answers.push(tell(&ledger, bed.workspace, progress(run, 1)).await);
        assert_eq!(line.cuts(), 1, "the line was cut");
        answers.push(tell(&ledger, bed.workspace, progress(run, 2)).await);
        let rows = audit(bed.store(), bed.workspace).await;
        every_event_has_one_receipt(&rows, before, &answers);
        assert_eq!(rows.len() as u64, before + 4);
    }
    assert_eq!(bed.size().await, FIRST + 12);
}

/// It keeps its stamp. If nobody wrote meanwhile, that is the latest there is; if somebody did, the
/// append finds the head moved, and is decided again with a stamp of then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_again_keeps_the_times_of_the_log_in_order() {
    let bed = Bed::new(On::Postgres).await;
    let StoreUrl::Postgres(url) = &bed.url else { unreachable!() };
    let other = bed.new_run();
    let mut answers = bed.submit(vec![dispatch(other), started(other)]).await;
    for closed_for in 0..3 {
        let (line, near) = Line::to(url, Duration::ZERO).await;
        let store = Store::open(&StoreUrl::Postgres(near)).await.unwrap();
        let ledger = Ledger::new(store, bed.clock.clone(), Entropy::system());
        let run = ledger.new_run_id().unwrap();
        answers.extend(submit(&ledger, bed.workspace, vec![dispatch(run), started(run)]).await);
        line.cut("run.heartbeat", closed_for);
        let workspace = bed.workspace;
        let telling = tokio::spawn(async move { tell(&ledger, workspace, progress(run, 1)).await });
        while line.cuts() == 0 {
            tokio::task::yield_now().await;
        }
        // Another server writes later, before or after it is sent again.
        bed.clock.advance(Span::from_secs(1));
        answers.push(bed.tell(progress(other, closed_for as u64 + 1)).await);
        answers.push(telling.await.unwrap());
    }
    // It looks at the times, too.
    let rows = audit(bed.store(), bed.workspace).await;
    every_event_has_one_receipt(&rows, FIRST, &answers);
    assert_eq!(rows.len() as u64, FIRST + 2 + 3 * 4);
}
