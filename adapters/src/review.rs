//! `environment.review.compose`: whether a review of the run's fingerprint is there (DESIGN
//! section 9).
//!
//! Two composers may race for one fingerprint. The domain database lets one of them write and
//! refuses the other, whose run then reports a failure, though the review that it was asked for is
//! there a moment later. This adapter finds it, in the run's own scope and nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use runledger_ledger::run::{AdapterDecision, Run, RunEvent};
use runledger_ledger::words::{Name, WordError};
use serde::{Deserialize, Serialize};

use crate::adapter::{
    Adapter, Case, Decision, Kind, Manifest, SourceError, Wake, wake_on_problems,
};
use crate::conformance::{Set, Specimens, case};
use crate::domain::Domain;

/// What the ledger knows the adapter by, and the operation type that it handles.
pub const ADAPTER: &str = "environment.review.compose";
/// The type of what its decisions are related to.
pub const REVIEW: &str = "environment_review";
/// Most reviews of one fingerprint that are looked at. A run with more is ambiguous.
const MOST_REVIEWS: usize = 16;
/// Most steps that a lineage is followed. A longer one is ambiguous.
const MOST_STEPS: i32 = 32;

/// The adapter. See the module's documentation.
#[derive(Clone, Debug)]
pub struct ReviewCompose {
    domain: Domain,
    manifest: Manifest,
}

impl ReviewCompose {
    /// The adapter over this domain database.
    pub fn new(domain: Domain) -> Self {
        ReviewCompose { domain, manifest: ReviewCompose::describe() }
    }

    /// Its manifest.
    pub fn describe() -> Manifest {
        Manifest::new(ADAPTER, 1)
            .operation(ADAPTER)
            .reads("environment_reviews of the domain database")
            .related(REVIEW)
            .evidence("review_id", Kind::Id)
            .evidence("review_status", Kind::State)
            .evidence("reviews", Kind::Count)
            .evidence("successors", Kind::Count)
    }
}

/// What there is for one run: the reviews of its fingerprint, and what superseded those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewEvidence {
    /// The reviews, each once.
    pub reviews: Vec<Review>,
    /// Whether there are more than are looked at.
    pub truncated: bool,
}

/// One review. It carries its scope, so that a row of another one is never taken for proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the columns of the table of the same name")]
pub struct Review {
    pub id: String,
    pub workspace: String,
    pub environment: String,
    pub fingerprint: String,
    pub status: String,
    pub superseded_by: Option<String>,
}

#[async_trait]
impl Adapter for ReviewCompose {
    type Evidence = ReviewEvidence;

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn handle(&self, event: &RunEvent, run: &Run) -> Wake {
        wake_on_problems(event, run)
    }

    async fn gather(&self, cases: &[Case]) -> Result<Vec<ReviewEvidence>, SourceError> {
        let column = |of: fn(&Case) -> &str| cases.iter().map(of).collect::<Vec<_>>();
        let query = sqlx::query_as(REVIEWS)
            .bind(column(|case| case.workspace_name.as_str()))
            .bind(column(Case::environment))
            .bind(cases.iter().map(fingerprint).collect::<Vec<_>>())
            .bind(MOST_STEPS)
            .bind(i64::try_from(MOST_REVIEWS).unwrap_or(i64::MAX).saturating_add(1));
        let rows: Vec<Row> = self.domain.rows(query).await?;
        Ok(per_case(rows, cases.len()))
    }

    fn decide(&self, case: &Case, evidence: &ReviewEvidence) -> Decision {
        decide(case, evidence)
    }
}

fn fingerprint(case: &Case) -> Option<&str> {
    case.run.fingerprint.as_ref().map(Name::as_str)
}

/// The reviews of each fingerprint in its scope, and the lineage of those that are superseded.
const REVIEWS: &str = "WITH RECURSIVE found AS (
    SELECT asked.place, 0 AS step, first.*
    FROM unnest($1::text[], $2::text[], $3::text[])
        WITH ORDINALITY AS asked (workspace, environment, fingerprint, place)
    CROSS JOIN LATERAL (
        SELECT id, workspace, environment, fingerprint, status, superseded_by
        FROM environment_reviews AS review
        WHERE review.workspace = asked.workspace
          AND review.environment = asked.environment
          AND review.fingerprint = asked.fingerprint
        ORDER BY id LIMIT $5
    ) AS first
    UNION ALL
    SELECT found.place, found.step + 1, next.id, next.workspace, next.environment,
        next.fingerprint, next.status, next.superseded_by
    FROM found JOIN environment_reviews AS next
      ON next.id = found.superseded_by
     AND next.workspace = found.workspace
     AND next.environment = found.environment
    WHERE found.step < $4 AND (found.step > 0 OR found.status = 'superseded')
)
SELECT place, step, id::text, workspace, environment, fingerprint, status, superseded_by::text
FROM found ORDER BY place, step, id";

#[derive(sqlx::FromRow)]
struct Row {
    place: i64,
    step: i32,
    id: String,
    workspace: String,
    environment: String,
    fingerprint: String,
    status: String,
    superseded_by: Option<String>,
}

/// The rows of each case. Places are counted from 1.
fn per_case(rows: Vec<Row>, cases: usize) -> Vec<ReviewEvidence> {
    let none = ReviewEvidence { reviews: Vec::new(), truncated: false };
    let mut evidence = vec![none; cases];
    let mut first = vec![0; cases];
    for row in rows {
        let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
        let Some(of_case) = evidence.get_mut(place) else { continue };
        first[place] += usize::from(row.step == 0);
        let unfinished = row.step == MOST_STEPS && row.superseded_by.is_some();
        of_case.truncated |= unfinished || first[place] > MOST_REVIEWS;
        if of_case.reviews.iter().all(|known| known.id != row.id) {
            of_case.reviews.push(Review {
                id: row.id,
                workspace: row.workspace,
                environment: row.environment,
                fingerprint: row.fingerprint,
                status: row.status,
                superseded_by: row.superseded_by,
            });
        }
    }
    evidence
}

/// Where a review stands, in the words of the domain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Draft,
    There,
    Failed,
    Archived,
    Superseded,
}

fn standing(review: &Review) -> Option<Standing> {
    Some(match review.status.as_str() {
        "draft" => Standing::Draft,
        "ready" | "published" => Standing::There,
        "failed" => Standing::Failed,
        "archived" => Standing::Archived,
        "superseded" => Standing::Superseded,
        _ => return None,
    })
}

/// The rows of DESIGN section 9, in its order.
fn decide(case: &Case, evidence: &ReviewEvidence) -> Decision {
    let in_scope = |review: &&Review| case.is_scope_of(&review.workspace, &review.environment);
    let known: BTreeMap<&str, &Review> = evidence
        .reviews
        .iter()
        .filter(in_scope)
        .map(|review| (review.id.as_str(), review))
        .collect();
    let wanted = fingerprint(case);
    let own: Vec<&Review> = known
        .values()
        .copied()
        .filter(|review| Some(review.fingerprint.as_str()) == wanted)
        .collect();
    let counted = |decision: Decision| decision.evidence("reviews", own.len());
    if evidence.truncated {
        return counted(ambiguous());
    }
    if own.is_empty() {
        return counted(Decision::open(case, "no_review_found"));
    }
    if known.values().any(|review| standing(review).is_none()) {
        return counted(Decision::needs_attention("unknown_review_status"));
    }
    let of = |wanted| own.iter().copied().filter(move |one| standing(one) == Some(wanted));
    if of(Standing::Archived).count() == own.len() {
        let only = if own.len() == 1 { own.first().copied() } else { None };
        return counted(told(AdapterDecision::Blocked, "archived", only));
    }
    if of(Standing::Archived).count() > 0 {
        return counted(ambiguous());
    }
    let lineages: Option<Vec<BTreeSet<&str>>> =
        of(Standing::Superseded).map(|review| successors(review, &known)).collect();
    let Some(lineages) = lineages else {
        return counted(ambiguous());
    };
    if let Some(bad) = lineages.iter().find(|lineage| lineage.len() != 1) {
        let alone = own.len() == 1 && bad.is_empty();
        let reason = if alone { "no_ready_successor" } else { "ambiguous_lineage" };
        return counted(Decision::needs_attention(reason)).evidence("successors", bad.len());
    }
    let there: BTreeSet<&str> = of(Standing::There)
        .map(|review| review.id.as_str())
        .chain(lineages.into_iter().flatten())
        .collect();
    match there.iter().next().and_then(|id| known.get(id)) {
        Some(_) if there.len() > 1 => counted(ambiguous()),
        Some(review) => {
            let direct = standing(review) == Some(Standing::There) && own.contains(review);
            let reason = if direct { "review_ready" } else { "superseded_by_ready_review" };
            counted(told(AdapterDecision::Succeeded, reason, Some(review)))
        }
        None => counted(unfinished(case, &of(Standing::Draft).collect::<Vec<_>>(), &own)),
    }
}

/// Only drafts and failures are there.
fn unfinished(case: &Case, drafts: &[&Review], own: &[&Review]) -> Decision {
    let only = if own.len() == 1 { own.first().copied() } else { None };
    match drafts {
        [] => told(AdapterDecision::Failed, "review_failed", only),
        [draft] => {
            let open = Decision::open(case, "review_is_a_draft");
            about(open, draft)
        }
        drafts if drafts.len() == own.len() => Decision::open(case, "ambiguous_lineage"),
        _ => ambiguous(),
    }
}

/// The ready and published successors of a superseded review; none if its lineage goes in a circle.
fn successors<'a>(
    review: &'a Review,
    known: &BTreeMap<&str, &'a Review>,
) -> Option<BTreeSet<&'a str>> {
    let (mut seen, mut there) = (BTreeSet::from([review.id.as_str()]), BTreeSet::new());
    let next = |review: &Review| known.get(review.superseded_by.as_deref()?).copied();
    let mut at = next(review);
    while let Some(successor) = at {
        if !seen.insert(&successor.id) {
            return None;
        }
        if standing(successor) == Some(Standing::There) {
            there.insert(successor.id.as_str());
        }
        at = next(successor);
    }
    Some(there)
}

fn ambiguous() -> Decision {
    Decision::needs_attention("ambiguous_lineage")
}

fn told(found: AdapterDecision, reason: &str, review: Option<&Review>) -> Decision {
    let decision = Decision::new(found, reason);
    review.map_or(decision.clone(), |review| about(decision, review))
}

fn about(decision: Decision, review: &Review) -> Decision {
    decision
        .related(REVIEW, &review.id)
        .evidence("review_id", review.id.as_str())
        .evidence("review_status", review.status.as_str())
}

impl Specimens for ReviewCompose {
    fn specimens(&self) -> Result<Set<ReviewEvidence>, WordError> {
        let mut case = case(ADAPTER)?;
        case.run.fingerprint = Some(Name::new("f1")?);
        let review = |id: &str, status: &str, superseded_by: Option<&str>| Review {
            id: id.to_owned(),
            workspace: case.workspace_name.to_string(),
            environment: case.environment().to_owned(),
            fingerprint: "f1".to_owned(),
            status: status.to_owned(),
            superseded_by: superseded_by.map(str::to_owned),
        };
        let found = |reviews: Vec<Review>| ReviewEvidence { reviews, truncated: false };
        let elsewhere = |workspace: &str, environment: &str| Review {
            workspace: workspace.to_owned(),
            environment: environment.to_owned(),
            ..review("1", "ready", None)
        };
        let other_work = Review { fingerprint: "f2".to_owned(), ..review("1", "ready", None) };
        Ok(Set::new()
            .proof("ready", &case, found(vec![review("1", "ready", None)]))
            .proof("failed", &case, found(vec![review("1", "failed", None)]))
            .proof(
                "superseded by a published one",
                &case,
                found(vec![review("1", "superseded", Some("2")), review("2", "published", None)]),
            )
            .missing("no review", &case, found(Vec::new()))
            .missing("a review of other work", &case, found(vec![other_work]))
            .contradictory(
                "two ready reviews",
                &case,
                found(vec![review("1", "ready", None), review("2", "published", None)]),
            )
            .contradictory(
                "a lineage that goes in a circle",
                &case,
                found(vec![
                    review("1", "superseded", Some("2")),
                    review("2", "superseded", Some("1")),
                ]),
            )
            .contradictory(
                "more than was read",
                &case,
                ReviewEvidence { reviews: vec![review("1", "ready", None)], truncated: true },
            )
            .foreign("another environment", &case, found(vec![elsewhere("main", "elsewhere")]))
            .foreign(
                "another workspace",
                &case,
                found(vec![elsewhere("other", case.environment())]),
            )
            .malformed(
                "a status that nobody knows",
                &case,
                serde_json::json!(found(vec![review("1", "READY?", None)])),
            ))
    }
}

#[cfg(test)]
mod tests;
