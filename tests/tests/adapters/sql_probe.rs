//! The SQL probe over a real table.

use runledger_adapters::adapter::Case;
use runledger_adapters::built_in;
use runledger_adapters::conformance::check;
use runledger_adapters::probe::Probes;
use runledger_adapters::registry::Registry;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::subject::SubjectState;
use runledger_ledger::words::Name;

use crate::stand::{Stand, all_said, run_of};

const EXPORTS: &str = r#"
[[sql]]
name = "exports"
version = 1
operations = ["policy.bulk.export"]
query = """
    SELECT workspace, environment, state, id, done_at, files FROM exports
    WHERE workspace = :workspace AND environment = :environment AND fingerprint = :fingerprint"""
value = "state"
related = { type = "export", from = "id" }
evidence = { state = "state", done_at = "time", files = "count" }

[[sql.means]]
value = "done"
decision = "succeeded"
reason = "export_done"
observe = "healthy"

[[sql.means]]
value = "broken"
decision = "failed"
reason = "export_failed"

[[sql.means]]
value = "writing"
decision = "no_change"
reason = "export_is_being_written"
"#;

async fn stand() -> Stand {
    let stand = Stand::new().await;
    stand
        .run(
            "CREATE TABLE exports (id int, workspace text, environment text, fingerprint text,
                 state text, done_at timestamptz, files int);
             INSERT INTO exports VALUES
                (1, 'main', 'production', 'done', 'done', '2026-01-01T00:00:00+02', 3),
                (2, 'main', 'production', 'broken', 'broken', NULL, NULL),
                (3, 'main', 'production', 'writing', 'writing', NULL, 0),
                (4, 'main', 'production', 'odd', 'paused', NULL, 0),
                (5, 'main', 'production', 'twice', 'done', NULL, 0),
                (6, 'main', 'production', 'twice', 'done', NULL, 0),
                (7, 'main', 'staging', 'away', 'done', NULL, 0),
                (8, 'main', 'production', 'minus', 'done', NULL, -1)",
        )
        .await;
    stand.let_read("exports").await;
    stand
}

fn registry(stand: &Stand, probes: &str) -> Registry {
    let probes = Probes::parse(probes).unwrap();
    let registry = probes.register(built_in(None), Some(&stand.domain())).unwrap();
    registry.build(&Catalog::built_in()).unwrap()
}

fn exporting(fingerprint: &str) -> Case {
    let mut case = run_of("policy.bulk.export");
    case.run.fingerprint = Some(Name::new(fingerprint).unwrap());
    case
}

#[tokio::test]
async fn a_probe_keeps_the_contract_and_judges_a_page_in_one_query() {
    let stand = stand().await;
    Probes::parse(EXPORTS).unwrap().check(&stand.domain()).await.unwrap();
    let registry = registry(&stand, EXPORTS);
    assert_eq!(check(&registry).await, []);
    let prints = ["done", "broken", "writing", "odd", "twice", "away", "none", "minus"];
    let judged = registry.judge(prints.map(exporting).to_vec()).await;
    assert_eq!(
        all_said(&judged),
        [
            "succeeded export_done export/1",
            "failed export_failed export/2",
            "no_change export_is_being_written export/3",
            "needs_attention value_without_a_meaning -",
            "needs_attention several_found -",
            "no_change nothing_found -",
            "no_change nothing_found -",
            "evidence_not_of_its_kind",
        ]
    );
    let commands = &judged[0].ruling().unwrap().commands;
    let evidence = serde_json::to_value(&commands.reconcile.evidence).unwrap();
    assert_eq!(evidence["files"], 3);
    let done_at = evidence["done_at"].as_str().unwrap();
    assert!(done_at.contains('T'), "{done_at}");
    let (key, seen) = commands.observe.as_ref().unwrap();
    assert_eq!((key.subject.to_string().as_str(), seen.state), ("thing/1", SubjectState::Healthy));
    assert_eq!(key.environment, judged[0].case.run.environment);
}

#[tokio::test]
async fn a_query_that_forgets_its_scope_proves_nothing() {
    let stand = stand().await;
    let forgetful = EXPORTS.replace(
        "workspace = :workspace AND environment = :environment AND",
        "(:workspace || :environment) IS NOT NULL AND",
    );
    let judged = registry(&stand, &forgetful).judge(vec![exporting("away")]).await;
    assert_eq!(all_said(&judged), ["no_change nothing_found -"]);
}

#[tokio::test]
async fn a_query_that_the_database_refuses_is_found_at_the_start() {
    let stand = stand().await;
    for (from, to, code) in [
        ("FROM exports", "FROM nowhere", "42P01"),
        ("SELECT workspace, environment,", "SELECT workspace,", "42703"),
        ("SELECT workspace", "SELECT typo, workspace", "42703"),
    ] {
        let probes = Probes::parse(&EXPORTS.replace(from, to)).unwrap();
        let why = probes.check(&stand.domain()).await.unwrap_err().to_string();
        assert!(why.contains(code) && !why.contains("nowhere"), "{why}");
    }
}

#[tokio::test]
async fn what_a_run_says_is_never_sql() {
    let stand = stand().await;
    let registry = registry(&stand, EXPORTS);
    for hostile in ["' OR true --", "done'; DROP TABLE exports; --", "$1", ":fingerprint", "{}"] {
        let judged = registry.judge(vec![exporting(hostile)]).await;
        assert_eq!(all_said(&judged), ["no_change nothing_found -"], "{hostile}");
    }
}
