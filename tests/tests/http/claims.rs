//! The remote protocol: claims, decisions and heartbeats, and what is refused.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use rstest::rstest;
use runledger_ledger::words::RunId;
use serde_json::{Value, json};

use crate::service::{Database, EVENTS, Reply, Service};

const CLAIMS: &str = "/v1/workspaces/main/adapters/report.files/claims";
const OPERATION: &str = "permission.report.generate";
/// Longer than the revisit of the example's adapter.
const REVISIT: i64 = 301;

/// A run that failed: a reason to look for proof.
async fn failed(service: &Service, fingerprint: &str) -> RunId {
    let data = json!({
        "operation": OPERATION, "environment": "production", "fingerprint": fingerprint,
        "subject": {"type": "report", "id": fingerprint},
    });
    let dispatched = json!({"type": "run.dispatched", "data": data});
    let answer = service.post_json(EVENTS, &dispatched).await.ok(201);
    let run = answer["run_id"].clone();
    let failed = json!({"type": "run.failed", "run_id": run, "data": {"reason_code": "timeout"}});
    service.post_json(EVENTS, &failed).await.ok(201);
    run.as_str().unwrap().parse().unwrap()
}

/// Lets the reconciler follow the log: it makes the wakes, and asks no remote adapter.
async fn followed(service: &Service) {
    listening(service).await;
    service.app.projections().catch_up(service.main).await.unwrap();
    service.app.reconciler().look().await.unwrap();
}

async fn listening(service: &Service) {
    let store = service.app.ledger().store();
    store.note_listening(service.clock.now()).await.unwrap();
}

async fn claims(service: &Service, limit: u32, lease: u32) -> Vec<Value> {
    let wanted = json!({"limit": limit, "lease_seconds": lease});
    let answer = service.post_json(CLAIMS, &wanted).await.ok(200);
    answer["items"].as_array().unwrap().clone()
}

/// The one run that waits.
async fn claim(service: &Service, lease: u32) -> Value {
    let mut claims = claims(service, 10, lease).await;
    assert_eq!(claims.len(), 1, "{claims:?}");
    claims.remove(0)
}

async fn decide(service: &Service, claim: &Value, decision: &Value) -> Reply {
    let id = claim["claim_id"].as_str().unwrap();
    service.post_json(&format!("{CLAIMS}/{id}/decision"), decision).await
}

async fn beat(service: &Service, claim: &Value, lease: u32) -> Reply {
    let id = claim["claim_id"].as_str().unwrap();
    let wanted = json!({"lease_seconds": lease});
    service.post_json(&format!("{CLAIMS}/{id}/heartbeat"), &wanted).await
}

fn proof() -> Value {
    json!({
        "decision": "succeeded",
        "reason_code": "report_is_there",
        "related": {"type": "permission_report", "id": "77"},
        "evidence": {"state": "done", "pages": 12},
        "observation": {"state": "healthy", "verified_at": "2026-03-01T12:00:00Z"},
    })
}

async fn standing(service: &Service, run: RunId) -> Value {
    service.read(&format!("runs/{run}")).await
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn what_a_remote_adapter_proves_of_a_run_that_it_claimed_is_recorded(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    let run = failed(&service, "f1").await;
    assert_eq!(claims(&service, 10, 60).await, Vec::<Value>::new(), "nobody was woken yet");
    followed(&service).await;
    let claim = claim(&service, 60).await;
    assert_eq!(claim["run_id"], run.to_string());
    assert_eq!(claim["scope"], json!({"workspace": "main", "environment": "production"}));
    assert_eq!((&claim["stale"], &claim["recorded"]["outcome"]), (&json!(false), &json!("failed")));
    assert_eq!(claim["recorded"]["fingerprint"], "f1");
    assert_eq!(claim["leased_until"], "2026-03-01T12:01:00Z");
    assert_eq!(claims(&service, 10, 60).await, Vec::<Value>::new(), "it is claimed");

    let size = service.size().await;
    let taken = decide(&service, &claim, &proof()).await.ok(200);
    assert_eq!(taken, json!({"status": "recorded", "position": size + 1}));
    let standing = standing(&service, run).await;
    assert_eq!(standing["recorded"]["outcome"], "failed", "history stays");
    assert_eq!(standing["now"]["actionability"]["status"], "resolved_by_current_state");
    let decision = &standing["recorded"]["reconciliation"];
    assert_eq!(
        (&decision["adapter"], &decision["adapter_version"]),
        (&json!("report.files"), &json!(1))
    );
    assert_eq!(decision["related"], json!({"type": "permission_report", "id": "77"}));
    assert_eq!(decision["evidence"], json!({"state": "done", "pages": 12}));
    assert_eq!(decision["evaluated_at"], claim["at"]);

    assert_eq!(decide(&service, &claim, &proof()).await.problem(404), "unknown_claim");
    service.wait(REVISIT);
    followed(&service).await;
    assert_eq!(
        claims(&service, 10, 60).await,
        Vec::<Value>::new(),
        "there is nothing more to prove"
    );
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_decision_that_breaks_a_rule_is_refused_by_name_and_another_may_be_posted(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    failed(&service, "f1").await;
    followed(&service).await;
    let claim = claim(&service, 60).await;
    let size = service.size().await;
    let with = |member: &str, value: Value| {
        let mut decision = proof();
        decision[member] = value;
        decision
    };
    for (decision, code, named) in [
        (with("evidence", json!({"owner": "ada"})), "evidence_not_allowed", "`owner`"),
        (with("evidence", json!({"pages": "twelve"})), "evidence_not_of_its_kind", "`pages`"),
        (
            with(
                "evidence",
                json!({"state": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2ln"}),
            ),
            "evidence_suspicious",
            "`state`",
        ),
        (with("related", json!({"type": "invoice", "id": "1"})), "related_not_allowed", "type"),
        (with("reason_code", json!("It is there.")), "evidence_not_of_its_kind", "reason"),
    ] {
        let reply = decide(&service, &claim, &decision).await;
        assert_eq!(reply.problem(422), code);
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(named) && !detail.contains("eyJ"), "{detail}");
    }
    for decision in [with("decision", json!("perhaps")), with("reasons", json!("more"))] {
        assert_eq!(decide(&service, &claim, &decision).await.problem(422), "invalid_body");
    }
    assert_eq!(service.size().await, size);
    let adapters = service.get("/v1/workspaces/main/adapters").await.ok(200);
    let adapters = adapters["items"].as_array().unwrap();
    let ours = adapters.iter().find(|adapter| adapter["name"] == "report.files").unwrap();
    assert_eq!(ours["last_error"]["class"], "evidence_not_of_its_kind");
    assert_eq!(ours["consecutive_failures"], 5);
    let remote: Vec<_> = adapters.iter().filter(|one| one["remote"] == true).collect();
    assert_eq!(remote, [ours], "it is marked, and no other one");
    assert_eq!(decide(&service, &claim, &proof()).await.ok(200)["status"], "recorded");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_value_of_no_kind_is_refused_by_the_name_of_its_key(#[case] database: Database) {
    let service = Service::on(database).await;
    failed(&service, "f1").await;
    followed(&service).await;
    let claim = claim(&service, 60).await;
    let size = service.size().await;
    for value in [json!(1.5), json!(null), json!({"a": 1}), json!([1]), json!(1_u64 << 63)] {
        let mut decision = proof();
        decision["evidence"]["pages"] = value.clone();
        let mut seen = proof();
        seen["observation"]["evidence"] = json!({"pages": value});
        for decision in [decision, seen] {
            let reply = decide(&service, &claim, &decision).await;
            assert_eq!(reply.problem(422), "evidence_not_of_its_kind", "{value}");
            let detail = reply.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains("`pages` is no count (a whole number"), "{detail}");
        }
    }
    assert_eq!(service.size().await, size);
    assert_eq!(decide(&service, &claim, &proof()).await.ok(200)["status"], "recorded");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_claim_whose_lease_ended_goes_to_another_and_its_decision_is_refused(
    #[case] database: Database,
) {
    let service = Service::on(database).await;
    failed(&service, "f1").await;
    followed(&service).await;
    let first = claim(&service, 30).await;
    service.wait(20);
    listening(&service).await;
    let kept = beat(&service, &first, 20).await.ok(200);
    assert_eq!(kept["leased_until"], "2026-03-01T12:00:40Z");
    service.wait(19);
    listening(&service).await;
    assert_eq!(claims(&service, 10, 60).await, Vec::<Value>::new(), "the heartbeat kept it");
    service.wait(1);
    listening(&service).await;
    let size = service.size().await;
    assert_eq!(beat(&service, &first, 60).await.problem(409), "claim_expired");
    assert_eq!(decide(&service, &first, &proof()).await.problem(409), "claim_expired");

    let second = claim(&service, 60).await;
    assert_eq!(second["run_id"], first["run_id"]);
    assert_ne!(second["claim_id"], first["claim_id"]);
    assert_eq!(decide(&service, &first, &proof()).await.problem(404), "unknown_claim");
    assert_eq!(beat(&service, &first, 60).await.problem(404), "unknown_claim");
    assert_eq!(service.size().await, size);
    assert_eq!(decide(&service, &second, &proof()).await.ok(200)["status"], "recorded");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_decision_on_a_run_that_has_moved_is_not_forced(#[case] database: Database) {
    let service = Service::following(database).await;
    let run = failed(&service, "f1").await;
    followed(&service).await;
    let before = claim(&service, 60).await;
    let late = json!({"type": "run.succeeded", "run_id": run});
    service.post_json(EVENTS, &late).await.ok(201);
    assert_eq!(decide(&service, &before, &proof()).await.problem(409), "run_moved");
    let standing = standing(&service, run).await;
    assert_eq!(standing["recorded"]["reconciliation"], Value::Null);
    let again = claim(&service, 60).await;
    assert_eq!(again["run_id"], run.to_string());
    assert_eq!(again["recorded"]["contradicted"], true);
    assert_eq!(decide(&service, &again, &proof()).await.ok(200)["status"], "recorded");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn two_who_claim_at_once_never_get_the_same_run(#[case] database: Database) {
    let service = Service::on(database).await;
    for number in 0..12 {
        failed(&service, &format!("f{number}")).await;
    }
    followed(&service).await;
    let mut seen = BTreeSet::new();
    let mut claimed = 0;
    while seen.len() < 12 {
        let both = tokio::join!(claims(&service, 4, 60), claims(&service, 4, 60));
        let runs = both.0.iter().chain(&both.1).map(|claim| claim["run_id"].to_string());
        let before = claimed;
        for run in runs {
            claimed += 1;
            assert!(seen.insert(run), "a run was claimed twice");
        }
        assert!(claimed > before, "somebody must have been faster");
    }
}

#[tokio::test]
async fn a_run_of_which_nothing_is_proven_waits_for_its_next_look() {
    let service = Service::on(Database::Sqlite).await;
    let run = failed(&service, "f1").await;
    followed(&service).await;
    let first = claim(&service, 60).await;
    let open = json!({"decision": "no_change", "reason_code": "no_report_found"});
    assert_eq!(decide(&service, &first, &open).await.ok(200), json!({"status": "no_event"}));
    assert_eq!(standing(&service, run).await["recorded"]["reconciliation"], Value::Null);
    service.wait(REVISIT - 2);
    listening(&service).await;
    assert_eq!(claims(&service, 10, 60).await, Vec::<Value>::new());
    service.wait(2);
    listening(&service).await;
    assert_eq!(claim(&service, 60).await["run_id"], run.to_string());
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_run_of_which_decisions_are_refused_waits_longer_each_time(#[case] database: Database) {
    let service = Service::on(database).await;
    let run = failed(&service, "f1").await;
    followed(&service).await;
    let bad = json!({"decision": "succeeded", "reason_code": "It is there."});
    let go = async |seconds: i64| {
        service.wait(seconds);
        listening(&service).await;
    };
    for _ in 0..2 {
        let claim = claim(&service, 60).await;
        decide(&service, &claim, &bad).await.problem(422);
        // The first waits are 5 and 10 seconds at most.
        go(60 + 10).await;
    }
    let last = claim(&service, 60).await;
    for _ in 0..8 {
        decide(&service, &last, &bad).await.problem(422);
    }
    go(60 + 290).await;
    assert_eq!(
        claims(&service, 10, 60).await,
        Vec::<Value>::new(),
        "it waits five minutes or more"
    );
    go(320).await;
    let again = claim(&service, 60).await;
    assert_eq!(again["run_id"], run.to_string());

    // A good decision ends it, also after a bad one on the same claim.
    decide(&service, &again, &bad).await.problem(422);
    assert_eq!(decide(&service, &again, &proof()).await.ok(200)["status"], "recorded");
    go(100_000).await;
    assert_eq!(claims(&service, 10, 60).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_run_that_falls_silent_waits_for_its_remote_adapter_and_is_given_up_without_it() {
    let service = Service::on(Database::Sqlite).await;
    let data = json!({"operation": OPERATION, "fingerprint": "f1"});
    let dispatched = json!({"type": "run.dispatched", "data": data});
    service.post_json(EVENTS, &dispatched).await.ok(201);
    followed(&service).await;
    assert_eq!(claims(&service, 10, 60).await, Vec::<Value>::new(), "it is fresh");
    service.wait(601);
    // Nobody listened meanwhile: the silence may be the ledger's own.
    assert_eq!(claims(&service, 10, 60).await, Vec::<Value>::new());
    followed(&service).await;
    let claim = claim(&service, 60).await;
    assert_eq!((&claim["stale"], &claim["scope"]), (&json!(true), &json!({"workspace": "main"})));
    let attention = json!({"decision": "needs_attention", "reason_code": "no_report_found"});
    assert_eq!(decide(&service, &claim, &attention).await.ok(200)["status"], "recorded");
    let run: RunId = claim["run_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(standing(&service, run).await["recorded"]["status"], "queued");

    service.wait(25 * 3_600);
    followed(&service).await;
    let standing = standing(&service, run).await;
    assert_eq!(standing["recorded"]["outcome"], "unknown");
    assert_eq!(standing["recorded"]["reconciliation"]["adapter"], "lifecycle");
}

#[tokio::test]
async fn only_a_remote_adapter_claims_and_only_in_its_workspace() {
    let service = Service::on(Database::Sqlite).await;
    failed(&service, "f1").await;
    followed(&service).await;
    let at = |workspace: &str, adapter: &str| {
        format!("/v1/workspaces/{workspace}/adapters/{adapter}/claims")
    };
    for (path, status, code) in [
        (at("main", "nobody"), 404, "unknown_adapter"),
        (at("main", "lifecycle"), 409, "adapter_not_remote"),
        (at("main", "restore.execute"), 409, "adapter_not_remote"),
        (at("elsewhere", "report.files"), 404, "unknown_workspace"),
    ] {
        assert_eq!(service.post_json(&path, &json!({})).await.problem(status), code, "{path}");
    }
    service
        .post_json("/v1/workspaces", &json!({"name": "other", "reason": "for a test"}))
        .await
        .ok(201);
    let other = service.app.ledger().store().workspace_by_name("other").await.unwrap().unwrap();
    service.app.projections().catch_up(other).await.unwrap();
    let elsewhere = service.post_json(&at("other", "report.files"), &json!({})).await.ok(200);
    assert_eq!(elsewhere["items"], json!([]));
    let claim = claim(&service, 60).await;
    let id = claim["claim_id"].as_str().unwrap();
    let foreign = format!("{}/{id}/decision", at("other", "report.files"));
    assert_eq!(service.post_json(&foreign, &proof()).await.problem(404), "unknown_claim");
    let nobodys = format!("{CLAIMS}/00000000-0000-4000-8000-000000000001/decision");
    assert_eq!(service.post_json(&nobodys, &proof()).await.problem(404), "unknown_claim");
    let no_id = format!("{CLAIMS}/mine/decision");
    assert_eq!(service.post_json(&no_id, &proof()).await.problem(400), "invalid_path");
}

#[tokio::test]
async fn every_input_has_its_limit() {
    let service = Service::on(Database::Sqlite).await;
    for wanted in [
        json!({"limit": 0}),
        json!({"limit": 101}),
        json!({"lease_seconds": 0}),
        json!({"lease_seconds": 3601}),
        json!({"limit": -1}),
        json!({"limits": 1}),
    ] {
        let reply = service.post_json(CLAIMS, &wanted).await;
        assert_eq!(reply.problem(422), "invalid_body", "{wanted}");
    }
    let nobodys = format!("{CLAIMS}/00000000-0000-4000-8000-000000000001");
    let beat = format!("{nobodys}/heartbeat");
    let reply = service.post_json(&beat, &json!({"lease_seconds": 0})).await;
    assert_eq!(reply.problem(422), "invalid_body");
    let mut decision = proof();
    decision["reason_code"] = json!("x".repeat(70_000));
    let large = service.post_json(&format!("{nobodys}/decision"), &decision).await;
    assert_eq!(large.problem(413), "body_too_large");
    let reply = service.post(CLAIMS, "{").await;
    assert_eq!((reply.status, reply.problem(400).as_str()), (StatusCode::BAD_REQUEST, "not_json"));
    assert_eq!(service.post_json(CLAIMS, &json!({})).await.ok(200)["items"], json!([]));
}

#[tokio::test]
async fn a_dry_run_says_that_a_remote_adapter_is_not_asked() {
    let service = Service::on(Database::Sqlite).await;
    let run = failed(&service, "f1").await;
    service.app.projections().catch_up(service.main).await.unwrap();
    let path = format!("/v1/workspaces/main/runs/{run}/reconciliations");
    let preview = service.post_json(&format!("{path}?dry_run=true"), &json!({})).await.ok(200);
    assert_eq!(preview["adapters"][0]["error"], "remote");
    // Without it, the run waits for its adapter from now on.
    service.post_json(&path, &json!({})).await.ok(202);
    listening(&service).await;
    assert_eq!(claim(&service, 60).await["run_id"], run.to_string());
}
