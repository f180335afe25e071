//! The adapter of `docs/write-an-adapter.md`, held to the contract and run over a real table.

use runledger_adapters::adapter::Case;
use runledger_adapters::conformance::check;
use runledger_adapters::{built_in, registry::Registry};
use runledger_ledger::catalog::Catalog;

use crate::stand::{Stand, all_said, run_of};

#[path = "../../../adapters/examples/certificate/adapter.rs"]
mod adapter;

fn registry(stand: &Stand) -> Registry {
    let adapter = adapter::CertificateRenew::new(stand.domain());
    built_in(None).with(adapter).build(&Catalog::built_in()).unwrap()
}

/// The blocks of this language in the page.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_page_shows_the_code_that_runs() {
    let page = include_str!("../../../docs/write-an-adapter.md");
    let code = concat!(
        include_str!("../../../adapters/examples/certificate/adapter.rs"),
        include_str!("../../../adapters/examples/certificate/main.rs"),
    );
    let shown = blocks(page, "rust");
    assert!(shown.len() >= 7, "only {} blocks", shown.len());
    for block in shown {
        assert!(code.contains(block), "the example has changed, and the page shows:\n{block}");
    }
}

#[tokio::test]
async fn the_example_keeps_the_contract_and_judges() {
    let stand = Stand::new().await;
    let page = include_str!("../../../docs/write-an-adapter.md");
    stand.run(blocks(page, "sql")[0]).await;
    stand
        .run(
            "INSERT INTO certificates VALUES
                ('main', 'production', 'new', 'issued', '2026-01-01T00:00:30Z'),
                ('main', 'production', 'old', 'issued', '2025-01-01T00:00:00Z'),
                ('main', 'production', 'wanted', 'requested', NULL),
                ('main', 'production', 'no', 'refused', NULL),
                ('main', 'staging', 'away', 'issued', '2026-01-01T00:00:30Z')",
        )
        .await;
    stand.let_read("certificates").await;
    let registry = registry(&stand);
    assert_eq!(check(&registry).await, []);
    let renewing = |name: &str| {
        let mut case = run_of("certificate.renew");
        case.run.subject = Some(format!("certificate/{name}").parse().unwrap());
        Case { stale: true, ..case }
    };
    let judged =
        registry.judge(["new", "old", "wanted", "no", "away"].map(renewing).to_vec()).await;
    assert_eq!(
        all_said(&judged),
        [
            "succeeded issued_since certificate/new",
            "needs_attention not_issued_since certificate/old",
            "needs_attention still_requested certificate/wanted",
            "blocked refused_by_authority certificate/no",
            "needs_attention no_certificate_found -",
        ]
    );
}
