//! The SQL probe: a registered query of the domain database, and what its rows mean.
//!
//! An administrator writes the query; a run only gives values to its named parameters, which are
//! bound and never become text of a statement. A page of runs is one statement. The query returns the
//! columns `workspace` and `environment` of each row, so that a query that forgets its scope proves
//! nothing.

mod named;

use async_trait::async_trait;
use runledger_ledger::run::{Run, RunEvent};
use runledger_ledger::words::{Name, WordError};
use serde::Deserialize;
use sqlx::AssertSqlSafe;

use super::{Common, Found, ProbeEvidence, ProbeFault, SQL_READS};
use crate::adapter::{Adapter, Case, Decision, Manifest, SourceError, Wake, wake_on_problems};
use crate::conformance::{Set, Specimens};
use crate::domain::Domain;
use crate::seam::is_word;
use named::with_parameters;

/// Most rows that are read for one run: two are one too many.
const MOST_ROWS: usize = 2;

/// The parameters of a query: what a run gives to it. Those that it does not have are null.
pub const PARAMETERS: &[&str] = &[
    "workspace",
    "environment",
    "run_id",
    "fingerprint",
    "subject_type",
    "subject_id",
    "external_id",
];

/// One SQL probe of a file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SqlConfig {
    /// Its name, its operation types, and what the values mean.
    #[serde(flatten)]
    pub common: Common,
    /// One SELECT with [`PARAMETERS`] written `:workspace`. It must use `:workspace` and
    /// `:environment`, and return columns of these names.
    pub query: String,
}

/// The adapter. See the module's documentation.
#[derive(Clone, Debug)]
pub struct SqlProbe {
    common: Common,
    domain: Domain,
    manifest: Manifest,
    statement: String,
}

impl SqlProbe {
    /// The probe over this domain database.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn new(config: &SqlConfig, domain: Domain) -> Result<Self, ProbeFault> {
        let statement = SqlProbe::plan(config)?;
        let manifest = config.common.manifest(SQL_READS);
        Ok(SqlProbe { common: config.common.clone(), domain, manifest, statement })
    }

    /// The statement for a page of runs: the query, once for each.
    pub(super) fn plan(config: &SqlConfig) -> Result<String, ProbeFault> {
        let common = &config.common;
        common.check()?;
        let query = with_parameters(&config.query).map_err(|why| common.fault(why))?;
        let related = common.related.as_ref().map(|related| &related.from);
        let columns = common.evidence.keys().chain(related).chain([&common.value]);
        for column in columns {
            if !is_word(column) {
                return Err(common.fault(format!("{column:?} is no plain name of a column")));
            }
        }
        // As JSON has it, so that times are RFC 3339 and flags `true` whatever the server's settings.
        let text = |column: &str| format!("to_jsonb(probe.{column}) #>> '{{}}'");
        let kept: Vec<String> = common.evidence.keys().map(|column| text(column)).collect();
        Ok(format!(
            "SELECT runledger_case.place, {}, {}, {}, {}, ARRAY[{}]::text[]
             FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                    $7::text[]) WITH ORDINALITY
                 AS runledger_case (workspace, environment, run_id, fingerprint, subject_type,
                    subject_id, external_id, place)
             CROSS JOIN LATERAL (SELECT * FROM (\n{query}\n) AS probe LIMIT {MOST_ROWS}) AS probe",
            text("workspace"),
            text("environment"),
            text(&common.value),
            related.map_or("NULL::text".to_owned(), |column| text(column)),
            kept.join(", "),
        ))
    }

    /// Lets the database prepare the statement.
    ///
    /// # Errors
    /// It refuses, or does not answer.
    pub async fn check(&self) -> Result<(), ProbeFault> {
        self.domain.prepare(&self.statement).await.map_err(|why| self.common.fault(why))
    }
}

type Row =
    (i64, Option<String>, Option<String>, Option<String>, Option<String>, Vec<Option<String>>);

#[async_trait]
impl Adapter for SqlProbe {
    type Evidence = ProbeEvidence;

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn handle(&self, event: &RunEvent, run: &Run) -> Wake {
        wake_on_problems(event, run)
    }

    async fn gather(&self, cases: &[Case]) -> Result<Vec<ProbeEvidence>, SourceError> {
        // The administrator's query, checked by `plan`; what runs say is bound.
        let query = sqlx::query_as(AssertSqlSafe(self.statement.clone()))
            .bind(cases.iter().map(|case| case.workspace_name.as_str()).collect::<Vec<_>>())
            .bind(cases.iter().map(Case::environment).collect::<Vec<_>>())
            .bind(cases.iter().map(|case| case.run_id.0).collect::<Vec<_>>())
            .bind(texts(cases, |run| run.fingerprint.as_ref()))
            .bind(texts(cases, |run| run.subject.as_ref().map(|subject| &subject.kind)))
            .bind(texts(cases, |run| run.subject.as_ref().map(|subject| &subject.id)))
            .bind(texts(cases, only_external_id));
        let mut evidence = vec![ProbeEvidence::default(); cases.len()];
        for row in self.domain.rows::<Row>(query).await? {
            let (place, workspace, environment, value, related, kept) = row;
            let kept = self.common.evidence.keys().cloned().zip(kept);
            let found = Found {
                // A row without a scope is of none.
                workspace: workspace.unwrap_or_default(),
                environment: environment.unwrap_or_else(|| "\0".to_owned()),
                value,
                related,
                kept: kept.filter_map(|(key, text)| Some((key, text?))).collect(),
            };
            let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
            if let Some(of_case) = evidence.get_mut(place) {
                of_case.found.push(found);
            }
        }
        Ok(evidence)
    }

    fn decide(&self, case: &Case, evidence: &ProbeEvidence) -> Decision {
        self.common.decide(case, evidence)
    }
}

impl Specimens for SqlProbe {
    fn specimens(&self) -> Result<Set<ProbeEvidence>, WordError> {
        self.common.specimens()
    }
}

fn texts<'a>(cases: &'a [Case], of: fn(&'a Run) -> Option<&'a Name>) -> Vec<Option<&'a str>> {
    cases.iter().map(|case| of(&case.run).map(Name::as_str)).collect()
}

/// The run's external id, if it has exactly one: never a likely one.
fn only_external_id(run: &Run) -> Option<&Name> {
    match run.external_ids.as_slice() {
        [only] => Some(&only.id),
        _ => None,
    }
}
