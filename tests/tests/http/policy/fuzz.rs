//! Two workspaces, and requests of every kind with the tokens of one: nothing of the other is ever
//! in an answer.

use rstest::rstest;
use runledger::policy::ROUTES;
use runledger_ledger::clock::Entropy;
use serde_json::json;

use super::{ADAPTER, ROLES, ask, token};
use crate::service::{Database, Service, run};

/// In every text of the foreign workspace.
const FOREIGN: &str = "marker-of-foreign";
/// Requests of one fuzz; `RUNLEDGER_FUZZ_REQUESTS` asks for another number.
const REQUESTS: usize = 50_000;

/// Chooses, always the same from the same seed.
struct Dice(Entropy);

impl Dice {
    fn roll(&self, sides: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        usize::try_from(u64::from_le_bytes(bytes) % sides as u64).unwrap()
    }

    fn of<'a>(&self, all: &[&'a str]) -> &'a str {
        all[self.roll(all.len())]
    }
}

async fn foreign(service: &Service) -> String {
    let named = "other-workspace";
    service
        .post_json("/v1/workspaces", &json!({"name": named, "reason": "for a test"}))
        .await
        .ok(201);
    let path = format!("/v1/workspaces/{named}/events");
    let events: Vec<_> = (40..48)
        .flat_map(|number: u8| {
            let data = json!({
                "operation": format!("{FOREIGN}.create"), "environment": FOREIGN, "queue": FOREIGN,
                "subject": {"type": FOREIGN, "id": FOREIGN},
                "labels": {FOREIGN: FOREIGN},
                "external_ids": [{"source": FOREIGN, "kind": FOREIGN, "id": FOREIGN}],
            });
            [
                json!({"type": "run.dispatched", "run_id": run(number), "data": data,
                    "source": "ci", "id": format!("d{number}")}),
                json!({"type": "run.failed", "run_id": run(number),
                    "data": {"reason_code": FOREIGN, "message": FOREIGN}}),
            ]
        })
        .collect();
    service.post_json(&path, &json!(events)).await.ok(200);
    let new = json!({"name": FOREIGN, "role": "viewer", "reason": FOREIGN});
    let path = format!("/v1/workspaces/{named}/tokens");
    service.post_json(&path, &new).await.ok(201)["id"].as_str().unwrap().to_owned()
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn no_answer_holds_anything_of_a_foreign_workspace(#[case] database: Database) {
    let service = Service::following(database).await;
    let foreign_token = foreign(&service).await;
    for number in 1..4 {
        let data = json!({"operation": "backup.create", "environment": "production"});
        service.dispatch(number, data).await;
    }
    service.app.projections().catch_up(service.main).await.unwrap();
    for (workspace, _) in service.app.ledger().store().workspaces().await.unwrap() {
        service.app.projections().catch_up(workspace).await.unwrap();
    }
    let mut tokens = Vec::new();
    for role in ROLES {
        tokens.push(token(&service, "main", role, None).await);
    }
    tokens.push(token(&service, "main", "operator", Some(&["production"])).await);
    let asked = std::env::var("RUNLEDGER_FUZZ_REQUESTS").ok().and_then(|text| text.parse().ok());
    let dice = Dice(Entropy::seeded(18));
    let runs: Vec<String> = [1, 2, 3, 40, 41, 47, 99].into_iter().map(run).collect();
    for number in 0..asked.unwrap_or(REQUESTS) {
        let (method, route, _) = ROUTES[dice.roll(ROUTES.len())];
        let id = dice.of(&runs.iter().map(String::as_str).collect::<Vec<_>>());
        let workspace = dice.of(&["main", "main", "main", "other-workspace", "nowhere"]);
        let path = route
            .replace("{workspace}", workspace)
            .replace("{run}", id)
            .replace("{item}", dice.of(&["00000000000000000000000000000000", "x"]))
            .replace("{adapter}", dice.of(&[ADAPTER, "lifecycle", "none"]))
            .replace("{claim}", id)
            .replace("{pack}", id)
            .replace("{token}", dice.of(&[&foreign_token, id]))
            .replace("{member}", dice.of(&["foreign", "viewer-all", "none"]))
            .replace("{type}", "tenant")
            .replace("{id}", "7")
            .replace("{level}", dice.of(&["0", "entries", "1"]))
            .replace("{*index}", dice.of(&["000", "000.p/3", "x"]))
            .replace("{position}", dice.of(&["0", "3", "17", "9999"]));
        let query = dice.of(&[
            "",
            "",
            "",
            "environment=production",
            "as_of=3",
            "as_of=15",
            "limit=1",
            "text=marker",
            "status=queued",
            "after=12",
            "from=0",
            "source=s&kind=k&id=x",
            "queue=default",
            "workspace=other-workspace",
            "cursor=AAAA",
            "lang=de",
            "operation=backup.create",
        ]);
        let path = if query.is_empty() { path } else { format!("{path}?{query}") };
        let started = json!({"type": "run.started", "run_id": id}).to_string();
        let dispatched = json!({"type": "run.dispatched", "source": "ci", "id": "d41",
            "data": {"operation": "backup.create", "environment": "production"}})
        .to_string();
        let body = dice.of(&["", "{}", "[]", &started, &dispatched, "{\"reason\":\"r\"}"]);
        // Whoever takes the tokens away that the rest of the requests are sent with ends the fuzz.
        if path.contains("viewer-all") {
            continue;
        }
        let token = &tokens[dice.roll(tokens.len())];
        let reply = ask(&service, token, method, &path, body).await;
        let told = format!("request {number}, {method} {path} {body}");
        assert!(!reply.status.is_server_error() || reply.status == 503, "{told}: {reply:?}");
        let text = String::from_utf8_lossy(&reply.body);
        assert!(!text.contains(FOREIGN), "{told}: {text}");
        assert!(!text.contains(&foreign_token) || path.contains(&foreign_token), "{told}: {text}");
        let named = path.contains("other-workspace");
        assert!(named || !text.contains("other-workspace"), "{told}: {text}");
        for (name, value) in &reply.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            assert!(!value.contains(FOREIGN), "{told}: {name}: {value}");
        }
    }
}
