//! However many read, and give up on it: what is reported is written.

use futures::FutureExt as _;
use runledger_ledger::store::Store;
use runledger_ledger::time::Span;
use uuid::Uuid;

use crate::bed::{Bed, on_every_store};
use crate::reports::{dispatch, started, with_id};

on_every_store!(
    readers_who_take_every_connection_keep_no_report_waiting,
    readers_who_give_up_leave_nothing_behind,
);

async fn readers_who_take_every_connection_keep_no_report_waiting(bed: Bed) {
    let run = bed.new_run();
    bed.record(dispatch(run)).await;
    // In memory there is one connection for all.
    if bed.another().await.is_none() {
        return;
    }
    let (mut postgres, mut sqlite) = (Vec::new(), Vec::new());
    match bed.store() {
        Store::Postgres(store) => {
            for _ in 0..store.pool().options().get_max_connections() {
                postgres.push(store.pool().acquire().await.unwrap());
            }
        }
        Store::Sqlite(store) => {
            for _ in 0..store.readers().options().get_max_connections() {
                sqlite.push(store.readers().acquire().await.unwrap());
            }
        }
    }
    // Its id has to be looked up.
    bed.record(with_id(started(run), "1", "x")).await;
    drop((postgres, sqlite));
}

/// A request ends when its client hangs up, wherever it is then: also between the beginning of a
/// transaction and its answer.
async fn readers_who_give_up_leave_nothing_behind(bed: Bed) {
    // In memory, whoever gives up may take the one connection along, and the database with it.
    if bed.another().await.is_none() {
        return;
    }
    // What reads here and what writes share their connections.
    let store = bed.store().writing();
    for polls in 0..40 {
        let mut reading = Box::pin(store.head(bed.workspace));
        for _ in 0..polls % 8 {
            if (&mut reading).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(reading);
        let holder = Uuid::from_u128(1);
        let now = bed.clock.now();
        assert!(store.take_lease("lease", holder, now, Span::from_secs(60)).await.unwrap());
        store.drop_lease("lease", holder).await.unwrap();
        // Another transaction sees that it is gone: nothing was written into one that is never
        // committed.
        let next = Uuid::from_u128(2);
        assert!(store.take_lease("lease", next, now, Span::from_secs(60)).await.unwrap());
        store.drop_lease("lease", next).await.unwrap();
    }
}
