//! Runs in the test framework of `cqrs-es`.

use cqrs_es::test::TestFramework;

use super::*;
use crate::run::{Dispatch, Named, Origin, Report, SignalReport};
use crate::words::UniqueMode;

const RUN: RunId = RunId(uuid::Uuid::from_u128(1));
const NOW: Moment = Moment::from_micros(5_000_000);

fn runs() -> TestFramework<Run> {
    TestFramework::with(RunServices { catalog: Catalog::built_in(), clock: Clock::manual(NOW) })
}

fn dispatch(unique: Option<UniqueMode>) -> RunRequest {
    let operation = Name::new("inventory_sync").unwrap();
    let named = Named { subject: "tenant/1".parse().ok(), ..Named::default() };
    let (correlation_version, origin) = (1, Origin::default());
    let dispatch = Dispatch { correlation_version, operation, named, origin, unique };
    RunRequest::new(RUN, RunCommand::Dispatch(Box::new(dispatch)))
}

fn signal(report: Report) -> RunRequest {
    let (named, origin) = (Named::default(), Origin::default());
    RunRequest::new(RUN, RunCommand::Signal(Box::new(SignalReport { named, origin, report })))
}

fn ended() -> RunRequest {
    signal(Report::Ended { reason: None })
}

/// What `request` records after `given`.
fn events(given: Vec<Fact<RunEvent>>, request: RunRequest) -> Vec<Fact<RunEvent>> {
    runs().given(given).when(request).inspect_result().unwrap()
}

#[test]
fn a_dispatch_is_one_fact_with_both_its_times() {
    let earlier = Moment::from_micros(1_000_000);
    let request = RunRequest { occurred_at: Some(earlier), ..dispatch(None) };
    let facts = events(Vec::new(), request);
    let [fact] = &facts[..] else { panic!("{facts:?}") };
    assert_eq!((fact.occurred_at, fact.recorded_at), (earlier, NOW));
    assert_eq!((fact.event_type(), fact.event_version()), ("run.dispatched".into(), "1".into()));
    let RunEvent::Dispatched(event) = &fact.event else { panic!("{fact:?}") };
    assert_eq!(event.operation.as_str(), "inventory.sync");
}

#[test]
fn a_heartbeat_on_a_queued_run_is_two_facts() {
    let given = events(Vec::new(), dispatch(None));
    let types: Vec<String> = events(given, signal(Report::Heartbeat { progress: None }))
        .iter()
        .map(DomainEvent::event_type)
        .collect();
    assert_eq!(types, ["run.started", "run.heartbeat"]);
}

#[test]
fn what_is_recorded_already_is_no_event() {
    let given = events(Vec::new(), dispatch(None));
    runs().given(given.clone()).when(dispatch(None)).then_expect_events(Vec::new());
    let end = events(given.clone(), ended());
    runs().given(given).and(end).when(ended()).then_expect_events(Vec::new());
}

#[test]
fn what_may_not_be_recorded_is_an_error_of_the_run() {
    let unknown = RunError::Refused(RunRefusal::UnknownRun(RUN).into());
    runs().given_no_previous_events().when(ended()).then_expect_error(unknown);
    let request = RunRequest { strict: true, ..signal(Report::Heartbeat { progress: None }) };
    let given = events(Vec::new(), dispatch(None));
    runs()
        .given(given)
        .when(request)
        .then_expect_error_message("strict: the run has not been started");
}

#[test]
fn a_fact_is_read_from_the_body_that_the_ledger_stores() {
    // As `PostgresEventRepository` does, which takes a body for a payload.
    let fact = events(Vec::new(), dispatch(Some(UniqueMode::Subject))).remove(0);
    let envelope = crate::event::Envelope {
        workspace: WorkspaceId(uuid::Uuid::nil()),
        position: 7,
        stream: Stream::run(RUN),
        sequence: 1,
        actor: None,
        sender: None,
        source: None,
        event_id: None,
        nonce: [0; 16],
    };
    let body = envelope.seal(&fact.clone().any()).unwrap().body;
    assert_eq!(serde_json::from_slice::<Fact<RunEvent>>(&body).unwrap(), fact);
}
