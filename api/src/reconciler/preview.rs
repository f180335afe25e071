//! One run, because somebody asks: what would be decided of it now, or a look at once.

use runledger_adapters::registry::{self, Unjudged};
use runledger_ledger::run::Fields;
use runledger_ledger::subject::{Observe, SubjectState};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, Outcome, RunId, Status, WorkspaceId};
use runledger_projections::rules::standing::ReconciliationView;
use runledger_projections::{Candidate, ProjectionError};
use serde::Serialize;

use super::page::{case, news};
use super::visit::Place;
use super::{ReconcileError, Reconciler};

/// What would be decided of a run now. Nothing of it is recorded.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// Which run.
    pub run_id: RunId,
    /// The time of the question, in RFC 3339.
    pub at: String,
    /// What is recorded of it now.
    pub status: Status,
    /// How it ended, as recorded now.
    pub outcome: Outcome,
    /// Whether it is past its window.
    pub stale: bool,
    /// What each adapter says, in the order in which they were asked.
    pub adapters: Vec<AdapterWord>,
    /// The decision that would be recorded, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_record: Option<ReconciliationView>,
}

/// What one adapter says of a run: a decision, or why there is none.
#[derive(Clone, Debug, Serialize)]
pub struct AdapterWord {
    /// The adapter.
    pub adapter: String,
    /// Its decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciliation: Option<ReconciliationView>,
    /// What it saw of the run's subject, which would be recorded as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observation: Option<Sight>,
    /// Why there is none, in a stable word: the class of the source's error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    /// The same in a sentence. It holds nothing that the source said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What an adapter saw of a run's subject.
#[derive(Clone, Debug, Serialize)]
pub struct Sight {
    /// What was seen.
    pub state: SubjectState,
    /// When the source says that it was so, in RFC 3339.
    pub verified_at: String,
    /// What that rests on.
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub evidence: Fields,
}

/// A look that was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// Which run.
    pub run_id: RunId,
    /// The adapter that will be asked.
    pub adapter: String,
    /// From when on, in RFC 3339.
    pub due_at: String,
}

/// Why nobody is asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nothing is recorded of the run.
    #[error("no run {0} is known here")]
    UnknownRun(RunId),
    /// Nobody can prove anything of it.
    #[error("no adapter handles {0}; `runledger adapters list` says what is handled")]
    NoAdapter(String),
    /// Its adapter judges nothing.
    #[error("the adapter {adapter} judges nothing: {why}")]
    Idle {
        /// The adapter.
        adapter: String,
        /// Why, and what to do.
        why: String,
    },
    /// Nothing that could be proven of it would be recorded.
    #[error("the run has ended, and nothing that an adapter could prove would change it")]
    Settled,
    /// It could not be looked at.
    #[error(transparent)]
    Failed(#[from] ReconcileError),
}

impl From<ProjectionError> for AskError {
    fn from(error: ProjectionError) -> Self {
        AskError::Failed(error.into())
    }
}

impl Reconciler {
    /// Asks the adapters about one run, and records nothing.
    pub async fn preview(
        &self,
        workspace: WorkspaceId,
        name: &str,
        run: RunId,
    ) -> Result<Preview, AskError> {
        let found = self.known(workspace, run).await?;
        let place = Place { workspace, name, now: self.now() };
        let case = case(place, &found).map_err(ReconcileError::from)?;
        let stale = case.stale;
        let mut judged = self.inner.registry.judge(vec![case]).await;
        let judged = judged.pop().ok_or(AskError::UnknownRun(run))?;
        let adapters = judged.asked.iter().map(|asked| word(&found, asked)).collect();
        let would = news(&judged).map(|news| found.run.reconciled_by(news));
        Ok(Preview {
            run_id: run,
            at: place.now.to_string(),
            status: found.run.status,
            outcome: found.run.outcome,
            stale,
            adapters,
            would_record: would.as_ref().map(ReconciliationView::of),
        })
    }

    /// Has a run looked at at once, here or on whichever server is at its workspace.
    pub async fn ask(&self, workspace: WorkspaceId, run: RunId) -> Result<Asked, AskError> {
        let found = self.known(workspace, run).await?;
        let operation = found.run.operation.as_ref().map_or("", Name::as_str);
        let owner = self.inner.registry.owner(operation);
        let owner = owner.ok_or_else(|| AskError::NoAdapter(operation.to_owned()))?;
        let adapter = owner.manifest.name.clone();
        if let Some(why) = owner.idle() {
            return Err(AskError::Idle { adapter, why: why.to_owned() });
        }
        if !found.run.is_active() && !found.run.is_open_to_proof() {
            return Err(AskError::Settled);
        }
        let now: Moment = self.now();
        self.inner.projections.ask(workspace, run, &adapter, now).await?;
        self.inner.asked.notify_one();
        Ok(Asked { run_id: run, adapter, due_at: now.to_string() })
    }

    async fn known(&self, workspace: WorkspaceId, run: RunId) -> Result<Candidate, AskError> {
        // If they are behind for longer, what they know is judged.
        self.is_caught_up(workspace).await?;
        let found = self.inner.projections.candidate(workspace, run).await?;
        found.ok_or(AskError::UnknownRun(run))
    }
}

fn word(found: &Candidate, asked: &registry::Asked) -> AdapterWord {
    let adapter = asked.adapter.clone();
    match &asked.result {
        Ok(ruling) => {
            let shape = found.run.reconciled_by(&ruling.commands.reconcile);
            let reconciliation = Some(ReconciliationView::of(&shape));
            let observation = ruling.commands.observe.as_ref().map(|(_, seen)| sight(seen));
            AdapterWord { adapter, reconciliation, observation, error: None, detail: None }
        }
        Err(error) => AdapterWord {
            adapter,
            reconciliation: None,
            observation: None,
            error: Some(error.code()),
            detail: Some(sentence(error)),
        },
    }
}

fn sight(seen: &Observe) -> Sight {
    Sight {
        state: seen.state,
        verified_at: seen.verified_at.map_or_else(String::new, |at| at.to_string()),
        evidence: seen.evidence.clone(),
    }
}

fn sentence(error: &Unjudged) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
