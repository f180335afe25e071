//! What needs a person, and what has become of each operation.

use runledger_ledger::run::{FollowUpAction, Named};
use runledger_ledger::words::{Outcome, Status};
use runledger_projections::rules::actionability::{Actionability, ItemKey};
use runledger_projections::rules::guidance::GuidanceKey;
use runledger_projections::texts::Language;
use runledger_projections::{FollowUpFilter, FollowUpItem, ItemOrder, PageRequest, RunFilter};
use runledger_tests::world::{World, dispatch, ended, follow_up, run, started, subject, within};

on_both_databases! {
    failures_of_the_same_work_are_one_thing_to_do =>
        failures_of_the_same_work_are_one_thing_to_do_on_sqlite,
        failures_of_the_same_work_are_one_thing_to_do_on_postgresql;
    each_filter_names_its_follow_ups =>
        each_filter_names_its_follow_ups_on_sqlite, each_filter_names_its_follow_ups_on_postgresql;
    pages_of_follow_ups_lead_through_all_of_them =>
        pages_of_follow_ups_lead_through_all_of_them_on_sqlite,
        pages_of_follow_ups_lead_through_all_of_them_on_postgresql;
    the_oldest_comes_first_where_that_is_asked_for =>
        the_oldest_comes_first_where_that_is_asked_for_on_sqlite,
        the_oldest_comes_first_where_that_is_asked_for_on_postgresql;
    each_operation_tells_how_its_runs_went =>
        each_operation_tells_how_its_runs_went_on_sqlite,
        each_operation_tells_how_its_runs_went_on_postgresql;
}

async fn fails(world: &World, number: u128, operation: &str, named: Named) {
    world.record(dispatch(run(number), operation, named)).await;
    world.record(ended(run(number), Outcome::Failed)).await;
    world.wait(1);
}

/// Five failed syncs of production, two of test, two failed restores, and one of the workspace's
/// own that nobody has classified.
async fn ten_failures(world: &World) {
    for number in 1..=5 {
        fails(world, number, "inventory.sync", within("prod")).await;
    }
    fails(world, 6, "inventory.sync", within("test")).await;
    fails(world, 7, "restore.execute", within("prod")).await;
    fails(world, 8, "inventory.sync", within("test")).await;
    fails(world, 9, "restore.execute", within("prod")).await;
    fails(world, 10, "something.new", Named::default()).await;
}

async fn all(world: &World) -> Vec<FollowUpItem> {
    let (filter, request) = (FollowUpFilter::default(), PageRequest::default());
    let page = world.view().await.follow_ups(&filter, &request).await.unwrap();
    assert_eq!((page.next, page.scanned_to), (None, None));
    page.items
}

fn latest(item: &FollowUpItem) -> Vec<u128> {
    item.latest.iter().map(|standing| standing.run_id.0.as_u128()).collect()
}

async fn failures_of_the_same_work_are_one_thing_to_do(world: World) {
    ten_failures(&world).await;
    let items = all(&world).await;
    let runs: Vec<Vec<u128>> = items.iter().map(latest).collect();
    let expected: [&[u128]; 5] = [&[10], &[9], &[8, 6], &[7], &[5, 4, 3]];
    assert_eq!(runs, expected, "the latest first");
    let item = &items[4];
    assert_eq!(
        (item.operation.as_str(), item.family.as_str()),
        ("inventory.sync", "repeatable_sync")
    );
    assert_eq!(item.environment.as_deref(), Some("prod"));
    assert_eq!(item.actionability, Actionability::Actionable);
    assert_eq!(item.reason.as_deref(), Some("problem"));
    assert_eq!(item.guidance.key, GuidanceKey::NeedsAction);
    assert_eq!(item.occurrences, 5);
    assert_eq!(Some(item.last_settled_at), item.latest[0].recorded.settled_at);
    let oldest = world.view().await.run(run(1)).await.unwrap().unwrap();
    assert_eq!(Some(item.first_settled_at), oldest.recorded.settled_at);
    assert_eq!(items[1].actionability, Actionability::RequiresManualReview);
    assert_eq!(items[1].guidance.key, GuidanceKey::NeedsReview);
    assert_eq!((items[0].environment.as_deref(), items[0].occurrences), (None, 1));
    let json = serde_json::to_value(item).unwrap();
    assert_eq!(json["key"], item.key.to_string());
    assert_eq!(json["first_settled_at"], item.first_settled_at.to_string());
    assert_eq!(serde_json::from_value::<FollowUpItem>(json).unwrap(), *item);

    let view = world.view().await;
    let page = view.occurrences(item.key, &PageRequest::first(2)).await.unwrap();
    let next = PageRequest::first(10).at(page.next.unwrap());
    let rest = view.occurrences(item.key, &next).await.unwrap();
    let runs = page.items.iter().chain(&rest.items).map(|standing| standing.run_id.0.as_u128());
    assert_eq!(runs.collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    assert_eq!(view.follow_up(item.key).await.unwrap().as_ref(), Some(item));
    assert_eq!(view.follow_up(ItemKey([7; 16])).await.unwrap(), None);

    world.record(follow_up(run(5), FollowUpAction::Resolve)).await;
    let resolved = world.view().await.follow_up(item.key).await.unwrap().unwrap();
    assert_eq!((resolved.occurrences, latest(&resolved)), (4, vec![4, 3, 2]));
    world.record(dispatch(run(11), "inventory.sync", within("prod"))).await;
    world.record(ended(run(11), Outcome::Succeeded)).await;
    assert_eq!(world.view().await.follow_up(item.key).await.unwrap(), None);
    let view = world.view().await;
    let none = view.occurrences(item.key, &PageRequest::default()).await.unwrap();
    assert!(none.items.is_empty());
    assert_eq!(all(&world).await.len(), 4);
}

async fn each_filter_names_its_follow_ups(world: World) {
    ten_failures(&world).await;
    let view = world.view().await;
    let any = FollowUpFilter::default;
    let named = |text: &str| Some(text.to_owned());
    let manual = Some(Actionability::RequiresManualReview);
    for (filter, expected) in [
        (FollowUpFilter { environment: named("prod"), ..any() }, &[9, 7, 5][..]),
        (FollowUpFilter { environment: named(""), ..any() }, &[10]),
        (FollowUpFilter { operation: named("inventory_sync"), ..any() }, &[8, 5]),
        (FollowUpFilter { family: named("high_risk_mutation"), ..any() }, &[9, 7]),
        (FollowUpFilter { actionability: manual, ..any() }, &[9, 7]),
        (FollowUpFilter { actionability: Some(Actionability::NotTerminal), ..any() }, &[]),
        (FollowUpFilter { actionability: manual, environment: named("test"), ..any() }, &[]),
    ] {
        let page = view.follow_ups(&filter, &PageRequest::default()).await.unwrap();
        let runs: Vec<u128> = page.items.iter().map(|item| latest(item)[0]).collect();
        assert_eq!(runs, expected, "{filter:?}");
    }
}

async fn pages_of_follow_ups_lead_through_all_of_them(world: World) {
    ten_failures(&world).await;
    let view = world.view().await;
    let filter = FollowUpFilter::default();
    let mut request = PageRequest::first(2);
    let mut seen = Vec::new();
    loop {
        let page = view.follow_ups(&filter, &request).await.unwrap();
        seen.extend(page.items.iter().map(|item| item.key));
        let Some(next) = page.next else { break };
        request = request.at(next);
    }
    let keys: Vec<ItemKey> = all(&world).await.iter().map(|item| item.key).collect();
    assert_eq!(seen, keys);
    let listed = RunFilter { follow_up: Some(true), ..RunFilter::default() };
    let listed = view.runs(&listed, &PageRequest::default()).await.unwrap();
    let occurrences: u64 = all(&world).await.iter().map(|item| item.occurrences).sum();
    assert_eq!(occurrences, listed.items.len() as u64);
}

async fn the_oldest_comes_first_where_that_is_asked_for(world: World) {
    ten_failures(&world).await;
    let view = world.view().await;
    let filter = FollowUpFilter { sort: Some(ItemOrder::Oldest), ..FollowUpFilter::default() };
    let mut request = PageRequest::first(2);
    let mut seen = Vec::new();
    loop {
        let page = view.follow_ups(&filter, &request).await.unwrap();
        seen.extend(page.items.iter().map(|item| latest(item)[0]));
        let Some(next) = page.next else { break };
        request = request.at(next);
    }
    // By the oldest of their runs, and not by the latest.
    assert_eq!(seen, [5, 8, 7, 9, 10]);
    let of = |items: &[FollowUpItem]| items.iter().map(|item| latest(item)[0]).collect::<Vec<_>>();
    let oldest = async |environment| {
        let counts = view.overview(environment).await.unwrap().counts;
        view.front(environment, &counts, 2, 2).await.unwrap().oldest
    };
    let [to_do, to_review] = oldest(None).await;
    assert_eq!((of(&to_do), of(&to_review)), (vec![5, 8], vec![7, 9]));
    let [to_do, to_review] = oldest(Some("test")).await;
    assert_eq!((of(&to_do), of(&to_review)), (vec![8], vec![]));
    // A cursor belongs to the order that it was given in.
    let first = view.follow_ups(&filter, &PageRequest::first(2)).await.unwrap();
    let next = PageRequest::first(2).at(first.next.unwrap());
    assert!(view.follow_ups(&FollowUpFilter::default(), &next).await.is_err());
}

async fn each_operation_tells_how_its_runs_went(world: World) {
    ten_failures(&world).await;
    for number in 11..=20 {
        let named = Named { subject: Some(subject("host/a")), ..within("prod") };
        world.record(dispatch(run(number), "backup.set.create", named)).await;
        world.record(started(run(number))).await;
        if number > 12 {
            world.record(ended(run(number), Outcome::Succeeded)).await;
        }
        world.wait(1);
    }
    let view = world.view().await;
    let operations = view.operations(None).await.unwrap();
    let of = |name: &str| operations.iter().find(|one| one.operation == name).unwrap();
    let sync = of("inventory.sync");
    assert!(sync.classified && sync.aliases.iter().any(|alias| alias == "inventory_sync"));
    assert_eq!((sync.counts.runs, sync.counts.follow_up_runs), (7, 7));
    assert_eq!(sync.counts.by_outcome.get(&Outcome::Failed), Some(&7));
    let recent: Vec<_> = sync
        .recent
        .iter()
        .map(|end| (end.run_id.0.as_u128(), end.environment.as_deref()))
        .collect();
    let (prod, test) = (Some("prod"), Some("test"));
    assert_eq!(
        recent,
        [(8, test), (6, test), (5, prod), (4, prod), (3, prod), (2, prod), (1, prod)]
    );
    assert!(sync.family.policy.contains("later success in the same environment"));
    let backup = of("backup.set.create");
    assert_eq!(backup.counts.by_status.get(&Status::Running), Some(&2));
    assert_eq!(backup.recent.len(), 8);
    assert_eq!(backup.recent[0].run_id, run(20));
    let unnamed = operations.last().unwrap();
    assert_eq!((unnamed.operation.as_str(), unnamed.classified), ("something.new", false));
    assert_eq!(unnamed.family.name, "unclassified");
    let of_test = view.operations(Some("test")).await.unwrap();
    let sync = of_test.iter().find(|one| one.operation == "inventory.sync").unwrap();
    assert_eq!((sync.counts.runs, sync.recent.len()), (2, 2));
    assert!(of_test.iter().all(|one| one.operation != "something.new"));
    let german = view.in_language(Language::De).operations(None).await.unwrap();
    let backup_in_german = german.iter().find(|one| one.operation == "backup.set.create").unwrap();
    assert_eq!(backup_in_german.family.title, "Sicherung");
    assert_ne!(backup_in_german.family.policy, backup.family.policy);
}
