//! Every adapter of the registry keeps the contract, and the kit finds those that do not.

use std::collections::BTreeSet;

use async_trait::async_trait;
use runledger_adapters::adapter::{
    Adapter, Case, Decision, Kind, Manifest, SourceError, Wake, wake_on_problems,
};
use runledger_adapters::built_in;
use runledger_adapters::conformance::{Rule, Set, Specimens, case, check};
use runledger_adapters::domain::{Domain, DomainSettings};
use runledger_adapters::registry::Registry;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::run::{AdapterDecision, Run, RunEvent};
use runledger_ledger::words::WordError;

#[tokio::test]
async fn every_adapter_of_the_registry_keeps_the_contract() {
    // The kit asks no source, so nobody has to be there.
    let domain = Domain::new(&DomainSettings::new("postgres://nobody@127.0.0.1:1/none")).unwrap();
    let registry = built_in(Some(&domain)).build(&Catalog::built_in()).unwrap();
    assert!(registry.adapters().iter().all(|adapter| adapter.idle().is_none()));
    assert_eq!(check(&registry).await, []);
}

/// Breaks one rule, the one that it is told to.
struct Breaks {
    rule: Rule,
    manifest: Manifest,
    decided: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Adapter for Breaks {
    /// Workspace, environment and state.
    type Evidence = (String, String, String);

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn handle(&self, event: &RunEvent, run: &Run) -> Wake {
        if self.rule == Rule::Settles { Wake::Wake } else { wake_on_problems(event, run) }
    }

    async fn gather(&self, _: &[Case]) -> Result<Vec<Self::Evidence>, SourceError> {
        Ok(Vec::new())
    }

    fn decide(&self, case: &Case, (workspace, environment, state): &Self::Evidence) -> Decision {
        let flipped = self.decided.fetch_xor(true, std::sync::atomic::Ordering::SeqCst);
        let key = if self.rule == Rule::Allowed { "body" } else { "state" };
        let in_scope = case.is_scope_of(workspace, environment) || self.rule == Rule::FailsClosed;
        let found = match (state.as_str(), self.rule) {
            ("done", Rule::Proves) => AdapterDecision::NeedsAttention,
            ("done", Rule::Pure) if flipped => AdapterDecision::Failed,
            ("done", _) if in_scope => AdapterDecision::Succeeded,
            _ => AdapterDecision::NoChange,
        };
        Decision::new(found, "told").evidence(key, "ready")
    }
}

impl Specimens for Breaks {
    fn specimens(&self) -> Result<Set<Self::Evidence>, WordError> {
        let case = case("a.b")?;
        let found = |environment: &str, state: &str| {
            ("main".to_owned(), environment.to_owned(), state.to_owned())
        };
        let set = Set::new()
            .proof("done", &case, found("production", "done"))
            .missing("nothing", &case, found("production", ""))
            .contradictory("both", &case, found("production", "done and not done"))
            .malformed("a number", &case, serde_json::json!(7));
        Ok(match self.rule {
            Rule::Specimens => set,
            _ => set.foreign("elsewhere", &case, found("elsewhere", "done")),
        })
    }
}

fn breaking(rule: Rule) -> Registry {
    let manifest =
        Manifest::new("breaks", 1).operation("a.b").reads("nothing").evidence("state", Kind::State);
    let adapter = Breaks { rule, manifest, decided: Default::default() };
    built_in(None).with(adapter).build(&Catalog::built_in()).unwrap()
}

#[tokio::test]
async fn the_kit_names_the_rule_that_is_broken() {
    for rule in
        [Rule::Specimens, Rule::Pure, Rule::Proves, Rule::FailsClosed, Rule::Allowed, Rule::Settles]
    {
        let broken: BTreeSet<Rule> =
            check(&breaking(rule)).await.into_iter().map(|failure| failure.rule).collect();
        assert!(broken.contains(&rule), "{rule}: {broken:?}");
        // A flip also proves nothing every other time.
        let others = broken.iter().filter(|found| **found != rule).count();
        assert!(others == 0 || rule == Rule::Pure, "{rule}: {broken:?}");
    }
}

#[tokio::test]
async fn the_kit_finds_nothing_wrong_with_an_adapter_that_breaks_nothing() {
    assert_eq!(check(&breaking(Rule::Idempotent)).await, []);
}
