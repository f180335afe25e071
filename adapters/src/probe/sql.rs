//! The SQL probe: a registered query of the domain database, and what its rows mean.
//!
//! An administrator writes the query; a run only gives values to its named parameters, which are
//! bound and never become text of a statement. A page of runs is one statement. The query returns the
//! columns `workspace` and `environment` of each row, so that a query that forgets its scope proves
//! nothing.

mod named;

use async_trait::async_trait;
use runledger_ledger::run::{Run, RunEvent};
use runledger_ledger::words::WordError;
use serde::Deserialize;
use sqlx::AssertSqlSafe;

use super::{Common, Found, Place, ProbeEvidence, ProbeFault, SQL_READS};
use crate::adapter::{
    Adapter, Case, Decision, Manifest, Observation, SourceError, Wake, Watched, wake_on_problems,
};
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
        common.check_asked(|place| query.contains(&format!("runledger_case.{place}")))?;
        let named = related.into_iter().chain(&common.verified_at).chain([&common.value]);
        let columns = common.evidence.keys().chain(named);
        for column in columns {
            if !is_word(column) {
                return Err(common.fault(format!("{column:?} is no plain name of a column")));
            }
        }
        // As JSON has it, so that times are RFC 3339 and flags `true` whatever the server's settings.
        let text = |column: &str| format!("to_jsonb(probe.{column}) #>> '{{}}'");
        let maybe =
            |column: Option<&String>| column.map_or("NULL::text".to_owned(), |column| text(column));
        let kept: Vec<String> = common.evidence.keys().map(|column| text(column)).collect();
        Ok(format!(
            "SELECT runledger_case.place, {}, {}, {}, {}, {}, ARRAY[{}]::text[]
             FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                    $7::text[]) WITH ORDINALITY
                 AS runledger_case (workspace, environment, run_id, fingerprint, subject_type,
                    subject_id, external_id, place)
             CROSS JOIN LATERAL (SELECT * FROM (\n{query}\n) AS probe LIMIT {MOST_ROWS}) AS probe",
            text("workspace"),
            text("environment"),
            text(&common.value),
            maybe(related),
            maybe(common.verified_at.as_ref()),
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

    /// What the query says of each, in one statement.
    async fn ask(&self, places: &[Place<'_>]) -> Result<Vec<ProbeEvidence>, SourceError> {
        // The administrator's query, checked by `plan`; what runs say is bound.
        let query = sqlx::query_as(AssertSqlSafe(self.statement.clone()))
            .bind(each(places, |place| place.workspace))
            .bind(each(places, |place| place.environment))
            .bind(each(places, |place| place.run_id))
            .bind(each(places, |place| place.fingerprint))
            .bind(each(places, Place::subject_type))
            .bind(each(places, Place::subject_id))
            .bind(each(places, |place| place.external_id));
        let mut evidence = vec![ProbeEvidence::default(); places.len()];
        for row in self.domain.rows::<Row>(query).await? {
            let (place, workspace, environment, value, related, verified_at, kept) = row;
            let kept = self.common.evidence.keys().cloned().zip(kept);
            let found = Found {
                // A row without a scope is of none.
                workspace: workspace.unwrap_or_default(),
                environment: environment.unwrap_or_else(|| "\0".to_owned()),
                value,
                related,
                verified_at,
                kept: kept.filter_map(|(key, text)| Some((key, text?))).collect(),
            };
            let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
            if let Some(of_place) = evidence.get_mut(place) {
                of_place.found.push(found);
            }
        }
        Ok(evidence)
    }
}

/// Place, workspace, environment, value, related, verified at, and what is kept.
type Row = (
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Vec<Option<String>>,
);

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
        self.ask(&cases.iter().map(Place::from).collect::<Vec<_>>()).await
    }

    fn decide(&self, case: &Case, evidence: &ProbeEvidence) -> Decision {
        self.common.decide(case, evidence)
    }

    async fn survey(&self, watched: &[Watched]) -> Result<Vec<ProbeEvidence>, SourceError> {
        self.ask(&watched.iter().map(Place::from).collect::<Vec<_>>()).await
    }

    fn observe(&self, watched: &Watched, evidence: &ProbeEvidence) -> Option<Observation> {
        self.common.observe(watched, evidence)
    }
}

impl Specimens for SqlProbe {
    fn specimens(&self) -> Result<Set<ProbeEvidence>, WordError> {
        self.common.specimens()
    }
}

fn each<'a, T>(places: &[Place<'a>], of: impl Fn(&Place<'a>) -> T) -> Vec<T> {
    places.iter().map(of).collect()
}
