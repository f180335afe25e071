//! Lists of runs: every filter of the API in the URL, with how many runs each choice leaves.

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use runledger_ledger::words::{Outcome, Status};
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::standing::Standing;
use runledger_projections::texts::Phrase;
use runledger_projections::{Facets, Page as Listed};

use super::fault::{Page, html};
use super::shell::{Asked, Shell};
use super::{saved, words};
use crate::app::App;
use crate::problem::ApiError;
use crate::routes::runs::RunQuery;

/// Runs on a page, unless another number is asked for.
const PAGE: u16 = 40;

/// Most operation types that the facet shows before it says that there are more.
const MOST: usize = 12;

#[derive(Template)]
#[template(path = "runs.html")]
pub(super) struct RunsPage {
    pub(super) shell: Shell,
    pub(super) runs: Listed<Standing>,
    pub(super) counts: Facets,
    pub(super) facets: Vec<Facet>,
    pub(super) chips: Vec<Chip>,
    /// Whether something is chosen that the counts of facets do not know.
    pub(super) beyond: bool,
    pub(super) saved: Vec<saved::Choice>,
    /// What the list is narrowed by, to be saved.
    pub(super) filters: String,
    /// Whether it is offered to save it.
    pub(super) saves: bool,
}

/// One thing that the list may be narrowed by.
pub(super) struct Facet {
    pub(super) title: &'static str,
    pub(super) values: Vec<Choice>,
    /// How many values are not shown.
    pub(super) more: usize,
}

/// One of its values.
pub(super) struct Choice {
    pub(super) label: String,
    /// How many runs it leaves; none where that is not counted.
    pub(super) runs: Option<u64>,
    pub(super) chosen: bool,
    pub(super) href: String,
}

/// Something that is chosen, and how to choose it no more.
pub(super) struct Chip {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) href: String,
}

pub(super) async fn page(
    State(app): State<App>,
    Asked { mut shell, view, asked, workspace }: Asked<RunQuery>,
) -> Page<Html<String>> {
    let (filter, mut request) = asked.into_parts();
    if shell.chosen("limit").is_empty() {
        request.limit = PAGE;
    }
    let runs = view.runs(&filter, &request).await?;
    shell.relate(&view, &runs.items).await?;
    let counts = view.facets(&filter).await?;
    let beyond = ["subject", "queue", "connection", "text", "since", "until", "freshness"];
    // A view may name an environment that not everybody knows of.
    let saved = match shell.may_read_adapters() {
        true => app.projections().saved_views(workspace).await.map_err(ApiError::from)?,
        false => Vec::new(),
    };
    let (saved, filters) = saved::choices(&shell, saved);
    let now = shell.as_of.is_none();
    let page = RunsPage {
        saves: now && !filters.is_empty() && !saved.iter().any(|one| one.chosen),
        saved,
        filters,
        beyond: beyond.iter().any(|name| !shell.chosen(name).is_empty()),
        facets: facets(&shell, &counts),
        chips: chips(&shell),
        shell,
        runs,
        counts,
    };
    html(&page)
}

fn facets(shell: &Shell, counts: &Facets) -> Vec<Facet> {
    let w = shell.texts();
    let word = |name, value: &str, label: String, runs| choice(shell, name, value, label, runs);
    let actionability = Actionability::ALL.iter().map(|one| {
        let runs = counts.actionability.get(one).copied().unwrap_or_default();
        word("actionability", one.as_str(), w.actionability(*one), Some(runs))
    });
    let status = Status::ALL.iter().map(|one| {
        let runs = counts.status.get(one).copied().unwrap_or_default();
        word("status", one.as_str(), w.status(*one), Some(runs))
    });
    let freshness =
        Freshness::ALL.iter().map(|one| word("freshness", one.as_str(), w.freshness(*one), None));
    let outcome = Outcome::ALL.iter().map(|one| {
        let runs = counts.outcome.get(one).copied().unwrap_or_default();
        word("outcome", one.as_str(), w.outcome(*one), Some(runs))
    });
    let named = |name: &'static str, all: &std::collections::BTreeMap<String, u64>| {
        let mut all: Vec<_> = all.iter().collect();
        all.sort_by_key(|(_, runs)| std::cmp::Reverse(**runs));
        let values = all.iter().map(|(one, runs)| word(name, one, (*one).clone(), Some(**runs)));
        values.collect::<Vec<_>>()
    };
    vec![
        facet("facet-now", actionability.collect()),
        facet("facet-status", status.collect()),
        facet("facet-outcome", outcome.collect()),
        facet("facet-freshness", freshness.collect()),
        facet("facet-family", named("family", &counts.family)),
        facet("facet-operation", named("operation", &counts.operation)),
    ]
}

/// What is chosen is always shown, and so is what leaves something.
fn facet(title: &'static str, values: Vec<Choice>) -> Facet {
    let mut values: Vec<Choice> =
        values.into_iter().filter(|one| one.chosen || one.runs != Some(0)).collect();
    let more = values.len().saturating_sub(MOST);
    values.sort_by_key(|one| !one.chosen);
    values.truncate(MOST);
    Facet { title, values, more }
}

fn choice(shell: &Shell, name: &str, value: &str, label: String, runs: Option<u64>) -> Choice {
    let chosen = shell.is_chosen(name, value);
    let href = if chosen { shell.without(name) } else { shell.refine(name, value) };
    Choice { label, runs, chosen, href }
}

fn chips(shell: &Shell) -> Vec<Chip> {
    const NAMES: [&str; 14] = [
        "text",
        "follow_up",
        "actionability",
        "status",
        "outcome",
        "freshness",
        "family",
        "operation",
        "subject",
        "queue",
        "connection",
        "since",
        "until",
        "limit",
    ];
    let chosen = NAMES.iter().filter(|name| !shell.chosen(name).is_empty());
    let chip = |name: &&str| Chip {
        name: (*name).to_owned(),
        value: shell.chosen(name).to_owned(),
        href: shell.without(name),
    };
    chosen.map(chip).collect()
}
