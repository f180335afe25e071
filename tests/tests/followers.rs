//! Two servers over one PostgreSQL: a workspace's log is followed by one of them, and by the other
//! when that one dies.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, WorkspaceId};
use runledger_ledger::worker::{WorkerKey, WorkerReport};
use runledger_projections::Projections;
use runledger_tests::world::{dispatch, run, within};
use runledger_tests::{ledger_database, superuser_of};
use tokio::sync::watch;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(60);

struct Server {
    ledger: Ledger,
    projections: Projections,
}

impl Server {
    async fn start(url: &str, clock: &Clock) -> Server {
        let store = Store::open(&StoreUrl::Postgres(url.to_owned())).await.unwrap();
        let ledger = Ledger::new(store, clock.clone(), Entropy::system());
        let projections = Projections::new(ledger.clone()).unwrap();
        Server { ledger, projections }
    }

    fn follow(&self, stop: &watch::Receiver<bool>) -> tokio::task::JoinHandle<()> {
        let (projections, stop) = (self.projections.clone(), stop.clone());
        tokio::spawn(async move { projections.follow(stop).await })
    }

    /// Records a worker's report and returns its position.
    async fn report(&self, workspace: WorkspaceId) -> u64 {
        let key = WorkerKey { connection: None, worker: Name::new("w1").unwrap() };
        let seen = WorkerReport::Seen { lease_seconds: 60, queues: Default::default() };
        let report = Submission::new(Command::Worker(key, seen));
        match self.ledger.submit(workspace, vec![report], false).await.unwrap().remove(0) {
            Answer::Recorded(receipt) => receipt.position,
            other => panic!("{other:?}"),
        }
    }

    async fn folded(&self, workspace: WorkspaceId, position: u64) -> bool {
        self.projections.wait(workspace, position, LONG).await.unwrap()
    }

    async fn holder(&self, workspace: WorkspaceId) -> Option<Uuid> {
        sqlx::query_scalar("SELECT holder FROM leases WHERE name = $1")
            .bind(format!("projector/{workspace}"))
            .fetch_optional(&mut superuser_of(self.ledger.store().postgres().unwrap()).await)
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_servers_workspaces_are_followed_by_another_one() {
    let url = ledger_database().await;
    let clock = Clock::manual(Moment::from_micros(1_000_000));
    let (first, second) = (Server::start(&url, &clock).await, Server::start(&url, &clock).await);
    let name = Name::new("main").unwrap();
    let workspace = first.ledger.create_workspace(&name, &Catalog::built_in()).await.unwrap();
    let (_keep, stop) = watch::channel(false);

    // What the second server records, the first one folds: it alone follows.
    let dies = first.follow(&stop);
    let position = second.report(workspace).await;
    assert!(second.folded(workspace, position).await);
    let holder = first.holder(workspace).await;

    // It dies without giving anything back. Its lease is over three seconds later, by the clock that
    // both servers share, and then the second one follows.
    dies.abort();
    let follows = second.follow(&stop);
    let position = second.report(workspace).await;
    clock.advance(Span::from_secs(4));
    assert!(first.folded(workspace, position).await);
    let taken_over = second.holder(workspace).await;
    assert!(taken_over.is_some() && taken_over != holder, "{holder:?} {taken_over:?}");
    follows.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_followers_fold_each_event_once() {
    let url = ledger_database().await;
    let clock = Clock::manual(Moment::from_micros(1_000_000));
    let (first, second) = (Server::start(&url, &clock).await, Server::start(&url, &clock).await);
    let name = Name::new("main").unwrap();
    let workspace = first.ledger.create_workspace(&name, &Catalog::built_in()).await.unwrap();

    // Without leases, as if each took the other for dead: the checkpoint alone keeps them apart.
    let mut last = 0;
    for number in 1..=40 {
        let asked = vec![dispatch(run(number), "inventory.sync", within("prod"))];
        first.ledger.submit(workspace, asked, false).await.unwrap();
        last = first.report(workspace).await;
        let (one, two) = tokio::join!(
            first.projections.catch_up(workspace),
            second.projections.catch_up(workspace)
        );
        assert_eq!((one.unwrap(), two.unwrap()), (last + 1, last + 1));
    }
    // Counts are kept by difference: an event that was folded twice shows in them.
    let counted: i64 = sqlx::query_scalar(
        "SELECT CAST(sum(runs) AS bigint) FROM run_counts WHERE workspace_id = $1",
    )
    .bind(workspace.0)
    .fetch_one(&mut superuser_of(first.ledger.store().postgres().unwrap()).await)
    .await
    .unwrap();
    assert_eq!(counted, 40);
    let found = first.projections.verify(workspace, &|_| {}).await.unwrap();
    assert!(found.is_intact(), "{:#?}", found.differences);
    assert_eq!(second.projections.position(workspace).await.unwrap(), last + 1);
}
