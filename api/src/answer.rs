//! What became of each event of a request, as it is told to the client.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use runledger_ledger::run::{Related, RunRefusal};
use runledger_ledger::submission::{Answer, Refusal};
use runledger_ledger::workspace::WorkspaceRefusal;
use runledger_projections::rules::standing::Standing;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ingest::ItemError;
use crate::problem::ApiError;
use crate::schema::standing::{StandingShape, ThingShape};

/// What became of one event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ItemResult {
    /// Its place among the events of the request, from 0.
    pub index: usize,
    /// What became of it. Only what is `recorded` is in the log, and then it is durable.
    pub status: ItemStatus,
    /// Its place in the workspace's log: the new one, or, of a duplicate and of a conflict that
    /// its id told, that of the event that was recorded under this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// The RFC 6962 leaf hash of what was recorded, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf_hash: Option<String>,
    /// The run that it is of: the one it names, or the one that was made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<Uuid>,
    /// When it was recorded, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub recorded_at: Option<String>,
    /// The type that it was recorded as: a terminal signal may have become `run.late_signal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub event_type: Option<&'static str>,
    /// True if another active run holds the key of a `unique` dispatch: `run_id` is that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub existing: Option<bool>,
    /// Of that other run: everything that is true of it now. See whether it is stale.
    /// Left out if the read models cannot tell in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<StandingShape>)]
    pub standing: Option<Box<Standing>>,
    /// Of an `unless_proven` dispatch whose work is there already: the adapter that proves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// The thing that proves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ThingShape>)]
    pub related: Option<Related>,
    /// Why it was not recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<ItemProblem>,
}

/// What became of an event, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// It is in the log, and durable.
    Recorded,
    /// It was recorded before.
    Duplicate,
    /// A heartbeat that says nothing new.
    Coalesced,
    /// Another active run holds the key of the dispatch.
    Existing,
    /// An `unless_proven` dispatch: its work is there already, and no run was made.
    AlreadyProven,
    /// Its id was used before, for something else.
    Conflict,
    /// It may not be recorded.
    Refused,
}

impl ItemStatus {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            ItemStatus::Recorded => "recorded",
            ItemStatus::Duplicate => "duplicate",
            ItemStatus::Coalesced => "coalesced",
            ItemStatus::Existing => "existing",
            ItemStatus::AlreadyProven => "already_proven",
            ItemStatus::Conflict => "conflict",
            ItemStatus::Refused => "refused",
        }
    }
}

/// Why an event was not recorded.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ItemProblem {
    /// A stable word for programs.
    #[schema(value_type = String)]
    pub code: &'static str,
    /// What is wrong, and what to do.
    pub detail: String,
    /// Where in the event, as a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The HTTP status that says it when the event comes alone.
    #[serde(skip)]
    pub status: StatusCode,
}

/// How many events of a request were answered with each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "the fields are the statuses, which are documented")]
pub struct Summary {
    pub recorded: u64,
    pub duplicate: u64,
    pub coalesced: u64,
    pub existing: u64,
    pub already_proven: u64,
    pub conflict: u64,
    pub refused: u64,
}

impl Summary {
    /// Counts `results`.
    pub fn of(results: &[ItemResult]) -> Self {
        let mut summary = Summary::default();
        for result in results {
            *match result.status {
                ItemStatus::Recorded => &mut summary.recorded,
                ItemStatus::Duplicate => &mut summary.duplicate,
                ItemStatus::Coalesced => &mut summary.coalesced,
                ItemStatus::Existing => &mut summary.existing,
                ItemStatus::AlreadyProven => &mut summary.already_proven,
                ItemStatus::Conflict => &mut summary.conflict,
                ItemStatus::Refused => &mut summary.refused,
            } += 1;
        }
        summary
    }

    /// The counts, with the words that they count.
    pub const fn counts(&self) -> [(&'static str, u64); 7] {
        [
            (ItemStatus::Recorded.as_str(), self.recorded),
            (ItemStatus::Duplicate.as_str(), self.duplicate),
            (ItemStatus::Coalesced.as_str(), self.coalesced),
            (ItemStatus::Existing.as_str(), self.existing),
            (ItemStatus::AlreadyProven.as_str(), self.already_proven),
            (ItemStatus::Conflict.as_str(), self.conflict),
            (ItemStatus::Refused.as_str(), self.refused),
        ]
    }
}

impl ItemResult {
    /// A result that says nothing but its status.
    fn bare(index: usize, status: ItemStatus, run_id: Option<Uuid>) -> Self {
        ItemResult {
            index,
            status,
            position: None,
            leaf_hash: None,
            run_id,
            recorded_at: None,
            event_type: None,
            existing: None,
            standing: None,
            adapter: None,
            related: None,
            problem: None,
        }
    }

    /// What the ledger answered to the event at `index`, which is of the run `run_id`.
    pub fn answered(index: usize, run_id: Option<Uuid>, answer: Answer) -> Self {
        let bare = |status| ItemResult::bare(index, status, run_id);
        match answer {
            Answer::Recorded(receipt) => ItemResult {
                position: Some(receipt.position),
                run_id: receipt.run.map(|run| run.0).or(run_id),
                leaf_hash: Some(hex::encode(receipt.leaf_hash)),
                recorded_at: Some(receipt.recorded_at.to_string()),
                event_type: Some(receipt.event_type.as_str()),
                ..bare(ItemStatus::Recorded)
            },
            // The run of the first report: this one may have come without a run, and been given a
            // fresh id that nothing was recorded under.
            Answer::Duplicate { position, run } => ItemResult {
                position,
                run_id: run.map(|run| run.0).or(run_id),
                ..bare(ItemStatus::Duplicate)
            },
            Answer::Coalesced { run } => ItemResult {
                run_id: run.map(|run| run.0).or(run_id),
                ..bare(ItemStatus::Coalesced)
            },
            Answer::NoChange => bare(ItemStatus::Coalesced),
            Answer::Existing(holder) => ItemResult {
                run_id: Some(holder.0),
                existing: Some(true),
                ..bare(ItemStatus::Existing)
            },
            Answer::AlreadyProven(proven) => ItemResult {
                run_id: None,
                adapter: Some(proven.adapter.to_string()),
                related: proven.related,
                ..bare(ItemStatus::AlreadyProven)
            },
            Answer::Conflict { position } => {
                let detail = format!(
                    "this id was used before, for another event, at position {position}; give each \
                     event an id of its own"
                );
                let problem = ItemProblem {
                    code: "id_conflict",
                    detail,
                    pointer: Some("/id".to_owned()),
                    status: StatusCode::CONFLICT,
                };
                ItemResult {
                    position: Some(position),
                    problem: Some(problem),
                    ..bare(ItemStatus::Conflict)
                }
            }
            Answer::Refused(refusal) => {
                ItemResult { problem: Some(refusal.into()), ..bare(ItemStatus::Refused) }
            }
        }
    }

    /// The event at `index` could not be read.
    pub fn unreadable(index: usize, error: ItemError) -> Self {
        let problem = Some(error.into());
        ItemResult { problem, ..ItemResult::bare(index, ItemStatus::Refused, None) }
    }

    /// The event at `index` was not looked at, because another one of its request was refused.
    pub fn not_alone(index: usize, run_id: Option<Uuid>) -> Self {
        ItemResult::answered(index, run_id, Answer::Refused(Refusal::NotAlone))
    }

    /// Whether it was refused for what it is itself.
    pub fn is_at_fault(&self) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem.code != Refusal::NotAlone.code())
    }
}

/// The answer to an event that was sent alone.
impl IntoResponse for ItemResult {
    fn into_response(self) -> Response {
        let ok = match self.status {
            ItemStatus::Recorded => StatusCode::CREATED,
            _ => StatusCode::OK,
        };
        let position = self.position;
        match self.problem {
            None => (ok, axum::Json(self)).into_response(),
            Some(problem) => {
                let mut error = ApiError::new(problem.status, problem.code, problem.detail);
                if let Some(pointer) = problem.pointer {
                    error = error.with("pointer", pointer.into());
                }
                if let Some(position) = position {
                    error = error.with("position", position.into());
                }
                error.into_response()
            }
        }
    }
}

impl From<ItemError> for ItemProblem {
    fn from(error: ItemError) -> Self {
        let status = StatusCode::from_u16(error.status());
        let status = status.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        ItemProblem { code: error.code, detail: error.detail, pointer: error.pointer, status }
    }
}

impl From<Refusal> for ItemProblem {
    fn from(refusal: Refusal) -> Self {
        let detail = match &refusal {
            // The catalog's own errors and the reason for having no bytes say what to do.
            Refusal::Workspace(WorkspaceRefusal::Catalog(errors)) => format!("{refusal}: {errors}"),
            Refusal::Seal(runledger_ledger::event::SealError::Canonical(error)) => {
                format!("{refusal}: {error}")
            }
            _ => refusal.to_string(),
        };
        ItemProblem { code: refusal.code(), detail, pointer: None, status: status(&refusal) }
    }
}

/// The HTTP status that says a refusal.
const fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::OutsideEnvironments => StatusCode::FORBIDDEN,
        Refusal::Archived(_) => StatusCode::GONE,
        Refusal::Run(RunRefusal::UnknownRun(_))
        | Refusal::UnknownExternalId(_)
        | Refusal::AmbiguousExternalId(_) => StatusCode::NOT_FOUND,
        Refusal::Run(
            RunRefusal::IdentityMismatch { .. }
            | RunRefusal::NotTerminal
            | RunRefusal::NotResolved
            | RunRefusal::AlreadyResolved { .. }
            | RunRefusal::Moved { .. }
            | RunRefusal::StateConflict(_),
        )
        | Refusal::Workspace(WorkspaceRefusal::Exists)
        | Refusal::Sequence { .. } => StatusCode::CONFLICT,
        Refusal::Run(RunRefusal::EnvironmentNotAllowed { .. })
        | Refusal::Workspace(WorkspaceRefusal::Catalog(_) | WorkspaceRefusal::BlindBackwards)
        | Refusal::Seal(runledger_ledger::event::SealError::Canonical(_))
        | Refusal::ReservedSource
        | Refusal::NotAlone => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Seal(runledger_ledger::event::SealError::TooLarge(_)) => {
            StatusCode::PAYLOAD_TOO_LARGE
        }
    }
}
