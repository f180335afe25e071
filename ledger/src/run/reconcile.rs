//! An adapter's decision on a run (DESIGN section 9): when it is news, and what is recorded of it.

use super::{
    AdapterDecision, Decision, PreviousTruth, Reconcile, Reconciled, Run, RunContext, RunEvent,
    RunRefusal,
};
use crate::fact::Fact;
use crate::words::Status;

impl Run {
    /// Whether an adapter's proof of success would be recorded: it has completed with a problem.
    /// An active run is open to every decision.
    pub fn is_open_to_proof(&self) -> bool {
        self.status == Status::Completed && self.outcome.is_problem() && self.proof.is_none()
    }

    /// Whether this decision would be recorded of the run as it is here.
    ///
    /// `no_change` never is, and neither is what the last recorded one said already. Of a completed
    /// run, only a proof of success on a problem outcome is.
    pub fn is_news(&self, reconcile: &Reconcile) -> bool {
        let same = self.reconciliation.as_ref().is_some_and(|last| {
            last.adapter == reconcile.adapter
                && last.decision == reconcile.decision
                && last.reason_code == reconcile.reason_code
                && last.related == reconcile.related
        });
        let counts = match self.status {
            Status::Completed => {
                reconcile.decision == AdapterDecision::Succeeded && self.outcome.is_problem()
            }
            Status::Queued | Status::Running => reconcile.decision != AdapterDecision::NoChange,
        };
        counts && !same
    }

    /// This decision in the one reconciliation shape, as it would be recorded of the run as it is
    /// here.
    pub fn reconciled_by(&self, reconcile: &Reconcile) -> Reconciled {
        Reconciled {
            adapter: reconcile.adapter.clone(),
            adapter_version: reconcile.adapter_version,
            decision: reconcile.decision,
            evaluated_at: reconcile.evaluated_at,
            evidence: reconcile.evidence.clone(),
            previous: PreviousTruth { outcome: self.outcome, status: self.status },
            reason_code: reconcile.reason_code.clone(),
            related: reconcile.related.clone(),
        }
    }

    pub(super) fn decide_reconcile(
        &self,
        reconcile: &Reconcile,
        context: &RunContext<'_>,
    ) -> Result<Decision, RunRefusal> {
        if !self.exists() {
            return Err(RunRefusal::UnknownRun(context.run_id));
        }
        if let Some(expected) = reconcile.expected_events.filter(|count| *count != self.events) {
            return Err(RunRefusal::Moved { expected, found: self.events });
        }
        if !self.is_news(reconcile) {
            return Ok(Decision::NoChange);
        }
        let event = RunEvent::Reconciled(Box::new(self.reconciled_by(reconcile)));
        let at = context.recorded_at;
        Ok(Decision::Record(vec![Fact { occurred_at: at, recorded_at: at, event }]))
    }
}
