//! The overview: what needs a person first, then what is active, then why the rest is quiet.

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use runledger_ledger::time::Moment;
use runledger_ledger::words::Outcome;
use runledger_projections::rules::actionability::{Actionability, is_follow_up};
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::standing::Standing;
use runledger_projections::texts::Phrase;
use runledger_projections::{
    FollowUpFilter, FollowUpItem, OperationStanding, Overview, PageRequest, QueueStanding,
    RecentRuns, RunFilter,
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
/// Most operations that it shows; the page of operations has all of them.
const OPERATIONS: usize = 14;

#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct OverviewPage {
    pub(super) shell: Shell,
    pub(super) overview: Overview,
    pub(super) items: Vec<FollowUpItem>,
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

/// What became of the problems of the last day: why it is quiet, or is not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quiet {
    pub(super) superseded: u64,
    pub(super) by_state: u64,
    pub(super) by_operator: u64,
    pub(super) open: u64,
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

    fn of(recent: &RecentRuns) -> Self {
        let mut quiet = Quiet::default();
        for run in &recent.runs {
            match run.actionability {
                Actionability::SupersededByLaterSuccess => quiet.superseded += 1,
                Actionability::ResolvedByCurrentState => quiet.by_state += 1,
                Actionability::ResolvedByOperator => quiet.by_operator += 1,
                other => quiet.open += u64::from(is_follow_up(other)),
            }
        }
        quiet
    }
}

pub(super) async fn page(
    State(app): State<App>,
    Asked { mut shell, view, workspace, .. }: Asked<PartQuery>,
) -> Page<Html<String>> {
    let environment = shell.environment.clone();
    let environment = environment.as_deref();
    let overview = view.overview(environment).await?;
    let filter = FollowUpFilter { environment: shell.environment.clone(), ..Default::default() };
    let items = view.follow_ups(&filter, &PageRequest::first(ITEMS)).await?.items;
    let mut stale = Vec::new();
    for freshness in [Freshness::StaleRunning, Freshness::StaleQueued] {
        let environment = shell.environment.clone();
        let filter = RunFilter { freshness: Some(freshness), environment, ..RunFilter::default() };
        stale.extend(view.runs(&filter, &PageRequest::first(5)).await?.items);
    }
    let latest = items.iter().flat_map(|item| &item.latest);
    shell.relate(&view, latest.chain(&stale)).await?;
    let since = chart::since(shell.at);
    let recent = view.recent_runs(environment, since).await?;
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
        quiet: Quiet::of(&recent),
        quiet_since: recent.scanned_to.unwrap_or(since),
        adapters: match shell.may_read_adapters() && shell.as_of.is_none() {
            true => adapters(&app, workspace).await?,
            false => Vec::new(),
        },
        shell,
        overview,
        items,
        stale,
        operations,
    })
}
