//! What adapters prove of the runs that are theirs.

use rstest::rstest;
use runledger_adapters::adapter::SourceClass;
use runledger_ledger::run::{AdapterDecision, Report};
use runledger_ledger::time::Span;
use runledger_ledger::words::{Name, Outcome, RunId, Status};
use runledger_projections::AdapterHealth;
use runledger_projections::rules::actionability::Actionability;
use runledger_tests::book::{ADAPTER, Book, OPERATION};

use crate::world::{World, alone, database, started};

/// A run of the family waits ten minutes.
const STALE: Span = Span::from_secs(600);
/// What comes a little later than the adapter's revisit of five minutes.
const REVISIT: Span = Span::from_secs(301);

fn minutes(minutes: i64) -> Span {
    Span::from_secs(minutes * 60)
}

fn failed() -> Report {
    Report::Failed {
        message: None,
        outcome: Outcome::Failed,
        reason_code: Name::new("duplicate").unwrap(),
        retryable: None,
    }
}

/// A server whose adapter reads a book.
async fn reading(kind: &str) -> (World, Book) {
    let book = Book::default();
    let world = World::new(database(kind).await, book.registry().unwrap()).await;
    (world, book)
}

async fn health(world: &World) -> AdapterHealth {
    let now = world.clock.now();
    let mut all = world.projections.adapter_health(world.workspace, now).await.unwrap();
    all.remove(ADAPTER).unwrap_or_default()
}

#[rstest]
#[tokio::test]
async fn a_run_is_judged_when_it_becomes_stale_and_its_proof_is_recorded_once(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (world, book) = reading(kind).await;
    let run = world.dispatched(OPERATION).await;
    world.look().await;
    book.done(run, "77");
    world.go_to(STALE.minus(Span::from_micros(1))).await;
    world.look().await;
    assert_eq!((book.gathered(), world.recorded(run).await.status), (0, Status::Queued));

    world.go_to(STALE).await;
    world.look().await;
    let standing = world.standing(run).await;
    assert_eq!(standing.recorded.outcome, Outcome::Succeeded);
    let decision = standing.recorded.reconciliation.unwrap();
    let related = decision.related.unwrap();
    assert_eq!(
        (related.to_string().as_str(), decision.previous.status),
        ("sync/77", Status::Queued)
    );
    assert_eq!(standing.recorded.related, Some(related));
    assert_eq!(decision.evaluated_at, world.clock.now());

    for later in [700, 5_000, 500_000] {
        world.go_to(Span::from_secs(later)).await;
        world.look().await;
    }
    assert_eq!((book.decided(), world.count("run.reconciled").await), (1, 1));
}

#[rstest]
#[tokio::test]
async fn an_event_that_its_adapter_handles_wakes_a_run_at_once(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (world, book) = reading(kind).await;
    let (lost, calm) = (world.dispatched(OPERATION).await, world.dispatched(OPERATION).await);
    book.done(lost, "77");
    world.report(lost, failed()).await;
    world.report(calm, started()).await;
    world.look().await;
    let standing = world.standing(lost).await;
    assert_eq!(standing.recorded.outcome, Outcome::Failed, "history is not rewritten");
    let verdict = standing.now.actionability;
    assert_eq!(verdict.status, Actionability::ResolvedByCurrentState);
    assert_eq!(book.decided(), 1, "nobody asked about the other one");
}

#[rstest]
#[tokio::test]
async fn the_work_that_is_there_only_later_is_found_then(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (world, book) = reading(kind).await;
    let run = world.dispatched(OPERATION).await;
    world.report(run, failed()).await;
    world.look().await;
    assert_eq!((book.decided(), world.count("run.reconciled").await), (1, 0));
    book.done(run, "77");
    world.go_to(REVISIT).await;
    world.look().await;
    assert_eq!((book.decided(), world.count("run.reconciled").await), (2, 1));
}

#[rstest]
#[tokio::test]
async fn without_its_wakes_the_decision_still_comes(#[values("sqlite", "postgresql")] kind: &str) {
    let (world, book) = reading(kind).await;
    let run = world.dispatched(OPERATION).await;
    book.done(run, "77");
    world.look().await;
    assert_eq!(world.lose_all_wakes().await, 1);
    world.go_to(STALE).await;
    world.look().await;
    let recorded = world.recorded(run).await;
    assert_eq!(recorded.outcome, Outcome::Succeeded);
}

#[rstest]
#[tokio::test]
async fn what_happened_before_the_adapter_came_is_looked_through(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (url, _directory) = database(kind).await;
    let before = World::new((url.clone(), None), alone()).await;
    let run = before.dispatched(OPERATION).await;
    before.report(run, failed()).await;
    before.look().await;
    let book = Book::default();
    book.done(run, "77");
    let registry = book.registry().unwrap();
    let entropy = runledger_ledger::clock::Entropy::seeded(9);
    let now = runledger::reconciler::Reconciler::new(before.projections.clone(), registry, entropy);
    now.look().await.unwrap();
    assert!(before.recorded(run).await.proof.is_some());
}

#[rstest]
#[tokio::test]
async fn a_broken_source_decides_nothing_is_seen_and_is_asked_less_and_less_often(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (world, book) = reading(kind).await;
    let run = world.dispatched(OPERATION).await;
    book.done(run, "77");
    book.break_as(Some(SourceClass::Unavailable));
    world.look().await;
    let before = world.events().await;
    for second in 0..3_600 {
        if second % 5 == 0 {
            world.go_to(STALE.plus(Span::from_secs(second))).await;
            world.look().await;
        }
    }
    let asked = book.gathered();
    assert!((8..25).contains(&asked), "asked {asked} times in an hour");
    assert_eq!((book.decided(), world.events().await), (0, before));
    let broken = health(&world).await;
    assert_eq!(broken.last_error.unwrap().0, "unavailable");
    assert_eq!((broken.failures, broken.backlog), (asked as u64, 1));
    assert_eq!(broken.last_success, None);

    book.break_as(None);
    world.go_to(STALE.plus(Span::from_secs(3_600 + 600))).await;
    world.look().await;
    assert_eq!(world.recorded(run).await.outcome, Outcome::Succeeded);
    let healed = health(&world).await;
    assert_eq!((healed.failures, healed.backlog), (0, 0));
    assert_eq!(healed.last_success, Some(world.clock.now()));
}

#[rstest]
#[tokio::test]
async fn a_run_whose_source_is_broken_is_given_up_all_the_same(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (world, book) = reading(kind).await;
    let run = world.dispatched(OPERATION).await;
    world.look().await;
    book.break_as(Some(SourceClass::Refused));
    world.go_to(STALE.plus(minutes(24 * 60))).await;
    world.look().await;
    let given_up = world.recorded(run).await;
    assert_eq!(given_up.outcome, Outcome::Unknown);
    assert_eq!(given_up.reconciliation.unwrap().adapter.as_str(), "lifecycle");

    // When the source is there again, the proof still counts.
    book.break_as(None);
    book.done(run, "77");
    world.go_to(STALE.plus(minutes(25 * 60))).await;
    world.look().await;
    let proven = world.recorded(run).await;
    assert_eq!((proven.outcome, proven.proof.is_some()), (Outcome::Unknown, true));
}

#[rstest]
#[tokio::test]
async fn a_run_that_needs_attention_is_looked_at_again_and_said_so_once(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (world, book) = reading(kind).await;
    let run = world.dispatched(OPERATION).await;
    for look in 0..4 {
        world.go_to(STALE.plus(Span::from_secs(look * 301))).await;
        world.look().await;
    }
    assert_eq!((book.decided(), world.count("run.reconciled").await), (4, 1));
    let recorded = world.recorded(run).await;
    let word = recorded.reconciliation.unwrap();
    assert_eq!((recorded.status, word.decision), (Status::Queued, AdapterDecision::NeedsAttention));
    book.done(run, "77");
    world.go_to(STALE.plus(Span::from_secs(4 * 301))).await;
    world.look().await;
    assert_eq!(world.recorded(run).await.outcome, Outcome::Succeeded);
}

#[rstest]
#[tokio::test]
async fn what_is_seen_beside_a_decision_is_recorded_once(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (world, book) = reading(kind).await;
    let run = world.dispatched(OPERATION).await;
    world.report(run, failed()).await;
    world.go_to(minutes(3)).await;
    let seen = world.clock.now();
    book.healthy(run, seen);
    for look in 0..3 {
        world.go_to(minutes(3 + 11 * look)).await;
        world.look().await;
    }
    assert!(book.decided() > 1);
    assert_eq!(world.count("subject.observed").await, 1);
    book.healthy(run, seen.plus(minutes(1)));
    world.go_to(minutes(300)).await;
    world.look().await;
    assert_eq!(world.count("subject.observed").await, 2);
}

#[rstest]
#[tokio::test]
async fn a_run_that_moves_while_it_is_judged_is_judged_again(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (world, book) = reading(kind).await;
    let run = world.dispatched(OPERATION).await;
    book.done(run, "77");
    world.look().await;
    world.go_to(STALE).await;
    book.hang_after(Some(0));
    let reconciler = world.reconciler.clone();
    let look = tokio::spawn(async move { reconciler.look().await });
    book.hangs().await;
    world.report(run, started()).await;
    book.hang_after(None);
    look.await.unwrap().unwrap();
    let recorded = world.recorded(run).await;
    assert_eq!(recorded.outcome, Outcome::Succeeded);
    assert_eq!(recorded.reconciliation.unwrap().previous.status, Status::Running);
    assert_eq!((book.decided(), world.count("run.reconciled").await), (2, 1));
}

#[rstest]
#[tokio::test]
async fn a_page_of_runs_is_one_question(#[values("sqlite", "postgresql")] kind: &str) {
    let (world, book) = reading(kind).await;
    let runs: Vec<RunId> = world.many(OPERATION, 1_200).await;
    for (place, run) in runs.iter().enumerate() {
        book.done(*run, &place.to_string());
    }
    world.look().await;
    world.go_to(STALE).await;
    world.look().await;
    assert_eq!((book.gathered(), book.decided()), (3, 1_200));
    assert_eq!(world.count("run.reconciled").await, 1_200);
}
