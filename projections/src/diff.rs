//! What changed between two moments: a workspace's counts and things to do, or one run.
//!
//! Both sides are answered as any question as of their moment is, so nothing here judges anything.

use std::collections::BTreeMap;

use runledger_ledger::time::Moment;
use runledger_ledger::words::RunId;
use serde::{Deserialize, Serialize};

use crate::query::{Counts, FollowUpFilter, FollowUpItem, PageRequest};
use crate::rules::actionability::ItemKey;
use crate::rules::rfc3339;
use crate::rules::standing::Standing;
use crate::view::{View, ViewError};

/// Most things to do that are read of one moment.
const ITEMS: usize = 2_000;

/// One of the two moments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// When it is.
    #[serde(with = "rfc3339")]
    pub at: Moment,
    /// How many events of the log count then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    /// How many runs and things to do there are then.
    pub counts: Counts,
}

/// What changed in a workspace between two moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// The earlier moment.
    pub from: Side,
    /// The later one.
    pub to: Side,
    /// Things to do that are there only at the later one.
    pub appeared: Vec<FollowUpItem>,
    /// Those that are there at both, and not with the same runs or the same verdict.
    pub changed: Vec<Changed>,
    /// Those that are there only at the earlier one.
    pub gone: Vec<Gone>,
    /// False if there was more to do than is compared: 2,000 things of a moment, the latest first.
    pub complete: bool,
}

/// A thing to do that is there at both moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// As it was.
    pub from: FollowUpItem,
    /// As it is.
    pub to: FollowUpItem,
}

/// A thing to do that is not there any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gone {
    /// As it was.
    pub item: FollowUpItem,
    /// Its latest run at the later moment: the verdict of that says why it has gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Standing>,
}

/// One run at two moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunDiff {
    /// Its standing at the earlier one; none if nothing was recorded of it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Standing>,
    /// Its standing at the later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Standing>,
    /// Whether anything but the moment differs in what is recorded.
    pub recorded_changed: bool,
    /// Whether its freshness, its verdict or what a person is told differs.
    pub now_changed: bool,
}

/// What changed between two views of one workspace, the earlier first.
pub async fn diff(from: &View, to: &View) -> Result<Diff, ViewError> {
    let (before, all_before) = items(from).await?;
    let (after, all_after) = items(to).await?;
    let mut after: BTreeMap<ItemKey, FollowUpItem> =
        after.into_iter().map(|item| (item.key, item)).collect();
    let (mut changed, mut left) = (Vec::new(), Vec::new());
    for item in before {
        match after.remove(&item.key) {
            Some(now) if is_same(&item, &now) => {}
            Some(now) => changed.push(Changed { from: item, to: now }),
            None => left.push(item),
        }
    }
    let mut appeared: Vec<FollowUpItem> = after.into_values().collect();
    appeared.sort_by_key(|item| std::cmp::Reverse((item.last_settled_at, item.key)));
    let gone = gone(to, left).await?;
    let complete = all_before && all_after;
    Ok(Diff { from: side(from).await?, to: side(to).await?, appeared, changed, gone, complete })
}

/// One run in two views of its workspace, the earlier first.
pub async fn run_diff(from: &View, to: &View, run: RunId) -> Result<RunDiff, ViewError> {
    let (from, to) = (from.run(run).await?, to.run(run).await?);
    let recorded = |standing: &Option<Standing>| standing.as_ref().map(|it| it.recorded.clone());
    let now = |standing: &Option<Standing>| {
        let now = standing.as_ref().map(|standing| &standing.now);
        now.map(|now| (now.freshness, now.actionability.clone(), now.guidance.key))
    };
    let (recorded_changed, now_changed) =
        (recorded(&from) != recorded(&to), now(&from) != now(&to));
    Ok(RunDiff { from, to, recorded_changed, now_changed })
}

async fn side(view: &View) -> Result<Side, ViewError> {
    let overview = view.overview(None).await?;
    // It counts what happened in the whole workspace.
    let events = (!view.sight().is_narrowed()).then(|| view.position());
    Ok(Side { at: view.at(), events, counts: overview.counts })
}

/// What there is to do, and whether that is all.
async fn items(view: &View) -> Result<(Vec<FollowUpItem>, bool), ViewError> {
    let filter = FollowUpFilter::default();
    let mut all = Vec::new();
    let mut request = PageRequest::first(PageRequest::MOST);
    loop {
        let page = view.follow_ups(&filter, &request).await?;
        all.extend(page.items);
        match page.next {
            None => return Ok((all, true)),
            Some(_) if all.len() >= ITEMS => return Ok((all, false)),
            Some(next) => request = request.at(next),
        }
    }
}

fn is_same(before: &FollowUpItem, after: &FollowUpItem) -> bool {
    let what = |item: &FollowUpItem| {
        (item.occurrences, item.actionability, item.reason.clone(), item.last_settled_at)
    };
    what(before) == what(after)
}

/// Why things to do have gone: what is true now of the latest run of each.
async fn gone(to: &View, left: Vec<FollowUpItem>) -> Result<Vec<Gone>, ViewError> {
    let latest = |item: &FollowUpItem| item.latest.first().map(|standing| standing.run_id);
    let ids: Vec<RunId> = left.iter().filter_map(latest).collect();
    let mut standings: BTreeMap<RunId, Standing> =
        to.standings(&ids).await?.into_iter().map(|standing| (standing.run_id, standing)).collect();
    let gone = left.into_iter().map(|item| {
        let now = latest(&item).and_then(|run| standings.remove(&run));
        Gone { item, now }
    });
    Ok(gone.collect())
}
