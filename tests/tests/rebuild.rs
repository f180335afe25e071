//! Rebuilding beside a ledger that goes on: whatever happens meanwhile, the live read models are
//! whole, and are those that follow from the log.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runledger_ledger::store::Store;
use runledger_ledger::time::Span;
use runledger_ledger::words::Outcome;
use runledger_projections::{Progress, ProjectionError, Projections, VERSION};
use runledger_tests::superuser_of;
use runledger_tests::world::{World, dispatch, ended, run, started, within};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::block_in_place;

/// Runs a test on both databases.
macro_rules! on_both_databases {
    ($($test:ident => $sqlite:ident, $postgres:ident;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $sqlite() {
                $test(World::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn $postgres() {
                $test(World::postgres().await).await;
            }
        )+
    };
}

on_both_databases! {
    a_rebuild_goes_on_when_the_live_read_models_are_ahead =>
        a_rebuild_goes_on_when_the_live_read_models_are_ahead_on_sqlite,
        a_rebuild_goes_on_when_the_live_read_models_are_ahead_on_postgresql;
    a_second_rebuild_says_that_one_is_running =>
        a_second_rebuild_says_that_one_is_running_on_sqlite,
        a_second_rebuild_says_that_one_is_running_on_postgresql;
    a_rebuild_that_was_taken_for_dead_destroys_nothing =>
        a_rebuild_that_was_taken_for_dead_destroys_nothing_on_sqlite,
        a_rebuild_that_was_taken_for_dead_destroys_nothing_on_postgresql;
    an_idle_workspace_of_an_older_version_is_built_anew =>
        an_idle_workspace_of_an_older_version_is_built_anew_on_sqlite,
        an_idle_workspace_of_an_older_version_is_built_anew_on_postgresql;
    read_models_of_a_newer_version_are_left_alone =>
        read_models_of_a_newer_version_are_left_alone_on_sqlite,
        read_models_of_a_newer_version_are_left_alone_on_postgresql;
    a_rebuild_under_traffic_ends_with_what_follows_from_the_log =>
        a_rebuild_under_traffic_ends_with_what_follows_from_the_log_on_sqlite,
        a_rebuild_under_traffic_ends_with_what_follows_from_the_log_on_postgresql;
}

async fn one_run(world: &World, number: u128) {
    world.record(dispatch(run(number), "inventory.sync", within("prod"))).await;
    world.record(started(run(number))).await;
    let outcome = if number.is_multiple_of(3) { Outcome::Failed } else { Outcome::Succeeded };
    world.record(ended(run(number), outcome)).await;
}

async fn some_runs(world: &World) {
    for number in 1..=10 {
        one_run(world, number).await;
    }
    world.projections.catch_up(world.workspace).await.unwrap();
}

/// As another process over the same database sees it.
fn another_process(world: &World) -> Projections {
    Projections::new(world.ledger.clone()).unwrap()
}

async fn assert_intact(world: &World) {
    let found = world.projections.verify(world.workspace, &|_| {}).await.unwrap();
    assert!(found.is_intact(), "{:#?}", found.differences);
}

/// The version of each generation, the live one first.
async fn versions(world: &World) -> Vec<(bool, i64)> {
    let versions = "SELECT live, version FROM projections ORDER BY live DESC";
    match world.ledger.store() {
        Store::Postgres(store) => {
            let mut connection = superuser_of(store.pool()).await;
            sqlx::query_as(versions).fetch_all(&mut connection).await.unwrap()
        }
        Store::Sqlite(store) => sqlx::query_as(versions).fetch_all(store.readers()).await.unwrap(),
    }
}

async fn set_version(world: &World, version: i64) {
    let set = "UPDATE projections SET version = $1";
    match world.ledger.store() {
        Store::Postgres(store) => {
            let mut connection = superuser_of(store.pool()).await;
            sqlx::query(set).bind(version).execute(&mut connection).await.unwrap();
        }
        Store::Sqlite(store) => {
            sqlx::query(set).bind(version).execute(store.writer()).await.unwrap();
        }
    }
}

/// Rebuilds, and once everything is folded, before the read models are put in place, does `what`.
async fn rebuild_and_before_the_end(
    world: &World,
    what: impl AsyncFn() + Sync,
) -> Result<u64, ProjectionError> {
    let done = AtomicBool::new(false);
    let progress = |progress: Progress| {
        if progress.folded == progress.size && !done.swap(true, Ordering::SeqCst) {
            block_in_place(|| Handle::current().block_on(what()));
        }
    };
    world.projections.rebuild(world.workspace, &progress).await
}

async fn a_rebuild_goes_on_when_the_live_read_models_are_ahead(world: World) {
    some_runs(&world).await;
    let ahead = AtomicBool::new(false);
    let progress = |progress: Progress| {
        if progress.folded == progress.size && !ahead.swap(true, Ordering::SeqCst) {
            let more = async {
                one_run(&world, 11).await;
                world.projections.catch_up(world.workspace).await.unwrap();
            };
            block_in_place(|| Handle::current().block_on(more));
        }
    };
    let before = world.ledger.store().head(world.workspace).await.unwrap().unwrap().size();
    let rebuilt = world.projections.rebuild(world.workspace, &progress).await.unwrap();
    assert!(rebuilt > before, "{rebuilt} events, {before} before it began");
    assert_eq!(world.projections.position(world.workspace).await.unwrap(), rebuilt);
    assert_eq!(versions(&world).await, [(true, VERSION)]);
    assert_intact(&world).await;
}

async fn a_second_rebuild_says_that_one_is_running(world: World) {
    some_runs(&world).await;
    let second = another_process(&world);
    let built = rebuild_and_before_the_end(&world, async || {
        for rebuilder in [&second, &world.projections] {
            let refused = rebuilder.rebuild(world.workspace, &|_| {}).await.unwrap_err();
            assert!(matches!(refused, ProjectionError::Rebuilding), "{refused:?}");
            assert!(refused.to_string().contains("being rebuilt already"), "{refused}");
        }
    })
    .await;
    assert_eq!(built.unwrap(), world.projections.position(world.workspace).await.unwrap());
    assert_intact(&world).await;
    // The lease was given back.
    second.rebuild(world.workspace, &|_| {}).await.unwrap();
    assert_intact(&world).await;
}

async fn a_rebuild_that_was_taken_for_dead_destroys_nothing(world: World) {
    some_runs(&world).await;
    let second = another_process(&world);
    let late = rebuild_and_before_the_end(&world, async || {
        world.clock.advance(Span::from_secs(11));
        second.rebuild(world.workspace, &|_| {}).await.unwrap();
    })
    .await;
    assert!(matches!(late, Err(ProjectionError::NotAlone)), "{late:?}");
    assert_eq!(versions(&world).await, [(true, VERSION)]);
    assert_intact(&world).await;
}

async fn an_idle_workspace_of_an_older_version_is_built_anew(world: World) {
    some_runs(&world).await;
    set_version(&world, VERSION - 1).await;
    let (stop, stopped) = watch::channel(false);
    let projections = world.projections.clone();
    let follower = tokio::spawn(async move { projections.follow(stopped).await });
    let built = async {
        while versions(&world).await != [(true, VERSION)] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), built).await.unwrap();
    stop.send_replace(true);
    follower.await.unwrap();
    assert_intact(&world).await;
}

async fn read_models_of_a_newer_version_are_left_alone(world: World) {
    some_runs(&world).await;
    set_version(&world, VERSION + 1).await;
    one_run(&world, 20).await;
    let folded = world.projections.position(world.workspace).await.unwrap();
    for refused in [
        world.projections.catch_up(world.workspace).await,
        world.projections.rebuild(world.workspace, &|_| {}).await,
    ] {
        let refused = refused.unwrap_err();
        let newer = VERSION + 1;
        let is_newer = matches!(refused, ProjectionError::Newer { version } if version == newer);
        assert!(is_newer, "{refused:?}");
        assert!(refused.to_string().contains("use the newer program"), "{refused}");
    }
    assert_eq!(versions(&world).await, [(true, VERSION + 1)]);
    assert_eq!(world.projections.position(world.workspace).await.unwrap(), folded);
}

async fn a_rebuild_under_traffic_ends_with_what_follows_from_the_log(world: World) {
    some_runs(&world).await;
    let (stop, stopped) = watch::channel(false);
    let projections = world.projections.clone();
    let follower = tokio::spawn({
        let stopped = stopped.clone();
        async move { projections.follow(stopped).await }
    });
    let traffic = tokio::spawn({
        let (world, stopped) = (world.clone(), stopped);
        async move {
            let mut number = 100;
            while !*stopped.borrow() {
                number += 1;
                one_run(&world, number).await;
            }
            number - 100
        }
    });
    world.projections.rebuild(world.workspace, &|_| {}).await.unwrap();
    stop.send_replace(true);
    assert!(traffic.await.unwrap() > 3);
    follower.await.unwrap();
    world.projections.catch_up(world.workspace).await.unwrap();
    assert_eq!(versions(&world).await, [(true, VERSION)]);
    assert_intact(&world).await;
}
