//! What reads answer with.

use runledger_ledger::words::Outcome;
use runledger_projections::rules::actionability::Actionability;

use crate::routes::runs::RunEventView;

use super::standing::{GuidanceShape, QueueShape, StandingShape, ThingShape};
use super::{count, flag, list, map, one_of, part, run, shape, text, text_or_null, time, word};

shape! {
    /// What every read says of itself.
    AnswerShape = "Answer" {
        "at": time(), "The moment that the answer is of.";
        optional "position": count(),
            "The position of the last event that is known to be in the answer; none of an empty log, and none for who sees only some environments.";
    }
}

shape! {
    /// The standing of a run, and the moment it is of.
    RunShape = "Run" with StandingShape {
        "at": time(), "The moment that the answer is of.";
        optional "position": count(), "The last event that is known to be in the answer.";
    }
}

shape! {
    /// A page of a list.
    PageShape = "Page" with AnswerShape {
        optional "next": text(), "`cursor` of the next page; none at the end of the list.";
        optional "scanned_to": time(),
            "The page is not full, and yet the list goes on: nothing older was looked at.";
    }
}

shape! {
    /// A page of the events of a run, in their order.
    RunEventsShape = "RunEvents" with AnswerShape of RunEventView {
        "items": list(part::<RunEventView>()), "The events.";
        optional "next": text(), "`cursor` of the next page; none at the end of the list.";
    }
}

shape! {
    /// A page of runs, the newest dispatch first, of equals the greater id.
    RunsShape = "Runs" with PageShape of StandingShape {
        "items": list(part::<StandingShape>()), "The runs.";
    }
}

shape! {
    /// A page of things to do, the one with the latest settled run first.
    FollowUpsShape = "FollowUps" with PageShape of FollowUpItemShape {
        "items": list(part::<FollowUpItemShape>()), "The things to do.";
    }
}

shape! {
    /// One thing to do, with a page of its runs, the last settled first.
    OccurrencesShape = "Occurrences" with PageShape of FollowUpItemShape, StandingShape {
        "item": part::<FollowUpItemShape>(), "The thing to do.";
        "items": list(part::<StandingShape>()), "Its runs.";
    }
}

shape! {
    /// A thing to do: follow-ups with the same key, seen as often as they occurred.
    FollowUpItemShape = "FollowUpItem" of ThingShape, GuidanceShape, StandingShape {
        "key": text(), "What it is known by for as long as it is there.";
        "operation": text(), "The operation type of its runs.";
        "family": text(), "Their family, by the catalog in force.";
        optional "environment": text(), "Their environment.";
        optional "subject": part::<ThingShape>(), "What the latest of them acted on.";
        "actionability": word!(Actionability), "Whether it is to be done or to be looked at.";
        optional "reason": text(), "Why, of the latest occurrence.";
        "guidance": part::<GuidanceShape>(), "What a person is told of the latest occurrence.";
        "first_settled_at": time(), "When the oldest of its runs settled.";
        "last_settled_at": time(), "When the latest did.";
        "occurrences": count(), "How many runs it is.";
        "latest": list(part::<StandingShape>()), "The latest of them: three at most.";
    }
}

shape! {
    /// The queues that a run or a worker has named, by connection and name.
    QueuesShape = "Queues" with AnswerShape of QueueShape {
        "items": list(part::<QueueShape>()), "The queues.";
    }
}

shape! {
    /// How many runs and things to do there are.
    CountsShape = "Counts" of FollowUpCountsShape {
        "runs": count(), "Runs in all.";
        "by_status": map(count()), "By status; one that is missing is zero.";
        "by_outcome": map(count()), "By outcome; one that is missing is zero.";
        "by_actionability": map(count()), "By actionability; one that is missing is zero.";
        "waiting": count(), "Runs that wait for a worker.";
        "active_fresh": count(), "Active runs inside their window.";
        "active_stale": count(), "Active runs past their window.";
        "active_unknown": count(), "Active runs of which no window is known.";
        "follow_up_runs": count(), "Runs that are current follow-ups.";
        "follow_up_items": count(), "Things to do.";
        "actionable": part::<FollowUpCountsShape>(), "What a person must do something about.";
        "manual_review": part::<FollowUpCountsShape>(), "What a person must look at.";
        "resolved_without_a_person": count(), "Problems that nobody had to look at.";
        "superseded": count(), "Of those, problems that a later success made good.";
        "resolved_by_state": count(), "Of those, problems that what is true now made good.";
        "resolved_by_operator": count(), "Problems that a person closed.";
    }
}

shape! {
    /// How much of one kind waits for a person.
    FollowUpCountsShape = "FollowUpCounts" {
        "runs": count(), "Runs.";
        "items": count(), "Things to do.";
        optional "oldest": time(), "When the oldest of them settled.";
    }
}

shape! {
    /// A workspace, or one environment of it, at a glance.
    OverviewShape = "Overview" with CountsShape of HealthShape {
        "at": time(), "The moment that the answer is of.";
        optional "position": count(), "The last event that is known to be in the answer.";
        optional "environment": text(), "The environment that was asked about.";
        "queues": map(count()), "Queues of the workspace by verdict.";
        "health": part::<HealthShape>(), "How the ledger itself is.";
    }
}

shape! {
    /// Where the read models stand against the log.
    HealthShape = "Health" {
        optional "events": count(),
            "Events that the answer is derived from; left out for who sees only some environments.";
        optional "lag": count(), "Events in the log that it does not know yet; left out with them.";
        optional "parked": text(), "Why the read models do not go on, if they do not.";
    }
}

shape! {
    /// An environment in which something ran, or the workspace's own runs.
    EnvironmentShape = "Environment" with CountsShape {
        "environment": text_or_null(), "Its name; null is the workspace's own.";
    }
}

shape! {
    /// Every environment in which something ran, by name.
    EnvironmentsShape = "Environments" with AnswerShape of EnvironmentShape {
        "items": list(part::<EnvironmentShape>()), "The environments.";
    }
}

shape! {
    /// The operation types of the catalog in force, then those that it does not name.
    OperationsShape = "Operations" with AnswerShape of OperationShape {
        "items": list(part::<OperationShape>()), "The operation types.";
    }
}

shape! {
    /// An operation type: what the catalog says of it, and how its runs went.
    OperationShape = "Operation"
    of LifecycleShape, FamilyShape, OperationCountsShape, RecentShape {
        "operation": text(), "The canonical name.";
        optional "title": text(), "What people call it.";
        "classified": flag(), "Whether the catalog names it.";
        optional "aliases": list(text()), "Other names that resolve to it on the way in.";
        "scope": one_of(["environment", "workspace"]), "What its runs belong to.";
        optional "adapter": text(), "The adapter that can look for proof of its runs' end.";
        optional "artifact": text(), "The type of the artifact that its runs make.";
        "lifecycle": part::<LifecycleShape>(), "Its windows.";
        "family": part::<FamilyShape>(), "Its family: its policy.";
        "counts": part::<OperationCountsShape>(), "How many runs of each kind there are.";
        "recent": list(part::<RecentShape>()), "Its last ends, the last recorded first.";
    }
}

shape! {
    /// The windows of a run. One that is left out is not known.
    LifecycleShape = "Lifecycle" {
        optional "queue_window_seconds": count(), "How long a run may wait.";
        optional "run_window_seconds": count(), "How long a run may be silent.";
        optional "abandon_after_seconds": count(), "How long a run stays stale before it is given up.";
    }
}

shape! {
    /// A family and its policy.
    FamilyShape = "Family" {
        "name": text(), "Its name in the catalog.";
        "title": text(), "What people call it.";
        "supersession": one_of(["none", "scope", "subject", "fingerprint"]),
            "Which later success makes a problem good.";
        "current_state": one_of(["none", "subject"]), "Whose health makes a problem good.";
        "review": one_of(["auto", "manual"]), "Whether proof closes a follow-up, or only a person.";
        "informational": flag(), "Whether its problems are for information only.";
        "policy": text(), "All that in words.";
    }
}

shape! {
    /// How many runs of an operation there are.
    OperationCountsShape = "OperationCounts" {
        "runs": count(), "Runs in all.";
        "by_status": map(count()), "By status; one that is missing is zero.";
        "by_outcome": map(count()), "By outcome; one that is missing is zero.";
        "by_actionability": map(count()), "By actionability; one that is missing is zero.";
        "follow_up_runs": count(), "Runs that are current follow-ups.";
    }
}

shape! {
    /// How a run ended.
    RecentShape = "RecentOutcome" {
        "run_id": run(), "Which run.";
        "outcome": word!(Outcome), "How, by the first word that was recorded of it.";
        "recorded_at": time(), "When that was recorded.";
        optional "environment": text(), "Its environment.";
    }
}
