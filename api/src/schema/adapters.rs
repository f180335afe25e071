//! What the routes of adapters answer with.

use runledger_ledger::subject::SubjectState;
use runledger_ledger::words::{Outcome, Status};

use super::standing::ReconciliationShape;
use super::{count, flag, list, map, part, run, scalar, shape, text, time, word};

shape! {
    /// The adapters of the server, and how their sources answer in the workspace.
    AdaptersShape = "Adapters" of AdapterShape {
        "at": time(), "The moment that the answer is of.";
        "items": list(part::<AdapterShape>()), "The adapters, in the order of registration.";
    }
}

shape! {
    /// An adapter.
    AdapterShape = "Adapter" of LastErrorShape {
        "name": text(), "What the ledger knows it by.";
        "version": count(), "The version of what it decides.";
        "operations": list(text()), "The operation types whose runs it judges; `*` is every one.";
        optional "observes": list(text()), "The types of the subjects that it looks at by itself.";
        optional "reads": text(), "What it reads.";
        optional "idle": text(), "Why it judges nothing, and what to do about it.";
        "remote": flag(), "Whether it is a program of its own, which claims its runs.";
        optional "last_success": time(), "When its source last answered; of a remote one, when it last posted a decision that was taken.";
        optional "last_error": part::<LastErrorShape>(), "The last time that it did not.";
        "consecutive_failures": count(), "Pages of runs in a row without an answer.";
        "backlog": count(), "Runs that are due and not decided, and subjects that are due and not looked at.";
    }
}

shape! {
    /// A source gave no answer.
    LastErrorShape = "LastError" {
        "class": text(), "How it failed: a stable word.";
        "at": time(), "When.";
    }
}

shape! {
    /// What would be decided of a run now. Nothing of it is recorded.
    PreviewShape = "ReconciliationPreview" of AdapterWordShape, ReconciliationShape {
        "run_id": run(), "Which run.";
        "at": time(), "The time of the question.";
        "status": word!(Status), "Its status, as recorded now.";
        "outcome": word!(Outcome), "Its outcome, as recorded now.";
        "stale": flag(), "Whether it is past its window.";
        "adapters": list(part::<AdapterWordShape>()), "What each adapter says, as they were asked.";
        optional "would_record": part::<ReconciliationShape>(),
            "The decision that would be recorded; none if nothing would.";
    }
}

shape! {
    /// What one adapter says of a run: a decision, or why there is none.
    AdapterWordShape = "AdapterWord" of ReconciliationShape, SightShape {
        "adapter": text(), "The adapter.";
        optional "reconciliation": part::<ReconciliationShape>(), "Its decision.";
        optional "observation": part::<SightShape>(),
            "What it saw of the run's subject, which would be recorded as well.";
        optional "error": text(), "Why there is none, in a stable word.";
        optional "detail": text(), "The same in a sentence, and nothing that the source said.";
    }
}

shape! {
    /// What an adapter saw of a run's subject.
    SightShape = "Sight" {
        "state": word!(SubjectState), "What was seen.";
        "verified_at": time(), "When the source says that it was so.";
        optional "evidence": map(scalar()), "What that rests on.";
    }
}

shape! {
    /// A look that was asked for.
    AskedShape = "ReconciliationAsked" {
        "run_id": run(), "Which run.";
        "adapter": text(), "The adapter that is asked.";
        "due_at": time(), "From when on.";
    }
}
