//! Several servers over one database.

use runledger::reconciler::LEASE;
use runledger_ledger::time::Span;
use runledger_ledger::words::{Outcome, RunId};
use runledger_tests::book::{Book, OPERATION};

use crate::world::{World, database};

const STALE: Span = Span::from_secs(600);
const RUNS: usize = 200;

/// Two servers that judge 50 runs at a time, and 200 stale runs whose work is there.
async fn two_servers(book: &Book) -> (World, World, Vec<RunId>) {
    let database = database("postgresql").await;
    let mut first = World::new(database, book.registry().unwrap()).await;
    let mut second = first.another(book.registry().unwrap()).await;
    for world in [&mut first, &mut second] {
        world.reconciler = world.reconciler.with_page(50);
    }
    let runs = first.many(OPERATION, RUNS).await;
    for (place, run) in runs.iter().enumerate() {
        book.done(*run, &place.to_string());
    }
    first.look().await;
    first.go_to(STALE).await;
    (first, second, runs)
}

async fn all_succeeded(world: &World, runs: &[RunId]) -> bool {
    let mut all = true;
    for run in runs {
        all &= world.recorded(*run).await.outcome == Outcome::Succeeded;
    }
    all
}

#[tokio::test]
async fn two_servers_decide_each_run_once() {
    let book = Book::default();
    let (first, second, runs) = two_servers(&book).await;
    for _ in 0..5 {
        tokio::join!(first.look(), second.look());
    }
    assert!(all_succeeded(&second, &runs).await);
    assert_eq!((book.decided(), first.count("run.reconciled").await), (RUNS, RUNS));
}

#[tokio::test]
async fn what_a_dead_server_left_is_taken_over_when_its_lease_ends() {
    let book = Book::default();
    let (first, second, runs) = two_servers(&book).await;
    book.hang_after(Some(2));
    let reconciler = first.reconciler.clone();
    let dying = tokio::spawn(async move { reconciler.look().await });
    book.hangs().await;
    // It dies while it waits for its third page.
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    book.hang_after(None);
    assert_eq!(first.count("run.reconciled").await, 100);

    second.look().await;
    assert_eq!(second.count("run.reconciled").await, 100, "the lease is not over");
    second.go_to(STALE.plus(LEASE)).await;
    second.look().await;
    assert!(all_succeeded(&second, &runs).await);
    assert_eq!((book.decided(), second.count("run.reconciled").await), (RUNS, RUNS));
}
