//! What the remote protocol says and takes.

use runledger_ledger::run::AdapterDecision;
use runledger_ledger::subject::SubjectState;

use super::standing::{RecordedShape, ThingShape};
use super::{count, flag, list, map, name, one_of, part, run, scalar, shape, text, time, word};

shape! {
    /// Runs that were claimed.
    ClaimsShape = "Claims" of ClaimShape {
        "at": time(), "The moment that the answer is of.";
        "items": list(part::<ClaimShape>()), "The runs, the longest due first.";
    }
}

shape! {
    /// A run to judge, and the claim on it.
    ClaimShape = "Claim" of ScopeShape, RecordedShape {
        "claim_id": run(), "The claim: what a decision is posted to.";
        "leased_until": time(), "When the claim is over, unless a heartbeat comes.";
        "run_id": run(), "Which run.";
        "at": time(), "The time of the question.";
        "stale": flag(), "Whether the run is active and past its window.";
        optional "give_up_at": time(), "When the run is given up; none if it never is.";
        "scope": part::<ScopeShape>(), "Where proof counts: nothing of another scope is evidence.";
        "recorded": part::<RecordedShape>(), "What is recorded of the run.";
    }
}

shape! {
    /// A workspace, and an environment of it or none.
    ScopeShape = "Scope" {
        "workspace": name(), "The name of the workspace.";
        optional "environment": name(), "The environment; without one, the workspace itself.";
    }
}

shape! {
    /// What an adapter decided of a run.
    DecisionShape = "AdapterDecision" of ThingShape, AdapterObservationShape {
        "decision": word!(AdapterDecision), "What it found.";
        "reason_code": text(), "Why, in a stable word: a to z, digits and _, at most 64.";
        optional "related": part::<ThingShape>(),
            "The thing that proves it, of a type that is configured for the adapter.";
        optional "evidence": map(scalar()),
            "What it rests on: configured keys with values of their kinds, at most 32.";
        optional "observation": part::<AdapterObservationShape>(),
            "What was seen of the run's subject on the way.";
    }
}

shape! {
    /// What was seen of a run's subject, in the run's scope.
    AdapterObservationShape = "AdapterObservation" {
        "state": word!(SubjectState), "What was seen.";
        "verified_at": time(), "When the source says that it was so.";
        optional "evidence": map(scalar()), "What it rests on, as in a decision.";
    }
}

shape! {
    /// What became of a decision.
    PostedShape = "DecisionResult" {
        "status": one_of(["recorded", "no_event"]),
            "`no_event`: it says nothing new of the run, which waits for its next look.";
        optional "position": count(), "Where it is in the log.";
    }
}

shape! {
    /// A claim that goes on.
    LeaseShape = "ClaimLease" {
        "claim_id": run(), "The claim.";
        "leased_until": time(), "When it is over now.";
    }
}
