//! What a reader may see of a workspace (specs/0018): a filter of every statement that a view runs,
//! and of what a standing says beside its verdict.

use std::collections::BTreeSet;
use std::sync::Arc;

use runledger_ledger::words::Name;

use crate::rules::actionability::{Proof, Verdict};
use crate::rules::standing::Standing;
use crate::timeline::Timeline;

/// What a reader may see. By itself, everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The runs of these environments, and nothing that belongs to the workspace itself; none is
    /// the whole workspace.
    pub environments: Option<Arc<BTreeSet<Name>>>,
    /// What verdicts rest on, and what sources said in their own words; otherwise verdicts are
    /// shown without it.
    pub evidence: bool,
}

impl Default for Sight {
    fn default() -> Self {
        Sight { environments: None, evidence: true }
    }
}

impl Sight {
    /// Whether the reader sees only a part of the workspace.
    pub const fn is_narrowed(&self) -> bool {
        self.environments.is_some()
    }

    /// Whether the reader sees what is in an environment; none is the workspace itself.
    pub fn sees(&self, environment: Option<&Name>) -> bool {
        match &self.environments {
            None => true,
            Some(all) => environment.is_some_and(|environment| all.contains(environment)),
        }
    }

    /// A standing as the reader may see it.
    pub(crate) fn of(&self, mut standing: Standing) -> Standing {
        if !self.evidence {
            let recorded = &mut standing.recorded;
            recorded.message = None;
            recorded.summary.clear();
            recorded.labels.clear();
            recorded.related = None;
            if let Some(reconciliation) = &mut recorded.reconciliation {
                reconciliation.evidence.clear();
                reconciliation.related = None;
            }
            let now = &mut standing.now;
            self.prove(&mut now.actionability);
            if !matches!(now.actionability.proof, Some(Proof::Run(_))) {
                now.related = None;
            }
        }
        standing
    }

    /// The life of a run as the reader may see it.
    pub fn of_timeline(&self, mut timeline: Timeline) -> Timeline {
        timeline.actionability.iter_mut().for_each(|period| self.prove(&mut period.was.verdict));
        timeline
    }

    /// Takes the proof from a verdict that is shown without it. A run that the reader sees as well may
    /// be named, and so may who closed a follow-up.
    fn prove(&self, verdict: &mut Verdict) {
        let is_evidence =
            matches!(verdict.proof, Some(Proof::Observation { .. } | Proof::Reconciliation { .. }));
        if is_evidence && !self.evidence {
            verdict.proof = None;
        }
    }
}
