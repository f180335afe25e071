//! The built-in adapter `lifecycle` (DESIGN section 5): no run of a family with `abandon_after` is
//! active for ever.
//!
//! Silence proves an end to the waiting, not a failure. So a run that stayed stale for that long is
//! said to have ended, and nothing is said of how.

use async_trait::async_trait;
use runledger_ledger::catalog::Lifecycle;
use runledger_ledger::run::{AdapterDecision, Reconcile, Run, RunEvent};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Status, WordError};

use crate::adapter::{Adapter, Case, Decision, Kind, Manifest, SourceError, Value, Wake};
use crate::conformance::{Set, Specimens, case};
use crate::seam::{self, SeamError};

/// What the ledger knows the adapter by.
pub const ADAPTER: &str = "lifecycle";
/// The version of what it decides.
pub const VERSION: u32 = 1;
/// Why it gives a run up.
pub const ABANDONED: &str = "abandoned";

/// Gives up a run that fell due at `due_at`, as looked at `now`. None for a run that is not active,
/// that is not due yet, or whose dispatch knows no `abandon_after`.
///
/// The decision holds only for the run as it is here: if one more event is recorded of it, the
/// ledger refuses the decision as `run_moved`, and the run is looked at again.
///
/// # Errors
/// Never in practice: the seam lets every value of it through.
pub fn abandon(run: &Run, due_at: Moment, now: Moment) -> Result<Option<Reconcile>, SeamError> {
    let decision = given_up(run, due_at, now);
    decision.map(|decision| seam::reconcile(&manifest(), run, now, &decision)).transpose()
}

fn given_up(run: &Run, due_at: Moment, now: Moment) -> Option<Decision> {
    let due = now >= due_at && run.is_active() && run.lifecycle.abandon_after.is_some();
    due.then(|| resting_on(Decision::new(AdapterDecision::Unknown, ABANDONED), run, due_at))
}

/// With what the decision rests on: when the run was last heard of, and how long it may be silent.
fn resting_on(decision: Decision, run: &Run, due_at: Moment) -> Decision {
    let (heard_at, window) = match run.status {
        Status::Queued => (Some(run.dispatch_recorded_at), run.lifecycle.queue_window),
        Status::Running | Status::Completed => (run.last_sign_of_life, run.lifecycle.run_window),
    };
    let values = [
        ("abandon_after", run.lifecycle.abandon_after.map(Value::from)),
        ("due_at", Some(due_at.into())),
        ("last_heard_at", heard_at.map(Value::from)),
        ("status", Some(run.status.as_str().into())),
        ("window", window.map(Value::from)),
    ];
    values.into_iter().fold(decision, |decision, (key, value)| match value {
        Some(value) => decision.evidence(key, value),
        None => decision,
    })
}

fn manifest() -> Manifest {
    Manifest::new(ADAPTER, VERSION)
        .every_operation()
        .evidence("abandon_after", Kind::Duration)
        .evidence("due_at", Kind::Time)
        .evidence("last_heard_at", Kind::Time)
        .evidence("status", Kind::State)
        .evidence("window", Kind::Duration)
}

/// [`abandon`] as an adapter of every operation type. It asks nobody: what it decides on is in the
/// case.
#[derive(Clone, Debug)]
pub struct GiveUp {
    manifest: Manifest,
}

impl GiveUp {
    /// The adapter.
    pub fn new() -> Self {
        GiveUp { manifest: manifest() }
    }
}

impl Default for GiveUp {
    fn default() -> Self {
        GiveUp::new()
    }
}

#[async_trait]
impl Adapter for GiveUp {
    type Evidence = ();

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// No event is a reason to give a run up: its deadline is.
    fn handle(&self, _: &RunEvent, _: &Run) -> Wake {
        Wake::Ignore
    }

    async fn gather(&self, cases: &[Case]) -> Result<Vec<()>, SourceError> {
        Ok(vec![(); cases.len()])
    }

    fn decide(&self, case: &Case, (): &()) -> Decision {
        let decision = case.give_up_at.and_then(|due_at| given_up(&case.run, due_at, case.at));
        decision.unwrap_or_else(|| Decision::new(AdapterDecision::NoChange, "not_due"))
    }
}

impl Specimens for GiveUp {
    fn specimens(&self) -> Result<Set<()>, WordError> {
        let mut silent = case("inventory.sync")?;
        silent.run.lifecycle =
            Lifecycle { abandon_after: Some(Span::from_secs(86_400)), ..silent.run.lifecycle };
        silent.give_up_at = Some(silent.at);
        let mut early = silent.clone();
        early.give_up_at = Some(silent.at.plus(Span::from_secs(1)));
        let mut high_risk = silent.clone();
        high_risk.run.lifecycle.abandon_after = None;
        let mut ended = silent.clone();
        ended.run.status = Status::Completed;
        Ok(Set::new()
            .proof("silent for too long", &silent, ())
            .missing("not due yet", &early, ())
            .missing("a run that is never given up", &high_risk, ())
            .missing("no deadline", &case("inventory.sync")?, ())
            .contradictory("due, and ended", &ended, ()))
    }
}

#[cfg(test)]
mod tests {
    use runledger_ledger::run::{Fields, Scalar};
    use runledger_ledger::words::{Name, Outcome};

    use super::*;

    const DUE: Moment = Moment::from_micros(90_000_000_000);

    fn silent(status: Status) -> Run {
        let span = |text: &str| Some(text.parse::<Span>().unwrap());
        Run {
            operation: Some(Name::new("inventory.sync").unwrap()),
            status,
            lifecycle: Lifecycle {
                queue_window: span("10m"),
                run_window: span("30m"),
                abandon_after: span("24h"),
            },
            last_sign_of_life: Some(Moment::from_micros(60_000_000)),
            events: 3,
            ..Run::default()
        }
    }

    fn text(value: &Scalar) -> &str {
        match value {
            Scalar::Text(text) => text.as_str(),
            _ => panic!("every value is a text"),
        }
    }

    fn shown(fields: &Fields) -> Vec<(&str, &str)> {
        fields.iter().map(|(name, value)| (name.as_str(), text(value))).collect()
    }

    #[test]
    fn a_silent_run_is_given_up_as_unknown_and_only_as_it_was_seen() {
        let decision = abandon(&silent(Status::Running), DUE, DUE).unwrap().unwrap();
        assert_eq!(decision.decision, AdapterDecision::Unknown);
        assert_eq!(decision.reason_code.as_str(), "abandoned");
        assert_eq!(decision.expected_events, Some(3));
        assert_eq!(
            shown(&decision.evidence),
            [
                ("abandon_after", "1d"),
                ("due_at", "1970-01-02T01:00:00Z"),
                ("last_heard_at", "1970-01-01T00:01:00Z"),
                ("status", "running"),
                ("window", "30m"),
            ]
        );
    }

    #[test]
    fn a_waiting_run_is_judged_by_its_queue_window() {
        let decision = abandon(&silent(Status::Queued), DUE, DUE).unwrap().unwrap();
        let evidence = shown(&decision.evidence);
        assert!(evidence.contains(&("window", "10m")), "{evidence:?}");
        assert!(evidence.contains(&("last_heard_at", "1970-01-01T00:00:00Z")), "{evidence:?}");
    }

    #[test]
    fn what_has_ended_or_is_not_due_or_is_never_given_up_stays() {
        let ended = Run { outcome: Outcome::Failed, ..silent(Status::Completed) };
        assert_eq!(abandon(&ended, DUE, DUE).unwrap(), None);
        let early = Moment::from_micros(DUE.micros() - 1);
        assert_eq!(abandon(&silent(Status::Running), DUE, early).unwrap(), None);
        let high_risk = Run { lifecycle: Lifecycle::default(), ..silent(Status::Running) };
        assert_eq!(abandon(&high_risk, DUE, DUE).unwrap(), None);
        assert_eq!(abandon(&Run::default(), DUE, DUE).unwrap(), None);
    }

    #[test]
    fn the_adapter_and_the_function_say_the_same() {
        let mut judged = case("inventory.sync").unwrap();
        judged.run = silent(Status::Running);
        (judged.give_up_at, judged.at) = (Some(DUE), DUE);
        let adapter = GiveUp::new();
        let decision = adapter.decide(&judged, &());
        let commands = crate::seam::commands(adapter.manifest(), &judged, &decision).unwrap();
        let wanted = abandon(&judged.run, DUE, DUE).unwrap().unwrap();
        assert_eq!(commands.reconcile, wanted);
    }
}
