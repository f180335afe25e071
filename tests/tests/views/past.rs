//! The past, however it was come by.

use runledger_ledger::words::Outcome;
use runledger_projections::{AsOf, PageRequest, RunFilter};
use runledger_tests::world::{BEGIN, World, blind, dispatch, ended, run, started, within, worker};

on_both_databases! {
    a_state_that_goes_on_from_another_is_the_one_from_the_beginning =>
        a_state_that_goes_on_from_another_is_the_one_from_the_beginning_on_sqlite,
        a_state_that_goes_on_from_another_is_the_one_from_the_beginning_on_postgresql;
}

async fn a_state_that_goes_on_from_another_is_the_one_from_the_beginning(world: World) {
    world.record(worker("w1", &["sync"])).await;
    for number in 1..=30 {
        world.record(dispatch(run(number), "inventory.sync", within("prod"))).await;
        world.record(started(run(number))).await;
        world.wait(4);
        match number % 4 {
            0 => continue,
            1 => world.record(ended(run(number), Outcome::Succeeded)).await,
            _ => world.record(ended(run(number), Outcome::Failed)).await,
        }
        if number == 17 {
            world.record(blind(BEGIN, world.clock.now())).await;
        }
    }
    world.view().await;
    let size = world.ledger.store().head(world.workspace).await.unwrap().unwrap().size();
    // Forward and back: some begin with the state before them, some with the first event.
    let asked = [10, 11, 30, 60, 59, 20, 70, 5, size - 2];
    for position in asked {
        // This one has kept nothing.
        let (kept, fresh) = (told(&world, position).await, told(&world.afresh(), position).await);
        assert_eq!(kept, fresh, "as of {position}");
        assert!(kept.contains("inventory.sync"), "{kept}");
    }
}

/// All that is told of a moment.
async fn told(world: &World, position: u64) -> String {
    let view = world.view_of(AsOf::Position(position)).await;
    let runs = view.runs(&RunFilter::default(), &PageRequest::first(500)).await.unwrap();
    let overview = view.overview(None).await.unwrap();
    let queues = view.queues().await.unwrap();
    let operations = view.operations(None).await.unwrap();
    format!("{runs:#?} {overview:#?} {queues:#?} {operations:#?}")
}
