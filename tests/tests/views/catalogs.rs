//! A catalog that comes into force for more runs than one transaction is for.

use runledger_ledger::catalog::Catalog;
use runledger_ledger::store::Store;
use runledger_ledger::words::Outcome;
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::{AsOf, Overview, Projections};
use runledger_tests::superuser_of;
use runledger_tests::world::{World, catalog, dispatch, ended, run, within};
use sqlx::Executor as _;

on_both_databases! {
    a_catalog_that_was_interrupted_goes_on_where_it_stood =>
        a_catalog_that_was_interrupted_goes_on_where_it_stood_on_sqlite,
        a_catalog_that_was_interrupted_goes_on_where_it_stood_on_postgresql;
    between_two_catalogs_a_verification_waits_and_finds_nothing =>
        between_two_catalogs_a_verification_waits_and_finds_nothing_on_sqlite,
        between_two_catalogs_a_verification_waits_and_finds_nothing_on_postgresql;
}

/// More than two pieces.
const RUNS: u128 = 2_300;

/// By it a later success makes nothing good, and a person closes what failed.
fn strict() -> String {
    let text = Catalog::built_in().text().to_owned();
    let other = text.replace("supersession = \"scope\"\n", "review = \"manual\"\n");
    assert_ne!(other, text, "the built-in catalog has changed its form");
    other
}

/// A workspace in which half of the runs failed and a later one succeeded.
async fn much_happened(world: &World) {
    let runs: Vec<_> = (1..=RUNS)
        .flat_map(|number| {
            let outcome = if number % 2 == 0 { Outcome::Failed } else { Outcome::Cancelled };
            let dispatched = dispatch(run(number), "inventory.sync", within("prod"));
            [dispatched, ended(run(number), outcome)]
        })
        .collect();
    for runs in runs.chunks(1_000) {
        world.submit(runs.to_vec()).await;
    }
    world.wait(1);
    world.record(dispatch(run(RUNS + 1), "inventory.sync", within("prod"))).await;
    world.record(ended(run(RUNS + 1), Outcome::Succeeded)).await;
    world.projections.catch_up(world.workspace).await.unwrap();
}

/// From here on no catalog comes further than its first piece.
const STOP: [&str; 2] = [
    "CREATE TRIGGER stop BEFORE UPDATE OF sweep ON projections WHEN OLD.sweep IS NOT NULL \
     AND NEW.sweep IS NOT OLD.sweep BEGIN SELECT RAISE(ABORT, 'the test stops here'); END",
    "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS \
     $$BEGIN RAISE EXCEPTION 'the test stops here'; END$$; \
     CREATE TRIGGER stop BEFORE UPDATE ON projections FOR EACH ROW \
     WHEN (OLD.sweep IS NOT NULL AND NEW.sweep IS DISTINCT FROM OLD.sweep) \
     EXECUTE FUNCTION stop()",
];
const GO_ON: [&str; 2] =
    ["DROP TRIGGER stop", "DROP TRIGGER stop ON projections; DROP FUNCTION stop()"];

async fn execute(store: &Store, statements: [&'static str; 2]) {
    // Several at a time are not prepared.
    match (store.sqlite(), store.postgres()) {
        (Some((writer, _)), _) => {
            writer.execute(sqlx::raw_sql(statements[0])).await.unwrap();
        }
        (_, Some(pool)) => {
            let mut connection = superuser_of(pool).await;
            connection.execute(sqlx::raw_sql(statements[1])).await.unwrap();
        }
        _ => unreachable!("a store is one of the two"),
    }
}

async fn overview(world: &World, as_of: AsOf) -> Overview {
    world.view_of(as_of).await.overview(None).await.unwrap()
}

/// Publishes the strict catalog, of which only the first piece comes into force.
async fn interrupted(world: &World) {
    much_happened(world).await;
    execute(world.ledger.store(), STOP).await;
    world.record(catalog(&strict())).await;
    world.projections.catch_up(world.workspace).await.unwrap_err();
    execute(world.ledger.store(), GO_ON).await;
}

async fn a_catalog_that_was_interrupted_goes_on_where_it_stood(world: World) {
    interrupted(&world).await;
    let published = world.ledger.store().head(world.workspace).await.unwrap().unwrap().size() - 1;
    assert_eq!(world.projections.position(world.workspace).await.unwrap(), published);
    // The past is what it was, although some rows are those of the catalog to come.
    let before = overview(&world, AsOf::Position(published - 1)).await;
    assert_eq!(before.counts.superseded, u64::try_from(RUNS / 2).unwrap());
    assert_eq!(before.counts.follow_up_items, 0);
    let now = overview(&world, AsOf::Now).await;
    assert!(now.counts.follow_up_items > 0, "a piece is done");
    assert!(now.counts.superseded > 0, "and no more than that");
    assert_eq!(now.counts.runs, before.counts.runs);

    // Another server goes on.
    let other = Projections::new(world.ledger.clone()).unwrap();
    assert_eq!(other.catch_up(world.workspace).await.unwrap(), published + 1);
    let after = overview(&world, AsOf::Now).await;
    assert_eq!(after.counts.manual_review.items, u64::try_from(RUNS / 2).unwrap());
    assert_eq!(after.counts.superseded, 0);
    let one = world.view().await.run(run(2)).await.unwrap().unwrap();
    assert_eq!(one.now.actionability.status, Actionability::RequiresManualReview);
    let found = other.verify(world.workspace, &|_| {}).await.unwrap();
    assert!(found.is_intact(), "{:#?}", found.differences);
    // And so does what comes after it.
    world.record(dispatch(run(RUNS + 2), "inventory.sync", within("prod"))).await;
    assert_eq!(world.view().await.position(), published + 2);
    let again = overview(&world, AsOf::Position(published - 1)).await;
    assert_eq!(again.counts, before.counts);
}

async fn between_two_catalogs_a_verification_waits_and_finds_nothing(world: World) {
    interrupted(&world).await;
    let projections = world.projections.clone();
    let (workspace, goes_on) = (world.workspace, world.projections.clone());
    // It waits for the catalog, and then finds nothing.
    let verified = tokio::spawn(async move { projections.verify(workspace, &|_| {}).await });
    goes_on.catch_up(workspace).await.unwrap();
    let found = verified.await.unwrap().unwrap();
    assert!(found.is_intact(), "{:#?}", found.differences);
}
