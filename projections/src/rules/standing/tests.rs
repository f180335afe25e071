//! One run, one moment, one story: the parts of a standing agree with each other.

use proptest::prelude::*;
use runledger_ledger::run::{AdapterDecision, Named};
use runledger_ledger::words::Outcome;

use super::*;
use crate::rules::actionability::{Actionability, Superseding};
use crate::rules::queue::QueueVerdict;
use crate::rules::story::{Story, minute, name, operation, run_id};
use crate::texts::Language;

fn standing(story: &Story, at: i64) -> Standing {
    standing_with(story, at, None, &Evidence::default())
}

fn standing_with(
    story: &Story,
    at: i64,
    queue: Option<QueueVerdict>,
    evidence: &Evidence,
) -> Standing {
    let operation = operation(story.run.operation.as_ref().unwrap().as_str());
    let queue = queue.map(|verdict| QueueTruth {
        verdict,
        waiting: 1,
        oldest_waiting_since: None,
        live_workers: 0,
        last_start: None,
        wait_p50: None,
        wait_p95: None,
    });
    let parts = Parts {
        run_id: run_id(1),
        run: &story.run,
        operation: &operation,
        blind: &BlindTime::default(),
        queue,
        evidence,
        has_adapter: operation.adapter.is_some(),
        at: minute(at),
    };
    Standing::assemble(&parts, &Texts::new(Language::En))
}

#[test]
fn the_two_truths_stand_apart() {
    let story = Story::about("provider.connection.check", 0, "provider_connection/42")
        .started(1)
        .ended_as(2, Outcome::Blocked);
    let success =
        Superseding { run_id: run_id(9), dispatched_at: minute(60), ended_at: minute(60) };
    let evidence = Evidence { superseding: Some(success), observation: None };
    let json = serde_json::to_value(standing_with(&story, 61, None, &evidence)).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "run_id": run_id(1),
            "recorded": {
                "operation": "provider.connection.check",
                "family": "connection_check",
                "environment": "prod",
                "subject": { "type": "provider_connection", "id": "42" },
                "status": "completed",
                "outcome": "blocked",
                "dispatched_at": "2026-01-01T00:00:00Z",
                "started_at": "2026-01-01T00:01:00Z",
                "completed_at": "2026-01-01T00:02:00Z",
                "settled_at": "2026-01-01T00:02:00Z",
                "last_sign_of_life": "2026-01-01T00:01:00Z",
                "worker": "w1",
                "attempt": 1,
                "reason_code": "timeout",
                "contradicted": false,
                "inferred": false,
                "events": 3,
            },
            "now": {
                "at": "2026-01-01T01:01:00Z",
                "freshness": "terminal",
                "progress": { "kind": "none", "last_reported": false },
                "actionability": {
                    "status": "superseded_by_later_success",
                    "reason": "later_success",
                    "proof": { "type": "run", "run_id": run_id(9) },
                },
                "related": { "type": "run", "id": run_id(9) },
                "follow_up": false,
                "guidance": {
                    "key": "superseded",
                    "severity": "done",
                    "text": "A later run has done the same work. Nothing is left to do here.",
                },
                "actions": [
                    { "key": "resolve", "offered": false, "reason": "made_good" },
                    { "key": "reopen", "offered": false, "reason": "not_resolved" },
                    { "key": "ask_adapter", "offered": false, "reason": "no_adapter" },
                    { "key": "retry_elsewhere", "offered": false, "reason": "made_good" },
                ],
            },
        })
    );
}

#[test]
fn a_standing_is_read_as_it_is_written() {
    let story = Story::dispatched("environment.review.compose", 0)
        .started(1)
        .reconciled(30, AdapterDecision::Failed)
        .ended_as(31, Outcome::Cancelled)
        .resolved(32);
    let queue = Some(QueueVerdict::Moving);
    let standing = standing_with(&story, 40, queue, &Evidence::default());
    let json = serde_json::to_string(&standing).unwrap();
    assert_eq!(serde_json::from_str::<Standing>(&json).unwrap(), standing);
}

#[test]
fn the_deadline_is_the_next_change_and_then_the_giving_up() {
    let story = Story::dispatched("inventory.sync", 0);
    let next = |at| standing(&story, at).now.next_change;
    let given_up = minute(10 + 24 * 60);
    assert_eq!(next(9), Some(minute(10)));
    assert_eq!(next(10), Some(given_up));
    assert_eq!(next(10 + 24 * 60), None, "it is due");
    let ended = story.ended_as(3, Outcome::Failed);
    assert_eq!(standing(&ended, 4).now.next_change, None);
    let unclassified = Story::dispatched("acme.custom.thing", 0);
    assert_eq!(standing(&unclassified, 4).now.next_change, None);
}

#[test]
fn the_queue_speaks_only_while_the_run_waits_in_time() {
    let waiting = Story::dispatched("inventory.sync", 0);
    let key = |story: &Story, at| {
        let queue = Some(QueueVerdict::NoWorker);
        standing_with(story, at, queue, &Evidence::default()).now.guidance.key
    };
    assert_eq!(key(&waiting, 5), GuidanceKey::NoWorkerSeen);
    assert_eq!(key(&waiting, 10), GuidanceKey::QueuedPastWindow);
    assert_eq!(key(&waiting.started(11), 12), GuidanceKey::RunningNoProgressYet);
}

#[test]
fn what_an_adapter_relates_a_run_to_is_looked_at_first() {
    let story = Story::dispatched("environment.review.compose", 0)
        .started(1)
        .reconciled(2, AdapterDecision::NeedsAttention);
    let standing = standing(&story, 3);
    assert_eq!(standing.recorded.related, Some("review/7".parse().unwrap()));
    assert_eq!(standing.now.freshness, Freshness::FreshRunning);
}

#[test]
fn a_run_keeps_the_dispatch_time_that_its_source_claims() {
    let story = Story::claimed("inventory.sync", -30, 0).ended_as(1, Outcome::Succeeded);
    let recorded = standing(&story, 2).recorded;
    assert_eq!(recorded.dispatched_at, minute(-30));
    assert_eq!(recorded.completed_at, Some(minute(1)));
}

#[test]
fn a_reconciled_success_says_that_an_adapter_found_it() {
    let story = Story::dispatched("environment.review.compose", 0)
        .reconciled(30, AdapterDecision::Succeeded);
    let now = standing(&story, 40).now;
    assert_eq!(now.freshness, Freshness::ReconciledTerminal);
    assert_eq!(now.guidance.key, GuidanceKey::ReconciledSucceeded);
}

/// Something that may be reported of a run, at the minute of its place in the story.
fn step() -> impl Strategy<Value = (u8, usize)> {
    (0u8..8, 0usize..7)
}

fn told(story: Story, at: i64, (kind, which): (u8, usize)) -> Story {
    match kind {
        0 => story.started(at),
        1 => story.heartbeat(at),
        2 => story.resolved(at),
        3 => story.reopened(at),
        4 => story.reconciled(at, AdapterDecision::ALL[which]),
        _ if Outcome::ALL[which] == Outcome::Pending => story.heartbeat(at),
        _ => story.ended_as(at, Outcome::ALL[which]),
    }
}

const OPERATIONS: [&str; 6] = [
    "inventory.sync",
    "provider.connection.check",
    "environment.review.compose",
    "restore.execute",
    "notification.send",
    "acme.custom.thing",
];

proptest! {
    #[test]
    fn the_parts_of_a_standing_never_contradict_each_other(
        which in 0usize..OPERATIONS.len(),
        subject in any::<bool>(),
        steps in prop::collection::vec((step(), 1i64..60), 0..8),
        success in prop::option::of(0i64..400),
        queue in prop::option::of(0usize..QueueVerdict::ALL.len()),
        later in 0i64..3_000,
    ) {
        let named = Named {
            subject: subject.then(|| "thing/1".parse().unwrap()),
            fingerprint: subject.then(|| name("f1")),
            ..Named::default()
        };
        let mut story = Story::named(OPERATIONS[which], 0, 0, named).lenient();
        let mut at = 0;
        for (step, pause) in steps {
            at += pause;
            story = told(story, at, step);
        }
        let superseding =
            success.map(|at| Superseding { run_id: run_id(2), dispatched_at: minute(at), ended_at: minute(at) });
        let evidence = Evidence { superseding, observation: None };
        let queue = queue.map(|verdict| QueueVerdict::ALL[verdict]);
        let standing = standing_with(&story, at + later, queue, &evidence);
        let Standing { recorded, now, .. } = &standing;

        // Actionability is total, and the flag is exactly what it says.
        let needs = matches!(
            now.actionability.status,
            Actionability::Actionable | Actionability::RequiresManualReview,
        );
        prop_assert_eq!(now.follow_up, needs);
        prop_assert_eq!(now.actions.len(), 4);
        prop_assert_eq!(now.actions[0].offered, needs);
        // Active means one thing everywhere.
        let active = story.run.is_active();
        prop_assert_eq!(now.actionability.status == Actionability::NotTerminal, active);
        prop_assert_eq!(recorded.completed_at.is_none(), active);
        prop_assert_eq!(recorded.outcome == Outcome::Pending, active);
        // Guidance is as loud as the rest says.
        let severity = now.guidance.severity;
        if now.freshness.is_stale() {
            prop_assert_eq!(severity, Severity::Attention);
            prop_assert!(now.progress.last_reported);
        }
        if needs {
            prop_assert_eq!(severity, Severity::Attention);
        } else if !active {
            prop_assert_eq!(severity, Severity::Done);
        }
        // Time alone changes nothing before it says so.
        if let Some(next) = now.next_change {
            prop_assert!(next > now.at);
        }
        prop_assert_eq!(now.freshness.is_fresh(), now.deadline.is_some_and(|end| now.at < end));
        let json = serde_json::to_string(&standing).unwrap();
        prop_assert_eq!(serde_json::from_str::<Standing>(&json).unwrap(), standing);
    }
}
