//! Lists of runs, queues, counts.

use runledger_ledger::run::Named;
use runledger_ledger::words::{Outcome, Status};
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::queue::{QueueReason, QueueVerdict};
use runledger_projections::{Counted, PageError, PageRequest, RunFilter, ViewError};
use runledger_tests::world::{
    World, dispatch, ended, name, run, started, subject, within, worker, worker_stopped,
};

on_both_databases! {
    each_filter_names_its_runs =>
        each_filter_names_its_runs_on_sqlite, each_filter_names_its_runs_on_postgresql;
    pages_lead_through_the_whole_list =>
        pages_lead_through_the_whole_list_on_sqlite, pages_lead_through_the_whole_list_on_postgresql;
    a_queue_tells_whether_it_moves =>
        a_queue_tells_whether_it_moves_on_sqlite, a_queue_tells_whether_it_moves_on_postgresql;
    the_overview_counts_what_the_lists_hold =>
        the_overview_counts_what_the_lists_hold_on_sqlite,
        the_overview_counts_what_the_lists_hold_on_postgresql;
}

fn in_queue(environment: &str, queue: &str) -> Named {
    Named { queue: Some(name(queue)), ..within(environment) }
}

/// Seven runs of different kinds, dispatched a minute apart.
async fn seven_runs(world: &World) {
    let connection = Named {
        subject: Some(subject("provider_connection/42")),
        fingerprint: Some(name("ABC_9")),
        ..in_queue("prod", "checks")
    };
    let own = Named { connection: Some(name("redis")), ..in_queue("test", "sync") };
    for (number, operation, named) in [
        (1, "provider.connection.check", connection.clone()),
        (2, "provider.connection.check", connection),
        (3, "inventory.sync", own),
        (4, "inventory.sync", within("prod")),
        (5, "restore.execute", within("prod")),
        (6, "something.new", Named::default()),
        (7, "inventory.sync", within("prod")),
    ] {
        world.record(dispatch(run(number), operation, named)).await;
        match number {
            1 | 5 => world.record(ended(run(number), Outcome::Failed)).await,
            2 | 4 => world.record(ended(run(number), Outcome::Succeeded)).await,
            7 => world.record(started(run(number))).await,
            _ => {}
        }
        world.wait(1);
    }
}

async fn listed(world: &World, filter: RunFilter) -> Vec<u128> {
    let page = world.view().await.runs(&filter, &PageRequest::default()).await.unwrap();
    assert_eq!(page.next, None, "{filter:?}");
    page.items.iter().map(|standing| standing.run_id.0.as_u128()).collect()
}

async fn each_filter_names_its_runs(world: World) {
    seven_runs(&world).await;
    let all = RunFilter::default;
    let text = |text: &str| RunFilter { text: Some(text.to_owned()), ..all() };
    let named = |text: &str| Some(text.to_owned());
    let begin = runledger_tests::world::BEGIN;
    let minute =
        |minute: i64| Some(begin.plus(runledger_ledger::time::Span::from_secs(minute * 60)));
    for (filter, expected) in [
        (all(), &[7, 6, 5, 4, 3, 2, 1][..]),
        (RunFilter { status: Some(Status::Queued), ..all() }, &[6, 3]),
        (RunFilter { status: Some(Status::Running), ..all() }, &[7]),
        (RunFilter { status: Some(Status::Completed), ..all() }, &[5, 4, 2, 1]),
        (RunFilter { outcome: Some(Outcome::Pending), ..all() }, &[7, 6, 3]),
        (RunFilter { outcome: Some(Outcome::Succeeded), ..all() }, &[4, 2]),
        (RunFilter { outcome: Some(Outcome::Failed), ..all() }, &[5, 1]),
        (RunFilter { freshness: Some(Freshness::Unknown), ..all() }, &[6]),
        (RunFilter { freshness: Some(Freshness::FreshQueued), ..all() }, &[3]),
        (RunFilter { freshness: Some(Freshness::FreshRunning), ..all() }, &[7]),
        (RunFilter { freshness: Some(Freshness::StaleQueued), ..all() }, &[]),
        (RunFilter { freshness: Some(Freshness::Terminal), ..all() }, &[5, 4, 2, 1]),
        (RunFilter { freshness: Some(Freshness::ReconciledTerminal), ..all() }, &[]),
        (RunFilter { overdue: Some(true), ..all() }, &[]),
        (RunFilter { overdue: Some(false), ..all() }, &[7, 3]),
        (RunFilter { follow_up: Some(true), ..all() }, &[5]),
        (RunFilter { follow_up: Some(false), ..all() }, &[7, 6, 4, 3, 2, 1]),
        (RunFilter { actionability: Some(Actionability::SupersededByLaterSuccess), ..all() }, &[1]),
        (RunFilter { actionability: Some(Actionability::NotTerminal), ..all() }, &[7, 6, 3]),
        (RunFilter { actionability: Some(Actionability::InformationalOnly), ..all() }, &[4, 2]),
        (RunFilter { operation: named("inventory_sync"), ..all() }, &[7, 4, 3]),
        (RunFilter { family: named("unclassified"), ..all() }, &[6]),
        (RunFilter { environment: named("prod"), ..all() }, &[7, 5, 4, 2, 1]),
        (RunFilter { environment: named(""), ..all() }, &[6]),
        (RunFilter { subject: Some(subject("provider_connection/42")), ..all() }, &[2, 1]),
        (RunFilter { queue: named("sync"), ..all() }, &[3]),
        (RunFilter { queue: named("sync"), connection: named("redis"), ..all() }, &[3]),
        (RunFilter { queue: named("sync"), connection: named(""), ..all() }, &[]),
        (text("abc_9"), &[2, 1]),
        (text("abc%9"), &[]),
        (text("PROVIDER_conn"), &[2, 1]),
        (text(&run(3).to_string()), &[3]),
        (text(&run(3).to_string()[30..]), &[3]),
        (text(&run(3).to_string()[24..]), &[3]),
        (text(&run(3).to_string()[19..]), &[3]),
        (text("f00000000003"), &[]),
        (RunFilter { environment: named("prod"), ..text(&run(3).to_string()[24..]) }, &[]),
        (RunFilter { since: minute(2), until: minute(4), ..all() }, &[4, 3]),
        (
            RunFilter {
                environment: named("prod"),
                operation: named("inventory.sync"),
                status: Some(Status::Running),
                ..all()
            },
            &[7],
        ),
    ] {
        assert_eq!(listed(&world, filter.clone()).await, expected, "{filter:?}");
        let counted = world.view().await.count_runs(&filter).await.unwrap();
        assert_eq!(counted, Counted::exactly(expected.len() as u64), "{filter:?}");
    }
    world.wait(60);
    assert_eq!(listed(&world, RunFilter { overdue: Some(true), ..all() }).await, [7, 3]);
    assert_eq!(listed(&world, RunFilter { overdue: Some(false), ..all() }).await, []);
    // An overview begins with the one that has been overdue for longest.
    let view = world.view().await;
    let counts = view.overview(None).await.unwrap().counts;
    let stale = async |environment, most| {
        let front = view.front(environment, &counts, 1, most).await.unwrap();
        front.stale.iter().map(|run| run.run_id.0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!((stale(None, 5).await, stale(None, 1).await), (vec![3, 7], vec![3]));
    assert_eq!(stale(Some("prod"), 5).await, [7]);
    let stale = RunFilter { freshness: Some(Freshness::StaleRunning), ..all() };
    assert_eq!(listed(&world, stale).await, [7]);
    let stale = RunFilter { freshness: Some(Freshness::StaleQueued), ..all() };
    assert_eq!(listed(&world, stale).await, [3]);
}

async fn pages_lead_through_the_whole_list(world: World) {
    seven_runs(&world).await;
    let view = world.view().await;
    let filter = RunFilter { environment: Some("prod".to_owned()), ..RunFilter::default() };
    let mut request = PageRequest::first(2);
    let mut seen = Vec::new();
    loop {
        let page = view.runs(&filter, &request).await.unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items.iter().map(|standing| standing.run_id.0.as_u128()));
        let Some(next) = page.next else { break };
        request = request.at(next);
    }
    assert_eq!(seen, [7, 5, 4, 2, 1]);
    let other = view.runs(&RunFilter::default(), &request).await;
    assert!(matches!(other, Err(ViewError::Page(PageError::OtherList))), "{other:?}");
    let empty = view.runs(&filter, &PageRequest::first(0)).await;
    assert!(matches!(empty, Err(ViewError::Page(PageError::Limit { asked: 0 }))), "{empty:?}");
    let wanted = [run(3), run(99), run(1), run(3)];
    let standings = view.standings(&wanted).await.unwrap();
    let found: Vec<_> = standings.iter().map(|standing| standing.run_id).collect();
    assert_eq!(found, [run(3), run(1)]);
    assert_eq!(view.run(run(99)).await.unwrap(), None);
}

async fn a_queue_tells_whether_it_moves(world: World) {
    let verdict = async |queue: &str| {
        let queue = world.view().await.queue(None, queue).await.unwrap();
        (queue.truth.verdict, queue.reason, queue.truth.waiting)
    };
    assert_eq!(verdict("sync").await, (QueueVerdict::Empty, QueueReason::NothingWaits, 0));
    world.record(dispatch(run(1), "inventory.sync", in_queue("prod", "sync"))).await;
    world.record(dispatch(run(2), "inventory.sync", in_queue("test", "sync"))).await;
    assert_eq!(verdict("sync").await, (QueueVerdict::Unknown, QueueReason::NothingKnown, 2));
    world.record(worker("w1", &["sync", "other"])).await;
    assert_eq!(verdict("sync").await, (QueueVerdict::Moving, QueueReason::LiveWorker, 2));
    let names = |queues: Vec<runledger_projections::QueueStanding>| {
        queues.into_iter().map(|queue| queue.queue).collect::<Vec<_>>()
    };
    assert_eq!(names(world.view().await.queues().await.unwrap()), ["other", "sync"]);
    world.wait(5);
    assert_eq!(verdict("sync").await, (QueueVerdict::NoWorker, QueueReason::NoLiveWorker, 2));
    world.record(worker("w1", &["sync"])).await;
    world.record(started(run(1))).await;
    world.record(worker_stopped("w1")).await;
    assert_eq!(verdict("sync").await, (QueueVerdict::NoWorker, QueueReason::NoLiveWorker, 1));
    world.wait(6);
    world.record(worker("w2", &["sync"])).await;
    let missed = (QueueVerdict::Stalled, QueueReason::NoStartSinceDeadline, 1);
    assert_eq!(verdict("sync").await, missed);
    world.record(dispatch(run(3), "inventory.sync", in_queue("prod", "sync"))).await;
    world.record(started(run(3))).await;
    assert_eq!(verdict("sync").await, (QueueVerdict::Slow, QueueReason::PastDeadline, 1));
    let queue = world.view().await.queue(None, "sync").await.unwrap();
    let span = |minutes: i64| runledger_ledger::time::Span::from_secs(minutes * 60);
    assert_eq!(queue.oldest_wait, Some(span(11)));
    assert_eq!((queue.truth.wait_p50, queue.truth.wait_p95), (Some(span(0)), Some(span(5))));
    let standing = world.view().await.run(run(2)).await.unwrap().unwrap();
    assert_eq!(standing.now.queue, Some(queue.truth));
}

async fn the_overview_counts_what_the_lists_hold(world: World) {
    seven_runs(&world).await;
    world.wait(12);
    let view = world.view().await;
    let overview = view.overview(None).await.unwrap();
    let counts = &overview.counts;
    assert_eq!((counts.runs, counts.waiting), (7, 2));
    assert_eq!(
        (counts.active_fresh, counts.active_stale, counts.active_unknown),
        (1, 1, 1),
        "{counts:?}"
    );
    assert_eq!((counts.follow_up_runs, counts.follow_up_items), (1, 1));
    assert_eq!((counts.manual_review.runs, counts.actionable.runs), (1, 0));
    assert_eq!(counts.resolved_without_a_person, 1);
    let restore = view.run(run(5)).await.unwrap().unwrap();
    assert_eq!(counts.manual_review.oldest, restore.recorded.settled_at);
    assert_eq!(overview.queues.get(&QueueVerdict::Stalled), Some(&1));
    assert_eq!(overview.queues.get(&QueueVerdict::Empty), Some(&1));
    assert_eq!((overview.health.events, overview.health.lag), (Some(view.position()), Some(0)));
    let environments = view.environments().await.unwrap();
    let names: Vec<_> = environments.iter().map(|one| one.environment.as_deref()).collect();
    assert_eq!(names, [None, Some("prod"), Some("test")]);
    for one in &environments {
        let environment = one.environment.as_deref().unwrap_or_default();
        let overview = view.overview(Some(environment)).await.unwrap();
        assert_eq!(overview.counts, one.counts);
        let filter =
            RunFilter { environment: Some(environment.to_owned()), ..RunFilter::default() };
        let listed = view.runs(&filter, &PageRequest::default()).await.unwrap();
        assert_eq!(listed.items.len() as u64, one.counts.runs);
    }
}
