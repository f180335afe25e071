//! History under another catalog: what the simulator says is what a ledger under it would say.

use std::sync::Arc;

use runledger_ledger::catalog::Catalog;
use runledger_ledger::run::FollowUpAction;
use runledger_ledger::words::{Outcome, RunId};
use runledger_projections::{AsOf, Differing, PageRequest, RunFilter, Simulation};
use runledger_tests::world::{
    World, catalog, dispatch, ended, follow_up, run, started, within, worker,
};

on_both_databases! {
    a_simulation_says_what_a_ledger_under_the_other_catalog_says =>
        a_simulation_says_what_a_ledger_under_the_other_catalog_says_on_sqlite,
        a_simulation_says_what_a_ledger_under_the_other_catalog_says_on_postgresql;
    under_the_catalog_in_force_nothing_differs_and_nothing_of_the_ledger_changes =>
        under_the_catalog_in_force_nothing_differs_and_nothing_of_the_ledger_changes_on_sqlite,
        under_the_catalog_in_force_nothing_differs_and_nothing_of_the_ledger_changes_on_postgresql;
}

const ALL: usize = 1_000;

/// No later success makes anything good, a person closes what failed, and runs may be silent for
/// three minutes; `sync.all` is what another operation was called.
fn other() -> Arc<Catalog> {
    let text = Catalog::built_in().text().replace(
        "supersession = \"scope\"\nqueue_window = \"10m\"\nrun_window = \"30m\"\n",
        "review = \"manual\"\nqueue_window = \"10m\"\nrun_window = \"3m\"\n",
    );
    let more = "\n[operation.\"everything.sync\"]\nfamily = \"repeatable_sync\"\n\
                title = { en = \"Everything\", de = \"Alles\" }\naliases = [\"acme.sync\"]\n";
    Arc::new(Catalog::parse(&format!("{text}{more}")).unwrap())
}

/// Failures that a later success makes good, one that a person closed, silent ones, and an
/// operation that nobody has classified.
async fn much_happens(world: &World) {
    world.record(worker("w1", &["sync"])).await;
    for number in 1..=9 {
        world.record(dispatch(run(number), "inventory.sync", within("prod"))).await;
        world.record(started(run(number))).await;
        world.wait(1);
        if number % 3 != 0 {
            let outcome = if number == 8 { Outcome::Succeeded } else { Outcome::Failed };
            world.record(ended(run(number), outcome)).await;
        }
        world.wait(1);
    }
    world.record(follow_up(run(1), FollowUpAction::Resolve)).await;
    world.record(dispatch(run(10), "acme.sync", within("prod"))).await;
    world.record(ended(run(10), Outcome::Failed)).await;
    world.record(dispatch(run(11), "backup.create", within("prod"))).await;
    world.wait(5);
}

async fn simulate(world: &World, as_of: AsOf, catalog: &Arc<Catalog>) -> Simulation {
    let simulated = world.projections.simulate(world.workspace, as_of, catalog, ALL, &|_, _| {});
    simulated.await.unwrap()
}

fn of(simulation: &Simulation, id: RunId) -> &Differing {
    simulation.differences.iter().find(|run| run.run_id == id).unwrap()
}

fn told(run: &Differing, field: &str) -> (Option<String>, Option<String>) {
    let sides = run.differences.iter().find(|sides| sides.field == field).unwrap();
    (sides.present.clone(), sides.other.clone())
}

fn words(present: &str, other: &str) -> (Option<String>, Option<String>) {
    (Some(present.to_owned()), Some(other.to_owned()))
}

async fn a_simulation_says_what_a_ledger_under_the_other_catalog_says(world: World) {
    much_happens(&world).await;
    let other = other();
    let found = simulate(&world, AsOf::Now, &other).await;
    assert_eq!((found.runs, found.more), (11, 0));
    assert_eq!(found.differing, found.differences.len() as u64);
    let failed = of(&found, run(2));
    let good = "superseded_by_later_success";
    assert_eq!(told(failed, "actionability"), words(good, "requires_manual_review"));
    let why: Vec<&str> = failed.why.iter().map(|sides| sides.field.as_str()).collect();
    assert_eq!(why, ["supersession", "review", "run_window"]);
    assert_eq!(told(of(&found, run(9)), "freshness"), words("fresh_running", "stale_running"));
    assert_eq!(told(of(&found, run(10)), "operation"), words("acme.sync", "everything.sync"));
    assert!(found.differences.iter().all(|one| ![run(1), run(8), run(11)].contains(&one.run_id)));

    // The same story, told to a ledger that has the other catalog from the beginning.
    let there = world.other_workspace("other").await;
    there.record(catalog(other.text())).await;
    much_happens(&there).await;
    let view = there.view().await;
    let runs = view.runs(&RunFilter::default(), &PageRequest::first(500)).await.unwrap();
    let follow_ups = runs.items.iter().filter(|run| run.now.follow_up).count();
    assert_eq!(found.other.follow_ups, u64::try_from(follow_ups).unwrap());
    for standing in &runs.items {
        let differing = found.differences.iter().find(|one| one.run_id == standing.run_id);
        let simulated = |field: &str| {
            let sides = differing?.differences.iter().find(|sides| sides.field == field)?;
            sides.other.clone()
        };
        let status = serde_json::to_value(standing.now.actionability.status).unwrap();
        if let Some(word) = simulated("actionability") {
            assert_eq!(status, word.as_str(), "{}", standing.run_id);
        }
        if let Some(operation) = simulated("operation") {
            assert_eq!(standing.recorded.operation.as_str(), operation);
        }
    }
}

async fn under_the_catalog_in_force_nothing_differs_and_nothing_of_the_ledger_changes(
    world: World,
) {
    much_happens(&world).await;
    let before = world.ledger.store().head(world.workspace).await.unwrap().unwrap();
    let found = simulate(&world, AsOf::Now, &Catalog::built_in()).await;
    assert_eq!((found.differing, found.differences.len()), (0, 0));
    assert_eq!(found.present, found.other);
    assert_eq!(found.events, before.size());
    // Before the other one was published, history was judged by the one before.
    world.record(catalog(other().text())).await;
    let last = AsOf::Position(before.size() - 1);
    assert_eq!(simulate(&world, last, &Catalog::built_in()).await.differing, 0);
    assert!(simulate(&world, last, &other()).await.differing > 0);
    // Windows are those of the dispatch: what was dispatched before keeps them as it was.
    let found = simulate(&world, AsOf::Now, &other()).await;
    let freshness = told(of(&found, run(9)), "freshness");
    assert_eq!(freshness, words("fresh_running", "stale_running"));
    assert!(
        found.differences.iter().all(|one| one.run_id != run(2)),
        "policies are those in force"
    );
    let after = world.ledger.store().head(world.workspace).await.unwrap().unwrap();
    assert_eq!(after.size(), before.size() + 1);
    world.projections.catch_up(world.workspace).await.unwrap();
    let verified = world.projections.verify(world.workspace, &|_| {}).await;
    assert!(verified.unwrap().differences.is_empty());
}
