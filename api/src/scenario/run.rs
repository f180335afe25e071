//! Playing a scenario: the clock goes from moment to moment, and what falls due on the way happens.

use std::collections::{BTreeMap, HashMap};

use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::run::{
    Dispatch, Fields, Named, Origin, Reconcile, Report as SignalWord, RunCommand, SignalReport,
};
use runledger_ledger::store::{Scratch, Store, StoreUrl};
use runledger_ledger::subject::{Observe, SubjectKey};
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, RunId, WorkspaceId};
use runledger_ledger::workspace::{LedgerBlind, WorkspaceCommand};
use runledger_projections::{AsOf, Projections};

use super::expectation::{Expectation, Labels};
use super::file::{Action, RunAction, Scenario, Step, Wanted};
use super::{Asked, Failure, PlayError, Report};
use crate::reconciler;

/// 2026-01-01T00:00:00Z, where every scenario begins.
const BEGIN: Moment = Moment::from_micros(1_767_225_600_000_000);
/// Times that something may fall due at one moment, a page of runs at a time. Each recorded decision
/// is an end, so this is far more than can be. One moment after another may be any number.
const MOST_AT_ONCE: usize = 100;

/// A database for scenarios. Each is played in workspaces of its own.
#[derive(Debug)]
pub struct Engine {
    scratch: Scratch,
    store: Store,
}

impl Engine {
    /// Opens a part of the database that nobody else knows of.
    pub async fn open(url: &StoreUrl) -> Result<Self, PlayError> {
        let scratch = Scratch::make(url, &Entropy::system()).await?;
        let store = Store::open(scratch.url()).await?;
        Ok(Engine { scratch, store })
    }

    /// Leaves the database as it was.
    pub async fn close(self) -> Result<(), PlayError> {
        self.store.close().await;
        Ok(self.scratch.remove().await?)
    }

    /// Plays a scenario from its beginning to its last step or expectation.
    pub async fn play(&self, scenario: &Scenario) -> Result<Report, PlayError> {
        let mut play = Play::begin(self.store.clone(), scenario).await?;
        let mut waiting: Vec<&Expectation> = scenario.expectations.iter().collect();
        waiting.sort_by_key(|expected| expected.at);
        let mut waiting = waiting.into_iter().peekable();
        for step in &scenario.steps {
            while let Some(expected) = waiting.next_if(|expected| expected.at < step.at) {
                play.go_to(expected.at).await?;
                play.ask(expected, Asked::Then).await?;
            }
            play.go_to(step.at).await?;
            play.take(step).await?;
        }
        for expected in waiting {
            play.go_to(expected.at).await?;
            play.ask(expected, Asked::Then).await?;
        }
        for expected in &scenario.expectations {
            play.ask(expected, Asked::Afterwards).await?;
        }
        Ok(play.report(scenario))
    }
}

/// A scenario while it is played.
struct Play {
    clock: Clock,
    projections: Projections,
    workspaces: BTreeMap<Name, WorkspaceId>,
    runs: Runs,
    failures: Vec<Failure>,
}

/// The same label in two workspaces is two runs.
#[derive(Default)]
struct Runs {
    ids: HashMap<(Name, Name), RunId>,
    labels: HashMap<RunId, Name>,
}

impl Labels for Runs {
    fn run(&self, workspace: &Name, label: &Name) -> Option<RunId> {
        self.ids.get(&(workspace.clone(), label.clone())).copied()
    }

    fn label(&self, run: RunId) -> String {
        self.labels.get(&run).map_or_else(|| run.to_string(), Name::to_string)
    }
}

impl Runs {
    /// An answer, in words; `names` is the run that it names.
    fn shown(&self, answer: &Answer, names: Option<RunId>) -> String {
        let of = |run: Option<RunId>| {
            run.map_or_else(String::new, |run| format!(" (run {})", self.label(run)))
        };
        match answer {
            Answer::Recorded(_) => format!("recorded{}", of(names)),
            Answer::Duplicate { .. } => format!("duplicate{}", of(names)),
            Answer::Coalesced { .. } => "coalesced".to_owned(),
            Answer::NoChange => "no change".to_owned(),
            Answer::Existing(_) => format!("existing{}", of(names)),
            Answer::AlreadyProven(_) => "already proven".to_owned(),
            Answer::Conflict { position } => format!("in conflict with position {position}"),
            Answer::Refused(refusal) => format!("refused as {} ({refusal})", refusal.code()),
        }
    }
}

impl Play {
    async fn begin(store: Store, scenario: &Scenario) -> Result<Self, PlayError> {
        let clock = Clock::manual(BEGIN);
        let entropy = Entropy::system();
        let ledger = Ledger::new(store, clock.clone(), entropy);
        let projections = Projections::new(ledger.clone())?;
        // Several scenarios share a database, and each has a `main`.
        let game = ledger.process_id()?;
        let mut workspaces = BTreeMap::new();
        for name in scenario.workspaces() {
            let unique = Name::new(format!("{game}/{name}"))?;
            let id = ledger.create_workspace(&unique, &scenario.catalog).await?;
            workspaces.insert(Name::new(name)?, id);
        }
        let (runs, failures) = (Runs::default(), Vec::new());
        let mut play = Play { clock, projections, workspaces, runs, failures };
        play.settle().await?;
        Ok(play)
    }

    fn report(mut self, scenario: &Scenario) -> Report {
        self.failures.sort_by_key(|failure| failure.line);
        Report {
            file: scenario.path.clone(),
            name: scenario.name.clone(),
            steps: scenario.steps.len(),
            expectations: scenario.expectations.len(),
            failures: self.failures,
        }
    }

    fn ledger(&self) -> &Ledger {
        self.projections.ledger()
    }

    /// Moves the clock to `at`, and stops on the way wherever a run falls due.
    async fn go_to(&mut self, at: Span) -> Result<(), PlayError> {
        let moment = BEGIN.plus(at);
        let (mut stopped, mut times) = (None, 0);
        while times < MOST_AT_ONCE {
            let Some(due) = self.next_due().await?.filter(|due| *due <= moment) else {
                self.clock.set(moment);
                return Ok(());
            };
            times = if stopped == Some(due) { times + 1 } else { 0 };
            stopped = Some(due);
            self.clock.set(due.max(self.clock.now()));
            for workspace in self.workspaces.values() {
                reconciler::act(&self.projections, *workspace, self.clock.now()).await?;
            }
            self.settle().await?;
        }
        Err(PlayError::Endless(at))
    }

    async fn next_due(&self) -> Result<Option<Moment>, PlayError> {
        let mut next: Option<Moment> = None;
        for workspace in self.workspaces.values() {
            let due = self.projections.next_overdue(*workspace).await?;
            next = next.into_iter().chain(due).min();
        }
        Ok(next)
    }

    /// Lets the read models follow.
    async fn settle(&mut self) -> Result<(), PlayError> {
        for workspace in self.workspaces.values() {
            self.projections.catch_up(*workspace).await?;
        }
        Ok(())
    }

    async fn take(&mut self, step: &Step) -> Result<(), PlayError> {
        let command = self.command(step)?;
        // The ledger is blind for all at once.
        let blind = matches!(step.action, Action::LedgerBlind { .. });
        let hears = |name: &Name| blind || *name == step.workspace;
        let workspaces: Vec<WorkspaceId> =
            self.workspaces.iter().filter_map(|(name, id)| hears(name).then_some(*id)).collect();
        for workspace in workspaces {
            let mut submission = Submission::new(command.clone());
            submission.occurred_at = step.occurred.map(|offset| BEGIN.plus(offset));
            let before = self.size(workspace).await?;
            let answers = self.ledger().submit(workspace, vec![submission], false).await?;
            let grew = self.size(workspace).await? > before;
            for answer in answers {
                self.judge(step, &answer, grew);
            }
        }
        self.settle().await
    }

    async fn size(&self, workspace: WorkspaceId) -> Result<u64, PlayError> {
        let head = self.ledger().store().head(workspace).await?;
        Ok(head.map_or(0, |head| head.size()))
    }

    /// Notes whether a step was answered as it must be.
    fn judge(&mut self, step: &Step, answer: &Answer, grew: bool) {
        let own = step.run().and_then(|run| self.runs.run(&step.workspace, run));
        let refusal = match answer {
            Answer::Refused(refusal) => Some(refusal.code()),
            Answer::Conflict { .. } => Some("conflict"),
            _ => None,
        };
        let names = match answer {
            Answer::Existing(run) => Some(*run),
            _ => own.filter(|_| refusal.is_none()),
        };
        let recorded = matches!(answer, Answer::Recorded(_));
        let (holds, expected) = match &step.wanted {
            Wanted::Taken => (refusal.is_none(), "taken".to_owned()),
            Wanted::Refused(code) => (refusal == Some(code.as_str()), format!("refused as {code}")),
            Wanted::Nothing => {
                (refusal.is_none() && !recorded, "one that records and refuses nothing".to_owned())
            }
        };
        let lands = step
            .lands_on
            .as_ref()
            .filter(|label| names.is_none() || names != self.runs.run(&step.workspace, label));
        let shown = self.runs.shown(answer, names);
        let wrong = [
            (!holds).then(|| ("the answer", expected, shown.clone())),
            lands.map(|label| ("the answer", format!("run {label}"), shown)),
            (grew && !recorded).then(|| ("the log", "as it was".to_owned(), "longer".to_owned())),
        ];
        self.failures.extend(wrong.into_iter().flatten().map(|(key, expected, found)| Failure {
            line: step.line,
            at: step.at,
            about: step.subject(),
            asked: Asked::Then,
            key,
            expected,
            found,
        }));
    }

    async fn ask(&mut self, expected: &Expectation, asked: Asked) -> Result<(), PlayError> {
        let Some(&workspace) = self.workspaces.get(&expected.workspace) else { return Ok(()) };
        let as_of = match asked {
            Asked::Then => AsOf::Now,
            Asked::Afterwards => AsOf::Moment(BEGIN.plus(expected.at)),
        };
        let view = self.projections.view(workspace, as_of).await?;
        for found in expected.ask(&view, &self.runs).await? {
            let failure = Failure {
                line: expected.line,
                at: expected.at,
                about: expected.subject(),
                asked,
                key: found.key,
                expected: found.expected,
                found: found.found,
            };
            // What was wrong then and is remembered so is one failure.
            let then = Failure { asked: Asked::Then, ..failure.clone() };
            if !self.failures.contains(&then) {
                self.failures.push(failure);
            }
        }
        Ok(())
    }

    /// The run of a label; a new one where it is first named.
    fn run(&mut self, workspace: &Name, label: &Name) -> Result<RunId, PlayError> {
        if let Some(run) = self.runs.run(workspace, label) {
            return Ok(run);
        }
        let run = self.ledger().new_run_id()?;
        self.runs.ids.insert((workspace.clone(), label.clone()), run);
        self.runs.labels.insert(run, label.clone());
        Ok(run)
    }

    fn command(&mut self, step: &Step) -> Result<Command, PlayError> {
        Ok(match &step.action {
            Action::Run(label, action) => {
                let command = self.run_command(&step.workspace, action)?;
                Command::Run(self.run(&step.workspace, label)?, command)
            }
            Action::Observed { key, state, verified } => {
                let observe = Observe {
                    evidence: Fields::new(),
                    state: *state,
                    verified_at: verified.map(|offset| BEGIN.plus(offset)),
                    verifier: None,
                };
                Command::Subject(SubjectKey::clone(key), observe)
            }
            Action::Worker { key, report } => Command::Worker(key.clone(), report.clone()),
            Action::LedgerBlind { from } => {
                let blind = LedgerBlind { from: BEGIN.plus(*from), to: self.clock.now() };
                Command::Workspace(WorkspaceCommand::NoteBlind(blind))
            }
        })
    }

    fn run_command(
        &mut self,
        workspace: &Name,
        action: &RunAction,
    ) -> Result<RunCommand, PlayError> {
        Ok(match action {
            RunAction::Dispatched { operation, named, retry_of, unique } => {
                let retry_of = retry_of.as_ref().map(|run| self.run(workspace, run)).transpose()?;
                RunCommand::Dispatch(Box::new(Dispatch {
                    correlation_version: 1,
                    operation: operation.clone(),
                    named: Named::clone(named),
                    origin: Origin { retry_of, ..Origin::default() },
                    unique: *unique,
                }))
            }
            RunAction::Signal { named, report } => RunCommand::Signal(Box::new(SignalReport {
                named: Named::clone(named),
                origin: Origin::default(),
                report: SignalWord::clone(report),
            })),
            RunAction::FollowUp(word) => RunCommand::FollowUp(word.clone()),
            RunAction::Reconciled { adapter, decision, reason, related } => {
                RunCommand::Reconcile(Box::new(Reconcile {
                    adapter: adapter.clone(),
                    adapter_version: 1,
                    decision: *decision,
                    evaluated_at: self.clock.now(),
                    evidence: Fields::new(),
                    expected_events: None,
                    reason_code: reason.clone(),
                    related: related.clone(),
                }))
            }
        })
    }
}
