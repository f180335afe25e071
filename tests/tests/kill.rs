//! Acknowledged means durable: the server is killed in the middle of a load, 25 times on each
//! database, and no event that it acknowledged is missing afterwards.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runledger_ledger::merkle::leaf_hash;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_tests::ledger_database;
use runledger_tests::process::{ServerProcess, client};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_runledger-under-test");
const KILLS: u64 = 25;
const WRITERS: u64 = 4;
const EVENTS_PER_REQUEST: u64 = 10;

/// Position to leaf hash of every event that was acknowledged.
type Acknowledged = Arc<Mutex<BTreeMap<u64, String>>>;

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_server_loses_no_acknowledged_event_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let file = StoreUrl::SqliteFile(dir.path().join("ledger.db"));
    kill_again_and_again(dir.path(), None, &file).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_server_loses_no_acknowledged_event_on_postgresql() {
    let dir = tempfile::tempdir().unwrap();
    let url = ledger_database().await;
    kill_again_and_again(dir.path(), Some(&url), &StoreUrl::Postgres(url.clone())).await;
}

async fn kill_again_and_again(data_dir: &Path, database_url: Option<&str>, store: &StoreUrl) {
    let acknowledged = Acknowledged::default();
    let mut after_last_kill = 0;
    for kill in 0..KILLS {
        let server = ServerProcess::start(PROGRAM, data_dir, database_url).await.unwrap();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (url, token) = (server.url.clone(), server.token.clone());
                tokio::spawn(write(url, token, kill * WRITERS + writer, Arc::clone(&acknowledged)))
            })
            .collect();
        // The moment of the kill is the fault; what is waited for is that the load has begun.
        let begun = async {
            while acknowledged.lock().unwrap().len() < after_last_kill + 40 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), begun).await.unwrap();
        tokio::time::sleep(Duration::from_micros(kill * 1_700)).await;
        server.kill().await.unwrap();
        for writer in writers {
            writer.await.unwrap();
        }
        after_last_kill = acknowledged.lock().unwrap().len();
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() as u64 >= KILLS * 40);
    check(store, &acknowledged).await;
}

/// Posts dispatches until the server is gone, and keeps every receipt.
async fn write(url: String, token: String, seed: u64, acknowledged: Acknowledged) {
    let client = client();
    for request in 0.. {
        let lines: Vec<String> = (0..EVENTS_PER_REQUEST)
            .map(|line| {
                let run = uuid::Uuid::from_u64_pair(seed, request * EVENTS_PER_REQUEST + line + 1);
                serde_json::json!({
                    "id": run, "type": "run.dispatched", "run_id": run,
                    "data": {"operation": "inventory.sync", "environment": "prod"},
                })
                .to_string()
            })
            .collect();
        let sent = client
            .post(format!("{url}/v1/workspaces/main/events"))
            .bearer_auth(&token)
            .header("content-type", "application/x-ndjson")
            .body(lines.join("\n"))
            .send()
            .await;
        // No answer is no acknowledgement: the server is gone.
        let Ok(response) = sent else { return };
        let Ok(answer) = response.json::<Value>().await else { return };
        let mut acknowledged = acknowledged.lock().unwrap();
        for result in answer["results"].as_array().unwrap() {
            assert_eq!(result["status"], "recorded", "{result}");
            let position = result["position"].as_u64().unwrap();
            let hash = result["leaf_hash"].as_str().unwrap().to_owned();
            assert!(acknowledged.insert(position, hash).is_none(), "{position} twice");
        }
    }
}

async fn check(url: &StoreUrl, acknowledged: &BTreeMap<u64, String>) {
    let store = Store::open(url).await.unwrap();
    let workspace = store.workspace_by_name("main").await.unwrap().unwrap();
    let size = store.head(workspace).await.unwrap().unwrap().size();
    let mut next = 0;
    let mut found = 0;
    while next < size {
        for event in store.log(workspace, next, size, 5_000).await.unwrap() {
            assert_eq!(event.position, next, "a gap");
            let hash = hex::encode(leaf_hash(&event.body));
            assert_eq!(hash, hex::encode(&event.leaf_hash), "position {next}");
            if let Some(receipt) = acknowledged.get(&next) {
                assert_eq!(*receipt, hash, "position {next} holds another event");
                found += 1;
            }
            next += 1;
        }
    }
    assert_eq!(found, acknowledged.len(), "acknowledged events are missing");
}
