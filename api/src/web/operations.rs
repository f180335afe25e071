//! Operations: what the catalog says of each type, and how its runs went.

use std::collections::HashMap;

use askama::Template;
use axum::response::Html;
use runledger_ledger::time::Span;
use runledger_ledger::words::RunId;
use runledger_projections::OperationStanding;
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::standing::Standing;

use super::fault::{Page, html};
use super::shell::{Asked, Shell};
use super::words;
use crate::routes::overview::PartQuery;

#[derive(Template)]
#[template(path = "operations.html")]
pub(super) struct OperationsPage {
    pub(super) shell: Shell,
    pub(super) families: Vec<FamilyGroup>,
    /// How many types the catalog names, and how many of them anything ran under.
    pub(super) coverage: (usize, usize),
    /// How many types ran that it does not name.
    pub(super) unclassified: usize,
}

/// A family with its operations.
pub(super) struct FamilyGroup {
    pub(super) title: String,
    pub(super) policy: String,
    pub(super) operations: Vec<(OperationStanding, Option<(Span, Span)>)>,
}

pub(super) async fn page(Asked { shell, view, .. }: Asked<PartQuery>) -> Page<Html<String>> {
    let operations = view.operations(shell.environment.as_deref()).await?;
    // How long the last ten of each took; what ran a thousand types is more than a page holds.
    let ids: Vec<RunId> = operations
        .iter()
        .flat_map(|one| one.recent.iter().map(|end| end.run_id))
        .take(1_000)
        .collect();
    let standings = view.standings(&ids).await?;
    let took: HashMap<RunId, Span> =
        standings.iter().filter_map(|run| Some((run.run_id, took(run)?))).collect();
    let named = operations.iter().filter(|one| one.classified);
    let coverage = (named.clone().count(), named.filter(|one| one.counts.runs > 0).count());
    let unclassified = operations.iter().filter(|one| !one.classified).count();
    let mut families: Vec<FamilyGroup> = Vec::new();
    for one in operations {
        let spans = one.recent.iter().filter_map(|end| took.get(&end.run_id).copied()).collect();
        let title = one.family.title.clone();
        let policy = one.family.policy.clone();
        let entry = (one, percentiles(spans));
        match families.iter_mut().find(|family| family.title == title) {
            Some(family) => family.operations.push(entry),
            None => families.push(FamilyGroup { title, policy, operations: vec![entry] }),
        }
    }
    html(&OperationsPage { shell, families, coverage, unclassified })
}

/// From its start to its end, if it reported that: what the ledger gave up, or an adapter found, says
/// nothing of how long it took.
fn took(run: &Standing) -> Option<Span> {
    if run.now.freshness != Freshness::Terminal {
        return None;
    }
    Some(run.recorded.completed_at?.since(run.recorded.started_at?))
}

/// Half of them, and 95 in 100 of them, took at most this long.
fn percentiles(mut spans: Vec<Span>) -> Option<(Span, Span)> {
    spans.sort();
    let at = |hundredths: usize| {
        let place = (spans.len() * hundredths).div_ceil(100).checked_sub(1)?;
        spans.get(place).copied()
    };
    Some((at(50)?, at(95)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_spans_that_were_seen() {
        let spans = |all: &[i64]| all.iter().map(|one| Span::from_secs(*one)).collect();
        let of = |all: &[i64]| {
            percentiles(spans(all))
                .map(|(p50, p95)| (p50.micros() / 1_000_000, p95.micros() / 1_000_000))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some((7, 7)));
        assert_eq!(of(&[9, 1, 2, 3, 4, 5, 6, 7, 8, 10]), Some((5, 10)));
    }
}
