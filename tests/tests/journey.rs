//! The life of an event, run: the eight steps of ARCHITECTURE.md, from a report over HTTP to the
//! standing that a person reads, on the program as it is shipped. Begin here.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use reqwest::Client;
use runledger_ledger::merkle::leaf_hash;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_tests::process::{ServerProcess, client};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_runledger-under-test");
const FAILED: &str = "018f0000-0000-7000-8000-000000000001";
const LATER: &str = "018f0000-0000-7000-8000-000000000002";

#[tokio::test]
async fn a_failure_stays_history_and_stops_asking_once_a_later_run_made_it_good() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(PROGRAM, dir.path(), None).await.unwrap();
    let ledger = Caller { client: client(), server };

    // 1 to 5: a report comes in, is decided on, sealed, and appended. The receipt means: on disk.
    let dispatched = ledger.report(FAILED, "run.dispatched", check_of_connection_42()).await;
    assert_eq!(dispatched["status"], "recorded");
    let failed = json!({"outcome": "blocked", "reason_code": "consent_missing"});
    let failed = ledger.report(FAILED, "run.failed", failed).await;

    // 6 to 8: the follower has folded it; the standing holds both truths. `after` waits for it.
    let standing = ledger.standing(FAILED, &format!("after={}", failed["position"])).await;
    assert_eq!(standing["recorded"]["outcome"], "blocked");
    assert_eq!(standing["now"]["actionability"]["status"], "actionable");
    assert_eq!(standing["now"]["guidance"]["key"], "needs_action");
    assert_eq!(ledger.follow_ups(&failed).await, 1);

    // A report that comes twice is told so, and recorded once.
    let again = ledger.report(FAILED, "run.dispatched", check_of_connection_42()).await;
    assert_eq!(again["status"], "duplicate");

    // Days later the same check succeeds. The failure is superseded, with the proof named.
    ledger.report(LATER, "run.dispatched", check_of_connection_42()).await;
    let succeeded = ledger.report(LATER, "run.succeeded", json!({})).await;
    let standing = ledger.standing(FAILED, &format!("after={}", succeeded["position"])).await;
    assert_eq!(standing["recorded"]["outcome"], "blocked", "history is not rewritten");
    assert_eq!(standing["now"]["actionability"]["status"], "superseded_by_later_success");
    assert_eq!(standing["now"]["actionability"]["proof"]["run_id"], LATER);
    assert_eq!(ledger.follow_ups(&succeeded).await, 0);

    // What was answered then is answered again, as of then.
    let then = ledger.standing(FAILED, &format!("as_of={}", failed["position"])).await;
    assert_eq!(then["now"]["actionability"]["status"], "actionable");

    // And the log itself holds the bytes that the receipt is the hash of.
    ledger.server.kill().await.unwrap();
    let file = StoreUrl::SqliteFile(dir.path().join("ledger.db"));
    let store = Store::open(&file).await.unwrap();
    let workspace = store.workspace_by_name("main").await.unwrap().unwrap();
    let position = failed["position"].as_u64().unwrap();
    let event = store.log(workspace, position, position + 1, 1).await.unwrap().remove(0);
    assert_eq!(failed["leaf_hash"], hex::encode(leaf_hash(&event.body)));
}

fn check_of_connection_42() -> Value {
    json!({
        "operation": "provider.connection.check",
        "environment": "prod",
        "subject": {"type": "provider_connection", "id": "42"},
        "queue": "checks",
    })
}

/// A source that reports, and a person who reads.
struct Caller {
    client: Client,
    server: ServerProcess,
}

impl Caller {
    async fn report(&self, run: &str, kind: &str, data: Value) -> Value {
        let url = format!("{}/v1/workspaces/main/events", self.server.url);
        let event = json!({"type": kind, "run_id": run, "data": data});
        let sent = self.client.post(url).bearer_auth(&self.server.token).json(&event).send();
        sent.await.unwrap().json().await.unwrap()
    }

    async fn standing(&self, run: &str, query: &str) -> Value {
        self.get(&format!("runs/{run}?{query}")).await
    }

    async fn follow_ups(&self, after: &Value) -> usize {
        let page = self.get(&format!("follow-ups?after={}", after["position"])).await;
        page["items"].as_array().unwrap().len()
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("{}/v1/workspaces/main/{path}", self.server.url);
        let answer = self.client.get(url).bearer_auth(&self.server.token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }
}
