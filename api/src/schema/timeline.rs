//! The life of a run.

use runledger_ledger::words::{Outcome, Status};
use runledger_projections::Truncated;
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::queue::QueueVerdict;

use super::answers::AnswerShape;
use super::standing::ProofShape;
use super::{count, flag, list, one_of, part, run, shape, text, time, word};

shape! {
    /// What was recorded of a run, and what was true of it from when to when.
    TimelineShape = "Timeline" with AnswerShape
    of EntryShape, FreshnessPeriodShape, VerdictPeriodShape, QueueLifeShape {
        "run_id": run(), "Which run.";
        "recorded": list(part::<EntryShape>()), "Historical truth: its events, the first 1,000.";
        "more_recorded": count(), "How many more there are.";
        "freshness": list(part::<FreshnessPeriodShape>()), "What its freshness was, without a gap.";
        "actionability": list(part::<VerdictPeriodShape>()), "What its verdict was, without a gap.";
        optional "queue": part::<QueueLifeShape>(), "The queue that it waited in, while it waited there; none if it never waited in one.";
    }
}

shape! {
    /// What was true of the queue that a run waited in, as long as it waited.
    QueueLifeShape = "QueueLife" of QueuePeriodShape {
        optional "connection": text(), "The queue's connection.";
        "queue": text(), "Its name.";
        "verdicts": list(part::<QueuePeriodShape>()), "The verdicts on it, without a gap, as questions as of those moments are answered.";
        optional "told_until": time(), "From then on nothing is told, although the run still waited: there was too much.";
        optional "truncated": list(word!(Truncated)), "What was not looked at: `older_runs` that were dispatched long before this one and left the queue after it came, `many_changes` from `told_until` on, or what lies `archived`. None, as a rule.";
    }
}

shape! {
    /// A verdict on a queue in the past.
    QueuePeriodShape = "QueuePeriod" with PeriodShape of CauseShape {
        "verdict": word!(QueueVerdict), "Will anything pick this up?";
    }
}

shape! {
    /// One event of a run.
    EntryShape = "TimelineEntry" {
        "position": count(), "Its place in the log.";
        "type": text(), "What happened.";
        "occurred_at": time(), "When it happened, by the word of its source.";
        "recorded_at": time(), "When the ledger recorded it.";
        "status": word!(Status), "The run's status after it.";
        "outcome": word!(Outcome), "The run's outcome after it.";
    }
}

shape! {
    /// From when to when something was so, and what made it so.
    PeriodShape = "Period" of CauseShape {
        "from": time(), "From then on.";
        optional "until": time(), "Until then; none if it is so at the moment of the answer.";
        "because": part::<CauseShape>(), "What made it so.";
    }
}

shape! {
    /// A freshness of the past.
    FreshnessPeriodShape = "FreshnessPeriod" with PeriodShape of CauseShape {
        "freshness": word!(Freshness), "Which one.";
    }
}

shape! {
    /// A verdict of the past.
    VerdictPeriodShape = "VerdictPeriod" with PeriodShape of CauseShape, ProofShape {
        "status": word!(Actionability), "The verdict.";
        optional "reason": text(), "Why: a fixed word, or the one that an operator gave.";
        optional "proof": part::<ProofShape>(), "What proved it, where something did.";
        "follow_up": flag(), "Whether the run was a current follow-up.";
    }
}

shape! {
    /// What changed a verdict.
    CauseShape = "Cause" {
        "kind": one_of(["event", "deadline", "elsewhere"]), "An event, time alone, or an event of a run that the reader does not see.";
        optional "position": count(), "Of an event: its place in the log.";
        optional "type": text(), "Of an event: what happened.";
        optional "run_id": run(), "Of an event of a run: which one, this or another.";
    }
}
