//! `restore.execute`: what the domain's own record of a restore says (DESIGN section 9).

use async_trait::async_trait;
use runledger_ledger::run::{AdapterDecision, Run, RunEvent};
use runledger_ledger::words::{Name, Subject, WordError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::adapter::{
    Adapter, Case, Decision, Kind, Manifest, SourceError, Wake, wake_on_problems,
};
use crate::conformance::{Set, Specimens, case};
use crate::domain::Domain;

/// What the ledger knows the adapter by, and the operation type that it handles.
pub const ADAPTER: &str = "restore.execute";
/// The type of what its decisions are related to, and of subjects that name a record.
pub const RESTORE: &str = "restore_run";
/// Most records that are looked at for one run: two are one too many.
const MOST_RECORDS: i64 = 3;

/// The adapter. See the module's documentation.
#[derive(Clone, Debug)]
pub struct RestoreExecute {
    domain: Domain,
    manifest: Manifest,
}

impl RestoreExecute {
    /// The adapter over this domain database.
    pub fn new(domain: Domain) -> Self {
        RestoreExecute { domain, manifest: RestoreExecute::describe() }
    }

    /// Its manifest.
    pub fn describe() -> Manifest {
        Manifest::new(ADAPTER, 1)
            .operation(ADAPTER)
            .reads("restore_runs of the domain database")
            .related(RESTORE)
            .evidence("restore_id", Kind::Id)
            .evidence("restore_status", Kind::State)
            .evidence("restores", Kind::Count)
    }
}

/// The domain's record of a restore: the one that names the run, or that the run's subject names.
/// It carries its scope, so that a row of another one is never taken for proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the columns of the table `restore_runs`")]
pub struct Restore {
    pub id: String,
    pub workspace: String,
    pub environment: String,
    pub run_id: Option<Uuid>,
    pub status: String,
}

#[async_trait]
impl Adapter for RestoreExecute {
    type Evidence = Vec<Restore>;

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn handle(&self, event: &RunEvent, run: &Run) -> Wake {
        wake_on_problems(event, run)
    }

    async fn gather(&self, cases: &[Case]) -> Result<Vec<Vec<Restore>>, SourceError> {
        let column = |of: fn(&Case) -> &str| cases.iter().map(of).collect::<Vec<_>>();
        let query = sqlx::query_as(RESTORES)
            .bind(column(|case| case.workspace_name.as_str()))
            .bind(column(Case::environment))
            .bind(cases.iter().map(|case| case.run_id.0).collect::<Vec<_>>())
            .bind(cases.iter().map(named_record).collect::<Vec<_>>())
            .bind(MOST_RECORDS);
        let rows: Vec<Row> = self.domain.rows(query).await?;
        let mut evidence = vec![Vec::new(); cases.len()];
        for row in rows {
            let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
            if let Some(of_case) = evidence.get_mut(place) {
                of_case.push(row.restore);
            }
        }
        Ok(evidence)
    }

    fn decide(&self, case: &Case, evidence: &Vec<Restore>) -> Decision {
        decide(case, evidence)
    }
}

/// The record that the run's subject names, where its subject is one.
fn named_record(case: &Case) -> Option<i64> {
    let subject: &Subject = case.run.subject.as_ref().filter(|it| it.kind.as_str() == RESTORE)?;
    subject.id.as_str().parse().ok()
}

/// The records of each run in its scope.
const RESTORES: &str = "SELECT asked.place, record.*
    FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[])
        WITH ORDINALITY AS asked (workspace, environment, run_id, id, place)
    CROSS JOIN LATERAL (
        SELECT id::text, workspace, environment, run_id, status
        FROM restore_runs AS restore
        WHERE restore.workspace = asked.workspace
          AND restore.environment = asked.environment
          AND (restore.run_id = asked.run_id OR restore.id = asked.id)
        ORDER BY restore.id LIMIT $5
    ) AS record
    ORDER BY asked.place";

#[derive(sqlx::FromRow)]
struct Row {
    place: i64,
    #[sqlx(flatten)]
    restore: Restore,
}

/// The rows of DESIGN section 9, in its order.
fn decide(case: &Case, evidence: &[Restore]) -> Decision {
    let own: Vec<&Restore> = evidence.iter().filter(|restore| is_of(case, restore)).collect();
    let counted = |decision: Decision| decision.evidence("restores", own.len());
    let restore = match own.as_slice() {
        [] => return counted(Decision::open(case, "no_restore_found")),
        [restore] => *restore,
        _ => return counted(Decision::needs_attention("ambiguous_restore")),
    };
    let (found, reason) = match restore.status.as_str() {
        "completed" => (AdapterDecision::Succeeded, "restore_completed"),
        "completed_with_errors" => {
            (AdapterDecision::PartiallySucceeded, "restore_completed_with_errors")
        }
        "failed" => (AdapterDecision::Failed, "restore_failed"),
        "aborted" => (AdapterDecision::Blocked, "restore_aborted"),
        "executing" => (AdapterDecision::NoChange, "restore_is_executing"),
        "previewed" => (AdapterDecision::NoChange, "restore_is_previewed"),
        _ => return counted(Decision::needs_attention("unknown_restore_status")),
    };
    counted(Decision::new(found, reason))
        .related(RESTORE, &restore.id)
        .evidence("restore_id", restore.id.as_str())
        .evidence("restore_status", restore.status.as_str())
}

/// Whether this is a record of the run, in its scope. One that names another run is none, even if
/// the run's subject names it: it is the record of that run's try.
fn is_of(case: &Case, restore: &Restore) -> bool {
    let named = named_record(case).is_some_and(|id| id.to_string() == restore.id);
    let of_run = restore.run_id.map_or(named, |run_id| run_id == case.run_id.0);
    case.is_scope_of(&restore.workspace, &restore.environment) && of_run
}

impl Specimens for RestoreExecute {
    fn specimens(&self) -> Result<Set<Vec<Restore>>, WordError> {
        let case = case(ADAPTER)?;
        let restore = |id: &str, status: &str| Restore {
            id: id.to_owned(),
            workspace: case.workspace_name.to_string(),
            environment: case.environment().to_owned(),
            run_id: Some(case.run_id.0),
            status: status.to_owned(),
        };
        let mut named = case.clone();
        named.run.subject = Some(Subject { id: Name::new("7")?, kind: Name::new(RESTORE)? });
        let elsewhere = |workspace: &str, environment: &str| Restore {
            workspace: workspace.to_owned(),
            environment: environment.to_owned(),
            ..restore("1", "completed")
        };
        let of_another_run = Restore { run_id: Some(Uuid::max()), ..restore("7", "completed") };
        Ok(Set::new()
            .proof("completed", &case, vec![restore("1", "completed")])
            .proof("aborted", &case, vec![restore("1", "aborted")])
            .proof(
                "named by the subject",
                &named,
                vec![Restore { run_id: None, ..restore("7", "failed") }],
            )
            .missing("no record", &case, Vec::new())
            .missing("a record of another run", &named, vec![of_another_run])
            .missing("still executing", &case, vec![restore("1", "executing")])
            .contradictory(
                "two records",
                &case,
                vec![restore("1", "completed"), restore("2", "failed")],
            )
            .foreign("another environment", &case, vec![elsewhere("main", "elsewhere")])
            .foreign("another workspace", &case, vec![elsewhere("other", case.environment())])
            .malformed(
                "a status that nobody knows",
                &case,
                serde_json::json!([restore("1", "done?")]),
            ))
    }
}

#[cfg(test)]
mod tests;
