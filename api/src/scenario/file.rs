//! The file of a scenario, read strictly: what it does not mean to say, it must not say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runledger_ledger::catalog::Catalog;
use runledger_ledger::run::{
    AdapterDecision, Fields, FollowUpAction, FollowUpCommand, Named, Progress, Related, Report,
};
use runledger_ledger::subject::{SubjectKey, SubjectState};
use runledger_ledger::time::Span;
use runledger_ledger::words::{Name, Outcome, UniqueMode};
use runledger_ledger::worker::{WorkerKey, WorkerReport};
use toml::de::DeTable;

use super::expectation::{self, Expectation};
pub use super::table::Problem;
use super::table::{Reader, Table};

/// The workspace of a step that names none.
pub(super) const WORKSPACE: &str = "main";

/// A scenario: what is reported, when, and what must then be true.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Where it stands.
    pub path: PathBuf,
    /// What it shows, in one line.
    pub name: String,
    /// The catalog of its workspaces.
    pub catalog: Arc<Catalog>,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// What must then be true, in the order of the file.
    pub expectations: Vec<Expectation>,
}

/// Why a scenario cannot be read. Prints one problem per line.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file or its catalog is not there, or is no text.
    #[error("{path} cannot be read")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is no scenario.
    #[error("{}", told(path, problems))]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, at least one thing.
        problems: Vec<Problem>,
    },
    /// Its catalog does not load.
    #[error("the catalog {path} is wrong")]
    Catalog {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: runledger_ledger::catalog::CatalogErrors,
    },
}

fn told(path: &Path, problems: &[Problem]) -> String {
    let path = path.display();
    problems.iter().map(|problem| format!("{path}, {problem}")).collect::<Vec<_>>().join("\n")
}

/// Something that is reported to the ledger.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its line in the file.
    pub line: usize,
    /// Its number in the file, from 1.
    pub number: usize,
    /// When the ledger hears of it.
    pub at: Span,
    /// When its source says that it happened; left out, the same.
    pub occurred: Option<Span>,
    /// To which workspace.
    pub workspace: Name,
    /// The word for what happens.
    pub event: String,
    /// What happens.
    pub action: Action,
    /// How it must be answered.
    pub wanted: Wanted,
    /// The run that the answer must name, by its label.
    pub lands_on: Option<Name>,
}

/// How a step must be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Not with a refusal.
    Taken,
    /// With this refusal.
    Refused(String),
    /// With something that records nothing and refuses nothing.
    Nothing,
}

/// What happens in a step.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are those of the commands that they become")]
pub enum Action {
    /// Something is said of the run of this label.
    Run(Name, RunAction),
    Observed {
        key: Box<SubjectKey>,
        state: SubjectState,
        verified: Option<Span>,
    },
    Worker {
        key: WorkerKey,
        report: WorkerReport,
    },
    LedgerBlind {
        from: Span,
    },
}

/// What is said of a run.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are those of the commands that they become")]
pub enum RunAction {
    Dispatched {
        operation: Name,
        named: Box<Named>,
        retry_of: Option<Name>,
        unique: Option<UniqueMode>,
    },
    Signal {
        named: Box<Named>,
        report: Box<Report>,
    },
    FollowUp(FollowUpCommand),
    Reconciled {
        adapter: Name,
        decision: AdapterDecision,
        reason: Name,
        related: Option<Related>,
    },
}

impl Step {
    /// The run that it is about, by its label.
    pub fn run(&self) -> Option<&Name> {
        match &self.action {
            Action::Run(label, _) => Some(label),
            Action::Observed { .. } | Action::Worker { .. } | Action::LedgerBlind { .. } => None,
        }
    }

    /// What it is, in words.
    pub(super) fn subject(&self) -> String {
        let Step { number, event, .. } = self;
        match self.run() {
            Some(run) => format!("step {number} (run {run}, {event})"),
            None => format!("step {number} ({event})"),
        }
    }
}

impl Scenario {
    /// Reads a scenario, and its catalog if it names one.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let text = text_of(path)?;
        Scenario::parse(path, &text)
    }

    /// Takes `text` for the scenario at `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, FileError> {
        let wrong = |problems| FileError::Wrong { path: path.to_owned(), problems };
        let reader = Reader::of(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = error.span().map_or(1, |span| reader.line(span.start));
            reader.complain(line, format!("this is not TOML: {}", error.message()));
        }
        if !errors.is_empty() {
            return Err(wrong(reader.problems()));
        }
        let file = Table::file(document.get_ref(), &reader);
        file.only(&["name", "catalog", "steps", "expect"]);
        let name = file.required::<String>("name");
        let catalog = file.text("catalog");
        let steps = steps(&file);
        let expectations: Vec<Expectation> =
            file.tables("expect", "expectation").iter().filter_map(expectation::read).collect();
        let problems = reader.problems();
        let (Some(name), true) = (name, problems.is_empty()) else { return Err(wrong(problems)) };
        let catalog = match catalog {
            Some(catalog) => read_catalog(&path.parent().unwrap_or(Path::new("")).join(catalog))?,
            None => Catalog::built_in(),
        };
        Ok(Scenario { path: path.to_owned(), name, catalog, steps, expectations })
    }

    /// Whether nothing that happens could make it fail. A step may be refused, so it expects
    /// something even if it says nothing of its answer.
    pub fn expects_nothing(&self) -> bool {
        self.expectations.is_empty() && self.steps.is_empty()
    }

    /// Every workspace that the scenario names, `main` always among them.
    pub fn workspaces(&self) -> BTreeSet<&str> {
        let steps = self.steps.iter().map(|step| step.workspace.as_str());
        let expectations = self.expectations.iter().map(|expected| expected.workspace.as_str());
        steps.chain(expectations).chain([WORKSPACE]).collect()
    }
}

fn text_of(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path).map_err(|source| FileError::Io { path: path.to_owned(), source })
}

fn read_catalog(path: &Path) -> Result<Arc<Catalog>, FileError> {
    let catalog = Catalog::parse(&text_of(path)?);
    let catalog = catalog.map_err(|source| FileError::Catalog { path: path.to_owned(), source })?;
    Ok(Arc::new(catalog))
}

/// Keys that every step may have.
const STEP: &[&str] = &["at", "occurred", "event", "workspace", "refused", "duplicate"];
/// Keys by which a report names its run, and what is known of it.
const NAMED: &[&str] = &["run", "operation", "environment", "subject", "fingerprint", "queue"];

/// What each event takes beside [`STEP`].
fn keys_of(event: &str) -> Option<&'static [&'static [&'static str]]> {
    Some(match event {
        "dispatched" => &[NAMED, &["retry_of", "unique", "lands_on"]],
        "heartbeat" => &[NAMED, &["worker", "phase", "done", "total", "parts"]],
        "started" | "succeeded" | "cancelled" | "ended" => &[NAMED, &["worker"]],
        "failed" => &[NAMED, &["worker", "outcome", "reason"]],
        "follow_up_resolved" | "follow_up_reopened" => &[&["run", "by", "reason"]],
        "reconciled" => &[&["run", "adapter", "decision", "reason", "related"]],
        "observed" => &[&["subject", "environment", "state", "verified"]],
        "worker_seen" | "worker_stopped" => &[&["worker", "queues", "lease"]],
        "ledger_blind" => &[&["from"]],
        _ => return None,
    })
}

const EVENTS: &str = "dispatched, started, heartbeat, succeeded, failed, cancelled, ended, \
     follow_up_resolved, follow_up_reopened, reconciled, observed, worker_seen, worker_stopped, \
     ledger_blind";

fn steps(file: &Table<'_>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (place, table) in file.tables("steps", "step").iter().enumerate() {
        let Some(step) = step(table, place + 1) else { continue };
        if let Some(last) = steps.last().filter(|last| last.at > step.at) {
            let (at, last) = (step.at, last.at);
            let message = format!("at {at} is before {last}, where the story is already");
            table.complain(table.line_of("at"), message);
        }
        steps.push(step);
    }
    steps
}

fn step(table: &Table<'_>, number: usize) -> Option<Step> {
    let event = table.required::<String>("event");
    let at = table.required("at");
    let event = event?;
    let Some(keys) = keys_of(&event) else {
        let message = format!("no event is called {event:?}; known are {EVENTS}");
        table.complain(table.line_of("event"), message);
        return None;
    };
    let known: Vec<&str> = keys.iter().copied().chain([STEP]).flatten().copied().collect();
    table.only(&known);
    Some(Step {
        line: table.line,
        number,
        at: at?,
        occurred: table.word("occurred"),
        workspace: workspace(table)?,
        action: action(table, &event)?,
        event,
        wanted: wanted(table)?,
        lands_on: table.word("lands_on"),
    })
}

/// The workspace that a table names.
pub(super) fn workspace(table: &Table<'_>) -> Option<Name> {
    or(table, "workspace", WORKSPACE)
}

/// What a table names under `key`, or `otherwise` where it names nothing.
fn or(table: &Table<'_>, key: &str, otherwise: &str) -> Option<Name> {
    if table.has(key) { table.word(key) } else { Name::new(otherwise).ok() }
}

fn wanted(table: &Table<'_>) -> Option<Wanted> {
    let refused = table.text("refused").map(|code| Wanted::Refused(code.to_owned()));
    let duplicate = table.flag("duplicate").filter(|yes| *yes).map(|_| Wanted::Nothing);
    if refused.is_some() && (duplicate.is_some() || table.has("lands_on")) {
        table.complain(table.line, "what is refused is no duplicate and lands on no run");
        return None;
    }
    Some(refused.or(duplicate).unwrap_or(Wanted::Taken))
}

fn action(table: &Table<'_>, event: &str) -> Option<Action> {
    Some(match event {
        "observed" => Action::Observed {
            key: Box::new(SubjectKey {
                environment: table.word("environment"),
                subject: table.required("subject")?,
            }),
            state: table.required("state")?,
            verified: table.word("verified"),
        },
        "worker_seen" | "worker_stopped" => Action::Worker {
            key: WorkerKey { connection: None, worker: table.required("worker")? },
            report: worker_report(table, event)?,
        },
        "ledger_blind" => Action::LedgerBlind { from: table.required("from")? },
        _ => {
            let run = table.required("run");
            let action = run_action(table, event);
            Action::Run(run?, action?)
        }
    })
}

fn run_action(table: &Table<'_>, event: &str) -> Option<RunAction> {
    Some(match event {
        "dispatched" => RunAction::Dispatched {
            operation: table.required("operation")?,
            named: Box::new(Named { operation: None, ..named(table) }),
            retry_of: table.word("retry_of"),
            unique: table.word("unique"),
        },
        "follow_up_resolved" => RunAction::FollowUp(follow_up(table, FollowUpAction::Resolve)?),
        "follow_up_reopened" => RunAction::FollowUp(follow_up(table, FollowUpAction::Reopen)?),
        "reconciled" => RunAction::Reconciled {
            adapter: or(table, "adapter", "scenario")?,
            decision: table.required("decision")?,
            reason: or(table, "reason", "unspecified")?,
            related: table.word("related"),
        },
        _ => RunAction::Signal {
            named: Box::new(named(table)),
            report: Box::new(report(table, event)?),
        },
    })
}

fn named(table: &Table<'_>) -> Named {
    Named {
        connection: None,
        environment: table.word("environment"),
        external_ids: Vec::new(),
        fingerprint: table.word("fingerprint"),
        job_class: None,
        operation: table.word("operation"),
        queue: table.word("queue"),
        subject: table.word("subject"),
    }
}

fn report(table: &Table<'_>, event: &str) -> Option<Report> {
    // Only a start keeps who it was, but a wrong word is told wherever it stands.
    let worker = table.word("worker");
    Some(match event {
        "started" => Report::Started { attempt: None, worker },
        "heartbeat" => Report::Heartbeat { progress: progress(table)? },
        "succeeded" => Report::Succeeded { artifacts: Vec::new(), summary: Fields::new() },
        "failed" => Report::Failed {
            message: None,
            outcome: failure(table)?,
            reason_code: or(table, "reason", "unspecified")?,
            retryable: None,
        },
        "cancelled" => Report::Cancelled { by: None, reason: None },
        _ => Report::Ended { reason: None },
    })
}

fn failure(table: &Table<'_>) -> Option<Outcome> {
    if !table.has("outcome") {
        return Some(Outcome::Failed);
    }
    match table.word("outcome")? {
        outcome @ (Outcome::Failed | Outcome::PartiallySucceeded | Outcome::Blocked) => {
            Some(outcome)
        }
        other => {
            let message =
                format!("no run fails as {other}; write failed, partially_succeeded or blocked");
            table.complain(table.line_of("outcome"), message);
            None
        }
    }
}

/// The progress that a heartbeat reports; none where it says nothing of it.
fn progress(table: &Table<'_>) -> Option<Option<Progress>> {
    let mut progress = Progress {
        done: table.count("done"),
        phase: table.word("phase"),
        total: table.count("total"),
        ..Progress::default()
    };
    for (name, pair) in table.pairs("parts").into_iter().flatten() {
        match Name::new(&name) {
            Ok(name) => drop(progress.parts.insert(name, pair)),
            Err(error) => {
                table.complain(table.line_of("parts"), error);
                return None;
            }
        }
    }
    Some(Some(progress).filter(|progress| !progress.is_empty()))
}

fn follow_up(table: &Table<'_>, action: FollowUpAction) -> Option<FollowUpCommand> {
    let by = or(table, "by", "operator")?;
    let reason = or(table, "reason", "unspecified")?;
    Some(FollowUpCommand { action, by, note: None, reason, unless_resolved: false })
}

fn worker_report(table: &Table<'_>, event: &str) -> Option<WorkerReport> {
    let lease: Option<Span> = table.word("lease");
    let queues = table.words("queues").unwrap_or_default();
    if event == "worker_stopped" {
        return Some(WorkerReport::Stopped);
    }
    let Some(lease) = lease else {
        if !table.has("lease") {
            table.complain(table.line, "lease is missing");
        }
        return None;
    };
    match u32::try_from(lease.micros() / 1_000_000) {
        Ok(lease_seconds) if lease == Span::from_secs(lease_seconds.into()) => {
            Some(WorkerReport::Seen { lease_seconds, queues: queues.into_iter().collect() })
        }
        _ => {
            let message = format!("a lease of {lease} is not a whole number of seconds");
            table.complain(table.line_of("lease"), message);
            None
        }
    }
}
