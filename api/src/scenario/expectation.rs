//! What a scenario expects, and whether it is so.

use std::str::FromStr;

use runledger_ledger::time::Span;
use runledger_ledger::words::{Name, Outcome, RunId, Status};
use runledger_projections::rules::actionability::{Actionability, Proof};
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::guidance::{GuidanceKey, Severity};
use runledger_projections::rules::progress::ProgressKind;
use runledger_projections::rules::queue::QueueVerdict;
use runledger_projections::rules::standing::Standing;
use runledger_projections::{Counts, View, ViewError};

use super::file::workspace;
use super::table::Table;

/// What must be true of something at a moment.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Its line in the file.
    pub line: usize,
    /// When it must be true.
    pub at: Span,
    /// In which workspace.
    pub workspace: Name,
    /// Of what.
    pub about: About,
    /// What must be true of it, at least one thing.
    pub claims: Vec<Claim>,
}

/// What an expectation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// The run of this label.
    Run(Name),
    /// This queue.
    Queue(Name),
    /// The workspace, or one environment of it.
    Workspace(Option<Name>),
}

/// One thing that must be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What of it.
    pub key: &'static str,
    /// What it must be, as it is shown.
    pub expected: String,
}

/// The kind of value that stands under a key.
#[derive(Clone, Copy)]
enum Kind {
    Word(fn(&str) -> Result<(), String>),
    Flag,
    Count,
    Text,
}

const fn word<T: FromStr<Err: ToString>>() -> Kind {
    Kind::Word(|text| text.parse::<T>().map(drop).map_err(|error| error.to_string()))
}

const OF_RUN: &[(&str, Kind)] = &[
    ("status", word::<Status>()),
    ("outcome", word::<Outcome>()),
    ("freshness", word::<Freshness>()),
    ("queue_verdict", word::<QueueVerdict>()),
    ("actionability", word::<Actionability>()),
    ("reason", Kind::Text),
    ("follow_up", Kind::Flag),
    ("guidance", word::<GuidanceKey>()),
    ("severity", word::<Severity>()),
    ("progress", word::<ProgressKind>()),
    ("superseded_by", Kind::Text),
    ("contradicted", Kind::Flag),
    ("events", Kind::Count),
];
const OF_QUEUE: &[(&str, Kind)] = &[("queue_verdict", word::<QueueVerdict>())];
const OF_WORKSPACE: &[(&str, Kind)] = &[
    ("follow_up_runs", Kind::Count),
    ("follow_up_items", Kind::Count),
    ("active_fresh", Kind::Count),
    ("active_stale", Kind::Count),
];

/// Reads one expectation; none if something is wrong with it.
pub(super) fn read(table: &Table<'_>) -> Option<Expectation> {
    let (about, own, kinds) = match (table.has("run"), table.has("queue")) {
        (true, true) => {
            table.complain(table.line, "it must name a run or a queue, not both");
            return None;
        }
        (true, false) => (About::Run(table.word("run")?), "run", OF_RUN),
        (false, true) => (About::Queue(table.word("queue")?), "queue", OF_QUEUE),
        (false, false) => {
            (About::Workspace(table.word("environment")), "environment", OF_WORKSPACE)
        }
    };
    let keys = kinds.iter().map(|(key, _)| *key);
    let known: Vec<&str> = ["at", "workspace", own].into_iter().chain(keys).collect();
    table.only(&known);
    let claims: Vec<Claim> =
        kinds.iter().filter_map(|&(key, kind)| claim(table, key, kind)).collect();
    if claims.is_empty() && !kinds.iter().any(|(key, _)| table.has(key)) {
        let keys: Vec<&str> = kinds.iter().map(|(key, _)| *key).collect();
        table.complain(table.line, format!("nothing is expected; add one of {}", keys.join(", ")));
    }
    let at = table.required("at");
    Some(Expectation { line: table.line, at: at?, workspace: workspace(table)?, about, claims })
}

fn claim(table: &Table<'_>, key: &'static str, kind: Kind) -> Option<Claim> {
    let expected = match kind {
        Kind::Flag => table.flag(key)?.to_string(),
        Kind::Count => table.count(key)?.to_string(),
        Kind::Text => table.text(key)?.to_owned(),
        Kind::Word(check) => {
            let text = table.text(key)?;
            if let Err(error) = check(text) {
                table.complain(table.line_of(key), format!("{key}: {error}"));
                return None;
            }
            text.to_owned()
        }
    };
    Some(Claim { key, expected })
}

/// What is true instead, of each claim that does not hold.
pub(super) struct Found {
    pub(super) key: &'static str,
    pub(super) expected: String,
    pub(super) found: String,
}

/// Runs by their labels, and back.
pub(super) trait Labels {
    /// The run of a label in a workspace; none if no step has named it.
    fn run(&self, workspace: &Name, label: &Name) -> Option<RunId>;
    /// The label of a run; its id if the scenario has none for it.
    fn label(&self, run: RunId) -> String;
}

impl Expectation {
    /// Asks `view` whether it is so. Nothing found: it is.
    pub(super) async fn ask(
        &self,
        view: &View,
        labels: &dyn Labels,
    ) -> Result<Vec<Found>, ViewError> {
        let answers = match &self.about {
            About::Run(label) => {
                let standing = match labels.run(&self.workspace, label) {
                    Some(run) => view.run(run).await?,
                    None => None,
                };
                self.answers(|key| of_run(standing.as_ref(), key, labels))
            }
            About::Queue(queue) => {
                let verdict = view.queue(None, queue.as_str()).await?.truth.verdict;
                self.answers(|_| verdict.to_string())
            }
            About::Workspace(environment) => {
                let overview = view.overview(environment.as_ref().map(Name::as_str)).await?;
                self.answers(|key| of_workspace(&overview.counts, key).to_string())
            }
        };
        Ok(answers)
    }

    fn answers(&self, found: impl Fn(&str) -> String) -> Vec<Found> {
        let answer = |claim: &Claim| {
            let Claim { key, expected } = claim.clone();
            let found = found(key);
            (found != expected).then_some(Found { key, expected, found })
        };
        self.claims.iter().filter_map(answer).collect()
    }

    /// What it is about, in words.
    pub(super) fn subject(&self) -> String {
        let about = match &self.about {
            About::Run(run) => format!("run {run}"),
            About::Queue(queue) => format!("queue {queue}"),
            About::Workspace(None) => return format!("workspace {}", self.workspace),
            About::Workspace(Some(environment)) => format!("environment {environment}"),
        };
        match self.workspace.as_str() {
            super::file::WORKSPACE => about,
            other => format!("{about} of workspace {other}"),
        }
    }
}

fn of_run(standing: Option<&Standing>, key: &str, labels: &dyn Labels) -> String {
    let Some(Standing { recorded, now, .. }) = standing else {
        return if key == "events" { "0" } else { "not to be told: no such run is recorded" }
            .to_owned();
    };
    let verdict = &now.actionability;
    match key {
        "status" => recorded.status.to_string(),
        "outcome" => recorded.outcome.to_string(),
        "freshness" => now.freshness.to_string(),
        "queue_verdict" => match now.queue {
            Some(queue) => queue.verdict.to_string(),
            None => "not to be told: the run names no queue".to_owned(),
        },
        "actionability" => verdict.status.to_string(),
        "reason" => verdict.reason.clone().unwrap_or_else(|| "left out".to_owned()),
        "follow_up" => now.follow_up.to_string(),
        "guidance" => now.guidance.key.to_string(),
        "severity" => now.guidance.severity.to_string(),
        "progress" => now.progress.kind.to_string(),
        "superseded_by" => match verdict.proof {
            Some(Proof::Run(run)) => labels.label(run),
            _ => "no run".to_owned(),
        },
        "contradicted" => recorded.contradicted.to_string(),
        _ => recorded.events.to_string(),
    }
}

fn of_workspace(counts: &Counts, key: &str) -> u64 {
    match key {
        "follow_up_runs" => counts.follow_up_runs,
        "follow_up_items" => counts.follow_up_items,
        "active_fresh" => counts.active_fresh,
        _ => counts.active_stale,
    }
}
