//! Stories: what may happen in a workspace, made up at random, and told to a world.

use proptest::prelude::*;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::run::{
    AdapterDecision, Dispatch, FollowUpAction, Named, Origin, Progress, Reconcile, Report,
    RunCommand, SignalReport,
};
use runledger_ledger::subject::SubjectState;
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Outcome, RunId};
use runledger_tests::world::{
    World, blind, catalog, follow_up, name, observed, run, subject, worker, worker_stopped,
};

/// How many runs a story is about.
pub(crate) const RUNS: u8 = 7;
const ENVIRONMENTS: [Option<&str>; 3] = [None, Some("prod"), Some("test")];
const SUBJECTS: [&str; 2] = ["host/a", "host/b"];
const QUEUES: [&str; 2] = ["sync", "checks"];
/// One of each policy: by scope, by subject with health, by fingerprint, by a person, for
/// information, and one that no catalog names.
const OPERATIONS: [&str; 6] = [
    "inventory.sync",
    "provider.connection.check",
    "evidence.snapshot.generate",
    "restore.execute",
    "workspace.usage.report",
    "something.new",
];

/// What a run is, from its first word to its last.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) named: Named,
}

pub(crate) fn shape() -> impl Strategy<Value = Shape> {
    let one_of = |count: usize| prop::option::weighted(0.7, 0..count);
    (0..OPERATIONS.len(), 0..ENVIRONMENTS.len(), one_of(2), one_of(2), one_of(2)).prop_map(
        |(operation, environment, subject_at, fingerprint, queue)| {
            // The report is of the workspace, which has no environment.
            let own = OPERATIONS[operation] == "workspace.usage.report";
            let environment = ENVIRONMENTS[environment].filter(|_| !own);
            let named = Named {
                operation: Some(name(OPERATIONS[operation])),
                environment: environment.map(name),
                subject: subject_at.map(|place| subject(SUBJECTS[place])),
                fingerprint: fingerprint.map(|place| name(["one", "two"][place])),
                queue: queue.map(|place| name(QUEUES[place])),
                ..Named::default()
            };
            Shape { named }
        },
    )
}

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Dispatch(u8),
    /// A run reports, so many minutes late.
    Signal(u8, Signal, u8),
    Reconcile(u8, AdapterDecision),
    FollowUp(u8, FollowUpAction),
    Observe(usize, usize, SubjectState),
    Worker(u8, Vec<usize>),
    WorkerStopped(u8),
    Wait(u8),
    Blind(u8),
    Catalog(bool),
    /// The read models follow.
    CatchUp,
}

/// What a run reports.
#[derive(Clone, Debug)]
pub(crate) enum Signal {
    Started,
    Heartbeat(u8),
    Ended(Outcome),
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop::sample::select(&Outcome::ALL[1..])
}

pub(crate) fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        2 => Just(Signal::Started),
        2 => (0..5_u8).prop_map(Signal::Heartbeat),
        4 => outcome().prop_map(Signal::Ended),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let run = 0..RUNS;
    prop_oneof![
        6 => run.clone().prop_map(Step::Dispatch),
        12 => (run.clone(), signal(), 0..90_u8).prop_map(|(run, signal, late)| {
            Step::Signal(run, signal, late)
        }),
        2 => (run.clone(), prop::sample::select(AdapterDecision::ALL))
            .prop_map(|(run, decision)| Step::Reconcile(run, decision)),
        3 => (run, prop::sample::select(FollowUpAction::ALL))
            .prop_map(|(run, action)| Step::FollowUp(run, action)),
        2 => (0..3_usize, 0..2_usize, prop::sample::select(SubjectState::ALL))
            .prop_map(|(environment, subject, state)| Step::Observe(environment, subject, state)),
        2 => (0..2_u8, prop::sample::subsequence(vec![0, 1], 0..=2))
            .prop_map(|(worker, queues)| Step::Worker(worker, queues)),
        1 => (0..2_u8).prop_map(Step::WorkerStopped),
        6 => (1..60_u8).prop_map(Step::Wait),
        1 => (1..60_u8).prop_map(Step::Blind),
        1 => any::<bool>().prop_map(Step::Catalog),
        4 => Just(Step::CatchUp),
    ]
}

/// Runs, and what happens to them.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) shapes: Vec<Shape>,
    pub(crate) steps: Vec<Step>,
}

pub(crate) fn story() -> impl Strategy<Value = Story> {
    let shapes = prop::collection::vec(shape(), usize::from(RUNS));
    (shapes, prop::collection::vec(step(), 5..60))
        .prop_map(|(shapes, steps)| Story { shapes, steps })
}

/// Runs that wait in one queue or in another, workers that come and go, and time that passes.
pub(crate) fn story_of_queues() -> impl Strategy<Value = Story> {
    let shapes = (0..3_usize, 0..2_usize).prop_map(|(operation, queue)| {
        let named = Named {
            operation: Some(name(OPERATIONS[operation])),
            queue: Some(name(QUEUES[queue])),
            ..Named::default()
        };
        Shape { named }
    });
    let run = 0..RUNS;
    let step = prop_oneof![
        8 => run.clone().prop_map(Step::Dispatch),
        5 => run.clone().prop_map(|run| Step::Signal(run, Signal::Started, 0)),
        2 => (run, outcome(), 0..90_u8)
            .prop_map(|(run, outcome, late)| Step::Signal(run, Signal::Ended(outcome), late)),
        5 => (0..2_u8, prop::sample::subsequence(vec![0, 1], 0..=2))
            .prop_map(|(worker, queues)| Step::Worker(worker, queues)),
        1 => (0..2_u8).prop_map(Step::WorkerStopped),
        10 => (1..30_u8).prop_map(Step::Wait),
        1 => (1..40_u8).prop_map(Step::Blind),
    ];
    let shapes = prop::collection::vec(shapes, usize::from(RUNS));
    (shapes, prop::collection::vec(step, 20..70))
        .prop_map(|(shapes, steps)| Story { shapes, steps })
}

impl Story {
    fn named(&self, run: u8) -> Named {
        self.shapes[usize::from(run)].named.clone()
    }

    /// Lets one step happen. What the ledger refuses has not happened.
    pub(crate) async fn tell(&self, step: &Step, world: &World) {
        let now = world.clock.now();
        let submission = match step {
            Step::Wait(minutes) => return world.wait(i64::from(*minutes)),
            Step::CatchUp => {
                world.projections.catch_up(world.workspace).await.unwrap();
                return;
            }
            Step::Dispatch(run) => dispatched(run_id(*run), self.named(*run)),
            Step::Signal(run, signal, late) => {
                let earlier = before(now, i64::from(*late));
                signalled(run_id(*run), self.named(*run), signal).occurred_at(earlier)
            }
            Step::Reconcile(run, decision) => reconciled(run_id(*run), *decision, now),
            Step::FollowUp(run, action) => follow_up(run_id(*run), *action),
            Step::Observe(environment, subject, state) => {
                observed(ENVIRONMENTS[*environment], SUBJECTS[*subject], *state)
            }
            Step::Worker(number, queues) => {
                let queues: Vec<&str> = queues.iter().map(|place| QUEUES[*place]).collect();
                worker(&format!("w{number}"), &queues)
            }
            Step::WorkerStopped(number) => worker_stopped(&format!("w{number}")),
            Step::Blind(length) => {
                let from = before(now, i64::from(*length));
                blind(from, now)
            }
            Step::Catalog(built_in) => catalog(&catalog_text(*built_in)),
        };
        world.submit(vec![submission]).await;
    }

    /// Tells it all, and lets the read models follow.
    pub(crate) async fn happen(&self, world: &World) {
        for step in &self.steps {
            self.tell(step, world).await;
        }
        world.projections.catch_up(world.workspace).await.unwrap();
    }
}

/// The built-in catalog, or one by which checks are closed by a person and syncs by nothing.
fn catalog_text(built_in: bool) -> String {
    let text = Catalog::built_in().text().to_owned();
    if built_in {
        return text;
    }
    let other = text.replacen("supersession = \"subject\"\n", "review = \"manual\"\n", 1).replacen(
        "supersession = \"scope\"\n",
        "",
        1,
    );
    assert_ne!(other, text, "the built-in catalog has changed its form");
    other
}

pub(crate) fn run_id(number: u8) -> RunId {
    run(u128::from(number) + 1)
}

pub(crate) fn minutes(minutes: i64) -> Span {
    Span::from_secs(minutes * 60)
}

/// So many minutes before a moment.
pub(crate) fn before(moment: Moment, count: i64) -> Moment {
    Moment::from_micros(moment.micros() - minutes(count).micros())
}

pub(crate) fn dispatched(run: RunId, named: Named) -> Submission {
    let Some(operation) = named.operation.clone() else { panic!("a run without an operation") };
    let dispatch = Dispatch {
        correlation_version: 1,
        operation,
        named: Named { operation: None, ..named },
        origin: Origin::default(),
        unique: None,
    };
    Submission::new(Command::Run(run, RunCommand::Dispatch(Box::new(dispatch))))
}

pub(crate) fn signalled(run: RunId, named: Named, signal: &Signal) -> Submission {
    let report = match signal {
        Signal::Started => Report::Started { attempt: None, worker: None },
        Signal::Heartbeat(done) => {
            let progress =
                Progress { done: Some(u64::from(*done)), total: Some(5), ..Progress::default() };
            Report::Heartbeat { progress: Some(progress).filter(|_| *done > 0) }
        }
        Signal::Ended(outcome) => {
            return with_names(runledger_tests::world::ended(run, *outcome), named);
        }
    };
    with_names(runledger_tests::world::signal(run, report), named)
}

fn with_names(mut submission: Submission, named: Named) -> Submission {
    if let Command::Run(_, RunCommand::Signal(signal)) = &mut submission.command {
        let SignalReport { named: names, .. } = &mut **signal;
        *names = named;
    }
    submission
}

fn reconciled(run: RunId, decision: AdapterDecision, now: Moment) -> Submission {
    let reconcile = Reconcile {
        adapter: name("probe"),
        adapter_version: 1,
        decision,
        evaluated_at: now,
        evidence: [].into(),
        expected_events: None,
        reason_code: name("seen"),
        related: None,
    };
    Submission::new(Command::Run(run, RunCommand::Reconcile(Box::new(reconcile))))
}
