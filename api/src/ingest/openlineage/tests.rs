use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::run::{Decision, Run, RunContext};
use runledger_ledger::time::Span;
use runledger_ledger::words::Signal;

use super::*;
use crate::ingest::native::{LABELS, tests::any_json};

const CAPTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/openlineage");
const RUN: &str = "01a1faf6-7612-7ba7-b0f0-89b8ad1d7282";

/// The bodies of a capture, in the order of arrival.
fn capture(name: &str) -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(Path::new(CAPTURES).join(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let body = |file: &std::path::PathBuf| {
        let mut request: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        request["body"].take()
    };
    files.iter().map(body).collect()
}

fn captures() -> Vec<(String, Vec<Value>)> {
    let directories = std::fs::read_dir(CAPTURES).unwrap().map(|entry| entry.unwrap());
    directories
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .map(|name| (name.clone(), capture(&name)))
        .collect()
}

struct Told {
    run: RunId,
    named: Named,
    origin: runledger_ledger::run::Origin,
    report: Report,
    at: Option<Moment>,
    id: ReportId,
}

fn told(event: &Value) -> Told {
    match parse(event.to_string().as_bytes(), None).unwrap() {
        Mapped::Signal(submission) => {
            assert_eq!(submission.source.as_ref().map(Name::as_str), Some(SOURCE));
            let Command::Run(run, RunCommand::Signal(signal)) = submission.command else {
                panic!("no signal");
            };
            let SignalReport { named, origin, report } = *signal;
            Told {
                run,
                named,
                origin,
                report,
                at: submission.occurred_at,
                id: submission.id.unwrap(),
            }
        }
        other => panic!("{other:?}"),
    }
}

/// A run event of `kind`, with `changes` put in at their pointers.
fn event(kind: &str, changes: &[(&str, Value)]) -> Value {
    let mut event = json!({
        "eventType": kind, "eventTime": "2026-01-01T00:00:00Z", "producer": "https://example.test",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
        "run": {"runId": RUN, "facets": {}}, "job": {"namespace": "ns", "name": "j", "facets": {}},
    });
    for (pointer, value) in changes {
        let mut place = &mut event;
        for member in pointer.split('/').skip(1) {
            place = &mut place[member];
        }
        *place = value.clone();
    }
    event
}

fn label(told: &Told, key: &str) -> Option<String> {
    told.origin.labels.get(&Name::new(key).unwrap()).map(|value| value.as_str().to_owned())
}

#[test]
fn every_recorded_body_maps_to_the_signal_that_it_is() {
    let mut bodies = 0;
    for (capture, events) in captures() {
        for event in &events {
            bodies += 1;
            let told = told(event);
            let signal = match event["eventType"].as_str().unwrap() {
                "START" => Signal::Started,
                "RUNNING" => Signal::Heartbeat,
                "COMPLETE" => Signal::Succeeded,
                "FAIL" => Signal::Failed,
                "ABORT" => Signal::Cancelled,
                other => panic!("{other}"),
            };
            assert_eq!(told.report.signal(), signal, "{capture}");
            assert_eq!(told.run.to_string(), event["run"]["runId"].as_str().unwrap());
            let job = event["job"]["name"].as_str().unwrap();
            assert_eq!(told.named.environment.as_ref().unwrap().as_str(), "ledger-demo");
            assert_eq!(told.named.operation.as_ref().unwrap().as_str(), OPERATION);
            let subject = told.named.subject.as_ref().unwrap();
            assert_eq!(subject.to_string(), format!("job/ledger-demo/{job}"));
            let time = event["eventTime"].as_str().unwrap();
            let has_zone = time.ends_with('Z') || time.contains('+');
            let utc = if has_zone { time.to_owned() } else { format!("{time}Z") };
            assert_eq!(told.at, Some(utc.parse().unwrap()));
            // dbt's ABORT is the one recorded event whose time has no zone.
            assert_eq!(has_zone, signal != Signal::Cancelled, "{capture}");
            assert_eq!(label(&told, "event_time").is_none(), has_zone);
            let parent = event.pointer("/run/facets/parent/run/runId").and_then(Value::as_str);
            assert_eq!(told.origin.parent_run_id.map(|id| id.to_string()).as_deref(), parent);
            assert_eq!(label(&told, "root_run").is_some(), parent.is_some());
            assert!(!told.origin.endless && told.origin.labels.len() <= LABELS);
            assert_eq!(label(&told, "tag.openlineage_client_version").as_deref(), Some("1.54.0"));
            assert!(runledger_ledger::event::content_hash(&told.id.content).is_ok());
        }
    }
    assert_eq!(bodies, 154);
}

#[test]
fn an_event_that_is_sent_again_has_the_same_id_and_no_other_has() {
    for (capture, events) in captures() {
        let ids: BTreeSet<_> = events.iter().map(|event| told(event).id.id).collect();
        let bodies: BTreeSet<_> = events.iter().map(Value::to_string).collect();
        assert_eq!(ids.len(), bodies.len(), "{capture}");
    }
    let repeated = capture("py-http-5xx-duplicate-start");
    let ids: Vec<_> = repeated.iter().map(|event| told(event).id).collect();
    assert_eq!((&ids[0].id, &ids[0].content), (&ids[2].id, &ids[2].content));
    assert_eq!(ids[0].id.as_str().len(), 64);
}

#[test]
fn a_flaky_task_tries_again_as_another_run_of_the_same_subject_after_it_failed() {
    for name in ["airflow-scheduler-run", "airflow-dags-test"] {
        let mut tries: BTreeMap<u32, Vec<Told>> = BTreeMap::new();
        for event in
            capture(name).iter().filter(|event| event["job"]["name"] == "ledger_demo.flaky")
        {
            let told = told(event);
            tries.entry(told.origin.attempt.unwrap()).or_default().push(told);
        }
        let (first, second) = (&tries[&1], &tries[&2]);
        assert_eq!((first.len(), second.len(), tries.len()), (2, 2, 2));
        assert_ne!(first[0].run, second[0].run);
        // What each try is called is all that tells them apart.
        let second_is = second[0].named.external_ids.clone();
        assert_ne!(first[1].named.external_ids, second_is);
        let renamed = Named { external_ids: second_is, ..first[1].named.clone() };
        assert_eq!(renamed, second[0].named);
        assert_eq!(first[1].report.outcome(), Some(Outcome::Failed));
        assert_eq!(second[1].report.outcome(), Some(Outcome::Succeeded));
        assert!(second[0].at > first[1].at, "dispatched after the failure settled");
        assert_eq!(first[0].origin.parent_run_id, second[0].origin.parent_run_id);
        assert_eq!(second[0].report, Report::Started { attempt: Some(2), worker: None });
    }
}

#[test]
fn the_failed_dag_run_is_a_problem_of_its_own_job() {
    let events = capture("airflow-scheduler-run");
    let dag = told(events.last().unwrap());
    assert_eq!(dag.named.subject.as_ref().unwrap().id.as_str(), "ledger-demo/ledger_demo");
    assert_eq!(dag.origin.parent_run_id, None);
    let Report::Failed { message: Some(message), outcome: Outcome::Failed, reason_code, .. } =
        &dag.report
    else {
        panic!("{:?}", dag.report);
    };
    assert_eq!((message.as_str(), reason_code.as_str()), ("task_failure", "unspecified"));
    let others = events.iter().map(told).filter(|told| told.run != dag.run);
    assert!(others.into_iter().all(|told| told.named.subject != dag.named.subject));
}

/// The outcome of each job's runs after `events` in this order, by the run's own rules.
fn outcomes(events: &[&Value]) -> BTreeMap<(String, RunId), (Outcome, u32)> {
    let catalog = Catalog::built_in();
    let mut runs: BTreeMap<(String, RunId), Run> = BTreeMap::new();
    for (seconds, event) in (1..).zip(events) {
        let told = told(event);
        let recorded_at = told.at.unwrap().max("2026-11-21T00:00:00Z".parse().unwrap());
        let context = RunContext {
            catalog: &catalog,
            holder: None,
            occurred_at: told.at.unwrap(),
            recorded_at: recorded_at.plus(Span::from_secs(seconds)),
            run_id: told.run,
            strict: false,
        };
        let job = told.named.subject.as_ref().unwrap().to_string();
        let run = runs.entry((job, told.run)).or_default();
        let Told { named, origin, report, .. } = told;
        let command = RunCommand::Signal(Box::new(SignalReport { named, origin, report }));
        if let Decision::Record(facts) = run.decide(&command, &context).unwrap() {
            facts.iter().for_each(|fact| run.apply(fact));
        }
    }
    runs.into_iter().map(|(key, run)| (key, (run.outcome, run.attempt))).collect()
}

#[test]
fn no_recorded_event_is_refused_and_their_order_makes_no_difference() {
    for (capture, events) in captures() {
        let order: Vec<_> = events.iter().collect();
        let expected = outcomes(&order);
        let backwards: Vec<_> = events.iter().rev().collect();
        assert_eq!(outcomes(&backwards), expected, "{capture}");
        let (odd, even): (Vec<_>, Vec<_>) =
            order.iter().enumerate().partition(|(index, _)| index % 2 == 1);
        let mixed: Vec<_> = odd.into_iter().chain(even).map(|(_, event)| *event).collect();
        assert_eq!(outcomes(&mixed), expected, "{capture}");
        let open = expected.values().filter(|(outcome, _)| *outcome == Outcome::Pending).count();
        let expected_open = match capture.as_str() {
            "dbt-child-killed-orphan" => 2,
            "dbt-sigkill-no-terminal" => 3,
            _ => 0,
        };
        assert_eq!(open, expected_open, "{capture}: what was killed stays open, and is no failure");
    }
}

#[test]
fn what_helps_people_is_kept() {
    let told = told(&capture("airflow-scheduler-run")[7]);
    for (key, value) in [
        ("integration", "AIRFLOW"),
        ("job_type", "TASK"),
        ("engine", "Airflow 3.3.2"),
        ("owner", "ops-team"),
        ("root_run", "01a1faf6-7612-74be-9731-56eea11974ce"),
        ("airflow_dag", "ledger_demo"),
        ("airflow_run", "manual_a"),
        ("airflow_task", "flaky"),
        ("tag.demo", "demo"),
    ] {
        assert_eq!(label(&told, key).as_deref(), Some(value), "{key}");
    }
    let ids: Vec<_> = told.named.external_ids.iter().map(|id| id.id.as_str()).collect();
    assert_eq!(ids, ["ledger_demo/manual_a/flaky/2"]);
    let failed = event(
        "FAIL",
        &[(
            "/run/facets/errorMessage",
            json!({"message": "m".repeat(9_000), "stackTrace": "secret"}),
        )],
    );
    let told = self::told(&failed);
    assert!(
        matches!(&told.report, Report::Failed { message: Some(m), .. } if m.as_str().len() == 4_096)
    );
    let query = json!({"externalQueryId": "q1", "source": "warehouse"});
    let ids =
        self::told(&event("START", &[("/run/facets/externalQuery", query)])).named.external_ids;
    assert_eq!(
        ids,
        facets::external_id("warehouse", "query", "q1").into_iter().collect::<Vec<_>>()
    );
}

#[test]
fn no_type_is_a_heartbeat_and_other_types_never_change_a_state() {
    for change in [json!("RUNNING"), json!("running"), Value::Null] {
        let told = told(&event("", &[("/eventType", change)]));
        assert_eq!(told.report, Report::Heartbeat { progress: None });
    }
    let aborted = told(&event("ABORT", &[])).report;
    assert_eq!(aborted, Report::Cancelled { by: None, reason: Note::new("abort").ok() });
    for (kind, kept) in [(json!("OTHER"), "OTHER"), (json!("PAUSED"), "PAUSED"), (json!(7), "7")] {
        let body = event("", &[("/eventType", kind)]).to_string();
        let Mapped::Unrecorded(Unrecorded::Annotation { run, event_type }) =
            parse(body.as_bytes(), None).unwrap()
        else {
            panic!("{body}");
        };
        assert_eq!((run.to_string().as_str(), event_type.as_str()), (RUN, kept));
    }
}

#[test]
fn dataset_and_job_events_are_taken_and_nothing_is_recorded() {
    let of = |event: Value| match parse(event.to_string().as_bytes(), None) {
        Ok(Mapped::Unrecorded(why)) => why,
        other => panic!("{other:?}"),
    };
    let time = "2026-01-01T00:00:00Z";
    let dataset = json!({"eventTime": time, "dataset": {"namespace": "n", "name": "d"}});
    assert_eq!(of(dataset), Unrecorded::Dataset);
    let job = json!({"eventTime": time, "job": {"namespace": "n", "name": "j"}});
    assert_eq!(of(job), Unrecorded::Job);
}

#[test]
fn a_streaming_job_has_no_expected_end() {
    let streaming = json!({"processingType": "STREAMING"});
    assert!(told(&event("START", &[("/job/facets/jobType", streaming)])).origin.endless);
}

#[test]
fn times_are_read_leniently_and_what_was_assumed_is_said() {
    let at = |time: Value| {
        let told = told(&event("START", &[("/eventTime", time)]));
        (told.at.map(|at| at.to_string()), label(&told, "event_time"))
    };
    let utc = |text: &str| Some(text.to_owned());
    for (time, expected) in [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T02:00:00.123456789+02:00", "2026-01-01T00:00:00.123456Z"),
        ("2026-01-01T00:00:00+0000", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z[UTC]", "2026-01-01T00:00:00Z"),
    ] {
        assert_eq!(at(json!(time)), (utc(expected), None), "{time}");
    }
    for time in ["2026-01-01T00:00:00", "2026-01-01 00:00:00.000"] {
        let (at, assumed) = at(json!(time));
        assert_eq!(at, utc("2026-01-01T00:00:00Z"), "{time}");
        assert!(assumed.unwrap().contains("UTC"));
    }
    for time in [json!("yesterday"), json!(5), Value::Null, json!("0001-01-01T00:00:00Z")] {
        let (at, assumed) = at(time.clone());
        assert_eq!(at, None, "{time}");
        assert!(assumed.unwrap().contains("the time of recording counts"));
    }
}

#[test]
fn an_id_that_is_no_uuid_is_the_same_run_wherever_it_is_met() {
    let own = told(&event("START", &[("/run/runId", json!("spark-42"))]));
    let child =
        told(&event("START", &[("/run/facets/parent", json!({"run": {"runId": "spark-42"}}))]));
    assert_eq!(Some(own.run), child.origin.parent_run_id);
    assert_eq!(own.run.to_string(), "a7491f97-0d5f-8255-8d0f-e96d66b56fdc");
    let ids = facets::external_id(SOURCE, "run", "spark-42");
    assert_eq!(own.named.external_ids, ids.into_iter().collect::<Vec<_>>());
    assert_eq!(told(&event("START", &[])).named.external_ids, []);
}

#[test]
fn a_long_name_keeps_a_readable_beginning_and_stays_its_own() {
    let subject =
        |job: String| told(&event("START", &[("/job/name", json!(job))])).named.subject.unwrap();
    let (long, longer) = (subject("é".repeat(300)), subject("é".repeat(301)));
    assert!(long.id.as_str().starts_with("ns/éé") && long.id.as_str().len() <= NAME_BYTES);
    assert_ne!(long, longer);
    assert_eq!(long, subject("é".repeat(300)));
    assert!(subject("a\nb".to_owned()).id.as_str().starts_with("ns/a b~"));
}

#[test]
fn what_names_no_run_or_no_job_is_refused_with_a_reason() {
    for (body, code, status) in [
        ("", "empty_body", 400),
        ("{oops", "not_json", 400),
        ("[]", "invalid_event", 422),
        ("{}", "invalid_event", 422),
        (r#"{"eventType":"START","job":{"namespace":"n","name":"j"}}"#, "run_id_missing", 422),
        (r#"{"run":{"runId":""},"job":{"namespace":"n","name":"j"}}"#, "run_id_missing", 422),
        (r#"{"run":{"runId":"x"}}"#, "job_missing", 422),
        (r#"{"run":{"runId":"x"},"job":{"namespace":"n","name":7}}"#, "job_missing", 422),
    ] {
        let error = parse(body.as_bytes(), None).unwrap_err();
        assert_eq!((error.code, error.status()), (code, status), "{body}");
    }
}

#[test]
fn a_batch_tells_which_of_its_events_were_not_taken() {
    let good = event("START", &[]).to_string();
    let body = format!("[{good}, oops, {{}}, {good}]");
    let items = parse_batch(body.as_bytes(), None).unwrap();
    let results = items.iter().map(|item| item.as_ref().map(|_| ()).map_err(Failure::from));
    let response = serde_json::to_value(BatchResponse::of(results)).unwrap();
    assert_eq!(response["status"], "partial_success");
    let summary =
        json!({"received": 4, "successful": 2, "failed": 2, "retriable": 0, "non_retriable": 2});
    assert_eq!(response["summary"], summary);
    let failed = response["failed_events"].as_array().unwrap();
    assert_eq!((&failed[0]["index"], &failed[1]["index"]), (&json!(1), &json!(2)));
    assert_eq!(BatchResponse::of([Ok(())]).status, BatchStatus::Success);
    assert_eq!(parse_batch(good.as_bytes(), None).unwrap_err().code(), "wrong_body_shape");
    let id = |item: &Item| match item {
        Ok(Mapped::Signal(submission)) => submission.id.as_ref().map(|report| report.id.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(id(&items[0]), id(&items[3]));
    assert_eq!(id(&items[0]), id(&parse(good.as_bytes(), None)));
}

proptest! {
    #[test]
    fn arbitrary_json_never_panics(value in any_json(), bytes in any::<Vec<u8>>()) {
        for body in [value.to_string().as_bytes(), &bytes] {
            let _ = parse(body, None);
            let _ = parse_batch(body, None);
        }
    }

    #[test]
    fn whatever_the_facets_a_run_event_is_taken(run in any_json(), job in any_json()) {
        let event = event("START", &[("/run/facets", run), ("/job/facets", job)]);
        let told = told(&event);
        prop_assert!(told.origin.labels.len() <= LABELS);
        prop_assert!(told.origin.labels.values().all(|value| value.as_str().len() <= 255));
    }
}
