//! The overview: what needs a person first, then what is active, then why the rest is quiet.

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use runledger_ledger::time::Moment;
use runledger_ledger::words::Outcome;
use runledger_projections::rules::actionability::{Actionability, is_follow_up};
use runledger_projections::rules::standing::Standing;
use runledger_projections::texts::Phrase;
use runledger_projections::{
    Counts, FollowUpItem, Health, OperationStanding, PageRequest, QueueStanding, RecentRuns,
    RunFilter,
};

use super::adapters::{AdapterView, adapters};
use super::chart::{self, Chart};
use super::fault::{Page, html};
use super::shell::{Asked, Shell};
use super::signed::Signed;
use super::words;
use crate::app::App;
use crate::problem::ApiError;
use crate::routes::overview::PartQuery;

/// Most things to do that it shows.
const ITEMS: u16 = 6;
/// Of those, so many are kept for each verdict that has as many.
const OF_EACH: usize = 2;
/// Most runs that are past their deadline that it shows.
const STALE: u16 = 8;
/// Most operations that it shows; the page of operations has all of them.
const OPERATIONS: usize = 14;

#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct OverviewPage {
    pub(super) shell: Shell,
    pub(super) counts: Counts,
    pub(super) health: Health,
    /// The oldest things to do, by the verdict that says so.
    pub(super) open: Vec<Open>,
    pub(super) stale: Vec<Standing>,
    pub(super) queues: Vec<QueueStanding>,
    pub(super) chart: Chart,
    pub(super) quiet: Quiet,
    /// From when on its runs were looked at.
    pub(super) quiet_since: Moment,
    pub(super) operations: Vec<OperationStanding>,
    pub(super) adapters: Vec<AdapterView>,
    /// What is known of signatures; of the past it is not asked.
    pub(super) signed: Option<Signed>,
}

/// The oldest things to do under one verdict.
pub(super) struct Open {
    pub(super) status: Actionability,
    pub(super) items: Vec<FollowUpItem>,
    /// How many there are in all.
    pub(super) all: u64,
}

/// What became of the problems of late: why it is quiet, or is not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quiet {
    pub(super) superseded: u64,
    pub(super) by_state: u64,
    pub(super) by_operator: u64,
    pub(super) open: u64,
    /// Those that still need a person and were dispatched before.
    pub(super) older: u64,
}

impl Quiet {
    /// How many were closed in which way.
    fn ways(&self) -> [(Actionability, u64); 3] {
        [
            (Actionability::SupersededByLaterSuccess, self.superseded),
            (Actionability::ResolvedByCurrentState, self.by_state),
            (Actionability::ResolvedByOperator, self.by_operator),
        ]
    }

    /// Of the runs that were looked at, among all that need a person.
    fn of(recent: &RecentRuns, follow_up_runs: u64) -> Self {
        let mut quiet = Quiet::default();
        for kind in &recent.runs {
            match kind.actionability {
                Actionability::SupersededByLaterSuccess => quiet.superseded += kind.runs,
                Actionability::ResolvedByCurrentState => quiet.by_state += kind.runs,
                Actionability::ResolvedByOperator => quiet.by_operator += kind.runs,
                other if is_follow_up(other) => quiet.open += kind.runs,
                _ => {}
            }
        }
        quiet.older = follow_up_runs.saturating_sub(quiet.open);
        quiet
    }
}

/// What is to be done, then what is to be looked at: the oldest of each, as many as there is room for.
fn open(counts: &Counts, [to_do, to_review]: [Vec<FollowUpItem>; 2]) -> Vec<Open> {
    let room = usize::from(ITEMS);
    let review = to_review.len().min(OF_EACH.max(room.saturating_sub(to_do.len())));
    let first = to_do.len().min(room - review);
    let items = [(to_do, first), (to_review, review)];
    let open =
        counts.follow_ups().into_iter().zip(items).map(|((status, counts), (items, room))| {
            let items = items.into_iter().take(room).collect();
            Open { status, items, all: counts.items }
        });
    open.filter(|open| !open.items.is_empty()).collect()
}

pub(super) async fn page(
    State(app): State<App>,
    Asked { mut shell, view, workspace, .. }: Asked<PartQuery>,
) -> Page<Html<String>> {
    let environment = shell.environment.clone();
    let environment = environment.as_deref();
    // The frame has read them already.
    let counts = shell.counts();
    let open = match counts.follow_up_items {
        0 => Vec::new(),
        _ => open(&counts, view.oldest_follow_ups(environment, ITEMS).await?),
    };
    let overdue = RunFilter {
        overdue: Some(true),
        environment: shell.environment.clone(),
        ..RunFilter::default()
    };
    let stale = match counts.active_stale {
        0 => Vec::new(),
        _ => view.runs(&overdue, &PageRequest::first(STALE)).await?.items,
    };
    let latest = open.iter().flat_map(|open| &open.items).flat_map(|item| &item.latest);
    shell.relate(&view, latest.chain(&stale)).await?;
    let since = chart::since(shell.at);
    let recent = view.recent_runs(environment, since, chart::BAR).await?;
    let mut operations = view.operations(environment).await?;
    operations.retain(|operation| operation.counts.runs > 0);
    // What needs a person comes first, then what ended last.
    operations.sort_by_key(|one| {
        let last = one.recent.first().map(|end| end.recorded_at);
        (std::cmp::Reverse(one.counts.follow_up_runs > 0), std::cmp::Reverse(last))
    });
    let signed = match shell.as_of {
        _ if !shell.may_read_log() => None,
        Some(_) => None,
        None => {
            let head = app.ledger().store().head(workspace).await.map_err(ApiError::from)?;
            Some(Signed::read(&app, workspace, head.as_ref()).await?)
        }
    };
    html(&OverviewPage {
        signed,
        queues: view.queues().await?,
        chart: Chart::of(&recent, since),
        quiet: Quiet::of(&recent, counts.follow_up_runs),
        health: view.health().await?,
        quiet_since: recent.scanned_to.unwrap_or(since),
        adapters: match shell.may_read_adapters() && shell.as_of.is_none() {
            true => adapters(&app, workspace).await?,
            false => Vec::new(),
        },
        shell,
        counts,
        open,
        stale,
        operations,
    })
}
