//! Runs for tests, told through the ledger's own `decide` and `apply`, so that no test looks at a
//! run that could not be.

use runledger_ledger::catalog::{Catalog, Operation};
use runledger_ledger::run::{
    AdapterDecision, Decision, Dispatch, Fields, FollowUpAction, FollowUpCommand, Named, Origin,
    Progress, Reconcile, Report, Run, RunCommand, RunContext, SignalReport,
};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, Outcome, RunId};
use uuid::Uuid;

/// 2026-01-01T00:00:00Z, where every story begins.
const BEGIN: Moment = Moment::from_micros(1_767_225_600_000_000);

/// The moment `minute` minutes into a story.
pub(crate) fn minute(minute: i64) -> Moment {
    Moment::from_micros(BEGIN.micros() + minute * 60_000_000)
}

/// A length of time.
pub(crate) fn minutes(minutes: i64) -> Span {
    Span::from_secs(minutes * 60)
}

/// A name.
pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A run id, the same for the same number.
pub(crate) fn run_id(number: u128) -> RunId {
    RunId(Uuid::from_u128(number))
}

/// The operation that the built-in catalog has of this name.
pub(crate) fn operation(name: &str) -> Operation<'static> {
    use std::sync::{Arc, LazyLock};
    static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(Catalog::built_in);
    CATALOG.operation(Box::leak(name.to_owned().into_boxed_str()))
}

/// One run, in the environment `prod` where its operation may have one.
#[derive(Clone)]
pub(crate) struct Story {
    /// What is recorded of it.
    pub(crate) run: Run,
    /// Whether a report that records nothing is passed over, and no mistake.
    lenient: bool,
}

impl Story {
    /// Dispatched at this minute.
    pub(crate) fn dispatched(operation: &str, at: i64) -> Story {
        Story::claimed(operation, at, at)
    }

    /// Dispatched at `occurred`, as its source says; recorded at `at`.
    pub(crate) fn claimed(operation: &str, occurred: i64, at: i64) -> Story {
        let named = Named { environment: Some(name("prod")), ..Named::default() };
        Story::named(operation, occurred, at, named)
    }

    /// Dispatched with a subject of this id.
    pub(crate) fn about(operation: &str, at: i64, subject: &str) -> Story {
        let subject = Some(subject.parse().unwrap());
        let named = Named { environment: Some(name("prod")), subject, ..Named::default() };
        Story::named(operation, at, at, named)
    }

    /// Dispatched with whatever `named` names.
    pub(crate) fn named(operation: &str, occurred: i64, at: i64, named: Named) -> Story {
        let dispatch = Dispatch {
            correlation_version: 1,
            operation: name(operation),
            named,
            origin: Origin::default(),
            unique: None,
        };
        let story = Story { run: Run::default(), lenient: false };
        story.told(RunCommand::Dispatch(Box::new(dispatch)), occurred, at)
    }

    /// The same story; what would record nothing from here on is passed over.
    pub(crate) fn lenient(self) -> Story {
        Story { lenient: true, ..self }
    }

    /// Started by a worker.
    pub(crate) fn started(self, at: i64) -> Story {
        self.signal(at, Report::Started { attempt: None, worker: Some(name("w1")) })
    }

    /// Alive.
    pub(crate) fn heartbeat(self, at: i64) -> Story {
        self.signal(at, Report::Heartbeat { progress: None })
    }

    /// Alive, and this far.
    pub(crate) fn progressed(self, at: i64, progress: Progress) -> Story {
        self.signal(at, Report::Heartbeat { progress: Some(progress) })
    }

    /// A terminal signal with this outcome: the first one completes, a later one is late.
    pub(crate) fn ended_as(self, at: i64, outcome: Outcome) -> Story {
        let report = match outcome {
            Outcome::Pending => panic!("no signal ends a run as pending"),
            Outcome::Succeeded => {
                Report::Succeeded { artifacts: Vec::new(), summary: Fields::new() }
            }
            Outcome::Cancelled => Report::Cancelled { by: None, reason: None },
            Outcome::Unknown => Report::Ended { reason: None },
            outcome => Report::Failed {
                message: None,
                outcome,
                reason_code: name("timeout"),
                retryable: None,
            },
        };
        self.signal(at, report)
    }

    /// An adapter's decision, related to `review/7`.
    pub(crate) fn reconciled(self, at: i64, decision: AdapterDecision) -> Story {
        let reconcile = Reconcile {
            adapter: name("prober"),
            adapter_version: 1,
            decision,
            evaluated_at: minute(at),
            evidence: Fields::new(),
            expected_events: None,
            reason_code: name("looked"),
            related: Some("review/7".parse().unwrap()),
        };
        self.told(RunCommand::Reconcile(Box::new(reconcile)), at, at)
    }

    /// A person resolves it, for the reason `fixed_by_hand`.
    pub(crate) fn resolved(self, at: i64) -> Story {
        self.followed_up(at, FollowUpAction::Resolve, "fixed_by_hand")
    }

    /// A person reopens it.
    pub(crate) fn reopened(self, at: i64) -> Story {
        self.followed_up(at, FollowUpAction::Reopen, "not_fixed")
    }

    fn followed_up(self, at: i64, action: FollowUpAction, reason: &str) -> Story {
        let by = name("ops@example.test");
        let word = FollowUpCommand {
            action,
            by,
            note: None,
            reason: name(reason),
            unless_resolved: false,
        };
        self.told(RunCommand::FollowUp(word), at, at)
    }

    /// Any report, at the moment that it is recorded.
    pub(crate) fn signal(self, at: i64, report: Report) -> Story {
        let signal = SignalReport { named: Named::default(), origin: Origin::default(), report };
        self.told(RunCommand::Signal(Box::new(signal)), at, at)
    }

    /// Decides on a command and takes in what it records.
    fn told(mut self, command: RunCommand, occurred: i64, at: i64) -> Story {
        let catalog = Catalog::built_in();
        let context = RunContext {
            catalog: &catalog,
            holder: None,
            occurred_at: minute(occurred),
            recorded_at: minute(at),
            run_id: run_id(1),
            strict: false,
        };
        match self.run.decide(&command, &context) {
            Ok(Decision::Record(facts)) => facts.iter().for_each(|fact| self.run.apply(fact)),
            _ if self.lenient => {}
            other => panic!("{command:?} was answered with {other:?}"),
        }
        self
    }
}
