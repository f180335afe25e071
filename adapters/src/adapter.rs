//! The contract of an adapter (DESIGN section 9): which events concern it, what it gathers, and
//! what it decides. It holds nothing to write with.

use std::collections::BTreeMap;

use async_trait::async_trait;
use runledger_ledger::run::{AdapterDecision, Run, RunEvent};
use runledger_ledger::subject::SubjectState;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, RunId, Subject, WorkspaceId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

pub use crate::manifest::{Kind, Manifest, Observes, Operations, REVISIT};
pub use crate::source::{SourceClass, SourceError};

/// Proves from domain truth what happened to runs of some operation types.
///
/// To add one: one file with this implementation and its
/// [`Specimens`](crate::conformance::Specimens), and one line in
/// [`built_in`](crate::built_in). `docs/write-an-adapter.md` walks through it.
#[async_trait]
pub trait Adapter: Send + Sync {
    /// What it gathers of one case. Serialised, so that a decision can be made again from it.
    type Evidence: Serialize + DeserializeOwned + Send + Sync;

    /// What it is called, what it handles, and what its decisions may hold.
    fn manifest(&self) -> &Manifest;

    /// Whether it should look at `run`, which `event` has just been added to.
    fn handle(&self, event: &RunEvent, run: &Run) -> Wake;

    /// Evidence for each case, in their order, each from the case's own scope. However many cases
    /// there are, it asks its source a constant number of questions.
    ///
    /// # Errors
    /// The source gave no answer; then nothing is decided.
    async fn gather(&self, cases: &[Case]) -> Result<Vec<Self::Evidence>, SourceError>;

    /// What the evidence proves. Pure: the same case and evidence give the same decision. What is
    /// ambiguous is [`AdapterDecision::NeedsAttention`] or [`AdapterDecision::NoChange`].
    fn decide(&self, case: &Case, evidence: &Self::Evidence) -> Decision;

    /// Evidence for each subject, in their order, each from its own scope: what an adapter looks at
    /// by itself, on a schedule and without a run. Asked only of one whose manifest says
    /// [`Manifest::observes`]; like [`Adapter::gather`] otherwise.
    ///
    /// # Errors
    /// The source gave no answer; then nothing is observed.
    async fn survey(&self, _watched: &[Watched]) -> Result<Vec<Self::Evidence>, SourceError> {
        Err(SourceError::new(SourceClass::Broken, "the adapter looks at no subject by itself"))
    }

    /// What the evidence of [`Adapter::survey`] says of the subject. Pure. None where it says
    /// nothing, or not one thing.
    fn observe(&self, _watched: &Watched, _evidence: &Self::Evidence) -> Option<Observation> {
        None
    }
}

/// A subject to look at, in its scope, without a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// The time of the question.
    pub at: Moment,
    /// Its environment; none is the workspace itself.
    pub environment: Option<Name>,
    /// The subject.
    pub subject: Subject,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The tenant's name: what domain databases know it by.
    pub workspace_name: Name,
}

impl Watched {
    /// The environment as domain databases have it: empty for the workspace itself.
    pub fn environment(&self) -> &str {
        self.environment.as_ref().map_or("", Name::as_str)
    }

    /// Whether a row of this workspace and environment is in the subject's scope. A row that is not
    /// is no evidence.
    pub fn is_scope_of(&self, workspace: &str, environment: &str) -> bool {
        self.workspace_name.as_str() == workspace && self.environment() == environment
    }

    /// The subject of a run, where the run has one.
    pub fn of(case: &Case) -> Option<Watched> {
        Some(Watched {
            at: case.at,
            environment: case.run.environment.clone(),
            subject: case.run.subject.clone()?,
            workspace: case.workspace,
            workspace_name: case.workspace_name.clone(),
        })
    }
}

/// A run to judge, as it was when it was loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The time of the question.
    pub at: Moment,
    /// When the run has been stale for its `abandon_after`, blind time included; none if it never
    /// is given up (DESIGN section 5).
    pub give_up_at: Option<Moment>,
    /// The recorded truth of the run.
    pub run: Run,
    /// Which run it is.
    pub run_id: RunId,
    /// Whether its freshness at [`Case::at`] is `stale_queued` or `stale_running`.
    pub stale: bool,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The tenant's name: what domain databases know it by.
    pub workspace_name: Name,
}

impl Case {
    /// The run's environment as domain databases have it: empty for the workspace itself.
    pub fn environment(&self) -> &str {
        self.run.environment.as_ref().map_or("", Name::as_str)
    }

    /// The run's canonical operation type; empty for a run that nobody has heard of.
    pub fn operation(&self) -> &str {
        self.run.operation.as_ref().map_or("", Name::as_str)
    }

    /// Whether a row of this workspace and environment is in the run's scope. A row that is not is
    /// no evidence.
    pub fn is_scope_of(&self, workspace: &str, environment: &str) -> bool {
        self.workspace_name.as_str() == workspace && self.environment() == environment
    }
}

/// Whether an event is a reason to look at its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Look at it now.
    Wake,
    /// Look at it when it is due anyway.
    Ignore,
}

/// Wakes where a run may need proof: it ended with a problem, or another word on its end came.
///
/// What most adapters' `handle` is. A run that stays silent wakes nobody: its deadline does.
pub fn wake_on_problems(event: &RunEvent, run: &Run) -> Wake {
    match event {
        RunEvent::Failed(_) | RunEvent::Ended(_) => Wake::Wake,
        RunEvent::LateSignal(late) if !late.agrees && run.proof.is_none() => Wake::Wake,
        _ => Wake::Ignore,
    }
}

/// What an adapter decided, in its own words. [`crate::seam`] checks every one of them before
/// anything of it is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// What it found.
    pub decision: AdapterDecision,
    /// What it rests on: keys of the manifest, each with a value of its kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, Value>,
    /// What was seen of the run's subject on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observation: Option<Observation>,
    /// A stable word for why.
    pub reason_code: String,
    /// The thing that proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
}

impl Decision {
    /// This decision for this reason.
    pub fn new(decision: AdapterDecision, reason_code: impl Into<String>) -> Self {
        Decision {
            decision,
            evidence: BTreeMap::new(),
            observation: None,
            reason_code: reason_code.into(),
            related: None,
        }
    }

    /// Nothing is proven: [`AdapterDecision::NoChange`] while the run is fresh, and
    /// [`AdapterDecision::NeedsAttention`] for this reason once it is stale.
    pub fn open(case: &Case, reason_code: impl Into<String>) -> Self {
        let found =
            if case.stale { AdapterDecision::NeedsAttention } else { AdapterDecision::NoChange };
        Decision::new(found, reason_code)
    }

    /// A person must look, for this reason.
    pub fn needs_attention(reason_code: impl Into<String>) -> Self {
        Decision::new(AdapterDecision::NeedsAttention, reason_code)
    }

    /// The same, related to this thing.
    #[must_use]
    pub fn related(mut self, kind: impl Into<String>, id: impl Into<String>) -> Self {
        self.related = Some(Related { id: id.into(), kind: kind.into() });
        self
    }

    /// The same, resting on this too.
    #[must_use]
    pub fn evidence(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.evidence.insert(key.into(), value.into());
        self
    }

    /// The same, with what was seen of the run's subject.
    #[must_use]
    pub fn observation(mut self, observation: Observation) -> Self {
        self.observation = Some(observation);
        self
    }
}

/// The thing that proves a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Related {
    /// Its id among the things of its type.
    pub id: String,
    /// Its type; one that the manifest names.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What was seen of the run's subject, in the run's scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// What the verdict rests on, as in [`Decision::evidence`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, Value>,
    /// What was seen.
    pub state: SubjectState,
    /// When the source says that it was so.
    pub verified_at: Moment,
}

/// One value of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A short text.
    Text(String),
    /// None of these, such as a fraction, a list or nothing at all. It is read, so that it can be
    /// refused by the name of its key, and never recorded.
    Other,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde_json::Value as Json;
        Ok(match Json::deserialize(deserializer)? {
            Json::Bool(flag) => Value::Flag(flag),
            Json::Number(number) => number.as_i64().map_or(Value::Other, Value::Number),
            Json::String(text) => Value::Text(text),
            Json::Null | Json::Array(_) | Json::Object(_) => Value::Other,
        })
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Flag(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(number)
    }
}

impl From<usize> for Value {
    /// More than the ledger can count is said to be as much as it can.
    fn from(count: usize) -> Self {
        Value::Number(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<Moment> for Value {
    fn from(moment: Moment) -> Self {
        Value::Text(moment.to_string())
    }
}

impl From<Span> for Value {
    fn from(span: Span) -> Self {
        Value::Text(span.to_string())
    }
}
