//! Runs to render templates with: standings that together are told everything that a person can be
//! told, what decides on one, and its life.

use runledger_ledger::time::{Moment, Span};
use runledger_projections::Timeline as Told;
use runledger_projections::Why;
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::guidance::{Guidance, GuidanceKey};
use runledger_projections::rules::standing::Standing;
use runledger_projections::rules::why::{Becomes, FreshnessWhy, WindowRule};
use runledger_projections::texts::{Language, Texts};
use serde_json::{Value, json};

use super::acting::{Mistaken, Wrong};
use super::samples::operation;

pub(super) const RUN: &str = "0192a0f4-7bde-7c3a-8f51-0d6c9e41b7aa";
pub(super) const OTHER: &str = "0192a0f4-7bde-7c3a-8f51-0d6c9e41b7bb";

pub(super) fn at() -> Moment {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// A standing that is told `key`, in the language of `texts`.
pub(super) fn standing(key: GuidanceKey, texts: &Texts) -> Standing {
    let guidance = Guidance { key, severity: key.severity() };
    let reconciled = json!({"type": "reconciliation", "adapter": "review",
        "recorded_at": "2026-01-01T11:00:00Z", "related": {"type": "review", "id": "7"}});
    let by_person = json!({"type": "operator", "by": "ada", "note": "seen",
        "recorded_at": "2026-01-01T11:00:00Z"});
    let by_run = json!({"type": "run", "run_id": OTHER});
    let active = ("not_terminal", Value::Null, Value::Null);
    let ended = |status, reason: &str, proof| (status, json!(reason), proof);
    let none = Value::Null;
    let (freshness, status, outcome, verdict) = match key.as_str() {
        "waiting_for_worker"
        | "waiting_unverified"
        | "waiting_behind_backlog"
        | "queue_stalled"
        | "no_worker_seen" => ("fresh_queued", "queued", "pending", active),
        "queued_past_window" => ("stale_queued", "queued", "pending", active),
        "running" | "running_no_progress_yet" => ("fresh_running", "running", "pending", active),
        "running_past_window" => ("stale_running", "running", "pending", active),
        "active_unverified" => ("unknown", "running", "pending", active),
        "needs_action" => ("terminal", "completed", "failed", ended("actionable", "problem", none)),
        "needs_review" => {
            ("terminal", "completed", "blocked", ended("requires_manual_review", "high_risk", none))
        }
        "superseded" => (
            "terminal",
            "completed",
            "failed",
            ended("superseded_by_later_success", "later_success", by_run),
        ),
        "resolved_by_state" => (
            "terminal",
            "completed",
            "unknown",
            ended("resolved_by_current_state", "reconciliation_proof", reconciled),
        ),
        "resolved_by_operator" => (
            "terminal",
            "completed",
            "partially_succeeded",
            ended("resolved_by_operator", "accepted", by_person),
        ),
        "reconciled_succeeded" => (
            "reconciled_terminal",
            "completed",
            "succeeded",
            ended("informational_only", "no_problem", none),
        ),
        "cancelled" => {
            ("terminal", "completed", "cancelled", ended("informational_only", "no_problem", none))
        }
        "for_information" => (
            "terminal",
            "completed",
            "failed",
            ended("informational_only", "informational_family", none),
        ),
        _ => {
            ("terminal", "completed", "succeeded", ended("informational_only", "no_problem", none))
        }
    };
    let mut recorded = json!({
        "operation": "backup.create", "family": "backup", "environment": "prod",
        "subject": {"type": "host", "id": "7"}, "status": status, "outcome": outcome,
        "dispatched_at": "2026-01-01T10:00:00Z", "started_at": "2026-01-01T10:01:00Z",
        "last_sign_of_life": "2026-01-01T10:02:00Z", "queue": "backups", "attempt": 1,
        "contradicted": false, "inferred": false, "events": 3,
        "artifacts": [{"type": "report", "id": "https://reports.example/7"}],
        "message": "<script>alert(1)</script>",
    });
    if status == "completed" {
        recorded["completed_at"] = json!("2026-01-01T10:30:00Z");
        recorded["settled_at"] = json!("2026-01-01T10:30:00Z");
    }
    let mut actionability = json!({"status": verdict.0});
    for (name, value) in [("reason", verdict.1), ("proof", verdict.2)] {
        if !value.is_null() {
            actionability[name] = value;
        }
    }
    let told = json!({
        "run_id": RUN,
        "recorded": recorded,
        "now": {
            "at": "2026-01-01T12:00:00Z", "freshness": freshness,
            "deadline": "2026-01-01T11:00:00Z",
            "queue": {"verdict": "moving", "waiting": 1, "live_workers": 1},
            "progress": {"kind": "determinate", "done": 1, "total": 3, "ratio_permille": 333,
                "last_reported": freshness.starts_with("stale")},
            "related": {"type": "run", "id": OTHER},
            "actionability": actionability, "follow_up": false,
            "guidance": {"key": key, "severity": guidance.severity,
                "text": texts.guidance(&guidance)},
            "actions": [
                {"key": "resolve", "offered": true, "reason": "needs_person"},
                {"key": "reopen", "offered": false, "reason": "not_resolved"},
                {"key": "ask_adapter", "offered": true, "reason": "may_prove_end"},
            ],
        },
    });
    serde_json::from_value(told).unwrap()
}

pub(super) fn standings(texts: &Texts) -> Vec<Standing> {
    GuidanceKey::ALL.iter().map(|key| standing(*key, texts)).collect()
}

/// What decides on a run that is past its window.
pub(super) fn why(language: Language) -> Why {
    let minutes = |minutes: i64| Some(Span::from_secs(minutes * 60));
    let family = operation().family;
    Why {
        freshness: FreshnessWhy {
            rule: WindowRule::RunWindow,
            since: Some(at()),
            window: minutes(30),
            blind: minutes(4),
            deadline: Some(at()),
            abandon_after: minutes(60),
            next: Some(match language {
                Language::En => (at(), Becomes::GivenUp),
                Language::De => (at(), Becomes::Stale(Freshness::StaleRunning)),
            }),
        },
        family,
        catalog: 3,
    }
}

pub(super) fn mistaken() -> Mistaken {
    let (reason, note) = (String::new(), "<script>alert(1)</script>".to_owned());
    Mistaken { action: "resolve".to_owned(), reason, note, wrong: Some(Wrong::Reason) }
}

pub(super) fn told() -> Told {
    let cause = json!({"kind": "event", "position": 7, "type": "run.failed", "run_id": RUN});
    let other = json!({"kind": "event", "position": 9, "type": "run.succeeded", "run_id": OTHER});
    let recorded = |position, kind, at, status, outcome| {
        json!({"position": position, "type": kind, "occurred_at": at, "recorded_at": at,
            "status": status, "outcome": outcome})
    };
    serde_json::from_value(json!({
        "run_id": RUN, "more_recorded": 2,
        "recorded": [
            recorded(5, "run.dispatched", "2026-01-01T10:00:00Z", "queued", "pending"),
            recorded(6, "run.started", "2026-01-01T10:01:00Z", "running", "pending"),
            recorded(7, "run.failed", "2026-01-01T10:30:00Z", "completed", "failed"),
        ],
        "freshness": [
            {"from": "2026-01-01T10:00:00Z", "until": "2026-01-01T10:20:00Z",
                "freshness": "fresh_running", "because": cause},
            {"from": "2026-01-01T10:20:00Z", "until": "2026-01-01T10:30:00Z",
                "freshness": "stale_running", "because": {"kind": "deadline"}},
            {"from": "2026-01-01T10:30:00Z", "freshness": "terminal", "because": cause},
        ],
        "actionability": [
            {"from": "2026-01-01T10:00:00Z", "until": "2026-01-01T10:30:00Z",
                "status": "not_terminal", "follow_up": false, "because": cause},
            {"from": "2026-01-01T10:30:00Z", "until": "2026-01-01T11:30:00Z",
                "status": "actionable", "reason": "problem", "follow_up": true, "because": cause},
            {"from": "2026-01-01T11:30:00Z", "status": "superseded_by_later_success",
                "reason": "later_success", "follow_up": false, "because": other,
                "proof": {"type": "run", "run_id": OTHER}},
        ],
    }))
    .unwrap()
}
