//! A standing and its parts.

use runledger_ledger::run::{AdapterDecision, FollowUpAction};
use runledger_ledger::words::{Outcome, Status};
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::rules::actions::{ActionKey, ActionReason};
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::guidance::{GuidanceKey, Severity};
use runledger_projections::rules::progress::ProgressKind;
use runledger_projections::rules::queue::{QueueReason, QueueVerdict};

use super::{
    count, flag, list, map, name, one_of, pair, part, run, scalar, shape, text, time, word,
};

shape! {
    /// Everything that is true of one run at one moment.
    StandingShape = "Standing" of RecordedShape, NowShape {
        "run_id": run(), "Which run.";
        "recorded": part::<RecordedShape>(), "Historical truth: nothing rewrites it.";
        "now": part::<NowShape>(), "Current truth, derived for the moment.";
    }
}

shape! {
    /// What is recorded of a run. Its times are effective times.
    RecordedShape = "Recorded"
    of ThingShape, ExternalIdShape, LateSignalShape, ReconciliationShape, FollowUpWordShape {
        "operation": name(), "Canonical operation type.";
        "family": text(), "The operation's family in the catalog in force.";
        optional "environment": name(), "Its environment; without one it is the workspace's own.";
        optional "subject": part::<ThingShape>(), "What it acts on.";
        optional "fingerprint": name(), "A hash of what it was asked to produce.";
        optional "queue": name(), "The queue that it names.";
        optional "connection": name(), "That queue's connection.";
        optional "job_class": name(), "The class or function that does the work.";
        "status": word!(Status), "Where it stands in its life.";
        "outcome": word!(Outcome), "How it ended.";
        "dispatched_at": time(), "When it was dispatched.";
        optional "started_at": time(), "When it started.";
        optional "completed_at": time(), "When it completed.";
        optional "settled_at": time(), "When it completed, or a later word that disagrees.";
        optional "last_sign_of_life": time(), "When its last sign of life was recorded.";
        optional "worker": name(), "The worker that took it.";
        "attempt": count(), "Which try of the same work it is.";
        optional "parent_run_id": run(), "The run that it is a part of.";
        optional "retry_of": run(), "The run that it tries again.";
        optional "initiator": name(), "Who or what asked for it.";
        optional "labels": map(text()), "Free labels.";
        optional "external_ids": list(part::<ExternalIdShape>()), "What other systems call it.";
        optional "reason_code": name(), "Why it ended as it did, in a word.";
        optional "message": text(), "The same in a sentence of its source.";
        optional "retryable": flag(), "Whether its source thinks that trying again may help.";
        optional "summary": map(scalar()), "Counts and states that its source keeps.";
        optional "artifacts": list(part::<ThingShape>()), "What it made.";
        optional "related": part::<ThingShape>(), "The thing to look at first.";
        "contradicted": flag(), "Whether a late signal contradicts it.";
        optional "late_signals": list(part::<LateSignalShape>()),
            "Terminal signals that came after it had completed.";
        optional "reconciliation": part::<ReconciliationShape>(),
            "The last recorded decision of an adapter.";
        optional "last_follow_up": part::<FollowUpWordShape>(), "The last word of a person on it.";
        "inferred": flag(), "Whether its dispatch was inferred from a signal.";
        "events": count(), "How many events its stream holds.";
    }
}

shape! {
    /// What is derived of a run for one moment.
    NowShape = "Now"
    of QueueTruthShape, ProgressShape, ThingShape, VerdictShape, GuidanceShape, ActionShape {
        "at": time(), "The moment.";
        "freshness": word!(Freshness), "Whether it is inside its lifecycle window.";
        optional "deadline": time(), "When it becomes or became stale.";
        optional "next_change": time(), "When time alone changes its freshness next.";
        optional "queue": part::<QueueTruthShape>(), "The truth about the queue that it names.";
        "progress": part::<ProgressShape>(), "How far it is.";
        "actionability": part::<VerdictShape>(), "Whether it needs a person, why, and the proof.";
        optional "related": part::<ThingShape>(),
            "The thing to look at first: what the verdict rests on, or what is recorded as related.";
        "follow_up": flag(), "Whether it is a current follow-up.";
        "guidance": part::<GuidanceShape>(), "What a person is told.";
        "actions": list(part::<ActionShape>()), "What a person may do, and why or why not.";
    }
}

shape! {
    /// A thing that something points at.
    ThingShape = "Thing" {
        "type": name(), "Its type.";
        "id": name(), "Its id among the things of its type.";
    }
}

shape! {
    /// The id that another system knows a run by.
    ExternalIdShape = "ExternalId" {
        "source": name(), "The system whose id it is.";
        "kind": name(), "What kind of id it is.";
        "id": name(), "The id itself.";
    }
}

shape! {
    /// A terminal signal that came too late to be the historical truth.
    LateSignalShape = "LateSignal" {
        "outcome": word!(Outcome), "The outcome that it speaks for.";
        "agrees": flag(), "Whether it says what the ledger already holds for true.";
        "effective_at": time(), "Its effective time.";
        "recorded_at": time(), "When it was recorded.";
    }
}

shape! {
    /// A decision of an adapter.
    ReconciliationShape = "Reconciliation" of ThingShape, PreviousShape {
        "adapter": name(), "The adapter.";
        "adapter_version": count(), "Its version.";
        "decision": word!(AdapterDecision), "What it found.";
        "reason_code": name(), "Why, in a stable word.";
        "previous": part::<PreviousShape>(), "What was recorded before it.";
        optional "related": part::<ThingShape>(), "The thing that proves it.";
        optional "evidence": map(scalar()), "What it saw.";
        "evaluated_at": time(), "When it looked.";
    }
}

shape! {
    /// What was recorded of a run before a reconciliation.
    PreviousShape = "PreviousTruth" {
        "status": word!(Status), "Its status.";
        "outcome": word!(Outcome), "Its outcome.";
    }
}

shape! {
    /// A person's word on a run.
    FollowUpWordShape = "FollowUpWord" {
        "action": word!(FollowUpAction), "Resolved or reopened.";
        "by": name(), "Who said it.";
        "reason": name(), "Why, in a word.";
        optional "note": text(), "More, for people.";
        "recorded_at": time(), "When it was recorded.";
    }
}

shape! {
    /// What is true of a queue at one moment.
    QueueTruthShape = "QueueTruth" {
        "verdict": word!(QueueVerdict), "Will anything pick this up?";
        "waiting": count(), "Runs that wait in it.";
        optional "oldest_waiting_since": time(), "Since when the oldest of them waits.";
        "live_workers": count(), "Workers that are there for it.";
        optional "last_start": time(), "Its last start.";
        optional "wait_p50_seconds": count(), "Half of its last 100 starts had waited at most this long.";
        optional "wait_p95_seconds": count(), "95 in 100 of them had waited at most this long.";
    }
}

shape! {
    /// A queue at one moment, and what the verdict on it rests on.
    QueueShape = "Queue" with QueueTruthShape {
        optional "connection": name(), "Its connection.";
        "queue": name(), "Its name.";
        "reason": word!(QueueReason), "Why the verdict is what it is.";
        optional "oldest_wait_seconds": count(), "How long the oldest waiting run has waited.";
        optional "earliest_deadline": time(), "The earliest deadline among the waiting runs.";
        optional "shortest_window_seconds": count(), "The shortest queue window among them.";
        "ever_named": flag(), "Whether some worker has ever named it.";
    }
}

shape! {
    /// The last recorded progress of a run.
    ProgressShape = "Progress" {
        "kind": word!(ProgressKind), "In which form it was told.";
        optional "done": count(), "Units done.";
        optional "total": count(), "Units to do in all.";
        optional "parts": map(pair()), "Name to [done, total].";
        optional "phase": name(), "What it is at.";
        optional "ratio_permille": count(), "Thousandths done, at most 1000.";
        "last_reported": flag(), "The run is stale: nothing moves, this is what it last said.";
    }
}

shape! {
    /// Whether a run needs a person.
    VerdictShape = "Actionability" of ProofShape {
        "status": word!(Actionability), "The verdict.";
        optional "reason": text(), "Why: a fixed word, or the one that an operator gave.";
        optional "proof": part::<ProofShape>(), "What proves it, where something does.";
    }
}

shape! {
    /// What a verdict rests on beside the run's own outcome; which members it has follows its type.
    ProofShape = "Proof" of ThingShape {
        "type": one_of(["run", "observation", "reconciliation", "operator", "late_signal"]),
            "What kind of proof it is.";
        optional "run_id": run(), "Of a run: the later run that succeeded.";
        optional "position": count(), "Of an observation: its event's position in the log.";
        optional "verified_at": time(), "Of an observation: when the subject was seen.";
        optional "adapter": name(), "Of a reconciliation: the adapter.";
        optional "related": part::<ThingShape>(), "Of a reconciliation: the thing that proves it.";
        optional "by": name(), "Of an operator: who.";
        optional "note": text(), "Of an operator: more, for people.";
        optional "recorded_at": time(), "When the word or the decision was recorded.";
    }
}

shape! {
    /// What a person is told about a run.
    GuidanceShape = "Guidance" {
        "key": word!(GuidanceKey), "What is told.";
        "severity": word!(Severity), "How loud it is.";
        "text": text(), "The sentence, in the language asked for.";
    }
}

shape! {
    /// Something that a person may do about a run, or may not.
    ActionShape = "Action" {
        "key": word!(ActionKey), "What.";
        "offered": flag(), "Whether it is offered.";
        "reason": word!(ActionReason), "Why, or why not.";
    }
}
