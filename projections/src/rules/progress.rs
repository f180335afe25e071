//! Progress (DESIGN section 8): how far a run says that it is, subordinate to its freshness.

use std::collections::BTreeMap;

use runledger_ledger::run::{Progress, Run};
use runledger_ledger::words;
use runledger_ledger::words::Name;
use serde::{Deserialize, Serialize};

use super::freshness::Freshness;

words! {
    /// In which form a run told of its progress.
    ProgressKind {
        /// It never did.
        None = "none",
        /// The name of what it is at.
        Phase = "phase",
        /// Done of a total.
        Determinate = "determinate",
        /// Done of a total, part by part.
        Composite = "composite",
    }
}

/// The last recorded progress of a run, as it may be shown at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressView {
    /// Its form. Fields of other forms are kept beside it as they were reported.
    pub kind: ProgressKind,
    /// Units done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// Units to do in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Name to `[done, total]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<Name, (u64, u64)>,
    /// What it is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Name>,
    /// Thousandths done, at most 1000; none where nothing tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_permille: Option<u32>,
    /// The run is stale: this is what it last reported, and nothing moves.
    pub last_reported: bool,
}

/// The run's progress, as it may be shown while its freshness is this.
pub fn progress(run: &Run, freshness: Freshness) -> ProgressView {
    let reported = run.progress.clone().unwrap_or_default();
    let kind = kind(&reported);
    let ratio_permille = match kind {
        ProgressKind::Determinate => permille(reported.done.into_iter().zip(reported.total)),
        ProgressKind::Composite => permille(reported.parts.values().copied()),
        ProgressKind::None | ProgressKind::Phase => None,
    };
    ProgressView {
        kind,
        done: reported.done,
        total: reported.total,
        parts: reported.parts,
        phase: reported.phase,
        ratio_permille,
        last_reported: freshness.is_stale(),
    }
}

fn kind(reported: &Progress) -> ProgressKind {
    if reported.total.is_some() {
        ProgressKind::Determinate
    } else if !reported.parts.is_empty() {
        ProgressKind::Composite
    } else if reported.phase.is_some() {
        ProgressKind::Phase
    } else {
        ProgressKind::None
    }
}

/// Thousandths of the totals that are done. A part that overshoots counts as done, no more.
fn permille(parts: impl Iterator<Item = (u64, u64)>) -> Option<u32> {
    let (mut done, mut total) = (0u128, 0u128);
    for (part_done, part_total) in parts {
        done += u128::from(part_done.min(part_total));
        total += u128::from(part_total);
    }
    u32::try_from((done * 1000).checked_div(total)?).ok()
}

#[cfg(test)]
mod tests {
    use runledger_ledger::words::Outcome;

    use super::*;
    use crate::rules::story::{Story, name};

    fn shown(reported: Progress, freshness: Freshness) -> ProgressView {
        let run = Run { progress: Some(reported), ..Run::default() };
        progress(&run, freshness)
    }

    fn counted(done: Option<u64>, total: u64) -> Progress {
        Progress { done, total: Some(total), ..Progress::default() }
    }

    fn parts(parts: &[(&str, u64, u64)]) -> Progress {
        let parts = parts.iter().map(|(part, done, total)| (name(part), (*done, *total)));
        Progress { parts: parts.collect(), ..Progress::default() }
    }

    fn ratio(reported: Progress) -> Option<u32> {
        shown(reported, Freshness::FreshRunning).ratio_permille
    }

    #[test]
    fn a_total_comes_before_parts_and_parts_before_a_phase() {
        let all = Progress { phase: Some(name("p")), ..parts(&[("a", 1, 2)]) };
        let kind = |reported| shown(reported, Freshness::FreshRunning).kind;
        assert_eq!(kind(Progress { total: Some(9), ..all.clone() }), ProgressKind::Determinate);
        assert_eq!(kind(all.clone()), ProgressKind::Composite);
        assert_eq!(kind(Progress { parts: BTreeMap::new(), ..all }), ProgressKind::Phase);
        assert_eq!(kind(Progress::default()), ProgressKind::None);
        assert_eq!(kind(Progress { done: Some(3), ..Progress::default() }), ProgressKind::None);
    }

    #[test]
    fn the_ratio_never_passes_the_whole_and_never_comes_from_nothing() {
        assert_eq!(ratio(counted(Some(1), 3)), Some(333));
        assert_eq!(ratio(counted(Some(5), 3)), Some(1000));
        assert_eq!(ratio(counted(Some(0), 0)), None);
        assert_eq!(ratio(counted(None, 9)), None);
        assert_eq!(ratio(counted(Some(u64::MAX), u64::MAX)), Some(1000));
        assert_eq!(ratio(parts(&[("users", 3, 9), ("groups", 0, 3)])), Some(250));
        assert_eq!(ratio(parts(&[("users", 9, 3), ("groups", 0, 3)])), Some(500));
        assert_eq!(ratio(Progress { phase: Some(name("p")), ..Progress::default() }), None);
    }

    #[test]
    fn on_a_stale_run_progress_is_what_was_last_reported() {
        for freshness in Freshness::ALL {
            let view = shown(counted(Some(1), 2), *freshness);
            assert_eq!(view.last_reported, freshness.is_stale(), "{freshness}");
            assert_eq!(view.kind, ProgressKind::Determinate);
        }
    }

    #[test]
    fn each_report_replaces_the_last_one_whole_and_is_kept_after_the_end() {
        let story = Story::dispatched("inventory.sync", 0)
            .progressed(1, counted(Some(3), 9))
            .progressed(2, parts(&[("users", 3, 9)]))
            .heartbeat(30)
            .ended_as(31, Outcome::Succeeded);
        let view = progress(&story.run, Freshness::Terminal);
        assert_eq!((view.kind, view.done, view.total), (ProgressKind::Composite, None, None));
        assert_eq!(view.ratio_permille, Some(333));
    }
}
