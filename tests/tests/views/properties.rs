//! What holds of every story, whatever happens in it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Outcome, Status};
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::guidance::Severity;
use runledger_projections::rules::standing::Standing;
use runledger_projections::{
    AsOf, Counts, FollowUpFilter, FollowUpItem, PageRequest, Period, RunFilter, Sight, View,
};
use runledger_tests::world::{BEGIN, World};
use serde_json::Value;

use crate::story::{
    RUNS, Shape, Signal, Story, before, dispatched, minutes, run_id, shape, signal, signalled,
    story, story_of_queues,
};

/// Stories that each property is held against in memory, and on PostgreSQL.
const MANY: u32 = 60;
const FEW: u32 = 4;

/// Checks `property` against stories of `strategy`, each in a workspace of its own of one world.
fn hold<S: Strategy>(on_postgres: bool, strategy: &S, property: impl AsyncFn(&World, S::Value)) {
    hold_few(on_postgres, if on_postgres { FEW } else { MANY }, strategy, property);
}

/// The same against as many stories as are said.
pub(crate) fn hold_few<S: Strategy>(
    on_postgres: bool,
    cases: u32,
    strategy: &S,
    property: impl AsyncFn(&World, S::Value),
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let world = runtime.block_on(async {
        if on_postgres { World::postgres().await } else { World::sqlite().await }
    });
    let case = std::cell::Cell::new(0_u32);
    let told = TestRunner::new(config).run(strategy, |story| {
        case.set(case.get() + 1);
        runtime.block_on(async {
            let own = world.other_workspace(&format!("case-{}", case.get())).await;
            property(&own, story).await;
        });
        Ok(())
    });
    if let Err(error) = told {
        panic!("{error}");
    }
}

macro_rules! properties {
    ($($property:ident of $strategy:expr => $sqlite:ident, $postgres:ident;)+) => {
        $(
            #[test]
            fn $sqlite() {
                hold(false, &$strategy, $property);
            }

            #[test]
            fn $postgres() {
                hold(true, &$strategy, $property);
            }
        )+
    };
}

properties! {
    live_read_models_equal_derived_ones of story() =>
        live_read_models_equal_derived_ones_on_sqlite,
        live_read_models_equal_derived_ones_on_postgresql;
    every_count_equals_the_list_that_it_counts of story() =>
        every_count_equals_the_list_that_it_counts_on_sqlite,
        every_count_equals_the_list_that_it_counts_on_postgresql;
    nothing_in_one_workspace_changes_an_answer_in_another of (story(), story()) =>
        nothing_in_one_workspace_changes_an_answer_in_another_on_sqlite,
        nothing_in_one_workspace_changes_an_answer_in_another_on_postgresql;
    a_timeline_says_of_each_moment_what_was_answered_then of story() =>
        a_timeline_says_of_each_moment_what_was_answered_then_on_sqlite,
        a_timeline_says_of_each_moment_what_was_answered_then_on_postgresql;
    a_timeline_says_of_each_moment_what_was_answered_then of story_of_queues() =>
        the_queue_of_a_timeline_is_what_was_answered_then_on_sqlite,
        the_queue_of_a_timeline_is_what_was_answered_then_on_postgresql;
    the_order_of_arrival_makes_no_difference of arrivals() =>
        the_order_of_arrival_makes_no_difference_on_sqlite,
        the_order_of_arrival_makes_no_difference_on_postgresql;
}

/// Moments of a story that are asked about.
const MOMENTS: usize = 5;

async fn a_timeline_says_of_each_moment_what_was_answered_then(world: &World, story: Story) {
    story.happen(world).await;
    let view = world.view().await;
    let (size, now) = (view.position(), view.at());
    let (mut timelines, sight) = (Vec::new(), Sight::default());
    for number in 0..RUNS {
        let id = run_id(number);
        let told = world.projections.whole_timeline(world.workspace, id, (size, now), &sight);
        timelines.extend(told.await.unwrap());
    }
    let mut moments: Vec<Moment> = timelines
        .iter()
        .flat_map(|told| {
            let fresh = told.freshness.iter().map(|period| period.from);
            let queues = told.queue.iter().flat_map(|queue| &queue.verdicts);
            let others = told.actionability.iter().map(|period| period.from);
            fresh.chain(others).chain(queues.map(|period| period.from)).collect::<Vec<_>>()
        })
        .collect();
    moments.push(now);
    moments.sort_unstable();
    moments.dedup();
    let step = moments.len().div_ceil(MOMENTS);
    for moment in moments.into_iter().rev().step_by(step) {
        let then = world.view_of(AsOf::Moment(moment)).await;
        for told in &timelines {
            let standing = then.run(told.run_id).await.unwrap();
            let was = at(&told.freshness, moment).map(|was| was.freshness);
            assert_eq!(was, standing.as_ref().map(|one| one.now.freshness), "{moment} {told:#?}");
            let in_queue = told.queue.as_ref();
            assert!(in_queue.is_none_or(|queue| queue.truncated.is_empty()), "{told:#?}");
            let was = in_queue.and_then(|queue| at(&queue.verdicts, moment));
            let waited = standing.as_ref().filter(|one| one.recorded.status == Status::Queued);
            let answered = waited.and_then(|one| Some(one.now.queue?.verdict));
            assert_eq!(was.map(|was| was.verdict), answered, "{moment} {told:#?}");
            let standing = standing.map(|standing| standing.now);
            let was = at(&told.actionability, moment);
            let answered = standing.map(|now| (now.actionability, now.follow_up));
            let told_then = was.map(|was| (was.verdict.clone(), was.follow_up));
            assert_eq!(told_then, answered, "{moment} {told:#?}");
        }
    }
}

/// What was so at a moment.
fn at<T>(periods: &[Period<T>], moment: Moment) -> Option<&T> {
    let then = periods
        .iter()
        .filter(|period| period.from <= moment && period.until.is_none_or(|until| moment < until));
    then.map(|period| &period.was).last()
}

async fn live_read_models_equal_derived_ones(world: &World, story: Story) {
    story.happen(world).await;
    let found = world.projections.verify(world.workspace, &|_| {}).await.unwrap();
    let told: Vec<String> = found.differences.iter().map(ToString::to_string).collect();
    assert!(found.is_intact(), "{told:#?}");
}

async fn runs(view: &View, filter: RunFilter) -> Vec<Standing> {
    let page = view.runs(&filter, &PageRequest::first(500)).await.unwrap();
    assert_eq!((page.next, page.scanned_to), (None, None));
    page.items
}

async fn items(view: &View, filter: FollowUpFilter) -> Vec<FollowUpItem> {
    let page = view.follow_ups(&filter, &PageRequest::first(500)).await.unwrap();
    assert_eq!((page.next, page.scanned_to), (None, None));
    page.items
}

async fn every_count_equals_the_list_that_it_counts(world: &World, story: Story) {
    story.happen(world).await;
    let view = world.view().await;
    let whole = view.overview(None).await.unwrap();
    count(&view, None, &whole.counts).await;
    for one in view.environments().await.unwrap() {
        let name = one.environment.clone().unwrap_or_default();
        assert_eq!(view.overview(Some(&name)).await.unwrap().counts, one.counts);
        count(&view, Some(name), &one.counts).await;
    }
    let mut verdicts = BTreeMap::new();
    for queue in view.queues().await.unwrap() {
        *verdicts.entry(queue.truth.verdict).or_default() += 1;
        let named = RunFilter {
            queue: Some(queue.queue.clone()),
            connection: Some(queue.connection.clone().unwrap_or_default()),
            status: Some(Status::Queued),
            ..RunFilter::default()
        };
        assert_eq!(queue.truth.waiting, runs(&view, named).await.len() as u64);
    }
    assert_eq!(whole.queues, verdicts);
    for operation in view.operations(None).await.unwrap() {
        let of = RunFilter { operation: Some(operation.operation), ..RunFilter::default() };
        assert_eq!(operation.counts.runs, runs(&view, of.clone()).await.len() as u64);
        let of = RunFilter { follow_up: Some(true), ..of };
        assert_eq!(operation.counts.follow_up_runs, runs(&view, of).await.len() as u64);
    }
}

/// Every number of `counts` against the list of what it counts.
async fn count(view: &View, environment: Option<String>, counts: &Counts) {
    let any = || RunFilter { environment: environment.clone(), ..RunFilter::default() };
    let all = runs(view, any()).await;
    assert_eq!(counts.runs, all.len() as u64);
    let listed = async |filter: RunFilter| {
        let listed = runs(view, filter.clone()).await;
        // A list is what its filter says of all runs, and nothing else.
        let fits = |one: &&Standing| {
            filter.status.is_none_or(|status| one.recorded.status == status)
                && filter.outcome.is_none_or(|outcome| one.recorded.outcome == outcome)
                && filter.freshness.is_none_or(|freshness| one.now.freshness == freshness)
                && filter.actionability.is_none_or(|word| one.now.actionability.status == word)
                && filter.follow_up.is_none_or(|follow_up| one.now.follow_up == follow_up)
        };
        assert_eq!(listed, all.iter().filter(fits).cloned().collect::<Vec<_>>(), "{filter:?}");
        listed.len() as u64
    };
    for status in Status::ALL {
        let of = RunFilter { status: Some(*status), ..any() };
        assert_eq!(counts.by_status.get(status).copied().unwrap_or_default(), listed(of).await);
    }
    for outcome in Outcome::ALL {
        let of = RunFilter { outcome: Some(*outcome), ..any() };
        assert_eq!(counts.by_outcome.get(outcome).copied().unwrap_or_default(), listed(of).await);
    }
    for word in Actionability::ALL {
        let of = RunFilter { actionability: Some(*word), ..any() };
        let counted = counts.by_actionability.get(word).copied().unwrap_or_default();
        assert_eq!(counted, listed(of).await);
    }
    let mut fresh = BTreeMap::new();
    for freshness in Freshness::ALL {
        let of = RunFilter { freshness: Some(*freshness), ..any() };
        fresh.insert(*freshness, listed(of).await);
    }
    assert_eq!(
        counts.active_fresh,
        fresh[&Freshness::FreshQueued] + fresh[&Freshness::FreshRunning]
    );
    assert_eq!(
        counts.active_stale,
        fresh[&Freshness::StaleQueued] + fresh[&Freshness::StaleRunning]
    );
    assert_eq!(counts.active_unknown, fresh[&Freshness::Unknown]);
    let asking = listed(RunFilter { follow_up: Some(true), ..any() }).await;
    assert_eq!(counts.follow_up_runs, asking);

    let todo = items(
        view,
        FollowUpFilter { environment: environment.clone(), ..FollowUpFilter::default() },
    )
    .await;
    assert_eq!(counts.follow_up_items, todo.len() as u64);
    assert_eq!(todo.iter().map(|item| item.occurrences).sum::<u64>(), asking);
    for (kind, counted) in [
        (Actionability::Actionable, counts.actionable),
        (Actionability::RequiresManualReview, counts.manual_review),
    ] {
        let of_kind: Vec<_> = todo.iter().filter(|item| item.actionability == kind).collect();
        assert_eq!(counted.items, of_kind.len() as u64);
        assert_eq!(counted.oldest, of_kind.iter().map(|item| item.first_settled_at).min());
    }
    for item in todo {
        let runs = view.occurrences(item.key, &PageRequest::first(500)).await.unwrap().items;
        assert_eq!(runs.len() as u64, item.occurrences);
        assert_eq!(runs[..item.latest.len()], item.latest);
        assert_eq!(item.latest.len(), runs.len().min(FollowUpItem::LATEST));
        let settled: Vec<_> = runs.iter().map(|run| run.recorded.settled_at.unwrap()).collect();
        assert_eq!(settled.first(), Some(&item.last_settled_at));
        assert_eq!(settled.last(), Some(&item.first_settled_at));
        assert!(runs.iter().all(|run| run.now.follow_up));
        assert_eq!(runs[0].recorded.subject, item.subject);
    }
}

#[test]
fn no_stale_run_is_described_calmly_on_sqlite() {
    hold_of_stale_runs(false);
}

#[test]
fn no_stale_run_is_described_calmly_on_postgresql() {
    hold_of_stale_runs(true);
}

fn hold_of_stale_runs(on_postgres: bool) {
    /// A few stories may happen to have no stale run; so many times in a row they do not.
    const ROUNDS: u32 = 20;
    let stale = std::cell::Cell::new(0);
    for _ in 0..ROUNDS {
        hold(on_postgres, &story(), async |world, story| {
            stale.set(stale.get() + no_stale_run_is_described_calmly(world, story).await);
        });
        if stale.get() > 0 {
            break;
        }
    }
    assert!(stale.get() > 0, "no run of any story was ever stale");
}

/// Returns how many stale runs were looked at.
async fn no_stale_run_is_described_calmly(world: &World, story: Story) -> usize {
    let mut seen = 0;
    for step in &story.steps {
        story.tell(step, world).await;
        if !matches!(step, crate::story::Step::CatchUp) {
            continue;
        }
        for standing in runs(&world.view().await, RunFilter::default()).await {
            let stale = [Freshness::StaleQueued, Freshness::StaleRunning];
            if stale.contains(&standing.now.freshness) {
                seen += 1;
                let severity = standing.now.guidance.severity;
                let calm = [Severity::Calm, Severity::Notice].contains(&severity);
                assert!(!calm, "{standing:#?}");
                assert!(standing.now.progress.last_reported, "{standing:#?}");
            }
        }
    }
    seen
}

/// Everything that can be asked, as it is answered to programs.
async fn everything(world: &World) -> Vec<Value> {
    fn json(answer: impl serde::Serialize) -> Value {
        serde_json::to_value(answer).unwrap()
    }
    let view = world.view().await;
    let page = PageRequest::first(500);
    vec![
        json(view.runs(&RunFilter::default(), &page).await.unwrap()),
        json(view.follow_ups(&FollowUpFilter::default(), &page).await.unwrap()),
        json(view.overview(None).await.unwrap()),
        json(view.environments().await.unwrap()),
        json(view.operations(None).await.unwrap()),
        json(view.queues().await.unwrap()),
    ]
}

async fn nothing_in_one_workspace_changes_an_answer_in_another(
    world: &World,
    (story, other_story): (Story, Story),
) {
    let alone = World::sqlite().await;
    let shared = world.clone();
    // The same time passes in both worlds, counted from where each of them is.
    alone.clock.advance(shared.clock.now().since(BEGIN));
    let beside = shared.other_workspace(&format!("beside-{}", shared.workspace)).await;
    let mut others = other_story.steps.iter();
    for step in &story.steps {
        story.tell(step, &alone).await;
        story.tell(step, &shared).await;
        for other in others.by_ref().take(2) {
            // Time is the same for all.
            if !matches!(other, crate::story::Step::Wait(_)) {
                other_story.tell(other, &beside).await;
            }
        }
    }
    beside.projections.catch_up(beside.workspace).await.unwrap();
    assert_eq!(everything(&alone).await, everything(&shared).await);
}

/// Runs with at most one outcome each, and all that is said of them, in two orders.
#[derive(Clone, Debug)]
struct Arrivals {
    shapes: Vec<Shape>,
    said: [Vec<(u8, Said)>; 2],
}

/// What is said of a run, and in which minute.
#[derive(Clone, Debug)]
enum Said {
    Dispatch(i64),
    Signal(i64, Signal),
}

/// At most one start and one end a run. Only recorded words count, and whether a heartbeat is
/// recorded, or a start beside heartbeats, depends on what came before it: so heartbeats are of
/// runs with a true dispatch, and neither they nor a start beside them claim to be older than it.
fn arrivals() -> impl Strategy<Value = Arrivals> {
    let shapes = prop::collection::vec(shape(), usize::from(RUNS));
    let dispatches =
        prop::collection::vec(prop::option::weighted(0.7, 0..40_i64), usize::from(RUNS));
    let signals = prop::collection::vec((0..RUNS, 0..40_i64, signal()), 1..30);
    (shapes, dispatches, signals).prop_flat_map(|(shapes, dispatches, signals)| {
        let mut said: Vec<(u8, Said)> = Vec::new();
        for (run, minute) in (0..RUNS).zip(&dispatches) {
            said.extend(minute.map(|minute| (run, Said::Dispatch(minute))));
        }
        let (mut started, mut ended) = ([false; RUNS as usize], [false; RUNS as usize]);
        for (run, minute, signal) in signals {
            let place = usize::from(run);
            let not_before = minute.max(dispatches[place].unwrap_or_default());
            let kept = match signal {
                Signal::Started => {
                    (!std::mem::replace(&mut started[place], true)).then_some(not_before)
                }
                Signal::Heartbeat(_) => dispatches[place].map(|_| not_before),
                Signal::Ended(_) => (!std::mem::replace(&mut ended[place], true)).then_some(minute),
            };
            said.extend(kept.map(|minute| (run, Said::Signal(minute, signal))));
        }
        // No two runs at the same moment: of equals, the first in the log is named as a proof.
        for (run, said) in &mut said {
            let (Said::Dispatch(minute) | Said::Signal(minute, _)) = said;
            *minute = *minute * i64::from(RUNS) + i64::from(*run);
        }
        (Just(shapes), Just(said.clone()).prop_shuffle(), Just(said).prop_shuffle())
            .prop_map(|(shapes, one, other)| Arrivals { shapes, said: [one, other] })
    })
}

async fn the_order_of_arrival_makes_no_difference(world: &World, arrivals: Arrivals) {
    let mut told = Vec::new();
    for (place, said) in arrivals.said.iter().enumerate() {
        let own = world.other_workspace(&format!("{}-{place}", world.workspace)).await;
        let begin = before(own.clock.now(), 60 * i64::from(RUNS));
        for (number, said) in said {
            let (run, named) =
                (run_id(*number), arrivals.shapes[usize::from(*number)].named.clone());
            let submission = match said {
                Said::Dispatch(minute) => {
                    dispatched(run, named).occurred_at(begin.plus(minutes(*minute)))
                }
                Said::Signal(minute, signal) => {
                    signalled(run, named, signal).occurred_at(begin.plus(minutes(*minute)))
                }
            };
            own.submit(vec![submission]).await;
        }
        let view = own.view().await;
        let standings: BTreeMap<_, _> = runs(&view, RunFilter::default())
            .await
            .into_iter()
            .map(|one| {
                let Standing { recorded, now, .. } = one;
                let history = (
                    recorded.status,
                    recorded.outcome,
                    recorded.dispatched_at,
                    recorded.settled_at,
                );
                // What is said of an active run depends on what was heard of its queue, and when.
                let guidance = (recorded.status == Status::Completed).then_some(now.guidance);
                (one.run_id, (history, now.actionability, now.follow_up, guidance))
            })
            .collect();
        let todo: Vec<_> = items(&view, FollowUpFilter::default())
            .await
            .into_iter()
            .map(|item| (item.key, item.occurrences, item.first_settled_at, item.last_settled_at))
            .collect();
        told.push((standings, todo, view.overview(None).await.unwrap().counts));
    }
    for (run, standing) in &told[0].0 {
        assert_eq!(told[1].0.get(run), Some(standing), "{run}");
    }
    assert_eq!(told[0].0.len(), told[1].0.len());
    assert_eq!(told[0].1, told[1].1);
    assert_eq!(told[0].2.by_actionability, told[1].2.by_actionability);
}
