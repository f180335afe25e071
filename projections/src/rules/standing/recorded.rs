//! The historical half of a standing: what the ledger recorded, as people and programs read it.

use std::collections::BTreeMap;

use runledger_ledger::catalog::Operation;
use runledger_ledger::run::{
    AdapterDecision, Completion, ExternalId, Fields, FollowUp, FollowUpAction, LateWord,
    PreviousTruth, Reconciled, Related, Run,
};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, Note, Outcome, RunId, Status, Subject};
use serde::{Deserialize, Serialize};

use crate::rules::rfc3339;

/// What is recorded of a run. Its times are effective times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Canonical operation type.
    pub operation: String,
    /// The operation's family in the catalog in force.
    pub family: String,
    /// Its environment; none is the workspace itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// What it acts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// What it was asked to produce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Name>,
    /// The queue that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Name>,
    /// That queue's connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Name>,
    /// The class or function that does the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_class: Option<Name>,
    /// Queued, running or completed.
    pub status: Status,
    /// How it ended.
    pub outcome: Outcome,
    /// When it was dispatched.
    #[serde(with = "rfc3339")]
    pub dispatched_at: Moment,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub started_at: Option<Moment>,
    /// When it completed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub completed_at: Option<Moment>,
    /// When it settled: it completed, or a later word that disagrees.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub settled_at: Option<Moment>,
    /// When its last sign of life was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub last_sign_of_life: Option<Moment>,
    /// The worker that took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Name>,
    /// Which try of the same work it is.
    pub attempt: u32,
    /// The run that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_run_id: Option<RunId>,
    /// The run that it tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<RunId>,
    /// Who or what asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiator: Option<Name>,
    /// Free labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Name, Note>,
    /// What other systems call it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<ExternalId>,
    /// Why it ended as it did, in a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<Name>,
    /// The same in a sentence of its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Note>,
    /// Whether its source thinks that trying again may help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// Counts and states that its source keeps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub summary: Fields,
    /// What it made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Related>,
    /// The thing to look at first: what an adapter relates it to, or else what it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
    /// Whether a late signal contradicts it.
    pub contradicted: bool,
    /// Terminal signals that came after it had completed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late_signals: Vec<LateView>,
    /// The last recorded decision of an adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconciliation: Option<ReconciliationView>,
    /// The last follow-up event that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_follow_up: Option<FollowUpView>,
    /// Whether its dispatch was inferred from a signal, and its true one has not come.
    pub inferred: bool,
    /// How many events its stream holds.
    pub events: u32,
}

/// A terminal signal that came too late to be the historical truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateView {
    /// The outcome it speaks for.
    pub outcome: Outcome,
    /// Whether it says what the ledger already holds for true.
    pub agrees: bool,
    /// Its effective time.
    #[serde(with = "rfc3339")]
    pub effective_at: Moment,
    /// When it was recorded.
    #[serde(with = "rfc3339")]
    pub recorded_at: Moment,
}

/// An adapter's decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReconciliationView {
    /// The adapter that decided.
    pub adapter: Name,
    /// Its version.
    pub adapter_version: u32,
    /// What it found.
    pub decision: AdapterDecision,
    /// A stable word for why.
    pub reason_code: Name,
    /// Status and outcome before it.
    pub previous: PreviousTruth,
    /// The thing that proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
    /// What it saw.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: Fields,
    /// When it looked.
    #[serde(with = "rfc3339")]
    pub evaluated_at: Moment,
}

/// A person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUpView {
    /// Resolve or reopen.
    pub action: FollowUpAction,
    /// Who said it.
    pub by: Name,
    /// Why, in a word.
    pub reason: Name,
    /// More, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
    /// When it was recorded.
    #[serde(with = "rfc3339")]
    pub recorded_at: Moment,
}

impl Recorded {
    /// The history of `run`; only the name of its family comes from the catalog.
    pub fn of(run: &Run, operation: &Operation<'_>) -> Recorded {
        let end = run.completion.as_ref();
        Recorded {
            operation: recorded_operation(run, operation),
            family: operation.family_name.to_owned(),
            environment: run.environment.clone(),
            subject: run.subject.clone(),
            fingerprint: run.fingerprint.clone(),
            queue: run.queue.clone(),
            connection: run.connection.clone(),
            job_class: run.job_class.clone(),
            status: run.status,
            outcome: run.outcome,
            dispatched_at: run.dispatched_at,
            started_at: run.start.as_ref().map(|start| start.occurred_at.min(start.recorded_at)),
            completed_at: end.map(|end| end.occurred_at.min(end.recorded_at)),
            settled_at: run.settled_at,
            last_sign_of_life: run.last_sign_of_life,
            worker: run.start.as_ref().and_then(|start| start.worker.clone()),
            attempt: run.attempt,
            parent_run_id: run.parent_run_id,
            retry_of: run.retry_of,
            initiator: run.initiator.clone(),
            labels: run.labels.clone(),
            external_ids: run.external_ids.clone(),
            reason_code: end.and_then(|end| end.reason_code.clone()),
            message: end.and_then(|end| end.message.clone()),
            retryable: end.and_then(|end| end.retryable),
            summary: end.map(|end| end.summary.clone()).unwrap_or_default(),
            artifacts: end.map(|end| end.artifacts.clone()).unwrap_or_default(),
            related: related(run, end),
            contradicted: run.is_contradicted(),
            late_signals: run.late.iter().map(LateView::of).collect(),
            reconciliation: run.reconciliation.as_deref().map(ReconciliationView::of),
            last_follow_up: run.follow_up.as_ref().map(FollowUpView::of),
            inferred: run.inferred,
            events: run.events,
        }
    }
}

impl Recorded {
    /// When the run was last heard of: its last sign of life, or a report that came after its end.
    pub fn last_heard(&self) -> Option<Moment> {
        let late = self.late_signals.iter().map(|late| late.recorded_at);
        late.chain(self.last_sign_of_life).max()
    }

    /// The runs that it leads to, which may be of any scope.
    pub(crate) fn leads(&self) -> impl Iterator<Item = RunId> {
        self.parent_run_id.into_iter().chain(self.retry_of)
    }

    /// Keeps of these what leads to a run that is to be `kept`.
    pub(crate) fn keep_leads(&mut self, kept: impl Fn(RunId) -> bool) {
        self.parent_run_id = self.parent_run_id.filter(|run| kept(*run));
        self.retry_of = self.retry_of.filter(|run| kept(*run));
    }
}

/// The name that was recorded, which a later catalog may no longer call canonical.
fn recorded_operation(run: &Run, operation: &Operation<'_>) -> String {
    run.operation.as_ref().map_or(operation.name, Name::as_str).to_owned()
}

fn related(run: &Run, end: Option<&Completion>) -> Option<Related> {
    let decided = run.reconciliation.as_ref().and_then(|word| word.related.as_ref());
    let proven = run.proof.as_ref().and_then(|proof| proof.related.as_ref());
    decided.or(proven).or_else(|| end?.artifacts.first()).cloned()
}

impl LateView {
    fn of(late: &LateWord) -> LateView {
        LateView {
            outcome: late.outcome,
            agrees: late.agrees,
            effective_at: late.effective_at,
            recorded_at: late.recorded_at,
        }
    }
}

impl ReconciliationView {
    /// A decision, recorded or as it would be: every read shows it in this one shape.
    pub fn of(word: &Reconciled) -> ReconciliationView {
        ReconciliationView {
            adapter: word.adapter.clone(),
            adapter_version: word.adapter_version,
            decision: word.decision,
            reason_code: word.reason_code.clone(),
            previous: word.previous,
            related: word.related.clone(),
            evidence: word.evidence.clone(),
            evaluated_at: word.evaluated_at,
        }
    }
}

impl FollowUpView {
    fn of(word: &FollowUp) -> FollowUpView {
        FollowUpView {
            action: word.action,
            by: word.by.clone(),
            reason: word.reason.clone(),
            note: word.note.clone(),
            recorded_at: word.recorded_at,
        }
    }
}
