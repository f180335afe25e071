//! Who is held to environments cannot tell whether anything happens elsewhere: whatever is recorded
//! there, each answer stays the same, byte for byte.

use rstest::rstest;
use serde_json::json;

use super::narrowed::happenings;
use super::{ask, token};
use crate::service::{Database, Service, event, run};

/// Everything that they may ask, and the answer that tells of nothing but what is asked for.
fn reads() -> Vec<String> {
    let lists = ["overview", "environments", "operations", "queues", "follow-ups", "runs"];
    let mut reads: Vec<String> = lists.map(str::to_owned).to_vec();
    for number in [1, 2, 3, 9] {
        for tail in ["", "/events", "/timeline"] {
            reads.push(format!("runs/{}{tail}", run(number)));
        }
    }
    // Of now, of events in sight and out of it, of times between what happens elsewhere, and of
    // what never was.
    let moments = ["1", "3", "6", "9", "13", "999999", "size:9", "size:13"].map(str::to_owned);
    let times = ["12:00:00", "12:00:30", "12:01:30", "12:02:30", "23:00:00"];
    let times = times.map(|time| format!("2026-03-01T{time}Z"));
    let asked: Vec<String> = moments.into_iter().chain(times).collect();
    let mut all = Vec::new();
    for read in &reads {
        all.push(read.clone());
        all.extend(asked.iter().map(|as_of| format!("{read}?as_of={as_of}")));
        all.extend(["0", "9", "13", "999999"].map(|after| format!("{read}?after={after}")));
        all.push(format!("{read}?after=13&as_of=2026-03-01T12:00:30Z"));
    }
    for from in &asked {
        all.push(format!("diff?from={from}"));
        all.push(format!("runs/{}/diff?from={from}", run(1)));
    }
    all.push(format!("runs/{}/diff?from=1&to=6", run(1)));
    all
}

/// What is recorded in an environment that they do not see, and of the workspace itself.
async fn elsewhere(service: &Service) {
    let of = |environment| {
        json!({"operation": "other.create", "queue": "elsewhere", "environment": environment,
            "subject": {"type": "t", "id": "1"}})
    };
    service.wait(30);
    service.record(&[event(9, "run.dispatched", of(json!("staging")))]).await;
    service.wait(30);
    service.record(&[event(9, "run.failed", json!({"reason_code": "x"}))]).await;
    service.wait(60);
    let worker = json!({"type": "worker.seen",
        "data": {"worker": "w", "queues": ["elsewhere"], "lease_seconds": 60}});
    let seen = json!({"type": "subject.observed", "data": {"subject": {"type": "t", "id": "1"},
        "state": "healthy", "environment": "staging"}});
    service.record(&[worker, seen]).await;
    service.wait(60);
}

async fn quiet(service: &Service) {
    service.wait(180);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn what_happens_elsewhere_changes_no_answer(#[case] database: Database) {
    let (moved, still) = (Service::on(database).await, Service::on(database).await);
    let mut roles = Vec::new();
    for service in [&moved, &still] {
        let mut held = Vec::new();
        for role in ["viewer", "auditor", "operator"] {
            held.push(token(service, "main", role, Some(&["production"])).await);
        }
        happenings(service).await;
        roles.push(held);
    }
    tokio::join!(elsewhere(&moved), quiet(&still));
    for service in [&moved, &still] {
        service.app.projections().catch_up(service.main).await.unwrap();
    }
    assert_eq!(moved.size().await, still.size().await + 4, "there must be something to hide");
    let mut answered = 0;
    for (one, other) in roles[0].iter().zip(&roles[1]) {
        for read in reads() {
            let path = format!("/v1/workspaces/main/{read}");
            let (one, other) = (
                ask(&moved, one, "GET", &path, "").await,
                ask(&still, other, "GET", &path, "").await,
            );
            answered += u32::from(one.status.is_success());
            assert_eq!(
                (one.status, String::from_utf8_lossy(&one.body)),
                (other.status, String::from_utf8_lossy(&other.body)),
                "{path}"
            );
        }
    }
    assert!(answered > 300, "{answered}: most of that must be answered");
}

#[tokio::test]
async fn an_event_in_sight_is_a_moment_and_any_other_is_none() {
    let service = Service::on(Database::Sqlite).await;
    happenings(&service).await;
    let held = token(&service, "main", "operator", Some(&["production"])).await;
    service.app.projections().catch_up(service.main).await.unwrap();
    let runs = async |query: &str| {
        ask(&service, &held, "GET", &format!("/v1/workspaces/main/runs?{query}"), "").await
    };
    // The first run is dispatched, then fails; the second one follows, then those of others.
    let events = service.read(&format!("runs/{}/events", run(1))).await;
    let at = |item: usize| events["items"][item]["position"].as_u64().unwrap();
    let listed = runs(&format!("as_of={}", at(0))).await.ok(200);
    assert_eq!(listed["items"][0]["recorded"]["status"], "queued");
    assert!(listed.get("position").is_none(), "{listed}");
    let listed = runs(&format!("as_of={}", at(1))).await.ok(200);
    assert_eq!(listed["items"][0]["recorded"]["outcome"], "failed");
    let beyond = service.size().await + 7;
    for other in [0, at(1) + 2, beyond] {
        assert_eq!(runs(&format!("as_of={other}")).await.problem(404), "unknown_position");
    }
    // Who has just written is answered with it, and nobody is told where the log ends.
    let seen = json!({"type": "subject.observed", "data": {"subject": {"type": "t", "id": "1"},
        "state": "healthy", "environment": "production"}});
    let path = "/v1/workspaces/main/events";
    let wrote = ask(&service, &held, "POST", path, &seen.to_string()).await.ok(201);
    let position = wrote["position"].as_u64().unwrap();
    service.app.projections().catch_up(service.main).await.unwrap();
    runs(&format!("after={position}")).await.ok(200);
    runs(&format!("as_of={position}")).await.ok(200);
    runs(&format!("after={beyond}")).await.ok(200);
    let both = format!("after={position}&as_of=2026-03-01T12:00:00Z");
    assert_eq!(runs(&both).await.problem(400), "after_past_as_of");
}
