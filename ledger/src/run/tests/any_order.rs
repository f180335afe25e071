//! Signals may come in any order: what is true in the end does not depend on it.

use proptest::prelude::*;

use super::*;

/// What the same run is told, each report with the time that it claims.
type Reports = Vec<(i64, RunCommand)>;

/// Later than every claimed time: a claim from the future counts as its arrival, and would differ
/// with it.
const ARRIVAL: i64 = 10_000;

fn any_end() -> impl Strategy<Value = Option<Outcome>> {
    prop::option::of(prop::sample::select(vec![
        Outcome::Succeeded,
        Outcome::PartiallySucceeded,
        Outcome::Blocked,
        Outcome::Failed,
        Outcome::Cancelled,
        Outcome::Unknown,
    ]))
}

/// One true dispatch and at most one outcome, each told up to three times, and signals that name
/// no other run. The end may claim to be older than the dispatch. Heartbeats may not, nor may a
/// start beside heartbeats: whether these are recorded depends on what came before them (a
/// heartbeat may be coalesced, a start may have been inferred), and only recorded signals count.
fn uncontradicted() -> impl Strategy<Value = Reports> {
    let time = 1_000..2_000_i64;
    let beats = prop::collection::vec((2_000..3_000_i64, prop::option::of(0..3_u64)), 0..4);
    let dispatch_at = time.clone();
    let start = prop::option::of((time.clone(), 1..3_usize));
    let end = any_end().prop_flat_map(move |end| (Just(end), time.clone(), 1..3_usize));
    let names = prop::sample::select(vec![
        "operation=inventory.sync",
        "operation=inventory_sync environment=prod",
        "operation=inventory.sync environment=prod subject=tenant/1 fingerprint=f1 queue=q",
    ]);
    (dispatch_at, 1..3_usize, start, beats, end, names).prop_map(
        |(at, dispatches, start, beats, (end, ended_at, ends_told), names)| {
            let full = "operation=inventory.sync environment=prod subject=tenant/1 fingerprint=f1";
            let mut reports = vec![(at, dispatch(full)); dispatches];
            if let Some((started_at, times)) = start {
                let started_at = if beats.is_empty() { started_at } else { started_at.max(at) };
                reports.extend(vec![(started_at, signal(names, started())); times]);
            }
            for (at, done) in beats {
                reports.push((at, signal(names, done.map_or_else(beat, progress))));
            }
            if let Some(outcome) = end {
                reports.extend(vec![(ended_at, signal(names, ends(outcome))); ends_told]);
            }
            reports
        },
    )
}

fn tell(reports: &Reports) -> Run {
    let mut story = Story::new();
    for (place, (occurred, command)) in (0..).zip(reports) {
        let said = story.when_at(ARRIVAL + 60 * place, *occurred, command.clone());
        assert!(
            said.starts_with("run.") || said == "duplicate" || said == "coalesced",
            "{command:?}: {said}"
        );
    }
    story.run
}

proptest! {
    #[test]
    fn the_truth_of_a_run_does_not_depend_on_the_order_of_arrival(
        (told, shuffled) in uncontradicted()
            .prop_flat_map(|reports| (Just(reports.clone()), Just(reports).prop_shuffle()))
    ) {
        let (one, other) = (tell(&told), tell(&shuffled));
        prop_assert_eq!((one.status, one.outcome), (other.status, other.outcome));
        prop_assert_eq!(one.dispatched_at, other.dispatched_at);
        prop_assert_eq!(one.settled_at, other.settled_at);
        prop_assert_eq!(&one.operation, &other.operation);
        prop_assert_eq!(
            (&one.environment, &one.subject, &one.fingerprint),
            (&other.environment, &other.subject, &other.fingerprint)
        );
        prop_assert!(!one.is_contradicted() && !other.is_contradicted());
        prop_assert!(!one.inferred && !other.inferred);
    }

    #[test]
    fn the_state_of_a_run_is_the_fold_of_its_facts(reports in uncontradicted()) {
        // What a lane keeps in memory and what it loads from the log are the same.
        let mut live = Story::new();
        let mut facts = Vec::new();
        for (place, (occurred, command)) in (0..).zip(&reports) {
            let context = RunContext {
                catalog: &live.catalog,
                holder: None,
                occurred_at: secs(*occurred),
                recorded_at: secs(ARRIVAL + place),
                run_id: RunId(uuid::Uuid::from_u128(1)),
                strict: false,
            };
            if let Decision::Record(new) = live.run.decide(command, &context).unwrap() {
                for fact in new {
                    live.run.apply(&fact);
                    facts.push(serde_json::to_string(&fact).unwrap());
                }
            }
        }
        let mut loaded = Run::default();
        for fact in &facts {
            loaded.apply(&serde_json::from_str(fact).unwrap());
        }
        prop_assert_eq!(loaded, live.run);
    }
}
