//! Remote adapters: programs of their own, in any language, that claim runs to judge and post what
//! they found (`docs/remote-adapters.md`).
//!
//! A file says what they are and what their decisions may hold, so that such a program is held to a
//! manifest like every other adapter. Nobody calls it: its runs wait until it comes for them.

use std::collections::{BTreeMap, BTreeSet};

use runledger_ledger::time::Span;
use serde::Deserialize;

use crate::adapter::{Kind, Manifest, REVISIT};
use crate::registry::RegistryBuilder;

/// What a remote adapter reads, unless its configuration says so.
const READS: &str = "what a program of its own reads";
/// The shortest time until a run that nothing was proven of may be claimed again.
const SHORTEST_REVISIT: Span = Span::from_secs(1);

/// What is configured of a remote adapter: a table `remote` of the file of the probes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteConfig {
    /// What the ledger knows it by.
    pub name: String,
    /// The version of what it decides.
    pub version: u32,
    /// The operation types that it handles.
    pub operations: BTreeSet<String>,
    /// The keys that its evidence may have, and the kind of each.
    #[serde(default)]
    pub evidence: BTreeMap<String, Kind>,
    /// The types of things that its decisions may be related to.
    #[serde(default)]
    pub related: BTreeSet<String>,
    /// What it reads, for people.
    pub reads: Option<String>,
    /// How long after a look that proved nothing its runs may be claimed again.
    pub revisit: Option<Span>,
}

impl RemoteConfig {
    /// The manifest that its decisions are held to.
    pub fn manifest(&self) -> Manifest {
        let manifest = Manifest::new(&self.name, self.version)
            .reads(self.reads.as_deref().unwrap_or(READS))
            .revisit(self.revisit.unwrap_or(REVISIT).max(SHORTEST_REVISIT));
        let manifest = self.operations.iter().fold(manifest, Manifest::operation);
        let manifest = self.related.iter().fold(manifest, Manifest::related);
        let with =
            |manifest: Manifest, (key, kind): (&String, &Kind)| manifest.evidence(key, *kind);
        self.evidence.iter().fold(manifest, with)
    }

    /// Registers it.
    pub(crate) fn register(&self, registry: RegistryBuilder) -> RegistryBuilder {
        registry.remote(self.manifest())
    }
}

#[cfg(test)]
mod tests {
    use runledger_ledger::catalog::Catalog;
    use runledger_ledger::run::{AdapterDecision, Ended, RunEvent};

    use super::*;
    use crate::adapter::{Decision, Wake};
    use crate::built_in;
    use crate::conformance::case;
    use crate::probe::{ProbeFault, Probes};
    use crate::registry::{Registry, Unjudged};
    use crate::seam::SeamError;

    const REMOTE: &str = r#"
        [[remote]]
        name = "ledger.export"
        version = 3
        operations = ["policy.bulk.export"]
        evidence = { items = "count", state = "state" }
        related = ["export"]
        revisit = "2m"
    "#;

    fn registry(text: &str) -> Result<Registry, String> {
        let probes = Probes::parse(text).map_err(|error| error.to_string())?;
        let registry = probes.register(built_in(None), None).unwrap();
        registry.build(&Catalog::built_in()).map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_remote_adapter_is_registered_like_every_other() {
        let registry = registry(REMOTE).unwrap();
        let adapter = registry.owner("policy.bulk.export").unwrap();
        assert_eq!(
            (adapter.manifest.name.as_str(), adapter.manifest.version),
            ("ledger.export", 3)
        );
        assert_eq!(adapter.manifest.revisit, Span::from_secs(120));
        assert!(adapter.is_remote());
        assert_eq!(adapter.idle(), None);
        let rows = registry.rows(&Catalog::built_in());
        let row = rows.iter().find(|row| row.operation == "policy.bulk.export").unwrap();
        assert_eq!(row.adapter, Some(("ledger.export".to_owned(), 3)));
    }

    #[test]
    fn one_that_takes_another_adapters_name_or_operation_is_refused() {
        let twice = registry(&format!("{REMOTE}{REMOTE}")).unwrap_err();
        assert!(twice.contains("two adapters are called ledger.export"), "{twice}");
        assert!(twice.contains("both ledger.export and ledger.export handle"), "{twice}");
        let other = REMOTE.replace("ledger.export", "other");
        let owned = registry(&format!("{REMOTE}{other}")).unwrap_err();
        assert!(
            owned.contains("both ledger.export and other handle policy.bulk.export"),
            "{owned}"
        );
    }

    #[test]
    fn one_that_is_not_whole_is_refused_by_what_is_wrong() {
        let none = registry(&REMOTE.replace(r#"["policy.bulk.export"]"#, "[]")).unwrap_err();
        assert!(none.contains("it handles nothing"), "{none}");
        let kind = Probes::parse(&REMOTE.replace("\"count\"", "\"anything\"")).unwrap_err();
        assert!(matches!(kind, ProbeFault::Form(_)), "{kind}");
        let member = Probes::parse(&REMOTE.replace("revisit", "revist")).unwrap_err();
        assert!(member.to_string().contains("revist"), "{member}");
    }

    #[tokio::test]
    async fn nobody_asks_it_and_its_runs_wake_as_those_of_others() {
        let registry = registry(REMOTE).unwrap();
        let adapter = registry.adapter("ledger.export").unwrap();
        let case = case("policy.bulk.export").unwrap();
        let ended = RunEvent::Ended(Ended::default());
        assert_eq!(adapter.handle(&ended, &case.run), Wake::Wake);
        let judged = registry.judge(vec![case]).await;
        assert_eq!(judged[0].asked[0].result, Err(Unjudged::Remote));
    }

    #[test]
    fn what_it_posts_passes_the_seam_or_is_refused_whole() {
        let registry = registry(REMOTE).unwrap();
        let adapter = registry.adapter("ledger.export").unwrap();
        let case = case("policy.bulk.export").unwrap();
        let found = Decision::new(AdapterDecision::Succeeded, "export_done");
        let good = found.clone().related("export", "7").evidence("items", 3_i64);
        let ruling = adapter.posted(&case, good).unwrap();
        assert_eq!(ruling.commands.reconcile.expected_events, Some(case.run.events));
        assert_eq!(ruling.commands.reconcile.adapter_version, 3);
        let bad = adapter.posted(&case, found.evidence("password", "hunter2")).unwrap_err();
        assert_eq!(bad, SeamError::NotAllowed { key: "`password`".to_owned() });
    }
}
