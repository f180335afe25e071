use proptest::prelude::*;
use runledger_ledger::run::{Progress, Report, Scalar, SignalReport};
use runledger_ledger::subject::SubjectState;
use runledger_ledger::words::{Outcome, UniqueMode};
use runledger_ledger::worker::WorkerReport;
use uuid::Uuid;

use super::*;
use crate::ingest::REQUEST_EVENTS;

const RUN: &str = "0190a5d0-0000-7000-8000-000000000001";

fn parse(body: &str) -> Result<Vec<Item>, BodyError> {
    parse_as(body, None)
}

fn parse_as(body: &str, content_type: Option<&str>) -> Result<Vec<Item>, BodyError> {
    let mut made = 0_u128;
    let mut new_run_id = || {
        made += 1;
        Ok::<_, String>(RunId(Uuid::from_u128(made)))
    };
    parse_body(body.as_bytes(), content_type, Caller::default(), &mut new_run_id)
}

/// What came of a body that is one event.
fn one(event: Value) -> Item {
    let mut items = parse(&event.to_string()).unwrap();
    assert_eq!(items.len(), 1);
    items.remove(0)
}

fn signal(kind: &str, data: Value) -> SignalReport {
    let parsed = one(json!({"type": kind, "run_id": RUN, "data": data})).unwrap();
    match parsed.submission.command {
        Command::Run(run, RunCommand::Signal(signal)) if run.to_string() == RUN => *signal,
        other => panic!("{other:?}"),
    }
}

fn error(event: Value) -> (&'static str, String, String) {
    let error = one(event).unwrap_err();
    (error.code, error.pointer.unwrap_or_default(), error.detail)
}

#[test]
fn a_dispatch_carries_all_that_it_names() {
    let parsed = one(json!({
        "id": "e1", "type": "run.dispatched", "run_id": RUN, "source": "cron",
        "occurred_at": "2026-01-01T02:00:00+02:00", "actor": {"id": "ana", "kind": "user"},
        "data": {
            "operation": "backup.create", "environment": "prod",
            "subject": {"type": "database", "id": "7"}, "fingerprint": "f", "queue": "q",
            "connection": "redis", "job_class": "Backup", "correlation_version": 2,
            "parent_run_id": RUN, "retry_of": RUN, "attempt": 3, "initiator": "schedule",
            "labels": {"team": "ops"}, "unique": "subject",
            "external_ids": [{"source": "laravel", "kind": "job", "id": "9"}],
        },
    }))
    .unwrap();
    assert_eq!(parsed.run_id, Some(RUN.parse().unwrap()));
    let submission = parsed.submission;
    assert_eq!(submission.occurred_at, Some("2026-01-01T00:00:00Z".parse().unwrap()));
    assert_eq!(submission.actor.unwrap().id.as_str(), "ana");
    assert_eq!(submission.source.unwrap().as_str(), "cron");
    let content = submission.id.unwrap().content;
    assert_eq!(content["type"], "run.dispatched");
    assert_eq!(content["data"]["labels"]["team"], "ops");
    let Command::Run(_, RunCommand::Dispatch(dispatch)) = submission.command else {
        panic!("no dispatch");
    };
    assert_eq!(dispatch.operation.as_str(), "backup.create");
    assert_eq!(dispatch.correlation_version, 2);
    assert_eq!(dispatch.unique, Some(UniqueMode::Subject));
    assert_eq!(dispatch.named.subject.unwrap().to_string(), "database/7");
    assert_eq!(dispatch.origin.attempt, Some(3));
    assert_eq!(dispatch.named.external_ids.len(), 1);
    assert!(dispatch.origin.retry_of.is_some() && dispatch.origin.parent_run_id.is_some());
}

#[test]
fn a_dispatch_without_a_run_gets_a_new_one_that_is_not_part_of_its_content() {
    let body = r#"{"id":"a","type":"run.dispatched","data":{"operation":"x"}}"#;
    let items = parse(&format!("{body}\n{body}")).unwrap();
    let run = |item: &Item| match &item.as_ref().unwrap().submission.command {
        Command::Run(run, _) => *run,
        other => panic!("{other:?}"),
    };
    let content = |item: &Item| {
        item.as_ref().unwrap().submission.id.as_ref().map(|report| report.content.clone())
    };
    assert_ne!(run(&items[0]), run(&items[1]));
    assert_eq!(items[0].as_ref().unwrap().run_id, None);
    assert_eq!(content(&items[0]), content(&items[1]));
    let mut none = || Err::<RunId, _>("no random bytes");
    let items = parse_body(body.as_bytes(), None, Caller::default(), &mut none).unwrap();
    assert_eq!(items[0].as_ref().unwrap_err().code, "no_run_id_made");
}

#[test]
fn the_same_moment_and_run_are_the_same_content_however_they_are_written() {
    let content = |run: &str, at: &str| {
        let event = json!({"id": "a", "type": "run.started", "run_id": run, "occurred_at": at});
        one(event).unwrap().submission.id.unwrap().content
    };
    assert_eq!(
        content(RUN, "2026-01-01T00:00:00Z"),
        content(&RUN.replace('-', ""), "2026-01-01T01:00:00.000+01:00")
    );
}

#[test]
fn every_signal_becomes_its_report() {
    let started = signal("run.started", json!({"worker": "w1", "attempt": 2, "operation": "x"}));
    assert_eq!(started.named.operation.unwrap().as_str(), "x");
    assert!(matches!(started.report, Report::Started { attempt: Some(2), worker: Some(_) }));
    let beat = signal("run.heartbeat", json!({"progress": {"parts": {"a": [1, 2]}}}));
    let Report::Heartbeat { progress: Some(Progress { parts, .. }) } = beat.report else {
        panic!("no progress");
    };
    assert_eq!(parts.values().collect::<Vec<_>>(), [&(1, 2)]);
    let done = signal(
        "run.succeeded",
        json!({"summary": {"n": 1, "ok": true, "t": "x"}, "artifacts": [{"type": "a", "id": "1"}]}),
    );
    let Report::Succeeded { artifacts, summary } = done.report else { panic!("no success") };
    assert_eq!((artifacts.len(), summary.len()), (1, 3));
    assert!(summary.values().any(|value| *value == Scalar::Number(1)));
    for (data, outcome, code) in [
        (json!({}), Outcome::Failed, "unspecified"),
        (json!({"outcome": "blocked", "reason_code": "quota"}), Outcome::Blocked, "quota"),
        (json!({"outcome": "partially_succeeded"}), Outcome::PartiallySucceeded, "unspecified"),
    ] {
        let Report::Failed { outcome: found, reason_code, .. } = signal("run.failed", data).report
        else {
            panic!("no failure");
        };
        assert_eq!((found, reason_code.as_str()), (outcome, code));
    }
    let cancelled = signal("run.cancelled", json!({"by": "ana", "reason": "too\nlate"})).report;
    assert!(matches!(cancelled, Report::Cancelled { by: Some(_), reason: Some(_) }));
    assert_eq!(signal("run.ended", Value::Null).report, Report::Ended { reason: None });
}

#[test]
fn a_follow_up_is_by_its_actor_unless_it_names_another() {
    let event = |by: Value| {
        json!({"type": "run.follow_up_resolved", "run_id": RUN,
               "data": {"by": by, "reason": "known_issue"}})
    };
    let by = |caller, event: Value| -> Result<String, ItemError> {
        let mut none = || Err::<RunId, _>("not needed");
        let mut items = parse_body(event.to_string().as_bytes(), None, caller, &mut none).unwrap();
        match items.remove(0)?.submission.command {
            Command::Run(_, RunCommand::FollowUp(word)) => Ok(word.by.to_string()),
            other => panic!("{other:?}"),
        }
    };
    let actor = Actor { id: Name::new("bob").unwrap(), kind: Name::new("user").unwrap() };
    let caller = Caller { actor: Some(&actor), source: None, vouches: true };
    assert_eq!(by(caller, event(Value::Null)), Ok("bob".to_owned()));
    assert_eq!(by(caller, event(json!("ana"))), Ok("ana".to_owned()));
    assert_eq!(by(Caller::default(), event(Value::Null)).unwrap_err().code, "by_missing");
}

#[test]
fn subjects_and_workers_report_without_a_run() {
    let parsed = one(json!({"type": "subject.observed", "data": {
        "subject": {"type": "connection", "id": "1"}, "state": "healthy", "environment": "prod",
        "verified_at": "2026-01-01T00:00:00Z", "verifier": "probe", "evidence": {"code": 200},
    }}))
    .unwrap();
    let Command::Subject(key, observe) = parsed.submission.command else { panic!("no subject") };
    assert_eq!(key.environment.unwrap().as_str(), "prod");
    assert_eq!(observe.state, SubjectState::Healthy);
    assert!(observe.verified_at.is_some());
    let parsed = one(json!({"type": "worker.seen", "data": {
        "worker": "w", "queues": ["a", "b", "a"], "lease_seconds": 60,
    }}));
    let Command::Worker(_, WorkerReport::Seen { lease_seconds: 60, queues }) =
        parsed.unwrap().submission.command
    else {
        panic!("no worker");
    };
    assert_eq!(queues.len(), 2);
    let stopped = one(json!({"type": "worker.stopped", "data": {"worker": "w"}})).unwrap();
    assert!(matches!(stopped.submission.command, Command::Worker(_, WorkerReport::Stopped)));
}

#[test]
fn errors_say_what_is_wrong_and_where() {
    let run = |kind: &str, data: Value| json!({"type": kind, "run_id": RUN, "data": data});
    let labels: Value = (0..=LABELS).map(|n| (format!("l{n}"), json!("x"))).collect();
    for (event, code, pointer, hint) in [
        (json!({"type": "run.started", "colour": 1}), "invalid_event", "/colour", "colour"),
        (json!({}), "invalid_event", "", "type"),
        (json!(5), "invalid_event", "", "an object"),
        (json!(["run.started"]), "invalid_event", "", "an object"),
        (run("run.started", json!({"colour": 1})), "invalid_event", "/data/colour", "worker"),
        (run("run.started", json!({"worker": ""})), "invalid_event", "/data/worker", "empty"),
        (run("run.started", json!({"attempt": 0})), "invalid_event", "/data/attempt", "nonzero"),
        (run("run.started", json!([])), "invalid_event", "/data", "an object"),
        (
            run("run.started", json!({"subject": ["a", "b"]})),
            "invalid_event",
            "/data/subject",
            "object",
        ),
        (run("run.started", json!({"labels": labels})), "too_many", "/data/labels", "33"),
        (run("run.dispatched", json!({})), "invalid_event", "/data/operation", "missing"),
        (
            run("run.succeeded", json!({"summary": {"a": {}}})),
            "invalid_event",
            "/data/summary/a",
            "whole",
        ),
        (
            run("run.succeeded", json!({"summary": {"a/b": 1.5}})),
            "not_canonical",
            "/data/summary/a~1b",
            "1.5",
        ),
        (
            run("run.heartbeat", json!({"progress": {"done": 9007199254740992_u64}})),
            "not_canonical",
            "/data/progress/done",
            "2^53",
        ),
        (run("run.failed", json!({"outcome": "bad"})), "invalid_event", "/data/outcome", "blocked"),
        (json!({"type": "run.started"}), "run_id_missing", "/run_id", "must name the run"),
        (json!({"type": "run.started", "run_id": "7"}), "invalid_event", "/run_id", "UUID"),
        (
            json!({"type": "run.started", "occurred_at": "today"}),
            "invalid_event",
            "/occurred_at",
            "RFC 3339",
        ),
        (
            json!({"type": "worker.stopped", "run_id": RUN, "data": {"worker": "w"}}),
            "run_id_not_allowed",
            "/run_id",
            "leave it out",
        ),
        (
            json!({"type": "worker.seen",
                   "data": {"worker": "w", "queues": [], "lease_seconds": 0}}),
            "out_of_range",
            "/data/lease_seconds",
            "86400",
        ),
        (run("run.paused", json!({})), "unknown_type", "/type", "run.heartbeat"),
        (run("run.reconciled", json!({})), "type_not_allowed", "/type", "reconciler"),
        (run("run.late_signal", json!({})), "type_not_allowed", "/type", "the ledger writes it"),
        (json!({"type": "workspace.created"}), "type_not_allowed", "/type", "the ledger writes it"),
        (json!({"type": "catalog.published"}), "type_not_allowed", "/type", "catalog"),
    ] {
        let (found, at, detail) = error(event.clone());
        assert_eq!((found, at.as_str()), (code, pointer), "{event}: {detail}");
        assert!(detail.contains(hint), "{detail}");
        assert!(!detail.contains(" line "), "{detail}");
    }
}

#[test]
fn a_bad_item_never_harms_a_good_one() {
    let good = format!(r#"{{"type":"run.started","run_id":"{RUN}"}}"#);
    let codes = |body: &str, content_type| -> Vec<Option<&'static str>> {
        let items = parse_as(body, content_type).unwrap();
        items.iter().map(|item| item.as_ref().err().map(|error| error.code)).collect()
    };
    let expected = [None, Some("not_json"), Some("unknown_type"), None];
    let bad = ["{\"type\": oops", r#"{"type":"x"}"#];
    let lines = format!("\n{good}\r\n{}\n{}\n\n{good}\n", bad[0], bad[1]);
    assert_eq!(codes(&lines, None), expected);
    assert_eq!(codes(&lines, Some("application/x-ndjson; charset=utf-8")), expected);
    let array = format!("[{good},\n oops, {},{good}]", bad[1]);
    assert_eq!(codes(&array, Some("application/json")), expected);
    let line = parse(&lines).unwrap().remove(1).unwrap_err();
    assert!(line.detail.contains("line 3, column 10"), "{}", line.detail);
    let line = parse(&array).unwrap().remove(1).unwrap_err();
    assert!(line.detail.contains("line 2, column 1"), "{}", line.detail);
}

#[test]
fn a_body_that_cannot_be_told_apart_is_refused_whole() {
    let error = |body: &str| parse(body).unwrap_err();
    assert!(matches!(error(" \n"), BodyError::Empty(_)));
    assert_eq!(error("{oops}").code(), "not_json");
    assert_eq!(error("[{}").status(), 400);
    assert_eq!(error(&format!("[{}1]", "1,".repeat(REQUEST_EVENTS))), BodyError::TooMany);
    assert_eq!(error(&"{}\n".repeat(REQUEST_EVENTS + 1)).status(), 413);
    assert!(matches!(error(&" ".repeat(9 * 1024 * 1024)), BodyError::TooLarge));
    assert_eq!(parse("[]").unwrap().len(), 0);
}

#[test]
fn an_event_has_limits_of_its_own() {
    let event =
        |reason: String| json!({"type": "run.ended", "run_id": RUN, "data": {"reason": reason}});
    assert_eq!(error(event("x".repeat(EVENT_BYTES))).0, "event_too_large");
    assert_eq!(error(event("x".repeat(5_000))).0, "invalid_event");
    let deep = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let nested =
        |levels| json!({"type": "run.ended", "run_id": RUN, "data": {"reason": deep(levels)}});
    assert_eq!(error(nested(EVENT_DEPTH - 2)).0, "invalid_event");
    assert_eq!(error(nested(EVENT_DEPTH - 1)).0, "too_deep");
    let (_, _, detail) = error(json!({"type": "run.started", "x".repeat(60_000): 1}));
    assert!(detail.len() < 1_000, "{}", detail.len());
}

#[test]
fn every_known_type_is_read_and_described() {
    for kind in TYPES {
        let data = EventData::read(kind, None);
        assert!(data.is_ok() || data.unwrap_err().code == "invalid_event", "{kind}");
    }
    let schema = serde_json::to_value(<EventRequest<'_> as utoipa::PartialSchema>::schema());
    let schema = schema.unwrap();
    assert_eq!(schema["required"], json!(["type"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["properties"]["actor"]["required"], json!(["id", "kind"]));
    let mut parts = Vec::new();
    <EventRequest<'_> as ToSchema>::schemas(&mut parts);
    let of = |name: &str| {
        let found = parts.iter().find(|(part, _)| part == name).map(|(_, schema)| schema);
        serde_json::to_value(found.unwrap_or_else(|| panic!("{name} is not described"))).unwrap()
    };
    for data in of("EventData")["anyOf"].as_array().unwrap() {
        let name = data["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        assert_eq!(of(name)["additionalProperties"], json!(false), "{name}");
    }
    assert_eq!(of("FollowUpData")["required"], json!(["reason"]));
    let dispatched = of("DispatchedData");
    assert_eq!(dispatched["required"], json!(["operation"]));
    assert_eq!(dispatched["properties"]["unique"]["enum"], json!(["subject", "fingerprint"]));
    assert_eq!(of("WorkerSeenData")["required"], json!(["lease_seconds", "queues", "worker"]));
}

pub(in crate::ingest) fn any_json() -> impl Strategy<Value = Value> {
    const WORDS: &[&str] = &[
        "type",
        "run_id",
        "data",
        "run.started",
        "run.dispatched",
        "operation",
        "subject",
        "id",
        "labels",
        "run",
        "runId",
        "job",
        "name",
        "namespace",
        "facets",
        "eventType",
        "START",
        "FAIL",
        "eventTime",
        "parent",
        "root",
        "airflow",
        "tags",
        "key",
        "value",
        "errorMessage",
        "message",
        "2026-01-01T00:00:00",
        RUN,
    ];
    let text =
        prop_oneof![3 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            3 => prop::collection::btree_map(text.clone(), inner, 0..8)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_json_and_arbitrary_bytes_never_panic(
        value in any_json(),
        cut in any::<usize>(),
        bytes in any::<Vec<u8>>(),
    ) {
        let text = value.to_string();
        let lines = format!("{text}\n{text}");
        let mut none = || Err::<RunId, _>("none");
        let shorter = &lines.as_bytes()[..cut % (lines.len() + 1)];
        for body in [text.as_bytes(), shorter, &bytes] {
            for content_type in [None, Some("application/x-ndjson")] {
                let _ = parse_body(body, content_type, Caller::default(), &mut none);
            }
        }
    }

    #[test]
    fn what_is_accepted_with_an_id_has_canonical_content(value in any_json()) {
        let data = json!({"summary": {"value": value}});
        let event = json!({"id": "a", "type": "run.succeeded", "run_id": RUN, "data": data});
        if let Ok(parsed) = one(event) {
            let content = parsed.submission.id.unwrap().content;
            prop_assert!(runledger_ledger::canonical::to_bytes(&content).is_ok());
        }
    }
}
