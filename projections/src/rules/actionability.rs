//! Actionability (DESIGN section 7): does this finished run still need a person?
//!
//! This is the only place that reads a raw outcome to decide so. Every count, filter, badge and
//! call to action uses [`is_follow_up`] of what is decided here, and nothing else.

mod key;
#[cfg(test)]
mod tests;

pub use key::{ItemKey, Key, KeyValue, item_key, may_supersede, supersession_key};

use runledger_ledger::catalog::{CurrentState, Operation, Review, Supersession, UNCLASSIFIED};
use runledger_ledger::run::{Related, Run};
use runledger_ledger::subject::SubjectState;
use runledger_ledger::time::Moment;
use runledger_ledger::words;
use runledger_ledger::words::{Name, Note, Outcome, RunId, Status};
use serde::{Deserialize, Serialize};

use super::rfc3339;

words! {
    /// Whether a run needs a person, and if not, why not.
    Actionability {
        /// It has not ended.
        NotTerminal = "not_terminal",
        /// It is no problem, or one that is for information only.
        InformationalOnly = "informational_only",
        /// A person has said that nothing is left to do.
        ResolvedByOperator = "resolved_by_operator",
        /// Only a person can close it.
        RequiresManualReview = "requires_manual_review",
        /// What is true now has made it good.
        ResolvedByCurrentState = "resolved_by_current_state",
        /// A later run has done the same work.
        SupersededByLaterSuccess = "superseded_by_later_success",
        /// A person must do something.
        Actionable = "actionable",
    }
}

words! {
    /// The fixed reasons of a verdict. An operator's resolution gives its own instead.
    Reason {
        /// It did what it was asked, or was stopped.
        NoProblem = "no_problem",
        /// Its family is for information only.
        InformationalFamily = "informational_family",
        /// Its family is closed by a person and by nothing else.
        HighRisk = "high_risk",
        /// Its success was told after it had been taken for a problem.
        LateSuccess = "late_success",
        /// Its cancellation was told after it had ended without a word.
        LateCancellation = "late_cancellation",
        /// An adapter has proved that the work is there.
        ReconciliationProof = "reconciliation_proof",
        /// A run that was dispatched later succeeded.
        LaterSuccess = "later_success",
        /// Its subject was seen healthy since.
        HealthySubject = "healthy_subject",
        /// Sources disagree about how it ended.
        Contradicted = "contradicted",
        /// It lacks the subject or fingerprint by which a later success would be known.
        InsufficientCorrelation = "insufficient_correlation",
        /// Nobody has classified its operation.
        UnclassifiedOperation = "unclassified_operation",
        /// It ended with a problem.
        Problem = "problem",
    }
}

/// What else is recorded, up to the moment asked about, that may make a problem good.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The superseding success that is named: the one dispatched first.
    pub superseding: Option<Superseding>,
    /// The latest observation of the run's subject in its scope.
    pub observation: Option<Observation>,
}

/// A run for which [`may_supersede`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superseding {
    /// Which run.
    pub run_id: RunId,
    /// Its dispatch time.
    pub dispatched_at: Moment,
    /// When its success was recorded.
    pub ended_at: Moment,
}

/// An observation of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What was seen.
    pub state: SubjectState,
    /// When it was seen; a claim later than its recording counts as that.
    pub verified_at: Moment,
    /// Its event's position in the log.
    pub position: u64,
}

/// What is true of a run's follow-up at one moment, and what proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The status.
    pub status: Actionability,
    /// Why: a [`Reason`], or the word that an operator gave. None while the run is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What proves it, where something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// What a verdict rests on beside the run's own outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Proof {
    /// A later run that succeeded.
    Run(#[serde(with = "run_id")] RunId),
    /// An observation of the run's subject.
    Observation {
        /// Its event's position in the log.
        position: u64,
        /// When the subject was seen.
        #[serde(with = "rfc3339")]
        verified_at: Moment,
    },
    /// An adapter's proof of success.
    Reconciliation {
        /// The adapter.
        adapter: Name,
        /// When it was recorded.
        #[serde(with = "rfc3339")]
        recorded_at: Moment,
        /// The thing that proves it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        related: Option<Related>,
    },
    /// A person's word.
    Operator {
        /// Who said it.
        by: Name,
        /// More, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Note>,
        /// When it was recorded.
        #[serde(with = "rfc3339")]
        recorded_at: Moment,
    },
    /// A terminal signal of the run itself that came late.
    LateSignal,
}

/// The verdict on one run: the first row of the table in section 7 that holds.
///
/// `operation` is the run's operation in the catalog in force at the moment asked about.
pub fn actionability(run: &Run, operation: &Operation<'_>, evidence: &Evidence) -> Verdict {
    closed_without_proof(run, operation)
        .or_else(|| closed_by_proof(run, operation, evidence))
        .unwrap_or_else(|| left_open(run, operation))
}

/// Whether a run of this status is a *current follow-up*.
pub const fn is_follow_up(status: Actionability) -> bool {
    matches!(status, Actionability::Actionable | Actionability::RequiresManualReview)
}

/// When a run left the list of what needs a person: what closed it was recorded then, or its own end,
/// whichever came last. None if it is on the list, or never was. An observation counts from when its
/// subject was seen.
pub fn left_at(run: &Run, verdict: &Verdict, evidence: &Evidence) -> Option<Moment> {
    let ended = run.completion.as_ref()?.recorded_at;
    let closed = match verdict.proof.as_ref()? {
        Proof::Run(_) => evidence.superseding?.ended_at,
        Proof::Observation { verified_at, .. } => *verified_at,
        Proof::Reconciliation { recorded_at, .. } | Proof::Operator { recorded_at, .. } => {
            *recorded_at
        }
        Proof::LateSignal => {
            let differing = run.late.iter().filter(|late| !late.agrees);
            differing.map(|late| late.recorded_at).max()?
        }
    };
    Some(closed.max(ended))
}

/// Whether an adapter's proof of success would be recorded of this run: it has not ended, or it
/// ended with a problem of which no such proof is recorded yet.
pub fn may_be_proven(run: &Run) -> bool {
    match run.status {
        Status::Queued | Status::Running => run.exists(),
        Status::Completed => run.outcome.is_problem() && run.proof.is_none(),
    }
}

/// Rows 1 to 5: no evidence is asked.
fn closed_without_proof(run: &Run, operation: &Operation<'_>) -> Option<Verdict> {
    if run.status != Status::Completed {
        return Some(Verdict { status: Actionability::NotTerminal, reason: None, proof: None });
    }
    if !run.outcome.is_problem() && !run.is_contradicted() {
        return Some(verdict(Actionability::InformationalOnly, Reason::NoProblem));
    }
    if operation.family.informational {
        return Some(verdict(Actionability::InformationalOnly, Reason::InformationalFamily));
    }
    if let Some(word) = run.resolution() {
        return Some(Verdict {
            status: Actionability::ResolvedByOperator,
            reason: Some(word.reason.to_string()),
            proof: Some(Proof::Operator {
                by: word.by.clone(),
                note: word.note.clone(),
                recorded_at: word.recorded_at,
            }),
        });
    }
    (operation.family.review == Review::Manual)
        .then(|| verdict(Actionability::RequiresManualReview, Reason::HighRisk))
}

/// Rows 6 to 9: what has made a problem good.
fn closed_by_proof(run: &Run, operation: &Operation<'_>, evidence: &Evidence) -> Option<Verdict> {
    let resolved = |reason, proof| Verdict {
        proof: Some(proof),
        ..verdict(Actionability::ResolvedByCurrentState, reason)
    };
    if let Some(reason) = late_word(run) {
        return Some(resolved(reason, Proof::LateSignal));
    }
    if let Some(proof) = &run.proof {
        let proof = Proof::Reconciliation {
            adapter: proof.adapter.clone(),
            recorded_at: proof.recorded_at,
            related: proof.related.clone(),
        };
        return Some(resolved(Reason::ReconciliationProof, proof));
    }
    let settled = run.settled_at?;
    let correlated = supersession_key(run, operation).is_some();
    if let Some(success) = evidence.superseding.filter(|_| correlated)
        && success.dispatched_at > settled
    {
        return Some(Verdict {
            proof: Some(Proof::Run(success.run_id)),
            ..verdict(Actionability::SupersededByLaterSuccess, Reason::LaterSuccess)
        });
    }
    let counts = operation.family.current_state == CurrentState::Subject && run.subject.is_some();
    let seen = evidence.observation.filter(|_| counts)?;
    (seen.state == SubjectState::Healthy && seen.verified_at > settled).then(|| {
        let proof = Proof::Observation { position: seen.position, verified_at: seen.verified_at };
        resolved(Reason::HealthySubject, proof)
    })
}

/// Rows 10 to 12: a person is needed.
fn left_open(run: &Run, operation: &Operation<'_>) -> Verdict {
    if run.is_contradicted() {
        return verdict(Actionability::RequiresManualReview, Reason::Contradicted);
    }
    let uncorrelated = match operation.family.supersession {
        Supersession::None | Supersession::Scope => false,
        Supersession::Subject => run.subject.is_none(),
        Supersession::Fingerprint => run.fingerprint.is_none(),
    };
    if uncorrelated {
        return verdict(Actionability::RequiresManualReview, Reason::InsufficientCorrelation);
    }
    let unclassified = operation.family_name == UNCLASSIFIED;
    let reason = if unclassified { Reason::UnclassifiedOperation } else { Reason::Problem };
    verdict(Actionability::Actionable, reason)
}

/// Rows 6 and 6a: how a run says late, and with one voice, that it was no problem.
fn late_word(run: &Run) -> Option<Reason> {
    let mut differing = run.differing_late_outcomes();
    let only = differing.next()?;
    if differing.any(|outcome| outcome != only) {
        return None;
    }
    let unknown = run.outcome == Outcome::Unknown;
    let inferred_problem = unknown || (run.is_reconciled() && run.outcome.is_problem());
    match only {
        Outcome::Succeeded if inferred_problem => Some(Reason::LateSuccess),
        Outcome::Cancelled if unknown => Some(Reason::LateCancellation),
        _ => None,
    }
}

fn verdict(status: Actionability, reason: Reason) -> Verdict {
    Verdict { status, reason: Some(reason.as_str().to_owned()), proof: None }
}

/// A run as `{"run_id": …}`, so that every proof is an object with named parts.
mod run_id {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Named {
        run_id: RunId,
    }

    pub(super) fn serialize<S: serde::Serializer>(
        run_id: &RunId,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Named { run_id: *run_id }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<RunId, D::Error> {
        Named::deserialize(deserializer).map(|named| named.run_id)
    }
}
