//! `CqrsFramework` over the ledger.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use cqrs_es::{AggregateError, CqrsFramework, DomainEvent, EventEnvelope, EventStore, Query};
use runledger_ledger::cqrs::{RunError, RunRequest, RunServices, RunStore};
use runledger_ledger::run::{Report, Run, RunRefusal};
use runledger_ledger::submission::{Answer, Command, Refusal, Submission};
use runledger_ledger::time::Span;
use runledger_ledger::words::{RunId, UniqueMode};

use crate::audit::{audit, rows};
use crate::bed::{Bed, NOON, on_every_store, words};
use crate::reports::{
    dispatch, failed, not_canonical, opening, progress, started, succeeded, too_large, unique,
};

on_every_store!(
    what_the_framework_records_is_an_ordinary_part_of_the_log,
    the_framework_and_the_ledger_write_one_stream,
    events_are_stamped_where_they_are_recorded,
    a_second_writer_of_the_same_sequence_gets_a_conflict,
    what_the_ledger_wrote_meanwhile_is_a_conflict_too,
    writers_that_load_again_after_a_conflict_all_get_through,
    a_refusal_is_an_error_of_the_user,
    a_key_that_another_run_holds_is_refused,
    queries_are_given_what_was_recorded,
    metadata_is_kept_where_an_event_has_a_place_for_it,
    the_view_shows_the_same_streams,
);

fn store(bed: &Bed) -> RunStore {
    RunStore::new(bed.ledger.clone(), bed.workspace)
}

async fn framework(bed: &Bed) -> CqrsFramework<Run, RunStore> {
    let services = RunServices::of(&bed.ledger, bed.workspace).await.unwrap();
    CqrsFramework::new(store(bed), Vec::new(), services)
}

/// The same report for the framework.
fn request(submission: Submission) -> (String, RunRequest) {
    let Command::Run(run, command) = submission.command else { unreachable!() };
    (run.to_string(), RunRequest::new(run, command))
}

async fn execute(
    framework: &CqrsFramework<Run, RunStore>,
    submission: Submission,
) -> Result<(), AggregateError<RunError>> {
    let (id, request) = request(submission);
    framework.execute(&id, request).await
}

fn types(events: &[EventEnvelope<Run>]) -> Vec<String> {
    events.iter().map(|event| event.payload.event_type()).collect()
}

async fn what_the_framework_records_is_an_ordinary_part_of_the_log(bed: Bed) {
    let (framework, run) = (framework(&bed).await, bed.new_run());
    let beat = Report::Heartbeat { progress: None };
    for report in [opening(run, beat), dispatch(run), failed(run), failed(run), succeeded(run)] {
        execute(&framework, report).await.unwrap();
    }
    let events = store(&bed).load_events(&run.to_string()).await.unwrap();
    assert_eq!(
        types(&events),
        [
            "run.dispatched",
            "run.started",
            "run.heartbeat",
            "run.dispatched",
            "run.failed",
            "run.late_signal"
        ]
    );
    let sequences: Vec<usize> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6]);
    let rows = audit(bed.store(), bed.workspace).await;
    for (row, event) in rows[2..].iter().zip(&events) {
        assert_eq!(event.metadata["position"], row.position.to_string());
        assert_eq!(event.metadata["recorded_at"], row.recorded_at.to_string());
        assert_eq!(event.metadata["leaf_hash"], hex::encode(&row.leaf_hash));
    }
}

async fn the_framework_and_the_ledger_write_one_stream(bed: Bed) {
    let (framework, run) = (framework(&bed).await, bed.new_run());
    bed.record(dispatch(run)).await;
    execute(&framework, started(run)).await.unwrap();
    bed.record(progress(run, 1)).await;
    execute(&framework, failed(run)).await.unwrap();
    assert_eq!(words(&[bed.tell(failed(run)).await]), ["duplicate"]);
    let mut loaded = store(&bed).load_aggregate(&run.to_string()).await.unwrap();
    let run = cqrs_es::AggregateContext::aggregate(&mut loaded);
    assert_eq!((run.events, run.outcome.as_str()), (4, "failed"));
    audit(bed.store(), bed.workspace).await;
}

async fn events_are_stamped_where_they_are_recorded(bed: Bed) {
    let (framework, run) = (framework(&bed).await, bed.new_run());
    bed.clock.advance(Span::from_secs(10));
    bed.record(dispatch(bed.new_run())).await;
    // The decider's clock has stepped back; the log's has not.
    bed.clock.set(NOON);
    execute(&framework, dispatch(run)).await.unwrap();
    let events = store(&bed).load_events(&run.to_string()).await.unwrap();
    assert_eq!(events[0].payload.occurred_at, NOON);
    assert_eq!(events[0].payload.recorded_at, NOON.plus(Span::from_secs(10)));
    audit(bed.store(), bed.workspace).await;
}

/// Loads a run and decides on `submission`, without committing yet.
async fn decided(
    bed: &Bed,
    submission: Submission,
) -> (Vec<<Run as cqrs_es::Aggregate>::Event>, <RunStore as EventStore<Run>>::AC) {
    let (id, request) = request(submission);
    let services = RunServices::of(&bed.ledger, bed.workspace).await.unwrap();
    let mut context = store(bed).load_aggregate(&id).await.unwrap();
    let sink = cqrs_es::event_sink::EventSink::default();
    let run = cqrs_es::AggregateContext::aggregate(&mut context);
    cqrs_es::Aggregate::handle(run, request, &services, &sink).await.unwrap();
    (sink.collect().await, context)
}

async fn a_second_writer_of_the_same_sequence_gets_a_conflict(bed: Bed) {
    let run = bed.new_run();
    for report in [dispatch, started, failed] {
        let first = decided(&bed, report(run)).await;
        let second = decided(&bed, report(run)).await;
        store(&bed).commit(first.0, first.1, HashMap::new()).await.unwrap();
        let error = store(&bed).commit(second.0, second.1, HashMap::new()).await.unwrap_err();
        assert!(matches!(error, AggregateError::AggregateConflict), "{error}");
    }
    assert_eq!(audit(bed.store(), bed.workspace).await.len(), 5);
}

async fn what_the_ledger_wrote_meanwhile_is_a_conflict_too(bed: Bed) {
    let run = bed.new_run();
    bed.record(dispatch(run)).await;
    let late = decided(&bed, failed(run)).await;
    bed.record(started(run)).await;
    let error = store(&bed).commit(late.0, late.1, HashMap::new()).await.unwrap_err();
    assert!(matches!(error, AggregateError::AggregateConflict), "{error}");
    audit(bed.store(), bed.workspace).await;
}

async fn writers_that_load_again_after_a_conflict_all_get_through(bed: Bed) {
    let run = bed.new_run();
    bed.submit(vec![dispatch(run), started(run)]).await;
    let writers = (0..16).map(|number| {
        let bed = &bed;
        async move {
            let framework = framework(bed).await;
            loop {
                match execute(&framework, progress(run, 100 + number)).await {
                    Err(AggregateError::AggregateConflict) => {}
                    done => return done.unwrap(),
                }
            }
        }
    });
    futures::future::join_all(writers).await;
    assert_eq!(audit(bed.store(), bed.workspace).await.len(), 4 + 16);
}

async fn a_refusal_is_an_error_of_the_user(bed: Bed) {
    let (framework, run) = (framework(&bed).await, bed.new_run());
    let error = execute(&framework, started(run)).await.unwrap_err();
    let AggregateError::UserError(RunError::Refused(refusal)) = error else { panic!("{error}") };
    assert_eq!(refusal, Refusal::Run(RunRefusal::UnknownRun(run)));
    let error = execute(&framework, too_large(run)).await.unwrap_err();
    let AggregateError::UserError(RunError::Refused(refusal)) = error else { panic!("{error}") };
    assert_eq!(refusal.code(), "event_too_large");
    bed.record(dispatch(run)).await;
    let error = execute(&framework, not_canonical(run)).await.unwrap_err();
    let AggregateError::UserError(RunError::Refused(refusal)) = error else { panic!("{error}") };
    assert_eq!(refusal.code(), "not_canonical");
    // An aggregate id that is no run, and a command for another one.
    let (id, request) = request(dispatch(bed.new_run()));
    for wrong in ["no-uuid".to_owned(), RunId(uuid::Uuid::nil()).to_string()] {
        let error = framework.execute(&wrong, request.clone()).await.unwrap_err();
        assert!(matches!(error, AggregateError::UnexpectedError(_)), "{error}");
    }
    framework.execute(&id, request).await.unwrap();
    assert_eq!(audit(bed.store(), bed.workspace).await.len(), 4);
}

async fn a_key_that_another_run_holds_is_refused(bed: Bed) {
    let (framework, first, second) = (framework(&bed).await, bed.new_run(), bed.new_run());
    execute(&framework, unique(first, UniqueMode::Subject, "x")).await.unwrap();
    let held = bed.tell(unique(second, UniqueMode::Subject, "x")).await;
    assert_eq!(held, Answer::Existing(first));
    let error = execute(&framework, unique(second, UniqueMode::Subject, "x")).await.unwrap_err();
    let AggregateError::UserError(error) = error else { panic!("{error}") };
    assert_eq!(error, RunError::Existing(first));
    execute(&framework, succeeded(first)).await.unwrap();
    execute(&framework, unique(second, UniqueMode::Subject, "x")).await.unwrap();
    audit(bed.store(), bed.workspace).await;
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(String, usize, String)>>>);

#[async_trait::async_trait]
impl Query<Run> for Seen {
    async fn dispatch(&self, id: &str, events: &[EventEnvelope<Run>]) {
        let mut seen = self.0.lock().unwrap();
        for event in events {
            seen.push((id.to_owned(), event.sequence, event.metadata["position"].clone()));
        }
    }
}

async fn queries_are_given_what_was_recorded(bed: Bed) {
    let seen = Seen::default();
    let framework = framework(&bed).await.append_query(Box::new(seen.clone()));
    let run = bed.new_run();
    for report in [dispatch(run), dispatch(run), progress(run, 1)] {
        execute(&framework, report).await.unwrap();
    }
    let id = || run.to_string();
    let expected = [(id(), 1, "2".into()), (id(), 2, "3".into()), (id(), 3, "4".into())];
    assert_eq!(*seen.0.lock().unwrap(), expected);
}

async fn metadata_is_kept_where_an_event_has_a_place_for_it(bed: Bed) {
    let framework = framework(&bed).await;
    let metadata = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    };
    let (id, request) = request(dispatch(bed.new_run()));
    for lost in [&[("trace", "1")][..], &[("actor_id", "ops")], &[("source", "")]] {
        let result = framework.execute_with_metadata(&id, request.clone(), metadata(lost)).await;
        assert!(matches!(result, Err(AggregateError::UnexpectedError(_))), "{lost:?}: {result:?}");
    }
    let kept = metadata(&[("source", "worker"), ("actor_id", "ops"), ("actor_kind", "user")]);
    framework.execute_with_metadata(&id, request, kept).await.unwrap();
    let row = audit(bed.store(), bed.workspace).await.remove(2);
    let event = row.event();
    let actor = event.actor.unwrap();
    assert_eq!((actor.id.as_str(), actor.kind.as_str()), ("ops", "user"));
    assert_eq!(event.source.unwrap().as_str(), "worker");
    let loaded = store(&bed).load_events(&id).await.unwrap();
    assert_eq!(loaded[0].metadata["source"], "worker");
}

/// One row of the view `cqrs_events`, its documents as text.
type ViewRow = (String, String, i64, String, String, String, String);

async fn the_view_shows_the_same_streams(bed: Bed) {
    let run = bed.new_run();
    let mut report = dispatch(run);
    report.source = Some(crate::reports::name("worker"));
    bed.submit(vec![report, started(run), failed(run)]).await;
    const VIEW: &str = "SELECT aggregate_type, aggregate_id, sequence, event_type, event_version, \
         CAST(payload AS TEXT), CAST(metadata AS TEXT) FROM cqrs_events \
         WHERE aggregate_type = 'run' ORDER BY sequence";
    let view: Vec<ViewRow> = match (bed.store().postgres(), bed.store().sqlite()) {
        (Some(pool), _) => {
            let mut connection = pool.acquire().await.unwrap();
            sqlx::query("SELECT set_config('runledger.workspace', $1, false)")
                .bind(bed.workspace.to_string())
                .execute(&mut *connection)
                .await
                .unwrap();
            sqlx::query_as(VIEW).fetch_all(&mut *connection).await.unwrap()
        }
        (_, Some((_, pool))) => sqlx::query_as(VIEW).fetch_all(pool).await.unwrap(),
        _ => unreachable!("a store is one of the two"),
    };
    let loaded = store(&bed).load_events(&run.to_string()).await.unwrap();
    let rows = rows(bed.store(), bed.workspace).await;
    assert_eq!(view.len(), loaded.len());
    for ((seen, event), row) in view.iter().zip(&loaded).zip(&rows[2..]) {
        let (kind, id, sequence, event_type, version, payload, metadata) = seen;
        assert_eq!((kind.as_str(), id), ("run", &run.to_string()));
        assert_eq!(usize::try_from(*sequence).unwrap(), event.sequence);
        assert_eq!(*event_type, event.payload.event_type());
        assert_eq!(*version, event.payload.event_version());
        assert_eq!(payload.as_bytes(), row.body);
        let metadata: HashMap<String, String> = serde_json::from_str(metadata).unwrap();
        assert_eq!(metadata, event.metadata);
    }
}
