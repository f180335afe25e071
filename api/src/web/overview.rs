//! The overview: what needs a person first, then what is active, then why the rest is quiet.

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Outcome, WorkspaceId};
use runledger_projections::rules::actionability::{Actionability, is_follow_up};
use runledger_projections::rules::standing::Standing;
use runledger_projections::texts::Phrase;
use runledger_projections::{
    Counts, FollowUpItem, Front, Health, Left, OperationStanding, QueueStanding, RecentRuns, View,
    ViewError,
};

use super::adapters::{AdapterView, adapters};
use super::chart::{self, Chart};
use super::fault::{Page, html};
use super::shell::{Asked, Shell};
use super::signed::Signed;
use super::words;
use crate::app::App;
use crate::problem::ApiResult;
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
    /// From when on it is told what left the list.
    pub(super) left_since: Moment,
    /// From when on runs were looked at by their dispatch.
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
    /// Whether more left than were counted.
    pub(super) more: bool,
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

    /// What left the list of late, and what was dispatched of late and is on it, among all that is.
    fn of(left: &Left, recent: &RecentRuns, follow_up_runs: u64) -> Self {
        let closed = |status| left.runs.get(&status).copied().unwrap_or_default();
        let open = recent.runs.iter().filter(|kind| is_follow_up(kind.actionability));
        let open = open.map(|kind| kind.runs).sum();
        Quiet {
            superseded: closed(Actionability::SupersededByLaterSuccess),
            by_state: closed(Actionability::ResolvedByCurrentState),
            by_operator: closed(Actionability::ResolvedByOperator),
            more: left.more,
            open,
            older: follow_up_runs.saturating_sub(open),
        }
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
    let since = chart::since(shell.at);
    // None of these waits for another: they are read at once. None is given up half way either, because
    // what has begun on a connection must come to its end.
    let (reads, beside) =
        tokio::join!(read(&view, &counts, environment, since), beside(&app, &shell, workspace));
    let Reads { open, stale, recent, left, operations, queues, health } = reads?;
    let (signed, adapters) = beside?;
    let latest = open.iter().flat_map(|open| &open.items).flat_map(|item| &item.latest);
    shell.relate(&view, latest.chain(&stale)).await?;
    html(&OverviewPage {
        signed,
        queues,
        chart: Chart::of(&recent, since),
        quiet: Quiet::of(&left, &recent, counts.follow_up_runs),
        left_since: since,
        health,
        quiet_since: recent.scanned_to.unwrap_or(since),
        adapters,
        shell,
        counts,
        open,
        stale,
        operations,
    })
}

/// What the overview asks of the read models.
struct Reads {
    open: Vec<Open>,
    stale: Vec<Standing>,
    recent: RecentRuns,
    left: Left,
    operations: Vec<OperationStanding>,
    queues: Vec<QueueStanding>,
    health: Health,
}

async fn read(
    view: &View,
    counts: &Counts,
    environment: Option<&str>,
    since: Moment,
) -> Result<Reads, ViewError> {
    // What looks through a day stands by itself; the rest is of one reading.
    let (front, recent, left) = tokio::join!(
        view.front(environment, counts, ITEMS, STALE),
        view.recent_runs(environment, since, chart::BAR),
        view.left_since(environment, since),
    );
    let Front { oldest, stale, mut operations, queues, health } = front?;
    operations.retain(|operation| operation.counts.runs > 0);
    // What needs a person comes first, then what ended last.
    operations.sort_by_key(|one| {
        let last = one.recent.first().map(|end| end.recorded_at);
        (std::cmp::Reverse(one.counts.follow_up_runs > 0), std::cmp::Reverse(last))
    });
    Ok(Reads {
        open: open(counts, oldest),
        stale,
        recent: recent?,
        left: left?,
        operations,
        queues,
        health,
    })
}

/// What it asks besides: how the log is signed, and how adapters answer. Of the past it is not asked.
async fn beside(
    app: &App,
    shell: &Shell,
    workspace: WorkspaceId,
) -> ApiResult<(Option<Signed>, Vec<AdapterView>)> {
    let now = shell.as_of.is_none();
    let signed = match now && shell.may_read_log() {
        true => {
            let head = app.ledger().store().head(workspace).await?;
            Some(Signed::read(app, workspace, head.as_ref()).await?)
        }
        false => None,
    };
    let adapters = match now && shell.may_read_adapters() {
        true => adapters(app, workspace).await?,
        false => Vec::new(),
    };
    Ok((signed, adapters))
}
