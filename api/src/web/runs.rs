//! Lists of runs: every filter of the API in the URL, with how many runs each choice leaves.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use runledger_ledger::words::{Outcome, Status};
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::standing::Standing;
use runledger_projections::texts::Phrase;
use runledger_projections::{Counted, Facets, Page as Listed, View};

use super::fault::{Page, html};
use super::follow_ups::LEFT;
use super::saved::{self, Removal};
use super::shell::{Asked, Shell};
use super::words;
use crate::app::App;
use crate::problem::ApiError;
use crate::routes::runs::RunQuery;

/// Most runs on a page: with all its files it weighs less than 150 KiB.
const PAGE: u16 = 40;
/// The same of those that are heavier: what can be marked, and what names another run.
const HEAVY: u16 = 30;

/// Most operation types that the facet shows before it says that there are more.
const MOST: usize = 12;

/// Most of those that are more: what is beyond them is named in a field.
const REST: usize = 100;

#[derive(Template)]
#[template(path = "runs.html")]
pub(super) struct RunsPage {
    pub(super) shell: Shell,
    pub(super) runs: Listed<Standing>,
    /// How many were asked for, where that is more than a page shows.
    pub(super) capped: Option<u16>,
    pub(super) counts: Facets,
    pub(super) facets: Vec<Facet>,
    pub(super) chips: Vec<Chip>,
    /// Whether something is chosen that the counts of facets do not know.
    pub(super) beyond: bool,
    /// How many runs the list has, as far as they were counted; none where that is not known.
    pub(super) length: Option<Counted>,
    pub(super) saved: Vec<saved::Choice>,
    /// What the list is narrowed by, to be saved.
    pub(super) filters: String,
    /// Whether it is offered to save it.
    pub(super) saves: bool,
}

/// What the list is narrowed by in fields.
const FIELDS: &[&str] = &["subject", "operation", "queue", "connection", "since", "until"];

impl RunsPage {
    /// Whether something is chosen in one of them.
    pub(super) fn has_fields(&self) -> bool {
        FIELDS.iter().any(|name| *name != "operation" && self.shell.asks(name))
    }
}

/// One thing that the list may be narrowed by.
pub(super) struct Facet {
    pub(super) title: &'static str,
    pub(super) values: Vec<Choice>,
    /// The values after those, for whoever opens them.
    pub(super) rest: Vec<Choice>,
    /// How many values are not shown even then.
    pub(super) more: usize,
}

/// One of its values.
pub(super) struct Choice {
    pub(super) label: String,
    /// How many runs it leaves; none where that is not counted.
    pub(super) runs: Option<Counted>,
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
    let (filter, mut request) = asked.into_parts()?;
    let related = filter.actionability.is_some_and(|status| LEFT.contains(&status));
    let heavy = filter.follow_up == Some(true) || filter.left_since.is_some() || related;
    let capped = shell.at_most(if heavy { HEAVY } else { PAGE }, &mut request);
    let runs = view.runs(&filter, &request).await?;
    let nothing = runs.items.is_empty() && shell.as_of.is_none();
    if let Some(name) = filter.queue.as_deref().filter(|_| nothing) {
        super::queues::known(name, &view.queues().await?)?;
    }
    shell.relate(&view, &runs.items).await?;
    let counts = view.facets(&filter).await?;
    let beyond = [
        "subject",
        "queue",
        "connection",
        "text",
        "since",
        "until",
        "left_since",
        "freshness",
        "overdue",
    ];
    // A view may name an environment that not everybody knows of.
    let saved = match shell.may_read_adapters() {
        true => app.projections().saved_views(workspace).await.map_err(ApiError::from)?,
        false => Vec::new(),
    };
    let (saved, filters) = saved::choices(&shell, saved);
    let now = shell.as_of.is_none();
    let beyond = beyond.iter().any(|name| shell.asks(name));
    // A list that fits on its first page has been counted.
    let whole = runs.next.is_none() && request.cursor.is_none() && runs.scanned_to.is_none();
    let whole = whole.then(|| u64::try_from(runs.items.len()).unwrap_or_default());
    let whole = whole.or((!beyond).then_some(counts.runs)).map(Counted::exactly);
    let length = match whole {
        Some(length) => Some(length),
        // What was looked through for a page and not to its end is not looked through once more.
        None if runs.scanned_to.is_some() => None,
        None => Some(view.count_runs(&filter).await?),
    };
    let page = RunsPage {
        length,
        beyond,
        saves: now && !filters.is_empty() && !saved.iter().any(|one| one.chosen),
        saved,
        filters,
        facets: facets(&shell, &counts, &titles(&view, &counts)),
        chips: chips(&shell, &view),
        shell,
        runs,
        capped,
        counts,
    };
    html(&page)
}

fn facets(shell: &Shell, counts: &Facets, titles: &Titles) -> Vec<Facet> {
    let w = shell.texts();
    let word = |name, value: &str, label: String, runs: Option<u64>| {
        choice(shell, name, value, label, runs.map(Counted::exactly))
    };
    let actionability = Actionability::ALL.iter().map(|one| {
        let runs = counts.actionability.get(one).copied().unwrap_or_default();
        word("actionability", one.as_str(), w.actionability(*one), Some(runs))
    });
    let status = Status::ALL.iter().map(|one| {
        let runs = counts.status.get(one).copied().unwrap_or_default();
        word("status", one.as_str(), w.status(*one), Some(runs))
    });
    let freshness = Freshness::ALL.iter().map(|one| {
        // Where those that an adapter ended are more than were counted, the others are not known.
        let reconciled = counts.freshness.get(&Freshness::ReconciledTerminal);
        let unknown = *one == Freshness::Terminal && reconciled.is_some_and(|many| many.more);
        let runs = counts.freshness.get(one).copied().unwrap_or_default();
        let label = w.freshness(*one);
        let (value, runs) = (one.as_str(), (!unknown).then_some(runs));
        choice(shell, "freshness", value, label, runs)
    });
    let outcome = Outcome::ALL.iter().map(|one| {
        let runs = counts.outcome.get(one).copied().unwrap_or_default();
        word("outcome", one.as_str(), w.outcome(*one), Some(runs))
    });
    let named = |name: &'static str, all: &std::collections::BTreeMap<String, u64>| {
        let mut all: Vec<_> = all.iter().collect();
        all.sort_by_key(|(_, runs)| std::cmp::Reverse(**runs));
        let label = |one: &String| titles.get(one).unwrap_or(one).clone();
        let values = all.iter().map(|(one, runs)| word(name, one, label(one), Some(**runs)));
        values.collect::<Vec<_>>()
    };
    vec![
        facet(now(shell), actionability.collect()),
        facet("facet-status", status.collect()),
        facet("facet-outcome", outcome.collect()),
        facet("facet-freshness", freshness.collect()),
        facet("facet-family", named("family", &counts.family)),
        facet("facet-operation", named("operation", &counts.operation)),
    ]
}

/// What is true is called: now, or then.
fn now(shell: &Shell) -> &'static str {
    if shell.as_of.is_some() { "col-then" } else { "facet-now" }
}

/// What people call families, by their names.
type Titles = BTreeMap<String, String>;

fn titles(view: &View, counts: &Facets) -> Titles {
    let title = |name: &String| Some((name.clone(), view.family_title(name)?));
    counts.family.keys().filter_map(title).collect()
}

/// What is chosen is always shown, and so is what leaves something.
fn facet(title: &'static str, values: Vec<Choice>) -> Facet {
    let mut values: Vec<Choice> = values
        .into_iter()
        .filter(|one| one.chosen || one.runs != Some(Counted::exactly(0)))
        .collect();
    values.sort_by_key(|one| !one.chosen);
    let mut rest = values.split_off(values.len().min(MOST));
    let more = rest.len().saturating_sub(REST);
    rest.truncate(REST);
    Facet { title, values, rest, more }
}

fn choice(shell: &Shell, name: &str, value: &str, label: String, runs: Option<Counted>) -> Choice {
    let chosen = shell.is_chosen(name, value);
    let href = if chosen { shell.without(name) } else { shell.refine(name, value) };
    Choice { label, runs, chosen, href }
}

/// The parameters that narrow the list, and what they are called.
const NAMES: [(&str, &str); 16] = [
    ("text", "chip-text"),
    ("follow_up", "facet-now"),
    ("actionability", "facet-now"),
    ("status", "facet-status"),
    ("outcome", "facet-outcome"),
    ("freshness", "facet-freshness"),
    ("overdue", "facet-freshness"),
    ("family", "facet-family"),
    ("operation", "facet-operation"),
    ("subject", "field-subject"),
    ("queue", "fact-queue"),
    ("connection", "field-connection"),
    ("since", "field-since"),
    ("until", "field-until"),
    ("left_since", "chip-left-since"),
    ("limit", "chip-limit"),
];

fn chips(shell: &Shell, view: &View) -> Vec<Chip> {
    let chosen = NAMES.iter().filter(|(name, _)| shell.asks(name));
    let chip = |(name, label): &(&str, &str)| Chip {
        name: shell.say(if *label == "facet-now" { now(shell) } else { label }),
        value: in_words(shell, view, name, shell.chosen(name)),
        href: shell.without(name),
    };
    chosen.map(chip).collect()
}

/// What is chosen, as people call it.
fn in_words(shell: &Shell, view: &View, name: &str, value: &str) -> String {
    let w = shell.texts();
    let word = match name {
        "follow_up" if value == "true" => Some(w.phrase(Phrase::NeedsPerson)),
        "follow_up" => Some(w.phrase(Phrase::NeedsNobody)),
        "overdue" if value == "true" => Some(w.phrase(Phrase::Overdue)),
        "overdue" => Some(w.phrase(Phrase::InTime)),
        "connection" if value.is_empty() => Some(shell.say("connection-none")),
        "actionability" => value.parse().ok().map(|one| w.actionability(one)),
        "status" => value.parse().ok().map(|one| w.status(one)),
        "outcome" => value.parse().ok().map(|one| w.outcome(one)),
        "freshness" => value.parse().ok().map(|one| w.freshness(one)),
        "family" => view.family_title(value),
        "since" | "until" | "left_since" => value.parse().ok().map(|moment| shell.w.utc(moment)),
        _ => None,
    };
    word.unwrap_or_else(|| value.to_owned())
}
