//! `certificate.renew`: whether the certificate that a run was to renew has been issued since.
//!
//! `docs/write-an-adapter.md` walks through this file.

use async_trait::async_trait;
use runledger_adapters::adapter::{
    Adapter, Case, Decision, Kind, Manifest, SourceError, Wake, wake_on_problems,
};
use runledger_adapters::conformance::{Set, Specimens, case};
use runledger_adapters::domain::Domain;
use runledger_ledger::run::{AdapterDecision, Run, RunEvent};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, Subject, WordError};
use serde::{Deserialize, Serialize};

pub(crate) struct CertificateRenew {
    domain: Domain,
    manifest: Manifest,
}

impl CertificateRenew {
    pub(crate) fn new(domain: Domain) -> Self {
        let manifest = Manifest::new("certificate.renew", 1)
            .operation("certificate.renew")
            .reads("certificates of the domain database")
            .related("certificate")
            .evidence("state", Kind::State)
            .evidence("issued_at", Kind::Time);
        CertificateRenew { domain, manifest }
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Certificate {
    workspace: String,
    environment: String,
    name: String,
    state: String,
    issued_at: Option<Moment>,
}

#[async_trait]
impl Adapter for CertificateRenew {
    type Evidence = Option<Certificate>;

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn handle(&self, event: &RunEvent, run: &Run) -> Wake {
        wake_on_problems(event, run)
    }

    async fn gather(&self, cases: &[Case]) -> Result<Vec<Option<Certificate>>, SourceError> {
        let query = sqlx::query_as(CERTIFICATES)
            .bind(cases.iter().map(|case| case.workspace_name.as_str()).collect::<Vec<_>>())
            .bind(cases.iter().map(Case::environment).collect::<Vec<_>>())
            .bind(cases.iter().map(certificate).collect::<Vec<_>>());
        let mut evidence = vec![None; cases.len()];
        for row in self.domain.rows::<Row>(query).await? {
            let (place, workspace, environment, name, state, issued_at) = row;
            let issued_at = issued_at.map(Moment::from_micros);
            let found = Certificate { workspace, environment, name, state, issued_at };
            if let Some(of_case) = usize::try_from(place - 1).ok().and_then(|n| evidence.get_mut(n))
            {
                *of_case = Some(found);
            }
        }
        Ok(evidence)
    }

    fn decide(&self, case: &Case, evidence: &Option<Certificate>) -> Decision {
        let of_run = |found: &&Certificate| {
            case.is_scope_of(&found.workspace, &found.environment)
                && certificate(case) == Some(found.name.as_str())
        };
        let Some(found) = evidence.as_ref().filter(of_run) else {
            return Decision::open(case, "no_certificate_found");
        };
        let issued_since = found.issued_at.filter(|at| *at > case.run.dispatched_at);
        let decision = match (found.state.as_str(), issued_since) {
            ("issued", Some(at)) => {
                Decision::new(AdapterDecision::Succeeded, "issued_since").evidence("issued_at", at)
            }
            ("issued", None) => Decision::open(case, "not_issued_since"),
            ("requested", _) => Decision::open(case, "still_requested"),
            ("refused", _) => Decision::new(AdapterDecision::Blocked, "refused_by_authority"),
            _ => return Decision::needs_attention("unknown_certificate_state"),
        };
        decision.related("certificate", &found.name).evidence("state", found.state.as_str())
    }
}

/// The certificate that the run's subject names.
fn certificate(case: &Case) -> Option<&str> {
    let subject = case.run.subject.as_ref()?;
    (subject.kind.as_str() == "certificate").then(|| subject.id.as_str())
}

const CERTIFICATES: &str = "
    SELECT asked.place, workspace, environment, name, state,
        (extract(epoch FROM issued_at) * 1000000)::bigint
    FROM unnest($1::text[], $2::text[], $3::text[])
        WITH ORDINALITY AS asked (workspace, environment, name, place)
    JOIN certificates USING (workspace, environment, name)";

type Row = (i64, String, String, String, String, Option<i64>);

impl Specimens for CertificateRenew {
    fn specimens(&self) -> Result<Set<Option<Certificate>>, WordError> {
        let mut case = case("certificate.renew")?;
        case.run.subject = Some(Subject { id: Name::new("www")?, kind: Name::new("certificate")? });
        let issued = Certificate {
            workspace: "main".to_owned(),
            environment: "production".to_owned(),
            name: "www".to_owned(),
            state: "issued".to_owned(),
            issued_at: Some(case.at),
        };
        let refused = Certificate { state: "refused".to_owned(), ..issued.clone() };
        let before = Certificate { issued_at: Some(Moment::EPOCH), ..issued.clone() };
        let another = Certificate { name: "api".to_owned(), ..issued.clone() };
        let undated = Certificate { issued_at: None, ..issued.clone() };
        let staging = Certificate { environment: "staging".to_owned(), ..issued.clone() };
        Ok(Set::new()
            .proof("issued since", &case, Some(issued))
            .proof("refused", &case, Some(refused))
            .missing("none", &case, None)
            .missing("issued before the run", &case, Some(before))
            .missing("another certificate", &case, Some(another))
            .contradictory("issued, but never", &case, Some(undated))
            .foreign("of another environment", &case, Some(staging))
            .malformed("half a row", &case, serde_json::json!({ "state": "issued" })))
    }
}
