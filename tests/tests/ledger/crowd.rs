//! However many read: what is reported is written.

use runledger_ledger::store::Store;

use crate::bed::{Bed, on_every_store};
use crate::reports::{dispatch, started, with_id};

on_every_store!(readers_who_take_every_connection_keep_no_report_waiting);

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
