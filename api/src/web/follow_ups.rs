//! Follow-ups: what needs a person as things to do, what left the list, and the proof of it.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Html;
use runledger_ledger::words::Name;
use runledger_projections::rules::actionability::{Actionability, Proof, is_follow_up};
use runledger_projections::rules::standing::Standing;
use runledger_projections::texts::Phrase;
use runledger_projections::{FollowUpFilter, FollowUpItem, ItemOrder, Page as Listed, RunFilter};
use serde::Deserialize;

use super::fault::{Page, html};
use super::links::encode;
use super::shell::{Asked, Shell};
use super::words;
use crate::problem::{ApiResult, Parameter, Takes};
use crate::question::{self, Limit, NameOrNone};

/// Most things on a page: with all its files it weighs less than 150 KiB.
const PAGE: u16 = 25;

/// Which of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FollowUpsQuery {
    pub(super) environment: Option<NameOrNone>,
    pub(super) operation: Option<Name>,
    pub(super) family: Option<Name>,
    pub(super) actionability: Option<Actionability>,
    pub(super) sort: Option<ItemOrder>,
    pub(super) limit: Option<Limit<500>>,
    pub(super) cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "follow_ups.html")]
pub(super) struct FollowUpsPage {
    pub(super) shell: Shell,
    pub(super) tabs: Vec<Tab>,
    /// What needs a person.
    pub(super) items: Listed<FollowUpItem>,
    /// How many were asked for, where that is more than a page shows.
    pub(super) capped: Option<u16>,
    /// What left the list, if that is asked for.
    pub(super) left: Option<Listed<Standing>>,
    /// What it may be narrowed by.
    pub(super) operations: Vec<Choosable>,
    pub(super) families: Vec<Choosable>,
    /// Whether the oldest comes first.
    pub(super) oldest_first: bool,
}

/// Something that the list may be narrowed by, and how many runs that leaves.
pub(super) struct Choosable {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) runs: u64,
}

/// A verdict to look at.
pub(super) struct Tab {
    pub(super) label: String,
    /// How many there are, with their noun; none where the list is narrowed further.
    pub(super) count: Option<String>,
    pub(super) chosen: bool,
    pub(super) href: String,
}

/// The ways in which a run leaves the list.
pub(super) const LEFT: [Actionability; 3] = [
    Actionability::SupersededByLaterSuccess,
    Actionability::ResolvedByCurrentState,
    Actionability::ResolvedByOperator,
];

impl FollowUpsQuery {
    /// The things to do that are asked for.
    pub(super) fn items(&self) -> FollowUpFilter {
        FollowUpFilter {
            environment: self.environment.as_ref().map(|name| name.0.clone()),
            operation: self.operation.as_ref().map(ToString::to_string),
            family: self.family.as_ref().map(ToString::to_string),
            actionability: self.actionability,
            sort: self.sort,
        }
    }

    /// The same of runs.
    pub(super) fn runs(&self) -> RunFilter {
        let FollowUpFilter { environment, operation, family, actionability, sort: _ } =
            self.items();
        RunFilter { environment, operation, family, actionability, ..RunFilter::default() }
    }

    fn has_left(&self) -> bool {
        self.actionability.is_some_and(|status| LEFT.contains(&status))
    }
}

pub(super) async fn page(
    Asked { mut shell, view, asked, .. }: Asked<FollowUpsQuery>,
) -> Page<Html<String>> {
    listed(asked.actionability)?;
    let mut request = question::page(asked.limit, asked.cursor.clone());
    let capped = shell.at_most(PAGE, &mut request);
    let nothing = Listed { items: Vec::new(), next: None, scanned_to: None };
    let (items, left) = match asked.has_left() {
        true => (nothing, Some(view.runs(&asked.runs(), &request).await?)),
        false => (view.follow_ups(&asked.items(), &request).await?, None),
    };
    let latest = items.items.iter().flat_map(|item| &item.latest);
    shell.relate(&view, latest.chain(left.iter().flat_map(|left| &left.items))).await?;
    let tabs = tabs(&shell, asked.actionability);
    let narrowed = RunFilter {
        environment: asked.runs().environment,
        actionability: asked.actionability,
        follow_up: asked.actionability.is_none().then_some(true),
        ..RunFilter::default()
    };
    let counts = view.facets(&narrowed).await?;
    let operations = choosable(&shell, "operation", &counts.operation, |_| None);
    let families = choosable(&shell, "family", &counts.family, |name| view.family_title(name));
    let oldest_first = asked.sort == Some(ItemOrder::Oldest);
    html(&FollowUpsPage { shell, tabs, items, capped, left, operations, families, oldest_first })
}

/// This page is of what needs a person, and of what did. Other runs are on the page of runs.
fn listed(status: Option<Actionability>) -> ApiResult<()> {
    match status {
        Some(status) if !is_follow_up(status) && !LEFT.contains(&status) => {
            let listed = Actionability::ALL.iter();
            let listed = listed.filter(|one| is_follow_up(**one) || LEFT.contains(one));
            let takes = Takes::Words(listed.map(ToString::to_string).collect());
            let (name, given) = ("actionability".to_owned(), Some(status.to_string()));
            let detail = format!("`actionability`: runs that are {status} are no follow-ups");
            Err(Parameter { name, given, takes }.refuse(detail))
        }
        _ => Ok(()),
    }
}

fn choosable(
    shell: &Shell,
    name: &str,
    counts: &BTreeMap<String, u64>,
    label: impl Fn(&str) -> Option<String>,
) -> Vec<Choosable> {
    let mut all: Vec<Choosable> = counts
        .iter()
        .filter(|(one, runs)| **runs > 0 || shell.is_chosen(name, one))
        .map(|(one, runs)| Choosable {
            name: one.clone(),
            label: label(one).unwrap_or_else(|| one.clone()),
            runs: *runs,
        })
        .collect();
    let chosen = shell.chosen(name);
    if !chosen.is_empty() && all.iter().all(|one| one.name != chosen) {
        all.push(Choosable { name: chosen.to_owned(), label: chosen.to_owned(), runs: 0 });
    }
    all.sort_by(|one, other| one.label.cmp(&other.label));
    all
}

fn tabs(shell: &Shell, chosen: Option<Actionability>) -> Vec<Tab> {
    let counts = shell.counts();
    let narrowed = ["operation", "family"].map(|name| (name, shell.chosen(name)));
    let narrowed = narrowed.iter().filter(|(_, value)| !value.is_empty());
    let narrowed: Vec<String> =
        narrowed.map(|(name, value)| format!("{name}={}", encode(value))).collect();
    // What is counted is not counted by operation and family.
    let count = |count: u64, noun: &str| narrowed.is_empty().then(|| shell.counted(count, noun));
    let page = |pairs: &[String]| match pairs {
        [] => "follow-ups".to_owned(),
        pairs => format!("follow-ups?{}", pairs.join("&")),
    };
    // What left the list has one order.
    let sort = Some(shell.chosen("sort")).filter(|sort| !sort.is_empty());
    let sorted: Vec<String> =
        narrowed.iter().cloned().chain(sort.map(|sort| format!("sort={sort}"))).collect();
    let open = counts.follow_ups().map(|(status, counts)| (status, counts.items, "unit-items"));
    let left = LEFT.map(|status| {
        let runs = counts.by_actionability.get(&status).copied().unwrap_or_default();
        (status, runs, "unit-runs")
    });
    let all = Tab {
        label: shell.say("follow-ups-open"),
        count: count(counts.follow_up_items, "unit-items"),
        chosen: chosen.is_none(),
        href: shell.to(&page(&sorted)),
    };
    let tab = |(status, many, noun): (Actionability, u64, &str)| Tab {
        label: shell.texts().actionability(status),
        count: count(many, noun),
        chosen: chosen == Some(status),
        href: match LEFT.contains(&status) {
            true => shell.to_with(&page(&narrowed), "actionability", status),
            false => shell.to_with(&page(&sorted), "actionability", status),
        },
    };
    std::iter::once(all).chain(open.into_iter().chain(left).map(tab)).collect()
}
